//! Zones that change in part: the newest version of each, and what is on disk of it.
//!
//! ```text
//! transfer, whole ──────────────────────────────────► sealed ─► copy on disk, without changes ─┐
//! transfer, steps ─┬─► Amendment ─┬─► next version ─► changes on disk, one wait for a group ───┼─► served
//! updates ─────────┘              └─► too much: sealed anew ─► the same                        │
//! start ──► copy and changes ─► the last version, and its history ─────────────────────────────┘
//! ```
//!
//! Nothing is said of a change by updates before the disk has it. A transferred zone is served though the disk fails: the
//! primary has it.
//!
//! A primary zone has its file besides, which nobody writes. As long as the file is as it was, what counts is the last
//! version on disk. A file with a later serial replaces it, and what updates had changed is set aside; any other change of the
//! file is refused, and the zone stays as it was.
//!
//! What is on disk of a zone as a primary and as a secondary lies apart. When the configuration makes the one of the other,
//! what it was stays where it is, is told, and counts again once the zone is that again.

use crate::disk::changes::Restored;
use crate::disk::zones::{Lost, Zones, told};
use crate::loader::Loaded;
use crate::loader::copier::{Copied, Copier};
use crate::loader::file::{self, Note};
use crate::loader::kept::{Kept, Version, lead_on};
use crate::loader::received::{Arrival, NOTHING_YET, Received, read, refused};
use crate::loader::updates::{Unmade, Update, Updated};
use crate::os::clock;
use crate::wire::key::HashSeed;
use crate::wire::name::Name;
use crate::zone::amend::{Amendment, Outcome};
use crate::zone::fault::{Faults, place_in};
use crate::zone::history::{self, Difference};
use crate::zone::{Serial, Zone};
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// All of them.
pub(super) struct Changing {
    seed: HashSeed,
    /// Where those that are transferred are kept, if they are.
    zones: Option<Zones>,
    copier: Copier,
    all: HashMap<Name, Holding>,
}

struct Holding {
    zone: Arc<Zone>,
    /// Updates have led from its file to the version at hand.
    is_updated: bool,
    /// When it was last known to be the primary's newest.
    checked: SystemTime,
    /// What is known of its file, of a primary zone.
    note: Option<Note>,
    kept: Kept,
}

impl Holding {
    /// It has a file here.
    fn is_primary(&self) -> bool {
        self.note.is_some()
    }

    /// Where it is kept, given where those that are transferred are.
    fn zones(&self, transferred: &Zones) -> Zones {
        if self.is_primary() { transferred.updated() } else { transferred.clone() }
    }
}

impl Changing {
    /// Without any.
    pub(super) fn new(seed: HashSeed, zones: Option<Zones>, copier: Copier) -> Changing {
        Changing { seed, zones, copier, all: HashMap::new() }
    }

    /// These change in part, and no others.
    pub(super) fn retain(&mut self, origins: &[Name]) {
        self.all.retain(|origin, _| origins.contains(origin));
    }

    /// Where a zone is kept, if it is: one that has a file here, or one that is transferred.
    fn zones(&self, is_primary: bool) -> Option<Zones> {
        self.zones.as_ref().map(|zones| if is_primary { zones.updated() } else { zones.clone() })
    }

    /// The zone at hand, or what was kept of it.
    pub(super) fn restore(&mut self, origin: &Name) -> Loaded {
        let faults = match self.hold(origin, None) {
            Ok(()) => Faults::default(),
            Err(loaded) => return *loaded,
        };
        match self.all.get(origin) {
            Some(Holding { zone, checked, .. }) => Loaded {
                origin: origin.clone(),
                zone: Some(Arc::clone(zone)),
                faults,
                checked: Some(*checked),
            },
            None => refused(origin, NOTHING_YET.to_owned()),
        }
    }

