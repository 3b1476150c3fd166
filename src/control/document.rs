//! The documents in which the server tells of itself: the same for `--format json` and for `/api/v1`. Scripts and
//! dashboards read their fields: a field may be added, but never changes its name or its meaning.
//!
//! Durations are seconds as fractions. Names of the DNS are absolute, with their final dot. A node is told by its
//! name and, because names may be given twice, by its id (16 hexadecimal digits).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

macro_rules! documents {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty,)* })*) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub struct $name { $($(#[$field_doc])* pub $field: $kind,)* }
    )* };
}

mod engine;
mod zones;

pub use engine::{EngineDocument, ShadowDifferenceDocument, ShadowDocument};
pub use zones::{ZoneDocument, ZoneVerbDocument, ZonesDocument};

documents! {
    /// How the server is, in short.
    StatusDocument {
        /// The program's version.
        version: String,
        /// This node.
        node: NodeDocument,
        /// True once it may be asked: every zone loaded or found faulty, and the cluster's records known.
        ready: bool,
        /// Why it is not ready.
        reason: Option<String>,
        /// The cluster; null while gossip is off.
        cluster: Option<ClusterDocument>,
        /// The container engine; null if none is watched.
        docker: Option<EngineDocument>,
        /// What the engine's own resolver answers otherwise; null if nothing is compared with it.
        shadow: Option<ShadowDocument>,
        /// How many workers answer.
        workers: usize,
        /// Rises with each change of what is served.
        snapshot_revision: u64,
        /// How long ago that was.
        snapshot_age_seconds: Option<f64>,
        /// How long making and publishing it took.
        snapshot_publish_seconds: f64,
        /// How many zones there are of each health: `loading`, `serving`, `faulty`.
        zones: BTreeMap<String, usize>,
        /// The zones that are not served because of faults.
        faulty: Vec<ZoneDocument>,
        /// What was found elsewhere and is kept.
        cache: CacheStatsDocument,
        /// How many upstream servers there are of each health: `alive`, `dead`.
        upstreams: BTreeMap<String, usize>,
    }

    /// One node, as it names itself.
    NodeDocument {
        /// Its name, one label.
        name: String,
        /// Who it is for as long as its state directory lives; null without gossip.
        id: Option<String>,
        /// How often it was started with that state directory.
        generation: Option<u32>,
    }

    /// The cluster as this node sees it.
    ClusterDocument {
        /// Its name.
        name: String,
        /// The address that other members are told.
        address: Option<String>,
        /// True once this node knows the cluster's records. Until then it answers SERVFAIL for them.
        synced: bool,
        /// True if that was assumed because nobody answered: an alarm.
        alone: bool,
        /// True while the records of lost nodes are kept because many were lost at once: an alarm.
        expiry_frozen: bool,
        /// True if what is sent can be read by anybody on the way.
        plaintext: bool,
        /// How many members there are of each health: `alive`, `suspect`, `restarting`, `down`, `left`.
        members: BTreeMap<String, usize>,
    }

    /// All members.
    MembersDocument {
        /// By name, then id; this node among them.
        members: Vec<MemberDocument>,
    }

    /// One member.
    MemberDocument {
        /// Its id.
        id: String,
        /// Its name.
        name: String,
        /// Where it takes the cluster's traffic.
        address: String,
        /// `alive`, `suspect`, `restarting`, `down` or `left`.
        health: String,
        /// How new this saying about it is, as `generation.refutation`.
        incarnation: String,
        /// The round trip to it, smoothed, if it was measured.
        rtt_seconds: Option<f64>,
        /// Records that it published, as far as they are known here.
        records: usize,
        /// True for the node that tells.
        this: bool,
    }

    /// What the workers counted.
    StatsDocument {
        /// Queries answered.
        queries: u64,
        /// The same by worker.
        worker_queries: Vec<u64>,
        /// The same by transport, type and zone; only those that there were.
        requests: Vec<RequestsDocument>,
        /// Answers by code and zone; only those that there were.
        responses: Vec<ResponsesDocument>,
        /// How long answers took.
        duration: DurationDocument,
        /// What came to nothing, by reason.
        dropped: BTreeMap<String, u64>,
        /// Open TCP connections.
        tcp_connections: u64,
        /// What was found elsewhere and is kept.
        cache: CacheStatsDocument,
        /// The servers that are asked for what is not found here, by address.
        upstreams: Vec<UpstreamDocument>,
    }

    /// The cache: what it holds, and what it did since the start.
    CacheStatsDocument {
        /// Octets that it takes, whatever it holds.
        octets: u64,
        /// Octets of them that its entries take.
        octets_used: u64,
        /// Questions for which something is kept, also if its time is over.
        entries: u64,
        /// Answers found in it.
        hits: u64,
        /// Questions that it could not answer.
        misses: u64,
        /// Answers from it whose time was over.
        stale: u64,
        /// Entries that went out for others though they could still have been told.
        evictions: u64,
    }

    /// One upstream server, all workers together.
    UpstreamDocument {
        /// Where.
        address: String,
        /// `dead` if one worker at least finds it so, else `alive`.
        health: String,
        /// Workers that find it dead.
        workers_dead: usize,
        /// Queries sent to it, probes among them.
        requests: u64,
        /// Replies that matched a query.
        answers: u64,
        /// Queries that it never answered.
        timeouts: u64,
        /// Of the answers those that said nothing to the question, and streams that failed.
        failures: u64,
        /// The smoothed round trip, on average over the workers that have measured it.
        rtt_seconds: Option<f64>,
    }

    /// Queries of one kind.
    RequestsDocument {
        /// `udp` or `tcp`.
        proto: String,
        /// The address family as CoreDNS numbers it: 1 is IPv4, 2 is IPv6.
        family: String,
        /// The type asked for.
        #[serde(rename = "type")]
        rtype: String,
        /// The zone; `dropped` for none of ours, `other` for those without counters of their own.
        zone: String,
        /// How many.
        count: u64,
    }

    /// Answers of one kind.
    ResponsesDocument {
        /// The response code's mnemonic.
        rcode: String,
        /// As in [`RequestsDocument`].
        zone: String,
        /// How many.
        count: u64,
    }

    /// How long answers took.
    DurationDocument {
        /// Answers that were measured.
        count: u64,
        /// All of them together.
        sum_seconds: f64,
        /// By rising duration.
        buckets: Vec<BucketDocument>,
    }

    /// Answers that took longer than the bucket before allows, and no longer than this.
    BucketDocument {
        /// Null: any time.
        seconds_max: Option<f64>,
        /// How many.
        count: u64,
    }

    /// Records as the cluster holds them.
    RecordsDocument {
        /// By rising name (RFC 4034 §6.1), then type, then source.
        records: Vec<RecordDocument>,
        /// If there are more: what to give as `after`.
        next: Option<String>,
    }

    /// One record.
    RecordDocument {
        /// Its owner name.
        name: String,
        /// Its type.
        #[serde(rename = "type")]
        rtype: String,
        /// The TTL that answers have now, in seconds.
        ttl: u32,
        /// Its RDATA as in a master file.
        rdata: String,
        /// `cluster` for what was set, `node` for what a node published.
        source: String,
        /// Who published or set it: the node's name.
        owner: Option<String>,
        /// The same by id.
        owner_id: Option<String>,
        /// The place of the change in its writer's order; of cluster-wide records and those of a node's own entry, where one
        /// name was asked for.
        version: Option<u64>,
        /// For how long this node has known it; of the same, and as far as it is remembered.
        age_seconds: Option<f64>,
        /// The network whose askers get it; `null` for what every asker gets.
        network: Option<String>,
        /// `served`; `lost` for what is served behind all else, because its node is lost; `overruled` by other records, or equal to one of them;
        /// `hidden`, because its node is gone or its lease is over.
        state: String,
        /// `none` for what is not leased, else `full`, `counting`, `frozen` or `hidden`.
        lease: String,
        /// What is left of it, while it counts or is frozen.
        lease_left_seconds: Option<f64>,
    }

    /// What was found elsewhere and is kept.
    CacheDocument {
        /// In no order.
        entries: Vec<CachedDocument>,
        /// If there are more: what to give as `after`.
        next: Option<String>,
    }

    /// What is kept of one question.
    CachedDocument {
        /// The name asked for.
        name: String,
        /// The type asked for.
        #[serde(rename = "type")]
        rtype: String,
        /// The response code's mnemonic; `NODATA` (RFC 2308 §1) where the name has nothing of the type.
        rcode: String,
        /// `fresh`; `stale`, told where there is nothing better; or `failing`: there is no answer, and nobody is asked
        /// for one.
        state: String,
        /// How long it stays so.
        left_seconds: f64,
        /// How long nobody is asked for a better answer, because that failed.
        failing_seconds: Option<f64>,
        /// Why it is no better (RFC 8914).
        extended_error: Option<u16>,
        /// Of those who ask for the records of DNSSEC.
        dnssec_ok: bool,
        /// Of those who want the answer even if it is bogus.
        checking_disabled: bool,
        /// It was validated.
        authentic: bool,
        /// The records of the answer.
        answer: Vec<CachedRecordDocument>,
        /// Those of the authority section: the SOA, where there is no answer.
        authority: Vec<CachedRecordDocument>,
    }

    /// One record that is kept.
    CachedRecordDocument {
        /// Its owner name.
        name: String,
        /// The TTL that it would be told with now, in seconds.
        ttl: u32,
        /// Its type.
        #[serde(rename = "type")]
        rtype: String,
        /// Its RDATA as in a master file.
        rdata: String,
    }

    /// What was forgotten.
    FlushDocument {
        /// At and below this name.
        name: String,
        /// How many entries that were.
        entries: usize,
    }

    /// What stands at a name from now on.
    SetDocument {
        /// The name.
        name: String,
        /// The type.
        #[serde(rename = "type")]
        rtype: String,
        /// Seconds.
        ttl: u32,
        /// Each record's RDATA as it was understood; what was given twice stands once.
        rdata: Vec<String>,
        /// True if other records stood there before.
        replaced: bool,
    }

    /// What was removed.
    UnsetDocument {
        /// The name.
        name: String,
        /// The records; none if there were none.
        removed: Vec<RemovedDocument>,
    }

    /// One record that was removed.
    RemovedDocument {
        /// Its type.
        #[serde(rename = "type")]
        rtype: String,
        /// Its RDATA.
        rdata: String,
    }

    /// How an answer comes about.
    WhyDocument {
        /// The name asked for.
        name: String,
        /// The type asked for.
        #[serde(rename = "type")]
        rtype: String,
        /// The asker.
        from: Option<String>,
        /// The response code's mnemonic; `unknown` if others have to be asked first.
        rcode: String,
        /// The answer section, each record as in a master file.
        answer: Vec<String>,
        /// What was decided, in that order.
        steps: Vec<StepDocument>,
    }

    /// One decision on the way to an answer.
    StepDocument {
        /// What it was about: `zone`, `record`, `lease`, `network`, `cache` and the like.
        about: String,
        /// What was found, in one line.
        found: String,
    }

    /// Owners whose state differs between nodes.
    DiffDocument {
        /// The nodes that told their state; this one among them.
        compared: Vec<String>,
        /// Those that live and did not.
        silent: Vec<String>,
        /// Only owners on which not all agree.
        owners: Vec<OwnerDiffDocument>,
        /// How many more differ, or parts of them, that were too many to tell.
        more: usize,
    }

    /// One owner on whose state nodes differ.
    OwnerDiffDocument {
        /// Its name; null if no node that answered knows it.
        owner: Option<String>,
        /// Its id.
        owner_id: String,
        /// Each state that was told, the newest first.
        states: Vec<OwnerStateDocument>,
    }

    /// The state of an owner on some nodes.
    OwnerStateDocument {
        /// The nodes that have it.
        nodes: Vec<String>,
        /// The owner's life; null if these nodes do not know the owner.
        generation: Option<u32>,
        /// How many of the owner's changes these nodes have.
        head: Option<u64>,
        /// What they made of them; differs where the same changes led to other records: a fault.
        hash: Option<String>,
    }

    /// A full comparison.
    ResyncDocument {
        /// True. (A former version did not wait for the end.)
        finished: bool,
        /// The nodes that were asked: the one that was named, or one by lot.
        nodes: Vec<String>,
        /// Those that were asked and did not answer.
        silent: Vec<String>,
        /// How many owners had news for us.
        owners: usize,
        /// How many changes came, those of cluster-wide records that came meanwhile from other members among them.
        changes: usize,
        /// How long it took.
        seconds: f64,
    }

    /// A drain is over.
    DrainDocument {
        /// Members that acknowledged.
        acknowledged: usize,
        /// Members that live and have not: their names. None: the drain is done.
        missing: Vec<String>,
    }

    /// A reload is over.
    ReloadDocument {
        /// Zones that were read.
        zones: usize,
        /// Zones that are faulty now: they keep their former content if they had one.
        faulty: Vec<ZoneDocument>,
        /// How long it took.
        seconds: f64,
    }

    /// This node is out of the cluster.
    LeaveDocument {
        /// Members that acknowledged.
        acknowledged: usize,
        /// Members that live and have not: their names.
        missing: Vec<String>,
    }

    /// A node was declared gone.
    ForceLeaveDocument {
        /// Its name.
        node: String,
        /// Its id.
        id: String,
    }

    /// The cluster's keys; never the keys themselves.
    KeysDocument {
        /// The one that seals first.
        keys: Vec<KeyDocument>,
    }

    /// One key.
    KeyDocument {
        /// Short, from a hash of the key.
        id: String,
        /// True for the one that this node seals with.
        seals: bool,
    }
}
