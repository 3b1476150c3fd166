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
//! from home, slots are tried one by one up to the shard's longest probe, which sealing bounds. Names are
//! always compared. The origin is stored once: keys are relative and lower-cased.
//!
//! The shards of a zone from a file lie in one arena. Those of a live zone are blocks of their own, so that one
//! changes without the others ([`crate::zone::live`]); within a block all is as within a shard.
//!
//! A set may have a deadline, marked in `records`: its TTL in answers is at most what is left until then.
//!
//! Room for signed zones: a set that has a form with signatures will lie twice, the plain form first and the
//! signed one after it, marked by the highest bit of `records` (no message holds so many); who wants signatures
//! takes the second.

use crate::base::limits::MESSAGE_OCTETS_MAX;
use crate::base::octets::le64_or_zero;
use crate::base::time::Moment;
use crate::os::memory::prefetch;
use crate::wire::key::NameKey;
use crate::wire::rtype::RecordType;
use crate::wire::sealed::{RECORD_HEAD_OCTETS, SealedRrset};

use crate::zone::live::directory::Directory;

pub use crate::zone::draft::node_flags;

/// Octets of a node before its key.
pub(crate) const NODE_HEAD: usize = 4;
/// Octets of an RRset before its records.
pub(crate) const RRSET_HEAD: usize = 8;
/// Octets of a target before its key.
pub(crate) const TARGET_HEAD: usize = 12;
/// Bits of a slot that hold the node's distance.
pub(crate) const SLOT_DISTANCE_BITS: u32 = 24;

/// Flags of a target.
pub mod target_flags {
    /// A name server at or below the cut that the set makes: its addresses are glue that a referral cannot do
    /// without (RFC 9471 §3.1).
    pub const REQUIRED_GLUE: u8 = 1;
}

/// The bit of `records` that marks a deadline at the end of the extras.
pub(crate) const RECORDS_DEADLINE: u16 = 0x4000;
/// The bits of `records` that count: no message holds so many.
const RECORDS_COUNT: u16 = RECORDS_DEADLINE - 1;
const _: () = assert!(MESSAGE_OCTETS_MAX / RECORD_HEAD_OCTETS <= RECORDS_COUNT as usize);
/// Octets of a deadline.
const DEADLINE_OCTETS: usize = 8;
const _: () = assert!(DEADLINE_OCTETS < TARGET_HEAD, "a deadline must not look like a target");

/// Where a node most likely lies among those of its hash's shard, in units of four octets; no node lies at 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hint(u32);

impl Hint {
    /// There is no such node.
    pub const ABSENT: Hint = Hint(0);
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
}

/// The nodes of one zone.
pub(crate) struct Store {
    pub(crate) blocks: Blocks,
    /// Octets of the origin in wire form.
    pub(crate) origin_len: usize,
}

/// Where the shards lie.
pub(crate) enum Blocks {
    /// All in one run of octets.
    Arena { octets: Vec<u8>, shards: Box<[ShardAt]> },
    /// Each in its own, shared with other versions of the zone.
    Apart(Directory),
}

