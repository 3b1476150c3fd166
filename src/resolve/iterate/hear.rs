//! What comes back: messages, silence, and word of the network; and what each means for the job.

use crate::base::time::Moment;
use crate::resolve::body::ExtendedError;
use crate::resolve::exchange::Heard;
use crate::resolve::iterate::bounds::{
    ALIASES_MAX, DELEGATION_SPAN_MAX, MINIMISED_LOST_MAX, PRIMING_SPAN, RECORDS_MAX, TRIES_MAX,
    UNREACHABLE_MAX,
};
use crate::resolve::iterate::cut::{Referral, Wire, name};
use crate::resolve::iterate::job::{Aim, Failed, Flight, Job, JobId, Kind, Query, Visit};
use crate::resolve::iterate::minimise::label_count;
use crate::resolve::iterate::reading::{Asked, Piece, Reading, read};
use crate::resolve::iterate::servers::Silence;
use crate::resolve::iterate::{Iterate, Timer};
use crate::wire::message::Rcode;
use crate::wire::reply::Section;
use crate::wire::response::Response;
use crate::wire::rtype::RecordType;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Why nothing comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// The system has no way there: nothing left.
    Unsent,
    /// The network says that nobody is there.
    Unreachable,
    /// Something else.
    Fault(&'static str),
}

impl Loss {
    fn text(self) -> &'static str {
        match self {
            Loss::Unsent => "no way there",
            Loss::Unreachable => "unreachable",
            Loss::Fault(text) => text,
        }
    }
}

/// What becomes of a job.
enum Next {
    Step,
    Done(Rcode),
    Failed(Failed),
}

impl Iterate {
    /// A datagram came for an exchange. What is not the answer to it changes nothing.
    pub fn handle_datagram(&mut self, now: Moment, exchange: u64, from: SocketAddr, octets: &[u8]) {
        let Some(flight) = self.flights.get(&exchange).filter(|flight| !flight.stream) else { return };
        match flight.exchange.hear(from, octets) {
            Heard::Nothing => {}
            Heard::Answer(response) if response.is_truncated() => {
                self.repeat_on_stream(now, exchange, "truncated")
            }
            Heard::Answer(response) => self.hear(now, exchange, &response),
            // A guess, or a server that does not repeat the case: a stream tells, for nobody can guess into one.
            Heard::OtherCase => self.repeat_on_stream(now, exchange, "the name came back in another case"),
            Heard::NotUnderstood => self.hear_header(now, exchange),
        }
        self.run(now);
    }

    /// A message came on an exchange's stream, or none will.
    pub fn handle_stream(&mut self, now: Moment, exchange: u64, message: Result<&[u8], ()>) {
        let Some(flight) = self.flights.get(&exchange).filter(|flight| flight.stream) else { return };
        let to = flight.exchange.to();
        let heard = message.map(|octets| (octets, flight.exchange.hear(to, octets)));
        match heard {
            Ok((_, Heard::Answer(response))) => self.hear(now, exchange, &response),
            Ok((octets, Heard::OtherCase)) => {
                self.memory.change_server(to.ip(), |server| server.lowers_case(now));
                match Response::read(octets) {
                    Some(response) => self.hear(now, exchange, &response),
                    None => self.lose(now, exchange, Loss::Fault("nonsense on a stream")),
                }
            }
            Ok((_, Heard::NotUnderstood)) => self.hear_header(now, exchange),
            Ok((_, Heard::Nothing)) => self.lose(now, exchange, Loss::Fault("nonsense on a stream")),
            Err(()) => self.lose(now, exchange, Loss::Fault("no stream")),
        }
        self.run(now);
    }

    /// The network says that nobody is there (ICMP).
    pub fn handle_unreachable(&mut self, now: Moment, exchange: u64) {
        self.meet_nobody(now, exchange, Loss::Unreachable);
    }

    /// The system would not send it: there is no way there.
    pub fn handle_unsent(&mut self, now: Moment, exchange: u64) {
        self.meet_nobody(now, exchange, Loss::Unsent);
    }

    fn meet_nobody(&mut self, now: Moment, exchange: u64, loss: Loss) {
        let Some(flight) = self.flights.get(&exchange) else { return };
        let (to, sent) = (flight.exchange.to().ip(), flight.sent);
        self.memory.change_server(to, |server| server.was_silent(now, sent, Silence::Hard));
        self.lose(now, exchange, loss);
        self.run(now);
    }

