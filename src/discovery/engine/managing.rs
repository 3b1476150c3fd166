//! What only managers of a swarm know, on the one instance that speaks for it: services with their labels, aliases and
//! virtual addresses, and tasks that are to end.
//!
//! Managers tell events of services and nodes but none of tasks. So tasks are listed after each of those, and again and
//! again while anything moves; a list that was asked for before the last event is taken and asked for again.

use crate::base::time::Moment;
use crate::discovery::engine::answer::{Event, Network, Service, Task};
use crate::discovery::engine::translate::{Terms, network_names, service};
use crate::discovery::service::{ServiceSpec, TaskState};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// How often tasks are listed while an update runs or something moves.
const TASKS_EVERY: Duration = Duration::from_millis(250);
/// How long after the last change something may still move: scheduling takes a second or two after each event.
const SETTLING: Duration = Duration::from_secs(5);
/// How long after a question that failed it is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// A list that a manager's engine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Inquiry {
    /// All networks, for their names.
    Networks,
    /// All services.
    Services,
    /// All tasks.
    Tasks,
}

/// Who speaks for the swarm of this node's engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Speaker {
    /// Nobody who could is known.
    #[default]
    Nobody,
    /// This node.
    Me,
    /// Another.
    Other,
}

/// What the machine wants, and what it has to tell.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask the engine that.
    Ask(Inquiry),
    /// The node says this.
    Say(Said),
    /// Labels of a service, by its name, that cannot be obeyed.
    Unfit(String, Vec<String>),
}

/// What this node says for its swarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Of a service, in place of what was said of it before.
    Service(Box<ServiceSpec>),
    /// Nothing more of the service of that id.
    NoService(String),
    /// Of a task.
    Task(TaskState),
    /// Nothing more of the task of that id.
    NoTask(String),
    /// All that the swarm told has been said; or it is being taken back.
    Whole(bool),
}

/// How it stands with one list.
#[derive(Debug, Default)]
struct Question {
    is_asked: bool,
    /// It is to be asked, or asked again.
    is_dirty: bool,
}

/// See the module. **After each call, poll until nothing comes.**
#[derive(Debug)]
pub struct Managing {
    terms: Terms,
    relist: Duration,
    lease: Duration,
    speaker: Speaker,
    is_connected: bool,
    networks: BTreeMap<String, String>,
    services: Vec<Service>,
    tasks: Vec<Task>,
    questions: BTreeMap<Inquiry, Question>,
    said_services: BTreeMap<String, ServiceSpec>,
    said_tasks: BTreeSet<String>,
    /// Services were listed since it speaks, and tasks.
    heard: (bool, bool),
    /// All of that was said.
    is_whole: bool,
    unfit: BTreeMap<String, Vec<String>>,
    /// Something may move until then.
    busy_until: Moment,
    tasks_at: Moment,
    all_at: Moment,
    expires: Moment,
    steps: VecDeque<Step>,
}

impl Managing {
    /// Says nothing until it is told that this node is to speak.
    pub fn new(terms: Terms, relist: Duration, lease: Duration) -> Managing {
        Managing {
            terms,
            relist,
            lease,
            speaker: Speaker::Nobody,
            is_connected: false,
            networks: BTreeMap::new(),
            services: Vec::new(),
            tasks: Vec::new(),
            questions: BTreeMap::new(),
            said_services: BTreeMap::new(),
            said_tasks: BTreeSet::new(),
            heard: (false, false),
            is_whole: false,
            unfit: BTreeMap::new(),
            busy_until: Moment::START,
            tasks_at: Moment::NEVER,
            all_at: Moment::NEVER,
            expires: Moment::NEVER,
            steps: VecDeque::new(),
        }
    }

    /// The engine's events are subscribed to; `is_manager`: it manages a swarm. Answers to what was asked before must
    /// not be handed in any more. Of an engine that does not manage any more what was said stays as if it were lost: who is
    /// to speak in its place has not spoken yet.
    pub fn connected(&mut self, now: Moment, is_manager: bool) {
        self.questions.clear();
        if !is_manager {
            return self.lost(now);
        }
        self.is_connected = true;
        self.expires = Moment::NEVER;
        self.look(now);
    }

