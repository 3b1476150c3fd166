//! The sets of one name, as an update is held against them.

use super::canonical;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::amend::{Amendment, Kept};
use crate::zone::rdata::is_lowered;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a name has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// In the case in which it is kept.
    pub name: Name,
    /// By type; none is empty. A set that stays as it is is shared by what was and what is.
    pub sets: BTreeMap<RecordType, Arc<Set>>,
}

/// The records of one name and type. Equal records are one (RFC 2136 §1.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// Seconds.
    pub ttl: u32,
    /// By rising canonical form, each once.
    rdatas: Vec<Rdata>,
}

/// RDATA as it is, and as it compares.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rdata {
    octets: Box<[u8]>,
    /// Where that is otherwise.
    canonical: Option<Box<[u8]>>,
}

impl Rdata {
    fn of(rtype: RecordType, octets: &[u8]) -> Rdata {
        let canonical = match comparable(rtype, octets) {
            Cow::Owned(canonical) if canonical != octets => Some(canonical.into()),
            Cow::Owned(_) | Cow::Borrowed(_) => None,
        };
        Rdata { octets: octets.into(), canonical }
    }

    fn canonical(&self) -> &[u8] {
        self.canonical.as_deref().unwrap_or(&self.octets)
    }
}

/// RDATA as it compares, without a copy where no letter would be lowered.
fn comparable(rtype: RecordType, octets: &[u8]) -> Cow<'_, [u8]> {
    match is_lowered(rtype) && octets.iter().any(u8::is_ascii_uppercase) {
        true => canonical(rtype, octets).into(),
        false => octets.into(),
    }
}

impl Owner {
    /// A name that has nothing.
    pub fn free(name: &Name) -> Owner {
        Owner { name: name.clone(), sets: BTreeMap::new() }
    }

    /// A name, as it is kept, with these records, which stand by rising type.
    fn of(name: Name, records: &[Kept]) -> Owner {
        let set = |set: &[Kept]| {
            let first = set.first()?;
            let rdatas = set.iter().map(|record| &*record.rdata);
            Some((first.rtype, Arc::new(Set::of(first.rtype, first.ttl, rdatas))))
        };
        Owner { name, sets: records.chunk_by(|a, b| a.rtype == b.rtype).filter_map(set).collect() }
    }
}

impl Set {
    /// An empty one, which stands nowhere before it gets a record.
    pub(super) fn new(ttl: u32) -> Set {
        Set { ttl, rdatas: Vec::new() }
    }

    /// Of records; of those that are equal the first one.
    pub fn of<'r>(rtype: RecordType, ttl: u32, rdatas: impl IntoIterator<Item = &'r [u8]>) -> Set {
        let mut rdatas: Vec<Rdata> = rdatas.into_iter().map(|rdata| Rdata::of(rtype, rdata)).collect();
        rdatas.sort_by(|one, other| one.canonical().cmp(other.canonical()));
        rdatas.dedup_by(|later, first| later.canonical() == first.canonical());
        Set { ttl, rdatas }
    }

    /// Where a record stands, given its canonical form, or where it would.
    fn find(&self, canonical: &[u8]) -> Result<usize, usize> {
        self.rdatas.binary_search_by(|known| known.canonical().cmp(canonical))
    }

    /// Adds a record; one that is there already stays in its own case.
    pub(super) fn add(&mut self, rtype: RecordType, rdata: &[u8]) {
        let rdata = Rdata::of(rtype, rdata);
        if let Err(at) = self.find(rdata.canonical()) {
            self.rdatas.insert(at, rdata);
        }
    }

    /// Takes a record out, if it is there.
    pub(super) fn remove(&mut self, rtype: RecordType, rdata: &[u8]) {
        if let Ok(at) = self.find(&comparable(rtype, rdata)) {
            self.rdatas.remove(at);
        }
    }

    /// Takes all out whose canonical form is not so.
    pub(super) fn retain(&mut self, is_kept: impl Fn(&[u8]) -> bool) {
        self.rdatas.retain(|rdata| is_kept(rdata.canonical()));
    }

    /// True if the record is in it.
    pub fn has(&self, rtype: RecordType, rdata: &[u8]) -> bool {
        self.find(&comparable(rtype, rdata)).is_ok()
    }

    /// The RDATA of the records that another one does not have.
    pub(super) fn beside(&self, other: Option<&Set>) -> impl Iterator<Item = &[u8]> {
        let is_new = move |rdata: &&Rdata| other.is_none_or(|other| other.find(rdata.canonical()).is_err());
        self.rdatas.iter().filter(is_new).map(|rdata| &*rdata.octets)
    }

    /// The canonical form of each record, rising.
    pub(super) fn canonical(&self) -> impl Iterator<Item = &[u8]> {
        self.rdatas.iter().map(Rdata::canonical)
    }

    /// The RDATA of each record, in canonical order.
    pub fn rdatas(&self) -> impl Iterator<Item = &[u8]> {
        self.rdatas.iter().map(|rdata| &*rdata.octets)
    }

    /// How many records.
    pub(super) fn len(&self) -> usize {
        self.rdatas.len()
    }
}

/// The apex as it is kept, and its SOA.
pub type Apex = (Name, Arc<Set>);

/// Tells what names have in the version that updates begin with.
pub trait Content {
    /// What a name has.
    fn owner(&mut self, name: &Name) -> Owner;

    /// The SOA at the apex, which each update wants to know, and the apex as it is kept.
    fn soa(&mut self, origin: &Name) -> Option<Apex> {
        let mut owner = self.owner(origin);
        let soa = owner.sets.remove(&RecordType::SOA)?;
        Some((owner.name, soa))
    }
}

impl<F: FnMut(&Name) -> Owner> Content for F {
    fn owner(&mut self, name: &Name) -> Owner {
        self(name)
    }
}

impl Content for &mut Amendment<'_> {
    fn owner(&mut self, name: &Name) -> Owner {
        of_amendment(self, name)
    }

    fn soa(&mut self, _origin: &Name) -> Option<Apex> {
        let (name, Kept { ttl, rdata, .. }) = (self.origin().clone(), Amendment::soa(self)?);
        Some((name, Arc::new(Set::of(RecordType::SOA, *ttl, [&**rdata]))))
    }
}

/// What a name in a zone has: its own records only, whatever cut, alias or wildcard there is (RFC 2136 §7.16).
pub fn of_amendment(amendment: &mut Amendment<'_>, name: &Name) -> Owner {
    let (name, records) = amendment.owner(name);
    Owner::of(name, records)
}
