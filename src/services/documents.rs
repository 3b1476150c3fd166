//! What the workers counted, as the document that tells it.

use crate::base::metrics::DURATION_BUCKETS;
use crate::control::document::{
    BucketDocument, DurationDocument, RequestsDocument, ResponsesDocument, StatsDocument,
};
use crate::services::look::Look;

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
        let now = clock::now();
        let look = insight.look(now);
        assert_eq!(to_value(look.status.zones_document()).unwrap(), json!({ "zones": [broken, served] }));
        let status = to_value(look.status.document(look.workers(), now)).unwrap();
        assert_eq!(status["zones"], json!({ "loading": 0, "serving": 1, "faulty": 1 }));
        assert_eq!(status["faulty"], json!([broken]));
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
    }
}
