//! Canonical order of names (RFC 4034 §6.1): by labels from the right, each compared as octets. For keys, which are
//! lower-cased, relative to one apex and without a final zero octet.
//!
//! Who asks compares with [`Labels`], where nothing is written; who sorts a whole zone encodes each name once, and
//! compares octets.

use crate::base::limits::LABELS_MAX;
use std::cmp::Ordering;

/// A key cut into its labels.
pub struct Labels<'k> {
    key: &'k [u8],
    /// Where each label begins, from the left.
    at: [u8; LABELS_MAX],
    count: usize,
}

impl<'k> Labels<'k> {
    /// Cuts a key. What is no key ends where it stops to be one.
    pub fn of(key: &'k [u8]) -> Labels<'k> {
        let mut labels = Labels { key, at: [0; LABELS_MAX], count: 0 };
        let mut at = 0;
        while let (Some(len), Some(place)) = (key.get(at), labels.at.get_mut(labels.count)) {
            *place = at as u8;
            labels.count += 1;
            at += 1 + usize::from(*len);
        }
        labels
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The labels from the right, without their lengths.
    fn from_the_right(&self) -> impl Iterator<Item = &'k [u8]> {
        let key = self.key;
        self.at.get(..self.count).unwrap_or_default().iter().rev().map(move |at| {
            let at = usize::from(*at);
            let len = key.get(at).copied().unwrap_or(0);
            key.get(at + 1..at + 1 + usize::from(len)).unwrap_or_default()
        })
    }

    /// How this name stands to another.
    pub fn compare(&self, other: &Labels<'_>) -> Ordering {
        self.from_the_right().cmp(other.from_the_right())
    }

    /// Octets of the labels that the ends of both names have in common.
    pub fn common_octets(&self, other: &Labels<'_>) -> usize {
        let pairs = self.from_the_right().zip(other.from_the_right());
        pairs.take_while(|(a, b)| a == b).map(|(label, _)| 1 + label.len()).sum()
    }
}

/// Appends octets that compare as the names do.
pub(crate) fn encode(key: &[u8], out: &mut Vec<u8>) {
    for label in Labels::of(key).from_the_right() {
        for &octet in label {
            out.push(octet);
            // A label ends with two zeroes, which no octet of a longer one may look like.
            if octet == 0 {
                out.push(1);
            }
        }
        out.extend_from_slice(&[0, 0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::name::Name;
    use proptest::prelude::*;

    fn label() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(b'a'), Just(b'*'), Just(255)], 1..4)
    }

    fn key() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(label(), 0..5).prop_map(|labels| {
            labels.into_iter().flat_map(|label| [vec![label.len() as u8], label].concat()).collect()
        })
    }

    proptest! {
        #[test]
        fn keys_are_ordered_as_names_are(a in key(), b in key()) {
            let name = |key: &[u8]| Name::from_wire(&[key, b"\x01z\0"].concat()).unwrap();
            let expected = name(&a).cmp(&name(&b));
            prop_assert_eq!(Labels::of(&a).compare(&Labels::of(&b)), expected);
            let [mut left, mut right] = [Vec::new(), Vec::new()];
            encode(&a, &mut left);
            encode(&b, &mut right);
            prop_assert_eq!(left.cmp(&right), expected);
        }
    }

    #[test]
    fn what_two_names_have_in_common_ends_at_a_label() {
        let common = |a: &[u8], b: &[u8]| Labels::of(a).common_octets(&Labels::of(b));
        assert_eq!(common(b"\x01a\x01b", b"\x01c\x01b"), 2);
        assert_eq!(common(b"\x02ab", b"\x01b"), 0);
        assert_eq!(common(b"\x01b", b"\x01a\x01b"), 2);
        assert_eq!(common(b"", b"\x01a"), 0);
    }
}
