//! When tombstones go, and what becomes of a copy that was away for longer.
//!
//! A round: one member names all that it holds up to a Lamport counter ([`Round`]). A member whose copy is equal
//! acknowledges that, and stamps what it writes from then on higher. When all have, the tombstones up to there are
//! dropped, and that there are none is the [`Mark`].
//!
//! ```text
//! the mark here            heard: the same   heard: a later one
//! acknowledged that round                    drops its own tombstones up to there: as the others' copies
//! did not                  nothing           takes the copy of its peers whole
//! ```
//!
//! Why nothing returns: a write no later than the mark is refused where its key is not known. So a copy under a mark
//! only loses what is that old. All copies under one mark began as equals up to it: each was equal to that of the
//! round's member when it acknowledged, and has taken nothing that old since (then it would have forgotten that it
//! acknowledged), or it was copied whole from one of them.
//!
//! A disk may lack the last that was kept, and so the counter that was acknowledged: who starts anew writes only after
//! it has taken what a synced member has. Only a node that is alone writes before, and one that the others had forgotten, when
//! it is back; what it stamps no later than a mark that it does not know may be dropped when it meets the others.
//!
//! Which member is away for too long is membership's to say: whoever is remembered must acknowledge. Members that
//! are cut off and have forgotten the rest must not decide for them: a round needs more than half of as many as the
//! last one had, or as there ever were since.

use super::{Cluster, Stamp, Write};
use crate::gossip::codec::{Malformed, decode, decode_all, encode};
use crate::gossip::hash;
use crate::gossip::identity::NodeId;
use bincode::{Decode, Encode};
use bytes::Bytes;
use std::collections::BTreeSet;

/// All that a copy held, up to a Lamport counter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Round {
    lamport: u64,
    /// The hash of the copy when the counter was that: names its content, and so the round.
    content: u64,
}

/// No tombstones up to that round are held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct Mark {
    round: Round,
    /// How many members decided that.
    voters: u32,
}

impl Mark {
    /// Which round it was.
    pub fn round(&self) -> Round {
        self.round
    }

    /// True if nothing was purged ever.
    pub fn is_none(&self) -> bool {
        self.round == Round::default()
    }
}

/// What another's mark means here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It is the one here.
    Same,
    /// It is older.
    Older,
    /// This copy was equal: it is under the mark now, and these tombstones are gone.
    Adopted(Vec<Bytes>),
    /// This copy must be replaced by a peer's.
    Later,
}

/// What became of a copy that was replaced.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Replaced {
    /// Keys that are not what they were; some are gone.
    pub changed: BTreeSet<Bytes>,
    /// What this node wrote and nobody has seen, removals included: to be written again.
    pub again: Vec<(Bytes, Option<Bytes>)>,
    /// Values of others that the cluster does not have: let go.
    pub dropped: usize,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Purging {
    mark: Mark,
    /// In memory only: who starts anew has acknowledged nothing, and takes the copy whole.
    acknowledged: Option<Round>,
    /// What this node wrote up to there, another member has had.
    confirmed: u64,
    /// The last write of this node.
    wrote: u64,
    /// As many members as there were at a time, since the mark.
    voters: u32,
    /// Something is to be kept.
    changed: bool,
}

impl Purging {
    pub(super) fn covers(&self, lamport: u64) -> bool {
        lamport <= self.mark.round.lamport
    }

    pub(super) fn wrote(&mut self, lamport: u64) {
        self.wrote = self.wrote.max(lamport);
    }

    pub(super) fn took(&mut self, lamport: u64) {
        if self.acknowledged.is_some_and(|round| lamport <= round.lamport) {
            self.acknowledged = None;
        }
    }

    pub(super) fn mix(&self, sum: u64) -> u64 {
        match self.mark.is_none() {
            true => sum,
            false => hash::words([sum, self.mark.round.lamport, self.mark.round.content]),
        }
    }

    /// From the disk: the Lamport counter of the mark. What cannot be read is as nothing.
    pub(super) fn restore(&mut self, kept: &[u8]) -> u64 {
        // What a later version keeps behind that is let go.
        if let Ok(((mark, confirmed, voters), _)) = decode::<(Mark, u64, u32)>(kept) {
            (self.mark, self.confirmed, self.voters) = (mark, confirmed, voters);
        }
        self.mark.round.lamport
    }
}

impl Cluster {
    /// What was purged.
    pub fn mark(&self) -> Mark {
        self.purging.mark
    }

    /// Names all that is held here; the round is void as soon as [`Cluster::acknowledged`] is another.
    pub fn begin_round(&mut self) -> Round {
        let round = Round { lamport: self.lamport, content: self.hash() };
        self.purging.acknowledged = Some(round);
        round
    }

    /// The round that this copy is equal to.
    pub fn acknowledged(&self) -> Option<Round> {
        self.purging.acknowledged
    }

    /// Somebody with a copy of that hash asks. True if this copy is equal, and so acknowledges; from now on stamps
    /// here are higher.
    pub fn acknowledge(&mut self, round: Round, hash: u64) -> bool {
        if hash != self.hash() || round.lamport > self.lamport.saturating_add(super::AHEAD_MAX) {
            return false;
        }
        self.lamport = self.lamport.max(round.lamport);
        self.purging.acknowledged = Some(round);
        true
    }

