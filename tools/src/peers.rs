//! The servers that are compared, and how each is started: one worker, one core, one zone or one upstream, loopback.
//!
//! ```text
//!              Duty::Zone    Duty::Forward
//! hivedns          ×               ×
//! Knot, NSD        ×
//! Unbound, dnsdist                 ×
//! ```

use crate::gun::Rule;
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
    /// Unbound
    Unbound,
    /// dnsdist
    Dnsdist,
}

/// Those that serve zones, in the order of tables and rounds.
pub(crate) const PEERS: [Peer; 4] = [Peer::Echo, Peer::Hivedns, Peer::Knot, Peer::Nsd];
/// Those that ask others and remember, likewise.
pub(crate) const RESOLVERS: [Peer; 4] = [Peer::Echo, Peer::Hivedns, Peer::Unbound, Peer::Dnsdist];

/// What a server is there for.
#[derive(Debug, Clone)]
pub(crate) enum Duty {
    /// To serve a zone: its origin and its master file.
    Zone { origin: String, file: PathBuf },
    /// To ask another server and remember the answers, in so many MiB (dnsdist: as many answers as fill them).
    Forward { upstream: SocketAddr, cache_mib: usize },
}

/// What an answer takes in dnsdist's packet cache, roughly: the cache is counted in answers.
const DNSDIST_ANSWER_OCTETS: usize = 512;