impl Blocks {
    /// The octets in which the shard of a hash lies, and where.
    #[inline(always)]
    fn shard(&self, hash: u64) -> (&[u8], ShardAt) {
        match self {
            Blocks::Arena { octets, shards } => {
                (octets, shards.get(shard_of(hash, shards.len())).copied().unwrap_or(ShardAt::NONE))
            }
            Blocks::Apart(directory) => directory.shard(hash),
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

#[inline(always)]
fn le16(octets: &[u8], at: usize) -> usize {
    match octets.get(at..).and_then(|rest| rest.first_chunk::<2>()) {
        Some(c) => usize::from(u16::from_le_bytes(*c)),
        None => 0,
    }
}

/// The next multiple of four.
#[inline(always)]
pub(crate) fn aligned(at: usize) -> usize {
    (at + 3) & !3
}

impl Store {
    /// The node of that hash whose key satisfies `is_it`.
    #[inline(always)]
    pub(crate) fn find(&self, hash: u64, is_it: impl Fn(&[u8]) -> bool) -> Option<Node<'_>> {
        let (octets, shard) = self.blocks.shard(hash);
        candidates(octets, shard, hash)
            .map(|at| node_in(octets, at as usize * 4, self.origin_len))
            .find(|node| is_it(node.key()))
    }

    /// Where the node of that hash lies whose key satisfies `is_it`.
    pub(crate) fn hint_of(&self, hash: u64, is_it: impl Fn(&[u8]) -> bool) -> Hint {
        let (octets, shard) = self.blocks.shard(hash);
        candidates(octets, shard, hash)
            .find(|at| is_it(node_in(octets, *at as usize * 4, self.origin_len).key()))
            .map_or(Hint::ABSENT, Hint)
    }

    /// The node of a hash to which a hint leads.
    #[inline(always)]
    pub(crate) fn node_at(&self, hash: u64, hint: Hint) -> Node<'_> {
        let octets = match &self.blocks {
            Blocks::Arena { octets, .. } => octets,
            Blocks::Apart(directory) => directory.shard(hash).0,
        };
        node_in(octets, hint.0 as usize * 4, self.origin_len)
    }

    /// Has the processor fetch the slot that [`Store::find`] will look at first.
    #[inline(always)]
    pub(crate) fn prefetch_slot(&self, hash: u64) {
        let (octets, shard) = self.blocks.shard(hash);
        prefetch(octets, (shard.at as usize + home_of(hash, shard.slots)) * 4);
    }

    /// The first node that may have that hash, judged by its tag alone, and has the processor fetch it.
    #[inline(always)]
    pub(crate) fn hint(&self, hash: u64) -> Hint {
        let (octets, shard) = self.blocks.shard(hash);
        let Some(at) = candidates(octets, shard, hash).next() else { return Hint::ABSENT };
        prefetch(octets, at as usize * 4);
        prefetch(octets, at as usize * 4 + 64);
        Hint(at)
    }

    /// The node of a name whose key has `key_len` octets, beginning with a hint for its hash.
    #[inline(always)]
    pub(crate) fn find_from(&self, hint: Hint, name: &NameKey, key_len: usize) -> Option<Node<'_>> {
        if hint == Hint::ABSENT {
            return None;
        }
        let node = self.node_at(name.full_hash(), hint);
        if usize::from(node.key_len) == key_len
            && let Some(true) = name.begins_as(node.octets.get(NODE_HEAD..)?, key_len)
        {
            return Some(node);
        }
        let key = name.as_wire().get(..key_len)?;
        self.find(name.full_hash(), |other| other == key)
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
        in_arena.chain(blocks).flat_map(move |(octets, shard)| {
            let start = shard.at as usize;
            let (words, _) = octets.as_chunks::<4>();
            let slots = words.get(start..start + usize::from(shard.slots) + usize::from(shard.probe_max));
            slots
                .unwrap_or_default()
                .iter()
                .map(|slot| u32::from_le_bytes(*slot))
                .filter(|slot| *slot != 0)
                .map(move |slot| node_in(octets, (start + (slot & DISTANCE_MASK) as usize) * 4, origin_len))
        })
    }

    /// Octets that the nodes take.
    pub(crate) fn octets(&self) -> usize {
        match &self.blocks {
            Blocks::Arena { octets, .. } => octets.len(),
            Blocks::Apart(directory) => directory.blocks().map(|block| block.octets().len()).sum(),
        }
    }
}

/// Where nodes of that hash's tag lie, in units of four octets, in the order of their slots.
#[inline(always)]
pub(crate) fn candidates(octets: &[u8], shard: ShardAt, hash: u64) -> impl Iterator<Item = u32> {
    let (words, _) = octets.as_chunks::<4>();
    let mut slot_at = shard.at as usize + home_of(hash, shard.slots);
    std::iter::from_fn(move || {
        // An empty slot ends every search: the last of a shard is one.
        loop {
            let slot = u32::from_le_bytes(*words.get(slot_at)?);
            if slot == 0 {
                return None;
            }
            slot_at += 1;
            if slot >> SLOT_DISTANCE_BITS == (hash & 0xff) as u32 {
                return Some(shard.at + (slot & DISTANCE_MASK));
            }
        }
    })
}

