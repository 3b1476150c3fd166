//! The node as a member of its cluster: drives the gossip machine over sockets, and makes of its news what the
//! catalog understands.
//!
//! ```text
//! sockets ─► transport ─► gossip machine ─► Event ─► names ─► Delta ─► State
//!                              ▲    └─► keeper (disk)
//!                     requests, resolver
//! ```
//!
//! Without gossip the same machine runs without sockets: a cluster of one, whose records are kept and answered all
//! the same.

mod names;
mod resolver;
mod transport;

pub use resolver::Resolver;
pub use transport::Ports;

use crate::base::config::{Advertise, Config};
use crate::base::time::Moment;
use crate::catalog::delta::Delta;
use crate::catalog::services::Terms;
use crate::control::document::ClusterDocument;
use crate::control::request::Answer;
use crate::control::status::GossipNumbers;
use crate::discovery::cluster::Rrset;
use crate::discovery::node::{self, Entry};
use crate::gossip::identity::{Generation, NodeId};
use crate::gossip::machine::{self, Gossip};
use crate::gossip::output::{Event, Health, NodeInfo, Output};
use crate::gossip::replication::leases::FreezeRule;
use crate::gossip::secrecy::keyring::Ring;
use crate::keeper::{Keeper, Write};
use crate::wire::name::Name;
use bytes::Bytes;
use mio::Registry;
use names::Names;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;
use transport::Transport;

/// What the node brings from its disk, or was drawn at its start.
pub struct Remembered {
    /// Who it is.
    pub id: u64,
    /// Its life.
    pub generation: u32,
    /// Cluster-wide records, as they were kept.
    pub cluster: Vec<(Bytes, Bytes)>,
    /// Where members were.
    pub peers: Vec<SocketAddr>,
    /// The ring of keys, if it was ever changed.
    pub ring: Option<Vec<u8>>,
    /// Keeps on disk; `None`: nothing is kept.
    pub keeper: Option<Keeper>,
}

/// Randomness for one life, from the system.
pub struct Lots {
    /// Tells this process from every other.
    pub boot: u64,
    /// For secrecy.
    pub secret: [u8; 32],
    /// For lots.
    pub seed: u64,
}

/// How often the addresses of members are kept: a node that starts finds one of them.
const KEEP_PEERS_EVERY: Duration = Duration::from_secs(60);
/// Addresses kept.
const PEERS_KEPT: usize = 256;
/// How long the news that this node stops is sent, before it stops.
const FAREWELL: Duration = Duration::from_millis(250);

/// The member.
pub struct Cluster {
    pub(super) gossip: Gossip,
    transport: Transport,
    names: Names,
    keeper: Option<Keeper>,
    /// What the keeper had no room for.
    unkept: Vec<Write>,
    resolver: Option<Resolver>,
    keep_peers_at: Moment,
    /// Who waits for a drain, how many members there were, and whether this node leaves afterwards.
    pub(super) draining: Option<(usize, bool, Answer)>,
    /// The drain is over, and these have not acknowledged.
    pub(super) drained: Option<Vec<NodeId>>,
    alone: bool,
    /// When the machine wants to be woken.
    wake_at: Moment,
    name: String,
}

