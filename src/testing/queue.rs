//! What is to happen, in order: a calendar of events keyed by moment, and by the order of being told within one.
//!
//! A heap of everything costs a cache miss per level and moves each event several times. Here the near future is
//! a ring of days, each an unsorted list; only the day that is being lived is a heap, and a small one. What lies
//! beyond the ring waits in a heap of its own until its day comes within reach:
//!
//! ```text
//!  today: heap      ring: DAYS lists, one for each of the next days          beyond: heap
//!  [ 0..128 µs )    [ 128..256 ) [ 256..384 ) ...                            ≥ DAYS × 128 µs
//! ```
//! It does not know what an event is, nor how to forget one: whoever wants an event not to have been told gives
//! it a token and ignores it when it comes.

use crate::base::time::Moment;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Microseconds of a day, as a power of two. Short enough for a day of a large world to fit the cache (some
/// hundred events), long enough for the ring to be short.
const DAY_BITS: u32 = 7;
/// Days in the ring, a power of two: a bit over a second, which most timers and all datagrams fall into.
const DAYS: u64 = 8_192;
/// Ring places that one word of the map of days in use covers.
const WORD: u64 = 64;

const _: () = assert!(DAYS.is_power_of_two() && DAYS.is_multiple_of(WORD));

/// An event with its key. Ordered so that the greatest is the next: the heaps are of the largest.
struct Entry<E> {
    at: Moment,
    sequence: u64,
    event: E,
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Entry<E>) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Entry<E>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Entry<E>) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

/// Events to come.
///
/// `today` holds all of days ≤ `day`; the ring all of days in `day + 1 ..= day + DAYS - 1`, each in the list of
/// its number modulo [`DAYS`]; `beyond` the rest.
pub struct Queue<E> {
    today: BinaryHeap<Entry<E>>,
    day: u64,
    ring: Vec<Vec<Entry<E>>>,
    /// A bit for each list that is not empty.
    used: Vec<u64>,
    in_ring: usize,
    beyond: BinaryHeap<Entry<E>>,
    sequence: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Queue<E> {
        Queue {
            today: BinaryHeap::new(),
            day: 0,
            ring: std::iter::repeat_with(Vec::new).take(DAYS as usize).collect(),
            used: vec![0; (DAYS / WORD) as usize],
            in_ring: 0,
            beyond: BinaryHeap::new(),
            sequence: 0,
        }
    }
}

fn day_of(at: Moment) -> u64 {
    at.as_micros() >> DAY_BITS
}

impl<E> Queue<E> {
    /// Events that have not come yet.
    pub fn len(&self) -> usize {
        self.today.len() + self.in_ring + self.beyond.len()
    }

    /// True if nothing is to come.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds an event. What is said to lie before the last one taken comes next, after what was already due.
    pub fn push(&mut self, at: Moment, event: E) {
        self.sequence += 1;
        let entry = Entry { at, sequence: self.sequence, event };
        let day = day_of(at);
        if day <= self.day {
            self.today.push(entry);
        } else if day - self.day < DAYS {
            self.put_in_ring(day, entry);
        } else {
            self.beyond.push(entry);
        }
    }

    /// The moment of the next event.
    pub fn next_at(&mut self) -> Option<Moment> {
        self.reach_next_day();
        self.today.peek().map(|entry| entry.at)
    }

    /// Takes the next event if it comes at `until` or before.
    pub fn pop_until(&mut self, until: Moment) -> Option<(Moment, E)> {
        if self.next_at()? > until {
            return None;
        }
        self.today.pop().map(|entry| (entry.at, entry.event))
    }

