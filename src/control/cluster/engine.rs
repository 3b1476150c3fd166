//! The container engine's part in the cluster: what is learned from it becomes this node's own entries.
//!
//! Until the first list has been worked through, what this node says in this life is held back: other nodes go on with
//! what it said in its last one, and this one denies no name. Where it spoke for its swarm, and will again, that goes on
//! until all is said that the swarm tells. If there is no engine it ends with a lease, or at once where nobody asked for
//! one.

use crate::base::time::Moment;
use crate::catalog::delta::Delta;
use crate::control::cluster::Cluster;
use crate::control::cluster::peers::By;
use crate::control::engine::{EngineStatus, Tale};
use crate::discovery::endpoint::Endpoint;
use crate::discovery::engine::{Candidate, MANAGER_KEY, Manager, Said, Speaker, WHOLE_KEY, elected};
use crate::discovery::service;
use crate::gossip::identity::{Generation, NodeId};
use crate::gossip::output::Health;
use crate::gossip::replication::log::Log;
use mio::Registry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

/// Says who speaks for the swarm; it must not block.
pub type Speak = Box<dyn Fn(Speaker) + Send>;

/// What a node with an engine that manages a swarm says.
struct Managing {
    swarm: String,
    /// It has said all that the swarm tells ...
    is_whole: bool,
    /// ... in this life.
    life: Generation,
}

/// What is known of the engine when the server starts.
pub struct Engine {
    status: Option<EngineStatus>,
    /// What this node has to say is not complete.
    is_awaited: bool,
    /// Nobody asked for it: if it is not there it is not waited for.
    is_optional: bool,
    /// The cluster's records are known, but not this node's own.
    is_synced: bool,
    /// Containers of which something is said.
    said: BTreeSet<String>,
    /// Whose engines manage which swarm.
    managers: BTreeMap<NodeId, Managing>,
    /// What ours manages.
    swarm: Option<String>,
    /// What ours managed last.
    was: Option<String>,
    /// This node's containers were all looked at.
    is_listed: bool,
    /// All that its swarm tells is said, or cannot be.
    is_whole: bool,
    /// This node took back what it said, and says nothing any more.
    is_withdrawn: bool,
    speaker: Speaker,
    speak: Speak,
    deltas: Vec<Delta>,
}

impl Engine {
    /// Of a node that watches none.
    pub fn without() -> Engine {
        Engine {
            status: None,
            is_awaited: false,
            is_optional: true,
            is_synced: false,
            said: BTreeSet::new(),
            managers: BTreeMap::new(),
            swarm: None,
            was: None,
            is_listed: false,
            is_whole: false,
            is_withdrawn: false,
            speaker: Speaker::Nobody,
            speak: Box::new(|_| {}),
            deltas: Vec::new(),
        }
    }

    /// Of a node that watches one. `is_optional`: nobody asked for it; `is_awaited`: its containers are to be known
    /// before this node denies a name.
    pub fn watched(is_optional: bool, is_awaited: bool, speak: Speak) -> Engine {
        Engine { status: Some(EngineStatus::default()), is_awaited, is_optional, speak, ..Engine::without() }
    }

    pub(super) fn is_awaited(&self) -> bool {
        self.is_awaited
    }

    /// The cluster's records are known; true if that may be acted upon.
    pub(super) fn synced(&mut self) -> bool {
        self.is_synced = true;
        !self.is_awaited
    }

    /// An owner's records changed.
    pub(super) fn records(&mut self, owner: NodeId, log: &Log) {
        // Who cannot be understood speaks for nobody here.
        let read = |key| Some(Manager::decode(log.get(key)?).ok()?.swarm);
        match read(MANAGER_KEY) {
            Some(swarm) => {
                let (is_whole, life) = (read(WHOLE_KEY).as_ref() == Some(&swarm), log.generation());
                self.managers.insert(owner, Managing { swarm, is_whole, life });
            }
            None => drop(self.managers.remove(&owner)),
        }
    }

    pub(super) fn forgotten(&mut self, owner: NodeId) {
        self.managers.remove(&owner);
    }

    /// From here on this node says nothing of its engine: it is being drained.
    pub(in crate::control) fn withdraw(&mut self) {
        self.is_withdrawn = true;
        self.said.clear();
        (self.swarm, self.was) = (None, None);
    }

