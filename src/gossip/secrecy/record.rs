//! One direction of a stream: records, each sealed under its number.
//!
//! ```text
//!  │ 0: more, 1: last │ octets of the content 2 │ content, at most 16,384 │ tag 16, if there are keys │
//! ```
//!
//! The first three octets are in clear and vouched for. A record that is missing, doubled or out of order does
//! not open, and a stream without its last record was cut off.

use super::derive::{Cipher, TAG_OCTETS};
use super::refusal::Refused;

/// Octets of a record's content: what a reader holds of a stream at most, the frame around it not counted.
/// Longer writes become several records.
pub const RECORD_OCTETS_MAX: usize = 16 * 1_024;

/// Octets before the content.
pub(super) const RECORD_HEADER: usize = 3;

const _: () = assert!(RECORD_OCTETS_MAX <= u16::MAX as usize);

/// Whether more comes behind a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follows {
    More = 0,
    Nothing = 1,
}

/// Seals or opens one direction. Without a cipher in clear.
pub(super) struct Direction {
    cipher: Option<Box<Cipher>>,
    number: u64,
}

impl Direction {
    pub(super) fn new(cipher: Option<Box<Cipher>>) -> Direction {
        Direction { cipher, number: 0 }
    }

    /// Appends one record; `content` has at most [`RECORD_OCTETS_MAX`] octets.
    pub(super) fn seal(&mut self, content: &[u8], follows: Follows, octets: &mut Vec<u8>) {
        let [high, low] = (content.len() as u16).to_be_bytes();
        let mut record = Vec::with_capacity(RECORD_HEADER + content.len() + TAG_OCTETS);
        record.extend_from_slice(&[follows as u8, high, low]);
        record.extend_from_slice(content);
        if let Some(cipher) = &self.cipher {
            cipher.seal(self.number, &mut record, RECORD_HEADER);
            self.number += 1;
        }
        octets.append(&mut record);
    }

    /// What the octets of a record's header announce: whether more follows, and the octets of the whole record.
    pub(super) fn announced(&self, header: [u8; RECORD_HEADER]) -> Result<(Follows, usize), Refused> {
        let follows = match header[0] {
            0 => Follows::More,
            1 => Follows::Nothing,
            _ => return Err(Refused::Malformed),
        };
        let content = usize::from(u16::from_be_bytes([header[1], header[2]]));
        if content > RECORD_OCTETS_MAX {
            return Err(Refused::Malformed);
        }
        let tag = if self.cipher.is_some() { TAG_OCTETS } else { 0 };
        Ok((follows, RECORD_HEADER + content + tag))
    }

    /// The content of a whole record.
    pub(super) fn open<'o>(&mut self, record: &'o mut [u8]) -> Result<&'o [u8], Refused> {
        let (header, sealed) = record.split_at_mut_checked(RECORD_HEADER).ok_or(Refused::Truncated)?;
        match &self.cipher {
            None => Ok(sealed),
            Some(cipher) => {
                let content = cipher.open(self.number, header, sealed).ok_or(Refused::Forged)?;
                self.number += 1;
                Ok(content)
            }
        }
    }
}
