//! Iteration: from the servers of the root down to those that own the answer (RFC 1034 §5.3.3), as a machine without
//! sockets, clocks or randomness of its own.
//!
//! ```text
//! ask ─► job ─► nearest known cut ─► choose a server ─► Send ─► reading ─┬─ answer, absence ─► Done
//!         ▲           ▲                    │                             ├─ referral ─► the next cut
//!         │           └────────────────────│─────────────────────────────┤
//!         │                       no address known                       ├─ alias ─► its target, from the nearest cut;
//!         │                              │                               │           of a name elsewhere ─► Done
//!         └── a job for the address ◄──────┘                             └─ no use, or late ─► another server
//! ```
//!
//! A question and all the questions that it leads to spend from one purse, so that whoever owns a zone decides
//! what is answered but not how much is asked. Equal questions are one job. What is learned of servers outlasts the
//! question; answers are not kept here.
//! What all of it may cost stands in [`bounds`].
//!
//! **After each `ask` and each `handle_…` the owner calls [`Iterate::poll`] until it says `Wake` or `Idle`.**

pub mod bounds;
mod choose;
mod cut;
mod draw;
mod finish;
mod hear;
mod job;
mod memory;
mod minimise;
mod purse;
mod reading;
mod servers;
mod settings;
mod store;
#[cfg(test)]
mod tests;
mod walk;

pub use draw::Source;
pub use purse::Purse;
pub use settings::Settings;

use crate::base::time::Moment;
use crate::resolve::body::ExtendedError;
use crate::resolve::iterate::bounds::{JOBS_MAX, PRIMING_SPAN, QUESTION_SPAN, TICKETS_MAX};
use crate::resolve::iterate::cut::Wire;
use crate::resolve::iterate::draw::Draw;
use crate::resolve::iterate::job::{Aim, Flight, Job, JobId, Key, Waiter};
use crate::resolve::iterate::memory::Memory;
use crate::resolve::iterate::reading::{Asked, Piece};
use crate::resolve::question::Question;
use crate::wire::message::Rcode;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::wire::section::Record;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

/// True for a name, in lower-cased wire form, that is not looked for from the root: a walk follows no alias there.
pub type Elsewhere = Box<dyn Fn(&[u8]) -> bool + Send>;

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Its owner's answer: the set, or that there is none.
    Found {
        /// NOERROR, NXDOMAIN or YXDOMAIN.
        rcode: Rcode,
        /// The chain of aliases and the set, as received, signatures behind them if they were wanted.
        answer: Vec<Record>,
        /// The SOA of absence; NSEC, NSEC3 and signatures if they were wanted.
        authority: Vec<Record>,
        /// Seconds for which it holds; 0: it is told and forgotten.
        ttl: u32,
        /// The zones on the way, from the root: those of each alias one after another, each once. A zone that the
        /// servers of the one above it hold too may be missing.
        zones: Vec<Name>,
        /// The answer ends with an alias of a name that is not looked for from the root, and says nothing of that.
        is_open: bool,
    },
    /// There is no answer to be had.
    Failed {
        /// Why, for the asker.
        error: ExtendedError,
        /// Why, for people.
        text: String,
        /// What it could spend was at an end: with another purse it may be found.
        is_spent: bool,
    },
}

/// What the owner of the machine has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send a datagram from a port of its own, drawn by lot, and hand in what comes back there.
    Send {
        /// The exchange.
        exchange: u64,
        /// Where to.
        to: SocketAddr,
        /// The message.
        octets: Vec<u8>,
    },
    /// Open a stream, send the message on it, and hand in the message that comes back, or that none does.
    Stream {
        /// The exchange.
        exchange: u64,
        /// Where to.
        to: SocketAddr,
        /// The message, without its length.
        octets: Vec<u8>,
    },
    /// The exchange is over: its socket can go.
    Close {
        /// The exchange.
        exchange: u64,
    },
    /// A question is done.
    Done {
        /// What it was asked under.
        ticket: u64,
        /// What came of it.
        outcome: Outcome,
        /// Each step, if it was asked for.
        trace: Vec<String>,
        /// What is left to ask for what proves it.
        purse: Purse,
    },
    /// Nothing to do now; call [`Iterate::handle_timeout`] at that moment, or later.
    Wake(Moment),
    /// Nothing to do at all.
    Idle,
}

