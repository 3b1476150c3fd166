//! Whatever is asked, in whatever order.

use super::*;
use crate::zone::fault::place_in;
use crate::zone::plain::Unsealer;
use crate::zone::sink::{Record, RecordSink};
use proptest::prelude::*;

/// Seals what the steps make of a zone, by the simplest means.
fn after(zone: &Zone, steps: &[Vec<Change>]) -> Zone {
    let mut records: Vec<(Vec<u8>, RecordType, u32, Vec<u8>)> = Vec::new();
    Unsealer::default().all(zone, |record| {
        records.push((record.owner.to_ascii_lowercase(), record.rtype, record.ttl, record.rdata.to_vec()));
    });
    for change in steps.iter().flatten() {
        let owner = change.name.to_lowercase();
        records.retain(|(name, rtype, ..)| *name != owner.as_wire() || *rtype != change.rtype);
        let set = change.after.iter().flat_map(|set| set.rdatas().map(|rdata| (set.ttl, rdata.to_vec())));
        records.extend(set.map(|(ttl, rdata)| (owner.as_wire().to_vec(), change.rtype, ttl, rdata)));
    }
    let mut draft = ZoneDraft::new(zone.origin(), HashSeed::new(SEED));
    for (line, (owner, rtype, ttl, rdata)) in (1..).zip(&records) {
        draft.record(Record { owner, rtype: *rtype, ttl: *ttl, rdata }, &place_in("z", line, 1));
    }
    let (sealed, faults) = seal(draft);
    assert_eq!(faults.errors() + faults.warnings(), 0, "{faults:?}");
    sealed.unwrap()
}

/// Words that make lines, valid and not.
fn line() -> impl Strategy<Value = String> {
    let owner = prop_oneof![
        Just("@"),
        Just("a"),
        Just("alias"),
        Just("b.ent"),
        Just("ent"),
        Just("new"),
        Just("sub"),
        Just("dn"),
        Just("y.")
    ];
    let data = prop_oneof![
        Just("A 192.0.2.3"),
        Just("A 192.0.2.9"),
        Just("TXT x"),
        Just("CNAME a"),
        Just("NS ns"),
        Just("NS ns2"),
        Just("MX 10 mail"),
        Just("DNAME d"),
        Just("SOA ns host 12 2 3 4 5"),
        Just("SOA ns host 10 9 3 4 5"),
    ];
    let rtype = prop_oneof![
        Just("A"),
        Just("TXT"),
        Just("CNAME"),
        Just("NS"),
        Just("SOA"),
        Just("MX"),
        Just("DNAME")
    ];
    prop_oneof![
        6 => (owner.clone(), 0..3u32, data.clone()).prop_map(|(owner, ttl, data)| format!("add {owner} {ttl} {data}")),
        3 => (owner.clone(), data.clone()).prop_map(|(owner, data)| format!("delete {owner} {data}")),
        2 => (owner.clone(), rtype.clone()).prop_map(|(owner, rtype)| format!("delete {owner} {rtype}")),
        1 => owner.clone().prop_map(|owner| format!("delete {owner}")),
        1 => (owner.clone(), rtype.clone()).prop_map(|(owner, rtype)| format!("prereq yxrrset {owner} {rtype}")),
        1 => (owner.clone(), rtype).prop_map(|(owner, rtype)| format!("prereq nxrrset {owner} {rtype}")),
        1 => owner.prop_map(|owner| format!("prereq yxdomain {owner}")),
    ]
}

proptest! {
    #[test]
    fn whatever_is_asked_a_zone_stays_one_and_who_fails_leaves_no_trace(
        updates in proptest::collection::vec(proptest::collection::vec(line(), 1..6), 1..8)
    ) {
        let zone = zone_of(ZONE);
        let messages: Vec<Vec<u8>> = updates.iter().map(|update| lines(&update.join("\n"))).collect();
        let outcomes = judge(&zone, &messages);
        let steps: Vec<Vec<Change>> = outcomes.iter().filter_map(|outcome| outcome.clone().ok()).collect();
        // Without those that failed it is all the same.
        let sound = messages.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_ok());
        let sound: Vec<Vec<u8>> = sound.map(|(message, _)| message.clone()).collect();
        let alone: Vec<Vec<Change>> = judge(&zone, &sound).into_iter().map(Result::unwrap).collect();
        prop_assert_eq!(&alone, &steps);
        // Each leads on from where the one before has led to, and at last to a zone without a fault.
        let mut serial = zone.serial();
        for step in steps.iter().filter_map(|changes| difference(changes)) {
            prop_assert_eq!(step.from(), serial);
            prop_assert!(serial.is_before(step.to()));
            serial = step.to();
        }
        let last = after(&zone, &steps);
        prop_assert_eq!(last.serial(), serial);
        prop_assert!(last.apex().rrset(RecordType::NS).is_some());
        // One after another over sealed zones is the same as all of them at once.
        let mut singly = zone;
        for message in &messages {
            if let Some(Ok(changes)) = judge(&singly, &[message.clone()]).pop() {
                singly = after(&singly, &[changes]);
            }
        }
        let sorted = |zone: &Zone| {
            let mut all: Vec<Vec<u8>> = Vec::new();
            Unsealer::default().all(zone, |record| {
                let mut octets = Vec::new();
                plain::write(&mut octets, record);
                all.push(octets.to_ascii_lowercase());
            });
            all.sort();
            all
        };
        prop_assert_eq!(sorted(&singly), sorted(&last));
    }

    #[test]
    fn octets_never_make_it_panic(at in 12..200usize, octet: u8, len in 0..200usize) {
        let mut message = lines("prereq yxdomain a\nprereq yxrrset a A 192.0.2.3\nadd new 5 MX 10 mail\ndelete a TXT\ndelete a A 192.0.2.3");
        let at = at % message.len();
        message[at] = octet;
        message.truncate(message.len() - len.min(message.len()) / 3);
        let _ = judge(&zone_of(ZONE), &[message]);
    }
}
