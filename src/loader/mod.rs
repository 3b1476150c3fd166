//! Floor 4: the threads that turn zone files into sealed zones, and free what nobody reads any more.
//!
//! Both take long for large zones; neither may hold up the control thread, a worker or the other. Beside them
//! [`hints`]: the small files that a walk from the root begins with.

pub mod hints;
pub mod received;

use crate::disk::zones::Zones;
use crate::loader::received::Arrival;
use crate::wire::key::HashSeed;
use crate::wire::name::Name;
use crate::zone::Zone;
use crate::zone::draft::ZoneDraft;
use crate::zone::fault::{Faults, place_in};
use crate::zone::history;
use crate::zone::master::{self, Disk, Options};
use crate::zone::seal::seal;
use crossbeam::channel::{Sender, unbounded};
use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

/// Where a zone's records come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A master file.
    File(PathBuf),
    /// A master file that is part of the program.
    Text {
        /// What faults call it.
        name: &'static str,
        /// Its content.
        text: &'static str,
    },
    /// Transfers from other servers; what was kept of the last one.
    Transfers,
}

/// A zone to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneSpec {
    /// Its apex.
    pub origin: Name,
    /// Where its records come from.
    pub source: Source,
}

/// What became of a [`ZoneSpec`].
#[derive(Debug)]
pub struct Loaded {
    /// The apex.
    pub origin: Name,
    /// The zone, unless a fault is an error.
    pub zone: Option<Zone>,
    /// Everything found wrong, in the order of the file.
    pub faults: Faults,
    /// Of a kept zone: when it was last known to be the newest.
    pub checked: Option<SystemTime>,
}

/// Reads and seals one zone, which replaces `old`; `zones`: where transferred ones are kept.
pub fn load(spec: &ZoneSpec, seed: HashSeed, old: Option<&Zone>, zones: Option<&Zones>) -> Loaded {
    let mut draft = ZoneDraft::new(&spec.origin, seed);
    let mut faults = Faults::default();
    let options = Options { origin: &spec.origin, ttl: None };
    match &spec.source {
        Source::File(path) => {
            draft.set_file(&Arc::from(path.as_path()));
            if let Err(unreadable) = master::read_file(path, options, &mut draft, &mut faults) {
                faults.error(place_in(path, 1, 1), unreadable.error.to_string());
                return Loaded { origin: spec.origin.clone(), zone: None, faults, checked: None };
            }
        }
        Source::Text { name, text } => {
            let file: Arc<Path> = Arc::from(Path::new(name));
            draft.set_file(&file);
            master::read(Box::new(text.as_bytes()), file, options, &Disk, &mut draft, &mut faults);
        }
        Source::Transfers => return received::restore(&spec.origin, zones, seed),
    }
    let (zone, sealing) = seal(draft);
    faults.absorb(sealing);
    let zone = zone.filter(|_| faults.errors() == 0);
    let zone = match (zone, old) {
        (Some(zone), Some(old)) => Some(history::succeed(old, zone)),
        (zone, _) => zone,
    };
    Loaded { origin: spec.origin.clone(), zone, faults, checked: None }
}

/// What is asked of the thread that reads zones.
enum Job {
    /// A zone in that round, and the version that it replaces.
    Zone { round: u64, spec: ZoneSpec, old: Option<Arc<Zone>> },
    /// What a transfer brought.
    Arrival(Arrival),
    /// The kept zone of that origin was the newest then.
    Checked(Name, SystemTime),
    /// What is kept of the zone of that origin goes.
    Forget(Name),
}

/// What the loader has done.
#[derive(Debug)]
pub enum Done {
    /// A zone that was asked for in that round.
    Zone(u64, Loaded),
    /// A transferred zone was made.
    Arrival(Loaded),
}

type Garbage = Box<dyn Any + Send>;

