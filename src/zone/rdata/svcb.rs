//! Service parameters of SVCB and HTTPS records (RFC 9460 §2.1, §2.2, appendix A): text, checks, print.

use super::encoding::{Base64Decoder, push_unescaped, write_base64, write_escaped};
use super::number;
use super::read::{Reader, bad_escape};
use crate::base::octets::u16_at;
use crate::zone::scan::{Scanned, Token, complaint};
use std::borrow::Cow;
use std::fmt::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6HINT: u16 = 6;
const OHTTP: u16 = 8;

/// RFC 9460 §14.3.2, RFC 9461 §5, RFC 9540 §4; the number is the place in the list.
const KEYS: [&str; 9] =
    ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp"];

/// The octets of key and length before a value.
const HEAD: usize = 4;

/// Reads parameters to the end of the entry and sorts them by key.
pub(super) fn read(reader: &mut Reader<'_, '_>) -> Scanned<()> {
    let start = reader.out.len();
    let mut first = None;
    while !reader.scanner.at_end()? {
        let token = reader.scanner.pair("a service parameter")?;
        first.get_or_insert(token.spot);
        let at = reader.out.len();
        push(&token, reader.out)?;
        if reader.out.len() > crate::base::limits::RDATA_OCTETS_MAX {
            return Err(token.unlike("at most 65535 octets of RDATA"));
        }
        let key = u16_at(reader.out, at).unwrap_or(0);
        if let Err(expected) = check_value(key, &reader.out[at + HEAD..]) {
            return Err(token.unlike(expected));
        }
        match place_of(key, &reader.out[start..at]) {
            Some(place) => {
                let len = reader.out.len() - at;
                reader.out[start + place..].rotate_right(len);
            }
            None => return Err(token.unlike("each key once")),
        }
    }
    match (measure(&reader.out[start..]), first) {
        (Err(expected), Some(spot)) => Err(complaint(spot, format!("expected {expected}"))),
        _ => Ok(()),
    }
}

/// Where in sorted parameters one of `key` belongs; nothing if the key is there already.
fn place_of(key: u16, params: &[u8]) -> Option<usize> {
    let mut at = 0;
    for (present, value) in iter(params) {
        match present.cmp(&key) {
            std::cmp::Ordering::Less => at += HEAD + value.len(),
            std::cmp::Ordering::Equal => return None,
            std::cmp::Ordering::Greater => break,
        }
    }
    Some(at)
}

/// The parameters of checked RDATA.
fn iter(params: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = params;
    std::iter::from_fn(move || {
        let (key, len) = (u16_at(rest, 0)?, usize::from(u16_at(rest, 2)?));
        let value = rest.get(HEAD..HEAD + len)?;
        rest = &rest[HEAD + len..];
        Some((key, value))
    })
}

