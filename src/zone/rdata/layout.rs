//! The one table that says what the RDATA of each type is made of, field by field.
//!
//! Reading text, printing, checking `\#` data, finding the names for compression and for the canonical
//! form: all of them walk [`layout`]. A type that is not in the table is [`Field::Opaque`] (RFC 3597).

use crate::wire::rtype::RecordType;

/// What may be done to a domain name inside RDATA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameUse {
    /// May be compressed in a message (RFC 3597 §4: only the types of RFC 1035); lower-cased in canonical form.
    Compressible,
    /// Never compressed; lower-cased in canonical form (RFC 4034 §6.2, RFC 6840 §5.1).
    Lowered,
    /// Never compressed, and kept as it is in canonical form.
    Verbatim,
}

/// One field of RDATA. Fields from [`Field::CharStrings`] on reach to the end of the RDATA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// A number of 8 bits.
    U8,
    /// A number of 16 bits.
    U16,
    /// A number of 32 bits.
    U32,
    /// 32 bits of seconds; the text may use units (`1h30m`).
    Seconds,
    /// 32 bits of seconds since 1970; the text may be `YYYYMMDDHHmmSS` (RFC 4034 §3.2).
    Timestamp,
    /// A DNSSEC algorithm of 8 bits; the text may be a mnemonic (RFC 4034 appendix A.1).
    Algorithm,
    /// A certificate type of 16 bits; the text may be a mnemonic (RFC 4398 §2.1).
    CertificateType,
    /// A record type of 16 bits.
    TypeCovered,
    /// An IPv4 address (RFC 1035 §3.4.1).
    Ipv4,
    /// An IPv6 address (RFC 3596 §2.2).
    Ipv6,
    /// A domain name, never compressed here.
    Name(NameUse),
    /// A length octet and so many octets (RFC 1035 §3.3).
    CharString,
    /// A character string of decimal digits, at least four (RFC 1183 §3.1).
    DigitString,
    /// A character string holding a decimal fraction (RFC 1712 §3).
    DecimalString,
    /// A property tag: a character string of letters and digits, not empty (RFC 8659 §4.1).
    Tag,
    /// A salt: a length octet and octets in hexadecimal, `-` if empty (RFC 5155 §3.3).
    Salt,
    /// A hash: a length octet and octets in base32hex, not empty (RFC 5155 §3.3).
    Hash,
    /// Six octets in hexadecimal, `-` between them (RFC 7043 §3.2).
    Eui48,
    /// Eight octets in hexadecimal, `-` between them (RFC 7043 §4.2).
    Eui64,
    /// Eight octets as four groups of hexadecimal (RFC 6742 §2.1.2).
    Locator64,
    /// The sixteen octets of a location (RFC 1876 §2).
    Location,
    /// One or more character strings.
    CharStrings,
    /// A character string, or nothing (RFC 1183 §3.2).
    CharStringOptional,
    /// Octets written as one string, at least one (RFC 7553 §4.4).
    Text,
    /// Octets written as one string, or none (RFC 8659 §4.1).
    TextOrEmpty,
    /// Octets in hexadecimal, at least one.
    Hex,
    /// Octets in hexadecimal after `0x`, dots allowed (RFC 1706 §7).
    Nsap,
    /// Octets in base64, at least one.
    Base64,
    /// Octets in base64, or none (RFC 2535 §3.1.2: no key).
    Base64OrEmpty,
    /// A bitmap of types in windows, possibly empty (RFC 4034 §4.1.2).
    TypeBitmap,
    /// A bitmap of the types below 128 (RFC 2535 §5.2).
    NxtBitmap,
    /// Address prefixes, possibly none (RFC 3123 §4).
    Prefixes,
    /// Gateway type, algorithm, gateway, public key (RFC 4025 §2.1).
    IpsecGateway,
    /// Discovery bit, relay type, relay (RFC 8777 §4.2).
    AmtRelay,
    /// HIT, public key, rendezvous servers (RFC 8005 §5).
    HostIdentity,
    /// Service parameters, possibly none (RFC 9460 §2.2).
    SvcParams,
    /// Octets that mean nothing to us; the text is `\# n hex` alone (RFC 3597 §5).
    Opaque,
}

use Field::*;

