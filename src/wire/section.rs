//! Records read out of a message, their names written out: for people and for slow paths. Nothing on the path of a
//! query reads records.

use crate::base::octets::{u16_at, u32_at};
use crate::wire::message::HEADER_OCTETS;
use crate::wire::name::Name;
use crate::wire::rtype::{Class, RecordType};
use crate::wire::sealed::compressible_names;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whose.
    pub name: Name,
    /// Its type.
    pub rtype: RecordType,
    /// Its class.
    pub class: Class,
    /// Seconds.
    pub ttl: u32,
    /// Uncompressed.
    pub rdata: Vec<u8>,
}

/// The records of the answer section of a message with one question; `None` if it cannot be read.
pub fn answers(message: &[u8]) -> Option<Vec<Record>> {
    let count = u16_at(message, 6)?;
    let (_, end) = name_at(message, HEADER_OCTETS)?;
    let mut at = end + 4;
    let mut records = Vec::new();
    for _ in 0..count {
        let (record, end) = record_at(message, at)?;
        records.push(record);
        at = end;
    }
    Some(records)
}

fn record_at(message: &[u8], at: usize) -> Option<(Record, usize)> {
    let (name, at) = name_at(message, at)?;
    let rtype = RecordType(u16_at(message, at)?);
    let class = Class(u16_at(message, at + 2)?);
    let ttl = u32_at(message, at + 4)?;
    let start = at + 10;
    let end = start + usize::from(u16_at(message, at + 8)?);
    let plain = message.get(start..end)?;
    let rdata = match compressible_names(rtype) {
        None => plain.to_vec(),
        Some((skip, count)) => {
            let mut rdata = plain.get(..skip)?.to_vec();
            let mut at = start + skip;
            for _ in 0..count {
                let (name, end) = name_at(message, at)?;
                rdata.extend_from_slice(name.as_wire());
                at = end;
            }
            rdata.extend_from_slice(message.get(at..end)?);
            rdata
        }
    };
    Some((Record { name, rtype, class, ttl, rdata }, end))
}

/// The name at `at`, and where what follows it begins.
fn name_at(message: &[u8], at: usize) -> Option<(Name, usize)> {
    let (mut wire, mut from, mut end) = (Vec::new(), at, None);
    loop {
        let len = usize::from(*message.get(from)?);
        if len >= 0xc0 {
            let target = usize::from(u16_at(message, from)? & 0x3fff);
            end.get_or_insert(from + 2);
            // Only backwards: so it ends.
            if target >= from {
                return None;
            }
            from = target;
            continue;
        }
        let next = from + 1 + len;
        wire.extend_from_slice(message.get(from..next)?);
        from = next;
        if len == 0 {
            break;
        }
        if wire.len() > crate::base::limits::NAME_OCTETS_MAX {
            return None;
        }
    }
    let name = Name::from_wire(&wire).ok()?;
    Some((name, end.unwrap_or(from)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `a.b. MX`, answered with two records, names pointing back.
    const MESSAGE: &[u8] = b"\0\x01\x84\0\0\x01\0\x02\0\0\0\0\x01a\x01b\0\0\x0f\0\x01\
        \xc0\x0c\0\x0f\0\x01\0\0\0\x3c\0\x06\0\x0a\x01m\xc0\x0e\
        \xc0\x0c\0\x0f\0\x01\0\0\0\x3c\0\x04\0\x14\xc0\x0c";

    #[test]
    fn pointers_are_followed_in_owners_and_in_rdata() {
        let records = answers(MESSAGE).unwrap();
        assert!(records.iter().all(|record| record.name.to_string() == "a.b." && record.ttl == 60));
        let rdatas: Vec<&[u8]> = records.iter().map(|record| &record.rdata[..]).collect();
        assert_eq!(rdatas, [&b"\0\x0a\x01m\x01b\0"[..], b"\0\x14\x01a\x01b\0"]);
    }

    #[test]
    fn a_pointer_to_itself_is_no_name() {
        let mut message = MESSAGE.to_vec();
        message[21 + 1] = 21;
        assert_eq!(answers(&message), None);
    }

    proptest! {
        #[test]
        fn octets_never_make_it_panic(at in 0..MESSAGE.len(), octet: u8, len in 0..=MESSAGE.len()) {
            let mut message = MESSAGE.to_vec();
            message[at] = octet;
            let _ = answers(&message[..len]);
        }
    }
}
