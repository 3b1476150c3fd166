//! What no single value can tell: values that depend on each other or on the system, filled in and checked.

use super::access::Access;
use super::error::{ConfigError, Said, Source};
use super::keys::{Cache, Docker, Gossip, Limits, Resolve, Server, Services, Shadow};
use super::origin::{Origin, is_label};
use super::peer::{Advertise, ENGINE_PORTS};
use super::tsig::TsigKey;
use super::value::Share;
use super::zone::{Content, ZoneFile};
use super::{Config, Inputs};
use crate::base::limits::{
    CACHE_SIZE_OCTETS_MIN, CLUSTER_NAME_OCTETS_MAX, IDENTITY_OCTETS_MAX, JOIN_MAX, KEYS_FILE_OCTETS_MAX,
    NETWORKS_MAX, REVERSE_ZONES_MAX, TTL_SECONDS_MAX,
};
use crate::base::network::Network;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

impl Config {
    /// Fills in what depends on other keys and on the system, and checks what no single value can tell.
    pub(super) fn settle(&mut self, inputs: &Inputs, errors: &mut Vec<ConfigError>) {
        let mut faults = Faults { said: &self.said, errors };
        settle_server(&mut self.server, inputs, &mut faults);
        settle_services(&self.services, &mut faults);
        settle_docker(&self.docker, (&self.shadow, self.no_docker), &mut faults);
        settle_gossip(&mut self.gossip, inputs, &mut faults);
        settle_resolve(&mut self.resolve, inputs, &faults);
        settle_cache(&self.cache, &mut faults);
        settle_lists(&self.resolve, &self.limits, &mut faults);
        settle_sources(&mut self.zones, &self.services.domain, errors);
        settle_zones(&self.zones, &self.keys, errors);
        settle_updates(&self.zones, errors);
        settle_shared(&self.zones, (&self.gossip, self.no_gossip), errors);
    }
}

/// Takes complaints about keys, each with the place where the key was said.
struct Faults<'e> {
    said: &'e Said,
    errors: &'e mut Vec<ConfigError>,
}

impl Faults<'_> {
    fn wrong(&mut self, key: &str, message: impl Display) {
        self.errors.push(ConfigError::about(self.said.source(key), key, message));
    }
}

fn settle_server(server: &mut Server, inputs: &Inputs, faults: &mut Faults<'_>) {
    if !server.state_dir.is_empty() {
        let near = directory_of(&faults.said.source("server.state_dir"), inputs);
        // Everything a path comes from is UTF-8, but for the current directory.
        server.state_dir = near.join(&server.state_dir).to_string_lossy().into_owned();
    }
    if server.node.is_empty() {
        server.node = inputs.host_name.split('.').next().unwrap_or_default().to_owned();
    }
    if !is_label(&server.node) {
        let label = "a label: up to 63 letters, digits and inner hyphens or underscores";
        faults.wrong("server.node", format!("expected {label}, found {:?}", server.node));
    }
    if server.identity.is_empty() {
        server.identity.clone_from(&server.node);
    }
    if server.identity.len() > IDENTITY_OCTETS_MAX {
        faults.wrong("server.identity", format!("expected at most {IDENTITY_OCTETS_MAX} octets"));
    }
    if server.tcp_idle == Duration::ZERO {
        faults.wrong("server.tcp_idle", "expected more than nothing: every connection would be closed");
    }
    if server.listen.is_empty() {
        faults.wrong("server.listen", "expected at least one address");
    }
    for (i, address) in server.listen.iter().enumerate() {
        // Port 0 is a different free port each time.
        if address.port() != 0 && server.listen[..i].contains(address) {
            faults.wrong("server.listen", format!("{address} is given twice"));
        }
    }
}

fn settle_services(services: &Services, faults: &mut Faults<'_>) {
    whole_seconds(
        &[("services.ttl", services.ttl), ("services.negative_ttl", services.negative_ttl)],
        faults,
    );
    let zones = services.reverse.iter().map(Network::reverse_zones).fold(0, u32::saturating_add);
    if zones > REVERSE_ZONES_MAX {
        let found = format!("they are {zones} zones of whole octets or hexadecimal digits");
        faults.wrong(
            "services.reverse",
            format!("expected networks of at most {REVERSE_ZONES_MAX} zones: {found}"),
        );
    }
}

/// An engine that lists all its containers all the time does little else.
const RELIST_MIN: Duration = Duration::from_secs(1);

