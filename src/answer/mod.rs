//! Floor 3: from a snapshot and a query to an answer. Pure: no socket, no clock, no allocation.
//!
//! The ladder reads as RFC 1034 §4.3.2:
//!
//! ```text
//! route ─► answer ─┬─► locate ─► follow ─┬─► answer_node ──► additional addresses
//!                  ├─► chaos       ▲     ├─► answer_dname
//!                  └─► REFUSED ... │     ├─► refer ────────► glue
//!                                  │     └─► answer_absent
//!                                  └──── an alias leads on
//! ```
//!
//! Ordinary queries take the same steps with less ado, in [`answer_short`]. For those who may have names resolved
//! [`resolve`] goes on where the zones of this server end: in another one of them, or [`Elsewhere`].

mod additional;
mod chaos;
mod chase;
mod proof;
mod resolve;
mod reverse;
mod short;
mod viewed;

use crate::answer::chase::{Chase, End};
use crate::answer::reverse::Say;
use crate::base::time::Moment;
use crate::catalog::snapshot::{MetricsSlot, Snapshot, ZoneEntry, ZoneNumber};
use crate::wire::key::NameKey;
use crate::wire::message::Rcode;
use crate::wire::query::{Query, Shape};
use crate::wire::reply::{Owner, Reply, Section};
use crate::wire::rtype::{Class, RecordType};
use crate::zone::Zone;
use crate::zone::store::{Hint, Shelf};
use crate::zone::view::Asker;
use std::net::IpAddr;

pub use resolve::resolve;
pub use reverse::tell_member;
pub use short::{Offers, answer_short};

/// What a worker keeps from answer to answer, so that answering allocates nothing.
#[derive(Default)]
pub struct Scratch {
    /// A name on the way: an alias's target.
    key: NameKey,
    /// The name with which a chain left a zone.
    outside: NameKey,
    chase: chase::Trail,
    additional: additional::Added,
    asked: viewed::Asked,
    chosen: viewed::Chosen,
    proofs: proof::Proofs,
}

impl Scratch {
    /// For the next query.
    fn begin(&mut self, query: &Query<'_>, from: Option<IpAddr>) {
        self.chase.clear();
        self.proofs.clear();
        self.asked = viewed::Asked { from, lot: query.id() };
    }

    /// From now on whoever asks is taken for that one, in every zone that knows askers; `None`: for whom the zone knows by
    /// the address.
    pub fn stand_in(&mut self, asker: Option<Asker>) {
        self.chosen.stand_in = asker;
    }
}

/// How large an answer may be, what it says of the server, and when it is given.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Octets of the whole answer.
    pub limit: usize,
    /// Octets of UDP payload this server takes, as its OPT says.
    pub udp_payload_max: u16,
    /// When: TTLs of records that will end soon are counted from here.
    pub now: Moment,
    /// Who asks, where that is known.
    pub from: Option<IpAddr>,
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
    /// Send nothing yet: what is missing was asked of [`Elsewhere`], and the query is to be answered again when that
    /// has come.
    Forward,
    /// Send nothing yet: a zone as a whole is asked for, which is for another desk to decide.
    Transfer,
}

/// A zone as a whole is asked for.
const TRANSFER: Outcome = Outcome { verdict: Verdict::Transfer, rcode: Rcode::NoError, zone: None };

/// What is known of names that no zone of this server answers.
pub trait Elsewhere {
    /// Puts what is known of the name into the reply, where it stands at `owner`; the code. `None` if nothing is known
    /// yet: then the reply comes to nothing. `key` is hashed with the snapshot's seed.
    fn find(
        &mut self,
        key: &NameKey,
        query: &Query<'_>,
        owner: Owner,
        reply: &mut Reply<'_>,
    ) -> Option<Rcode>;

    /// The same of a name of a zone of which not all is known here, from a member of the cluster that knows all of it.
    fn find_at_member(
        &mut self,
        key: &NameKey,
        query: &Query<'_>,
        owner: Owner,
        reply: &mut Reply<'_>,
    ) -> Option<Rcode>;

    /// The way in which others are asked for a name, in lower-cased wire form, by a number: names with one number go one
    /// way, and what comes by it says nothing of names with another. `None`: it has no way of its own.
    fn way(&self, name: &[u8]) -> Option<usize>;

    /// True if whoever is asked for a name, in lower-cased wire form, resolves it to its end: of what an answer says nothing
    /// there is nothing.
    fn resolves(&self, name: &[u8]) -> bool;

    /// True if others, who come after the members, have answered, or were waited for long enough: so members are asked for
    /// the name of an address once.
    fn is_past_members(&self) -> bool;
}

