//! The documents that tell of the server, as JSON writes them: their fields are read by scripts.

use crate::base::build;
use crate::base::metrics::DURATION_BUCKETS;
use crate::control::status::{Health, ZoneStatus};
use crate::services::look::{Look, Requests, Responses};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// How the server is, in short.
#[derive(Serialize)]
pub(super) struct StatusDocument {
    version: &'static str,
    ready: bool,
    /// Why it is not ready.
    reason: Option<String>,
    workers: usize,
    snapshot_revision: u64,
    snapshot_age_seconds: Option<f64>,
    snapshot_publish_seconds: f64,
    /// How many zones there are of each health.
    zones: BTreeMap<&'static str, usize>,
    /// The zones that are not served because of faults.
    faulty: Vec<ZoneDocument>,
}

/// One zone.
#[derive(Serialize)]
pub(super) struct ZoneDocument {
    origin: String,
    health: &'static str,
    serial: Option<u32>,
    records: usize,
    /// The first faults, each as `file:line:column: message`.
    faults: Vec<String>,
}

/// All zones.
#[derive(Serialize)]
pub(super) struct ZonesDocument {
    zones: Vec<ZoneDocument>,
}

/// What the workers counted.
#[derive(Serialize)]
pub(super) struct StatsDocument<'l> {
    queries: u64,
    worker_queries: Vec<u64>,
    requests: Vec<Requests<'l>>,
    responses: Vec<Responses<'l>>,
    duration: DurationDocument,
    dropped: BTreeMap<&'static str, u64>,
    tcp_connections: u64,
}

/// How long answers took.
#[derive(Serialize)]
struct DurationDocument {
    count: u64,
    sum_seconds: f64,
    buckets: Vec<BucketDocument>,
}

/// Answers that took longer than the bucket before allows, and no longer than this.
#[derive(Serialize)]
struct BucketDocument {
    /// None: any time.
    seconds_max: Option<f64>,
    count: u64,
}

/// How the server is.
pub(super) fn status(look: &Look<'_>) -> StatusDocument {
    let status = &look.status;
    let mut zones = BTreeMap::from(["loading", "serving", "faulty"].map(|health| (health, 0)));
    for zone in &status.zones {
        *zones.entry(health(&zone.health)).or_default() += 1;
    }
    let faulty = status.zones.iter().filter(|zone| matches!(zone.health, Health::Faulty(_)));
    StatusDocument {
        version: build::VERSION,
        ready: status.ready,
        reason: (!status.ready).then(|| status.reason.clone()),
        workers: look.workers(),
        snapshot_revision: status.revision,
        snapshot_age_seconds: look.snapshot_age().as_ref().map(Duration::as_secs_f64),
        snapshot_publish_seconds: status.publish_took.as_secs_f64(),
        zones,
        faulty: faulty.map(zone).collect(),
    }
}

/// Every zone.
pub(super) fn zones(look: &Look<'_>) -> ZonesDocument {
    ZonesDocument { zones: look.status.zones.iter().map(zone).collect() }
}

/// What was counted.
pub(super) fn stats<'l>(look: &'l Look<'_>) -> StatsDocument<'l> {
    let worker_queries: Vec<u64> = look.queries().collect();
    let durations = look.durations();
    let bounds = DURATION_BUCKETS.into_iter().map(Some).chain([None]);
    StatsDocument {
        queries: worker_queries.iter().sum(),
        worker_queries,
        requests: look.requests().collect(),
        responses: look.responses().collect(),
        duration: DurationDocument {
            count: durations.iter().sum(),
            sum_seconds: look.duration_sum().as_secs_f64(),
            buckets: bounds
                .zip(durations)
                .map(|(seconds_max, count)| BucketDocument { seconds_max, count })
                .collect(),
        },
        dropped: look.drops().collect(),
        tcp_connections: look.tcp_connections(),
    }
}

fn zone(zone: &ZoneStatus) -> ZoneDocument {
    ZoneDocument {
        origin: zone.origin.to_string(),
        health: health(&zone.health),
        serial: zone.serial,
        records: zone.records,
        faults: match &zone.health {
            Health::Loading | Health::Serving => Vec::new(),
            Health::Faulty(faults) => faults.clone(),
        },
    }
}

fn health(health: &Health) -> &'static str {
    match health {
        Health::Loading => "loading",
        Health::Serving => "serving",
        Health::Faulty(_) => "faulty",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::clock;
    use crate::services::look::tests::insight;
    use serde_json::{json, to_value};

    #[test]
    fn zones_tell_what_they_hold_or_what_is_wrong() {
        let insight = insight();
        let broken = json!({
            "origin": "broken.test.", "health": "faulty", "serial": null, "records": 0,
            "faults": ["z:3:5: bad address"],
        });
        let served =
            json!({ "origin": "example.", "health": "serving", "serial": 7, "records": 12, "faults": [] });
        let look = insight.look(clock::now());
        assert_eq!(to_value(zones(&look)).unwrap(), json!({ "zones": [broken, served] }));
        let status = to_value(status(&look)).unwrap();
        assert_eq!(status["zones"], json!({ "loading": 0, "serving": 1, "faulty": 1 }));
        assert_eq!(status["faulty"], json!([broken]));
        assert_eq!((&status["ready"], &status["reason"]), (&json!(true), &json!(null)));
    }

    #[test]
    fn stats_are_what_the_workers_counted() {
        let insight = insight();
        let look = insight.look(clock::now());
        let stats = to_value(stats(&look)).unwrap();
        assert_eq!((&stats["queries"], &stats["worker_queries"]), (&json!(4), &json!([1, 3])));
        assert_eq!(
            stats["requests"][1],
            json!({ "proto": "udp", "family": "1", "type": "A", "zone": "example.", "count": 2 })
        );
        assert_eq!(stats["duration"]["count"], 2);
        assert_eq!(stats["duration"]["buckets"][16], json!({ "seconds_max": null, "count": 0 }));
        assert_eq!(stats["dropped"]["not_a_query"], 4);
    }
}
