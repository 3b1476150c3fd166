//! What a worker counts: one block of counters each, written by its worker alone, read by anyone.
//!
//! A count is a plain load and store (no locked instruction): only one thread writes. Blocks of different
//! workers share no cache line.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Zones that have counters of their own; zones beyond share the last. 256 zones are 64 KiB a worker.
pub const ZONE_SLOTS: usize = 256;
/// The slot of queries that no zone of ours answers.
pub const NO_ZONE: usize = ZONE_SLOTS;
/// Types counted by name; the rest are "other", as with CoreDNS.
pub const TYPE_NAMES: [&str; 16] = [
    "other", "A", "AAAA", "MX", "SOA", "CNAME", "PTR", "TXT", "NS", "DS", "DNSKEY", "RRSIG", "NSEC", "SRV",
    "HTTPS", "ANY",
];
/// Codes counted by their number (0 to 10 and 16 are in use).
pub const RCODES: usize = 17;
/// Upper bounds of the latency buckets in seconds, those of CoreDNS.
pub const DURATION_BUCKETS: [f64; 16] = [
    0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048,
    4.096, 8.192,
];

/// How a query came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transport {
    /// TCP, else UDP.
    pub tcp: bool,
    /// IPv6, else IPv4.
    pub ipv6: bool,
}

impl Transport {
    /// All four.
    pub const ALL: [Transport; 4] = [
        Transport { tcp: false, ipv6: false },
        Transport { tcp: false, ipv6: true },
        Transport { tcp: true, ipv6: false },
        Transport { tcp: true, ipv6: true },
    ];

    #[inline(always)]
    fn index(self) -> usize {
        usize::from(self.tcp) * 2 + usize::from(self.ipv6)
    }
}

/// Why a datagram or connection came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// Too short for a header, or a response.
    NotAQuery = 0,
    /// The kernel did not take the reply.
    Send = 1,
    /// There were too many TCP connections.
    TcpLimit = 2,
    /// A TCP peer was idle, slow or cut a message short.
    TcpTimeout = 3,
}

impl DropReason {
    /// All of them, with the value of the label `reason`.
    pub const ALL: [(DropReason, &str); 4] = [
        (DropReason::NotAQuery, "not_a_query"),
        (DropReason::Send, "send"),
        (DropReason::TcpLimit, "tcp_limit"),
        (DropReason::TcpTimeout, "tcp_timeout"),
    ];
}

/// A count or a level that one thread writes and anyone reads.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts `n` more.
    #[inline(always)]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Makes it a level of that height.
    #[inline(always)]
    pub fn set(&self, level: u64) {
        self.0.store(level, Ordering::Relaxed);
    }

    /// What it is now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of one zone.
#[derive(Default)]
struct ZoneCounters {
    /// By transport and type.
    requests: [[Counter; TYPE_NAMES.len()]; Transport::ALL.len()],
    /// By code.
    responses: [Counter; RCODES],
}

/// The counters of one worker.
#[repr(align(128))]
pub struct WorkerCounters {
    queries: Counter,
    /// By zone slot.
    zones: Box<[ZoneCounters; ZONE_SLOTS + 1]>,
    durations: [Counter; DURATION_BUCKETS.len() + 1],
    duration_sum_ns: Counter,
    drops: [Counter; DropReason::ALL.len()],
    tcp_connections: Counter,
}

impl Default for WorkerCounters {
    fn default() -> WorkerCounters {
        WorkerCounters {
            queries: Counter::default(),
            zones: zone_counters(),
            durations: Default::default(),
            duration_sum_ns: Counter::default(),
            drops: Default::default(),
            tcp_connections: Counter::default(),
        }
    }
}

fn zone_counters() -> Box<[ZoneCounters; ZONE_SLOTS + 1]> {
    // Made on the heap: they are many for a stack.
    let counters: Box<[ZoneCounters]> = (0..=ZONE_SLOTS).map(|_| ZoneCounters::default()).collect();
    match counters.try_into() {
        Ok(counters) => counters,
        Err(_) => unreachable!("as many were made"),
    }
}

