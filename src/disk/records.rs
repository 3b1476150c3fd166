//! The cluster-wide records on disk: a snapshot of all, and a journal of what changed since.
//!
//! ```text
//!  put ──► the map, and the frame in the making ──► sync ──┬─► journal: one more frame
//!                                                          └─► it has outgrown the snapshot, or cannot be
//!                                                              trusted: snapshot of a higher epoch, then a
//!                                                              journal of that epoch without frames
//! ```
//!
//! What is invariant: the disk holds a snapshot of some epoch `e` and a journal of an epoch at most `e`. If it is
//! lower, a crash came between the two steps, and the snapshot holds all that the journal says. If it is higher,
//! the snapshot is not the one that the journal goes on from; then the journal stands alone. That is sound, because
//! each value carries its own stamp and owes nothing to another: what is missing can be had from other members.
//!
//! Knows keys and values as octets. That a record was deleted is a value, too; to forget a key is something else.

use super::envelope::{self, ENVELOPE_OCTETS, HEAD_OCTETS, Kind, Rest, Unsound, open_whole};
use super::fault::{DiskError, Notice};
use super::hand::Hand;
use super::journal::{self, ENTRY_HEAD_OCTETS, FRAME_OCTETS_MAX, Journal};
use super::{CLUSTER_OCTETS_MAX, Entry, KEY_OCTETS_MAX, VALUE_OCTETS_MAX};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io;

/// Octets that a journal may always have, however small the snapshot: below it a new snapshot saves nothing.
const JOURNAL_OCTETS_MIN: u64 = 256 << 10;
/// Octets of the largest journal: it outgrew the largest snapshot by one frame.
const JOURNAL_OCTETS_MAX: u64 = CLUSTER_OCTETS_MAX + 2 * FRAME_OCTETS_MAX as u64;

const SNAPSHOT_LOST: &str =
    "cluster-wide records come back from the other members; what no other member has is lost";
const JOURNAL_LOST: &str = "changes of cluster-wide records since the last snapshot come back from the other \
                            members; what no other member has is lost";

/// The records as the disk has them, and those that it does not have yet.
pub(super) struct Records {
    map: BTreeMap<Bytes, Bytes>,
    /// Octets of all entries of the map, as a snapshot writes them.
    map_octets: u64,
    /// The highest epoch that was ever written to.
    epoch: u64,
    snapshot_octets: u64,
    /// Octets of the journal that are on disk for certain.
    journal_octets: u64,
    /// Entries that are in the map and not on disk.
    pending: Vec<u8>,
    /// True if the next sync must make a new snapshot.
    must_compact: bool,
}

impl Records {
    /// What the directory holds, and what was wrong with it.
    pub(super) fn open(hand: &Hand, notices: &mut Vec<Notice>) -> Result<Records, DiskError> {
        let told = notices.len();
        let snapshot = read_snapshot(hand, notices)?;
        let snapshot_is_missing = snapshot.is_none() && notices.len() == told;
        let told = notices.len();
        let journal = read_journal(hand, notices)?;
        let journal_is_missing = journal.is_none() && notices.len() == told;
        let mut records = Records {
            map: BTreeMap::new(),
            map_octets: 0,
            epoch: 0,
            snapshot_octets: 0,
            journal_octets: 0,
            pending: Vec::new(),
            must_compact: true,
        };
        if journal_is_missing && snapshot.as_ref().is_some_and(|snapshot| !snapshot.entries.is_empty()) {
            notices.push(Notice::Missing { file: hand.path(Kind::Journal), so: JOURNAL_LOST });
        }
        if snapshot_is_missing && journal.is_some() {
            notices.push(Notice::Missing { file: hand.path(Kind::Records), so: SNAPSHOT_LOST });
        }
        let snapshot = match (snapshot, &journal) {
            (Some(snapshot), Some(journal)) if snapshot.epoch < journal.epoch => {
                let (expected, found) = (format!("epoch {}, the journal's", journal.epoch), snapshot.epoch);
                let unsound = Unsound::at(HEAD_OCTETS, expected, format!("epoch {found}"));
                notices.push(set_aside(hand, Kind::Records, unsound, SNAPSHOT_LOST)?);
                None
            }
            (snapshot, _) => snapshot,
        };
        if let Some(snapshot) = snapshot {
            records.epoch = snapshot.epoch;
            records.snapshot_octets = snapshot.octets;
            snapshot.entries.into_iter().for_each(|entry| records.take(entry));
            records.must_compact = journal.as_ref().is_none_or(|journal| journal.epoch != snapshot.epoch);
        }
        if let Some(journal) = journal.filter(|journal| journal.epoch >= records.epoch) {
            records.epoch = journal.epoch;
            records.journal_octets = journal.good as u64;
            journal.entries.into_iter().for_each(|entry| records.take(entry));
        }
        records.sync(hand)?;
        Ok(records)
    }

