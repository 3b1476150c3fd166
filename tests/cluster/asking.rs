//! Nodes that do not know the cluster's records yet, because nothing but datagrams gets through to the other members:
//! they ask one that knows them.

use super::{NOERROR, NXDOMAIN, Node, SERVFAIL, dir, quiet, until};
use crate::node::site_of;
use crate::oracle::message::{self, Edns, Message, RD};
use crate::oracle::{names, now, transport};
use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const A: u16 = 1;
const TXT: u16 = 16;
/// Flags of an answer.
const AA: u16 = 0x0400;
const TC: u16 = 0x0200;
const RA: u16 = 0x0080;
/// How often a relay looks whether it is to end.
const PACE: Duration = Duration::from_millis(20);

/// An address of a member that takes datagrams for it and no streams.
struct Relay {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Relay {
    fn new(address: SocketAddr, to: SocketAddr) -> Relay {
        let stop = Arc::new(AtomicBool::new(false));
        let socket = |at: SocketAddr| {
            let socket = UdpSocket::bind(at).expect("an address of this test's own");
            socket.set_read_timeout(Some(PACE)).expect("a timeout");
            Arc::new(socket)
        };
        let front = socket(address);
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut backs: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
            let mut threads = Vec::new();
            let mut buffer = [0; 2048];
            while !stopped.load(Ordering::Relaxed) {
                let Ok((len, from)) = front.recv_from(&mut buffer) else { continue };
                let back = backs.entry(from).or_insert_with(|| {
                    let back = socket(SocketAddr::from(([127, 0, 0, 1], 0)));
                    let (front, own, stopped) = (Arc::clone(&front), Arc::clone(&back), Arc::clone(&stopped));
                    threads.push(std::thread::spawn(move || {
                        let mut buffer = [0; 2048];
                        while !stopped.load(Ordering::Relaxed) {
                            if let Ok(len) = own.recv(&mut buffer) {
                                // Whoever is gone does not take it.
                                let _ = front.send_to(&buffer[..len], from);
                            }
                        }
                    }));
                    back
                });
                let _ = back.send_to(&buffer[..len], to);
            }
            threads.into_iter().for_each(|thread| thread.join().expect("it ends"));
        });
        Relay { stop, threads: vec![thread] }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| _ = thread.join());
    }
}

/// A member, not started, that others reach through a relay only, and that relay.
fn behind_a_relay(dir: &Path, number: usize) -> (Node, Relay) {
    let mut node = Node::new(dir, number);
    node.socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    let site = site_of(dir);
    let address = SocketAddr::from(([127, site[0], site[1], 100 + number as u8], 7953));
    node.advertise = Some(address);
    let relay = Relay::new(address, node.gossip);
    (node, relay)
}

fn query(name: &str, qtype: u16, flags: u16, edns: Option<&Edns>) -> Vec<u8> {
    message::query(7, flags, &names::from_text(name).expect("a name"), qtype, 1, edns)
}

/// What who wants names resolved is told: flags without the code, the code, records of the answer.
fn told(node: &Node, name: &str, qtype: u16) -> Option<(u16, u8, usize)> {
    node.exchange(&query(name, qtype, RD, None)).map(|message| summary(&message))
}

fn summary(message: &Message) -> (u16, u8, usize) {
    (message.flags & (AA | TC | RA), message.rcode() as u8, message.sections[0].len())
}

