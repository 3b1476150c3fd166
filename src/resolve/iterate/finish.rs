//! The end of a job: who waited for it goes on, and what it used is given back.

use crate::base::time::Moment;
use crate::resolve::body::ExtendedError;
use crate::resolve::iterate::bounds::FAILURE_SPAN_MIN;
use crate::resolve::iterate::cut::{address, name};
use crate::resolve::iterate::job::{Aim, Failed, Flight, Job, JobId, Key, Kind, Turn, Waiter};
use crate::resolve::iterate::reading::Piece;
use crate::resolve::iterate::{Iterate, Joined, Outcome, Output, Timer};
use crate::wire::message::Rcode;
use crate::wire::rtype::RecordType;
use std::time::Duration;

/// For how long an address is known at least: who asked for it must see it.
const ADDRESS_SECONDS_MIN: u32 = 1;

impl Iterate {
    /// The job has its answer.
    pub(super) fn succeed(&mut self, now: Moment, id: JobId, mut job: Job, rcode: Rcode) {
        let Piece { answer, authority, ttl, .. } = std::mem::take(&mut job.found);
        self.memory.forget_failure(&job.key);
        match job.key.aim {
            Aim::Client => {
                let zones = job.zones.iter().map(|zone| name(zone)).collect();
                let is_open = job.is_open;
                self.tell(&mut job, Outcome::Found { rcode, answer, authority, ttl, zones, is_open });
            }
            Aim::Address => {
                let of_type = |rtype: RecordType| answer.iter().filter(move |record| record.rtype == rtype);
                let rtype = job.key.rtype;
                let found =
                    of_type(rtype).filter_map(|record| address(record.rtype, &record.rdata)).collect();
                let ttl = Duration::from_secs(ttl.max(ADDRESS_SECONDS_MIN).into());
                self.memory.put_addresses(now, &job.key.name, rtype, found, ttl);
                if rcode == Rcode::NxDomain {
                    // A name that does not exist has no address of the other family either.
                    for rtype in [RecordType::A, RecordType::AAAA] {
                        self.memory.put_addresses(now, &job.key.name, rtype, Vec::new(), ttl);
                    }
                }
            }
            Aim::Priming => {}
        }
        self.leave(id, job, Kind::Final);
    }

    /// The job has none.
    pub(super) fn fail(&mut self, now: Moment, id: JobId, mut job: Job, failed: Failed) {
        let Failed { kind, error, text } = failed;
        match job.key.aim {
            Aim::Client => {
                // That nothing was left from before says nothing of the question; what else bounds it does.
                let is_poor = kind == Kind::Spent
                    && self
                        .purses
                        .get(&job.purse)
                        .is_some_and(|purse| purse.is_handed_on() && purse.is_worn());
                if kind != Kind::Busy && !is_poor {
                    self.memory.put_failure(now, job.key.clone(), error, &text);
                }
                // Where one client has no room another may have some.
                let is_own = is_poor || kind == Kind::Busy;
                let others = if is_own { self.take_joined(&mut job) } else { Vec::new() };
                let (key, is_traced) = (job.key.clone(), job.trace.is_some());
                self.tell(&mut job, Outcome::Failed { error, text, is_spent: is_poor });
                self.leave(id, job, kind);
                return self.start_for(key, others, is_traced);
            }
            Aim::Address if kind == Kind::Final => {
                let (name, rtype) = (&job.key.name, job.key.rtype);
                self.memory.put_addresses(now, name, rtype, Vec::new(), FAILURE_SPAN_MIN);
            }
            Aim::Address | Aim::Priming => {}
        }
        self.leave(id, job, kind);
    }

    /// The job's time is over.
    pub(super) fn expire(&mut self, now: Moment, id: JobId) {
        let Some(job) = self.jobs.remove(&id) else { return };
        let text = match &job.visit {
            Some(visit) => format!("not done in time, at {}: {}", name(&visit.cut.zone), visit.fault),
            None => "not done in time".to_owned(),
        };
        let failed = Failed { kind: Kind::Late, error: ExtendedError::NO_REACHABLE_AUTHORITY, text };
        self.fail(now, id, job, failed);
    }

    /// Those who wait for the job and have purses of their own.
    fn take_joined(&self, job: &mut Job) -> Vec<u64> {
        let mut others = Vec::new();
        job.waiters.retain(|waiter| match waiter {
            Waiter::Ticket(ticket) if self.joined.contains_key(ticket) => {
                others.push(*ticket);
                false
            }
            _ => true,
        });
        others
    }

    /// Asks a question anew for those who waited for somebody who could not pay for it, or had no room: the first of them
    /// pays now, and all are told in the time that it has left.
    fn start_for(&mut self, key: Key, tickets: Vec<u64>, is_traced: bool) {
        let mut tickets = tickets.into_iter();
        let Some((first, Joined { until, purse })) =
            tickets.next().and_then(|first| Some((first, self.joined.remove(&first)?)))
        else {
            return;
        };
        let id = self.next_id();
        self.purses.insert(id, purse);
        self.start(id, id, 0, until, key, Waiter::Ticket(first));
        if let Some(job) = self.jobs.get_mut(&id) {
            job.waiters.extend(tickets.map(Waiter::Ticket));
            job.trace = is_traced.then(|| vec!["asked anew: who asked before could not go on".to_owned()]);
        }
    }

