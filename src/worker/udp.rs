//! The UDP side of a worker: a batch in, a batch out.
//!
//! A batch is answered in stripes. Within a stripe every query is first parsed and hashed and its place in
//! memory requested, then all are answered: the waits for memory overlap.

use crate::answer::{self, Bounds, Guess, Offers, Outcome, Route, Scratch, Verdict, Way};
use crate::base::metrics::{DropReason, Transport, WorkerCounters};
use crate::base::time::Moment;
use crate::catalog::snapshot::{Snapshot, ZoneNumber};
use crate::os::clock;
use crate::os::udp::{Asker, BATCH, Batch, Datagrams, Late, Replies};
use crate::resolve::question::Question;
use crate::transfer::desk::Paper;
use crate::wire::key::NameKey;
use crate::wire::message::{RD, Rcode};
use crate::wire::query::{Accepted, Shape, accept};
use crate::wire::rtype::{Class, RecordType};
use crate::wire::short;
use crate::worker::exchange::{Done, Exchange, Special};
use crate::worker::resolver::{Back, Resolver, question};
use crate::worker::{BATCHES_PER_TURN, Desk, Resolving, count};
use crate::zone::store::Hint;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Instant;

/// Queries whose waits overlap: what a core has outstanding loads for.
const STRIPE: usize = 16;
const _: () = assert!(BATCH.is_multiple_of(STRIPE));

/// One listening socket with its buffers.
struct Listener {
    socket: UdpSocket,
    batch: Batch,
    transport: Transport,
    /// May hold datagrams: readiness is told once, on the edge.
    ready: bool,
    /// Answers to those who had to wait.
    late: Late,
}

/// All UDP sockets of a worker.
pub(super) struct Listeners {
    listeners: Vec<Listener>,
    slots: Box<[Slot; STRIPE]>,
}

impl Listeners {
    pub(super) fn new(sockets: Vec<UdpSocket>, registry: &Registry) -> io::Result<Listeners> {
        let mut listeners = Vec::with_capacity(sockets.len());
        for (number, socket) in sockets.into_iter().enumerate() {
            registry.register(&mut SourceFd(&socket.as_raw_fd()), Token(number), Interest::READABLE)?;
            let local = socket.local_addr()?;
            let batch = Batch::new(local.ip().is_unspecified());
            let transport = Transport { tcp: false, ipv6: local.is_ipv6() };
            listeners.push(Listener { socket, batch, transport, ready: true, late: Late::new() });
        }
        Ok(Listeners { listeners, slots: Box::new(std::array::from_fn(|_| Slot::default())) })
    }

    pub(super) fn count(&self) -> usize {
        self.listeners.len()
    }

    pub(super) fn set_ready(&mut self, number: usize) {
        if let Some(listener) = self.listeners.get_mut(number) {
            listener.ready = true;
        }
    }

    /// True if some socket may still hold datagrams.
    pub(super) fn is_ready(&self) -> bool {
        self.listeners.iter().any(|listener| listener.ready)
    }

    /// By what way the queries of a socket come.
    pub(super) fn transport(&self, number: usize) -> Transport {
        let way = self.listeners.get(number).map(|listener| listener.transport);
        way.unwrap_or(Transport { tcp: false, ipv6: false })
    }

    /// Has an answer sent to who had to wait for it.
    pub(super) fn reply_late(&mut self, number: usize, asker: &Asker, reply: &[u8], desk: &Desk) {
        if let Some(listener) = self.listeners.get_mut(number) {
            if listener.late.is_full() {
                listener.send_late(desk);
            }
            if !listener.late.push(asker, reply) {
                desk.counters.dropped(DropReason::Send, 1);
            }
        }
    }

    /// Sends what waits to be sent.
    pub(super) fn send_late(&mut self, desk: &Desk) {
        for listener in self.listeners.iter_mut().filter(|listener| !listener.late.is_empty()) {
            listener.send_late(desk);
        }
    }

