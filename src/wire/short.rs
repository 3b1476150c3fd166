//! The ordinary query, and the ordinary answer to it: the same as [`accept`](crate::wire::query::accept) and
//! [`Reply`](crate::wire::reply::Reply) would make, in fewer instructions.
//!
//! Ordinary is: one question for a name of at most 64 octets, nothing else or a bare OPT of version 0; answered
//! by one set that was sealed for this very name. All of it lies within a window of known size at the start of
//! its buffer, so that it is copied and read without asking how long it is. Whatever is not ordinary is left to
//! the general way, which must give the same answer: a test holds one against the other.

use crate::base::limits::UDP_PAYLOAD_PLAIN;
use crate::wire::key::NameKey;
use crate::wire::message::Rcode;
use crate::wire::message::{AA, HEADER_OCTETS, OPCODE_MASK, QR, RD};
use crate::wire::query::{Edns, Shape};
use crate::wire::reply::{OPT_OCTETS, opt};
use crate::wire::rtype::{Class, RecordType};
use crate::wire::sealed::SealedRrset;

/// Octets of the window. Header, name, type and class and OPT take 91; an offset of seven bits, behind the
/// header and with OPT behind it, still lies within.
pub const WINDOW: usize = 160;
/// The start of the window that an answer repeats.
const COPIED: usize = 96;
/// Octets of the longest ordinary name, the root's zero octet included.
pub const NAME_OCTETS: usize = 64;
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
    let (&[t1, t0, c1, c0], tail) = rest.get(name_len..)?.split_first_chunk::<4>()?;
    let question_end = HEADER_OCTETS + name_len + 4;
    let additional = u16::from_be_bytes([additional_high, additional_low]);
    let edns = match (additional, len.wrapping_sub(question_end)) {
        (0, 0) => None,
        (1, OPT_OCTETS) => match *tail.first_chunk::<OPT_OCTETS>()? {
            [0, 0, 41, size_high, size_low, _, 0, flags, _, 0, 0] => Some(Edns {
                udp_payload: u16::from_be_bytes([size_high, size_low]),
                dnssec_ok: flags & 0x80 != 0,
                nsid: false,
            }),
            _ => return None,
        },
        _ => return None,
    };
    let flags = u16::from_be_bytes([header[2], header[3]]);
    let (qtype, qclass) = (RecordType(u16::from_be_bytes([t1, t0])), Class(u16::from_be_bytes([c1, c0])));
    Some(Shape::new(flags, question_end as u16, qtype, qclass, edns))
}

/// Writes the answer to the ordinary query of that shape in that window: one set, sealed for its name. The
/// octets of the answer; `None`, and nothing written that counts, where it does not fit.
#[inline(always)]
pub fn answer(
    octets: &mut [u8],
    window: &[u8; WINDOW],
    shape: &Shape,
    rrset: &SealedRrset<'_>,
    udp_payload_max: u16,
) -> Option<usize> {
    let set_at = usize::from(shape.question_end());
    let set_end = set_at + rrset.octets.len();
    let end = set_end + if shape.edns().is_some() { OPT_OCTETS } else { 0 };
    if (end > UDP_PAYLOAD_PLAIN && end > shape.udp_limit(udp_payload_max.into())) || set_at != rrset.base() {
        return None;
    }
    *octets.first_chunk_mut::<COPIED>()? = *window.first_chunk()?;
    octets.get_mut(set_at..set_end)?.copy_from_slice(rrset.octets);
    let mut additional = 0;
    if let Some(edns) = shape.edns() {
        *octets.get_mut(set_end..)?.first_chunk_mut()? = opt(edns, Rcode::NoError, udp_payload_max);
        additional = 1;
    }
    let [flags_high, flags_low] = (shape.flags() & (OPCODE_MASK | RD) | QR | AA).to_be_bytes();
    let [records_high, records_low] = rrset.records.to_be_bytes();
    let [_, _, rest @ ..] = octets.first_chunk_mut::<HEADER_OCTETS>()?;
    *rest = [flags_high, flags_low, 0, 1, records_high, records_low, 0, 0, 0, additional];
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;
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
