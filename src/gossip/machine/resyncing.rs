//! A comparison that somebody waits for: all that a member has and this node lacks comes over a stream, and its end is told.
//!
//! ```text
//! resync ─► a stream ─┬─ Done ─► Resynced: whole
//!             ▲       └─ it ended before ─► again, with another member if that was by lot ─► Resynced: not whole
//!             └── too many are open ◄─ waits
//! ```
//!
//! What the member lacks it finds out from the same stream, and asks for.

use super::Gossip;
use crate::base::time::Moment;
use crate::gossip::identity::NodeId;
use crate::gossip::membership::Class;
use crate::gossip::output::Event;
use crate::gossip::replication::delta::Delta;
use std::collections::BTreeSet;
use std::time::Duration;

/// Streams that are tried: each goes on where the one before it ended.
const TRIES_MAX: u8 = 3;
/// How long after one that ended the next is tried, or after there was no room for one.
const AGAIN: Duration = Duration::from_millis(500);
/// How long all of it may take: some gigabytes, or a member that is not reached.
pub const RESYNC_MAX: Duration = Duration::from_secs(300);

pub(super) struct Resyncing {
    with: NodeId,
    by_lot: bool,
    begun: Moment,
    tries: u8,
    /// When the next stream is opened; `None`: one is open.
    next: Option<Moment>,
    owners: BTreeSet<NodeId>,
    changes: u64,
    /// Cluster-wide records that came, before this began.
    cluster_before: u64,
}

impl Resyncing {
    pub(super) fn next(&self) -> Moment {
        (self.begun + RESYNC_MAX).min(self.next.unwrap_or(Moment::NEVER))
    }
}

impl Gossip {
    /// Fetches all that this node lacks from that member, or from one by lot; [`Event::Resynced`] tells what came of it.
    /// False: there is no member that lives, or one is under way.
    pub fn resync(&mut self, now: Moment, with: Option<NodeId>) -> bool {
        if self.is_resyncing() {
            return false;
        }
        let node = with.or_else(|| self.membership.some_alive(1, |_| true).first().map(|told| told.id()));
        let Some(node) = node else { return false };
        self.resyncing = Some(Resyncing {
            with: node,
            by_lot: with.is_none(),
            begun: now,
            tries: TRIES_MAX,
            next: Some(now),
            owners: BTreeSet::new(),
            changes: 0,
            cluster_before: self.replication.counts().cluster_taken,
        });
        self.settle(now);
        true
    }

    /// True while one is under way.
    pub fn is_resyncing(&self) -> bool {
        self.resyncing.is_some()
    }

    /// Looks how it stands, and goes on.
    pub(super) fn resync_if_due(&mut self, now: Moment) {
        let Some(mut resyncing) = self.resyncing.take() else { return };
        if resyncing.begun + RESYNC_MAX <= now {
            return self.tell_resynced(now, resyncing, false);
        }
        if resyncing.next.is_none() && !self.is_fetching_from(resyncing.with) {
            // It ended, and not everything was said.
            if resyncing.tries == 0 {
                return self.tell_resynced(now, resyncing, false);
            }
            resyncing.next = Some(now + AGAIN);
        }
        if resyncing.next.is_some_and(|next| next <= now) {
            let lives = |gossip: &Gossip, id| {
                gossip.membership.get(id).is_some_and(|member| member.told.class == Class::Alive)
            };
            if resyncing.by_lot && (resyncing.tries < TRIES_MAX || !lives(self, resyncing.with)) {
                let other = self.membership.some_alive(1, |told| told.id() != resyncing.with);
                resyncing.with = other.first().map_or(resyncing.with, |told| told.id());
            }
            if !lives(self, resyncing.with) {
                return self.tell_resynced(now, resyncing, false);
            }
            // One that was opened for another reason brings the same.
            if self.is_fetching_from(resyncing.with) || self.fetch(now, resyncing.with) {
                resyncing.next = None;
                resyncing.tries -= 1;
            } else {
                resyncing.next = Some(now + AGAIN);
            }
        }
        self.resyncing = Some(resyncing);
    }

    /// A member has told everything that it has.
    pub(super) fn resynced(&mut self, now: Moment, by: NodeId) {
        if let Some(resyncing) = self.resyncing.take_if(|resyncing| resyncing.with == by) {
            self.tell_resynced(now, resyncing, true);
        }
    }

    fn tell_resynced(&mut self, now: Moment, resyncing: Resyncing, is_whole: bool) {
        let cluster = self.replication.counts().cluster_taken - resyncing.cluster_before;
        self.tell(Event::Resynced {
            with: resyncing.with,
            is_whole,
            owners: resyncing.owners.len(),
            changes: resyncing.changes + cluster,
            took: now.since(resyncing.begun),
        });
    }

    /// The owner of a piece of a log on a stream from that member, and how far its log goes, if somebody wants to know.
    pub(super) fn before_piece(&self, from: NodeId, body: &[u8]) -> Option<(NodeId, u64)> {
        self.resyncing.as_ref().filter(|resyncing| resyncing.with == from)?;
        let owner = Delta::parse(body).ok()?.head.owner;
        Some((owner, self.replication.owners().have(owner).head.0))
    }

    /// The piece was taken.
    pub(super) fn after_piece(&mut self, (owner, before): (NodeId, u64)) {
        let head = self.replication.owners().have(owner).head.0;
        if let Some(resyncing) = &mut self.resyncing
            && head != before
        {
            resyncing.owners.insert(owner);
            // Another life begins anew.
            resyncing.changes += head.checked_sub(before).unwrap_or(head);
        }
    }
}
