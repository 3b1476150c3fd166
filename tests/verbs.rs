//! The verbs as a user types them, against a running server: what they say, how they end, and the control socket.
#![allow(unreachable_pub, reason = "a test program has no outside")]

#[path = "oracle/mod.rs"]
mod oracle;
#[path = "support/site.rs"]
mod site;
#[path = "support/verb.rs"]
mod verb;

use oracle::process::{TempDir, free_port};
use serde_json::{Value, json};
use site::{Plan, Site, until, zone};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use verb::{Said, document, hivedns, verb};

/// One exchange over the control socket, as `curl` would make it: the code and the document.
fn post(socket: &Path, path: &str, body: &str) -> (String, Value) {
    let mut stream = UnixStream::connect(socket).expect("it listens");
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    // A server that refuses a long body may close before it has all of it.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let code = head.split(' ').nth(1).unwrap_or_default().to_owned();
    (code, serde_json::from_str(body).unwrap_or(Value::Null))
}

/// The code and the document of `GET /api/v1/...`.
fn get(site: &Site, path: &str) -> (String, Value) {
    let mut stream = TcpStream::connect(site.http()).expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let code = head.split(' ').nth(1).expect("a code").to_owned();
    (code, serde_json::from_str(body).unwrap_or(Value::Null))
}

fn site(zones: &[(&str, String)]) -> Site {
    Site::start(&Plan { zones, ..Plan::default() })
}

#[test]
fn status_tells_how_the_node_is_in_words_and_as_a_document() {
    let site = site(&[("z.", zone(7, ""))]);
    let socket = site.control();
    assert!(until(|| verb(&socket, &["status"]).code == Some(0)), "it gets ready");
    let said = verb(&socket, &["status"]);
    assert!(said.out.contains("ready     yes\n") && !said.out.contains('\x1b'), "{}", said.out);
    let status = document(&socket, &["status"]);
    assert_eq!((&status["ready"], &status["reason"]), (&json!(true), &json!(null)));
    assert!(status["node"]["name"].is_string() && status["workers"] == 1);
    let over_tcp = get(&site, "/api/v1/status").1;
    let fields =
        |document: &Value| document.as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>());
    assert_eq!(fields(&status), fields(&over_tcp), "the same document everywhere");
    assert_eq!(document(&socket, &["zones"]), get(&site, "/api/v1/zones").1);
    let zones = verb(&socket, &["zones"]).out;
    assert!(
        zones.lines().any(|line| line.split_whitespace().take(4).eq(["z.", "serving", "7", "3"])),
        "{zones}"
    );
    assert_eq!(document(&socket, &["stats"])["tcp_connections"], 0);
    assert!(verb(&socket, &["stats"]).out.starts_with("queries "));
}

#[test]
fn a_faulty_zone_is_shown_with_its_place() {
    let site = site(&[("z.", zone(1, "")), ("bad.", "@ NS ns\n".into())]);
    let socket = site.control();
    assert!(until(|| verb(&socket, &["status"]).code == Some(0)), "a faulty zone does not stop the server");
    let said = verb(&socket, &["status"]).out;
    assert!(said.contains("1 faulty") && said.contains("bad.zone:1:1: "), "{said}");
}

#[test]
fn reload_returns_when_the_new_zones_are_served() {
    let site = site(&[("z.", zone(1, ""))]);
    let socket = site.control();
    for serial in 2..6 {
        site.write_zone("z.", &zone(serial, ""));
        let said = verb(&socket, &["reload"]);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{}", said.out);
        assert!(said.out.contains("zones read in "), "{}", said.out);
        assert_eq!(site.serial("z."), Some(serial), "served when the verb returns");
        let zones = document(&socket, &["zones"]);
        let told = zones["zones"].as_array().expect("zones").iter().find(|zone| zone["origin"] == "z.");
        assert_eq!(told.map(|zone| &zone["serial"]), Some(&json!(serial)), "and told by `zones`");
    }
    site.write_zone("z.", &zone(9, "bad A 1.2.3\n"));
    let said = verb(&socket, &["reload"]);
    assert_eq!(said.code, Some(1));
    assert!(said.out.contains("faulty") && said.out.contains(":5:7: "), "{}", said.out);
    assert_eq!(site.serial("z."), Some(5), "the former content stays");
}

#[test]
fn reload_of_a_faulty_configuration_tells_every_fault_and_changes_nothing() {
    let mut plan = Plan { zones: &[("z.", zone(1, ""))], ..Plan::default() };
    let site = Site::start(&plan);
    plan.server = "tcp_idel = \"1s\"\nnope = 1";
    site.write_config(&plan, &[]);
    let said = verb(&site.control(), &["reload"]);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
    let lines: Vec<&str> = said.err.lines().collect();
    assert_eq!(lines.len(), 3, "{}", said.err);
    assert_eq!(lines[0], "hivedns: the configuration is faulty: everything stays as it was");
    assert!(lines[1].contains("server.tcp_idle"), "{}", said.err);
    assert_eq!(site.serial("z."), Some(1));
}

