//! A response of another name server, read once as a whole: what comes out cannot be malformed, so that every later
//! access yields something. Nothing is allocated but where names and RDATA are written out.

use crate::base::limits::NAME_OCTETS_MAX;
use crate::base::octets::{u16_at, u32_at};
use crate::wire::message::{AA, AD, HEADER_OCTETS, OPCODE_MASK, QR, TC};
use crate::wire::name::Name;
use crate::wire::reply::Section;
use crate::wire::rtype::{Class, RecordType};
use crate::wire::sealed::{RECORD_FIXED_OCTETS, compressible_names};

/// Octets behind the two names of an SOA: five numbers (RFC 1035 §3.3.13).
const SOA_TAIL_OCTETS: usize = 20;

/// A well-formed response with exactly one question.
#[derive(Debug, Clone, Copy)]
pub struct Response<'m> {
    message: &'m [u8],
    flags: u16,
    rcode: u16,
    has_edns: bool,
    question_end: usize,
    counts: [u16; 3],
    /// Where the three sections begin.
    starts: [usize; 3],
}

/// A record, where it stands in a response.
#[derive(Debug, Clone, Copy)]
pub struct RecordAt<'m> {
    message: &'m [u8],
    owner_at: usize,
    /// Its type.
    pub rtype: RecordType,
    /// Its class.
    pub class: Class,
    /// Seconds; a value with the highest bit set counts as 0 (RFC 2181 §8).
    pub ttl: u32,
    rdata_at: usize,
    rdata_end: usize,
}

impl<'m> Response<'m> {
    /// Reads a message. `None` if it is no response to a standard query, or malformed in any part: records cut short,
    /// names that lead nowhere or in circles, octets behind the last record. Of a truncated one whose records are
    /// malformed there are none: it is to be asked for again anyway.
    pub fn read(message: &'m [u8]) -> Option<Response<'m>> {
        let flags = u16_at(message, 2)?;
        if flags & (QR | OPCODE_MASK) != QR || u16_at(message, 4)? != 1 {
            return None;
        }
        // A question's name is never compressed: nothing stands before it.
        let question_end = plain_name_end(message, HEADER_OCTETS)? + 4;
        message.get(..question_end)?;
        let empty = Response {
            message,
            flags,
            rcode: flags & 0x0f,
            has_edns: false,
            question_end,
            counts: [0; 3],
            starts: [question_end; 3],
        };
        let whole = empty.read_sections();
        if flags & TC != 0 { Some(whole.unwrap_or(empty)) } else { whole }
    }

    fn read_sections(mut self) -> Option<Response<'m>> {
        self.counts = [u16_at(self.message, 6)?, u16_at(self.message, 8)?, u16_at(self.message, 10)?];
        let mut at = self.question_end;
        for (start, count) in self.starts.iter_mut().zip(self.counts) {
            *start = at;
            for _ in 0..count {
                let (record, end) = RecordAt::read(self.message, at)?;
                if record.rtype == RecordType::OPT {
                    self.has_edns = true;
                    self.rcode |= u16::from(*self.message.get(record.rdata_at - 6)?) << 4;
                }
                at = end;
            }
        }
        (at == self.message.len()).then_some(self)
    }

    /// The id.
    pub fn id(&self) -> u16 {
        u16_at(self.message, 0).unwrap_or_default()
    }

    /// The code, with the part that EDNS adds (RFC 6891 §6.1.3).
    pub fn rcode(&self) -> u16 {
        self.rcode
    }

    /// True if it has an OPT record: whoever sent it knows EDNS (RFC 6891 §7).
    pub fn has_edns(&self) -> bool {
        self.has_edns
    }

    /// True if the server owns what it answered.
    pub fn is_authoritative(&self) -> bool {
        self.flags & AA != 0
    }

    /// True if something was left out for want of room.
    pub fn is_truncated(&self) -> bool {
        self.flags & TC != 0
    }

    /// True if the server says that it validated all of it.
    pub fn is_authentic(&self) -> bool {
        self.flags & AD != 0
    }

