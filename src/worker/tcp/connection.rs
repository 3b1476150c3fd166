//! One TCP connection: what was read and not answered, what was answered and not taken (RFC 7766).

use crate::os::clock;
use crate::transfer::outgoing::Outgoing;
use crate::worker::tcp::{WAITING_MAX, WRITE_OCTETS_MAX};
use mio::net::TcpStream;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::time::Instant;

/// Octets of memory that an idle connection keeps for each direction: what it takes beyond is given back.
pub(super) const KEPT_OCTETS: usize = 8 << 10;

/// A connection.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) peer: IpAddr,
    pub(super) turn: u64,
    /// Answers that it gets later.
    pub(super) waiting: usize,
    /// A zone on its way to the peer; nothing else is read meanwhile.
    pub(super) transfer: Option<Box<Outgoing>>,
    /// Received: what is answered already, at most one part of a message, and what was read behind it.
    pub(super) input: Vec<u8>,
    /// Octets of it that are answered.
    pub(super) taken: usize,
    /// Answered, not yet taken.
    pub(super) out: Vec<u8>,
    /// When the peer last asked a whole question or took octets of an answer.
    pub(super) active: Instant,
    /// The peer will send no more.
    pub(super) ended: bool,
    /// The socket may hold more to read.
    pub(super) readable: bool,
    /// Stands in `queue`.
    pub(super) queued: bool,
    pub(super) ipv6: bool,
}

/// What a read brought.
pub(super) enum Filled {
    /// Octets were read.
    Some,
    /// Nothing now.
    Dry,
    /// Nothing ever again.
    Ended,
}

impl Connection {
    /// True while more of what it asks may be answered, now or later.
    pub(super) fn has_room(&self) -> bool {
        self.out.len() < WRITE_OCTETS_MAX && self.waiting < WAITING_MAX
    }

    /// The next whole message, if it has arrived (RFC 1035 §4.2.2).
    pub(super) fn next_message(&self) -> Option<&[u8]> {
        let rest = self.input.get(self.taken..)?;
        let len = usize::from(u16::from_be_bytes(*rest.first_chunk::<2>()?));
        rest.get(2..2 + len)
    }

    /// Adds an answer to what is to be written (RFC 1035 §4.2.2).
    pub(super) fn append(&mut self, reply: &[u8]) {
        self.out.extend_from_slice(&(reply.len() as u16).to_be_bytes());
        self.out.extend_from_slice(reply);
    }

    /// Adds the next message of the transfer to what is to be written; false if it cannot go on.
    pub(super) fn transfer_on(&mut self, buffer: &mut [u8]) -> bool {
        let Some(mut transfer) = self.transfer.take() else { return true };
        let Some(len) = transfer.next(buffer, clock::wall_seconds()) else { return false };
        self.append(buffer.get(..len).unwrap_or_default());
        if !transfer.is_over() {
            self.transfer = Some(transfer);
        }
        true
    }

    /// Gives back memory that is more than an idle connection keeps.
    pub(super) fn give_back(&mut self) {
        if self.taken == self.input.len() {
            self.input.clear();
            self.taken = 0;
        }
        for buffer in [&mut self.input, &mut self.out] {
            if buffer.is_empty() && buffer.capacity() > KEPT_OCTETS {
                *buffer = Vec::new();
            }
        }
    }

    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Filled {
        if self.ended {
            return Filled::Ended;
        }
        if !self.readable {
            return Filled::Dry;
        }
        match self.stream.read(buffer) {
            Ok(0) => {
                self.ended = true;
                Filled::Ended
            }
            Ok(len) => {
                // Once for all that one read brought.
                self.input.drain(..self.taken);
                self.taken = 0;
                self.input.extend_from_slice(buffer.get(..len).unwrap_or_default());
                Filled::Some
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => {
                    self.readable = false;
                    Filled::Dry
                }
                io::ErrorKind::Interrupted => Filled::Some,
                _ => {
                    self.ended = true;
                    self.out.clear();
                    Filled::Ended
                }
            },
        }
    }

    /// Writes what the peer takes; false if it is gone.
    pub(super) fn flush(&mut self, now: Instant) -> bool {
        let mut written = 0;
        let alive = loop {
            match self.stream.write(self.out.get(written..).unwrap_or_default()) {
                Ok(0) => break true,
                Ok(len) => {
                    written += len;
                    self.active = now;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break error.kind() == io::ErrorKind::WouldBlock,
            }
            if written == self.out.len() {
                break true;
            }
        };
        self.out.drain(..written);
        alive
    }
}
