//! What the configuration says of resolving, made ready for the workers; and what they have found, for users.

use crate::base::config::{Client, Config, ConfigError};
use crate::base::resolv_conf::{RESOLV_CONF, ResolvConf};
use crate::control::asking::Asking;
use crate::control::ceded::alone;
use crate::control::ways;
use crate::loader::hints;
use crate::resolve::body::ExtendedError;
use crate::resolve::cache::Cache;
use crate::resolve::errand::OwnedBody;
use crate::resolve::harvest::Caps;
use crate::resolve::iterate;
use crate::resolve::policy::Policy;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::wire::section::Record;
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
    /// Where a walk from the root begins now.
    pub roots: Roots,
    /// Has the services thread do something.
    pub wish: Box<dyn Fn(Wish) + Send>,
    /// What members are asked for.
    pub asking: Asking,
}

/// What the control thread has the services thread do.
pub enum Wish {
    /// Look for a name from the root and tell each step.
    Explain(Box<Explain>),
    /// Forget what helps to find what is at and below a name, and what failed there: delegations, servers and keys. More
    /// may be forgotten than that.
    Forget(Box<Name>),
    /// Begin all walks there from now on, and forget what was learned before.
    Renew(Box<Roots>),
}

/// How names are resolved from the root on, and what is believed of all names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// What the walk begins with and must not ask.
    pub settings: iterate::Settings,
    /// What is believed without proof; none: nothing is validated.
    pub anchors: Vec<Record>,
    /// What is found by a walk is validated.
    pub validates: bool,
    /// Bounds on what is kept.
    pub caps: Caps,
}

/// A name that a user wants looked for from the root, step by step. Dropped without a word, it tells the user that the
/// server is stopping.
pub struct Explain {
    /// The name.
    pub name: Name,
    /// The type.
    pub rtype: RecordType,
    /// Takes what came of it; must not block.
    pub tell: Box<dyn FnOnce(Explained) + Send>,
}

/// What came of it.
pub struct Explained {
    /// Each step, a line.
    pub steps: Vec<String>,
    /// The answer; of a failure, why.
    pub found: Result<OwnedBody, Option<ExtendedError>>,
}

impl Resolving {
    /// Has all workers ask as the configuration says. What was found by asking elsewhere is forgotten.
    pub(super) fn take_over(&mut self, mut policy: Policy, roots: Roots) {
        let is_new = roots != self.roots;
        policy.epoch = self.policy.load().epoch + u64::from(is_new);
        let policy = policy.after(&self.policy.load());
        let old = self.policy.swap(Arc::new(policy));
        if is_new {
            self.roots = roots.clone();
            (self.wish)(Wish::Renew(Box::new(roots)));
        }
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
    let mut policy = Policy::new(clients, caps, stale, (keeps, prefetch), found.of_suffixes);
    policy.validates_forwarded = config.resolve.validate_forwarded;
    policy.alone = alone(config);
    Ok(policy)
}

/// What part of the cache a walk from the root may take for what it learns of zones and their servers.
const WALK_SHARE: u64 = 8;

/// Where a walk from the root begins, and what it must not ask; the faults of the files, each a line. Warnings go to the
/// log.
pub fn roots(config: &Config, policy: &Policy, listening: &[SocketAddr]) -> Result<Roots, Vec<String>> {
    let (found, faults) = hints::roots(&config.resolve);
    for fault in faults.iter() {
        tracing::warn!("{fault}");
    }
    let Some(found) = found else {
        return Err(faults.iter().map(ToString::to_string).collect());
    };
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
    Ok(Roots { settings, anchors: found.anchors, validates: config.resolve.validate, caps: policy.caps })
}

/// Whether this machine has a way to the addresses of IPv6: asking there in vain costs time. Nothing is sent.
fn has_ipv6() -> bool {
    const ANYWHERE: (&str, u16) = ("2001:500:2::c", 53);
    std::net::UdpSocket::bind("[::]:0").and_then(|socket| socket.connect(ANYWHERE)).is_ok()
}

fn seconds(span: Duration) -> u32 {
    u32::try_from(span.as_secs()).unwrap_or(u32::MAX)
}
