//! Datagrams in batches: one `recvmmsg` and one `sendmmsg` for up to [`BATCH`] of them (`recvmmsg(2)`). Replies to one
//! asker leave together (`train`).
//!
//! A [`Batch`] owns all memory that the kernel reads and writes, allocated once. Slot `i` of a batch holds a
//! datagram, whence it came, to which local address, and room for the reply, which goes back the same way.
#![allow(unsafe_code)]

mod late;
mod option;
mod train;

pub use late::{Asker, Late};
pub use option::{
    TOO_LARGE, forbid_fragments, ignore_path_mtu, receive_drops, set_receive_buffer, want_local_addresses,
};

use self::train::{Messages, Outbox, Ways};
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
    ways: Ways,
    receive_parts: Box<[libc::iovec; BATCH]>,
    receive_headers: Box<[libc::mmsghdr; BATCH]>,
    /// Slots that the last receive filled.
    filled: usize,
    messages: Messages,
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
        // SAFETY: all zeroes is a valid value of this C structure.
        let header = unsafe { mem::zeroed::<libc::mmsghdr>() };
        let part = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        let mut batch = Batch {
            received: slots(),
            replies: slots(),
            ways: Ways::new(local_addresses),
            receive_parts: Box::new([part; BATCH]),
            receive_headers: Box::new([header; BATCH]),
            filled: BATCH,
            messages: Messages::new(),
        };
        for i in 0..BATCH {
            batch.receive_parts[i] =
                libc::iovec { iov_base: batch.received[i].as_mut_ptr().cast(), iov_len: DATAGRAM_OCTETS_MAX };
            let header = &mut batch.receive_headers[i].msg_hdr;
            header.msg_iov = &raw mut batch.receive_parts[i];
            header.msg_iovlen = 1;
            header.msg_name = (&raw mut batch.ways.addresses[i]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            if local_addresses {
                header.msg_control = batch.ways.controls[i].0.as_mut_ptr().cast();
            }
        }
        batch
    }

    /// Receives what has arrived, up to [`BATCH`] datagrams, without waiting. Replies not sent are forgotten.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.messages.outbox.clear();
        // The kernel wrote lengths over what it was offered: offer anew those that may change.
        if self.ways.are_local {
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
        self.messages.set_address_len(self.receive_headers[0].msg_hdr.msg_namelen);
        self.messages.outbox.begin(&self.ways);
        Ok(self.filled)
    }

    /// The datagrams of the last receive and, apart from them, room for the replies.
    #[inline]
    pub fn split(&mut self) -> (Datagrams<'_>, Replies<'_>) {
        (
            Datagrams { received: &self.received, headers: &self.receive_headers },
            Replies {
                replies: &mut self.replies,
                received: &self.receive_headers,
                ways: &mut self.ways,
                outbox: &mut self.messages.outbox,
            },
        )
    }

    /// Whence the datagram in slot `i` came.
    pub fn source(&self, i: usize) -> SocketAddr {
        address_of(&self.ways.addresses[i])
    }

    /// Sends the replies noted since the last receive, those to one asker together. One that the kernel refuses is
    /// dropped and the rest go on; when the socket's buffer is full, the rest are dropped.
    pub fn send(&mut self, socket: BorrowedFd<'_>) -> Sent {
        let messages = &mut self.messages;
        let pending = messages.outbox.len();
        let count = messages.build(&mut self.replies, &mut self.ways);
        let mut done = Sent::default();
        let mut at = 0;
        while at < count {
            match send(socket, messages.headers(at)) {
                Ok(taken) => {
                    done.sent += messages.replies(at + taken) - messages.replies(at);
                    at += taken;
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => break,
                    _ => {
                        send_singly(socket, (messages, at), &mut done);
                        at += 1;
                    }
                },
            }
        }
        done.dropped += pending - messages.replies(at);
        done
    }
}

/// Sends the replies of a message that the kernel does not take, one by one if there are several.
#[cold]
fn send_singly(socket: BorrowedFd<'_>, (messages, message): (&mut Messages, usize), done: &mut Sent) {
    let count = messages.replies(message + 1) - messages.replies(message);
    if count > 1 {
        messages.refused();
    }
    for number in 0..count {
        let is_sent = count > 1 && send(socket, messages.single(message, number)).is_ok();
        done.sent += usize::from(is_sent);
        done.dropped += usize::from(!is_sent);
    }
}

/// Hands messages to the kernel, without waiting; how many it took, at least one. The headers lead to addresses, control
/// data and replies of the batch that they are of.
fn send(socket: BorrowedFd<'_>, headers: &mut [libc::mmsghdr]) -> io::Result<usize> {
    // SAFETY: only batches have such headers, made for their own addresses, control data and replies, which outlive the
    // call: a batch lends no header away, and the kernel reads them only.
    let count = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            headers.len() as libc::c_uint,
            libc::MSG_DONTWAIT as _,
        )
    };
    match usize::try_from(count) {
        Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
        Ok(count) => Ok(count),
        Err(_) => Err(io::Error::last_os_error()),
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
    received: &'b [libc::mmsghdr; BATCH],
    ways: &'b mut Ways,
    outbox: &'b mut Outbox,
}

impl Replies<'_> {
    /// Room for the reply to the datagram in slot `i`, counted modulo [`BATCH`].
    #[inline(always)]
    pub fn buffer(&mut self, i: usize) -> &mut [u8] {
        &mut self.replies[i % BATCH][..DATAGRAM_OCTETS_MAX]
    }

    /// Notes that the first `len` octets of slot `i`'s buffer go back to where its datagram came from. Once per slot.
    #[inline(always)]
    pub fn reply(&mut self, i: usize, len: usize) {
        if self.ways.are_local {
            self.leave_from_address_asked(i % BATCH);
        }
        self.outbox.note(i, len, self.ways);
    }

    #[inline(never)]
    fn leave_from_address_asked(&mut self, i: usize) {
        let len = control_len(&self.received[i].msg_hdr);
        forget_interface(&mut self.ways.controls[i], len.into());
        self.ways.control_lens[i] = len;
    }
}

/// Octets of the local address that came with a datagram.
fn control_len(header: &libc::msghdr) -> u8 {
    #[allow(clippy::unnecessary_cast, reason = "its type differs between C libraries")]
    let len = header.msg_controllen as usize;
    len.min(CONTROL_OCTETS) as u8
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
mod tests;
