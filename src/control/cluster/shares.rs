//! Zones that members share: what each node says of them, put together into whose version counts and who is asked for it.
//!
//! What a node says in its log counts as long as the log is known. Of a node that the cluster has forgotten the last word
//! counts on, and so does what this node remembers from its last life, until the publisher is heard again; a node that left
//! shares nothing.

mod kept;
#[cfg(test)]
mod tests;

use crate::base::config::{Config, Hmac, Shared, TsigKey};
use crate::base::time::Moment;
use crate::control::cluster::Cluster;
use crate::control::exchange::apex;
use crate::discovery::share::{self, KIND, LISTENERS_KEY, Listeners, Member, Publisher, ZONES_MAX};
use crate::gossip::identity::{NodeId, Version};
use crate::gossip::machine::Gossip;
use crate::gossip::output::{Event, Health, NodeInfo};
use crate::gossip::replication::log::{Entry, Log};
use crate::keeper::Write;
use crate::transfer::tsig::Key;
use crate::wire::name::Name;
use crate::zone::Serial;
use kept::Kept;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// For how long at least a node that nobody remembers has been away: members remember lost ones for a day.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(86_400);

/// What all nodes say, and what this one does.
pub(super) struct Shares {
    me: NodeId,
    /// Where this node listens.
    listening: Vec<SocketAddr>,
    owners: BTreeMap<NodeId, Said>,
    /// Those of them that share anything: where nobody does, members come and go unheeded.
    publishers: BTreeSet<NodeId>,
    /// Zones that this node shares.
    own: BTreeSet<Name>,
    /// This node took back what it said, and says nothing any more.
    is_withdrawn: bool,
    /// Something changed that may matter to zones.
    is_news: bool,
    /// As it is on disk.
    kept: Vec<u8>,
}

/// What one node says.
#[derive(Default)]
struct Said {
    /// What it was called last.
    name: Box<str>,
    /// It went for good.
    has_left: bool,
    listeners: Vec<SocketAddr>,
    /// Each with the serial that was said last.
    zones: BTreeMap<Name, Option<Serial>>,
}

/// A zone that somebody shares, as it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::control) struct Followed {
    /// Where it comes from.
    pub(in crate::control) from: Shared,
    /// The version that the publisher has, if it has said so.
    pub(in crate::control) serial: Option<Serial>,
    /// The publisher is a member, if perhaps a lost one.
    pub(in crate::control) is_member: bool,
    /// It lives.
    pub(in crate::control) lives: bool,
}

impl Shares {
    /// Of a node that listens there and remembers that.
    pub(super) fn new(me: NodeId, listening: &[SocketAddr], kept: Option<&[u8]>) -> Shares {
        let mut owners: BTreeMap<NodeId, Said> = BTreeMap::new();
        match kept.map(kept::read) {
            Some(Ok(all)) => {
                for Kept { origin, publisher, by, at } in all {
                    let said = owners.entry(NodeId(publisher)).or_default();
                    (said.name, said.listeners) = (by, at);
                    said.zones.insert(origin, None);
                }
            }
            Some(Err(why)) => tracing::error!("which zones members shared is not known any more: {why}"),
            None => {}
        }
        Shares {
            me,
            listening: listening.to_vec(),
            is_news: !owners.is_empty(),
            publishers: owners.keys().copied().collect(),
            owners,
            own: BTreeSet::new(),
            is_withdrawn: false,
            kept: kept.unwrap_or_default().to_vec(),
        }
    }

    /// Takes news of the cluster; what is wrong with what a node says.
    pub(super) fn hear(&mut self, event: &Event) -> Vec<String> {
        match event {
            Event::Records { owner, log, since } => return self.records(*owner, log, *since),
            Event::Member { info, health } => {
                let has_left = *health == Health::Left;
                if has_left || self.owners.contains_key(&info.id) {
                    let said = self.owners.entry(info.id).or_default();
                    (said.name, said.has_left) = (info.name.clone(), has_left);
                    self.is_news |= !self.publishers.is_empty();
                }
            }
            Event::Forgotten { id } => {
                self.is_news |= !self.publishers.is_empty();
                // Of who was lost the last word counts on.
                if self.owners.get(id).is_some_and(|said| said.has_left || said.zones.is_empty()) {
                    self.owners.remove(id);
                    self.publishers.remove(id);
                }
            }
            Event::Identity { id, .. } => {
                // What the other process says under the old id comes from there.
                let old = std::mem::replace(&mut self.me, *id);
                if old != *id {
                    self.owners.remove(&old);
                    self.publishers.remove(&old);
                }
                self.is_news = true;
            }
            Event::Keys | Event::Synced { .. } => self.is_news = true,
            Event::Lease { .. }
            | Event::Cluster { .. }
            | Event::ClusterReplaced { .. }
            | Event::Drained { .. }
            | Event::Asked { .. }
            | Event::Known { .. }
            | Event::Resynced { .. }
            | Event::ExpiryFrozen(_) => {}
        }
        Vec::new()
    }

