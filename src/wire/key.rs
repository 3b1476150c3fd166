//! A name made ready for look-up: lower-cased, cut into labels, hashed.
//!
//! The hash of a name is taken over its wire form in words of eight octets; an ancestor's over its own part of
//! the same octets, and only when somebody asks for it: most questions are answered with one hash, that of the
//! whole name. A name that begins with a wildcard label is hashed from the octets behind it, so that a
//! look-up that has found the closest encloser knows where the wildcard would be.
//!
//! The hash is keyed at random per process: whoever sends the questions cannot choose names that collide.

use crate::base::limits::{LABEL_OCTETS_MAX, LABELS_MAX, NAME_OCTETS_MAX};
use crate::base::octets::le64_or_zero;
use crate::wire::short::NAME_OCTETS;

/// Room for a name and for reading its last label in whole words of eight octets; in blocks of sixteen, which
/// are lowered at once.
const KEY_ROOM: usize = 272;
const _: () = assert!(KEY_ROOM.is_multiple_of(16) && KEY_ROOM > NAME_OCTETS_MAX + PACKED_OCTETS);
const _: () = assert!(NAME_OCTETS_MAX + WORD <= KEY_ROOM && NAME_OCTETS.is_multiple_of(2 * WORD));

/// Octets that are hashed at once.
const WORD: usize = 8;

/// A lone `*` (RFC 4592 §2.1.1).
const WILDCARD_LABEL: &[u8] = b"\x01*";

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

    /// The hash of an absolute lower-cased name in wire form.
    pub fn name(&self, wire: &[u8]) -> u64 {
        match wire.strip_prefix(WILDCARD_LABEL) {
            Some(parent) => self.wildcard(self.octets(parent)),
            None => self.octets(wire),
        }
    }

    /// The hash of `*` under a parent, given the hash of the parent's octets as they are (whether or not it
    /// begins with a wildcard itself).
    #[inline]
    fn wildcard(&self, parent: u64) -> u64 {
        self.step(parent, u64::from(b'*'))
    }

    fn octets(&self, octets: &[u8]) -> u64 {
        let (words, tail) = octets.as_chunks::<8>();
        let state = words.iter().fold(self.start, |state, word| self.step(state, u64::from_le_bytes(*word)));
        if tail.is_empty() {
            return state;
        }
        let mut word = [0u8; 8];
        word[..tail.len()].copy_from_slice(tail);
        self.step(state, u64::from_le_bytes(word))
    }

    #[inline(always)]
    fn step(&self, state: u64, word: u64) -> u64 {
        let product = u128::from(state ^ word) * u128::from(self.factor);
        (product as u64) ^ ((product >> 64) as u64)
    }
}

/// Octets that are compared at once.
const PACKED_OCTETS: usize = 16;

/// The low `n` octets, for each `n`.
const PACKED_MASKS: [u128; PACKED_OCTETS + 1] = {
    let mut masks = [0; PACKED_OCTETS + 1];
    let mut n = 1;
    while n <= PACKED_OCTETS {
        masks[n] = u128::MAX >> (8 * (PACKED_OCTETS - n));
        n += 1;
    }
    masks
};

/// A few octets made ready for comparing them at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    octets: u128,
    mask: u128,
}

impl Packed {
    /// `None` if there are more than 16.
    pub fn new(octets: &[u8]) -> Option<Packed> {
        let mask = *PACKED_MASKS.get(octets.len())?;
        let mut padded = [0; PACKED_OCTETS];
        padded[..octets.len()].copy_from_slice(octets);
        Some(Packed { octets: u128::from_le_bytes(padded), mask })
    }
}

#[inline(always)]
fn lowered<const N: usize>(mut octets: [u8; N]) -> [u8; N] {
    octets.make_ascii_lowercase();
    octets
}

