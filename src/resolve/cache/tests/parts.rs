//! The parts: rings and the index, each held against a simple one.

use super::super::entry::ENTRY_WORDS_MAX;
use super::super::index::{Index, READ};
use super::super::ring::Ring;
use proptest::prelude::*;
use std::collections::VecDeque;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Entries come out in the order in which they came in, and never lie on each other.
    #[test]
    fn a_ring_is_a_queue_whose_entries_never_overlap(
        extra in 1..3_000usize,
        steps in proptest::collection::vec((1..=ENTRY_WORDS_MAX, 0..4u8), 1..300),
    ) {
        let (base, words) = (100, ENTRY_WORDS_MAX + extra);
        let mut ring = Ring::new(base, words);
        let mut twin: VecDeque<(usize, usize)> = VecDeque::new();
        for (len, step) in steps {
            let len = if step == 0 { len } else { len % 200 + 1 };
            // What goes out at the tail always has room at the head.
            if step == 3 && let Some((place, len)) = twin.pop_front() {
                prop_assert_eq!(ring.tail(), Some(place));
                ring.pop(len);
                let to = ring.push(len);
                prop_assert!(to.is_some_and(|to| to <= place || to >= place + len));
                twin.extend(to.map(|to| (to, len)));
            }
            while !ring.has_room(len) {
                let Some((place, len)) = twin.pop_front() else { return Err(TestCaseError::fail("no room")) };
                prop_assert_eq!(ring.tail(), Some(place));
                ring.pop(len);
            }
            let place = ring.push(len);
            prop_assert!(place.is_some_and(|place| place >= base && place + len <= base + words));
            twin.extend(place.map(|place| (place, len)));
            let mut places: Vec<_> = twin.iter().copied().collect();
            places.sort_unstable();
            prop_assert!(places.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0), "{:?}", places);
            prop_assert_eq!(ring.entries(), twin.len());
        }
    }

    /// Tags from few values, so that searches run into each other and around the end.
    #[test]
    fn an_index_finds_exactly_what_was_inserted_and_not_removed(
        steps in proptest::collection::vec((0..40u32, any::<bool>()), 1..200),
    ) {
        let index = Index::new(32);
        let mut twin: Vec<(u32, usize)> = Vec::new();
        let find = |tag: u32, place: usize| index.find(tag, |seen| (seen.place() == place).then_some(seen.at));
        for (place, (tag, insert)) in steps.into_iter().enumerate() {
            let tag = tag.wrapping_mul(0x0666_6666);
            if insert && twin.len() < index.entries_max() {
                index.insert(tag, place, 0);
                twin.push((tag, place));
            } else if let Some(found) = twin.iter().position(|(other, _)| *other == tag) {
                let (tag, place) = twin.remove(found);
                let at = find(tag, place).map(|(_, at)| at);
                prop_assert!(at.is_some());
                index.remove(at.unwrap_or_default());
                prop_assert!(find(tag, place).is_none());
            }
            for (tag, place) in &twin {
                prop_assert!(find(*tag, *place).is_some());
            }
        }
    }
}

#[test]
fn a_mark_is_set_once_and_only_on_what_was_seen() {
    let index = Index::new(64);
    index.insert(7, 70, 0);
    let find = || index.find(7, Some).map(|(seen, _)| seen);
    let Some(seen) = find() else { panic!("it was inserted") };
    assert!(index.mark(seen, READ));
    assert!(!index.mark(seen, READ), "it was seen without the mark");
    index.moved(seen.at, 71);
    let Some(moved) = find() else { panic!("it was moved") };
    assert!(moved.place() == 71 && !moved.has(READ));
    assert!(!index.mark(seen, READ), "it has moved");
}
