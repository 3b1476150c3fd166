//! `[[zone]]` and `--zone ORIGIN=FILE`: which zones are served, where their content comes from, and who may have it.

use super::access::{Access, Peering};
use super::error::{ConfigError, Said, Source};
use super::keys::{Key, OfZone, Reach};
use super::origin::Origin;
use super::value::{Form, Raw, Value, items};
use crate::base::limits::ACCESS_ENTRIES_MAX;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where the content of a zone comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A master file; absolute if the directory it was relative to was. This server is a primary.
    File(PathBuf),
    /// These servers, the first that answers; never empty. This server is a secondary.
    Primaries(Vec<SocketAddr>),
    /// The cluster: this is the domain of service names, and only who may have or update it is said here.
    Cluster,
    /// This configuration: a catalog of the zones that have a file in it.
    Catalog,
    /// A node that shares it with its cluster. No configuration says so: it follows from what members tell.
    Shared(Shared),
}

/// Where a zone comes from that another node shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// The id of the node whose version all members have.
    pub publisher: u64,
    /// What that node is called.
    pub by: Box<str>,
    /// Where it answers, then where others do who are likely to have what it gave them. May be empty.
    pub primaries: Vec<SocketAddr>,
    /// How many of those are the publisher's own.
    pub own: usize,
}

/// A zone that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneFile {
    /// The zone's apex.
    pub origin: Origin,
    /// Where its records come from.
    pub content: Content,
    /// Who may transfer it.
    pub transfer: Vec<Access>,
    /// Who is told of a new serial.
    pub notify: Vec<SocketAddr>,
    /// Who else but the primaries may tell of a new serial.
    pub accept_notify: Vec<Access>,
    /// The key that signs what is asked of the primaries and told to others; one of [`super::Config::keys`].
    pub tsig: Option<Origin>,
    /// Who may update it.
    pub update: Vec<Access>,
    /// It lists zones (RFC 9432): with primaries those that come from there, too; alone the ones that have a file here.
    pub catalog: bool,
    /// All members of the cluster are to have it.
    pub share: bool,
    /// The catalog that lists it; none for what the configuration names itself.
    pub member_of: Option<Origin>,
    /// Where its keys were said.
    pub said: Said,
}

impl ZoneFile {
    fn new(origin: Origin, content: Content, said: Said) -> ZoneFile {
        ZoneFile {
            origin,
            content,
            transfer: Access::loopback(),
            notify: Vec::new(),
            accept_notify: Vec::new(),
            tsig: None,
            update: Vec::new(),
            catalog: false,
            share: false,
            member_of: None,
            said,
        }
    }

    /// A zone that this catalog lists: it comes from where the catalog comes from, and goes to where that goes.
    pub fn member(&self, origin: &str) -> Option<ZoneFile> {
        let origin = Origin::parse(origin)?;
        Some(ZoneFile { origin, catalog: false, member_of: Some(self.origin.clone()), ..self.clone() })
    }

    /// True if others than this machine may have it, or are told of it.
    pub fn goes_out(&self) -> bool {
        self.share
            || !self.notify.is_empty()
            || (!self.transfer.is_empty() && self.transfer != Access::loopback())
    }

    /// A zone that another node shares: for whoever signs with one of these keys, the first of which signs here, and for
    /// nobody else.
    pub fn shared(origin: &str, shared: Shared, keys: &[String]) -> Option<ZoneFile> {
        let keys: Vec<Origin> = keys.iter().filter_map(|key| Origin::parse(key)).collect();
        let with_key = |key: &Origin| Access { network: None, key: Some(key.clone()) };
        Some(ZoneFile {
            transfer: keys.iter().map(with_key).collect(),
            tsig: keys.first().cloned(),
            ..ZoneFile::new(Origin::parse(origin)?, Content::Shared(shared), Said::default())
        })
    }

    /// True if the configuration names it itself.
    pub fn is_own(&self) -> bool {
        self.member_of.is_none() && self.share_of().is_none()
    }

