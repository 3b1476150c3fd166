//! What is signed, in the order of RFC 8945 §4.3, and how two signatures are compared.

use crate::base::config::Hmac;
use crate::base::octets::u16_at;
use crate::base::time::WallSeconds;
use crate::transfer::tsig::record::Tsig;
use crate::transfer::tsig::{Key, algorithm_name};
use crate::wire::message::HEADER_OCTETS;
use crate::wire::rtype::Class;
use ring::hmac;

/// Octets of the longest signature: SHA-512's.
pub(super) const OCTETS_MAX: usize = 64;

/// Octets of a whole signature.
pub(super) fn octets(algorithm: Hmac) -> usize {
    match algorithm {
        Hmac::Sha256 => 32,
        Hmac::Sha384 => 48,
        Hmac::Sha512 => 64,
    }
}

pub(super) fn ring_algorithm(algorithm: Hmac) -> hmac::Algorithm {
    match algorithm {
        Hmac::Sha256 => hmac::HMAC_SHA256,
        Hmac::Sha384 => hmac::HMAC_SHA384,
        Hmac::Sha512 => hmac::HMAC_SHA512,
    }
}

/// What a TSIG record says besides the signature.
#[derive(Debug, Clone, Copy)]
pub(super) struct Variables<'v> {
    pub(super) time: WallSeconds,
    pub(super) fudge: u16,
    pub(super) error: u16,
    pub(super) other: &'v [u8],
}

/// A signature in the making.
#[derive(Clone)]
pub(super) struct Mac<'k> {
    key: &'k Key,
    context: hmac::Context,
}

impl<'k> Mac<'k> {
    pub(super) fn new(key: &'k Key) -> Mac<'k> {
        Mac { key, context: hmac::Context::with_key(&key.secret) }
    }

    /// The signature of the message before this one (RFC 8945 §4.3.1).
    pub(super) fn prior(mut self, mac: &[u8]) -> Self {
        if !mac.is_empty() {
            self.context.update(&(mac.len() as u16).to_be_bytes());
            self.context.update(mac);
        }
        self
    }

    /// A message that has no TSIG record.
    pub(super) fn message(mut self, message: &[u8]) -> Self {
        self.context.update(message);
        self
    }

    /// A message as it was before the TSIG record was added (RFC 8945 §4.3.2).
    pub(super) fn stripped(mut self, message: &[u8], tsig: &Tsig<'_>) -> Self {
        let Some(header) = message.first_chunk::<HEADER_OCTETS>() else { return self };
        let mut header = *header;
        [header[0], header[1]] = tsig.original_id.to_be_bytes();
        let additional = u16_at(&header, 10).unwrap_or_default();
        [header[10], header[11]] = additional.saturating_sub(1).to_be_bytes();
        self.context.update(&header);
        self.context.update(message.get(HEADER_OCTETS..tsig.at).unwrap_or_default());
        self
    }

    /// The variables of a first message (RFC 8945 §4.3.3).
    pub(super) fn variables(mut self, variables: &Variables<'_>) -> Self {
        self.context.update(self.key.name.as_wire());
        self.context.update(&Class::ANY.0.to_be_bytes());
        self.context.update(&0u32.to_be_bytes());
        self.context.update(algorithm_name(self.key.algorithm));
        self = self.timers(variables);
        self.context.update(&variables.error.to_be_bytes());
        self.context.update(&(variables.other.len() as u16).to_be_bytes());
        self.context.update(variables.other);
        self
    }

    /// Those of a later message of a stream (RFC 8945 §5.3.1).
    pub(super) fn timers(mut self, variables: &Variables<'_>) -> Self {
        self.context.update(&time_octets(variables.time));
        self.context.update(&variables.fudge.to_be_bytes());
        self
    }

    pub(super) fn finish(self) -> hmac::Tag {
        self.context.sign()
    }
}

/// How a signature that came compares with the right one (RFC 8945 §5.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compared {
    Right,
    /// Right as far as it goes, which is not far enough.
    Short,
    Wrong,
    /// Longer than any, or so short that no one may take it (RFC 8945 §5.2.2.1).
    NoLength,
}

/// Compares without telling by time where they differ: what ring compares in constant time is a signature of each. Signatures that were cut short are not taken: RFC 8945 §5.2.2.1
/// leaves that to each server, and nobody cuts them unasked.
pub(super) fn compare(key: &Key, right: &[u8], came: &[u8]) -> Compared {
    const OCTETS_MIN: usize = 10;
    if came.len() > right.len() || came.len() < OCTETS_MIN.max(right.len() / 2) {
        return Compared::NoLength;
    }
    let begins = hmac::sign(&key.secret, right.get(..came.len()).unwrap_or_default());
    match hmac::verify(&key.secret, came, begins.as_ref()).is_ok() {
        false => Compared::Wrong,
        true if came.len() < right.len() => Compared::Short,
        true => Compared::Right,
    }
}

/// 48 bits (RFC 8945 §4.2).
pub(super) fn time_octets(time: WallSeconds) -> [u8; 6] {
    let [_, _, octets @ ..] = time.0.to_be_bytes();
    octets
}

/// True if a message of that time may be taken now (RFC 8945 §5.2.3).
pub(super) fn is_in_time(signed: WallSeconds, fudge: u16, now: WallSeconds) -> bool {
    signed.0.abs_diff(now.0) <= u64::from(fudge)
}
