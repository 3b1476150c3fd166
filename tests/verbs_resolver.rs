//! The verbs about what is found elsewhere, as a user types them: one server asks another, and tells of it.
#![allow(unreachable_pub, reason = "a test program has no outside")]

#[path = "oracle/mod.rs"]
mod oracle;
#[path = "support/site.rs"]
mod site;
#[path = "support/verb.rs"]
mod verb;

use oracle::message::{self, RD};
use oracle::names;
use serde_json::{Value, json};
use site::{PATIENCE, Plan, Site, until, zone};
use verb::{document, verb};

const A: u16 = 1;
const TXT: u16 = 16;
const SERVFAIL: u16 = 2;
const NXDOMAIN: u16 = 3;

/// A server that is asked: it has `up.test.`, and refuses all else.
fn upper() -> Site {
    let records = "a A 192.0.2.7\nalias CNAME a\nshort 1 A 192.0.2.8\n";
    Site::start(&Plan { zones: &[("up.test.", zone(1, records))], ..Plan::default() })
}

/// A server that asks it, with a zone of its own, out of which an alias and a cut lead.
fn lower(upper: &Site) -> Site {
    let forward = format!(
        "\".\" = [\"refuse\"]\n\"up.test\" = [\"{0}\"]\n\"other.test\" = [\"{0}\"]",
        upper.reachable()
    );
    let own = "out CNAME a.up.test.\nbelow NS ns.below\nns.below A 192.0.2.9\n";
    Site::start(&Plan { zones: &[("z.", zone(1, own))], forward: &forward, ..Plan::default() })
}

/// The code of the answer to whoever wants recursion.
fn resolve(site: &Site, name: &str, qtype: u16) -> u16 {
    let socket = site.udp();
    let name = names::from_text(name).expect("a name");
    socket.send(&message::query(9, RD, &name, qtype, 1, None)).expect("loopback takes it");
    let mut buffer = [0; 4096];
    socket.set_read_timeout(Some(PATIENCE)).expect("an option");
    let len = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{error}\n{}", site.log()));
    message::decode(&buffer[..len]).expect("well formed").rcode()
}

/// What `why` tells: the code, how many records, and the steps about asking elsewhere.
fn why(site: &Site, arguments: &[&str]) -> (String, usize, Vec<String>) {
    let why = document(&site.control(), &[&["why"], arguments].concat());
    let is_elsewhere =
        |step: &&Value| ["client", "forward", "cache"].iter().any(|about| step["about"] == *about);
    let steps = why["steps"].as_array().expect("steps").iter().filter(is_elsewhere);
    let text = |step: &Value| {
        format!("{}: {}", step["about"].as_str().expect("text"), step["found"].as_str().expect("text"))
    };
    let answer = why["answer"].as_array().map_or(0, Vec::len);
    (why["rcode"].as_str().expect("a code").to_owned(), answer, steps.map(text).collect())
}

