//! What the command line says, line by line.

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
