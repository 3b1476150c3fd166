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

/// Some members.
#[derive(Default)]
pub(super) struct View {
    members: Vec<(NodeId, SocketAddr)>,
    rotate_at: Moment,
}

impl View {
    /// Members came that may be wanted.
    pub(super) fn changed(&mut self) {
        if self.members.len() < VIEW_MEMBERS {
            self.rotate_at = Moment::START;
        }
    }

    /// The view is made anew at that moment.
    pub(super) fn refresh_at(&mut self, now: Moment) {
        self.rotate_at = now;
    }

    /// That one is gone.
    pub(super) fn remove(&mut self, id: NodeId) {
        self.members.retain(|(member, _)| *member != id);
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
        if self.members.len() >= VIEW_MEMBERS {
            for _ in 0..ROTATED {
                self.members.swap_remove(rng.usize(..self.members.len()));
            }
        }
        // Addresses may have changed, and members gone.
        self.members.retain_mut(|(id, address)| match membership.get(*id) {
            Some(member) if member.told.class == Class::Alive => {
                *address = member.told.info.address;
                true
            }
            _ => false,
        });
        let wanted = VIEW_MEMBERS - self.members.len();
        let known = &self.members;
        let new = membership.some_alive(wanted, |told| known.iter().all(|(id, _)| *id != told.id()));
        self.members.extend(new.iter().map(|told| (told.id(), told.info.address)));
    }
}
