//! The grammar of the command line, and how it becomes what the server is made of.
//!
//! Arguments, environment, directory and host name come in as values; out comes a [`Request`]. Nothing is read
//! and nothing is started here: reading the configuration is [`Config::load`](crate::base::config::Config::load).
//! Verbs and flags that are promised but not there yet are part of the grammar, hidden, and refused.

mod simulate;

pub use simulate::SimulateArgs;

use crate::base::config::{ConfigFile, DEFAULT_FILE, Given, Inputs};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// Exit code: all is well.
pub const EXIT_OK: u8 = 0;
/// Exit code: the operation failed; for `check`, there are faults.
pub const EXIT_FAILED: u8 = 1;
/// Exit code: the command line or the configuration is wrong.
pub const EXIT_USAGE: u8 = 2;

/// Verbs that are promised but not there yet.
const VERBS_LATER: &[&str] = &[
    "status",
    "members",
    "zones",
    "stats",
    "records",
    "set",
    "unset",
    "why",
    "diff",
    "resync",
    "drain",
    "reload",
    "flush",
    "cache",
    "zone",
    "leave",
    "force-leave",
    "keygen",
    "key",
];

/// Flags of `serve` that are promised but not there yet, and whether each takes a value.
const SERVE_FLAGS_LATER: &[(&str, bool)] = &[
    ("gossip", true),
    ("join", true),
    ("control", true),
    ("forward", true),
    ("recurse", false),
    ("root-hints", true),
    ("state-dir", true),
];

/// Flags of `check` that are promised but not there yet, and whether each takes a value.
const CHECK_FLAGS_LATER: &[(&str, bool)] = &[("format", true), ("control", true)];

/// What the system says of itself: all of the world that the command line needs.
#[derive(Debug, Clone, Default)]
pub struct System {
    /// The environment.
    pub environment: BTreeMap<String, OsString>,
    /// The current directory.
    pub directory: PathBuf,
    /// The host name.
    pub host_name: String,
}

/// What the user asks for.
#[derive(Debug, Clone)]
pub enum Request {
    /// Serve this configuration until told to stop.
    Serve(Inputs),
    /// Print this configuration.
    PrintConfig(Inputs),
    /// Check this configuration and all of its zones.
    Check(Inputs),
    /// Run the simulator.
    Simulate(SimulateArgs),
}

/// Why there is no request, and how the process ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The user asked for help or the version: print the text, exit with [`EXIT_OK`].
    Shown(String),
    /// The command line is wrong: each line is an error, exit with [`EXIT_USAGE`].
    Wrong(Vec<String>),
}

/// The distributed DNS for container swarms.
#[derive(Parser)]
#[command(name = "hivedns", version, args_conflicts_with_subcommands = true)]
#[command(
    after_help = "Without a command, hivedns serves. Each key of the configuration can also be given as HIVEDNS_SECTION__KEY."
)]
struct Line {
    #[command(flatten)]
    serve: ServeArgs,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// Serve (the default).
    Serve(ServeArgs),
    /// Check the configuration and its zones; every fault as file:line:column: message.
    ///
    /// Exits with 0 if all is clean, 1 if there are faults, 2 if the arguments are wrong.
    Check(CheckArgs),
    Simulate(SimulateArgs),
}

#[derive(Args, Default)]
struct ServeArgs {
    /// The configuration file [default: /etc/hivedns/hivedns.toml if it exists].
    #[arg(short = 'c', long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address to answer on, UDP and TCP; repeatable, replaces server.listen.
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Vec<String>,
    /// Zone to serve, from a master file; repeatable, adds to those of the configuration.
    #[arg(long, value_name = "ORIGIN=FILE")]
    zone: Vec<String>,
    /// Worker threads; 0 = one per core.
    #[arg(long, value_name = "N")]
    workers: Option<String>,
    /// This node's name.
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Address of the read-only HTTP service.
    #[arg(long, value_name = "ADDR:PORT")]
    http: Option<String>,
    /// Learn no names from containers (it learns none yet).
    #[arg(long)]
    no_docker: bool,
    /// Be a cluster of one (it is one for now).
    #[arg(long)]
    no_gossip: bool,
    /// Print the configuration in force, each key with its origin, and exit.
    #[arg(long)]
    print_config: bool,
}

