//! A key of the cluster, and the short name by which people and rotation speak of it.
//!
//! Does not know what is made of a key; see [`super::derive`].

use bincode::{Decode, Encode};
use data_encoding::{BASE64, BASE64_NOPAD, HEXLOWER_PERMISSIVE};
use ring::digest;
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroize;

/// Octets of a key: what ChaCha20-Poly1305 takes, and more than anybody can guess.
pub const KEY_OCTETS: usize = 32;

/// A secret that all nodes of a cluster share. Overwritten when it is dropped; shown only as its [`KeyId`].
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct Key([u8; KEY_OCTETS]);

/// The first octets of a key's hash: tells the keys of a ring apart and says nothing of the key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct KeyId([u8; 4]);

impl Key {
    /// A key of these octets, which must come from the system's entropy.
    pub fn new(random: [u8; KEY_OCTETS]) -> Key {
        Key(random)
    }

    /// Reads base64 (with or without padding) or hexadecimal digits; `None` if it is neither or not of 32 octets.
    pub fn parse(text: &str) -> Option<Key> {
        let text = text.as_bytes();
        let mut octets = match text.len() {
            64 => HEXLOWER_PERMISSIVE.decode(text),
            44 => BASE64.decode(text),
            _ => BASE64_NOPAD.decode(text),
        }
        .ok()?;
        let key = octets.as_slice().try_into().ok().map(Key);
        octets.zeroize();
        key
    }

    /// The key as base64: a secret.
    pub fn emit(&self) -> String {
        BASE64.encode(&self.0)
    }

    /// Its short name.
    pub fn id(&self) -> KeyId {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(b"hivedns key id");
        hash.update(&self.0);
        let hash = hash.finish();
        KeyId(hash.as_ref().first_chunk().copied().unwrap_or_default())
    }

    /// The secret itself.
    pub(super) fn octets(&self) -> &[u8; KEY_OCTETS] {
        &self.0
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no [`KeyId`]: not eight hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoKeyId;

impl fmt::Display for NoKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key is named by eight hexadecimal digits")
    }
}

impl std::error::Error for NoKeyId {}

impl FromStr for KeyId {
    type Err = NoKeyId;

    fn from_str(text: &str) -> Result<KeyId, NoKeyId> {
        if text.len() != 8 {
            return Err(NoKeyId);
        }
        let octets = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(|_| NoKeyId)?;
        octets.as_slice().try_into().map(KeyId).map_err(|_| NoKeyId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_in_each_notation_and_written_as_base64() {
        let key = Key::new(std::array::from_fn(|at| at as u8 * 7));
        let hex = HEXLOWER_PERMISSIVE.encode(key.octets());
        let base64 = key.emit();
        for text in [&base64, base64.trim_end_matches('='), &hex, &hex.to_uppercase()] {
            assert!(Key::parse(text).as_ref() == Some(&key), "{text}");
        }
        for text in ["", "zz", &base64[1..], &hex[2..], &hex.replace('0', "g"), &format!("{hex}00")] {
            assert!(Key::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_key_shows_its_name_only() {
        let key = Key::new([7; KEY_OCTETS]);
        let shown = format!("{key:?}");
        assert_eq!(shown, format!("Key({})", key.id()));
        assert!(!shown.contains("0707") && !shown.contains("BwcH"));
    }

    #[test]
    fn the_name_of_a_key_is_read_as_it_is_shown() {
        let id = Key::new([7; KEY_OCTETS]).id();
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in ["", "0011223", "001122334", "0011223g", "+0112233"] {
            assert_eq!(text.parse::<KeyId>(), Err(NoKeyId), "{text}");
        }
    }
}
