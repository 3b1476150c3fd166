//! Taking questions further: sending, waiting, failing; and the probes.

use crate::base::time::Moment;
use crate::resolve::exchange::{Exchange, Manner};
use crate::resolve::forward::asked::{Asked, QUESTION_LIFE, STREAM_PATIENCE, Turn};
use crate::resolve::forward::flights::{Flight, Purpose};
use crate::resolve::forward::slab::Key;
use crate::resolve::forward::upstream::{HEDGE_DELAY_START, Upstream};
use crate::resolve::forward::{Forward, Pending};
use crate::resolve::question::{Question, Wants};
use crate::wire::rtype::RecordType;
use std::time::Duration;

/// Between two steps of one question: no clock is finer, and every loop over what is due ends.
const STEP_MIN: Duration = Duration::from_millis(1);
/// Lots drawn until one is not that of a query on its way: with a thousand of those to one address from one slot it
/// happens once in 64 that even one has to be drawn anew.
const LOTS_MAX: usize = 8;

impl Forward {
    /// Does what is due at that moment.
    pub fn handle_timeout(&mut self, now: Moment) {
        while let Some((_, index)) = self.agenda.first().filter(|(moment, _)| *moment <= now) {
            match self.asked.key(index) {
                Some(key) => self.step(now, key),
                None => self.agenda.remove(index),
            }
        }
        while let Some((key, sent)) = self.flights.oldest().filter(|(_, sent)| *sent + QUESTION_LIFE <= now) {
            let Some(flight) = self.land(key) else { break };
            if let Some(upstream) = self.upstreams.get_mut(usize::from(flight.upstream)) {
                upstream.timed_out(now, sent);
                self.probe_at = self.probe_at.min(upstream.probe_at);
            }
        }
        if self.probe_at <= now {
            self.probe(now);
        }
    }

    /// A question's moment has come: those that it waited for in vain are the worse for it, and others have their turn.
    fn step(&mut self, now: Moment, key: Key) {
        let Some(asked) = self.asked.get_mut(key) else { return };
        for candidate in asked.candidates_mut().iter_mut().filter(|candidate| candidate.is_awaited()) {
            let Some(upstream) = self.upstreams.get_mut(usize::from(candidate.upstream)) else { continue };
            let patience = if candidate.by_stream { STREAM_PATIENCE } else { upstream.usual_delay() };
            if !candidate.is_missed && candidate.sent + patience <= now {
                candidate.is_missed = true;
                upstream.missed(now);
                self.probe_at = self.probe_at.min(upstream.probe_at);
            }
        }
        if asked.stream.is_some_and(|begun| begun + STREAM_PATIENCE <= now) {
            asked.stream = None;
        }
        self.pursue(now, key);
    }

    /// Asks whose turn it is, or ends the question, and notes when to come back.
    pub(super) fn pursue(&mut self, now: Moment, key: Key) {
        let Some(asked) = self.asked.get(key) else { return };
        if asked.deadline <= now {
            return self.fail(key);
        }
        let mut earliest = now + STEP_MIN;
        if let Turn::Candidate(place, due) = asked.turn(now, &self.upstreams)
            && due <= now
        {
            earliest = now + self.send(now, key, place);
        }
        let Some(asked) = self.asked.get(key) else { return };
        let wake = match asked.turn(now, &self.upstreams) {
            Turn::Candidate(_, due) => due,
            Turn::Wait(until) => until,
            Turn::Over => return self.fail(key),
        };
        let wake =
            asked.stream.map_or(wake.max(earliest), |begun| wake.max(earliest).min(begun + STREAM_PATIENCE));
        self.agenda.set(key.index(), wake.max(now + STEP_MIN).min(asked.deadline));
    }

    /// Puts the question to that candidate; how long to wait before the next is asked.
    fn send(&mut self, now: Moment, key: Key, place: usize) -> Duration {
        let Some(asked) = self.asked.get_mut(key) else { return HEDGE_DELAY_START };
        let delay = asked.hedge_delay(&self.upstreams);
        let Some(candidate) = asked.candidates_mut().get_mut(place) else { return HEDGE_DELAY_START };
        candidate.is_urgent = false;
        let (index, mut by_stream, mut edns) = (candidate.upstream, candidate.by_stream, !candidate.plain);
        if let Some(upstream) = self.upstreams.get(usize::from(index)) {
            by_stream |= upstream.wants_streams(now);
            edns &= upstream.takes_edns(now);
        }
        if !self.launch(now, Purpose::Question(key), index, edns, by_stream) {
            return HEDGE_DELAY_START;
        }
        let Some(asked) = self.asked.get_mut(key) else { return HEDGE_DELAY_START };
        asked.packets += 1;
        if by_stream {
            asked.stream = Some(now);
        }
        if let Some(candidate) = asked.candidates_mut().get_mut(place) {
            candidate.packets += 1;
            (candidate.sent, candidate.by_stream) = (now, by_stream);
        }
        // A stream is made before it is used: more trips than one.
        if by_stream { (delay * 3).min(STREAM_PATIENCE) } else { delay }
    }

