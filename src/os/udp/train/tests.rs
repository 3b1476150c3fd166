//! What leaves together, and that each asker gets what is owed to it, once and whole.

use crate::os::udp::option::set_option;
use crate::os::udp::{BATCH, Batch, Sent, want_local_addresses};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

fn server(address: &str) -> (UdpSocket, Batch) {
    let server = UdpSocket::bind(address).unwrap();
    let is_wildcard = server.local_addr().unwrap().ip().is_unspecified();
    if is_wildcard {
        want_local_addresses(server.as_fd(), address.starts_with('[')).unwrap();
    }
    (server, Batch::new(is_wildcard))
}

fn clients(address: &str, count: usize) -> Vec<UdpSocket> {
    let bind = |_| {
        let client = UdpSocket::bind(address).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        client
    };
    (0..count).map(bind).collect()
}

/// The reply to a question is as long as this, and begins with the question.
fn reply_len(number: usize, lens: &[usize]) -> usize {
    lens[number % lens.len()]
}

/// Each client asks in turn, until there are so many questions; replies are of these lengths, in turn. How many messages
/// they left in, and what came of it.
fn exchange(
    (server, batch): (&UdpSocket, &mut Batch),
    (clients, to): (&[UdpSocket], &[SocketAddr]),
    questions: usize,
    lens: &[usize],
) -> (usize, Sent) {
    for number in 0..questions {
        let question = (number as u32).to_ne_bytes();
        clients[number % clients.len()].send_to(&question, to[number % to.len()]).unwrap();
    }
    assert_eq!(batch.receive(server.as_fd()).unwrap(), questions);
    let (datagrams, mut replies) = batch.split();
    for i in 0..questions {
        let len = reply_len(i, lens);
        let buffer = &mut replies.buffer(i)[..len];
        buffer.fill(i as u8);
        buffer[..4].copy_from_slice(datagrams.get(i));
        replies.reply(i, len);
    }
    let sent = batch.send(server.as_fd());
    (batch.messages.headers(0).len(), sent)
}

/// Every client gets its own, from where it asked.
fn all_came(clients: &[UdpSocket], to: &[SocketAddr], questions: usize, lens: &[usize]) {
    let mut seen = vec![false; questions];
    for (i, client) in clients.iter().enumerate() {
        for _ in (i..questions).step_by(clients.len()) {
            let mut octets = [0; 2_048];
            let (len, source) = client.recv_from(&mut octets).unwrap();
            let number = u32::from_ne_bytes(*octets.first_chunk().unwrap()) as usize;
            assert_eq!(number % clients.len(), i, "another's reply");
            assert!(!std::mem::replace(&mut seen[number], true), "the reply to {number} twice");
            assert_eq!(len, reply_len(number, lens), "the reply to {number}");
            assert!(octets[4..len].iter().all(|octet| *octet == number as u8));
            assert_eq!(source, to[number % to.len()]);
        }
    }
    assert!(seen.into_iter().all(|seen| seen));
}

#[test]
fn equal_replies_to_one_socket_are_one_message() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let (server, mut batch) = server(address);
        let to = [server.local_addr().unwrap()];
        let clients = clients(address, 1);
        for questions in [2, BATCH, 17] {
            let (messages, sent) = exchange((&server, &mut batch), (&clients, &to), questions, &[90]);
            assert_eq!((messages, sent), (1, Sent { sent: questions, dropped: 0 }), "{address}");
            all_came(&clients, &to, questions, &[90]);
        }
    }
}

#[test]
fn equal_replies_to_one_socket_keep_their_order() {
    let (server, mut batch) = server("127.0.0.1:0");
    let to = [server.local_addr().unwrap()];
    let clients = clients("127.0.0.1:0", 2);
    let lens = [60, 60, 80, 80];
    exchange((&server, &mut batch), (&clients, &to), BATCH, &lens);
    for (i, client) in clients.iter().enumerate() {
        let mut last = [None; 2];
        for _ in (i..BATCH).step_by(clients.len()) {
            let mut octets = [0; 128];
            let len = client.recv(&mut octets).unwrap();
            let (number, last) = (octets[0], &mut last[usize::from(len == 80)]);
            assert!(*last < Some(number), "{number} of {len} octets after {last:?}");
            *last = Some(number);
        }
    }
}

#[test]
fn a_shorter_reply_ends_a_message() {
    let (server, mut batch) = server("127.0.0.1:0");
    let to = [server.local_addr().unwrap()];
    let clients = clients("127.0.0.1:0", 1);
    // 100 100 90, 90 80 in either case, whatever their order was.
    let lens = [80, 100, 90, 100, 90];
    let (messages, sent) = exchange((&server, &mut batch), (&clients, &to), lens.len(), &lens);
    assert_eq!((messages, sent), (2, Sent { sent: lens.len(), dropped: 0 }));
    all_came(&clients, &to, lens.len(), &lens);
}

