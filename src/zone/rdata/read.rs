//! RDATA from presentation form into wire form, field by field along the layout of the type.

use super::check::{is_decimal, is_tag, validate};
use super::encoding::{Base64Decoder, HexDecoder, push_base32hex, push_unescaped};
use super::layout::{Field, layout};
use super::{compound, number, svcb};
use crate::base::limits::RDATA_OCTETS_MAX;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::scan::{Complaint, NameBuffer, Scanned, Scanner, Spot, Token, complaint};

/// Reads one record's RDATA from text that stands alone, such as the command line's.
pub fn parse(rtype: RecordType, text: &[u8], origin: &Name) -> Result<Vec<u8>, Complaint> {
    let mut out = Vec::new();
    let mut names = NameBuffer::default();
    let mut scanner = Scanner::over(text);
    read(&mut scanner, rtype, origin.as_wire(), &mut names, &mut out).map_err(|complaint| *complaint)?;
    // The entry has ended; the text must have, too.
    match scanner.next_line() {
        Ok(true) if scanner.start().is_some() => {
            Err(*complaint(scanner.spot(), "expected one record, found more"))
        }
        _ => Ok(out),
    }
}

/// Reads the RDATA of `rtype` up to the end of the entry into `out`, whatever `out` held before.
/// Relative names are relative to `origin`; `names` is scratch space.
#[inline]
pub fn read(
    scanner: &mut Scanner<'_>,
    rtype: RecordType,
    origin: &[u8],
    names: &mut NameBuffer,
    out: &mut Vec<u8>,
) -> Scanned<()> {
    out.clear();
    if scanner.take_generic_mark()? {
        read_generic(scanner, rtype, out)?;
        return scanner.end();
    }
    let mut reader = Reader { scanner, rtype, origin, names, out };
    for field in layout(rtype) {
        reader.field(*field)?;
    }
    scanner.end()?;
    if out.len() > RDATA_OCTETS_MAX {
        return Err(too_long(scanner.spot()));
    }
    Ok(())
}

/// RFC 3597 §5: after `\#` the number of octets and the octets in hexadecimal.
fn read_generic(scanner: &mut Scanner<'_>, rtype: RecordType, out: &mut Vec<u8>) -> Scanned<()> {
    const EXPECTED: &str = "the number of octets after `\\#`, up to 65535";
    let length = scanner.word(EXPECTED)?;
    let spot = length.spot;
    let Some(len) = number::decimal(length.text, RDATA_OCTETS_MAX as u64) else {
        return Err(length.unlike(EXPECTED));
    };
    read_hex(scanner, out)?;
    if out.len() as u64 != len {
        return Err(complaint(spot, format!("expected {len} octets of RDATA, found {}", out.len())));
    }
    validate(rtype, out)
        .map_err(|malformed| complaint(spot, format!("not RDATA of type {rtype}: {malformed}")))
}

#[cold]
fn too_long(spot: Spot) -> Box<Complaint> {
    complaint(spot, format!("expected at most {RDATA_OCTETS_MAX} octets of RDATA, found more"))
}

/// Hexadecimal in any number of pieces to the end of the entry.
fn read_hex(scanner: &mut Scanner<'_>, out: &mut Vec<u8>) -> Scanned<()> {
    const EXPECTED: &str = "hexadecimal digits";
    let mut decoder = HexDecoder::default();
    while let Some(token) = scanner.next()? {
        if token.quoted || !decoder.push(token.text, out) {
            return Err(token.unlike(EXPECTED));
        }
        if out.len() > RDATA_OCTETS_MAX {
            return Err(too_long(token.spot));
        }
    }
    if decoder.is_whole() {
        return Ok(());
    }
    Err(complaint(scanner.spot(), "expected an even number of hexadecimal digits, found an odd one"))
}

/// The types that make up nearly all records, the most frequent first.
const FREQUENT: [(u64, RecordType); 15] = [
    (key(b"A"), RecordType::A),
    (key(b"AAAA"), RecordType::AAAA),
    (key(b"NS"), RecordType::NS),
    (key(b"CNAME"), RecordType::CNAME),
    (key(b"MX"), RecordType::MX),
    (key(b"TXT"), RecordType::TXT),
    (key(b"PTR"), RecordType::PTR),
    (key(b"RRSIG"), RecordType::RRSIG),
    (key(b"NSEC"), RecordType::NSEC),
    (key(b"NSEC3"), RecordType::NSEC3),
    (key(b"DS"), RecordType::DS),
    (key(b"SRV"), RecordType::SRV),
    (key(b"SOA"), RecordType::SOA),
    (key(b"DNSKEY"), RecordType::DNSKEY),
    (key(b"CAA"), RecordType::CAA),
];

