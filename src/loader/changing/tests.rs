//! What is there after a restart, whatever came before it and wherever a crash came; and files beside updates.

use super::*;
use crate::loader::updates::Propose;
use crate::wire::rtype::RecordType;
use crate::zone::plain;
use crate::zone::sink::Record;
use crossbeam::channel::{Receiver, unbounded};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

mod aside;

const THEN: SystemTime = SystemTime::UNIX_EPOCH;

/// A directory, and those who use it one after the other.
struct Place {
    dir: PathBuf,
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Place {
    fn new(name: &str) -> Place {
        let dir = std::env::temp_dir().join(format!("hivedns-changing-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Place { dir }
    }

    fn zones(&self) -> Zones {
        Zones::new(&self.dir)
    }

    /// A new life, and the copies that are written in it.
    fn start(&self) -> (Changing, Receiver<Copied>) {
        let (told, copies) = unbounded();
        let copier = Copier::start(move |copied| drop(told.send(copied))).unwrap();
        (Changing::new(seed(), Some(self.zones()), copier), copies)
    }

    /// All of it, as it is at this moment.
    fn photograph(&self, name: &str) -> Place {
        let other = Place::new(name);
        for file in fs::read_dir(&self.dir).unwrap() {
            let file = file.unwrap();
            let copy = other.dir.join(file.file_name());
            fs::copy(file.path(), &copy).unwrap();
            let checked = file.metadata().unwrap().modified().unwrap();
            fs::File::options().write(true).open(copy).unwrap().set_modified(checked).unwrap();
        }
        other
    }

    fn file(&self, serial: u32, records: &str) -> PathBuf {
        let path = self.dir.join("master");
        fs::write(&path, format!("$TTL 60\n@ SOA ns admin {serial} 2 3 4 5\n@ NS ns\n{records}")).unwrap();
        path
    }
}

fn seed() -> HashSeed {
    HashSeed::new([7; 16])
}

fn origin() -> Name {
    Name::parse("z.").unwrap()
}

/// RDATA of a SOA.
fn soa(serial: u32) -> Vec<u8> {
    [&b"\x02ns\x01z\0\x05admin\x01z\0"[..], &[serial, 2, 3, 4, 5].map(u32::to_be_bytes).concat()].concat()
}

/// A number as the data of a TXT.
fn txt(number: u32) -> Vec<u8> {
    [&[4][..], &number.to_be_bytes()].concat()
}

fn write(out: &mut Vec<u8>, owner: &str, rtype: RecordType, rdata: &[u8]) {
    let owner = Name::parse(owner).unwrap();
    plain::write(out, &Record { owner: owner.as_wire(), rtype, ttl: 60, rdata });
}

/// A zone of that serial with so many names.
fn whole(serial: u32, names: u32) -> Vec<u8> {
    let mut run = Vec::new();
    write(&mut run, "z.", RecordType::SOA, &soa(serial));
    write(&mut run, "z.", RecordType::NS, b"\x02ns\x01z\0");
    (0..names).for_each(|name| write(&mut run, &format!("n{name}.z."), RecordType::TXT, &txt(0)));
    run
}

/// From a serial to the next: a name comes.
fn step(from: u32) -> Difference {
    step_of(from, &txt(from))
}

fn step_of(from: u32, rdata: &[u8]) -> Difference {
    let mut records = Vec::new();
    write(&mut records, "z.", RecordType::SOA, &soa(from));
    write(&mut records, "z.", RecordType::SOA, &soa(from + 1));
    write(&mut records, &format!("s{from}.z."), RecordType::TXT, rdata);
    Difference::new(Serial(from), Serial(from + 1), records)
}

fn steps(range: std::ops::Range<u32>) -> Received {
    Received::Steps(range.map(|from| Arc::new(step(from))).collect())
}

fn arrival(received: Received) -> Arrival {
    Arrival { origin: origin(), old: None, received, at: THEN + Duration::from_secs(9), is_kept: true }
}

/// An update that adds a name under the serial at hand; what became of it.
fn update(number: u32) -> (Update, Receiver<Result<(), Unmade>>) {
    let (told, outcome) = unbounded();
    let propose: Propose = Box::new(move |amendment| {
        let from = amendment.serial().0;
        let mut records = Vec::new();
        write(&mut records, "z.", RecordType::SOA, &soa(from));
        write(&mut records, "z.", RecordType::SOA, &soa(from + 1));
        write(&mut records, &format!("u{number}.z."), RecordType::TXT, &txt(number));
        Some(Difference::new(Serial(from), Serial(from + 1), records))
    });
    (Update { origin: origin(), propose, done: Box::new(move |done| drop(told.send(done))) }, outcome)
}

fn sorted(zone: &Zone) -> Vec<Vec<u8>> {
    let run = plain::of_zone(zone);
    let mut all: Vec<Vec<u8>> = plain::records(&run)
        .map(|record| {
            let mut octets = Vec::new();
            plain::write(&mut octets, &record);
            octets
        })
        .collect();
    all.sort();
    all
}

fn has(zone: &Zone, name: &str) -> bool {
    let name = Name::parse(name).unwrap();
    let key = &name.as_wire()[..name.as_wire().len() - 3];
    zone.find(zone.hash_of(key), key).is_some()
}

#[test]
fn what_was_transferred_is_there_after_a_restart_with_its_history() {
    let place = Place::new("transferred");
    let (mut changing, _) = place.start();
    assert!(changing.restore(&origin()).zone.is_none());
    assert!(changing.put(arrival(steps(1..2))).zone.is_none(), "steps from nowhere");
    assert_eq!(changing.put(arrival(Received::Whole(whole(1, 50)))).zone.unwrap().serial(), Serial(1));
    assert!(changing.put(arrival(steps(2..3))).zone.is_none(), "steps from elsewhere");
    let copy = fs::read(place.zones().path("z.")).unwrap();
    for from in [1, 3] {
        let zone = changing.put(arrival(steps(from..from + 2))).zone.unwrap();
        let photograph = place.photograph("transferred-again");
        let (mut again, _) = photograph.start();
        let restored = again.restore(&origin());
        assert_eq!(restored.checked, Some(THEN + Duration::from_secs(9)));
        let restored = restored.zone.unwrap();
        assert_eq!(restored.serial(), zone.serial());
        assert_eq!(sorted(&restored), sorted(&zone));
        assert_eq!(restored.history().since(Serial(1)).map(|steps| steps.len()), Some(from as usize + 1));
        // And it goes on from there.
        let next = again.put(arrival(steps(from + 2..from + 3))).zone.unwrap();
        assert_eq!(next.history().steps(), from as usize + 2);
    }
    assert!(fs::read(place.zones().path("z.")).unwrap() == copy, "the copy is not written for each change");
    // All of it anew: what led to the old one is gone, as it is if the same serial comes with other content.
    for serial in [9, 9] {
        let zone = changing.put(arrival(Received::Whole(whole(serial, 3)))).zone.unwrap();
        let photograph = place.photograph("transferred-again");
        let (mut again, _) = photograph.start();
        assert_eq!(sorted(&again.restore(&origin()).zone.unwrap()), sorted(&zone));
    }
    changing.check(&origin(), THEN + Duration::from_secs(60));
    let (mut again, _) = place.start();
    assert_eq!(again.restore(&origin()).checked, Some(THEN + Duration::from_secs(60)));
}

#[test]
fn a_copy_that_is_torn_and_one_whose_changes_do_not_fit_are_set_aside() {
    let place = Place::new("torn");
    let (mut changing, _) = place.start();
    changing.put(arrival(Received::Whole(whole(1, 5))));
    changing.put(arrival(steps(1..4)));
    let (path, changes) = (place.zones().path("z."), place.zones().changes_path("z."));
    // The changes of another zone: they say that something goes that is not there.
    let other = place.photograph("torn-other");
    other.zones().write("z.", &whole(3, 1), THEN).unwrap();
    let mut records = Vec::new();
    write(&mut records, "z.", RecordType::SOA, &soa(3));
    write(&mut records, "none.z.", RecordType::TXT, &txt(3));
    write(&mut records, "z.", RecordType::SOA, &soa(4));
    let odd =
        crate::disk::changes::Step { from: 3, to: 4, records: records.into(), note: Default::default() };
    other.zones().begin_changes("z.", &[]).unwrap().append(&[odd]).unwrap();
    let (mut again, _) = other.start();
    let zone = again.restore(&origin()).zone.unwrap();
    assert_eq!((zone.serial(), other.zones().changes_path("z.").exists()), (Serial(3), false));
    let zone = again.put(arrival(steps(3..4))).zone.unwrap();
    let (mut again, _) = other.start();
    assert_eq!(sorted(&again.restore(&origin()).zone.unwrap()), sorted(&zone));
    // Torn.
    let octets = fs::read(&path).unwrap();
    fs::write(&path, &octets[..octets.len() - 1]).unwrap();
    let (mut again, _) = place.start();
    let torn = again.restore(&origin());
    assert!(torn.zone.is_none() && torn.faults.errors() == 1 && !path.exists() && !changes.exists());
}

#[test]
fn changes_that_outgrow_the_copy_become_a_new_one_and_no_moment_of_it_loses_any() {
    let place = Place::new("outgrown");
    let (mut changing, copies) = place.start();
    changing.put(arrival(Received::Whole(whole(1, 5))));
    let check = |place: &Place, serial: u32| {
        let copy = place.photograph("outgrown-again");
        let (mut again, _) = copy.start();
        let zone = again.restore(&origin()).zone.unwrap();
        assert_eq!(zone.serial(), Serial(serial));
        assert_eq!(zone.record_count() as u32, 7 + serial - 1);
    };
    let (mut serial, mut turns) = (1, 0);
    let text = txt(7).repeat(8_000);
    // The first copy is small: each time a megabyte of changes is what it takes.
    while turns < 3 {
        let large = (serial..serial + 10).map(|from| Arc::new(step_of(from, &text)));
        changing.put(arrival(Received::Steps(large.collect())));
        serial += 10;
        let is_copying = matches!(changing.all[&origin()].kept, Kept::Changes { copying: Some(_), .. });
        if is_copying {
            check(&place, serial);
            changing.put(arrival(steps(serial..serial + 1)));
            serial += 1;
            check(&place, serial);
            let copied = copies.recv_timeout(Duration::from_secs(60)).unwrap();
            check(&place, serial);
            changing.copied(copied);
            check(&place, serial);
            turns += 1;
        }
    }
    let earlier = fs::metadata(place.dir.join("earlier.z")).unwrap().len();
    assert!(earlier < 4 << 20, "{earlier} octets of earlier changes");
    let (mut again, _) = place.start();
    let restored = again.restore(&origin()).zone.unwrap();
    let zone = &changing.all[&origin()].zone;
    assert_eq!(sorted(&restored), sorted(zone));
    // As far as two files go back.
    assert!(restored.history().steps() >= 62, "{}", restored.history().steps());
}

#[test]
fn whatever_a_crash_leaves_of_the_changes_a_version_is_there_that_was_and_none_before_the_last_on_disk() {
    let place = Place::new("crash");
    let (mut changing, _) = place.start();
    changing.put(arrival(Received::Whole(whole(1, 5))));
    let changes = place.zones().changes_path("z.");
    changing.put(arrival(steps(1..3)));
    let acknowledged = fs::read(&changes).unwrap().len();
    changing.put(arrival(steps(3..4)));
    let octets = fs::read(&changes).unwrap();
    for len in acknowledged..=octets.len() {
        let other = place.photograph("crash-again");
        fs::write(other.zones().changes_path("z."), &octets[..len]).unwrap();
        let (mut again, _) = other.start();
        let zone = again.restore(&origin()).zone.unwrap();
        assert_eq!(zone.serial(), Serial(if len == octets.len() { 4 } else { 3 }), "{len}");
    }
}

#[test]
fn updates_of_a_file_are_made_together_and_outlive_the_process_while_the_file_is_as_it_was() {
    let place = Place::new("updates");
    let file = place.file(10, "a A 192.0.2.1\n");
    let (mut changing, _) = place.start();
    assert_eq!(changing.load_file(&origin(), &file, None).zone.unwrap().serial(), Serial(10));
    for group in 0..3 {
        let (updates, outcomes): (Vec<_>, Vec<_>) = (0..4).map(|number| update(group * 4 + number)).unzip();
        let before = place.zones().updated().changes_path("z.").metadata().map_or(0, |file| file.len());
        let updated = changing.update(&origin(), updates);
        let zone = updated.zone.unwrap();
        assert_eq!((zone.serial().0, updated.made.len()), (14 + group * 4, 4));
        assert!(place.zones().updated().changes_path("z.").metadata().unwrap().len() > before, "on disk");
        assert!(outcomes.iter().all(Receiver::is_empty), "told when it is served");
        updated.made.into_iter().for_each(|done| done(Ok(())));
        assert!(outcomes.iter().all(|outcome| outcome.recv() == Ok(Ok(()))));
        let photograph = place.photograph("updates-again");
        let (mut again, _) = photograph.start();
        let restored = again.load_file(&origin(), &file, None);
        assert_eq!((restored.faults.errors(), sorted(&restored.zone.unwrap())), (0, sorted(&zone)));
    }
    // An update that has failed by its own prerequisites, one that cannot be, and one that goes well.
    let nothing = Update { propose: Box::new(|_| None), ..update(0).0 };
    let (twice, refused) = update(3);
    let (good, _) = update(99);
    let updated = changing.update(&origin(), vec![nothing, twice, good]);
    assert_eq!((updated.zone.unwrap().serial().0, updated.made.len()), (23, 2));
    assert!(matches!(refused.recv(), Ok(Err(Unmade::Misfit(_)))));
    let (stranger, refused) = update(1);
    changing.update(&Name::parse("y.").unwrap(), vec![stranger]);
    assert_eq!(refused.recv(), Ok(Err(Unmade::NotServed)));
    // A comment is no change, nor is a restart.
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("; by hand\n{text}")).unwrap();
    let (mut again, _) = place.start();
    let loaded = again.load_file(&origin(), &file, None);
    assert_eq!((loaded.faults.errors(), loaded.zone.unwrap().serial().0), (0, 23));
}

#[test]
fn a_file_that_was_changed_by_hand_needs_a_later_serial_and_then_replaces_what_updates_changed() {
    let place = Place::new("edited");
    let file = place.file(10, "a A 192.0.2.1\n");
    let (mut changing, _) = place.start();
    changing.load_file(&origin(), &file, None);
    // As long as nothing was updated a file is a file.
    place.file(10, "a A 192.0.2.2\n");
    changing.load_file(&origin(), &file, None);
    place.file(9, "a A 192.0.2.3\n");
    assert_eq!(changing.load_file(&origin(), &file, None).zone.unwrap().serial(), Serial(9));
    place.file(10, "a A 192.0.2.1\n");
    changing.load_file(&origin(), &file, None);
    changing.update(&origin(), vec![update(1).0, update(2).0]);
    for serial in [10, 12, 9] {
        place.file(serial, "b A 192.0.2.1\n");
        for changing in [&mut changing, &mut place.start().0] {
            let loaded = changing.load_file(&origin(), &file, None);
            let zone = loaded.zone.unwrap();
            assert!(loaded.faults.errors() == 1 && has(&zone, "u2.z.") && zone.serial() == Serial(12));
        }
    }
    place.file(13, "b A 192.0.2.1\n");
    let zone = changing.load_file(&origin(), &file, None).zone.unwrap();
    assert!(has(&zone, "b.z.") && !has(&zone, "u2.z.") && zone.serial() == Serial(13));
    assert_eq!(zone.history().since(Serial(12)).map(|steps| steps.len()), Some(1));
    let aside = fs::read_dir(&place.dir)
        .unwrap()
        .filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().contains("broken-1"));
    assert_eq!(aside.count(), 2, "the copy, and the changes");
    // It goes on from there.
    let updated = changing.update(&origin(), vec![update(7).0]).zone.unwrap();
    let (mut again, _) = place.start();
    assert_eq!(sorted(&again.load_file(&origin(), &file, None).zone.unwrap()), sorted(&updated));
}

#[test]
fn a_secondary_that_becomes_a_primary_and_back_has_its_own_copy_each_time_and_loses_no_update() {
    let place = Place::new("roles");
    let file = place.file(10, "a A 192.0.2.1\n");
    let (mut changing, _) = place.start();
    // A secondary, with a copy and changes, at a later serial than the file's.
    changing.put(arrival(Received::Whole(whole(20, 3))));
    let transferred = changing.put(arrival(steps(20..22))).zone.unwrap();
    // As a primary it is its file: in this life and in the next.
    for changing in [&mut changing, &mut place.start().0] {
        let loaded = changing.load_file(&origin(), &file, Some(&transferred));
        assert_eq!(loaded.faults.errors(), 0);
        let zone = loaded.zone.unwrap();
        assert!(has(&zone, "a.z.") && !has(&zone, "n0.z.") && zone.serial() == Serial(10));
    }
    let updated = changing.update(&origin(), vec![update(1).0, update(2).0]).zone.unwrap();
    assert_eq!(updated.serial(), Serial(12));
    // As a secondary it is what was transferred, and goes on from there; a primary's word of its file is none there.
    for restart in [false, true] {
        let mut next = place.start().0;
        let changing = if restart { &mut next } else { &mut changing };
        let restored = changing.restore(&origin());
        assert_eq!(restored.checked, Some(THEN + Duration::from_secs(9)));
        assert_eq!(sorted(&restored.zone.unwrap()), sorted(&transferred));
        let (late, refused) = update(9);
        changing.update(&origin(), vec![late]);
        assert_eq!(refused.recv(), Ok(Err(Unmade::NotServed)));
        // And as a primary it has what was acknowledged, under the serial that it had.
        let loaded = changing.load_file(&origin(), &file, Some(&transferred));
        assert_eq!((loaded.faults.errors(), sorted(&loaded.zone.unwrap())), (0, sorted(&updated)));
        // What comes late of the secondary that it was does not touch that.
        changing.check(&origin(), THEN + Duration::from_secs(99));
        let loaded = changing.load_file(&origin(), &file, None);
        assert_eq!(sorted(&loaded.zone.unwrap()), sorted(&updated));
    }
    let secondary = &mut place.start().0;
    secondary.restore(&origin());
    let next = secondary.put(arrival(steps(22..23))).zone.unwrap();
    assert_eq!(sorted(&place.start().0.restore(&origin()).zone.unwrap()), sorted(&next));
    // A secondary that is let go takes nothing else with it.
    secondary.forget(&origin());
    assert!(place.start().0.restore(&origin()).zone.is_none());
    let loaded = place.start().0.load_file(&origin(), &file, None);
    assert_eq!(sorted(&loaded.zone.unwrap()), sorted(&updated));
}

#[test]
fn a_primary_whose_changes_lie_under_a_former_version_s_names_has_them() {
    let place = Place::new("former");
    let file = place.file(10, "");
    let (mut changing, _) = place.start();
    changing.load_file(&origin(), &file, None);
    let updated = changing.update(&origin(), vec![update(1).0]).zone.unwrap();
    for name in ["zone.z", "changes.z"] {
        fs::rename(place.dir.join(format!("updated-{name}")), place.dir.join(name)).unwrap();
    }
    // Nor is that a secondary's copy.
    assert!(place.photograph("former-again").start().0.restore(&origin()).zone.is_none());
    let (mut again, _) = place.start();
    assert_eq!(sorted(&again.load_file(&origin(), &file, None).zone.unwrap()), sorted(&updated));
}

#[test]
fn an_update_that_the_disk_does_not_take_is_not_made() {
    let place = Place::new("failing");
    let file = place.file(10, "");
    let (mut changing, _) = place.start();
    changing.load_file(&origin(), &file, None);
    let updated = changing.update(&origin(), vec![update(1).0]);
    assert!(updated.zone.is_some());
    let moved = place.dir.with_extension("moved");
    let text = fs::read(&file).unwrap();
    // The first needs a new copy: its directory is gone.
    fs::rename(&place.dir, &moved).unwrap();
    let (large, refused) = update(2);
    let propose: Propose = Box::new(|amendment| {
        let from = amendment.serial().0;
        let mut records = Vec::new();
        write(&mut records, "z.", RecordType::SOA, &soa(from));
        write(&mut records, "z.", RecordType::SOA, &soa(from + 1));
        for number in 0..80_000 {
            let name = format!("{}.l{number}.z.", "long".repeat(10));
            write(&mut records, &name, RecordType::TXT, &txt(number));
        }
        Some(Difference::new(Serial(from), Serial(from + 1), records))
    });
    let updated = changing.update(&origin(), vec![Update { propose, ..large }]);
    assert!(updated.zone.is_none() && updated.made.is_empty());
    assert!(matches!(refused.recv(), Ok(Err(Unmade::Unkept(_)))));
    fs::rename(&moved, &place.dir).unwrap();
    fs::write(&file, text).unwrap();
    let loaded = changing.load_file(&origin(), &file, None).zone.unwrap();
    assert!(has(&loaded, "u1.z.") && loaded.serial() == Serial(11));
    let updated = changing.update(&origin(), vec![update(3).0]).zone.unwrap();
    let (mut again, _) = place.start();
    assert_eq!(sorted(&again.load_file(&origin(), &file, None).zone.unwrap()), sorted(&updated));
    // Nor is one made without a directory.
    let copier = Copier::start(|_| {}).unwrap();
    let mut without = Changing::new(seed(), None, copier);
    without.load_file(&origin(), &file, None);
    let (lost, refused) = update(4);
    assert!(without.update(&origin(), vec![lost]).zone.is_none());
    assert!(matches!(refused.recv(), Ok(Err(Unmade::Unkept(_)))));
}

/// A signed zone, its signature and its only proof of that number.
fn signed(serial: u32) -> [Vec<u8>; 2] {
    let (mut soas, mut rest) = (Vec::new(), Vec::new());
    write(&mut soas, "z.", RecordType::SOA, &soa(serial));
    let covered = RecordType::SOA.0.to_be_bytes();
    let signature =
        [&covered[..], &[15, 1, 0, 0, 0, 60], &[0; 10], b"\x01z\0", &serial.to_be_bytes()].concat();
    write(&mut rest, "z.", RecordType::RRSIG, &signature);
    let proof = [&[1, 0, 0, 0, 0, 20][..], &[serial as u8; 20], &[0, 1, 0x22]].concat();
    write(&mut rest, &format!("{}.z.", "a1".repeat(16)), RecordType::NSEC3, &proof);
    [soas, rest]
}

#[test]
fn steps_of_a_signed_zone_lead_on_by_names_that_are_there_for_proofs_alone() {
    let place = Place::new("signed");
    let (mut changing, _) = place.start();
    let run = |serial: u32| {
        let [mut run, rest] = signed(serial);
        write(&mut run, "z.", RecordType::NS, b"\x02ns\x01z\0");
        write(&mut run, "z.", RecordType::NSEC3PARAM, &[1, 0, 0, 0, 0]);
        [run, rest].concat()
    };
    changing.put(arrival(Received::Whole(run(1))));
    let records = [signed(1).concat(), signed(2).concat()].concat();
    let step = Difference::new(Serial(1), Serial(2), records);
    let zone = changing.put(arrival(Received::Steps(vec![Arc::new(step)])));
    assert_eq!(zone.faults.errors(), 0, "{:?}", zone.faults);
    let (mut other, _) = Place::new("signed-other").start();
    let expected = other.put(arrival(Received::Whole(run(2)))).zone.unwrap();
    assert_eq!(sorted(&zone.zone.unwrap()), sorted(&expected));
    let (mut again, _) = place.start();
    assert_eq!(sorted(&again.restore(&origin()).zone.unwrap()), sorted(&expected));
}
