//! What one node says of one of its containers: all from which names are made, and nothing that only its engine needs.
//! The border between those who learn from an engine and those who make names.
//!
//! Values are in one form, whoever made them: see [`Endpoint::normalized`]. As octets they are [`codec`]'s.

pub mod codec;
#[cfg(test)]
mod tests;

use crate::discovery::labels::Labels;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Networks of one container: engines put it into a handful.
pub const ATTACHMENTS_MAX: usize = 32;
/// Names that one attachment may give: aliases and what the engine adds of its own.
pub const NAMES_MAX: usize = 32;
/// Ports of one container: a range that somebody exposed by mistake is cut here.
pub const PORTS_MAX: usize = 128;
/// Octets of any text in an entry: what an engine calls things is far shorter.
pub const TEXT_OCTETS_MAX: usize = 255;

/// A container that may have names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// The container's whole id.
    pub id: String,
    /// What the engine calls it, without the slash before it.
    pub name: String,
    /// What it calls itself.
    pub hostname: String,
    /// The node it runs on, as the cluster calls it: what `NODE.m.SVC` says.
    pub node: String,
    /// The service it is a task of.
    pub service: Option<ServiceRef>,
    /// Which of the service's tasks it is.
    pub task: Option<TaskRef>,
    /// Where it stands in a Compose project.
    pub compose: Option<ComposeRef>,
    /// Where it can be reached.
    pub networks: Vec<Attachment>,
    /// What it listens on: EXPOSE, and ports of its service. Those of labels stand in the labels.
    pub ports: Vec<Port>,
    /// What its health check says.
    pub health: Health,
    /// Why it is to get no new work, although it may still run.
    pub withdrawn: Option<Withdrawn>,
    /// `hivedns.*` of the container itself.
    pub labels: Labels,
}

/// A service of a swarm.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceRef {
    /// Its id.
    pub id: String,
    /// Its whole name, as `st_api`.
    pub name: String,
    /// The stack that it was deployed with.
    pub stack: Option<String>,
}

/// A task of a service of a swarm.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskRef {
    /// Its id.
    pub id: String,
    /// Its slot; a task of a global service has none.
    pub slot: Option<u32>,
}

/// A container's place in a Compose project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ComposeRef {
    /// The project.
    pub project: String,
    /// The service within it.
    pub service: String,
    /// Which of the service's containers it is, from 1.
    pub number: Option<u32>,
}

/// A container's place in a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachment {
    /// The network's id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// How far it reaches.
    pub reach: Reach,
    /// The container's address in it.
    pub ipv4: Option<Ipv4Addr>,
    /// The container's address in it.
    pub ipv6: Option<Ipv6Addr>,
    /// What else it is called in it: aliases.
    pub names: Vec<String>,
}

/// How far a network reaches. An address of a local one means another container, or none, on every other node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// One engine: a bridge.
    #[default]
    Local,
    /// The whole swarm: an overlay.
    Swarm,
}

/// Something that a container listens on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// From 1.
    pub number: u16,
    /// Over what.
    pub protocol: Protocol,
    /// What it is called, if it is.
    pub name: Option<String>,
}

/// What a port is one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// As engines, and SRV's owner names, write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        }
    }

    /// The protocol of that word.
    pub fn parse(word: &str) -> Option<Protocol> {
        [Protocol::Tcp, Protocol::Udp, Protocol::Sctp].into_iter().find(|protocol| protocol.as_str() == word)
    }
}

/// What a container's health check says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// It has none.
    #[default]
    None,
    /// Nothing yet.
    Starting,
    /// It is well.
    Healthy,
    /// It is not.
    Unhealthy,
}

/// Why a container gets no new work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Withdrawn {
    /// It was sent its stop signal.
    Stopping,
    /// It ended.
    Died,
    /// It is paused: it answers nobody.
    Paused,
    /// An operator drains this node.
    Drained,
}

impl Endpoint {
    /// True if it takes work: neither withdrawn nor waiting for its health check, nor failing it.
    pub fn is_ready(&self) -> bool {
        self.withdrawn.is_none() && matches!(self.health, Health::None | Health::Healthy)
    }

    /// In the one form that all agree on: networks by name and id, ports and names rising, none twice, no more of each
    /// than there may be, no text longer than it may be, no port 0.
    pub fn normalized(mut self) -> Endpoint {
        let texts = [&mut self.id, &mut self.name, &mut self.hostname, &mut self.node];
        texts.into_iter().for_each(cut);
        if let Some(service) = &mut self.service {
            [&mut service.id, &mut service.name].into_iter().chain(&mut service.stack).for_each(cut);
        }
        self.task.iter_mut().for_each(|task| cut(&mut task.id));
        if let Some(compose) = &mut self.compose {
            [&mut compose.project, &mut compose.service].into_iter().for_each(cut);
        }
        for network in &mut self.networks {
            [&mut network.id, &mut network.name].into_iter().chain(&mut network.names).for_each(cut);
            network.names.retain(|name| !name.is_empty());
            rising(&mut network.names, NAMES_MAX);
        }
        self.networks.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        self.networks.dedup_by(|b, a| (&a.name, &a.id) == (&b.name, &b.id));
        self.networks.truncate(ATTACHMENTS_MAX);
        self.ports.iter_mut().flat_map(|port| &mut port.name).for_each(cut);
        self.ports.retain(|port| port.number != 0);
        rising(&mut self.ports, PORTS_MAX);
        self
    }
}

/// Rising, none twice, so many at most.
pub(super) fn rising<T: Ord>(list: &mut Vec<T>, max: usize) {
    list.sort_unstable();
    list.dedup();
    list.truncate(max);
}

/// Cuts a text to what an entry takes, at a letter.
pub(super) fn cut(text: &mut String) {
    if text.len() > TEXT_OCTETS_MAX {
        text.truncate(text.floor_char_boundary(TEXT_OCTETS_MAX));
    }
}
