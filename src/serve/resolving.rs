//! What workers need to resolve names, and the ways between them and the thread that does their errands.

use crate::base::config::Config;
use crate::control::resolving::{self, Resolving};
use crate::resolve::cache::Cache;
use crate::resolve::errand::Delivery;
use crate::services::{Deliver, Errands};
use crate::worker::{Setup, Upstreams, Worker};
use arc_swap::ArcSwap;
use crossbeam::channel::{Sender, unbounded};
use std::net::SocketAddr;
use std::sync::Arc;

/// Slots for upstream sockets of each worker: so many queries in a row leave from different ports.
const PORTS: u16 = 512;

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
    let policy = Arc::new(ArcSwap::from_pointee(policy));
    let cache = Arc::new(Cache::new(usize::try_from(config.cache.size.0).unwrap_or(usize::MAX)));
    let upstreams: Vec<Upstreams> = (0..workers).map(|_| Upstreams::default()).collect();
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..workers).map(|_| unbounded()).unzip();
    let setups =
        receivers.into_iter().zip(&upstreams).enumerate().map(|(worker, (deliveries, upstreams))| {
            let errands = errands.clone();
            Setup {
                policy: Arc::clone(&policy),
                cache: Arc::clone(&cache),
                upstreams: Arc::clone(upstreams),
                ports: PORTS,
                errands: Box::new(move |errand| errands.take(worker, errand)),
                deliveries,
            }
        });
    let setups = setups.collect();
    Ok(Prepared { resolving: Resolving { policy, cache, listening }, setups, deliveries: senders, upstreams })
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
