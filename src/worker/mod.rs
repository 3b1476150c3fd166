//! Floor 4: the packet processors. One thread per core, with sockets, buffers and counters of its own.
//!
//! ```text
//! poll ─► udp ready:  receive a batch ─► accept, hash ─► prefetch ─► answer ─► send the batch ─┐ until dry
//!      ─► tcp ready:  accept, read, answer, write                                            │
//!      ─► woken:      let go of an old snapshot, or stop  ◄───────────────────────────────────┘
//! ```
//!
//! A worker waits only in `poll`. It takes no lock, logs nothing, and allocates nothing for a datagram.

pub mod bell;
mod ends;
mod exchange;
mod resolver;
mod tcp;
mod udp;
mod updates;

pub use exchange::{Exchange, Told};
pub use resolver::{Setup, Upstreams};
pub use updates::Updates;

use crate::answer::{self, Bounds, Elsewhere, Outcome, Scratch, Verdict};
use crate::base::metrics::{NO_ZONE, Transport, WorkerCounters};
use crate::base::time::Moment;
use crate::catalog::published::{Published, Reader};
use crate::catalog::snapshot::ZoneNumber;
use crate::os::affinity::{self, Core};
use crate::os::clock;
use crate::transfer::desk::Paper;
use crate::transfer::outgoing::Outgoing;
use crate::wire::key::NameKey;
use crate::wire::message::Rcode;
use crate::wire::query::{Accepted, Shape, accept};
use crate::wire::rtype::RecordType;
use crate::worker::ends::Ends;
use crate::worker::exchange::{Done, Special};
use crate::worker::resolver::{Back, Resolver};
use crossbeam::channel::{Receiver, RecvTimeoutError, bounded};
use mio::{Events, Poll, Token, Waker};
use std::io;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Events taken per wake-up: all sockets of a busy worker at once.
const EVENTS_MAX: usize = 256;
/// Batches answered from one socket before the others get their turn.
const BATCHES_PER_TURN: usize = 16;
/// How long a worker that was asked to stop waits for TCP peers to take their answers.
const STOP_MAX: Duration = Duration::from_secs(4);
const STOP_TICK: Duration = Duration::from_millis(20);
/// Octets of an answer to an update: header and zone, OPT, the signature of a key whose name is as long.
const UPDATE_REPLY_OCTETS: usize = 1_024;

const WAKE: Token = Token(usize::MAX);

/// What all workers have in common.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Octets of UDP payload sent and taken.
    pub udp_payload_max: u16,
    /// How long a TCP connection may neither ask nor take its answers.
    pub tcp_idle: Duration,
    /// TCP connections of one worker.
    pub tcp_connections_max: usize,
}

/// The sockets of one worker: one pair for each listening address.
#[derive(Default)]
pub struct Sockets {
    /// Bound, non-blocking; those bound to all addresses have had `want_local_addresses`.
    pub udp: Vec<UdpSocket>,
    /// Listening, non-blocking.
    pub tcp: Vec<TcpListener>,
}

/// A running worker.
pub struct Worker {
    counters: Arc<WorkerCounters>,
    waker: Arc<Waker>,
    stop: Arc<AtomicBool>,
    ended: Receiver<()>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Starts worker `number`, on `core` if one is given.
    pub fn start(
        number: usize,
        core: Option<Core>,
        sockets: Sockets,
        published: &Published,
        settings: Settings,
        (resolver, mut exchange): (Option<Setup>, Exchange),
    ) -> io::Result<Worker> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        exchange.updates.wake_by(&waker);
        let counters = Arc::new(WorkerCounters::default());
        let stop = Arc::new(AtomicBool::new(false));
        let mut desk = Desk {
            reader: published.reader(),
            scratch: Box::default(),
            counters: Arc::clone(&counters),
            exchange,
            settings,
            guess: ZoneNumber::default(),
            now: Moment::START,
            asked: 0,
        };
        let mut resolver = resolver.map(|setup| Box::new(Resolver::new(setup)));
        let udp = udp::Listeners::new(sockets.udp, poll.registry())?;
        let tcp = tcp::Connections::new(sockets.tcp, poll.registry(), settings, udp.count())?;
        let stopped = Arc::clone(&stop);
        let (running, ended) = bounded::<()>(0);
        let thread = std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
            if let Some(core) = core {
                affinity::pin(core);
            }
            run(poll, udp, tcp, &mut desk, &mut resolver, &stopped);
            drop(running);
        })?;
        Ok(Worker { counters, waker, stop, ended, thread })
    }

    /// Its counters.
    pub fn counters(&self) -> &Arc<WorkerCounters> {
        &self.counters
    }

    /// What wakes it.
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Wakes it, so that an idle worker lets go of a snapshot that was replaced.
    pub fn nudge(&self) {
        // A full pipe means that it is being woken already.
        let _ = self.waker.wake();
    }

    /// Asks it to answer what has arrived and to end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.nudge();
    }

    /// Waits until it has ended, or for the deadline; true if it has.
    pub fn finish(self, deadline: Instant) -> bool {
        // Nothing is ever sent: the channel closes when the thread ends, however it does.
        match self.ended.recv_deadline(deadline) {
            Err(RecvTimeoutError::Disconnected) => self.thread.join().is_ok(),
            Ok(()) | Err(RecvTimeoutError::Timeout) => false,
        }
    }
}

