//! The answers that were found elsewhere, remembered for all workers in one place of fixed size.
//!
//! ```text
//! Question ─hash─► shard ─► slots ─► entry: question, life, records as they will be sent
//!                    │
//!                 sequence: a reader that met a writer looks again
//! ```
//!
//! Reading is for the path of a packet: it copies the records behind the question, counts their TTLs down, and takes no
//! lock, allocates nothing, waits for nobody. Writing is for whoever got an answer: it takes a microsecond, and where
//! another writer is in the way it is left undone, since what is not kept is only asked for again.
//!
//! What a look finds was put for just this question: names, types and wants are compared in full.
//!
//! Knows octets and times; knows no upstream, no client, and not what a record means.

mod count;
mod entry;
mod ghosts;
mod index;
mod kept;
mod life;
mod looked;
mod pen;
mod ring;
mod shard;
#[cfg(test)]
mod tests;

pub use count::Stats;
pub use entry::BODY_OCTETS_MAX;
pub use kept::{Answer, Cursor, Kept};
pub use life::Life;
pub use looked::{Failing, Found, Looked};

use crate::base::time::Moment;
use crate::resolve::body::Body;
use crate::resolve::question::Question;
use entry::tag;
use shard::Shard;
use std::hint::black_box;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

/// Octets of the smallest cache: in a smaller one a few large answers would push out all else.
pub const CACHE_OCTETS_MIN: usize = 256 << 10;
/// Shards, unless the cache is very small or very large: of two workers that write at once one in so many meets the other,
/// and one that the system stops with the pen in its hand is in the way of as few.
const SHARDS: usize = 64;
/// Octets of a shard, at least: 40 KiB of each are wasted so that no entry is cut in two.
const SHARD_OCTETS_MIN: usize = 512 << 10;
/// Octets of a shard beyond which there are more than [`SHARDS`].
const SHARD_OCTETS_MAX: usize = 4 << 20;
/// Shards at most: more serve no number of workers.
const SHARDS_MAX: usize = 1_024;
/// Slots that a slice of a dump looks at: writers of that shard give up for so long, some tens of microseconds.
const SLICE_SLOTS: usize = 512;

/// What lies between two times that all was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch(u64);

/// The cache. It is shared as it is: all calls take `&self`.
pub struct Cache {
    /// Times that all was forgotten.
    flushes: AtomicU64,
    /// A power of two.
    shards: Box<[Shard]>,
}

impl Cache {
    /// A cache that takes so many octets, but no less than [`CACHE_OCTETS_MIN`], all of them at once.
    pub fn new(octets: usize) -> Cache {
        let octets = octets.max(CACHE_OCTETS_MIN);
        // Rounded down to a power of two.
        let shards = (octets / SHARD_OCTETS_MIN).min(SHARDS).max(octets / SHARD_OCTETS_MAX);
        let shards = 1 << shards.clamp(1, SHARDS_MAX).ilog2();
        Cache {
            flushes: AtomicU64::new(0),
            shards: (0..shards).map(|_| Shard::new(octets / shards)).collect(),
        }
    }

    /// Octets that the cache takes, whatever it holds.
    pub fn octets(&self) -> usize {
        self.shards.iter().map(Shard::octets).sum()
    }

    /// What is known at `now`. Records are copied to the start of `room`, the caller's reply behind the question; what
    /// else the room holds afterwards means nothing.
    #[inline]
    pub fn look(&self, question: &Question<'_>, now: Moment, room: &mut [u8]) -> Looked {
        match self.shard(question) {
            Some(shard) => shard.look(question, now, room),
            None => Looked::Miss,
        }
    }

    /// Begins to fetch the slot that a look will need, without waiting for it. Where many questions are at hand, this for
    /// each of them, then [`Cache::fetch_entry`] for each, then the looks: so the waits for memory overlap.
    #[inline]
    pub fn fetch_slot(&self, question: &Question<'_>) {
        black_box(self.shard(question).map(|shard| shard.index.fetch(tag(question))));
    }

