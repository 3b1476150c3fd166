//! Behaviour of the configuration as its users see it; the cases are text.

use super::keys::{Reach, Shape, sections};
use super::*;
use crate::base::limits::IDENTITY_OCTETS_MAX;
use proptest::prelude::*;

/// A file `/etc/h/h.toml` beside variables (`NAME=value`) and arguments (`--flag=value`).
fn examine(file: &str, given: &[&str]) -> (Config, Vec<ConfigError>) {
    let path: Arc<Path> = Arc::from(Path::new("/etc/h/h.toml"));
    Config::assemble(Some((&path, file.as_bytes())), &inputs(given))
}

pub(super) fn inputs(given: &[&str]) -> Inputs {
    let mut inputs = Inputs { directory: PathBuf::from("/srv/dir"), ..Inputs::default() };
    for one in given {
        let (name, text) = one.split_once('=').unwrap();
        let text = text.to_owned();
        match name {
            "--zone" => inputs.zones.push(Given { flag: "--zone", text }),
            "--listen" => inputs.flags.push(Given { flag: "--listen", text }),
            "--workers" => inputs.flags.push(Given { flag: "--workers", text }),
            "--node" => inputs.flags.push(Given { flag: "--node", text }),
            "--gossip" => inputs.flags.push(Given { flag: "--gossip", text }),
            "--join" => inputs.flags.push(Given { flag: "--join", text }),
            "--state-dir" => inputs.flags.push(Given { flag: "--state-dir", text }),
            "--http" => inputs.flags.push(Given { flag: "--http", text }),
            "--forward" => inputs.flags.push(Given { flag: "--forward", text }),
            "--recurse" => inputs.flags.push(Given { flag: "--recurse", text }),
            "--root-hints" => inputs.flags.push(Given { flag: "--root-hints", text }),
            variable => drop(inputs.environment.insert(variable.to_owned(), text.into())),
        }
    }
    inputs
}

pub(super) fn good(file: &str, given: &[&str]) -> Config {
    let (config, errors) = examine(file, given);
    assert!(errors.is_empty(), "{file}\n{errors:?}");
    config
}

pub(super) fn errors(file: &str, given: &[&str]) -> Vec<String> {
    examine(file, given).1.iter().map(ToString::to_string).collect()
}

fn addresses(text: &str) -> Vec<std::net::SocketAddr> {
    text.split(' ').map(|address| address.parse().unwrap()).collect()
}

/// Every section with its keys in one line each: what the server promises, whether it works yet or not.
const PROMISED: &str = "
    server: listen workers node udp_payload_max state_dir user tcp_idle tcp_connections_max identity
    services: domain ttl negative_ttl lease reverse order none_healthy loss_freeze loss_freeze_max
    docker: socket networks external relist label_prefix
    gossip: bind advertise join cluster keys_file
    forward:
    resolve: root_hints trust_anchor validate validate_forwarded deny
    cache: size ttl_max negative_ttl_max serve_stale prefetch
    limits: clients -rrl_responses_per_second
    shadow: sample
    http: listen
    log: level format
    zone: origin file primary transfer update notify accept_notify tsig share catalog
    key: name algorithm -secret secret_file names types";

#[test]
fn the_table_holds_what_is_promised_and_marks_what_is_not_there_yet() {
    let mut table = String::new();
    for section in sections() {
        table += &format!("\n    {}:", section.name);
        for key in section.keys {
            let later = if matches!(key.reach, Reach::Later) { "-" } else { "" };
            table += &format!(" {later}{}", key.name);
            assert!(!key.doc.contains('\n') && key.doc.ends_with('.'), "{}", key.name);
        }
    }
    assert_eq!(table, PROMISED);
}

#[test]
fn without_anything_the_documented_defaults_hold() {
    let (config, errors) = Config::assemble(None, &Inputs::default());
    assert_eq!(errors, []);
    assert_eq!(config.server.listen, addresses("127.0.0.1:5300"));
    assert_eq!(config.server.workers.get(), 0);
    assert_eq!((config.server.node.as_str(), config.server.identity.as_str()), ("localhost", "localhost"));
    assert_eq!(config.server.udp_payload_max.get(), 1232);
    assert_eq!(config.server.user, "");
    assert_eq!(config.server.tcp_idle, Duration::from_secs(10));
    assert_eq!(config.server.tcp_connections_max.get(), 4096);
    assert_eq!(config.http.listen, addresses("127.0.0.1:5380")[0]);
    assert_eq!((config.log.level, config.log.format), (LogLevel::Info, LogFormat::Text));
    assert!(config.zones.is_empty());
    assert!(config.embedded_examples);
}

