//! A zone in the making: records as they come, grouped by owner, in as little memory as that takes.
//!
//! Invariants: node 0 is the apex; every node's parent exists and has a smaller number, so that one pass in
//! order sees ancestors first (names without records in between become empty non-terminals, RFC 4592 §2.2.2);
//! the records of a node form a list through the arena, in the order they came.

use crate::base::octets::{u16_at, u32_at};
use crate::os::memory::{advise_huge, prefetch};
use crate::wire::key::{HashSeed, NameKey};
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::fault::{Faults, Place};
use crate::zone::sink::{Record, RecordSink};
use std::path::Path;
use std::sync::Arc;

/// "No record", "no node".
const NONE: u32 = u32::MAX;
/// Octets before a record's RDATA in the arena: next, TTL, line (32 bits each), column, file, type, length (16).
const RECORD_HEAD: usize = 20;
/// Octets of a record, head and RDATA, that counts as small.
const SMALL_RECORD: usize = 64;

/// What is known of a node before its records are looked at.
pub mod node_flags {
    /// Has NS and is not the apex: a zone cut.
    pub const CUT: u8 = 1;
    /// Lies below a zone cut or a DNAME.
    pub const OCCLUDED: u8 = 2;
    /// Has DNAME.
    pub const DNAME: u8 = 4;
    /// Has a child `*`.
    pub const WILDCARD_CHILD: u8 = 8;
    /// Its key is followed by the same key in the case it was loaded with.
    pub const CASED: u8 = 16;
    /// Has CNAME.
    pub const CNAME: u8 = 32;
    /// What hides it is a DNAME, not a cut.
    pub const BELOW_DNAME: u8 = 64;
    /// Has records that not every asker gets: see [`crate::zone::view`].
    pub const VIEWED: u8 = 128;
}

/// One owner name, or an empty non-terminal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DraftNode {
    pub(crate) hash: u64,
    key_at: u32,
    first: u32,
    last: u32,
    pub(crate) parent: u32,
    pub(crate) key_len: u8,
    /// Labels below the apex.
    pub(crate) depth: u8,
    pub(crate) flags: u8,
}

/// A record as it lies in the draft.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DraftRecord<'a> {
    pub(crate) rtype: RecordType,
    pub(crate) ttl: u32,
    pub(crate) rdata: &'a [u8],
    /// Its own place in the arena: what [`ZoneDraft::place`] takes.
    pub(crate) at: u32,
}

/// Collects the records of one zone.
pub struct ZoneDraft {
    origin: Name,
    origin_labels: usize,
    seed: HashSeed,
    pub(crate) nodes: Vec<DraftNode>,
    /// Open addressing by the low half of the hash, which stands above the node's number + 1; 0 is empty. Names
    /// that are new, most of them, are told apart without a look at the nodes.
    index: Vec<u64>,
    keys: Vec<u8>,
    records: Vec<u8>,
    files: Vec<Arc<Path>>,
    key: NameKey,
    last_owner: Vec<u8>,
    last_node: u32,
    record_count: usize,
    faults: Faults,
}

impl ZoneDraft {
    /// An empty zone at `origin`; `seed` is the process's.
    pub fn new(origin: &Name, seed: HashSeed) -> ZoneDraft {
        let hash = seed.name(origin.to_lowercase().as_wire());
        let apex = DraftNode {
            hash,
            key_at: 0,
            first: NONE,
            last: NONE,
            parent: NONE,
            key_len: 0,
            depth: 0,
            flags: 0,
        };
        let mut draft = ZoneDraft {
            origin: origin.clone(),
            origin_labels: origin.label_count(),
            seed,
            nodes: vec![apex],
            index: vec![0; 16],
            keys: Vec::new(),
            records: Vec::new(),
            files: Vec::new(),
            key: NameKey::default(),
            last_owner: Vec::new(),
            last_node: NONE,
            record_count: 0,
            faults: Faults::default(),
        };
        draft.index_node(0);
        draft
    }

    /// The zone's apex.
    pub fn origin(&self) -> &Name {
        &self.origin
    }

    /// The seed it hashes with.
    pub fn seed(&self) -> HashSeed {
        self.seed
    }

    /// How many records were taken, duplicates included.
    pub fn record_count(&self) -> usize {
        self.record_count
    }

    /// Octets that names and records take here.
    pub(crate) fn octets(&self) -> usize {
        self.keys.len() + self.records.len()
    }

    /// The faults found so far; readers add theirs here.
    pub fn faults_mut(&mut self) -> &mut Faults {
        &mut self.faults
    }

    /// Takes the faults out.
    pub(crate) fn take_faults(&mut self) -> Faults {
        std::mem::take(&mut self.faults)
    }

    /// Frees what only adding needs.
    pub(crate) fn end_of_input(&mut self) {
        self.index = Vec::new();
    }

