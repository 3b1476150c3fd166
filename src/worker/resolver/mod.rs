//! A worker's share in resolving: who of its askers waits for what, and asking for it.
//!
//! ```text
//! a query that no zone of ours answers ─► Finder: cache ─► Reply
//!                                                  └─► missing ─► Pending ─┬─► forward ─► Ports ─► upstream servers
//!                                                                          └─► errands ─► the services thread
//!       ◄─ answered anew, with what has come, which the cache keeps ◄──────────┴─ replies and deliveries
//! ```

mod finder;
mod front;
mod members;
mod ports;
mod recall;
mod refused;
#[cfg(test)]
mod tests;
mod waiter;

pub(super) use recall::question;
pub(super) use waiter::{Back, Waiter};

use crate::answer::{Offers, Outcome};
use crate::base::limits::MESSAGE_OCTETS_MAX;
use crate::base::metrics::WorkerCounters;
use crate::base::time::Moment;
use crate::os::entropy;
use crate::resolve::body::{Body, ExtendedError};
use crate::resolve::cache::Cache;
use crate::resolve::errand::{Delivery, Errand, MemberErrand};
use crate::resolve::forward::{Forward, Output, QUESTION_LIFE, UpstreamCounters};
use crate::resolve::lots::Lots;
use crate::resolve::pending::{Joined, Pending, Ticket};
use crate::resolve::policy::{Policy, Route};
use crate::resolve::question::Question;
use crate::wire::query::Shape;
use crate::wire::short::WINDOW;
use crate::worker::Desk;
use crate::worker::ends::Ends;
use arc_swap::ArcSwap;
use crossbeam::channel::Receiver;
use finder::{By, Finder, Missing};
use members::Members;
use mio::Token;
use ports::Ports;
use recall::Recalled;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

/// Seconds for which nobody is asked again what could not be found (RFC 9520 §3.2: one second at least): a failing
/// question of 8 packets that is asked ten times, once a second, is put to others once.
const FAILURE_SECONDS: u32 = 10;
/// What is told where there is no room to ask.
const NO_ROOM: Body<'static> = Body::failure(Some(ExtendedError::NOT_READY));
/// How often one query may wait for something else: each time for a name that an alias led to.
const HOPS_MAX: u8 = 8;
/// How long a query may wait in all for names that are forwarded, and for any others, by whatever aliases they are come
/// to: no longer than for one of them.
const WAIT_FORWARDED: Duration = QUESTION_LIFE.saturating_add(Duration::from_millis(500));
const WAIT: Duration = Duration::from_secs(10);
/// Waits end together that end within so long, none later than it should: a crowd is not looked through for each of it.
const WAIT_TICK: Duration = Duration::from_millis(50);
/// Octets of an answer that nobody keeps and a query takes along when it waits for another: aliases, with signatures.
const GIVEN_OCTETS_MAX: usize = 1_024;
/// Messages taken from one upstream socket in a turn: it has one query on its way most of the time.
const MESSAGES_PER_TURN: usize = 64;
/// Deliveries taken in one turn, so that a flood of them does not keep askers waiting.
const DELIVERIES_PER_TURN: usize = 256;
/// No asker has this address (RFC 4291 §2.5.2); who pretends to is offered nothing.
const NOBODY: (Ipv6Addr, Offers) = (Ipv6Addr::UNSPECIFIED, Offers::Zones);
/// Queries whose buffers are kept for others.
const SPARE_MAX: usize = 4_096;
/// Octets of a buffer that is kept for others: hardly a query has more.
const SPARE_OCTETS_MAX: usize = 1_024;
/// Octets of a query that may wait: each has a copy, and padding (RFC 8467) makes none larger.
const WAITING_OCTETS_MAX: usize = 4_096;

/// What one worker counts of its upstream servers; the list changes with the policy.
pub type Upstreams = Arc<ArcSwap<Vec<Arc<UpstreamCounters>>>>;

