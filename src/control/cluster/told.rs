//! What is told of the cluster to users: its members, and what was counted of its traffic.

use super::{Cluster, health_word};
use crate::control::document::ClusterDocument;
use crate::control::status::GossipNumbers;
use std::collections::BTreeMap;

impl Cluster {
    /// For the status.
    pub fn document(&self) -> ClusterDocument {
        let mut members = BTreeMap::new();
        *members.entry("alive".to_owned()).or_default() += 1;
        for member in self.gossip.membership().members() {
            *members.entry(health_word(member.health).to_owned()).or_default() += 1;
        }
        ClusterDocument {
            name: self.name.clone(),
            address: self.transport.is_open().then(|| self.gossip.me().address.to_string()),
            synced: self.gossip.is_synced(),
            alone: self.alone && self.gossip.membership().alive() == 0,
            expiry_frozen: self.gossip.replication().leases().is_frozen(),
            plaintext: self.gossip.secrecy().ring().is_empty(),
            members,
        }
    }

    /// For the metrics.
    pub fn numbers(&self) -> GossipNumbers {
        let (gossip, traffic) = (&self.gossip, self.gossip.traffic());
        let membership = gossip.membership().counts();
        let refused = gossip.secrecy().refusals().iter().map(|(why, count)| (why.reason(), count));
        let more = [
            ("strange", traffic.strange),
            ("poison", self.names.poison()),
            ("overflow", self.transport.overflowed()),
            ("members_full", membership.refused),
            ("oversize", self.transport.oversize()),
        ];
        GossipNumbers {
            sent: traffic.sent,
            received: traffic.received,
            streamed: traffic.streamed,
            queued: gossip.queued_octets(),
            mismatches: gossip.replication().counts().mismatches,
            convergence: gossip.convergence(),
            events: vec![
                ("silent", membership.silent),
                ("declared_down", membership.declared_down),
                ("refuted", membership.refuted),
                ("pause", membership.pauses),
            ],
            dropped: refused.chain(more).map(|(why, count)| (format!("gossip_{why}"), count)).collect(),
        }
    }
}
