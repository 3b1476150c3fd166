//! Hexadecimal, base64 and base32hex (RFC 4648), and the escapes of character strings (RFC 1035 §5.1).
//!
//! The decoders take one piece of text after another, because such data may be cut by blanks anywhere.

use super::number::hex_digit;
use crate::wire::name::unescape;
use std::fmt::{self, Write};

/// Hexadecimal cut anywhere, even between the two digits of an octet.
#[derive(Default)]
pub(super) struct HexDecoder {
    pending: Option<u8>,
}

impl HexDecoder {
    /// Takes one piece; false if it is not hexadecimal.
    pub(super) fn push(&mut self, text: &[u8], out: &mut Vec<u8>) -> bool {
        for octet in text {
            let Some(digit) = hex_digit(*octet) else { return false };
            match self.pending.take() {
                None => self.pending = Some(digit),
                Some(high) => out.push(high << 4 | digit),
            }
        }
        true
    }

    /// True if no digit is left without its second.
    pub(super) fn is_whole(&self) -> bool {
        self.pending.is_none()
    }
}

/// Base64 cut anywhere; padding is required.
#[derive(Default)]
pub(super) struct Base64Decoder {
    bits: u32,
    digits: u8,
    padding: u8,
}

impl Base64Decoder {
    /// Takes one piece; false if it is not base64, or goes on after padding.
    pub(super) fn push(&mut self, text: &[u8], out: &mut Vec<u8>) -> bool {
        for octet in text {
            if *octet == b'=' {
                self.padding += 1;
                if self.digits < 2 || self.digits + self.padding > 4 {
                    return false;
                }
                continue;
            }
            let Some(digit) = base64_digit(*octet) else { return false };
            if self.padding > 0 {
                return false;
            }
            self.bits = self.bits << 6 | u32::from(digit);
            self.digits += 1;
            if self.digits == 4 {
                out.extend_from_slice(&self.bits.to_be_bytes()[1..]);
                (self.bits, self.digits) = (0, 0);
            }
        }
        true
    }

    /// Ends the data; false if it breaks off within four digits.
    pub(super) fn finish(self, out: &mut Vec<u8>) -> bool {
        match (self.digits, self.padding) {
            (0, 0) => true,
            (2, 2) => {
                out.push((self.bits >> 4) as u8);
                true
            }
            (3, 1) => {
                out.extend_from_slice(&[(self.bits >> 10) as u8, (self.bits >> 2) as u8]);
                true
            }
            _ => false,
        }
    }
}

fn base64_digit(octet: u8) -> Option<u8> {
    match octet {
        b'A'..=b'Z' => Some(octet - b'A'),
        b'a'..=b'z' => Some(octet - b'a' + 26),
        b'0'..=b'9' => Some(octet - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

/// Base32hex in one piece, with its padding or without (RFC 5155 §3.3 leaves it out); false if it is none.
pub(super) fn push_base32hex(text: &[u8], out: &mut Vec<u8>) -> bool {
    let digits = text.iter().rposition(|octet| *octet != b'=').map_or(0, |last| last + 1);
    let padded = digits == text.len() || text.len().is_multiple_of(8) && text.len() - digits < 8;
    if !padded || matches!(digits % 8, 1 | 3 | 6) {
        return false;
    }
    let (mut bits, mut have) = (0u32, 0);
    for octet in &text[..digits] {
        let digit = match octet {
            b'0'..=b'9' => octet - b'0',
            b'a'..=b'v' => octet - b'a' + 10,
            b'A'..=b'V' => octet - b'A' + 10,
            _ => return false,
        };
        bits = (bits << 5 | u32::from(digit)) & 0xfff;
        have += 5;
        if have >= 8 {
            have -= 8;
            out.push((bits >> have) as u8);
        }
    }
    true
}

/// Undoes the escapes of a character string; false if one is malformed.
#[inline]
pub(super) fn push_unescaped(text: &[u8], escaped: bool, out: &mut Vec<u8>) -> bool {
    if !escaped {
        out.extend_from_slice(text);
        return true;
    }
    let mut i = 0;
    while i < text.len() {
        let mut octet = text[i];
        i += 1;
        if octet == b'\\' {
            let Some((meant, used)) = unescape(&text[i..]) else { return false };
            octet = meant;
            i += used;
        }
        out.push(octet);
    }
    true
}

/// Prints octets as lower-case hexadecimal.
pub(super) fn write_hex(octets: &[u8], out: &mut dyn Write) -> fmt::Result {
    octets.iter().try_for_each(|octet| write!(out, "{octet:02x}"))
}

/// Prints octets as base64 with padding.
pub(super) fn write_base64(octets: &[u8], out: &mut dyn Write) -> fmt::Result {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in octets.chunks(3) {
        let at = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i) & 63) as usize];
            out.write_char(if i <= chunk.len() { char::from(digit) } else { '=' })?;
        }
    }
    Ok(())
}

