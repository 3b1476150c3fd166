//! A worker's resolver between real sockets, at moments of the test's own choosing.

mod hops;
mod streams;

use super::{MESSAGES_PER_TURN, Setup};
use crate::base::metrics::WorkerCounters;
use crate::base::network::{Network, Networks};
use crate::base::time::Moment;
use crate::catalog::published::Publisher;
use crate::catalog::snapshot::ZoneNumber;
use crate::catalog::state::State;
use crate::os::clock;
use crate::resolve::body::ExtendedError;
use crate::resolve::cache::{Cache, Life};
use crate::resolve::errand::{Delivery, Errand};
use crate::resolve::harvest::Caps;
use crate::resolve::pending::QUESTIONS_OF_CLIENT_MAX;
use crate::resolve::policy::{Policy, Way};
use crate::resolve::question::{Question, Wants};
use crate::resolve::writer::{Writer, Written};
use crate::wire::key::HashSeed;
use crate::wire::message::{AD, RD, Rcode};
use crate::wire::name::Name;
use crate::wire::reply::Section;
use crate::wire::response::Response;
use crate::wire::rtype::RecordType;
use crate::wire::section::{Record, records};
use crate::worker::ends::Ends;
use crate::worker::exchange::Exchange;
use crate::worker::resolver::{Resolver, Upstreams};
use crate::worker::{Desk, Resolving, Settings, tcp, udp};
use arc_swap::ArcSwap;
use crossbeam::channel::{Receiver, Sender, unbounded};
use mio::{Events, Poll, Token};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

const CAPS: Caps = Caps { ttl_max: 86_400, negative_ttl_max: 3_600 };
/// Fewer queries than a batch has.
const AT_ONCE: usize = 32;
/// Of the listener for datagrams, which each turn looks at.
const UDP: Token = Token(0);

/// A worker without its thread.
struct Stage {
    poll: Poll,
    desk: Desk,
    udp: udp::Listeners,
    tcp: tcp::Connections,
    resolver: Resolving,
    /// Where it listens; UDP and TCP.
    address: [SocketAddr; 2],
    policy: Arc<ArcSwap<Policy>>,
    cache: Arc<Cache>,
    errands: Receiver<Errand>,
    deliveries: Sender<Delivery>,
    now: Instant,
}

fn seed() -> HashSeed {
    HashSeed::new(*b"a seed for tests")
}

fn policy(way: Way, caps: Caps) -> Policy {
    let loopback = Network::parse("127.0.0.0/8").unwrap();
    Policy::new(Networks::new([loopback]), caps, 3_600, (true, true), [(Name::ROOT, way)])
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn question(name: &Name) -> Question<'_> {
    Question::new(name.as_wire(), seed().name(name.as_wire()), RecordType::A, Wants::default())
}

/// A client, or a server, at that address of the loopback.
fn socket(last: u8) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, last), 0)).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// What has come to a socket.
fn come(socket: &UdpSocket) -> Vec<(Vec<u8>, SocketAddr)> {
    let mut buffer = [0; 4_096];
    std::iter::from_fn(|| {
        socket.recv_from(&mut buffer).ok().map(|(len, from)| (buffer[..len].to_vec(), from))
    })
    .collect()
}

/// The code, the flags and the records of each answer that has come.
fn told(socket: &UdpSocket) -> Vec<(u8, u16, Vec<Record>)> {
    let answer = |(message, _): (Vec<u8>, SocketAddr)| {
        let records = records(&Response::read(&message).unwrap(), Section::Answer);
        (message[3] & 15, u16::from_be_bytes([message[2], message[3]]), records)
    };
    come(socket).into_iter().map(answer).collect()
}

impl Stage {
    fn new(way: Way) -> Stage {
        Stage::with(policy(way, CAPS), State::new(seed(), 4))
    }

    fn with(policy: Policy, mut state: State) -> Stage {
        let (listener, streams) = (socket(1), TcpListener::bind("127.0.0.1:0").unwrap());
        streams.set_nonblocking(true).unwrap();
        let address = [listener.local_addr().unwrap(), streams.local_addr().unwrap()];
        let poll = Poll::new().unwrap();
        let settings =
            Settings { udp_payload_max: 1_232, tcp_idle: Duration::from_secs(10), tcp_connections_max: 1 };
        let publisher = Publisher::new(state.snapshot(Moment::START));
        let (errand_sender, errands) = unbounded();
        let (deliveries, delivered) = unbounded();
        let policy = Arc::new(ArcSwap::from_pointee(policy));
        let cache = Arc::new(Cache::new(1 << 20));
        let setup = Setup {
            policy: Arc::clone(&policy),
            cache: Arc::clone(&cache),
            upstreams: Upstreams::default(),
            ports: 4,
            errands: Box::new(move |errand| errand_sender.send(errand).is_ok()),
            members: Box::new(|_| false),
            deliveries: delivered,
        };
        let desk = Desk {
            reader: publisher.published().reader(),
            scratch: Box::default(),
            counters: Arc::new(WorkerCounters::default()),
            exchange: Exchange::default(),
            settings,
            guess: ZoneNumber::default(),
            now: Moment::START,
            asked: 0,
        };
        Stage {
            desk,
            udp: udp::Listeners::new(vec![listener], poll.registry()).unwrap(),
            tcp: tcp::Connections::new(vec![streams], poll.registry(), settings, 1).unwrap(),
            poll,
            resolver: Some(Box::new(Resolver::new(setup))),
            address,
            policy,
            cache,
            errands,
            deliveries,
            now: clock::now(),
        }
    }

