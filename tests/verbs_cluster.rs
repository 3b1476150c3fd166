//! The verbs about the cluster as a user types them, on one node and on two.
#![allow(unreachable_pub, reason = "a test program has no outside")]

#[path = "oracle/mod.rs"]
mod oracle;
#[path = "support/site.rs"]
mod site;
#[path = "support/verb.rs"]
mod verb;

use oracle::process::TempDir;
use serde_json::{Value, json};
use site::{Plan, Site, until, zone};
use std::fs;
use verb::{document, hivedns, verb};

const A: u16 = 1;
const NXDOMAIN: u16 = 3;

fn single(zones: &[(&str, String)]) -> Site {
    let site = Site::start(&Plan { zones, server: "node = \"one\"", ..Plan::default() });
    assert!(until(|| verb(&site.control(), &["status"]).code == Some(0)), "{}", site.log());
    site
}

/// The steps about something.
fn steps<'w>(why: &'w Value, about: &str) -> Vec<&'w str> {
    let steps = why["steps"].as_array().expect("steps").iter();
    steps.filter(|step| step["about"] == about).map(|step| step["found"].as_str().expect("text")).collect()
}

/// `why` as a document.
fn why(site: &Site, arguments: &[&str]) -> Value {
    document(&site.control(), &[&["why"], arguments].concat())
}

