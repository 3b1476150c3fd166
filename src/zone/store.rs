//! How a sealed zone lies in memory, and finding a node in it by hash.
//!
//! Nodes are spread over shards by hash; a shard is one run of octets, four-octet aligned, little-endian:
//!
//! ```text
//! shard   | slot (32) ... slot, the last one 0 | node | node | ...
//! slot    | tag: low 8 bits of the hash | distance of the node from the shard's start, in 4 octets (24) |
//! node    | key_len (8) | flags (8) | rrsets (8) | occluder (8) | key | cased key? | pad | rrset | rrset ...
//! rrset   | type (16) | records (16) | octets_len (16) | extras_len (16) | octets | extras | pad
//! extras  | pointers (16, count) | pointer (16, network order) ... | target | target ... | deadline (64)?
//!         or nothing
//! target  | at (16) | key_len (8) | flags (8) | hash (64) | key |
//! ```
//!
//! A name's home slot follows from the low word of its hash by multiplication, its shard from the high word;
//! from home, slots are tried one by one up to the first empty one; the last of a shard is one. Names
//! are always compared. The origin is stored once: keys are relative and lower-cased.
//!
//! The shards of a zone from a file lie in one arena. Those of a zone that changes in part are blocks of their own, so
//! that one changes without the others ([`crate::zone::live`], [`crate::zone::amend`]); within a block all is as within
//! a shard.
//!
//! A set may have a deadline, marked in `records`: its TTL in answers is at most what is left until then.
//!
//! The form of a set with signatures is the set and, behind it, the run of those in the node's set of RRSIG that cover
//! it: they stand there by rising type. Who wants no signatures reads past none.
//!
//! *Hidden* nodes lie behind the shards of an arena, in no slot: names that exist for the proofs of a signed zone only
//! (RFC 5155 §7.2.8), so that no look-up finds them.

use crate::os::memory::prefetch;
use crate::wire::key::NameKey;
use crate::zone::live::directory::Directory;
use std::sync::Arc;

pub use crate::zone::draft::node_flags;
pub(crate) use crate::zone::node::{NODE_HEAD, RECORDS_DEADLINE, RRSET_HEAD, TARGET_HEAD, aligned, node_in};
pub use crate::zone::node::{Node, Rrset, Target, target_flags};

/// Bits of a slot that hold the node's distance.
pub(crate) const SLOT_DISTANCE_BITS: u32 = 24;

/// Where a node most likely lies among those of its hash's shard, in units of four octets; no node lies at 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hint(u32);

impl Hint {
    /// There is no such node.
    pub const ABSENT: Hint = Hint(0);
}

/// Where the search for a hash begins. In units of four octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// The home slot.
    slot: u32,
    /// The shard, from which distances count.
    shard: u32,
}

/// The octets in which the shard of a hash lies, and where in them the search for the hash begins: found once for all
/// stages of a look-up.
#[derive(Clone, Copy)]
pub struct Shelf<'z> {
    octets: &'z [u8],
    start: Start,
}

/// Where a shard lies and how it is probed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShardAt {
    /// In units of four octets.
    pub(crate) at: u32,
    /// Home slots; `probe_max + 1` further slots follow, the last one empty.
    pub(crate) slots: u16,
    /// Slots beyond home that a look-up may have to try.
    pub(crate) probe_max: u16,
}

impl ShardAt {
    const NONE: ShardAt = ShardAt { at: u32::MAX, slots: 0, probe_max: 0 };

    /// Where the search for a hash begins.
    #[inline(always)]
    pub(crate) fn start(&self, hash: u64) -> Start {
        Start { slot: self.at.wrapping_add(home_of(hash, self.slots) as u32), shard: self.at }
    }
}

/// A place among the nodes of a zone; the first at first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    shard: usize,
    slot: usize,
}

/// The nodes of one zone.
pub(crate) struct Store {
    pub(crate) blocks: Blocks,
    /// Octets of the origin in wire form.
    pub(crate) origin_len: usize,
    /// The hidden nodes by rising key.
    pub(crate) hidden: Arc<[Spot]>,
}

/// Where a node lies in an arena, in units of four octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot(pub(crate) u32);

/// Where the shards lie.
pub(crate) enum Blocks {
    /// All in one run of octets.
    Arena { octets: Vec<u8>, shards: Box<[ShardAt]> },
    /// Each in its own, shared with other versions of the zone.
    Apart(Directory),
}

impl Blocks {
    /// The octets in which the shard of a hash lies, and where the search for the hash begins.
    #[inline(always)]
    fn start(&self, hash: u64) -> (&[u8], Start) {
        match self {
            Blocks::Arena { octets, shards } => {
                let shard = shards.get(shard_of(hash, shards.len())).copied().unwrap_or(ShardAt::NONE);
                (octets, shard.start(hash))
            }
            Blocks::Apart(directory) => {
                let (octets, shard) = directory.shard(hash);
                (octets, shard.start(hash))
            }
        }
    }