    /// Takes what was kept of a zone, unless it is at hand already.
    fn hold(&mut self, origin: &Name, note: Option<Note>) -> Result<(), Box<Loaded>> {
        let is_primary = note.is_some();
        // What it was before the configuration made this of it is nobody's version of this.
        self.all.retain(|other, holding| other != origin || holding.is_primary() == is_primary);
        let zones = self.zones(is_primary).filter(|_| !self.all.contains_key(origin));
        let Some(zones) = zones else { return Ok(()) };
        let name = origin.to_string();
        if let Err(error) = zones.part_updated(&name) {
            return Err(Box::new(refused(origin, format!("{}: {error}", zones.path(&name).display()))));
        }
        self.tell_of_the_other(origin, is_primary);
        let (kept, checked) = match zones.read(&name) {
            Ok(kept) => (kept.body, kept.checked),
            Err(Lost::Absent) => {
                return match is_primary {
                    true => {
                        set_lone_changes_aside(&zones, &name).map_err(|why| Box::new(refused(origin, why)))
                    }
                    false => Ok(()),
                };
            }
            Err(lost) => {
                if matches!(lost, Lost::Broken { aside: Ok(_), .. }) {
                    let _ = zones.set_changes_aside(&name);
                }
                return Err(Box::new(refused(origin, format!("{}: {lost}", zones.path(&name).display()))));
            }
        };
        let (Some(copy), _) = read(origin, &kept, self.seed) else {
            let (path, aside) = (zones.path(&name), zones.set_all_aside(&name));
            let why = format!("the kept zone is faulty: {}: {}", path.display(), told(&aside));
            return Err(Box::new(refused(origin, why)));
        };
        let (zone, kept, found) = lead_on(copy, &zones, &name, self.seed);
        // If what was noted is lost, the file is taken for the one that it was: no other zone has a copy there.
        let (zone, note) = (Arc::new(zone), note.map(|note| found.unwrap_or(note)));
        self.all.insert(origin.clone(), Holding { zone, is_updated: true, checked, note, kept });
        Ok(())
    }

    /// What is kept of a zone as what it is not any more is not served, and does not go without a word.
    fn tell_of_the_other(&self, origin: &Name, is_primary: bool) {
        if let Some(other) = self.zones(!is_primary) {
            tell_unserved(origin, &other);
        }
    }

