//! Zones that one node shares with all: every node is authoritative, whatever becomes of the publisher.

use super::{NOERROR, Node, SERVFAIL, cluster, dir, quiet, until};
use crate::oracle::message::AA;
use crate::oracle::{message, names, now, transport};
use crate::site::query;
use hivedns::base::config::{Hmac, TsigKey};
use hivedns::gossip::identity::NodeId;
use hivedns::gossip::secrecy::keyring::Ring;
use hivedns::gossip::secrecy::{Peer, Secrecy};
use hivedns::os::clock;
use hivedns::transfer::tsig::Key;
use hivedns::transfer::tsig::client::Exchange;
use hivedns::wire::name::Name;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const SOA: u16 = 6;
const AXFR: u16 = 252;
const REFUSED: u8 = 5;
const NOTAUTH: u8 = 9;
const ORIGIN: &str = "groucho.edu.";

/// The zone's text: with intervals of a day, so that only what members tell each other leads anywhere.
fn text(serial: u32, records: &str) -> String {
    lasting(serial, "86400 3600 86400", records)
}

fn lasting(serial: u32, intervals: &str, records: &str) -> String {
    format!("$TTL 60\n@ SOA ns admin {serial} {intervals} 5\n@ NS ns\nns A 192.0.2.1\n{records}")
}

/// Has a node have the zone of its own, with these lines of configuration.
fn own(dir: &Path, name: &str, zone: &str, lines: &str) {
    fs::write(dir.join(format!("{name}.zone")), zone).expect("a zone");
    let text = format!("[[zone]]\norigin = \"{ORIGIN}\"\nfile = \"{name}.zone\"\n{lines}");
    fs::write(dir.join(format!("{name}.toml")), text).expect("a file");
}

/// Has a node have no zone of its own.
fn none(dir: &Path, name: &str) {
    fs::write(dir.join(format!("{name}.toml")), "").expect("a file");
}

/// So many nodes of one cluster with a key, each with the configuration that was written for it, or none.
fn nodes(dir: &Path, count: usize) -> Vec<Node> {
    fs::write(dir.join("keys"), format!("{}\n", "a1".repeat(32))).expect("a file");
    cluster(dir, count, |node| adjust(dir, node))
}

fn adjust(dir: &Path, node: &mut Node) {
    let config = dir.join(format!("{}.toml", node.name));
    if !config.exists() {
        none(dir, &node.name);
    }
    (node.keys, node.config) = (Some(dir.join("keys")), Some(config));
}

/// What a node says of the zone: code, whether with authority, and the serial.
fn told(node: &Node) -> Option<(u8, bool, Option<u32>)> {
    let message = node.exchange(&query(7, ORIGIN, SOA))?;
    let soa = message.sections[0].first().and_then(|record| record.rdata.last_chunk::<20>().copied());
    let serial = soa.map(|numbers| u32::from_be_bytes([numbers[0], numbers[1], numbers[2], numbers[3]]));
    Some((message.rcode() as u8, message.flags & AA != 0, serial))
}

fn has(node: &Node, serial: u32) -> bool {
    told(node) == Some((NOERROR, true, Some(serial)))
}

/// Waits until all of them have that version.
fn have(nodes: &[Node], serial: u32) {
    for node in nodes {
        assert!(until(|| has(node, serial)), "{} says {:?}:\n{}", node.name, told(node), node.log());
    }
}

fn reload(node: &Node) {
    let (code, said) = node.verb(&["reload"]);
    assert_eq!(code, Some(0), "{said}");
}

