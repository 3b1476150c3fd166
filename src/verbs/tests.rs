//! Verbs against a server that says what a test has it say.

use super::*;
use crate::cli::Asked;
use serde_json::json;
use std::io::Read;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// Asks a server that answers with these codes and documents, one after another; the exit code, what was said to
/// whom, and what the server was asked.
fn ran(request: Request, format: Format, answers: &[(u16, Value)]) -> (u8, String, String, Vec<String>) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let socket = std::env::temp_dir().join(format!("hivedns-verbs-{}-{number}", std::process::id()));
    let listener = UnixListener::bind(&socket).unwrap();
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let call = Call { what: Asked::Request(request), format, sockets: vec![socket.clone()] };
    let (code, asked) = thread::scope(|scope| {
        let server = scope.spawn(move || {
            let answer = |(code, document): &(u16, Value)| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                // The body is one object, and nothing else of a request ends with a brace.
                while !request.ends_with(b"}") {
                    let mut octets = [0; 4096];
                    let read = stream.read(&mut octets).unwrap();
                    request.extend_from_slice(&octets[..read]);
                }
                write!(stream, "HTTP/1.1 {code} x\r\n\r\n{document}").unwrap();
                let request = String::from_utf8(request).unwrap();
                let path = request.split(' ').nth(1).unwrap();
                format!("{path} {}", request.split("\r\n\r\n").nth(1).unwrap())
            };
            answers.iter().map(answer).collect::<Vec<_>>()
        });
        let mut terminal = Terminal {
            input: &mut &b"from-stdin=  \nmore\n"[..],
            output: &mut output,
            errors: &mut errors,
            colours: false,
            watched: false,
        };
        (run(call, &mut terminal), server.join().unwrap())
    });
    let _ = std::fs::remove_file(socket);
    (code, String::from_utf8(output).unwrap(), String::from_utf8(errors).unwrap(), asked)
}

fn record(name: &str, source: &str, lease: &str) -> Value {
    json!({
        "name": name, "type": "A", "ttl": 5, "rdata": "192.0.2.1", "source": source, "owner": "web1",
        "owner_id": "00000000000000ff", "version": null, "age_seconds": null, "lease": lease,
        "network": if source == "node" { json!("st_back") } else { json!(null) },
        "state": if lease == "counting" { "lost" } else { "served" },
        "lease_left_seconds": if lease == "counting" { json!(12.5) } else { json!(null) },
    })
}

fn all_records() -> Request {
    Request::Records { name: None, rtype: None, owner: None, after: None }
}

#[test]
fn records_are_asked_for_until_there_are_no_more() {
    let pages = [
        (200, json!({ "records": [record("a.hive.internal.", "cluster", "none")], "next": "a" })),
        (200, json!({ "records": [record("b.hive.internal.", "node", "counting")], "next": null })),
    ];
    let (code, text, _, asked) = ran(all_records(), Format::Text, &pages);
    assert_eq!(code, EXIT_OK);
    assert!(asked[0].starts_with("/v1/records {") && asked[1].contains(r#""after":"a""#), "{asked:?}");
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0][..2], ["NAME", "TTL"]);
    assert_eq!(rows[1], ["a.hive.internal.", "5", "A", "cluster", "(web1)", "-", "served", "-", "192.0.2.1"]);
    assert_eq!(rows[2][3..], ["web1", "st_back", "lost", "counting,", "12.5", "s", "left", "192.0.2.1"]);
    assert_eq!(rows.len(), 3, "the headings stand once");

    let (_, text, ..) = ran(all_records(), Format::Json, &pages);
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((document["records"].as_array().map(Vec::len), &document["next"]), (Some(2), &json!(null)));
    let none = [(200, json!({ "records": [], "next": null }))];
    let (_, text, ..) = ran(all_records(), Format::Json, &none);
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!({ "records": [], "next": null }));
}

fn cached(rcode: &str, state: &str, answer: Value, authority: Value) -> Value {
    json!({
        "name": "a.test.", "type": "AAAA", "rcode": rcode, "state": state, "left_seconds": 3.0,
        "failing_seconds": null, "extended_error": null, "dnssec_ok": state == "stale",
        "checking_disabled": false, "authentic": false, "answer": answer, "authority": authority,
    })
}

