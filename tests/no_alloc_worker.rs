//! A running worker allocates nothing for a question, by UDP or TCP, and neither allocates nor frees for a
//! publication while it answers. The only test of its program: what the
//! whole process allocates is counted, and nothing else may be going on, not even a test harness.

#[path = "support/counting.rs"]
mod counting;
#[path = "oracle/mod.rs"]
mod oracle;
mod support;

use arc_swap::ArcSwap;
use counting::{counted, of_all_threads};
use hivedns::base::network::{Network, Networks};
use hivedns::catalog::published::Publisher;
use hivedns::os::{clock, listen};
use hivedns::resolve::cache::{Cache, Life};
use hivedns::resolve::harvest::Caps;
use hivedns::resolve::policy::{Policy, Way};
use hivedns::resolve::question::{Question, Wants};
use hivedns::resolve::writer::{Writer, Written};
use hivedns::wire::key::HashSeed;
use hivedns::wire::message::Rcode;
use hivedns::wire::name::Name;
use hivedns::wire::rtype::RecordType;
use hivedns::worker::{Exchange, Settings, Setup, Sockets, Upstreams, Worker};
use oracle::{message, names};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use support::desk::{snapshot, zone_of_text};

const ZONE: &str = "$TTL 60\n@ SOA ns admin 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n*.w MX 1 ns\na CNAME ns\nc NS ns.c\nns.c A 192.0.2.2\nd DNAME w\n";
const ROUNDS: usize = 50;
/// Questions on the way at once: a batch and a bit.
const WINDOW: usize = 80;

fn main() {
    a_worker_that_is_warm_allocates_nothing(false);
    println!("test a_worker_that_is_warm_allocates_nothing ... ok");
    a_worker_that_is_warm_allocates_nothing(true);
    println!("test a_worker_that_resolves_allocates_nothing_for_what_it_remembers ... ok");
}

/// What a worker needs to answer from a cache that has an address of `elsewhere.`, and to resolve nothing.
fn resolver(seed: &HashSeed) -> Setup {
    let loopback = Network::parse("127.0.0.0/8").expect("a network");
    let caps = Caps { ttl_max: 86_400, negative_ttl_max: 3_600 };
    let ways = [(Name::ROOT, Way::Refuse)];
    let policy = Policy::new(Networks::new([loopback]), caps, 0, (true, false), ways);
    let cache = Cache::new(0);
    let name = names::from_text("elsewhere.").expect("a name");
    let mut writer = Writer::default();
    writer.begin(&name);
    let record = Written { owner: &name, rtype: RecordType::MX, ttl: 3_600, rdata: &[0, 1, 1, b'm', 0] };
    writer.put(&record).expect("room");
    let question = Question::new(&name, seed.name(&name), RecordType::MX, Wants::default());
    let now = clock::moment(clock::now());
    let life = Life { fresh_seconds: 3_600, stale_seconds: 0 };
    assert!(cache.put(&question, now, life, &writer.body(Rcode::NoError, false, None)));
    Setup {
        policy: Arc::new(ArcSwap::from_pointee(policy)),
        cache: Arc::new(cache),
        upstreams: Upstreams::default(),
        ports: 1,
        errands: Box::new(|_| false),
        members: Box::new(|_| false),
        deliveries: crossbeam::channel::never(),
    }
}

fn a_worker_that_is_warm_allocates_nothing(resolves: bool) {
    let served = || snapshot("worker", [zone_of_text("z.", ZONE).expect("a zone")]);
    let mut publisher = Publisher::new(served());
    let pair = listen::open("127.0.0.1:0".parse().expect("an address"), 1).expect("loopback").remove(0);
    let address = pair.udp.local_addr().expect("bound");
    let sockets = Sockets { udp: vec![pair.udp], tcp: vec![pair.tcp] };
    let patience = Duration::from_secs(10);
    let settings = Settings { udp_payload_max: 1232, tcp_idle: patience * 6, tcp_connections_max: 4 };
    let setup = resolves.then(|| resolver(publisher.published().load().seed()));
    let both = (setup, Exchange::default());
    let worker = Worker::start(0, None, sockets, publisher.published(), settings, both).expect("a thread");

    let flags = if resolves { message::RD } else { 0 };
    let asked = ["ns.z.", "x.w.z.", "a.z.", "q.c.z.", "x.d.z.", "none.z.", "elsewhere."];
    let queries: Vec<Vec<u8>> = (asked.iter().cycle().zip(0..WINDOW))
        .map(|(name, id)| {
            message::query(id as u16, flags, &names::from_text(name).expect("a name"), 15, 1, None)
        })
        .collect();
    let framed = |query: &Vec<u8>| [&(query.len() as u16).to_be_bytes()[..], query].concat();
    let messages: Vec<Vec<u8>> = queries.iter().map(framed).collect();
    let udp = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    udp.connect(address).expect("loopback");
    udp.set_read_timeout(Some(patience)).expect("an option");
    let mut tcp = TcpStream::connect(address).expect("it listens");
    tcp.set_read_timeout(Some(patience)).expect("an option");
    let mut buffer = [0; 2048];

    for round in 0..ROUNDS {
        let before = of_all_threads();
        // What this thread allocates and frees in order to publish.
        let mut own = 0;
        for (number, query) in queries.iter().enumerate() {
            if number == WINDOW / 2 {
                own += counted(|| {
                    publisher.publish(served());
                    worker.nudge();
                    publisher.reclaim().len()
                })
                .0;
            }
            udp.send(query).expect("loopback takes it");
        }
        for _ in &queries {
            assert!(udp.recv(&mut buffer).expect("an answer") > 12);
            // What is remembered is told.
            let id = usize::from(u16::from_be_bytes([buffer[0], buffer[1]]));
            let is_elsewhere = asked[id % asked.len()] == "elsewhere.";
            assert_eq!(
                is_elsewhere.then_some((buffer[3] & 15, buffer[7])),
                is_elsewhere.then_some(match resolves {
                    true => (0, 1),
                    false => (5, 0),
                })
            );
        }
        for message in &messages {
            tcp.write_all(message).expect("it reads");
            tcp.read_exact(&mut buffer[..2]).expect("a length");
            let len = usize::from(u16::from_be_bytes([buffer[0], buffer[1]]));
            tcp.read_exact(&mut buffer[..len]).expect("an answer");
        }
        let allocations = of_all_threads() - before - own;
        // The first rounds warm up: lazily bound symbols, a connection's buffers.
        assert!(round < 2 || allocations == 0, "{allocations} in round {round}");
    }
    worker.stop();
}