impl Cluster {
    /// Joins. `ports`: the sockets, if this node speaks with others at all.
    pub fn start(
        now: Moment,
        config: &Config,
        remembered: Remembered,
        lots: &Lots,
        (keys, ports): (Option<&str>, Option<Ports>),
        registry: &Registry,
        resolver: Option<Resolver>,
    ) -> io::Result<(Cluster, Vec<Delta>)> {
        let bound = ports.as_ref().map_or(config.gossip.bind, Ports::address);
        let address = advertised(config, bound);
        let info = NodeInfo {
            id: NodeId(remembered.id),
            boot: lots.boot,
            name: config.server.node.as_str().into(),
            address,
        };
        let ring = ring(config, keys, remembered.ring.as_deref())?;
        if ring.is_empty() && ports.is_some() && !bound.ip().is_loopback() {
            tracing::warn!(
                "gossip.keys_file is not set: everybody on the way can read and forge the cluster's traffic"
            );
        }
        let settings = machine::Settings {
            cluster: config.gossip.cluster.clone(),
            membership: Default::default(),
            freeze: FreezeRule {
                share: config.services.loss_freeze.get(),
                max: config.services.loss_freeze_max,
            },
        };
        let generation = Generation(remembered.generation);
        let start = machine::Start { info, generation, ring, secret: lots.secret, seed: lots.seed };
        let mut cluster = Cluster {
            gossip: Gossip::new(now, &settings, start),
            transport: Transport::new(ports, registry)?,
            names: Names::new(domain(config), config.services.ttl),
            keeper: remembered.keeper,
            unkept: Vec::new(),
            resolver,
            keep_peers_at: now + KEEP_PEERS_EVERY,
            draining: None,
            drained: None,
            alone: false,
            wake_at: now,
            name: config.gossip.cluster.clone(),
        };
        let mut deltas = vec![cluster.terms(config)];
        for (key, stored) in &remembered.cluster {
            if !cluster.gossip.restore_cluster(now, stored) {
                tracing::error!(?key, "a cluster-wide record on disk cannot be read: it is left out");
            }
        }
        let entry = Entry::new([address.ip()]);
        cluster.gossip.put(now, node::KEY, &entry.value());
        cluster.gossip.ready(now);
        let joins = !config.gossip.join.is_empty() && cluster.transport.is_open();
        if joins {
            if let Some(resolver) = &mut cluster.resolver {
                resolver.ask(now, &config.gossip.join);
            }
            cluster.gossip.join(now, &remembered.peers, false);
        } else {
            cluster.gossip.join(now, &[], true);
        }
        deltas.extend(cluster.drain(now));
        Ok((cluster, deltas))
    }

    fn terms(&self, config: &Config) -> Delta {
        let origin = domain(config);
        let primary = node::name_of(&config.server.node, &origin).unwrap_or_else(|_| origin.clone());
        Delta::OpenServices(Box::new(Terms {
            origin,
            primary,
            ttl: config.services.ttl,
            negative_ttl: config.services.negative_ttl,
            lease: config.services.lease,
        }))
    }

    /// When [`Cluster::turn`] is due without anything having happened on the sockets.
    pub fn next_wake(&self) -> Moment {
        let resolve = self.resolver.as_ref().map_or(Moment::NEVER, Resolver::next);
        let unkept =
            if self.unkept.is_empty() { Moment::NEVER } else { self.keep_peers_at.before(KEEP_PEERS_EVERY) };
        self.wake_at.min(resolve).min(self.keep_peers_at).min(unkept)
    }

    /// Something happened on a socket; if it is none of the cluster's, nothing follows.
    pub fn ready(&mut self, now: Moment, event: &mio::event::Event) {
        self.transport.note(event, &mut self.gossip, now);
    }

    /// Takes what has come, does what is due; what changed.
    pub fn turn(&mut self, now: Moment, registry: &Registry) -> Vec<Delta> {
        self.transport.receive(now, &mut self.gossip, registry);
        if self.wake_at <= now {
            self.gossip.handle_timeout(now);
        }
        if let Some(resolver) = &mut self.resolver {
            resolver.ask_if_due(now);
        }
        if self.keep_peers_at <= now {
            self.keep_peers_at = now + KEEP_PEERS_EVERY;
            let alive = self.gossip.membership().tellings();
            let peers = alive.map(|told| told.info.address).take(PEERS_KEPT).collect();
            self.keep(Write::Peers(peers));
        }
        let unkept = std::mem::take(&mut self.unkept);
        unkept.into_iter().for_each(|write| self.keep(write));
        let deltas = self.drain(now);
        self.transport.flush(now, &mut self.gossip, registry);
        let mut all = deltas;
        all.extend(self.drain(now));
        all
    }

    /// True if more is waiting on the sockets than one turn takes.
    pub fn has_more(&self) -> bool {
        self.transport.has_more()
    }

    /// Does what the machine wants until it wants nothing.
    pub(super) fn drain(&mut self, now: Moment) -> Vec<Delta> {
        let mut deltas = Vec::new();
        loop {
            match self.gossip.poll(now) {
                Output::Event(event) => self.hear(event, &mut deltas),
                Output::Wake(at) => {
                    self.wake_at = at;
                    return deltas;
                }
                output => self.transport.obey(output),
            }
        }
    }

