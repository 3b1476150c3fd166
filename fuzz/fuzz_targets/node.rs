//! One machine of the cluster's gossip, and a member that speaks with it: for the targets that hand octets to both.
//!
//! What the machine wants done is drained after every call, as its law of use says, and held against what its owner
//! relies on: outputs end, datagrams fit, nothing is written for which there is no room, what waits is bounded, and no
//! call allocates more than in proportion to what came.
#![allow(dead_code, unreachable_pub, reason = "each target uses a part of it")]

#[path = "../../tests/support/counting.rs"]
pub mod counting;

use bytes::Bytes;
use hivedns::base::time::Moment;
use hivedns::gossip::hash;
use hivedns::gossip::identity::{Generation, Incarnation, NodeId};
use hivedns::gossip::machine::{Gossip, Settings, Start};
use hivedns::gossip::membership::{self, Class, Frame, Told};
use hivedns::gossip::output::{DATAGRAM_OCTETS_MAX, NodeInfo, Output, StreamId};
use hivedns::gossip::replication::leases::FreezeRule;
use hivedns::gossip::secrecy::key::Key;
use hivedns::gossip::secrecy::keyring::Ring;
use hivedns::gossip::secrecy::stream::{Side, Stream};
use hivedns::gossip::secrecy::{Opened, Peer, Secrecy};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Well past the clock's start, as a machine wants it.
const START: Moment = Moment::from_micros(1_000_000_000_000);
const CLUSTER: &str = "fuzz";
/// Outputs of one call: a whole table of members' worth, and then it goes in circles.
const OUTPUTS_MAX: usize = 100_000;
/// Timers that may be due one after the other at one moment.
const TIMERS_AT_ONCE_MAX: usize = 1_000;
/// Octets of what is relayed that may wait, and of a record more.
const QUEUED_MAX: usize = (4 << 20) + 65_535 + 1_024;
/// Octets that one stream may have waiting: what is made ready at once, and a list of frames with the largest record.
const STREAM_QUEUED_MAX: usize = 64 * 1024 + 2 * 65_535 + 64 * 1024;
/// What a call may allocate whatever came: buffers of an answer of 64 KiB in pieces, and tables that grow by doubling.
const ALLOCATED_MAX: usize = 192 * 1024;
/// What it may allocate for each octet that came: two octets can be a head of an owner that was never heard of.
const ALLOCATED_PER_OCTET: usize = 64;

/// The key is made from the whole input: the fuzzer sees what is compared with what, and would learn the tags that a
/// constant key asks for.
pub fn ring_of(input: &[u8]) -> Ring {
    let secret = hash::octets(input).to_le_bytes();
    Ring::new(Key::new(std::array::from_fn(|i| secret[i % 8] ^ i as u8)))
}

pub fn address(n: u64) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, n as u8], 7_953))
}

/// A machine and what it wanted.
pub struct Node {
    pub gossip: Gossip,
    pub now: Moment,
    wake: Moment,
    /// Datagrams that it sent and that nobody took yet.
    pub sent: VecDeque<(SocketAddr, Bytes)>,
    /// Streams that it opened, and those that were opened to it, with the room that it has there.
    pub streams: BTreeMap<StreamId, usize>,
    /// Streams that it asks for.
    pub opening: VecDeque<(StreamId, SocketAddr)>,
    /// What it wrote and nobody took yet.
    pub written: BTreeMap<StreamId, Vec<u8>>,
    /// Octets that its owner handed in and that may wait besides those of others.
    own: usize,
}

impl Node {
    /// Number 1, alone; it has said all that it has to say.
    pub fn new(ring: Ring) -> Node {
        let info = NodeInfo { id: NodeId(1), boot: 1, name: "n1".into(), address: address(1) };
        let settings = Settings {
            cluster: CLUSTER.to_owned(),
            membership: membership::Settings::default(),
            freeze: FreezeRule { share: 0.34, max: Duration::from_secs(3_600) },
            measures: true,
        };
        let start = Start { info, generation: Generation(1), ring, secret: [1; 32], seed: 1 };
        let gossip = Gossip::new(START, &settings, start);
        let mut node = Node {
            gossip,
            now: START,
            wake: START,
            sent: VecDeque::new(),
            streams: BTreeMap::new(),
            opening: VecDeque::new(),
            written: BTreeMap::new(),
            own: 0,
        };
        node.call(4, |gossip, now| gossip.put(now, b"name", b"n1"));
        node.call(0, |gossip, now| gossip.ready(now));
        node
    }