/// Which part of the server a query is for. Valid with the snapshot it was found in.
#[derive(Debug, Clone, Copy)]
pub enum Route {
    /// A zone of ours.
    Zone(ZoneNumber),
    /// The server itself.
    Chaos,
    /// A zone as a whole: AXFR or IXFR.
    Transfer,
    /// No part: this code says so.
    Nowhere(Rcode),
}

/// A zone of ours, and where in it the name asked for most likely lies.
#[derive(Clone, Copy)]
pub struct Way<'s> {
    entry: &'s ZoneEntry,
    zone: &'s Zone,
    shelf: Shelf<'s>,
    hint: Hint,
}

impl Route {
    /// The way to the name; has the processor fetch what [`Way::seek`] will read. `None` if there is no such zone,
    /// or it is faulty.
    #[inline(always)]
    pub fn way<'s>(&self, snapshot: &'s Snapshot, key: &NameKey) -> Option<Way<'s>> {
        let Route::Zone(number) = self else { return None };
        let entry = snapshot.entry(*number)?;
        let zone = entry.zone()?;
        Some(Way { entry, zone, shelf: zone.prefetch_slot(key.full_hash()), hint: Hint::ABSENT })
    }

    /// Where the name most likely lies.
    pub fn hint(&self, snapshot: &Snapshot, key: &NameKey) -> Hint {
        self.way(snapshot, key).map_or(Hint::ABSENT, |mut way| way.seek(key))
    }
}

/// The zone asked last, at hand because the next query is most likely for it too.
#[derive(Clone, Copy)]
pub struct Guess<'s> {
    number: ZoneNumber,
    entry: &'s ZoneEntry,
    zone: &'s Zone,
}

impl<'s> Guess<'s> {
    /// `None` if there is no such zone, or it is faulty.
    pub fn new(snapshot: &'s Snapshot, number: ZoneNumber) -> Option<Guess<'s>> {
        let entry = snapshot.entry(number)?;
        Some(Guess { number, entry, zone: entry.zone()? })
    }

    /// True if it is right.
    #[inline(always)]
    pub fn is_right(&self, shape: &Shape, key: &NameKey) -> bool {
        !is_rare(shape) && self.entry.is_nearest_to(key)
    }

    /// The same as [`route`] yields, where the guess is right.
    #[inline(always)]
    pub fn route(&self) -> Route {
        Route::Zone(self.number)
    }

    /// The same as [`Route::way`] yields, where the guess is right.
    #[inline(always)]
    pub fn way(&self, key: &NameKey) -> Way<'s> {
        let shelf = self.zone.prefetch_slot(key.full_hash());
        Way { entry: self.entry, zone: self.zone, shelf, hint: Hint::ABSENT }
    }
}

impl Way<'_> {
    /// Finds where the name most likely lies and has the processor fetch that: so a batch waits for memory
    /// twice, not twice for each of its queries.
    #[inline(always)]
    pub fn seek(&mut self, key: &NameKey) -> Hint {
        self.hint = self.zone.hint(key.full_hash(), &self.shelf);
        self.hint
    }

    /// What [`Way::seek`] found.
    #[inline(always)]
    pub fn hint(&self) -> Hint {
        self.hint
    }
}

/// Finds what a query is for. `key` is the name asked for, hashed with the snapshot's seed; `guess` is the zone
/// of the query before, or any.
#[inline(always)]
pub fn route(snapshot: &Snapshot, shape: &Shape, key: &NameKey, guess: ZoneNumber) -> Route {
    if is_rare(shape) {
        return route_rare(snapshot, shape.qtype(), shape.qclass(), key);
    }
    snapshot.find(key, guess).map_or(Route::Nowhere(Rcode::Refused), Route::Zone)
}

/// True if more than the name decides on the route.
#[inline(always)]
fn is_rare(shape: &Shape) -> bool {
    let qtype = shape.qtype();
    // Most types lie below the first of the rare ones.
    shape.qclass() != Class::IN
        || (qtype.0.wrapping_sub(1) >= RecordType::DS.0 - 1
            && (qtype.is_viewed()
                || matches!(qtype, RecordType(0) | RecordType::DS | RecordType::IXFR | RecordType::AXFR)))
}

#[cold]
fn route_rare(snapshot: &Snapshot, qtype: RecordType, qclass: Class, key: &NameKey) -> Route {
    let zone = match (qclass, qtype) {
        (Class::CH, _) => return Route::Chaos,
        (Class::IN | Class::ANY, RecordType::AXFR | RecordType::IXFR) => return Route::Transfer,
        (Class::IN | Class::ANY, RecordType::DS) => zone_for_ds(snapshot, key),
        (Class::IN | Class::ANY, _) => snapshot.find_at(key, key.label_count()),
        _ => None,
    };
    // Type 0 is no type (RFC 6895 §3.1), nor is what only this process knows.
    if zone.is_some() && (qtype == RecordType(0) || qtype.is_viewed()) {
        return Route::Nowhere(Rcode::NotImp);
    }
    zone.map_or(Route::Nowhere(Rcode::Refused), Route::Zone)
}