/// What a worker needs to resolve.
pub struct Setup {
    /// Who may have what resolved where; exchanged by a reload.
    pub policy: Arc<ArcSwap<Policy>>,
    /// What was found, shared by all workers.
    pub cache: Arc<Cache>,
    /// Where the worker shows what it counts of each upstream.
    pub upstreams: Upstreams,
    /// Slots for upstream sockets, each at most two of them.
    pub ports: u16,
    /// Takes what others are to do; false if nobody takes it any more.
    pub errands: Box<dyn Fn(Errand) -> bool + Send>,
    /// Takes what a member of the cluster is to be asked; false as above.
    pub members: Box<dyn Fn(MemberErrand) -> bool + Send>,
    /// What they have done; whoever sends wakes the worker.
    pub deliveries: Receiver<Delivery>,
}

/// The resolver of one worker.
pub(super) struct Resolver {
    forward: Forward,
    ports: Ports,
    front: Front,
    deliveries: Receiver<Delivery>,
    upstreams: Upstreams,
    buffer: Box<[u8]>,
    /// Upstream sockets that may hold more than was heard: the poll says nothing of them until something new comes.
    unheard: VecDeque<Token>,
}

/// What meets the askers: all but the machine that asks others, so that it can be used while that holds an answer out.
struct Front {
    policy: arc_swap::cache::Cache<Arc<ArcSwap<Policy>>, Arc<Policy>>,
    /// The policy that the machine knows.
    current: Arc<Policy>,
    /// Who asked last, and what that policy offers them.
    asked_last: (Ipv6Addr, Offers),
    /// Since when names are asked for where they are now.
    changed: Moment,
    cache: Arc<Cache>,
    errands: Box<dyn Fn(Errand) -> bool + Send>,
    pending: Pending<Waiter>,
    members: Members,
    missing: Missing,
    room: Box<[u8]>,
    rdata: Vec<u8>,
    reply: Box<[u8]>,
    /// Who is being answered anew.
    waiters: Vec<Waiter>,
    /// What is to be asked for, and who waits for it; nobody, where an answer is only to be refreshed.
    arrivals: Vec<(Option<Waiter>, Missing)>,
    /// When somebody is to be told something who waits for the question of that ticket, and has waited for others before, or
    /// for one that begins anew; he may have been told already.
    deadlines: BinaryHeap<Reverse<(Moment, u32)>>,
    /// That which was noted last: those of a crowd come one after another.
    last_deadline: (Moment, u32),
    /// Buffers for others.
    spare: Vec<Vec<u8>>,
    spare_missing: Vec<Missing>,
}

/// How a query that waits is answered anew.
#[derive(Clone, Copy)]
struct Anew<'a> {
    now: Moment,
    /// The answer that has come, and to which question.
    given: Option<(Question<'a>, Body<'a>)>,
    /// The cache knows it, too, if it knows any.
    is_kept: bool,
    by: By,
    /// An answer whose time is over will do.
    impatient: bool,
}

impl Anew<'_> {
    /// From what is known at that moment.
    fn at(now: Moment) -> Anew<'static> {
        Anew { now, given: None, is_kept: true, by: By::Others, impatient: false }
    }
}

