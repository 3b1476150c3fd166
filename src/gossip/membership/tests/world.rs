//! A small world: machines, one queue of events, a network that delays and loses. All from one seed.

use crate::base::time::{LOOK_BACK, Moment};
use crate::gossip::identity::{Generation, Incarnation, NodeId};
use crate::gossip::membership::{Frame, KINDS, Membership, Output, Pool, Settings, Told};
use crate::gossip::output::{DATAGRAM_OCTETS_MAX, Health, NodeInfo};
use crate::gossip::secrecy::OVERHEAD;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What sealing adds to each datagram.
const SEAL_OCTETS: usize = OVERHEAD;
/// Octets of a table that go into one step of a stream.
const CHUNK_OCTETS: usize = 16_384;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Datagram { to: usize, from: NodeId, source: usize, octets: Rc<[u8]> },
    Wake { node: usize, token: u64 },
    StreamAnswer { node: usize, by: usize },
    Table { to: usize, octets: Rc<[u8]>, spread: bool },
}

pub(super) struct Node {
    /// `None`: the process is dead.
    pub(super) machine: Option<Membership>,
    pub(super) info: Arc<NodeInfo>,
    pub(super) generation: Generation,
    stopped_until: Moment,
    token: u64,
}

/// A change that a node reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) at: Moment,
    pub(super) by: usize,
    pub(super) id: NodeId,
    pub(super) health: Health,
}

pub(super) struct World {
    pub(super) now: Moment,
    queue: BinaryHeap<Reverse<(Moment, u64, Happening)>>,
    count: u64,
    pub(super) nodes: Vec<Node>,
    rng: fastrand::Rng,
    settings: Settings,
    pool: Pool,
    /// Share of datagrams and segments lost.
    pub(super) loss: f64,
    /// Nodes below it and nodes from it on do not reach each other.
    pub(super) split_at: Option<usize>,
    /// Octets sent in datagrams, with their seals.
    pub(super) octets: u64,
    pub(super) datagrams: u64,
    pub(super) seen: Vec<Seen>,
    /// By whom, and whom.
    pub(super) forgotten: Vec<(usize, NodeId)>,
    pub(super) clashes: usize,
    /// Comparisons that found a difference.
    pub(super) compared: usize,
}

pub(super) fn address(node: usize) -> SocketAddr {
    SocketAddr::from(([10, (node >> 16) as u8, (node >> 8) as u8, node as u8], 7953))
}

fn node_at(address: SocketAddr) -> usize {
    match address.ip() {
        IpAddr::V4(ip) => (u32::from(ip) & 0xff_ffff) as usize,
        IpAddr::V6(_) => usize::MAX,
    }
}

impl World {
    /// A world without nodes.
    pub(super) fn new(seed: u64, loss: f64) -> World {
        World {
            now: Moment::START + LOOK_BACK,
            queue: BinaryHeap::new(),
            count: 0,
            nodes: Vec::new(),
            rng: fastrand::Rng::with_seed(seed),
            settings: Settings::default(),
            pool: Pool::shared(),
            loss,
            split_at: None,
            octets: 0,
            datagrams: 0,
            seen: Vec::new(),
            forgotten: Vec::new(),
            clashes: 0,
            compared: 0,
        }
    }

    /// A world of nodes that know each other.
    pub(super) fn warm(seed: u64, loss: f64, nodes: usize) -> World {
        World::new(seed, loss).warmed(nodes)
    }

    /// The same, of nodes with these settings.
    pub(super) fn warm_with(seed: u64, loss: f64, nodes: usize, settings: Settings) -> World {
        World { settings, ..World::new(seed, loss) }.warmed(nodes)
    }

    fn warmed(mut self, nodes: usize) -> World {
        let world = &mut self;
        (0..nodes).for_each(|_| world.add());
        let all: Vec<Arc<Told>> =
            world.nodes.iter().filter_map(|n| n.machine.as_ref()).map(|m| Arc::clone(m.own())).collect();
        for node in 0..nodes {
            let now = world.now;
            world.with(node, |machine| machine.restore(now, all.iter().cloned()));
        }
        world.run(Duration::from_secs(20));
        world.seen.clear();
        self
    }

    /// One more node, alone.
    pub(super) fn add(&mut self) {
        let id = NodeId(self.rng.u64(..));
        self.add_with(id, Generation(1));
    }

    pub(super) fn add_with(&mut self, id: NodeId, generation: Generation) {
        let at = self.nodes.len();
        let name = format!("node-{at}").into();
        let info = Arc::new(NodeInfo { id, boot: self.rng.u64(..), name, address: address(at) });
        self.nodes.push(Node { machine: None, info, generation, stopped_until: Moment::START, token: 0 });
        self.start(at);
    }

    fn start(&mut self, at: usize) {
        let rng = self.rng.fork();
        let node = &mut self.nodes[at];
        let first = Incarnation::first(node.generation);
        let machine = Membership::new(Arc::clone(&node.info), first, &self.settings, rng, self.now)
            .with_pool(self.pool.clone());
        node.machine = Some(machine);
        self.drain(at);
    }