    fn records(&mut self, owner: NodeId, log: &Log, since: Option<Version>) -> Vec<String> {
        let entries: Vec<Entry<'_>> = match since {
            Some(since) => log.since(since),
            None => log.records().collect(),
        };
        let mut before = BTreeMap::new();
        if let Some(said) = self.owners.get_mut(&owner).filter(|_| since.is_none()) {
            said.listeners.clear();
            before = std::mem::take(&mut said.zones);
            self.is_news |= !before.is_empty();
        }
        let mut faults = Vec::new();
        for entry in
            entries.iter().filter(|entry| entry.key == LISTENERS_KEY || entry.key.first() == Some(&KIND))
        {
            self.is_news = true;
            if let Err(fault) = self.entry(owner, entry, &before) {
                faults.push(format!("what node {owner} says of shared zones is left out: {fault}"));
            }
        }
        match self.owners.get(&owner).is_some_and(|said| !said.zones.is_empty()) {
            true => self.publishers.insert(owner),
            false => self.publishers.remove(&owner),
        };
        faults
    }

    /// `before`: what the node said in an earlier life. Before it has read a zone in this one, it has what it had.
    fn entry(
        &mut self,
        owner: NodeId,
        entry: &Entry<'_>,
        before: &BTreeMap<Name, Option<Serial>>,
    ) -> Result<(), String> {
        let said = self.owners.entry(owner).or_default();
        if entry.key == LISTENERS_KEY {
            said.listeners.clear();
            if let Some(value) = entry.value {
                said.listeners = Listeners::decode(value).map_err(|poison| poison.to_string())?.0;
            }
            return Ok(());
        }
        let Some(origin) = share::origin(entry.key) else { return Ok(()) };
        let origin = origin.map_err(|poison| poison.to_string())?;
        let known = said.zones.remove(&origin).or_else(|| before.get(&origin).copied()).flatten();
        if let Some(value) = entry.value {
            let serial = share::decode(value).map_err(|poison| format!("{origin}: {poison}"))?;
            if said.zones.len() >= ZONES_MAX {
                return Err(format!("{origin}: it shares more than {ZONES_MAX} zones"));
            }
            said.zones.insert(origin, serial.or(known));
        }
        Ok(())
    }

    /// Every zone that somebody shares, this node included: whose version counts, and who is asked for it. `known`: who is
    /// a member, and how it is.
    fn followed(
        &self,
        known: impl Fn(NodeId) -> Option<(Arc<NodeInfo>, Health)>,
    ) -> BTreeMap<Name, Followed> {
        let mut publishers: BTreeMap<&Name, Vec<Publisher>> = BTreeMap::new();
        let mut members = Vec::new();
        if self.publishers.is_empty() {
            return BTreeMap::new();
        }
        for (id, said) in self.owners.iter().filter(|(_, said)| !said.has_left) {
            let health = known(*id).map(|(_, health)| health);
            if health == Some(Health::Left) {
                continue;
            }
            let answers = matches!(health, Some(Health::Alive | Health::Suspect));
            // Who restarts is back soon.
            let (lives, is_member) = (answers || health == Some(Health::Restarting), health.is_some());
            for (origin, serial) in &said.zones {
                let publisher = Publisher { id: id.0, serial: *serial, lives, is_member };
                publishers.entry(origin).or_default().push(publisher);
            }
            let address = said.listeners.first().filter(|_| answers);
            members.extend(address.map(|address| Member { id: id.0, address: *address }));
        }
        let copies = share::copies(self.me.0, members);
        let followed = publishers.into_iter().filter_map(|(origin, publishers)| {
            let best = share::followed(publishers.iter().copied())?;
            let said = self.owners.get(&NodeId(best.id))?;
            // Another publisher has a zone of its own.
            let has_copy = |member: &&Member| publishers.iter().all(|publisher| publisher.id != member.id);
            let mut primaries = said.listeners.clone();
            primaries.extend(copies.iter().filter(has_copy).map(|member| member.address));
            let from = Shared {
                publisher: best.id,
                by: known(NodeId(best.id)).map_or_else(|| said.name.clone(), |(info, _)| info.name.clone()),
                own: said.listeners.len(),
                primaries,
            };
            let Publisher { serial, is_member, lives, .. } = best;
            Some((origin.clone(), Followed { from, serial, is_member, lives }))
        });
        followed.collect()
    }
}

