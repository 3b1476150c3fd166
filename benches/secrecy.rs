//! What the secrecy of the cluster costs: sealing and opening a datagram of the largest size and one of a probe's, and a
//! megabyte through a stream.
//!
//! `cargo bench --bench secrecy`

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hivedns::base::time::Moment;
use hivedns::gossip::identity::NodeId;
use hivedns::gossip::output::DATAGRAM_OCTETS_MAX;
use hivedns::gossip::secrecy::key::Key;
use hivedns::gossip::secrecy::keyring::Ring;
use hivedns::gossip::secrecy::stream::Side;
use hivedns::gossip::secrecy::{OVERHEAD, Opened, Peer, Secrecy};
use std::hint::black_box;
use std::net::SocketAddr;

const NOW: Moment = Moment::from_micros(60_000_000);

fn node(n: u64) -> Secrecy {
    let me = Peer { id: NodeId(n), boot: n };
    Secrecy::new("bench", Ring::new(Key::new([1; 32])), me, [n as u8; 32])
}

fn datagrams(criterion: &mut Criterion) {
    let from = SocketAddr::from(([192, 0, 2, 1], 7_953));
    let mut group = criterion.benchmark_group("secrecy");
    for (what, plain) in [("probe", 24), ("largest", DATAGRAM_OCTETS_MAX - OVERHEAD)] {
        let plain = vec![7; plain];
        let (mut sender, mut receiver) = (node(1), node(2));
        group.bench_function(format!("seal/{what}"), |bencher| {
            bencher.iter(|| black_box(sender.seal(NOW, &plain)));
        });
        group.bench_function(format!("open/stranger/{what}"), |bencher| {
            let octets = sender.seal(NOW, &plain).to_vec();
            let open = |mut octets: Vec<u8>| receiver.open(NOW, from, &mut octets).is_ok();
            bencher.iter_batched(|| octets.clone(), open, BatchSize::SmallInput);
        });
        let mut octets = sender.seal(NOW, &plain).to_vec();
        for turn in 0..3 {
            let to = if turn % 2 == 0 { &mut receiver } else { &mut sender };
            octets = match to.open(NOW, from, &mut octets) {
                Ok(Opened::Stranger { challenge: reply } | Opened::Doubted { answer: reply, .. }) => {
                    reply.to_vec()
                }
                Ok(Opened::Said { .. } | Opened::Met { .. }) | Err(_) => Vec::new(),
            };
        }
        group.bench_function(format!("open/{what}"), |bencher| {
            let open = |mut octets: Vec<u8>| {
                assert!(matches!(receiver.open(NOW, from, &mut octets), Ok(Opened::Said { .. })));
            };
            bencher.iter_batched(|| sender.seal(NOW, &plain).to_vec(), open, BatchSize::SmallInput);
        });
        group.bench_function(format!("open/forged/{what}"), |bencher| {
            let mut octets = sender.seal(NOW, &plain).to_vec();
            octets[20] ^= 1;
            let open = |mut octets: Vec<u8>| assert!(receiver.open(NOW, from, &mut octets).is_err());
            bencher.iter_batched(|| octets.clone(), open, BatchSize::SmallInput);
        });
    }
    group.finish();
}

fn streams(criterion: &mut Criterion) {
    let (mut one, mut other) = (node(1), node(2));
    let plain = vec![7; 1 << 20];
    let mut group = criterion.benchmark_group("secrecy/stream");
    group.throughput(Throughput::Bytes(plain.len() as u64));
    group.bench_function("write and read", |bencher| {
        bencher.iter(|| {
            let (mut opener, mut accepter) = (one.stream(Side::Opener), other.stream(Side::Accepter));
            let (mut octets, mut got) = (Vec::new(), Vec::new());
            let greeted = opener.read(&mut one, &accepter.hello(), &mut got);
            octets.extend_from_slice(&opener.hello());
            assert!(greeted.is_ok() && opener.write(&plain, &mut octets).is_ok());
            assert!(accepter.read(&mut other, &octets, &mut got).is_ok() && got.len() == plain.len());
        });
    });
    group.finish();
}

criterion_group!(benches, datagrams, streams);
criterion_main!(benches);