    pub(super) fn id(&self, node: usize) -> NodeId {
        self.nodes[node].info.id
    }

    pub(super) fn machine(&self, node: usize) -> &Membership {
        self.nodes[node].machine.as_ref().expect("it lives")
    }

    pub(super) fn crash(&mut self, node: usize) {
        self.nodes[node].machine = None;
    }

    /// A crashed node starts again from its disk.
    pub(super) fn restart(&mut self, node: usize, join: usize) {
        let boot = self.rng.u64(..);
        let entry = &mut self.nodes[node];
        entry.generation.0 += 1;
        entry.info = Arc::new(NodeInfo { boot, ..(*entry.info).clone() });
        self.start(node);
        self.join(node, join);
    }

    pub(super) fn join(&mut self, node: usize, other: usize) {
        let now = self.now;
        self.with(node, |machine| machine.join(now, &[address(other)]));
    }

    /// The process stands still; what is sent to it waits.
    pub(super) fn pause(&mut self, node: usize, span: Duration) {
        self.nodes[node].stopped_until = self.now + span;
    }

    /// Hands something in and drains what comes out.
    pub(super) fn with(&mut self, node: usize, hand_in: impl FnOnce(&mut Membership)) {
        if let Some(machine) = &mut self.nodes[node].machine {
            hand_in(machine);
            self.drain(node);
        }
    }

