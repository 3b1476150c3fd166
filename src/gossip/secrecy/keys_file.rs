//! The text in which keys are kept: one to a line, base64 or hexadecimal, `#` begins a comment. The first one
//! seals. Does not know where the file lies.

use super::key::{Key, KeyId};
use super::keyring::{KEYS_MAX, Ring, RingError};
use std::fmt;

/// What is wrong with a text of keys. Lines count from one. The text itself is never shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeysFault {
    /// That line is no key.
    NoKey {
        /// Which.
        line: usize,
    },
    /// That line holds a key that stands further up, too.
    Again {
        /// Which.
        line: usize,
        /// The key.
        id: KeyId,
    },
    /// With that line there are more than [`KEYS_MAX`].
    TooMany {
        /// Which.
        line: usize,
    },
    /// There is no key at all. Who wants to speak in clear names no file; an emptied one is a mistake.
    Empty,
}

impl Ring {
    /// Reads the text of a keys file.
    pub fn parse(text: &str) -> Result<Ring, KeysFault> {
        let mut ring = Ring::default();
        for (at, line) in text.lines().enumerate() {
            let line_number = at + 1;
            let said = line.split('#').next().unwrap_or_default().trim();
            if said.is_empty() {
                continue;
            }
            let key = Key::parse(said).ok_or(KeysFault::NoKey { line: line_number })?;
            let id = key.id();
            match ring.append(key) {
                Ok(true) => {}
                Ok(false) | Err(RingError::Taken(_)) => {
                    return Err(KeysFault::Again { line: line_number, id });
                }
                Err(_) => return Err(KeysFault::TooMany { line: line_number }),
            }
        }
        if ring.is_empty() { Err(KeysFault::Empty) } else { Ok(ring) }
    }

    /// The text of a keys file that holds this ring: a secret.
    pub fn emit(&self) -> String {
        let mut text = String::from("# Keys of the cluster. The first seals, all open.\n");
        for key in self.keys() {
            text.push_str(&format!("{}  # {}\n", key.emit(), key.id()));
        }
        text
    }

    /// The text of a keys file with one new key of these octets, which must come from the system's entropy.
    pub fn generate(random: [u8; super::key::KEY_OCTETS]) -> String {
        Ring::new(Key::new(random)).emit()
    }
}

impl KeysFault {
    /// Where; 1 for a file without a key.
    pub fn line(&self) -> usize {
        match self {
            KeysFault::NoKey { line } | KeysFault::Again { line, .. } | KeysFault::TooMany { line } => *line,
            KeysFault::Empty => 1,
        }
    }

    /// What, without the line.
    pub fn message(&self) -> String {
        match self {
            KeysFault::NoKey { .. } => "not 32 octets in base64 or hexadecimal".to_owned(),
            KeysFault::Again { id, .. } => format!("the key {id} stands above already"),
            KeysFault::TooMany { .. } => format!("more than {KEYS_MAX} keys"),
            KeysFault::Empty => "no key in it".to_owned(),
        }
    }
}

impl fmt::Display for KeysFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeysFault::Empty => f.write_str(&self.message()),
            fault => write!(f, "line {}: {}", fault.line(), fault.message()),
        }
    }
}

impl std::error::Error for KeysFault {}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> Key {
        Key::new([n; 32])
    }

    #[test]
    fn a_ring_is_read_as_it_was_written() {
        let mut ring = Ring::new(key(1));
        assert_eq!(ring.add(key(2)), Ok(true));
        assert_eq!(Ring::parse(&ring.emit()), Ok(ring));
        assert_eq!(Ring::parse(&Ring::generate([9; 32])), Ok(Ring::new(key(9))));
    }

    #[test]
    fn comments_and_empty_lines_are_skipped_and_hexadecimal_is_read() {
        let text = format!("# ours\r\n\n  {} # old\r\n\t{}\n", "01".repeat(32), key(2).emit());
        assert_eq!(Ring::parse(&text).map(|ring| ring.keys().to_vec()), Ok(vec![key(1), key(2)]));
    }

    #[test]
    fn a_fault_names_its_line_and_never_the_secret() {
        let good = key(1).emit();
        let many: String = (0..=KEYS_MAX as u8).map(|n| key(n).emit() + "\n").collect();
        let cases = [
            (format!("#\n{}", &good[1..]), KeysFault::NoKey { line: 2 }),
            (format!("{good}\n{good}"), KeysFault::Again { line: 2, id: key(1).id() }),
            (many, KeysFault::TooMany { line: KEYS_MAX + 1 }),
            ("# nothing\n".to_owned(), KeysFault::Empty),
        ];
        for (text, fault) in cases {
            assert_eq!(Ring::parse(&text), Err(fault));
            assert!(!fault.to_string().contains(&good[1..9]), "{fault}");
        }
    }
}
