//! Reading the configuration and the zones anew. A faulty configuration keeps the whole old state; a zone that is
//! faulty keeps its former content. Zones and the server's identity change; all else waits for the next start, and a
//! warning says so.

use crate::base::config::{Cache, Config, ConfigError, Source};
use crate::catalog::delta::{Delta, ZoneContent};
use crate::control::ceded::ceded;
use crate::control::document::{ReloadDocument, ZoneDocument};
use crate::control::exchange::Secrets;
use crate::control::request::{Answer, Refused, RefusedKind, Reply};
use crate::control::resolving::{self, Roots};
use crate::control::{Control, cluster, zone_specs};
use crate::gossip::secrecy::keyring::Ring;
use crate::os::clock;
use crate::resolve::iterate;
use crate::resolve::policy::Policy;
use crate::transfer::order::Order;
use crate::wire::name::Name;
use std::collections::BTreeSet;
use std::time::Instant;

/// A reload whose zones are being loaded.
pub(super) struct Round {
    since: Instant,
    zones: usize,
    /// Those that came out faulty so far.
    pub(super) faulty: Vec<ZoneDocument>,
    /// Who waits for the end. A reload that overtakes another takes over who waited for that.
    answers: Vec<Answer>,
}

impl Control {
    /// Reads the configuration anew; a faulty one keeps the whole old state.
    pub(super) fn reload(&mut self) -> Result<(), Vec<ConfigError>> {
        let loaded = Config::load(&self.inputs).and_then(|config| self.check_keys(config));
        let loaded = loaded.and_then(|config| {
            let policy = resolving::policy(&config, &self.resolving.listening)?;
            let roots = self.read_roots(&config, &policy)?;
            let secrets = Secrets::read(&config, &self.exchange.secrets)?;
            Ok((policy, roots, secrets, config))
        });
        let (policy, roots, secrets, config) = match loaded {
            Ok(loaded) => loaded,
            Err(errors) => {
                for error in &errors {
                    tracing::error!("{error}");
                }
                tracing::error!("the configuration is faulty: everything stays as it was");
                return Err(errors);
            }
        };
        self.tell_what_waits(&config);
        tracing::info!("reloading");
        self.take_over(config);
        self.exchange.secrets = secrets;
        self.catalogs_anew();
        let followed = self.shares_anew();
        self.exchange_anew();
        for origin in followed {
            let _ = (self.exchange.orders)(Order::Refresh(origin, true));
        }
        self.go_out_or_stay();
        self.resolving.take_over(policy, roots);
        self.state.apply(Delta::Identify { identity: self.config.server.identity.clone() });
        self.load_zones();
        let answers = self.reloading.take().map(|overtaken| overtaken.answers).unwrap_or_default();
        let zones = self.awaited.len();
        self.reloading = Some(Round { since: clock::now(), zones, faulty: Vec::new(), answers });
        Ok(())
    }

    /// The same, for a user who waits until all zones are done.
    pub(super) fn reload_for(&mut self, answer: Answer) -> bool {
        match self.reload() {
            Ok(()) => {
                if let Some(round) = &mut self.reloading {
                    round.answers.push(answer);
                }
                true
            }
            Err(errors) => {
                let details = errors.iter().map(ToString::to_string).collect();
                let error = "the configuration is faulty: everything stays as it was".to_owned();
                answer.give(Err(Refused { kind: RefusedKind::Configuration, error, details }));
                false
            }
        }
    }

    /// Tells that the reload is over once every zone of its round is done **and published**.
    pub(super) fn tell_reloaded(&mut self) {
        if !self.awaited.is_empty() {
            return;
        }
        let Some(round) = self.reloading.take() else { return };
        tracing::info!("reloaded");
        let Round { since, zones, faulty, answers } = round;
        let seconds = clock::now().saturating_duration_since(since).as_secs_f64();
        let document = ReloadDocument { zones, faulty, seconds };
        for answer in answers {
            answer.give(Ok(Reply::Reload(document.clone())));
        }
    }

    /// Takes what a reload changes; all else stays what the server was started with, so that everything goes on
    /// being held against what is true, and the next reload warns again.
    fn take_over(&mut self, new: Config) {
        // An identity that nobody gave is the node's name, which stays.
        if new.said.source("server.identity") != Source::Default {
            self.config.server.identity = new.server.identity;
        } else {
            self.config.server.identity.clone_from(&self.config.server.node);
        }
        (self.config.zones, self.config.keys) = (new.zones, new.keys);
        self.find_zones_anew();
        (self.config.forward, self.config.limits) = (new.forward, new.limits);
        self.config.resolve = new.resolve;
        self.config.cache = Cache { size: self.config.cache.size, ..new.cache };
        self.config.embedded_examples = new.embedded_examples;
    }

