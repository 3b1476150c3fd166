//! The twelve octets before everything: identifiers, flags, codes (RFC 1035 §4.1.1, RFC 6895 §2).
//!
//! ```text
//!  0                16                        32
//! +------------------+-+------+-+-+-+-+-+-+-+----+
//! | id               |Q|opcode|A|T|R|R|Z|A|C|rcod|
//! |                  |R|      |A|C|D|A| |D|D|    |
//! +------------------+-+------+-+-+-+-+-+-+-+----+
//! | qdcount          | ancount                    |
//! | nscount          | arcount                    |
//! +------------------+----------------------------+
//! ```

use std::fmt;

/// Octets of the header.
pub const HEADER_OCTETS: usize = 12;

/// Response.
pub const QR: u16 = 0x8000;
/// Authoritative answer.
pub const AA: u16 = 0x0400;
/// Truncated.
pub const TC: u16 = 0x0200;
/// Recursion desired.
pub const RD: u16 = 0x0100;
/// Recursion available.
pub const RA: u16 = 0x0080;
/// Authentic data (RFC 4035 §3.2.3).
pub const AD: u16 = 0x0020;
/// Checking disabled (RFC 4035 §3.2.2).
pub const CD: u16 = 0x0010;
/// The four bits of the opcode within the flags.
pub const OPCODE_MASK: u16 = 0x7800;

/// A response code; values above 15 need EDNS (RFC 6891 §6.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Rcode {
    /// No error.
    NoError = 0,
    /// The message cannot be understood.
    FormErr = 1,
    /// This server failed.
    ServFail = 2,
    /// The name does not exist (RFC 8020: nor anything below it).
    NxDomain = 3,
    /// The kind of query is not implemented.
    NotImp = 4,
    /// Refused by policy.
    Refused = 5,
    /// A name exists that should not (RFC 2136 §2.2), or a DNAME made it too long (RFC 6672 §2.2).
    YxDomain = 6,
    /// A set exists that should not (RFC 2136 §2.2).
    YxRrset = 7,
    /// A set that should exist does not (RFC 2136 §2.2).
    NxRrset = 8,
    /// Not authoritative, or not authorised (RFC 8945 §5.2).
    NotAuth = 9,
    /// A name lies outside of the zone that it should lie in (RFC 2136 §2.2).
    NotZone = 10,
    /// An EDNS version that this server does not speak (RFC 6891 §9).
    BadVers = 16,
}

impl Rcode {
    /// One more than the largest value: what a table indexed by code needs.
    pub const COUNT: usize = 17;
    /// All of them.
    pub const ALL: [Rcode; 12] = [
        Rcode::NoError,
        Rcode::FormErr,
        Rcode::ServFail,
        Rcode::NxDomain,
        Rcode::NotImp,
        Rcode::Refused,
        Rcode::YxDomain,
        Rcode::YxRrset,
        Rcode::NxRrset,
        Rcode::NotAuth,
        Rcode::NotZone,
        Rcode::BadVers,
    ];
}

impl fmt::Display for Rcode {
    /// The mnemonic of the IANA registry.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rcode::NoError => "NOERROR",
            Rcode::FormErr => "FORMERR",
            Rcode::ServFail => "SERVFAIL",
            Rcode::NxDomain => "NXDOMAIN",
            Rcode::NotImp => "NOTIMP",
            Rcode::Refused => "REFUSED",
            Rcode::YxDomain => "YXDOMAIN",
            Rcode::YxRrset => "YXRRSET",
            Rcode::NxRrset => "NXRRSET",
            Rcode::NotAuth => "NOTAUTH",
            Rcode::NotZone => "NOTZONE",
            Rcode::BadVers => "BADVERS",
        })
    }
}
