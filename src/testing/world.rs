//! The world: machines, a network between them, and one queue of what happens next. Time passes from event to event.
//!
//! ```text
//!   queue ─► happening ─► machine.handle_*(its own now) ─► poll until Wake ─┬─► datagrams ─► network ─► queue
//!     ▲                                                                     ├─► streams ─► queue
//!     └──────────────── timer, by token ◄──────────── Wake ─────────────────┤
//!                                                                           └─► events ─► observer
//! ```
//! All chance comes from one seed, split so that the network's lots do not move those of the machines. The same seed
//! gives the same world to the last octet; `trace` is a hash of all that happened and proves it.

use super::action::Action;
use super::clock::NodeClock;
use super::hash::Mix;
use super::machine::{Machine, News, Start, Warm, Wish};
use super::network::{Journey, Loss, Network, Packet, Span};
use super::node::{Kept, Node, Ring};
use super::observer::Observer;
use super::queue::Queue;
use super::record::Key;
use super::seat::Seat;
use super::step::{Host, Step, Surroundings};
use super::stream::Streams;
use crate::base::time::Moment;
use crate::gossip::identity::NodeId;
use bytes::Bytes;
use std::time::Duration;

/// Outputs after one call, at most: a machine that never says `Wake` is stopped here. Ten times what a burst of a
/// thousand changes to a whole view of peers makes.
const OUTPUTS_MAX: usize = 1 << 20;
/// Octets that one machine may have waiting: what a burst leaves is far below; a queue without bounds is not.
const QUEUED_OCTETS_MAX: usize = 32 << 20;
/// One in so many events looks at how much its machine has waiting.
const LOOK_EVERY: u64 = 64;
/// One in so many events is timed, and counts for all of them: reading the clock costs a twentieth of an event. A
/// prime, so that it keeps step with nothing.
const TIMED_EVERY: u64 = 7;
/// For so long after a pause or a cut somebody may still be held for lost with reason.
const RECOVERY: Duration = Duration::from_secs(60);

/// What waits in the queue.
#[derive(Debug)]
pub(super) enum Happening {
    Datagram { from: Seat, to: Seat, octets: Bytes },
    Timer { seat: Seat, token: u32 },
    Stream(Step),
    Resume(Seat),
    Act(Seat, Action),
}

// One line of a cache with the queue's key.
const _: () = assert!(size_of::<Happening>() <= 48);

impl From<Step> for Happening {
    fn from(step: Step) -> Happening {
        Happening::Stream(step)
    }
}

/// What the network carried, of all nodes together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Datagrams sent.
    pub datagrams: u64,
    /// Octets of their payload.
    pub datagram_octets: u64,
    /// Of these, lost on the way, by chance or by a cut.
    pub lost: u64,
    /// Larger than the path takes.
    pub too_large: u64,
    /// Came while the buffer of a process that stood still was full, or where none was.
    pub unheard: u64,
    /// Octets written to streams.
    pub stream_octets: u64,
}

/// Reads a clock that the caller owns, to tell what time the machines take.
pub type Stopwatch = Box<dyn FnMut() -> Duration>;

/// The world.
pub struct World<M: Machine> {
    house: M::House,
    now: Moment,
    queue: Queue<Happening>,
    nodes: Vec<Node<M>>,
    hosts: Vec<Host>,
    network: Network,
    pub(super) streams: Streams,
    observer: Observer,
    traffic: Traffic,
    network_rng: fastrand::Rng,
    node_rng: fastrand::Rng,
    outputs: Vec<Wish>,
    /// What a datagram is copied into: a machine opens it in place, and several may be sent the same.
    pub(super) opened: Vec<u8>,
    stopwatch: Option<Stopwatch>,
    busy: Duration,
    events: u64,
    pub(super) trace: Mix,
    queued_octets_max: usize,
}

