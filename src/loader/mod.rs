//! Floor 4: the threads that turn zone files into sealed zones, change zones in place, and free what nobody reads any
//! more.
//!
//! ```text
//! loader    files ─► sealed zones                                                        └─ archive: their history on disk
//! changer   transfers, updates ─► the next version, on disk before anybody hears of it   └─ copier: new copies on disk
//! freer     what was replaced
//! ```
//!
//! All of that takes long for large zones, and may hold up neither the control thread nor a worker; nor does a large file
//! hold up a small change. Beside them [`hints`]: the small files that a walk from the root begins with.

mod archive;
mod changing;
mod copier;
mod file;
pub mod hints;
mod kept;
pub mod received;
#[cfg(test)]
mod tests;
pub mod updates;

use crate::disk::zones::Zones;
use crate::loader::archive::Archive;
use crate::loader::changing::{Changing, tell_unserved};
use crate::loader::copier::{Copied, Copier};
use crate::loader::file::Note;
use crate::loader::received::Arrival;
use crate::loader::updates::{Update, Updated};
use crate::os::clock;
use crate::wire::key::HashSeed;
use crate::wire::name::Name;
use crate::zone::Zone;
use crate::zone::draft::ZoneDraft;
use crate::zone::fault::{Faults, place_in};
use crate::zone::history;
use crate::zone::master::{self, Disk, Options};
use crate::zone::seal::seal;
use crossbeam::channel::{self, Receiver, Sender, unbounded};
use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

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
    /// A master file of a zone that goes to others: what changed of it is kept for them.
    Given(PathBuf),
    /// A master file, and what updates have changed since.
    Updated(PathBuf),
    /// Transfers from other servers; what was kept of the last one.
    Transfers,
}

impl Source {
    /// True if the zone changes in part.
    pub fn changes(&self) -> bool {
        match self {
            Source::Updated(_) | Source::Transfers => true,
            Source::File(_) | Source::Given(_) | Source::Text { .. } => false,
        }
    }
}

/// Updates that are carried out together at most: all of them wait for the disk once, and the first of them for all.
const GROUP_MAX: usize = 1_024;

/// Updates that are a group worth its wait for the disk: with so many at hand no others are waited for.
const GROUP_GOOD: usize = 32;
/// Time from the end of one group of a zone's updates to the beginning of the next, for which those that come meanwhile wait:
/// in a stream of updates each group costs a version and a wait for the disk, whether it is of one update or of many. Whoever
/// sends one after another does not feel the least pause, for those of publishing are longer (`control::due`).
const GROUP_PAUSE_MIN: Duration = Duration::from_micros(1_500);
/// So much more for each update of the group before: many at once come from many who do not wait for each other ...
const GROUP_PAUSE_EACH: Duration = Duration::from_micros(100);
/// ... up to this: 5,000 a second go in groups of 20, and 64 under way are 10,000 a second.
const GROUP_PAUSE_MAX: Duration = Duration::from_millis(4);

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
    pub zone: Option<Arc<Zone>>,
    /// Everything found wrong, in the order of the file.
    pub faults: Faults,
    /// Of a kept zone: when it was last known to be the newest.
    pub checked: Option<SystemTime>,
}

