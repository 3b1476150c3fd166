//! Nodes that hand each other octets: first contacts, recordings, floods, rotation. [`streams`]: the same for
//! streams.

mod network;
mod streams;

use super::challenge::CHALLENGE_TIME;
use super::key::Key;
use super::session::SESSIONS_MAX;
use super::waiting::WAITING_MAX;
use super::*;
use std::time::Duration;

/// When most tests happen.
const NOW: Moment = Moment::from_micros(60_000_000);

fn key(n: u8) -> Key {
    Key::new([n; 32])
}

fn peer(n: u64) -> Peer {
    Peer { id: NodeId(n), boot: n + 1_000 }
}

/// Node `n` of a cluster with key 1.
fn node(n: u64) -> Secrecy {
    Secrecy::new("hive", Ring::new(key(1)), peer(n), [n as u8; 32])
}

fn in_clear(n: u64) -> Secrecy {
    Secrecy::new("hive", Ring::default(), peer(n), [n as u8; 32])
}

fn address(n: u64) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, n as u8], 7_953))
}

/// What [`Opened`] says, with octets of its own.
#[derive(Debug, PartialEq, Eq)]
enum Taken {
    Said(Peer, Vec<u8>),
    Stranger(Bytes),
    Doubted(Peer, Bytes),
    Met(Peer, Vec<Vec<u8>>),
}

/// Hands a datagram of node `from` to `to`.
fn hand(to: &mut Secrecy, now: Moment, from: u64, octets: &[u8]) -> Result<Taken, Refused> {
    Ok(match to.open(now, address(from), &mut octets.to_vec())? {
        Opened::Said { sender, plain } => Taken::Said(sender, plain.to_vec()),
        Opened::Stranger { challenge } => Taken::Stranger(challenge),
        Opened::Doubted { sender, answer } => Taken::Doubted(sender, answer),
        Opened::Met { sender, said } => Taken::Met(sender, said.into_iter().map(Vec::from).collect()),
    })
}

fn challenge_of(taken: Result<Taken, Refused>) -> Bytes {
    match taken {
        Ok(Taken::Stranger(challenge)) => challenge,
        other => panic!("no challenge: {other:?}"),
    }
}

fn answer_of(taken: Result<Taken, Refused>) -> Bytes {
    match taken {
        Ok(Taken::Doubted(_, answer)) => answer,
        other => panic!("no answer: {other:?}"),
    }
}

/// Lets `s` (node `n`) and `r` (node `m`) meet.
fn meet(now: Moment, (s, n): (&mut Secrecy, u64), (r, m): (&mut Secrecy, u64)) {
    let hello = s.seal(now, b"hello");
    let challenge = challenge_of(hand(r, now, n, &hello));
    let answer = answer_of(hand(s, now, m, &challenge));
    assert!(matches!(hand(r, now, n, &answer), Ok(Taken::Met(..))));
}

fn said(n: u64, plain: &[u8]) -> Result<Taken, Refused> {
    Ok(Taken::Said(peer(n), plain.to_vec()))
}

#[test]
fn a_first_contact_costs_one_round_trip_and_loses_nothing() {
    let (mut s, mut r) = (node(1), node(2));
    let first = s.seal(NOW, b"first");
    let challenge = challenge_of(hand(&mut r, NOW, 1, &first));
    let second = s.seal(NOW, b"second");
    assert!(matches!(hand(&mut r, NOW, 1, &second), Ok(Taken::Stranger(_))));
    let Ok(Taken::Doubted(doubter, answer)) = hand(&mut s, NOW, 2, &challenge) else { panic!("no answer") };
    assert_eq!(doubter, peer(2));
    let met = hand(&mut r, NOW, 1, &answer);
    assert_eq!(met, Ok(Taken::Met(peer(1), vec![b"first".to_vec(), b"second".to_vec()])));
    // Both directions from here on, without a word more.
    for n in 0..3 {
        assert_eq!(hand(&mut r, NOW, 1, &s.seal(NOW, &[n])), said(1, &[n]));
        assert_eq!(hand(&mut s, NOW, 2, &r.seal(NOW, &[n])), said(2, &[n]));
    }
    // What was kept is not taken once more.
    for again in [first, second, answer] {
        assert_eq!(hand(&mut r, NOW, 1, &again), Err(Refused::Replayed));
    }
}

