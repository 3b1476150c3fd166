//! Checks RDATA in wire form against the layout of its type, field by field, and measures each field.
//!
//! What comes as `\# n hex` and what comes over the wire pass here; text readers make nothing that fails here.

use super::layout::{Field, layout};
use super::svcb;
use crate::base::limits::{NAME_OCTETS_MAX, RDATA_OCTETS_MAX};
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use std::fmt;

/// RDATA that is not of its type's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// The octet of the RDATA, counted from 0, at which the field begins that does not fit.
    pub at: usize,
    /// What should have stood there.
    pub expected: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {} at octet {} of the RDATA", self.expected, self.at)
    }
}

impl std::error::Error for Malformed {}

/// Checks that `rdata` is what `rtype` demands, to the last octet; of unknown types only the length is checked.
pub fn validate(rtype: RecordType, rdata: &[u8]) -> Result<(), Malformed> {
    if rdata.len() > RDATA_OCTETS_MAX {
        return Err(Malformed { at: RDATA_OCTETS_MAX, expected: "at most 65535 octets" });
    }
    let mut at = 0;
    for field in layout(rtype) {
        at += field.measure(&rdata[at..]).map_err(|expected| Malformed { at, expected })?;
    }
    if at < rdata.len() {
        return Err(Malformed { at, expected: "nothing more" });
    }
    Ok(())
}

impl Field {
    /// How many octets at the start of `rest` this field takes; otherwise what was expected there.
    pub(super) fn measure(self, rest: &[u8]) -> Result<usize, &'static str> {
        match self {
            Field::U8 | Field::Algorithm => fixed(rest, 1, "a number of 8 bits"),
            Field::U16 | Field::CertificateType => fixed(rest, 2, "a number of 16 bits"),
            Field::TypeCovered => fixed(rest, 2, "a record type"),
            Field::U32 | Field::Seconds | Field::Timestamp => fixed(rest, 4, "a number of 32 bits"),
            Field::Ipv4 => fixed(rest, 4, "an IPv4 address"),
            Field::Ipv6 => fixed(rest, 16, "an IPv6 address"),
            Field::Eui48 => fixed(rest, 6, "six octets"),
            Field::Eui64 | Field::Locator64 => fixed(rest, 8, "eight octets"),
            Field::Location => location(rest),
            Field::Name(_) => name(rest),
            Field::CharString => char_string(rest),
            Field::DigitString => char_string_of(rest, "at least four digits", |s| {
                s.len() >= 4 && s.iter().all(u8::is_ascii_digit)
            }),
            Field::DecimalString => char_string_of(rest, "a decimal fraction", is_decimal),
            Field::Tag => char_string_of(rest, "a tag of letters and digits", is_tag),
            Field::Salt => char_string(rest),
            Field::Hash => char_string_of(rest, "a hash that is not empty", |s| !s.is_empty()),
            Field::CharStrings => char_strings(rest),
            Field::CharStringOptional if rest.is_empty() => Ok(0),
            Field::CharStringOptional => char_string(rest),
            Field::Text | Field::Hex | Field::Nsap | Field::Base64 if rest.is_empty() => {
                Err("at least one octet")
            }
            Field::Text | Field::Hex | Field::Nsap | Field::Base64 => Ok(rest.len()),
            Field::TextOrEmpty | Field::Base64OrEmpty | Field::Opaque => Ok(rest.len()),
            Field::TypeBitmap => type_bitmap(rest),
            Field::NxtBitmap => nxt_bitmap(rest),
            Field::Prefixes => prefixes(rest),
            Field::IpsecGateway => ipsec_gateway(rest),
            Field::AmtRelay => amt_relay(rest),
            Field::HostIdentity => host_identity(rest),
            Field::SvcParams => svcb::measure(rest),
        }
    }
}

fn fixed(rest: &[u8], len: usize, expected: &'static str) -> Result<usize, &'static str> {
    if rest.len() >= len { Ok(len) } else { Err(expected) }
}

fn name(rest: &[u8]) -> Result<usize, &'static str> {
    const EXPECTED: &str = "an uncompressed domain name of at most 255 octets";
    let head = &rest[..rest.len().min(NAME_OCTETS_MAX)];
    Name::from_wire(head).map(|name| name.as_wire().len()).map_err(|_| EXPECTED)
}

fn char_string(rest: &[u8]) -> Result<usize, &'static str> {
    match rest.split_first() {
        Some((len, string)) if string.len() >= usize::from(*len) => Ok(1 + usize::from(*len)),
        _ => Err("a character string"),
    }
}

fn char_string_of(
    rest: &[u8],
    expected: &'static str,
    fits: impl Fn(&[u8]) -> bool,
) -> Result<usize, &'static str> {
    let len = char_string(rest)?;
    if fits(&rest[1..len]) { Ok(len) } else { Err(expected) }
}

