//! Whoever watches the world: takes every event of every machine, keeps what is true beside what is told, and speaks
//! up when something must not be.
//!
//! It sees what a machine's owner would see, its events, and never looks into a machine.

use super::census::{Census, Noticed};
use super::hash::NumberMap;
use super::machine::{Change, Changes, Held, LEASE, News};
use super::mirror::{CELLS_MAX, Mirror};
use super::newcomer::Newcomer;
use super::record::{Key, Ledger, Ordinal, Seen};
use super::seat::Seat;
use super::watch::Watches;
use crate::base::time::Moment;
use crate::gossip::identity::NodeId;
use crate::gossip::output::Health;
use std::collections::BTreeSet;
use std::time::Duration;

/// Failures that are kept: one is enough to act on, some show whether there is a pattern.
const FAILURES_MAX: usize = 16;
/// Lines of the story that are kept; what happens more often than that is no story.
const STORY_LINES_MAX: usize = 256;
/// A lease may end so much early: clocks drift, and a loss is noticed before it is told.
const LEASE_EARLY_MAX: Duration = Duration::from_millis(100);

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// When it was seen.
    pub at: Moment,
    /// Which rule was broken.
    pub rule: &'static str,
    /// Whom it concerns and how.
    pub what: String,
}

/// The watcher.
#[derive(Debug)]
pub struct Observer {
    /// Who holds whom for what.
    pub census: Census,
    /// What replicas hold.
    pub mirror: Mirror,
    /// How changes spread.
    pub watches: Watches,
    /// What is true.
    pub ledger: Ledger,
    /// Who started into a cluster that was there.
    pub newcomers: Vec<Newcomer>,
    /// What must not be and was.
    pub failures: Vec<Failure>,
    /// What happened, in its order.
    pub story: Vec<(Moment, String)>,
    /// How often a node hid the records of one that lives, within its lease.
    pub hidden_early: u64,
    /// Per seat, its present id.
    ids: Vec<Option<NodeId>>,
    /// Who has an id; of several, the one that came to it last.
    seats: NumberMap<u64, Seat>,
    /// Ids that nobody has any more, and since when.
    dead: Vec<(NodeId, Moment)>,
    /// Ids whose records may be hidden at any time: who had them drained, left, or was said to have left.
    withdrawn: BTreeSet<NodeId>,
    /// Nodes that let no lease end.
    frozen: BTreeSet<Seat>,
    /// What a machine has just told, read.
    seen: Vec<Seen>,
}

impl Observer {
    /// Of a world with so many seats at most.
    pub fn new(seats: usize) -> Observer {
        let mirrored = seats.min(CELLS_MAX / seats.max(1));
        Observer {
            census: Census::new(seats),
            mirror: Mirror::new(seats, mirrored),
            watches: Watches::default(),
            ledger: Ledger::default(),
            newcomers: Vec::new(),
            failures: Vec::new(),
            story: Vec::new(),
            hidden_early: 0,
            ids: vec![None; seats],
            seats: NumberMap::default(),
            dead: Vec::new(),
            withdrawn: BTreeSet::new(),
            frozen: BTreeSet::new(),
            seen: Vec::new(),
        }
    }

    /// A line of the story.
    pub fn tell(&mut self, now: Moment, line: impl Into<String>) {
        if self.story.len() < STORY_LINES_MAX {
            self.story.push((now, line.into()));
        }
    }

    /// Something that must not be.
    pub fn fail(&mut self, now: Moment, rule: &'static str, what: String) {
        if self.failures.len() < FAILURES_MAX && !self.failures.iter().any(|failure| failure.what == what) {
            self.tell(now, format!("BROKEN: {rule}: {what}"));
            self.failures.push(Failure { at: now, rule, what });
        }
    }

    /// A node's present id.
    pub fn id(&self, seat: Seat) -> Option<NodeId> {
        self.ids.get(seat.index()).copied().flatten()
    }

    /// The records of that owner may be hidden from now on, whether it lives or not.
    pub fn withdraws(&mut self, id: NodeId) {
        self.withdrawn.insert(id);
    }

    /// Somebody who lets no lease end.
    pub fn first_frozen(&self) -> Option<Seat> {
        self.frozen.first().copied()
    }

    /// How many ids nobody has any more.
    pub fn dead(&self) -> usize {
        self.dead.iter().filter(|(id, _)| !self.seats.contains_key(&id.0)).count()
    }

    /// The nodes that live, with their ids.
    pub fn living(&self) -> Vec<(NodeId, Seat)> {
        let seats = (0..self.ids.len() as u32).map(Seat).filter(|seat| self.census.lives(*seat));
        seats.filter_map(|seat| Some((self.id(seat)?, seat))).collect()
    }

