//! What is told of the cluster to users: its members, and what was counted of its traffic.

use super::Cluster;
use crate::base::time::Moment;
use crate::control::document::ClusterDocument;
use crate::control::request::{Answer, Refused, RefusedKind, Reply};
use crate::control::status::GossipNumbers;
use crate::gossip::output::{Health, NodeInfo};
use std::collections::BTreeMap;
use std::time::Duration;

/// The words of [`ClusterDocument::members`](crate::control::document::ClusterDocument).
pub const HEALTHS: [&str; 5] = ["alive", "suspect", "restarting", "down", "left"];

/// How long an answer waits for the disk: one that works has taken it long before.
const KEPT_WITHIN: Duration = Duration::from_secs(5);

impl Cluster {
    /// Gives an answer that speaks of what has just been changed: when the disk has the change, too.
    pub(in crate::control) fn answer_when_kept(
        &self,
        now: Moment,
        answer: Answer,
        outcome: Result<Reply, Refused>,
    ) {
        let Some(keeper) = &self.keeper else { return answer.give(outcome) };
        keeper.when_kept(now + KEPT_WITHIN, move |kept| {
            answer.give(kept.map_or_else(
                |unkept| {
                    let error = format!("it is done, but not on this node's disk yet: {unkept}");
                    Err(Refused::new(RefusedKind::Failed, error))
                },
                |()| outcome,
            ));
        });
    }

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

/// `alive`, `suspect` and so on.
pub(in crate::control) fn health_word(health: Health) -> &'static str {
    match health {
        Health::Alive => "alive",
        Health::Suspect => "suspect",
        Health::Restarting => "restarting",
        Health::Down => "down",
        Health::Left => "left",
    }
}

/// Tells the log how a member is now.
pub(super) fn tell_member(info: &NodeInfo, health: Health) {
    let (node, address) = (&info.name, info.address);
    match health {
        Health::Down => tracing::warn!(%node, %address, "a member is lost"),
        Health::Suspect => tracing::debug!(%node, %address, "a member does not answer"),
        Health::Alive | Health::Restarting | Health::Left => {
            tracing::info!(%node, %address, "a member is {}", health_word(health));
        }
    }
}
