//! Whoever watches the world: takes every event of every machine, keeps what is true beside what is told, and speaks
//! up when something must not be.
//!
//! It sees what a machine's owner would see, its events, and never looks into a machine.

use super::census::{Census, Noticed};
use super::machine::News;
use super::mirror::{CELLS_MAX, Mirror};
use super::record::{Key, Ledger, Ordinal};
use super::seat::Seat;
use super::watch::Watches;
use crate::base::time::Moment;
use crate::gossip::identity::NodeId;
use std::collections::BTreeMap;

/// Failures that are kept: one is enough to act on, some show whether there is a pattern.
const FAILURES_MAX: usize = 16;
/// Lines of the story that are kept; what happens more often than that is no story.
const STORY_LINES_MAX: usize = 256;

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

/// A newcomer on its way to know everything.
#[derive(Debug)]
pub struct Newcomer {
    /// Who.
    pub seat: Seat,
    /// When it started.
    pub at: Moment,
    /// When it had every record that was there when it started.
    pub complete: Option<Moment>,
    /// What it does not have yet, per owner.
    missing: BTreeMap<u64, Vec<(Key, Ordinal)>>,
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
    /// Per seat, its present id.
    ids: Vec<Option<NodeId>>,
    /// Ids that nobody has any more, and since when.
    dead: Vec<(NodeId, Moment)>,
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
            ids: vec![None; seats],
            dead: Vec::new(),
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
            let living = self.living();
            let missing = living.into_iter().filter(|(_, of)| *of != seat);
            let missing = missing.map(|(id, of)| (id.0, self.ledger.records(of).collect::<Vec<_>>()));
            let missing = missing.filter(|(_, records)| !records.is_empty()).collect();
            self.newcomers.push(Newcomer { seat, at: now, complete: None, missing });
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
        if let Some(id) = self.ids[seat.index()].take() {
            self.dead.push((id, now));
        }
    }

    fn renamed(&mut self, now: Moment, seat: Seat, id: NodeId) {
        if let Some(before) = self.ids[seat.index()].replace(id)
            && before != id
        {
            self.dead.push((before, now));
        }
    }

    /// A change is made.
    pub fn changes(&mut self, now: Moment, key: Key, change: Ordinal, deletes: bool, maker: Seat) {
        self.watches.begin(now, key, change, deletes, maker, self.census.living());
    }

    /// A machine told something; `healthy` says of another node whether it is well and within reach.
    pub fn news(&mut self, now: Moment, seat: Seat, news: &News, healthy: impl FnOnce(Seat) -> bool) {
        match news {
            News::Records { owner, replace, changes } => {
                let backwards = self.mirror.records(seat, *owner, *replace, changes, &self.ledger);
                if let Some(key) = backwards {
                    let what =
                        format!("at {seat}, record {} of {owner} became what it had been before", key.0);
                    self.fail(now, "no deleted or replaced record returns", what);
                }
                for change in changes {
                    let Some(key) = Key::read(&change.key) else { continue };
                    let ordinal = change.value.as_deref().and_then(Ordinal::read);
                    self.watches.seen(now, seat, key, ordinal);
                }
                // An owner's records are those of the node that has its id now.
                let of = self.ids.iter().position(|id| *id == Some(*owner)).filter(|_| *replace);
                if let Some(of) = of {
                    let keys: Vec<Key> = changes.iter().filter_map(|change| Key::read(&change.key)).collect();
                    self.watches.replaced(now, seat, Seat(of as u32), |key| keys.contains(&key));
                }
                self.learns(now, seat, *owner);
            }
            News::Lease { owner, held } => self.mirror.lease(seat, *owner, *held),
            News::Cluster { change, .. } => self.mirror.cluster(seat, change),
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
            }
            News::Forgotten(id) => self.mirror.forgotten(seat, *id),
            News::Identity(id, _) => self.renamed(now, seat, *id),
            News::Synced(true) => self.tell(now, format!("{seat} goes on alone")),
            News::Synced(false) => {}
            News::Drained(missing) => {
                self.tell(now, format!("{seat} is drained, {missing} have not acknowledged"));
            }
            News::ExpiryFrozen(frozen) => {
                let what =
                    if *frozen { "lets no lease end: too many are lost" } else { "lets leases end again" };
                self.tell(now, format!("{seat} {what}"));
            }
        }
    }

    fn learns(&mut self, now: Moment, seat: Seat, owner: NodeId) {
        let open = |newcomer: &&mut Newcomer| newcomer.seat == seat && newcomer.complete.is_none();
        let Some(newcomer) = self.newcomers.iter_mut().find(open) else { return };
        let Some(known) = newcomer.missing.get(&owner.0) else { return };
        if self.mirror.covers(seat, owner, known, &self.ledger) {
            newcomer.missing.remove(&owner.0);
            if newcomer.missing.is_empty() {
                newcomer.complete = Some(now);
            }
        }
    }
}
