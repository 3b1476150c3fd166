//! What the cache keeps, for users: forgotten on demand, and told page by page. Both walk through all of it, so the
//! clerk's thread does it.

use crate::base::time::Moment;
use crate::control::Control;
use crate::control::document::{CacheDocument, CachedDocument, CachedRecordDocument, FlushDocument};
use crate::control::request::{Answer, RECORDS_MAX, Refused, RefusedKind, Reply};
use crate::control::resolving::Wish;
use crate::discovery::cluster;
use crate::os::clock;
use crate::resolve::cache::{Cache, Cursor, Kept};
use crate::wire::message::Rcode;
use crate::wire::name::Name;
use crate::wire::reply::Section;
use crate::wire::rtype::RecordType;
use crate::wire::section::Record;
use std::sync::Arc;

/// Octets of answers after which a page ends: as JSON they become five times as many at most.
const PAGE_OCTETS: usize = 1 << 20;
/// Slices of the cache after which a page ends though it may be empty: a fraction of a second.
const PAGE_SLICES: usize = 4_096;

impl Control {
    /// Forgets what was found at and below a name, or all; and what was learned on the way there, all of which may go:
    /// zones and their servers, their keys, what failed.
    pub(super) fn flush(&mut self, name: Option<String>, answer: Answer) {
        let name = match name.as_deref().map(Name::parse).transpose() {
            Ok(name) => name.unwrap_or(Name::ROOT),
            Err(error) => {
                let error = format!("{}: {error}", name.unwrap_or_default());
                return answer.give(Err(Refused::new(RefusedKind::Malformed, error)));
            }
        };
        // First of all: who finds the cache empty is to find the new way.
        (self.resolving.wish)(Wish::Forget(Box::new(name.clone())));
        let cache = Arc::clone(&self.resolving.cache);
        self.clerk.hand(vec![answer], move || {
            let entries = match name.is_root() {
                true => cache.flush_all(),
                false => cache.flush(name.to_lowercase().as_wire()),
            };
            Reply::Flush(FlushDocument { name: name.to_string(), entries })
        });
    }

    /// Tells some of what the cache keeps.
    pub(super) fn dump(&mut self, after: Option<String>, answer: Answer) {
        let Some(cursor) = after.as_deref().map_or(Some(Cursor::default()), Cursor::parse) else {
            let error = format!("{:?}: no such place", after.unwrap_or_default());
            return answer.give(Err(Refused::new(RefusedKind::Malformed, error)));
        };
        let cache = Arc::clone(&self.resolving.cache);
        self.clerk
            .hand(vec![answer], move || Reply::Cache(page(&cache, cursor, clock::moment(clock::now()))));
    }
}

/// A page of what is kept.
fn page(cache: &Cache, mut cursor: Cursor, now: Moment) -> CacheDocument {
    let (mut entries, mut octets) = (Vec::new(), 0);
    for _ in 0..PAGE_SLICES {
        let (slice, next) = cache.dump(cursor, now);
        for kept in &slice {
            octets += kept.answer.as_ref().map_or(0, |answer| answer.body().octets.len());
            entries.push(row(kept, now));
        }
        match next {
            Some(next) => cursor = next,
            None => return CacheDocument { entries, next: None },
        }
        if entries.len() >= RECORDS_MAX || octets >= PAGE_OCTETS {
            break;
        }
    }
    CacheDocument { entries, next: Some(cursor.to_string()) }
}

