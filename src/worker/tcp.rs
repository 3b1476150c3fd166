//! The TCP side of a worker (RFC 7766): pipelined queries, answered in the order they come, which for a server
//! that never waits is also the order they are ready.
//!
//! ```text
//! accepted ─► reading ─► a whole message: answer, append to `out` ─► written ─► reading ...
//!                │                                        └─ the peer does not take it: reading stops
//!                └─ idle or slow for too long, malformed length, peer gone ─► closed
//! ```
//!
//! What the poll tells of connections only puts them into a queue; in each turn of the worker's loop, after UDP,
//! the first of them are served, some messages each.

mod connection;

use crate::answer::{Elsewhere, Outcome, Verdict};
use crate::base::limits::MESSAGE_OCTETS_MAX;
use crate::base::metrics::{DropReason, Transport};
use crate::os::listen;
use crate::worker::exchange::Done;
use crate::worker::resolver::Back;
use crate::worker::tcp::connection::{Connection, Filled};
use crate::worker::{Desk, Resolving, Said, Settings};
use mio::net::TcpListener;
use mio::{Interest, Registry, Token};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Octets read at once. A connection holds so many and the part of a message before them.
const READ_OCTETS: usize = 16 << 10;
/// Octets that wait to be taken beyond which a connection's queries are left unread: one answer of the largest. So it
/// holds two at most.
const WRITE_OCTETS_MAX: usize = MESSAGE_OCTETS_MAX + 2;
/// Answers that a connection waits for beyond which its queries are left unread, too: each may be one of the largest.
pub(super) const WAITING_MAX: usize = 64;
/// Connections accepted in one turn, so that a flood of them does not starve UDP.
const ACCEPTS_PER_TURN: usize = 64;
/// Messages answered in one turn of the loop, of all connections together, for the same reason: a millisecond's work. A
/// connection that had nothing to answer counts as one.
const MESSAGES_PER_TURN: usize = 128;
/// Messages answered from one connection before the others get their turn.
const MESSAGES_AT_ONCE: usize = 16;
/// Transfers of one worker at once: each holds its snapshot, so that a bound on them is one on old zones in memory.
const TRANSFERS_MAX: usize = 64;
/// How often connections are looked over for those that are idle.
const SWEEP_EVERY: Duration = Duration::from_millis(250);