/// The node that begins at `at`.
#[inline(always)]
pub(crate) fn node_in(octets: &[u8], at: usize, origin_len: usize) -> Node<'_> {
    let octets = octets.get(at..).unwrap_or_default();
    let [key_len, flags, rrsets, occluder] = octets.first_chunk::<NODE_HEAD>().copied().unwrap_or_default();
    Node { octets, origin_len, key_len, flags, rrsets, occluder }
}

/// The bits of a slot that hold a distance.
const DISTANCE_MASK: u32 = (1 << SLOT_DISTANCE_BITS) - 1;

/// A name of the zone: an owner of records, or an empty non-terminal.
#[derive(Clone, Copy)]
pub struct Node<'z> {
    octets: &'z [u8],
    origin_len: usize,
    key_len: u8,
    flags: u8,
    rrsets: u8,
    occluder: u8,
}

impl<'z> Node<'z> {
    /// What tells two nodes of a zone apart.
    #[inline]
    pub fn id(&self) -> usize {
        self.octets.as_ptr() as usize
    }

    /// The lower-cased name relative to the apex, without a final zero octet; empty for the apex.
    #[inline(always)]
    pub fn key(&self) -> &'z [u8] {
        self.octets.get(NODE_HEAD..NODE_HEAD + usize::from(self.key_len)).unwrap_or_default()
    }

    /// The same in the case it was loaded with.
    pub fn cased_key(&self) -> &'z [u8] {
        let len = usize::from(self.key_len);
        let at = if self.has(node_flags::CASED) { NODE_HEAD + len } else { NODE_HEAD };
        self.octets.get(at..at + len).unwrap_or_default()
    }

    /// Octets of the absolute name in wire form.
    #[inline(always)]
    pub fn name_len(&self) -> usize {
        usize::from(self.key_len) + self.origin_len
    }

    /// True if any of `flags` is set.
    #[inline(always)]
    pub fn has(&self, flags: u8) -> bool {
        self.flags & flags != 0
    }

    /// How many labels below the apex the cut or DNAME stands that hides this node; only where it is occluded.
    #[inline]
    pub fn occluder_depth(&self) -> usize {
        usize::from(self.occluder)
    }

    /// True if the first label is a lone `*`.
    pub fn is_wildcard(&self) -> bool {
        self.key().starts_with(b"\x01*")
    }

    /// True for an empty non-terminal.
    pub fn is_empty(&self) -> bool {
        self.rrsets == 0
    }

    /// The RRsets, by rising type.
    #[inline]
    pub fn rrsets(&self) -> impl Iterator<Item = Rrset<'z>> {
        let node = *self;
        let mut at = self.rrsets_at();
        (0..self.rrsets).map(move |_| {
            let rrset = node.rrset_at(at);
            at = rrset.next;
            rrset
        })
    }

    /// The RRset of a type.
    #[inline(always)]
    pub fn rrset(&self, rtype: RecordType) -> Option<Rrset<'z>> {
        let mut at = self.rrsets_at();
        for _ in 0..self.rrsets {
            let head = le64_or_zero(self.octets, at);
            if head as u16 == rtype.0 {
                return Some(self.rrset_at(at));
            }
            at = aligned(at + RRSET_HEAD + (head >> 32 & 0xffff) as usize + (head >> 48) as usize);
        }
        None
    }

    /// The octets of the node, as far as this module knows them, and what follows.
    pub(crate) fn split(&self) -> (&'z [u8], &'z [u8]) {
        let mut at = self.rrsets_at();
        for _ in 0..self.rrsets {
            at = self.rrset_at(at).next;
        }
        self.octets.split_at_checked(at).unwrap_or_default()
    }

    #[inline(always)]
    fn rrsets_at(&self) -> usize {
        aligned(NODE_HEAD + (usize::from(self.key_len) << u32::from(self.has(node_flags::CASED))))
    }

    #[inline(always)]
    fn rrset_at(&self, at: usize) -> Rrset<'z> {
        let head = le64_or_zero(self.octets, at);
        let (octets_len, extras_len) = ((head >> 32 & 0xffff) as usize, (head >> 48) as usize);
        Rrset {
            rtype: RecordType(head as u16),
            records: (head >> 16) as u16,
            octets_len,
            extras_len,
            run: self.octets.get(at + RRSET_HEAD..).unwrap_or_default(),
            owner_len: self.name_len(),
            next: aligned(at + RRSET_HEAD + octets_len + extras_len),
        }
    }
}