/// What is kept of who waits for a job that another's question began: by when it is told, and with what it asks itself.
struct Joined {
    until: Moment,
    purse: Purse,
}

/// What waits for its turn at a zone.
#[derive(Default)]
struct Load {
    out: usize,
    waiting: VecDeque<JobId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// It is late.
    Late(u64),
    /// It is given up.
    Flight(u64),
    Job(JobId),
}

/// The machine.
pub struct Iterate {
    settings: Settings,
    elsewhere: Elsewhere,
    memory: Memory,
    draw: Draw,
    jobs: BTreeMap<JobId, Job>,
    by_key: BTreeMap<Key, JobId>,
    purses: BTreeMap<JobId, Purse>,
    /// Of those who wait for a job that another's question began: they spend nothing.
    joined: BTreeMap<u64, Joined>,
    flights: BTreeMap<u64, Flight>,
    /// Of each zone that is asked now.
    loads: BTreeMap<Wire, Load>,
    /// Shortened queries that are out, and who would ask the same.
    followers: BTreeMap<Asked, Vec<JobId>>,
    /// Jobs that wait for any exchange to end.
    waiting: VecDeque<JobId>,
    /// Jobs that can take a step.
    ready: VecDeque<JobId>,
    timers: BTreeSet<(Moment, Timer)>,
    outputs: VecDeque<Output>,
    /// The last job or exchange that was made.
    last_id: u64,
    /// From when on the servers of the root are asked for again.
    primes_at: Moment,
}

impl Iterate {
    /// A machine that knows the servers of the root. `source` is asked for octets that nobody outside can foresee,
    /// `elsewhere` for where an alias leads.
    pub fn new(settings: Settings, source: Source, elsewhere: Elsewhere) -> Iterate {
        Iterate {
            memory: Memory::new(settings.root(), settings.cache_octets_max),
            settings,
            elsewhere,
            draw: Draw::new(source),
            jobs: BTreeMap::new(),
            by_key: BTreeMap::new(),
            purses: BTreeMap::new(),
            joined: BTreeMap::new(),
            flights: BTreeMap::new(),
            loads: BTreeMap::new(),
            followers: BTreeMap::new(),
            waiting: VecDeque::new(),
            ready: VecDeque::new(),
            timers: BTreeSet::new(),
            outputs: VecDeque::new(),
            last_id: 0,
            primes_at: Moment::START,
        }
    }

    /// Asks a question; [`Output::Done`] under `ticket` is its end. `purse`: a new one, or for what is to prove an answer
    /// the one that came with that. `traced`: with each step as text.
    pub fn ask(&mut self, now: Moment, ticket: u64, question: &Question<'_>, purse: Purse, traced: bool) {
        let (rtype, dnssec_ok) = (question.rtype, question.wants.dnssec_ok);
        let key = Key { name: question.name.to_ascii_lowercase().into(), rtype, dnssec_ok, aim: Aim::Client };
        // Whoever looks for a DS to prove an answer has just been told it on the way to that.
        if purse.is_handed_on()
            && rtype == RecordType::DS
            && dnssec_ok
            && let Some(records) = self.memory.take_proof(now, &key.name)
        {
            return self.tell_proof(ticket, records, purse);
        }
        if let Some((error, text)) = self.memory.failure(now, &key) {
            return self.refuse(ticket, error, &format!("it failed a short while ago: {text}"), purse);
        }
        if let Some(job) = self.by_key.get(&key).and_then(|id| self.jobs.get_mut(id)) {
            if job.waiters.len() >= TICKETS_MAX {
                return self.refuse(ticket, ExtendedError::NOT_READY, "too many wait for it", purse);
            }
            job.waiters.push(Waiter::Ticket(ticket));
            self.joined.insert(ticket, Joined { until: now + QUESTION_SPAN, purse });
            if traced && job.trace.is_none() {
                job.trace = Some(vec!["others asked it before".to_owned()]);
            }
            return;
        }
        if self.jobs.len() >= JOBS_MAX {
            return self.refuse(ticket, ExtendedError::NOT_READY, "too many questions are in work", purse);
        }
        let id = self.next_id();
        self.purses.insert(id, purse);
        self.start(id, id, 0, now + QUESTION_SPAN, key, Waiter::Ticket(ticket));
        if let Some(job) = self.jobs.get_mut(&id) {
            job.trace = traced.then(Vec::new);
        }
        self.prime(now, id);
        self.run(now);
    }

