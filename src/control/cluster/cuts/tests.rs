//! Whole worlds of nodes that go to other servers with the domain, in virtual time. Secondaries ask now this node and now
//! that one, and hold what they get against what every other node has under the same serial.

mod secondary;

use super::*;
use crate::base::time::Moment;
use crate::catalog::lease::OwnerId;
use crate::discovery::cluster::Rrset;
use crate::discovery::endpoint::{Attachment, Endpoint, Reach};
use crate::discovery::labels::Order;
use crate::discovery::node;
use crate::gossip::machine;
use crate::gossip::membership;
use crate::gossip::output::{NodeInfo, Output, StreamId};
use crate::gossip::replication::leases::FreezeRule;
use crate::gossip::secrecy::keyring::Ring;
use crate::testing::machine::{Change, Changes, Held, LEASE, Machine, News as Told, Start, Warm, Wish};
use crate::testing::scenario::{Asked, Scenario};
use crate::testing::simulate::simulate;
use crate::wire::name::Name;
use crate::zone::view::number;
use bytes::Bytes;
use secondary::{Copy, Lots};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

const DOMAIN: &str = "hive.internal.";
/// The time of day at which worlds begin.
const BEGIN: u64 = 1_790_000_000;
/// Secondaries that ask.
const SECONDARIES: usize = 6;
/// One in so many calls of a machine has a secondary ask it.
const ASK_EVERY: u32 = 40;
/// The network of all containers.
const NETWORK: &str = "net";

thread_local! {
    /// Of the world that runs on this thread.
    static LOTS: RefCell<Lots> = RefCell::new(Lots::default());
}

/// A node: the gossip machine, and its part in cuts.
struct Citizen {
    gossip: Gossip,
    cuts: Cuts,
    copy: Copy,
    served: BTreeMap<NodeId, Moment>,
    is_turned: bool,
    wish: Option<Wish>,
}

fn terms() -> names::Terms {
    names::Terms {
        domain: Name::parse(DOMAIN).unwrap(),
        ttl: 5,
        fail_open: true,
        order: Order::Nearest,
        me: OwnerId(0),
        external: String::new(),
    }
}

/// A record of the world as a container, whose address is what the record says.
fn endpoint(key: &[u8], value: &[u8]) -> Endpoint {
    let called: String = key.iter().map(|octet| format!("{octet:02x}")).collect();
    let address = [10, value[1], value[2], value[3]];
    let network = Attachment {
        id: NETWORK.into(),
        name: NETWORK.into(),
        reach: Reach::Swarm,
        ipv4: Some(address.into()),
        ..Attachment::default()
    };
    Endpoint { id: called.clone(), name: called, networks: vec![network], ..Endpoint::default() }.normalized()
}

/// The same of a record of the cluster.
fn set(key: &[u8], value: &[u8]) -> Rrset {
    let called: String = key.iter().map(|octet| format!("{octet:02x}")).collect();
    let domain = Name::parse(DOMAIN).unwrap();
    let text = format!("10.{}.{}.{}", value[1], value[2], value[3]);
    Rrset::read(&format!("{called}.{DOMAIN}"), 60, "A", &[text], &domain).unwrap()
}

impl Citizen {
    fn boot(start: Start, now: Moment) -> Gossip {
        let (id, generation) = start.identity();
        let freeze = FreezeRule { share: 0.34, max: Duration::from_secs(3_600) };
        let settings = machine::Settings {
            cluster: "simulated".into(),
            membership: membership::Settings::default(),
            freeze,
            measures: false,
        };
        let info = NodeInfo { id, boot: start.boot, name: start.name, address: start.address };
        let begin =
            machine::Start { info, generation, ring: Ring::default(), secret: [7; 32], seed: start.seed };
        let mut gossip = Gossip::new(now, &settings, begin);
        for stored in start.disk.cluster.values() {
            gossip.restore_cluster(now, stored);
        }
        let address: IpAddr = start.address.ip();
        gossip.put(now, node::KEY, &node::Entry::new([address]).value());
        gossip
    }

    fn new(gossip: Gossip, now: Moment) -> Citizen {
        let settings = Settings { names: terms(), ttl: 5, negative_ttl: 2, lease: LEASE };
        let cuts = Cuts::new(now, settings, &gossip);
        Citizen { gossip, cuts, copy: Copy::default(), served: BTreeMap::new(), is_turned: false, wish: None }
    }

