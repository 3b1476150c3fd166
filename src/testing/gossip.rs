//! The production machine in the world: a [`Gossip`] and the little that its owner does with what it tells.
//!
//! A machine's owner serves the records of a lost node until its lease is over; the machine only says since when it
//! counts. So the count ends here.

use super::machine::{Change, Changes, Held, LEASE, Machine, News, Start, Warm, Wish};
use crate::base::time::Moment;
use crate::gossip::frame::Kind;
use crate::gossip::identity::NodeId;
use crate::gossip::machine::{self, Gossip, Settings};
use crate::gossip::membership::{self, Pool, Told};
use crate::gossip::output::{Event, Lease, NodeInfo, Output, StreamId};
use crate::gossip::replication::leases::FreezeRule;
use crate::gossip::replication::log::Log;
use crate::gossip::replication::sharing::Sharing;
use crate::gossip::secrecy::key::Key;
use crate::gossip::secrecy::keyring::Ring;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Nodes that speak sealed. Of more, each would keep the keys of each: a gigabyte for a thousand, and some
/// newcomers.
pub const SEALED_NODES_MAX: usize = 1_024;
/// Octets by which a sealed datagram is longer than one in clear; 7 to 10, by the age of its sender.
const SEAL_OCTETS: usize = 8;
/// How long a node that drains waits for acknowledgements: the default of `hivedns drain`.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// What the machines of one world share: their settings, their keys, and memory for what is equal.
#[derive(Clone)]
pub struct House {
    settings: Settings,
    ring: Ring,
    logs: Sharing,
    tellings: Pool,
}

/// A node's machine and its owner's count of leases.
pub struct Citizen {
    gossip: Gossip,
    /// Lost owners whose records are still served, and until when.
    served: Served,
}

/// The ends of leases that count, by owner and by moment: each wake asks for the first.
#[derive(Default)]
struct Served {
    until: BTreeMap<NodeId, Moment>,
    ends: BTreeSet<(Moment, NodeId)>,
}

impl Served {
    fn serve(&mut self, owner: NodeId, until: Moment) {
        self.forget(owner);
        self.until.insert(owner, until);
        self.ends.insert((until, owner));
    }

    fn forget(&mut self, owner: NodeId) {
        if let Some(until) = self.until.remove(&owner) {
            self.ends.remove(&(until, owner));
        }
    }
}

impl House {
    fn boot(&self, start: Start, now: Moment) -> Gossip {
        let (id, generation) = start.identity();
        let mut rng = fastrand::Rng::with_seed(start.seed);
        let mut secret = [0; 32];
        rng.fill(&mut secret);
        let info = NodeInfo { id, boot: start.boot, name: start.name, address: start.address };
        let begin = machine::Start { info, generation, ring: self.ring.clone(), secret, seed: rng.u64(..) };
        let mut gossip =
            Gossip::sharing(now, &self.settings, begin, self.logs.clone(), self.tellings.clone());
        for stored in start.disk.cluster.values() {
            gossip.restore_cluster(now, stored);
        }
        gossip
    }
}

impl Machine for Citizen {
    const NAME: &'static str = "gossip";
    type House = House;

    fn house(nodes: usize) -> House {
        let ring = match nodes <= SEALED_NODES_MAX {
            true => Ring::new(Key::new([7; 32])),
            false => Ring::default(),
        };
        let settings = Settings {
            cluster: "simulated".to_owned(),
            membership: membership::Settings::default(),
            freeze: FreezeRule { share: 0.34, max: Duration::from_secs(3_600) },
            // The simulator sees it from outside.
            measures: false,
        };
        House { settings, ring, logs: Sharing::new(), tellings: Pool::shared() }
    }

