//! Datagrams in batches: one `recvmmsg` and one `sendmmsg` for up to [`BATCH`] of them (`recvmmsg(2)`).
//!
//! A [`Batch`] owns all memory that the kernel reads and writes, allocated once. Slot `i` of a batch holds a
//! datagram, whence it came, to which local address, and room for the reply, which goes back the same way.
#![allow(unsafe_code)]

mod late;
mod option;

pub use late::{Asker, Late};
pub use option::{
    TOO_LARGE, forbid_fragments, ignore_path_mtu, receive_drops, set_receive_buffer, want_local_addresses,
};

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

/// Datagrams per system call: 64 take most of what batching saves (15 %); more only adds latency.
pub const BATCH: usize = 64;
/// Octets of a slot. A multiple of the cache line but not of the page: slots that begin at the same place of
/// every page would fight for the same few lines of the first-level cache.
const SLOT_OCTETS: usize = DATAGRAM_OCTETS_MAX + 64;
/// Octets of the largest datagram received or sent; a longer one is cut and told as such.
pub const DATAGRAM_OCTETS_MAX: usize = 4_096;
/// Octets of control data: `in6_pktinfo` is the larger of the two kinds, with its header 40.
const CONTROL_OCTETS: usize = 48;

/// Control data must be aligned as its headers are.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL_OCTETS]);

/// Buffers and headers of one batch of datagrams, all of the same socket.
pub struct Batch {
    received: Box<[[u8; SLOT_OCTETS]; BATCH]>,
    replies: Box<[[u8; SLOT_OCTETS]; BATCH]>,
    // Room for either family; `sockaddr_in6` is the larger.
    addresses: Box<[libc::sockaddr_in6; BATCH]>,
    controls: Box<[Control; BATCH]>,
    receive_parts: Box<[libc::iovec; BATCH]>,
    send_parts: Box<[libc::iovec; BATCH]>,
    receive_headers: Box<[libc::mmsghdr; BATCH]>,
    send_headers: Box<[libc::mmsghdr; BATCH]>,
    /// Slots that the last receive filled.
    filled: usize,
    /// Replies to send, at the start of `send_headers`.
    pending: usize,
    /// A slot without a reply made the send headers behind it lead elsewhere than to their own slots.
    astray: bool,
    local_addresses: bool,
    /// Octets of an asker's address: the same for all datagrams of a socket.
    address_len: libc::socklen_t,
}

// SAFETY: the raw pointers within the headers lead only into the batch's own boxes, which move with it; nothing
// in it is tied to a thread.
unsafe impl Send for Batch {}

/// What came of sending a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// Datagrams the kernel took.
    pub sent: usize,
    /// Datagrams it did not take: the socket was full, or the asker cannot be reached.
    pub dropped: usize,
}

impl Batch {
    /// Allocates everything. With `local_addresses`, the socket must have had [`want_local_addresses`], and
    /// replies leave from the address asked.
    pub fn new(local_addresses: bool) -> Batch {
        // SAFETY: all zeroes is a valid value of these C structures.
        let (address, header, part) = unsafe {
            (
                mem::zeroed::<libc::sockaddr_in6>(),
                mem::zeroed::<libc::mmsghdr>(),
                libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 },
            )
        };
        let mut batch = Batch {
            received: slots(),
            replies: slots(),
            addresses: Box::new([address; BATCH]),
            controls: Box::new([Control([0; CONTROL_OCTETS]); BATCH]),
            receive_parts: Box::new([part; BATCH]),
            send_parts: Box::new([part; BATCH]),
            receive_headers: Box::new([header; BATCH]),
            send_headers: Box::new([header; BATCH]),
            filled: BATCH,
            pending: 0,
            astray: false,
            local_addresses,
            address_len: 0,
        };
        for i in 0..BATCH {
            batch.receive_parts[i] =
                libc::iovec { iov_base: batch.received[i].as_mut_ptr().cast(), iov_len: DATAGRAM_OCTETS_MAX };
            let header = &mut batch.receive_headers[i].msg_hdr;
            header.msg_iov = &raw mut batch.receive_parts[i];
            header.msg_iovlen = 1;
            header.msg_name = (&raw mut batch.addresses[i]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            if local_addresses {
                header.msg_control = batch.controls[i].0.as_mut_ptr().cast();
            }
        }
        batch.aim_replies();
        batch
    }