#[test]
fn two_that_speak_at_once_for_the_first_time_lose_nothing_and_hear_nothing_twice() {
    let (mut a, mut b) = (node(1), node(2));
    let (from_a, from_b) = (a.seal(NOW, b"from a"), b.seal(NOW, b"from b"));
    let challenge_b = challenge_of(hand(&mut a, NOW, 2, &from_b));
    let challenge_a = challenge_of(hand(&mut b, NOW, 1, &from_a));
    let answer_a = answer_of(hand(&mut a, NOW, 2, &challenge_a));
    let answer_b = answer_of(hand(&mut b, NOW, 1, &challenge_b));
    assert_eq!(hand(&mut a, NOW, 2, &from_b), Err(Refused::Replayed));
    assert_eq!(hand(&mut a, NOW, 2, &answer_b), Ok(Taken::Met(peer(2), vec![b"from b".to_vec()])));
    assert_eq!(hand(&mut b, NOW, 1, &answer_a), Ok(Taken::Met(peer(1), vec![b"from a".to_vec()])));
    assert_eq!(hand(&mut b, NOW, 1, &from_a), Err(Refused::Replayed));
}

#[test]
fn a_lost_challenge_or_answer_is_made_up_for_by_the_next_datagram() {
    let (mut s, mut r) = (node(1), node(2));
    let lost = s.seal(NOW, b"one");
    challenge_of(hand(&mut r, NOW, 1, &lost));
    let challenge = challenge_of(hand(&mut r, NOW, 1, &s.seal(NOW, b"two")));
    answer_of(hand(&mut s, NOW, 2, &challenge));
    // The asker is known by its challenge, even though the answer was lost.
    let challenge = challenge_of(hand(&mut r, NOW, 1, &s.seal(NOW, b"three")));
    let answer = answer_of(hand(&mut s, NOW, 2, &challenge));
    assert_eq!(hand(&mut r, NOW, 1, &answer), Ok(Taken::Met(peer(1), vec![b"three".to_vec()])));
}

#[test]
fn every_flipped_bit_and_every_missing_octet_is_refused() {
    let (mut s, mut r) = (node(1), node(2));
    meet(NOW, (&mut s, 1), (&mut r, 2));
    let genuine = s.seal(NOW, b"something");
    for bit in 0..genuine.len() * 8 {
        let mut changed = genuine.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(hand(&mut r, NOW, 1, &changed).is_err(), "bit {bit}");
        assert!(hand(&mut node(3), NOW, 1, &changed).is_err(), "bit {bit}, by who does not know the sender");
    }
    for length in 0..genuine.len() {
        assert!(hand(&mut r, NOW, 1, &genuine[..length]).is_err(), "{length} octets");
    }
    assert_eq!(hand(&mut r, NOW, 1, &genuine), said(1, b"something"));
    assert_eq!((r.sessions(), r.waiting()), (1, 0));
    let refused: u64 = r.refusals().iter().map(|(_, count)| count).sum();
    assert_eq!(refused, genuine.len() as u64 * 9);
}

