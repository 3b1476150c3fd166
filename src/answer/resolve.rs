//! Answering those who may have names resolved: where a zone of this server ends, the chain goes on in another one, or
//! with what is known from elsewhere.

use crate::answer::chase::{Chase, End};
use crate::answer::{Bounds, Elsewhere, Outcome, Route, Scratch, TRANSFER, Verdict, answer, chaos};
use crate::base::limits::{CHAIN_STEPS_MAX, NAME_OCTETS_MAX};
use crate::catalog::snapshot::{MetricsSlot, Snapshot, ZoneEntry, ZoneNumber};
use crate::wire::key::NameKey;
use crate::wire::message::Rcode;
use crate::wire::query::Query;
use crate::wire::reply::{Owner, Reply};
use crate::wire::rtype::{Class, RecordType};
use crate::zone::Zone;
use crate::zone::store::Hint;

/// As [`answer`], for an asker who may have names resolved and wants that.
#[inline(never)]
pub fn resolve(
    snapshot: &Snapshot,
    (route, hint): (Route, Hint),
    (query, key): (&Query<'_>, &NameKey),
    scratch: &mut Scratch,
    buffer: &mut [u8],
    bounds: Bounds,
    elsewhere: &mut dyn Elsewhere,
) -> Outcome {
    let entry = match route {
        Route::Zone(number) => snapshot.entry(number),
        Route::Transfer => return TRANSFER,
        Route::Chaos | Route::Nowhere(_) => None,
    };
    // What is not known yet of a zone of ours is not known elsewhere either.
    if entry.is_some_and(|entry| entry.zone().is_none()) {
        return answer(snapshot, (route, hint), query, key, scratch, buffer, bounds);
    }
    let mut reply = Reply::begin(buffer, query, bounds.limit, snapshot.identity()).at(bounds.now);
    reply.set_recursion_available(query);
    let zone = entry.map(ZoneEntry::metrics);
    let found = match (entry.and_then(ZoneEntry::zone), route) {
        (Some(zone), _) => {
            scratch.chase.clear();
            let question = reply.question();
            let chase = Chase::new(zone, query.qtype(), scratch, &mut reply, true);
            let end = chase.follow(zone.locate_from(hint, key), question);
            Journey { snapshot, query, scratch, elsewhere }.go_on(end, &mut reply)
        }
        (None, Route::Chaos) => Some(chaos::answer(snapshot, query, key, &mut reply)),
        (None, Route::Nowhere(Rcode::Refused)) if query.qclass() == Class::IN => match query.qtype() {
            // Of no record (RFC 6895 §3.1), but for ANY.
            qtype if qtype == RecordType(0) || (qtype.is_meta() && qtype != RecordType::ANY) => {
                Some(Rcode::NotImp)
            }
            _ => {
                let question = reply.question();
                elsewhere.find(key, query, question, &mut reply)
            }
        },
        (None, Route::Nowhere(rcode)) => Some(rcode),
        (None, Route::Zone(_) | Route::Transfer) => Some(Rcode::ServFail),
    };
    finish(snapshot, query, reply, (found, zone), bounds)
}

fn finish(
    snapshot: &Snapshot,
    query: &Query<'_>,
    mut reply: Reply<'_>,
    (found, zone): (Option<Rcode>, Option<MetricsSlot>),
    bounds: Bounds,
) -> Outcome {
    let Some(rcode) = found else {
        return Outcome { verdict: Verdict::Forward, rcode: Rcode::NoError, zone };
    };
    let len = reply.finish(query, rcode, bounds.udp_payload_max, snapshot.identity());
    Outcome { verdict: Verdict::Reply(len), rcode, zone }
}

/// A chain on its way from zone to zone.
struct Journey<'j> {
    snapshot: &'j Snapshot,
    query: &'j Query<'j>,
    scratch: &'j mut Scratch,
    elsewhere: &'j mut dyn Elsewhere,
}

impl<'j> Journey<'j> {
    /// Follows the chain from where it left a zone; the code of its last name. `None` if that is not known yet.
    fn go_on(&mut self, mut end: End, reply: &mut Reply<'_>) -> Option<Rcode> {
        // Each zone that is left costs an alias at least.
        for _ in 0..=CHAIN_STEPS_MAX {
            let (owner, is_alias) = match end {
                End::Here(rcode) => return Some(rcode),
                End::Outside(owner) => (owner, true),
                End::Below(owner) => (owner, false),
            };
            self.read(owner, reply)?;
            let next = if is_alias { self.nearest() } else { None };
            match next.map(ZoneEntry::zone) {
                Some(Some(zone)) => end = self.follow(zone, owner, reply),
                // A zone of ours that cannot answer.
                Some(None) => return Some(Rcode::ServFail),
                None => return self.elsewhere.find(&self.scratch.outside, self.query, owner, reply),
            }
        }
        Some(Rcode::NoError)
    }

    /// Makes a name in the reply ready for look-up.
    fn read(&mut self, owner: Owner, reply: &Reply<'_>) -> Option<()> {
        let mut name = [0; NAME_OCTETS_MAX];
        self.scratch.outside.read(reply.copy_name(owner, &mut name)?)?;
        self.scratch.outside.hash(self.snapshot.seed());
        Some(())
    }

    /// The zone of ours nearest above the name.
    fn nearest(&self) -> Option<&'j ZoneEntry> {
        let snapshot = self.snapshot;
        snapshot.entry(snapshot.find(&self.scratch.outside, ZoneNumber::default())?)
    }

    fn follow(&mut self, zone: &Zone, owner: Owner, reply: &mut Reply<'_>) -> End {
        let place = zone.locate(&self.scratch.outside);
        self.scratch.chase.leave();
        Chase::new(zone, self.query.qtype(), self.scratch, reply, true).follow(place, owner)
    }
}
