//! What the services may look at, and one look at it: the counters of all workers together.

use crate::base::metrics::{
    DURATION_BUCKETS, DropReason, NO_ZONE, TYPE_NAMES, Transport, WorkerCounters, ZONE_SLOTS,
};
use crate::control::status::Status;
use crate::discovery::engine::shadow::Findings;
use crate::os::udp::receive_drops;
use crate::resolve::cache::{Cache, Stats};
use crate::resolve::forward::UpstreamCounters;
use crate::resolve::policy::Policy;
use crate::services::docker::Board;
use crate::services::zones::Standings;
use crate::wire::message::Rcode;
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The zones beyond those that have counters of their own.
const SHARED_LABEL: &str = "other";
/// What stands for a zone where none of ours was asked for: refused, malformed, CHAOS. It is CoreDNS's word, and
/// dashboards made for it know no other.
pub(super) const NO_ZONE_LABEL: &str = "dropped";

/// What the services may look at.
pub struct Insight {
    /// The server's state.
    pub status: Arc<ArcSwap<Status>>,
    /// The counters of each worker.
    pub counters: Vec<Arc<WorkerCounters>>,
    /// Duplicates of the workers' UDP sockets: only to ask the kernel what it dropped.
    pub udp: Vec<UdpSocket>,
    /// What was found elsewhere.
    pub cache: Arc<Cache>,
    /// What each worker shows of its upstream servers.
    pub upstreams: Vec<Arc<ArcSwap<Vec<Arc<UpstreamCounters>>>>>,
    /// Whom names are asked of, and who of them leads back to us.
    pub policy: Arc<ArcSwap<Policy>>,
    /// How the zones that come from elsewhere stand.
    pub standings: Standings,
    /// What came of comparing with the engine's own resolver, if that is done.
    pub shadow: Option<Board>,
}

impl Insight {
    /// Everything at this moment.
    pub(super) fn look(&self, now: Instant) -> Look<'_> {
        Look { status: self.status.load_full(), now, insight: self }
    }
}

/// The server at one moment. Counters go on counting meanwhile: sums may differ by what came in between.
pub(super) struct Look<'i> {
    /// Its state.
    pub(super) status: Arc<Status>,
    now: Instant,
    insight: &'i Insight,
}

/// Queries of one kind. The field names are the labels.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Requests<'l> {
    pub(super) proto: &'static str,
    /// The address family as CoreDNS numbers it: 1 is IPv4, 2 is IPv6.
    pub(super) family: &'static str,
    pub(super) qtype: &'static str,
    pub(super) zone: &'l str,
    pub(super) count: u64,
}

/// Answers of one kind. The field names are the labels.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Responses<'l> {
    pub(super) rcode: String,
    pub(super) zone: &'l str,
    pub(super) count: u64,
}