    /// Asks for the servers of the root, beside the question that needs them and pays for it (RFC 9609 §3.2): they are told
    /// by what the operator named.
    fn prime(&mut self, now: Moment, purse: JobId) {
        if now < self.primes_at || self.settings.roots.is_empty() {
            return;
        }
        self.primes_at = now + PRIMING_SPAN;
        let key = Key { name: Wire::from([0]), rtype: RecordType::NS, dnssec_ok: false, aim: Aim::Priming };
        if self.jobs.len() < JOBS_MAX && !self.by_key.contains_key(&key) {
            let id = self.next_id();
            self.start(id, purse, 0, now + QUESTION_SPAN, key, Waiter::Nobody);
        }
    }

    fn tell_proof(&mut self, ticket: u64, records: Vec<Record>, purse: Purse) {
        let ttl = records.iter().map(|record| record.ttl).min().unwrap_or_default();
        let is_there = records.iter().any(|record| record.rtype == RecordType::DS);
        let (answer, authority) = if is_there { (records, Vec::new()) } else { (Vec::new(), records) };
        let (rcode, zones, is_open) = (Rcode::NoError, Vec::new(), false);
        let outcome = Outcome::Found { rcode, answer, authority, ttl, zones, is_open };
        let trace = vec!["it came with the referral".to_owned()];
        self.outputs.push_back(Output::Done { ticket, outcome, trace, purse: purse.hand_on() });
    }

    fn refuse(&mut self, ticket: u64, error: ExtendedError, text: &str, purse: Purse) {
        let outcome = Outcome::Failed { error, text: text.to_owned(), is_spent: false };
        let purse = purse.hand_on();
        self.outputs.push_back(Output::Done { ticket, outcome, trace: Vec::new(), purse });
    }

    /// Puts a job to work; it spends from `purse`.
    fn start(&mut self, id: JobId, purse: JobId, depth: u8, deadline: Moment, key: Key, waiter: Waiter) {
        self.purses.entry(purse).or_default().jobs += 1;
        self.timers.insert((deadline, Timer::Job(id)));
        self.by_key.insert(key.clone(), id);
        let job = Job {
            name: key.name.clone(),
            key,
            waiters: vec![waiter],
            purse,
            depth,
            deadline,
            found: Piece { ttl: u32::MAX, ..Piece::default() },
            zones: Vec::new(),
            visit: None,
            flight: None,
            late: None,
            needs: None,
            refreshed: false,
            queued: None,
            turn: None,
            is_open: false,
            trace: None,
        };
        self.jobs.insert(id, job);
        self.ready.push_back(id);
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// What to do next.
    pub fn poll(&mut self) -> Output {
        let wake = || self.timers.first().map_or(Output::Idle, |(at, _)| Output::Wake(*at));
        self.outputs.pop_front().unwrap_or_else(wake)
    }

    /// What it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Octets that all takes that outlasts a question; at most what the settings say.
    pub fn cache_octets(&self) -> usize {
        self.memory.octets()
    }

    /// Questions in work, those for addresses included.
    pub fn jobs(&self) -> usize {
        self.jobs.len()
    }

    /// Forgets all that was learned but the servers of the root. What is in work goes on.
    pub fn flush(&mut self) {
        self.memory.clear();
    }
}
