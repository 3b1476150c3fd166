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

impl Control {
    /// Tells all members, this node among them. Ten thousand take longer to sort and write than the control thread
    /// has: the clerk does it.
    pub(super) fn tell_members(&mut self, answer: Answer) {
        let gossip = &self.cluster.gossip;
        let records = |id| {
            gossip.replication().owners().get(id).and_then(|owner| owner.shown()).map_or(0, |log| log.live())
        };
        let own = gossip.membership().own();
        let all: Vec<(Arc<Told>, Health, usize)> = gossip
            .membership()
            .members()
            .map(|member| (member.told, member.health))
            .chain([(own.clone(), Health::Alive)])
            .map(|(told, health)| {
                let records = records(told.id());
                (told, health, records)
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

    /// Begins a comparison with a member, and does not wait for its end.
    pub(super) fn resync(&mut self, node: Option<&str>) -> Result<Reply, Refused> {
        let with = node.map(|node| self.member(node)).transpose()?;
        let now = clock::moment(clock::now());
        if !self.cluster.gossip.resync(now, with.as_ref().map(|(id, _)| *id)) {
            return Err(Refused::new(RefusedKind::Unavailable, "there is no member that lives".to_owned()));
        }
        let nodes = with.map(|(_, name)| name).into_iter().collect();
        // Its end is not told by the machine; what is not known is not claimed.
        Ok(Reply::Resync(ResyncDocument { nodes, ..ResyncDocument::default() }))
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

/// Members with their health and how many records each published.
fn document(all: &[(Arc<Told>, Health, usize)], this: NodeId) -> MembersDocument {
    let member = |(told, health, records): &(Arc<Told>, Health, usize)| MemberDocument {
        id: told.id().to_string(),
        name: told.info.name.to_string(),
        address: told.info.address.to_string(),
        health: health_word(*health).to_owned(),
        incarnation: told.incarnation.to_string(),
        rtt_seconds: None,
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
