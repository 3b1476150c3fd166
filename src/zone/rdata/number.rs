//! Numbers, periods, points in time and addresses out of text. Pure functions: text in, value or nothing out.

/// A decimal number up to `max`.
#[inline]
pub(super) fn decimal(text: &[u8], max: u64) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let mut value = 0u64;
    for octet in text {
        let digit = octet.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
        if value > max {
            return None;
        }
    }
    Some(value)
}

/// Seconds up to `max`, plain or with the units of BIND: `1w2d3h4m5s`, either case. A number without a
/// unit may only stand alone.
#[inline]
pub(crate) fn seconds(text: &[u8], max: u64) -> Option<u64> {
    decimal(text, max).or_else(|| seconds_with_units(text, max))
}

fn seconds_with_units(text: &[u8], max: u64) -> Option<u64> {
    let (mut total, mut rest) = (0u64, text);
    while !rest.is_empty() {
        let digits = rest.iter().position(|octet| !octet.is_ascii_digit())?;
        let unit = match rest[digits].to_ascii_lowercase() {
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        total += decimal(&rest[..digits], max)? * unit;
        if total > max {
            return None;
        }
        rest = &rest[digits + 1..];
    }
    if text.is_empty() { None } else { Some(total) }
}

/// Seconds since 1970, or `YYYYMMDDHHmmSS` in UTC (RFC 4034 §3.2), up to 32 bits.
pub(super) fn timestamp(text: &[u8]) -> Option<u32> {
    if text.len() != 14 {
        return decimal(text, u64::from(u32::MAX)).map(|value| value as u32);
    }
    let part = |from: usize, to: usize| decimal(&text[from..to], 9_999);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    if year < 1970 || !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    if day < 1 || day > days_in_month(year, month) {
        return None;
    }
    let days = days_before_year(year) + (1..month).map(|m| days_in_month(year, m)).sum::<u64>() + day - 1;
    u32::try_from(days * 86_400 + hour * 3_600 + minute * 60 + second).ok()
}

/// A point in time as `YYYYMMDDHHmmSS`.
pub(super) fn timestamp_text(seconds: u32) -> String {
    let (mut days, rest) = (u64::from(seconds) / 86_400, seconds % 86_400);
    let mut year = 1970;
    while days >= days_before_year(year + 1) - days_before_year(year) {
        days -= days_before_year(year + 1) - days_before_year(year);
        year += 1;
    }
    let mut month = 1;
    while days >= days_in_month(year, month) {
        days -= days_in_month(year, month);
        month += 1;
    }
    format!("{year:04}{month:02}{:02}{:02}{:02}{:02}", days + 1, rest / 3_600, rest / 60 % 60, rest % 60)
}

/// Days from 1970-01-01 to the first day of `year`.
fn days_before_year(year: u64) -> u64 {
    let leap_days = |y: u64| (y - 1) / 4 - (y - 1) / 100 + (y - 1) / 400;
    (year - 1970) * 365 + leap_days(year) - leap_days(1970)
}

fn days_in_month(year: u64, month: u64) -> u64 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Four numbers up to 255 with dots between them, without leading zeros.
#[inline]
pub(super) fn ipv4(text: &[u8]) -> Option<[u8; 4]> {
    let mut address = [0u8; 4];
    let (mut i, mut value, mut digits) = (0, 0u32, 0);
    for &octet in text {
        let digit = octet.wrapping_sub(b'0');
        if digit <= 9 {
            if digits > 0 && value == 0 {
                return None;
            }
            value = value * 10 + u32::from(digit);
            digits += 1;
            if value > 255 {
                return None;
            }
        } else if octet == b'.' && digits > 0 && i < 3 {
            address[i] = value as u8;
            i += 1;
            (value, digits) = (0, 0);
        } else {
            return None;
        }
    }
    if i != 3 || digits == 0 {
        return None;
    }
    address[3] = value as u8;
    Some(address)
}

/// An address as RFC 4291 §2.2 writes it, in any of its three forms.
#[inline]
pub(super) fn ipv6(text: &[u8]) -> Option<[u8; 16]> {
    let mut groups = [0u8; 16];
    let (mut filled, mut gap, mut i) = (0usize, None, 0usize);
    if text.starts_with(b"::") {
        (gap, i) = (Some(0), 2);
    }
    while i < text.len() {
        let start = i;
        let mut value = 0u32;
        while let Some(digit) = text.get(i).and_then(|octet| hex_digit(*octet)) {
            value = value << 4 | u32::from(digit);
            i += 1;
            if i - start > 4 {
                return None;
            }
        }
        if text.get(i) == Some(&b'.') {
            groups.get_mut(filled..filled + 4)?.copy_from_slice(&ipv4(&text[start..])?);
            filled += 4;
            break;
        }
        if i == start {
            return None;
        }
        groups.get_mut(filled..filled + 2)?.copy_from_slice(&(value as u16).to_be_bytes());
        filled += 2;
        match text.get(i) {
            None => break,
            Some(b':') => i += 1,
            Some(_) => return None,
        }
        if text.get(i) == Some(&b':') {
            if gap.is_some() {
                return None;
            }
            gap = Some(filled);
            i += 1;
        } else if i == text.len() {
            return None;
        }
    }
    match gap {
        None if filled == 16 => Some(groups),
        Some(at) if filled < 16 => {
            groups.copy_within(at..filled, at + 16 - filled);
            groups[at..at + 16 - filled].fill(0);
            Some(groups)
        }
        _ => None,
    }
}

/// The value of a hexadecimal digit.
#[inline]
pub(super) fn hex_digit(octet: u8) -> Option<u8> {
    match octet {
        b'0'..=b'9' => Some(octet - b'0'),
        b'a'..=b'f' => Some(octet - b'a' + 10),
        b'A'..=b'F' => Some(octet - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    proptest! {
        #[test]
        fn addresses_agree_with_the_standard_library(text in "[0-9a-fA-F:.]{0,24}|[0-9]{1,3}(\\.[0-9]{1,3}){3}|([0-9a-f]{0,4}:){2,8}[0-9a-f]{0,4}(\\.[0-9]{1,3}){0,3}") {
            prop_assert_eq!(ipv4(text.as_bytes()), text.parse::<Ipv4Addr>().ok().map(|a| a.octets()));
            prop_assert_eq!(ipv6(text.as_bytes()), text.parse::<Ipv6Addr>().ok().map(|a| a.octets()));
        }

        #[test]
        fn every_ipv6_address_survives(address in any::<u128>(), zeros in any::<u128>()) {
            let address = Ipv6Addr::from(address & zeros);
            prop_assert_eq!(ipv6(address.to_string().as_bytes()), Some(address.octets()));
        }

        #[test]
        fn points_in_time_survive(seconds in any::<u32>()) {
            prop_assert_eq!(timestamp(timestamp_text(seconds).as_bytes()), Some(seconds));
        }
    }

    #[test]
    fn periods_are_read_with_and_without_units() {
        for (text, value) in [
            ("0", Some(0)),
            ("3600", Some(3600)),
            ("1w2d3h4m5s", Some(604_800 + 2 * 86_400 + 3 * 3_600 + 4 * 60 + 5)),
            ("1W", Some(604_800)),
            ("1h1h", Some(7_200)),
            ("2147483647", Some(2_147_483_647)),
            ("2147483648", None),
            ("99999999999999999999999", None),
            ("4000w", None),
            ("1h30", None),
            ("h", None),
            ("", None),
            ("1x", None),
            ("-1", None),
        ] {
            assert_eq!(seconds(text.as_bytes(), 0x7fff_ffff), value, "{text}");
        }
    }

    #[test]
    fn points_in_time_are_read_as_rfc_4034_writes_them() {
        for (text, value) in [
            ("20030322173103", Some(1_048_354_263)),
            ("19700101000000", Some(0)),
            ("20240229120000", Some(1_709_208_000)),
            ("1048354263", Some(1_048_354_263)),
            ("20230229120000", None),
            ("20231301000000", None),
            ("21070101000000", None),
            ("2003032217310", None),
            ("", None),
        ] {
            assert_eq!(timestamp(text.as_bytes()), value, "{text}");
        }
    }
}
