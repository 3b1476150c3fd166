//! Domain names in uncompressed wire form (RFC 1035 §3.1), and their presentation form (§5.1, RFC 4343).
//!
//! A [`Name`] keeps the case it came with; comparing ignores the case of ASCII letters. Its *key* is the
//! same name with the letters lowered: length octets are at most 63, below `A`, so the whole wire form can
//! be lowered without looking at label borders.

use crate::base::limits::{LABEL_OCTETS_MAX, NAME_OCTETS_MAX};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// An absolute domain name: at most 255 octets in wire form, the root's zero octet included.
#[derive(Clone)]
pub struct Name {
    len: u8,
    octets: [u8; NAME_OCTETS_MAX],
}

/// Why octets or text are not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameError {
    /// The name has more than 255 octets in wire form.
    NameTooLong,
    /// A label has more than 63 octets.
    LabelTooLong,
    /// A label has no octets (two dots in a row, or a leading dot).
    EmptyLabel,
    /// A backslash is followed by neither a character nor three digits up to 255.
    BadEscape,
    /// The octets end within the name, or a label type is neither ordinary nor allowed here.
    Malformed,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NameError::NameTooLong => "the name is longer than 255 octets",
            NameError::LabelTooLong => "a label is longer than 63 octets",
            NameError::EmptyLabel => "a label is empty",
            NameError::BadEscape => {
                "a backslash must be followed by a character or by three digits up to 255"
            }
            NameError::Malformed => "the name is malformed",
        })
    }
}

impl std::error::Error for NameError {}

impl Name {
    /// The root.
    pub const ROOT: Name = Name { len: 1, octets: [0; NAME_OCTETS_MAX] };

    /// The name at the start of `octets`, which may go on after it; compression pointers are refused.
    pub fn from_wire(octets: &[u8]) -> Result<Name, NameError> {
        let mut at = 0;
        loop {
            match octets.get(at) {
                None => return Err(NameError::Malformed),
                Some(0) => break,
                Some(&len) if usize::from(len) <= LABEL_OCTETS_MAX => at += 1 + usize::from(len),
                Some(_) => return Err(NameError::Malformed),
            }
            if at >= NAME_OCTETS_MAX {
                return Err(NameError::NameTooLong);
            }
        }
        let mut name = Name::ROOT;
        name.octets[..=at].copy_from_slice(&octets[..=at]);
        name.len = (at + 1) as u8;
        Ok(name)
    }

    /// The name in presentation form; without a final dot it is taken as absolute all the same.
    pub fn parse(text: &str) -> Result<Name, NameError> {
        Name::parse_relative(text.as_bytes(), &Name::ROOT)
    }

    /// The name in presentation form; without a final dot it is relative to `origin` (RFC 1035 §5.1).
    /// `.` is the root; the bare `@` is not special here.
    pub fn parse_relative(text: &[u8], origin: &Name) -> Result<Name, NameError> {
        if text == b"." {
            return Ok(Name::ROOT);
        }
        let mut name = Name::ROOT;
        let (mut length_at, mut end, mut i) = (0usize, 1usize, 0usize);
        let mut absolute = false;
        while i < text.len() {
            let octet = match text[i] {
                b'.' => {
                    if end == length_at + 1 {
                        return Err(NameError::EmptyLabel);
                    }
                    name.octets[length_at] = (end - length_at - 1) as u8;
                    if end >= NAME_OCTETS_MAX {
                        return Err(NameError::NameTooLong);
                    }
                    length_at = end;
                    end += 1;
                    i += 1;
                    absolute = i == text.len();
                    continue;
                }
                b'\\' => {
                    let (octet, used) = unescape(&text[i + 1..]).ok_or(NameError::BadEscape)?;
                    i += used;
                    octet
                }
                octet => octet,
            };
            i += 1;
            if end - length_at > LABEL_OCTETS_MAX {
                return Err(NameError::LabelTooLong);
            }
            if end >= NAME_OCTETS_MAX {
                return Err(NameError::NameTooLong);
            }
            name.octets[end] = octet;
            end += 1;
        }
        if absolute {
            // `length_at` stands on the root's octet.
            name.octets[length_at] = 0;
            name.len = (length_at + 1) as u8;
            return Ok(name);
        }
        if end == length_at + 1 {
            return Err(NameError::EmptyLabel);
        }
        name.octets[length_at] = (end - length_at - 1) as u8;
        let suffix = origin.as_wire();
        let Some(room) = name.octets.get_mut(end..end + suffix.len()) else {
            return Err(NameError::NameTooLong);
        };
        room.copy_from_slice(suffix);
        name.len = (end + suffix.len()) as u8;
        Ok(name)
    }

    /// The wire form, the root's zero octet included, in its own case.
    #[inline]
    pub fn as_wire(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }

    /// The same name with its letters lowered.
    pub fn to_lowercase(&self) -> Name {
        let mut lowered = self.clone();
        lowered.octets[..usize::from(self.len)].make_ascii_lowercase();
        lowered
    }

    /// True for the root.
    pub fn is_root(&self) -> bool {
        self.len == 1
    }

    /// The labels from left to right, the root's empty one not among them.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        labels(self.as_wire())
    }

    /// How many labels there are, the root not counted (RFC 4034 §3.1.3 counts so too, but for wildcards).
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// The name without its first label; `None` for the root.
    pub fn parent(&self) -> Option<Name> {
        if self.is_root() {
            return None;
        }
        Name::from_wire(&self.as_wire()[1 + usize::from(self.octets[0])..]).ok()
    }

    /// True if this name is `ancestor` or lies below it.
    pub fn is_at_or_below(&self, ancestor: &Name) -> bool {
        is_at_or_below(self.as_wire(), ancestor.as_wire())
    }

    /// True if the first label is a lone `*` (RFC 4592 §2.1.1).
    pub fn is_wildcard(&self) -> bool {
        self.as_wire().starts_with(b"\x01*")
    }
}

