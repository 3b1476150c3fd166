//! The members that this node pushes to: some of all, changed slowly.
//!
//! Pushing to members by lot out of ten thousand would make the kernel look up, and forget, the hardware address
//! of each: its table of neighbours holds about a thousand. What is pushed spreads as well over a random graph of
//! this degree.

use crate::base::time::Moment;
use crate::gossip::identity::NodeId;
use crate::gossip::membership::{Class, Membership};
use std::net::SocketAddr;
use std::time::Duration;

/// Members in a view. How many views a node is in varies as chance will have it: with 96, the one that is in the
/// fewest out of a thousand is in 66, and hears two thirds of the usual; with 48 it would be 26, and half.
const VIEW_MEMBERS: usize = 96;
/// Members replaced at a time.
const ROTATED: usize = 4;
/// Time between replacements: a view is new after four minutes.
const ROTATE_EVERY: Duration = Duration::from_secs(10);
/// So long after the first of several members that come back they are given their share of the view: without that,
/// what is new in one half of a cluster that was cut in two would stay there until the next replacement.
const GATHER: Duration = Duration::from_millis(200);
/// Members replaced at a time when many came back.
const ROTATED_MAX: usize = VIEW_MEMBERS / 2;

/// Some members.
#[derive(Default)]
pub(super) struct View {
    members: Vec<(NodeId, SocketAddr)>,
    rotate_at: Moment,
    /// Those that were taken in since somebody last looked.
    new: Vec<NodeId>,
    /// Members that came back since the last replacement.
    back: usize,
}

impl View {
    /// Members came that may be wanted.
    pub(super) fn changed(&mut self) {
        if self.members.len() < VIEW_MEMBERS {
            self.rotate_at = Moment::START;
        }
    }

    /// A member is back that was lost: it may belong to many.
    pub(super) fn came_back(&mut self, now: Moment) {
        self.back += 1;
        self.rotate_at = self.rotate_at.min(now + GATHER);
        self.changed();
    }

    /// The view is made anew at that moment.
    pub(super) fn refresh_at(&mut self, now: Moment) {
        self.rotate_at = now;
    }

    /// That one is reached at another address from now on: what is sent to the old one is lost.
    pub(super) fn moved(&mut self, id: NodeId, to: SocketAddr) {
        let known = self.members.iter_mut().find(|(member, _)| *member == id);
        known.into_iter().for_each(|(_, address)| *address = to);
    }

    /// That one is gone.
    pub(super) fn remove(&mut self, id: NodeId) {
        self.members.retain(|(member, _)| *member != id);
    }

    /// Takes in members if there is room for some.
    pub(super) fn fill(&mut self, now: Moment, membership: &mut Membership, rng: &mut fastrand::Rng) {
        if self.rotate_at <= now && self.members.len() < VIEW_MEMBERS {
            self.rotate(now, membership, rng);
        }
    }

    /// Who was taken in since the last time.
    pub(super) fn take_new(&mut self) -> impl Iterator<Item = NodeId> {
        std::mem::take(&mut self.new).into_iter()
    }

    /// True if somebody was.
    pub(super) fn has_new(&self) -> bool {
        !self.new.is_empty()
    }

    /// Addresses of so many by lot, without that one.
    pub(super) fn some(
        &mut self,
        now: Moment,
        membership: &mut Membership,
        rng: &mut fastrand::Rng,
        count: usize,
        except: Option<NodeId>,
    ) -> Vec<SocketAddr> {
        if self.rotate_at <= now {
            self.rotate(now, membership, rng);
        }
        let mut chosen = Vec::with_capacity(count);
        // A shuffle of the front: each draw is fair, and none comes twice.
        let mut at = 0;
        while chosen.len() < count && at < self.members.len() {
            let other = rng.usize(at..self.members.len());
            self.members.swap(at, other);
            let (id, address) = self.members[at];
            at += 1;
            if Some(id) != except {
                chosen.push(address);
            }
        }
        chosen
    }

    fn rotate(&mut self, now: Moment, membership: &mut Membership, rng: &mut fastrand::Rng) {
        self.rotate_at = now + ROTATE_EVERY;
        let back = std::mem::take(&mut self.back);
        if self.members.len() >= VIEW_MEMBERS {
            // Twice their share, since those that make room are replaced by any that live.
            let share = 2 * VIEW_MEMBERS * back / membership.alive().max(1);
            for _ in 0..share.clamp(ROTATED, ROTATED_MAX) {
                self.members.swap_remove(rng.usize(..self.members.len()));
            }
        }
        let lives = |id| membership.get(id).is_some_and(|member| member.told.class == Class::Alive);
        self.members.retain(|(id, _)| lives(*id));
        let wanted = VIEW_MEMBERS - self.members.len();
        let known = &self.members;
        let new = membership.some_alive(wanted, |told| known.iter().all(|(id, _)| *id != told.id()));
        self.members.extend(new.iter().map(|told| (told.id(), told.info.address)));
        self.new.extend(new.iter().map(|told| told.id()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gossip::identity::{Generation, Incarnation};
    use crate::gossip::membership::{Settings, Told};
    use crate::gossip::output::NodeInfo;
    use std::sync::Arc;

    fn told(id: u64) -> Arc<Told> {
        let address = SocketAddr::from(([10, 0, (id >> 8) as u8, id as u8], 7953));
        let info = Arc::new(NodeInfo { id: NodeId(id), boot: id, name: format!("n{id}").into(), address });
        Arc::new(Told { info, incarnation: Incarnation::first(Generation(1)), class: Class::Alive })
    }

    #[test]
    fn members_that_come_back_together_get_their_share_before_long() {
        let now = Moment::from_micros(1_000_000_000);
        let me = Arc::clone(&told(1).info);
        let first = Incarnation::first(Generation(1));
        let mut rng = fastrand::Rng::with_seed(1);
        let mut membership = Membership::new(me, first, &Settings::default(), rng.fork(), now);
        membership.restore(now, (2..300).map(told));
        let mut view = View::default();
        assert_eq!(view.some(now, &mut membership, &mut rng, 4, None).len(), 4);
        assert_eq!(view.members.len(), VIEW_MEMBERS);
        // The other half is back.
        membership.restore(now, (300..600).map(told));
        (300..600).for_each(|_| view.came_back(now));
        view.some(now + GATHER, &mut membership, &mut rng, 4, None);
        let back = view.members.iter().filter(|(id, _)| id.0 >= 300).count();
        assert_eq!(view.members.len(), VIEW_MEMBERS);
        assert!(back >= VIEW_MEMBERS / 6, "{back} of the other half");
        // A few that come back do not turn it over.
        let before = view.members.clone();
        view.came_back(now + GATHER);
        view.some(now + GATHER + GATHER, &mut membership, &mut rng, 4, None);
        let kept = before.iter().filter(|member| view.members.contains(member)).count();
        assert_eq!(kept, VIEW_MEMBERS - ROTATED);
    }
}