    /// The question as it came: name in its own case, type, class.
    pub fn question(&self) -> &'m [u8] {
        self.message.get(HEADER_OCTETS..self.question_end).unwrap_or_default()
    }

    /// The name of the question, in its own case.
    pub fn question_name(&self) -> &'m [u8] {
        self.message.get(HEADER_OCTETS..self.question_end.saturating_sub(4)).unwrap_or_default()
    }

    /// How many records a section has.
    pub fn count(&self, section: Section) -> u16 {
        self.counts[section as usize]
    }

    /// The records of a section.
    pub fn records(&self, section: Section) -> impl Iterator<Item = RecordAt<'m>> + use<'m> {
        let (message, mut at) = (self.message, self.starts[section as usize]);
        (0..self.counts[section as usize]).map_while(move |_| {
            let (record, end) = RecordAt::read(message, at)?;
            at = end;
            Some(record)
        })
    }
}

impl<'m> RecordAt<'m> {
    /// The record at `at`, and where the next begins.
    pub(crate) fn read(message: &'m [u8], owner_at: usize) -> Option<(RecordAt<'m>, usize)> {
        let (record, end) = RecordAt::read_head(message, owner_at)?;
        record.has_well_formed_names().then_some((record, end))
    }

    /// The same in an update: where the class is not one of records, there may be no RDATA (RFC 2136 §2.4, §2.5).
    pub(crate) fn read_of_update(message: &'m [u8], owner_at: usize) -> Option<(RecordAt<'m>, usize)> {
        let (record, end) = RecordAt::read_head(message, owner_at)?;
        let may_be_empty = matches!(record.class, Class::ANY | Class::NONE);
        let is_well_formed = record.rdata().is_empty() && may_be_empty || record.has_well_formed_names();
        is_well_formed.then_some((record, end))
    }

    /// A record whose RDATA was not looked at.
    fn read_head(message: &'m [u8], owner_at: usize) -> Option<(RecordAt<'m>, usize)> {
        let fixed = pass_name(message, owner_at)?;
        let rtype = RecordType(u16_at(message, fixed)?);
        let class = Class(u16_at(message, fixed + 2)?);
        let ttl = match u32_at(message, fixed + 4)? {
            ttl if ttl & 0x8000_0000 != 0 && rtype != RecordType::OPT => 0,
            ttl => ttl,
        };
        let rdata_at = fixed + RECORD_FIXED_OCTETS;
        let rdata_end = rdata_at + usize::from(u16_at(message, fixed + 8)?);
        let record = RecordAt { message, owner_at, rtype, class, ttl, rdata_at, rdata_end };
        (rdata_end <= message.len()).then_some((record, rdata_end))
    }

    fn has_well_formed_names(&self) -> bool {
        // Its name is never compressed (RFC 6672 §2.5), and goes on to others as it came.
        if self.rtype == RecordType::DNAME {
            return plain_name_end(self.message, self.rdata_at) == Some(self.rdata_end);
        }
        let Some((skip, count)) = self.names_in_rdata() else { return true };
        let mut at = self.rdata_at + skip;
        for _ in 0..count {
            match pass_name(self.message, at) {
                Some(end) => at = end,
                None => return false,
            }
        }
        let tail = if self.rtype == RecordType::SOA { SOA_TAIL_OCTETS } else { 0 };
        at + tail == self.rdata_end
    }

    /// Where names begin in its RDATA that a sender may have compressed, and how many there are: besides those of RFC 1035
    /// those of types that older software compresses, and that have to be understood so (RFC 3597 §4).
    fn names_in_rdata(&self) -> Option<(usize, usize)> {
        match self.rtype {
            RecordType::RP => Some((0, 2)),
            RecordType::AFSDB | RecordType::RT => Some((2, 1)),
            RecordType::PX => Some((2, 2)),
            RecordType::SRV => Some((6, 1)),
            // Two numbers and three strings come first (RFC 3403 §4.1).
            RecordType::NAPTR => {
                let string = |skip: usize, _| {
                    let len = self.message.get(self.rdata_at + skip);
                    skip + 1 + usize::from(len.copied().unwrap_or_default())
                };
                Some(((0..3).fold(4, string), 1))
            }
            rtype => compressible_names(rtype),
        }
    }

