//! The services' domain at other servers: any node gives it, under one serial the same, and a secondary that asks now this
//! one and now that one has it all.
#![allow(unreachable_pub, reason = "a test program has no outside")]

#[path = "oracle/mod.rs"]
mod oracle;
#[path = "support/site.rs"]
mod site;
#[path = "support/verb.rs"]
mod verb;

use oracle::message::{self, Record};
use oracle::process::free_port;
use site::{Plan, Site, until};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use verb::verb;

const DOMAIN: &str = "hive.internal.";
const A: u16 = 1;
const SOA: u16 = 6;
const AXFR: u16 = 252;
const IXFR: u16 = 251;

/// A message of the reply to a transfer, whole.
fn transfer(site: &Site, query: &[u8]) -> Vec<Record> {
    let mut stream = site.tcp();
    let framed = [&(query.len() as u16).to_be_bytes()[..], query].concat();
    stream.write_all(&framed).expect("it takes the query");
    let mut records: Vec<Record> = Vec::new();
    loop {
        let mut len = [0; 2];
        stream.read_exact(&mut len).expect("a message");
        let mut octets = vec![0; u16::from_be_bytes(len).into()];
        stream.read_exact(&mut octets).expect("all of it");
        let reply = message::decode(&octets).expect("well formed");
        if reply.rcode() != 0 {
            return Vec::new();
        }
        records.extend(reply.sections.into_iter().next().expect("answers"));
        let soa = &records[0].rdata;
        let ends = records.iter().filter(|record| record.rtype == SOA && record.rdata == *soa).count();
        if ends >= 2 || (records.len() == 1 && query_type(query) == IXFR) {
            return records;
        }
    }
}

fn query_type(query: &[u8]) -> u16 {
    let at = 12 + query[12..].iter().position(|octet| *octet == 0).expect("a name") + 1;
    u16::from_be_bytes([query[at], query[at + 1]])
}

/// The serial, and all records as lines.
fn zone(site: &Site) -> Option<(u32, BTreeSet<String>)> {
    let records = transfer(site, &site::query(7, DOMAIN, AXFR));
    let numbers = records.first()?.rdata.last_chunk::<20>()?;
    let serial = u32::from_be_bytes(*numbers.first_chunk::<4>()?);
    Some((serial, records.iter().map(|record| format!("{record:?}").to_lowercase()).collect()))
}

/// IXFR from a serial: how many SOAs there are in the reply.
fn changes(site: &Site, serial: u32) -> usize {
    let mut query = site::query(7, DOMAIN, IXFR);
    // The SOA at hand, in the authority section: of it only the serial counts.
    query[9] = 1;
    let mut soa = vec![0xc0, 12, 0, 6, 0, 1, 0, 0, 0, 0, 0, 22, 0, 0];
    soa.extend(serial.to_be_bytes());
    soa.extend([0; 16]);
    query.extend(soa);
    transfer(site, &query).iter().filter(|record| record.rtype == SOA).count()
}

/// What the nodes of a cluster are configured with.
fn more(notify: &str) -> String {
    format!(
        "[services]\nlease = \"5s\"\n[[zone]]\norigin = \"{DOMAIN}\"\ntransfer = [\"127.0.0.0/8\"]\nnotify = [{notify}]\n"
    )
}

/// Nodes that are one cluster, all of which let the domain go to this machine; each with its lines of `[gossip]`.
fn cluster(count: usize) -> Vec<(Site, String)> {
    let first = free_port().expect("a port");
    let nodes: Vec<(Site, String)> = (0..count)
        .map(|number| {
            let gossip = match number {
                0 => format!("bind = \"{first}\""),
                _ => format!("bind = \"127.0.0.1:0\"\njoin = [\"{first}\"]"),
            };
            let server = format!("node = \"n{number}\"");
            let plan = Plan { gossip: Some(&gossip), server: &server, more: &more(""), ..Plan::default() };
            (Site::start(&plan), gossip)
        })
        .collect();
    for (node, _) in &nodes {
        assert!(until(|| verb(&node.control(), &["status"]).code == Some(0)), "{}", node.log());
    }
    nodes
}

