//! A zone, or what changed in it, on its way to another server: AXFR (RFC 5936) and IXFR (RFC 1995), message by message
//! out of one immutable snapshot, which it holds until it ends.
//!
//! ```text
//! Whole    SOA │ every set, node by node │ SOA
//! Steps    SOA │ old SOA, gone, new SOA, come │ old SOA, ... │ SOA
//! Current  SOA
//! ```

use crate::base::limits::MESSAGE_OCTETS_MAX;
use crate::base::time::WallSeconds;
use crate::catalog::snapshot::{Snapshot, ZoneNumber};
use crate::transfer::tsig::server::Session;
use crate::wire::page::Page;
use crate::wire::query::{Query, Shape};
use crate::wire::reply::Full;
use crate::wire::rtype::RecordType;
use crate::zone::history::Difference;
use crate::zone::plain::{self, Unsealer};
use crate::zone::sink::Record;
use crate::zone::store::{Cursor, Node};
use crate::zone::{Serial, Zone};
use std::sync::Arc;

/// Octets of a message, unless one record needs more: pointers reach no further.
const PAGE_OCTETS: usize = 16 << 10;
/// Octets of a set that is copied as it was sealed; a larger one goes record by record, and may be spread over messages.
const SEALED_OCTETS_MAX: usize = 8 << 10;

/// A transfer under way.
pub struct Outgoing {
    snapshot: Arc<Snapshot>,
    number: ZoneNumber,
    /// Header and question as they came.
    question: Box<[u8]>,
    shape: Shape,
    stage: Stage,
    session: Option<Session>,
    unsealer: Unsealer,
    /// Messages and octets so far.
    sent: (u64, u64),
}

enum Stage {
    /// The first SOA.
    Begin(Body),
    Body(Body),
    /// The last SOA.
    End,
    Over,
}

#[derive(Clone)]
enum Body {
    /// Nothing has changed for who asks.
    Current,
    /// All of it, from that place on: so many sets of the node there, and so many records of the next, are sent.
    Whole { at: Cursor, sets: usize, records: usize },
    /// These steps, from the octet `at` of that step on.
    Steps { steps: Arc<[Arc<Difference>]>, step: usize, at: usize },
}

impl Outgoing {
    /// Begins the transfer that `query` asks for. `have`: the version at hand, of who asks for changes (IXFR).
    pub fn begin(
        snapshot: Arc<Snapshot>,
        number: ZoneNumber,
        query: &Query<'_>,
        shape: Shape,
        have: Option<Serial>,
        session: Option<Session>,
    ) -> Option<Outgoing> {
        let zone = snapshot.entry(number)?.content()?;
        let steps = have.and_then(|serial| zone.history().since(serial));
        let body = match (have, steps) {
            // Who has a later version than ours has nothing to learn here (RFC 1995 §2).
            (Some(serial), _) if serial == zone.serial() || zone.serial().is_before(serial) => Body::Current,
            (_, Some(steps)) => Body::Steps { steps: steps.into(), step: 0, at: 0 },
            (_, None) => Body::Whole { at: Cursor::default(), sets: 0, records: 0 },
        };
        Some(Outgoing {
            number,
            question: query.header_and_question().into(),
            shape,
            stage: Stage::Begin(body),
            session,
            unsealer: Unsealer::default(),
            sent: (0, 0),
            snapshot,
        })
    }

    /// True once every message was made.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Messages and octets so far.
    pub fn sent(&self) -> (u64, u64) {
        self.sent
    }

    /// Writes the next message; its octets. `None` if it is over, or cannot go on: then the connection is to be closed,
    /// which tells the other side that something is missing.
    pub fn next(&mut self, buffer: &mut [u8], now: WallSeconds) -> Option<usize> {
        let Outgoing { snapshot, number, question, shape, stage, session, unsealer, sent } = self;
        if matches!(stage, Stage::Over) {
            return None;
        }
        let zone = snapshot.entry(*number)?.content()?;
        let room = buffer.len().min(MESSAGE_OCTETS_MAX) - session.as_ref().map_or(0, Session::octets);
        let query = shape.of(question);
        let mut page = Page::begin(buffer, &query, PAGE_OCTETS.min(room));
        while !matches!(stage, Stage::Over) {
            let filled = fill(stage, zone, unsealer, &mut page);
            match filled {
                Ok(()) => {}
                // One record that is larger than usual messages has one of its own.
                Err(Full) if page.is_empty() => {
                    page.widen(room);
                    fill_one(stage, zone, unsealer, &mut page)?;
                    break;
                }
                Err(Full) => break,
            }
        }
        let len = page.finish();
        let len = match session {
            Some(session) => session.sign(buffer, len, now)?,
            None => len,
        };
        *sent = (sent.0 + 1, sent.1 + len as u64);
        Some(len)
    }
}

