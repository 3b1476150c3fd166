//! Whom to join before any name leads to them: the tasks of this node's own service, as an engine that manages the swarm
//! lists them.
//!
//! The engine's resolver tells a task's address only when the task's check passes, and ours passes when the cluster's
//! records are known. So members that start together for the first time would look for each other in vain. Managers know
//! the addresses of tasks from when they are placed: a node there reads what the names to join will lead to, and joins
//! those that run. Nodes elsewhere are found by it.
//!
//! A name counts that is an alias in a network in which one of the tasks behind it is this node itself: it is the service's
//! own, then, and not another stack's of the same name, and the others are reached in that network.
//!
//! Tasks that are to run on other nodes are listed from when the service is created on, long before any of them runs. So a node
//! whose own task is the only one, and stays so for a moment, need not wait for others.

use crate::base::config::Peer;
use crate::base::time::Moment;
use crate::discovery::engine::Speaker;
use crate::discovery::engine::answer::PlacedTask;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How often tasks are listed until the cluster's records are known: one that begins to run is joined that soon.
const EVERY: Duration = Duration::from_millis(500);
/// How long after a question that failed it is asked again.
const AGAIN: Duration = Duration::from_secs(1);
/// What stands in front of a service's name or alias where its tasks are meant.
const TASKS: &str = "tasks.";
/// States of a task that has a process, or will in a moment.
const RUNNING: [&str; 2] = ["starting", "running"];

/// What the machine wants, and what it found.
#[derive(Debug, PartialEq, Eq)]
pub enum Search {
    /// Ask the engine for the tasks that are to run, of these services; of all, if there are none.
    Ask(Vec<String>),
    /// Join these; `is_whole`: each name led to some.
    Join {
        /// In order, this node's own among them.
        addresses: Vec<SocketAddr>,
        /// No name is missing.
        is_whole: bool,
        /// This node is all that is found, and no other task is to run.
        is_alone: bool,
    },
}

/// See the module. **After each call, poll until nothing comes.**
#[derive(Debug)]
pub struct Kin {
    joins: Vec<Peer>,
    /// The services behind the names, once they are known.
    services: BTreeSet<String>,
    /// The engine is connected and manages a swarm.
    is_manager: bool,
    /// The cluster's records are not known yet.
    is_sought: bool,
    is_asked: bool,
    at: Moment,
    searches: VecDeque<Search>,
}

impl Kin {
    /// Looks for these as soon as an engine that manages a swarm is connected.
    pub fn new(joins: Vec<Peer>) -> Kin {
        Kin {
            joins,
            services: BTreeSet::new(),
            is_manager: false,
            is_sought: true,
            is_asked: false,
            at: Moment::NEVER,
            searches: VecDeque::new(),
        }
    }

    /// The engine is connected; answers to what was asked before must not be handed in any more.
    pub fn connected(&mut self, now: Moment, is_manager: bool) {
        self.lost();
        self.is_manager = is_manager;
        self.services.clear();
        self.look(now);
    }

    /// The engine is out of reach.
    pub fn lost(&mut self) {
        (self.is_manager, self.is_asked, self.at) = (false, false, Moment::NEVER);
        self.searches.clear();
    }

    /// Who speaks for the swarm. As soon as anybody does, the cluster's records are known and nobody is looked for.
    pub fn speaker(&mut self, now: Moment, speaker: Speaker) {
        self.is_sought = speaker == Speaker::Nobody;
        self.look(now);
    }

    /// The tasks that were asked for. `is_ours` tells this node's own addresses.
    pub fn listed(&mut self, now: Moment, tasks: &[PlacedTask], is_ours: impl Fn(IpAddr) -> bool) {
        self.is_asked = false;
        if !self.seeks() {
            return;
        }
        self.at = now + EVERY;
        let (mut addresses, mut services) = (BTreeSet::new(), BTreeSet::new());
        let mut is_whole = true;
        for join in &self.joins {
            let found = match join.host.parse() {
                Ok(address) => vec![address],
                Err(_) => behind(&join.host, tasks, &is_ours, &mut services),
            };
            is_whole &= !found.is_empty();
            addresses.extend(found.into_iter().map(|ip| SocketAddr::new(ip, join.port)));
        }
        if !services.is_empty() {
            // Tasks that have no addresses yet count, too.
            let planned = tasks.iter().filter(|task| services.contains(&task.service_id)).count();
            let is_alone = planned == 1 && addresses.iter().all(|address| is_ours(address.ip()));
            let addresses = addresses.into_iter().collect();
            self.searches.push_back(Search::Join { addresses, is_whole, is_alone: is_whole && is_alone });
        }
        self.services = services;
    }

    /// The question failed, though the engine is there.
    pub fn failed(&mut self, now: Moment) {
        self.is_asked = false;
        if self.seeks() {
            self.at = now + AGAIN;
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Moment) {
        if self.at <= now {
            self.look(now);
        }
    }

    /// When [`Kin::handle_timeout`] is due.
    pub fn next_wake(&self) -> Moment {
        self.at
    }

    /// The next thing to do; none: nothing more now.
    pub fn poll(&mut self) -> Option<Search> {
        self.searches.pop_front()
    }

    fn seeks(&self) -> bool {
        self.is_manager && self.is_sought && !self.joins.is_empty()
    }

    fn look(&mut self, now: Moment) {
        self.at = if self.seeks() { now + EVERY } else { Moment::NEVER };
        if self.seeks() && !std::mem::replace(&mut self.is_asked, true) {
            self.searches.push_back(Search::Ask(self.services.iter().cloned().collect()));
        }
    }
}

/// Addresses of the tasks that run behind a name, if this node is one of them, and into `services` those that they are of.
fn behind(
    name: &str,
    tasks: &[PlacedTask],
    is_ours: &impl Fn(IpAddr) -> bool,
    services: &mut BTreeSet<String>,
) -> Vec<IpAddr> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let name = name.strip_prefix(TASKS).unwrap_or(name);
    // By the network's name: of several in which the name leads somewhere, the first counts.
    let mut networks: BTreeMap<(&str, &str), Vec<(&PlacedTask, IpAddr)>> = BTreeMap::new();
    for task in tasks {
        let is_called = |network: &&str| {
            let asked = task.spec.networks.iter().filter(|asked| asked.target == **network);
            asked.flat_map(|asked| &asked.aliases).any(|alias| alias.eq_ignore_ascii_case(name))
        };
        for attachment in &task.networks_attachments {
            let network = &attachment.network;
            let Some(id) = Some(network.id.as_str()).filter(&is_called) else { continue };
            let at = attachment.addresses.iter().filter_map(|text| text.split('/').next()?.parse().ok());
            let place = networks.entry((network.spec.name.as_str(), id)).or_default();
            place.extend(at.map(|address| (task, address)));
        }
    }
    let own = networks.into_values().find(|behind| behind.iter().any(|(_, address)| is_ours(*address)));
    let own = own.unwrap_or_default();
    services.extend(own.iter().map(|(task, _)| task.service_id.clone()));
    let runs = |task: &PlacedTask| RUNNING.contains(&task.status.state.as_str());
    own.into_iter().filter(|(task, _)| runs(task)).map(|(_, address)| address).collect()
}
