//! What a node of a live zone knows beyond what is answered: who said each record, and the records that are not
//! served.
//!
//! It stands behind the node's sets:
//!
//! ```text
//! ledger   | octets of the rest (v) | names directly below (v) | teller, for each served record | unserved ... | pad
//! teller   | source * 2 + own (v) | the record's own TTL, if `own`: it is not that of its set (v)
//! unserved | source (v) | type (16) | TTL (v) | octets of RDATA (v) | RDATA
//! (v)      | seven bits an octet, low ones first, the eighth bit where more follow
//! ```

use crate::wire::message::HEADER_OCTETS;
use crate::wire::rtype::RecordType;
use crate::wire::sealed::{RECORD_HEAD_OCTETS, compressible_names};
use crate::zone::store::{Node, Rrset};
use crate::zone::view;

/// Who says a record; numbers are given by the owner of the zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceNumber(pub u32);

impl SourceNumber {
    /// What the cluster as a whole says; it overrules all others.
    pub const CLUSTER: SourceNumber = SourceNumber(0);
}

/// One record as one source says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Who.
    pub source: SourceNumber,
    /// Its type.
    pub rtype: RecordType,
    /// The TTL that the source gave it, in seconds.
    pub ttl: u32,
    /// Uncompressed.
    pub rdata: Box<[u8]>,
}

/// Reads what [`Encoder`] wrote.
pub(crate) struct Reader<'l> {
    octets: &'l [u8],
}

impl<'l> Reader<'l> {
    /// The ledger at the start of `octets`, and how many octets it takes before padding.
    pub(crate) fn new(octets: &'l [u8]) -> (Reader<'l>, usize) {
        let mut reader = Reader { octets };
        let len = reader.number() as usize;
        let head = octets.len() - reader.octets.len();
        (Reader { octets: reader.octets.get(..len).unwrap_or_default() }, head + len)
    }

    fn number(&mut self) -> u32 {
        let mut number = 0u32;
        for shift in (0..32).step_by(7) {
            let Some((&octet, rest)) = self.octets.split_first() else { break };
            self.octets = rest;
            number |= u32::from(octet & 0x7f) << shift;
            if octet & 0x80 == 0 {
                break;
            }
        }
        number
    }

    fn take(&mut self, len: usize) -> &'l [u8] {
        let (taken, rest) = self.octets.split_at_checked(len).unwrap_or_default();
        self.octets = rest;
        taken
    }

    /// How many names stand directly below; comes first.
    pub(crate) fn children(&mut self) -> u32 {
        self.number()
    }

    /// Who said the next served record, and its own TTL where that is not its set's.
    fn teller(&mut self) -> (SourceNumber, Option<u32>) {
        let head = self.number();
        (SourceNumber(head >> 1), (head & 1 != 0).then(|| self.number()))
    }

    /// The next record that is not served.
    fn unserved(&mut self) -> Option<Said> {
        if self.octets.is_empty() {
            return None;
        }
        let source = SourceNumber(self.number());
        let rtype = match *self.take(2) {
            [high, low] => RecordType(u16::from_be_bytes([high, low])),
            _ => return None,
        };
        let ttl = self.number();
        let len = self.number() as usize;
        Some(Said { source, rtype, ttl, rdata: self.take(len).into() })
    }

    /// True if one of the records of the node, served or not, was said by a source that `is_it`.
    pub(crate) fn names_any(mut self, node: &Node<'_>, is_it: impl Fn(SourceNumber) -> bool) -> bool {
        self.children();
        let served: usize = node.rrsets().map(|set| usize::from(set.sealed().records)).sum();
        if (0..served).any(|_| is_it(self.teller().0)) {
            return true;
        }
        std::iter::from_fn(|| self.unserved()).any(|said| is_it(said.source))
    }
}

/// Everything said at a node: `each` gets every record and whether it is served. How many names stand below.
pub(crate) fn read(node: &Node<'_>, ledger: &[u8], owner: &[u8], mut each: impl FnMut(Said, bool)) -> u32 {
    let mut reader = Reader::new(ledger).0;
    let children = reader.children();
    for set in node.rrsets() {
        let ttl = set.sealed().ttl();
        for rdata in rdatas(&set, owner) {
            let (source, own) = reader.teller();
            each(Said { source, rtype: set.rtype(), ttl: own.unwrap_or(ttl), rdata }, true);
        }
    }
    while let Some(said) = reader.unserved() {
        each(said, false);
    }
    children
}

/// The RDATA of a sealed set's records, uncompressed, given its owner's lower-cased name. What pointed into the
/// question comes back in lower case.
fn rdatas<'s>(set: &Rrset<'s>, owner: &'s [u8]) -> impl Iterator<Item = Box<[u8]>> + use<'s> {
    let (octets, rtype) = (set.sealed().octets, set.rtype());
    let mut at = 0;
    std::iter::from_fn(move || {
        let head = octets.get(at..at + RECORD_HEAD_OCTETS)?;
        let start = at + RECORD_HEAD_OCTETS;
        let end = start + usize::from(u16::from_be_bytes([head[10], head[11]]));
        let rdata = octets.get(start..end)?;
        at = end;
        Some(match compressible_names(rtype) {
            None if rtype.is_viewed() => {
                let mut rdata: Box<[u8]> = rdata.into();
                view::set_lost(&mut rdata, false);
                rdata
            }
            None => rdata.into(),
            Some((skip, count)) => expand(octets, owner, (start, end), skip, count).into(),
        })
    })
}

