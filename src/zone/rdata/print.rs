//! RDATA from wire form into presentation form, such that reading it again yields the same octets.

use super::check::validate;
use super::encoding::{write_base32hex, write_base64, write_hex, write_quoted};
use super::layout::{Field, layout};
use super::number::timestamp_text;
use super::svcb;
use crate::base::octets::{u16_at, u32_at};
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use std::fmt::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Prints RDATA in the form of its type; what is of an unknown type, or malformed, as `\# n hex`
/// (RFC 3597 §5). Names stand absolute.
pub fn print(rtype: RecordType, rdata: &[u8], out: &mut dyn Write) -> fmt::Result {
    let fields = layout(rtype);
    if fields.contains(&Field::Opaque) || validate(rtype, rdata).is_err() || !is_expressible(rtype, rdata) {
        return print_generic(rdata, out);
    }
    let mut at = 0;
    for (i, field) in fields.iter().enumerate() {
        let rest = &rdata[at..];
        let octets = &rest[..field.measure(rest).unwrap_or(rest.len())];
        // These print a blank before each of their parts, of which there may be none.
        let spaced = matches!(field, Field::TypeBitmap | Field::SvcParams | Field::CharStringOptional);
        if i > 0 && !spaced && !(octets.is_empty() && *field == Field::Base64OrEmpty) {
            out.write_char(' ')?;
        }
        print_field(*field, octets, out)?;
        at += octets.len();
    }
    Ok(())
}

/// Prints any RDATA as `\# n hex` (RFC 3597 §5).
pub fn print_generic(rdata: &[u8], out: &mut dyn Write) -> fmt::Result {
    write!(out, "\\# {}", rdata.len())?;
    if rdata.is_empty() {
        return Ok(());
    }
    out.write_char(' ')?;
    write_hex(rdata, out)
}

/// False for octets that the wire allows but for which the text form has no words.
fn is_expressible(rtype: RecordType, rdata: &[u8]) -> bool {
    match rtype {
        // Prefixes of families that RFC 3123 does not know.
        RecordType::APL => prefixes(rdata).all(|(family, ..)| family == 1 || family == 2),
        RecordType::LOC => location_is_on_earth(rdata),
        _ => true,
    }
}

fn print_field(field: Field, octets: &[u8], out: &mut dyn Write) -> fmt::Result {
    match field {
        Field::U8 | Field::Algorithm => write!(out, "{}", octets.first().copied().unwrap_or(0)),
        Field::U16 | Field::CertificateType => write!(out, "{}", u16_at(octets, 0).unwrap_or(0)),
        Field::TypeCovered => write!(out, "{}", RecordType(u16_at(octets, 0).unwrap_or(0))),
        Field::U32 | Field::Seconds => write!(out, "{}", u32_at(octets, 0).unwrap_or(0)),
        Field::Timestamp => out.write_str(&timestamp_text(u32_at(octets, 0).unwrap_or(0))),
        Field::Ipv4 => print_ipv4(octets, out),
        Field::Ipv6 => print_ipv6(octets, out),
        Field::Name(_) => print_name(octets, out),
        Field::CharString | Field::DigitString | Field::DecimalString => write_quoted(&octets[1..], out),
        Field::Tag => out.write_str(&String::from_utf8_lossy(&octets[1..])),
        Field::CharStringOptional if octets.is_empty() => Ok(()),
        Field::CharStringOptional => {
            out.write_char(' ')?;
            write_quoted(&octets[1..], out)
        }
        Field::CharStrings => print_char_strings(octets, out),
        Field::Salt if octets.len() == 1 => out.write_char('-'),
        Field::Salt => write_hex(&octets[1..], out),
        Field::Hash => write_base32hex(&octets[1..], out),
        Field::Eui48 | Field::Eui64 => print_separated(octets, '-', 1, out),
        Field::Locator64 => print_separated(octets, ':', 2, out),
        Field::Location => print_location(octets, out),
        Field::Text | Field::TextOrEmpty => write_quoted(octets, out),
        Field::Hex => write_hex(octets, out),
        Field::Nsap => {
            out.write_str("0x")?;
            write_hex(octets, out)
        }
        Field::Base64 | Field::Base64OrEmpty => write_base64(octets, out),
        Field::TypeBitmap => print_type_bitmap(octets, out),
        Field::NxtBitmap => print_types(0, octets, "", out),
        Field::Prefixes => print_prefixes(octets, out),
        Field::IpsecGateway => print_ipsec_gateway(octets, out),
        Field::AmtRelay => print_amt_relay(octets, out),
        Field::HostIdentity => print_host_identity(octets, out),
        Field::SvcParams => svcb::print(octets, out),
        Field::Opaque => print_generic(octets, out),
    }
}