/// A connection, and no later one in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ConnectionId {
    number: usize,
    turn: u64,
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
    /// Connections on which something may be done, in the order of their turns. A place that was given to another
    /// connection meanwhile may stand in it twice.
    queue: VecDeque<usize>,
    /// Connections accepted so far.
    turns: u64,
    /// Connections on which a zone is on its way.
    transfers: usize,
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
            queue: VecDeque::new(),
            turns: 0,
            transfers: 0,
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
                    if readable || (writable && !connection.out.is_empty()) {
                        self.enqueue(number);
                    }
                }
            }
        }
    }

    fn enqueue(&mut self, number: usize) {
        if let Some(Some(connection)) = self.connections.get_mut(number)
            && !std::mem::replace(&mut connection.queued, true)
        {
            self.queue.push_back(number);
        }
    }

    /// When `poll` must return at the latest.
    pub(super) fn next_sweep(&self, now: Instant) -> Option<Duration> {
        if !self.queue.is_empty() {
            return Some(Duration::ZERO);
        }
        self.next_sweep.map(|at| at.saturating_duration_since(now))
    }

    /// Serves connections in turn, as many as one turn of the loop has time for, and closes idle ones when it is time.
    pub(super) fn turn(
        &mut self,
        registry: &Registry,
        desk: &mut Desk,
        resolver: &mut Resolving,
        now: Instant,
    ) {
        let mut left = MESSAGES_PER_TURN;
        while left > 0 {
            let Some(number) = self.queue.pop_front() else { break };
            left = left.saturating_sub(self.serve(number, registry, desk, resolver, now).max(1));
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

    /// Gives a connection an answer that it had to wait for.
    pub(super) fn reply_late(&mut self, id: ConnectionId, reply: &[u8], now: Instant) {
        let Some(connection) = self.waiting(id) else { return };
        connection.waiting -= 1;
        connection.append(reply);
        connection.active = now;
        // Written in its turn.
        self.enqueue(id.number);
    }

    /// There will be no answer to one of a connection's queries.
    pub(super) fn forget(&mut self, id: ConnectionId) {
        if let Some(connection) = self.waiting(id) {
            connection.waiting -= 1;
            self.enqueue(id.number);
        }
    }

    /// The connection, if it is still there and waits.
    fn waiting(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let connection = self.connections.get_mut(id.number)?.as_mut()?;
        (connection.turn == id.turn && connection.waiting > 0).then_some(connection)
    }

    /// True if no answer waits to be taken or to be made.
    pub(super) fn is_quiet(&self) -> bool {
        let mut connections = self.connections.iter().flatten();
        self.queue.is_empty()
            && connections.all(|connection| connection.out.is_empty() && connection.transfer.is_none())
    }

    fn open(&self) -> usize {
        self.connections.len() - self.free.len()
    }

    fn accept(&mut self, listener: usize, registry: &Registry, desk: &mut Desk, now: Instant) {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some((socket, ipv6)) = self.listeners.get(listener) else { return };
            let ipv6 = *ipv6;
            let (mut stream, peer) = match socket.accept() {
                Ok((stream, peer)) => (stream, peer.ip()),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory => return,
                    _ if listen::is_out_of_descriptors(&error) => {
                        if self.open() == 0 {
                            return;
                        }
                        self.evict(registry, desk);
                        continue;
                    }
                    // Of that connection alone, which is gone again (accept(2)).
                    _ => continue,
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
            self.turns += 1;
            self.connections[number] = Some(Connection {
                stream,
                peer,
                turn: self.turns,
                waiting: 0,
                transfer: None,
                input: Vec::new(),
                taken: 0,
                out: Vec::new(),
                active: now,
                ended: false,
                readable: true,
                queued: false,
                ipv6,
            });
            self.next_sweep.get_or_insert(now + SWEEP_EVERY);
            desk.counters.set_tcp_connections(self.open() as u64);
            self.enqueue(number);
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
            self.transfers -= usize::from(connection.transfer.is_some());
            self.free.push(number);
            desk.counters.set_tcp_connections(self.open() as u64);
        }
    }

    /// Reads, answers and writes as far as the peer lets it, for one turn; how many messages were answered.
    fn serve(
        &mut self,
        number: usize,
        registry: &Registry,
        desk: &mut Desk,
        resolver: &mut Resolving,
        now: Instant,
    ) -> usize {
        let transfers = self.transfers;
        let Some(Some(connection)) = self.connections.get_mut(number) else { return 0 };
        connection.queued = false;
        let had_transfer = connection.transfer.is_some();
        let transport = Transport { tcp: true, ipv6: connection.ipv6 };
        let mut answered = 0;
        let mut alive = connection.out.is_empty() || connection.flush(now);
        while alive && connection.has_room() {
            if answered >= MESSAGES_AT_ONCE {
                connection.queued = true;
                self.queue.push_back(number);
                break;
            }
            while answered < MESSAGES_AT_ONCE && connection.has_room() {
                if connection.transfer.is_some() {
                    alive = connection.transfer_on(&mut self.reply);
                    answered += 1;
                    if !alive {
                        break;
                    }
                    continue;
                }
                let Some(message) = connection.next_message() else { break };
                let octets = message.len();
                let back = Back::Tcp {
                    connection: ConnectionId { number, turn: connection.turn },
                    peer: connection.peer,
                };
                match answer(message, back, &mut self.reply, transport, desk, resolver) {
                    Said::Reply(len) => connection.append(self.reply.get(..len).unwrap_or_default()),
                    Said::Later => connection.waiting += 1,
                    Said::Stream(outgoing) if transfers < TRANSFERS_MAX => {
                        connection.transfer = Some(outgoing);
                    }
                    // Whoever wants it comes again.
                    Said::Stream(_) => {
                        desk.counters.dropped(DropReason::TcpLimit, 1);
                        alive = false;
                        break;
                    }
                    // Not a query: whoever sends such things is not worth a connection, nor what it says next.
                    Said::Nothing => {
                        alive = false;
                        break;
                    }
                }
                connection.taken += 2 + octets;
                connection.active = now;
                answered += 1;
            }
            if !connection.out.is_empty() {
                alive &= connection.flush(now);
            }
            let is_waiting = !connection.has_room()
                || connection.transfer.is_some()
                || connection.next_message().is_some();
            if !alive || is_waiting {
                continue;
            }
            match connection.fill(&mut self.read) {
                Filled::Some => {}
                Filled::Dry => break,
                Filled::Ended => {
                    alive = !connection.out.is_empty() || connection.waiting > 0;
                    break;
                }
            }
        }
        let has_transfer = connection.transfer.is_some();
        self.transfers = transfers + usize::from(has_transfer) - usize::from(had_transfer);
        if alive {
            connection.give_back();
        } else {
            self.close(number, registry, desk);
        }
        answered
    }
}

/// Answers one message; names are resolved for who may have that.
fn answer(
    message: &[u8],
    back: Back,
    buffer: &mut [u8],
    transport: Transport,
    desk: &mut Desk,
    resolver: &mut Resolving,
) -> Said {
    let bounds = (Some(buffer.len()), transport, back.client());
    let counters = Arc::clone(&desk.counters);
    let mut resolver = resolver.as_mut().filter(|resolver| resolver.is_client(back.client()));
    let mut finder = resolver.as_mut().map(|resolver| resolver.finder(&counters, desk.now));
    let outcome =
        desk.answer_anew(message, bounds, buffer, finder.as_mut().map(|finder| finder as &mut dyn Elsewhere));
    let refresh = finder.is_some_and(|finder| finder.refresh);
    let verdict = outcome.map(|outcome| outcome.verdict);
    match (verdict, resolver) {
        (Some(Verdict::Reply(len)), resolver) => {
            if let Some(resolver) = resolver.filter(|_| refresh) {
                resolver.refresh();
            }
            Said::Reply(len)
        }
        (Some(Verdict::Forward), Some(resolver)) => {
            resolver.wait(desk.now, message, back);
            Said::Later
        }
        (Some(Verdict::Transfer), _) => match desk.answer_special(message, back, transport, buffer) {
            Some(Done::Reply(Outcome { verdict: Verdict::Reply(len), .. })) => Said::Reply(len),
            Some(Done::Stream(outgoing)) => Said::Stream(outgoing),
            Some(Done::Later) => Said::Later,
            Some(Done::Reply(_) | Done::Nothing) | None => Said::Nothing,
        },
        (Some(Verdict::Forward | Verdict::Drop) | None, _) => Said::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::connection::KEPT_OCTETS;
    use super::*;
    use crate::answer::Scratch;
    use crate::base::metrics::WorkerCounters;
    use crate::base::time::Moment;
    use crate::catalog::published::Publisher;
    use crate::catalog::snapshot::ZoneNumber;
    use crate::catalog::state::State;
    use crate::os::clock;
    use crate::wire::key::{HashSeed, NameKey};
    use mio::{Events, Poll};
    use std::io::{Read, Write};

    /// `z. A`, which is refused: no zone is served.
    const QUERY: &[u8] = b"\0\x13\0\x01\0\0\0\x01\0\0\0\0\0\0\x01z\0\0\x01\0\x01";
    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn pipelining_connections_share_a_turn_and_leave_the_rest_of_it_to_udp() {
        const PEERS: usize = 40;
        const EACH: usize = 100;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let mut poll = Poll::new().unwrap();
        let settings = Settings { udp_payload_max: 1232, tcp_idle: PATIENCE, tcp_connections_max: PEERS };
        let mut tcp = Connections::new(vec![listener], poll.registry(), settings, 0).unwrap();
        let snapshot = State::new(HashSeed::new([1; 16]), 4).snapshot(Moment::START);
        let counters = Arc::new(WorkerCounters::default());
        let mut desk = Desk {
            reader: Publisher::new(snapshot).published().reader(),
            scratch: Box::<(NameKey, Scratch)>::default(),
            counters: Arc::clone(&counters),
            exchange: crate::worker::Exchange::default(),
            settings,
            guess: ZoneNumber::default(),
            now: Moment::START,
            asked: 0,
        };
        let mut peers: Vec<std::net::TcpStream> = Vec::new();
        for _ in 0..PEERS {
            let mut peer = std::net::TcpStream::connect(address).unwrap();
            peer.write_all(&QUERY.repeat(EACH)).unwrap();
            peer.set_read_timeout(Some(PATIENCE)).unwrap();
            peers.push(peer);
        }
        let mut events = Events::with_capacity(256);
        let mut turns = 0;
        while counters.queries() < (PEERS * EACH) as u64 {
            poll.poll(&mut events, tcp.next_sweep(clock::now()).or(Some(PATIENCE))).unwrap();
            for event in &events {
                let (readable, writable) = (event.is_readable(), event.is_writable());
                tcp.handle(event.token(), readable, writable, poll.registry(), &mut desk, clock::now());
            }
            let before = counters.queries();
            tcp.turn(poll.registry(), &mut desk, &mut None, clock::now());
            let answered = (counters.queries() - before) as usize;
            assert!(answered < MESSAGES_PER_TURN + MESSAGES_AT_ONCE, "{answered} in one turn");
            turns += 1;
            if turns == PEERS * MESSAGES_AT_ONCE / MESSAGES_PER_TURN {
                let waiting = tcp.connections.iter().flatten().filter(|peer| peer.taken == 0).count();
                assert_eq!(waiting, 0, "connections without an answer after one round");
            }
        }
        for peer in &mut peers {
            let mut answers = vec![0; EACH * QUERY.len()];
            peer.read_exact(&mut answers).unwrap();
            assert!(answers.chunks(QUERY.len()).all(|answer| answer[..4] == [0, 0x13, 0, 1]));
        }
        tcp.turn(poll.registry(), &mut desk, &mut None, clock::now());
        assert!(tcp.connections.iter().flatten().all(|peer| peer.input.capacity() <= KEPT_OCTETS));
    }
}