    /// Hands in something of so many octets, and drains.
    pub fn call<T>(&mut self, octets: usize, work: impl FnOnce(&mut Gossip, Moment) -> T) -> T {
        let (peak, done) = counting::peak(|| {
            let done = work(&mut self.gossip, self.now);
            self.drain();
            done
        });
        // What its owner said is copied on its way out.
        let allowed = ALLOCATED_MAX + ALLOCATED_PER_OCTET * octets + 4 * self.own;
        assert!(peak <= allowed, "{peak} octets allocated for {octets} that came");
        let queued = self.gossip.queued_octets();
        let allowed = QUEUED_MAX + self.own + self.streams.len() * STREAM_QUEUED_MAX;
        assert!(queued <= allowed, "{queued} octets wait, {} of its own", self.own);
        done
    }

    /// The same with what the owner itself has to say.
    pub fn say<T>(&mut self, octets: usize, work: impl FnOnce(&mut Gossip, Moment) -> T) -> T {
        self.own += octets + 64;
        self.call(octets, work)
    }

    fn drain(&mut self) {
        for outputs in 0.. {
            assert!(outputs < OUTPUTS_MAX, "what it wants does not end");
            match self.gossip.poll(self.now) {
                Output::Datagram { to, octets } => {
                    assert!(octets.len() <= DATAGRAM_OCTETS_MAX, "a datagram of {} octets", octets.len());
                    self.sent.push_back((to, octets));
                }
                Output::Open { stream, to } => {
                    assert!(self.streams.insert(stream, 0).is_none(), "a stream is opened twice");
                    self.opening.push_back((stream, to));
                }
                Output::Write { stream, octets } => {
                    let room =
                        self.streams.get_mut(&stream).expect("only a stream that is open is written to");
                    assert!(
                        !octets.is_empty() && octets.len() <= *room,
                        "{} octets into {room}",
                        octets.len()
                    );
                    *room -= octets.len();
                    self.written.entry(stream).or_default().extend_from_slice(&octets);
                }
                Output::Close { stream } => {
                    assert!(self.streams.remove(&stream).is_some(), "a stream is closed that is not open");
                    self.opening.retain(|(id, _)| *id != stream);
                }
                Output::Event(_) => {}
                Output::Wake(at) => {
                    assert!(at >= self.now);
                    self.wake = at;
                    return;
                }
            }
        }
    }

    /// Lets so much time pass, with all timers in it; at most so many of them.
    pub fn advance(&mut self, span: Duration, timers: usize) {
        let until = self.now + span;
        let mut at_once = 0;
        for _ in 0..timers {
            if self.wake > until {
                break;
            }
            at_once = if self.wake > self.now { 0 } else { at_once + 1 };
            assert!(at_once < TIMERS_AT_ONCE_MAX, "a timer is due again and again");
            self.now = self.wake;
            self.call(0, |gossip, now| gossip.handle_timeout(now));
        }
        self.now = until.min(self.wake);
    }

    pub fn datagram(&mut self, from: SocketAddr, octets: &[u8]) {
        let mut opened = octets.to_vec();
        self.call(octets.len(), |gossip, now| gossip.handle_datagram(now, from, &mut opened));
    }

    pub fn refused(&self) -> u64 {
        self.gossip.secrecy().refusals().iter().map(|(_, count)| count).sum()
    }

    /// Grants room on a stream.
    pub fn writable(&mut self, stream: StreamId, room: usize) {
        if let Some(granted) = self.streams.get_mut(&stream) {
            *granted = room;
            self.call(room, |gossip, now| gossip.stream_writable(now, stream, room));
        }
    }