/// The loader's threads: one reads zones, one frees. Dropping this handle begins no further zone, and waits for
/// nothing: the one being read, which may be large, is read to its end and told to nobody who listens.
pub struct Loader {
    jobs: Sender<Box<Job>>,
    garbage: Sender<Garbage>,
    /// The newest round: what older ones asked for and has not begun is overtaken.
    newest: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Loader {
    /// Starts it; `done` is handed every result, with the round it was asked for in. What was overtaken before it
    /// was begun has none. `zones`: where transferred zones are kept, if they are.
    pub fn start(
        seed: HashSeed,
        zones: Option<Zones>,
        done: impl Fn(Done) + Send + 'static,
    ) -> io::Result<Loader> {
        let (jobs, asked) = unbounded::<Box<Job>>();
        let (newest, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (is_newest, is_over) = (Arc::clone(&newest), Arc::clone(&stop));
        std::thread::Builder::new().name("loader".into()).spawn(move || {
            for job in asked {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                match *job {
                    Job::Zone { round, spec, old } if round >= is_newest.load(Ordering::Relaxed) => {
                        done(Done::Zone(round, load(&spec, seed, old.as_deref(), zones.as_ref())));
                    }
                    Job::Zone { .. } => {}
                    Job::Arrival(arrival) => done(Done::Arrival(received::put(arrival, seed, zones.as_ref()))),
                    Job::Forget(origin) => {
                        if let Some(zones) = &zones
                            && let Err(error) = zones.remove(&origin.to_string())
                        {
                            tracing::warn!(zone = %origin, "cannot remove what was kept of it: {error}");
                        }
                    }
                    Job::Checked(origin, at) => {
                        if let Some(zones) = &zones
                            && let Err(error) = zones.touch(&origin.to_string(), at)
                        {
                            tracing::warn!(zone = %origin, "cannot note that the kept zone is the newest: {error}");
                        }
                    }
                }
            }
        })?;
        let (garbage, thrown_away) = unbounded::<Garbage>();
        // A large zone takes seconds to load: what is freed meanwhile must not wait for it.
        std::thread::Builder::new()
            .name("freer".into())
            .spawn(move || thrown_away.into_iter().for_each(drop))?;
        Ok(Loader { jobs, garbage, newest, stop })
    }

    /// Asks for a zone. `round`, which never falls, comes back with it: what an older round asked for is overtaken,
    /// and not begun any more.
    pub fn load(&self, round: u64, spec: ZoneSpec, old: Option<Arc<Zone>>) {
        self.newest.store(round, Ordering::Relaxed);
        self.ask(Job::Zone { round, spec, old });
    }

    /// Has a zone made of what a transfer brought, and kept.
    pub fn put(&self, arrival: Arrival) {
        self.ask(Job::Arrival(arrival));
    }

    /// Has it noted that the kept zone of that origin was the newest then.
    pub fn checked(&self, origin: Name, at: SystemTime) {
        self.ask(Job::Checked(origin, at));
    }

    /// Has what is kept of a zone removed, after what was asked for before.
    pub fn forget(&self, origin: Name) {
        self.ask(Job::Forget(origin));
    }

    fn ask(&self, job: Job) {
        // The threads end only with this handle.
        let _ = self.jobs.send(Box::new(job));
    }

    /// Frees a value, whenever there is time.
    pub fn free(&self, value: impl Send + 'static) {
        let _ = self.garbage.send(Box::new(value));
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam::channel::{Receiver, bounded};

    const ZONE: &str = "$TTL 60\n@ SOA ns admin 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n";

    fn spec(i: usize) -> ZoneSpec {
        let origin = Name::parse(&format!("z{i}.")).unwrap();
        ZoneSpec { origin, source: Source::Text { name: "z", text: ZONE } }
    }

    /// A loader that stands still at each zone until it is let go on, and what it has done.
    fn loader() -> (Loader, Sender<()>, Receiver<(u64, Name)>) {
        let ((go, gate), (done, results)) = (bounded(0), unbounded());
        let loader = Loader::start(HashSeed::new([7; 16]), None, move |what| {
            let Done::Zone(round, loaded) = what else { panic!("nothing was transferred") };
            done.send((round, loaded.origin)).unwrap();
            let _ = gate.recv();
        });
        (loader.unwrap(), go, results)
    }

    #[test]
    fn a_loader_that_is_dropped_reads_the_zone_at_hand_to_its_end_and_no_other() {
        let (loader, go, results) = loader();
        (0..300).for_each(|i| loader.load(1, spec(i), None));
        assert_eq!(results.recv().unwrap().1, spec(0).origin);
        drop(loader);
        drop(go);
        assert_eq!(results.iter().count(), 0, "of 299 zones that waited");
    }

    #[test]
    fn zones_of_an_overtaken_round_are_not_read() {
        let (loader, go, results) = loader();
        (0..100).for_each(|i| loader.load(1, spec(i), None));
        assert_eq!(results.recv().unwrap().0, 1);
        (0..2).for_each(|i| loader.load(2, spec(i), None));
        drop(go);
        let rest: Vec<u64> = (0..2).map(|_| results.recv().unwrap().0).collect();
        assert_eq!(rest, [2, 2]);
        drop(loader);
        assert_eq!(results.iter().count(), 0);
    }

    #[test]
    fn what_is_freed_does_not_wait_for_zones() {
        let (loader, go, results) = loader();
        loader.load(1, spec(0), None);
        results.recv().unwrap();
        // The loader stands still.
        let value = Arc::new(());
        let freed = Arc::downgrade(&value);
        struct Told(Arc<()>, Sender<()>);
        impl Drop for Told {
            fn drop(&mut self) {
                let _ = (&self.0, self.1.send(()));
            }
        }
        let (tell, told) = unbounded();
        loader.free(Told(value, tell));
        assert!(told.recv().is_ok());
        // The sender is gone when the value is.
        assert!(told.recv().is_err() && freed.upgrade().is_none());
        drop(go);
    }
}