    /// It is time for what [`super::Output::Wake`] told of.
    pub fn handle_timeout(&mut self, now: Moment) {
        while let Some((at, timer)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, timer));
            match timer {
                Timer::Job(id) => self.expire(now, id),
                Timer::Late(id) => self.hedge(now, id),
                Timer::Flight(id) => {
                    let Some(flight) = self.flights.get(&id) else { continue };
                    let (to, sent, silence) = (flight.exchange.to().ip(), flight.sent, flight.silence());
                    // A server that answers datagrams and no streams is not silent.
                    if !flight.stream {
                        self.memory.change_server(to, |server| server.was_silent(now, sent, silence));
                    }
                    self.lose(now, id, Loss::Fault("timed out"));
                }
            }
        }
        self.run(now);
    }

    /// An exchange ended without an answer.
    fn lose(&mut self, now: Moment, exchange: u64, loss: Loss) {
        let Some((flight, mut job)) = self.take(exchange) else { return };
        let (id, to) = (flight.job, flight.exchange.to().ip());
        note(&mut job, now, &flight, || loss.text().to_owned());
        if let Some(visit) = &mut job.visit {
            // Who tells to use a stream and then has none will do so again.
            let tries = if flight.stream || loss == Loss::Unsent { TRIES_MAX } else { 1 };
            let before = visit.failures;
            fail_try(visit, &flight, tries, loss.text());
            match loss {
                Loss::Unsent => visit.failures = before,
                Loss::Unreachable if visit.unreachable < UNREACHABLE_MAX => {
                    visit.unreachable += 1;
                    visit.failures = before;
                }
                Loss::Unreachable | Loss::Fault(_) => {
                    visit.whole |= flight.short && visit.failures >= MINIMISED_LOST_MAX;
                }
            }
        }
        if loss == Loss::Unsent
            && let Some(purse) = self.purses.get_mut(&job.purse)
        {
            purse.take_back(&flight.asked.zone, job.key.aim == Aim::Address, to);
        }
        let is_late = |left: &u64| self.flights.get(left).is_some_and(|left| left.late_at <= now);
        let left = job.flight.filter(is_late);
        self.go_on(now, id, job, Next::Step);
        if let Some(left) = left {
            self.hedge(now, left);
        }
    }

    /// Ends the exchange, and takes its job out.
    fn take(&mut self, exchange: u64) -> Option<(Flight, Job)> {
        let flight = self.land(exchange)?;
        let mut job = self.jobs.remove(&flight.job)?;
        if job.flight == Some(exchange) {
            job.flight = None;
        }
        job.late.take_if(|late| *late == exchange);
        // The one that is left, if any.
        job.flight = job.flight.or(job.late.take());
        Some((flight, job))
    }

    /// Ends what else is out for a job that goes on: another server was faster.
    fn overtake(&mut self, now: Moment, job: &mut Job) {
        let Some(flight) = job.flight.take().and_then(|other| self.land(other)) else { return };
        if flight.late_at <= now && !flight.stream {
            let to = flight.exchange.to().ip();
            self.memory.change_server(to, |server| server.was_silent(now, flight.sent, flight.silence()));
        }
        note(job, now, &flight, || "given up, another was faster".to_owned());
    }

    fn go_on(&mut self, now: Moment, id: JobId, job: Job, next: Next) {
        match next {
            Next::Step => {
                self.jobs.insert(id, job);
                self.ready.push_back(id);
            }
            Next::Done(code) => self.succeed(now, id, job, code),
            Next::Failed(failed) => self.fail(now, id, job, failed),
        }
    }

    fn repeat_on_stream(&mut self, now: Moment, exchange: u64, why: &'static str) {
        let Some((flight, mut job)) = self.take(exchange) else { return };
        let (id, to) = (flight.job, flight.exchange.to().ip());
        note(&mut job, now, &flight, || why.to_owned());
        let aside = job.key.aim == Aim::Address;
        let purse = self.purses.get(&job.purse);
        if purse.is_some_and(|purse| purse.has_packet_for(&flight.asked.zone, aside) && purse.may_ask(to)) {
            let Flight { asked, server, edns, .. } = flight;
            self.fly(now, id, &mut job, Query { asked, address: to, server, stream: true, plain: !edns });
            self.jobs.insert(id, job);
        } else {
            if let Some(visit) = &mut job.visit {
                fail_try(visit, &flight, TRIES_MAX, why);
            }
            self.go_on(now, id, job, Next::Step);
        }
    }

    /// The server did not understand the query, and tells no more: it is asked again without EDNS.
    fn hear_header(&mut self, now: Moment, exchange: u64) {
        let Some((flight, mut job)) = self.take(exchange) else { return };
        let (id, to) = (flight.job, flight.exchange.to().ip());
        note(&mut job, now, &flight, || "not understood, and no more than a header".to_owned());
        if let Some(visit) = &mut job.visit {
            visit.plain.entry(to).or_insert(false);
            visit.failures = visit.failures.saturating_add(flight.packets());
        }
        self.go_on(now, id, job, Next::Step);
    }

    /// The server answered.
    fn hear(&mut self, now: Moment, exchange: u64, response: &Response<'_>) {
        let Some((flight, mut job)) = self.take(exchange) else { return };
        let (id, to) = (flight.job, flight.exchange.to().ip());
        if !flight.stream {
            self.memory.change_server(to, |server| server.answered(now - flight.sent));
        }
        let reading = match response.is_truncated() {
            true => Reading::Fault("truncated on a stream"),
            false => read(&flight.asked, response),
        };
        note(&mut job, now, &flight, || say(&reading));
        if matches!(
            reading,
            Reading::Answer(_) | Reading::Alias(..) | Reading::Nothing(..) | Reading::Referral(_)
        ) {
            self.overtake(now, &mut job);
            // It answers without EDNS, and did not with it.
            if !flight.edns
                && !response.has_edns()
                && job.visit.as_ref().is_some_and(|visit| visit.plain.get(&to) == Some(&true))
            {
                self.memory.change_server(to, |server| server.knows_no_edns(now));
            }
        }
        if let Reading::Answer(piece) | Reading::Nothing(piece, _) = &reading
            && piece.answer.iter().chain(&piece.authority).any(|record| record.rtype == RecordType::RRSIG)
            && let Some(purse) = self.purses.get_mut(&job.purse).filter(|_| job.key.aim == Aim::Client)
        {
            purse.proved(to);
        }
        let next = match job.key.aim {
            Aim::Priming => self.prime_from(now, &flight, &mut job, &reading, response),
            Aim::Client | Aim::Address => self.digest(now, &mut job, &flight, reading),
        };
        self.go_on(now, id, job, next);
    }

    /// Takes the servers of the root from the answer to a priming query (RFC 9609 §3.3, §4).
    fn prime_from(
        &mut self,
        now: Moment,
        flight: &Flight,
        job: &mut Job,
        reading: &Reading,
        response: &Response<'_>,
    ) -> Next {
        let root = Wire::from([0]);
        let told = match reading {
            Reading::Answer(_) => Referral::read(response, Section::Answer, &root, &root),
            _ => None,
        };
        let told = told.map(|mut told| {
            told.add_hints(&self.settings.root());
            told
        });
        match told.filter(|told| told.glue.iter().any(|(_, address)| self.settings.allows(*address, true))) {
            Some(told) => {
                let span = Duration::from_secs(told.ttl.into()).min(DELEGATION_SPAN_MAX);
                self.primes_at = now + span.max(PRIMING_SPAN);
                self.memory.set_root(told.cut(now, Moment::NEVER));
                Next::Done(Rcode::NoError)
            }
            None => {
                if let Some(visit) = &mut job.visit {
                    fail_try(visit, flight, TRIES_MAX, "it does not tell the servers of the root");
                }
                Next::Step
            }
        }
    }

    /// What a reading means for the job.
    fn digest(&mut self, now: Moment, job: &mut Job, flight: &Flight, reading: Reading) -> Next {
        let to = flight.exchange.to().ip();
        let is_whole = flight.asked.name == job.name && flight.asked.rtype == job.key.rtype;
        let Some(visit) = &mut job.visit else { return Next::Step };
        match reading {
            // Below a name that the root does not have is nothing (RFC 8020): its servers are known to keep to that, and
            // need not see the rest of the name.
            Reading::Nothing(piece, code @ Rcode::NxDomain)
                if visit.cut.is_root() && !piece.authority.is_empty() =>
            {
                add(job, piece).map_or(Next::Done(code), Next::Failed)
            }
            Reading::Answer(_) | Reading::Alias(..) | Reading::Nothing(..) if !is_whole => {
                // No cut is there, which spares others the question. Of a name that is said not to exist the whole may exist all the same: not every
                // server knows empty non-terminals (RFC 9156 §2.3); nor does a shortened name bring a DNAME's alias.
                let plain_seconds = match &reading {
                    Reading::Nothing(piece, Rcode::NoError) => Some(piece.ttl),
                    Reading::Alias(piece, _) | Reading::Answer(piece) if !has_dname(piece) => Some(piece.ttl),
                    _ => None,
                };
                visit.whole |= plain_seconds.is_none();
                if let Some(seconds) = plain_seconds {
                    let Asked { zone, name, .. } = &flight.asked;
                    self.memory.put_plain(now, zone, name, Duration::from_secs(seconds.into()));
                }
                visit.known = visit.known.max(label_count(&flight.asked.name));
                if let Some(purse) = self.purses.get_mut(&job.purse) {
                    purse.minimised = purse.minimised.saturating_add(1);
                }
                Next::Step
            }
            Reading::Answer(piece) => add(job, piece).map_or(Next::Done(Rcode::NoError), Next::Failed),
            Reading::Nothing(piece, code) => add(job, piece).map_or(Next::Done(code), Next::Failed),
            Reading::Alias(piece, target) => {
                if job.key.aim == Aim::Address {
                    // A name server's name is no alias (RFC 2181 §10.3): that it has no address holds as long as that.
                    job.found.ttl = piece.ttl;
                    return Next::Done(Rcode::NoError);
                }
                if let Some(failed) = add(job, piece) {
                    return Next::Failed(failed);
                }
                job.name = target;
                job.visit = None;
                if let Some(purse) = self.purses.get_mut(&job.purse) {
                    purse.start_anew();
                }
                Next::Step
            }
            Reading::Referral(referral) => {
                let cut = Arc::new(referral.cut(now, visit.cut.expires));
                if let Some(purse) = self.purses.get_mut(&job.purse).filter(|_| job.key.aim == Aim::Client) {
                    purse.went_down(to, job.found.aliases == 0);
                }
                self.go_down(job, cut);
                Next::Step
            }
            Reading::NotUnderstood if flight.edns => {
                // It may be the type that is in the way: what the server is like shows once it answers.
                visit.plain.insert(to, true);
                visit.failures = visit.failures.saturating_add(flight.packets());
                Next::Step
            }
            // A server may stumble over a part of the name and know the whole.
            Reading::Endless
            | Reading::NotUnderstood
            | Reading::Refused
            | Reading::Lame(_)
            | Reading::Fault(_)
                if !is_whole =>
            {
                visit.whole = true;
                visit.failures = visit.failures.saturating_add(flight.packets());
                Next::Step
            }
            Reading::Endless => Next::Failed(endless()),
            Reading::Refused | Reading::Lame(_) => {
                self.memory.put_lame(now, &flight.asked.zone, to);
                let fault = if let Reading::Lame(fault) = reading { fault } else { "REFUSED" };
                fail_try(visit, flight, TRIES_MAX, fault);
                Next::Step
            }
            Reading::Fault(fault) => {
                fail_try(visit, flight, TRIES_MAX, fault);
                Next::Step
            }
            Reading::NotUnderstood => {
                fail_try(visit, flight, TRIES_MAX, "it does not understand the query");
                Next::Step
            }
        }
    }
}

