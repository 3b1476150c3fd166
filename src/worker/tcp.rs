//! The TCP side of a worker (RFC 7766): pipelined queries, answered in the order they come, which for a server
//! that never waits is also the order they are ready.
//!
//! ```text
//! accepted ─► reading ─► a whole message: answer, append to `out` ─► written ─► reading ...
//!                │                                        └─ the peer does not take it: reading stops
//!                └─ idle or slow for too long, malformed length, peer gone ─► closed
//! ```

use crate::base::limits::MESSAGE_OCTETS_MAX;
use crate::base::metrics::{DropReason, Transport};
use crate::worker::{Desk, Settings};
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

/// Octets read at once, and the bound of what one connection has queued for reading: two of the largest messages.
const READ_OCTETS: usize = 2 * (MESSAGE_OCTETS_MAX + 2);
/// Octets that one connection may have waiting to be taken before its queries are left unread.
const WRITE_OCTETS_MAX: usize = 4 * (MESSAGE_OCTETS_MAX + 2);
/// Connections accepted in one turn, so that a flood of them does not starve UDP.
const ACCEPTS_PER_TURN: usize = 64;
/// Messages answered from one connection in one turn, for the same reason.
const MESSAGES_PER_TURN: usize = 64;
/// How often connections are looked over for those that are idle.
const SWEEP_EVERY: Duration = Duration::from_millis(250);

struct Connection {
    stream: TcpStream,
    /// Received, not yet answered: at most one message and what followed it.
    input: Vec<u8>,
    /// Answered, not yet taken.
    out: Vec<u8>,
    /// When the peer last asked a whole question or took octets of an answer.
    active: Instant,
    /// The peer will send no more.
    ended: bool,
    /// The socket may hold more to read.
    readable: bool,
    /// Stands in `unfinished`.
    queued: bool,
    ipv6: bool,
}

/// All TCP connections of a worker.
pub(super) struct Connections {
    listeners: Vec<(TcpListener, bool)>,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    settings: Settings,
    /// Tokens below belong to the UDP side.
    first_token: usize,
    next_sweep: Option<Instant>,
    /// Connections with messages left over from the last turn.
    unfinished: Vec<usize>,
    read: Box<[u8]>,
    reply: Box<[u8]>,
}

impl Connections {
    pub(super) fn new(
        sockets: Vec<std::net::TcpListener>,
        registry: &Registry,
        settings: Settings,
        first_token: usize,
    ) -> io::Result<Connections> {
        let mut listeners = Vec::with_capacity(sockets.len());
        for (number, socket) in sockets.into_iter().enumerate() {
            let ipv6 = socket.local_addr()?.is_ipv6();
            let mut listener = TcpListener::from_std(socket);
            registry.register(&mut listener, Token(first_token + number), Interest::READABLE)?;
            listeners.push((listener, ipv6));
        }
        Ok(Connections {
            listeners,
            connections: Vec::new(),
            free: Vec::new(),
            settings,
            first_token,
            next_sweep: None,
            unfinished: Vec::new(),
            read: vec![0; READ_OCTETS].into(),
            reply: vec![0; MESSAGE_OCTETS_MAX].into(),
        })
    }

    /// Takes an event of one of this side's tokens.
    pub(super) fn handle(
        &mut self,
        token: Token,
        readable: bool,
        writable: bool,
        registry: &Registry,
        desk: &mut Desk,
        now: Instant,
    ) {
        let number = token.0 - self.first_token;
        match number.checked_sub(self.listeners.len()) {
            None => self.accept(number, registry, desk, now),
            Some(number) => {
                if let Some(Some(connection)) = self.connections.get_mut(number) {
                    connection.readable |= readable;
                    if writable && !connection.out.is_empty() {
                        connection.flush(now);
                    }
                    self.serve(number, registry, desk, now);
                }
            }
        }
    }

    /// When `poll` must return at the latest.
    pub(super) fn next_sweep(&self, now: Instant) -> Option<Duration> {
        if !self.unfinished.is_empty() {
            return Some(Duration::ZERO);
        }
        self.next_sweep.map(|at| at.saturating_duration_since(now))
    }

    /// Goes on with what one turn did not finish, and closes idle connections when it is time.
    pub(super) fn sweep(&mut self, registry: &Registry, desk: &mut Desk, now: Instant) {
        for number in std::mem::take(&mut self.unfinished) {
            if let Some(Some(connection)) = self.connections.get_mut(number) {
                connection.queued = false;
            }
            self.serve(number, registry, desk, now);
        }
        if self.next_sweep.is_none_or(|at| now < at) {
            return;
        }
        for number in 0..self.connections.len() {
            let idle = self.connections[number].as_ref().is_some_and(|connection| {
                now.saturating_duration_since(connection.active) >= self.settings.tcp_idle
            });
            if idle {
                desk.counters.dropped(DropReason::TcpTimeout, 1);
                self.close(number, registry, desk);
            }
        }
        self.next_sweep = (self.open() > 0).then(|| now + SWEEP_EVERY);
    }