    /// All records, by rising key.
    pub(super) fn all(&self) -> impl Iterator<Item = (Bytes, Bytes)> {
        self.map.iter().map(|(key, value)| (key.clone(), value.clone()))
    }

    /// Takes entries in; they are on disk after the next sync. An error changes nothing. What is so already is not
    /// written again.
    pub(super) fn append(&mut self, entries: &[Entry]) -> Result<(), DiskError> {
        let mut octets = self.map_octets;
        // What the entries before leave under a key, as soon as that is not what the map has.
        let mut left: BTreeMap<&Bytes, u64> = BTreeMap::new();
        for Entry { key, value } in entries {
            let len = value.as_ref().map_or(0, Bytes::len);
            within("the key of a record", key.len() as u64, KEY_OCTETS_MAX as u64)?;
            within("a record", len as u64, VALUE_OCTETS_MAX as u64)?;
            let after = value.as_ref().map_or(0, |_| entry_octets(key.len(), len));
            let before = left.insert(key, after).unwrap_or_else(|| self.octets_of(key));
            octets = octets - before + after;
            // What makes it smaller is taken however full it is.
            if after > before {
                within("all cluster-wide records", octets, CLUSTER_OCTETS_MAX)?;
            }
        }
        for entry in entries {
            if self.map.get(&entry.key) != entry.value.as_ref() {
                journal::write_entry(&mut self.pending, &entry.key, entry.value.as_deref());
                self.take(entry.clone());
            }
        }
        if self.pending.len() > FRAME_OCTETS_MAX {
            // The map has them, too.
            self.pending = Vec::new();
            self.must_compact = true;
        }
        Ok(())
    }

    fn octets_of(&self, key: &Bytes) -> u64 {
        self.map.get(key).map_or(0, |value| entry_octets(key.len(), value.len()))
    }

    /// True if a sync has something to do.
    pub(super) fn is_dirty(&self) -> bool {
        self.must_compact || !self.pending.is_empty()
    }

