//! Hashed names (RFC 5155 §5): how a zone hashes its names, and a name so hashed.

use crate::base::limits::NAME_OCTETS_MAX;
use crate::base::octets::u16_at;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA1_OUTPUT_LEN, digest};

/// The one algorithm (RFC 5155 §11): SHA-1.
const SHA1: u8 = 1;
/// Octets of a hash as a label: five bits in each.
pub const HASHED_OCTETS: usize = SHA1_OUTPUT_LEN * 8 / 5;
/// Octets of a salt: its length field has 8 bits.
const SALT_OCTETS_MAX: usize = 255;
/// Further rounds of hashing that are done for an answer. A zone should have none (RFC 9276 §3.1); those who validate
/// take more than 150 as if nothing were signed, or refuse them, most of them far fewer.
pub const ITERATIONS_MAX: u16 = 150;

/// A name hashed, as the label under which its record stands: lower-cased base32hex (RFC 5155 §3.3).
pub type Hashed = [u8; HASHED_OCTETS];

/// How names are hashed. Two are the same if their chains are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashing {
    iterations: u16,
    salt: Box<[u8]>,
}

impl Hashing {
    /// From RDATA of NSEC3PARAM or NSEC3, which begin alike. `None` for an algorithm that is not known.
    pub(crate) fn read(rdata: &[u8]) -> Option<Hashing> {
        let (&[algorithm, _, _, _, salt_len], rest) = rdata.split_first_chunk()?;
        let salt = rest.get(..usize::from(salt_len))?.into();
        (algorithm == SHA1).then_some(Hashing { iterations: u16_at(rdata, 2)?, salt })
    }

    /// True if RDATA of an NSEC3 record says that its owner was hashed so.
    pub(crate) fn made(&self, rdata: &[u8]) -> bool {
        let Some((&[algorithm, _, high, low, salt_len], rest)) = rdata.split_first_chunk() else {
            return false;
        };
        algorithm == SHA1
            && u16::from_be_bytes([high, low]) == self.iterations
            && rest.get(..usize::from(salt_len)) == Some(&*self.salt)
    }

    /// Further rounds of hashing.
    pub fn iterations(&self) -> u16 {
        self.iterations
    }

    /// The hash of a lower-cased absolute name in wire form.
    pub fn hash(&self, name: &[u8]) -> Hashed {
        let mut octets = [0; NAME_OCTETS_MAX + SALT_OCTETS_MAX];
        let mut round = |input: &[u8]| {
            let end = input.len() + self.salt.len();
            let Some(place) = octets.get_mut(..end) else { return [0; SHA1_OUTPUT_LEN] };
            place[..input.len()].copy_from_slice(input);
            place[input.len()..].copy_from_slice(&self.salt);
            digest(&SHA1_FOR_LEGACY_USE_ONLY, place).as_ref().try_into().unwrap_or_default()
        };
        let mut hash = round(name);
        for _ in 0..self.iterations {
            hash = round(&hash);
        }
        base32hex(&hash)
    }
}

/// RFC 4648 §7, lower-cased; five octets make eight digits.
fn base32hex(hash: &[u8; SHA1_OUTPUT_LEN]) -> Hashed {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let mut digits = [0; HASHED_OCTETS];
    for (five, eight) in hash.as_chunks::<5>().0.iter().zip(digits.as_chunks_mut::<8>().0) {
        let bits = five.iter().fold(0u64, |bits, octet| bits << 8 | u64::from(*octet));
        for (i, digit) in eight.iter_mut().enumerate() {
            *digit = DIGITS[(bits >> (35 - 5 * i)) as usize & 31];
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::name::Name;

    #[test]
    fn names_are_hashed_as_rfc_5155_shows_in_appendix_a() {
        let param = b"\x01\x00\x00\x0c\x04\xaa\xbb\xcc\xdd";
        let hashing = Hashing::read(param).unwrap();
        for (name, hashed) in [
            ("example.", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"),
            ("a.example.", "35mthgpgcu1qg68fab165klnsnk3dpvl"),
            ("ns1.example.", "2t7b4g4vsa5smi47k61mv5bv1a22bojr"),
            ("*.w.example.", "r53bq7cc2uvmubfu5ocmm6pers9tk9en"),
        ] {
            assert_eq!(hashing.hash(Name::parse(name).unwrap().as_wire()), hashed.as_bytes(), "{name}");
        }
        assert!(hashing.made(b"\x01\x01\x00\x0c\x04\xaa\xbb\xcc\xddrest"));
        for other in
            [&b"\x02\x00\x00\x0c\x04\xaa\xbb\xcc\xdd"[..], b"\x01\x00\x00\x0b\x04\xaa\xbb\xcc\xdd", b"\x01"]
        {
            assert!(!hashing.made(other));
        }
        assert_eq!(Hashing::read(b"\x02\0\0\0\0"), None);
        assert_eq!(Hashing::read(b"\x01\0\0\0\x01"), None);
    }

    #[test]
    fn the_longest_name_and_salt_have_room() {
        let mut param = vec![1, 0, 0, 1, 255];
        param.extend([7; 255]);
        let hashing = Hashing::read(&param).unwrap();
        assert_ne!(hashing.hash(&[1; 255]), hashing.hash(&[1; 254]));
    }
}
