//! From what is said of containers, services and nodes to names: the same on every node that has heard the same, in
//! whatever order, and a change touches only the names that it is about.
//!
//! ```text
//! endpoints, specs, task states ─► units ─► contributions to names ─► what each owner says at a name ─► deltas
//!                                    └────► claims to addresses ────► who asks from there, and what it is called
//! ```
//!
//! A **unit** is what has names of its own: a service with its tasks, a container that belongs to none, a node. When
//! something of a unit changes it is derived anew, and where that gives other contributions than before the name is
//! made anew from all that contribute to it. What comes of a name is the same as if all were made from nothing.
//!
//! Knows nothing of leases: what a lost node said stays until it is taken back or the node is forgotten. But it is told when
//! that is not served any more ([`Names::set_gone`]): then its tasks are not among those that are ready.

mod askers;
mod claims;
mod contribution;
mod derive;
mod hearing;
mod labels;
mod ports;
mod row;
mod shape;
mod standing;
#[cfg(test)]
mod tests;
mod unit;

pub use askers::{Claim, Networks};
pub use row::Row;
pub use standing::Standing;

use crate::catalog::delta::Delta;
use crate::catalog::lease::{OwnerId, Source};
use crate::discovery::endpoint::Endpoint;
use crate::discovery::labels::Order;
use crate::discovery::names::askers::Claims;
use crate::discovery::names::contribution::{Contribution, Said, unite};
use crate::discovery::names::derive::Derived;
use crate::discovery::names::unit::{Unit, UnitKey};
use crate::discovery::node;
use crate::discovery::service::ServiceSpec;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A name's labels in front of the domain, in wire form and lower case.
type Key = Box<[u8]>;

/// Who said something, of which type, and its hash.
type Told = ((OwnerId, RecordType), u64);

/// What is configured, and where this node stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The domain of the names.
    pub domain: Name,
    /// TTL in seconds, where no label says another.
    pub ttl: u32,
    /// Where none of a service's tasks is ready: all of them that are not withdrawn, or none.
    pub fail_open: bool,
    /// The order of addresses, where no label says another.
    pub order: Order,
    /// This node.
    pub me: OwnerId,
    /// The network of which unknown askers get the addresses; empty: those of the container that has one of the
    /// addresses of [`Names::set_home`], or if there is none the networks of this node's engine alone.
    pub external: String,
}

/// One way in which a name can be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reading {
    /// Which row of the table of names says so.
    pub row: Row,
    /// What is read: a service, a container or a node.
    pub what: String,
    /// False if an earlier row won.
    pub is_taken: bool,
}

/// The names of what records are tagged with, by number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Legend {
    /// Networks.
    pub networks: BTreeMap<u32, String>,
    /// Stacks and projects.
    pub stacks: BTreeMap<u32, String>,
}

/// See the module.
#[derive(Debug)]
pub struct Names {
    terms: Terms,
    units: BTreeMap<UnitKey, Unit>,
    /// To which unit an endpoint belongs.
    homes: BTreeMap<(OwnerId, Box<str>), UnitKey>,
    /// Services in which a task is, so that what is said of the task finds them.
    tasks: BTreeMap<Box<str>, BTreeSet<UnitKey>>,
    /// Who says of a task that it is to end.
    withdrawn: BTreeMap<Box<str>, BTreeSet<OwnerId>>,
    /// What each owner said of services and tasks, to take it back.
    spoken: BTreeMap<OwnerId, Spoken>,
    /// Who contributes to a name, and what.
    names: BTreeMap<Key, BTreeMap<UnitKey, Arc<[Contribution]>>>,
    /// What was told of a name, as hashes.
    told: BTreeMap<Key, Vec<Told>>,
    claims: Claims,
    /// Owners whose words are over, as far as their TTL is no longer than this.
    gone: BTreeMap<OwnerId, u32>,
    /// Units to derive anew ...
    stale: BTreeSet<UnitKey>,
    /// ... and names to make anew.
    touched: BTreeSet<Key>,
}

/// What an owner said, by id.
#[derive(Debug, Default)]
struct Spoken {
    endpoints: BTreeSet<Box<str>>,
    services: BTreeSet<Box<str>>,
    tasks: BTreeSet<Box<str>>,
    node: bool,
}