#[derive(Args)]
struct CheckArgs {
    /// The configuration file to check, with its zones [default, without zones:
    /// /etc/hivedns/hivedns.toml if it exists].
    #[arg(short = 'c', long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Zones to check, each a master file.
    #[arg(value_name = "ORIGIN=FILE")]
    zones: Vec<String>,
}

/// Reads the command line; the first argument is the program's name.
pub fn parse(arguments: impl IntoIterator<Item = OsString>, system: System) -> Result<Request, Refusal> {
    let matches = grammar().try_get_matches_from(arguments).map_err(refusal)?;
    refuse_what_is_later(&matches)?;
    let line = Line::from_arg_matches(&matches).map_err(refusal)?;
    Ok(match line.verb {
        None => serve(line.serve, system),
        Some(Verb::Serve(arguments)) => serve(arguments, system),
        Some(Verb::Check(arguments)) => Request::Check(arguments.inputs(system)),
        Some(Verb::Simulate(arguments)) => Request::Simulate(arguments),
    })
}

fn serve(arguments: ServeArgs, system: System) -> Request {
    let print = arguments.print_config;
    let inputs = arguments.inputs(system);
    if print { Request::PrintConfig(inputs) } else { Request::Serve(inputs) }
}

impl ServeArgs {
    fn inputs(self, system: System) -> Inputs {
        let mut flags = Vec::new();
        let mut give = |flag, values: Vec<String>| {
            if !values.is_empty() {
                flags.push(Given { flag, text: values.join(",") });
            }
        };
        give("--listen", self.listen);
        give("--workers", self.workers.into_iter().collect());
        give("--node", self.node.into_iter().collect());
        give("--http", self.http.into_iter().collect());
        let file = match self.config {
            Some(path) => ConfigFile::Required(path),
            None => ConfigFile::IfPresent(PathBuf::from(DEFAULT_FILE)),
        };
        inputs(file, flags, given("--zone", self.zone), system)
    }
}

impl CheckArgs {
    /// Zones named without a file are checked alone: the system's own configuration has no say in them.
    fn inputs(self, system: System) -> Inputs {
        let file = match self.config {
            Some(path) => ConfigFile::Required(path),
            None if self.zones.is_empty() => ConfigFile::IfPresent(PathBuf::from(DEFAULT_FILE)),
            None => ConfigFile::Without,
        };
        inputs(file, Vec::new(), given("ORIGIN=FILE", self.zones), system)
    }
}

fn inputs(file: ConfigFile, flags: Vec<Given>, zones: Vec<Given>, system: System) -> Inputs {
    let System { environment, directory, host_name } = system;
    Inputs { file, directory, host_name, environment, flags, zones }
}

fn given(flag: &'static str, texts: Vec<String>) -> Vec<Given> {
    texts.into_iter().map(|text| Given { flag, text }).collect()
}

/// What works, and hidden beside it what does not yet.
fn grammar() -> Command {
    let verb = |name: &&'static str| {
        let anything = Arg::new("arguments").num_args(0..).trailing_var_arg(true).allow_hyphen_values(true);
        Command::new(*name).hide(true).disable_help_flag(true).about("Not available yet.").arg(anything)
    };
    Line::command()
        .args(SERVE_FLAGS_LATER.iter().map(flag_later))
        .mut_subcommand("serve", |serve| serve.args(SERVE_FLAGS_LATER.iter().map(flag_later)))
        .mut_subcommand("check", |check| check.args(CHECK_FLAGS_LATER.iter().map(flag_later)))
        .subcommands(VERBS_LATER.iter().map(verb))
}

