//! What the engine answers, as far as anybody here needs it.
//!
//! Only the fields that are used are read, every one of them may be missing or null, and what is unknown is passed
//! over: versions of the engine differ in what they tell (the tests have recorded one that speaks API 1.41), and a new
//! word in one field of one container must not cost the names of all others.

use crate::discovery::engine::stamp;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The engine writes null for what is empty.
fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

/// An address that may be absent: the engine writes an empty text then.
fn address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<IpAddr>, D::Error> {
    let text: String = or_default(from)?;
    Ok(text.parse().ok())
}

/// A map whose values may be null, too: those are left out.
fn without_null<'de, D, T>(from: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let map: BTreeMap<String, Option<T>> = or_default(from)?;
    Ok(map.into_iter().filter_map(|(key, value)| Some((key, value?))).collect())
}

/// One of `/containers/json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Summary {
    /// The container's id, whole.
    pub id: String,
}

/// `/containers/ID/json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Container {
    /// The id, whole.
    #[serde(deserialize_with = "or_default")]
    pub id: String,
    /// The name, with the slash before it.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// How it is.
    #[serde(deserialize_with = "or_default")]
    pub state: State,
    /// What it was made of.
    #[serde(deserialize_with = "or_default")]
    pub config: ContainerConfig,
    /// Where it is reached.
    #[serde(deserialize_with = "or_default")]
    pub network_settings: NetworkSettings,
}

/// How a container is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct State {
    /// It has a process; true between two starts, too, while `restarting`.
    #[serde(deserialize_with = "or_default")]
    pub running: bool,
    /// Its process is stopped.
    #[serde(deserialize_with = "or_default")]
    pub paused: bool,
    /// It ended and is to be started again.
    #[serde(deserialize_with = "or_default")]
    pub restarting: bool,
    /// It is being removed and could not be.
    #[serde(deserialize_with = "or_default")]
    pub dead: bool,
    /// When it was started last, as the engine's clock has it: RFC 3339.
    #[serde(deserialize_with = "or_default")]
    pub started_at: String,
    /// What its check says; none without a check.
    #[serde(deserialize_with = "or_default")]
    pub health: Option<HealthState>,
}

/// What a container's check says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HealthState {
    /// `starting`, `healthy`, `unhealthy`, or `none`.
    #[serde(deserialize_with = "or_default")]
    pub status: String,
}

/// What a container was made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerConfig {
    /// Its host name.
    #[serde(deserialize_with = "or_default")]
    pub hostname: String,
    /// Its labels, those of the image among them.
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// `SIGTERM`, `TERM` or `15`; empty is SIGTERM.
    #[serde(deserialize_with = "or_default")]
    pub stop_signal: String,
    /// Seconds between that signal and SIGKILL; below zero: for ever.
    #[serde(deserialize_with = "or_default")]
    pub stop_timeout: Option<i64>,
    /// `80/tcp` and so on.
    #[serde(deserialize_with = "or_default")]
    pub exposed_ports: BTreeMap<String, serde_json::Value>,
}

/// Where a container is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkSettings {
    /// By the network's name.
    #[serde(deserialize_with = "without_null")]
    pub networks: BTreeMap<String, Attachment>,
}

/// A container in a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Attachment {
    /// The network's id: 64 hexadecimal digits of one that this engine alone has, 25 characters of a swarm's.
    #[serde(rename = "NetworkID", deserialize_with = "or_default")]
    pub network_id: String,
    /// Its IPv4 address there.
    #[serde(rename = "IPAddress", deserialize_with = "address")]
    pub ipv4: Option<IpAddr>,
    /// Its IPv6 address there.
    #[serde(rename = "GlobalIPv6Address", deserialize_with = "address")]
    pub ipv6: Option<IpAddr>,
    /// More names there: what was asked for, and of older engines the id's beginning.
    #[serde(deserialize_with = "or_default")]
    pub aliases: Vec<String>,
    /// All names there, of newer engines.
    #[serde(rename = "DNSNames", deserialize_with = "or_default")]
    pub dns_names: Vec<String>,
}

