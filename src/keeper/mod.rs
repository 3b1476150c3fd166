//! Floor 4: the thread that waits for the disk, so that nobody else has to.
//!
//! ```text
//!  keep ─► queue ─► take all that is queued ─► one attempt: identity, peers, ring, one sync ─┬─► Kept
//!                        ▲                                                                   └─► Failing
//!                        └───────────────────────── wait, longer each time ◄─────────────────────────┘
//! ```
//!
//! However much was queued while the disk was busy, it is waited for once. Of what replaces itself only the newest
//! is written. While the disk fails, everything is taken in all the same and written once it works again.
//!
//! It does not know what it keeps, or who waits for it; [`crate::disk`] knows how to keep it.

pub mod opening;

use crate::disk::fault::DiskError;
use crate::disk::{Entry, StateDir};
use crate::os::clock;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::io;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

/// Writes that wait for the thread: it takes all of them within one wait for the disk, so more means that whoever
/// asks is faster than memory is copied.
pub const QUEUE_MAX: usize = 4_096;
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
    /// Changes of cluster-wide records; see [`StateDir::append`].
    Records(Vec<Entry>),
}

/// Numbers what was asked for, from 1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What became of it. Told on the keeper's thread.
#[derive(Debug)]
pub enum Told {
    /// Everything up to this ticket is on disk, but for what was refused.
    Kept(Ticket),
    /// This can never be kept, because it is too large; it is forgotten.
    Refused {
        /// Which.
        ticket: Ticket,
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
    /// The keeper ends, and its last attempt failed: what was not told as kept may be lost.
    Lost {
        /// Why.
        error: DiskError,
    },
}

/// The thread. Dropping it writes what is left and waits for that.
pub struct Keeper {
    writes: Option<Sender<(Ticket, Write)>>,
    thread: Option<JoinHandle<()>>,
    last: Ticket,
}

impl Keeper {
    /// Starts it; `tell` is handed what becomes of what it is asked for.
    pub fn start(dir: StateDir, tell: impl Fn(Told) + Send + 'static) -> io::Result<Keeper> {
        let (writes, queue) = bounded(QUEUE_MAX);
        let work = Work { dir, tell, identity: None, peers: None, ring: None, taken: None };
        let thread = std::thread::Builder::new().name("keeper".into()).spawn(move || work.run(&queue))?;
        Ok(Keeper { writes: Some(writes), thread: Some(thread), last: Ticket(0) })
    }

    /// Asks to keep something, after everything that was asked for before. Never waits: if the queue is full, it
    /// comes back, to be asked for again later.
    pub fn keep(&mut self, write: Write) -> Result<Ticket, Write> {
        let ticket = Ticket(self.last.0 + 1);
        match &self.writes {
            Some(writes) => {
                writes.try_send((ticket, write)).map_err(|refused| refused.into_inner().1)?;
                self.last = ticket;
                Ok(ticket)
            }
            None => Err(write),
        }
    }

