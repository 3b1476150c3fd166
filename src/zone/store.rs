//! How a sealed zone lies in memory, and finding a node in it by hash.
//!
//! Nodes are spread over shards by hash; a shard is one run of octets, four-octet aligned, little-endian:
//!
//! ```text
//! shard   | slot (32) ... slot, the last one 0 | node | node | ...
//! slot    | tag: low 8 bits of the hash | distance of the node from the shard's start, in 4 octets (24) |
//! node    | key_len (8) | flags (8) | rrsets (8) | occluder (8) | key | cased key? | pad | rrset | rrset ...
//! rrset   | type (16) | records (16) | octets_len (16) | extras_len (16) | octets | extras | pad
//! extras  | pointers (16, count) | pointer (16, network order) ... | target | target ...      or nothing
//! target  | at (16) | key_len (8) | flags (8) | hash (64) | key |
//! ```
//!
//! A name's home slot follows from the low word of its hash by multiplication, its shard from the high word;
//! from home, slots are tried one by one up to the shard's longest probe, which sealing bounds. Names are
//! always compared. The origin is stored once: keys are relative and lower-cased.
//!
//! Room for signed zones: a set that has a form with signatures will lie twice, the plain form first and the
//! signed one after it, marked by the highest bit of `records` (no message holds so many); who wants signatures
//! takes the second.

use crate::base::octets::le64_or_zero;
use crate::os::memory::prefetch;
use crate::wire::key::NameKey;
use crate::wire::rtype::RecordType;
use crate::wire::sealed::SealedRrset;

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

