//! What the operator asked for: one TOML file, the environment, the flags; checked, typed, with its origin.
//!
//! Reading order: [`Config`] and [`Inputs`] here; `keys` is the one table that everything else walks;
//! `value` the kinds of values; `file`, `environment` and `zone` the sources; `print` the way back.
//! Precedence: flag, environment, file, default. Loading touches the file system (the file itself, and whether
//! the file of keys can be read) and nothing else: the environment, the directory and the host name come with [`Inputs`], so that the same inputs can be
//! loaded again on a reload. A key that nothing needs yet is known and refused, never accepted and ignored.

mod access;
mod client;
#[cfg(test)]
mod cluster_tests;
mod engine;
mod environment;
mod error;
mod expand;
mod file;
mod forward;
mod keys;
mod nearest;
mod origin;
mod peer;
mod print;
#[cfg(test)]
mod resolver_tests;
mod settle;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod transfer_tests;
mod tsig;
mod value;
mod zone;

pub use access::{Access, Hmac, Peering};
pub use client::Client;
pub use engine::EngineSocket;
pub use error::{ConfigError, Said, Source};
pub use forward::{Forward, Suffix, To, Upstream};
pub use keys::{Cache, Docker, Gossip, Http, Limits, Log, Resolve, Server, Services, Shadow};
pub use origin::Origin;
pub use peer::{Advertise, GOSSIP_PORT, Peer};
pub use print::print;
pub use tsig::TsigKey;
pub use value::{AddressOrder, Bounded, LogFormat, LogLevel, NoneHealthy, Share, Size};
pub use zone::{Content, Shared, ZoneFile};

use crate::base::limits::CONFIG_OCTETS_MAX;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The file that is read when none is named, if it exists.
pub const DEFAULT_FILE: &str = "/etc/hivedns/hivedns.toml";

/// A whole, checked configuration. Equal ones ask for the same, wherever each value was said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// `[server]`; `node` and `identity` are filled in, never empty.
    pub server: Server,
    /// `[services]`; the TTLs are whole seconds.
    pub services: Services,
    /// `[docker]`; if `DOCKER_HOST` says where the engine is, that is in it.
    pub docker: Docker,
    /// `[gossip]`; `keys_file` is absolute if the directory it was relative to was, and could be read.
    pub gossip: Gossip,
    /// `[shadow]`.
    pub shadow: Shadow,
    /// `[forward]`; the root's suffix is always there.
    pub forward: Forward,
    /// `[resolve]`; paths are absolute if the directory they were relative to was. Nobody has read them yet.
    pub resolve: Resolve,
    /// `[cache]`; its times are whole seconds.
    pub cache: Cache,
    /// `[limits]`.
    pub limits: Limits,
    /// `[http]`.
    pub http: Http,
    /// `[log]`.
    pub log: Log,
    /// Every `[[zone]]` and `--zone`, no origin twice.
    pub zones: Vec<ZoneFile>,
    /// Every `[[key]]`, no name twice. Nobody has read the files of their secrets yet.
    pub keys: Vec<TsigKey>,
    /// `--no-gossip`: no cluster traffic at all, whatever `gossip` says.
    pub no_gossip: bool,
    /// `--no-docker`: no engine is watched, whatever `docker` says.
    pub no_docker: bool,
    /// `--control`: the control socket that was asked for. Without it one is looked for where
    /// [`crate::base::control_socket`] says, and the server goes on if there is none.
    pub control: Option<PathBuf>,
    /// True if the built-in example zones are served: no file was found, and nothing that speaks of zones or
    /// upstreams was given.
    pub embedded_examples: bool,
    /// Where each key of the single sections was said.
    pub said: Said,
}

/// Everything that a configuration is made of; kept, to make it again on a reload.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Which file to read.
    pub file: ConfigFile,
    /// The directory that relative paths of the command line start from.
    pub directory: PathBuf,
    /// The system's host name, which names the node if nothing else does.
    pub host_name: String,
    /// The environment: `HIVEDNS_SECTION__KEY`, and what `${VAR}` stands for.
    pub environment: BTreeMap<String, OsString>,
    /// The flags that set a key; `--recurse`, which has no value of its own, with the text `root`.
    pub flags: Vec<Given>,
    /// The zones of the command line, each text a comma list of `ORIGIN=FILE`.
    pub zones: Vec<Given>,
    /// `--control`, a path.
    pub control: Option<PathBuf>,
    /// `--no-gossip`.
    pub no_gossip: bool,
    /// `--no-docker`.
    pub no_docker: bool,
    /// The file of keys that has been read already: this one may be out of reach since.
    pub keys_file: Option<PathBuf>,
}