    /// Where it comes from, if another node shares it.
    pub fn share_of(&self) -> Option<&Shared> {
        match &self.content {
            Content::Shared(shared) => Some(shared),
            Content::File(_) | Content::Primaries(_) | Content::Cluster | Content::Catalog => None,
        }
    }

    /// True if it comes from other servers.
    pub fn is_secondary(&self) -> bool {
        match &self.content {
            Content::Primaries(_) | Content::Shared(_) => true,
            Content::File(_) | Content::Cluster | Content::Catalog => false,
        }
    }

    /// The file, of a primary.
    pub fn file(&self) -> Option<&Path> {
        match &self.content {
            Content::File(file) => Some(file),
            Content::Primaries(_) | Content::Cluster | Content::Catalog | Content::Shared(_) => None,
        }
    }

    /// The servers that the configuration makes this one a secondary of; none for any other zone.
    pub fn primaries(&self) -> &[SocketAddr] {
        match &self.content {
            Content::Primaries(servers) => servers,
            Content::File(_) | Content::Cluster | Content::Catalog | Content::Shared(_) => &[],
        }
    }
}

/// A zone while its keys are being read.
#[derive(Default)]
pub(super) struct ZoneDraft {
    origin: Option<Origin>,
    file: Option<String>,
    primary: Option<Vec<Peering>>,
    transfer: Option<Vec<Access>>,
    notify: Vec<Peering>,
    accept_notify: Vec<Access>,
    tsig: Option<Origin>,
    update: Vec<Access>,
    catalog: bool,
    share: bool,
    said: Said,
}

/// A key of a zone, one row of [`ZONE_KEYS`].
const fn key(
    name: &'static str,
    doc: &'static str,
    put: fn(&mut ZoneDraft, &Raw) -> Result<(), Vec<ConfigError>>,
    show: fn(&ZoneFile) -> Option<toml_edit::Value>,
) -> Key {
    Key { name, doc, reach: Reach::OfZone(OfZone { put, show }) }
}

pub(super) static ZONE_KEYS: &[Key] = &[
    key(
        "origin",
        "The zone's apex.",
        |draft, raw| {
            draft.origin = Some(Origin::read(raw)?);
            draft.note(raw)
        },
        |zone| Some(zone.origin.emit()),
    ),
    key(
        "file",
        "The zone's master file; relative to this file's directory.",
        |draft, raw| {
            let file = String::read(raw)?;
            if file.is_empty() {
                let message = "expected a path, found \"\"";
                return Err(vec![ConfigError::about(raw.at.clone(), &raw.key, message)]);
            }
            draft.file = Some(file);
            draft.note(raw)
        },
        // Everything a path comes from is UTF-8: a string of the file, or an argument checked to be.
        |zone| zone.file().map(|file| file.to_string_lossy().into_owned().emit()),
    ),
    key(
        "primary",
        "Servers that a secondary transfers the zone from, each with or without a port.",
        |draft, raw| {
            draft.primary = Some(few(raw)?);
            draft.note(raw)
        },
        |zone| match &zone.content {
            Content::File(_) | Content::Cluster | Content::Catalog | Content::Shared(_) => None,
            Content::Primaries(servers) => Some(peers(servers)),
        },
    ),
    key(
        "transfer",
        "Who may transfer the zone: networks, keys (key:NAME), or both joined by +; any entry suffices.",
        |draft, raw| {
            draft.transfer = Some(few(raw)?);
            draft.note(raw)
        },
        |zone| Some(zone.transfer.emit()),
    ),
    key(
        "update",
        "Who may update the zone, as in transfer. Of the domain of services all there is to say.",
        |draft, raw| {
            draft.update = few(raw)?;
            draft.note(raw)
        },
        |zone| Some(zone.update.emit()),
    ),
    key(
        "notify",
        "Servers that are told of a new serial, each with or without a port.",
        |draft, raw| {
            draft.notify = few(raw)?;
            draft.note(raw)
        },
        |zone| Some(peers(&zone.notify)),
    ),
    key(
        "accept_notify",
        "Who else but the primaries may tell of a new serial, as in transfer.",
        |draft, raw| {
            draft.accept_notify = few(raw)?;
            draft.note(raw)
        },
        |zone| Some(zone.accept_notify.emit()),
    ),
    key(
        "tsig",
        "The key that signs what is asked of the primaries, and what is told to others.",
        |draft, raw| {
            draft.tsig = Some(Origin::read(raw)?);
            draft.note(raw)
        },
        |zone| zone.tsig.as_ref().map(Value::emit),
    ),
    key(
        "share",
        "Whether all members of the cluster are to be authoritative for the zone, too.",
        |draft, raw| {
            draft.share = bool::read(raw)?;
            draft.note(raw)
        },
        |zone| Some(zone.share.emit()),
    ),
    key(
        "catalog",
        "Whether the zone is a catalog: with primary, of zones to have too; alone, of the zones with a file.",
        |draft, raw| {
            draft.catalog = bool::read(raw)?;
            draft.note(raw)
        },
        |zone| Some(zone.catalog.emit()),
    ),
];