const FULL: &str = r#"
server.user = "dns"
[http]
listen = "[::1]:8080"
[log]
level = "debug"
format = "json"
[[zone]]
origin = "groucho.edu."
file = "zones/groucho.edu.zone"
[[zone]]
origin = "0/25.2.0.192.in-addr.arpa"
file = "/srv/z ${X} $${Y}"
"#;

#[test]
fn every_key_is_read_from_the_file() {
    let config = good(FULL, &["X=x"]);
    assert_eq!(config.server.user, "dns");
    assert_eq!(config.http.listen, addresses("[::1]:8080")[0]);
    assert_eq!((config.log.level, config.log.format), (LogLevel::Debug, LogFormat::Json));
    let zones: Vec<_> =
        config.zones.iter().map(|z| (z.origin.as_str(), z.file().unwrap().to_str().unwrap())).collect();
    assert_eq!(
        zones,
        [("groucho.edu.", "/etc/h/zones/groucho.edu.zone"), ("0/25.2.0.192.in-addr.arpa.", "/srv/z x ${Y}")]
    );
    assert!(!config.embedded_examples);

    let server = "[server]\nlisten = ['127.0.0.1:53', '[::]:53']\nworkers = 3\nnode = 'n-1'\n\
        udp_payload_max = 4096\ntcp_idle = '250ms'\ntcp_connections_max = 7\nidentity = 'site 1'";
    let server = good(server, &[]).server;
    assert_eq!(server.listen, addresses("127.0.0.1:53 [::]:53"));
    assert_eq!((server.workers.get(), server.udp_payload_max.get()), (3, 4096));
    assert_eq!((server.node.as_str(), server.identity.as_str()), ("n-1", "site 1"));
    assert_eq!((server.tcp_idle.as_millis(), server.tcp_connections_max.get()), (250, 7));
}

#[test]
fn inline_tables_and_arrays_say_the_same_as_headers() {
    let inline = "server = {user='u', listen=['[::1]:1']}\nzone = [{origin='a', file='f'}]";
    let headers = "[server]\nuser='u'\nlisten=['[::1]:1']\n[[zone]]\norigin='a.'\nfile='f'";
    assert_eq!(good(inline, &[]), good(headers, &[]));
}

#[test]
fn a_later_source_wins_over_an_earlier_one() {
    let file = "[server]\nworkers = 1\nlisten = ['127.0.0.1:1']";
    let workers = |given: &[&str]| good(file, given).server.workers.get();
    assert_eq!(workers(&[]), 1);
    assert_eq!(workers(&["HIVEDNS_SERVER__WORKERS=2"]), 2);
    assert_eq!(workers(&["HIVEDNS_SERVER__WORKERS=2", "--workers=3"]), 3);
    let config = good(file, &["HIVEDNS_SERVER__WORKERS=2", "--listen=127.0.0.1:2,[::1]:2"]);
    assert_eq!(config.server.listen, addresses("127.0.0.1:2 [::1]:2"), "a flag replaces the list");
    assert_eq!(config.said.source("server.listen"), Source::Flag("--listen"));
    assert_eq!(
        config.said.source("server.workers"),
        Source::Environment("HIVEDNS_SERVER__WORKERS".to_owned())
    );
    assert_eq!(config.said.source("server.user"), Source::Default);
}

#[test]
fn the_environment_gives_each_kind() {
    let config = good(
        "",
        &[
            "HIVEDNS_SERVER__LISTEN=127.0.0.1:5300, [::1]:5300",
            "HIVEDNS_SERVER__TCP_IDLE=1m",
            "HIVEDNS_SERVER__IDENTITY=a,b",
            "HIVEDNS_HTTP__LISTEN=0.0.0.0:5380",
            "HIVEDNS_LOG__LEVEL=warn",
            "HIVEDNS_PORT=tcp://10.0.0.1:53",
            "hivedns_server__nope=1",
        ],
    );
    assert_eq!(config.server.listen, addresses("127.0.0.1:5300 [::1]:5300"));
    assert_eq!(config.server.tcp_idle, Duration::from_secs(60));
    assert_eq!(config.server.identity, "a,b");
    assert_eq!(config.http.listen, addresses("0.0.0.0:5380")[0]);
    assert_eq!(config.log.level, LogLevel::Warn);
}

