//! Validation of DNSSEC (RFC 4035 §5, RFC 5155 §8): whether an answer is what its owners signed. A machine without
//! sockets, clock or randomness; what it needs besides the answer it asks its owner for.
//!
//! ```text
//!            start(answer) ──► judge each set, and what is denied ──► Done(verdict)
//!                                      │  ▲
//!                  Fetch(DS, DNSKEY) ◄─┘  └── fetched(records)
//! ```
//!
//! **After each call, take what [`Validator::poll`] gives until it gives nothing; answer every fetch once.** A fetch is
//! asked of the zone that has it (DS: of the one above the cut), with DO, and its answer is handed in as it came: it is
//! validated here.
//!
//! The cryptography, digests and hashes are those of the library `domain`, over `ring`; which keys are believed, and how
//! much work an answer may cause, is decided here. See [`limits`].

mod anchors;
mod canonical;
mod chain;
mod check;
mod denial;
mod job;
pub mod limits;
mod memory;
mod nsec;
mod nsec3;
mod set;
#[cfg(test)]
mod tests;
mod trail;
mod verdict;

pub use verdict::{Cause, Spent, Verdict};

use crate::base::limits::TTL_SECONDS_MAX;
use crate::base::time::{Moment, WallSeconds};
use crate::wire::message::Rcode;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::wire::section::Record;
use anchors::Anchors;
use chain::{Need, Reply, Trust};
use job::Job;
use limits::JOBS_MAX;
use memory::Memory;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// An answer in work, as its owner numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A set that was asked for. The validator numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FetchId(pub u64);

/// A question of class IN.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Asked {
    /// The name.
    pub name: Name,
    /// The type.
    pub rtype: RecordType,
}

/// An answer. Of the authority section only SOA, NSEC, NSEC3 and their signatures count: the verdict says nothing of
/// other records there, nor of the additional section. An answer that was put together along aliases has the proofs of
/// all its links in its authority section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// NOERROR, NXDOMAIN or YXDOMAIN.
    pub rcode: Rcode,
    /// The answer section.
    pub answer: Vec<Record>,
    /// The authority section.
    pub authority: Vec<Record>,
    /// It ends with an alias, and says nothing of that one's target: neither that the set is there, nor that it is not.
    pub is_open: bool,
}

/// Why what was asked for is not there. Closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfetched {
    /// It cannot be had: no server answers, or each fails.
    OutOfReach,
    /// The answer that needed it first had cost so much that nothing was left for it. Others may have it.
    Spent,
    /// There was no room to ask for it on behalf of that answer. Others may have it.
    Busy,
}

/// There are as many answers in work as there may be; nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// One thing to do, or to know. Closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Find this set and hand it in by [`Validator::fetched`].
    Fetch {
        /// What it will be called.
        id: FetchId,
        /// The answer that needs it first, and pays for it; others may wait for it, too.
        ticket: Ticket,
        /// DS or DNSKEY, and whose.
        asked: Arc<Asked>,
    },
    /// The verdict on an answer. The ticket is known no more.
    Done {
        /// Which.
        ticket: Ticket,
        /// What is known of it.
        verdict: Verdict,
        /// Seconds for which a secure answer may be kept at most: signatures end, and TTLs are what was signed
        /// (RFC 4035 §5.3.3).
        ttl_max: u32,
        /// What it has cost.
        spent: Spent,
    },
}

/// What is fetched, for which answer, and those that wait for it.
#[derive(Debug)]
struct Fetch {
    need: Need,
    payer: Ticket,
    waiting: Vec<Ticket>,
}

/// The machine.
#[derive(Debug)]
pub struct Validator {
    trust: Trust,
    jobs: HashMap<Ticket, Job>,
    /// Each need stands once, under one id.
    fetches: HashMap<FetchId, Fetch>,
    ids: HashMap<Need, FetchId>,
    fetches_made: u64,
    outputs: VecDeque<Output>,
}