    /// Has the processor fetch a node.
    pub(crate) fn prefetch_node(&self, node: u32) {
        prefetch(&self.nodes, node as usize);
    }

    /// Has the processor fetch a node's key and first record.
    pub(crate) fn prefetch_content(&self, node: u32) {
        let Some(node) = self.nodes.get(node as usize) else { return };
        prefetch(&self.keys, node.key_at as usize);
        prefetch(&self.records, node.first as usize);
    }

    /// The key of a node: its lower-cased name relative to the apex, without a final zero octet.
    pub(crate) fn key(&self, node: &DraftNode) -> &[u8] {
        let at = node.key_at as usize;
        &self.keys[at..at + usize::from(node.key_len)]
    }

    /// The same in its loaded case, where that differs.
    pub(crate) fn cased_key(&self, node: &DraftNode) -> Option<&[u8]> {
        let at = node.key_at as usize + usize::from(node.key_len);
        (node.flags & node_flags::CASED != 0).then(|| &self.keys[at..at + usize::from(node.key_len)])
    }

    /// The records of a node in the order they came.
    pub(crate) fn records<'a>(&'a self, node: &DraftNode) -> impl Iterator<Item = DraftRecord<'a>> {
        let mut next = node.first;
        std::iter::from_fn(move || {
            if next == NONE {
                return None;
            }
            let at = next as usize;
            let rdata_len = usize::from(u16_at(&self.records, at + 18)?);
            let record = DraftRecord {
                rtype: RecordType(u16_at(&self.records, at + 16)?),
                ttl: u32_at(&self.records, at + 4)?,
                rdata: self.records.get(at + RECORD_HEAD..at + RECORD_HEAD + rdata_len)?,
                at: next,
            };
            next = u32_at(&self.records, at)?;
            Some(record)
        })
    }

    /// Where a record stood in its file.
    pub(crate) fn place(&self, record: u32) -> Place {
        let at = record as usize;
        let file = usize::from(u16_at(&self.records, at + 14).unwrap_or(0));
        Place {
            file: self.files.get(file).cloned().unwrap_or_else(|| Arc::from(Path::new("?"))),
            line: u32_at(&self.records, at + 8).unwrap_or(0),
            column: u32::from(u16_at(&self.records, at + 12).unwrap_or(0)),
        }
    }

    /// A place for faults of the zone as a whole.
    pub(crate) fn place_of_zone(&self) -> Place {
        let file = self.files.first().cloned();
        Place {
            file: file.unwrap_or_else(|| Arc::from(Path::new(&self.origin.to_string()))),
            line: 1,
            column: 1,
        }
    }

    /// Names the file that faults of the whole zone are told of, before the first record comes.
    pub fn set_file(&mut self, file: &Arc<Path>) {
        self.file_number(file);
    }

    /// The number of the owner's node, made with all its ancestors where it is new; `None` outside the zone.
    fn node_of(&mut self, owner: &[u8]) -> Option<u32> {
        if self.last_node != NONE && self.last_owner == owner {
            return Some(self.last_node);
        }
        let mut key = std::mem::take(&mut self.key);
        let node = self.find_or_make(owner, &mut key);
        self.key = key;
        if let Some(node) = node {
            self.last_owner.clear();
            self.last_owner.extend_from_slice(owner);
            self.last_node = node;
        }
        node
    }

    fn find_or_make(&mut self, owner: &[u8], key: &mut NameKey) -> Option<u32> {
        let len = key.read(owner)?;
        let key_len = len.checked_sub(self.origin.as_wire().len())?;
        if key.label_count() < self.origin_labels
            || key.suffix_at(self.origin_labels) != key_len
            || !key.as_wire()[key_len..].eq_ignore_ascii_case(self.origin.as_wire())
        {
            return None;
        }
        let cased = &owner[..key_len];
        let full = key.label_count();
        // Upwards to the nearest node that exists, then down again, so that parents come first.
        let mut depth = full;
        let mut node = loop {
            let wire = &key.as_wire()[key.suffix_at(depth)..key_len];
            match self.find(key.hash_at(&self.seed, depth), wire) {
                Some(node) => break node,
                None => depth -= 1,
            }
        };
        while depth < full {
            depth += 1;
            let start = key.suffix_at(depth);
            let wire = &key.as_wire()[start..key_len];
            node = self.make(key.hash_at(&self.seed, depth), wire, &cased[start..], node);
        }
        Some(node)
    }

    fn find(&self, hash: u64, wire: &[u8]) -> Option<u32> {
        let mask = self.index.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.index[at];
            if slot == 0 {
                return None;
            }
            if slot >> 32 == hash & 0xffff_ffff {
                let number = slot as u32 - 1;
                let node = &self.nodes[number as usize];
                if node.hash == hash && self.key(node) == wire {
                    return Some(number);
                }
            }
            at = (at + 1) & mask;
        }
    }

    fn make(&mut self, hash: u64, wire: &[u8], cased: &[u8], parent: u32) -> u32 {
        let number = self.nodes.len() as u32;
        let key_at = self.keys.len() as u32;
        self.keys.extend_from_slice(wire);
        let mut flags = 0;
        if wire != cased {
            self.keys.extend_from_slice(cased);
            flags |= node_flags::CASED;
        }
        if wire.starts_with(b"\x01*") {
            self.nodes[parent as usize].flags |= node_flags::WILDCARD_CHILD;
        }
        let depth = self.nodes[parent as usize].depth + 1;
        let key_len = wire.len() as u8;
        self.nodes.push(DraftNode { hash, key_at, first: NONE, last: NONE, parent, key_len, depth, flags });
        if self.nodes.len() * 4 > self.index.len() * 3 {
            let old = std::mem::take(&mut self.index);
            self.index.reserve_exact(old.len() * 2);
            // Look-ups jump about in it.
            advise_huge(&mut self.index);
            self.index.resize(old.len() * 2, 0);
            old.into_iter().filter(|slot| *slot != 0).for_each(|slot| self.index_slot(slot));
        }
        self.index_node(number);
        number
    }

    fn index_node(&mut self, node: u32) {
        let hash = self.nodes[node as usize].hash;
        self.index_slot((hash << 32) | u64::from(node + 1));
    }

    fn index_slot(&mut self, slot: u64) {
        let mask = self.index.len() - 1;
        let mut at = (slot >> 32) as usize & mask;
        while self.index[at] != 0 {
            at = (at + 1) & mask;
        }
        self.index[at] = slot;
    }

    fn file_number(&mut self, file: &Arc<Path>) -> u16 {
        if self.files.last().is_some_and(|last| Arc::ptr_eq(last, file)) {
            return (self.files.len() - 1) as u16;
        }
        let known = self.files.iter().position(|known| known == file);
        known.unwrap_or_else(|| {
            // Beyond 65,535 files the last number stands for the rest: only messages show it.
            if self.files.len() <= usize::from(u16::MAX) {
                self.files.push(Arc::clone(file));
            }
            self.files.len() - 1
        }) as u16
    }
}

