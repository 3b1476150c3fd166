//! Asking upstream servers for answers that are to be validated: the forwarding machine, its sockets, and a court for
//! each group of servers. All that proves an answer is asked of the group that gave it, with CD and DO: an upstream
//! server that validates itself must not keep what it finds bogus from being judged here.
//!
//! ```text
//! Resolve ─► Forward ─► Answered ─► the group's Court ─► body ─► the worker that asked
//!               ▲                        │
//!               └────────── Fetch ───────┘
//! ```

use crate::base::time::Moment;
use crate::control::resolving::Roots;
use crate::os::entropy;
use crate::resolve::body::ExtendedError;
use crate::resolve::forward::{Forward, Output, QueryId, StreamId, UpstreamCounters};
use crate::resolve::iterate;
use crate::resolve::lots::Lots;
use crate::resolve::policy::{Policy, Route};
use crate::resolve::question::{Question, Wants};
use crate::resolve::validate::{FetchId, Ticket, Unfetched};
use crate::services::resolving::border::Border;
use crate::services::resolving::court::{Asker, Client, Court, Fetch, Told, now, response};
use crate::services::resolving::datagram::{self, DATAGRAM_OCTETS_MAX};
use crate::services::resolving::shares::Share;
use crate::services::resolving::stream;
use crate::services::resolving::walk::MESSAGES_MAX;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};

/// Slots for sockets: of half as many queries in a row no two leave from the same port.
const PORTS: u16 = 64;
/// How long a question may take with all that proves its answer: a client is told within 3.5 s.
const SPAN: Duration = Duration::from_millis(3_300);
/// What proves an answer is asked for in this way, and so is the answer itself.
const TO_BE_JUDGED: Wants = Wants { dnssec_ok: true, checking_disabled: true };
/// Packets that an answer may cost with all that proves it, as for one from the root on.
const PACKETS_MAX: u8 = iterate::bounds::PACKETS_MAX as u8;

/// What came to a socket.
enum Came {
    Datagram { port: u16, from: SocketAddr, octets: Vec<u8> },
    Stream { stream: StreamId, response: Option<Box<[u8]>> },
}

/// An open socket: to send from, and the task that hears it.
struct Socket {
    socket: UdpSocket,
    hears: AbortHandle,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.hears.abort();
    }
}

/// What a question is asked for.
enum Purpose {
    Client(Box<Client>),
    /// A set that the court needs, for that answer first of all, whose client's share it is in.
    Fetch(FetchId, Ticket, Option<Share>),
}

/// A question on its way.
struct Asked {
    purpose: Purpose,
    name: Name,
    rtype: RecordType,
    /// Which of the courts.
    court: usize,
    /// Packets that were sent before for the answer that it is about.
    spent: u8,
}

/// The machine, its sockets and its courts.
pub(super) struct Upward {
    forward: Forward,
    border: Border,
    policy: Arc<Policy>,
    /// In the order of the groups of the policy.
    courts: Vec<Court<u8>>,
    asked: HashMap<u32, Asked>,
    last: u32,
    /// For each slot one of IPv4 and one of IPv6.
    sockets: Vec<[Option<Socket>; 2]>,
    tasks: JoinSet<()>,
    streams: Arc<Semaphore>,
    sender: mpsc::Sender<Came>,
    receiver: mpsc::Receiver<Came>,
    /// When the machine has something due.
    wake: Moment,
    /// What was found by courts that are closed.
    found: Vec<Told>,
}

impl Upward {
    pub(super) fn new(policy: Arc<Policy>, roots: &Roots, border: Border, streams: Arc<Semaphore>) -> Upward {
        let (sender, receiver) = mpsc::channel(MESSAGES_MAX);
        let lots = Lots::new(|| entropy::random().ok());
        let mut forward = Forward::new(policy.groups(), PORTS, policy.caps, lots);
        forward.set_loops(Arc::clone(policy.loops()));
        Upward {
            forward,
            border,
            courts: courts(&policy, roots),
            policy,
            asked: HashMap::new(),
            last: 0,
            sockets: (0..PORTS).map(|_| [None, None]).collect(),
            tasks: JoinSet::new(),
            streams,
            sender,
            receiver,
            wake: Moment::NEVER,
            found: Vec::new(),
        }
    }

