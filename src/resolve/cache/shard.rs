//! A shard: slots, words, and how many read them while one writes.
//!
//! ```text
//! reader   n = sequence; odd: try again     writer   takes the pen; sequence += 1, now odd
//!          reads                                     writes
//!          sequence != n: try again                  sequence += 1; gives the pen back
//! ```
//!
//! All that readers see is atomic, and ordered by the two fences only: so a reader takes nothing that a writer waits for,
//! and the compiler vouches for the memory. A reader that meets writers too often says that there is nothing; a writer
//! that finds the pen taken too often gives up. Neither ever waits.

use super::count::Count;
use super::entry::{ENTRY_WORDS_MAX, Entry, WORD, tag};
use super::index::{ASKED, Index, PLACES_MAX, READ, Seen, TOLD};
use super::life::{Phase, whole_seconds};
use super::looked::{Found, Looked};
use super::pen::{Pen, Queues};
use crate::base::time::Moment;
use crate::resolve::question::Question;
use std::hint::spin_loop;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// How often a reader looks again: about as long as a writer takes, unless the system stops it with the pen in its hand.
const LOOKS_MAX: usize = 64;
/// How often a writer tries to take the pen: as long as a few others take.
const TRIES_MAX: usize = 256;
/// What a stale record may still be kept for by whoever is told (RFC 8767 §4).
pub(super) const STALE_TTL: u32 = 30;
/// Octets for which there is one slot: somewhat less than an entry with two addresses takes.
const OCTETS_PER_SLOT: usize = 96;
/// Slots for which there is one ghost: about as many ghosts as half of the entries.
const SLOTS_PER_GHOST: usize = 4;
/// One part in so many is for newcomers, as with S3-FIFO (Yang et al., SOSP 2023).
pub(super) const NEWCOMERS: usize = 10;

/// A part of the cache. What readers share comes first, on a line of its own.
#[repr(align(64))]
pub(super) struct Shard {
    sequence: AtomicU64,
    pub(super) index: Index,
    pub(super) words: Box<[AtomicU64]>,
    writers: Writers,
}

/// What only writers touch.
#[repr(align(64))]
struct Writers {
    queues: Mutex<Queues>,
    count: Count,
}

/// What a reader saw, to be believed if nobody wrote meanwhile.
struct Glance {
    looked: Looked,
    /// The slot, whether the entry's time ends, unless nothing is to be marked.
    marks: Option<(Seen, bool)>,
}

const NOTHING: Glance = Glance { looked: Looked::Miss, marks: None };

impl Shard {
    /// Of so many octets, all in all.
    pub(super) fn new(octets: usize) -> Shard {
        let slots = octets / OCTETS_PER_SLOT;
        let ghosts = slots / SLOTS_PER_GHOST;
        let beside = size_of::<Shard>() + slots * size_of::<AtomicU64>() + ghosts * size_of::<u32>();
        let words = (octets.saturating_sub(beside) / WORD).clamp(3 * ENTRY_WORDS_MAX, PLACES_MAX);
        let newcomers = (words - 2 * ENTRY_WORDS_MAX) / NEWCOMERS + ENTRY_WORDS_MAX;
        Shard {
            sequence: AtomicU64::new(0),
            index: Index::new(slots),
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
            writers: Writers {
                queues: Mutex::new(Queues::new(newcomers, words, ghosts)),
                count: Count::default(),
            },
        }
    }

    /// Octets that it takes.
    pub(super) fn octets(&self) -> usize {
        let ghosts = self.index.len() / SLOTS_PER_GHOST * size_of::<u32>();
        size_of::<Shard>() + (self.index.len() + self.words.len()) * size_of::<AtomicU64>() + ghosts
    }

    /// See [`Cache::look`](super::Cache::look).
    #[inline]
    pub(super) fn look(&self, question: &Question<'_>, now: Moment, room: &mut [u8]) -> Looked {
        for _ in 0..LOOKS_MAX {
            let before = self.sequence.load(Acquire);
            if before & 1 == 0 {
                let mut glance = self.glance(question, now, room);
                fence(Acquire);
                if self.sequence.load(Relaxed) == before {
                    if let Some((seen, ending)) = glance.marks {
                        self.mark(seen, ending, &mut glance.looked);
                    }
                    return glance.looked;
                }
            }
            spin_loop();
        }
        Looked::Miss
    }

