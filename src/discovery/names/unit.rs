//! What has names of its own, and what is said of it.

use crate::catalog::lease::OwnerId;
use crate::discovery::endpoint::Endpoint;
use crate::discovery::names::askers::Claim;
use crate::discovery::names::derive::{Derived, Member, container, node_names, service};
use crate::discovery::names::{Key, Legend, Terms};
use crate::discovery::node;
use crate::discovery::service::ServiceSpec;
use crate::zone::view::number;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// Which unit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum UnitKey {
    /// A service of a swarm, by its id.
    Service(Arc<str>),
    /// A service of a Compose project: the project and the service's name in it.
    Compose(Arc<str>, Arc<str>),
    /// A container that belongs to no service: on which node, and its id.
    Container(OwnerId, Arc<str>),
    /// A node.
    Node(OwnerId),
}

impl UnitKey {
    /// The unit of a container.
    pub(super) fn of(owner: OwnerId, endpoint: &Endpoint) -> UnitKey {
        match (&endpoint.service, &endpoint.compose) {
            (Some(service), _) => UnitKey::Service(service.id.as_str().into()),
            (None, Some(compose)) => {
                UnitKey::Compose(compose.project.as_str().into(), compose.service.as_str().into())
            }
            (None, None) => UnitKey::Container(owner, endpoint.id.as_str().into()),
        }
    }
}

/// What is said of a unit.
#[derive(Debug, Default)]
pub(super) struct Unit {
    /// Its containers, by who says so and their id.
    pub(super) members: BTreeMap<(OwnerId, Box<str>), Arc<Endpoint>>,
    /// What managers say of the service: one speaks, and for a moment two.
    pub(super) specs: BTreeMap<OwnerId, Arc<ServiceSpec>>,
    /// The node's name and entry.
    pub(super) node: Option<(Box<str>, node::Entry)>,
    /// The names to which it contributes.
    pub(super) names: BTreeSet<Key>,
    /// The addresses that it claims, rising.
    pub(super) claims: Vec<(IpAddr, Claim)>,
}

/// True if what an owner says with that TTL is over.
fn is_gone(gone: &BTreeMap<OwnerId, u32>, owner: OwnerId, ttl: u32) -> bool {
    gone.get(&owner).is_some_and(|ttl_max| ttl <= *ttl_max)
}

impl Unit {
    /// True if nothing is said of it.
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.specs.is_empty() && self.node.is_none()
    }

    /// What managers say: before all that of one that is not gone, then the newest, and of equal ones the one of the
    /// lowest owner.
    fn spec(&self, gone: &BTreeMap<OwnerId, u32>) -> Option<(OwnerId, &ServiceSpec)> {
        let all = self.specs.iter().rev();
        let newest = all.max_by_key(|(owner, spec)| (!gone.contains_key(*owner), spec.version));
        newest.map(|(owner, spec)| (*owner, &**spec))
    }

    /// The TTL of its names, in seconds.
    pub(super) fn ttl(&self, terms: &Terms, gone: &BTreeMap<OwnerId, u32>) -> u32 {
        let said = self.spec(gone).and_then(|(_, spec)| spec.labels.ttl);
        let below = || self.members.values().next().and_then(|endpoint| endpoint.labels.ttl);
        said.or_else(below).unwrap_or(terms.ttl)
    }

    /// What it gives to names, and the addresses that it claims.
    pub(super) fn derive(
        &self,
        key: &UnitKey,
        terms: &Terms,
        gone: &BTreeMap<OwnerId, u32>,
        is_withdrawn: &dyn Fn(&str) -> bool,
    ) -> Derived {
        let members = self.members(terms, gone, is_withdrawn);
        match key {
            UnitKey::Service(_) | UnitKey::Compose(..) => service(key, &members, self.spec(gone), terms),
            UnitKey::Container(..) => container(&members, terms),
            UnitKey::Node(owner) => {
                let is_gone = is_gone(gone, *owner, self.ttl(terms, gone));
                node_names(*owner, self.node.as_ref(), terms, is_gone)
            }
        }
    }

    /// Its containers, and what is to be known of each beside what its node says.
    pub(super) fn members(
        &self,
        terms: &Terms,
        gone: &BTreeMap<OwnerId, u32>,
        is_withdrawn: &dyn Fn(&str) -> bool,
    ) -> Vec<Member<'_>> {
        let ttl = self.ttl(terms, gone);
        let members = self.members.iter().map(|((owner, _), endpoint)| {
            let task = endpoint.task.as_ref();
            let is_withdrawn =
                endpoint.withdrawn.is_some() || task.is_some_and(|task| is_withdrawn(&task.id));
            Member { owner: *owner, endpoint, is_withdrawn, is_gone: is_gone(gone, *owner, ttl) }
        });
        members.collect()
    }

    /// In words.
    pub(super) fn describe(&self, key: &UnitKey) -> String {
        let first = self.members.values().next();
        match key {
            UnitKey::Service(id) => {
                let named = first.and_then(|endpoint| endpoint.service.as_ref()).map(|service| &service.name);
                let name = self.spec(&BTreeMap::new()).map(|(_, spec)| &spec.name).or(named);
                name.map_or_else(|| format!("service {id}"), |name| format!("service {name}"))
            }
            UnitKey::Compose(project, service) => format!("service {service} of project {project}"),
            UnitKey::Container(_, id) => match first {
                Some(endpoint) => format!("container {}", endpoint.name),
                None => format!("container {id}"),
            },
            UnitKey::Node(owner) => match &self.node {
                Some((name, _)) => format!("node {name}"),
                None => format!("node {:016x}", owner.0),
            },
        }
    }

    /// Notes what its networks and its stack are called.
    pub(super) fn explain(&self, legend: &mut Legend) {
        let mut stack = |name: &Option<String>| {
            if let Some(name) = name {
                legend.stacks.insert(number(name.as_bytes()), name.clone());
            }
        };
        for endpoint in self.members.values() {
            stack(&endpoint.service.as_ref().and_then(|service| service.stack.clone()));
            stack(&endpoint.compose.as_ref().map(|compose| compose.project.clone()));
        }
        self.specs.values().for_each(|spec| stack(&spec.stack));
        let attached = self.members.values().flat_map(|endpoint| &endpoint.networks);
        let attached = attached.map(|network| (&network.id, &network.name));
        let known = self.specs.values().flat_map(|spec| &spec.networks);
        for (id, name) in attached.chain(known.map(|network| (&network.id, &network.name))) {
            legend.networks.insert(number(id.as_bytes()), name.clone());
        }
    }
}
