//! The two small names that configuration itself must understand: a zone's origin and a node's label.

use super::value::Value;
use crate::base::limits::{LABEL_OCTETS_MAX, NAME_OCTETS_MAX};
use std::fmt;

/// A zone's origin in presentation form: absolute, with its final dot, in the case it was written.
/// It fits into 255 octets of wire form (RFC 1035 §2.3.4), so that turning it into a name cannot fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// A default; it stands in the table of keys, and a test reads it.
    pub(super) fn of(text: &'static str) -> Origin {
        Origin(text.to_owned())
    }

    /// True if both are written the same; case does not count.
    pub(super) fn is_same(&self, other: &Origin) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }

    /// The presentation form, final dot included.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Value for Origin {
    fn expected() -> String {
        "a domain name in ASCII, such as \"example.com.\" (others in their xn-- form)".to_owned()
    }

    fn parse(text: &str) -> Option<Origin> {
        if text == "." {
            return Some(Origin(text.to_owned()));
        }
        let octets = text.as_bytes();
        // The root's octet, then one for the length of each label.
        let (mut at, mut name_octets, mut label_octets) = (0, 1, 0);
        while let Some(&octet) = octets.get(at) {
            at += match octet {
                b'.' if label_octets == 0 => return None,
                b'.' => {
                    name_octets += 1 + label_octets;
                    label_octets = 0;
                    1
                }
                b'\\' => {
                    label_octets += 1;
                    1 + escaped(&octets[at + 1..])?
                }
                octet if octet.is_ascii_graphic() => {
                    label_octets += 1;
                    1
                }
                _ => return None,
            };
            if label_octets > LABEL_OCTETS_MAX {
                return None;
            }
        }
        let absolute = label_octets == 0;
        name_octets += if absolute { 0 } else { 1 + label_octets };
        let fits = !octets.is_empty() && name_octets <= NAME_OCTETS_MAX;
        fits.then(|| Origin(if absolute { text.to_owned() } else { format!("{text}.") }))
    }

    fn emit(&self) -> toml_edit::Value {
        self.0.emit()
    }
}

/// How many octets an escape takes after its backslash (RFC 1035 §5.1).
fn escaped(rest: &[u8]) -> Option<usize> {
    match rest {
        [a @ b'0'..=b'2', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
            let value = u32::from(a - b'0') * 100 + u32::from(b - b'0') * 10 + u32::from(c - b'0');
            (value <= 255).then_some(3)
        }
        [octet, ..] if octet.is_ascii_graphic() && !octet.is_ascii_digit() => Some(1),
        _ => None,
    }
}

/// True if the text can stand as one label of a host's name.
pub(super) fn is_label(text: &str) -> bool {
    (1..=LABEL_OCTETS_MAX).contains(&text.len())
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_names_that_fit() {
        let wide = format!("{0}.{0}.{0}.{1}", "b".repeat(63), "c".repeat(61));
        let parse = |text: &str| Origin::parse(text).map(|origin| origin.as_str().to_owned());
        for (text, absolute) in
            [(".", "."), ("a", "a."), ("a.b.", "a.b."), ("a\\.", "a\\.."), ("\\255.x", "\\255.x.")]
        {
            assert_eq!(parse(text).as_deref(), Some(absolute), "{text}");
        }
        assert!(parse(&wide).is_some() && parse(&"a.".repeat(127)).is_some());
        let long_label = "a".repeat(64);
        for text in [
            "",
            "..",
            ".a",
            "a..",
            "a b",
            "ü",
            "\\256",
            "\\9",
            "a\\",
            &long_label,
            &(wide + "c"),
            &"a.".repeat(128),
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
