//! The table of metrics: for each its name, kind, help and where its values come from, once.

use crate::base::build;
use crate::base::metrics::DURATION_BUCKETS;
use crate::control::cluster::HEALTHS;
use crate::control::engine::EngineStatus;
use crate::services::exposition::{Kind, Samples};
use crate::services::look::Look;

/// Everything there is to know of one metric.
struct Metric {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    collect: fn(&Look<'_>, &mut Samples<'_>),
}

/// Those that CoreDNS has too have its shapes, so that dashboards made for it fit.
static METRICS: &[Metric] = &[
    Metric {
        name: "hivedns_dns_requests_total",
        kind: Kind::Counter,
        help: "Queries by transport, address family (1 = IPv4, 2 = IPv6), type and zone (dropped = none of ours).",
        collect: |look, samples| {
            for kind in look.requests() {
                let labels = [
                    ("proto", kind.proto),
                    ("family", kind.family),
                    ("type", kind.qtype),
                    ("zone", kind.zone),
                ];
                samples.put(&labels, kind.count);
            }
        },
    },
    Metric {
        name: "hivedns_dns_responses_total",
        kind: Kind::Counter,
        help: "Answers by response code and zone (dropped = none of ours).",
        collect: |look, samples| {
            for kind in look.responses() {
                samples.put(&[("rcode", &kind.rcode), ("zone", kind.zone)], kind.count);
            }
        },
    },
    Metric {
        name: "hivedns_dns_request_duration_seconds",
        kind: Kind::Histogram,
        help: "Time from waking up for a batch of UDP queries until its answers were sent (TCP is not timed).",
        collect: |look, samples| {
            let sum = look.duration_sum().as_secs_f64();
            samples.put_histogram(&DURATION_BUCKETS, &look.durations(), sum);
        },
    },
    Metric {
        name: "hivedns_build_info",
        kind: Kind::Gauge,
        help: "Always 1; the labels say what the program was built from.",
        collect: |_, samples| {
            let always = [("version", build::VERSION), ("rustc", build::RUSTC)];
            let revision = build::revision().map(|revision| ("revision", revision));
            let labels: Vec<_> = always.into_iter().chain(revision).collect();
            samples.put(&labels, 1);
        },
    },
    Metric {
        name: "hivedns_worker_queries_total",
        kind: Kind::Counter,
        help: "Queries by the worker that answered them.",
        collect: |look, samples| {
            for (number, queries) in look.queries().enumerate() {
                samples.put(&[("worker", &number.to_string())], queries);
            }
        },
    },
    Metric {
        name: "hivedns_snapshot_revision",
        kind: Kind::Gauge,
        help: "Revision of the data being served; rises with every change.",
        collect: |look, samples| samples.put(&[], look.status.revision),
    },
    Metric {
        name: "hivedns_snapshot_publish_seconds",
        kind: Kind::Gauge,
        help: "How long making and publishing the data being served took.",
        collect: |look, samples| {
            if look.status.published.is_some() {
                samples.put(&[], look.status.publish_took.as_secs_f64());
            }
        },
    },
    Metric {
        name: "hivedns_snapshot_age_seconds",
        kind: Kind::Gauge,
        help: "Time since the data being served was published.",
        collect: |look, samples| {
            if let Some(age) = look.snapshot_age() {
                samples.put(&[], age.as_secs_f64());
            }
        },
    },
    Metric {
        name: "hivedns_dropped_total",
        kind: Kind::Counter,
        help: "Datagrams and connections that came to nothing (rcvbuf = dropped by the kernel before we saw them; \
            gossip_... = of the cluster's traffic).",
        collect: |look, samples| {
            for (reason, count) in look.drops() {
                samples.put(&[("reason", reason)], count);
            }
        },
    },
    Metric {
        name: "hivedns_cache_hits_total",
        kind: Kind::Counter,
        help: "Answers found in the cache.",
        collect: |look, samples| samples.put(&[], look.cache()[0]),
    },
    Metric {
        name: "hivedns_cache_misses_total",
        kind: Kind::Counter,
        help: "Questions that the cache could not answer.",
        collect: |look, samples| samples.put(&[], look.cache()[1]),
    },
    Metric {
        name: "hivedns_cache_served_stale_total",
        kind: Kind::Counter,
        help: "Answers from the cache whose time was over.",
        collect: |look, samples| samples.put(&[], look.cache()[2]),
    },
    Metric {
        name: "hivedns_cache_entries",
        kind: Kind::Gauge,
        help: "Questions for which something is kept, also if its time is over.",
        collect: |look, samples| samples.put(&[], look.cache_stats().1.entries),
    },
    Metric {
        name: "hivedns_forward_requests_total",
        kind: Kind::Counter,
        help: "Queries sent to an upstream server, probes among them.",
        collect: |look, samples| {
            for (to, requests) in look.upstreams(|upstream| upstream.requests.get()) {
                samples.put(&[("to", &to.to_string())], requests);
            }
        },
    },
    Metric {
        name: "hivedns_forward_healthcheck_broken_total",
        kind: Kind::Counter,
        help: "Times an upstream server was found dead.",
        collect: |look, samples| {
            let deaths = look.upstreams(|upstream| upstream.deaths.get());
            samples.put(&[], deaths.values().sum::<u64>());
        },
    },
    Metric {
        name: "hivedns_forward_looping",
        kind: Kind::Gauge,
        help: "1 while an upstream server leads back to this one and is not asked, else 0.",
        collect: |look, samples| {
            for (to, loops) in look.loops().0 {
                samples.put(&[("to", &to.to_string())], u8::from(loops));
            }
        },
    },
    Metric {
        name: "hivedns_forward_loops_total",
        kind: Kind::Counter,
        help: "Times an upstream server was found to lead back to this one.",
        collect: |look, samples| samples.put(&[], look.loops().1),
    },
    Metric {
        name: "hivedns_tcp_connections",
        kind: Kind::Gauge,
        help: "Open TCP connections of DNS clients.",
        collect: |look, samples| samples.put(&[], look.tcp_connections()),
    },
    Metric {
        name: "hivedns_gossip_members",
        kind: Kind::Gauge,
        help: "Members of the cluster by how this node sees them, itself included.",
        collect: |look, samples| {
            if let Some(cluster) = &look.status.cluster {
                for state in HEALTHS {
                    samples.put(&[("state", state)], cluster.members.get(state).unwrap_or(&0));
                }
            }
        },
    },
    Metric {
        name: "hivedns_gossip_bytes_total",
        kind: Kind::Counter,
        help: "Octets of the cluster's datagrams (in, out), and of its streams in both directions (stream).",
        collect: |look, samples| {
            if let Some(gossip) = &look.status.gossip {
                let all = [("in", gossip.received), ("out", gossip.sent), ("stream", gossip.streamed)];
                for (direction, octets) in all {
                    samples.put(&[("direction", direction)], octets);
                }
            }
        },
    },
    Metric {
        name: "hivedns_gossip_queue_depth",
        kind: Kind::Gauge,
        help: "Octets that wait to be sent to other members, in datagrams and over streams.",
        collect: |look, samples| {
            if let Some(gossip) = &look.status.gossip {
                samples.put(&[], gossip.queued);
            }
        },
    },
    Metric {
        name: "hivedns_gossip_owner_mismatch",
        kind: Kind::Gauge,
        help: "Copies of an owner's records that were as new as another node's and differed, since the start: a \
            cloned disk, or a fault.",
        collect: |look, samples| {
            if let Some(gossip) = &look.status.gossip {
                samples.put(&[], gossip.mismatches);
            }
        },
    },
    Metric {
        name: "hivedns_gossip_convergence_seconds",
        kind: Kind::Gauge,
        help: "How long a change of this node's took until the last of up to 16 members by lot showed it, measured once a \
            minute at most, where a second passes without another change.",
        collect: |look, samples| {
            if let Some(took) = look.status.gossip.as_ref().and_then(|gossip| gossip.convergence) {
                samples.put(&[], took.as_secs_f64());
            }
        },
    },
    Metric {
        name: "hivedns_gossip_events_total",
        kind: Kind::Counter,
        help: "What this node saw of members: probes without an answer (silent), members declared down, what was \
            said of itself and refuted, and pauses of its own process.",
        collect: |look, samples| {
            for (event, count) in look.status.gossip.iter().flat_map(|gossip| &gossip.events) {
                samples.put(&[("event", event)], count);
            }
        },
    },
    Metric {
        name: "hivedns_docker_connected",
        kind: Kind::Gauge,
        help: "1 while the container engine's events are heard, else 0; nothing if none is watched.",
        collect: |look, samples| {
            if let Some(engine) = &look.status.engine {
                samples.put(&[], u8::from(engine.is_connected));
            }
        },
    },
    Metric {
        name: "hivedns_docker_last_sync_timestamp_seconds",
        kind: Kind::Gauge,
        help: "When all containers of the engine were last looked at, in seconds since 1970.",
        collect: |look, samples| {
            if let Some(seconds) = look.status.engine.as_ref().and_then(EngineStatus::synced_seconds) {
                samples.put(&[], seconds);
            }
        },
    },
    Metric {
        name: "hivedns_shadow_differences_total",
        kind: Kind::Counter,
        help: "Names for which the engine's own resolver answered differently, twice; nothing if none is compared.",
        collect: |look, samples| {
            if let Some(findings) = look.shadow() {
                samples.put(&[], findings.differences);
            }
        },
    },
    Metric {
        name: "hivedns_owner_expiry_frozen",
        kind: Kind::Gauge,
        help: "1 while records of lost nodes are kept because many were lost at once, else 0.",
        collect: |look, samples| {
            if let Some(cluster) = &look.status.cluster {
                samples.put(&[], u8::from(cluster.expiry_frozen));
            }
        },
    },
    Metric {
        name: "hivedns_records",
        kind: Kind::Gauge,
        help: "Records of service names by the node that says them; (cluster) = set for all, (others) = of nodes \
            beyond those with the most.",
        collect: |look, samples| {
            for (owner, count) in &look.status.records {
                samples.put(&[("owner", owner)], count);
            }
        },
    },
];

