//! Where nodes differ: what the members answered, made into a document.
//!
//! A member answers only for the parts of the owners in which it differs from this node; in all others it has what
//! this node has.

use crate::control::Control;
use crate::control::document::{DiffDocument, OwnerDiffDocument, OwnerStateDocument};
use crate::control::request::{Answer, Refused, RefusedKind, Reply};
use crate::gossip::identity::NodeId;
use crate::gossip::machine::{Answered, OwnerState, States};
use crate::gossip::replication::owners::{Reach, bucket_of};
use crate::os::clock;
use std::collections::{BTreeMap, BTreeSet};

/// Owners told: where more differ, the first ones say enough.
const OWNERS_TOLD: usize = 256;
/// Nodes told of all owners together: some megabytes.
const NODES_TOLD: usize = 200_000;

/// A state as nodes are sorted by it: `None` is not to know the owner.
type Told = Option<(Reach, Option<u64>)>;

impl Control {
    /// Asks all members; the answer comes when they have answered, or have had time to.
    pub(super) fn diff(&mut self, answer: Answer) {
        // Who comes while one is under way is told what comes of it.
        if self.diffing.is_empty() && !self.cluster.gossip.ask_states(clock::moment(clock::now())) {
            let error = "a comparison is under way already";
            return answer.give(Err(Refused::new(RefusedKind::Conflict, error)));
        }
        self.diffing.push(answer);
        self.tell_diff();
    }

    /// Tells whoever asked, if all answers are there. Ten thousand nodes take longer to sort than the control thread
    /// has: the clerk does it.
    pub(super) fn tell_diff(&mut self) {
        if self.diffing.is_empty() {
            return;
        }
        let Some(states) = self.cluster.gossip.take_states(clock::moment(clock::now())) else { return };
        let answers = std::mem::take(&mut self.diffing);
        let membership = self.cluster.gossip.membership();
        let all = membership.tellings().chain(std::iter::once(membership.own()));
        let names = all.map(|told| (told.id(), told.info.name.to_string())).collect();
        let me = self.cluster.gossip.me().id;
        self.clerk.hand(answers, move || Reply::Diff(document(me, &states, &names)));
    }
}

fn document(me: NodeId, states: &States, names: &BTreeMap<NodeId, String>) -> DiffDocument {
    let name = |id: &NodeId| names.get(id).cloned().unwrap_or_else(|| id.to_string());
    let told = |state: &OwnerState| (state.reach(), state.content());
    let own: BTreeMap<NodeId, Told> =
        states.own.iter().map(|state| (state.owner(), Some(told(state)))).collect();
    // Where a member differs: by bucket, and there by owner.
    let mut differing: BTreeMap<usize, BTreeMap<NodeId, BTreeMap<NodeId, Told>>> = BTreeMap::new();
    for (member, answered) in &states.answered {
        for (bucket, here) in answered.buckets() {
            let here = here.iter().map(|state| (state.owner(), Some(told(state)))).collect();
            differing.entry(bucket).or_default().insert(*member, here);
        }
    }
    let nodes = 1 + states.answered.len();
    let owners_max = OWNERS_TOLD.min((NODES_TOLD / nodes).max(1));
    let (mut owners, mut more) = (Vec::new(), 0);
    for (bucket, members) in &differing {
        let here = own.keys().filter(|id| bucket_of(**id) == *bucket);
        let ids: BTreeSet<NodeId> = here.chain(members.values().flat_map(BTreeMap::keys)).copied().collect();
        for id in ids {
            let ours = own.get(&id).copied().flatten();
            let state_of = |node: &NodeId| match members.get(node) {
                Some(theirs) => theirs.get(&id).copied().flatten(),
                None => ours,
            };
            let is_known = |(node, answered): &(&NodeId, &Answered)| {
                answered.left_out() == 0 || members.contains_key(*node)
            };
            let others = states.answered.iter().filter(is_known).map(|(node, _)| *node);
            let sorted = sort(std::iter::once(me).chain(others), state_of);
            if sorted.len() < 2 {
                continue;
            }
            if owners.len() >= owners_max {
                more += 1;
                continue;
            }
            owners.push(OwnerDiffDocument {
                owner: names.get(&id).cloned(),
                owner_id: id.to_string(),
                states: sorted.iter().map(|(told, nodes)| row(*told, nodes.iter().map(name))).collect(),
            });
        }
    }
    let mut compared: Vec<String> = std::iter::once(&me).chain(states.answered.keys()).map(name).collect();
    compared.sort();
    let mut silent: Vec<String> = states.silent.iter().map(name).collect();
    silent.sort();
    let left_out: usize = states.answered.values().map(|answered| answered.left_out()).sum();
    DiffDocument { compared, silent, owners, more: more + left_out }
}

/// The nodes by what they have, the newest first.
fn sort(nodes: impl Iterator<Item = NodeId>, state_of: impl Fn(&NodeId) -> Told) -> Vec<(Told, Vec<NodeId>)> {
    let mut sorted: BTreeMap<Told, Vec<NodeId>> = BTreeMap::new();
    for node in nodes {
        sorted.entry(state_of(&node)).or_default().push(node);
    }
    // A copy that lacks pieces is not known to differ from others as new.
    let vague: Vec<Reach> = sorted
        .keys()
        .filter_map(|told| told.and_then(|(reach, content)| content.is_none().then_some(reach)))
        .collect();
    for reach in vague {
        let exact = sorted.keys().find(|told| matches!(told, Some((other, Some(_))) if *other == reach));
        if let Some(exact) = exact.copied() {
            let nodes = sorted.remove(&Some((reach, None))).unwrap_or_default();
            sorted.entry(exact).or_default().extend(nodes);
        }
    }
    sorted.into_iter().rev().collect()
}

fn row(told: Told, nodes: impl Iterator<Item = String>) -> OwnerStateDocument {
    let mut nodes: Vec<String> = nodes.collect();
    nodes.sort();
    OwnerStateDocument {
        nodes,
        generation: told.map(|(reach, _)| reach.generation.0),
        head: told.map(|(reach, _)| reach.head.0),
        hash: told.and_then(|(_, content)| content).map(|content| format!("{content:016x}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gossip::identity::{Generation, Version};

    fn told(head: u64, content: Option<u64>) -> Told {
        Some((Reach { generation: Generation(1), head: Version(head) }, content))
    }

    #[test]
    fn nodes_are_sorted_by_what_they_have_the_newest_first() {
        let all = [told(3, Some(7)), None, told(4, Some(8)), told(3, Some(7)), told(4, Some(9))];
        let sorted = sort((0..5).map(NodeId), |node| all[node.0 as usize]);
        let sorted: Vec<(Told, Vec<u64>)> =
            sorted.into_iter().map(|(told, nodes)| (told, nodes.iter().map(|id| id.0).collect())).collect();
        let expected = [
            (told(4, Some(9)), vec![4]),
            (told(4, Some(8)), vec![2]),
            (told(3, Some(7)), vec![0, 3]),
            (None, vec![1]),
        ];
        assert_eq!(sorted, expected);
    }

    #[test]
    fn a_copy_that_lacks_pieces_agrees_with_one_that_is_as_new() {
        let all = [told(3, None), told(3, Some(7)), told(3, None)];
        assert_eq!(sort((0..3).map(NodeId), |node| all[node.0 as usize]).len(), 1);
        assert_eq!(sort((0..1).map(NodeId), |node| all[node.0 as usize]).len(), 1);
    }
}
