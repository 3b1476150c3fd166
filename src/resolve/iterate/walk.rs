//! The next step of a job: at which zone it stands, what it waits for, and how much of the name it shows.

use crate::base::time::Moment;
use crate::resolve::body::ExtendedError;
use crate::resolve::exchange::{Exchange, Manner};
use crate::resolve::iterate::bounds::{
    ADDRESS_SPAN, DEPTH_MAX, EXCHANGES_MAX, HEDGED_EXCHANGES_MAX, JOBS_MAX, REFRESH_SPAN, STREAM_WAIT,
    ZONE_EXCHANGES_MAX, ZONE_WAITING_MAX, ZONE_WAITING_OF_CLIENT_MAX,
};
use crate::resolve::iterate::choose::Choice;
use crate::resolve::iterate::cut::{Cut, Wire, name};
use crate::resolve::iterate::job::{Aim, Failed, Flight, Job, JobId, Key, Kind, Query, Turn, Visit, Waiter};
use crate::resolve::iterate::minimise::{label_count, next, suffix};
use crate::resolve::iterate::reading::Asked;
use crate::resolve::iterate::{Iterate, Output, Purse, Timer};
use crate::resolve::question::{Question, Wants};
use crate::wire::rtype::RecordType;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// What became of who needs an address.
enum Sought {
    /// It waits for it.
    Waits,
    /// That cannot help, or its question may ask no more.
    Bounded,
    /// There is no room.
    Crowded,
}

impl Iterate {
    /// Takes all steps that can be taken.
    pub(super) fn run(&mut self, now: Moment) {
        // Each step sends, waits, or ends its job: the queue becomes empty.
        while let Some(id) = self.ready.pop_front() {
            let Some(mut job) = self.jobs.remove(&id) else { continue };
            let turn = job.turn.take();
            // Two of its exchanges may have ended at once: then it was ready twice.
            if job.flight.is_some() || job.needs.is_some() || job.queued.is_some() {
                self.jobs.insert(id, job);
                if let Some(turn) = turn {
                    self.pass_turn(&turn);
                }
                continue;
            }
            let step = self.step(now, id, &mut job);
            // It may have gone on elsewhere: others wait where it had its turn.
            if let Some(turn) = turn.filter(|turn| !self.is_used(&job, turn)) {
                self.pass_turn(&turn);
            }
            match step {
                Ok(()) => drop(self.jobs.insert(id, job)),
                Err(failed) => self.fail(now, id, job, failed),
            }
        }
    }

    /// True if a job that had that turn sent something there, or waits for the next one: there is no room then, and
    /// what takes it ends some time.
    fn is_used(&self, job: &Job, turn: &Turn) -> bool {
        let sent = job.flight.and_then(|flight| self.flights.get(&flight));
        let has_sent = sent.is_some_and(|sent| match turn {
            Turn::Zone(zone) => sent.asked.zone == *zone,
            Turn::Any => true,
        });
        has_sent || job.queued.as_ref() == Some(turn)
    }

    /// One step; `Ok`: the job waits for something.
    fn step(&mut self, now: Moment, id: JobId, job: &mut Job) -> Result<(), Failed> {
        let mut visit = match job.visit.take() {
            // What it waited for may have brought a nearer cut.
            Some(visit) if visit.followed => match self.enter(now, job) {
                // What was tried at this zone still counts.
                nearer if nearer.known > visit.known && nearer.cut.zone == visit.cut.zone => {
                    Visit { known: nearer.known, followed: false, ..visit }
                }
                nearer if nearer.known > visit.known => nearer,
                _ => visit,
            },
            Some(visit) => visit,
            None => self.enter(now, job),
        };
        let mut step = self.step_at(now, id, job, &mut visit);
        let is_old = now - visit.cut.learned >= REFRESH_SPAN && !visit.cut.is_root();
        if matches!(&step, Err(failed) if failed.kind == Kind::Final) && is_old && !job.refreshed {
            // The zone may have moved: the one above knows.
            job.refreshed = true;
            self.memory.forget_cut(&visit.cut.zone);
            job.note(|| format!("asks again who serves {}", name(&visit.cut.zone)));
            visit = self.enter(now, job);
            step = self.step_at(now, id, job, &mut visit);
        }
        job.visit = Some(visit);
        step
    }

    /// Goes to the nearest known cut.
    fn enter(&mut self, now: Moment, job: &mut Job) -> Visit {
        let (cut, passed) = self.memory.nearest(now, &job.name, job.key.rtype);
        let (sought, zone) = (job.name.clone(), &cut.zone);
        job.note(|| {
            let since = if cut.is_root() { "" } else { ", known from before" };
            format!("for {} begins at {}{since}", name(&sought), name(zone))
        });
        for zone in passed {
            if !job.zones.contains(&zone) {
                job.zones.push(zone);
            }
        }
        let known = self.memory.plain_labels(now, &cut.zone, &job.name);
        Visit { known, ..Visit::new(cut) }
    }

