//! A block: some hundred nodes of a live zone in one run of octets, shared between the versions of the zone.
//!
//! ```text
//! block | slots | node, ledger | node, ledger ... | ghost, ledger ... | where the ghosts begin (32) |
//! ```
//!
//! Slots and nodes are as in [`crate::zone::store`]: distances are from the block's start.

use crate::base::octets::u32_at;
use crate::zone::live::ledger::Reader;
use crate::zone::slots::{SHARD_OCTETS_MAX, SLOTS_PER_NODE, Slots};
use crate::zone::store::{Node, ShardAt, aligned, candidates, node_in};
use std::sync::Arc;

/// Octets at a block's end.
const TRAILER: usize = 4;

/// A block, immutable and shared.
#[derive(Clone)]
pub struct Block {
    octets: Arc<[u8]>,
    slots: u16,
    probe_max: u16,
    nodes: u16,
    depth: u8,
}

/// A node as it lies in a block.
pub(crate) struct Lying<'b> {
    /// The node.
    pub(crate) node: Node<'b>,
    /// What stands behind its sets; may go on beyond the node.
    pub(crate) ledger: &'b [u8],
    /// All its octets.
    pub(crate) octets: &'b [u8],
    /// Where they begin in the block.
    pub(crate) at: usize,
    /// No slot leads to it.
    pub(crate) is_ghost: bool,
}

/// A node to be written into a block.
pub(crate) struct Part<'p> {
    pub(crate) hash: u64,
    pub(crate) octets: &'p [u8],
    pub(crate) is_ghost: bool,
}

impl Block {
    /// Without a node, responsible for all hashes.
    pub(crate) fn empty() -> Block {
        // One slot, which is empty, then the trailer.
        Block { octets: Arc::from([0, 0, 0, 0, 0, 0, 0, 4]), slots: 0, probe_max: 0, nodes: 0, depth: 0 }
    }

    /// A shard in a run of its own, without ghosts, whose hashes have so many first bits in common; `None` if there are
    /// too many nodes.
    pub(crate) fn of_shard(mut octets: Vec<u8>, shard: ShardAt, nodes: usize, depth: u32) -> Option<Block> {
        let ghosts_at = u32::try_from(octets.len()).ok()?;
        octets.extend_from_slice(&ghosts_at.to_be_bytes());
        let ShardAt { at: _, slots, probe_max } = shard;
        Some(Block {
            octets: Arc::from(octets),
            slots,
            probe_max,
            nodes: u16::try_from(nodes).ok()?,
            depth: depth as u8,
        })
    }

    /// How many first bits its hashes have in common.
    pub(crate) fn depth(&self) -> u32 {
        u32::from(self.depth)
    }

    /// How many nodes it has, ghosts included.
    pub(crate) fn nodes(&self) -> usize {
        usize::from(self.nodes)
    }

    /// All its octets.
    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// The octets and how they are probed.
    #[inline(always)]
    pub(crate) fn shard(&self) -> (&[u8], ShardAt) {
        (&self.octets, ShardAt { at: 0, slots: self.slots, probe_max: self.probe_max })
    }

    /// The first hash behind those of this block, to which `hash` belongs; `None` at the end.
    pub(crate) fn next_hash(&self, hash: u64) -> Option<u64> {
        let span = 1u64.checked_shl(64 - self.depth())?;
        (hash & !(span - 1)).checked_add(span)
    }

    /// All nodes, ghosts last.
    pub(crate) fn lying(&self, origin_len: usize) -> impl Iterator<Item = Lying<'_>> {
        let start = 4 * (usize::from(self.slots) + usize::from(self.probe_max) + 1);
        self.lying_from(start, origin_len)
    }

    /// The node of a hash and key, ghosts included.
    pub(crate) fn find(&self, hash: u64, key: &[u8], origin_len: usize) -> Option<Lying<'_>> {
        let (octets, shard) = self.shard();
        let visible = candidates(octets, hash, shard.start(hash)).map(|at| at as usize * 4);
        let is_it = |at: &usize| node_in(octets, *at, origin_len).is_some_and(|node| node.key() == key);
        let mut visible = visible.filter(is_it);
        match visible.next() {
            Some(at) => self.lying_from(at, origin_len).next(),
            None => self.lying_from(self.ghosts_at(), origin_len).find(|lying| lying.node.key() == key),
        }
    }

    /// The same block with other octets, as many, in place of some nodes'. Their hashes stay, and so do the slots.
    pub(crate) fn overwritten<'p>(&self, parts: impl Iterator<Item = (usize, &'p [u8])>) -> Option<Block> {
        let mut octets: Arc<[u8]> = Arc::from(&self.octets[..]);
        let place = Arc::get_mut(&mut octets)?;
        for (at, part) in parts {
            place.get_mut(at..at + part.len())?.copy_from_slice(part);
        }
        let &Block { octets: _, slots, probe_max, nodes, depth } = self;
        Some(Block { octets, slots, probe_max, nodes, depth })
    }

    fn end(&self) -> usize {
        self.octets.len().saturating_sub(TRAILER)
    }

    fn ghosts_at(&self) -> usize {
        u32_at(&self.octets, self.end()).unwrap_or(0) as usize
    }

    fn lying_from(&self, mut at: usize, origin_len: usize) -> impl Iterator<Item = Lying<'_>> {
        let (end, ghosts_at) = (self.end(), self.ghosts_at());
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let node = node_in(&self.octets, at, origin_len)?;
            let (known, ledger) = node.split();
            let len = aligned(known.len() + Reader::new(ledger).1);
            let lying =
                Lying { node, ledger, octets: self.octets.get(at..at + len)?, at, is_ghost: at >= ghosts_at };
            at += len;
            Some(lying)
        })
    }
}

/// Makes blocks one after another, re-using its buffers.
pub(crate) struct Builder {
    slots: Slots,
    octets: Vec<u8>,
    /// Octets of slots and visible nodes at most.
    pub(crate) octets_max: usize,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder { slots: Slots::default(), octets: Vec::new(), octets_max: SHARD_OCTETS_MAX }
    }
}

impl Builder {
    /// A block of these parts; `None` if they are too many or too large.
    pub(crate) fn build(&mut self, parts: &[Part<'_>], depth: u32) -> Option<Block> {
        self.slots.begin();
        let mut at = 0;
        let nodes = || parts.iter().filter(|part| !part.is_ghost);
        for part in nodes() {
            self.slots.place(part.hash, u32::try_from(at).ok()?);
            at += part.octets.len();
        }
        let homes = u16::try_from(nodes().count() * SLOTS_PER_NODE).ok()?;
        let probe_max = self.slots.fill(homes)?;
        self.octets.clear();
        self.slots.write(&mut self.octets);
        nodes().for_each(|part| self.octets.extend_from_slice(part.octets));
        if self.octets.len() > self.octets_max {
            return None;
        }
        let ghosts_at = u32::try_from(self.octets.len()).ok()?;
        let ghosts = parts.iter().filter(|part| part.is_ghost);
        ghosts.for_each(|part| self.octets.extend_from_slice(part.octets));
        self.octets.extend_from_slice(&ghosts_at.to_be_bytes());
        Some(Block {
            octets: Arc::from(&self.octets[..]),
            slots: homes,
            probe_max,
            nodes: u16::try_from(parts.len()).ok()?,
            depth: depth as u8,
        })
    }
}