    fn hear(&mut self, event: Event, deltas: &mut Vec<Delta>) {
        match event {
            Event::Records { owner, log, since } => {
                self.names.records(&self.gossip, owner, &log, since, deltas);
            }
            Event::Lease { owner, lease } => names::lease(owner, lease, deltas),
            Event::Cluster { key, value, stored } => {
                // An empty key: nothing to serve, but to be kept.
                if !key.is_empty() {
                    self.names.cluster(&key, value.as_deref(), deltas);
                }
                let entry = crate::disk::Entry { key, value: stored };
                self.keep(Write::Records(vec![entry]));
            }
            Event::ClusterReplaced { again, dropped } => {
                tracing::warn!(
                    again,
                    dropped,
                    "this node was away for long: its cluster-wide records are the other members' now; what was \
                     written here alone is written again, what others wrote and no longer have is dropped"
                );
            }
            Event::Member { info, health } => {
                tell_member(&info, health);
                self.names.member(&self.gossip, &info, health, deltas);
            }
            Event::Forgotten { id } => self.names.forgotten(&self.gossip, id, deltas),
            Event::Synced { alone } => {
                self.alone = alone;
                if alone {
                    tracing::error!(
                        "no address of gossip.join answers: this node serves what it knows alone"
                    );
                } else {
                    tracing::info!("the cluster's records are known");
                }
                deltas.push(Delta::Synced(true));
            }
            Event::Identity { id, generation } => {
                tracing::warn!(%id, generation = generation.0, "this node begins a new life");
                self.keep(Write::Identity { id: id.0, generation: generation.0 });
                self.names.renamed(&self.gossip, deltas);
            }
            Event::Keys => {
                let ring = self.gossip.secrecy().ring().emit();
                self.keep(Write::Ring(ring.into_bytes()));
            }
            Event::Drained { missing } => self.drained = Some(missing),
            Event::ExpiryFrozen(true) => {
                tracing::error!("many nodes were lost at once: their records do not expire for now");
            }
            Event::ExpiryFrozen(false) => tracing::warn!("records of lost nodes expire again"),
        }
    }

    fn keep(&mut self, write: Write) {
        if let Some(keeper) = &mut self.keeper
            && let Err(write) = keeper.keep(write)
        {
            self.unkept.push(write);
        }
    }

    /// The resolver found these.
    pub fn join(&mut self, now: Moment, addresses: &[SocketAddr], all_resolved: bool) {
        if let Some(resolver) = &mut self.resolver {
            resolver.answered(now, all_resolved);
        }
        self.gossip.join(now, addresses, all_resolved);
    }

    /// Says farewell: this node stops and will be back. What is to be sent is sent until the moment returned.
    pub fn restarting(&mut self, now: Moment) -> Moment {
        if self.transport.is_open() && self.gossip.membership().alive() > 0 {
            self.gossip.restarting(now);
            self.drain(now);
            return now + FAREWELL;
        }
        now
    }

    /// Ends; what is to be kept is written.
    pub fn finish(mut self) {
        let unkept = std::mem::take(&mut self.unkept);
        unkept.into_iter().for_each(|write| self.keep(write));
        if let Some(keeper) = self.keeper.take() {
            keeper.finish();
        }
    }

    /// True once the records are known.
    pub fn is_synced(&self) -> bool {
        self.gossip.is_synced()
    }

    /// True if this node speaks with others.
    pub fn is_open(&self) -> bool {
        self.transport.is_open()
    }

    /// What a set of the cluster's records is at present.
    pub(super) fn rrset(&self, key: &[u8]) -> Option<Rrset> {
        let value = self.gossip.replication().cluster().get(key)?;
        Rrset::decode(key, value).ok()
    }

    /// For the status.
    pub fn document(&self) -> ClusterDocument {
        let mut members = BTreeMap::new();
        *members.entry("alive".to_owned()).or_default() += 1;
        for member in self.gossip.membership().members() {
            *members.entry(health_word(member.health).to_owned()).or_default() += 1;
        }
        ClusterDocument {
            name: self.name.clone(),
            address: self.transport.is_open().then(|| self.gossip.me().address.to_string()),
            synced: self.is_synced(),
            alone: self.alone,
            expiry_frozen: self.gossip.replication().leases().is_frozen(),
            plaintext: self.gossip.secrecy().ring().is_empty(),
            members,
        }
    }

