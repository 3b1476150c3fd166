//! Updates, one after another: each is held against what the ones before it have left, and counts as a whole or not at
//! all.

use super::changes::Change;
use super::content::{Owner, Set};
use super::{Instruction, Prerequisite, Update, canonical};
use crate::base::limits::MESSAGE_OCTETS_MAX;
use crate::transfer::incoming::serial_of;
use crate::wire::message::Rcode;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::Serial;
use crate::zone::seal::{beside_cname, with_serial};
use std::collections::HashMap;

/// What one record takes in an answer beside its RDATA: a pointer to its owner, type, class, TTL, length.
const RECORD_OCTETS: usize = 12;
/// What stands around the records of an answer beside the name asked for: header, type and class, an OPT with room
/// for a cookie.
const AROUND_OCTETS: usize = 12 + 4 + 64;
/// Types at one name: what a node of a sealed zone counts.
const TYPES_MAX: usize = 255;
/// Octets at the start of a WKS that name the service: its address and protocol (RFC 1035 §3.4.2).
const WKS_SERVICE_OCTETS: usize = 5;

/// What the updates of a zone find and leave.
pub struct Ledger<R> {
    origin: Name,
    /// What a name has in the version that everything began with.
    read: R,
    /// What names have now that were asked about.
    owners: HashMap<Name, Owner>,
}

impl<R: FnMut(&Name) -> Owner> Ledger<R> {
    /// Of the zone of that apex; `read` gives what a name has in it.
    pub fn new(origin: &Name, read: R) -> Ledger<R> {
        Ledger { origin: origin.clone(), read, owners: HashMap::new() }
    }

    /// What an update changes, nothing if it finds everything as it wants it; the code if it cannot be done, and then
    /// nothing is changed.
    pub fn judge(&mut self, update: &Update) -> Result<Vec<Change>, Rcode> {
        self.check(update)?;
        let mut draft = HashMap::new();
        for instruction in &update.instructions {
            self.carry_out(instruction, update, &mut draft)?;
        }
        self.renumber(&mut draft);
        let changes = self.changes(&draft);
        if !draft.values().all(fits) {
            return Err(Rcode::ServFail);
        }
        self.owners.extend(draft);
        Ok(changes)
    }

    fn now(&mut self, name: &Name) -> &Owner {
        let Ledger { owners, read, .. } = self;
        owners.entry(name.clone()).or_insert_with(|| read(name))
    }

    /// RFC 2136 §3.2.
    fn check(&mut self, update: &Update) -> Result<(), Rcode> {
        for prerequisite in &update.prerequisites {
            let (is_so, code) = match prerequisite {
                Prerequisite::Exists(name, rtype) => {
                    (self.now(name).sets.contains_key(rtype), Rcode::NxRrset)
                }
                Prerequisite::Absent(name, rtype) => {
                    (!self.now(name).sets.contains_key(rtype), Rcode::YxRrset)
                }
                Prerequisite::InUse(name) => (!self.now(name).sets.is_empty(), Rcode::NxDomain),
                Prerequisite::Free(name) => (self.now(name).sets.is_empty(), Rcode::YxDomain),
            };
            if !is_so {
                return Err(code);
            }
        }
        for ((name, rtype), wanted) in &update.equal {
            let set = self.now(name).sets.get(rtype);
            if !set.is_some_and(|set| set.canonical().eq(wanted.iter().map(Vec::as_slice))) {
                return Err(Rcode::NxRrset);
            }
        }
        Ok(())
    }

    /// RFC 2136 §3.4.2. What the zone must not lose or have is left as it is, without a word.
    fn carry_out(
        &mut self,
        instruction: &Instruction,
        update: &Update,
        draft: &mut HashMap<Name, Owner>,
    ) -> Result<(), Rcode> {
        let name = instruction.name();
        let is_apex = *name == self.origin;
        let owner = draft.entry(name.clone()).or_insert_with(|| self.now(name).clone());
        let is_kept = |rtype| is_apex && matches!(rtype, RecordType::SOA | RecordType::NS);
        match instruction {
            Instruction::Add { rtype, ttl, rdata, .. } => add(owner, *rtype, *ttl, rdata),
            Instruction::DropSet(_, rtype) if is_kept(*rtype) => {}
            Instruction::DropSet(_, rtype) => _ = owner.sets.remove(rtype),
            Instruction::DropName(_) => {
                let may = |rtype| update.types.is_empty() || update.types.contains(rtype);
                if !owner.sets.keys().all(|rtype| is_kept(*rtype) || may(rtype)) {
                    return Err(Rcode::Refused);
                }
                owner.sets.retain(|rtype, _| is_kept(*rtype));
            }
            Instruction::Drop(_, RecordType::SOA, _) => {}
            Instruction::Drop(_, rtype, rdata) => {
                if let Some(set) = owner.sets.get_mut(rtype) {
                    let is_last = set.len() == 1;
                    match is_last && is_kept(*rtype) {
                        true => {}
                        false => set.remove(*rtype, rdata),
                    }
                    if set.len() == 0 {
                        owner.sets.remove(rtype);
                    }
                }
            }
        }
        Ok(())
    }

