//! What a shard counts. Only who has the pen writes, but for what counts those who did not get it; readers write nothing.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

#[derive(Default)]
pub(super) struct Count {
    entries: AtomicU64,
    words: AtomicU64,
    evictions: AtomicU64,
    gave_up: AtomicU64,
}

/// What the cache holds, and what it did since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Questions for which something is kept, also if its time is over.
    pub entries: u64,
    /// Octets that they take.
    pub octets: u64,
    /// Entries that went out for others though they could still have been told.
    pub evictions: u64,
    /// Times that something was not kept because others were writing.
    pub gave_up: u64,
}

fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(amount), Relaxed);
}

impl Count {
    pub(super) fn entered(&self, words: usize) {
        add(&self.entries, 1);
        add(&self.words, words as u64);
    }

    pub(super) fn left(&self, words: usize) {
        add(&self.entries, 1u64.wrapping_neg());
        add(&self.words, (words as u64).wrapping_neg());
    }

    pub(super) fn evicted(&self) {
        add(&self.evictions, 1);
    }

    pub(super) fn gave_up(&self) {
        self.gave_up.fetch_add(1, Relaxed);
    }

    pub(super) fn cleared(&self) {
        self.entries.store(0, Relaxed);
        self.words.store(0, Relaxed);
    }

    /// How many entries there are.
    pub(super) fn entries(&self) -> usize {
        self.entries.load(Relaxed) as usize
    }

    /// Adds what is counted here to `stats`.
    pub(super) fn add_to(&self, stats: &mut Stats) {
        stats.entries += self.entries.load(Relaxed);
        stats.octets += self.words.load(Relaxed) * super::entry::WORD as u64;
        stats.evictions += self.evictions.load(Relaxed);
        stats.gave_up += self.gave_up.load(Relaxed);
    }
}
