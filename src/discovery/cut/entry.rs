//! A cut as entries of the sequencer's own log.
//!
//! ```text
//! key: h | owner (8)    value: 1 | generation (4) | head (8) | node's name                  an owner, and how far
//! key: c                value: 1 | serial (4) | content (8) | sets (8) | ttl (4) | negative ttl (4)
//!                              | count (1) | ( length (1) | node's name ) ... | count (1) | ( network (4) ) ...
//! key: x                value: 1 | serial (4) | lane (1)                                     whoever says it wants cuts
//! ```
//!
//! Heads that moved are said first, the cut last: it holds for whoever has all of the log up to it. The head of the
//! sequencer's own log is not said, it is the version of the cut's entry. An owner without a head says nothing in the cut.

use crate::discovery::entry::{Octets, Poison};
use crate::zone::Serial;

/// The key of the cut.
pub const CUT_KEY: &[u8] = b"c";
/// The first octet of a head's key.
pub const HEAD_KIND: u8 = b'h';
/// The key under which a node says that it wants cuts.
pub const WISH_KEY: &[u8] = b"x";
const LAYOUT: u8 = 1;
/// Octets of a node's name: a label.
const NAME_OCTETS_MAX: usize = 63;
/// Networks that those who are not known are in: a container is rarely in more than a handful.
pub const NETWORKS_MAX: usize = 255;

/// How far an owner's log goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The owner's life.
    pub generation: u32,
    /// The version.
    pub head: u64,
}

/// An owner in a cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// How far its log goes.
    pub place: Place,
    /// What the node is called; empty if nobody knows.
    pub name: Box<str>,
}

/// What holds for a cut besides heads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// TTL of SOA and NS, in seconds.
    pub ttl: u32,
    /// TTL of absence, in seconds.
    pub negative_ttl: u32,
    /// The nodes that are named as name servers, at least one; the first is the SOA's primary.
    pub servers: Vec<Box<str>>,
    /// The networks of those who are not known, in the order in which they count.
    pub networks: Vec<u32>,
}

/// A cut, its heads apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Its serial.
    pub serial: Serial,
    /// The hash of what it comes to.
    pub content: u64,
    /// The hash of the cluster-wide sets.
    pub sets: u64,
    /// All else.
    pub terms: Terms,
}

/// A node wants cuts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// A serial that the node had and that the sequencer did not know of; 0 if there is none to tell.
    pub serial: Serial,
    /// The lower 8 bits of the serials that it gives as a sequencer.
    pub lane: u8,
}

impl Head {
    /// The key of an owner's head.
    pub fn key(owner: u64) -> [u8; 9] {
        let mut key = [HEAD_KIND; 9];
        key[1..].copy_from_slice(&owner.to_be_bytes());
        key
    }

    /// The owner whose head has that key.
    pub fn owner(key: &[u8]) -> Option<u64> {
        let (&kind, owner) = key.split_first()?;
        (kind == HEAD_KIND).then_some(u64::from_be_bytes(owner.try_into().ok()?))
    }

    /// The value under its key.
    pub fn value(&self) -> Vec<u8> {
        let mut octets = vec![LAYOUT];
        octets.extend(self.place.generation.to_be_bytes());
        octets.extend(self.place.head.to_be_bytes());
        octets.extend_from_slice(self.name.as_bytes());
        octets
    }

    /// Reads what a node, perhaps a foul one, published.
    pub fn decode(value: &[u8]) -> Result<Head, Poison> {
        let mut octets = Octets(value);
        octets.version(LAYOUT)?;
        let place = Place { generation: octets.u32()?, head: u64::from_be_bytes(octets.array()?) };
        Ok(Head { place, name: name(octets.0)? })
    }
}