    /// A zone that changes gets a later serial, unless the update gave it one (RFC 2136 §3.6).
    fn renumber(&mut self, draft: &mut HashMap<Name, Owner>) {
        let origin = self.origin.clone();
        let soa = |owner: &Owner| {
            let set = owner.sets.get(&RecordType::SOA)?;
            Some((set.ttl, set.rdatas().next()?.to_vec()))
        };
        let Some((_, before)) = soa(self.now(&origin)) else { return };
        if self.changes(draft).is_empty() {
            return;
        }
        let apex = draft.entry(origin.clone()).or_insert_with(|| self.now(&origin).clone());
        let Some((ttl, after)) = soa(apex) else { return };
        let serial = serial_of(&before);
        if !serial.is_before(serial_of(&after)) {
            let rdata = with_serial(&after, next(serial));
            apex.sets.insert(RecordType::SOA, Set::of(RecordType::SOA, ttl, [rdata.as_slice()]));
        }
    }

    /// What differs between a draft and what there is, name by name.
    fn changes(&mut self, draft: &HashMap<Name, Owner>) -> Vec<Change> {
        let mut names: Vec<&Name> = draft.keys().collect();
        names.sort_unstable();
        let mut changes = Vec::new();
        for name in names {
            let (Some(after), before) = (draft.get(name), self.now(name)) else { continue };
            let added = after.sets.keys().filter(|rtype| !before.sets.contains_key(rtype));
            for rtype in before.sets.keys().chain(added) {
                let (before, after) = (before.sets.get(rtype), after.sets.get(rtype));
                if before != after {
                    let (before, after) = (before.cloned(), after.cloned());
                    let name = draft.get(name).map_or(name, |owner| &owner.name).clone();
                    changes.push(Change { name, rtype: *rtype, before, after });
                }
            }
        }
        changes
    }
}

/// Adds a record (RFC 2136 §3.4.2.2).
fn add(owner: &mut Owner, rtype: RecordType, ttl: u32, rdata: &[u8]) {
    let has_cname = owner.sets.contains_key(&RecordType::CNAME);
    let is_hindered = match rtype {
        RecordType::CNAME => owner.sets.keys().any(|other| !beside_cname(*other)),
        RecordType::SOA => match owner.sets.get(&RecordType::SOA).and_then(|soa| soa.rdatas().next()) {
            // Not at the apex, or a step back.
            None => true,
            Some(soa) => {
                let (from, to) = (serial_of(soa), serial_of(rdata));
                from != to && !from.is_before(to)
            }
        },
        rtype => has_cname && !beside_cname(rtype),
    };
    if is_hindered {
        return;
    }
    let set = owner.sets.entry(rtype).or_insert_with(|| Set::new(ttl));
    // One TTL for a set (RFC 2181 §5.2): the newest word counts.
    set.ttl = ttl;
    match rtype {
        // A name has one (§3.4.2.2; RFC 6672 §5.2 for DNAME).
        RecordType::CNAME | RecordType::DNAME | RecordType::SOA => {
            let canonical = canonical(rtype, rdata);
            set.retain(|old| *old == canonical);
        }
        RecordType::WKS => {
            let service = rdata.get(..WKS_SERVICE_OCTETS);
            set.retain(|old| *old == *rdata || old.get(..WKS_SERVICE_OCTETS) != service);
        }
        _ => {}
    }
    set.add(rtype, rdata);
}

/// The serial behind this one (RFC 1982 §3.1). Not 0, which some secondaries take for "none", as BIND does not either.
fn next(serial: Serial) -> Serial {
    Serial(serial.0.wrapping_add(1).max(1))
}

/// True if a zone can hold it.
fn fits(owner: &Owner) -> bool {
    let octets = |set: &Set| set.rdatas().map(|rdata| RECORD_OCTETS + rdata.len()).sum::<usize>();
    let room = MESSAGE_OCTETS_MAX - AROUND_OCTETS - owner.name.as_wire().len();
    owner.sets.len() <= TYPES_MAX && owner.sets.values().all(|set| octets(set) <= room)
}
