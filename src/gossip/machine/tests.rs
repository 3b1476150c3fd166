//! Whole machines against each other, in a network that loses and delays.

mod asking_heads;
mod checking;
mod going;
mod greeting;
mod joining;
mod late_news;
mod measuring;
mod purging;
mod questions;
mod resyncing;
mod strangers;

use super::*;
use crate::gossip::output::{Health, Lease};
use crate::gossip::replication::owners::Reach;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

const START: u64 = 1_000_000_000_000;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

enum What {
    Datagram { from: SocketAddr, octets: Bytes },
    Timer(u64),
    Opened(StreamId, Option<(usize, StreamId)>),
    Received(StreamId, Bytes),
    Writable(StreamId),
    Closed(StreamId),
}

struct Seat {
    gossip: Option<Gossip>,
    token: u64,
    events: Vec<Event>,
    /// Streams and their other ends.
    streams: BTreeMap<StreamId, (usize, StreamId)>,
    room: BTreeMap<StreamId, usize>,
}

/// Octets that a stream takes until they have arrived: so few that sealing adds to them noticeably.
const STREAM_ROOM: usize = 700;

/// A small network; the simulator proper stands in `testing`.
struct Net {
    now: Moment,
    sequence: u64,
    queue: BinaryHeap<Reverse<(Moment, u64, usize)>>,
    due: BTreeMap<u64, What>,
    seats: Vec<Seat>,
    rng: fastrand::Rng,
    loss: f64,
    /// Nodes of different sides do not hear each other.
    side: Vec<u8>,
    keys: Ring,
}

fn address(n: usize) -> SocketAddr {
    SocketAddr::from(([127, 0, (n >> 8) as u8, n as u8], 7953))
}

fn index(address: SocketAddr) -> usize {
    match address {
        SocketAddr::V4(v4) => usize::from(v4.ip().octets()[2]) << 8 | usize::from(v4.ip().octets()[3]),
        SocketAddr::V6(_) => usize::MAX,
    }
}

fn settings() -> Settings {
    Settings {
        cluster: "test".into(),
        membership: membership::Settings::default(),
        freeze: FreezeRule { share: 0.34, max: Duration::from_secs(3600) },
        measures: true,
    }
}

impl Net {
    fn new(seed: u64, nodes: usize, sealed: bool) -> Net {
        let keys = match sealed {
            true => Ring::new(crate::gossip::secrecy::key::Key::new([7; 32])),
            false => Ring::default(),
        };
        let mut net = Net {
            now: Moment::from_micros(START),
            sequence: 0,
            queue: BinaryHeap::new(),
            due: BTreeMap::new(),
            seats: Vec::new(),
            rng: fastrand::Rng::with_seed(seed),
            loss: 0.0,
            side: vec![0; nodes],
            keys,
        };
        for n in 0..nodes {
            net.seats.push(Seat {
                gossip: None,
                token: 0,
                events: Vec::new(),
                streams: BTreeMap::new(),
                room: BTreeMap::new(),
            });
            net.boot(n, 1);
        }
        net
    }

    fn boot(&mut self, n: usize, generation: u32) {
        let seeds = if n == 0 { vec![] } else { vec![address(0)] };
        self.boot_joining(n, generation, &seeds, true);
    }

