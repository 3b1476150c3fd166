//! One entry: an owner, a TTL, a class, a type, RDATA (RFC 1035 §5.1).

use super::{Context, Owned, Reader};
use crate::base::limits::TTL_SECONDS_MAX;
use crate::base::octets::u32_at;
use crate::wire::rtype::RecordType;
use crate::zone::rdata;
use crate::zone::scan::{Complaint, Scanned, Scanner, Spot, Start, Token, complaint};
use crate::zone::sink::Record;

/// What stands between owner and RDATA.
struct Header {
    ttl: Option<u32>,
    rtype: RecordType,
}

impl Reader<'_> {
    /// Reads one entry to its end, but for its line end.
    #[inline]
    pub(super) fn entry(
        &mut self,
        scanner: &mut Scanner<'_>,
        context: &mut Context,
        start: Start,
    ) -> Scanned<()> {
        if start == Start::Flush && scanner.peek() == b'$' {
            return self.directive(scanner, context);
        }
        let spot = scanner.spot();
        self.record(scanner, context, start, spot)
    }

    /// Reads one record and hands it on as standing at `spot`.
    #[inline]
    pub(super) fn record(
        &mut self,
        scanner: &mut Scanner<'_>,
        context: &mut Context,
        start: Start,
        spot: Spot,
    ) -> Scanned<()> {
        match start {
            Start::Flush => read_owner(scanner, context)?,
            Start::Indented if context.owned == Owned::NotYet => {
                return Err(complaint(
                    spot,
                    "expected an owner at the start of the line, as no record comes before",
                ));
            }
            Start::Indented => {}
        }
        let Header { ttl, rtype } = read_header(scanner)?;
        rdata::read(scanner, rtype, context.origin.as_wire(), &mut self.names, &mut self.rdata)?;
        if rtype == RecordType::SOA {
            let minimum = self.rdata.len().checked_sub(4).and_then(|at| u32_at(&self.rdata, at));
            self.ttl.soa_minimum = minimum.map(|seconds| seconds.min(TTL_SECONDS_MAX));
        }
        let ttl = match ttl {
            Some(stated) => {
                self.ttl.stated = Some(stated);
                stated
            }
            None => self.implied_ttl(spot)?,
        };
        if context.owned == Owned::Known {
            (context.place.line, context.place.column) = (spot.line, spot.column);
            let record = Record { owner: context.owner.as_wire(), rtype, ttl, rdata: &self.rdata };
            self.sink.record(record, &context.place);
        }
        Ok(())
    }

    /// The TTL of a record that states none. That there is none at all is told once per zone.
    #[inline]
    fn implied_ttl(&mut self, spot: Spot) -> Scanned<u32> {
        self.ttl.implied().ok_or_else(|| {
            self.ttl.fallback = Some(0);
            complaint(
                spot,
                "expected a TTL, as neither `$TTL` nor a record with a TTL nor the SOA comes before",
            )
        })
    }
}

#[inline]
fn read_owner(scanner: &mut Scanner<'_>, context: &mut Context) -> Scanned<()> {
    context.owned = Owned::Lost;
    let token = scanner.word("an owner")?;
    match context.owner.build(token.text, token.escaped, context.origin.as_wire()) {
        Ok(()) => {
            context.owned = Owned::Known;
            Ok(())
        }
        Err(error) => Err(complaint(token.spot, format!("{error}: {}", token.unlike("an owner").message))),
    }
}

/// TTL and class in either order, each at most once, then the type.
#[inline]
fn read_header(scanner: &mut Scanner<'_>) -> Scanned<Header> {
    const ALL: &str = "a TTL, a class or a record type";
    let (mut ttl, mut class) = (None, false);
    loop {
        let expected = match (ttl, class) {
            (None, false) => ALL,
            (Some(_), false) => "a class or a record type",
            (None, true) => "a TTL or a record type",
            (Some(_), true) => "a record type",
        };
        let token = scanner.word(expected)?;
        if let [b'0'..=b'9', ..] = token.text {
            if ttl.is_some() {
                return Err(token.unlike(expected));
            }
            ttl = Some(read_ttl(&token)?);
        } else if rdata::pack(token.text) == const { rdata::key(b"IN") } {
            if class {
                return Err(token.unlike(expected));
            }
            class = true;
        } else if let Some(rtype) = rdata::record_type(token.text) {
            if rtype.is_meta() || rtype.0 == 0 {
                return Err(token.unlike("a type that a zone can hold, no meta-type"));
            }
            return Ok(Header { ttl, rtype });
        } else {
            match class_number(token.text) {
                Some(1) if !class => class = true,
                Some(1) | None => return Err(token.unlike(expected)),
                Some(_) => return Err(token.unlike("the class IN")),
            }
        }
    }
}

/// Seconds with BIND's units, up to 2³¹-1 (RFC 2181 §8).
#[inline]
pub(super) fn read_ttl(token: &Token<'_>) -> Result<u32, Box<Complaint>> {
    match rdata::seconds(token.text, u64::from(TTL_SECONDS_MAX)) {
        Some(seconds) => Ok(seconds as u32),
        None => Err(token.unlike("a TTL up to 2147483647 seconds")),
    }
}

/// The class that `text` names (RFC 1035 §3.2.4, RFC 3597 §5), or nothing.
fn class_number(text: &[u8]) -> Option<u16> {
    const CLASSES: [(&str, u16); 6] =
        [("IN", 1), ("CS", 2), ("CH", 3), ("HS", 4), ("NONE", 254), ("ANY", 255)];
    if let Some((_, class)) = CLASSES.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(text)) {
        return Some(*class);
    }
    let (prefix, digits) = text.split_at_checked(5)?;
    let digits = std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?;
    if prefix.eq_ignore_ascii_case(b"CLASS") { digits.parse().ok() } else { None }
}
