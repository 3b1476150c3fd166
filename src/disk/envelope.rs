//! The form that every file of the state directory has, so that half a file is never taken for a whole one.
//!
//! ```text
//! 0         8         16        20            28
//! | hivedns0 | kind    | version | body length | body ... | CRC-32 of all before |
//! ```
//!
//! Numbers are little-endian. The checksum covers the version: a flipped bit is damage, not a newer format.

use super::fault::{DiskError, Fault};
use std::path::Path;

const MAGIC: &[u8; 8] = b"hivedns\0";
/// The version of all formats in the directory: a change of any of them makes a new one.
pub(super) const VERSION: u32 = 1;
/// Octets before the body.
pub(super) const HEAD_OCTETS: usize = 28;
/// Octets of the body's length, the last of those.
const LENGTH_OCTETS: usize = 8;
/// Octets behind it.
const TAIL_OCTETS: usize = 4;
/// Octets around a body.
pub(super) const ENVELOPE_OCTETS: usize = HEAD_OCTETS + TAIL_OCTETS;

/// What a file is for: its name, and eight octets in its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Identity,
    Peers,
    Ring,
    Shared,
    Records,
    Journal,
    /// A copy of a zone; there are many, and each has a name of its own ([`super::zones`]).
    Zone,
    /// What changed of a zone since; as many ([`super::changes`]).
    Changes,
}

impl Kind {
    /// Those of which there is one.
    pub(super) const ALL: [Kind; 6] =
        [Kind::Identity, Kind::Peers, Kind::Ring, Kind::Shared, Kind::Records, Kind::Journal];

    /// The file's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Identity => "identity",
            Kind::Peers => "peers",
            Kind::Ring => "ring",
            Kind::Shared => "shared",
            Kind::Records => "records",
            Kind::Journal => "journal",
            Kind::Zone => "zone",
            Kind::Changes => "changes",
        }
    }

    fn octets(self) -> [u8; 8] {
        let mut octets = [b' '; 8];
        octets[..self.name().len()].copy_from_slice(self.name().as_bytes());
        octets
    }
}

/// Why octets are no such file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unsound {
    /// Another version, undamaged.
    Version(u32),
    /// Damaged.
    At {
        /// From this octet on.
        offset: u64,
        expected: String,
        found: String,
    },
}

impl Unsound {
    pub(super) fn at(offset: usize, expected: impl Into<String>, found: impl Into<String>) -> Unsound {
        Unsound::At { offset: offset as u64, expected: expected.into(), found: found.into() }
    }

    /// As a fault of this file; another version is an error at once, because it is not a fault.
    pub(super) fn in_file(self, file: &Path) -> Result<Fault, DiskError> {
        match self {
            Unsound::Version(version) => {
                Err(DiskError::Newer { file: file.to_owned(), version, known: VERSION })
            }
            Unsound::At { offset, expected, found } => {
                Ok(Fault { file: file.to_owned(), offset, expected, found })
            }
        }
    }
}

/// The body in its envelope.
pub(super) fn seal(kind: Kind, body: &[u8]) -> Vec<u8> {
    let mut octets = begin(kind, body.len());
    octets.extend_from_slice(body);
    finish(octets)
}

/// The head of an envelope, to which the body is appended; then it is [finished](finish).
pub(super) fn begin(kind: Kind, body_octets: usize) -> Vec<u8> {
    let mut octets = Vec::with_capacity(body_octets + ENVELOPE_OCTETS);
    octets.extend_from_slice(MAGIC);
    octets.extend_from_slice(&kind.octets());
    octets.extend_from_slice(&VERSION.to_le_bytes());
    octets.extend_from_slice(&[0; LENGTH_OCTETS]);
    octets
}

/// Closes an envelope behind its body.
pub(super) fn finish(mut octets: Vec<u8>) -> Vec<u8> {
    let len = octets.len().saturating_sub(HEAD_OCTETS) as u64;
    octets[HEAD_OCTETS - LENGTH_OCTETS..HEAD_OCTETS].copy_from_slice(&len.to_le_bytes());
    octets.extend_from_slice(&crc32fast::hash(&octets).to_le_bytes());
    octets
}

