//! Talking to other servers about zones: the machines of `transfer` with sockets and clocks.
//!
//! ```text
//! control, workers ─ Order ─► Secondaries, Announcements ─┬─► a question for the SOA ─┐
//!                                                         ├─► a transfer ─────────────┼─► News ─► control
//!                                                         └─► NOTIFY ◄── acknowledged ┘
//! ```

mod ask;
mod standing;
mod tell;

use crate::os::{clock, entropy};
use crate::services::zones::ask::{Answered, ask_soa, transfer};
use crate::services::zones::tell::send_update;
use crate::transfer::announce::Announcements;
use crate::transfer::incoming::Came;
use crate::transfer::message;
use crate::transfer::order::{News, Order};
use crate::transfer::policy::Policy;
use crate::transfer::secondary::{Act, Errand, Outcome, Secondaries};
use crate::transfer::tsig::Key;
use crate::transfer::tsig::client::Exchange;
use crate::wire::name::Name;
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

pub use standing::Standings;

/// Transfers at once: each is a connection, and memory for what came.
const TRANSFERS_MAX: usize = 16;
/// Outcomes that wait to be heard; whoever has one waits.
const ANSWERS: usize = 64;
/// Octets of the largest acknowledgement that is heard.
const DATAGRAM_OCTETS_MAX: usize = 1_232;

/// Where orders are handed in.
#[derive(Clone)]
pub struct Orders(mpsc::UnboundedSender<Order>);

/// Orders that wait to be obeyed.
pub struct Ordered(mpsc::UnboundedReceiver<Order>);

/// News of NOTIFY that wait: what comes from the network is bounded.
const NOTIFIED_MAX: usize = 1_024;

/// Where workers hand in that somebody told of news.
#[derive(Clone)]
pub struct Notifies(mpsc::Sender<Order>);

/// Tells the control thread; false if nobody takes it.
pub type Tell = Box<dyn Fn(News) -> bool + Send>;

/// All that is needed.
pub struct ZoneWork {
    /// What is to be done.
    pub ordered: Ordered,
    /// What workers heard.
    pub notified: Notified,
    /// The way back.
    pub tell: Tell,
    /// How zones stand, for people.
    pub standings: Standings,
}

/// What workers heard.
pub struct Notified(mpsc::Receiver<Order>);

/// Both ends.
pub fn orders() -> (Orders, Ordered) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Orders(sender), Ordered(receiver))
}

/// Both ends.
pub fn notifies() -> (Notifies, Notified) {
    let (sender, receiver) = mpsc::channel(NOTIFIED_MAX);
    (Notifies(sender), Notified(receiver))
}

impl Orders {
    /// Hands in an order; false if nobody obeys any more.
    pub fn give(&self, order: Order) -> bool {
        self.0.send(order).is_ok()
    }
}

impl Notifies {
    /// Hands in news. If too many wait it is lost: whoever told it will tell it again, or the zone is asked for anyway.
    pub fn tell(&self, origin: &[u8], serial: Option<crate::zone::Serial>) {
        if let Ok(origin) = Name::from_wire(origin) {
            let _ = self.0.try_send(Order::Notified(origin, serial));
        }
    }
}

/// An id that nobody can guess.
fn id() -> io::Result<u16> {
    entropy::random().map(u16::from_le_bytes)
}

/// Obeys orders until it is told to stop.
pub(super) async fn run(work: ZoneWork, mut stop: watch::Receiver<()>) {
    let ZoneWork { ordered: Ordered(mut orders), notified: Notified(mut notified), tell, standings } = work;
    let (answers, mut answered) = mpsc::channel(ANSWERS);
    let mut talk = Talk {
        secondaries: Secondaries::default(),
        announcements: Announcements::default(),
        soas: HashMap::new(),
        policy: Arc::default(),
        tell,
        standings,
        tasks: JoinSet::new(),
        transfers: Arc::new(Semaphore::new(TRANSFERS_MAX)),
        answers,
        sockets: Sockets::default(),
    };
    let mut buffer = vec![0; DATAGRAM_OCTETS_MAX];
    loop {
        talk.work().await;
        let wake = talk.next_wake();
        tokio::select! {
            order = orders.recv() => match order {
                Some(order) => talk.obey(order),
                None => return,
            },
            Some(order) = notified.recv() => talk.obey(order),
            Some((errand, answer)) = answered.recv() => talk.hear(&errand, answer),
            Some(_) = talk.tasks.join_next() => {}
            (len, from) = talk.sockets.receive(&mut buffer) => {
                talk.announcements.heard(from, buffer.get(..len).unwrap_or_default());
            }
            () = tokio::time::sleep_until(wake.into()) => {}
            // Nothing is ever sent: the sender is dropped.
            _ = stop.changed() => return,
        }
    }
}

