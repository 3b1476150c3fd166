//! What comes back: answers, failures, what is to be asked again in another manner, and what is none of ours.

use crate::base::octets::u16_at;
use crate::base::time::Moment;
use crate::resolve::body::ExtendedError;
use crate::resolve::exchange::Heard;
use crate::resolve::forward::asked::{Asked, PACKETS_EACH_MAX};
use crate::resolve::forward::flights::{Flight, Purpose};
use crate::resolve::forward::slab::Key;
use crate::resolve::forward::{Forward, Found, QueryId, StreamId};
use crate::resolve::harvest::harvest;
use crate::wire::message::Rcode;
use crate::wire::reply::Section;
use crate::wire::response::Response;
use crate::wire::rtype::RecordType;
use std::net::SocketAddr;

/// The option that says why an answer is no better (RFC 8914 §2).
const OPTION_EXTENDED_ERROR: u16 = 15;

impl Forward {
    /// Takes a datagram that came to the socket in that slot.
    pub fn handle_datagram(&mut self, now: Moment, port: u16, from: SocketAddr, message: &[u8]) {
        match self.flights.hear(port, from, message) {
            Some((key, Heard::Answer(response))) => self.hear(now, key, &response),
            Some((key, Heard::OtherCase)) => self.hear_other_case(now, key),
            Some((key, Heard::NotUnderstood)) => self.hear_header(now, key),
            Some((_, Heard::Nothing)) | None => self.mismatched.add(1),
        }
    }

    /// Takes what came of a query over a stream: the message, or that there is none. A second word on the same stream
    /// is not heard.
    pub fn handle_stream(&mut self, now: Moment, stream: StreamId, outcome: Result<&[u8], ()>) {
        let StreamId(key) = stream;
        let Some(flight) = self.flights.get(key).filter(|flight| flight.port.is_none()) else { return };
        let heard = outcome.map(|message| (message, flight.exchange.hear(flight.exchange.to(), message)));
        let response = match heard {
            Ok((_, Heard::Answer(response))) => Some(response),
            // Nobody else can speak on a stream: its server just does not repeat case.
            Ok((message, Heard::OtherCase)) => Response::read(message),
            Ok((_, Heard::NotUnderstood)) => return self.hear_header(now, key),
            Ok((_, Heard::Nothing)) | Err(()) => None,
        };
        if let Some(response) = response.filter(|response| !response.is_truncated()) {
            return self.hear(now, key, &response);
        }
        let Some(flight) = self.land(key) else { return };
        if let Some(upstream) = self.upstreams.get_mut(usize::from(flight.upstream)) {
            upstream.counters.failures.add(1);
            upstream.worsen();
        }
        let Purpose::Question(key) = flight.purpose else { return };
        self.end_stream(key, &flight);
        let Some(candidate) = self.asked.get_mut(key).and_then(|asked| asked.candidate_mut(flight.upstream))
        else {
            return;
        };
        // What made it doubted may have been another's: its own answer may come yet.
        (candidate.has_failed, candidate.by_stream) = (!candidate.is_doubted, false);
        self.pursue(now, key);
    }

    /// The system would not send a query: nothing will come of it, and whose turn is next is asked at once.
    pub fn handle_unsent(&mut self, now: Moment, query: QueryId) {
        let Some(flight) = self.land(query.0) else { return };
        let Some(upstream) = self.upstreams.get_mut(usize::from(flight.upstream)) else { return };
        upstream.counters.failures.add(1);
        // What a probe meets is counted when the next one is due.
        let Purpose::Question(key) = flight.purpose else { return };
        upstream.missed(now);
        self.probe_at = self.probe_at.min(upstream.probe_at);
        let Some(candidate) = self.asked.get_mut(key).and_then(|asked| asked.candidate_mut(flight.upstream))
        else {
            return;
        };
        // The network may be back in a moment; but there are no more packets than for one that is silent.
        (candidate.is_missed, candidate.has_failed) = (true, candidate.packets >= PACKETS_EACH_MAX);
        self.pursue(now, key);
    }

    fn end_stream(&mut self, key: Key, flight: &Flight) {
        if let Some(asked) = self.asked.get_mut(key)
            && flight.port.is_none()
            && asked.stream == Some(flight.sent)
        {
            asked.stream = None;
        }
    }

    fn hear_other_case(&mut self, now: Moment, key: Key) {
        let Some(flight) = self.flights.get(key) else { return };
        let (index, purpose) = (flight.upstream, flight.purpose);
        let Some(upstream) = self.upstreams.get_mut(usize::from(index)) else { return };
        upstream.said_in_other_case(now);
        let Purpose::Question(key) = purpose else { return };
        let Some(asked) = self.asked.get_mut(key) else { return };
        let may = asked.has_packets_for(index);
        if let Some(candidate) = asked.candidate_mut(index).filter(|candidate| may && !candidate.is_doubted) {
            (candidate.is_doubted, candidate.is_urgent, candidate.by_stream) = (true, true, true);
            self.pursue(now, key);
        }
    }