/// The body at the start of `octets`, and how many octets it takes with its envelope.
pub(super) fn open(kind: Kind, octets: &[u8]) -> Result<(&[u8], usize), Unsound> {
    let mut rest = Rest::new(octets);
    let magic = rest.take(8, "the head of a file")?;
    if magic != MAGIC {
        return Err(Unsound::at(0, shown(MAGIC), shown(magic)));
    }
    let found = rest.take(8, "the kind of the file")?;
    if found != kind.octets() {
        return Err(Unsound::at(8, shown(&kind.octets()), shown(found)));
    }
    let version = rest.u32("the version")?;
    let len = rest.u64("the body's length")?;
    let body = rest.take(usize::try_from(len).unwrap_or(usize::MAX), "the body")?;
    let sum_at = rest.at;
    let sum = rest.u32("the checksum")?;
    let expected = crc32fast::hash(&octets[..sum_at]);
    if sum != expected {
        return Err(Unsound::at(sum_at, format!("the checksum {expected:08x}"), format!("{sum:08x}")));
    }
    if version != VERSION {
        return Err(Unsound::Version(version));
    }
    Ok((body, rest.at))
}

/// The body of a file that holds nothing else.
pub(super) fn open_whole(kind: Kind, octets: &[u8]) -> Result<&[u8], Unsound> {
    let (body, end) = open(kind, octets)?;
    match octets.len() - end {
        0 => Ok(body),
        more => Err(Unsound::at(end, "the end of the file", format!("{more} octets more"))),
    }
}

/// Octets that are read from the front, with the place for faults.
pub(super) struct Rest<'o> {
    octets: &'o [u8],
    /// Octets read.
    pub(super) at: usize,
}

impl<'o> Rest<'o> {
    pub(super) fn new(octets: &'o [u8]) -> Rest<'o> {
        Rest { octets, at: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.at == self.octets.len()
    }

    pub(super) fn take(&mut self, count: usize, what: &str) -> Result<&'o [u8], Unsound> {
        let rest = &self.octets[self.at..];
        let Some(taken) = rest.get(..count) else {
            let found = format!("{} until the file ends", rest.len());
            return Err(Unsound::at(self.at, format!("{count} octets for {what}"), found));
        };
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Unsound> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32, Unsound> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    pub(super) fn u64(&mut self, what: &str) -> Result<u64, Unsound> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }
}

fn shown(octets: &[u8]) -> String {
    format!("\"{}\"", octets.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_and_what_follows_is_told() {
        let mut octets = seal(Kind::Ring, b"body");
        assert_eq!(open_whole(Kind::Ring, &octets), Ok(&b"body"[..]));
        octets.push(0);
        assert_eq!(open(Kind::Ring, &octets), Ok((&b"body"[..], octets.len() - 1)));
        let told = Unsound::at(octets.len() - 1, "the end of the file", "1 octets more");
        assert_eq!(open_whole(Kind::Ring, &octets), Err(told));
    }

    #[test]
    fn no_shortened_and_no_changed_file_opens() {
        let octets = seal(Kind::Peers, b"192.0.2.1:7953\n");
        for len in 0..octets.len() {
            assert!(matches!(open(Kind::Peers, &octets[..len]), Err(Unsound::At { .. })), "{len}");
        }
        for at in 0..octets.len() * 8 {
            let mut octets = octets.clone();
            octets[at / 8] ^= 1 << (at % 8);
            assert!(matches!(open_whole(Kind::Peers, &octets), Err(Unsound::At { .. })), "bit {at}");
        }
        assert!(matches!(open(Kind::Ring, &octets), Err(Unsound::At { offset: 8, .. })));
    }

    #[test]
    fn another_version_is_told_apart_from_damage() {
        let mut octets = seal(Kind::Ring, b"body");
        octets.truncate(octets.len() - TAIL_OCTETS);
        octets[16] = 2;
        let sum = crc32fast::hash(&octets);
        octets.extend_from_slice(&sum.to_le_bytes());
        assert_eq!(open(Kind::Ring, &octets), Err(Unsound::Version(2)));
    }
}
