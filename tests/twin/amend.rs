//! A zone that changes in part against the same content sealed anew: whatever comes and goes, in however many steps at
//! once, all nodes and all answers are the same, and what does not fit leaves no trace.

use crate::chance::{self, Question};
use crate::naive::{self, SOA};
use crate::oracle::message;
use crate::oracle::names::{Wire, lowered};
use crate::support::desk::{self, Desk, Entry};
use crate::{expected_of, query, shown};
use hivedns::wire::name::Name;
use hivedns::wire::rtype::RecordType;
use hivedns::zone::amend::{Amendment, Outcome};
use hivedns::zone::history::Difference;
use hivedns::zone::plain;
use hivedns::zone::seal::Form;
use hivedns::zone::sink::Record;
use hivedns::zone::store::{Cursor, Node, node_flags};
use hivedns::zone::{Serial, Zone};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What happens between two versions.
#[derive(Debug, Clone)]
struct Change {
    gone: Vec<Index>,
    come: Vec<Entry>,
    /// MINIMUM of the new SOA.
    minimum: u32,
    /// A version is made after this change, or only after a later one.
    is_made: bool,
}

fn change(origin: Wire) -> impl Strategy<Value = Change> {
    let come = prop::collection::vec(chance::entry(origin), 0..6);
    let gone = prop::collection::vec(any::<Index>(), 0..6);
    (gone, come, 0..400u32, prop::bool::weighted(0.7)).prop_map(|(gone, come, minimum, is_made)| Change {
        gone,
        come,
        minimum,
        is_made,
    })
}

fn case() -> impl Strategy<Value = (naive::Zone, Vec<Change>, Vec<Question>)> {
    let origins = select(vec![&b"\x01z\0"[..], b"\x01z\0", b"\0", b"\x01Z\0", b"\x01*\x01z\0"]);
    origins.prop_flat_map(|origin| {
        let origin = origin.to_vec();
        (
            chance::zone(origin.clone()),
            prop::collection::vec(change(origin.clone()), 1..6),
            prop::collection::vec(chance::question(origin), 1..16),
        )
    })
}

/// What tells a record from others.
fn identity(entry: &Entry) -> (Wire, u16, Vec<u8>) {
    (lowered(&entry.owner), entry.rtype, naive::lowered_rdata(entry.rtype, &entry.rdata))
}

/// The zone with each record once, and one TTL for each set.
fn plain_zone(zone: &naive::Zone) -> naive::Zone {
    let mut seen = BTreeSet::new();
    let entries: Vec<Entry> =
        zone.entries.iter().filter(|entry| seen.insert(identity(entry))).cloned().collect();
    let ttl = |entry: &Entry| zone.names[&lowered(&entry.owner)][&entry.rtype][0].ttl;
    let entries = entries.into_iter().map(|entry| Entry { ttl: ttl(&entry), ..entry });
    naive::Zone::new(&zone.origin, entries.collect::<Vec<_>>())
}

fn entry(record: &Record<'_>) -> Entry {
    let Record { owner, rtype, ttl, rdata } = *record;
    Entry { owner: owner.to_vec(), rtype: rtype.0, ttl, rdata: rdata.to_vec() }
}

fn serial(soa: &Entry) -> u32 {
    let at = soa.rdata.len() - 20;
    u32::from_be_bytes(soa.rdata[at..at + 4].try_into().expect("four octets"))
}

/// The next version, and the difference that leads there.
fn next(zone: &naive::Zone, change: &Change) -> (naive::Zone, Difference) {
    let old_soa = &zone.entries[0];
    assert_eq!(old_soa.rtype, SOA);
    let mut soa = old_soa.clone();
    let at = soa.rdata.len() - 20;
    let (from, to) = (serial(old_soa), serial(old_soa).wrapping_add(1));
    soa.rdata[at..at + 4].copy_from_slice(&to.to_be_bytes());
    soa.rdata[at + 16..].copy_from_slice(&change.minimum.to_be_bytes());
    let known: BTreeSet<_> = zone.entries.iter().map(identity).collect();
    let mut rest = zone.entries[1..].to_vec();
    for gone in &change.gone {
        if !rest.is_empty() {
            rest.remove(gone.index(rest.len()));
        }
    }
    rest.extend(change.come.iter().filter(|entry| !known.contains(&identity(entry))).cloned());
    let new = plain_zone(&naive::Zone::new(&zone.origin, std::iter::once(soa).chain(rest)));
    let kept: BTreeSet<_> = new.entries.iter().map(identity).collect();
    let mut records = Vec::new();
    let mut write = |entry: &Entry| {
        let Entry { owner, rtype, ttl, rdata } = entry;
        plain::write(&mut records, &Record { owner, rtype: RecordType(*rtype), ttl: *ttl, rdata });
    };
    zone.entries.iter().filter(|entry| !kept.contains(&identity(entry))).for_each(&mut write);
    new.entries.iter().filter(|entry| !known.contains(&identity(entry))).for_each(&mut write);
    (new, Difference::new(Serial(from), Serial(to), records))
}

/// The same difference, and something more that cannot be: what was just said, once more.
fn with_nonsense(difference: &Difference) -> Arc<Difference> {
    let records = difference.records();
    let last = plain::records(records).last().expect("two SOAs at least");
    let mut nonsense = records.to_vec();
    plain::write(&mut nonsense, &last);
    Arc::new(Difference::new(difference.from(), difference.to(), nonsense))
}