    /// For the metrics.
    pub fn numbers(&self) -> GossipNumbers {
        let (gossip, traffic) = (&self.gossip, self.gossip.traffic());
        let refused = gossip.secrecy().refusals().iter().map(|(why, count)| (why.reason(), count));
        let more = [
            ("strange", traffic.strange),
            ("poison", self.names.poison()),
            ("overflow", self.transport.overflowed()),
        ];
        GossipNumbers {
            sent: traffic.sent,
            received: traffic.received,
            streamed: traffic.streamed,
            queued: gossip.replication().depth().0,
            dropped: refused.chain(more).map(|(why, count)| (format!("gossip_{why}"), count)).collect(),
        }
    }
}

/// The words of [`ClusterDocument::members`].
pub const HEALTHS: [&str; 5] = ["alive", "suspect", "restarting", "down", "left"];

/// `alive`, `suspect` and so on.
pub(super) fn health_word(health: Health) -> &'static str {
    match health {
        Health::Alive => "alive",
        Health::Suspect => "suspect",
        Health::Restarting => "restarting",
        Health::Down => "down",
        Health::Left => "left",
    }
}

fn tell_member(info: &NodeInfo, health: Health) {
    let (node, address) = (&info.name, info.address);
    match health {
        Health::Down => tracing::warn!(%node, %address, "a member is lost"),
        Health::Suspect => tracing::debug!(%node, %address, "a member does not answer"),
        Health::Alive | Health::Restarting | Health::Left => {
            tracing::info!(%node, %address, "a member is {}", health_word(health));
        }
    }
}

/// The domain of service names.
fn domain(config: &Config) -> Name {
    // The configuration accepts nothing that is not a name.
    Name::parse(config.services.domain.as_str()).unwrap_or(Name::ROOT)
}

/// The text of the cluster's keys, if it has any. Read at the start, while the rights are there.
pub fn read_keys(config: &Config) -> io::Result<Option<String>> {
    let path = &config.gossip.keys_file;
    if path.is_empty() {
        return Ok(None);
    }
    std::fs::read_to_string(path).map(Some)
}

/// The keys: a ring that was changed while running counts until the file changes.
fn ring(config: &Config, keys: Option<&str>, kept: Option<&[u8]>) -> io::Result<Ring> {
    let Some(text) = keys else { return Ok(Ring::default()) };
    let file = Ring::parse(text).map_err(|error| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("gossip.keys_file: {}: {error}", config.gossip.keys_file),
        )
    })?;
    let kept = kept.and_then(|octets| Ring::parse(std::str::from_utf8(octets).ok()?).ok());
    // The kept ring grew out of the file's if it still knows the file's first key.
    Ok(match (kept, file.keys().first()) {
        (Some(kept), Some(first)) if kept.keys().iter().any(|key| key.id() == first.id()) => kept,
        _ => file,
    })
}

/// The address that others are told.
fn advertised(config: &Config, bound: SocketAddr) -> SocketAddr {
    match &config.gossip.advertise {
        Advertise::At(ip, port) => SocketAddr::new(*ip, port.unwrap_or(bound.port())),
        Advertise::Auto if !bound.ip().is_unspecified() => bound,
        Advertise::Auto => {
            let toward = config.gossip.join.iter().find_map(|peer| peer.host.parse::<IpAddr>().ok());
            // Nothing is sent: connecting a datagram socket only asks the routing table. The address is one for
            // documentation (RFC 5737), so it leads where a default route leads.
            let toward = toward.unwrap_or(IpAddr::from([192, 0, 2, 1]));
            let any: IpAddr = if toward.is_ipv4() { [0, 0, 0, 0].into() } else { [0u16; 8].into() };
            let source = UdpSocket::bind((any, 0)).and_then(|socket| {
                socket.connect((toward, bound.port()))?;
                socket.local_addr()
            });
            let ip = source.map_or(IpAddr::from([127, 0, 0, 1]), |source| source.ip());
            SocketAddr::new(ip, bound.port())
        }
    }
}
