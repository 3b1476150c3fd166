//! Zones that were transferred: what came, and sealing plain records.

use crate::loader::Loaded;
use crate::wire::key::HashSeed;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::Zone;
use crate::zone::draft::ZoneDraft;
use crate::zone::fault::{Faults, Place, place_in};
use crate::zone::history::Difference;
use crate::zone::plain;
use crate::zone::seal::{Form, seal_as};
use crate::zone::sink::RecordSink;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// What a transfer brought.
#[derive(Debug, Clone)]
pub enum Received {
    /// The whole zone as plain records.
    Whole(Vec<u8>),
    /// Steps from the version at hand.
    Steps(Vec<Arc<Difference>>),
}

/// A transferred zone to put in place.
#[derive(Debug)]
pub struct Arrival {
    /// Its apex.
    pub origin: Name,
    /// What came.
    pub received: Received,
    /// When.
    pub at: SystemTime,
}

pub(super) const NOTHING_YET: &str = "the zone has not been transferred yet";

/// There is no zone, and this is why.
pub(super) fn refused(origin: &Name, why: String) -> Loaded {
    let mut faults = Faults::default();
    faults.error(place_in(PathBuf::from(origin.to_string()), 1, 1), why);
    Loaded { origin: origin.clone(), zone: None, faults, checked: None }
}

/// Seals plain records.
pub(super) fn read(origin: &Name, run: &[u8], seed: HashSeed) -> (Option<Zone>, Faults) {
    let mut draft = ZoneDraft::new(origin, seed);
    let (mut rest, mut number) = (run, 0);
    let place = |number| place_in(PathBuf::from(format!("{origin} (transferred)")), number, 1);
    let whole = place(0);
    draft.set_file(&whole.file);
    // A signed zone is sealed as a whole each time.
    let mut form = Form::Blocks;
    while let Some((record, len)) = plain::first(rest) {
        number += 1;
        if record.rtype == RecordType::RRSIG {
            form = Form::Arena;
        }
        draft.record(record, &Place { line: number, ..whole.clone() });
        rest = rest.get(len..).unwrap_or_default();
    }
    let (zone, mut faults) = seal_as(draft, form);
    if !rest.is_empty() {
        faults.error(place(number), "the records end within one");
    }
    (zone.filter(|_| faults.errors() == 0), faults)
}
