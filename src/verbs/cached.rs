//! What the server found elsewhere, as text for people: what it keeps, and whom it asks.

use crate::control::document::{CacheStatsDocument, CachedDocument, FlushDocument, UpstreamDocument};
use crate::verbs::show::{NOTHING, span};
use crate::verbs::table::{Mood, Style, Table, printable};

/// Entries that come page by page: the headings stand before the first.
pub(super) struct Listing(Table);

impl Listing {
    pub(super) fn new(style: Style) -> Listing {
        Listing(Table::new(style, &["NAME", "TTL", "TYPE", "STATE", "DATA"]))
    }

    /// A line for each record of an answer, and one for what there is not.
    pub(super) fn entries(&mut self, entries: &[CachedDocument]) -> String {
        for entry in entries {
            let (state, mood) = state(entry);
            let mut line = |name: &str, ttl: String, rtype: &str, data: String| {
                self.0.push([
                    (name.to_owned(), Mood::Plain),
                    (ttl, Mood::Plain),
                    (rtype.to_owned(), Mood::Plain),
                    (state.clone(), mood),
                    (data, Mood::Plain),
                ]);
            };
            for record in &entry.answer {
                line(&record.name, record.ttl.to_string(), &record.rtype, record.rdata.clone());
            }
            if entry.rcode == "NOERROR" {
                continue;
            }
            let soa = entry.authority.iter().find(|record| record.rtype == "SOA");
            let ttl = soa.map_or(NOTHING.to_owned(), |soa| soa.ttl.to_string());
            let why = soa.map_or(String::new(), |soa| format!(" {} SOA {}", soa.name, soa.rdata));
            line(&entry.name, ttl, &entry.rtype, format!("{}{why}", entry.rcode));
        }
        self.0.take()
    }
}

/// What an entry is worth now, and for how long.
fn state(entry: &CachedDocument) -> (String, Mood) {
    let left = span(entry.left_seconds);
    let (mut state, mood) = match entry.state.as_str() {
        "fresh" => ("fresh".to_owned(), Mood::Good),
        "failing" => (format!("failing, {left} left"), Mood::Bad),
        state => (format!("{state}, {left} left"), Mood::Doubtful),
    };
    if let (false, Some(failing)) = (entry.state == "failing", entry.failing_seconds) {
        state += &format!(", failing for {}", span(failing));
    }
    if entry.dnssec_ok {
        state += ", DO";
    }
    if entry.checking_disabled {
        state += ", CD";
    }
    (state, mood)
}

pub(super) fn flush(flushed: &FlushDocument, _style: Style) -> String {
    format!("{} entries at and below {} are forgotten\n", flushed.entries, printable(&flushed.name))
}

/// The cache in one line.
pub(super) fn summary(cache: &CacheStatsDocument) -> String {
    let (used, octets) = (size(cache.octets_used), size(cache.octets));
    let rate = match cache.hits + cache.misses {
        0 => String::new(),
        looks => format!(", {:.1} % found", cache.hits as f64 * 100.0 / looks as f64),
    };
    format!("{} entries, {used} of {octets}{rate}", cache.entries)
}

/// What the cache did.
pub(super) fn counts(cache: &CacheStatsDocument) -> String {
    let CacheStatsDocument { hits, misses, stale, evictions, .. } = cache;
    format!("{hits} hits, {misses} misses, {stale} stale, {evictions} evictions")
}

pub(super) fn upstreams(upstreams: &[UpstreamDocument], style: Style) -> String {
    let headings = ["UPSTREAM", "HEALTH", "RTT", "QUERIES", "ANSWERS", "TIMEOUTS", "FAILURES"];
    let mut table = Table::new(style, &headings);
    for upstream in upstreams {
        let mood = if upstream.workers_dead == 0 { Mood::Good } else { Mood::Bad };
        table.push([
            (upstream.address.clone(), Mood::Plain),
            (upstream.health.clone(), mood),
            (upstream.rtt_seconds.map_or(NOTHING.to_owned(), span), Mood::Plain),
            (upstream.requests.to_string(), Mood::Plain),
            (upstream.answers.to_string(), Mood::Plain),
            (upstream.timeouts.to_string(), Mood::Plain),
            (upstream.failures.to_string(), Mood::Plain),
        ]);
    }
    table.take()
}

/// Octets in the unit in which people think of so many.
fn size(octets: u64) -> String {
    let kib = octets as f64 / 1024.0;
    match octets {
        0..1_024 => format!("{octets} B"),
        1_024..1_048_576 => format!("{kib:.1} KiB"),
        _ => format!("{:.1} MiB", kib / 1024.0),
    }
}
