//! The sealed form of an RRset: its records in wire form, compressed in advance, ready to be copied.
//!
//! A set is sealed as if it were the whole answer to a question for its owner:
//!
//! ```text
//! 12             12+owner_len+4 = BASE
//! | owner | type class | C00C type class ttl len rdata | C00C type class ttl len rdata | ...
//!                      '------------------------- octets ---------------------------'
//! ```
//!
//! Names in RDATA point either into the owner (below BASE) or back into the set itself (BASE and above);
//! `pointers` lists where such a pointer stands, so that a set placed elsewhere, or for a longer name
//! (wildcard), is copied and then shifted. The owner pointer of each record is not listed: it stands at the
//! record's start. Names are matched without regard to case, so a name that points into the question shows
//! the question's case, as with NSD and Knot.

use crate::base::limits::{CHAIN_STEPS_MAX, NAME_OCTETS_MAX};
use crate::base::octets::u32_at;
use crate::base::time::Moment;
use crate::wire::message::HEADER_OCTETS;
use crate::wire::name;
use crate::wire::rtype::{Class, RecordType};

/// Octets of a record between its owner and its RDATA: type, class, TTL, length.
pub const RECORD_FIXED_OCTETS: usize = 10;
/// Octets of a sealed record before its RDATA.
pub const RECORD_HEAD_OCTETS: usize = 2 + RECORD_FIXED_OCTETS;
/// Only names this near to a set's start are pointed at from within it: so a set may be placed behind the
/// longest chain and its pointers still fit in 14 bits.
const SELF_POINTER_REACH: usize = 4_096;
/// A DNAME, its CNAME, and nothing compressed: the most that one step of a chain puts before the next set.
const CHAIN_STEP_OCTETS: usize = 2 * RECORD_HEAD_OCTETS + 2 * NAME_OCTETS_MAX;
/// Octets of an answer behind which a chain goes no further: then the pointers of the next set would not fit. Without
/// signatures none gets there.
pub const CHAIN_OCTETS_MAX: usize = 0x3fff - SELF_POINTER_REACH - NAME_OCTETS_MAX - CHAIN_STEP_OCTETS;
const _: () = assert!(base(NAME_OCTETS_MAX) + (CHAIN_STEPS_MAX - 1) * CHAIN_STEP_OCTETS <= CHAIN_OCTETS_MAX);
/// Suffixes within one set that are remembered as targets; more would make sealing a large set quadratic.
const SELF_SUFFIXES_MAX: usize = 64;

/// A sealed RRset as it lies in a zone.
#[derive(Debug, Clone, Copy)]
pub struct SealedRrset<'z> {
    /// How many records.
    pub records: u16,
    /// The records, as drawn above.
    pub octets: &'z [u8],
    /// Offsets into `octets`, two octets each, network order: the pointers to shift.
    pub pointers: &'z [u8],
    /// Octets of the owner it was sealed for, the root's zero octet included.
    pub owner_len: usize,
    /// Its TTL in an answer is at most what is left until then.
    pub deadline: Moment,
}

impl SealedRrset<'_> {
    /// Where in a message the set would stand if it were the whole answer to a question for its owner.
    #[inline]
    pub fn base(&self) -> usize {
        base(self.owner_len)
    }

    /// The TTL of its records, in seconds.
    pub fn ttl(&self) -> u32 {
        u32_at(self.octets, 6).unwrap_or(0)
    }
}

const fn base(owner_len: usize) -> usize {
    HEADER_OCTETS + owner_len + 4
}

/// Where in the RDATA of a type its compressible names begin, and how many there are (RFC 1035 §3.3;
/// RFC 3597 §4: no other type may be compressed).
pub fn compressible_names(rtype: RecordType) -> Option<(usize, usize)> {
    match rtype {
        RecordType::NS
        | RecordType::MD
        | RecordType::MF
        | RecordType::CNAME
        | RecordType::MB
        | RecordType::MG
        | RecordType::MR
        | RecordType::PTR => Some((0, 1)),
        RecordType::SOA | RecordType::MINFO => Some((0, 2)),
        RecordType::MX => Some((2, 1)),
        _ => None,
    }
}

struct Suffix {
    /// Range in `Sealer::names`.
    start: usize,
    /// Where it stands in the sealed octets.
    at: usize,
}

/// Seals RRsets one after another, re-using its buffers.
#[derive(Default)]
pub struct Sealer {
    owner: Vec<u8>,
    octets: Vec<u8>,
    pointers: Vec<u16>,
    records: usize,
    names: Vec<u8>,
    suffixes: Vec<Suffix>,
}

impl Sealer {
    /// Begins the set of `owner`, an absolute lower-cased wire-form name.
    pub fn begin(&mut self, owner: &[u8]) {
        self.owner.clear();
        self.owner.extend_from_slice(owner);
        self.octets.clear();
        self.pointers.clear();
        self.names.clear();
        self.suffixes.clear();
        self.records = 0;
    }

