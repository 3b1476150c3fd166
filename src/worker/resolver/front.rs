//! Keeping what has come, and answering anew who waited for it.

use super::{
    Anew, Front, GIVEN_OCTETS_MAX, HOPS_MAX, SPARE_MAX, SPARE_OCTETS_MAX, WAIT, WAIT_FORWARDED, WAIT_TICK,
    Waiter,
};
use crate::answer::{Outcome, Verdict};
use crate::base::metrics::WorkerCounters;
use crate::base::time::Moment;
use crate::resolve::body::{Body, ExtendedError};
use crate::resolve::cache::{Life, Looked};
use crate::resolve::pending::Ticket;
use crate::resolve::policy::Route;
use crate::resolve::question::Question;
use crate::worker::Desk;
use crate::worker::ends::Ends;
use crate::worker::resolver::finder::Finder;
use crate::worker::resolver::waiter::Given;
use std::cmp::Reverse;
use std::sync::Arc;

impl Front {
    pub(super) fn finder<'r>(
        &'r mut self,
        counters: &'r WorkerCounters,
        anew: Anew<'r>,
        earlier: &'r [Given],
    ) -> Finder<'r> {
        Finder {
            cache: &self.cache,
            policy: &self.current,
            counters,
            now: anew.now,
            given: anew.given,
            earlier,
            by: anew.by,
            impatient: anew.impatient,
            missing: &mut self.missing,
            refresh: false,
            room: &mut self.room,
            rdata: &mut self.rdata,
        }
    }

    /// Has what the finder has just missed asked for.
    pub(super) fn arrive(&mut self, waiter: Option<Waiter>) {
        let spare = self.spare_missing.pop().unwrap_or_default();
        self.arrivals.push((waiter, std::mem::replace(&mut self.missing, spare)));
    }

    /// Keeps what came of a question, for `ttl` seconds (0: not at all), and answers those who waited for it.
    pub(super) fn complete(
        &mut self,
        ticket: Ticket,
        body: &Body<'_>,
        ttl: u32,
        desk: &mut Desk,
        ends: &mut Ends<'_>,
    ) {
        let mut waiters = std::mem::take(&mut self.waiters);
        if let Some(asked) = self.pending.take(ticket, &mut waiters) {
            let question = asked.question();
            let stale_seconds = if body.is_failure() { 0 } else { self.current.stale_seconds };
            let life = Life { fresh_seconds: ttl, stale_seconds };
            // What was asked for elsewhere than it would be now is told and forgotten; the epoch first, for a reload that
            // comes between this and the cache.
            let epoch = self.cache.epoch();
            let is_current = asked.since >= self.changed && Arc::ptr_eq(self.policy.load(), &self.current);
            let is_kept =
                is_current && self.current.keeps && self.cache.put_in(epoch, &question, desk.now, life, body);
            let anew = Anew { given: Some((question, *body)), is_kept, ..Anew::at(desk.now) };
            waiters.drain(..).for_each(|waiter| self.answer(waiter, anew, desk, ends));
            self.pending.give_back(asked);
        }
        self.waiters = waiters;
    }

    /// Answers those whose patience is over with what there is, if there is something.
    pub(super) fn appease(&mut self, ticket: Ticket, desk: &mut Desk, ends: &mut Ends<'_>) {
        let Some(question) = self.pending.question(ticket) else { return };
        if !matches!(self.cache.look(&question, desk.now, &mut self.room), Looked::Stale(..)) {
            return;
        }
        let mut waiters = std::mem::take(&mut self.waiters);
        self.pending.take_waiters(ticket, &mut waiters);
        let anew = Anew { impatient: true, ..Anew::at(desk.now) };
        waiters.drain(..).for_each(|waiter| self.answer(waiter, anew, desk, ends));
        self.waiters = waiters;
    }

    /// Until when a query may wait that came at that moment, if it waits for that question.
    pub(super) fn end_of_wait(&self, since: Moment, question: &Question<'_>) -> Moment {
        let wait = match self.current.route(question.name, question.rtype) {
            Route::Forward(_) => WAIT_FORWARDED,
            Route::Iterate | Route::Refuse => WAIT,
        };
        let (end, tick) = ((since + wait).as_micros(), WAIT_TICK.as_micros() as u64);
        Moment::from_micros(end - end % tick)
    }

    /// Notes that a wait for that question ends at that moment.
    pub(super) fn note_deadline(&mut self, until: Moment, ticket: Ticket) {
        let deadline = (until, ticket.number());
        if std::mem::replace(&mut self.last_deadline, deadline) != deadline {
            self.deadlines.push(Reverse(deadline));
        }
    }

    /// When [`Front::end_waits`] has something to do.
    pub(super) fn next_deadline(&self) -> Moment {
        self.deadlines.peek().map_or(Moment::NEVER, |Reverse((at, _))| *at)
    }

    /// Answers those who have waited long enough, for one thing and another.
    pub(super) fn end_waits(&mut self, desk: &mut Desk, ends: &mut Ends<'_>) {
        let now = desk.now;
        while self.next_deadline() <= now
            && let Some(Reverse((_, ticket))) = self.deadlines.pop()
        {
            let ticket = Ticket::new(ticket);
            let Some(question) = self.pending.question(ticket) else { continue };
            let mut missing = self.spare_missing.pop().unwrap_or_default();
            missing.note(&question);
            let mut waiters = std::mem::take(&mut self.waiters);
            let is_over = |waiter: &Waiter| waiter.until <= now;
            self.pending.take_those(ticket, is_over, &mut waiters);
            for waiter in waiters.drain(..) {
                self.give_up(waiter, &missing.question(), desk, ends);
            }
            self.waiters = waiters;
            self.spare_missing.push(missing);
        }
    }

    /// Answers a query that has waited long enough for that question, with what there is.
    pub(super) fn give_up(
        &mut self,
        waiter: Waiter,
        question: &Question<'_>,
        desk: &mut Desk,
        ends: &mut Ends<'_>,
    ) {
        let given = Some((*question, Body::failure(Some(ExtendedError::NO_REACHABLE_AUTHORITY))));
        self.answer(waiter, Anew { given, impatient: true, ..Anew::at(desk.now) }, desk, ends);
    }

    /// Answers a query that waited. If something else is missing now, it waits for that.
    pub(super) fn answer(
        &mut self,
        mut waiter: Waiter,
        anew: Anew<'_>,
        desk: &mut Desk,
        ends: &mut Ends<'_>,
    ) {
        let mut reply = std::mem::take(&mut self.reply);
        let (counters, bounds) = (Arc::clone(&desk.counters), ends.bounds(&waiter.back));
        let bounds = (bounds.0, bounds.1, waiter.back.client());
        let mut finder = self.finder(&counters, anew, &waiter.given);
        let outcome = desk.answer_anew(&waiter.message, bounds, &mut reply, Some(&mut finder));
        self.reply = reply;
        if !matches!(outcome, Some(Outcome { verdict: Verdict::Forward, .. })) {
            return self.send_off(waiter, outcome, desk, ends);
        }
        if waiter.hops >= HOPS_MAX {
            return self.fail(waiter, desk, ends);
        }
        waiter.hops += 1;
        if let Some((question, body)) = anew.given.filter(|(_, body)| !anew.is_kept && !body.is_failure())
            && body.octets.len() <= GIVEN_OCTETS_MAX
        {
            waiter.given.push(Given::new(&question, &body));
        }
        self.arrive(Some(waiter));
    }

    /// Answers a query with a failure of this server.
    pub(super) fn fail(&mut self, waiter: Waiter, desk: &mut Desk, ends: &mut Ends<'_>) {
        let transport = ends.bounds(&waiter.back).1;
        let outcome = desk.fail(&waiter.message, transport, &mut self.reply);
        self.send_off(waiter, outcome, desk, ends);
    }

    /// Sends what became of a query, which stands in `reply`.
    fn send_off(&mut self, waiter: Waiter, outcome: Option<Outcome>, desk: &Desk, ends: &mut Ends<'_>) {
        match outcome.map(|outcome| outcome.verdict) {
            Some(Verdict::Reply(len)) => {
                ends.send(&waiter.back, self.reply.get(..len).unwrap_or_default(), desk);
            }
            Some(Verdict::Drop | Verdict::Forward | Verdict::Transfer) | None => ends.drop(&waiter.back),
        }
        desk.counters.took(1, desk.now.since(waiter.since));
        if self.spare.len() < SPARE_MAX && waiter.message.capacity() <= SPARE_OCTETS_MAX {
            self.spare.push(waiter.message);
        }
    }
}
