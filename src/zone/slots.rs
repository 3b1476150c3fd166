//! The slots at the start of a shard: where each of its nodes stands in the table that look-ups probe.

use crate::zone::store::{SLOT_DISTANCE_BITS, home_of};

/// Home slots per node: half of them free, so that the first slot that is not free is most likely the right one.
pub(crate) const SLOTS_PER_NODE: usize = 2;
/// Octets of one shard, beyond which a slot cannot tell a node's distance.
pub(crate) const SHARD_OCTETS_MAX: usize = 4 << SLOT_DISTANCE_BITS;

/// Fills the slots of shards one after another, re-using its buffers.
#[derive(Default)]
pub(crate) struct Slots {
    placed: Vec<(u64, u32)>,
    slots: Vec<u32>,
}

impl Slots {
    /// Begins a shard.
    pub(crate) fn begin(&mut self) {
        self.placed.clear();
    }

    /// A node of that hash begins so many octets behind the slots.
    pub(crate) fn place(&mut self, hash: u64, at: u32) {
        self.placed.push((hash, at));
    }

    /// Places every node in the first free slot from its home on; the longest distance from home.
    pub(crate) fn fill(&mut self, homes: u16) -> Option<u16> {
        self.slots.clear();
        self.slots.resize(usize::from(homes) + self.placed.len(), 0);
        let mut probe_max = 0;
        for &(hash, at) in &self.placed {
            let home = home_of(hash, homes);
            let slot = (home..self.slots.len()).find(|&slot| self.slots[slot] == 0)?;
            self.slots[slot] = (hash as u32 & 0xff) << SLOT_DISTANCE_BITS | (at / 4 + 1);
            probe_max = probe_max.max(slot - home);
        }
        // No node stands in the last slot: a look-up for an absent name ends there at the latest.
        self.slots.truncate(usize::from(homes) + probe_max);
        self.slots.push(0);
        u16::try_from(probe_max).ok()
    }

    /// How many octets behind the slots each node begins, in the order in which they were placed.
    pub(crate) fn distances(&self) -> impl Iterator<Item = u32> {
        self.placed.iter().map(|(_, at)| *at)
    }

    /// Octets that the slots take.
    pub(crate) fn octets_len(&self) -> usize {
        self.slots.len() * 4
    }

    /// Appends the slots; the nodes must follow at once.
    pub(crate) fn write(&self, octets: &mut Vec<u8>) {
        // A distance is from the shard's start, its slots included; 1 was added to tell it from an empty slot.
        let first_node = self.slots.len() as u32 - 1;
        for &slot in &self.slots {
            let slot = if slot == 0 { 0 } else { slot + first_node };
            octets.extend_from_slice(&slot.to_le_bytes());
        }
    }
}