    /// Other servers, or other anchors, from now on. What is being validated or on its way is asked for anew.
    pub(super) fn renew(&mut self, policy: Arc<Policy>, roots: &Roots) {
        self.forward.set_groups(now(), policy.groups());
        self.forward.set_caps(policy.caps);
        self.forward.set_loops(Arc::clone(policy.loops()));
        let closed = std::mem::replace(&mut self.courts, courts(&policy, roots));
        self.policy = policy;
        let mut clients = Vec::new();
        for court in closed {
            let (own, found) = court.close();
            clients.extend(own);
            self.found.extend(found);
        }
        for (ticket, asked) in self.asked.drain() {
            self.forward.cancel(ticket);
            if let Purpose::Client(client) = asked.purpose {
                clients.push(*client);
            }
        }
        clients.into_iter().for_each(|client| self.look_for(Box::new(client)));
        self.drain();
    }

    /// Forgets what is known of keys at and below a name. What is in work goes on.
    pub(super) fn forget(&mut self, name: &Name) {
        self.courts.iter_mut().for_each(|court| court.forget(name));
    }

    /// True if it asks by that policy.
    pub(super) fn is_of(&self, policy: &Arc<Policy>) -> bool {
        Arc::ptr_eq(&self.policy, policy)
    }

    /// What is counted of each upstream server.
    pub(super) fn counters(&self) -> Vec<Arc<UpstreamCounters>> {
        self.forward.counters().cloned().collect()
    }

    /// Begins to look for an answer.
    pub(super) fn ask(&mut self, asker: Asker, name: Name, rtype: RecordType, wants: Wants) {
        self.look_for(Box::new(Client { asker, name, rtype, wants, since: now(), steps: Vec::new() }));
        self.drain();
    }

    fn look_for(&mut self, client: Box<Client>) {
        let key = client.name.to_lowercase();
        let group = match self.policy.route(key.as_wire(), client.rtype) {
            Route::Forward(group) if group < self.courts.len() => group,
            // A reload came between.
            _ => return self.give_up(*client),
        };
        let (name, rtype) = (client.name.clone(), client.rtype);
        self.begin(Asked { purpose: Purpose::Client(client), name, rtype, court: group, spent: 0 });
    }

    fn begin(&mut self, asked: Asked) {
        self.last = self.last.wrapping_add(1);
        let (ticket, key) = (self.last, asked.name.to_lowercase());
        let question = Question::new(key.as_wire(), 0, asked.rtype, TO_BE_JUDGED);
        let left = PACKETS_MAX.saturating_sub(asked.spent);
        let is_asked = self.forward.ask_within(now(), (ticket, left), asked.court, &question).is_ok();
        self.asked.insert(ticket, asked);
        if !is_asked {
            self.failed(ticket, Some(ExtendedError::NOT_READY), 0);
        }
    }

    fn give_up(&mut self, client: Client) {
        if let Asker::Worker { worker, ticket, .. } = client.asker {
            self.found.push((worker, ticket, Err(None)));
        }
    }

    /// Waits for something to do, and does it.
    pub(super) async fn turn(&mut self) {
        let wake = self.courts.iter().map(Court::wake).fold(self.wake, Moment::min);
        let due = tokio::time::sleep(wake.since(now()));
        let came = tokio::select! {
            came = self.receiver.recv() => came,
            () = due, if wake != Moment::NEVER => None,
            // Tasks that have ended are let go of.
            Some(_) = self.tasks.join_next() => return,
        };
        match came {
            Some(Came::Datagram { port, from, octets }) => {
                self.forward.handle_datagram(now(), port, from, &octets);
            }
            Some(Came::Stream { stream, response }) => {
                self.forward.handle_stream(now(), stream, response.as_deref().ok_or(()));
            }
            None => {
                self.forward.handle_timeout(now());
                self.courts.iter_mut().for_each(Court::expire);
            }
        }
        self.drain();
    }

    /// What has been found since it was asked last.
    pub(super) fn take_found(&mut self) -> Vec<Told> {
        let mut found = std::mem::take(&mut self.found);
        self.courts.iter_mut().for_each(|court| found.extend(court.take_found()));
        found
    }

