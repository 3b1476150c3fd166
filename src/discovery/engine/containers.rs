//! The containers of this node's own engine.
//!
//! A container is *asked* for (an inspection is under way) or not, and *dirty* (something happened since that was
//! asked) or not. An answer to what was asked after the last event is the truth and ends what events had only hinted
//! at; one that is older is taken all the same, and asked again.

use crate::base::time::Moment;
use crate::discovery::endpoint::{Endpoint, Health, Withdrawn};
use crate::discovery::engine::answer::{Container, Event, Summary};
use crate::discovery::engine::signal;
use crate::discovery::engine::stamp;
use crate::discovery::engine::translate::{Terms, endpoint, unfit_labels};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Inspections under way at once: the engine answers them one after the other anyway.
const ASKED_MAX: usize = 8;
/// How long after a question that failed it is asked again.
const AGAIN: Duration = Duration::from_secs(1);
/// Seconds between the stop signal and SIGKILL where nothing was said, as the engine has it.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long after its stop timeout a container that runs on is believed to go on running.
const SURVIVED: Duration = Duration::from_secs(5);
/// Signals remembered of one container: whoever sends more sends the same.
const KILLS_MAX: usize = 8;

/// Something to ask of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Its running containers.
    List,
    /// The container of that id.
    Inspect(String),
}

/// What the machine wants, and what it has to tell.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask the engine that.
    Ask(Ask),
    /// The node says this of a container, in place of what it said of it before.
    Put(Box<Endpoint>),
    /// The node says nothing any more of the container of that id.
    Remove(String),
    /// All containers of a list have been looked at: what has been said is what the engine has.
    Listed,
    /// The engine has been out of reach for the whole lease: nothing is said of it any more.
    Expired,
    /// Labels of a container, by its name, that cannot be obeyed; told once for each inspection that shows a change.
    Unfit(String, Vec<String>),
}

/// A signal that a container was sent.
#[derive(Debug, Clone, Copy)]
struct Kill {
    signal: u8,
    /// When, on the engine's clock.
    nanos: i64,
    /// When it reached us, on ours.
    at: Moment,
}

/// What is known of one container.
#[derive(Debug, Default)]
struct Known {
    /// What the last inspection found.
    found: Option<Container>,
    /// Something happened that no inspection has seen.
    is_dirty: bool,
    is_asked: bool,
    /// It ended, by an event.
    has_died: bool,
    /// Its check failed, by an event.
    is_unhealthy: bool,
    /// Signals since it was started, the oldest first.
    kills: VecDeque<Kill>,
    /// What this node says of it.
    said: Option<Endpoint>,
}

/// See the module. **After each call, poll until nothing comes.**
#[derive(Debug)]
pub struct Containers {
    terms: Terms,
    /// How often everything is listed.
    relist: Duration,
    lease: Duration,
    known: BTreeMap<String, Known>,
    /// Dirty ones that are to be asked, none twice.
    queue: VecDeque<String>,
    asked: usize,
    /// Those of the list that is being worked on which have not been looked at.
    awaited: Option<BTreeSet<String>>,
    /// A list is under way.
    is_listing: bool,
    is_connected: bool,
    list_at: Moment,
    /// When what has been said ends, while the engine is out of reach.
    expires: Moment,
    /// Those to be looked at at a moment: after a failure, or when they outlived their stop signal.
    later: BTreeSet<(Moment, String)>,
    outputs: VecDeque<Output>,
}

impl Containers {
    /// Knows nothing, says nothing, and waits for the engine until the lease is over.
    pub fn new(now: Moment, terms: Terms, relist: Duration, lease: Duration) -> Containers {
        Containers {
            terms,
            relist,
            lease,
            known: BTreeMap::new(),
            queue: VecDeque::new(),
            asked: 0,
            awaited: None,
            is_listing: false,
            is_connected: false,
            list_at: Moment::NEVER,
            expires: now + lease,
            later: BTreeSet::new(),
            outputs: VecDeque::new(),
        }
    }

    /// The engine's events are subscribed to: whatever happens from now on is told. Answers to what was asked before
    /// must not be handed in any more.
    pub fn connected(&mut self) {
        self.is_connected = true;
        self.list_at = Moment::NEVER;
        self.asked = 0;
        self.queue.clear();
        self.awaited = None;
        for known in self.known.values_mut() {
            known.is_asked = false;
        }
        self.list();
    }

    /// The engine is out of reach.
    pub fn lost(&mut self, now: Moment) {
        if !std::mem::take(&mut self.is_connected) {
            return;
        }
        self.expires = now + self.lease;
        self.list_at = Moment::NEVER;
        self.is_listing = false;
        self.outputs.retain(|output| !matches!(output, Output::Ask(_)));
    }