    fn step_at(&mut self, now: Moment, id: JobId, job: &mut Job, visit: &mut Visit) -> Result<(), Failed> {
        loop {
            match self.choose(now, job, visit) {
                Choice::Ask(address, server) => return self.send(now, id, job, visit, address, server),
                Choice::Seek(server, rtype) => {
                    visit.sought.push((server, rtype));
                    match self.seek(now, id, job, &visit.cut, server, rtype) {
                        Sought::Waits => return Ok(()),
                        Sought::Bounded => visit.is_bounded |= !visit.cut.has_glue(server),
                        Sought::Crowded => visit.is_crowded = true,
                    }
                }
                Choice::Nobody(failed) => return Err(failed),
            }
        }
    }

    /// Lets the job wait for an address.
    fn seek(
        &mut self,
        now: Moment,
        id: JobId,
        job: &mut Job,
        cut: &Cut,
        server: usize,
        rtype: RecordType,
    ) -> Sought {
        let Some(server) = cut.names.get(server) else { return Sought::Bounded };
        let key = Key { name: server.clone(), rtype, dnssec_ok: false, aim: Aim::Address };
        if key == job.key {
            return Sought::Bounded;
        }
        let needed = match self.by_key.get(&key) {
            // Two that wait for each other would wait in vain (TsuNAME).
            Some(other) if self.needs(*other, id) => return Sought::Bounded,
            Some(other) => *other,
            None if self.jobs.len() >= JOBS_MAX => return Sought::Crowded,
            None => {
                let may = job.depth < DEPTH_MAX
                    && self.purses.get_mut(&job.purse).is_some_and(|purse| purse.take_subquestion());
                if !may {
                    return Sought::Bounded;
                }
                let new = self.next_id();
                let deadline = job.deadline.min(now + ADDRESS_SPAN);
                self.start(new, job.purse, job.depth + 1, deadline, key, Waiter::Job(id));
                job.needs = Some(new);
                if let Some(sought) = self.jobs.get_mut(&new).filter(|_| job.trace.is_some()) {
                    sought.trace = Some(Vec::new());
                }
                job.note(|| format!("looks for {} {rtype}", name(server)));
                return Sought::Waits;
            }
        };
        let waiters = self.jobs.get(&needed).map(|other| &other.waiters[..]).unwrap_or_default();
        let waiting = waiters.iter().filter_map(|waiter| match waiter {
            Waiter::Job(id) => Some(id),
            Waiter::Ticket(_) | Waiter::Nobody => None,
        });
        if self.may_not_wait(job, waiters.len(), waiting) {
            return Sought::Crowded;
        }
        let Some(other) = self.jobs.get_mut(&needed) else { return Sought::Bounded };
        other.waiters.push(Waiter::Job(id));
        job.needs = Some(needed);
        job.note(|| format!("waits for {} {rtype}, which others look for", name(server)));
        Sought::Waits
    }

    /// True if `job` waits for `other`, be it through others.
    fn needs(&self, job: JobId, other: JobId) -> bool {
        let mut at = job;
        // Each waits for one other, and none for itself: a path visits each job once.
        for _ in 0..=self.jobs.len() {
            if at == other {
                return true;
            }
            match self.jobs.get(&at).and_then(|job| job.needs) {
                Some(next) => at = next,
                None => return false,
            }
        }
        true
    }

    fn send(
        &mut self,
        now: Moment,
        id: JobId,
        job: &mut Job,
        visit: &mut Visit,
        address: IpAddr,
        server: usize,
    ) -> Result<(), Failed> {
        let zone = &visit.cut.zone;
        let fruitless = self.purses.get(&job.purse).map_or(u8::MAX, |purse| purse.minimised);
        let total = label_count(&job.name);
        let shown = if visit.whole { total } else { next(&job.name, visit.known, fruitless) };
        let asked = Asked {
            zone: zone.clone(),
            name: suffix(&job.name, shown).into(),
            // A type that says nothing of what is wanted (RFC 9156 §2.1).
            rtype: if shown == total { job.key.rtype } else { RecordType::A },
            dnssec_ok: job.key.dnssec_ok,
        };
        // Many names below one cut need one referral. Who waited in vain asks for itself: else all would wait for each.
        if shown < total
            && !visit.followed
            && let Some(followers) = self.followers.get_mut(&asked)
            && followers.len() < ZONE_WAITING_MAX
        {
            visit.followed = true;
            followers.push(id);
            return Ok(());
        }
        if self.flights.len() >= EXCHANGES_MAX {
            self.waiting.push_back(id);
            job.queued = Some(Turn::Any);
            return Ok(());
        }
        let load = self.loads.get(zone).filter(|load| load.out >= ZONE_EXCHANGES_MAX);
        if load.is_some_and(|load| self.may_not_wait(job, load.waiting.len(), load.waiting.iter())) {
            let text = format!("too many questions wait for {}", name(zone));
            return Err(Failed { kind: Kind::Busy, error: ExtendedError::NOT_READY, text });
        }
        if let Some(load) = self.loads.get_mut(zone).filter(|load| load.out >= ZONE_EXCHANGES_MAX) {
            load.waiting.push_back(id);
            job.queued = Some(Turn::Zone(zone.clone()));
            return Ok(());
        }
        if shown < total {
            self.followers.entry(asked.clone()).or_default();
        }
        self.fly(now, id, job, query(visit, asked, address, server));
        Ok(())
    }