    /// A header came without a question, of an upstream that does not understand EDNS or of somebody who guesses: it is
    /// asked again without.
    fn hear_header(&mut self, now: Moment, key: Key) {
        let Some(flight) = self.land(key) else { return };
        if let Purpose::Question(key) = flight.purpose {
            self.end_stream(key, &flight);
        }
        let Some(upstream) = self.upstreams.get_mut(usize::from(flight.upstream)) else { return };
        upstream.heard(now, None);
        let Purpose::Question(key) = flight.purpose else { return };
        let Some(asked) = self.asked.get_mut(key) else { return };
        let may = asked.has_packets_for(flight.upstream);
        let Some(candidate) = asked.candidate_mut(flight.upstream).filter(|candidate| !candidate.plain)
        else {
            return;
        };
        (candidate.is_urgent, candidate.plain, candidate.may_be_guess) = (may, true, true);
        candidate.has_failed |= !may;
        self.pursue(now, key);
    }

    /// Takes an answer to a query that is on its way.
    fn hear(&mut self, now: Moment, key: Key, response: &Response<'_>) {
        let Some(flight) = self.land(key) else { return };
        if let Purpose::Question(key) = flight.purpose {
            self.end_stream(key, &flight);
        }
        let Some(upstream) = self.upstreams.get_mut(usize::from(flight.upstream)) else { return };
        let is_stream = flight.port.is_none();
        let says = matches!(response.rcode(), 0 | 3 | 6);
        // How fast somebody refuses tells nothing.
        upstream.heard(now, (says && !is_stream).then(|| now - flight.sent));
        if !is_stream {
            upstream.said_in_same_case();
        }
        let Purpose::Question(key) = flight.purpose else { return };
        let Some(asked) = self.asked.get_mut(key) else { return };
        let may = asked.has_packets_for(flight.upstream);
        let Some(candidate) = asked.candidate_mut(flight.upstream) else { return };
        if response.is_truncated() && !is_stream {
            (candidate.is_urgent, candidate.by_stream) = (may, true);
            candidate.has_failed |= !may;
            return self.pursue(now, key);
        }
        let lacks_edns = [Rcode::FormErr as u16, Rcode::NotImp as u16].contains(&response.rcode());
        if lacks_edns && flight.edns && candidate.plain {
            // It was asked without already.
            return;
        }
        if lacks_edns && flight.edns && may {
            (candidate.is_urgent, candidate.plain) = (true, true);
            return self.pursue(now, key);
        }
        let was_plain = candidate.plain && !candidate.may_be_guess && !flight.edns;
        let found = harvest(&asked.question(), response, self.caps, &mut self.writer, &mut self.scratch);
        match found {
            Some(harvest) => {
                if was_plain {
                    upstream.knows_no_edns(now);
                }
                let Some(asked) = self.end(key) else { return };
                let (ticket, upstream, packets) = (asked.ticket, flight.exchange.to(), asked.packets);
                self.found = Some(Found { ticket, harvest, upstream, packets });
                for failed in asked.candidates().iter().filter(|candidate| candidate.has_failed) {
                    // It failed where another did not.
                    if let Some(upstream) = self.upstreams.get_mut(usize::from(failed.upstream)) {
                        upstream.worsen();
                    }
                }
            }
            None => {
                upstream.counters.failures.add(1);
                fail_candidate(asked, flight.upstream, response);
                self.pursue(now, key);
            }
        }
    }
}

/// What an upstream said was no answer.
fn fail_candidate(asked: &mut Asked, upstream: u16, response: &Response<'_>) {
    // The first reason that anybody gives is the one to tell.
    if asked.error.is_none_or(|error| error == ExtendedError::NO_REACHABLE_AUTHORITY) {
        asked.error = extended_error(response);
    }
    if let Some(candidate) = asked.candidate_mut(upstream) {
        candidate.has_failed = true;
    }
}

/// The extended error in a response (RFC 8914 §2).
fn extended_error(response: &Response<'_>) -> Option<ExtendedError> {
    let opt = response.records(Section::Additional).find(|record| record.rtype == RecordType::OPT)?;
    let mut options = opt.rdata();
    while let (Some(code), Some(len)) = (u16_at(options, 0), u16_at(options, 2)) {
        if code == OPTION_EXTENDED_ERROR {
            return u16_at(options, 4).map(ExtendedError);
        }
        options = options.get(4 + usize::from(len)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::question::{Question, Wants};
    use crate::resolve::script_tests::message;

    #[test]
    fn an_extended_error_is_found_among_the_options_and_none_where_they_are_cut_short() {
        let question = Question::new(b"\x01a\0", 0, RecordType::A, Wants::default());
        let error = |options: &[u8]| {
            let mut message = message(&question, 2, &[], &[]);
            message[11] = 1;
            message.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, options.len() as u8]);
            message.extend_from_slice(options);
            extended_error(&Response::read(&message).unwrap())
        };
        assert_eq!(error(b"\0\x03\0\x01x\0\x0f\0\x03\0\x06!"), Some(ExtendedError::DNSSEC_BOGUS));
        assert_eq!(error(b""), None);
        assert_eq!(error(b"\0\x03\0\x09x"), None);
        assert_eq!(error(b"\0\x0f\0\x02"), None);
    }
}
