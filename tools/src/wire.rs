//! As much of the DNS message format as load needs: questions out, answers looked at.
//!
//! Written apart from the server's own codec on purpose: what checks the server must not share its mistakes.

/// Octets of a message header (RFC 1035 §4.1.1).
pub(crate) const HEADER: usize = 12;
/// The most compression pointers followed for one name: each must point backwards, a name has ≤ 127 labels.
const POINTERS_MAX: usize = 128;

/// The record types that the generators use, and their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
#[allow(missing_docs)]
pub(crate) enum Type {
    A = 1,
    Ns = 2,
    Cname = 5,
    Soa = 6,
    Mx = 15,
    Txt = 16,
    Aaaa = 28,
    Srv = 33,
}

impl Type {
    /// The type's name in master files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Type::A => "A",
            Type::Ns => "NS",
            Type::Cname => "CNAME",
            Type::Soa => "SOA",
            Type::Mx => "MX",
            Type::Txt => "TXT",
            Type::Aaaa => "AAAA",
            Type::Srv => "SRV",
        }
    }
}

/// The EDNS part of a query (RFC 6891).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edns {
    /// The UDP payload size announced.
    pub(crate) payload: u16,
    /// The DO flag.
    pub(crate) dnssec_ok: bool,
}

/// Appends a query for an absolute name in plain text (letters, digits, `-`, `_`, `*`; no escapes), with id 0.
pub(crate) fn write_query(out: &mut Vec<u8>, name: &str, rtype: Type, edns: Option<Edns>) {
    let additional = u8::from(edns.is_some());
    out.extend_from_slice(&[0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, additional]);
    for label in name.trim_end_matches('.').split('.').filter(|label| !label.is_empty()) {
        debug_assert!(label.len() <= 63);
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out.extend_from_slice(&(rtype as u16).to_be_bytes());
    out.extend_from_slice(&1u16.to_be_bytes());
    if let Some(edns) = edns {
        let [high, low] = edns.payload.to_be_bytes();
        let flags = if edns.dnssec_ok { 0x80 } else { 0 };
        out.extend_from_slice(&[0, 0, 41, high, low, 0, 0, flags, 0, 0, 0]);
    }
}

/// Sets RD in a query (RFC 1035 §4.1.1).
pub(crate) fn desire_recursion(query: &mut [u8]) {
    if let Some(flags) = query.get_mut(2) {
        *flags |= 1;
    }
}

/// The header of a message, unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// The id.
    pub(crate) id: u16,
    /// QR: this is a response.
    pub(crate) response: bool,
    /// The opcode.
    pub(crate) opcode: u8,
    /// AA: the answer is authoritative.
    pub(crate) authoritative: bool,
    /// TC: the answer was cut short.
    pub(crate) truncated: bool,
    /// The response code, without EDNS's upper bits.
    pub(crate) rcode: u8,
    /// Counts of the question, answer, authority and additional sections.
    pub(crate) counts: [u16; 4],
}

impl Header {
    /// The header of a message; `None` if the message is shorter than one.
    #[inline]
    pub(crate) fn parse(message: &[u8]) -> Option<Header> {
        let head = message.first_chunk::<HEADER>()?;
        let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        Some(Header {
            id: word(0),
            response: head[2] & 0x80 != 0,
            opcode: head[2] >> 3 & 0x0f,
            authoritative: head[2] & 0x04 != 0,
            truncated: head[2] & 0x02 != 0,
            rcode: head[3] & 0x0f,
            counts: [word(4), word(6), word(8), word(10)],
        })
    }
}

/// Walks the whole message; true if every name, question and record lies within it and nothing follows them.
pub(crate) fn is_well_formed(message: &[u8]) -> bool {
    walk(message).is_some_and(|end| end == message.len())
}

