//! Names of the services' domain before all of them are known: workers' queries are put to members, and what members ask
//! is answered from this node's own zone.
//!
//! ```text
//! worker ─ AskMember ─► ask_members ─► gossip ~~~~► a synced member: answer_of, from its zone alone
//!        ◄─ Told ─────── correspond ◄─ Known ◄~~~~~~~~┘
//! ```
//!
//! So are names of addresses: which name the cluster knows, and not what zones say of it.
//!
//! Who is asked never asks on, so that no question can go in circles. Who asks keeps no answer.

use crate::answer::{self, Bounds, Route, Scratch, Verdict};
use crate::base::time::Moment;
use crate::catalog::delta::Delta;
use crate::catalog::lease::OwnerId;
use crate::catalog::snapshot::{Snapshot, ZoneNumber};
use crate::control::Control;
use crate::control::cluster::Letter;
use crate::discovery::question::Question;
use crate::gossip::identity::NodeId;
use crate::gossip::machine::{QUESTION_OCTETS_MAX, QUESTIONS_MAX};
use crate::gossip::output::DATAGRAM_OCTETS_MAX;
use crate::os::clock;
use crate::resolve::errand::{Delivery, MemberErrand};
use crate::resolve::pending::network_of;
use crate::resolve::said::Said;
use crate::resolve::writer::Writer;
use crate::wire::key::NameKey;
use crate::wire::message::Rcode;
use crate::wire::name::Name;
use crate::wire::query::{Accepted, accept};
use crate::wire::reverse::{self, Reverse};
use crate::wire::rtype::Class;
use crossbeam::channel::Sender;
use std::collections::BTreeMap;

/// What one client may have of the questions that are out: so half is always there for others.
const QUESTIONS_OF_CLIENT_MAX: usize = QUESTIONS_MAX / 2;
const _: () =
    assert!(2 + 4 + 1 + 4 * crate::discovery::question::NETWORKS_MAX + 17 + 255 <= QUESTION_OCTETS_MAX);

/// Questions of this node's workers that are out, and what answers are made with.
pub struct Asking {
    /// By the numbers that they travel under.
    out: BTreeMap<u64, Out>,
    /// The ways back to the workers.
    workers: Vec<Sender<Delivery>>,
    writer: Writer,
    desk: Box<Desk>,
}

/// A question that is out.
struct Out {
    /// The first who asked it.
    errand: MemberErrand,
    /// All of the same client's who wait for it, by worker and ticket: behind one address there may be many.
    waiters: Vec<(usize, u32)>,
}

/// What answering takes, made once.
struct Desk {
    key: NameKey,
    scratch: Scratch,
    buffer: [u8; DATAGRAM_OCTETS_MAX],
}

impl Asking {
    /// With the ways back to the workers.
    pub fn new(workers: Vec<Sender<Delivery>>) -> Asking {
        let desk =
            Desk { key: NameKey::default(), scratch: Scratch::default(), buffer: [0; DATAGRAM_OCTETS_MAX] };
        Asking { out: BTreeMap::new(), workers, writer: Writer::default(), desk: Box::new(desk) }
    }

    /// True if there is room for one more of that client's.
    fn has_room(&self, errand: &MemberErrand) -> bool {
        let client = network_of(errand.client);
        let own = self.out.values().filter(|out| network_of(out.errand.client) == client);
        own.count() < QUESTIONS_OF_CLIENT_MAX
    }

    /// The same question of the same client, if it is out.
    fn same(&mut self, errand: &MemberErrand) -> Option<&mut Out> {
        let is_same = |out: &&mut Out| {
            let other = &out.errand;
            (other.client, other.rtype, &other.name) == (errand.client, errand.rtype, &errand.name)
        };
        self.out.values_mut().find(is_same)
    }

    /// What a member said, as far as it answers the question.
    fn read(&mut self, errand: &MemberErrand, answer: &[u8]) -> Option<Said> {
        Said::read(answer, (&errand.name, errand.rtype), &mut self.writer)
    }
}

impl Control {
    /// Puts a worker's query to members; it is told at once if that cannot be.
    pub(super) fn ask_members(&mut self, worker: usize, errand: MemberErrand) {
        if let Some(out) = self.resolving.asking.same(&errand) {
            out.waiters.push((worker, errand.ticket));
            return;
        }
        let now = clock::moment(clock::now());
        let number = match Name::from_wire(&errand.name) {
            Ok(name) if self.resolving.asking.has_room(&errand) => {
                let services = self.state.services();
                let asker = services.map(|services| services.addresses().asker(Some(errand.client)).clone());
                let question = Question::new(name, errand.rtype, errand.client, &asker.unwrap_or_default());
                self.cluster.gossip.ask_members(now, &question.to_octets())
            }
            _ => None,
        };
        match number {
            Some(number) => {
                let waiters = vec![(worker, errand.ticket)];
                self.resolving.asking.out.insert(number, Out { errand, waiters });
            }
            None => self.tell_worker(worker, errand.ticket, None),
        }
    }