/// One of `/events`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Event {
    /// `container`, `network`, `service`, `node` and others.
    #[serde(rename = "Type", deserialize_with = "or_default")]
    pub kind: String,
    /// `start`, `kill`, `health_status: unhealthy` and so on.
    #[serde(deserialize_with = "or_default")]
    pub action: String,
    /// What it is about.
    #[serde(deserialize_with = "or_default")]
    pub actor: Actor,
    /// When, as the engine's clock has it: nanoseconds since 1970.
    #[serde(rename = "timeNano", deserialize_with = "or_default")]
    pub nanos: i64,
}

/// What an event is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Actor {
    /// Its id.
    #[serde(rename = "ID", deserialize_with = "or_default")]
    pub id: String,
    /// More of it: the signal of `kill`, the container of `connect`.
    #[serde(rename = "Attributes", deserialize_with = "or_default")]
    pub attributes: BTreeMap<String, String>,
}

/// `/info`: its clock, and its part in a swarm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Info {
    /// The swarm.
    #[serde(deserialize_with = "or_default")]
    pub swarm: Swarm,
    /// What the engine's clock shows: RFC 3339.
    #[serde(deserialize_with = "or_default")]
    pub system_time: String,
    /// The engine's own version.
    #[serde(deserialize_with = "or_default")]
    pub server_version: String,
}

impl Info {
    /// From which moment on events have to be told so that none is missing: as `since` of `/events` takes it.
    pub fn since(&self) -> Option<String> {
        let nanos = stamp::nanos(&self.system_time)?;
        Some(format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000))
    }

    /// True if this engine is a manager of a swarm that has no quorum: it cannot tell which, and nothing changes there.
    pub fn is_leaderless(&self) -> bool {
        self.swarm.control_available && self.swarm.cluster.id.is_empty()
    }

    /// The swarm that this engine manages.
    pub fn managed(&self) -> Option<&str> {
        let id = self.swarm.cluster.id.as_str();
        (self.swarm.control_available && !id.is_empty()).then_some(id)
    }
}

/// A node's part in a swarm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Swarm {
    /// Its id there; empty outside of one.
    #[serde(rename = "NodeID", deserialize_with = "or_default")]
    pub node_id: String,
    /// It is a manager, whether its swarm has a quorum or not.
    #[serde(deserialize_with = "or_default")]
    pub control_available: bool,
    /// The swarm; told to managers only.
    #[serde(deserialize_with = "or_default")]
    pub cluster: SwarmCluster,
}

/// A swarm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SwarmCluster {
    /// Its id.
    #[serde(rename = "ID", deserialize_with = "or_default")]
    pub id: String,
}

/// One of `/services`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Service {
    /// Its id.
    #[serde(rename = "ID", deserialize_with = "or_default")]
    pub id: String,
    /// Which state of it this is.
    #[serde(deserialize_with = "or_default")]
    pub version: ObjectVersion,
    /// What was asked for.
    #[serde(deserialize_with = "or_default")]
    pub spec: ServiceSpec,
    /// What the swarm gave it.
    #[serde(deserialize_with = "or_default")]
    pub endpoint: ServiceEndpoint,
    /// How an update goes on.
    #[serde(deserialize_with = "or_default")]
    pub update_status: UpdateStatus,
}

/// Which state of a swarm's object something is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ObjectVersion {
    /// Rises with each change.
    #[serde(deserialize_with = "or_default")]
    pub index: u64,
}

/// What was asked of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ServiceSpec {
    /// Its name.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// `deploy.labels`.
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// What its tasks are like.
    #[serde(deserialize_with = "or_default")]
    pub task_template: TaskTemplate,
    /// Networks, where older clients wrote them.
    #[serde(deserialize_with = "or_default")]
    pub networks: Vec<ServiceNetwork>,
}

/// What the tasks of a service are like.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskTemplate {
    /// Where they are attached.
    #[serde(deserialize_with = "or_default")]
    pub networks: Vec<ServiceNetwork>,
}

/// A service in a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ServiceNetwork {
    /// The network's id.
    #[serde(deserialize_with = "or_default")]
    pub target: String,
    /// More names of the service there.
    #[serde(deserialize_with = "or_default")]
    pub aliases: Vec<String>,
}

