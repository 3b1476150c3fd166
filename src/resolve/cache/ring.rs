//! A queue of entries in a run of words: they come in at the head and go out at the tail, in this order alone.
//!
//! ```text
//!        tail               head          size        size + ENTRY_WORDS_MAX
//! | free | entry entry entry | free        | overhang |
//! | entry entry | free | entry entry entry en|try     |
//!             head    tail
//! ```
//!
//! An entry begins before `size` and may end beyond, so none is ever cut in two, and the next one begins at 0.
//! Invariant: `head` and `tail` are below `size`; if they are equal, the ring is empty or full.

use super::entry::ENTRY_WORDS_MAX;

pub(super) struct Ring {
    /// Where it begins among the shard's words.
    base: usize,
    size: usize,
    head: usize,
    tail: usize,
    entries: usize,
}

impl Ring {
    /// Over so many words from `base` on, the overhang among them.
    pub(super) fn new(base: usize, words: usize) -> Ring {
        Ring { base, size: words.saturating_sub(ENTRY_WORDS_MAX).max(1), head: 0, tail: 0, entries: 0 }
    }

    /// Entries in it, also such as nobody looks for any more.
    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    /// True if the place is in this ring.
    pub(super) fn contains(&self, place: usize) -> bool {
        (self.base..self.base + self.size).contains(&place)
    }

    /// True if nothing has to go out for an entry of so many words to come in.
    pub(super) fn has_room(&self, words: usize) -> bool {
        let room = match (self.entries, self.head.cmp(&self.tail)) {
            (0, _) => return true,
            (_, std::cmp::Ordering::Less) => self.tail - self.head,
            (_, std::cmp::Ordering::Equal) => 0,
            (_, std::cmp::Ordering::Greater) => self.size + ENTRY_WORDS_MAX - self.head,
        };
        words <= room
    }

    /// Lets an entry of so many words in; its place. `None` if there is no room.
    pub(super) fn push(&mut self, words: usize) -> Option<usize> {
        if words > ENTRY_WORDS_MAX || !self.has_room(words) {
            return None;
        }
        let place = self.base + self.head;
        self.head = self.passed(self.head, words);
        self.entries += 1;
        Some(place)
    }

    /// The place of the entry that goes out next.
    pub(super) fn tail(&self) -> Option<usize> {
        (self.entries > 0).then_some(self.base + self.tail)
    }

    /// Lets the entry at the tail go, of so many words. They stay as they are until something comes in.
    pub(super) fn pop(&mut self, words: usize) {
        self.tail = self.passed(self.tail, words);
        self.entries = self.entries.saturating_sub(1);
        if self.entries == 0 {
            (self.head, self.tail) = (0, 0);
        }
    }

    /// Lets all go.
    pub(super) fn clear(&mut self) {
        (self.head, self.tail, self.entries) = (0, 0, 0);
    }

    fn passed(&self, at: usize, words: usize) -> usize {
        if at + words < self.size { at + words } else { 0 }
    }
}
