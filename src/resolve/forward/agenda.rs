//! What is to be done when: one moment for each question, the earliest at hand.
//!
//! A binary heap of places; each place knows where in the heap it stands, so that its moment can be changed. Nothing
//! stale is ever in it.

use crate::base::time::Moment;
use crate::resolve::forward::slab::NONE;

/// The agenda.
pub(super) struct Agenda {
    /// No entry is earlier than the one at half its distance from the start.
    heap: Vec<(Moment, u16)>,
    /// For each index, where in the heap it stands.
    stands: Vec<u16>,
}

impl Agenda {
    /// For indices below `capacity`.
    pub(super) fn new(capacity: u16) -> Agenda {
        let capacity = usize::from(capacity);
        Agenda { heap: Vec::with_capacity(capacity), stands: vec![NONE; capacity] }
    }

    /// The earliest.
    pub(super) fn first(&self) -> Option<(Moment, u16)> {
        self.heap.first().copied()
    }

    /// Sets or changes the moment of an index.
    pub(super) fn set(&mut self, index: u16, moment: Moment) {
        match self.stands.get(usize::from(index)).copied() {
            None => {}
            Some(NONE) => {
                self.put(self.heap.len(), (moment, index));
                self.rise(self.heap.len() - 1);
            }
            Some(at) => {
                self.put(usize::from(at), (moment, index));
                let at = self.rise(usize::from(at));
                self.sink(at);
            }
        }
    }

    /// Strikes an index off, if it is there.
    pub(super) fn remove(&mut self, index: u16) {
        let Some(stand) = self.stands.get_mut(usize::from(index)) else { return };
        let at = std::mem::replace(stand, NONE);
        // What is not on it leaves the others alone.
        if at == NONE {
            return;
        }
        let (at, Some(last)) = (usize::from(at), self.heap.pop()) else { return };
        if at < self.heap.len() {
            self.put(at, last);
            let at = self.rise(at);
            self.sink(at);
        }
    }

    fn put(&mut self, at: usize, entry: (Moment, u16)) {
        match self.heap.get_mut(at) {
            Some(place) => *place = entry,
            None => self.heap.push(entry),
        }
        if let Some(stand) = self.stands.get_mut(usize::from(entry.1)) {
            *stand = at as u16;
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        if let (Some(first), Some(second)) = (self.heap.get(a).copied(), self.heap.get(b).copied()) {
            self.put(a, second);
            self.put(b, first);
        }
    }

    fn rise(&mut self, mut at: usize) -> usize {
        while at > 0 && self.heap.get(at) < self.heap.get((at - 1) / 2) {
            self.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
        at
    }

    fn sink(&mut self, mut at: usize) {
        loop {
            let children = (2 * at + 1)..(2 * at + 3);
            let Some(least) = children.filter(|&at| at < self.heap.len()).min_by_key(|&at| self.heap.get(at))
            else {
                return;
            };
            if self.heap.get(at) <= self.heap.get(least) {
                return;
            }
            self.swap(at, least);
            at = least;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn the_first_is_the_earliest_whatever_was_changed(
            steps in prop::collection::vec((0..20u16, prop::option::of(0..50u64)), 0..200)
        ) {
            let (mut agenda, mut twin) = (Agenda::new(20), BTreeMap::new());
            for (index, moment) in steps {
                match moment.map(Moment::from_micros) {
                    Some(moment) => {
                        agenda.set(index, moment);
                        twin.insert(index, moment);
                    }
                    // Also what is not on it: others stay.
                    None => {
                        twin.remove(&index);
                        agenda.remove(index);
                    }
                }
                let earliest = twin.iter().map(|(index, moment)| (*moment, *index)).min();
                prop_assert_eq!(agenda.first(), earliest);
            }
            while let Some((moment, index)) = agenda.first() {
                prop_assert_eq!(twin.remove(&index), Some(moment));
                agenda.remove(index);
            }
            prop_assert!(twin.is_empty());
        }
    }
}