/// Where a node most likely lies, in units of four octets; no node lies at 0.
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
    pub(crate) octets: Vec<u8>,
    pub(crate) shards: Box<[ShardAt]>,
    /// Octets of the origin in wire form.
    pub(crate) origin_len: usize,
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
        self.candidates(hash, self.start(hash))
            .filter_map(|at| self.node(at as usize * 4))
            .find(|node| is_it(node.key()))
    }

    /// Where the search for a hash begins.
    #[inline(always)]
    fn start(&self, hash: u64) -> Start {
        let shard = self.shards.get(shard_of(hash, self.shards.len())).copied().unwrap_or(ShardAt::NONE);
        Start { slot: shard.at.wrapping_add(home_of(hash, shard.slots) as u32), shard: shard.at }
    }

    /// Where nodes of that hash's tag lie, in units of four octets, in the order of their slots.
    #[inline(always)]
    fn candidates(&self, hash: u64, start: Start) -> impl Iterator<Item = u32> {
        let (words, _) = self.octets.as_chunks::<4>();
        // An empty slot ends every search: the last of a shard is one.
        let slots = words.get(start.slot as usize..).unwrap_or_default().iter();
        slots.map(|slot| u32::from_le_bytes(*slot)).take_while(|slot| *slot != 0).filter_map(move |slot| {
            let is_alike = slot >> SLOT_DISTANCE_BITS == (hash & 0xff) as u32;
            is_alike.then_some(start.shard.wrapping_add(slot & DISTANCE_MASK))
        })
    }

    /// The node at that place; an empty one where there is none.
    #[inline(always)]
    pub(crate) fn node_at(&self, at: usize) -> Node<'_> {
        self.node(at).unwrap_or(Node {
            octets: &[],
            at,
            origin_len: self.origin_len,
            key_len: 0,
            flags: 0,
            rrsets: 0,
            occluder: 0,
        })
    }

    #[inline(always)]
    fn node(&self, at: usize) -> Option<Node<'_>> {
        let octets = self.octets.get(at..)?;
        let [key_len, flags, rrsets, occluder] = *octets.first_chunk::<NODE_HEAD>()?;
        Some(Node { octets, at, origin_len: self.origin_len, key_len, flags, rrsets, occluder })
    }

    /// Has the processor fetch the slot that a search for that hash will look at first.
    #[inline(always)]
    pub(crate) fn prefetch_slot(&self, hash: u64) -> Start {
        let start = self.start(hash);
        prefetch(&self.octets, start.slot as usize * 4);
        start
    }

    /// The first node that may have that hash, judged by its tag alone, and has the processor fetch it.
    #[inline(always)]
    pub(crate) fn hint(&self, hash: u64, start: Start) -> Hint {
        let Some(at) = self.first_candidate(hash, start) else { return Hint::ABSENT };
        prefetch(&self.octets, at as usize * 4);
        prefetch(&self.octets, at as usize * 4 + 64);
        Hint(at)
    }

    /// The first of [`Store::candidates`], in fewer instructions.
    #[inline(always)]
    fn first_candidate(&self, hash: u64, start: Start) -> Option<u32> {
        let mut slots = self.octets.get(start.slot as usize * 4..)?;
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

    /// The node at a hint, if it is that of the name whose key has `key_len` octets. `None` says nothing: the
    /// hint may lead to another node, and long names are not compared.
    #[inline(always)]
    pub(crate) fn node_at_hint(&self, hint: Hint, name: &NameKey, key_len: usize) -> Option<Node<'_>> {
        let node = self.node(hint.0 as usize * 4)?;
        (hint != Hint::ABSENT && node.agrees(name, 0, key_len)?).then_some(node)
    }

    /// The node of a name whose key has `key_len` octets, beginning with a hint for its hash.
    #[inline(always)]
    pub(crate) fn find_from(&self, hint: Hint, name: &NameKey, key_len: usize) -> Option<Node<'_>> {
        if hint == Hint::ABSENT {
            return None;
        }
        self.node_at_hint(hint, name, key_len).or_else(|| self.find_part(name.full_hash(), name, 0, key_len))
    }

    /// The node of that hash whose key is the `len` octets at `at` of a name.
    #[inline]
    pub(crate) fn find_part(&self, hash: u64, name: &NameKey, at: u8, len: usize) -> Option<Node<'_>> {
        let nodes = self.candidates(hash, self.start(hash)).filter_map(|at| self.node(at as usize * 4));
        nodes.into_iter().find(|node| match node.agrees(name, at, len) {
            Some(agrees) => agrees,
            None => name.as_wire().get(usize::from(at)..).and_then(|key| key.get(..len)) == Some(node.key()),
        })
    }

    /// All nodes, in no order that means anything.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        let (words, _) = self.octets.as_chunks::<4>();
        self.shards.iter().flat_map(move |shard| {
            let start = shard.at as usize;
            let slots = words.get(start..start + usize::from(shard.slots) + usize::from(shard.probe_max));
            slots
                .unwrap_or_default()
                .iter()
                .map(|slot| u32::from_le_bytes(*slot))
                .filter(|slot| *slot != 0)
                .map(move |slot| self.node_at((start + (slot & DISTANCE_MASK) as usize) * 4))
        })
    }
}

/// The bits of a slot that hold a distance.
const DISTANCE_MASK: u32 = (1 << SLOT_DISTANCE_BITS) - 1;

/// A name of the zone: an owner of records, or an empty non-terminal.
#[derive(Clone, Copy)]
pub struct Node<'z> {
    octets: &'z [u8],
    at: usize,
    origin_len: usize,
    key_len: u8,
    flags: u8,
    rrsets: u8,
    occluder: u8,
}

impl<'z> Node<'z> {
    /// True if the key is the `len` octets at `at` of a name; `None` if there are too many to compare at once.
    #[inline(always)]
    fn agrees(&self, name: &NameKey, at: u8, len: usize) -> Option<bool> {
        if usize::from(self.key_len) != len {
            return Some(false);
        }
        name.agrees(at, self.octets.get(NODE_HEAD..)?, len)
    }