    /// Writes what is left, with one attempt, and ends.
    pub fn finish(self) {
        drop(self);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.writes = None;
        if let Some(thread) = self.thread.take() {
            // If it panicked, that was told when it did.
            let _ = thread.join();
        }
    }
}

/// What the thread owns: what is not on disk yet.
struct Work<F> {
    dir: StateDir,
    tell: F,
    identity: Option<(u64, u32)>,
    peers: Option<Vec<SocketAddr>>,
    ring: Option<(Ticket, Vec<u8>)>,
    /// The newest ticket that was taken and not told as kept.
    taken: Option<Ticket>,
}

impl<F: Fn(Told)> Work<F> {
    fn run(mut self, queue: &Receiver<(Ticket, Write)>) {
        let (mut retry, mut pause) = (None, PAUSE_MIN);
        loop {
            let first = match retry {
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(moment) => queue.recv_deadline(moment),
            };
            match first {
                Ok(first) => {
                    self.take(first);
                    queue.try_iter().take(QUEUE_MAX).for_each(|next| self.take(next));
                    if retry.is_some_and(|moment| clock::now() < moment) {
                        continue;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
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

    fn take(&mut self, (ticket, write): (Ticket, Write)) {
        match write {
            Write::Identity { id, generation } => self.identity = Some((id, generation)),
            Write::Peers(peers) => self.peers = Some(peers),
            Write::Ring(ring) => self.ring = Some((ticket, ring)),
            Write::Records(entries) => {
                if let Err(error) = self.dir.append(&entries) {
                    (self.tell)(Told::Refused { ticket, error });
                }
            }
        }
        self.taken = Some(ticket);
    }

    /// Writes everything that was taken. What an error keeps from being written is tried again by the next.
    fn attempt(&mut self) -> Result<(), DiskError> {
        if let Some((id, generation)) = self.identity {
            self.dir.write_identity(id, generation)?;
            self.identity = None;
        }
        if let Some(peers) = &self.peers {
            self.dir.write_peers(peers)?;
            self.peers = None;
        }
        if let Some((ticket, ring)) = &self.ring {
            match self.dir.write_ring(ring) {
                Err(error @ DiskError::TooLarge { .. }) => {
                    (self.tell)(Told::Refused { ticket: *ticket, error });
                }
                outcome => outcome?,
            }
            self.ring = None;
        }
        self.dir.sync()?;
        if let Some(ticket) = self.taken.take() {
            (self.tell)(Told::Kept(ticket));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{RING_OCTETS_MAX, Restored};
    use std::fs;
    use std::path::{Path, PathBuf};

    const PATIENCE: Duration = Duration::from_secs(60);

    fn place(test: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("hivedns-keeper-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    fn start(path: &Path) -> (Keeper, Receiver<Told>) {
        let (tell, told) = crossbeam::channel::unbounded();
        let dir = StateDir::open(path).unwrap().0;
        (Keeper::start(dir, move |news| drop(tell.send(news))).unwrap(), told)
    }

    fn restored(path: &Path) -> Restored {
        let restored = StateDir::open(path).unwrap().1;
        fs::remove_dir_all(path).unwrap();
        restored
    }

    fn record(key: u32) -> Write {
        let key = key.to_be_bytes().to_vec();
        Write::Records(vec![Entry { key: key.into(), value: Some("v".into()) }])
    }

    /// Waits for the ticket; how often something was told as kept.
    fn await_kept(told: &Receiver<Told>, ticket: Ticket) -> usize {
        for count in 1.. {
            match told.recv_timeout(PATIENCE).unwrap() {
                Told::Kept(up_to) if up_to >= ticket => return count,
                Told::Kept(_) => {}
                other => panic!("{other:?}"),
            }
        }
        0
    }

    #[test]
    fn what_is_told_as_kept_is_there_and_many_wait_for_the_disk_together() {
        let path = place("kept");
        let (mut keeper, told) = start(&path);
        keeper.keep(Write::Identity { id: 5, generation: 6 }).unwrap();
        keeper.keep(Write::Peers(vec!["192.0.2.1:1".parse().unwrap()])).unwrap();
        keeper.keep(Write::Ring(b"keys".to_vec())).unwrap();
        let mut last = Ticket(3);
        for key in 0..3_000 {
            last = keeper.keep(record(key)).unwrap();
        }
        assert_eq!(last, Ticket(3_003));
        let times = await_kept(&told, last);
        assert!(times < 1_000, "{times} waits for the disk");
        keeper.finish();
        let restored = restored(&path);
        assert_eq!((restored.id, restored.generation, restored.cluster.len()), (Some(5), 6, 3_000));
        assert_eq!((restored.peers.len(), restored.ring), (1, Some(b"keys".to_vec())));
    }

    #[test]
    fn what_waits_when_it_ends_is_written() {
        let path = place("end");
        let (mut keeper, told) = start(&path);
        for key in 0..100 {
            keeper.keep(record(key)).unwrap();
        }
        keeper.finish();
        assert!(matches!(told.try_iter().last(), Some(Told::Kept(Ticket(100)))));
        assert_eq!(restored(&path).cluster.len(), 100);
    }

    #[test]
    fn a_disk_that_fails_for_a_while_loses_nothing() {
        let path = place("fails");
        let (mut keeper, told) = start(&path);
        let first = keeper.keep(record(0)).unwrap();
        await_kept(&told, first);
        fs::remove_dir_all(&path).unwrap();
        keeper.keep(record(1)).unwrap();
        keeper.keep(Write::Identity { id: 1, generation: 1 }).unwrap();
        let Told::Failing { error, .. } = told.recv_timeout(PATIENCE).unwrap() else {
            panic!("it went well")
        };
        assert!(error.to_string().contains("cannot write: "), "{error}");
        let last = keeper.keep(record(2)).unwrap();
        fs::create_dir(&path).unwrap();
        let kept = told.iter().find(|news| match news {
            Told::Kept(ticket) => *ticket >= last,
            Told::Failing { .. } => false,
            Told::Refused { .. } | Told::Lost { .. } => panic!("{news:?}"),
        });
        assert!(kept.is_some());
        keeper.finish();
        let restored = restored(&path);
        assert_eq!((restored.id, restored.cluster.len(), restored.notices), (Some(1), 3, Vec::new()));
    }

    #[test]
    fn what_can_never_be_kept_is_refused_and_holds_nothing_up() {
        let path = place("refused");
        let (mut keeper, told) = start(&path);
        let ring = keeper.keep(Write::Ring(vec![0; RING_OCTETS_MAX + 1])).unwrap();
        let last = keeper.keep(record(0)).unwrap();
        assert!(matches!(told.recv_timeout(PATIENCE), Ok(Told::Refused { ticket, .. }) if ticket == ring));
        await_kept(&told, last);
        keeper.finish();
        assert_eq!(restored(&path).ring, None);
    }

    #[test]
    fn an_end_without_a_disk_is_told() {
        let path = place("lost");
        let (mut keeper, told) = start(&path);
        fs::remove_dir_all(&path).unwrap();
        keeper.keep(record(0)).unwrap();
        keeper.finish();
        assert!(matches!(told.try_iter().last(), Some(Told::Lost { .. })));
    }
}