/// The nearest zone above the name; at an apex the zone above the cut, which holds the DS (RFC 4035 §3.1.4.1).
fn zone_for_ds(snapshot: &Snapshot, key: &NameKey) -> Option<ZoneNumber> {
    let nearest = snapshot.find_at(key, key.label_count())?;
    let at_apex = snapshot.entry(nearest).is_some_and(|entry| is_apex_of(entry, key));
    match key.label_count().checked_sub(1) {
        Some(above) if at_apex => snapshot.find_at(key, above).or(Some(nearest)),
        _ => Some(nearest),
    }
}

/// True if the name is the apex of that zone.
fn is_apex_of(entry: &ZoneEntry, key: &NameKey) -> bool {
    entry.labels() == key.label_count() && !entry.is_ceded() && entry.is_apex()
}

/// Answers a query into `buffer`. `key` and `route` are as for and from [`route`], `hint` is the route's.
#[inline(never)]
pub fn answer(
    snapshot: &Snapshot,
    (route, hint): (Route, Hint),
    query: &Query<'_>,
    key: &NameKey,
    scratch: &mut Scratch,
    buffer: &mut [u8],
    bounds: Bounds,
) -> Outcome {
    let mut reply = Reply::begin(buffer, query, bounds.limit, snapshot.identity()).at(bounds.now);
    let mut zone = None;
    let rcode = match route {
        Route::Zone(number) => {
            let entry = snapshot.entry(number);
            zone = entry.filter(|entry| !entry.is_ceded()).map(ZoneEntry::metrics);
            match entry.and_then(ZoneEntry::zone) {
                None if entry.is_some_and(ZoneEntry::is_covered) => {
                    return answer_covered(snapshot, (number, zone), query, key, scratch, buffer, bounds);
                }
                Some(zone) => {
                    let question = reply.question();
                    scratch.begin(query, bounds.from);
                    let chase = Chase::new(zone, query, scratch, &mut reply, false);
                    match chase.follow(zone.locate_from(hint, key), question) {
                        End::Here(rcode) => rcode,
                        // A chain leaves its zone only where that was asked for.
                        End::Outside(_) | End::Below(_) => Rcode::NoError,
                    }
                }
                None => match entry.and_then(ZoneEntry::part) {
                    Some(part) => {
                        return answer_part(snapshot, (part, zone), query, key, scratch, buffer, bounds);
                    }
                    None if entry.is_some_and(ZoneEntry::is_ceded) => Rcode::Refused,
                    None => Rcode::ServFail,
                },
            }
        }
        Route::Chaos => chaos::answer(snapshot, query, key, &mut reply),
        Route::Transfer => return TRANSFER,
        Route::Nowhere(rcode) => rcode,
    };
    let len = reply.finish(query, rcode, bounds.udp_payload_max, snapshot.identity());
    Outcome { verdict: Verdict::Reply(len), rcode, zone }
}

/// Answers where names of addresses are laid over what the zone has.
#[inline(never)]
fn answer_covered(
    snapshot: &Snapshot,
    (number, zone): (ZoneNumber, Option<MetricsSlot>),
    query: &Query<'_>,
    key: &NameKey,
    scratch: &mut Scratch,
    buffer: &mut [u8],
    bounds: Bounds,
) -> Outcome {
    let mut reply = Reply::begin(buffer, query, bounds.limit, snapshot.identity()).at(bounds.now);
    let (entry, question) = (snapshot.entry(number), reply.question());
    let say = entry.and_then(|entry| Say::new(snapshot, entry, key));
    let rcode = match say.as_ref().and_then(|say| Some((say, say.name()?))) {
        Some((say, name)) => say.tell(name, query.qtype(), question, &mut reply),
        None => {
            let rcode = match entry.and_then(ZoneEntry::content) {
                Some(zone) => {
                    scratch.begin(query, bounds.from);
                    let chase = Chase::new(zone, query, scratch, &mut reply, false);
                    match chase.follow(zone.locate(key), question) {
                        End::Here(rcode) => rcode,
                        End::Outside(_) | End::Below(_) => Rcode::NoError,
                    }
                }
                None if entry.is_some_and(ZoneEntry::is_ceded) => Rcode::Refused,
                None => Rcode::ServFail,
            };
            say.map_or(rcode, |say| say.settle(rcode, &mut reply))
        }
    };
    let len = reply.finish(query, rcode, bounds.udp_payload_max, snapshot.identity());
    Outcome { verdict: Verdict::Reply(len), rcode, zone }
}