const COMPRESSIBLE: Field = Name(NameUse::Compressible);
const LOWERED: Field = Name(NameUse::Lowered);
const VERBATIM: Field = Name(NameUse::Verbatim);

/// The fields of the RDATA of `rtype`, in order.
pub fn layout(rtype: RecordType) -> &'static [Field] {
    match rtype {
        RecordType::A => &[Ipv4],
        RecordType::NS
        | RecordType::MD
        | RecordType::MF
        | RecordType::CNAME
        | RecordType::MB
        | RecordType::MG
        | RecordType::MR
        | RecordType::PTR => &[COMPRESSIBLE],
        RecordType::SOA => &[COMPRESSIBLE, COMPRESSIBLE, U32, Seconds, Seconds, Seconds, Seconds],
        RecordType::MINFO => &[COMPRESSIBLE, COMPRESSIBLE],
        RecordType::MX => &[U16, COMPRESSIBLE],
        RecordType::HINFO => &[CharString, CharString],
        RecordType::TXT | RecordType::SPF | RecordType::NINFO | RecordType::AVC => &[CharStrings],
        RecordType::RP => &[LOWERED, LOWERED],
        RecordType::AFSDB | RecordType::RT | RecordType::KX => &[U16, LOWERED],
        RecordType::X25 => &[DigitString],
        RecordType::ISDN => &[CharString, CharStringOptional],
        RecordType::NSAP => &[Nsap],
        RecordType::SIG | RecordType::RRSIG => {
            &[TypeCovered, Algorithm, U8, U32, Timestamp, Timestamp, U16, LOWERED, Base64]
        }
        RecordType::KEY => &[U16, U8, Algorithm, Base64OrEmpty],
        RecordType::PX => &[U16, LOWERED, LOWERED],
        RecordType::GPOS => &[DecimalString, DecimalString, DecimalString],
        RecordType::AAAA => &[Ipv6],
        RecordType::LOC => &[Location],
        RecordType::NXT => &[LOWERED, NxtBitmap],
        RecordType::EID | RecordType::NIMLOC => &[Hex],
        RecordType::SRV => &[U16, U16, U16, LOWERED],
        RecordType::NAPTR => &[U16, U16, CharString, CharString, CharString, LOWERED],
        RecordType::CERT => &[CertificateType, U16, Algorithm, Base64],
        RecordType::DNAME => &[LOWERED],
        RecordType::APL => &[Prefixes],
        RecordType::DS | RecordType::CDS | RecordType::TA | RecordType::DLV => &[U16, Algorithm, U8, Hex],
        RecordType::SSHFP => &[U8, U8, Hex],
        RecordType::IPSECKEY => &[U8, IpsecGateway],
        RecordType::NSEC => &[VERBATIM, TypeBitmap],
        RecordType::DNSKEY | RecordType::CDNSKEY | RecordType::RKEY => &[U16, U8, Algorithm, Base64],
        RecordType::DHCID | RecordType::OPENPGPKEY => &[Base64],
        RecordType::NSEC3 => &[U8, U8, U16, Salt, Hash, TypeBitmap],
        RecordType::NSEC3PARAM => &[U8, U8, U16, Salt],
        RecordType::TLSA | RecordType::SMIMEA => &[U8, U8, U8, Hex],
        RecordType::HIP => &[HostIdentity],
        RecordType::NSAP_PTR => &[VERBATIM],
        RecordType::TALINK => &[VERBATIM, VERBATIM],
        RecordType::CSYNC => &[U32, U16, TypeBitmap],
        RecordType::ZONEMD => &[U32, U8, U8, Hex],
        RecordType::SVCB | RecordType::HTTPS => &[U16, VERBATIM, SvcParams],
        RecordType::NID | RecordType::L64 => &[U16, Locator64],
        RecordType::L32 => &[U16, Ipv4],
        RecordType::LP => &[U16, VERBATIM],
        RecordType::EUI48 => &[Eui48],
        RecordType::EUI64 => &[Eui64],
        RecordType::URI => &[U16, U16, Text],
        RecordType::CAA => &[U8, Tag, TextOrEmpty],
        RecordType::AMTRELAY => &[U8, AmtRelay],
        _ => &[Opaque],
    }
}

