//! The services' domain on its way to other servers: each version that comes of a cut is made by the loader, as one that was
//! transferred is, put in place and told of.

use crate::catalog::delta::{Delta, ZoneContent};
use crate::control::cluster::News;
use crate::control::{Control, tell_faults};
use crate::discovery::cut::replica::Version;
use crate::loader::Loaded;
use crate::loader::received::{Arrival, Received};
use crate::os::clock;
use std::sync::Arc;

/// Versions on their way.
#[derive(Default)]
pub(super) struct Outward {
    /// What the loader has not been given yet, in its order.
    waiting: Vec<Version>,
    is_loading: bool,
    /// What the loader has is not wanted any more.
    is_void: bool,
}

impl Control {
    /// After a reload: the domain goes to others, or not any more.
    pub(super) fn go_out_or_stay(&mut self) {
        if self.cluster.set_cuts(clock::moment(clock::now()), &self.config) {
            self.withdraw_version();
        }
    }

    fn withdraw_version(&mut self) {
        self.outward.waiting.clear();
        self.outward.is_void = self.outward.is_loading;
        self.state.apply(Delta::DropZone { origin: self.cluster.domain().clone() });
        self.due.note(true);
    }

    /// Takes what has come of cuts.
    pub(super) fn take_cuts(&mut self) {
        for news in self.cluster.take_cuts() {
            match news {
                News::Later(version) => {
                    if matches!(version, Version::Whole(_)) {
                        self.outward.waiting.clear();
                    }
                    self.outward.waiting.push(version);
                }
                News::Withdrawn(serial) => {
                    tracing::error!(
                        zone = %self.cluster.domain(),
                        serial = serial.0,
                        "this node makes something else of the cluster's records than the one that gives serials: \
                         are both of one version and configured alike? It goes to nobody until they agree"
                    );
                    self.withdraw_version();
                }
            }
        }
        self.load_version();
    }

    /// Gives the loader what comes next.
    fn load_version(&mut self) {
        if self.outward.is_loading || self.outward.waiting.is_empty() {
            return;
        }
        let origin = self.cluster.domain().clone();
        let is_step = |version: &Version| matches!(version, Version::Step(_));
        let steps = self.outward.waiting.iter().take_while(|version| is_step(version)).count();
        let taken = self.outward.waiting.drain(..steps.max(1));
        let mut received = Received::Steps(Vec::new());
        for version in taken {
            match (version, &mut received) {
                (Version::Step(step), Received::Steps(steps)) => steps.push(step),
                (Version::Whole(run), received) => *received = Received::Whole(run),
                // Nothing else was taken with a whole one.
                (Version::Step(_), Received::Whole(_)) => {}
            }
        }
        let old = self.at_hand(&origin);
        self.outward.is_loading = true;
        self.loader.put(Arrival { origin, old, received, at: clock::wall(), is_kept: false });
    }

    /// Puts a version in place that the loader made; true if the state changed.
    pub(super) fn take_version(&mut self, loaded: Loaded) -> bool {
        let Loaded { origin, zone, faults, .. } = loaded;
        self.outward.is_loading = false;
        if std::mem::take(&mut self.outward.is_void) {
            self.loader.free(zone);
            self.load_version();
            return false;
        }
        let Some(zone) = zone else {
            tell_faults(&origin, &faults);
            tracing::error!(zone = %origin, "what was made of the cluster's records is no zone: the old one stays");
            self.outward.waiting.clear();
            self.cluster.cut_failed();
            return false;
        };
        tracing::debug!(zone = %origin, serial = zone.serial().0, records = zone.record_count(), "a later version");
        let old = self.at_hand(&origin).map(|old| old.serial());
        self.state.apply(Delta::PutZone { origin, content: ZoneContent::Sealed(Arc::clone(&zone)) });
        self.tell_served(old, &zone, None);
        self.load_version();
        true
    }
}
