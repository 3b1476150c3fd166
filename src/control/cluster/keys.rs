//! The cluster's keys at the start: those of the keys file, or the ring that a rotation made of them while running.
//!
//! ```text
//! # instead of c3a1b2d4 0f9e8d7c      ids of the keys file's keys, in their order
//! ... the text of the ring
//! ```
//!
//! A kept ring counts as long as the file holds the keys that it grew out of. When somebody has changed the file, the
//! file counts: that is how a node gets hold of keys that it missed.

use crate::base::config::Config;
use crate::gossip::secrecy::keyring::Ring;
use std::io;

/// How the first line of a kept ring begins; a comment to who reads it as a keys file.
const INSTEAD_OF: &str = "# instead of";

/// The keys to begin with.
pub(super) struct Keys {
    pub(super) ring: Ring,
    /// The ids of the keys file's keys.
    file: String,
    /// The kept ring counts no more: this one is to be kept in its place.
    pub(super) is_news: bool,
}

impl Keys {
    /// Those of `text`, the content of `path`, or the kept ring that grew out of them. An error names the file and
    /// the line.
    pub(super) fn choose(path: &str, text: Option<&str>, kept: Option<&[u8]>) -> io::Result<Keys> {
        let Some(text) = text else {
            return Ok(Keys { ring: Ring::default(), file: String::new(), is_news: false });
        };
        let ring = Ring::parse(text).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("gossip.keys_file: {path}: {error}"))
        })?;
        let file = ids(&ring);
        match kept.map(read) {
            None => Ok(Keys { ring, file, is_news: false }),
            Some(Ok((instead_of, kept))) if instead_of == file => {
                Ok(Keys { ring: kept, file, is_news: false })
            }
            Some(Ok(_)) => {
                tracing::warn!("gossip.keys_file was changed: its keys are used, not those of the kept ring");
                Ok(Keys { ring, file, is_news: true })
            }
            Some(Err(error)) => {
                tracing::error!("the kept key ring cannot be read, gossip.keys_file is used: {error}");
                Ok(Keys { ring, file, is_news: true })
            }
        }
    }

    /// What is kept of the ring as it is now.
    pub(super) fn kept(&self, ring: &Ring) -> Vec<u8> {
        format!("{INSTEAD_OF} {}\n{}", self.file, ring.emit()).into_bytes()
    }
}

/// What was kept: the ids of the keys that it stands for, and the ring.
fn read(octets: &[u8]) -> Result<(String, Ring), String> {
    let text = std::str::from_utf8(octets).map_err(|error| error.to_string())?;
    let first = text.lines().next().and_then(|line| line.strip_prefix(INSTEAD_OF));
    let instead_of = first.ok_or("it does not say which keys it stands for")?;
    let ring = Ring::parse(text).map_err(|error| error.to_string())?;
    Ok((instead_of.trim().to_owned(), ring))
}

fn ids(ring: &Ring) -> String {
    let ids: Vec<String> = ring.keys().iter().map(|key| key.id().to_string()).collect();
    ids.join(" ")
}

/// The text of the cluster's keys, if it has any. Read at the start, while the rights are there.
pub fn read_keys(config: &Config) -> io::Result<Option<String>> {
    let path = &config.gossip.keys_file;
    if path.is_empty() {
        return Ok(None);
    }
    std::fs::read_to_string(path).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gossip::secrecy::key::Key;

    fn key(n: u8) -> Key {
        Key::new([n; 32])
    }

    fn chosen(text: &str, kept: &[u8]) -> (Vec<Key>, bool) {
        let keys = Keys::choose("keys", Some(text), Some(kept)).unwrap();
        (keys.ring.keys().to_vec(), keys.is_news)
    }

    #[test]
    fn a_rotated_ring_counts_until_the_keys_in_the_file_change() {
        let file = Ring::new(key(1)).emit();
        let fresh = Keys::choose("keys", Some(&file), None).unwrap();
        assert_eq!((fresh.ring.keys(), fresh.is_news), (&[key(1)][..], false));
        // The whole rotation: nothing is left of what the file says.
        let kept = fresh.kept(&Ring::new(key(2)));
        assert_eq!(chosen(&file, &kept), (vec![key(2)], false));
        assert_eq!(chosen(&format!("# ours\n\n{file}"), &kept), (vec![key(2)], false));
        let changed = Ring::new(key(3)).emit();
        assert_eq!(chosen(&changed, &kept), (vec![key(3)], true));
        let both = format!("{file}{changed}");
        assert_eq!(chosen(&both, &kept), (vec![key(1), key(3)], true));
    }

    #[test]
    fn a_kept_ring_that_cannot_be_read_is_replaced_and_a_faulty_file_is_an_error() {
        let file = Ring::new(key(1)).emit();
        for kept in [&b""[..], b"\xff", b"# instead of 00000000\nfoul\n", file.as_bytes()] {
            assert_eq!(chosen(&file, kept), (vec![key(1)], true), "{kept:?}");
        }
        assert!(Keys::choose("keys", Some("foul"), None).is_err());
        let none = Keys::choose("keys", None, Some(b"# instead of \n")).unwrap();
        assert!(none.ring.is_empty());
    }
}
