//! What the configuration says of resolving, made ready for the workers; and what they have found, for users.

use crate::base::config::{Client, Config, ConfigError};
use crate::base::resolv_conf::{RESOLV_CONF, ResolvConf};
use crate::control::ways;
use crate::resolve::cache::Cache;
use crate::resolve::harvest::Caps;
use crate::resolve::policy::Policy;
use arc_swap::ArcSwap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What all workers share for resolving.
pub struct Resolving {
    /// Where names are asked for, and for whom.
    pub policy: Arc<ArcSwap<Policy>>,
    /// What was found.
    pub cache: Arc<Cache>,
    /// The addresses that this server listens on: it never asks itself.
    pub listening: Vec<SocketAddr>,
}

impl Resolving {
    /// Has all workers ask as the configuration says. What was found by asking elsewhere is forgotten.
    pub(super) fn take_over(&self, policy: Policy) {
        let policy = policy.after(&self.policy.load());
        let old = self.policy.swap(Arc::new(policy));
        if !old.asks_as(&self.policy.load()) {
            self.cache.flush_all();
        }
    }
}

/// The policy that the configuration asks for. Reads the system's `resolv.conf` if that is asked for; what had to be
/// left out of it is told to the log.
pub fn policy(config: &Config, listening: &[SocketAddr]) -> Result<Policy, Vec<ConfigError>> {
    let system = ResolvConf::read(Path::new(RESOLV_CONF)).unwrap_or_else(|error| {
        tracing::warn!("{RESOLV_CONF}: {error}");
        ResolvConf::default()
    });
    let found = ways::ways(config, &system, listening, ways::is_local)?;
    for warning in found.warnings {
        tracing::warn!("{warning}");
    }
    let caps = Caps {
        ttl_max: seconds(config.cache.ttl_max),
        negative_ttl_max: seconds(config.cache.negative_ttl_max),
    };
    let clients = Client::networks(&config.limits.clients);
    let stale = seconds(config.cache.serve_stale);
    let (keeps, prefetch) = (config.cache.size.0 > 0, config.cache.prefetch);
    Ok(Policy::new(clients, caps, stale, (keeps, prefetch), found.of_suffixes))
}

fn seconds(span: Duration) -> u32 {
    u32::try_from(span.as_secs()).unwrap_or(u32::MAX)
}
