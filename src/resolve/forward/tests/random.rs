//! A made-up world of upstreams with loss, delay, doubles and forgers: what holds in all of them.

use super::script::{respond, text_of_name};
use super::{CAPS, address, lots};
use crate::base::time::Moment;
use crate::resolve::forward::{Forward, Output, PACKETS_EACH_MAX, PACKETS_MAX, QUESTION_LIFE, StreamId};
use crate::resolve::question::{Question, Wants};
use crate::resolve::script_tests as script;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

/// What a forger would have clients believe.
const FORGED: &str = "203.0.113.66";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Good,
    Silent,
    Fails,
    Refuses,
    Truncates,
    FoldsCase,
    KnowsNoEdns,
    /// Truncates, and takes no streams.
    NoStreams,
}

#[derive(Debug, Clone, Copy)]
struct Server {
    kind: Kind,
    loss_percent: u8,
    delay_ms: u64,
}

enum Event {
    Ask(u32),
    Datagram(u16, SocketAddr, Vec<u8>),
    Stream(StreamId, Option<Vec<u8>>),
}

struct World {
    servers: Vec<Server>,
    rng: fastrand::Rng,
    forgers: bool,
    events: BTreeMap<(Moment, u64), Event>,
    made: u64,
    /// Packets by name and server.
    packets: HashMap<(String, SocketAddr), u8>,
    /// Names that somebody answered.
    given: HashSet<String>,
}

impl World {
    fn schedule(&mut self, at: Moment, event: Event) {
        self.made += 1;
        self.events.insert((at, self.made), event);
    }

    fn server(&self, to: SocketAddr) -> Server {
        let number = self.servers.iter().zip(1..).find(|(_, number)| address(*number) == to);
        *number.expect("one of ours").0
    }

    fn take(&mut self, to: SocketAddr, octets: &[u8]) -> String {
        let name = text_of_name(octets);
        *self.packets.entry((name.clone(), to)).or_default() += 1;
        name
    }

    fn datagram(&mut self, now: Moment, port: u16, to: SocketAddr, octets: &[u8]) {
        let (name, server) = (self.take(to, octets), self.server(to));
        let later = |rng: &mut fastrand::Rng| now + Duration::from_millis(server.delay_ms + rng.u64(0..5));
        if self.forgers && self.rng.u8(..) < 50 {
            let record = format!("{name} 60 A {FORGED}");
            let mut message = respond(octets, 0, &[&record], &[]);
            let (mut from, mut to_port) = (to, port);
            match self.rng.u8(0..5) {
                0 => message[0] ^= 1,
                1 => to_port ^= 1,
                2 => from = address(200),
                3 if name != "." => message[13] ^= 0x20,
                _ => message[1] ^= 7,
            }
            self.schedule(now, Event::Datagram(to_port, from, message));
        }
        let is_lost = self.rng.u8(0..100) < server.loss_percent;
        let Some(answer) = self.answer(&name, server, octets, false).filter(|_| !is_lost) else { return };
        let at = later(&mut self.rng);
        self.schedule(at, Event::Datagram(port, to, answer.clone()));
        if self.rng.u8(..) < 30 {
            let at = later(&mut self.rng);
            self.schedule(at, Event::Datagram(port, to, answer));
        }
    }

    fn stream(&mut self, now: Moment, stream: StreamId, to: SocketAddr, octets: &[u8]) {
        let (name, server) = (self.take(to, octets), self.server(to));
        let answer = self.answer(&name, server, octets, true);
        self.schedule(now + Duration::from_millis(3 * server.delay_ms), Event::Stream(stream, answer));
    }

    fn answer(&mut self, name: &str, server: Server, query: &[u8], is_stream: bool) -> Option<Vec<u8>> {
        let has_edns = query[11] != 0;
        let rcode = match server.kind {
            Kind::Silent => return None,
            Kind::NoStreams if is_stream => return None,
            Kind::Fails => 2,
            Kind::Refuses => 5,
            Kind::KnowsNoEdns if has_edns => 1,
            _ => 0,
        };
        if rcode != 0 {
            return Some(respond(query, rcode, &[], &[]));
        }
        if matches!(server.kind, Kind::Truncates | Kind::NoStreams) && !is_stream {
            let mut message = respond(query, 0, &[], &[]);
            message[2] |= 2;
            return Some(message);
        }
        let record = format!("{name} 60 A 192.0.2.1");
        let answer: &[&str] = if name == "." { &[] } else { &[&record] };
        let mut message = respond(query, 0, answer, &[]);
        if server.kind == Kind::FoldsCase {
            let end = message.len().min(12 + 20);
            message[12..end].make_ascii_lowercase();
        }
        self.given.insert(name.to_owned());
        Some(message)
    }
}

/// How a question ended: when it was put, when it ended, and the records.
type Ends = BTreeMap<u32, (Moment, Moment, Option<Vec<String>>)>;

