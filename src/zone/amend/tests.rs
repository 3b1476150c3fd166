//! What is shared, what is refused, and zones with more names than a block has. That all else is right is shown against the
//! naive twin.

use super::*;
use crate::zone::draft::ZoneDraft;
use crate::zone::fault::{Faults, place_in};
use crate::zone::master::{self, Disk, Options};
use crate::zone::seal::{Form, seal, seal_as};
use crate::zone::sink::RecordSink;
use crate::zone::store::node_flags;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

/// More than one leaf of the table of blocks.
const NAMES: u32 = 9_000;

fn seed() -> HashSeed {
    HashSeed::new([9; 16])
}

fn draft(serial: u32, records: &str) -> ZoneDraft {
    let origin = Name::parse("z.").unwrap();
    let text = format!("$TTL 60\n@ SOA ns admin {serial} 2 3 4 5\n@ NS ns\n{records}");
    let (mut draft, mut faults) = (ZoneDraft::new(&origin, seed()), Faults::default());
    let options = Options { origin: &origin, ttl: None };
    let text: Box<[u8]> = text.into_bytes().into();
    let file: Arc<Path> = Arc::from(Path::new("z"));
    master::read(Box::new(std::io::Cursor::new(text)), file, options, &Disk, &mut draft, &mut faults);
    assert_eq!(faults.errors(), 0);
    draft
}

fn zone(serial: u32, records: &str) -> Zone {
    seal_as(draft(serial, records), Form::Blocks).0.unwrap()
}

/// What leads from one to the other.
fn difference(old: &Zone, serial: u32, records: &str) -> Arc<Difference> {
    let new = plain::of_zone(&seal(draft(serial, records)).0.unwrap());
    let old_run = plain::of_zone(old);
    let missing = |run: &[u8], other: &[u8], out: &mut Vec<u8>| {
        let known = |record: &Record<'_>| {
            let mut octets = Vec::new();
            plain::write(&mut octets, record);
            octets
        };
        let others: BTreeSet<Vec<u8>> = plain::records(other).map(|record| known(&record)).collect();
        // The SOA stands first.
        plain::records(run)
            .map(|record| known(&record))
            .filter(|octets| !others.contains(octets))
            .for_each(|octets| out.extend(octets));
    };
    let mut records = Vec::new();
    missing(&old_run, &new, &mut records);
    missing(&new, &old_run, &mut records);
    Arc::new(Difference::new(old.serial(), Serial(serial), records))
}

fn outcome(old: &Zone, step: &Arc<Difference>) -> Result<Outcome, Misfit> {
    let mut amendment = Amendment::begin(old);
    amendment.take(step)?;
    Ok(amendment.finish())
}

fn amended(old: &Zone, step: &Arc<Difference>) -> Zone {
    match outcome(old, step).unwrap() {
        Outcome::Zone(zone) => *zone,
        Outcome::Anew(_, why) => panic!("{why}"),
    }
}

/// What it is if it is sealed anew.
fn anew(old: &Zone, step: &Arc<Difference>) -> Zone {
    let Outcome::Anew(run, _) = outcome(old, step).unwrap() else { panic!("changed in part") };
    assert_eq!(plain::first(&run).unwrap().0.rtype, RecordType::SOA);
    let mut draft = ZoneDraft::new(old.origin(), seed());
    plain::records(&run).for_each(|record| draft.record(record, &place_in("z", 1, 1)));
    seal(draft).0.unwrap()
}

fn ids(zone: &Zone) -> BTreeSet<usize> {
    zone.nodes().map(|node| node.id()).collect()
}

/// The counts that a table of blocks keeps are those of its blocks.
fn counted(zone: &Zone) {
    let Blocks::Apart(directory) = &zone.store().blocks else { return };
    let sums = directory
        .blocks()
        .fold((0, 0), |(nodes, octets), block| (nodes + block.nodes(), octets + block.octets().len()));
    assert_eq!((directory.nodes, directory.octets), sums);
}

fn same(one: &Zone, other: &Zone) {
    [one, other].into_iter().for_each(counted);
    assert_eq!(one.nodes().count(), other.nodes().count());
    for node in one.nodes() {
        let found = other.find(other.hash_of(node.key()), node.key()).unwrap();
        assert_eq!(found.split().0, node.split().0, "{:?}", node.key());
    }
}

