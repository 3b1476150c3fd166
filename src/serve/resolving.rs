//! What workers need to resolve names, and the ways between them and the thread that does their errands.

use crate::base::config::Config;
use crate::control::resolving::{self, Resolving};
use crate::loader::hints;
use crate::os::descriptors;
use crate::resolve::cache::Cache;
use crate::resolve::errand::Delivery;
use crate::resolve::iterate;
use crate::resolve::policy::Policy;
use crate::services::{Deliver, Errands, Roots};
use crate::worker::{Setup, Upstreams, Worker};
use arc_swap::ArcSwap;
use crossbeam::channel::{Sender, unbounded};
use std::net::SocketAddr;
use std::sync::Arc;

/// Slots for upstream sockets of each worker, each of one or two sockets, if the process may have so many: of half as many
/// queries in a row no two leave from the same port.
const PORTS_MAX: u64 = 640;
/// Slots at least: fewer could be guessed.
const PORTS_MIN: u64 = 32;
/// Descriptors for all else: files, listeners, members, streams to other servers.
const DESCRIPTORS_KEPT: u64 = 1_024;

/// Slots for each of so many workers, in a process that may have so many descriptors and leaves some to TCP clients.
fn ports(descriptors: u64, tcp_connections: u64, workers: usize) -> u16 {
    let left = descriptors.saturating_sub(DESCRIPTORS_KEPT + tcp_connections);
    (left / 2 / workers.max(1) as u64).clamp(PORTS_MIN, PORTS_MAX) as u16
}

/// All that resolving needs before the workers start.
pub(super) struct Prepared {
    /// For the control thread.
    pub(super) resolving: Resolving,
    /// One for each worker.
    pub(super) setups: Vec<Setup>,
    /// What is sent there reaches the worker of that number, once it is woken.
    pub(super) deliveries: Vec<Sender<Delivery>>,
    /// What each worker shows of its upstreams.
    pub(super) upstreams: Vec<Upstreams>,
    /// Where a walk from the root begins.
    pub(super) roots: Roots,
}

/// Prepares it; the faults of the configuration, each a line.
pub(super) fn prepare(
    config: &Config,
    listening: Vec<SocketAddr>,
    workers: usize,
    errands: Errands,
) -> Result<Prepared, String> {
    let policy = resolving::policy(config, &listening).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        lines.join("\n")
    })?;
    let roots = roots(config, &policy, &listening)?;
    // A server that asks nobody keeps nothing.
    let size = if policy.asks() { usize::try_from(config.cache.size.0).unwrap_or(usize::MAX) } else { 0 };
    let cache = Arc::new(Cache::new(size.saturating_sub(roots.settings.cache_octets_max)));
    let policy = Arc::new(ArcSwap::from_pointee(policy));
    let tcp_connections = u64::from(config.server.tcp_connections_max.get());
    let ports = ports(descriptors::raise_limit(), tcp_connections, workers);
    let upstreams: Vec<Upstreams> = (0..workers).map(|_| Upstreams::default()).collect();
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..workers).map(|_| unbounded()).unzip();
    let setups =
        receivers.into_iter().zip(&upstreams).enumerate().map(|(worker, (deliveries, upstreams))| {
            let errands = errands.clone();
            Setup {
                policy: Arc::clone(&policy),
                cache: Arc::clone(&cache),
                upstreams: Arc::clone(upstreams),
                ports,
                errands: Box::new(move |errand| errands.take(worker, errand)),
                deliveries,
            }
        });
    let setups = setups.collect();
    Ok(Prepared {
        resolving: Resolving {
            policy,
            cache,
            listening,
            // When nobody takes it any more, it is dropped, and that is an answer too.
            explain: Box::new(move |explain| _ = errands.explain(explain)),
        },
        setups,
        deliveries: senders,
        upstreams,
        roots,
    })
}

/// What part of the cache a walk from the root may take for what it learns of zones and their servers.
const WALK_SHARE: u64 = 8;

/// Where a walk from the root begins, and what it must not ask; the faults of the files, each a line.
fn roots(config: &Config, policy: &Policy, listening: &[SocketAddr]) -> Result<Roots, String> {
    let (found, faults) = hints::roots(&config.resolve);
    for fault in faults.iter() {
        tracing::warn!("{fault}");
    }
    let Some(found) = found else {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        return Err(lines.join("\n"));
    };
    let is_validated = config.resolve.validate;
    let share = if policy.iterates() { config.cache.size.0 / WALK_SHARE } else { 0 };
    let settings = iterate::Settings {
        roots: found.servers.into_iter().map(|server| (server.name, server.addresses)).collect(),
        deny: config.resolve.deny.iter().map(|network| (network.address(), network.prefix())).collect(),
        own: listening.to_vec(),
        port: 53,
        ipv4: true,
        ipv6: has_ipv6(),
        cache_octets_max: usize::try_from(share).unwrap_or(usize::MAX),
    };
    Ok(Roots { settings, anchors: if is_validated { found.anchors } else { Vec::new() }, caps: policy.caps })
}

/// Whether this machine has a way to the addresses of IPv6: asking there in vain costs time. Nothing is sent.
fn has_ipv6() -> bool {
    const ANYWHERE: (&str, u16) = ("2001:500:2::c", 53);
    std::net::UdpSocket::bind("[::]:0").and_then(|socket| socket.connect(ANYWHERE)).is_ok()
}

/// The ways back to the workers.
pub(super) fn ways_back(workers: &[Worker], deliveries: Vec<Sender<Delivery>>) -> Vec<Deliver> {
    let each = workers.iter().zip(deliveries);
    each.map(|(worker, sender)| {
        let wake = worker.waker();
        let deliver: Deliver = Box::new(move |delivery| {
            // A worker that has ended waits for nothing.
            if sender.send(delivery).is_ok() {
                let _ = wake.wake();
            }
        });
        deliver
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstream_sockets_leave_descriptors_to_all_else() {
        assert_eq!(ports(1_048_576, 4_096, 64), 640);
        assert_eq!(ports(8_192, 4_096, 4), 384);
        // There is no fewer, whatever the system says.
        assert_eq!(ports(1_024, 4_096, 2), 32);
    }
}