fn print_ipv4(octets: &[u8], out: &mut dyn Write) -> fmt::Result {
    let address = octets.first_chunk::<4>().copied().unwrap_or_default();
    write!(out, "{}", Ipv4Addr::from(address))
}

fn print_ipv6(octets: &[u8], out: &mut dyn Write) -> fmt::Result {
    let address = octets.first_chunk::<16>().copied().unwrap_or_default();
    write!(out, "{}", Ipv6Addr::from(address))
}

fn print_name(octets: &[u8], out: &mut dyn Write) -> fmt::Result {
    write!(out, "{}", Name::from_wire(octets).map_err(|_| fmt::Error)?)
}

fn print_char_strings(octets: &[u8], out: &mut dyn Write) -> fmt::Result {
    let mut rest = octets;
    while let Some((len, tail)) = rest.split_first() {
        let (string, next) = tail.split_at_checked(usize::from(*len)).ok_or(fmt::Error)?;
        if rest.len() < octets.len() {
            out.write_char(' ')?;
        }
        write_quoted(string, out)?;
        rest = next;
    }
    Ok(())
}

fn print_separated(octets: &[u8], separator: char, group: usize, out: &mut dyn Write) -> fmt::Result {
    for (i, part) in octets.chunks(group).enumerate() {
        if i > 0 {
            out.write_char(separator)?;
        }
        write_hex(part, out)?;
    }
    Ok(())
}

fn print_type_bitmap(octets: &[u8], out: &mut dyn Write) -> fmt::Result {
    let mut rest = octets;
    while let [window, len, tail @ ..] = rest {
        let (bits, next) = tail.split_at_checked(usize::from(*len)).ok_or(fmt::Error)?;
        print_types(u16::from(*window) * 256, bits, " ", out)?;
        rest = next;
    }
    Ok(())
}

/// The types of one bitmap, the first of them with `lead` before it.
fn print_types(base: u16, bits: &[u8], lead: &str, out: &mut dyn Write) -> fmt::Result {
    let mut lead = lead;
    for (i, octet) in bits.iter().enumerate() {
        for bit in (0..8).filter(|bit| octet & 0x80 >> bit != 0) {
            write!(out, "{lead}{}", RecordType(base + i as u16 * 8 + bit))?;
            lead = " ";
        }
    }
    Ok(())
}

/// Family, prefix length, negated, address.
fn prefixes(octets: &[u8]) -> impl Iterator<Item = (u16, u8, bool, &[u8])> {
    let mut rest = octets;
    std::iter::from_fn(move || {
        let [high, low, prefix, flags, tail @ ..] = rest else { return None };
        let (address, next) = tail.split_at_checked(usize::from(flags & 0x7f))?;
        rest = next;
        Some((u16::from_be_bytes([*high, *low]), *prefix, flags & 0x80 != 0, address))
    })
}

fn print_prefixes(octets: &[u8], out: &mut dyn Write) -> fmt::Result {
    for (i, (family, prefix, negated, address)) in prefixes(octets).enumerate() {
        let (blank, negation) = (if i > 0 { " " } else { "" }, if negated { "!" } else { "" });
        write!(out, "{blank}{negation}{family}:")?;
        let mut whole = [0u8; 16];
        whole.get_mut(..address.len()).ok_or(fmt::Error)?.copy_from_slice(address);
        if family == 1 {
            print_ipv4(&whole, out)?
        } else {
            print_ipv6(&whole, out)?
        }
        write!(out, "/{prefix}")?;
    }
    Ok(())
}