impl Resolver {
    pub(super) fn new(setup: Setup) -> Resolver {
        let Setup { policy, cache, upstreams, ports, errands, members, deliveries } = setup;
        let current = policy.load_full();
        let lots = Lots::new(|| entropy::random().ok());
        let loops = Arc::clone(current.loops());
        let mut resolver = Resolver {
            forward: Forward::new(current.groups(), ports, current.caps, lots),
            ports: Ports::new(ports),
            front: Front {
                policy: arc_swap::cache::Cache::new(policy),
                current,
                asked_last: NOBODY,
                changed: Moment::START,
                cache,
                errands,
                pending: Pending::default(),
                members: Members::new(members),
                missing: Missing::default(),
                room: vec![0; MESSAGE_OCTETS_MAX].into(),
                rdata: Vec::with_capacity(MESSAGE_OCTETS_MAX),
                reply: vec![0; MESSAGE_OCTETS_MAX].into(),
                waiters: Vec::new(),
                arrivals: Vec::new(),
                deadlines: BinaryHeap::new(),
                last_deadline: (Moment::START, 0),
                spare: Vec::new(),
                spare_missing: Vec::new(),
            },
            deliveries,
            upstreams,
            buffer: vec![0; MESSAGE_OCTETS_MAX].into(),
            unheard: VecDeque::new(),
        };
        resolver.forward.set_loops(loops);
        resolver.tell_upstreams();
        resolver
    }

    /// Shows which upstreams there are.
    fn tell_upstreams(&self) {
        self.upstreams.store(Arc::new(self.forward.counters().cloned().collect()));
    }

    /// True if the asker may have names resolved.
    #[inline]
    pub(super) fn is_client(&self, address: IpAddr) -> bool {
        self.front.current.clients.contains(address)
    }

    /// What an asker of UDP is offered; IPv4 addresses come as mapped ones. Who has asked before is not looked up again:
    /// queries come in runs.
    #[inline]
    pub(super) fn offers_to(&mut self, asker: Ipv6Addr) -> Offers {
        if self.front.asked_last.0 != asker {
            let offers = if self.is_client(asker.into()) { Offers::Recursion } else { Offers::Zones };
            self.front.asked_last = (asker, offers);
        }
        self.front.asked_last.1
    }

