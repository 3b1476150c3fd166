//! The next version of a zone at the cost of what differs: the blocks of the names that a difference speaks of are written
//! anew, all others are shared with the version before.
//!
//! ```text
//! take     the names that a difference speaks of become edits, changed and judged: all of it or none
//! finish   exist    the deepest names first: one that appears or vanishes tells its parent
//!          hide     what lies below a cut or a DNAME that came or went is marked anew
//!          build    each block that holds such a name, once
//! ```
//!
//! Blocks, and how they are found, split and joined, are those of the live zone ([`crate::zone::live`]); unlike there each
//! node knows whether a cut or a DNAME hides it, so that look-ups are those of any sealed zone. What the ledger behind a
//! node says here is how many names stand directly below it, and nothing else.
//!
//! What is made is what sealing the new version as a whole would make (`tests/twin/amend.rs`).

mod edit;
mod edits;
mod hide;

use crate::wire::key::HashSeed;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::amend::edit::{Done, Edit, NodeWriter, add, remove};
use crate::zone::amend::edits::{Edits, Spelled};
use crate::zone::amend::hide::TooMany;
use crate::zone::history::Difference;
use crate::zone::live::directory::Directory;
use crate::zone::live::patch::{Patcher, Replacing};
use crate::zone::plain::{self, Unsealer};
use crate::zone::seal::{NegativeSoa, soa_field};
use crate::zone::sink::Record;
use crate::zone::store::{Blocks, Store};
use crate::zone::{Serial, Zone};
use std::fmt;
use std::sync::Arc;

pub use edit::Kept;

/// Edits that are always made, however small the zone.
const EDITS_MIN: usize = 4_096;
/// The part of a zone's names beyond which sealing it anew is the shorter way: writing a node into its block costs some
/// times what sealing it does.
const EDITS_PART: usize = 4;

/// Why a difference does not lead to a next version: it says what cannot be, of this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit(String);

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misfit {}

fn wrong(owner: &[u8], what: impl fmt::Display) -> Misfit {
    Misfit(format!("{}: {what}", Name::from_wire(owner).unwrap_or(Name::ROOT)))
}

/// What differences have led to.
#[derive(Debug)]
pub enum Outcome {
    /// The next version, with its history.
    Zone(Box<Zone>),
    /// It has to be sealed as a whole, for this reason; its records are these plain ones, the SOA first.
    Anew(Vec<u8>, &'static str),
}

/// The next version in the making.
pub struct Amendment<'z> {
    old: &'z Zone,
    origin: Name,
    patcher: Patcher,
    writer: NodeWriter,
    edits: Edits<'z>,
    /// What the difference at hand has done so far: to which name, and whether that had been changed before.
    done: Vec<(usize, bool, Done)>,
    /// With more, the zone is sealed anew.
    edits_max: usize,
    /// Why it has to be, whatever comes.
    unsuited: Option<&'static str>,
    serial: Serial,
    steps: Vec<Arc<Difference>>,
    /// Records that went and came.
    records: (usize, usize),
}

