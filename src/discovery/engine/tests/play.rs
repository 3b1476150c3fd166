//! An engine as a table, a machine, and the time between them.

use crate::base::time::Moment;
use crate::discovery::endpoint::Endpoint;
use crate::discovery::engine::answer::{Container, Event, Summary};
use crate::discovery::engine::{Ask, Containers, Output, Terms};
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) const RELIST: Duration = Duration::from_secs(60);
pub(super) const LEASE: Duration = Duration::from_secs(60);

/// How things stand between two steps.
pub(super) struct Play {
    pub(super) now: Moment,
    pub(super) machine: Containers,
    /// What the engine has, running or not.
    pub(super) engine: BTreeMap<String, Container>,
    /// What it was asked and has not answered.
    pub(super) asked: Vec<Ask>,
    /// What the node says, by what it was told: not what the machine thinks it said.
    pub(super) said: BTreeMap<String, Endpoint>,
    /// Lists that were worked through.
    pub(super) listed: usize,
    pub(super) expired: usize,
    pub(super) unfit: Vec<(String, Vec<String>)>,
}

pub(super) fn terms() -> Terms {
    Terms { node: "n1".into(), networks: Vec::new(), label_prefix: "hivedns.".into() }
}

impl Play {
    pub(super) fn new(terms: Terms) -> Play {
        let now = Moment::from_micros(1_000_000_000);
        Play {
            now,
            machine: Containers::new(now, terms, RELIST, LEASE),
            engine: BTreeMap::new(),
            asked: Vec::new(),
            said: BTreeMap::new(),
            listed: 0,
            expired: 0,
            unfit: Vec::new(),
        }
    }

    /// With this engine, connected, everything answered.
    pub(super) fn with(terms: Terms, engine: &BTreeMap<String, Container>) -> Play {
        let mut play = Play::new(terms);
        play.engine.clone_from(engine);
        play.connect();
        play.answer_all();
        play
    }

    pub(super) fn connect(&mut self) {
        self.asked.clear();
        self.machine.connected();
        self.drain();
    }

    pub(super) fn lose(&mut self) {
        self.machine.lost(self.now);
        self.asked.clear();
        self.drain();
    }

    pub(super) fn event(&mut self, event: &Event) {
        self.machine.event(self.now, event);
        self.drain();
    }

    /// Takes what the machine wants and tells.
    pub(super) fn drain(&mut self) {
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Ask(ask) => self.asked.push(ask),
                Output::Put(endpoint) => {
                    assert_ne!(self.said.get(&endpoint.id), Some(&*endpoint), "nothing is said twice");
                    self.said.insert(endpoint.id.clone(), *endpoint);
                }
                Output::Remove(id) => {
                    assert!(self.said.remove(&id).is_some(), "what was never said is not taken back: {id}");
                }
                Output::Listed => self.listed += 1,
                Output::Expired => self.expired += 1,
                Output::Unfit(name, why) => self.unfit.push((name, why)),
            }
        }
        let thinks: BTreeMap<String, Endpoint> =
            self.machine.said().map(|e| (e.id.clone(), e.clone())).collect();
        assert_eq!(thinks, self.said);
    }

    /// Answers the question at that place with what the engine has now.
    pub(super) fn answer(&mut self, at: usize) {
        match self.asked.remove(at) {
            Ask::List => {
                let running = self.engine.values().filter(|container| container.state.running);
                let list: Vec<Summary> =
                    running.map(|container| Summary { id: container.id.clone() }).collect();
                self.machine.listed(self.now, &list);
            }
            Ask::Inspect(id) => {
                let found = self.engine.get(&id).cloned();
                self.machine.inspected(self.now, &id, found);
            }
        }
        self.drain();
    }

    pub(super) fn answer_all(&mut self) {
        while !self.asked.is_empty() {
            self.answer(0);
        }
    }

    /// Lets time go by; whatever is due is done, and answered at once.
    pub(super) fn pass(&mut self, span: Duration) {
        let until = self.now + span;
        loop {
            let due = self.machine.next_wake();
            if due > until {
                break;
            }
            self.now = due.max(self.now);
            self.machine.handle_timeout(self.now);
            self.drain();
            self.answer_all();
        }
        self.now = until;
    }

    /// Names of the containers that are said of, with why each gets no work.
    pub(super) fn told(&self) -> Vec<String> {
        let mut told: Vec<String> = self
            .said
            .values()
            .map(|endpoint| match endpoint.withdrawn {
                Some(why) => format!("{} {:?} {why:?}", endpoint.name, endpoint.health),
                None => format!("{} {:?}", endpoint.name, endpoint.health),
            })
            .collect();
        told.sort();
        told
    }
}
