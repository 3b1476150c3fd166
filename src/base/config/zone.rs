//! `[[zone]]` and `--zone ORIGIN=FILE`: which zones are read from which files.

use super::error::{ConfigError, Said, Source};
use super::keys::{Key, OfZone, Reach, later};
use super::origin::Origin;
use super::value::{Form, Raw, Value, items};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A zone that is read from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneFile {
    /// The zone's apex.
    pub origin: Origin,
    /// The master file; absolute if the directory it was relative to was.
    pub file: PathBuf,
    /// Where `zone.origin` and `zone.file` were said.
    pub said: Said,
}

/// A zone while its keys are being read.
#[derive(Default)]
pub(super) struct ZoneDraft {
    origin: Option<Origin>,
    file: Option<String>,
    said: Said,
}

pub(super) static ZONE_KEYS: &[Key] = &[
    Key {
        name: "origin",
        doc: "The zone's apex.",
        reach: Reach::OfZone(OfZone {
            put: |draft, raw| {
                draft.origin = Some(Origin::read(raw)?);
                draft.said.note(&raw.key, raw.at.clone());
                Ok(())
            },
            show: |zone| zone.origin.emit(),
        }),
    },
    Key {
        name: "file",
        doc: "The zone's master file; relative to this file's directory.",
        reach: Reach::OfZone(OfZone {
            put: |draft, raw| {
                let file = String::read(raw)?;
                if file.is_empty() {
                    return Err(vec![ConfigError::about(
                        raw.at.clone(),
                        &raw.key,
                        "expected a path, found \"\"",
                    )]);
                }
                draft.file = Some(file);
                draft.said.note(&raw.key, raw.at.clone());
                Ok(())
            },
            // Everything a path comes from is UTF-8: a string of the file, or an argument checked to be.
            show: |zone| zone.file.to_string_lossy().into_owned().emit(),
        }),
    },
    later("primary", "Servers that a secondary transfers the zone from."),
    later("transfer", "Who may transfer the zone."),
    later("update", "Who may update the zone."),
    later("notify", "Who is told of a new serial."),
    later("accept_notify", "Who else but the primaries may tell of a new serial."),
    later("tsig", "The key that signs transfers from the primaries."),
    later("share", "Whether cluster-wide records may stand in the zone."),
    later("catalog", "Whether the zone is a catalog of zones."),
];

impl ZoneDraft {
    /// The zone, its file relative to `directory`; a missing key is complained about at `at`, the whole zone.
    pub(super) fn finish(self, directory: &Path, at: &Source) -> Result<ZoneFile, Vec<ConfigError>> {
        match (self.origin, self.file) {
            (Some(origin), Some(file)) => {
                Ok(ZoneFile { origin, file: directory.join(file), said: self.said })
            }
            (origin, file) => Err([("zone.origin", origin.is_none()), ("zone.file", file.is_none())]
                .into_iter()
                .filter(|(_, missing)| *missing)
                .map(|(key, _)| ConfigError::about(at.clone(), key, "missing; every [[zone]] needs it"))
                .collect()),
        }
    }
}

/// Reads a comma list of `ORIGIN=FILE`, each file relative to `directory`.
pub(super) fn from_text(
    text: &str,
    flag: &'static str,
    directory: &Path,
    errors: &mut Vec<ConfigError>,
) -> Vec<ZoneFile> {
    let at = Source::Flag(flag);
    let mut zones = Vec::new();
    for item in items(text) {
        // A `=` is never part of a host's name, so the first one separates.
        let Some((origin, file)) = item.split_once('=').filter(|(_, file)| !file.is_empty()) else {
            errors.push(ConfigError::about(
                at.clone(),
                "zone",
                format!("expected ORIGIN=FILE, found {item:?}"),
            ));
            continue;
        };
        let raw = Raw { key: "zone.origin".to_owned(), at: at.clone(), form: Form::Text(origin.to_owned()) };
        match Origin::read(&raw) {
            Ok(origin) => {
                let mut said = Said::default();
                said.note("zone.origin", at.clone());
                said.note("zone.file", at.clone());
                zones.push(ZoneFile { origin, file: directory.join(file), said });
            }
            Err(more) => errors.extend(more),
        }
    }
    zones
}

/// Adds `added`, all of one layer, to `zones`, all of the layers below: an origin that both have is taken from
/// `added` (flag over file), an origin twice in `added` is an error.
pub(super) fn add(zones: &mut Vec<ZoneFile>, added: Vec<ZoneFile>, errors: &mut Vec<ConfigError>) {
    let below = zones.len();
    let mut known: HashMap<String, usize> =
        zones.iter().enumerate().map(|(i, zone)| (zone.origin.as_str().to_ascii_lowercase(), i)).collect();
    let mut replaced = vec![false; below];
    for zone in added {
        let at = known.entry(zone.origin.as_str().to_ascii_lowercase()).or_insert(zones.len());
        match replaced.get_mut(*at) {
            _ if *at == zones.len() => zones.push(zone),
            Some(replaced) if !*replaced => {
                *replaced = true;
                zones[*at] = zone;
            }
            _ => errors.push(ConfigError::about(
                zone.said.source("zone.origin"),
                "zone.origin",
                format!("{} is given twice, first at {}", zone.origin, zones[*at].said.source("zone.origin")),
            )),
        }
    }
}
