//! What an update changed, and the step of a zone's history that it is.

use super::content::Set;
use crate::transfer::incoming::serial_of;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::history::Difference;
use crate::zone::plain;
use crate::zone::sink::Record;
use std::sync::Arc;

/// A set before and after; they differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub name: Name,
    /// Of which type.
    pub rtype: RecordType,
    /// What it was; `None`: there was none.
    pub before: Option<Arc<Set>>,
    /// What it is; `None`: there is none.
    pub after: Option<Arc<Set>>,
}

impl Change {
    /// Records of one of both that are not in the other, or have another TTL there.
    fn write(&self, out: &mut Vec<u8>, own: &Option<Arc<Set>>, other: &Option<Arc<Set>>) {
        let Some(own) = own else { return };
        let other = other.as_deref().filter(|other| other.ttl == own.ttl);
        for rdata in own.beside(other) {
            let (owner, rtype) = (self.name.as_wire(), self.rtype);
            plain::write(out, &Record { owner, rtype, ttl: own.ttl, rdata });
        }
    }

    /// Octets that both take at most.
    fn octets_max(&self) -> usize {
        let record = |rdata: &[u8]| self.name.as_wire().len() + plain::FIXED_OCTETS + rdata.len();
        let sets = self.before.iter().chain(&self.after);
        sets.flat_map(|set| set.rdatas()).map(record).sum()
    }

    fn gone(&self, out: &mut Vec<u8>) {
        self.write(out, &self.before, &self.after);
    }

    fn come(&self, out: &mut Vec<u8>) {
        self.write(out, &self.after, &self.before);
    }
}

/// The step that the changes of one update are. `None` if there are none: whatever changes has another SOA.
pub fn difference(changes: &[Change]) -> Option<Difference> {
    let soa = changes.iter().find(|change| change.rtype == RecordType::SOA)?;
    let serial = |set: &Option<Arc<Set>>| set.as_ref()?.rdatas().next().map(serial_of);
    let (from, to) = (serial(&soa.before)?, serial(&soa.after)?);
    let others = || changes.iter().filter(|change| change.rtype != RecordType::SOA);
    let mut records = Vec::with_capacity(changes.iter().map(Change::octets_max).sum());
    soa.gone(&mut records);
    others().for_each(|change| change.gone(&mut records));
    soa.come(&mut records);
    others().for_each(|change| change.come(&mut records));
    Some(Difference::new(from, to, records))
}
