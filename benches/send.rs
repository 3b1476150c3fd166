//! What the kernel takes for the replies of a batch: to one socket or to as many as there are replies, over the loopback.
//! Receiving is not in it; that the loopback delivers within the sender's call is.
//!
//! `cargo bench --bench send`

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hivedns::os::clock;
use hivedns::os::udp::{BATCH, Batch, Sent};
use std::hint::black_box;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time::Duration;

/// Octets of a reply, where all have the same.
const EQUAL: usize = 90;
/// Octets of mixed replies: from this on so many, as names and types have it in a zone.
const MIXED: (usize, usize) = (45, 48);

/// The time that sending takes, of a batch whose questions come from these sockets in turn.
fn send(
    server: &UdpSocket,
    batch: &mut Batch,
    clients: &[UdpSocket],
    len: impl Fn(usize) -> usize,
) -> Duration {
    let to = server.local_addr().expect("an address");
    for number in 0..BATCH {
        clients[number % clients.len()].send_to(&[0; 40], to).expect("loopback takes it");
    }
    assert_eq!(batch.receive(server.as_fd()).expect("questions"), BATCH);
    let (_, mut replies) = batch.split();
    (0..BATCH).for_each(|i| replies.reply(i, len(i)));
    let start = clock::now();
    let sent = black_box(batch.send(server.as_fd()));
    let took = start.elapsed();
    assert_eq!(sent, Sent { sent: BATCH, dropped: 0 });
    for number in 0..BATCH {
        clients[number % clients.len()].recv(&mut [0; 512]).expect("a reply");
    }
    took
}

fn sending(criterion: &mut Criterion) {
    let bind = || UdpSocket::bind("127.0.0.1:0").expect("a port");
    let (server, mut batch) = (bind(), Batch::new(false));
    let clients: Vec<UdpSocket> = (0..BATCH).map(|_| bind()).collect();
    // A step that shares no factor with the count: neighbours differ, and each length comes once or twice.
    let mixed = |i: usize| MIXED.0 + i * 29 % MIXED.1;
    let mut bench = criterion.benchmark_group("send");
    bench.throughput(Throughput::Elements(BATCH as u64));
    let mut case = |title: &str, clients: &[UdpSocket], len: &dyn Fn(usize) -> usize| {
        bench.bench_function(title, |bencher| {
            bencher.iter_custom(|rounds| (0..rounds).map(|_| send(&server, &mut batch, clients, len)).sum());
        });
    };
    case("to a socket each", &clients, &|_| EQUAL);
    case("to one socket, lengths mixed", &clients[..1], &mixed);
    case("to one socket, equally long", &clients[..1], &|_| EQUAL);
    bench.finish();
}

criterion_group!(benches, sending);
criterion_main!(benches);
