//! What queries over TCP may take of this server's memory while they wait.

use super::*;
use std::io::{Read, Write};
use std::net::TcpStream;

/// A query for an address, as it goes over TCP, with so many octets of padding (RFC 7830).
fn stream_query(name: &Name, padding: u16) -> Vec<u8> {
    let header = [0x1234, RD, 1, 0, 0, 1].map(u16::to_be_bytes).concat();
    let opt = [0, 0, 41, 4, 208, 0, 0, 0, 0].into_iter().chain((padding + 4).to_be_bytes());
    let option = [12u16, padding].map(u16::to_be_bytes).concat();
    let opt = opt.chain(option).chain(std::iter::repeat_n(0, padding.into())).collect::<Vec<u8>>();
    let query = [&header, name.as_wire(), &[0, 1, 0, 1], &opt].concat();
    [&(query.len() as u16).to_be_bytes(), &query[..]].concat()
}

/// Turns in which a stage that has all it needs answers every query of a test.
const TURNS_MAX: usize = 100_000;

/// The codes of so many answers on a stream, in turns of the stage.
fn codes(stage: &mut Stage, peer: &mut TcpStream, count: usize) -> Vec<u8> {
    peer.set_nonblocking(true).unwrap();
    let (mut octets, mut codes, mut turns) = (Vec::new(), Vec::new(), 0);
    while codes.len() < count {
        assert!(turns < TURNS_MAX, "{codes:?}");
        turns += 1;
        stage.turn();
        let mut room = [0; 4_096];
        match peer.read(&mut room) {
            Ok(0) => panic!("closed"),
            Ok(len) => octets.extend_from_slice(&room[..len]),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
        while let Some(len) = octets.first_chunk::<2>().map(|len| 2 + usize::from(u16::from_be_bytes(*len)))
            && octets.len() >= len
        {
            codes.push(octets[5] & 15);
            octets.drain(..len);
        }
    }
    codes
}

#[test]
fn of_a_peer_that_pipelines_queries_for_a_slow_name_few_wait_and_the_rest_is_left_unread() {
    const QUERIES: usize = 200;
    let (upstream, slow) = (socket(1), name("slow.test."));
    let mut stage = Stage::new(Way::Forward(vec![upstream.local_addr().unwrap()]));
    let mut peer = TcpStream::connect(stage.address[1]).unwrap();
    peer.write_all(&stream_query(&slow, 0).repeat(QUERIES)).unwrap();
    let mut question = Vec::new();
    while question.is_empty() {
        stage.hear();
        question = asked(&mut stage, &upstream);
    }
    // Far more turns than it takes to read them all.
    (0..QUERIES).for_each(|_| stage.turn());
    reply(&upstream, (&question[0].1, question[0].2), (RecordType::A, 300, &[192, 0, 2, 1]));
    stage.hear();
    assert_eq!(codes(&mut stage, &mut peer, QUERIES), [0; QUERIES]);
    let [hits, misses, _] = stage.desk.counters.cache();
    assert!((1..=64).contains(&misses) && hits + misses == QUERIES as u64, "{hits} {misses}");
}

#[test]
fn a_query_of_immoderate_size_does_not_wait_and_no_large_buffer_is_kept_for_others() {
    let (upstream, client) = (socket(1), name("www.test."));
    let mut stage = Stage::new(Way::Forward(vec![upstream.local_addr().unwrap()]));
    let mut peer = TcpStream::connect(stage.address[1]).unwrap();
    peer.write_all(&stream_query(&client, 30_000)).unwrap();
    peer.write_all(&stream_query(&client, 2_000)).unwrap();
    let mut question = Vec::new();
    while question.is_empty() {
        stage.hear();
        question = asked(&mut stage, &upstream);
    }
    assert_eq!(codes(&mut stage, &mut peer, 1), [Rcode::ServFail as u8]);
    reply(&upstream, (&question[0].1, question[0].2), (RecordType::A, 300, &[192, 0, 2, 1]));
    stage.hear();
    assert_eq!(codes(&mut stage, &mut peer, 1), [0]);
    let spare = &stage.resolver.as_ref().unwrap().front.spare;
    assert!(spare.iter().all(|buffer| buffer.capacity() <= 1_024));
}
