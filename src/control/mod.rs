//! Floor 4: the one thread that changes anything. It takes events, applies what they mean to the state, and
//! publishes snapshots; it is never on a query's path.
//!
//! ```text
//! Event ─► Delta ─► State::apply ─► Snapshot ─► Published ─► workers are woken
//!                                                   └─► replaced ones wait until nobody reads them,
//!                                                       then the loader frees them
//! ```

mod answers;
pub mod asking;
mod cached;
mod catalogs;
mod ceded;
mod clerk;
pub mod cluster;
mod diff;
pub mod document;
mod due;
pub mod engine;
pub mod exchange;
mod listing;
mod mailbox;
mod members;
mod outward;
mod records;
mod reload;
pub mod request;
pub mod resolving;
mod setting;
mod shares;
mod since;
mod specs;
pub mod status;
mod stopping;
pub mod updates;
pub mod ways;
mod why;
mod zone_status;

pub use mailbox::{Inbox, Mailbox};
pub use specs::{initial, zone_specs};

use crate::base::config::{Config, Inputs};
use crate::base::time::Moment;
use crate::catalog::delta::{Delta, ZoneContent};
use crate::catalog::published::Publisher;
use crate::catalog::state::State;
use crate::control::catalogs::Catalogs;
use crate::control::clerk::Clerk;
use crate::control::cluster::{By, Cluster};
use crate::control::document::NodeDocument;
use crate::control::due::Due;
use crate::control::engine::Tale;
use crate::control::exchange::Exchange;
use crate::control::outward::Outward;
use crate::control::reload::Round;
use crate::control::request::{Answer, Request};
use crate::control::resolving::Resolving;
use crate::control::shares::Shares;
use crate::control::status::Status;
use crate::control::zone_status::{faulty, tell_faults};
use crate::gossip::secrecy::keyring::Ring;
use crate::loader::updates::Updated;
use crate::loader::{Loaded, Loader};
use crate::os::clock;
use crate::resolve::errand::MemberErrand;
use crate::transfer::order::News;
use crate::transfer::update::request::Request as UpdateRequest;
use crate::wire::name::Name;
use crate::worker::Worker;
use crate::zone::Zone;
use crate::zone::builtin::BUILTIN;
use arc_swap::ArcSwap;
use mio::{Events, Poll};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the status is told anew, while snapshots follow each other.
const STATUS_EVERY: Duration = Duration::from_millis(100);
/// Events of the poll taken at once.
const POLL_EVENTS: usize = 256;
/// How often the status is told while nothing changes: more often than anybody reads metrics.
const STATUS_IDLE: Duration = Duration::from_secs(1);
/// How often retired snapshots are looked at.
const RECLAIM_EVERY: Duration = Duration::from_millis(50);

/// What the control thread is told.
#[derive(Debug)]
pub enum Event {
    /// The loader is done with a zone.
    Loaded {
        /// The round it was asked for in.
        round: u64,
        /// The result.
        loaded: Box<Loaded>,
    },
    /// The loader made a zone of what a transfer brought, or could not.
    Arrived(Box<Loaded>),
    /// Updates were carried out.
    Updated(Box<Updated>),
    /// The thread that talks to other servers has something to say of a zone.
    Exchange(News),
    /// Somebody who may wants a zone changed.
    Update(Box<UpdateRequest>),
    /// Read the configuration and the zones anew.
    Reload,
    /// Members to join were found.
    Resolved {
        /// Where.
        addresses: Vec<std::net::SocketAddr>,
        /// No name is missing.
        all: bool,
    },
    /// A user asks for something.
    Request {
        /// What.
        request: Request,
        /// Where the answer goes.
        answer: Answer,
    },
    /// A worker has a query that members may answer.
    AskMember {
        /// The worker's number.
        worker: usize,
        /// What it waits for.
        errand: MemberErrand,
    },
    /// The container engine has news.
    Engine(Vec<Tale>),
    /// Answer what has arrived and end.
    Stop,
}

