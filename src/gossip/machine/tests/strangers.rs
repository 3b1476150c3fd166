//! Streams of strangers: they take no room from members.

use super::*;
use crate::gossip::secrecy::stream::Side;

const STRANGER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 1);

/// So many streams are opened by somebody without a key, who begins a hello on each.
fn intrude(net: &mut Net, count: usize) -> Vec<StreamId> {
    net.with(0, |gossip, now| {
        let hello = gossip.secrecy.stream(Side::Opener).hello();
        let accept = |_| {
            let id = gossip.accept(now, STRANGER).unwrap();
            gossip.stream_received(now, id, &hello[..1]);
            id
        };
        (0..count).map(accept).collect()
    })
}

#[test]
fn strangers_keep_no_member_out() {
    let mut net = Net::new(31, 3, true);
    net.until_equal(Duration::from_secs(10));
    net.kill(2);
    net.run(Duration::from_secs(1));
    intrude(&mut net, 1_000);
    assert_eq!(net.gossip(0).streams.len(), 256);
    net.boot(2, 2);
    for _ in 0..30 {
        intrude(&mut net, 50);
        net.run(ms(100));
    }
    assert!(net.gossip(2).is_synced());
}

#[test]
fn a_stream_of_a_stranger_ends_however_busy_it_is() {
    let mut net = Net::new(32, 1, true);
    let ids = intrude(&mut net, 10);
    assert_eq!(net.gossip(0).streams.len(), 10);
    for _ in 0..11 {
        net.run(Duration::from_secs(1));
        net.seats[0].room.extend(ids.iter().map(|id| (*id, 1_000)));
        net.with(0, |gossip, now| {
            for id in &ids {
                gossip.stream_received(now, *id, &[]);
                gossip.stream_writable(now, *id, 1_000);
            }
        });
    }
    assert!(net.gossip(0).streams.is_empty());
}
