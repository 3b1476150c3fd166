//! What a member of the cluster says of a name: its answer, taken out of the message in which it came.

use crate::resolve::errand::OwnedBody;
use crate::resolve::writer::{Writer, Written};
use crate::wire::message::Rcode;
use crate::wire::reply::Section;
use crate::wire::response::Response;
use crate::wire::rtype::{Class, RecordType};

/// An answer from a member's own zone. It is told as often as it was asked for, and never kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The answer.
    pub body: OwnedBody,
    /// There is more than a datagram holds.
    pub is_truncated: bool,
}

impl Said {
    /// Reads the response of a member that was asked for that name, lower-cased in wire form, and type. `None`: it is no
    /// answer to that, or none at all.
    pub fn read(message: &[u8], (name, rtype): (&[u8], RecordType), writer: &mut Writer) -> Option<Said> {
        let response = Response::read(message)?;
        let asked = [name, &rtype.0.to_be_bytes(), &Class::IN.0.to_be_bytes()].concat();
        if !response.question().eq_ignore_ascii_case(&asked) || !response.is_authoritative() {
            return None;
        }
        let codes = [Rcode::NoError, Rcode::NxDomain, Rcode::YxDomain];
        let rcode = codes.into_iter().find(|rcode| *rcode as u16 == response.rcode())?;
        // Written anew: no pointer of somebody else's reaches an asker, and no class but ours.
        writer.begin(name);
        let mut rdata = Vec::new();
        for section in [Section::Answer, Section::Authority, Section::Additional] {
            writer.section(section);
            for record in response.records(section) {
                if record.class != Class::IN || record.rtype.is_meta() {
                    return None;
                }
                rdata.clear();
                record.write_rdata(&mut rdata);
                let owner = record.owner();
                let (owner, rtype, ttl) = (owner.as_wire(), record.rtype, record.ttl);
                writer.put(&Written { owner, rtype, ttl, rdata: &rdata }).ok()?;
            }
        }
        let body = OwnedBody::new(&writer.body(rcode, false, None), 0);
        Some(Said { body, is_truncated: response.is_truncated() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::message::{AA, QR, TC};

    const NAME: &[u8] = b"\x01a\x01z\0";

    /// A response to `a.z. A` with those flags and that many records of the answer.
    fn response(flags: u16, records: &[&[u8]]) -> Vec<u8> {
        let mut message = vec![0, 7, 0, 0, 0, 1, 0, records.len() as u8, 0, 0, 0, 0];
        message[2..4].copy_from_slice(&flags.to_be_bytes());
        message.extend_from_slice(b"\x01A\x01z\0\0\x01\0\x01");
        message.extend(records.concat());
        message
    }

    fn read(message: &[u8]) -> Option<Said> {
        Said::read(message, (NAME, RecordType::A), &mut Writer::default())
    }

    const ADDRESS: &[u8] = b"\xc0\x0c\0\x01\0\x01\0\0\0\x07\0\x04\xc0\0\x02\x01";

    #[test]
    fn an_answer_is_taken_out_with_its_ttl_and_told_if_there_is_more() {
        for flags in [QR | AA, QR | AA | TC] {
            let said = read(&response(flags, &[ADDRESS])).unwrap();
            let body = said.body.body();
            let records = body.records(NAME, RecordType::A, Section::Answer);
            assert_eq!((body.counts, body.rcode, said.body.ttl), ([1, 0, 0], Rcode::NoError, 0));
            assert_eq!((records[0].ttl, &records[0].rdata[..]), (7, &[192, 0, 2, 1][..]));
            assert_eq!(said.is_truncated, flags & TC != 0);
        }
        let absent = read(&response(QR | AA | Rcode::NxDomain as u16, &[])).unwrap();
        assert_eq!(absent.body.body().rcode, Rcode::NxDomain);
    }

    #[test]
    fn what_does_not_answer_the_question_with_authority_is_nothing() {
        let good = response(QR | AA, &[ADDRESS]);
        assert!(read(&good).is_some());
        assert_eq!(read(&response(QR, &[ADDRESS])), None);
        assert_eq!(read(&response(AA, &[ADDRESS])), None);
        for rcode in [Rcode::ServFail, Rcode::Refused, Rcode::NotImp] {
            assert_eq!(read(&response(QR | AA | rcode as u16, &[])), None, "{rcode}");
        }
        for len in 0..good.len() {
            assert_eq!(read(&good[..len]), None, "{len} octets");
        }
        let mut other = good.clone();
        other[13] = b'b';
        assert_eq!(read(&other), None);
        // A question of another type or class, a record of another class, and one that is none.
        for (at, octet) in [(18, 28), (20, 3), (26, 3), (24, 41)] {
            let mut other = good.clone();
            other[at] = octet;
            assert_eq!(read(&other), None, "octet {at}");
        }
    }
}