fn settle_docker(docker: &Docker, (shadow, no_docker): (&Shadow, bool), faults: &mut Faults<'_>) {
    if no_docker && shadow.sample > Share::percent(0) {
        faults.wrong("shadow.sample", "--no-docker leaves nothing to compare with");
    }
    if docker.relist < RELIST_MIN {
        faults.wrong("docker.relist", "expected at least 1s: listing keeps the engine busy");
    }
    if docker.label_prefix.is_empty() {
        faults.wrong(
            "docker.label_prefix",
            "expected a prefix: without one every label would mean this server",
        );
    }
}

/// TTLs are counted in whole seconds (RFC 1035 §3.2.1).
fn whole_seconds(keys: &[(&str, Duration)], faults: &mut Faults<'_>) {
    for &(key, ttl) in keys {
        if ttl.subsec_nanos() != 0 || ttl.as_secs() > u64::from(TTL_SECONDS_MAX) {
            faults.wrong(key, "expected whole seconds");
        }
    }
}

/// Only where the files lie: who reads them tells what is wrong with them.
fn settle_resolve(resolve: &mut Resolve, inputs: &Inputs, faults: &Faults<'_>) {
    for (key, file) in
        [("resolve.root_hints", &mut resolve.root_hints), ("resolve.trust_anchor", &mut resolve.trust_anchor)]
    {
        if !file.is_empty() {
            let near = directory_of(&faults.said.source(key), inputs);
            *file = near.join(&file).to_string_lossy().into_owned();
        }
    }
}

fn settle_cache(cache: &Cache, faults: &mut Faults<'_>) {
    whole_seconds(
        &[
            ("cache.ttl_max", cache.ttl_max),
            ("cache.negative_ttl_max", cache.negative_ttl_max),
            ("cache.serve_stale", cache.serve_stale),
        ],
        faults,
    );
    if (1..CACHE_SIZE_OCTETS_MIN).contains(&cache.size.0) {
        let least = CACHE_SIZE_OCTETS_MIN >> 20;
        faults.wrong("cache.size", format!("expected at least {least}MiB, or 0B for no cache"));
    }
}

fn settle_lists(resolve: &Resolve, limits: &Limits, faults: &mut Faults<'_>) {
    for (key, entries) in [("resolve.deny", resolve.deny.len()), ("limits.clients", limits.clients.len())] {
        if entries > NETWORKS_MAX {
            faults.wrong(key, format!("expected at most {NETWORKS_MAX} networks, found {entries}"));
        }
    }
}

/// The content of the services' domain comes from the cluster, that of all other zones from a file or from other servers.
/// Those for which it is otherwise are left out.
fn settle_sources(zones: &mut Vec<ZoneFile>, domain: &Origin, errors: &mut Vec<ConfigError>) {
    zones.retain(|zone| {
        let (key, message) = match (&zone.content, zone.origin.is_same(domain)) {
            (Content::Cluster, false) => ("zone.file", "missing; every [[zone]] needs it, or zone.primary"),
            (Content::File(_), true) => ("zone.file", OF_THE_CLUSTER),
            (Content::Primaries(_), true) => ("zone.primary", OF_THE_CLUSTER),
            (Content::Catalog, true) => ("zone.catalog", OF_THE_CLUSTER),
            (Content::Cluster, true)
            | (Content::File(_) | Content::Primaries(_) | Content::Catalog, false)
            | (Content::Shared(_), _) => return true,
        };
        errors.push(ConfigError::about(zone.said.source(key), key, message));
        false
    });
}

const OF_THE_CLUSTER: &str = "this is services.domain, whose names come from the cluster: leave it out";

/// Every key that a zone names has to be there.
fn settle_zones(zones: &[ZoneFile], keys: &[TsigKey], errors: &mut Vec<ConfigError>) {
    let is_known = |name: &Origin| keys.iter().any(|key| key.name.is_same(name));
    for zone in zones {
        let listed = |list: &'static str, entries: &[Access]| {
            let named = entries.iter().filter_map(|entry| entry.key.clone());
            named.map(|name| (list, name)).collect::<Vec<_>>()
        };
        let signing = zone.tsig.iter().map(|name| ("zone.tsig", name.clone()));
        let named = signing
            .chain(listed("zone.transfer", &zone.transfer))
            .chain(listed("zone.accept_notify", &zone.accept_notify))
            .chain(listed("zone.update", &zone.update));
        for (at, name) in named.filter(|(_, name)| !is_known(name)) {
            let message = format!("there is no [[key]] of the name {name}");
            errors.push(ConfigError::about(zone.said.source(at), at, message));
        }
    }
}

