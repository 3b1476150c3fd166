//! Records of the made-up workload: each says which it is and which change made it, so that an observer can read from
//! any replica how far it has come. And the ledger: what is true, because the world itself decided it.

use super::hash::NumberMap;
use super::seat::Seat;
use bytes::Bytes;
use std::collections::BTreeMap;

/// Octets of a record, key and value together.
pub const RECORD_OCTETS: usize = 100;
/// Opens the key of a node's record, so that it is told from one of the cluster.
const OF_NODE: &[u8; 4] = b"rec:";
/// Opens the key of a record of the cluster.
const OF_CLUSTER: &[u8; 4] = b"all:";
/// Octets of a key.
const KEY_OCTETS: usize = 8;
/// Records that one node may have: the lower half of a key.
pub const RECORDS_PER_NODE_MAX: usize = 1 << 16;

/// Which record: unique in the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u32);

/// Which change: counted over the whole world, from 1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ordinal(pub u32);

impl Key {
    /// A node's record of that number.
    pub fn of(seat: Seat, number: u16) -> Key {
        Key(seat.0 << 16 | u32::from(number))
    }

    /// Whose record it is, if it is not one of the cluster.
    pub fn seat(self) -> Seat {
        Seat(self.0 >> 16)
    }

    /// The key of a node's record.
    pub fn octets(self) -> Bytes {
        key_octets(OF_NODE, self)
    }

    /// The key of a record of the cluster.
    pub fn cluster_octets(self) -> Bytes {
        key_octets(OF_CLUSTER, self)
    }

    /// Reads either.
    pub fn read(octets: &[u8]) -> Option<Key> {
        let number = octets.strip_prefix(OF_NODE).or_else(|| octets.strip_prefix(OF_CLUSTER))?;
        Some(Key(u32::from_be_bytes(number.try_into().ok()?)))
    }
}

fn key_octets(prefix: &[u8; 4], key: Key) -> Bytes {
    let mut octets = [0; KEY_OCTETS];
    octets[..4].copy_from_slice(prefix);
    octets[4..].copy_from_slice(&key.0.to_be_bytes());
    Bytes::copy_from_slice(&octets)
}

impl Ordinal {
    /// A value that this change sets: it cannot be compressed, as addresses and ids cannot.
    pub fn value(self) -> Bytes {
        let mut octets = vec![0; RECORD_OCTETS - KEY_OCTETS];
        fastrand::Rng::with_seed(u64::from(self.0)).fill(&mut octets[4..]);
        octets[..4].copy_from_slice(&self.0.to_be_bytes());
        octets.into()
    }

    /// Reads which change set a value.
    pub fn read(value: &[u8]) -> Option<Ordinal> {
        value.first_chunk::<4>().map(|number| Ordinal(u32::from_be_bytes(*number)))
    }
}

/// What a machine told of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Which record.
    pub key: Key,
    /// The change that made it what it is; `None`: it is gone.
    pub change: Option<Ordinal>,
}

impl Seen {
    /// Reads it off a key and a value; `None` if the key is not of this world.
    pub fn read(key: &[u8], value: Option<&[u8]>) -> Option<Seen> {
        Some(Seen { key: Key::read(key)?, change: value.and_then(Ordinal::read) })
    }

    /// Octets that had to be told: all of a record, or the key of one that is gone.
    pub fn octets(self) -> u64 {
        if self.change.is_some() { RECORD_OCTETS as u64 } else { KEY_OCTETS as u64 }
    }
}

/// What is true.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Per seat: its records and the changes that set them.
    nodes: Vec<BTreeMap<Key, Ordinal>>,
    /// The cluster's records, by the world's order of writing.
    cluster: BTreeMap<Key, Ordinal>,
    /// When each key was deleted.
    deletions: NumberMap<u32, Vec<Ordinal>>,
    last: u32,
}

impl Ledger {
    fn next(&mut self) -> Ordinal {
        self.last += 1;
        Ordinal(self.last)
    }

    fn node(&mut self, seat: Seat) -> &mut BTreeMap<Key, Ordinal> {
        if self.nodes.len() <= seat.index() {
            self.nodes.resize_with(seat.index() + 1, BTreeMap::new);
        }
        &mut self.nodes[seat.index()]
    }

    /// A node sets a record.
    pub fn put(&mut self, seat: Seat, key: Key) -> Ordinal {
        let ordinal = self.next();
        self.node(seat).insert(key, ordinal);
        ordinal
    }

    /// A node removes a record.
    pub fn remove(&mut self, seat: Seat, key: Key) -> Ordinal {
        let ordinal = self.next();
        self.node(seat).remove(&key);
        self.deletions.entry(key.0).or_default().push(ordinal);
        ordinal
    }

    /// Somebody sets a record of the cluster.
    pub fn cluster_put(&mut self, key: Key) -> Ordinal {
        let ordinal = self.next();
        self.cluster.insert(key, ordinal);
        ordinal
    }

    /// Somebody removes a record of the cluster.
    pub fn cluster_remove(&mut self, key: Key) -> Ordinal {
        let ordinal = self.next();
        self.cluster.remove(&key);
        ordinal
    }

    /// A node's records.
    pub fn records(&self, seat: Seat) -> impl Iterator<Item = (Key, Ordinal)> {
        self.nodes.get(seat.index()).into_iter().flatten().map(|(key, ordinal)| (*key, *ordinal))
    }

    /// The records of the cluster.
    pub fn cluster(&self) -> &BTreeMap<Key, Ordinal> {
        &self.cluster
    }

    /// How many records all nodes have.
    pub fn len(&self) -> usize {
        self.nodes.iter().map(BTreeMap::len).sum()
    }

    /// True if no node has any.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first deletion of a key after that change.
    pub fn deletion_after(&self, key: Key, change: Ordinal) -> Option<Ordinal> {
        self.deletions.get(&key.0)?.iter().copied().find(|deletion| *deletion > change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_which_it_is_and_which_change_made_it() {
        let key = Key::of(Seat(3), 7);
        assert_eq!((Key::read(&key.octets()), Key::read(&key.cluster_octets())), (Some(key), Some(key)));
        assert_ne!(key.octets(), key.cluster_octets());
        assert_eq!(Key::read(b"else1234"), None);
        assert_eq!(Ordinal::read(&Ordinal(9).value()), Some(Ordinal(9)));
        assert_eq!(Ordinal(9).value().len() + key.octets().len(), RECORD_OCTETS);
    }

    #[test]
    fn the_ledger_knows_what_is_there_and_what_was_deleted_when() {
        let mut ledger = Ledger::default();
        let key = Key::of(Seat(1), 0);
        let set = ledger.put(Seat(1), key);
        let deleted = ledger.remove(Seat(1), key);
        assert!(ledger.is_empty());
        let again = ledger.put(Seat(1), key);
        assert_eq!(ledger.records(Seat(1)).collect::<Vec<_>>(), [(key, again)]);
        assert_eq!(ledger.deletion_after(key, set), Some(deleted));
        assert_eq!(ledger.deletion_after(key, deleted), None);
        assert_eq!(ledger.records(Seat(5)).count(), 0);
    }
}