/// Adds a large record to a message that is empty and as wide as any.
fn fill_one(stage: &mut Stage, zone: &Zone, unsealer: &mut Unsealer, page: &mut Page<'_>) -> Option<()> {
    match fill(stage, zone, unsealer, page) {
        Err(Full) if page.is_empty() => None,
        Ok(()) | Err(Full) => Some(()),
    }
}

/// Adds what comes next, until a stage ends or the message is full.
fn fill(stage: &mut Stage, zone: &Zone, unsealer: &mut Unsealer, page: &mut Page<'_>) -> Result<(), Full> {
    match stage {
        Stage::Begin(body) => {
            soa(zone, page)?;
            *stage = match body {
                Body::Current => Stage::Over,
                body @ (Body::Whole { .. } | Body::Steps { .. }) => Stage::Body(body.clone()),
            };
        }
        Stage::Body(Body::Whole { at, sets, records }) => {
            while let Some((node, behind)) = zone.next_node(*at) {
                page.turn();
                whole_node(zone, &node, (sets, records), unsealer, page)?;
                (*at, *sets, *records) = (behind, 0, 0);
            }
            *stage = Stage::End;
        }
        Stage::Body(Body::Steps { steps, step, at }) => {
            while let Some(difference) = steps.get(*step) {
                while let Some((record, len)) =
                    plain::first(difference.records().get(*at..).unwrap_or_default())
                {
                    add(&record, page)?;
                    *at += len;
                }
                (*step, *at) = (*step + 1, 0);
            }
            *stage = Stage::End;
        }
        Stage::Body(Body::Current) => *stage = Stage::Over,
        Stage::End => {
            page.turn();
            soa(zone, page)?;
            *stage = Stage::Over;
        }
        Stage::Over => {}
    }
    Ok(())
}

fn soa(zone: &Zone, page: &mut Page<'_>) -> Result<(), Full> {
    match zone.apex().rrset(RecordType::SOA) {
        Some(set) => page.set(&[], &set.sealed()),
        // Every sealed zone has one.
        None => Ok(()),
    }
}

fn add(record: &Record<'_>, page: &mut Page<'_>) -> Result<(), Full> {
    page.record(record.owner, (record.rtype, record.ttl), record.rdata)
}

/// Adds the sets of a node but the SOA, which stands at both ends; the first `sets`, and `records` of the next, are
/// sent already.
fn whole_node(
    zone: &Zone,
    node: &Node<'_>,
    (sets, records): (&mut usize, &mut usize),
    unsealer: &mut Unsealer,
    page: &mut Page<'_>,
) -> Result<(), Full> {
    for set in node.rrsets().skip(*sets) {
        if set.rtype() != RecordType::SOA {
            let sealed = set.sealed();
            let is_small = sealed.octets.len() <= SEALED_OCTETS_MAX && *records == 0;
            // A small set that is too much for this message goes whole into the next one.
            match if is_small { page.set(node.cased_key(), &sealed) } else { Err(Full) } {
                Ok(()) => {}
                Err(Full) if is_small && !page.is_empty() => return Err(Full),
                Err(Full) => {
                    let (mut number, mut outcome) = (0, Ok(()));
                    unsealer.each(zone, node, &set, |record| {
                        if number >= *records && outcome.is_ok() {
                            outcome = add(record, page);
                            *records += usize::from(outcome.is_ok());
                        }
                        number += 1;
                    });
                    outcome?;
                }
            }
        }
        (*sets, *records) = (*sets + 1, 0);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