    /// The engine is out of reach: what was said stays for a lease, unless another speaks.
    pub fn lost(&mut self, now: Moment) {
        if std::mem::take(&mut self.is_connected) {
            self.expires = now + self.lease;
            (self.tasks_at, self.all_at) = (Moment::NEVER, Moment::NEVER);
            self.steps.retain(|step| !matches!(step, Step::Ask(_)));
        }
    }

    /// Another was elected, or this node.
    pub fn speaker(&mut self, now: Moment, speaker: Speaker) {
        let was = std::mem::replace(&mut self.speaker, speaker);
        match (was, speaker) {
            (Speaker::Me, Speaker::Me) => {}
            (_, Speaker::Me) => self.look(now),
            (_, Speaker::Other) => self.fall_silent(),
            // Until somebody is found what was said is better than nothing.
            (_, Speaker::Nobody) => {}
        }
    }

    /// Something happened at the engine.
    pub fn event(&mut self, now: Moment, event: &Event) {
        match event.kind.as_str() {
            "service" | "node" => self.look(now),
            "network" if matches!(event.action.as_str(), "create" | "remove" | "destroy") => {
                self.ask(Inquiry::Networks);
            }
            _ => {}
        }
    }

    /// The networks.
    pub fn networks(&mut self, networks: &[Network]) {
        self.networks = network_names(networks);
        self.answered(Inquiry::Networks);
        self.say_services();
    }

    /// The services.
    pub fn services(&mut self, services: Vec<Service>) {
        self.services = services;
        let vips = self.services.iter().flat_map(|service| &service.endpoint.virtual_ips);
        let is_unknown = vips.map(|vip| &vip.network_id).any(|id| !self.networks.contains_key(id));
        self.answered(Inquiry::Services);
        self.heard.0 |= self.speaks();
        self.say_services();
        if is_unknown && !self.questions.get(&Inquiry::Networks).is_some_and(|question| question.is_asked) {
            self.ask(Inquiry::Networks);
        }
    }

    /// The tasks.
    pub fn tasks(&mut self, now: Moment, tasks: Vec<Task>) {
        if tasks != self.tasks {
            self.busy_until = now + SETTLING;
            self.tasks = tasks;
        }
        self.answered(Inquiry::Tasks);
        if !self.speaks() {
            return;
        }
        let ends: BTreeSet<String> =
            self.tasks.iter().filter(|task| is_to_end(task)).map(|task| task.id.clone()).collect();
        for id in self.said_tasks.difference(&ends) {
            self.steps.push_back(Step::Say(Said::NoTask(id.clone())));
        }
        for id in ends.difference(&self.said_tasks) {
            let state = TaskState { id: id.clone(), withdrawn: true };
            self.steps.push_back(Step::Say(Said::Task(state)));
        }
        self.said_tasks = ends;
        self.heard.1 = true;
        self.say_whole();
        let updates = self.services.iter().any(|service| is_updating(&service.update_status.state));
        let is_busy = updates || now < self.busy_until;
        self.tasks_at = if is_busy { now + TASKS_EVERY } else { Moment::NEVER };
        if updates && now >= self.busy_until {
            // Its end is no event of its own on every engine.
            self.ask(Inquiry::Services);
            self.busy_until = now + SETTLING;
        }
    }

    /// A question failed, though the engine is there.
    pub fn failed(&mut self, now: Moment, inquiry: Inquiry) {
        self.questions.entry(inquiry).or_default().is_asked = false;
        self.all_at = self.all_at.min(now + AGAIN);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Moment) {
        if self.all_at <= now {
            self.all_at = Moment::NEVER;
            self.look(now);
        }
        if self.tasks_at <= now {
            self.tasks_at = Moment::NEVER;
            self.ask(Inquiry::Tasks);
        }
        if self.expires <= now {
            self.fall_silent();
        }
    }