impl Cut {
    /// The value under [`CUT_KEY`].
    pub fn value(&self) -> Vec<u8> {
        let Cut { serial, content, sets, terms } = self;
        let mut octets = vec![LAYOUT];
        octets.extend(serial.0.to_be_bytes());
        octets.extend(content.to_be_bytes());
        octets.extend(sets.to_be_bytes());
        octets.extend(terms.ttl.to_be_bytes());
        octets.extend(terms.negative_ttl.to_be_bytes());
        octets.push(terms.servers.len() as u8);
        for server in &terms.servers {
            octets.push(server.len() as u8);
            octets.extend_from_slice(server.as_bytes());
        }
        octets.push(terms.networks.len() as u8);
        terms.networks.iter().for_each(|network| octets.extend(network.to_be_bytes()));
        octets
    }

    /// Reads what a node, perhaps a foul one, published.
    pub fn decode(value: &[u8]) -> Result<Cut, Poison> {
        let mut octets = Octets(value);
        octets.version(LAYOUT)?;
        let serial = Serial(octets.u32()?);
        let (content, sets) = (u64::from_be_bytes(octets.array()?), u64::from_be_bytes(octets.array()?));
        let (ttl, negative_ttl) = (octets.u32()?, octets.u32()?);
        let count = octets.u8()?;
        let mut servers = Vec::new();
        for _ in 0..count {
            let len = octets.u8()?;
            servers.push(name(octets.take(usize::from(len))?)?);
        }
        let count = octets.u8()?;
        let mut networks = Vec::new();
        for _ in 0..count {
            networks.push(octets.u32()?);
        }
        octets.end()?;
        if servers.is_empty() {
            return Err(Poison::Rule);
        }
        Ok(Cut { serial, content, sets, terms: Terms { ttl, negative_ttl, servers, networks } })
    }
}

impl Wish {
    /// The value under [`WISH_KEY`].
    pub fn value(&self) -> Vec<u8> {
        let mut octets = vec![LAYOUT];
        octets.extend(self.serial.0.to_be_bytes());
        octets.push(self.lane);
        octets
    }

    /// Reads what a node, perhaps a foul one, published.
    pub fn decode(value: &[u8]) -> Result<Wish, Poison> {
        let mut octets = Octets(value);
        octets.version(LAYOUT)?;
        let serial = Serial(octets.u32()?);
        // An older node says none: its lane is its place among those that wish cuts, of which few are far from the first.
        let lane = if octets.0.is_empty() { 0 } else { octets.u8()? };
        let wish = Wish { serial, lane };
        octets.end()?;
        Ok(wish)
    }
}

fn name(octets: &[u8]) -> Result<Box<str>, Poison> {
    let text = std::str::from_utf8(octets).map_err(|_| Poison::Layout)?;
    if text.len() > NAME_OCTETS_MAX { Err(Poison::Layout) } else { Ok(text.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_said_is_understood(
            (serial, content, sets, ttl) in any::<(u32, u64, u64, u32)>(),
            servers in prop::collection::vec("[a-z]{1,63}", 1..9),
            networks in prop::collection::vec(any::<u32>(), 0..5),
            (owner, generation, head, lane) in any::<(u64, u32, u64, u8)>(),
            junk in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let servers: Vec<Box<str>> = servers.into_iter().map(String::into_boxed_str).collect();
            let said = Head { place: Place { generation, head }, name: servers[0].clone() };
            let terms = Terms { ttl, negative_ttl: 2, servers, networks };
            let cut = Cut { serial: Serial(serial), content, sets, terms };
            prop_assert_eq!(Cut::decode(&cut.value()), Ok(cut));
            prop_assert_eq!(Head::decode(&said.value()), Ok(said));
            prop_assert_eq!(Head::owner(&Head::key(owner)), Some(owner));
            let wish = Wish { serial: Serial(serial), lane };
            prop_assert_eq!(Wish::decode(&wish.value()), Ok(wish));
            let older = Wish { serial: Serial(serial), lane: 0 };
            prop_assert_eq!(Wish::decode(&older.value()[..5]), Ok(older));
            // Nor does anything else that a node may send make it panic.
            let _ = (Cut::decode(&junk), Head::decode(&junk), Head::owner(&junk), Wish::decode(&junk));
        }
    }
}