    /// What was handed in has an effect on cuts when all of it has been told.
    fn turn(&mut self, now: Moment) {
        // Clocks of nodes differ by days at most.
        let seconds = BEGIN + now.as_micros() / 1_000_000;
        let life = (self.gossip.me().id.0, self.gossip.generation().0);
        LOTS.with_borrow_mut(|lots| lots.lives.entry(life).or_default().insert(self.gossip.me().address));
        self.cuts.set_networks(&[number(NETWORK.as_bytes())]);
        let is_synced = self.gossip.is_synced();
        self.cuts.turn((now, seconds), is_synced, &mut self.gossip);
        for news in self.cuts.take_news() {
            LOTS.with_borrow_mut(|lots| match news {
                News::Later(version) => {
                    let before = self.copy.serial;
                    self.copy.take(&version);
                    let serial = self.copy.serial.unwrap();
                    assert!(before.is_none_or(|before| before.is_before(serial)), "no way back");
                    let seen = lots.seen.entry(serial.0).or_insert_with(|| self.copy.zone.clone());
                    assert_eq!(*seen, self.copy.zone, "one serial, one zone");
                    if lots.latest.is_none_or(|latest| latest.is_before(serial)) {
                        lots.latest = Some(serial);
                    }
                }
                News::Withdrawn(serial) => {
                    // That hashes find this out is what they are for.
                    let mut disputed =
                        self.cuts.sequences.values().filter(|said| said.serial() == Some(serial));
                    lots.withdrawn += usize::from(!disputed.any(|said| lots.has_twins(said.heads())));
                }
            });
        }
        LOTS.with_borrow_mut(|lots| {
            if !self.cuts.is_over {
                lots.nodes.insert(self.gossip.me().address, self.copy.serial);
            }
            let rng = lots.rng.as_mut().unwrap();
            if rng.u32(..ASK_EVERY) == 0 {
                let which = rng.usize(..SECONDARIES);
                let mut secondary = std::mem::take(&mut lots.secondaries[which]);
                secondary.ask(&self.copy, lots);
                lots.secondaries[which] = secondary;
            }
        });
    }

    fn end(&mut self) {
        self.cuts.end();
        LOTS.with_borrow_mut(|lots| lots.nodes.remove(&self.gossip.me().address));
    }

    fn told(&mut self, now: Moment, event: Event) -> Option<Told> {
        Some(match event {
            Event::Records { owner, .. } if owner == self.gossip.me().id => return None,
            Event::Records { owner, log, since } => {
                Told::Records { owner, replace: since.is_none(), changes: Changes::Logged(log, since) }
            }
            Event::Lease { owner, lease } => {
                self.served.remove(&owner);
                let held = match lease {
                    Lease::Full => Held::Full,
                    Lease::Counting { since, .. } if since + LEASE <= now => Held::Hidden,
                    Lease::Counting { since, .. } => {
                        self.served.insert(owner, since + LEASE);
                        Held::Counting
                    }
                    Lease::Frozen { .. } => Held::Frozen,
                    Lease::Hidden => Held::Hidden,
                };
                Told::Lease { owner, held }
            }
            Event::Cluster { key, value, stored } => Told::Cluster { change: Change { key, value }, stored },
            Event::Member { info, health } => Told::Member { id: info.id, address: info.address, health },
            Event::Forgotten { id } => Told::Forgotten(id),
            Event::Synced { alone } => Told::Synced(alone),
            Event::Identity { id, generation } => Told::Identity(id, generation),
            Event::Keys
            | Event::ClusterReplaced { .. }
            | Event::Asked { .. }
            | Event::Known { .. }
            | Event::Resynced { .. } => return None,
            Event::Drained { missing } => Told::Drained(missing.len()),
            Event::ExpiryFrozen(frozen) => Told::ExpiryFrozen(frozen),
        })
    }
}

impl Machine for Citizen {
    const NAME: &'static str = "nodes with cuts";
    type House = ();

    fn house(_: usize) {
        LOTS.with_borrow_mut(|lots| {
            *lots = Lots {
                secondaries: vec![Copy::default(); SECONDARIES],
                rng: Some(fastrand::Rng::with_seed(7)),
                ..Lots::default()
            };
        });
    }

    fn start((): &(), start: Start, now: Moment) -> Citizen {
        Citizen::new(Citizen::boot(start, now), now)
    }

