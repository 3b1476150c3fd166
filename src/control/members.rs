//! The verbs about members and keys, answered by the control thread.

use crate::control::Control;
use crate::control::cluster::health_word;
use crate::control::document::{
    DrainDocument, ForceLeaveDocument, KeyDocument, KeysDocument, LeaveDocument, MemberDocument,
    MembersDocument, ResyncDocument,
};
use crate::control::request::{Answer, DRAIN_MAX, Refused, RefusedKind, Reply};
use crate::gossip::identity::NodeId;
use crate::gossip::membership::Told;
use crate::gossip::output::Health;
use crate::gossip::secrecy::key::{Key, KeyId};
use crate::gossip::secrecy::keyring::RingChange;
use crate::os::clock;
use std::sync::Arc;
use std::time::Duration;

/// What came of a comparison: as [`Event::Resynced`](crate::gossip::output::Event::Resynced) says.
pub(super) struct Resynced {
    pub(super) with: NodeId,
    pub(super) is_whole: bool,
    pub(super) owners: usize,
    pub(super) changes: u64,
    pub(super) took: Duration,
}

impl Control {
    /// Tells all members, this node among them. Ten thousand take longer to sort and write than the control thread
    /// has: the clerk does it.
    pub(super) fn tell_members(&mut self, answer: Answer) {
        let gossip = &self.cluster.gossip;
        let records = |id| {
            gossip.replication().owners().get(id).and_then(|owner| owner.shown()).map_or(0, |log| log.live())
        };
        let own = gossip.membership().own();
        let all: Vec<Shown> = gossip
            .membership()
            .members()
            .map(|member| (member.told, member.health))
            .chain([(own.clone(), Health::Alive)])
            .map(|(told, health)| {
                let id = told.id();
                (told, health, records(id), gossip.membership().round_trip(id))
            })
            .collect();
        let this = own.id();
        self.clerk.hand(vec![answer], move || Reply::Members(document(&all, this)));
    }

    /// Another member by its name or id.
    fn member(&self, node: &str) -> Result<(NodeId, String), Refused> {
        let (id, name) = self.node(node)?;
        if id == self.cluster.gossip.me().id {
            return Err(Refused::new(RefusedKind::Conflict, format!("{name} is this node")));
        }
        Ok((id, name))
    }

    /// A member or this node by its name or id. An id is never taken for another node's name.
    pub(super) fn node(&self, node: &str) -> Result<(NodeId, String), Refused> {
        let membership = self.cluster.gossip.membership();
        let all = || membership.tellings().chain(std::iter::once(membership.own()));
        if let Some(told) = all().find(|told| told.id().to_string() == node) {
            return Ok((told.id(), told.info.name.to_string()));
        }
        let mut found = all().filter(|told| *told.info.name == *node);
        match (found.next(), found.next()) {
            (Some(told), None) => Ok((told.id(), told.info.name.to_string())),
            (Some(_), Some(_)) => {
                let error = format!("several members are called {node}: give the id that `members` shows");
                Err(Refused::new(RefusedKind::Conflict, error))
            }
            (None, _) => {
                let error = format!("there is no member {node}: `members` shows them");
                Err(Refused::new(RefusedKind::NotFound, error))
            }
        }
    }

    fn names_of(&self, ids: &[NodeId]) -> Vec<String> {
        let name = |id: &NodeId| {
            let member = self.cluster.gossip.membership().get(*id);
            member.map_or_else(|| id.to_string(), |member| member.told.info.name.to_string())
        };
        ids.iter().map(name).collect()
    }

    /// Declares a lost node gone for good.
    pub(super) fn force_leave(&mut self, node: &str) -> Result<Reply, Refused> {
        let (id, name) = self.member(node)?;
        let now = clock::moment(clock::now());
        let health = self.cluster.gossip.membership().get(id).map(|member| member.health);
        if health == Some(Health::Alive) {
            let error = format!("{name} answers: stop it, or run `hivedns leave` there");
            return Err(Refused::new(RefusedKind::Conflict, error));
        }
        self.cluster.gossip.force_leave(now, id);
        Ok(Reply::ForceLeave(ForceLeaveDocument { node: name, id: id.to_string() }))
    }

    /// Compares with a member, or with one by lot; the answer comes when that is over.
    pub(super) fn resync_for(&mut self, node: Option<&str>, answer: Answer) {
        match self.resync(node) {
            Ok(()) => self.resyncing = Some(answer),
            Err(refused) => answer.give(Err(refused)),
        }
        self.tell_resynced();
    }