/// The control thread's own.
pub struct Control {
    inputs: Inputs,
    /// What the server was started with, but for what a reload changes.
    config: Config,
    /// The keys of `gossip.keys_file`, as they were at the start.
    keys: Option<Ring>,
    state: State,
    publisher: Publisher,
    loader: Loader,
    workers: Vec<Worker>,
    status: Arc<ArcSwap<Status>>,
    cluster: Cluster,
    poll: Poll,
    /// The zones asked of the loader, and in which round last.
    awaited: BTreeMap<Name, u64>,
    round: u64,
    publish_took: Duration,
    published: Instant,
    /// What is to be published, and who waits for it.
    due: Due,
    /// The status is to be told anew at that moment.
    status_at: Option<Instant>,
    /// Makes what takes long to make.
    clerk: Clerk,
    /// Who waits to hear where nodes differ.
    diffing: Vec<Answer>,
    /// Who waits for a comparison.
    resyncing: Option<Answer>,
    /// This node left its cluster and is to end.
    leaving: bool,
    /// The reload that is under way.
    reloading: Option<Round>,
    resolving: Resolving,
    exchange: Exchange,
    outward: Outward,
    catalogs: Catalogs,
    shares: Shares,
}

impl Control {
    /// Takes over; `keys`: those of the configured file. The publisher's first snapshot came from `state`, to which [`initial`] was applied. `poll` is the
    /// one whose waker the mailbox has.
    pub fn new(
        (inputs, config, keys): (Inputs, Config, Option<Ring>),
        (state, publisher): (State, Publisher),
        loader: Loader,
        workers: Vec<Worker>,
        status: Arc<ArcSwap<Status>>,
        (cluster, poll): (Cluster, Poll),
        (resolving, exchange): (Resolving, Exchange),
    ) -> Control {
        let mut control = Control {
            inputs,
            config,
            keys,
            state,
            publisher,
            loader,
            workers,
            status,
            cluster,
            poll,
            awaited: BTreeMap::new(),
            round: 0,
            publish_took: Duration::ZERO,
            published: clock::now(),
            due: Due::new(clock::moment(clock::now())),
            status_at: None,
            clerk: Clerk::default(),
            diffing: Vec::new(),
            resyncing: None,
            leaving: false,
            reloading: None,
            resolving,
            exchange,
            outward: Outward::default(),
            catalogs: Catalogs::default(),
            shares: Shares::default(),
        };
        control.find_zones_anew();
        control.recall_shares();
        control.exchange_anew();
        control.load_zones();
        control.tell_status();
        control
    }

