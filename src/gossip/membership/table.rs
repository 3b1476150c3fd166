//! Who is known: the greatest telling of each node but ourselves, and whose turn it is to be probed.
//!
//! Ten thousand machines of a simulation hold ten thousand members each, so a member takes 20 octets here: what is
//! told of it is shared, and the sorted index keeps the upper half of its id so that a search touches few tellings.
//!
//! Invariant: `sorted` holds each slot once, by rising id; `turns` holds each slot once, in any order; `alive`
//! counts the slots whose class is alive.

use crate::gossip::identity::NodeId;
use crate::gossip::membership::settings::MEMBERS_MAX;
use crate::gossip::membership::told::{Class, Told};
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<Arc<Told>>,
    sorted: Vec<(u32, u32)>,
    turns: Vec<u32>,
    next_turn: usize,
    alive: usize,
}

/// Draws per member wanted, before the table is walked instead: with half of the members lost, one in a thousand
/// searches walks.
const DRAWS: usize = 10;

impl Table {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn alive(&self) -> usize {
        self.alive
    }

    pub(super) fn get(&self, id: NodeId) -> Option<&Arc<Told>> {
        let at = self.position(id).ok()?;
        self.slot(at)
    }

    /// By rising id, those behind `after`.
    pub(super) fn iter_after(&self, after: Option<NodeId>) -> impl Iterator<Item = &Arc<Told>> {
        let from = match after.map(|id| self.position(id)) {
            None => 0,
            Some(Ok(at)) => at + 1,
            Some(Err(at)) => at,
        };
        (from..self.sorted.len()).filter_map(|at| self.slot(at))
    }

    /// Puts a telling in place of the one before, if any. False: the table is full and it was not taken.
    pub(super) fn put(&mut self, told: Arc<Told>, rng: &mut fastrand::Rng) -> bool {
        let alive = usize::from(told.class == Class::Alive);
        match self.position(told.id()) {
            Ok(at) => {
                let Some(slot) = self.sorted.get(at).and_then(|(_, slot)| self.slots.get_mut(*slot as usize))
                else {
                    return false;
                };
                self.alive = self.alive - usize::from(slot.class == Class::Alive) + alive;
                *slot = told;
            }
            Err(at) => {
                if self.slots.len() == MEMBERS_MAX {
                    return false;
                }
                let slot = self.slots.len() as u32;
                self.sorted.insert(at, (upper_half(told.id()), slot));
                self.slots.push(told);
                self.alive += alive;
                // SWIM, section 4.3: a new member is put in at random, so that its turn comes within two rounds.
                let turn = rng.usize(..=self.turns.len());
                self.turns.insert(turn, slot);
                if turn < self.next_turn {
                    self.next_turn += 1;
                }
            }
        }
        true
    }

    /// Forgets a node. Rare, and so slow: what is last takes the free slot.
    pub(super) fn remove(&mut self, id: NodeId) {
        let Ok(at) = self.position(id) else { return };
        let (_, slot) = self.sorted.remove(at);
        let last = self.slots.len() as u32 - 1;
        let told = self.slots.swap_remove(slot as usize);
        self.alive -= usize::from(told.class == Class::Alive);
        self.turns.retain(|turn| *turn != slot);
        self.next_turn = self.next_turn.min(self.turns.len());
        for moved in self.sorted.iter_mut().map(|(_, s)| s).chain(&mut self.turns).filter(|s| **s == last) {
            *moved = slot;
        }
    }

    /// Fills an empty table at once; of two of one id the last holds.
    pub(super) fn fill(&mut self, members: impl IntoIterator<Item = Arc<Told>>, rng: &mut fastrand::Rng) {
        let mut all: Vec<Arc<Told>> = self.slots.drain(..).chain(members).collect();
        all.sort_by_key(|told| told.id());
        all.reverse();
        all.dedup_by_key(|told| told.id());
        all.reverse();
        all.truncate(MEMBERS_MAX);
        self.sorted = (0..).zip(&all).map(|(slot, told)| (upper_half(told.id()), slot)).collect();
        self.turns = (0..all.len() as u32).collect();
        self.alive = all.iter().filter(|told| told.class == Class::Alive).count();
        all.shrink_to_fit();
        self.slots = all;
        rng.shuffle(&mut self.turns);
        self.next_turn = 0;
    }

    /// Whose turn it is among the living: everybody's once in a round, each round in another order.
    pub(super) fn next_turn(&mut self, rng: &mut fastrand::Rng) -> Option<Arc<Told>> {
        // At most the rest of this round and one more.
        for _ in 0..=self.turns.len() * 2 {
            if self.next_turn >= self.turns.len() {
                rng.shuffle(&mut self.turns);
                self.next_turn = 0;
            }
            let slot = *self.turns.get(self.next_turn)?;
            self.next_turn += 1;
            match self.slots.get(slot as usize) {
                Some(told) if told.class == Class::Alive => return Some(Arc::clone(told)),
                _ => {}
            }
        }
        None
    }

