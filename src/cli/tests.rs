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
        Ok(Request::Check(inputs, Format::Text)) => ("check", inputs),
        Ok(Request::Check(inputs, Format::Json)) => ("check as json", inputs),
        Ok(Request::Call(call)) => return called(&call),
        Ok(Request::Keygen(format)) => return format!("keygen {format:?}"),
        Ok(Request::Simulate(_)) => return "simulate".to_owned(),
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
    let control = inputs.control.map(|path| format!(" at {}", path.display())).unwrap_or_default();
    let gossip = if inputs.no_gossip { " alone" } else { "" };
    format!("{what}{file}{given}{control}{gossip}")
}

/// The call in one line; the usual socket is left out.
fn called(call: &Call) -> String {
    let what = match &call.what {
        Asked::Look(look) => look.verb().to_owned(),
        Asked::Request(request) => serde_json::to_string(request).unwrap(),
    };
    let format = if call.format == Format::Json { " json" } else { "" };
    let usual = crate::base::control_socket::usual(&BTreeMap::new());
    let sockets: String = call
        .sockets
        .iter()
        .filter(|path| !usual.contains(path))
        .map(|p| format!(" at {}", p.display()))
        .collect();
    format!("ask {what}{format}{sockets}")
}

#[test]
fn the_command_line_says_what_to_do() {
    for (line, expected) in [
        ("", "serve"),
        ("serve", "serve"),
        ("-c f", "serve -c f"),
        ("serve -c f --print-config", "print -c f"),
        ("--print-config", "print"),
        ("--no-docker --no-gossip", "serve alone"),
        ("--gossip [::]:7953 --join a --join b:1,c", "serve --gossip:[::]:7953 --join:a,b:1,c"),
        ("serve --control run/s", "serve at run/s"),
        (
            "--listen [::1]:1,127.0.0.1:1 --listen 127.0.0.1:2",
            "serve --listen:[::1]:1,127.0.0.1:1,127.0.0.1:2",
        ),
        ("serve --zone a=b,c=d --zone e=f", "serve --zone:a=b,c=d --zone:e=f"),
        ("--workers 2 --node n --http 127.0.0.1:1", "serve --workers:2 --node:n --http:127.0.0.1:1"),
        ("--state-dir s", "serve --state-dir:s"),
        ("--forward ::1,192.0.2.1:54 --forward [::1]:5", "serve --forward:::1,192.0.2.1:54,[::1]:5"),
        ("serve --recurse --root-hints h", "serve --recurse:root --root-hints:h"),
        ("check", "check"),
        ("check --format json --control s", "check as json"),
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
        assert!(!help.contains(&format!("\n  {verb} ")), "{verb}");
    }
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

#[test]
fn a_verb_becomes_a_request_to_the_running_server() {
    for (line, expected) in [
        ("status", "ask status"),
        ("zones --format json", "ask zones json"),
        ("stats --control /s", "ask stats at /s"),
        ("members", r#"ask {"verb":"members"}"#),
        ("records", r#"ask {"verb":"records","name":null,"type":null,"owner":null,"after":null}"#),
        (
            "records a. --type A --owner n --format json --control s",
            r#"ask {"verb":"records","name":"a.","type":"A","owner":"n","after":null} json at s"#,
        ),
        ("set a. 60 A 1 2", r#"ask {"verb":"set","name":"a.","ttl":60,"type":"A","rdata":["1","2"]}"#),
        ("set a. 5m TXT -- -x", r#"ask {"verb":"set","name":"a.","ttl":300,"type":"TXT","rdata":["-x"]}"#),
        ("unset a.", r#"ask {"verb":"unset","name":"a.","type":null,"rdata":[]}"#),
        ("unset a. MX x y", r#"ask {"verb":"unset","name":"a.","type":"MX","rdata":["x","y"]}"#),
        ("why a. MX --from ::1", r#"ask {"verb":"why","name":"a.","type":"MX","from":"::1"}"#),
        ("diff", r#"ask {"verb":"diff"}"#),
        ("flush", r#"ask {"verb":"flush","name":null}"#),
        ("flush a.", r#"ask {"verb":"flush","name":"a."}"#),
        ("cache dump", r#"ask {"verb":"cache-dump","after":null}"#),
        ("resync", r#"ask {"verb":"resync","node":null}"#),
        ("resync n", r#"ask {"verb":"resync","node":"n"}"#),
        ("drain", r#"ask {"verb":"drain","timeout_ms":10000}"#),
        ("drain --timeout 250ms", r#"ask {"verb":"drain","timeout_ms":250}"#),
        ("reload", r#"ask {"verb":"reload"}"#),
        ("leave", r#"ask {"verb":"leave"}"#),
        ("force-leave n", r#"ask {"verb":"force-leave","node":"n"}"#),
        ("key add", r#"ask {"verb":"key-add","key":"-"}"#),
        ("key add k=", r#"ask {"verb":"key-add","key":"k="}"#),
        ("key use i --format json", r#"ask {"verb":"key-use","id":"i"} json"#),
        ("key remove i", r#"ask {"verb":"key-remove","id":"i"}"#),
        ("key list", r#"ask {"verb":"key-list"}"#),
        ("zone notify a.", r#"ask {"verb":"zone-notify","origin":"a."}"#),
        ("zone refresh a.", r#"ask {"verb":"zone-refresh","origin":"a."}"#),
        ("zone retransfer a.", r#"ask {"verb":"zone-retransfer","origin":"a."}"#),
        ("keygen", "keygen Text"),
        ("keygen --format json", "keygen Json"),
    ] {
        assert_eq!(told(line), expected, "hivedns {line}");
    }
}

#[test]
fn a_verb_that_makes_no_sense_is_told() {
    for (line, expected) in [
        ("set a. 60 A", "the following required arguments were not provided:"),
        ("set a. x A 1", "invalid value 'x' for '<TTL>': expected seconds, or a duration such as 5m"),
        ("set a. 250ms A 1", "invalid value '250ms' for '<TTL>': expected seconds, or a duration such as 5m"),
        (
            "set a. 4294967296 A 1",
            "invalid value '4294967296' for '<TTL>': expected seconds, or a duration such as 5m",
        ),
        ("why a. --from here", "invalid value 'here' for '--from <IP>': invalid IP address syntax"),
        (
            "drain --timeout 1h",
            "invalid value '1h' for '--timeout <DURATION>': expected a duration up to 600s, such as 10s",
        ),
        ("status --format xml", "invalid value 'xml' for '--format <FORMAT>'"),
        ("force-leave", "the following required arguments were not provided:"),
        ("--recurse --forward ::1", "the argument '--recurse' cannot be used with '--forward <ADDR[:PORT]>'"),
        ("--no-gossip --join a", "the argument '--no-gossip' cannot be used with '--join <HOST[:PORT]>'"),
    ] {
        assert_eq!(told(line), format!("wrong: {expected}"), "hivedns {line}");
    }
}
