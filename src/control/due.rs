//! What is to be published, when, and who is answered then.
//!
//! What was applied to the live zone is worked on in slices. Under changes that never pause there is always more to
//! do, so publishing cannot wait for the end: whatever fits together is published at each tick, and an answer waits
//! until what it speaks of is in.

use crate::base::time::Moment;
use crate::catalog::state::{Mark, State};
use crate::control::request::{Answer, Refused, Reply};
use std::time::Duration;

/// Time between two snapshots while changes come, at least and at most: those within it are published together. Whoever
/// waits for an answer waits for so long, so 64 updates under way are at most 32,000 a second.
const PAUSE_MIN: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(10);
/// So many times what the last one took, within these: publishing takes a ninth of the control thread's time, unless one
/// snapshot takes more than an eighth of [`PAUSE_MAX`].
const PAUSE_PART: u32 = 8;

/// An answer that is true once what it speaks of is served.
#[derive(Debug)]
struct Waiting {
    /// What has to be done first; `None` until the changes it follows from were applied.
    mark: Option<Mark>,
    answer: Answer,
    reply: Reply,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Due {
    /// Something changed that is not published, or not worked on.
    is_changed: bool,
    /// When the next snapshot may be published.
    next: Moment,
    /// In the order of their marks.
    waiting: Vec<Waiting>,
}

impl Due {
    /// Something is to be published; nothing was since `now`.
    pub(super) fn new(now: Moment) -> Due {
        Due { is_changed: true, next: now + PAUSE_MAX, waiting: Vec::new() }
    }

    /// Notes whether there was a change.
    pub(super) fn note(&mut self, is_changed: bool) {
        self.is_changed |= is_changed;
    }

    /// Keeps an answer until the changes that are about to be applied are served. A refusal is given at once.
    pub(super) fn answer_when_published(&mut self, outcome: Result<Reply, Refused>, answer: Answer) {
        match outcome {
            Ok(reply) => self.waiting.push(Waiting { mark: None, answer, reply }),
            Err(refused) => answer.give(Err(refused)),
        }
    }

    /// The changes that answers wait for were applied.
    pub(super) fn applied(&mut self, state: &State) {
        let unmarked = self.waiting.iter_mut().rev().take_while(|waiting| waiting.mark.is_none());
        unmarked.for_each(|waiting| waiting.mark = Some(state.mark()));
    }

    /// True if a snapshot is to be made now. `more`: the state has more to work on.
    pub(super) fn is_due(&self, now: Moment, state: &State, more: bool) -> bool {
        self.is_changed && self.next <= now && (!more || state.is_whole())
    }

    /// When a snapshot is to be made, if the state has nothing to work on; [`Moment::NEVER`] if nothing changed.
    pub(super) fn next(&self) -> Moment {
        if self.is_changed { self.next } else { Moment::NEVER }
    }

