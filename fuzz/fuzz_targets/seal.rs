//! Any octets as a datagram or a stream of the cluster, and genuine ones with some octets changed: nothing opens that
//! was not sealed, and what is kept stays small.
#![no_main]

use hivedns::base::time::Moment;
use hivedns::gossip::identity::NodeId;
use hivedns::gossip::secrecy::key::Key;
use hivedns::gossip::secrecy::keyring::Ring;
use hivedns::gossip::secrecy::record::RECORD_OCTETS_MAX;
use hivedns::gossip::secrecy::stream::{Side, Stream};
use hivedns::gossip::secrecy::waiting::WAITING_PER_STRANGER_MAX;
use hivedns::gossip::secrecy::{OVERHEAD, Opened, Peer, Secrecy};
use libfuzzer_sys::fuzz_target;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};

const NOW: Moment = Moment::from_micros(60_000_000);
const FROM: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 7_953);
/// Octets that a record adds, and those of a hello.
const FRAME: usize = 3 + 16 + 41;

/// The key is made from the whole input. The fuzzer sees what is compared with what, and so would learn the tag that a
/// constant key asks for; here the tag it learnt belongs to another input.
static SECRET: AtomicU64 = AtomicU64::new(0);

fn node(n: u64, with_key: bool) -> Secrecy {
    let secret = SECRET.load(Ordering::Relaxed).to_le_bytes();
    let key = std::array::from_fn(|i| secret[i % 8] ^ i as u8);
    let ring = if with_key { Ring::new(Key::new(key)) } else { Ring::default() };
    Secrecy::new("fuzz", ring, Peer { id: NodeId(n), boot: n }, [n as u8; 32])
}

/// A reply to a challenge or an answer goes to the sender, and so on, until nobody has more to say.
fn converse(sender: &mut Secrecy, receiver: &mut Secrecy, octets: &[u8]) {
    let (mut octets, mut to_receiver) = (octets.to_vec(), true);
    for step in 0.. {
        assert!(step < 3, "a conversation has three parts");
        let length = octets.len();
        let to = if to_receiver { &mut *receiver } else { &mut *sender };
        match to.open(NOW, FROM, &mut octets) {
            Ok(Opened::Said { plain, .. }) => return assert!(plain.len() <= length),
            Ok(Opened::Met { said, .. }) => return assert!(said.len() <= WAITING_PER_STRANGER_MAX),
            Ok(Opened::Stranger { challenge: reply }) | Ok(Opened::Doubted { answer: reply, .. }) => {
                assert!(reply.len() <= OVERHEAD + 40);
                octets = reply.to_vec();
            }
            Err(_) => return,
        }
        to_receiver = !to_receiver;
    }
}

/// Where to change what: pairs of octets.
fn change(octets: &mut [u8], changes: &[u8]) -> bool {
    let before = octets.to_vec();
    for pair in changes.chunks_exact(2) {
        let at = usize::from(pair[0]) % octets.len();
        octets[at] ^= pair[1];
    }
    before == octets
}

fn datagrams(with_key: bool, octets: &[u8]) {
    let (mut sender, mut receiver) = (node(1, with_key), node(2, with_key));
    let opened = receiver.open(NOW, FROM, &mut octets.to_vec()).is_ok();
    assert!(!(with_key && opened), "what nobody sealed was opened");
    // A genuine one, changed, to a stranger and then to who knows the sender.
    for _ in 0..2 {
        let mut genuine = sender.seal(NOW, octets).to_vec();
        let same = change(&mut genuine, octets);
        if with_key && !same {
            assert!(receiver.open(NOW, FROM, &mut genuine).is_err(), "what was changed was opened");
        }
        let genuine = sender.seal(NOW, octets);
        assert!(genuine.len() <= octets.len() + OVERHEAD);
        converse(&mut sender, &mut receiver, &genuine);
        assert!(receiver.sessions() <= 1 && receiver.waiting() <= 1);
    }
}

fn read(secrecy: &mut Secrecy, stream: &mut Stream, octets: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let pieces = octets.chunks(octets.first().map_or(1, |first| usize::from(*first) + 1));
    for piece in pieces {
        let before = plain.len();
        let result = stream.read(secrecy, piece, &mut plain);
        assert!(plain.len() - before <= piece.len() + RECORD_OCTETS_MAX);
        assert!(stream.held() <= RECORD_OCTETS_MAX + FRAME);
        if result.is_err() {
            break;
        }
    }
    assert!(plain.len() <= octets.len());
    plain
}

fn streams(with_key: bool, octets: &[u8]) {
    let (mut one, mut other) = (node(1, with_key), node(2, with_key));
    let mut wild = other.stream(Side::Accepter);
    let plain = read(&mut other, &mut wild, octets);
    assert!(!with_key || plain.is_empty(), "what nobody sealed was opened");

    let (mut opener, mut accepter) = (one.stream(Side::Opener), other.stream(Side::Accepter));
    let hello = read(&mut one, &mut opener, &accepter.hello());
    assert!(hello.is_empty() && opener.is_writable());
    let mut written = opener.hello().to_vec();
    let wrote = opener.write(octets, &mut written).and_then(|()| opener.finish(&mut written));
    assert!(wrote.is_ok());
    let same = change(&mut written, octets);
    let plain = read(&mut other, &mut accepter, &written);
    if same {
        assert!(accepter.is_ended() && plain == octets);
    } else if with_key {
        assert!(!accepter.is_ended() && octets.starts_with(&plain), "what was changed was opened");
    }
}

fuzz_target!(|octets: &[u8]| {
    SECRET.store(hivedns::gossip::hash::octets(octets), Ordering::Relaxed);
    for with_key in [true, false] {
        datagrams(with_key, octets);
        streams(with_key, octets);
    }
});
