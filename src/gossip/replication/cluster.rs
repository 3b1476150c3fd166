//! Records of the cluster as a whole: set and unset from any node, on every node, without a lease.
//!
//! Each record has many writers, so there is no log: of two writes of one key the one with the higher stamp stays,
//! a stamp being a Lamport counter and the writer (last writer wins). That is commutative, associative and
//! idempotent: copies that have seen the same writes are equal, whatever the order.
//!
//! A removal leaves a tombstone. Tombstones are kept: a node that was away must not bring back what was removed.

use crate::gossip::codec::{Malformed, decode_all, encode, list};
use crate::gossip::frame::{Kind, framed, write};
use crate::gossip::hash;
use crate::gossip::identity::NodeId;
use crate::gossip::replication::log::{KEY_OCTETS_MAX, VALUE_OCTETS_MAX};
use bincode::{BorrowDecode, Encode};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Parts that the records are divided into for comparing them.
pub const CLUSTER_BUCKETS: usize = 64;
/// Records and tombstones at most: what people and machines set by hand or by UPDATE, not what is discovered.
pub const CLUSTER_RECORDS_MAX: usize = 1 << 20;

/// Which of two writes is newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// Higher than any that the writer had seen.
    pub lamport: u64,
    /// Decides between equals.
    pub writer: NodeId,
}

#[derive(Debug, Clone)]
struct Record {
    stamp: Stamp,
    value: Option<Bytes>,
}

#[derive(Encode, BorrowDecode)]
struct RecordWire<'r> {
    key: &'r [u8],
    lamport: u64,
    writer: NodeId,
    value: Option<&'r [u8]>,
}

/// What there is of a record: also the form in which it is kept on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Write<'w> {
    /// Which record.
    pub key: &'w [u8],
    /// When, and by whom.
    pub stamp: Stamp,
    /// What it became; `None`: removed.
    pub value: Option<&'w [u8]>,
}

impl<'w> Write<'w> {
    fn wire(&self) -> RecordWire<'w> {
        RecordWire {
            key: self.key,
            lamport: self.stamp.lamport,
            writer: self.stamp.writer,
            value: self.value,
        }
    }

    fn read(wire: &RecordWire<'w>) -> Result<Write<'w>, Malformed> {
        if wire.key.len() > KEY_OCTETS_MAX || wire.value.is_some_and(|value| value.len() > VALUE_OCTETS_MAX) {
            return Err(Malformed);
        }
        let stamp = Stamp { lamport: wire.lamport, writer: wire.writer };
        Ok(Write { key: wire.key, stamp, value: wire.value })
    }

    /// For the disk.
    pub fn to_octets(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        encode(&mut octets, &self.wire());
        octets
    }

    /// From the disk.
    pub fn from_octets(octets: &'w [u8]) -> Result<Write<'w>, Malformed> {
        Write::read(&decode_all(octets)?)
    }

    fn hash(&self) -> u64 {
        hash::words([hash::octets(self.key), self.stamp.lamport, self.stamp.writer.0])
    }
}

/// The writes of a `Cluster` frame's body.
pub fn writes(body: &[u8]) -> impl Iterator<Item = Result<Write<'_>, Malformed>> {
    list::<RecordWire<'_>>(body).map(|wire| Write::read(&wire?))
}

/// All records, removed ones included.
pub struct Cluster {
    records: BTreeMap<Bytes, Record>,
    lamport: u64,
    buckets: [u64; CLUSTER_BUCKETS],
}

fn bucket_of(key: &[u8]) -> usize {
    (hash::octets(key) >> 32) as usize % CLUSTER_BUCKETS
}

impl Default for Cluster {
    fn default() -> Cluster {
        Cluster { records: BTreeMap::new(), lamport: 0, buckets: [0; CLUSTER_BUCKETS] }
    }
}

impl Cluster {
    /// Writes as `writer`: the newest write of all that this node knows. The write, to be spread and kept; `None`
    /// if it changes nothing, or there is no room.
    pub fn write(&mut self, writer: NodeId, key: &[u8], value: Option<&[u8]>) -> Option<Vec<u8>> {
        let known = self.records.get(key);
        if known.and_then(|record| record.value.as_deref()) == value {
            return None;
        }
        let stamp = Stamp { lamport: self.lamport.checked_add(1)?, writer };
        let write = Write { key, stamp, value };
        self.take(&write).then(|| write.to_octets())
    }

