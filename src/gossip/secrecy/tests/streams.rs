//! Streams between two nodes: cut anywhere, cut off, recorded, reordered.

use super::*;
use crate::gossip::secrecy::record::RECORD_OCTETS_MAX;
use crate::gossip::secrecy::stream::{Side, Stream, Unwritable};
use proptest::prelude::*;

/// Two ends that have said hello.
struct Pair {
    opener: (Secrecy, Stream),
    accepter: (Secrecy, Stream),
}

fn pair(mut one: Secrecy, mut other: Secrecy) -> Pair {
    let (mut opener, mut accepter) = (one.stream(Side::Opener), other.stream(Side::Accepter));
    let mut nothing = Vec::new();
    assert_eq!(accepter.read(&mut other, &opener.hello(), &mut nothing), Ok(()));
    assert_eq!(opener.read(&mut one, &accepter.hello(), &mut nothing), Ok(()));
    assert!(opener.is_writable() && accepter.is_writable() && nothing.is_empty());
    Pair { opener: (one, opener), accepter: (other, accepter) }
}

fn sealed() -> Pair {
    pair(node(1), node(2))
}

/// What the opener sends for these writes and its end.
fn written(pair: &mut Pair, writes: &[&[u8]]) -> Vec<u8> {
    let mut octets = Vec::new();
    writes.iter().for_each(|plain| assert_eq!(pair.opener.1.write(plain, &mut octets), Ok(())));
    assert_eq!(pair.opener.1.finish(&mut octets), Ok(()));
    octets
}

fn read((secrecy, stream): &mut (Secrecy, Stream), octets: &[u8]) -> (Vec<u8>, Result<(), Refused>) {
    let mut plain = Vec::new();
    let result = stream.read(secrecy, octets, &mut plain);
    (plain, result)
}

#[test]
fn both_directions_carry_what_was_written_and_tell_who_wrote_it() {
    for (mut pair, proven_by_hello) in [(sealed(), false), (pair(in_clear(1), in_clear(2)), true)] {
        let large: Vec<u8> = (0..100_000u32).map(|at| at as u8).collect();
        assert_eq!(pair.accepter.1.peer().is_some(), proven_by_hello);
        let octets = written(&mut pair, &[b"hello", b"", &large]);
        assert_eq!(read(&mut pair.accepter, &octets), ([&b"hello"[..], &large].concat(), Ok(())));
        assert_eq!(pair.accepter.1.peer(), Some(peer(1)));
        assert!(pair.accepter.1.is_ended());
        assert_eq!(pair.accepter.1.end(&mut pair.accepter.0), Ok(()));
        // The other direction goes on.
        let mut back = Vec::new();
        assert_eq!(pair.accepter.1.write(b"and back", &mut back), Ok(()));
        assert_eq!(read(&mut pair.opener, &back), (b"and back".to_vec(), Ok(())));
        assert_eq!(pair.opener.1.peer(), Some(peer(2)));
        assert_eq!(pair.opener.1.write(b"more", &mut back), Err(Unwritable::Finished));
    }
}

#[test]
fn nothing_is_written_before_the_other_side_said_hello() {
    let mut stream = node(1).stream(Side::Opener);
    assert_eq!(stream.write(b"early", &mut Vec::new()), Err(Unwritable::TooEarly));
    assert_eq!(stream.finish(&mut Vec::new()), Err(Unwritable::TooEarly));
}

#[test]
fn a_stream_that_was_cut_off_anywhere_is_known_to_be() {
    let mut pair = sealed();
    let hello = pair.opener.1.hello();
    let octets = [&hello[..], &written(&mut pair, &[b"one", b"two"])].concat();
    for length in 0..octets.len() {
        // The same accepter once more: same secret, same salt, same keys.
        let mut other = node(2);
        let mut accepter = other.stream(Side::Accepter);
        let mut plain = Vec::new();
        assert_eq!(accepter.read(&mut other, &octets[..length], &mut plain), Ok(()));
        assert!(b"onetwo".starts_with(&plain));
        assert_eq!(accepter.end(&mut other), Err(Refused::Truncated), "{length} octets");
        assert_eq!(other.refusals().of(Refused::Truncated), 1);
    }
}

#[test]
fn every_flipped_bit_kills_the_stream() {
    let mut pair = sealed();
    let hello = pair.opener.1.hello();
    let octets = [&hello[..], &written(&mut pair, &[b"one"])].concat();
    for bit in 0..octets.len() * 8 {
        let mut changed = octets.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let mut other = node(2);
        let mut accepter = other.stream(Side::Accepter);
        let mut plain = Vec::new();
        let read = accepter.read(&mut other, &changed, &mut plain);
        let why = read.and_then(|()| accepter.end(&mut other));
        assert!(why.is_err(), "bit {bit}");
        assert!(plain.is_empty() || plain == b"one", "bit {bit}");
        assert_eq!(accepter.read(&mut other, b"x", &mut plain), why, "it stays dead");
        assert_eq!(other.refusals().iter().map(|(_, count)| count).sum::<u64>(), 1);
    }
}

#[test]
fn records_that_are_swapped_doubled_or_missing_are_refused() {
    let record = |n: usize| n * (3 + 3 + 16)..(n + 1) * (3 + 3 + 16);
    for order in [[1, 0, 2], [0, 0, 1], [0, 2, 1], [2, 1, 0]] {
        let mut pair = sealed();
        let octets = written(&mut pair, &[b"one", b"two", b"six"]);
        let mixed: Vec<u8> = order.into_iter().flat_map(|n| octets[record(n)].to_vec()).collect();
        assert_eq!(read(&mut pair.accepter, &mixed).1, Err(Refused::Forged), "{order:?}");
    }
    let mut pair = sealed();
    let octets = written(&mut pair, &[b"one"]);
    assert_eq!(read(&mut pair.accepter, &[&octets[..], b"x"].concat()).1, Err(Refused::Malformed));
}