    /// Has the send header of every slot lead to that slot's own reply and asker.
    fn aim_replies(&mut self) {
        for i in 0..BATCH {
            self.send_parts[i] = libc::iovec { iov_base: self.replies[i].as_mut_ptr().cast(), iov_len: 0 };
            let header = &mut self.send_headers[i].msg_hdr;
            header.msg_iov = &raw mut self.send_parts[i];
            header.msg_iovlen = 1;
            header.msg_name = (&raw mut self.addresses[i]).cast();
            header.msg_control = ptr::null_mut();
            header.msg_controllen = 0;
        }
        self.astray = false;
    }

    /// Receives what has arrived, up to [`BATCH`] datagrams, without waiting. Replies not sent are forgotten.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.pending = 0;
        if self.astray {
            self.aim_replies();
        }
        // The kernel wrote lengths over what it was offered: offer anew those that may change.
        if self.local_addresses {
            for header in &mut self.receive_headers[..self.filled] {
                header.msg_hdr.msg_controllen = CONTROL_OCTETS as _;
            }
        }
        self.filled = 0;
        // SAFETY: every header leads to buffers of the stated lengths that `self` owns and does not touch
        // during the call. The standard library has no batched receive.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.receive_headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        self.filled = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        let address_len = self.receive_headers[0].msg_hdr.msg_namelen;
        if self.address_len != address_len {
            self.address_len = address_len;
            self.send_headers.iter_mut().for_each(|header| header.msg_hdr.msg_namelen = address_len);
        }
        Ok(self.filled)
    }

    /// The datagrams of the last receive and, apart from them, room for the replies.
    #[inline]
    pub fn split(&mut self) -> (Datagrams<'_>, Replies<'_>) {
        (
            Datagrams { received: &self.received, headers: &self.receive_headers },
            Replies {
                replies: &mut self.replies,
                parts: &mut self.send_parts,
                headers: &mut self.send_headers,
                received: &self.receive_headers,
                controls: &mut self.controls,
                addresses: &mut self.addresses,
                pending: &mut self.pending,
                astray: &mut self.astray,
                local_addresses: self.local_addresses,
            },
        )
    }

    /// Whence the datagram in slot `i` came.
    pub fn source(&self, i: usize) -> SocketAddr {
        address_of(&self.addresses[i])
    }

    /// Sends the replies noted since the last receive. One that the kernel refuses is dropped and the rest go
    /// on; when the socket's buffer is full, the rest are dropped.
    pub fn send(&mut self, socket: BorrowedFd<'_>) -> Sent {
        let mut done = Sent::default();
        let mut at = 0;
        while at < self.pending {
            // SAFETY: headers `at..pending` lead to addresses, control data and replies that `self` owns; the
            // kernel only reads them.
            let count = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    self.send_headers[at..].as_mut_ptr(),
                    (self.pending - at) as libc::c_uint,
                    libc::MSG_DONTWAIT as _,
                )
            };
            match usize::try_from(count) {
                Ok(count) if count > 0 => {
                    done.sent += count;
                    at += count;
                }
                _ => match io::Error::last_os_error().kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => break,
                    _ => {
                        done.dropped += 1;
                        at += 1;
                    }
                },
            }
        }
        done.dropped += self.pending - at;
        self.pending = 0;
        done
    }
}

/// The address that the kernel wrote there.
#[inline]
fn address_of(address: &libc::sockaddr_in6) -> SocketAddr {
    if i32::from(address.sin6_family) == libc::AF_INET {
        // SAFETY: the family says that the kernel wrote a `sockaddr_in`, which is smaller and no more strictly aligned
        // than the `sockaddr_in6` it stands in.
        let v4 = unsafe { &*ptr::from_ref(address).cast::<libc::sockaddr_in>() };
        let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
        return SocketAddr::new(IpAddr::V4(ip), u16::from_be(v4.sin_port));
    }
    let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
    SocketAddr::new(IpAddr::V6(ip), u16::from_be(address.sin6_port))
}

fn slots() -> Box<[[u8; SLOT_OCTETS]; BATCH]> {
    // Made on the heap: a quarter of a megabyte would not fit on every stack.
    match vec![[0; SLOT_OCTETS]; BATCH].into_boxed_slice().try_into() {
        Ok(slots) => slots,
        Err(_) => unreachable!("the vector has BATCH slots"),
    }
}

