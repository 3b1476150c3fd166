//! Purging tombstones of cluster-wide records: the member of the lowest id asks all whether they hold what it holds.
//!
//! ```text
//! lowest id                           each member
//!   MARKASK round, hash ────────────►   equal: stamps higher from now on
//!         ◄─────────────── MARKHELD round
//!                        or CLUSTERBUCKETS     not equal: they compare, and it is asked again
//!   all have: tombstones go; the new hash is hinted, and who hears it is told the mark
//! ```
//!
//! No round begins while a remembered member is lost. What a mark means, and why nothing returns, stands in
//! [`purge`](crate::gossip::replication::cluster::purge).

use super::Gossip;
use super::asking::Turns;
use crate::base::time::Moment;
use crate::gossip::codec::{Malformed, decode_all, encode};
use crate::gossip::frame::{Kind, split, write};
use crate::gossip::identity::NodeId;
use crate::gossip::membership::{Class, Told};
use crate::gossip::replication::cluster::Cluster;
use crate::gossip::replication::cluster::purge::{AskWire, HeldWire, Mark, Round, read_mark};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How often tombstones are purged.
pub(super) const PURGE_EVERY: Duration = Duration::from_secs(600);
/// The same if there are many.
const PURGE_SOON: Duration = Duration::from_secs(60);
/// How many that is.
const TOMBSTONES_MANY: usize = 4_096;
/// After so long a round is given up: copies that never agree for so long will do so later.
const ROUND_MAX: Duration = Duration::from_secs(30);
/// A member that has not answered is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(200);

struct Asking {
    round: Round,
    deadline: Moment,
    held: BTreeSet<NodeId>,
    voters: u32,
    turns: Turns,
}

pub(super) struct Purging {
    next: Moment,
    /// When the last round began.
    last: Moment,
    asking: Option<Asking>,
    /// Who told of a later mark first. One member alone may have brought it from another cluster.
    told_by: Option<(Round, NodeId)>,
    /// The mark under which a copy is fetched.
    wanted: Option<Round>,
}

impl Purging {
    pub(super) fn new(now: Moment) -> Purging {
        Purging { next: now + PURGE_SOON, last: now, asking: None, told_by: None, wanted: None }
    }

    pub(super) fn next(&self) -> Moment {
        self.next
    }
}

impl Gossip {
    pub(super) fn purge_if_due(&mut self, now: Moment) {
        if self.purging.next > now {
            return;
        }
        let asking = match self.purging.asking.take() {
            Some(asking) => asking,
            None => {
                self.purging.next = now + PURGE_SOON;
                let tombstones = self.replication.cluster().tombstones();
                let rested = now.since(self.purging.last) >= PURGE_EVERY;
                if tombstones == 0 || !rested && tombstones < TOMBSTONES_MANY || !self.is_lowest() {
                    return;
                }
                self.purging.last = now;
                Asking {
                    round: self.replication.begin_round(),
                    deadline: now + ROUND_MAX,
                    held: BTreeSet::new(),
                    voters: 0,
                    turns: Turns::default(),
                }
            }
        };
        self.go_on_purging(now, asking);
    }

    /// True if it is this node that asks: it knows the records, and of those that live it has the lowest id.
    fn is_lowest(&self) -> bool {
        let mut alive = self.membership.tellings().filter(|told| told.class == Class::Alive);
        self.is_synced() && alive.all(|told| told.id() > self.me.id)
    }

    /// Asks some of those that are missing, and purges when none is. Gives the round up if it cannot end well.
    fn go_on_purging(&mut self, now: Moment, mut asking: Asking) {
        let void = self.replication.cluster().acknowledged() != Some(asking.round);
        let stay = |told: &&Arc<Told>| told.class != Class::Left;
        let lost = self.membership.tellings().filter(stay).any(|told| told.class != Class::Alive);
        if void || lost || asking.deadline <= now {
            self.purging.next = now + PURGE_SOON;
            return;
        }
        let members: BTreeSet<NodeId> =
            self.membership.tellings().filter(stay).map(|told| told.id()).collect();
        let missing: BTreeSet<NodeId> = members.difference(&asking.held).copied().collect();
        if missing.is_empty() {
            self.replication.purge(now, asking.round, members.len() + 1, asking.voters);
            self.purging.next = now + PURGE_SOON;
            return;
        }
        let (asked, wait) = asking.turns.next(&missing, ASK_AGAIN);
        self.purging.next = now + wait;
        let ask = AskWire { round: asking.round, hash: self.replication.cluster().hash() };
        self.purging.asking = Some(asking);
        let mut body = Vec::new();
        encode(&mut body, &ask);
        for node in asked {
            self.send_frame(now, node, Kind::MarkAsk, &body);
        }
    }