/// What a worker answers with: shared by its UDP and TCP sides.
pub(crate) struct Desk {
    reader: Reader,
    scratch: Box<(NameKey, Scratch)>,
    counters: Arc<WorkerCounters>,
    exchange: Exchange,
    settings: Settings,
    /// The zone last asked: most likely the next one too.
    guess: ZoneNumber,
    /// When what is being answered was taken.
    now: Moment,
    /// The type that was asked for last, for who counts; 0 where nothing was.
    asked: u16,
}

/// A worker's resolver, if it has one.
type Resolving = Option<Box<Resolver>>;

/// What becomes of a message.
enum Said {
    /// So many octets are its answer.
    Reply(usize),
    /// It gets none.
    Nothing,
    /// It gets one later.
    Later,
    /// Its answer has many messages.
    Stream(Box<Outgoing>),
}

impl Desk {
    /// Answers one message on its own; `None` if there is to be no answer. With a finder names are resolved for who
    /// wants that.
    fn answer_anew(
        &mut self,
        message: &[u8],
        (limit, transport, from): (Option<usize>, Transport, IpAddr),
        buffer: &mut [u8],
        finder: Option<&mut dyn Elsewhere>,
    ) -> Option<Outcome> {
        let snapshot = self.reader.current();
        let udp_payload_max = self.settings.udp_payload_max;
        let (key, scratch) = &mut *self.scratch;
        let accepted = accept(message, key);
        let limit_of = |shape: &Shape| limit.unwrap_or_else(|| shape.udp_limit(udp_payload_max.into()));
        let outcome = match accepted {
            Accepted::Query(shape) => {
                self.asked = shape.qtype().0;
                let bounds =
                    Bounds { limit: limit_of(&shape), udp_payload_max, now: self.now, from: Some(from) };
                key.hash(snapshot.seed());
                let route = answer::route(snapshot, &shape, key, self.guess);
                let way = (route, route.hint(snapshot, key));
                let query = shape.of(message);
                match finder.filter(|_| query.recursion_desired()) {
                    Some(finder) => {
                        answer::resolve(snapshot, way, (&query, key), scratch, buffer, bounds, finder)
                    }
                    None => answer::answer(snapshot, way, &query, key, scratch, buffer, bounds),
                }
            }
            Accepted::Special(_) => {
                let (verdict, rcode) = (Verdict::Transfer, Rcode::NoError);
                return Some(Outcome { verdict, rcode, zone: None });
            }
            Accepted::Refuse(shape, rcode) => {
                self.asked = 0;
                let bounds =
                    Bounds { limit: limit_of(&shape), udp_payload_max, now: self.now, from: Some(from) };
                answer::refuse(snapshot, &shape.of(message), rcode, buffer, bounds)
            }
            Accepted::Ignore => return None,
        };
        if !matches!(outcome.verdict, Verdict::Forward | Verdict::Transfer) {
            count(&self.counters, &outcome, transport, self.asked);
        }
        Some(outcome)
    }

    /// Answers what is about a zone as such, or signed, and came over TCP.
    fn answer_special(
        &mut self,
        message: &[u8],
        back: Back,
        transport: Transport,
        buffer: &mut [u8],
    ) -> Option<Done> {
        let held = self.reader.held();
        let udp_payload_max = self.settings.udp_payload_max;
        let (key, scratch) = &mut *self.scratch;
        let (Accepted::Special(shape) | Accepted::Query(shape)) = accept(message, key) else { return None };
        key.hash(held.seed());
        let special = Special { message, shape, key, from: back.client(), back, now: self.now };
        let paper = Paper { limit: buffer.len(), buffer, udp_payload_max };
        let done = self.exchange.take(&special, (held, Some(held)), scratch, paper);
        match &done {
            Done::Reply(outcome) => count(&self.counters, outcome, transport, shape.qtype().0),
            Done::Stream(_) => {
                let (verdict, rcode) = (Verdict::Transfer, Rcode::NoError);
                count(&self.counters, &Outcome { verdict, rcode, zone: None }, transport, shape.qtype().0);
            }
            // Counted when it is answered.
            Done::Later | Done::Nothing => {}
        }
        Some(done)
    }

