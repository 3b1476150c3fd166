//! The server's pure path against its naive twin, over random zones and questions: what is fast must say what
//! is obviously right says.
//!
//! `cargo test --test twin`; `PROPTEST_CASES=100000` for a long run. A case that failed becomes a test of its
//! own in tests/answers or beside the code that was wrong.
#![allow(unreachable_pub, reason = "a test program has no outside")]

mod amend;
mod chance;
mod live;
mod naive;
#[path = "../oracle/mod.rs"]
mod oracle;
mod sets;
#[path = "../support/mod.rs"]
mod support;
mod views;

use chance::Question;
use hivedns::wire::key::NameKey;
use hivedns::zone;
use naive::{Expected, Place};
use oracle::message::{self, Edns, Message, Record};
use oracle::names;
use oracle::render;
use proptest::prelude::*;
use std::collections::BTreeMap;
use support::desk::{self, Desk};

/// Random zones of one run; each is asked about two dozen names.
const CASES: u32 = 4_000;

fn config() -> ProptestConfig {
    let cases = ProptestConfig::default().cases;
    // Only a larger number from the environment counts: the default is for smaller cases than these.
    ProptestConfig { cases: cases.max(CASES), failure_persistence: None, ..ProptestConfig::default() }
}

fn desk_of(zones: &[naive::Zone]) -> Desk {
    let sealed = zones
        .iter()
        .map(|zone| desk::zone(&zone.origin, &zone.entries).unwrap_or_else(|faults| panic!("{faults}")));
    Desk::new(desk::snapshot("twin", sealed.collect::<Vec<_>>()))
}

fn query(question: &Question) -> Vec<u8> {
    let edns = Edns { payload: 1232, dnssec_ok: false, version: 0, options: Vec::new() };
    message::query(7, 0, &question.name, question.qtype, 1, question.edns.then_some(&edns))
}

fn expected_of(reply: &Message) -> Expected {
    Expected { rcode: reply.rcode(), aa: reply.flags & message::AA != 0, sections: reply.sections.clone() }
}

fn shown(expected: &Expected) -> String {
    let records =
        |section: &Vec<Record>| section.iter().map(|r| format!("  {}\n", render::record(r))).collect();
    let [answer, authority, additional]: [String; 3] = [0, 1, 2].map(|i| records(&expected.sections[i]));
    format!(
        "rcode {} aa {}\n{answer} authority\n{authority} additional\n{additional}",
        expected.rcode, expected.aa
    )
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_answer_is_that_of_the_naive_twin((zones, questions) in chance::case()) {
        let mut desk = desk_of(&zones);
        for question in &questions {
            let lowered = names::lowered(&question.name);
            let mut expected = naive::answer(&zones, &lowered, question.qtype);
            let octets = desk.answer(&query(question)).expect("a query gets an answer");
            let reply = message::decode(octets).unwrap_or_else(|why| panic!("{why}: {octets:?}"));
            let mut got = expected_of(&reply);
            // The order of records within answer and authority is that of the chain; glue may come in any.
            [&mut expected, &mut got].into_iter().for_each(|side| side.sections[2].sort());
            prop_assert!(got == expected, "{question:?}\ngot {}\nexpected {}", shown(&got), shown(&expected));
            prop_assert_eq!(reply.question, Some((question.name.clone(), question.qtype, 1)));
            prop_assert_eq!(reply.opt.is_some(), question.edns);
            prop_assert_eq!(reply.flags & message::TC, 0);
        }
    }

    #[test]
    fn a_small_limit_costs_whole_sets_and_sets_tc_for_those_that_matter((zones, questions) in chance::case(), spare in 0usize..300) {
        let mut desk = desk_of(&zones);
        for question in &questions {
            let query = query(question);
            let full = message::decode(desk.answer(&query).expect("an answer")).expect("well formed");
            let limit = query.len() + 11 + spare;
            let octets = desk.answer_within(&query, limit).expect("an answer").to_vec();
            prop_assert!(octets.len() <= limit, "{} octets, {limit} allowed", octets.len());
            let cut = message::decode(&octets).map_err(TestCaseError::fail)?;
            if full.octets <= limit {
                prop_assert_eq!(&cut, &full);
                continue;
            }
            let truncated = cut.flags & message::TC != 0;
            for (section, (cut, full)) in cut.sections.iter().zip(&full.sections).enumerate() {
                let (cut, full) = (by_set(cut), by_set(full));
                for (set, records) in &cut {
                    prop_assert_eq!(Some(records), full.get(set), "a set in part: {:?}", set);
                }
                prop_assert!(section == 2 || truncated || cut == full, "section {} lacks a set without TC", section);
            }
        }
    }

    #[test]
    fn the_short_way_says_what_the_general_way_says((zones, questions) in chance::case(), flags in any::<u16>()) {
        let mut desk = desk_of(&zones);
        for question in &questions {
            let mut query = query(question);
            // RD, CD and those that mean nothing in a question; neither QR nor an opcode.
            query[2..4].copy_from_slice(&(flags & 0x87ff & !message::QR).to_be_bytes());
            let by_short = desk.answer_datagram(&query).map(<[u8]>::to_vec);
            prop_assert_eq!(by_short.as_deref(), desk.answer_datagram_generally(&query), "{:?}", question);
        }
    }

    #[test]
    fn every_name_is_where_the_naive_twin_finds_it((zones, questions) in chance::case()) {
        let zone = &zones[0];
        let sealed = desk::zone(&zone.origin, &zone.entries).map_err(TestCaseError::fail)?;
        let absolute = |node: zone::store::Node<'_>| [node.key(), &zone.origin].concat();
        let mut known: Vec<_> = sealed.nodes().map(absolute).collect();
        known.sort();
        let expected: Vec<_> = zone.names.keys().cloned().collect();
        prop_assert_eq!(&known, &expected);
        let mut key = NameKey::default();
        for name in questions.iter().map(|question| &question.name).chain(&known) {
            let got = sealed.locate_name(name, &mut key).map(|place| match place {
                zone::Place::Node(node) => Place::Node(absolute(node)),
                zone::Place::BelowCut(node) => Place::BelowCut(absolute(node)),
                zone::Place::BelowDname(node) => Place::BelowDname(absolute(node)),
                zone::Place::Wildcard(node) => Place::Wildcard(absolute(node)),
                zone::Place::Absent => Place::Absent,
            });
            let lowered = names::lowered(name);
            let expected = names::is_within(&lowered, &zone.origin).then(|| zone.locate(&lowered));
            prop_assert_eq!(got, expected, "{}", names::to_text(name));
            if let Some(relative) = lowered.strip_suffix(&zone.origin[..]).filter(|_| names::is_within(&lowered, &zone.origin)) {
                let found = sealed.find(key.full_hash(), relative).map(absolute);
                prop_assert_eq!(found, zone.names.contains_key(&lowered).then_some(lowered));
            }
        }
    }
}

