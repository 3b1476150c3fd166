//! The keys of a cluster in their order: the first seals, all open. And how a ring changes while the cluster
//! runs.
//!
//! ```text
//!  add everywhere ──► all open with both ──► use everywhere ──► all seal with the new ──► remove the old
//! ```
//!
//! A step begins when the one before has reached every member; then no datagram meets a node without its key.
//! Does not know how a change reaches the others.

use super::key::{Key, KeyId};
use bincode::{Decode, Encode};
use std::fmt;

/// Keys of a ring: rotation needs two, a rotation within a rotation three. More only slow the search.
pub const KEYS_MAX: usize = 8;

/// No keys: the cluster speaks in clear. Else at least one, none twice, at most [`KEYS_MAX`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ring(Vec<Key>);

/// A step of a rotation, as it travels through the cluster. A later version of the program may append variants;
/// whoever does not know one reads it as malformed and skips it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum RingChange {
    /// From now on this key opens, too.
    Add(Key),
    /// From now on this one seals.
    Use(KeyId),
    /// This one opens no more.
    Remove(KeyId),
}

/// Why a ring did not change. It is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RingError {
    /// The cluster speaks in clear: who has no keys cannot hear of one in secret.
    Plaintext,
    /// [`KEYS_MAX`] are in it.
    Full,
    /// Another key of that name is in it. Draw a new one.
    Taken(KeyId),
    /// No key of that name is in it.
    Unknown(KeyId),
    /// That one seals; the last of a ring always does.
    InUse(KeyId),
}

impl Ring {
    /// A ring of one key.
    pub fn new(key: Key) -> Ring {
        Ring(vec![key])
    }

    /// True if the cluster speaks in clear.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys; the first seals.
    pub fn keys(&self) -> &[Key] {
        &self.0
    }

    /// Takes a step of a rotation; false if the ring was so already.
    pub fn change(&mut self, change: &RingChange) -> Result<bool, RingError> {
        match change {
            RingChange::Add(key) => self.add(key.clone()),
            RingChange::Use(id) => self.promote(*id),
            RingChange::Remove(id) => self.remove(*id),
        }
    }

    /// Lets a key open; false if it does already.
    pub fn add(&mut self, key: Key) -> Result<bool, RingError> {
        if self.is_empty() {
            return Err(RingError::Plaintext);
        }
        self.append(key)
    }

    /// Lets a key of the ring seal; false if it does already.
    pub fn promote(&mut self, id: KeyId) -> Result<bool, RingError> {
        let at = self.place(id)?;
        if at == 0 {
            return Ok(false);
        }
        let key = self.0.remove(at);
        self.0.insert(0, key);
        Ok(true)
    }

    /// Takes a key out; always true, as it was in it.
    pub fn remove(&mut self, id: KeyId) -> Result<bool, RingError> {
        match self.place(id)? {
            0 => Err(RingError::InUse(id)),
            at => {
                self.0.remove(at);
                Ok(true)
            }
        }
    }

    /// As [`Ring::add`], also to an empty ring.
    pub(super) fn append(&mut self, key: Key) -> Result<bool, RingError> {
        if self.0.contains(&key) {
            return Ok(false);
        }
        if self.place(key.id()).is_ok() {
            return Err(RingError::Taken(key.id()));
        }
        if self.0.len() == KEYS_MAX {
            return Err(RingError::Full);
        }
        self.0.push(key);
        Ok(true)
    }

    fn place(&self, id: KeyId) -> Result<usize, RingError> {
        self.0.iter().position(|key| key.id() == id).ok_or(RingError::Unknown(id))
    }
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RingError::Plaintext => {
                f.write_str("this cluster has no keys: give every node a keys_file first")
            }
            RingError::Full => write!(f, "the ring has {KEYS_MAX} keys: remove one first"),
            RingError::Taken(id) => write!(f, "another key is named {id}: draw a new one"),
            RingError::Unknown(id) => write!(f, "no key of the ring is named {id}"),
            RingError::InUse(id) => write!(f, "{id} is in use: use another one first"),
        }
    }
}

impl std::error::Error for RingError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gossip::codec::{self, Malformed};
    use crate::gossip::secrecy::key::KEY_OCTETS;

    fn key(n: u8) -> Key {
        Key::new([n; KEY_OCTETS])
    }

    #[test]
    fn a_rotation_runs_from_one_key_to_another() {
        let (old, new) = (key(1), key(2));
        let mut ring = Ring::new(old.clone());
        let steps = [RingChange::Add(new.clone()), RingChange::Use(new.id()), RingChange::Remove(old.id())];
        let after = [vec![old.clone(), new.clone()], vec![new.clone(), old], vec![new]];
        for (step, keys) in steps.iter().zip(after) {
            assert_eq!(ring.change(step), Ok(true));
            assert_eq!(ring.keys(), keys);
        }
    }

    #[test]
    fn a_step_taken_twice_changes_nothing() {
        let mut ring = Ring::new(key(1));
        assert_eq!(ring.add(key(2)), Ok(true));
        assert_eq!(ring.add(key(2)), Ok(false));
        assert_eq!(ring.promote(key(1).id()), Ok(false));
        assert_eq!(ring.keys(), [key(1), key(2)]);
    }

    #[test]
    fn the_key_in_use_is_not_removed_nor_one_that_is_not_there() {
        let mut ring = Ring::new(key(1));
        assert_eq!(ring.remove(key(1).id()), Err(RingError::InUse(key(1).id())));
        assert_eq!(ring.remove(key(2).id()), Err(RingError::Unknown(key(2).id())));
        assert_eq!(ring.promote(key(2).id()), Err(RingError::Unknown(key(2).id())));
        assert_eq!(ring.keys(), [key(1)]);
    }

    #[test]
    fn a_ring_is_bounded_and_a_cluster_in_clear_takes_no_key() {
        let mut ring = Ring::new(key(0));
        for n in 1..KEYS_MAX as u8 {
            assert_eq!(ring.add(key(n)), Ok(true));
        }
        assert_eq!(ring.add(key(99)), Err(RingError::Full));
        assert_eq!(Ring::default().add(key(1)), Err(RingError::Plaintext));
    }

    #[test]
    fn changes_travel_in_a_form_that_later_versions_read_and_unknown_ones_are_malformed() {
        let mut octets = Vec::new();
        codec::encode(&mut octets, &RingChange::Add(key(3)));
        assert_eq!((octets[0], octets.len()), (0, 33));
        for change in [RingChange::Add(key(3)), RingChange::Use(key(3).id()), RingChange::Remove(key(3).id())]
        {
            octets.clear();
            codec::encode(&mut octets, &change);
            assert_eq!(codec::decode_all(&octets), Ok(change));
        }
        octets[0] = 3;
        assert_eq!(codec::decode_all::<RingChange>(&octets), Err(Malformed));
    }
}
