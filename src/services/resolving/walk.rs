//! Walking from the root for the workers: the iterating machine and its sockets.
//!
//! ```text
//! Resolve ─► Iterate ─► Done ─► Court ─► body ─► the worker that asked
//!               ▲                 │
//!               └──── Fetch ──────┘
//! ```

use crate::base::time::Moment;
use crate::control::resolving::Roots;
use crate::os::entropy;
use crate::resolve::body::ExtendedError;
use crate::resolve::iterate::{self, Iterate, Outcome, Purse};
use crate::resolve::question::{Question, Wants};
use crate::resolve::validate::{FetchId, Response, Ticket, Unfetched};
use crate::services::resolving::border::Border;
use crate::services::resolving::court::{Asker, Client, Court, Fetch, Told, now};
use crate::services::resolving::shares::Share;
use crate::services::resolving::{datagram, stream};
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};

/// Messages that wait to be heard: beyond it sockets are not read for a moment.
pub(super) const MESSAGES_MAX: usize = 1_024;
/// How long a question may take with all that proves its answer: a client is told within ten seconds.
const SPAN: Duration = Duration::from_millis(9_700);
/// What proves an answer is asked for with its own signatures.
const TO_PROVE: Wants = Wants { dnssec_ok: true, checking_disabled: false };

const _: () = assert!(SPAN.as_millis() > iterate::bounds::QUESTION_SPAN.as_millis());

/// What came to a socket.
pub(super) enum Came {
    /// A message.
    Datagram { exchange: u64, from: SocketAddr, octets: Vec<u8> },
    /// Nothing will come, says the network.
    Unreachable { exchange: u64 },
    /// Nothing was sent.
    Unsent { exchange: u64 },
    /// The end of a stream.
    Stream { exchange: u64, response: Option<Box<[u8]>> },
}

/// What a walk is for.
enum Purpose {
    /// Somebody's question.
    Client(Box<Client>),
    /// A set that the court needs, for that answer first of all, whose client's share it is in.
    Fetch(FetchId, Ticket, Option<Share>),
}

/// The machine and its sockets.
pub(super) struct Walk {
    border: Border,
    machine: Iterate,
    court: Court<Purse>,
    purposes: HashMap<u64, Purpose>,
    last: u64,
    exchanges: HashMap<u64, AbortHandle>,
    tasks: JoinSet<()>,
    streams: Arc<Semaphore>,
    sender: mpsc::Sender<Came>,
    receiver: mpsc::Receiver<Came>,
    /// When the machine has something due.
    wake: Moment,
}

impl Walk {
    pub(super) fn new(roots: &Roots, border: Border, streams: Arc<Semaphore>) -> Walk {
        let (sender, receiver) = mpsc::channel(MESSAGES_MAX);
        Walk {
            machine: machine(roots, &border),
            border,
            court: court(roots),
            purposes: HashMap::new(),
            last: 0,
            exchanges: HashMap::new(),
            tasks: JoinSet::new(),
            streams,
            sender,
            receiver,
            wake: Moment::NEVER,
        }
    }

    /// Begins anew from other roots: what was learned by the old ones is forgotten, and what is in work is looked for
    /// from the new ones.
    pub(super) fn renew(&mut self, roots: &Roots) {
        self.machine = machine(roots, &self.border);
        // Ids of exchanges begin anew, too: nothing of the old ones may be heard.
        self.exchanges.drain().for_each(|(_, task)| task.abort());
        (self.sender, self.receiver) = mpsc::channel(MESSAGES_MAX);
        let (mut clients, found) = std::mem::replace(&mut self.court, court(roots)).close();
        found.into_iter().for_each(|found| self.court.keep(found));
        for (_, purpose) in self.purposes.drain() {
            if let Purpose::Client(client) = purpose {
                clients.push(*client);
            }
        }
        clients.into_iter().for_each(|client| self.look_for(Box::new(client)));
        self.drain();
    }

    /// Forgets all that was learned on the way to names, and keys at and below this one. What is in work goes on.
    pub(super) fn forget(&mut self, name: &Name) {
        self.machine.flush();
        self.court.forget(name);
    }

    /// Begins to look for an answer.
    pub(super) fn ask(&mut self, asker: Asker, name: &[u8], rtype: RecordType, wants: Wants) {
        let known = Name::from_wire(name);
        let name = known.clone().unwrap_or(Name::ROOT);
        let client = Box::new(Client { asker, name, rtype, wants, since: now(), steps: Vec::new() });
        match known {
            Ok(_) => self.look_for(client),
            Err(_) => self.court.give(*client, Err(None)),
        }
        self.drain();
    }

    fn look_for(&mut self, client: Box<Client>) {
        // Who validates needs the signatures, whoever asked.
        let dnssec_ok = client.wants.dnssec_ok || self.court.validates();
        let (name, rtype, traced) = (client.name.clone(), client.rtype, client.wants_steps());
        let wants = Wants { dnssec_ok, checking_disabled: false };
        let purse = Purse::of(client.network());
        self.begin(Purpose::Client(client), (&name, rtype, wants), purse, traced);
    }

