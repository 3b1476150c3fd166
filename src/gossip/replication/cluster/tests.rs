//! Cluster-wide records: last writer wins, copies become equal, and nothing that was purged returns.

mod world;

use super::purge::Heard;
use super::*;
use crate::gossip::frame::split;
use proptest::prelude::*;

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);

fn set(cluster: &mut Cluster, writer: NodeId, key: &[u8], value: Option<&[u8]>) -> Vec<u8> {
    match cluster.write(writer, key, value) {
        Written::New(octets) => octets,
        other => panic!("{other:?}"),
    }
}

/// Makes both equal.
fn merge(one: &mut Cluster, two: &mut Cluster) {
    let of = |cluster: &Cluster| cluster.iter().map(|write| write.to_octets()).collect::<Vec<_>>();
    let (first, second) = (of(one), of(two));
    for octets in &first {
        two.take(&Write::from_octets(octets).unwrap());
    }
    for octets in &second {
        one.take(&Write::from_octets(octets).unwrap());
    }
}

fn copy_of(cluster: &Cluster, to: &Cluster) -> Cluster {
    let mut copy = to.blank();
    cluster.iter().for_each(|write| assert!(copy.take(&write)));
    copy
}

#[test]
fn what_was_removed_does_not_come_back() {
    let (mut here, mut there) = (Cluster::default(), Cluster::default());
    let old = set(&mut here, A, b"a", Some(b"1"));
    there.take(&Write::from_octets(&old).unwrap());
    let gone = set(&mut there, B, b"a", None);
    assert!(here.take(&Write::from_octets(&gone).unwrap()));
    assert!(!here.take(&Write::from_octets(&old).unwrap()));
    assert_eq!((here.get(b"a"), here.hash()), (None, there.hash()));
    assert_eq!(here.write(A, b"a", None), Written::Same);
}

#[test]
fn a_stamp_that_nobody_can_have_reached_is_refused_and_spoils_no_later_write() {
    let mut cluster = Cluster::default();
    let forged = Write { key: b"a", stamp: Stamp { lamport: u64::MAX, writer: B }, value: Some(b"x") };
    assert!(!cluster.take(&forged));
    assert_eq!((cluster.refused(), cluster.get(b"a")), (1, None));
    let mut forger = Cluster::default();
    forger.restore(B, &forged);
    let round = forger.begin_round();
    assert!(forger.purge(round, 1, 1).is_some());
    assert_eq!((cluster.hear_mark(forger.mark()), cluster.refused()), (Heard::Older, 2));
    set(&mut cluster, A, b"a", Some(b"1"));
    assert_eq!(cluster.stamp(b"a").map(|stamp| stamp.lamport), Some(1));
}

#[test]
fn who_is_full_says_so_and_takes_what_others_wrote() {
    let mut cluster = Cluster::default();
    for n in 0..CLUSTER_RECORDS_MAX as u32 {
        let stamp = Stamp { lamport: u64::from(n) + 1, writer: B };
        assert!(cluster.take(&Write { key: &n.to_be_bytes(), stamp, value: Some(b"") }));
    }
    assert_eq!(cluster.write(A, b"new", Some(b"1")), Written::Full);
    assert_eq!(cluster.write(A, b"new", None), Written::Same);
    set(&mut cluster, A, &[0; 4], Some(b"2"));
    let stamp = Stamp { lamport: 7, writer: B };
    assert!(cluster.take(&Write { key: b"theirs", stamp, value: Some(b"3") }));
    assert_eq!(cluster.refused(), 0);
}

#[test]
fn a_stamp_given_twice_ends_alike_everywhere() {
    let stamp = Stamp { lamport: 3, writer: A };
    let writes = [Some(&b"1"[..]), Some(b"2"), None].map(|value| Write { key: b"k", stamp, value });
    let (mut one, mut two) = (Cluster::default(), Cluster::default());
    for (write, other) in writes.iter().zip(writes.iter().rev()) {
        one.take(write);
        two.take(other);
    }
    assert_eq!((one.hash(), one.get(b"k")), (two.hash(), None));
    // The same stamp with another value is another copy.
    let (mut one, mut two) = (Cluster::default(), Cluster::default());
    one.take(&writes[0]);
    two.take(&writes[1]);
    assert_ne!(one.hash(), two.hash());
}

#[test]
fn only_an_equal_copy_acknowledges_and_too_few_members_purge_nothing() {
    let (mut one, mut two) = (Cluster::default(), Cluster::default());
    set(&mut one, A, b"k", Some(b"1"));
    set(&mut one, A, b"k", None);
    let round = one.begin_round();
    assert!(!two.acknowledge(round, one.hash()));
    merge(&mut one, &mut two);
    assert!(two.acknowledge(round, one.hash()));
    one.note_members(5);
    assert_eq!(one.purge(round, 2, 0), None);
    assert_eq!(one.purge(round, 3, 6), None);
    assert_eq!(one.purge(round, 3, 5), Some(vec![Bytes::from_static(b"k")]));
    assert_ne!(one.hash(), two.hash());
    assert_eq!(two.hear_mark(one.mark()), Heard::Adopted(vec![Bytes::from_static(b"k")]));
    assert_eq!((one.hash(), one.len(), one.voters()), (two.hash(), 0, 3));
}

