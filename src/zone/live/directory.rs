//! Which block holds a hash: a table of two levels, so that replacing one block copies one leaf and a table of
//! leaves, not a counter for each block.
//!
//! ```text
//! hash   | index, `bits` bits | ...
//! top    | leaf | leaf | ...                       leaf = index / 64
//! leaf   | block | block | ... 64 of them          block = index % 64
//! ```
//!
//! A block is responsible for all hashes that agree in their first `depth` bits; where `depth` is less than
//! `bits` it stands in the table several times. So the table doubles without a look at any block, and each block
//! is split when it has become too large itself (extendible hashing): no change ever rebuilds the zone.

use crate::zone::live::block::Block;
use crate::zone::store::ShardAt;
use std::sync::Arc;

/// Bits of the index within a leaf: 64 blocks, so that one change copies about as many counters in its leaf as
/// in the top of a zone of half a million names.
const LEAF_BITS: u32 = 6;
const LEAF: usize = 1 << LEAF_BITS;
/// Bits of the index: 16 million blocks hold more names than memory does.
pub(crate) const BITS_MAX: u32 = 24;

type Leaf = [Block; LEAF];

/// All blocks of one version of a zone.
#[derive(Clone)]
pub struct Directory {
    /// 2^(bits - 6) leaves.
    top: Vec<Arc<Leaf>>,
    bits: u32,
    /// Nodes of all blocks, ghosts included; whoever puts blocks in keeps count.
    pub(crate) nodes: usize,
    /// Octets of all blocks; likewise.
    pub(crate) octets: usize,
}

impl Directory {
    /// One empty block.
    pub(crate) fn new() -> Directory {
        let block = Block::empty();
        let octets = block.octets().len();
        let top = vec![Arc::new(std::array::from_fn(|_| block.clone()))];
        Directory { top, bits: LEAF_BITS, nodes: 0, octets }
    }

    /// These blocks, 2^`depth` of them by rising hash, each of that depth.
    pub(crate) fn of(blocks: &[Block], depth: u32) -> Directory {
        let bits = depth.max(LEAF_BITS);
        let block = |index: usize| blocks.get(index >> (bits - depth)).cloned().unwrap_or_else(Block::empty);
        let leaf = |leaf: usize| -> Arc<Leaf> { Arc::new(std::array::from_fn(|i| block(leaf * LEAF + i))) };
        Directory {
            top: (0..1 << (bits - LEAF_BITS)).map(leaf).collect(),
            bits,
            nodes: blocks.iter().map(Block::nodes).sum(),
            octets: blocks.iter().map(|block| block.octets().len()).sum(),
        }
    }

    #[inline(always)]
    fn index(&self, hash: u64) -> usize {
        (hash >> (64 - self.bits)) as usize
    }

    /// The block of a hash.
    #[inline(always)]
    pub(crate) fn block(&self, hash: u64) -> Option<&Block> {
        let index = self.index(hash);
        self.top.get(index >> LEAF_BITS).map(|leaf| &leaf[index % LEAF])
    }

    /// The octets of a hash's block, and how they are probed.
    #[inline(always)]
    pub(crate) fn shard(&self, hash: u64) -> (&[u8], ShardAt) {
        match self.block(hash) {
            Some(block) => block.shard(),
            None => (&[], ShardAt { at: 0, slots: 0, probe_max: 0 }),
        }
    }

    /// The block at a place of the table, and the first place behind those where it stands; `None` at the end.
    pub(crate) fn block_at(&self, index: usize) -> Option<(&Block, usize)> {
        let block = self.top.get(index >> LEAF_BITS).map(|leaf| &leaf[index % LEAF])?;
        let span = 1usize << (self.bits - block.depth());
        Some((block, (index & !(span - 1)) + span))
    }

    /// Bits of the index.
    pub(crate) fn bits(&self) -> u32 {
        self.bits
    }

    /// Puts a block in place of all that stood for the hashes that begin as `hash` does.
    pub(crate) fn put(&mut self, hash: u64, block: &Block) {
        let span = 1usize << (self.bits - block.depth());
        let start = self.index(hash) & !(span - 1);
        for index in start..start + span {
            if let Some(leaf) = self.top.get_mut(index >> LEAF_BITS) {
                Arc::make_mut(leaf)[index % LEAF] = block.clone();
            }
        }
    }

    /// One more bit of index.
    pub(crate) fn double(&mut self) {
        let halves = |leaf: &Arc<Leaf>| {
            let half = |start: usize| -> Arc<Leaf> {
                Arc::new(std::array::from_fn(|i| leaf[start + i / 2].clone()))
            };
            [half(0), half(LEAF / 2)]
        };
        self.top = self.top.iter().flat_map(halves).collect();
        self.bits += 1;
    }

    /// Every block once, by rising hash.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Block> {
        let mut at = Some(0u64);
        std::iter::from_fn(move || {
            let hash = at?;
            let block = self.block(hash)?;
            at = block.next_hash(hash);
            Some(block)
        })
    }
}
