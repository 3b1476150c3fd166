//! Accepting a message as a query: header first, then the one question, then what the additional section asks.
//!
//! What is accepted as a query cannot be malformed; what is not gets one short answer or silence. Nothing is
//! allocated.

use crate::base::limits::UDP_PAYLOAD_PLAIN;
use crate::base::octets::{u16_at, u32_at};
use crate::wire::key::NameKey;
use crate::wire::message::{HEADER_OCTETS, OPCODE_MASK, QR, RD, Rcode};
use crate::wire::rtype::{Class, RecordType};

/// What EDNS says of the asker (RFC 6891 §6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edns {
    /// Octets of UDP payload the asker can take, as it said.
    pub udp_payload: u16,
    /// The asker wants DNSSEC records (RFC 3225).
    pub dnssec_ok: bool,
    /// The asker wants to know which server answers (RFC 5001).
    pub nsid: bool,
}

/// What reading a message found: where things stand in it. Together with the message it is a [`Query`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    flags: u16,
    /// Where the question ends; `HEADER_OCTETS` if it could not be read.
    question_end: u16,
    qtype: RecordType,
    qclass: Class,
    edns: Option<Edns>,
}

/// A message and its shape: what any answer to it repeats and heeds.
#[derive(Debug, Clone, Copy)]
pub struct Query<'p> {
    message: &'p [u8],
    shape: Shape,
}

/// What to do with a message.
#[derive(Debug, Clone, Copy)]
pub enum Accepted {
    /// Answer it: it is well formed and has exactly one question.
    Query(Shape),
    /// It is about a zone as such, or signed: NOTIFY, UPDATE, IXFR, whatever carries TSIG. It has exactly one question; of the
    /// records behind it nothing is known but that there are as many as it says.
    Special(Shape),
    /// Answer with an error; the question is there if it could be read.
    Refuse(Shape, Rcode),
    /// Say nothing: too short for a header, or itself a response (answering those makes loops).
    Ignore,
}

impl Shape {
    /// `question_end` is where in the message the question ends.
    #[inline(always)]
    pub(crate) fn new(
        flags: u16,
        question_end: u16,
        qtype: RecordType,
        qclass: Class,
        edns: Option<Edns>,
    ) -> Shape {
        Shape { flags, question_end, qtype, qclass, edns }
    }

    /// Where in the message the question ends.
    #[inline(always)]
    pub(crate) fn question_end(&self) -> u16 {
        self.question_end
    }

    /// The flags of the message.
    #[inline(always)]
    pub fn flags(&self) -> u16 {
        self.flags
    }

    /// What EDNS said, if it was there.
    #[inline(always)]
    pub fn edns(&self) -> Option<Edns> {
        self.edns
    }

    /// Octets that a UDP answer may have: what the asker can take, at least 512 (RFC 6891 §6.2.3), at most
    /// what this server sends.
    #[inline(always)]
    pub fn udp_limit(&self, udp_payload_max: usize) -> usize {
        match self.edns {
            Some(edns) => usize::from(edns.udp_payload).clamp(UDP_PAYLOAD_PLAIN, udp_payload_max),
            None => UDP_PAYLOAD_PLAIN,
        }
    }

    /// The query of this shape; `message` is the one that [`accept`] read.
    #[inline(always)]
    pub fn of<'p>(self, message: &'p [u8]) -> Query<'p> {
        Query { message, shape: self }
    }

    /// The type asked for.
    #[inline]
    pub fn qtype(&self) -> RecordType {
        self.qtype
    }

    /// The class asked for.
    #[inline]
    pub fn qclass(&self) -> Class {
        self.qclass
    }
}

impl<'p> Query<'p> {
    /// The header and the question as they came, the question in its own case.
    #[inline]
    pub fn header_and_question(&self) -> &'p [u8] {
        self.message.get(..usize::from(self.shape.question_end)).unwrap_or_default()
    }

    /// The flags of the message.
    #[inline]
    pub fn flags(&self) -> u16 {
        self.shape.flags
    }

    /// What EDNS said, if it was there.
    #[inline]
    pub fn edns(&self) -> Option<Edns> {
        self.shape.edns
    }

    /// See [`Shape::udp_limit`].
    #[inline]
    pub fn udp_limit(&self, udp_payload_max: usize) -> usize {
        self.shape.udp_limit(udp_payload_max)
    }

    /// The type asked for.
    #[inline]
    pub fn qtype(&self) -> RecordType {
        self.shape.qtype
    }

    /// The class asked for.
    #[inline]
    pub fn qclass(&self) -> Class {
        self.shape.qclass
    }

    /// The number by which its asker knows the answer; another one for each query.
    pub fn id(&self) -> u16 {
        match self.message.first_chunk::<2>() {
            Some(id) => u16::from_be_bytes(*id),
            None => 0,
        }
    }

    /// True if DNSSEC records are wanted.
    #[inline]
    pub fn dnssec_ok(&self) -> bool {
        self.shape.edns.is_some_and(|edns| edns.dnssec_ok)
    }

    /// True if recursion is desired.
    #[inline]
    pub fn recursion_desired(&self) -> bool {
        self.shape.flags & RD != 0
    }
}