    /// The octets in which the shard of a hash lies.
    #[inline(always)]
    fn octets(&self, hash: u64) -> &[u8] {
        match self {
            Blocks::Arena { octets, .. } => octets,
            Blocks::Apart(directory) => directory.shard(hash).0,
        }
    }
}

/// The shard of a hash among `shards`.
#[inline(always)]
pub(crate) fn shard_of(hash: u64, shards: usize) -> usize {
    (((hash >> 32) * shards as u64) >> 32) as usize
}

/// The home slot of a hash among `slots`.
#[inline(always)]
pub(crate) fn home_of(hash: u64, slots: u16) -> usize {
    (((hash & 0xffff_ffff) * u64::from(slots)) >> 32) as usize
}

impl Store {
    /// The node of that hash whose key satisfies `is_it`.
    #[inline(always)]
    pub(crate) fn find(&self, hash: u64, is_it: impl Fn(&[u8]) -> bool) -> Option<Node<'_>> {
        let (octets, start) = self.blocks.start(hash);
        candidates(octets, hash, start)
            .filter_map(|at| node_in(octets, at as usize * 4, self.origin_len))
            .find(|node| is_it(node.key()))
    }

    /// Where the node of that hash lies whose key satisfies `is_it`.
    pub(crate) fn hint_of(&self, hash: u64, is_it: impl Fn(&[u8]) -> bool) -> Hint {
        let (octets, start) = self.blocks.start(hash);
        let is_it = |at: &u32| {
            node_in(octets, *at as usize * 4, self.origin_len).is_some_and(|node| is_it(node.key()))
        };
        candidates(octets, hash, start).find(is_it).map_or(Hint::ABSENT, Hint)
    }

    /// The node of a hash to which a hint leads.
    #[inline(always)]
    pub(crate) fn node_at(&self, hash: u64, hint: Hint) -> Option<Node<'_>> {
        node_in(self.blocks.octets(hash), hint.0 as usize * 4, self.origin_len)
    }

    /// Has the processor fetch the slot that a search for that hash will look at first.
    #[inline(always)]
    pub(crate) fn prefetch_slot(&self, hash: u64) -> Shelf<'_> {
        let (octets, start) = self.blocks.start(hash);
        prefetch(octets, start.slot as usize * 4);
        Shelf { octets, start }
    }

    /// The first node that may have that hash, judged by its tag alone, and has the processor fetch it.
    #[inline(always)]
    pub(crate) fn hint(&self, hash: u64, &Shelf { octets, start }: &Shelf<'_>) -> Hint {
        let Some(at) = first_candidate(octets, hash, start) else { return Hint::ABSENT };
        prefetch(octets, at as usize * 4);
        prefetch(octets, at as usize * 4 + 64);
        Hint(at)
    }

    /// The node at a hint, if it is that of the name whose key has `key_len` octets and has none of the flags
    /// `unless`. `None` says nothing: the
    /// hint may lead to another node, and long names are not compared.
    #[inline(always)]
    pub(crate) fn node_at_hint<'z>(
        &self,
        shelf: &Shelf<'z>,
        hint: Hint,
        (name, key_len): (&NameKey, usize),
        unless: u8,
    ) -> Option<Node<'z>> {
        let node = node_in(shelf.octets, hint.0 as usize * 4, self.origin_len)?;
        (hint != Hint::ABSENT && !node.has(unless) && node.agrees(name, 0, key_len)?).then_some(node)
    }

    /// The node of a name whose key has `key_len` octets, beginning with a hint for its hash.
    #[inline(always)]
    pub(crate) fn find_from(&self, hint: Hint, name: &NameKey, key_len: usize) -> Option<Node<'_>> {
        if hint == Hint::ABSENT {
            return None;
        }
        let (octets, start) = self.blocks.start(name.full_hash());
        self.node_at_hint(&Shelf { octets, start }, hint, (name, key_len), 0)
            .or_else(|| self.find_part(name.full_hash(), name, 0, key_len))
    }

    /// The node of that hash whose key is the `len` octets at `at` of a name.
    #[inline]
    pub(crate) fn find_part(&self, hash: u64, name: &NameKey, at: u8, len: usize) -> Option<Node<'_>> {
        let (octets, start) = self.blocks.start(hash);
        let nodes = candidates(octets, hash, start)
            .filter_map(|at| node_in(octets, at as usize * 4, self.origin_len));
        nodes.into_iter().find(|node| match node.agrees(name, at, len) {
            Some(agrees) => agrees,
            None => name.as_wire().get(usize::from(at)..).and_then(|key| key.get(..len)) == Some(node.key()),
        })
    }

    /// The node at a spot.
    #[inline]
    pub(crate) fn node_at_spot(&self, spot: Spot) -> Option<Node<'_>> {
        match &self.blocks {
            Blocks::Arena { octets, .. } => node_in(octets, spot.0 as usize * 4, self.origin_len),
            Blocks::Apart(_) => None,
        }
    }

    /// The hidden node of that key.
    pub(crate) fn find_hidden(&self, key: &[u8]) -> Option<Node<'_>> {
        let of = |spot: &Spot| self.node_at_spot(*spot).map(|node| node.key());
        let at = self.hidden.binary_search_by(|spot| of(spot).cmp(&Some(key))).ok()?;
        self.node_at_spot(*self.hidden.get(at)?)
    }

    /// All nodes, in no order that means anything.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        let (arena, apart) = match &self.blocks {
            Blocks::Arena { octets, shards } => (Some((octets, shards)), None),
            Blocks::Apart(directory) => (None, Some(directory)),
        };
        let in_arena = arena
            .into_iter()
            .flat_map(|(octets, shards)| shards.iter().map(move |shard| (octets.as_slice(), *shard)));
        let blocks = apart.into_iter().flat_map(|directory| directory.blocks().map(|block| block.shard()));
        let origin_len = self.origin_len;
        let hidden = self.hidden.iter().filter_map(|spot| self.node_at_spot(*spot));
        let found = in_arena.chain(blocks).flat_map(move |(octets, shard)| {
            let start = shard.at as usize;
            let (words, _) = octets.as_chunks::<4>();
            let slots = words.get(start..start + usize::from(shard.slots) + usize::from(shard.probe_max));
            slots
                .unwrap_or_default()
                .iter()
                .map(|slot| u32::from_le_bytes(*slot))
                .filter(|slot| *slot != 0)
                .filter_map(move |slot| {
                    node_in(octets, (start + (slot & DISTANCE_MASK) as usize) * 4, origin_len)
                })
        });
        found.chain(hidden)
    }

    /// The node behind a place in the order of [`Store::nodes`], and the place behind that. `None` behind the last one.
    pub(crate) fn next_node(&self, mut place: Cursor) -> Option<(Node<'_>, Cursor)> {
        loop {
            let (octets, shard, behind) = match &self.blocks {
                Blocks::Arena { octets, shards } => match shards.get(place.shard) {
                    Some(shard) => (octets.as_slice(), *shard, place.shard + 1),
                    None => {
                        let hidden = self.node_at_spot(*self.hidden.get(place.slot)?)?;
                        return Some((hidden, Cursor { slot: place.slot + 1, ..place }));
                    }
                },
                Blocks::Apart(directory) => {
                    let (block, behind) = directory.block_at(place.shard)?;
                    let (octets, shard) = block.shard();
                    (octets, shard, behind)
                }
            };
            let (words, _) = octets.as_chunks::<4>();
            let (start, slots) = (shard.at as usize, usize::from(shard.slots) + usize::from(shard.probe_max));
            while place.slot < slots {
                let slot = u32::from_le_bytes(*words.get(start + place.slot)?);
                place.slot += 1;
                if slot != 0 {
                    let at = (start + (slot & DISTANCE_MASK) as usize) * 4;
                    return Some((node_in(octets, at, self.origin_len)?, place));
                }
            }
            place = Cursor { shard: behind, slot: 0 };
        }
    }

    /// Octets that the nodes take.
    pub(crate) fn octets(&self) -> usize {
        match &self.blocks {
            Blocks::Arena { octets, .. } => octets.len(),
            Blocks::Apart(directory) => directory.octets,
        }
    }
}

