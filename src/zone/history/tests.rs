//! What is found between two versions, and what of it is remembered.

use super::*;
use crate::wire::key::HashSeed;
use crate::wire::name::Name;
use crate::zone::draft::ZoneDraft;
use crate::zone::fault::{Faults, place_in};
use crate::zone::master::{self, Disk, Options};
use crate::zone::rdata::print;
use crate::zone::seal::seal;
use crate::zone::sink::RecordSink;
use std::collections::BTreeSet;
use std::path::Path;

fn zone(serial: u32, records: &str) -> Zone {
    let origin = Name::parse("z.").unwrap();
    let text = format!("$TTL 60\n@ SOA ns admin {serial} 2 3 4 5\n@ NS ns\n{records}");
    let mut draft = ZoneDraft::new(&origin, HashSeed::new([3; 16]));
    let mut faults = Faults::default();
    let options = Options { origin: &origin, ttl: None };
    let text: Box<[u8]> = text.into_bytes().into();
    let file: Arc<Path> = Arc::from(Path::new("z"));
    master::read(Box::new(std::io::Cursor::new(text)), file, options, &Disk, &mut draft, &mut faults);
    assert_eq!(faults.errors(), 0);
    seal(draft).0.unwrap()
}

/// Plain records as lines.
fn lines(run: &[u8]) -> Vec<String> {
    let line = |record: Record<'_>| {
        let mut text = String::new();
        print(record.rtype, record.rdata, &mut text).unwrap();
        let owner = Name::from_wire(record.owner).unwrap();
        format!("{owner} {} {} {text}", record.ttl, record.rtype)
    };
    plain::records(run).map(line).collect()
}

#[test]
fn a_step_says_what_goes_and_what_comes() {
    let old = zone(1, "a A 192.0.2.1\na A 192.0.2.2\nb MX 1 X\nc.d TXT t\ne 60 A 192.0.2.5\n");
    let new = zone(2, "a A 192.0.2.2\na A 192.0.2.3\nB MX 1 x\nf TXT t\ne 61 A 192.0.2.5\n");
    let new = succeed(&old, new);
    let [step] = &new.history().since(Serial(1)).unwrap()[..] else { panic!("one step") };
    let lines = lines(step.records());
    let second = lines.iter().rposition(|line| line.contains(" SOA ")).unwrap();
    assert!(lines[0].contains("SOA ns.z. admin.z. 1 ") && lines[second].contains("SOA ns.z. admin.z. 2 "));
    let sorted = |lines: &[String]| lines.iter().cloned().collect::<BTreeSet<_>>();
    let expected = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(
        sorted(&lines[1..second]),
        expected(&["a.z. 60 A 192.0.2.1", "c.d.z. 60 TXT \"t\"", "e.z. 60 A 192.0.2.5"])
    );
    assert_eq!(
        sorted(&lines[second + 1..]),
        expected(&["a.z. 60 A 192.0.2.3", "f.z. 60 TXT \"t\"", "e.z. 61 A 192.0.2.5"])
    );
}

#[test]
fn steps_follow_each_other_until_the_serial_does_not() {
    let mut current = zone(0xffff_fffe, "");
    for serial in [0xffff_ffff, 0, 1] {
        current = succeed(&current, zone(serial, &format!("a TXT {serial}\n")));
    }
    assert_eq!(current.history().steps(), 3);
    assert_eq!(current.history().since(Serial(0xffff_ffff)).map(|steps| steps.len()), Some(2));
    assert!(current.history().since(Serial(1)).is_none());
    // The same once more changes nothing.
    current = succeed(&current, zone(1, "a TXT 1\n"));
    assert_eq!(current.history().steps(), 3);
    // Another content of the same serial cannot be reached from anywhere.
    current = succeed(&current, zone(1, "a TXT other\n"));
    assert_eq!(current.history().steps(), 0);
    current = succeed(&current, zone(2, ""));
    assert_eq!(current.history().steps(), 1);
    current = succeed(&current, zone(1, ""));
    assert_eq!(current.history().steps(), 0);
}

