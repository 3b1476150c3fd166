//! Endpoints as entries of the replicated log: see [`crate::discovery::fields`].
//!
//! ```text
//! key: e | container id
//! ```

use crate::discovery::endpoint::{
    Attachment, ComposeRef, Endpoint, Health, Port, Protocol, Reach, ServiceRef, TEXT_OCTETS_MAX, TaskRef,
    Withdrawn,
};
use crate::discovery::entry::{Octets, Poison};
use crate::discovery::fields::{self, Fields, TooLarge};
use crate::discovery::labels;

/// The first octet of an endpoint's key.
pub const KIND: u8 = b'e';

mod tag {
    pub(super) const NAME: u8 = 1;
    pub(super) const HOSTNAME: u8 = 2;
    pub(super) const NODE: u8 = 3;
    pub(super) const SERVICE: u8 = 4;
    pub(super) const TASK: u8 = 5;
    pub(super) const COMPOSE: u8 = 6;
    pub(super) const NETWORK: u8 = 7;
    pub(super) const PORT: u8 = 8;
    pub(super) const HEALTH: u8 = 9;
    pub(super) const WITHDRAWN: u8 = 10;
    pub(super) const LABELS: u8 = 11;
}

/// Tags within a service, a task, a place in a project, a network.
mod part {
    pub(super) const ID: u8 = 1;
    pub(super) const NAME: u8 = 2;
    pub(super) const STACK: u8 = 3;
    pub(super) const NUMBER: u8 = 4;
    pub(super) const REACH: u8 = 5;
    pub(super) const IPV4: u8 = 6;
    pub(super) const IPV6: u8 = 7;
    pub(super) const ALIAS: u8 = 8;
}

/// The key of an entry of that kind; none for an id that is none.
pub(in crate::discovery) fn key_of(kind: u8, id: &str) -> Option<Vec<u8>> {
    (1..=TEXT_OCTETS_MAX).contains(&id.len()).then(|| [&[kind], id.as_bytes()].concat())
}

/// The id that a key of that kind names.
pub(in crate::discovery) fn id_in(kind: u8, key: &[u8]) -> Result<String, Poison> {
    let id = key.strip_prefix(&[kind]).ok_or(Poison::Key)?;
    if !(1..=TEXT_OCTETS_MAX).contains(&id.len()) {
        return Err(Poison::Key);
    }
    std::str::from_utf8(id).map(str::to_owned).map_err(|_| Poison::Key)
}

impl Endpoint {
    /// The key under which it is replicated; none without an id.
    pub fn key(&self) -> Option<Vec<u8>> {
        key_of(KIND, &self.id)
    }

    /// The value that is replicated under its key. It must be [`Endpoint::normalized`].
    pub fn value(&self) -> Result<Vec<u8>, TooLarge> {
        let mut fields = Fields::value();
        fields.text(tag::NAME, &self.name);
        fields.text(tag::HOSTNAME, &self.hostname);
        fields.text(tag::NODE, &self.node);
        if let Some(service) = &self.service {
            fields.nested(tag::SERVICE, |fields| {
                fields.text(part::ID, &service.id);
                fields.text(part::NAME, &service.name);
                if let Some(stack) = &service.stack {
                    fields.put(part::STACK, stack.as_bytes());
                }
            });
        }
        if let Some(task) = &self.task {
            fields.nested(tag::TASK, |fields| {
                fields.text(part::ID, &task.id);
                fields.number(part::NUMBER, task.slot);
            });
        }
        if let Some(compose) = &self.compose {
            fields.nested(tag::COMPOSE, |fields| {
                fields.text(part::ID, &compose.project);
                fields.text(part::NAME, &compose.service);
                fields.number(part::NUMBER, compose.number);
            });
        }
        for network in &self.networks {
            fields.nested(tag::NETWORK, |fields| put_network(fields, network));
        }
        self.ports.iter().for_each(|port| put_port(&mut fields, tag::PORT, port));
        fields.octet(tag::HEALTH, Some(health_number(self.health)).filter(|number| *number != 0));
        fields.octet(tag::WITHDRAWN, self.withdrawn.map(withdrawn_number));
        labels::codec::put(&mut fields, tag::LABELS, &self.labels);
        fields.end()
    }

