//! Many datagrams per system call: recvmmsg(2) and sendmmsg(2). The only unsafe module of the tools.
//!
//! A [`Batch`] is a fixed number of slots, each a buffer, a length and (where asked for) a peer's address.
//! What is received can be changed in place and sent back from the same slots, as a server does.
//!
//! Why not safe code: neither std nor mio nor socket2 offers the batched calls. The kernel's structures are
//! rebuilt before each call from safe vectors, so no pointer outlives the call it was made for.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Slots for datagrams that travel together.
pub(crate) struct Batch {
    /// Octets per slot.
    capacity: usize,
    /// All slots end to end.
    octets: Vec<u8>,
    /// How long the datagram in each slot is; at most `capacity`.
    lengths: Vec<usize>,
    /// Whether peers' addresses are kept, for unconnected sockets.
    addressed: bool,
    addresses: Vec<libc::sockaddr_storage>,
    address_lengths: Vec<libc::socklen_t>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    /// Control data of messages with several datagrams.
    segments: Vec<Segment>,
}

impl Batch {
    /// That many slots of `capacity` octets; `addressed` if each shall remember whom it came from.
    pub(crate) fn new(slots: usize, capacity: usize, addressed: bool) -> Batch {
        // SAFETY: iovec, mmsghdr and sockaddr_storage are plain C structures of integers and pointers, for
        // which all-zero octets are a value. libc offers no other constructor for their private padding.
        let (address, vector, header) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed()) };
        Batch {
            capacity,
            octets: vec![0; slots * capacity],
            lengths: vec![0; slots],
            addressed,
            addresses: vec![address; slots],
            address_lengths: vec![0; slots],
            vectors: vec![vector; slots],
            headers: vec![header; slots],
            segments: vec![Segment::of(0); slots],
        }
    }

    /// How many slots there are.
    pub(crate) fn slots(&self) -> usize {
        self.lengths.len()
    }

    /// The datagram in a slot.
    #[inline]
    pub(crate) fn datagram(&self, slot: usize) -> &[u8] {
        &self.octets[slot * self.capacity..][..self.lengths[slot]]
    }

    /// The datagram in a slot, to be changed in place.
    #[inline]
    pub(crate) fn datagram_mut(&mut self, slot: usize) -> &mut [u8] {
        &mut self.octets[slot * self.capacity..][..self.lengths[slot]]
    }

    /// Puts a datagram into a slot, cut to the slot's capacity.
    #[inline]
    pub(crate) fn put(&mut self, slot: usize, datagram: &[u8]) -> &mut [u8] {
        let length = datagram.len().min(self.capacity);
        self.lengths[slot] = length;
        let octets = &mut self.octets[slot * self.capacity..][..length];
        octets.copy_from_slice(&datagram[..length]);
        octets
    }

    /// Fills slots from the first on with what has arrived, without waiting; how many were filled.
    pub(crate) fn receive(&mut self, socket: BorrowedFd) -> io::Result<usize> {
        let room = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        self.lengths.fill(self.capacity);
        self.address_lengths.fill(room);
        let slots = self.slots();
        self.link(0, slots);
        // SAFETY: `link` made headers 0..slots point into this batch's own vectors: each iovec at `capacity`
        // octets of one slot, each name at one sockaddr_storage with its size. The slots do not overlap, the
        // vectors are neither moved nor touched until the call returns, and a null timeout is allowed.
        let filled = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                slots as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let filled = usize::try_from(filled).map_err(|_| io::Error::last_os_error())?;
        for slot in 0..filled {
            self.lengths[slot] = (self.headers[slot].msg_len as usize).min(self.capacity);
            self.address_lengths[slot] = self.headers[slot].msg_hdr.msg_namelen.min(room);
        }
        Ok(filled)
    }

    /// Sends the slots `first..end`, without waiting; how many went out (fewer if the socket is full).
    pub(crate) fn send(&mut self, socket: BorrowedFd, first: usize, end: usize) -> io::Result<usize> {
        self.link(first, end);
        send(socket, &mut self.headers[first..end])
    }

    /// Sends the first `count` slots, without waiting; of those that follow each other and are equally long several leave as
    /// one message, which the kernel parts (`UDP_SEGMENT` in `udp(7)`). How many went out. For connected sockets.
    pub(crate) fn send_in_runs(&mut self, socket: BorrowedFd, count: usize) -> io::Result<usize> {
        debug_assert!(!self.addressed);
        self.link(0, count);
        let (mut messages, mut slot) = (0, 0);
        while slot < count {
            let length = self.lengths[slot];
            let equal = self.lengths[slot..count].iter().take(MESSAGE_OCTETS_MAX / length.max(1));
            let run = equal.take_while(|other| **other == length).count().max(1);
            let header = &mut self.headers[messages].msg_hdr;
            header.msg_iov = &raw mut self.vectors[slot];
            header.msg_iovlen = run as _;
            if run > 1 {
                self.segments[messages] = Segment::of(length as u16);
                header.msg_control = (&raw mut self.segments[messages]).cast();
                header.msg_controllen = size_of::<Segment>() as _;
            }
            (messages, slot) = (messages + 1, slot + run);
        }
        let sent = send(socket, &mut self.headers[..messages])?;
        #[allow(clippy::unnecessary_cast, reason = "its type differs between C libraries")]
        let datagrams = self.headers[..sent].iter().map(|header| header.msg_hdr.msg_iovlen as usize);
        Ok(datagrams.sum())
    }

    /// Points the kernel's structures of `first..end` at the slots, with the lengths they have now.
    fn link(&mut self, first: usize, end: usize) {
        let octets = self.octets[first * self.capacity..end * self.capacity].chunks_exact_mut(self.capacity);
        let vectors = &mut self.vectors[first..end];
        let headers = &mut self.headers[first..end];
        let peers = self.addresses[first..end].iter_mut().zip(&self.address_lengths[first..end]);
        let slots = octets.zip(&self.lengths[first..end]).zip(peers).zip(vectors).zip(headers);
        for ((((octets, &length), (address, &address_length)), vector), header) in slots {
            vector.iov_base = octets.as_mut_ptr().cast();
            vector.iov_len = length;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            (header.msg_hdr.msg_control, header.msg_hdr.msg_controllen) = (std::ptr::null_mut(), 0);
            if self.addressed {
                header.msg_hdr.msg_name = std::ptr::from_mut(address).cast();
                header.msg_hdr.msg_namelen = address_length;
            }
        }
    }
}