    /// Adds a record with well-formed RDATA; tells where its RDATA begins within the sealed octets.
    pub fn record(&mut self, rtype: RecordType, ttl: u32, rdata: &[u8]) -> usize {
        self.records += 1;
        self.octets.extend_from_slice(&(0xc000 | HEADER_OCTETS as u16).to_be_bytes());
        self.octets.extend_from_slice(&rtype.0.to_be_bytes());
        self.octets.extend_from_slice(&Class::IN.0.to_be_bytes());
        self.octets.extend_from_slice(&ttl.to_be_bytes());
        self.octets.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
        let start = self.octets.len();
        let Some((skip, count)) = compressible_names(rtype) else {
            self.octets.extend_from_slice(rdata);
            return start;
        };
        let (fixed, mut rest) = rdata.split_at(skip.min(rdata.len()));
        self.octets.extend_from_slice(fixed);
        for _ in 0..count {
            let len = wire_len(rest);
            let (name, tail) = rest.split_at(len);
            self.name(name);
            rest = tail;
        }
        self.octets.extend_from_slice(rest);
        let len = (self.octets.len() - start) as u16;
        self.octets[start - 2..start].copy_from_slice(&len.to_be_bytes());
        start
    }

    /// The sealed records.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// How many records were added.
    pub fn records(&self) -> usize {
        self.records
    }

    /// Offsets of the pointers to shift.
    pub fn pointers(&self) -> &[u16] {
        &self.pointers
    }

    fn name(&mut self, wire: &[u8]) {
        let mut at = 0;
        while wire.get(at).is_some_and(|&len| len != 0) {
            let suffix = &wire[at..];
            if let Some(target) = self.find(suffix) {
                self.pointers.push(self.octets.len() as u16);
                self.octets.extend_from_slice(&(0xc000 | target as u16).to_be_bytes());
                return;
            }
            if self.suffixes.len() < SELF_SUFFIXES_MAX && self.octets.len() < SELF_POINTER_REACH {
                self.suffixes.push(Suffix { start: self.names.len(), at: self.octets.len() });
                self.names.extend_from_slice(suffix);
            }
            let end = at + 1 + usize::from(wire[at]);
            self.octets.extend_from_slice(&wire[at..end]);
            at = end;
        }
        self.octets.push(0);
    }

    /// Where the suffix already stands in the message drawn above.
    fn find(&self, suffix: &[u8]) -> Option<usize> {
        if name::is_at_or_below(&self.owner, suffix) {
            let at = self.owner.len() - suffix.len();
            // A wildcard's own first label is not in the message: the question's label stands there.
            if at > 0 || !self.owner.starts_with(b"\x01*") {
                return Some(HEADER_OCTETS + at);
            }
        }
        let found = self.suffixes.iter().find(|known| {
            self.names[known.start..]
                .get(..suffix.len())
                .is_some_and(|name| name.eq_ignore_ascii_case(suffix))
        })?;
        Some(base(self.owner.len()) + found.at)
    }
}

/// Octets of the wire-form name at the start of `wire`, its root included; all of `wire` if it never ends.
pub fn wire_len(wire: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&len) = wire.get(at) {
        at += 1 + usize::from(len);
        if len == 0 {
            return at;
        }
    }
    wire.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::name::Name;

    fn seal(owner: &str, rtype: RecordType, rdatas: &[Vec<u8>]) -> (Vec<u8>, Vec<u16>) {
        let mut sealer = Sealer::default();
        sealer.begin(Name::parse(owner).unwrap().to_lowercase().as_wire());
        let mut rdata = Vec::new();
        for r in rdatas {
            let start = sealer.record(rtype, 60, r);
            rdata.extend_from_slice(&sealer.octets()[start..]);
        }
        (rdata, sealer.pointers().to_vec())
    }

    fn wire(text: &str) -> Vec<u8> {
        Name::parse(text).unwrap().as_wire().to_vec()
    }

    #[test]
    fn names_point_into_the_question_where_they_can() {
        assert_eq!(seal("a.bc.", RecordType::NS, &[wire("ns.BC.")]), (b"\x02ns\xc0\x0e".to_vec(), vec![15]));
        assert_eq!(seal("a.bc.", RecordType::NS, &[wire("a.bc.")]), (b"\xc0\x0c".to_vec(), vec![12]));
    }

    #[test]
    fn names_point_back_into_their_own_set() {
        let (octets, pointers) =
            seal("a.", RecordType::NS, &[wire("x.org."), wire("y.org."), wire("X.org.")]);
        // BASE is 12 + 3 + 4; the first name stands 12 octets into the set.
        assert_eq!(&octets[..7], b"\x01x\x03org\0");
        assert_eq!(&octets[7..11], &[1, b'y', 0xc0, 19 + 12 + 2]);
        assert_eq!(&octets[11..], &[0xc0, 19 + 12]);
        assert_eq!(pointers, vec![33, 47]);
    }

    #[test]
    fn nothing_points_at_the_star_of_a_wildcard() {
        assert_eq!(seal("*.bc.", RecordType::NS, &[wire("*.bc.")]).0, b"\x01*\xc0\x0e");
    }

    #[test]
    fn a_label_that_looks_like_a_border_is_no_suffix() {
        // The owner's label ends in the octets of "\x01b" without a border there.
        assert_eq!(seal("a\\001b.", RecordType::NS, &[wire("b.")]).0, b"\x01b\0");
    }

    #[test]
    fn types_newer_than_rfc_1035_are_left_alone() {
        assert_eq!(seal("a.bc.", RecordType::DNAME, &[wire("a.bc.")]).0, wire("a.bc."));
    }
}