    fn warm((): &(), nodes: Vec<Warm>) -> Vec<Citizen> {
        let mut machines: Vec<(Gossip, Moment)> = nodes
            .into_iter()
            .map(|Warm { start, now, records }| {
                let mut gossip = Citizen::boot(start, now);
                for (key, value) in records {
                    say(&mut gossip, now, &key, &value);
                }
                gossip.ready(now);
                (gossip, now)
            })
            .collect();
        let members: Vec<_> = machines.iter().map(|(gossip, _)| gossip.membership().own().clone()).collect();
        let logs: Vec<_> = machines
            .iter()
            .map(|(gossip, _)| {
                let id = gossip.me().id;
                (id, gossip.replication().owners().get(id).unwrap().shown().unwrap().clone())
            })
            .collect();
        for (gossip, now) in &mut machines {
            gossip.restore(*now, members.iter().cloned(), logs.iter().cloned());
        }
        machines.into_iter().map(|(gossip, now)| Citizen::new(gossip, now)).collect()
    }

    fn handle_datagram(&mut self, now: Moment, from: SocketAddr, octets: &mut [u8]) {
        self.is_turned = false;
        self.gossip.handle_datagram(now, from, octets);
    }

    fn handle_timeout(&mut self, now: Moment) {
        self.is_turned = false;
        self.gossip.handle_timeout(now);
    }

    fn accept(&mut self, now: Moment, from: SocketAddr) -> Option<StreamId> {
        self.gossip.accept(now, from)
    }

    fn stream_opened(&mut self, now: Moment, stream: StreamId) {
        self.gossip.stream_opened(now, stream);
    }

    fn stream_received(&mut self, now: Moment, stream: StreamId, octets: &[u8]) {
        self.is_turned = false;
        self.gossip.stream_received(now, stream, octets);
    }

    fn stream_writable(&mut self, now: Moment, stream: StreamId, room: usize) {
        self.gossip.stream_writable(now, stream, room);
    }

    fn stream_closed(&mut self, now: Moment, stream: StreamId) {
        self.gossip.stream_closed(now, stream);
    }

    fn poll(&mut self, now: Moment) -> Wish {
        if let Some(wish) = self.wish.take() {
            return wish;
        }
        loop {
            return match self.gossip.poll(now) {
                Output::Datagram { to, octets } => Wish::Datagram { to, octets },
                Output::Open { stream, to } => Wish::Open { stream, to },
                Output::Write { stream, octets } => Wish::Write { stream, octets },
                Output::Close { stream } => Wish::Close(stream),
                Output::Event(event) => {
                    self.cuts.hear(&event);
                    match self.told(now, event) {
                        Some(news) => Wish::News(news),
                        None => continue,
                    }
                }
                Output::Wake(_) if !std::mem::replace(&mut self.is_turned, true) => {
                    self.turn(now);
                    continue;
                }
                Output::Wake(wake) => {
                    let over = self.served.iter().find(|(_, until)| **until <= now).map(|(owner, _)| *owner);
                    if let Some(owner) = over {
                        self.served.remove(&owner);
                        return Wish::News(Told::Lease { owner, held: Held::Hidden });
                    }
                    let next = self.served.values().copied().min().unwrap_or(Moment::NEVER);
                    let own = self.cuts.next_wake();
                    Wish::Wake(wake.min(next).min(own))
                }
            };
        }
    }

    fn join(&mut self, now: Moment, addresses: &[SocketAddr], all_resolved: bool) {
        self.gossip.join(now, addresses, all_resolved);
    }

    fn put(&mut self, now: Moment, key: Bytes, value: Bytes) {
        self.is_turned = false;
        say(&mut self.gossip, now, &key, &value);
    }

    fn remove(&mut self, now: Moment, key: Bytes) {
        self.is_turned = false;
        self.gossip.remove(now, &key);
        self.gossip.remove(now, &endpoint(&key, &[0; 4]).key().unwrap());
    }

    fn ready(&mut self, now: Moment) {
        self.gossip.ready(now);
    }

    fn cluster_put(&mut self, now: Moment, key: Bytes, value: Bytes) {
        self.is_turned = false;
        self.gossip.write_cluster(now, &key, Some(&value));
        let set = set(&key, &value);
        self.gossip.write_cluster(now, &set.key(), Some(&set.value()));
    }