struct Talk {
    secondaries: Secondaries,
    announcements: Announcements,
    /// RDATA of the SOA of each version at hand.
    soas: HashMap<Name, Vec<u8>>,
    policy: Arc<Policy>,
    tell: Tell,
    standings: Standings,
    tasks: JoinSet<()>,
    transfers: Arc<Semaphore>,
    answers: mpsc::Sender<(Errand, Answered)>,
    sockets: Sockets,
}

impl Talk {
    fn obey(&mut self, order: Order) {
        let now = clock::moment(clock::now());
        match order {
            Order::Zones(specs, policy) => {
                self.policy = policy;
                self.soas.retain(|origin, _| specs.iter().any(|spec| spec.origin == *origin));
                self.secondaries.set(now, specs);
            }
            Order::Served { origin, terms, soa, age } => {
                self.secondaries.served(now, &origin, terms, age);
                self.soas.insert(origin, soa);
            }
            Order::Absent(origin) => self.secondaries.absent(now, &origin),
            Order::Failed(origin) => self.secondaries.failed(now, &origin),
            Order::Notified(origin, serial) => self.secondaries.notified(now, &origin, serial),
            Order::Refresh(origin, whole) => _ = self.secondaries.refresh(now, &origin, whole),
            Order::Update { origin, message, to, key, done } => {
                let key = self.key_of(key.as_ref());
                self.tasks.spawn(async move {
                    done.tell(match key {
                        Ok(key) => send_update(&origin, message, &to, key).await,
                        Err(why) => Err(why),
                    });
                });
            }
            Order::Announce { origin, soa, to, key } => {
                for to in to {
                    match id() {
                        Ok(id) => {
                            let message = message::notify(id, &origin, &soa);
                            self.announcements.tell(now, &origin, to, key.clone(), message);
                        }
                        Err(error) => tracing::error!("cannot draw random numbers: {error}"),
                    }
                }
            }
        }
    }

    /// What came of an errand.
    fn hear(&mut self, errand: &Errand, answer: Answered) {
        let now = clock::moment(clock::now());
        let outcome = match answer {
            Answered::Serial(serial) => Outcome::Serial(serial),
            Answered::Came(Came::Current(serial)) => Outcome::Serial(serial),
            Answered::Came(came) => {
                match &came {
                    Came::Steps(steps) => {
                        let steps = steps.len();
                        tracing::info!(zone = %errand.origin, primary = %errand.primary, steps, "IXFR");
                    }
                    Came::Whole(run) => {
                        let octets = run.len();
                        tracing::info!(zone = %errand.origin, primary = %errand.primary, octets, "AXFR");
                    }
                    Came::Current(_) => {}
                }
                let _ = (self.tell)(News::Arrived(errand.origin.clone(), came));
                Outcome::Arrived
            }
            Answered::NoSteps(why) => {
                tracing::info!(zone = %errand.origin, primary = %errand.primary, "no changes, all of it is asked for: {why}");
                Outcome::NoSteps
            }
            Answered::Failed(why) => {
                tracing::warn!(zone = %errand.origin, primary = %errand.primary, "{why}");
                Outcome::Failed
            }
        };
        self.secondaries.done(now, errand, outcome);
    }

