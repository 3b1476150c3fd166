//! A zone, or what changed in it, on its way here: message by message, in the order of RFC 5936 §2.2 and RFC 1995 §4.
//!
//! ```text
//!                     ┌─ its serial is no later than ours ─► Current
//! Begin ─ SOA ─► One ─┼─ SOA of ours (IXFR) ─► Gone ─ SOA ─► Come ─ SOA ─┬─ the first one again ─► Steps
//!                     │                          ▲───────────────────────┴─ another
//!                     └─ another record, or the SOA again ─► Whole ... SOA ─► Whole
//! ```
//!
//! What cannot be is an error, and then nothing of it counts. All of it is bounded.

use crate::base::octets::{u16_at, u32_at};
use crate::base::time::WallSeconds;
use crate::transfer::message::is_answer_to;
use crate::transfer::tsig::client::{Exchange, Unproven};
use crate::wire::message::{AA, HEADER_OCTETS, Rcode, TC};
use crate::wire::name::Name;
use crate::wire::response::{RecordAt, pass_name};
use crate::wire::rtype::{Class, RecordType};
use crate::zone::Serial;
use crate::zone::history::Difference;
use crate::zone::plain;
use crate::zone::rdata::validate;
use crate::zone::sink::Record;
use std::fmt;
use std::sync::Arc;

/// What a transfer turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Came {
    /// The primary has nothing later than that.
    Current(Serial),
    /// The whole zone, as plain records.
    Whole(Vec<u8>),
    /// Steps from the version at hand.
    Steps(Vec<Arc<Difference>>),
}

/// Why a transfer is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// The primary says no, by this code.
    Code(u16),
    /// What it says cannot be.
    Malformed(String),
    /// It says that there is more than the message holds.
    Truncated,
    /// It is not proven that the primary says so.
    Unproven(Unproven),
    /// It is larger than any zone here may be.
    TooLarge(usize),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::Code(code) => match Rcode::ALL.iter().find(|rcode| **rcode as u16 == *code) {
                Some(rcode) => write!(f, "the primary answers {rcode}"),
                None => write!(f, "the primary answers with code {code}"),
            },
            Wrong::Malformed(what) => f.write_str(what),
            Wrong::Truncated => f.write_str("the primary's answer is truncated"),
            Wrong::Unproven(why) => why.fmt(f),
            Wrong::TooLarge(octets) => write!(f, "the transfer is larger than {octets} octets"),
        }
    }
}

fn malformed(what: impl Into<String>) -> Wrong {
    Wrong::Malformed(what.into())
}

/// A transfer that is awaited.
pub struct Incoming {
    /// What was asked, without its signature.
    asked: Vec<u8>,
    origin: Name,
    /// The version at hand, if changes are asked for.
    have: Option<Serial>,
    exchange: Option<Exchange>,
    state: State,
    octets_max: usize,
    octets: usize,
    /// The first SOA's serial and RDATA.
    newest: (Serial, Vec<u8>),
    /// Plain records: of the zone, or of the step at hand.
    run: Vec<u8>,
    steps: Vec<Arc<Difference>>,
    is_first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Begin,
    One,
    Whole,
    Gone { from: Serial },
    Come { from: Serial, to: Serial },
    Over,
}

impl Incoming {
    /// Of a question (`asked`) that was signed by `exchange`; at most so many octets of records are taken.
    pub fn new(
        asked: Vec<u8>,
        origin: &Name,
        have: Option<Serial>,
        exchange: Option<Exchange>,
        octets_max: usize,
    ) -> Incoming {
        Incoming {
            asked,
            origin: origin.clone(),
            have,
            exchange,
            state: State::Begin,
            octets_max,
            octets: 0,
            newest: (Serial(0), Vec::new()),
            run: Vec::new(),
            steps: Vec::new(),
            is_first: true,
        }
    }

    /// Takes the next message; what it was once it is complete.
    pub fn message(&mut self, message: &[u8], now: WallSeconds) -> Result<Option<Came>, Wrong> {
        if let Some(exchange) = &mut self.exchange {
            exchange.heard(message, now).map_err(Wrong::Unproven)?;
        }
        let mut at = self.head(message)?;
        for _ in 0..u16_at(message, 6).unwrap_or_default() {
            let Some((record, end)) = RecordAt::read(message, at) else {
                return Err(malformed("a record of the transfer is malformed"));
            };
            at = end;
            self.record(&record)?;
        }
        if self.state == State::One && self.is_current() {
            self.state = State::Over;
        }
        if self.state != State::Over {
            return Ok(None);
        }
        if let Some(exchange) = &self.exchange {
            exchange.finish().map_err(Wrong::Unproven)?;
        }
        let run = std::mem::take(&mut self.run);
        Ok(Some(match () {
            () if self.is_current() => Came::Current(self.newest.0),
            () if !self.steps.is_empty() => Came::Steps(std::mem::take(&mut self.steps)),
            () => Came::Whole(run),
        }))
    }