    /// Ids that nobody had since before that moment.
    pub fn dead_before(&self, moment: Moment) -> Vec<NodeId> {
        let long = self.dead.iter().filter(|(id, since)| *since < moment && !self.ids.contains(&Some(*id)));
        long.map(|(id, _)| *id).collect()
    }

    /// A process starts, knowing nobody. If it `joins` a cluster, it is timed until it has all of it.
    pub fn begins(&mut self, now: Moment, seat: Seat, id: NodeId, joins: bool) {
        if joins {
            self.newcomers.push(Newcomer::begins(now, seat, self.living(), &self.ledger));
        }
        self.mirror.begins(seat);
        self.census.begins(seat);
        self.renamed(now, seat, id);
    }

    /// A process ends. If it is `missed`, the others are timed.
    pub fn ends(&mut self, now: Moment, seat: Seat, missed: bool) {
        self.census.ends(now, seat, missed);
        self.watches.gone(seat);
        self.newcomers.retain(|newcomer| newcomer.seat != seat || newcomer.complete.is_some());
        self.frozen.remove(&seat);
        let id = self.ids[seat.index()].take();
        for newcomer in &mut self.newcomers {
            // Nobody waits for what the dead would have to tell.
            newcomer.knows(seat);
            id.into_iter().for_each(|id| newcomer.learns(id, |_| true));
            newcomer.look(now);
        }
        if let Some(id) = id {
            self.no_longer(now, seat, id);
        }
    }

    fn no_longer(&mut self, now: Moment, seat: Seat, id: NodeId) {
        self.dead.push((id, now));
        if self.seats.get(&id.0) == Some(&seat) {
            // A disk that was cloned has left its id to somebody else.
            let other = self.ids.iter().position(|other| *other == Some(id));
            match other {
                Some(other) => self.seats.insert(id.0, Seat(other as u32)),
                None => self.seats.remove(&id.0),
            };
        }
    }

    fn renamed(&mut self, now: Moment, seat: Seat, id: NodeId) {
        let before = self.ids[seat.index()].replace(id);
        if let Some(before) = before.filter(|before| *before != id) {
            self.no_longer(now, seat, before);
        }
        self.seats.insert(id.0, seat);
    }

    /// A change is made.
    pub fn changes(&mut self, now: Moment, key: Key, change: Ordinal, deletes: bool, maker: Seat) {
        self.watches.begin(now, key, change, deletes, maker, self.census.living());
    }

    /// A machine told something; `healthy` says of another node whether it is well and within reach.
    pub fn news(&mut self, now: Moment, seat: Seat, news: &News, healthy: impl FnOnce(Seat) -> bool) {
        match news {
            News::Records { owner, replace, changes } => self.records(now, seat, *owner, *replace, changes),
            News::Lease { owner, held } => {
                self.mirror.lease(seat, *owner, *held);
                if *held == Held::Hidden {
                    self.hides(now, seat, *owner);
                }
            }
            News::Cluster { change, .. } => self.cluster(now, seat, change),
            News::Member { id, address, health } => {
                let Some(subject) = Seat::at(*address) else { return };
                // What is said of a former id is true of nobody.
                if self.id(subject).is_some_and(|present| present != *id) {
                    return;
                }
                let noticed = self.census.says(now, seat, subject, Some(*health), || healthy(subject));
                match noticed {
                    Some(Noticed::Suspected) => {
                        self.tell(now, format!("{seat} is the first to miss {subject}"))
                    }
                    Some(Noticed::Everywhere) => {
                        self.tell(now, format!("every living node has {subject} down"))
                    }
                    Some(Noticed::DownThoughAlive) => {
                        self.tell(now, format!("{seat} declares {subject} down, which is alive"));
                    }
                    None => {}
                }
                if *health == Health::Alive {
                    self.learns(now, seat, |newcomer| newcomer.knows(subject));
                }
            }
            News::Forgotten(id) => {
                self.mirror.forgotten(seat, *id);
                self.hides(now, seat, *id);
            }
            News::Identity(id, _) => self.renamed(now, seat, *id),
            News::Synced(alone) => {
                if *alone {
                    self.tell(now, format!("{seat} goes on alone"));
                }
                self.learns(now, seat, Newcomer::synced);
            }
            News::Drained(missing) => {
                self.tell(now, format!("{seat} is drained, {missing} have not acknowledged"));
            }
            News::ExpiryFrozen(frozen) => {
                // All nodes of a half say so: the first and the last of them are the story.
                let (others, changed) = match frozen {
                    true => (self.frozen.len(), self.frozen.insert(seat)),
                    false => {
                        let changed = self.frozen.remove(&seat);
                        (self.frozen.len(), changed)
                    }
                };
                if others > 0 || !changed {
                    return;
                }
                let what = match frozen {
                    true => "is the first to let no lease end: too many are lost",
                    false => "is the last to let leases end again",
                };
                self.tell(now, format!("{seat} {what}"));
            }
        }
    }

