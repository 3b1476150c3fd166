//! Putting written nodes into blocks: each touched block is made once, split where it grew too large, joined with
//! its neighbour where both became small.

use crate::wire::key::HashSeed;
use crate::wire::name::Name;
use crate::zone::live::block::{Block, Builder, Part};
use crate::zone::live::directory::{BITS_MAX, Directory};
use crate::zone::live::edit::Count;

/// Nodes of a block, beyond which it is split: small enough that a change costs microseconds, large enough that
/// the table of blocks stays in the processor's cache.
pub(crate) const BLOCK_NODES_MAX: usize = 128;
/// Nodes of a block, below which it is joined with its neighbour.
const BLOCK_NODES_FEW: usize = BLOCK_NODES_MAX / 8;
/// Nodes of two blocks that are joined at most, so that they are not soon split again.
const JOINED_NODES_MAX: usize = BLOCK_NODES_MAX / 2;

/// Octets of a block, beyond which it is split, too: a change copies all of them.
const BLOCK_OCTETS_MAX: usize = 256 << 10;

/// A node to go into its block, in place of one that is there.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) hash: u64,
    pub(crate) key: Box<[u8]>,
    /// Empty: the name is gone.
    pub(crate) octets: Vec<u8>,
    pub(crate) is_ghost: bool,
    /// What the name added to the zone's sums before, and what it adds now.
    pub(crate) counts: (Count, Count),
    /// Whether it was and is visible.
    pub(crate) is_visible: (bool, bool),
}

/// What became of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replacing {
    /// All was so before.
    Same,
    /// The block, or several, are new.
    Changed,
    /// The block cannot be made, it is too large: all in it stays as it was.
    Failed,
}

/// The blocks of the next version of a zone.
pub(crate) struct Patcher {
    pub(crate) directory: Directory,
    pub(crate) builder: Builder,
    /// Where nodes lie that are overwritten, and which of their group they are; re-used.
    places: Vec<(usize, usize)>,
    seed: HashSeed,
    /// Lower-cased.
    origin: Name,
    owner: Vec<u8>,
}

impl Patcher {
    pub(crate) fn new(origin: &Name, seed: HashSeed) -> Patcher {
        Patcher::of(Directory::new(), origin, seed)
    }

    /// Of the zone with these blocks.
    pub(crate) fn of(directory: Directory, origin: &Name, seed: HashSeed) -> Patcher {
        Patcher {
            directory,
            builder: Builder::default(),
            places: Vec::new(),
            seed,
            origin: origin.clone(),
            owner: Vec::new(),
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

    /// Replaces the nodes of one group. `nodes` is how many the zone has, ghosts included.
    pub(crate) fn replace(&mut self, group: &[Sealed], nodes: usize) -> Replacing {
        let Some(first) = group.first() else { return Replacing::Same };
        let Some(block) = self.directory.block(first.hash).cloned() else { return Replacing::Failed };
        if let Some(done) = self.overwrite(&block, group) {
            return done;
        }
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
            return Replacing::Same;
        }
        let depth = block.depth();
        let prefix = if depth == 0 { 0 } else { first.hash & (u64::MAX << (64 - depth)) };
        let mut made = Vec::new();
        let neighbour = self.neighbour(prefix, depth, parts.len());
        let is_made = match &neighbour {
            Some(neighbour) => {
                for lying in neighbour.lying(self.origin_len()) {
                    let hash = self.hash(lying.node.key());
                    parts.push(Part { hash, octets: lying.octets, is_ghost: lying.is_ghost });
                }
                self.make(&mut parts, depth - 1, prefix & !(1 << (64 - depth)), nodes, &mut made)
            }
            None => self.make(&mut parts, depth, prefix, nodes, &mut made),
        };
        if is_made.is_none() {
            return Replacing::Failed;
        }
        let replaced = || std::iter::once(&block).chain(&neighbour);
        let nodes = |block: &Block| block.nodes();
        let octets = |block: &Block| block.octets().len();
        let come = || made.iter().map(|(_, block)| block);
        let directory = &mut self.directory;
        directory.nodes =
            directory.nodes + come().map(nodes).sum::<usize>() - replaced().map(nodes).sum::<usize>();
        directory.octets =
            directory.octets + come().map(octets).sum::<usize>() - replaced().map(octets).sum::<usize>();
        made.iter().for_each(|(prefix, block)| self.directory.put(*prefix, block));
        Replacing::Changed
    }

    /// Replaces the nodes of a group where they lie, if each has as many octets as before: the block is copied once,
    /// and none of its names is looked at. The usual change, of an address, is one.
    fn overwrite(&mut self, block: &Block, group: &[Sealed]) -> Option<Replacing> {
        let origin_len = self.origin_len();
        self.places.clear();
        for (number, node) in group.iter().enumerate() {
            let lying = block.find(node.hash, &node.key, origin_len)?;
            if lying.octets.len() != node.octets.len() || lying.is_ghost != node.is_ghost {
                return None;
            }
            if lying.octets != node.octets {
                self.places.push((lying.at, number));
            }
        }
        if self.places.is_empty() {
            return Some(Replacing::Same);
        }
        let parts = self.places.iter().map(|&(at, number)| (at, group[number].octets.as_slice()));
        let block = block.overwritten(parts)?;
        self.directory.put(group.first()?.hash, &block);
        Some(Replacing::Changed)
    }

    /// The block to join one of so many nodes with.
    fn neighbour(&self, prefix: u64, depth: u32, nodes: usize) -> Option<Block> {
        if depth == 0 || nodes >= BLOCK_NODES_FEW {
            return None;
        }
        let other = self.directory.block(prefix ^ (1 << (64 - depth)))?;
        (other.depth() == depth && other.nodes() + nodes <= JOINED_NODES_MAX).then(|| other.clone())
    }

    /// Makes the block of `parts`, or several, with the hashes at which they begin; `None` if one of them cannot be
    /// made. The calls within each other are bounded by the table's bits.
    fn make(
        &mut self,
        parts: &mut [Part<'_>],
        depth: u32,
        prefix: u64,
        nodes: usize,
        made: &mut Vec<(u64, Block)>,
    ) -> Option<()> {
        let octets: usize = parts.iter().map(|part| part.octets.len()).sum();
        let is_large = parts.len() > BLOCK_NODES_MAX || (octets > BLOCK_OCTETS_MAX && parts.len() > 1);
        if is_large && self.may_split(depth, nodes) {
            let bit = 1u64 << (63 - depth);
            parts.sort_by_key(|part| part.hash & bit);
            let middle = parts.partition_point(|part| part.hash & bit == 0);
            let (low, high) = parts.split_at_mut(middle);
            self.make(low, depth + 1, prefix, nodes, made)?;
            return self.make(high, depth + 1, prefix | bit, nodes, made);
        }
        made.push((prefix, self.builder.build(parts, depth)?));
        Some(())
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