fn names(numbers: impl Iterator<Item = u32>) -> String {
    numbers.fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "n{number}.s{} A 192.0.2.{}", number % 7, number % 250);
        text
    })
}

#[test]
fn a_change_touches_few_blocks_and_all_others_are_shared() {
    let old = zone(1, &names(0..NAMES));
    let text = names(0..NAMES) + "n77.s0 TXT new\n";
    let new = amended(&old, &difference(&old, 2, &text));
    same(&seal(draft(2, &text)).0.unwrap(), &new);
    let touched = ids(&new).difference(&ids(&old)).count();
    // The name's block and the apex's.
    assert!((1..=256).contains(&touched), "{touched} nodes were written anew");
    assert_eq!((new.serial().0, new.record_count()), (2, NAMES as usize + 3));
}

#[test]
fn zones_grow_and_shrink_beyond_the_blocks_they_began_with() {
    let mut zone = zone(1, "");
    let mut to = 1;
    for (serial, count) in (2..).zip([500, 1_500, 4_000, 4_100, 900, 20, 0]) {
        let text = names(0..count);
        zone = amended(&zone, &difference(&zone, serial, &text));
        same(&seal(draft(serial, &text)).0.unwrap(), &zone);
        to = serial;
    }
    assert_eq!(zone.serial().0, to);
}

#[test]
fn what_changes_much_of_a_zone_is_sealed_anew() {
    let old = zone(1, &names(0..NAMES));
    for (old, text) in [
        (&old, names(NAMES..2 * NAMES)),
        (&old, names(0..NAMES) + "@ DNAME elsewhere.\n"),
        (
            &old,
            names(0..NAMES).replace("s3 ", "s4 ")
                + "a RRSIG A 8 2 60 20300101000000 20200101000000 1 z. AAAA\n",
        ),
        // Nor does it lie in blocks.
        (&seal(draft(1, "a A 192.0.2.1\nb.c A 192.0.2.1\n")).0.unwrap(), "b.c A 192.0.2.2\n".to_owned()),
    ] {
        let anew = anew(old, &difference(old, 2, &text));
        let expected = seal(draft(2, &text)).0.unwrap();
        assert!(anew.nodes().count() == expected.nodes().count() && anew.serial().0 == 2);
        for node in expected.nodes() {
            let found = anew.find(anew.hash_of(node.key()), node.key()).unwrap();
            assert_eq!(found.rrsets().count(), node.rrsets().count());
            assert_eq!(found.has(node_flags::OCCLUDED), node.has(node_flags::OCCLUDED));
        }
        assert_eq!(anew.record_count(), expected.record_count());
    }
}

#[test]
fn a_delegation_comes_and_goes_with_its_glue_and_with_what_nobody_speaks_of() {
    let base = names(0..200) + "a.cut A 192.0.2.1\nb.c.cut A 192.0.2.2\n";
    let glue = base.clone() + "cut NS a.cut\ncut NS x.y.cut\nx.y.cut A 192.0.2.3\n";
    let mut zone = zone(1, &base);
    for (serial, text) in (2..).zip([&glue, &base, &glue]) {
        zone = amended(&zone, &difference(&zone, serial, text));
        same(&seal(draft(serial, text)).0.unwrap(), &zone);
    }
}

#[test]
fn what_cannot_be_is_refused_with_its_name() {
    let base = "a A 192.0.2.1\nc CNAME a\n";
    let old = zone(1, base);
    let of = |gone: &[(&str, RecordType, &[u8])], come: &[(&str, RecordType, &[u8])]| {
        let soa = difference(&old, 2, base);
        let mut soas = plain::records(soa.records());
        let mut records = Vec::new();
        for side in [gone, come] {
            plain::write(&mut records, &soas.next().unwrap());
            for (owner, rtype, rdata) in side {
                let owner = Name::parse(owner).unwrap();
                plain::write(&mut records, &Record { owner: owner.as_wire(), rtype: *rtype, ttl: 60, rdata });
            }
        }
        let step = Arc::new(Difference::new(Serial(1), Serial(2), records));
        outcome(&old, &step).map(|_| ()).unwrap_err().to_string()
    };
    let (a, target) = (&[192, 0, 2, 1][..], Name::parse("x.z.").unwrap());
    assert_eq!(of(&[("b.z.", RecordType::A, a)], &[]), "b.z.: a record A goes, but is not there");
    assert_eq!(of(&[], &[("A.z.", RecordType::A, a)]), "A.z.: a record A comes, but is there already");
    assert_eq!(of(&[], &[("c.z.", RecordType::A, a)]), "c.z.: A beside a CNAME (RFC 1034 §3.6.2)");
    assert_eq!(of(&[], &[("c.z.", RecordType::CNAME, target.as_wire())]), "c.z.: a second CNAME");
    assert_eq!(of(&[], &[("y.", RecordType::A, a)]), "y.: lies outside of the zone");
    assert_eq!(
        of(&[], &[("z.", RecordType::CNAME, target.as_wire())]),
        "z.: NS beside a CNAME (RFC 1034 §3.6.2)"
    );
}

