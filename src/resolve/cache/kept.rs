//! What is kept, for people to read: copies, slice by slice.

use super::entry::Entry;
use super::looked::Failing;
use super::shard::STALE_TTL;
use crate::base::limits::NAME_OCTETS_MAX;
use crate::base::time::Moment;
use crate::resolve::body::{Body, ExtendedError};
use crate::resolve::question::Wants;
use crate::wire::message::Rcode;
use crate::wire::reply::Section;
use crate::wire::rtype::RecordType;
use crate::wire::section::Record;
use std::fmt;
use std::time::Duration;

/// Where a dump goes on. Entries that move between two slices may be missed or told twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    pub(super) shard: usize,
    pub(super) slot: usize,
}

impl Cursor {
    /// The cursor of its text; `None` if the text is none.
    pub fn parse(text: &str) -> Option<Cursor> {
        let (shard, slot) = text.split_once('.')?;
        Some(Cursor { shard: shard.parse().ok()?, slot: slot.parse().ok()? })
    }
}

impl fmt::Display for Cursor {
    /// Two numbers and a dot between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.shard, self.slot)
    }
}

/// A question and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The name, lower-cased, in uncompressed wire form.
    pub name: Box<[u8]>,
    /// The type.
    pub rtype: RecordType,
    /// What of DNSSEC.
    pub wants: Wants,
    /// The answer, if it may still be told.
    pub answer: Option<Answer>,
    /// The failure, if it lasts.
    pub failing: Option<Failing>,
}

/// An answer that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    rcode: Rcode,
    authentic: bool,
    error: Option<ExtendedError>,
    counts: [u16; 3],
    octets: Box<[u8]>,
    ttls: Box<[u16]>,
    /// When it was kept; the TTLs of [`Answer::body`] count from here.
    pub kept: Moment,
    /// Until when it is as its owner says.
    pub fresh_until: Moment,
    /// Until when it is told where there is nothing better.
    pub stale_until: Moment,
}

impl Answer {
    /// As it was when it was kept.
    pub fn body(&self) -> Body<'_> {
        Body {
            rcode: self.rcode,
            authentic: self.authentic,
            error: self.error,
            counts: self.counts,
            octets: &self.octets,
            ttls: &self.ttls,
        }
    }
}

impl Kept {
    /// The records of a section as they would be told at `now`: TTLs counted down, or those of an answer whose time is
    /// over. None if there is no answer.
    pub fn records(&self, section: Section, now: Moment) -> Vec<Record> {
        let Some(answer) = &self.answer else { return Vec::new() };
        let mut records = answer.body().records(&self.name, self.rtype, section);
        let age = u32::try_from(now.since(answer.kept).as_secs()).unwrap_or(u32::MAX);
        for record in &mut records {
            record.ttl = match now < answer.fresh_until {
                true => record.ttl.saturating_sub(age).max(1),
                false => STALE_TTL,
            };
        }
        records
    }

    /// A copy of an entry; `None` if there is nothing to tell of it any more.
    pub(super) fn of(entry: &Entry<'_>, now: Moment) -> Option<Kept> {
        let header = &entry.header;
        let mut name = [0; NAME_OCTETS_MAX];
        let len = entry.copy_name(&mut name);
        let kept = Moment::from_micros(header.kept);
        let fresh_until = kept + Duration::from_secs(header.life.fresh_seconds.into());
        let stale_until = fresh_until + Duration::from_secs(header.life.stale_seconds.into());
        let answer = || {
            let mut octets = vec![0; header.octets()];
            entry.copy_records(&mut octets);
            Answer {
                rcode: header.rcode(),
                authentic: header.authentic,
                error: header.error,
                counts: header.counts,
                octets: octets.into_boxed_slice(),
                ttls: entry.places().map(|place| place as u16).collect(),
                kept,
                fresh_until,
                stale_until,
            }
        };
        let (answer, failing) = ((header.answered && now < stale_until).then(answer), header.failing(now));
        (answer.is_some() || failing.is_some()).then_some(Kept {
            name: name.get(..len).unwrap_or_default().into(),
            rtype: header.rtype,
            wants: header.wants,
            answer,
            failing,
        })
    }
}