/// The record type that `text` names (RFC 3597 §5 for `TYPE123`), or nothing.
#[inline]
pub fn record_type(text: &[u8]) -> Option<RecordType> {
    let packed = pack(text);
    match FREQUENT.iter().find(|(key, _)| *key == packed) {
        Some((_, rtype)) => Some(*rtype),
        None => std::str::from_utf8(text).ok()?.parse().ok(),
    }
}

/// Up to eight characters as a number, letters in upper case; 0 for longer text.
#[inline]
pub(crate) fn pack(text: &[u8]) -> u64 {
    if text.len() > 8 {
        return 0;
    }
    text.iter().fold(0, |key, octet| key << 8 | u64::from(octet.to_ascii_uppercase()))
}

/// [`pack`] of a mnemonic at compile time.
pub(crate) const fn key(text: &[u8]) -> u64 {
    let (mut key, mut i) = (0, 0);
    while i < text.len() {
        key = key << 8 | text[i] as u64;
        i += 1;
    }
    key
}

/// One record's RDATA in the making.
pub(super) struct Reader<'a, 'r> {
    pub(super) scanner: &'a mut Scanner<'r>,
    pub(super) rtype: RecordType,
    pub(super) origin: &'a [u8],
    pub(super) names: &'a mut NameBuffer,
    pub(super) out: &'a mut Vec<u8>,
}

impl Reader<'_, '_> {
    #[inline]
    fn field(&mut self, field: Field) -> Scanned<()> {
        match field {
            Field::Ipv4 => self.ipv4("an IPv4 address"),
            Field::Ipv6 => self.ipv6("an IPv6 address"),
            Field::Name(_) => self.name("a domain name"),
            Field::U16 => self.number("a number up to 65535", 2),
            Field::CharStrings => self.char_strings(),
            other => self.seldom(other),
        }
    }

    fn seldom(&mut self, field: Field) -> Scanned<()> {
        match field {
            Field::Ipv4 | Field::Ipv6 | Field::Name(_) | Field::U16 | Field::CharStrings => Ok(()),
            Field::U8 => self.number("a number up to 255", 1),
            Field::U32 => self.number("a number up to 4294967295", 4),
            Field::Seconds => {
                self.value("a number of seconds", 4, |text| number::seconds(text, u64::from(u32::MAX)))
            }
            Field::Timestamp => self.value("a time as YYYYMMDDHHmmSS or in seconds since 1970", 4, |text| {
                number::timestamp(text).map(u64::from)
            }),
            Field::Algorithm => self.value("an algorithm", 1, algorithm),
            Field::CertificateType => self.value("a certificate type", 2, certificate_type),
            Field::TypeCovered => {
                self.value("a record type", 2, |text| record_type(text).map(|rtype| u64::from(rtype.0)))
            }
            Field::CharString => self.char_string("a character string", |_| true),
            Field::DigitString => self.char_string("at least four digits", |text| {
                text.len() >= 4 && text.iter().all(u8::is_ascii_digit)
            }),
            Field::DecimalString => self.char_string("a decimal fraction", is_decimal),
            Field::Tag => self.char_string("a tag of letters and digits", is_tag),
            Field::CharStringOptional => {
                if self.scanner.at_end()? {
                    Ok(())
                } else {
                    self.char_string("a character string", |_| true)
                }
            }
            Field::Text => self.text(true),
            Field::TextOrEmpty => self.text(false),
            Field::Salt => self.salt(),
            Field::Hash => self.hash(),
            Field::Eui48 => self.separated("six octets in hexadecimal with `-` between them", b'-', 6, 1),
            Field::Eui64 => self.separated("eight octets in hexadecimal with `-` between them", b'-', 8, 1),
            Field::Locator64 => self.separated("four hexadecimal numbers with `:` between them", b':', 4, 2),
            Field::Hex => self.hex(),
            Field::Base64 => self.base64(false),
            Field::Base64OrEmpty => self.base64(true),
            Field::Nsap => compound::read_nsap(self),
            Field::Location => compound::read_location(self),
            Field::TypeBitmap => compound::read_type_bitmap(self),
            Field::NxtBitmap => compound::read_nxt_bitmap(self),
            Field::Prefixes => compound::read_prefixes(self),
            Field::IpsecGateway => compound::read_ipsec_gateway(self),
            Field::AmtRelay => compound::read_amt_relay(self),
            Field::HostIdentity => compound::read_host_identity(self),
            Field::SvcParams => svcb::read(self),
            Field::Opaque => Err(self.opaque()),
        }
    }

    /// A type without a text form of its own.
    #[cold]
    fn opaque(&mut self) -> Box<Complaint> {
        let expected = format!("`\\#` and hexadecimal, the only form of {} data here", self.rtype);
        match self.scanner.string(&expected) {
            Ok(token) => token.unlike(&expected),
            Err(complaint) => complaint,
        }
    }