    pub(super) fn take_deltas(&mut self) -> Vec<Delta> {
        std::mem::take(&mut self.deltas)
    }

    fn change(&mut self, change: impl FnOnce(&mut EngineStatus)) {
        if let Some(status) = &mut self.status {
            change(status);
        }
    }
}

impl Cluster {
    /// How it stands with the engine; none if none is watched.
    pub fn engine_status(&self) -> Option<EngineStatus> {
        let status = self.engine.status.clone()?;
        Some(EngineStatus {
            containers: self.engine.said.len(),
            is_manager: self.engine.swarm.is_some(),
            speaks: self.engine.speaker == Speaker::Me,
            ..status
        })
    }

    /// True while this node does not know its own containers.
    pub fn awaits_engine(&self) -> bool {
        self.engine.is_awaited
    }

    /// The services thread has news of the engine; `wall` is the time of day.
    pub fn hear_engine(&mut self, now: Moment, wall: SystemTime, tales: Vec<Tale>) {
        for tale in tales {
            if self.engine.is_withdrawn
                && !matches!(tale, Tale::Connected { .. } | Tale::Lost { .. } | Tale::Listed)
            {
                continue;
            }
            match tale {
                Tale::Connected { version } => self.engine.change(|status| {
                    (status.is_connected, status.error) = (true, None);
                    status.version = Some(version);
                }),
                Tale::Lost { error } => {
                    self.engine.change(|status| {
                        (status.is_connected, status.error) = (false, Some(error));
                    });
                    self.manages(now, None);
                    if self.engine.is_optional {
                        self.go_on(now);
                    }
                    self.engine.is_listed = false;
                }
                Tale::Manages(swarm) => self.manages(now, swarm),
                Tale::Put(endpoint) => self.put_endpoint(now, &endpoint),
                Tale::Remove(id) => self.remove_endpoint(now, &id),
                Tale::Listed => {
                    self.engine.change(|status| status.synced = Some(wall));
                    self.engine.is_listed = true;
                }
                Tale::Expired => self.go_on(now),
                Tale::Say(said) => self.say(now, &said),
                Tale::Mute => self.engine.is_whole = true,
                Tale::Kin { addresses, is_whole, is_alone } => {
                    self.join(now, By::Engine, &addresses, is_whole);
                    self.begin_if_alone(now, is_alone);
                }
            }
        }
        self.elect();
        self.go_on_if_told(now);
    }

    /// Does what follows for the engine from what members have said.
    pub(super) fn settle_engine(&mut self, now: Moment, registry: &Registry, all: &mut Vec<Delta>) {
        self.elect();
        if self.go_on_if_told(now) {
            // What was held back leaves at once.
            all.extend(self.drain(now));
            self.transport.flush(now, &mut self.gossip, registry);
            all.extend(self.drain(now));
        }
        all.extend(self.engine.take_deltas());
    }

    /// Finds who speaks for the swarm of our engine, and tells if that changed.
    fn elect(&mut self) {
        let speaker = match &self.engine.swarm {
            // Who does not know the others yet would think that there are none.
            Some(swarm) if self.gossip.is_synced() => {
                let me = self.gossip.me().id;
                let others = self.engine.managers.iter().filter(|(id, _)| **id != me);
                let others = others.map(|(id, other)| {
                    let (is_alive, swarm) = (self.lives(*id), other.swarm.as_str());
                    Candidate { id: id.0, is_alive, swarm }
                });
                let own = Candidate { id: me.0, is_alive: true, swarm };
                match elected(swarm, others.chain([own])) {
                    Some(id) if id == me.0 => Speaker::Me,
                    // What this node says is taken back when the other one says it, and not before.
                    Some(id) if !self.has_said_all(NodeId(id)) => self.engine.speaker,
                    Some(_) => Speaker::Other,
                    None => Speaker::Nobody,
                }
            }
            Some(_) => Speaker::Nobody,
            None => self.lost_speaker(),
        };
        if speaker != self.engine.speaker {
            tracing::info!(?speaker, "who speaks for the swarm changed");
            self.engine.speaker = speaker;
            (self.engine.speak)(speaker);
        }
    }