#[test]
fn a_dump_of_the_cache_has_a_line_for_each_record_and_for_what_there_is_not() {
    let alias = json!([{ "name": "a.test.", "ttl": 9, "type": "CNAME", "rdata": "b.test." }]);
    let both = json!([alias[0], { "name": "b.test.", "ttl": 8, "type": "AAAA", "rdata": "::1" }]);
    let soa = json!([{ "name": "test.", "ttl": 7, "type": "SOA", "rdata": "m. r. 1 2 3 4 5" }]);
    let pages = [
        (200, json!({ "entries": [cached("NOERROR", "fresh", both, json!([]))], "next": "0.512" })),
        (200, json!({ "entries": [], "next": "1.0" })),
        (
            200,
            json!({ "entries": [
                cached("NODATA", "stale", alias, soa), cached("SERVFAIL", "failing", json!([]), json!([]))
            ], "next": null }),
        ),
    ];
    let dump = || Request::CacheDump { after: None };
    let (code, text, _, asked) = ran(dump(), Format::Text, &pages);
    assert_eq!(code, EXIT_OK);
    assert_eq!(asked[2], r#"/v1/cache-dump {"after":"1.0"}"#);
    let rows: Vec<String> =
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        rows,
        [
            "NAME TTL TYPE STATE DATA",
            "a.test. 9 CNAME fresh b.test.",
            "b.test. 8 AAAA fresh ::1",
            "a.test. 9 CNAME stale, 3.0 s left, DO b.test.",
            "a.test. 7 AAAA stale, 3.0 s left, DO NODATA test. SOA m. r. 1 2 3 4 5",
            "a.test. - AAAA failing, 3.0 s left SERVFAIL",
        ]
    );
    let (_, text, ..) = ran(dump(), Format::Json, &pages);
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((document["entries"].as_array().map(Vec::len), &document["next"]), (Some(3), &json!(null)));
}

#[test]
fn what_a_refusal_leaves_in_the_output_is_nothing_or_a_whole_document_that_says_where_it_ends() {
    let refused = || (503, json!({ "kind": "unavailable", "error": "others are listing\u{9b}2J" }));
    let (code, out, err, _) = ran(all_records(), Format::Json, &[refused()]);
    assert_eq!(
        (code, out.as_str(), err.as_str()),
        (EXIT_FAILED, "", "hivedns: others are listing\\u{9b}2J\n")
    );
    let page = json!({ "records": [record("a.hive.internal.", "cluster", "none")], "next": "here" });
    let (code, out, ..) = ran(all_records(), Format::Json, &[(200, page), refused()]);
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &document["next"]), (EXIT_FAILED, &json!("here")));
    assert_eq!(document["records"].as_array().map(Vec::len), Some(1));
}

#[test]
fn what_others_named_does_not_drive_the_terminal_as_json_either() {
    let keys = json!({ "keys": [{ "id": "a\u{9b}2J\u{7f}\u{1b}", "seals": true }] });
    let (_, text, ..) = ran(Request::KeyList {}, Format::Json, &[(200, keys.clone())]);
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), keys);
}

/// An output that fails in its own way.
struct Fails(io::ErrorKind);

impl Write for Fails {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_output_that_is_full_is_a_failure_and_a_reader_that_had_enough_is_none() {
    for (kind, is_well) in [(io::ErrorKind::BrokenPipe, true), (io::ErrorKind::StorageFull, false)] {
        let (mut output, mut errors) = (Fails(kind), Vec::new());
        let mut terminal = Terminal {
            input: &mut &b""[..],
            output: &mut output,
            errors: &mut errors,
            colours: false,
            watched: false,
        };
        let mut page = Page { format: Format::Text, terminal: &mut terminal, is_read: true };
        assert_eq!(page.say("text").is_ok(), is_well);
        assert_eq!(page.is_read, !is_well);
    }
}

#[test]
fn a_server_that_never_goes_on_is_left() {
    let page = json!({ "records": [], "next": "a" });
    let (code, _, _, asked) = ran(all_records(), Format::Text, &[(200, page.clone()), (200, page)]);
    assert_eq!((code, asked.len()), (EXIT_OK, 2));
}

#[test]
fn a_drain_that_is_not_acknowledged_by_all_names_those_and_fails() {
    let drain = || Request::Drain { timeout_ms: 10 };
    let missing = json!({ "acknowledged": 2, "missing": ["web3", "web4"] });
    let (code, text, ..) = ran(drain(), Format::Text, &[(200, missing)]);
    assert_eq!(code, EXIT_FAILED);
    assert_eq!(text, "withdrawn: 2 members have acknowledged\nhave not acknowledged: web3 web4\n");
    let (code, text, ..) = ran(drain(), Format::Text, &[(200, json!({ "acknowledged": 3, "missing": [] }))]);
    assert_eq!((code, text.as_str()), (EXIT_OK, "drained: 3 members have acknowledged\n"));
}

#[test]
fn a_refusal_is_told_line_by_line_and_its_kind_is_the_exit_code() {
    for (kind, expected) in [
        ("malformed", EXIT_USAGE),
        ("configuration", EXIT_USAGE),
        ("conflict", EXIT_FAILED),
        ("failed", EXIT_FAILED),
    ] {
        let refused = json!({ "kind": kind, "error": "no", "details": ["a", "b"] });
        let (code, out, err, _) = ran(Request::Leave {}, Format::Json, &[(409, refused)]);
        assert_eq!((code, out.as_str()), (expected, ""));
        assert_eq!(err, "hivedns: no\nhivedns: a\nhivedns: b\n");
    }
}

#[test]
fn what_a_newer_server_says_more_is_passed_on_and_what_it_lacks_is_told() {
    let keys = json!({ "keys": [{ "id": "ab", "seals": true, "age": 1 }], "new": 1 });
    let (_, text, ..) = ran(Request::KeyList {}, Format::Json, &[(200, keys.clone())]);
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), keys);
    let (_, text, ..) = ran(Request::KeyList {}, Format::Text, &[(200, keys)]);
    assert_eq!(text, "KEY  USE\nab   seals and opens\n");
    let (code, _, err, _) = ran(Request::KeyList {}, Format::Text, &[(200, json!({ "ring": [] }))]);
    assert_eq!(code, EXIT_FAILED);
    assert!(err.contains("is it of another version?"), "{err}");
}