    /// A snapshot of the state was published, which took so long: what is to be answered now goes to `give`.
    pub(super) fn published(
        &mut self,
        now: Moment,
        took: Duration,
        (state, more): (&State, bool),
        give: impl Fn(Answer, Reply),
    ) {
        self.next = now + (took * PAUSE_PART).clamp(PAUSE_MIN, PAUSE_MAX);
        self.is_changed = more;
        let is_true = |waiting: &Waiting| waiting.mark.is_some_and(|mark| state.is_done(mark));
        let count = self.waiting.iter().take_while(|waiting| is_true(waiting)).count();
        for Waiting { answer, reply, .. } in self.waiting.drain(..count) {
            give(answer, reply);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::delta::Delta;
    use crate::catalog::lease::{Lease, OwnerId, Source};
    use crate::catalog::services::Terms;
    use crate::control::document::SetDocument;
    use crate::wire::key::HashSeed;
    use crate::wire::name::Name;
    use crate::wire::rtype::RecordType;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// What a slice of work takes.
    const TURN: Duration = Duration::from_millis(2);
    const OWNERS: u64 = 4;

    fn put(source: Source, name: String) -> Delta {
        let name = Name::parse(&name).unwrap();
        Delta::PutRecords {
            source,
            name,
            rtype: RecordType::A,
            ttl: 5,
            rdatas: vec![Box::from([192, 0, 2, 1])],
        }
    }

    fn give(answer: Answer, reply: Reply) {
        answer.give(Ok(reply));
    }

    /// A state with many names, all worked on.
    fn state(names: u64) -> State {
        let mut state = State::new(HashSeed::new([7; 16]), 16);
        let origin = Name::parse("hive.internal.").unwrap();
        let (ttl, lease) = (Duration::from_secs(5), Duration::from_secs(60));
        let terms = Terms { primary: origin.clone(), origin, ttl, negative_ttl: ttl, lease };
        state.apply(Delta::OpenServices(Box::new(terms)));
        (0..OWNERS).for_each(|id| state.apply(Delta::Lease { owner: OwnerId(id), lease: Lease::Full }));
        for i in 0..names {
            state.apply(put(Source::Owner(OwnerId(i % OWNERS)), format!("n{i}.hive.internal.")));
        }
        state.snapshot(Moment::START);
        state
    }

    #[test]
    fn what_is_set_is_answered_though_leases_never_cease_to_change() {
        let (mut state, mut due) = (state(60_000), Due::new(Moment::START));
        let given = Arc::new(AtomicUsize::new(0));
        let name = Name::parse("set.hive.internal.").unwrap();
        let (mut now, mut snapshots, mut served_at) = (Moment::START, 0, None);
        for turn in 0..1_000u32 {
            now += TURN;
            let lease = Lease::Counting { spent: Duration::ZERO, at: now, restarting: false };
            due.note(true);
            if turn == 10 {
                let given = Arc::clone(&given);
                let answer = Answer::to(move |_| _ = given.fetch_add(1, Ordering::Relaxed));
                due.answer_when_published(Ok(Reply::Set(SetDocument::default())), answer);
                state.apply(put(Source::Cluster, name.to_string()));
            }
            let owner = OwnerId(u64::from(turn) % OWNERS);
            state.apply(Delta::Lease { owner, lease });
            due.applied(&state);
            let more = state.work(now);
            assert!(more || turn < 5, "this is about work without an end");
            if due.is_due(now, &state, more) {
                state.snapshot_so_far();
                snapshots += 1;
                due.published(now, Duration::ZERO, (&state, more), give);
                let is_served = state.services().is_some_and(|services| {
                    services.latest().is_some_and(|zone| {
                        let mut key = Box::default();
                        matches!(
                            zone.locate_name(name.as_wire(), &mut key),
                            Some(crate::zone::Place::Node(_))
                        )
                    })
                });
                assert_eq!(
                    is_served,
                    given.load(Ordering::Relaxed) == 1,
                    "answered when served, turn {turn}"
                );
                if is_served {
                    served_at = Some(turn);
                    break;
                }
            }
        }
        assert!(snapshots > 0 && served_at.is_some_and(|turn| turn < 400), "{snapshots} {served_at:?}");
    }

    #[test]
    fn an_answer_waits_for_its_own_changes_and_for_no_others() {
        let (mut state, mut due) = (state(10), Due::new(Moment::START));
        let given = Arc::new(AtomicUsize::new(0));
        for i in 0..3 {
            let count = Arc::clone(&given);
            let answer = Answer::to(move |_| _ = count.fetch_add(1, Ordering::Relaxed));
            due.answer_when_published(Ok(Reply::Set(SetDocument::default())), answer);
            // A publication between the request and its changes is not what it waits for.
            due.published(Moment::START, Duration::ZERO, (&state, true), give);
            assert_eq!(given.load(Ordering::Relaxed), i);
            state.apply(put(Source::Cluster, format!("c{i}.hive.internal.")));
            due.applied(&state);
            due.published(Moment::START, Duration::ZERO, (&state, true), give);
            assert_eq!(given.load(Ordering::Relaxed), i, "not worked on");
            while state.work(Moment::START) {}
            due.published(Moment::START, Duration::ZERO, (&state, false), give);
            assert_eq!(given.load(Ordering::Relaxed), i + 1);
        }
        assert_eq!(due.next(), Moment::NEVER);
    }

    #[test]
    fn snapshots_follow_each_other_as_fast_as_they_are_cheap() {
        let (state, mut due) = (state(0), Due::new(Moment::START));
        let pauses = [(0, 2_000), (100, 2_000), (500, 4_000), (2_000, 10_000), (700_000, 10_000)];
        for (took, pause) in
            pauses.map(|(took, pause)| (Duration::from_micros(took), Duration::from_micros(pause)))
        {
            let now = Moment::START + took;
            due.published(now, took, (&state, true), give);
            assert_eq!(due.next(), now + pause, "after {took:?}");
            assert!(!due.is_due(now + (pause - Duration::from_nanos(1)), &state, false));
            assert!(due.is_due(now + pause, &state, false));
        }
    }
}