#[test]
fn who_does_not_know_a_name_yet_asks_a_member_that_does() {
    let dir = dir();
    let (mut synced, _relay) = behind_a_relay(dir.path(), 0);
    synced.start(&[]);
    assert!(until(|| synced.is_ready()), "{}", synced.log());
    assert_eq!(synced.verb(&["set", "www.hive.internal.", "60", "A", "192.0.2.1", "192.0.2.2"]).0, Some(0));
    let text = "x".repeat(200);
    let texts: Vec<String> = (0..9).map(|number| format!("{number}{text}")).collect();
    let mut set = vec!["set", "large.hive.internal.", "60", "TXT"];
    set.extend(texts.iter().map(String::as_str));
    assert_eq!(synced.verb(&set).0, Some(0));
    let join = [synced.advertise.expect("a relay")];
    // Those two do not tell each other everything either: they would take that for all there is.
    let [(mut node, _to_node), (mut other, _to_other)] =
        [1, 2].map(|number| behind_a_relay(dir.path(), number));
    other.clients = Some("192.0.2.0/24");
    node.start(&join);
    other.start(&join);
    // Only who knows all names denies one: not this node.
    let denied = Some((AA | RA, NXDOMAIN, 0));
    assert!(until(|| told(&node, "absent.hive.internal.", A) == denied), "{}", node.log());
    assert_eq!(told(&node, "www.hive.internal.", A), Some((AA | RA, NOERROR, 2)));
    assert!(!node.is_ready());
    // Over TCP, too; but what no datagram between members holds is not told there.
    let over_tcp = |name: &str, qtype| {
        let answers = transport::tcp(node.dns, &[query(name, qtype, RD, None)]);
        let answer = answers.into_iter().next().flatten().expect("an answer");
        summary(&message::decode(&answer).expect("a message"))
    };
    assert_eq!(Some(over_tcp("absent.hive.internal.", A)), denied);
    let (flags, code, count) = told(&node, "large.hive.internal.", TXT).expect("an answer");
    assert_eq!((flags, code), (AA | TC | RA, NOERROR), "{count}");
    // By now it may have heard of the name itself.
    let large = over_tcp("large.hive.internal.", TXT);
    assert!([(RA, SERVFAIL, 0), (AA | RA, NOERROR, 9)].contains(&large), "{large:?}");
    // Behind one address there may be a whole machine that asks for the same.
    let many = 200;
    let asked = query("www.hive.internal.", A, RD, None);
    (0..many).for_each(|_| _ = node.socket.send_to(&asked, node.dns).expect("it is sent"));
    let mut buffer = [0; 2048];
    for number in 0..many {
        let len = node.socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{number}: {error}"));
        let message = message::decode(&buffer[..len]).expect("a message");
        assert_eq!(summary(&message), (AA | RA, NOERROR, 2), "{number}");
    }
    // Who does not want names resolved, or may not have it, is told what this node knows.
    let plain = node.exchange(&query("absent.hive.internal.", A, 0, None));
    assert_eq!(plain.map(|message| summary(&message)), Some((0, SERVFAIL, 0)));
    assert!(until(|| other.verb(&["members"]).1.matches(" alive ").count() == 3), "{}", other.log());
    assert_eq!(told(&other, "absent.hive.internal.", A), Some((0, SERVFAIL, 0)));
    let (_, why) = node.verb(&["why", "absent.hive.internal."]);
    assert!(why.contains("members are asked"), "{why}");
}

#[test]
fn where_nobody_knows_the_names_it_is_told_within_a_second() {
    let _quiet = quiet();
    let dir = dir();
    let mut nodes = [0, 1].map(|number| behind_a_relay(dir.path(), number));
    let joins = [1, 0].map(|number: usize| nodes[number].0.advertise.expect("a relay"));
    // Who has met nobody asks nobody.
    nodes[0].0.start(&[joins[0]]);
    let failed = (RA, SERVFAIL, 0);
    assert!(until(|| told(&nodes[0].0, "absent.hive.internal.", A) == Some(failed)));
    nodes[1].0.start(&[joins[1]]);
    for (node, _) in &nodes {
        let met = || node.verb(&["members"]).1.matches(" alive ").count() == 2;
        assert!(until(met), "{}", node.log());
        let asked = now();
        assert_eq!(told(node, "absent.hive.internal.", A), Some(failed));
        let took = now().duration_since(asked);
        let bounds = Duration::from_millis(900)..Duration::from_millis(2_000);
        assert!(bounds.contains(&took), "{took:?}");
    }
}
