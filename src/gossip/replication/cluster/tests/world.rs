//! Some nodes that write, meet, crash and forget one another by lot: what they have becomes equal, and what was ended stays so.

use super::super::purge::{Heard, Mark};
use super::super::*;
use super::copy_of;
use proptest::prelude::*;

/// A key, and what the disk has of it from then on.
type Kept = (Vec<u8>, Option<Vec<u8>>);

/// Some copies, each with its disk, and what was ever seen removed.
struct World {
    copies: Vec<Cluster>,
    /// What each node kept, in its order.
    journals: Vec<Vec<Kept>>,
    /// Nodes that have begun anew and not met anybody since who had not: they write nothing.
    unsynced: [bool; NODES],
    /// Nodes that the others have forgotten.
    away: Option<usize>,
    /// Values that somebody who had seen them removed or replaced, and by which write of which key.
    ended: BTreeMap<Vec<u8>, (Vec<u8>, Stamp)>,
    values: u32,
}

const NODES: usize = 4;

#[derive(Debug, Clone)]
enum Step {
    Write {
        node: usize,
        key: u8,
        remove: bool,
    },
    /// A share of what one holds reaches another.
    Deliver {
        from: usize,
        to: usize,
        lots: u64,
    },
    Merge {
        one: usize,
        two: usize,
    },
    /// The disk lacks so many of the last things that were kept.
    Crash {
        node: usize,
        lost: usize,
    },
    Away {
        node: usize,
    },
    Back,
    /// One asks all who are not away; those that are equal acknowledge.
    Round {
        node: usize,
    },
    /// One tells its mark to another.
    Tell {
        from: usize,
        to: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let node = || 0..NODES;
    let step = prop_oneof![
        4 => (node(), 0u8..5, any::<bool>()).prop_map(|(node, key, remove)| Step::Write { node, key, remove }),
        4 => (node(), node(), any::<u64>()).prop_map(|(from, to, lots)| Step::Deliver { from, to, lots }),
        4 => (node(), node()).prop_map(|(one, two)| Step::Merge { one, two }),
        1 => (node(), 0usize..6).prop_map(|(node, lost)| Step::Crash { node, lost }),
        1 => node().prop_map(|node| Step::Away { node }),
        1 => Just(Step::Back),
        3 => node().prop_map(|node| Step::Round { node }),
        3 => (node(), node()).prop_map(|(from, to)| Step::Tell { from, to }),
    ];
    prop::collection::vec(step, 0..80)
}

impl World {
    fn new() -> World {
        let mut copies: Vec<Cluster> = (0..NODES).map(|_| Cluster::default()).collect();
        copies.iter_mut().for_each(|copy| copy.note_members(NODES));
        let (journals, unsynced) = (vec![Vec::new(); NODES], [false; NODES]);
        let mut world = World { copies, journals, unsynced, away: None, ended: BTreeMap::new(), values: 0 };
        (0..NODES).for_each(|node| world.keep(node, &[]));
        world
    }

    fn id(node: usize) -> NodeId {
        NodeId(node as u64 + 1)
    }

    fn keep(&mut self, node: usize, keys: &[Bytes]) {
        for key in keys {
            let stored = self.copies[node].write_of(key).map(|write| write.to_octets());
            self.journals[node].push((key.to_vec(), stored));
        }
        if let Some(stored) = self.copies[node].to_keep() {
            self.journals[node].push((Vec::new(), Some(stored)));
        }
    }

    fn write(&mut self, node: usize, key: &[u8], value: Option<&[u8]>) {
        let before = self.copies[node].get(key).map(|value| value.to_vec());
        if let Written::New(_) = self.copies[node].write(World::id(node), key, value) {
            let by = (key.to_vec(), self.copies[node].stamp(key).unwrap());
            // What a forgotten member removes may come to nothing: it takes its peers' copy. So may what it removes when it
            // is back, and has not heard of the mark that they agreed on without it.
            if self.away != Some(node) && !self.is_under_unheard_mark(node, by.1) {
                let ended = before.filter(|value| !self.is_written_again(key, value, by.1));
                self.ended.extend(ended.map(|value| (value, by)));
            }
            if let Some(value) = value {
                // Written again: it is a new one.
                self.ended.remove(value);
            }
            self.keep(node, &[Bytes::copy_from_slice(key)]);
        }
    }

    /// True if others have a later mark than a node, and its write is no later than that.
    fn is_under_unheard_mark(&self, node: usize, stamp: Stamp) -> bool {
        let own = self.copies[node].mark().round();
        self.copies.iter().any(|copy| copy.mark().round() > own && copy.purging.covers(stamp.lamport))
    }

    /// True if somebody has written a value of a key again with a later stamp than that.
    fn is_written_again(&self, key: &[u8], value: &[u8], stamp: Stamp) -> bool {
        let again = |write: Write<'_>| write.value == Some(value) && write.stamp > stamp;
        self.copies.iter().filter_map(|copy| copy.write_of(key)).any(again)
    }

    fn deliver(&mut self, from: usize, to: usize, mut lots: u64) {
        let writes: Vec<Vec<u8>> = self.copies[from].iter().map(|write| write.to_octets()).collect();
        for octets in writes {
            lots = lots.rotate_left(7).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let write = Write::from_octets(&octets).unwrap();
            if lots & 1 == 1 && self.copies[to].take(&write) {
                self.keep(to, &[Bytes::copy_from_slice(write.key)]);
            }
        }
    }

