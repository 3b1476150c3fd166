//! From the engine's words to ours: a container to an [`Endpoint`], a service to a [`ServiceSpec`].

use crate::discovery::endpoint::{
    Attachment, ComposeRef, Endpoint, Port, Protocol, Reach, ServiceRef, TaskRef,
};
use crate::discovery::engine::answer::{self, Container, Network, Service};
use crate::discovery::labels::Labels;
use crate::discovery::service::{ServiceNetwork, ServiceSpec};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The routing mesh's own network: its addresses lead to no container for anybody else.
const INGRESS: &str = "ingress";
/// Characters of the id of a network that one engine alone has; a swarm's are shorter.
const LOCAL_ID: usize = 64;

const TASK_ID: &str = "com.docker.swarm.task.id";
const TASK_NAME: &str = "com.docker.swarm.task.name";
const SERVICE_ID: &str = "com.docker.swarm.service.id";
const SERVICE_NAME: &str = "com.docker.swarm.service.name";
const STACK: &str = "com.docker.stack.namespace";
const PROJECT: &str = "com.docker.compose.project";
const PROJECT_SERVICE: &str = "com.docker.compose.service";
const PROJECT_NUMBER: &str = "com.docker.compose.container-number";
/// Of `docker compose run`: such a container is none of its service's.
const PROJECT_ONE_OFF: &str = "com.docker.compose.oneoff";

/// What the configuration says of all containers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// This node, as the cluster calls it.
    pub node: String,
    /// The networks that count, by name; empty: all.
    pub networks: Vec<String>,
    /// How labels that mean this server begin.
    pub label_prefix: String,
}

impl Terms {
    fn counts(&self, network: &str) -> bool {
        network != INGRESS && (self.networks.is_empty() || self.networks.iter().any(|known| known == network))
    }
}

/// What is to be said of a container, but for its health and what withdraws it. None, if it wants no names or can be
/// reached nowhere.
pub(super) fn endpoint(container: &Container, terms: &Terms) -> Option<Endpoint> {
    let (own, _) = labels(&container.config.labels, terms);
    let attached = container.network_settings.networks.iter();
    let networks: Vec<Attachment> = attached
        .filter(|(name, _)| terms.counts(name))
        .filter_map(|(name, network)| attachment(name, network, &container.id))
        .collect();
    if own.enable == Some(false) || networks.is_empty() || container.id.is_empty() {
        return None;
    }
    let label = |name: &str| container.config.labels.get(name).filter(|value| !value.is_empty()).cloned();
    let service = label(SERVICE_ID).zip(label(SERVICE_NAME)).map(|(id, name)| ServiceRef {
        id,
        name,
        stack: label(STACK),
    });
    let task = label(TASK_ID).map(|id| TaskRef {
        slot: slot(&label(TASK_NAME).unwrap_or_default(), label(SERVICE_NAME).as_deref(), &id),
        id,
    });
    let is_one_off = label(PROJECT_ONE_OFF).is_some_and(|flag| flag.eq_ignore_ascii_case("true"));
    let compose = label(PROJECT).zip(label(PROJECT_SERVICE)).filter(|_| !is_one_off);
    let compose = compose.map(|(project, service)| ComposeRef {
        project,
        service,
        number: label(PROJECT_NUMBER).and_then(|text| text.parse().ok()),
    });
    let endpoint = Endpoint {
        id: container.id.clone(),
        name: container.name.trim_start_matches('/').to_owned(),
        hostname: container.config.hostname.clone(),
        node: terms.node.clone(),
        service,
        task,
        compose,
        networks,
        ports: container.config.exposed_ports.keys().filter_map(|text| port(text)).collect(),
        labels: own,
        ..Endpoint::default()
    };
    Some(endpoint.normalized())
}

/// The labels of a container that cannot be obeyed, each with why.
pub(super) fn unfit_labels(container: &Container, terms: &Terms) -> Vec<String> {
    labels(&container.config.labels, terms).1
}