    fn cluster_remove(&mut self, now: Moment, key: Bytes) {
        self.is_turned = false;
        self.gossip.write_cluster(now, &key, None);
        self.gossip.write_cluster(now, &set(&key, &[0; 4]).key(), None);
    }

    fn drain(&mut self, now: Moment) {
        self.end();
        self.gossip.drain(now, Duration::from_secs(10));
    }

    fn leave(&mut self, now: Moment) {
        self.end();
        self.gossip.leave(now);
    }

    fn restarting(&mut self, now: Moment) {
        self.gossip.restarting(now);
    }

    fn force_leave(&mut self, now: Moment, id: NodeId) {
        self.gossip.force_leave(now, id);
    }

    fn counters(&self, _: &mut dyn FnMut(&'static str, u64)) {}

    fn queued_octets(&self) -> usize {
        self.gossip.queued_octets()
    }

    fn dump(&self, lines: &mut String) {
        use std::fmt::Write;
        for owner in self.gossip.replication().owners().iter() {
            let Some(log) = owner.shown() else { continue };
            let _ = writeln!(lines, "{} {:?} {:016x}", owner.id(), log, log.hash());
        }
        let _ = writeln!(lines, "{:?}", self.copy.serial);
    }
}

fn say(gossip: &mut Gossip, now: Moment, key: &[u8], value: &[u8]) {
    gossip.put(now, key, value);
    let endpoint = endpoint(key, value);
    gossip.put(now, &endpoint.key().unwrap(), &endpoint.value().unwrap());
}

fn asked(nodes: usize, duration: &str, changes: &str, seed: u64) -> Scenario {
    let asked = Asked {
        nodes: Some(nodes.to_string()),
        duration: Some(duration.to_owned()),
        changes: Some(changes.to_owned()),
        ..Asked::default()
    };
    asked.read(seed).expect("it is sound")
}

/// Runs it; at its end all nodes have the same serial, and it is later than any that there was.
#[track_caller]
fn run(scenario: &Scenario) -> Lots {
    let run = simulate::<Citizen>(scenario, None, |_| ());
    assert_eq!(run.broken, [], "{:#?}", run.story);
    let lots = LOTS.take();
    let (serials, lanes) = (lots.seen.len(), lots.seen.keys().map(|serial| serial & 0xff));
    let lanes: BTreeSet<u32> = lanes.collect();
    println!("{serials} serials of {lanes:?}, {} steps, {} wholes", lots.steps, lots.wholes);
    let behind = lots.nodes.iter().filter(|(_, serial)| **serial != lots.latest);
    assert_eq!(behind.collect::<Vec<_>>(), [], "latest is {:?}: {:#?}", lots.latest, run.story);
    assert_eq!(lots.withdrawn, 0);
    lots
}

#[test]
fn a_calm_cluster_has_one_zone_and_secondaries_follow_it_by_steps() {
    let lots = run(&Scenario { records: 4, ..asked(5, "30s", "3", 7) });
    assert!(lots.seen.len() > 10 && lots.steps > 5 * lots.wholes);
}

#[test]
fn loss_makes_nodes_skip_cuts_and_never_differ() {
    let lots = run(&Scenario { records: 4, loss: 0.2, ..asked(6, "30s", "20", 8) });
    assert!(lots.seen.len() > 10 && lots.steps > lots.wholes);
}

#[test]
fn sides_of_a_split_go_on_apart_and_what_follows_is_later_than_both() {
    let cut = Asked { partition: Some("half:15s".into()), ..Asked::default() }.read(7).expect("it is sound");
    for seed in [7, 8] {
        let scenario = Scenario { records: 2, partition: cut.partition, ..asked(6, "40s", "4", seed) };
        let lots = run(&scenario);
        let lanes: BTreeSet<u32> = lots.seen.keys().map(|serial| serial & 0xff).collect();
        assert!(lanes.len() > 1, "each side had a sequencer");
    }
}

#[test]
fn whatever_befalls_the_nodes_no_secondary_goes_back_or_misses_a_change() {
    // Those behind found two sequencers of one number, a step through a version that nobody had, a copied disk.
    for seed in (1..=8).chain([16, 20, 30, 52, 73, 107]) {
        run(&Scenario { records: 2, loss: 0.05, chaos: 16, cluster: 8, ..asked(6, "60s", "4", seed) });
    }
}
