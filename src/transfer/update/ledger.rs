//! Updates, one after another: each is held against what the ones before it have left, and counts as a whole or not at
//! all.

use super::changes::Change;
use super::content::{Apex, Content, Owner, Set};
use super::{Instruction, Prerequisite, Update, canonical};
use crate::base::limits::MESSAGE_OCTETS_MAX;
use crate::transfer::incoming::serial_of;
use crate::wire::message::Rcode;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::Serial;
use crate::zone::seal::{beside_cname, with_serial};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What one record takes in an answer beside its RDATA: a pointer to its owner, type, class, TTL, length.
const RECORD_OCTETS: usize = 12;
/// What stands around the records of an answer beside the name asked for: header, type and class, an OPT with room
/// for a cookie.
const AROUND_OCTETS: usize = 12 + 4 + 64;
/// Types at one name: what a node of a sealed zone counts.
const TYPES_MAX: usize = 255;
/// Octets at the start of a WKS that name the service: its address and protocol (RFC 1035 §3.4.2).
const WKS_SERVICE_OCTETS: usize = 5;

/// So many names are looked through rather than hashed: most updates speak of one.
const FEW: usize = 8;

/// What the updates of a zone find and leave.
pub struct Ledger<R> {
    origin: Name,
    /// What a name has in the version that everything began with.
    read: R,
    /// Names that were asked about, ...
    held: Vec<Held>,
    /// ... and where they are, once they are more than a [`FEW`].
    numbers: HashMap<Name, usize>,
    /// The apex and its SOA now, as long as nobody asked for all that the apex has.
    soa: Option<Apex>,
    /// Names that the update at hand speaks of.
    drafted: Vec<usize>,
}

/// A name that was asked about.
struct Held {
    now: Owner,
    /// What the update at hand makes of it.
    draft: Option<Owner>,
}

impl<R: Content> Ledger<R> {
    /// Of the zone of that apex; `read` gives what a name has in it.
    pub fn new(origin: &Name, read: R) -> Ledger<R> {
        Ledger {
            origin: origin.clone(),
            read,
            held: Vec::new(),
            numbers: HashMap::new(),
            soa: None,
            drafted: Vec::new(),
        }
    }

    /// What an update changes, nothing if it finds everything as it wants it; the code if it cannot be done, and then
    /// nothing is changed.
    pub fn judge(&mut self, update: &Update) -> Result<Vec<Change>, Rcode> {
        let outcome = self.draft(update);
        for number in self.drafted.drain(..) {
            let Some(held) = self.held.get_mut(number) else { continue };
            let draft = held.draft.take();
            if let (Ok(_), Some(draft)) = (&outcome, draft) {
                held.now = draft;
            }
        }
        let (changes, soa) = outcome?;
        if let Some((apex, soa)) = soa {
            match self.find(&self.origin).and_then(|apex| self.held.get_mut(apex)) {
                Some(held) => _ = held.now.sets.insert(RecordType::SOA, soa),
                None => self.soa = Some((apex, soa)),
            }
        }
        Ok(changes)
    }

    /// What an update changes; and the apex with another SOA, where it speaks of nothing there.
    fn draft(&mut self, update: &Update) -> Result<(Vec<Change>, Option<Apex>), Rcode> {
        self.check(update)?;
        for instruction in &update.instructions {
            self.carry_out(instruction, update)?;
        }
        let renumbered = self.renumber();
        let mut changes = self.changes();
        if !self.drafts().all(|(_, draft)| fits(draft)) {
            return Err(Rcode::ServFail);
        }
        let Some(Renumbered { apex, before, after }) = renumbered else { return Ok((changes, None)) };
        let (name, rtype) = (apex.clone(), RecordType::SOA);
        // The apex comes before all names below it.
        changes.insert(0, Change { name, rtype, before: Some(before), after: Some(Arc::clone(&after)) });
        Ok((changes, Some((apex, after))))
    }

    fn find(&self, name: &Name) -> Option<usize> {
        match self.held.len() <= FEW {
            true => self.held.iter().position(|held| held.now.name == *name),
            false => self.numbers.get(name).copied(),
        }
    }

    fn number(&mut self, name: &Name) -> usize {
        if let Some(number) = self.find(name) {
            return number;
        }
        let mut now = self.read.owner(name);
        if *name == self.origin
            && let Some((_, soa)) = self.soa.take()
        {
            now.sets.insert(RecordType::SOA, soa);
        }
        let number = self.held.len();
        self.held.push(Held { now, draft: None });
        if number >= FEW {
            let new = if number == FEW { 0..=number } else { number..=number };
            let names = self.held[new.clone()].iter().map(|held| held.now.name.clone());
            self.numbers.extend(names.zip(new));
        }
        number
    }

    fn now(&mut self, name: &Name) -> &BTreeMap<RecordType, Arc<Set>> {
        let number = self.number(name);
        &self.held[number].now.sets
    }

    /// Names that the update at hand speaks of: what they have, and what they are to have.
    fn drafts(&self) -> impl Iterator<Item = (&Owner, &Owner)> {
        let held = self.drafted.iter().filter_map(|number| self.held.get(*number));
        held.filter_map(|held| Some((&held.now, held.draft.as_ref()?)))
    }

