//! Which zones are to be served, and what they are before anything has been loaded.

use crate::base::config::{Config, Content};
use crate::catalog::delta::{Delta, ZoneContent};
use crate::control::ceded::ceded;
use crate::loader::{Source, ZoneSpec};
use crate::wire::name::Name;
use crate::zone::builtin::BUILTIN;
use crate::zone::examples::EXAMPLES;
use std::collections::HashMap;

/// The zones to serve: those of the configuration or the examples, and the built-in ones that have not been
/// configured.
pub fn zone_specs(config: &Config) -> Vec<ZoneSpec> {
    let configured = config.zones.iter().filter_map(|zone| {
        let source = match &zone.content {
            Content::File(file) if zone.share || !zone.update.is_empty() => Source::Updated(file.clone()),
            Content::File(file) if zone.goes_out() => Source::Given(file.clone()),
            Content::File(file) => Source::File(file.clone()),
            Content::Primaries(_) | Content::Shared(_) => Source::Transfers,
            // There is nothing to load: the cluster says it, or it follows from the others.
            Content::Cluster | Content::Catalog => return None,
        };
        Some(ZoneSpec { origin: Name::parse(zone.origin.as_str()).ok()?, source })
    });
    let embedded = |table: &'static [(&'static str, &'static str, &'static str)]| {
        table.iter().filter_map(|(origin, name, text)| {
            Some(ZoneSpec { origin: Name::parse(origin).ok()?, source: Source::Text { name, text } })
        })
    };
    let examples = embedded(EXAMPLES).filter(|_| config.embedded_examples);
    // What somebody else answers for.
    let forwarded: Vec<Name> = (config.forward.suffixes().iter())
        .filter_map(|suffix| Name::parse(suffix.name.as_str()).ok())
        .collect();
    let builtin = embedded(BUILTIN).filter(move |spec| !forwarded.contains(&spec.origin));
    // The built-in ones first: they are small, and a large zone should not keep them waiting.
    let mut specs: Vec<ZoneSpec> = builtin.chain(configured).chain(examples).collect();
    // Of each origin the last: the map's key is cheap to compare where a name is not.
    let mut last = HashMap::with_capacity(specs.len());
    for (at, spec) in specs.iter().enumerate() {
        last.insert(spec.origin.to_lowercase().as_wire().to_vec(), at);
    }
    let mut at = 0;
    specs.retain(|spec| {
        at += 1;
        last.get(spec.origin.to_lowercase().as_wire()) == Some(&(at - 1))
    });
    specs
}

/// The state before anything has been loaded: every zone is pending.
pub fn initial(config: &Config) -> impl Iterator<Item = Delta> {
    let identity = config.server.identity.clone();
    // Built-in ones last: what the operator configured gets counters of its own first.
    let specs = zone_specs(config);
    let suffixes = ceded(config, &specs);
    let mut origins: Vec<Name> = specs.into_iter().map(|spec| spec.origin).collect();
    origins.reverse();
    let zones = origins.into_iter().map(|origin| Delta::PutZone { origin, content: ZoneContent::Pending });
    let networks = config.services.reverse.clone();
    let terms = [Delta::Identify { identity }, Delta::Cede { suffixes }, Delta::Reverse { networks }];
    terms.into_iter().chain(zones)
}
