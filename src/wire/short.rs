//! The ordinary query, and the ordinary answer to it: the same as [`accept`](crate::wire::query::accept) and
//! [`Reply`](crate::wire::reply::Reply) would make, in fewer instructions.
//!
//! An ordinary query is one question for a name of at most 64 octets, with nothing else or a bare OPT of version
//! 0. It lies within a window of known size at the start of its buffer, so that it is copied and read without
//! asking how long it is. An ordinary answer is written on a [`Sheet`]: it is made of sealed sets and fits.
//! Whatever is not ordinary is left to the general way, which must give the same answer: a test holds one
//! against the other.

use crate::base::limits::UDP_PAYLOAD_PLAIN;
use crate::wire::key::NameKey;
use crate::wire::message::Rcode;
use crate::wire::message::{HEADER_OCTETS, OPCODE_MASK, QR, RD};
use crate::wire::query::{Edns, Shape};
use crate::wire::reply::{OPT_OCTETS, Owner, Section};
use crate::wire::rtype::{Class, RecordType};
use crate::wire::sealed::SealedRrset;
use crate::wire::shift::{shift, shift_owner};

/// Octets of the window. Header, name, type and class and OPT take 91; an offset of seven bits, behind the
/// header and with OPT behind it, still lies within.
pub const WINDOW: usize = 160;
/// The start of the window that an answer repeats.
const COPIED: usize = 80;
/// Octets of the longest ordinary name, the root's zero octet included.
pub const NAME_OCTETS: usize = 64;
/// Octets that are copied at once where a set has no more: four records of addresses, most SOAs.
pub const RUN_OCTETS: usize = 64;
const _: () =
    assert!(HEADER_OCTETS + NAME_OCTETS + 4 <= COPIED && HEADER_OCTETS + 0x7f + 4 + OPT_OCTETS <= WINDOW);

/// Reads an ordinary query of `len` octets; what stands behind them in the window does not count. The name is
/// left in `key` as [`accept`](crate::wire::query::accept) leaves it. `None` if it is not ordinary.
#[inline(always)]
pub fn accept(window: &[u8; WINDOW], len: usize, key: &mut NameKey) -> Option<Shape> {
    let (header, rest) = window.split_first_chunk::<HEADER_OCTETS>()?;
    let [_, _, head @ .., additional_high, additional_low] = *header;
    // QR and opcode 0; one question, no answer, no authority.
    if u64::from_be_bytes(head) & 0xf800_ffff_ffff_ffff != 0x0000_0001_0000_0000 {
        return None;
    }
    let name_len = key.read_short(rest.first_chunk()?)? & 0x7f;
    let (question, tail) = rest.get(name_len..)?.split_first_chunk::<4>()?;
    let question_end = HEADER_OCTETS + name_len + 4;
    let additional = u16::from_be_bytes([additional_high, additional_low]);
    let edns = match (additional, len.wrapping_sub(question_end)) {
        (0, 0) => None,
        (1, OPT_OCTETS) => {
            let [head @ .., _, rdlen_high, rdlen_low] = *tail.first_chunk::<OPT_OCTETS>()?;
            let head = u64::from_be_bytes(head);
            // The root, type 41, version 0, no options.
            if head & 0xffff_ff00_0000_ff00 != 0x0000_2900_0000_0000 || [rdlen_high, rdlen_low] != [0, 0] {
                return None;
            }
            let (udp_payload, dnssec_ok) = ((head >> 24) as u16, head & 0x80 != 0);
            Some(Edns { udp_payload, dnssec_ok, nsid: false })
        }
        _ => return None,
    };
    let flags = u16::from_be_bytes([header[2], header[3]]);
    let &[t1, t0, c1, c0] = question;
    let (qtype, qclass) = (RecordType(u16::from_be_bytes([t1, t0])), Class(u16::from_be_bytes([c1, c0])));
    Some(Shape::new(flags, question_end as u16, qtype, qclass, edns))
}

/// An ordinary answer in the making: sets that are copied and, where they stand elsewhere than they were sealed
/// for, shifted. It minds the buffer's end only; [`Sheet::finish`] says whether the asker takes as much.
pub struct Sheet<'b> {
    octets: &'b mut [u8],
    at: usize,
    question_end: usize,
    /// Records of answer, authority and additional section, sixteen bits each, as the header has them.
    counts: u64,
}

impl<'b> Sheet<'b> {
    /// Has `octets` begin as the answers to the ordinary query in that window do. `None` where they are too few.
    #[inline(always)]
    pub fn head(octets: &mut [u8], window: &[u8; WINDOW]) -> Option<()> {
        *octets.first_chunk_mut::<COPIED>()? = *window.first_chunk()?;
        Some(())
    }

