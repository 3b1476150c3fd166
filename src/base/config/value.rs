//! The kinds of values: how each is read from a file or from text, and how it is written back.
//!
//! A string is text wherever it stands: `workers = "4"` in a file, `HIVEDNS_SERVER__WORKERS=4` and
//! `--workers 4` are read by the same [`Value::parse`]; a list given as text is separated by commas.

use super::error::{ConfigError, Source};
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// A value as it was said, before its key's kind makes sense of it.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub(super) key: String,
    pub(super) at: Source,
    pub(super) form: Form,
}

/// What was said: TOML's kinds as far as any key takes them.
#[derive(Debug, Clone)]
pub(super) enum Form {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    List(Vec<Raw>),
    /// Anything else, by TOML's name for it.
    Other(&'static str),
}

impl Raw {
    pub(super) fn wrong(&self, expected: impl fmt::Display) -> Vec<ConfigError> {
        let found = match &self.form {
            Form::Text(text) => format!("{text:?}"),
            Form::Integer(value) => value.to_string(),
            Form::Float(value) => format!("{value:?}"),
            Form::Boolean(value) => value.to_string(),
            Form::List(_) => "a list".to_owned(),
            Form::Other(kind) => format!("a value of type {kind}"),
        };
        vec![ConfigError::about(self.at.clone(), &self.key, format!("expected {expected}, found {found}"))]
    }

    fn item(&self, text: &str) -> Raw {
        Raw { key: self.key.clone(), at: self.at.clone(), form: Form::Text(text.trim().to_owned()) }
    }
}

/// One kind of value. For all `v`: `parse` of what `emit` wrote is `v` again.
pub(super) trait Value: Sized {
    /// Ends the sentence "expected …".
    fn expected() -> String;

    /// The value that the text means.
    fn parse(text: &str) -> Option<Self>;

    /// The value as TOML.
    fn emit(&self) -> toml_edit::Value;

    /// The value that was said; only strings, unless the kind knows better.
    fn read(raw: &Raw) -> Result<Self, Vec<ConfigError>> {
        match &raw.form {
            Form::Text(text) => Self::parse(text).ok_or_else(|| raw.wrong(Self::expected())),
            _ => Err(raw.wrong(Self::expected())),
        }
    }
}

impl Value for String {
    fn expected() -> String {
        "a string".to_owned()
    }

    fn parse(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn emit(&self) -> toml_edit::Value {
        escape_variables(self).into()
    }
}

/// A string of a file in which no `${` will expand: the inverse of expansion.
pub(super) fn escape_variables(text: &str) -> String {
    text.replace("${", "$${")
}

impl Value for bool {
    fn expected() -> String {
        "true or false".to_owned()
    }

    fn parse(text: &str) -> Option<bool> {
        text.parse().ok()
    }

    fn emit(&self) -> toml_edit::Value {
        (*self).into()
    }

    fn read(raw: &Raw) -> Result<bool, Vec<ConfigError>> {
        match &raw.form {
            Form::Boolean(value) => Ok(*value),
            Form::Text(text) => Self::parse(text).ok_or_else(|| raw.wrong(Self::expected())),
            _ => Err(raw.wrong(Self::expected())),
        }
    }
}

impl Value for SocketAddr {
    fn expected() -> String {
        "an address with its port, such as \"192.0.2.1:53\" or \"[2001:db8::1]:53\"".to_owned()
    }

    fn parse(text: &str) -> Option<SocketAddr> {
        text.parse().ok()
    }

    fn emit(&self) -> toml_edit::Value {
        self.to_string().into()
    }
}

impl<T: Value> Value for Vec<T> {
    fn expected() -> String {
        format!("a list, each item {}", T::expected())
    }

    fn parse(text: &str) -> Option<Vec<T>> {
        items(text).map(T::parse).collect()
    }

    fn emit(&self) -> toml_edit::Value {
        self.iter().map(Value::emit).collect::<toml_edit::Array>().into()
    }

