//! Floor 4: the thread that waits for the disk, so that nobody else has to.
//!
//! ```text
//!  keep ─► pending ─► take all of it ─► one attempt: identity, peers, ring, one sync ─┬─► who waits is told
//!             ▲                                                                       └─► Failing
//!             └───────────────────────── wait, longer each time ◄─────────────────────────┘
//! ```
//!
//! Whatever was asked for while the disk was busy is waited for once, and only the newest of what replaces itself is
//! written. So nothing is ever refused for want of room, and nothing can overtake what came after it.
//!
//! It does not know what it keeps, or who waits for it; [`crate::disk`] knows how to keep it.

pub mod opening;
mod pending;
#[cfg(test)]
mod tests;

use crate::base::time::Moment;
use crate::disk::fault::DiskError;
use crate::disk::{Entry, StateDir};
use crate::os::clock;
use pending::{Pending, Shared, Waiter};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The wait after the first failure; each further one doubles it.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest wait: an operator who made room sees it used soon.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Something to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Who this node is; see [`StateDir::write_identity`].
    Identity {
        /// The node's id.
        id: u64,
        /// Its life.
        generation: u32,
    },
    /// Where members are; see [`StateDir::write_peers`].
    Peers(Vec<SocketAddr>),
    /// The key ring; see [`StateDir::write_ring`].
    Ring(Vec<u8>),
    /// Which zones are shared; see [`StateDir::write_shared`].
    Shared(Vec<u8>),
    /// A change of a cluster-wide record; see [`StateDir::append`].
    Record(Entry),
}

/// What there is to tell an operator. Told on the keeper's thread.
#[derive(Debug)]
pub enum Told {
    /// Something can never be kept, because it is too large; it is forgotten.
    Refused {
        /// Why.
        error: DiskError,
    },
    /// An attempt failed. Nothing is lost yet, and another will be made.
    Failing {
        /// Why.
        error: DiskError,
        /// When, from now.
        next: Duration,
    },
    /// The keeper ends, and its last attempt failed: what was not on disk before is lost.
    Lost {
        /// Why.
        error: DiskError,
    },
    /// The thread panicked: from here on nothing is kept. A bug.
    Died,
}

/// Why something is not known to be on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unkept {
    /// The disk refused. Unless it is too large, it is tried again.
    Failed(String),
    /// The disk has not answered in time; it may still come to it.
    Late,
}

impl fmt::Display for Unkept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unkept::Failed(error) => f.write_str(error),
            Unkept::Late => f.write_str("the disk does not answer"),
        }
    }
}

impl std::error::Error for Unkept {}

/// The thread. Dropping it lets it write what is left, and does not wait for that.
pub struct Keeper {
    shared: Arc<Shared>,
}

impl Keeper {
    /// Starts it; `tell` is handed what goes wrong.
    pub fn start(dir: StateDir, tell: impl Fn(Told) + Send + 'static) -> io::Result<Keeper> {
        let shared = Arc::new(Shared::default());
        let end = End { shared: Arc::clone(&shared), tell };
        std::thread::Builder::new().name("keeper".into()).spawn(move || {
            let (shared, tell) = (&end.shared, &end.tell);
            let (identity, peers, ring, zones) = (None, None, None, None);
            let work = Work { shared, dir, tell, identity, peers, ring, zones, taken: 0, refusal: None };
            work.run();
        })?;
        Ok(Keeper { shared })
    }

    /// Asks to keep something, after everything that was asked for before. Never waits for the disk.
    pub fn keep(&self, write: Write) {
        self.shared.pending().put(write);
        self.shared.news.notify_all();
    }

    /// Tells once all that was asked for so far is on disk, or that it is not: because an attempt failed, or
    /// because `until` is over and [`Keeper::give_up`] was called. `tell` must not block; the keeper's thread, or
    /// the caller's, calls it. **Dropped uncalled, it means that the keeper has ended.**
    pub fn when_kept(&self, until: Moment, tell: impl FnOnce(Result<(), Unkept>) + Send + 'static) {
        if let Some(at_once) = self.shared.pending().wait(until, Box::new(tell)) {
            at_once(Ok(()));
        }
    }

    /// When [`Keeper::give_up`] has something to do.
    pub fn next_wake(&self) -> Moment {
        self.shared.pending().next_wake()
    }

    /// Tells those whose time is over.
    pub fn give_up(&self, now: Moment) {
        let late = self.shared.pending().late(now);
        late.into_iter().for_each(|waiter| (waiter.tell)(Err(Unkept::Late)));
    }

    /// Nothing more is going to be asked for: what is left is written, with one attempt.
    pub fn end(&self) {
        self.shared.pending().is_ending = true;
        self.shared.news.notify_all();
    }