    fn ask(&self, client: &UdpSocket, name: &Name, flags: u16) {
        let header = [0x1234, RD | flags, 1, 0, 0, 0].map(u16::to_be_bytes).concat();
        let query = [&header[..], name.as_wire(), &[0, 1, 0, 1]].concat();
        client.send_to(&query, self.address[0]).unwrap();
    }

    /// What the worker's loop does once.
    fn turn(&mut self) {
        self.desk.now = clock::moment(self.now);
        self.udp.set_ready(0);
        self.udp.answer(&mut self.desk, &mut self.resolver, self.now);
        self.desk.now = clock::moment(self.now);
        let registry = self.poll.registry();
        self.tcp.turn(registry, &mut self.desk, &mut self.resolver, self.now);
        let ends = &mut Ends { udp: &mut self.udp, tcp: &mut self.tcp, registry, now: self.now };
        self.resolver.as_mut().unwrap().turn(&mut self.desk, ends);
        self.udp.send_late(&self.desk);
    }

    /// Hears what comes next from servers, and over TCP.
    fn hear(&mut self) {
        let mut events = Events::with_capacity(16);
        // What cuts it short brings another turn.
        let _ = self.poll.poll(&mut events, Some(Duration::from_secs(10)));
        self.desk.now = clock::moment(self.now);
        let registry = self.poll.registry();
        for event in &events {
            if Resolver::is_own(event.token()) {
                let ends = &mut Ends { udp: &mut self.udp, tcp: &mut self.tcp, registry, now: self.now };
                self.resolver.as_mut().unwrap().hear(event.token(), &mut self.desk, ends);
            } else if event.token() != UDP {
                let (readable, writable) = (event.is_readable(), event.is_writable());
                self.tcp.handle(event.token(), readable, writable, registry, &mut self.desk, self.now);
            }
        }
        self.udp.send_late(&self.desk);
    }

    fn advance(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        self.turn();
    }
}

#[test]
fn a_client_leaves_room_for_others_and_what_had_no_room_is_not_kept() {
    let (upstream, clients) = (socket(1), [socket(1), socket(2), socket(3)]);
    let mut stage = Stage::new(Way::Forward(vec![upstream.local_addr().unwrap()]));
    let ask = |stage: &mut Stage, client: usize, count: usize| {
        let mut refused = Vec::new();
        for number in 0..count {
            stage.ask(&clients[client], &name(&format!("n{number}.c{client}.test.")), 0);
            if (number + 1) % AT_ONCE == 0 || number + 1 == count {
                stage.turn();
                refused.extend(told(&clients[client]).into_iter().map(|(code, ..)| code));
            }
        }
        refused
    };
    const SERVFAIL: u8 = Rcode::ServFail as u8;
    assert_eq!(ask(&mut stage, 0, QUESTIONS_OF_CLIENT_MAX + 1), [SERVFAIL]);
    assert!(ask(&mut stage, 1, QUESTIONS_OF_CLIENT_MAX).is_empty());
    // Two have all places of the machine that forwards.
    assert_eq!(ask(&mut stage, 2, 1), [SERVFAIL]);
    for refused in [format!("n{QUESTIONS_OF_CLIENT_MAX}.c0.test."), "n0.c2.test.".to_owned()] {
        assert!(stage.cache.kept(&question(&name(&refused)), stage.desk.now).is_none(), "{refused}");
    }
    // Those that were asked fail in their time, and that is known for a while.
    stage.advance(3_100);
    let kept = stage.cache.kept(&question(&name("n7.c1.test.")), stage.desk.now);
    assert!(kept.is_some_and(|kept| kept.failing.is_some()));
    assert!(ask(&mut stage, 2, 1).is_empty());
}

