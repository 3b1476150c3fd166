//! A DNS message, decoded slowly and strictly: names decompressed and lowered, also those within RDATA
//! of the types that RFC 3597 §4 lists, so that two messages that say the same compare equal.

use super::names::{Wire, lowered};

/// Header flags, as they stand in the second 16 bits of the header.
pub const QR: u16 = 0x8000;
pub const AA: u16 = 0x0400;
pub const TC: u16 = 0x0200;
pub const RD: u16 = 0x0100;
pub const RA: u16 = 0x0080;
pub const AD: u16 = 0x0020;
pub const CD: u16 = 0x0010;

/// One record; owner lowered, names in RDATA decompressed and lowered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    pub owner: Wire,
    pub rtype: u16,
    pub class: u16,
    pub ttl: u32,
    pub rdata: Vec<u8>,
}

/// EDNS(0), RFC 6891 §6.1.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opt {
    pub payload: u16,
    pub extended_rcode: u8,
    pub version: u8,
    pub flags: u16,
    pub options: Vec<u8>,
}

/// A message; the sections in the order they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub id: u16,
    pub flags: u16,
    /// Name in the case it came with, type, class.
    pub question: Option<(Wire, u16, u16)>,
    /// Answer, authority, additional without OPT.
    pub sections: [Vec<Record>; 3],
    pub opt: Option<Opt>,
    pub octets: usize,
}

impl Message {
    /// The rcode with its upper eight bits from OPT.
    pub fn rcode(&self) -> u16 {
        (self.flags & 0xf) | u16::from(self.opt.as_ref().map_or(0, |opt| opt.extended_rcode)) << 4
    }
}

/// Reads a whole message; anything left over, cut short or doubled is an error.
pub fn decode(octets: &[u8]) -> Result<Message, String> {
    let mut reader = Reader { octets, at: 0 };
    let (id, flags) = (reader.u16()?, reader.u16()?);
    let counts = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
    let question = match counts[0] {
        0 => None,
        1 => Some((reader.name()?, reader.u16()?, reader.u16()?)),
        more => return Err(format!("{more} questions")),
    };
    let (mut sections, mut opt) = ([Vec::new(), Vec::new(), Vec::new()], None);
    for (section, count) in sections.iter_mut().zip(&counts[1..]) {
        for _ in 0..*count {
            let (owner, rtype) = (reader.name()?, reader.u16()?);
            let (class, ttl) = (reader.u16()?, reader.u32()?);
            let length = reader.u16()?;
            if rtype != 41 {
                let rdata = reader.rdata(rtype, length.into())?;
                section.push(Record { owner: lowered(&owner), rtype, class, ttl, rdata });
                continue;
            }
            let options = reader.take(length.into())?.to_vec();
            let [extended_rcode, version, high, low] = ttl.to_be_bytes();
            let flags = u16::from_be_bytes([high, low]);
            let found = Opt { payload: class, extended_rcode, version, flags, options };
            if owner != [0] || opt.replace(found).is_some() {
                return Err("a second OPT, or one whose owner is not the root".into());
            }
        }
    }
    if reader.at != octets.len() {
        return Err(format!("{} octets after the last record", octets.len() - reader.at));
    }
    Ok(Message { id, flags, question, sections, opt, octets: octets.len() })
}

struct Reader<'a> {
    octets: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let taken = self.octets.get(self.at..self.at + count).ok_or("the message ends too early")?;
        self.at += count;
        Ok(taken)
    }

    fn u16(&mut self) -> Result<u16, String> {
        self.take(2).map(|o| u16::from_be_bytes([o[0], o[1]]))
    }

    fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from(self.u16()?) << 16 | u32::from(self.u16()?))
    }

    /// A name in its own case; pointers must lead backwards.
    fn name(&mut self) -> Result<Wire, String> {
        let (mut name, mut at, mut resume) = (Vec::new(), self.at, None);
        loop {
            match *self.octets.get(at).ok_or("a name ends too early")? {
                0 => break,
                length @ 1..=63 => {
                    let end = at + 1 + usize::from(length);
                    name.extend_from_slice(self.octets.get(at..end).ok_or("a label ends too early")?);
                    at = end;
                }
                high @ 0xc0.. => {
                    let low = *self.octets.get(at + 1).ok_or("a pointer ends too early")?;
                    let target = usize::from(high & 0x3f) << 8 | usize::from(low);
                    if target >= at {
                        return Err("a pointer does not lead backwards".into());
                    }
                    resume.get_or_insert(at + 2);
                    at = target;
                }
                other => return Err(format!("label type {other:#x}")),
            }
            if name.len() > 254 {
                return Err("a name is longer than 255 octets".into());
            }
        }
        name.push(0);
        self.at = resume.unwrap_or(at + 1);
        Ok(name)
    }

    /// RDATA with its names decompressed and lowered; its length must be met exactly.
    fn rdata(&mut self, rtype: u16, length: usize) -> Result<Vec<u8>, String> {
        let end = self.at + length;
        if length == 0 {
            return Ok(Vec::new());
        }
        // Octets before the first name, number of names.
        let (before, names) = match rtype {
            2..=5 | 7..=9 | 12 | 39 => (0, 1), // NS MD MF CNAME MB MG MR PTR DNAME
            6 | 14 | 17 => (0, 2),             // SOA MINFO RP
            15 | 18 | 21 | 36 => (2, 1),       // MX AFSDB RT KX
            26 => (2, 2),                      // PX
            33 => (6, 1),                      // SRV
            _ => (0, 0),
        };
        let mut rdata = self.take(before)?.to_vec();
        for _ in 0..names {
            rdata.extend(lowered(&self.name()?));
        }
        let rest = end.checked_sub(self.at).ok_or("RDATA is longer than its length says")?;
        rdata.extend_from_slice(self.take(rest)?);
        if names > 0 && rtype != 6 && rest > 0 {
            return Err(format!("{rest} octets too many in RDATA of type {rtype}"));
        }
        Ok(rdata)
    }
}

/// The EDNS part of a question: UDP payload, the DO bit, options in wire form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edns {
    pub payload: u16,
    pub dnssec_ok: bool,
    pub version: u8,
    pub options: Vec<u8>,
}

/// A query with one question.
pub fn query(id: u16, flags: u16, name: &[u8], qtype: u16, qclass: u16, edns: Option<&Edns>) -> Vec<u8> {
    let mut octets = Vec::with_capacity(48 + name.len());
    for field in [id, flags, 1, 0, 0, u16::from(edns.is_some())] {
        octets.extend(field.to_be_bytes());
    }
    octets.extend_from_slice(name);
    octets.extend(qtype.to_be_bytes());
    octets.extend(qclass.to_be_bytes());
    if let Some(edns) = edns {
        octets.extend([0, 0, 41]);
        octets.extend(edns.payload.to_be_bytes());
        octets.extend([0, edns.version, u8::from(edns.dnssec_ok) << 7, 0]);
        octets.extend((edns.options.len() as u16).to_be_bytes());
        octets.extend_from_slice(&edns.options);
    }
    octets
}

/// The last name within a record's RDATA, where additional data or the next alias is looked for.
pub fn target(record: &Record) -> Option<&[u8]> {
    let before = match record.rtype {
        2 | 5 | 12 | 39 => 0,
        15 => 2,
        33 => 6,
        _ => return None,
    };
    record.rdata.get(before..)
}
