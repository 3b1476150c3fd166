//! How a zone came to be what it is: the differences between its versions, for those who have an older one (RFC 1995).
//!
//! A difference is found when a version is loaded, by comparing it with the one before. The newest are kept, within
//! bounds; who has a version before them gets the whole zone.

use crate::base::limits::{HISTORY_OCTETS_MAX, HISTORY_OCTETS_MIN, HISTORY_STEPS_MAX};
use crate::wire::rtype::RecordType;
use crate::zone::plain::{self, Unsealer};
use crate::zone::rdata::canonicalize;
use crate::zone::sink::Record;
use crate::zone::store::{Node, Rrset};
use crate::zone::{Serial, Zone};
use std::sync::Arc;

/// From one version to a later one.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    from: Serial,
    to: Serial,
    /// Plain records as RFC 1995 §4 sends them: the old SOA, what goes, the new SOA, what comes.
    records: Box<[u8]>,
}

impl Difference {
    /// Of what was received: plain records as they are kept here.
    pub fn new(from: Serial, to: Serial, records: Vec<u8>) -> Difference {
        Difference { from, to, records: records.into() }
    }

    /// The version before.
    pub fn from(&self) -> Serial {
        self.from
    }

    /// The version after.
    pub fn to(&self) -> Serial {
        self.to
    }

    /// The old SOA, what goes, the new SOA, what comes; plain records.
    pub fn records(&self) -> &[u8] {
        &self.records
    }
}

/// Differences that follow each other; the last leads to the zone that has this history.
///
/// They lie in runs, all full but for the first and the last, which a version shares with the one before it: so what is added
/// costs itself, those two runs and a count for each other one, and not a count for each of thousands of steps.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The oldest first; none is empty.
    runs: Vec<Arc<Run>>,
    steps: usize,
    octets: usize,
}

/// Steps of a run at most.
const RUN_STEPS: usize = 64;

/// The oldest first.
#[derive(Debug, Clone, Default)]
struct Run {
    steps: Vec<Arc<Difference>>,
}

impl History {
    /// The same and further steps, as far as it may be remembered beside a zone of so many octets.
    pub fn then(&self, added: impl IntoIterator<Item = Arc<Difference>>, zone_octets: usize) -> History {
        let mut history = self.clone();
        added.into_iter().for_each(|step| history.add(step));
        history.forget(zone_octets.clamp(HISTORY_OCTETS_MIN, HISTORY_OCTETS_MAX));
        history
    }

    fn add(&mut self, step: Arc<Difference>) {
        if self.runs.last().is_none_or(|run| run.steps.len() >= RUN_STEPS) {
            self.runs.push(Arc::default());
        }
        let octets = step.records.len();
        if let Some(run) = self.runs.last_mut().map(Arc::make_mut) {
            run.steps.push(step);
            self.steps += 1;
            self.octets += octets;
        }
    }

    /// Forgets the oldest steps, as long as there are too many or they are too large.
    fn forget(&mut self, octets_max: usize) {
        let (mut runs, mut within) = (0, 0);
        while self.steps > HISTORY_STEPS_MAX || self.octets > octets_max {
            let Some(run) = self.runs.get(runs) else { break };
            match run.steps.get(within) {
                Some(step) => {
                    self.steps -= 1;
                    self.octets -= step.records.len();
                    within += 1;
                }
                None => (runs, within) = (runs + 1, 0),
            }
        }
        self.runs.drain(..runs);
        if let Some(first) = self.runs.first_mut().filter(|_| within > 0) {
            let kept = first.steps.get(within..).unwrap_or_default();
            match kept.is_empty() {
                true => _ = self.runs.remove(0),
                false => *first = Arc::new(Run { steps: kept.to_vec() }),
            }
        }
    }

    /// The steps that lead from a version to the newest one; `None` if it is not remembered.
    pub fn since(&self, serial: Serial) -> Option<Vec<Arc<Difference>>> {
        let behind = self.newest_first().position(|step| step.from == serial)?;
        Some(self.all().skip(self.steps - 1 - behind).cloned().collect())
    }

    /// All steps, the oldest first.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Difference>> {
        self.runs.iter().flat_map(|run| &run.steps)
    }

    fn newest_first(&self) -> impl Iterator<Item = &Arc<Difference>> {
        self.runs.iter().rev().flat_map(|run| run.steps.iter().rev())
    }

    /// How many steps are remembered.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Octets that they take.
    pub fn octets(&self) -> usize {
        self.octets
    }
}

impl Serial {
    /// True if the other one is later (RFC 1982 §3.2).
    pub fn is_before(self, other: Serial) -> bool {
        self != other && other.0.wrapping_sub(self.0) < 1 << 31
    }
}