    /// So many members are known, this one included.
    pub fn note_members(&mut self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if count > self.purging.voters {
            self.purging.voters = count;
            self.purging.changed = true;
        }
    }

    /// As many members as were known at a time since the last purge.
    pub fn voters(&self) -> u32 {
        self.purging.voters
    }

    /// All of `members` have acknowledged the round; they know of at most `voters`. The tombstones that are gone;
    /// `None`: the round is void, or too few took part.
    pub fn purge(&mut self, round: Round, members: usize, voters: u32) -> Option<Vec<Bytes>> {
        let members = u32::try_from(members).ok()?;
        let enough = u64::from(members) * 2 > u64::from(voters.max(self.purging.voters));
        (enough && self.purging.acknowledged == Some(round))
            .then(|| self.adopt(Mark { round, voters: members }))
    }

    /// Another's mark.
    pub fn hear_mark(&mut self, mark: Mark) -> Heard {
        if !self.can_follow(mark) {
            self.refused += 1;
            return Heard::Older;
        }
        let own = self.purging.mark.round;
        match mark.round.cmp(&own) {
            std::cmp::Ordering::Equal => Heard::Same,
            std::cmp::Ordering::Less => Heard::Older,
            std::cmp::Ordering::Greater if self.purging.acknowledged == Some(mark.round) => {
                Heard::Adopted(self.adopt(mark))
            }
            std::cmp::Ordering::Greater => Heard::Later,
        }
    }

    /// False if it is so far ahead of all that was seen that no honest one can be, as with stamps.
    pub fn can_follow(&self, mark: Mark) -> bool {
        mark.round.lamport <= self.lamport.saturating_add(super::AHEAD_MAX)
    }

    fn adopt(&mut self, mark: Mark) -> Vec<Bytes> {
        let later = match mark.round.lamport.checked_add(1) {
            Some(lamport) => self.tombstones.split_off(&(lamport, Bytes::new())),
            None => BTreeSet::new(),
        };
        let old = std::mem::replace(&mut self.tombstones, later);
        let gone: Vec<Bytes> = old.into_iter().map(|(_, key)| key).collect();
        gone.iter().for_each(|key| self.remove(key));
        self.lie_under(mark);
        gone
    }

    fn lie_under(&mut self, mark: Mark) {
        self.lamport = self.lamport.max(mark.round.lamport);
        self.purging.mark = mark;
        self.purging.acknowledged = None;
        self.purging.voters = mark.voters;
        self.purging.changed = true;
    }

    /// An empty copy, to be filled with a peer's.
    pub fn blank(&self) -> Cluster {
        Cluster { lamport: self.lamport, ..Cluster::default() }
    }

    /// Puts the copy of a peer under that mark in place of this one, whatever the mark here. What is later than the
    /// mark stays.
    pub fn replace(&mut self, me: NodeId, copy: Cluster, mark: Mark) -> Replaced {
        let mut replaced = Replaced::default();
        let old = std::mem::replace(self, copy);
        self.lamport = self.lamport.max(old.lamport);
        self.refused = old.refused;
        self.purging = old.purging.clone();
        for write in old.iter() {
            let there = self.write_of(write.key);
            if there == Some(write) {
                continue;
            }
            replaced.changed.insert(Bytes::copy_from_slice(write.key));
            let is_new = there.is_none_or(|there| write.beats(&there));
            let is_later = write.stamp.lamport > mark.round.lamport;
            if is_new && (is_later || there.is_some() && write.value.is_some()) {
                self.put(&write);
                replaced.changed.remove(write.key);
            } else if is_new && (there.is_some() || write.value.is_some()) {
                if write.stamp.writer == me && write.stamp.lamport > old.purging.confirmed {
                    let value = write.value.map(Bytes::copy_from_slice);
                    replaced.again.push((Bytes::copy_from_slice(write.key), value));
                } else {
                    replaced.dropped += 1;
                }
            }
        }
        let new = self.records.keys().filter(|key| !old.records.contains_key(*key));
        replaced.changed.extend(new.cloned());
        self.lie_under(mark);
        replaced
    }

    /// Another member's copy is equal to this one: what this node wrote is in it.
    pub fn confirm(&mut self) {
        self.purging.changed |= self.purging.wrote > self.purging.confirmed;
        self.purging.confirmed = self.lamport;
    }

    /// What is to be kept on disk under the empty key, if that changed: after everything that led to it.
    pub fn to_keep(&mut self) -> Option<Vec<u8>> {
        if !std::mem::take(&mut self.purging.changed) {
            return None;
        }
        let Purging { mark, confirmed, voters, .. } = self.purging;
        let mut value = Vec::new();
        encode(&mut value, &(mark, confirmed, voters));
        let stamp = Stamp { lamport: mark.round.lamport, writer: NodeId(0) };
        Some(Write { key: &[], stamp, value: Some(&value) }.to_octets())
    }
}

/// What a `MarkAsk` frame says: all who hold what has that hash hold all of the round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct AskWire {
    /// The round.
    pub round: Round,
    /// The hash of the copy now.
    pub hash: u64,
}

/// What a `MarkHeld` frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct HeldWire {
    /// The round that is acknowledged.
    pub round: Round,
    /// [`Cluster::voters`] there.
    pub voters: u32,
}

/// Reads the body of a `ClusterMark` frame.
pub fn read_mark(body: &[u8]) -> Result<Mark, Malformed> {
    decode_all(body)
}
