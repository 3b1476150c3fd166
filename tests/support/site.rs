//! A server process of a test's own: configuration, zone files and log in a directory of its own, ports that
//! nobody else has.
//!
//! Each test program uses a part of it.
#![allow(dead_code)]

use crate::oracle::message::{self, Message};
use crate::oracle::process::{self, TempDir, free_port};
use crate::oracle::{names, now, until_within};
use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How long anything may take that is expected to happen.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How long one answer is waited for before the question is asked again.
const ANSWER_WITHIN: Duration = Duration::from_millis(200);
/// How often a condition outside this process is looked at.
const PACE: Duration = Duration::from_millis(5);

/// Waits until `condition` holds; false if it does not in time.
pub fn until(condition: impl FnMut() -> bool) -> bool {
    until_within(PATIENCE, PACE, condition)
}

/// A query without EDNS.
pub fn query(id: u16, name: &str, qtype: u16) -> Vec<u8> {
    message::query(id, 0, &names::from_text(name).expect("a name"), qtype, 1, None)
}

/// The text of a zone that needs only a serial and records.
pub fn zone(serial: u32, records: &str) -> String {
    format!("$TTL 60\n@ SOA ns admin {serial} 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n{records}")
}

/// What to start.
#[derive(Clone)]
pub struct Plan<'a> {
    /// The address listened on, without port.
    pub ip: &'a str,
    pub workers: u32,
    /// More lines of `[server]`.
    pub server: &'a str,
    /// The control socket, if not one in the site's own directory.
    pub control: Option<&'a Path>,
    /// The state directory, if not one in the site's own.
    pub state: Option<&'a Path>,
    /// Lines of `[gossip]`; none: no gossip.
    pub gossip: Option<&'a str>,
    /// Lines of `[forward]`.
    pub forward: &'a str,
    /// Whether containers are learned of; `more` says from where.
    pub docker: bool,
    /// More sections.
    pub more: &'a str,
    /// Origins and texts; one whose text is empty is not waited for.
    pub zones: &'a [(&'a str, String)],
}

impl Default for Plan<'_> {
    fn default() -> Self {
        // Nobody outside of this machine is asked anything.
        let forward = "\".\" = [\"refuse\"]";
        Plan {
            ip: "127.0.0.1",
            workers: 1,
            server: "",
            control: None,
            state: None,
            gossip: None,
            forward,
            docker: false,
            more: "",
            zones: &[],
        }
    }
}

/// A running server; it is gone when dropped.
pub struct Site {
    pub address: SocketAddr,
    dir: TempDir,
    http: SocketAddr,
    control: PathBuf,
    child: Option<Child>,
}

impl Site {
    /// Starts the server and waits until it answers for its zones.
    pub fn start(plan: &Plan<'_>) -> Site {
        // Between choosing a port and binding it somebody else may take it.
        let mut site = (0..5).find_map(|_| Site::spawn(plan)).expect("the server starts");
        for (origin, _) in plan.zones.iter().filter(|(_, text)| text.contains("SOA")) {
            let answers = until(|| site.rcode(origin, 6) == Some(0) || !site.is_alive());
            assert!(answers && site.is_alive(), "no answer for {origin}:\n{}", site.log());
        }
        site
    }

    fn spawn(plan: &Plan<'_>) -> Option<Site> {
        let dir = TempDir::new("live", false).expect("a temporary directory");
        let (address, http) = (free_port().expect("a port"), free_port().expect("a port"));
        let address = SocketAddr::new(plan.ip.parse().expect("an address"), address.port());
        let control = plan.control.map_or_else(|| dir.path().join("control"), Path::to_owned);
        let mut site = Site { address, http, dir, control, child: None };
        for (origin, text) in plan.zones {
            site.write_zone(origin, text);
        }
        let origins: Vec<&str> = plan.zones.iter().map(|(origin, _)| *origin).collect();
        site.write_config(plan, &origins);
        let mut command = Site::command(site.dir.path(), &site.control);
        command.args(plan.gossip.is_none().then_some("--no-gossip"));
        if let Some(state) = plan.state {
            command.env("HIVEDNS_SERVER__STATE_DIR", state);
        }
        command.args((!plan.docker).then_some("--no-docker"));
        site.child = Some(command.spawn().expect("the program"));
        // Any answer will do: that a zone is being loaded, or that a name is not ours.
        let mut answers = false;
        until(|| {
            answers = site.rcode("version.bind.", 16).is_some();
            answers || !site.is_alive()
        });
        assert!(answers || site.log().contains("already in use"), "{}", site.log());
        answers.then_some(site)
    }