    /// Begins the answer to the ordinary query of that shape, in octets that have got their [head](Sheet::head).
    #[inline(always)]
    pub fn begin(octets: &'b mut [u8], shape: &Shape) -> Sheet<'b> {
        let question_end = usize::from(shape.question_end());
        Sheet { octets, at: question_end, question_end, counts: 0 }
    }

    /// Puts a set of `records` at the end of `section`; `run` begins with its `len` octets and goes on with
    /// anything. Where in the message it begins; `None` where it does not fit.
    #[inline(always)]
    pub fn put(&mut self, section: Section, records: u16, run: &[u8], len: usize) -> Option<usize> {
        let start = self.at;
        let room = self.octets.get_mut(start..)?;
        // Most sets are short: one copy of known size is cheaper than asking how long it is.
        match (room.first_chunk_mut::<RUN_OCTETS>(), run.first_chunk::<RUN_OCTETS>()) {
            (Some(room), Some(run)) if len <= RUN_OCTETS => *room = *run,
            _ => room.get_mut(..len)?.copy_from_slice(run.get(..len)?),
        }
        self.at = start + len;
        self.counts += u64::from(records) << (16 * (2 - section as u32));
        Some(start)
    }

    /// Room for records behind those that are there: what the asker takes, less the OPT.
    #[inline(always)]
    pub fn room_mut(&mut self, shape: &Shape, udp_payload_max: u16) -> &mut [u8] {
        let limit = match shape.edns() {
            Some(_) => shape.udp_limit(udp_payload_max.into()).saturating_sub(OPT_OCTETS),
            None => UDP_PAYLOAD_PLAIN,
        };
        let end = limit.min(self.octets.len());
        self.octets.get_mut(self.at..end).unwrap_or_default()
    }

    /// Takes over the `len` octets that were written to the [room](Sheet::room_mut): so many records of each section.
    #[inline(always)]
    pub fn take(&mut self, len: usize, [answer, authority, additional]: [u16; 3]) {
        self.at += len;
        self.counts += u64::from(answer) << 32 | u64::from(authority) << 16 | u64::from(additional);
    }

    /// Shifts the pointers within the RDATA of a set that was put right behind the question, and whose owner is
    /// the question's name, or ends it, or is the wildcard that stands in for it. In all these cases pointers
    /// into the owner and pointers into the set itself move by as much: by what the name has more octets.
    #[inline(always)]
    pub fn shift_behind_question(&mut self, pointers: &[u8], owner_len: usize) -> Option<()> {
        let excess = self.question_end.checked_sub(HEADER_OCTETS + 4 + owner_len)?;
        if excess == 0 {
            return Some(());
        }
        let set = self.octets.get_mut(self.question_end..self.at)?;
        for place in pointers.as_chunks::<2>().0 {
            let pointer = set.get_mut(usize::from(u16::from_be_bytes(*place))..)?.first_chunk_mut::<2>()?;
            // Neither an offset nor what it grows by leaves 14 bits: see the assertion in `wire::sealed`.
            *pointer = (u16::from_be_bytes(*pointer) + excess as u16).to_be_bytes();
        }
        Some(())
    }

    /// Has the records from `start` on, `records` of them, belong to the name that stands at `owner_at`.
    #[inline(always)]
    pub fn set_owner(&mut self, start: usize, records: u16, owner_at: usize) -> Option<()> {
        shift_owner(self.octets, start, records, owner_at)
    }

    /// As [`Sheet::set_owner`], for the name that ends the question and has `len` octets.
    #[inline(always)]
    pub fn set_owner_to_suffix(&mut self, start: usize, records: u16, len: usize) -> Option<()> {
        let owner_at = self.question_end.checked_sub(4 + len)?;
        if owner_at == HEADER_OCTETS { Some(()) } else { self.set_owner(start, records, owner_at) }
    }

    /// Shifts a set that stands anywhere, for an owner that stands anywhere.
    #[inline]
    pub fn shift(&mut self, rrset: &SealedRrset<'_>, owner: Owner, start: usize) -> Option<()> {
        shift(self.octets, self.question_end, rrset, owner, start)
    }

    /// Ends the answer. Its octets; `None` where the asker does not take as many.
    #[inline(always)]
    pub fn finish(self, shape: &Shape, aa: u16, rcode: Rcode, udp_payload_max: u16) -> Option<usize> {
        let Sheet { octets, at: mut end, mut counts, .. } = self;
        if let Some(edns) = shape.edns() {
            // Sixteen octets cost less than eleven: what stands behind the OPT is not sent.
            *octets.get_mut(end..)?.first_chunk_mut()? = opt_padded(edns, rcode, udp_payload_max);
            end += OPT_OCTETS;
            counts += 1;
        }
        if end > UDP_PAYLOAD_PLAIN && end > shape.udp_limit(udp_payload_max.into()) {
            return None;
        }
        let [_, _, flags @ .., _, _, _, _, _, _, _, _] = octets.first_chunk_mut::<HEADER_OCTETS>()?;
        *flags = (shape.flags() & (OPCODE_MASK | RD) | QR | aa | rcode as u16 & 0x0f).to_be_bytes();
        let [_, _, _, _, rest @ ..] = octets.first_chunk_mut::<HEADER_OCTETS>()?;
        *rest = (1 << 48 | counts).to_be_bytes();
        Some(end)
    }
}

/// [`opt`](crate::wire::reply::opt), with nothing behind it.
#[inline(always)]
fn opt_padded(edns: Edns, rcode: Rcode, udp_payload_max: u16) -> [u8; 16] {
    let dnssec_ok = if edns.dnssec_ok { 0x80 } else { 0 };
    let head = u64::from(RecordType::OPT.0) << 40
        | u64::from(udp_payload_max) << 24
        | u64::from(rcode as u8 >> 4) << 16
        | dnssec_ok;
    (u128::from(head) << 64).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::key::HashSeed;
    use crate::wire::query::{Accepted, accept as accept_any};
    use proptest::prelude::*;

    fn message() -> impl Strategy<Value = Vec<u8>> {
        let label = prop::collection::vec(any::<u8>(), 1..20);
        let name = prop::collection::vec(label, 0..6).prop_map(|labels| {
            let labels = labels.into_iter().flat_map(|label| [vec![label.len() as u8], label].concat());
            labels.chain([0]).collect::<Vec<u8>>()
        });
        let opt = prop_oneof![
            Just(vec![]),
            Just(b"\0\0\x29\x04\xd0\0\0\x80\0\0\0".to_vec()),
            prop::collection::vec(any::<u8>(), 11)
        ];
        (any::<u16>(), name, any::<(u16, u16)>(), opt, 0..40usize, any::<[u8; 2]>()).prop_map(
            |(id, name, (qtype, qclass), opt, spoil, [place, value])| {
                let mut message =
                    [id.to_be_bytes(), [1, 0], [0, 1], [0, 0], [0, 0], [0, u8::from(!opt.is_empty())]]
                        .concat();
                message.extend_from_slice(&name);
                message.extend_from_slice(&qtype.to_be_bytes());
                message.extend_from_slice(&qclass.to_be_bytes());
                message.extend_from_slice(&opt);
                match spoil {
                    0 => message.truncate(usize::from(place) % message.len()),
                    1 => message.push(value),
                    2..10 => {
                        let place = usize::from(place) % message.len();
                        message[place] = value;
                    }
                    _ => {}
                }
                message
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_ordinary_is_read_as_the_general_way_reads_it(message in message(), stale in any::<u8>()) {
            let mut window = [stale; WINDOW];
            let len = message.len().min(WINDOW);
            window[..len].copy_from_slice(&message[..len]);
            let (mut short, mut long) = (NameKey::default(), NameKey::default());
            if let Some(shape) = accept(&window, message.len(), &mut short) {
                let Accepted::Query(other) = accept_any(&message, &mut long) else {
                    return Err(TestCaseError::fail("the general way refuses it"));
                };
                prop_assert_eq!(shape, other);
                prop_assert_eq!(short.as_wire(), long.as_wire());
                prop_assert_eq!(short.label_count(), long.label_count());
                let seed = HashSeed::new(*b"sixteen octets!!");
                short.hash(&seed);
                prop_assert_eq!(short.full_hash(), seed.name(long.as_wire()));
                for depth in 0..=long.label_count() {
                    prop_assert_eq!(short.suffix_at(depth), long.suffix_at(depth));
                }
            }
        }
    }

    #[test]
    fn an_ordinary_query_is_ordinary() {
        let mut window = [0xff; WINDOW];
        let message =
            b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\x01\x03wWw\x02ab\0\0\x01\0\x01\0\0\x29\x04\xd0\0\0\x80\0\0\0";
        window[..message.len()].copy_from_slice(message);
        assert!(accept(&window, message.len(), &mut NameKey::default()).is_some());
        assert!(accept(&window, message.len() - 1, &mut NameKey::default()).is_none());
        assert!(accept(&window, message.len() + 1, &mut NameKey::default()).is_none());
    }
}
