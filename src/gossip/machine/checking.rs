//! Copies of equal head must be of equal content. Comparing heads cannot see where they are not (a disk that was
//! cloned while nobody looked, a fault of ours), so now and then two nodes whose heads are all the same compare
//! contents, too. The owner's own words hold: whoever has others takes them anew.
//!
//! ```text
//! A ── AskStates, round 0 ──► B       A's heads are B's
//! A ◄─ States, round 0 ────── B       of the parts whose contents differ; none: all is well
//! A ── AskStates, round 0 ──► owner   of what differs, unless that is B, whose States say it already
//! A ── States, round 0 ─────► B       if A itself is the owner
//! ```

use super::Gossip;
use super::asking_heads::{OwnerState, Part};
use crate::base::time::Moment;
use crate::gossip::identity::NodeId;
use crate::gossip::replication::owners::bucket_of;
use std::collections::BTreeSet;
use std::time::Duration;

/// How often a node compares contents: a kilobyte each time, which is four octets in a second.
pub const CHECK_EVERY: Duration = Duration::from_secs(300);
/// The round of those states that nobody waits for. Who asks for people draws another.
pub(super) const CHECK: u32 = 0;
/// Owners that are asked after one check. If more differ, the next checks find them.
const OWNERS_ASKED_MAX: usize = 8;

pub(super) struct Checking {
    from: Moment,
}

impl Checking {
    pub(super) fn new(now: Moment) -> Checking {
        Checking { from: now + CHECK_EVERY }
    }
}

impl Gossip {
    /// All heads are the same as that member's: now and then contents are compared, too.
    pub(super) fn heads_are_equal(&mut self, now: Moment, with: NodeId) {
        if self.checking.from <= now {
            self.checking.from = now + CHECK_EVERY;
            self.ask_for_states(now, &[with], CHECK);
        }
    }

    /// What a member has of the owners in those parts in which its contents differ from this node's.
    pub(super) fn check_contents(&mut self, now: Moment, from: NodeId, part: &Part) {
        let (mut ask, mut tell) = (BTreeSet::new(), BTreeSet::new());
        for theirs in part.iter().flat_map(|(_, states)| states) {
            let id = theirs.owner();
            let Some(owner) = self.replication.owners().get(id) else { continue };
            if !OwnerState::new(owner).contradicts(theirs) {
                continue;
            }
            self.replication.count_mismatch();
            if id == self.me.id {
                tell.insert(bucket_of(id));
            } else if id == from {
                self.replication.doubt(now, id);
            } else {
                ask.insert(id);
            }
        }
        let ask: Vec<NodeId> = ask.into_iter().take(OWNERS_ASKED_MAX).collect();
        if !ask.is_empty() {
            self.ask_for_states(now, &ask, CHECK);
        }
        if !tell.is_empty() {
            self.send_states(now, from, CHECK, tell);
        }
    }
}