#[test]
fn a_key_may_come_from_standard_input() {
    let add = |key: &str| Request::KeyAdd { key: key.to_owned() };
    let none = [(200, json!({ "keys": [] }))];
    let (_, text, _, asked) = ran(add("-"), Format::Text, &none);
    assert_eq!(asked, [r#"/v1/key-add {"key":"from-stdin="}"#]);
    assert_eq!(text, "no keys: the cluster's traffic is plaintext\n");
    assert_eq!(ran(add("k="), Format::Text, &none).3, [r#"/v1/key-add {"key":"k="}"#]);
}

#[test]
fn each_document_has_a_text() {
    let name = || "a.hive.internal.".to_owned();
    let rtype = || Some("A".to_owned());
    for (request, document, expected) in [
        (
            Request::Members {},
            json!({ "members": [{
                "id": "ff", "name": "web1", "address": "192.0.2.1:7953", "health": "alive",
                "incarnation": "3.0", "rtt_seconds": 0.0004, "records": 9, "this": true,
            }] }),
            "NAME         ID  ADDRESS         HEALTH  INCARNATION  RTT     RECORDS\n\
             web1 (this)  ff  192.0.2.1:7953  alive   3.0          400 us  9\n",
        ),
        (
            Request::Set { name: name(), ttl: 5, rtype: "A".into(), rdata: vec!["192.0.2.1".into()] },
            json!({ "name": "a.", "type": "A", "ttl": 5, "rdata": ["192.0.2.1"], "replaced": true }),
            "a.  5  A  192.0.2.1\n",
        ),
        (
            Request::Unset { name: name(), rtype: None, rdata: Vec::new() },
            json!({ "name": "a.", "removed": [] }),
            "nothing was there\n",
        ),
        (
            Request::Unset { name: name(), rtype: rtype(), rdata: Vec::new() },
            json!({ "name": "a.", "removed": [{ "type": "A", "rdata": "192.0.2.1" }] }),
            "removed  a.  A  192.0.2.1\n",
        ),
        (
            Request::Why { name: name(), rtype: rtype(), from: None, only_known: false },
            json!({ "name": "a.", "type": "A", "from": "::1", "rcode": "NXDOMAIN", "answer": [],
                    "steps": [{ "about": "zone", "found": "none" }] }),
            "question  a. A from ::1\nzone      none\nanswer    NXDOMAIN\n",
        ),
        (
            Request::Flush { name: Some("a.".into()) },
            json!({ "name": "a.", "entries": 3 }),
            "3 entries at and below a. are forgotten\n",
        ),
        (
            Request::Diff {},
            json!({ "compared": ["web1", "web2"], "silent": ["web3"], "owners": [], "more": 0 }),
            "2 nodes agree on every owner\ndid not answer: web3\n",
        ),
        (
            Request::Diff {},
            json!({ "compared": ["web1", "web2"], "silent": [], "more": 0, "owners": [{ "owner": "web1", "owner_id": "ff",
                    "states": [{ "nodes": ["web1"], "generation": 2, "head": 7, "hash": null },
                               { "nodes": ["web2"], "generation": null, "head": null, "hash": null }] }] }),
            "OWNER  START    CHANGES  HASH  NODES\nweb1   2        7        -     web1\n\
             web1   unknown  -        -     web2\n",
        ),
        (
            Request::Resync { node: None },
            json!({ "finished": true, "nodes": ["web2"], "silent": [], "owners": 1, "changes": 3,
                    "seconds": 0.25 }),
            "compared all with web2 in 250.0 ms: 3 changes of 1 owners came\n",
        ),
        (
            Request::Resync { node: Some("web2".into()) },
            json!({ "finished": true, "nodes": ["web2"], "silent": ["web2"], "owners": 0, "changes": 0,
                    "seconds": 1.5 }),
            "not compared all with web2 in 1.5 s: 0 changes of 0 owners came\ndid not tell all it has: web2\n",
        ),
        (
            Request::Resync { node: None },
            json!({ "finished": false, "nodes": [], "silent": [], "owners": 0, "changes": 0, "seconds": 0 }),
            "a full comparison with a member by lot has begun; `hivedns diff` shows what differs\n",
        ),
        (
            Request::Leave {},
            json!({ "acknowledged": 1, "missing": ["web3"] }),
            "left: 1 members have acknowledged\nhave not acknowledged, and will hear of it: web3\n",
        ),
        (
            Request::ForceLeave { node: "web3".into() },
            json!({ "node": "web3\u{1b}[2J", "id": "ff" }),
            "web3\\u{1b}[2J (ff) is declared gone\n",
        ),
    ] {
        assert_eq!(ran(request, Format::Text, &[(200, document)]).1, expected);
    }
}