/// A list that is not longer than any has to be.
pub(super) fn few<T: Value>(raw: &Raw) -> Result<Vec<T>, Vec<ConfigError>> {
    let list = Vec::<T>::read(raw)?;
    if list.len() > ACCESS_ENTRIES_MAX {
        let message = format!("expected at most {ACCESS_ENTRIES_MAX} entries, found {}", list.len());
        return Err(vec![ConfigError::about(raw.at.clone(), &raw.key, message)]);
    }
    Ok(list)
}

fn peers(servers: &[SocketAddr]) -> toml_edit::Value {
    servers.iter().map(|server| Peering(*server).emit()).collect::<toml_edit::Array>().into()
}

impl ZoneDraft {
    fn note(&mut self, raw: &Raw) -> Result<(), Vec<ConfigError>> {
        self.said.note(&raw.key, raw.at.clone());
        Ok(())
    }

    /// The zone, its file relative to `directory`; a missing key is complained about at `at`, the whole zone.
    pub(super) fn finish(mut self, directory: &Path, at: &Source) -> Result<ZoneFile, Vec<ConfigError>> {
        let wrong = |key: &str, message: &str| ConfigError::about(at.clone(), key, message);
        let content = match (self.file, self.primary) {
            (Some(_), _) if self.catalog => {
                let message =
                    "a catalog comes from primaries, or is made of the zones that have a file: leave it out";
                Err(wrong("zone.file", message))
            }
            (Some(file), None) => Ok(Content::File(directory.join(file))),
            (None, Some(servers)) if !servers.is_empty() => {
                Ok(Content::Primaries(servers.iter().map(|server| server.0).collect()))
            }
            (None, Some(_)) => Err(wrong("zone.primary", "expected at least one server")),
            (Some(_), Some(_)) => {
                Err(wrong("zone.primary", "a zone has a file or primaries, not both: which is its source?"))
            }
            (None, None) if self.catalog => Ok(Content::Catalog),
            (None, None) if self.origin.is_none() => {
                Err(wrong("zone.file", "missing; every [[zone]] needs it, or zone.primary"))
            }
            // Whether it is the domain, which needs neither, is known when all keys are.
            (None, None) => {
                self.said.note("zone.file", at.clone());
                Ok(Content::Cluster)
            }
        };
        let origin = self.origin.ok_or_else(|| wrong("zone.origin", "missing; every [[zone]] needs it"));
        match (origin, content) {
            (Ok(origin), Ok(content)) => Ok(ZoneFile {
                // What goes out of the domain costs all nodes something: somebody has to want it.
                transfer: self.transfer.unwrap_or_else(|| match content {
                    Content::Cluster => Vec::new(),
                    Content::File(_) | Content::Primaries(_) | Content::Catalog | Content::Shared(_) => {
                        Access::loopback()
                    }
                }),
                notify: self.notify.iter().map(|server| server.0).collect(),
                accept_notify: self.accept_notify,
                tsig: self.tsig,
                update: self.update,
                catalog: self.catalog,
                share: self.share,
                ..ZoneFile::new(origin, content, self.said)
            }),
            (origin, content) => Err(origin.err().into_iter().chain(content.err()).collect()),
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
                zones.push(ZoneFile::new(origin, Content::File(directory.join(file)), said));
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