/// What is to be said of a service. `networks` are the names of networks by their ids.
pub(super) fn service(
    service: &Service,
    networks: &BTreeMap<String, String>,
    terms: &Terms,
) -> (ServiceSpec, Vec<String>) {
    let spec = &service.spec;
    let (own, unfit) = labels(&spec.labels, terms);
    let mut known: BTreeMap<String, ServiceNetwork> = BTreeMap::new();
    let at = |id: &str| -> Option<String> {
        let name = networks.get(id)?;
        terms.counts(name).then(|| name.clone())
    };
    for attached in spec.task_template.networks.iter().chain(&spec.networks) {
        let Some(name) = at(&attached.target) else { continue };
        let network = known.entry(attached.target.clone()).or_default();
        (network.id, network.name) = (attached.target.clone(), name);
        network.aliases.extend(attached.aliases.iter().cloned());
    }
    for vip in &service.endpoint.virtual_ips {
        let Some(name) = at(&vip.network_id) else { continue };
        let address = vip.address.split('/').next().and_then(|text| text.parse::<IpAddr>().ok());
        let network = known.entry(vip.network_id.clone()).or_default();
        (network.id, network.name) = (vip.network_id.clone(), name);
        network.vips.extend(address);
    }
    let ports = service.endpoint.ports.iter().filter_map(|port| {
        Some(Port { number: port.target_port, protocol: Protocol::parse(&port.protocol)?, name: None })
    });
    let spec = ServiceSpec {
        id: service.id.clone(),
        version: service.version.index,
        name: spec.name.clone(),
        stack: spec.labels.get(STACK).cloned(),
        labels: own,
        networks: known.into_values().collect(),
        ports: ports.collect(),
    };
    (spec.normalized(), unfit)
}

/// The names of networks by their ids.
pub(super) fn network_names(networks: &[Network]) -> BTreeMap<String, String> {
    networks.iter().map(|network| (network.id.clone(), network.name.clone())).collect()
}

fn labels(all: &BTreeMap<String, String>, terms: &Terms) -> (Labels, Vec<String>) {
    let all = all.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let (labels, unfit) = Labels::read(all, &terms.label_prefix);
    (labels, unfit.iter().map(ToString::to_string).collect())
}

/// None for a network in which the container has no address: the host's, none, or one that is just being left.
fn attachment(name: &str, network: &answer::Attachment, container: &str) -> Option<Attachment> {
    let ipv4 = network.ipv4.and_then(|address| match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    });
    let ipv6 = network.ipv6.and_then(|address| match address {
        IpAddr::V6(address) => Some(address),
        IpAddr::V4(_) => None,
    });
    if ipv4.is_none() && ipv6.is_none() {
        return None;
    }
    // The beginning of its id is a name that the engine gives, not a user.
    let is_id = |alias: &&String| alias.len() >= 12 && container.starts_with(alias.as_str());
    let names = network.aliases.iter().chain(&network.dns_names).filter(|alias| !is_id(alias)).cloned();
    Some(Attachment {
        id: network.network_id.clone(),
        name: name.to_owned(),
        reach: if network.network_id.len() < LOCAL_ID { Reach::Swarm } else { Reach::Local },
        ipv4,
        ipv6,
        names: names.collect(),
    })
}

/// The slot in `SERVICE.SLOT.TASK`; a task of a global service has its node there.
fn slot(task: &str, service: Option<&str>, id: &str) -> Option<u32> {
    let rest = task.strip_prefix(service?)?.strip_prefix('.')?;
    rest.strip_suffix(id)?.strip_suffix('.')?.parse().ok()
}

/// `80/tcp`.
fn port(text: &str) -> Option<Port> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    Some(Port { number: number.parse().ok()?, protocol: Protocol::parse(protocol)?, name: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_stands_between_the_service_and_the_task() {
        assert_eq!(slot("st_web.7.abc", Some("st_web"), "abc"), Some(7));
        assert_eq!(slot("web.node0id.abc", Some("web"), "abc"), None);
        assert_eq!(slot("web.7.abc", Some("we"), "abc"), None);
        assert_eq!(slot("web.7.abc", None, "abc"), None);
        assert_eq!(slot("", Some("web"), "abc"), None);
    }

    #[test]
    fn ports_are_read_with_their_protocol() {
        let read = |text| port(text).map(|port| (port.number, port.protocol));
        assert_eq!(read("80/tcp"), Some((80, Protocol::Tcp)));
        assert_eq!(read("53/udp"), Some((53, Protocol::Udp)));
        assert_eq!(read("53"), Some((53, Protocol::Tcp)));
        assert_eq!((read("70000/tcp"), read("80/xyz"), read("")), (None, None, None));
    }
}
