//! Keeping what has come, and answering anew who waited for it.

use super::{Anew, Front, HOPS_MAX, SPARE_MAX, SPARE_OCTETS_MAX, Waiter};
use crate::answer::{Outcome, Verdict};
use crate::base::metrics::WorkerCounters;
use crate::resolve::body::Body;
use crate::resolve::cache::{Life, Looked};
use crate::resolve::pending::Ticket;
use crate::worker::Desk;
use crate::worker::ends::Ends;
use crate::worker::resolver::finder::Finder;
use std::sync::Arc;

impl Front {
    pub(super) fn finder<'r>(&'r mut self, counters: &'r WorkerCounters, anew: Anew<'r>) -> Finder<'r> {
        Finder {
            cache: &self.cache,
            policy: &self.current,
            counters,
            now: anew.now,
            given: anew.given,
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
    pub(super) fn complete(&mut self, ticket: Ticket, body: &Body<'_>, ttl: u32, desk: &mut Desk, ends: &mut Ends<'_>) {
        let mut waiters = std::mem::take(&mut self.waiters);
        if let Some(asked) = self.pending.take(ticket, &mut waiters) {
            let question = asked.question();
            let stale_seconds = if body.is_failure() { 0 } else { self.current.stale_seconds };
            let life = Life { fresh_seconds: ttl, stale_seconds };
            // What was asked for elsewhere than it would be now is told and forgotten.
            let is_current = asked.since >= self.changed && Arc::ptr_eq(self.policy.load(), &self.current);
            if is_current && self.current.keeps {
                self.cache.put(&question, desk.now, life, body);
            }
            let anew = Anew { given: Some((question, *body)), ..Anew::at(desk.now) };
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

    /// Answers a query that waited. If something else is missing now, it waits for that.
    pub(super) fn answer(&mut self, mut waiter: Waiter, anew: Anew<'_>, desk: &mut Desk, ends: &mut Ends<'_>) {
        let mut reply = std::mem::take(&mut self.reply);
        let (counters, bounds) = (Arc::clone(&desk.counters), ends.bounds(&waiter.back));
        let bounds = (bounds.0, bounds.1, waiter.back.client());
        let mut finder = self.finder(&counters, anew);
        let outcome = desk.answer_anew(&waiter.message, bounds, &mut reply, Some(&mut finder));
        self.reply = reply;
        if !matches!(outcome, Some(Outcome { verdict: Verdict::Forward, .. })) {
            return self.send_off(waiter, outcome, desk, ends);
        }
        if waiter.hops >= HOPS_MAX {
            return self.fail(waiter, desk, ends);
        }
        waiter.hops += 1;
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