    /// Answers what has arrived, some batches from each socket.
    pub(super) fn answer(&mut self, desk: &mut Desk, resolver: &mut Resolving, mut now: Instant) {
        for (number, listener) in self.listeners.iter_mut().enumerate().filter(|(_, listener)| listener.ready)
        {
            for _ in 0..BATCHES_PER_TURN {
                desk.now = clock::moment(now);
                let Ok(received) = listener.batch.receive(listener.socket.as_fd()) else {
                    // Dry, or an error of the socket that has been taken by being told.
                    listener.ready = false;
                    break;
                };
                // One for the batch, whose replies change their order: to each asker answers never go back in time.
                desk.reader.current();
                let (datagrams, mut replies) = listener.batch.split();
                let mut start = 0;
                while start < received {
                    let end = (start + STRIPE).min(received);
                    let way = (number, listener.transport);
                    stripe(desk, resolver, &mut self.slots, way, (datagrams, &mut replies), start..end);
                    start = end;
                }
                let sent = listener.batch.send(listener.socket.as_fd());
                if sent.dropped > 0 {
                    desk.counters.dropped(DropReason::Send, sent.dropped as u64);
                }
                let end = clock::now();
                desk.counters.took(received as u64, end.saturating_duration_since(now));
                now = end;
                // A short batch emptied the socket: what comes now makes a new edge.
                if received < BATCH {
                    listener.ready = false;
                    break;
                }
            }
        }
    }
}

impl Listener {
    fn send_late(&mut self, desk: &Desk) {
        let sent = self.late.send(self.socket.as_fd());
        if sent.dropped > 0 {
            desk.counters.dropped(DropReason::Send, sent.dropped as u64);
        }
    }
}

/// What a message is.
#[derive(Clone, Copy)]
enum Kind {
    /// An ordinary query: see `wire::short`.
    Short,
    /// Another query.
    Long,
    /// One about a zone as such, or a signed one.
    Special,
    /// None, and the code says why.
    Refused(Rcode),
    /// None, and nothing is to be said.
    Ignored,
}

/// One query between the stages.
struct Slot {
    key: NameKey,
    kind: Kind,
    /// Means nothing where the message is ignored.
    shape: Shape,
    route: Route,
}

impl Default for Slot {
    fn default() -> Slot {
        let shape = Shape::new(0, 0, RecordType(0), Class(0), None);
        Slot { key: NameKey::default(), kind: Kind::Ignored, shape, route: Route::Chaos }
    }
}

/// The ways of a stripe's queries.
type Ways<'s> = [Option<Way<'s>>; STRIPE];

fn stripe(
    desk: &mut Desk,
    resolver: &mut Resolving,
    slots: &mut [Slot; STRIPE],
    (listener, transport): (usize, Transport),
    (datagrams, replies): (Datagrams<'_>, &mut Replies<'_>),
    range: Range<usize>,
) {
    let snapshot = desk.reader.same();
    let mut ways = [None; STRIPE];
    let wishes;
    (desk.guess, wishes) = prepare(slots, &mut ways, snapshot, datagrams, range.clone(), desk.guess);
    seek(slots, &mut ways);
    let bench = Bench {
        counters: &desk.counters,
        exchange: &desk.exchange,
        snapshot,
        listener,
        transport,
        udp_payload_max: desk.settings.udp_payload_max,
        now: desk.now,
    };
    let scratch = &mut desk.scratch.1;
    match resolver {
        Some(resolver) if wishes & RD != 0 => {
            let asked = slots.iter().zip(&ways).take(range.len());
            resolver.fetch(asked.filter_map(|(slot, way)| slot.question(way.as_ref())));
            bench.answer::<true>(slots, &ways, scratch, Some(resolver), datagrams, replies, range);
        }
        // Most stripes of a name server's: nobody's address is looked at.
        _ => bench.answer::<false>(slots, &ways, scratch, None, datagrams, replies, range),
    }
}

// The stages are functions of their own: in one body the compiler would keep half of each stage's values on the
// stack.

/// Parses, hashes and routes, and has each way's slot fetched. The zone last found is the guess for the next; the flags
/// that some query has.
#[inline(never)]
fn prepare<'s>(
    slots: &mut [Slot; STRIPE],
    ways: &mut Ways<'s>,
    snapshot: &'s Snapshot,
    datagrams: Datagrams<'_>,
    range: Range<usize>,
    mut number: ZoneNumber,
) -> (ZoneNumber, u16) {
    let mut guess = Guess::new(snapshot, number);
    let mut wishes = 0;
    for ((i, slot), way) in range.zip(slots).zip(ways) {
        let (window, len) = datagrams.window(i);
        match short::accept(window, len, &mut slot.key) {
            Some(shape) => {
                slot.kind = Kind::Short;
                slot.shape = shape;
            }
            None => slot.accept_long(datagrams.get(i), snapshot),
        }
        if let Kind::Special | Kind::Refused(_) | Kind::Ignored = slot.kind {
            *way = None;
            continue;
        }
        wishes |= slot.shape.flags();
        slot.key.hash(snapshot.seed());
        if let Some(guess) = &guess
            && guess.is_right(&slot.shape, &slot.key)
        {
            slot.route = guess.route();
            *way = Some(guess.way(&slot.key));
            continue;
        }
        *way = slot.route(snapshot, number);
        if let Route::Zone(found) = slot.route {
            number = found;
            guess = Guess::new(snapshot, number);
        }
    }
    (number, wishes)
}