    fn boot_joining(&mut self, n: usize, generation: u32, seeds: &[SocketAddr], is_whole: bool) {
        let info = NodeInfo {
            id: NodeId((n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            boot: self.rng.u64(..),
            name: format!("n{n}").into(),
            address: address(n),
        };
        let start = Start {
            info,
            generation: Generation(generation),
            ring: self.keys.clone(),
            secret: std::array::from_fn(|_| self.rng.u8(..)),
            seed: self.rng.u64(..),
        };
        let mut gossip = Gossip::new(self.now, &settings(), start);
        gossip.put(self.now, b"name", format!("n{n}").as_bytes());
        gossip.ready(self.now);
        gossip.join(self.now, seeds, is_whole);
        self.seats[n].gossip = Some(gossip);
        self.drain(n);
    }

    fn kill(&mut self, n: usize) {
        self.seats[n].gossip = None;
        for (_, (other, stream)) in std::mem::take(&mut self.seats[n].streams) {
            self.at(ms(1), other, What::Closed(stream));
        }
    }

    fn at(&mut self, after: Duration, node: usize, what: What) {
        self.sequence += 1;
        self.queue.push(Reverse((self.now + after, self.sequence, node)));
        self.due.insert(self.sequence, what);
    }

    fn latency(&mut self) -> Duration {
        Duration::from_micros(self.rng.u64(200..1000))
    }

    fn reaches(&self, a: usize, b: usize) -> bool {
        b < self.seats.len() && self.seats[b].gossip.is_some() && self.side[a] == self.side[b]
    }

    fn drain(&mut self, n: usize) {
        loop {
            let now = self.now;
            let Some(gossip) = &mut self.seats[n].gossip else { return };
            match gossip.poll(now) {
                Output::Datagram { to, octets } => {
                    assert!(octets.len() <= DATAGRAM_OCTETS_MAX);
                    let other = index(to);
                    if self.reaches(n, other) && self.rng.f64() >= self.loss {
                        let after = self.latency();
                        self.at(after, other, What::Datagram { from: address(n), octets });
                    }
                }
                Output::Open { stream, to } => {
                    let other = index(to);
                    let after = self.latency();
                    let end = match self.reaches(n, other) {
                        true => self.seats[other]
                            .gossip
                            .as_mut()
                            .and_then(|gossip| gossip.accept(now, address(n)))
                            .map(|id| (other, id)),
                        false => None,
                    };
                    if let Some((other, id)) = end {
                        self.seats[n].streams.insert(stream, (other, id));
                        self.seats[other].streams.insert(id, (n, stream));
                        self.at(after, other, What::Writable(id));
                    }
                    self.at(after, n, What::Opened(stream, end));
                }
                Output::Write { stream, octets } => {
                    let room = self.seats[n].room.entry(stream).or_default();
                    assert!(octets.len() <= *room, "{} octets into room for {room}", octets.len());
                    *room -= octets.len();
                    if let Some(&(other, id)) = self.seats[n].streams.get(&stream) {
                        self.at(ms(1), other, What::Received(id, octets));
                        self.at(ms(1), n, What::Writable(stream));
                    }
                }
                Output::Close { stream } => {
                    if let Some((other, id)) = self.seats[n].streams.remove(&stream) {
                        self.at(ms(2), other, What::Closed(id));
                    }
                }
                Output::Event(event) => self.seats[n].events.push(event),
                Output::Wake(at) => {
                    self.seats[n].token += 1;
                    let token = self.seats[n].token;
                    if at != Moment::NEVER {
                        self.at(at - now, n, What::Timer(token));
                    }
                    return;
                }
            }
        }
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(&Reverse((at, sequence, n))) = self.queue.peek() {
            if at > end {
                break;
            }
            self.queue.pop();
            self.now = at;
            let what = self.due.remove(&sequence).unwrap();
            let Seat { gossip, token: current, streams, room, .. } = &mut self.seats[n];
            let Some(gossip) = gossip else { continue };
            match what {
                What::Datagram { from, octets } => gossip.handle_datagram(at, from, &mut octets.to_vec()),
                What::Timer(token) if token == *current => gossip.handle_timeout(at),
                What::Timer(_) => continue,
                What::Opened(stream, Some(_)) => {
                    gossip.stream_opened(at, stream);
                    room.insert(stream, STREAM_ROOM);
                    gossip.stream_writable(at, stream, STREAM_ROOM);
                }
                What::Opened(stream, None) => gossip.stream_closed(at, stream),
                What::Received(stream, octets) => gossip.stream_received(at, stream, &octets),
                What::Writable(stream) => {
                    room.insert(stream, STREAM_ROOM);
                    gossip.stream_writable(at, stream, STREAM_ROOM);
                }
                What::Closed(stream) => {
                    streams.remove(&stream);
                    gossip.stream_closed(at, stream);
                }
            }
            self.drain(n);
        }
        self.now = end;
    }

    fn with<R>(&mut self, n: usize, act: impl FnOnce(&mut Gossip, Moment) -> R) -> R {
        let now = self.now;
        let result = act(self.seats[n].gossip.as_mut().unwrap(), now);
        self.drain(n);
        result
    }

    fn gossip(&self, n: usize) -> &Gossip {
        self.seats[n].gossip.as_ref().unwrap()
    }

    fn live(&self) -> impl Iterator<Item = &Gossip> {
        self.seats.iter().filter_map(|seat| seat.gossip.as_ref())
    }

    /// The value of a node's key as another node holds it.
    fn value(&self, at: usize, of: usize, key: &[u8]) -> Option<Vec<u8>> {
        let id = NodeId((of as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let log = self.gossip(at).replication().owners().get(id)?.shown()?.clone();
        log.get(key).map(<[u8]>::to_vec)
    }

    fn is_equal(&self) -> bool {
        let mut live = self.live();
        let first = live.next().unwrap();
        live.all(|other| {
            other.replication().owners().buckets() == first.replication().owners().buckets()
                && other.replication().cluster().hash() == first.replication().cluster().hash()
                && other.is_synced()
        })
    }

    fn until_equal(&mut self, limit: Duration) -> Duration {
        let start = self.now;
        while !self.is_equal() {
            self.run(ms(10));
            if self.now - start >= limit {
                for gossip in self.live() {
                    let replication = gossip.replication();
                    let all = replication.owners().buckets().iter().fold(0, |sum, bucket| sum ^ bucket);
                    println!(
                        "{} owners {all:x} cluster {:x} synced {} waiting {:?}",
                        gossip.me().name,
                        replication.cluster().hash(),
                        gossip.is_synced(),
                        replication.depth()
                    );
                }
                panic!("not equal after {limit:?}");
            }
        }
        self.now - start
    }
}

#[test]
fn nodes_that_join_know_everything() {
    for sealed in [false, true] {
        let mut net = Net::new(1, 40, sealed);
        let took = net.until_equal(Duration::from_secs(10));
        for n in 0..40 {
            assert_eq!(net.gossip(n).replication().owners().len(), 40, "node {n}, sealed {sealed}, {took:?}");
            assert_eq!(net.gossip(n).membership().alive(), 39);
        }
        assert_eq!(net.value(7, 31, b"name"), Some(b"n31".to_vec()));
    }
}

#[test]
fn a_change_is_everywhere_within_a_few_hops() {
    let mut net = Net::new(2, 60, false);
    net.until_equal(Duration::from_secs(10));
    net.run(Duration::from_secs(2));
    net.with(5, |gossip, now| gossip.put(now, b"k", b"v"));
    net.run(ms(100));
    let know = (0..60).filter(|n| net.value(*n, 5, b"k").is_some()).count();
    assert_eq!(know, 60);
    net.with(5, |gossip, now| gossip.remove(now, b"k"));
    net.run(ms(100));
    assert!((0..60).all(|n| net.value(n, 5, b"k").is_none()));
}

#[test]
fn heavy_loss_only_delays() {
    let mut net = Net::new(3, 40, true);
    net.until_equal(Duration::from_secs(10));
    net.loss = 0.3;
    for round in 0..50u8 {
        net.with(usize::from(round) % 40, |gossip, now| gossip.put(now, &[round], &[round; 100]));
        net.with(3, |gossip, now| gossip.write_cluster(now, &[round % 7], Some(&[round; 50])));
        net.run(ms(20));
    }
    net.until_equal(Duration::from_secs(40));
}

#[test]
fn a_lost_node_counts_down_and_its_return_makes_the_lease_full() {
    let mut net = Net::new(4, 12, true);
    net.until_equal(Duration::from_secs(10));
    let id = net.gossip(4).me().id;
    net.kill(4);
    net.run(Duration::from_secs(12));
    for n in (0..12).filter(|n| *n != 4) {
        assert!(matches!(net.gossip(n).replication().leases().get(id), Lease::Counting { .. }), "node {n}");
        assert_eq!(net.value(n, 4, b"name"), Some(b"n4".to_vec()));
    }
    net.boot(4, 2);
    net.until_equal(Duration::from_secs(10));
    net.run(Duration::from_secs(1));
    for n in 0..12 {
        assert_eq!(net.gossip(n).replication().leases().get(id), Lease::Full);
    }
}

#[test]
fn halves_that_were_cut_apart_heal_and_nothing_expired() {
    let mut net = Net::new(5, 30, false);
    net.until_equal(Duration::from_secs(10));
    for n in 0..15 {
        net.side[n] = 1;
    }
    for second in 0..60u8 {
        net.with(2, |gossip, now| gossip.put(now, b"left", &[second]));
        net.with(20, |gossip, now| gossip.put(now, b"right", &[second]));
        net.with(21, |gossip, now| gossip.write_cluster(now, b"both", Some(&[second])));
        net.run(Duration::from_secs(1));
    }
    // Whoever was found to be lost after expiry had begun to wait, too.
    for n in 0..30 {
        let others = if n < 15 { 15..30 } else { 0..15 };
        for other in others {
            let lease = net.gossip(n).replication().leases().get(net.gossip(other).me().id);
            assert!(matches!(lease, Lease::Frozen { .. }), "node {n} has {lease:?} of {other}");
        }
    }
    net.side.fill(0);
    let took = net.until_equal(Duration::from_secs(10));
    net.run(Duration::from_secs(10));
    assert_eq!(net.value(3, 20, b"right"), Some(vec![59]), "{took:?}");
    for n in 0..30 {
        assert_eq!(net.gossip(n).membership().alive(), 29);
        assert!(!net.gossip(n).replication().leases().is_frozen());
    }
}

#[test]
fn nodes_that_start_together_do_not_wait_for_each_other_for_ever() {
    let mut net = Net::new(8, 5, false);
    for n in 0..5 {
        net.kill(n);
    }
    // Each joins the next in a circle: nobody begins as synced.
    for n in 0..5 {
        net.boot(n, 2);
        net.kill(n);
        let info = NodeInfo {
            id: NodeId(n as u64 + 1),
            boot: n as u64 + 77,
            name: format!("n{n}").into(),
            address: address(n),
        };
        let start =
            Start { info, generation: Generation(1), ring: Ring::default(), secret: [1; 32], seed: 3 };
        let mut gossip = Gossip::new(net.now, &settings(), start);
        gossip.put(net.now, b"name", b"x");
        gossip.ready(net.now);
        gossip.join(net.now, &[address((n + 1) % 5)], true);
        assert!(!gossip.is_synced());
        net.seats[n].gossip = Some(gossip);
        net.drain(n);
    }
    net.run(Duration::from_secs(5));
    assert!(net.live().all(Gossip::is_synced));
    assert!(net.is_equal());
    assert_eq!(net.gossip(0).replication().owners().len(), 5);
}

#[test]
fn who_was_found_before_it_found_anybody_is_told_everything_too() {
    // Its names are not resolved yet; the other pings it because it knows it from before.
    let mut late = Net::new(12, 1, false);
    late.seats.push(Seat {
        gossip: None,
        token: 0,
        events: Vec::new(),
        streams: BTreeMap::new(),
        room: BTreeMap::new(),
    });
    late.side.push(0);
    let info = NodeInfo { id: NodeId(5), boot: 5, name: "n1".into(), address: address(1) };
    let start = Start { info, generation: Generation(1), ring: Ring::default(), secret: [1; 32], seed: 3 };
    let mut gossip = Gossip::new(late.now, &settings(), start);
    gossip.ready(late.now);
    late.seats[1].gossip = Some(gossip);
    late.drain(1);
    late.with(0, |gossip, now| gossip.join(now, &[address(1)], true));
    late.run(Duration::from_secs(2));
    assert_eq!(late.gossip(1).membership().alive(), 1);
    late.with(1, |gossip, now| gossip.join(now, &[address(0)], true));
    late.run(Duration::from_secs(2));
    assert!(late.gossip(1).is_synced());
}

#[test]
fn who_hears_nobody_serves_alone_after_thirty_seconds() {
    let mut net = Net::new(9, 2, false);
    net.kill(0);
    net.kill(1);
    net.boot(1, 2);
    net.run(Duration::from_secs(29));
    assert!(!net.gossip(1).is_synced());
    net.run(Duration::from_secs(2));
    assert!(net.gossip(1).is_synced());
    assert!(net.seats[1].events.iter().any(|event| matches!(event, Event::Synced { alone: true })));
}

#[test]
fn a_disk_that_was_cloned_makes_two_nodes_of_one() {
    let mut net = Net::new(10, 8, true);
    net.until_equal(Duration::from_secs(10));
    let original = net.gossip(3).me().id;
    net.kill(5);
    let info = NodeInfo { id: original, boot: 4711, name: "n5".into(), address: address(5) };
    let start = Start { info, generation: Generation(1), ring: net.keys.clone(), secret: [9; 32], seed: 5 };
    let mut gossip = Gossip::new(net.now, &settings(), start);
    gossip.put(net.now, b"name", b"clone");
    gossip.ready(net.now);
    gossip.join(net.now, &[address(0)], true);
    net.seats[5].gossip = Some(gossip);
    net.drain(5);
    net.run(Duration::from_secs(20));
    let ids: std::collections::BTreeSet<NodeId> = net.live().map(|gossip| gossip.me().id).collect();
    assert_eq!(ids.len(), 8);
    net.until_equal(Duration::from_secs(20));
    for n in 0..8 {
        let names: Vec<Vec<u8>> = [3, 5]
            .iter()
            .map(|of| {
                let id = net.gossip(*of).me().id;
                let log = net.gossip(n).replication().owners().get(id).unwrap().shown().unwrap();
                log.get(b"name").unwrap().to_vec()
            })
            .collect();
        assert_eq!(names, [b"n3".to_vec(), b"clone".to_vec()], "node {n}");
    }
}