/// Sends what was linked, without waiting; how many messages went out.
fn send(socket: BorrowedFd, headers: &mut [libc::mmsghdr]) -> io::Result<usize> {
    // SAFETY: [`Batch::link`] made the iovecs point into the batch's own slots, as above. Each of the headers points at
    // `msg_iovlen` of these, at none or one address with its length, and at none or one value of control data, a header with the
    // length that it states. None of them is moved until the call returns; the kernel only reads all of it.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            headers.len() as libc::c_uint,
            libc::MSG_DONTWAIT,
        )
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Octets of one message at most: what the longest datagram may have.
const MESSAGE_OCTETS_MAX: usize = 65_507;

/// `UDP_SEGMENT` as control data.
#[derive(Clone, Copy)]
#[repr(C)]
struct Segment {
    /// Octets up to the end of `octets`.
    len: usize,
    level: i32,
    kind: i32,
    octets: u16,
    /// What aligns a header behind it.
    rest: [u8; size_of::<usize>() - size_of::<u16>()],
}

impl Segment {
    fn of(octets: u16) -> Segment {
        let len = size_of::<usize>() + 2 * size_of::<i32>() + size_of::<u16>();
        let rest = Default::default();
        Segment { len, level: libc::SOL_UDP, kind: libc::UDP_SEGMENT, octets, rest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    fn pair() -> (UdpSocket, UdpSocket) {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        (server, client)
    }

    #[test]
    fn datagrams_go_out_come_in_and_go_back_from_the_same_slots() {
        let (server, client) = pair();
        let mut out = Batch::new(8, 512, false);
        for slot in 0..5 {
            out.put(slot, &vec![slot as u8; 10 + slot]);
        }
        assert_eq!(out.send(client.as_fd(), 1, 5).unwrap(), 4);
        let mut there = Batch::new(8, 512, true);
        assert_eq!(there.receive(server.as_fd()).unwrap(), 4);
        assert_eq!(there.datagram(0), [1; 11]);
        there.datagram_mut(3)[0] = 99;
        assert_eq!(there.send(server.as_fd(), 0, 4).unwrap(), 4);
        let mut back = Batch::new(8, 512, false);
        assert_eq!(back.receive(client.as_fd()).unwrap(), 4);
        assert_eq!(back.datagram(3)[..2], [99, 4]);
    }

    #[test]
    fn what_leaves_in_runs_comes_in_as_what_was_put() {
        let (server, client) = pair();
        let mut out = Batch::new(64, 512, false);
        let length = |slot: usize| match slot {
            0..40 => 30,
            40 => 31,
            41..50 => 29,
            _ => 512,
        };
        (0..64).for_each(|slot| _ = out.put(slot, &vec![slot as u8; length(slot)]));
        assert_eq!(out.send_in_runs(client.as_fd(), 60).unwrap(), 60);
        let mut there = Batch::new(64, 512, true);
        assert_eq!(there.receive(server.as_fd()).unwrap(), 60);
        (0..60).for_each(|slot| assert_eq!(there.datagram(slot), vec![slot as u8; length(slot)]));
        // And singly as before.
        assert_eq!(out.send(client.as_fd(), 0, 2).unwrap(), 2);
        assert_eq!(there.receive(server.as_fd()).unwrap(), 2);
    }

    #[test]
    fn an_empty_socket_would_block_and_a_long_datagram_is_cut() {
        let (server, client) = pair();
        let mut batch = Batch::new(2, 16, true);
        assert_eq!(batch.receive(server.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        client.send(&[7; 100]).unwrap();
        assert_eq!(batch.receive(server.as_fd()).unwrap(), 1);
        assert_eq!(batch.datagram(0), [7; 16]);
    }
}
