//! A newcomer on its way to know everything: every record that was there when it started, of nodes and of the cluster,
//! every node that lived then, and that it may answer.

use super::record::{Key, Ledger, Ordinal};
use super::seat::Seat;
use crate::base::time::Moment;
use crate::gossip::identity::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// A newcomer.
#[derive(Debug)]
pub struct Newcomer {
    /// Who.
    pub seat: Seat,
    /// When it started.
    pub at: Moment,
    /// When it had everything.
    pub complete: Option<Moment>,
    /// The records that it does not have yet, per owner.
    records: BTreeMap<u64, Vec<(Key, Ordinal)>>,
    /// The cluster's records that it was not told of yet.
    cluster: BTreeSet<Key>,
    /// The nodes that it does not hold for alive yet.
    members: BTreeSet<Seat>,
    synced: bool,
}

impl Newcomer {
    /// It starts while these live.
    pub fn begins(now: Moment, seat: Seat, living: Vec<(NodeId, Seat)>, ledger: &Ledger) -> Newcomer {
        let others = || living.iter().filter(|(_, of)| *of != seat);
        let records = others().map(|(id, of)| (id.0, ledger.records(*of).collect::<Vec<_>>()));
        Newcomer {
            seat,
            at: now,
            complete: None,
            records: records.filter(|(_, records)| !records.is_empty()).collect(),
            cluster: ledger.cluster().keys().copied().collect(),
            members: others().map(|(_, of)| *of).collect(),
            synced: false,
        }
    }

    /// True if it is the one at that seat, and something is missing.
    pub fn waits(&self, seat: Seat) -> bool {
        self.seat == seat && self.complete.is_none()
    }

    /// It was told of an owner's records; `covers` says whether it has at least those.
    pub fn learns(&mut self, owner: NodeId, covers: impl FnOnce(&[(Key, Ordinal)]) -> bool) {
        if self.records.get(&owner.0).is_some_and(|known| covers(known)) {
            self.records.remove(&owner.0);
        }
    }

    /// It was told of a record of the cluster.
    pub fn learns_of_cluster(&mut self, key: Key) {
        self.cluster.remove(&key);
    }

    /// It holds that node for alive, or nobody has to any more.
    pub fn knows(&mut self, member: Seat) {
        self.members.remove(&member);
    }

    /// It may answer.
    pub fn synced(&mut self) {
        self.synced = true;
    }

    /// Notes the moment if nothing is missing.
    pub fn look(&mut self, now: Moment) {
        let nothing = self.records.is_empty() && self.cluster.is_empty() && self.members.is_empty();
        if self.complete.is_none() && self.synced && nothing {
            self.complete = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newcomer_is_complete_with_the_last_of_records_members_cluster_and_leave_to_answer() {
        let mut ledger = Ledger::default();
        let (key, shared) = (Key::of(Seat(0), 0), Key(5));
        ledger.put(Seat(0), key);
        ledger.cluster_put(shared);
        let living = vec![(NodeId(100), Seat(0)), (NodeId(200), Seat(1))];
        let steps: [fn(&mut Newcomer); 5] = [
            |newcomer| newcomer.learns(NodeId(100), |_| true),
            |newcomer| newcomer.learns_of_cluster(Key(5)),
            |newcomer| newcomer.knows(Seat(0)),
            |newcomer| newcomer.knows(Seat(1)),
            Newcomer::synced,
        ];
        for last in 0..steps.len() {
            let mut newcomer = Newcomer::begins(Moment::START, Seat(2), living.clone(), &ledger);
            for (_, step) in steps.iter().enumerate().filter(|(number, _)| *number != last) {
                step(&mut newcomer);
                newcomer.look(Moment::from_micros(1));
            }
            assert_eq!(newcomer.complete, None, "without {last}");
            steps[last](&mut newcomer);
            newcomer.look(Moment::from_micros(2));
            assert_eq!(newcomer.complete, Some(Moment::from_micros(2)));
        }
    }
}
