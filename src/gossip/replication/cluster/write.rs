//! One write of a cluster-wide record: what travels, and what is kept on disk.

use crate::gossip::codec::{Malformed, decode_all, encode, list};
use crate::gossip::hash;
use crate::gossip::identity::NodeId;
use crate::gossip::replication::log::{KEY_OCTETS_MAX, VALUE_OCTETS_MAX};
use bincode::{BorrowDecode, Encode};

/// Which of two writes is newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// Higher than any that the writer had seen.
    pub lamport: u64,
    /// Decides between equals.
    pub writer: NodeId,
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
    /// Which record. Empty: none, but what a node remembers beside them; never on the wire.
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

    /// True if this one stays of two of one key. A writer whose disk is older than what it said may give one stamp
    /// twice: then a removal stays, else the greater value, so that copies agree all the same.
    pub(super) fn beats(&self, other: &Write<'_>) -> bool {
        let order = |write: &Write<'_>| (write.stamp, write.value.is_none());
        (order(self), self.value) > (order(other), other.value)
    }

    pub(super) fn hash(&self) -> u64 {
        let value = self.value.map_or(0, hash::octets);
        hash::words([hash::octets(self.key), self.stamp.lamport, self.stamp.writer.0, value])
    }
}

/// The writes of a `Cluster` frame's body.
pub fn writes(body: &[u8]) -> impl Iterator<Item = Result<Write<'_>, Malformed>> {
    list::<RecordWire<'_>>(body).map(|wire| Write::read(&wire?))
}