/// Where nodes of that hash's tag lie, in units of four octets, in the order of their slots.
#[inline(always)]
pub(crate) fn candidates(octets: &[u8], hash: u64, start: Start) -> impl Iterator<Item = u32> {
    let (words, _) = octets.as_chunks::<4>();
    // An empty slot ends every search: the last of a shard is one.
    let slots = words.get(start.slot as usize..).unwrap_or_default().iter();
    slots.map(|slot| u32::from_le_bytes(*slot)).take_while(|slot| *slot != 0).filter_map(move |slot| {
        let is_alike = slot >> SLOT_DISTANCE_BITS == (hash & 0xff) as u32;
        is_alike.then_some(start.shard.wrapping_add(slot & DISTANCE_MASK))
    })
}

/// The first of [`candidates`], in fewer instructions.
#[inline(always)]
fn first_candidate(octets: &[u8], hash: u64, start: Start) -> Option<u32> {
    let mut slots = octets.get(start.slot as usize * 4..)?;
    loop {
        let (slot, others) = slots.split_first_chunk::<4>()?;
        let slot = u32::from_le_bytes(*slot);
        if slot == 0 {
            return None;
        }
        if slot >> SLOT_DISTANCE_BITS == u32::from(hash as u8) {
            return Some(start.shard.wrapping_add(slot & DISTANCE_MASK));
        }
        slots = others;
    }
}

/// The bits of a slot that hold a distance.
const DISTANCE_MASK: u32 = (1 << SLOT_DISTANCE_BITS) - 1;
