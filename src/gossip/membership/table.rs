//! Who is known: the greatest telling of each node but ourselves, and whose turn it is to be probed.
//!
//! Ten thousand machines of a simulation hold ten thousand members each, so a member takes 20 octets here: what is
//! told of it is shared, and the sorted index keeps the upper half of its id so that a search touches few tellings.
//!
//! Invariant: `sorted` holds each slot once, by rising id; `turns` holds each slot once, in any order; `alive`
//! counts the slots whose class is alive; `digests` is over all slots but those of the nodes in `fading`, which
//! are all in slots.

use crate::gossip::identity::NodeId;
use crate::gossip::membership::settings::MEMBERS_MAX;
use crate::gossip::membership::told::{Class, Told};
use crate::gossip::replication::owners::{BUCKETS, bucket_of};
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<Arc<Told>>,
    sorted: Vec<(u32, u32)>,
    turns: Vec<u32>,
    next_turn: usize,
    alive: usize,
    digests: Box<[u64; BUCKETS]>,
    fading: BTreeSet<NodeId>,
}

impl Default for Table {
    fn default() -> Table {
        Table {
            slots: Vec::new(),
            sorted: Vec::new(),
            turns: Vec::new(),
            next_turn: 0,
            alive: 0,
            digests: Box::new([0; BUCKETS]),
            fading: BTreeSet::new(),
        }
    }
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

    /// The exclusive-or of the digests of all tellings in each part, without those that fade.
    pub(super) fn digests(&self) -> &[u64; BUCKETS] {
        &self.digests
    }

    /// That node is forgotten soon: tables are compared without it.
    pub(super) fn fade(&mut self, id: NodeId) {
        if let Some(told) = self.get(id).map(Arc::clone)
            && self.fading.insert(id)
        {
            toggle(&mut self.digests, &told);
        }
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
                if !self.fading.remove(&told.id()) {
                    toggle(&mut self.digests, slot);
                }
                toggle(&mut self.digests, &told);
                *slot = told;
            }
            Err(at) => {
                if self.slots.len() == MEMBERS_MAX {
                    return false;
                }
                let slot = self.slots.len() as u32;
                self.sorted.insert(at, (upper_half(told.id()), slot));
                toggle(&mut self.digests, &told);
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

    /// Forgets these nodes; what was told of them. One walk over all, however many they are.
    pub(super) fn remove(&mut self, ids: &BTreeSet<NodeId>) -> Vec<Arc<Told>> {
        let mut removed = Vec::with_capacity(ids.len());
        let mut kept = 0;
        // Where each slot goes; `None`: it is gone.
        let places: Vec<Option<u32>> = (self.slots.iter())
            .map(|told| {
                let place = (!ids.contains(&told.id())).then_some(kept);
                kept += u32::from(place.is_some());
                place
            })
            .collect();
        let place = |slot: u32| places.get(slot as usize).copied().flatten();
        for told in self.slots.extract_if(.., |told| ids.contains(&told.id())) {
            self.alive -= usize::from(told.class == Class::Alive);
            if !self.fading.remove(&told.id()) {
                toggle(&mut self.digests, &told);
            }
            removed.push(told);
        }
        self.sorted.retain_mut(|(_, slot)| place(*slot).map(|new| *slot = new).is_some());
        let had = self.turns.iter().take(self.next_turn);
        self.next_turn = had.filter(|slot| place(**slot).is_some()).count();
        self.turns.retain_mut(|slot| place(*slot).map(|new| *slot = new).is_some());
        removed
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
        self.digests.fill(0);
        self.fading.clear();
        all.iter().for_each(|told| toggle(&mut self.digests, told));
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

/// Puts a telling into the digests, or takes it out.
fn toggle(digests: &mut [u64; BUCKETS], told: &Told) {
    if let Some(bucket) = digests.get_mut(bucket_of(told.id())) {
        *bucket ^= told.digest();
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
            steps in prop::collection::vec((0u64..12, 0u8..6), 0..80), seed: u64,
        ) {
            let mut rng = fastrand::Rng::with_seed(seed);
            let (mut table, mut twin) = (Table::default(), BTreeMap::new());
            let mut fading = BTreeSet::new();
            for (id, step) in steps {
                // Ids that share their upper half, and ids that do not.
                let id = if id < 6 { id } else { id << 55 };
                match step {
                    0 => {
                        let ids = BTreeSet::from([NodeId(id), NodeId(id / 2)]);
                        let mut removed = table.remove(&ids);
                        removed.sort_by_key(|told| told.id());
                        let known = ids.iter().filter_map(|id| twin.remove(id));
                        prop_assert_eq!(removed, known.collect::<Vec<_>>());
                        fading.retain(|id| !ids.contains(id));
                    }
                    1 => {
                        let member = told(id, Class::Left);
                        table.fill([Arc::clone(&member)], &mut rng);
                        twin.insert(member.id(), member);
                        fading.clear();
                    }
                    2 => {
                        table.fade(NodeId(id));
                        fading.extend(twin.get(&NodeId(id)).map(|told| told.id()));
                    }
                    _ => {
                        let member = told(id, if step == 3 { Class::Alive } else { Class::Down });
                        prop_assert!(table.put(Arc::clone(&member), &mut rng));
                        fading.remove(&member.id());
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
                let mut digests = [0; BUCKETS];
                for told in twin.values().filter(|told| !fading.contains(&told.id())) {
                    digests[bucket_of(told.id())] ^= told.digest();
                }
                prop_assert_eq!(table.digests(), &digests);
                prop_assert!(table.next_turn <= table.turns.len());
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
