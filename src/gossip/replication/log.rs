//! What one owner says: a log in which each key's newest change stands with its version.
//!
//! A copy is always an exact prefix of the owner's: whoever has version `v` has every change up to `v` that still
//! matters. So `(owner, generation, head)` says all about what a copy holds, and nothing is ever merged
//! (Scuttlebutt, van Renesse et al. 2008, with the owner's order made total).
//!
//! A removed key leaves a tombstone. They are bounded in number, not in time: the owner drops the oldest and
//! raises its **floor**; a copy that ends below the floor cannot be brought forward change by change, because a
//! removal it has not seen may be among those dropped. It takes the whole log instead.

use crate::gossip::hash;
use crate::gossip::identity::{Generation, Version};
use std::cmp::Ordering;

/// Octets of a key: a name and its type fit, with room.
pub const KEY_OCTETS_MAX: usize = 512;
/// Octets of a value: the largest RRset that a DNS message can carry.
pub const VALUE_OCTETS_MAX: usize = 65_535;
/// Tombstones that a log keeps besides as many as an eighth of its live records.
const TOMBSTONES_MAX: usize = 256;

/// Marks a tombstone in the length of the key.
const TOMBSTONE: u16 = 0x8000;
const _: () = assert!(KEY_OCTETS_MAX < TOMBSTONE as usize);

/// One key's newest change.
#[derive(Clone)]
struct Item {
    version: Version,
    /// `| tombstone (1) key_len (15) | key | value |`: one allocation for each record.
    octets: Box<[u8]>,
}

/// A change as others see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'l> {
    /// The version that made it.
    pub version: Version,
    /// Which record.
    pub key: &'l [u8],
    /// What it became; `None`: it is gone.
    pub value: Option<&'l [u8]>,
}

/// The log of one owner in one generation, or a prefix of it.
#[derive(Clone, Default)]
pub struct Log {
    generation: Generation,
    head: Version,
    floor: Version,
    whole: Version,
    until: Version,
    /// By rising key, no key twice.
    items: Vec<Item>,
    tombstones: usize,
    /// The sum over live records: equal for equal content, however it came about.
    hash: u64,
}

impl Item {
    fn new(entry: &Entry<'_>) -> Item {
        let head = entry.key.len() as u16 | if entry.value.is_none() { TOMBSTONE } else { 0 };
        let octets = [&head.to_le_bytes()[..], entry.key, entry.value.unwrap_or_default()].concat();
        Item { version: entry.version, octets: octets.into() }
    }

    fn parts(&self) -> (u16, &[u8]) {
        match self.octets.split_first_chunk::<2>() {
            Some((head, rest)) => (u16::from_le_bytes(*head), rest),
            None => (0, &[]),
        }
    }

    fn key(&self) -> &[u8] {
        let (head, rest) = self.parts();
        rest.get(..usize::from(head & !TOMBSTONE)).unwrap_or_default()
    }

    fn is_tombstone(&self) -> bool {
        self.parts().0 & TOMBSTONE != 0
    }

    fn entry(&self) -> Entry<'_> {
        let (head, rest) = self.parts();
        let (key, value) = rest.split_at_checked(usize::from(head & !TOMBSTONE)).unwrap_or_default();
        Entry { version: self.version, key, value: (head & TOMBSTONE == 0).then_some(value) }
    }

    fn hash(&self) -> u64 {
        if self.is_tombstone() { 0 } else { hash::mix(hash::octets(&self.octets), self.version.0) }
    }
}

impl Log {
    /// Nothing said yet.
    pub fn new(generation: Generation) -> Log {
        Log { generation, ..Log::default() }
    }

    /// The owner's life in which it was said.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// The newest version held.
    pub fn head(&self) -> Version {
        self.head
    }

    /// Below this a copy cannot be brought forward change by change.
    pub fn floor(&self) -> Version {
        self.floor
    }

    /// From this version on the log may be shown: before it, the owner had not yet said all that it has to say in
    /// this life. 0 while that is not known.
    pub fn whole(&self) -> Version {
        self.whole
    }

    /// True if it may be shown.
    pub fn is_whole(&self) -> bool {
        self.whole.0 > 0 && self.head >= self.whole
    }

    /// True if it is what the owner had said at [`Log::head`]: then its hash is that of any other such copy. A copy
    /// made of pieces lacks what changed again between the end of a piece and the end of what it was cut from.
    pub fn is_exact(&self) -> bool {
        self.head >= self.until
    }