/// The names at known places in RDATA that [`super::validate`] has passed: where each stands, and its use.
///
/// Names that neither compression nor the canonical form may touch and that stand in the midst of other
/// data (`IPSECKEY`, `HIP`, `AMTRELAY`) are not told.
pub fn names(
    rtype: RecordType,
    rdata: &[u8],
) -> impl Iterator<Item = (std::ops::Range<usize>, NameUse)> + '_ {
    let mut at = 0;
    let mut fields = layout(rtype).iter();
    std::iter::from_fn(move || {
        loop {
            let field = fields.next()?;
            let start = at;
            at += field.measure(rdata.get(at..)?).ok()?;
            if let Name(use_) = field {
                return Some((start..at, *use_));
            }
        }
    })
}

/// True if the canonical form of some RDATA of that type is another one.
pub fn is_lowered(rtype: RecordType) -> bool {
    layout(rtype).iter().any(|field| matches!(field, Name(NameUse::Compressible | NameUse::Lowered)))
}

/// Brings RDATA into canonical form: lowers the letters of the names that RFC 4034 §6.2 lists.
pub fn canonicalize(rtype: RecordType, rdata: &mut [u8]) {
    let mut at = 0;
    for field in layout(rtype) {
        let Some(Ok(len)) = rdata.get(at..).map(|rest| field.measure(rest)) else { return };
        if matches!(field, Name(NameUse::Compressible | NameUse::Lowered)) {
            rdata[at..at + len].make_ascii_lowercase();
        }
        at += len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(rtype: RecordType, rdata: &[u8]) -> Vec<(std::ops::Range<usize>, NameUse)> {
        names(rtype, rdata).collect()
    }

    #[test]
    fn only_the_types_of_rfc_1035_may_be_compressed() {
        let compressible: Vec<_> = (0..=u16::MAX)
            .map(RecordType)
            .filter(|t| layout(*t).contains(&COMPRESSIBLE))
            .map(|t| t.to_string())
            .collect();
        assert_eq!(compressible, ["NS", "MD", "MF", "CNAME", "SOA", "MB", "MG", "MR", "PTR", "MINFO", "MX"]);
    }

    #[test]
    fn only_the_types_of_rfc_4034_are_lowered_and_nsec_is_not() {
        let lowered: Vec<_> = (0..=u16::MAX)
            .map(RecordType)
            .filter(|t| layout(*t).iter().any(|f| matches!(f, Name(u) if *u != NameUse::Verbatim)))
            .map(|t| t.to_string())
            .collect();
        let expected =
            "NS MD MF CNAME SOA MB MG MR PTR MINFO MX RP AFSDB RT SIG PX NXT SRV NAPTR KX DNAME RRSIG";
        assert_eq!(lowered.join(" "), expected);
    }

    #[test]
    fn names_are_found_behind_fields_of_any_length() {
        assert_eq!(uses(RecordType::MX, b"\0\x0a\x01A\0"), [(2..5, NameUse::Compressible)]);
        assert_eq!(
            uses(RecordType::NAPTR, b"\0\x01\0\x02\x01u\0\x02ab\x01X\0"),
            [(10..13, NameUse::Lowered)]
        );
        let soa = [b"\x01a\0\x01b\0".as_slice(), &[0; 20]].concat();
        assert_eq!(
            uses(RecordType::SOA, &soa),
            [(0..3, NameUse::Compressible), (3..6, NameUse::Compressible)]
        );
        assert_eq!(uses(RecordType::A, &[1, 2, 3, 4]), []);
        assert_eq!(uses(RecordType(65280), b"\x01a\0"), []);
    }

    #[test]
    fn the_canonical_form_lowers_names_and_nothing_else() {
        let mut naptr = b"\0\x01\0\x02\x01U\0\x02AB\x01X\0".to_vec();
        canonicalize(RecordType::NAPTR, &mut naptr);
        assert_eq!(naptr, b"\0\x01\0\x02\x01U\0\x02AB\x01x\0");
        let mut nsec = b"\x01A\0\0\x01\x40".to_vec();
        canonicalize(RecordType::NSEC, &mut nsec);
        assert_eq!(nsec, b"\x01A\0\0\x01\x40");
    }
}
