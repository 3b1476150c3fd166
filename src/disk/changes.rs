//! What changed of a zone since its copy was written, in two files beside it.
//!
//! ```text
//! earlier.ORIGIN   │ step │ step │ step │
//! zone.ORIGIN               the copy: as of one of these versions ▲, or of one below
//! changes.ORIGIN                        │ step │ step │ step │ ◄─ append: one frame, one wait for the disk
//! ```
//!
//! When the changes have outgrown the copy they become the earlier ones ([`Changes::turn`]), and a new copy is written,
//! which takes its time; meanwhile further changes are appended. What a copy has already is the zone's history.
//!
//! **What is invariant: the version of the copy is one that the steps lead through, from the first of the earlier ones to the
//! last; so what has to be made of the copy follows from its serial.** Whoever replaces the copy by another zone removes the
//! steps first ([`Zones::drop_changes`]), and who turns has a copy that is no older than the changes at hand.
//!
//! Of a zone that was updated the names begin with `updated-`, as that of its copy does, and of one whose history alone is
//! kept with `file-`.
//!
//! Knows serials, and octets between them.

use super::Entry;
use super::envelope::{self, Kind};
use super::fault::{DiskError, Notice};
use super::journal::{self, FRAME_OCTETS_MAX, Journal};
use super::zones::{Zones, aside, with_suffix, writing};
use crate::base::limits::TRANSFER_OCTETS_MAX;
use bytes::Bytes;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Octets of one file of changes: what a transfer may bring, as for the copy, for a file is read as a whole.
const CHANGES_OCTETS_MAX: u64 = TRANSFER_OCTETS_MAX as u64;
/// Octets at the beginning of a file of changes, within which its note ends.
const HEAD_OCTETS_MAX: u64 = 4 << 10;
/// Octets of both serials of a step, which its note stands behind.
const SERIALS_OCTETS: usize = 8;
/// Octets of a step beside its records and its note, in a frame.
const STEP_OCTETS: usize = 16;

const LOST: &str = "changes of the zone that were acknowledged are not in it";
const HISTORY_LOST: &str = "what led to the zone's former versions is not known any more";

/// From one version to a later one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The serial before.
    pub from: u32,
    /// The serial after.
    pub to: u32,
    /// What it brings.
    pub records: Bytes,
    /// What is noted of the version after; most have nothing.
    pub note: Bytes,
}

impl Step {
    fn of(entry: Entry) -> Option<Step> {
        let (from, rest) = entry.key.split_first_chunk::<4>()?;
        let (to, _) = rest.split_first_chunk::<4>()?;
        let (from, to) = (u32::from_be_bytes(*from), u32::from_be_bytes(*to));
        Some(Step { from, to, records: entry.value?, note: entry.key.slice(SERIALS_OCTETS..) })
    }

    /// Octets that it takes in a frame.
    fn octets(&self) -> usize {
        self.records.len() + self.note.len() + STEP_OCTETS
    }
}

/// The file that grows.
#[derive(Debug)]
pub struct Changes {
    zones: Zones,
    origin: String,
    file: File,
    epoch: u64,
    note: Vec<u8>,
    /// Octets that are on disk for certain.
    octets: u64,
    /// Something may stand behind them: an attempt failed.
    is_dirty: bool,
}

/// What was kept of a zone's changes.
#[derive(Debug, Default)]
pub struct Restored {
    /// The file, to go on with.
    pub changes: Option<Changes>,
    /// The steps of the earlier file.
    pub earlier: Vec<Step>,
    /// Those of the one at hand.
    pub steps: Vec<Step>,
    /// What was noted at the beginning; empty if there are no changes.
    pub note: Vec<u8>,
    /// What was wrong, and what was done about it.
    pub notices: Vec<Notice>,
}

impl Zones {
    /// What was kept of a zone's changes. An error changes nothing.
    pub fn changes(&self, origin: &str) -> Result<Restored, DiskError> {
        let mut restored = Restored::default();
        if let Some((journal, _)) = self.read_changes(&self.earlier_path(origin), &mut restored.notices)? {
            restored.earlier = journal.entries.into_iter().filter_map(Step::of).collect();
            restored.note = journal.note;
        }
        let path = self.changes_path(origin);
        if let Some((journal, file)) = self.read_changes(&path, &mut restored.notices)? {
            restored.steps = journal.entries.into_iter().filter_map(Step::of).collect();
            restored.note.clone_from(&journal.note);
            restored.changes = Some(Changes {
                zones: self.clone(),
                origin: origin.to_owned(),
                file,
                epoch: journal.epoch,
                note: journal.note,
                octets: journal.good as u64,
                is_dirty: false,
            });
        }
        Ok(restored)
    }

