//! Groups of updates, the disk, and the file that the operator edits meanwhile.

use super::*;
use crate::wire::rtype::{Class, RecordType};
use std::fs;
use std::path::PathBuf;

const SEED: [u8; 16] = [7; 16];

/// A state directory and a zone's file.
struct Place {
    dir: PathBuf,
    zones: Zones,
}

impl Place {
    fn new(name: &str) -> Place {
        let dir = std::env::temp_dir().join(format!("hivedns-updated-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Place { zones: Zones::new(&dir), dir }
    }

    fn write(&self, serial: u32, records: &str) {
        let text = format!("$TTL 60\n@ SOA ns admin {serial} 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n{records}");
        fs::write(self.dir.join("file"), text).unwrap();
    }

    /// Reads the zone as at a start, or as at a reload.
    fn load(&self, old: Option<&Zone>) -> Loaded {
        let source = Source::Updated(self.dir.join("file"));
        let spec = ZoneSpec { origin: Name::parse("z.").unwrap(), source };
        load(&spec, HashSeed::new(SEED), old, Some(&self.zones))
    }

    fn update(&self, old: &Arc<Zone>, updates: Vec<Update>) -> Updated {
        let (origin, old) = (old.origin().clone(), Arc::clone(old));
        let group = Group { origin, old, updates, at: SystemTime::UNIX_EPOCH };
        carry_out(group, HashSeed::new(SEED), Some(&self.zones))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// An update that adds an address of `owner` of `z.`, if it has none.
fn add(owner: &str, octet: u8) -> Update {
    let owner = Name::parse(&format!("{owner}.z.")).unwrap();
    let mut message = b"\0\x01\x28\0\0\x01\0\x01\0\x01\0\0\x01z\0\0\x06\0\x01".to_vec();
    for (class, rdata) in [(Class::NONE, &[][..]), (Class::IN, &[192, 0, 2, octet][..])] {
        message.extend(owner.as_wire());
        message.extend(RecordType::A.0.to_be_bytes());
        message.extend(class.0.to_be_bytes());
        message.extend([0; 4]);
        message.extend((rdata.len() as u16).to_be_bytes());
        message.extend(rdata);
    }
    Update::read(&message).unwrap()
}

fn has(zone: &Zone, owner: &str) -> bool {
    let owner = Name::parse(&format!("{owner}.z.")).unwrap();
    !of_zone(zone, &mut Unsealer::default(), &owner).sets.is_empty()
}

#[test]
fn a_group_makes_one_version_with_a_step_for_each_update_and_is_there_after_a_restart() {
    let place = Place::new("group");
    place.write(1, "");
    let first = Arc::new(place.load(None).zone.unwrap());
    let updated = place.update(&first, vec![add("a", 1), add("b", 2), add("a", 3), add("c", 4)]);
    assert_eq!(updated.codes, [Rcode::NoError, Rcode::NoError, Rcode::YxRrset, Rcode::NoError]);
    let zone = updated.zone.unwrap();
    assert_eq!((zone.serial().0, zone.history().since(first.serial()).unwrap().len()), (4, 3));
    // What changes nothing is no version.
    let again = place.update(&zone, vec![add("a", 3)]);
    assert!(again.zone.is_none() && again.codes == [Rcode::YxRrset]);
    let restored = place.load(None).zone.unwrap();
    assert!(restored.serial() == zone.serial() && ["a", "b", "c"].iter().all(|owner| has(&restored, owner)));
    // A reload has nothing to add.
    let reloaded = place.load(Some(&zone));
    assert!(reloaded.zone.is_none() && reloaded.faults.errors() == 0);
}

#[test]
fn the_file_counts_once_its_serial_is_later_and_what_was_updated_is_set_aside() {
    let place = Place::new("file");
    place.write(1, "");
    let first = Arc::new(place.load(None).zone.unwrap());
    // As long as nothing was updated any file counts.
    place.write(1, "edited A 192.0.2.9\n");
    let edited = Arc::new(place.load(Some(&first)).zone.unwrap());
    assert!(has(&edited, "edited"));
    let zone = place.update(&edited, vec![add("a", 1), add("b", 2)]).zone.unwrap();
    for serial in [1, 2, 3] {
        place.write(serial, "later A 192.0.2.9\n");
        assert!(place.load(Some(&zone)).zone.is_none(), "{serial}");
        assert!(has(&place.load(None).zone.unwrap(), "a"), "{serial}");
    }
    place.write(4, "later A 192.0.2.9\n");
    let new = Arc::new(place.load(Some(&zone)).zone.unwrap());
    assert!(has(&new, "later") && !has(&new, "a"));
    assert_eq!(new.history().since(zone.serial()).map(<[_]>::len), Some(1));
    assert!(place.dir.join("updated.z.superseded").exists());
    // And it counts from then on as if nothing had been updated.
    place.write(4, "last A 192.0.2.9\n");
    assert!(has(&place.load(Some(&new)).zone.unwrap(), "last"));
}

#[test]
fn a_faulty_file_takes_nothing_away_that_was_updated() {
    let place = Place::new("faulty");
    place.write(1, "");
    let first = Arc::new(place.load(None).zone.unwrap());
    let zone = place.update(&first, vec![add("a", 1)]).zone.unwrap();
    place.write(9, "nonsense\n");
    let reloaded = place.load(Some(&zone));
    assert!(reloaded.zone.is_none() && reloaded.faults.errors() == 1);
    let restored = place.load(None);
    assert!(has(&restored.zone.unwrap(), "a") && restored.faults.errors() == 1);
}

#[test]
fn a_torn_copy_is_set_aside_and_the_file_served() {
    let place = Place::new("torn");
    place.write(1, "");
    let first = Arc::new(place.load(None).zone.unwrap());
    place.update(&first, vec![add("a", 1)]);
    let path = place.zones.of_updates().path("z.");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(place.load(None).zone.unwrap().serial().0, 1);
    assert!(!path.exists() && place.dir.join("updated.z.broken-1").exists());
}

#[test]
fn what_cannot_be_kept_is_not_done() {
    let place = Place::new("full");
    place.write(1, "");
    let first = Arc::new(place.load(None).zone.unwrap());
    // Nothing can take the place of a directory that is not empty.
    fs::create_dir_all(place.zones.of_updates().path("z.").join("in the way")).unwrap();
    let updated = place.update(&first, vec![add("a", 1), add("ns", 2)]);
    assert!(updated.zone.is_none());
    assert_eq!(updated.codes, [Rcode::ServFail, Rcode::YxRrset]);
}