fn set(node: &Site, name: &str, address: &str) {
    let said = verb(&node.control(), &["set", &format!("{name}.{DOMAIN}"), "60", "A", address]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
}

/// True if all have the same version, with that address in it.
fn agree(nodes: &[&Site], address: &str) -> bool {
    let zones: Vec<_> = nodes.iter().map(|node| zone(node)).collect();
    let digits: Vec<&str> = address.split('.').collect();
    let wanted = format!("[{}]", digits.join(", "));
    zones.iter().all(|zone| {
        zone == &zones[0]
            && zone.as_ref().is_some_and(|(_, lines)| lines.iter().any(|line| line.contains(&wanted)))
    })
}

#[test]
fn every_node_gives_the_same_zone_and_its_soa_says_which() {
    let sites = cluster(3);
    let nodes: Vec<&Site> = sites.iter().map(|(node, _)| node).collect();
    set(nodes[2], "www", "192.0.2.1");
    assert!(until(|| agree(&nodes, "192.0.2.1")), "{}", nodes[0].log());
    let (before, lines) = zone(nodes[1]).expect("a zone");
    let own = format!("{:?}", &b"\x02n1\x04node"[..]);
    let is_own = |line: &String| line.contains(own.trim_end_matches(']'));
    assert!(lines.iter().any(is_own), "the nodes' own names are in it: {lines:?}");
    for node in &nodes {
        assert!(until(|| node.serial(DOMAIN) == Some(before)), "{}", node.log());
    }
    set(nodes[0], "mail", "192.0.2.2");
    assert!(until(|| agree(&nodes, "192.0.2.2")), "{}", nodes[0].log());
    // One step: the SOA at both ends, and the two of each step between them.
    assert!(nodes.iter().all(|node| changes(node, before) >= 4), "IXFR from {before}");
    let (after, _) = zone(nodes[0]).expect("a zone");
    assert!(nodes.iter().all(|node| changes(node, after) == 1), "who has it gets no more");
    // A later cut may come at any time: what is listed is what is given, as soon as both are looked at in a quiet moment.
    let is_listed = || {
        let (serial, _) = zone(nodes[0]).expect("a zone");
        verb(&nodes[0].control(), &["zones"]).out.contains(&serial.to_string())
    };
    assert!(until(is_listed), "{}", verb(&nodes[0].control(), &["zones"]).out);
}

#[test]
fn a_secondary_follows_whichever_node_is_left() {
    let mut nodes = cluster(3);
    let primaries: Vec<String> = nodes.iter().map(|(node, _)| format!("\"{}\"", node.address)).collect();
    let of_secondary = format!(
        "[services]\ndomain = \"other.internal.\"\n[[zone]]\norigin = \"{DOMAIN}\"\nprimary = [{}]\n",
        primaries.join(", ")
    );
    let secondary = Site::start(&Plan { more: &of_secondary, ..Plan::default() });
    for (number, (node, gossip)) in nodes.iter().enumerate() {
        let (server, more) = (format!("node = \"n{number}\""), more(&format!("\"{}\"", secondary.address)));
        node.write_config(
            &Plan { gossip: Some(gossip), server: &server, more: &more, ..Plan::default() },
            &[],
        );
        assert_eq!(verb(&node.control(), &["reload"]).code, Some(0), "{}", node.log());
    }
    let mut had = 0;
    for (number, address) in ["192.0.2.1", "192.0.2.2", "192.0.2.3"].into_iter().enumerate() {
        let name = format!("w{number}");
        set(&nodes.last().expect("a node").0, &name, address);
        let full = format!("{name}.{DOMAIN}");
        // Refresh is half a minute: it is NOTIFY that makes it come at once.
        let comes = until(|| secondary.rcode(&full, A) == Some(0));
        assert!(comes, "{full}:\n{}{}", secondary.log(), nodes[0].0.log());
        let has = secondary.serial(DOMAIN).expect("a serial");
        assert!(has.wrapping_sub(had) < 1 << 31 || had == 0, "{had} to {has}");
        had = has;
        if nodes.len() > 1 {
            // The next version comes from another one, and maybe of another one's cut.
            let (mut node, _) = nodes.remove(0);
            node.signal("TERM");
            assert!(node.end().is_some_and(|status| status.success()), "{}", node.log());
        }
    }
    assert!(until(|| secondary.serial(DOMAIN) == nodes[0].0.serial(DOMAIN)));
}

#[test]
fn without_an_entry_the_domain_goes_to_nobody() {
    let site = Site::start(&Plan { gossip: Some("bind = \"127.0.0.1:0\""), ..Plan::default() });
    assert!(until(|| verb(&site.control(), &["status"]).code == Some(0)));
    assert!(zone(&site).is_none());
}