    /// True if there is no room where so many jobs wait, in all or for the job's client.
    fn may_not_wait<'j>(&self, job: &Job, len: usize, mut waiting: impl Iterator<Item = &'j JobId>) -> bool {
        let client_of = |job: &Job| self.purses.get(&job.purse).and_then(Purse::client);
        let is_own = |id: &&JobId| client_of(job) == self.jobs.get(id).and_then(client_of);
        len >= ZONE_WAITING_MAX
            || len >= ZONE_WAITING_OF_CLIENT_MAX
                && client_of(job).is_some()
                && waiting.by_ref().filter(is_own).count() >= ZONE_WAITING_OF_CLIENT_MAX
    }

    /// An answer is late: the same is asked of another server that was not tried yet, if there is one, and the first
    /// that answers counts. No packet more is sent for it than if the first had been silent.
    pub(super) fn hedge(&mut self, now: Moment, exchange: u64) {
        let Some(flight) = self.flights.get(&exchange) else { return };
        let (id, asked, first) = (flight.job, flight.asked.clone(), flight.exchange.to().ip());
        let load = self.loads.get(&asked.zone).map_or(0, |load| load.out);
        if self.flights.len() >= HEDGED_EXCHANGES_MAX || load >= ZONE_EXCHANGES_MAX {
            return;
        }
        let Some(mut job) = self.jobs.remove(&id) else { return };
        if let Some(mut visit) = job.visit.take_if(|_| job.late.is_none() && job.flight == Some(exchange)) {
            if let Some((address, server)) = self.choose_second(now, &job, &mut visit, first) {
                self.fly(now, id, &mut job, query(&visit, asked, address, server));
            }
            job.visit = Some(visit);
        }
        self.jobs.insert(id, job);
    }

    /// Sends a query, as a datagram or on a stream.
    pub(super) fn fly(&mut self, now: Moment, id: JobId, job: &mut Job, query: Query) {
        let Query { asked, address, server, stream, plain } = query;
        let known = self.memory.server(address);
        let edns = known.takes_edns(now) && !plain;
        let wants = Wants { dnssec_ok: asked.dnssec_ok && edns, checking_disabled: false };
        let to = SocketAddr::new(address, self.settings.port);
        let lot = self.draw.lot(known.repeats_case(now));
        let question = Question::new(&asked.name, 0, asked.rtype, wants);
        let exchange = Exchange::new(to, &question, Manner { recursive: false, edns }, &lot);
        if let Some(purse) = self.purses.get_mut(&job.purse) {
            purse.send(&asked.zone, job.key.aim == Aim::Address, address);
        }
        self.memory.change_server(address, |server| server.asked(now));
        self.loads.entry(asked.zone.clone()).or_default().out += 1;
        // A stream is made before it is used: more trips than one.
        let (usual, wait) =
            if stream { (known.usual() * 3, STREAM_WAIT) } else { (known.usual(), known.wait()) };
        let (late_at, until) = (now + usual, now + wait);
        let flight_id = self.next_id();
        self.timers.insert((until, Timer::Flight(flight_id)));
        if late_at < until {
            self.timers.insert((late_at, Timer::Late(flight_id)));
        }
        let (exchange_id, octets) = (flight_id, exchange.query().to_vec());
        self.outputs.push_back(match stream {
            true => Output::Stream { exchange: exchange_id, to, octets },
            false => Output::Send { exchange: exchange_id, to, octets },
        });
        // One of two at most is out: whoever sends has seen to it.
        job.late = job.late.or(job.flight.replace(flight_id));
        let short = asked.name != job.name;
        let flight =
            Flight { job: id, exchange, asked, server, sent: now, late_at, until, edns, stream, short };
        self.flights.insert(flight_id, flight);
    }

    /// Goes on at the cut that a referral made.
    pub(super) fn go_down(&mut self, job: &mut Job, cut: Arc<Cut>) {
        self.memory.put_cut(&cut);
        if !job.zones.contains(&cut.zone) {
            job.zones.push(cut.zone.clone());
        }
        job.visit = Some(Visit::new(cut));
    }
}

/// A query to one of the servers of the zone that is visited.
fn query(visit: &Visit, asked: Asked, address: IpAddr, server: usize) -> Query {
    let server = visit.cut.names.get(server).cloned().unwrap_or_else(|| Wire::from([0]));
    Query { asked, address, server, stream: false, plain: visit.plain.contains_key(&address) }
}