/// Updates need a place to go to: a primary zone, or the cluster's records.
fn settle_updates(zones: &[ZoneFile], errors: &mut Vec<ConfigError>) {
    for zone in zones.iter().filter(|zone| !zone.update.is_empty()) {
        let why = match &zone.content {
            Content::File(_) | Content::Cluster => continue,
            Content::Primaries(_) | Content::Shared(_) => "a secondary takes no updates: its primary does",
            Content::Catalog => "a catalog is made of the other zones: it takes no updates",
        };
        errors.push(ConfigError::about(zone.said.source("zone.update"), "zone.update", why));
    }
}

/// What is shared is a primary zone, and there has to be a cluster that has a key.
fn settle_shared(zones: &[ZoneFile], (gossip, no_gossip): (&Gossip, bool), errors: &mut Vec<ConfigError>) {
    for zone in zones.iter().filter(|zone| zone.share) {
        let why = match &zone.content {
            Content::File(_) if no_gossip => "with --no-gossip there is nobody to share it with",
            Content::File(_) if gossip.keys_file.is_empty() => {
                "members transfer it with a key that is made of the cluster's: set gossip.keys_file (`hivedns keygen`)"
            }
            Content::File(_) => continue,
            Content::Primaries(_) | Content::Shared(_) => {
                "only a zone from a file is shared: each node can have these primaries itself"
            }
            Content::Cluster => "this is services.domain, which all nodes answer for: leave it out",
            Content::Catalog => "a catalog is made of this node's other zones: it is not shared",
        };
        errors.push(ConfigError::about(zone.said.source("zone.share"), "zone.share", why));
    }
}

fn settle_gossip(gossip: &mut Gossip, inputs: &Inputs, faults: &mut Faults<'_>) {
    let advertised = match gossip.advertise {
        Advertise::At(_, Some(port)) => Some(("gossip.advertise", port)),
        Advertise::Auto | Advertise::At(_, None) => None,
    };
    let joined = gossip.join.iter().map(|peer| ("gossip.join", peer.port));
    for (key, port) in [("gossip.bind", gossip.bind.port())].into_iter().chain(advertised).chain(joined) {
        if ENGINE_PORTS.contains(&port) {
            faults.wrong(key, format!("port {port} belongs to the container engine: choose another"));
        }
    }
    if gossip.join.len() > JOIN_MAX {
        faults.wrong(
            "gossip.join",
            format!("expected at most {JOIN_MAX} members, found {}", gossip.join.len()),
        );
    }
    if !(1..=CLUSTER_NAME_OCTETS_MAX).contains(&gossip.cluster.len()) {
        faults.wrong("gossip.cluster", format!("expected a name of 1 to {CLUSTER_NAME_OCTETS_MAX} octets"));
    }
    if gossip.keys_file.is_empty() {
        return;
    }
    let file = directory_of(&faults.said.source("gossip.keys_file"), inputs).join(&gossip.keys_file);
    match readable(&file) {
        Ok(()) => gossip.keys_file = file.to_string_lossy().into_owned(),
        Err(error)
            if error.kind() == io::ErrorKind::PermissionDenied
                && inputs.keys_file.as_ref() == Some(&file) =>
        {
            gossip.keys_file = file.to_string_lossy().into_owned();
        }
        Err(error) => faults.wrong("gossip.keys_file", format!("{}: {error}", file.display())),
    }
}

/// What a relative path is relative to: the directory of the file that says it, or the current one.
fn directory_of(source: &Source, inputs: &Inputs) -> PathBuf {
    match source {
        Source::File { path, .. } => inputs.directory.join(path.parent().unwrap_or(Path::new(""))),
        Source::Default | Source::Environment(_) | Source::Flag(_) => inputs.directory.clone(),
    }
}

/// Whether the file of keys is one that can be read. What it says is the reader of keys' affair.
fn readable(path: &Path) -> io::Result<()> {
    let mut octets = Vec::new();
    let read = File::open(path)?.take(KEYS_FILE_OCTETS_MAX + 1).read_to_end(&mut octets)?;
    if read as u64 > KEYS_FILE_OCTETS_MAX {
        let message = format!("more than {} KiB: no file of keys", KEYS_FILE_OCTETS_MAX >> 10);
        return Err(io::Error::other(message));
    }
    Ok(())
}
