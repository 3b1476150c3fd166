//! The history of zones from files that go to other servers, for the next start: who has an older version is sent what
//! changed since (RFC 1995), and not the zone.
//!
//! ```text
//! file ─► sealed ─┬─► served
//!                 └─► what changed, and by what the file is known ─► disk, in its own time
//! start: file ─┬─ it is known as the last on disk ─────────────► the history that led to it
//!              └─ it is a later one ─► the last on disk, made of its copy ─► compared as at a reload
//! ```
//!
//! Nobody waits for that disk, and nothing on it is served: what is lost there costs the next secondaries a transfer of the
//! whole zone. Of a zone whose copy would be large there is none, and a file that was changed while this server was stopped
//! has no history then: to make the former version anew would keep names from being answered for as long as the file does.

use crate::disk::changes::{Changes, Restored, Step};
use crate::disk::zones::{Lost, Zones};
use crate::loader::file::Note;
use crate::loader::kept::{chain, difference_of, lead_on, step_of};
use crate::loader::received::read;
use crate::os::clock;
use crate::wire::key::HashSeed;
use crate::wire::name::Name;
use crate::zone::history::{self, Difference, History};
use crate::zone::{Serial, Zone, plain};
use bytes::Bytes;
use crossbeam::channel::{Sender, bounded};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Octets of the records of the largest zone of which a copy is kept: half a million records, which are compared in a second.
const COPY_OCTETS_MAX: usize = 32 << 20;
/// Octets of changes from which on they are the earlier ones, and new ones begin: of small zones; else as many as the zone has,
/// as it is in memory.
const CHANGES_OCTETS_MIN: u64 = 1 << 20;
const CHANGES_OCTETS_MAX: u64 = crate::base::limits::HISTORY_OCTETS_MAX as u64;

/// Versions that wait to be kept: of each zone the newest.
type Waiting = Arc<Mutex<BTreeMap<Name, (Arc<Zone>, Note)>>>;

/// Its thread, and what is on disk. The thread ends with this handle, in its own time.
pub(super) struct Archive {
    zones: Zones,
    waiting: Waiting,
    wake: Sender<()>,
}

impl Archive {
    /// Starts it, in the state directory that has these transferred zones.
    pub(super) fn start(transferred: &Zones) -> io::Result<Archive> {
        let zones = transferred.filed();
        let (waiting, (wake, woken)) = (Waiting::default(), bounded(1));
        let (mut shelves, wanted) = (Shelves::new(zones.clone()), Arc::clone(&waiting));
        std::thread::Builder::new().name("archive".into()).spawn(move || {
            for () in woken {
                while let Some((_, (zone, note))) = lock(&wanted).pop_first() {
                    shelves.keep(&zone, note);
                }
            }
        })?;
        Ok(Archive { zones, waiting, wake })
    }

    /// A version is in place: it is kept before long.
    pub(super) fn keep(&self, zone: &Arc<Zone>, note: Note) {
        lock(&self.waiting).insert(zone.origin().clone(), (Arc::clone(zone), note));
        // If it is awake already it looks again.
        let _ = self.wake.try_send(());
    }

    /// The first version of a zone in this life, with the history that it has.
    pub(super) fn recall(&self, zone: Zone, note: Note, seed: HashSeed) -> Zone {
        let (origin, name) = (zone.origin().clone(), zone.origin().to_string());
        let Some(restored) = restored(&self.zones, &name) else { return zone };
        if last_note(&restored) == Some(note) {
            let steps: Vec<Arc<Difference>> =
                restored.earlier.into_iter().chain(restored.steps).map(difference_of).collect();
            let history = History::default().then(chain(&steps, zone.serial()), zone.octets());
            return zone.with_history(history);
        }
        drop(restored);
        let kept = match self.zones.read(&name) {
            Ok(kept) => kept.body,
            Err(Lost::Absent) => return zone,
            Err(lost) => {
                tracing::warn!(zone = %origin, "its former versions cannot be read: {}: {lost}", self.zones.path(&name).display());
                return zone;
            }
        };
        match read(&origin, &kept, seed).0 {
            Some(copy) => history::succeed(&lead_on(copy, &self.zones, &name, seed).0, zone),
            None => zone,
        }
    }
}