#[test]
fn each_asker_gets_its_own_from_the_address_that_it_asked() {
    let ways = [
        ("0.0.0.0:0", "127.0.0.1:0", vec!["127.0.0.1", "127.0.0.77"]),
        ("[::]:0", "[::1]:0", vec!["::1"]),
        ("127.0.0.1:0", "127.0.0.1:0", vec!["127.0.0.1"]),
    ];
    for (wildcard, own, asked) in ways {
        let (server, mut batch) = server(wildcard);
        let port = server.local_addr().unwrap().port();
        let to: Vec<SocketAddr> = asked.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), port)).collect();
        let clients = clients(own, 3);
        // Six kinds of a client and an address, each with replies of three lengths.
        let lens = [60, 1_232, 60, 61, 60, 1_400, 60];
        for _ in 0..3 {
            let (messages, sent) = exchange((&server, &mut batch), (&clients, &to), BATCH, &lens);
            assert!((clients.len()..BATCH).contains(&messages), "{messages}");
            assert_eq!(sent, Sent { sent: BATCH, dropped: 0 });
            all_came(&clients, &to, BATCH, &lens);
        }
    }
}

#[test]
fn long_replies_do_not_keep_short_ones_apart() {
    let (server, mut batch) = server("127.0.0.1:0");
    let to = [server.local_addr().unwrap()];
    let clients = clients("127.0.0.1:0", 2);
    // Of the second client, too, half are too long to leave with others.
    let lens = [1_300, 1_300, 70, 70];
    let (messages, sent) = exchange((&server, &mut batch), (&clients, &to), 40, &lens);
    assert_eq!((messages, sent), (2 + 20, Sent { sent: 40, dropped: 0 }));
    all_came(&clients, &to, 40, &lens);
}

#[test]
fn what_the_kernel_does_not_take_together_it_gets_singly_and_is_spared_for_a_while() {
    let (server, mut batch) = server("127.0.0.1:0");
    let to = [server.local_addr().unwrap()];
    let clients = clients("127.0.0.1:0", 2);
    // Without checksums the kernel parts nothing (EINVAL).
    set_option(server.as_fd(), libc::SOL_SOCKET, libc::SO_NO_CHECK, 1).unwrap();
    let lens = [70, 70, 70, 50];
    for _ in 0..2 {
        let (_, sent) = exchange((&server, &mut batch), (&clients, &to), 20, &lens);
        assert_eq!(sent, Sent { sent: 20, dropped: 0 });
        all_came(&clients, &to, 20, &lens);
        assert!(batch.messages.outbox.rest > 0, "the kernel is asked again at once");
    }
    // Once that is over it takes them together again, whatever stood in their headers meanwhile.
    set_option(server.as_fd(), libc::SOL_SOCKET, libc::SO_NO_CHECK, 0).unwrap();
    batch.messages.outbox.rest = 0;
    let (messages, sent) = exchange((&server, &mut batch), (&clients, &to), 20, &lens);
    // The one has replies of one length, the other of two, half of them each.
    assert_eq!((messages, sent), (3, Sent { sent: 20, dropped: 0 }));
    assert_eq!(batch.messages.outbox.rest, 0, "the kernel refused them again");
    all_came(&clients, &to, 20, &lens);
}

#[test]
fn one_unreachable_asker_loses_its_own_replies_only() {
    let (server, mut batch) = server("127.0.0.1:0");
    let to = [server.local_addr().unwrap()];
    let clients = clients("127.0.0.1:0", 2);
    for number in 0..6u32 {
        clients[number as usize % 2].send_to(&number.to_ne_bytes(), to[0]).unwrap();
    }
    assert_eq!(batch.receive(server.as_fd()).unwrap(), 6);
    // Port 0 cannot be sent to.
    [0, 2, 4].into_iter().for_each(|i| batch.ways.addresses[i].sin6_port = 0);
    let (_, mut replies) = batch.split();
    (0..6).for_each(|i| replies.reply(i, 20));
    assert_eq!(batch.send(server.as_fd()), Sent { sent: 3, dropped: 3 });
    for _ in 0..3 {
        assert_eq!(clients[1].recv(&mut [0; 64]).unwrap(), 20);
    }
}

#[test]
fn askers_with_one_question_each_are_looked_at_now_and_then_only() {
    let (server, mut batch) = server("127.0.0.1:0");
    let to = [server.local_addr().unwrap()];
    let many = clients("127.0.0.1:0", 8);
    for _ in 0..100 {
        let (_, sent) = exchange((&server, &mut batch), (&many, &to), many.len(), &[40]);
        assert_eq!(sent, Sent { sent: many.len(), dropped: 0 });
        all_came(&many, &to, many.len(), &[40]);
    }
    assert!(batch.messages.outbox.rest_alone > 8);
    // The one with many questions is found all the same.
    let one = clients("127.0.0.1:0", 1);
    let is_found = (0..=BATCH).any(|_| {
        let (_, sent) = exchange((&server, &mut batch), (&one, &to), 10, &[40]);
        assert_eq!(sent, Sent { sent: 10, dropped: 0 });
        all_came(&one, &to, 10, &[40]);
        batch.messages.outbox.rest_alone == 0
    });
    assert!(is_found);
}
