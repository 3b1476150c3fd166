//! The body of an answer that was found elsewhere: its records as they will stand behind the question.
//!
//! ```text
//! 12             12 + name_len + 4
//! | name | type class | owner type class ttl len rdata | owner type class ttl len rdata | ...
//!                     '--------------------------- octets -------------------------------'
//!                                    ^ ttls[0]                     ^ ttls[1]
//! ```
//!
//! Names are compressed against a question that stands behind the header, so that answering is a copy: the question
//! is repeated in the asker's own case, and only the TTLs are written anew.

use crate::wire::message::Rcode;

/// An extended error (RFC 8914 §4): why there is no better answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtendedError(pub u16);

impl ExtendedError {
    /// The answer is older than its owner allows.
    pub const STALE_ANSWER: ExtendedError = ExtendedError(3);
    /// Validation found that the data is not what its owner signed.
    pub const DNSSEC_BOGUS: ExtendedError = ExtendedError(6);
    /// The failure was found before and is repeated.
    pub const CACHED_ERROR: ExtendedError = ExtendedError(13);
    /// This server cannot answer yet.
    pub const NOT_READY: ExtendedError = ExtendedError(14);
    /// The asker may not ask this.
    pub const PROHIBITED: ExtendedError = ExtendedError(18);
    /// No authority could be reached.
    pub const NO_REACHABLE_AUTHORITY: ExtendedError = ExtendedError(22);
    /// A server could not be reached, or answered nonsense.
    pub const NETWORK_ERROR: ExtendedError = ExtendedError(23);
}

/// What was found for a question. Equal bodies are equal answers to the same question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Body<'b> {
    /// The code: NOERROR, NXDOMAIN and YXDOMAIN are answers, all else is failure.
    pub rcode: Rcode,
    /// All of it was validated (RFC 4035 §3.2.3).
    pub authentic: bool,
    /// Why it is no better.
    pub error: Option<ExtendedError>,
    /// Records in the answer, authority and additional section, in this order in `octets`.
    pub counts: [u16; 3],
    /// The records, as drawn above.
    pub octets: &'b [u8],
    /// Where in `octets` the TTL of each record stands, rising. The TTLs there are those at the moment it was found.
    pub ttls: &'b [u16],
}

impl Body<'_> {
    /// A failure, which has no records.
    pub const fn failure(error: Option<ExtendedError>) -> Body<'static> {
        Body { rcode: Rcode::ServFail, authentic: false, error, counts: [0; 3], octets: &[], ttls: &[] }
    }

    /// True for what is no answer.
    pub fn is_failure(&self) -> bool {
        !matches!(self.rcode, Rcode::NoError | Rcode::NxDomain | Rcode::YxDomain)
    }
}
