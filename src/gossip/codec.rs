//! Values of the cluster's wire format to octets and back: the one door to bincode.
//!
//! Integers are written as short as they are. Reading is bounded by what is read: nothing is allocated that the
//! input could not fill, because every length is held against the octets that are left. No type of the wire
//! format may have size zero (a list of such would cost nothing to announce).

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{BorrowDecode, Encode};

/// Octets of the largest value that is read at once: a frame of a stream.
pub const VALUE_OCTETS_MAX: usize = 1 << 20;

const CONFIGURATION: Configuration<LittleEndian, Varint, Limit<VALUE_OCTETS_MAX>> =
    bincode::config::standard().with_limit::<VALUE_OCTETS_MAX>();

/// Octets that are no such value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("malformed octets")
    }
}

impl std::error::Error for Malformed {}

/// Appends a value to `octets`.
pub fn encode(octets: &mut Vec<u8>, value: &impl Encode) {
    let writer = Appended(octets);
    bincode::encode_into_writer(value, writer, CONFIGURATION).expect("appending to memory does not fail");
}

/// Reads a value from the start of `octets`; it, and what stands behind it.
pub fn decode<'o, T: BorrowDecode<'o, ()>>(octets: &'o [u8]) -> Result<(T, &'o [u8]), Malformed> {
    let (value, used) = bincode::borrow_decode_from_slice(octets, CONFIGURATION).map_err(|_| Malformed)?;
    Ok((value, octets.get(used..).ok_or(Malformed)?))
}

/// Reads a value that fills `octets` exactly.
pub fn decode_all<'o, T: BorrowDecode<'o, ()>>(octets: &'o [u8]) -> Result<T, Malformed> {
    match decode(octets)? {
        (value, []) => Ok(value),
        _ => Err(Malformed),
    }
}

struct Appended<'v>(&'v mut Vec<u8>);

impl bincode::enc::write::Writer for Appended<'_> {
    fn write(&mut self, octets: &[u8]) -> Result<(), bincode::error::EncodeError> {
        self.0.extend_from_slice(octets);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_is_decoded_and_what_follows_is_left() {
        let mut octets = Vec::new();
        encode(&mut octets, &(7u64, "name", [1u8, 2]));
        octets.push(9);
        let (value, rest) = decode::<(u64, &str, [u8; 2])>(&octets).unwrap();
        assert_eq!((value, rest), ((7, "name", [1, 2]), &[9][..]));
        assert_eq!(decode_all::<(u64, &str, [u8; 2])>(&octets), Err(Malformed));
        for len in 0..octets.len() - 1 {
            assert_eq!(decode::<(u64, &str, [u8; 2])>(&octets[..len]).map(|_| ()), Err(Malformed));
        }
    }

    #[test]
    fn a_length_that_the_octets_cannot_fill_allocates_nothing() {
        // 253 announces a length of eight octets.
        let octets = [253, 0xff, 0xff, 0x0f, 0, 0, 0, 0, 0];
        assert_eq!(decode::<Vec<u64>>(&octets).map(|_| ()), Err(Malformed));
        assert_eq!(decode::<&[u8]>(&octets).map(|_| ()), Err(Malformed));
    }
}