    fn about(house: &House) -> &'static str {
        if house.ring.is_empty() {
            "gossip, in clear, its octets counted as sealed"
        } else {
            "gossip, sealed"
        }
    }

    fn uncounted_octets(house: &House) -> usize {
        if house.ring.is_empty() { SEAL_OCTETS } else { 0 }
    }

    fn start(house: &House, start: Start, now: Moment) -> Citizen {
        Citizen { gossip: house.boot(start, now), served: Served::default() }
    }

    fn warm(house: &House, nodes: Vec<Warm>) -> Vec<Citizen> {
        let mut machines: Vec<(Gossip, Moment)> = nodes
            .into_iter()
            .map(|Warm { start, now, records }| {
                let mut gossip = house.boot(start, now);
                for (key, value) in records {
                    gossip.put(now, &key, &value);
                }
                gossip.ready(now);
                (gossip, now)
            })
            .collect();
        let members: Vec<Arc<Told>> =
            machines.iter().map(|(gossip, _)| Arc::clone(gossip.membership().own())).collect();
        let own_log = |gossip: &Gossip| {
            let id = gossip.me().id;
            Some((id, Arc::clone(gossip.replication().owners().get(id)?.shown()?)))
        };
        let mut logs: Vec<(NodeId, Arc<Log>)> =
            machines.iter().filter_map(|(gossip, _)| own_log(gossip)).collect();
        // Owners stand by their ids: so each is appended, and none inserted.
        logs.sort_unstable_by_key(|(id, _)| *id);
        for (gossip, now) in &mut machines {
            gossip.restore(*now, members.iter().cloned(), logs.iter().cloned());
        }
        machines.into_iter().map(|(gossip, _)| Citizen { gossip, served: Served::default() }).collect()
    }

    fn handle_datagram(&mut self, now: Moment, from: SocketAddr, octets: &mut [u8]) {
        self.gossip.handle_datagram(now, from, octets);
    }

    fn handle_timeout(&mut self, now: Moment) {
        self.gossip.handle_timeout(now);
    }

    fn accept(&mut self, now: Moment, from: SocketAddr) -> Option<StreamId> {
        self.gossip.accept(now, from)
    }

    fn stream_opened(&mut self, now: Moment, stream: StreamId) {
        self.gossip.stream_opened(now, stream);
    }

    fn stream_received(&mut self, now: Moment, stream: StreamId, octets: &[u8]) {
        self.gossip.stream_received(now, stream, octets);
    }

    fn stream_writable(&mut self, now: Moment, stream: StreamId, room: usize) {
        self.gossip.stream_writable(now, stream, room);
    }

    fn stream_closed(&mut self, now: Moment, stream: StreamId) {
        self.gossip.stream_closed(now, stream);
    }

    fn poll(&mut self, now: Moment) -> Wish {
        loop {
            return match self.gossip.poll(now) {
                Output::Datagram { to, octets } => Wish::Datagram { to, octets },
                Output::Open { stream, to } => Wish::Open { stream, to },
                Output::Write { stream, octets } => Wish::Write { stream, octets },
                Output::Close { stream } => Wish::Close(stream),
                Output::Event(event) => match self.news(now, event) {
                    Some(news) => Wish::News(news),
                    None => continue,
                },
                Output::Wake(wake) => match self.served.ends.first().copied() {
                    Some((until, owner)) if until <= now => {
                        self.served.forget(owner);
                        Wish::News(News::Lease { owner, held: Held::Hidden })
                    }
                    Some((until, _)) => Wish::Wake(wake.min(until)),
                    None => Wish::Wake(wake),
                },
            };
        }
    }

    fn join(&mut self, now: Moment, addresses: &[SocketAddr], all_resolved: bool) {
        self.gossip.join(now, addresses, all_resolved);
    }

    fn put(&mut self, now: Moment, key: Bytes, value: Bytes) {
        self.gossip.put(now, &key, &value);
    }

    fn remove(&mut self, now: Moment, key: Bytes) {
        self.gossip.remove(now, &key);
    }

    fn ready(&mut self, now: Moment) {
        self.gossip.ready(now);
    }

    fn cluster_put(&mut self, now: Moment, key: Bytes, value: Bytes) {
        self.gossip.write_cluster(now, &key, Some(&value));
    }

    fn cluster_remove(&mut self, now: Moment, key: Bytes) {
        self.gossip.write_cluster(now, &key, None);
    }

    fn drain(&mut self, now: Moment) {
        self.gossip.drain(now, DRAIN_TIMEOUT);
    }

    fn leave(&mut self, now: Moment) {
        self.gossip.leave(now);
    }

    fn restarting(&mut self, now: Moment) {
        self.gossip.restarting(now);
    }

    fn force_leave(&mut self, now: Moment, id: NodeId) {
        self.gossip.force_leave(now, id);
    }

    fn counters(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        let traffic = self.gossip.traffic();
        for (number, octets) in traffic.by_kind.iter() {
            tell(kind_name(number), octets);
        }
        tell("strange frames", traffic.strange);
        tell("refused datagrams", self.gossip.secrecy().refusals().iter().map(|(_, count)| count).sum());
        let counts = self.gossip.replication().counts();
        tell("changes only hinted", counts.shed);
        tell("mismatches", counts.mismatches);
        tell("pulls", counts.pulls);
    }

    fn queued_octets(&self) -> usize {
        self.gossip.queued_octets()
    }

    fn dump(&self, lines: &mut String) {
        let replication = self.gossip.replication();
        // Writing into a string does not fail.
        for owner in replication.owners().iter() {
            let Some(log) = owner.shown() else { continue };
            let (id, life, head) = (owner.id(), log.generation().0, log.head().0);
            let _ = writeln!(lines, "{id} {life}.{head} {:016x} {}", log.hash(), log.live());
        }
        for write in replication.cluster().iter() {
            let _ = writeln!(lines, "cluster {:?} {:?}", write.key, write.to_octets());
        }
    }
}