    /// Moves on to the next day with events, unless this one has some left.
    fn reach_next_day(&mut self) {
        if !self.today.is_empty() {
            return;
        }
        self.day = match (self.next_in_ring(), self.beyond.peek()) {
            (Some(day), _) => day,
            (None, Some(entry)) => day_of(entry.at),
            (None, None) => return,
        };
        let place = (self.day % DAYS) as usize;
        let list = std::mem::take(&mut self.ring[place]);
        self.in_ring -= list.len();
        self.used[place / WORD as usize] &= !(1 << (place as u64 % WORD));
        // Heap and list exchange their memory, so that neither is allocated anew each day.
        let emptied = std::mem::replace(&mut self.today, BinaryHeap::from(list)).into_vec();
        self.ring[place] = emptied;
        // What came within reach is in the ring again before anything later is.
        while let Some(entry) = self.beyond.peek()
            && day_of(entry.at) - self.day < DAYS
        {
            let Some(entry) = self.beyond.pop() else { break };
            match day_of(entry.at) {
                day if day == self.day => self.today.push(entry),
                day => self.put_in_ring(day, entry),
            }
        }
    }

    fn put_in_ring(&mut self, day: u64, entry: Entry<E>) {
        let place = day % DAYS;
        self.ring[place as usize].push(entry);
        self.used[(place / WORD) as usize] |= 1 << (place % WORD);
        self.in_ring += 1;
    }

    /// The first day after this one whose list is not empty.
    fn next_in_ring(&self) -> Option<u64> {
        if self.in_ring == 0 {
            return None;
        }
        let first = (self.day + 1) % DAYS;
        let words = DAYS / WORD;
        // The word of the first place is looked at twice: its upper part at first, its lower part at last.
        for step in 0..=words {
            let index = (first / WORD + step) % words;
            let mut word = self.used[index as usize];
            if step == 0 {
                word &= u64::MAX << (first % WORD);
            } else if step == words {
                word &= !(u64::MAX << (first % WORD));
            }
            if word != 0 {
                let place = index * WORD + u64::from(word.trailing_zeros());
                return Some(self.day + 1 + (place + DAYS - first) % DAYS);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn events_of_one_moment_come_in_the_order_in_which_they_were_told() {
        let mut queue = Queue::default();
        let at = Moment::from_micros(5_000_000);
        for number in 0..100 {
            queue.push(at, number);
        }
        let came: Vec<i32> = std::iter::from_fn(|| queue.pop_until(Moment::NEVER)).map(|(_, n)| n).collect();
        assert_eq!(came, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn what_comes_after_the_end_is_left() {
        let mut queue = Queue::default();
        queue.push(Moment::from_micros(10), 'a');
        queue.push(Moment::NEVER, 'z');
        assert_eq!(queue.pop_until(Moment::from_micros(9)), None);
        assert_eq!(queue.pop_until(Moment::from_micros(10)), Some((Moment::from_micros(10), 'a')));
        assert_eq!(queue.pop_until(Moment::from_micros(1 << 62)), None);
        assert_eq!(queue.len(), 1);
        assert_eq!(queue.pop_until(Moment::NEVER), Some((Moment::NEVER, 'z')));
        assert!(queue.is_empty());
    }

    proptest! {
        /// The naive twin is a sorted map.
        #[test]
        fn the_calendar_gives_what_a_sorted_map_gives(
            steps in prop::collection::vec((0u32..23, 0u64..1 << 22, any::<bool>()), 1..300)
        ) {
            let mut queue = Queue::default();
            let mut twin = BTreeMap::new();
            let mut now = 0u64;
            for (number, (shift, ahead, take)) in steps.into_iter().enumerate() {
                // Distances of every size, from within the day to far beyond the ring.
                let at = Moment::from_micros(now + ((ahead << 3) >> shift));
                queue.push(at, number);
                twin.insert((at, number), ());
                prop_assert_eq!(queue.next_at(), twin.keys().next().map(|(at, _)| *at));
                if take {
                    let taken = queue.pop_until(Moment::NEVER);
                    let expected = twin.pop_first().map(|((at, number), ())| (at, number));
                    prop_assert_eq!(taken, expected);
                    now = expected.map_or(now, |(at, _)| at.as_micros());
                }
            }
            while let Some(((at, number), ())) = twin.pop_first() {
                prop_assert_eq!(queue.pop_until(Moment::NEVER), Some((at, number)));
            }
            prop_assert!(queue.is_empty());
        }
    }
}
