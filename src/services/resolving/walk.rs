//! Walking from the root for the workers: the iterating machine, its sockets, and the validator of what it finds.
//!
//! ```text
//! Resolve ─► Iterate ─► Done ─┬─ validated? ─► Validator ─ Fetch ─► Iterate ...
//!                             │                    └─► verdict ─┐
//!                             └─ no ────────────────────────────┴─► body ─► the worker that asked
//! ```

use crate::base::limits::TTL_SECONDS_MAX;
use crate::base::time::Moment;
use crate::control::resolving::Explained;
use crate::os::{clock, entropy};
use crate::resolve::body::ExtendedError;
use crate::resolve::errand::OwnedBody;
use crate::resolve::harvest::Caps;
use crate::resolve::iterate::{self, Iterate, Outcome};
use crate::resolve::question::{Question, Wants};
use crate::resolve::validate::{self, Asked, OutOfReach, Response, Ticket, Validator, Verdict, WallSeconds};
use crate::resolve::writer::{Writer, Written};
use crate::services::resolving::{datagram, stream};
use crate::wire::name::Name;
use crate::wire::reply::Section;
use crate::wire::rtype::RecordType;
use crate::wire::section::Record;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};

/// Messages that wait to be heard: beyond it sockets are not read for a moment.
const MESSAGES_MAX: usize = 1_024;

/// How names are resolved from the root on.
pub struct Roots {
    /// What the walk begins with and must not ask.
    pub settings: iterate::Settings,
    /// What is believed without proof; none: nothing is validated.
    pub anchors: Vec<Record>,
    /// Bounds on what is kept.
    pub caps: Caps,
}

/// What came of a worker's question: a body, or why there is none.
pub(super) type Found = Result<OwnedBody, Option<ExtendedError>>;

/// What came to a socket.
pub(super) enum Came {
    /// A message.
    Datagram { exchange: u64, from: SocketAddr, octets: Vec<u8> },
    /// Nothing will come.
    Unreachable { exchange: u64 },
    /// The end of a stream.
    Stream { exchange: u64, response: Option<Box<[u8]>> },
}

/// Who wants an answer.
pub(super) enum Asker {
    /// That worker, which has it under that ticket.
    Worker { worker: usize, ticket: u32 },
    /// A user, who wants each step.
    User(Box<dyn FnOnce(Explained) + Send>),
}

/// What a walk is for.
enum Purpose {
    /// Somebody's question.
    Client(Box<Client>),
    /// A set that the validator needs, for that answer first of all.
    Fetch(validate::FetchId, Ticket),
}

/// Somebody's question.
struct Client {
    asker: Asker,
    name: Name,
    rtype: RecordType,
    wants: Wants,
    /// Each step so far, if it is wanted.
    steps: Vec<String>,
}

impl Client {
    fn wants_steps(&self) -> bool {
        matches!(self.asker, Asker::User(_))
    }
}

/// An answer that is being validated.
struct Judged {
    client: Box<Client>,
    response: Response,
    ttl: u32,
}

/// The machines and their sockets.
pub(super) struct Walk {
    machine: Iterate,
    validator: Option<Validator>,
    caps: Caps,
    purposes: HashMap<u64, Purpose>,
    judged: HashMap<Ticket, Judged>,
    last: u64,
    exchanges: HashMap<u64, AbortHandle>,
    tasks: JoinSet<()>,
    streams: Arc<Semaphore>,
    sender: mpsc::Sender<Came>,
    receiver: mpsc::Receiver<Came>,
    writer: Writer,
    /// When something is due.
    wake: Moment,
    /// What is to be told: to which worker, for which of its tickets.
    found: Vec<(usize, u32, Found)>,
}

