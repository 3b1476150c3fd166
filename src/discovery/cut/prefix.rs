//! What an owner has said, up to where a copy has taken it, and what came since: so that the copy can stop at a version
//! though more is known.
//!
//! A log has each key's newest change only, so what came in one piece may lack what was changed again within it. A version
//! can be stopped at if the log ended there once, or if from such a version on to it no number is missing: then nothing
//! was changed again on the way.

use crate::discovery::cut::entry::Place;
use std::collections::{BTreeMap, VecDeque};

/// Changes that wait for a cut, of one owner. Beyond it those that were changed again are let go, and with them the versions
/// between. Cuts come every second where changes do, so this is hundreds of changes a second of one node.
const WAITING_MAX: usize = 1_024;
/// Lives that are known: the one that is told of, one that came since, and one on the way.
const LIVES_MAX: usize = 3;

/// What an owner says under a key, or nothing any more.
pub type Change = (Box<[u8]>, Option<Box<[u8]>>);

/// News of an owner's log.
#[derive(Debug, Clone)]
pub struct Heard {
    /// How far it goes now.
    pub place: Place,
    /// It is what the owner had said there: no change is missing that was changed again since.
    pub is_exact: bool,
    /// The version behind which these changes follow; `None`: they are all that the owner says.
    pub since: Option<u64>,
    /// By rising version.
    pub changes: Vec<(u64, Change)>,
}

/// What leads from one place to another.
#[derive(Debug, PartialEq, Eq)]
pub struct Advance {
    /// What was said before is forgotten.
    pub is_anew: bool,
    /// In their order; a key may come more than once.
    pub changes: Vec<Change>,
}

/// Invariant: `changes` have rising versions, all above `from`; `marks` rise, and at each of them what was said can be told
/// from `changes` alone.
#[derive(Debug)]
struct Life {
    generation: u32,
    /// Nothing of it has been taken.
    is_anew: bool,
    /// Where `changes` begin: what was said up to here has been taken.
    from: u64,
    head: u64,
    changes: VecDeque<(u64, Change)>,
    marks: VecDeque<u64>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Prefix {
    /// The oldest first.
    lives: VecDeque<Life>,
}

impl Life {
    fn new(generation: u32) -> Life {
        // Before its first version an owner had said nothing.
        let marks = VecDeque::from([0]);
        Life { generation, is_anew: true, from: 0, head: 0, changes: VecDeque::new(), marks }
    }

    fn hear(&mut self, heard: Heard) {
        let have = self.head;
        self.changes.extend(heard.changes.into_iter().filter(|(version, _)| *version > have));
        self.head = self.head.max(heard.place.head);
        if heard.is_exact && self.marks.back() != Some(&self.head) {
            self.marks.push_back(self.head);
        }
        if self.changes.len() > WAITING_MAX {
            self.thin_out();
        }
    }

    /// Keeps of each key the newest change up to the last mark, and no mark but that.
    fn thin_out(&mut self) {
        let Some(&last) = self.marks.back() else { return };
        let mut newest = BTreeMap::new();
        let behind = self.changes.partition_point(|(version, _)| *version <= last);
        for (version, (key, value)) in self.changes.drain(..behind) {
            newest.insert(key, (version, value));
        }
        let mut kept: Vec<(u64, Change)> =
            newest.into_iter().map(|(key, (version, value))| (version, (key, value))).collect();
        kept.sort_unstable_by_key(|(version, _)| *version);
        for change in kept.into_iter().rev() {
            self.changes.push_front(change);
        }
        self.marks = VecDeque::from([last]);
    }

    /// True if it can be stopped at that version.
    fn reaches(&self, version: u64) -> bool {
        if version < self.from || version > self.head {
            return false;
        }
        let Some(mark) = self.marks.iter().rev().find(|mark| **mark <= version) else { return false };
        let count = |until: u64| self.changes.partition_point(|(version, _)| *version <= until) as u64;
        count(version) - count(*mark) == version - mark
    }

    fn advance(&mut self, version: u64) -> Advance {
        let behind = self.changes.partition_point(|(known, _)| *known <= version);
        let changes = self.changes.drain(..behind).map(|(_, change)| change).collect();
        self.marks.retain(|mark| *mark > version);
        self.marks.push_front(version);
        self.from = version;
        Advance { is_anew: std::mem::replace(&mut self.is_anew, false), changes }
    }
}

impl Prefix {
    /// The owner's log has changed. False if something is missing between what is known and this: then all of the log is to
    /// be told.
    #[must_use]
    pub fn hear(&mut self, heard: Heard) -> bool {
        match heard.since {
            None => {
                let mut life = Life::new(heard.place.generation);
                life.hear(heard);
                self.lives.push_back(life);
                if self.lives.len() > LIVES_MAX {
                    self.lives.pop_front();
                }
                true
            }
            Some(since) => match self.lives.back_mut() {
                Some(life) if life.generation == heard.place.generation && life.head >= since => {
                    life.hear(heard);
                    true
                }
                Some(_) | None => false,
            },
        }
    }

    /// The last place that can be stopped at.
    pub fn latest(&self) -> Option<Place> {
        let life = self.lives.iter().rev().find(|life| life.marks.back().is_some_and(|mark| *mark > 0))?;
        Some(Place { generation: life.generation, head: *life.marks.back()? })
    }

    fn life(&self, to: Place) -> Option<usize> {
        let is_it = |life: &Life| life.generation == to.generation && life.reaches(to.head);
        self.lives.iter().rposition(is_it)
    }