#[test]
fn what_the_services_thread_had_no_room_for_is_not_kept_and_what_failed_is() {
    let (mut stage, client, name) = (Stage::new(Way::Iterate), socket(1), name("www.test."));
    let mut fail = |error: ExtendedError| {
        stage.ask(&client, &name, 0);
        stage.turn();
        let ticket = match stage.errands.try_recv() {
            Ok(Errand::Resolve { ticket, .. }) => Some(ticket),
            _ => None,
        };
        if let Some(ticket) = ticket {
            stage.deliveries.send(Delivery::Resolved { ticket, found: Err(Some(error)) }).unwrap();
            stage.turn();
        }
        assert_eq!(told(&client).iter().map(|told| told.0).collect::<Vec<_>>(), [Rcode::ServFail as u8]);
        ticket.is_some()
    };
    assert!(fail(ExtendedError::NOT_READY) && fail(ExtendedError::NETWORK_ERROR));
    assert!(!fail(ExtendedError::NOT_READY));
}

#[test]
fn a_question_that_one_client_had_no_room_for_is_asked_for_another_who_waits_for_it() {
    let (mut stage, clients, name) = (Stage::new(Way::Iterate), [socket(2), socket(3)], name("www.test."));
    let asked_for = |stage: &mut Stage| match stage.errands.try_recv() {
        Ok(Errand::Resolve { ticket, client, .. }) => Some((ticket, client)),
        _ => None,
    };
    let codes = |client: &UdpSocket| told(client).iter().map(|(code, ..)| *code).collect::<Vec<_>>();
    for client in &clients {
        stage.ask(client, &name, 0);
        stage.turn();
    }
    let (ticket, first) = asked_for(&mut stage).unwrap();
    assert_eq!((first, asked_for(&mut stage)), ([127, 0, 0, 2].into(), None));
    let refuse = |stage: &mut Stage| {
        let found = Err(Some(ExtendedError::NOT_READY));
        stage.deliveries.send(Delivery::Resolved { ticket, found }).unwrap();
        stage.turn();
    };
    refuse(&mut stage);
    const SERVFAIL: u8 = Rcode::ServFail as u8;
    assert_eq!((codes(&clients[0]), codes(&clients[1])), (vec![SERVFAIL], vec![]));
    assert_eq!(asked_for(&mut stage), Some((ticket, [127, 0, 0, 3].into())));
    refuse(&mut stage);
    assert_eq!((codes(&clients[0]), codes(&clients[1])), (vec![], vec![SERVFAIL]));
    assert!(asked_for(&mut stage).is_none());
}

/// Keeps an address of a name, validated, for a second and an hour more.
fn keep(stage: &Stage, name: &Name) {
    let mut writer = Writer::default();
    writer.begin(name.as_wire());
    writer.section(Section::Answer);
    let written = Written { owner: name.as_wire(), rtype: RecordType::A, ttl: 1, rdata: &[192, 0, 2, 1] };
    writer.put(&written).unwrap();
    let life = Life { fresh_seconds: 1, stale_seconds: 3_600 };
    let body = writer.body(Rcode::NoError, true, None);
    assert!(stage.cache.put(&question(name), clock::moment(stage.now), life, &body));
}

#[test]
fn whoever_asks_when_patience_is_over_is_told_at_once_what_is_stale() {
    let (mut stage, first, second) = (Stage::new(Way::Iterate), socket(1), socket(2));
    let name = name("www.test.");
    keep(&stage, &name);
    stage.advance(5_000);
    stage.ask(&first, &name, 0);
    stage.turn();
    assert!(told(&first).is_empty() && stage.errands.len() == 1);
    stage.advance(1_700);
    stage.ask(&second, &name, 0);
    stage.turn();
    assert!(told(&first).is_empty() && told(&second).is_empty());
    stage.advance(100);
    assert!([&first, &second].iter().all(|client| told(client).iter().map(|told| told.2.len()).eq([1])));
    // It is still being asked.
    stage.advance(1_000);
    stage.ask(&second, &name, 0);
    stage.turn();
    assert_eq!(told(&second).iter().map(|told| told.2.len()).collect::<Vec<_>>(), [1]);
    assert_eq!(stage.errands.len(), 1);
}

/// Answers a query as a server: with one record of the name asked for.
fn reply(
    server: &UdpSocket,
    (query, from): (&[u8], SocketAddr),
    (rtype, ttl, rdata): (RecordType, u32, &[u8]),
) {
    let end = asked_for(query).as_wire().len() + 12 + 4;
    let header = [&query[..2], &[0x80, 0, 0, 1, 0, 1, 0, 0, 0, 0]].concat();
    let record = [&[0xc0, 12], &rtype.0.to_be_bytes()[..], &[0, 1], &ttl.to_be_bytes()].concat();
    let rdata = [&(rdata.len() as u16).to_be_bytes(), rdata].concat();
    server.send_to(&[&header, &query[12..end], &record, &rdata].concat(), from).unwrap();
}