/// Reads a message. The name asked for is left in `key`, lower-cased, not yet hashed; `key` says nothing
/// where the outcome is not [`Accepted::Query`].
#[inline]
pub fn accept(message: &[u8], key: &mut NameKey) -> Accepted {
    let Some((header, rest)) = message.split_first_chunk::<HEADER_OCTETS>() else { return Accepted::Ignore };
    let flags = u16::from_be_bytes([header[2], header[3]]);
    if flags & QR != 0 {
        return Accepted::Ignore;
    }
    let mut shape = Shape {
        flags,
        question_end: HEADER_OCTETS as u16,
        qtype: RecordType(0),
        qclass: Class(0),
        edns: None,
    };
    let [_, _, _, _, counts @ ..] = *header;
    let counts = u64::from_be_bytes(counts);
    let additional = counts as u16;
    let tail = if counts >> 48 == 1 { read_question(rest, key, &mut shape) } else { None };
    if flags & OPCODE_MASK != 0 || (shape.qtype == RecordType::IXFR && counts >> 16 == 1 << 32 | 1) {
        return accept_rare(message, shape, counts, tail);
    }
    // Exactly one question (RFC 9619), nothing yet in answer or authority.
    let Some(tail) = tail.filter(|_| counts >> 16 == 1 << 32) else {
        return Accepted::Refuse(shape, Rcode::FormErr);
    };
    match (additional, tail) {
        (0, []) => return Accepted::Query(shape),
        // By far the most frequent additional section: a bare OPT of version 0.
        (1, &[0, 0, 41, size_high, size_low, _, 0, flags, _, 0, 0]) => {
            let udp_payload = u16::from_be_bytes([size_high, size_low]);
            shape.edns = Some(Edns { udp_payload, dnssec_ok: flags & 0x80 != 0, nsid: false });
            return Accepted::Query(shape);
        }
        _ => {}
    }
    match read_additional(message, message.len() - tail.len(), additional) {
        Ok(edns) => {
            shape.edns = edns;
            Accepted::Query(shape)
        }
        Err((edns, Fault::Signed)) => {
            shape.edns = edns;
            Accepted::Special(shape)
        }
        Err((edns, Fault::Told(rcode))) => {
            shape.edns = edns;
            Accepted::Refuse(shape, rcode)
        }
    }
}

/// Reads what is neither a standard query nor without records before the additional section: NOTIFY (RFC 1996), which may
/// tell the SOA, IXFR, which has to (RFC 1995 §3), and UPDATE, whose question is its zone (RFC 2136 §2.3).
#[cold]
fn accept_rare(message: &[u8], mut shape: Shape, counts: u64, tail: Option<&[u8]>) -> Accepted {
    const QUERY_NOTIFY_UPDATE: [u16; 3] = [0, 4 << 11, 5 << 11];
    if !QUERY_NOTIFY_UPDATE.contains(&(shape.flags & OPCODE_MASK)) {
        return Accepted::Refuse(shape, Rcode::NotImp);
    }
    let before = (counts >> 32) as u16 as usize + (counts >> 16) as u16 as usize;
    let records = tail.and_then(|tail| {
        (0..before).try_fold(message.len() - tail.len(), |at, _| {
            let fixed = skip_name(message, at)?;
            Some(fixed + 10 + usize::from(u16_at(message, fixed + 8)?))
        })
    });
    let Some(additional_at) = records.filter(|at| *at <= message.len()) else {
        return Accepted::Refuse(shape, Rcode::FormErr);
    };
    match read_additional(message, additional_at, counts as u16) {
        Ok(edns) | Err((edns, Fault::Signed)) => {
            shape.edns = edns;
            Accepted::Special(shape)
        }
        Err((edns, Fault::Told(rcode))) => {
            shape.edns = edns;
            Accepted::Refuse(shape, rcode)
        }
    }
}

/// Reads the question; what follows it.
#[inline(always)]
fn read_question<'p>(rest: &'p [u8], key: &mut NameKey, shape: &mut Shape) -> Option<&'p [u8]> {
    let name_len = key.read(rest)?;
    let (&[t1, t0, c1, c0], tail) = rest.get(name_len..)?.split_first_chunk::<4>()?;
    shape.qtype = RecordType(u16::from_be_bytes([t1, t0]));
    shape.qclass = Class(u16::from_be_bytes([c1, c0]));
    shape.question_end = (HEADER_OCTETS + name_len + 4) as u16;
    Some(tail)
}