/// True for an optional sign, digits and an optional fraction (RFC 1712 §3).
pub(super) fn is_decimal(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    let dots = digits.iter().filter(|c| **c == b'.').count();
    digits.iter().all(|c| c.is_ascii_digit() || *c == b'.') && dots <= 1 && digits.len() > dots
}

/// True for the tag of a CAA record (RFC 8659 §4.1).
pub(super) fn is_tag(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_alphanumeric)
}

fn char_strings(rest: &[u8]) -> Result<usize, &'static str> {
    let mut at = char_string(rest)?;
    while at < rest.len() {
        at += char_string(&rest[at..])?;
    }
    Ok(at)
}

/// Windows in rising order, each of 1 to 32 octets, the last not zero (RFC 4034 §4.1.2).
fn type_bitmap(rest: &[u8]) -> Result<usize, &'static str> {
    const EXPECTED: &str = "windows of a type bitmap in rising order";
    let (mut at, mut last) = (0, None);
    while at < rest.len() {
        let [window, len, ..] = rest[at..] else { return Err(EXPECTED) };
        let bits = rest.get(at + 2..at + 2 + usize::from(len)).ok_or(EXPECTED)?;
        if last >= Some(window) || bits.len() > 32 || bits.last().is_none_or(|octet| *octet == 0) {
            return Err(EXPECTED);
        }
        last = Some(window);
        at += 2 + bits.len();
    }
    Ok(at)
}

/// At most 16 octets, bit 0 clear, the last octet not zero (RFC 2535 §5.2).
fn nxt_bitmap(rest: &[u8]) -> Result<usize, &'static str> {
    match (rest.first(), rest.last()) {
        (Some(first), Some(last)) if rest.len() <= 16 && first & 0x80 == 0 && *last != 0 => Ok(rest.len()),
        _ => Err("a bitmap of the types below 128"),
    }
}

/// Family, prefix length, negation and length, address without trailing zeros (RFC 3123 §4).
fn prefixes(rest: &[u8]) -> Result<usize, &'static str> {
    const EXPECTED: &str = "an address prefix";
    let mut at = 0;
    while at < rest.len() {
        let [family_high, family_low, prefix, flags, ..] = rest[at..] else { return Err(EXPECTED) };
        let address = rest.get(at + 4..at + 4 + usize::from(flags & 0x7f)).ok_or(EXPECTED)?;
        let fits = match u16::from_be_bytes([family_high, family_low]) {
            1 => prefix <= 32 && address.len() <= 4,
            2 => prefix <= 128 && address.len() <= 16,
            _ => true,
        };
        if !fits || address.last() == Some(&0) {
            return Err(EXPECTED);
        }
        at += 4 + address.len();
    }
    Ok(at)
}

/// The length of a gateway or relay of the given type (RFC 4025 §2.3, RFC 8777 §4.2.3).
fn gateway(kind: u8, rest: &[u8]) -> Result<usize, &'static str> {
    match kind {
        0 => Ok(0),
        1 => fixed(rest, 4, "an IPv4 gateway"),
        2 => fixed(rest, 16, "an IPv6 gateway"),
        3 => name(rest),
        _ => Err("a gateway type from 0 to 3"),
    }
}

fn ipsec_gateway(rest: &[u8]) -> Result<usize, &'static str> {
    let [kind, algorithm, ref body @ ..] = *rest else { return Err("a gateway type and an algorithm") };
    let key = body.len() - gateway(kind, body)?;
    if (algorithm == 0) == (key == 0) {
        Ok(rest.len())
    } else {
        Err("a public key if, and only if, the algorithm is not 0")
    }
}

fn amt_relay(rest: &[u8]) -> Result<usize, &'static str> {
    let (kind, body) = rest.split_first().ok_or("a relay type")?;
    Ok(1 + gateway(kind & 0x7f, body)?)
}

fn host_identity(rest: &[u8]) -> Result<usize, &'static str> {
    let [hit, _algorithm, key_high, key_low, ref body @ ..] = *rest else {
        return Err("the lengths of a HIT and its key");
    };
    let (hit, key) = (usize::from(hit), usize::from(u16::from_be_bytes([key_high, key_low])));
    if hit == 0 || key == 0 || body.len() < hit + key {
        return Err("a HIT and its key");
    }
    let mut at = 4 + hit + key;
    while at < rest.len() {
        at += name(&rest[at..])?;
    }
    Ok(at)
}

/// Version 0 and sizes of one digit times a power of ten (RFC 1876 §2).
fn location(rest: &[u8]) -> Result<usize, &'static str> {
    const EXPECTED: &str = "a location of version 0";
    let [version, ref sizes @ ..] = *rest.get(..16).ok_or(EXPECTED)? else { return Err(EXPECTED) };
    let sized = sizes[..3].iter().all(|size| size >> 4 <= 9 && size & 15 <= 9);
    if version == 0 && sized { Ok(16) } else { Err(EXPECTED) }
}
