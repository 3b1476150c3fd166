//! TCP as clients use and misuse it (RFC 7766).

use crate::oracle::message;
use crate::oracle::now;
use crate::site::{Plan, Site, query, until, zone};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// How long the servers of these tests let a connection be idle.
const IDLE: Duration = Duration::from_millis(400);

fn site(server: &str) -> Site {
    let large: String = (0..200).map(|n| format!("large TXT \"{n:0200}\"\n")).collect();
    Site::start(&Plan { server, zones: &[("z.", zone(1, &large))], ..Plan::default() })
}

fn framed(id: u16, name: &str, qtype: u16) -> Vec<u8> {
    let query = query(id, name, qtype);
    [&(query.len() as u16).to_be_bytes()[..], &query].concat()
}

/// The id of the next answer; none at the end of the connection.
fn next(stream: &mut TcpStream) -> Option<u16> {
    let mut length = [0; 2];
    match stream.read_exact(&mut length) {
        Ok(()) => {}
        Err(e) if matches!(e.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => return None,
        Err(e) => panic!("{e}"),
    }
    let mut answer = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut answer).expect("a whole answer");
    let reply = message::decode(&answer).expect("well formed");
    assert_eq!((reply.rcode(), reply.flags & message::TC), (0, 0));
    Some(reply.id)
}

fn ask(stream: &mut TcpStream, id: u16) -> Option<u16> {
    match stream.write_all(&framed(id, "ns.z.", 1)) {
        Ok(()) => next(stream),
        Err(_) => None,
    }
}

#[test]
fn a_thousand_questions_in_one_write_are_answered_in_order() {
    let site = site("");
    let mut stream = site.tcp();
    let all: Vec<u8> = (0..1000).flat_map(|id| framed(id, "ns.z.", 1)).collect();
    stream.write_all(&all).expect("it reads");
    for id in 0..1000 {
        assert_eq!(next(&mut stream), Some(id));
    }
    // Large answers, more than any buffer holds at once.
    let all: Vec<u8> = (0..1000).flat_map(|id| framed(id, "large.z.", 16)).collect();
    let mut writer = stream.try_clone().expect("a handle");
    std::thread::scope(|scope| {
        scope.spawn(move || writer.write_all(&all).expect("it reads"));
        for id in 0..1000 {
            assert_eq!(next(&mut stream), Some(id));
        }
    });
}

#[test]
fn a_message_may_be_split_at_every_octet() {
    let site = site("");
    let mut stream = site.tcp();
    let message = framed(7, "ns.z.", 1);
    // An answer over UDP from the only worker: it has been round its loop, and has most likely read the part.
    let let_it_read = || assert_eq!(site.rcode("ns.z.", 1), Some(0));
    for at in 1..message.len() {
        stream.write_all(&message[..at]).expect("it reads");
        let_it_read();
        stream.write_all(&message[at..]).expect("it reads");
        assert_eq!(next(&mut stream), Some(7), "split at {at}");
    }
    for octet in &message {
        stream.write_all(&[*octet]).expect("it reads");
        let_it_read();
    }
    assert_eq!(next(&mut stream), Some(7));
    // The end of one and the start of the next together.
    let two = [&message[..], &message].concat();
    for at in 1..two.len() {
        stream.write_all(&two[..at]).expect("it reads");
        let_it_read();
        stream.write_all(&two[at..]).expect("it reads");
        assert_eq!((next(&mut stream), next(&mut stream)), (Some(7), Some(7)), "split at {at}");
    }
}

