//! The steps of a connection, and what they need of the world and tell to machines.

use super::network::{Journey, Network, Packet};
use super::queue::Queue;
use super::seat::Seat;
use crate::base::time::Moment;
use crate::gossip::output::StreamId;
use bytes::Bytes;
use std::time::Duration;

/// Which connection.
pub(super) type Connection = u32;

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Who asked for it.
    Opener,
    /// Who was asked.
    Acceptor,
}

impl End {
    pub(super) fn other(self) -> End {
        match self {
            End::Opener => End::Acceptor,
            End::Acceptor => End::Opener,
        }
    }
}

/// What a connection does next, at a moment that the queue knows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// The opener asks, for the first time or again.
    Syn { connection: Connection, attempt: u32 },
    /// The asking arrives; the answer will take so long, and what follows it as well.
    SynArrives { connection: Connection, attempt: u32, back_micros: u32, on_micros: u32 },
    /// The opener has its answer.
    Opened { connection: Connection },
    /// The acceptor knows that the opener has it.
    Accepted { connection: Connection },
    /// The next piece from that end is complete at the other.
    Arrives { connection: Connection, from: End },
    /// Some segments of a piece were not acknowledged.
    Resend { connection: Connection, from: End, piece: u64 },
    /// The other end has taken so many octets.
    Room { connection: Connection, to: End, octets: u32 },
    /// The connection is over, and that end is told.
    Broken { connection: Connection, to: End },
    /// That end has waited for acknowledgements for too long; the other knows nothing of it.
    GivenUp { connection: Connection, by: End },
}

/// What is to be told to a machine.
#[derive(Debug)]
pub(super) enum Told {
    /// `accept`; then [`Streams::accepted`] has to be called.
    Accept { connection: Connection, from: Seat },
    /// `stream_opened`.
    Opened(StreamId),
    /// `stream_received`; then [`Streams::taken`] has to be called.
    Received { connection: Connection, from: End, stream: StreamId, octets: Bytes },
    /// `stream_writable`.
    Writable(StreamId, usize),
    /// `stream_closed`.
    Closed(StreamId),
}

/// What is there at a node's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Host {
    /// A process takes connections.
    Serving,
    /// A machine without the process: it refuses.
    Refusing,
    /// Nothing.
    Off,
}

/// What streams need of the world for a step.
pub(super) struct Surroundings<'w, E> {
    /// The moment.
    pub(super) now: Moment,
    /// What carries segments.
    pub(super) network: &'w mut Network,
    /// For the network's lots.
    pub(super) rng: &'w mut fastrand::Rng,
    /// Where steps wait.
    pub(super) queue: &'w mut Queue<E>,
    /// Per seat.
    pub(super) hosts: &'w [Host],
}

impl<E: From<Step>> Surroundings<'_, E> {
    /// How long a packet takes; `None` if it is lost.
    pub(super) fn pass(&mut self, from: Seat, to: Seat, octets: usize) -> Option<Duration> {
        let packet = Packet { from, to, octets, segment: true, at: self.now };
        match self.network.pass(&packet, self.rng) {
            Journey::Arrives(delay, _) => Some(delay),
            Journey::Lost(_) => None,
        }
    }

    pub(super) fn after(&mut self, delay: Duration, step: Step) {
        self.queue.push(self.now + delay, step.into());
    }

    pub(super) fn host(&self, seat: Seat) -> Host {
        self.hosts.get(seat.index()).copied().unwrap_or(Host::Off)
    }
}
