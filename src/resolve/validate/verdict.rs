//! What validation finds, and why.

use crate::resolve::body::ExtendedError;
use std::fmt;

/// Unsupported DNSKEY Algorithm (RFC 8914 §4.2).
pub(super) const UNSUPPORTED_ALGORITHM: Cause = cause(1, "no key of the zone has an algorithm known here");
/// Unsupported DS Digest Type (RFC 8914 §4.3).
pub(super) const UNSUPPORTED_DIGEST: Cause = cause(2, "no DS record of the zone has a digest known here");
/// DNSSEC Indeterminate (RFC 8914 §4.6).
pub(super) const NO_ANCHOR: Cause = cause(5, "no trust anchor stands above the name");
/// DNSSEC Bogus (RFC 8914 §4.7), and what exactly.
pub(super) const BAD_SIGNATURE: Cause = cause(6, "a signature does not match");
pub(super) const TOO_MANY_FAILURES: Cause = cause(6, "too many signatures of a set do not match");
pub(super) const TOO_MUCH_WORK: Cause = cause(6, "the answer would take too much work to validate");
pub(super) const BAD_ALIAS: Cause = cause(6, "an alias is not the one that its DNAME makes");
pub(super) const BAD_CLASS: Cause = cause(6, "a record is of another class");
pub(super) const OUTSIDE: Cause = cause(6, "a signature is by a zone above the trust anchor");
pub(super) const NOT_A_ZONE: Cause = cause(6, "a signature is by a name that is no zone");
pub(super) const WRONG_SIDE: Cause = cause(6, "DS records are not signed by the zone above");
pub(super) const UNPROVEN: Cause = cause(6, "the proof of what does not exist does not hold");
/// Signature Expired (RFC 8914 §4.8).
pub(super) const EXPIRED: Cause = cause(7, "a signature has expired");
/// Signature Not Yet Valid (RFC 8914 §4.9).
pub(super) const NOT_YET_VALID: Cause = cause(8, "a signature is not valid yet");
/// DNSKEY Missing (RFC 8914 §4.10).
pub(super) const NO_KEY: Cause = cause(9, "no key of the zone made the signature");
pub(super) const NO_KEY_FOR_DS: Cause = cause(9, "no key of the zone matches its DS records");
pub(super) const NO_KEY_FOR_ANCHOR: Cause = cause(9, "no key of the zone matches the trust anchor");
pub(super) const KEYS_OUT_OF_REACH: Cause = cause(9, "the keys of the zone could not be had");
/// DNSSEC Indeterminate, for want of an answer.
pub(super) const DS_OUT_OF_REACH: Cause = cause(5, "the DS records of the zone could not be had");
/// Not Ready (RFC 8914 §4.15).
pub(super) const NO_ROOM: Cause = cause(14, "there was no room to ask for what proves it");
/// RRSIGs Missing (RFC 8914 §4.11).
pub(super) const NO_SIGNATURE: Cause = cause(10, "a signature is missing");
/// No Zone Key Bit Set (RFC 8914 §4.12).
pub(super) const NO_ZONE_KEY: Cause = cause(11, "the key that made the signature is no zone key");
/// NSEC Missing (RFC 8914 §4.13).
pub(super) const NO_PROOF: Cause = cause(12, "the proof of what does not exist is missing");
/// Unsupported NSEC3 Iterations Value (IANA, "Extended DNS Error Codes": 27).
pub(super) const TOO_MANY_ITERATIONS: Cause = cause(27, "the zone hashes its names too often");

const fn cause(error: u16, text: &'static str) -> Cause {
    Cause { error: ExtendedError(error), text }
}

/// Why a verdict is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cause {
    /// The code that the asker gets.
    pub error: ExtendedError,
    /// For people.
    pub text: &'static str,
}

/// What is known of an answer (RFC 4035 §4.3). Closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All of it is signed by its owners, back to a trust anchor: AD may be set.
    Secure,
    /// Proven not to be protected, or protected by means unknown here (RFC 4035 §5.2): as an answer without DNSSEC.
    Insecure(Option<Cause>),
    /// Should be protected and is not what its owner signed: SERVFAIL, unless checking was disabled.
    Bogus(Cause),
    /// No trust anchor stands above: nobody says how it should be. As an answer without DNSSEC.
    Indeterminate(Cause),
}

impl fmt::Display for Verdict {
    /// The word of RFC 4035 §4.3, and why.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Secure => f.write_str("secure"),
            Verdict::Insecure(None) => f.write_str("insecure"),
            Verdict::Insecure(Some(Cause { text, .. })) => write!(f, "insecure: {text}"),
            Verdict::Bogus(Cause { text, .. }) => write!(f, "bogus: {text}"),
            Verdict::Indeterminate(Cause { text, .. }) => write!(f, "indeterminate: {text}"),
        }
    }
}

impl Verdict {
    /// The verdict on two parts of one answer: the worse one. The first of two that are as bad.
    #[must_use]
    pub(super) fn and(self, other: Verdict) -> Verdict {
        if other.rank() > self.rank() { other } else { self }
    }

    fn rank(self) -> u8 {
        match self {
            Verdict::Secure => 0,
            Verdict::Insecure(_) => 1,
            Verdict::Indeterminate(_) => 2,
            Verdict::Bogus(_) => 3,
        }
    }
}

/// What an answer has cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Signatures checked.
    pub checks: u32,
    /// Of those, not matching.
    pub failed: u32,
    /// Digests of keys.
    pub digests: u32,
    /// Names hashed for NSEC3, each with all its iterations.
    pub hashes: u32,
    /// DS and DNSKEY sets asked for.
    pub fetches: u32,
}
