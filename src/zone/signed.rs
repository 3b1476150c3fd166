//! What a signed zone has besides its sets: how it proves what does not exist, and where those proofs lie.
//!
//! Proofs are records of the zone as any other, of NSEC (RFC 4034 §4) or of NSEC3 (RFC 5155). Here is only the order in
//! which they follow each other: four octets for each, in a place of its own, so that the zone's nodes lie as those of
//! any zone. Which proofs an answer needs is not known here.

use crate::zone::Zone;
use crate::zone::canonical::Labels;
use crate::zone::nsec3::Hashing;
use crate::zone::store::{Node, Spot};
use std::cmp::Ordering;
use std::sync::Arc;

/// How a zone proves what does not exist.
pub enum Denial {
    /// Not at all: its chain is missing or not known here.
    Nothing,
    /// By what comes next.
    Nsec(Nsec),
    /// By which hash comes next.
    Nsec3(Nsec3),
    /// By hashes that take more rounds than are done here ([`ITERATIONS_MAX`](crate::zone::nsec3::ITERATIONS_MAX)): the
    /// record of the apex stands for all of them, so that who validates sees why nothing is proven.
    Costly(Apex),
}

/// The names that have NSEC, in canonical order.
pub struct Nsec(pub(crate) Box<[Spot]>);

/// The NSEC3 records of one chain, by rising hash.
pub struct Nsec3 {
    /// How they were hashed.
    pub hashing: Hashing,
    pub(crate) chain: Arc<[Spot]>,
}

/// The record of the apex.
pub struct Apex(pub(crate) Spot);

/// What a chain of NSEC3 says of a name.
#[derive(Clone, Copy)]
pub enum Hashed<'z> {
    /// It has this record.
    At(Node<'z>),
    /// It has none: this is the one before.
    Covered(Node<'z>),
}

impl Nsec {
    /// The name with NSEC at or before a key: it has the key's record, or the one that covers it.
    pub fn at_or_before<'z>(&self, zone: &'z Zone, key: &[u8]) -> Option<Node<'z>> {
        let key = Labels::of(key);
        let is_not_behind = |spot: &Spot| {
            let node = zone.node_at_spot(*spot);
            node.is_some_and(|node| Labels::of(node.key()).compare(&key) != Ordering::Greater)
        };
        let behind = self.0.partition_point(is_not_behind);
        zone.node_at_spot(*self.0.get(behind.checked_sub(1)?)?)
    }
}

impl Nsec3 {
    /// What the chain says of a lower-cased absolute name.
    pub fn find<'z>(&self, zone: &'z Zone, name: &[u8]) -> Option<Hashed<'z>> {
        let hash = self.hashing.hash(name);
        // Every key of the chain is one label of this length.
        let of = |spot: &Spot| zone.node_at_spot(*spot).and_then(|node| node.key().get(1..));
        match self.chain.binary_search_by(|spot| of(spot).cmp(&Some(&hash))) {
            Ok(at) => zone.node_at_spot(*self.chain.get(at)?).map(Hashed::At),
            // The last one leads back to the first.
            Err(0) => zone.node_at_spot(*self.chain.last()?).map(Hashed::Covered),
            Err(behind) => zone.node_at_spot(*self.chain.get(behind - 1)?).map(Hashed::Covered),
        }
    }
}

impl Apex {
    /// Whose record it is.
    pub fn node<'z>(&self, zone: &'z Zone) -> Option<Node<'z>> {
        zone.node_at_spot(self.0)
    }
}
