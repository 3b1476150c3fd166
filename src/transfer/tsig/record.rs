//! The TSIG record in a message: finding it, and adding one (RFC 8945 §4.2, §5.1).
//!
//! ```text
//! key's name | TSIG ANY 0 len | algorithm's name | time (6) fudge (2) | size, MAC | id | error | len, other
//! ```

use crate::base::octets::{put_u16, u16_at};
use crate::base::time::WallSeconds;
use crate::transfer::tsig::mac::{Variables, time_octets};
use crate::transfer::tsig::{Key, algorithm_name};
use crate::wire::message::HEADER_OCTETS;
use crate::wire::name::Name;
use crate::wire::response::{pass_name, read_name};
use crate::wire::rtype::{Class, RecordType};

/// Octets of a record besides names, signature and other data.
pub(super) const FIXED_OCTETS: usize = 10 + 16;
/// Octets of a time.
pub(super) const TIME_OCTETS: usize = 6;

/// A TSIG record that came.
#[derive(Debug, Clone)]
pub struct Tsig<'m> {
    /// Where in the message it begins: nothing follows it.
    pub(super) at: usize,
    pub(super) key: Name,
    pub(super) algorithm: Name,
    pub(super) time: WallSeconds,
    pub(super) fudge: u16,
    pub(super) mac: &'m [u8],
    pub(super) original_id: u16,
    pub(super) error: u16,
    pub(super) other: &'m [u8],
}

impl<'m> Tsig<'m> {
    pub(super) fn variables(&self) -> Variables<'m> {
        Variables { time: self.time, fudge: self.fudge, error: self.error, other: self.other }
    }

    /// The name of the key that is said to have signed.
    pub fn key(&self) -> &Name {
        &self.key
    }

    /// What the signer says is wrong; 0: nothing.
    pub fn error(&self) -> u16 {
        self.error
    }

    fn read(message: &'m [u8], at: usize) -> Option<Tsig<'m>> {
        let (key, fixed) = read_name(message, at)?;
        let class = Class(u16_at(message, fixed + 2)?);
        let rdata_at = fixed + 10;
        let end = rdata_at + usize::from(u16_at(message, fixed + 8)?);
        let (algorithm, at_time) = read_name(message.get(..end)?, rdata_at)?;
        let rest = message.get(at_time..end)?;
        let (time, rest) = rest.split_first_chunk::<TIME_OCTETS>()?;
        let fudge = u16_at(rest, 0)?;
        let mac_end = 4 + usize::from(u16_at(rest, 2)?);
        let mac = rest.get(4..mac_end)?;
        let (original_id, error) = (u16_at(rest, mac_end)?, u16_at(rest, mac_end + 2)?);
        let other = rest.get(mac_end + 6..)?;
        if class != Class::ANY || usize::from(u16_at(rest, mac_end + 4)?) != other.len() {
            return None;
        }
        let mut seconds = [0; 8];
        seconds[2..].copy_from_slice(time);
        let time = WallSeconds(u64::from_be_bytes(seconds));
        Some(Tsig { at, key, algorithm, time, fudge, mac, original_id, error, other })
    }
}

/// The message is malformed: a TSIG record that cannot be read, or one that is not the last record (RFC 8945 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// The TSIG record of a message, if it has one.
pub fn find(message: &[u8]) -> Result<Option<Tsig<'_>>, Malformed> {
    look(message).ok_or(Malformed)
}

fn look(message: &[u8]) -> Option<Option<Tsig<'_>>> {
    let mut at = HEADER_OCTETS;
    for _ in 0..u16_at(message, 4)? {
        at = pass_name(message, at)? + 4;
    }
    let records = [6, 8].iter().map(|at| u16_at(message, *at)).sum::<Option<u16>>();
    let (before, additional) = (usize::from(records?), usize::from(u16_at(message, 10)?));
    let all = before + additional;
    for number in 0..all {
        let fixed = pass_name(message, at)?;
        let end = fixed + 10 + usize::from(u16_at(message, fixed + 8)?);
        message.get(..end)?;
        if u16_at(message, fixed)? == RecordType::TSIG.0 {
            let is_last = number + 1 == all && additional > 0 && end == message.len();
            return if is_last { Tsig::read(message, at).map(Some) } else { None };
        }
        at = end;
    }
    Some(None)
}

/// Whose signature a record is.
pub(super) struct Signer<'s> {
    pub(super) key: &'s Name,
    pub(super) algorithm: &'s [u8],
}

impl<'s> From<&'s Key> for Signer<'s> {
    fn from(key: &'s Key) -> Signer<'s> {
        Signer { key: &key.name, algorithm: algorithm_name(key.algorithm) }
    }
}

/// Adds a record to the message of `len` octets; its length then. `None`, and nothing added, if there is no room.
pub(super) fn append(
    buffer: &mut [u8],
    len: usize,
    signer: &Signer<'_>,
    variables: &Variables<'_>,
    mac: &[u8],
) -> Option<usize> {
    let id = u16_at(buffer, 0)?;
    let rdata_len = signer.algorithm.len() + 16 + mac.len() + variables.other.len();
    let parts: [&[u8]; 14] = [
        signer.key.as_wire(),
        &RecordType::TSIG.0.to_be_bytes(),
        &Class::ANY.0.to_be_bytes(),
        &0u32.to_be_bytes(),
        &(rdata_len as u16).to_be_bytes(),
        signer.algorithm,
        &time_octets(variables.time),
        &variables.fudge.to_be_bytes(),
        &(mac.len() as u16).to_be_bytes(),
        mac,
        &id.to_be_bytes(),
        &variables.error.to_be_bytes(),
        &(variables.other.len() as u16).to_be_bytes(),
        variables.other,
    ];
    let end = len + parts.iter().map(|part| part.len()).sum::<usize>();
    let mut rest = buffer.get_mut(len..end)?;
    for part in parts {
        let (place, behind) = rest.split_at_mut_checked(part.len())?;
        place.copy_from_slice(part);
        rest = behind;
    }
    let additional = u16_at(buffer, 10)?;
    put_u16(buffer, 10, additional.checked_add(1)?);
    Some(end)
}