/// A lower-cased name with its labels' places and its hash.
///
/// Invariant: `octets[..len]` is a valid wire-form name of `labels` labels, and a word of zeroes stands behind it;
/// `at[i]` is where label `i` (from the left) begins and `at[labels]` where the root's zero octet stands.
pub struct NameKey {
    // Eight bits each, so that no offset made of them can leave its array, and the compiler knows.
    len: u8,
    labels: u8,
    hash: u64,
    octets: [u8; KEY_ROOM],
    at: [u8; LABELS_MAX + 1],
}

impl Default for NameKey {
    /// The root, not yet hashed.
    fn default() -> NameKey {
        NameKey { len: 1, labels: 0, octets: [0; KEY_ROOM], at: [0; LABELS_MAX + 1], hash: 0 }
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
        *self.octets.get_mut(len..)?.first_chunk_mut()? = [0; WORD];
        self.len = len as u8;
        self.labels = labels as u8;
        Some(len)
    }

    /// As [`NameKey::read`], for a name of at most 64 octets within a window that may hold anything behind it.
    #[inline(always)]
    pub fn read_short(&mut self, window: &[u8; NAME_OCTETS]) -> Option<usize> {
        let (mut at, mut labels) = (0usize, 0usize);
        loop {
            self.at[labels & LABELS_MAX] = at as u8;
            let len = window[at];
            if len == 0 {
                break;
            }
            at += 1 + usize::from(len);
            labels += 1;
            // A pointer, 192 and more, leads out of here too.
            if at >= NAME_OCTETS {
                return None;
            }
        }
        // Lowering leaves length octets alone, so it can wait until it is known how much there is to lower.
        const HALF: usize = NAME_OCTETS / 2;
        let (first, second) = self.octets.first_chunk_mut::<NAME_OCTETS>()?.split_at_mut(HALF);
        *first.first_chunk_mut()? = lowered::<HALF>(*window.first_chunk()?);
        if at >= HALF {
            *second.first_chunk_mut()? = lowered::<HALF>(*window.last_chunk()?);
        }
        *self.octets.get_mut(at + 1..)?.first_chunk_mut()? = [0; WORD];
        self.len = at as u8 + 1;
        self.labels = labels as u8;
        Some(at + 1)
    }

    /// True if the suffix at `at` begins with these octets.
    #[inline(always)]
    pub fn has_at(&self, at: usize, packed: &Packed) -> bool {
        let at = usize::from(at as u8);
        let Some(octets) = self.octets[at..].first_chunk::<PACKED_OCTETS>() else { return false };
        u128::from_le_bytes(*octets) & packed.mask == packed.octets
    }

    /// True if the `len` octets at `at` are those that `other` begins with; `None` if there are more than 32 to
    /// compare, or `other` ends too soon for comparing many at once.
    #[inline(always)]
    pub fn agrees(&self, at: u8, other: &[u8], len: usize) -> Option<bool> {
        let own = self.octets.get(usize::from(at)..)?;
        let (own_start, other_start) =
            (own.first_chunk::<PACKED_OCTETS>()?, other.first_chunk::<PACKED_OCTETS>()?);
        let first = le64_or_zero(own_start, 0) ^ le64_or_zero(other_start, 0);
        if len < WORD {
            return Some(first & !(u64::MAX << (WORD * len)) == 0);
        }
        if len <= PACKED_OCTETS {
            // The first eight and the last eight, which overlap.
            let last = len - WORD;
            return Some(first | (le64_or_zero(own_start, last) ^ le64_or_zero(other_start, last)) == 0);
        }
        // The first sixteen and the last sixteen, which overlap too.
        let last = len - PACKED_OCTETS;
        if last > PACKED_OCTETS {
            return None;
        }
        let last = own.get(last..)?.first_chunk::<PACKED_OCTETS>()?
            == other.get(last..)?.first_chunk::<PACKED_OCTETS>()?;
        Some(last && own_start == other_start)
    }

