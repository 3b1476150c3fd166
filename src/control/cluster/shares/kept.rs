//! The zones that members share, as they are remembered on disk: a line for each.
//!
//! ```text
//! groucho.edu. 00c0ffee00c0ffee web1 192.0.2.1:53,[2001:db8::1]:53
//! ```

use crate::wire::name::Name;
use std::fmt::Write;
use std::net::SocketAddr;

/// A zone, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    /// Its apex.
    pub(super) origin: Name,
    /// The publisher's id.
    pub(super) publisher: u64,
    /// What the publisher is called, a label.
    pub(super) by: Box<str>,
    /// Where it answers.
    pub(super) at: Vec<SocketAddr>,
}

/// The lines of these.
pub(super) fn write(all: impl IntoIterator<Item = Kept>) -> Vec<u8> {
    let mut text = String::new();
    for Kept { origin, publisher, by, at } in all {
        let at: Vec<String> = at.iter().map(ToString::to_string).collect();
        // A string takes whatever is written.
        let _ = writeln!(text, "{origin} {publisher:016x} {by} {}", at.join(","));
    }
    text.into_bytes()
}

/// What was written; the line that nobody has written, if there is one.
pub(super) fn read(octets: &[u8]) -> Result<Vec<Kept>, String> {
    let text = std::str::from_utf8(octets).map_err(|error| error.to_string())?;
    text.lines().map(|line| one(line).ok_or_else(|| format!("{line:?} is no zone with its node"))).collect()
}

fn one(line: &str) -> Option<Kept> {
    let mut words = line.split(' ');
    let (origin, publisher, by, at) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let at = at.split(',').filter(|address| !address.is_empty()).map(|address| address.parse().ok());
    let kept = Kept {
        origin: Name::parse(origin).ok()?,
        publisher: u64::from_str_radix(publisher, 16).ok()?,
        by: by.into(),
        at: at.collect::<Option<_>>()?,
    };
    words.next().is_none().then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let kept = |origin: &str, at: &[&str]| Kept {
            origin: Name::parse(origin).unwrap(),
            publisher: 0xc0ffee,
            by: "web1".into(),
            at: at.iter().map(|address| address.parse().unwrap()).collect(),
        };
        let all = [kept("groucho.edu.", &["192.0.2.1:53", "[2001:db8::1]:53"]), kept("a\\032b.", &[])];
        assert_eq!(read(&write(all.clone())), Ok(all.to_vec()));
        assert_eq!(read(b""), Ok(Vec::new()));
        for line in [
            "a.",
            "a. 1 web1",
            "a. x web1 ",
            "a. 1 web1 192.0.2.1",
            "a. 1 web1 192.0.2.1:53 more",
            "\u{fc}.. 1 a ",
        ] {
            assert!(
                read(line.as_bytes()).is_err_and(|why| why.contains("is no zone with its node")),
                "{line}"
            );
        }
        assert!(read(b"\xff").is_err());
    }
}