impl<'z> Amendment<'z> {
    /// Begins with a version.
    pub fn begin(old: &'z Zone) -> Amendment<'z> {
        let origin = old.origin_key().clone();
        let seed: HashSeed = old.seed();
        let (directory, unsuited) = match &old.store().blocks {
            Blocks::Apart(directory) if old.is_amendable() => (directory.clone(), None),
            Blocks::Apart(_) | Blocks::Arena { .. } => {
                (Directory::new(), Some("the zone does not lie in blocks of its own"))
            }
        };
        Amendment {
            edits_max: directory.nodes / EDITS_PART + EDITS_MIN,
            patcher: Patcher::of(directory, &origin, seed),
            writer: NodeWriter::new(&origin, seed),
            origin,
            edits: Edits::new(old),
            done: Vec::new(),
            unsuited,
            serial: old.serial(),
            steps: Vec::new(),
            records: (0, 0),
            old,
        }
    }

    /// The version that the differences taken so far lead to.
    pub fn serial(&self) -> Serial {
        self.serial
    }

    /// The differences taken so far.
    pub fn steps(&self) -> &[Arc<Difference>] {
        &self.steps
    }

    /// The records of a name after the differences taken so far, by rising type; none outside of the zone.
    pub fn records(&mut self, owner: &Name) -> &[Kept] {
        let number = self.number(owner.as_wire());
        number.and_then(|number| self.edits.records(number)).map_or(&[], |records| records)
    }

    /// The same, and the name as it is written in the zone; as it is given, where it is not in it.
    pub fn owner(&mut self, owner: &Name) -> (Name, &[Kept]) {
        let Some(number) = self.number(owner.as_wire()) else { return (owner.clone(), &[]) };
        let name = self.edits.at(number).and_then(|edit| {
            let wire = [edit.cased(), self.old.origin().as_wire()].concat();
            Name::from_wire(&wire).ok()
        });
        (name.unwrap_or_else(|| owner.clone()), self.edits.records(number).map_or(&[], |records| records))
    }

    /// The number of a name's edit; `None` outside of the zone.
    fn number(&mut self, owner: &[u8]) -> Option<usize> {
        let spelled = Spelled::of(self.old, owner)?;
        Some(self.edits.number(&spelled, owner))
    }

    /// Takes a difference from the [version at hand](Amendment::serial). After an error nothing of it was taken.
    pub fn take(&mut self, difference: &Arc<Difference>) -> Result<(), Misfit> {
        if difference.from() != self.serial {
            let (from, at_hand) = (difference.from().0, self.serial.0);
            return Err(Misfit(format!("a step from serial {from} does not lead on from {at_hand}")));
        }
        self.done.clear();
        let outcome = self.change(difference).and_then(|records| {
            self.judge()?;
            self.judge_apex(difference.to()).map(|()| records)
        });
        match outcome {
            Ok((gone, come)) => {
                self.records = (self.records.0 + gone, self.records.1 + come);
                self.serial = difference.to();
                self.steps.push(Arc::clone(difference));
                Ok(())
            }
            Err(misfit) => {
                for (number, was_changed, done) in self.done.drain(..).rev() {
                    if let Some(edit) = self.edits.at_mut(number) {
                        edit.undo(done);
                        edit.is_changed = was_changed;
                    }
                }
                Err(misfit)
            }
        }
    }

    /// Changes the records of edits, noting what was done; how many records went and came.
    fn change(&mut self, difference: &Difference) -> Result<(usize, usize), Misfit> {
        let (mut soas, mut gone, mut come) = (0, 0, 0);
        for record in plain::records(difference.records()) {
            soas += usize::from(record.rtype == RecordType::SOA);
            if matches!(record.rtype, RecordType::RRSIG | RecordType::NSEC | RecordType::NSEC3) {
                self.unsuited = Some("the zone is signed");
            }
            let number = self.number(record.owner);
            let records = number.and_then(|number| Some((number, self.edits.records(number)?)));
            let Some((number, records)) = records else {
                return Err(wrong(record.owner, "lies outside of the zone"));
            };
            let done = match soas {
                0 => return Err(Misfit("a step does not begin with a SOA".to_owned())),
                1 => {
                    gone += 1;
                    remove(records, &record)?
                }
                _ => {
                    come += 1;
                    add(records, &record)?
                }
            };
            if let Some(edit) = self.edits.at_mut(number) {
                self.done.push((number, std::mem::replace(&mut edit.is_changed, true), done));
            }
        }
        match soas {
            2 => Ok((gone, come)),
            _ => Err(Misfit(format!("a step has {soas} SOAs, expected 2"))),
        }
    }

    /// Holds what the names have now that the difference speaks of against what a zone can have.
    fn judge(&mut self) -> Result<(), Misfit> {
        let mut numbers: Vec<usize> = self.done.iter().map(|(number, ..)| *number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let Amendment { edits, writer, .. } = self;
        numbers.into_iter().filter_map(|number| edits.at(number)).try_for_each(|edit| writer.judge(edit))
    }

    /// Holds the apex against the serial that a difference leads to.
    fn judge_apex(&mut self, to: Serial) -> Result<(), Misfit> {
        let serial = self.soa().map(|soa| soa_field(&soa.rdata, 0));
        match serial {
            Some(serial) if serial == to.0 => Ok(()),
            _ => Err(Misfit(format!("a step to serial {} brings another SOA", to.0))),
        }
    }

    /// The apex as it is written in the zone.
    pub fn origin(&self) -> &Name {
        self.old.origin()
    }

    /// The SOA after the differences taken so far.
    pub fn soa(&mut self) -> Option<&Kept> {
        let apex = self.edits.number_of(&[], &[]);
        self.edits.records(apex)?.iter().find(|record| record.rtype == RecordType::SOA)
    }

    /// Makes the version that the differences taken so far lead to. Its history is that of the old one and these steps.
    pub fn finish(mut self) -> Outcome {
        match self.amend() {
            Ok(()) => Outcome::Zone(Box::new(self.zone())),
            Err(why) => Outcome::Anew(self.run(), why),
        }
    }

    /// Puts all edits into their blocks; or why that is not the way.
    fn amend(&mut self) -> Result<(), &'static str> {
        const MUCH: &str = "much of the zone changes";
        if let Some(why) = self.unsuited {
            return Err(why);
        }
        if self.edits.len() > self.edits_max {
            return Err(MUCH);
        }
        self.exist();
        self.hide().map_err(|TooMany| MUCH)?;
        self.build()
    }

    fn zone(mut self) -> Zone {
        let soa = self.soa().cloned();
        let Amendment { old, origin, patcher, serial, steps, records: (gone, come), .. } = self;
        let (origin_len, blocks) = (origin.as_wire().len(), Blocks::Apart(patcher.directory));
        let store = Store { blocks, origin_len, hidden: Arc::default() };
        let negative = NegativeSoa::new(&origin, soa.as_ref().map(|soa| (soa.ttl, &*soa.rdata)));
        let records = (old.record_count() + come).saturating_sub(gone);
        let zone = Zone::new(old.origin().clone(), old.seed(), store, negative, serial.0, records);
        let history = old.history().then(steps, zone.octets());
        zone.with_history(history)
    }

    /// All records as plain ones, the SOA first.
    fn run(&mut self) -> Vec<u8> {
        let mut run = Vec::with_capacity(self.old.octets());
        self.edits.number_of(&[], &[]);
        let (old, mut unsealer) = (self.old, Unsealer::default());
        let origin = old.origin().as_wire();
        let edits = || self.edits.iter().map(|(_, edit)| edit);
        let (apex, others) = (edits().filter(|edit| edit.is_apex()), edits().filter(|edit| !edit.is_apex()));
        for edit in apex.chain(others) {
            let owner = [edit.cased(), origin].concat();
            let mut records: Vec<&Kept> = edit.records.iter().flatten().collect();
            records.sort_by_key(|record| record.rtype != RecordType::SOA);
            for Kept { rtype, ttl, rdata } in records {
                plain::write(&mut run, &Record { owner: &owner, rtype: *rtype, ttl: *ttl, rdata });
            }
        }
        for node in old.nodes() {
            // Those that nobody read are as they were.
            if self.edits.get(node.key()).is_none_or(|edit| edit.records.is_none()) {
                for set in node.rrsets() {
                    unsealer.each(old, &node, &set, |record| plain::write(&mut run, record));
                }
            }
        }
        run
    }

    /// A name exists while it has records or a name below it exists (RFC 4592 §2.2.2).
    fn exist(&mut self) {
        // By depth: who changes tells its parent, which may be new here and has its turn later.
        let mut levels: Vec<Vec<usize>> = Vec::new();
        let enter = |levels: &mut Vec<Vec<usize>>, key: &[u8], number: usize| {
            let depth = depth_of(key);
            levels.resize_with(levels.len().max(depth + 1), Vec::new);
            levels[depth].push(number);
        };
        let appears_or_vanishes = |edit: &Edit<'_>| edit.node.is_some() != edit.exists();
        for (number, edit) in self.edits.iter().filter(|(_, edit)| appears_or_vanishes(edit)) {
            enter(&mut levels, &edit.key, number);
        }
        while let Some(mut level) = levels.pop() {
            // Each once, however many names below told it.
            level.sort_unstable();
            level.dedup();
            for number in level {
                let Some(edit) = self.edits.at(number).filter(|edit| !edit.is_apex()) else { continue };
                let exists = edit.exists();
                let is_wildcard = edit.key.starts_with(b"\x01*");
                // The apex exists anyway.
                if !appears_or_vanishes(edit) || (levels.len() == 1 && !is_wildcard) {
                    continue;
                }
                let (key, cased) = (edit.key.clone(), Box::<[u8]>::from(edit.cased()));
                let parent = self.edits.number_of(parent_of(&key), parent_of(&cased));
                enter(&mut levels, parent_of(&key), parent);
                let Some(edit) = self.edits.at_mut(parent) else { continue };
                if levels.len() > 1 {
                    edit.children = if exists { edit.children + 1 } else { edit.children.saturating_sub(1) };
                }
                if is_wildcard {
                    edit.has_wildcard = exists;
                }
            }
        }
    }

    /// Puts all edits into their blocks.
    fn build(&mut self) -> Result<(), &'static str> {
        let mut nodes = Vec::with_capacity(self.edits.len());
        // Names that somebody only asked for are no names.
        for (_, edit) in self.edits.iter().filter(|(_, edit)| edit.node.is_some() || edit.exists()) {
            let node = self.writer.node(edit, self.occluder(&edit.key));
            nodes.push(node.ok_or("a set of records does not fit in a message")?);
        }
        nodes.sort_unstable_by(|a, b| (a.hash, &a.key).cmp(&(b.hash, &b.key)));
        let mut rest = &nodes[..];
        while !rest.is_empty() {
            let (group, others) = rest.split_at(self.patcher.group(rest).max(1));
            if self.patcher.replace(group, self.patcher.directory.nodes) == Replacing::Failed {
                return Err("a name has more records than a block holds");
            }
            rest = others;
        }
        Ok(())
    }
}

/// The key of the name above; that of the apex is its own.
fn parent_of(key: &[u8]) -> &[u8] {
    key.first().and_then(|len| key.get(1 + usize::from(*len)..)).unwrap_or_default()
}

/// Labels below the apex.
fn depth_of(key: &[u8]) -> usize {
    std::iter::successors(Some(key), |key| (!key.is_empty()).then(|| parent_of(key))).count() - 1
}

#[cfg(test)]
mod tests;
