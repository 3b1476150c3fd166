//! The small values of replication's frames. Lists fill their frame.

use crate::gossip::codec::{Malformed, encode, list};
use crate::gossip::frame::{Kind, write};
use crate::gossip::identity::{Generation, NodeId, Version};
use crate::gossip::replication::owners::{BUCKETS, Reach};
use bincode::{Decode, Encode};

/// How far somebody's copy of an owner's log goes: in hints, pulls, heads and wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct HeadWire {
    owner: NodeId,
    generation: Generation,
    head: Version,
}

/// Octets of one, at most.
pub const HEAD_OCTETS_MAX: usize = 8 + 5 + 9;

impl HeadWire {
    /// As it travels.
    pub fn new(owner: NodeId, reach: Reach) -> HeadWire {
        HeadWire { owner, generation: reach.generation, head: reach.head }
    }

    /// Whose.
    pub fn owner(&self) -> NodeId {
        self.owner
    }

    /// How far.
    pub fn reach(&self) -> Reach {
        Reach { generation: self.generation, head: self.head }
    }
}

/// One hash of all that a node holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct DigestWire {
    /// Over the heads of all owners.
    pub owners: [u8; 8],
    /// Over the cluster-wide records.
    pub cluster: [u8; 8],
    /// Over the members.
    pub members: [u8; 8],
}

/// The end of what a stream brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct DoneWire {
    /// True if who sent it knows the cluster's records.
    pub synced: bool,
}

/// The values of a frame's body.
pub fn heads(body: &[u8]) -> impl Iterator<Item = Result<HeadWire, Malformed>> {
    list(body)
}

/// Appends frames of that kind with heads, each frame of at most `room` octets.
pub fn write_heads(
    frames: &mut Vec<Vec<u8>>,
    kind: Kind,
    room: usize,
    heads: impl Iterator<Item = HeadWire>,
) {
    let mut body = Vec::new();
    let mut full = |body: &mut Vec<u8>| {
        let mut frame = Vec::with_capacity(body.len() + 4);
        write(&mut frame, kind, body);
        frames.push(frame);
        body.clear();
    };
    for head in heads {
        if body.len() + HEAD_OCTETS_MAX + 4 > room {
            full(&mut body);
        }
        encode(&mut body, &head);
    }
    if !body.is_empty() {
        full(&mut body);
    }
}

/// The body of a `Buckets` frame: of each bucket the upper half of its hash.
pub fn buckets(hashes: &[u64]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| ((hash >> 32) as u32).to_le_bytes()).collect()
}

/// Which buckets differ from those of a body; `None` if that has not one for each.
pub fn differing(hashes: &[u64], body: &[u8]) -> Option<Vec<usize>> {
    let (theirs, []) = body.as_chunks::<4>() else { return None };
    if theirs.len() != hashes.len() {
        return None;
    }
    let pairs = hashes.iter().zip(theirs).enumerate();
    Some(
        pairs
            .filter(|(_, (own, other))| (**own >> 32) as u32 != u32::from_le_bytes(**other))
            .map(|(at, _)| at)
            .collect(),
    )
}

const _: () = assert!(BUCKETS * 4 < 1200, "all hashes fit into one datagram");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gossip::frame::split;

    #[test]
    fn heads_are_cut_into_frames_that_fit() {
        let all: Vec<HeadWire> = (0..500u64)
            .map(|n| {
                HeadWire::new(NodeId(n << 50), Reach { generation: Generation(1), head: Version(n * n) })
            })
            .collect();
        let mut frames = Vec::new();
        write_heads(&mut frames, Kind::Hint, 1200, all.iter().copied());
        assert!(frames.len() > 3);
        let mut read = Vec::new();
        for frame in &frames {
            assert!(frame.len() <= 1200);
            let (kind, body, rest) = split(frame).unwrap();
            assert_eq!((kind, rest), (Kind::Hint as u8, &[][..]));
            read.extend(heads(body).map(Result::unwrap));
        }
        assert_eq!(read, all);
    }

    #[test]
    fn buckets_that_differ_are_found() {
        let mut hashes = [7 << 40; BUCKETS];
        let body = buckets(&hashes);
        assert_eq!(differing(&hashes, &body), Some(vec![]));
        hashes[3] = 1 << 40;
        hashes[255] = 2 << 40;
        assert_eq!(differing(&hashes, &body), Some(vec![3, 255]));
        assert_eq!(differing(&hashes, &body[1..]), None);
        assert_eq!(differing(&hashes, &body[4..]), None);
    }
}
