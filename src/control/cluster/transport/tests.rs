//! The transport over real sockets, with peers that do not do their part.

use super::*;
use crate::gossip::identity::{Generation, NodeId};
use crate::gossip::machine::{Settings, Start};
use crate::gossip::output::NodeInfo;
use crate::gossip::replication::leases::FreezeRule;
use crate::gossip::secrecy::keyring::Ring;
use mio::{Events, Poll};

const NOW: Moment = Moment::from_micros(1_000_000_000_000);
const PATIENCE: Duration = Duration::from_secs(60);

struct Bench {
    poll: Poll,
    gossip: Gossip,
    transport: Transport,
    address: SocketAddr,
}

impl Bench {
    fn new() -> Bench {
        let ports = Ports::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let (poll, address) = (Poll::new().unwrap(), ports.address());
        let freeze = FreezeRule { share: 0.34, max: Duration::from_secs(1) };
        let settings =
            Settings { cluster: "c".into(), membership: Default::default(), freeze, measures: false };
        let info = NodeInfo { id: NodeId(7), boot: 1, name: "n".into(), address };
        let (ring, generation) = (Ring::default(), Generation(1));
        let start = Start { info, generation, ring, secret: [0; 32], seed: 1 };
        let gossip = Gossip::new(NOW, &settings, start);
        let transport = Transport::new(Some(ports), poll.registry()).unwrap();
        Bench { poll, gossip, transport, address }
    }

    /// Waits for the sockets, and takes what they have.
    fn turn(&mut self, now: Moment) {
        let mut events = Events::with_capacity(16);
        if !self.transport.has_more() {
            self.poll.poll(&mut events, Some(PATIENCE)).unwrap();
        }
        events.iter().for_each(|event| self.transport.note(event, &mut self.gossip, now));
        self.transport.receive(now, &mut self.gossip, self.poll.registry());
        self.transport.flush(now, &mut self.gossip, self.poll.registry());
    }

    /// A peer, and the stream that it opened.
    fn accepted(&mut self) -> (std::net::TcpStream, StreamId) {
        let peer = std::net::TcpStream::connect(self.address).unwrap();
        while self.transport.streams.is_empty() {
            self.turn(NOW);
        }
        while self.transport.has_more() {
            self.turn(NOW);
        }
        let id = *self.transport.streams.keys().next().unwrap();
        (peer, id)
    }
}

#[test]
fn a_stream_whose_peer_takes_nothing_is_cut_off_some_seconds_after_its_end() {
    let mut bench = Bench::new();
    let (_peer, stream) = bench.accepted();
    let octets = Bytes::from(vec![0; QUEUED_MAX]);
    while bench.transport.streams[&stream].writable {
        bench.transport.obey(NOW, Output::Write { stream, octets: octets.clone() });
        bench.transport.flush(NOW, &mut bench.gossip, bench.poll.registry());
    }
    bench.transport.obey(NOW, Output::Close { stream });
    assert_eq!(bench.transport.next_wake(), NOW + CLOSE_WITHIN);
    let almost = (NOW + CLOSE_WITHIN).before(Duration::from_millis(1));
    bench.transport.receive(almost, &mut bench.gossip, bench.poll.registry());
    assert_eq!(bench.transport.streams.len(), 1);
    bench.transport.receive(NOW + CLOSE_WITHIN, &mut bench.gossip, bench.poll.registry());
    assert!(bench.transport.streams.is_empty());
    assert_eq!(bench.transport.next_wake(), Moment::NEVER);
}

#[test]
fn what_is_to_be_sent_after_a_flush_waits_for_no_event() {
    let mut bench = Bench::new();
    let (mut peer, stream) = bench.accepted();
    assert!(!bench.transport.has_more());
    bench.transport.obey(NOW, Output::Write { stream, octets: Bytes::from_static(b"late") });
    assert!(bench.transport.has_more());
    bench.turn(NOW);
    let mut octets = [0; 4];
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer.read_exact(&mut octets).unwrap();
    assert_eq!((&octets, bench.transport.has_more()), (b"late", false));
    let octets = Bytes::from_static(b"datagram");
    bench.transport.obey(NOW, Output::Datagram { to: bench.address, octets });
    assert!(bench.transport.has_more());
    bench.transport.obey(NOW, Output::Close { stream });
    bench.turn(NOW);
    assert!(bench.transport.streams.is_empty());
}

#[test]
fn a_datagram_larger_than_any_of_a_member_s_is_counted() {
    let mut bench = Bench::new();
    let stranger = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.send_to(&[0; DATAGRAM_OCTETS_MAX + 1], bench.address).unwrap();
    while bench.transport.oversize() == 0 {
        bench.turn(NOW);
    }
    assert_eq!(bench.gossip.traffic().received, 0);
}
