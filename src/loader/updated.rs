//! Primary zones that are updated: carrying out a group of updates, and which of a zone's file and what was kept of its
//! updates is served.
//!
//! ```text
//! version at hand ─► Ledger: one update after another ─► steps ─► made, on disk ─► the new version, and a code for each
//! ```
//!
//! The file is the operator's and is never written. What updates have made of it is kept whole beside the state, and is
//! served as long as the file does not have a later serial. So no update is lost without a word, and who edits the file
//! says by its serial that it counts.

use crate::disk::zones::{Lost, Zones};
use crate::loader::received::{self, Arrival, Received};
use crate::loader::{Loaded, Source, ZoneSpec, load};
use crate::transfer::update::content::of_zone;
use crate::transfer::update::{Ledger, Update, difference};
use crate::wire::key::HashSeed;
use crate::wire::message::Rcode;
use crate::wire::name::Name;
use crate::zone::Zone;
use crate::zone::history::{self, Difference};
use crate::zone::plain::Unsealer;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// Updates of one zone, in the order in which they came.
#[derive(Debug)]
pub struct Group {
    /// The zone's apex.
    pub origin: Name,
    /// The version at hand.
    pub old: Arc<Zone>,
    /// What is asked for.
    pub updates: Vec<Update>,
    /// When.
    pub at: SystemTime,
}

/// What became of them.
#[derive(Debug)]
pub struct Updated {
    /// The zone's apex.
    pub origin: Name,
    /// The new version, on disk already; none if nothing was changed.
    pub zone: Option<Arc<Zone>>,
    /// What each of the updates is told once that is served.
    pub codes: Vec<Rcode>,
}

/// Carries updates out; each counts as a whole or not at all.
pub fn carry_out(group: Group, seed: HashSeed, zones: Option<&Zones>) -> Updated {
    let Group { origin, old, updates, at } = group;
    let mut office = Office { seed, zones, at, newest: Arc::clone(&old) };
    let codes = office.all(&updates);
    let zone = (!Arc::ptr_eq(&old, &office.newest)).then_some(office.newest);
    Updated { origin, zone, codes }
}

struct Office<'o> {
    seed: HashSeed,
    zones: Option<&'o Zones>,
    at: SystemTime,
    newest: Arc<Zone>,
}

impl Office<'_> {
    /// All of them by one new version. If they make none, each half has another try: whoever asked for something that no
    /// zone can be spoils it for nobody else.
    fn all(&mut self, updates: &[Update]) -> Vec<Rcode> {
        let (steps, codes) = judge(&self.newest, updates);
        match self.take(steps) {
            Ok(()) => codes,
            Err(Failure::Zone) if updates.len() > 1 => {
                let (first, second) = updates.split_at(updates.len() / 2);
                let mut codes = self.all(first);
                codes.extend(self.all(second));
                codes
            }
            Err(Failure::Zone | Failure::Disk) => {
                let failed = |code| if code == Rcode::NoError { Rcode::ServFail } else { code };
                codes.into_iter().map(failed).collect()
            }
        }
    }

    /// Makes the version that the steps lead to, and keeps it.
    fn take(&mut self, steps: Vec<Arc<Difference>>) -> Result<(), Failure> {
        if steps.is_empty() {
            return Ok(());
        }
        let origin = self.newest.origin().clone();
        let old = Some(Arc::clone(&self.newest));
        let arrival = Arrival { origin: origin.clone(), old, received: Received::Steps(steps), at: self.at };
        let (loaded, run) = received::make(arrival, self.seed);
        let Some(zone) = loaded.zone else {
            for fault in loaded.faults.iter() {
                tracing::error!(zone = %origin, "an update makes no zone: {fault}");
            }
            return Err(Failure::Zone);
        };
        if let Some(zones) = self.zones
            && let Err(error) = zones.of_updates().write(&origin.to_string(), &run, self.at)
        {
            let path = zones.of_updates().path(&origin.to_string());
            tracing::error!(zone = %origin, "updates are refused, they cannot be kept: {}: {error}", path.display());
            return Err(Failure::Disk);
        }
        self.newest = Arc::new(zone);
        Ok(())
    }
}

/// Why there is no new version.
enum Failure {
    /// What was asked for is no zone.
    Zone,
    /// It could not be kept.
    Disk,
}

