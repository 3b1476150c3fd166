//! Replies that leave later than the batch in which they were asked for.

use super::{BATCH, Batch, Control, DATAGRAM_OCTETS_MAX, Replies, Sent};
use super::{address_of, control_len, forget_interface};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::BorrowedFd;

/// Who asked: where the reply goes, and from which local address.
#[derive(Clone, Copy)]
pub struct Asker {
    address: libc::sockaddr_in6,
    address_len: libc::socklen_t,
    control: Control,
    /// 0: the socket has one address.
    control_len: u8,
}

impl Asker {
    /// Whence the question came.
    pub fn source(&self) -> SocketAddr {
        address_of(&self.address)
    }
}

impl Replies<'_> {
    /// Whence the datagram in slot `i` came, counted modulo [`BATCH`]; IPv4 as mapped (RFC 4291 §2.5.5.2), so that two
    /// sources are compared in a few instructions.
    #[inline]
    pub fn source(&self, i: usize) -> Ipv6Addr {
        match address_of(&self.ways.addresses[i % BATCH]).ip() {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        }
    }

    /// Who sent the datagram in slot `i`, counted modulo [`BATCH`].
    pub fn asker(&self, i: usize) -> Asker {
        let i = i % BATCH;
        let (header, mut control) = (&self.received[i].msg_hdr, self.ways.controls[i]);
        let control_len = if self.ways.are_local { control_len(header) } else { 0 };
        forget_interface(&mut control, control_len.into());
        Asker { address: self.ways.addresses[i], address_len: header.msg_namelen, control, control_len }
    }
}

/// Replies of one socket that wait to be sent together.
pub struct Late(Batch);

impl Late {
    /// Allocates room for [`BATCH`] replies.
    pub fn new() -> Late {
        Late(Batch::new(false))
    }

    /// True if no reply waits.
    pub fn is_empty(&self) -> bool {
        self.0.messages.outbox.len() == 0
    }

    /// True if there is no room for another reply.
    pub fn is_full(&self) -> bool {
        self.0.messages.outbox.len() == BATCH
    }

    /// Adds a reply of at most [`DATAGRAM_OCTETS_MAX`]; what is longer, or one too many, is left out, and false.
    pub fn push(&mut self, asker: &Asker, reply: &[u8]) -> bool {
        let Batch { replies, ways, messages, .. } = &mut self.0;
        let i = messages.outbox.len();
        if i >= BATCH || reply.len() > DATAGRAM_OCTETS_MAX {
            return false;
        }
        replies[i][..reply.len()].copy_from_slice(reply);
        (ways.addresses[i], ways.controls[i]) = (asker.address, asker.control);
        ways.control_lens[i] = asker.control_len;
        // The socket has one address or several, and is of one family.
        ways.are_local |= asker.control_len > 0;
        messages.set_address_len(asker.address_len);
        if i == 0 {
            messages.outbox.begin(ways);
        }
        messages.outbox.note(i, reply.len(), ways);
        true
    }

    /// Sends what waits; see [`Batch::send`].
    pub fn send(&mut self, socket: BorrowedFd<'_>) -> Sent {
        self.0.send(socket)
    }
}

impl Default for Late {
    fn default() -> Late {
        Late::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::udp::want_local_addresses;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::time::Duration;

    #[test]
    fn late_replies_find_their_askers_and_leave_from_the_address_asked() {
        let server = UdpSocket::bind("0.0.0.0:0").unwrap();
        want_local_addresses(server.as_fd(), false).unwrap();
        let port = server.local_addr().unwrap().port();
        let clients: Vec<UdpSocket> = (0..3).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        let (mut batch, mut late) = (Batch::new(true), Late::new());
        for (i, client) in clients.iter().enumerate() {
            client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            client.send_to(&[i as u8], (format!("127.0.0.{}", i + 1).as_str(), port)).unwrap();
        }
        assert_eq!(batch.receive(server.as_fd()).unwrap(), clients.len());
        let (_, replies) = batch.split();
        let askers: Vec<Asker> = (0..clients.len()).map(|i| replies.asker(i)).collect();
        // What the batch receives meanwhile changes nothing.
        clients[0].send_to(b"x", ("127.0.0.9", port)).unwrap();
        assert_eq!(batch.receive(server.as_fd()).unwrap(), 1);
        for (i, asker) in askers.iter().enumerate().rev() {
            assert_eq!(asker.source(), clients[i].local_addr().unwrap());
            assert!(late.push(asker, &[7, i as u8]));
        }
        assert!(!late.push(&askers[0], &[0; DATAGRAM_OCTETS_MAX + 1]));
        assert_eq!(late.send(server.as_fd()), Sent { sent: 3, dropped: 0 });
        assert!(late.is_empty());
        for (i, client) in clients.iter().enumerate() {
            let mut octets = [0; 16];
            let (len, source) = client.recv_from(&mut octets).unwrap();
            assert_eq!(
                (&octets[..len], source.to_string()),
                (&[7, i as u8][..], format!("127.0.0.{}:{port}", i + 1))
            );
        }
    }

    #[test]
    fn no_more_replies_wait_than_there_is_room_for() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (mut batch, mut late) = (Batch::new(false), Late::new());
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"q", server.local_addr().unwrap()).unwrap();
        batch.receive(server.as_fd()).unwrap();
        let asker = batch.split().1.asker(0);
        assert!((0..BATCH).all(|_| late.push(&asker, b"r")));
        assert!(late.is_full() && !late.push(&asker, b"r"));
    }
}