/// What is kept of a question, as it is told.
fn row(kept: &Kept, now: Moment) -> CachedDocument {
    let answer = kept.records(Section::Answer, now);
    let left = |until: Moment| until.since(now).as_secs_f64();
    let (state, left_seconds) = match (&kept.answer, kept.failing) {
        (Some(answer), _) if now < answer.fresh_until => ("fresh", left(answer.fresh_until)),
        (Some(answer), _) => ("stale", left(answer.stale_until)),
        (None, Some(failing)) => ("failing", left(failing.until)),
        (None, None) => ("failing", 0.0),
    };
    let rcode = match (&kept.answer, kept.failing) {
        (Some(body), _) => match body.body().rcode {
            Rcode::NoError if !answers(kept.rtype, &answer) => NODATA.to_owned(),
            rcode => rcode.to_string(),
        },
        (None, failing) => failing.map_or(Rcode::ServFail, |failing| failing.rcode).to_string(),
    };
    let error = kept
        .answer
        .as_ref()
        .map_or(kept.failing.and_then(|failing| failing.error), |answer| answer.body().error);
    CachedDocument {
        name: name(&kept.name).to_string(),
        rtype: kept.rtype.to_string(),
        rcode,
        state: state.to_owned(),
        left_seconds,
        failing_seconds: kept.failing.map(|failing| left(failing.until)),
        extended_error: error.map(|error| error.0),
        dnssec_ok: kept.wants.dnssec_ok,
        checking_disabled: kept.wants.checking_disabled,
        authentic: kept.answer.as_ref().is_some_and(|answer| answer.body().authentic),
        answer: answer.iter().map(record).collect(),
        authority: kept.records(Section::Authority, now).iter().map(record).collect(),
    }
}

/// The word for an answer without what was asked for (RFC 2308 §1).
const NODATA: &str = "NODATA";

/// True if there is what was asked for among these records.
fn answers(rtype: RecordType, records: &[Record]) -> bool {
    records.iter().any(|record| record.rtype == rtype || rtype == RecordType::ANY)
}

fn record(record: &Record) -> CachedRecordDocument {
    CachedRecordDocument {
        name: record.name.to_string(),
        ttl: record.ttl,
        rtype: record.rtype.to_string(),
        rdata: cluster::text(record.rtype, &record.rdata),
    }
}