    /// Begins a file of changes in the place of any other; the note comes back with it. The copy that the first of them goes
    /// on from must be there.
    pub fn begin_changes(&self, origin: &str, note: &[u8]) -> io::Result<Changes> {
        self.begin(origin, note, 1)
    }

    fn begin(&self, origin: &str, note: &[u8], epoch: u64) -> io::Result<Changes> {
        let path = self.changes_path(origin);
        let draft = with_suffix(&path, "tmp");
        let octets = journal::empty(Kind::Changes, epoch, note);
        let file = writing().read(true).truncate(true).open(&draft)?;
        file.write_all_at(&octets, 0)?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        self.sync()?;
        Ok(Changes {
            zones: self.clone(),
            origin: origin.to_owned(),
            file,
            epoch,
            note: note.to_vec(),
            octets: octets.len() as u64,
            is_dirty: false,
        })
    }

    /// Removes all that was kept of a zone's changes: the copy is to be replaced by what they do not lead to.
    pub fn drop_changes(&self, origin: &str) -> io::Result<()> {
        removed(&self.changes_path(origin))?;
        removed(&self.earlier_path(origin))?;
        self.sync()
    }

    /// Removes the earlier changes, which the copy has.
    pub fn drop_earlier(&self, origin: &str) -> io::Result<()> {
        removed(&self.earlier_path(origin))
    }

    /// Sets all that was kept of a zone's changes aside; where the newest lie then.
    pub fn set_changes_aside(&self, origin: &str) -> io::Result<PathBuf> {
        let mut aside = self.set_files_aside(&[self.earlier_path(origin), self.changes_path(origin)])?;
        aside.pop().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Sets all that was kept of a zone aside; where the copy lies then.
    pub fn set_all_aside(&self, origin: &str) -> io::Result<PathBuf> {
        self.set_files_aside(&self.paths(origin)).map(|mut aside| aside.remove(0))
    }

    /// All files of a zone, in the order in which they go: without its copy there is no zone, whatever a crash leaves of the
    /// others; without its changes the copy would be taken for the last version.
    pub fn paths(&self, origin: &str) -> [PathBuf; 3] {
        [self.path(origin), self.earlier_path(origin), self.changes_path(origin)]
    }

    /// Former versions kept zones that were updated under the names of transferred ones, told apart by the note on their
    /// file. Gives such a zone the names that it has now; a crash in between leaves the rest to the next time.
    pub fn part_updated(&self, origin: &str) -> io::Result<()> {
        let (from, to) = (self.transferred(), self.updated());
        // What says so goes last.
        let pairs = [
            (from.path(origin), to.path(origin)),
            (from.earlier_path(origin), to.earlier_path(origin)),
            (from.changes_path(origin), to.changes_path(origin)),
        ];
        if !pairs[1..].iter().any(|(path, _)| has_note(path))
            || pairs.iter().any(|(from, to)| from.exists() && to.exists())
        {
            return Ok(());
        }
        for (from, to) in pairs.iter().filter(|(from, _)| from.exists()) {
            fs::rename(from, to)?;
        }
        self.sync()
    }

    /// Where a zone's changes lie.
    pub fn changes_path(&self, origin: &str) -> PathBuf {
        self.path_of("changes", origin)
    }

    fn earlier_path(&self, origin: &str) -> PathBuf {
        self.path_of("earlier", origin)
    }

    /// Reads a file of changes; its end, where that is faulty, is set aside.
    fn read_changes(
        &self,
        path: &Path,
        notices: &mut Vec<Notice>,
    ) -> Result<Option<(Journal, File)>, DiskError> {
        let refused = |step, error| DiskError::Refused { step, path: path.to_owned(), error };
        let file = match File::options().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refused("read", error)),
        };
        let so = if self.are_filed() { HISTORY_LOST } else { LOST };
        let mut octets = Vec::new();
        let read = (&file).take(CHANGES_OCTETS_MAX + 1).read_to_end(&mut octets);
        read.map_err(|error| refused("read", error))?;
        let mut journal = match journal::read(Kind::Changes, &octets) {
            Ok(journal) => journal,
            Err(unsound) => {
                let aside = aside(path);
                let fault = unsound.in_file(path)?;
                if let Some(aside) = aside.filter(|aside| fs::rename(path, aside).is_ok()) {
                    notices.push(Notice::Broken { fault, aside, so });
                    return Ok(None);
                }
                return Err(refused("set aside", io::Error::other(fault.to_string())));
            }
        };
        if let Some(bad) = journal.bad.take() {
            let fault = bad.unsound.in_file(path)?;
            let rest = octets.get(journal.good..).unwrap_or_default();
            let kept = aside(path).filter(|aside| fs::write(aside, rest).is_ok());
            notices.push(match kept {
                Some(aside) if !bad.is_last => Notice::Broken { fault, aside, so },
                None if !bad.is_last => {
                    return Err(refused("set aside", io::Error::other(fault.to_string())));
                }
                aside => Notice::Torn { fault, aside },
            });
            let cut = file.set_len(journal.good as u64).and_then(|()| file.sync_all());
            cut.map_err(|error| refused("write", error))?;
        }
        Ok(Some((journal, file)))
    }
}