#[test]
fn zones_of_the_command_line_are_added_and_win_over_the_file() {
    let file = "[[zone]]\norigin='a.'\nfile='a'\n[[zone]]\norigin='b.'\nfile='b'";
    let config = good(file, &["--zone=B=x,c=y", "--zone=.=/r=1"]);
    let zones: Vec<_> = config
        .zones
        .iter()
        .map(|z| format!("{}={}", z.origin.as_str(), z.file().unwrap().display()))
        .collect();
    assert_eq!(zones, ["a.=/etc/h/a", "B.=/srv/dir/x", "c.=/srv/dir/y", ".=/r=1"]);
    assert_eq!(config.zones[1].said.source("zone.file"), Source::Flag("--zone"));

    let many: Vec<String> = (0..500).map(|i| format!("--zone=z{i}.example=z{i}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(good("", &many).zones.len(), 500);
}

#[test]
fn the_examples_are_served_only_when_nothing_is_given() {
    let examples = |given: &[&str]| Config::assemble(None, &inputs(given)).0.embedded_examples;
    assert!(examples(&[]));
    assert!(examples(&["--listen=127.0.0.1:1", "HIVEDNS_LOG__LEVEL=debug"]));
    assert!(!examples(&["--zone=a=b"]));
    assert!(!good("", &[]).embedded_examples);
}

/// A file's text, `=>`, and every error it gives; `|` separates lines and errors.
#[test]
fn every_fault_of_a_file_is_told_with_its_place() {
    for case in [
        // Unknown names and their nearest.
        "[server]|lisen = 1 => 2:1: server.lisen: unknown key; the nearest known one is server.listen",
        "[server]|tcp_idel = 1 => 2:1: server.tcp_idel: unknown key; the nearest known one is server.tcp_idle",
        "[servr]|x = 1 => 1:2: servr: unknown section; the nearest known one is [server]",
        "[server]|level = 'info' => 2:1: server.level: unknown key; the nearest known one is log.level",
        "workers = 1 => 1:1: workers: unknown outside a section; it stands in [server]",
        "a.workers = 1 => 1:1: a: unknown section; the nearest known one is [log]",
        "[server]|name = 'a' => 2:1: server.name: unknown key; the nearest known one is server.node",
        "[[zone]]|origni = 'a' => 2:1: zone.origni: unknown key; the nearest known one is zone.origin",
        "[gossip]|joint = 1 => 2:1: gossip.joint: unknown key; the nearest known one is gossip.join",
        // Not available yet.
        "[limits]|rrl_responses_per_second = 5 => 2:1: limits.rrl_responses_per_second is not available yet",
        "[shadow]|sample = 1.5 => 2:10: shadow.sample: expected a share from 0.0 to 1.0, found 1.5",
        "[[key]]|secret = 'k' => 2:1: key.secret is not available yet",
        "[[key]]|algorithm = 'hmac-md5' => 2:13: key.algorithm: expected one of hmac-sha256, hmac-sha384, hmac-sha512, found \"hmac-md5\"",
        // Values.
        "[server]|workers = -1 => 2:11: server.workers: expected a whole number from 0 to 1024, found -1",
        "[server]|workers = 1.5 => 2:11: server.workers: expected a whole number from 0 to 1024, \
            found 1.5",
        "[server]|udp_payload_max = 511 => 2:19: server.udp_payload_max: \
            expected a whole number from 512 to 4096, found 511",
        "[server]|tcp_connections_max = 0 => 2:23: server.tcp_connections_max: \
            expected a whole number from 1 to 1048576, found 0",
        "[server]|tcp_idle = 10 => 2:12: server.tcp_idle: expected a duration of at most 3650d, \
            such as \"250ms\", \"5s\", \"1h\" or \"1d\", found 10",
        "[server]|tcp_idle = '0s' => 2:12: server.tcp_idle: \
            expected more than nothing: every connection would be closed",
        "[server]|listen = 53 => 2:10: server.listen: expected a list, each item an address with its port, \
            such as \"192.0.2.1:53\" or \"[2001:db8::1]:53\", found 53",
        "[server]|listen = [] => 2:10: server.listen: expected at least one address",
        "[server]|listen = ['[::]:5', '[::]:5'] => 2:10: server.listen: [::]:5 is given twice",
        "[server]|node = 'a.b' => 2:8: server.node: \
            expected a label: up to 63 letters, digits and inner hyphens or underscores, found \"a.b\"",
        "[server]|user = 5 => 2:8: server.user: expected a string, found 5",
        "[log]|level = 'loud' => 2:9: log.level: expected one of error, warn, info, debug, trace, found \"loud\"",
        "[log]|format = ['text'] => 2:10: log.format: expected one of text, json, found a list",
        "[log.level] => 1:6: log.level: expected one of error, warn, info, debug, trace, found a value of type table",
        // Shapes.
        "server = 1 => 1:1: server: expected a table, [server]",
        "[[server]] => 1:3: server: expected a table, [server]",
        "[zone] => 1:2: zone: expected [[zone]], once for each zone",
        "zone = [1] => 1:1: zone: expected [[zone]], once for each zone",
        // Zones.
        "[[zone]]|origin = 'a' => 1:1: zone.file: missing; every [[zone]] needs it, or zone.primary",
        "[[zone]] => 1:1: zone.origin: missing; every [[zone]] needs it\
            |1:1: zone.file: missing; every [[zone]] needs it, or zone.primary",
        "[[zone]]|origin='a'|file='' => 3:6: zone.file: expected a path, found \"\"",
        "[[zone]]|origin='a..b'|file='f' => 2:8: zone.origin: expected a domain name in ASCII, \
            such as \"example.com.\" (others in their xn-- form), found \"a..b\"",
        "[[zone]]|origin='a'|file='f'|[[zone]]|origin='A.'|file='g' => \
            5:8: zone.origin: A. is given twice, first at /etc/h/h.toml:2:8",
        // Variables.
        "[server]|user = '${NO}' => 2:8: server.user: ${NO} is not set",
        "[server]|user = '${A B}' => 2:8: server.user: ${A B} names no variable; write \"$${\" for a literal \"${\"",
        "[server]|user = '${A' => 2:8: server.user: \"${\" is not closed; write \"$${\" for a literal \"${\"",
        // All of them, in the order of the file.
        "[log]|level = 1|[server]|workers = 'x'|nod = 'a' => \
            2:9: log.level: expected one of error, warn, info, debug, trace, found 1\
            |4:11: server.workers: expected a whole number from 0 to 1024, found \"x\"\
            |5:1: server.nod: unknown key; the nearest known one is server.node",
    ] {
        let (file, expected) = case.split_once(" => ").unwrap();
        let expected: Vec<_> = expected.split('|').map(|error| format!("/etc/h/h.toml:{error}")).collect();
        assert_eq!(errors(&file.replace('|', "\n"), &[]), expected, "{file}");
    }
}

#[test]
fn a_list_tells_each_of_its_faulty_items() {
    let told = errors("[server]\nlisten = ['127.0.0.1', '[::1]:53',\n 'localhost:53', 5]", &[]);
    let expected = "expected an address with its port, such as \"192.0.2.1:53\" or \"[2001:db8::1]:53\"";
    assert_eq!(
        told,
        [
            format!("/etc/h/h.toml:2:11: server.listen: {expected}, found \"127.0.0.1\""),
            format!("/etc/h/h.toml:3:2: server.listen: {expected}, found \"localhost:53\""),
            format!("/etc/h/h.toml:3:18: server.listen: {expected}, found 5"),
        ]
    );
}

#[test]
fn what_is_not_toml_is_told_with_its_place() {
    for (file, place) in [("[server", "1:"), ("[server]\nuser = \n", "2:"), ("a = 1\na = 2", "2:1:")] {
        let told = errors(file, &[]);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with(&format!("/etc/h/h.toml:{place}")), "{told:?}");
        assert!(!told[0].contains('\n'), "{told:?}");
    }
    let path: Arc<Path> = Arc::from(Path::new("f"));
    let (_, told) = Config::assemble(Some((&path, b"[log]\n\xff")), &Inputs::default());
    assert_eq!(told[0].to_string(), "f:2:1: the file is not UTF-8");
}

#[test]
fn faults_of_the_environment_and_of_flags_name_the_variable_and_the_flag() {
    for (given, expected) in [
        (
            "HIVEDNS_SERVER__LISEN=x",
            "HIVEDNS_SERVER__LISEN: unknown variable; the nearest known one is HIVEDNS_SERVER__LISTEN",
        ),
        (
            "HIVEDNS_SERVRE__WORKERS=1",
            "HIVEDNS_SERVRE__WORKERS: unknown variable; the nearest known one is HIVEDNS_SERVER__WORKERS",
        ),
        (
            "HIVEDNS_SERVICES__REVERSE=10.0.0.0/8,x",
            "HIVEDNS_SERVICES__REVERSE: services.reverse: expected a network, such as \"192.0.2.0/24\" or \
                \"2001:db8::/32\", or one address, found \"x\"",
        ),
        (
            "HIVEDNS_LIMITS__RRL_RESPONSES_PER_SECOND=1",
            "HIVEDNS_LIMITS__RRL_RESPONSES_PER_SECOND: limits.rrl_responses_per_second is not available yet",
        ),
        ("HIVEDNS_ZONE__FILE=a", "HIVEDNS_ZONE__FILE: [[zone]] cannot be given in the environment"),
        (
            "HIVEDNS_SERVER__WORKERS=many",
            "HIVEDNS_SERVER__WORKERS: server.workers: expected a whole number from 0 to 1024, found \"many\"",
        ),
        ("HIVEDNS_SERVER__LISTEN=", "HIVEDNS_SERVER__LISTEN: server.listen: expected at least one address"),
        ("--workers=+1", "--workers: server.workers: expected a whole number from 0 to 1024, found \"+1\""),
        (
            "--http=5380",
            "--http: http.listen: expected an address with its port, \
                such as \"192.0.2.1:53\" or \"[2001:db8::1]:53\", found \"5380\"",
        ),
        (
            "--node=-a\u{1b}",
            "--node: server.node: expected a label: up to 63 letters, digits and inner hyphens or underscores, \
                found \"-a\\u{1b}\"",
        ),
        ("--zone=a", "--zone: zone: expected ORIGIN=FILE, found \"a\""),
        ("--zone=a=", "--zone: zone: expected ORIGIN=FILE, found \"a=\""),
        ("--zone=a=b,A.=c", "--zone: zone.origin: A. is given twice, first at --zone"),
    ] {
        assert_eq!(errors("", &[given]), [expected], "{given}");
    }
}

#[test]
fn a_faulty_zone_leaves_the_others_to_be_examined() {
    let (config, told) = examine("[[zone]]\norigin='a'\n[[zone]]\norigin='b'\nfile='b'", &[]);
    assert_eq!(told.len(), 1);
    assert_eq!(config.zones.len(), 1);
}

#[test]
fn the_host_name_names_the_node_or_is_complained_about() {
    let named = |host_name: &str| {
        Config::assemble(None, &Inputs { host_name: host_name.to_owned(), ..Inputs::default() })
    };
    assert_eq!(named("web1.example.com").0.server.node, "web1");
    assert_eq!(
        named("").1[0].to_string(),
        "server.node: expected a label: up to 63 letters, digits and inner hyphens or underscores, found \"\""
    );
}

#[test]
fn what_is_printed_loads_again_as_the_same() {
    let given = [
        "X=$${x",
        "HIVEDNS_SERVER__IDENTITY=a \"b\" ${c} $${d} \u{7f}\n",
        "--listen=127.0.0.1:1,[::1]:2",
        "--zone=c=d",
    ];
    let config = good(FULL, &given);
    let text = print(&config);
    assert_eq!(good(&text, &[]), config, "{text}");
    assert_eq!(print(&good(&text, &[])).lines().count(), text.lines().count());
    for line in [
        "user = \"dns\"  # /etc/h/h.toml:2",
        "listen = [\"127.0.0.1:1\", \"[::1]:2\"]  # flag --listen",
        "node = \"localhost\"  # default",
        "tcp_idle = \"10s\"  # default",
        "file = \"/etc/h/zones/groucho.edu.zone\"  # /etc/h/h.toml:10",
        "origin = \"c.\"  # flag --zone",
        "# How much is logged: error, warn, info, debug or trace.",
    ] {
        assert!(text.lines().any(|printed| printed == line), "{line}\n{text}");
    }
}

#[test]
fn printing_shows_every_key_that_works_and_no_other() {
    let secondary = "[[zone]]\norigin = 's.'\nprimary = ['192.0.2.1']\ntsig = 'k.'\n";
    let key = "[[key]]\nname = 'k.'\nsecret_file = 'k'\n";
    let text = print(&good(&format!("{FULL}{secondary}{key}"), &["X="]));
    for section in sections() {
        let header = if section.shape == Shape::Tables { "[[" } else { "[" };
        let works = section.shape == Shape::FreeTable
            || section.keys.iter().any(|key| !matches!(key.reach, Reach::Later));
        assert_eq!(text.contains(&format!("\n{header}{}]", section.name)), works, "{}", section.name);
        for key in section.keys.iter().filter(|key| !matches!(key.reach, Reach::Later)) {
            assert!(text.contains(&format!("# {}\n{} = ", key.doc, key.name)), "{}", key.name);
        }
    }
    assert!(!text.contains("rrl_responses_per_second"));
}

#[test]
fn the_state_directory_is_relative_to_where_it_was_said() {
    let state_dir = |file, given: &[&str]| good(file, given).server.state_dir;
    assert_eq!(state_dir("", &[]), "");
    assert_eq!(state_dir("[server]\nstate_dir = 'state'", &[]), "/etc/h/state");
    assert_eq!(state_dir("[server]\nstate_dir = '/x/state'", &[]), "/x/state");
    assert_eq!(
        state_dir("[server]\nstate_dir = '/x'", &["HIVEDNS_SERVER__STATE_DIR=state"]),
        "/srv/dir/state"
    );
    assert_eq!(state_dir("", &["HIVEDNS_SERVER__STATE_DIR=/x", "--state-dir=state"]), "/srv/dir/state");
}

#[test]
fn a_named_file_must_be_there_the_usual_one_need_not() {
    let missing = PathBuf::from("no/such/file.toml");
    let load = |file| Config::load(&Inputs { file, ..Inputs::default() });
    assert!(load(ConfigFile::IfPresent(missing.clone())).unwrap().embedded_examples);
    let told = load(ConfigFile::Required(missing)).unwrap_err();
    assert_eq!(told.len(), 1);
    assert!(told[0].to_string().starts_with("no/such/file.toml: "), "{told:?}");
}

#[test]
fn a_file_is_read_relative_to_the_directory_and_its_zones_relative_to_it() {
    let directory = std::env::temp_dir().join(format!("hivedns-config-{}", std::process::id()));
    std::fs::create_dir_all(directory.join("sub")).unwrap();
    std::fs::write(directory.join("sub/h.toml"), "[[zone]]\norigin='a'\nfile='a.zone'\n[log]\nlevel=1")
        .unwrap();
    let file = ConfigFile::Required(PathBuf::from("sub/h.toml"));
    let inputs = Inputs { file, directory: directory.clone(), ..Inputs::default() };
    let (config, told) = Config::examine(&inputs);
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(config.zones[0].file(), Some(&*directory.join("sub/a.zone")));
    assert!(told[0].to_string().starts_with("sub/h.toml:5:7: log.level: "), "{told:?}");
}

/// Text made of the pieces that configuration is made of, so that it gets past the first character.
fn toml_like() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("[server]\n".to_owned()),
        Just("[[zone]]\n".to_owned()),
        Just("[forward]\n'.' = ".to_owned()),
        Just("[limits]\nclients = ".to_owned()),
        Just("listen = ".to_owned()),
        Just("origin = ".to_owned()),
        Just("file = 'f'\n".to_owned()),
        Just("tcp_idle = '99999999999999d'\n".to_owned()),
        Just("'${".to_owned()),
        "[a-z_]{1,8} = ",
        "['\"]{0,1}[\\PC]{0,9}['\"]{0,1}\n",
        "[\\[\\]{}.,=#\\\\$ \n0-9-]{1,6}",
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(
        file in prop_oneof!["\\PC*", toml_like()],
        value in "\\PC*",
        zone in "[a-z.,=\\\\0-9]{0,20}",
    ) {
        let variables = ["LISTEN", "WORKERS", "NODE", "TCP_IDLE", "IDENTITY"];
        let mut given: Vec<String> =
            variables.iter().map(|key| format!("HIVEDNS_SERVER__{key}={value}")).collect();
        given.push(format!("HIVEDNS_{value}__{value}=1"));
        given.extend([format!("HIVEDNS_FORWARD__{value}={value}"), format!("HIVEDNS_RESOLVE__DENY={value}")]);
        given.push(format!("--zone={zone}"));
        let given: Vec<&str> = given.iter().map(String::as_str).collect();
        let (config, told) = examine(&file, &given);
        for error in told {
            prop_assert!(!error.to_string().contains('\n'));
        }
        print(&config);
    }

    #[test]
    fn any_string_survives_printing(identity in "[^\0]{0,60}", user in "[ -~$\\{\\}]{0,20}") {
        let identity = format!("x{identity}");
        prop_assume!(identity.len() <= IDENTITY_OCTETS_MAX);
        let given = [format!("HIVEDNS_SERVER__IDENTITY={identity}"), format!("HIVEDNS_SERVER__USER={user}")];
        let config = good("", &[&given[0], &given[1]]);
        prop_assert_eq!(&config.server.identity, &identity);
        prop_assert_eq!(good(&print(&config), &[]), config);
    }
}