/// Why a query is no ordinary one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It is signed (RFC 8945): who has the keys is to look at it.
    Signed,
    /// This is wrong with it.
    Told(Rcode),
}

type AdditionalFault = (Option<Edns>, Fault);

/// Reads any additional section: at most one OPT (RFC 6891 §6.1.1), then nothing more. The fault carries what
/// EDNS had said before it.
fn read_additional(message: &[u8], start: usize, count: u16) -> Result<Option<Edns>, AdditionalFault> {
    let (mut at, mut edns, mut bad_version) = (start, None, false);
    for index in 0..count {
        let fault = (edns, Fault::Told(Rcode::FormErr));
        let root = message.get(at) == Some(&0);
        at = skip_name(message, at).ok_or(fault)?;
        let rtype = RecordType(u16_at(message, at).ok_or(fault)?);
        let class = u16_at(message, at + 2).ok_or(fault)?;
        let ttl = u32_at(message, at + 4).ok_or(fault)?;
        let rdata_len = usize::from(u16_at(message, at + 8).ok_or(fault)?);
        let rdata = message.get(at + 10..at + 10 + rdata_len).ok_or(fault)?;
        at += 10 + rdata_len;
        match rtype {
            RecordType::OPT => {
                if !root || edns.is_some() {
                    return Err(fault);
                }
                let mut found = Edns { udp_payload: class, dnssec_ok: ttl & 0x8000 != 0, nsid: false };
                edns = Some(found);
                bad_version = (ttl >> 16) & 0xff != 0;
                // A version not known may shape its options otherwise.
                if !bad_version {
                    found.nsid = asks_nsid(rdata).ok_or((edns, Fault::Told(Rcode::FormErr)))?;
                    edns = Some(found);
                }
            }
            // TSIG is the last record or the message is malformed (RFC 8945 §5.1).
            RecordType::TSIG if index + 1 == count && at == message.len() && !bad_version => {
                return Err((edns, Fault::Signed));
            }
            RecordType::TSIG if index + 1 == count && at == message.len() => break,
            RecordType::TSIG => return Err(fault),
            _ => {}
        }
    }
    if at != message.len() {
        return Err((edns, Fault::Told(Rcode::FormErr)));
    }
    if bad_version {
        return Err((edns, Fault::Told(Rcode::BadVers)));
    }
    Ok(edns)
}

/// True if NSID is among the options; `None` if the options are malformed.
#[inline]
fn asks_nsid(mut options: &[u8]) -> Option<bool> {
    const NSID: u16 = 3;
    let mut found = false;
    while !options.is_empty() {
        let code = u16_at(options, 0)?;
        let len = usize::from(u16_at(options, 2)?);
        found |= code == NSID;
        options = options.get(4 + len..)?;
    }
    Some(found)
}

