//! Floor 4: the thread that turns zone files into sealed zones, and frees what nobody reads any more.
//!
//! Both take long for large zones; neither may hold up the control thread or a worker.

use crate::wire::key::HashSeed;
use crate::wire::name::Name;
use crate::zone::Zone;
use crate::zone::draft::ZoneDraft;
use crate::zone::fault::{Faults, place_in};
use crate::zone::master::{self, Disk, Options};
use crate::zone::seal::seal;
use crossbeam::channel::{Sender, unbounded};
use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

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
}

/// Reads and seals one zone.
pub fn load(spec: &ZoneSpec, seed: HashSeed) -> Loaded {
    let mut draft = ZoneDraft::new(&spec.origin, seed);
    let mut faults = Faults::default();
    let options = Options { origin: &spec.origin, ttl: None };
    match &spec.source {
        Source::File(path) => {
            draft.set_file(&Arc::from(path.as_path()));
            if let Err(unreadable) = master::read_file(path, options, &mut draft, &mut faults) {
                faults.error(place_in(path, 1, 1), unreadable.error.to_string());
                return Loaded { origin: spec.origin.clone(), zone: None, faults };
            }
        }
        Source::Text { name, text } => {
            let file: Arc<Path> = Arc::from(Path::new(name));
            draft.set_file(&file);
            master::read(Box::new(text.as_bytes()), file, options, &Disk, &mut draft, &mut faults);
        }
    }
    let (zone, sealing) = seal(draft);
    faults.absorb(sealing);
    let zone = zone.filter(|_| faults.errors() == 0);
    Loaded { origin: spec.origin.clone(), zone, faults }
}

enum Task {
    Load(u64, Box<ZoneSpec>),
    Free(Box<dyn Any + Send>),
}

/// The loader's thread.
pub struct Loader {
    tasks: Option<Sender<Task>>,
    thread: Option<JoinHandle<()>>,
}

impl Loader {
    /// Starts it; `done` is handed every result, with the round it was asked for in.
    pub fn start(seed: HashSeed, done: impl Fn(u64, Loaded) + Send + 'static) -> io::Result<Loader> {
        let (sender, receiver) = unbounded();
        let thread = std::thread::Builder::new().name("loader".into()).spawn(move || {
            for task in receiver {
                match task {
                    Task::Load(round, spec) => done(round, load(&spec, seed)),
                    Task::Free(value) => drop(value),
                }
            }
        })?;
        Ok(Loader { tasks: Some(sender), thread: Some(thread) })
    }

    /// Asks for a zone. `round` comes back with it: what an older round asked for may have been overtaken.
    pub fn load(&self, round: u64, spec: ZoneSpec) {
        self.send(Task::Load(round, Box::new(spec)));
    }

    /// Frees a value, whenever there is time.
    pub fn free(&self, value: impl Send + 'static) {
        self.send(Task::Free(Box::new(value)));
    }

    fn send(&self, task: Task) {
        if let Some(tasks) = &self.tasks {
            // The thread ends only with this handle.
            let _ = tasks.send(task);
        }
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
