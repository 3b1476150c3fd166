//! The cluster-wide sets at a cut. They have many writers and so no heads; which of them there are is told by a hash, and a
//! copy stops where it has had the same ones.

use std::collections::{BTreeMap, VecDeque};

/// Changes that wait for a cut. Beyond it states between are let go.
const WAITING_MAX: usize = 4_096;

/// A set's key, and its value or that it is gone.
pub type Change = (Box<[u8]>, Option<Box<[u8]>>);

/// See the module.
#[derive(Debug, Default)]
pub struct Sets {
    /// The hash of each set that there is, the newest known.
    newest: BTreeMap<Box<[u8]>, u64>,
    /// The sum of them.
    sum: u64,
    /// The same where the copy stands.
    at: u64,
    /// What came since, each with the sum after it.
    waiting: VecDeque<(Change, u64)>,
}

impl Sets {
    /// A set changed.
    pub fn hear(&mut self, key: &[u8], value: Option<&[u8]>) {
        let before = match value {
            Some(value) => {
                let hash = hash(&[key, value]);
                self.sum = self.sum.wrapping_add(hash);
                self.newest.insert(key.into(), hash)
            }
            None => self.newest.remove(key),
        };
        self.sum = self.sum.wrapping_sub(before.unwrap_or(0));
        self.waiting.push_back(((key.into(), value.map(Box::from)), self.sum));
        if self.waiting.len() > WAITING_MAX {
            let newest: BTreeMap<Box<[u8]>, Option<Box<[u8]>>> =
                self.waiting.drain(..).map(|(change, _)| change).collect();
            // Only at the end of them the sum is true; no other is zero, or ever asked for.
            let last = newest.len().saturating_sub(1);
            let sums = (0..newest.len()).map(|at| if at == last { self.sum } else { self.at });
            self.waiting = newest.into_iter().zip(sums).collect();
        }
    }

    /// The hash of all that is known.
    pub fn latest(&self) -> u64 {
        self.sum
    }

    /// How many changes lead to the last state of that hash; `None`: it never was, or is over.
    fn steps(&self, hash: u64) -> Option<usize> {
        match self.waiting.iter().rposition(|(_, sum)| *sum == hash) {
            Some(at) => Some(at + 1),
            None => (self.at == hash).then_some(0),
        }
    }

    /// True if [`Sets::advance`] leads there.
    pub fn reaches(&self, hash: u64) -> bool {
        self.steps(hash).is_some()
    }

    /// Takes what leads to the state of that hash.
    pub fn advance(&mut self, hash: u64) -> Option<Vec<Change>> {
        let steps = self.steps(hash)?;
        self.at = hash;
        Some(self.waiting.drain(..steps).map(|(change, _)| change).collect())
    }
}

/// The odd number nearest to the golden ratio's fraction: multiplying by it moves every bit.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// A hash of parts, the same on every node: to compare by, not for defence.
pub(super) fn hash(parts: &[&[u8]]) -> u64 {
    parts.iter().fold(parts.len() as u64, |state, part| {
        let state = (state ^ part.len() as u64).wrapping_mul(FACTOR).rotate_left(29);
        let (words, tail) = part.as_chunks::<8>();
        let mut last = [0; 8];
        last[..tail.len()].copy_from_slice(tail);
        words.iter().chain([&last]).fold(state, |state, word| {
            let product =
                u128::from(state ^ u64::from_le_bytes(*word)).wrapping_mul(u128::from(FACTOR) << 1 | 1);
            (product as u64 ^ (product >> 64) as u64).rotate_left(23).wrapping_add(state ^ FACTOR)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_copy_stops_at_any_state_that_there_was() {
        let mut sets = Sets::default();
        let mut sums = vec![sets.latest()];
        for (key, value) in [(b"a", Some(b"1")), (b"b", Some(b"2")), (b"a", Some(b"3")), (b"b", None)] {
            sets.hear(key, value.map(|value| &value[..]));
            sums.push(sets.latest());
        }
        assert_eq!(sets.advance(sums[2]).unwrap().len(), 2);
        assert!(!sets.reaches(sums[1]) && !sets.reaches(77), "there is no way back, nor to what never was");
        assert_eq!(sets.advance(sums[2]).unwrap(), []);
        assert_eq!(sets.advance(sums[4]).unwrap().len(), 2);
        // The same sets in another order are the same.
        let mut other = Sets::default();
        other.hear(b"a", Some(b"3"));
        assert_eq!(other.latest(), sums[4]);
        assert!(sets.reaches(other.latest()));
    }

    #[test]
    fn many_changes_that_nobody_cuts_do_not_pile_up() {
        let mut sets = Sets::default();
        for number in 0..20_000u32 {
            sets.hear(&[(number % 9) as u8], Some(&number.to_be_bytes()));
            assert!(sets.waiting.len() <= WAITING_MAX + 9);
        }
        let latest = sets.latest();
        let changes: BTreeMap<_, _> = sets.advance(latest).unwrap().into_iter().collect();
        assert_eq!(changes.len(), 9);
        assert_eq!(changes[&Box::from([1])], Some(Box::from(19_999u32.to_be_bytes())));
    }

    #[test]
    fn neighbours_do_not_collide() {
        let mut seen = HashSet::new();
        for a in 0..200u8 {
            for len in 0..40 {
                assert!(seen.insert(hash(&[&[a], &vec![a; len]])));
                assert!(seen.insert(hash(&[&vec![a; len + 1]])));
            }
        }
    }
}
