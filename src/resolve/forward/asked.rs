//! A question on its way through the upstreams of its group: whom it was put to, how, and whose turn is next.

use crate::base::limits::NAME_OCTETS_MAX;
use crate::base::time::Moment;
use crate::resolve::body::ExtendedError;
use crate::resolve::forward::upstream::{HEDGE_DELAY_START, Upstream};
use crate::resolve::question::Question;
use crate::resolve::question::Wants;
use crate::wire::rtype::RecordType;
use std::time::Duration;

/// Upstreams of one group: nobody lists more, and each question keeps book of them.
pub const GROUP_UPSTREAMS_MAX: usize = 16;
/// Packets for one question, streams counted as one each.
pub const PACKETS_MAX: u8 = 8;
/// Packets for one question to one upstream.
pub const PACKETS_EACH_MAX: u8 = 3;
/// How long a question lives: with what the server adds, its failure is told within 3.5 s.
pub const QUESTION_LIFE: Duration = Duration::from_millis(3_000);
/// Until the same upstream is asked the second time; twice as long until the third. An upstream that looks for the
/// answer needs that long, and a burst of loss is over.
const REPEAT_DELAY: Duration = Duration::from_millis(400);
/// How long is waited for a stream before there may be another: three round trips around the world.
pub(super) const STREAM_PATIENCE: Duration = Duration::from_millis(1_000);
/// Upstreams that are tried if all are dead.
const DEAD_TRIED_MAX: usize = 2;

const _: () = assert!(PACKETS_EACH_MAX <= PACKETS_MAX);

/// An upstream, as one question sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    /// Its index.
    pub(super) upstream: u16,
    /// How often it was asked.
    pub(super) packets: u8,
    /// When last.
    pub(super) sent: Moment,
    /// It has left the question waiting longer than usual.
    pub(super) is_missed: bool,
    /// What it said was no answer: it is not asked again.
    pub(super) has_failed: bool,
    /// It is to be asked once more, in another manner, at once.
    pub(super) is_urgent: bool,
    /// It is to be asked over a stream.
    pub(super) by_stream: bool,
    /// A reply came in another case: whether it was its own a stream tells.
    pub(super) is_doubted: bool,
    /// It is to be asked without EDNS.
    pub(super) plain: bool,
    /// What said so did not know the question: it may have been a guess, and is not remembered.
    pub(super) may_be_guess: bool,
}

impl Candidate {
    const fn new(upstream: u16) -> Candidate {
        Candidate {
            upstream,
            packets: 0,
            sent: Moment::START,
            is_missed: false,
            has_failed: false,
            is_urgent: false,
            by_stream: false,
            is_doubted: false,
            plain: false,
            may_be_guess: false,
        }
    }

    /// Something may come of it.
    pub(super) fn is_awaited(&self) -> bool {
        self.packets > 0 && !self.has_failed
    }

    fn is_due(&self) -> Moment {
        match self.packets {
            0 => Moment::START,
            _ if self.is_urgent => Moment::START,
            packets => self.sent + REPEAT_DELAY * (1 << (packets - 1)),
        }
    }
}

/// Whose turn is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// That candidate's, not before that moment.
    Candidate(usize, Moment),
    /// Nobody's, but an answer may come until that moment.
    Wait(Moment),
    /// Nobody's, and nothing will come.
    Over,
}

pub(super) struct Asked {
    pub(super) ticket: u32,
    name: [u8; NAME_OCTETS_MAX],
    name_octets: usize,
    rtype: RecordType,
    wants: Wants,
    pub(super) deadline: Moment,
    /// Packets in all.
    pub(super) packets: u8,
    /// So many at most.
    packets_max: u8,
    /// When the stream was begun that is waited for: there is one at a time.
    pub(super) stream: Option<Moment>,
    /// Why it fails, if it does.
    pub(super) error: Option<ExtendedError>,
    candidates: [Candidate; GROUP_UPSTREAMS_MAX],
    count: usize,
}