/// The steps that updates are, and a code for each of them.
fn judge(zone: &Zone, updates: &[Update]) -> (Vec<Arc<Difference>>, Vec<Rcode>) {
    let mut unsealer = Unsealer::default();
    let mut ledger = Ledger::new(zone.origin(), |name| of_zone(zone, &mut unsealer, name));
    let mut steps = Vec::new();
    let mut one = |update: &Update| match ledger.judge(update) {
        Ok(changes) => {
            steps.extend(difference(&changes).map(Arc::new));
            Rcode::NoError
        }
        Err(code) => code,
    };
    let codes = updates.iter().map(&mut one).collect();
    (steps, codes)
}

/// Reads a zone that is updated; `old`: the version at hand. No zone and no fault: that is still the one.
pub fn reload(
    spec: &ZoneSpec,
    file: &Path,
    seed: HashSeed,
    old: Option<&Zone>,
    zones: Option<&Zones>,
) -> Loaded {
    let source = Source::File(file.to_owned());
    let mut loaded = load(&ZoneSpec { source, ..spec.clone() }, seed, None, None);
    let is_kept = zones.is_some_and(|zones| zones.of_updates().has(&spec.origin.to_string()));
    let kept = match old {
        None if is_kept => kept(&spec.origin, seed, zones),
        _ => None,
    };
    let known = old.or(kept.as_ref()).map(Zone::serial);
    let file_counts = match (&loaded.zone, known) {
        (_, None) => true,
        (Some(zone), Some(known)) if zones.is_some() && is_kept => known.is_before(zone.serial()),
        // Nothing was updated so far: any file counts, whatever its serial.
        (Some(_), Some(_)) if zones.is_some() => true,
        (Some(zone), Some(known)) => !zone.serial().is_before(known),
        // Its faults are told, and what was served goes on.
        (None, Some(_)) => false,
    };
    let serials = (loaded.zone.as_ref().map(|zone| zone.serial().0), known.map(|known| known.0));
    match file_counts {
        true => {
            if let Some(zones) = zones.filter(|_| is_kept && loaded.zone.is_some()) {
                supersede(zones, &spec.origin, serials);
            }
            loaded.zone = match (loaded.zone.take(), old) {
                (Some(zone), Some(old)) => Some(history::succeed(old, zone)),
                (zone, _) => zone,
            };
        }
        false => {
            if let (Some(file), Some(updated)) = serials
                && file != updated
            {
                tracing::info!(
                    zone = %spec.origin, file, updated,
                    "the zone is served as it was updated: to count, its file needs a later serial"
                );
            }
            loaded.zone = kept;
        }
    }
    loaded
}

/// The file counts: what was kept of updates goes out of its way.
fn supersede(zones: &Zones, origin: &Name, (file, updated): (Option<u32>, Option<u32>)) {
    let aside = zones.of_updates().supersede(&origin.to_string()).unwrap_or_default();
    tracing::warn!(
        zone = %origin, file, updated,
        "the file has a later serial and counts: what was updated and does not stand in it is gone, and lies in {}",
        aside.display()
    );
}

/// What was kept of a zone's updates.
fn kept(origin: &Name, seed: HashSeed, zones: Option<&Zones>) -> Option<Zone> {
    let zones = zones?.of_updates();
    let kept = match zones.read(&origin.to_string()) {
        Ok(kept) => kept,
        Err(Lost::Absent) => return None,
        Err(Lost::Unreadable(error)) => {
            let path = zones.path(&origin.to_string());
            tracing::error!(zone = %origin, "what was updated is lost, the file is served: {}: {error}", path.display());
            return None;
        }
        Err(Lost::Broken { why, aside }) => {
            let aside = aside.unwrap_or_default();
            tracing::error!(zone = %origin, "what was updated is lost, the file is served: {why}: set aside as {}", aside.display());
            return None;
        }
    };
    let loaded = received::read(origin, &kept.body, seed);
    if loaded.zone.is_none() {
        let aside = zones.set_aside(&origin.to_string()).unwrap_or_default();
        tracing::error!(zone = %origin, "what was updated is faulty, the file is served: set aside as {}", aside.display());
    }
    loaded.zone
}

#[cfg(test)]
mod tests;
