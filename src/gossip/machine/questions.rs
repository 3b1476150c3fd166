//! Asking members what this node does not know yet. What is asked and answered is the owners' business: octets here.
//!
//! ```text
//! Question | number (64) | octets
//! Known    | number (64) | octets; none: not known there either
//! ```
//!
//! A question goes to three living members by lot, every 200 ms to others, for a second. An older member passes it over,
//! as it does every kind that it does not know, and others are asked in its place. Its number is drawn by lot, and what
//! comes under it counts only if it comes from somebody who was asked: no other member can answer for those. A node that
//! has just started has met nobody yet, most likely will in some milliseconds, and keeps its questions for them.

use super::Gossip;
use crate::base::time::Moment;
use crate::gossip::codec::Malformed;
use crate::gossip::frame::{FRAME_HEAD_SHORT, Kind, write};
use crate::gossip::identity::NodeId;
use crate::gossip::output::Event;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;

/// Questions at once: each is somebody's query, who waits a millisecond or two for it where members live; and so few
/// that all of them together cost the cluster 4,000 datagrams a second at worst.
pub const QUESTIONS_MAX: usize = 256;
/// Octets of one: a name with its type, and who wants to know. So it fits into any datagram.
pub const QUESTION_OCTETS_MAX: usize = 600;
/// Members asked at once: one of them is there and knows, most likely.
const ASKED_AT_ONCE: usize = 3;
/// When others are asked, or the same again: what is lost is lost once.
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// After so long nobody knows: whoever waits has time to ask another server.
const PATIENCE: Duration = Duration::from_secs(1);
/// Questions of others that are taken in each [`TAKEN_SPAN`]; more are passed over, and come again. An answer costs some
/// ten microseconds, so that all of them leave most of the time to what else a member has to do.
const TAKEN_MAX: usize = 256;
/// What of them one member may have: so half is always there for others.
const TAKEN_OF_ONE_MAX: usize = TAKEN_MAX / 2;
const TAKEN_SPAN: Duration = Duration::from_millis(10);
/// Octets of a number.
const NUMBER_OCTETS: usize = size_of::<u64>();
/// Octets of an answer's frame beside the answer: the length of its body takes two more where that is long.
const ANSWER_HEAD_OCTETS: usize = FRAME_HEAD_SHORT + 2 + NUMBER_OCTETS;

/// One that is being asked.
struct Question {
    /// Its frame.
    frame: Vec<u8>,
    /// Who was asked.
    asked: Vec<NodeId>,
    next: Moment,
    deadline: Moment,
}

/// Those of this node, and how many of others were taken.
#[derive(Default)]
pub(super) struct Questions {
    out: BTreeMap<u64, Question>,
    /// Since when those of others are counted.
    since: Option<Moment>,
    taken: usize,
    taken_of: BTreeMap<NodeId, usize>,
}

impl Questions {
    pub(super) fn next(&self) -> Moment {
        self.out.values().map(|question| question.next).min().unwrap_or(Moment::NEVER)
    }

    /// True if there is time for another question of that member.
    fn takes(&mut self, now: Moment, by: NodeId) -> bool {
        if self.since.is_none_or(|since| since + TAKEN_SPAN <= now) {
            (self.since, self.taken) = (Some(now), 0);
            self.taken_of.clear();
        }
        if self.taken >= TAKEN_MAX {
            return false;
        }
        let own = self.taken_of.entry(by).or_default();
        if *own >= TAKEN_OF_ONE_MAX {
            return false;
        }
        *own += 1;
        self.taken += 1;
        true
    }
}

