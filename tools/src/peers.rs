//! The servers that are compared, and how each is started: one worker, one core, one zone, loopback.

use crate::process::Server;
use serde::{Deserialize, Serialize};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A server that can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Peer {
    /// The socket work alone
    Echo,
    /// This repository's server
    Hivedns,
    /// Knot DNS
    Knot,
    /// NSD
    Nsd,
}

/// All of them, in the order of tables and rounds.
pub(crate) const PEERS: [Peer; 4] = [Peer::Echo, Peer::Hivedns, Peer::Knot, Peer::Nsd];

/// Where a server finds what it needs, and where it listens.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    /// A directory of its own for configuration and state.
    pub(crate) directory: PathBuf,
    /// The repository.
    pub(crate) repository: PathBuf,
    /// The zone's origin.
    pub(crate) origin: String,
    /// The zone's master file.
    pub(crate) zone: PathBuf,
    /// The address to listen on; the next port serves hivedns's metrics.
    pub(crate) listen: SocketAddr,
}

impl Peer {
    /// The name in tables.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Peer::Echo => "echo",
            Peer::Hivedns => "hivedns",
            Peer::Knot => "Knot DNS",
            Peer::Nsd => "NSD",
        }
    }

    /// The name in file names.
    pub(crate) fn slug(self) -> &'static str {
        match self {
            Peer::Echo => "echo",
            Peer::Hivedns => "hivedns",
            Peer::Knot => "knot",
            Peer::Nsd => "nsd",
        }
    }

    /// The version that the server states.
    pub(crate) fn version(self, repository: &Path) -> String {
        let (program, option) = match self {
            Peer::Echo => return "this repository".into(),
            Peer::Hivedns => (hivedns(repository), "--version"),
            Peer::Knot => ("knotd".into(), "-V"),
            Peer::Nsd => ("nsd".into(), "-v"),
        };
        let Ok(output) = Command::new(&program).arg(option).output() else { return "unknown".into() };
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).lines().next().unwrap_or("unknown").to_owned()
    }

    /// The command that serves the site in the foreground; writes the configuration it needs.
    pub(crate) fn command(self, site: &Site) -> Result<Command, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", site.directory.display());
        fs::create_dir_all(&site.directory).map_err(failed)?;
        let configuration = site.directory.join(format!("{}.conf", self.slug()));
        let mut command = match self {
            Peer::Echo => {
                let mut command = Command::new(std::env::current_exe().map_err(failed)?);
                command.args(["echo", "--listen", &site.listen.to_string()]);
                command
            }
            Peer::Hivedns => {
                let zone = format!("{}={}", site.origin, site.zone.display());
                let http = SocketAddr::new(site.listen.ip(), site.listen.port() + 1).to_string();
                let mut command = Command::new(hivedns(&site.repository));
                command.env("HIVEDNS_FORWARD__.", "refuse");
                command.args(["serve", "--listen", &site.listen.to_string(), "--zone", &zone]);
                command.args(["--workers", "1", "--http", &http]);
                command.arg("--state-dir").arg(site.directory.join("state"));
                command.arg("--no-gossip").arg("--control").arg(site.directory.join("control"));
                command
            }
            Peer::Knot => {
                fs::write(&configuration, knot_configuration(site)).map_err(failed)?;
                let mut command = Command::new("knotd");
                command.arg("-c").arg(&configuration);
                command
            }
            Peer::Nsd => {
                fs::write(&configuration, nsd_configuration(site)).map_err(failed)?;
                let mut command = Command::new("nsd");
                command.arg("-d").arg("-c").arg(&configuration);
                command
            }
        };
        command.current_dir(&site.directory);
        Ok(command)
    }

    /// Starts it on a core.
    pub(crate) fn start(self, core: usize, site: &Site) -> Result<Server, String> {
        Server::start(core, &self.command(site)?).map_err(|error| format!("{}: {error}", self.title()))
    }
}

/// The server's own binary.
pub(crate) fn hivedns(repository: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    repository.join(target).join("release/hivedns")
}

/// Knot with one worker of each sort; the rest is its default.
fn knot_configuration(site: &Site) -> String {
    let directory = site.directory.display();
    format!(
        "server:\n    rundir: {directory}\n    listen: {}@{}\n    udp-workers: 1\n    tcp-workers: 1\n    \
         background-workers: 1\n\
         log:\n  - target: stderr\n    any: warning\n\
         database:\n    storage: {directory}\n\
         zone:\n  - domain: {}\n    file: {}\n    storage: {directory}\n    journal-content: none\n    \
         zonefile-sync: -1\n",
        site.listen.ip(),
        site.listen.port(),
        site.origin,
        site.zone.display(),
    )
}

/// NSD with one server process, without rate limiting (which Debian's package compiles in), state files and control.
fn nsd_configuration(site: &Site) -> String {
    let directory = site.directory.display();
    format!(
        "server:\n    ip-address: {}@{}\n    port: {}\n    server-count: 1\n    reuseport: no\n    username: \"\"\n    \
         zonesdir: \"{directory}\"\n    pidfile: \"\"\n    database: \"\"\n    xfrdfile: \"\"\n    \
         zonelistfile: \"{directory}/nsd.zones\"\n    xfrdir: \"{directory}\"\n    rrl-ratelimit: 0\n    \
         rrl-whitelist-ratelimit: 0\n    verbosity: 0\n    logfile: \"{directory}/nsd.log\"\n\
         remote-control:\n    control-enable: no\n\
         zone:\n    name: \"{}\"\n    zonefile: \"{}\"\n",
        site.listen.ip(),
        site.listen.port(),
        site.listen.port(),
        site.origin,
        site.zone.display(),
    )
}
