//! What is on disk of a zone that changes in part: a copy, and changes that lead from it to the version at hand.
//!
//! ```text
//! Nothing ─► keep: a whole copy ─► Changes ─► keep: appended ─► outgrown: a new copy, written meanwhile ─┐
//! Copy ────► keep: changes begin ────┘  ▲────────────────────────────────────────────────────────────────┘
//! ```

use crate::disk::changes::{Changes, Step};
use crate::disk::zones::{Zones, told};
use crate::loader::changing::made;
use crate::loader::copier::{Copied, Copier};
use crate::loader::file::Note;
use crate::wire::key::HashSeed;
use crate::zone::amend::Amendment;
use crate::zone::history::{Difference, History};
use crate::zone::{Serial, Zone, plain};
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

/// Octets of changes that are always appended, however small the copy: below it a new copy saves nothing.
const CHANGES_OCTETS_MIN: u64 = 1 << 20;

/// What is on disk of a zone.
pub(super) enum Kept {
    /// Nothing that leads to the version at hand.
    Nothing,
    /// Changes that can neither be read nor be set aside. No update is written over them, and so none is made. What is
    /// transferred is: the primary has all of it.
    Stuck,
    /// A copy that is the version at hand.
    Copy,
    /// A copy, and changes that lead from it to the version at hand.
    Changes {
        changes: Changes,
        /// The copy is older than these changes: it needs the earlier ones, too.
        is_behind: bool,
        /// A new copy is being written under that number.
        copying: Option<u64>,
        /// Octets of changes beyond which a new copy is written.
        octets_max: u64,
    },
}

/// The version at hand.
pub(super) struct Version<'v> {
    pub(super) zone: &'v Arc<Zone>,
    /// When it was last known to be the primary's newest.
    pub(super) checked: SystemTime,
    /// What is known of its file, of a primary zone.
    pub(super) note: Option<Note>,
}

impl Kept {
    /// Brings steps, which lead to the version at hand, to the disk.
    pub(super) fn keep(
        &mut self,
        zones: &Zones,
        name: &str,
        steps: &[Arc<Difference>],
        version: &Version<'_>,
    ) -> io::Result<()> {
        let steps: Vec<Step> = steps.iter().map(|step| step_of(step)).collect();
        if matches!(self, Kept::Copy) {
            *self = Kept::begun(zones, name, version)?;
        }
        match self {
            Kept::Changes { changes, .. } if changes.has_room(&steps) => {
                changes.append(&steps)?;
                if version.note.is_none() {
                    // Nothing depends on its being on disk at once.
                    zones.touch(name, version.checked)?;
                }
                Ok(())
            }
            Kept::Stuck if version.note.is_some() => {
                let path = zones.changes_path(name);
                let why = "changes lie there that lead nowhere and are not set aside: move them away, and start again";
                Err(io::Error::other(format!("{}: {why}", path.display())))
            }
            Kept::Nothing | Kept::Stuck | Kept::Copy | Kept::Changes { .. } => {
                self.keep_whole(zones, name, version)
            }
        }
    }

    /// Makes the version at hand the copy. It is later than all changes that may be found beside it if a crash comes in
    /// between, and so has them all.
    fn keep_whole(&mut self, zones: &Zones, name: &str, version: &Version<'_>) -> io::Result<()> {
        *self = Kept::Nothing;
        if zones.octets(name) == 0 {
            // What is noted of the file is there before the copy is.
            Kept::begun(zones, name, version)?;
        }
        zones.write(name, &plain::of_zone(version.zone), version.checked)?;
        *self = Kept::begun(zones, name, version)?;
        zones.drop_earlier(name)
    }

    /// Changes that lead on from the copy, none so far.
    fn begun(zones: &Zones, name: &str, version: &Version<'_>) -> io::Result<Kept> {
        let note = version.note.map(Note::to_octets).unwrap_or_default();
        let octets_max = zones.octets(name).max(CHANGES_OCTETS_MIN);
        let changes = zones.begin_changes(name, &note)?;
        Ok(Kept::Changes { changes, is_behind: false, copying: None, octets_max })
    }

    /// Has a new copy written, if the changes have outgrown the one at hand.
    pub(super) fn outgrow(&mut self, zones: &Zones, version: &Version<'_>, copier: &mut Copier) {
        let Kept::Changes { changes, is_behind, copying, octets_max } = self else { return };
        if changes.octets() <= *octets_max || copying.is_some() {
            return;
        }
        let origin = version.zone.origin();
        // The earlier changes are needed as long as the copy is older than those at hand.
        if !*is_behind {
            if let Err(error) = changes.turn() {
                *octets_max = changes.octets().saturating_mul(2);
                let path = zones.changes_path(&origin.to_string());
                return tracing::error!(zone = %origin, "cannot begin new changes: {}: {error}", path.display());
            }
            *is_behind = true;
        }
        *copying = Some(copier.copy(zones, version.zone, version.checked));
    }

