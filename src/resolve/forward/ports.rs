//! Which local port the next query leaves from. Whoever guesses has to guess that too (RFC 5452 §9.2).
//!
//! The slots lie in a bag; each query takes one out by lot. What was taken goes to the end of a queue as long as half
//! of all, and from its front back into the bag: so no slot is used twice within half as many queries as there are
//! slots, and which of the others comes next nobody knows.

use crate::resolve::lots::Lots;
use std::collections::VecDeque;

/// Queries from one slot before its socket shall be replaced by one on a new port: an observer of one query learns
/// little of later ones, and opening a socket is cheap beside that many queries.
pub(super) const USES_MAX: u8 = 32;
/// Slots drawn until one need not rest: beyond that one that should is used, as asking matters more.
const DRAWS_MAX: usize = 4;

#[derive(Clone, Copy, Default)]
struct Slot {
    /// Queries since its port is new.
    uses: u8,
    /// Queries whose answers may come.
    outstanding: u16,
}

/// The slots.
pub(super) struct Ports {
    slots: Vec<Slot>,
    bag: Vec<u16>,
    rest: VecDeque<u16>,
}

impl Ports {
    /// That many, at least one.
    pub(super) fn new(count: u16) -> Ports {
        let count = count.max(1);
        let rest = VecDeque::with_capacity(usize::from(count / 2) + 1);
        Ports { slots: vec![Slot::default(); usize::from(count)], bag: (0..count).collect(), rest }
    }

    /// Takes the slot for one query; `None` if no lot could be drawn.
    pub(super) fn take(&mut self, lots: &mut Lots) -> Option<u16> {
        for draw in 1..=DRAWS_MAX {
            let lot = lots.below(self.bag.len() as u16)?;
            let port = *self.bag.get(usize::from(lot))?;
            let Some(slot) = self.slots.get_mut(usize::from(port)) else { continue };
            if slot.uses >= USES_MAX && draw < DRAWS_MAX {
                continue;
            }
            slot.uses = slot.uses.saturating_add(1);
            slot.outstanding += 1;
            self.bag.swap_remove(usize::from(lot));
            self.rest.push_back(port);
            if self.rest.len() > self.slots.len() / 2 {
                self.bag.extend(self.rest.pop_front());
            }
            return Some(port);
        }
        None
    }

    /// A query from that slot is over. True if its port shall be replaced now, which counts as done.
    #[must_use]
    pub(super) fn give_back(&mut self, port: u16) -> bool {
        let Some(slot) = self.slots.get_mut(usize::from(port)) else { return false };
        slot.outstanding = slot.outstanding.saturating_sub(1);
        let is_worn = slot.outstanding == 0 && slot.uses >= USES_MAX;
        if is_worn {
            slot.uses = 0;
        }
        is_worn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::forward::tests::lots;

    #[test]
    fn no_slot_comes_again_within_half_of_them_and_all_are_used() {
        for count in [1, 2, 7, 100] {
            let (mut ports, mut lots) = (Ports::new(count), lots(u64::from(count)));
            let taken: Vec<u16> = (0..count * 20).map(|_| ports.take(&mut lots).unwrap()).collect();
            for window in taken.windows(usize::from((count / 2).max(1))) {
                assert!((1..window.len()).all(|at| !window[at..].contains(&window[at - 1])), "{count}");
            }
            assert!((0..count).all(|port| taken.contains(&port)), "{count}");
        }
    }

    #[test]
    fn a_port_is_replaced_when_it_is_worn_and_nothing_may_come_to_it() {
        let (mut ports, mut lots) = (Ports::new(1), lots(1));
        assert_eq!(ports.take(&mut lots), Some(0));
        for _ in 1..USES_MAX {
            assert_eq!(ports.take(&mut lots), Some(0));
            assert!(!ports.give_back(0));
        }
        // There is no other: it is used although it should rest.
        assert_eq!(ports.take(&mut lots), Some(0));
        assert!(!ports.give_back(0));
        assert!(ports.give_back(0) && !ports.give_back(0));
    }
}