/// Which configuration file is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigFile {
    /// This one; it must be there.
    Required(PathBuf),
    /// This one, unless it does not exist.
    IfPresent(PathBuf),
    /// None at all.
    Without,
}

/// A flag or argument as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// As the usage names it: `--listen`.
    pub flag: &'static str,
    /// Its value; of a repeated flag all values, separated by commas.
    pub text: String,
}

impl Default for Inputs {
    /// Nothing given at all: the defaults, on a host called `localhost`.
    fn default() -> Inputs {
        Inputs {
            file: ConfigFile::Without,
            directory: PathBuf::from("/"),
            host_name: "localhost".to_owned(),
            environment: BTreeMap::new(),
            flags: Vec::new(),
            zones: Vec::new(),
            control: None,
            no_gossip: false,
            no_docker: false,
            keys_file: None,
        }
    }
}

impl Config {
    /// True if a cluster was asked for: if its address is taken then, the server must not start. Otherwise nobody
    /// said a word of it, and the server goes on alone.
    pub fn gossip_is_asked_for(&self) -> bool {
        let said = |key| self.said.source(key) != Source::Default;
        !self.no_gossip && (said("gossip.bind") || !self.gossip.join.is_empty())
    }

    /// The configuration that the inputs ask for, or everything that is wrong with them.
    pub fn load(inputs: &Inputs) -> Result<Config, Vec<ConfigError>> {
        let (config, errors) = Config::examine(inputs);
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }

    /// The same, but with what is well beside what is wrong: for `check`, which also reads the zones of a
    /// faulty configuration. A faulty key has its default, a faulty zone is missing. **Never serve it.**
    pub fn examine(inputs: &Inputs) -> (Config, Vec<ConfigError>) {
        let path: Option<Arc<Path>> = match &inputs.file {
            ConfigFile::Required(path) | ConfigFile::IfPresent(path) => Some(Arc::from(path.as_path())),
            ConfigFile::Without => None,
        };
        let Some(path) = path else { return Config::assemble(None, inputs) };
        match read_file(&inputs.directory.join(&path)) {
            Ok(octets) => Config::assemble(Some((&path, &octets)), inputs),
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound
                    && matches!(inputs.file, ConfigFile::IfPresent(_)) =>
            {
                Config::assemble(None, inputs)
            }
            Err(error) => {
                let (config, mut errors) = Config::assemble(Some((&path, b"")), inputs);
                let message = format!("{}: {error}", path.display());
                errors.insert(0, ConfigError { at: Source::Default, message });
                (config, errors)
            }
        }
    }

    /// Everything but reading the file: default, file, environment, flags, each over those before it.
    fn assemble(file: Option<(&Arc<Path>, &[u8])>, inputs: &Inputs) -> (Config, Vec<ConfigError>) {
        let mut config = Config::default();
        let mut errors = Vec::new();
        if let Some((path, octets)) = file {
            errors.extend(file::read(octets, path, inputs, &mut config));
        }
        errors.extend(environment::read(inputs, &mut config));
        errors.extend(environment::read_flags(inputs, &mut config));
        errors.extend(engine::read(inputs, &mut config));
        let mut zones = Vec::new();
        for given in &inputs.zones {
            zones.extend(zone::from_text(&given.text, given.flag, &inputs.directory, &mut errors));
        }
        zone::add(&mut config.zones, zones, &mut errors);
        config.no_gossip = inputs.no_gossip;
        config.no_docker = inputs.no_docker;
        config.control = inputs.control.as_ref().map(|path| inputs.directory.join(path));
        let of_upstreams = |given: &Given| forward::FLAGS.contains(&given.flag);
        config.embedded_examples =
            file.is_none() && inputs.zones.is_empty() && !inputs.flags.iter().any(of_upstreams);
        config.settle(inputs, &mut errors);
        (config, errors)
    }
}

/// A duration as the configuration writes it: `250ms`, `5s`, `1h`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    <Duration as value::Value>::parse(text)
}

/// The file's octets; an error if there are more than a configuration can have.
fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    std::fs::File::open(path)?.take(CONFIG_OCTETS_MAX + 1).read_to_end(&mut octets)?;
    if octets.len() as u64 > CONFIG_OCTETS_MAX {
        let message = format!("more than {} MiB: no configuration", CONFIG_OCTETS_MAX >> 20);
        return Err(std::io::Error::other(message));
    }
    Ok(octets)
}
