//! Replication put together: what is taken, what is passed on, what is asked for.
//!
//! It knows nodes by their ids and sends to them by its [`Todo`]s; who lives, and where, is its user's to know.

mod clusterwide;
mod pulling;
#[cfg(test)]
mod tests;

pub use clusterwide::ClusterWrite;

use crate::base::time::Moment;
use crate::gossip::codec::Malformed;
use crate::gossip::frame::{Kind, framed, write};
use crate::gossip::identity::{Generation, NodeId, Version};
use crate::gossip::output::{Event, Health};
use crate::gossip::replication::cluster::Cluster;
use crate::gossip::replication::delta::cut;
use crate::gossip::replication::forgotten::Forgotten;
use crate::gossip::replication::leases::{FreezeRule, Leases};
use crate::gossip::replication::log::{KEY_OCTETS_MAX, Log, VALUE_OCTETS_MAX};
use crate::gossip::replication::owners::{Owner, Owners, Reach};
use crate::gossip::replication::pulls::{PATIENCE, Pulls};
use crate::gossip::replication::sharing::Sharing;
use crate::gossip::replication::spread::{Batch, FAN, HINTS, Spread};
use crate::gossip::replication::wire::{HeadWire, heads, write_heads};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Owners pulled from one member at once; for more of them a stream is cheaper.
const PULLED_OWNERS_MAX: usize = 512;

/// What replication wants done.
#[derive(Debug)]
pub enum Todo {
    /// Put these frames into one datagram for that member.
    Send(NodeId, Vec<u8>),
    /// The same for some members by lot, but not for that one.
    Spread {
        /// The frames.
        frames: Vec<u8>,
        /// How many members.
        fan: usize,
        /// Who not.
        except: Option<NodeId>,
    },
    /// Fetch over a stream from that member all that this node lacks.
    Fetch(NodeId),
    /// Find out with that member which cluster-wide records differ.
    CompareCluster(NodeId),
    /// Tell the machine's owner.
    Event(Event),
    /// The cluster has records of a later life of this node than this one: it must begin a later one still.
    Outlived(Generation),
}

/// What was counted so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Changes of others that were only hinted, because too much was waiting to be sent.
    pub shed: u64,
    /// Copies of equal head whose content differs: a cloned disk, or a fault of ours.
    pub mismatches: u64,
    /// Pulls sent.
    pub pulls: u64,
    /// Cluster-wide records taken from others.
    pub cluster_taken: u64,
}

/// The replication machine of one node.
pub struct Replication {
    me: NodeId,
    /// What this node says in this life, until that is whole.
    draft: Option<Log>,
    /// How far this node's own changes have been handed on.
    handed_on: Version,
    owners: Owners,
    forgotten: Forgotten,
    cluster: Cluster,
    leases: Leases,
    /// Owners that live, as far as was told last, this node included.
    living: usize,
    spread: Spread,
    pulls: Pulls,
    /// Owners whose records changed, each with the oldest version since which they did; told as one event each, when
    /// all that was handed in at once is done.
    changed: BTreeMap<NodeId, Option<Version>>,
    todo: VecDeque<Todo>,
    /// Not before then are cluster-wide records compared because of a hint.
    compare_cluster_from: Moment,
    /// A hint that is waited with: when it is looked at, who gave it, and of which hash.
    cluster_hint: Option<(Moment, NodeId, u64)>,
    /// Octets of frames that a datagram takes.
    room: usize,
    counts: Counts,
}

impl Replication {
    /// Nobody's records yet, not even its own: see [`Replication::declare_whole`].
    pub fn new(
        me: NodeId,
        generation: Generation,
        room: usize,
        rule: FreezeRule,
        sharing: Sharing,
        now: Moment,
    ) -> Replication {
        Replication {
            me,
            draft: Some(Log::new(generation)),
            handed_on: Version(0),
            owners: Owners::new(sharing),
            forgotten: Forgotten::default(),
            cluster: Cluster::default(),
            leases: Leases::new(rule),
            living: 1,
            spread: Spread::new(now, room),
            pulls: Pulls::default(),
            changed: BTreeMap::new(),
            todo: VecDeque::new(),
            compare_cluster_from: now,
            cluster_hint: None,
            room,
            counts: Counts::default(),
        }
    }

    /// What every owner says.
    pub fn owners(&self) -> &Owners {
        &self.owners
    }

