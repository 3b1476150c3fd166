//! What askers in different networks, stacks and nodes get of the same names: from what nodes say to octets of answers.

#[path = "support/counting.rs"]
mod counting;

use counting::counted;
use hivedns::answer::{self, Bounds, Offers, Scratch, Verdict, answer_short};
use hivedns::base::time::Moment;
use hivedns::catalog::delta::Delta;
use hivedns::catalog::lease::{Lease, OwnerId};
use hivedns::catalog::services::Terms as ServiceTerms;
use hivedns::catalog::snapshot::{Snapshot, ZoneNumber};
use hivedns::catalog::state::State;
use hivedns::discovery::endpoint::{Attachment, Endpoint, Port, Protocol, Reach, ServiceRef, TaskRef};
use hivedns::discovery::labels::{Labels, Order};
use hivedns::discovery::names::{Names, Terms};
use hivedns::wire::key::{HashSeed, NameKey};
use hivedns::wire::name::Name;
use hivedns::wire::query::{Accepted, accept};
use hivedns::wire::short::{self, WINDOW};
use hivedns::zone::view::{Asker, number, owner_number};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

const A: u16 = 1;
const TXT: u16 = 16;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const ANY: u16 = 255;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// A cluster whose node 1 answers.
struct Node {
    names: Names,
    state: State,
    now: Moment,
}

impl Node {
    fn new() -> Node {
        let domain = name("hive.internal.");
        let terms = Terms {
            domain: domain.clone(),
            ttl: 5,
            fail_open: true,
            order: Order::Nearest,
            me: OwnerId(1),
            external: "public".into(),
        };
        let (ttl, lease) = (Duration::from_secs(5), Duration::from_secs(60));
        let mut state = State::new(HashSeed::new([5; 16]), 4);
        let terms_of_zone =
            ServiceTerms { primary: domain.clone(), origin: domain, ttl, negative_ttl: ttl, lease };
        state.apply(Delta::OpenServices(Box::new(terms_of_zone)));
        state.apply(Delta::Synced(true));
        Node { names: Names::new(terms), state, now: Moment::from_micros(1_000_000_000) }
    }

    fn lease(&mut self, owner: u64, lease: Lease) {
        self.state.apply(Delta::Lease { owner: OwnerId(owner), lease });
    }

    fn put(&mut self, owner: u64, endpoint: Endpoint) {
        self.names.put_endpoint(OwnerId(owner), endpoint);
    }

    fn snapshot(&mut self) -> Snapshot {
        self.names.changes().into_iter().for_each(|delta| self.state.apply(delta));
        self.state.snapshot(self.now)
    }
}

/// A task on the node of that number: `st/web.1`, and `net=10.0.0.1` for each network.
fn task(node: u64, called: &str, networks: &str) -> Endpoint {
    let (stack, rest) = called.split_once('/').unwrap();
    let (short, slot) = rest.split_once('.').unwrap();
    let service = format!("{stack}_{short}");
    let id = format!("{service}.{slot}");
    let networks = networks.split_whitespace().map(|text| {
        let (network, address) = text.split_once('=').unwrap();
        let address: IpAddr = address.parse().unwrap();
        let mut attachment = Attachment {
            id: format!("id-{network}"),
            name: network.into(),
            reach: Reach::Swarm,
            ..Attachment::default()
        };
        match address {
            IpAddr::V4(address) => attachment.ipv4 = Some(address),
            IpAddr::V6(address) => attachment.ipv6 = Some(address),
        }
        attachment
    });
    let (labels, unfit) = Labels::read([("hivedns.port.http", "80"), ("hivedns.txt.a", "b")], "hivedns.");
    assert!(unfit.is_empty());
    Endpoint {
        id: id.clone(),
        name: id.clone(),
        node: format!("n{node}"),
        service: Some(ServiceRef { id: service.clone(), name: service, stack: Some(stack.into()) }),
        task: Some(TaskRef { id, slot: slot.parse().ok() }),
        networks: networks.collect(),
        ports: vec![Port { number: 443, protocol: Protocol::Tcp, name: None }],
        labels,
        ..Endpoint::default()
    }
    .normalized()
}