/// Prints octets as base32hex without padding, in lower case.
pub(super) fn write_base32hex(octets: &[u8], out: &mut dyn Write) -> fmt::Result {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let (mut bits, mut have) = (0u32, 0);
    for octet in octets {
        bits = (bits << 8 | u32::from(*octet)) & 0xfff;
        have += 8;
        while have >= 5 {
            have -= 5;
            out.write_char(char::from(DIGITS[(bits >> have & 31) as usize]))?;
        }
    }
    if have > 0 {
        out.write_char(char::from(DIGITS[(bits << (5 - have) & 31) as usize]))?;
    }
    Ok(())
}

/// Prints octets as one character string in quotes.
pub(super) fn write_quoted(octets: &[u8], out: &mut dyn Write) -> fmt::Result {
    out.write_char('"')?;
    write_escaped(octets, out)?;
    out.write_char('"')
}

/// Prints octets as they stand between quotes.
pub(super) fn write_escaped(octets: &[u8], out: &mut dyn Write) -> fmt::Result {
    for octet in octets {
        match octet {
            b'"' | b'\\' => write!(out, "\\{}", char::from(*octet))?,
            0x20..=0x7e => out.write_char(char::from(*octet))?,
            _ => write!(out, "\\{octet:03}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn base64(pieces: &[&str]) -> Option<Vec<u8>> {
        let (mut decoder, mut out) = (Base64Decoder::default(), Vec::new());
        let all = pieces.iter().all(|piece| decoder.push(piece.as_bytes(), &mut out));
        (all && decoder.finish(&mut out)).then_some(out)
    }

    #[test]
    fn base64_reads_the_vectors_of_rfc_4648_and_nothing_broken() {
        for (pieces, octets) in [
            (&[""][..], Some("")),
            (&["Zg=="], Some("f")),
            (&["Zm8="], Some("fo")),
            (&["Zm9v"], Some("foo")),
            (&["Z", "m9vYm", "E="], Some("fooba")),
            (&["Zg="], None),
            (&["Zg"], None),
            (&["Z==="], None),
            (&["Zg==Zg=="], None),
            (&["Zg=g"], None),
            (&["Zg===="], None),
            (&["Zm9*"], None),
        ] {
            assert_eq!(base64(pieces), octets.map(|o| o.as_bytes().to_vec()), "{pieces:?}");
        }
    }

    #[test]
    fn base32hex_reads_the_vectors_of_rfc_4648_with_and_without_padding() {
        for (text, octets) in [
            ("CO======", Some("f")),
            ("CPNG====", Some("fo")),
            ("cpnmu===", Some("foo")),
            ("cpnmuog", Some("foob")),
            ("CPNMUOJ1E8======", Some("foobar")),
            ("c", None),
            ("cpn", None),
            ("CO=====", None),
            ("cw", None),
            ("c=o", None),
            ("CPNMUOJ1========", None),
        ] {
            let mut out = Vec::new();
            let read = push_base32hex(text.as_bytes(), &mut out).then_some(out);
            assert_eq!(read, octets.map(|o| o.as_bytes().to_vec()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(octets in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut text = String::new();
            write_base64(&octets, &mut text).unwrap();
            prop_assert_eq!(base64(&[&text]), Some(octets.clone()));
            let (mut text, mut out) = (String::new(), Vec::new());
            write_base32hex(&octets, &mut text).unwrap();
            prop_assert!(push_base32hex(text.as_bytes(), &mut out));
            prop_assert_eq!(&out, &octets);
            let (mut text, mut out) = (String::new(), Vec::new());
            write_escaped(&octets, &mut text).unwrap();
            prop_assert!(push_unescaped(text.as_bytes(), true, &mut out));
            prop_assert_eq!(&out, &octets);
        }
    }
}