    /// Computes the hash of the name.
    #[inline(always)]
    pub fn hash(&mut self, seed: &HashSeed) {
        self.hash = self.short_hash(seed).unwrap_or_else(|| self.hash_from(seed, 0));
    }

    /// The hash of a name of at most [`NAME_OCTETS`], without a loop; `None` for others and for wildcards.
    #[inline(always)]
    fn short_hash(&self, seed: &HashSeed) -> Option<u64> {
        if self.octets[..2] == *WILDCARD_LABEL {
            return None;
        }
        let (mut state, last) = (seed.start, usize::from(self.len.wrapping_sub(1)) / WORD);
        for (i, word) in self.octets.first_chunk::<NAME_OCTETS>()?.as_chunks().0.iter().enumerate() {
            state = seed.step(state, u64::from_le_bytes(*word));
            if i == last {
                return Some(state);
            }
        }
        None
    }

    /// The hash of the suffix of `depth` labels.
    #[inline]
    pub fn hash_at(&self, seed: &HashSeed, depth: usize) -> u64 {
        self.hash_from(seed, self.suffix_at(depth) as u8)
    }

    /// The hash of `*` below the suffix of `depth` labels.
    #[inline]
    pub fn wildcard_hash_at(&self, seed: &HashSeed, depth: usize) -> u64 {
        seed.wildcard(self.octets_from(seed, self.suffix_at(depth) as u8))
    }

    #[inline(always)]
    fn hash_from(&self, seed: &HashSeed, start: u8) -> u64 {
        let at = usize::from(start);
        if self.octets[at..at + 2] == *WILDCARD_LABEL {
            return seed.wildcard(self.octets_from(seed, start.wrapping_add(2)));
        }
        self.octets_from(seed, start)
    }

    #[inline(always)]
    fn octets_from(&self, seed: &HashSeed, start: u8) -> u64 {
        let (mut state, mut at) = (seed.start, start);
        let mut left = self.len.saturating_sub(start);
        while left > 0 {
            // Zeroes stand behind the name.
            state = seed.step(state, le64_or_zero(&self.octets, usize::from(at)));
            at = at.wrapping_add(WORD as u8);
            left = left.saturating_sub(WORD as u8);
        }
        state
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

    /// A bit for the label below the root, the same for equal ones: names of which no bit is set in the union of others'
    /// bits lie below none of those. All bits for the root itself, which is above everything.
    #[inline]
    pub fn top_bit(&self) -> u64 {
        if self.labels == 0 {
            return u64::MAX;
        }
        let at = self.suffix_at(1);
        // Length and three octets, those behind a shorter label included: the same for all of them.
        let head = self
            .octets
            .get(at..)
            .and_then(|rest| rest.first_chunk())
            .map_or(0, |head| u32::from_le_bytes(*head));
        1 << (head.wrapping_mul(0x9e37_79b1) >> 26)
    }

    /// The hash of the whole name, as of the last [`NameKey::hash`].
    #[inline]
    pub fn full_hash(&self) -> u64 {
        self.hash
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
        fn the_padded_and_the_plain_hash_agree(labels in prop::collection::vec(prop_oneof![Just(b"*".to_vec()), prop::collection::vec(any::<u8>(), 1..=40)], 0..6)) {
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
            prop_assert_eq!(key.full_hash(), seed().name(key.as_wire()));
            let lowered = Name::from_wire(&wire).unwrap().to_lowercase();
            prop_assert_eq!(key.as_wire(), lowered.as_wire());
            prop_assert_eq!(key.label_count(), labels.len());
            for depth in 0..=labels.len() {
                let suffix = &lowered.as_wire()[key.suffix_at(depth)..];
                prop_assert_eq!(key.hash_at(&seed(), depth), seed().name(suffix));
                let star = [b"\x01*", suffix].concat();
                prop_assert_eq!(key.wildcard_hash_at(&seed(), depth), seed().name(&star));
            }
        }
    }
}