    /// Reads the file of a primary zone that updates change, and what they have changed.
    pub(super) fn load_file(&mut self, origin: &Name, path: &Path, old: Option<&Zone>) -> Loaded {
        let (draft, mut faults, note) = file::read(origin, path, self.seed);
        let Some(note) = note else {
            // It has no SOA: sealing says so, if it could be read.
            if faults.errors() == 0 {
                faults.absorb(file::seal(draft).1);
            }
            return Loaded { origin: origin.clone(), zone: None, faults, checked: None };
        };
        if let Err(loaded) = self.hold(origin, Some(note)) {
            return *loaded;
        }
        let mut replaced = None;
        if let Some(Holding { zone, note: known, is_updated: true, .. }) = self.all.get(origin) {
            let (serial, in_file) = (zone.serial(), Serial(note.serial));
            if *known != Some(note) && !serial.is_before(in_file) {
                faults.error(
                    place_in(path, 1, 1),
                    format!(
                        "the file was changed, but its serial {} is not later than {}, to which updates have led: \
                         it is not read; a later serial replaces what updates changed",
                        in_file.0, serial.0
                    ),
                );
            }
            if *known == Some(note) || !serial.is_before(in_file) {
                if let Some(old) = old.filter(|old| serial.is_before(old.serial())) {
                    tracing::warn!(
                        zone = %origin,
                        "what updates had made of the zone's file is served again, with serial {}: whoever has serial {} of \
                         the zone as a secondary takes it only as a whole, or once a later file replaces it",
                        serial.0,
                        old.serial().0
                    );
                }
                return Loaded {
                    origin: origin.clone(),
                    zone: Some(Arc::clone(zone)),
                    faults,
                    checked: None,
                };
            }
            replaced = Some(Arc::clone(zone));
        }
        let (zone, sealing) = file::seal(draft);
        faults.absorb(sealing);
        let Some(zone) = zone.filter(|_| faults.errors() == 0) else {
            return Loaded { origin: origin.clone(), zone: None, faults, checked: None };
        };
        // Only now: a faulty file replaces nothing, and updates go on beside it.
        if let Some(former) = replaced
            && let Some(zones) = self.zones(true)
        {
            let (serial, aside) = (former.serial().0, zones.set_all_aside(&origin.to_string()));
            match aside {
                Ok(aside) => tracing::warn!(
                    zone = %origin,
                    "the file with serial {} replaces what updates had changed up to serial {serial}, which is \
                     set aside as {}",
                    note.serial,
                    aside.display()
                ),
                // Somebody took it away already.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let kept = zones.path(&origin.to_string());
                    faults.error(
                        place_in(path, 1, 1),
                        format!(
                            "the file with serial {} does not replace what updates have changed up to serial {serial}, for \
                             {} cannot be set aside: {error}",
                            note.serial,
                            kept.display()
                        ),
                    );
                    return Loaded { origin: origin.clone(), zone: Some(former), faults, checked: None };
                }
            }
        }
        let before = self.all.get(origin).map(|holding| Arc::clone(&holding.zone));
        let zone = match before.as_deref().or(old) {
            Some(old) => history::succeed(old, zone),
            None => zone,
        };
        let zone = Arc::new(zone);
        let holding = Holding {
            zone: Arc::clone(&zone),
            is_updated: false,
            checked: clock::wall(),
            note: Some(note),
            kept: Kept::Nothing,
        };
        self.all.insert(origin.clone(), holding);
        Loaded { origin: origin.clone(), zone: Some(zone), faults, checked: None }
    }

    /// Makes the zone that a transfer brought, and keeps it.
    pub(super) fn put(&mut self, arrival: Arrival) -> Loaded {
        if !arrival.is_kept {
            return self.put_apart(arrival);
        }
        let Arrival { origin, received, at, .. } = arrival;
        let old = self.all.get(&origin).filter(|holding| !holding.is_primary());
        let old = old.map(|holding| Arc::clone(&holding.zone));
        match (received, old) {
            (Received::Whole(run), old) => self.put_whole(&origin, &run, old, at),
            (Received::Steps(steps), Some(old)) => {
                let mut amendment = Amendment::begin(&old);
                for step in &steps {
                    if let Err(misfit) = amendment.take(step) {
                        return refused(&origin, misfit.to_string());
                    }
                }
                let loaded = made(amendment, &old, self.seed);
                if let Some(zone) = &loaded.zone {
                    let kept = self.advance(&origin, zone, &steps, at);
                    let holding = self.all.get_mut(&origin).filter(|_| kept.is_err());
                    // A step is missing there: the next one is kept as a whole.
                    holding.into_iter().for_each(|holding| holding.kept = Kept::Nothing);
                    if let (Err(error), true) = (kept, self.zones.is_some()) {
                        tracing::error!(zone = %origin, "not kept for the next start: {error}");
                    }
                }
                loaded
            }
            (Received::Steps(_), None) => {
                refused(&origin, "there is no version to apply changes to".to_owned())
            }
        }
    }

    /// Makes the zone that this server made of what it knows: nothing of it is kept, and it is nobody's next version here.
    fn put_apart(&self, arrival: Arrival) -> Loaded {
        let Arrival { origin, old, received, .. } = arrival;
        match (received, old) {
            (Received::Whole(run), old) => {
                let (zone, faults) = read(&origin, &run, self.seed);
                let zone = zone.map(|zone| match old {
                    Some(old) => history::succeed(&old, zone),
                    None => zone,
                });
                Loaded { origin, zone: zone.map(Arc::new), faults, checked: None }
            }
            (Received::Steps(steps), Some(old)) => {
                let mut amendment = Amendment::begin(&old);
                for step in &steps {
                    if let Err(misfit) = amendment.take(step) {
                        return refused(&origin, misfit.to_string());
                    }
                }
                made(amendment, &old, self.seed)
            }
            (Received::Steps(_), None) => {
                refused(&origin, "there is no version to apply changes to".to_owned())
            }
        }
    }

    /// What is kept of a zone goes.
    pub(super) fn forget(&mut self, origin: &Name) {
        self.all.remove(origin);
        let Some(zones) = &self.zones else { return };
        let name = origin.to_string();
        if let Err(error) = zones.drop_changes(&name).and_then(|()| zones.remove(&name)) {
            tracing::warn!(zone = %origin, "cannot remove what was kept of it: {error}");
        }
    }

    fn put_whole(&mut self, origin: &Name, run: &[u8], old: Option<Arc<Zone>>, at: SystemTime) -> Loaded {
        let (zone, faults) = read(origin, run, self.seed);
        let Some(zone) = zone else {
            return Loaded { origin: origin.clone(), zone: None, faults, checked: None };
        };
        let zone = Arc::new(match old {
            Some(old) => history::succeed(&old, zone),
            None => zone,
        });
        let name = origin.to_string();
        let written = match &self.zones {
            // The changes do not lead to it: they must not be found beside it.
            Some(zones) => zones.drop_changes(&name).and_then(|()| zones.write(&name, run, at)),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        let kept = match (written, &self.zones) {
            (Ok(()), _) => Kept::Copy,
            (Err(error), Some(zones)) => {
                let path = zones.path(&name);
                tracing::error!(zone = %origin, "not kept for the next start: {}: {error}", path.display());
                Kept::Nothing
            }
            (Err(_), None) => Kept::Nothing,
        };
        let holding = Holding { zone: Arc::clone(&zone), is_updated: false, checked: at, note: None, kept };
        self.all.insert(origin.clone(), holding);
        Loaded { origin: origin.clone(), zone: Some(zone), faults, checked: None }
    }

    /// The version at hand was the primary's newest then.
    pub(super) fn check(&mut self, origin: &Name, at: SystemTime) {
        let Some(holding) = self.all.get_mut(origin).filter(|holding| !holding.is_primary()) else { return };
        holding.checked = at;
        if let Some(zones) = &self.zones
            && let Err(error) = zones.touch(&origin.to_string(), at)
        {
            tracing::warn!(zone = %origin, "cannot note that the kept zone is the newest: {error}");
        }
    }

    /// Carries out updates of one zone, each seeing those before it, and keeps what changed with one wait for the disk.
    pub(super) fn update(&mut self, origin: &Name, updates: Vec<Update>) -> Updated {
        let told = Vec::with_capacity(updates.len());
        let mut updated = Updated { origin: origin.clone(), zone: None, made: told };
        let Some(holding) = self.all.get(origin).filter(|holding| holding.note.is_some()) else {
            updates.into_iter().for_each(|update| (update.done)(Err(Unmade::NotServed)));
            return updated;
        };
        let old = Arc::clone(&holding.zone);
        let mut amendment = Amendment::begin(&old);
        for Update { propose, done, .. } in updates {
            match propose(&mut amendment).map(|step| amendment.take(&Arc::new(step))) {
                None | Some(Ok(())) => updated.made.push(done),
                Some(Err(misfit)) => done(Err(Unmade::Misfit(misfit))),
            }
        }
        let steps = amendment.steps().to_vec();
        if steps.is_empty() {
            return updated;
        }
        let loaded = made(amendment, &old, self.seed);
        let outcome = match &loaded.zone {
            Some(zone) => {
                let kept = self.advance(origin, zone, &steps, clock::wall());
                kept.map_err(|error| Unmade::Unkept(error.to_string()))
            }
            None => Err(Unmade::Unsealed(loaded.faults.iter().map(ToString::to_string).collect())),
        };
        match outcome {
            Ok(()) => {
                updated.zone = loaded.zone;
                self.all.get_mut(origin).into_iter().for_each(|holding| holding.is_updated = true);
            }
            Err(unmade) => {
                tracing::error!(zone = %origin, "{} updates are not made: {unmade}", updated.made.len());
                updated.made.drain(..).for_each(|done| done(Err(unmade.clone())));
                self.all.get_mut(origin).into_iter().for_each(|holding| holding.zone = Arc::clone(&old));
            }
        }
        updated
    }

    /// Takes the next version, and keeps the steps that lead to it.
    fn advance(
        &mut self,
        origin: &Name,
        zone: &Arc<Zone>,
        steps: &[Arc<Difference>],
        at: SystemTime,
    ) -> io::Result<()> {
        let Some(holding) = self.all.get_mut(origin) else { return Err(io::ErrorKind::NotFound.into()) };
        (holding.zone, holding.checked) = (Arc::clone(zone), at);
        let zones = self.zones.as_ref().map(|zones| holding.zones(zones));
        let Some(zones) = zones else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "there is no state directory"));
        };
        let version = Version { zone, checked: at, note: holding.note };
        holding.kept.keep(&zones, &origin.to_string(), steps, &version)?;
        holding.kept.outgrow(&zones, &version, &mut self.copier);
        Ok(())
    }

    /// A copy was written, or could not be.
    pub(super) fn copied(&mut self, copied: Copied) {
        let (holding, zones) = (self.all.get_mut(&copied.origin), &self.zones);
        if let (Some(holding), Some(zones)) = (holding, zones) {
            let zones = holding.zones(zones);
            holding.kept.copied(&zones, copied);
        }
    }
}