#[test]
fn reload_takes_zones_and_identity_and_warns_of_all_else_each_time() {
    let mut plan = Plan { zones: &[("z.", zone(1, ""))], server: "node = \"one\"", ..Plan::default() };
    let site = Site::start(&plan);
    let socket = site.control();
    plan.server = "node = \"two\"\n[services]\ndomain = \"other.internal.\"";
    for round in 1..=2 {
        site.write_config(&plan, &["z."]);
        assert_eq!(verb(&socket, &["reload"]).code, Some(0), "{}", site.log());
        for key in ["server.node", "services"] {
            let warned = |line: &&str| {
                line.contains("takes effect at the next start") && line.contains(&format!("{key:?}"))
            };
            assert_eq!(site.log().lines().filter(warned).count(), round, "{key}\n{}", site.log());
        }
    }
    assert_eq!(document(&socket, &["status"])["node"]["name"], "one");
    // The running domain is the one that records are held against.
    let set = |name: &str| verb(&socket, &["set", name, "5", "A", "192.0.2.1"]);
    assert_eq!(set("a.hive.internal.").code, Some(0));
    assert_eq!(set("a.other.internal.").code, Some(2));
}

#[test]
fn set_tells_what_is_wrong_before_anything_else() {
    let site = site(&[("z.", zone(1, ""))]);
    let socket = site.control();
    for (arguments, expected) in [
        (&["set", "www.example.", "60", "A", "192.0.2.1"][..], "expected an absolute name in hive.internal."),
        (&["set", "a.hive.internal.", "60", "A", "192.0.2.300"], "expected an IPv4 address"),
        (&["set", "a.hive.internal.", "60", "MX", "10 a.", "20"], "expected a domain name"),
        (&["set", "a.hive.internal.", "60", "NOPE", "x"], "expected a record type"),
        (&["set", "hive.internal.", "60", "CNAME", "a."], "cannot stand at the apex"),
        (&["set", "a.hive.internal.", "60", "SOA", "a. b. 1 2 3 4 5"], "made by the server"),
    ] {
        let said = verb(&socket, arguments);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{arguments:?}: {}", said.err);
        assert!(said.err.starts_with("hivedns: ") && said.err.contains(expected), "{}", said.err);
        assert_eq!(said.err.lines().count(), 1, "{}", said.err);
    }
}

