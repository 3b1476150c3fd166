//! Signed zones as a whole: what is written out is what was read, step by step and at once; and chains that leave one.

use crate::chance::{self, WAYS, Zone};
use crate::oracle::message::{self, Edns, RD};
use crate::support::desk::{self, Entry};
use hivedns::answer::{self, Bounds, Elsewhere, Scratch, Verdict};
use hivedns::base::time::Moment;
use hivedns::catalog::snapshot::ZoneNumber;
use hivedns::wire::key::NameKey;
use hivedns::wire::message::Rcode;
use hivedns::wire::name::Name;
use hivedns::wire::query::{Accepted, Query, accept};
use hivedns::wire::reply::{Owner, Reply, Section};
use hivedns::wire::rtype::RecordType;
use hivedns::zone::draft::ZoneDraft;
use hivedns::zone::fault::place_in;
use hivedns::zone::history::succeed;
use hivedns::zone::plain;
use hivedns::zone::rdata::canonicalize;
use hivedns::zone::seal::seal;
use hivedns::zone::sink::{Record, RecordSink};
use hivedns::zone::store::Cursor;
use proptest::prelude::*;

fn sealed(entries: &[Entry]) -> hivedns::zone::Zone {
    desk::zone(b"\x01z\0", entries).unwrap_or_else(|why| panic!("{why}"))
}

/// A record as it compares: names in RDATA may point to where they stand in another case.
type Comparable = (Vec<u8>, u16, u32, Vec<u8>);

fn comparable(owner: &[u8], rtype: RecordType, ttl: u32, rdata: &[u8]) -> Comparable {
    let mut rdata = rdata.to_vec();
    canonicalize(rtype, &mut rdata);
    (owner.to_ascii_lowercase(), rtype.0, ttl, rdata)
}

/// The records of a run.
fn all_of(run: &[u8]) -> Vec<Comparable> {
    plain::records(run)
        .map(|record| comparable(record.owner, record.rtype, record.ttl, record.rdata))
        .collect()
}

fn sorted(mut all: Vec<Comparable>) -> Vec<Comparable> {
    all.sort();
    all
}