    /// Runs until it is told to stop.
    pub fn run(mut self, inbox: &Inbox) {
        let mut events = Events::with_capacity(POLL_EVENTS);
        let mut more_work = false;
        loop {
            let patience = if more_work { Duration::ZERO } else { self.patience() };
            if let Err(error) = self.poll.poll(&mut events, Some(patience))
                && error.kind() != std::io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "waiting for events failed");
            }
            let now = clock::moment(clock::now());
            for event in events.iter() {
                self.cluster.ready(now, event);
            }
            while let Some(event) = inbox.next() {
                match event {
                    Event::Stop => return self.stop(inbox),
                    event => {
                        let is_changed = self.take(event);
                        self.due.note(is_changed);
                    }
                }
            }
            self.turn(now);
            if self.leaving {
                return self.stop(inbox);
            }
            self.due.note(self.state.next_expiry() <= now);
            more_work = self.state.work(now);
            if self.due.is_due(clock::moment(clock::now()), &self.state, more_work) {
                self.publish(more_work);
            }
            if self.status_at.is_some_and(|at| at <= clock::now()) {
                self.tell_status();
            }
            for retired in self.publisher.reclaim() {
                self.loader.free(retired);
            }
        }
    }

    /// Gives the cluster its turn.
    fn turn(&mut self, now: Moment) {
        let mut deltas = self.cluster.turn(now, self.poll.registry());
        deltas.extend(self.correspond(now));
        self.due.note(!deltas.is_empty());
        deltas.into_iter().for_each(|delta| self.state.apply(delta));
        self.take_shares();
        self.due.applied(&self.state);
        self.take_cuts();
        self.tell_drained();
        self.tell_resynced();
        self.tell_diff();
    }

    /// How long nothing needs to be done without an event.
    fn patience(&self) -> Duration {
        let now = clock::now();
        let next = self.cluster.next_wake().min(self.state.next_expiry()).min(self.due.next());
        let next = next.since(clock::moment(now));
        let status = self.status_at.map_or(Duration::MAX, |at| at.saturating_duration_since(now));
        let reclaim = if self.publisher.retired() > 0 { RECLAIM_EVERY } else { Duration::from_secs(3600) };
        match self.cluster.has_more() {
            true => Duration::ZERO,
            // The poll counts in whole milliseconds and rounds up; a timer that comes a little late is no harm.
            false => next.min(status).min(reclaim),
        }
    }

    /// Takes an event; true if the state changed.
    fn take(&mut self, event: Event) -> bool {
        match event {
            Event::Loaded { round, loaded } => self.take_zone(round, *loaded),
            Event::Arrived(loaded) => self.take_arrival(*loaded),
            Event::Updated(updated) => self.take_updates(*updated),
            Event::Exchange(news) => self.hear(news),
            Event::Update(request) => self.update(*request),
            Event::Reload => self.reload().is_ok(),
            Event::Request { request, answer } => self.obey(request, answer),
            Event::Resolved { addresses, all } => {
                self.cluster.join(clock::moment(clock::now()), By::Resolver, &addresses, all);
                false
            }
            Event::Engine(tales) => {
                let was_connected = self.cluster.engine_status().is_some_and(|status| status.is_connected);
                self.cluster.hear_engine(clock::moment(clock::now()), clock::wall(), tales);
                // Of all else the status tells soon enough.
                if self.cluster.engine_status().is_some_and(|status| status.is_connected != was_connected) {
                    self.status_at = Some(clock::now());
                }
                // What changed of the cluster's records comes with its next turn.
                false
            }
            Event::AskMember { worker, errand } => {
                self.ask_members(worker, errand);
                false
            }
            // The caller has seen to it.
            Event::Stop => false,
        }
    }

    fn take_zone(&mut self, round: u64, loaded: Loaded) -> bool {
        let Loaded { origin, zone, faults, checked } = loaded;
        if self.awaited.get(&origin) != Some(&round) {
            // Overtaken by a reload.
            self.loader.free(zone);
            return false;
        }
        self.awaited.remove(&origin);
        let is_secondary = self.is_secondary(&origin);
        // That there is no copy yet is no fault of anybody.
        if !is_secondary {
            tell_faults(&origin, &faults);
        }
        if faults.errors() > 0
            && !is_secondary
            && let Some(reload) = &mut self.reloading
        {
            reload.faulty.push(faulty(&origin, &faults).document());
        }
        let changed = match zone {
            // Of a zone that comes from elsewhere a reload has nothing new; unless it was a primary until now.
            Some(zone)
                if checked.is_some() && self.at_hand(&origin).is_some_and(|old| Arc::ptr_eq(&old, &zone)) =>
            {
                self.loader.free(zone);
                false
            }
            Some(zone) => {
                let (serial, records) = (zone.serial().0, zone.record_count());
                if self.is_configured(&origin) {
                    tracing::info!(zone = %origin, serial, records, "zone loaded");
                }
                let old = self.served(&origin).map(|old| old.serial());
                let content = ZoneContent::Sealed(Arc::clone(&zone));
                self.state.apply(Delta::PutZone { origin: origin.clone(), content });
                self.tell_served(old, &zone, checked);
                self.take_catalog(&origin);
                true
            }
            None if self.is_secondary(&origin) => {
                self.tell_absent(&origin);
                let is_new = self.served(&origin).is_none();
                if is_new {
                    self.state
                        .apply(Delta::PutZone { origin, content: ZoneContent::Faulty(Arc::new(faults)) });
                }
                is_new
            }
            None if self.served(&origin).is_some() => {
                tracing::error!(zone = %origin, "the zone's file is faulty: its former content stays");
                false
            }
            None => {
                tracing::error!(zone = %origin, "the zone is faulty: its names get SERVFAIL");
                self.state.apply(Delta::PutZone { origin, content: ZoneContent::Faulty(Arc::new(faults)) });
                true
            }
        };
        // Readiness may hang on the last zone, even if that did not change.
        changed || self.awaited.is_empty()
    }

    /// The zone of that origin, as it is served.
    fn served(&self, origin: &Name) -> Option<Arc<Zone>> {
        match &self.state.zone(origin)?.content {
            ZoneContent::Sealed(zone) => Some(Arc::clone(zone)),
            ZoneContent::Pending | ZoneContent::Expired(_) | ZoneContent::Faulty(_) => None,
        }
    }

    fn is_configured(&self, origin: &Name) -> bool {
        !BUILTIN.iter().any(|(builtin, _, _)| Name::parse(builtin).as_ref() == Ok(origin))
    }

    /// Publishes what has been worked on; `more`: there is more to work on.
    fn publish(&mut self, more: bool) {
        let start = clock::now();
        self.publisher.publish(self.state.snapshot_so_far());
        for worker in &self.workers {
            worker.nudge();
        }
        self.acknowledge();
        self.tell_others();
        self.tell_shared();
        let end = clock::now();
        self.publish_took = end.saturating_duration_since(start);
        self.published = end;
        let is_over = self.awaited.is_empty() && self.reloading.is_some();
        // Whoever waits for the server to be ready waits for this; and after a reload `zones` tells the new ones.
        if is_over || !self.status.load().ready {
            self.tell_status();
        }
        self.tell_reloaded();
        let (now, cluster) = (clock::moment(end), &self.cluster);
        self.due.published(now, self.publish_took, (&self.state, more), |answer, reply| {
            cluster.answer_when_kept(now, answer, Ok(reply));
        });
        let soon = end + STATUS_EVERY;
        self.status_at = Some(self.status_at.map_or(soon, |at| at.min(soon)));
    }

    fn tell_status(&mut self) {
        // The cluster's traffic is counted though nothing is published.
        let changes = self.cluster.is_open() || self.cluster.engine_status().is_some();
        self.status_at = changes.then(|| clock::now() + STATUS_IDLE);
        let loading =
            self.state.zones().filter(|(_, zone)| matches!(zone.content, ZoneContent::Pending)).count();
        let mut reasons = Vec::new();
        if loading > 0 {
            reasons.push(format!("{loading} zones are being loaded"));
        }
        if self.cluster.awaits_engine() {
            reasons.push("the containers of this node are not known yet".to_owned());
        } else if !self.cluster.is_synced() {
            reasons.push("the cluster's records are not known yet".to_owned());
        }
        let me = self.cluster.gossip.me();
        let node = NodeDocument {
            name: me.name.to_string(),
            id: Some(me.id.to_string()),
            generation: Some(self.cluster.gossip.generation().0),
        };
        self.status.store(Arc::new(Status {
            node,
            cluster: self.cluster.is_open().then(|| self.cluster.document()),
            gossip: self.cluster.is_open().then(|| self.cluster.numbers()),
            engine: self.cluster.engine_status(),
            records: self.records_by_owner(),
            ready: reasons.is_empty(),
            reason: reasons.join("; "),
            zones: self.zone_statuses(),
            slots: self.state.slots().iter().map(Name::to_string).collect(),
            revision: self.publisher.published().load().revision().0,
            published: Some(self.published),
            publish_took: self.publish_took,
        }));
    }
}
