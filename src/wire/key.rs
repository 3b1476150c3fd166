//! A name made ready for look-up: lower-cased, cut into labels, and hashed label by label from the right,
//! so that the hash of every ancestor falls out of the same pass.
//!
//! ```text
//! www.groucho.edu.   hash[0] = seed              the root
//!                    hash[1] = h(hash[0], "edu")
//!                    hash[2] = h(hash[1], "groucho")     a zone's apex, say
//!                    hash[3] = h(hash[2], "www")
//! ```
//!
//! The hash is keyed at random per process: whoever sends the questions cannot choose names that collide.

use crate::base::limits::{LABEL_OCTETS_MAX, LABELS_MAX, NAME_OCTETS_MAX};
use crate::base::octets::le64_or_zero;

/// Room for a name and for reading its last label in whole words of eight octets; in blocks of sixteen, which
/// are lowered at once.
const KEY_ROOM: usize = 272;
const _: () = assert!(KEY_ROOM.is_multiple_of(16) && KEY_ROOM >= NAME_OCTETS_MAX + 8);

/// The secret of the name hash: one per process, drawn from the system's entropy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashSeed {
    start: u64,
    factor: u64,
}

impl HashSeed {
    /// Makes a seed of 16 random octets.
    pub fn new(random: [u8; 16]) -> HashSeed {
        // An even factor would lose a bit with every word.
        HashSeed { start: le64_or_zero(&random, 0), factor: le64_or_zero(&random, 8) | 1 }
    }

    /// The hash of the root, from which every other begins.
    #[inline]
    pub fn root(&self) -> u64 {
        self.start
    }

    /// The hash of `label` under a parent whose hash is `parent`. `label` begins with its length octet and is
    /// lower-cased.
    pub fn child(&self, parent: u64, label: &[u8]) -> u64 {
        label.chunks(8).fold(parent, |state, chunk| {
            let mut word = [0u8; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.step(state, u64::from_le_bytes(word))
        })
    }

    /// The hash of a whole or partial lower-cased wire-form name (no final zero octet needed) under `parent`.
    pub fn name(&self, parent: u64, labels: &[u8]) -> u64 {
        let mut starts = [0u8; LABELS_MAX + 1];
        let (mut count, mut at) = (0, 0);
        while let Some(&len) = labels.get(at) {
            if len == 0 || count > LABELS_MAX {
                break;
            }
            starts[count] = at as u8;
            count += 1;
            at += 1 + usize::from(len);
        }
        starts[..count].iter().rev().fold(parent, |state, &start| {
            let start = usize::from(start);
            let end = (start + 1 + usize::from(labels[start])).min(labels.len());
            self.child(state, &labels[start..end])
        })
    }

    #[inline(always)]
    fn step(&self, state: u64, word: u64) -> u64 {
        let product = u128::from(state ^ word) * u128::from(self.factor);
        (product as u64) ^ ((product >> 64) as u64)
    }
}

/// A lower-cased name with its labels' places and the hashes of itself and of all its ancestors.
///
/// Invariant: `octets[..len]` is a valid wire-form name of `labels` labels; `at[i]` is where label `i` (from
/// the left) begins and `at[labels]` where the root's zero octet stands; `hash[d]` belongs to the suffix of
/// `d` labels.
pub struct NameKey {
    // Eight bits each, so that no offset made of them can leave its array, and the compiler knows.
    len: u8,
    labels: u8,
    octets: [u8; KEY_ROOM],
    at: [u8; LABELS_MAX + 1],
    hash: [u64; LABELS_MAX + 1],
}

impl Default for NameKey {
    /// The root, not yet hashed.
    fn default() -> NameKey {
        NameKey {
            len: 1,
            labels: 0,
            octets: [0; KEY_ROOM],
            at: [0; LABELS_MAX + 1],
            hash: [0; LABELS_MAX + 1],
        }
    }
}

impl NameKey {
    /// Reads the uncompressed name at the start of `wire`, lower-cased; the octets it took, or `None` if it is
    /// no name. Hashing is a step of its own: a message refused for another reason never pays it.
    #[inline]
    pub fn read(&mut self, wire: &[u8]) -> Option<usize> {
        // Copied first, so that the walk is over an array of known size; what follows the name is harmless.
        let available = wire.len().min(NAME_OCTETS_MAX);
        self.octets.get_mut(..available)?.copy_from_slice(wire.get(..available)?);
        let (mut at, mut labels) = (0u8, 0usize);
        loop {
            self.at[labels & LABELS_MAX] = at;
            let len = self.octets[usize::from(at)];
            if len == 0 {
                break;
            }
            if usize::from(len) > LABEL_OCTETS_MAX
                || usize::from(at) + usize::from(len) >= NAME_OCTETS_MAX - 1
            {
                return None;
            }
            at += 1 + len;
            labels += 1;
        }
        let len = usize::from(at) + 1;
        if len > available {
            return None;
        }
        let (blocks, _) = self.octets.as_chunks_mut::<16>();
        for block in blocks.iter_mut().take(len.div_ceil(16)) {
            block.make_ascii_lowercase();
        }
        self.len = len as u8;
        self.labels = labels as u8;
        Some(len)
    }