#[test]
fn one_sealing_is_opened_by_several_and_by_each_once_in_any_order() {
    let (mut s, mut r, mut q) = (node(1), node(2), node(3));
    meet(NOW, (&mut s, 1), (&mut r, 2));
    meet(NOW, (&mut s, 1), (&mut q, 3));
    let sealed: Vec<_> = (0..100).map(|n| s.seal(NOW, &[n])).collect();
    for (n, octets) in sealed.iter().enumerate().rev() {
        assert_eq!(hand(&mut r, NOW, 1, octets), said(1, &[n as u8]));
    }
    for (n, octets) in sealed.iter().enumerate() {
        assert_eq!(hand(&mut q, NOW, 1, octets), said(1, &[n as u8]));
        assert_eq!(hand(&mut r, NOW, 1, octets), Err(Refused::Replayed));
    }
    assert_eq!(r.refusals().of(Refused::Replayed), 100);
}

#[test]
fn a_recording_proves_nothing_to_a_node_that_was_started_anew() {
    let (mut s, mut r) = (node(1), node(2));
    meet(NOW, (&mut s, 1), (&mut r, 2));
    let recorded = s.seal(NOW, b"old");
    let mut r = Secrecy::new("hive", Ring::new(key(1)), Peer { boot: 7, ..peer(2) }, [9; 32]);
    let later = NOW + CHALLENGE_TIME * 2;
    let challenge = challenge_of(hand(&mut r, later, 1, &recorded));
    assert_eq!(hand(&mut s, later, 2, &challenge), Err(Refused::Stale));
    // A true word of the same sender brings no recording in with it.
    let challenge = challenge_of(hand(&mut r, later, 1, &s.seal(later, b"new")));
    let answer = answer_of(hand(&mut s, later, 2, &challenge));
    assert_eq!(hand(&mut r, later, 1, &answer), Ok(Taken::Met(peer(1), vec![b"new".to_vec()])));
    assert_eq!(hand(&mut r, later, 1, &recorded), Err(Refused::Replayed));
}

#[test]
fn what_was_said_before_a_node_was_met_is_never_taken_after() {
    let (mut s, mut r) = (node(1), node(2));
    let recorded: Vec<_> = (0..10).map(|n| s.seal(NOW, &[n])).collect();
    let later = NOW + CHALLENGE_TIME * 2;
    meet(later, (&mut s, 1), (&mut r, 2));
    for octets in &recorded {
        assert_eq!(hand(&mut r, later, 1, octets), Err(Refused::Replayed));
    }
    // The same for one that is known because it doubted this node.
    let (mut s, mut r) = (node(1), node(2));
    let recorded: Vec<_> = (0..10).map(|n| r.seal(NOW, &[n])).collect();
    let challenge = challenge_of(hand(&mut r, later, 1, &s.seal(later, b"hello")));
    answer_of(hand(&mut s, later, 2, &challenge));
    for octets in &recorded {
        assert_eq!(hand(&mut s, later, 2, octets), Err(Refused::Replayed));
    }
}

#[test]
fn an_answer_counts_once_from_its_own_address_and_in_time() {
    let (mut s, mut r) = (node(1), node(2));
    let challenge = challenge_of(hand(&mut r, NOW, 1, &s.seal(NOW, b"hello")));
    let answer = answer_of(hand(&mut s, NOW, 2, &challenge));
    assert_eq!(hand(&mut r, NOW, 9, &answer), Err(Refused::Stale));
    assert_eq!(hand(&mut r, NOW + CHALLENGE_TIME * 2, 1, &answer), Err(Refused::Stale));
    assert!(matches!(hand(&mut r, NOW, 1, &answer), Ok(Taken::Met(..))));
    assert_eq!(hand(&mut r, NOW, 1, &answer), Err(Refused::Replayed));
    // A challenge is for one node only.
    assert_eq!(hand(&mut node(3), NOW, 2, &challenge), Err(Refused::Stale));
}

