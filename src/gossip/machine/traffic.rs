//! What a machine counts of what it sends and receives.

use crate::gossip::frame::Kind;

/// What was sent and received so far.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    /// Octets of datagrams' payload sent, secrecy included.
    pub sent: u64,
    /// Octets of datagrams' payload received.
    pub received: u64,
    /// Octets over streams, both directions.
    pub streamed: u64,
    /// Frames received that could not be read, or whose kind is not known.
    pub strange: u64,
    /// Octets sent of each kind of frame, before sealing.
    pub by_kind: ByKind,
}

/// Octets of each kind of frame.
#[derive(Debug, Clone)]
pub struct ByKind([u64; KINDS_MAX]);

/// Kinds are numbered below this: membership's up to 15, then those of [`Kind`].
const KINDS_MAX: usize = 16 + Kind::ALL.len();

impl Default for ByKind {
    fn default() -> ByKind {
        ByKind([0; KINDS_MAX])
    }
}

impl ByKind {
    pub(super) fn add(&mut self, number: u8, octets: u64) {
        if let Some(sum) = self.0.get_mut(usize::from(number)) {
            *sum += octets;
        }
    }

    /// The kinds that were sent, by rising number, each with its octets.
    pub fn iter(&self) -> impl Iterator<Item = (u8, u64)> {
        (0..).zip(self.0).filter(|(_, octets)| *octets > 0)
    }
}