/// Has each way's node fetched.
#[inline(never)]
fn seek(slots: &[Slot; STRIPE], ways: &mut Ways<'_>) {
    for (slot, way) in slots.iter().zip(ways) {
        if let Some(way) = way {
            way.seek(&slot.key);
        }
    }
}

/// What all queries of a stripe are answered with.
struct Bench<'d> {
    counters: &'d WorkerCounters,
    exchange: &'d Exchange,
    snapshot: &'d Snapshot,
    listener: usize,
    transport: Transport,
    udp_payload_max: u16,
    now: Moment,
}

impl Bench<'_> {
    /// Answers a stripe. `RESOLVES`: some query of it wants names resolved, and there is a resolver.
    #[inline(never)]
    #[allow(clippy::too_many_arguments, reason = "one call, and each of them is used for each query")]
    fn answer<const RESOLVES: bool>(
        &self,
        slots: &[Slot; STRIPE],
        ways: &Ways<'_>,
        scratch: &mut Scratch,
        mut resolver: Option<&mut Resolver>,
        datagrams: Datagrams<'_>,
        replies: &mut Replies<'_>,
        range: Range<usize>,
    ) {
        for ((i, slot), way) in range.zip(slots).zip(ways) {
            let offers = match &mut resolver {
                Some(resolver) if RESOLVES && slot.shape.flags() & RD != 0 => {
                    resolver.offers_to(replies.source(i))
                }
                _ => Offers::Zones,
            };
            if let (Some(way), Kind::Short) = (way, slot.kind) {
                let (window, _) = datagrams.window(i);
                let query = (window, &slot.shape);
                let buffer = replies.buffer(i);
                let udp_payload_max = self.udp_payload_max;
                let outcome = answer::answer_short(way, query, &slot.key, buffer, udp_payload_max, offers);
                if let Some(outcome) = outcome {
                    self.note(i, &outcome, slot.shape.qtype().0, replies);
                    continue;
                }
            }
            if let (Offers::Recursion, Some(resolver)) = (offers, &mut resolver)
                && let Some(question) = slot.question(way.as_ref())
            {
                let (window, _) = datagrams.window(i);
                let (told, query) = ((self.counters, self.now), (window, &slot.shape));
                let buffer = replies.buffer(i);
                if let Some(outcome) = resolver.recall(told, &question, query, buffer, self.udp_payload_max) {
                    self.note(i, &outcome, slot.shape.qtype().0, replies);
                    continue;
                }
            }
            let message = datagrams.get(i);
            if let (Offers::Recursion, Kind::Short | Kind::Long, Some(resolver)) =
                (offers, slot.kind, &mut resolver)
            {
                self.resolve(slot, way.as_ref(), (scratch, resolver), message, i, replies);
                continue;
            }
            self.answer_long(slot, way.as_ref(), scratch, message, i, replies);
        }
    }

    /// The general way of those who may have names resolved.
    #[inline(never)]
    fn resolve(
        &self,
        slot: &Slot,
        way: Option<&Way<'_>>,
        (scratch, resolver): (&mut Scratch, &mut Resolver),
        message: &[u8],
        i: usize,
        replies: &mut Replies<'_>,
    ) {
        let (query, udp_payload_max, now) = (slot.shape.of(message), self.udp_payload_max, self.now);
        let from = Some(replies.source(i).to_canonical());
        let bounds = Bounds { limit: query.udp_limit(udp_payload_max.into()), udp_payload_max, now, from };
        let way = (slot.route, way.map_or(Hint::ABSENT, Way::hint));
        let mut finder = resolver.finder(self.counters, now);
        let query = (&query, &slot.key);
        let outcome =
            answer::resolve(self.snapshot, way, query, scratch, replies.buffer(i), bounds, &mut finder);
        let refresh = finder.refresh;
        if outcome.verdict == Verdict::Transfer {
            return self.special(slot, scratch, message, i, replies);
        }
        if outcome.verdict == Verdict::Forward {
            let back = Back::Udp { listener: self.listener, asker: replies.asker(i) };
            return resolver.wait(now, message, back);
        }
        if refresh {
            resolver.refresh();
        }
        self.note(i, &outcome, slot.shape.qtype().0, replies);
    }

    /// The general way.
    #[inline(never)]
    fn answer_long(
        &self,
        slot: &Slot,
        way: Option<&Way<'_>>,
        scratch: &mut Scratch,
        message: &[u8],
        i: usize,
        replies: &mut Replies<'_>,
    ) {
        let (query, udp_payload_max, now) = (slot.shape.of(message), self.udp_payload_max, self.now);
        let from = Some(replies.source(i).to_canonical());
        let bounds = Bounds { limit: query.udp_limit(udp_payload_max.into()), udp_payload_max, now, from };
        let buffer = replies.buffer(i);
        match slot.kind {
            Kind::Short | Kind::Long => {
                let way = (slot.route, way.map_or(Hint::ABSENT, Way::hint));
                let outcome = answer::answer(self.snapshot, way, &query, &slot.key, scratch, buffer, bounds);
                if outcome.verdict == Verdict::Transfer {
                    return self.special(slot, scratch, message, i, replies);
                }
                self.note(i, &outcome, query.qtype().0, replies);
            }
            Kind::Special => self.special(slot, scratch, message, i, replies),
            Kind::Refused(rcode) => {
                let outcome = answer::refuse(self.snapshot, &query, rcode, buffer, bounds);
                self.note(i, &outcome, 0, replies);
            }
            Kind::Ignored => self.counters.dropped(DropReason::NotAQuery, 1),
        }
    }

    /// What is about a zone as such, or signed.
    #[cold]
    fn special(
        &self,
        slot: &Slot,
        scratch: &mut Scratch,
        message: &[u8],
        i: usize,
        replies: &mut Replies<'_>,
    ) {
        let (shape, key, from, now) = (slot.shape, &slot.key, IpAddr::V6(replies.source(i)), self.now);
        let (udp_payload_max, snapshot) = (self.udp_payload_max, self.snapshot);
        let limit = shape.udp_limit(udp_payload_max.into());
        let back = Back::Udp { listener: self.listener, asker: replies.asker(i) };
        let paper = Paper { buffer: replies.buffer(i), limit, udp_payload_max };
        match self.exchange.take(
            &Special { message, shape, key, from, back, now },
            (snapshot, None),
            scratch,
            paper,
        ) {
            Done::Reply(outcome) => self.note(i, &outcome, shape.qtype().0, replies),
            // Without a snapshot to hold there is no stream.
            Done::Stream(_) | Done::Later | Done::Nothing => {}
        }
    }

    #[inline(always)]
    fn note(&self, i: usize, outcome: &Outcome, qtype: u16, replies: &mut Replies<'_>) {
        count(self.counters, outcome, self.transport, qtype);
        match outcome.verdict {
            Verdict::Reply(len) => replies.reply(i, len),
            Verdict::Drop | Verdict::Forward | Verdict::Transfer => {}
        }
    }
}