/// Appends the parameter that the token writes.
fn push(token: &Token<'_>, out: &mut Vec<u8>) -> Scanned<()> {
    let equals = token.text.iter().position(|octet| *octet == b'=');
    let (name, value) = match equals {
        Some(at) => (&token.text[..at], Some(unquoted(&token.text[at + 1..], token)?)),
        None => (token.text, None),
    };
    let Some(key) = key_number(name) else {
        return Err(token.unlike("the key of a service parameter"));
    };
    let at = out.len();
    out.extend_from_slice(&key.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    let mut unescaped = Vec::new();
    let value = match value {
        Some(value) if value.contains(&b'\\') => {
            if !push_unescaped(value, true, &mut unescaped) {
                return Err(bad_escape(token));
            }
            unescaped.as_slice()
        }
        Some(value) => value,
        None => &[],
    };
    // `key3=` is written in octets, `port=` in its own form.
    let generic = name.starts_with(b"key");
    if push_value(if generic { u16::MAX } else { key }, value, out).is_none() {
        return Err(token.unlike(expected_value(key)));
    }
    let Ok(len) = u16::try_from(out.len() - at - HEAD) else {
        return Err(token.unlike("a value of at most 65535 octets"));
    };
    out[at + 2..at + HEAD].copy_from_slice(&len.to_be_bytes());
    Ok(())
}

fn unquoted<'t>(value: &'t [u8], token: &Token<'_>) -> Scanned<&'t [u8]> {
    let inner = match value.strip_prefix(b"\"") {
        Some(rest) => rest.strip_suffix(b"\""),
        None => Some(value),
    };
    let mut escaped = false;
    let stray = |octet: &u8| {
        let found = *octet == b'"' && !escaped;
        escaped = *octet == b'\\' && !escaped;
        found
    };
    match inner {
        Some(inner) if !inner.iter().any(stray) => Ok(inner),
        _ => Err(token.unlike("quotes around the whole value or none")),
    }
}

fn key_number(name: &[u8]) -> Option<u16> {
    if let Some(key) = KEYS.iter().position(|known| known.as_bytes() == name) {
        return Some(key as u16);
    }
    number::decimal(name.strip_prefix(b"key")?, 65_535).map(|key| key as u16)
}

/// Appends a value in wire form; nothing if the text is none.
fn push_value(key: u16, value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    match key {
        MANDATORY => {
            let mut keys =
                value.split(|octet| *octet == b',').map(key_number).collect::<Option<Vec<u16>>>()?;
            keys.sort_unstable();
            keys.iter().for_each(|key| out.extend_from_slice(&key.to_be_bytes()));
        }
        ALPN => {
            for item in comma_list(value)? {
                out.push(u8::try_from(item.len()).ok().filter(|len| *len > 0)?);
                out.extend_from_slice(&item);
            }
        }
        PORT => out.extend_from_slice(&(number::decimal(value, 65_535)? as u16).to_be_bytes()),
        IPV4HINT => {
            for address in value.split(|octet| *octet == b',') {
                out.extend_from_slice(&number::ipv4(address)?);
            }
        }
        IPV6HINT => {
            for address in value.split(|octet| *octet == b',') {
                out.extend_from_slice(&number::ipv6(address)?);
            }
        }
        ECH => {
            let mut decoder = Base64Decoder::default();
            (decoder.push(value, out) && decoder.finish(out)).then_some(())?;
        }
        _ => out.extend_from_slice(value),
    }
    Some(())
}

/// RFC 9460 appendix A.1: items with commas between them; `\,` and `\\` stand for themselves.
fn comma_list(value: &[u8]) -> Option<Vec<Cow<'_, [u8]>>> {
    let mut items = vec![Cow::Borrowed(&value[..0])];
    let (mut start, mut i) = (0, 0);
    while let Some(octet) = value.get(i) {
        let last = items.last_mut()?;
        match (octet, value.get(i + 1)) {
            (b'\\', Some(next @ (b',' | b'\\'))) => {
                last.to_mut().push(*next);
                i += 2;
                continue;
            }
            (b'\\', _) => return None,
            (b',', _) => {
                start = i + 1;
                items.push(Cow::Borrowed(&value[..0]));
            }
            _ => match last {
                Cow::Borrowed(_) => *last = Cow::Borrowed(&value[start..=i]),
                Cow::Owned(owned) => owned.push(*octet),
            },
        }
        i += 1;
    }
    Some(items)
}

fn expected_value(key: u16) -> &'static str {
    match key {
        MANDATORY => "a list of the other keys, each once, with commas between them",
        ALPN => "a list of protocols of 1 to 255 octets with commas between them",
        NO_DEFAULT_ALPN | OHTTP => "a key without a value",
        PORT => "a port up to 65535",
        IPV4HINT => "a list of IPv4 addresses with commas between them",
        IPV6HINT => "a list of IPv6 addresses with commas between them",
        ECH => "a value in base64 that is not empty",
        _ => "a value",
    }
}