/// Prints the gateway and returns what comes behind it.
fn print_gateway<'o>(kind: u8, octets: &'o [u8], out: &mut dyn Write) -> Result<&'o [u8], fmt::Error> {
    let len = match kind {
        0 => {
            out.write_char('.')?;
            0
        }
        1 => {
            print_ipv4(octets, out)?;
            4
        }
        2 => {
            print_ipv6(octets, out)?;
            16
        }
        _ => {
            let name = Name::from_wire(octets).map_err(|_| fmt::Error)?;
            write!(out, "{name}")?;
            name.as_wire().len()
        }
    };
    octets.get(len..).ok_or(fmt::Error)
}

fn print_ipsec_gateway(octets: &[u8], out: &mut dyn Write) -> fmt::Result {
    let [kind, algorithm, rest @ ..] = octets else { return Err(fmt::Error) };
    write!(out, "{kind} {algorithm} ")?;
    let key = print_gateway(*kind, rest, out)?;
    if key.is_empty() {
        return Ok(());
    }
    out.write_char(' ')?;
    write_base64(key, out)
}

fn print_amt_relay(octets: &[u8], out: &mut dyn Write) -> fmt::Result {
    let (kind, rest) = octets.split_first().ok_or(fmt::Error)?;
    write!(out, "{} {} ", kind >> 7, kind & 0x7f)?;
    print_gateway(kind & 0x7f, rest, out).map(|_| ())
}

fn print_host_identity(octets: &[u8], out: &mut dyn Write) -> fmt::Result {
    let [hit_len, algorithm, key_high, key_low, rest @ ..] = octets else { return Err(fmt::Error) };
    let key_len = usize::from(u16::from_be_bytes([*key_high, *key_low]));
    let (hit, rest) = rest.split_at_checked(usize::from(*hit_len)).ok_or(fmt::Error)?;
    let (key, mut servers) = rest.split_at_checked(key_len).ok_or(fmt::Error)?;
    write!(out, "{algorithm} ")?;
    write_hex(hit, out)?;
    out.write_char(' ')?;
    write_base64(key, out)?;
    while !servers.is_empty() {
        let name = Name::from_wire(servers).map_err(|_| fmt::Error)?;
        write!(out, " {name}")?;
        servers = servers.get(name.as_wire().len()..).unwrap_or(&[]);
    }
    Ok(())
}

const MERIDIAN: i64 = 1 << 31;

/// Latitude and longitude in thousandths of a second from equator and prime meridian.
fn angles(octets: &[u8]) -> (i64, i64) {
    let at = |i: usize| i64::from(u32_at(octets, i).unwrap_or(0)) - MERIDIAN;
    (at(4), at(8))
}

/// False for angles that text cannot write, and for sizes that text would write as another octet or
/// beyond its 90000 km.
fn location_is_on_earth(octets: &[u8]) -> bool {
    let (latitude, longitude) = angles(octets);
    let plain = |size: &u8| size >> 4 != 0 && size & 15 <= 9 || *size == 0;
    latitude.abs() <= 90 * 3_600_000 && longitude.abs() <= 180 * 3_600_000 && octets[1..4].iter().all(plain)
}

fn print_location(octets: &[u8], out: &mut dyn Write) -> fmt::Result {
    let angle = |value: i64, plus: char, minus: char, out: &mut dyn Write| {
        let (size, letter) = (value.abs(), if value < 0 { minus } else { plus });
        let (degrees, minutes) = (size / 3_600_000, size / 60_000 % 60);
        write!(out, "{degrees} {minutes} {}.{:03} {letter} ", size / 1_000 % 60, size % 1_000)
    };
    let (latitude, longitude) = angles(octets);
    angle(latitude, 'N', 'S', out)?;
    angle(longitude, 'E', 'W', out)?;
    let altitude = i64::from(u32_at(octets, 12).unwrap_or(0)) - 10_000_000;
    let sign = if altitude < 0 { "-" } else { "" };
    write!(out, "{sign}{}.{:02}m", altitude.abs() / 100, altitude.abs() % 100)?;
    for size in octets.get(1..4).unwrap_or(&[]) {
        let centimetres = u64::from(size >> 4) * 10u64.pow(u32::from(size & 15));
        write!(out, " {}.{:02}m", centimetres / 100, centimetres % 100)?;
    }
    Ok(())
}
