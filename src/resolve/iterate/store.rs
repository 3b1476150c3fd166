//! A map that holds a number of octets at most. What was used longest ago makes room. Ordered, so that equal inputs
//! give equal outcomes, and nobody can choose keys that collide.

use std::collections::BTreeMap;

/// Octets that an entry takes beside its key and its value: its places in two trees.
const ENTRY_OCTETS: usize = 96;

/// What an entry takes.
pub(super) trait Weight {
    /// Octets on the heap and in place.
    fn octets(&self) -> usize;
}

struct Entry<V> {
    value: V,
    octets: usize,
    used: u64,
}

/// The map. `octets` is the sum over the entries; `order` has each key once, under the entry's `used`.
pub(super) struct Store<K, V> {
    entries: BTreeMap<K, Entry<V>>,
    order: BTreeMap<u64, K>,
    clock: u64,
    octets: usize,
    octets_max: usize,
}

impl<K: Ord + Clone + Weight, V: Weight> Store<K, V> {
    pub(super) fn new(octets_max: usize) -> Store<K, V> {
        Store { entries: BTreeMap::new(), order: BTreeMap::new(), clock: 0, octets: 0, octets_max }
    }

    /// What stands under the key; using it keeps it.
    pub(super) fn get(&mut self, key: &K) -> Option<&V> {
        let entry = self.entries.get_mut(key)?;
        self.clock += 1;
        if let Some(key) = self.order.remove(&entry.used) {
            self.order.insert(self.clock, key);
        }
        entry.used = self.clock;
        Some(&entry.value)
    }

    /// What stands under the key, without counting as use.
    pub(super) fn peek(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// Puts a value in place of what stood under the key. One that is larger than all the room is forgotten at once.
    pub(super) fn put(&mut self, key: K, value: V) {
        self.remove(&key);
        // A key stands in both trees.
        let octets = ENTRY_OCTETS + 2 * key.octets() + value.octets();
        self.clock += 1;
        self.octets += octets;
        self.order.insert(self.clock, key.clone());
        self.entries.insert(key, Entry { value, octets, used: self.clock });
        while self.octets > self.octets_max {
            let Some((_, oldest)) = self.order.pop_first() else { return };
            if let Some(entry) = self.entries.remove(&oldest) {
                self.octets -= entry.octets;
            }
        }
    }

    pub(super) fn remove(&mut self, key: &K) {
        self.take(key);
    }

    /// Takes out what stands under the key.
    pub(super) fn take(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.remove(key)?;
        self.order.remove(&entry.used);
        self.octets -= entry.octets;
        Some(entry.value)
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.order.clear();
        self.octets = 0;
    }

    pub(super) fn octets(&self) -> usize {
        self.octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Weight for u8 {
        fn octets(&self) -> usize {
            1
        }
    }

    #[test]
    fn what_was_used_longest_ago_makes_room() {
        let mut store = Store::new(2 * (ENTRY_OCTETS + 3));
        store.put(1u8, 10u8);
        store.put(2, 20);
        assert_eq!(store.get(&1), Some(&10));
        store.put(3, 30);
        assert_eq!([1, 2, 3].map(|key| store.peek(&key).copied()), [Some(10), None, Some(30)]);
    }

    proptest! {
        #[test]
        fn octets_are_those_of_the_entries_and_never_too_many(deeds in prop::collection::vec((0..3u8, 0..20u8), 0..200)) {
            let mut store = Store::new(7 * (ENTRY_OCTETS + 3));
            for (deed, key) in deeds {
                match deed {
                    0 => store.put(key, key),
                    1 => store.remove(&key),
                    _ => drop(store.get(&key).copied()),
                }
                let sum: usize = store.entries.values().map(|entry| entry.octets).sum();
                prop_assert_eq!(store.octets(), sum);
                prop_assert!(store.octets() <= store.octets_max);
                prop_assert_eq!(store.order.len(), store.entries.len());
            }
        }
    }
}