#[test]
fn a_flood_of_strangers_leaves_a_bounded_mess_and_gets_little_back() {
    let mut r = node(0);
    for n in 0..2_000 {
        let recorded = node(n + 1).seal(NOW, &[7; 40]);
        let challenge = challenge_of(hand(&mut r, NOW, n, &recorded));
        assert!(challenge.len() <= recorded.len() + 24, "{} for {}", challenge.len(), recorded.len());
        let mut forged = recorded.to_vec();
        forged[30] ^= 1;
        assert_eq!(hand(&mut r, NOW, n, &forged), Err(Refused::Forged));
    }
    assert_eq!((r.sessions(), r.waiting()), (0, WAITING_MAX));
    const { assert!(WAITING_MAX < 2_000 && SESSIONS_MAX > 10_000) };
    // In the middle of it a true stranger gets in.
    let mut s = node(5_000);
    let challenge = challenge_of(hand(&mut r, NOW, 1, &s.seal(NOW, b"hello")));
    let answer = answer_of(hand(&mut s, NOW, 0, &challenge));
    assert_eq!(hand(&mut r, NOW, 1, &answer), Ok(Taken::Met(peer(5_000), vec![b"hello".to_vec()])));
}

#[test]
fn a_key_is_rotated_with_datagrams_in_flight_and_none_is_lost() {
    let mut nodes: Vec<_> = (0..3).map(node).collect();
    let steps = [RingChange::Add(key(2)), RingChange::Use(key(2).id()), RingChange::Remove(key(1).id())];
    // Everybody has met everybody.
    for (s, r) in [(0, 1), (0, 2), (1, 2)] {
        let [one, other] = nodes.get_disjoint_mut([s, r]).expect("two nodes");
        meet(NOW, (one, s as u64), (other, r as u64));
    }
    for step in steps {
        // The step reaches one node after the other; all speak before and after each of these moments.
        for at in 0..nodes.len() {
            let in_flight: Vec<_> = nodes.iter_mut().map(|node| node.seal(NOW, b"before")).collect();
            assert_eq!(nodes[at].change(&step), Ok(true));
            for (s, octets) in in_flight.iter().enumerate() {
                for (r, node) in nodes.iter_mut().enumerate().filter(|(r, _)| *r != s) {
                    assert_eq!(hand(node, NOW, s as u64, octets), said(s as u64, b"before"), "{s} to {r}");
                }
            }
        }
    }
    // Who still has the old key only is a stranger to all.
    let old = node(9).seal(NOW, b"old");
    assert!(nodes.iter_mut().all(|node| hand(node, NOW, 9, &old) == Err(Refused::Foreign)));
    assert_eq!(nodes[0].change(&RingChange::Remove(key(2).id())), Err(RingError::InUse(key(2).id())));
}

#[test]
fn other_clusters_by_name_or_key_are_foreign() {
    let mut r = node(0);
    for (cluster, key_number) in [("other", 1), ("hive", 2)] {
        let mut s = Secrecy::new(cluster, Ring::new(key(key_number)), peer(1), [1; 32]);
        assert_eq!(hand(&mut r, NOW, 1, &s.seal(NOW, b"hello")), Err(Refused::Foreign));
    }
    assert_eq!(r.refusals().of(Refused::Foreign), 2);
    let mut s = Secrecy::new("other", Ring::default(), peer(1), [1; 32]);
    assert_eq!(hand(&mut in_clear(0), NOW, 1, &s.seal(NOW, b"hello")), Err(Refused::Foreign));
}

#[test]
fn without_keys_everybody_of_the_cluster_is_heard_at_once() {
    let (mut s, mut r) = (in_clear(1), in_clear(2));
    let octets = s.seal(NOW, b"hello");
    assert_eq!(octets.len(), 21 + 5);
    assert_eq!(hand(&mut r, NOW, 1, &octets), said(1, b"hello"));
    assert_eq!(hand(&mut s, NOW, 1, &octets), Err(Refused::Own));
    for length in 0..21 {
        assert_eq!(hand(&mut r, NOW, 1, &octets[..length]), Err(Refused::Truncated));
    }
    assert_eq!((r.sessions(), r.waiting()), (0, 0));
    // Nodes with keys and nodes without do not hear each other, and each side can tell.
    assert_eq!(hand(&mut node(3), NOW, 1, &octets), Err(Refused::Unsealed));
    assert_eq!(hand(&mut r, NOW, 1, &node(3).seal(NOW, b"hello")), Err(Refused::Sealed));
}

