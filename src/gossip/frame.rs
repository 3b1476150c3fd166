//! The unit of what travels: a frame, one of several in a datagram or on a stream.
//!
//! ```text
//! datagram | sealed: | frame | frame | ...
//! frame    | kind (8) | length of the body, 1 to 5 octets | body |
//! ```
//!
//! A kind that is not known is passed over by its length, so that an older version can live beside a newer one.
//! Membership has frames of its own; see [`membership`](crate::gossip::membership).

use crate::gossip::codec::{Malformed, decode, encode};

/// The kind of a frame that is not membership's, whose are the numbers up to 15. The numbers are the wire format:
/// none is ever given another meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Changes of one owner, pushed: whoever learns of them by this sends them on.
    Delta = 16,
    /// Changes of one owner, asked for.
    Answer = 17,
    /// Heads that are new here.
    Hint = 18,
    /// Heads of which the newer changes are wanted.
    Pull = 19,
    /// Too much for datagrams: fetch it over a stream.
    Refer = 20,
    /// Cluster-wide records.
    Cluster = 21,
    /// One hash of each kind of what is held.
    Digest = 22,
    /// A hash of each part of what is held of owners.
    Buckets = 23,
    /// All heads of one part.
    Heads = 24,
    /// A hash of each group of the cluster-wide records.
    ClusterBuckets = 25,
    /// A hash of each part of what is told of members.
    MemberBuckets = 26,
    /// An owner asks who has what it withdrew.
    Ask = 27,
    /// The answer to that.
    Held = 28,
    /// A change of the ring of keys.
    Key = 29,
    /// On a stream: members.
    Table = 30,
    /// On a stream: how far what is here goes; more than that is wanted.
    Want = 31,
    /// On a stream: that was all.
    Done = 32,
    /// One hash of the cluster-wide records, which are new here.
    ClusterHint = 33,
    /// A hash of each part of what its sender made of owners; the states that differ are wanted.
    AskStates = 34,
    /// The answer to that.
    States = 35,
    /// Up to where its sender has purged tombstones of cluster-wide records.
    ClusterMark = 36,
    /// A hash of each part of some groups of the cluster-wide records.
    ClusterParts = 37,
    /// Who holds the same cluster-wide records acknowledges it, so that tombstones can be purged.
    MarkAsk = 38,
    /// The answer to that.
    MarkHeld = 39,
    /// Something that its sender does not know; what it is about is the business of the machines' owners.
    Question = 40,
    /// What is known of it.
    Known = 41,
    /// An owner asks since when its head is shown.
    Reached = 42,
    /// The answer to that.
    Since = 43,
}

impl Kind {
    /// All of them, by their number from 16 on.
    pub const ALL: [Kind; 28] = [
        Kind::Delta,
        Kind::Answer,
        Kind::Hint,
        Kind::Pull,
        Kind::Refer,
        Kind::Cluster,
        Kind::Digest,
        Kind::Buckets,
        Kind::Heads,
        Kind::ClusterBuckets,
        Kind::MemberBuckets,
        Kind::Ask,
        Kind::Held,
        Kind::Key,
        Kind::Table,
        Kind::Want,
        Kind::Done,
        Kind::ClusterHint,
        Kind::AskStates,
        Kind::States,
        Kind::ClusterMark,
        Kind::ClusterParts,
        Kind::MarkAsk,
        Kind::MarkHeld,
        Kind::Question,
        Kind::Known,
        Kind::Reached,
        Kind::Since,
    ];

    /// The kind of that number; `None` for one that this version does not know.
    pub fn from_number(number: u8) -> Option<Kind> {
        Kind::ALL.get(usize::from(number).checked_sub(16)?).copied()
    }
}

/// Octets that a frame adds to its body, if that has at most 250 octets; two more up to 65,535.
pub const FRAME_HEAD_SHORT: usize = 2;
/// Octets that a frame adds to its body at most.
pub const FRAME_HEAD_MAX: usize = 6;

/// Appends a frame.
pub fn write(octets: &mut Vec<u8>, kind: Kind, body: &[u8]) {
    octets.push(kind as u8);
    encode(octets, &(body.len() as u32));
    octets.extend_from_slice(body);
}

/// Octets of the frame with a body of that many.
pub fn framed(body: usize) -> usize {
    body + match body {
        0..=250 => FRAME_HEAD_SHORT,
        251..=0xffff => FRAME_HEAD_SHORT + 2,
        _ => FRAME_HEAD_MAX,
    }
}

/// Takes the first frame off: the number of its kind, its body, and what follows.
pub fn split(octets: &[u8]) -> Result<(u8, &[u8], &[u8]), Malformed> {
    let (number, rest) = octets.split_first().ok_or(Malformed)?;
    let (len, rest) = decode::<u32>(rest)?;
    let (body, rest) = rest.split_at_checked(len as usize).ok_or(Malformed)?;
    Ok((*number, body, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_follow_each_other_and_an_unknown_kind_is_passed_over() {
        let mut octets = Vec::new();
        write(&mut octets, Kind::Hint, b"hint");
        octets.extend_from_slice(&[200, 2, 1, 1]);
        for len in [0, 250, 251, 65_535, 65_536] {
            let before = octets.len();
            write(&mut octets, Kind::Delta, &vec![7; len]);
            assert_eq!(octets.len() - before, framed(len), "{len}");
        }
        let (kind, body, rest) = split(&octets).unwrap();
        assert_eq!((kind, body), (Kind::Hint as u8, &b"hint"[..]));
        let (kind, body, mut rest) = split(rest).unwrap();
        assert_eq!((kind, body), (200, &[1, 1][..]));
        while !rest.is_empty() {
            let (kind, _, after) = split(rest).unwrap();
            assert_eq!(kind, Kind::Delta as u8);
            rest = after;
        }
        assert_eq!(split(&[1, 5, 0]), Err(Malformed));
    }

    #[test]
    fn each_kind_has_its_number() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_number(kind as u8), Some(kind));
        }
        assert_eq!((Kind::from_number(15), Kind::from_number(16 + Kind::ALL.len() as u8)), (None, None));
    }
}
