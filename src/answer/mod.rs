//! Floor 3: from a snapshot and a query to an answer. Pure: no socket, no clock, no allocation.
//!
//! The ladder reads as RFC 1034 §4.3.2:
//!
//! ```text
//! route ─► answer ─┬─► answer_zone ─► follow ─┬─► answer_node ──► additional addresses
//!                  ├─► chaos            ▲     ├─► answer_dname
//!                  └─► REFUSED ...      │     ├─► refer ────────► glue
//!                                       │     └─► answer_absent
//!                                       └──── an alias leads on
//! ```

mod additional;
mod chaos;
mod chase;

use crate::catalog::snapshot::{MetricsSlot, Snapshot, ZoneEntry};
use crate::wire::key::NameKey;
use crate::wire::message::Rcode;
use crate::wire::query::{Query, Refusal};
use crate::wire::reply::Reply;
use crate::wire::rtype::{Class, RecordType};
use crate::zone::Zone;

/// What a worker keeps from answer to answer, so that answering allocates nothing.
#[derive(Default)]
pub struct Scratch {
    /// A name on the way: an alias's target.
    key: NameKey,
    chase: chase::Trail,
    additional: additional::Added,
}

/// How large an answer may be and what it says of the server.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Octets of the whole answer.
    pub limit: usize,
    /// Octets of UDP payload this server takes, as its OPT says.
    pub udp_payload_max: u16,
}

/// What became of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// What to do.
    pub verdict: Verdict,
    /// The code in the answer.
    pub rcode: Rcode,
    /// The zone that was asked, if it is ours.
    pub zone: Option<MetricsSlot>,
}

/// What the worker does with a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Send that many octets of the buffer.
    Reply(usize),
    /// Send nothing.
    Drop,
}

/// Which part of the server a query is for.
#[derive(Clone, Copy)]
pub enum Route<'s> {
    /// A zone of ours.
    Zone(&'s ZoneEntry),
    /// The server itself.
    Chaos,
    /// No part: this code says so.
    Nowhere(Rcode),
}

impl Route<'_> {
    /// Has the processor fetch what answering will read first; see [`Route::prefetch_node`].
    #[inline(always)]
    pub fn prefetch_slot(&self, key: &NameKey) {
        if let Route::Zone(entry) = self
            && let Some(zone) = entry.zone()
        {
            zone.prefetch_slot(key.full_hash());
        }
    }

    /// Has the processor fetch what answering will read next, once the first is there: so a batch waits for
    /// memory twice, not twice for each of its queries.
    #[inline(always)]
    pub fn prefetch_node(&self, key: &NameKey) {
        if let Route::Zone(entry) = self
            && let Some(zone) = entry.zone()
        {
            zone.prefetch_node(key.full_hash());
        }
    }
}

/// Finds what a query is for. `key` is the name asked for, hashed with the snapshot's seed.
#[inline]
pub fn route<'s>(snapshot: &'s Snapshot, query: &Query<'_>, key: &NameKey) -> Route<'s> {
    match query.qclass() {
        Class::IN => {}
        Class::CH => return Route::Chaos,
        _ => return Route::Nowhere(Rcode::Refused),
    }
    if query.qtype().is_meta() && query.qtype() != RecordType::ANY {
        return Route::Nowhere(refuse_meta(query.qtype()));
    }
    match zone_for(snapshot, key, query.qtype()) {
        None => Route::Nowhere(Rcode::Refused),
        Some(entry) => Route::Zone(entry),
    }
}

/// Answers a query into `buffer`. `key` and `route` are as for and from [`route`].
#[inline]
pub fn answer(
    snapshot: &Snapshot,
    route: Route<'_>,
    query: &Query<'_>,
    key: &NameKey,
    scratch: &mut Scratch,
    buffer: &mut [u8],
    bounds: Bounds,
) -> Outcome {
    let mut reply = Reply::begin(buffer, query.head(), bounds.limit, snapshot.identity());
    let (rcode, zone) = match route {
        Route::Zone(entry) => {
            let rcode = match entry.zone() {
                Some(zone) => answer_zone(zone, query, key, scratch, &mut reply),
                None => Rcode::ServFail,
            };
            (rcode, Some(entry.metrics()))
        }
        Route::Chaos => (chaos::answer(snapshot, query, key, &mut reply), None),
        Route::Nowhere(rcode) => (rcode, None),
    };
    Outcome { verdict: Verdict::Reply(reply.finish(rcode, bounds.udp_payload_max)), rcode, zone }
}

/// Answers a message that is no query with its error.
pub fn refuse(snapshot: &Snapshot, refusal: &Refusal<'_>, buffer: &mut [u8], bounds: Bounds) -> Outcome {
    let reply = Reply::begin(buffer, &refusal.head, bounds.limit, snapshot.identity());
    let len = reply.finish(refusal.rcode, bounds.udp_payload_max);
    Outcome { verdict: Verdict::Reply(len), rcode: refusal.rcode, zone: None }
}

/// The nearest zone above the name; for DS at an apex the zone above the cut, which holds it (RFC 4035 §3.1.4.1).
#[inline]
fn zone_for<'s>(snapshot: &'s Snapshot, key: &NameKey, qtype: RecordType) -> Option<&'s ZoneEntry> {
    let nearest = snapshot.find(key, key.label_count())?;
    if qtype == RecordType::DS && nearest.labels() == key.label_count() && nearest.labels() > 0 {
        return Some(snapshot.find(key, key.label_count() - 1).unwrap_or(nearest));
    }
    Some(nearest)
}

/// Types that ask for something other than records: no transfers are offered, and the rest are obsolete or
/// belong in no question.
#[cold]
fn refuse_meta(qtype: RecordType) -> Rcode {
    match qtype {
        RecordType::AXFR | RecordType::IXFR => Rcode::Refused,
        RecordType::OPT => Rcode::FormErr,
        _ => Rcode::NotImp,
    }
}

#[inline]
fn answer_zone(
    zone: &Zone,
    query: &Query<'_>,
    key: &NameKey,
    scratch: &mut Scratch,
    reply: &mut Reply<'_>,
) -> Rcode {
    let question = reply.question();
    chase::Chase::new(zone, query.qtype(), scratch, reply).follow(zone.locate(key), question)
}
