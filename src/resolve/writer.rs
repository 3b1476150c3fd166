//! Writing a [`Body`]: records that are in no message, one after another, compressed as they will stand behind the
//! question. Its buffers are made once.

use crate::base::limits::MESSAGE_OCTETS_MAX;
use crate::resolve::body::{Body, ExtendedError};
use crate::wire::message::{HEADER_OCTETS, Rcode};
use crate::wire::reply::Section;
use crate::wire::rtype::{Class, RecordType};
use crate::wire::sealed::compressible_names;
use crate::wire::shift::POINTER_MAX;

/// Suffixes that are remembered as targets: more would make writing a large answer quadratic.
const PLACES_MAX: usize = 64;

/// It does not fit into a message; the record was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// A suffix of a name in the message.
struct Place {
    /// Of its lower-cased octets.
    hash: u32,
    /// Where it stands, counted from the message's start.
    at: u16,
}

/// One record to be written.
#[derive(Debug, Clone, Copy)]
pub struct Written<'r> {
    /// Whose: uncompressed wire form, in any case.
    pub owner: &'r [u8],
    /// Its type.
    pub rtype: RecordType,
    /// Seconds.
    pub ttl: u32,
    /// Names in it written out.
    pub rdata: &'r [u8],
}

/// A body in the making.
pub struct Writer {
    /// A header left empty, the question, and the records: so that places in it are those in a message.
    message: Vec<u8>,
    start: usize,
    ttls: Vec<u16>,
    counts: [u16; 3],
    section: Section,
    places: Vec<Place>,
}

impl Default for Writer {
    fn default() -> Writer {
        let places = Vec::with_capacity(PLACES_MAX);
        let (message, ttls) = (Vec::with_capacity(MESSAGE_OCTETS_MAX), Vec::with_capacity(256));
        Writer { message, start: 0, ttls, counts: [0; 3], section: Section::Answer, places }
    }
}

impl Writer {
    /// Begins the body of a question for that name, in uncompressed wire form.
    pub fn begin(&mut self, name: &[u8]) {
        self.message.clear();
        self.message.resize(HEADER_OCTETS, 0);
        self.places.clear();
        self.put_name(name);
        // Type and class.
        self.message.extend_from_slice(&[0; 4]);
        self.start = self.message.len();
        self.ttls.clear();
        self.counts = [0; 3];
        self.section = Section::Answer;
    }

    /// Goes on with that section; they come in their order.
    pub fn section(&mut self, section: Section) {
        self.section = section;
    }

    /// Adds a record of class IN to the section.
    pub fn put(&mut self, record: &Written<'_>) -> Result<(), Full> {
        let (start, places) = (self.message.len(), self.places.len());
        self.put_name(record.owner);
        self.message.extend_from_slice(&record.rtype.0.to_be_bytes());
        self.message.extend_from_slice(&Class::IN.0.to_be_bytes());
        let ttl_at = self.message.len();
        self.message.extend_from_slice(&record.ttl.to_be_bytes());
        let len_at = self.message.len();
        self.message.extend_from_slice(&[0; 2]);
        self.put_rdata(record);
        let len = u16::try_from(self.message.len() - len_at - 2);
        let (Ok(len), true) = (len, self.message.len() <= MESSAGE_OCTETS_MAX) else {
            self.message.truncate(start);
            self.places.truncate(places);
            return Err(Full);
        };
        if let Some(place) = self.message.get_mut(len_at..len_at + 2) {
            place.copy_from_slice(&len.to_be_bytes());
        }
        self.ttls.push((ttl_at - self.start) as u16);
        self.counts[self.section as usize] += 1;
        Ok(())
    }

    fn put_rdata(&mut self, record: &Written<'_>) {
        let Some((skip, count)) = compressible_names(record.rtype) else {
            return self.message.extend_from_slice(record.rdata);
        };
        let (head, mut rest) = record.rdata.split_at_checked(skip).unwrap_or((record.rdata, &[]));
        self.message.extend_from_slice(head);
        for _ in 0..count {
            let len = name_len(rest);
            let (name, behind) = rest.split_at_checked(len).unwrap_or((rest, &[]));
            self.put_name(name);
            rest = behind;
        }
        self.message.extend_from_slice(rest);
    }