    /// Does what the machine wants done.
    fn drain(&mut self) {
        loop {
            let (mut unsent, mut answered, mut failed) = (None::<QueryId>, None, None);
            match self.forward.poll() {
                Output::Send { query, port, to, octets } => {
                    let slot = self.sockets.get_mut(usize::from(port));
                    let place = slot.and_then(|slot| slot.get_mut(usize::from(to.is_ipv6())));
                    let sent = place.ok_or(io::ErrorKind::NotFound.into()).and_then(|place| {
                        if place.is_none() {
                            *place = Some(open(port, to.is_ipv6(), &self.sender, &mut self.tasks)?);
                        }
                        let socket = place.as_ref().ok_or(io::ErrorKind::NotFound)?;
                        socket.socket.send_to(octets, to)
                    });
                    unsent = sent.is_err().then_some(query);
                }
                Output::Renew { port } => {
                    if let Some(slot) = self.sockets.get_mut(usize::from(port)) {
                        *slot = [None, None];
                    }
                }
                Output::Stream { stream, to, octets } => {
                    let (streams, sender) = (Arc::clone(&self.streams), self.sender.clone());
                    let octets = octets.to_vec();
                    self.tasks.spawn(async move {
                        let response = stream::exchange(&streams, to, &octets).await;
                        let _ = sender.send(Came::Stream { stream, response }).await;
                    });
                }
                Output::Answered { ticket, body, ttl, packets, .. } => {
                    answered = self.asked.remove(&ticket).map(|mut asked| {
                        asked.spent += packets;
                        let key = asked.name.to_lowercase();
                        let of = |section| body.records(key.as_wire(), asked.rtype, section);
                        (ticket, response(body.rcode, of), ttl, asked)
                    });
                }
                Output::Failed { ticket, error, packets } => {
                    // That somebody else had no room is an answer like others.
                    failed =
                        Some((ticket, error.filter(|error| *error != ExtendedError::NOT_READY), packets));
                }
                Output::Wake(at) => {
                    self.wake = at;
                    return;
                }
                Output::Idle => {
                    self.wake = Moment::NEVER;
                    return;
                }
            }
            if let Some(query) = unsent {
                self.forward.handle_unsent(now(), query);
            }
            if let Some((ticket, mut response, ttl, asked)) = answered {
                self.border.cut(&self.policy, (&asked.name, asked.rtype), &mut response);
                let Some(court) = self.courts.get_mut(asked.court) else { continue };
                match asked.purpose {
                    Purpose::Client(client) => {
                        court.judge(Ticket(ticket.into()), client, (response, ttl), asked.spent);
                    }
                    Purpose::Fetch(id, first, _share) => {
                        court.fetched((id, first), Ok(&response), asked.spent, Vec::new());
                    }
                }
                self.fetch(asked.court);
            }
            if let Some((ticket, error, packets)) = failed {
                self.failed(ticket, error, packets);
            }
        }
    }

    fn failed(&mut self, ticket: u32, error: Option<ExtendedError>, packets: u8) {
        let Some(asked) = self.asked.remove(&ticket) else { return };
        let Some(court) = self.courts.get_mut(asked.court) else { return };
        match asked.purpose {
            Purpose::Client(client) => court.give(*client, Err(error)),
            Purpose::Fetch(id, first, _share) => {
                let spent = asked.spent + packets;
                let why = match error {
                    Some(ExtendedError::NOT_READY) => Unfetched::Busy,
                    _ if spent >= PACKETS_MAX => Unfetched::Spent,
                    _ => Unfetched::OutOfReach,
                };
                court.fetched((id, first), Err(why), spent, Vec::new());
            }
        }
        self.fetch(asked.court);
    }

    /// Asks for what a court needs, of the servers that gave the answer.
    fn fetch(&mut self, court: usize) {
        while let Some(Fetch { id, asked, first, purse: spent, share, .. }) =
            self.courts.get_mut(court).and_then(Court::next_fetch)
        {
            let purpose = Purpose::Fetch(id, first, share);
            self.begin(Asked { purpose, name: asked.name, rtype: asked.rtype, court, spent });
        }
    }
}

/// A court for each group of servers.
fn courts(policy: &Policy, roots: &Roots) -> Vec<Court<u8>> {
    policy.groups().iter().map(|_| Court::new(&roots.anchors, policy.caps, SPAN)).collect()
}

/// Opens the socket of a slot.
fn open(port: u16, ipv6: bool, sender: &mpsc::Sender<Came>, tasks: &mut JoinSet<()>) -> io::Result<Socket> {
    let socket = datagram::bind(ipv6)?;
    let (hearing, sender) = (tokio::net::UdpSocket::from_std(socket.try_clone()?)?, sender.clone());
    let hears = tasks.spawn(async move {
        let mut buffer = vec![0; DATAGRAM_OCTETS_MAX];
        loop {
            match hearing.recv_from(&mut buffer).await {
                Ok((len, from)) => {
                    let octets = buffer.get(..len).unwrap_or_default().to_vec();
                    if sender.send(Came::Datagram { port, from, octets }).await.is_err() {
                        return;
                    }
                }
                // ICMP of an earlier message, which says nothing that a timeout does not.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(_) => return,
            }
        }
    });
    Ok(Socket { socket, hears })
}
