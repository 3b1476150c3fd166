//! From a node that knows nobody to one that knows the cluster's records.
//!
//! A node may say of a name that it does not exist only if it knows all names. It is **synced** when it has nobody to
//! join; when a synced member has told it everything; when, three seconds after all names to join were
//! resolved, nobody who answers is synced either (they all start together, and what they told each other is all
//! there is); or when for thirty seconds nobody has been there (then it is alone, and says so loudly). A name that is not
//! resolved in those thirty seconds leads to nobody, and is waited for no longer.

use super::Gossip;
use crate::base::time::Moment;
use crate::gossip::identity::NodeId;
use crate::gossip::output::Event;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

/// So long after all names were resolved, nodes that start together wait for one that is synced.
pub const UNSYNCED_FOR: Duration = Duration::from_secs(3);
/// After so long without anybody who lives, since the start or since the last one died, a node serves alone.
pub const ALONE_AFTER: Duration = Duration::from_secs(30);
/// So long after its start a node takes it that it meets somebody any moment.
const MEETING: Duration = Duration::from_secs(1);
/// How often somebody is asked for everything until this node is synced.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// Members asked that were not synced either: beyond this the rest will not know more.
const ASKED_MAX: usize = 1_024;

pub(super) struct Joining {
    /// Since when no other member has lived; `None`: one does.
    alone_since: Option<Moment>,
    synced: bool,
    /// From when on nobody who is synced is waited for, if others are there.
    together_at: Moment,
    /// Who told everything it had without being synced itself.
    unsynced: BTreeSet<NodeId>,
    /// Who was asked, one after the other, since all were.
    asked: BTreeSet<NodeId>,
    /// Whether anybody was ever asked for everything.
    has_asked: bool,
    ask_at: Moment,
}

impl Joining {
    pub(super) fn new(now: Moment) -> Joining {
        Joining {
            alone_since: Some(now),
            synced: false,
            together_at: now + ALONE_AFTER,
            unsynced: BTreeSet::new(),
            asked: BTreeSet::new(),
            has_asked: false,
            ask_at: Moment::NEVER,
        }
    }

    pub(super) fn restored(&mut self) {
        self.synced = true;
    }

    pub(super) fn is_synced(&self) -> bool {
        self.synced
    }

    pub(super) fn next(&self) -> Moment {
        if self.synced {
            return Moment::NEVER;
        }
        let alone = self.alone_since.map_or(Moment::NEVER, |since| since + ALONE_AFTER);
        let together = if self.unsynced.is_empty() { Moment::NEVER } else { self.together_at };
        self.ask_at.min(alone).min(together)
    }
}

impl Gossip {
    /// Addresses to join, as they are known now; again whenever they change. `all_resolved`: no name is missing.
    /// Without addresses and names this node begins a cluster of its own.
    pub fn join(&mut self, now: Moment, addresses: &[SocketAddr], all_resolved: bool) {
        let others: Vec<SocketAddr> =
            addresses.iter().copied().filter(|address| *address != self.me.address).collect();
        if all_resolved {
            self.joining.together_at = self.joining.together_at.min(now + UNSYNCED_FOR);
            if addresses.is_empty() {
                self.synced(false);
            }
        }
        self.membership.join(now, &others);
        self.settle(now);
    }

    /// True once this node knows the cluster's records.
    pub fn is_synced(&self) -> bool {
        self.joining.synced
    }

    /// Somebody answered at an address to join. Who was not known before tells a datagram later who it is: it is asked
    /// when it is found.
    pub(super) fn met(&mut self, now: Moment, node: NodeId) {
        if !self.joining.synced {
            self.joining.has_asked |= self.fetch(now, node);
            self.joining.ask_at = now + ASK_EVERY;
        }
    }

    /// A member lives, by its own word or by another's. The first is asked at once, and again in its turn: it may be the
    /// only one that will be synced.
    pub(super) fn found(&mut self, now: Moment, node: NodeId) {
        if !self.joining.synced && !self.joining.has_asked && self.fetch(now, node) {
            self.joining.has_asked = true;
            self.joining.ask_at = now + ASK_EVERY;
        }
        self.ask_whoever_is_there(now);
    }

    /// True while it is worth waiting for somebody who lives.
    pub(super) fn is_meeting(&self, now: Moment) -> bool {
        !self.joining.synced && self.joining.alone_since.is_some_and(|since| now < since + MEETING)
    }

    /// Members came or went.
    pub(super) fn company(&mut self, now: Moment) {
        match self.membership.alive() {
            0 => {
                self.joining.alone_since.get_or_insert(now);
            }
            _ => self.joining.alone_since = None,
        }
    }

    /// A member told everything that it has.
    pub(super) fn told_everything(&mut self, by: NodeId, synced: bool) {
        if self.joining.synced {
            return;
        }
        if synced {
            self.synced(false);
        } else if self.joining.unsynced.len() < ASKED_MAX {
            self.joining.unsynced.insert(by);
        }
    }

    fn synced(&mut self, alone: bool) {
        if !std::mem::replace(&mut self.joining.synced, true) {
            self.joining.unsynced.clear();
            self.joining.asked.clear();
            self.tell(Event::Synced { alone });
        }
    }

    pub(super) fn join_if_due(&mut self, now: Moment) {
        if self.joining.synced || self.joining.next() > now {
            return;
        }
        if self.joining.alone_since.is_some_and(|since| since + ALONE_AFTER <= now) {
            return self.synced(true);
        }
        if self.joining.together_at <= now && !self.joining.unsynced.is_empty() {
            return self.synced(false);
        }
        if self.joining.ask_at <= now {
            self.joining.ask_at = now + ASK_EVERY;
            // All in turn: one synced member is enough, and whoever was not synced may be by now.
            let asked = &self.joining.asked;
            let fresh = self.membership.some_alive(1, |told| !asked.contains(&told.id()));
            if fresh.is_empty() || asked.len() >= ASKED_MAX {
                self.joining.asked.clear();
            }
            let again = if fresh.is_empty() { self.membership.some_alive(1, |_| true) } else { fresh };
            if let Some(told) = again.first() {
                self.joining.asked.insert(told.id());
                self.fetch(now, told.id());
            }
        }
    }
}