    /// The same with another TTL.
    pub fn with_ttl(self, ttl: u32) -> RecordAt<'m> {
        RecordAt { ttl, ..self }
    }

    /// Whose it is.
    pub fn owner(&self) -> Name {
        read_name(self.message, self.owner_at).map_or(Name::ROOT, |(name, _)| name)
    }

    /// True if it is that name's, an uncompressed one in wire form; case does not count.
    pub fn is_of(&self, name: &[u8]) -> bool {
        is_name(self.message, self.owner_at, name)
    }

    /// The RDATA as it came: names in it may be compressed.
    pub fn rdata(&self) -> &'m [u8] {
        self.message.get(self.rdata_at..self.rdata_end).unwrap_or_default()
    }

    /// The first name in RDATA: of types that consist of one, or begin with one behind a number.
    pub fn rdata_name(&self) -> Option<Name> {
        let skip = match self.rtype {
            RecordType::DNAME => 0,
            rtype => compressible_names(rtype)?.0,
        };
        read_name(self.message, self.rdata_at + skip).map(|(name, _)| name)
    }

    /// Adds the RDATA to `out`, names written out.
    pub fn write_rdata(&self, out: &mut Vec<u8>) {
        let Some((skip, count)) = self.names_in_rdata() else {
            return out.extend_from_slice(self.rdata());
        };
        let mut at = self.rdata_at + skip;
        out.extend_from_slice(self.message.get(self.rdata_at..at).unwrap_or_default());
        for _ in 0..count {
            let Some((name, end)) = read_name(self.message, at) else { return };
            out.extend_from_slice(name.as_wire());
            at = end;
        }
        out.extend_from_slice(self.message.get(at..self.rdata_end).unwrap_or_default());
    }
}

/// The serial of the SOA that is the first record of the authority section of a message with one question: the version
/// at hand of who asks for changes (RFC 1995 §3).
pub fn authority_soa(message: &[u8]) -> Option<u32> {
    (u16_at(message, 6)? == 0 && u16_at(message, 8)? > 0).then(|| soa_serial(message))?
}

/// The serial of the SOA that is the first record of the answer section of a message with one question: what a NOTIFY
/// tells of (RFC 1996 §3.7).
pub fn answer_soa(message: &[u8]) -> Option<u32> {
    (u16_at(message, 6)? > 0).then(|| soa_serial(message))?
}

/// The serial of the SOA behind the one question.
fn soa_serial(message: &[u8]) -> Option<u32> {
    let (record, end) = RecordAt::read(message, pass_name(message, HEADER_OCTETS)? + 4)?;
    let is_soa = u16_at(message, 4)? == 1 && record.rtype == RecordType::SOA;
    if is_soa { u32_at(message, end.checked_sub(SOA_TAIL_OCTETS)?) } else { None }
}

/// The name at `at`, pointers followed, and where what follows it begins. Pointers lead backwards only, so that every
/// chain of them ends (RFC 1035 §4.1.4: "a prior occurrence").
pub(crate) fn read_name(message: &[u8], at: usize) -> Option<(Name, usize)> {
    let (mut wire, mut len) = ([0u8; NAME_OCTETS_MAX], 0);
    let end = walk(message, at, |label| {
        let place = wire.get_mut(len..len + label.len())?;
        place.copy_from_slice(label);
        len += label.len();
        Some(())
    })?;
    Some((Name::from_wire(wire.get(..len)?).ok()?, end))
}

/// Where what follows the name at `at` begins, if it is one of at most 255 octets.
pub(crate) fn pass_name(message: &[u8], at: usize) -> Option<usize> {
    let mut len = 0;
    walk(message, at, |label| {
        len += label.len();
        (len <= NAME_OCTETS_MAX).then_some(())
    })
}

/// Where a name without pointers ends.
fn plain_name_end(message: &[u8], at: usize) -> Option<usize> {
    let (name, end) = read_name(message, at)?;
    (end == at + name.as_wire().len()).then_some(end)
}

fn is_name(message: &[u8], at: usize, name: &[u8]) -> bool {
    let mut rest = name;
    let walked = walk(message, at, |label| {
        let (own, behind) = rest.split_at_checked(label.len())?;
        rest = behind;
        own.eq_ignore_ascii_case(label).then_some(())
    });
    walked.is_some() && rest.is_empty()
}

