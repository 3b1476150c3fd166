//! Asking many members the same, some at a time, and those that have not answered again.

use crate::gossip::identity::NodeId;
use std::collections::BTreeSet;
use std::time::Duration;

/// Members asked at once: answers come spread over time.
const ASKED_AT_ONCE: usize = 64;
/// Between two such turns.
const ASK_EVERY: Duration = Duration::from_millis(5);

/// Whose turn it is, of those that have not answered.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// The last one asked; none: all were.
    cursor: Option<NodeId>,
}

impl Turns {
    /// Who is asked now, and how long to wait then: `again` once all that are `missing` were asked.
    pub(super) fn next(&mut self, missing: &BTreeSet<NodeId>, again: Duration) -> (Vec<NodeId>, Duration) {
        let start = self.cursor.map_or(NodeId(0), |id| NodeId(id.0.saturating_add(1)));
        let asked: Vec<NodeId> = missing.range(start..).take(ASKED_AT_ONCE).copied().collect();
        self.cursor = asked.last().copied().filter(|_| asked.len() == ASKED_AT_ONCE);
        (asked, if self.cursor.is_some() { ASK_EVERY } else { again })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGAIN: Duration = Duration::from_millis(200);

    #[test]
    fn everybody_has_a_turn_and_who_does_not_answer_another_one() {
        let mut missing: BTreeSet<NodeId> = (0..150).map(NodeId).collect();
        let mut turns = Turns::default();
        let mut sizes = Vec::new();
        for _ in 0..3 {
            let (asked, wait) = turns.next(&missing, AGAIN);
            sizes.push((asked.len(), wait));
            asked.iter().filter(|id| id.0 != 7).for_each(|id| _ = missing.remove(id));
        }
        assert_eq!(sizes, [(64, ASK_EVERY), (64, ASK_EVERY), (22, AGAIN)]);
        assert_eq!(turns.next(&missing, AGAIN), (vec![NodeId(7)], AGAIN));
    }
}