impl Look<'_> {
    /// Answers found in the cache, questions that it could not answer, and answers whose time was over.
    pub(super) fn cache(&self) -> [u64; 3] {
        let workers = self.insight.counters.iter().map(|counters| counters.cache());
        workers.fold([0; 3], |sum, own| std::array::from_fn(|i| sum[i] + own[i]))
    }

    /// Octets that the cache takes, and what it holds.
    pub(super) fn cache_stats(&self) -> (usize, Stats) {
        (self.insight.cache.octets(), self.insight.cache.stats())
    }

    /// A count of each upstream server, over all workers, by address.
    pub(super) fn upstreams(&self, count: impl Fn(&UpstreamCounters) -> u64) -> BTreeMap<SocketAddr, u64> {
        let mut sums = BTreeMap::new();
        self.for_each_upstream(|upstream| *sums.entry(upstream.address).or_default() += count(upstream));
        sums
    }

    /// What each worker counts of each upstream server.
    pub(super) fn for_each_upstream(&self, mut take: impl FnMut(&UpstreamCounters)) {
        for worker in &self.insight.upstreams {
            worker.load().iter().for_each(|upstream| take(upstream));
        }
    }

    /// Upstream servers, and whether they lead back to us; how often one was found that does.
    pub(super) fn loops(&self) -> (BTreeMap<SocketAddr, bool>, u64) {
        let (policy, mut upstreams) = (self.insight.policy.load(), BTreeMap::new());
        for (address, loops) in policy.loops().upstreams() {
            *upstreams.entry(address).or_default() |= loops;
        }
        (upstreams, policy.loops().found())
    }

    /// What came of comparing with the engine's own resolver.
    pub(super) fn shadow(&self) -> Option<Arc<Findings>> {
        self.insight.shadow.as_ref().map(Board::read)
    }

    /// Workers.
    pub(super) fn workers(&self) -> usize {
        self.insight.counters.len()
    }

    /// Queries answered, by worker.
    pub(super) fn queries(&self) -> impl Iterator<Item = u64> {
        self.insight.counters.iter().map(|worker| worker.queries())
    }

    /// Queries by zone, transport and type; only those that there were.
    pub(super) fn requests(&self) -> impl Iterator<Item = Requests<'_>> {
        let kinds = self.zones().flat_map(|zone| {
            let of_zone = move |transport| (0..TYPE_NAMES.len()).map(move |qtype| (zone, transport, qtype));
            Transport::ALL.into_iter().flat_map(of_zone)
        });
        kinds.filter_map(|((slot, zone), transport, qtype)| {
            let count = self.total(|worker| worker.requests(slot, transport, qtype));
            (count > 0).then_some(Requests {
                proto: if transport.tcp { "tcp" } else { "udp" },
                family: if transport.ipv6 { "2" } else { "1" },
                qtype: TYPE_NAMES[qtype],
                zone,
                count,
            })
        })
    }

    /// Answers by zone and code; only those that there were.
    pub(super) fn responses(&self) -> impl Iterator<Item = Responses<'_>> {
        let kinds = self.zones().flat_map(|zone| Rcode::ALL.into_iter().map(move |rcode| (zone, rcode)));
        kinds.filter_map(|((slot, zone), rcode)| {
            let count = self.total(|worker| worker.responses(slot, rcode as usize));
            (count > 0).then(|| Responses { rcode: rcode.to_string(), zone, count })
        })
    }

    /// Answers by bucket of [`DURATION_BUCKETS`], those above all at the end; not cumulative.
    pub(super) fn durations(&self) -> [u64; DURATION_BUCKETS.len() + 1] {
        self.insight.counters.iter().fold([0; _], |mut sums, worker| {
            for (sum, count) in sums.iter_mut().zip(worker.durations()) {
                *sum += count;
            }
            sums
        })
    }

    /// The time that all answers together took.
    pub(super) fn duration_sum(&self) -> Duration {
        self.insight.counters.iter().map(|worker| worker.duration_sum()).sum()
    }

    /// What came to nothing, by reason; `rcvbuf` is what the kernel dropped because a receive buffer was full.
    pub(super) fn drops(&self) -> impl Iterator<Item = (&str, u64)> {
        let rcvbuf = self.insight.udp.iter().map(|socket| u64::from(receive_drops(socket.as_fd()))).sum();
        let own = DropReason::ALL.into_iter();
        own.map(|(reason, label)| (label, self.total(|worker| worker.drops(reason))))
            .chain([("rcvbuf", rcvbuf)])
            .chain(
                self.status
                    .gossip
                    .iter()
                    .flat_map(|gossip| &gossip.dropped)
                    .map(|(why, count)| (&**why, *count)),
            )
    }

    /// Open TCP connections.
    pub(super) fn tcp_connections(&self) -> u64 {
        self.total(WorkerCounters::tcp_connections)
    }

    /// How long ago the current snapshot was published, if one was.
    pub(super) fn snapshot_age(&self) -> Option<Duration> {
        self.status.published.map(|published| self.now.saturating_duration_since(published))
    }

    fn total(&self, count: impl Fn(&WorkerCounters) -> u64) -> u64 {
        self.insight.counters.iter().map(|worker| count(worker)).sum()
    }

    /// The slots in use, with what their zone is called.
    fn zones(&self) -> impl Iterator<Item = (usize, &str)> {
        let named = self.status.slots.iter().map(String::as_str).take(ZONE_SLOTS - 1).enumerate();
        named.chain([(ZONE_SLOTS - 1, SHARED_LABEL), (NO_ZONE, NO_ZONE_LABEL)])
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::base::metrics::Counter;
    use crate::base::network::Networks;
    use crate::control::document::ClusterDocument;
    use crate::control::engine::EngineStatus;
    use crate::control::status::{GossipNumbers, Health, ZoneStatus};
    use crate::os::clock;
    use crate::resolve::cache::CACHE_OCTETS_MIN;
    use crate::resolve::harvest::Caps;
    use crate::resolve::policy::Way;
    use crate::wire::name::Name;
    use std::time::UNIX_EPOCH;

    /// A server of two workers that has answered a little.
    pub(in crate::services) fn insight() -> Insight {
        let zone = |origin: &str, health, serial, records| ZoneStatus {
            journal: (0, 0),
            shared_by: None,
            origin: Name::parse(origin).unwrap(),
            health,
            serial,
            records,
        };
        let status = Status {
            ready: true,
            zones: vec![
                zone("broken.test.", Health::Faulty(vec!["z:3:5: bad address".into()]), None, 0),
                zone("example.", Health::Serving, Some(7), 12),
            ],
            slots: vec!["broken.test.".into(), "example.".into()],
            revision: 3,
            published: Some(clock::now()),
            publish_took: Duration::from_micros(250),
            cluster: Some(ClusterDocument {
                expiry_frozen: true,
                members: [("alive".into(), 2)].into(),
                ..ClusterDocument::default()
            }),
            gossip: Some(GossipNumbers {
                sent: 10,
                received: 20,
                streamed: 30,
                queued: 40,
                mismatches: 1,
                convergence: Some(Duration::from_millis(12)),
                events: vec![("refuted", 2)],
                dropped: vec![("gossip_forged".into(), 5)],
            }),
            engine: Some(EngineStatus {
                is_connected: true,
                synced: Some(UNIX_EPOCH + Duration::from_millis(1_795_932_569_500)),
                ..EngineStatus::default()
            }),
            records: [("(cluster)".into(), 3)].into(),
            ..Status::default()
        };
        let counters: Vec<_> = (0..2).map(|_| Arc::new(WorkerCounters::default())).collect();
        let [udp4, .., tcp6] = Transport::ALL;
        for worker in &counters {
            worker.answered(1, udp4, 1, 0);
            worker.took(1, Duration::from_micros(300));
        }
        counters[1].answered(0, tcp6, 28, 2);
        counters[1].answered(NO_ZONE, udp4, 999, 5);
        counters[1].dropped(DropReason::NotAQuery, 4);
        counters[0].set_tcp_connections(6);
        counters[0].cache_hit();
        counters[1].cache_hit();
        counters[1].cache_miss();
        counters[1].cache_served_stale();
        let upstreams = counters.iter().enumerate().map(|(worker, _)| {
            let upstream = upstream("192.0.2.53:53", worker as u64);
            Arc::new(ArcSwap::from_pointee(vec![Arc::new(upstream)]))
        });
        let caps = Caps { ttl_max: 1, negative_ttl_max: 1 };
        let way = Way::Forward(vec!["192.0.2.53:53".parse().unwrap()]);
        let policy = Policy::new(Networks::default(), caps, 0, (true, true), [(Name::ROOT, way)]);
        policy.loops().mark_line(0, true);
        Insight {
            standings: Standings::default(),
            shadow: None,
            status: Arc::new(ArcSwap::from_pointee(status)),
            policy: Arc::new(ArcSwap::from_pointee(policy)),
            upstreams: upstreams.collect(),
            counters,
            udp: Vec::new(),
            cache: Arc::new(Cache::new(CACHE_OCTETS_MIN)),
        }
    }

    /// An upstream that the first worker, number 0, has not asked yet, and the second finds dead after a while.
    fn upstream(address: &str, worker: u64) -> UpstreamCounters {
        let counted = |count: u64| {
            let counter = Counter::default();
            counter.add(count);
            counter
        };
        UpstreamCounters {
            address: address.parse().unwrap(),
            requests: counted(7 * worker),
            answers: counted(4 * worker),
            timeouts: counted(3 * worker),
            failures: counted(worker),
            other_cases: counted(0),
            srtt_us: counted(1_500 * worker),
            dead: counted(worker),
            deaths: counted(worker),
        }
    }

    #[test]
    fn the_workers_are_summed_up_and_what_never_was_is_left_out() {
        let insight = insight();
        let look = insight.look(clock::now());
        let requests: Vec<_> =
            look.requests().map(|r| (r.proto, r.family, r.qtype, r.zone, r.count)).collect();
        assert_eq!(
            requests,
            [
                ("tcp", "2", "AAAA", "broken.test.", 1),
                ("udp", "1", "A", "example.", 2),
                ("udp", "1", "other", "dropped", 1),
            ]
        );
        let responses: Vec<_> = look.responses().map(|r| (r.rcode, r.zone, r.count)).collect();
        assert_eq!(
            responses,
            [
                ("SERVFAIL".to_owned(), "broken.test.", 1),
                ("NOERROR".to_owned(), "example.", 2),
                ("REFUSED".to_owned(), "dropped", 1),
            ]
        );
        assert_eq!(look.queries().collect::<Vec<_>>(), [1, 3]);
        assert_eq!(look.durations()[1], 2);
        assert_eq!(look.drops().collect::<Vec<_>>()[..1], [("not_a_query", 4)]);
    }
}
