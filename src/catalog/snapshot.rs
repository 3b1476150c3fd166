//! What the workers answer from: immutable, complete, of one moment.

use crate::wire::key::{HashSeed, NameKey};
use crate::zone::Zone;
use std::sync::Arc;

/// Numbers snapshots; strictly increasing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// Where a zone's counters stand; a zone keeps its slot while the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MetricsSlot(pub u16);

/// A zone's place in one snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZoneNumber(u32);

/// A zone as the snapshot holds it.
pub struct ZoneEntry {
    /// In lower-cased wire form.
    pub(crate) origin_key: Box<[u8]>,
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

    /// The apex in lower-cased wire form.
    pub fn origin_key(&self) -> &[u8] {
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
    /// Open addressing by the apex's hash, at most a quarter full; 0 is empty.
    hashes: Box<[u64]>,
    /// Beside each hash its entry's number.
    numbers: Box<[u32]>,
    /// Labels of the deepest apex.
    depth_max: usize,
}

impl Snapshot {
    pub(crate) fn new(
        revision: Revision,
        seed: HashSeed,
        identity: &str,
        entries: Vec<ZoneEntry>,
    ) -> Snapshot {
        let size = (entries.len() * 4).next_power_of_two().max(8);
        let (mut hashes, mut numbers) = (vec![0u64; size], vec![0u32; size]);
        for (number, entry) in entries.iter().enumerate() {
            let hash = seed.name(seed.root(), &entry.origin_key) | 1;
            let mut at = (hash as usize / 2) & (size - 1);
            while hashes[at] != 0 {
                at = (at + 1) & (size - 1);
            }
            (hashes[at], numbers[at]) = (hash, number as u32);
        }
        let depth_max = entries.iter().map(|entry| entry.labels).max().unwrap_or(0);
        let identity = identity.bytes().take(255).collect();
        Snapshot {
            revision,
            seed,
            identity,
            entries: entries.into(),
            hashes: hashes.into(),
            numbers: numbers.into(),
            depth_max,
        }
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

    /// A zone by its number.
    #[inline(always)]
    pub fn entry(&self, number: ZoneNumber) -> Option<&ZoneEntry> {
        self.entries.get(number.0 as usize)
    }

    /// The nearest zone at or above the name's suffix of `depth` labels. The name must have been hashed.
    #[inline(always)]
    pub fn find(&self, name: &NameKey, depth: usize) -> Option<ZoneNumber> {
        let mut depth = depth.min(self.depth_max);
        loop {
            if let Some(number) = self.at(name.hash_at(depth) | 1)
                && let Some(entry) = self.entry(number)
                && name.as_wire().get(name.suffix_at(depth)..) == Some(&*entry.origin_key)
            {
                return Some(number);
            }
            depth = depth.checked_sub(1)?;
        }
    }

    /// The zone whose apex has that hash, its lowest bit set. Were two alike (one chance in 2^63 per pair), the
    /// second would not be found; the caller compares names, so it is never taken for the first.
    #[inline(always)]
    fn at(&self, hash: u64) -> Option<ZoneNumber> {
        let mask = self.hashes.len() - 1;
        let mut at = (hash as usize / 2) & mask;
        loop {
            match *self.hashes.get(at)? {
                0 => return None,
                other if other == hash => return Some(ZoneNumber(*self.numbers.get(at)?)),
                _ => at = (at + 1) & mask,
            }
        }
    }
}