    /// Something happened at the engine.
    pub fn event(&mut self, now: Moment, event: &Event) {
        let about = match event.kind.as_str() {
            "container" => Some(&event.actor.id),
            "network" => event.actor.attributes.get("container"),
            _ => None,
        };
        let Some(id) = about.filter(|id| !id.is_empty()).cloned() else { return };
        let action = event.action.split(':').next().unwrap_or_default();
        match action {
            "kill" => return self.killed(now, id, event),
            "die" => {
                let known = self.known.entry(id.clone()).or_default();
                // One that comes late is about a process of before; the inspection will tell.
                let started = known.found.as_ref().and_then(|found| stamp::nanos(&found.state.started_at));
                known.has_died = started.is_none_or(|started| started <= event.nanos);
            }
            "health_status" if event.action.ends_with("unhealthy") => {
                self.known.entry(id.clone()).or_default().is_unhealthy = true;
            }
            "start" | "restart" | "stop" | "destroy" | "pause" | "unpause" | "rename" | "update"
            | "health_status" | "connect" | "disconnect" | "oom" => {}
            _ => return,
        }
        self.touch(&id);
        self.settle(&id);
    }

    /// The engine's running containers, as they were when the list was asked for or later.
    pub fn listed(&mut self, now: Moment, list: &[Summary]) {
        self.is_listing = false;
        self.list_at = now + self.relist;
        self.awaited = Some(list.iter().map(|container| container.id.clone()).collect());
        let known = self.known.keys().cloned();
        // Those that are not running any more are looked at, too: one may have been started since.
        let all: BTreeSet<String> = list.iter().map(|container| container.id.clone()).chain(known).collect();
        for id in all.into_iter().filter(|id| !id.is_empty()) {
            self.touch(&id);
        }
        self.settle_list();
    }

    /// What the engine says of a container; none if it has none of that id.
    pub fn inspected(&mut self, now: Moment, id: &str, found: Option<Container>) {
        self.asked = self.asked.saturating_sub(1);
        if let Some(known) = self.known.get_mut(id) {
            known.is_asked = false;
            let is_truth = !known.is_dirty;
            known.take(now, found.filter(runs), is_truth, &mut self.outputs, &self.terms);
            let is_over = known.found.is_none() && is_truth;
            self.settle(id);
            if is_over {
                self.known.remove(id);
            } else {
                self.watch(now, id);
            }
        }
        if let Some(awaited) = &mut self.awaited {
            awaited.remove(id);
        }
        self.settle_list();
        self.ask_next();
    }

