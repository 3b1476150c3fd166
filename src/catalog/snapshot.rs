//! What the workers answer from: immutable, complete, of one moment.

use crate::catalog::reverse::{Covered, Reverse};
use crate::wire::key::{HashSeed, NameKey, Packed};
use crate::wire::name::{Name, is_at_or_below};
use crate::zone::Zone;
use std::sync::Arc;

/// Numbers snapshots; strictly increasing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// Where a zone's counters stand; a zone keeps its slot while the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MetricsSlot(pub u16);

/// A zone's place in one snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ZoneNumber(u32);

/// A zone as the snapshot holds it.
pub struct ZoneEntry {
    /// In lower-cased wire form.
    pub(crate) origin_key: Box<[u8]>,
    /// The same ready for comparing, where it is short.
    pub(crate) packed: Option<Packed>,
    pub(crate) labels: usize,
    /// `None`: the zone is configured but faulty, and its names get SERVFAIL.
    pub(crate) zone: Option<Arc<Zone>>,
    /// Where there is no zone: one of which not all is known. What it has may be told, but not what it has not.
    pub(crate) part: Option<Arc<Zone>>,
    /// Where there is no zone: one of others, below a zone of ours; it has no counters of its own.
    pub(crate) is_ceded: bool,
    pub(crate) metrics: MetricsSlot,
    /// Another zone's apex lies below this one's.
    pub(crate) has_below: bool,
    /// What other servers get.
    pub(crate) outward: Outward,
    /// Names of addresses that the cluster knows are laid over it.
    pub(crate) covered: Option<Covered>,
}

/// What other servers get of a zone.
pub(crate) enum Outward {
    /// What it is answered from.
    Same,
    /// Another version of its own, if there is one yet.
    Apart(Option<Arc<Zone>>),
}

impl ZoneEntry {
    /// An entry of that apex.
    pub(crate) fn new(origin: &Name, zone: Option<Arc<Zone>>, metrics: MetricsSlot) -> ZoneEntry {
        let key = origin.to_lowercase();
        ZoneEntry {
            origin_key: key.as_wire().into(),
            packed: Packed::new(key.as_wire()),
            labels: origin.label_count(),
            zone,
            part: None,
            is_ceded: false,
            metrics,
            has_below: false,
            outward: Outward::Same,
            covered: None,
        }
    }

    /// True if the name is at or below the apex.
    #[inline(always)]
    fn is_above(&self, name: &NameKey) -> bool {
        if self.labels > name.label_count() {
            return false;
        }
        let at = name.suffix_at(self.labels);
        match &self.packed {
            Some(packed) => name.has_at(at, packed),
            None => name.as_wire().get(at..) == Some(&*self.origin_key),
        }
    }

    /// True if this is the nearest zone above the name, as far as can be told from it alone: none lies below it.
    #[inline(always)]
    pub fn is_nearest_to(&self, name: &NameKey) -> bool {
        !self.has_below && self.is_above(name)
    }

    /// The zone, unless it is faulty, or not the only one to have a say at its names.
    #[inline]
    pub fn zone(&self) -> Option<&Zone> {
        self.zone.as_deref()
    }

    /// What other servers get of it, if they can have it.
    pub fn outward(&self) -> Option<&Zone> {
        match &self.outward {
            Outward::Same => self.content().map(Arc::as_ref),
            Outward::Apart(zone) => zone.as_deref(),
        }
    }

    /// The zone, unless it is faulty, also where the cluster's addresses have a say before it.
    pub fn content(&self) -> Option<&Arc<Zone>> {
        self.zone.as_ref().or(self.covered.as_ref().and_then(|covered| covered.behind.as_ref()))
    }

    /// True if names of addresses that the cluster knows are told before what the zone has.
    pub fn is_covered(&self) -> bool {
        self.covered.is_some()
    }

    /// True if a zone of ours, or one of others, begins here.
    pub fn is_apex(&self) -> bool {
        self.covered.as_ref().is_none_or(|covered| !covered.is_made)
    }

    /// What is known of the zone, if that is not all of it.
    pub fn part(&self) -> Option<&Zone> {
        self.part.as_deref()
    }

    /// True for a suffix that belongs to others though a zone of ours stands above.
    pub fn is_ceded(&self) -> bool {
        self.is_ceded
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
    /// How many labels apexes have: the distinct numbers, falling.
    depths: Box<[u8]>,
    /// Of all apexes the [`NameKey::top_bit`]: most names of others lie below no top-level name of ours.
    tops: u64,
    reverse: Option<Reverse>,
}

impl Snapshot {
    pub(crate) fn new(
        revision: Revision,
        seed: HashSeed,
        identity: &str,
        mut entries: Vec<ZoneEntry>,
    ) -> Snapshot {
        mark_parents(&mut entries);
        let size = (entries.len() * 4).next_power_of_two().max(8);
        let (mut hashes, mut numbers) = (vec![0u64; size], vec![0u32; size]);
        for (number, entry) in entries.iter().enumerate() {
            let hash = seed.name(&entry.origin_key) | 1;
            let mut at = (hash as usize / 2) & (size - 1);
            while hashes[at] != 0 {
                at = (at + 1) & (size - 1);
            }
            (hashes[at], numbers[at]) = (hash, number as u32);
        }
        let mut depths: Vec<u8> = entries.iter().map(|entry| entry.labels as u8).collect();
        depths.sort_unstable_by(|a, b| b.cmp(a));
        depths.dedup();
        let mut key = NameKey::default();
        let tops = entries.iter().filter_map(|entry| key.read(&entry.origin_key).map(|_| key.top_bit()));
        let tops = tops.fold(0, |all, bit| all | bit);
        let identity = identity.bytes().take(255).collect();
        Snapshot {
            revision,
            seed,
            identity,
            entries: entries.into(),
            hashes: hashes.into(),
            numbers: numbers.into(),
            depths: depths.into(),
            tops,
            reverse: None,
        }
    }

