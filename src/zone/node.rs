//! A node as it lies in a sealed zone, its sets of records, and the names they lead to: views of octets in the
//! form that [`crate::zone::store`] draws. How a node is found is not known here.

use crate::base::limits::MESSAGE_OCTETS_MAX;
use crate::base::octets::le64_or_zero;
use crate::base::time::Moment;
use crate::wire::key::NameKey;
use crate::wire::rtype::RecordType;
use crate::wire::sealed::{RECORD_HEAD_OCTETS, SealedRrset};

use crate::zone::draft::node_flags;

/// Octets of a node before its key.
pub(crate) const NODE_HEAD: usize = 4;
/// Octets of an RRset before its records.
pub(crate) const RRSET_HEAD: usize = 8;
/// Octets of a sealed RRSIG record up to the type that it covers.
const SIGNATURE_HEAD: usize = RECORD_HEAD_OCTETS + 2;
/// Octets of a target before its key.
pub(crate) const TARGET_HEAD: usize = 12;

/// Flags of a target.
pub mod target_flags {
    /// A name server at or below the cut that the set makes: its addresses are glue that a referral cannot do
    /// without (RFC 9471 §3.1).
    pub const REQUIRED_GLUE: u8 = 1;
}

/// The bit of `records` that marks a deadline at the end of the extras.
pub(crate) const RECORDS_DEADLINE: u16 = 0x4000;
/// The bits of `records` that count: no message holds so many.
const RECORDS_COUNT: u16 = RECORDS_DEADLINE - 1;
const _: () = assert!(MESSAGE_OCTETS_MAX / RECORD_HEAD_OCTETS <= RECORDS_COUNT as usize);
/// Octets of a deadline.
const DEADLINE_OCTETS: usize = 8;
const _: () = assert!(DEADLINE_OCTETS < TARGET_HEAD, "a deadline must not look like a target");

#[inline(always)]
fn le16(octets: &[u8], at: usize) -> usize {
    match octets.get(at..).and_then(|rest| rest.first_chunk::<2>()) {
        Some(c) => usize::from(u16::from_le_bytes(*c)),
        None => 0,
    }
}

/// The next multiple of four.
#[inline(always)]
pub(crate) fn aligned(at: usize) -> usize {
    (at + 3) & !3
}

/// The node that begins at `at`.
#[inline(always)]
pub(crate) fn node_in(octets: &[u8], at: usize, origin_len: usize) -> Option<Node<'_>> {
    let octets = octets.get(at..)?;
    let [key_len, flags, rrsets, occluder] = *octets.first_chunk::<NODE_HEAD>()?;
    Some(Node { octets, origin_len, key_len, flags, rrsets, occluder })
}

/// A name of the zone: an owner of records, or an empty non-terminal.
#[derive(Clone, Copy)]
pub struct Node<'z> {
    octets: &'z [u8],
    origin_len: usize,
    key_len: u8,
    flags: u8,
    rrsets: u8,
    occluder: u8,
}

impl<'z> Node<'z> {
    /// What has no name of its own and no records.
    pub(crate) const EMPTY: Node<'static> =
        Node { octets: &[], origin_len: 0, key_len: 0, flags: 0, rrsets: 0, occluder: 0 };

    /// True if the key is the `len` octets at `at` of a name; `None` if there are too many to compare at once.
    #[inline(always)]
    pub(crate) fn agrees(&self, name: &NameKey, at: u8, len: usize) -> Option<bool> {
        if usize::from(self.key_len) != len {
            return Some(false);
        }
        name.agrees(at, self.octets.get(NODE_HEAD..)?, len)
    }

    /// What tells two nodes of a zone apart.
    #[inline]
    pub fn id(&self) -> usize {
        self.octets.as_ptr() as usize
    }