impl Slot {
    /// What an ordinary query for none of our zones asks of others.
    #[inline(always)]
    fn question(&self, way: Option<&Way<'_>>) -> Option<Question<'_>> {
        match (way, self.kind) {
            (None, Kind::Short) => question(self.route, &self.shape, &self.key),
            _ => None,
        }
    }

    /// The route where the guess was wrong, and the way.
    #[inline(never)]
    fn route<'s>(&mut self, snapshot: &'s Snapshot, guess: ZoneNumber) -> Option<Way<'s>> {
        self.route = answer::route(snapshot, &self.shape, &self.key, guess);
        self.route.way(snapshot, &self.key)
    }

    /// Reads a message that is no ordinary query.
    #[inline(never)]
    fn accept_long(&mut self, message: &[u8], snapshot: &Snapshot) {
        self.kind = match accept(message, &mut self.key) {
            Accepted::Query(shape) => {
                self.shape = shape;
                Kind::Long
            }
            Accepted::Special(shape) => {
                self.shape = shape;
                self.key.hash(snapshot.seed());
                Kind::Special
            }
            Accepted::Refuse(shape, rcode) => {
                self.shape = shape;
                Kind::Refused(rcode)
            }
            Accepted::Ignore => Kind::Ignored,
        };
    }
}
