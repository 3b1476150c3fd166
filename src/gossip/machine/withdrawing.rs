//! Going away: taking back what this node said, and knowing that everybody has heard it.

use super::Gossip;
use super::asking::Turns;
use crate::base::time::Moment;
use crate::gossip::codec::{Malformed, decode_all, encode};
use crate::gossip::frame::{Kind, write};
use crate::gossip::identity::NodeId;
use crate::gossip::membership::Class;
use crate::gossip::output::Event;
use crate::gossip::replication::owners::{Owner, Reach};
use crate::gossip::replication::wire::HeadWire;
use std::collections::BTreeSet;
use std::time::Duration;

/// A member that has not answered is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(200);

pub(super) struct Withdrawing {
    pub(super) next: Moment,
    deadline: Moment,
    reach: Reach,
    missing: BTreeSet<NodeId>,
    turns: Turns,
}

impl Gossip {
    /// Takes back all records of this node and asks every living member whether it knows;
    /// [`Event::Drained`] tells when all do, or at the deadline who does not.
    pub fn drain(&mut self, now: Moment, timeout: Duration) {
        self.ready(now);
        let own = self.replication.owners().get(self.me.id).and_then(|owner| owner.shown());
        let keys: Vec<Vec<u8>> =
            own.map(|log| log.records().map(|entry| entry.key.to_vec()).collect()).unwrap_or_default();
        for key in keys {
            self.replication.remove(now, &key);
        }
        let alive = self.membership.tellings().filter(|told| told.class == Class::Alive);
        self.withdrawing = Some(Withdrawing {
            next: now,
            deadline: now + timeout,
            reach: self.replication.owners().have(self.me.id),
            missing: alive.map(|told| told.id()).collect(),
            turns: Turns::default(),
        });
        self.withdraw_if_due(now);
        self.settle(now);
    }

    /// This node stops, and comes back with the same records: nobody suspects it, its lease counts.
    pub fn restarting(&mut self, now: Moment) {
        self.membership.announce_restarting(now);
        self.settle(now);
    }

    /// This node goes for good: its records are hidden at once.
    pub fn leave(&mut self, now: Moment) {
        self.membership.leave(now);
        self.settle(now);
    }

    /// An operator says that a node has gone for good. False: it is not known.
    pub fn force_leave(&mut self, now: Moment, id: NodeId) -> bool {
        let known = self.membership.declare_left(now, id);
        self.settle(now);
        known
    }

    pub(super) fn withdraw_if_due(&mut self, now: Moment) {
        let Some(mut withdrawing) = self.withdrawing.take_if(|withdrawing| withdrawing.next <= now) else {
            return;
        };
        let membership = &self.membership;
        withdrawing
            .missing
            .retain(|id| membership.get(*id).is_some_and(|member| member.told.class == Class::Alive));
        if withdrawing.missing.is_empty() || withdrawing.deadline <= now {
            let missing = withdrawing.missing.into_iter().collect();
            return self.tell(Event::Drained { missing });
        }
        let (asked, wait) = withdrawing.turns.next(&withdrawing.missing, ASK_AGAIN);
        withdrawing.next = (now + wait).min(withdrawing.deadline);
        let head = HeadWire::new(self.me.id, withdrawing.reach);
        self.withdrawing = Some(withdrawing);
        for node in asked {
            self.send_head(now, node, Kind::Ask, head);
        }
    }

    fn send_head(&mut self, now: Moment, to: NodeId, kind: Kind, head: HeadWire) {
        let (mut frames, mut body) = (Vec::new(), Vec::new());
        encode(&mut body, &head);
        write(&mut frames, kind, &body);
        self.send_to(now, to, frames);
    }

    pub(super) fn hear_ask(&mut self, now: Moment, from: NodeId, body: &[u8]) -> Result<(), Malformed> {
        let head: HeadWire = decode_all(body)?;
        // What is held, but not shown yet, is not what this node answers with.
        let showing = self.replication.owners().get(head.owner()).map(Owner::showing).unwrap_or_default();
        if showing >= head.reach() {
            self.send_head(now, from, Kind::Held, head);
        } else {
            self.replication.hear(now, from, head.owner(), head.reach(), Duration::ZERO);
        }
        Ok(())
    }

    pub(super) fn hear_held(&mut self, from: NodeId, body: &[u8]) -> Result<(), Malformed> {
        let head: HeadWire = decode_all(body)?;
        if let Some(withdrawing) = &mut self.withdrawing
            && head.owner() == self.me.id
            && head.reach() >= withdrawing.reach
        {
            withdrawing.missing.remove(&from);
            if withdrawing.missing.is_empty() {
                // At once: whoever waits for this waits to stop a container.
                withdrawing.next = Moment::START;
            }
        }
        Ok(())
    }
}