    /// Takes a write of anybody's. True if it is newer than what was known.
    pub fn take(&mut self, write: &Write<'_>) -> bool {
        self.lamport = self.lamport.max(write.stamp.lamport);
        let value = write.value.map(Bytes::copy_from_slice);
        let full = self.records.len() >= CLUSTER_RECORDS_MAX;
        match self.records.get_mut(write.key) {
            Some(record) if record.stamp >= write.stamp => return false,
            Some(record) => {
                let old = Write { key: write.key, stamp: record.stamp, value: None };
                self.buckets[bucket_of(write.key)] ^= old.hash();
                *record = Record { stamp: write.stamp, value };
            }
            None if full => return false,
            None => {
                let record = Record { stamp: write.stamp, value };
                self.records.insert(Bytes::copy_from_slice(write.key), record);
            }
        }
        self.buckets[bucket_of(write.key)] ^= write.hash();
        true
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Option<&Bytes> {
        self.records.get(key)?.value.as_ref()
    }

    /// The write that made a key what it is, a removal included.
    pub fn stamp(&self, key: &[u8]) -> Option<Stamp> {
        self.records.get(key).map(|record| record.stamp)
    }

    /// All of them, by rising key, removed ones included.
    pub fn iter(&self) -> impl Iterator<Item = Write<'_>> {
        self.records.iter().map(|(key, record)| Write {
            key,
            stamp: record.stamp,
            value: record.value.as_deref(),
        })
    }

    /// How many, removed ones included.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// True if nothing was ever set.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// A hash of each part.
    pub fn buckets(&self) -> &[u64; CLUSTER_BUCKETS] {
        &self.buckets
    }

    /// One hash of all.
    pub fn hash(&self) -> u64 {
        self.buckets.iter().enumerate().fold(0, |sum, (at, bucket)| hash::mix(sum ^ at as u64, *bucket))
    }

    /// Appends frames with the records of some parts, each of at most `room` octets unless one record alone is
    /// larger.
    pub fn frames(&self, buckets: &[usize], room: usize, frames: &mut Vec<Vec<u8>>) {
        let mut body = Vec::new();
        for write in self.iter().filter(|write| buckets.contains(&bucket_of(write.key))) {
            let octets = write.to_octets();
            if !body.is_empty() && framed(body.len() + octets.len()) > room {
                push_frame(frames, &mut body);
            }
            body.extend_from_slice(&octets);
        }
        if !body.is_empty() {
            push_frame(frames, &mut body);
        }
    }
}

fn push_frame(frames: &mut Vec<Vec<u8>>, body: &mut Vec<u8>) {
    let mut frame = Vec::with_capacity(framed(body.len()));
    write(&mut frame, Kind::Cluster, body);
    frames.push(frame);
    body.clear();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gossip::frame::split;
    use proptest::prelude::*;

    #[test]
    fn what_was_removed_does_not_come_back() {
        let (mut here, mut there) = (Cluster::default(), Cluster::default());
        let old = here.write(NodeId(1), b"a", Some(b"1")).unwrap();
        there.take(&Write::from_octets(&old).unwrap());
        let gone = there.write(NodeId(2), b"a", None).unwrap();
        assert!(here.take(&Write::from_octets(&gone).unwrap()));
        assert!(!here.take(&Write::from_octets(&old).unwrap()));
        assert_eq!((here.get(b"a"), here.hash()), (None, there.hash()));
        assert_eq!(here.write(NodeId(1), b"a", None), None);
    }

    proptest! {
        #[test]
        fn copies_that_saw_the_same_writes_are_equal(
            writes in prop::collection::vec((0u8..8, 0u64..6, 0u64..3, prop::option::of(any::<u8>())), 0..60),
            seed in any::<u64>(),
        ) {
            let writes: Vec<Vec<u8>> = writes.iter().map(|(key, lamport, writer, value)| {
                // A writer never gives one stamp twice.
                let stamp = Stamp { lamport: lamport * 8 + u64::from(*key), writer: NodeId(*writer) };
                let value = value.map(|_| [*key, *lamport as u8, *writer as u8]);
                Write { key: &[*key], stamp, value: value.as_ref().map(|value| &value[..]) }.to_octets()
            }).collect();
            let mut shuffled = writes.clone();
            fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
            let (mut one, mut two) = (Cluster::default(), Cluster::default());
            for write in &writes { one.take(&Write::from_octets(write).unwrap()); }
            for write in shuffled.iter().chain(&writes) { two.take(&Write::from_octets(write).unwrap()); }
            prop_assert_eq!(one.buckets(), two.buckets());
            // What travels in frames makes a third one equal.
            let mut frames = Vec::new();
            one.frames(&(0..CLUSTER_BUCKETS).collect::<Vec<_>>(), 100, &mut frames);
            let mut three = Cluster::default();
            for frame in &frames {
                prop_assert!(frame.len() <= 100);
                for write in super::writes(split(frame).unwrap().1) { three.take(&write.unwrap()); }
            }
            prop_assert_eq!(one.hash(), three.hash());
        }
    }
}
