//! What the workers counted, as the documents that tell it.

use crate::base::metrics::DURATION_BUCKETS;
use crate::control::document::{
    BucketDocument, CacheStatsDocument, DurationDocument, RequestsDocument, ResponsesDocument,
    ShadowDifferenceDocument, ShadowDocument, StatsDocument, StatusDocument, UpstreamDocument, ZonesDocument,
};
use crate::discovery::engine::shadow::{Difference, Findings};
use crate::os::clock;
use crate::services::look::Look;
use crate::services::zones::Standings;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

/// How the server is.
pub(super) fn status(look: &Look<'_>, now: Instant) -> StatusDocument {
    let mut upstreams = BTreeMap::from([(ALIVE.to_owned(), 0), (DEAD.to_owned(), 0)]);
    for upstream in self::upstreams(look) {
        *upstreams.entry(upstream.health).or_default() += 1;
    }
    let document = look.status.document(look.workers(), now);
    let shadow = look.shadow().map(|findings| shadow(&findings));
    StatusDocument { cache: cache(look), upstreams, shadow, ..document }
}

/// What the engine's own resolver answers otherwise.
fn shadow(findings: &Findings) -> ShadowDocument {
    let texts = |addresses: &BTreeSet<Ipv4Addr>| addresses.iter().map(Ipv4Addr::to_string).collect();
    let difference = |difference: &Difference| ShadowDifferenceDocument {
        name: difference.subject.theirs.clone(),
        missing: texts(&difference.missing),
        surplus: texts(&difference.surplus),
    };
    ShadowDocument {
        compared: findings.compared,
        differences: findings.differences,
        unanswered: findings.unanswered,
        last: findings.last.iter().map(difference).collect(),
    }
}

/// What was counted.
pub(super) fn stats(look: &Look<'_>) -> StatsDocument {
    let worker_queries: Vec<u64> = look.queries().collect();
    let durations = look.durations();
    let bounds = DURATION_BUCKETS.into_iter().map(Some).chain([None]);
    let requests = look.requests().map(|requests| RequestsDocument {
        proto: requests.proto.to_owned(),
        family: requests.family.to_owned(),
        rtype: requests.qtype.to_owned(),
        zone: requests.zone.to_owned(),
        count: requests.count,
    });
    let responses = look.responses().map(|responses| ResponsesDocument {
        rcode: responses.rcode,
        zone: responses.zone.to_owned(),
        count: responses.count,
    });
    StatsDocument {
        queries: worker_queries.iter().sum(),
        worker_queries,
        requests: requests.collect(),
        responses: responses.collect(),
        duration: DurationDocument {
            count: durations.iter().sum(),
            sum_seconds: look.duration_sum().as_secs_f64(),
            buckets: bounds
                .zip(durations)
                .map(|(seconds_max, count)| BucketDocument { seconds_max, count })
                .collect(),
        },
        dropped: look.drops().map(|(reason, count)| (reason.to_owned(), count)).collect(),
        tcp_connections: look.tcp_connections(),
        cache: cache(look),
        upstreams: upstreams(look),
    }
}

/// The words for how an upstream server is.
const ALIVE: &str = "alive";
const DEAD: &str = "dead";

fn cache(look: &Look<'_>) -> CacheStatsDocument {
    let ((octets, stats), [hits, misses, stale]) = (look.cache_stats(), look.cache());
    CacheStatsDocument {
        octets: octets as u64,
        octets_used: stats.octets,
        entries: stats.entries,
        hits,
        misses,
        stale,
        evictions: stats.evictions,
    }
}

/// What all workers together know of each upstream server.
fn upstreams(look: &Look<'_>) -> Vec<UpstreamDocument> {
    // With the sum of the round trips, and how many those are.
    let mut known = BTreeMap::<SocketAddr, (UpstreamDocument, u64, u32)>::new();
    look.for_each_upstream(|own| {
        let (sum, rtts, measured) = known.entry(own.address).or_default();
        sum.workers_dead += usize::from(own.dead.get() > 0);
        sum.requests += own.requests.get();
        sum.answers += own.answers.get();
        sum.timeouts += own.timeouts.get();
        sum.failures += own.failures.get();
        let rtt = own.srtt_us.get();
        *rtts += rtt;
        *measured += u32::from(rtt > 0);
    });
    let each = known.into_iter().map(|(address, (sum, rtts, measured))| UpstreamDocument {
        address: address.to_string(),
        health: if sum.workers_dead > 0 { DEAD } else { ALIVE }.to_owned(),
        rtt_seconds: (measured > 0).then(|| rtts as f64 / 1e6 / f64::from(measured)),
        ..sum
    });
    each.collect()
}

/// Every zone; of those that come from elsewhere, how they stand.
pub(super) fn zones(look: &Look<'_>, standings: &Standings, now: Instant) -> ZonesDocument {
    let mut document = look.status.zones_document();
    let now = clock::moment(now);
    for (zone, status) in document.zones.iter_mut().zip(&look.status.zones) {
        let Some(standing) = standings.of(&status.origin) else { continue };
        zone.age_seconds = standing.checked.map(|checked| now.since(checked).as_secs_f64());
        let next = standing.next.map_or(0.0, |next| next.since(now).as_secs_f64());
        zone.next_refresh_seconds = Some(next);
    }
    document
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
            "origin": "broken.test.", "health": "faulty", "serial": null, "records": 0, "journal_steps": 0,
            "journal_octets": 0, "shared_by": null, "age_seconds": null, "next_refresh_seconds": null,
            "faults": ["z:3:5: bad address"],
        });
        let served = json!({
            "origin": "example.", "health": "serving", "serial": 7, "records": 12, "journal_steps": 0,
            "journal_octets": 0, "shared_by": null, "age_seconds": null, "next_refresh_seconds": null,
            "faults": [],
        });
        let now = clock::now();
        let look = insight.look(now);
        assert_eq!(to_value(look.status.zones_document()).unwrap(), json!({ "zones": [broken, served] }));
        let status = to_value(status(&look, now)).unwrap();
        assert_eq!(status["zones"], json!({ "loading": 0, "serving": 1, "faulty": 1 }));
        assert_eq!(status["faulty"], json!([broken]));
        assert_eq!(status["upstreams"], json!({ "alive": 0, "dead": 1 }));
        assert_eq!((&status["ready"], &status["reason"]), (&json!(true), &json!(null)));
        assert_eq!((&status["workers"], &status["cluster"]["members"]), (&json!(2), &json!({ "alive": 2 })));
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
        let cache = &stats["cache"];
        assert_eq!((&cache["hits"], &cache["misses"], &cache["stale"]), (&json!(2), &json!(1), &json!(1)));
        assert_eq!((&cache["entries"], &cache["evictions"]), (&json!(0), &json!(0)));
        let upstream = json!({
            "address": "192.0.2.53:53", "health": "dead", "workers_dead": 1, "requests": 7, "answers": 4,
            "timeouts": 3, "failures": 1, "rtt_seconds": 0.0015,
        });
        assert_eq!(stats["upstreams"], json!([upstream]));
    }
}