/// Checks a value in wire form against its key.
fn check_value(key: u16, value: &[u8]) -> Result<(), &'static str> {
    let fits = match key {
        MANDATORY => {
            let keys: Vec<u16> = value.chunks(2).filter_map(|pair| u16_at(pair, 0)).collect();
            !value.is_empty()
                && value.len().is_multiple_of(2)
                && keys[0] != MANDATORY
                && keys.is_sorted_by(|a, b| a < b)
        }
        ALPN => {
            let mut rest = value;
            while let Some((len, tail)) = rest.split_first() {
                match tail.get(usize::from(*len)..) {
                    Some(next) if *len > 0 => rest = next,
                    _ => return Err(expected_value(key)),
                }
            }
            !value.is_empty()
        }
        NO_DEFAULT_ALPN | OHTTP => value.is_empty(),
        PORT => value.len() == 2,
        IPV4HINT => !value.is_empty() && value.len().is_multiple_of(4),
        IPV6HINT => !value.is_empty() && value.len().is_multiple_of(16),
        ECH => !value.is_empty(),
        _ => true,
    };
    if fits { Ok(()) } else { Err(expected_value(key)) }
}

/// Measures parameters in wire form: to the end, rising keys, each value of its form, every mandatory key
/// there (RFC 9460 §2.2, §8).
pub(super) fn measure(rest: &[u8]) -> Result<usize, &'static str> {
    let (mut at, mut last) = (0, None);
    let mut mandatory: &[u8] = &[];
    for (key, value) in iter(rest) {
        if last >= Some(key) {
            return Err("service parameters in rising order of their keys");
        }
        check_value(key, value)?;
        if key == MANDATORY {
            mandatory = value;
        }
        last = Some(key);
        at += HEAD + value.len();
    }
    if at < rest.len() {
        return Err("a whole service parameter");
    }
    let present = |wanted: &[u8]| iter(rest).any(|(key, _)| key.to_be_bytes() == wanted);
    if mandatory.chunks(2).all(present) {
        Ok(at)
    } else {
        Err("every key that `mandatory` names to be there")
    }
}

/// Prints checked parameters, each with a blank before it.
pub(super) fn print(params: &[u8], out: &mut dyn Write) -> fmt::Result {
    for (key, value) in iter(params) {
        out.write_char(' ')?;
        write_key(key, out)?;
        match key {
            MANDATORY => {
                for (i, pair) in value.chunks(2).enumerate() {
                    out.write_char(if i == 0 { '=' } else { ',' })?;
                    write_key(u16_at(pair, 0).unwrap_or(0), out)?;
                }
            }
            ALPN => write_alpn(value, out)?,
            PORT => write!(out, "={}", u16_at(value, 0).unwrap_or(0))?,
            IPV4HINT => write_list(value.as_chunks::<4>().0.iter().map(|a| Ipv4Addr::from(*a)), out)?,
            IPV6HINT => write_list(value.as_chunks::<16>().0.iter().map(|a| Ipv6Addr::from(*a)), out)?,
            ECH => {
                out.write_char('=')?;
                write_base64(value, out)?;
            }
            _ if value.is_empty() => {}
            _ => {
                out.write_str("=\"")?;
                write_escaped(value, out)?;
                out.write_char('"')?;
            }
        }
    }
    Ok(())
}

fn write_key(key: u16, out: &mut dyn Write) -> fmt::Result {
    match KEYS.get(usize::from(key)) {
        Some(name) => out.write_str(name),
        None => write!(out, "key{key}"),
    }
}

fn write_list(items: impl Iterator<Item = impl fmt::Display>, out: &mut dyn Write) -> fmt::Result {
    for (i, item) in items.enumerate() {
        write!(out, "{}{item}", if i == 0 { '=' } else { ',' })?;
    }
    Ok(())
}

/// In quotes; commas and backslashes of an item are escaped twice: for the list and for the string.
fn write_alpn(value: &[u8], out: &mut dyn Write) -> fmt::Result {
    out.write_str("=\"")?;
    let mut rest = value;
    while let Some((len, tail)) = rest.split_first() {
        let Some((item, next)) = tail.split_at_checked(usize::from(*len)) else { break };
        if rest.len() < value.len() {
            out.write_char(',')?;
        }
        for octet in item {
            match octet {
                b',' => out.write_str("\\\\,")?,
                b'\\' => out.write_str("\\\\\\\\")?,
                _ => write_escaped(&[*octet], out)?,
            }
        }
        rest = next;
    }
    out.write_char('"')
}