    fn merge(&mut self, one: usize, two: usize) {
        // Who joins takes the mark first.
        match (self.unsynced[one], self.unsynced[two]) {
            (true, false) => self.tell(two, one),
            (false, true) => self.tell(one, two),
            (true, true) | (false, false) => {}
        }
        let both = self.unsynced[one] && self.unsynced[two];
        (self.unsynced[one], self.unsynced[two]) = (both, both);
        for (from, to) in [(one, two), (two, one)] {
            let writes: Vec<Vec<u8>> = self.copies[from].iter().map(|write| write.to_octets()).collect();
            for octets in writes {
                let write = Write::from_octets(&octets).unwrap();
                if self.copies[to].take(&write) {
                    self.keep(to, &[Bytes::copy_from_slice(write.key)]);
                }
            }
        }
        if self.copies[one].hash() == self.copies[two].hash() {
            for node in [one, two] {
                self.copies[node].confirm();
                self.keep(node, &[]);
            }
        }
    }

    fn crash(&mut self, node: usize, lost: usize) {
        let journal = &mut self.journals[node];
        // That there are four is on every disk from the first start on.
        journal.truncate(journal.len().saturating_sub(lost).max(1));
        let mut disk: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for (key, stored) in journal {
            match stored {
                Some(stored) => disk.insert(key.clone(), stored.clone()),
                None => disk.remove(key),
            };
        }
        let mut copy = Cluster::default();
        for stored in disk.values() {
            copy.restore(World::id(node), &Write::from_octets(stored).unwrap());
        }
        self.copies[node] = copy;
        self.unsynced[node] = true;
        // What its disk lost before anybody else had it never happened; nor did what else only a forgotten member has.
        self.retain_ended();
    }

    /// The others forget a member. What nobody of them has of it may come to nothing.
    fn forget(&mut self, node: usize) {
        self.away = Some(node);
        self.retain_ended();
    }

    /// Only what the copies of those who are not forgotten know of counts as ended.
    fn retain_ended(&mut self) {
        let (copies, away) = (&self.copies, self.away);
        self.ended.retain(|_, (key, stamp)| {
            let knows = |copy: &Cluster| {
                copy.purging.covers(stamp.lamport) || copy.stamp(key).is_some_and(|known| known >= *stamp)
            };
            copies.iter().enumerate().any(|(node, copy)| away != Some(node) && knows(copy))
        });
    }

    fn round(&mut self, node: usize) {
        let takes_part = |other: usize| (self.away == Some(other)) == (self.away == Some(node));
        let others: Vec<usize> = (0..NODES).filter(|other| *other != node && takes_part(*other)).collect();
        let round = self.copies[node].begin_round();
        let hash = self.copies[node].hash();
        let mut voters = 0;
        let mut all = true;
        for other in &others {
            all &= self.copies[*other].acknowledge(round, hash);
            voters = voters.max(self.copies[*other].voters());
        }
        if all && let Some(gone) = self.copies[node].purge(round, others.len() + 1, voters) {
            self.keep(node, &gone);
        }
    }

    fn tell(&mut self, from: usize, to: usize) {
        let mark: Mark = self.copies[from].mark();
        match self.copies[to].hear_mark(mark) {
            Heard::Same | Heard::Older => {}
            Heard::Adopted(gone) => self.keep(to, &gone),
            Heard::Later => {
                let copy = copy_of(&self.copies[from], &self.copies[to]);
                let replaced = self.copies[to].replace(World::id(to), copy, mark);
                let changed: Vec<Bytes> = replaced.changed.into_iter().collect();
                self.keep(to, &changed);
                for (key, value) in replaced.again {
                    self.write(to, &key, value.as_deref());
                }
            }
        }
    }

    fn step(&mut self, step: &Step) {
        let meets =
            |one: usize, two: usize| one != two && (self.away == Some(one)) == (self.away == Some(two));
        match *step {
            Step::Write { node, key, remove } if !self.unsynced[node] => {
                self.values += 1;
                let value = self.values.to_be_bytes();
                self.write(node, &[key], (!remove).then_some(&value));
            }
            Step::Deliver { from, to, lots } if meets(from, to) => self.deliver(from, to, lots),
            Step::Merge { one, two } if meets(one, two) => self.merge(one, two),
            Step::Tell { from, to } if meets(from, to) => self.tell(from, to),
            Step::Write { .. } | Step::Deliver { .. } | Step::Merge { .. } | Step::Tell { .. } => {}
            Step::Crash { node, lost } => self.crash(node, lost),
            Step::Away { node } => self.forget(node),
            Step::Back => self.away = None,
            Step::Round { node } if !self.unsynced[node] => self.round(node),
            Step::Round { .. } => {}
        }
    }

    fn settle(&mut self) {
        self.away = None;
        // Nodes that all began anew go on together.
        self.unsynced = [false; NODES];
        for _ in 0..4 * NODES {
            for one in 0..NODES {
                for two in (0..NODES).filter(|two| *two != one) {
                    self.tell(one, two);
                    self.merge(one, two);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn copies_become_equal_and_nothing_that_was_ended_returns(steps in steps()) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.step(step));
        world.settle();
        for copy in &world.copies {
            prop_assert_eq!(copy.hash(), world.copies[0].hash());
            prop_assert!(copy.iter().eq(world.copies[0].iter()));
            prop_assert!(copy.iter().all(|write| write.value.is_some() || !copy.purging.covers(write.stamp.lamport)));
            for write in copy.iter() {
                let value = write.value.map(<[u8]>::to_vec);
                prop_assert!(value.is_none_or(|value| !world.ended.contains_key(&value)), "{:?}", write);
            }
        }
        // And then everything that is removed can be purged.
        world.round(0);
        world.settle();
        for copy in &world.copies {
            prop_assert_eq!((copy.tombstones(), copy.hash()), (0, world.copies[0].hash()));
        }
    }
}