#[test]
fn a_write_as_old_as_the_round_voids_it_at_the_asker_and_the_acknowledgement_at_a_member() {
    let (mut one, mut two) = (Cluster::default(), Cluster::default());
    for n in 0..5 {
        set(&mut one, A, &[n], Some(b"1"));
    }
    set(&mut one, A, &[0], None);
    merge(&mut one, &mut two);
    let round = one.begin_round();
    assert!(two.acknowledge(round, one.hash()));
    let late = Write { key: b"late", stamp: Stamp { lamport: 2, writer: B }, value: Some(b"x") };
    one.take(&late);
    two.take(&late);
    assert_eq!((one.purge(round, 2, 2), one.acknowledged(), two.acknowledged()), (None, None, None));
}

#[test]
fn who_was_away_takes_the_copy_whole_and_writes_again_only_what_nobody_has_seen() {
    let (mut one, mut away) = (Cluster::default(), Cluster::default());
    set(&mut one, A, b"gone", Some(b"1"));
    set(&mut one, A, b"kept", Some(b"1"));
    set(&mut away, B, b"seen", Some(b"0"));
    merge(&mut one, &mut away);
    away.confirm();
    // Apart: one side removes, the other writes what nobody sees.
    set(&mut one, A, b"gone", None);
    set(&mut one, A, b"seen", None);
    set(&mut away, B, b"unseen", Some(b"2"));
    for n in 0..20 {
        set(&mut one, A, b"busy", Some(&[n]));
    }
    let round = one.begin_round();
    assert_eq!(one.purge(round, 1, 1).map(|gone| gone.len()), Some(2));
    // What it brings along is refused where it was purged.
    let old = away.iter().map(|write| write.to_octets()).collect::<Vec<_>>();
    old.iter().for_each(|octets| assert!(!one.take(&Write::from_octets(octets).unwrap())));
    assert_eq!(away.hear_mark(one.mark()), Heard::Later);
    let copy = copy_of(&one, &away);
    let replaced = away.replace(B, copy, one.mark());
    assert_eq!(replaced.again, [(Bytes::from_static(b"unseen"), Some(Bytes::from_static(b"2")))]);
    assert_eq!((replaced.dropped, away.hash()), (2, one.hash()));
    let changed: Vec<&[u8]> = replaced.changed.iter().map(Bytes::as_ref).collect();
    assert_eq!(changed, [&b"busy"[..], b"gone", b"seen", b"unseen"]);
    let again = set(&mut away, B, b"unseen", Some(b"2"));
    assert!(one.take(&Write::from_octets(&again).unwrap()));
    assert_eq!(one.hash(), away.hash());
}

#[test]
fn a_mark_outlives_the_process() {
    let mut one = Cluster::default();
    set(&mut one, A, b"k", Some(b"1"));
    let old = one.iter().map(|write| write.to_octets()).collect::<Vec<_>>();
    set(&mut one, A, b"k", None);
    let round = one.begin_round();
    one.purge(round, 1, 1);
    let kept = one.to_keep().unwrap();
    assert_eq!(one.to_keep(), None);
    let mut again = Cluster::default();
    assert!(!again.restore(A, &Write::from_octets(&kept).unwrap()));
    assert_eq!((again.hash(), again.mark()), (one.hash(), one.mark()));
    assert!(!again.take(&Write::from_octets(&old[0]).unwrap()));
}

proptest! {
    #[test]
    fn copies_that_saw_the_same_writes_are_equal(
        writes in prop::collection::vec((0u8..8, 0u64..6, 0u64..3, prop::option::of(any::<u8>())), 0..60),
        seed in any::<u64>(),
    ) {
        let writes: Vec<Vec<u8>> = writes.iter().map(|(key, lamport, writer, value)| {
            let stamp = Stamp { lamport: lamport * 8 + u64::from(*key), writer: NodeId(*writer) };
            let value = value.map(|value| [*key, value]);
            Write { key: &[*key], stamp, value: value.as_ref().map(|value| &value[..]) }.to_octets()
        }).collect();
        let mut shuffled = writes.clone();
        fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
        let (mut one, mut two) = (Cluster::default(), Cluster::default());
        for write in &writes { one.take(&Write::from_octets(write).unwrap()); }
        for write in shuffled.iter().chain(&writes) { two.take(&Write::from_octets(write).unwrap()); }
        prop_assert_eq!(one.groups(), two.groups());
        // What travels in frames makes a third one equal.
        let mut frames = Vec::new();
        prop_assert!(one.frames(one.parts_from(0), 100, usize::MAX, &mut frames));
        let mut three = Cluster::default();
        for frame in &frames {
            prop_assert!(frame.len() <= 100);
            for write in super::writes(split(frame).unwrap().1) { three.take(&write.unwrap()); }
        }
        prop_assert_eq!(one.hash(), three.hash());
        // The naive twin of the sums.
        for group in 0..GROUPS {
            let parts = one.parts_of(group);
            for (at, sum) in parts.iter().enumerate() {
                let number = (group * PARTS_PER_GROUP + at) as u16;
                let twin = one.iter().filter(|write| part_of(write.key) == number);
                prop_assert_eq!(*sum, twin.fold(0, |sum, write| sum ^ write.hash()));
            }
            prop_assert_eq!(one.groups()[group], parts.iter().fold(0, |sum, part| sum ^ part));
        }
    }
}
