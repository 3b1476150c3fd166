//! How long changes take to reach the members, measured now and then with one of this node's own.
//!
//! ```text
//! this node: a change, and a second without another one
//!     ── Reached ─► up to 16 members by lot, again and again: since when do you have that head?
//!     ◄─ Since ──── each, once it has it: for so long
//!                   it took until now, less so long; of all of them the longest counts
//! ```
//!
//! No clock is compared with another's: each tells a span by its own. What the answer takes on its way is counted with the
//! span, so that it is never told too short. The question comes when a change is everywhere already, as a rule: so it measures,
//! and hastens nothing; who has not the change by then learns by it that there is one, and counts with all the time until it has
//! it. Who lives and never has it counts with the time that was waited. An owner that changes every second is not measured.

use super::Gossip;
use crate::base::time::Moment;
use crate::gossip::codec::{Malformed, decode_all, encode};
use crate::gossip::frame::{Kind, write};
use crate::gossip::identity::NodeId;
use crate::gossip::membership::Class;
use crate::gossip::replication::owners::{Owner, Reach};
use crate::gossip::replication::wire::HeadWire;
use bincode::{Decode, Encode};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// From one that is measured to the next: a kilobyte or two each time.
pub const MEASURE_EVERY: Duration = Duration::from_secs(60);
/// So long after a change members are asked: beyond the last of the ways by which it travels as a rule.
const REST: Duration = Duration::from_secs(1);
/// Members asked: four times in five one of them is among the last tenth of all.
const ASKED_MAX: usize = 16;
/// Who has not told is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// So long it is waited for.
const WAITED_MAX: Duration = Duration::from_secs(10);
/// Owners whose last change is remembered with its moment: who asks does so a second later.
const LATELY_MAX: usize = 64;

/// Since when a head is shown here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
struct SinceWire {
    head: HeadWire,
    /// In microseconds; none: longer than is remembered, or what is shown is newer.
    age_us: Option<u64>,
}

enum Stage {
    Idle,
    /// A change of this node's own, and when it was made.
    Resting(Reach, Moment),
    Asking {
        reach: Reach,
        made: Moment,
        missing: BTreeSet<NodeId>,
        next: Moment,
        longest: Option<Duration>,
    },
}

pub(super) struct Measuring {
    /// False: others' changes are not remembered either.
    is_on: bool,
    /// Nothing is measured before then.
    from: Moment,
    stage: Stage,
    last: Option<Duration>,
    lately: BTreeMap<NodeId, (Reach, Moment)>,
}

impl Measuring {
    pub(super) fn new(now: Moment, is_on: bool) -> Measuring {
        Measuring { is_on, from: now, stage: Stage::Idle, last: None, lately: BTreeMap::new() }
    }

    pub(super) fn next(&self) -> Moment {
        match &self.stage {
            Stage::Idle => Moment::NEVER,
            Stage::Resting(_, made) => *made + REST,
            Stage::Asking { next, .. } => *next,
        }
    }

    fn note(&mut self, owner: NodeId, reach: Reach, now: Moment) {
        if self.lately.len() == LATELY_MAX && !self.lately.contains_key(&owner) {
            let oldest = self.lately.iter().min_by_key(|(_, (_, since))| *since).map(|(owner, _)| *owner);
            oldest.into_iter().for_each(|owner| _ = self.lately.remove(&owner));
        }
        self.lately.insert(owner, (reach, now));
    }
}

impl Gossip {
    /// How long the change took that was measured last, to the last of the members that were asked.
    pub fn convergence(&self) -> Option<Duration> {
        self.measuring.last
    }

    /// What is shown of an owner changed.
    pub(super) fn note_change(&mut self, now: Moment, owner: NodeId) {
        if !self.measuring.is_on {
            return;
        }
        let reach = self.replication.owners().get(owner).map(Owner::showing).unwrap_or_default();
        if owner != self.me.id {
            return self.measuring.note(owner, reach, now);
        }
        let is_time = self.measuring.from <= now && self.is_synced() && self.membership.alive() > 0;
        match self.measuring.stage {
            // Of a run of changes the last is measured: what members tell is of that.
            Stage::Resting(..) => self.measuring.stage = Stage::Resting(reach, now),
            Stage::Idle if is_time => self.measuring.stage = Stage::Resting(reach, now),
            // Who has a later one does not tell; who has none of them still counts.
            Stage::Idle | Stage::Asking { .. } => {}
        }
    }

    pub(super) fn measure_if_due(&mut self, now: Moment) {
        if self.measuring.next() > now {
            return;
        }
        match std::mem::replace(&mut self.measuring.stage, Stage::Idle) {
            Stage::Idle => {}
            Stage::Resting(reach, made) => {
                let members = self.membership.some_alive(ASKED_MAX, |_| true);
                let missing = members.iter().map(|told| told.id()).collect();
                self.measuring.from = now + MEASURE_EVERY;
                self.ask_since(now, (reach, made), missing, None);
            }
            Stage::Asking { reach, made, mut missing, longest, .. } => {
                let membership = &self.membership;
                missing
                    .retain(|id| membership.get(*id).is_some_and(|member| member.told.class == Class::Alive));
                let waited = now.since(made);
                if missing.is_empty() {
                    self.measuring.last = longest.or(self.measuring.last);
                } else if waited >= WAITED_MAX {
                    self.measuring.last = longest.max(Some(waited));
                } else {
                    self.ask_since(now, (reach, made), missing, longest);
                }
            }
        }
    }

    fn ask_since(
        &mut self,
        now: Moment,
        (reach, made): (Reach, Moment),
        missing: BTreeSet<NodeId>,
        longest: Option<Duration>,
    ) {
        let (mut frames, mut body) = (Vec::new(), Vec::new());
        encode(&mut body, &HeadWire::new(self.me.id, reach));
        write(&mut frames, Kind::Reached, &body);
        missing.iter().for_each(|id| self.send_to(now, *id, frames.clone()));
        let next = now + ASK_AGAIN;
        self.measuring.stage = Stage::Asking { reach, made, missing, next, longest };
    }

    pub(super) fn hear_reached(&mut self, now: Moment, from: NodeId, body: &[u8]) -> Result<(), Malformed> {
        let head: HeadWire = decode_all(body)?;
        let showing = self.replication.owners().get(head.owner()).map(Owner::showing).unwrap_or_default();
        if showing < head.reach() {
            // It is told when it is here.
            self.replication.hear(now, from, head.owner(), head.reach(), Duration::ZERO);
            return Ok(());
        }
        let noted = self.measuring.lately.get(&head.owner()).filter(|(reach, _)| *reach == head.reach());
        let age_us = noted.map(|(_, since)| u64::try_from(now.since(*since).as_micros()).unwrap_or(u64::MAX));
        let mut octets = Vec::new();
        encode(&mut octets, &SinceWire { head, age_us });
        self.send_frame(now, from, Kind::Since, &octets);
        Ok(())
    }

    pub(super) fn hear_since(&mut self, now: Moment, from: NodeId, body: &[u8]) -> Result<(), Malformed> {
        let SinceWire { head, age_us } = decode_all(body)?;
        if let Stage::Asking { reach, made, missing, next, longest } = &mut self.measuring.stage
            && (head.owner(), head.reach()) == (self.me.id, *reach)
            && missing.remove(&from)
        {
            if let Some(age_us) = age_us {
                let took = now.since(*made).saturating_sub(Duration::from_micros(age_us));
                *longest = (*longest).max(Some(took));
            }
            if missing.is_empty() {
                *next = now;
            }
        }
        Ok(())
    }
}
