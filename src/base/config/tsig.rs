//! `[[key]]`: the keys that messages are signed with. Secrets stand in files of their own; nobody has read them here.

use super::access::Hmac;
use super::error::{ConfigError, Said, Source};
use super::keys::{Key, OfKey, Reach, later};
use super::origin::Origin;
use super::value::{Raw, Value};
use super::zone::few;
use std::path::{Path, PathBuf};

/// Below this name the cluster's own keys stand, which sign transfers of shared zones. Nobody has the name `invalid`
/// (RFC 6761 §6.4).
const OF_THE_CLUSTER: &str = "share.hivedns.invalid.";

/// A key, but for its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TsigKey {
    /// Its name, which both sides have to use.
    pub name: Origin,
    /// How it signs.
    pub algorithm: Hmac,
    /// The file of its secret in base64; absolute if the directory it was relative to was.
    pub secret_file: PathBuf,
    /// Names that updates may touch that it signs, and what lies below them; none: all.
    pub names: Vec<Origin>,
    /// Types that they may touch, each a mnemonic that nobody has read here; none: all.
    pub types: Vec<String>,
    /// Where its keys were said.
    pub said: Said,
}

impl TsigKey {
    /// The name of the key that is made of the key of the cluster that has this id; the id has to be a label.
    pub fn of_the_cluster(id: &str) -> Option<Origin> {
        Origin::parse(&format!("{id}.{OF_THE_CLUSTER}"))
    }
}

/// A key while its keys are being read.
#[derive(Default)]
pub(super) struct TsigKeyDraft {
    name: Option<Origin>,
    algorithm: Option<Hmac>,
    secret_file: Option<String>,
    names: Vec<Origin>,
    types: Vec<String>,
    said: Said,
}

pub(super) static TSIG_KEYS: &[Key] = &[
    Key {
        name: "name",
        doc: "The key's name, the same on both sides.",
        reach: Reach::OfKey(OfKey {
            put: |draft, raw| {
                draft.name = Some(Origin::read(raw)?);
                draft.note(raw)
            },
            show: |key| key.name.emit(),
        }),
    },
    Key {
        name: "algorithm",
        doc: "How it signs: hmac-sha256, hmac-sha384 or hmac-sha512.",
        reach: Reach::OfKey(OfKey {
            put: |draft, raw| {
                draft.algorithm = Some(Hmac::read(raw)?);
                draft.note(raw)
            },
            show: |key| key.algorithm.emit(),
        }),
    },
    later("secret", "The secret in base64."),
    Key {
        name: "secret_file",
        doc: "File of the secret in base64; relative to this file's directory.",
        reach: Reach::OfKey(OfKey {
            put: |draft, raw| {
                let file = String::read(raw)?;
                if file.is_empty() {
                    let message = "expected a path, found \"\"";
                    return Err(vec![ConfigError::about(raw.at.clone(), &raw.key, message)]);
                }
                draft.secret_file = Some(file);
                draft.note(raw)
            },
            // Everything a path comes from is UTF-8: a string of the file.
            show: |key| key.secret_file.to_string_lossy().into_owned().emit(),
        }),
    },
    Key {
        name: "names",
        doc: "Names that UPDATE may touch with this key, and those below them; none given: all.",
        reach: Reach::OfKey(OfKey {
            put: |draft, raw| {
                draft.names = few(raw)?;
                draft.note(raw)
            },
            show: |key| key.names.emit(),
        }),
    },
    Key {
        name: "types",
        doc: "Types that UPDATE may touch with this key; none given: all.",
        reach: Reach::OfKey(OfKey {
            put: |draft, raw| {
                draft.types = few(raw)?;
                draft.note(raw)
            },
            show: |key| key.types.emit(),
        }),
    },
];

impl TsigKeyDraft {
    fn note(&mut self, raw: &Raw) -> Result<(), Vec<ConfigError>> {
        self.said.note(&raw.key, raw.at.clone());
        Ok(())
    }

    /// The key, its file relative to `directory`; what is missing is complained about at `at`, the whole key.
    pub(super) fn finish(self, directory: &Path, at: &Source) -> Result<TsigKey, Vec<ConfigError>> {
        let TsigKeyDraft { name, algorithm, secret_file, names, types, said } = self;
        match (name, secret_file) {
            (Some(name), Some(_)) if name.as_str().to_ascii_lowercase().ends_with(OF_THE_CLUSTER) => {
                let message = format!(
                    "below {OF_THE_CLUSTER} stand the keys that are made of the cluster's: choose another"
                );
                Err(vec![ConfigError::about(said.source("key.name"), "key.name", message)])
            }
            (Some(name), Some(file)) => {
                let algorithm = algorithm.unwrap_or(Hmac::Sha256);
                Ok(TsigKey { name, algorithm, secret_file: directory.join(file), names, types, said })
            }
            (name, file) => Err([("key.name", name.is_none()), ("key.secret_file", file.is_none())]
                .into_iter()
                .filter(|(_, missing)| *missing)
                .map(|(key, _)| ConfigError::about(at.clone(), key, "missing; every [[key]] needs it"))
                .collect()),
        }
    }
}

/// Adds the keys of the file; a name twice is an error.
pub(super) fn add(keys: &mut Vec<TsigKey>, added: Vec<TsigKey>, errors: &mut Vec<ConfigError>) {
    for key in added {
        let known = keys.iter().find(|known| known.name.is_same(&key.name));
        match known {
            None => keys.push(key),
            Some(first) => errors.push(ConfigError::about(
                key.said.source("key.name"),
                "key.name",
                format!("{} is given twice, first at {}", key.name, first.said.source("key.name")),
            )),
        }
    }
}
