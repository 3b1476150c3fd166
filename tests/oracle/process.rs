//! Servers as child processes, and the directories they live in; both are gone when dropped.

use super::{message, transport, until_within};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long a server may take until it answers for its zones.
const START: Duration = Duration::from_secs(10);
/// How long a server may take to end after SIGTERM.
const STOP: Duration = Duration::from_secs(5);

/// A directory of its own below the system's temporary one.
pub struct TempDir {
    path: PathBuf,
    keep: bool,
}

impl TempDir {
    pub fn new(purpose: &str, keep: bool) -> io::Result<TempDir> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("hivedns-{purpose}-{}-{number}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(TempDir { path, keep })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// A loopback port that is free for both UDP and TCP at this moment.
pub fn free_port() -> io::Result<SocketAddr> {
    for _ in 0..100 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        if UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

/// What a server answers over HTTP to a request for that path, the head before it.
pub fn get(http: SocketAddr, path: &str) -> io::Result<String> {
    let (mut stream, mut text) = (TcpStream::connect(http)?, String::new());
    write!(stream, "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")?;
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// What a hivedns at that address of HTTP has counted, as Prometheus reads it.
pub fn metrics(http: SocketAddr) -> io::Result<String> {
    get(http, "/metrics")
}

/// The sum of the samples of a metric whose labels contain all of these.
pub fn sum(text: &str, metric: &str, labels: &[&str]) -> u64 {
    let samples = text.lines().filter(|line| {
        line.strip_prefix(metric).is_some_and(|rest| {
            rest.starts_with(['{', ' ']) && labels.iter().all(|label| rest.contains(label))
        })
    });
    samples.map(|line| line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok()).expect(line)).sum()
}

/// A running server.
pub struct Server {
    pub name: String,
    pub address: SocketAddr,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `command`, whose output goes to a file in `dir`, and waits until it answers the SOA
    /// query for each of `origins` with NOERROR: a zone that was not loaded is refused or SERVFAIL.
    pub fn start(
        name: &str,
        mut command: Command,
        address: SocketAddr,
        dir: &Path,
        origins: &[Vec<u8>],
    ) -> Result<Server, String> {
        let log = dir.join(format!("{name}.log"));
        let told = |e: io::Error| format!("{name}: {e}");
        let output = File::create(&log).map_err(told)?;
        let errors = output.try_clone().map_err(told)?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
        let child = command.spawn().map_err(told)?;
        let mut server = Server { name: name.into(), address, child, log };
        for origin in origins {
            let query = message::query(7, 0, origin, 6, 1, None);
            let alive = || matches!(server.child.try_wait(), Ok(None));
            if !transport::wait_until(address, &query, START, |reply| reply.rcode() == 0, alive) {
                let ended = server.child.try_wait().ok().flatten();
                let log = server.log();
                let origin = super::names::to_text(origin);
                return Err(format!("{name} does not answer for {origin} ({ended:?})\n{log}"));
            }
        }
        Ok(server)
    }

    /// What the server has said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it at once, as a crash would. Its number stays its own until it is dropped.
    pub fn crash(&mut self) {
        self.child.kill().expect("a child");
    }

    fn signal(&self, signal: &str, target: String) {
        let _ = Command::new("kill").args([signal, "--", &target]).stderr(Stdio::null()).status();
    }
}

impl Drop for Server {
    /// SIGTERM to the server, that it may end its own children; SIGKILL to the group if it is too slow.
    fn drop(&mut self) {
        self.signal("-TERM", self.child.id().to_string());
        until_within(STOP, Duration::from_millis(5), || !matches!(self.child.try_wait(), Ok(None)));
        self.signal("-KILL", format!("-{}", self.child.id()));
        let _ = self.child.wait();
    }
}

/// The server under test with these zones (origin, file), one worker, on loopback ports of its own.
pub fn hivedns(dir: &Path, zones: &[(Vec<u8>, PathBuf)], more: &[&str]) -> Result<Server, String> {
    let ports = free_port().and_then(|dns| Ok((dns, free_port()?)));
    let (address, http) = ports.map_err(|e| format!("hivedns: {e}"))?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_hivedns"));
    command.args(["serve", "--no-docker"]).args([
        "--listen",
        &address.to_string(),
        "--http",
        &http.to_string(),
    ]);
    command.args(["--no-gossip", "--control"]).arg(dir.join(format!("control-{}", address.port())));
    command.args(["--workers", "1"]).args(more).current_dir(dir);
    // Nobody outside of this machine is asked anything.
    command.env("HIVEDNS_FORWARD__.", "refuse");
    // Not the machine's own, and not shared by servers in one directory.
    command.env("HIVEDNS_SERVER__STATE_DIR", dir.join(format!("state-{}", address.port())));
    for (origin, file) in zones {
        command.arg("--zone").arg(format!("{}={}", super::names::to_text(origin), file.display()));
    }
    let origins: Vec<_> = zones.iter().map(|(origin, _)| origin.clone()).collect();
    Server::start("hivedns", command, address, dir, &origins)
}
