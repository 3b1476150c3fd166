//! Labels made of names that were not chosen to be labels: lower-cased, dots become `-`, and what is longer than a
//! label can be is cut with a hash of the whole, so that two long names stay two.

use crate::base::limits::LABEL_OCTETS_MAX;

/// Hexadecimal digits of the hash at the end of a label that was cut.
const HASH_DIGITS: usize = 16;
/// Octets of the name that stay before it, and the hyphen between them.
const KEPT_OCTETS: usize = LABEL_OCTETS_MAX - HASH_DIGITS - 1;

/// The label for this name, 1 to 63 octets; none for a name without octets.
pub fn label(name: &str) -> Option<Vec<u8>> {
    let mut octets: Vec<u8> = name.bytes().map(|octet| octet.to_ascii_lowercase()).collect();
    octets.iter_mut().filter(|octet| **octet == b'.').for_each(|octet| *octet = b'-');
    if octets.len() > LABEL_OCTETS_MAX {
        let hash = format!("-{:016x}", fnv1a(&octets));
        octets.truncate(KEPT_OCTETS);
        octets.extend_from_slice(hash.as_bytes());
    }
    (!octets.is_empty()).then_some(octets)
}

/// FNV-1a of 64 bits. Every node and every version must make the same label of a name: so no hash that is keyed
/// or may change. Against somebody who seeks two names with one hash it is no protection; he would have to name
/// his own nodes or containers so, and win nothing but a quarrel between them.
fn fnv1a(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(name: &str) -> String {
        String::from_utf8(label(name).unwrap()).unwrap()
    }

    #[test]
    fn a_label_is_lower_case_and_has_no_dots() {
        assert_eq!(told("Web1.Example"), "web1-example");
        assert_eq!(told("a_b"), "a_b");
        assert_eq!(label(""), None);
        assert_eq!(told(&"x".repeat(63)), "x".repeat(63));
    }

    #[test]
    fn what_is_too_long_is_cut_with_a_hash_that_never_changes() {
        let (a, b) = (format!("{}a", "x".repeat(63)), format!("{}b", "x".repeat(63)));
        assert_eq!(told(&a), format!("{}-b96a71cbb56ddf3a", "x".repeat(46)));
        assert_ne!(told(&a), told(&b));
        assert_eq!(told(&a), told(&a.to_uppercase()));
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!((fnv1a(b""), fnv1a(b"a")), (0xcbf2_9ce4_8422_2325, 0xaf63_dc4c_8601_ec8c));
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    proptest! {
        #[test]
        fn every_name_but_none_has_a_label(name in "\\PC{1,90}") {
            let label = label(&name).unwrap();
            prop_assert!((1..=LABEL_OCTETS_MAX).contains(&label.len()));
            prop_assert!(!label.contains(&b'.'));
        }
    }
}
