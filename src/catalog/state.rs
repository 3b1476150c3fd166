//! What the control thread knows, and how a snapshot comes of it. No I/O, no clock.

use crate::catalog::delta::{Delta, ZoneContent};
use crate::catalog::snapshot::{MetricsSlot, Revision, Snapshot, ZoneEntry};
use crate::wire::key::{HashSeed, Packed};
use crate::wire::name::Name;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A zone and where its counters stand.
#[derive(Debug, Clone)]
pub struct ZoneState {
    /// What it is.
    pub content: ZoneContent,
    /// Where its counters stand.
    pub metrics: MetricsSlot,
}

/// All that deltas have said so far.
pub struct State {
    seed: HashSeed,
    revision: Revision,
    identity: String,
    zones: BTreeMap<Name, ZoneState>,
    /// Origins in the order of their slots: a zone that comes back finds its counters again.
    slots: Vec<Name>,
    slots_max: u16,
}

impl State {
    /// Nothing yet. The first origins get counters of their own; those beyond share the last
    /// of `slots_max`, which must be at least 1.
    pub fn new(seed: HashSeed, slots_max: u16) -> State {
        State {
            seed,
            revision: Revision(0),
            identity: String::new(),
            zones: BTreeMap::new(),
            slots: Vec::new(),
            slots_max,
        }
    }

    /// Takes a change.
    pub fn apply(&mut self, delta: Delta) {
        match delta {
            Delta::PutZone { origin, content } => {
                let metrics = self.slot(&origin);
                self.zones.insert(origin, ZoneState { content, metrics });
            }
            Delta::DropZone { origin } => {
                self.zones.remove(&origin);
            }
            Delta::Identify { identity } => self.identity = identity,
        }
    }

    /// The present state as a snapshot with the next revision.
    pub fn snapshot(&mut self) -> Snapshot {
        self.revision.0 += 1;
        let entries = self.zones.iter().map(|(origin, state)| ZoneEntry {
            origin_key: origin.to_lowercase().as_wire().into(),
            packed: Packed::new(origin.to_lowercase().as_wire()),
            labels: origin.label_count(),
            zone: match &state.content {
                ZoneContent::Sealed(zone) => Some(Arc::clone(zone)),
                ZoneContent::Pending | ZoneContent::Faulty(_) => None,
            },
            metrics: state.metrics,
            has_below: false,
        });
        Snapshot::new(self.revision, self.seed, &self.identity, entries.collect())
    }

    /// The zones, by rising origin.
    pub fn zones(&self) -> impl Iterator<Item = (&Name, &ZoneState)> {
        self.zones.iter()
    }

    /// Origins by slot number.
    pub fn slots(&self) -> &[Name] {
        &self.slots
    }

    fn slot(&mut self, origin: &Name) -> MetricsSlot {
        let known = self.slots.iter().position(|known| known == origin);
        let slot = known.unwrap_or_else(|| {
            if self.slots.len() < usize::from(self.slots_max) - 1 {
                self.slots.push(origin.clone());
                self.slots.len() - 1
            } else {
                usize::from(self.slots_max) - 1
            }
        });
        MetricsSlot(slot as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_beyond_the_slots_share_the_last() {
        let mut state = State::new(HashSeed::new([1; 16]), 3);
        for origin in ["a.", "b.", "c.", "d.", "a."] {
            let origin = Name::parse(origin).unwrap();
            state.apply(Delta::PutZone { origin, content: ZoneContent::Pending });
        }
        let slots: Vec<u16> = state.zones().map(|(_, zone)| zone.metrics.0).collect();
        assert_eq!((slots, state.slots().len()), (vec![0, 1, 2, 2], 2));
    }
}