    fn tell(&mut self, job: &mut Job, outcome: Outcome) {
        let trace = job.trace.take().unwrap_or_default();
        let spent = self.purses.get(&job.purse).cloned().unwrap_or_default();
        for waiter in &job.waiters {
            if let Waiter::Ticket(ticket) = *waiter {
                let (outcome, trace) = (outcome.clone(), trace.clone());
                let own = self.joined.remove(&ticket);
                let purse = own.as_ref().map_or(&spent, |own| &own.purse).hand_on();
                self.outputs.push_back(Output::Done { ticket, outcome, trace, purse });
            }
        }
    }

    /// Gives back what the job held; the jobs that waited for it go on.
    fn leave(&mut self, id: JobId, job: Job, kind: Kind) {
        for waiter in &job.waiters {
            let Waiter::Job(waiting) = waiter else { continue };
            let Some(other) = self.jobs.get_mut(waiting).filter(|other| other.needs == Some(id)) else {
                continue;
            };
            other.needs = None;
            // What was at an end may have been this one's means only.
            if let Some(visit) = other.visit.as_mut().filter(|_| kind != Kind::Final) {
                match (other.purse == job.purse, kind) {
                    (true, Kind::Busy) => visit.is_crowded = true,
                    (true, _) => visit.is_bounded = true,
                    (false, _) => drop(visit.sought.pop()),
                }
            }
            for line in job.trace.iter().flatten() {
                other.note(|| format!("  {line}"));
            }
            self.ready.push_back(*waiting);
        }
        self.release(id, job);
    }

    /// Gives back what the job held, and ends what only it waited for.
    fn release(&mut self, id: JobId, job: Job) {
        let mut leaving = Some((id, job));
        // Each round removes a job.
        while let Some((id, job)) = leaving.take() {
            self.by_key.remove(&job.key);
            self.timers.remove(&(job.deadline, Timer::Job(id)));
            if let Some(turn) = &job.turn {
                self.pass_turn(turn);
            }
            if let Some(purse) = self.purses.get_mut(&job.purse) {
                purse.jobs = purse.jobs.saturating_sub(1);
                if purse.jobs == 0 {
                    self.purses.remove(&job.purse);
                }
            }
            for flight in [job.flight, job.late].into_iter().flatten() {
                self.land(flight);
            }
            if let Some(needed) = job.needs
                && let Some(other) = self.jobs.get_mut(&needed)
            {
                other.waiters.retain(|waiter| *waiter != Waiter::Job(id));
                if other.waiters.is_empty() {
                    leaving = self.jobs.remove(&needed).map(|other| (needed, other));
                }
            }
        }
    }

    /// Ends an exchange; the next in turn at its zone, and the next of all, can go.
    pub(super) fn land(&mut self, id: u64) -> Option<Flight> {
        let flight = self.flights.remove(&id)?;
        self.timers.remove(&(flight.until, Timer::Flight(id)));
        self.timers.remove(&(flight.late_at, Timer::Late(id)));
        self.outputs.push_back(Output::Close { exchange: id });
        if let Some(load) = self.loads.get_mut(&flight.asked.zone) {
            load.out = load.out.saturating_sub(1);
        }
        self.pass_turn(&Turn::Zone(flight.asked.zone.clone()));
        self.pass_turn(&Turn::Any);
        // Where the same is still asked of another server, whoever follows goes on waiting for that.
        let is_twin = |other: u64| self.flights.get(&other).is_some_and(|other| other.asked == flight.asked);
        let job = self.jobs.get(&flight.job);
        if !job.is_some_and(|job| [job.flight, job.late].into_iter().flatten().any(is_twin)) {
            self.ready.extend(self.followers.remove(&flight.asked).unwrap_or_default());
        }
        Some(flight)
    }

    /// Lets the next go that waits for that turn. Whoever had one and did not use it passes it on, so that nobody waits
    /// where nothing is out.
    pub(super) fn pass_turn(&mut self, turn: &Turn) {
        let mut waiting = match turn {
            Turn::Zone(zone) => self.loads.get_mut(zone).map(|load| &mut load.waiting),
            Turn::Any => Some(&mut self.waiting),
        };
        while let Some(next) = waiting.as_mut().and_then(|waiting| waiting.pop_front()) {
            // Some have ended since, or wait elsewhere.
            if let Some(job) = self.jobs.get_mut(&next).filter(|job| job.queued.as_ref() == Some(turn)) {
                job.turn = job.queued.take();
                self.ready.push_back(next);
                break;
            }
        }
        if let Turn::Zone(zone) = turn
            && self.loads.get(zone).is_some_and(|load| load.out == 0 && load.waiting.is_empty())
        {
            self.loads.remove(zone);
        }
    }
}