    /// A question failed, though the engine is there: it is asked again in a moment.
    pub fn failed(&mut self, now: Moment, ask: &Ask) {
        match ask {
            Ask::List => {
                self.is_listing = false;
                self.list_at = now + AGAIN;
            }
            Ask::Inspect(id) => {
                self.asked = self.asked.saturating_sub(1);
                if let Some(known) = self.known.get_mut(id) {
                    known.is_asked = false;
                    known.is_dirty = true;
                    self.later.insert((now + AGAIN, id.clone()));
                }
                self.ask_next();
            }
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Moment) {
        if self.is_connected && self.list_at <= now {
            self.list_at = Moment::NEVER;
            self.list();
        }
        while let Some((at, id)) = self.later.first().cloned().filter(|(at, _)| *at <= now) {
            self.later.remove(&(at, id.clone()));
            if self.known.contains_key(&id) {
                self.touch(&id);
            }
        }
        if !self.is_connected && self.expires <= now {
            self.expires = Moment::NEVER;
            let said = std::mem::take(&mut self.known).into_iter().filter(|(_, known)| known.said.is_some());
            self.outputs.extend(said.map(|(id, _)| Output::Remove(id)));
            self.later.clear();
            self.outputs.push_back(Output::Expired);
        }
    }

    /// When [`Containers::handle_timeout`] is due.
    pub fn next_wake(&self) -> Moment {
        let later = self.later.first().map_or(Moment::NEVER, |(at, _)| *at);
        match self.is_connected {
            true => self.list_at.min(later),
            // What is due then waits for the engine.
            false => self.expires,
        }
    }

    /// The next thing to do or to tell; none: nothing more now.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What this node says of its containers.
    pub fn said(&self) -> impl Iterator<Item = &Endpoint> + Clone {
        self.known.values().filter_map(|known| known.said.as_ref())
    }

    fn list(&mut self) {
        if !std::mem::replace(&mut self.is_listing, true) {
            self.outputs.push_back(Output::Ask(Ask::List));
        }
    }

    /// A signal. The one that stops a container withdraws it at once; from another nothing follows.
    fn killed(&mut self, now: Moment, id: String, event: &Event) {
        let signal = event.actor.attributes.get("signal").and_then(|text| signal::number(text));
        let Some(signal) = signal else { return };
        let known = self.known.entry(id.clone()).or_default();
        let is_new = known.found.is_none() && !known.is_asked;
        if known.kills.len() == KILLS_MAX {
            known.kills.pop_front();
        }
        known.kills.push_back(Kill { signal, nanos: event.nanos, at: now });
        if is_new {
            self.touch(&id);
        }
        self.settle(&id);
        self.watch(now, &id);
    }

    /// Has a container looked at: now, or again when the answer under way has come.
    fn touch(&mut self, id: &str) {
        let known = self.known.entry(id.to_owned()).or_default();
        let was_queued =
            std::mem::replace(&mut known.is_dirty, true) && self.queue.iter().any(|queued| queued == id);
        if !was_queued && !known.is_asked {
            self.queue.push_back(id.to_owned());
        }
        self.ask_next();
    }

    fn ask_next(&mut self) {
        while self.is_connected && self.asked < ASKED_MAX {
            let Some(id) = self.queue.pop_front() else { return };
            let Some(known) = self.known.get_mut(&id).filter(|known| known.is_dirty && !known.is_asked)
            else {
                continue;
            };
            (known.is_dirty, known.is_asked) = (false, true);
            self.asked += 1;
            self.outputs.push_back(Output::Ask(Ask::Inspect(id)));
        }
    }

    /// Says what is to be said of a container, if that is news; and asks again what has changed meanwhile.
    fn settle(&mut self, id: &str) {
        let Some(known) = self.known.get_mut(id) else { return };
        if known.is_dirty && !known.is_asked && !self.queue.iter().any(|queued| queued == id) {
            self.queue.push_back(id.to_owned());
        }
        let view = known.view(&self.terms);
        if view != known.said {
            self.outputs.push_back(match &view {
                Some(endpoint) => Output::Put(Box::new(endpoint.clone())),
                None => Output::Remove(id.to_owned()),
            });
            known.said = view;
        }
        self.ask_next();
    }

    /// Has a container that was told to stop looked at when it can be believed to go on.
    fn watch(&mut self, now: Moment, id: &str) {
        let Some(at) = self.known.get(id).and_then(Known::survives_at).filter(|at| *at > now) else { return };
        self.later.insert((at, id.to_owned()));
    }

    fn settle_list(&mut self) {
        if self.awaited.as_ref().is_some_and(BTreeSet::is_empty) {
            self.awaited = None;
            self.outputs.push_back(Output::Listed);
        }
    }
}

impl Known {
    /// Takes what an inspection found of a container that runs; `is_truth`: it was asked for after the last event.
    fn take(
        &mut self,
        now: Moment,
        found: Option<Container>,
        is_truth: bool,
        outputs: &mut VecDeque<Output>,
        terms: &Terms,
    ) {
        let labels = |container: &Option<Container>| container.as_ref().map(|c| c.config.labels.clone());
        if let Some(container) = &found
            && labels(&self.found) != labels(&found)
        {
            let unfit = unfit_labels(container, terms);
            if !unfit.is_empty() {
                let name = container.name.trim_start_matches('/').to_owned();
                outputs.push_back(Output::Unfit(name, unfit));
            }
        }
        self.found = found;
        if !is_truth {
            return;
        }
        (self.has_died, self.is_unhealthy) = (false, false);
        let Some(container) = &self.found else { return self.kills.clear() };
        // Signals of before it was started again were another process's.
        if let Some(started) = stamp::nanos(&container.state.started_at) {
            self.kills.retain(|kill| kill.nanos >= started);
        }
        let is_well = matches!(health(container), Health::None | Health::Healthy);
        if is_well && self.survives_at().is_some_and(|at| at <= now) {
            self.kills.clear();
        }
    }

    /// When it may be said again that the container runs on; none, if no signal of those it got stops it.
    fn survives_at(&self) -> Option<Moment> {
        let container = self.found.as_ref()?;
        let stop = signal::stop_signal(&container.config.stop_signal);
        let timeout = match container.config.stop_timeout {
            Some(seconds) => Duration::from_secs(u64::try_from(seconds).ok()?),
            None => STOP_TIMEOUT,
        };
        let stops = self.kills.iter().filter(|kill| kill.signal == stop || kill.signal == signal::KILL);
        stops.map(|kill| kill.at + timeout + SURVIVED).max()
    }

    fn is_stopping(&self) -> bool {
        let Some(container) = &self.found else { return false };
        let stop = signal::stop_signal(&container.config.stop_signal);
        self.kills.iter().any(|kill| kill.signal == stop || kill.signal == signal::KILL)
    }

    /// What is to be said of it.
    fn view(&self, terms: &Terms) -> Option<Endpoint> {
        let container = self.found.as_ref().filter(|_| !self.has_died)?;
        let mut endpoint = endpoint(container, terms)?;
        endpoint.health = if self.is_unhealthy { Health::Unhealthy } else { health(container) };
        endpoint.withdrawn = match (self.is_stopping(), container.state.paused) {
            (true, _) => Some(Withdrawn::Stopping),
            (false, true) => Some(Withdrawn::Paused),
            (false, false) => None,
        };
        Some(endpoint)
    }
}

/// True if the container has a process: while it is being started again it says that it runs, and does not.
fn runs(container: &Container) -> bool {
    let state = &container.state;
    state.running && !state.restarting && !state.dead
}

fn health(container: &Container) -> Health {
    match container.state.health.as_ref().map(|health| health.status.as_str()) {
        Some("starting") => Health::Starting,
        Some("healthy") => Health::Healthy,
        Some("unhealthy") => Health::Unhealthy,
        // `none`, and words of engines to come.
        _ => Health::None,
    }
}