    /// Computes the hash of the name and of every ancestor.
    #[inline]
    pub fn hash(&mut self, seed: &HashSeed) {
        let mut state = seed.start;
        self.hash[0] = state;
        let labels = usize::from(self.labels) & LABELS_MAX;
        for depth in 1..=labels {
            let start = self.at[labels - depth];
            let left = u32::from(self.octets[usize::from(start)]) + 1;
            let word = self.word(start);
            if left <= 8 {
                state = seed.step(state, word & (u64::MAX >> ((64 - 8 * left) & 63)));
            } else {
                state = self.hash_long(seed, state, word, usize::from(start), left);
            }
            self.hash[depth] = state;
        }
    }

    /// The eight octets from `at` on. An offset of eight bits cannot leave the array.
    #[inline(always)]
    fn word(&self, at: u8) -> u64 {
        let at = usize::from(at);
        u64::from_le_bytes(std::array::from_fn(|i| self.octets[at + i]))
    }

    /// Goes on with a label of `left` octets, the first eight of which are `word`.
    #[inline]
    fn hash_long(&self, seed: &HashSeed, state: u64, word: u64, start: usize, left: u32) -> u64 {
        let mut state = seed.step(state, word);
        let (mut at, mut left) = (start + 8, left - 8);
        while left > 8 {
            state = seed.step(state, le64_or_zero(&self.octets, at));
            at += 8;
            left -= 8;
        }
        let word = le64_or_zero(&self.octets, at) & (u64::MAX >> ((64 - 8 * left) & 63));
        seed.step(state, word)
    }

    /// The name in lower-cased wire form, the root's zero octet included.
    #[inline]
    pub fn as_wire(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }

    /// Octets of the wire form, the root's zero octet included.
    #[inline]
    pub fn wire_len(&self) -> usize {
        usize::from(self.len)
    }

    /// How many labels there are, the root not counted.
    #[inline]
    pub fn label_count(&self) -> usize {
        usize::from(self.labels)
    }

    /// Where the suffix of `depth` labels begins in the wire form.
    #[inline]
    pub fn suffix_at(&self, depth: usize) -> usize {
        usize::from(self.at[usize::from(self.labels).wrapping_sub(depth) & LABELS_MAX])
    }

    /// The hash of the suffix of `depth` labels, as of the last [`NameKey::hash`].
    #[inline]
    pub fn hash_at(&self, depth: usize) -> u64 {
        self.hash[depth & LABELS_MAX]
    }

    /// The hash of the whole name, as of the last [`NameKey::hash`].
    #[inline]
    pub fn full_hash(&self) -> u64 {
        self.hash[usize::from(self.labels) & LABELS_MAX]
    }
}

const _: () = assert!((LABELS_MAX + 1).is_power_of_two());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::name::Name;
    use proptest::prelude::*;

    fn seed() -> HashSeed {
        HashSeed::new(*b"sixteen octets!!")
    }

    #[test]
    fn names_that_are_none_are_refused() {
        let mut key = NameKey::default();
        for wire in [&b""[..], b"\x03ww", b"\xc0\x0c", b"\x40", b"\x01a"] {
            assert_eq!(key.read(wire), None, "{wire:?}");
        }
        let long: Vec<u8> = b"\x03abc".repeat(64).into_iter().chain([0]).collect();
        assert_eq!(long.len(), 257);
        assert_eq!(key.read(&long), None);
        // What an earlier name left behind does not complete a later one.
        assert_eq!(key.read(b"\x03www\x02ab\0"), Some(8));
        assert_eq!(key.read(b"\x03www"), None);
    }

    proptest! {
        #[test]
        fn the_padded_and_the_plain_hash_agree(labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..=40), 0..6)) {
            let wire: Vec<u8> = labels
                .iter()
                .flat_map(|label| std::iter::once(label.len() as u8).chain(label.iter().copied()))
                .chain([0])
                .collect();
            prop_assume!(wire.len() <= 255);
            let mut key = NameKey::default();
            // Whatever stood there before must not count.
            key.read(Name::parse("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.yyyyyyyyyyyyyyyyyyyyyyyyyy.zzzzzzzzzz.").unwrap().as_wire());
            prop_assert_eq!(key.read(&wire), Some(wire.len()));
            key.hash(&seed());
            let lowered = Name::from_wire(&wire).unwrap().to_lowercase();
            prop_assert_eq!(key.as_wire(), lowered.as_wire());
            prop_assert_eq!(key.label_count(), labels.len());
            for depth in 0..=labels.len() {
                let suffix = &lowered.as_wire()[key.suffix_at(depth)..];
                prop_assert_eq!(key.hash_at(depth), seed().name(seed().root(), suffix));
            }
        }
    }
}
