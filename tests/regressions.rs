//! Mistakes once made in answers, each by its symptom. Found by the twin and by reading.
#![allow(unreachable_pub, reason = "a test program has no outside")]

#[path = "oracle/mod.rs"]
mod oracle;
mod support;

use oracle::message::{self, Edns, Message};
use oracle::{names, render};
use support::desk::{Desk, snapshot, zone_of_text};

const HEAD: &str = "$TTL 60\n@ SOA ns admin 1 2 3 4 5\n@ NS ns.other.\n";

fn desk(text: &str) -> Desk {
    let zone = zone_of_text("z.", &format!("{HEAD}{text}")).unwrap_or_else(|faults| panic!("{faults}"));
    Desk::new(snapshot(&"i".repeat(255), [zone]))
}

fn ask(desk: &mut Desk, name: &str, qtype: u16) -> Message {
    let name = names::from_text(name).expect("a name");
    let query = message::query(1, 0, &name, qtype, 1, None);
    message::decode(desk.answer(&query).expect("an answer")).expect("well formed")
}

fn told(section: &[message::Record]) -> Vec<String> {
    section.iter().map(render::record).collect()
}

#[test]
fn an_alias_loop_ends_where_a_name_comes_again() {
    let mut desk = desk("*.w CNAME bb.w\nd DNAME e\ne DNAME d\nself DNAME self\n");
    let through_a_wildcard = told(&ask(&mut desk, "q.w.z.", 1).sections[0]);
    assert_eq!(through_a_wildcard, ["q.w.z. 60 IN CNAME bb.w.z.", "bb.w.z. 60 IN CNAME bb.w.z."]);
    let around = told(&ask(&mut desk, "x.d.z.", 1).sections[0]);
    assert_eq!(
        around,
        [
            "d.z. 60 IN DNAME e.z.",
            "x.d.z. 60 IN CNAME x.e.z.",
            "e.z. 60 IN DNAME d.z.",
            "x.e.z. 60 IN CNAME x.d.z."
        ]
    );
    let to_itself = told(&ask(&mut desk, "x.self.z.", 1).sections[0]);
    assert_eq!(to_itself, ["self.z. 60 IN DNAME self.z.", "x.self.z. 60 IN CNAME x.self.z."]);
}

#[test]
fn a_dname_that_is_passed_for_several_names_is_told_once() {
    let mut desk = desk("d DNAME a.d\n");
    let reply = ask(&mut desk, "x.d.z.", 1);
    let dnames = reply.sections[0].iter().filter(|record| record.rtype == 39).count();
    assert_eq!((dnames, reply.sections[0].len()), (1, 21));
    let mut desk = self::desk("d DNAME @\n");
    let to_itself = told(&ask(&mut desk, "d.d.z.", 39).sections[0]);
    assert_eq!(to_itself, ["d.z. 60 IN DNAME z.", "d.d.z. 60 IN CNAME d.z."]);
}

#[test]
fn every_name_that_one_wildcard_hosts_gets_its_addresses() {
    let mut desk = desk("* A 192.0.2.1\nm MX 1 one\nm MX 2 two\nm MX 3 one\n");
    let additional = told(&ask(&mut desk, "m.z.", 15).sections[2]);
    assert_eq!(additional, ["one.z. 60 IN A 192.0.2.1", "two.z. 60 IN A 192.0.2.1"]);
}

#[test]
fn records_that_differ_in_the_case_of_a_name_are_one() {
    let mut desk = desk("m MX 1 One\nm MX 1 oNE\nt TXT One\nt TXT oNE\na CNAME M\na CNAME m\n");
    assert_eq!(ask(&mut desk, "m.z.", 15).sections[0].len(), 1);
    assert_eq!(ask(&mut desk, "t.z.", 16).sections[0].len(), 2);
    assert_eq!(ask(&mut desk, "a.z.", 5).sections[0].len(), 1);
}

#[test]
fn a_long_identity_never_makes_a_reply_longer_than_its_limit() {
    let mut desk = desk("");
    let label = format!("{}.", "x".repeat(61));
    for labels in 0..=4 {
        let name = names::from_text(&format!("{}z.", label.repeat(labels))).expect("a name");
        let edns = Edns { payload: 512, dnssec_ok: false, version: 0, options: vec![0, 3, 0, 0] };
        let query = message::query(1, 0, &name, 1, 1, Some(&edns));
        let reply = desk.answer_datagram(&query).expect("an answer");
        assert!(reply.len() <= 512, "{} octets for {labels} labels", reply.len());
        let nsid = message::decode(reply).expect("well formed").opt.expect("EDNS").options;
        // Four octets of header before the identity; a question that leaves no room for it goes without.
        assert_eq!(nsid.len(), if labels < 4 { 259 } else { 0 });
    }
}

#[test]
fn a_wildcard_below_a_wildcard_is_found() {
    let mut desk = desk("*.*.w A 192.0.2.1\n");
    let answer = told(&ask(&mut desk, "a.*.w.z.", 1).sections[0]);
    assert_eq!(answer, ["a.*.w.z. 60 IN A 192.0.2.1"]);
}