impl Walk {
    pub(super) fn new(roots: Roots, streams: Arc<Semaphore>) -> Walk {
        let (sender, receiver) = mpsc::channel(MESSAGES_MAX);
        let source = Box::new(|place: &mut [u8]| {
            for chunk in place.chunks_mut(64) {
                // Without the system's generator nothing can be asked safely; it does not fail once it has worked.
                if let Ok(octets) = entropy::random::<64>() {
                    chunk.copy_from_slice(octets.get(..chunk.len()).unwrap_or_default());
                }
            }
        });
        Walk {
            machine: Iterate::new(roots.settings, source),
            validator: (!roots.anchors.is_empty()).then(|| Validator::new(&roots.anchors)),
            caps: roots.caps,
            purposes: HashMap::new(),
            judged: HashMap::new(),
            last: 0,
            exchanges: HashMap::new(),
            tasks: JoinSet::new(),
            streams,
            sender,
            receiver,
            writer: Writer::default(),
            wake: Moment::NEVER,
            found: Vec::new(),
        }
    }

    /// Begins to look for an answer.
    pub(super) fn ask(&mut self, asker: Asker, name: &[u8], rtype: RecordType, wants: Wants) {
        let known = Name::from_wire(name);
        let name = known.clone().unwrap_or(Name::ROOT);
        let client = Box::new(Client { asker, name: name.clone(), rtype, wants, steps: Vec::new() });
        match known {
            Ok(_) => {
                // Who validates needs the signatures, whoever asked.
                let dnssec_ok = wants.dnssec_ok || self.validator.is_some();
                let traced = client.wants_steps();
                self.begin(Purpose::Client(client), &name, rtype, dnssec_ok, traced);
            }
            Err(_) => self.give(*client, Err(None)),
        }
        self.drain();
    }

    fn begin(&mut self, purpose: Purpose, name: &Name, rtype: RecordType, dnssec_ok: bool, traced: bool) {
        self.last += 1;
        self.purposes.insert(self.last, purpose);
        let name = name.to_lowercase();
        let wants = Wants { dnssec_ok, checking_disabled: false };
        self.machine.ask(now(), self.last, &Question::new(name.as_wire(), 0, rtype, wants), traced);
    }

    /// Tells whoever asked.
    fn give(&mut self, client: Client, found: Found) {
        match client.asker {
            Asker::Worker { worker, ticket } => self.found.push((worker, ticket, found)),
            Asker::User(tell) => tell(Explained { steps: client.steps, found }),
        }
    }

    /// Waits for something to do, and does it.
    pub(super) async fn turn(&mut self) {
        let left = self.wake.since(now());
        let due = tokio::time::sleep(left);
        let came = tokio::select! {
            came = self.receiver.recv() => came,
            () = due, if self.wake != Moment::NEVER => None,
            // Tasks that have ended are let go of.
            Some(_) = self.tasks.join_next() => return,
        };
        match came {
            Some(Came::Datagram { exchange, from, octets }) => {
                self.machine.handle_datagram(now(), exchange, from, &octets);
            }
            Some(Came::Unreachable { exchange }) => self.machine.handle_unreachable(now(), exchange),
            Some(Came::Stream { exchange, response }) => {
                self.machine.handle_stream(now(), exchange, response.as_deref().ok_or(()));
            }
            None => self.machine.handle_timeout(now()),
        }
        self.drain();
    }

    /// What has been found since it was asked last.
    pub(super) fn take_found(&mut self) -> Vec<(usize, u32, Found)> {
        std::mem::take(&mut self.found)
    }

