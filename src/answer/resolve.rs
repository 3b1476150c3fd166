//! Answering those who may have names resolved: where a zone of this server ends, the chain goes on in another one, or
//! with what is known from elsewhere.

#[cfg(test)]
mod part_tests;
#[cfg(test)]
mod way_tests;

use crate::answer::chase::{Chase, End};
use crate::answer::reverse::Say;
use crate::answer::{
    Bounds, Elsewhere, Outcome, Route, Scratch, TRANSFER, Verdict, answer, chaos, is_apex_of,
};
use crate::base::limits::{CHAIN_STEPS_MAX, NAME_OCTETS_MAX};
use crate::catalog::snapshot::{MetricsSlot, Snapshot, ZoneEntry, ZoneNumber};
use crate::wire::key::NameKey;
use crate::wire::message::Rcode;
use crate::wire::name::is_at_or_below;
use crate::wire::query::Query;
use crate::wire::reply::{Owner, Reply, Section};
use crate::wire::rtype::{Class, RecordType};
use crate::zone::store::Hint;
use crate::zone::{Place, Zone};
use std::sync::Arc;

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
    let (nearest, mut is_above) = (route, false);
    let (entry, say, route) = match route {
        Route::Zone(number) => {
            let entry = snapshot.entry(number);
            let say = entry.and_then(|entry| Say::new(snapshot, entry, key));
            // The DS of a zone whose parent is none of ours (RFC 4035 §3.1.4.1); the root has none.
            is_above = query.qtype() == RecordType::DS
                && query.qclass() == Class::IN
                && key.label_count() > 0
                && entry.is_some_and(|entry| is_apex_of(entry, key));
            match entry {
                Some(entry) if entry.is_ceded() || is_above => (None, say, Route::Nowhere(Rcode::Refused)),
                entry => (entry, say, route),
            }
        }
        Route::Transfer => return TRANSFER,
        Route::Chaos | Route::Nowhere(_) => (None, None, route),
    };
    if let Some(entry) = entry.filter(|entry| entry.content().is_none()) {
        return match entry.part() {
            Some(part) if query.qclass() == Class::IN => {
                let part = (part, entry.metrics());
                resolve_part(snapshot, part, query, scratch, buffer, bounds, elsewhere)
            }
            // What cannot be told of a zone of ours nobody else can tell.
            _ => answer(snapshot, (route, hint), query, key, scratch, buffer, bounds),
        };
    }
    let mut reply = Reply::begin(buffer, query, bounds.limit, snapshot.identity()).at(bounds.now);
    reply.set_recursion_available(query);
    let zone = entry.map(ZoneEntry::metrics);
    let question = reply.question();
    if let Some((say, name)) = say.as_ref().and_then(|say| Some((say, say.name()?))) {
        let rcode = say.tell(name, query.qtype(), question, &mut reply);
        return finish(snapshot, query, reply, (Some(rcode), zone), bounds);
    }
    if let Some(say) = say.as_ref().filter(|say| say.awaits_members() && !elsewhere.is_past_members()) {
        match elsewhere.find_at_member(key, query, question, &mut reply) {
            None => return finish(snapshot, query, reply, (None, zone), bounds),
            Some(Rcode::NoError) => {
                if reply.count(Section::Answer) == 0 && !reply.is_truncated() {
                    reply.clear();
                    say.deny(question, &mut reply);
                }
                reply.set_authoritative();
                return finish(snapshot, query, reply, (Some(Rcode::NoError), zone), bounds);
            }
            // No member knows one, or none is there: what others have is told.
            Some(_) => reply.clear(),
        }
    }
    let content = entry.and_then(ZoneEntry::content).map(|zone| &**zone);
    let found = match (content, route) {
        (Some(zone), _) => {
            scratch.begin(query, bounds.from);
            let place = match entry.is_some_and(ZoneEntry::is_covered) {
                true => zone.locate(key),
                false => zone.locate_from(hint, key),
            };
            Journey::new(snapshot, query, scratch, elsewhere).begin_in((zone, place), &mut reply)
        }
        (None, Route::Chaos) => Some(chaos::answer(snapshot, query, key, &mut reply)),
        (None, Route::Nowhere(Rcode::Refused)) if query.qclass() == Class::IN => match query.qtype() {
            // Of no record (RFC 6895 §3.1), but for ANY.
            qtype if qtype == RecordType(0) || (qtype.is_meta() && qtype != RecordType::ANY) => {
                Some(Rcode::NotImp)
            }
            _ => {
                scratch.begin(query, bounds.from);
                let mut journey = Journey::new(snapshot, query, scratch, elsewhere);
                let found = journey.begin_elsewhere(key, &mut reply);
                journey.prove(&mut reply);
                found
            }
        },
        (None, Route::Nowhere(rcode)) => Some(rcode),
        (None, Route::Zone(_) | Route::Transfer) => Some(Rcode::ServFail),
    };
    // Where nobody may be asked for it, the apex says that it has none; and where nobody tells it, if that is likely.
    let apex = match (nearest, found) {
        (Route::Zone(number), Some(Rcode::Refused | Rcode::ServFail)) if is_above => snapshot.entry(number),
        _ => None,
    };
    let is_told = |zone: &&Arc<Zone>| found == Some(Rcode::Refused) || zone.denial().is_none();
    let found = match apex.and_then(ZoneEntry::content).filter(is_told) {
        Some(zone) => {
            reply.clear();
            scratch.begin(query, bounds.from);
            let own = (&**zone, zone.locate(key));
            Journey::new(snapshot, query, scratch, elsewhere).begin_in(own, &mut reply)
        }
        None => found,
    };
    let zone = apex.map_or(zone, |apex| Some(apex.metrics()));
    let found = match say {
        Some(say) => found.map(|rcode| say.settle(rcode, &mut reply)),
        None => found,
    };
    finish(snapshot, query, reply, (found, zone), bounds)
}

