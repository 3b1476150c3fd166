//! What the server says of its own state to people and probes.

use crate::base::build;
use crate::control::document::{
    CacheStatsDocument, ClusterDocument, NodeDocument, StatusDocument, ZoneDocument, ZonesDocument,
};
use crate::control::engine::EngineStatus;
use crate::wire::name::Name;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Whether a zone is served, and if not why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Being loaded for the first time.
    Loading,
    /// Served.
    Serving,
    /// Not served: SERVFAIL. The first faults, one per line as `file:line:column: message`.
    Faulty(Vec<String>),
}

/// One zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneStatus {
    /// Its apex.
    pub origin: Name,
    /// How it is.
    pub health: Health,
    /// The SOA's serial, if it is served.
    pub serial: Option<u32>,
    /// Records loaded.
    pub records: usize,
    /// Steps between versions that are remembered, and octets that they take.
    pub journal: (usize, usize),
    /// The node whose version all members have, if the zone is shared.
    pub shared_by: Option<String>,
}

/// What the node counted of the cluster's traffic since its start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GossipNumbers {
    /// Octets of datagrams sent.
    pub sent: u64,
    /// Octets of datagrams received.
    pub received: u64,
    /// Octets over streams, in both directions.
    pub streamed: u64,
    /// Octets that wait to be sent, in datagrams and over streams.
    pub queued: usize,
    /// Copies of equal head whose content was found to differ.
    pub mismatches: u64,
    /// How long the change took that was measured last.
    pub convergence: Option<Duration>,
    /// What became of members as this node saw it, by what happened.
    pub events: Vec<(&'static str, u64)>,
    /// What came to nothing, by reason.
    pub dropped: Vec<(String, u64)>,
}

/// The server at one moment. Published anew with every snapshot.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// Who this node is.
    pub node: NodeDocument,
    /// The cluster, unless gossip is off.
    pub cluster: Option<ClusterDocument>,
    /// What was counted of its traffic; nothing, if gossip is off.
    pub gossip: Option<GossipNumbers>,
    /// The container engine, if one is watched.
    pub engine: Option<EngineStatus>,
    /// Records by who says them, each once; the smaller ones of many owners as one.
    pub records: BTreeMap<String, usize>,
    /// True once every zone has been loaded or found faulty, and until the server stops.
    pub ready: bool,
    /// Why it is not ready, for people.
    pub reason: String,
    /// The zones, by rising origin.
    pub zones: Vec<ZoneStatus>,
    /// Origins by the slot of their counters.
    pub slots: Vec<String>,
    /// The current snapshot's revision.
    pub revision: u64,
    /// When it was published.
    pub published: Option<Instant>,
    /// How long making and publishing it took.
    pub publish_took: Duration,
}

impl Status {
    /// How the server is, but for what its workers found elsewhere; `workers` are how many answer.
    pub fn document(&self, workers: usize, now: Instant) -> StatusDocument {
        let healths = [&Health::Loading, &Health::Serving, &Health::Faulty(Vec::new())];
        let mut zones: BTreeMap<String, usize> = healths.map(|health| (health.word().into(), 0)).into();
        for zone in &self.zones {
            *zones.entry(zone.health.word().into()).or_default() += 1;
        }
        let age = self.published.map(|published| now.saturating_duration_since(published));
        StatusDocument {
            version: build::VERSION.to_owned(),
            node: self.node.clone(),
            ready: self.ready,
            reason: (!self.ready).then(|| self.reason.clone()),
            cluster: self.cluster.clone(),
            docker: self.engine.as_ref().map(EngineStatus::document),
            // The services thread's to tell.
            shadow: None,
            workers,
            snapshot_revision: self.revision,
            snapshot_age_seconds: age.as_ref().map(Duration::as_secs_f64),
            snapshot_publish_seconds: self.publish_took.as_secs_f64(),
            zones,
            faulty: self.faulty(),
            // The workers' to count: whoever has their counters adds it.
            cache: CacheStatsDocument::default(),
            upstreams: BTreeMap::new(),
        }
    }

    /// Every zone.
    pub fn zones_document(&self) -> ZonesDocument {
        ZonesDocument { zones: self.zones.iter().map(ZoneStatus::document).collect() }
    }

    /// The zones that are not served because of faults.
    pub fn faulty(&self) -> Vec<ZoneDocument> {
        let faulty = self.zones.iter().filter(|zone| matches!(zone.health, Health::Faulty(_)));
        faulty.map(ZoneStatus::document).collect()
    }
}

impl ZoneStatus {
    /// The zone as it is told.
    pub fn document(&self) -> ZoneDocument {
        ZoneDocument {
            origin: self.origin.to_string(),
            health: self.health.word().to_owned(),
            serial: self.serial,
            records: self.records,
            journal_steps: self.journal.0,
            journal_octets: self.journal.1,
            // Whoever talks to the primaries adds them.
            shared_by: self.shared_by.clone(),
            age_seconds: None,
            next_refresh_seconds: None,
            faults: match &self.health {
                Health::Loading | Health::Serving => Vec::new(),
                Health::Faulty(faults) => faults.clone(),
            },
        }
    }
}

impl Health {
    /// The word for it in documents.
    pub fn word(&self) -> &'static str {
        match self {
            Health::Loading => "loading",
            Health::Serving => "serving",
            Health::Faulty(_) => "faulty",
        }
    }
}