    /// Sends a query; false if the system had no lots to draw.
    fn launch(&mut self, now: Moment, purpose: Purpose, index: u16, edns: bool, by_stream: bool) -> bool {
        let Some(to) = self.upstreams.get(usize::from(index)).map(|upstream| upstream.address) else {
            return false;
        };
        let question = match purpose {
            Purpose::Question(key) => self.asked.get(key).map(Asked::question),
            Purpose::Probe => Some(Question::new(&[0], 0, RecordType::NS, Wants::default())),
        };
        let Some(question) = question else { return false };
        let port = match by_stream {
            true => None,
            false => match self.ports.take(&mut self.lots) {
                Some(port) => Some(port),
                None => return false,
            },
        };
        let mut lot = None;
        for _ in 0..LOTS_MAX {
            lot = self.lots.lot(question.name.len());
            // Two on their way to one address from one port must differ in more than the question.
            let is_taken = lot.zip(port).is_some_and(|(lot, port)| self.flights.has(port, to, lot.id));
            if !is_taken {
                break;
            }
            lot = None;
        }
        let Some(lot) = lot else {
            self.give_back(port);
            return false;
        };
        let exchange = Exchange::new(to, &question, Manner { recursive: true, edns }, &lot);
        if let Some((oldest, _)) = self.flights.oldest().filter(|_| self.flights.is_full()) {
            self.land(oldest);
        }
        let Some(flight) = self.flights.insert(Flight::new(exchange, purpose, now, index, port, edns)) else {
            self.give_back(port);
            return false;
        };
        self.outputs.push_back(Pending::Send(flight));
        if let Some(upstream) = self.upstreams.get_mut(usize::from(index)) {
            upstream.sent(now);
        }
        true
    }

    /// A query is over, whatever became of it.
    pub(super) fn land(&mut self, key: Key) -> Option<Flight> {
        let flight = self.flights.remove(key)?;
        self.give_back(flight.port);
        Some(flight)
    }

    fn give_back(&mut self, port: Option<u16>) {
        if let Some(port) = port.filter(|port| self.ports.give_back(*port)) {
            self.outputs.push_back(Pending::Renew(port));
        }
    }

    /// Those upstreams of its group that a new question was not put to rank better from one question to the next, so
    /// that they are tried again.
    pub(super) fn age_others(&mut self, key: Key) {
        let Some(asked) = self.asked.get(key) else { return };
        for candidate in asked.candidates().iter().filter(|candidate| candidate.packets == 0) {
            if let Some(upstream) = self.upstreams.get_mut(usize::from(candidate.upstream)) {
                upstream.passed_over();
            }
        }
    }

    fn fail(&mut self, key: Key) {
        if let Some(asked) = self.end(key) {
            self.outputs.push_back(Pending::Failed(asked.ticket, asked.error, asked.packets));
        }
    }

    /// Takes a question out. Its queries stay: their answers tell how far the upstreams are.
    pub(super) fn end(&mut self, key: Key) -> Option<Asked> {
        let asked = self.asked.remove(key)?;
        self.agenda.remove(key.index());
        Some(asked)
    }

    /// Asks those upstreams that are due whether they are there.
    fn probe(&mut self, now: Moment) {
        self.probe_at = Moment::NEVER;
        for index in 0..self.upstreams.len() {
            let lot = self.lots.below(Upstream::PROBE_LOTS).unwrap_or_default();
            let Some(upstream) = self.upstreams.get_mut(index) else { continue };
            let (is_due, edns) = (upstream.probes(now, lot), upstream.takes_edns(now));
            self.probe_at = self.probe_at.min(upstream.probe_at);
            if is_due {
                self.launch(now, Purpose::Probe, index as u16, edns, false);
            }
        }
    }
}