    /// Does what the machines want.
    async fn work(&mut self) {
        let now = clock::moment(clock::now());
        self.secondaries.turn(now);
        while let Some(act) = self.secondaries.poll() {
            self.act(act);
        }
        while let Some(send) = self.announcements.poll(now) {
            match send {
                Ok(send) => {
                    let mut message = send.message;
                    if let Some(key) = send.key.as_ref().and_then(|name| self.policy.key(name)) {
                        // Acknowledgements only stop what would be repeated: theirs need not be proven.
                        Exchange::begin(key, &mut message, clock::wall_seconds());
                    }
                    if let Err(error) = self.sockets.send(send.to, &message).await {
                        tracing::debug!(to = %send.to, "NOTIFY was not sent: {error}");
                    }
                }
                Err(unheard) => {
                    tracing::warn!(zone = %unheard.origin, to = %unheard.to, "nobody acknowledges NOTIFY");
                }
            }
        }
        self.standings.publish(&self.secondaries);
    }

    fn act(&mut self, act: Act) {
        let news = match act {
            Act::AskSoa(errand) => {
                let (key, answers) = (self.key_of(errand.key.as_ref()), self.answers.clone());
                self.tasks.spawn(async move {
                    let answer = match key {
                        Ok(key) => ask_soa(&errand, key).await,
                        Err(why) => Answered::Failed(why),
                    };
                    let _ = answers.send((errand, answer)).await;
                });
                return;
            }
            Act::Transfer { errand, have } => {
                let soa = have.and_then(|_| self.soas.get(&errand.origin).cloned());
                let (key, answers) = (self.key_of(errand.key.as_ref()), self.answers.clone());
                let transfers = Arc::clone(&self.transfers);
                self.tasks.spawn(async move {
                    // It is never closed.
                    let Ok(_permit) = transfers.acquire().await else { return };
                    let answer = match key {
                        Ok(key) => transfer(&errand, soa, key).await,
                        Err(why) => Answered::Failed(why),
                    };
                    let _ = answers.send((errand, answer)).await;
                });
                return;
            }
            Act::Checked(origin) => News::Checked(origin),
            Act::Expired(origin) => News::Expired(origin),
            Act::Revived(origin) => News::Revived(origin),
        };
        let _ = (self.tell)(news);
    }

    /// The key of that name, which signs; if there is no such key nothing is asked unsigned.
    fn key_of(&self, name: Option<&Name>) -> Result<Option<Arc<Key>>, String> {
        match name {
            None => Ok(None),
            Some(name) => match self.policy.key(name) {
                Some(key) => Ok(Some(Arc::clone(key))),
                None => Err(format!("there is no key {name}")),
            },
        }
    }

    fn next_wake(&self) -> Instant {
        let wake = self.secondaries.next_wake().min(self.announcements.next_wake());
        let now = clock::now();
        // Longer than that nobody sleeps: a moment that never comes is none that a clock can be set to.
        now + wake.since(clock::moment(now)).min(Duration::from_secs(3_600))
    }
}

/// Where announcements leave from, one socket for each family.
#[derive(Default)]
struct Sockets {
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
}

impl Sockets {
    async fn send(&mut self, to: SocketAddr, message: &[u8]) -> io::Result<()> {
        let (socket, any) = match to {
            SocketAddr::V4(_) => (&mut self.v4, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))),
            SocketAddr::V6(_) => (&mut self.v6, SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))),
        };
        let socket = match socket {
            Some(socket) => socket,
            None => socket.insert(UdpSocket::bind(any).await?),
        };
        socket.send_to(message, to).await.map(|_| ())
    }

    /// The next datagram on either; never, as long as there is no socket. Errors, which ICMP makes, say nothing.
    async fn receive(&self, buffer: &mut [u8]) -> (usize, SocketAddr) {
        loop {
            let ready = tokio::select! {
                ready = readable(self.v4.as_ref()) => ready,
                ready = readable(self.v6.as_ref()) => ready,
            };
            if let Ok(received) = ready.try_recv_from(buffer) {
                return received;
            }
        }
    }
}

async fn readable(socket: Option<&UdpSocket>) -> &UdpSocket {
    match socket {
        Some(socket) => {
            let _ = socket.readable().await;
            socket
        }
        None => std::future::pending().await,
    }
}
