//! NSEC records: which name comes next (RFC 4034 §4, RFC 4035 §5.4).

use crate::resolve::validate::denial::Types;
use crate::resolve::validate::set::{Set, ancestor, wildcard};
use crate::wire::name::Name;
use domain::dep::octseq::Parser;
use domain::rdata::dnssec::RtypeBitmap;

/// One record.
#[derive(Debug)]
pub(super) struct Nsec<'s> {
    pub owner: &'s Name,
    pub next: Name,
    zone: &'s Name,
    pub types: Types<'s>,
}

impl<'s> Nsec<'s> {
    /// `None` for what is malformed, leads out of the zone, or is not the only record of its set.
    pub(super) fn read(set: &'s Set, zone: &'s Name) -> Option<Nsec<'s>> {
        let [rdata] = &set.rdatas[..] else { return None };
        let next = Name::from_wire(rdata).ok()?;
        let mut types = Parser::from_ref(rdata.get(next.as_wire().len()..)?);
        let types = Types(RtypeBitmap::parse(&mut types).ok()?);
        let inside = set.name.is_at_or_below(zone) && next.is_at_or_below(zone);
        inside.then_some(Nsec { owner: &set.name, next, zone, types })
    }

    /// True if `name` lies between the record's two names, so that it has no records.
    pub(super) fn covers(&self, name: &Name) -> bool {
        if !name.is_at_or_below(self.zone) || name <= self.owner {
            return false;
        }
        if name.is_at_or_below(self.owner) && self.types.hides_below() {
            return false;
        }
        // The last record of a zone leads back to the apex.
        if self.next <= *self.owner { self.next == *self.zone } else { *name < self.next }
    }

    /// Labels of the closest encloser of a name that is covered: it has an ancestor in common with either name of the
    /// record, and the longer one exists.
    pub(super) fn encloser_labels(&self, name: &Name) -> usize {
        common_labels(name, self.owner).max(common_labels(name, &self.next))
    }

    /// The wildcard that would stand for a name that is covered.
    pub(super) fn wildcard_for(&self, name: &Name) -> Option<Name> {
        wildcard(&ancestor(name, self.encloser_labels(name))?)
    }
}

/// Labels that the ends of both names have in common.
fn common_labels(a: &Name, b: &Name) -> usize {
    let (a, b): (Vec<_>, Vec<_>) = (a.labels().collect(), b.labels().collect());
    let pairs = a.iter().rev().zip(b.iter().rev());
    pairs.take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count()
}
