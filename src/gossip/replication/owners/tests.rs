//! What copies become by what they are handed.

use super::*;
use crate::gossip::replication::delta::cut;
use proptest::prelude::*;

const WHO: NodeId = NodeId(9);

fn deltas(log: &Log, from: Version, room: usize) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    cut(WHO, log, from, room, |_, body| {
        bodies.push(body);
        true
    });
    bodies
}

fn content(log: &Log) -> Vec<(Vec<u8>, Vec<u8>)> {
    log.records().map(|entry| (entry.key.to_vec(), entry.value.unwrap().to_vec())).collect()
}

fn owner_of(records: u8) -> Log {
    let mut log = Log::new(Generation(1));
    for key in 0..records {
        log.put(&[key], &[key; 60]);
    }
    log.declare_whole();
    log
}

#[test]
fn a_new_life_replaces_the_old_one_in_one_step() {
    let mut owners = Owners::new(Sharing::default());
    let old = owner_of(30);
    for body in deltas(&old, Version(0), 2000) {
        owners.take(&Delta::parse(&body).unwrap());
    }
    assert_eq!(owners.get(WHO).unwrap().shown().unwrap().live(), 30);
    let mut new = owner_of(20);
    new.begin_again(Generation(2));
    let pieces = deltas(&new, Version(0), 500);
    assert!(pieces.len() > 2);
    for (at, body) in pieces.iter().enumerate() {
        let taken = owners.take(&Delta::parse(body).unwrap());
        let shown = owners.get(WHO).unwrap().shown().unwrap();
        if at + 1 < pieces.len() {
            assert_eq!((taken, shown.live()), (Taken::Staged, 30));
        } else {
            assert_eq!((taken, shown.live()), (Taken::Shown(None), 20));
        }
    }
    for body in deltas(&old, Version(0), 2000) {
        assert_eq!(owners.take(&Delta::parse(&body).unwrap()), Taken::Known);
    }
}

#[test]
fn nobody_is_held_of_whom_nothing_was_taken_and_no_more_than_so_many() {
    let mut log = owner_of(3);
    log.put(b"more", b"1");
    let mut late = Vec::new();
    cut(WHO, &log, Version(3), 2000, |_, body| {
        late.push(body);
        true
    });
    let mut owners = Owners::new(Sharing::default());
    assert_eq!(owners.take(&Delta::parse(&late[0]).unwrap()), Taken::Gap);
    assert_eq!((owners.len(), owners.have(WHO)), (0, Reach::default()));
    let shared = Arc::new(owner_of(1));
    owners.restore((0..OWNERS_MAX as u64).map(|id| (NodeId(id << 40), Arc::clone(&shared))));
    let id = NodeId(1);
    cut(id, &log, Version(0), 2000, |_, body| {
        assert_eq!(owners.take(&Delta::parse(&body).unwrap()), Taken::Known);
        true
    });
    assert_eq!((owners.len(), owners.get(id).is_none()), (OWNERS_MAX, true));
}

#[test]
fn what_is_restored_is_what_was_put_one_by_one() {
    let logs: Vec<(NodeId, Arc<Log>)> = (0..500u64)
        .map(|n| (NodeId((n % 400).wrapping_mul(0x9e37_79b9_7f4a_7c15)), Arc::new(owner_of(n as u8 % 7))))
        .collect();
    let (mut one, mut other) = (Owners::new(Sharing::default()), Owners::new(Sharing::default()));
    logs.iter().for_each(|(id, log)| one.put(*id, Arc::clone(log)));
    other.restore(logs);
    assert_eq!((one.len(), one.buckets()), (other.len(), other.buckets()));
    let pairs = one.iter().zip(other.iter());
    for (one, other) in pairs {
        assert_eq!((one.id(), one.have()), (other.id(), other.have()));
    }
}