/// True for a file of changes that begins with a note.
fn has_note(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD_OCTETS_MAX).read_to_end(&mut head));
    let note = envelope::open(Kind::Changes, &head).map(|(body, _)| body.len() > journal::EPOCH_OCTETS);
    read.is_ok() && note.unwrap_or(false)
}

/// Sees to it that there is no such file.
fn removed(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

impl Changes {
    /// Octets on disk.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// True if steps of that size can be appended; more becomes a new copy.
    pub fn has_room(&self, steps: &[Step]) -> bool {
        let octets: usize = steps.iter().map(Step::octets).sum();
        octets <= FRAME_OCTETS_MAX
            && self.octets + octets as u64 <= CHANGES_OCTETS_MAX - FRAME_OCTETS_MAX as u64
    }

    /// Appends steps, for which there must be [room](Changes::has_room): they are on disk when this returns. After an error
    /// none of them counts.
    pub fn append(&mut self, steps: &[Step]) -> io::Result<()> {
        if !self.has_room(steps) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut entries = Vec::with_capacity(steps.iter().map(Step::octets).sum());
        for step in steps {
            let key = [&step.from.to_be_bytes()[..], &step.to.to_be_bytes(), &step.note].concat();
            journal::write_entry(&mut entries, &key, Some(&step.records));
        }
        if entries.is_empty() {
            return Ok(());
        }
        if std::mem::replace(&mut self.is_dirty, true) {
            self.file.set_len(self.octets)?;
        }
        let frame = journal::frame(self.epoch, self.octets, &entries);
        self.file.write_all_at(&frame, self.octets)?;
        self.file.sync_data()?;
        self.octets += frame.len() as u64;
        self.is_dirty = false;
        Ok(())
    }

    /// The steps so far become the earlier ones, and those are forgotten: the copy must be no older than the first step of
    /// this file.
    pub fn turn(&mut self) -> io::Result<()> {
        if self.is_dirty {
            self.file.set_len(self.octets)?;
            self.file.sync_all()?;
            self.is_dirty = false;
        }
        let (zones, origin) = (self.zones.clone(), self.origin.clone());
        fs::rename(zones.changes_path(&origin), zones.earlier_path(&origin))?;
        let next = zones.begin(&origin, &self.note, self.epoch + 1);
        match next {
            Ok(next) => {
                *self = next;
                Ok(())
            }
            Err(error) => {
                // The file at hand is the newest: it gets its name back.
                fs::rename(zones.earlier_path(&origin), zones.changes_path(&origin))?;
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn zones(name: &str) -> (PathBuf, Zones) {
        let dir = std::env::temp_dir().join(format!("hivedns-changes-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        (dir.clone(), Zones::new(&dir))
    }

    fn step(from: u32) -> Step {
        let (records, note) = (Bytes::from(vec![from as u8; 40]), Bytes::from(vec![7; from as usize % 3]));
        Step { from, to: from + 1, records, note }
    }

    fn serials(steps: &[Step]) -> Vec<u32> {
        steps.iter().map(|step| step.from).collect()
    }

    #[test]
    fn steps_come_back_in_order_and_a_turn_makes_them_earlier_ones() {
        let (dir, zones) = zones("order");
        assert!(zones.changes("a.").unwrap().changes.is_none());
        let mut changes = zones.begin_changes("A.", b"note").unwrap();
        changes.append(&[step(1), step(2)]).unwrap();
        changes.append(&[]).unwrap();
        changes.append(&[step(3)]).unwrap();
        changes.turn().unwrap();
        changes.append(&[step(4)]).unwrap();
        drop(changes);
        let restored = zones.changes("a.").unwrap();
        assert_eq!((serials(&restored.earlier), serials(&restored.steps)), (vec![1, 2, 3], vec![4]));
        assert_eq!(restored.steps[0], step(4));
        let mut changes = restored.changes.unwrap();
        assert_eq!((&restored.note[..], restored.notices.len()), (&b"note"[..], 0));
        changes.append(&[step(5)]).unwrap();
        changes.turn().unwrap();
        let restored = zones.changes("a.").unwrap();
        assert_eq!((serials(&restored.earlier), serials(&restored.steps)), (vec![4, 5], vec![]));
        zones.drop_changes("a.").unwrap();
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn whatever_a_crash_leaves_of_the_last_frame_all_before_it_are_there() {
        let (dir, zones) = zones("torn");
        let mut changes = zones.begin_changes("a.", b"").unwrap();
        let mut ends = vec![changes.octets()];
        for from in 1..4 {
            changes.append(&[step(from)]).unwrap();
            ends.push(changes.octets());
        }
        let path = zones.changes_path("a.");
        let whole = fs::read(&path).unwrap();
        for len in ends[2] as usize..whole.len() {
            // Cut short, or as long as it was to be and nothing in it.
            for tail in [0, whole.len() - len] {
                fs::write(&path, [&whole[..len], &vec![0; tail]].concat()).unwrap();
                let restored = zones.changes("a.").unwrap();
                assert_eq!(serials(&restored.steps), [1, 2], "{len}");
                let is_torn = len > ends[2] as usize || tail > 0;
                assert_eq!(restored.notices.len(), usize::from(is_torn));
                assert!(restored.notices.iter().all(|notice| !notice.is_loss()));
                restored.changes.unwrap().append(&[step(3)]).unwrap();
                assert_eq!(fs::read(&path).unwrap(), whole);
                for file in fs::read_dir(&dir).unwrap() {
                    let file = file.unwrap().path();
                    let _ = if file == path { Ok(()) } else { fs::remove_file(file) };
                }
            }
        }
        // Damage before a good frame is not a torn end.
        let mut damaged = whole.clone();
        damaged[ends[1] as usize + 12] ^= 1;
        fs::write(&path, &damaged).unwrap();
        let restored = zones.changes("a.").unwrap();
        assert_eq!(serials(&restored.steps), [1]);
        assert!(restored.notices.len() == 1 && restored.notices[0].is_loss());
        // A file that is none is set aside.
        fs::write(&path, b"nothing").unwrap();
        let restored = zones.changes("a.").unwrap();
        assert!(restored.changes.is_none() && restored.notices[0].is_loss() && !path.exists());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_copy_is_nothing_until_it_is_adopted() {
        let (dir, zones) = zones("draft");
        zones.write("a.", b"one", UNIX_EPOCH).unwrap();
        zones.write_copy("a.", b"two", UNIX_EPOCH).unwrap();
        assert_eq!(zones.read("a.").unwrap().body, b"one");
        zones.adopt_copy("a.").unwrap();
        assert_eq!(zones.read("a.").unwrap().body, b"two");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn an_updated_zone_under_the_name_of_a_transferred_one_gets_its_own_wherever_a_crash_came() {
        let files = ["zone.a", "earlier.a", "changes.a"];
        for missing in 0..=files.len() {
            let (dir, zones) = zones("parted");
            zones.write("a.", b"copy", UNIX_EPOCH).unwrap();
            let mut changes = zones.begin_changes("a.", b"note").unwrap();
            changes.append(&[step(1)]).unwrap();
            changes.turn().unwrap();
            changes.append(&[step(2)]).unwrap();
            // A crash came when so many had their names.
            for file in &files[..missing] {
                fs::rename(dir.join(file), dir.join(format!("updated-{file}"))).unwrap();
            }
            zones.part_updated("a.").unwrap();
            assert_eq!(fs::read_dir(&dir).unwrap().count(), 3);
            let restored = zones.updated().changes("a.").unwrap();
            assert_eq!((serials(&restored.earlier), serials(&restored.steps)), (vec![1], vec![2]));
            assert_eq!(zones.updated().read("a.").unwrap().body, b"copy");
            // A transferred one has no note, and stays.
            zones.write("a.", b"other", UNIX_EPOCH).unwrap();
            zones.begin_changes("a.", b"").unwrap().append(&[step(7)]).unwrap();
            zones.part_updated("a.").unwrap();
            assert_eq!(zones.read("a.").unwrap().body, b"other");
            assert_eq!(serials(&zones.changes("a.").unwrap().steps), [7]);
            fs::remove_dir_all(dir).unwrap();
        }
    }

    #[test]
    fn what_is_too_large_for_a_frame_has_no_room() {
        let (dir, zones) = zones("room");
        let mut changes = zones.begin_changes("a.", b"").unwrap();
        let large = Step { records: Bytes::from(vec![0; FRAME_OCTETS_MAX]), ..step(1) };
        assert!(!changes.has_room(std::slice::from_ref(&large)));
        assert!(changes.append(&[large]).is_err());
        changes.append(&[step(1)]).unwrap();
        assert_eq!(zones.changes("a.").unwrap().steps.len(), 1);
        fs::remove_dir_all(dir).unwrap();
    }
}