    /// Does what the machine wants done.
    fn drain(&mut self) {
        loop {
            match self.machine.poll() {
                iterate::Output::Send { exchange, to, octets } => {
                    let task = datagram::exchange(exchange, to, octets, self.sender.clone());
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
                iterate::Output::Done { ticket, outcome, trace } => self.done(ticket, outcome, trace),
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

    fn done(&mut self, ticket: u64, outcome: Outcome, mut trace: Vec<String>) {
        match (self.purposes.remove(&ticket), outcome) {
            (Some(Purpose::Client(mut client)), Outcome::Found { rcode, answer, authority, ttl, .. }) => {
                client.steps = trace;
                let judged = Judged { client, response: Response { rcode, answer, authority }, ttl };
                self.judge(ticket, judged);
            }
            (Some(Purpose::Client(mut client)), Outcome::Failed { error, text }) => {
                trace.push(format!("failed: {text}"));
                client.steps = trace;
                self.give(*client, Err(Some(error)));
            }
            (Some(Purpose::Fetch(id, first)), outcome) => {
                if let Some(judged) = self.judged.get_mut(&first) {
                    judged.client.steps.extend(trace.into_iter().map(|line| format!("  {line}")));
                }
                let response = match outcome {
                    Outcome::Found { rcode, answer, authority, .. } => {
                        Ok(Response { rcode, answer, authority })
                    }
                    Outcome::Failed { .. } => Err(OutOfReach),
                };
                if let Some(validator) = &mut self.validator {
                    validator.fetched(now(), wall(), id, response.as_ref().map_err(|error| *error));
                }
                self.heed_validator();
            }
            (None, _) => {}
        }
    }

    /// Has an answer validated, if that is wanted.
    fn judge(&mut self, ticket: u64, judged: Judged) {
        let ticket = Ticket(ticket);
        let validator = self.validator.as_mut().filter(|_| !judged.client.wants.checking_disabled);
        let Some(validator) = validator else { return self.tell(judged, false, TTL_SECONDS_MAX) };
        let asked = Asked { name: judged.client.name.clone(), rtype: judged.client.rtype };
        match validator.start(now(), wall(), ticket, asked, &judged.response) {
            Ok(()) => {
                self.judged.insert(ticket, judged);
                self.heed_validator();
            }
            Err(validate::Full) => self.give(*judged.client, Err(None)),
        }
    }

    /// Does what the validator wants done.
    fn heed_validator(&mut self) {
        while let Some(output) = self.validator.as_mut().and_then(Validator::poll) {
            match output {
                validate::Output::Fetch { id, asked, ticket } => {
                    let client = self.judged.get_mut(&ticket).map(|judged| &mut judged.client);
                    let client = client.filter(|client| client.wants_steps());
                    let traced = client.is_some();
                    if let Some(client) = client {
                        client.steps.push(format!("to prove it looks for {} {}", asked.name, asked.rtype));
                    }
                    self.begin(Purpose::Fetch(id, ticket), &asked.name, asked.rtype, true, traced);
                }
                validate::Output::Done { ticket, verdict, ttl_max, .. } => {
                    let Some(mut judged) = self.judged.remove(&ticket) else { continue };
                    if judged.client.wants_steps() {
                        judged.client.steps.push(format!("validation: {verdict}"));
                    }
                    match verdict {
                        Verdict::Secure => self.tell(judged, true, ttl_max),
                        Verdict::Insecure(_) | Verdict::Indeterminate(_) => self.tell(judged, false, ttl_max),
                        Verdict::Bogus(cause) => self.give(*judged.client, Err(Some(cause.error))),
                    }
                }
            }
        }
    }

    /// Tells what was found, with or without the records of DNSSEC.
    fn tell(&mut self, judged: Judged, authentic: bool, ttl_max: u32) {
        let Judged { client, response, ttl } = judged;
        let is_negative = response.answer.iter().all(|record| record.rtype != client.rtype);
        let cap =
            if is_negative { self.caps.negative_ttl_max.min(self.caps.ttl_max) } else { self.caps.ttl_max };
        let cap = cap.min(ttl_max);
        let is_told = |record: &Record| {
            let is_of_dnssec =
                matches!(record.rtype, RecordType::RRSIG | RecordType::NSEC | RecordType::NSEC3);
            client.wants.dnssec_ok || !is_of_dnssec || [record.rtype, RecordType::ANY].contains(&client.rtype)
        };
        self.writer.begin(client.name.as_wire());
        let mut fits = true;
        for (section, records) in
            [(Section::Answer, &response.answer), (Section::Authority, &response.authority)]
        {
            self.writer.section(section);
            for Record { name, rtype, ttl, rdata, .. } in records.iter().filter(|record| is_told(record)) {
                let written = Written { owner: name.as_wire(), rtype: *rtype, ttl: (*ttl).min(cap), rdata };
                fits &= self.writer.put(&written).is_ok();
            }
        }
        let body = self.writer.body(response.rcode, authentic, None);
        let found = if fits { Ok(OwnedBody::new(&body, ttl.min(cap))) } else { Err(None) };
        self.give(*client, found);
    }
}

fn now() -> Moment {
    clock::moment(clock::now())
}

fn wall() -> WallSeconds {
    WallSeconds(clock::wall().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}
