//! Forwarding: questions are put to groups of upstream servers, the best of each first; one that is late, failed or
//! dead costs a question a moment and never the answer that another has.
//!
//! ```text
//! ask ─► the nearest living upstream ─ usual delay over ─► the next too ─► ... ─► again, up to the bounds
//!             │ SERVFAIL, REFUSED, no answer: the next at once        │
//!             │ FORMERR, NOTIMP: once without EDNS                    └─ 3.0 s over, or all failed ─► Failed
//!             │ truncated, or in another case: over a stream
//!             └ the first good answer ─► Answered; what comes later tells how far its sender is
//! ```
//!
//! A machine without sockets, clocks or randomness of its own. **After every call that takes a moment its owner takes
//! what [`Forward::poll`] gives until that is [`Output::Wake`] or [`Output::Idle`]**: an answer is there only until the
//! next message is handed in. One machine belongs to one thread. Nothing is allocated after [`Forward::new`] but for a
//! reload.
//!
//! A reply counts only if slot, address, id, question and the case of each letter are those of a query on its way
//! (RFC 5452 §9.1); all else is counted and changes nothing.

mod agenda;
mod asked;
mod flights;
mod hearing;
mod ports;
mod pursuing;
mod slab;
#[cfg(test)]
mod tests;
mod upstream;

pub use asked::{GROUP_UPSTREAMS_MAX, PACKETS_EACH_MAX, PACKETS_MAX, QUESTION_LIFE};
pub use upstream::{HEDGE_DELAY_START, UpstreamCounters};

use crate::base::metrics::Counter;
use crate::base::time::Moment;
use crate::resolve::body::{Body, ExtendedError};
use crate::resolve::forward::agenda::Agenda;
use crate::resolve::forward::asked::Asked;
use crate::resolve::forward::flights::Flights;
use crate::resolve::forward::ports::Ports;
use crate::resolve::forward::slab::{Key, Slab};
use crate::resolve::forward::upstream::Upstream;
use crate::resolve::harvest::{Caps, Harvest};
use crate::resolve::loops::Loops;
use crate::resolve::lots::Lots;
use crate::resolve::question::Question;
use crate::resolve::writer::Writer;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

/// Questions on their way at once: some thousand a second that all fail fill it, and a fast upstream never does.
pub const QUESTIONS_MAX: u16 = 2_048;
/// Outputs for which there is room from the start: a message makes one or two, a moment at which many questions are
/// due one for each.
const OUTPUTS: usize = 2 * QUESTIONS_MAX as usize;

/// There are as many questions on their way as there may be; nothing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// A query over a stream, to know its answer by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamId(Key);

/// A query in a datagram, to say that it could not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryId(Key);

/// What the owner of a machine does for it.
#[derive(Debug)]
pub enum Output<'f> {
    /// Send these octets from the socket in that slot; if that fails, say so with [`Forward::handle_unsent`].
    Send {
        /// Which.
        query: QueryId,
        /// The slot.
        port: u16,
        /// To whom.
        to: SocketAddr,
        /// The message.
        octets: &'f [u8],
    },
    /// Nothing may come to that slot any more: put a socket on a new port there, which the system picks by lot.
    Renew {
        /// The slot.
        port: u16,
    },
    /// Ask over TCP, and say with [`Forward::handle_stream`] what came of it.
    Stream {
        /// Which.
        stream: StreamId,
        /// Whom.
        to: SocketAddr,
        /// The message, without its length.
        octets: &'f [u8],
    },
    /// A question has its answer.
    Answered {
        /// The caller's ticket.
        ticket: u32,
        /// What was found, not validated.
        body: Body<'f>,
        /// Seconds it may be kept; 0: it is told and forgotten.
        ttl: u32,
        /// Who said it.
        upstream: SocketAddr,
        /// Packets that were sent for it.
        packets: u8,
    },
    /// A question has none.
    Failed {
        /// The caller's ticket.
        ticket: u32,
        /// Why, as far as is known.
        error: Option<ExtendedError>,
        /// Packets that were sent for it.
        packets: u8,
    },
    /// Nothing now; call [`Forward::handle_timeout`] at that moment, if nothing else comes before.
    Wake(Moment),
    /// Nothing until something comes.
    Idle,
}

