//! Cluster-wide records: written here, taken from others, and purged; each change is told to the machine's owner.

use super::{Replication, Todo};
use crate::base::time::Moment;
use crate::gossip::codec::Malformed;
use crate::gossip::frame::{Kind, framed, write};
use crate::gossip::identity::NodeId;
use crate::gossip::output::Event;
use crate::gossip::replication::cluster::purge::{AskWire, Heard, HeldWire, Mark, Replaced, Round};
use crate::gossip::replication::cluster::{self, Cluster, Write, Written};
use crate::gossip::replication::pulls::PATIENCE;
use bytes::Bytes;
use std::time::Duration;

/// While writes come fast copies always differ: they are compared no oftener because of hints.
const COMPARE_CLUSTER_EVERY: Duration = Duration::from_millis(50);

/// What came of a write of a cluster-wide record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterWrite {
    /// It is the newest, and on its way to all.
    Written,
    /// It changes nothing.
    Same,
    /// The cluster holds as many records as it may: it was not written.
    Full,
}

impl Replication {
    /// Takes from the disk what [`Event::Cluster`] gave to be kept: it is told to the owner of the machine, and to
    /// nobody else.
    pub fn restore_cluster(&mut self, write: &Write<'_>) {
        if self.cluster.restore(self.me, write) {
            self.tell_cluster(write.key);
        }
    }

    /// Sets or removes (`None`) a cluster-wide record. Keys are not empty.
    pub fn write_cluster(&mut self, now: Moment, key: &[u8], value: Option<&[u8]>) -> ClusterWrite {
        let octets = match self.cluster.write(self.me, key, value) {
            Written::New(octets) => octets,
            Written::Same => return ClusterWrite::Same,
            Written::Full => return ClusterWrite::Full,
        };
        let mut frame = Vec::with_capacity(framed(octets.len()));
        write(&mut frame, Kind::Cluster, &octets);
        self.spread.push_own(now, frame);
        self.spread.tell_cluster(now);
        self.tell_cluster(key);
        ClusterWrite::Written
    }

    /// `pushed`: what is new is sent on; else only hinted.
    pub(super) fn take_cluster(
        &mut self,
        now: Moment,
        from: NodeId,
        body: &[u8],
        pushed: bool,
    ) -> Result<(), Malformed> {
        let mut new = Vec::new();
        for write in cluster::writes(body) {
            let write = write?;
            if self.cluster.take(&write) {
                self.counts.cluster_taken += 1;
                self.tell_cluster(write.key);
                new.extend_from_slice(&write.to_octets());
            }
        }
        if !new.is_empty() {
            if pushed {
                let mut frame = Vec::with_capacity(framed(new.len()));
                write(&mut frame, Kind::Cluster, &new);
                self.spread.push_on(now, frame, from);
            }
            self.spread.tell_cluster(now);
        }
        Ok(())
    }

    /// Somebody's copy has that hash. If it is another, a push is likely under way: it is waited for.
    pub(super) fn hear_cluster_hint(&mut self, now: Moment, from: NodeId, theirs: u64) {
        if theirs == self.cluster.hash() {
            self.confirm_cluster();
        } else if self.cluster_hint.is_none() {
            let at = (now + PATIENCE).max(self.compare_cluster_from);
            self.cluster_hint = Some((at, from, theirs));
        }
    }

    /// Until then hints cause no comparison.
    pub fn rest_cluster_hints(&mut self, until: Moment) {
        self.compare_cluster_from = self.compare_cluster_from.max(until);
    }

    /// Compares with who gave the hint, if its copy is still another.
    pub(super) fn heed_cluster_hint(&mut self, now: Moment) {
        let Some((_, from, theirs)) = self.cluster_hint.take_if(|(at, _, _)| *at <= now) else { return };
        if theirs != self.cluster.hash() {
            self.compare_cluster_from = self.compare_cluster_from.max(now + COMPARE_CLUSTER_EVERY);
            self.todo.push_back(Todo::CompareCluster(from));
        }
    }

    /// Somebody's copy is equal to the one here.
    pub fn confirm_cluster(&mut self) {
        self.cluster.confirm();
        self.keep_cluster();
    }

    /// So many members are known, this one included.
    pub fn note_members(&mut self, count: usize) {
        self.cluster.note_members(count);
        self.keep_cluster();
    }

