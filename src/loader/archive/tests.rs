//! What others get of a zone from a file after a restart, whatever was done to it and wherever a crash came.

use super::*;
use crate::disk::zones::Zones;
use crate::loader::load_given;
use crate::zone::rdata::print;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// A directory, and those who use it one after the other.
struct Place {
    dir: PathBuf,
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn seed() -> HashSeed {
    HashSeed::new([7; 16])
}

fn origin() -> Name {
    Name::parse("z.").unwrap()
}

impl Place {
    fn new(name: &str) -> Place {
        let dir = std::env::temp_dir().join(format!("hivedns-archive-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Place { dir }
    }

    fn zones(&self) -> Zones {
        Zones::new(&self.dir)
    }

    fn write(&self, serial: u32, records: &str) {
        let text = format!("$TTL 60\n@ SOA ns admin {serial} 2 3 4 5\n@ NS ns\n{records}");
        fs::write(self.dir.join("master"), text).unwrap();
    }

    /// The file as it is read after `old`, or at the start.
    fn load(&self, archive: &Archive, old: Option<&Zone>) -> (Arc<Zone>, Note) {
        let (loaded, note) = load_given(archive, (&origin(), &self.dir.join("master")), seed(), old);
        assert_eq!(loaded.faults.errors(), 0);
        (loaded.zone.unwrap(), note.unwrap())
    }

    /// A whole life in which the file says this one after the other; the last version. Each is on disk at its end.
    fn live(&self, versions: &[(u32, &str)]) -> Arc<Zone> {
        let archive = Archive::start(&self.zones()).unwrap();
        let mut shelves = Shelves::new(self.zones().filed());
        let mut last: Option<Arc<Zone>> = None;
        for (serial, records) in versions {
            self.write(*serial, records);
            let (zone, note) = self.load(&archive, last.as_deref());
            shelves.keep(&zone, note);
            last = Some(zone);
        }
        last.unwrap()
    }
}

/// The serials from which steps lead on.
fn serials(zone: &Zone) -> Vec<u32> {
    zone.history().all().map(|step| step.from().0).collect()
}

/// What a step says, as lines.
fn lines(step: &Difference) -> Vec<String> {
    let line = |record: crate::zone::sink::Record<'_>| {
        let mut text = String::new();
        print(record.rtype, record.rdata, &mut text).unwrap();
        format!("{} {} {text}", Name::from_wire(record.owner).unwrap(), record.rtype)
    };
    plain::records(step.records()).map(line).collect()
}

#[test]
fn after_a_restart_the_history_goes_on_with_the_file_as_it_was_and_as_it_is() {
    let place = Place::new("restart");
    place.live(&[(1, "a A 192.0.2.1\n"), (2, "a A 192.0.2.2\n"), (3, "b A 192.0.2.3\n")]);
    // As it was, with comments.
    let zone = place.live(&[(3, "; by hand\nb A 192.0.2.3\n")]);
    assert_eq!(serials(&zone), [1, 2]);
    // Changed meanwhile, and once more in the same life.
    let zone = place.live(&[(5, "c A 192.0.2.3\n"), (6, "c A 192.0.2.4\n")]);
    assert_eq!(serials(&zone), [1, 2, 3, 5]);
    let steps = zone.history().since(Serial(3)).unwrap();
    assert_eq!(
        lines(&steps[0]),
        [
            "z. SOA ns.z. admin.z. 3 2 3 4 5",
            "b.z. A 192.0.2.3",
            "z. SOA ns.z. admin.z. 5 2 3 4 5",
            "c.z. A 192.0.2.3"
        ]
    );
    assert_eq!(serials(&place.live(&[(6, "c A 192.0.2.4\n")])), [1, 2, 3, 5]);
    // Backwards, or another content under the serial: nothing leads there.
    assert_eq!(serials(&place.live(&[(4, "c A 192.0.2.4\n")])), [0; 0]);
    assert_eq!(serials(&place.live(&[(4, "d A 192.0.2.4\n"), (7, "")])), [4]);
    assert_eq!(serials(&place.live(&[(7, "")])), [4]);
}

#[test]
fn whatever_a_crash_leaves_the_zone_is_the_file_and_its_history_true_or_none() {
    let place = Place::new("crash");
    place.live(&[(1, "a A 192.0.2.1\n"), (2, "a A 192.0.2.2\n"), (3, "a A 192.0.2.3\n")]);
    let changes = place.zones().filed().changes_path("z.");
    let octets = fs::read(&changes).unwrap();
    let copy = fs::read(place.zones().filed().path("z.")).unwrap();
    for len in 0..octets.len() {
        for has_copy in [true, false] {
            let other = Place::new("crash-again");
            fs::write(other.zones().filed().changes_path("z."), &octets[..len]).unwrap();
            if has_copy {
                fs::write(other.zones().filed().path("z."), &copy).unwrap();
            }
            for (serial, records) in [(3, "a A 192.0.2.3\n"), (4, "a A 192.0.2.4\n")] {
                let zone = other.live(&[(serial, records)]);
                assert_eq!(zone.serial(), Serial(serial));
                // Each step says what went and what came.
                let mut from = serials(&zone).first().copied().unwrap_or(serial);
                for step in zone.history().all() {
                    assert_eq!(step.from(), Serial(from), "{len} {has_copy}");
                    let said = lines(step);
                    assert!(said.contains(&format!("a.z. A 192.0.2.{from}")), "{said:?}");
                    from = step.to().0;
                    assert!(said.contains(&format!("a.z. A 192.0.2.{from}")), "{said:?}");
                }
                assert_eq!(from, serial);
            }
        }
    }
}

#[test]
fn changes_that_outgrow_the_zone_are_let_go_from_the_oldest_on() {
    let place = Place::new("outgrown");
    // Of 400 names a quarter changes each time.
    let text = |serial: u32| -> String {
        let fill = "x".repeat(200);
        let last = |name: u32| serial - (serial + 4 - name % 4) % 4;
        (0..400).map(|name| format!("n{name} TXT \"{}{fill}\"\n", last(name))).collect()
    };
    let versions: Vec<(u32, String)> = (4..=70).map(|serial| (serial, text(serial))).collect();
    for life in versions.chunks(20) {
        let life: Vec<(u32, &str)> = life.iter().map(|(serial, text)| (*serial, text.as_str())).collect();
        place.live(&life);
    }
    let size = |what: &str| fs::metadata(place.dir.join(what)).unwrap().len();
    assert!(size("file-changes.z") < 3 << 20 && size("file-earlier.z") < 3 << 20);
    let zone = place.live(&[(70, &text(70))]);
    let steps = serials(&zone);
    assert!(!steps.is_empty() && steps.last() == Some(&69), "{steps:?}");
    assert!(zone.history().octets() <= crate::base::limits::HISTORY_OCTETS_MIN.max(zone.octets()));
}

#[test]
fn the_thread_keeps_what_it_is_given() {
    let place = Place::new("thread");
    for (serial, from) in [(1, &[][..]), (2, &[1][..]), (3, &[1, 2][..])] {
        let archive = Archive::start(&place.zones()).unwrap();
        place.write(serial, &format!("a A 192.0.2.{serial}\n"));
        let (zone, note) = place.load(&archive, None);
        assert_eq!(serials(&zone), from);
        archive.keep(&zone, note);
        let (begun, note) = (clock::now(), note.to_octets());
        let has_it = |octets: Vec<u8>| octets.windows(note.len()).any(|window| window == note);
        while !fs::read(place.zones().filed().changes_path("z.")).is_ok_and(has_it) {
            assert!(clock::now().duration_since(begun) < Duration::from_secs(60));
            std::thread::yield_now();
        }
    }
}
