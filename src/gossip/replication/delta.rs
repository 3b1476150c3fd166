//! Changes of one owner on their way: the body of a `Delta` frame.
//!
//! ```text
//! | owner (64) | generation | from | to | floor | whole | behind | entry ... |      numbers as short as they are
//! entry | version - from | length, key | 0, or 1 and length, value |
//! ```
//!
//! All changes after `from` up to `to` that still matter. A copy that has `from` can take it, unless it ends
//! below `floor`: then only a copy that was begun anew by a delta from 0 can.

use crate::gossip::codec::{Malformed, decode, encode, list};
use crate::gossip::frame::framed;
use crate::gossip::identity::{Generation, NodeId, Version};
use crate::gossip::replication::log::{Entry, KEY_OCTETS_MAX, Log, VALUE_OCTETS_MAX};
use bincode::{BorrowDecode, Decode, Encode};

/// What stands before the entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct DeltaHead {
    /// Whose changes.
    pub owner: NodeId,
    /// In which life of the owner.
    pub generation: Generation,
    /// What a copy must have.
    pub from: Version,
    /// What it has then.
    pub to: Version,
    /// See [`Log::floor`].
    pub floor: Version,
    /// See [`Log::whole`]; of a log that is begun anew, its end.
    pub whole: Version,
    /// How far before the end of the log that it was cut from it ends. A key that changed again after `to` is left
    /// out: until that end is reached, what a copy holds is not exactly what the owner had said.
    pub behind: u64,
}

#[derive(Encode, BorrowDecode)]
struct EntryWire<'e> {
    after: u64,
    key: &'e [u8],
    value: Option<&'e [u8]>,
}

/// Octets that a delta takes before its entries, at most.
pub const DELTA_HEAD_OCTETS_MAX: usize = 8 + 5 + 5 * 9;
/// Octets that an entry takes besides key and value, at most.
const ENTRY_HEAD_OCTETS_MAX: usize = 9 + 3 + 1 + 3;

/// A delta as it came.
#[derive(Debug, Clone, Copy)]
pub struct Delta<'d> {
    /// What it is about.
    pub head: DeltaHead,
    entries: &'d [u8],
}

impl<'d> Delta<'d> {
    /// Reads a frame's body. What is accepted is whole and in order.
    pub fn parse(body: &'d [u8]) -> Result<Delta<'d>, Malformed> {
        let (head, entries) = decode::<DeltaHead>(body)?;
        if head.from >= head.to {
            return Err(Malformed);
        }
        let delta = Delta { head, entries };
        let mut before = head.from;
        for entry in list::<EntryWire<'_>>(entries) {
            let entry = delta.entry(&entry?)?;
            if entry.version <= before || entry.version > head.to {
                return Err(Malformed);
            }
            before = entry.version;
        }
        Ok(delta)
    }

    fn entry<'e>(&self, wire: &EntryWire<'e>) -> Result<Entry<'e>, Malformed> {
        let version = Version(self.head.from.0.checked_add(wire.after).ok_or(Malformed)?);
        if wire.key.len() > KEY_OCTETS_MAX || wire.value.is_some_and(|value| value.len() > VALUE_OCTETS_MAX) {
            return Err(Malformed);
        }
        Ok(Entry { version, key: wire.key, value: wire.value })
    }

    /// The changes, by rising version.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'d>> {
        let delta = *self;
        list::<EntryWire<'d>>(self.entries).filter_map(move |wire| delta.entry(&wire.ok()?).ok())
    }

    /// The end of the log that it was cut from.
    pub fn until(&self) -> Version {
        Version(self.head.to.0.saturating_add(self.head.behind))
    }
}

