//! Labels of names, and names made of them.

use crate::base::limits::{LABEL_OCTETS_MAX, NAME_OCTETS_MAX};
use crate::discovery::label::label;
use crate::discovery::names::Key;
use crate::wire::name::Name;

/// The label for what somebody called something; none if it has no octets.
pub(super) fn of(text: &str) -> Option<Box<[u8]>> {
    label(text).map(Vec::into_boxed_slice)
}

/// The label `_text`, as RFC 2782 has it for ports and protocols.
pub(super) fn underscored(text: &str) -> Option<Box<[u8]>> {
    let label = label(&format!("_{text}"))?;
    (label.len() > 1).then(|| label.into())
}

/// True for a label that is read as a slot.
pub(super) fn is_number(label: &[u8]) -> bool {
    !label.is_empty() && label.iter().all(u8::is_ascii_digit)
}

/// The key of these labels; none if the name would be too long in this domain.
pub(super) fn key<'l>(labels: impl IntoIterator<Item = &'l [u8]>, domain: &Name) -> Option<Key> {
    let mut wire = Vec::new();
    for label in labels {
        debug_assert!((1..=LABEL_OCTETS_MAX).contains(&label.len()), "no label");
        wire.push(label.len() as u8);
        wire.extend_from_slice(label);
    }
    (wire.len() + domain.as_wire().len() <= NAME_OCTETS_MAX).then(|| wire.into())
}

/// The absolute name of a key, in wire form and lower case.
pub(super) fn absolute(key: &[u8], domain: &Name) -> Box<[u8]> {
    [key, domain.to_lowercase().as_wire()].concat().into()
}
