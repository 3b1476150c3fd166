//! Record types and classes: their numbers and mnemonics (IANA "DNS Parameters"; RFC 3597 for the unknown).

use std::fmt;
use std::str::FromStr;

/// The type of a resource record (RFC 1035 §3.2.2 and its followers).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordType(pub u16);

macro_rules! record_types {
    ($($(#[$doc:meta])* $id:ident = $code:literal $text:literal,)*) => {
        impl RecordType {
            $($(#[$doc])* #[doc = concat!("`", $text, "`")] pub const $id: RecordType = RecordType($code);)*
        }
        const MNEMONICS: &[(&str, u16)] = &[$(($text, $code),)*];
    };
}

record_types! {
    A = 1 "A", NS = 2 "NS", MD = 3 "MD", MF = 4 "MF", CNAME = 5 "CNAME", SOA = 6 "SOA", MB = 7 "MB",
    MG = 8 "MG", MR = 9 "MR", NULL = 10 "NULL", WKS = 11 "WKS", PTR = 12 "PTR", HINFO = 13 "HINFO",
    MINFO = 14 "MINFO", MX = 15 "MX", TXT = 16 "TXT", RP = 17 "RP", AFSDB = 18 "AFSDB", X25 = 19 "X25",
    ISDN = 20 "ISDN", RT = 21 "RT", NSAP = 22 "NSAP", NSAP_PTR = 23 "NSAP-PTR", SIG = 24 "SIG", KEY = 25 "KEY",
    PX = 26 "PX", GPOS = 27 "GPOS", AAAA = 28 "AAAA", LOC = 29 "LOC", NXT = 30 "NXT", EID = 31 "EID",
    NIMLOC = 32 "NIMLOC", SRV = 33 "SRV", ATMA = 34 "ATMA", NAPTR = 35 "NAPTR", KX = 36 "KX", CERT = 37 "CERT",
    A6 = 38 "A6", DNAME = 39 "DNAME", SINK = 40 "SINK", OPT = 41 "OPT", APL = 42 "APL", DS = 43 "DS",
    SSHFP = 44 "SSHFP", IPSECKEY = 45 "IPSECKEY", RRSIG = 46 "RRSIG", NSEC = 47 "NSEC", DNSKEY = 48 "DNSKEY",
    DHCID = 49 "DHCID", NSEC3 = 50 "NSEC3", NSEC3PARAM = 51 "NSEC3PARAM", TLSA = 52 "TLSA",
    SMIMEA = 53 "SMIMEA", HIP = 55 "HIP", NINFO = 56 "NINFO", RKEY = 57 "RKEY", TALINK = 58 "TALINK",
    CDS = 59 "CDS", CDNSKEY = 60 "CDNSKEY", OPENPGPKEY = 61 "OPENPGPKEY", CSYNC = 62 "CSYNC",
    ZONEMD = 63 "ZONEMD", SVCB = 64 "SVCB", HTTPS = 65 "HTTPS", SPF = 99 "SPF", UINFO = 100 "UINFO",
    UID = 101 "UID", GID = 102 "GID", UNSPEC = 103 "UNSPEC", NID = 104 "NID", L32 = 105 "L32", L64 = 106 "L64",
    LP = 107 "LP", EUI48 = 108 "EUI48", EUI64 = 109 "EUI64", TKEY = 249 "TKEY", TSIG = 250 "TSIG",
    IXFR = 251 "IXFR", AXFR = 252 "AXFR", MAILB = 253 "MAILB", MAILA = 254 "MAILA", ANY = 255 "ANY",
    URI = 256 "URI", CAA = 257 "CAA", AVC = 258 "AVC", DOA = 259 "DOA", AMTRELAY = 260 "AMTRELAY",
    TA = 32768 "TA", DLV = 32769 "DLV",
}

/// The upper bits of the types of [`RecordType::viewed`]; the lower ones have room for all types below 256.
const VIEWED: u16 = 0xf000;
const VIEWED_MASK: u16 = 0xff00;

impl RecordType {
    /// True for types that only questions and messages carry, never zone data (RFC 6895 §3.1: QTYPEs and meta-TYPEs).
    pub fn is_meta(self) -> bool {
        self == Self::OPT || (128..=255).contains(&self.0)
    }

    /// The type under which records of this one lie that not every asker gets. It is one of those that are kept for
    /// future standards (RFC 6895 §3.1), and nothing outside of this process ever sees it.
    pub const fn viewed(self) -> RecordType {
        RecordType(VIEWED | (self.0 & !VIEWED_MASK))
    }

    /// True for a type that [`RecordType::viewed`] gives.
    #[inline(always)]
    pub const fn is_viewed(self) -> bool {
        self.0 & VIEWED_MASK == VIEWED
    }

    /// The type that [`RecordType::viewed`] was given; any other is itself.
    pub const fn told(self) -> RecordType {
        if self.is_viewed() { RecordType(self.0 & !VIEWED_MASK) } else { self }
    }
}

impl fmt::Display for RecordType {
    /// The mnemonic, or `TYPE123` (RFC 3597 §5).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match MNEMONICS.binary_search_by_key(&self.0, |m| m.1) {
            Ok(i) => f.write_str(MNEMONICS[i].0),
            Err(_) => write!(f, "TYPE{}", self.0),
        }
    }
}

impl fmt::Debug for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is neither a known mnemonic nor `TYPE` and a number up to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownType;

impl FromStr for RecordType {
    type Err = UnknownType;

    /// Case-insensitive.
    fn from_str(text: &str) -> Result<Self, UnknownType> {
        if let Some((_, code)) = MNEMONICS.iter().find(|(mnemonic, _)| mnemonic.eq_ignore_ascii_case(text)) {
            return Ok(RecordType(*code));
        }
        match text.get(..4) {
            Some(prefix)
                if prefix.eq_ignore_ascii_case("TYPE") && text[4..].bytes().all(|b| b.is_ascii_digit()) =>
            {
                text[4..].parse().map(RecordType).map_err(|_| UnknownType)
            }
            _ => Err(UnknownType),
        }
    }
}

/// The class of a resource record (RFC 1035 §3.2.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Class(pub u16);

impl Class {
    /// The Internet.
    pub const IN: Class = Class(1);
    /// CHAOS: the server speaks of itself (RFC 4892).
    pub const CH: Class = Class(3);
    /// Hesiod.
    pub const HS: Class = Class(4);
    /// No class: prerequisites and deletions of an update (RFC 2136 §2.4).
    pub const NONE: Class = Class(254);
    /// Any class.
    pub const ANY: Class = Class(255);
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Class::IN => f.write_str("IN"),
            Class::CH => f.write_str("CH"),
            Class::HS => f.write_str("HS"),
            Class::NONE => f.write_str("NONE"),
            Class::ANY => f.write_str("ANY"),
            Class(other) => write!(f, "CLASS{other}"),
        }
    }
}

impl fmt::Debug for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mnemonics_are_sorted_by_code_and_survive_a_round_trip() {
        assert!(MNEMONICS.windows(2).all(|pair| pair[0].1 < pair[1].1));
        for (text, code) in MNEMONICS {
            assert_eq!(text.to_lowercase().parse(), Ok(RecordType(*code)));
            assert_eq!(RecordType(*code).to_string(), *text);
        }
    }

    #[test]
    fn unknown_types_are_written_as_rfc_3597_says() {
        assert_eq!("TYPE65280".parse(), Ok(RecordType(65280)));
        assert_eq!(RecordType(65280).to_string(), "TYPE65280");
        assert_eq!("type1".parse(), Ok(RecordType::A));
        assert_eq!("TYPE65536".parse::<RecordType>(), Err(UnknownType));
        assert_eq!("TYPE+1".parse::<RecordType>(), Err(UnknownType));
        assert_eq!("NOPE".parse::<RecordType>(), Err(UnknownType));
    }
}