impl Validator {
    /// One that trusts `anchors`: DS and DNSKEY records. Without any, all is indeterminate.
    pub fn new(anchors: &[Record]) -> Validator {
        Validator {
            trust: Trust { anchors: Anchors::new(anchors), memory: Memory::default() },
            jobs: HashMap::new(),
            fetches: HashMap::new(),
            ids: HashMap::new(),
            fetches_made: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Takes an answer. A ticket in use is given up for the new answer.
    pub fn start(
        &mut self,
        now: Moment,
        wall: WallSeconds,
        ticket: Ticket,
        asked: Asked,
        response: &Response,
    ) -> Result<(), Full> {
        self.cancel(ticket);
        if self.jobs.len() >= JOBS_MAX {
            return Err(Full);
        }
        if asked.rtype == RecordType::RRSIG {
            // Signatures are not signed themselves (RFC 4035 §2.2).
            self.done(ticket, Verdict::Insecure(None), TTL_SECONDS_MAX, Spent::default());
            return Ok(());
        }
        match Job::new(asked, response) {
            Ok(job) => self.advance(now, wall, ticket, job),
            Err(cause) => self.done(ticket, Verdict::Bogus(cause), TTL_SECONDS_MAX, Spent::default()),
        }
        Ok(())
    }

    /// Takes what was asked for. Nothing happens if `id` is not waited for.
    pub fn fetched(
        &mut self,
        now: Moment,
        wall: WallSeconds,
        id: FetchId,
        response: Result<&Response, Unfetched>,
    ) {
        let Some(Fetch { need, payer, waiting }) = self.fetches.remove(&id) else { return };
        self.ids.remove(&need);
        let given_up = match response {
            Err(Unfetched::Spent) => Some(verdict::TOO_MUCH_WORK),
            Err(Unfetched::Busy) => Some(verdict::NO_ROOM),
            Ok(_) | Err(Unfetched::OutOfReach) => None,
        };
        let reply = response.ok().and_then(reply).map(Arc::new);
        for ticket in waiting {
            let Some(mut job) = self.jobs.remove(&ticket) else { continue };
            match given_up {
                Some(cause) if ticket == payer => {
                    self.done(ticket, Verdict::Bogus(cause), TTL_SECONDS_MAX, job.work.spent);
                }
                Some(_) => {
                    self.jobs.insert(ticket, job);
                    self.fetch(ticket, need.clone());
                }
                None => {
                    job.replies.push((need.clone(), reply.clone()));
                    self.advance(now, wall, ticket, job);
                }
            }
        }
    }

    /// Gives an answer up: there will be no verdict.
    pub fn cancel(&mut self, ticket: Ticket) {
        if self.jobs.remove(&ticket).is_some() {
            self.fetches.values_mut().for_each(|fetch| fetch.waiting.retain(|other| *other != ticket));
        }
    }

    /// The next thing to do or to know.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Forgets what is remembered of `name` and of all below it.
    pub fn flush(&mut self, name: &Name) {
        self.trust.memory.flush(name);
    }

    /// How many zones and cuts are remembered.
    pub fn remembered(&self) -> usize {
        self.trust.memory.len()
    }

    fn advance(&mut self, now: Moment, wall: WallSeconds, ticket: Ticket, mut job: Job) {
        match job.advance(&mut self.trust, now, wall) {
            Ok(verdict) => self.done(ticket, verdict, job.ttl_max, job.work.spent),
            Err(need) => {
                job.work.spent.fetches += 1;
                self.jobs.insert(ticket, job);
                self.fetch(ticket, need);
            }
        }
    }

    fn fetch(&mut self, ticket: Ticket, need: Need) {
        let known = self.ids.get(&need).and_then(|id| self.fetches.get_mut(id));
        if let Some(fetch) = known {
            fetch.waiting.push(ticket);
            return;
        }
        self.fetches_made += 1;
        let id = FetchId(self.fetches_made);
        let asked = need.clone();
        self.ids.insert(need.clone(), id);
        self.fetches.insert(id, Fetch { need, payer: ticket, waiting: vec![ticket] });
        self.outputs.push_back(Output::Fetch { id, ticket, asked });
    }

    fn done(&mut self, ticket: Ticket, verdict: Verdict, ttl_max: u32, spent: Spent) {
        self.outputs.push_back(Output::Done { ticket, verdict, ttl_max, spent });
    }
}

/// The sets of a reply; `None` for what is no answer.
fn reply(response: &Response) -> Option<Reply> {
    if !matches!(response.rcode, Rcode::NoError | Rcode::NxDomain) {
        return None;
    }
    let (answer, authority) = (set::sets(&response.answer).ok()?, set::sets(&response.authority).ok()?);
    Some(Reply { answer, authority })
}