/// An answer, taken apart.
#[derive(Debug, Default)]
struct Told {
    rcode: u8,
    tc: bool,
    /// Type, TTL and RDATA of the answer section's records, then of the additional one's, and how many of authority.
    answer: Vec<(u16, u32, Vec<u8>)>,
    additional: Vec<(u16, u32, Vec<u8>)>,
    authority: usize,
    octets: usize,
}

impl Told {
    fn addresses(&self) -> Vec<String> {
        let of =
            |rdata: &Vec<u8>| <[u8; 4]>::try_from(rdata.as_slice()).map(|a| Ipv4Addr::from(a).to_string());
        self.answer.iter().filter_map(|(_, _, rdata)| of(rdata).ok()).collect()
    }

    fn set(&self) -> BTreeSet<String> {
        self.addresses().into_iter().collect()
    }
}

fn question(owner: &str, qtype: u16, id: u16) -> Vec<u8> {
    let mut message = [&id.to_be_bytes()[..], &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    message.extend_from_slice(name(&format!("{owner}.hive.internal.")).as_wire());
    message.extend_from_slice(&qtype.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    message
}

fn ask(
    snapshot: &Snapshot,
    from: &str,
    (owner, qtype, id): (&str, u16, u16),
    limit: usize,
    now: Moment,
) -> Told {
    let message = question(owner, qtype, id);
    let (mut key, mut scratch) = (NameKey::default(), Box::<Scratch>::default());
    let mut buffer = vec![0; 65_535];
    let Accepted::Query(shape) = accept(&message, &mut key) else { panic!("a query") };
    key.hash(snapshot.seed());
    let route = answer::route(snapshot, &shape, &key, ZoneNumber::default());
    let way = (route, route.hint(snapshot, &key));
    let bounds = Bounds { limit, udp_payload_max: 1232, now, from: from.parse().ok() };
    let query = shape.of(&message);
    let outcome = answer::answer(snapshot, way, &query, &key, &mut scratch, &mut buffer, bounds);
    let Verdict::Reply(len) = outcome.verdict else { panic!("a reply") };
    assert_short_yields(snapshot, &message);
    read(&buffer[..len])
}

/// The short way knows no askers: it answers nothing that depends on one.
fn assert_short_yields(snapshot: &Snapshot, message: &[u8]) {
    let mut window = [0; WINDOW];
    window[..message.len()].copy_from_slice(message);
    let (mut key, mut buffer) = (NameKey::default(), vec![0; 65_535]);
    let Some(shape) = short::accept(&window, message.len(), &mut key) else { return };
    key.hash(snapshot.seed());
    let route = answer::route(snapshot, &shape, &key, ZoneNumber::default());
    let Some(mut way) = route.way(snapshot, &key) else { return };
    way.seek(&key);
    if let Some(outcome) = answer_short(&way, (&window, &shape), &key, &mut buffer, 1232, Offers::Zones) {
        let Verdict::Reply(len) = outcome.verdict else { panic!("a reply") };
        assert_eq!(read(&buffer[..len]).answer, [], "answered without looking at the asker");
    }
}

fn read(octets: &[u8]) -> Told {
    let word = |at: usize| u16::from_be_bytes([octets[at], octets[at + 1]]);
    let mut at = 12;
    let skip = |mut at: usize| loop {
        match octets[at] {
            0 => break at + 1,
            len if len >= 0xc0 => break at + 2,
            len => at += 1 + usize::from(len),
        }
    };
    at = skip(at) + 4;
    let mut told = Told {
        rcode: octets[3] & 15,
        tc: octets[2] & 2 != 0,
        authority: usize::from(word(8)),
        octets: octets.len(),
        ..Told::default()
    };
    let counts = [word(6), word(8), word(10)];
    for (section, count) in counts.into_iter().enumerate() {
        for _ in 0..count {
            at = skip(at);
            let (rtype, len) = (word(at), usize::from(word(at + 8)));
            let ttl = u32::from(word(at + 4)) << 16 | u32::from(word(at + 6));
            let record = (rtype, ttl, octets[at + 10..at + 10 + len].to_vec());
            at += 10 + len;
            match section {
                0 => told.answer.push(record),
                2 => told.additional.push(record),
                _ => {}
            }
        }
    }
    assert_eq!(at, octets.len(), "nothing stands behind the last record");
    told
}

/// As `ask`, of whoever the asker is taken for.
fn ask_as(snapshot: &Snapshot, asker: Option<Asker>, owner: &str) -> Vec<String> {
    let message = question(owner, A, 0);
    let (mut key, mut scratch) = (NameKey::default(), Box::<Scratch>::default());
    let mut buffer = vec![0; 65_535];
    let Accepted::Query(shape) = accept(&message, &mut key) else { panic!("a query") };
    key.hash(snapshot.seed());
    let route = answer::route(snapshot, &shape, &key, ZoneNumber::default());
    let way = (route, route.hint(snapshot, &key));
    let from = "10.2.0.9".parse().ok();
    let bounds = Bounds { limit: 1232, udp_payload_max: 1232, now: Moment::START, from };
    scratch.stand_in(asker);
    let outcome = answer::answer(snapshot, way, &shape.of(&message), &key, &mut scratch, &mut buffer, bounds);
    let Verdict::Reply(len) = outcome.verdict else { panic!("a reply") };
    let mut addresses = read(&buffer[..len]).addresses();
    addresses.sort();
    addresses
}

#[test]
fn who_is_taken_for_somebody_gets_what_that_one_gets_whatever_the_address() {
    let snapshot = stacks().snapshot();
    // The address is that of b's task in front: it sees its own stack's.
    assert_eq!(ask_as(&snapshot, None, "web"), ["10.2.0.1"]);
    let asker = |networks: &[&str]| {
        let networks = networks.iter().map(|network| number(format!("id-{network}").as_bytes())).collect();
        Some(Asker { stack: number(b"c"), owner: owner_number(2), networks })
    };
    assert_eq!(ask_as(&snapshot, asker(&["back"]), "web"), ["10.1.0.1", "10.1.0.2", "10.1.0.3"]);
    assert_eq!(ask_as(&snapshot, asker(&["public"]), "web"), ["10.9.0.1", "10.9.0.2"]);
    assert_eq!(ask_as(&snapshot, asker(&[]), "web"), [""; 0]);
}

fn stacks() -> Node {
    let mut node = Node::new();
    (1..=3).for_each(|owner| node.lease(owner, Lease::Full));
    node.put(1, task(1, "a/web.1", "back=10.1.0.1 public=10.9.0.1"));
    node.put(2, task(2, "a/web.2", "back=10.1.0.2 public=10.9.0.2"));
    node.put(3, task(3, "a/web.3", "back=10.1.0.3"));
    node.put(2, task(2, "b/web.1", "front=10.2.0.1 back=10.1.0.21"));
    node.put(2, task(2, "b/asker.1", "front=10.2.0.9"));
    node.put(2, task(2, "c/asker.1", "back=10.1.0.99"));
    node.put(1, task(1, "c/alone.1", "lonely=10.3.0.9"));
    node
}

#[test]
fn an_asker_gets_addresses_that_it_can_reach_and_of_one_stack() {
    let mut node = stacks();
    let (snapshot, now) = (node.snapshot(), node.now);
    let ask = |from: &str, owner: &str| ask(&snapshot, from, (owner, A, 7), 1232, now);
    for (from, owner, expected) in [
        ("10.1.0.1", "web", &["10.1.0.1", "10.1.0.2", "10.1.0.3"][..]),
        ("10.2.0.9", "web", &["10.2.0.1"]),
        ("10.1.0.99", "web", &["10.1.0.1", "10.1.0.2", "10.1.0.3"]),
        ("10.1.0.99", "web.b", &["10.1.0.21"]),
        ("10.3.0.9", "web", &[]),
        ("192.0.2.1", "web", &["10.9.0.1", "10.9.0.2"]),
        ("10.1.0.99", "3.web", &["10.1.0.3"]),
        ("10.1.0.99", "local.web", &["10.1.0.2"]),
        ("192.0.2.1", "local.web", &["10.9.0.1"]),
    ] {
        let told = ask(from, owner);
        let expected: BTreeSet<String> = expected.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(told.set(), expected, "{owner} from {from}");
        assert_eq!(told.addresses().len(), expected.len(), "none twice: {owner} from {from}");
        // NODATA carries the SOA (RFC 2308 §2.2).
        assert_eq!(
            (told.rcode, told.authority),
            (0, usize::from(expected.is_empty())),
            "{owner} from {from}"
        );
    }
    let absent = ask("10.1.0.1", "absent");
    assert_eq!((absent.rcode, absent.authority), (3, 1));
}

#[test]
fn the_nearest_come_first_and_the_others_rotate() {
    let mut node = stacks();
    let (snapshot, now) = (node.snapshot(), node.now);
    let mut firsts = BTreeSet::new();
    for id in 0..8 {
        let told = ask(&snapshot, "10.1.0.99", ("web", A, id), 1232, now).addresses();
        assert_eq!(told[0], "10.1.0.2");
        firsts.insert(told[1].clone());
    }
    assert_eq!(firsts.into_iter().collect::<Vec<_>>(), ["10.1.0.1", "10.1.0.3"]);
}

#[test]
fn a_lost_node_s_tasks_come_last_with_what_is_left_of_their_lease_and_then_no_more() {
    let mut node = stacks();
    node.snapshot();
    let at = node.now;
    node.lease(2, Lease::Counting { spent: Duration::from_secs(57), at, restarting: false });
    let snapshot = node.snapshot();
    for id in 0..8 {
        let told = ask(&snapshot, "10.1.0.99", ("web", A, id), 1232, node.now);
        assert_eq!(told.addresses()[2], "10.1.0.2");
        assert!(told.answer.iter().all(|(_, ttl, _)| *ttl == 3), "{told:?}");
    }
    node.now = at + Duration::from_secs(4);
    let snapshot = node.snapshot();
    let told = ask(&snapshot, "10.1.0.99", ("web", A, 1), 1232, node.now);
    assert_eq!(told.set().into_iter().collect::<Vec<_>>(), ["10.1.0.1", "10.1.0.3"]);
    assert!(told.answer.iter().all(|(_, ttl, _)| *ttl == 5), "{told:?}");
    // It lives: what it said is as it was.
    node.lease(2, Lease::Full);
    let snapshot = node.snapshot();
    assert_eq!(ask(&snapshot, "10.1.0.99", ("web", A, 1), 1232, node.now).addresses()[0], "10.1.0.2");
}

#[test]
fn ports_come_with_the_addresses_that_the_asker_reaches() {
    let mut node = stacks();
    let (snapshot, now) = (node.snapshot(), node.now);
    let told = ask(&snapshot, "10.1.0.99", ("_http._tcp.web", SRV, 3), 1232, now);
    assert_eq!((told.answer.len(), told.additional.len()), (3, 3));
    let added: BTreeSet<Vec<u8>> = told.additional.into_iter().map(|(_, _, rdata)| rdata).collect();
    assert_eq!(added, BTreeSet::from([vec![10, 1, 0, 1], vec![10, 1, 0, 2], vec![10, 1, 0, 3]]));
    let outside = ask(&snapshot, "192.0.2.1", ("_http._tcp.web", SRV, 3), 1232, now);
    assert_eq!((outside.answer.len(), outside.additional.len()), (2, 2));
    assert_eq!(ask(&snapshot, "10.3.0.9", ("_http._tcp.web", SRV, 3), 1232, now).answer.len(), 0);
    // What all say alike is told once; what nobody has is not there.
    assert_eq!(
        ask(&snapshot, "10.1.0.99", ("web", TXT, 3), 1232, now).answer,
        [(TXT, 5, b"\x03a=b".to_vec())]
    );
    assert_eq!(ask(&snapshot, "10.1.0.99", ("web", AAAA, 3), 1232, now).answer.len(), 0);
    let any = ask(&snapshot, "10.1.0.99", ("web", ANY, 3), 1232, now);
    assert!(any.answer.iter().all(|(rtype, ..)| *rtype == A) && any.answer.len() == 3, "{any:?}");
}

#[test]
fn choosing_for_an_asker_allocates_nothing() {
    let mut node = stacks();
    let (snapshot, now) = (node.snapshot(), node.now);
    for (owner, qtype) in [("web", A), ("web", AAAA), ("web", ANY), ("_http._tcp.web", SRV)] {
        for from in ["10.1.0.99", "192.0.2.1", "10.3.0.9"] {
            let message = question(owner, qtype, 3);
            let (mut key, mut scratch) = (NameKey::default(), Box::<Scratch>::default());
            let (mut buffer, from) = (vec![0; 65_535], from.parse().ok());
            let (allocated, ()) = counted(|| {
                let Accepted::Query(shape) = accept(&message, &mut key) else { panic!("a query") };
                key.hash(snapshot.seed());
                let route = answer::route(&snapshot, &shape, &key, ZoneNumber::default());
                let way = (route, route.hint(&snapshot, &key));
                let bounds = Bounds { limit: 1232, udp_payload_max: 1232, now, from };
                answer::answer(&snapshot, way, &shape.of(&message), &key, &mut scratch, &mut buffer, bounds);
            });
            assert_eq!(allocated, 0, "{owner} {qtype} from {from:?}");
        }
    }
}

#[test]
fn nobody_can_ask_for_what_lies_behind_the_answers() {
    let mut node = stacks();
    let (snapshot, now) = (node.snapshot(), node.now);
    for qtype in 0xf000..=0xf0ff {
        let told = ask(&snapshot, "10.1.0.99", ("web", qtype, 3), 1232, now);
        assert_eq!((told.rcode, told.answer.len()), (4, 0), "TYPE{qtype}");
    }
}

#[test]
fn of_two_hundred_tasks_as_many_are_told_as_fit_and_all_have_their_turn() {
    let mut node = Node::new();
    (1..=5).for_each(|owner| node.lease(owner, Lease::Full));
    for slot in 1..=200u64 {
        let owner = 1 + slot % 5;
        node.put(
            owner,
            task(owner, &format!("a/web.{slot}"), &format!("back=10.1.0.{slot} front=10.2.0.{slot}")),
        );
    }
    node.put(5, task(5, "a/asker.1", "back=10.1.1.1"));
    let (snapshot, now) = (node.snapshot(), node.now);
    let whole = ask(&snapshot, "10.1.1.1", ("web", A, 9), 65_535, now);
    assert_eq!((whole.set().len(), whole.tc), (200, false));
    let mut seen = BTreeSet::new();
    for id in 0..400 {
        let told = ask(&snapshot, "10.1.1.1", ("nearest.web", A, id), 1232, now);
        assert!(told.tc && told.octets <= 1232 && told.answer.len() >= 70, "{}", told.answer.len());
        // Its own node's forty come first.
        let near = told.addresses().iter().take(40).filter(|text| is_on_node_5(text)).count();
        assert_eq!(near, 40);
        seen.extend(told.addresses());
    }
    assert_eq!(seen.len(), 200);
}

fn is_on_node_5(address: &str) -> bool {
    let host: u64 = address.rsplit('.').next().unwrap().parse().unwrap();
    1 + host % 5 == 5
}