/// The name that a query asks for.
fn asked_for(query: &[u8]) -> Name {
    let end = 12 + query[12..].iter().position(|octet| *octet == 0).unwrap() + 1;
    Name::from_wire(&query[12..end]).unwrap().to_lowercase()
}

/// What a server is asked, once it is: each question but for probes once, with the query that came last.
fn asked(stage: &mut Stage, server: &UdpSocket) -> Vec<(Name, Vec<u8>, SocketAddr)> {
    stage.turn();
    let mut all: Vec<(Name, Vec<u8>, SocketAddr)> = Vec::new();
    for (query, from) in come(server).into_iter().filter(|(query, _)| query[12] != 0) {
        let name = asked_for(&query);
        all.retain(|(known, ..)| *known != name);
        all.push((name, query, from));
    }
    all
}

#[test]
fn messages_beyond_those_of_one_turn_are_heard_in_the_next() {
    let (upstream, client) = (socket(1), socket(1));
    let mut stage = Stage::new(Way::Forward(vec![upstream.local_addr().unwrap()]));
    stage.ask(&client, &name("www.test."), 0);
    let asked = asked(&mut stage, &upstream);
    let [(_, query, from)] = &asked[..] else { panic!("{asked:?}") };
    (0..2 * MESSAGES_PER_TURN).for_each(|_| _ = upstream.send_to(b"none of its own", *from).unwrap());
    reply(&upstream, (query, *from), (RecordType::A, 300, &[192, 0, 2, 1]));
    stage.hear();
    let mut answers = told(&client);
    assert!(answers.is_empty());
    // Nothing else comes: so it must not wait for anything.
    for _ in 0..2 {
        assert_eq!(stage.resolver.as_mut().unwrap().next_wake(), Moment::START);
        stage.turn();
        answers.extend(told(&client));
    }
    assert_eq!(answers.len(), 1);
    assert_ne!(stage.resolver.as_mut().unwrap().next_wake(), Moment::START);
}

#[test]
fn a_reload_of_the_bounds_holds_for_the_next_answer() {
    let (upstream, client) = (socket(1), socket(1));
    let way = || Way::Forward(vec![upstream.local_addr().unwrap()]);
    let mut stage = Stage::new(way());
    let mut ttl = |text: &str, ttl_max: u32| {
        stage.policy.store(Arc::new(policy(way(), Caps { ttl_max, ..CAPS })));
        stage.turn();
        stage.ask(&client, &name(text), 0);
        stage.turn();
        let (query, from) = come(&upstream).pop().unwrap();
        reply(&upstream, (&query, from), (RecordType::A, 300, &[192, 0, 2, 1]));
        let mut answers = Vec::new();
        while answers.is_empty() {
            stage.hear();
            answers = told(&client);
        }
        answers[0].2[0].ttl
    };
    assert_eq!((ttl("a.test.", 86_400), ttl("b.test.", 60), ttl("c.test.", 120)), (300, 60, 120));
}

#[test]
fn a_failing_question_that_is_asked_ten_times_costs_fewer_than_15_packets() {
    let (upstreams, client, name) = ([socket(1), socket(1), socket(1)], socket(1), name("silent.test."));
    let addresses = upstreams.iter().map(|upstream| upstream.local_addr().unwrap()).collect();
    let mut stage = Stage::new(Way::Forward(addresses));
    let (mut packets, mut failures) = (0, 0);
    for step in 0..140 {
        // Once a second, ten times.
        if step % 10 == 0 && step < 100 {
            stage.ask(&client, &name, 0);
        }
        stage.advance(100);
        let heard = upstreams.iter().flat_map(come);
        packets += heard.filter(|(query, _)| query[12] == 6).count();
        failures += told(&client).iter().filter(|(code, ..)| *code == Rcode::ServFail as u8).count();
    }
    assert_eq!(failures, 10);
    assert!((1..15).contains(&packets), "{packets}");
}

#[test]
fn what_is_stale_is_not_told_as_authentic() {
    let (mut stage, client, name) = (Stage::new(Way::Iterate), socket(1), name("www.test."));
    keep(&stage, &name);
    let mut authentic = |millis: u64| {
        stage.ask(&client, &name, AD);
        stage.turn();
        stage.advance(millis);
        told(&client)
            .iter()
            .map(|(code, flags, records)| (*code, flags & AD, records.len()))
            .collect::<Vec<_>>()
    };
    assert_eq!(authentic(5_000), [(0, AD, 1)]);
    assert_eq!(authentic(1_800), [(0, 0, 1)]);
}