    /// Without an engine that manages: who spoke goes on saying what it said until another one speaks.
    fn lost_speaker(&self) -> Speaker {
        let was = self.engine.was.as_ref();
        let others = self.engine.managers.iter().filter(|(_, other)| Some(&other.swarm) == was);
        let me = self.gossip.me().id;
        match others.map(|(id, _)| *id).any(|id| id != me && self.lives(id) && self.has_said_all(id)) {
            true => Speaker::Other,
            false => Speaker::Nobody,
        }
    }

    fn lives(&self, id: NodeId) -> bool {
        let member = self.gossip.membership().get(id);
        member.is_some_and(|member| matches!(member.health, Health::Alive | Health::Suspect))
    }

    /// Whether that node has said, in its present life, all that its swarm tells.
    fn has_said_all(&self, id: NodeId) -> bool {
        let life = self.gossip.membership().get(id).map(|member| member.told.incarnation.generation);
        self.engine.managers.get(&id).is_some_and(|other| other.is_whole && Some(other.life) >= life)
    }

    fn manages(&mut self, now: Moment, swarm: Option<String>) {
        match &swarm {
            Some(swarm) => {
                let manager = Manager { swarm: swarm.clone() };
                self.gossip.put(now, MANAGER_KEY, &manager.value());
            }
            None if self.engine.swarm.is_some() => self.gossip.remove(now, MANAGER_KEY),
            None => {}
        }
        self.engine.was = swarm.clone().or(self.engine.was.take());
        self.engine.swarm = swarm;
    }

    /// What this node said in its last life is replaced once it has as much to say. If it spoke for its swarm that is not
    /// before it is known whether it does, and has said all.
    fn go_on_if_told(&mut self, now: Moment) -> bool {
        let spoke = self.engine.swarm.is_some() && self.gossip.generation() > Generation(1);
        let speaks = self.engine.speaker == Speaker::Me || !self.gossip.is_synced();
        let is_told = self.engine.is_listed && (!spoke || !speaks || self.engine.is_whole);
        let goes_on = self.engine.is_awaited && is_told;
        if goes_on {
            self.go_on(now);
        }
        goes_on
    }

    /// What this node says of its containers is complete, or as complete as it gets.
    fn go_on(&mut self, now: Moment) {
        if std::mem::take(&mut self.engine.is_awaited) {
            self.gossip.ready(now);
            if self.engine.is_synced {
                self.engine.deltas.push(Delta::Synced(true));
            }
        }
    }

    fn put_endpoint(&mut self, now: Moment, endpoint: &Endpoint) {
        let Some(key) = endpoint.key() else { return };
        match endpoint.value() {
            Ok(value) => {
                self.gossip.put(now, &key, &value);
                self.engine.said.insert(endpoint.id.clone());
            }
            Err(error) => {
                tracing::error!(container = endpoint.name, "the container gets no names: {error}");
                self.remove_endpoint(now, &endpoint.id);
            }
        }
    }

    fn remove_endpoint(&mut self, now: Moment, id: &str) {
        let gone = Endpoint { id: id.to_owned(), ..Endpoint::default() };
        if let Some(key) = gone.key().filter(|_| self.engine.said.remove(id)) {
            self.gossip.remove(now, &key);
        }
    }

    fn say(&mut self, now: Moment, said: &Said) {
        match said {
            Said::Service(spec) => match (spec.key(), spec.value()) {
                (Some(key), Ok(value)) => drop(self.gossip.put(now, &key, &value)),
                (_, Err(error)) => {
                    tracing::error!(service = spec.name, "the service gets no names of its own: {error}");
                }
                (None, _) => {}
            },
            Said::Task(task) => {
                if let Some(key) = task.key() {
                    self.gossip.put(now, &key, &task.value());
                }
            }
            Said::NoService(id) => {
                let gone = service::ServiceSpec { id: id.clone(), ..Default::default() };
                gone.key().into_iter().for_each(|key| self.gossip.remove(now, &key));
            }
            Said::Whole(true) => {
                self.engine.is_whole = true;
                if let Some(swarm) = self.engine.swarm.clone() {
                    self.gossip.put(now, WHOLE_KEY, &Manager { swarm }.value());
                }
            }
            Said::Whole(false) => self.gossip.remove(now, WHOLE_KEY),
            Said::NoTask(id) => {
                let gone = service::TaskState { id: id.clone(), ..Default::default() };
                gone.key().into_iter().for_each(|key| self.gossip.remove(now, &key));
            }
        }
    }
}

#[cfg(test)]
mod tests;