    /// What tells two nodes of a zone apart.
    #[inline]
    pub fn id(&self) -> usize {
        self.at
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
        let owner_len = self.name_len();
        let mut rest = self.octets.get(self.rrsets_at()..).unwrap_or_default();
        (0..self.rrsets).map_while(move |_| {
            let (rrset, next) = Rrset::split(rest, owner_len)?;
            rest = next.unwrap_or_default();
            Some(rrset)
        })
    }

    /// The RRset of a type.
    #[inline(always)]
    pub fn rrset(&self, rtype: RecordType) -> Option<Rrset<'z>> {
        let mut rest = self.octets.get(self.rrsets_at()..)?;
        for _ in 0..self.rrsets {
            let (rrset, next) = Rrset::split(rest, self.name_len())?;
            if rrset.rtype() == rtype {
                return Some(rrset);
            }
            rest = next?;
        }
        None
    }

    #[inline(always)]
    fn rrsets_at(&self) -> usize {
        aligned(NODE_HEAD + (usize::from(self.key_len) << u32::from(self.has(node_flags::CASED))))
    }
}

/// A set of records of one owner and type.
#[derive(Clone, Copy)]
pub struct Rrset<'z> {
    /// Type, records, octets of the records, octets of the extras: 16 bits each, from the lowest.
    head: u64,
    /// The records, then the extras, then whatever follows.
    run: &'z [u8],
    owner_len: usize,
}

impl<'z> Rrset<'z> {
    /// The set at the start of `octets`, and what follows it.
    #[inline(always)]
    fn split(octets: &'z [u8], owner_len: usize) -> Option<(Rrset<'z>, Option<&'z [u8]>)> {
        let (head, run) = octets.split_first_chunk::<RRSET_HEAD>()?;
        let rrset = Rrset { head: u64::from_le_bytes(*head), run, owner_len };
        Some((rrset, run.get(aligned(rrset.octets_len() + rrset.extras_len())..)))
    }

    /// The type.
    #[inline(always)]
    pub fn rtype(&self) -> RecordType {
        RecordType(self.head as u16)
    }

    /// How many records there are.
    #[inline(always)]
    pub fn records(&self) -> u16 {
        (self.head >> 16) as u16
    }

    #[inline(always)]
    fn octets_len(&self) -> usize {
        usize::from((self.head >> 32) as u16)
    }

    #[inline(always)]
    fn extras_len(&self) -> usize {
        (self.head >> 48) as usize
    }

    /// True if the set may lead to other names of the zone.
    #[inline(always)]
    pub fn has_targets(&self) -> bool {
        self.extras_len() > 0
            && matches!(self.rtype(), RecordType::NS | RecordType::MX | RecordType::SRV | RecordType::CNAME)
    }

    /// What goes into a message.
    #[inline(always)]
    pub fn sealed(&self) -> SealedRrset<'z> {
        let octets = self.run.get(..self.octets_len()).unwrap_or_default();
        SealedRrset { records: self.records(), octets, pointers: self.pointers(), owner_len: self.owner_len }
    }

    /// Octets that begin with the sealed records and go on with anything, and how many of them are records.
    #[inline(always)]
    pub fn run(&self) -> (&'z [u8], usize) {
        (self.run, self.octets_len())
    }

    /// Octets of the owner's absolute name in wire form.
    #[inline(always)]
    pub fn owner_len(&self) -> usize {
        self.owner_len
    }

    /// What stands behind the records.
    #[inline(always)]
    fn extras(&self) -> &'z [u8] {
        self.run.get(self.octets_len()..).and_then(|rest| rest.get(..self.extras_len())).unwrap_or_default()
    }

    /// The pointers to shift: see [`SealedRrset::pointers`].
    #[inline(always)]
    pub fn pointers(&self) -> &'z [u8] {
        let pointers = match self.extras().split_first_chunk::<2>() {
            None => &[][..],
            Some((count, rest)) => {
                rest.get(..2 * usize::from(u16::from_le_bytes(*count))).unwrap_or_default()
            }
        };
        pointers
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
