//! Datagrams over loopback, as the kernel takes and delivers them.

use super::option::set_option;
use super::*;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time::Duration;

fn echo(batch: &mut Batch, server: &UdpSocket, expected: usize) -> Sent {
    // Loopback delivers within the sender's call: what was sent is there.
    assert_eq!(batch.receive(server.as_fd()).unwrap(), expected);
    let (datagrams, mut replies) = batch.split();
    for i in 0..expected {
        let datagram = datagrams.get(i);
        replies.buffer(i)[..datagram.len()].copy_from_slice(datagram);
        replies.reply(i, datagram.len());
    }
    batch.send(server.as_fd())
}

#[test]
fn a_batch_goes_back_to_whence_it_came() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut batch = Batch::new(false);
    let clients: Vec<UdpSocket> = (0..5).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    for round in 0..3u8 {
        for (i, client) in clients.iter().enumerate() {
            client.send_to(&[round, i as u8], server.local_addr().unwrap()).unwrap();
        }
        assert_eq!(echo(&mut batch, &server, clients.len()), Sent { sent: clients.len(), dropped: 0 });
        assert_eq!(batch.source(1), clients[1].local_addr().unwrap());
        for (i, client) in clients.iter().enumerate() {
            client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut octets = [0; 16];
            assert_eq!(client.recv(&mut octets).unwrap(), 2);
            assert_eq!(octets[..2], [round, i as u8]);
        }
    }
}

#[test]
fn a_reply_leaves_from_the_address_asked() {
    for (wildcard, asked) in [("0.0.0.0:0", "127.0.0.77"), ("[::]:0", "::1")] {
        let server = UdpSocket::bind(wildcard).unwrap();
        want_local_addresses(server.as_fd(), wildcard.starts_with('[')).unwrap();
        let mut batch = Batch::new(true);
        let client = UdpSocket::bind(if asked.contains(':') { "[::1]:0" } else { "127.0.0.1:0" }).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let asked = SocketAddr::new(asked.parse().unwrap(), server.local_addr().unwrap().port());
        for _ in 0..2 {
            client.send_to(b"x", asked).unwrap();
            assert_eq!(echo(&mut batch, &server, 1), Sent { sent: 1, dropped: 0 });
            let (_, source) = client.recv_from(&mut [0; 16]).unwrap();
            assert_eq!(source, asked);
        }
    }
}

#[test]
fn a_datagram_that_was_cut_is_empty() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(&[1; DATAGRAM_OCTETS_MAX + 1], server.local_addr().unwrap()).unwrap();
    client.send_to(&[2; DATAGRAM_OCTETS_MAX], server.local_addr().unwrap()).unwrap();
    let mut batch = Batch::new(false);
    assert_eq!(batch.receive(server.as_fd()).unwrap(), 2);
    let (datagrams, _) = batch.split();
    assert_eq!(datagrams.get(0), b"");
    assert_eq!(datagrams.get(1).len(), DATAGRAM_OCTETS_MAX);
}

#[test]
fn an_unreachable_asker_does_not_hold_up_the_others() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(b"a", server.local_addr().unwrap()).unwrap();
    client.send_to(b"b", server.local_addr().unwrap()).unwrap();
    let mut batch = Batch::new(false);
    assert_eq!(batch.receive(server.as_fd()).unwrap(), 2);
    // Port 0 cannot be sent to.
    batch.ways.addresses[0].sin6_port = 0;
    let (_, mut replies) = batch.split();
    replies.reply(0, 1);
    replies.reply(1, 1);
    assert_eq!(batch.send(server.as_fd()), Sent { sent: 1, dropped: 1 });
}

#[test]
fn drops_are_counted() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    set_option(server.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, 1).unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..64 {
        client.send_to(&[0; 1024], server.local_addr().unwrap()).unwrap();
    }
    assert!(receive_drops(server.as_fd()) > 0);
}