fn fail_try(visit: &mut Visit, flight: &Flight, tries: u8, fault: &'static str) {
    let tried = visit.tries.entry(flight.exchange.to().ip()).or_default();
    *tried = tried.saturating_add(tries);
    visit.failures = visit.failures.saturating_add(flight.packets());
    visit.fault = fault;
}

fn has_dname(piece: &Piece) -> bool {
    piece.answer.iter().any(|record| record.rtype == RecordType::DNAME)
}

fn endless() -> Failed {
    let text = format!("aliases lead in circles, or on and on beyond {ALIASES_MAX}");
    Failed { kind: Kind::Final, error: ExtendedError::NETWORK_ERROR, text }
}

/// Adds what was found to the job; the failure if that is too much.
fn add(job: &mut Job, piece: Piece) -> Option<Failed> {
    let found = &mut job.found;
    found.answer.extend(piece.answer);
    found.authority.extend(piece.authority);
    found.ttl = found.ttl.min(piece.ttl);
    found.aliases += piece.aliases;
    if found.answer.len() + found.authority.len() > RECORDS_MAX {
        let text = format!("its answer has more than {RECORDS_MAX} records");
        return Some(Failed { kind: Kind::Final, error: ExtendedError::NETWORK_ERROR, text });
    }
    (found.aliases > ALIASES_MAX).then(endless)
}