/// Resolves a name of a zone of which not all is known.
#[cold]
fn resolve_part(
    snapshot: &Snapshot,
    (part, zone): (&Zone, MetricsSlot),
    query: &Query<'_>,
    scratch: &mut Scratch,
    buffer: &mut [u8],
    bounds: Bounds,
    elsewhere: &mut dyn Elsewhere,
) -> Outcome {
    let mut reply = Reply::begin(buffer, query, bounds.limit, snapshot.identity()).at(bounds.now);
    reply.set_recursion_available(query);
    scratch.begin(query, bounds.from);
    let question = reply.question();
    let mut journey = Journey::new(snapshot, query, scratch, elsewhere);
    let found = match journey.read(question, &reply) {
        Some(()) => {
            journey.follow_part(part, question, &mut reply).and_then(|end| journey.go_on(end, &mut reply))
        }
        None => Some(Rcode::ServFail),
    };
    journey.prove(&mut reply);
    finish(snapshot, query, reply, (found, Some(zone)), bounds)
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

/// Zones of ours in one chain: each but the first costs an alias, or is come back to.
const ZONES_MAX: usize = CHAIN_STEPS_MAX + RETURNS_MAX + 1;

/// A chain on its way from zone to zone.
struct Journey<'j> {
    snapshot: &'j Snapshot,
    query: &'j Query<'j>,
    scratch: &'j mut Scratch,
    elsewhere: &'j mut dyn Elsewhere,
    /// The names with which the chain came back from elsewhere: one that comes again closes a loop.
    returns: [Option<Owner>; RETURNS_MAX],
    /// The zones of ours that the chain has been in, by their numbers.
    zones: [Option<&'j Zone>; ZONES_MAX],
}

impl<'j> Journey<'j> {
    fn new(
        snapshot: &'j Snapshot,
        query: &'j Query<'j>,
        scratch: &'j mut Scratch,
        elsewhere: &'j mut dyn Elsewhere,
    ) -> Journey<'j> {
        Journey {
            snapshot,
            query,
            scratch,
            elsewhere,
            returns: [None; RETURNS_MAX],
            zones: [None; ZONES_MAX],
        }
    }

    /// Follows the chain of a name that a zone of ours has, from there; the code of its last name. `None` if that is not
    /// known yet.
    fn begin_in(mut self, (zone, place): (&'j Zone, Place), reply: &mut Reply<'_>) -> Option<Rcode> {
        let question = reply.question();
        let end = Chase::new(zone, self.query, self.scratch, reply, true).follow(place, question);
        self.note(zone);
        let found = self.go_on(end, reply);
        self.prove(reply);
        found
    }

    /// The chain is in this zone now.
    fn note(&mut self, zone: &'j Zone) {
        if let Some(place) = self.zones.get_mut(self.scratch.chase.zone() as usize) {
            *place = Some(zone);
        }
    }

    /// Proves that wildcards stood in rightly in the zones that the chain has left. What was found elsewhere has nothing
    /// behind its authority section, so that there is room at its end.
    fn prove(&mut self, reply: &mut Reply<'_>) {
        if !self.query.dnssec_ok() || reply.count(Section::Additional) > 0 {
            return;
        }
        for (number, zone) in (0..).zip(self.zones) {
            if let Some(zone) = zone {
                Chase::new(zone, self.query, self.scratch, reply, true).prove_expansions_in(number);
            }
        }
    }

    /// Follows the chain of a name that no zone of ours has; the code of its last name. `None` if that is not known yet.
    fn begin_elsewhere(&mut self, key: &NameKey, reply: &mut Reply<'_>) -> Option<Rcode> {
        let (before, question) = (reply.written().len(), reply.question());
        let rcode = self.elsewhere.find(key, self.query, question, reply)?;
        match self.come_back((before, 0), rcode, reply) {
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
                Some(entry) => match entry.part() {
                    Some(part) => end = self.follow_part(part, owner, reply)?,
                    None => end = self.follow_at(entry, owner, reply),
                },
                None => {
                    let before = (reply.written().len(), reply.count(Section::Answer));
                    let rcode = self.elsewhere.find(&self.scratch.outside, self.query, owner, reply)?;
                    match self.come_back(before, rcode, reply) {
                        Some(back) => end = back,
                        None => return Some(rcode),
                    }
                }
            }
        }
        Some(Rcode::NoError)
    }

    /// Looks through what was found elsewhere, which begins `before`, with so many records of the answer before it, for
    /// an alias that leads into a zone of ours, or to a name that others are asked for in another way. What is said of
    /// such a name is taken back, and the chain goes on there; so it does where nothing is said of the last name at all,
    /// unless it was asked of somebody who resolves.
    fn come_back(&mut self, before: (usize, u16), rcode: Rcode, reply: &mut Reply<'_>) -> Option<End> {
        if [RecordType::CNAME, RecordType::ANY].contains(&self.query.qtype()) {
            return None;
        }
        let ((mut at, mut count), mut first, mut last) = (before, None, None);
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
            let (owner, target) = (reply.owner_at(alias)?, reply.owner_at(rdata.start)?);
            (first, last) = (first.or(Some(owner)), Some(target));
            self.read(target, reply)?;
            let entry = self.nearest();
            if entry.is_none() && !first.is_some_and(|first| self.is_parted_from(first, reply)) {
                continue;
            }
            // The alias and who vouches for it.
            while let Some((RecordType::RRSIG, rdata)) = reply.record_at(at)
                && count < reply.count(Section::Answer)
                && reply.owner_at(at).is_some_and(|other| reply.is_same_name(other, owner))
            {
                (at, count) = (rdata.end, count + 1);
            }
            reply.cut(at, count);
            return Some(self.enter(entry, target, reply));
        }
        let target = last.filter(|_| rcode == Rcode::NoError && !reply.is_truncated())?;
        if is_denied(at, reply) || is_alias(target, before, reply) {
            return None;
        }
        self.read(target, reply)?;
        if self.elsewhere.resolves(self.scratch.outside.as_wire()) {
            return None;
        }
        reply.cut(at, count);
        Some(self.enter(None, target, reply))
    }

    /// True if others are asked for the name that was [read](Journey::read) in another way than for that one.
    fn is_parted_from(&self, other: Owner, reply: &Reply<'_>) -> bool {
        let Some(way) = self.elsewhere.way(self.scratch.outside.as_wire()) else { return false };
        let mut name = [0; NAME_OCTETS_MAX];
        let Some(len) = reply.copy_name(other, &mut name).map(<[u8]>::len) else { return false };
        name.make_ascii_lowercase();
        self.elsewhere.way(name.get(..len).unwrap_or_default()) != Some(way)
    }

    /// Goes on with a name that others led to, in that zone of ours, or as where a zone is left.
    fn enter(&mut self, entry: Option<&'j ZoneEntry>, target: Owner, reply: &mut Reply<'_>) -> End {
        if !self.returns_to(target, reply) {
            // A loop ends with what was collected.
            return End::Here(Rcode::NoError);
        }
        match entry.filter(|entry| entry.part().is_none()) {
            Some(entry) => self.follow_at(entry, target, reply),
            None => End::Outside(target),
        }
    }

    /// Notes that the chain comes back with that name; false if it has been there, or may come back no more.
    fn returns_to(&mut self, target: Owner, reply: &Reply<'_>) -> bool {
        let question = reply.question();
        if self.returns.iter().flatten().chain([&question]).any(|own| reply.is_same_name(*own, target)) {
            return false;
        }
        let free = self.returns.iter_mut().find(|place| place.is_none());
        free.map(|free| *free = Some(target)).is_some()
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

    /// Goes on at an entry of which all is known, or nothing.
    fn follow_at(&mut self, entry: &'j ZoneEntry, owner: Owner, reply: &mut Reply<'_>) -> End {
        let say = Say::new(self.snapshot, entry, &self.scratch.outside);
        if let Some(say) = &say
            && let Some(name) = say.name()
        {
            // As for all that is followed.
            let is_authoritative = reply.is_authoritative() || owner == reply.question();
            let rcode = say.tell(name, self.query.qtype(), owner, reply);
            if !is_authoritative {
                reply.clear_authoritative();
            }
            return End::Here(rcode);
        }
        // A zone of ours that cannot answer.
        let Some(zone) = entry.content() else { return End::Here(Rcode::ServFail) };
        let (start, answers) = (reply.written().len(), reply.count(Section::Answer));
        let end = self.follow(zone, owner, reply);
        let is_denied = matches!(end, End::Here(Rcode::NoError | Rcode::NxDomain))
            && reply.count(Section::Answer) == answers
            && !reply.is_truncated();
        if is_denied && say.is_some_and(|say| say.awaits_members()) {
            reply.cut(start, answers);
            return End::Here(Rcode::ServFail);
        }
        end
    }

    fn follow(&mut self, zone: &'j Zone, owner: Owner, reply: &mut Reply<'_>) -> End {
        let place = zone.locate(&self.scratch.outside);
        self.scratch.chase.leave();
        self.note(zone);
        // Who has the first name of a chain decides whether all of it is told with authority (RFC 1035 §4.1.1).
        let is_authoritative = reply.is_authoritative() || owner == reply.question();
        let end = Chase::new(zone, self.query, self.scratch, reply, true).follow(place, owner);
        if !is_authoritative {
            reply.clear_authoritative();
        }
        end
    }

    /// Goes on with a name of a zone of which not all is known: what is there is told; what is not, a member is asked
    /// for. `None` if that is not known yet. The name has been [read](Journey::read).
    fn follow_part(&mut self, part: &'j Zone, owner: Owner, reply: &mut Reply<'_>) -> Option<End> {
        let (start, answers) = (reply.written().len(), reply.count(Section::Answer));
        // As for all that is followed.
        let is_authoritative = reply.is_authoritative() || owner == reply.question();
        let end = self.follow(part, owner, reply);
        let End::Here(rcode) = end else { return Some(end) };
        // An SOA in the authority section is absence, be it of the target of an alias.
        let is_present = reply.count(Section::Answer) > answers && reply.count(Section::Authority) == 0;
        if rcode == Rcode::NoError && (is_present || reply.is_truncated()) {
            return Some(end);
        }
        reply.cut(start, answers);
        reply.clear_authoritative();
        // The chain within the zone may have led to another name.
        self.read(owner, reply)?;
        let rcode = self.elsewhere.find_at_member(&self.scratch.outside, self.query, owner, reply)?;
        if is_authoritative && rcode != Rcode::ServFail {
            reply.set_authoritative();
        }
        Some(self.leave_part(part, (start, answers), reply).unwrap_or(End::Here(rcode)))
    }

    /// Where what a member said, which begins there, with so many records of the answer before it, leads out of its zone;
    /// `None` if it does not.
    fn leave_part(
        &mut self,
        part: &Zone,
        (mut at, mut count): (usize, u16),
        reply: &Reply<'_>,
    ) -> Option<End> {
        let is_alias_wanted = [RecordType::CNAME, RecordType::ANY].contains(&self.query.qtype());
        if is_alias_wanted || reply.is_truncated() || reply.count(Section::Authority) > 0 {
            return None;
        }
        let mut target = None;
        while count < reply.count(Section::Answer) {
            let (rtype, rdata) = reply.record_at(at)?;
            (at, count) = (rdata.end, count + 1);
            match rtype {
                RecordType::CNAME => target = Some(rdata.start),
                RecordType::DNAME | RecordType::RRSIG => {}
                _ => return None,
            }
        }
        let target = reply.owner_at(target?)?;
        self.read(target, reply)?;
        // Within its zone a member has followed it.
        let is_within = is_at_or_below(self.scratch.outside.as_wire(), part.origin_key().as_wire());
        // A loop ends with what was collected.
        (!is_within && self.returns_to(target, reply)).then_some(End::Outside(target))
    }
}

/// True if the authority section, which begins there, says that the last name has nothing of the type.
fn is_denied(mut at: usize, reply: &Reply<'_>) -> bool {
    for _ in 0..reply.count(Section::Authority) {
        let Some((rtype, rdata)) = reply.record_at(at) else { return false };
        if rtype == RecordType::SOA {
            return true;
        }
        at = rdata.end;
    }
    false
}

/// True if one of the records of the answer from there on is an alias of that name: the chain is a loop.
fn is_alias(name: Owner, (mut at, count): (usize, u16), reply: &Reply<'_>) -> bool {
    for _ in count..reply.count(Section::Answer) {
        let Some((rtype, rdata)) = reply.record_at(at) else { return false };
        if rtype == RecordType::CNAME
            && reply.owner_at(at).is_some_and(|owner| reply.is_same_name(owner, name))
        {
            return true;
        }
        at = rdata.end;
    }
    false
}
