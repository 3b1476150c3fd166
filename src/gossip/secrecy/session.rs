//! Who was met: one session for each life of a node that proved to be alive. Bounded; who is forgotten is
//! challenged again, which costs a round trip and loses nothing.

use super::window::Window;
use crate::base::time::Moment;
use crate::gossip::identity::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// Sessions at once: the 10,000 nodes that a cluster is built for, two lives of each, and room. About 6 MiB.
pub const SESSIONS_MAX: usize = 32_768;
/// Sessions of one node: two processes may share an identity (a cloned disk) until the cluster has settled
/// which one keeps it. Before a third life the one goes that was not heard for longest.
pub const SESSIONS_PER_NODE_MAX: usize = 2;
/// Of a full table this part goes at once, so that looking for the idlest costs little for each newcomer.
const EVICTED: usize = SESSIONS_MAX / 16;

/// One life of a node.
#[derive(Debug)]
pub(super) struct Session {
    /// Whose.
    pub(super) id: NodeId,
    /// Which of its numbers were taken.
    pub(super) window: Window,
    /// When it was last heard.
    pub(super) heard: Moment,
}

/// All sessions, by boot nonce. `lives` holds (id, boot) of exactly these.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_boot: BTreeMap<u64, Session>,
    lives: BTreeSet<(NodeId, u64)>,
}

impl Sessions {
    pub(super) fn len(&self) -> usize {
        self.by_boot.len()
    }

    pub(super) fn get(&self, boot: u64) -> Option<&Session> {
        self.by_boot.get(&boot)
    }

    pub(super) fn get_mut(&mut self, boot: u64) -> Option<&mut Session> {
        self.by_boot.get_mut(&boot)
    }

    /// Adds a session; one of the same boot nonce is replaced.
    pub(super) fn insert(&mut self, boot: u64, session: Session) {
        self.remove(boot);
        let lives = self.boots(session.id);
        if lives.len() >= SESSIONS_PER_NODE_MAX {
            let heard = |boot: &u64| self.by_boot.get(boot).map(|session| session.heard);
            lives.iter().copied().min_by_key(heard).into_iter().for_each(|idlest| self.remove(idlest));
        }
        if self.len() >= SESSIONS_MAX {
            self.evict();
        }
        self.lives.insert((session.id, boot));
        self.by_boot.insert(boot, session);
    }

    /// Forgets a node.
    pub(super) fn forget(&mut self, id: NodeId) {
        self.boots(id).into_iter().for_each(|boot| self.remove(boot));
    }

    fn boots(&self, id: NodeId) -> Vec<u64> {
        self.lives.range((id, 0)..=(id, u64::MAX)).map(|(_, boot)| *boot).collect()
    }

    fn remove(&mut self, boot: u64) {
        if let Some(session) = self.by_boot.remove(&boot) {
            self.lives.remove(&(session.id, boot));
        }
    }

    fn evict(&mut self) {
        let mut idle: Vec<_> = self.by_boot.iter().map(|(boot, session)| (session.heard, *boot)).collect();
        if idle.len() > EVICTED {
            idle.select_nth_unstable(EVICTED);
        }
        idle.into_iter().take(EVICTED).for_each(|(_, boot)| self.remove(boot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: u64, heard: u64) -> Session {
        Session { id: NodeId(id), window: Window::above(0), heard: Moment::from_micros(heard) }
    }

    #[test]
    fn a_node_has_two_lives_and_a_third_replaces_the_one_not_heard_for_longest() {
        let mut sessions = Sessions::default();
        sessions.insert(10, session(1, 5));
        sessions.insert(11, session(1, 4));
        sessions.insert(20, session(2, 1));
        sessions.insert(12, session(1, 6));
        assert_eq!([10, 11, 12, 20].map(|boot| sessions.get(boot).is_some()), [true, false, true, true]);
        sessions.forget(NodeId(1));
        assert_eq!((sessions.len(), sessions.lives.len()), (1, 1));
    }

    #[test]
    fn a_full_table_lets_the_idlest_go() {
        let mut sessions = Sessions::default();
        for boot in 0..SESSIONS_MAX as u64 {
            sessions.insert(boot, session(boot, SESSIONS_MAX as u64 - boot));
        }
        assert_eq!(sessions.len(), SESSIONS_MAX);
        sessions.insert(u64::MAX, session(u64::MAX, u64::MAX));
        assert_eq!(sessions.len(), SESSIONS_MAX - EVICTED + 1);
        assert_eq!(sessions.lives.len(), sessions.len());
        assert!(sessions.get(0).is_some() && sessions.get(u64::MAX).is_some());
        assert!(sessions.get(SESSIONS_MAX as u64 - 1).is_none());
    }
}
