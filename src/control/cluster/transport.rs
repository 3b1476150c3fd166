//! The machine's datagrams and streams over sockets. Knows nothing of what is in them.

use crate::base::time::Moment;
use crate::gossip::machine::Gossip;
use crate::gossip::output::{DATAGRAM_OCTETS_MAX, Output, StreamId};
use crate::os::udp;
use bytes::Bytes;
use mio::event::Event;
use mio::net::{TcpListener, TcpStream, UdpSocket};
use mio::{Interest, Registry, Token};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

#[cfg(test)]
mod tests;

const UDP: Token = Token(1);
const LISTENER: Token = Token(2);
/// Tokens from here on are streams.
const STREAMS: usize = 16;

/// Datagrams taken in one turn: a few milliseconds' work.
const DATAGRAMS_TURN: usize = 512;
/// Octets read from one stream in one turn.
const READ_TURN: usize = 256 * 1024;
/// Octets that a stream may have waiting to be sent.
const QUEUED_MAX: usize = 256 * 1024;
/// Datagrams that wait because the socket's buffer is full. Beyond it the oldest is dropped: gossip repeats itself.
const DATAGRAMS_WAITING_MAX: usize = 4_096;
/// How long a stream that the machine is done with may take to send what waits.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);
/// Streams that may be about to close: as many as may be open. Beyond it the first to end is cut off.
const CLOSING_MAX: usize = 256;
/// The wait after a connection could not be accepted for want of descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// Octets asked for the socket's receive buffer.
const RECEIVE_BUFFER: usize = 4 << 20;

/// The sockets of the cluster's traffic, bound at the start while the rights are there.
pub struct Ports {
    udp: std::net::UdpSocket,
    tcp: std::net::TcpListener,
}

impl Ports {
    /// Binds both to one port.
    pub fn bind(address: SocketAddr) -> io::Result<Ports> {
        let tcp = std::net::TcpListener::bind(address)?;
        let udp = std::net::UdpSocket::bind(tcp.local_addr()?)?;
        tcp.set_nonblocking(true)?;
        udp.set_nonblocking(true)?;
        // A larger buffer only helps; the kernel may refuse it.
        let _ = udp::set_receive_buffer(udp.as_fd(), RECEIVE_BUFFER);
        udp::forbid_fragments(udp.as_fd(), address.is_ipv6())?;
        Ok(Ports { udp, tcp })
    }

    /// Where.
    pub fn address(&self) -> SocketAddr {
        self.udp.local_addr().unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)))
    }
}

struct Open {
    udp: UdpSocket,
    tcp: TcpListener,
}

struct Stream {
    tcp: TcpStream,
    connected: bool,
    /// True until the socket said that it would block; the same of writing.
    readable: bool,
    writable: bool,
    waiting: VecDeque<Bytes>,
    /// Of the first of those, octets already sent.
    sent: usize,
    queued: usize,
    /// The machine is done with it; what is not sent until then is not sent.
    closing: Option<Moment>,
}

/// All sockets of the cluster.
pub(super) struct Transport {
    open: Option<Open>,
    readable: bool,
    writable: bool,
    acceptable: bool,
    /// When accepting is tried again, though nobody said that somebody waits.
    accept_at: Moment,
    datagrams: VecDeque<(SocketAddr, Bytes)>,
    streams: BTreeMap<StreamId, Stream>,
    /// Streams to be opened.
    opening: Vec<(StreamId, SocketAddr)>,
    buffer: Vec<u8>,
    shrink: bool,
    /// Datagrams for which there was no room to wait.
    overflowed: u64,
    /// Datagrams larger than any member sends.
    oversize: u64,
}

fn token(id: StreamId) -> Token {
    Token(STREAMS + id.0 as usize)
}

