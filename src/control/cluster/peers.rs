//! Where members are: what was found behind the names to join, and, across restarts, who was there in an earlier life.

use crate::base::time::Moment;
use crate::gossip::hash;
use crate::gossip::machine::UNSYNCED_FOR;
use crate::gossip::membership::{Class, Membership};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How often it is seen whether others are to be kept.
const KEEP_EVERY: Duration = Duration::from_secs(60);
/// Addresses kept: one that still lives is enough.
const KEPT_MAX: usize = 256;
/// Remembered addresses asked at once, beside those of `gossip.join`: membership asks 256 in all.
const ASKED_MAX: usize = 128;

/// Who found out where members are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::control) enum By {
    /// The system's resolver.
    Resolver,
    /// A container engine that manages the swarm whose service this node is in.
    Engine,
}

/// What one of them found behind the names to join.
#[derive(Default)]
struct Found {
    addresses: Vec<SocketAddr>,
    /// No name is missing.
    is_whole: bool,
}

/// What the disk knows of them, and whom to ask.
pub(super) struct Peers {
    by_resolver: Found,
    by_engine: Found,
    /// Since when the engine has said that nobody else is to come.
    alone_since: Option<Moment>,
    /// As they are on disk, rising.
    kept: Vec<SocketAddr>,
    /// Of an earlier life. Empty as soon as somebody was met.
    remembered: Vec<SocketAddr>,
    /// Decides which are kept: another lot at each node, the same as long as it runs.
    lot: u64,
    keep_at: Moment,
}

impl Peers {
    pub(super) fn new(now: Moment, mut remembered: Vec<SocketAddr>, lot: u64) -> Peers {
        let mut kept = remembered.clone();
        kept.sort_unstable();
        remembered.truncate(ASKED_MAX);
        Peers {
            by_resolver: Found::default(),
            by_engine: Found::default(),
            alone_since: None,
            kept,
            remembered,
            lot,
            keep_at: now + KEEP_EVERY,
        }
    }

    /// When [`Peers::draw`] is due.
    pub(super) fn next(&self) -> Moment {
        self.keep_at
    }

    /// Takes what was found, in place of what the same found before.
    pub(super) fn found(&mut self, by: By, addresses: &[SocketAddr], is_whole: bool) {
        let found = match by {
            By::Resolver => &mut self.by_resolver,
            By::Engine => &mut self.by_engine,
        };
        *found = Found { addresses: addresses.to_vec(), is_whole };
    }

    /// Whom to ask, and whether somebody found all names.
    pub(super) fn wanted(&mut self, membership: &Membership) -> (Vec<SocketAddr>, bool) {
        let is_whole = self.by_resolver.is_whole || self.by_engine.is_whole;
        let mut all = [&self.by_resolver.addresses[..], &self.by_engine.addresses].concat();
        all.extend_from_slice(self.remembered(membership));
        (all, is_whole)
    }

    /// Notes whether the engine says that nobody else is to come. True if it has said so for as long as members that start
    /// together wait for one that is synced, and nothing that was found or is remembered leads to anybody else.
    pub(super) fn are_nobody_else(&mut self, now: Moment, says_so: bool, own: IpAddr) -> bool {
        if !says_so {
            self.alone_since = None;
            return false;
        }
        let found = self.by_resolver.addresses.iter().chain(&self.by_engine.addresses);
        let mut all = found.chain(&self.remembered);
        *self.alone_since.get_or_insert(now) + UNSYNCED_FOR <= now && all.all(|address| address.ip() == own)
    }

    /// Whom to ask beside those that were found: who was there in an earlier life, until anybody is met.
    pub(super) fn remembered(&mut self, membership: &Membership) -> &[SocketAddr] {
        if membership.alive() > 0 {
            self.remembered.clear();
        }
        &self.remembered
    }

    /// What is to be written, if that is not on disk already: members by lot that live or will be back. The lost find
    /// nobody for us. A list is never replaced by an empty one.
    pub(super) fn draw(&mut self, now: Moment, membership: &Membership) -> Option<Vec<SocketAddr>> {
        self.keep_at = now + KEEP_EVERY;
        let wanted =
            membership.tellings().filter(|told| matches!(told.class, Class::Alive | Class::Restarting));
        let drawn = wanted.map(|told| (hash::words([self.lot, told.id().0]), told.info.address));
        let new = choose(drawn.collect());
        if new.is_empty() || new == self.kept {
            return None;
        }
        self.kept.clone_from(&new);
        Some(new)
    }
}