    /// Answers the updates that were carried out.
    fn answer_updates(&mut self, ends: &mut Ends<'_>) {
        let mut buffer = [0; UPDATE_REPLY_OCTETS];
        while let Some(done) = self.exchange.updates.next() {
            let (zone, rcode, (_, transport)) = (Some(done.held.zone()), done.code, ends.bounds(&done.back));
            match done.held.answer(done.code, &mut buffer, clock::wall_seconds()) {
                0 => ends.drop(&done.back),
                len => ends.send(&done.back, buffer.get(..len).unwrap_or_default(), self),
            }
            let outcome = Outcome { verdict: Verdict::Transfer, rcode, zone };
            count(&self.counters, &outcome, transport, RecordType::SOA.0);
        }
        ends.udp.send_late(self);
    }

    /// Answers a message with a failure of this server.
    fn fail(&mut self, message: &[u8], transport: Transport, buffer: &mut [u8]) -> Option<Outcome> {
        let snapshot = self.reader.current();
        let udp_payload_max = self.settings.udp_payload_max;
        let Accepted::Query(shape) = accept(message, &mut self.scratch.0) else { return None };
        let bounds = Bounds { limit: buffer.len(), udp_payload_max, now: self.now, from: None };
        let outcome = answer::refuse(snapshot, &shape.of(message), Rcode::ServFail, buffer, bounds);
        count(&self.counters, &outcome, transport, shape.qtype().0);
        Some(outcome)
    }
}

#[inline(always)]
fn count(counters: &WorkerCounters, outcome: &Outcome, transport: Transport, qtype: u16) {
    let zone = outcome.zone.map_or(NO_ZONE, |slot| usize::from(slot.0));
    counters.answered(zone, transport, qtype, outcome.rcode as u8);
}

fn run(
    mut poll: Poll,
    mut udp: udp::Listeners,
    mut tcp: tcp::Connections,
    desk: &mut Desk,
    resolver: &mut Resolving,
    stop: &AtomicBool,
) {
    let mut events = Events::with_capacity(EVENTS_MAX);
    let mut stop_at = None;
    loop {
        let mut timeout = match stop_at {
            _ if udp.is_ready() => Some(Duration::ZERO),
            // Slow peers are waited for, but looked after often.
            Some(_) => Some(STOP_TICK),
            None => tcp.next_sweep(clock::now()),
        };
        if let Some(resolver) = resolver {
            let wake = resolver.next_wake();
            if wake != Moment::NEVER {
                let left = wake.since(clock::moment(clock::now()));
                timeout = Some(timeout.map_or(left, |timeout| timeout.min(left)));
            }
        }
        // EINTR and the like: the next round sees what this one missed.
        let _ = poll.poll(&mut events, timeout);
        let now = clock::now();
        desk.now = clock::moment(now);
        for event in &events {
            let registry = poll.registry();
            match event.token() {
                WAKE => {}
                Token(n) if n < udp.count() => udp.set_ready(n),
                token if Resolver::is_own(token) => {
                    if let Some(resolver) = resolver {
                        let ends = &mut Ends { udp: &mut udp, tcp: &mut tcp, registry, now };
                        resolver.hear(token, desk, ends);
                    }
                }
                token => {
                    let (readable, writable) = (event.is_readable(), event.is_writable());
                    tcp.handle(token, readable, writable, registry, desk, now);
                }
            }
        }
        // An idle worker holds no old snapshot.
        desk.reader.current();
        udp.answer(desk, resolver, now);
        tcp.turn(poll.registry(), desk, resolver, now);
        if let Some(resolver) = resolver {
            resolver.turn(desk, &mut Ends { udp: &mut udp, tcp: &mut tcp, registry: poll.registry(), now });
            udp.send_late(desk);
        }
        if desk.exchange.updates.is_waiting() {
            desk.answer_updates(&mut Ends { udp: &mut udp, tcp: &mut tcp, registry: poll.registry(), now });
        }
        if stop.load(Ordering::Acquire) {
            let deadline = *stop_at.get_or_insert(now + STOP_MAX);
            let is_quiet = resolver.as_ref().is_none_or(|resolver| resolver.is_quiet())
                && !desk.exchange.updates.is_waiting();
            if now >= deadline || (!udp.is_ready() && tcp.is_quiet() && is_quiet) {
                return;
            }
        }
    }
}