    /// `hivedns serve` with its configuration from `dir` and its log to there.
    fn command(dir: &Path, control: &Path) -> Command {
        let log = fs::File::create(dir.join("log")).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_hivedns"));
        command.args(["serve", "-c", "hivedns.toml", "--control"]).arg(control).current_dir(dir);
        command.env("HIVEDNS_SERVER__STATE_DIR", dir.join("state"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command
    }

    /// Where a client on this machine finds it.
    pub fn reachable(&self) -> SocketAddr {
        let ip = if self.address.is_ipv6() { "::1" } else { "127.0.0.1" };
        SocketAddr::new(ip.parse().expect("an address"), self.address.port())
    }

    /// Where its control socket is.
    pub fn control(&self) -> PathBuf {
        self.control.clone()
    }

    /// Where its HTTP service is.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Writes the configuration with these zones.
    pub fn write_config(&self, plan: &Plan<'_>, origins: &[&str]) {
        let zones = origins
            .iter()
            .map(|origin| format!("[[zone]]\norigin = \"{origin}\"\nfile = \"{origin}zone\"\n"));
        let text = format!(
            "[server]\nlisten = [\"{}\"]\nworkers = {}\n{}\n[http]\nlisten = \"{}\"\n[gossip]\n{}\n[forward]\n{}\n{}\n{}",
            self.address,
            plan.workers,
            plan.server,
            self.http,
            plan.gossip.unwrap_or_default(),
            plan.forward,
            plan.more,
            zones.collect::<String>()
        );
        self.replace("hivedns.toml", &text);
    }

    /// Replaces a zone's file whole, as an editor does.
    pub fn write_zone(&self, origin: &str, text: &str) {
        self.replace(&format!("{origin}zone"), text);
    }

    fn replace(&self, file: &str, text: &str) {
        let new = self.path("new");
        fs::write(&new, text).and_then(|()| fs::rename(&new, self.path(file))).expect("a file");
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// What it counted, as Prometheus reads it.
    pub fn metrics(&self) -> String {
        process::metrics(self.http).expect("an answer")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    fn is_alive(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status().expect("kill");
        assert!(sent.success());
    }

    /// Waits for its end.
    pub fn end(&mut self) -> Option<ExitStatus> {
        let mut status = None;
        until(|| {
            status = self.child.as_mut().and_then(|child| child.try_wait().expect("a child"));
            status.is_some()
        });
        status
    }

    pub fn udp(&self) -> UdpSocket {
        let server = self.reachable();
        let ip = if server.is_ipv6() { "::1" } else { "127.0.0.1" };
        let socket = UdpSocket::bind((ip, 0)).expect("loopback");
        socket.connect(server).expect("loopback");
        socket.set_read_timeout(Some(PATIENCE)).expect("an option");
        socket
    }

    pub fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(self.reachable()).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("an option");
        stream.set_write_timeout(Some(PATIENCE)).expect("an option");
        stream.set_nodelay(true).expect("an option");
        stream
    }

    /// Asks once over UDP.
    pub fn ask(&self, name: &str, qtype: u16) -> Message {
        let socket = self.udp();
        socket.send(&query(9, name, qtype)).expect("loopback takes it");
        let mut buffer = [0; 4096];
        let len = socket.recv(&mut buffer).unwrap_or_else(|e| panic!("{name}: {e}\n{}", self.log()));
        message::decode(&buffer[..len]).expect("well formed")
    }

    /// The rcode over UDP; none if nothing listens. Asked again when there is no answer: a server that starts may
    /// have lost the question.
    pub fn rcode(&self, name: &str, qtype: u16) -> Option<u16> {
        let socket = self.udp();
        socket.set_read_timeout(Some(ANSWER_WITHIN)).expect("an option");
        let mut buffer = [0; 4096];
        let deadline = now() + PATIENCE;
        while now() < deadline {
            socket.send(&query(9, name, qtype)).ok()?;
            match socket.recv(&mut buffer) {
                Ok(len) => return message::decode(&buffer[..len]).ok().map(|reply| reply.rcode()),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return None,
            }
        }
        None
    }

    /// The serial of a zone; none if it is not served.
    pub fn serial(&self, origin: &str) -> Option<u32> {
        let reply = self.ask(origin, 6);
        let soa = reply.sections[0].first()?;
        let numbers = soa.rdata.last_chunk::<20>()?;
        numbers.first_chunk().map(|serial| u32::from_be_bytes(*serial))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = (child.kill(), child.wait());
        }
    }
}