    /// Reads what a node, perhaps a foul one, replicated.
    pub fn decode(key: &[u8], value: &[u8]) -> Result<Endpoint, Poison> {
        let mut endpoint = Endpoint { id: id_in(KIND, key)?, ..Endpoint::default() };
        fields::read_value(value, |tag, part| {
            match tag {
                tag::NAME => endpoint.name = part.text()?,
                tag::HOSTNAME => endpoint.hostname = part.text()?,
                tag::NODE => endpoint.node = part.text()?,
                tag::SERVICE => endpoint.service = Some(read_service(part)?),
                tag::TASK => endpoint.task = Some(read_task(part)?),
                tag::COMPOSE => endpoint.compose = Some(read_compose(part)?),
                tag::NETWORK => endpoint.networks.push(read_network(part)?),
                tag::PORT => endpoint.ports.push(read_port(part)?),
                tag::HEALTH => endpoint.health = read_health(part.only_octet()?)?,
                tag::WITHDRAWN => endpoint.withdrawn = Some(read_withdrawn(part.only_octet()?)?),
                tag::LABELS => endpoint.labels = labels::codec::read(part)?,
                _ => {}
            }
            Ok(())
        })?;
        if endpoint.clone().normalized() != endpoint {
            return Err(Poison::NotCanonical);
        }
        Ok(endpoint)
    }
}

fn read_service(octets: Octets<'_>) -> Result<ServiceRef, Poison> {
    let mut service = ServiceRef::default();
    fields::read(octets, |tag, part| {
        match tag {
            part::ID => service.id = part.text()?,
            part::NAME => service.name = part.text()?,
            part::STACK => service.stack = Some(part.text()?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(service)
}

fn read_task(octets: Octets<'_>) -> Result<TaskRef, Poison> {
    let mut task = TaskRef::default();
    fields::read(octets, |tag, part| {
        match tag {
            part::ID => task.id = part.text()?,
            part::NUMBER => task.slot = Some(part.only_number()?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(task)
}

fn read_compose(octets: Octets<'_>) -> Result<ComposeRef, Poison> {
    let mut compose = ComposeRef::default();
    fields::read(octets, |tag, part| {
        match tag {
            part::ID => compose.project = part.text()?,
            part::NAME => compose.service = part.text()?,
            part::NUMBER => compose.number = Some(part.only_number()?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(compose)
}

fn put_network(fields: &mut Fields, network: &Attachment) {
    fields.text(part::ID, &network.id);
    fields.text(part::NAME, &network.name);
    fields.octet(part::REACH, (network.reach == Reach::Swarm).then_some(1));
    if let Some(address) = network.ipv4 {
        fields.put(part::IPV4, &address.octets());
    }
    if let Some(address) = network.ipv6 {
        fields.put(part::IPV6, &address.octets());
    }
    network.names.iter().for_each(|name| fields.text(part::ALIAS, name));
}

fn read_network(octets: Octets<'_>) -> Result<Attachment, Poison> {
    let mut network = Attachment::default();
    fields::read(octets, |tag, mut part| {
        match tag {
            part::ID => network.id = part.text()?,
            part::NAME => network.name = part.text()?,
            part::REACH => {
                network.reach = match part.only_octet()? {
                    1 => Reach::Swarm,
                    _ => return Err(Poison::Layout),
                }
            }
            part::IPV4 => {
                network.ipv4 = Some(part.array::<4>()?.into());
                part.end()?;
            }
            part::IPV6 => {
                network.ipv6 = Some(part.array::<16>()?.into());
                part.end()?;
            }
            part::ALIAS => network.names.push(part.text()?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(network)
}

/// Writes a port: `number (2) | protocol (1) | name`.
pub(in crate::discovery) fn put_port(fields: &mut Fields, tag: u8, port: &Port) {
    let protocol = match port.protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    };
    let name = port.name.as_deref().unwrap_or_default();
    fields.put(tag, &[&port.number.to_be_bytes(), &[protocol][..], name.as_bytes()].concat());
}

/// Reads one.
pub(in crate::discovery) fn read_port(mut part: Octets<'_>) -> Result<Port, Poison> {
    let number = part.u16()?;
    // As IANA numbers them.
    let protocol = match part.u8()? {
        6 => Protocol::Tcp,
        17 => Protocol::Udp,
        132 => Protocol::Sctp,
        _ => return Err(Poison::Layout),
    };
    let name = part.text()?;
    Ok(Port { number, protocol, name: (!name.is_empty()).then_some(name) })
}

fn health_number(health: Health) -> u8 {
    match health {
        Health::None => 0,
        Health::Starting => 1,
        Health::Healthy => 2,
        Health::Unhealthy => 3,
    }
}

fn read_health(number: u8) -> Result<Health, Poison> {
    let known = [Health::Starting, Health::Healthy, Health::Unhealthy];
    known.into_iter().find(|health| health_number(*health) == number).ok_or(Poison::Layout)
}

fn withdrawn_number(why: Withdrawn) -> u8 {
    match why {
        Withdrawn::Stopping => 1,
        Withdrawn::Died => 2,
        Withdrawn::Paused => 3,
        Withdrawn::Drained => 4,
    }
}

fn read_withdrawn(number: u8) -> Result<Withdrawn, Poison> {
    let known = [Withdrawn::Stopping, Withdrawn::Died, Withdrawn::Paused, Withdrawn::Drained];
    known.into_iter().find(|why| withdrawn_number(*why) == number).ok_or(Poison::Layout)
}