fn expected(entries: &[Entry]) -> Vec<Comparable> {
    let one = |entry: &Entry| comparable(&entry.owner, RecordType(entry.rtype), entry.ttl, &entry.rdata);
    sorted(entries.iter().map(one).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// Those too that no look-up finds.
    #[test]
    fn all_records_are_there_and_each_once((zone, _) in chance::case()) {
        let entries = zone.entries();
        let zone = sealed(&entries);
        prop_assert_eq!(sorted(all_of(&plain::of_zone(&zone))), expected(&entries));
        let (mut place, mut keys) = (Cursor::default(), Vec::new());
        while let Some((node, behind)) = zone.next_node(place) {
            prop_assert!(zone.node_of(node.key()).is_some_and(|other| other.id() == node.id()));
            keys.push(node.key().to_vec());
            place = behind;
        }
        let mut all: Vec<_> = zone.nodes().map(|node| node.key().to_vec()).collect();
        keys.sort();
        all.sort();
        prop_assert_eq!(keys, all);
    }

    /// From version to version, chain and signatures with it (RFC 1995).
    #[test]
    fn the_steps_between_two_versions_lead_from_one_to_the_other((old, _) in chance::case(), (new, _) in chance::case()) {
        let serial = |mut entries: Vec<Entry>, serial: u8| {
            let soa = entries.iter_mut().find(|entry| entry.rtype == RecordType::SOA.0).expect("a SOA");
            let at = soa.rdata.len() - 17;
            soa.rdata[at] = serial;
            entries
        };
        let (old, new) = (serial(old.entries(), 1), serial(new.entries(), 2));
        let before = sealed(&old);
        let after = succeed(&before, sealed(&new));
        let steps = after.history().since(before.serial()).expect("a step");
        prop_assert_eq!(steps.len(), 1);
        let mut records = all_of(&plain::of_zone(&before));
        let mut comes = false;
        for (number, one) in all_of(steps[0].records()).into_iter().enumerate() {
            comes |= number > 0 && one.1 == RecordType::SOA.0;
            if comes {
                records.push(one);
            } else {
                let at = records.iter().position(|known| *known == one).expect("what goes was there");
                records.remove(at);
            }
        }
        prop_assert_eq!(sorted(records), expected(&new));
    }
}

/// Each has that of the set which it covers (RFC 4034 §3).
#[test]
fn signatures_of_one_name_have_their_own_ttls_and_nobody_is_warned() {
    let mut entries = Zone::of_text("a A 192.0.2.1\n", WAYS[0]).entries();
    for (ttl, entry) in (1u32..).zip(entries.iter_mut().filter(|entry| entry.rtype == RecordType::RRSIG.0)) {
        entry.ttl = ttl;
    }
    let origin = Name::parse("z.").expect("a name");
    let mut draft = ZoneDraft::new(&origin, desk::seed());
    for Entry { owner, rtype, ttl, rdata } in &entries {
        let (rtype, place) = (RecordType(*rtype), place_in("test", 1, 1));
        draft.record(Record { owner, rtype, ttl: *ttl, rdata }, &place);
    }
    let (zone, faults) = seal(draft);
    assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
    assert_eq!(sorted(all_of(&plain::of_zone(&zone.expect("a zone")))), expected(&entries));
}

/// What others say of every name: an address.
struct Address;

impl Elsewhere for Address {
    fn find(&mut self, key: &NameKey, query: &Query<'_>, _: Owner, reply: &mut Reply<'_>) -> Option<Rcode> {
        let kind = (query.qtype(), 60);
        reply.append_plain(Section::Answer, key.as_wire(), kind, &[192, 0, 2, 9]).ok()?;
        Some(Rcode::NoError)
    }

    fn find_at_member(&mut self, _: &NameKey, _: &Query<'_>, _: Owner, _: &mut Reply<'_>) -> Option<Rcode> {
        None
    }

    fn way(&self, _: &[u8]) -> Option<usize> {
        None
    }

    fn resolves(&self, _: &[u8]) -> bool {
        true
    }

    fn is_past_members(&self) -> bool {
        true
    }
}

#[test]
fn a_wildcard_that_leads_out_of_the_zone_is_proven_behind_what_was_found_there() {
    for denies in WAYS {
        let zone = Zone::of_text("*.w CNAME x\n", denies).with_alias("*.w.z.", "www.elsewhere.");
        let snapshot = desk::snapshot("journey", [sealed(&zone.entries())]);
        let edns = Edns { payload: 1232, dnssec_ok: true, version: 0, options: Vec::new() };
        let query = message::query(7, RD, b"\x01a\x01w\x01z\0", 1, 1, Some(&edns));
        let (mut key, mut scratch, mut buffer) =
            (NameKey::default(), Box::<Scratch>::default(), vec![0; 65_535]);
        let Accepted::Query(shape) = accept(&query, &mut key) else { panic!("a query") };
        key.hash(snapshot.seed());
        let route = answer::route(&snapshot, &shape, &key, ZoneNumber::default());
        let way = (route, route.hint(&snapshot, &key));
        let bounds = Bounds { limit: 65_535, udp_payload_max: 1232, now: Moment::START, from: None };
        let asked = (&shape.of(&query), &key);
        let outcome = answer::resolve(&snapshot, way, asked, &mut scratch, &mut buffer, bounds, &mut Address);
        let Verdict::Reply(len) = outcome.verdict else { panic!("a reply") };
        let reply = message::decode(&buffer[..len]).expect("well formed");
        let types =
            |section: usize| reply.sections[section].iter().map(|record| record.rtype).collect::<Vec<_>>();
        let proof = if matches!(denies, chance::Denies::Nsec) { 47 } else { 50 };
        assert_eq!((types(0), types(1)), (vec![5, 46, 1], vec![proof, 46]), "{denies:?}");
    }
}
