//! Putting written nodes into blocks: each touched block is made once, split where it grew too large, joined with
//! its neighbour where both became small.

use crate::wire::key::HashSeed;
use crate::wire::name::Name;
use crate::zone::live::block::{Block, Builder, Part};
use crate::zone::live::directory::{BITS_MAX, Directory};

/// Nodes of a block, beyond which it is split: small enough that a change costs microseconds, large enough that
/// the table of blocks stays in the processor's cache.
pub(crate) const BLOCK_NODES_MAX: usize = 128;
/// Nodes of a block, below which it is joined with its neighbour.
const BLOCK_NODES_FEW: usize = BLOCK_NODES_MAX / 8;
/// Nodes of two blocks that are joined at most, so that they are not soon split again.
const JOINED_NODES_MAX: usize = BLOCK_NODES_MAX / 2;

/// A node to go into its block, in place of one that is there.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) hash: u64,
    pub(crate) key: Box<[u8]>,
    /// None: the name is gone.
    pub(crate) octets: Vec<u8>,
    pub(crate) is_ghost: bool,
}

/// The blocks of the next version of a zone.
pub(crate) struct Patcher {
    pub(crate) directory: Directory,
    builder: Builder,
    seed: HashSeed,
    /// Lower-cased.
    origin: Name,
    owner: Vec<u8>,
    /// Blocks that could not be made: they stay as they were.
    pub(crate) failed: u64,
}

impl Patcher {
    pub(crate) fn new(origin: &Name, seed: HashSeed) -> Patcher {
        Patcher {
            directory: Directory::new(),
            builder: Builder::default(),
            seed,
            origin: origin.clone(),
            owner: Vec::new(),
            failed: 0,
        }
    }

    /// Octets of the apex in wire form.
    fn origin_len(&self) -> usize {
        self.origin.as_wire().len()
    }

    /// How many of `sealed`, which are sorted by hash, go into the block of the first.
    pub(crate) fn group(&self, sealed: &[Sealed]) -> usize {
        let Some(first) = sealed.first() else { return 0 };
        let end = self.directory.block(first.hash).and_then(|block| block.next_hash(first.hash));
        match end {
            Some(end) => sealed.iter().take_while(|node| node.hash < end).count(),
            None => sealed.len(),
        }
    }

    /// Replaces the nodes of one group; true if that changed anything. `nodes` is how many the zone has.
    pub(crate) fn replace(&mut self, group: &[Sealed], nodes: usize) -> bool {
        let Some(first) = group.first() else { return false };
        let Some(block) = self.directory.block(first.hash).cloned() else { return false };
        let mut parts = Vec::with_capacity(block.nodes() + group.len());
        let mut same = 0;
        for lying in block.lying(self.origin_len()) {
            let hash = self.hash(lying.node.key());
            let from = group.partition_point(|node| node.hash < hash);
            let known = group[from..].iter().take_while(|node| node.hash == hash);
            match known.into_iter().find(|node| *node.key == *lying.node.key()) {
                None => parts.push(Part { hash, octets: lying.octets, is_ghost: lying.is_ghost }),
                Some(node) => {
                    same += usize::from(node.octets == lying.octets && node.is_ghost == lying.is_ghost)
                }
            }
        }
        let absent = group.iter().filter(|node| node.octets.is_empty()).count();
        let kept = parts.len();
        for node in group.iter().filter(|node| !node.octets.is_empty()) {
            parts.push(Part { hash: node.hash, octets: &node.octets, is_ghost: node.is_ghost });
        }
        // What is gone now and was not there before is no change either.
        let gone = block.nodes() - kept - same;
        if gone == 0 && same + absent == group.len() {
            return false;
        }
        let depth = block.depth();
        let prefix = if depth == 0 { 0 } else { first.hash & (u64::MAX << (64 - depth)) };
        match self.neighbour(prefix, depth, parts.len()) {
            Some(neighbour) => {
                for lying in neighbour.lying(self.origin_len()) {
                    let hash = self.hash(lying.node.key());
                    parts.push(Part { hash, octets: lying.octets, is_ghost: lying.is_ghost });
                }
                self.place(&mut parts, depth - 1, prefix & !(1 << (64 - depth)), nodes);
            }
            None => self.place(&mut parts, depth, prefix, nodes),
        }
        true
    }

    /// The block to join one of so many nodes with.
    fn neighbour(&self, prefix: u64, depth: u32, nodes: usize) -> Option<Block> {
        if depth == 0 || nodes >= BLOCK_NODES_FEW {
            return None;
        }
        let other = self.directory.block(prefix ^ (1 << (64 - depth)))?;
        (other.depth() == depth && other.nodes() + nodes <= JOINED_NODES_MAX).then(|| other.clone())
    }

    /// Makes the block of `parts`, or several. The calls within each other are bounded by the table's bits.
    fn place(&mut self, parts: &mut [Part<'_>], depth: u32, prefix: u64, nodes: usize) {
        if parts.len() > BLOCK_NODES_MAX && self.may_split(depth, nodes) {
            let bit = 1u64 << (63 - depth);
            parts.sort_by_key(|part| part.hash & bit);
            let middle = parts.partition_point(|part| part.hash & bit == 0);
            let (low, high) = parts.split_at_mut(middle);
            self.place(low, depth + 1, prefix, nodes);
            self.place(high, depth + 1, prefix | bit, nodes);
            return;
        }
        match self.builder.build(parts, depth) {
            Some(block) => self.directory.put(prefix, &block),
            None => self.failed += 1,
        }
    }

    /// True if a block of that depth may be split; makes room for it in the table.
    fn may_split(&mut self, depth: u32, nodes: usize) -> bool {
        let bits = self.directory.bits();
        if depth < bits {
            return true;
        }
        // Many names in one block of a small zone are no reason for a large table.
        if bits >= BITS_MAX || nodes >> bits < BLOCK_NODES_FEW {
            return false;
        }
        self.directory.double();
        true
    }

    fn hash(&mut self, key: &[u8]) -> u64 {
        self.owner.clear();
        self.owner.extend_from_slice(key);
        self.owner.extend_from_slice(self.origin.as_wire());
        self.seed.name(&self.owner)
    }
}
