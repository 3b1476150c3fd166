//! Which numbers of one sender were taken already: a bitmap of the newest, as in RFC 6479.
//!
//! ```text
//!      refused       a bit each            above the highest
//!  ├──────────────┼───────────────────────┼──────────────────►
//!  0        head - WIDTH                 head
//!
//!  invariant: bit c of the ring, for head - WIDTH < c ≤ head, is set iff c was taken; nothing ≤ floor is fresh
//! ```
//!
//! The ring has one word more than the width needs, so that going up clears whole words and never a fresh bit.

/// Numbers below the highest that may still come. A sender counts all its datagrams together, whoever they are
/// for; in a burst of 100,000 in a second this is 10 ms of disorder.
pub const WINDOW_WIDTH: u64 = 1_024;

const WORDS: usize = (WINDOW_WIDTH / 64) as usize + 1;
const _: () = assert!(WINDOW_WIDTH.is_multiple_of(64));

/// The numbers taken from one sender.
#[derive(Debug, Clone)]
pub(super) struct Window {
    head: u64,
    floor: u64,
    words: [u64; WORDS],
}

impl Window {
    /// Nothing up to `floor` is fresh, everything above is.
    pub(super) fn above(floor: u64) -> Window {
        Window { head: floor, floor, words: [0; WORDS] }
    }

    /// True if this number was not taken and can still come.
    pub(super) fn is_fresh(&self, number: u64) -> bool {
        if number > self.head {
            return true;
        }
        number > self.floor
            && self.head - number < WINDOW_WIDTH
            && self.words[place(number / 64)] & (1 << (number % 64)) == 0
    }

    /// Takes a number; false, and nothing changed, if it was not fresh.
    pub(super) fn take(&mut self, number: u64) -> bool {
        if !self.is_fresh(number) {
            return false;
        }
        let (head, new) = (self.head / 64, number / 64);
        if new > head {
            // More than a whole turn clears each word once.
            for word in head + 1..=new.min(head.saturating_add(WORDS as u64)) {
                self.words[place(word)] = 0;
            }
        }
        self.words[place(new)] |= 1 << (number % 64);
        self.head = self.head.max(number);
        true
    }
}

/// Where a word of the endless bitmap lies in the ring.
fn place(word: u64) -> usize {
    (word % WORDS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Remembers all it took.
    struct Naive {
        floor: u64,
        taken: BTreeSet<u64>,
    }

    impl Naive {
        fn take(&mut self, number: u64) -> bool {
            let head = self.taken.last().copied().unwrap_or(self.floor).max(self.floor);
            let too_old = number <= self.floor || number.saturating_add(WINDOW_WIDTH) <= head;
            !too_old && self.taken.insert(number)
        }
    }

    /// Steps from the highest so far: mostly near, sometimes far, once in a while a leap.
    fn steps() -> impl Strategy<Value = Vec<i64>> {
        let step = prop_oneof![
            8 => -70i64..70,
            4 => -1_100i64..1_100,
            1 => -3_000i64..3_000,
            1 => Just(1 << 40),
        ];
        prop::collection::vec(step, 1..400)
    }

    proptest! {
        #[test]
        fn the_bitmap_takes_what_a_set_would_take(floor in 0u64..5_000, steps in steps()) {
            let mut window = Window::above(floor);
            let mut naive = Naive { floor, taken: BTreeSet::new() };
            let mut highest = floor;
            for step in steps {
                let number = highest.saturating_add_signed(step);
                prop_assert_eq!(window.take(number), naive.take(number), "{}", number);
                highest = highest.max(number);
            }
        }
    }

    #[test]
    fn the_whole_width_may_come_in_any_order_and_once_only() {
        let mut window = Window::above(0);
        assert!(window.take(WINDOW_WIDTH));
        for number in (1..WINDOW_WIDTH).rev() {
            assert!(window.take(number));
        }
        assert!((0..=WINDOW_WIDTH).all(|number| !window.take(number)));
    }

    #[test]
    fn the_last_numbers_of_all_do_not_overflow() {
        let mut window = Window::above(u64::MAX - 2);
        assert!(window.take(u64::MAX) && window.take(u64::MAX - 1));
        assert!(!window.take(u64::MAX) && !window.take(u64::MAX - 2));
    }
}
