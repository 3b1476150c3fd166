//! Where the entries of a shard are: a table of slots with open addressing, one after another from the home slot on.
//!
//! ```text
//! slot   tag 32 | place in words 28 | told 1 | asked 1 | read 1 | taken 1        0: empty
//! ```
//!
//! The home slot grows with the tag, so a slot tells where it belongs without its entry; removing one moves those
//! behind it forward, and nothing is left that a look would have to pass.
//!
//! The marks stand here and not in the entry because readers set them, against a writer if need be: they exchange the
//! whole slot as they saw it, and so never touch one that has become another's. Marks already set are not written
//! again: what many read is not fought for.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// The slot is not empty.
const TAKEN: u64 = 1;
/// Read since it was last moved or kept for the first time: worth keeping.
pub(super) const READ: u64 = 2;
/// Read since its answer was kept.
pub(super) const ASKED: u64 = 4;
/// Somebody was told to ask for it anew.
pub(super) const TOLD: u64 = 8;
const PLACE_SHIFT: u32 = 4;
const PLACE_BITS: u32 = 28;
const PLACE_MASK: u64 = ((1 << PLACE_BITS) - 1) << PLACE_SHIFT;

/// Words of a shard that a slot can tell apart.
pub(super) const PLACES_MAX: usize = 1 << PLACE_BITS;

/// The slots.
pub(super) struct Index {
    slots: Box<[AtomicU64]>,
}

/// A slot as it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// Which.
    pub(super) at: usize,
    slot: u64,
}

impl Seen {
    /// Where the entry stands.
    #[inline(always)]
    pub(super) fn place(self) -> usize {
        ((self.slot & PLACE_MASK) >> PLACE_SHIFT) as usize
    }

    /// True if any of these marks is set.
    #[inline(always)]
    pub(super) fn has(self, mark: u64) -> bool {
        self.slot & mark != 0
    }

    #[inline(always)]
    fn tag(self) -> u32 {
        (self.slot >> 32) as u32
    }
}

impl Index {
    pub(super) fn new(slots: usize) -> Index {
        Index { slots: (0..slots.max(8)).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Entries at most. An eighth stays empty: beyond that searches for what is not there become long.
    pub(super) fn entries_max(&self) -> usize {
        self.slots.len() - self.slots.len() / 8
    }

    /// How many slots there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    #[inline(always)]
    fn home(&self, tag: u32) -> usize {
        ((u64::from(tag) * self.slots.len() as u64) >> 32) as usize
    }

    #[inline(always)]
    fn next(&self, at: usize) -> usize {
        if at + 1 < self.slots.len() { at + 1 } else { 0 }
    }

    /// The slot at `at`, if it is taken.
    #[inline(always)]
    pub(super) fn seen(&self, at: usize) -> Option<Seen> {
        let slot = self.slots.get(at)?.load(Relaxed);
        (slot & TAKEN != 0).then_some(Seen { at, slot })
    }

    /// The first slot of this tag for which `is` finds something, and what.
    #[inline(always)]
    pub(super) fn find<T>(&self, tag: u32, is: impl Fn(Seen) -> Option<T>) -> Option<(Seen, T)> {
        let mut at = self.home(tag);
        // No more than there are: a reader may see slots while they move.
        for _ in 0..self.slots.len() {
            let seen = self.seen(at)?;
            if seen.tag() == tag
                && let Some(found) = is(seen)
            {
                return Some((seen, found));
            }
            at = self.next(at);
        }
        None
    }

    /// What stands in the home slot; to be thrown away, for nobody waits for it.
    #[inline(always)]
    pub(super) fn fetch(&self, tag: u32) -> u64 {
        self.slots.get(self.home(tag)).map_or(0, |slot| slot.load(Relaxed))
    }

    /// Sets marks of a slot that is still as it was seen; whether it was.
    #[inline(always)]
    pub(super) fn mark(&self, seen: Seen, marks: u64) -> bool {
        let slot = self.slots.get(seen.at);
        slot.is_some_and(|slot| slot.compare_exchange(seen.slot, seen.slot | marks, Relaxed, Relaxed).is_ok())
    }

    /// Takes marks away. For writers, as all that follows.
    pub(super) fn unmark(&self, at: usize, marks: u64) {
        if let Some(slot) = self.slots.get(at) {
            slot.fetch_and(!marks, Relaxed);
        }
    }

    /// Takes an empty slot. There is one, as long as there are no more than [`Index::entries_max`].
    pub(super) fn insert(&self, tag: u32, place: usize, marks: u64) {
        let slot = u64::from(tag) << 32 | (place as u64) << PLACE_SHIFT & PLACE_MASK | marks | TAKEN;
        let mut at = self.home(tag);
        for _ in 0..self.slots.len() {
            if self.seen(at).is_none() {
                return self.set(at, slot);
            }
            at = self.next(at);
        }
    }

    /// The entry of this slot stands elsewhere now, and is worth keeping only if it is read again.
    pub(super) fn moved(&self, at: usize, place: usize) {
        if let Some(slot) = self.slots.get(at) {
            let moved = |slot| Some(slot & !(PLACE_MASK | READ) | (place as u64) << PLACE_SHIFT & PLACE_MASK);
            // Readers can come in between only as often as there are marks to set.
            let _ = slot.fetch_update(Relaxed, Relaxed, moved);
        }
    }

    /// Empties a slot, and moves forward those behind it that would not be found any more.
    pub(super) fn remove(&self, at: usize) {
        let (mut hole, mut at) = (at, at);
        for _ in 0..self.slots.len() {
            at = self.next(at);
            let Some(seen) = self.seen(at) else { break };
            // It may move to the hole unless its home lies behind that, going round.
            let (home, len) = (self.home(seen.tag()), self.slots.len());
            let (from_home, from_hole) = ((at + len - home) % len, (at + len - hole) % len);
            if from_home >= from_hole {
                // Taken out, not copied: a mark that a reader sets now is not lost.
                let slot = self.slots.get(at).map_or(0, |slot| slot.swap(0, Relaxed));
                self.set(hole, slot);
                hole = at;
            }
        }
        self.set(hole, 0);
    }

    /// Empties all.
    pub(super) fn clear(&self) {
        self.slots.iter().for_each(|slot| slot.store(0, Relaxed));
    }

    fn set(&self, at: usize, value: u64) {
        if let Some(slot) = self.slots.get(at) {
            slot.store(value, Relaxed);
        }
    }
}
