//! What one node says as a sequencer, read out of its log; and which serial comes next.

use crate::discovery::cut::entry::{CUT_KEY, Cut, HEAD_KIND, Head};
use crate::zone::Serial;
use std::collections::{BTreeMap, BTreeSet};

/// Bits of a serial that tell sequencers apart, the lane: of those that do not hear each other no two give the same.
const LANE_BITS: u32 = 8;
/// From the first lane that a life tries to that of the next: odd, so that they return after 256 lives, and far, so that no
/// life comes to its predecessor's by passing over what others have.
const LANE_STRIDE: u8 = 157;

/// How far a serial may jump because of the time of day: seven weeks. Half as far as serials can be told apart, so that what
/// is later than the last one is later than all others, too.
const CLOCK_AHEAD_MAX: u32 = 1 << 30;

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Sequence {
    heads: BTreeMap<u64, Head>,
    cut: Option<(u64, Cut)>,
    /// The version of the last head that was said or taken back.
    moved: u64,
    /// Something in it cannot be understood.
    is_foul: bool,
    is_exact: bool,
}

impl Sequence {
    /// An entry of the log, by rising version.
    pub fn hear(&mut self, version: u64, key: &[u8], value: Option<&[u8]>) {
        if key == CUT_KEY {
            self.cut = value.and_then(|value| Cut::decode(value).ok()).map(|cut| (version, cut));
            return;
        }
        if key.first() != Some(&HEAD_KIND) {
            return;
        }
        let Some(owner) = Head::owner(key) else { return };
        self.moved = self.moved.max(version);
        match value.map(Head::decode) {
            Some(Ok(head)) => drop(self.heads.insert(owner, head)),
            Some(Err(_)) => self.is_foul = true,
            None => drop(self.heads.remove(&owner)),
        }
    }

    /// Whether the log is what the owner had said at its end.
    pub fn exact(&mut self, is_exact: bool) {
        self.is_exact = is_exact;
    }

    /// The cut with the version of its entry, if all of it is there.
    pub fn cut(&self) -> Option<(u64, &Cut)> {
        let (version, cut) = self.cut.as_ref()?;
        (*version > self.moved && self.is_exact && !self.is_foul).then_some((*version, cut))
    }

    /// The serial that was said last, whether or not all of its cut is there.
    pub fn serial(&self) -> Option<Serial> {
        self.cut.as_ref().map(|(_, cut)| cut.serial)
    }

    /// The heads of the cut.
    pub fn heads(&self) -> &BTreeMap<u64, Head> {
        &self.heads
    }

    /// True if nothing is said.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty() && self.cut.is_none()
    }
}

/// The lane for this life of a node, besides those that others have. Among a hundred nodes no two lives in a row have the same:
/// what the one gave last the other may not know of. Where more than 256 want one, some have the same.
pub fn free_lane(id: u64, generation: u32, others: &BTreeSet<u8>) -> u8 {
    // Ids are random: nodes that do not know of each other rarely try the same.
    let first = (id as u8).wrapping_add((generation as u8).wrapping_mul(LANE_STRIDE));
    let mut lanes = (0..=u8::MAX).map(|step| first.wrapping_add(step));
    lanes.find(|lane| !others.contains(lane)).unwrap_or(first)
}

/// The serial that follows all that are known (RFC 1982), of the sequencer with that number. The time of day is where it
/// begins where none is known any more: so a cluster that forgot everything goes on behind what it served before.
pub fn next_serial(known: impl IntoIterator<Item = Serial>, lane: u8, seconds: u64) -> Serial {
    let compose = |count: u32| Serial(count << LANE_BITS | u32::from(lane));
    let by_clock = compose(seconds as u32);
    let latest = known.into_iter().reduce(|a, b| if a.is_before(b) { b } else { a });
    match latest.map(|latest| compose((latest.0 >> LANE_BITS).wrapping_add(1))) {
        // A clock that is far off would lead backwards.
        Some(next) if by_clock.0.wrapping_sub(next.0) > CLOCK_AHEAD_MAX => next,
        Some(_) | None => by_clock,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::cut::entry::{Place, Terms};

    #[test]
    fn the_next_serial_is_later_than_all_whatever_the_clock_says() {
        for seconds in [0, 5, 0xff_ffff, 0x80_0000, 1_790_000_000] {
            for known in [
                vec![],
                vec![0],
                vec![5 << 8 | 3, 5 << 8 | 200],
                vec![0xffff_ff05, 0x0000_0105],
                vec![u32::MAX],
            ] {
                let next = next_serial(known.iter().map(|serial| Serial(*serial)), 7, seconds);
                assert_eq!(next.0 & 0xff, 7);
                for serial in known {
                    assert!(Serial(serial).is_before(next), "{serial:x} {:x}", next.0);
                }
            }
        }
        // Nobody knows anything any more, and a day has passed.
        let (before, after) = (next_serial([], 1, 1_790_000_000), next_serial([], 9, 1_790_086_400));
        assert!(before.is_before(after));
    }

    #[test]
    fn a_lane_is_nobody_elses_nor_that_of_the_life_before() {
        for id in [0, 7, 0xfedc_ba98_7654_32ff] {
            let lives: BTreeSet<u8> = (0..256).map(|life| free_lane(id, life, &BTreeSet::new())).collect();
            assert_eq!(lives.len(), 256);
            for life in [1, 2, u32::MAX - 1] {
                let mut others = BTreeSet::new();
                for _ in 0..255 {
                    others.insert(free_lane(id, life, &others));
                    assert!(!others.contains(&free_lane(id, life, &others)));
                    if others.len() < 99 {
                        let before = free_lane(id, life, &others);
                        assert_ne!(free_lane(id, life + 1, &others), before);
                    }
                }
                others.insert(free_lane(id, life, &others));
                assert_eq!(others.len(), 256);
                assert_eq!(free_lane(id, life, &others), free_lane(id, life, &BTreeSet::new()));
            }
        }
    }

    #[test]
    fn a_cut_counts_once_all_heads_before_it_are_there() {
        let head = Head { place: Place { generation: 1, head: 4 }, name: "a".into() };
        let terms = Terms { ttl: 5, negative_ttl: 2, servers: vec!["a".into()], networks: vec![] };
        let cut = Cut { serial: Serial(9), content: 1, sets: 2, terms };
        let mut sequence = Sequence::default();
        sequence.hear(1, &Head::key(3), Some(&head.value()));
        sequence.hear(2, CUT_KEY, Some(&cut.value()));
        assert!(sequence.cut().is_none(), "of a piece nobody knows what is missing");
        sequence.exact(true);
        assert_eq!(sequence.cut(), Some((2, &cut)));
        sequence.hear(3, &Head::key(3), None);
        assert!(sequence.cut().is_none() && sequence.serial() == Some(Serial(9)));
        sequence.hear(4, CUT_KEY, Some(&cut.value()));
        assert!(sequence.cut().is_some() && sequence.heads().is_empty());
        sequence.hear(5, &Head::key(3), Some(&[9]));
        sequence.hear(6, CUT_KEY, Some(&cut.value()));
        assert!(sequence.cut().is_none(), "what cannot be understood is no cut");
    }
}
