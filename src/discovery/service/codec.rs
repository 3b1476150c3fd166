//! What managers say as entries of the replicated log: see [`crate::discovery::fields`].
//!
//! ```text
//! key: s | service id,  t | task id
//! ```

use crate::discovery::endpoint::codec::{id_in, key_of, put_port, read_port};
use crate::discovery::entry::{Octets, Poison};
use crate::discovery::fields::{self, Fields, TooLarge};
use crate::discovery::labels;
use crate::discovery::service::{ServiceNetwork, ServiceSpec, TaskState};
use std::net::IpAddr;

/// The first octet of a service's key.
pub const SERVICE_KIND: u8 = b's';
/// The first octet of a task's key.
pub const TASK_KIND: u8 = b't';

mod tag {
    pub(super) const VERSION: u8 = 1;
    pub(super) const NAME: u8 = 2;
    pub(super) const STACK: u8 = 3;
    pub(super) const NETWORK: u8 = 4;
    pub(super) const PORT: u8 = 5;
    pub(super) const LABELS: u8 = 6;
}

/// Tags within a network.
mod part {
    pub(super) const ID: u8 = 1;
    pub(super) const NAME: u8 = 2;
    pub(super) const ALIAS: u8 = 3;
    pub(super) const VIP: u8 = 4;
}

/// The one tag of a task.
const WITHDRAWN: u8 = 1;

impl ServiceSpec {
    /// The key under which it is replicated; none without an id.
    pub fn key(&self) -> Option<Vec<u8>> {
        key_of(SERVICE_KIND, &self.id)
    }

    /// The value that is replicated under its key. It must be [`ServiceSpec::normalized`].
    pub fn value(&self) -> Result<Vec<u8>, TooLarge> {
        let mut fields = Fields::value();
        fields.put(tag::VERSION, &self.version.to_be_bytes());
        fields.text(tag::NAME, &self.name);
        if let Some(stack) = &self.stack {
            fields.put(tag::STACK, stack.as_bytes());
        }
        for network in &self.networks {
            fields.nested(tag::NETWORK, |fields| {
                fields.text(part::ID, &network.id);
                fields.text(part::NAME, &network.name);
                network.aliases.iter().for_each(|alias| fields.text(part::ALIAS, alias));
                for vip in &network.vips {
                    match vip {
                        IpAddr::V4(vip) => fields.put(part::VIP, &vip.octets()),
                        IpAddr::V6(vip) => fields.put(part::VIP, &vip.octets()),
                    }
                }
            });
        }
        self.ports.iter().for_each(|port| put_port(&mut fields, tag::PORT, port));
        labels::codec::put(&mut fields, tag::LABELS, &self.labels);
        fields.end()
    }

    /// Reads what a node, perhaps a foul one, replicated.
    pub fn decode(key: &[u8], value: &[u8]) -> Result<ServiceSpec, Poison> {
        let mut spec = ServiceSpec { id: id_in(SERVICE_KIND, key)?, ..ServiceSpec::default() };
        fields::read_value(value, |tag, mut part| {
            match tag {
                tag::VERSION => {
                    spec.version = u64::from_be_bytes(part.array()?);
                    part.end()?;
                }
                tag::NAME => spec.name = part.text()?,
                tag::STACK => spec.stack = Some(part.text()?),
                tag::NETWORK => spec.networks.push(read_network(part)?),
                tag::PORT => spec.ports.push(read_port(part)?),
                tag::LABELS => spec.labels = labels::codec::read(part)?,
                _ => {}
            }
            Ok(())
        })?;
        if spec.clone().normalized() != spec {
            return Err(Poison::NotCanonical);
        }
        Ok(spec)
    }
}

fn read_network(octets: Octets<'_>) -> Result<ServiceNetwork, Poison> {
    let mut network = ServiceNetwork::default();
    fields::read(octets, |tag, mut part| {
        match tag {
            part::ID => network.id = part.text()?,
            part::NAME => network.name = part.text()?,
            part::ALIAS => network.aliases.push(part.text()?),
            part::VIP => {
                let vip = match part.0.len() {
                    4 => IpAddr::from(part.array::<4>()?),
                    _ => IpAddr::from(part.array::<16>()?),
                };
                part.end()?;
                network.vips.push(vip);
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(network)
}

impl TaskState {
    /// The key under which it is replicated; none without an id.
    pub fn key(&self) -> Option<Vec<u8>> {
        key_of(TASK_KIND, &self.id)
    }

    /// The value that is replicated under its key.
    pub fn value(&self) -> Vec<u8> {
        let mut fields = Fields::value();
        fields.octet(WITHDRAWN, self.withdrawn.then_some(1));
        // Four octets are never too many.
        fields.end().unwrap_or_default()
    }

    /// Reads what a node, perhaps a foul one, replicated.
    pub fn decode(key: &[u8], value: &[u8]) -> Result<TaskState, Poison> {
        let mut task = TaskState { id: id_in(TASK_KIND, key)?, ..TaskState::default() };
        fields::read_value(value, |tag, part| {
            if tag == WITHDRAWN {
                task.withdrawn = match part.only_octet()? {
                    1 => true,
                    _ => return Err(Poison::Layout),
                };
            }
            Ok(())
        })?;
        Ok(task)
    }
}