    /// The lower-cased name relative to the apex, without a final zero octet; empty for the apex.
    #[inline(always)]
    pub fn key(&self) -> &'z [u8] {
        self.octets.get(NODE_HEAD..NODE_HEAD + usize::from(self.key_len)).unwrap_or_default()
    }

    /// The same in the case it was loaded with.
    pub fn cased_key(&self) -> &'z [u8] {
        let len = usize::from(self.key_len);
        let at = if self.has(node_flags::CASED) { NODE_HEAD + len } else { NODE_HEAD };
        self.octets.get(at..at + len).unwrap_or_default()
    }

    /// Octets of the absolute name in wire form.
    #[inline(always)]
    pub fn name_len(&self) -> usize {
        usize::from(self.key_len) + self.origin_len
    }

    /// True if any of `flags` is set.
    #[inline(always)]
    pub fn has(&self, flags: u8) -> bool {
        self.flags & flags != 0
    }

    /// How many labels below the apex the cut or DNAME stands that hides this node; only where it is occluded.
    #[inline]
    pub fn occluder_depth(&self) -> usize {
        usize::from(self.occluder)
    }

    /// True if the first label is a lone `*`.
    pub fn is_wildcard(&self) -> bool {
        self.key().starts_with(b"\x01*")
    }

    /// True for an empty non-terminal.
    pub fn is_empty(&self) -> bool {
        self.rrsets == 0
    }

    /// The RRsets, by rising type.
    #[inline]
    pub fn rrsets(&self) -> impl Iterator<Item = Rrset<'z>> {
        let owner_len = self.name_len();
        let mut rest = self.octets.get(self.rrsets_at()..).unwrap_or_default();
        (0..self.rrsets).map_while(move |_| {
            let (rrset, next) = Rrset::split(rest, owner_len)?;
            rest = next.unwrap_or_default();
            Some(rrset)
        })
    }

    /// The RRset of a type.
    #[inline(always)]
    pub fn rrset(&self, rtype: RecordType) -> Option<Rrset<'z>> {
        let mut rest = self.octets.get(self.rrsets_at()..)?;
        for _ in 0..self.rrsets {
            let (rrset, next) = Rrset::split(rest, self.name_len())?;
            if rrset.rtype() == rtype {
                return Some(rrset);
            }
            rest = next?;
        }
        None
    }

    /// The signatures of the node's set of that type: the form with signatures is the set and these behind it.
    pub fn signatures(&self, rtype: RecordType) -> Option<SealedRrset<'z>> {
        self.rrset(RecordType::RRSIG)?.covering(rtype)
    }

    /// The octets of its sets, and how many sets those are.
    pub(crate) fn sets(&self) -> (&'z [u8], u8) {
        (self.split().0.get(self.rrsets_at()..).unwrap_or_default(), self.rrsets)
    }

    /// The octets of the node, as far as this module knows them, and what follows.
    pub(crate) fn split(&self) -> (&'z [u8], &'z [u8]) {
        let mut rest = self.octets.get(self.rrsets_at()..).unwrap_or_default();
        for _ in 0..self.rrsets {
            rest = Rrset::split(rest, self.name_len()).and_then(|(_, next)| next).unwrap_or_default();
        }
        self.octets.split_at(self.octets.len() - rest.len())
    }

    #[inline(always)]
    fn rrsets_at(&self) -> usize {
        aligned(NODE_HEAD + (usize::from(self.key_len) << u32::from(self.has(node_flags::CASED))))
    }
}

/// A set of records of one owner and type.
#[derive(Clone, Copy)]
pub struct Rrset<'z> {
    /// Type, records, octets of the records, octets of the extras: 16 bits each, from the lowest.
    head: u64,
    /// The records, then the extras, then whatever follows.
    run: &'z [u8],
    owner_len: usize,
}

impl<'z> Rrset<'z> {
    /// The set at the start of `octets`, and what follows it.
    #[inline(always)]
    fn split(octets: &'z [u8], owner_len: usize) -> Option<(Rrset<'z>, Option<&'z [u8]>)> {
        let (head, run) = octets.split_first_chunk::<RRSET_HEAD>()?;
        let rrset = Rrset { head: u64::from_le_bytes(*head), run, owner_len };
        Some((rrset, run.get(aligned(rrset.octets_len() + rrset.extras_len())..)))
    }

    /// The type.
    #[inline(always)]
    pub fn rtype(&self) -> RecordType {
        RecordType(self.head as u16)
    }

    /// How many records there are.
    #[inline(always)]
    pub fn records(&self) -> u16 {
        (self.head >> 16) as u16 & RECORDS_COUNT
    }

    #[inline(always)]
    fn octets_len(&self) -> usize {
        usize::from((self.head >> 32) as u16)
    }

    #[inline(always)]
    fn extras_len(&self) -> usize {
        (self.head >> 48) as usize
    }