    /// Waits until the disk has everything. On an error nothing is lost, and the next sync does it all.
    pub(super) fn sync(&mut self, hand: &Hand) -> Result<(), DiskError> {
        let outgrown =
            self.journal_octets + self.pending.len() as u64 > self.snapshot_octets.max(JOURNAL_OCTETS_MIN);
        if self.must_compact || (outgrown && !self.pending.is_empty()) {
            return self.compact(hand);
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        let frame = journal::frame(self.epoch, self.journal_octets, &self.pending);
        match hand.put(Kind::Journal, self.journal_octets, &frame) {
            Ok(()) => {
                self.journal_octets += frame.len() as u64;
                self.pending.clear();
                Ok(())
            }
            Err(error) => {
                if let DiskError::Refused { error, .. } = &error {
                    // The journal is not what was left there; the records are all here.
                    self.must_compact |= error.kind() == io::ErrorKind::UnexpectedEof;
                }
                Err(error)
            }
        }
    }

    /// A new snapshot, then a new journal. Each attempt has an epoch of its own, so that no journal is ever taken
    /// for that of another snapshot.
    fn compact(&mut self, hand: &Hand) -> Result<(), DiskError> {
        self.must_compact = true;
        self.epoch = self.epoch.saturating_add(1);
        let snapshot = self.snapshot();
        hand.replace(Kind::Records, &snapshot)?;
        let journal = journal::empty(Kind::Journal, self.epoch, &[]);
        hand.replace(Kind::Journal, &journal)?;
        self.snapshot_octets = snapshot.len() as u64;
        self.journal_octets = journal.len() as u64;
        self.pending = Vec::new();
        self.must_compact = false;
        Ok(())
    }

    fn snapshot(&self) -> Vec<u8> {
        // In its envelope from the start: a copy of all records is a lot of memory.
        let mut octets = envelope::begin(Kind::Records, 8 + self.map_octets as usize);
        octets.extend_from_slice(&self.epoch.to_le_bytes());
        self.map.iter().for_each(|(key, value)| journal::write_entry(&mut octets, key, Some(value)));
        envelope::finish(octets)
    }

    fn take(&mut self, Entry { key, value }: Entry) {
        let key_octets = key.len();
        let before = match value {
            Some(value) => {
                self.map_octets += entry_octets(key_octets, value.len());
                self.map.insert(key, value)
            }
            None => self.map.remove(&key),
        };
        self.map_octets -= before.map_or(0, |before| entry_octets(key_octets, before.len()));
    }
}

fn entry_octets(key: usize, value: usize) -> u64 {
    (ENTRY_HEAD_OCTETS + key + value) as u64
}

fn within(what: &'static str, octets: u64, octets_max: u64) -> Result<(), DiskError> {
    if octets > octets_max { Err(DiskError::TooLarge { what, octets, octets_max }) } else { Ok(()) }
}

struct Snapshot {
    epoch: u64,
    entries: Vec<Entry>,
    octets: u64,
}

fn read_snapshot(hand: &Hand, notices: &mut Vec<Notice>) -> Result<Option<Snapshot>, DiskError> {
    let octets_max = CLUSTER_OCTETS_MAX + (ENVELOPE_OCTETS + 8) as u64;
    let Some(octets) = hand.read(Kind::Records, octets_max)? else { return Ok(None) };
    let parsed = open_whole(Kind::Records, &octets).and_then(|body| {
        let mut rest = Rest::new(body);
        let epoch = rest.u64("the epoch")?;
        let mut entries = Vec::new();
        while !rest.is_empty() {
            entries.push(journal::read_entry(&mut rest)?);
        }
        Ok(Snapshot { epoch, entries, octets: octets.len() as u64 })
    });
    match parsed {
        Ok(snapshot) => Ok(Some(snapshot)),
        Err(unsound) => {
            notices.push(set_aside(hand, Kind::Records, unsound, SNAPSHOT_LOST)?);
            Ok(None)
        }
    }
}

fn read_journal(hand: &Hand, notices: &mut Vec<Notice>) -> Result<Option<Journal>, DiskError> {
    let Some(octets) = hand.read(Kind::Journal, JOURNAL_OCTETS_MAX)? else { return Ok(None) };
    let mut journal = match journal::read(Kind::Journal, &octets) {
        Ok(journal) => journal,
        Err(unsound) => {
            notices.push(set_aside(hand, Kind::Journal, unsound, JOURNAL_LOST)?);
            return Ok(None);
        }
    };
    if let Some(bad) = journal.bad.take() {
        let fault = bad.unsound.in_file(&hand.path(Kind::Journal))?;
        let aside = hand.set_part_aside(Kind::Journal, &octets[journal.good..])?;
        notices.push(match aside {
            Some(aside) if !bad.is_last => Notice::Broken { fault, aside, so: JOURNAL_LOST },
            None if !bad.is_last => {
                return Err(DiskError::Crowded { fault, kept: super::hand::ASIDE_MAX });
            }
            aside => Notice::Torn { fault, aside },
        });
        hand.put(Kind::Journal, journal.good as u64, &[])?;
    }
    Ok(Some(journal))
}

/// Sets a file aside; what to tell of it.
pub(super) fn set_aside(
    hand: &Hand,
    kind: Kind,
    unsound: Unsound,
    so: &'static str,
) -> Result<Notice, DiskError> {
    let fault = unsound.in_file(&hand.path(kind))?;
    let aside = hand.set_aside(kind, &fault)?;
    Ok(Notice::Broken { fault, aside, so })
}