    /// Up to so many living members by lot, no two the same, without those that are not wanted.
    pub(super) fn some_alive(
        &self,
        rng: &mut fastrand::Rng,
        count: usize,
        wanted: impl Fn(&Told) -> bool,
    ) -> Vec<Arc<Told>> {
        let mut found: Vec<Arc<Told>> = Vec::with_capacity(count.min(self.alive));
        let fits = |told: &Told, found: &[Arc<Told>]| {
            told.class == Class::Alive && wanted(told) && found.iter().all(|other| other.id() != told.id())
        };
        if self.slots.is_empty() {
            return found;
        }
        for _ in 0..count * DRAWS {
            if found.len() == count {
                return found;
            }
            match self.slots.get(rng.usize(..self.slots.len())) {
                Some(told) if fits(told, &found) => found.push(Arc::clone(told)),
                _ => {}
            }
        }
        // Few are left to choose from: walk, from a random place on.
        let start = rng.usize(..self.slots.len());
        let (behind, before) = self.slots.split_at(start);
        for told in before.iter().chain(behind) {
            if found.len() == count {
                break;
            }
            if fits(told, &found) {
                found.push(Arc::clone(told));
            }
        }
        found
    }

    fn slot(&self, at: usize) -> Option<&Arc<Told>> {
        self.sorted.get(at).and_then(|(_, slot)| self.slots.get(*slot as usize))
    }

    fn position(&self, id: NodeId) -> Result<usize, usize> {
        let upper = upper_half(id);
        self.sorted.binary_search_by(|(half, slot)| {
            // The telling is looked at only where the halves are equal.
            half.cmp(&upper).then_with(|| self.slots.get(*slot as usize).map(|told| told.id()).cmp(&Some(id)))
        })
    }
}

fn upper_half(id: NodeId) -> u32 {
    (id.0 >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gossip::identity::{Generation, Incarnation};
    use crate::gossip::output::NodeInfo;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn told(id: u64, class: Class) -> Arc<Told> {
        let address = ([10, 0, 0, 1], 7953).into();
        let info = Arc::new(NodeInfo { id: NodeId(id), boot: 0, name: "a".into(), address });
        Arc::new(Told { info, incarnation: Incarnation::first(Generation(1)), class })
    }

    proptest! {
        /// The naive twin is a map.
        #[test]
        fn a_table_holds_what_a_map_would(
            steps in prop::collection::vec((0u64..12, 0u8..4), 0..80), seed: u64,
        ) {
            let mut rng = fastrand::Rng::with_seed(seed);
            let (mut table, mut twin) = (Table::default(), BTreeMap::new());
            for (id, step) in steps {
                // Ids that share their upper half, and ids that do not.
                let id = if id < 6 { id } else { id << 40 };
                match step {
                    0 => {
                        table.remove(NodeId(id));
                        twin.remove(&NodeId(id));
                    }
                    1 => {
                        let member = told(id, Class::Left);
                        table.fill([Arc::clone(&member)], &mut rng);
                        twin.insert(member.id(), member);
                    }
                    _ => {
                        let member = told(id, if step == 2 { Class::Alive } else { Class::Down });
                        prop_assert!(table.put(Arc::clone(&member), &mut rng));
                        twin.insert(member.id(), member);
                    }
                }
                prop_assert!(table.iter_after(None).eq(twin.values()));
                prop_assert!(table.iter_after(Some(NodeId(3))).eq(twin.range(NodeId(4)..).map(|(_, t)| t)));
                let alive: BTreeSet<_> =
                    twin.values().filter(|t| t.class == Class::Alive).map(|t| t.id()).collect();
                prop_assert_eq!(table.alive(), alive.len());
                let some: BTreeSet<_> =
                    table.some_alive(&mut rng, 20, |_| true).iter().map(|t| t.id()).collect();
                prop_assert_eq!(&some, &alive);
                let turns: BTreeSet<_> =
                    (0..alive.len() * 2).filter_map(|_| table.next_turn(&mut rng)).map(|t| t.id()).collect();
                prop_assert_eq!(&turns, &alive);
                let mut slots = table.turns.clone();
                slots.sort_unstable();
                prop_assert!(slots.into_iter().eq(0..table.len() as u32));
            }
        }
    }

    #[test]
    fn everybody_has_one_turn_in_a_round() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut table = Table::default();
        table.fill((0..100).map(|id| told(id, Class::Alive)), &mut rng);
        for _ in 0..3 {
            let round: BTreeSet<_> =
                (0..100).filter_map(|_| table.next_turn(&mut rng)).map(|t| t.id()).collect();
            assert_eq!(round.len(), 100);
        }
    }
}
