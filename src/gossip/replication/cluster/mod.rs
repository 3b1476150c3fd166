//! Records of the cluster as a whole: set and unset from any node, on every node, without a lease.
//!
//! Each record has many writers, so there is no log: of two writes of one key the one with the higher stamp stays,
//! a stamp being a Lamport counter and the writer (last writer wins). That is commutative, associative and
//! idempotent: copies that have seen the same writes are equal, whatever the order.
//!
//! A removal leaves a tombstone, so that a node that was away does not bring back what was removed. [`purge`] says
//! when tombstones go.
//!
//! Two copies are compared in two steps: the sums of [`GROUPS`] groups, then those of the [`PARTS_PER_GROUP`] parts
//! of each group that differs; the records of the parts that differ are what is sent.
//!
//! Invariant: `parts` and `tombstones` hold exactly the keys of `records`, those of tombstones twice; each part's
//! sum is that of its records' hashes, each group's that of its parts.

pub mod purge;
#[cfg(test)]
mod tests;
mod write;

pub use write::{Stamp, Write, writes};

use crate::gossip::frame::{Kind, framed, write};
use crate::gossip::hash;
use crate::gossip::identity::NodeId;
use bytes::Bytes;
use purge::Purging;
use std::collections::{BTreeMap, BTreeSet};

/// Groups of parts, compared first.
pub const GROUPS: usize = 64;
/// Parts of a group: of a million records one has some 250, which travel in a few dozen datagrams.
pub const PARTS_PER_GROUP: usize = 64;
const PARTS: usize = GROUPS * PARTS_PER_GROUP;
/// Records and tombstones at most: what people and machines set by hand or by UPDATE, not what is discovered. A
/// node that has so many writes no new key ...
pub const CLUSTER_RECORDS_MAX: usize = 1 << 20;
/// ... but takes others' up to here: nodes that were filled at once still become equal.
const RECORDS_TAKEN_MAX: usize = 2 * CLUSTER_RECORDS_MAX;
/// A stamp so far ahead of all that was seen is no honest one: at a million writes a second it takes twelve days.
/// Taking it would leave later writes with no room above it.
const AHEAD_MAX: u64 = 1 << 40;

#[derive(Debug, Clone)]
struct Record {
    stamp: Stamp,
    value: Option<Bytes>,
}

#[derive(Debug, Clone, Default)]
struct Part {
    sum: u64,
    keys: BTreeSet<Bytes>,
}

/// What came of a write of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It is the newest of all that this node knows: to be spread and kept, in these octets.
    New(Vec<u8>),
    /// It changes nothing.
    Same,
    /// There is no room for another key ([`CLUSTER_RECORDS_MAX`]), or for a later stamp. Nothing changed.
    Full,
}

/// All records, removed ones included.
pub struct Cluster {
    records: BTreeMap<Bytes, Record>,
    parts: BTreeMap<u16, Part>,
    groups: [u64; GROUPS],
    /// By rising lamport.
    tombstones: BTreeSet<(u64, Bytes)>,
    lamport: u64,
    purging: Purging,
    refused: u64,
}

fn part_of(key: &[u8]) -> u16 {
    ((hash::octets(key) >> 32) as usize % PARTS) as u16
}

fn group_of(part: u16) -> usize {
    usize::from(part) / PARTS_PER_GROUP
}

impl Default for Cluster {
    fn default() -> Cluster {
        Cluster {
            records: BTreeMap::new(),
            parts: BTreeMap::new(),
            groups: [0; GROUPS],
            tombstones: BTreeSet::new(),
            lamport: 0,
            purging: Purging::default(),
            refused: 0,
        }
    }
}

impl Cluster {
    /// Writes as `writer`: the newest write of all that this node knows. Keys are not empty.
    pub fn write(&mut self, writer: NodeId, key: &[u8], value: Option<&[u8]>) -> Written {
        if self.get(key).map(Bytes::as_ref) == value {
            return Written::Same;
        }
        let Some(lamport) = self.lamport.checked_add(1) else { return Written::Full };
        if !self.records.contains_key(key) && self.records.len() >= CLUSTER_RECORDS_MAX {
            return Written::Full;
        }
        let write = Write { key, stamp: Stamp { lamport, writer }, value };
        if !self.take(&write) {
            return Written::Full;
        }
        self.purging.wrote(lamport);
        Written::New(write.to_octets())
    }

    /// Takes a write of anybody's. True if it is newer than what was known.
    pub fn take(&mut self, write: &Write<'_>) -> bool {
        let lamport = write.stamp.lamport;
        if write.key.is_empty() || lamport > self.lamport.saturating_add(AHEAD_MAX) {
            self.refused += 1;
            return false;
        }
        self.lamport = self.lamport.max(lamport);
        let covered = self.purging.covers(lamport);
        match self.write_of(write.key) {
            // Under the mark there are no tombstones.
            Some(known) if !write.beats(&known) || covered && write.value.is_none() => return false,
            Some(_) => {}
            // Removed and purged since; or written by somebody who was away for longer, and writes it again.
            None if covered => return false,
            None if self.records.len() >= RECORDS_TAKEN_MAX => {
                self.refused += 1;
                return false;
            }
            None => {}
        }
        self.purging.took(lamport);
        self.put(write);
        true
    }