#[test]
fn the_socket_takes_json_and_says_what_is_wrong_with_it() {
    let site = site(&[("z.", zone(1, ""))]);
    let socket = site.control();
    let status = post(&socket, "/v1/status", "");
    assert_eq!((status.0.as_str(), &status.1["workers"]), ("200", &json!(1)));
    let set = r#"{"name": "a.example.", "ttl": 60, "type": "A", "rdata": ["192.0.2.1"]}"#;
    for (path, body, code, expected) in [
        ("/v1/set", set, "400", "expected an absolute name in hive.internal., found a.example."),
        ("/v1/set", "{", "400", "set: EOF while parsing an object"),
        ("/v1/set", "[1]", "400", "set: invalid type: sequence, expected a map"),
        ("/v1/set", "{}", "400", "set: missing field `name`"),
        ("/v1/why", r#"{"name": "a.", "form": "::1"}"#, "400", "why: unknown field `form`"),
        ("/v1/status", r#"{"a": 1}"#, "400", "status: unknown field `a`"),
        ("/v1/nope", "", "400", "nope: unknown variant `nope`"),
    ] {
        let (found, refused) = post(&socket, path, body);
        assert_eq!((found.as_str(), &refused["kind"]), (code, &json!("malformed")), "{path} {body}");
        let error = refused["error"].as_str().expect("a line");
        assert!(error.starts_with(expected), "{error}");
    }
    let long = format!("{{\"name\": \"{}\"}}", "a".repeat(600 << 10));
    let (code, refused) = post(&socket, "/v1/why", &long);
    assert!(code.is_empty() || (code == "400" && refused["error"].is_string()), "{code} {refused}");
    assert_eq!(post(&socket, "/v1/status", "").0, "200", "it lives on");
    assert_eq!(get(&site, "/api/v1/why").0, "400");
    assert_eq!(get(&site, "/api/v1/why?name=a.&from=here").0, "400");
    assert_eq!(get(&site, "/api/v1/records?nam=a.").0, "400");
    assert_eq!(get(&site, "/v1/status").0, "404", "what changes anything is not reached over TCP");
}

#[test]
fn only_user_and_group_may_use_the_socket_and_it_goes_with_the_server() {
    let mut site = site(&[("z.", zone(1, ""))]);
    let socket = site.control();
    assert_eq!(fs::metadata(&socket).expect("a socket").permissions().mode() & 0o777, 0o660);
    site.signal("TERM");
    assert_eq!(site.end().and_then(|status| status.code()), Some(0), "{}", site.log());
    assert!(!socket.exists());
    let said = verb(&socket, &["status"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    let expected = format!(
        "hivedns: no control socket of a running server at {} (there is none): start one with `hivedns serve`, \
         or name its socket with --control\n",
        socket.display()
    );
    assert_eq!(said.err, expected);
}

/// A server that must not start with this socket: its exit code and what it says.
fn refused_start(socket: &Path) -> Said {
    let (dns, http) = (free_port().expect("a port"), free_port().expect("a port"));
    let mut command = hivedns();
    command.env("HIVEDNS_FORWARD__.", "refuse");
    command.args([
        "serve",
        "--listen",
        &dns.to_string(),
        "--http",
        &http.to_string(),
        "--no-gossip",
        "--no-docker",
    ]);
    command.arg("--control").arg(socket).output().expect("the program").into()
}

#[test]
fn a_socket_that_was_asked_for_must_be_had() {
    let site = site(&[("z.", zone(1, ""))]);
    let dir = TempDir::new("control", false).expect("a directory");
    let file = dir.path().join("file");
    fs::write(&file, "text").expect("a file");
    for (socket, expected) in [
        (site.control(), "another server has the control socket"),
        (file.clone(), "something that is no socket stands there"),
        (dir.path().join("no/such/s"), "there is no such directory"),
        (dir.path().join("x".repeat(200)), "path must be shorter"),
    ] {
        let said = refused_start(&socket);
        assert_eq!(said.code, Some(2), "{}", said.err);
        assert!(said.err.contains(expected) && said.err.contains(socket.to_str().unwrap()), "{}", said.err);
        assert_eq!(said.err.lines().count(), 1, "{}", said.err);
    }
    assert_eq!(fs::read_to_string(file).expect("it stays"), "text");
    assert_eq!(verb(&site.control(), &["zones"]).code, Some(0), "the first server keeps its socket");
}

#[test]
fn the_socket_of_a_server_that_was_killed_makes_room() {
    let dir = TempDir::new("killed", false).expect("a directory");
    let socket = dir.path().join("s");
    drop(UnixListener::bind(&socket).expect("a socket"));
    assert!(verb(&socket, &["status"]).err.contains("nobody listens there any more"));
    let plan = Plan { zones: &[("z.", zone(1, ""))], control: Some(&socket), ..Plan::default() };
    let site = Site::start(&plan);
    assert_eq!(site.control(), socket);
    assert_eq!(verb(&socket, &["zones"]).code, Some(0));
}

#[test]
fn clients_that_say_nothing_or_leave_do_not_keep_others_out() {
    let site = site(&[("z.", zone(1, ""))]);
    let socket = site.control();
    let silent: Vec<UnixStream> =
        (0..20).map(|_| UnixStream::connect(&socket).expect("it listens")).collect();
    for stream in &silent[..10] {
        let mut stream = stream;
        stream
            .write_all(b"POST /v1/reload HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
            .expect("it reads");
    }
    drop(silent);
    assert_eq!(verb(&socket, &["zones"]).code, Some(0));
}

#[test]
fn a_new_key_is_one_line_and_never_the_same() {
    let key = || Said::from(hivedns().arg("keygen").output().expect("the program"));
    let (one, two) = (key(), key());
    assert_eq!((one.code, one.out.len(), one.out.ends_with("=\n")), (Some(0), 45, true));
    assert_ne!(one.out, two.out);
    let json = Said::from(hivedns().args(["keygen", "--format", "json"]).output().expect("the program"));
    let document: Value = serde_json::from_str(&json.out).expect("a document");
    assert_eq!(document["key"].as_str().map(str::len), Some(44));
}

#[test]
fn check_finds_types_and_secrets_of_keys_that_are_none() {
    let dir = TempDir::new("check", false).expect("a temporary directory");
    let file = dir.path().join("hivedns.toml");
    fs::write(dir.path().join("good"), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n").expect("a secret");
    fs::write(dir.path().join("bad"), "?\n").expect("a file");
    let keys = "[[key]]\nname = \"a.\"\nsecret_file = \"good\"\ntypes = [\"TXT\", \"TXTT\"]\n\
                [[key]]\nname = \"b.\"\nsecret_file = \"good\"\ntypes = [\"TYPE61441\"]\n\
                [[key]]\nname = \"c.\"\nsecret_file = \"bad\"\ntypes = [\"A\"]\n";
    fs::write(&file, keys).expect("a file");
    let check = || Said::from(hivedns().arg("check").arg("-c").arg(&file).output().expect("the program"));
    let said = check();
    let types = |place: &str, found: &str| {
        let expected = "expected record types such as A or TYPE65280";
        format!("{}:{place}: key.types: {expected}, found \"{found}\"\n", file.display())
    };
    let secret = format!(
        "{}:11:15: key.secret_file: {}: expected base64\n",
        file.display(),
        dir.path().join("bad").display()
    );
    let expected = format!("{}{}{secret}", types("4:9", "TXTT"), types("8:9", "TYPE61441"));
    assert_eq!((said.code, said.out, said.err), (Some(1), expected, String::new()));
    fs::write(&file, "[[key]]\nname = \"a.\"\nsecret_file = \"good\"\ntypes = [\"TXT\"]\n").expect("a file");
    let said = check();
    assert_eq!((said.code, said.out), (Some(0), String::new()), "{}", said.err);
}