    /// Names the cluster-wide records that are held here, for others to acknowledge.
    pub fn begin_round(&mut self) -> Round {
        self.cluster.begin_round()
    }

    /// The answer to who asks for an acknowledgement; `None`: the copy here is another.
    pub fn acknowledge(&mut self, ask: AskWire) -> Option<HeldWire> {
        let AskWire { round, hash } = ask;
        self.cluster.acknowledge(round, hash).then(|| HeldWire { round, voters: self.cluster.voters() })
    }

    /// So many members have acknowledged that round, which know of as many as `voters`: tombstones go. False if
    /// they may not.
    pub fn purge(&mut self, now: Moment, round: Round, members: usize, voters: u32) -> bool {
        let purged = self.cluster.purge(round, members, voters);
        if let Some(gone) = &purged {
            self.tell_purged(now, gone);
        }
        purged.is_some()
    }

    /// Another's mark. True if its copy is wanted whole.
    pub fn hear_mark(&mut self, now: Moment, mark: Mark) -> bool {
        match self.cluster.hear_mark(mark) {
            Heard::Same | Heard::Older => false,
            Heard::Adopted(gone) => {
                self.tell_purged(now, &gone);
                false
            }
            Heard::Later => true,
        }
    }

    /// Puts a peer's copy in place of the one here; what this node wrote that nobody has seen is written again.
    pub fn replace_cluster(&mut self, now: Moment, copy: Cluster, mark: Mark) {
        let Replaced { changed, again, dropped } = self.cluster.replace(self.me, copy, mark);
        changed.iter().for_each(|key| self.tell_cluster(key));
        self.counts.cluster_taken += changed.len() as u64;
        self.keep_cluster();
        for (key, value) in &again {
            self.write_cluster(now, key, value.as_deref());
        }
        self.spread.tell_cluster(now);
        self.todo.push_back(Todo::Event(Event::ClusterReplaced { again: again.len(), dropped }));
    }

    fn tell_purged(&mut self, now: Moment, gone: &[Bytes]) {
        gone.iter().for_each(|key| self.tell_cluster(key));
        self.keep_cluster();
        self.spread.tell_cluster(now);
    }

    fn keep_cluster(&mut self) {
        if let Some(stored) = self.cluster.to_keep() {
            let (key, stored) = (Bytes::new(), Some(stored.into()));
            self.todo.push_back(Todo::Event(Event::Cluster { key, value: None, stored }));
        }
    }

    fn tell_cluster(&mut self, key: &[u8]) {
        let write = self.cluster.write_of(key);
        self.todo.push_back(Todo::Event(Event::Cluster {
            key: Bytes::copy_from_slice(key),
            value: write.and_then(|write| write.value).map(Bytes::copy_from_slice),
            stored: write.map(|write| write.to_octets().into()),
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gossip::identity::Generation;
    use crate::gossip::replication::leases::FreezeRule;
    use crate::gossip::replication::sharing::Sharing;

    fn at(ms: u64) -> Moment {
        Moment::from_micros(1_000_000_000 + ms * 1_000)
    }

    fn compared(replication: &mut Replication) -> usize {
        let todo = std::iter::from_fn(|| replication.poll());
        todo.filter(|todo| matches!(todo, Todo::CompareCluster(_))).count()
    }

    #[test]
    fn a_hint_that_a_push_overtakes_compares_nothing_and_one_that_stays_true_does() {
        let rule = FreezeRule { share: 0.5, max: Duration::from_secs(1) };
        let (me, other) = (NodeId(1), NodeId(2));
        let mut there = Cluster::default();
        let Written::New(first) = there.write(other, b"a", Some(b"1")) else { panic!("not written") };
        let mut replication = Replication::new(me, Generation(1), 1_200, rule, Sharing::default(), at(0));
        for (ms, pushed) in [(0, true), (100, false)] {
            let hint = there.hash().to_le_bytes();
            assert_eq!(replication.handle(at(ms), other, Kind::ClusterHint, &hint), Ok(true));
            assert!(replication.next_wake() <= at(ms + 10));
            if pushed {
                assert_eq!(replication.handle(at(ms + 2), other, Kind::Cluster, &first), Ok(true));
            }
            replication.handle_timeout(at(ms + 10));
            assert_eq!(compared(&mut replication), usize::from(!pushed));
            let _ = there.write(other, b"b", Some(b"2"));
        }
    }
}
