//! The servers that are compared: how each is configured and started with the same zones.

use crate::oracle::names::to_text;
use crate::oracle::process::{Server, free_port};
use std::fmt::Write;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Zones as all servers get them: origin in wire form, file.
pub type Zones = [(Vec<u8>, PathBuf)];

/// What every server calls itself.
pub const IDENTITY: &str = "peer";

/// Where Debian puts daemons; not on everyone's PATH.
const DAEMONS: [&str; 4] = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"];

/// Installs what is missing, if that can be done; else says what stands in the way.
pub fn ensure_installed() -> Result<(), String> {
    let installed =
        || ["knotd", "nsd", "ldns-signzone", "dnssec-signzone"].iter().all(|it| find(it).is_some());
    if installed() {
        return Ok(());
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/install-peers");
    let output = Command::new(script).output().map_err(|e| format!("{script}: {e}"))?;
    if installed() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().lines().last().unwrap_or("not installed").to_owned())
}

fn find(daemon: &str) -> Option<PathBuf> {
    DAEMONS.iter().map(|dir| Path::new(dir).join(daemon)).find(|path| path.exists())
}

fn command(daemon: &str) -> Result<Command, String> {
    find(daemon).map(Command::new).ok_or(format!("{daemon} is not installed"))
}

/// NSD with one server process and nothing that limits rates.
///
/// `minimal-responses: no`: with `yes` it leaves out the addresses of MX and SRV targets, which both
/// Knot and we add. What it says beyond that, the NS of the apex beside every positive answer, is
/// taken out before comparing.
pub fn nsd(dir: &Path, zones: &Zones) -> Result<Server, String> {
    let address = free_port().map_err(|e| e.to_string())?;
    let dir = home(dir, "nsd")?;
    let mut text = format!(
        "server:\n  server-count: 1\n  ip-address: 127.0.0.1@{port}\n  port: {port}\n  username: \"\"\n  \
         chroot: \"\"\n  zonesdir: \"{dir}\"\n  database: \"\"\n  pidfile: \"{dir}/nsd.pid\"\n  \
         xfrdfile: \"{dir}/xfrd.state\"\n  zonelistfile: \"{dir}/zone.list\"\n  xfrdir: \"{dir}\"\n  \
         identity: \"{IDENTITY}\"\n  version: \"peer\"\n  minimal-responses: no\n  refuse-any: no\n  \
         round-robin: no\n  tcp-count: 100\n  rrl-ratelimit: 0\n  rrl-whitelist-ratelimit: 0\n\
         remote-control:\n  control-enable: no\n",
        port = address.port(),
        dir = dir.display(),
    );
    for (origin, file) in zones {
        let (origin, file) = (to_text(origin), file.display());
        let _ = write!(
            text,
            "zone:\n  name: \"{origin}\"\n  zonefile: \"{file}\"\n  provide-xfr: 127.0.0.1 NOKEY\n"
        );
    }
    let config = written(&dir, "nsd.conf", &text)?;
    let mut command = command("nsd")?;
    command.arg("-d").arg("-c").arg(config);
    start("nsd", command, address, &dir, zones)
}

/// Knot with one thread of each kind and no semantic checks beyond the mandatory ones.
pub fn knot(dir: &Path, zones: &Zones) -> Result<Server, String> {
    let address = free_port().map_err(|e| e.to_string())?;
    let dir = home(dir, "knot")?;
    let mut text = format!(
        "server:\n    rundir: \"{dir}\"\n    listen: 127.0.0.1@{port}\n    udp-workers: 1\n    \
         tcp-workers: 1\n    background-workers: 1\n    identity: \"{IDENTITY}\"\n    version: \"peer\"\n\
         database:\n    storage: \"{dir}/db\"\n    journal-db-max-size: 1M\n\
         log:\n  - target: stderr\n    any: warning\n\
         acl:\n  - id: transfer\n    address: 127.0.0.1\n    action: transfer\n\
         template:\n  - id: default\n    storage: \"{dir}\"\n    zonefile-sync: -1\n    \
         journal-content: none\n    semantic-checks: off\n    acl: transfer\nzone:\n",
        port = address.port(),
        dir = dir.display(),
    );
    for (origin, file) in zones {
        let _ = write!(text, "  - domain: \"{}\"\n    file: \"{}\"\n", to_text(origin), file.display());
    }
    let config = written(&dir, "knot.conf", &text)?;
    let mut command = command("knotd")?;
    command.arg("-c").arg(config);
    start("knot", command, address, &dir, zones)
}

fn start(
    name: &str,
    command: Command,
    address: SocketAddr,
    dir: &Path,
    zones: &Zones,
) -> Result<Server, String> {
    let origins: Vec<_> = zones.iter().map(|(origin, _)| origin.clone()).collect();
    Server::start(name, command, address, dir, &origins)
}

fn home(dir: &Path, name: &str) -> Result<PathBuf, String> {
    let dir = dir.join(name);
    fs::create_dir_all(&dir).map_err(|e| e.to_string())?;
    Ok(dir)
}

fn written(dir: &Path, name: &str, text: &str) -> Result<PathBuf, String> {
    let path = dir.join(name);
    fs::write(&path, text).map(|()| path).map_err(|e: io::Error| e.to_string())
}