/// A crash came while all that updates had changed was set aside: the rest of it follows the copy. Changes without a step are
/// those of the first copy, which was not there yet. An error if they stay where the next update would write over them.
fn set_lone_changes_aside(zones: &Zones, name: &str) -> Result<(), String> {
    let has_steps = |restored: Restored| !restored.earlier.is_empty() || !restored.steps.is_empty();
    if zones.changes(name).is_ok_and(has_steps) {
        let aside = zones.set_changes_aside(name);
        let path = zones.changes_path(name);
        let what = format!("changes without a copy to go on from: {}: {}", path.display(), told(&aside));
        if aside.is_err() {
            return Err(what);
        }
        tracing::warn!(zone = name, "{what}");
    }
    Ok(())
}

/// Tells of a copy that is not served, because the zone is another one to the configuration now, if there is one.
pub(super) fn tell_unserved(origin: &Name, zones: &Zones) {
    let (path, of_updates) = (zones.path(&origin.to_string()), zones.are_updated());
    match of_updates {
        _ if !path.exists() => {}
        true => tracing::warn!(
            zone = %origin,
            "what updates had made of the zone's file is kept and not served, until the zone takes updates again: {}",
            path.display()
        ),
        false => tracing::info!(
            zone = %origin,
            "what was transferred while the zone was a secondary is kept and not served: {}",
            path.display()
        ),
    }
}

/// The version to which differences have led.
pub(super) fn made(amendment: Amendment<'_>, old: &Zone, seed: HashSeed) -> Loaded {
    let origin = old.origin().clone();
    let steps = amendment.steps().to_vec();
    match amendment.finish() {
        Outcome::Zone(zone) => {
            let zone = Some(Arc::new(*zone));
            Loaded { origin, zone, faults: Faults::default(), checked: None }
        }
        Outcome::Anew(run, why) => {
            tracing::info!(zone = %origin, "sealed anew: {why}");
            let (zone, faults) = read(&origin, &run, seed);
            let zone = zone.map(|zone| {
                let history = old.history().then(steps, zone.octets());
                Arc::new(zone.with_history(history))
            });
            Loaded { origin, zone, faults, checked: None }
        }
    }
}

#[cfg(test)]
mod tests;