impl Gossip {
    /// Puts a question to members; what becomes of it is told by [`Event::Known`], in a second at the latest. The
    /// question's number; `None`: too many are being asked, it is too long or empty, or there is nobody to be asked.
    pub fn ask_members(&mut self, now: Moment, question: &[u8]) -> Option<u64> {
        let fits = (1..=QUESTION_OCTETS_MAX).contains(&question.len());
        let is_hopeless = self.membership.alive() == 0 && !self.is_meeting(now);
        if !fits || self.questions.out.len() >= QUESTIONS_MAX || is_hopeless {
            return None;
        }
        let number = self.rng.u64(..);
        if self.questions.out.contains_key(&number) {
            return None;
        }
        let (mut frame, mut body) = (Vec::new(), number.to_le_bytes().to_vec());
        body.extend_from_slice(question);
        write(&mut frame, Kind::Question, &body);
        let question = Question { frame, asked: Vec::new(), next: now, deadline: now + PATIENCE };
        self.questions.out.insert(number, question);
        self.ask_members_if_due(now);
        self.settle(now);
        Some(number)
    }

    /// Tells a member what this node knows of its question; no octets: nothing.
    pub fn answer_member(&mut self, now: Moment, to: NodeId, number: u64, answer: &[u8]) {
        let (mut frames, mut body) = (Vec::new(), number.to_le_bytes().to_vec());
        if answer.len() <= self.answer_octets_max() {
            body.extend_from_slice(answer);
        }
        write(&mut frames, Kind::Known, &body);
        self.send_to(now, to, frames);
        self.settle(now);
    }

    /// Octets that an answer to a member may have: one datagram carries it.
    pub fn answer_octets_max(&self) -> usize {
        self.room.saturating_sub(ANSWER_HEAD_OCTETS)
    }

    /// Somebody lives: questions that nobody was there for are put now.
    pub(super) fn ask_whoever_is_there(&mut self, now: Moment) {
        let unasked = self.questions.out.values_mut().filter(|question| question.asked.is_empty());
        unasked.for_each(|question| question.next = now);
    }

    pub(super) fn ask_members_if_due(&mut self, now: Moment) {
        if self.questions.next() > now {
            return;
        }
        let due = self.questions.out.iter().filter(|(_, question)| question.next <= now);
        let due: Vec<u64> = due.map(|(number, _)| *number).collect();
        for number in due {
            let Some(question) = self.questions.out.get_mut(&number) else { continue };
            if question.deadline <= now {
                self.questions.out.remove(&number);
                self.tell(Event::Known { number, answer: None });
                continue;
            }
            question.next = (now + ASK_AGAIN).min(question.deadline);
            let asked = &question.asked;
            let others = self.membership.some_alive(ASKED_AT_ONCE, |told| !asked.contains(&told.id()));
            let members = match others.is_empty() {
                true => self.membership.some_alive(ASKED_AT_ONCE, |_| true),
                false => others,
            };
            question.asked.extend(members.iter().map(|told| told.id()));
            let frame = question.frame.clone();
            for told in members {
                self.send_to(now, told.id(), frame.clone());
            }
        }
    }

    pub(super) fn hear_question(&mut self, now: Moment, from: NodeId, body: &[u8]) -> Result<(), Malformed> {
        let (number, question) = read(body)?;
        if question.is_empty() || question.len() > QUESTION_OCTETS_MAX {
            return Err(Malformed);
        }
        if self.questions.takes(now, from) {
            self.tell(Event::Asked { by: from, number, question: Bytes::copy_from_slice(question) });
        }
        Ok(())
    }

    pub(super) fn hear_known(&mut self, from: NodeId, body: &[u8]) -> Result<(), Malformed> {
        let (number, answer) = read(body)?;
        // One that comes too late, or a second time, is no fault. Who does not know may be asked again: it may learn.
        let was_asked = |question: &Question| question.asked.contains(&from);
        if !answer.is_empty() && self.questions.out.get(&number).is_some_and(was_asked) {
            self.questions.out.remove(&number);
            self.tell(Event::Known { number, answer: Some(Bytes::copy_from_slice(answer)) });
        }
        Ok(())
    }
}

fn read(body: &[u8]) -> Result<(u64, &[u8]), Malformed> {
    let (number, rest) = body.split_first_chunk::<NUMBER_OCTETS>().ok_or(Malformed)?;
    Ok((u64::from_le_bytes(*number), rest))
}