/// Reads and seals one zone, which replaces `old`. What was kept of a zone that changes in part is not looked at here.
pub fn load(spec: &ZoneSpec, seed: HashSeed, old: Option<&Zone>) -> Loaded {
    let mut draft = ZoneDraft::new(&spec.origin, seed);
    let mut faults = Faults::default();
    let options = Options { origin: &spec.origin, ttl: None };
    match &spec.source {
        Source::File(path) | Source::Given(path) | Source::Updated(path) => {
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
        Source::Transfers => return received::refused(&spec.origin, received::NOTHING_YET.to_owned()),
    }
    let (zone, sealing) = seal(draft);
    faults.absorb(sealing);
    let zone = zone.filter(|_| faults.errors() == 0);
    let zone = match (zone, old) {
        (Some(zone), Some(old)) => Some(history::succeed(old, zone)),
        (zone, _) => zone,
    };
    Loaded { origin: spec.origin.clone(), zone: zone.map(Arc::new), faults, checked: None }
}

/// The same of a zone that goes to others, whose history outlives the process; and by what its file is known.
fn load_given(
    archive: &Archive,
    (origin, path): (&Name, &Path),
    seed: HashSeed,
    old: Option<&Zone>,
) -> (Loaded, Option<Note>) {
    let (draft, mut faults, note) = file::read(origin, path, seed);
    let mut zone = None;
    // Without a note it has no SOA: sealing says so, if it could be read.
    if note.is_some() || faults.errors() == 0 {
        let (sealed, sealing) = file::seal_whole(draft);
        faults.absorb(sealing);
        zone = sealed.filter(|_| faults.errors() == 0);
    }
    let zone = match (zone, old, note) {
        (Some(zone), Some(old), _) => Some(history::succeed(old, zone)),
        (Some(zone), None, Some(note)) => Some(archive.recall(zone, note, seed)),
        (zone, _, _) => zone,
    };
    (Loaded { origin: origin.clone(), zone: zone.map(Arc::new), faults, checked: None }, note)
}

/// What is asked of the threads that make zones.
enum Job {
    /// A zone in that round, and the version that it replaces.
    Zone { round: u64, spec: ZoneSpec, old: Option<Arc<Zone>> },
    /// What a transfer brought.
    Arrival(Arrival),
    /// The kept zone of that origin was the newest then.
    Checked(Name, SystemTime),
    /// An update.
    Update(Update),
    /// These change in part, and no others.
    Retain(Vec<Name>),
    /// A copy was written.
    Copied(Copied),
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
    /// Updates were carried out.
    Updates(Updated),
}

type Garbage = Box<dyn Any + Send>;

/// The loader's threads. Dropping this handle begins no further zone, and waits for nothing: the one being read, which may be
/// large, is read to its end and told to nobody who listens.
pub struct Loader {
    /// For zones that are made as a whole.
    jobs: Sender<Box<Job>>,
    /// For those that change in part.
    changes: Sender<Box<Job>>,
    garbage: Sender<Garbage>,
    /// The newest round: what older ones asked for and has not begun is overtaken.
    newest: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

/// What both threads that make zones need.
#[derive(Clone)]
struct Desk {
    seed: HashSeed,
    zones: Option<Zones>,
    newest: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    done: Arc<dyn Fn(Done) + Send + Sync>,
}

/// The thread that carries updates out, to whoever has some.
#[derive(Clone)]
pub struct Changer(Sender<Box<Job>>);

impl Changer {
    /// Has an update carried out. Those that wait are carried out together, in their order. Once the loader has ended it is
    /// dropped.
    pub fn update(&self, update: Update) {
        let _ = self.0.send(Box::new(Job::Update(update)));
    }
}

impl Loader {
    /// Starts it; `done` is handed every result, with the round it was asked for in. What was overtaken before it
    /// was begun has none. `zones`: where zones that change in part are kept, if they are.
    pub fn start(
        seed: HashSeed,
        zones: Option<Zones>,
        done: impl Fn(Done) + Send + Sync + 'static,
    ) -> io::Result<Loader> {
        let (newest, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (jobs, asked) = unbounded::<Box<Job>>();
        let (changes, wanted) = unbounded::<Box<Job>>();
        let desk = Desk {
            seed,
            zones: zones.clone(),
            newest: Arc::clone(&newest),
            stop: Arc::clone(&stop),
            done: Arc::new(done),
        };
        let archive = desk.zones.as_ref().map(Archive::start).transpose()?;
        let whole = desk.clone();
        let told = changes.clone();
        let copier = Copier::start(move |copied| _ = told.send(Box::new(Job::Copied(copied))))?;
        let changing = Changing::new(seed, zones, copier);
        std::thread::Builder::new().name("loader".into()).spawn(move || {
            whole.load(&asked, archive.as_ref());
        })?;
        std::thread::Builder::new().name("changer".into()).spawn(move || desk.change(&wanted, changing))?;
        let (garbage, thrown_away) = unbounded::<Garbage>();
        // A large zone takes seconds to load: what is freed meanwhile must not wait for it.
        std::thread::Builder::new()
            .name("freer".into())
            .spawn(move || thrown_away.into_iter().for_each(drop))?;
        Ok(Loader { jobs, changes, garbage, newest, stop })
    }

    /// Asks for a zone. `round`, which never falls, comes back with it: what an older round asked for is overtaken,
    /// and not begun any more.
    pub fn load(&self, round: u64, spec: ZoneSpec, old: Option<Arc<Zone>>) {
        self.newest.store(round, Ordering::Relaxed);
        let jobs = if spec.source.changes() { &self.changes } else { &self.jobs };
        // The threads end only with this handle.
        let _ = jobs.send(Box::new(Job::Zone { round, spec, old }));
    }

    /// Has a zone made of what a transfer brought, and kept.
    pub fn put(&self, arrival: Arrival) {
        self.ask(Job::Arrival(arrival));
    }

    /// Where updates go.
    pub fn changer(&self) -> Changer {
        Changer(self.changes.clone())
    }

    /// Forgets all zones that change in part but these.
    pub fn retain(&self, origins: Vec<Name>) {
        self.ask(Job::Retain(origins));
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
        let _ = self.changes.send(Box::new(job));
    }

    /// Frees a value, whenever there is time.
    pub fn free(&self, value: impl Send + 'static) {
        let _ = self.garbage.send(Box::new(value));
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // The thread that writes copies tells the other one, and so does not let it end by itself.
        let _ = self.changes.send(Box::new(Job::Retain(Vec::new())));
    }
}

impl Desk {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Makes zones that are made as a whole.
    fn load(&self, asked: &Receiver<Box<Job>>, archive: Option<&Archive>) {
        for job in asked {
            if self.is_over() {
                return;
            }
            if let Job::Zone { round, spec, old } = *job
                && round >= self.newest.load(Ordering::Relaxed)
            {
                self.tell_what_is_not_served(&spec.origin);
                let (Source::Given(path), Some(archive)) = (&spec.source, archive) else {
                    (self.done)(Done::Zone(round, load(&spec, self.seed, old.as_deref())));
                    continue;
                };
                let (loaded, note) = load_given(archive, (&spec.origin, path), self.seed, old.as_deref());
                let zone = loaded.zone.clone();
                (self.done)(Done::Zone(round, loaded));
                if let (Some(zone), Some(note)) = (zone, note) {
                    archive.keep(&zone, note);
                }
            }
        }
    }

    /// Changes that were acknowledged do not go without a word when the configuration takes the zone for another one.
    fn tell_what_is_not_served(&self, origin: &Name) {
        let Some(zones) = &self.zones else { return };
        // If that fails it is told by its old name.
        let _ = zones.part_updated(&origin.to_string());
        tell_unserved(origin, &zones.updated());
        tell_unserved(origin, zones);
    }

    /// Makes the next versions of zones that change in part.
    fn change(&self, asked: &Receiver<Box<Job>>, mut changing: Changing) {
        let mut next = None;
        let mut last: Option<Group> = None;
        while let Some(job) = next.take().or_else(|| asked.recv().ok()) {
            if self.is_over() {
                return;
            }
            match *job {
                Job::Zone { round, spec, old } => {
                    if round < self.newest.load(Ordering::Relaxed) {
                        continue;
                    }
                    let loaded = match &spec.source {
                        Source::Transfers => changing.restore(&spec.origin),
                        Source::Updated(path) => changing.load_file(&spec.origin, path, old.as_deref()),
                        Source::File(_) | Source::Given(_) | Source::Text { .. } => {
                            load(&spec, self.seed, old.as_deref())
                        }
                    };
                    (self.done)(Done::Zone(round, loaded));
                }
                Job::Arrival(arrival) => (self.done)(Done::Arrival(changing.put(arrival))),
                Job::Checked(origin, at) => changing.check(&origin, at),
                Job::Update(first) => {
                    let origin = first.origin.clone();
                    let before = last.as_ref().filter(|group| group.origin == origin);
                    let pause = pause(before, asked.len(), clock::now());
                    if !pause.is_zero() {
                        // Nobody sends there: who comes meanwhile does not wake this thread.
                        let _ = channel::after(pause).recv();
                    }
                    let group;
                    (group, next) = gather(first, asked);
                    let updates = group.len() as u32;
                    (self.done)(Done::Updates(changing.update(&origin, group)));
                    last = Some(Group { origin, updates, ended: clock::now() });
                }
                Job::Retain(origins) => changing.retain(&origins),
                Job::Forget(origin) => changing.forget(&origin),
                Job::Copied(copied) => changing.copied(copied),
            }
        }
    }
}

/// Updates of a zone that were carried out together.
struct Group {
    origin: Name,
    updates: u32,
    ended: Instant,
}

/// How long an update waits for others of its zone, behind which so many jobs wait, given the group before.
fn pause(before: Option<&Group>, waiting: usize, now: Instant) -> Duration {
    match before {
        Some(Group { updates, ended, .. }) if waiting < GROUP_GOOD => {
            let pause = GROUP_PAUSE_MIN + GROUP_PAUSE_EACH.saturating_mul(*updates);
            (*ended + pause.min(GROUP_PAUSE_MAX)).saturating_duration_since(now)
        }
        Some(_) | None => Duration::ZERO,
    }
}

/// The updates of the same zone that wait behind one, and the job behind those.
fn gather(first: Update, asked: &Receiver<Box<Job>>) -> (Vec<Update>, Option<Box<Job>>) {
    let mut group = Vec::with_capacity(GROUP_MAX.min(asked.len() + 1));
    group.push(first);
    while group.len() < GROUP_MAX {
        match asked.try_recv().map(|job| *job) {
            Ok(Job::Update(update)) if update.origin == group[0].origin => group.push(update),
            Ok(other) => return (group, Some(Box::new(other))),
            Err(_) => break,
        }
    }
    (group, None)
}