    /// The version at which it will be exact; its head if it is.
    pub fn until(&self) -> Version {
        self.until.max(self.head)
    }

    /// As its owner: what has been said so far is all there is, for now. A log that says nothing is whole too.
    pub fn declare_whole(&mut self) {
        self.head = self.head.max(Version(1));
        self.whole = self.head;
    }

    /// Equal for two copies of equal content.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Live records.
    pub fn live(&self) -> usize {
        self.items.len() - self.tombstones
    }

    /// Octets held on the heap, as far as they can be counted.
    pub fn heap_octets(&self) -> usize {
        self.items.capacity() * size_of::<Item>()
            + self.items.iter().map(|item| item.octets.len()).sum::<usize>()
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let place = self.find(key).ok()?;
        self.items[place].entry().value
    }

    /// True if this change is in it, or a removal that it has let go.
    pub fn holds(&self, entry: &Entry<'_>) -> bool {
        match self.find(entry.key) {
            Ok(place) => self.items[place].entry() == *entry,
            Err(_) => entry.value.is_none() && entry.version <= self.floor,
        }
    }

    /// Live records by rising key.
    pub fn records(&self) -> impl Iterator<Item = Entry<'_>> {
        self.items.iter().map(Item::entry).filter(|entry| entry.value.is_some())
    }

    /// What changed after `from`, by rising version: each key once, tombstones included.
    pub fn since(&self, from: Version) -> Vec<Entry<'_>> {
        let newer = self.items.iter().filter(|item| item.version > from);
        let mut entries: Vec<Entry<'_>> = newer.map(Item::entry).collect();
        entries.sort_unstable_by_key(|entry| entry.version);
        entries
    }

    /// As its owner: sets a key. The version of that; `None` and no change if the value is the same.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Option<Version> {
        if self.get(key) == Some(value) {
            return None;
        }
        self.change(key, Some(value))
    }

    /// As its owner: removes a key. The version of that; `None` if there is no such key.
    pub fn remove(&mut self, key: &[u8]) -> Option<Version> {
        self.get(key)?;
        self.change(key, None)
    }

    fn change(&mut self, key: &[u8], value: Option<&[u8]>) -> Option<Version> {
        self.head = Version(self.head.0 + 1);
        self.replace(&Entry { version: self.head, key, value });
        self.bound_tombstones();
        Some(self.head)
    }

    /// As its owner: begins a new life with the same records, whole.
    pub fn begin_again(&mut self, generation: Generation) {
        let records = std::mem::take(&mut self.items);
        *self = Log::new(generation);
        for item in records.iter().filter(|item| !item.is_tombstone()) {
            let entry = item.entry();
            self.change(entry.key, entry.value);
        }
        self.declare_whole();
    }

    /// As a copy: takes the changes after its head up to `to`, by rising version, cut from a log that ends at `until`;
    /// those it has are passed over.
    /// The caller has seen to it that none is missing between.
    pub fn extend<'e>(
        &mut self,
        entries: impl IntoIterator<Item = Entry<'e>>,
        to: Version,
        (floor, whole): (Version, Version),
        until: Version,
    ) {
        let have = self.head;
        let entries = entries.into_iter().filter(|entry| entry.version > have);
        let mut items: Vec<Item> = entries.map(|entry| Item::new(&entry)).collect();
        if items.len() <= self.items.len() / 64 + 4 {
            for item in items {
                self.replace_item(item);
            }
        } else {
            self.items.append(&mut items);
            // The newest of a key comes first and stays.
            self.items.sort_by(|a, b| a.key().cmp(b.key()).then(b.version.cmp(&a.version)));
            self.items.dedup_by(|later, kept| later.key() == kept.key());
            self.recount();
        }
        self.head = self.head.max(to);
        self.whole = self.whole.max(whole);
        self.until = self.until.max(until);
        self.raise_floor(floor);
    }

    /// Drops tombstones up to `floor`.
    fn raise_floor(&mut self, floor: Version) {
        if floor > self.floor {
            self.floor = floor;
            if self.tombstones > 0 {
                self.items.retain(|item| item.version > floor || !item.is_tombstone());
                self.recount();
            }
        }
    }

    fn bound_tombstones(&mut self) {
        let max = TOMBSTONES_MAX + self.live() / 8;
        if self.tombstones <= max {
            return;
        }
        let gone = self.items.iter().filter(|item| item.is_tombstone()).map(|item| item.version);
        let mut versions: Vec<Version> = gone.collect();
        versions.sort_unstable();
        // Half of them at once: so the cost of finding them is spread over many removals.
        if let Some(floor) = versions.get(versions.len() / 2) {
            self.raise_floor(*floor);
        }
    }

    fn recount(&mut self) {
        self.tombstones = self.items.iter().filter(|item| item.is_tombstone()).count();
        self.hash = self.items.iter().fold(0, |sum, item| sum.wrapping_add(item.hash()));
    }

    fn replace(&mut self, entry: &Entry<'_>) {
        self.replace_item(Item::new(entry));
    }

    fn replace_item(&mut self, item: Item) {
        self.hash = self.hash.wrapping_add(item.hash());
        self.tombstones += usize::from(item.is_tombstone());
        match self.find(item.key()) {
            Ok(place) => {
                let old = std::mem::replace(&mut self.items[place], item);
                self.hash = self.hash.wrapping_sub(old.hash());
                self.tombstones -= usize::from(old.is_tombstone());
            }
            Err(place) => self.items.insert(place, item),
        }
    }

    fn find(&self, key: &[u8]) -> Result<usize, usize> {
        self.items.binary_search_by(|item| -> Ordering { item.key().cmp(key) })
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Log({}:{}, {} records)", self.generation.0, self.head.0, self.live())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn content(log: &Log) -> BTreeMap<Vec<u8>, Vec<u8>> {
        log.records().map(|entry| (entry.key.to_vec(), entry.value.unwrap().to_vec())).collect()
    }

    #[test]
    fn the_same_value_again_is_no_change() {
        let mut log = Log::new(Generation(1));
        assert_eq!(log.put(b"a", b"1"), Some(Version(1)));
        assert_eq!(log.put(b"a", b"1"), None);
        assert_eq!(log.remove(b"b"), None);
        assert_eq!(log.remove(b"a"), Some(Version(2)));
        assert_eq!(log.remove(b"a"), None);
        assert_eq!((log.live(), log.hash(), log.head()), (0, 0, Version(2)));
    }

    #[test]
    fn tombstones_are_bounded_by_raising_the_floor() {
        let mut log = Log::new(Generation(1));
        for i in 0..10_000u32 {
            log.put(&i.to_le_bytes(), b"x");
            log.remove(&i.to_le_bytes());
        }
        assert!(log.tombstones <= TOMBSTONES_MAX);
        assert!(log.floor() > Version(19_000) && log.floor() < log.head());
        assert_eq!(log.since(Version(0)).len(), log.tombstones);
    }

    proptest! {
        /// An owner's changes reach a copy in batches, some of them again, some as a whole; the copy is equal.
        #[test]
        fn a_copy_is_what_the_owner_has(
            changes in prop::collection::vec((0u8..40, prop::option::of(0u8..4)), 1..400),
            steps in prop::collection::vec((1usize..60, 0u64..5, any::<bool>()), 1..40),
        ) {
            let mut owner = Log::new(Generation(1));
            let mut twin = BTreeMap::new();
            let mut copy = Log::new(Generation(1));
            let mut changes = changes.into_iter();
            for (count, again, whole) in steps {
                for (key, value) in changes.by_ref().take(count) {
                    match value {
                        Some(value) => { owner.put(&[key], &[value; 3]); twin.insert(vec![key], vec![value; 3]); }
                        None => { owner.remove(&[key]); twin.remove(&[key][..]); }
                    }
                }
                if whole || copy.head() < owner.floor() {
                    copy = Log::new(Generation(1));
                }
                let from = Version(copy.head().0.saturating_sub(again));
                copy.extend(owner.since(from), owner.head(), (owner.floor(), owner.whole()), owner.head());
                prop_assert_eq!(content(&owner), twin.clone());
                prop_assert_eq!(content(&copy), twin.clone());
                prop_assert_eq!((copy.hash(), copy.head(), copy.live()), (owner.hash(), owner.head(), twin.len()));
            }
            let before = content(&owner);
            owner.begin_again(Generation(2));
            prop_assert_eq!(content(&owner), before);
            prop_assert_eq!(owner.head().0, (twin.len() as u64).max(1));
            prop_assert!(owner.is_whole());
        }
    }
}
