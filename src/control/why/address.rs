//! What the cluster knows of an address whose name is asked for.

use super::Tale;
use crate::catalog::snapshot::{ZoneEntry, ZoneNumber};
use crate::gossip::identity::NodeId;
use crate::wire::key::NameKey;
use crate::wire::name::Name;
use crate::wire::reverse::{Reverse, read};

impl Tale<'_> {
    /// Whether the name is that of an address, and whose the address is. True if the cluster knows it: then nobody else is
    /// asked.
    pub(super) fn of_address(&mut self, name: &Name) -> bool {
        let (Some(known), Some(about)) = (self.snapshot.reverse(), read(name.to_lowercase().as_wire()))
        else {
            return false;
        };
        let mut key = Box::<NameKey>::default();
        key.read(name.as_wire());
        key.hash(self.snapshot.seed());
        let entry = self.snapshot.find(&key, ZoneNumber::default());
        if !entry.and_then(|number| self.snapshot.entry(number)).is_some_and(ZoneEntry::is_covered) {
            return false;
        }
        let Reverse::Address(address) = about else {
            self.step("address", "names of addresses lie below it: it is not denied");
            return false;
        };
        let Some(name) = known.name_of(address) else {
            let found = match known.is_synced() {
                true => format!("{address} is not known to the cluster"),
                false => format!("{address} is not known here yet: instead of absence SERVFAIL"),
            };
            self.step("address", found);
            return false;
        };
        let claim = self.control.cluster.derived().asker(address);
        let whose = claim.map_or(String::new(), |claim| {
            let node =
                self.control.name_of(claim.owner.0).unwrap_or_else(|| NodeId(claim.owner.0).to_string());
            match claim.is_node {
                true => format!(", an address of node {node}"),
                false => format!(", which {} on node {node} has in {}", claim.id, claim.network.0),
            }
        });
        self.step("address", format!("{address} is {name}{whose}; no zone and nobody else is asked"));
        true
    }
}
