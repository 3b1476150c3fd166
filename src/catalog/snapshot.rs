//! What the workers answer from: immutable, complete, of one moment.

use crate::wire::key::{HashSeed, NameKey};
use crate::wire::name::Name;
use crate::zone::Zone;
use std::sync::Arc;

/// Numbers snapshots; strictly increasing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// Where a zone's counters stand; a zone keeps its slot while the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MetricsSlot(pub u16);

/// A zone as the snapshot holds it.
pub struct ZoneEntry {
    /// Lower-cased.
    pub(crate) origin_key: Name,
    pub(crate) labels: usize,
    /// `None`: the zone is configured but faulty, and its names get SERVFAIL.
    pub(crate) zone: Option<Arc<Zone>>,
    pub(crate) metrics: MetricsSlot,
}

impl ZoneEntry {
    /// The zone, unless it is faulty.
    #[inline]
    pub fn zone(&self) -> Option<&Zone> {
        self.zone.as_deref()
    }

    /// Labels of the apex.
    #[inline]
    pub fn labels(&self) -> usize {
        self.labels
    }

    /// The apex, lower-cased.
    pub fn origin_key(&self) -> &Name {
        &self.origin_key
    }

    /// Where its counters stand.
    #[inline]
    pub fn metrics(&self) -> MetricsSlot {
        self.metrics
    }
}

/// All zones at one moment.
pub struct Snapshot {
    revision: Revision,
    seed: HashSeed,
    identity: Box<[u8]>,
    entries: Box<[ZoneEntry]>,
    /// Open addressing by the apex's hash, at most half full; entry number + 1, 0 is empty.
    slots: Box<[(u64, u32)]>,
    /// Bit n: some apex has n labels.
    depths: u128,
}

impl Snapshot {
    pub(crate) fn new(
        revision: Revision,
        seed: HashSeed,
        identity: &str,
        entries: Vec<ZoneEntry>,
    ) -> Snapshot {
        let size = (entries.len() * 2).next_power_of_two().max(4);
        let mut slots = vec![(0, 0); size];
        let mut depths = 0;
        for (number, entry) in entries.iter().enumerate() {
            let hash = seed.name(seed.root(), entry.origin_key.as_wire());
            let mut at = hash as usize & (size - 1);
            while slots[at].1 != 0 {
                at = (at + 1) & (size - 1);
            }
            slots[at] = (hash, number as u32 + 1);
            depths |= 1 << entry.labels;
        }
        let identity = identity.bytes().take(255).collect();
        Snapshot { revision, seed, identity, entries: entries.into(), slots: slots.into(), depths }
    }

    /// Its number.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The seed by which names are hashed for it.
    #[inline]
    pub fn seed(&self) -> &HashSeed {
        &self.seed
    }

    /// What the server calls itself.
    #[inline]
    pub fn identity(&self) -> &[u8] {
        &self.identity
    }

    /// The zones, by rising origin.
    pub fn entries(&self) -> &[ZoneEntry] {
        &self.entries
    }

    /// The nearest zone at or above the name's suffix of `depth` labels. The name must have been hashed.
    #[inline]
    pub fn find(&self, name: &NameKey, depth: usize) -> Option<&ZoneEntry> {
        let mut candidates = self.depths & (u128::MAX >> (127 - depth.min(127)));
        while candidates != 0 {
            let depth = 127 - candidates.leading_zeros() as usize;
            candidates &= !(1 << depth);
            if let Some(entry) = self.at(name, depth) {
                return Some(entry);
            }
        }
        None
    }

    #[inline]
    fn at(&self, name: &NameKey, depth: usize) -> Option<&ZoneEntry> {
        let hash = name.hash_at(depth);
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let (other, number) = *self.slots.get(at)?;
            let entry = self.entries.get((number as usize).checked_sub(1)?)?;
            if other == hash
                && name.as_wire().get(name.suffix_at(depth)..) == Some(entry.origin_key.as_wire())
            {
                return Some(entry);
            }
            at = (at + 1) & mask;
        }
    }
}