    /// Every faulty item is told, not just the first.
    fn read(raw: &Raw) -> Result<Vec<T>, Vec<ConfigError>> {
        let said: Vec<Raw> = match &raw.form {
            Form::List(list) => list.clone(),
            Form::Text(text) => items(text).map(|item| raw.item(item)).collect(),
            _ => return Err(raw.wrong(Self::expected())),
        };
        let (mut values, mut errors) = (Vec::with_capacity(said.len()), Vec::new());
        for item in &said {
            match T::read(item) {
                Ok(value) => values.push(value),
                Err(more) => errors.extend(more),
            }
        }
        if errors.is_empty() { Ok(values) } else { Err(errors) }
    }
}

/// The items of a list written as text. No text is no item.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(move |_| !text.trim().is_empty())
}

/// A whole number that cannot be outside `MIN..=MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounded<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Bounded<MIN, MAX> {
    /// What it may be.
    pub const RANGE: RangeInclusive<u32> = MIN..=MAX;

    /// The number; outside its bounds it is a programmer's mistake, found when compiling a constant.
    pub const fn new(value: u32) -> Bounded<MIN, MAX> {
        assert!(MIN <= value && value <= MAX, "a default lies outside its own bounds");
        Bounded(value)
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32> Value for Bounded<MIN, MAX> {
    fn expected() -> String {
        format!("a whole number from {MIN} to {MAX}")
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
        text.parse().ok().filter(|value| digits && Self::RANGE.contains(value)).map(Bounded)
    }

    fn emit(&self) -> toml_edit::Value {
        i64::from(self.0).into()
    }

    fn read(raw: &Raw) -> Result<Self, Vec<ConfigError>> {
        match &raw.form {
            Form::Integer(value) => Self::parse(&value.to_string()),
            Form::Text(text) => Self::parse(text),
            _ => None,
        }
        .ok_or_else(|| raw.wrong(Self::expected()))
    }
}

/// Milliseconds of each unit of time, the largest first.
const TIME_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The longest duration, ten years: nobody means more, and a clock can be moved by it without overflowing.
const DURATION_MS_MAX: u64 = 3_650 * 86_400_000;

impl Value for Duration {
    fn expected() -> String {
        "a duration of at most 3650d, such as \"250ms\", \"5s\", \"1h\" or \"1d\"".to_owned()
    }

    fn parse(text: &str) -> Option<Duration> {
        let ms = scaled(text, &TIME_UNITS)?;
        (ms <= DURATION_MS_MAX).then(|| Duration::from_millis(ms))
    }

    fn emit(&self) -> toml_edit::Value {
        let ms = u64::try_from(self.as_millis()).unwrap_or(u64::MAX);
        emit_scaled(ms, &TIME_UNITS, "s").into()
    }
}

/// A number of octets: of memory or of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// Octets of each unit of size, the largest first.
const SIZE_UNITS: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl Value for Size {
    fn expected() -> String {
        "a size, such as \"512KiB\", \"64MiB\" or \"2GiB\"".to_owned()
    }

    fn parse(text: &str) -> Option<Size> {
        scaled(text, &SIZE_UNITS).map(Size)
    }

    fn emit(&self) -> toml_edit::Value {
        emit_scaled(self.0, &SIZE_UNITS, "B").into()
    }
}

/// Digits followed by exactly one of the units.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*scale)
}

/// The number in the largest unit that holds it whole; `units` start with the largest.
fn emit_scaled(number: u64, units: &[(&str, u64)], unit_of_zero: &str) -> String {
    match units.iter().find(|(_, scale)| number != 0 && number.is_multiple_of(*scale)) {
        Some((unit, scale)) => format!("{}{unit}", number / scale),
        None => format!("0{unit_of_zero}"),
    }
}

/// A share of a whole, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// One is so many parts: what a share is rounded to.
    const WHOLE: u32 = 1_000_000;

    /// So many hundredths; more than the whole is a programmer's mistake, found when compiling a constant.
    pub const fn percent(hundredths: u32) -> Share {
        assert!(hundredths <= 100, "a share is at most the whole");
        Share(hundredths * (Share::WHOLE / 100))
    }

    /// The share as a fraction, from 0 to 1.
    pub fn get(self) -> f64 {
        f64::from(self.0) / f64::from(Share::WHOLE)
    }

