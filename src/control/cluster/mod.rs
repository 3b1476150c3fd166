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

mod advertise;
mod cuts;
mod engine;
mod keys;
mod names;
mod outward;
mod peers;
mod resolver;
mod shares;
mod told;
mod transport;

pub(super) use advertise::source as source_toward;
pub(in crate::control) use cuts::News;
pub use engine::{Engine, Speak};
pub use keys::read_keys;
pub use resolver::Resolver;
pub(in crate::control) use shares::Followed;
pub use told::HEALTHS;
pub(super) use told::health_word;
pub use transport::Ports;

use crate::base::config::Config;
use crate::base::time::Moment;
use crate::catalog::delta::Delta;
use crate::catalog::services::Terms;
use crate::control::members::Resynced;
use crate::control::request::Answer;
use crate::control::since::Since;
use crate::discovery::cluster::Rrset;
use crate::discovery::node::{self, Entry};
use crate::gossip::identity::{Generation, NodeId};
use crate::gossip::machine::{self, Gossip};
use crate::gossip::output::{Event, NodeInfo, Output};
use crate::gossip::replication::leases::FreezeRule;
use crate::keeper::{Keeper, Write};
use crate::wire::name::Name;
use advertise::Advertised;
use bytes::Bytes;
use cuts::Cuts;
use keys::Keys;
use mio::Registry;
use names::Names;
pub(in crate::control) use peers::By;
use peers::Peers;
use shares::Shares;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use told::tell_member;
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
    /// Which zones members shared, if that was ever known.
    pub shared: Option<Vec<u8>>,
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

/// How long the news that this node stops is sent, before it stops.
const FAREWELL: Duration = Duration::from_millis(250);

/// What a member writes to this node in particular, by the number of a question.
pub(super) enum Letter {
    /// It asks.
    Asked(NodeId, u64, Bytes),
    /// What became of a question of this node's; `None`: nobody knew the answer.
    Known(u64, Option<Bytes>),
}

/// The member.
pub struct Cluster {
    pub(super) gossip: Gossip,
    transport: Transport,
    names: Names,
    keeper: Option<Keeper>,
    resolver: Option<Resolver>,
    peers: Peers,
    keys: Keys,
    advertised: Advertised,
    pub(super) engine: Engine,
    /// If the domain goes to other servers.
    cuts: Option<Cuts>,
    shares: Shares,
    domain: Name,
    /// Who waits for a drain, how many members there were, and whether this node leaves afterwards.
    pub(super) draining: Option<(usize, bool, Answer)>,
    /// The drain is over, and these have not acknowledged.
    pub(super) drained: Option<Vec<NodeId>>,
    /// A comparison that somebody waits for is over.
    pub(super) resynced: Option<Resynced>,
    alone: bool,
    /// Since when what is told is known.
    pub(super) since: Since,
    /// What members ask of this node, and what became of its own questions.
    pub(super) letters: Vec<Letter>,
    /// When the machine wants to be woken.
    wake_at: Moment,
    name: String,
}