    /// Begins to fetch what the cache knows of each question, slots first, so that the waits for memory overlap.
    pub(super) fn fetch<'k>(&self, questions: impl Iterator<Item = Question<'k>> + Clone) {
        questions.clone().for_each(|question| self.front.cache.fetch_slot(&question));
        questions.for_each(|question| self.front.cache.fetch_entry(&question));
    }

    /// Answers an ordinary query that asks `question` of others from the cache, if that is an ordinary answer.
    #[inline(always)]
    pub(super) fn recall(
        &mut self,
        (counters, now): (&WorkerCounters, Moment),
        question: &Question<'_>,
        query: (&[u8; WINDOW], &Shape),
        buffer: &mut [u8],
        udp_payload_max: u16,
    ) -> Option<Outcome> {
        let Recalled { outcome, refresh } =
            recall::recall(&self.front.cache, now, question, query, buffer, udp_payload_max);
        if refresh && self.front.current.prefetch {
            self.front.missing.note(question);
            self.front.arrive(None);
        }
        outcome.inspect(|_| counters.cache_hit())
    }

    /// What is known at `now`.
    pub(super) fn finder<'r>(&'r mut self, counters: &'r WorkerCounters, now: Moment) -> Finder<'r> {
        self.front.finder(counters, Anew::at(now), &[])
    }

    /// Has a query wait for what the finder has just missed.
    pub(super) fn wait(&mut self, now: Moment, message: &[u8], back: Back) {
        let mut copy = self.front.spare.pop().unwrap_or_default();
        copy.clear();
        copy.extend_from_slice(message);
        self.front.arrive(Some(Waiter {
            message: copy,
            back,
            since: now,
            hops: 0,
            until: now,
            given: Vec::new(),
        }));
    }

    /// Asks anew for what the finder has just found near its end.
    pub(super) fn refresh(&mut self) {
        self.front.arrive(None);
    }

    /// Asks what is to be asked.
    fn ask_arrivals(&mut self, desk: &mut Desk, ends: &mut Ends<'_>) {
        while let Some((waiter, missing)) = self.front.arrivals.pop() {
            let question = missing.question();
            match waiter {
                Some(waiter) if waiter.message.len() > WAITING_OCTETS_MAX => {
                    self.front.fail(waiter, desk, ends)
                }
                Some(waiter) if missing.of_member && waiter.is_over(desk.now) => {
                    self.front.fail(waiter, desk, ends);
                }
                Some(waiter) if missing.of_member => self.front.ask_member(waiter, &question, desk, ends),
                Some(waiter) => self.join(waiter, &question, desk, ends),
                None => {
                    if let Some(ticket) = self.front.pending.begin(&question, desk.now) {
                        self.ask(ticket, &question, desk, ends);
                    }
                }
            }
            if self.front.spare_missing.len() < SPARE_MAX {
                self.front.spare_missing.push(missing);
            }
            self.drain(desk, ends);
        }
    }

    /// Has a query wait for the answer to a question; where there is no room for it, it fails.
    fn join(&mut self, mut waiter: Waiter, question: &Question<'_>, desk: &mut Desk, ends: &mut Ends<'_>) {
        let now = desk.now;
        if self.front.current.loops().recognise(question) {
            let given = Some((*question, Body::failure(None)));
            return self.front.answer(waiter, Anew { given, impatient: true, ..Anew::at(now) }, desk, ends);
        }
        waiter.until = waiter.until.max(self.front.end_of_wait(waiter.since, question));
        if waiter.until <= now {
            return self.front.give_up(waiter, question, desk, ends);
        }
        let (client, until, hops) = (waiter.back.client(), waiter.until, waiter.hops);
        let joined = self.front.pending.join(question, client, waiter, now);
        // Who has waited for nothing else waits no longer than the question lives, unless that begins anew.
        if let Joined::Asked(ticket) | Joined::Waits(ticket) = &joined
            && hops > 0
        {
            self.front.note_deadline(until, *ticket);
        }
        match joined {
            Joined::Asked(ticket) => self.ask(ticket, question, desk, ends),
            // The patience of all is over: so is this one's.
            Joined::Waits(ticket) if self.front.pending.is_late(ticket, now) => {
                self.front.appease(ticket, desk, ends);
            }
            Joined::Waits(_) => {}
            Joined::Full(waiter) => {
                let given = Some((*question, NO_ROOM));
                self.front.answer(waiter, Anew { given, impatient: true, ..Anew::at(now) }, desk, ends);
            }
        }
    }

    fn ask(&mut self, ticket: Ticket, question: &Question<'_>, desk: &mut Desk, ends: &mut Ends<'_>) {
        let is_asked = match self.front.current.route(question.name, question.rtype) {
            // Who does not want to be checked on asks as if nobody did.
            Route::Forward(group)
                if !self.front.current.validates_forwarded || question.wants.checking_disabled =>
            {
                self.forward.ask(desk.now, ticket.number(), group, question).is_ok()
            }
            Route::Forward(_) | Route::Iterate => (self.front.errands)(Errand::Resolve {
                ticket: ticket.number(),
                client: self.front.pending.client(ticket),
                name: question.name.into(),
                rtype: question.rtype,
                wants: question.wants,
            }),
            // The finder has said so already; but a reload may have come between.
            Route::Refuse => false,
        };
        if !is_asked {
            // Nobody was asked: nothing is known that could be kept.
            self.front.complete(ticket, &NO_ROOM, 0, desk, ends);
        }
    }

    /// True if the event is of an upstream socket.
    pub(super) fn is_own(token: Token) -> bool {
        Ports::is_own(token)
    }

    /// Hears what has come to an upstream socket, and in the next turn what is more than one turn takes.
    pub(super) fn hear(&mut self, token: Token, desk: &mut Desk, ends: &mut Ends<'_>) {
        for _ in 0..MESSAGES_PER_TURN {
            let Some((port, from, message)) = self.ports.receive(token, &mut self.buffer) else { return };
            self.forward.handle_datagram(desk.now, port, from, message);
            self.drain(desk, ends);
        }
        if !self.unheard.contains(&token) {
            self.unheard.push_back(token);
        }
    }

    /// Does what is due: what others have done, what was waited for in vain, another policy.
    pub(super) fn turn(&mut self, desk: &mut Desk, ends: &mut Ends<'_>) {
        let now = desk.now;
        let newest = self.front.policy.load();
        if !Arc::ptr_eq(newest, &self.front.current) {
            if !newest.asks_as(&self.front.current) {
                self.front.changed = now;
            }
            self.front.current = Arc::clone(newest);
            self.front.asked_last = NOBODY;
            self.forward.set_groups(now, self.front.current.groups());
            self.forward.set_caps(self.front.current.caps);
            self.forward.set_loops(Arc::clone(self.front.current.loops()));
            self.tell_upstreams();
        }
        // Before what they ask is answered in this turn: else it would be asked again at once.
        self.ask_arrivals(desk, ends);
        for _ in 0..DELIVERIES_PER_TURN {
            match self.deliveries.try_recv() {
                Ok(Delivery::Resolved { ticket, found }) => {
                    let ticket = Ticket::new(ticket);
                    match &found {
                        Ok(owned) => self.front.complete(ticket, &owned.body(), owned.ttl, desk, ends),
                        Err(error) if *error == NO_ROOM.error => self.refused(ticket, desk, ends),
                        Err(error) => {
                            self.front.complete(ticket, &Body::failure(*error), FAILURE_SECONDS, desk, ends);
                        }
                    }
                }
                Ok(Delivery::Told { ticket, said }) => self.front.told(ticket, said.as_ref(), desk, ends),
                Ok(Delivery::Exchanged { stream, response }) => {
                    self.forward.handle_stream(now, stream, response.as_deref().ok_or(()));
                    self.drain(desk, ends);
                }
                Err(_) => break,
            }
        }
        for _ in 0..self.unheard.len() {
            if let Some(token) = self.unheard.pop_front() {
                self.hear(token, desk, ends);
            }
        }
        self.forward.handle_timeout(now);
        self.drain(desk, ends);
        while let Some(ticket) = self.front.pending.next_impatient(now) {
            self.front.appease(ticket, desk, ends);
        }
        self.front.end_waits(desk, ends);
        self.ask_arrivals(desk, ends);
    }

    /// Does what the machine wants done.
    fn drain(&mut self, desk: &mut Desk, ends: &mut Ends<'_>) {
        loop {
            match self.forward.poll() {
                Output::Send { query, port, to, octets } => {
                    if self.ports.send(port, to, octets, ends.registry).is_err() {
                        self.forward.handle_unsent(desk.now, query);
                    }
                }
                Output::Renew { port } => self.ports.renew(port),
                Output::Stream { stream, to, octets } => {
                    let errand = Errand::Exchange { stream, to, query: octets.into() };
                    if !(self.front.errands)(errand) {
                        self.forward.handle_stream(desk.now, stream, Err(()));
                    }
                }
                Output::Answered { ticket, body, ttl, .. } => {
                    self.front.complete(Ticket::new(ticket), &body, ttl, desk, ends);
                }
                Output::Failed { ticket, error, .. } => {
                    let (ticket, body) = (Ticket::new(ticket), Body::failure(error));
                    self.front.complete(ticket, &body, FAILURE_SECONDS, desk, ends);
                }
                Output::Wake(_) | Output::Idle => break,
            }
        }
    }

    /// When [`Resolver::turn`] has something to do, if nothing comes before.
    pub(super) fn next_wake(&mut self) -> Moment {
        if !self.deliveries.is_empty() || !self.unheard.is_empty() {
            return Moment::START;
        }
        let machine = match self.forward.poll() {
            Output::Wake(at) => at,
            // The last drain has left nothing else.
            _ => Moment::NEVER,
        };
        machine.min(self.front.pending.next_wake()).min(self.front.next_deadline())
    }

    /// True if nobody waits.
    pub(super) fn is_quiet(&self) -> bool {
        self.front.pending.is_empty()
    }
}
