//! What others have and this node lacks: whom it asks, when, and when it asks again.

use crate::base::time::Moment;
use crate::gossip::identity::NodeId;
use crate::gossip::replication::owners::Reach;
use std::collections::BTreeMap;
use std::time::Duration;

/// A push is likely under way: this long it is waited for.
pub const PATIENCE: Duration = Duration::from_millis(10);
/// After this an answer is no longer expected; doubled with each try after the first [`TRIES_QUICK`].
const RETRY: Duration = Duration::from_millis(40);
/// Where one datagram in five is lost, so is more than every third pull with its answer: waiting longer would help
/// nobody.
const TRIES_QUICK: u8 = 4;
/// The longest time between tries.
const RETRY_MAX: Duration = Duration::from_secs(1);
/// Tries after which the owner is left to the next comparison.
const TRIES_MAX: u8 = 8;
/// Members remembered that have what is wanted.
const SOURCES_MAX: usize = 3;
/// Pulls at once: as many as there may be owners.
const PULLS_MAX: usize = 1 << 16;

/// Pulls fall due at whole milliseconds: so those of one moment share a wake-up and their datagrams.
const DUE_GRAIN_US: u64 = 1_000;

struct Pull {
    wanted: Reach,
    sources: [Option<NodeId>; SOURCES_MAX],
    due: Moment,
    tries: u8,
}

/// The pulls under way.
#[derive(Default)]
pub struct Pulls {
    pulls: BTreeMap<NodeId, Pull>,
    /// No later than the earliest that is due.
    next: Option<Moment>,
}

impl Pulls {
    /// How many.
    pub fn len(&self) -> usize {
        self.pulls.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.pulls.is_empty()
    }

    /// `source` has more of `owner` than this node: it will be asked after `patience`.
    pub fn want(&mut self, now: Moment, owner: NodeId, wanted: Reach, source: NodeId, patience: Duration) {
        if self.pulls.len() >= PULLS_MAX && !self.pulls.contains_key(&owner) {
            return;
        }
        let due = rounded(now + patience);
        let pull =
            self.pulls.entry(owner).or_insert(Pull { wanted, sources: [None; SOURCES_MAX], due, tries: 0 });
        if wanted > pull.wanted {
            // Whoever told of less may not have it.
            pull.wanted = wanted;
            pull.sources = [None; SOURCES_MAX];
        }
        if wanted == pull.wanted && !pull.sources.contains(&Some(source)) {
            match pull.sources.iter_mut().find(|known| known.is_none()) {
                Some(free) => *free = Some(source),
                None => pull.sources[usize::from(pull.tries) % SOURCES_MAX] = Some(source),
            }
        }
        if pull.tries == 0 {
            pull.due = pull.due.min(due);
        }
        self.next = Some(self.next.map_or(pull.due, |next| next.min(pull.due)));
    }

    /// This node has so much of `owner` now.
    pub fn have(&mut self, owner: NodeId, reach: Reach) {
        if self.pulls.get(&owner).is_some_and(|pull| pull.wanted <= reach) {
            self.pulls.remove(&owner);
        }
    }

    /// An owner is forgotten.
    pub fn forget(&mut self, owner: NodeId) {
        self.pulls.remove(&owner);
    }

    /// When something is due.
    pub fn next(&self) -> Moment {
        self.next.unwrap_or(Moment::NEVER)
    }

    /// Whom to ask for what now.
    pub fn due(&mut self, now: Moment) -> BTreeMap<NodeId, Vec<NodeId>> {
        let mut asked: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
        if self.next() > now {
            return asked;
        }
        let mut next = Moment::NEVER;
        self.pulls.retain(|owner, pull| {
            if pull.due <= now {
                let known = pull.sources.iter().flatten().count();
                let source = pull.sources.get(usize::from(pull.tries) % known.max(1)).copied().flatten();
                match source {
                    Some(source) if pull.tries < TRIES_MAX => asked.entry(source).or_default().push(*owner),
                    _ => return false,
                }
                pull.tries += 1;
                let doublings = pull.tries.saturating_sub(TRIES_QUICK).min(6);
                pull.due = rounded(now + (RETRY * (1 << doublings)).min(RETRY_MAX));
            }
            next = next.min(pull.due);
            true
        });
        self.next = (!self.pulls.is_empty()).then_some(next);
        asked
    }

    /// `source` is to be asked over a stream instead: drops what it would have been asked for.
    pub fn drop_source(&mut self, source: NodeId) {
        self.pulls.retain(|_, pull| !pull.sources.contains(&Some(source)));
    }
}

/// The next moment at which pulls fall due.
fn rounded(at: Moment) -> Moment {
    Moment::from_micros(at.as_micros().div_ceil(DUE_GRAIN_US).saturating_mul(DUE_GRAIN_US))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gossip::identity::{Generation, Version};

    fn at(ms: u64) -> Moment {
        Moment::from_micros(ms * 1000)
    }

    fn reach(head: u64) -> Reach {
        Reach { generation: Generation(1), head: Version(head) }
    }

    #[test]
    fn who_answers_in_time_is_asked_once_and_others_after_that() {
        let (owner, one, two) = (NodeId(1), NodeId(2), NodeId(3));
        let mut pulls = Pulls::default();
        pulls.want(at(0), owner, reach(5), one, PATIENCE);
        pulls.want(at(2), owner, reach(5), two, PATIENCE);
        assert_eq!(pulls.next(), at(10));
        assert!(pulls.due(at(9)).is_empty());
        assert_eq!(pulls.due(at(10)), BTreeMap::from([(one, vec![owner])]));
        assert_eq!(pulls.next(), at(50));
        assert_eq!(pulls.due(at(50)), BTreeMap::from([(two, vec![owner])]));
        pulls.have(owner, reach(4));
        assert_eq!(pulls.len(), 1);
        pulls.have(owner, reach(5));
        assert!(pulls.is_empty());
    }

    #[test]
    fn what_is_lacking_at_almost_one_moment_is_asked_for_at_once() {
        let mut pulls = Pulls::default();
        for owner in 0..40u64 {
            pulls.want(
                Moment::from_micros(5_001 + 20 * owner),
                NodeId(owner),
                reach(1),
                NodeId(99),
                Duration::ZERO,
            );
        }
        assert_eq!(pulls.next(), at(6));
        assert_eq!(pulls.due(at(6)).get(&NodeId(99)).map(Vec::len), Some(40));
    }

    #[test]
    fn nobody_is_asked_for_ever() {
        let mut pulls = Pulls::default();
        pulls.want(at(0), NodeId(1), reach(1), NodeId(2), Duration::ZERO);
        let mut asked = 0;
        for ms in 0..20_000 {
            asked += pulls.due(at(ms)).len();
        }
        assert_eq!(asked, usize::from(TRIES_MAX));
        assert!(pulls.is_empty());
    }

    #[test]
    fn a_push_that_comes_in_time_saves_the_pull() {
        let mut pulls = Pulls::default();
        pulls.want(at(0), NodeId(1), reach(1), NodeId(2), PATIENCE);
        pulls.have(NodeId(1), reach(1));
        assert!(pulls.due(at(100)).is_empty());
    }
}