    /// Begins to fetch the entry, once its slot is there.
    #[inline]
    pub fn fetch_entry(&self, question: &Question<'_>) {
        black_box(self.shard(question).map(|shard| shard.fetch_entry(tag(question))));
    }

    /// Keeps what was found at `now`; false if it is not kept: it lives for no time, is larger than
    /// [`BODY_OCTETS_MAX`], has not as many TTLs as records, or others are writing.
    ///
    /// An answer replaces what was known, also one that is not kept itself: what its owner has changed is not told as stale
    /// later. A failure is noted beside it, and told once there is no answer left to tell;
    /// of its body nothing but code and error is kept.
    pub fn put(&self, question: &Question<'_>, now: Moment, life: Life, body: &Body<'_>) -> bool {
        self.put_in(self.epoch(), question, now, life, body)
    }

    /// The epoch now, for [`Cache::put_in`].
    pub fn epoch(&self) -> Epoch {
        Epoch(self.flushes.load(Acquire))
    }

    /// As [`Cache::put`], unless all was forgotten since that epoch: what its owner knew then may be wrong now.
    pub fn put_in(
        &self,
        epoch: Epoch,
        question: &Question<'_>,
        now: Moment,
        life: Life,
        body: &Body<'_>,
    ) -> bool {
        if life.fresh_seconds == 0 && body.is_failure() {
            return false;
        }
        let pen = self.shard(question).and_then(Shard::try_pen);
        // Who forgets all takes each pen after the epoch has ended: with the pen in hand it is known.
        pen.filter(|_| self.epoch() == epoch).is_some_and(|mut pen| pen.put(question, now, life, body))
    }

    /// Forgets all at and below a name in uncompressed wire form; how many entries that were. For a thread that may
    /// wait: it walks through everything.
    pub fn flush(&self, name: &[u8]) -> usize {
        self.shards.iter().map(|shard| shard.pen().flush(name)).sum()
    }

    /// Forgets all; how many entries that were. For a thread that may wait.
    pub fn flush_all(&self) -> usize {
        self.flushes.fetch_add(1, AcqRel);
        self.shards.iter().map(|shard| shard.pen().flush_all()).sum()
    }

    /// Some of what may be told at `now`, and where to go on; `None` at the end. Begin with the default cursor. A slice
    /// may be empty before the end. For a thread that may wait; readers do not notice it.
    pub fn dump(&self, cursor: Cursor, now: Moment) -> (Vec<Kept>, Option<Cursor>) {
        let Some(shard) = self.shards.get(cursor.shard) else { return (Vec::new(), None) };
        let end = cursor.slot.saturating_add(SLICE_SLOTS).min(shard.index.len());
        let kept = shard.pen().entries(cursor.slot..end).filter_map(|entry| Kept::of(&entry, now)).collect();
        let next = match end < shard.index.len() {
            true => Cursor { slot: end, ..cursor },
            false => Cursor { shard: cursor.shard + 1, slot: 0 },
        };
        (kept, (next.shard < self.shards.len()).then_some(next))
    }

    /// What is known of one question at `now`, as [`Cache::dump`] would tell it: nobody has looked, nothing is fetched
    /// anew for it. For a thread that may wait.
    pub fn kept(&self, question: &Question<'_>, now: Moment) -> Option<Kept> {
        let pen = self.shard(question)?.pen();
        pen.entry(question).and_then(|entry| Kept::of(&entry, now))
    }

    /// What it holds and what it did.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        self.shards.iter().for_each(|shard| shard.count().add_to(&mut stats));
        stats
    }

    /// By bits of the hash that the index does not use.
    #[inline(always)]
    fn shard(&self, question: &Question<'_>) -> Option<&Shard> {
        self.shards.get((question.hash >> 32) as usize & (self.shards.len() - 1))
    }
}
