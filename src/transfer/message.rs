//! Messages about zones that this server asks or tells itself: SOA, AXFR and IXFR questions, NOTIFY; and short answers.

use crate::base::octets::u16_at;
use crate::wire::message::{AA, HEADER_OCTETS};
use crate::wire::name::Name;
use crate::wire::rtype::{Class, RecordType};

/// The opcode of NOTIFY within the flags (RFC 1996 §3.3).
pub const NOTIFY: u16 = 4 << 11;

/// A question about a zone, of a type; for IXFR `soa` is the RDATA of the SOA at hand (RFC 1995 §3).
pub fn question(id: u16, origin: &Name, qtype: RecordType, soa: Option<&[u8]>) -> Vec<u8> {
    let mut message = head(id, 0, origin, qtype);
    if let Some(soa) = soa {
        message[9] = 1;
        record(&mut message, soa);
    }
    message
}

/// A NOTIFY that tells of an SOA (RFC 1996 §3.7).
pub fn notify(id: u16, origin: &Name, soa: &[u8]) -> Vec<u8> {
    let mut message = head(id, NOTIFY | AA, origin, RecordType::SOA);
    message[7] = 1;
    record(&mut message, soa);
    message
}

fn head(id: u16, flags: u16, origin: &Name, qtype: RecordType) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADER_OCTETS + 300);
    for field in [id, flags, 1, 0, 0, 0] {
        message.extend_from_slice(&field.to_be_bytes());
    }
    message.extend_from_slice(origin.as_wire());
    message.extend_from_slice(&qtype.0.to_be_bytes());
    message.extend_from_slice(&Class::IN.0.to_be_bytes());
    message
}

/// The SOA of the apex that was asked about.
fn record(message: &mut Vec<u8>, soa: &[u8]) {
    message.extend_from_slice(&(0xc000 | HEADER_OCTETS as u16).to_be_bytes());
    message.extend_from_slice(&RecordType::SOA.0.to_be_bytes());
    message.extend_from_slice(&Class::IN.0.to_be_bytes());
    message.extend_from_slice(&0u32.to_be_bytes());
    message.extend_from_slice(&(soa.len() as u16).to_be_bytes());
    message.extend_from_slice(soa);
}

/// True if the message repeats id, opcode and question of what was asked, as its answer has to.
pub fn is_answer_to(asked: &[u8], message: &[u8]) -> bool {
    let question_len = asked.get(HEADER_OCTETS..).map_or(0, |rest| crate::wire::sealed::wire_len(rest) + 4);
    let end = HEADER_OCTETS + question_len;
    let fields = |message: &[u8]| Some((u16_at(message, 0)?, u16_at(message, 2)? & 0x7800));
    let is_response = u16_at(message, 2).is_some_and(|flags| flags & 0x8000 != 0);
    is_response
        && fields(asked) == fields(message)
        && u16_at(message, 4) == Some(1)
        && match (asked.get(HEADER_OCTETS..end), message.get(HEADER_OCTETS..end)) {
            (Some(asked), Some(said)) => asked.eq_ignore_ascii_case(said),
            _ => false,
        }
}