impl Cluster {
    /// Joins. `ports`: the sockets, if this node speaks with others at all; `listening`: where it answers queries.
    pub fn start(
        now: Moment,
        config: &Config,
        remembered: Remembered,
        lots: &Lots,
        (keys, ports, listening): (Option<&str>, Option<Ports>, &[SocketAddr]),
        registry: &Registry,
        (resolver, engine): (Option<Resolver>, Engine),
    ) -> io::Result<(Cluster, Vec<Delta>)> {
        let bound = ports.as_ref().map_or(config.gossip.bind, Ports::address);
        let advertised = Advertised::new(&config.gossip.advertise, bound, &remembered.peers);
        let info = NodeInfo {
            id: NodeId(remembered.id),
            boot: lots.boot,
            name: config.server.node.as_str().into(),
            address: advertised.address,
        };
        let keys = Keys::choose(&config.gossip.keys_file, keys, remembered.ring.as_deref())?;
        let ring = keys.ring.clone();
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
            measures: true,
        };
        let generation = Generation(remembered.generation);
        let me = info.id;
        let start = machine::Start { info, generation, ring, secret: lots.secret, seed: lots.seed };
        let mut cluster = Cluster {
            gossip: Gossip::new(now, &settings, start),
            transport: Transport::new(ports, registry)?,
            names: Names::new(domain(config), config, me),
            keeper: None,
            resolver,
            peers: Peers::new(now, remembered.peers, lots.seed),
            keys,
            advertised,
            engine,
            cuts: None,
            shares: Shares::new(me, listening, remembered.shared.as_deref()),
            domain: domain(config),
            draining: None,
            drained: None,
            resynced: None,
            alone: false,
            since: Since::default(),
            letters: Vec::new(),
            wake_at: now,
            name: config.gossip.cluster.clone(),
        };
        cluster.set_cuts(now, config);
        let mut deltas = vec![cluster.terms(config)];
        for (key, stored) in &remembered.cluster {
            if !cluster.gossip.restore_cluster(now, stored) {
                tracing::error!(?key, "a cluster-wide record on disk cannot be read: it is left out");
            }
        }
        deltas.extend(cluster.drain(now));
        // Only now: what came from the disk need not go there again.
        cluster.keeper = remembered.keeper;
        if cluster.keys.is_news {
            cluster.keep_ring();
        }
        cluster.publish_address(now);
        // Before the others see this life: else they would think that nothing is shared any more.
        cluster.share(now, config, |_| None);
        if !cluster.engine.is_awaited() {
            cluster.gossip.ready(now);
        }
        let joins = !config.gossip.join.is_empty() && cluster.transport.is_open();
        if joins {
            if let Some(resolver) = &mut cluster.resolver {
                resolver.ask(now, &config.gossip.join);
            }
        } else {
            cluster.gossip.join(now, &[], true);
        }
        // Who joins nobody begins on its own, and meets those whom it knew all the same.
        let known = cluster.peers.remembered(cluster.gossip.membership());
        if cluster.transport.is_open() && !known.is_empty() {
            cluster.gossip.join(now, known, false);
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
        let waiting = self.keeper.as_ref().map_or(Moment::NEVER, Keeper::next_wake);
        let sockets = self.transport.next_wake().min(self.names.next_wake());
        let cuts = self.cuts.as_ref().map_or(Moment::NEVER, Cuts::next_wake);
        self.wake_at.min(resolve).min(self.peers.next()).min(waiting).min(sockets).min(cuts)
    }

    /// Something happened on a socket; if it is none of the cluster's, nothing follows.
    pub fn ready(&mut self, now: Moment, event: &mio::event::Event) {
        self.transport.note(event, &mut self.gossip, now);
    }