/// RDATA with its compressed names written out.
fn expand(octets: &[u8], owner: &[u8], (start, end): (usize, usize), skip: usize, count: usize) -> Vec<u8> {
    let mut out = octets.get(start..start + skip).unwrap_or_default().to_vec();
    let mut at = start + skip;
    for _ in 0..count {
        at = expand_name(octets, owner, at, &mut out);
    }
    out.extend_from_slice(octets.get(at..end).unwrap_or_default());
    out
}

/// Appends the name at `at`; where in the set it ends.
fn expand_name(octets: &[u8], owner: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    let base = HEADER_OCTETS + owner.len() + 4;
    let (mut from, mut end) = (at, None);
    // Sealing only points backwards and at what holds no more pointers than names have labels.
    while let Some(&len) = octets.get(from) {
        if len >= 0xc0 {
            let target =
                (usize::from(len & 0x3f) << 8) | usize::from(octets.get(from + 1).copied().unwrap_or(0));
            end.get_or_insert(from + 2);
            if target < base {
                out.extend_from_slice(owner.get(target - HEADER_OCTETS..).unwrap_or_default());
                break;
            }
            if target - base >= from {
                break;
            }
            from = target - base;
            continue;
        }
        let next = from + 1 + usize::from(len);
        out.extend_from_slice(octets.get(from..next).unwrap_or_default());
        from = next;
        if len == 0 {
            end.get_or_insert(from);
            break;
        }
    }
    end.unwrap_or(from)
}

/// Writes ledgers, re-using its buffer.
#[derive(Default)]
pub(crate) struct Encoder {
    octets: Vec<u8>,
}

impl Encoder {
    /// Begins the ledger of a node with so many names directly below.
    pub(crate) fn begin(&mut self, children: u32) {
        self.octets.clear();
        push_number(&mut self.octets, children);
    }

    /// The next served record, in the order of sets and records, and the TTL of its set.
    pub(crate) fn teller(&mut self, said: &Said, ttl: u32) {
        let own = said.ttl != ttl;
        push_number(&mut self.octets, said.source.0 << 1 | u32::from(own));
        if own {
            push_number(&mut self.octets, said.ttl);
        }
    }

    /// A record that is not served; after all that are.
    pub(crate) fn unserved(&mut self, said: &Said) {
        push_number(&mut self.octets, said.source.0);
        self.octets.extend_from_slice(&said.rtype.0.to_be_bytes());
        push_number(&mut self.octets, said.ttl);
        push_number(&mut self.octets, said.rdata.len() as u32);
        self.octets.extend_from_slice(&said.rdata);
    }

    /// Appends it to a node.
    pub(crate) fn end(&self, node: &mut Vec<u8>) {
        push_number(node, self.octets.len() as u32);
        node.extend_from_slice(&self.octets);
    }
}

fn push_number(octets: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        octets.push(number as u8 | 0x80);
        number >>= 7;
    }
    octets.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::key::HashSeed;
    use crate::wire::name::Name;
    use crate::zone::set::SetWriter;
    use crate::zone::store::node_in;
    use proptest::prelude::*;

    #[test]
    fn names_of_a_sealed_set_come_back_whole() {
        let origin = Name::parse("hive.internal.").unwrap();
        let owner = Name::parse("a.svc.hive.internal.").unwrap();
        let mut writer = SetWriter::new(&origin, HashSeed::new([3; 16]));
        let mut octets = vec![6, 0, 1, 0];
        octets.extend_from_slice(b"\x01a\x03svc\0\0");
        writer.begin(owner.as_wire(), false);
        let rdata = |preference: u8, name: &str| {
            [&[0, preference][..], Name::parse(name).unwrap().as_wire()].concat()
        };
        let all = [
            rdata(1, "a.svc.hive.internal."),
            rdata(2, "mail.svc.hive.internal."),
            rdata(3, "x.elsewhere."),
            rdata(4, "y.x.elsewhere."),
            rdata(5, "."),
        ];
        all.iter().for_each(|rdata| writer.record(RecordType::MX, 60, rdata));
        assert!(writer.end(RecordType::MX, None, &mut octets));
        let node = node_in(&octets, 0, origin.as_wire().len()).unwrap();
        let set = node.rrset(RecordType::MX).unwrap();
        let back: Vec<Vec<u8>> = rdatas(&set, owner.as_wire()).map(Vec::from).collect();
        assert_eq!(back, all);
    }

    proptest! {
        #[test]
        fn numbers_come_back(numbers in prop::collection::vec(any::<u32>(), 0..20)) {
            let mut octets = Vec::new();
            numbers.iter().for_each(|number| push_number(&mut octets, *number));
            let mut reader = Reader { octets: &octets };
            for number in numbers {
                prop_assert_eq!(reader.number(), number);
            }
            prop_assert!(reader.octets.is_empty());
        }
    }
}