#[test]
fn a_set_that_does_not_fit_in_a_message_is_refused_with_its_step_and_nothing_else() {
    let old = zone(1, "a TXT first\n");
    let text = |number: u32| {
        let mut rdata = vec![255];
        rdata.extend(format!("{number:0255}").bytes());
        rdata
    };
    let soa = difference(&old, 2, "a TXT first\n");
    let owner = Name::parse("a.z.").unwrap();
    // A step of so many records, with a serial more.
    let step = |from: u32, numbers: std::ops::Range<u32>| {
        let mut records = Vec::new();
        for serial in [from, from + 1] {
            let mut rdata = plain::first(soa.records()).unwrap().0.rdata.to_vec();
            let at = rdata.len() - 20;
            rdata[at..at + 4].copy_from_slice(&serial.to_be_bytes());
            let record = Record { owner: &b"\x01z\0"[..], rtype: RecordType::SOA, ttl: 60, rdata: &rdata };
            plain::write(&mut records, &record);
        }
        for number in numbers {
            let rdata = text(number);
            let record = Record { owner: owner.as_wire(), rtype: RecordType::TXT, ttl: 60, rdata: &rdata };
            plain::write(&mut records, &record);
        }
        Arc::new(Difference::new(Serial(from), Serial(from + 1), records))
    };
    // Header, question, the record that is there; then 268 octets each.
    let most = ((65_535 - 12 - (5 + 4) - 18) / 268) as u32;
    let mut amendment = Amendment::begin(&old);
    amendment.take(&step(1, 0..most - 1)).unwrap();
    let refused = amendment.take(&step(2, most - 1..most + 1)).unwrap_err().to_string();
    assert_eq!(refused, "a.z.: the set of TXT does not fit in a message");
    assert_eq!((amendment.serial().0, amendment.records(&owner).len()), (2, most as usize));
    amendment.take(&step(2, most - 1..most)).unwrap();
    let Outcome::Zone(new) = amendment.finish() else { panic!("it fits") };
    let node = new.node_of(b"\x01a").unwrap();
    assert_eq!(node.rrset(RecordType::TXT).unwrap().records(), most as u16 + 1);
    counted(&new);
    // A name has so many types at most, too.
    let of_types = |count: u16| {
        let mut records = step(1, 0..0).records().to_vec();
        for rtype in (0..count).map(|number| RecordType(0x8100 + number)) {
            plain::write(&mut records, &Record { owner: owner.as_wire(), rtype, ttl: 60, rdata: &[1] });
        }
        outcome(&old, &Arc::new(Difference::new(Serial(1), Serial(2), records))).map(|_| ())
    };
    assert_eq!(of_types(254), Ok(()));
    assert_eq!(of_types(255).unwrap_err().to_string(), "a.z.: more than 255 types");
}

#[test]
fn a_set_gets_another_ttl_when_all_of_it_goes_and_comes() {
    let old = zone(1, "a 60 A 192.0.2.1\na 60 A 192.0.2.2\n");
    let text = "a 90 A 192.0.2.1\na 90 A 192.0.2.2\n";
    let new = amended(&old, &difference(&old, 2, text));
    let mut draft = ZoneDraft::new(new.origin(), seed());
    plain::records(&plain::of_zone(&new)).for_each(|record| draft.record(record, &place_in("z", 1, 1)));
    let ttls: Vec<u32> = plain::records(&plain::of_zone(&new))
        .filter(|record| record.rtype == RecordType::A)
        .map(|record| record.ttl)
        .collect();
    assert_eq!(ttls, [90, 90]);
    same(&seal(draft).0.unwrap(), &new);
}