/// An output in the making.
enum Pending {
    Send(Key),
    Renew(u16),
    Failed(u32, Option<ExtendedError>, u8),
}

/// An answer that was found; its records are in the writer.
struct Found {
    ticket: u32,
    harvest: Harvest,
    upstream: SocketAddr,
    packets: u8,
}

/// The machine.
pub struct Forward {
    caps: Caps,
    lots: Lots,
    upstreams: Vec<Upstream>,
    /// For each group the indices of its upstreams.
    groups: Vec<Vec<u16>>,
    /// Who leads back to us, and is not asked.
    loops: Arc<Loops>,
    asked: Slab<Asked>,
    /// When the next step of each question is due.
    agenda: Agenda,
    flights: Flights,
    ports: Ports,
    /// No upstream is to be probed earlier.
    probe_at: Moment,
    writer: Writer,
    scratch: Vec<u8>,
    found: Option<Found>,
    outputs: VecDeque<Pending>,
    mismatched: Arc<Counter>,
}

impl Forward {
    /// For groups of upstreams, of which the first [`GROUP_UPSTREAMS_MAX`] count, and an owner who has that many slots,
    /// each with a socket (one for each family of addresses) on a port that the system picked by lot.
    pub fn new(groups: &[Vec<SocketAddr>], ports: u16, caps: Caps, lots: Lots) -> Forward {
        let mut forward = Forward {
            caps,
            lots,
            upstreams: Vec::new(),
            groups: Vec::new(),
            loops: Arc::default(),
            asked: Slab::new(QUESTIONS_MAX),
            agenda: Agenda::new(QUESTIONS_MAX),
            flights: Flights::new(),
            ports: Ports::new(ports),
            probe_at: Moment::NEVER,
            writer: Writer::default(),
            scratch: Vec::with_capacity(crate::base::limits::RDATA_OCTETS_MAX),
            found: None,
            outputs: VecDeque::with_capacity(OUTPUTS),
            mismatched: Arc::default(),
        };
        forward.set_groups(Moment::START, groups);
        forward
    }

    /// Other groups from now on. What is known of upstreams that stay is kept; questions on their way ask those that go
    /// no more, but hear them.
    pub fn set_groups(&mut self, now: Moment, groups: &[Vec<SocketAddr>]) {
        for upstream in &mut self.upstreams {
            let in_use = groups.iter().flat_map(|group| group.iter().take(GROUP_UPSTREAMS_MAX));
            let in_use = in_use.into_iter().any(|address| *address == upstream.address);
            upstream.set_in_use(now, in_use);
            self.probe_at = self.probe_at.min(upstream.probe_at);
        }
        let indices = groups.iter().map(|group| {
            let mut indices: Vec<u16> = Vec::with_capacity(group.len());
            for address in group.iter().take(GROUP_UPSTREAMS_MAX) {
                let index = self.upstream_of(now, *address);
                // The same address twice is one upstream.
                if !indices.contains(&index) {
                    indices.push(index);
                }
            }
            indices
        });
        self.groups = indices.collect();
    }

    /// Other bounds on what is kept, from now on.
    pub fn set_caps(&mut self, caps: Caps) {
        self.caps = caps;
    }

    /// Who leads back to us, from now on; the numbers of groups are those of [`Forward::set_groups`].
    pub fn set_loops(&mut self, loops: Arc<Loops>) {
        self.loops = loops;
    }

    /// The index of the upstream with that address, made if there is none.
    fn upstream_of(&mut self, now: Moment, address: SocketAddr) -> u16 {
        let known = self.upstreams.iter().position(|upstream| upstream.address == address);
        let index = known.unwrap_or_else(|| {
            let mut upstreams = self.upstreams.iter();
            let free = upstreams.position(|upstream| upstream.is_forgotten(now, QUESTION_LIFE * 2));
            match free.and_then(|at| Some((at, self.upstreams.get_mut(at)?))) {
                Some((at, place)) => {
                    *place = Upstream::new(address);
                    at
                }
                None => {
                    self.upstreams.push(Upstream::new(address));
                    self.upstreams.len() - 1
                }
            }
        });
        index as u16
    }