#[test]
fn two_processes_with_one_identity_are_both_heard() {
    let mut r = node(0);
    let (mut one, mut other) = (node(1), node(1));
    other.rename(Peer { boot: 77, ..peer(1) });
    meet(NOW, (&mut one, 1), (&mut r, 0));
    meet(NOW, (&mut other, 2), (&mut r, 0));
    for _ in 0..10 {
        assert_eq!(hand(&mut r, NOW, 1, &one.seal(NOW, b"one")), said(1, b"one"));
        let from_other = hand(&mut r, NOW, 2, &other.seal(NOW, b"other"));
        assert_eq!(from_other, Ok(Taken::Said(Peer { boot: 77, ..peer(1) }, b"other".to_vec())));
    }
    // And each hears the other.
    meet(NOW, (&mut one, 1), (&mut other, 2));
}

#[test]
fn a_renamed_node_is_met_under_its_new_name() {
    let (mut s, mut r) = (node(1), node(2));
    meet(NOW, (&mut s, 1), (&mut r, 2));
    s.rename(peer(5));
    meet(NOW, (&mut s, 1), (&mut r, 2));
    assert_eq!(hand(&mut r, NOW, 1, &s.seal(NOW, b"hello")), said(5, b"hello"));
}

#[test]
fn a_forgotten_node_is_challenged_again() {
    let (mut s, mut r) = (node(1), node(2));
    meet(NOW, (&mut s, 1), (&mut r, 2));
    r.forget(NodeId(1));
    meet(NOW, (&mut s, 1), (&mut r, 2));
}

#[test]
fn what_a_node_said_itself_is_its_own() {
    let mut s = node(1);
    let octets = s.seal(NOW, b"hello");
    assert_eq!(hand(&mut s, NOW, 1, &octets), Err(Refused::Own));
}

#[test]
fn two_keys_that_look_alike_are_both_tried() {
    let hint = |n: u16| {
        let mut octets = [0; 32];
        octets[..2].copy_from_slice(&n.to_be_bytes());
        let key = Key::new(octets);
        let [first, second, ..] = *Root::new("hive", &key).hint();
        ([first, second], key)
    };
    let mut seen = std::collections::BTreeMap::new();
    let pair = (0..u16::MAX).find_map(|n| {
        let (hint, key) = hint(n);
        seen.insert(hint, key.clone()).map(|other| (other, key))
    });
    let (one, other) = pair.expect("among thousands of keys two look alike");
    let mut both = Ring::new(one.clone());
    assert_eq!(both.add(other.clone()), Ok(true));
    for key in [one, other] {
        let mut s = Secrecy::new("hive", Ring::new(key), peer(1), [1; 32]);
        let mut r = Secrecy::new("hive", both.clone(), peer(2), [2; 32]);
        challenge_of(hand(&mut r, NOW, 1, &s.seal(NOW, b"hello")));
        let mut forged = s.seal(NOW, b"hello").to_vec();
        forged[20] ^= 1;
        assert_eq!(hand(&mut r, NOW, 1, &forged), Err(Refused::Forged));
    }
}

#[test]
fn sealing_costs_as_many_octets_as_it_says() {
    let mut s = node(1);
    for plain in [0, 1, 1_300] {
        let sealed = s.seal(NOW, &vec![0; plain]);
        assert_eq!(sealed.len(), plain + 28);
        assert!(sealed.len() <= plain + OVERHEAD);
    }
    s.number = u64::MAX - 1;
    assert_eq!(s.seal(NOW + Duration::from_secs(1), b"").len(), OVERHEAD);
}