/// A set of records of one owner and type.
#[derive(Clone, Copy)]
pub struct Rrset<'z> {
    rtype: RecordType,
    records: u16,
    octets_len: usize,
    extras_len: usize,
    /// The records, then the extras, then whatever follows.
    run: &'z [u8],
    owner_len: usize,
    next: usize,
}

impl<'z> Rrset<'z> {
    /// The type.
    pub fn rtype(&self) -> RecordType {
        self.rtype
    }

    /// True if the set leads to other names of the zone.
    #[inline(always)]
    pub fn has_targets(&self) -> bool {
        matches!(self.rtype, RecordType::NS | RecordType::MX | RecordType::SRV | RecordType::CNAME)
    }

    /// True if its TTL in answers depends on the time.
    #[inline(always)]
    pub fn has_deadline(&self) -> bool {
        self.records & RECORDS_DEADLINE != 0
    }

    /// When its TTL will have run out, whatever it is; [`Moment::NEVER`] for most.
    #[inline(always)]
    pub fn deadline(&self) -> Moment {
        match self.extras().last_chunk::<DEADLINE_OCTETS>() {
            Some(micros) if self.has_deadline() => Moment::from_micros(u64::from_le_bytes(*micros)),
            _ => Moment::NEVER,
        }
    }

    /// What goes into a message.
    #[inline(always)]
    pub fn sealed(&self) -> SealedRrset<'z> {
        let octets = self.run.get(..self.octets_len).unwrap_or_default();
        SealedRrset {
            records: self.records(),
            octets,
            pointers: self.pointers(),
            owner_len: self.owner_len,
            deadline: self.deadline(),
        }
    }

    /// How many records there are.
    #[inline(always)]
    pub fn records(&self) -> u16 {
        self.records & RECORDS_COUNT
    }

    /// Octets that begin with the sealed records and go on with anything, and how many of them are records.
    #[inline(always)]
    pub fn run(&self) -> (&'z [u8], usize) {
        (self.run, self.octets_len)
    }

    /// Octets of the owner's absolute name in wire form.
    #[inline(always)]
    pub fn owner_len(&self) -> usize {
        self.owner_len
    }

    /// What stands behind the records.
    #[inline(always)]
    fn extras(&self) -> &'z [u8] {
        self.run.get(self.octets_len..self.octets_len + self.extras_len).unwrap_or_default()
    }

    /// The pointers to shift: see [`SealedRrset::pointers`].
    #[inline(always)]
    pub fn pointers(&self) -> &'z [u8] {
        match self.extras().split_first_chunk::<2>() {
            None => &[][..],
            Some((count, rest)) => {
                rest.get(..2 * usize::from(u16::from_le_bytes(*count))).unwrap_or_default()
            }
        }
    }

    /// The names of this zone that the set leads to, in the order of its records.
    #[inline]
    pub fn targets(&self) -> impl Iterator<Item = Target<'z>> + use<'z> {
        let extras = self.extras();
        let mut at = if extras.is_empty() { 0 } else { 2 + 2 * le16(extras, 0) };
        std::iter::from_fn(move || {
            let head = extras.get(at..at + TARGET_HEAD)?;
            let key_len = usize::from(head[2]);
            let key = extras.get(at + TARGET_HEAD..at + TARGET_HEAD + key_len)?;
            at += TARGET_HEAD + key_len;
            Some(Target { at: le16(head, 0), flags: head[3], hash: le64_or_zero(head, 4), key })
        })
    }
}

/// A name of the same zone within the RDATA of a set.
#[derive(Clone, Copy)]
pub struct Target<'z> {
    /// Where the name stands in the sealed octets.
    pub at: usize,
    /// See [`target_flags`].
    pub flags: u8,
    /// Its hash.
    pub hash: u64,
    /// Its key.
    pub key: &'z [u8],
}