impl Transport {
    pub(super) fn new(ports: Option<Ports>, registry: &Registry) -> io::Result<Transport> {
        let open = match ports {
            Some(Ports { udp, tcp }) => {
                let (mut udp, mut tcp) = (UdpSocket::from_std(udp), TcpListener::from_std(tcp));
                registry.register(&mut udp, UDP, Interest::READABLE | Interest::WRITABLE)?;
                registry.register(&mut tcp, LISTENER, Interest::READABLE)?;
                Some(Open { udp, tcp })
            }
            None => None,
        };
        Ok(Transport {
            open,
            readable: true,
            writable: true,
            acceptable: true,
            accept_at: Moment::NEVER,
            datagrams: VecDeque::new(),
            streams: BTreeMap::new(),
            opening: Vec::new(),
            buffer: vec![0; 64 * 1024],
            shrink: false,
            overflowed: 0,
            oversize: 0,
        })
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Datagrams that were never sent because too many waited.
    pub(super) fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// Datagrams received and thrown away because they were too large.
    pub(super) fn oversize(&self) -> u64 {
        self.oversize
    }

    /// When something is due, though no socket is ready.
    pub(super) fn next_wake(&self) -> Moment {
        let closing = self.streams.values().filter_map(|stream| stream.closing);
        closing.fold(self.accept_at, Moment::min)
    }

    /// True if a turn ended before the sockets were dry, or with something to send that they would take.
    pub(super) fn has_more(&self) -> bool {
        let outgoing = !self.opening.is_empty() || self.writable && !self.datagrams.is_empty();
        let streams = self.streams.values().any(Stream::has_more);
        self.open.is_some() && (self.readable || self.acceptable || outgoing || streams)
    }

    /// Takes note of what is ready.
    pub(super) fn note(&mut self, event: &Event, gossip: &mut Gossip, now: Moment) {
        match event.token() {
            UDP => {
                self.readable |= event.is_readable();
                self.writable |= event.is_writable();
            }
            LISTENER => self.acceptable = true,
            Token(number) => {
                let id = StreamId(number.saturating_sub(STREAMS) as u64);
                let Some(stream) = self.streams.get_mut(&id) else { return };
                stream.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
                stream.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
                if event.is_writable() && !stream.connected {
                    match (stream.tcp.take_error(), stream.tcp.peer_addr()) {
                        (Ok(None), Ok(_)) => {
                            stream.connected = true;
                            gossip.stream_opened(now, id);
                            gossip.stream_writable(now, id, QUEUED_MAX);
                        }
                        (Ok(None), Err(error)) if error.kind() == ErrorKind::NotConnected => {}
                        _ => {
                            self.streams.remove(&id);
                            gossip.stream_closed(now, id);
                        }
                    }
                }
            }
        }
    }

    /// Takes what came.
    pub(super) fn receive(&mut self, now: Moment, gossip: &mut Gossip, registry: &Registry) {
        if std::mem::take(&mut self.shrink) {
            gossip.shrink_datagrams();
        }
        let Some(open) = &self.open else { return };
        let mut taken = 0;
        while self.readable && taken < DATAGRAMS_TURN {
            taken += 1;
            match open.udp.recv_from(&mut self.buffer) {
                Ok((len, from)) if len <= DATAGRAM_OCTETS_MAX => {
                    gossip.handle_datagram(now, unmapped(from), &mut self.buffer[..len]);
                }
                Ok(_) => self.oversize += 1,
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                // Of an earlier datagram that found nobody (ICMP): nothing to be done.
                Err(_) => {}
            }
        }
        if self.accept_at <= now {
            (self.acceptable, self.accept_at) = (true, Moment::NEVER);
        }
        while self.acceptable {
            match open.tcp.accept() {
                Ok((mut tcp, from)) => {
                    let Some(id) = gossip.accept(now, unmapped(from)) else { continue };
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    if registry.register(&mut tcp, token(id), interest).is_err() {
                        gossip.stream_closed(now, id);
                        continue;
                    }
                    // Small frames should not wait for large ones.
                    let _ = tcp.set_nodelay(true);
                    self.streams.insert(id, Stream::new(tcp, true));
                    gossip.stream_writable(now, id, QUEUED_MAX);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.acceptable = false,
                Err(error)
                    if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                // Out of descriptors, most likely. Who waits already is told of by no event.
                Err(_) => (self.acceptable, self.accept_at) = (false, now + ACCEPT_AGAIN),
            }
        }
        let ids: Vec<StreamId> = self.streams.keys().copied().collect();
        for id in ids {
            self.read(now, id, gossip);
        }
        self.streams.retain(|_, stream| stream.closing.is_none_or(|until| until > now));
    }

    fn read(&mut self, now: Moment, id: StreamId, gossip: &mut Gossip) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if !stream.connected {
            return;
        }
        let (mut read, mut over) = (0, false);
        while stream.readable && read < READ_TURN && !over {
            match stream.tcp.read(&mut self.buffer) {
                Ok(0) => over = true,
                Ok(len) => {
                    read += len;
                    if stream.closing.is_none() {
                        gossip.stream_received(now, id, &self.buffer[..len]);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => stream.readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => over = true,
            }
        }
        if over {
            self.streams.remove(&id);
            gossip.stream_closed(now, id);
        }
    }

    /// Takes an order of the machine's; [`Transport::flush`] carries it out.
    pub(super) fn obey(&mut self, now: Moment, output: Output) {
        if self.open.is_none() {
            return;
        }
        match output {
            Output::Datagram { to, octets } => {
                if self.datagrams.len() >= DATAGRAMS_WAITING_MAX {
                    self.datagrams.pop_front();
                    self.overflowed += 1;
                }
                self.datagrams.push_back((to, octets));
            }
            Output::Open { stream, to } => self.opening.push((stream, to)),
            Output::Write { stream, octets } => {
                if let Some(stream) = self.streams.get_mut(&stream) {
                    stream.queued += octets.len();
                    stream.waiting.push_back(octets);
                }
            }
            Output::Close { stream } => {
                if let Some(stream) = self.streams.get_mut(&stream) {
                    stream.closing = Some(now + CLOSE_WITHIN);
                    self.bound_closing();
                }
            }
            Output::Event(_) | Output::Wake(_) => {}
        }
    }

    /// Cuts off whoever is about to close for longest, if too many are.
    fn bound_closing(&mut self) {
        let closing = self.streams.iter().filter_map(|(id, stream)| Some((stream.closing?, *id)));
        let closing: Vec<(Moment, StreamId)> = closing.collect();
        if closing.len() > CLOSING_MAX
            && let Some((_, first)) = closing.iter().min()
        {
            self.streams.remove(first);
        }
    }

    /// Sends what is to be sent, as far as the sockets take it.
    pub(super) fn flush(&mut self, now: Moment, gossip: &mut Gossip, registry: &Registry) {
        let Some(open) = &self.open else { return };
        while let Some((to, octets)) = self.datagrams.front() {
            match open.udp.send_to(octets, *to) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.writable = false;
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if is_too_large(&error) => self.shrink = true,
                // Unreachable, refused: what membership is for.
                Ok(_) | Err(_) => {}
            }
            self.datagrams.pop_front();
        }
        for (id, to) in std::mem::take(&mut self.opening) {
            let interest = Interest::READABLE | Interest::WRITABLE;
            let opened = TcpStream::connect(to).and_then(|mut tcp| {
                registry.register(&mut tcp, token(id), interest)?;
                let _ = tcp.set_nodelay(true);
                Ok(tcp)
            });
            match opened {
                Ok(tcp) => {
                    self.streams.insert(id, Stream::new(tcp, false));
                }
                Err(_) => gossip.stream_closed(now, id),
            }
        }
        let ids: Vec<StreamId> = self.streams.keys().copied().collect();
        for id in ids {
            self.write(now, id, gossip);
        }
    }

    fn write(&mut self, now: Moment, id: StreamId, gossip: &mut Gossip) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if !stream.connected {
            if stream.closing.is_some() {
                self.streams.remove(&id);
            }
            return;
        }
        let before = stream.queued;
        let broken = !stream.write();
        let (queued, closing) = (stream.queued, stream.closing.is_some());
        if broken || closing && queued == 0 {
            self.streams.remove(&id);
            gossip.stream_closed(now, id);
        } else if queued < before && !closing {
            gossip.stream_writable(now, id, QUEUED_MAX - queued.min(QUEUED_MAX));
        }
    }
}

impl Stream {
    fn new(tcp: TcpStream, connected: bool) -> Stream {
        Stream {
            tcp,
            connected,
            readable: true,
            writable: true,
            waiting: VecDeque::new(),
            sent: 0,
            queued: 0,
            closing: None,
        }
    }

    /// True if the socket has, or would take, more.
    fn has_more(&self) -> bool {
        let outgoing = self.queued > 0 || self.closing.is_some();
        self.connected && (self.readable || self.writable && outgoing)
    }

    /// Sends as much as the socket takes; false if it is broken.
    fn write(&mut self) -> bool {
        while let Some(octets) = self.waiting.front() {
            match self.tcp.write(&octets[self.sent..]) {
                Ok(len) => {
                    self.sent += len;
                    self.queued -= len;
                    if self.sent == octets.len() {
                        self.sent = 0;
                        self.waiting.pop_front();
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.writable = false;
                    return true;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }
}

/// EMSGSIZE has no kind of its own.
fn is_too_large(error: &io::Error) -> bool {
    error.raw_os_error() == Some(udp::TOO_LARGE)
}

/// A socket of both families shows IPv4 senders as IPv6 addresses; members are known by their own.
fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