    /// Checks the head and the question; where the answer section begins.
    fn head(&mut self, message: &[u8]) -> Result<usize, Wrong> {
        let flags = u16_at(message, 2).ok_or_else(|| malformed("a message of the transfer has no header"))?;
        let is_first = std::mem::replace(&mut self.is_first, false);
        let same_id = u16_at(message, 0) == u16_at(&self.asked, 0) && flags & 0xf800 == 0x8000;
        if !same_id {
            return Err(malformed("a message is no answer to what was asked"));
        }
        if flags & 0x0f != 0 {
            return Err(Wrong::Code(flags & 0x0f));
        }
        if flags & TC != 0 {
            return Err(malformed("a message over TCP is truncated"));
        }
        match u16_at(message, 4) {
            // RFC 5936 §2.2.1: the question stands in the first message, and may stand in later ones.
            Some(0) if !is_first => Ok(HEADER_OCTETS),
            Some(1) if is_answer_to(&self.asked, message) => {
                let end = pass_name(message, HEADER_OCTETS).map(|end| end + 4);
                end.ok_or_else(|| malformed("a message's question is malformed"))
            }
            _ => Err(malformed("a message answers another question")),
        }
    }

    fn is_current(&self) -> bool {
        self.have.is_some_and(|have| !have.is_before(self.newest.0))
    }

    fn record(&mut self, record: &RecordAt<'_>) -> Result<(), Wrong> {
        let (owner, mut rdata) = (record.owner(), Vec::new());
        record.write_rdata(&mut rdata);
        if record.class != Class::IN || record.rtype.is_meta() {
            return Err(malformed(format!(
                "{owner} {} {} is no record of a zone",
                record.class, record.rtype
            )));
        }
        validate(record.rtype, &rdata)
            .map_err(|why| malformed(format!("{owner} {}: {why}", record.rtype)))?;
        self.octets += owner.as_wire().len() + 10 + rdata.len();
        if self.octets > self.octets_max {
            return Err(Wrong::TooLarge(self.octets_max));
        }
        let soa = (record.rtype == RecordType::SOA).then(|| serial_of(&rdata));
        if soa.is_some() && owner != self.origin {
            return Err(malformed(format!("an SOA of {owner} in a transfer of {}", self.origin)));
        }
        let plain = Record { owner: owner.as_wire(), rtype: record.rtype, ttl: record.ttl, rdata: &rdata };
        match (self.state, soa) {
            (State::Begin, Some(serial)) => {
                plain::write(&mut self.run, &plain);
                self.newest = (serial, rdata);
                self.state = State::One;
            }
            (State::Begin, None) => return Err(malformed("the transfer does not begin with an SOA")),
            (State::One, Some(serial)) if self.have == Some(serial) && serial != self.newest.0 => {
                self.run.clear();
                plain::write(&mut self.run, &plain);
                self.state = State::Gone { from: serial };
            }
            (State::One | State::Whole, Some(_)) => self.end(&rdata)?,
            (State::One | State::Whole, None) => {
                plain::write(&mut self.run, &plain);
                self.state = State::Whole;
            }
            (State::Gone { .. } | State::Come { .. }, None) => plain::write(&mut self.run, &plain),
            (State::Gone { from }, Some(to)) => {
                plain::write(&mut self.run, &plain);
                self.state = State::Come { from, to };
            }
            (State::Come { from, to }, Some(serial)) => {
                if serial != to || !from.is_before(to) {
                    return Err(malformed(format!(
                        "a step leads to serial {}, the next begins at {}",
                        to.0, serial.0
                    )));
                }
                let records = std::mem::take(&mut self.run);
                self.steps.push(Arc::new(Difference::new(from, to, records)));
                match serial == self.newest.0 {
                    true => self.end(&rdata)?,
                    false => {
                        plain::write(&mut self.run, &plain);
                        self.state = State::Gone { from: serial };
                    }
                }
            }
            (State::Over, _) => return Err(malformed("there are records behind the last SOA")),
        }
        Ok(())
    }

    /// The SOA that ends it has to be the one that began it.
    fn end(&mut self, rdata: &[u8]) -> Result<(), Wrong> {
        if serial_of(rdata) != self.newest.0 || rdata.len() != self.newest.1.len() {
            return Err(malformed("the transfer ends with another SOA than it began with"));
        }
        self.state = State::Over;
        Ok(())
    }
}

/// The serial in the RDATA of an SOA.
pub fn serial_of(rdata: &[u8]) -> Serial {
    Serial(rdata.len().checked_sub(20).and_then(|at| u32_at(rdata, at)).unwrap_or_default())
}

/// The serial that an answer to a question for the SOA tells. One without authority tells none: it may come of a cache, and a
/// version counts as the newest only by the word of who has the zone (RFC 1034 §4.3.5).
pub fn soa_answer(asked: &[u8], message: &[u8]) -> Result<Serial, Wrong> {
    if !is_answer_to(asked, message) {
        return Err(malformed("a message is no answer to what was asked"));
    }
    match u16_at(message, 2).unwrap_or_default() {
        flags if flags & 0x0f != 0 => return Err(Wrong::Code(flags & 0x0f)),
        flags if flags & TC != 0 => return Err(Wrong::Truncated),
        flags if flags & AA == 0 => return Err(malformed("the primary answers without authority")),
        _ => {}
    }
    let serial = crate::wire::response::answer_soa(message);
    serial.map(Serial).ok_or_else(|| malformed("the primary does not tell the SOA"))
}

#[cfg(test)]
mod tests;