    /// True if no answer waits to be taken or to be made.
    pub(super) fn is_quiet(&self) -> bool {
        self.unfinished.is_empty()
            && self.connections.iter().flatten().all(|connection| connection.out.is_empty())
    }

    fn open(&self) -> usize {
        self.connections.len() - self.free.len()
    }

    fn accept(&mut self, listener: usize, registry: &Registry, desk: &mut Desk, now: Instant) {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some((socket, ipv6)) = self.listeners.get(listener) else { return };
            let ipv6 = *ipv6;
            let mut stream = match socket.accept() {
                Ok((stream, _)) => stream,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => continue,
                    // No descriptor left, most likely.
                    _ if self.open() > 0 => {
                        self.evict(registry, desk);
                        continue;
                    }
                    _ => return,
                },
            };
            if self.open() >= self.settings.tcp_connections_max {
                self.evict(registry, desk);
            }
            let number = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            let token = Token(self.first_token + self.listeners.len() + number);
            // Answers are written whole: waiting for more to send would only delay them.
            let _ = stream.set_nodelay(true);
            if registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE).is_err() {
                self.free.push(number);
                continue;
            }
            self.connections[number] = Some(Connection {
                stream,
                input: Vec::new(),
                out: Vec::new(),
                active: now,
                ended: false,
                readable: true,
                queued: false,
                ipv6,
            });
            self.next_sweep.get_or_insert(now + SWEEP_EVERY);
            desk.counters.set_tcp_connections(self.open() as u64);
            self.serve(number, registry, desk, now);
        }
        // More may wait than one turn takes: the edge has been told, so come back.
        if let Some((socket, _)) = self.listeners.get_mut(listener) {
            let _ = registry.reregister(socket, Token(self.first_token + listener), Interest::READABLE);
        }
    }

    /// Makes room by closing the connection that has been idle for longest (RFC 7766 §6.2.3).
    fn evict(&mut self, registry: &Registry, desk: &mut Desk) {
        let oldest = (0..self.connections.len())
            .filter_map(|number| {
                self.connections[number].as_ref().map(|connection| (connection.active, number))
            })
            .min();
        if let Some((_, number)) = oldest {
            desk.counters.dropped(DropReason::TcpLimit, 1);
            self.close(number, registry, desk);
        }
    }

    fn close(&mut self, number: usize, registry: &Registry, desk: &Desk) {
        if let Some(mut connection) = self.connections.get_mut(number).and_then(Option::take) {
            let _ = registry.deregister(&mut connection.stream);
            self.free.push(number);
            desk.counters.set_tcp_connections(self.open() as u64);
        }
    }

    /// Reads, answers and writes as far as the peer lets it, for one turn.
    fn serve(&mut self, number: usize, registry: &Registry, desk: &mut Desk, now: Instant) {
        let Some(Some(connection)) = self.connections.get_mut(number) else { return };
        let transport = Transport { tcp: true, ipv6: connection.ipv6 };
        let mut answered = 0;
        let mut alive = true;
        while alive && connection.out.len() < WRITE_OCTETS_MAX {
            if answered >= MESSAGES_PER_TURN {
                if !std::mem::replace(&mut connection.queued, true) {
                    self.unfinished.push(number);
                }
                break;
            }
            while answered < MESSAGES_PER_TURN && connection.out.len() < WRITE_OCTETS_MAX {
                let Some(message_len) = connection.next_message() else { break };
                let message = connection.input.get(2..2 + message_len).unwrap_or_default();
                match desk.answer_message(message, &mut self.reply, transport) {
                    Some(len) => {
                        connection.out.extend_from_slice(&(len as u16).to_be_bytes());
                        connection.out.extend_from_slice(self.reply.get(..len).unwrap_or_default());
                    }
                    // Not a query: whoever sends such things is not worth a connection, nor what it says next.
                    None => {
                        alive = false;
                        break;
                    }
                }
                connection.input.drain(..2 + message_len);
                connection.active = now;
                answered += 1;
            }
            if !connection.out.is_empty() {
                alive &= connection.flush(now);
            }
            if !alive || connection.out.len() >= WRITE_OCTETS_MAX || connection.next_message().is_some() {
                continue;
            }
            match connection.fill(&mut self.read) {
                Filled::Some => {}
                Filled::Dry => break,
                Filled::Ended => {
                    alive = !connection.out.is_empty();
                    break;
                }
            }
        }
        if !alive {
            self.close(number, registry, desk);
        }
    }
}

enum Filled {
    /// Octets were read.
    Some,
    /// Nothing now.
    Dry,
    /// Nothing ever again.
    Ended,
}

impl Connection {
    /// Octets of the next whole message, if it has arrived (RFC 1035 §4.2.2).
    fn next_message(&self) -> Option<usize> {
        let len = usize::from(u16::from_be_bytes(*self.input.first_chunk::<2>()?));
        (self.input.len() >= 2 + len).then_some(len)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Filled {
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
    fn flush(&mut self, now: Instant) -> bool {
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