impl Names {
    /// Without names.
    pub fn new(terms: Terms) -> Names {
        Names {
            claims: Claims::new(&terms),
            terms,
            units: BTreeMap::new(),
            homes: BTreeMap::new(),
            tasks: BTreeMap::new(),
            withdrawn: BTreeMap::new(),
            spoken: BTreeMap::new(),
            names: BTreeMap::new(),
            told: BTreeMap::new(),
            gone: BTreeMap::new(),
            stale: BTreeSet::new(),
            touched: BTreeSet::new(),
        }
    }

    /// What is configured.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// An owner says this of one of its containers.
    pub fn put_endpoint(&mut self, owner: OwnerId, endpoint: Endpoint) {
        let place = (owner, Box::from(endpoint.id.as_str()));
        let key = UnitKey::of(owner, &endpoint);
        match self.homes.get(&place) {
            Some(old) if *old != key => self.drop_endpoint(owner, &place.1),
            _ => {}
        }
        self.spoken.entry(owner).or_default().endpoints.insert(place.1.clone());
        if let Some(task) = &endpoint.task {
            self.tasks.entry(task.id.as_str().into()).or_default().insert(key.clone());
        }
        let unit = self.units.entry(key.clone()).or_default();
        if unit.members.get(&place).is_some_and(|known| **known == endpoint) {
            return;
        }
        unit.members.insert(place.clone(), Arc::new(endpoint));
        self.homes.insert(place, key.clone());
        self.stale.insert(key);
    }

    /// It says nothing any more of that container.
    pub fn drop_endpoint(&mut self, owner: OwnerId, id: &str) {
        let place = (owner, Box::from(id));
        let Some(key) = self.homes.remove(&place) else { return };
        if let Some(spoken) = self.spoken.get_mut(&owner) {
            spoken.endpoints.remove(id);
        }
        let Some(unit) = self.units.get_mut(&key) else { return };
        let gone = unit.members.remove(&place);
        if let Some(task) = gone.as_ref().and_then(|endpoint| endpoint.task.as_ref()) {
            let is_told =
                |other: &Arc<Endpoint>| other.task.as_ref().is_some_and(|other| other.id == task.id);
            if !unit.members.values().any(is_told)
                && let Some(units) = self.tasks.get_mut(task.id.as_str())
            {
                units.remove(&key);
                if units.is_empty() {
                    self.tasks.remove(task.id.as_str());
                }
            }
        }
        self.stale.insert(key);
    }

    /// An owner that speaks for the managers says this of a service.
    pub fn put_service(&mut self, owner: OwnerId, spec: ServiceSpec) {
        let key = UnitKey::Service(spec.id.as_str().into());
        self.spoken.entry(owner).or_default().services.insert(spec.id.as_str().into());
        let unit = self.units.entry(key.clone()).or_default();
        if unit.specs.get(&owner).is_some_and(|known| **known == spec) {
            return;
        }
        unit.specs.insert(owner, Arc::new(spec));
        self.stale.insert(key);
    }

    /// It says nothing any more of that service.
    pub fn drop_service(&mut self, owner: OwnerId, id: &str) {
        if let Some(spoken) = self.spoken.get_mut(&owner) {
            spoken.services.remove(id);
        }
        let key = UnitKey::Service(id.into());
        if let Some(unit) = self.units.get_mut(&key)
            && unit.specs.remove(&owner).is_some()
        {
            self.stale.insert(key);
        }
    }

    /// An owner that speaks for the managers says whether a task is to end; taking back what it said is `false`, too.
    pub fn put_task(&mut self, owner: OwnerId, id: &str, withdrawn: bool) {
        let spoken = self.spoken.entry(owner).or_default();
        if withdrawn {
            spoken.tasks.insert(id.into());
        } else {
            spoken.tasks.remove(id);
        }
        let owners = self.withdrawn.entry(id.into()).or_default();
        let before = !owners.is_empty();
        if withdrawn {
            owners.insert(owner);
        } else {
            owners.remove(&owner);
        }
        let after = !owners.is_empty();
        if !after {
            self.withdrawn.remove(id);
        }
        if before != after {
            self.stale.extend(self.tasks.get(id).into_iter().flatten().cloned());
        }
    }

    /// An owner is called so and says this of itself; `None`: nothing any more.
    pub fn put_node(&mut self, owner: OwnerId, node: Option<(&str, &node::Entry)>) {
        let key = UnitKey::Node(owner);
        self.spoken.entry(owner).or_default().node = node.is_some();
        let node = node.map(|(name, entry)| (Box::from(name), entry.clone()));
        let unit = self.units.entry(key.clone()).or_default();
        if unit.node != node {
            unit.node = node;
        }
        self.stale.insert(key);
    }

