//! Does what membership and replication want done, and tells each what it has to know of the other.

use super::Gossip;
use crate::base::time::Moment;
use crate::gossip::identity::{Generation, Incarnation, NodeId};
use crate::gossip::membership::{self, Told};
use crate::gossip::output::{Event, Health, NodeInfo};
use crate::gossip::replication::engine::Todo;
use crate::gossip::secrecy::Peer;
use std::sync::Arc;

impl Gossip {
    pub(super) fn do_for_replication(&mut self, now: Moment, todo: Todo) {
        match todo {
            Todo::Send(node, frames) => self.send_to(now, node, frames),
            Todo::Spread { frames, fan, except } => self.spread(now, frames, fan, except),
            Todo::Fetch(node) => {
                // Refused, it will be asked for pieces again.
                if self.fetch(now, node) {
                    self.replication.fetching(node);
                }
            }
            Todo::CompareCluster(node) => self.send_cluster_buckets(now, node, true),
            Todo::Event(event) => {
                if matches!(event, Event::Records { .. } | Event::Cluster { .. }) {
                    self.news_came(now);
                }
                if let Event::Records { owner, .. } = event {
                    self.note_change(now, owner);
                }
                self.tell(event);
            }
            Todo::Outlived(generation) => self.outlive(now, generation),
        }
    }

    /// Begins a life later than one that others know of.
    fn outlive(&mut self, now: Moment, other: Generation) {
        if other < self.generation {
            return;
        }
        self.generation = Generation(other.0.saturating_add(1));
        self.replication.begin_again(now, self.generation);
        self.tell(Event::Identity { id: self.me.id, generation: self.generation });
    }

    pub(super) fn do_for_membership(&mut self, now: Moment, output: membership::Output) {
        match output {
            membership::Output::Send { to, frames } => {
                let mut octets = Vec::with_capacity(64);
                frames.iter().for_each(|frame| frame.emit(&mut octets));
                self.send(now, &[to], octets);
            }
            membership::Output::Push { to } => self.send(now, &to, Vec::new()),
            membership::Output::ProbeStream { to } => self.probe(now, to),
            membership::Output::Met { node } => self.met(now, node),
            membership::Output::Changed { told, health, before } => {
                self.member_changed(now, &told, health, before.as_deref());
            }
            membership::Output::Forgotten { told } => {
                let (life, others) = (told.incarnation.generation, self.membership.alive());
                self.replication.forget(now, told.id(), life, others);
                self.company(now);
                self.secrecy.forget(told.id());
                self.view.remove(told.id());
                self.tell(Event::Forgotten { id: told.id() });
            }
            membership::Output::Raised { incarnation } => {
                if incarnation.generation > self.generation {
                    self.generation = incarnation.generation;
                    self.replication.begin_again(now, self.generation);
                    self.tell(Event::Identity { id: self.me.id, generation: self.generation });
                }
            }
            membership::Output::Clash => self.yield_id(now),
        }
    }

    /// Another process has this id and keeps it: this one goes on under a new one.
    fn yield_id(&mut self, now: Moment) {
        let info = NodeInfo {
            id: NodeId(self.rng.u64(..)),
            // Under the old nonce both have spoken.
            boot: self.rng.u64(..),
            ..(*self.me).clone()
        };
        self.me = Arc::new(info);
        self.generation = Generation(1);
        self.secrecy.rename(Peer { id: self.me.id, boot: self.me.boot });
        self.membership.rename(now, Arc::clone(&self.me), Incarnation::first(self.generation));
        self.replication.rename(now, self.me.id, self.generation);
        self.tell(Event::Identity { id: self.me.id, generation: self.generation });
    }

    fn member_changed(&mut self, now: Moment, told: &Arc<Told>, health: Health, before: Option<&Told>) {
        let id = told.id();
        if id == self.me.id {
            return;
        }
        let since = self.membership.get(id).and_then(|member| member.since).unwrap_or(now);
        self.replication.member(now, id, health, since, self.membership.alive());
        self.company(now);
        self.tell(Event::Member { info: Arc::clone(&told.info), health });
        let lives = matches!(health, Health::Alive | Health::Suspect);
        if lives {
            self.found(now, id);
        }
        let lived = before.is_some_and(|before| before.class == membership::Class::Alive);
        match (lives, lived) {
            (true, false) if before.is_some() => {
                // Back after it was lost: both sides may have much to tell each other.
                self.compare_soon(now, id);
                self.view.came_back(now);
                self.greeting.soon(now);
            }
            (true, false) => {
                self.view.changed();
                self.greeting.soon(now);
            }
            (false, _) => self.view.remove(id),
            (true, true) => self.view.moved(id, told.info.address),
        }
    }
}
