//! Watching the container engine of this node: the sockets and the clock of the machines in `discovery::engine`.
//!
//! ```text
//! engine ─ events ─► Events ─┐                        ┌─ Tale ─► control thread: this node's own entries
//! engine ◄─ questions ───────┴─► Containers, Managing ┘
//!                                     ▲ who speaks for the swarm ─ control thread
//! engine ◄─ which tasks are members, too? ─ Kin ─► addresses to join ─► control thread
//! ```
//!
//! A connection that breaks is made anew, at first at once, later every ten seconds; what the machines say meanwhile is
//! theirs to know.

mod client;
mod shadow;

pub use shadow::{Board, Compared, RESOLVER};

use crate::base::config::{EngineSocket, Peer};
use crate::base::time::Moment;
use crate::control::engine::Tale;
pub use crate::discovery::engine::Terms;
use crate::discovery::engine::answer::{Container, Event, Info, Network, PlacedTask, Service, Summary, Task};
use crate::discovery::engine::{Ask, Containers, Inquiry, Kin, Managing, Output, Search, Speaker, Step};
use crate::os::clock;
use crate::services::docker::client::{Client, Events, Failure, Session};
use crate::services::docker::shadow::{Outcome, Shadowing};
use std::net::{IpAddr, UdpSocket};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How long after a connection that failed the next is tried: at first, and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// Events that wait to be looked at: more stay with the engine.
const EVENTS_MAX: usize = 256;
/// The longest sleep: a timer of for ever is none that the runtime takes.
const SLEEP_MAX: Duration = Duration::from_secs(3_600);

/// Hands news to the control thread; it must not block.
pub type Tell = Box<dyn Fn(Vec<Tale>) + Send>;

/// Where the services hear who speaks for the swarm.
pub struct Hearing(watch::Receiver<Speaker>);

/// Both ends of the way on which the control thread says who speaks for the swarm.
pub fn speaking() -> (Box<dyn Fn(Speaker) + Send>, Hearing) {
    let (sender, receiver) = watch::channel(Speaker::Nobody);
    // Whoever heard it may be gone when the server stops.
    (Box::new(move |speaker| _ = sender.send(speaker)), Hearing(receiver))
}

/// What to watch, and how.
pub struct Docker {
    /// Where the engine listens.
    pub socket: EngineSocket,
    /// Somebody asked for it: that nobody is there is worth a warning.
    pub is_asked_for: bool,
    /// The newest version of the API to speak (`DOCKER_API_VERSION`).
    pub api_max: Option<String>,
    /// What counts.
    pub terms: Terms,
    /// Members to join, which may be tasks of this node's own service.
    pub joins: Vec<Peer>,
    /// How often everything is listed.
    pub relist: Duration,
    /// How long what was said is true without the engine.
    pub lease: Duration,
    /// Where news go.
    pub tell: Tell,
    /// Who speaks for the swarm.
    pub hearing: Hearing,
    /// What is compared with the engine's own resolver, if anything is.
    pub shadow: Option<Compared>,
}

impl Docker {
    /// Where it is shown what came of comparing with the engine's own resolver.
    pub fn board(&self) -> Option<Board> {
        self.shadow.as_ref().map(|compared| compared.board.clone())
    }
}

/// What came of something that was asked.
enum Done {
    Opened(Result<Session, Failure>),
    Listed(Result<Option<Vec<Summary>>, Failure>),
    Inspected(String, Result<Option<Container>, Failure>),
    Networks(Result<Option<Vec<Network>>, Failure>),
    Services(Result<Option<Vec<Service>>, Failure>),
    Tasks(Result<Option<Vec<Task>>, Failure>),
    Kin(Result<Option<Vec<PlacedTask>>, Failure>),
    Info(Result<Option<Info>, Failure>),
    Compared(Outcome),
}