#[test]
fn what_is_set_is_answered_listed_and_explained_and_gone_when_it_is_unset() {
    let site = single(&[("z.", zone(1, ""))]);
    let socket = site.control();
    let said = verb(&socket, &["set", "a.hive.internal", "60", "A", "192.0.2.1", "192.0.2.2", "192.0.2.1"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{}", said.out);
    assert_eq!(site.ask("a.hive.internal.", A).sections[0].len(), 2, "answered when the verb returns");
    let records = document(&socket, &["records", "a.hive.internal."]);
    let rdatas: Vec<&Value> = records["records"].as_array().unwrap().iter().map(|r| &r["rdata"]).collect();
    assert_eq!(rdatas, [&json!("192.0.2.1"), &json!("192.0.2.2")]);
    assert_eq!(records["records"][0]["source"], "cluster");
    let told = why(&site, &["A.hive.internal."]);
    assert_eq!((&told["rcode"], told["answer"].as_array().map(Vec::len)), (&json!("NOERROR"), Some(2)));
    let record = "A 192.0.2.1, TTL 60, set for the cluster on one by write 1, known here for ";
    let said = steps(&told, "record")[0].strip_prefix(record).and_then(|age| age.strip_suffix(" s: served"));
    assert!(said.and_then(|age| age.parse().ok()).is_some_and(|age: u32| age < 60), "{told}");
    let first = &records["records"][0];
    assert!(first["version"] == 1 && first["age_seconds"].as_f64().is_some_and(|age| age < 60.0), "{first}");
    assert_eq!(steps(&told, "zone"), ["hive.internal., the cluster's records"]);

    assert_eq!(verb(&socket, &["set", "b.hive.internal.", "60", "CNAME", "a.hive.internal."]).code, Some(0));
    let said = verb(&socket, &["set", "b.hive.internal.", "60", "A", "192.0.2.3"]);
    assert_eq!(said.code, Some(1), "{}", said.out);
    assert!(said.err.contains("an alias has no other data"), "{}", said.err);
    let told = why(&site, &["b.hive.internal."]);
    assert_eq!(steps(&told, "alias"), ["b.hive.internal. leads to a.hive.internal."]);
    assert_eq!(told["answer"].as_array().map(Vec::len), Some(3), "{told}");
    assert_eq!(steps(&told, "record").len(), 3, "the alias, and what it leads to: {told}");

    let said = verb(&socket, &["unset", "a.hive.internal.", "A", "192.0.2.2"]);
    assert_eq!((said.code, said.out.lines().count()), (Some(0), 1), "{}", said.err);
    assert_eq!(site.ask("a.hive.internal.", A).sections[0].len(), 1);
    assert_eq!(verb(&socket, &["unset", "a.hive.internal."]).code, Some(0));
    assert_eq!(site.rcode("a.hive.internal.", A), Some(NXDOMAIN));
    let told = why(&site, &["a.hive.internal."]);
    assert_eq!((&told["rcode"], steps(&told, "name")), (&json!("NXDOMAIN"), vec!["does not exist"]));
    let said = verb(&socket, &["unset", "a.hive.internal."]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("the cluster has no such record"), "{}", said.err);
}

#[test]
fn why_tells_what_a_node_publishes_and_what_overrules_it() {
    let site = single(&[("z.", zone(1, ""))]);
    let socket = site.control();
    let name = "one.node.hive.internal.";
    // A node tells no loopback address, so there is none until it is set.
    assert_eq!(verb(&socket, &["set", name, "30", "A", "192.0.2.9"]).code, Some(0));
    let said = verb(&socket, &["why", name, "A", "--from", "192.0.2.77"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let served = "write 1, known here for ";
    for expected in ["question", "from 192.0.2.77", served, "every asker gets the same", "NOERROR"] {
        assert!(said.out.contains(expected), "{expected}: {}", said.out);
    }
    let told = why(&site, &["hive.internal.", "NS"]);
    let records = steps(&told, "record");
    assert_eq!(records.len(), 1, "{told}");
    assert!(records[0].contains("published by one, which holds its lease: served"), "{told}");
    assert_eq!(verb(&socket, &["set", "hive.internal.", "30", "NS", "ns.example."]).code, Some(2));
}

#[test]
fn why_tells_whose_an_address_is() {
    let more = "[services]\nreverse = [\"127.0.0.0/8\", \"192.0.2.0/25\"]\n";
    let zones = [("z.", zone(1, ""))];
    let site = Site::start(&Plan { zones: &zones, server: "node = \"one\"", more, ..Plan::default() });
    assert!(until(|| verb(&site.control(), &["status"]).code == Some(0)), "{}", site.log());
    let told = why(&site, &["1.0.0.127.in-addr.arpa.", "PTR"]);
    assert_eq!(told["answer"], json!(["1.0.0.127.in-addr.arpa. 5 IN PTR one.node.hive.internal."]), "{told}");
    let found =
        "127.0.0.1 is one.node.hive.internal., an address of node one; no zone and nobody else is asked";
    assert_eq!(steps(&told, "address"), [found], "{told}");
    assert!(steps(&told, "zone")[0].starts_with("127.in-addr.arpa., serial 1, in place for "), "{told}");
    let told = why(&site, &["2.0.0.127.in-addr.arpa.", "PTR"]);
    assert_eq!((&told["rcode"], steps(&told, "address").len()), (&json!("NXDOMAIN"), 1), "{told}");
    let told = why(&site, &["0.127.in-addr.arpa.", "NS"]);
    assert_eq!(steps(&told, "address"), ["names of addresses lie below it: it is not denied"], "{told}");
    // An empty zone's answer, where the network is a part of it.
    let told = why(&site, &["5.2.0.192.in-addr.arpa.", "PTR"]);
    assert!(steps(&told, "zone")[0].starts_with("2.0.192.in-addr.arpa., serial 1, in place for "), "{told}");
    assert_eq!(site.rcode("1.0.0.127.in-addr.arpa.", A), Some(0));
}

#[test]
fn why_reads_a_zone_as_the_workers_do() {
    let records = "www A 192.0.2.2\nalias CNAME www\n*.wild TXT any\nsub NS ns.sub\nns.sub A 192.0.2.3\n\
        old DNAME new\nx.deep A 192.0.2.4\n";
    let site = single(&[("z.", zone(7, records)), ("bad.", "@ NS ns\n".into())]);
    for (name, rtype, rcode, answers, about, expected) in [
        ("www.z.", "A", "NOERROR", 1, "name", "exists; has A"),
        ("www.z.", "MX", "NOERROR", 0, "name", "exists; has A, no MX"),
        ("WWW.z.", "A", "NOERROR", 1, "zone", "z., serial 7"),
        ("alias.z.", "A", "NOERROR", 2, "alias", "alias.z. leads to www.z."),
        ("a.b.wild.z.", "TXT", "NOERROR", 1, "name", "does not exist; *.wild.z. stands in for it; has TXT"),
        ("sub.z.", "A", "NOERROR", 0, "name", "a zone cut at sub.z.: a referral to its name servers"),
        (
            "a.sub.z.",
            "A",
            "NOERROR",
            0,
            "name",
            "lies below the zone cut at sub.z.: a referral to its name servers",
        ),
        (
            "a.old.z.",
            "A",
            "NXDOMAIN",
            2,
            "name",
            "lies below old.z., whose DNAME puts another name in its place",
        ),
        ("deep.z.", "A", "NOERROR", 0, "name", "exists; without records, only because of names below it"),
        ("no.z.", "A", "NXDOMAIN", 0, "name", "does not exist"),
        ("www.example.", "A", "REFUSED", 0, "zone", "no zone of this server has the name: REFUSED"),
        ("a.bad.", "A", "SERVFAIL", 0, "zone", "bad., which is faulty: SERVFAIL"),
    ] {
        // Who may have names resolved gets no referral.
        let told = why(&site, &[name, rtype, "--from", "203.0.113.9"]);
        let found = (&told["rcode"], told["answer"].as_array().map(Vec::len));
        assert_eq!(found, (&json!(rcode), Some(answers)), "{name} {rtype}: {told}");
        assert!(
            steps(&told, about).iter().any(|found| found.starts_with(expected)),
            "{name} {rtype}: {told}"
        );
    }
    for arguments in [&["why", "a..b"][..], &["why", "a.", "NOPE"], &["why", "a.", "A", "--from", "here"]] {
        let said = verb(&site.control(), arguments);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{arguments:?}: {}", said.err);
    }
}

#[test]
fn a_node_without_gossip_is_a_cluster_of_its_own() {
    let site = single(&[("z.", zone(1, ""))]);
    let socket = site.control();
    let members = document(&socket, &["members"]);
    let [one] = &members["members"].as_array().expect("members")[..] else { panic!("{members}") };
    assert_eq!((&one["name"], &one["health"], &one["this"]), (&json!("one"), &json!("alive"), &json!(true)));
    assert_eq!(document(&socket, &["key", "list"]), json!({ "keys": [] }));
    assert_eq!(verb(&socket, &["key", "add", "nonsense"]).code, Some(2));
    assert_eq!(verb(&socket, &["key", "use", "nonsense"]).code, Some(2));
    assert_eq!(verb(&socket, &["force-leave", "two"]).code, Some(1));
    assert_eq!(document(&socket, &["diff"])["compared"], json!(["one"]));
    assert_eq!(verb(&socket, &["resync"]).code, Some(1), "there is nobody to compare with");
    assert_eq!(verb(&socket, &["records", "--owner", "two"]).code, Some(1));
    assert_eq!(verb(&socket, &["records", "--type", "NOPE"]).code, Some(2));
    assert_eq!(verb(&socket, &["unset", "www.example."]).code, Some(2));
}

#[test]
fn two_nodes_know_each_other_and_share_records_and_keys() {
    let dir = TempDir::new("keys", false).expect("a directory");
    let keys = dir.path().join("keys");
    let new_key = || hivedns().arg("keygen").output().expect("the program").stdout;
    fs::write(&keys, new_key()).expect("a file");
    let keys_line = |more: &str| format!("keys_file = {keys:?}\n{more}");
    let start = |node: &str, gossip: &str| {
        let server = format!("node = \"{node}\"");
        let zones = [("z.", zone(1, ""))];
        let gossip = keys_line(gossip);
        Site::start(&Plan { zones: &zones, server: &server, gossip: Some(&gossip), ..Plan::default() })
    };
    // The kernel chooses the ports: none that was free a moment ago is taken by then.
    let one = start("one", "bind = \"127.0.0.1:0\"");
    let one_at = document(&one.control(), &["status"])["cluster"]["address"].clone();
    let two = start("two", &format!("bind = \"127.0.0.1:0\"\njoin = [{one_at}]"));
    let (here, there) = (one.control(), two.control());
    for socket in [&here, &there] {
        let alive = || document(socket, &["status"])["cluster"]["members"]["alive"] == 2;
        assert!(until(alive), "{}\n{}", one.log(), two.log());
        assert!(until(|| verb(socket, &["status"]).code == Some(0)), "{}\n{}", one.log(), two.log());
    }
    let metrics = two.metrics();
    for line in [
        "hivedns_gossip_members{state=\"alive\"} 2",
        "hivedns_owner_expiry_frozen 0",
        "hivedns_dropped_total{reason=\"gossip_forged\"} 0",
        "hivedns_records{owner=\"(cluster)\"} 0",
    ] {
        assert!(until(|| two.metrics().lines().any(|found| found == line)), "{line}\n{metrics}");
    }
    let members = document(&there, &["members"]);
    let names: Vec<&Value> = members["members"].as_array().unwrap().iter().map(|m| &m["name"]).collect();
    assert_eq!(names, ["one", "two"]);
    let trips = || {
        let members = document(&there, &["members"])["members"].clone();
        [0, 1].map(|at: usize| members[at]["rtt_seconds"].as_f64())
    };
    assert!(until(|| matches!(trips(), [Some(trip), None] if (0.0..1.0).contains(&trip))), "{:?}", trips());

    let agree = json!({ "compared": ["one", "two"], "silent": [], "owners": [], "more": 0 });
    assert!(until(|| document(&here, &["diff"]) == agree && document(&there, &["diff"]) == agree));
    assert_eq!(verb(&here, &["diff"]).out, "2 nodes agree on every owner\n");

    assert_eq!(verb(&here, &["set", "a.hive.internal.", "60", "A", "192.0.2.1"]).code, Some(0));
    assert!(until(|| two.ask("a.hive.internal.", A).sections[0].len() == 1), "{}", two.log());
    let told = why(&two, &["a.hive.internal."]);
    assert!(steps(&told, "record")[0].contains("set for the cluster on one by write"), "{told}");
    assert_eq!(verb(&there, &["unset", "a.hive.internal."]).code, Some(0));
    assert!(until(|| one.rcode("a.hive.internal.", A) == Some(NXDOMAIN)), "{}", one.log());

    // It returns when all that the other has is here.
    let compared = document(&there, &["resync", "one"]);
    for (field, value) in [("finished", json!(true)), ("nodes", json!(["one"])), ("silent", json!([]))] {
        assert_eq!(compared[field], value, "{compared}");
    }
    let said = verb(&there, &["resync"]);
    assert!(
        said.code == Some(0) && said.out.starts_with("compared all with one in "),
        "{}{}",
        said.out,
        said.err
    );

    let key = String::from_utf8(new_key()).expect("text");
    let added = verb(&here, &["key", "add", key.trim()]);
    assert_eq!(added.code, Some(0), "{}", added.err);
    let ids = |socket| -> Vec<String> {
        let keys = document(socket, &["key", "list"]);
        keys["keys"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect()
    };
    assert!(until(|| ids(&there).len() == 2), "{}", two.log());
    let both = ids(&here);
    assert_eq!(verb(&here, &["key", "remove", &both[0]]).code, Some(1), "this one seals");
    assert_eq!(verb(&here, &["key", "use", &both[1]]).code, Some(0));
    assert!(until(|| ids(&there)[0] == both[1]), "{}", two.log());
    assert!(until(|| two.rcode("z.", 6) == Some(0)) && ids(&there).len() == 2);
}