/// The labels of a whole uncompressed wire-form name, from left to right, the root's not among them.
pub fn labels(wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = wire;
    std::iter::from_fn(move || {
        let (&len, tail) = rest.split_first()?;
        if len == 0 {
            return None;
        }
        let (label, next) = tail.split_at_checked(usize::from(len))?;
        rest = next;
        Some(label)
    })
}

/// True if the wire-form name is `ancestor` or lies below it; case does not count.
pub fn is_at_or_below(wire: &[u8], ancestor: &[u8]) -> bool {
    let Some(cut) = wire.len().checked_sub(ancestor.len()) else { return false };
    let mut at = 0;
    while at < cut {
        at += 1 + usize::from(wire[at]);
    }
    at == cut && wire[cut..].eq_ignore_ascii_case(ancestor)
}

/// Reads what follows a backslash: the octet meant and how many characters it took.
pub fn unescape(text: &[u8]) -> Option<(u8, usize)> {
    match *text {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
            let value = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
            u8::try_from(value).ok().map(|octet| (octet, 3))
        }
        [b'0'..=b'9', ..] | [] => None,
        [octet, ..] => Some((octet, 1)),
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Name, NameError> {
        Name::parse(text)
    }
}

impl fmt::Display for Name {
    /// Absolute, with the final dot; what is not printable or special stands escaped (RFC 1035 §5.1).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        for label in self.labels() {
            for &octet in label {
                match octet {
                    b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
                        write!(f, "\\{}", octet as char)?
                    }
                    0x21..=0x7e => write!(f, "{}", octet as char)?,
                    _ => write!(f, "\\{octet:03}")?,
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        self.as_wire().eq_ignore_ascii_case(other.as_wire())
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.to_lowercase().as_wire());
    }
}

impl Ord for Name {
    /// Canonical order (RFC 4034 §6.1): by labels from the right, lower-cased, as octets.
    fn cmp(&self, other: &Name) -> std::cmp::Ordering {
        let (a, b) = (self.to_lowercase(), other.to_lowercase());
        let mut left: Vec<&[u8]> = a.labels().collect();
        let mut right: Vec<&[u8]> = b.labels().collect();
        left.reverse();
        right.reverse();
        left.cmp(&right)
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn text_and_wire_agree() {
        assert_eq!(name("www.Groucho.edu.").as_wire(), b"\x03www\x07Groucho\x03edu\x00");
        assert_eq!(name(".").as_wire(), b"\0");
        assert_eq!(name("a\\.b.c").as_wire(), b"\x03a.b\x01c\x00");
        assert_eq!(name("\\097\\000").as_wire(), b"\x02a\x00\x00");
        for text in ["www.Groucho.edu.", ".", "a\\.b.c.", "\\000\\255.", "\\@.x."] {
            assert_eq!(name(text).to_string(), text);
        }
    }

    #[test]
    fn a_relative_name_gets_its_origin() {
        let origin = name("groucho.edu.");
        assert_eq!(Name::parse_relative(b"www", &origin).unwrap(), name("www.groucho.edu."));
        assert_eq!(Name::parse_relative(b"www.", &origin).unwrap(), name("www."));
    }

    #[test]
    fn what_is_not_a_name_is_refused_with_its_reason() {
        let long_label = "a".repeat(64);
        let long_name = "abcdefg.".repeat(32);
        for (text, error) in [
            ("a..b", NameError::EmptyLabel),
            (".a", NameError::EmptyLabel),
            ("", NameError::EmptyLabel),
            (&long_label, NameError::LabelTooLong),
            (&long_name, NameError::NameTooLong),
            ("a\\", NameError::BadEscape),
            ("a\\25", NameError::BadEscape),
            ("a\\256", NameError::BadEscape),
        ] {
            assert_eq!(Name::parse(text).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn the_longest_names_fit() {
        let labels = "a.".repeat(127);
        assert_eq!(name(&labels).as_wire().len(), 255);
        assert_eq!(Name::parse(&"a.".repeat(128)).unwrap_err(), NameError::NameTooLong);
        let wide = format!("{0}.{0}.{0}.{1}", "b".repeat(63), "c".repeat(61));
        assert_eq!(name(&wide).as_wire().len(), 255);
        assert_eq!(name(&format!("{wide}.")).as_wire().len(), 255);
        assert_eq!(Name::from_wire(name(&wide).as_wire()).unwrap(), name(&wide));
    }

    #[test]
    fn case_does_not_count_but_is_kept() {
        assert_eq!(name("WWW.Example."), name("www.eXAMPLE."));
        assert_eq!(name("WWW.Example.").to_string(), "WWW.Example.");
    }

    #[test]
    fn ancestry_respects_label_borders() {
        assert!(name("www.example.").is_at_or_below(&name("EXAMPLE.")));
        assert!(name("example.").is_at_or_below(&name("example.")));
        assert!(name("example.").is_at_or_below(&Name::ROOT));
        assert!(!name("wwwexample.").is_at_or_below(&name("example.")));
        assert!(!name("example.").is_at_or_below(&name("www.example.")));
        assert!(!name("x\\007example.").is_at_or_below(&name("example.")));
    }

    #[test]
    fn canonical_order_is_that_of_rfc_4034() {
        let sorted = [
            "example.",
            "a.example.",
            "yljkjljk.a.example.",
            "Z.a.example.",
            "zABC.a.EXAMPLE.",
            "z.example.",
            "\\001.z.example.",
            "*.z.example.",
            "\\200.z.example.",
        ];
        assert!(sorted.windows(2).all(|pair| name(pair[0]) < name(pair[1])));
    }
}