impl Citizen {
    fn news(&mut self, now: Moment, event: Event) -> Option<News> {
        Some(match event {
            // What this node itself says is no news to it.
            Event::Records { owner, .. } if owner == self.gossip.me().id => return None,
            Event::Records { owner, log, since } => {
                News::Records { owner, replace: since.is_none(), changes: Changes::Logged(log, since) }
            }
            Event::Lease { owner, lease } => {
                self.served.forget(owner);
                let held = match lease {
                    Lease::Full => Held::Full,
                    Lease::Counting { since, .. } if since + LEASE <= now => Held::Hidden,
                    Lease::Counting { since, .. } => {
                        self.served.serve(owner, since + LEASE);
                        Held::Counting
                    }
                    Lease::Frozen { .. } => Held::Frozen,
                    Lease::Hidden => Held::Hidden,
                };
                News::Lease { owner, held }
            }
            Event::Cluster { key, value, stored } => News::Cluster { change: Change { key, value }, stored },
            Event::Member { info, health } => News::Member { id: info.id, address: info.address, health },
            Event::Forgotten { id } => {
                self.served.forget(id);
                News::Forgotten(id)
            }
            Event::Synced { alone } => News::Synced(alone),
            Event::Identity { id, generation } => News::Identity(id, generation),
            // Nobody asks anything here.
            Event::Asked { .. } | Event::Known { .. } | Event::Resynced { .. } => return None,
            Event::Keys | Event::ClusterReplaced { .. } => return None,
            Event::Drained { missing } => News::Drained(missing.len()),
            Event::ExpiryFrozen(frozen) => News::ExpiryFrozen(frozen),
        })
    }
}

/// What a kind of frame is called in the report: its octets are counted by that name.
fn kind_name(number: u8) -> &'static str {
    match Kind::from_number(number) {
        Some(Kind::Delta) => "octets of Delta",
        Some(Kind::Answer) => "octets of Answer",
        Some(Kind::Hint) => "octets of Hint",
        Some(Kind::Pull) => "octets of Pull",
        Some(Kind::Refer) => "octets of Refer",
        Some(Kind::Cluster) => "octets of Cluster",
        Some(Kind::Digest) => "octets of Digest",
        Some(Kind::Buckets) => "octets of Buckets",
        Some(Kind::Heads) => "octets of Heads",
        Some(Kind::ClusterBuckets) => "octets of ClusterBuckets",
        Some(Kind::MemberBuckets) => "octets of MemberBuckets",
        Some(Kind::Ask) => "octets of Ask",
        Some(Kind::Held) => "octets of Held",
        Some(Kind::Key) => "octets of Key",
        Some(Kind::Table) => "octets of Table",
        Some(Kind::Want) => "octets of Want",
        Some(Kind::Done) => "octets of Done",
        Some(Kind::ClusterHint) => "octets of ClusterHint",
        Some(Kind::AskStates) => "octets of AskStates",
        Some(Kind::States) => "octets of States",
        Some(Kind::ClusterMark) => "octets of ClusterMark",
        Some(Kind::ClusterParts) => "octets of ClusterParts",
        Some(Kind::MarkAsk) => "octets of MarkAsk",
        Some(Kind::MarkHeld) => "octets of MarkHeld",
        Some(Kind::Question) => "octets of Question",
        Some(Kind::Known) => "octets of Known",
        Some(Kind::Reached) => "octets of Reached",
        Some(Kind::Since) => "octets of Since",
        None => match number {
            1 => "octets of Who",
            2 => "octets of Ping",
            3 => "octets of Ack",
            4 => "octets of Nack",
            5 => "octets of PingReq",
            6 => "octets of Told",
            7 => "octets of Suspect",
            _ => "octets of other kinds",
        },
    }
}