fn flag_later((name, takes_value): &(&'static str, bool)) -> Arg {
    let flag = Arg::new(*name).long(*name).hide(true);
    // Without its value it is refused all the same, and not asked to have one.
    if *takes_value { flag.num_args(0..=1).action(ArgAction::Append) } else { flag.action(ArgAction::Count) }
}

fn refuse_what_is_later(matches: &ArgMatches) -> Result<(), Refusal> {
    let not_available_yet = |what: &str| Refusal::Wrong(vec![format!("{what} is not available yet")]);
    let (flags, matches) = match matches.subcommand() {
        Some((verb, _)) if VERBS_LATER.contains(&verb) => return Err(not_available_yet(verb)),
        Some(("check", matches)) => (CHECK_FLAGS_LATER, matches),
        Some(("simulate", _)) => return Ok(()),
        Some((_, matches)) => (SERVE_FLAGS_LATER, matches),
        None => (SERVE_FLAGS_LATER, matches),
    };
    let given = |name: &str| matches.value_source(name) == Some(clap::parser::ValueSource::CommandLine);
    match flags.iter().find(|(name, _)| given(name)) {
        Some((name, _)) => Err(not_available_yet(&format!("--{name}"))),
        None => Ok(()),
    }
}

/// What clap has to say, without its own prefix and its blank lines.
fn refusal(error: clap::Error) -> Refusal {
    let text = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Refusal::Shown(text),
        _ => {
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            Refusal::Wrong(
                text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect(),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::config::{Config, print};
    use crate::wire::name::Name;
    use proptest::prelude::*;

    fn parsed(line: &str) -> Result<Request, Refusal> {
        let words = std::iter::once("hivedns").chain(line.split_whitespace()).map(OsString::from);
        let system = System {
            environment: BTreeMap::from([("HIVEDNS_LOG__LEVEL".to_owned(), "debug".into())]),
            directory: PathBuf::from("/dir"),
            host_name: "host".to_owned(),
        };
        parse(words, system)
    }

    /// The request in one line; the usual configuration file is left out of the game.
    fn told(line: &str) -> String {
        let (what, inputs) = match parsed(line) {
            Ok(Request::Serve(inputs)) => ("serve", inputs),
            Ok(Request::PrintConfig(inputs)) => ("print", inputs),
            Ok(Request::Check(inputs)) => ("check", inputs),
            Ok(Request::Simulate(args)) => return format!("simulate {:?} {}", args.nodes, args.json()),
            Err(Refusal::Shown(text)) => return format!("shown: {}", text.lines().next().unwrap()),
            Err(Refusal::Wrong(lines)) => return format!("wrong: {}", lines[0]),
        };
        let file = match &inputs.file {
            ConfigFile::Required(path) => format!(" -c {}", path.display()),
            ConfigFile::IfPresent(path) => {
                assert_eq!(path.to_str(), Some(DEFAULT_FILE));
                String::new()
            }
            ConfigFile::Without => " without".to_owned(),
        };
        let given: String = inputs
            .flags
            .iter()
            .chain(&inputs.zones)
            .map(|given| format!(" {}:{}", given.flag, given.text))
            .collect();
        format!("{what}{file}{given}")
    }

    #[test]
    fn the_command_line_says_what_to_do() {
        for (line, expected) in [
            ("", "serve"),
            ("serve", "serve"),
            ("-c f", "serve -c f"),
            ("serve -c f --print-config", "print -c f"),
            ("--print-config", "print"),
            ("--no-docker --no-gossip", "serve"),
            (
                "--listen [::1]:1,127.0.0.1:1 --listen 127.0.0.1:2",
                "serve --listen:[::1]:1,127.0.0.1:1,127.0.0.1:2",
            ),
            ("serve --zone a=b,c=d --zone e=f", "serve --zone:a=b,c=d --zone:e=f"),
            ("--workers 2 --node n --http 127.0.0.1:1", "serve --workers:2 --node:n --http:127.0.0.1:1"),
            ("check", "check"),
            ("check a=b c=d", "check without ORIGIN=FILE:a=b ORIGIN=FILE:c=d"),
            ("check -c f a=b", "check -c f ORIGIN=FILE:a=b"),
            ("simulate --nodes 5 --format json", "simulate Some(\"5\") true"),
            ("--version", "shown: hivedns 0.1.0"),
            ("--help", "shown: The distributed DNS for container swarms"),
            (
                "check --help",
                "shown: Check the configuration and its zones; every fault as file:line:column: message.",
            ),
            ("--lisen x", "wrong: unexpected argument '--lisen' found"),
            ("--workers", "wrong: a value is required for '--workers <N>' but none was supplied"),
            ("sevre", "wrong: unrecognized subcommand 'sevre'"),
        ] {
            assert_eq!(told(line), expected, "hivedns {line}");
        }
    }

    #[test]
    fn what_is_promised_for_later_is_refused_with_these_words_and_not_in_the_help() {
        let Err(Refusal::Shown(help)) = parsed("--help") else { panic!("no help") };
        for verb in VERBS_LATER {
            for rest in ["", " x --format json", " --help"] {
                assert_eq!(told(&format!("{verb}{rest}")), format!("wrong: {verb} is not available yet"));
            }
            assert!(!help.contains(&format!("\n  {verb}")), "{verb}");
        }
        for (flag, _) in SERVE_FLAGS_LATER {
            for line in [format!("--{flag}"), format!("serve --{flag}")] {
                assert_eq!(told(&line), format!("wrong: --{flag} is not available yet"));
            }
            assert!(!help.contains(&format!("--{flag}")), "{flag}");
        }
        for line in ["--join a --join b", "serve --join a,b --listen x", "--join=a"] {
            assert_eq!(told(line), "wrong: --join is not available yet");
        }
        assert_eq!(told("check --format json"), "wrong: --format is not available yet");
    }

    #[test]
    fn the_grammar_is_sound() {
        grammar().debug_assert();
    }

    #[test]
    fn arguments_environment_and_system_become_one_configuration() {
        let Ok(Request::Serve(mut inputs)) = parsed("--listen 127.0.0.1:53 --zone a.=z/a --workers 2") else {
            panic!("not serve")
        };
        inputs.file = ConfigFile::Without;
        let config = Config::load(&inputs).unwrap();
        let shown = print(&config);
        for line in [
            "listen = [\"127.0.0.1:53\"]  # flag --listen",
            "workers = 2  # flag --workers",
            "level = \"debug\"  # environment HIVEDNS_LOG__LEVEL",
            "node = \"host\"  # default",
            "file = \"/dir/z/a\"  # flag --zone",
        ] {
            assert!(shown.contains(line), "{line}\n{shown}");
        }
        assert!(!config.embedded_examples);
    }

    proptest! {
        /// The configuration cannot use `Name` (it stands below it), so the two readings are compared here.
        #[test]
        fn every_origin_that_configuration_accepts_is_that_name(text in "[a-zA-Z0-9.\\\\*_ =-]{0,12}") {
            let zones = vec![Given { flag: "--zone", text: format!("{}=f", text.trim()) }];
            match Config::load(&Inputs { zones, ..Inputs::default() }) {
                Ok(config) => {
                    let [zone] = &config.zones[..] else { panic!("not one zone") };
                    // An escaped or second `=` may have moved into the file's name.
                    let said = text.trim().split('=').next().unwrap();
                    prop_assert_eq!(Name::parse(zone.origin.as_str()), Name::parse(said));
                    prop_assert!(Name::parse(said).is_ok());
                }
                Err(_) => {
                    let said = text.trim().split('=').next().unwrap();
                    prop_assert!(Name::parse(said).is_err() || said.contains(' '), "{}", text);
                }
            }
        }
    }
}