    /// What an owner has said of containers, services and tasks and does not say any more: all but what `says` it, by
    /// the first octet of the entry's key and the id.
    pub fn keep(&mut self, owner: OwnerId, says: impl Fn(u8, &str) -> bool) {
        use crate::discovery::{endpoint, service};
        let Some(spoken) = self.spoken.get(&owner) else { return };
        let gone = |kind: u8, ids: &BTreeSet<Box<str>>| -> Vec<Box<str>> {
            ids.iter().filter(|id| !says(kind, id)).cloned().collect()
        };
        let endpoints = gone(endpoint::codec::KIND, &spoken.endpoints);
        let services = gone(service::codec::SERVICE_KIND, &spoken.services);
        let tasks = gone(service::codec::TASK_KIND, &spoken.tasks);
        endpoints.iter().for_each(|id| self.drop_endpoint(owner, id));
        services.iter().for_each(|id| self.drop_service(owner, id));
        tasks.iter().for_each(|id| self.put_task(owner, id, false));
    }

    /// An owner is forgotten with all that it said: no delta takes it back.
    pub fn forget(&mut self, owner: OwnerId) {
        self.keep(owner, |_, _| false);
        if self.spoken.remove(&owner).is_some_and(|spoken| spoken.node) {
            self.put_node(owner, None);
            self.spoken.remove(&owner);
        }
        self.gone.remove(&owner);
        self.renew(owner);
    }

    /// What an owner says with a TTL of at most so many seconds is not served any more; `None`: all of it is. Its tasks
    /// count as not ready, its word that a task is to end as not said, and its addresses have no names.
    pub fn set_gone(&mut self, owner: OwnerId, ttl_max: Option<u32>) {
        let before = match ttl_max {
            Some(ttl_max) => self.gone.insert(owner, ttl_max),
            None => self.gone.remove(&owner),
        };
        let Some(spoken) = self.spoken.get(&owner).filter(|_| before != ttl_max) else { return };
        let endpoints = spoken.endpoints.iter().filter_map(|id| self.homes.get(&(owner, id.clone())));
        let tasks = spoken.tasks.iter().filter_map(|id| self.tasks.get(id)).flatten();
        self.stale.extend(endpoints.chain(tasks).cloned());
        self.stale.extend(spoken.services.iter().map(|id| UnitKey::Service((&**id).into())));
        self.stale.extend(spoken.node.then_some(UnitKey::Node(owner)));
    }

    /// The longest TTL of what an owner says, in seconds.
    pub fn longest_ttl(&self, owner: OwnerId) -> u32 {
        let endpoints = self.spoken.get(&owner).into_iter().flat_map(|spoken| &spoken.endpoints);
        let units = endpoints.filter_map(|id| self.units.get(self.homes.get(&(owner, id.clone()))?));
        units.map(|unit| unit.ttl(&self.terms, &self.gone)).fold(self.terms.ttl, u32::max)
    }

    /// What was told of an owner is not there any more: it is told again, as far as it is still so.
    pub fn renew(&mut self, owner: OwnerId) {
        for (key, told) in &mut self.told {
            let before = told.len();
            told.retain(|((teller, _), _)| *teller != owner);
            if told.len() != before {
                self.touched.insert(key.clone());
            }
        }
    }

    /// Addresses at which this node itself is reached: the container that has one of them is its own.
    pub fn set_home(&mut self, addresses: impl IntoIterator<Item = std::net::IpAddr>) {
        self.claims.set_home(addresses.into_iter().collect());
    }

    /// What has changed since this was last asked.
    pub fn changes(&mut self) -> Vec<Delta> {
        for key in std::mem::take(&mut self.stale) {
            self.derive(&key);
        }
        let mut deltas = Vec::new();
        for key in std::mem::take(&mut self.touched) {
            self.tell(key, &mut deltas);
        }
        self.claims.changes(&mut deltas);
        deltas
    }

