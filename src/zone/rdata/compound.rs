//! Reading the fields that consist of several tokens or have a grammar of their own: bitmaps, locations,
//! prefixes, gateways, host identities.

use super::encoding::{Base64Decoder, HexDecoder};
use super::number;
use super::read::{Reader, record_type};
use crate::zone::scan::{Scanned, Token, complaint};

/// Record types to the end, in any order, into windows (RFC 4034 §4.1.2).
pub(super) fn read_type_bitmap(reader: &mut Reader<'_, '_>) -> Scanned<()> {
    // Nearly all types lie in the first window; only the others are collected and sorted.
    let mut first = [0u8; 32];
    let mut others: Vec<u16> = Vec::new();
    while !reader.scanner.at_end()? {
        let token = reader.scanner.word("a record type")?;
        match record_type(token.text) {
            Some(rtype) if rtype.0 < 256 => first[usize::from(rtype.0 / 8)] |= 0x80 >> (rtype.0 % 8),
            Some(rtype) => others.push(rtype.0),
            None => return Err(token.unlike("a record type")),
        }
    }
    push_window(0, &first, reader.out);
    others.sort_unstable();
    for window in others.chunk_by(|a, b| a / 256 == b / 256) {
        let mut bits = [0u8; 32];
        for code in window {
            bits[usize::from(code % 256 / 8)] |= 0x80 >> (code % 8);
        }
        push_window((window[0] / 256) as u8, &bits, reader.out);
    }
    Ok(())
}

fn push_window(window: u8, bits: &[u8; 32], out: &mut Vec<u8>) {
    if let Some(last) = bits.iter().rposition(|octet| *octet != 0) {
        out.extend_from_slice(&[window, last as u8 + 1]);
        out.extend_from_slice(&bits[..=last]);
    }
}

/// Record types from 1 to 127 to the end, one bit each (RFC 2535 §5.2).
pub(super) fn read_nxt_bitmap(reader: &mut Reader<'_, '_>) -> Scanned<()> {
    const EXPECTED: &str = "a record type from 1 to 127";
    let mut bits = [0u8; 16];
    loop {
        let token = reader.scanner.word(EXPECTED)?;
        match record_type(token.text) {
            Some(rtype) if (1..128).contains(&rtype.0) => {
                bits[usize::from(rtype.0 / 8)] |= 0x80 >> (rtype.0 % 8);
            }
            _ => return Err(token.unlike(EXPECTED)),
        }
        if reader.scanner.at_end()? {
            break;
        }
    }
    let last = bits.iter().rposition(|octet| *octet != 0).unwrap_or(0);
    reader.out.extend_from_slice(&bits[..=last]);
    Ok(())
}

/// `0x` and hexadecimal with dots anywhere (RFC 1706 §7).
pub(super) fn read_nsap(reader: &mut Reader<'_, '_>) -> Scanned<()> {
    const EXPECTED: &str = "`0x` and octets in hexadecimal";
    let token = reader.scanner.word(EXPECTED)?;
    let Some(digits) = token.text.strip_prefix(b"0x").or(token.text.strip_prefix(b"0X")) else {
        return Err(token.unlike(EXPECTED));
    };
    let mut decoder = HexDecoder::default();
    let before = reader.out.len();
    let all = digits.split(|octet| *octet == b'.').all(|piece| decoder.push(piece, reader.out));
    if all && decoder.is_whole() && reader.out.len() > before { Ok(()) } else { Err(token.unlike(EXPECTED)) }
}

/// `[!]family:address/prefix` as often as it stands there (RFC 3123 §5).
pub(super) fn read_prefixes(reader: &mut Reader<'_, '_>) -> Scanned<()> {
    while !reader.scanner.at_end()? {
        const EXPECTED: &str = "an address prefix such as `1:192.0.2.0/24` or `!2:2001:db8::/32`";
        let token = reader.scanner.word(EXPECTED)?;
        if push_prefix(token.text, reader.out).is_none() {
            return Err(token.unlike(EXPECTED));
        }
        if reader.out.len() > crate::base::limits::RDATA_OCTETS_MAX {
            return Err(token.unlike("at most 65535 octets of RDATA"));
        }
    }
    Ok(())
}

fn push_prefix(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (negated, text) = match text.strip_prefix(b"!") {
        Some(rest) => (0x80, rest),
        None => (0, text),
    };
    let slash = text.iter().rposition(|octet| *octet == b'/')?;
    let (address, prefix) = (&text[..slash], &text[slash + 1..]);
    let (mut octets, len, family) =
        ([0u8; 16], if address.starts_with(b"1:") { 4 } else { 16 }, *address.first()?);
    match address.split_at_checked(2)? {
        (b"1:", address) => octets[..4].copy_from_slice(&number::ipv4(address)?),
        (b"2:", address) => octets = number::ipv6(address)?,
        _ => return None,
    }
    let prefix = number::decimal(prefix, len * 8)?;
    // RFC 3123 §4: trailing zero octets are left out.
    let used = octets.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
    out.extend_from_slice(&[0, family - b'0', prefix as u8, negated | used as u8]);
    out.extend_from_slice(&octets[..used]);
    Some(())
}