    /// The same, where entries are covered.
    pub(crate) fn with_reverse(self, reverse: Reverse) -> Snapshot {
        Snapshot { reverse: Some(reverse), ..self }
    }

    /// What is laid over the entries that are covered.
    pub fn reverse(&self) -> Option<&Reverse> {
        self.reverse.as_ref()
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

    /// The nearest zone at or above the name. `guess` is tried first: the zone of the query before, say.
    #[inline(always)]
    pub fn find(&self, name: &NameKey, guess: ZoneNumber) -> Option<ZoneNumber> {
        match self.entry(guess) {
            Some(entry) if entry.is_nearest_to(name) => Some(guess),
            _ => self.find_at(name, name.label_count()),
        }
    }

    /// The nearest zone at or above the name's suffix of `depth` labels.
    #[inline(never)]
    pub fn find_at(&self, name: &NameKey, depth: usize) -> Option<ZoneNumber> {
        if name.top_bit() & self.tops == 0 {
            return None;
        }
        let depths = self.depths.iter().map(|depth| usize::from(*depth)).filter(|labels| *labels <= depth);
        depths.into_iter().find_map(|labels| {
            let number = self.at(name.hash_at(&self.seed, labels) | 1)?;
            self.entry(number)?.is_above(name).then_some(number)
        })
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

/// Notes which apexes have others below them. `entries` are sorted canonically: what is below follows at once.
fn mark_parents(entries: &mut [ZoneEntry]) {
    let mut above: Vec<usize> = Vec::new();
    for i in 0..entries.len() {
        while let Some(&last) = above.last() {
            if is_at_or_below(&entries[i].origin_key, &entries[last].origin_key) {
                entries[last].has_below = true;
                break;
            }
            above.pop();
        }
        above.push(i);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(origins: &[&str]) -> Snapshot {
        let mut names: Vec<Name> = origins.iter().map(|origin| Name::parse(origin).unwrap()).collect();
        names.sort();
        let entry = |name: &Name| ZoneEntry::new(name, None, MetricsSlot(0));
        Snapshot::new(Revision(1), HashSeed::new([7; 16]), "", names.iter().map(entry).collect())
    }

    #[test]
    fn short_top_level_names_and_the_root_are_above_what_lies_below_them() {
        for (origins, name, is_found) in [
            (&["a.", "b.c."][..], "x.y.a.", true),
            (&["a.", "b.c."], "a.", true),
            (&["a.", "b.c."], "b.c.", true),
            (&["a.", "b.c."], "ab.", false),
            (&["."], "anything.at.all.", true),
            (&["."], ".", true),
            (&[], "anything.at.all.", false),
        ] {
            let mut key = NameKey::default();
            // Whatever stood there before.
            key.read(Name::parse("stale.stale.stale.stale.").unwrap().as_wire());
            key.read(Name::parse(name).unwrap().as_wire());
            let found = snapshot(origins).find(&key, ZoneNumber(9));
            assert_eq!(found.is_some(), is_found, "{name} {origins:?}");
        }
    }

    #[test]
    fn the_nearest_zone_is_found_whatever_was_guessed() {
        let origins = ["edu.", "groucho.edu.", "maths.groucho.edu.", "aroucho.edu.", "localhost."];
        let snapshot = snapshot(&origins);
        for (name, expected) in [
            ("edu.", Some("edu.")),
            ("x.edu.", Some("edu.")),
            ("groucho.edu.", Some("groucho.edu.")),
            ("a.b.GROUCHO.edu.", Some("groucho.edu.")),
            ("xgroucho.edu.", Some("edu.")),
            ("a.maths.groucho.edu.", Some("maths.groucho.edu.")),
            ("aroucho.edu.", Some("aroucho.edu.")),
            ("com.", None),
            (".", None),
        ] {
            let mut key = NameKey::default();
            key.read(Name::parse(name).unwrap().as_wire());
            for guess in 0..=origins.len() as u32 {
                let found = snapshot.find(&key, ZoneNumber(guess)).and_then(|number| snapshot.entry(number));
                let expected = expected.map(|origin| Name::parse(origin).unwrap().to_lowercase());
                assert_eq!(
                    found.map(ZoneEntry::origin_key),
                    expected.as_ref().map(Name::as_wire),
                    "{name} {guess}"
                );
            }
        }
    }
}
