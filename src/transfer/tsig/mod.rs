//! Signed messages: TSIG (RFC 8945) over ring's HMAC.
//!
//! ```text
//! a request comes:   record::find ─► server::check ─► Session ─► sign each message of the answer
//! a request goes:    client::Exchange::begin ─► heard, for each message of the answer ─► finish
//! ```
//!
//! Time is handed in, as seconds of the wall clock. Nothing here knows what is asked, or who may.

pub mod client;
mod mac;
pub mod record;
pub mod server;

use crate::base::config::Hmac;
use crate::transfer::tsig::mac::{Mac, ring_algorithm};
use crate::wire::name::Name;
use ring::hmac;
use std::fmt;

/// Seconds by which clocks may differ: what RFC 8945 §10 recommends.
pub const FUDGE_SECONDS: u16 = 300;
/// Octets of a secret at least: half of what HMAC-SHA-256 takes as a key; anything shorter can be guessed one day.
pub const SECRET_OCTETS_MIN: usize = 16;
/// Octets of a secret at most: more would only be hashed.
pub const SECRET_OCTETS_MAX: usize = 512;

/// What is wrong with a signature (RFC 8945 §4.2; RFC 2845 gave the numbers).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TsigError {
    /// The signature is not that of the key.
    BadSig,
    /// There is no such key here, or not of that algorithm.
    BadKey,
    /// It was signed at another time than now.
    BadTime,
    /// The signature is right but shorter than this server takes.
    BadTrunc,
}

impl TsigError {
    /// Its number in a TSIG record.
    pub fn code(self) -> u16 {
        match self {
            TsigError::BadSig => 16,
            TsigError::BadKey => 17,
            TsigError::BadTime => 18,
            TsigError::BadTrunc => 22,
        }
    }
}

impl fmt::Display for TsigError {
    /// The mnemonic of the IANA registry.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TsigError::BadSig => "BADSIG",
            TsigError::BadKey => "BADKEY",
            TsigError::BadTime => "BADTIME",
            TsigError::BadTrunc => "BADTRUNC",
        })
    }
}

/// A key: a name, an algorithm and a secret, which both sides have.
pub struct Key {
    /// Lower-cased: the canonical form that is signed (RFC 8945 §4.3.3).
    name: Name,
    algorithm: Hmac,
    secret: hmac::Key,
}

impl Key {
    /// A key of that secret.
    pub fn new(name: &Name, algorithm: Hmac, secret: &[u8]) -> Key {
        let secret = hmac::Key::new(ring_algorithm(algorithm), secret);
        Key { name: name.to_lowercase(), algorithm, secret }
    }

    /// Its name, lower-cased.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Octets of the TSIG record that it signs with.
    pub fn record_octets(&self) -> usize {
        let names = self.name.as_wire().len() + algorithm_name(self.algorithm).len();
        names + record::FIXED_OCTETS + mac::octets(self.algorithm)
    }

    /// The same of a record that tells of an error and has the server's time (RFC 8945 §5.2.3).
    pub fn error_octets(&self) -> usize {
        self.record_octets() + record::TIME_OCTETS
    }

    fn mac(&self) -> Mac<'_> {
        Mac::new(self)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, {})", self.name, self.algorithm)
    }
}

/// The name of an algorithm in wire form (RFC 8945 §6).
fn algorithm_name(algorithm: Hmac) -> &'static [u8] {
    match algorithm {
        Hmac::Sha256 => b"\x0bhmac-sha256\0",
        Hmac::Sha384 => b"\x0bhmac-sha384\0",
        Hmac::Sha512 => b"\x0bhmac-sha512\0",
    }
}

#[cfg(test)]
mod tests;
