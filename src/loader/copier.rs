//! The thread that writes copies of zones whose changes have outgrown the last one: a large zone takes seconds, in which
//! further changes must not wait.

use crate::disk::zones::Zones;
use crate::wire::name::Name;
use crate::zone::{Zone, plain};
use crossbeam::channel::{Sender, unbounded};
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

/// A copy that lies beside the one that is kept, or why it does not.
#[derive(Debug)]
pub(super) struct Copied {
    pub(super) origin: Name,
    /// Which was asked for.
    pub(super) number: u64,
    pub(super) outcome: io::Result<()>,
}

struct Job {
    zones: Zones,
    zone: Arc<Zone>,
    checked: SystemTime,
    number: u64,
}

/// Hands copies out to be written, one after the other; as many wait as there are zones.
pub(super) struct Copier {
    jobs: Sender<Job>,
    numbers: u64,
}

impl Copier {
    /// Starts it. It ends with this handle, in its own time.
    pub(super) fn start(done: impl Fn(Copied) + Send + 'static) -> io::Result<Copier> {
        let (jobs, asked) = unbounded::<Job>();
        std::thread::Builder::new().name("copier".into()).spawn(move || {
            for Job { zones, zone, checked, number } in asked {
                let (origin, run) = (zone.origin().clone(), plain::of_zone(&zone));
                drop(zone);
                let outcome = zones.write_copy(&origin.to_string(), &run, checked);
                done(Copied { origin, number, outcome });
            }
        })?;
        Ok(Copier { jobs, numbers: 0 })
    }

    /// Asks for a copy; its number.
    pub(super) fn copy(&mut self, zones: &Zones, zone: &Arc<Zone>, checked: SystemTime) -> u64 {
        self.numbers += 1;
        let (zones, zone) = (zones.clone(), Arc::clone(zone));
        // The thread ends only with this handle.
        let _ = self.jobs.send(Job { zones, zone, checked, number: self.numbers });
        self.numbers
    }
}