    /// A copy was written, or could not be.
    pub(super) fn copied(&mut self, zones: &Zones, copied: Copied) {
        let Copied { origin, number, outcome } = copied;
        let Kept::Changes { is_behind, copying, octets_max, changes } = self else { return };
        // Another one that was asked for before the zone was replaced is nobody's any more.
        if *copying != Some(number) {
            return;
        }
        *copying = None;
        let name = origin.to_string();
        match outcome.and_then(|()| zones.adopt_copy(&name)) {
            Ok(()) => {
                *is_behind = false;
                *octets_max = zones.octets(&name).max(CHANGES_OCTETS_MIN);
            }
            Err(error) => {
                // All is in the changes, which grow meanwhile.
                *octets_max = changes.octets().saturating_mul(2);
                let path = zones.path(&name);
                tracing::error!(zone = %origin, "cannot write a new copy: {}: {error}", path.display());
            }
        }
    }
}

pub(super) fn step_of(difference: &Difference) -> Step {
    Step {
        from: difference.from().0,
        to: difference.to().0,
        records: Bytes::copy_from_slice(difference.records()),
        note: Bytes::new(),
    }
}

/// The last version of a zone on disk, given its copy; what is there of it, and what was noted of its file.
pub(super) fn lead_on(copy: Zone, zones: &Zones, name: &str, seed: HashSeed) -> (Zone, Kept, Option<Note>) {
    let restored = match zones.changes(name) {
        Ok(restored) => restored,
        Err(error) => {
            tracing::error!(zone = name, "{error}: the copy is served without the changes since");
            return (copy, Kept::Stuck, None);
        }
    };
    for notice in &restored.notices {
        match notice.is_loss() {
            true => tracing::error!(zone = name, "{notice}"),
            false => tracing::warn!(zone = name, "{notice}"),
        }
    }
    let note = Note::of_octets(&restored.note);
    let earlier = restored.earlier.len();
    let steps: Vec<Arc<Difference>> =
        restored.earlier.into_iter().chain(restored.steps).map(difference_of).collect();
    let serial = copy.serial();
    let first = steps.iter().rposition(|step| step.from() == serial).unwrap_or(steps.len());
    let (before, since) = steps.split_at(first);
    if let Some(last) = before.last().filter(|last| since.is_empty() && last.to() != serial) {
        // Or the copy has them all, and more.
        if !last.to().is_before(serial) {
            let why = format!("they lead to serial {}, past the copy's {}", last.to().0, serial.0);
            if !set_changes_aside(zones, name, &why) {
                return (copy, Kept::Stuck, note);
            }
        }
        return (copy, Kept::Copy, note);
    }
    let history = History::default().then(chain(before, serial), copy.octets());
    let copy = copy.with_history(history);
    let mut amendment = Amendment::begin(&copy);
    let misfit = since.iter().find_map(|step| amendment.take(step).err());
    let zone = match amendment.steps().is_empty() {
        true => {
            drop(amendment);
            None
        }
        false => made(amendment, &copy, seed).zone.and_then(Arc::into_inner),
    };
    let is_led_on = misfit.is_none() && (zone.is_some() || since.is_empty());
    let kept = match restored.changes {
        _ if !is_led_on => {
            let why = misfit.map_or("they make no zone".to_owned(), |misfit| misfit.to_string());
            match set_changes_aside(zones, name, &why) {
                true => Kept::Nothing,
                false => Kept::Stuck,
            }
        }
        Some(changes) => Kept::Changes {
            octets_max: zones.octets(name).max(CHANGES_OCTETS_MIN),
            is_behind: first < earlier,
            copying: None,
            changes,
        },
        // A crash came between two files.
        None if first < earlier => Kept::Nothing,
        None => Kept::Copy,
    };
    (zone.unwrap_or(copy), kept, note)
}

/// True if they are set aside.
fn set_changes_aside(zones: &Zones, name: &str, why: &str) -> bool {
    let aside = zones.set_changes_aside(name);
    let told = told(&aside);
    tracing::error!(
        zone = name,
        "changes that were acknowledged do not lead on from the copy: {why}: {}: {told}",
        zones.changes_path(name).display()
    );
    aside.is_ok()
}

pub(super) fn difference_of(step: Step) -> Arc<Difference> {
    Arc::new(Difference::new(Serial(step.from), Serial(step.to), step.records.to_vec()))
}

/// The last of the steps, as far as each leads to the next and the last one to a serial.
pub(super) fn chain(steps: &[Arc<Difference>], to: Serial) -> Vec<Arc<Difference>> {
    let mut next = to;
    let linked = steps.iter().rev().take_while(|step| {
        let is_linked = step.to() == next;
        next = step.from();
        is_linked
    });
    let mut chain: Vec<Arc<Difference>> = linked.cloned().collect();
    chain.reverse();
    chain
}