fn lock(waiting: &Waiting) -> std::sync::MutexGuard<'_, BTreeMap<Name, (Arc<Zone>, Note)>> {
    // Nothing in there panics half-way.
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is on disk of a zone's changes, if it can be read.
fn restored(zones: &Zones, name: &str) -> Option<Restored> {
    match zones.changes(name) {
        Ok(restored) => {
            restored.notices.iter().for_each(|notice| tracing::warn!(zone = name, "{notice}"));
            Some(restored)
        }
        Err(error) => {
            tracing::warn!(zone = name, "its former versions cannot be read: {error}");
            None
        }
    }
}

/// By what the file of the last version on disk is known.
fn last_note(restored: &Restored) -> Option<Note> {
    let last = restored.earlier.iter().chain(&restored.steps).last();
    Note::of_octets(last.map_or(&restored.note, |step| &step.note))
}

/// What is on disk of one zone: changes that lead to the version that is known by the note.
struct Shelf {
    changes: Changes,
    note: Note,
}

/// The thread's own.
struct Shelves {
    zones: Zones,
    all: HashMap<Name, Shelf>,
}

impl Shelves {
    fn new(zones: Zones) -> Shelves {
        Shelves { zones, all: HashMap::new() }
    }

    fn keep(&mut self, zone: &Zone, note: Note) {
        let name = zone.origin().to_string();
        let shelf = self.all.remove(zone.origin()).or_else(|| self.open(&name));
        match self.kept(shelf, &name, zone, note) {
            Ok(shelf) => _ = self.all.insert(zone.origin().clone(), shelf),
            Err(error) => {
                let path = self.zones.changes_path(&name);
                tracing::error!(zone = %name, "its history is not kept for the next start: {}: {error}", path.display());
            }
        }
    }

    /// What an earlier life has left.
    fn open(&self, name: &str) -> Option<Shelf> {
        let restored = restored(&self.zones, name)?;
        let note = last_note(&restored)?;
        Some(Shelf { changes: restored.changes?, note })
    }

    fn kept(&self, shelf: Option<Shelf>, name: &str, zone: &Zone, note: Note) -> io::Result<Shelf> {
        if let Some(shelf) = shelf {
            if shelf.note == note {
                return Ok(shelf);
            }
            let steps = zone.history().since(Serial(shelf.note.serial)).unwrap_or_default();
            let mut steps: Vec<Step> = steps.iter().map(|step| step_of(step)).collect();
            if let Some(last) = steps.last_mut() {
                last.note = Bytes::from(note.to_octets());
                if shelf.changes.has_room(&steps) {
                    return self.append(shelf, name, zone, (&steps, note));
                }
            }
        }
        self.anew(name, zone, note)
    }

    fn append(
        &self,
        mut shelf: Shelf,
        name: &str,
        zone: &Zone,
        (steps, note): (&[Step], Note),
    ) -> io::Result<Shelf> {
        shelf.changes.append(steps)?;
        shelf.note = note;
        let octets_max = (zone.octets() as u64).clamp(CHANGES_OCTETS_MIN, CHANGES_OCTETS_MAX);
        if shelf.changes.octets() > octets_max {
            // First the copy, which the earlier changes must not be needed for.
            self.copy(name, zone)?;
            shelf.changes.turn()?;
        }
        Ok(shelf)
    }

    /// Begins with this version: nothing leads to it.
    fn anew(&self, name: &str, zone: &Zone, note: Note) -> io::Result<Shelf> {
        self.zones.drop_changes(name)?;
        self.copy(name, zone)?;
        Ok(Shelf { changes: self.zones.begin_changes(name, &note.to_octets())?, note })
    }

    fn copy(&self, name: &str, zone: &Zone) -> io::Result<()> {
        if zone.octets() <= COPY_OCTETS_MAX {
            let run = plain::of_zone(zone);
            if run.len() <= COPY_OCTETS_MAX {
                return self.zones.write(name, &run, clock::wall());
            }
        }
        self.zones.remove(name)
    }
}

#[cfg(test)]
mod tests;
