//! What is kept, for people to read: copies, slice by slice.

use super::entry::Entry;
use super::looked::Failing;
use crate::base::limits::NAME_OCTETS_MAX;
use crate::base::time::Moment;
use crate::resolve::body::{Body, ExtendedError};
use crate::resolve::question::Wants;
use crate::wire::message::Rcode;
use crate::wire::rtype::RecordType;
use std::time::Duration;

/// Where a dump goes on. Entries that move between two slices may be missed or told twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    pub(super) shard: usize,
    pub(super) slot: usize,
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