#[test]
fn a_connection_that_is_idle_is_closed_and_one_that_asks_is_not() {
    let site = site("tcp_idle = \"400ms\"");
    let (mut idle, mut half, mut busy) = (site.tcp(), site.tcp(), site.tcp());
    assert_eq!(ask(&mut idle, 1), Some(1));
    let start = now();
    // Part of a message is not a question.
    half.write_all(&framed(1, "ns.z.", 1)[..9]).expect("it reads");
    let mut id = 0u16;
    while now() - start < IDLE * 3 {
        // A fast machine asks more than there are ids.
        id = id.wrapping_add(1);
        assert_eq!(ask(&mut busy, id), Some(id), "closed although it asks");
    }
    for (what, mut stream) in [("idle", idle), ("half a message", half)] {
        assert_eq!(next(&mut stream), None, "{what}");
    }
    let mut idle = site.tcp();
    let start = now();
    assert_eq!(next(&mut idle), None);
    assert!(now() - start >= IDLE, "closed after {:?}", now() - start);
}

#[test]
fn who_asks_and_never_reads_is_cut_off() {
    let site = site("tcp_idle = \"400ms\"");
    let mut greedy = site.tcp();
    let all: Vec<u8> = (0..2000).flat_map(|id| framed(id, "large.z.", 16)).collect();
    greedy.set_nonblocking(true).expect("an option");
    let mut written = 0;
    let mut write = || match greedy.write(&all[written % all.len()..]) {
        Ok(len) => {
            written += len;
            false
        }
        // Full: the server reads no more.
        Err(e) if e.kind() == ErrorKind::WouldBlock => false,
        Err(_) => true,
    };
    let mut polite = site.tcp();
    assert!(until(|| {
        // Others are served all the while.
        assert_eq!(ask(&mut polite, 3), Some(3));
        write()
    }));
}

#[test]
fn the_connection_that_was_idle_for_longest_makes_room() {
    let site = site("tcp_connections_max = 3");
    let mut streams = [site.tcp(), site.tcp(), site.tcp()];
    for stream in &mut streams {
        assert_eq!(ask(stream, 1), Some(1));
    }
    let [first, second, third] = &mut streams;
    assert_eq!(ask(first, 2), Some(2));
    let mut fourth = site.tcp();
    assert_eq!(ask(&mut fourth, 1), Some(1));
    assert_eq!(next(second), None, "the second was idle for longest");
    for stream in [first, third, &mut fourth] {
        assert_eq!(ask(stream, 3), Some(3));
    }
}

#[test]
fn lengths_that_promise_nothing_or_too_much_end_their_connection_only() {
    let site = site("tcp_idle = \"400ms\"");
    for garbage in [&[0, 0][..], &[0, 1, 7], &[0, 5, 1, 2, 3, 4, 5], &[0xff, 0xff, 1, 2, 3], &[0]] {
        let (mut stream, mut neighbour) = (site.tcp(), site.tcp());
        stream.write_all(garbage).expect("it reads");
        assert_eq!(ask(&mut neighbour, 5), Some(5));
        assert_eq!(next(&mut stream), None, "{garbage:?}");
    }
    // A message of nothing but its length, malformed: FORMERR is an answer.
    let mut stream = site.tcp();
    stream.write_all(&[&[0xff, 0xff][..], &[0; 0xffff]].concat()).expect("it reads");
    let mut answer = [0; 14];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!((answer[1], answer[5] & 0xf), (12, 1));
}

#[test]
fn who_ends_sending_still_gets_every_answer() {
    let site = site("");
    let mut stream = site.tcp();
    let all: Vec<u8> = (0..500).flat_map(|id| framed(id, "large.z.", 16)).collect();
    stream.write_all(&all).expect("it reads");
    stream.shutdown(Shutdown::Write).expect("a socket");
    for id in 0..500 {
        assert_eq!(next(&mut stream), Some(id));
    }
    assert_eq!(next(&mut stream), None);
}

#[test]
fn a_response_ends_the_connection_after_the_questions_before_it() {
    let site = site("");
    let mut stream = site.tcp();
    let mut response = framed(2, "ns.z.", 1);
    response[4] |= 0x80;
    stream.write_all(&[framed(1, "ns.z.", 1), response, framed(3, "ns.z.", 1)].concat()).expect("it reads");
    assert_eq!(next(&mut stream), Some(1));
    assert_eq!(next(&mut stream), None);
}