/// A member, or this node, and how it is.
fn known(gossip: &Gossip, id: NodeId) -> Option<(Arc<NodeInfo>, Health)> {
    match id == gossip.me().id {
        true => Some((Arc::clone(gossip.me()), Health::Alive)),
        false => gossip.membership().get(id).map(|member| (Arc::clone(&member.told.info), member.health)),
    }
}

impl Cluster {
    /// Every zone that members share, if there is news of them. In a cluster without keys nobody shares any.
    pub(in crate::control) fn take_followed(&mut self) -> Option<BTreeMap<Name, Followed>> {
        std::mem::take(&mut self.shares.is_news).then(|| self.followed())
    }

    /// Every zone that members share.
    pub(in crate::control) fn followed(&self) -> BTreeMap<Name, Followed> {
        match self.gossip.secrecy().ring().is_empty() {
            true => BTreeMap::new(),
            false => self.shares.followed(|id| known(&self.gossip, id)),
        }
    }

    /// What is done with shared zones is to be thought over, though nobody says anything new.
    pub(in crate::control) fn think_shares_over(&mut self) {
        self.shares.is_news = true;
    }

    /// Remembers which zones come from members.
    pub(in crate::control) fn keep_followed(&mut self, zones: &BTreeMap<Name, Followed>) {
        let kept = zones.iter().map(|(origin, followed)| Kept {
            origin: origin.clone(),
            publisher: followed.from.publisher,
            by: followed.from.by.clone(),
            at: followed.from.primaries.iter().take(followed.from.own).copied().collect(),
        });
        let kept = kept::write(kept);
        if kept != self.shares.kept {
            self.keep(Write::Shared(kept.clone()));
            self.shares.kept = kept;
        }
    }

    /// Shares the zones that the configuration says, each at the version at hand, and no others.
    pub(in crate::control) fn share(
        &mut self,
        now: Moment,
        config: &Config,
        version: impl Fn(&Name) -> Option<Serial>,
    ) {
        if self.shares.is_withdrawn {
            return;
        }
        let own: BTreeSet<Name> = config.zones.iter().filter(|zone| zone.share).filter_map(apex).collect();
        for gone in self.shares.own.difference(&own) {
            tracing::info!(zone = %gone, "not shared any more");
            self.gossip.remove(now, &share::key(gone));
        }
        for origin in &own {
            self.gossip.put(now, &share::key(origin), &share::value(version(origin)));
        }
        self.shares.own = own;
    }

    /// Tells members of a version of a zone that this node shares.
    pub(in crate::control) fn share_version(&mut self, now: Moment, origin: &Name, serial: Serial) {
        if self.shares.own.contains(origin) {
            self.gossip.put(now, &share::key(origin), &share::value(Some(serial)));
        }
    }

    /// Tells members where this node answers. Where there are no keys nobody transfers anything.
    pub(super) fn publish_listeners(&mut self, now: Moment) {
        if self.shares.is_withdrawn || self.gossip.secrecy().ring().is_empty() {
            return;
        }
        let listeners = Listeners::new(&self.shares.listening, self.advertised.address.ip());
        self.gossip.put(now, LISTENERS_KEY, &listeners.value());
    }

    /// This node shares nothing any more: it is being drained.
    pub(in crate::control) fn end_shares(&mut self) {
        self.shares.is_withdrawn = true;
        self.shares.own.clear();
    }

    /// The keys that sign transfers of shared zones, one for each key of the cluster; the first signs here.
    pub(in crate::control) fn transfer_keys(&self) -> Vec<Arc<Key>> {
        let secrets = self.gossip.secrecy().transfer_secrets().into_iter();
        let keys = secrets.filter_map(|(id, secret)| {
            let name = TsigKey::of_the_cluster(&id.to_string())?;
            Some(Arc::new(Key::new(&Name::parse(name.as_str()).ok()?, Hmac::Sha256, &secret)))
        });
        keys.collect()
    }

    /// For how long a publisher has not been there; `None`: it lives.
    pub(in crate::control) fn away_for(&self, now: Moment, publisher: u64) -> Option<Duration> {
        match self.gossip.membership().get(NodeId(publisher)) {
            Some(member) => member.since.map(|since| now.since(since)),
            None => Some(FORGOTTEN_AFTER),
        }
    }
}