#[test]
fn only_so_much_is_remembered() {
    let step = |serial: u32, octets: usize| {
        Arc::new(Difference::new(Serial(serial), Serial(serial + 1), vec![0; octets]))
    };
    let history = History::default().then((0..10_000).map(|serial| step(serial, 10)), 0);
    assert_eq!(history.steps(), (HISTORY_OCTETS_MIN / 10).min(HISTORY_STEPS_MAX));
    assert!(history.since(Serial(9_999)).is_some() && history.since(Serial(0)).is_none());
    let large = history.then([step(10_000, HISTORY_OCTETS_MIN)], 0);
    assert_eq!((large.steps(), large.octets()), (1, HISTORY_OCTETS_MIN));
    assert_eq!(large.then([step(10_001, HISTORY_OCTETS_MIN + 1)], 0).steps(), 0);
}

#[test]
fn a_zone_written_out_and_sealed_again_is_the_same() {
    let first = zone(7, "A.B A 192.0.2.1\n*.w MX 5 @\nw NS w\nc CNAME a.b\nt TXT a b\n");
    let mut draft = ZoneDraft::new(&Name::parse("z.").unwrap(), HashSeed::new([3; 16]));
    let run = plain::of_zone(&first);
    plain::records(&run).for_each(|record| draft.record(record, &place_in("z", 1, 1)));
    let second = seal(draft).0.unwrap();
    let sorted = |zone: &Zone| lines(&plain::of_zone(zone)).into_iter().collect::<BTreeSet<_>>();
    assert_eq!(sorted(&first), sorted(&second));
    assert!(!compare(&first, &second).differs);
    assert_eq!(plain::records(&run).count(), 7);
}

#[test]
fn runs_say_what_a_plain_list_would_and_the_versions_before_keep_theirs() {
    let (mut history, mut list, mut serial) = (History::default(), Vec::<Arc<Difference>>::new(), 0u32);
    let mut versions: Vec<(History, Vec<Arc<Difference>>)> = Vec::new();
    // As many at once as fill no run, one, and several; octets that sometimes leave no room for many.
    for (round, count) in [1, 62, 1, 1, 63, 64, 65, 3, 200, 1_000, 1, 900, 64, 2_100, 5]
        .into_iter()
        .cycle()
        .take(60)
        .enumerate()
    {
        let octets = match round {
            40 => HISTORY_OCTETS_MIN / 3,
            50 => HISTORY_OCTETS_MIN + 1,
            round => round % 13,
        };
        let added: Vec<Arc<Difference>> = (serial..serial + count)
            .map(|from| Arc::new(Difference::new(Serial(from), Serial(from + 1), vec![0; octets])))
            .collect();
        serial += count;
        history = history.then(added.iter().cloned(), 0);
        list.extend(added);
        let size = |list: &[Arc<Difference>]| list.iter().map(|step| step.records().len()).sum::<usize>();
        while list.len() > HISTORY_STEPS_MAX || size(&list) > HISTORY_OCTETS_MIN {
            list.remove(0);
        }
        versions.push((history.clone(), list.clone()));
    }
    for (history, list) in &versions {
        assert!(history.all().eq(list));
        let octets: usize = list.iter().map(|step| step.records().len()).sum();
        assert_eq!((history.steps(), history.octets()), (list.len(), octets));
        for at in [0, 1, list.len() / 2, list.len().saturating_sub(1)] {
            let Some(step) = list.get(at) else { continue };
            assert_eq!(history.since(step.from()).as_deref(), list.get(at..));
        }
        assert!(history.since(Serial(serial)).is_none());
    }
    let shared = |one: &History, other: &History| {
        one.runs.iter().filter(|run| other.runs.iter().any(|own| Arc::ptr_eq(run, own))).count()
    };
    let next = history.then([Arc::new(Difference::new(Serial(serial), Serial(serial + 1), vec![]))], 0);
    assert!(shared(&next, &history) + 2 >= next.runs.len(), "all but the first and the last are shared");
}