fn run(servers: &[Server], asks_ms: &[u64], seed: u64, forgers: bool) -> (World, Ends) {
    let start = Moment::START + Duration::from_secs(1_000);
    let addresses = (1..=servers.len() as u8).map(address).collect();
    let mut forward = Forward::new(&[addresses], 16, CAPS, lots(seed));
    let mut world = World {
        servers: servers.to_vec(),
        rng: fastrand::Rng::with_seed(seed),
        forgers,
        events: BTreeMap::new(),
        made: 0,
        packets: HashMap::new(),
        given: HashSet::new(),
    };
    for (ticket, ms) in (0..).zip(asks_ms) {
        world.schedule(start + Duration::from_millis(*ms), Event::Ask(ticket));
    }
    let (mut ends, mut asked): (Ends, HashMap<u32, Moment>) = (BTreeMap::new(), HashMap::new());
    let mut wake = Moment::NEVER;
    while ends.len() < asks_ms.len() {
        let next = world.events.first_key_value().map_or(Moment::NEVER, |((at, _), _)| *at);
        let now = next.min(wake);
        assert!(now < Moment::NEVER, "questions are left, and nothing comes");
        if wake <= next {
            forward.handle_timeout(now);
        } else if let Some((_, event)) = world.events.pop_first() {
            match event {
                Event::Ask(ticket) => {
                    let name = Name::parse(&format!("q{ticket}.test.")).unwrap();
                    let question = Question::new(name.as_wire(), 0, RecordType::A, Wants::default());
                    asked.insert(ticket, now);
                    forward.ask(now, ticket, 0, &question).unwrap();
                }
                Event::Datagram(port, from, message) => forward.handle_datagram(now, port, from, &message),
                Event::Stream(stream, message) => {
                    forward.handle_stream(now, stream, message.as_deref().ok_or(()));
                }
            }
        }
        loop {
            match forward.poll() {
                Output::Send { port, to, octets, .. } => world.datagram(now, port, to, octets),
                Output::Stream { stream, to, octets } => world.stream(now, stream, to, octets),
                Output::Renew { .. } => {}
                Output::Answered { ticket, body, .. } => {
                    let name = Name::parse(&format!("q{ticket}.test.")).unwrap();
                    let records = script::show(name.as_wire(), &body);
                    assert!(ends.insert(ticket, (asked[&ticket], now, Some(records))).is_none());
                }
                Output::Failed { ticket, .. } => {
                    assert!(ends.insert(ticket, (asked[&ticket], now, None)).is_none());
                }
                Output::Wake(at) => break wake = at,
                Output::Idle => break wake = Moment::NEVER,
            }
        }
    }
    (world, ends)
}

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![
        Kind::Good,
        Kind::Silent,
        Kind::Fails,
        Kind::Refuses,
        Kind::Truncates,
        Kind::FoldsCase,
        Kind::KnowsNoEdns,
        Kind::NoStreams,
    ])
}

fn server() -> impl Strategy<Value = Server> {
    (kind(), 0..60u8, 0..300u64).prop_map(|(kind, loss_percent, delay_ms)| Server {
        kind,
        loss_percent,
        delay_ms,
    })
}

proptest! {
    #[test]
    fn every_question_ends_in_time_within_its_packets_and_with_what_somebody_said(
        servers in prop::collection::vec(server(), 1..5),
        well in prop::option::of((0..5usize, 0..300u64)),
        asks in prop::collection::vec(0..6_000u64, 1..60),
        seed: u64,
    ) {
        let mut servers = servers;
        if let Some((at, delay_ms)) = well {
            servers.insert(at.min(servers.len()), Server { kind: Kind::Good, loss_percent: 0, delay_ms });
        }
        let (world, ends) = run(&servers, &asks, seed, true);
        for (ticket, (asked, ended, records)) in &ends {
            prop_assert!(*ended - *asked <= QUESTION_LIFE);
            let name = format!("q{ticket}.test.");
            match records {
                None => prop_assert!(well.is_none(), "{name} is not answered after {:?}", *ended - *asked),
                Some(records) => {
                    prop_assert!(world.given.contains(&name));
                    prop_assert_eq!(records, &vec![format!("{name} 60 A 192.0.2.1")]);
                }
            }
            let packets = world.packets.iter().filter(|((of, _), _)| *of == name);
            let counts: Vec<u8> = packets.map(|(_, count)| *count).collect();
            prop_assert!(counts.iter().all(|count| *count <= PACKETS_EACH_MAX));
            prop_assert!(counts.iter().sum::<u8>() <= PACKETS_MAX);
        }
    }

    #[test]
    fn with_one_of_two_dead_every_question_is_answered_within_the_delay_of_a_hedge(
        delay_ms in 0..50u64,
        dead_first: bool,
        asks in prop::collection::vec(0..20_000u64, 1..100),
        seed: u64,
    ) {
        let dead = Server { kind: Kind::Silent, loss_percent: 0, delay_ms: 0 };
        let well = Server { kind: Kind::Good, loss_percent: 0, delay_ms };
        let servers = if dead_first { [dead, well] } else { [well, dead] };
        let (world, ends) = run(&servers, &asks, seed, false);
        let bound = crate::resolve::forward::HEDGE_DELAY_START + Duration::from_millis(delay_ms + 5);
        for (asked, ended, records) in ends.values() {
            prop_assert!(records.is_some() && *ended - *asked <= bound, "{:?}", *ended - *asked);
        }
        // And few wait at all: one that is silent is not asked first again and again.
        let to_dead = world.packets.iter().filter(|((name, to), _)| *to == address(if dead_first { 1 } else { 2 }) && name != ".");
        let after_start = asks.iter().filter(|ms| **ms > 500 + asks.iter().min().unwrap()).count();
        prop_assert!(to_dead.count() <= asks.len() - after_start + 2 + after_start / 20);
    }
}
