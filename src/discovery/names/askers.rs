//! Who asks from an address, what it is called, and who those are that nobody knows.
//!
//! An address may be claimed by several: a task that was moved, networks of two swarms, VIPs, tasks to which two engines gave
//! the same. Who asks from there is for each node its own one before others; what it is called is the same on every node.
//! Addresses of local networks are claimed on their own node only.

use crate::catalog::delta::Delta;
use crate::catalog::lease::OwnerId;
use crate::discovery::names::Terms;
use crate::wire::name::Name;
use crate::zone::view::{Asker, number};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// Networks of an asker, by name: what each is called, and its number.
pub type Networks = Arc<[(Arc<str>, u32)]>;

/// One container's, one service's or one node's claim to an address. The least counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// A node's own: a container that has the address, as that of the server itself may, comes before.
    pub is_node: bool,
    /// It gets no new work: a successor may have the address already.
    pub is_withdrawn: bool,
    /// On another node than this one.
    pub is_elsewhere: bool,
    /// The network: name and id.
    pub network: (Arc<str>, Arc<str>),
    /// A network of this node's engine alone.
    pub is_local: bool,
    /// Who says so.
    pub owner: OwnerId,
    /// The container's or service's id, the node's name.
    pub id: Arc<str>,
    /// Its networks, by name: see [`Asker::networks`]. None for what is in none: a virtual address, a node.
    pub networks: Option<Networks>,
    /// Its stack or project.
    pub stack: Arc<str>,
    /// What it is called.
    pub name: Option<Arc<[u8]>>,
}

impl Claim {
    /// By which of several claims an address is called: the same on every node, but for networks of one engine alone.
    fn order_of_names(&self) -> impl Ord {
        (self.is_node, self.is_withdrawn, !self.is_local, &self.network, self.owner, &self.id)
    }

    /// The asker as the packet path knows it.
    fn asker(&self) -> Option<Asker> {
        let networks = self.networks.as_ref()?.iter().map(|(_, number)| *number).collect();
        let owner = crate::zone::view::owner_number(self.owner.0);
        Some(Asker { stack: number(self.stack.as_bytes()), owner, networks })
    }
}

/// All claims.
#[derive(Debug)]
pub(super) struct Claims {
    external: String,
    me: OwnerId,
    by_address: BTreeMap<IpAddr, BTreeSet<Claim>>,
    /// How many claims name a network: by name, number and whether it is of this engine alone.
    networks: BTreeMap<(Arc<str>, u32, bool), usize>,
    touched: BTreeSet<IpAddr>,
    /// Where this node itself is reached.
    home: BTreeSet<IpAddr>,
    /// What was told of unknown askers.
    outsiders: Option<Asker>,
}

impl Claims {
    pub(super) fn new(terms: &Terms) -> Claims {
        Claims {
            external: terms.external.clone(),
            me: terms.me,
            by_address: BTreeMap::new(),
            networks: BTreeMap::new(),
            touched: BTreeSet::new(),
            home: BTreeSet::new(),
            outsiders: None,
        }
    }

    pub(super) fn set_home(&mut self, home: BTreeSet<IpAddr>) {
        self.home = home;
    }

    /// The claim that counts.
    pub(super) fn get(&self, address: IpAddr) -> Option<&Claim> {
        self.by_address.get(&address)?.first()
    }

    /// What the networks that are claimed in are called, by number.
    pub(super) fn networks(&self) -> BTreeMap<u32, Arc<str>> {
        self.networks.keys().map(|(name, number, _)| (*number, name.clone())).collect()
    }

    /// A unit claims this instead of that.
    pub(super) fn replace(&mut self, before: Vec<(IpAddr, Claim)>, after: Vec<(IpAddr, Claim)>) {
        if before == after {
            return;
        }
        for (address, claim) in before {
            let network = network_of(&claim);
            if let Some(count) = self.networks.get_mut(&network) {
                *count -= 1;
                if *count == 0 {
                    self.networks.remove(&network);
                }
            }
            if let Some(claims) = self.by_address.get_mut(&address) {
                claims.remove(&claim);
                if claims.is_empty() {
                    self.by_address.remove(&address);
                }
            }
            self.touched.insert(address);
        }
        for (address, claim) in after {
            *self.networks.entry(network_of(&claim)).or_default() += 1;
            self.by_address.entry(address).or_default().insert(claim);
            self.touched.insert(address);
        }
    }

    /// What has changed.
    pub(super) fn changes(&mut self, deltas: &mut Vec<Delta>) {
        for address in std::mem::take(&mut self.touched) {
            let claims = self.by_address.get(&address);
            let named = claims.and_then(|claims| claims.iter().min_by_key(|claim| claim.order_of_names()));
            deltas.push(Delta::PutAddress {
                address,
                asker: claims.and_then(|claims| claims.first()?.asker()),
                name: named.and_then(|claim| Name::from_wire(claim.name.as_ref()?).ok()),
            });
        }
        let outsiders = self.outsiders();
        if self.outsiders.as_ref() != Some(&outsiders) {
            self.outsiders = Some(outsiders.clone());
            deltas.push(Delta::Outsiders { asker: outsiders });
        }
    }

    /// Those whom nobody knows: they are on this node, in no stack, and reach the external network, else what this
    /// instance reaches.
    pub(super) fn outsiders(&self) -> Asker {
        let networks = match self.external.as_str() {
            "" => self.own_networks(),
            external => {
                let named = self.networks.keys().filter(|(name, ..)| **name == *external);
                named.map(|(_, number, _)| *number).collect()
            }
        };
        let owner = crate::zone::view::owner_number(self.me.0);
        Asker { stack: number(b""), owner, networks }
    }

    fn own_networks(&self) -> Box<[u32]> {
        let own = self.home.iter().filter_map(|address| self.get(*address));
        let home = own.filter(|claim| claim.owner == self.me).find_map(|claim| claim.networks.as_ref());
        match home {
            Some(networks) => networks.iter().map(|(_, number)| *number).collect(),
            None => {
                let local = self.networks.keys().filter(|(.., is_local)| *is_local);
                local.map(|(_, number, _)| *number).collect()
            }
        }
    }
}

fn network_of(claim: &Claim) -> (Arc<str>, u32, bool) {
    let (name, id) = &claim.network;
    (name.clone(), number(id.as_bytes()), claim.is_local)
}