    /// Writes a name: as far as possible as a pointer to where the rest of it stands already.
    fn put_name(&mut self, name: &[u8]) {
        let mut rest = name;
        while let [len @ 1..=63, ..] = rest {
            let hash = hash(rest);
            let known = self.places.iter().find(|place| place.hash == hash && self.stands_at(place.at, rest));
            if let Some(place) = known {
                let pointer = 0xc000 | place.at;
                return self.message.extend_from_slice(&pointer.to_be_bytes());
            }
            let at = self.message.len();
            if at <= POINTER_MAX && self.places.len() < PLACES_MAX {
                self.places.push(Place { hash, at: at as u16 });
            }
            let (label, behind) = rest.split_at_checked(1 + usize::from(*len)).unwrap_or((rest, &[]));
            self.message.extend_from_slice(label);
            rest = behind;
        }
        self.message.push(0);
    }

    /// True if the name that stands there is this one; case does not count.
    fn stands_at(&self, at: u16, name: &[u8]) -> bool {
        let (mut at, mut rest) = (usize::from(at), name);
        loop {
            let Some(&len) = self.message.get(at) else { return false };
            if len >= 0xc0 {
                let low = self.message.get(at + 1).copied().unwrap_or_default();
                // What this writer wrote leads backwards.
                at = usize::from(u16::from_be_bytes([len, low])) & POINTER_MAX;
                continue;
            }
            let end = 1 + usize::from(len);
            let (Some(own), Some(other)) = (self.message.get(at..at + end), rest.get(..end)) else {
                return false;
            };
            if !own.eq_ignore_ascii_case(other) {
                return false;
            }
            if len == 0 {
                return true;
            }
            at += end;
            rest = rest.get(end..).unwrap_or_default();
        }
    }

    /// The body so far.
    pub fn body(&self, rcode: Rcode, authentic: bool, error: Option<ExtendedError>) -> Body<'_> {
        let octets = self.message.get(self.start..).unwrap_or_default();
        Body { rcode, authentic, error, counts: self.counts, octets, ttls: &self.ttls }
    }
}

/// Octets of the name at the start of `octets`, its zero octet included.
fn name_len(octets: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&len @ 1..=63) = octets.get(at) {
        at += 1 + usize::from(len);
    }
    at + 1
}