    /// The cluster-wide records.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// How long the records of lost owners are served.
    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        Counts { shed: self.spread.shed, ..self.counts }
    }

    /// Changes that wait: octets to send, and owners to pull.
    pub fn depth(&self) -> (usize, usize) {
        (self.spread.queued(), self.pulls.len())
    }

    /// Datagrams take only so many octets of frames from now on.
    pub fn set_room(&mut self, room: usize) {
        self.room = room;
        self.spread.set_room(room);
    }

    /// The next thing to do; `None`: nothing more now.
    pub fn poll(&mut self) -> Option<Todo> {
        // Records come before the leases that are about them.
        while let Some((owner, since)) = self.changed.pop_first() {
            if let Some(log) = self.owners.get(owner).and_then(Owner::shown) {
                return Some(Todo::Event(Event::Records { owner, log: Arc::clone(log), since }));
            }
        }
        self.todo.pop_front()
    }

    /// When [`Replication::handle_timeout`] is due.
    pub fn next_wake(&self) -> Moment {
        let hint = self.cluster_hint.map_or(Moment::NEVER, |(at, _, _)| at);
        self.spread.next().min(self.pulls.next()).min(self.leases.next()).min(hint)
    }

    /// Takes the logs of others as they are, for a machine that starts warm.
    pub fn restore(&mut self, logs: impl IntoIterator<Item = (NodeId, Arc<Log>)>) {
        self.owners.restore(logs);
    }

    /// Sets a record of this node; false if it is too large. Keys of at most [`KEY_OCTETS_MAX`], values of at most
    /// [`VALUE_OCTETS_MAX`] octets.
    pub fn put(&mut self, now: Moment, key: &[u8], value: &[u8]) -> bool {
        if key.len() > KEY_OCTETS_MAX || value.len() > VALUE_OCTETS_MAX {
            return false;
        }
        self.change(now, |log| log.put(key, value));
        true
    }

    /// Removes a record of this node.
    pub fn remove(&mut self, now: Moment, key: &[u8]) {
        self.change(now, |log| log.remove(key));
    }

    fn change(&mut self, now: Moment, change: impl FnOnce(&mut Log) -> Option<Version>) {
        if let Some(draft) = &mut self.draft {
            change(draft);
            return;
        }
        let since = self.owners.have(self.me).head;
        if self.owners.change(self.me, change).is_some() {
            self.announce(now, Some(since));
        }
    }

    /// What this node has said so far in this life is all, for now: from here on others may show it.
    pub fn declare_whole(&mut self, now: Moment) {
        let Some(mut log) = self.draft.take() else { return };
        log.declare_whole();
        self.owners.put(self.me, Arc::new(log));
        self.handed_on = Version(0);
        self.announce(now, None);
    }

    /// Begins a later life with the same records.
    pub fn begin_again(&mut self, now: Moment, generation: Generation) {
        match &mut self.draft {
            Some(draft) => draft.begin_again(generation),
            None => {
                self.owners.change(self.me, |log| log.begin_again(generation));
                self.handed_on = Version(0);
                self.announce(now, None);
            }
        }
    }

    /// Goes on as another node, with the same records.
    pub fn rename(&mut self, now: Moment, me: NodeId, generation: Generation) {
        let log = self.owners.get(self.me).and_then(Owner::shown).map(|log| Log::clone(log));
        let old = std::mem::replace(&mut self.me, me);
        match log {
            Some(mut log) => {
                log.begin_again(generation);
                self.owners.put(me, Arc::new(log));
                self.handed_on = Version(0);
                self.announce(now, None);
            }
            None => {
                if let Some(draft) = &mut self.draft {
                    draft.begin_again(generation);
                }
            }
        }
        // What the other process says under the old id is pulled anew from it.
        self.owners.forget(old);
    }

    fn announce(&mut self, now: Moment, since: Option<Version>) {
        let reach = self.owners.have(self.me);
        self.show(self.me, since);
        self.spread.tell(now, self.me, reach, HINTS);
        self.spread.push_own_soon(now);
    }

    /// A member is so, since that moment if it is lost; so many others live.
    pub fn member(&mut self, now: Moment, id: NodeId, health: Health, since: Moment, others: usize) {
        if matches!(health, Health::Alive | Health::Suspect) {
            self.forgotten.remove(id);
        }
        if self.leases.member(now, id, health, since) {
            self.tell_lease(id);
        }
        self.settle_leases(now, others + 1);
    }

    /// A member is forgotten, and what it said up to this life with it; so many others live.
    pub fn forget(&mut self, now: Moment, id: NodeId, generation: Generation, others: usize) {
        self.leases.forget(id);
        self.forgotten.add(now, id, generation.max(self.owners.have(id).generation));
        self.owners.forget(id);
        self.pulls.forget(id);
        self.spread.forget(id);
        self.settle_leases(now, others + 1);
    }

    fn tell_lease(&mut self, owner: NodeId) {
        self.todo.push_back(Todo::Event(Event::Lease { owner, lease: self.leases.get(owner) }));
    }

    fn settle_leases(&mut self, now: Moment, living: usize) {
        self.living = living;
        if self.leases.settle(now, living) {
            self.todo.push_back(Todo::Event(Event::ExpiryFrozen(self.leases.is_frozen())));
            let lost: Vec<NodeId> = self.leases.lost().collect();
            for owner in lost {
                self.tell_lease(owner);
            }
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Moment) {
        if self.leases.next() <= now {
            self.settle_leases(now, self.living);
        }
        if self.spread.next() <= now {
            self.hand_on_own(now);
            let mut batches = Vec::new();
            let cluster = self.cluster.hash();
            self.spread.flush(now, cluster, &mut batches);
            for Batch { frames, fan, except } in batches {
                self.todo.push_back(Todo::Spread { frames, fan, except });
            }
        }
        self.heed_cluster_hint(now);
        for (source, owners) in self.pulls.due(now) {
            if owners.len() > PULLED_OWNERS_MAX {
                self.todo.push_back(Todo::Fetch(source));
                continue;
            }
            let wire = owners.iter().map(|owner| HeadWire::new(*owner, self.owners.have(*owner)));
            let mut frames = Vec::new();
            write_heads(&mut frames, Kind::Pull, self.room, wire);
            self.counts.pulls += frames.len() as u64;
            self.todo.extend(frames.into_iter().map(|frames| Todo::Send(source, frames)));
        }
    }

    /// This node's own changes since the last time become frames.
    fn hand_on_own(&mut self, now: Moment) {
        let Some(log) = self.owners.get(self.me).and_then(Owner::shown).cloned() else { return };
        if log.head() <= self.handed_on {
            return;
        }
        let from = self.handed_on;
        self.handed_on = log.head();
        cut(self.me, &log, from, self.room, |_, body| {
            let mut frame = Vec::with_capacity(framed(body.len()));
            write(&mut frame, Kind::Delta, &body);
            self.spread.push_own(now, frame);
            true
        });
    }

    /// A stream from that member is on its way with all that is lacking: it needs not be asked for pieces.
    pub fn fetching(&mut self, from: NodeId) {
        self.pulls.drop_source(from);
    }

    /// A frame of replication's from a member. `Ok(false)`: it is not replication's.
    pub fn handle(&mut self, now: Moment, from: NodeId, kind: Kind, body: &[u8]) -> Result<bool, Malformed> {
        match kind {
            Kind::Delta => self.take_delta(now, from, body, true)?,
            Kind::Answer => self.take_delta(now, from, body, false)?,
            Kind::Hint => {
                for head in heads(body) {
                    let head = head?;
                    self.hear(now, from, head.owner(), head.reach(), PATIENCE);
                }
            }
            Kind::Pull => self.answer_pull(from, body)?,
            Kind::Refer => self.todo.push_back(Todo::Fetch(from)),
            Kind::Cluster => self.take_cluster(now, from, body, true)?,
            Kind::ClusterHint => {
                let theirs = <[u8; 8]>::try_from(body).map_err(|_| Malformed)?;
                self.hear_cluster_hint(now, from, u64::from_le_bytes(theirs));
            }
            Kind::Digest
            | Kind::Buckets
            | Kind::Heads
            | Kind::ClusterBuckets
            | Kind::MemberBuckets
            | Kind::Ask
            | Kind::Held
            | Kind::Key
            | Kind::Table
            | Kind::Want
            | Kind::Done
            | Kind::AskStates
            | Kind::States
            | Kind::ClusterMark
            | Kind::ClusterParts
            | Kind::MarkAsk
            | Kind::MarkHeld
            | Kind::Question
            | Kind::Known
            | Kind::Reached
            | Kind::Since => return Ok(false),
        }
        Ok(true)
    }

    /// As [`Replication::handle`], of what came over a stream that this node opened: nobody else is pushed it, for
    /// the others had it before.
    pub fn handle_streamed(
        &mut self,
        now: Moment,
        from: NodeId,
        kind: Kind,
        body: &[u8],
    ) -> Result<bool, Malformed> {
        match kind {
            Kind::Cluster => self.take_cluster(now, from, body, false).map(|()| true),
            _ => self.handle(now, from, kind, body),
        }
    }

    /// What this node has of an owner that lives contradicts what that owner has: it is taken anew from there.
    pub fn doubt(&mut self, now: Moment, owner: NodeId) {
        let reach = self.owners.have(owner);
        if owner != self.me && self.owners.doubt(owner) {
            self.pulls.want(now, owner, reach, owner, Duration::ZERO);
        }
    }

    /// A copy of equal head and other content was seen.
    pub fn count_mismatch(&mut self) {
        self.counts.mismatches += 1;
    }

    /// `from` has so much of `owner`: if that is more than this node has, it will be asked after `patience`.
    pub fn hear(&mut self, now: Moment, from: NodeId, owner: NodeId, reach: Reach, patience: Duration) {
        let have = self.owners.have(owner);
        if reach <= have || self.forgotten.refuses(now, owner, reach.generation) {
            return;
        }
        if owner == self.me {
            return self.outlived(reach);
        }
        self.pulls.want(now, owner, reach, from, patience);
    }

    /// Somebody has records of this node that this node has not said in this life.
    fn outlived(&mut self, reach: Reach) {
        let own = self.own_generation();
        let ahead = self.draft.is_none() && reach.generation == own;
        if reach.generation > own || ahead {
            self.todo.push_back(Todo::Outlived(reach.generation));
        }
    }

    fn own_generation(&self) -> Generation {
        match &self.draft {
            Some(draft) => draft.generation(),
            None => self.owners.have(self.me).generation,
        }
    }

    /// The records of an owner changed since that version; `None`: all of them.
    fn show(&mut self, owner: NodeId, since: Option<Version>) {
        // `None`, which is the least, wins.
        self.changed.entry(owner).and_modify(|known| *known = (*known).min(since)).or_insert(since);
    }
}

const _: () = assert!(FAN >= 3, "with fewer than three a push dies out too often");
