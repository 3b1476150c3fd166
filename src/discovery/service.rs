//! What only managers of a swarm know, as the instance that speaks for them says it: services with their labels, aliases
//! and virtual addresses, and tasks that are to end.
//!
//! Both are entries of the one who says them, and end with its lease: who takes over says them anew.

pub mod codec;

use crate::discovery::endpoint::{NAMES_MAX, PORTS_MAX, Port, cut, rising};
use crate::discovery::labels::Labels;
use std::net::IpAddr;

/// Networks of one service.
pub const NETWORKS_MAX: usize = 32;

/// A service as managers know it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceSpec {
    /// Its id.
    pub id: String,
    /// The swarm's number for this state of it: where two speak at once the higher one counts.
    pub version: u64,
    /// Its whole name, as `st_api`.
    pub name: String,
    /// The stack that it was deployed with.
    pub stack: Option<String>,
    /// `hivedns.*` of its `deploy.labels`.
    pub labels: Labels,
    /// What it is in each of its networks.
    pub networks: Vec<ServiceNetwork>,
    /// Ports that it publishes, as its tasks listen on them.
    pub ports: Vec<Port>,
}

/// A service's place in a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceNetwork {
    /// The network's id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// What else the service is called in it.
    pub aliases: Vec<String>,
    /// Its virtual addresses in it.
    pub vips: Vec<IpAddr>,
}

/// Virtual addresses in one network: one of each family.
pub const VIPS_MAX: usize = 4;

/// A task that its swarm wants to end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskState {
    /// The task's id.
    pub id: String,
    /// True if the desired state is beyond running.
    pub withdrawn: bool,
}

impl ServiceSpec {
    /// In the one form that all agree on, as [`Endpoint::normalized`](crate::discovery::endpoint::Endpoint::normalized).
    pub fn normalized(mut self) -> ServiceSpec {
        [&mut self.id, &mut self.name].into_iter().chain(&mut self.stack).for_each(cut);
        for network in &mut self.networks {
            [&mut network.id, &mut network.name].into_iter().chain(&mut network.aliases).for_each(cut);
            network.aliases.retain(|alias| !alias.is_empty());
            rising(&mut network.aliases, NAMES_MAX);
            rising(&mut network.vips, VIPS_MAX);
        }
        self.networks.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        self.networks.dedup_by(|b, a| (&a.name, &a.id) == (&b.name, &b.id));
        self.networks.truncate(NETWORKS_MAX);
        self.ports.iter_mut().flat_map(|port| &mut port.name).for_each(cut);
        self.ports.retain(|port| port.number != 0);
        rising(&mut self.ports, PORTS_MAX);
        self
    }
}