    /// Takes what has come, does what is due; what changed.
    pub fn turn(&mut self, now: Moment, registry: &Registry) -> Vec<Delta> {
        self.transport.receive(now, &mut self.gossip, registry);
        self.learn_home(now);
        if self.wake_at <= now {
            self.gossip.handle_timeout(now);
        }
        if let Some(resolver) = &mut self.resolver {
            resolver.ask_if_due(now);
        }
        if self.peers.next() <= now {
            self.keep_peers(now);
        }
        if let Some(keeper) = &self.keeper {
            keeper.give_up(now);
        }
        let mut all = self.drain(now);
        if self.cuts.is_some() {
            self.cut(now);
            all.extend(self.drain(now));
        }
        self.transport.flush(now, &mut self.gossip, registry);
        all.extend(self.drain(now));
        self.names.expire(now, &mut all);
        self.settle_engine(now, registry, &mut all);
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
                Output::Event(event) => self.hear(now, event, &mut deltas),
                Output::Wake(at) => {
                    self.wake_at = at;
                    return deltas;
                }
                output => self.transport.obey(now, output),
            }
        }
    }

    fn hear(&mut self, now: Moment, event: Event, deltas: &mut Vec<Delta>) {
        if let Some(cuts) = &mut self.cuts {
            cuts.hear(&event);
        }
        for fault in self.shares.hear(&event) {
            self.names.foul(fault.as_bytes(), &fault);
        }
        match event {
            Event::Records { owner, log, since } => {
                self.since.owner(now, owner, (log.generation(), log.head()));
                self.engine.records(owner, &log);
                self.names.records(&self.gossip, owner, &log, since, deltas);
            }
            Event::Lease { owner, lease } => self.names.lease(owner, lease, deltas),
            Event::Cluster { key, value, stored } => {
                // An empty key: nothing to serve, but to be kept.
                if !key.is_empty() {
                    self.since.set(now, &key);
                    self.names.cluster(&key, value.as_deref(), deltas);
                }
                self.keep(Write::Record(crate::disk::Entry { key, value: stored }));
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
                self.names.member(&self.gossip, &info, deltas);
            }
            Event::Forgotten { id } => {
                self.since.forget(id);
                self.engine.forgotten(id);
                self.names.forgotten(&self.gossip, id, deltas);
            }
            Event::Synced { alone } => {
                self.alone = alone;
                if alone {
                    tracing::error!(
                        "no address of gossip.join answers: this node serves what it knows alone"
                    );
                } else {
                    tracing::info!("the cluster's records are known");
                }
                if self.engine.synced() {
                    deltas.push(Delta::Synced(true));
                }
            }
            Event::Identity { id, generation } => {
                tracing::warn!(%id, generation = generation.0, "this node begins a new life");
                self.keep(Write::Identity { id: id.0, generation: generation.0 });
                self.names.renamed(&self.gossip, deltas);
            }
            Event::Keys => self.keep_ring(),
            Event::Asked { by, number, question } => self.letters.push(Letter::Asked(by, number, question)),
            Event::Known { number, answer } => self.letters.push(Letter::Known(number, answer)),
            Event::Drained { missing } => self.drained = Some(missing),
            Event::Resynced { with, is_whole, owners, changes, took } => {
                self.resynced = Some(Resynced { with, is_whole, owners, changes, took });
            }
            Event::ExpiryFrozen(true) => {
                tracing::error!("many nodes were lost at once: their records do not expire for now");
            }
            Event::ExpiryFrozen(false) => tracing::warn!("records of lost nodes expire again"),
        }
    }

    fn keep(&self, write: Write) {
        if let Some(keeper) = &self.keeper {
            keeper.keep(write);
        }
    }

    fn keep_ring(&self) {
        self.keep(Write::Ring(self.keys.kept(self.gossip.secrecy().ring())));
    }

    fn keep_peers(&mut self, now: Moment) {
        if let Some(peers) = self.peers.draw(now, self.gossip.membership()) {
            self.keep(Write::Peers(peers));
        }
    }

    /// These were found where members are; `is_whole`: no name to join is missing.
    pub(in crate::control) fn join(&mut self, now: Moment, by: By, addresses: &[SocketAddr], is_whole: bool) {
        if by == By::Resolver
            && let Some(resolver) = &mut self.resolver
        {
            resolver.answered(now, is_whole);
        }
        if self.advertised.found(addresses) {
            self.move_home(now);
        }
        self.peers.found(by, addresses, is_whole);
        let (addresses, is_whole) = self.peers.wanted(self.gossip.membership());
        self.gossip.join(now, &addresses, is_whole);
    }

    /// The engine says whether nobody else is to come. Whoever knows better, by a name, from an earlier life or by having met
    /// somebody, waits all the same.
    fn begin_if_alone(&mut self, now: Moment, says_so: bool) {
        let is_alone = self.peers.are_nobody_else(now, says_so, self.advertised.address.ip());
        if is_alone && !self.gossip.is_synced() && self.gossip.membership().alive() == 0 {
            tracing::info!("this node is the only one of its service: it begins the cluster");
            self.gossip.join(now, &[], true);
        }
    }

    /// Whoever was found by others, and found nobody, learns from them where it is reached.
    fn learn_home(&mut self, now: Moment) {
        if let Some(from) = self.gossip.membership().heard_at()
            && self.advertised.heard(from.ip())
        {
            self.move_home(now);
        }
    }

    fn move_home(&mut self, now: Moment) {
        let address = self.advertised.address;
        tracing::info!(%address, "others are told to reach this node there");
        self.gossip.move_to(now, address);
        self.publish_address(now);
    }

    /// Publishes what other nodes make `NODE.node` of.
    fn publish_address(&mut self, now: Moment) {
        self.names.set_home(self.advertised.address.ip());
        let entry = Entry::new([self.advertised.address.ip()]);
        self.gossip.put(now, node::KEY, &entry.value());
        self.publish_listeners(now);
    }

    /// Says farewell: this node stops and will be back. What is to be sent is sent until the moment returned.
    pub fn restarting(&mut self, now: Moment) -> Moment {
        self.keep_peers(now);
        if self.transport.is_open() && self.gossip.membership().alive() > 0 {
            self.gossip.restarting(now);
            self.drain(now);
            return now + FAREWELL;
        }
        now
    }

    /// Nothing more happens: what is to be kept is written meanwhile.
    pub fn end(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.end();
        }
    }

    /// Ends. Waits for the disk until then, no longer.
    pub fn finish(mut self, deadline: Instant) {
        if let Some(keeper) = self.keeper.take()
            && !keeper.finish(deadline)
        {
            tracing::error!("the disk does not answer: the last changes may be lost");
        }
    }

    /// True once the records are known, those of this node's own containers among them.
    pub fn is_synced(&self) -> bool {
        self.gossip.is_synced() && !self.engine.is_awaited()
    }

    /// What is made of what nodes say of their containers.
    pub(super) fn derived(&self) -> &crate::discovery::names::Names {
        self.names.derived()
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

    /// What is replicated under a key, understood or not.
    pub(super) fn value(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.gossip.replication().cluster().get(key).map(|value| value.to_vec())
    }
}

/// The domain of service names.
fn domain(config: &Config) -> Name {
    // The configuration accepts nothing that is not a name.
    Name::parse(config.services.domain.as_str()).unwrap_or(Name::ROOT)
}
