//! Answering those who may have names resolved: where a zone of this server ends, the chain goes on in another one, or
//! with what is known from elsewhere.

use crate::answer::chase::{Chase, End};
use crate::answer::reverse::Say;
use crate::answer::{Bounds, Elsewhere, Outcome, Route, Scratch, TRANSFER, Verdict, answer, chaos};
use crate::base::limits::{CHAIN_STEPS_MAX, NAME_OCTETS_MAX};
use crate::catalog::snapshot::{MetricsSlot, Snapshot, ZoneEntry, ZoneNumber};
use crate::wire::key::NameKey;
use crate::wire::message::Rcode;
use crate::wire::query::Query;
use crate::wire::reply::{Owner, Reply, Section};
use crate::wire::rtype::{Class, RecordType};
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
    let (entry, say, route) = match route {
        Route::Zone(number) => {
            let entry = snapshot.entry(number);
            let say = entry.and_then(|entry| Say::new(snapshot, entry, key));
            match entry {
                Some(entry) if entry.is_ceded() => (None, say, Route::Nowhere(Rcode::Refused)),
                entry => (entry, say, route),
            }
        }
        Route::Transfer => return TRANSFER,
        Route::Chaos | Route::Nowhere(_) => (None, None, route),
    };
    // What is not known yet of a zone of ours is not known elsewhere either.
    if entry.is_some_and(|entry| entry.content().is_none()) {
        return answer(snapshot, (route, hint), query, key, scratch, buffer, bounds);
    }
    let mut reply = Reply::begin(buffer, query, bounds.limit, snapshot.identity()).at(bounds.now);
    reply.set_recursion_available(query);
    let zone = entry.map(ZoneEntry::metrics);
    let question = reply.question();
    if let Some((say, name)) = say.as_ref().and_then(|say| Some((say, say.name()?))) {
        let rcode = say.tell(name, query.qtype(), question, &mut reply);
        return finish(snapshot, query, reply, (Some(rcode), zone), bounds);
    }
    let found = match (entry.and_then(ZoneEntry::content), route) {
        (Some(zone), _) => {
            scratch.begin(query, bounds.from);
            let place = match entry.is_some_and(ZoneEntry::is_covered) {
                true => zone.locate(key),
                false => zone.locate_from(hint, key),
            };
            let chase = Chase::new(zone, query.qtype(), scratch, &mut reply, true);
            let end = chase.follow(place, question);
            Journey::new(snapshot, query, scratch, elsewhere).go_on(end, &mut reply)
        }
        (None, Route::Chaos) => Some(chaos::answer(snapshot, query, key, &mut reply)),
        (None, Route::Nowhere(Rcode::Refused)) if query.qclass() == Class::IN => match query.qtype() {
            // Of no record (RFC 6895 §3.1), but for ANY.
            qtype if qtype == RecordType(0) || (qtype.is_meta() && qtype != RecordType::ANY) => {
                Some(Rcode::NotImp)
            }
            _ => {
                scratch.begin(query, bounds.from);
                Journey::new(snapshot, query, scratch, elsewhere).begin_elsewhere(key, &mut reply)
            }
        },
        (None, Route::Nowhere(rcode)) => Some(rcode),
        (None, Route::Zone(_) | Route::Transfer) => Some(Rcode::ServFail),
    };
    let found = match say {
        Some(say) => found.map(|rcode| say.settle(rcode, &mut reply)),
        None => found,
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

/// How often a chain may come back from elsewhere: honest ones do once. Each answer out of the cache has room for them.
const RETURNS_MAX: usize = 4;

/// A chain on its way from zone to zone.
struct Journey<'j> {
    snapshot: &'j Snapshot,
    query: &'j Query<'j>,
    scratch: &'j mut Scratch,
    elsewhere: &'j mut dyn Elsewhere,
    /// The names with which the chain came back from elsewhere: one that comes again closes a loop.
    returns: [Option<Owner>; RETURNS_MAX],
}

