//! What NSEC and NSEC3 records prove not to exist. They are believed here: whoever calls has checked their signatures.
//!
//! ```text
//! prove(name, type):   is there a record at the name?                    its types ─► NODATA
//!                      the name is covered; closest encloser E, then:
//!                      a record at *.E?                                  its types ─► NODATA
//!                      *.E is covered                                              ─► the name does not exist
//! ```

use crate::resolve::validate::check::Work;
use crate::resolve::validate::nsec::Nsec;
use crate::resolve::validate::nsec3::{Chain, Nsec3};
use crate::resolve::validate::set::Set;
use crate::resolve::validate::verdict::Cause;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use domain::base::iana::Rtype;
use domain::rdata::dnssec::RtypeBitmap;

/// What records of denial prove about a name and a type. Closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proven {
    /// The name exists, or a wildcard stands for it, without the type. `cut` if a zone is delegated there.
    NoData { cut: bool },
    /// Neither the name nor a wildcard for it exists.
    NoName,
    /// The zone does not say whether an unsigned delegation stands at or above the name (RFC 5155 §6).
    OptOut,
    /// The zone hashes its names more often than is done here: as if it were insecure (RFC 9276 §3.2).
    Costly,
    /// Nothing.
    Nothing,
}

/// The records of one zone.
#[derive(Debug)]
pub(super) struct Denial<'s> {
    zone: &'s Name,
    nsec: Vec<Nsec<'s>>,
    nsec3: Vec<Nsec3<'s>>,
}

impl<'s> Denial<'s> {
    /// Of sets that `zone` signed under their own names; other types than NSEC and NSEC3 do not count, nor does what is
    /// malformed.
    pub(super) fn new(zone: &'s Name, sets: impl Iterator<Item = &'s Set>) -> Denial<'s> {
        let mut denial = Denial { zone, nsec: Vec::new(), nsec3: Vec::new() };
        for set in sets {
            match set.rtype {
                RecordType::NSEC => denial.nsec.extend(Nsec::read(set, zone)),
                RecordType::NSEC3 => denial.nsec3.extend(Nsec3::read(set, zone)),
                _ => {}
            }
        }
        denial
    }

    /// What is proven about `name`, which is at or below the zone, and `rtype`. An error is too much work.
    pub(super) fn prove(&self, name: &Name, rtype: RecordType, work: &mut Work) -> Result<Proven, Cause> {
        let proven = self.prove_by_nsec(name, rtype);
        if proven != Proven::Nothing || self.nsec3.is_empty() {
            return Ok(proven);
        }
        match Chain::new(self.zone, &self.nsec3) {
            None => Ok(Proven::Costly),
            Some(mut chain) => chain.prove(name, rtype, work),
        }
    }

    fn prove_by_nsec(&self, name: &Name, rtype: RecordType) -> Proven {
        if let Some(at) = self.nsec.iter().find(|nsec| nsec.owner == name) {
            return at_name(&at.types, rtype, name.is_root());
        }
        let Some(covering) = self.nsec.iter().find(|nsec| nsec.covers(name)) else { return Proven::Nothing };
        if covering.next.is_at_or_below(name) {
            // An empty non-terminal: something exists below (RFC 4035 §3.1.3.2).
            return Proven::NoData { cut: false };
        }
        let Some(wildcard) = covering.wildcard_for(name) else { return Proven::Nothing };
        match self.nsec.iter().find(|nsec| *nsec.owner == wildcard) {
            Some(at) => at_wildcard(&at.types, rtype),
            None => match self.nsec.iter().find(|nsec| nsec.covers(&wildcard)) {
                // It has no records, but is there for what is below it (RFC 4592 §2.2.2).
                Some(covering) if covering.next.is_at_or_below(&wildcard) => Proven::NoData { cut: false },
                Some(_) => Proven::NoName,
                None => Proven::Nothing,
            },
        }
    }

    /// Whether `name`, answered by the wildcard below its last `labels` labels, has no closer match of its own
    /// (RFC 4035 §5.3.4, RFC 5155 §8.8): `NoName`, `OptOut`, `Costly` or `Nothing`.
    pub(super) fn prove_expansion(
        &self,
        name: &Name,
        labels: usize,
        work: &mut Work,
    ) -> Result<Proven, Cause> {
        let covering = self.nsec.iter().find(|nsec| nsec.covers(name));
        if covering.is_some_and(|nsec| nsec.encloser_labels(name) == labels) {
            return Ok(Proven::NoName);
        }
        if self.nsec3.is_empty() {
            return Ok(Proven::Nothing);
        }
        match Chain::new(self.zone, &self.nsec3) {
            None => Ok(Proven::Costly),
            Some(mut chain) => chain.prove_expansion(name, labels, work),
        }
    }
}

/// The types of a record, by our own names for them.
#[derive(Debug)]
pub(super) struct Types<'s>(pub RtypeBitmap<&'s [u8]>);

impl Types<'_> {
    pub(super) fn has(&self, rtype: RecordType) -> bool {
        self.0.contains(Rtype::from_int(rtype.0))
    }

    /// The record is of the upper side of a cut: it says nothing of what is below.
    pub(super) fn is_cut(&self) -> bool {
        self.has(RecordType::NS) && !self.has(RecordType::SOA)
    }

    /// Names below are not of this zone, or not under their own names (RFC 6840 §4.1, RFC 6672 §5.3.4.1).
    pub(super) fn hides_below(&self) -> bool {
        self.is_cut() || self.has(RecordType::DNAME)
    }
}

/// What the types at the name itself prove.
pub(super) fn at_name(types: &Types<'_>, rtype: RecordType, root: bool) -> Proven {
    // Whoever asks for all types is not told that there are none while there are some.
    let has_any = rtype == RecordType::ANY && !types.0.is_empty();
    if has_any || types.has(rtype) || types.has(RecordType::CNAME) {
        return Proven::Nothing;
    }
    match rtype {
        // The lower side of a cut does not know of DS (RFC 4035 §5.2, RFC 6840 §4.4).
        RecordType::DS if types.has(RecordType::SOA) && !root => Proven::Nothing,
        RecordType::DS => Proven::NoData { cut: types.is_cut() },
        _ if types.is_cut() => Proven::Nothing,
        _ => Proven::NoData { cut: false },
    }
}

/// What the types at the wildcard prove.
pub(super) fn at_wildcard(types: &Types<'_>, rtype: RecordType) -> Proven {
    let has_any = rtype == RecordType::ANY && !types.0.is_empty();
    if has_any || types.has(rtype) || types.has(RecordType::CNAME) || types.is_cut() {
        return Proven::Nothing;
    }
    Proven::NoData { cut: false }
}
