//! What members say to each other in datagrams.
//!
//! ```text
//! | kind | length | body                        |   length: octets of the body, as short as it is
//!   1      0        Who       say who you are
//!   2      1..3     Ping      sequence
//!   3      1..3     Ack       sequence of the ping or of the request it answers
//!   4      1..3     Nack      sequence of the request: the target has not answered so far
//!   5      10..12   PingReq   sequence, target
//!   6      ~40      Told      what is told of a node, and for how long it has been so
//!   7      ~21      Suspect   target, its incarnation, who found it silent
//! ```

use crate::gossip::codec::{self, Malformed};
use crate::gossip::identity::{Incarnation, NodeId};
use crate::gossip::membership::told::Told;
use bincode::{Decode, Encode};
use std::ops::RangeInclusive;

/// The kinds of frames that belong to membership.
pub const KINDS: RangeInclusive<u8> = 1..=7;

/// Octets of the largest frame: a telling with a long name and an IPv6 address.
pub const FRAME_OCTETS_MAX: usize = 140;

/// Numbers the questions of one node, so that an answer finds its question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Sequence(pub u16);

/// That one node found another silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Suspect {
    /// Who is silent.
    pub id: NodeId,
    /// Which incarnation of it.
    pub incarnation: Incarnation,
    /// Who found it so.
    pub by: NodeId,
}

/// One thing said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// You are not known here; say who you are.
    Who,
    /// Are you there?
    Ping(Sequence),
    /// I am, or: the target you asked me to ping is.
    Ack(Sequence),
    /// I am, but the target you asked me to ping has not answered.
    Nack(Sequence),
    /// Please ping that member for me.
    PingReq(Sequence, NodeId),
    /// What is told of a node.
    Told {
        /// It.
        told: Told,
        /// Seconds since it became true; counts for who is lost only.
        age_s: u32,
    },
    /// Somebody found a node silent.
    Suspect(Suspect),
}

impl Frame {
    /// Appends kind, length and body.
    pub fn emit(&self, octets: &mut Vec<u8>) {
        let kind = match self {
            Frame::Who => 1,
            Frame::Ping(_) => 2,
            Frame::Ack(_) => 3,
            Frame::Nack(_) => 4,
            Frame::PingReq(..) => 5,
            Frame::Told { .. } => 6,
            Frame::Suspect(_) => 7,
        };
        // No body is longer than 250 octets, and so each length is one octet: its place is kept until it is known.
        octets.extend([kind, 0]);
        let body = octets.len();
        match self {
            Frame::Who => {}
            Frame::Ping(sequence) | Frame::Ack(sequence) | Frame::Nack(sequence) => {
                codec::encode(octets, sequence);
            }
            Frame::PingReq(sequence, target) => codec::encode(octets, &(*sequence, *target)),
            Frame::Told { told, age_s } => told.encode(*age_s, octets),
            Frame::Suspect(suspect) => codec::encode(octets, suspect),
        }
        debug_assert!(octets.len() - body < FRAME_OCTETS_MAX, "{self:?}");
        octets[body - 1] = (octets.len() - body) as u8;
    }

    /// Reads the body of a frame whose kind is one of [`KINDS`].
    pub fn parse(kind: u8, body: &[u8]) -> Result<Frame, Malformed> {
        match kind {
            1 if body.is_empty() => Ok(Frame::Who),
            2 => codec::decode_all(body).map(Frame::Ping),
            3 => codec::decode_all(body).map(Frame::Ack),
            4 => codec::decode_all(body).map(Frame::Nack),
            5 => codec::decode_all(body).map(|(sequence, target)| Frame::PingReq(sequence, target)),
            6 => match Told::decode(body)? {
                (told, age_s, []) => Ok(Frame::Told { told, age_s }),
                _ => Err(Malformed),
            },
            7 => codec::decode_all(body).map(Frame::Suspect),
            _ => Err(Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gossip::identity::Generation;
    use crate::gossip::membership::told::Class;
    use crate::gossip::output::NodeInfo;
    use std::sync::Arc;

    fn frames() -> Vec<Frame> {
        let sequence = Sequence(u16::MAX);
        let incarnation = Incarnation { generation: Generation(u32::MAX), refutation: u32::MAX };
        let info = NodeInfo {
            id: NodeId(u64::MAX),
            boot: u64::MAX,
            name: "n".repeat(63).into(),
            address: "[2001:db8::1]:65535".parse().unwrap(),
        };
        let told = Told { info: Arc::new(info), incarnation, class: Class::Left };
        let suspect = Suspect { id: NodeId(u64::MAX), incarnation, by: NodeId(u64::MAX) };
        vec![
            Frame::Who,
            Frame::Ping(sequence),
            Frame::Ack(sequence),
            Frame::Nack(sequence),
            Frame::PingReq(sequence, NodeId(u64::MAX)),
            Frame::Told { told, age_s: u32::MAX },
            Frame::Suspect(suspect),
        ]
    }

    #[test]
    fn the_largest_frame_of_each_kind_is_read_as_it_was_written() {
        for (kind, frame) in KINDS.zip(frames()) {
            let mut octets = vec![0xaa];
            frame.emit(&mut octets);
            assert!(octets.len() <= 1 + FRAME_OCTETS_MAX);
            assert_eq!((octets[1], usize::from(octets[2])), (kind, octets.len() - 3));
            assert_eq!(Frame::parse(kind, &octets[3..]), Ok(frame));
        }
    }

    #[test]
    fn a_frame_cut_short_or_too_long_is_malformed() {
        for frame in frames() {
            let mut octets = Vec::new();
            frame.emit(&mut octets);
            let body = &octets[2..];
            for len in 0..body.len() {
                assert_eq!(Frame::parse(octets[0], &body[..len]), Err(Malformed), "{frame:?} cut at {len}");
            }
            assert_eq!(Frame::parse(octets[0], &[body, &[0]].concat()), Err(Malformed));
        }
        assert_eq!(Frame::parse(0, &[]), Err(Malformed));
        assert_eq!(Frame::parse(8, &[]), Err(Malformed));
    }

    #[test]
    fn a_ping_takes_no_more_than_five_octets() {
        let mut octets = Vec::new();
        Frame::Ping(Sequence(u16::MAX)).emit(&mut octets);
        assert_eq!(octets.len(), 5);
    }
}
