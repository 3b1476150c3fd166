//! Where sources say something, and the walk over those blocks when it is to be looked at anew.
//!
//! Of a source that says something in few blocks those are remembered, by the first bits of the hashes of its names: so
//! the lease of a node with some names costs some blocks. A source in more blocks is looked for in all.

use crate::zone::live::block::Block;
use crate::zone::live::directory::BITS_MAX;
use crate::zone::live::ledger::SourceNumber;
use std::collections::{HashMap, HashSet};

/// Places remembered of one source: a node's hundred tasks. 10,000 sources take 5 MB at most.
const PLACES_MAX: usize = 128;

/// In which blocks sources say something, or did: what a source says no more of stays until it is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Places {
    of: HashMap<SourceNumber, Known>,
}

#[derive(Debug)]
enum Known {
    /// The first [`BITS_MAX`] bits of hashes: more never tell blocks apart. At most [`PLACES_MAX`], none twice.
    Few(Vec<u32>),
    /// In any.
    Many,
}

impl Places {
    /// The source says something at a name of that hash. Nobody looks for what the cluster says.
    pub(crate) fn add(&mut self, source: SourceNumber, hash: u64) {
        if source == SourceNumber::CLUSTER {
            return;
        }
        let known = self.of.entry(source).or_insert(Known::Few(Vec::new()));
        let Known::Few(places) = known else { return };
        let place = (hash >> (64 - BITS_MAX)) as u32;
        if places.contains(&place) {
            return;
        }
        if places.len() < PLACES_MAX {
            places.push(place);
        } else {
            *known = Known::Many;
        }
    }

    /// Nothing of the source is left.
    pub(crate) fn forget(&mut self, source: SourceNumber) {
        self.of.remove(&source);
    }
}

/// A walk over the blocks in which some sources say something.
#[derive(Debug)]
pub(crate) struct Sweep {
    /// For whom.
    pub(crate) sources: HashSet<SourceNumber>,
    walk: Walk,
}

#[derive(Debug)]
enum Walk {
    /// Over all; where it goes on.
    All(u64),
    /// Over those of these hashes, the next one last.
    Some(Vec<u64>),
}

impl Sweep {
    /// At its beginning.
    pub(crate) fn new(sources: HashSet<SourceNumber>, places: &Places) -> Sweep {
        let mut hashes = Vec::new();
        for source in &sources {
            match places.of.get(source) {
                Some(Known::Few(few)) => {
                    hashes.extend(few.iter().map(|place| u64::from(*place) << (64 - BITS_MAX)));
                }
                Some(Known::Many) => return Sweep { sources, walk: Walk::All(0) },
                // It has said nothing yet.
                None => {}
            }
        }
        hashes.sort_unstable_by(|a, b| b.cmp(a));
        Sweep { sources, walk: Walk::Some(hashes) }
    }

    /// A hash of the next block; `None` at the end.
    pub(crate) fn next(&self) -> Option<u64> {
        match &self.walk {
            Walk::All(at) => Some(*at),
            Walk::Some(hashes) => hashes.last().copied(),
        }
    }

    /// Goes on behind the block of `at`; false at the end.
    pub(crate) fn pass(&mut self, block: &Block, at: u64) -> bool {
        let Some(behind) = block.next_hash(at) else { return false };
        match &mut self.walk {
            Walk::All(at) => *at = behind,
            Walk::Some(hashes) => {
                while hashes.pop_if(|hash| *hash < behind).is_some() {}
                return !hashes.is_empty();
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(place: u64) -> u64 {
        place << (64 - BITS_MAX) | 77
    }

    #[test]
    fn a_source_in_many_blocks_is_looked_for_in_all() {
        let (few, many, silent) = (SourceNumber(1), SourceNumber(2), SourceNumber(3));
        let mut places = Places::default();
        [5, 3, 5, 9].into_iter().for_each(|place| places.add(few, hash(place)));
        (0..=PLACES_MAX as u64).for_each(|place| places.add(many, hash(place)));
        let next = |sources: &[SourceNumber]| {
            let sweep = Sweep::new(sources.iter().copied().collect(), &places);
            (matches!(sweep.walk, Walk::All(_)), sweep.next())
        };
        assert_eq!(next(&[few]), (false, Some(3 << (64 - BITS_MAX))));
        assert_eq!(next(&[few, many]), (true, Some(0)));
        assert_eq!(next(&[silent]), (false, None));
        places.forget(few);
        assert_eq!(Sweep::new(HashSet::from([few]), &places).next(), None);
    }
}