impl WorkerCounters {
    /// Counts a query and its answer. `zone` is a slot or [`NO_ZONE`].
    #[inline(always)]
    pub fn answered(&self, zone: usize, transport: Transport, qtype: u16, rcode: u8) {
        self.queries.add(1);
        let zone = &self.zones[zone.min(NO_ZONE)];
        zone.requests[transport.index()][type_index(qtype)].add(1);
        if let Some(counter) = zone.responses.get(usize::from(rcode)) {
            counter.add(1);
        }
    }

    /// Counts `n` queries that took `duration` each.
    #[inline]
    pub fn took(&self, n: u64, duration: Duration) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        // 250 µs doubling: the index is a logarithm.
        let bucket = ns.div_ceil(250_000).max(1).next_power_of_two().trailing_zeros() as usize;
        self.durations[bucket.min(DURATION_BUCKETS.len())].add(n);
        self.duration_sum_ns.add(n.wrapping_mul(ns));
    }

    /// Counts what came to nothing.
    #[inline]
    pub fn dropped(&self, reason: DropReason, n: u64) {
        self.drops[reason as usize].add(n);
    }

    /// Notes how many TCP connections are open.
    pub fn set_tcp_connections(&self, n: u64) {
        self.tcp_connections.0.store(n, Ordering::Relaxed);
    }

    /// Queries answered.
    pub fn queries(&self) -> u64 {
        self.queries.get()
    }

    /// Queries by zone slot, transport and type.
    pub fn requests(&self, zone: usize, transport: Transport, type_index: usize) -> u64 {
        self.zones[zone].requests[transport.index()][type_index].get()
    }

    /// Answers by zone slot and code.
    pub fn responses(&self, zone: usize, rcode: usize) -> u64 {
        self.zones[zone].responses[rcode].get()
    }

    /// Answers by bucket of [`DURATION_BUCKETS`], those above all at the end; not cumulative.
    pub fn durations(&self) -> [u64; DURATION_BUCKETS.len() + 1] {
        std::array::from_fn(|i| self.durations[i].get())
    }

    /// All durations together.
    pub fn duration_sum(&self) -> Duration {
        Duration::from_nanos(self.duration_sum_ns.get())
    }

    /// Drops for a reason.
    pub fn drops(&self, reason: DropReason) -> u64 {
        self.drops[reason as usize].get()
    }

    /// Open TCP connections.
    pub fn tcp_connections(&self) -> u64 {
        self.tcp_connections.get()
    }
}

/// The place in [`TYPE_NAMES`] of each type below 256.
const TYPE_INDEXES: [u8; 256] = {
    let counted = [1, 28, 15, 6, 5, 12, 16, 2, 43, 48, 46, 47, 33, 65, 255];
    let mut table = [0; 256];
    let mut i = 0;
    while i < counted.len() {
        table[counted[i]] = i as u8 + 1;
        i += 1;
    }
    table
};
const _: () = assert!(TYPE_NAMES.len() == 16);

#[inline(always)]
fn type_index(qtype: u16) -> usize {
    // The remainder changes nothing; it shows the compiler that no index lies outside.
    TYPE_INDEXES.get(usize::from(qtype)).map_or(0, |index| usize::from(*index) % TYPE_NAMES.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_in_the_bucket_that_bounds_them() {
        for (i, bound) in DURATION_BUCKETS.iter().enumerate() {
            for (ns, expected) in [(bound * 1e9, i), (bound * 1e9 + 1.0, i + 1)] {
                let counters = WorkerCounters::default();
                counters.took(3, Duration::from_nanos(ns as u64));
                assert_eq!(counters.durations()[expected], 3, "{bound}");
            }
        }
    }

    #[test]
    fn a_zone_without_a_slot_is_counted_with_the_rest() {
        let counters = WorkerCounters::default();
        let udp = Transport { tcp: false, ipv6: false };
        counters.answered(usize::MAX, udp, 1, 5);
        assert_eq!((counters.requests(NO_ZONE, udp, 1), counters.responses(NO_ZONE, 5)), (1, 1));
    }
}
