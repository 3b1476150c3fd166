//! A hash that every node computes alike: for comparing what two of them hold, not for defence. Members are
//! authenticated; whoever has the cluster's key can say what it likes anyway.

/// Odd, with as many ones as zeros and no pattern: the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Mixes one word into a hash.
#[inline]
pub fn mix(state: u64, word: u64) -> u64 {
    let product = u128::from(state ^ word ^ FACTOR) * u128::from(FACTOR);
    let folded = (product as u64) ^ ((product >> 64) as u64);
    // A word equal to the state's complement would fold to nothing without this.
    folded.rotate_left(23).wrapping_add(word ^ (state >> 7))
}

/// The hash of some words in their order.
#[inline]
pub fn words<const N: usize>(words: [u64; N]) -> u64 {
    words.into_iter().fold(N as u64, mix)
}

/// The hash of octets, their number included.
pub fn octets(octets: &[u8]) -> u64 {
    let (chunks, tail) = octets.as_chunks::<8>();
    let state = chunks.iter().fold(octets.len() as u64, |state, word| mix(state, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..tail.len()].copy_from_slice(tail);
    mix(state, u64::from_le_bytes(last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn neighbours_do_not_collide() {
        let mut seen = HashSet::new();
        for owner in 0..200u64 {
            for head in 0..200u64 {
                assert!(seen.insert(words([owner, 1, head])));
            }
        }
        for len in 0..64 {
            assert!(seen.insert(octets(&vec![0; len])));
            assert!(seen.insert(octets(&vec![0xff; len + 1])));
        }
    }
}