    pub fn received(&mut self, stream: StreamId, octets: &[u8]) {
        if self.streams.contains_key(&stream) {
            self.call(octets.len(), |gossip, now| gossip.stream_received(now, stream, octets));
        }
    }

    pub fn closed(&mut self, stream: StreamId) {
        if self.streams.remove(&stream).is_some() {
            self.opening.retain(|(id, _)| *id != stream);
            self.call(0, |gossip, now| gossip.stream_closed(now, stream));
        }
    }

    /// Somebody opens a stream.
    pub fn accept(&mut self, from: SocketAddr) -> Option<StreamId> {
        // The law: it is drained after the call, and may then already write to it.
        let id = self.gossip.accept(self.now, from)?;
        self.streams.insert(id, 0);
        self.call(0, |_, _| ());
        Some(id)
    }
}

/// A member with the cluster's key, if it has one: what it says is authentic, and may be nonsense all the same.
pub struct Member {
    pub id: NodeId,
    pub address: SocketAddr,
    secrecy: Secrecy,
}

impl Member {
    pub fn new(n: u64, ring: Ring) -> Member {
        let peer = Peer { id: NodeId(n), boot: n };
        Member {
            id: NodeId(n),
            address: address(n),
            secrecy: Secrecy::new(CLUSTER, ring, peer, [n as u8; 32]),
        }
    }

    /// The datagram that says these frames.
    pub fn datagram(&mut self, now: Moment, frames: &[u8]) -> Bytes {
        self.secrecy.seal(now, frames)
    }

    /// Says frames, and answers challenges until nobody has one.
    pub fn say(&mut self, node: &mut Node, frames: &[u8]) -> Bytes {
        let octets = self.datagram(node.now, frames);
        node.datagram(self.address, &octets);
        self.converse(node);
        octets
    }

    /// Takes what the machine sent; only challenges and their answers are answered.
    pub fn converse(&mut self, node: &mut Node) {
        for _ in 0..16 {
            let Some((to, octets)) = node.sent.pop_front() else { return };
            if to != self.address {
                continue;
            }
            match self.secrecy.open(node.now, address(1), &mut octets.to_vec()) {
                Ok(Opened::Stranger { challenge: reply }) | Ok(Opened::Doubted { answer: reply, .. }) => {
                    node.datagram(self.address, &reply);
                }
                Ok(Opened::Said { .. } | Opened::Met { .. }) | Err(_) => {}
            }
        }
        node.sent.clear();
    }

    /// That it lives, and where.
    pub fn introduction(&self) -> Vec<u8> {
        let info = NodeInfo { id: self.id, boot: self.id.0, name: "member".into(), address: self.address };
        let incarnation = Incarnation::first(Generation(1));
        let told = Told { info: Arc::new(info), incarnation, class: Class::Alive };
        let mut frames = Vec::new();
        Frame::Told { told, age_s: 0 }.emit(&mut frames);
        frames
    }

    /// Its side of a stream.
    pub fn stream(&mut self, side: Side) -> Stream {
        self.secrecy.stream(side)
    }

    /// Takes what came on its side.
    pub fn read(&mut self, stream: &mut Stream, octets: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        let _ = stream.read(&mut self.secrecy, octets, &mut plain);
        plain
    }
}

/// Octets handed out one by one, then in pieces.
pub struct Chance<'a>(pub &'a [u8]);

impl<'a> Chance<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn octet(&mut self) -> u8 {
        match self.0.split_first() {
            Some((octet, rest)) => {
                self.0 = rest;
                *octet
            }
            None => 0,
        }
    }

    pub fn number(&mut self) -> usize {
        usize::from(self.octet()) | usize::from(self.octet()) << 8
    }

    /// So many octets as two say, or what is left.
    pub fn piece(&mut self) -> &'a [u8] {
        let length = self.number().min(self.0.len());
        let (piece, rest) = self.0.split_at(length);
        self.0 = rest;
        piece
    }
}