/// Gateway type, algorithm, gateway, key (RFC 4025 §3.1).
pub(super) fn read_ipsec_gateway(reader: &mut Reader<'_, '_>) -> Scanned<()> {
    let kind = read_gateway_kind(reader, 3)?;
    let algorithm_at = reader.out.len();
    reader.number("an algorithm up to 255", 1)?;
    read_gateway(reader, kind)?;
    if reader.out[algorithm_at] == 0 {
        return Ok(());
    }
    read_base64_to_end(reader, "a public key in base64")
}

/// Discovery bit, relay type, relay (RFC 8777 §4.3.1).
pub(super) fn read_amt_relay(reader: &mut Reader<'_, '_>) -> Scanned<()> {
    const EXPECTED: &str = "`0` or `1` for the discovery bit";
    let token = reader.scanner.word(EXPECTED)?;
    let Some(discovery) = number::decimal(token.text, 1) else { return Err(token.unlike(EXPECTED)) };
    let kind = read_gateway_kind(reader, 3)?;
    if let Some(octet) = reader.out.last_mut() {
        *octet |= (discovery as u8) << 7;
    }
    read_gateway(reader, kind)
}

fn read_gateway_kind(reader: &mut Reader<'_, '_>, max: u64) -> Scanned<u8> {
    const EXPECTED: &str = "a gateway type from 0 to 3";
    let token = reader.scanner.word(EXPECTED)?;
    let Some(kind) = number::decimal(token.text, max) else { return Err(token.unlike(EXPECTED)) };
    reader.out.push(kind as u8);
    Ok(kind as u8)
}

fn read_gateway(reader: &mut Reader<'_, '_>, kind: u8) -> Scanned<()> {
    match kind {
        1 => reader.ipv4("an IPv4 gateway"),
        2 => reader.ipv6("an IPv6 gateway"),
        3 => reader.name("a gateway's name"),
        _ => {
            let token = reader.scanner.word("`.` for no gateway")?;
            if token.text == b"." { Ok(()) } else { Err(token.unlike("`.` for no gateway")) }
        }
    }
}

fn read_base64_to_end(reader: &mut Reader<'_, '_>, expected: &str) -> Scanned<()> {
    let mut decoder = Base64Decoder::default();
    let first = reader.scanner.word(expected)?;
    let spot = first.spot;
    if !decoder.push(first.text, reader.out) {
        return Err(first.unlike(expected));
    }
    while let Some(token) = reader.scanner.next()? {
        if token.quoted || !decoder.push(token.text, reader.out) || reader.out.len() > 0xffff {
            return Err(token.unlike(expected));
        }
    }
    if decoder.finish(reader.out) {
        return Ok(());
    }
    Err(complaint(spot, format!("expected {expected}, found it cut short")))
}

/// Algorithm, HIT, key, rendezvous servers (RFC 8005 §6).
pub(super) fn read_host_identity(reader: &mut Reader<'_, '_>) -> Scanned<()> {
    let head = reader.out.len();
    reader.out.push(0);
    reader.number("an algorithm up to 255", 1)?;
    reader.out.extend_from_slice(&[0, 0]);
    const HIT: &str = "a HIT of at most 255 octets in hexadecimal";
    let token = reader.scanner.word(HIT)?;
    let mut decoder = HexDecoder::default();
    let whole = decoder.push(token.text, reader.out) && decoder.is_whole();
    let len = reader.out.len() - head - 4;
    if !whole || len == 0 || len > 255 {
        return Err(token.unlike(HIT));
    }
    reader.out[head] = len as u8;
    const KEY: &str = "a public key in base64";
    let before = reader.out.len();
    let token = reader.scanner.word(KEY)?;
    let mut decoder = Base64Decoder::default();
    let whole = decoder.push(token.text, reader.out) && decoder.finish(reader.out);
    match u16::try_from(reader.out.len() - before) {
        Ok(len) if whole && len > 0 => reader.out[head + 2..head + 4].copy_from_slice(&len.to_be_bytes()),
        _ => return Err(token.unlike(KEY)),
    }
    while !reader.scanner.at_end()? {
        reader.name("the name of a rendezvous server")?;
        if reader.out.len() > 0xffff {
            return Err(complaint(
                reader.scanner.spot(),
                "expected at most 65535 octets of RDATA, found more",
            ));
        }
    }
    Ok(())
}