    /// Answers what members have asked, and tells workers what members have answered. What changed by the way.
    pub(super) fn correspond(&mut self, now: Moment) -> Vec<Delta> {
        let letters = std::mem::take(&mut self.cluster.letters);
        if letters.is_empty() {
            return Vec::new();
        }
        let snapshot = self.publisher.published().load();
        for letter in letters {
            match letter {
                Letter::Asked(by, number, question) => {
                    let len = self.answer_of(&snapshot, (by, number), &question, now).unwrap_or(0);
                    let answer = self.resolving.asking.desk.buffer.get(..len).unwrap_or_default();
                    self.cluster.gossip.answer_member(now, by, number, answer);
                }
                Letter::Known(number, answer) => {
                    let asking = &mut self.resolving.asking;
                    let Some(Out { errand, waiters }) = asking.out.remove(&number) else { continue };
                    let said = answer.and_then(|answer| asking.read(&errand, &answer));
                    for (worker, ticket) in waiters {
                        self.tell_worker(worker, ticket, said.clone());
                    }
                }
            }
        }
        self.cluster.drain(now)
    }

    /// Tells all who wait that there is no answer: this node stops.
    pub(super) fn give_up_asking(&mut self) {
        let all = std::mem::take(&mut self.resolving.asking.out);
        for (worker, ticket) in all.into_values().flat_map(|out| out.waiters) {
            self.tell_worker(worker, ticket, None);
        }
    }

    fn tell_worker(&self, worker: usize, ticket: u32, said: Option<Said>) {
        let way = self.resolving.asking.workers.get(worker).zip(self.workers.get(worker));
        if let Some((sender, worker)) = way
            && sender.send(Delivery::Told { ticket, said }).is_ok()
        {
            worker.nudge();
        }
    }

    /// Makes the answer to a member's question in the desk's buffer; its octets. `None`: this node does not know all
    /// names either, or the name is none of the domain, or there is no answer to it.
    fn answer_of(
        &mut self,
        snapshot: &Snapshot,
        (by, number): (NodeId, u64),
        question: &[u8],
        now: Moment,
    ) -> Option<usize> {
        let question = Question::read(question).ok()?;
        let services = self.state.services()?;
        let claim = self.cluster.derived().asker(question.client);
        let asker = question.asker(OwnerId(by.0), claim, services.addresses().asker(None));
        let Desk { key, scratch, buffer } = &mut *self.resolving.asking.desk;
        // The number is drawn by lot, and by the id sets rotate.
        let [high, low] = (number as u16).to_be_bytes();
        let mut message = vec![high, low, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        message.extend_from_slice(question.name.as_wire());
        message.extend_from_slice(&question.rtype.0.to_be_bytes());
        message.extend_from_slice(&Class::IN.0.to_be_bytes());
        let Accepted::Query(shape) = accept(&message, key) else { return None };
        let limit = self.cluster.gossip.answer_octets_max();
        if let Some(Reverse::Address(address)) = reverse::read(key.as_wire()) {
            // An address that one engine alone has is another container's at each node.
            let is_local = self.cluster.derived().asker(address).is_some_and(|claim| claim.is_local);
            let known = services.addresses().get(address).filter(|_| !is_local);
            let name = known.and_then(|known| known.name.as_ref()).map(|name| (name, services.terms().ttl));
            let tell = || answer::tell_member(name, &shape.of(&message), buffer, limit);
            return self.cluster.is_synced().then(tell).flatten();
        }
        key.hash(snapshot.seed());
        let route = answer::route(snapshot, &shape, key, ZoneNumber::default());
        let Route::Zone(zone) = route else { return None };
        let entry = snapshot.entry(zone).filter(|entry| entry.zone().is_some())?;
        if entry.origin_key() != services.terms().origin.to_lowercase().as_wire() {
            return None;
        }
        let bounds = Bounds { limit, udp_payload_max: 0, now, from: Some(question.client) };
        scratch.stand_in(asker);
        let way = (route, route.hint(snapshot, key));
        let outcome = answer::answer(snapshot, way, &shape.of(&message), key, scratch, buffer, bounds);
        match (outcome.verdict, outcome.rcode) {
            (Verdict::Reply(len), Rcode::NoError | Rcode::NxDomain | Rcode::YxDomain) => Some(len),
            _ => None,
        }
    }
}