/// Cuts the changes of `log` after `from` into bodies of at most `room` octets each with its frame, and hands
/// each to `put`, which says whether to go on. An entry that is larger than the room makes a body of its own.
/// A copy below the floor gets the whole log.
pub fn cut(
    owner: NodeId,
    log: &Log,
    from: Version,
    room: usize,
    mut put: impl FnMut(DeltaHead, Vec<u8>) -> bool,
) {
    let from = if from < log.floor() { Version(0) } else { from };
    let entries = log.since(from);
    let mut entries = entries.iter().peekable();
    let mut start = from;
    let room = room.saturating_sub(framed(DELTA_HEAD_OCTETS_MAX) + 2);
    while start < log.head() {
        let mut used = 0;
        let mut taken: Vec<&Entry<'_>> = Vec::new();
        while let Some(entry) = entries.peek() {
            let octets = ENTRY_HEAD_OCTETS_MAX + entry.key.len() + entry.value.map_or(0, <[u8]>::len);
            if used > 0 && used + octets > room {
                break;
            }
            used += octets;
            taken.extend(entries.next());
        }
        // The last one also says that nothing that still matters comes after it.
        let end = if entries.peek().is_none() {
            log.head()
        } else {
            taken.last().map_or(start, |last| last.version)
        };
        let head = DeltaHead {
            owner,
            generation: log.generation(),
            from: start,
            to: end,
            floor: log.floor(),
            whole: if from == Version(0) { log.whole().max(log.until()) } else { log.whole() },
            behind: log.until().0 - end.0,
        };
        let mut body = Vec::with_capacity(DELTA_HEAD_OCTETS_MAX + used);
        encode(&mut body, &head);
        for entry in &taken {
            encode(
                &mut body,
                &EntryWire { after: entry.version.0 - start.0, key: entry.key, value: entry.value },
            );
        }
        if !put(head, body) {
            return;
        }
        start = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bodies(log: &Log, from: Version, room: usize) -> Vec<Vec<u8>> {
        let mut bodies = Vec::new();
        cut(NodeId(7), log, from, room, |_, body| {
            bodies.push(body);
            true
        });
        bodies
    }

    proptest! {
        #[test]
        fn the_pieces_of_a_log_make_the_log(
            changes in prop::collection::vec((0u8..60, prop::option::of(0usize..300)), 1..120),
            room in 100usize..1350,
        ) {
            let mut log = Log::new(Generation(3));
            for (key, value) in changes {
                match value {
                    Some(len) => log.put(&[key], &vec![key; len]),
                    None => log.remove(&[key]),
                };
            }
            prop_assume!(log.head() > Version(0));
            log.declare_whole();
            let mut copy = Log::new(Generation(3));
            for body in bodies(&log, Version(0), room) {
                let delta = Delta::parse(&body).unwrap();
                prop_assert!(framed(body.len()) <= room || delta.entries().count() == 1);
                prop_assert_eq!(delta.head.from, copy.head());
                copy.extend(delta.entries(), delta.head.to, (delta.head.floor, delta.head.whole), delta.until());
            }
            prop_assert_eq!((copy.hash(), copy.head()), (log.hash(), log.head()));
            prop_assert!(copy.is_whole() && copy.is_exact());
        }

        #[test]
        fn any_octets_are_a_delta_or_malformed(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(delta) = Delta::parse(&octets) {
                prop_assert!(delta.entries().all(|entry| entry.version <= delta.head.to));
            }
        }
    }

    #[test]
    fn a_copy_below_the_floor_gets_the_whole_log() {
        let mut log = Log::new(Generation(1));
        for i in 0..2_000u32 {
            log.put(&i.to_le_bytes(), b"x");
            log.remove(&i.to_le_bytes());
        }
        log.declare_whole();
        let body = &bodies(&log, Version(5), 1200)[0];
        let delta = Delta::parse(body).unwrap();
        assert_eq!(delta.head.from, Version(0));
        assert!(delta.head.from < delta.head.floor);
        // It is whole only at the end: a copy that holds half of it must not be shown.
        assert_eq!(delta.head.whole, log.head());
    }
}