/// Where a server finds what it needs, and where it listens.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    /// A directory of its own for configuration and state.
    pub(crate) directory: PathBuf,
    /// The repository.
    pub(crate) repository: PathBuf,
    /// What the server is there for.
    pub(crate) duty: Duty,
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
            Peer::Unbound => "Unbound",
            Peer::Dnsdist => "dnsdist",
        }
    }

    /// The name in file names.
    pub(crate) fn slug(self) -> &'static str {
        match self {
            Peer::Echo => "echo",
            Peer::Hivedns => "hivedns",
            Peer::Knot => "knot",
            Peer::Nsd => "nsd",
            Peer::Unbound => "unbound",
            Peer::Dnsdist => "dnsdist",
        }
    }

    /// The program that a package brings; nothing for what this repository builds.
    pub(crate) fn program(self) -> Option<&'static str> {
        match self {
            Peer::Echo | Peer::Hivedns => None,
            Peer::Knot => Some("knotd"),
            Peer::Nsd => Some("nsd"),
            Peer::Unbound => Some("unbound"),
            Peer::Dnsdist => Some("dnsdist"),
        }
    }

    /// What its answers are held against.
    pub(crate) fn rule(self) -> Rule {
        match self {
            Peer::Echo => Rule::Echo,
            Peer::Dnsdist => Rule::Proxied,
            Peer::Hivedns | Peer::Knot | Peer::Nsd | Peer::Unbound => Rule::Answer,
        }
    }

    /// The version that the server states.
    pub(crate) fn version(self, repository: &Path) -> String {
        let (program, option) = match self {
            Peer::Echo => return "this repository".into(),
            Peer::Hivedns => (hivedns(repository), "--version"),
            Peer::Knot => ("knotd".into(), "-V"),
            Peer::Nsd => ("nsd".into(), "-v"),
            Peer::Unbound => ("unbound".into(), "-V"),
            Peer::Dnsdist => ("dnsdist".into(), "--version"),
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
        let write = |text: String| fs::write(&configuration, text).map_err(failed);
        let mut command = match (self, &site.duty) {
            (Peer::Echo, _) => {
                let mut command = Command::new(std::env::current_exe().map_err(failed)?);
                command.args(["echo", "--listen", &site.listen.to_string()]);
                command
            }
            (Peer::Hivedns, duty) => {
                let http = SocketAddr::new(site.listen.ip(), site.listen.port() + 1).to_string();
                let mut command = Command::new(hivedns(&site.repository));
                command.args(["serve", "--no-docker", "--listen", &site.listen.to_string()]);
                match duty {
                    Duty::Zone { origin, file } => {
                        command.env("HIVEDNS_FORWARD__.", "refuse");
                        command.arg("--zone").arg(format!("{origin}={}", file.display()));
                    }
                    Duty::Forward { upstream, cache_mib } => {
                        command.env("HIVEDNS_CACHE__SIZE", format!("{cache_mib}MiB"));
                        command.args(["--forward", &upstream.to_string()]);
                    }
                }
                command.args(["--workers", "1", "--http", &http]);
                command.arg("--state-dir").arg(site.directory.join("state"));
                command.arg("--no-gossip").arg("--control").arg(site.directory.join("control"));
                command
            }
            (Peer::Knot, Duty::Zone { origin, file }) => {
                write(knot_configuration(site, origin, file))?;
                let mut command = Command::new("knotd");
                command.arg("-c").arg(&configuration);
                command
            }
            (Peer::Nsd, Duty::Zone { origin, file }) => {
                write(nsd_configuration(site, origin, file))?;
                let mut command = Command::new("nsd");
                command.arg("-d").arg("-c").arg(&configuration);
                command
            }
            (Peer::Unbound, &Duty::Forward { upstream, cache_mib }) => {
                write(unbound_configuration(site, upstream, cache_mib))?;
                let mut command = Command::new("unbound");
                command.arg("-d").arg("-c").arg(&configuration);
                command
            }
            (Peer::Dnsdist, &Duty::Forward { upstream, cache_mib }) => {
                write(dnsdist_configuration(site, upstream, cache_mib))?;
                let mut command = Command::new("dnsdist");
                command.arg("--supervised").arg("-C").arg(&configuration);
                command
            }
            (Peer::Knot | Peer::Nsd, Duty::Forward { .. })
            | (Peer::Unbound | Peer::Dnsdist, Duty::Zone { .. }) => {
                return Err(format!("{} is not compared at that", self.title()));
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
fn knot_configuration(site: &Site, origin: &str, file: &Path) -> String {
    let directory = site.directory.display();
    format!(
        "server:\n    rundir: {directory}\n    listen: {}@{}\n    udp-workers: 1\n    tcp-workers: 1\n    \
         background-workers: 1\n\
         log:\n  - target: stderr\n    any: warning\n\
         database:\n    storage: {directory}\n\
         acl:\n  - id: here\n    address: 127.0.0.0/8\n    action: transfer\n\
         zone:\n  - domain: {}\n    file: {}\n    storage: {directory}\n    journal-content: none\n    \
         zonefile-sync: -1\n    acl: here\n",
        site.listen.ip(),
        site.listen.port(),
        origin,
        file.display(),
    )
}

/// NSD with one server process, without rate limiting (which Debian's package compiles in), state files and control.
fn nsd_configuration(site: &Site, origin: &str, file: &Path) -> String {
    let directory = site.directory.display();
    format!(
        "server:\n    ip-address: {}@{}\n    port: {}\n    server-count: 1\n    reuseport: no\n    username: \"\"\n    \
         zonesdir: \"{directory}\"\n    pidfile: \"\"\n    database: \"\"\n    xfrdfile: \"\"\n    \
         zonelistfile: \"{directory}/nsd.zones\"\n    xfrdir: \"{directory}\"\n    rrl-ratelimit: 0\n    \
         rrl-whitelist-ratelimit: 0\n    verbosity: 0\n    logfile: \"{directory}/nsd.log\"\n\
         remote-control:\n    control-enable: no\n\
         zone:\n    name: \"{}\"\n    zonefile: \"{}\"\n    provide-xfr: 127.0.0.0/8 NOKEY\n",
        site.listen.ip(),
        site.listen.port(),
        site.listen.port(),
        origin,
        file.display(),
    )
}

/// Unbound with one thread. It validates nothing, as hivedns does not validate what it forwards.
fn unbound_configuration(site: &Site, upstream: SocketAddr, cache_mib: usize) -> String {
    let directory = site.directory.display();
    format!(
        "server:\n    directory: \"{directory}\"\n    chroot: \"\"\n    username: \"\"\n    pidfile: \"\"\n    \
         use-syslog: no\n    logfile: \"{directory}/unbound.log\"\n    interface: {}@{}\n    num-threads: 1\n    \
         module-config: \"iterator\"\n    do-not-query-localhost: no\n    access-control: 127.0.0.0/8 allow\n    \
         msg-cache-size: {cache_mib}m\n    rrset-cache-size: {cache_mib}m\n\
         remote-control:\n    control-enable: no\n\
         forward-zone:\n    name: \".\"\n    forward-addr: {}@{}\n",
        site.listen.ip(),
        site.listen.port(),
        upstream.ip(),
        upstream.port(),
    )
}

/// dnsdist with one listener. Its upstream counts as up: what asks for its health would be counted as a miss.
fn dnsdist_configuration(site: &Site, upstream: SocketAddr, cache_mib: usize) -> String {
    let answers = (cache_mib << 20) / DNSDIST_ANSWER_OCTETS;
    format!(
        "setSecurityPollSuffix(\"\")\nsetLocal(\"{}\")\nnewServer({{address=\"{upstream}\"}}):setUp()\n\
         getPool(\"\"):setCache(newPacketCache({answers}, {{maxTTL=86400}}))\n",
        site.listen,
    )
}
