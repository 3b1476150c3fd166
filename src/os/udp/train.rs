//! Replies to one asker leave together.
//!
//! Most of what a datagram costs is its way through the kernel. Datagrams of equal length and a shorter one behind them,
//! from one socket to one other, go that way as one and are parted at its end (generic segmentation offload,
//! `UDP_SEGMENT` in `udp(7)`; de Bruijn and Dumazet, "Optimizing UDP for content delivery", 2018). Whoever receives them
//! sees the datagrams as if each had been sent by itself. It is forwarders and load generators that have many questions
//! under way from one socket; stub resolvers do not, and theirs leave as ever.
//!
//! ```text
//! replies of a batch ─► those to the first one's asker, by length ─► messages: equal lengths and one shorter ─┐
//!          ▲                                                                                                  │
//!          └──────────────────────── the others: the next asker, some times ◄────────────────────────────────┘
//! ```

use super::{BATCH, CONTROL_OCTETS, Control, DATAGRAM_OCTETS_MAX};
use std::mem;
use std::ptr;

/// Octets of the longest reply that leaves with others: nearly all are shorter. So many of a batch are less than the 64 KiB
/// that the kernel takes as one, and with its headers each fits every path: the kernel does not fragment what it parts.
const TOGETHER_OCTETS_MAX: usize = 511;
const _: () = assert!((TOGETHER_OCTETS_MAX + 48) * BATCH < 1 << 16);
/// Askers of a batch whose replies are looked for.
const ASKERS_MAX: usize = 8;
/// Batches that pass before the kernel is offered several replies as one again, once it did not take some: it may be too
/// old, or the path has no checksum offload.
const REST_REFUSED: u32 = 1_024;
/// The same at most, where no asker had several questions in the batches looked at last.
const REST_ALONE_MAX: u32 = 15;
/// Octets of the header of control data.
const HEADER_OCTETS: usize = size_of::<libc::cmsghdr>();
/// Octets of `UDP_SEGMENT` with its header: how long each datagram is, and what aligns the header behind it.
const SEGMENT_OCTETS: usize = HEADER_OCTETS + size_of::<usize>();
const CONTROLS_OCTETS: usize = SEGMENT_OCTETS + CONTROL_OCTETS;

/// Control data: the length of the datagrams, then the local address.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Controls([u8; CONTROLS_OCTETS]);

impl Controls {
    /// With the header of the length.
    fn new() -> Controls {
        let mut octets = [0; CONTROLS_OCTETS];
        let len = HEADER_OCTETS + size_of::<u16>();
        octets[..size_of::<usize>()].copy_from_slice(&len.to_ne_bytes());
        octets[HEADER_OCTETS - 8..HEADER_OCTETS - 4].copy_from_slice(&libc::SOL_UDP.to_ne_bytes());
        octets[HEADER_OCTETS - 4..HEADER_OCTETS].copy_from_slice(&libc::UDP_SEGMENT.to_ne_bytes());
        Controls(octets)
    }
}

/// A reply of a batch: in which slot it is, and its octets.
#[derive(Debug, Clone, Copy, Default)]
struct Noted {
    slot: u8,
    len: u16,
}

impl Noted {
    fn is_short(self) -> bool {
        is_short(self.len.into())
    }
}

/// True if a reply of so many octets may leave with others.
#[inline(always)]
fn is_short(len: usize) -> bool {
    len.wrapping_sub(1) < TOGETHER_OCTETS_MAX
}

/// The end of a list of replies.
const NONE: u8 = u8::MAX;
/// Lengths are looked through in words.
const WORDS: usize = (TOGETHER_OCTETS_MAX + 1) / 64;
const _: () = assert!((TOGETHER_OCTETS_MAX + 1).is_multiple_of(64));

/// The replies to one asker, by length.
struct Lengths {
    /// Which lengths there are.
    present: [u64; WORDS],
    /// Of each length the last slot; behind each slot the next, behind the last the first.
    last: [u8; TOGETHER_OCTETS_MAX + 1],
    next: [u8; BATCH],
}

impl Lengths {
    fn clear(&mut self) {
        (self.present, self.last) = ([0; WORDS], [NONE; TOGETHER_OCTETS_MAX + 1]);
    }

    #[inline(always)]
    fn put(&mut self, slot: usize, len: usize) {
        let (slot, len) = (slot % BATCH, len % (TOGETHER_OCTETS_MAX + 1));
        self.present[len / 64] |= 1 << (len % 64);
        let last = mem::replace(&mut self.last[len], slot as u8);
        self.next[slot] = match last {
            NONE => slot as u8,
            last => mem::replace(&mut self.next[usize::from(last) % BATCH], slot as u8),
        };
    }