    fn resync(&mut self, node: Option<&str>) -> Result<(), Refused> {
        let with = node.map(|node| self.member(node)).transpose()?;
        if self.cluster.gossip.is_resyncing() {
            let error = "a comparison is under way already".to_owned();
            return Err(Refused::new(RefusedKind::Conflict, error));
        }
        let now = clock::moment(clock::now());
        match self.cluster.gossip.resync(now, with.map(|(id, _)| id)) {
            true => Ok(()),
            false => Err(Refused::new(RefusedKind::Unavailable, "there is no member that lives".to_owned())),
        }
    }

    /// A comparison is over: who waits for it is told.
    pub(super) fn tell_resynced(&mut self) {
        let Some(resynced) = self.cluster.resynced.take() else { return };
        let Some(answer) = self.resyncing.take() else { return };
        let nodes = self.names_of(&[resynced.with]);
        let silent = if resynced.is_whole { Vec::new() } else { nodes.clone() };
        answer.give(Ok(Reply::Resync(ResyncDocument {
            finished: true,
            nodes,
            silent,
            owners: resynced.owners,
            changes: usize::try_from(resynced.changes).unwrap_or(usize::MAX),
            seconds: resynced.took.as_secs_f64(),
        })));
    }

    /// Takes back this node's records; the answer comes when all have acknowledged.
    pub(super) fn drain_for(&mut self, timeout: Duration, leave: bool, answer: Answer) {
        if self.cluster.draining.is_some() {
            let error = "this node is being drained already".to_owned();
            return answer.give(Err(Refused::new(RefusedKind::Conflict, error)));
        }
        let alive = self.cluster.gossip.membership().alive();
        self.cluster.draining = Some((alive, leave, answer));
        self.cluster.engine.withdraw();
        self.cluster.end_cuts();
        self.cluster.end_shares();
        self.cluster.gossip.drain(clock::moment(clock::now()), timeout.min(DRAIN_MAX));
    }

    /// The drain is over: who waits for it is told, and a node that leaves goes.
    pub(super) fn tell_drained(&mut self) {
        let Some(missing) = self.cluster.drained.take() else { return };
        let Some((alive, leave, answer)) = self.cluster.draining.take() else { return };
        let acknowledged = alive.saturating_sub(missing.len());
        let missing = self.names_of(&missing);
        if leave {
            self.cluster.gossip.leave(clock::moment(clock::now()));
            answer.give(Ok(Reply::Leave(LeaveDocument { acknowledged, missing })));
            self.leaving = true;
        } else {
            answer.give(Ok(Reply::Drain(DrainDocument { acknowledged, missing })));
        }
    }

    /// The keys, by id.
    pub(super) fn keys(&self) -> Reply {
        let ring = self.cluster.gossip.secrecy().ring();
        let key = |(at, key): (usize, &Key)| KeyDocument { id: key.id().to_string(), seals: at == 0 };
        Reply::Keys(KeysDocument { keys: ring.keys().iter().enumerate().map(key).collect() })
    }

    /// A step of a rotation.
    pub(super) fn change_key(&mut self, change: Result<RingChange, Refused>) -> Result<Reply, Refused> {
        let change = change?;
        let changed = self.cluster.gossip.change_key(clock::moment(clock::now()), &change);
        changed.map_err(|error| Refused::new(RefusedKind::Conflict, error.to_string()))?;
        Ok(self.keys())
    }
}

/// A member, how it is, how many records it published, and the round trip to it.
type Shown = (Arc<Told>, Health, usize, Option<Duration>);

fn document(all: &[Shown], this: NodeId) -> MembersDocument {
    let member = |(told, health, records, trip): &Shown| MemberDocument {
        id: told.id().to_string(),
        name: told.info.name.to_string(),
        address: told.info.address.to_string(),
        health: health_word(*health).to_owned(),
        incarnation: told.incarnation.to_string(),
        rtt_seconds: trip.map(|trip| trip.as_secs_f64()),
        records: *records,
        this: told.id() == this,
    };
    let mut members: Vec<MemberDocument> = all.iter().map(member).collect();
    members.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    MembersDocument { members }
}

/// A key as a user gives it.
pub(super) fn read_key(text: &str) -> Result<RingChange, Refused> {
    let malformed = || {
        let error = "a key is 32 octets in base64 or hexadecimal, as `hivedns keygen` prints it".to_owned();
        Refused::new(RefusedKind::Malformed, error)
    };
    Key::parse(text.trim()).map(RingChange::Add).ok_or_else(malformed)
}

/// A key's id as a user gives it.
pub(super) fn read_key_id(text: &str) -> Result<KeyId, Refused> {
    text.parse().map_err(|error| Refused::new(RefusedKind::Malformed, format!("{text}: {error}")))
}