/// The lowest lots' addresses, rising.
fn choose(mut drawn: Vec<(u64, SocketAddr)>) -> Vec<SocketAddr> {
    if drawn.len() > KEPT_MAX {
        drawn.select_nth_unstable(KEPT_MAX);
        drawn.truncate(KEPT_MAX);
    }
    let mut addresses: Vec<SocketAddr> = drawn.into_iter().map(|(_, address)| address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gossip::identity::{Generation, Incarnation, NodeId};
    use crate::gossip::membership::{self, Told};
    use crate::gossip::output::NodeInfo;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    const NOW: Moment = Moment::from_micros(1_000_000_000);

    fn told(id: u64, class: Class) -> Arc<Told> {
        let info = NodeInfo { id: NodeId(id), boot: id, name: format!("n{id}").into(), address: address(id) };
        Arc::new(Told { info: Arc::new(info), incarnation: Incarnation::first(Generation(1)), class })
    }

    fn address(id: u64) -> SocketAddr {
        SocketAddr::from(([10, 0, (id >> 8) as u8, id as u8], 7953))
    }

    fn membership(members: impl IntoIterator<Item = Arc<Told>>) -> Membership {
        let me = Arc::clone(&told(0, Class::Alive).info);
        let (first, rng) = (Incarnation::first(Generation(1)), fastrand::Rng::with_seed(1));
        let mut membership = Membership::new(me, first, &membership::Settings::default(), rng, NOW);
        membership.restore(NOW, members);
        membership
    }

    #[test]
    fn living_members_are_kept_by_lot_and_the_same_list_once() {
        let class = |id| if id <= 500 { Class::Down } else { Class::Alive };
        let membership = membership((1..=1_500).map(|id| told(id, class(id))));
        let keep = |lot| {
            let mut peers = Peers::new(NOW, Vec::new(), lot);
            let kept = peers.draw(NOW, &membership).unwrap();
            assert_eq!(peers.draw(NOW, &membership), None);
            kept.into_iter().collect::<BTreeSet<_>>()
        };
        let (one, other) = (keep(1), keep(2));
        assert_eq!((one.len(), other.len()), (KEPT_MAX, KEPT_MAX));
        assert!(one.iter().all(|kept| *kept > address(500)));
        // By two lots of 256 out of 1,000 some 66 are the same.
        assert!(one.intersection(&other).count() < 128);
    }

    #[test]
    fn who_was_there_is_asked_until_somebody_is_met_and_never_forgotten_for_nobody() {
        let mut peers = Peers::new(NOW, vec![address(2), address(1)], 1);
        assert_eq!(peers.remembered(&membership([])), [address(2), address(1)]);
        assert_eq!(peers.draw(NOW, &membership([told(1, Class::Down)])), None);
        let met = membership([told(1, Class::Alive), told(2, Class::Restarting)]);
        // Those are on disk.
        assert_eq!(peers.draw(NOW, &met), None);
        assert!(peers.remembered(&met).is_empty());
        assert!(peers.remembered(&membership([])).is_empty());
    }

    #[test]
    fn what_the_engine_and_the_resolver_found_is_joined_together() {
        let mut peers = Peers::new(NOW, vec![address(4)], 1);
        let nobody = membership([]);
        peers.found(By::Engine, &[address(1), address(2)], true);
        // Names that the resolver does not know yet take nothing away.
        peers.found(By::Resolver, &[], false);
        assert_eq!(peers.wanted(&nobody), (vec![address(1), address(2), address(4)], true));
        peers.found(By::Resolver, &[address(3)], true);
        peers.found(By::Engine, &[], false);
        assert_eq!(peers.wanted(&nobody), (vec![address(3), address(4)], true));
        peers.found(By::Resolver, &[], false);
        assert_eq!(peers.wanted(&nobody), (vec![address(4)], false));
    }

    #[test]
    fn there_is_nobody_else_when_the_engine_goes_on_to_say_so_and_nothing_speaks_against_it() {
        let own = address(1);
        let ms = Duration::from_millis(1);
        let (soon, later) = (NOW + (UNSYNCED_FOR - ms), NOW + UNSYNCED_FOR);
        let alone = |remembered| {
            let mut peers = Peers::new(NOW, remembered, 1);
            peers.found(By::Engine, &[own], true);
            assert!(!peers.are_nobody_else(NOW, true, own.ip()));
            peers
        };
        let mut peers = alone(Vec::new());
        assert!(!peers.are_nobody_else(soon, true, own.ip()));
        assert!(peers.are_nobody_else(later, true, own.ip()));
        // One that was planned meanwhile.
        assert!(!peers.are_nobody_else(later, false, own.ip()));
        assert!(!peers.are_nobody_else(later + ms, true, own.ip()));
        assert!(peers.are_nobody_else(later + ms + UNSYNCED_FOR, true, own.ip()));
        peers.found(By::Resolver, &[own, address(2)], true);
        assert!(!peers.are_nobody_else(later + ms + UNSYNCED_FOR, true, own.ip()));
        assert!(!alone(vec![address(2)]).are_nobody_else(later, true, own.ip()));
    }
}