impl<M: Machine> World<M> {
    /// A world with so many seats at most, all empty.
    pub fn new(seed: u64, seats: usize, network: Network) -> World<M> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let network_rng = rng.fork();
        let mut node_rng = rng.fork();
        let nodes = (0..seats).map(|_| Node::new(NodeClock::draw(&mut node_rng))).collect();
        World {
            house: M::house(seats),
            now: Moment::START,
            queue: Queue::default(),
            nodes,
            hosts: vec![Host::Off; seats],
            network,
            streams: Streams::default(),
            observer: Observer::new(seats),
            traffic: Traffic::default(),
            network_rng,
            node_rng,
            outputs: Vec::new(),
            opened: Vec::new(),
            stopwatch: None,
            busy: Duration::ZERO,
            events: 0,
            trace: Mix::default(),
            queued_octets_max: 0,
        }
    }

    /// From now on, the time inside of machines is taken.
    pub fn time_by(&mut self, stopwatch: Stopwatch) {
        self.stopwatch = Some(stopwatch);
    }

    /// The moment.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// Who watches.
    pub fn observer(&self) -> &Observer {
        &self.observer
    }

    /// Who watches, to tell it something.
    pub fn observer_mut(&mut self) -> &mut Observer {
        &mut self.observer
    }

    /// What its machines have in common.
    pub fn house(&self) -> &M::House {
        &self.house
    }

    /// The network, to add faults to it.
    pub fn network_mut(&mut self) -> &mut Network {
        &mut self.network
    }

    /// What was carried so far.
    pub fn traffic(&self) -> Traffic {
        Traffic { stream_octets: self.streams.octets_written, ..self.traffic }
    }

    /// The time inside of machines so far, of a sample of the events; zero without a stopwatch.
    pub fn busy(&self) -> Duration {
        self.busy
    }

    /// Events so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// A hash of all that has happened.
    pub fn trace(&self) -> u64 {
        self.trace.value()
    }

    /// The most octets that some machine had waiting, of the looks that were taken.
    pub fn queued_octets_max(&self) -> usize {
        self.queued_octets_max
    }

    /// The machines that run.
    pub fn machines(&self) -> impl Iterator<Item = (Seat, &M)> {
        (0..).map(Seat).zip(&self.nodes).filter_map(|(seat, node)| Some((seat, node.machine.as_ref()?)))
    }

    /// Lets something happen to a node later.
    pub fn plan(&mut self, at: Moment, seat: Seat, action: Action) {
        self.queue.push(at.max(self.now), Happening::Act(seat, action));
    }

    /// Fills the first seats with a cluster that has been running for long: each node with so many records, all
    /// known to all.
    pub fn warm(&mut self, count: usize, records_per_node: usize) {
        let mut warm = Vec::with_capacity(count);
        for seat in (0..count as u32).map(Seat) {
            let start = self.start_of(seat);
            for number in 0..records_per_node {
                self.observer.ledger.put(seat, Key::of(seat, number as u16));
            }
            let records =
                self.observer.ledger.records(seat).map(|(key, change)| (key.octets(), change.value()));
            let (id, generation) = start.identity();
            let node = &mut self.nodes[seat.index()];
            node.disk.identity = Some((id, generation));
            let now = node.clock.local(self.now);
            warm.push(Warm { now, records: records.collect(), start });
            self.observer.begins(self.now, seat, id, false);
        }
        let owners = self.observer.living();
        self.observer.mirror.all_know(&owners, &self.observer.ledger);
        self.observer.census.all_know_all();
        for (seat, machine) in (0..).map(Seat).zip(M::warm(&self.house, warm)) {
            self.nodes[seat.index()].machine = Some(machine);
            self.hosts[seat.index()] = Host::Serving;
            self.call(seat, |_, _| ());
            self.settle(seat);
        }
    }

    pub(super) fn start_of(&mut self, seat: Seat) -> Start {
        Start {
            name: seat.to_string().into(),
            address: seat.address(),
            disk: self.nodes[seat.index()].disk.clone(),
            id: NodeId(self.node_rng.u64(..)),
            boot: self.node_rng.u64(..),
            seed: self.node_rng.u64(..),
        }
    }

    /// Lets time pass.
    pub fn run_until(&mut self, until: Moment) {
        while let Some((at, happening)) = self.queue.pop_until(until) {
            self.now = self.now.max(at);
            self.events += 1;
            self.happen(happening);
        }
        self.now = self.now.max(until);
    }

    fn happen(&mut self, happening: Happening) {
        self.trace.add(self.now.as_micros());
        match happening {
            Happening::Datagram { from, to, octets } => {
                self.trace.add(u64::from(from.0) << 32 | u64::from(to.0));
                self.trace.octets(&octets);
                let node = &mut self.nodes[to.index()];
                if node.machine.is_none() {
                    self.traffic.unheard += 1;
                } else if node.is_paused(self.now) {
                    let kept = node.keep(Kept::Datagram(from, octets));
                    self.traffic.unheard += u64::from(!kept);
                } else {
                    self.datagram(from, to, &octets);
                }
            }
            Happening::Timer { seat, token } => {
                self.trace.add(u64::from(seat.0));
                match self.nodes[seat.index()].timer.rings(self.now, token) {
                    Ring::Stale => {}
                    Ring::Early(at, token) => self.queue.push(at, Happening::Timer { seat, token }),
                    Ring::Due => self.wake(seat),
                }
            }
            Happening::Stream(step) => {
                let told = self.with_streams(|streams, around| streams.step(around, step));
                if let Some((seat, told)) = told {
                    self.trace.add(u64::from(seat.0));
                    self.tell(seat, told);
                }
            }
            Happening::Resume(seat) => self.resume(seat),
            Happening::Act(seat, action) => {
                self.trace.add(u64::from(seat.0));
                self.act(seat, action);
            }
        }
    }

    pub(super) fn with_streams<R>(
        &mut self,
        act: impl FnOnce(&mut Streams, &mut Surroundings<'_, Happening>) -> R,
    ) -> R {
        let mut around = Surroundings {
            now: self.now,
            network: &mut self.network,
            rng: &mut self.network_rng,
            queue: &mut self.queue,
            hosts: &self.hosts,
        };
        act(&mut self.streams, &mut around)
    }

    /// Calls a machine and collects what it wants done, until it says when to wake it; [`World::settle`] has to
    /// follow. `None` if no process runs there.
    pub(super) fn call<R>(&mut self, seat: Seat, act: impl FnOnce(&mut M, Moment) -> R) -> Option<R> {
        let node = &mut self.nodes[seat.index()];
        let now = node.clock.local(self.now);
        let machine = node.machine.as_mut()?;
        let timed = self.events.is_multiple_of(TIMED_EVERY);
        let before = self.stopwatch.as_mut().filter(|_| timed).map(|stopwatch| stopwatch());
        let result = act(machine, now);
        let wake = loop {
            match machine.poll(now) {
                Wish::Wake(wake) => break wake,
                output if self.outputs.len() < OUTPUTS_MAX => self.outputs.push(output),
                _ => {
                    self.observer.fail(
                        self.now,
                        "a machine comes to rest",
                        format!("{seat} has no end of outputs"),
                    );
                    break Moment::NEVER;
                }
            }
        };
        if let (Some(before), Some(stopwatch)) = (before, &mut self.stopwatch) {
            self.busy += stopwatch().saturating_sub(before) * TIMED_EVERY as u32;
        }
        if self.events.is_multiple_of(LOOK_EVERY) {
            let queued = machine.queued_octets();
            self.queued_octets_max = self.queued_octets_max.max(queued);
            if queued > QUEUED_OCTETS_MAX {
                self.observer.fail(
                    self.now,
                    "queues are bounded",
                    format!("{seat} has {queued} octets waiting"),
                );
            }
        }
        if let Some((at, token)) = node.timer.set(node.clock.world(wake)) {
            self.queue.push(at.max(self.now), Happening::Timer { seat, token });
        }
        Some(result)
    }

    /// Does what the machine wanted done.
    pub(super) fn settle(&mut self, seat: Seat) {
        let mut outputs = std::mem::take(&mut self.outputs);
        for output in outputs.drain(..) {
            match output {
                Wish::Datagram { to, octets } => self.send(seat, to, octets),
                Wish::Open { stream, to } => {
                    // Who is nowhere in this world is as silent as a host that is off.
                    let to = Seat::at(to).unwrap_or(Seat(u32::MAX));
                    self.with_streams(|streams, around| streams.open(around, seat, stream, to));
                }
                Wish::Write { stream, octets } => {
                    let overruns = self.streams.overruns;
                    self.with_streams(|streams, around| streams.write(around, seat, stream, octets));
                    if self.streams.overruns > overruns {
                        let what = format!("{seat} wrote more than it was given room for");
                        self.observer.fail(self.now, "writes keep to their room", what);
                    }
                }
                Wish::Close(stream) => {
                    self.with_streams(|streams, around| streams.close(around, seat, stream));
                }
                Wish::News(news) => self.news(seat, &news),
                Wish::Wake(_) => {}
            }
        }
        self.outputs = outputs;
    }

    fn send(&mut self, from: Seat, to: std::net::SocketAddr, octets: Bytes) {
        self.traffic.datagrams += 1;
        let size = octets.len() + M::uncounted_octets(&self.house);
        self.traffic.datagram_octets += size as u64;
        let Some(to) = Seat::at(to).filter(|to| to.index() < self.nodes.len()) else {
            self.traffic.unheard += 1;
            return;
        };
        let len = octets.len();
        let packet = Packet { from, to, octets: len, segment: false, at: self.now };
        match self.network.pass(&packet, &mut self.network_rng) {
            Journey::Arrives(first, second) => {
                if let Some(second) = second {
                    let octets = octets.clone();
                    self.queue.push(self.now + second, Happening::Datagram { from, to, octets });
                }
                self.queue.push(self.now + first, Happening::Datagram { from, to, octets });
            }
            Journey::Lost(Loss::TooLarge) => {
                self.traffic.too_large += 1;
                self.observer.fail(self.now, "datagrams fit the path", format!("{from} sent {len} octets"));
            }
            Journey::Lost(Loss::Chance | Loss::Cut | Loss::LinkFull) => self.traffic.lost += 1,
        }
    }

    fn news(&mut self, seat: Seat, news: &News) {
        match news {
            News::Identity(id, generation) => {
                self.nodes[seat.index()].disk.identity = Some((*id, *generation));
            }
            News::Cluster { change, stored } => {
                let disk = &mut self.nodes[seat.index()].disk.cluster;
                match stored {
                    Some(stored) => disk.insert(change.key.clone(), stored.clone()),
                    None => disk.remove(&change.key),
                };
            }
            News::Records { .. }
            | News::Lease { .. }
            | News::Member { .. }
            | News::Forgotten(_)
            | News::Synced(_)
            | News::Drained(_)
            | News::ExpiryFrozen(_) => {}
        }
        let (now, nodes, network) = (self.now, &self.nodes, &self.network);
        let recovering = now.before(RECOVERY);
        let well = |seat: Seat| nodes.get(seat.index()).is_some_and(|node| node.paused_until <= recovering);
        let recent = Span { from: recovering, until: now + Duration::from_micros(1) };
        let healthy = |subject: Seat| well(subject) && well(seat) && !network.is_cut(seat, subject, recent);
        self.observer.news(now, seat, news, healthy);
    }

    pub(super) fn parts(&mut self) -> (&mut Vec<Node<M>>, &mut Vec<Host>, &mut Observer, &mut fastrand::Rng) {
        (&mut self.nodes, &mut self.hosts, &mut self.observer, &mut self.node_rng)
    }

    pub(super) fn resume_at(&mut self, at: Moment, seat: Seat) {
        self.queue.push(at, Happening::Resume(seat));
    }
}
