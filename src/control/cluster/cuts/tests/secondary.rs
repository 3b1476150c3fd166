//! Servers that have the domain, primaries and secondaries, and what all of a world are held against.

use crate::discovery::cut::entry::Head;
use crate::discovery::cut::replica::Version;
use crate::wire::rtype::RecordType;
use crate::zone::{Serial, plain};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// Records as lines that compare: all of a zone.
pub(super) type Zone = BTreeSet<Vec<u8>>;

fn lines(run: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    plain::records(run).map(|record| {
        let mut line = Vec::new();
        plain::write(&mut line, &record);
        line
    })
}

/// Applies a step as RFC 1995 §4 has it.
fn apply(zone: &mut Zone, step: &[u8]) {
    let mut soas = 0;
    for record in plain::records(step) {
        soas += usize::from(record.rtype == RecordType::SOA);
        let mut line = Vec::new();
        plain::write(&mut line, &record);
        match soas {
            1 => assert!(zone.remove(&line), "what goes was there"),
            _ => assert!(zone.insert(line), "what comes was not"),
        }
    }
}

/// A server that has the domain, and how it came to be what it is.
#[derive(Default, Clone)]
pub(super) struct Copy {
    pub(super) serial: Option<Serial>,
    pub(super) zone: Zone,
    /// Each step with the serial that it leads from.
    journal: Vec<(Serial, Vec<u8>)>,
}

impl Copy {
    pub(super) fn take(&mut self, version: &Version) {
        let soa = match version {
            Version::Whole(run) => {
                (self.zone, self.journal) = (lines(run).collect(), Vec::new());
                None
            }
            Version::Step(step) => {
                assert_eq!(Some(step.from()), self.serial, "a step leads on from what there is");
                apply(&mut self.zone, step.records());
                self.journal.push((step.from(), step.records().to_vec()));
                Some(step.to())
            }
        };
        self.serial = soa.or_else(|| serial_of(&self.zone));
    }

    /// As a secondary that asks that primary.
    pub(super) fn ask(&mut self, primary: &Copy, lots: &mut Lots) {
        let Some(offered) = primary.serial else { return };
        if self.serial.is_some_and(|have| !have.is_before(offered)) {
            return;
        }
        let from = primary.journal.iter().rposition(|(from, _)| Some(*from) == self.serial);
        match from {
            Some(from) => {
                primary.journal[from..].iter().for_each(|(_, step)| apply(&mut self.zone, step));
                lots.steps += 1;
            }
            None => {
                self.zone.clone_from(&primary.zone);
                lots.wholes += 1;
            }
        }
        self.serial = Some(offered);
        assert_eq!(self.zone, primary.zone, "the secondary has what the primary has");
    }
}

fn serial_of(zone: &Zone) -> Option<Serial> {
    let soas = zone.iter().filter_map(|line| plain::first(line)).map(|(record, _)| record);
    let mut soas = soas.filter(|record| record.rtype == RecordType::SOA);
    let numbers = soas.next()?.rdata.last_chunk::<20>()?;
    assert!(soas.next().is_none(), "a zone has one SOA");
    Some(Serial(u32::from_be_bytes([numbers[0], numbers[1], numbers[2], numbers[3]])))
}

/// What all nodes of a world are held against.
#[derive(Default)]
pub(super) struct Lots {
    /// Under each serial the zone that somebody had.
    pub(super) seen: BTreeMap<u32, Zone>,
    pub(super) latest: Option<Serial>,
    /// What each node that runs has at present.
    pub(super) nodes: BTreeMap<SocketAddr, Option<Serial>>,
    pub(super) secondaries: Vec<Copy>,
    pub(super) steps: usize,
    pub(super) wholes: usize,
    /// Who was in each life of each id: more than one only where a disk was copied.
    pub(super) lives: BTreeMap<(u64, u32), BTreeSet<SocketAddr>>,
    pub(super) withdrawn: usize,
    pub(super) rng: Option<fastrand::Rng>,
}

impl Lots {
    /// True if one of these owners is two nodes that began the same life from one disk: until one of them has another id,
    /// a place of its log stands for what either said.
    pub(super) fn has_twins(&self, heads: &BTreeMap<u64, Head>) -> bool {
        let seats = |(owner, head): (&u64, &Head)| self.lives.get(&(*owner, head.place.generation));
        heads.iter().filter_map(seats).any(|seats| seats.len() > 1)
    }
}