impl<'j> Journey<'j> {
    fn new(
        snapshot: &'j Snapshot,
        query: &'j Query<'j>,
        scratch: &'j mut Scratch,
        elsewhere: &'j mut dyn Elsewhere,
    ) -> Journey<'j> {
        Journey { snapshot, query, scratch, elsewhere, returns: [None; RETURNS_MAX] }
    }

    /// Follows the chain of a name that no zone of ours has; the code of its last name. `None` if that is not known yet.
    fn begin_elsewhere(&mut self, key: &NameKey, reply: &mut Reply<'_>) -> Option<Rcode> {
        let (before, question) = (reply.written().len(), reply.question());
        let rcode = self.elsewhere.find(key, self.query, question, reply)?;
        match self.come_back((before, 0), reply) {
            Some(end) => self.go_on(end, reply),
            None => Some(rcode),
        }
    }

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
            match next {
                Some(entry) => end = self.follow(entry, owner, reply),
                None => {
                    let before = (reply.written().len(), reply.count(Section::Answer));
                    let rcode = self.elsewhere.find(&self.scratch.outside, self.query, owner, reply)?;
                    match self.come_back(before, reply) {
                        Some(back) => end = back,
                        None => return Some(rcode),
                    }
                }
            }
        }
        Some(Rcode::NoError)
    }

    /// Looks through what was found elsewhere, which begins `before`, with so many records of the answer before it, for an
    /// alias that leads into a zone of ours. That is ours to answer: what others say of it is taken back, and the chain
    /// goes on there.
    fn come_back(&mut self, (mut at, mut count): (usize, u16), reply: &mut Reply<'_>) -> Option<End> {
        if [RecordType::CNAME, RecordType::ANY].contains(&self.query.qtype()) {
            return None;
        }
        while count < reply.count(Section::Answer) {
            let (rtype, rdata) = reply.record_at(at)?;
            let alias = at;
            (at, count) = (rdata.end, count + 1);
            match rtype {
                RecordType::CNAME => {}
                RecordType::DNAME | RecordType::RRSIG => continue,
                // The set at the chain's end: most answers are nothing else.
                _ => return None,
            }
            let target = reply.owner_at(rdata.start)?;
            self.read(target, reply)?;
            let Some(entry) = self.nearest() else { continue };
            // The alias and who vouches for it.
            let owner = reply.owner_at(alias)?;
            while let Some((RecordType::RRSIG, rdata)) = reply.record_at(at)
                && count < reply.count(Section::Answer)
                && reply.owner_at(at).is_some_and(|other| reply.is_same_name(other, owner))
            {
                (at, count) = (rdata.end, count + 1);
            }
            reply.cut(at, count);
            return Some(self.enter(entry, target, reply));
        }
        None
    }

    /// Goes on in a zone of ours with a name that others led to.
    fn enter(&mut self, entry: &'j ZoneEntry, target: Owner, reply: &mut Reply<'_>) -> End {
        let known = self
            .returns
            .iter()
            .flatten()
            .chain([&reply.question()])
            .any(|own| reply.is_same_name(*own, target));
        let (false, Some(free)) = (known, self.returns.iter_mut().find(|place| place.is_none())) else {
            // A loop ends with what was collected.
            return End::Here(Rcode::NoError);
        };
        *free = Some(target);
        // Who has the first name of a chain decides whether all of it is told with authority (RFC 1035 §4.1.1).
        let was_authoritative = reply.is_authoritative();
        let end = self.follow(entry, target, reply);
        if !was_authoritative {
            reply.clear_authoritative();
        }
        end
    }

    /// Makes a name in the reply ready for look-up.
    fn read(&mut self, owner: Owner, reply: &Reply<'_>) -> Option<()> {
        let mut name = [0; NAME_OCTETS_MAX];
        self.scratch.outside.read(reply.copy_name(owner, &mut name)?)?;
        self.scratch.outside.hash(self.snapshot.seed());
        Some(())
    }

    /// The zone of ours nearest above the name; or whatever is, if the name is an address's that the cluster knows.
    fn nearest(&self) -> Option<&'j ZoneEntry> {
        let (snapshot, name) = (self.snapshot, &self.scratch.outside);
        let entry = snapshot.entry(snapshot.find(name, ZoneNumber::default())?)?;
        let is_known = || Say::new(snapshot, entry, name).is_some_and(|say| say.name().is_some());
        (!entry.is_ceded() || is_known()).then_some(entry)
    }

    fn follow(&mut self, entry: &'j ZoneEntry, owner: Owner, reply: &mut Reply<'_>) -> End {
        if let Some(say) = Say::new(self.snapshot, entry, &self.scratch.outside)
            && let Some(name) = say.name()
        {
            return End::Here(say.tell(name, self.query.qtype(), owner, reply));
        }
        // A zone of ours that cannot answer.
        let Some(zone) = entry.content() else { return End::Here(Rcode::ServFail) };
        let place = zone.locate(&self.scratch.outside);
        self.scratch.chase.leave();
        Chase::new(zone, self.query.qtype(), self.scratch, reply, true).follow(place, owner)
    }
}