    /// Takes all replies of a length, which there is: the first of them. Its list ends with [`NONE`] then.
    #[inline(always)]
    fn take(&mut self, len: usize) -> u8 {
        let last = mem::replace(&mut self.last[len % (TOGETHER_OCTETS_MAX + 1)], NONE);
        mem::replace(&mut self.next[usize::from(last) % BATCH], NONE)
    }

    /// The reply behind one, which none stands before any more: a list ends, whatever was put into it.
    #[inline(always)]
    fn behind(&mut self, slot: usize) -> u8 {
        mem::replace(&mut self.next[slot % BATCH], NONE)
    }
}

/// What no address begins with.
const NOBODY: u64 = u64::MAX;

/// True if nothing behind the beginning of an address counts.
#[inline(always)]
fn is_ipv4(address: &libc::sockaddr_in6) -> bool {
    i32::from(address.sin6_family) == libc::AF_INET
}

/// The beginning of an address: family, port, and the flow or all of IPv4's address, which stands there.
#[inline(always)]
fn beginning(address: &libc::sockaddr_in6) -> u64 {
    let [a, b] = address.sin6_family.to_ne_bytes();
    let [c, d] = address.sin6_port.to_ne_bytes();
    let [e, f, g, h] = address.sin6_flowinfo.to_ne_bytes();
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

/// To whom the replies of a batch go, and from which local address, by slot.
pub(super) struct Ways {
    pub(super) addresses: Box<[libc::sockaddr_in6; BATCH]>,
    pub(super) controls: Box<[Control; BATCH]>,
    /// Octets of each local address.
    pub(super) control_lens: [u8; BATCH],
    /// The socket has several: each reply says from which it leaves.
    pub(super) are_local: bool,
}

impl Ways {
    /// Nobody's.
    pub(super) fn new(are_local: bool) -> Ways {
        // SAFETY: all zeroes is a valid value of this C structure.
        let address = unsafe { mem::zeroed::<libc::sockaddr_in6>() };
        Ways {
            addresses: Box::new([address; BATCH]),
            controls: Box::new([Control([0; CONTROL_OCTETS]); BATCH]),
            control_lens: [0; BATCH],
            are_local,
        }
    }

    /// The local address of a slot, as control data.
    fn control(&self, slot: usize) -> &[u8] {
        self.controls[slot].0.get(..self.control_lens[slot].into()).unwrap_or_default()
    }

    /// True if replies have the same way: to the same socket, from the same address.
    #[inline(always)]
    fn are_same(&self, one: usize, other: usize) -> bool {
        let (a, b) = (&self.addresses[one], &self.addresses[other]);
        beginning(a) == beginning(b)
            && (is_ipv4(a)
                || (a.sin6_addr.s6_addr, a.sin6_scope_id) == (b.sin6_addr.s6_addr, b.sin6_scope_id))
            && (!self.are_local || self.control(one) == self.control(other))
    }
}

/// The replies of a batch that are to be sent.
pub(super) struct Outbox {
    /// Those to the first one's asker.
    lengths: Box<Lengths>,
    /// Whose way the replies in `lengths` have: that of this slot, and the beginning of its address.
    first: usize,
    asker: u64,
    /// The beginning says all.
    is_plain: bool,
    /// The others.
    others: [Noted; BATCH],
    others_len: usize,
    /// Replies in all.
    len: usize,
    /// Batches to let pass.
    rest: u32,
    /// The next rest where nobody has several questions.
    rest_alone: u32,
}

impl Outbox {
    fn new() -> Outbox {
        let (present, last, next) = ([0; WORDS], [NONE; TOGETHER_OCTETS_MAX + 1], [NONE; BATCH]);
        Outbox {
            lengths: Box::new(Lengths { present, last, next }),
            first: 0,
            asker: NOBODY,
            is_plain: false,
            others: [Noted::default(); BATCH],
            others_len: 0,
            len: 0,
            rest: 0,
            rest_alone: 0,
        }
    }

    /// How many replies there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Forgets all replies.
    pub(super) fn clear(&mut self) {
        if self.len > 0 {
            (self.others_len, self.len) = (0, 0);
            self.lengths.clear();
        }
    }

    /// Begins a batch: what goes to the asker of slot 0 is looked for first.
    pub(super) fn begin(&mut self, ways: &Ways) {
        let first = &ways.addresses[0];
        self.first = 0;
        self.asker = if self.rest == 0 { beginning(first) } else { NOBODY };
        self.is_plain = is_ipv4(first) && !ways.are_local;
    }

    /// Notes a reply, once per slot; of one too long for a slot its beginning.
    #[inline(always)]
    pub(super) fn note(&mut self, slot: usize, len: usize, ways: &Ways) {
        let slot = slot % BATCH;
        self.len += 1;
        if beginning(&ways.addresses[slot]) == self.asker
            && is_short(len)
            && (self.is_plain || ways.are_same(self.first, slot))
        {
            return self.lengths.put(slot, len);
        }
        if let Some(place) = self.others.get_mut(self.others_len) {
            *place = Noted { slot: slot as u8, len: len.min(DATAGRAM_OCTETS_MAX) as u16 };
            self.others_len += 1;
        }
    }

    /// Takes the replies to the next one of the other askers; false if no two of the others could leave together.
    fn turn(&mut self, ways: &Ways) -> bool {
        let len = self.others_len;
        let others = &self.others[..len];
        let mut short =
            others.iter().filter(|reply| reply.is_short()).map(|reply| usize::from(reply.slot) % BATCH);
        let (Some(first), Some(_)) = (short.next(), short.next()) else { return false };
        self.others_len = 0;
        for at in 0..len {
            let reply = self.others[at];
            if reply.is_short() && ways.are_same(first, usize::from(reply.slot) % BATCH) {
                self.lengths.put(reply.slot.into(), reply.len.into());
            } else {
                self.others[self.others_len] = reply;
                self.others_len += 1;
            }
        }
        true
    }
}

/// Messages of one or several replies each, built anew for each batch.
pub(super) struct Messages {
    pub(super) outbox: Outbox,
    /// The replies, in the order in which they leave.
    parts: Box<[libc::iovec; BATCH]>,
    headers: Box<[libc::mmsghdr; BATCH]>,
    controls: Box<[Controls; BATCH]>,
    /// With which reply each message begins; behind the last one their count.
    starts: [u8; BATCH + 1],
    /// Octets of an asker's address, as all headers have it.
    address_len: libc::socklen_t,
    /// Messages and replies so far.
    messages: usize,
    count: usize,
}

impl Messages {
    pub(super) fn new() -> Messages {
        // SAFETY: all zeroes is a valid value of this C structure.
        let header = unsafe { mem::zeroed::<libc::mmsghdr>() };
        let part = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        let (mut headers, mut controls) = (Box::new([header; BATCH]), Box::new([Controls::new(); BATCH]));
        for (header, controls) in headers.iter_mut().zip(controls.iter_mut()) {
            header.msg_hdr.msg_control = controls.0.as_mut_ptr().cast();
        }
        Messages {
            outbox: Outbox::new(),
            parts: Box::new([part; BATCH]),
            headers,
            controls,
            starts: [0; BATCH + 1],
            address_len: 0,
            messages: 0,
            count: 0,
        }
    }

    /// Says how long the address of an asker is: the same for all of a socket.
    #[inline]
    pub(super) fn set_address_len(&mut self, len: libc::socklen_t) {
        if self.address_len != len {
            self.address_len = len;
            self.headers.iter_mut().for_each(|header| header.msg_hdr.msg_namelen = len);
        }
    }

    /// Builds the messages of the replies that were noted, and forgets these; how many. Their headers lead to `replies` and
    /// `ways`, and are valid as long as those are left alone.
    pub(super) fn build<R>(&mut self, replies: &mut [R; BATCH], ways: &mut Ways) -> usize {
        match ways.are_local {
            true => self.build_all::<R, true>(replies, ways),
            false => self.build_all::<R, false>(replies, ways),
        }
        self.messages
    }

    fn build_all<R, const LOCAL: bool>(&mut self, replies: &mut [R; BATCH], ways: &mut Ways) {
        (self.messages, self.count) = (0, 0);
        self.gathered::<R, LOCAL>(replies, ways);
        if self.outbox.rest > 0 {
            self.outbox.rest -= 1;
        } else if self.outbox.len > 1 {
            self.others::<R, LOCAL>(replies, ways);
        }
        for at in 0..mem::take(&mut self.outbox.others_len) {
            let Noted { slot, len } = self.outbox.others[at];
            let (slot, start) = (usize::from(slot) % BATCH, self.count);
            self.add(slot, len.into(), replies);
            self.end::<LOCAL>((slot, start), len.into(), ways);
        }
        self.outbox.len = 0;
        self.starts[self.messages % (BATCH + 1)] = self.count as u8;
    }

    /// Builds the messages to further askers, and sees whether looking for them is worth while.
    #[inline(never)]
    fn others<R, const LOCAL: bool>(&mut self, replies: &mut [R; BATCH], ways: &mut Ways) {
        for _ in 1..ASKERS_MAX {
            if !self.outbox.turn(ways) {
                break;
            }
            self.gathered::<R, LOCAL>(replies, ways);
        }
        let outbox = &mut self.outbox;
        let is_alone = self.messages + outbox.others_len == outbox.len;
        outbox.rest_alone = if is_alone { (outbox.rest_alone + 1).min(REST_ALONE_MAX) } else { 0 };
        outbox.rest = outbox.rest_alone;
    }

    /// Builds the messages of replies to one asker, the longest first.
    #[inline(always)]
    fn gathered<R, const LOCAL: bool>(&mut self, replies: &mut [R; BATCH], ways: &mut Ways) {
        // The message that is not ended yet: the length of its replies, the slot of its first one, where it begins.
        let mut open: Option<(usize, (usize, usize))> = None;
        for word in (0..WORDS).rev() {
            let mut present = mem::take(&mut self.outbox.lengths.present[word]);
            while present != 0 {
                let bit = 63 - present.leading_zeros() as usize;
                present ^= 1 << bit;
                let len = word * 64 + bit;
                let mut slot = self.outbox.lengths.take(len);
                if let Some((longer, begun)) = open.take() {
                    slot = self.take(slot, len, replies);
                    self.end::<LOCAL>(begun, longer, ways);
                }
                if slot != NONE {
                    open = Some((len, (usize::from(slot) % BATCH, self.count)));
                }
                while slot != NONE {
                    slot = self.take(slot, len, replies);
                }
            }
        }
        if let Some((len, begun)) = open {
            self.end::<LOCAL>(begun, len, ways);
        }
    }

    /// Adds a reply of a list to the message; the one behind it.
    #[inline(always)]
    fn take<R>(&mut self, slot: u8, len: usize, replies: &mut [R; BATCH]) -> u8 {
        let slot = usize::from(slot) % BATCH;
        self.add(slot, len, replies);
        self.outbox.lengths.behind(slot)
    }

    /// Adds a reply to the message.
    #[inline(always)]
    fn add<R>(&mut self, slot: usize, len: usize, replies: &mut [R; BATCH]) {
        let part = libc::iovec { iov_base: (&raw mut replies[slot]).cast(), iov_len: len };
        let count = self.count % BATCH;
        self.parts[count] = part;
        self.count = count + 1;
    }

    /// Ends the message that begins with the reply in that slot, of so many octets, at that place.
    #[inline(always)]
    fn end<const LOCAL: bool>(&mut self, (slot, start): (usize, usize), len: usize, ways: &mut Ways) {
        let message = self.messages % BATCH;
        self.messages = message + 1;
        let (header, controls) = (&mut self.headers[message].msg_hdr, &mut self.controls[message].0);
        let count = self.count - start;
        self.starts[message] = start as u8;
        header.msg_name = (&raw mut ways.addresses[slot]).cast();
        header.msg_iov = &raw mut self.parts[start % BATCH];
        header.msg_iovlen = count as _;
        controls[HEADER_OCTETS..HEADER_OCTETS + 2].copy_from_slice(&(len as u16).to_ne_bytes());
        let from = if count > 1 { 0 } else { SEGMENT_OCTETS };
        let mut octets = SEGMENT_OCTETS - from;
        if LOCAL {
            let own = ways.control(slot);
            controls[SEGMENT_OCTETS..SEGMENT_OCTETS + own.len()].copy_from_slice(own);
            header.msg_control = controls[from..].as_mut_ptr().cast();
            octets += own.len();
        }
        header.msg_controllen = octets as _;
    }

    /// The headers from a message on.
    pub(super) fn headers(&mut self, from: usize) -> &mut [libc::mmsghdr] {
        self.headers.get_mut(from..self.messages).unwrap_or_default()
    }

    /// How many replies the first messages have.
    pub(super) fn replies(&self, messages: usize) -> usize {
        self.starts[messages.min(BATCH)].into()
    }

    /// Has others wait some time before they leave together: the kernel has not taken some that did.
    pub(super) fn refused(&mut self) {
        self.outbox.rest = REST_REFUSED;
    }

    /// The header of one of the replies of a message, by itself: in place of that of the message, which has several.
    pub(super) fn single(&mut self, message: usize, number: usize) -> &mut [libc::mmsghdr] {
        let at = (self.replies(message) + number) % BATCH;
        let (header, controls) = (&mut self.headers[message], &mut self.controls[message].0);
        if header.msg_hdr.msg_iovlen > 1 {
            #[allow(clippy::unnecessary_cast, reason = "its type differs between C libraries")]
            let own = header.msg_hdr.msg_controllen as usize - SEGMENT_OCTETS;
            header.msg_hdr.msg_controllen = own as _;
            // Without a local address it goes on leading to the length, which the next message of several needs.
            if own > 0 {
                header.msg_hdr.msg_control = controls[SEGMENT_OCTETS..].as_mut_ptr().cast();
            }
        }
        header.msg_hdr.msg_iov = &raw mut self.parts[at];
        header.msg_hdr.msg_iovlen = 1;
        std::slice::from_mut(header)
    }
}

#[cfg(test)]
mod tests;