/// The type of the last record of the answer section; `None` if there is none, or the message is malformed up to there.
pub(crate) fn last_answer_type(message: &[u8]) -> Option<u16> {
    let [questions, answers, ..] = Header::parse(message)?.counts;
    let mut at = HEADER;
    for _ in 0..questions {
        at = skip_name(message, at)? + 4;
    }
    let mut last = None;
    for _ in 0..answers {
        let fixed = skip_name(message, at)?;
        let head = message.get(fixed..fixed + 10)?;
        last = Some(u16::from_be_bytes([head[0], head[1]]));
        at = fixed + 10 + usize::from(u16::from_be_bytes([head[8], head[9]]));
    }
    last.filter(|_| at <= message.len())
}

/// Where the last record ends; `None` if one reaches beyond the message or a name is malformed.
fn walk(message: &[u8]) -> Option<usize> {
    let header = Header::parse(message)?;
    let [questions, records @ ..] = header.counts;
    let mut at = HEADER;
    for _ in 0..questions {
        at = skip_name(message, at)? + 4;
    }
    for _ in 0..records.iter().map(|&count| u32::from(count)).sum::<u32>() {
        let fixed = skip_name(message, at)?;
        let length = message.get(fixed + 8..fixed + 10)?;
        at = fixed + 10 + usize::from(u16::from_be_bytes([length[0], length[1]]));
    }
    (at <= message.len()).then_some(at)
}

/// The offset behind the name at `at`, whose pointers have been followed to the root.
fn skip_name(message: &[u8], at: usize) -> Option<usize> {
    let (mut here, mut behind, mut octets) = (at, None, 0);
    for _ in 0..POINTERS_MAX + 128 {
        let length = usize::from(*message.get(here)?);
        match length {
            0 => return Some(behind.unwrap_or(here + 1)),
            1..=63 => {
                octets += 1 + length;
                here += 1 + length;
            }
            192.. => {
                let target = (length & 0x3f) << 8 | usize::from(*message.get(here + 1)?);
                behind = behind.or(Some(here + 2));
                if target >= here {
                    return None;
                }
                here = target;
            }
            _ => return None,
        }
        if octets > 254 {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(edns: Option<Edns>) -> Vec<u8> {
        let mut out = Vec::new();
        write_query(&mut out, "www.example.test.", Type::Aaaa, edns);
        out
    }

    #[test]
    fn a_query_is_laid_out_as_the_rfc_says() {
        let plain = query(None);
        assert_eq!(&plain[..12], [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(&plain[12..], b"\x03www\x07example\x04test\x00\x00\x1c\x00\x01");
        let edns = query(Some(Edns { payload: 1232, dnssec_ok: true }));
        assert_eq!(&edns[plain.len()..], [0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0]);
        assert!(is_well_formed(&plain) && is_well_formed(&edns));
    }

    #[test]
    fn cut_and_padded_messages_are_not_well_formed() {
        let mut message = query(Some(Edns { payload: 1232, dnssec_ok: false }));
        for cut in 0..message.len() {
            assert!(!is_well_formed(&message[..cut]), "cut at {cut}");
        }
        message.push(0);
        assert!(!is_well_formed(&message));
    }

    #[test]
    fn the_last_answer_is_found_behind_a_question_and_without_one() {
        let record = |rtype: u8| [0, 0, rtype, 0, 1, 0, 0, 0, 1, 0, 2, 10, 0];
        let mut message = query(None);
        message[7] = 2;
        message.extend([record(1), record(6)].concat());
        assert_eq!(last_answer_type(&message), Some(6));
        assert_eq!(last_answer_type(&message[..message.len() - 1]), None);
        let bare = [&[0; 7][..], &[1, 0, 0, 0, 0], &record(2)].concat();
        assert_eq!(last_answer_type(&bare), Some(2));
        assert_eq!(last_answer_type(&query(None)), None);
    }

    #[test]
    fn pointers_must_lead_backwards() {
        let mut message = query(None);
        message[7] = 1;
        let record = |pointer: u8| [0xc0, pointer, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 10, 0, 0, 1];
        let good = [message.as_slice(), &record(12)].concat();
        assert!(is_well_formed(&good));
        let loops = [message.as_slice(), &record(message.len() as u8)].concat();
        assert!(!is_well_formed(&loops));
    }
}