/// The name of its wire form, which is the cache's own and so a name.
fn name(wire: &[u8]) -> Name {
    Name::from_wire(wire).unwrap_or(Name::ROOT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::body::{Body, ExtendedError};
    use crate::resolve::cache::Life;
    use crate::resolve::question::{Question, Wants};
    use crate::resolve::writer::{Writer, Written};
    use std::time::Duration;

    fn at(seconds: u64) -> Moment {
        Moment::START + Duration::from_secs(seconds)
    }

    /// Keeps an answer of one record for a minute, and a minute more when it is stale.
    fn put(cache: &Cache, asked: &str, rcode: Rcode, section: Section, record: (&str, RecordType, &[u8])) {
        let (asked, owner) = (Name::parse(asked).unwrap(), Name::parse(record.0).unwrap());
        let mut writer = Writer::default();
        writer.begin(asked.as_wire());
        writer.section(section);
        let written = Written { owner: owner.as_wire(), rtype: record.1, ttl: 60, rdata: record.2 };
        writer.put(&written).unwrap();
        let life = Life { fresh_seconds: 60, stale_seconds: 60 };
        assert!(cache.put(&ask(&asked), at(0), life, &writer.body(rcode, false, None)));
    }

    fn ask(name: &Name) -> Question<'_> {
        let hash = name.as_wire().iter().fold(7, |hash: u64, octet| {
            hash.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(u64::from(*octet))
        });
        Question::new(name.as_wire(), hash, RecordType::A, Wants::default())
    }

    /// Every page.
    fn told(cache: &Cache, now: Moment) -> Vec<CachedDocument> {
        let (mut all, mut cursor) = (Vec::new(), Cursor::default());
        loop {
            let CacheDocument { entries, next } = page(cache, cursor, now);
            all.extend(entries);
            let Some(next) = next else { return all };
            cursor = Cursor::parse(&next).unwrap();
        }
    }

    #[test]
    fn what_is_kept_is_told_with_what_is_left_of_it() {
        let cache = Cache::new(1 << 20);
        put(&cache, "a.test.", Rcode::NoError, Section::Answer, ("a.test.", RecordType::A, &[192, 0, 2, 1]));
        let row = |now: u64| {
            let row = told(&cache, at(now)).pop()?;
            let record = &row.answer[0];
            let record = format!("{} {} {} {}", record.name, record.ttl, record.rtype, record.rdata);
            Some((row.rcode, row.state, row.left_seconds, row.failing_seconds, record))
        };
        let of = |state: &str, left: f64, failing, ttl: u32| {
            let record = format!("a.test. {ttl} A 192.0.2.1");
            Some(("NOERROR".to_owned(), state.to_owned(), left, failing, record))
        };
        assert_eq!(row(20), of("fresh", 40.0, None, 40));
        assert_eq!(row(70), of("stale", 50.0, None, 30));
        let name = Name::parse("a.test.").unwrap();
        let failure = Body::failure(Some(ExtendedError::NETWORK_ERROR));
        assert!(cache.put(&ask(&name), at(70), Life { fresh_seconds: 5, stale_seconds: 0 }, &failure));
        assert_eq!(row(71), of("stale", 49.0, Some(4.0), 30));
        assert_eq!(row(120), None);
    }

    #[test]
    fn what_is_not_there_is_told_with_its_soa_and_a_failure_with_its_code() {
        let cache = Cache::new(1 << 20);
        // The root for both names, and five numbers.
        let mut soa = vec![0; 22];
        soa[21] = 9;
        for (name, rcode) in [("none.test.", Rcode::NxDomain), ("data.test.", Rcode::NoError)] {
            put(&cache, name, rcode, Section::Authority, ("test.", RecordType::SOA, &soa));
        }
        let name = Name::parse("fails.test.").unwrap();
        let failure = Body::failure(Some(ExtendedError::NETWORK_ERROR));
        assert!(cache.put(&ask(&name), at(0), Life { fresh_seconds: 5, stale_seconds: 0 }, &failure));
        let mut rows = told(&cache, at(1));
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        let short: Vec<_> =
            rows.iter().map(|row| (&*row.name, &*row.rcode, &*row.state, row.authority.len())).collect();
        assert_eq!(
            short,
            [
                ("data.test.", "NODATA", "fresh", 1),
                ("fails.test.", "SERVFAIL", "failing", 0),
                ("none.test.", "NXDOMAIN", "fresh", 1)
            ]
        );
        assert_eq!(rows[0].authority[0].rdata, ". . 0 0 0 0 9");
        assert_eq!((rows[1].left_seconds, rows[1].extended_error), (4.0, Some(23)));
    }

    #[test]
    fn pages_tell_everything_once_and_end() {
        let cache = Cache::new(4 << 20);
        let names: Vec<String> = (0..3_000).map(|number| format!("n{number}.test.")).collect();
        for name in &names {
            put(&cache, name, Rcode::NoError, Section::Answer, (name, RecordType::A, &[192, 0, 2, 1]));
        }
        let first = page(&cache, Cursor::default(), at(1));
        assert!((RECORDS_MAX..2 * RECORDS_MAX).contains(&first.entries.len()) && first.next.is_some());
        let mut found: Vec<String> = told(&cache, at(1)).into_iter().map(|row| row.name).collect();
        found.sort();
        let mut names = names;
        names.sort();
        assert_eq!(found, names);
    }

    #[test]
    fn a_cursor_of_somebodys_own_tells_nothing_and_ends() {
        let cache = Cache::new(1 << 20);
        for text in ["999999.0", "0.18446744073709551615", "18446744073709551615.7"] {
            let told = page(&cache, Cursor::parse(text).unwrap(), at(0));
            assert_eq!((told.entries.len(), told.next), (0, None), "{text}");
        }
        for text in ["", "1", "1.", ".1", "a.b", "1.2.3", "-1.0", "18446744073709551616.0"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