    /// Derives a unit anew and notes the names at which it contributes something else than before.
    fn derive(&mut self, key: &UnitKey) {
        let Some(unit) = self.units.get_mut(key) else { return };
        let is_withdrawn = |task: &str| is_to_end(&self.withdrawn, &self.gone, task);
        let Derived { names, claims } = unit.derive(key, &self.terms, &self.gone, &is_withdrawn);
        self.claims.replace(std::mem::replace(&mut unit.claims, claims.clone()), claims);
        let before = std::mem::replace(&mut unit.names, names.keys().cloned().collect());
        let gone = before.iter().filter(|name| !names.contains_key(*name)).cloned();
        for name in gone {
            if let Some(units) = self.names.get_mut(&name) {
                units.remove(key);
                if units.is_empty() {
                    self.names.remove(&name);
                }
            }
            self.touched.insert(name);
        }
        for (name, contributions) in names {
            let units = self.names.entry(name.clone()).or_default();
            if units.get(key).is_none_or(|known| **known != *contributions) {
                units.insert(key.clone(), contributions.into());
                self.touched.insert(name);
            }
        }
        if unit.is_empty() {
            self.units.remove(key);
        }
    }

    /// Makes a name anew; what differs from what was told is told.
    fn tell(&mut self, key: Key, deltas: &mut Vec<Delta>) {
        let units = self.names.get(&key);
        let said = unite(units.into_iter().flat_map(|units| units.values()).flat_map(|all| all.iter()));
        let before = self.told.remove(&key).unwrap_or_default();
        let now: Vec<Told> = said.iter().map(|(place, said)| (*place, said.hash())).collect();
        let wire = [&key, self.terms.domain.as_wire()].concat();
        if let Ok(name) = Name::from_wire(&wire) {
            let gone = before.iter().filter(|(place, _)| !said.contains_key(place));
            for ((owner, rtype), _) in gone {
                let (source, name, rtype) = (Source::Owner(*owner), name.clone(), *rtype);
                deltas.push(Delta::DropRecords { source, name, rtype });
            }
            for (((owner, rtype), Said { ttl, rdatas }), told) in said.into_iter().zip(&now) {
                if before.contains(told) {
                    continue;
                }
                let (source, name, rdatas) =
                    (Source::Owner(owner), name.clone(), rdatas.into_iter().collect());
                deltas.push(Delta::PutRecords { source, name, rtype, ttl, rdatas });
            }
        }
        if !now.is_empty() {
            self.told.insert(key, now);
        }
    }

    /// In which ways a name below the domain can be read, by row.
    pub fn readings(&self, name: &Name) -> Vec<Reading> {
        let Some(units) = self.units_at(name) else { return Vec::new() };
        let rows = units.iter().flat_map(|(unit, all)| all.iter().map(move |one| (one.row, unit)));
        let mut readings: Vec<Reading> = rows
            .map(|(row, unit)| {
                let what = self.units.get(unit).map_or_else(String::new, |known| known.describe(unit));
                Reading { row, what, is_taken: true }
            })
            .collect();
        readings.sort();
        readings.dedup();
        let first = readings.first().map(|reading| reading.row);
        readings.iter_mut().for_each(|reading| reading.is_taken = Some(reading.row) == first);
        readings
    }

    /// What contributes to a name.
    fn units_at(&self, name: &Name) -> Option<&BTreeMap<UnitKey, Arc<[Contribution]>>> {
        let lowered = name.to_lowercase();
        self.names.get(lowered.as_wire().strip_suffix(self.terms.domain.to_lowercase().as_wire())?)
    }

    /// The names behind the numbers in tags.
    pub fn legend(&self) -> Legend {
        let mut legend = Legend::default();
        for unit in self.units.values() {
            unit.explain(&mut legend);
        }
        legend
    }

    /// The networks of those whom nobody knows, in the order in which they count.
    pub fn outsiders(&self) -> Box<[u32]> {
        self.claims.outsiders().networks
    }

    /// What the networks in which there are containers are called, by number; unlike [`Names::legend`] it costs only as
    /// much as there are networks.
    pub fn networks(&self) -> BTreeMap<u32, Arc<str>> {
        self.claims.networks()
    }

    /// The claim that counts at an address: who asks from there.
    pub fn asker(&self, address: std::net::IpAddr) -> Option<&Claim> {
        self.claims.get(address)
    }
}

/// True if somebody whose words count says of a task that it is to end.
fn is_to_end(
    withdrawn: &BTreeMap<Box<str>, BTreeSet<OwnerId>>,
    gone: &BTreeMap<OwnerId, u32>,
    task: &str,
) -> bool {
    withdrawn.get(task).into_iter().flatten().any(|owner| !gone.contains_key(owner))
}