/// What the swarm gave a service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ServiceEndpoint {
    /// Its ports.
    #[serde(deserialize_with = "or_default")]
    pub ports: Vec<ServicePort>,
    /// Its virtual addresses.
    #[serde(rename = "VirtualIPs", deserialize_with = "or_default")]
    pub virtual_ips: Vec<VirtualIp>,
}

/// A port of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ServicePort {
    /// `tcp`, `udp` or `sctp`.
    #[serde(deserialize_with = "or_default")]
    pub protocol: String,
    /// Where its tasks listen.
    #[serde(deserialize_with = "or_default")]
    pub target_port: u16,
}

/// A virtual address of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct VirtualIp {
    /// In the network of this id.
    #[serde(rename = "NetworkID", deserialize_with = "or_default")]
    pub network_id: String,
    /// With its prefix: `10.0.1.2/24`.
    #[serde(rename = "Addr", deserialize_with = "or_default")]
    pub address: String,
}

/// How an update of a service goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct UpdateStatus {
    /// `updating`, `paused`, `completed`, `rollback_started` and others.
    #[serde(deserialize_with = "or_default")]
    pub state: String,
}

/// One of `/tasks`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Task {
    /// Its id.
    #[serde(rename = "ID", deserialize_with = "or_default")]
    pub id: String,
    /// How it is.
    #[serde(deserialize_with = "or_default")]
    pub status: TaskStatus,
    /// How it is to be.
    #[serde(deserialize_with = "or_default")]
    pub desired_state: String,
}

/// How a task is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskStatus {
    /// `running`, `shutdown` and so on.
    #[serde(deserialize_with = "or_default")]
    pub state: String,
}

/// One of `/tasks`, as far as it says where the task is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PlacedTask {
    /// Its service's id.
    #[serde(rename = "ServiceID", deserialize_with = "or_default")]
    pub service_id: String,
    /// How it is.
    #[serde(deserialize_with = "or_default")]
    pub status: TaskStatus,
    /// What was asked for.
    #[serde(deserialize_with = "or_default")]
    pub spec: TaskTemplate,
    /// Where it is attached: known before it runs.
    #[serde(deserialize_with = "or_default")]
    pub networks_attachments: Vec<TaskAttachment>,
}

/// A task in a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskAttachment {
    /// The network.
    #[serde(deserialize_with = "or_default")]
    pub network: AttachedNetwork,
    /// Its addresses there, with their prefixes: `10.0.1.3/24`.
    #[serde(deserialize_with = "or_default")]
    pub addresses: Vec<String>,
}

/// The network that a task is attached to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AttachedNetwork {
    /// Its id.
    #[serde(rename = "ID", deserialize_with = "or_default")]
    pub id: String,
    /// What was asked of it.
    #[serde(deserialize_with = "or_default")]
    pub spec: NetworkSpec,
}

/// What was asked of a swarm's network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkSpec {
    /// Its name.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
}

/// One of `/networks`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Network {
    /// Its id.
    #[serde(deserialize_with = "or_default")]
    pub id: String,
    /// Its name.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
}

/// `/version`: which dialect the engine speaks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Version {
    /// The newest version of the API: `1.41`.
    #[serde(deserialize_with = "or_default")]
    pub api_version: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_null_missing_or_unknown_is_no_fault() {
        let container: Container = serde_json::from_str(
            r#"{"Id":"a","Name":null,"Config":{"Labels":null,"StopTimeout":null,"New":{"x":[1]}},
                "State":{"Running":true,"Status":"a word of tomorrow"},
                "NetworkSettings":{"Networks":{"n":{"IPAddress":"","GlobalIPv6Address":"fd00::1","Aliases":null},
                "none":null}}}"#,
        )
        .expect("a container");
        assert_eq!((container.id.as_str(), container.state.running), ("a", true));
        let networks = &container.network_settings.networks;
        assert_eq!(networks["n"].ipv4, None);
        assert_eq!(networks["n"].ipv6, "fd00::1".parse().ok());
        let event: Event = serde_json::from_str("{\"Type\":\"image\"}").expect("an event");
        assert_eq!((event.kind.as_str(), event.nanos), ("image", 0));
    }
}
