//! Members that somebody found silent, and until when each may refute it.
//!
//! The more members say the same of their own, the shorter it lasts (Lifeguard, section IV-B). Any sign of life
//! begins the time anew here; only the suspect's own higher incarnation ends it everywhere.

use crate::base::time::Moment;
use crate::gossip::identity::NodeId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Members that found a suspect silent: the first, and as many as shorten the suspicion. More change nothing.
pub(super) const ACCUSERS_MAX: usize = 4;

/// Some members, none twice.
#[derive(Debug)]
pub(super) struct Accusers {
    ids: [NodeId; ACCUSERS_MAX],
    count: usize,
}

impl Default for Accusers {
    fn default() -> Accusers {
        Accusers { ids: [NodeId(0); ACCUSERS_MAX], count: 0 }
    }
}

impl Accusers {
    /// In the order in which they came.
    pub(super) fn as_slice(&self) -> &[NodeId] {
        self.ids.get(..self.count).unwrap_or_default()
    }

    /// True if it is not among them, and there is a place for it.
    pub(super) fn lacks(&self, id: NodeId) -> bool {
        self.count < ACCUSERS_MAX && !self.as_slice().contains(&id)
    }

    /// One more, if they lack it.
    pub(super) fn add(&mut self, id: NodeId) {
        if self.lacks(id)
            && let Some(place) = self.ids.get_mut(self.count)
        {
            *place = id;
            self.count += 1;
        }
    }
}

#[derive(Debug)]
pub(super) struct Suspicion {
    /// When it began here, or when the last sign of life came.
    pub(super) since: Moment,
    /// Who found it silent; the first began it.
    pub(super) by: Accusers,
    /// True if one of these is us.
    pub(super) own: bool,
    /// Added for those who only heard of it; drawn once.
    pub(super) bystander: Duration,
    deadline: Moment,
}

/// Invariant: `due` holds each suspect once, under its deadline.
#[derive(Debug, Default)]
pub(super) struct Suspicions {
    of: BTreeMap<NodeId, Suspicion>,
    due: BTreeSet<(Moment, NodeId)>,
}

impl Suspicions {
    pub(super) fn get(&self, id: NodeId) -> Option<&Suspicion> {
        self.of.get(&id)
    }

    pub(super) fn begin(&mut self, now: Moment, id: NodeId, bystander: Duration) {
        self.end(id);
        let by = Accusers::default();
        let suspicion = Suspicion { since: now, by, own: false, bystander, deadline: Moment::NEVER };
        self.of.insert(id, suspicion);
        self.due.insert((Moment::NEVER, id));
    }

    /// Changes a suspicion and asks how long it lasts now. One that should be over already is due now, not
    /// earlier: a timer in the past would look like one that came late.
    pub(super) fn change(
        &mut self,
        now: Moment,
        id: NodeId,
        change: impl FnOnce(&mut Suspicion),
        lasts: impl FnOnce(&Suspicion) -> Duration,
    ) {
        let Some(suspicion) = self.of.get_mut(&id) else { return };
        self.due.remove(&(suspicion.deadline, id));
        change(suspicion);
        suspicion.deadline = now.max(suspicion.since + lasts(suspicion));
        self.due.insert((suspicion.deadline, id));
    }

    /// True if there was one.
    pub(super) fn end(&mut self, id: NodeId) -> bool {
        match self.of.remove(&id) {
            Some(suspicion) => self.due.remove(&(suspicion.deadline, id)),
            None => false,
        }
    }

    /// Who has not refuted in time. It stays due until something is done about it.
    pub(super) fn due(&self, now: Moment) -> Option<NodeId> {
        self.due.first().filter(|(deadline, _)| *deadline <= now).map(|(_, id)| *id)
    }

    pub(super) fn next(&self) -> Moment {
        self.due.first().map_or(Moment::NEVER, |(deadline, _)| *deadline)
    }

    /// Looks at one again after so long.
    pub(super) fn postpone(&mut self, now: Moment, id: NodeId, wait: Duration) {
        let Some(suspicion) = self.of.get_mut(&id) else { return };
        self.due.remove(&(suspicion.deadline, id));
        suspicion.deadline = now + wait;
        self.due.insert((suspicion.deadline, id));
    }

    /// All of them last longer by the time in which nobody could have been heard.
    pub(super) fn shift(&mut self, lost: Duration) {
        self.due.clear();
        for (id, suspicion) in &mut self.of {
            suspicion.since += lost;
            suspicion.deadline += lost;
            self.due.insert((suspicion.deadline, *id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_suspicion_is_due_when_its_time_is_over_and_not_once_it_has_ended() {
        let mut suspicions = Suspicions::default();
        let (start, id) = (Moment::START, NodeId(1));
        suspicions.begin(start, id, SECOND);
        let accuse = |s: &mut Suspicion| s.by.add(NodeId(2));
        suspicions.change(start, id, accuse, |s| SECOND * s.by.as_slice().len() as u32 * 2);
        assert_eq!((suspicions.next(), suspicions.due(start + SECOND)), (start + SECOND * 2, None));
        assert_eq!(suspicions.due(start + SECOND * 2), Some(id));
        // Confirmed late, it is over at once.
        let later = start + SECOND * 5;
        suspicions.change(later, id, |_| {}, |_| SECOND);
        assert_eq!(suspicions.next(), later);
        suspicions.change(start, id, |_| {}, |_| SECOND * 2);
        suspicions.shift(SECOND * 20);
        assert_eq!(suspicions.due(start + SECOND * 21), None);
        suspicions.postpone(start, id, SECOND);
        assert_eq!(suspicions.due(start + SECOND), Some(id));
        assert!(suspicions.end(id));
        assert!(!suspicions.end(id));
        assert_eq!(suspicions.next(), Moment::NEVER);
    }

    #[test]
    fn accusers_count_once_and_not_beyond_their_bound() {
        let mut accusers = Accusers::default();
        assert!(accusers.lacks(NodeId(1)));
        [1, 1, 2, 3, 2, 4, 5].into_iter().for_each(|id| accusers.add(NodeId(id)));
        assert!(!accusers.lacks(NodeId(1)) && !accusers.lacks(NodeId(5)));
        assert_eq!(accusers.as_slice(), [1, 2, 3, 4].map(NodeId));
    }
}