    /// True if the set may lead to other names of the zone.
    #[inline(always)]
    pub fn has_targets(&self) -> bool {
        self.extras_len() > 0
            && matches!(self.rtype(), RecordType::NS | RecordType::MX | RecordType::SRV | RecordType::CNAME)
    }

    /// True if its TTL in answers depends on the time.
    #[inline(always)]
    pub fn has_deadline(&self) -> bool {
        self.extras_len() > 0 && (self.head >> 16) as u16 & RECORDS_DEADLINE != 0
    }

    /// When its TTL will have run out, whatever it is; [`Moment::NEVER`] for most.
    #[inline(always)]
    pub fn deadline(&self) -> Moment {
        match self.extras().last_chunk::<DEADLINE_OCTETS>() {
            Some(micros) if self.has_deadline() => Moment::from_micros(u64::from_le_bytes(*micros)),
            _ => Moment::NEVER,
        }
    }

    /// What goes into a message.
    #[inline(always)]
    pub fn sealed(&self) -> SealedRrset<'z> {
        let octets = self.run.get(..self.octets_len()).unwrap_or_default();
        SealedRrset {
            records: self.records(),
            octets,
            pointers: self.pointers(),
            owner_len: self.owner_len,
            deadline: self.deadline(),
        }
    }

    /// Octets that begin with the sealed records and go on with anything, and how many of them are records.
    #[inline(always)]
    pub fn run(&self) -> (&'z [u8], usize) {
        (self.run, self.octets_len())
    }

    /// Octets of the owner's absolute name in wire form.
    #[inline(always)]
    pub fn owner_len(&self) -> usize {
        self.owner_len
    }

    /// What stands behind the records.
    #[inline(always)]
    fn extras(&self) -> &'z [u8] {
        self.run.get(self.octets_len()..).and_then(|rest| rest.get(..self.extras_len())).unwrap_or_default()
    }

    /// Of a set of RRSIG, in which they stand by rising type (RFC 4034 §3.1.1), those that cover a type.
    fn covering(&self, rtype: RecordType) -> Option<SealedRrset<'z>> {
        let all = self.sealed();
        let (mut at, mut start, mut records) = (0, 0, 0);
        while let Some(head) = all.octets.get(at..).and_then(|rest| rest.first_chunk::<SIGNATURE_HEAD>()) {
            let [.., rdlen_high, rdlen_low, covered_high, covered_low] = *head;
            let covered = u16::from_be_bytes([covered_high, covered_low]);
            if covered > rtype.0 {
                break;
            }
            let end = at + RECORD_HEAD_OCTETS + usize::from(u16::from_be_bytes([rdlen_high, rdlen_low]));
            if covered == rtype.0 {
                start = if records == 0 { at } else { start };
                records += 1;
            }
            at = end;
        }
        let octets = all.octets.get(start..at).filter(|_| records > 0)?;
        // The signer's name is never compressed (RFC 4034 §3.1.7).
        Some(SealedRrset { records, octets, pointers: &[], ..all })
    }

    /// The pointers to shift: see [`SealedRrset::pointers`].
    #[inline(always)]
    pub fn pointers(&self) -> &'z [u8] {
        match self.extras().split_first_chunk::<2>() {
            None => &[][..],
            Some((count, rest)) => {
                rest.get(..2 * usize::from(u16::from_le_bytes(*count))).unwrap_or_default()
            }
        }
    }

    /// The names of this zone that the set leads to, in the order of its records.
    #[inline]
    pub fn targets(&self) -> impl Iterator<Item = Target<'z>> + use<'z> {
        let extras = self.extras();
        let mut at = if extras.is_empty() { 0 } else { 2 + 2 * le16(extras, 0) };
        std::iter::from_fn(move || {
            let head = extras.get(at..at + TARGET_HEAD)?;
            let key_len = usize::from(head[2]);
            let key = extras.get(at + TARGET_HEAD..at + TARGET_HEAD + key_len)?;
            at += TARGET_HEAD + key_len;
            Some(Target { at: le16(head, 0), flags: head[3], hash: le64_or_zero(head, 4), key })
        })
    }
}

/// A name of the same zone within the RDATA of a set.
#[derive(Clone, Copy)]
pub struct Target<'z> {
    /// Where the name stands in the sealed octets.
    pub at: usize,
    /// See [`target_flags`].
    pub flags: u8,
    /// Its hash.
    pub hash: u64,
    /// Its key.
    pub key: &'z [u8],
}
