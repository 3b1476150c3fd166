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

use crate::base::octets::put_u16;
use crate::wire::message::{HEADER_OCTETS, QR, Rcode};
use crate::wire::reply::Section;
use crate::wire::response::Response;
use crate::wire::rtype::{Class, RecordType};
use crate::wire::section::{self, Record};

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
    /// The records of a section, for people and for whoever proves them: as they stand behind the question for that name, in
    /// uncompressed wire form, and that type. None if the octets are no records.
    pub fn records(&self, name: &[u8], rtype: RecordType, section: Section) -> Vec<Record> {
        // A message as it would be sent, to be read again.
        let mut message = vec![0; HEADER_OCTETS];
        let [answer, authority, additional] = self.counts;
        for (at, value) in [(2, QR), (4, 1), (6, answer), (8, authority), (10, additional)] {
            put_u16(&mut message, at, value);
        }
        message.extend_from_slice(name);
        message.extend_from_slice(&rtype.0.to_be_bytes());
        message.extend_from_slice(&Class::IN.0.to_be_bytes());
        message.extend_from_slice(self.octets);
        Response::read(&message).map_or(Vec::new(), |response| section::records(&response, section))
    }

    /// A failure, which has no records.
    pub const fn failure(error: Option<ExtendedError>) -> Body<'static> {
        Body { rcode: Rcode::ServFail, authentic: false, error, counts: [0; 3], octets: &[], ttls: &[] }
    }

    /// True for what is no answer.
    pub fn is_failure(&self) -> bool {
        !matches!(self.rcode, Rcode::NoError | Rcode::NxDomain | Rcode::YxDomain)
    }
}
