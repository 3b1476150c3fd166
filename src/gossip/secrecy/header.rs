//! What stands in clear before a datagram. All of it is part of what the tag vouches for.
//!
//! ```text
//!  sealed   │ version 3 bits, kind 2, length of number - 1: 3 │ hint 2 │ boot 8 │ number 1..8 │ sealed │ tag 16 │
//!  in clear │ version 3 bits, kind 2, 0: 3 │ mark of the cluster's name 4 │ sender 8 │ boot 8 │ octets │
//! ```
//!
//! Everybody pays for these octets with each probe, so there are few: the sender's id follows from its boot
//! nonce once it is met, and a number is written as short as it is: a node that sends four datagrams in a second
//! has a header of at most 14 octets for its first 48 days.

use super::refusal::Refused;
use super::{Peer, derive::TAG_OCTETS};
use crate::gossip::identity::NodeId;
use ring::digest;

/// Octets that the header and the tag add to a datagram at most; 28 to 31 in practice, 21 in clear.
pub const OVERHEAD: usize = 1 + HINT_SHORT + 8 + NUMBER_OCTETS_MAX + TAG_OCTETS;

/// Octets of a hint in a datagram. Two keys of a ring that look alike are both tried.
pub(super) const HINT_SHORT: usize = 2;
/// The version that this program speaks. Zero is none: too much of what strays through a network is zero.
pub(super) const VERSION: u8 = 1;

const NUMBER_OCTETS_MAX: usize = 8;

/// What a datagram or a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// In clear.
    Clear = 0,
    /// Sealed: something for the layer above.
    Said = 1,
    /// Sealed: who are you?
    Challenge = 2,
    /// Sealed: this is who.
    Answer = 3,
}

/// The octets in clear before a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    Clear { mark: [u8; 4], sender: Peer },
    Sealed { kind: Kind, hint: [u8; HINT_SHORT], boot: u64, number: u64 },
}

impl Header {
    /// Appends the header.
    pub(super) fn emit(&self, octets: &mut Vec<u8>) {
        match self {
            Header::Clear { mark, sender } => {
                octets.push(first(Kind::Clear, 0));
                octets.extend_from_slice(mark);
                octets.extend_from_slice(&sender.id.0.to_be_bytes());
                octets.extend_from_slice(&sender.boot.to_be_bytes());
            }
            Header::Sealed { kind, hint, boot, number } => {
                let number = number.to_be_bytes();
                let zeros = number.iter().take_while(|octet| **octet == 0).count().min(NUMBER_OCTETS_MAX - 1);
                let short = &number[zeros..];
                octets.push(first(*kind, short.len() as u8 - 1));
                octets.extend_from_slice(hint);
                octets.extend_from_slice(&boot.to_be_bytes());
                octets.extend_from_slice(short);
            }
        }
    }

    /// Reads a header; it, and its length.
    pub(super) fn parse(octets: &[u8]) -> Result<(Header, usize), Refused> {
        let mut rest = octets;
        let (kind, extra) = split_first(take::<1>(&mut rest)?[0])?;
        let header = match kind {
            Kind::Clear if extra != 0 => return Err(Refused::Malformed),
            Kind::Clear => {
                let mark = take(&mut rest)?;
                let id = NodeId(u64::from_be_bytes(take(&mut rest)?));
                Header::Clear { mark, sender: Peer { id, boot: u64::from_be_bytes(take(&mut rest)?) } }
            }
            Kind::Said | Kind::Challenge | Kind::Answer => {
                let hint = take(&mut rest)?;
                let boot = u64::from_be_bytes(take(&mut rest)?);
                let (number, behind) =
                    rest.split_at_checked(usize::from(extra) + 1).ok_or(Refused::Truncated)?;
                if behind.len() < TAG_OCTETS {
                    return Err(Refused::Truncated);
                }
                rest = behind;
                let number = number.iter().fold(0, |number, octet| number << 8 | u64::from(*octet));
                Header::Sealed { kind, hint, boot, number }
            }
        };
        Ok((header, octets.len() - rest.len()))
    }
}

/// The first octet of datagrams and streams.
pub(super) fn first(kind: Kind, extra: u8) -> u8 {
    VERSION << 5 | (kind as u8) << 3 | extra & 7
}

/// The kind in a first octet, and its three lowest bits.
pub(super) fn split_first(octet: u8) -> Result<(Kind, u8), Refused> {
    if octet >> 5 != VERSION {
        return Err(Refused::Version);
    }
    let kind = match octet >> 3 & 3 {
        0 => Kind::Clear,
        1 => Kind::Said,
        2 => Kind::Challenge,
        _ => Kind::Answer,
    };
    Ok((kind, octet & 7))
}

/// The mark of a cluster that speaks in clear: keeps clusters apart that share a network by mistake.
pub(super) fn cluster_mark(cluster: &str) -> [u8; 4] {
    let hash = digest::digest(&digest::SHA256, &[b"hivedns cluster ", cluster.as_bytes()].concat());
    hash.as_ref().first_chunk().copied().unwrap_or_default()
}

/// The first octets of `rest`, which moves on.
pub(super) fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Refused> {
    let (octets, behind) = rest.split_first_chunk::<N>().ok_or(Refused::Truncated)?;
    *rest = behind;
    Ok(*octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_header_is_read_as_it_was_written_and_is_as_short_as_its_number() {
        for (number, octets) in [(1, 12), (255, 12), (256, 13), (1 << 24, 15), (u64::MAX, 19)] {
            let header = Header::Sealed { kind: Kind::Answer, hint: [1, 2], boot: 3, number };
            let mut written = Vec::new();
            header.emit(&mut written);
            assert_eq!(written.len(), octets);
            assert!(written.len() + TAG_OCTETS <= OVERHEAD);
            written.resize(octets + TAG_OCTETS, 9);
            assert_eq!(Header::parse(&written), Ok((header, octets)));
            assert_eq!(Header::parse(&written[..octets + TAG_OCTETS - 1]), Err(Refused::Truncated));
        }
        let header = Header::Clear { mark: [1; 4], sender: Peer { id: NodeId(2), boot: 3 } };
        let mut written = Vec::new();
        header.emit(&mut written);
        assert_eq!((Header::parse(&written), written.len()), (Ok((header, 21)), 21));
        assert_eq!(Header::parse(&written[..20]), Err(Refused::Truncated));
    }

    #[test]
    fn other_versions_are_told_from_faults() {
        for version in (0..8).filter(|version| *version != VERSION) {
            assert_eq!(Header::parse(&[version << 5; 64]), Err(Refused::Version));
        }
        assert_eq!(Header::parse(&[]), Err(Refused::Truncated));
        assert_eq!(Header::parse(&[VERSION << 5 | 1; 64]), Err(Refused::Malformed));
    }

    proptest! {
        #[test]
        fn any_octets_are_a_header_or_a_refusal(octets in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok((_, length)) = Header::parse(&octets) {
                prop_assert!(length <= octets.len());
            }
        }
    }
}
