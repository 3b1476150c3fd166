//! Suffixes that others answer for, though a built-in zone stands above them.

use crate::base::config::Config;
use crate::loader::{Source, ZoneSpec};
use crate::wire::name::Name;
use crate::zone::builtin::BUILTIN;

/// Suffixes of `[forward]` that lie below a built-in zone, none of the operator's between them: they are others' to
/// answer (RFC 6303 §4: what is used inside a site is taken out of the empty zones).
pub(super) fn ceded(config: &Config, specs: &[ZoneSpec]) -> Vec<Name> {
    let mut ceded: Vec<Name> = suffixes(config)
        .filter(|suffix| {
            let above = specs.iter().filter(|spec| suffix.is_at_or_below(&spec.origin));
            let nearest = above.max_by_key(|spec| spec.origin.label_count());
            nearest.is_some_and(|spec| spec.origin != *suffix && is_builtin(&spec.origin, &spec.source))
        })
        .collect();
    ceded.sort();
    ceded
}

/// Suffixes of `[forward]`, in lower-cased wire form, whose name above is a built-in zone's or below one: nobody outside
/// knows it.
pub(super) fn alone(config: &Config) -> Vec<Box<[u8]>> {
    let builtin: Vec<Name> = BUILTIN.iter().filter_map(|(origin, ..)| Name::parse(origin).ok()).collect();
    let is_alone = |suffix: &Name| {
        suffix.parent().is_some_and(|above| builtin.iter().any(|zone| above.is_at_or_below(zone)))
    };
    suffixes(config).filter(is_alone).map(|suffix| suffix.to_lowercase().as_wire().into()).collect()
}

fn suffixes(config: &Config) -> impl Iterator<Item = Name> {
    config.forward.suffixes().iter().filter_map(|suffix| Name::parse(suffix.name.as_str()).ok())
}

/// True for a built-in zone in whose place nobody has put another.
fn is_builtin(origin: &Name, source: &Source) -> bool {
    let is_own = |(builtin, _, _): &(&str, &str, &str)| Name::parse(builtin).as_ref() == Ok(origin);
    matches!(source, Source::Text { .. }) && BUILTIN.iter().any(is_own)
}