/// Gives each label of the name at `at`, with its length octet, to `take`, the root's zero octet last; where what
/// follows the name begins. `None` if it is no name, or `take` had enough.
fn walk(message: &[u8], at: usize, mut take: impl FnMut(&[u8]) -> Option<()>) -> Option<usize> {
    // `floor`: every pointer leads to a place before the run of labels that ended in it.
    let (mut at, mut floor, mut end) = (at, at, None);
    loop {
        let len = usize::from(*message.get(at)?);
        match len {
            0 => {
                take(&[0])?;
                return Some(end.unwrap_or(at + 1));
            }
            1..=63 => {
                take(message.get(at..=at + len)?)?;
                at += 1 + len;
            }
            0xc0.. => {
                let target = usize::from(u16_at(message, at)? & 0x3fff);
                end.get_or_insert(at + 2);
                if target >= floor || target < HEADER_OCTETS {
                    return None;
                }
                (at, floor) = (target, target);
            }
            64..=0xbf => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `Www.b. MX`, answered with an alias and two records, names pointing back; an SOA; a bare OPT.
    const MESSAGE: &[u8] = b"\0\x01\x84\0\0\x01\0\x03\0\x01\0\x01\x03Www\x01b\0\0\x0f\0\x01\
        \xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x04\x01a\xc0\x10\
        \xc0\x23\0\x0f\0\x01\0\0\0\x3c\0\x06\0\x0a\x01m\xc0\x10\
        \xc0\x23\0\x0f\0\x01\x80\0\0\x3c\0\x04\0\x14\xc0\x23\
        \xc0\x10\0\x06\0\x01\0\0\0\x3c\0\x18\xc0\x10\xc0\x10\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05\
        \0\0\x29\x04\xd0\x01\0\0\0\0\0";

    #[test]
    fn records_are_found_where_they_stand() {
        let response = Response::read(MESSAGE).unwrap();
        assert_eq!((response.id(), response.rcode(), response.has_edns()), (1, 16, true));
        assert_eq!(response.question_name(), b"\x03Www\x01b\0");
        assert!(response.is_authoritative() && !response.is_truncated() && !response.is_authentic());
        let answers: Vec<RecordAt<'_>> = response.records(Section::Answer).collect();
        assert!(answers[0].is_of(b"\x03wwW\x01B\0") && !answers[0].is_of(b"\x03www\0"));
        assert_eq!(answers[0].rdata_name().unwrap().to_string(), "a.b.");
        assert!(answers[1].is_of(b"\x01a\x01b\0"));
        let mut rdata = Vec::new();
        answers[1].write_rdata(&mut rdata);
        assert_eq!(rdata, b"\0\x0a\x01m\x01b\0");
        // A TTL with the highest bit set is none.
        assert_eq!((answers[1].ttl, answers[2].ttl), (60, 0));
        let soa: Vec<RecordAt<'_>> = response.records(Section::Authority).collect();
        rdata.clear();
        soa[0].write_rdata(&mut rdata);
        assert_eq!((rdata.len(), &rdata[..6]), (26, &b"\x01b\0\x01b\0"[..]));
    }

    #[test]
    fn names_that_older_software_compresses_are_written_out() {
        let response = |rtype: u8, rdata: &[u8]| {
            let head = b"\0\x01\x84\0\0\x01\0\x01\0\0\0\0\x01a\x01b\0\0\x01\0\x01\xc0\x0c\0";
            [&head[..], &[rtype, 0, 1, 0, 0, 0, 60, 0, rdata.len() as u8], rdata].concat()
        };
        let cases: [(u8, &[u8], &[u8]); 6] = [
            (33, b"\0\x01\0\x02\0\x35\x01t\xc0\x0e", b"\0\x01\0\x02\0\x35\x01t\x01b\0"),
            (17, b"\xc0\x0c\x01t\xc0\x0e", b"\x01a\x01b\0\x01t\x01b\0"),
            (18, b"\0\x01\xc0\x0c", b"\0\x01\x01a\x01b\0"),
            (21, b"\0\x01\xc0\x0c", b"\0\x01\x01a\x01b\0"),
            (26, b"\0\x01\xc0\x0c\xc0\x0e", b"\0\x01\x01a\x01b\0\x01b\0"),
            (35, b"\0\x01\0\x02\x01u\0\x02!!\xc0\x0e", b"\0\x01\0\x02\x01u\0\x02!!\x01b\0"),
        ];
        for (rtype, compressed, plain) in cases {
            for rdata in [compressed, plain] {
                let message = response(rtype, rdata);
                let mut written = Vec::new();
                let response = Response::read(&message).unwrap();
                response.records(Section::Answer).for_each(|record| record.write_rdata(&mut written));
                assert_eq!(written, plain, "type {rtype}");
            }
            for rdata in [&compressed[..compressed.len() - 1], &[compressed, b"\0"].concat(), b""] {
                assert!(Response::read(&response(rtype, rdata)).is_none(), "type {rtype}: {rdata:?}");
            }
        }
    }

    #[test]
    fn a_dname_whose_name_is_compressed_or_goes_on_is_malformed() {
        let message = |rdata: &[u8]| {
            let head =
                b"\0\x01\x84\0\0\x01\0\x01\0\0\0\0\x01a\x01b\0\0\x01\0\x01\xc0\x0e\0\x27\0\x01\0\0\0\x3c\0";
            [&head[..], &[rdata.len() as u8], rdata].concat()
        };
        assert!(Response::read(&message(b"\x01c\0")).is_some());
        for rdata in [&b"\x01c\xc0\x0e"[..], b"\xc0\x0e", b"\x01c\0\0", b"", b"\x01c"] {
            assert!(Response::read(&message(rdata)).is_none(), "{rdata:?}");
        }
    }

    #[test]
    fn what_is_malformed_anywhere_is_no_response() {
        for (at, octet, what) in [
            (2, 0x04, "a query"),
            (2, 0x94, "another opcode"),
            (5, 2, "two questions"),
            (7, 4, "fewer records than said"),
            (7, 2, "more records than said"),
            (23, 0x80, "a label type that does not exist"),
            (24, 0x17, "a pointer to itself"),
            (24, 0x04, "a pointer into the header"),
            (38, 0x25, "a name in RDATA that leads to itself"),
            (34, 5, "RDATA that goes on behind its name"),
        ] {
            let mut message = MESSAGE.to_vec();
            assert_ne!(message[at], octet, "{what}");
            message[at] = octet;
            assert!(Response::read(&message).is_none(), "{what}");
        }
        assert!(Response::read(&[MESSAGE, b"\0"].concat()).is_none());
        assert!((0..MESSAGE.len()).all(|len| Response::read(&MESSAGE[..len]).is_none()));
    }

    #[test]
    fn a_truncated_response_may_end_anywhere_behind_its_question() {
        let mut message = MESSAGE[..60].to_vec();
        message[2] |= 0x02;
        let response = Response::read(&message).unwrap();
        assert!(response.is_truncated() && !response.has_edns());
        assert_eq!(response.records(Section::Answer).count(), 0);
        assert!(Response::read(&message[..20]).is_none());
    }

    #[test]
    fn a_pointer_into_the_name_that_it_ends_is_none() {
        // The labels before a pointer would be met again and again.
        let message =
            b"\0\x01\x84\0\0\x01\0\x01\0\0\0\0\x01a\0\0\x01\0\x01\x01b\x01c\xc0\x13\0\x01\0\x01\0\0\0\0\0\0";
        assert!(Response::read(message).is_none());
    }

    proptest! {
        #[test]
        fn octets_never_make_it_panic(at in 0..MESSAGE.len(), octet: u8, len in 0..=MESSAGE.len()) {
            let mut message = MESSAGE.to_vec();
            message[at] = octet;
            if let Some(response) = Response::read(&message[..len]) {
                for section in [Section::Answer, Section::Authority, Section::Additional] {
                    let mut rdata = Vec::new();
                    let records = response.records(section).inspect(|record| {
                        record.write_rdata(&mut rdata);
                        let _ = (record.owner(), record.rdata_name());
                    });
                    assert_eq!(records.count(), usize::from(response.count(section)));
                }
            }
        }
    }
}