impl Asked {
    /// A question for the upstreams of a group. If all are dead, for those two that had no chance for longest.
    pub(super) fn new(
        now: Moment,
        (ticket, packets_max): (u32, u8),
        question: &Question<'_>,
        group: &[u16],
        upstreams: &[Upstream],
    ) -> Asked {
        let mut asked = Asked {
            ticket,
            name: [0; NAME_OCTETS_MAX],
            name_octets: 0,
            rtype: question.rtype,
            wants: question.wants,
            deadline: now + QUESTION_LIFE,
            packets: 0,
            packets_max: packets_max.min(PACKETS_MAX),
            stream: None,
            error: Some(ExtendedError::NO_REACHABLE_AUTHORITY),
            candidates: [Candidate::new(0); GROUP_UPSTREAMS_MAX],
            count: group.len().min(GROUP_UPSTREAMS_MAX),
        };
        if let Some(place) = asked.name.get_mut(..question.name.len()) {
            place.copy_from_slice(question.name);
            asked.name_octets = question.name.len();
        }
        for (candidate, upstream) in asked.candidates.iter_mut().zip(group) {
            candidate.upstream = *upstream;
        }
        let of = |index: u16| upstreams.get(usize::from(index));
        if group.iter().all(|index| of(*index).is_some_and(|upstream| upstream.is_dead)) {
            let tried = |candidate: &Candidate| of(candidate.upstream).map(|upstream| upstream.last_tried);
            if let Some(candidates) = asked.candidates.get_mut(..asked.count) {
                candidates.sort_unstable_by_key(tried);
            }
            asked.count = asked.count.min(DEAD_TRIED_MAX);
        }
        asked
    }

    pub(super) fn question(&self) -> Question<'_> {
        Question::new(self.name.get(..self.name_octets).unwrap_or_default(), 0, self.rtype, self.wants)
    }

    pub(super) fn candidates(&self) -> &[Candidate] {
        self.candidates.get(..self.count).unwrap_or_default()
    }

    pub(super) fn candidates_mut(&mut self) -> &mut [Candidate] {
        self.candidates.get_mut(..self.count).unwrap_or_default()
    }

    /// The candidate of that upstream.
    pub(super) fn candidate_mut(&mut self, upstream: u16) -> Option<&mut Candidate> {
        self.candidates_mut().iter_mut().find(|candidate| candidate.upstream == upstream)
    }

    /// True if that upstream may be asked again.
    pub(super) fn has_packets_for(&self, upstream: u16) -> bool {
        let mut candidates = self.candidates().iter();
        let own = candidates.find(|candidate| candidate.upstream == upstream).map_or(0, |own| own.packets);
        self.packets < self.packets_max && own < PACKETS_EACH_MAX
    }

    /// Whose turn it is: who is to be asked in another manner; then who was asked least often, the living before the
    /// dead, who has waited longest, the nearest first.
    pub(super) fn turn(&self, now: Moment, upstreams: &[Upstream]) -> Turn {
        let of = |candidate: &Candidate| upstreams.get(usize::from(candidate.upstream));
        let is_answered = self.candidates().iter().any(|candidate| candidate.has_failed);
        let may = |candidate: &Candidate, upstream: &Upstream| {
            let needs_stream = candidate.by_stream || upstream.wants_streams(now);
            let is_held = needs_stream && self.stream.is_some();
            // A dead one is asked once if anybody has answered at all.
            let is_spent = candidate.packets >= PACKETS_EACH_MAX
                || candidate.packets > 0 && is_answered && upstream.is_dead;
            !(candidate.has_failed || upstream.is_retired() || is_held || is_spent)
        };
        let mut best = None;
        for (place, candidate) in self.candidates().iter().enumerate() {
            let Some(upstream) = of(candidate) else { continue };
            let due = candidate.is_due();
            let merit = (!candidate.is_urgent, candidate.packets, upstream.is_dead, due, upstream.rank());
            let is_better = best.is_none_or(|(_, best, _)| merit < best);
            if self.packets < self.packets_max && may(candidate, upstream) && is_better {
                best = Some((place, merit, due));
            }
        }
        if let Some((place, _, due)) = best {
            return Turn::Candidate(place, due);
        }
        let awaited = || self.candidates().iter().filter(|candidate| candidate.is_awaited());
        if awaited().next().is_none() {
            return Turn::Over;
        }
        // A dead one is the last resort: after the failure of one that lives it gets its usual delay, and no more.
        let all_dead = awaited().all(|candidate| of(candidate).is_some_and(|upstream| upstream.is_dead));
        let until = awaited().map(|candidate| candidate.sent + HEDGE_DELAY_START).max();
        match until.filter(|_| is_answered && all_dead) {
            Some(until) if until <= now => Turn::Over,
            Some(until) => Turn::Wait(until),
            None => Turn::Wait(self.deadline),
        }
    }

    /// How long is waited for an answer before the next is asked too: as long as the nearest one's usually take.
    pub(super) fn hedge_delay(&self, upstreams: &[Upstream]) -> Duration {
        let living = self.candidates().iter().filter_map(|candidate| {
            upstreams
                .get(usize::from(candidate.upstream))
                .filter(|upstream| !upstream.is_dead && !upstream.is_retired())
        });
        living.map(Upstream::usual_delay).min().unwrap_or(HEDGE_DELAY_START)
    }
}