/// FNV-1a: it only spares comparisons.
fn hash(name: &[u8]) -> u32 {
    name.iter().fold(0x811c_9dc5, |hash, octet| {
        (hash ^ u32::from(octet.to_ascii_lowercase())).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::name::Name;
    use crate::wire::response::Response;
    use proptest::prelude::*;

    fn name(text: &str) -> Vec<u8> {
        Name::parse(text).unwrap().as_wire().to_vec()
    }

    /// The body as a message, read again.
    fn message(writer: &Writer, question: &[u8]) -> Vec<u8> {
        let body = writer.body(Rcode::NoError, false, None);
        let counts = body.counts.map(u16::to_be_bytes).concat();
        let header = [&[0, 1, 0x80, 0, 0, 1], &counts[..]].concat();
        [&header[..], question, &[0, 1, 0, 1], body.octets].concat()
    }

    #[test]
    fn names_point_into_the_question_and_to_one_another() {
        let mut writer = Writer::default();
        let question = name("www.example.");
        // What a body before left behind does not count.
        writer.begin(&name("x.y.z."));
        writer.begin(&question);
        let put = |writer: &mut Writer, owner: &str, rtype, rdata: &[u8]| {
            writer.put(&Written { owner: &name(owner), rtype, ttl: 7, rdata }).unwrap();
        };
        put(&mut writer, "WWW.example.", RecordType::CNAME, &name("a.b.example."));
        put(&mut writer, "A.b.example.", RecordType::A, &[192, 0, 2, 1]);
        put(
            &mut writer,
            "a.b.example.",
            RecordType::SRV,
            &[&[0, 1, 0, 2, 0, 3][..], &name("b.example.")].concat(),
        );
        writer.section(Section::Authority);
        let soa = [&name("b.example.")[..], &name("."), &[0; 20]].concat();
        put(&mut writer, "example.", RecordType::SOA, &soa);
        let body = writer.body(Rcode::NoError, false, None);
        assert_eq!(body.counts, [3, 1, 0]);
        // The names of a type that is younger than RFC 1035 are written out.
        let expected: &[&[u8]] = &[
            b"\xc0\x0c\0\x05\0\x01\0\0\0\x07\0\x06\x01a\x01b\xc0\x10",
            b"\xc0\x29\0\x01\0\x01\0\0\0\x07\0\x04\xc0\0\x02\x01",
            b"\xc0\x29\0\x21\0\x01\0\0\0\x07\0\x11\0\x01\0\x02\0\x03\x01b\x07example\0",
            b"\xc0\x10\0\x06\0\x01\0\0\0\x07\0\x17\xc0\x2b\0",
            &[0; 20],
        ];
        assert_eq!(body.octets, expected.concat());
        assert!(body.ttls.iter().all(|at| body.octets[usize::from(*at)..][..4] == [0, 0, 0, 7]));
    }

    #[test]
    fn what_does_not_fit_leaves_the_body_as_it_was() {
        let mut writer = Writer::default();
        writer.begin(&name("a."));
        let record = |rdata| Written { owner: b"\x01a\0", rtype: RecordType::TXT, ttl: 1, rdata };
        let rdata = vec![0; 60_000];
        assert_eq!(writer.put(&record(&rdata)), Ok(()));
        assert_eq!(writer.put(&record(&rdata)), Err(Full));
        assert_eq!(writer.put(&record(&[1])), Ok(()));
        let body = writer.body(Rcode::NoError, false, None);
        assert_eq!((body.counts, body.ttls.len(), body.octets.len()), ([2, 0, 0], 2, 60_025));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            question in "([ab]{1,2}\\.){0,4}",
            records in prop::collection::vec(("([abAB]{1,2}\\.){0,5}", 0..4usize, "([abAB]{1,2}\\.){0,5}", any::<u32>()), 0..40),
        ) {
            let text = |text: &str| name(if text.is_empty() { "." } else { text });
            let question = text(&question);
            let mut writer = Writer::default();
            writer.begin(&question);
            let records: Vec<(Vec<u8>, RecordType, u32, Vec<u8>)> = records.iter().map(|(owner, kind, target, ttl)| {
                let (rtype, head, tail) = [(RecordType::NS, 0, 0), (RecordType::MX, 2, 0), (RecordType::SOA, 0, 20), (RecordType::SRV, 6, 0)][*kind];
                let mut rdata = vec![9; head];
                rdata.extend(text(target));
                if tail > 0 { rdata.extend(text(target)) }
                rdata.extend(vec![8; tail]);
                (text(owner), rtype, ttl & 0x7fff_ffff, rdata)
            }).collect();
            for (owner, rtype, ttl, rdata) in &records {
                writer.put(&Written { owner, rtype: *rtype, ttl: *ttl, rdata }).unwrap();
            }
            let message = message(&writer, &question);
            let response = Response::read(&message).unwrap();
            let read: Vec<_> = response.records(Section::Answer).map(|record| {
                let mut rdata = Vec::new();
                record.write_rdata(&mut rdata);
                (record.owner().as_wire().to_ascii_lowercase(), record.rtype, record.ttl, rdata.to_ascii_lowercase())
            }).collect();
            let written: Vec<_> = records.into_iter().map(|(owner, rtype, ttl, rdata)| {
                (owner.to_ascii_lowercase(), rtype, ttl, rdata.to_ascii_lowercase())
            }).collect();
            prop_assert_eq!(read, written);
        }
    }
}
