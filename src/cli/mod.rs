//! The grammar of the command line, and how it becomes what the server is made of.
//!
//! Arguments, environment, directory and host name come in as values; out comes a [`Request`]. Nothing is read
//! and nothing is started here: reading the configuration is [`Config::load`](crate::base::config::Config::load).
//! Verbs that are promised but not there yet are part of the grammar, hidden, and refused.

mod simulate;
#[cfg(test)]
mod tests;
mod verbs;

pub use simulate::SimulateArgs;
pub use verbs::{Asked, Call, Format};

use crate::base::config::{ConfigFile, DEFAULT_FILE, Given, Inputs};
use crate::cli::verbs::{Common, RunningVerb};
use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand};
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
const VERBS_LATER: &[&str] = &["zone"];

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
    /// Check this configuration and all of its zones, and tell the faults in this form.
    Check(Inputs, Format),
    /// Ask a running server.
    Call(Call),
    /// Make a new key for the cluster's traffic.
    Keygen(Format),
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
    #[command(flatten)]
    Running(RunningVerb),
    /// A new gossip key, on one line; for gossip.keys_file or `key add`.
    Keygen(Common),
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
    /// Address of the cluster's traffic.
    #[arg(long, value_name = "ADDR:PORT", conflicts_with = "no_gossip")]
    gossip: Option<String>,
    /// Member to join; repeatable, replaces gossip.join.
    #[arg(long, value_name = "HOST[:PORT]", conflicts_with = "no_gossip")]
    join: Vec<String>,
    /// Address of the read-only HTTP service.
    #[arg(long, value_name = "ADDR:PORT")]
    http: Option<String>,
    /// The control socket [default: /run/hivedns/hivedns.sock, else in $XDG_RUNTIME_DIR].
    #[arg(long, value_name = "SOCKET")]
    control: Option<PathBuf>,
    /// Server that names which are not ours are asked of; repeatable, replaces those of forward.".".
    #[arg(long, value_name = "ADDR[:PORT]")]
    forward: Vec<String>,
    /// Look for names that are not ours from the root, instead of asking a server that does.
    #[arg(long, conflicts_with = "forward")]
    recurse: bool,
    /// The name servers of the root, a master file [default: IANA's].
    #[arg(long, value_name = "FILE")]
    root_hints: Option<String>,
    /// Directory of what outlives the process [default: /var/lib/hivedns, else $XDG_STATE_HOME/hivedns].
    #[arg(long, value_name = "DIR")]
    state_dir: Option<String>,
    /// Learn no names from containers, whatever docker.socket says.
    #[arg(long)]
    no_docker: bool,
    /// Be a cluster of one: no traffic with other nodes.
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
    #[command(flatten)]
    common: Common,
}

/// Reads the command line; the first argument is the program's name.
pub fn parse(arguments: impl IntoIterator<Item = OsString>, system: System) -> Result<Request, Refusal> {
    let matches = grammar().try_get_matches_from(arguments).map_err(refusal)?;
    refuse_what_is_later(&matches)?;
    let line = Line::from_arg_matches(&matches).map_err(refusal)?;
    Ok(match line.verb {
        None => serve(line.serve, system),
        Some(Verb::Serve(arguments)) => serve(arguments, system),
        Some(Verb::Check(arguments)) => {
            let format = arguments.common.format();
            Request::Check(arguments.inputs(system), format)
        }
        Some(Verb::Running(verb)) => Request::Call(verb.call(&system.environment)),
        Some(Verb::Keygen(common)) => Request::Keygen(common.format()),
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
        give("--gossip", self.gossip.into_iter().collect());
        give("--join", self.join);
        give("--http", self.http.into_iter().collect());
        give("--state-dir", self.state_dir.into_iter().collect());
        give("--forward", self.forward);
        give("--recurse", self.recurse.then(|| "root".to_owned()).into_iter().collect());
        give("--root-hints", self.root_hints.into_iter().collect());
        let file = match self.config {
            Some(path) => ConfigFile::Required(path),
            None => ConfigFile::IfPresent(PathBuf::from(DEFAULT_FILE)),
        };
        let inputs = inputs(file, flags, given("--zone", self.zone), system);
        Inputs { control: self.control, no_gossip: self.no_gossip, no_docker: self.no_docker, ..inputs }
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
    Inputs { file, directory, host_name, environment, flags, zones, ..Inputs::default() }
}

fn given(flag: &'static str, texts: Vec<String>) -> Vec<Given> {
    texts.into_iter().map(|text| Given { flag, text }).collect()
}

/// What works, and hidden beside it the verbs that do not yet.
fn grammar() -> Command {
    let verb = |name: &&'static str| {
        let anything = Arg::new("arguments").num_args(0..).trailing_var_arg(true).allow_hyphen_values(true);
        Command::new(*name).hide(true).disable_help_flag(true).about("Not available yet.").arg(anything)
    };
    Line::command().subcommands(VERBS_LATER.iter().map(verb))
}

fn refuse_what_is_later(matches: &ArgMatches) -> Result<(), Refusal> {
    match matches.subcommand() {
        Some((verb, _)) if VERBS_LATER.contains(&verb) => {
            Err(Refusal::Wrong(vec![format!("{verb} is not available yet")]))
        }
        Some(_) | None => Ok(()),
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