    /// A token that `read` makes a number of, written in `octets` octets.
    #[inline]
    pub(super) fn value(
        &mut self,
        expected: &str,
        octets: usize,
        read: impl Fn(&[u8]) -> Option<u64>,
    ) -> Scanned<()> {
        let token = self.scanner.word(expected)?;
        let Some(value) = read(token.text) else { return Err(token.unlike(expected)) };
        self.out.extend_from_slice(&value.to_be_bytes()[8 - octets..]);
        Ok(())
    }

    /// A decimal number that fits into `octets` octets.
    #[inline]
    pub(super) fn number(&mut self, expected: &str, octets: usize) -> Scanned<()> {
        self.value(expected, octets, |text| number::decimal(text, (1 << (8 * octets)) - 1))
    }

    #[inline]
    pub(super) fn ipv4(&mut self, expected: &str) -> Scanned<()> {
        let token = self.scanner.word(expected)?;
        let Some(address) = number::ipv4(token.text) else { return Err(token.unlike(expected)) };
        self.out.extend_from_slice(&address);
        Ok(())
    }

    #[inline]
    pub(super) fn ipv6(&mut self, expected: &str) -> Scanned<()> {
        let token = self.scanner.word(expected)?;
        let Some(address) = number::ipv6(token.text) else { return Err(token.unlike(expected)) };
        self.out.extend_from_slice(&address);
        Ok(())
    }

    #[inline]
    pub(super) fn name(&mut self, expected: &str) -> Scanned<()> {
        let token = self.scanner.word(expected)?;
        match self.names.build(token.text, token.escaped, self.origin) {
            Ok(()) => {
                self.out.extend_from_slice(self.names.as_wire());
                Ok(())
            }
            Err(error) => Err(complaint(token.spot, format!("{error}: {}", token.unlike(expected).message))),
        }
    }

    #[inline]
    fn char_strings(&mut self) -> Scanned<()> {
        self.char_string("a character string", |_| true)?;
        while !self.scanner.at_end()? {
            self.char_string("a character string", |_| true)?;
        }
        Ok(())
    }

    #[inline]
    fn char_string(&mut self, expected: &str, fits: impl Fn(&[u8]) -> bool) -> Scanned<()> {
        let token = self.scanner.string(expected)?;
        let length_at = self.out.len();
        self.out.push(0);
        if !push_unescaped(token.text, token.escaped, self.out) {
            return Err(bad_escape(&token));
        }
        let len = self.out.len() - length_at - 1;
        if !fits(&self.out[length_at + 1..]) {
            return Err(token.unlike(expected));
        }
        let Ok(len) = u8::try_from(len) else {
            return Err(complaint(
                token.spot,
                format!("expected at most 255 octets in a string, found {len}"),
            ));
        };
        if length_at > RDATA_OCTETS_MAX {
            return Err(too_long(token.spot));
        }
        self.out[length_at] = len;
        Ok(())
    }

    /// One string without a length.
    fn text(&mut self, needed: bool) -> Scanned<()> {
        let token = self.scanner.string("a string")?;
        if needed && token.text.is_empty() {
            return Err(token.unlike("a string that is not empty"));
        }
        if push_unescaped(token.text, token.escaped, self.out) { Ok(()) } else { Err(bad_escape(&token)) }
    }

    fn salt(&mut self) -> Scanned<()> {
        const EXPECTED: &str = "a salt of at most 255 octets in hexadecimal, or `-`";
        let token = self.scanner.word(EXPECTED)?;
        if token.text == b"-" {
            self.out.push(0);
            return Ok(());
        }
        let length_at = self.out.len();
        self.out.push(0);
        let mut decoder = HexDecoder::default();
        let whole = decoder.push(token.text, self.out) && decoder.is_whole();
        match u8::try_from(self.out.len() - length_at - 1) {
            Ok(len) if whole => self.out[length_at] = len,
            _ => return Err(token.unlike(EXPECTED)),
        }
        Ok(())
    }

    fn hash(&mut self) -> Scanned<()> {
        const EXPECTED: &str = "a hash in base32hex";
        let token = self.scanner.word(EXPECTED)?;
        let length_at = self.out.len();
        self.out.push(0);
        let whole = push_base32hex(token.text, self.out);
        match u8::try_from(self.out.len() - length_at - 1) {
            Ok(len) if whole && len > 0 => self.out[length_at] = len,
            _ => return Err(token.unlike(EXPECTED)),
        }
        Ok(())
    }