    pub(super) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(Reverse((at, _, _))) = self.queue.peek()
            && *at <= end
            && let Some(Reverse((at, _, happening))) = self.queue.pop()
        {
            self.now = at;
            self.happen(happening);
        }
        self.now = end;
    }

    /// Runs until it is so, and says how long that took.
    pub(super) fn run_until(&mut self, limit: Duration, so: impl Fn(&World) -> bool) -> Option<Duration> {
        let (start, step) = (self.now, Duration::from_millis(50));
        while !so(self) {
            if self.now.since(start) >= limit {
                return None;
            }
            self.run(step);
        }
        Some(self.now.since(start))
    }

    fn happen(&mut self, happening: Happening) {
        let node = match &happening {
            Happening::Datagram { to, .. } | Happening::Table { to, .. } => *to,
            Happening::Wake { node, .. } | Happening::StreamAnswer { node, .. } => *node,
        };
        let (now, resumes) = (self.now, self.nodes[node].stopped_until);
        if resumes > now {
            return self.at(resumes, happening);
        }
        match happening {
            Happening::Datagram { from, source, octets, .. } => self.with(node, |machine| {
                for frame in frames(&octets) {
                    machine.handle(now, from, address(source), frame);
                }
            }),
            Happening::Wake { token, .. } => {
                if token == self.nodes[node].token {
                    self.with(node, |machine| machine.handle_timeout(now));
                }
            }
            Happening::StreamAnswer { by, .. } => {
                let id = self.id(by);
                self.with(node, |machine| machine.evidence(now, id, address(by)));
            }
            Happening::Table { octets, spread, .. } => {
                self.with(node, |machine| machine.take_table(now, &octets, spread).expect("well-formed"));
            }
        }
    }

    fn drain(&mut self, node: usize) {
        let now = self.now;
        while let Some(output) = self.nodes[node].machine.as_mut().and_then(|machine| machine.poll(now)) {
            match output {
                Output::Send { to, frames } => self.datagram(node, &[to], &frames),
                Output::Push { to } => self.datagram(node, &to, &[]),
                Output::ProbeStream { to } => {
                    let by = node_at(to);
                    if let Some(took) = self.stream(node, by, 4) {
                        self.at(now + took, Happening::StreamAnswer { node, by });
                    }
                }
                Output::Met { node: met } => {
                    let met = self.nodes.iter().position(|n| n.machine.is_some() && n.info.id == met);
                    self.exchange(node, met.unwrap_or(usize::MAX));
                }
                Output::Changed { told, health, .. } => {
                    self.seen.push(Seen { at: now, by: node, id: told.id(), health });
                }
                Output::Forgotten { told } => self.forgotten.push((node, told.id())),
                Output::Raised { incarnation } => self.nodes[node].generation = incarnation.generation,
                Output::Clash => {
                    self.clashes += 1;
                    let id = NodeId(self.rng.u64(..));
                    let entry = &mut self.nodes[node];
                    entry.info = Arc::new(NodeInfo { id, ..(*entry.info).clone() });
                    let info = Arc::clone(&entry.info);
                    let first = Incarnation::first(entry.generation);
                    if let Some(machine) = &mut entry.machine {
                        machine.rename(now, info, first);
                    }
                }
            }
        }
        let entry = &mut self.nodes[node];
        entry.token += 1;
        let token = entry.token;
        if let Some(wake) = entry.machine.as_ref().map(Membership::next_wake) {
            // A loop wakes up a little late.
            let wake = wake.max(now) + Duration::from_micros(self.rng.u64(..500));
            self.at(wake, Happening::Wake { node, token });
        }
    }

    fn datagram(&mut self, source: usize, to: &[SocketAddr], frames: &[Frame]) {
        let now = self.now;
        let Some(machine) = &mut self.nodes[source].machine else { return };
        let mut octets = Vec::new();
        frames.iter().for_each(|frame| frame.emit(&mut octets));
        let room = DATAGRAM_OCTETS_MAX - SEAL_OCTETS - octets.len();
        machine.piggyback(now, room, to.len() as u8, &mut octets);
        assert!(octets.len() + SEAL_OCTETS <= DATAGRAM_OCTETS_MAX);
        if octets.is_empty() {
            return;
        }
        let (from, octets): (NodeId, Rc<[u8]>) = (machine.own().id(), octets.into());
        for to in to.iter().map(|to| node_at(*to)) {
            self.datagrams += 1;
            self.octets += (octets.len() + SEAL_OCTETS) as u64;
            if self.reaches(source, to) && self.rng.f64() >= self.loss {
                let latency = self.latency();
                let octets = Rc::clone(&octets);
                self.at(now + latency, Happening::Datagram { to, from, source, octets });
            }
        }
    }

    /// Both send their whole tables.
    fn exchange(&mut self, node: usize, other: usize) {
        self.exchange_all(node, other, false);
    }

    fn exchange_all(&mut self, node: usize, other: usize, spread_both: bool) {
        let mut send = |from: usize, to: usize, spread: bool| {
            let mut after = None;
            let mut took = Duration::ZERO;
            while let Some(machine) = &self.nodes[from].machine {
                let mut octets = Vec::new();
                after = machine.table_chunk(self.now, after, CHUNK_OCTETS, &mut octets);
                let Some(more) = self.stream(from, to, octets.len().div_ceil(1_448)) else { return };
                took += more;
                self.at(self.now + took, Happening::Table { to, octets: octets.into(), spread });
                if after.is_none() {
                    return;
                }
            }
        };
        send(other, node, spread_both);
        send(node, other, true);
    }

    /// A node compares itself with another by lot, and where they differ they tell each other all.
    pub(super) fn compare(&mut self, node: usize) {
        let other = self.rng.usize(..self.nodes.len());
        let digest = |machine: &Membership| {
            machine.digests().iter().fold(machine.own().digest(), |all, bucket| all ^ bucket)
        };
        let (a, b) = (self.nodes[node].machine.as_ref(), self.nodes[other].machine.as_ref());
        if let (Some(a), Some(b)) = (a, b)
            && digest(a) != digest(b)
        {
            self.compared += 1;
            self.exchange_all(node, other, true);
        }
    }

    /// How long so many segments take: each lost one is repeated after 200 ms, doubling. `None`: for ever.
    fn stream(&mut self, node: usize, other: usize, segments: usize) -> Option<Duration> {
        if !self.reaches(node, other) || self.nodes.get(other)?.machine.is_none() {
            return None;
        }
        let mut took = self.latency() * 4;
        for _ in 0..segments {
            let mut wait = Duration::from_millis(200);
            while self.rng.f64() < self.loss {
                took += wait;
                wait *= 2;
            }
        }
        Some(took)
    }

    fn reaches(&self, a: usize, b: usize) -> bool {
        b < self.nodes.len() && self.split_at.is_none_or(|at| (a < at) == (b < at))
    }

    fn latency(&mut self) -> Duration {
        Duration::from_micros(self.rng.u64(200..1_000))
    }

    fn at(&mut self, at: Moment, happening: Happening) {
        self.count += 1;
        self.queue.push(Reverse((at, self.count, happening)));
    }

    // What tests ask for.

    pub(super) fn living(&self) -> impl Iterator<Item = (usize, &Membership)> {
        self.nodes.iter().enumerate().filter_map(|(at, node)| Some((at, node.machine.as_ref()?)))
    }

    /// True if all living nodes but the asked one see it like this.
    pub(super) fn all_see(&self, id: NodeId, health: Health) -> bool {
        let mut others = self.living().filter(|(_, machine)| machine.own().id() != id);
        others.all(|(_, machine)| machine.get(id).is_some_and(|member| member.health == health))
    }

    /// True if every living node sees every living node alive.
    pub(super) fn whole(&self) -> bool {
        self.living().all(|(node, _)| self.all_see(self.id(node), Health::Alive))
    }

    /// Tables as digests, each with the node's own.
    pub(super) fn digests(&self) -> BTreeMap<u64, usize> {
        let mut digests = BTreeMap::new();
        for (_, machine) in self.living() {
            let all = machine.tellings().chain([machine.own()]);
            *digests.entry(all.fold(0, |all, told| all ^ told.digest())).or_default() += 1;
        }
        digests
    }

    pub(super) fn saw(&self, health: Health) -> impl Iterator<Item = &Seen> {
        self.seen.iter().filter(move |seen| seen.health == health)
    }
}

/// The frames of a datagram.
fn frames(mut octets: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let [kind, length, rest @ ..] = octets {
        assert!(KINDS.contains(kind));
        let (body, behind) = rest.split_at(usize::from(*length));
        frames.push(Frame::parse(*kind, body).expect("well-formed"));
        octets = behind;
    }
    frames
}