/// A new version of a zone, with the history that the old one gives it.
pub fn succeed(old: &Zone, new: Zone) -> Zone {
    let (from, to) = (old.serial(), new.serial());
    let Changes { gone, come, differs } = compare(old, &new);
    let history = match () {
        () if from == to && !differs => old.history().clone(),
        () if from.is_before(to) => {
            let records = [gone, come].concat();
            old.history().then([Arc::new(Difference::new(from, to, records))], new.octets())
        }
        // Going backwards, or another content under the same serial: no way leads there from anywhere.
        () => History::default(),
    };
    new.with_history(history)
}

struct Changes {
    /// The old SOA, what goes.
    gone: Vec<u8>,
    /// The new SOA, what comes.
    come: Vec<u8>,
    /// Something besides the SOA's serial differs.
    differs: bool,
}

/// A record of a set as it compares: its RDATA in canonical form (RFC 4034 §6.2), its TTL; and as it is.
type Comparable = (Vec<u8>, u32, Vec<u8>);

fn compare(old: &Zone, new: &Zone) -> Changes {
    let mut comparing = Comparing { old, new, unsealer: Unsealer::default() };
    let mut changes = Changes { gone: Vec::new(), come: Vec::new(), differs: false };
    for (zone, out) in [(old, &mut changes.gone), (new, &mut changes.come)] {
        let apex = zone.apex();
        if let Some(soa) = apex.rrset(RecordType::SOA) {
            comparing.unsealer.each(zone, &apex, &soa, |record| plain::write(out, record));
        }
    }
    changes.differs = changes.gone != changes.come;
    let heads = (changes.gone.len(), changes.come.len());
    for node in old.nodes() {
        match comparing.counterpart(new, &node) {
            Some(other) => comparing.nodes(&node, &other, &mut changes),
            None => comparing.whole(old, &node, &mut changes.gone),
        }
    }
    for node in new.nodes() {
        if comparing.counterpart(old, &node).is_none() {
            comparing.whole(new, &node, &mut changes.come);
        }
    }
    changes.differs |= heads != (changes.gone.len(), changes.come.len());
    changes
}

struct Comparing<'z> {
    old: &'z Zone,
    new: &'z Zone,
    unsealer: Unsealer,
}

impl<'z> Comparing<'z> {
    /// The node of the same name in another version.
    fn counterpart(&self, zone: &'z Zone, node: &Node<'_>) -> Option<Node<'z>> {
        zone.node_of(node.key())
    }

    /// What differs between two versions of one name, the SOA excepted.
    fn nodes(&mut self, old: &Node<'_>, new: &Node<'_>, changes: &mut Changes) {
        for set in old.rrsets().filter(|set| set.rtype() != RecordType::SOA) {
            match new.rrset(set.rtype()) {
                Some(other) if set.sealed().octets == other.sealed().octets => {}
                Some(other) => {
                    let gone = self.comparable(self.old, old, &set);
                    let come = self.comparable(self.new, new, &other);
                    let (before, after) = (self.owner(self.old, old), self.owner(self.new, new));
                    write_missing(&mut changes.gone, (&before, set.rtype()), &gone, &come);
                    write_missing(&mut changes.come, (&after, set.rtype()), &come, &gone);
                }
                None => {
                    self.unsealer.each(self.old, old, &set, |record| plain::write(&mut changes.gone, record));
                }
            }
        }
        for set in new.rrsets().filter(|set| old.rrset(set.rtype()).is_none()) {
            self.unsealer.each(self.new, new, &set, |record| plain::write(&mut changes.come, record));
        }
    }

    fn owner(&self, zone: &Zone, node: &Node<'_>) -> Vec<u8> {
        [node.cased_key(), zone.origin().as_wire()].concat()
    }

    /// The records of a set, sorted.
    fn comparable(&mut self, zone: &Zone, node: &Node<'_>, set: &Rrset<'_>) -> Vec<Comparable> {
        let mut records = Vec::with_capacity(set.records().into());
        self.unsealer.each(zone, node, set, |record| {
            let mut canonical = record.rdata.to_vec();
            canonicalize(record.rtype, &mut canonical);
            records.push((canonical, record.ttl, record.rdata.to_vec()));
        });
        records.sort_unstable();
        records
    }

    fn whole(&mut self, zone: &Zone, node: &Node<'_>, out: &mut Vec<u8>) {
        for set in node.rrsets() {
            self.unsealer.each(zone, node, &set, |record| plain::write(out, record));
        }
    }
}

/// Writes the records of one version of a set that the other one does not have.
fn write_missing(
    out: &mut Vec<u8>,
    (owner, rtype): (&[u8], RecordType),
    own: &[Comparable],
    others: &[Comparable],
) {
    let is_there = |(canonical, ttl, _): &&Comparable| {
        others.binary_search_by(|(other, other_ttl, _)| (other, other_ttl).cmp(&(canonical, ttl))).is_err()
    };
    for (_, ttl, rdata) in own.iter().filter(is_there) {
        plain::write(out, &Record { owner, rtype, ttl: *ttl, rdata });
    }
}

#[cfg(test)]
mod tests;
