//! How a change spreads: each change is watched until the last node that lives has it, or something newer of the same
//! record.

use super::hash::NumberMap;
use super::record::{Key, Ordinal, Seen};
use super::seat::Seat;
use crate::base::time::Moment;
use std::collections::BTreeSet;
use std::time::Duration;

/// Changes that are watched at one time; further ones are not measured, and the report says how many.
const WATCHED_MAX: usize = 1 << 15;
/// Arrivals are counted in classes of a quarter of a doubling each, from 1 ms on: up to four hours.
const CLASSES: usize = 96;
const CLASSES_PER_DOUBLING: f64 = 4.0;

/// How long a change took to reach the nodes that lived when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// When it was made.
    pub made: Moment,
    /// Until half of them had it.
    pub half: Duration,
    /// Until 99 of 100 had it.
    pub most: Duration,
    /// Until the last had it.
    pub all: Duration,
}

#[derive(Debug)]
struct Watch {
    made: Moment,
    deletes: bool,
    /// A bit for each seat that has it or need not have it.
    settled: Vec<u64>,
    missing: u32,
    expected: u32,
    arrived: u32,
    half: Option<Duration>,
    most: Option<Duration>,
    last: Duration,
}

/// All changes under way, and how long the others took.
#[derive(Debug, Default)]
pub struct Watches {
    open: NumberMap<u32, Watch>,
    /// Which changes of a record are open, in their order.
    by_key: NumberMap<u32, Vec<Ordinal>>,
    /// Records with a deletion among their open changes.
    deleted: BTreeSet<Key>,
    done: Vec<Spread>,
    classes: Vec<u64>,
    arrivals: u64,
    useful_octets: u64,
    unwatched: u64,
}

impl Watches {
    /// A change is made by `maker` while `living` seats live, of `seats` in all; the maker has it.
    pub fn begin(
        &mut self,
        now: Moment,
        key: Key,
        change: Ordinal,
        deletes: bool,
        maker: Seat,
        living: &[bool],
    ) {
        if self.open.len() >= WATCHED_MAX {
            self.unwatched += 1;
            return;
        }
        let mut settled = vec![u64::MAX; living.len().div_ceil(64)];
        let mut expected = 0;
        for (seat, lives) in living.iter().enumerate() {
            if *lives && seat != maker.index() {
                settled[seat / 64] &= !(1 << (seat % 64));
                expected += 1;
            }
        }
        if expected == 0 {
            return;
        }
        let watch = Watch {
            made: now,
            deletes,
            settled,
            missing: expected,
            expected,
            arrived: 0,
            half: None,
            most: None,
            last: Duration::ZERO,
        };
        self.open.insert(change.0, watch);
        self.by_key.entry(key.0).or_default().push(change);
        if deletes {
            self.deleted.insert(key);
        }
    }

    /// A node has told that a record is now what `change` made of it; `None` if it is gone.
    pub fn seen(&mut self, now: Moment, seat: Seat, seen: Seen) {
        let Seen { key, change } = seen;
        let Some(open) = self.by_key.get_mut(&key.0) else { return };
        // A deletion does not say which one it is: at best the newest one.
        let newest_deletion =
            || open.iter().rev().find(|change| self.open.get(&change.0).is_some_and(|w| w.deletes));
        let Some(upto) = change.or_else(|| newest_deletion().copied()) else { return };
        let (classes, arrivals, done) = (&mut self.classes, &mut self.arrivals, &mut self.done);
        let useful_octets = &mut self.useful_octets;
        open.retain(|change| {
            if *change > upto {
                return true;
            }
            let Some(watch) = self.open.get_mut(&change.0) else { return false };
            if watch.settle(seat) {
                let took = now.since(watch.made);
                watch.arrive(took);
                // What something newer has overtaken was never brought.
                *useful_octets += if *change == upto { seen.octets() } else { 0 };
                *arrivals += 1;
                let class = class_of(took);
                if classes.len() <= class {
                    classes.resize(class + 1, 0);
                }
                classes[class] += 1;
            }
            if watch.missing == 0 {
                done.push(watch.spread());
                self.open.remove(&change.0);
                return false;
            }
            true
        });
        if open.is_empty() {
            self.by_key.remove(&key.0);
            self.deleted.remove(&key);
        }
    }

    /// A node has told that `owner`'s records are now exactly those with these keys: what was deleted is not there.
    pub fn replaced(&mut self, now: Moment, seat: Seat, owner: Seat, has: impl Fn(Key) -> bool) {
        let own = Key::of(owner, 0)..=Key::of(owner, u16::MAX);
        let gone: Vec<Key> = self.deleted.range(own).copied().filter(|key| !has(*key)).collect();
        for key in gone {
            self.seen(now, seat, Seen { key, change: None });
        }
    }

    /// A node has died: nobody waits for it any more.
    pub fn gone(&mut self, seat: Seat) {
        let mut over = Vec::new();
        for (change, watch) in &mut self.open {
            watch.settle(seat);
            if watch.missing == 0 {
                over.push(*change);
            }
        }
        over.sort_unstable();
        for change in over {
            if let Some(watch) = self.open.remove(&change)
                && watch.arrived > 0
            {
                self.done.push(watch.spread());
            }
        }
        self.by_key.retain(|_, open| {
            open.retain(|change| self.open.contains_key(&change.0));
            !open.is_empty()
        });
    }