    /// What is counted of each upstream in use; to be asked for anew after [`Forward::set_groups`].
    pub fn counters(&self) -> impl Iterator<Item = &Arc<UpstreamCounters>> {
        self.upstreams.iter().filter(|upstream| !upstream.is_retired()).map(|upstream| &upstream.counters)
    }

    /// Messages that were no answer to any query on its way.
    pub fn mismatched(&self) -> &Arc<Counter> {
        &self.mismatched
    }

    /// Puts a question to a group. It ends with [`Output::Answered`] or [`Output::Failed`] for the ticket, or is
    /// cancelled. Of an unknown or empty group it fails at once. Equal questions are asked as often as they are put.
    pub fn ask(
        &mut self,
        now: Moment,
        ticket: u32,
        group: usize,
        question: &Question<'_>,
    ) -> Result<(), Full> {
        self.ask_within(now, (ticket, PACKETS_MAX), group, question)
    }

    /// As [`Forward::ask`], with so many packets at most; more than [`PACKETS_MAX`] are as many.
    pub fn ask_within(
        &mut self,
        now: Moment,
        (ticket, packets_max): (u32, u8),
        group: usize,
        question: &Question<'_>,
    ) -> Result<(), Full> {
        let indices = self.groups.get(group).map(Vec::as_slice).unwrap_or_default();
        let asked = match self.loops.are_any() {
            false => Asked::new(now, (ticket, packets_max), question, indices, &self.upstreams),
            true => {
                let (others, count) = self.without_loops(group, indices);
                let others = others.get(..count).unwrap_or_default();
                Asked::new(now, (ticket, packets_max), question, others, &self.upstreams)
            }
        };
        let key = self.asked.insert(asked).ok_or(Full)?;
        self.pursue(now, key);
        self.age_others(key);
        Ok(())
    }

    /// Those upstreams of a group that do not lead back to us, and how many.
    fn without_loops(&self, group: usize, indices: &[u16]) -> ([u16; GROUP_UPSTREAMS_MAX], usize) {
        let (mut others, mut count) = ([0; GROUP_UPSTREAMS_MAX], 0);
        let loops = |index: u16| {
            let upstream = self.upstreams.get(usize::from(index));
            upstream.is_some_and(|upstream| self.loops.has(group, upstream.address))
        };
        for index in indices.iter().filter(|index| !loops(**index)) {
            if let Some(place) = others.get_mut(count) {
                (*place, count) = (*index, count + 1);
            }
        }
        (others, count)
    }

    /// Forgets a question: nothing more is said for its ticket. What was answered or failed already may be said still.
    pub fn cancel(&mut self, ticket: u32) {
        let key = self.asked.iter().find(|(_, asked)| asked.ticket == ticket).map(|(key, _)| key);
        if let Some(key) = key {
            self.end(key);
        }
    }

    /// What the owner does next.
    pub fn poll(&mut self) -> Output<'_> {
        if let Some(found) = self.found.take() {
            let Found { ticket, harvest: Harvest { rcode, ttl }, upstream, packets } = found;
            // Whether the records are authentic is for who validates them to say, not for who sent them.
            let body = self.writer.body(rcode, false, None);
            return Output::Answered { ticket, body, ttl, upstream, packets };
        }
        while let Some(pending) = self.outputs.pop_front() {
            match pending {
                Pending::Renew(port) => return Output::Renew { port },
                Pending::Failed(ticket, error, packets) => {
                    return Output::Failed { ticket, error, packets };
                }
                Pending::Send(key) => {
                    // It may have been forgotten since.
                    if let Some(flight) = self.flights.get(key) {
                        let (to, octets) = (flight.exchange.to(), flight.exchange.query());
                        return match flight.port {
                            Some(port) => Output::Send { query: QueryId(key), port, to, octets },
                            None => Output::Stream { stream: StreamId(key), to, octets },
                        };
                    }
                }
            }
        }
        let flight = self.flights.oldest().map(|(_, sent)| sent + QUESTION_LIFE);
        let step = self.agenda.first().map(|(moment, _)| moment);
        match [flight, step].into_iter().flatten().fold(self.probe_at, Moment::min) {
            Moment::NEVER => Output::Idle,
            moment => Output::Wake(moment),
        }
    }
}