/// What a batch received.
#[derive(Clone, Copy)]
pub struct Datagrams<'b> {
    received: &'b [[u8; SLOT_OCTETS]; BATCH],
    headers: &'b [libc::mmsghdr; BATCH],
}

impl<'b> Datagrams<'b> {
    /// The datagram in slot `i`, counted modulo [`BATCH`]; one that was cut is empty.
    #[inline(always)]
    pub fn get(&self, i: usize) -> &'b [u8] {
        let (slot, header) = (&self.received[i % BATCH], &self.headers[i % BATCH]);
        if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            return &[];
        }
        slot.get(..header.msg_len as usize).unwrap_or_default()
    }

    /// The first `N` octets of slot `i`, counted modulo [`BATCH`], and how many octets its datagram has; what
    /// stands behind those is left from earlier ones. A datagram that was cut has [`DATAGRAM_OCTETS_MAX`].
    #[inline(always)]
    pub fn window<const N: usize>(&self, i: usize) -> (&'b [u8; N], usize) {
        const { assert!(N < DATAGRAM_OCTETS_MAX) };
        let (slot, header) = (&self.received[i % BATCH], &self.headers[i % BATCH]);
        let len = header.msg_len as usize;
        // A slot has more octets than `N`.
        (slot.first_chunk::<N>().unwrap_or(&[0; N]), len)
    }
}

/// Room for what a batch sends.
pub struct Replies<'b> {
    replies: &'b mut [[u8; SLOT_OCTETS]; BATCH],
    parts: &'b mut [libc::iovec; BATCH],
    headers: &'b mut [libc::mmsghdr; BATCH],
    received: &'b [libc::mmsghdr; BATCH],
    controls: &'b mut [Control; BATCH],
    addresses: &'b mut [libc::sockaddr_in6; BATCH],
    pending: &'b mut usize,
    astray: &'b mut bool,
    local_addresses: bool,
}

impl Replies<'_> {
    /// Room for the reply to the datagram in slot `i`, counted modulo [`BATCH`].
    #[inline(always)]
    pub fn buffer(&mut self, i: usize) -> &mut [u8] {
        &mut self.replies[i % BATCH][..DATAGRAM_OCTETS_MAX]
    }

    /// Notes that the first `len` octets of slot `i`'s buffer go back to where its datagram came from. Once per
    /// slot, in rising order.
    #[inline(always)]
    pub fn reply(&mut self, i: usize, len: usize) {
        let (i, place) = (i % BATCH, *self.pending % BATCH);
        self.parts[place].iov_len = len.min(DATAGRAM_OCTETS_MAX);
        if i != place {
            // A slot before had no reply: what follows moves up.
            *self.astray = true;
            self.parts[place].iov_base = self.replies[i].as_mut_ptr().cast();
            self.headers[place].msg_hdr.msg_name = (&raw mut self.addresses[i]).cast();
        }
        if self.local_addresses {
            self.leave_from_address_asked(i, place);
        }
        *self.pending += 1;
    }

    #[inline(never)]
    fn leave_from_address_asked(&mut self, i: usize, place: usize) {
        let (header, control) = (&mut self.headers[place].msg_hdr, &mut self.controls[i]);
        header.msg_controllen = self.received[i].msg_hdr.msg_controllen;
        #[allow(clippy::unnecessary_cast, reason = "its type differs between C libraries")]
        let len = header.msg_controllen as usize;
        forget_interface(control, len);
        header.msg_control = if len == 0 { ptr::null_mut() } else { control.0.as_mut_ptr().cast() };
    }
}

/// The reply leaves from the local address that was asked, by whatever interface the routes say (a link-local
/// address keeps its interface, without which it means nothing).
fn forget_interface(control: &mut Control, len: usize) {
    const DATA: usize = size_of::<libc::cmsghdr>();
    let level_and_kind = (i32_at(&control.0, DATA - 8), i32_at(&control.0, DATA - 4));
    if len >= DATA + 12 && level_and_kind == (libc::IPPROTO_IP, libc::IP_PKTINFO) {
        // in_pktinfo: interface index, address to send from, address in the header.
        control.0[DATA..DATA + 4].fill(0);
    } else if len >= DATA + 20 && level_and_kind == (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) {
        // in6_pktinfo: address, interface index.
        let link_local = control.0[DATA] == 0xfe && control.0[DATA + 1] & 0xc0 == 0x80;
        if !link_local {
            control.0[DATA + 16..DATA + 20].fill(0);
        }
    }
}

