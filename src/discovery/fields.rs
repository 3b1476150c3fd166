//! Entries with many parts, each under a tag of its own, so that a later program can add some that an earlier one skips.
//!
//! ```text
//! value: 1 | ( tag (1) | length (2) | octets ) ...      tags rise; a part that there may be more of repeats its tag
//! ```
//!
//! A part may consist of parts itself. What nobody knows is skipped; what is known must be well-formed. A part that says
//! the usual is left out.

use crate::discovery::entry::{Octets, Poison};

const LAYOUT: u8 = 1;
/// Octets of a whole value: a stream carries it in one piece, and a thousand of them are still little.
pub const VALUE_OCTETS_MAX: usize = 16 << 10;

/// An entry that others would not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge {
    /// Octets that it takes.
    pub octets: usize,
}

impl std::fmt::Display for TooLarge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "it takes {} octets of at most {VALUE_OCTETS_MAX}: use fewer labels or aliases",
            self.octets
        )
    }
}

impl std::error::Error for TooLarge {}

/// Writes parts, by rising tag.
#[derive(Default)]
pub(super) struct Fields(Vec<u8>);

impl Fields {
    /// A whole value.
    pub(super) fn value() -> Fields {
        Fields(vec![LAYOUT])
    }

    /// One part.
    pub(super) fn put(&mut self, tag: u8, octets: &[u8]) {
        self.0.push(tag);
        // No text is longer than 255 octets and no whole than 16 bits tell, else [`Fields::end`] refuses it.
        self.0.extend((octets.len() as u16).to_be_bytes());
        self.0.extend_from_slice(octets);
    }

    /// A text, unless it is empty.
    pub(super) fn text(&mut self, tag: u8, text: &str) {
        if !text.is_empty() {
            self.put(tag, text.as_bytes());
        }
    }

    /// An octet, unless it is not there.
    pub(super) fn octet(&mut self, tag: u8, octet: Option<u8>) {
        if let Some(octet) = octet {
            self.put(tag, &[octet]);
        }
    }

    /// A number, unless it is not there.
    pub(super) fn number(&mut self, tag: u8, number: Option<u32>) {
        if let Some(number) = number {
            self.put(tag, &number.to_be_bytes());
        }
    }

    /// A part that consists of parts.
    pub(super) fn nested(&mut self, tag: u8, fill: impl FnOnce(&mut Fields)) {
        let mut inner = Fields::default();
        fill(&mut inner);
        self.put(tag, &inner.0);
    }

    /// The octets, if they are not too many.
    pub(super) fn end(self) -> Result<Vec<u8>, TooLarge> {
        let octets = self.0.len();
        if octets > VALUE_OCTETS_MAX { Err(TooLarge { octets }) } else { Ok(self.0) }
    }
}

/// Hands each part of a whole value to `each`, which skips the tags it does not know.
pub(super) fn read_value(
    value: &[u8],
    each: impl FnMut(u8, Octets<'_>) -> Result<(), Poison>,
) -> Result<(), Poison> {
    let mut octets = Octets(value);
    octets.version(LAYOUT)?;
    if value.len() > VALUE_OCTETS_MAX {
        return Err(Poison::Layout);
    }
    read(octets, each)
}

/// The same of a part that consists of parts.
pub(super) fn read(
    mut octets: Octets<'_>,
    mut each: impl FnMut(u8, Octets<'_>) -> Result<(), Poison>,
) -> Result<(), Poison> {
    let mut last = 0;
    while !octets.0.is_empty() {
        let tag = octets.u8()?;
        let len = octets.u16()?;
        let part = octets.take(usize::from(len))?;
        if tag < last {
            return Err(Poison::NotCanonical);
        }
        last = tag;
        each(tag, Octets(part))?;
    }
    Ok(())
}

impl Octets<'_> {
    /// All that is left, as text.
    pub(super) fn text(self) -> Result<String, Poison> {
        std::str::from_utf8(self.0).map(str::to_owned).map_err(|_| Poison::Layout)
    }

    /// The one octet that is left.
    pub(super) fn only_octet(mut self) -> Result<u8, Poison> {
        let octet = self.u8()?;
        self.end().map(|()| octet)
    }

    /// The one number that is left.
    pub(super) fn only_number(mut self) -> Result<u32, Poison> {
        let number = self.u32()?;
        self.end().map(|()| number)
    }
}