    fn begin(
        &mut self,
        purpose: Purpose,
        (name, rtype, wants): (&Name, RecordType, Wants),
        purse: Purse,
        traced: bool,
    ) {
        self.last += 1;
        self.purposes.insert(self.last, purpose);
        let name = name.to_lowercase();
        let question = Question::new(name.as_wire(), 0, rtype, wants);
        self.machine.ask(now(), self.last, &question, purse, traced);
    }

    /// Waits for something to do, and does it.
    pub(super) async fn turn(&mut self) {
        let wake = self.wake.min(self.court.wake());
        let due = tokio::time::sleep(wake.since(now()));
        let came = tokio::select! {
            came = self.receiver.recv() => came,
            () = due, if wake != Moment::NEVER => None,
            // Tasks that have ended are let go of.
            Some(_) = self.tasks.join_next() => return,
        };
        match came {
            Some(Came::Datagram { exchange, from, octets }) => {
                self.machine.handle_datagram(now(), exchange, from, &octets);
            }
            Some(Came::Unreachable { exchange }) => self.machine.handle_unreachable(now(), exchange),
            Some(Came::Unsent { exchange }) => self.machine.handle_unsent(now(), exchange),
            Some(Came::Stream { exchange, response }) => {
                self.machine.handle_stream(now(), exchange, response.as_deref().ok_or(()));
            }
            None => {
                self.machine.handle_timeout(now());
                self.court.expire();
            }
        }
        self.drain();
    }

    /// What has been found since it was asked last.
    pub(super) fn take_found(&mut self) -> Vec<Told> {
        self.court.take_found()
    }

    /// Does what the machine wants done.
    fn drain(&mut self) {
        loop {
            match self.machine.poll() {
                iterate::Output::Send { exchange, to, octets } => {
                    let may_be_own = self.machine.settings().may_be_own(to);
                    let task = datagram::exchange(exchange, (to, may_be_own), octets, self.sender.clone());
                    self.exchanges.insert(exchange, self.tasks.spawn(task));
                }
                iterate::Output::Stream { exchange, to, octets } => {
                    let (streams, sender) = (Arc::clone(&self.streams), self.sender.clone());
                    let task = async move {
                        let response = stream::exchange(&streams, to, &octets).await;
                        let _ = sender.send(Came::Stream { exchange, response }).await;
                    };
                    self.exchanges.insert(exchange, self.tasks.spawn(task));
                }
                iterate::Output::Close { exchange } => {
                    if let Some(task) = self.exchanges.remove(&exchange) {
                        task.abort();
                    }
                }
                iterate::Output::Done { ticket, outcome, trace, purse } => {
                    self.done(ticket, outcome, trace, purse);
                }
                iterate::Output::Wake(at) => {
                    self.wake = at;
                    return;
                }
                iterate::Output::Idle => {
                    self.wake = Moment::NEVER;
                    return;
                }
            }
        }
    }

    fn done(&mut self, ticket: u64, outcome: Outcome, mut trace: Vec<String>, purse: Purse) {
        match (self.purposes.remove(&ticket), outcome) {
            (
                Some(Purpose::Client(mut client)),
                Outcome::Found { rcode, answer, authority, ttl, is_open, .. },
            ) => {
                client.steps = trace;
                let response = Response { rcode, answer, authority, is_open };
                self.court.judge(Ticket(ticket), client, (response, ttl), purse);
            }
            (Some(Purpose::Client(mut client)), Outcome::Failed { error, text, .. }) => {
                trace.push(format!("failed: {text}"));
                client.steps = trace;
                self.court.give(*client, Err(Some(error)));
            }
            (Some(Purpose::Fetch(id, first, _share)), outcome) => {
                let response = match outcome {
                    Outcome::Found { rcode, answer, authority, is_open, .. } => {
                        Ok(Response { rcode, answer, authority, is_open })
                    }
                    Outcome::Failed { is_spent: true, .. } => Err(Unfetched::Spent),
                    Outcome::Failed { error: ExtendedError::NOT_READY, .. } => Err(Unfetched::Busy),
                    Outcome::Failed { .. } => Err(Unfetched::OutOfReach),
                };
                self.court.fetched((id, first), response.as_ref().map_err(|error| *error), purse, trace);
            }
            (None, _) => {}
        }
        while let Some(Fetch { id, asked, first, purse, traced, share }) = self.court.next_fetch() {
            let purpose = Purpose::Fetch(id, first, share);
            self.begin(purpose, (&asked.name, asked.rtype, TO_PROVE), purse, traced);
        }
    }
}

fn machine(roots: &Roots, border: &Border) -> Iterate {
    let source = Box::new(|place: &mut [u8]| {
        for chunk in place.chunks_mut(64) {
            // Without the system's generator nothing can be asked safely; it does not fail once it has worked.
            if let Ok(octets) = entropy::random::<64>() {
                chunk.copy_from_slice(octets.get(..chunk.len()).unwrap_or_default());
            }
        }
    });
    Iterate::new(roots.settings.clone(), source, border.of_walk())
}

fn court(roots: &Roots) -> Court<Purse> {
    let anchors = if roots.validates { &roots.anchors[..] } else { &[] };
    Court::new(anchors, roots.caps, SPAN)
}