#[test]
fn what_was_found_elsewhere_is_dumped_until_it_is_flushed() {
    let upper = upper();
    let site = lower(&upper);
    let socket = site.control();
    assert_eq!(document(&socket, &["cache", "dump"]), json!({ "entries": [], "next": null }));
    for (name, qtype, code) in [
        ("alias.UP.test.", A, 0),
        ("none.up.test.", A, NXDOMAIN),
        ("a.up.test.", TXT, 0),
        ("x.other.test.", A, SERVFAIL),
    ] {
        assert_eq!(resolve(&site, name, qtype), code, "{name}");
    }
    let said = verb(&socket, &["cache", "dump"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let rows: Vec<String> =
        said.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(rows[0], "NAME TTL TYPE STATE DATA");
    for (start, end) in [
        ("a.up.test. ", "A fresh 192.0.2.7"),
        ("a.up.test. ", "TXT fresh NODATA up.test. SOA ns.up.test. admin.up.test. 1 2 3 4 5"),
        ("alias.up.test. ", "CNAME fresh a.up.test."),
        ("none.up.test. ", "A fresh NXDOMAIN up.test. SOA ns.up.test. admin.up.test. 1 2 3 4 5"),
        ("x.other.test. - A failing, ", " s left SERVFAIL"),
    ] {
        let is_there = |row: &String| row.starts_with(start) && row.ends_with(end);
        assert!(rows.iter().any(is_there), "{start}...{end} is not among {rows:?}");
    }
    assert_eq!(rows.len(), 6, "{rows:?}");

    assert_eq!(
        verb(&socket, &["flush", "A.up.test"]).out,
        "1 entries at and below A.up.test. are forgotten\n"
    );
    assert_eq!(document(&socket, &["flush", "test."]), json!({ "name": "test.", "entries": 3 }));
    assert_eq!(document(&socket, &["flush"]), json!({ "name": ".", "entries": 0 }));
    assert_eq!(document(&socket, &["cache", "dump"])["entries"], json!([]));
    let said = verb(&socket, &["flush", "a..b"]);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
    assert!(said.err.starts_with("hivedns: a..b: "), "{}", said.err);
}

#[test]
fn why_tells_where_a_name_is_asked_for_and_what_is_known_of_it() {
    let upper = upper();
    let site = lower(&upper);
    let asker = "client: 127.0.0.1 may have names resolved (limits.clients)";
    let way = |name: &str, suffix: &str| {
        format!("forward: {name} by the suffix {suffix}: asked of {}", upper.reachable())
    };
    let nothing = "cache: nothing: others have to be asked first";
    for (name, asked, suffix, answer) in [
        ("short.up.test.", "short.up.test.", "up.test.", 0),
        // Our own alias is known already.
        ("out.z.", "a.up.test.", "up.test.", 1),
    ] {
        let steps = vec![asker.to_owned(), way(asked, suffix), nothing.to_owned()];
        assert_eq!(why(&site, &[name]), ("unknown".to_owned(), answer, steps));
        assert_eq!(resolve(&site, name, A), 0);
        let (code, found, steps) = why(&site, &[name]);
        assert_eq!((code.as_str(), found), ("NOERROR", answer + 1));
        assert!(steps[2].starts_with("cache: fresh, "), "{steps:?}");
    }
    assert!(until(|| why(&site, &["short.up.test."]).2[2].starts_with("cache: stale, ")));
    assert_eq!(resolve(&site, "x.other.test.", A), SERVFAIL);
    let (code, _, steps) = why(&site, &["x.other.test."]);
    assert_eq!(code, "SERVFAIL");
    assert!(
        steps[2].starts_with("cache: no answer; asking failed (SERVFAIL) and is not tried again"),
        "{steps:?}"
    );

    let refused = "forward: www.example. by the suffix .: REFUSED".to_owned();
    assert_eq!(why(&site, &["www.example."]), ("REFUSED".to_owned(), 0, vec![asker.to_owned(), refused]));
    // The same as below our cut, which others get a referral for.
    let refused = "forward: x.below.z. by the suffix .: REFUSED".to_owned();
    assert_eq!(why(&site, &["x.below.z."]), ("REFUSED".to_owned(), 0, vec![asker.to_owned(), refused]));
    for (name, code) in [("x.below.z.", "NOERROR"), ("www.example.", "REFUSED"), ("out.z.", "NOERROR")] {
        let (found, _, steps) = why(&site, &[name, "--from", "203.0.113.9"]);
        let stranger =
            "client: 203.0.113.9 may not have names resolved (limits.clients): it gets what our zones say";
        assert_eq!((found.as_str(), steps), (code, vec![stranger.to_owned()]), "{name}");
    }
    assert_eq!(why(&site, &["z.", "SOA"]).2, Vec::<String>::new(), "what is ours is looked for nowhere else");
}

#[test]
fn status_and_stats_tell_of_the_cache_and_of_who_is_asked() {
    let upper = upper();
    let site = lower(&upper);
    let socket = site.control();
    for _ in 0..2 {
        assert_eq!(resolve(&site, "a.up.test.", A), 0);
    }
    let stats = document(&socket, &["stats"]);
    let cache = &stats["cache"];
    assert_eq!(
        (&cache["hits"], &cache["misses"], &cache["entries"]),
        (&json!(1), &json!(1), &json!(1)),
        "{stats}"
    );
    assert!(cache["octets"].as_u64() > Some(32 << 20) && cache["octets_used"].as_u64() > Some(0), "{cache}");
    let upstreams = stats["upstreams"].as_array().expect("upstreams");
    let [upstream] = &upstreams[..] else { panic!("{upstreams:?}") };
    assert_eq!(upstream["address"], upper.reachable().to_string());
    assert_eq!((&upstream["health"], &upstream["answers"]), (&json!("alive"), &json!(1)), "{upstream}");
    assert!(upstream["rtt_seconds"].as_f64() > Some(0.0), "{upstream}");
    let text = verb(&socket, &["stats"]).out;
    assert!(text.contains("1 hits, 1 misses, 0 stale, 0 evictions\n"), "{text}");
    assert!(text.lines().any(|line| line.starts_with(&format!("{}  alive", upper.reachable()))), "{text}");
    let text = verb(&socket, &["status"]).out;
    assert!(text.contains("cache     1 entries, ") && text.contains("upstream  1 alive\n"), "{text}");
}