#[test]
fn a_recorded_stream_opens_nothing() {
    let mut first = sealed();
    let recorded = [&first.opener.1.hello()[..], &written(&mut first, &[b"secret"])].concat();
    // The same node takes it a second time: its hello has another salt.
    let mut accepter = (first.accepter.0, first.accepter.1);
    accepter.1 = accepter.0.stream(Side::Accepter);
    assert_eq!(read(&mut accepter, &recorded), (Vec::new(), Err(Refused::Forged)));
    assert_eq!(accepter.1.peer(), None);
}

#[test]
fn a_stream_that_is_reflected_or_goes_to_its_own_node_is_its_own() {
    for mut one in [node(1), in_clear(1)] {
        let mut stream = one.stream(Side::Opener);
        let hello = stream.hello();
        assert_eq!(stream.read(&mut one, &hello, &mut Vec::new()), Err(Refused::Own));
        let mut accepter = one.stream(Side::Accepter);
        assert_eq!(accepter.read(&mut one, &hello, &mut Vec::new()), Err(Refused::Own));
    }
}

#[test]
fn other_clusters_versions_and_ways_are_told_apart() {
    let other_name = || Secrecy::new("other", Ring::new(key(1)), peer(1), [1; 32]);
    let other_name_clear = || Secrecy::new("other", Ring::default(), peer(1), [1; 32]);
    let cases = [
        (node(0), other_name(), Refused::Foreign),
        (in_clear(0), other_name_clear(), Refused::Foreign),
        (node(0), in_clear(1), Refused::Unsealed),
        (in_clear(0), node(1), Refused::Sealed),
    ];
    for (mut here, mut there, why) in cases {
        let mut stream = here.stream(Side::Accepter);
        let hello = there.stream(Side::Opener).hello();
        assert_eq!(stream.read(&mut here, &hello, &mut Vec::new()), Err(why));
    }
    let mut here = node(0);
    let mut read = |first| here.stream(Side::Accepter).read(&mut here, &[first], &mut Vec::new());
    assert_eq!(read(0), Err(Refused::Version));
    assert_eq!(read(header::first(Kind::Answer, 0)), Err(Refused::Malformed));
}

#[test]
fn two_sides_in_the_middle_of_a_rotation_understand_each_other() {
    let (mut one, mut other) = (node(1), node(2));
    for secrecy in [&mut one, &mut other] {
        assert_eq!(secrecy.change(&RingChange::Add(key(2))), Ok(true));
    }
    assert_eq!(one.change(&RingChange::Use(key(2).id())), Ok(true));
    let mut pair = pair(one, other);
    // A stream that is open keeps its keys.
    assert_eq!(pair.accepter.0.change(&RingChange::Use(key(2).id())), Ok(true));
    assert_eq!(pair.accepter.0.change(&RingChange::Remove(key(1).id())), Ok(true));
    let octets = written(&mut pair, &[b"new"]);
    assert_eq!(read(&mut pair.accepter, &octets), (b"new".to_vec(), Ok(())));
    let mut back = Vec::new();
    assert_eq!(pair.accepter.1.write(b"old", &mut back), Ok(()));
    assert_eq!(read(&mut pair.opener, &back), (b"old".to_vec(), Ok(())));
}

#[test]
fn a_record_that_announces_too_much_is_refused_by_its_header() {
    for pair in [sealed(), pair(in_clear(1), in_clear(2))] {
        let mut accepter = pair.accepter;
        let [high, low] = (RECORD_OCTETS_MAX as u16 + 1).to_be_bytes();
        assert_eq!(read(&mut accepter, &[0, high, low]).1, Err(Refused::Malformed));
    }
}

proptest! {
    #[test]
    fn a_stream_may_be_cut_anywhere(
        with_keys in any::<bool>(),
        lengths in prop::collection::vec(prop_oneof![0usize..40, 16_000usize..40_000], 0..5),
        cuts in prop::collection::vec(1usize..9_000, 1..20),
    ) {
        let make = if with_keys { node } else { in_clear };
        let mut pair = pair(make(1), make(2));
        let plain: Vec<Vec<u8>> = (7u8..).zip(lengths).map(|(octet, length)| vec![octet; length]).collect();
        let octets = written(&mut pair, &plain.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let (mut rest, mut got) = (&octets[..], Vec::new());
        for cut in cuts.iter().cycle() {
            let (piece, behind) = rest.split_at((*cut).min(rest.len()));
            let (some, result) = read(&mut pair.accepter, piece);
            prop_assert_eq!(result, Ok(()));
            prop_assert!(pair.accepter.1.held() <= RECORD_OCTETS_MAX + 19);
            got.extend(some);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert!(pair.accepter.1.is_ended());
        prop_assert_eq!(got, plain.concat());
    }

    #[test]
    fn any_octets_on_a_stream_are_waited_for_or_refused(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut pair = sealed();
        let (plain, _) = read(&mut pair.accepter, &octets);
        prop_assert!(plain.is_empty());
        let mut secrecy = node(3);
        let mut stream = secrecy.stream(Side::Accepter);
        prop_assert!(stream.read(&mut secrecy, &octets, &mut Vec::new()).is_err() || octets.len() < 41);
    }
}