    fn records(&mut self, now: Moment, seat: Seat, owner: NodeId, replace: bool, changes: &Changes) {
        let mut seen = std::mem::take(&mut self.seen);
        seen.clear();
        changes.each(|key, value| seen.extend(Seen::read(key, value)));
        if let Some(key) = self.mirror.records(seat, owner, replace, &seen, &self.ledger) {
            let what = format!("at {seat}, record {} of {owner} became what it had been before", key.0);
            self.fail(now, "no deleted or replaced record returns", what);
        }
        seen.iter().for_each(|seen| self.watches.seen(now, seat, *seen));
        // An owner's records are those of the node that has its id now.
        if replace && let Some(of) = self.seats.get(&owner.0) {
            self.watches.replaced(now, seat, *of, |key| seen.iter().any(|seen| seen.key == key));
        }
        self.seen = seen;
        let Some(newcomer) = self.newcomers.iter_mut().find(|newcomer| newcomer.waits(seat)) else { return };
        newcomer.learns(owner, |known| self.mirror.covers(seat, owner, known, &self.ledger));
        newcomer.look(now);
    }

    fn cluster(&mut self, now: Moment, seat: Seat, change: &Change) {
        self.mirror.cluster(seat, change);
        if let Some(key) = Key::read(&change.key) {
            self.learns(now, seat, |newcomer| newcomer.learns_of_cluster(key));
        }
    }

    /// A newcomer is told something.
    fn learns(&mut self, now: Moment, seat: Seat, what: impl FnOnce(&mut Newcomer)) {
        if let Some(newcomer) = self.newcomers.iter_mut().find(|newcomer| newcomer.waits(seat)) {
            what(newcomer);
            newcomer.look(now);
        }
    }

    /// A node serves an owner's records no more: wrong while that lives and its lease is not over. The lease counts
    /// from when the first node held it for lost.
    fn hides(&mut self, now: Moment, seat: Seat, owner: NodeId) {
        let Some(&of) = self.seats.get(&owner.0) else { return };
        if of == seat || self.withdrawn.contains(&owner) {
            return;
        }
        let lost_since = self.census.lost_since(of);
        if lost_since.is_none_or(|since| now + LEASE_EARLY_MAX < since + LEASE) {
            self.hidden_early += 1;
            let what = format!("{seat} hides those of {of}");
            self.fail(now, "the records of a living owner are served for its lease", what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId(100);

    /// Two nodes, of which the second is told of the first.
    fn observer() -> Observer {
        let mut observer = Observer::new(2);
        observer.begins(at(0), Seat(0), A, false);
        observer.begins(at(0), Seat(1), NodeId(200), false);
        observer.census.all_know_all();
        observer
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_micros(seconds * 1_000_000)
    }

    fn hides(observer: &mut Observer, second: u64) -> u64 {
        let news = News::Lease { owner: A, held: Held::Hidden };
        observer.news(at(second), Seat(1), &news, |_| true);
        observer.hidden_early
    }

    #[test]
    fn the_records_of_a_living_owner_may_be_hidden_a_lease_after_it_was_lost() {
        let mut early = observer();
        assert_eq!(hides(&mut early, 5), 1);
        assert_eq!(early.failures[0].rule, "the records of a living owner are served for its lease");
        let mut late = observer();
        let down = News::Member { id: A, address: Seat(0).address(), health: Health::Down };
        late.news(at(5), Seat(1), &down, |_| false);
        assert_eq!((hides(&mut late, 64), hides(&mut late, 65)), (1, 1));
    }

    #[test]
    fn whoever_is_gone_or_has_withdrawn_may_be_hidden_at_once() {
        let mut withdrawn = observer();
        withdrawn.withdraws(A);
        assert_eq!(hides(&mut withdrawn, 5), 0);
        let mut gone = observer();
        gone.ends(at(1), Seat(0), true);
        assert_eq!(hides(&mut gone, 5), 0);
    }

    #[test]
    fn who_lets_no_lease_end_is_known_until_it_does_or_ends() {
        let mut observer = observer();
        observer.news(at(1), Seat(1), &News::ExpiryFrozen(true), |_| true);
        assert_eq!(observer.first_frozen(), Some(Seat(1)));
        observer.news(at(2), Seat(1), &News::ExpiryFrozen(false), |_| true);
        assert_eq!(observer.first_frozen(), None);
    }
}