/// Answers from a zone of which not all is known: what is there is told, and instead of any kind of absence that
/// this server cannot tell yet.
#[cold]
fn answer_part(
    snapshot: &Snapshot,
    (part, zone): (&Zone, Option<MetricsSlot>),
    query: &Query<'_>,
    key: &NameKey,
    scratch: &mut Scratch,
    buffer: &mut [u8],
    bounds: Bounds,
) -> Outcome {
    let finish = |mut reply: Reply<'_>, rcode| {
        let len = reply.finish(query, rcode, bounds.udp_payload_max, snapshot.identity());
        Outcome { verdict: Verdict::Reply(len), rcode, zone }
    };
    let mut reply = Reply::begin(buffer, query, bounds.limit, snapshot.identity()).at(bounds.now);
    let question = reply.question();
    scratch.begin(query, bounds.from);
    let chase = Chase::new(part, query, scratch, &mut reply, false);
    let rcode = match chase.follow(part.locate(key), question) {
        End::Here(rcode) => rcode,
        End::Outside(_) | End::Below(_) => Rcode::NoError,
    };
    // An SOA in the authority section is absence, be it of the target of an alias.
    let is_present = reply.count(Section::Answer) > 0 && reply.count(Section::Authority) == 0;
    // A set that is too large for the datagram is there, too; over TCP it is told.
    if rcode == Rcode::NoError && (is_present || reply.is_truncated()) {
        return finish(reply, rcode);
    }
    finish(Reply::begin(buffer, query, bounds.limit, snapshot.identity()), Rcode::ServFail)
}

/// Answers a message that is no query with its error.
pub fn refuse(
    snapshot: &Snapshot,
    query: &Query<'_>,
    rcode: Rcode,
    buffer: &mut [u8],
    bounds: Bounds,
) -> Outcome {
    let mut reply = Reply::begin(buffer, query, bounds.limit, snapshot.identity());
    let len = reply.finish(query, rcode, bounds.udp_payload_max, snapshot.identity());
    Outcome { verdict: Verdict::Reply(len), rcode, zone: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Moment;
    use crate::catalog::delta::Delta;
    use crate::catalog::lease::Source;
    use crate::catalog::services::Terms;
    use crate::catalog::state::State;
    use crate::wire::key::HashSeed;
    use crate::wire::name::Name;
    use crate::wire::query::{Accepted, accept};
    use crate::wire::rtype::RecordType;
    use std::time::Duration;

    #[test]
    fn a_known_set_too_large_for_a_datagram_is_truncated_before_the_records_are_known() {
        let name = |text: &str| Name::parse(text).unwrap();
        let (ttl, lease) = (Duration::from_secs(5), Duration::from_secs(60));
        let terms = Terms { primary: name("z."), origin: name("z."), ttl, negative_ttl: ttl, lease };
        let mut state = State::new(HashSeed::new([5; 16]), 4);
        state.apply(Delta::OpenServices(Box::new(terms)));
        let rdatas = (0..40).map(|number| [&[20][..], &[number; 20]].concat().into()).collect();
        let (source, rtype) = (Source::Cluster, RecordType::TXT);
        state.apply(Delta::PutRecords { source, name: name("a.z."), rtype, ttl: 5, rdatas });
        let snapshot = state.snapshot(Moment::START);
        // Over UDP, over TCP, and a name that is not there: flags and code, answers.
        for (owner, limit, expected) in
            [(b'a', 512, (0x86, 0, 0)), (b'a', 65_535, (0x84, 0, 40)), (b'b', 512, (0x80, 2, 0))]
        {
            let query = [0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, owner, 1, b'z', 0, 0, 16, 0, 1];
            let (mut key, mut scratch, mut buffer) =
                (NameKey::default(), Box::<Scratch>::default(), vec![0; 65_535]);
            let Accepted::Query(shape) = accept(&query, &mut key) else { panic!("a query") };
            key.hash(snapshot.seed());
            let route = route(&snapshot, &shape, &key, ZoneNumber::default());
            let way = (route, route.hint(&snapshot, &key));
            let bounds = Bounds { limit, udp_payload_max: 1232, now: Moment::START, from: None };
            answer(&snapshot, way, &shape.of(&query), &key, &mut scratch, &mut buffer, bounds);
            assert_eq!((buffer[2], buffer[3] & 15, buffer[7]), expected, "{} {limit}", char::from(owner));
        }
    }
}