    pub(super) fn hear_mark_ask(&mut self, now: Moment, from: NodeId, body: &[u8]) -> Result<(), Malformed> {
        let ask: AskWire = decode_all(body)?;
        // Who does not know the records yet cannot say that it has them.
        if !self.is_synced() {
            return Ok(());
        }
        self.note_members();
        match self.replication.acknowledge(ask) {
            Some(held) => {
                let mut body = Vec::new();
                encode(&mut body, &held);
                self.send_frame(now, from, Kind::MarkHeld, &body);
            }
            None => self.send_cluster_buckets(now, from, true),
        }
        Ok(())
    }

    pub(super) fn hear_mark_held(&mut self, now: Moment, from: NodeId, body: &[u8]) -> Result<(), Malformed> {
        let HeldWire { round, voters } = decode_all(body)?;
        if let Some(asking) = self.purging.asking.as_mut().filter(|asking| asking.round == round) {
            asking.voters = asking.voters.max(voters);
            asking.held.insert(from);
            if asking.held.len() >= self.membership.alive() {
                self.purging.next = now;
            }
        }
        Ok(())
    }

    /// How many must take part in a round depends on how many there are.
    pub(super) fn note_members(&mut self) {
        let members = self.membership.alive() + 1;
        self.replication.note_members(members);
    }

    /// What this node has purged, if anything, before what is compared.
    pub(super) fn write_mark(&self, frames: &mut Vec<u8>) {
        let mark = self.replication.cluster().mark();
        if !mark.is_none() {
            let mut body = Vec::new();
            encode(&mut body, &mark);
            write(frames, Kind::ClusterMark, &body);
        }
    }

    pub(super) fn hear_mark(&mut self, now: Moment, from: NodeId, body: &[u8]) -> Result<(), Malformed> {
        let mark = read_mark(body)?;
        // Who is not synced fetches everything anyway.
        if self.replication.hear_mark(now, mark) && self.is_synced() {
            self.weigh(from, mark);
            if self.purging.wanted == Some(mark.round()) {
                self.fetch(now, from);
            }
        }
        Ok(())
    }

    /// A later mark is taken for the cluster's if two members tell it, or the only one there is.
    fn weigh(&mut self, from: NodeId, mark: Mark) {
        let round = mark.round();
        let confirmed = self.purging.told_by.is_some_and(|(told, by)| told == round && by != from);
        if confirmed || self.membership.alive() <= 1 {
            self.purging.wanted = Some(round);
        } else {
            self.purging.told_by = Some((round, from));
        }
    }

    /// A stream brings cluster-wide records under that mark. True if they are to be collected, and to replace those
    /// here when they are whole.
    pub(super) fn wants_copy(&mut self, now: Moment, from: NodeId, mark: Mark) -> bool {
        let later = self.replication.hear_mark(now, mark);
        if !self.is_synced() {
            let cluster = self.replication.cluster();
            return cluster.can_follow(mark) && mark.round() != cluster.mark().round();
        }
        if later {
            self.weigh(from, mark);
        }
        later && self.purging.wanted == Some(mark.round())
    }

    /// A stream brought the cluster-wide records whole.
    pub(super) fn take_copy(
        &mut self,
        now: Moment,
        from: NodeId,
        (mark, copy): (Mark, Cluster),
        synced: bool,
    ) {
        let later = mark.round() > self.replication.cluster().mark().round();
        // Among those that are not synced nobody speaks for the cluster: the later mark holds.
        if later || synced && !self.is_synced() {
            self.replication.replace_cluster(now, copy, mark);
            return;
        }
        let mut frames = Vec::new();
        copy.frames(copy.parts_from(0), self.room, usize::MAX, &mut frames);
        for frame in &frames {
            if let Ok((_, body, _)) = split(frame) {
                // It was written here just now.
                let _ = self.replication.handle(now, from, Kind::Cluster, body);
            }
        }
    }
}
