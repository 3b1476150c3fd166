//! What is to be kept and not taken by the thread yet, and who waits for it.
//!
//! Of each thing there is one, the newest: so its size is bounded by what there is to keep, however long the disk
//! takes, and no older value can come to the disk after a newer one.

use super::{Unkept, Write};
use crate::base::time::Moment;
use crate::disk::Entry;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the two sides share. Neither holds it while it waits for anything.
#[derive(Default)]
pub(super) struct Shared {
    pending: Mutex<Pending>,
    pub(super) news: Condvar,
}

impl Shared {
    pub(super) fn pending(&self) -> MutexGuard<'_, Pending> {
        // Nothing under the lock can leave it half-changed.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for news, at most so long; may return without any.
    pub(super) fn wait<'p>(
        &self,
        pending: MutexGuard<'p, Pending>,
        at_most: Option<Duration>,
    ) -> MutexGuard<'p, Pending> {
        match at_most {
            None => self.news.wait(pending).unwrap_or_else(PoisonError::into_inner),
            Some(left) => self.news.wait_timeout(pending, left).unwrap_or_else(PoisonError::into_inner).0,
        }
    }
}

/// How who waits is told.
pub(super) type Tell = Box<dyn FnOnce(Result<(), Unkept>) + Send>;

/// Somebody who waits.
pub(super) struct Waiter {
    /// For everything up to this number.
    up_to: u64,
    /// No longer than this.
    until: Moment,
    pub(super) tell: Tell,
}

/// See the module's own text.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) identity: Option<(u64, u32)>,
    pub(super) peers: Option<Vec<SocketAddr>>,
    pub(super) ring: Option<Vec<u8>>,
    pub(super) zones: Option<Vec<u8>>,
    pub(super) records: BTreeMap<Bytes, Option<Bytes>>,
    /// Numbers what was asked for, from 1 on.
    pub(super) last: u64,
    /// All up to this number is on disk.
    kept: u64,
    /// As many as there are requests under way.
    waiters: Vec<Waiter>,
    /// Nothing more comes.
    pub(super) is_ending: bool,
    /// The thread is gone.
    pub(super) has_ended: bool,
}

impl Pending {
    pub(super) fn put(&mut self, write: Write) {
        if self.has_ended {
            return;
        }
        self.last += 1;
        match write {
            Write::Identity { id, generation } => self.identity = Some((id, generation)),
            Write::Peers(peers) => self.peers = Some(peers),
            Write::Ring(ring) => self.ring = Some(ring),
            Write::Shared(zones) => self.zones = Some(zones),
            Write::Record(Entry { key, value }) => drop(self.records.insert(key, value)),
        }
    }

    /// Enters who waits; gives it back if all is on disk already.
    pub(super) fn wait(&mut self, until: Moment, tell: Tell) -> Option<Tell> {
        if self.kept == self.last {
            return Some(tell);
        }
        if !self.has_ended {
            self.waiters.push(Waiter { up_to: self.last, until, tell });
        }
        None
    }

    pub(super) fn next_wake(&self) -> Moment {
        self.waiters.iter().map(|waiter| waiter.until).min().unwrap_or(Moment::NEVER)
    }

    /// Those whose time is over.
    pub(super) fn late(&mut self, now: Moment) -> Vec<Waiter> {
        self.waiters.extract_if(.., |waiter| waiter.until <= now).collect()
    }

    /// An attempt to write all up to this number is over; who waited for it.
    pub(super) fn done(&mut self, up_to: u64, is_kept: bool) -> Vec<Waiter> {
        if is_kept {
            self.kept = up_to;
        }
        self.waiters.extract_if(.., |waiter| waiter.up_to <= up_to).collect()
    }

    /// The thread ends; who still waits.
    pub(super) fn end(&mut self) -> Vec<Waiter> {
        self.has_ended = true;
        self.records.clear();
        std::mem::take(&mut self.waiters)
    }
}