    /// `groups` hexadecimal numbers of `octets` octets each. Octets need both digits, longer numbers may
    /// leave out leading zeros.
    fn separated(&mut self, expected: &str, separator: u8, groups: usize, octets: usize) -> Scanned<()> {
        let token = self.scanner.word(expected)?;
        let mut found = 0;
        for group in token.text.split(|octet| *octet == separator) {
            let fits = if octets == 1 { group.len() == 2 } else { (1..=4).contains(&group.len()) };
            let value = group
                .iter()
                .try_fold(0u16, |value, octet| Some(value << 4 | u16::from(number::hex_digit(*octet)?)));
            let Some(value) = value.filter(|_| fits) else { return Err(token.unlike(expected)) };
            self.out.extend_from_slice(&value.to_be_bytes()[2 - octets..]);
            found += 1;
        }
        if found == groups { Ok(()) } else { Err(token.unlike(expected)) }
    }

    /// Hexadecimal to the end. A lone `0` is the deletion form of CDS (RFC 8078 §4 with erratum 5049).
    fn hex(&mut self) -> Scanned<()> {
        let before = self.out.len();
        let mut decoder = HexDecoder::default();
        let push = |text: &[u8], out: &mut Vec<u8>| decoder.push(text, out);
        let Some(spot) = self.pieces("hexadecimal digits", RecordType::CDS, push)? else { return Ok(()) };
        if decoder.is_whole() && self.out.len() > before {
            return Ok(());
        }
        Err(complaint(spot, "expected an even number of hexadecimal digits, found an odd one"))
    }

    /// Base64 to the end. A lone `0` is the deletion form of CDNSKEY (RFC 8078 §4 with erratum 5049).
    fn base64(&mut self, may_be_empty: bool) -> Scanned<()> {
        if may_be_empty && self.scanner.at_end()? {
            return Ok(());
        }
        let mut decoder = Base64Decoder::default();
        let push = |text: &[u8], out: &mut Vec<u8>| decoder.push(text, out);
        let Some(spot) = self.pieces("base64", RecordType::CDNSKEY, push)? else { return Ok(()) };
        if decoder.finish(self.out) {
            return Ok(());
        }
        Err(complaint(spot, "expected base64 in groups of four digits, found one cut short"))
    }

    /// Hands the words to the end of the entry, at least one, to `push`, which says whether it takes them. Where
    /// the first one stood; `None` where it was the deletion form of the type that has one, a `0`, now written.
    fn pieces(
        &mut self,
        expected: &str,
        has_deletion: RecordType,
        mut push: impl FnMut(&[u8], &mut Vec<u8>) -> bool,
    ) -> Scanned<Option<Spot>> {
        let first = self.scanner.word(expected)?;
        let spot = first.spot;
        if first.text == b"0" && self.rtype == has_deletion {
            self.out.push(0);
            return Ok(None);
        }
        if !push(first.text, self.out) {
            return Err(first.unlike(expected));
        }
        while let Some(token) = self.scanner.next()? {
            if token.quoted || !push(token.text, self.out) {
                return Err(token.unlike(expected));
            }
            if self.out.len() > RDATA_OCTETS_MAX {
                return Err(too_long(token.spot));
            }
        }
        Ok(Some(spot))
    }
}

/// A backslash that means nothing.
#[cold]
pub(super) fn bad_escape(token: &Token<'_>) -> Box<Complaint> {
    token.unlike("a backslash to be followed by a character or by three digits up to 255")
}

/// RFC 4034 appendix A.1 and the registry after it.
fn algorithm(text: &[u8]) -> Option<u64> {
    const MNEMONICS: &[(&str, u64)] = &[
        ("RSAMD5", 1),
        ("DH", 2),
        ("DSA", 3),
        ("RSASHA1", 5),
        ("DSA-NSEC3-SHA1", 6),
        ("RSASHA1-NSEC3-SHA1", 7),
        ("RSASHA256", 8),
        ("RSASHA512", 10),
        ("ECC-GOST", 12),
        ("ECDSAP256SHA256", 13),
        ("ECDSAP384SHA384", 14),
        ("ED25519", 15),
        ("ED448", 16),
        ("INDIRECT", 252),
        ("PRIVATEDNS", 253),
        ("PRIVATEOID", 254),
    ];
    number::decimal(text, 255).or_else(|| mnemonic(text, MNEMONICS))
}

/// RFC 4398 §2.1.
fn certificate_type(text: &[u8]) -> Option<u64> {
    const MNEMONICS: &[(&str, u64)] = &[
        ("PKIX", 1),
        ("SPKI", 2),
        ("PGP", 3),
        ("IPKIX", 4),
        ("ISPKI", 5),
        ("IPGP", 6),
        ("ACPKIX", 7),
        ("IACPKIX", 8),
        ("URI", 253),
        ("OID", 254),
    ];
    number::decimal(text, 65_535).or_else(|| mnemonic(text, MNEMONICS))
}

fn mnemonic(text: &[u8], known: &[(&str, u64)]) -> Option<u64> {
    known.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(text)).map(|(_, value)| *value)
}