impl RecordSink for ZoneDraft {
    /// Records outside the zone are ignored with a warning, as with BIND, Knot and NSD; a SOA below the apex is
    /// an error.
    fn record(&mut self, record: Record<'_>, place: &Place) {
        let at = self.records.len();
        if at + RECORD_HEAD + record.rdata.len() >= NONE as usize {
            self.faults.error(place.clone(), "the zone is larger than 4 GiB");
            return;
        }
        let Some(node) = self.node_of(record.owner) else {
            let owner = Name::from_wire(record.owner).unwrap_or(Name::ROOT);
            self.faults
                .warning(place.clone(), format!("{owner} lies outside the zone {}: ignored", self.origin));
            return;
        };
        if record.rtype == RecordType::SOA && node != 0 {
            self.faults.error(place.clone(), format!("SOA belongs at the apex {} only", self.origin));
            return;
        }
        let file = self.file_number(&place.file);
        let column = place.column.min(u32::from(u16::MAX)) as u16;
        let mut head = [0; RECORD_HEAD];
        head[0..4].copy_from_slice(&NONE.to_be_bytes());
        head[4..8].copy_from_slice(&record.ttl.to_be_bytes());
        head[8..12].copy_from_slice(&place.line.to_be_bytes());
        head[12..14].copy_from_slice(&column.to_be_bytes());
        head[14..16].copy_from_slice(&file.to_be_bytes());
        head[16..18].copy_from_slice(&record.rtype.0.to_be_bytes());
        head[18..20].copy_from_slice(&(record.rdata.len() as u16).to_be_bytes());
        // One copy where that is cheaper than two: for most records it is.
        let mut whole = [0; SMALL_RECORD];
        match whole.get_mut(..RECORD_HEAD + record.rdata.len()) {
            Some(small) => {
                small[..RECORD_HEAD].copy_from_slice(&head);
                small[RECORD_HEAD..].copy_from_slice(record.rdata);
                self.records.extend_from_slice(small);
            }
            None => {
                self.records.extend_from_slice(&head);
                self.records.extend_from_slice(record.rdata);
            }
        }
        let node = &mut self.nodes[node as usize];
        match node.last {
            NONE => node.first = at as u32,
            last => {
                self.records[last as usize..last as usize + 4].copy_from_slice(&(at as u32).to_be_bytes())
            }
        }
        node.last = at as u32;
        node.flags |= match record.rtype {
            RecordType::NS if node.key_len > 0 => node_flags::CUT,
            RecordType::DNAME => node_flags::DNAME,
            RecordType::CNAME => node_flags::CNAME,
            _ => 0,
        };
        self.record_count += 1;
    }
}

impl std::fmt::Debug for ZoneDraft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ZoneDraft({}, {} nodes, {} records)", self.origin, self.nodes.len(), self.record_count)
    }
}