    fn of(fraction: f64) -> Option<Share> {
        let fits = (0.0..=1.0).contains(&fraction);
        fits.then(|| Share((fraction * f64::from(Share::WHOLE)).round() as u32))
    }
}

impl Value for Share {
    fn expected() -> String {
        "a share from 0.0 to 1.0".to_owned()
    }

    fn parse(text: &str) -> Option<Share> {
        let digits = text.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.');
        text.parse().ok().filter(|_| digits).and_then(Share::of)
    }

    fn emit(&self) -> toml_edit::Value {
        self.get().into()
    }

    fn read(raw: &Raw) -> Result<Share, Vec<ConfigError>> {
        let share = match &raw.form {
            Form::Float(fraction) => Share::of(*fraction),
            Form::Integer(whole) => i32::try_from(*whole).ok().and_then(|whole| Share::of(whole.into())),
            Form::Text(text) => Share::parse(text),
            Form::Boolean(_) | Form::List(_) | Form::Other(_) => None,
        };
        share.ok_or_else(|| raw.wrong(Share::expected()))
    }
}

/// Kinds that are one of a few words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$word_doc])* $variant,)* }

        impl $name {
            const WORDS: &[&str] = &[$($word,)*];

            /// The word that stands in the configuration.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }
        }

        impl Value for $name {
            fn expected() -> String {
                format!("one of {}", $name::WORDS.join(", "))
            }

            fn parse(text: &str) -> Option<$name> {
                match text { $($word => Some($name::$variant),)* _ => None }
            }

            fn emit(&self) -> toml_edit::Value {
                self.as_str().into()
            }
        }
    };
}

pub(super) use words;

words! {
    /// How much the log says; each level includes those before it.
    LogLevel {
        /// What failed.
        Error = "error",
        /// What is wrong but survived.
        Warn = "warn",
        /// What an operator wants to know on a good day.
        Info = "info",
        /// What helps to understand a bad day.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

words! {
    /// In which order the addresses of a service are told.
    AddressOrder {
        /// Those on the asker's node first, each group rotating.
        Nearest = "nearest",
        /// By lot.
        Random = "random",
        /// Rotating, wherever they are.
        Rotate = "rotate",
        /// As they are.
        Fixed = "fixed",
    }
}

words! {
    /// What a service answers of whose tasks none is ready.
    NoneHealthy {
        /// All of them that are not withdrawn.
        FailOpen = "fail-open",
        /// None.
        FailClosed = "fail-closed",
    }
}

words! {
    /// How a line of the log is written.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_between_nothing_and_all() {
        for (text, share) in [("0", 0.0), ("0.34", 0.34), ("1", 1.0), ("1.0", 1.0), ("0.000001", 0.000_001)] {
            assert_eq!(Share::parse(text).map(Share::get), Some(share));
        }
        for text in ["", ".", "1.1", "-0.1", "nan", "inf", "1e-1", "34%"] {
            assert_eq!(Share::parse(text), None, "{text}");
        }
    }

    #[test]
    fn durations_and_sizes_have_one_unit() {
        for (text, ms) in
            [("250ms", 250), ("5s", 5_000), ("2m", 120_000), ("1h", 3_600_000), ("1d", 86_400_000)]
        {
            assert_eq!(Duration::parse(text), Some(Duration::from_millis(ms)));
            assert_eq!(Duration::parse(text).unwrap().emit().as_str(), Some(text));
        }
        assert_eq!(Duration::parse("0ms").unwrap().emit().as_str(), Some("0s"));
        for (text, octets) in [("3B", 3), ("64MiB", 64 << 20), ("1TiB", 1 << 40)] {
            assert_eq!(Size::parse(text), Some(Size(octets)));
            assert_eq!(Size::parse(text).unwrap().emit().as_str(), Some(text));
        }
        for text in
            ["", "5", "s", "1.5s", "-1s", "5 s", "3651d", "99999999999999999999s", "18446744073709551615d"]
        {
            assert_eq!(Duration::parse(text), None, "{text}");
        }
        for text in ["64MB", "64", "99999999TiB"] {
            assert_eq!(Size::parse(text), None, "{text}");
        }
    }
}
