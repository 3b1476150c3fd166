//! The canonical form of RDATA (RFC 4034 §6.2): names in it lowered, for the types that RFC lists.

use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::wire::sealed::compressible_names;

/// Lowers the names in uncompressed RDATA. What is malformed stays as it is: nobody signed it so.
pub(super) fn lower(rtype: RecordType, rdata: &mut [u8]) {
    let Some((mut at, count)) = names(rtype, rdata) else { return };
    for _ in 0..count {
        let Some(len) =
            rdata.get(at..).and_then(|rest| Name::from_wire(rest).ok()).map(|n| n.as_wire().len())
        else {
            return;
        };
        // Length octets are below `A`, so the whole name can be lowered at once.
        if let Some(name) = rdata.get_mut(at..at + len) {
            name.make_ascii_lowercase();
        }
        at += len;
    }
}

/// Where the names begin, and how many follow one another. Types after RFC 3597 keep their case (its §7), and so does
/// NSEC (RFC 6840 §5.1).
fn names(rtype: RecordType, rdata: &[u8]) -> Option<(usize, usize)> {
    match rtype {
        RecordType::DNAME | RecordType::NXT => Some((0, 1)),
        RecordType::RP => Some((0, 2)),
        RecordType::AFSDB | RecordType::RT | RecordType::KX => Some((2, 1)),
        RecordType::PX => Some((2, 2)),
        RecordType::SRV => Some((6, 1)),
        RecordType::SIG => Some((18, 1)),
        RecordType::NAPTR => {
            // Two numbers, then flags, services and a regular expression as character strings (RFC 3403 §4.1).
            let mut at = 4;
            for _ in 0..3 {
                at += 1 + usize::from(*rdata.get(at)?);
            }
            Some((at, 1))
        }
        _ => compressible_names(rtype),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lowered(rtype: RecordType, rdata: &[u8]) -> Vec<u8> {
        let mut rdata = rdata.to_vec();
        lower(rtype, &mut rdata);
        rdata
    }

    #[test]
    fn names_are_lowered_and_nothing_else() {
        assert_eq!(lowered(RecordType::MX, b"AA\x01B\0"), b"AA\x01b\0");
        assert_eq!(lowered(RecordType::SRV, b"AABBCC\x01B\0"), b"AABBCC\x01b\0");
        assert_eq!(lowered(RecordType::RP, b"\x01B\0\x01C\0"), b"\x01b\0\x01c\0");
        assert_eq!(lowered(RecordType::NAPTR, b"AABB\x01S\x02EU\0\x01B\0"), b"AABB\x01S\x02EU\0\x01b\0");
        assert_eq!(lowered(RecordType::TXT, b"\x01B"), b"\x01B");
        assert_eq!(lowered(RecordType::NSEC, b"\x01B\0\0\x01\x40"), b"\x01B\0\0\x01\x40");
    }

    #[test]
    fn what_is_malformed_stays_as_it_is() {
        assert_eq!(lowered(RecordType::MX, b"A"), b"A");
        assert_eq!(lowered(RecordType::NAPTR, b"AABB\xffS"), b"AABB\xffS");
        assert_eq!(lowered(RecordType::CNAME, b"\x09AB"), b"\x09AB");
    }
}