fn i32_at(octets: &[u8], at: usize) -> i32 {
    octets.get(at..).and_then(|rest| rest.first_chunk::<4>()).map_or(0, |c| i32::from_ne_bytes(*c))
}

#[cfg(test)]
mod tests {
    use super::option::set_option;
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::time::Duration;

    fn echo(batch: &mut Batch, server: &UdpSocket, expected: usize) -> Sent {
        // Loopback delivers within the sender's call: what was sent is there.
        assert_eq!(batch.receive(server.as_fd()).unwrap(), expected);
        let (datagrams, mut replies) = batch.split();
        for i in 0..expected {
            let datagram = datagrams.get(i);
            replies.buffer(i)[..datagram.len()].copy_from_slice(datagram);
            replies.reply(i, datagram.len());
        }
        batch.send(server.as_fd())
    }

    #[test]
    fn a_batch_goes_back_to_whence_it_came() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut batch = Batch::new(false);
        let clients: Vec<UdpSocket> = (0..5).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        for round in 0..3u8 {
            for (i, client) in clients.iter().enumerate() {
                client.send_to(&[round, i as u8], server.local_addr().unwrap()).unwrap();
            }
            assert_eq!(echo(&mut batch, &server, clients.len()), Sent { sent: clients.len(), dropped: 0 });
            assert_eq!(batch.source(1), clients[1].local_addr().unwrap());
            for (i, client) in clients.iter().enumerate() {
                client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                let mut octets = [0; 16];
                assert_eq!(client.recv(&mut octets).unwrap(), 2);
                assert_eq!(octets[..2], [round, i as u8]);
            }
        }
    }

    #[test]
    fn a_reply_leaves_from_the_address_asked() {
        for (wildcard, asked) in [("0.0.0.0:0", "127.0.0.77"), ("[::]:0", "::1")] {
            let server = UdpSocket::bind(wildcard).unwrap();
            want_local_addresses(server.as_fd(), wildcard.starts_with('[')).unwrap();
            let mut batch = Batch::new(true);
            let client =
                UdpSocket::bind(if asked.contains(':') { "[::1]:0" } else { "127.0.0.1:0" }).unwrap();
            client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let asked = SocketAddr::new(asked.parse().unwrap(), server.local_addr().unwrap().port());
            for _ in 0..2 {
                client.send_to(b"x", asked).unwrap();
                assert_eq!(echo(&mut batch, &server, 1), Sent { sent: 1, dropped: 0 });
                let (_, source) = client.recv_from(&mut [0; 16]).unwrap();
                assert_eq!(source, asked);
            }
        }
    }

    #[test]
    fn a_datagram_that_was_cut_is_empty() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(&[1; DATAGRAM_OCTETS_MAX + 1], server.local_addr().unwrap()).unwrap();
        client.send_to(&[2; DATAGRAM_OCTETS_MAX], server.local_addr().unwrap()).unwrap();
        let mut batch = Batch::new(false);
        assert_eq!(batch.receive(server.as_fd()).unwrap(), 2);
        let (datagrams, _) = batch.split();
        assert_eq!(datagrams.get(0), b"");
        assert_eq!(datagrams.get(1).len(), DATAGRAM_OCTETS_MAX);
    }

    #[test]
    fn an_unreachable_asker_does_not_hold_up_the_others() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(b"a", server.local_addr().unwrap()).unwrap();
        client.send_to(b"b", server.local_addr().unwrap()).unwrap();
        let mut batch = Batch::new(false);
        assert_eq!(batch.receive(server.as_fd()).unwrap(), 2);
        // Port 0 cannot be sent to.
        batch.addresses[0].sin6_port = 0;
        let (_, mut replies) = batch.split();
        replies.reply(0, 1);
        replies.reply(1, 1);
        assert_eq!(batch.send(server.as_fd()), Sent { sent: 1, dropped: 1 });
    }

    #[test]
    fn drops_are_counted() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        set_option(server.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, 1).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..64 {
            client.send_to(&[0; 1024], server.local_addr().unwrap()).unwrap();
        }
        assert!(receive_drops(server.as_fd()) > 0);
    }
}