    /// Takes from the disk what was kept there by `me`, what is remembered beside the records first. False if it
    /// is nothing to serve.
    pub fn restore(&mut self, me: NodeId, write: &Write<'_>) -> bool {
        if write.key.is_empty() {
            self.lamport = self.lamport.max(self.purging.restore(write.value.unwrap_or_default()));
            return false;
        }
        self.lamport = self.lamport.max(write.stamp.lamport);
        if write.stamp.writer == me {
            self.purging.wrote(write.stamp.lamport);
        }
        let purged = write.value.is_none() && self.purging.covers(write.stamp.lamport);
        if purged || self.write_of(write.key).is_some_and(|known| !write.beats(&known)) {
            return false;
        }
        self.put(write);
        true
    }

    fn put(&mut self, write: &Write<'_>) {
        self.remove(write.key);
        let key = Bytes::copy_from_slice(write.key);
        let number = part_of(&key);
        let part = self.parts.entry(number).or_default();
        part.sum ^= write.hash();
        part.keys.insert(key.clone());
        self.groups[group_of(number)] ^= write.hash();
        if write.value.is_none() {
            self.tombstones.insert((write.stamp.lamport, key.clone()));
        }
        let value = write.value.map(Bytes::copy_from_slice);
        self.records.insert(key, Record { stamp: write.stamp, value });
    }

    fn remove(&mut self, key: &[u8]) {
        let Some((key, record)) = self.records.remove_entry(key) else { return };
        let write = Write { key: &key, stamp: record.stamp, value: record.value.as_deref() };
        let number = part_of(&key);
        self.groups[group_of(number)] ^= write.hash();
        if let Some(part) = self.parts.get_mut(&number) {
            part.sum ^= write.hash();
            part.keys.remove(&key);
            if part.keys.is_empty() {
                self.parts.remove(&number);
            }
        }
        if record.value.is_none() {
            self.tombstones.remove(&(record.stamp.lamport, key));
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Option<&Bytes> {
        self.records.get(key)?.value.as_ref()
    }

    /// The write that made a key what it is, a removal included.
    pub fn stamp(&self, key: &[u8]) -> Option<Stamp> {
        self.records.get(key).map(|record| record.stamp)
    }

    /// The same, whole.
    pub fn write_of(&self, key: &[u8]) -> Option<Write<'_>> {
        self.records.get_key_value(key).map(view)
    }

    /// All of them, by rising key, removed ones included.
    pub fn iter(&self) -> impl Iterator<Item = Write<'_>> {
        self.records.iter().map(view)
    }

    /// How many, removed ones included.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// True if nothing was ever set.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many were removed and not purged yet.
    pub fn tombstones(&self) -> usize {
        self.tombstones.len()
    }

    /// Writes that were refused because they were malformed, too far ahead, or too many.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// A sum of each group.
    pub fn groups(&self) -> &[u64; GROUPS] {
        &self.groups
    }

    /// A sum of each part of a group.
    pub fn parts_of(&self, group: usize) -> [u64; PARTS_PER_GROUP] {
        let mut sums = [0; PARTS_PER_GROUP];
        let first = (group * PARTS_PER_GROUP) as u16;
        for (number, part) in self.parts.range(first..first.saturating_add(PARTS_PER_GROUP as u16)) {
            sums[usize::from(*number) % PARTS_PER_GROUP] = part.sum;
        }
        sums
    }

    /// One hash of all, and of what was purged.
    pub fn hash(&self) -> u64 {
        let records =
            self.groups.iter().enumerate().fold(0, |sum, (at, group)| hash::mix(sum ^ at as u64, *group));
        self.purging.mix(records)
    }

    /// Appends frames with the records of some parts, each of at most `room` octets unless one record alone is
    /// larger. False: these are more than `octets_max` octets, and not all were appended.
    pub fn frames(
        &self,
        parts: impl IntoIterator<Item = u16>,
        room: usize,
        octets_max: usize,
        frames: &mut Vec<Vec<u8>>,
    ) -> bool {
        let mut body = Vec::new();
        let mut left = octets_max;
        let parts = parts.into_iter().filter_map(|number| self.parts.get(&number));
        for write in parts.flat_map(|part| &part.keys).filter_map(|key| self.write_of(key)) {
            let octets = write.to_octets();
            match left.checked_sub(octets.len()) {
                Some(rest) => left = rest,
                None => return false,
            }
            if !body.is_empty() && framed(body.len() + octets.len()) > room {
                push_frame(frames, &mut body);
            }
            body.extend_from_slice(&octets);
        }
        if !body.is_empty() {
            push_frame(frames, &mut body);
        }
        true
    }

    /// The parts that hold something, from that one on.
    pub fn parts_from(&self, first: u16) -> impl Iterator<Item = u16> {
        self.parts.range(first..).map(|(number, _)| *number)
    }
}

fn view<'c>((key, record): (&'c Bytes, &'c Record)) -> Write<'c> {
    Write { key, stamp: record.stamp, value: record.value.as_deref() }
}

fn push_frame(frames: &mut Vec<Vec<u8>>, body: &mut Vec<u8>) {
    let mut frame = Vec::with_capacity(framed(body.len()));
    write(&mut frame, Kind::Cluster, body);
    frames.push(frame);
    body.clear();
}