/// The place after the name at `at`, which may end in a compression pointer; where that leads is not looked at.
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            len @ 1..=63 => at += 1 + usize::from(len),
            0xc0.. => return (at + 2 <= message.len()).then_some(at + 2),
            64..=0xbf => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &[u8] = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x03wWw\x02ab\0\0\x01\0\x01";

    fn verdict(message: &[u8]) -> String {
        match accept(message, &mut NameKey::default()) {
            Accepted::Query(shape) => {
                let query = shape.of(message);
                format!("{} {} {:?}", query.qclass(), query.qtype(), query.edns())
            }
            Accepted::Refuse(shape, rcode) => {
                format!("{rcode} {}", shape.of(message).header_and_question().len())
            }
            Accepted::Special(shape) => format!("special {}", shape.qtype()),
            Accepted::Ignore => "ignore".into(),
        }
    }

    fn with(change: impl Fn(&mut Vec<u8>)) -> String {
        let mut message = PLAIN.to_vec();
        change(&mut message);
        verdict(&message)
    }

    fn with_additional(count: u8, octets: &[u8]) -> String {
        with(|m| {
            m[11] = count;
            m.extend_from_slice(octets);
        })
    }

    const OPT: &[u8] = b"\0\0\x29\x04\xd0\0\0\x80\0\0\0";

    #[test]
    fn a_plain_query_is_accepted() {
        assert_eq!(verdict(PLAIN), "IN A None");
        let mut key = NameKey::default();
        accept(PLAIN, &mut key);
        assert_eq!(key.as_wire(), b"\x03www\x02ab\0");
    }

    #[test]
    fn responses_and_scraps_get_no_answer() {
        assert_eq!(with(|m| m[2] |= 0x80), "ignore");
        assert_eq!(verdict(&PLAIN[..11]), "ignore");
        assert_eq!(verdict(b""), "ignore");
    }

    #[test]
    fn other_opcodes_are_not_implemented() {
        for opcode in (1..16u8).filter(|opcode| ![4, 5].contains(opcode)) {
            assert_eq!(with(|m| m[2] |= opcode << 3), "NOTIMP 24");
        }
    }

    #[test]
    fn what_is_malformed_gets_formerr_and_its_question_where_there_is_one() {
        assert_eq!(with(|m| m[5] = 0), "FORMERR 12");
        assert_eq!(with(|m| m[5] = 2), "FORMERR 12");
        assert_eq!(with(|m| m[7] = 1), "FORMERR 24");
        assert_eq!(with(|m| m[9] = 1), "FORMERR 24");
        assert_eq!(with(|m| m.truncate(23)), "FORMERR 12");
        assert_eq!(with(|m| m.push(0)), "FORMERR 24");
        assert_eq!(with(|m| m[12] = 0xc0), "FORMERR 12");
        assert_eq!(with(|m| m[11] = 1), "FORMERR 24");
    }

    #[test]
    fn edns_is_read() {
        assert_eq!(
            with_additional(1, OPT),
            "IN A Some(Edns { udp_payload: 1232, dnssec_ok: true, nsid: false })"
        );
        assert_eq!(
            with_additional(1, b"\0\0\x29\x04\xd0\0\0\0\0\0\x04\0\x03\0\0"),
            "IN A Some(Edns { udp_payload: 1232, dnssec_ok: false, nsid: true })"
        );
        assert_eq!(with_additional(1, b"\0\0\x29\x04\xd0\0\x01\0\0\0\0"), "BADVERS 24");
        assert_eq!(with_additional(2, &[OPT, OPT].concat()), "FORMERR 24");
        assert_eq!(with_additional(1, b"\x01a\0\0\x29\x04\xd0\0\0\0\0\0\0"), "FORMERR 24");
        assert_eq!(with_additional(1, b"\0\0\x29\x04\xd0\0\0\0\0\0\x04\0\x03\0\x09"), "FORMERR 24");
        assert_eq!(with_additional(1, &OPT[..10]), "FORMERR 24");
    }

    #[test]
    fn news_and_questions_for_changes_may_carry_an_soa() {
        let soa = b"\xc0\x0c\0\x06\0\x01\0\0\0\0\0\x16\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        let notify = |records: u8, octets: &[u8]| {
            with(|m| {
                (m[2], m[7]) = (4 << 3, records);
                m.extend_from_slice(octets);
            })
        };
        assert_eq!(notify(0, b""), "special A");
        assert_eq!(notify(1, soa), "special A");
        assert_eq!(notify(1, &soa[..20]), "FORMERR 24");
        assert_eq!(notify(0, soa), "FORMERR 24");
        let ixfr = |authority: u8, octets: &[u8]| {
            with(|m| {
                (m[9], m[21]) = (authority, 251);
                m.extend_from_slice(octets);
            })
        };
        assert_eq!(ixfr(1, soa), "special IXFR");
        assert_eq!(ixfr(0, b""), "IN IXFR None");
        assert_eq!(ixfr(2, &[&soa[..], soa].concat()), "FORMERR 24");
        assert_eq!(ixfr(1, b""), "FORMERR 24");
    }

    #[test]
    fn an_update_has_its_zone_for_a_question_and_any_records() {
        let update = |prerequisites: u8, instructions: u8, octets: &[u8]| {
            with(|m| {
                (m[2], m[7], m[9], m[21]) = (5 << 3, prerequisites, instructions, 6);
                m.extend_from_slice(octets);
            })
        };
        let record = b"\xc0\x0c\0\xff\0\xff\0\0\0\0\0\0";
        assert_eq!(update(0, 0, b""), "special SOA");
        assert_eq!(update(1, 1, &[&record[..], record].concat()), "special SOA");
        assert_eq!(update(1, 1, record), "FORMERR 24");
        assert_eq!(update(0, 1, &[&record[..], b"\0"].concat()), "FORMERR 24");
        assert_eq!(with(|m| (m[2], m[5]) = (5 << 3, 0)), "FORMERR 12");
    }

    #[test]
    fn a_signed_query_is_for_those_who_have_the_keys() {
        let tsig = b"\x01k\0\0\xfa\0\xff\0\0\0\0\0\0";
        assert_eq!(with_additional(1, tsig), "special A");
        let bad_version = [b"\0\0\x29\x04\xd0\0\x01\0\0\0\0", &tsig[..]].concat();
        assert_eq!(with_additional(2, &bad_version), "BADVERS 24");
        assert_eq!(with_additional(2, &[&tsig[..], OPT].concat()), "FORMERR 24");
    }
}