    /// Changes that are not everywhere yet.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// The oldest change that is not everywhere, and how many nodes lack it.
    pub fn oldest(&self) -> Option<(Ordinal, u32, Moment)> {
        let oldest = self.open.iter().min_by_key(|(change, _)| **change)?;
        Some((Ordinal(*oldest.0), oldest.1.missing, oldest.1.made))
    }

    /// Some node that lacks a change.
    pub fn lacks(&self, change: Ordinal) -> Option<Seat> {
        let watch = self.open.get(&change.0)?;
        let (word, bits) = watch.settled.iter().enumerate().find(|(_, bits)| **bits != u64::MAX)?;
        Some(Seat((word * 64) as u32 + bits.trailing_ones()))
    }

    /// The changes that are everywhere, in the order in which they came to be.
    pub fn done(&self) -> &[Spread] {
        &self.done
    }

    /// Octets of the changes that came to the nodes they had to reach, each once.
    pub fn useful_octets(&self) -> u64 {
        self.useful_octets
    }

    /// Changes that were too many to be watched.
    pub fn unwatched(&self) -> u64 {
        self.unwatched
    }

    /// The share of arrivals within each span of time: the curve of convergence.
    pub fn curve(&self) -> Vec<(Duration, f64)> {
        let mut sum = 0;
        let share = |sum: u64| sum as f64 / self.arrivals.max(1) as f64;
        let points = self.classes.iter().enumerate().map(|(class, count)| {
            sum += count;
            (upper_end(class), share(sum))
        });
        points.collect()
    }
}

impl Watch {
    /// True if the node was missing.
    fn settle(&mut self, seat: Seat) -> bool {
        let Some(word) = self.settled.get_mut(seat.index() / 64) else { return false };
        let bit = 1 << (seat.index() % 64);
        let missing = *word & bit == 0;
        *word |= bit;
        self.missing -= u32::from(missing);
        missing
    }

    fn arrive(&mut self, took: Duration) {
        self.arrived += 1;
        self.last = took;
        if self.arrived * 2 >= self.expected {
            self.half.get_or_insert(took);
        }
        if u64::from(self.arrived) * 100 >= u64::from(self.expected) * 99 {
            self.most.get_or_insert(took);
        }
    }

    fn spread(&self) -> Spread {
        let last = self.last;
        Spread {
            made: self.made,
            half: self.half.unwrap_or(last),
            most: self.most.unwrap_or(last),
            all: last,
        }
    }
}

fn class_of(took: Duration) -> usize {
    let doublings = (took.as_secs_f64() * 1e3).max(1.0).log2();
    ((doublings * CLASSES_PER_DOUBLING).ceil() as usize).min(CLASSES - 1)
}

fn upper_end(class: usize) -> Duration {
    Duration::from_secs_f64((class as f64 / CLASSES_PER_DOUBLING).exp2() / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::START + Duration::from_millis(ms)
    }

    #[test]
    fn a_change_is_done_when_the_last_living_node_has_it() {
        let mut watches = Watches::default();
        let key = Key(1);
        watches.begin(at(0), key, Ordinal(1), false, Seat(0), &[true, true, true, false, true]);
        watches.seen(at(5), Seat(1), Seen { key, change: Some(Ordinal(1)) });
        watches.seen(at(6), Seat(1), Seen { key, change: Some(Ordinal(1)) });
        watches.seen(at(7), Seat(3), Seen { key, change: Some(Ordinal(1)) });
        watches.seen(at(9), Seat(2), Seen { key, change: Some(Ordinal(1)) });
        assert_eq!((watches.open(), watches.lacks(Ordinal(1))), (1, Some(Seat(4))));
        watches.gone(Seat(4));
        assert_eq!(watches.open(), 0);
        let [spread] = watches.done() else { panic!("not one") };
        let ms = Duration::from_millis;
        assert_eq!((spread.half, spread.most, spread.all), (ms(9), ms(9), ms(9)));
    }

    #[test]
    fn something_newer_of_the_same_record_counts_and_something_older_does_not() {
        let mut watches = Watches::default();
        let key = Key(1);
        let living = [true, true];
        watches.begin(at(0), key, Ordinal(1), false, Seat(0), &living);
        watches.begin(at(1), key, Ordinal(2), true, Seat(0), &living);
        watches.begin(at(2), key, Ordinal(3), false, Seat(0), &living);
        watches.seen(at(10), Seat(1), Seen { key, change: None });
        assert_eq!((watches.open(), watches.oldest().map(|(change, ..)| change)), (1, Some(Ordinal(3))));
        watches.seen(at(11), Seat(1), Seen { key, change: Some(Ordinal(2)) });
        assert_eq!(watches.open(), 1);
        watches.seen(at(12), Seat(1), Seen { key, change: Some(Ordinal(3)) });
        assert_eq!((watches.open(), watches.done().len()), (0, 3));
        assert_eq!(watches.curve().last().map(|(_, share)| *share), Some(1.0));
        // The deletion's key and the last change; the first change never came.
        assert_eq!(watches.useful_octets(), 108);
    }

    #[test]
    fn classes_of_time_do_not_overlap() {
        for ms in [1, 2, 3, 10, 99, 100, 1_000, 60_000] {
            let took = Duration::from_millis(ms);
            let class = class_of(took);
            assert!(upper_end(class) + Duration::from_micros(1) >= took);
            assert!(class == 0 || upper_end(class - 1) < took);
        }
    }
}
