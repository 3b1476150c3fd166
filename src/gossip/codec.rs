//! Values of the cluster's wire format to octets and back: the one door to bincode.
//!
//! Integers are written as short as they are. No type of the wire format holds a `Vec` or a `String`: what is
//! long is borrowed from the input, and lists end where their frame ends ([`list`]). So reading allocates
//! nothing, whatever the input announces.

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

/// Appends a value to `octets`. It cannot fail: the writer takes everything, the limit is one of reading, and no type of
/// the wire format (numbers, octets, text, and what is derived from those) has a value that has no form.
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

/// The values that fill `octets` one after the other; after a malformed one there are no more. A list on the wire
/// has no count: it ends where its frame ends, so that nobody can announce more than was sent.
pub fn list<'o, T: BorrowDecode<'o, ()>>(mut octets: &'o [u8]) -> impl Iterator<Item = Result<T, Malformed>> {
    std::iter::from_fn(move || {
        if octets.is_empty() {
            return None;
        }
        let read = decode(octets);
        octets = read.as_ref().map_or(&[][..], |(_, rest)| rest);
        Some(read.map(|(value, _)| value))
    })
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
    fn a_list_ends_with_its_octets_or_at_what_is_malformed() {
        let mut octets = Vec::new();
        encode(&mut octets, &(1u8, 300u32));
        encode(&mut octets, &(2u8, 4u32));
        let read: Result<Vec<(u8, u32)>, _> = list(&octets).collect();
        assert_eq!(read, Ok(vec![(1, 300), (2, 4)]));
        let cut: Vec<Result<(u8, u32), _>> = list(&octets[..octets.len() - 1]).collect();
        assert_eq!(cut, [Ok((1, 300)), Err(Malformed)]);
    }

    #[test]
    fn a_length_that_the_octets_cannot_fill_is_refused() {
        // 253 announces a length of eight octets.
        let octets = [253, 0xff, 0xff, 0x0f, 0, 0, 0, 0, 0];
        assert_eq!(decode::<&[u8]>(&octets).map(|_| ()), Err(Malformed));
    }
}
