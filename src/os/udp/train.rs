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

use super::{BATCH, CONTROL_OCTETS, Control, same_end};
use std::mem;
use std::ptr;

/// Octets of the longest reply that leaves with others. So many of a batch are less than the 64 KiB that the kernel takes
/// as one, and with its headers each fits every path (RFC 8200 §5): the kernel does not fragment what it parts.
const TOGETHER_OCTETS_MAX: usize = 959;
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
pub(super) struct Noted {
    pub(super) slot: u8,
    pub(super) len: u16,
}

/// Where the replies are that were noted, and to whom they go, by slot.
pub(super) struct Outbox<'b, R> {
    pub(super) replies: &'b mut [R; BATCH],
    pub(super) addresses: &'b mut [libc::sockaddr_in6; BATCH],
    /// Octets of each address.
    pub(super) address_len: libc::socklen_t,
    pub(super) controls: &'b mut [Control; BATCH],
    /// Octets of each local address; 0: the socket has one.
    pub(super) control_lens: &'b [u8; BATCH],
}

impl<R> Outbox<'_, R> {
    fn control(&self, slot: usize) -> &[u8] {
        self.controls[slot].0.get(..self.control_lens[slot].into()).unwrap_or_default()
    }

    /// True if replies have the same way: to the same socket, from the same address.
    #[inline(always)]
    fn is_same_way(&self, one: usize, other: usize) -> bool {
        same_end(&self.addresses[one], &self.addresses[other])
            && (self.control_lens[one] | self.control_lens[other] == 0
                || self.control(one) == self.control(other))
    }
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
    /// Of each length that there is a slot, and behind each slot the next.
    first: [u8; TOGETHER_OCTETS_MAX + 1],
    next: [u8; BATCH],
}

impl Lengths {
    #[inline(always)]
    fn put(&mut self, Noted { slot, len }: Noted) {
        let (slot, len) = (usize::from(slot) % BATCH, usize::from(len) % (TOGETHER_OCTETS_MAX + 1));
        let (word, bit) = (&mut self.present[len / 64], 1 << (len % 64));
        self.next[slot] = if *word & bit == 0 { NONE } else { self.first[len] };
        *word |= bit;
        self.first[len] = slot as u8;
    }
}

/// Messages of one or several replies each, built anew for each batch.
pub(super) struct Messages {
    lengths: Box<Lengths>,
    /// The replies, in the order in which they leave.
    parts: Box<[libc::iovec; BATCH]>,
    slots: [u8; BATCH],
    headers: Box<[libc::mmsghdr; BATCH]>,
    controls: Box<[Controls; BATCH]>,
    /// With which reply each message begins; behind the last one their count.
    starts: [u8; BATCH + 1],
    messages: usize,
    /// Replies in messages so far.
    count: usize,
    /// Batches to let pass.
    rest: u32,
    /// The next rest where nobody has several questions.
    rest_alone: u32,
}

impl Messages {
    pub(super) fn new() -> Messages {
        // SAFETY: all zeroes is a valid value of this C structure.
        let header = unsafe { mem::zeroed::<libc::mmsghdr>() };
        let part = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        let (present, first, next) = ([0; WORDS], [NONE; TOGETHER_OCTETS_MAX + 1], [NONE; BATCH]);
        Messages {
            lengths: Box::new(Lengths { present, first, next }),
            parts: Box::new([part; BATCH]),
            slots: [0; BATCH],
            headers: Box::new([header; BATCH]),
            controls: Box::new([Controls::new(); BATCH]),
            starts: [0; BATCH + 1],
            messages: 0,
            count: 0,
            rest: 0,
            rest_alone: 0,
        }
    }

    /// Builds the messages of replies that were noted, each slot once; how many. Their headers lead to what `outbox` leads
    /// to, and are valid as long as that.
    pub(super) fn build<R>(&mut self, noted: &mut [Noted], outbox: &mut Outbox<'_, R>) -> usize {
        (self.messages, self.count) = (0, 0);
        let all = noted.len();
        let mut rest = noted;
        if self.rest > 0 {
            self.rest -= 1;
        } else if all > 1 {
            for _ in 0..ASKERS_MAX {
                let others = self.gather(rest, outbox);
                rest = &mut rest[..others];
                if others < 2 {
                    break;
                }
            }
            let is_alone = self.messages + rest.len() == all;
            self.rest_alone = if is_alone { (self.rest_alone + 1).min(REST_ALONE_MAX) } else { 0 };
            self.rest = self.rest_alone;
        }
        for Noted { slot, len } in rest {
            self.begin(usize::from(*slot) % BATCH, outbox);
            self.add(usize::from(*slot) % BATCH, usize::from(*len), outbox);
            self.end(usize::from(*len), outbox);
        }
        self.starts[self.messages] = self.count as u8;
        self.messages
    }