    /// [Ends](Keeper::end) and waits for that; false if the disk did not answer until then. What it had not taken by
    /// that time may be lost.
    pub fn finish(self, deadline: Instant) -> bool {
        self.end();
        let mut pending = self.shared.pending();
        while !pending.has_ended {
            let left = deadline.saturating_duration_since(clock::now());
            if left.is_zero() {
                return false;
            }
            pending = self.shared.wait(pending, Some(left));
        }
        true
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.end();
    }
}

/// What the thread owns: what is not on disk yet.
struct Work<'t, F> {
    shared: &'t Shared,
    dir: StateDir,
    tell: &'t F,
    identity: Option<(u64, u32)>,
    peers: Option<Vec<SocketAddr>>,
    ring: Option<Vec<u8>>,
    /// Which are shared.
    zones: Option<Vec<u8>>,
    /// All up to this number was taken.
    taken: u64,
    /// Why something of what was taken since the last attempt that went well can never be kept.
    refusal: Option<String>,
}

impl<F: Fn(Told)> Work<'_, F> {
    fn run(mut self) {
        let (mut retry, mut pause) = (None, PAUSE_MIN);
        while !self.take(retry) {
            match self.attempt() {
                Ok(()) => (retry, pause) = (None, PAUSE_MIN),
                Err(error) => {
                    (self.tell)(Told::Failing { error, next: pause });
                    retry = Some(clock::now() + pause);
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
        if let Err(error) = self.attempt() {
            (self.tell)(Told::Lost { error });
        }
    }

    /// Waits until something is asked for, or for the moment of the next attempt, and takes all there is; true if it
    /// was the last.
    fn take(&mut self, retry: Option<Instant>) -> bool {
        let mut pending = self.shared.pending();
        loop {
            let left = retry.map(|moment| moment.saturating_duration_since(clock::now()));
            let is_due = left.map_or(pending.last > self.taken, |left| left.is_zero());
            if is_due || pending.is_ending {
                break;
            }
            pending = self.shared.wait(pending, left);
        }
        let Pending { identity, peers, ring, zones, records, .. } = &mut *pending;
        self.identity = identity.take().or(self.identity);
        self.peers = peers.take().or(self.peers.take());
        self.ring = ring.take().or(self.ring.take());
        self.zones = zones.take().or(self.zones.take());
        let records = std::mem::take(records);
        self.taken = pending.last;
        let is_ending = pending.is_ending;
        drop(pending);
        // One by one: what is too large holds up nothing else. What comes later may make room for what came before.
        let mut again = Vec::new();
        for (key, value) in records {
            let entry = Entry { key, value };
            if self.dir.append(std::slice::from_ref(&entry)).is_err() {
                again.push(entry);
            }
        }
        for entry in again {
            if let Err(error) = self.dir.append(&[entry]) {
                self.refuse(error);
            }
        }
        is_ending
    }

    fn refuse(&mut self, error: DiskError) {
        self.refusal = Some(error.to_string());
        (self.tell)(Told::Refused { error });
    }

    /// What is too large is too large at the next attempt, too: it is given up.
    fn refuse_too_large(&mut self, written: Result<(), DiskError>) -> Result<(), DiskError> {
        match written {
            Err(error @ DiskError::TooLarge { .. }) => {
                self.refuse(error);
                Ok(())
            }
            written => written,
        }
    }

    /// Writes everything that was taken, and tells who waits for it.
    fn attempt(&mut self) -> Result<(), DiskError> {
        let outcome = self.write();
        let told = match (&outcome, self.refusal.take()) {
            (Err(error), _) => Err(Unkept::Failed(error.to_string())),
            (Ok(()), Some(refusal)) => Err(Unkept::Failed(refusal)),
            (Ok(()), None) => Ok(()),
        };
        let waiters = self.shared.pending().done(self.taken, outcome.is_ok());
        waiters.into_iter().for_each(|Waiter { tell, .. }| tell(told.clone()));
        outcome
    }

    /// What an error keeps from being written is tried again by the next call.
    fn write(&mut self) -> Result<(), DiskError> {
        if let Some((id, generation)) = self.identity {
            self.dir.write_identity(id, generation)?;
            self.identity = None;
        }
        if let Some(peers) = &self.peers {
            self.dir.write_peers(peers)?;
            self.peers = None;
        }
        if let Some(ring) = &self.ring {
            let written = self.dir.write_ring(ring);
            self.refuse_too_large(written)?;
            self.ring = None;
        }
        if let Some(zones) = &self.zones {
            let written = self.dir.write_shared(zones);
            self.refuse_too_large(written)?;
            self.zones = None;
        }
        self.dir.sync()
    }
}

/// Sees to it that the end of the thread is known, also if that is a panic: when the directory is free again,
/// nobody waits for it any more, and nothing is gathered for it.
struct End<F: Fn(Told)> {
    shared: Arc<Shared>,
    tell: F,
}

impl<F: Fn(Told)> Drop for End<F> {
    fn drop(&mut self) {
        let waiters = self.shared.pending().end();
        self.shared.news.notify_all();
        drop(waiters);
        if std::thread::panicking() {
            (self.tell)(Told::Died);
        }
    }
}