    /// What stands at the beginning of the first entry with this tag, and a line further on; to be thrown away, for nobody
    /// waits for it.
    #[inline(always)]
    pub(super) fn fetch_entry(&self, tag: u32) -> u64 {
        const LINE_WORDS: usize = 64 / WORD;
        let Some((seen, ())) = self.index.find(tag, |_| Some(())) else { return 0 };
        let word = |at: usize| self.words.get(at).map_or(0, |word| word.load(Relaxed));
        word(seen.place()) ^ word(seen.place() + LINE_WORDS)
    }

    #[inline(always)]
    fn glance(&self, question: &Question<'_>, now: Moment, room: &mut [u8]) -> Glance {
        let found = self.index.find(tag(question), |seen| Entry::of(&self.words, seen.place(), question));
        let Some((seen, entry)) = found else { return NOTHING };
        let header = &entry.header;
        let phase = match header.answered {
            true => header.life.phase(header.kept, now),
            false => Phase::Over,
        };
        if phase == Phase::Over {
            let Some(failing) = header.failing(now) else { return NOTHING };
            return Glance { looked: Looked::Failing(failing), marks: Some((seen, false)) };
        }
        let octets = header.octets();
        let Some(records) = room.get_mut(..octets) else {
            return Glance { looked: Looked::TooLarge(octets), marks: None };
        };
        entry.copy_records(records);
        let found = Found {
            rcode: header.rcode(),
            authentic: header.authentic,
            error: header.error,
            counts: header.counts,
            octets,
            prefetch: false,
        };
        match phase {
            Phase::Fresh { ending } => {
                let age = whole_seconds(header.kept, now);
                entry.set_ttls(records, |ttl| ttl.saturating_sub(age).max(1));
                Glance { looked: Looked::Fresh(found), marks: Some((seen, ending)) }
            }
            Phase::Stale | Phase::Over => {
                entry.set_ttls(records, |_| STALE_TTL);
                Glance { looked: Looked::Stale(found, header.failing(now)), marks: Some((seen, false)) }
            }
        }
    }

    /// Leaves the marks of a look, and says whether it is the one that is told to ask anew.
    #[inline(always)]
    fn mark(&self, seen: Seen, ending: bool, looked: &mut Looked) {
        if ending && seen.has(ASKED) && !seen.has(TOLD) {
            // Of several that try, one succeeds.
            let told = self.index.mark(seen, READ | TOLD);
            if let Looked::Fresh(found) = looked {
                found.prefetch = told;
            }
        } else if !(seen.has(READ) && seen.has(ASKED)) {
            self.index.mark(seen, READ | ASKED);
        }
    }

    /// What is counted here.
    pub(super) fn count(&self) -> &Count {
        &self.writers.count
    }

    /// The pen, if it can be had without waiting; else that is counted.
    pub(super) fn try_pen(&self) -> Option<Pen<'_>> {
        for _ in 0..TRIES_MAX {
            match self.writers.queues.try_lock() {
                Ok(queues) => return Some(Pen::new(self, queues)),
                Err(TryLockError::Poisoned(poisoned)) => return Some(Pen::new(self, poisoned.into_inner())),
                Err(TryLockError::WouldBlock) => spin_loop(),
            }
        }
        self.writers.count.gave_up();
        None
    }

    /// The pen, once whoever has it is done: for threads that may wait. As long as it is held and nothing is written,
    /// readers go on.
    pub(super) fn pen(&self) -> Pen<'_> {
        let queues: MutexGuard<'_, Queues> =
            self.writers.queues.lock().unwrap_or_else(PoisonError::into_inner);
        Pen::new(self, queues)
    }

    /// Readers believe nothing from here on.
    pub(super) fn begin(&self) {
        // Only who has the pen comes here. Odd already if a writer never came to its end.
        self.sequence.store(self.sequence.load(Relaxed) | 1, Relaxed);
        fence(Release);
    }

    /// Readers may believe again.
    pub(super) fn end(&self) {
        self.sequence.store(self.sequence.load(Relaxed) + 1, Release);
    }
}
