//! A hash that is the same in every run and costs a multiplication per word: for the trace, and for maps whose keys
//! are numbers of this world. Nobody outside chooses those, so it need not resist anybody.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map from numbers of this world. Never iterated over where the order could be seen.
pub type NumberMap<K, V> = HashMap<K, V, BuildHasherDefault<Mix>>;

/// The state of the hash.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mix(u64);

impl Mix {
    /// Takes in one word.
    pub fn add(&mut self, word: u64) {
        // The odd number next to 2^64 over the golden ratio; folding brings the upper half down.
        let product = u128::from(self.0 ^ word ^ 0x2545_f491_4f6c_dd1d) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }

    /// Takes in octets.
    pub fn octets(&mut self, octets: &[u8]) {
        self.add(octets.len() as u64);
        for chunk in octets.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.add(u64::from_le_bytes(word));
        }
    }

    /// What has been taken in.
    pub fn value(self) -> u64 {
        self.0
    }
}

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        self.octets(octets);
    }

    fn write_u32(&mut self, number: u32) {
        self.add(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.add(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_lengths_count() {
        let of = |texts: &[&[u8]]| {
            let mut mix = Mix::default();
            texts.iter().for_each(|text| mix.octets(text));
            mix.value()
        };
        assert_ne!(of(&[b"a", b"b"]), of(&[b"b", b"a"]));
        assert_ne!(of(&[b"a", b""]), of(&[b"", b"a"]));
        assert_ne!(of(&[b"a"]), of(&[b"a\0"]));
        assert_eq!(of(&[b"abcdefghij"]), of(&[b"abcdefghij"]));
    }
}
