//! What is told of a node, and which of two tellings holds.
//!
//! Tellings of one node have a total order, and a table keeps the greatest that it has heard. So what a node knows
//! depends on what it heard, not on the order in which it heard it, and two nodes that heard the same know the
//! same: a join semilattice. Suspicion is no part of it. It is a matter between a few nodes for a few seconds,
//! and ends in a telling: the suspect's own, of a higher incarnation, or that it is down.

use crate::base::time::Moment;
use crate::gossip::codec::{self, Malformed};
use crate::gossip::hash;
use crate::gossip::identity::{Incarnation, NodeId};
use crate::gossip::membership::settings::NAME_OCTETS_MAX;
use crate::gossip::output::{Health, NodeInfo};
use bincode::{BorrowDecode, Decode, Encode};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

/// What became of a node, in the order in which one replaces the other within one incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Class {
    /// It says that it lives.
    Alive,
    /// It says that it stops and comes back. Who does not come back is down in the end.
    Restarting,
    /// It did not refute a suspicion.
    Down,
    /// It said that it leaves, or an operator did.
    Left,
}

/// One telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Of whom, and where it is.
    pub info: Arc<NodeInfo>,
    /// How new. Only the node itself raises it.
    pub incarnation: Incarnation,
    /// What became of it.
    pub class: Class,
}

impl Told {
    /// Of whom.
    pub fn id(&self) -> NodeId {
        self.info.id
    }

    /// True if this holds and the other does not. Of two tellings of one incarnation and class, which only a
    /// cloned disk makes, one is chosen by what stands in it: all choose the same.
    pub fn beats(&self, other: &Told) -> bool {
        self.order(other) == Ordering::Greater
    }

    fn order(&self, other: &Told) -> Ordering {
        let rank = |told: &Told| (told.incarnation, told.class, told.info.boot, told.info.address);
        rank(self).cmp(&rank(other)).then_with(|| self.info.name.cmp(&other.info.name))
    }

    /// How the node is, as far as this tells.
    pub fn health(&self) -> Health {
        match self.class {
            Class::Alive => Health::Alive,
            Class::Restarting => Health::Restarting,
            Class::Down => Health::Down,
            Class::Left => Health::Left,
        }
    }

    /// This telling in a digest: tables that hold the same have the same exclusive-or of all. Nodes compare it,
    /// so it must not change between versions. Not a defence: who can choose tellings has the cluster's key.
    pub fn digest(&self) -> u64 {
        let incarnation =
            u64::from(self.incarnation.generation.0) << 32 | u64::from(self.incarnation.refutation);
        let words = [self.info.id.0, incarnation, self.class as u64, self.info.boot];
        hash::words(words)
    }

    /// Appends it, with how many seconds ago it became true, which matters of who is lost only.
    pub(super) fn encode(&self, age_s: u32, octets: &mut Vec<u8>) {
        let address = match self.info.address.ip() {
            IpAddr::V4(address) => WireAddress::V4(address.octets()),
            IpAddr::V6(address) => WireAddress::V6(address.octets()),
        };
        let wire = Wire {
            id: self.info.id,
            incarnation: self.incarnation,
            class: self.class,
            age_s,
            boot: self.info.boot,
            address,
            port: self.info.address.port(),
            name: &self.info.name,
        };
        codec::encode(octets, &wire);
    }

    /// Reads one from the start of `octets`; it, its age in seconds, and what stands behind it.
    pub(super) fn decode(octets: &[u8]) -> Result<(Told, u32, &[u8]), Malformed> {
        let (wire, rest) = codec::decode::<Wire<'_>>(octets)?;
        if !is_name(wire.name) {
            return Err(Malformed);
        }
        let ip = match wire.address {
            WireAddress::V4(address) => IpAddr::V4(Ipv4Addr::from(address)),
            WireAddress::V6(address) => IpAddr::V6(Ipv6Addr::from(address)),
        };
        let address = SocketAddr::new(ip, wire.port);
        let info = NodeInfo { id: wire.id, boot: wire.boot, name: wire.name.into(), address };
        let told = Told { info: Arc::new(info), incarnation: wire.incarnation, class: wire.class };
        Ok((told, wire.age_s, rest))
    }
}

/// True if it can stand as one label of a host's name. Nothing else gets into names, logs and terminals.
fn is_name(name: &str) -> bool {
    (1..=NAME_OCTETS_MAX).contains(&name.len())
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
}

#[derive(Encode, BorrowDecode)]
struct Wire<'w> {
    id: NodeId,
    incarnation: Incarnation,
    class: Class,
    age_s: u32,
    boot: u64,
    address: WireAddress,
    port: u16,
    name: &'w str,
}

