//! Who is who, and which of two sayings is newer: the numbers that membership and replication order by.

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};
use std::fmt;

/// A node for as long as its state on disk lives: drawn at random at its first start. Names and addresses may
/// change; this does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

// Random, so always eight octets: the codec's short form of integers would take nine.
impl Encode for NodeId {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.0.to_le_bytes().encode(encoder)
    }
}

impl<C> Decode<C> for NodeId {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<NodeId, DecodeError> {
        Ok(NodeId(u64::from_le_bytes(<[u8; 8]>::decode(decoder)?)))
    }
}

bincode::impl_borrow_decode!(NodeId);

/// One life of a node: counted on its disk, one higher at each start. Whatever a node published in an earlier
/// life is replaced as a whole by what it publishes in this one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Generation(pub u32);

/// What SWIM calls the incarnation: how new a saying about a node is. Only the node itself makes a higher one:
/// by starting anew, or within one life to refute that it were suspect or down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Incarnation {
    /// The life.
    pub generation: Generation,
    /// How often it has refuted in this life.
    pub refutation: u32,
}

/// Numbers the changes of one owner within one generation, from 1 on. Version 0 is before the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Version(pub u64);

impl Incarnation {
    /// The first of a life.
    pub fn first(generation: Generation) -> Incarnation {
        Incarnation { generation, refutation: 0 }
    }

    /// The next of the same life.
    pub fn refute(self) -> Incarnation {
        Incarnation { refutation: self.refutation.saturating_add(1), ..self }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.generation.0, self.refutation)
    }
}
