//! Since when what the cluster says has been known here, for whoever asks why; by this process's own clock, so that nobody's
//! clock is believed.
//!
//! What is known of an owner is how far its log went at which moments: so a record is as old here as the first of them that had
//! its change. Of cluster-wide sets the latest changes are remembered, each by a hash of its key.

use crate::base::time::Moment;
use crate::gossip::identity::{Generation, NodeId, Version};
use crate::zone::view::number64;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Moments remembered of one owner: beyond them every second of the older ones goes, and ages may be told too short.
const MARKS_MAX: usize = 64;
/// Changes of cluster-wide sets that are remembered: a mebibyte.
const SETS_MAX: usize = 65_536;

/// How far an owner's log went when.
struct Marks {
    generation: Generation,
    /// By rising version, and so by time.
    marks: Vec<(Version, Moment)>,
}

/// See the module's own text.
#[derive(Default)]
pub(super) struct Since {
    owners: BTreeMap<NodeId, Marks>,
    /// The oldest first.
    sets: VecDeque<(u64, Moment)>,
}

impl Since {
    /// An owner's log goes so far now.
    pub(super) fn owner(&mut self, now: Moment, owner: NodeId, (generation, head): (Generation, Version)) {
        let known = self.owners.entry(owner).or_insert(Marks { generation, marks: Vec::new() });
        if known.generation != generation {
            *known = Marks { generation, marks: Vec::new() };
        }
        // What was taken anew from elsewhere ends earlier.
        known.marks.retain(|(version, _)| *version <= head);
        if known.marks.last().is_some_and(|(version, _)| *version == head) {
            return;
        }
        if known.marks.len() == MARKS_MAX {
            let mut number = 0;
            known.marks.retain(|_| {
                number += 1;
                number % 2 == 0
            });
        }
        known.marks.push((head, now));
    }

    /// An owner is forgotten.
    pub(super) fn forget(&mut self, owner: NodeId) {
        self.owners.remove(&owner);
    }

    /// A cluster-wide set changed.
    pub(super) fn set(&mut self, now: Moment, key: &[u8]) {
        if self.sets.len() == SETS_MAX {
            self.sets.pop_front();
        }
        self.sets.push_back((number64(key), now));
    }

    /// For how long that change of an owner has been known, at least.
    pub(super) fn age_of_change(
        &self,
        now: Moment,
        owner: NodeId,
        (generation, version): (Generation, Version),
    ) -> Option<Duration> {
        let known = self.owners.get(&owner).filter(|known| known.generation == generation)?;
        let first = known.marks.iter().find(|(head, _)| *head >= version)?;
        Some(now.since(first.1))
    }

    /// For how long a cluster-wide set has been what it is; `None`: longer than is remembered.
    pub(super) fn age_of_set(&self, now: Moment, key: &[u8]) -> Option<Duration> {
        let hash = number64(key);
        let last = self.sets.iter().rev().find(|(other, _)| *other == hash)?;
        Some(now.since(last.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: NodeId = NodeId(1);

    fn at(seconds: u64) -> Moment {
        Moment::START + Duration::from_secs(seconds)
    }

    fn age(since: &Since, generation: u32, version: u64) -> Option<u64> {
        let change = (Generation(generation), Version(version));
        since.age_of_change(at(1_000), OWNER, change).map(|age| age.as_secs())
    }

    #[test]
    fn a_change_is_as_old_as_the_first_head_that_had_it() {
        let mut since = Since::default();
        for (seconds, head) in [(10, 2), (20, 5), (30, 5), (40, 6)] {
            since.owner(at(seconds), OWNER, (Generation(1), Version(head)));
        }
        let ages: Vec<_> = (1..=7).map(|version| age(&since, 1, version)).collect();
        assert_eq!(ages, [Some(990), Some(990), Some(980), Some(980), Some(980), Some(960), None]);
        assert_eq!(age(&since, 2, 1), None, "another life");
        since.owner(at(50), OWNER, (Generation(2), Version(1)));
        assert_eq!((age(&since, 1, 1), age(&since, 2, 1)), (None, Some(950)));
        since.forget(OWNER);
        assert_eq!(age(&since, 2, 1), None);
    }

    #[test]
    fn of_an_owner_that_changes_all_the_time_ages_are_never_told_too_long() {
        let mut since = Since::default();
        (1..=900).for_each(|n| since.owner(at(n), OWNER, (Generation(1), Version(n))));
        assert!(since.owners[&OWNER].marks.len() <= MARKS_MAX);
        for version in 1..=900 {
            let age = age(&since, 1, version).unwrap();
            assert!(age <= 1_000 - version, "{version}: {age}");
        }
        assert_eq!(age(&since, 1, 900), Some(100));
    }

    #[test]
    fn a_set_is_as_old_as_its_last_change_and_not_all_are_remembered() {
        let mut since = Since::default();
        let age = |since: &Since, key: &[u8]| since.age_of_set(at(1_000), key).map(|age| age.as_secs());
        since.set(at(1), b"a");
        since.set(at(2), b"b");
        since.set(at(3), b"a");
        assert_eq!([age(&since, b"a"), age(&since, b"b"), age(&since, b"c")], [Some(997), Some(998), None]);
        (0..SETS_MAX - 1).for_each(|number| since.set(at(4), &number.to_be_bytes()));
        assert_eq!([age(&since, b"a"), age(&since, b"b")], [Some(997), None]);
    }
}