/// RFC 1876 §3: `d1 [m1 [s1]] N|S d2 [m2 [s2]] E|W alt[m] [size[m] [horizontal[m] [vertical[m]]]]`.
pub(super) fn read_location(reader: &mut Reader<'_, '_>) -> Scanned<()> {
    /// The equator and the prime meridian (RFC 1876 §2).
    const MERIDIAN: u32 = 1 << 31;
    /// The altitude 0 stands 100 km above the bottom, in centimetres.
    const SEA_LEVEL: i64 = 10_000_000;
    let latitude = read_angle(reader, 90, b'N', b'S')?;
    let longitude = read_angle(reader, 180, b'E', b'W')?;
    let altitude = metres(
        &reader.scanner.word("an altitude in metres")?,
        "an altitude in metres from -100000.00 to 42849672.95",
        -SEA_LEVEL,
        i64::from(u32::MAX) - SEA_LEVEL,
    )?;
    // Size, horizontal and vertical precision: 1 m, 10 km, 10 m.
    let mut sizes = [0x12u8, 0x16, 0x13];
    for size in &mut sizes {
        const EXPECTED: &str = "a size in metres up to 90000000.00";
        if reader.scanner.at_end()? {
            break;
        }
        *size = as_power(metres(&reader.scanner.word(EXPECTED)?, EXPECTED, 0, 9_000_000_000)?);
    }
    reader.out.push(0);
    reader.out.extend_from_slice(&sizes);
    reader.out.extend_from_slice(&MERIDIAN.wrapping_add_signed(latitude).to_be_bytes());
    reader.out.extend_from_slice(&MERIDIAN.wrapping_add_signed(longitude).to_be_bytes());
    reader.out.extend_from_slice(&((altitude + SEA_LEVEL) as u32).to_be_bytes());
    Ok(())
}

/// Degrees, minutes and seconds up to the letter of the hemisphere, in thousandths of a second.
fn read_angle(reader: &mut Reader<'_, '_>, degrees_max: u64, plus: u8, minus: u8) -> Scanned<i32> {
    let names = if plus == b'N' {
        [
            "degrees of latitude up to 90",
            "minutes up to 59, or `N` or `S`",
            "seconds up to 59.999, or `N` or `S`",
            "`N` or `S`",
        ]
    } else {
        [
            "degrees of longitude up to 180",
            "minutes up to 59, or `E` or `W`",
            "seconds up to 59.999, or `E` or `W`",
            "`E` or `W`",
        ]
    };
    let mut angle = 0i64;
    for (i, expected) in names.into_iter().enumerate() {
        let token = reader.scanner.word(expected)?;
        if i > 0 && token.text.len() == 1 {
            match token.text[0].to_ascii_uppercase() {
                letter if letter == plus => return Ok(angle as i32),
                letter if letter == minus => return Ok(-angle as i32),
                _ => {}
            }
        }
        let part = match i {
            0 => number::decimal(token.text, degrees_max).map(|n| n as i64 * 3_600_000),
            1 => number::decimal(token.text, 59).map(|n| n as i64 * 60_000),
            2 => fraction(token.text, 3).filter(|n| *n < 60_000),
            _ => None,
        };
        let Some(part) = part else { return Err(token.unlike(expected)) };
        angle += part;
        if angle > degrees_max as i64 * 3_600_000 {
            return Err(token.unlike("an angle within its quarter or half circle"));
        }
    }
    Ok(0)
}

/// A number with at most `places` digits after the dot, in units of its last place.
fn fraction(text: &[u8], places: usize) -> Option<i64> {
    let dot = text.iter().position(|octet| *octet == b'.').unwrap_or(text.len());
    let decimals = text.get(dot + 1..).unwrap_or(&[]);
    if decimals.len() > places {
        return None;
    }
    let scale = 10i64.pow(places as u32);
    let whole = number::decimal(&text[..dot], u64::from(u32::MAX))? as i64 * scale;
    if decimals.is_empty() {
        return Some(whole);
    }
    let part = number::decimal(decimals, 999)? as i64 * 10i64.pow((places - decimals.len()) as u32);
    Some(whole + part)
}

/// Metres with or without their `m`, in centimetres from `min` to `max`.
fn metres(token: &Token<'_>, expected: &str, min: i64, max: i64) -> Scanned<i64> {
    let text = token.text.strip_suffix(b"m").or(token.text.strip_suffix(b"M")).unwrap_or(token.text);
    let value = match text.strip_prefix(b"-") {
        Some(rest) => fraction(rest, 2).map(|n| -n),
        None => fraction(text, 2),
    };
    value.filter(|n| (min..=max).contains(n)).ok_or_else(|| token.unlike(expected))
}

/// One digit times a power of ten, what is smaller is cut (RFC 1876 §2).
fn as_power(mut centimetres: i64) -> u8 {
    let mut exponent = 0;
    while centimetres > 9 {
        centimetres /= 10;
        exponent += 1;
    }
    (centimetres as u8) << 4 | exponent
}
