//! What workers need to resolve names, and the ways between them and the thread that does their errands.

use crate::base::config::Config;
use crate::control::asking::Asking;
use crate::control::resolving::{self, Resolving, Roots};
use crate::control::{Event, Mailbox};
use crate::os::descriptors;
use crate::resolve::cache::Cache;
use crate::resolve::errand::Delivery;
use crate::resolve::policy::Policy;
use crate::services::{Deliver, Errands};
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

/// Octets of the cache, beside those that walks from the root have of it: none for a server that is to ask nobody. One whom
/// the system tells nobody to ask yet will ask after a reload, and its cache stays what it is.
fn cache_octets(config: &Config, of_walks: usize) -> usize {
    let size = if config.forward.asks() { config.cache.size.0 } else { 0 };
    usize::try_from(size).unwrap_or(usize::MAX).saturating_sub(of_walks)
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
    /// For the services thread: where a walk from the root begins, and the policy in force.
    pub(super) walks: (Roots, Arc<ArcSwap<Policy>>),
}

/// Prepares it; the faults of the configuration, each a line.
pub(super) fn prepare(
    config: &Config,
    listening: Vec<SocketAddr>,
    workers: usize,
    (errands, mailbox): (Errands, &Mailbox),
) -> Result<Prepared, String> {
    let policy = resolving::policy(config, &listening).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        lines.join("\n")
    })?;
    let roots = resolving::roots(config, &policy, &listening).map_err(|lines| lines.join("\n"))?;
    let cache = Arc::new(Cache::new(cache_octets(config, roots.settings.cache_octets_max)));
    let policy = Arc::new(ArcSwap::from_pointee(policy));
    let in_force = Arc::clone(&policy);
    let tcp_connections = u64::from(config.server.tcp_connections_max.get());
    let ports = ports(descriptors::raise_limit(), tcp_connections, workers);
    let upstreams: Vec<Upstreams> = (0..workers).map(|_| Upstreams::default()).collect();
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..workers).map(|_| unbounded()).unzip();
    let setups =
        receivers.into_iter().zip(&upstreams).enumerate().map(|(worker, (deliveries, upstreams))| {
            let (errands, mailbox) = (errands.clone(), mailbox.clone());
            Setup {
                policy: Arc::clone(&policy),
                cache: Arc::clone(&cache),
                upstreams: Arc::clone(upstreams),
                ports,
                errands: Box::new(move |errand| errands.take(worker, errand)),
                members: Box::new(move |errand| mailbox.send(Event::AskMember { worker, errand })),
                deliveries,
            }
        });
    let setups = setups.collect();
    Ok(Prepared {
        resolving: Resolving {
            policy,
            cache,
            listening,
            roots: roots.clone(),
            // When nobody takes it any more, it is dropped, and that is an answer too.
            wish: Box::new(move |wish| _ = errands.wish(wish)),
            asking: Asking::new(senders.clone()),
        },
        setups,
        deliveries: senders,
        upstreams,
        walks: (roots, in_force),
    })
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
    use crate::base::config::Inputs;

    #[test]
    fn the_cache_has_its_size_though_the_system_may_name_nobody_to_ask_yet() {
        let octets = |forward: &[(&str, &str)]| {
            let said = |(suffix, to): &(&str, &str)| (format!("HIVEDNS_FORWARD__{suffix}"), to.into());
            let environment = forward.iter().map(said).collect();
            cache_octets(&Config::load(&Inputs { environment, ..Inputs::default() }).unwrap(), 1 << 20)
        };
        assert_eq!(octets(&[]), 63 << 20);
        assert_eq!(octets(&[(".", "resolv.conf")]), 63 << 20);
        assert_eq!(octets(&[(".", "refuse"), ("test", "192.0.2.1")]), 63 << 20);
        assert_eq!(octets(&[(".", "refuse")]), 0);
    }

    #[test]
    fn upstream_sockets_leave_descriptors_to_all_else() {
        assert_eq!(ports(1_048_576, 4_096, 64), 640);
        assert_eq!(ports(8_192, 4_096, 4), 384);
        // There is no fewer, whatever the system says.
        assert_eq!(ports(1_024, 4_096, 2), 32);
    }
}