    /// When [`Managing::handle_timeout`] is due.
    pub fn next_wake(&self) -> Moment {
        self.all_at.min(self.tasks_at).min(self.expires)
    }

    /// The next thing to do or to tell; none: nothing more now.
    pub fn poll(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    fn speaks(&self) -> bool {
        self.is_connected && self.speaker == Speaker::Me
    }

    /// Looks at everything, and then more often for a while.
    fn look(&mut self, now: Moment) {
        if !self.speaks() {
            return;
        }
        self.busy_until = now + SETTLING;
        self.all_at = now + self.relist;
        [Inquiry::Networks, Inquiry::Services, Inquiry::Tasks]
            .into_iter()
            .for_each(|inquiry| self.ask(inquiry));
    }

    fn ask(&mut self, inquiry: Inquiry) {
        if !self.speaks() {
            return;
        }
        let question = self.questions.entry(inquiry).or_default();
        if question.is_asked {
            question.is_dirty = true;
            return;
        }
        *question = Question { is_asked: true, is_dirty: false };
        self.steps.push_back(Step::Ask(inquiry));
    }

    fn answered(&mut self, inquiry: Inquiry) {
        let question = self.questions.entry(inquiry).or_default();
        question.is_asked = false;
        if std::mem::take(&mut question.is_dirty) {
            self.ask(inquiry);
        }
    }

    fn say_services(&mut self) {
        // Before the first list of networks nothing has a name that could be held against the configuration.
        if !self.speaks() || self.networks.is_empty() {
            return;
        }
        let mut now_said = BTreeMap::new();
        for known in self.services.iter().filter(|service| !service.id.is_empty()) {
            let (spec, unfit) = service(known, &self.networks, &self.terms);
            if self.unfit.get(&spec.id) != Some(&unfit) {
                if !unfit.is_empty() {
                    self.steps.push_back(Step::Unfit(spec.name.clone(), unfit.clone()));
                }
                self.unfit.insert(spec.id.clone(), unfit);
            }
            now_said.insert(spec.id.clone(), spec);
        }
        for id in self.said_services.keys().filter(|id| !now_said.contains_key(*id)) {
            self.steps.push_back(Step::Say(Said::NoService(id.clone())));
            self.unfit.remove(id);
        }
        for (id, spec) in &now_said {
            if self.said_services.get(id) != Some(spec) {
                self.steps.push_back(Step::Say(Said::Service(Box::new(spec.clone()))));
            }
        }
        self.said_services = now_said;
        self.say_whole();
    }

    /// Says that everything is said, once it is.
    fn say_whole(&mut self) {
        if self.heard == (true, true)
            && !self.networks.is_empty()
            && !std::mem::replace(&mut self.is_whole, true)
        {
            self.steps.push_back(Step::Say(Said::Whole(true)));
        }
    }

    /// Takes everything back.
    fn fall_silent(&mut self) {
        self.expires = Moment::NEVER;
        (self.tasks_at, self.all_at) = (Moment::NEVER, Moment::NEVER);
        self.questions.clear();
        self.services.clear();
        self.tasks.clear();
        self.steps.retain(|step| !matches!(step, Step::Ask(_)));
        self.heard = (false, false);
        if std::mem::take(&mut self.is_whole) {
            self.steps.push_back(Step::Say(Said::Whole(false)));
        }
        let services = std::mem::take(&mut self.said_services).into_keys().map(Said::NoService);
        let tasks = std::mem::take(&mut self.said_tasks).into_iter().map(Said::NoTask);
        self.steps.extend(services.chain(tasks).map(Step::Say));
    }
}

/// True for a task that runs, or is about to, and is to end.
fn is_to_end(task: &Task) -> bool {
    const ENDED: [&str; 6] = ["complete", "shutdown", "failed", "rejected", "remove", "orphaned"];
    matches!(task.desired_state.as_str(), "shutdown" | "remove")
        && !ENDED.contains(&task.status.state.as_str())
}

fn is_updating(state: &str) -> bool {
    matches!(state, "updating" | "rollback_started")
}
