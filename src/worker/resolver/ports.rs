//! The sockets through which a worker asks upstream servers, each on a port of its own, picked by lot: who wants to
//! answer in an upstream's place has to guess it (RFC 5452 §9.2).

use crate::os::entropy;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

/// Tokens of these sockets begin here: no worker has so many others.
const FIRST_TOKEN: usize = 1 << 32;
/// The lowest port: below are those of services; so 55,296 are left to guess from.
const PORT_MIN: u16 = 10_240;
/// Ports tried before the system picks one: one in a few is taken on the busiest of machines.
const TRIES: usize = 8;
/// Random numbers drawn at once.
const DRAWN: usize = 64;

/// One socket for each family, opened when it is first needed.
#[derive(Default)]
struct Slot {
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
}

/// All slots of a worker.
pub(super) struct Ports {
    slots: Vec<Slot>,
    drawn: Vec<u16>,
}

impl Ports {
    pub(super) fn new(slots: u16) -> Ports {
        Ports { slots: (0..slots).map(|_| Slot::default()).collect(), drawn: Vec::with_capacity(DRAWN) }
    }

    /// True if the event is of one of these sockets.
    pub(super) fn is_own(token: Token) -> bool {
        (FIRST_TOKEN..usize::MAX).contains(&token.0)
    }

    /// The slot of a token and whether its socket is the one of IPv6.
    fn of(token: Token) -> (u16, bool) {
        let number = token.0 - FIRST_TOKEN;
        ((number / 2) as u16, number % 2 == 1)
    }

    /// Sends from a slot. An error: nothing was sent, for want of a way there, say.
    pub(super) fn send(
        &mut self,
        slot: u16,
        to: SocketAddr,
        octets: &[u8],
        registry: &Registry,
    ) -> io::Result<()> {
        let is_open = self.socket(slot, to.is_ipv6()).is_some();
        if !is_open {
            self.open(slot, to.is_ipv6(), registry)?;
        }
        match self.socket(slot, to.is_ipv6()) {
            Some(socket) => socket.send_to(octets, to).map(|_| ()),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn socket(&self, slot: u16, ipv6: bool) -> Option<&UdpSocket> {
        let slot = self.slots.get(usize::from(slot))?;
        if ipv6 { slot.v6.as_ref() } else { slot.v4.as_ref() }
    }

    fn open(&mut self, slot: u16, ipv6: bool, registry: &Registry) -> io::Result<()> {
        let socket = self.bind(ipv6)?;
        socket.set_nonblocking(true)?;
        let token = Token(FIRST_TOKEN + 2 * usize::from(slot) + usize::from(ipv6));
        registry.register(&mut SourceFd(&socket.as_raw_fd()), token, Interest::READABLE)?;
        if let Some(slot) = self.slots.get_mut(usize::from(slot)) {
            *(if ipv6 { &mut slot.v6 } else { &mut slot.v4 }) = Some(socket);
        }
        Ok(())
    }

    fn bind(&mut self, ipv6: bool) -> io::Result<UdpSocket> {
        let any: IpAddr = if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        for _ in 0..TRIES {
            let port = self.draw()?;
            if port >= PORT_MIN
                && let Ok(socket) = UdpSocket::bind((any, port))
            {
                return Ok(socket);
            }
        }
        UdpSocket::bind((any, 0))
    }

    fn draw(&mut self) -> io::Result<u16> {
        if self.drawn.is_empty() {
            let octets = entropy::random::<{ 2 * DRAWN }>()?;
            self.drawn.extend(octets.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair)));
        }
        Ok(self.drawn.pop().unwrap_or_default())
    }

    /// Receives one message of a socket; its slot, whence it came and its octets. `None` if there is none.
    pub(super) fn receive<'b>(
        &self,
        token: Token,
        buffer: &'b mut [u8],
    ) -> Option<(u16, SocketAddr, &'b [u8])> {
        let (slot, ipv6) = Ports::of(token);
        let socket = self.socket(slot, ipv6)?;
        loop {
            match socket.recv_from(buffer) {
                Ok((len, from)) => return Some((slot, from, buffer.get(..len).unwrap_or_default())),
                // ICMP of an earlier message, which says nothing that a timeout does not.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if is_of_the_socket(&error) => return None,
                Err(_) => {}
            }
        }
    }

    /// Closes the sockets of a slot: the next message leaves from new ports.
    pub(super) fn renew(&mut self, slot: u16) {
        if let Some(slot) = self.slots.get_mut(usize::from(slot)) {
            // Closing takes a socket out of the poll.
            *slot = Slot::default();
        }
    }
}

/// True for errors that stay until the socket is closed.
fn is_of_the_socket(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::Interrupted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll};
    use std::collections::BTreeSet;
    use std::time::Duration;

    #[test]
    fn each_slot_asks_from_a_port_of_its_own_and_from_another_one_once_it_is_renewed() {
        let mut poll = Poll::new().unwrap();
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let to = server.local_addr().unwrap();
        let mut ports = Ports::new(50);
        let mut seen = BTreeSet::new();
        for _ in 0..2 {
            for slot in 0..50 {
                ports.send(slot, to, b"q", poll.registry()).unwrap();
                let (_, from) = server.recv_from(&mut [0; 8]).unwrap();
                seen.insert(from.port());
                if slot > 0 {
                    ports.renew(slot);
                }
            }
        }
        // Slot 0 keeps its port; chance may give a port twice.
        assert!((95..=99).contains(&seen.len()), "{}", seen.len());
        assert!(seen.last().unwrap() - seen.first().unwrap() > 28_000);
        // An answer is told with its slot.
        ports.send(7, to, b"q", poll.registry()).unwrap();
        let (_, from) = server.recv_from(&mut [0; 8]).unwrap();
        server.send_to(b"answer", ("127.0.0.1", from.port())).unwrap();
        let mut events = Events::with_capacity(8);
        poll.poll(&mut events, Some(Duration::from_secs(5))).unwrap();
        let token = events.iter().next().unwrap().token();
        assert!(Ports::is_own(token));
        let mut buffer = [0; 64];
        assert_eq!(ports.receive(token, &mut buffer), Some((7, to, &b"answer"[..])));
        assert_eq!(ports.receive(token, &mut buffer), None);
    }
}
