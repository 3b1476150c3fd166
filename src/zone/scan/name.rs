//! Domain names from presentation form into wire form, without a length check per octet where none is needed.
//!
//! Its slower twin is [`Name::parse_relative`], which a property test holds against it.

use crate::base::limits::{LABEL_OCTETS_MAX, NAME_OCTETS_MAX};
use crate::wire::name::{Name, NameError};

/// A place to build names in, used again and again.
#[derive(Clone)]
pub struct NameBuffer {
    octets: [u8; NAME_OCTETS_MAX + 1],
    len: usize,
}

impl Default for NameBuffer {
    /// A buffer that holds no name yet.
    fn default() -> NameBuffer {
        NameBuffer { octets: [0; NAME_OCTETS_MAX + 1], len: 0 }
    }
}

impl NameBuffer {
    /// The wire form of the name built last; empty if there is none.
    #[inline]
    pub fn as_wire(&self) -> &[u8] {
        &self.octets[..self.len]
    }

    /// Takes over a name in wire form; nothing, if it is not one.
    pub fn set(&mut self, wire: &[u8]) {
        match self.octets.get_mut(..wire.len()) {
            Some(room) => room.copy_from_slice(wire),
            None => return,
        }
        self.len = wire.len();
    }

    /// Builds the name that `text` means below `origin`; `@` is the origin. On failure the name held
    /// before is lost.
    #[inline]
    pub fn build(&mut self, text: &[u8], escaped: bool, origin: &[u8]) -> Result<(), NameError> {
        self.len = 0;
        if !escaped && text.len() + 2 + origin.len() <= NAME_OCTETS_MAX && text.len() > 1 {
            return self.build_plain(text, origin);
        }
        self.build_slowly(text, origin)
    }

    /// No escapes and room for all: the text is copied one octet to the right, and every dot, and the
    /// octet before the text, becomes the length of the label behind it.
    #[inline]
    fn build_plain(&mut self, text: &[u8], origin: &[u8]) -> Result<(), NameError> {
        let end = text.len() + 1;
        self.octets[1..end].copy_from_slice(text);
        let mut length_at = 0;
        for (i, octet) in text.iter().enumerate() {
            if *octet == b'.' {
                let len = i - length_at;
                self.close_label(length_at, len)?;
                length_at = i + 1;
            }
        }
        let len = text.len() - length_at;
        if len == 0 {
            // The last dot is the root's octet.
            self.octets[length_at] = 0;
            self.len = length_at + 1;
            return Ok(());
        }
        self.close_label(length_at, len)?;
        self.octets[end..end + origin.len()].copy_from_slice(origin);
        self.len = end + origin.len();
        Ok(())
    }

    #[inline]
    fn close_label(&mut self, length_at: usize, len: usize) -> Result<(), NameError> {
        if len.wrapping_sub(1) >= LABEL_OCTETS_MAX {
            return Err(if len == 0 { NameError::EmptyLabel } else { NameError::LabelTooLong });
        }
        self.octets[length_at] = len as u8;
        Ok(())
    }

    fn build_slowly(&mut self, text: &[u8], origin: &[u8]) -> Result<(), NameError> {
        if text == b"@" {
            self.set(origin);
            return Ok(());
        }
        let name = Name::parse_relative(text, &Name::from_wire(origin)?)?;
        self.set(name.as_wire());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_fast_reader_agrees_with_its_naive_twin(
            text in "([ab.]{0,6}|[a-c*_-]{60,66}|[a.]{240,260}|\\\\[0-9]{0,3}|[a-z]{1,9}){1,4}",
            origin in "([a-z]{1,20}\\.){0,12}",
        ) {
            prop_assume!(text != "@");
            let origin = if origin.is_empty() { Name::ROOT } else { Name::parse(&origin).unwrap() };
            let mut buffer = NameBuffer::default();
            let fast = buffer.build(text.as_bytes(), text.contains('\\'), origin.as_wire());
            match Name::parse_relative(text.as_bytes(), &origin) {
                Ok(name) => prop_assert_eq!((fast, buffer.as_wire()), (Ok(()), name.as_wire())),
                Err(error) => prop_assert_eq!(fast, Err(error)),
            }
        }
    }

    #[test]
    fn the_lone_at_sign_is_the_origin() {
        let mut buffer = NameBuffer::default();
        buffer.build(b"@", false, b"\x03edu\0").unwrap();
        assert_eq!(buffer.as_wire(), b"\x03edu\0");
        buffer.build(b".", false, b"\x03edu\0").unwrap();
        assert_eq!(buffer.as_wire(), b"\0");
        buffer.build(b"\\@", true, b"\x03edu\0").unwrap();
        assert_eq!(buffer.as_wire(), b"\x01@\x03edu\0");
    }
}