/// Adds an address by an update; the code.
fn add(node: &Node, owner: &str, address: [u8; 4]) -> u8 {
    let wire = |name: &str| names::from_text(name).expect("a name");
    let mut request = message::query(9, 5 << 11, &wire(ORIGIN), SOA, 1, None);
    request[9] = 1;
    request.extend(wire(owner));
    request.extend([0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
    request.extend(address);
    code(node, request)
}

/// The code of the first message of the answer over TCP.
fn code(node: &Node, request: Vec<u8>) -> u8 {
    let reply = transport::tcp(node.dns, &[request]).pop().flatten().expect("an answer");
    reply[3] & 0xf
}

/// A question for the whole zone, signed with what is made of that key of the cluster, by that cluster's name.
fn signed(octet: &str, cluster: &str, named_after: &str) -> Vec<u8> {
    let secrets = |octet: &str| {
        let ring = Ring::parse(&octet.repeat(32)).expect("a key");
        let me = Peer { id: NodeId(1), boot: 1 };
        Secrecy::new(cluster, ring, me, [0; 32]).transfer_secrets().pop().expect("a secret")
    };
    let name = TsigKey::of_the_cluster(&secrets(named_after).0.to_string()).expect("a name");
    let key =
        Arc::new(Key::new(&Name::parse(name.as_str()).expect("a name"), Hmac::Sha256, &secrets(octet).1));
    let mut request = query(0, ORIGIN, AXFR);
    let _ = Exchange::begin(&key, &mut request, clock::wall_seconds());
    request
}

#[test]
fn what_one_shares_all_are_authoritative_for_and_what_changes_there_is_answered_within_a_second() {
    let _quiet = quiet();
    let dir = dir();
    let lines = "share = true\ntransfer = []\nupdate = [\"127.0.0.0/8\"]\n";
    own(dir.path(), "n0", &text(1, "www A 192.0.2.7\n"), lines);
    let nodes = nodes(dir.path(), 3);
    have(&nodes, 1);
    let name = format!("www.{ORIGIN}");
    for node in &nodes {
        let answer = node.ask(&name).expect("an answer");
        assert!(answer.flags & AA != 0 && answer.sections[0].len() == 1, "{answer:?}");
        let (_, zones) = node.verb(&["zones"]);
        let line = zones.lines().find(|line| line.starts_with(ORIGIN)).expect("a line");
        assert!(line.trim_end().ends_with(" n0"), "{zones}");
    }
    fs::write(dir.path().join("n0.zone"), text(2, "www A 192.0.2.8\nwww A 192.0.2.9\n")).expect("a zone");
    reload(&nodes[0]);
    let changed = now();
    assert!(until(|| nodes.iter().all(|node| has(node, 2) && node.told(&name) == Some((NOERROR, 2)))));
    let took = now().duration_since(changed);
    assert!(took < Duration::from_secs(1), "{took:?}");
    let new = format!("new.{ORIGIN}");
    assert_eq!(add(&nodes[0], &new, [192, 0, 2, 3]), NOERROR, "{}", nodes[0].log());
    let changed = now();
    assert!(until(|| nodes.iter().all(|node| node.told(&new) == Some((NOERROR, 1)))));
    let took = now().duration_since(changed);
    assert!(took < Duration::from_secs(1), "{took:?}");
    have(&nodes, 3);
    // What changed was asked for, and not all of it.
    for node in &nodes[1..] {
        assert_eq!(
            (node.log().matches("INFO AXFR").count(), node.log().matches("INFO IXFR").count()),
            (1, 2),
            "{}",
            node.log()
        );
    }
    // Who has a copy takes no updates.
    assert_eq!(add(&nodes[1], &new, [192, 0, 2, 4]), REFUSED);
    assert_eq!(nodes[1].told(&new), Some((NOERROR, 1)));
    let (code, said) = nodes[1].verb(&["zone", "retransfer", ORIGIN]);
    assert_eq!(code, Some(0), "{said}");
    assert!(until(|| nodes[1].log().matches("INFO AXFR").count() == 2), "{}", nodes[1].log());
    have(&nodes, 3);
}

#[test]
fn only_who_has_the_clusters_key_is_given_a_copy() {
    let dir = dir();
    own(dir.path(), "n0", &text(1, ""), "share = true\ntransfer = []\n");
    let nodes = nodes(dir.path(), 2);
    have(&nodes, 1);
    for node in &nodes {
        assert_eq!(code(node, query(7, ORIGIN, AXFR)), REFUSED, "{}", node.name);
        assert_eq!(code(node, signed("b2", "default", "a1")), NOTAUTH, "{}", node.name);
        assert_eq!(code(node, signed("b2", "default", "b2")), NOTAUTH, "{}", node.name);
        assert_eq!(code(node, signed("a1", "another", "a1")), NOTAUTH, "{}", node.name);
        assert_eq!(code(node, signed("a1", "default", "a1")), NOERROR, "{}", node.name);
    }
    // Keys are changed while all run; the old one opens nothing then.
    assert_eq!(nodes[1].verb(&["key", "add", &"c3".repeat(32)]).0, Some(0));
    assert!(until(|| nodes.iter().all(|node| node.key_ids().len() == 2)));
    let ids = nodes[0].key_ids();
    assert_eq!(nodes[0].verb(&["key", "use", &ids[1]]).0, Some(0));
    assert!(until(|| nodes.iter().all(|node| node.key_ids().first() == Some(&ids[1]))));
    for octet in ["a1", "c3"] {
        assert!(nodes.iter().all(|node| code(node, signed(octet, "default", octet)) == NOERROR), "{octet}");
    }
    assert_eq!(nodes[0].verb(&["key", "remove", &ids[0]]).0, Some(0));
    assert!(until(|| nodes.iter().all(|node| node.key_ids().len() == 1)));
    for node in &nodes {
        assert!(until(|| code(node, signed("a1", "default", "a1")) == NOTAUTH), "{}", node.log());
    }
    fs::write(dir.path().join("n0.zone"), text(2, "")).expect("a zone");
    reload(&nodes[0]);
    have(&nodes, 2);
}

#[test]
fn a_lost_publishers_zone_is_served_on_by_who_restarts_and_by_who_comes_new() {
    let dir = dir();
    own(dir.path(), "n0", &text(7, ""), "share = true\n");
    let mut nodes = nodes(dir.path(), 3);
    have(&nodes, 7);
    nodes[0].kill();
    assert!(until(|| nodes[1].verb(&["members"]).1.contains(" down ")), "{}", nodes[1].log());
    have(&nodes[1..], 7);
    let mut new = Node::new(dir.path(), 3);
    adjust(dir.path(), &mut new);
    let first = [nodes[1].gossip];
    new.start(&first);
    assert!(until(|| has(&new, 7)), "{}", new.log());
    nodes[2].stop();
    nodes[2].start(&first);
    assert!(until(|| has(&nodes[2], 7)), "{}", nodes[2].log());
    // Alone, with what it remembers.
    new.kill();
    nodes[1].kill();
    nodes[2].stop();
    nodes[2].start(&first);
    assert!(until(|| has(&nodes[2], 7)), "{}", nodes[2].log());
    // The publisher is back, with a later version.
    fs::write(dir.path().join("n0.zone"), text(8, "")).expect("a zone");
    let third = [nodes[2].gossip];
    nodes[0].start(&third);
    nodes[1].start(&third);
    have(&nodes, 8);
}

#[test]
fn copies_that_ask_each_other_expire_all_the_same() {
    let dir = dir();
    own(dir.path(), "n0", &lasting(1, "1 1 4", ""), "share = true\n");
    let mut nodes = nodes(dir.path(), 3);
    have(&nodes, 1);
    // As long as the publisher is there it is asked again and again.
    let started = now();
    while now().duration_since(started) < Duration::from_secs(6) {
        assert!(nodes.iter().all(|node| has(node, 1)), "{}", nodes[1].log());
    }
    nodes[0].kill();
    let over = |node: &Node| told(node).map(|(code, ..)| code) == Some(SERVFAIL);
    assert!(until(|| nodes[1..].iter().all(over)), "{}", nodes[1].log());
    let second = [nodes[1].gossip];
    nodes[0].start(&second);
    have(&nodes, 1);
}

#[test]
fn who_shares_no_more_or_leaves_takes_the_zone_along() {
    let dir = dir();
    let (shared, kept) = (text(1, ""), "share = false\n");
    own(dir.path(), "n0", &shared, "share = true\n");
    let mut nodes = nodes(dir.path(), 3);
    have(&nodes, 1);
    let copy = nodes[1].dir.join("state").join(format!("zone.{}", ORIGIN.trim_end_matches('.')));
    assert!(copy.exists());
    let is_gone = |node: &Node| told(node) == Some((REFUSED, false, None));
    own(dir.path(), "n0", &shared, kept);
    reload(&nodes[0]);
    assert!(until(|| nodes[1..].iter().all(is_gone) && !copy.exists()), "{}", nodes[1].log());
    assert!(has(&nodes[0], 1));
    own(dir.path(), "n0", &shared, "share = true\n");
    reload(&nodes[0]);
    have(&nodes, 1);
    // A restart is none.
    nodes[0].stop();
    assert!(until(|| nodes[1].verb(&["members"]).1.contains("restarting")));
    have(&nodes[1..], 1);
    let second = [nodes[1].gossip];
    nodes[0].start(&second);
    assert!(until(|| nodes[0].is_ready()));
    have(&nodes, 1);
    let (code, said) = nodes[0].verb(&["drain", "--timeout", "5s"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(until(|| nodes[1..].iter().all(is_gone)), "{}", nodes[1].log());
    // One that a new life shares again.
    nodes[0].stop();
    let second = [nodes[1].gossip];
    nodes[0].start(&second);
    have(&nodes, 1);
    nodes[0].kill();
    assert!(until(|| nodes[1].verb(&["members"]).1.contains(" down ")), "{}", nodes[1].log());
    have(&nodes[1..], 1);
    assert_eq!(nodes[1].verb(&["force-leave", "n0"]).0, Some(0));
    assert!(until(|| nodes[1..].iter().all(is_gone)), "{}", nodes[1].log());
}

#[test]
fn of_two_that_share_a_zone_the_later_version_counts_and_what_is_configured_stays() {
    let dir = dir();
    own(dir.path(), "n0", &text(5, "a A 192.0.2.5\n"), "share = true\n");
    own(dir.path(), "n1", &text(9, "b A 192.0.2.9\n"), "share = true\n");
    own(dir.path(), "n2", &text(2, ""), "");
    let mut nodes = nodes(dir.path(), 5);
    let (five, nine) = (format!("a.{ORIGIN}"), format!("b.{ORIGIN}"));
    have(&nodes[3..], 9);
    assert!(nodes[3..].iter().all(|node| node.told(&nine) == Some((NOERROR, 1))));
    // Each has its own.
    assert!(has(&nodes[0], 5) && has(&nodes[1], 9) && has(&nodes[2], 2));
    for (node, says) in [(0, "its version counts"), (2, "here it stays what it is")] {
        assert!(until(|| nodes[node].log().contains(says)), "{}", nodes[node].log());
        // It may have heard of n0 first, whose version counts until it hears of n1.
        let zones = || nodes[node].verb(&["zones"]).1;
        let is_n1 = |line: &str| line.starts_with(ORIGIN) && line.trim_end().ends_with(" n1");
        assert!(until(|| zones().lines().any(is_n1)), "{}", zones());
    }
    let (code, said) = nodes[0].verb(&["set", &five, "60", "A", "192.0.2.1"]);
    assert!(code == Some(1) && said.contains("that n1 shares"), "{said}");
    // What a publisher changed and kept is another zone than the one that it has from others later.
    assert_eq!(nodes[3].verb(&["set", &nine, "60", "A", "192.0.2.10"]).0, Some(0));
    have(&nodes[3..], 10);
    have(&nodes[1..2], 10);
    // The other one's version is another zone, and an earlier one.
    none(dir.path(), "n1");
    reload(&nodes[1]);
    have(&nodes[3..], 5);
    assert!(until(|| has(&nodes[1], 5)), "{}", nodes[1].log());
    assert!(nodes[3..].iter().all(|node| node.told(&five) == Some((NOERROR, 1))));
    assert_eq!(nodes[4].told(&nine).map(|(code, _)| code), Some(3));
    // Its own again, and later than all: the others have that.
    own(dir.path(), "n2", &text(6, ""), "share = true\n");
    reload(&nodes[2]);
    have(&nodes[1..], 6);
    assert!(has(&nodes[0], 5));
    // A file counts where there was a copy, after a restart, too.
    own(dir.path(), "n4", &text(3, ""), "");
    reload(&nodes[4]);
    assert!(until(|| has(&nodes[4], 3)), "{}", nodes[4].log());
    nodes[4].stop();
    let first = [nodes[0].gossip];
    nodes[4].start(&first);
    assert!(until(|| nodes[4].is_ready() && has(&nodes[4], 3)), "{}", nodes[4].log());
}

#[test]
fn what_is_set_on_any_node_the_publisher_puts_into_the_zone_or_says_that_it_is_away() {
    let _quiet = quiet();
    let dir = dir();
    own(dir.path(), "n0", &text(1, "www A 192.0.2.7\nalias CNAME www\n"), "share = true\n");
    let mut nodes = nodes(dir.path(), 3);
    have(&nodes, 1);
    let [www, new, alias] = &["www", "new", "alias"].map(|label| format!("{label}.{ORIGIN}"));
    let (www, new, alias) = (www.as_str(), new.as_str(), alias.as_str());
    let all = |nodes: &[Node], name: &str, wanted| {
        let start = now();
        assert!(until(|| nodes.iter().all(|node| node.told(name) == Some(wanted))), "{}", nodes[0].log());
        let took = now().duration_since(start);
        assert!(took < Duration::from_secs(1), "{took:?}");
    };
    // On a member, then on the publisher itself: the set is replaced.
    for (node, addresses) in [(2, &["192.0.2.1", "192.0.2.2"][..]), (0, &["192.0.2.3"])] {
        for name in [new, www] {
            let (code, said) = nodes[node].verb(&[&["set", name, "60", "A"][..], addresses].concat());
            assert_eq!(code, Some(0), "{said}");
            all(&nodes, name, (NOERROR, addresses.len()));
        }
    }
    have(&nodes, 5);
    assert_eq!(nodes[1].verb(&["set", www, "60", "A", "192.0.2.8", "192.0.2.9"]).0, Some(0));
    all(&nodes, www, (NOERROR, 2));
    let (code, said) = nodes[1].verb(&["unset", www, "A", "192.0.2.8"]);
    assert!(code == Some(0) && said.contains("192.0.2.8") && !said.contains("192.0.2.9"), "{said}");
    all(&nodes, www, (NOERROR, 1));
    assert_eq!(nodes[2].verb(&["unset", new]).0, Some(0));
    all(&nodes, new, (3, 0));
    for (arguments, complaint) in [
        (&["unset", new][..], "has no such record"),
        (&["set", alias, "60", "A", "192.0.2.1"], "an alias has no other data"),
        (&["set", ORIGIN, "60", "NS", "ns.groucho.edu."], "change by its file"),
        (&["set", new, "60", "A", "nonsense"], "expected"),
        (&["set", "www.elsewhere.", "60", "A", "192.0.2.1"], "expected an absolute name in"),
    ] {
        let (code, said) = nodes[1].verb(arguments);
        assert!(code != Some(0) && said.contains(complaint), "{arguments:?}: {said}");
    }
    // It outlives the publisher's restart, and while that is away nothing changes.
    nodes[0].stop();
    let (code, said) = nodes[2].verb(&["set", new, "60", "A", "192.0.2.1"]);
    assert!(code == Some(1) && said.contains("n0, which shares the zone, cannot be asked"), "{said}");
    let second = [nodes[1].gossip];
    nodes[0].start(&second);
    assert!(until(|| nodes[0].is_ready()), "{}", nodes[0].log());
    have(&nodes, 8);
    all(&nodes, www, (NOERROR, 1));
    assert_eq!(nodes[2].verb(&["set", new, "60", "A", "192.0.2.1"]).0, Some(0));
    all(&nodes, new, (NOERROR, 1));
    // A file with a later serial replaces all that.
    fs::write(dir.path().join("n0.zone"), text(20, "")).expect("a zone");
    reload(&nodes[0]);
    have(&nodes, 20);
    all(&nodes, new, (3, 0));
}
