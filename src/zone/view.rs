//! Records that not every asker gets: each says for whom it is, in front of its RDATA. They lie in sets of types of their
//! own, which nobody can ask for; see [`crate::wire::rtype::RecordType::viewed`].
//!
//! ```text
//! | group 2 | stack 4 | item 6 | network 4 | owner 4 | flags 1 | RDATA as it is told ...
//! ```
//!
//! - A **group** is all that one stack says at a name. An asker gets one group: that of its own stack if it sees any of
//!   it, else the first of which it sees something. Groups rise in the order of their stacks' names.
//! - An **item** is one thing that can be reached in several networks: a task, or a port of it. An asker gets one record
//!   of each: that of the first of the asker's networks, by name, in which there is one.
//! - The **owner** is the node that says it, which an asker on the same node is near to.
//!
//! - A **mark** is a record without RDATA of a DNS type of its own, [`MARK`]: a service of this stack is in this network,
//!   whether or not it has anything to tell there. So an asker whose own stack has the service never gets another stack's
//!   because its own has no tasks, or none with an address of the kind that is asked for.
//!
//! Numbers are hashes ([`number`]), because all that is done with them is to compare. Made by `discovery`, read by
//! `answer`; what the names of stacks and networks are is not known here.

use crate::wire::rtype::RecordType;

/// The type of marks, before it is [viewed](RecordType::viewed): no record has it.
pub const MARK: RecordType = RecordType(0);

/// The RDATA of a mark: whether there is anything to tell in its network.
pub mod marks {
    /// There is.
    pub const FULL: &[u8] = &[1];
    /// There is not: who has no service of that name in its own stack looks further.
    pub const EMPTY: &[u8] = &[0];
}

/// Octets in front of the RDATA.
pub const TAG_OCTETS: usize = 21;
/// Where the flags stand.
const FLAGS_AT: usize = TAG_OCTETS - 1;

/// Flags of a record.
pub mod flags {
    /// Its owner is lost: it comes last. Set where it is sealed.
    pub const LOST: u8 = 0x80;
    /// Only for askers on the node of its owner; this node's, if the asker is not known.
    pub const LOCAL: u8 = 0x01;
    /// The bits of the order.
    pub const ORDER: u8 = 0x06;
    /// By lot. Without any of these bits: the asker's node first, each group rotating.
    pub const ORDER_RANDOM: u8 = 0x02;
    /// Rotating, wherever they are.
    pub const ORDER_ROTATE: u8 = 0x04;
    /// As they are.
    pub const ORDER_FIXED: u8 = 0x06;
}

/// For whom a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag {
    /// Which of the groups at its name.
    pub group: u16,
    /// The [`number`] of the group's stack; that of no text for what belongs to none.
    pub stack: u32,
    /// What it is a record of; the upper 16 bits are not kept.
    pub item: u64,
    /// The [`number`] of the network in which it leads somewhere.
    pub network: u32,
    /// The number of the node that says it.
    pub owner: u32,
    /// See [`flags`].
    pub flags: u8,
}

impl Tag {
    /// The RDATA with the tag in front.
    pub fn seal(&self, rdata: &[u8]) -> Box<[u8]> {
        let mut octets = Vec::with_capacity(TAG_OCTETS + rdata.len());
        octets.extend_from_slice(&self.group.to_be_bytes());
        octets.extend_from_slice(&self.stack.to_be_bytes());
        octets.extend_from_slice(&self.item.to_be_bytes()[2..]);
        octets.extend_from_slice(&self.network.to_be_bytes());
        octets.extend_from_slice(&self.owner.to_be_bytes());
        octets.push(self.flags);
        octets.extend_from_slice(rdata);
        octets.into()
    }

    /// The tag, and the RDATA behind it; `None` if there are too few octets.
    #[inline]
    pub fn open(sealed: &[u8]) -> Option<(Tag, &[u8])> {
        let (tag, rdata) = sealed.split_first_chunk::<TAG_OCTETS>()?;
        let word = |at: usize| u32::from_be_bytes([tag[at], tag[at + 1], tag[at + 2], tag[at + 3]]);
        let tag = Tag {
            group: u16::from_be_bytes([tag[0], tag[1]]),
            stack: word(2),
            item: u64::from(u16::from_be_bytes([tag[6], tag[7]])) << 32 | u64::from(word(8)),
            network: word(12),
            owner: word(16),
            flags: tag[FLAGS_AT],
        };
        Some((tag, rdata))
    }
}

/// Who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Asker {
    /// The number of its stack: see [`Tag::stack`].
    pub stack: u32,
    /// The number of the node it is on: see [`Tag::owner`].
    pub owner: u32,
    /// Its networks, in the order of their names: see [`Tag::network`].
    pub networks: Box<[u32]>,
}

/// Marks the tag of these octets as lost, or takes the mark away.
pub(crate) fn set_lost(sealed: &mut [u8], lost: bool) {
    if let Some(octet) = sealed.get_mut(FLAGS_AT) {
        *octet = if lost { *octet | flags::LOST } else { *octet & !flags::LOST };
    }
}

/// The number that stands for a stack, a network or a container: the same on every node, and never changing (FNV-1a).
pub fn number64(text: &[u8]) -> u64 {
    text.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The same of 32 bits: among a thousand networks two are alike once in ten thousand swarms.
pub fn number(text: &[u8]) -> u32 {
    let wide = number64(text);
    (wide ^ (wide >> 32)) as u32
}

/// The number of a node: see [`Tag::owner`].
pub fn owner_number(id: u64) -> u32 {
    number(&id.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_sealed_is_opened(
            parts in any::<(u16, u32, u64, u32, u32, u8)>(),
            rdata in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let (group, stack, item, network, owner, flags) = parts;
            let tag = Tag { group, stack, item: item >> 16, network, owner, flags };
            let mut sealed = tag.seal(&rdata);
            prop_assert_eq!(Tag::open(&sealed), Some((tag, &rdata[..])));
            set_lost(&mut sealed, true);
            let lost = Tag { flags: flags | super::flags::LOST, ..tag };
            prop_assert_eq!(Tag::open(&sealed), Some((lost, &rdata[..])));
        }

        #[test]
        fn no_octets_make_it_panic(octets in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(Tag::open(&octets).is_some(), octets.len() >= TAG_OCTETS);
        }
    }
}