/// Watches until it is told to stop.
pub(super) async fn run(docker: Option<Docker>, mut stop: watch::Receiver<()>) {
    let Some(docker) = docker else { return };
    let mut watch = Watch::new(docker);
    loop {
        watch.drain();
        let patience = watch.next_wake().since(now()).min(SLEEP_MAX);
        tokio::select! {
            // Nothing is ever sent: the sender is dropped.
            _ = stop.changed() => return,
            changed = watch.speaker.changed() => match changed {
                Ok(()) => {
                    let speaker = *watch.speaker.borrow_and_update();
                    watch.managing.speaker(now(), speaker);
                    watch.kin.speaker(now(), speaker);
                }
                Err(_) => return,
            },
            event = watch.events.recv(), if watch.client.is_some() => match event {
                Some(Ok(event)) => watch.hear(&event),
                Some(Err(failure)) => watch.lose(&failure.to_string(), false),
                None => watch.lose("it ended its events", false),
            },
            Some(done) = watch.tasks.join_next() => match done {
                Ok(done) => watch.take(done),
                // Nothing is aborted but with the whole set.
                Err(error) => tracing::error!(%error, "a question to the container engine died"),
            },
            () = sleep(patience) => watch.handle_timeout(),
        }
    }
}

/// Only an address of one's own can be bound.
fn is_ours(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

fn now() -> Moment {
    clock::moment(clock::now())
}

struct Watch {
    socket: EngineSocket,
    is_asked_for: bool,
    api_max: Option<String>,
    relist: Duration,
    tell: Tell,
    speaker: watch::Receiver<Speaker>,
    containers: Containers,
    managing: Managing,
    kin: Kin,
    shadow: Option<Shadowing>,
    /// The engine, while it is connected.
    client: Option<Client>,
    events: mpsc::Receiver<Result<Event, Failure>>,
    /// What is being asked. Those of a connection end with it.
    tasks: JoinSet<Done>,
    /// When the next connection is tried; never while there is one, or one is tried.
    open_at: Moment,
    backoff: Duration,
    /// When the node's part in a swarm is looked at.
    info_at: Moment,
    /// The swarm that it manages.
    swarm: Option<String>,
    /// It was told that the engine is out of reach.
    is_told: bool,
    tales: Vec<Tale>,
}

impl Watch {
    fn new(docker: Docker) -> Watch {
        let (_, events) = mpsc::channel(1);
        Watch {
            socket: docker.socket,
            is_asked_for: docker.is_asked_for,
            api_max: docker.api_max,
            relist: docker.relist,
            tell: docker.tell,
            speaker: docker.hearing.0,
            containers: Containers::new(now(), docker.terms.clone(), docker.relist, docker.lease),
            managing: Managing::new(docker.terms, docker.relist, docker.lease),
            kin: Kin::new(docker.joins),
            shadow: docker.shadow.map(Shadowing::new),
            client: None,
            events,
            tasks: JoinSet::new(),
            open_at: now(),
            backoff: BACKOFF.0,
            info_at: Moment::NEVER,
            swarm: None,
            is_told: false,
            tales: Vec::new(),
        }
    }

    fn next_wake(&self) -> Moment {
        let machines = self.containers.next_wake().min(self.managing.next_wake()).min(self.kin.next_wake());
        let shadow = self.shadow.as_ref().map_or(Moment::NEVER, Shadowing::next_wake);
        machines.min(self.open_at).min(self.info_at).min(shadow)
    }

    fn handle_timeout(&mut self) {
        let now = now();
        self.containers.handle_timeout(now);
        self.managing.handle_timeout(now);
        self.kin.handle_timeout(now);
        if self.open_at <= now {
            self.open_at = Moment::NEVER;
            let (socket, api_max) = (self.socket.clone(), self.api_max.clone());
            self.tasks.spawn(async move { Done::Opened(Client::open(socket, api_max).await) });
        }
        if self.info_at <= now {
            self.info_at = now + self.relist;
            self.ask("/info", Done::Info);
        }
        if let Some(shadow) = &mut self.shadow {
            shadow.handle_timeout(now, self.containers.said());
        }
    }

    /// Asks what the machines want to be asked, tells what they have to tell.
    fn drain(&mut self) {
        while let Some(output) = self.containers.poll() {
            match output {
                Output::Ask(Ask::List) => self.ask("/containers/json", Done::Listed),
                Output::Ask(Ask::Inspect(id)) => {
                    let path = format!("/containers/{id}/json");
                    self.ask(&path, move |found| Done::Inspected(id, found));
                }
                Output::Put(endpoint) => self.tales.push(Tale::Put(endpoint)),
                Output::Remove(id) => self.tales.push(Tale::Remove(id)),
                Output::Listed => {
                    self.backoff = BACKOFF.0;
                    self.tales.push(Tale::Listed);
                    if let Some(shadow) = &mut self.shadow {
                        shadow.listed(now());
                    }
                }
                Output::Expired => self.tales.push(Tale::Expired),
                Output::Unfit(container, complaints) => tell_unfit("container", &container, &complaints),
            }
        }
        while let Some(step) = self.managing.poll() {
            match step {
                Step::Ask(Inquiry::Networks) => self.ask("/networks", Done::Networks),
                Step::Ask(Inquiry::Services) => self.ask("/services", Done::Services),
                Step::Ask(Inquiry::Tasks) => self.ask("/tasks", Done::Tasks),
                Step::Say(said) => self.tales.push(Tale::Say(said)),
                Step::Unfit(service, complaints) => tell_unfit("service", &service, &complaints),
            }
        }
        while let Some(search) = self.kin.poll() {
            match search {
                Search::Ask(services) => self.ask(&client::tasks_to_run(&services), Done::Kin),
                Search::Join { addresses, is_whole, is_alone } => {
                    self.tales.push(Tale::Kin { addresses, is_whole, is_alone });
                }
            }
        }
        while let Some(comparison) = self.shadow.as_mut().and_then(Shadowing::poll) {
            self.tasks.spawn(async move { Done::Compared(comparison.await) });
        }
        if !self.tales.is_empty() {
            (self.tell)(std::mem::take(&mut self.tales));
        }
    }

    fn ask<T>(&mut self, path: &str, done: impl FnOnce(Result<Option<T>, Failure>) -> Done + Send + 'static)
    where
        T: serde::de::DeserializeOwned + Send,
    {
        // Machines ask nothing while there is no engine.
        let Some(client) = self.client.clone() else { return };
        let path = path.to_owned();
        self.tasks.spawn(async move { done(client.get(&path).await) });
    }

    fn hear(&mut self, event: &Event) {
        let now = now();
        tracing::trace!(kind = event.kind, action = event.action, id = event.actor.id, "the engine tells");
        self.containers.event(now, event);
        self.managing.event(now, event);
    }

    fn take(&mut self, done: Done) {
        let now = now();
        match done {
            Done::Opened(Ok(session)) => self.open(session),
            Done::Opened(Err(failure)) => self.lose(&failure.to_string(), failure.is_nobody()),
            Done::Listed(Ok(list)) => self.containers.listed(now, &list.unwrap_or_default()),
            Done::Listed(Err(failure)) => self.failed(&failure, Ask::List),
            Done::Inspected(id, Ok(found)) => self.containers.inspected(now, &id, found),
            Done::Inspected(id, Err(failure)) => self.failed(&failure, Ask::Inspect(id)),
            Done::Networks(Ok(list)) => self.managing.networks(&list.unwrap_or_default()),
            Done::Services(Ok(list)) => self.managing.services(list.unwrap_or_default()),
            Done::Tasks(Ok(list)) => self.managing.tasks(now, list.unwrap_or_default()),
            Done::Networks(Err(failure)) => self.unmanageable(&failure, Inquiry::Networks),
            Done::Services(Err(failure)) => self.unmanageable(&failure, Inquiry::Services),
            Done::Tasks(Err(failure)) => self.unmanageable(&failure, Inquiry::Tasks),
            Done::Kin(Ok(list)) => self.kin.listed(now, &list.unwrap_or_default(), is_ours),
            Done::Kin(Err(failure)) => {
                tracing::debug!(%failure, "the container engine does not tell where members are");
                self.kin.failed(now);
            }
            Done::Info(Ok(info)) => self.learn_part(&info.unwrap_or_default()),
            Done::Compared(outcome) => {
                if let Some(shadow) = &mut self.shadow {
                    shadow.take(now, outcome);
                }
            }
            Done::Info(Err(failure)) => {
                tracing::debug!(%failure, "the container engine does not tell of itself")
            }
        }
    }

    fn failed(&mut self, failure: &Failure, ask: Ask) {
        tracing::debug!(%failure, ?ask, "the container engine does not answer");
        self.containers.failed(now(), &ask);
    }

    /// Perhaps it is no manager any more.
    fn unmanageable(&mut self, failure: &Failure, inquiry: Inquiry) {
        tracing::debug!(%failure, ?inquiry, "the container engine does not tell of its swarm");
        self.tales.push(Tale::Mute);
        self.managing.failed(now(), inquiry);
        self.info_at = now();
    }

    fn open(&mut self, session: Session) {
        let Session { client, info, events } = session;
        tracing::info!(version = info.server_version, socket = %self.socket, "the container engine is connected");
        self.client = Some(client);
        self.is_told = false;
        let (sender, receiver) = mpsc::channel(EVENTS_MAX);
        self.events = receiver;
        self.tasks.spawn(read(events, sender));
        self.tales.push(Tale::Connected { version: info.server_version.clone() });
        self.containers.connected();
        self.swarm = None;
        self.info_at = now() + self.relist;
        self.managing.connected(now(), info.managed().is_some());
        self.kin.connected(now(), info.managed().is_some());
        self.say_part(info.managed());
    }

    /// The engine's part in a swarm may have changed.
    fn learn_part(&mut self, info: &Info) {
        let managed = info.managed();
        // What was said of a swarm stays true while nobody can change it.
        if managed != self.swarm.as_deref() && !info.is_leaderless() {
            self.managing.connected(now(), managed.is_some());
            self.kin.connected(now(), managed.is_some());
            self.say_part(managed);
        }
    }

    fn say_part(&mut self, managed: Option<&str>) {
        self.swarm = managed.map(str::to_owned);
        self.tales.push(Tale::Manages(self.swarm.clone()));
    }

    /// There is no engine; `nobody`: and nobody listens where it should be.
    fn lose(&mut self, why: &str, nobody: bool) {
        self.client = None;
        // Answers to what was asked are of no use any more.
        self.tasks = JoinSet::new();
        self.info_at = Moment::NEVER;
        let now = now();
        self.containers.lost(now);
        self.managing.lost(now);
        self.kin.lost();
        if let Some(shadow) = &mut self.shadow {
            shadow.lost();
        }
        self.open_at = now + self.backoff;
        self.backoff = (self.backoff * 2).min(BACKOFF.1);
        if std::mem::replace(&mut self.is_told, true) {
            return;
        }
        self.tales.push(Tale::Lost { error: why.to_owned() });
        let socket = &self.socket;
        match nobody && !self.is_asked_for {
            true => {
                tracing::info!(%socket, "there is no container engine: no names from containers until there is")
            }
            false => tracing::warn!(%socket, "the container engine is out of reach: {why}"),
        }
    }
}

/// Reads events until they end or nobody wants them any more. What it gives is never taken: it ends with its set.
async fn read(mut events: Events, sender: mpsc::Sender<Result<Event, Failure>>) -> Done {
    loop {
        let event = match events.next().await.transpose() {
            Some(event) => event,
            None => break,
        };
        let is_over = event.is_err();
        if sender.send(event).await.is_err() || is_over {
            break;
        }
    }
    drop(sender);
    // Whoever waits for events is told by the end of the channel.
    std::future::pending().await
}

fn tell_unfit(what: &str, name: &str, complaints: &[String]) {
    for complaint in complaints {
        tracing::warn!("{what} {name}: {complaint}");
    }
}