    /// RFC 2136 §3.2.
    fn check(&mut self, update: &Update) -> Result<(), Rcode> {
        for prerequisite in &update.prerequisites {
            let (is_so, code) = match prerequisite {
                Prerequisite::Exists(name, rtype) => (self.now(name).contains_key(rtype), Rcode::NxRrset),
                Prerequisite::Absent(name, rtype) => (!self.now(name).contains_key(rtype), Rcode::YxRrset),
                Prerequisite::InUse(name) => (!self.now(name).is_empty(), Rcode::NxDomain),
                Prerequisite::Free(name) => (self.now(name).is_empty(), Rcode::YxDomain),
            };
            if !is_so {
                return Err(code);
            }
        }
        for ((name, rtype), wanted) in &update.equal {
            let set = self.now(name).get(rtype);
            if !set.is_some_and(|set| set.canonical().eq(wanted.iter().map(Vec::as_slice))) {
                return Err(Rcode::NxRrset);
            }
        }
        Ok(())
    }

    /// RFC 2136 §3.4.2. What the zone must not lose or have is left as it is, without a word.
    fn carry_out(&mut self, instruction: &Instruction, update: &Update) -> Result<(), Rcode> {
        let name = instruction.name();
        let is_apex = *name == self.origin;
        let number = self.number(name);
        let Held { now, draft } = &mut self.held[number];
        let owner = draft.get_or_insert_with(|| {
            self.drafted.push(number);
            now.clone()
        });
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
                if let Some(set) = owner.sets.get_mut(rtype).map(Arc::make_mut) {
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

    /// A zone that changes gets a later serial, unless the update gave it one (RFC 2136 §3.6). Where the update speaks of
    /// the apex this goes into its draft.
    fn renumber(&mut self) -> Option<Renumbered> {
        if self.drafts().all(|(now, draft)| now.sets == draft.sets) {
            return None;
        }
        let rdata = |soa: &Set| soa.rdatas().next().map(<[u8]>::to_vec);
        let Some(number) = self.find(&self.origin) else {
            if self.soa.is_none() {
                self.soa = self.read.soa(&self.origin);
            }
            let (apex, before) = self.soa.clone()?;
            let after = later(&rdata(&before)?, before.ttl);
            return Some(Renumbered { apex, before, after });
        };
        let Held { now, draft } = self.held.get_mut(number)?;
        let before = Arc::clone(now.sets.get(&RecordType::SOA)?);
        let serial = serial_of(&rdata(&before)?);
        match draft {
            None => {
                let after = later(&rdata(&before)?, before.ttl);
                Some(Renumbered { apex: now.name.clone(), before, after })
            }
            Some(draft) => {
                let soa = draft.sets.get_mut(&RecordType::SOA)?;
                let after = rdata(soa)?;
                if !serial.is_before(serial_of(&after)) {
                    *soa = later(&with_serial(&after, serial), soa.ttl);
                }
                None
            }
        }
    }

    /// What differs between drafts and what there is, name by name.
    fn changes(&self) -> Vec<Change> {
        let mut drafts: Vec<(&Owner, &Owner)> = self.drafts().collect();
        drafts.sort_unstable_by(|(one, _), (other, _)| one.name.cmp(&other.name));
        let mut changes = Vec::with_capacity(drafts.len() + 1);
        for (now, draft) in drafts {
            let added = draft.sets.keys().filter(|rtype| !now.sets.contains_key(rtype));
            for rtype in now.sets.keys().chain(added) {
                let (before, after) = (now.sets.get(rtype), draft.sets.get(rtype));
                if before != after {
                    let (before, after) = (before.cloned(), after.cloned());
                    changes.push(Change { name: draft.name.clone(), rtype: *rtype, before, after });
                }
            }
        }
        changes
    }
}

/// An apex that got another SOA, and has all else as it was.
struct Renumbered {
    apex: Name,
    before: Arc<Set>,
    after: Arc<Set>,
}

/// The SOA with the serial behind its own.
fn later(rdata: &[u8], ttl: u32) -> Arc<Set> {
    let rdata = with_serial(rdata, next(serial_of(rdata)));
    Arc::new(Set::of(RecordType::SOA, ttl, [rdata.as_slice()]))
}

/// Adds a record (RFC 2136 §3.4.2.2).
fn add(owner: &mut Owner, rtype: RecordType, ttl: u32, rdata: &[u8]) {
    let has_cname = owner.sets.contains_key(&RecordType::CNAME);
    let is_hindered = match rtype {
        RecordType::CNAME => owner.sets.keys().any(|other| !beside_cname(*other)),
        RecordType::SOA => match owner.sets.get(&RecordType::SOA).and_then(|soa| soa.rdatas().next()) {
            // Not at the apex, or no step on: §3.6 would take the same serial, and BIND goes by §3.4.2.2, too.
            None => true,
            Some(soa) => !serial_of(soa).is_before(serial_of(rdata)),
        },
        rtype => has_cname && !beside_cname(rtype),
    };
    if is_hindered {
        return;
    }
    let set = Arc::make_mut(owner.sets.entry(rtype).or_insert_with(|| Arc::new(Set::new(ttl))));
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