#[test]
fn a_copy_in_doubt_is_shown_until_the_owners_own_words_replace_it() {
    let theirs = owner_of(30);
    let mut wrong = Log::new(Generation(1));
    (0..30u8).for_each(|key| {
        wrong.put(&[key], b"wrong");
    });
    wrong.declare_whole();
    let mut owners = Owners::new(Sharing::default());
    owners.put(WHO, Arc::new(wrong));
    assert_eq!(owners.have(WHO), reach(&theirs));
    assert!(owners.doubt(WHO) && !owners.doubt(WHO));
    let pieces = deltas(&theirs, Version(0), 500);
    assert!(pieces.len() > 2);
    for piece in &pieces {
        assert_eq!(owners.get(WHO).unwrap().shown().unwrap().get(&[7]), Some(&b"wrong"[..]));
        owners.take(&Delta::parse(piece).unwrap());
    }
    assert_eq!(content(owners.get(WHO).unwrap().shown().unwrap()), content(&theirs));
}

#[test]
fn a_log_of_equal_head_and_other_content_is_not_taken_from_who_shares() {
    let sharing = Sharing::new();
    let (mut one, mut other) = (Owners::new(sharing.clone()), Owners::new(sharing));
    for body in deltas(&owner_of(5), Version(0), 2000) {
        one.take(&Delta::parse(&body).unwrap());
    }
    let mut clone = Log::new(Generation(1));
    (0..5u8).for_each(|key| {
        clone.put(&[key], b"other");
    });
    clone.declare_whole();
    for body in deltas(&clone, Version(0), 2000) {
        other.take(&Delta::parse(&body).unwrap());
    }
    assert_eq!(one.have(WHO), other.have(WHO));
    assert_eq!(content(other.get(WHO).unwrap().shown().unwrap()), content(&clone));
}

proptest! {
    /// An owner changes, tombstones are dropped, lives begin anew; copies take pieces cut at any time, in any
    /// order, from the owner and from each other. What a copy shows is always what the owner said at some
    /// time, and at the end, after pulls, all are equal.
    #[test]
    fn an_exact_copy_is_what_the_owner_said(
        steps in prop::collection::vec((0u8..6, any::<u16>(), any::<u16>()), 1..200),
    ) {
        let mut owner = owner_of(3);
        let mut said = std::collections::HashMap::new();
        let mut copies = [Owners::new(Sharing::default()), Owners::new(Sharing::default())];
        let mut flying: Vec<Vec<u8>> = Vec::new();
        let mut step = |owner: &mut Log, kind: u8, a: u16, b: u16, copies: &mut [Owners; 2], flying: &mut Vec<Vec<u8>>| {
            match kind {
                0 => { owner.put(&[a as u8 % 40], &[b as u8; 40]); }
                // Many removals at once, so that the floor rises.
                1 => for i in 0..(a % 400) { owner.put(&i.to_le_bytes(), b"y"); owner.remove(&i.to_le_bytes()); },
                2 if a.is_multiple_of(8) => owner.begin_again(Generation(owner.generation().0 + 1)),
                2 => { owner.remove(&[a as u8 % 40]); }
                3 => flying.extend(deltas(owner, Version(u64::from(a) % (owner.head().0 + 1)), 300)),
                4 => if let Some(log) = copies[usize::from(a % 2)].get(WHO).and_then(Owner::newest) {
                    flying.extend(deltas(log, Version(u64::from(b) % (log.head().0 + 1)), 300));
                },
                _ => {}
            }
            said.insert(reach(owner), content(owner));
            let mut land = |at: usize, copy: usize| {
                if flying.is_empty() { return }
                let at = at % flying.len();
                copies[copy].take(&Delta::parse(&flying[at]).unwrap());
                if let Some(log) = copies[copy].get(WHO).and_then(Owner::shown)
                    && log.is_exact()
                {
                    assert_eq!(Some(&content(log)), said.get(&reach(log)), "{log:?}");
                }
            };
            for i in 0..6 { land(usize::from(a) + i, usize::from(b) % 2); land(i, i % 2); }
        };
        for (kind, a, b) in steps {
            step(&mut owner, kind, a, b, &mut copies, &mut flying);
        }
        for copy in &mut copies {
            for _ in 0..3 {
                let have = copy.have(WHO);
                let from = if have.generation == owner.generation() { have.head } else { Version(0) };
                for body in deltas(&owner, from, 300) { copy.take(&Delta::parse(&body).unwrap()); }
            }
            prop_assert_eq!(content(copy.get(WHO).unwrap().shown().unwrap()), content(&owner));
        }
        prop_assert_eq!(copies[0].buckets(), copies[1].buckets());
    }
}