    /// Builds the messages to the asker of the first of these; how many are left, which stand at the beginning then.
    #[inline(always)]
    fn gather<R>(&mut self, noted: &mut [Noted], outbox: &mut Outbox<'_, R>) -> usize {
        let Some(first) = noted.first().map(|first| usize::from(first.slot) % BATCH) else { return 0 };
        let mut others = 0;
        for at in 0..noted.len() {
            let reply = noted[at];
            let is_short = usize::from(reply.len).wrapping_sub(1) < TOGETHER_OCTETS_MAX;
            if is_short && outbox.is_same_way(first, usize::from(reply.slot) % BATCH) {
                self.lengths.put(reply);
            } else {
                noted[others] = reply;
                others += 1;
            }
        }
        // The length of the message that is not ended yet; 0: none.
        let mut open = 0;
        for word in (0..WORDS).rev() {
            let mut present = mem::take(&mut self.lengths.present[word]);
            while present != 0 {
                let bit = 63 - present.leading_zeros() as usize;
                present ^= 1 << bit;
                let len = word * 64 + bit;
                let mut slot = self.lengths.first[len];
                if open != 0 {
                    slot = self.take(slot, len, outbox);
                    self.end(open, outbox);
                    open = 0;
                }
                if slot != NONE {
                    self.begin(usize::from(slot) % BATCH, outbox);
                    open = len;
                }
                while slot != NONE {
                    slot = self.take(slot, len, outbox);
                }
            }
        }
        if open != 0 {
            self.end(open, outbox);
        }
        others
    }

    /// Adds a reply of a list to the message; the one behind it.
    #[inline(always)]
    fn take<R>(&mut self, slot: u8, len: usize, outbox: &mut Outbox<'_, R>) -> u8 {
        let slot = usize::from(slot) % BATCH;
        self.add(slot, len, outbox);
        self.lengths.next[slot]
    }

    /// Begins a message to the asker of that slot.
    #[inline(always)]
    fn begin<R>(&mut self, slot: usize, outbox: &mut Outbox<'_, R>) {
        let (message, count) = (self.messages % BATCH, self.count % BATCH);
        let header = &mut self.headers[message].msg_hdr;
        header.msg_name = (&raw mut outbox.addresses[slot]).cast();
        header.msg_namelen = outbox.address_len;
        header.msg_iov = &raw mut self.parts[count];
        self.starts[message] = count as u8;
    }

    /// Adds a reply to the message.
    #[inline(always)]
    fn add<R>(&mut self, slot: usize, len: usize, outbox: &mut Outbox<'_, R>) {
        let count = self.count % BATCH;
        self.parts[count] = libc::iovec { iov_base: (&raw mut outbox.replies[slot]).cast(), iov_len: len };
        self.slots[count] = slot as u8;
        self.count = count + 1;
    }

    /// Ends the message, whose first reply has so many octets.
    #[inline(always)]
    fn end<R>(&mut self, len: usize, outbox: &mut Outbox<'_, R>) {
        let message = self.messages % BATCH;
        let start = usize::from(self.starts[message]);
        let slot = usize::from(self.slots[start % BATCH]) % BATCH;
        let (count, own) = (self.count - start, usize::from(outbox.control_lens[slot]).min(CONTROL_OCTETS));
        let header = &mut self.headers[message].msg_hdr;
        header.msg_iovlen = count as _;
        self.messages = message + 1;
        if count == 1 {
            header.msg_control =
                if own == 0 { ptr::null_mut() } else { outbox.controls[slot].0.as_mut_ptr().cast() };
            header.msg_controllen = own as _;
            return;
        }
        let controls = &mut self.controls[message].0;
        controls[HEADER_OCTETS..HEADER_OCTETS + 2].copy_from_slice(&(len as u16).to_ne_bytes());
        if own > 0 {
            controls[SEGMENT_OCTETS..SEGMENT_OCTETS + own].copy_from_slice(&outbox.controls[slot].0[..own]);
        }
        header.msg_control = controls.as_mut_ptr().cast();
        header.msg_controllen = (SEGMENT_OCTETS + own) as _;
    }

    /// The headers from a message on.
    pub(super) fn headers(&mut self, from: usize) -> &mut [libc::mmsghdr] {
        self.headers.get_mut(from..self.messages).unwrap_or_default()
    }

    /// How many replies the first messages have.
    pub(super) fn replies(&self, messages: usize) -> usize {
        self.starts[messages.min(BATCH)].into()
    }

    /// Has a message of several replies, which the kernel did not take, be these by themselves, for some time others, too:
    /// how many. Each is [asked for](Messages::single) then.
    pub(super) fn part(&mut self, message: usize) -> usize {
        let count = self.replies(message + 1) - self.replies(message);
        if count > 1 {
            self.rest = REST_REFUSED;
        }
        count
    }

    /// The header of one of the replies of a message, by itself.
    pub(super) fn single<R>(
        &mut self,
        message: usize,
        number: usize,
        outbox: &mut Outbox<'_, R>,
    ) -> &mut [libc::mmsghdr] {
        let at = (self.replies(message) + number) % BATCH;
        let slot = usize::from(self.slots[at]) % BATCH;
        let own = usize::from(outbox.control_lens[slot]).min(CONTROL_OCTETS);
        let header = &mut self.headers[message % BATCH].msg_hdr;
        header.msg_iov = &raw mut self.parts[at];
        header.msg_iovlen = 1;
        header.msg_control =
            if own == 0 { ptr::null_mut() } else { outbox.controls[slot].0.as_mut_ptr().cast() };
        header.msg_controllen = own as _;
        std::slice::from_mut(&mut self.headers[message % BATCH])
    }
}

#[cfg(test)]
mod tests;
