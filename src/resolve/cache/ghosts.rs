//! What went out without having been read: if it comes again soon, it is no passer-by.
//!
//! A table of tags in which a later one takes the place of an earlier one. To take a stranger for a ghost costs
//! a little room, nothing else.

pub(super) struct Ghosts {
    tags: Box<[u32]>,
}

impl Ghosts {
    pub(super) fn new(tags: usize) -> Ghosts {
        Ghosts { tags: vec![0; tags].into_boxed_slice() }
    }

    /// Remembers.
    pub(super) fn add(&mut self, tag: u32) {
        if let Some(slot) = self.slot(tag) {
            *slot = tag;
        }
    }

    /// Whether it is remembered; if so, forgets it.
    pub(super) fn take(&mut self, tag: u32) -> bool {
        // Zero is the empty slot.
        let Some(slot) = self.slot(tag).filter(|slot| tag != 0 && **slot == tag) else { return false };
        *slot = 0;
        true
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.tags.fill(0);
    }

    fn slot(&mut self, tag: u32) -> Option<&mut u32> {
        let at = (u64::from(tag) * self.tags.len() as u64) >> 32;
        self.tags.get_mut(at as usize)
    }
}
