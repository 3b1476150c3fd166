//! Moments as the engine writes them, only ever compared with each other: nanoseconds since 1970 on its own clock.

/// Nanoseconds since 1970 of a text like `2026-11-29T06:09:29.123456789Z` (RFC 3339 §5.6); none for what is not of
/// that form, and for the year 1, which the engine writes where something never happened.
pub(super) fn nanos(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let mut date = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let (clock, offset) = split_offset(time)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut clock = clock.splitn(3, ':').map(str::parse::<i64>);
    let (hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    if !(1970..=2200).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..=60).contains(&second) {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset;
    Some(seconds * 1_000_000_000 + parts(fraction)?)
}

/// The time of day without its offset, and that in seconds.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(clock) = time.strip_suffix('Z') {
        return Some((clock, 0));
    }
    let (clock, offset) = time.split_at_checked(time.rfind(['+', '-'])?)?;
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let seconds = hours.parse::<u16>().ok()? * 60 + minutes.parse::<u16>().ok()?;
    let sign = if offset.starts_with('-') { -60 } else { 60 };
    Some((clock, sign * i64::from(seconds)))
}

/// Nanoseconds of the digits behind the point.
fn parts(digits: &str) -> Option<i64> {
    if digits.len() > 9 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    format!("{digits:0<9}").parse().ok()
}

/// Days from 1970-01-01 in the Gregorian calendar. A year begins in March here: then the day that leap years have
/// more is its last one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let since_march = (month + 9) % 12;
    let day_of_year = (153 * since_march + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_to_the_nanosecond() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:00.000000001Z", 1),
            ("2000-02-29T12:00:00.5Z", 951_825_600_500_000_000),
            ("2026-11-29T06:09:29.123456789Z", 1_795_932_569_123_456_789),
            ("2026-11-29T08:09:29.123456789+02:00", 1_795_932_569_123_456_789),
            ("2026-11-28T22:39:29.123456789-07:30", 1_795_932_569_123_456_789),
        ] {
            assert_eq!(nanos(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for text in [
            "",
            "0001-01-01T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.1234567890Z",
            "2026-01-01T00:00:00.-1Z",
            "2026-01-01T00:00:00+1",
            "2026-01-01T00:00:00+99999:00",
            "T+",
            "ü-ü-üTü",
        ] {
            assert_eq!(nanos(text), None, "{text:?}");
        }
    }
}