    /// True if [`Prefix::advance`] leads there.
    pub fn reaches(&self, to: Place) -> bool {
        self.life(to).is_some()
    }

    /// Takes what leads to a place, if it can be stopped there.
    pub fn advance(&mut self, to: Place) -> Option<Advance> {
        let at = self.life(to)?;
        self.lives.drain(..at);
        self.lives.front_mut().map(|life| life.advance(to.head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn heard(since: Option<u64>, head: u64, versions: &[(u64, u8)]) -> Heard {
        let change = |(version, key): &(u64, u8)| (*version, (Box::from([*key]), Some(Box::from([*key]))));
        let changes = versions.iter().map(change).collect();
        Heard { place: Place { generation: 1, head }, is_exact: true, since, changes }
    }

    fn at(head: u64) -> Place {
        Place { generation: 1, head }
    }

    #[test]
    fn between_two_ends_of_the_log_it_stops_where_nothing_is_missing() {
        let mut prefix = Prefix::default();
        assert!(!prefix.hear(heard(Some(3), 4, &[(4, 1)])), "what was before is not known");
        // Version 2 was changed again by 5.
        assert!(prefix.hear(heard(None, 3, &[(1, 1), (2, 2), (3, 3)])));
        assert!(prefix.hear(heard(Some(3), 7, &[(4, 4), (6, 2), (7, 5)])));
        let reached: Vec<u64> = (0..9).filter(|head| prefix.reaches(at(*head))).collect();
        assert_eq!((reached, prefix.latest()), (vec![0, 1, 2, 3, 4, 7], Some(at(7))));
        let advance = prefix.advance(at(4)).unwrap();
        assert_eq!((advance.is_anew, advance.changes.len()), (true, 4));
        assert!(prefix.advance(at(3)).is_none(), "there is no way back");
        let advance = prefix.advance(at(7)).unwrap();
        assert_eq!((advance.is_anew, advance.changes.len()), (false, 2));
        assert_eq!(prefix.advance(at(7)).unwrap().changes, []);
    }

    #[test]
    fn a_log_that_comes_whole_with_gaps_is_known_before_them_and_at_its_end() {
        let mut prefix = Prefix::default();
        assert!(prefix.hear(heard(None, 5, &[(1, 1), (2, 2), (5, 3)])));
        let reached: Vec<u64> = (0..7).filter(|head| prefix.reaches(at(*head))).collect();
        assert_eq!(reached, [0, 1, 2, 5]);
        // A piece of a log is known nowhere until the rest of the cut has come.
        let mut prefix = Prefix::default();
        assert!(prefix.hear(Heard { is_exact: false, ..heard(None, 4, &[(2, 1), (4, 2)]) }));
        assert_eq!(prefix.latest(), None);
        assert!(prefix.hear(heard(Some(4), 6, &[(5, 3), (6, 2)])));
        assert_eq!((prefix.latest(), prefix.reaches(at(5))), (Some(at(6)), false));
    }

    #[test]
    fn many_changes_that_nobody_cuts_do_not_pile_up() {
        let mut prefix = Prefix::default();
        assert!(prefix.hear(heard(None, 1, &[(1, 1)])));
        for version in 2..10_000 {
            assert!(prefix.hear(heard(Some(version - 1), version, &[(version, version as u8 % 7)])));
            assert!(prefix.lives[0].changes.len() <= WAITING_MAX);
        }
        assert!(prefix.reaches(at(9_999)) && !prefix.reaches(at(2)));
        assert_eq!(prefix.latest(), Some(at(9_999)));
    }

    proptest! {
        /// However the log comes, wherever the copy stops it has what the owner had said there.
        #[test]
        fn wherever_it_stops_it_has_what_was_said_there(
            keys in prop::collection::vec(0u8..6, 1..60),
            pieces in prop::collection::vec(1usize..9, 1..20),
            stops in prop::collection::vec(any::<prop::sample::Index>(), 1..9),
        ) {
            let state = |upto: usize| -> BTreeMap<u8, u64> {
                keys[..upto].iter().zip(1..).map(|(key, version)| (*key, version)).collect()
            };
            let mut prefix = Prefix::default();
            let (mut from, mut is_first) = (0, true);
            for len in pieces {
                let to = (from + len).min(keys.len());
                let newest = state(to);
                let mut changes: Vec<(u64, u8)> =
                    newest.iter().map(|(key, version)| (*version, *key)).collect();
                changes.retain(|(version, _)| *version > from as u64);
                changes.sort_unstable();
                let mut news = heard((!is_first).then_some(from as u64), to as u64, &changes);
                for (version, change) in &mut news.changes {
                    change.1 = Some(version.to_be_bytes().into());
                }
                prop_assert!(prefix.hear(news));
                (from, is_first) = (to, false);
            }
            let mut copy: BTreeMap<u8, u64> = BTreeMap::new();
            let mut stops: Vec<usize> = stops.iter().map(|stop| stop.index(from + 1)).collect();
            stops.sort_unstable();
            for stop in stops.into_iter().chain([from]) {
                let Some(advance) = prefix.advance(at(stop as u64)) else { continue };
                for (key, value) in advance.changes {
                    copy.insert(key[0], u64::from_be_bytes(value.unwrap()[..].try_into().unwrap()));
                }
                prop_assert_eq!(&copy, &state(stop));
            }
            prop_assert_eq!(copy, state(from));
        }
    }
}