/// All that a node says, but for the case of letters.
fn all_of(zone: &Zone, node: &Node<'_>) -> impl PartialEq + std::fmt::Debug + use<> {
    let flags = [
        node_flags::CUT,
        node_flags::OCCLUDED,
        node_flags::DNAME,
        node_flags::WILDCARD_CHILD,
        node_flags::CNAME,
        node_flags::BELOW_DNAME,
        node_flags::VIEWED,
    ];
    let sets = node.rrsets().map(|set| {
        let targets = set.targets().map(|target| (target.at, target.flags, target.hash, target.key.to_vec()));
        let targets: Vec<_> = targets.collect();
        let octets = set.sealed().octets.to_ascii_lowercase();
        (set.rtype(), set.records(), octets, set.pointers().to_vec(), targets)
    });
    let depth = if node.has(node_flags::OCCLUDED) { node.occluder_depth() } else { 0 };
    (node.key().to_vec(), flags.map(|flag| node.has(flag)), depth, sets.collect::<Vec<_>>(), zone.serial())
}

fn check_nodes(got: &Zone, expected: &Zone) -> Result<(), TestCaseError> {
    for node in expected.nodes() {
        let found = got.find(got.hash_of(node.key()), node.key());
        prop_assert!(found.is_some(), "{:?} is lost", node.key());
        let found = found.expect("asserted");
        prop_assert_eq!(all_of(got, &found), all_of(expected, &node));
    }
    prop_assert_eq!(got.nodes().count(), expected.nodes().count());
    prop_assert_eq!(got.record_count(), expected.record_count());
    let (mut place, mut walked) = (Cursor::default(), BTreeSet::new());
    while let Some((node, behind)) = got.next_node(place) {
        prop_assert!(walked.insert(node.key().to_vec()), "a node is met twice");
        place = behind;
    }
    prop_assert_eq!(walked.len(), expected.nodes().count());
    Ok(())
}

fn check_answers(zone: Zone, twin: &naive::Zone, questions: &[Question]) -> Result<(), TestCaseError> {
    let mut desk = Desk::new(desk::snapshot("twin", [zone]));
    for question in questions {
        let mut expected =
            naive::answer(std::slice::from_ref(twin), &lowered(&question.name), question.qtype);
        let query = query(question);
        let octets = desk.answer(&query).expect("a query gets an answer");
        let mut got = expected_of(&message::decode(octets).map_err(TestCaseError::fail)?);
        [&mut expected, &mut got].into_iter().for_each(|side| side.sections[2].sort());
        prop_assert!(got == expected, "{question:?}\ngot {}\nexpected {}", shown(&got), shown(&expected));
        let by_short = desk.answer_datagram(&query).map(<[u8]>::to_vec);
        prop_assert_eq!(by_short.as_deref(), desk.answer_datagram_generally(&query), "{:?}", question);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: super::config().cases / 2, ..super::config() })]

    #[test]
    fn a_zone_changed_in_place_is_the_zone_sealed_anew((zone, changes, questions) in case()) {
        let mut twin = plain_zone(&zone);
        let mut served = desk::zone_as(Form::Blocks, &twin.origin, &twin.entries).map_err(TestCaseError::fail)?;
        check_nodes(&served, &desk::zone(&twin.origin, &twin.entries).map_err(TestCaseError::fail)?)?;
        let mut changes = changes.iter().peekable();
        while changes.peek().is_some() {
            let mut amendment = Amendment::begin(&served);
            let (mut steps, mut differences) = (0, Vec::new());
            for change in changes.by_ref() {
                let (new, difference) = next(&twin, change);
                prop_assert!(amendment.take(&with_nonsense(&difference)).is_err());
                let later = Difference::new(difference.to(), difference.to(), difference.records().to_vec());
                prop_assert!(amendment.take(&Arc::new(later)).is_err());
                let difference = Arc::new(difference);
                let taken = amendment.take(&difference);
                differences.push(difference);
                prop_assert!(taken.is_ok(), "{taken:?}");
                prop_assert_eq!(amendment.serial().0, serial(&new.entries[0]));
                for (owner, sets) in &new.names {
                    let owner = Name::from_wire(owner).expect("a name");
                    prop_assert_eq!(amendment.records(&owner).len(), sets.values().map(Vec::len).sum::<usize>());
                }
                twin = new;
                steps += 1;
                if change.is_made {
                    break;
                }
            }
            let fresh = || desk::zone(&twin.origin, &twin.entries).map_err(TestCaseError::fail);
            let made = match amendment.finish() {
                Outcome::Zone(made) => *made,
                // What hides everything.
                Outcome::Anew(run, _) => {
                    let entries: Vec<Entry> = plain::records(&run).map(|record| entry(&record)).collect();
                    let made = desk::zone_as(Form::Blocks, &twin.origin, &entries).map_err(TestCaseError::fail)?;
                    let steps = served.history().then(differences, made.octets());
                    made.with_history(steps)
                }
            };
            check_nodes(&made, &fresh()?)?;
            prop_assert_eq!(made.history().steps(), served.history().steps() + steps);
            prop_assert!(made.history().since(served.serial()).is_some_and(|since| since.len() == steps));
            served = made;
        }
        check_answers(served, &twin, &questions)?;
    }
}