/// What the property above says would be nothing, were the short way never taken.
#[test]
fn the_short_way_is_open_to_ordinary_answers_and_to_no_others() {
    let zone = "\
        @ SOA ns admin 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.2\nalias CNAME other\nother CNAME www\n\
        away CNAME www.elsewhere.\nloop CNAME loop\nlost CNAME none\n*.wild MX 10 ns\n*.w CNAME alias\nmx MX 10 ns\n\
        cut NS ns.cut\ncut NS ns\nns.cut A 192.0.2.4\nns.cut AAAA 2001:db8::4\nd DNAME www\nmx MX 20 none\n";
    let zone =
        desk::zone_of_text("z.", &format!("$TTL 60\n{}", zone.replace("        ", ""))).expect("a zone");
    let mut desk = Desk::new(desk::snapshot("twin", [zone]));
    for (name, qtype, open) in [
        ("WWW.z.", naive::A, true),
        ("www.z.", naive::AAAA, true),
        ("none.z.", naive::A, true),
        ("a.b.www.z.", naive::A, true),
        ("alias.z.", naive::A, true),
        ("alias.z.", naive::CNAME, true),
        ("away.z.", naive::A, true),
        ("a.b.wild.z.", naive::MX, true),
        ("a.wild.z.", naive::A, true),
        ("a.w.z.", naive::A, true),
        ("z.", naive::NS, true),
        ("cut.z.", naive::A, true),
        ("a.b.cut.z.", naive::A, true),
        ("ns.cut.z.", naive::A, true),
        ("alias.z.", naive::AAAA, false),
        ("loop.z.", naive::A, false),
        ("lost.z.", naive::A, false),
        ("mx.z.", naive::MX, false),
        ("cut.z.", naive::DS, false),
        ("a.d.z.", naive::A, false),
        ("www.z.", naive::ANY, false),
        ("www.elsewhere.", naive::A, false),
    ] {
        for edns in [false, true] {
            let question = Question { name: names::from_text(name).expect("a name"), qtype, edns };
            let query = query(&question);
            assert_eq!(desk.answer_short(&query).is_some(), open, "{question:?}");
            let by_short = desk.answer_datagram(&query).map(<[u8]>::to_vec);
            assert_eq!(by_short.as_deref(), desk.answer_datagram_generally(&query), "{question:?}");
        }
    }
}

/// A wildcard that leads a name to itself is told twice: two whole sets of one name, so each counts once here.
fn by_set(section: &[Record]) -> BTreeMap<(Vec<u8>, u16), Vec<&Record>> {
    let mut sets: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for record in section {
        let set: &mut Vec<&Record> = sets.entry((record.owner.clone(), record.rtype)).or_default();
        if !set.contains(&record) {
            set.push(record);
        }
    }
    sets
}