#[derive(Encode, Decode)]
enum WireAddress {
    V4([u8; 4]),
    V6([u8; 16]),
}

/// A member, as this node sees it.
#[derive(Debug, Clone)]
pub struct Member {
    /// What was told of it.
    pub told: Arc<Told>,
    /// How it is; unlike its class this knows of a suspicion.
    pub health: Health,
    /// Since when it is lost, restarting or has left, as far as is known here; `None` while it lives.
    pub since: Option<Moment>,
}

/// Where equal tellings become one. Many machines in one process (a simulation) share theirs; a machine alone in
/// its process has nothing to share.
#[derive(Debug, Clone, Default)]
pub struct Pool(Option<Arc<Mutex<Tellings>>>);

/// The lately used tellings of each node: few, because one replaces the other.
type Tellings = BTreeMap<NodeId, Vec<Arc<Told>>>;

/// Tellings of one node that are kept for sharing. More are in use only while news travels.
const POOLED_MAX: usize = 8;

impl Pool {
    /// A pool whose clones share.
    pub fn shared() -> Pool {
        Pool(Some(Arc::default()))
    }

    /// This telling, the same octets in memory for all who ask.
    pub(super) fn share(&self, told: Told) -> Arc<Told> {
        let Some(tellings) = &self.0 else { return Arc::new(told) };
        // Nothing in here panics half-way.
        let mut tellings = tellings.lock().unwrap_or_else(PoisonError::into_inner);
        let known = tellings.entry(told.id()).or_default();
        if let Some(same) = known.iter().find(|known| ***known == told) {
            return Arc::clone(same);
        }
        if known.len() == POOLED_MAX {
            known.remove(0);
        }
        let told = Arc::new(told);
        known.push(Arc::clone(&told));
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gossip::identity::Generation;

    fn told(id: u64, refutation: u32, class: Class) -> Told {
        let address = SocketAddr::from(([10, 0, 0, 1], 7953));
        let info = Arc::new(NodeInfo { id: NodeId(id), boot: 7, name: "a".into(), address });
        Told { info, incarnation: Incarnation { generation: Generation(1), refutation }, class }
    }

    #[test]
    fn a_higher_incarnation_holds_against_any_class_and_leaving_against_all_of_its_own() {
        assert!(told(1, 1, Class::Alive).beats(&told(1, 0, Class::Left)));
        assert!(told(1, 1, Class::Left).beats(&told(1, 1, Class::Down)));
        assert!(told(1, 1, Class::Down).beats(&told(1, 1, Class::Restarting)));
        assert!(!told(1, 1, Class::Alive).beats(&told(1, 1, Class::Alive)));
    }

    #[test]
    fn what_is_told_survives_the_wire() {
        let mut told = told(u64::MAX, 3, Class::Down);
        for address in ["192.0.2.1:7953", "[2001:db8::1]:1"] {
            let info = NodeInfo { address: address.parse().unwrap(), ..(*told.info).clone() };
            told.info = Arc::new(info);
            let mut octets = Vec::new();
            told.encode(77, &mut octets);
            octets.push(5);
            assert_eq!(Told::decode(&octets), Ok((told.clone(), 77, &[5][..])));
        }
    }

    #[test]
    fn a_name_that_is_no_label_is_malformed() {
        for (name, fits) in [
            ("Node_1-a", true),
            ("", false),
            ("a.b", false),
            ("a\n", false),
            ("\x1b[31m", false),
            ("ü", false),
        ] {
            let mut told = told(1, 1, Class::Alive);
            told.info = Arc::new(NodeInfo { name: name.into(), ..(*told.info).clone() });
            let mut octets = Vec::new();
            told.encode(0, &mut octets);
            assert_eq!(Told::decode(&octets).is_ok(), fits, "{name:?}");
        }
    }

    #[test]
    fn equal_tellings_of_a_pool_are_one() {
        let pool = Pool::shared();
        let (a, b) = (pool.share(told(1, 1, Class::Alive)), pool.clone().share(told(1, 1, Class::Alive)));
        assert!(Arc::ptr_eq(&a, &b));
        assert!(!Arc::ptr_eq(&a, &pool.share(told(1, 2, Class::Alive))));
    }

    #[test]
    fn a_digest_tells_incarnations_classes_and_boots_apart() {
        let one = told(1, 1, Class::Alive);
        assert_eq!(one.digest(), told(1, 1, Class::Alive).digest());
        assert_ne!(one.digest(), told(1, 2, Class::Alive).digest());
        assert_ne!(one.digest(), told(1, 1, Class::Down).digest());
        assert_ne!(one.digest(), told(2, 1, Class::Alive).digest());
    }
}