fn note(job: &mut Job, now: Moment, flight: &Flight, what: impl FnOnce() -> String) {
    job.note(|| {
        let Asked { zone, name: asked, rtype, .. } = &flight.asked;
        let (zone, server, address) = (name(zone), name(&flight.server), flight.exchange.to().ip());
        let how = if flight.stream { " on a stream" } else { "" };
        let millis = (now - flight.sent).as_millis();
        let asked = name(asked);
        format!("asked {server} ({address}) of {zone}{how} for {asked} {rtype}: {}, {millis} ms", what())
    });
}

/// A reading, for people.
fn say(reading: &Reading) -> String {
    match reading {
        Reading::Answer(_) => "an answer".to_owned(),
        Reading::Alias(_, target) => format!("an alias of {}", name(target)),
        Reading::Nothing(_, Rcode::NoError) => "no such records".to_owned(),
        Reading::Nothing(_, code) => format!("{code}"),
        Reading::Referral(referral) => format!("a referral to {}", name(&referral.zone)),
        Reading::Endless => "aliases without end".to_owned(),
        Reading::Refused => "lame: REFUSED".to_owned(),
        Reading::Lame(fault) => format!("lame: {fault}"),
        Reading::Fault(fault) => (*fault).to_owned(),
        Reading::NotUnderstood => "not understood".to_owned(),
    }
}
