//! The owners of discovered records: their numbers, leases, and when something of theirs ends.
//!
//! Blocks name an owner by a number. An owner that begins anew, or goes, gives its number up: what was said under
//! it is forgotten as names are looked at, and the number is free again when a sweep has seen all of them. So a
//! new life replaces the old one from its first record on.

use crate::base::time::Moment;
use crate::catalog::lease::{Lease, OwnerId, Source};
use crate::wire::rtype::RecordType;
use crate::zone::live::choice::Standing;
use crate::zone::live::ledger::SourceNumber;
use crate::zone::live::writer::Sources;
use crate::zone::view::MARK;
use std::collections::HashMap;
use std::time::Duration;

/// One owner, or one life of it that is over.
#[derive(Debug, Clone)]
pub struct Owner {
    /// Who; `None`: the number is being given up.
    pub id: Option<OwnerId>,
    /// Hidden until something else is heard.
    pub lease: Lease,
    /// Records it says, served or not; those still queued do not count, and marks, which are no records, do.
    records: usize,
    /// Those of them that are told to people: all but marks.
    pub told: usize,
    /// The earliest end of one of its served records.
    next_end: Moment,
}

/// All owners. There are as many as nodes in the cluster, and as many again while all of them begin anew.
#[derive(Debug, Clone)]
pub struct Owners {
    /// By number less one: 0 is the cluster.
    table: Vec<Owner>,
    numbers: HashMap<OwnerId, SourceNumber>,
    /// Numbers that were given up and may still be named in blocks.
    given_up: Vec<SourceNumber>,
    /// Numbers that nothing names.
    free: Vec<SourceNumber>,
    /// No record is over before then; it may be that none is over then either. All owners are looked at when it comes,
    /// not each time somebody asks.
    earliest: Moment,
    cluster_records: usize,
    /// The configured lease.
    pub(crate) whole: Duration,
    pub(crate) now: Moment,
}

impl Owners {
    pub(crate) fn new(whole: Duration) -> Owners {
        Owners {
            table: Vec::new(),
            numbers: HashMap::new(),
            given_up: Vec::new(),
            free: Vec::new(),
            earliest: Moment::NEVER,
            cluster_records: 0,
            whole,
            now: Moment::START,
        }
    }

    /// The number of a source; new owners get one.
    pub(crate) fn number(&mut self, source: Source) -> SourceNumber {
        let Source::Owner(id) = source else { return SourceNumber::CLUSTER };
        if let Some(number) = self.numbers.get(&id) {
            return *number;
        }
        let fresh =
            Owner { id: Some(id), lease: Lease::Hidden, records: 0, told: 0, next_end: Moment::NEVER };
        let number = match self.free.pop() {
            Some(number) => {
                if let Some(owner) = self.get_mut(number) {
                    *owner = fresh;
                }
                number
            }
            None => {
                self.table.push(fresh);
                SourceNumber(self.table.len() as u32)
            }
        };
        self.numbers.insert(id, number);
        number
    }

    /// The number of an owner, if it has one.
    pub(crate) fn known(&self, id: OwnerId) -> Option<SourceNumber> {
        self.numbers.get(&id).copied()
    }

    fn get_mut(&mut self, number: SourceNumber) -> Option<&mut Owner> {
        self.table.get_mut((number.0 as usize).checked_sub(1)?)
    }

    /// An owner by its number; `None` for the cluster.
    pub fn get(&self, number: SourceNumber) -> Option<&Owner> {
        self.table.get((number.0 as usize).checked_sub(1)?)
    }

    /// The owners that are known.
    pub fn iter(&self) -> impl Iterator<Item = &Owner> {
        self.table.iter().filter(|owner| owner.id.is_some())
    }

    /// Records that the cluster says.
    pub fn cluster_records(&self) -> usize {
        self.cluster_records
    }

    /// Sets a lease; true if that changes anything for what is said.
    pub(crate) fn set_lease(&mut self, number: SourceNumber, lease: Lease) -> bool {
        let Some(owner) = self.get_mut(number) else { return false };
        if owner.lease == lease {
            return false;
        }
        owner.lease = lease;
        owner.next_end = Moment::NEVER;
        owner.records > 0
    }

    /// Gives up an owner's number; the number.
    pub(crate) fn give_up(&mut self, id: OwnerId) -> Option<SourceNumber> {
        let number = self.numbers.remove(&id)?;
        if let Some(owner) = self.get_mut(number) {
            owner.id = None;
            owner.next_end = Moment::NEVER;
        }
        self.given_up.push(number);
        Some(number)
    }

    /// Frees the numbers that were given up and that `is_over`: nothing can name them any more.
    pub(crate) fn free(&mut self, is_over: impl Fn(SourceNumber) -> bool) {
        self.free.extend(self.given_up.extract_if(.., |number| is_over(*number)));
    }

    /// The numbers of owners of which something is over, or whose records must be looked at because the lease
    /// changed (`all`).
    pub(crate) fn due(&mut self, all: bool) -> Vec<SourceNumber> {
        let now = self.now;
        let mut due = Vec::new();
        self.earliest = Moment::NEVER;
        for (place, owner) in self.table.iter_mut().enumerate() {
            let is_leased = matches!(owner.lease, Lease::Counting { .. } | Lease::Frozen { .. });
            if owner.next_end <= now || (all && is_leased) {
                owner.next_end = Moment::NEVER;
                due.push(SourceNumber(place as u32 + 1));
            }
            self.earliest = self.earliest.min(owner.next_end);
        }
        due
    }

    /// A moment before which no record is over.
    pub(crate) fn next_end(&self) -> Moment {
        self.earliest
    }
}

impl Sources for Owners {
    fn standing(&mut self, source: SourceNumber, ttl: u32) -> Standing {
        let (whole, now) = (self.whole, self.now);
        let Some(owner) = self.get_mut(source) else { return Standing::FULL };
        if owner.id.is_none() {
            return Standing::Forgotten;
        }
        let standing = owner.lease.standing(ttl, whole, now);
        if let Standing::Served { until, .. } = standing {
            owner.next_end = owner.next_end.min(until);
            self.earliest = self.earliest.min(until);
        }
        standing
    }

    fn counted(&mut self, source: SourceNumber, rtype: RecordType, gone: usize, come: usize) {
        let change = |records: &mut usize| *records = records.saturating_sub(gone) + come;
        match self.get_mut(source) {
            Some(owner) => {
                change(&mut owner.records);
                if rtype != MARK.viewed() {
                    change(&mut owner.told);
                }
            }
            None if source == SourceNumber::CLUSTER => change(&mut self.cluster_records),
            None => {}
        }
    }
}
