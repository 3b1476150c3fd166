//! The sets of one name, as an update is held against them.

use super::canonical;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::amend::Amendment;
use std::collections::BTreeMap;

/// What a name has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// In the case in which it is kept.
    pub name: Name,
    /// By type; none is empty.
    pub sets: BTreeMap<RecordType, Set>,
}

/// The records of one name and type. Equal records are one (RFC 2136 §1.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// Seconds.
    pub ttl: u32,
    /// RDATA by its canonical form.
    rdatas: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Owner {
    /// A name that has nothing.
    pub fn free(name: &Name) -> Owner {
        Owner { name: name.clone(), sets: BTreeMap::new() }
    }
}

impl Set {
    /// An empty one, which stands nowhere before it gets a record.
    pub(super) fn new(ttl: u32) -> Set {
        Set { ttl, rdatas: BTreeMap::new() }
    }

    /// Of records.
    pub fn of<'r>(rtype: RecordType, ttl: u32, rdatas: impl IntoIterator<Item = &'r [u8]>) -> Set {
        let mut set = Set::new(ttl);
        rdatas.into_iter().for_each(|rdata| set.add(rtype, rdata));
        set
    }

    /// Adds a record; one that is there already stays in its own case.
    pub(super) fn add(&mut self, rtype: RecordType, rdata: &[u8]) {
        self.rdatas.entry(canonical(rtype, rdata)).or_insert_with(|| rdata.to_vec());
    }

    /// Takes a record out, if it is there.
    pub(super) fn remove(&mut self, rtype: RecordType, rdata: &[u8]) {
        self.rdatas.remove(&canonical(rtype, rdata));
    }

    /// Takes all out whose canonical form is not so.
    pub(super) fn retain(&mut self, is_kept: impl Fn(&[u8]) -> bool) {
        self.rdatas.retain(|canonical, _| is_kept(canonical));
    }

    /// True if the record is in it.
    pub fn has(&self, rtype: RecordType, rdata: &[u8]) -> bool {
        self.rdatas.contains_key(&canonical(rtype, rdata))
    }

    /// The canonical form of each record, rising.
    pub(super) fn canonical(&self) -> impl Iterator<Item = &[u8]> {
        self.rdatas.keys().map(Vec::as_slice)
    }

    /// The RDATA of each record, in canonical order.
    pub fn rdatas(&self) -> impl Iterator<Item = &[u8]> {
        self.rdatas.values().map(Vec::as_slice)
    }

    /// How many records.
    pub(super) fn len(&self) -> usize {
        self.rdatas.len()
    }
}

/// What a name in a zone has: its own records only, whatever cut, alias or wildcard there is (RFC 2136 §7.16).
pub fn of_amendment(amendment: &mut Amendment<'_>, name: &Name) -> Owner {
    let mut owner = Owner::free(&amendment.cased(name));
    for record in amendment.records(name) {
        let set = owner.sets.entry(record.rtype).or_insert_with(|| Set::new(record.ttl));
        set.add(record.rtype, &record.rdata);
    }
    owner
}