    /// Reads the files of root hints and trust anchors anew: a faulty one is a fault of the configuration.
    fn read_roots(&self, config: &Config, policy: &Policy) -> Result<Roots, Vec<ConfigError>> {
        let faulty = |message: String| {
            // Each line names its file.
            let is_anchor = |path: &str| !path.is_empty() && message.starts_with(path);
            let key = match is_anchor(&config.resolve.trust_anchor) {
                true => "resolve.trust_anchor",
                false => "resolve.root_hints",
            };
            ConfigError { at: config.said.source(key), message: format!("{key}: {message}") }
        };
        let faulty = |lines: Vec<String>| lines.into_iter().map(faulty).collect::<Vec<_>>();
        let roots = resolving::roots(config, policy, &self.resolving.listening).map_err(faulty)?;
        // How much a walk may remember was taken out of the cache at the start.
        let cache_octets_max = match self.resolving.roots.settings.cache_octets_max {
            0 => roots.settings.cache_octets_max,
            octets => octets,
        };
        Ok(Roots { settings: iterate::Settings { cache_octets_max, ..roots.settings }, ..roots })
    }

    /// Holds the file of keys, as far as it can still be read, against what was read at the start. A faulty one is a
    /// fault of the configuration; another one waits for the next start.
    fn check_keys(&self, config: Config) -> Result<Config, Vec<ConfigError>> {
        let path = &config.gossip.keys_file;
        // What needs rights that were given up is as it was: `Config::load` has accepted it.
        let Ok(Some(text)) = cluster::read_keys(&config) else { return Ok(config) };
        let ring = Ring::parse(&text).map_err(|fault| {
            let at = config.said.source("gossip.keys_file");
            vec![ConfigError { at, message: format!("gossip.keys_file: {path}: {fault}") }]
        })?;
        if *path == self.config.gossip.keys_file && self.keys.as_ref() != Some(&ring) {
            tracing::warn!(
                key = "gossip.keys_file",
                "the file's content changed, which takes effect at the next start; `hivedns key add` changes the \
                 keys of the running cluster"
            );
        }
        Ok(config)
    }

    /// Warns of what a reload cannot change.
    fn tell_what_waits(&self, new: &Config) {
        let old = &self.config;
        for (key, changed) in [
            ("server.listen", new.server.listen != old.server.listen),
            ("server.node", new.server.node != old.server.node),
            ("server.workers", new.server.workers != old.server.workers),
            ("server.state_dir", new.server.state_dir != old.server.state_dir),
            ("server.user", new.server.user != old.server.user),
            ("server.udp_payload_max", new.server.udp_payload_max != old.server.udp_payload_max),
            ("server.tcp_idle", new.server.tcp_idle != old.server.tcp_idle),
            ("server.tcp_connections_max", new.server.tcp_connections_max != old.server.tcp_connections_max),
            ("services", new.services != old.services),
            ("docker", new.docker != old.docker),
            ("gossip", new.gossip != old.gossip),
            ("cache.size", new.cache.size != old.cache.size),
            ("http.listen", new.http.listen != old.http.listen),
            ("log", new.log != old.log),
        ] {
            if changed {
                tracing::warn!(key, "a changed value takes effect at the next start");
            }
        }
        if new.forward.asks() && (self.resolving.cache.octets() as u64) < old.cache.size.0 / 2 {
            tracing::warn!(
                key = "cache.size",
                "the server was started to ask nobody: its cache stays the smallest until the next start"
            );
        }
    }

    /// Asks for every zone of the configuration, and drops those that are no longer in it.
    pub(super) fn load_zones(&mut self) {
        self.round += 1;
        let specs = zone_specs(&self.config);
        self.state.apply(Delta::Cede { suffixes: ceded(&self.config, &specs) });
        let wanted: BTreeSet<&Name> = specs.iter().map(|spec| &spec.origin).collect();
        let gone: Vec<Name> = self
            .state
            .zones()
            .map(|(origin, _)| origin)
            // What goes out of the domain, and catalogs that are made here, are not loaded.
            .filter(|origin| !wanted.contains(origin) && *origin != self.cluster.domain())
            .filter(|origin| !self.is_made_here(origin))
            .cloned()
            .collect();
        for origin in gone {
            self.awaited.remove(&origin);
            self.exchange.since.remove(&origin);
            self.state.apply(Delta::DropZone { origin });
        }
        let new: Vec<Name> = {
            let known: BTreeSet<&Name> = self.state.zones().map(|(origin, _)| origin).collect();
            wanted.into_iter().filter(|origin| !known.contains(origin)).cloned().collect()
        };
        for origin in new {
            self.state.apply(Delta::PutZone { origin, content: ZoneContent::Pending });
        }
        let changing = specs.iter().filter(|spec| spec.source.changes());
        self.loader.retain(changing.map(|spec| spec.origin.clone()).collect());
        for spec in specs {
            self.awaited.insert(spec.origin.clone(), self.round);
            let old = self.served(&spec.origin);
            self.loader.load(self.round, spec, old);
        }
        self.make_catalogs();
    }
}