/// All metrics as text.
pub(super) fn text(look: &Look<'_>) -> String {
    let mut text = String::new();
    for metric in METRICS {
        (metric.collect)(look, &mut Samples::begin(&mut text, metric.name, metric.kind, metric.help));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::clock;
    use crate::services::look::tests::insight;
    use std::collections::BTreeSet;

    #[test]
    fn the_table_keeps_the_conventions_of_names() {
        let names: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
        for Metric { name, kind, help, .. } in METRICS {
            assert!(name.starts_with("hivedns_"), "{name}");
            assert_eq!(*kind == Kind::Counter, name.ends_with("_total"), "{name}");
            assert!(help.ends_with('.') && !help.contains(['\\', '\n']), "{name}");
        }
    }

    #[test]
    fn what_the_workers_counted_is_told() {
        let text = text(&insight().look(clock::now()));
        for line in [
            "hivedns_dns_requests_total{proto=\"udp\",family=\"1\",type=\"A\",zone=\"example.\"} 2",
            "hivedns_dns_requests_total{proto=\"tcp\",family=\"2\",type=\"AAAA\",zone=\"broken.test.\"} 1",
            "hivedns_dns_responses_total{rcode=\"REFUSED\",zone=\"dropped\"} 1",
            "hivedns_dns_request_duration_seconds_bucket{le=\"0.00025\"} 0",
            "hivedns_dns_request_duration_seconds_bucket{le=\"0.0005\"} 2",
            "hivedns_dns_request_duration_seconds_bucket{le=\"+Inf\"} 2",
            "hivedns_dns_request_duration_seconds_sum 0.0006",
            "hivedns_dns_request_duration_seconds_count 2",
            "hivedns_worker_queries_total{worker=\"1\"} 3",
            "hivedns_snapshot_revision 3",
            "hivedns_snapshot_publish_seconds 0.00025",
            "hivedns_dropped_total{reason=\"not_a_query\"} 4",
            "hivedns_dropped_total{reason=\"rcvbuf\"} 0",
            "hivedns_cache_hits_total 2",
            "hivedns_cache_misses_total 1",
            "hivedns_cache_served_stale_total 1",
            "hivedns_cache_entries 0",
            "hivedns_forward_requests_total{to=\"192.0.2.53:53\"} 7",
            "hivedns_forward_healthcheck_broken_total 1",
            "hivedns_forward_looping{to=\"192.0.2.53:53\"} 1",
            "hivedns_forward_loops_total 1",
            "hivedns_tcp_connections 6",
            "hivedns_gossip_members{state=\"alive\"} 2",
            "hivedns_gossip_members{state=\"down\"} 0",
            "hivedns_gossip_bytes_total{direction=\"in\"} 20",
            "hivedns_gossip_bytes_total{direction=\"out\"} 10",
            "hivedns_gossip_bytes_total{direction=\"stream\"} 30",
            "hivedns_gossip_queue_depth 40",
            "hivedns_gossip_owner_mismatch 1",
            "hivedns_gossip_convergence_seconds 0.012",
            "hivedns_gossip_events_total{event=\"refuted\"} 2",
            "hivedns_dropped_total{reason=\"gossip_forged\"} 5",
            "hivedns_docker_connected 1",
            "hivedns_docker_last_sync_timestamp_seconds 1795932569.5",
            "hivedns_owner_expiry_frozen 1",
            "hivedns_records{owner=\"(cluster)\"} 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.contains("\nhivedns_build_info{version=\""));
    }
}
