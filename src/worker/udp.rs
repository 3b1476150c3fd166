//! The UDP side of a worker: a batch in, a batch out.
//!
//! A batch is answered in stripes. Within a stripe every query is first parsed and hashed and its place in
//! memory requested, then all are answered: the waits for memory overlap.

use crate::answer::{self, Bounds, Outcome, Route, Scratch, Verdict};
use crate::base::metrics::{DropReason, Transport};
use crate::base::time::Moment;
use crate::catalog::snapshot::{Snapshot, ZoneNumber};
use crate::os::clock;
use crate::os::udp::{BATCH, Batch, Datagrams, Replies};
use crate::wire::key::NameKey;
use crate::wire::query::{Accepted, accept};
use crate::wire::short;
use crate::worker::{BATCHES_PER_TURN, Desk, count};
use crate::zone::store::Hint;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use std::io;
use std::net::UdpSocket;
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
            listeners.push(Listener { socket, batch, transport, ready: true });
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

    /// Answers what has arrived, some batches from each socket.
    pub(super) fn answer(&mut self, desk: &mut Desk, mut now: Instant) {
        for listener in self.listeners.iter_mut().filter(|listener| listener.ready) {
            for _ in 0..BATCHES_PER_TURN {
                desk.now = clock::moment(now);
                let Ok(received) = listener.batch.receive(listener.socket.as_fd()) else {
                    // Dry, or an error of the socket that has been taken by being told.
                    listener.ready = false;
                    break;
                };
                let (datagrams, mut replies) = listener.batch.split();
                let mut start = 0;
                while start < received {
                    let end = (start + STRIPE).min(received);
                    stripe(desk, &mut self.slots, listener.transport, datagrams, &mut replies, start..end);
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

/// One query between the stages.
struct Slot {
    key: NameKey,
    accepted: Accepted,
    /// It is an ordinary query: see `wire::short`.
    is_short: bool,
    route: Route,
    hint: Hint,
}

impl Default for Slot {
    fn default() -> Slot {
        Slot {
            key: NameKey::default(),
            accepted: Accepted::Ignore,
            is_short: false,
            route: Route::Chaos,
            hint: Hint::ABSENT,
        }
    }
}

fn stripe(
    desk: &mut Desk,
    slots: &mut [Slot; STRIPE],
    transport: Transport,
    datagrams: Datagrams<'_>,
    replies: &mut Replies<'_>,
    range: std::ops::Range<usize>,
) {
    let snapshot = desk.reader.current();
    let udp_payload_max = desk.settings.udp_payload_max;
    let mut guess = desk.guess;
    for (i, slot) in range.clone().zip(slots.iter_mut()) {
        guess = slot.prepare(snapshot, datagrams, i, guess);
    }
    desk.guess = guess;
    for (_, slot) in range.clone().zip(slots.iter_mut()) {
        if let Accepted::Query(_) = &slot.accepted {
            slot.hint = slot.route.hint(snapshot, &slot.key);
        }
    }
    let (scratch, now) = (&mut desk.scratch.1, desk.now);
    for (i, slot) in range.zip(slots.iter()) {
        let outcome =
            slot.answer_short(snapshot, datagrams, i, replies.buffer(i), udp_payload_max).or_else(|| {
                slot.answer(snapshot, datagrams.get(i), replies.buffer(i), scratch, (udp_payload_max, now))
            });
        let Some(outcome) = outcome else {
            desk.counters.dropped(DropReason::NotAQuery, 1);
            continue;
        };
        count(&desk.counters, &outcome, transport, slot.qtype());
        match outcome.verdict {
            Verdict::Reply(len) => replies.reply(i, len),
            Verdict::Drop => {}
        }
    }
}

// Functions of their own: in one body the compiler would keep half of each stage's values on the stack.
impl Slot {
    /// Parses, hashes and routes; the zone found is the guess for the next.
    #[inline(never)]
    fn prepare(
        &mut self,
        snapshot: &Snapshot,
        datagrams: Datagrams<'_>,
        i: usize,
        guess: ZoneNumber,
    ) -> ZoneNumber {
        let (window, len) = datagrams.window(i);
        let shape = match short::accept(window, len, &mut self.key) {
            Some(shape) => {
                self.is_short = true;
                self.accepted = Accepted::Query(shape);
                shape
            }
            None => {
                self.is_short = false;
                self.accepted = accept(datagrams.get(i), &mut self.key);
                let Accepted::Query(shape) = self.accepted else { return guess };
                shape
            }
        };
        self.key.hash(snapshot.seed());
        self.route = answer::route(snapshot, &shape, &self.key, guess);
        self.route.prefetch(snapshot, &self.key);
        match self.route {
            Route::Zone(number) => number,
            Route::Chaos | Route::Nowhere(_) => guess,
        }
    }

    #[inline(always)]
    fn answer_short(
        &self,
        snapshot: &Snapshot,
        datagrams: Datagrams<'_>,
        i: usize,
        buffer: &mut [u8],
        udp_payload_max: u16,
    ) -> Option<Outcome> {
        match &self.accepted {
            Accepted::Query(shape) if self.is_short => {
                let way = (self.route, self.hint);
                let (window, _) = datagrams.window(i);
                answer::answer_short(snapshot, way, (window, shape), &self.key, buffer, udp_payload_max)
            }
            Accepted::Query(_) | Accepted::Refuse(..) | Accepted::Ignore => None,
        }
    }

    /// The general way.
    #[inline(never)]
    fn answer(
        &self,
        snapshot: &Snapshot,
        message: &[u8],
        buffer: &mut [u8],
        scratch: &mut Scratch,
        (udp_payload_max, now): (u16, Moment),
    ) -> Option<Outcome> {
        match self.accepted {
            Accepted::Query(shape) => {
                let query = shape.of(message);
                let bounds = Bounds { limit: query.udp_limit(udp_payload_max.into()), udp_payload_max, now };
                let way = (self.route, self.hint);
                Some(answer::answer(snapshot, way, &query, &self.key, scratch, buffer, bounds))
            }
            Accepted::Refuse(shape, rcode) => {
                let query = shape.of(message);
                let bounds = Bounds { limit: query.udp_limit(udp_payload_max.into()), udp_payload_max, now };
                Some(answer::refuse(snapshot, &query, rcode, buffer, bounds))
            }
            Accepted::Ignore => None,
        }
    }

    fn qtype(&self) -> u16 {
        match &self.accepted {
            Accepted::Query(shape) => shape.qtype().0,
            Accepted::Refuse(..) | Accepted::Ignore => 0,
        }
    }
}
