//! A member of a test's cluster: a process with an address of its own.

use crate::oracle::message::{self, Message};
use crate::oracle::names::to_text;
use crate::oracle::process::TempDir;
use crate::site::{self, query, until};
use crate::verb::{Said, verb};
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const A: u16 = 1;
const PTR: u16 = 12;
const NOERROR: u8 = 0;

/// The two octets of loopback addresses that belong to a test, told by its directory: of this process, and of this
/// test within it.
pub fn site_of(dir: &Path) -> [u8; 2] {
    let name = dir.file_name().and_then(|name| name.to_str()).expect("a name");
    let numbers: Vec<u32> = name.split('-').filter_map(|part| part.parse().ok()).collect();
    [16 + (numbers[0] % 224) as u8, numbers[1] as u8]
}

/// One member; its process is gone when dropped.
pub struct Node {
    pub name: String,
    pub dns: SocketAddr,
    pub http: SocketAddr,
    pub gossip: SocketAddr,
    pub dir: PathBuf,
    pub lease: &'static str,
    pub keys: Option<PathBuf>,
    /// More of its configuration.
    pub config: Option<PathBuf>,
    /// More to join, by name.
    pub join: Option<String>,
    /// Where others are told to reach it, if that is elsewhere.
    pub advertise: Option<SocketAddr>,
    /// Who may have names resolved, if not the usual ones.
    pub clients: Option<&'static str>,
    pub socket: UdpSocket,
    pub child: Option<Child>,
}

impl Node {
    pub fn new(dir: &Path, number: usize) -> Node {
        let site = site_of(dir);
        let name = format!("n{number}");
        let own = dir.join(&name);
        fs::create_dir_all(&own).expect("a directory");
        // An address of its own: so the usual ports are free, and nobody takes them before the server does.
        let address = |port| SocketAddr::from(([127, site[0], site[1], number as u8 + 1], port));
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
        Node {
            name,
            dns: address(5300),
            http: address(5380),
            gossip: address(7953),
            dir: own,
            lease: "60s",
            keys: None,
            config: None,
            join: None,
            advertise: None,
            clients: None,
            socket,
            child: None,
        }
    }

    pub fn start(&mut self, join: &[SocketAddr]) {
        let join: Vec<String> = join.iter().map(ToString::to_string).chain(self.join.clone()).collect();
        let log = fs::OpenOptions::new().create(true).append(true).open(self.dir.join("log")).expect("a log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_hivedns"));
        command.env_clear().args(["serve", "--no-docker", "--workers", "1", "--node", &self.name]);
        command.env("HIVEDNS_FORWARD__.", "refuse").env("HIVEDNS_SERVICES__REVERSE", "127.0.0.0/8");
        command.args(["--listen", &self.dns.to_string(), "--http", &self.http.to_string()]);
        command.args(["--gossip", &self.gossip.to_string()]);
        command.arg("--control").arg(self.control()).arg("--state-dir").arg(self.dir.join("state"));
        // Without a zone it would serve the examples.
        fs::write(self.dir.join("zone"), site::zone(1, "")).expect("a zone");
        command.arg("--zone").arg(format!("example.={}", self.dir.join("zone").display()));
        if !join.is_empty() {
            command.args(["--join", &join.join(",")]);
        }
        command.env("HIVEDNS_SERVICES__LEASE", self.lease);
        if let Some(config) = &self.config {
            command.arg("-c").arg(config);
        }
        if let Some(advertise) = self.advertise {
            command.env("HIVEDNS_GOSSIP__ADVERTISE", advertise.to_string());
        }
        if let Some(clients) = self.clients {
            command.env("HIVEDNS_LIMITS__CLIENTS", clients);
        }
        if let Some(keys) = &self.keys {
            command.env("HIVEDNS_GOSSIP__KEYS_FILE", keys);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().expect("the program"));
    }

    pub fn control(&self) -> PathBuf {
        self.dir.join("control")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// The answer to a question for addresses, if there is one in time.
    pub fn ask(&self, name: &str) -> Option<Message> {
        self.exchange(&query(7, name, A))
    }

    /// The code, and the name of a node's address.
    pub fn name_of(&self, other: &Node) -> Option<(u8, Option<String>)> {
        let asked = hivedns::wire::reverse::name_of(other.gossip.ip()).to_string();
        let message = self.exchange(&query(7, &asked, PTR))?;
        let told = message.sections[0].first().map(|record| to_text(&record.rdata));
        Some((message.rcode() as u8, told))
    }

    /// The answer to a query, if there is one in time.
    pub fn exchange(&self, query: &[u8]) -> Option<Message> {
        let mut buffer = [0; 4096];
        // What came too late for an earlier question is not the answer to this one.
        self.socket.set_nonblocking(true).expect("a socket");
        while self.socket.recv(&mut buffer).is_ok() {}
        self.socket.set_nonblocking(false).expect("a socket");
        self.socket.send_to(query, self.dns).ok()?;
        let (len, _) = self.socket.recv_from(&mut buffer).ok()?;
        message::decode(&buffer[..len]).ok()
    }

    /// The code and how many addresses.
    pub fn told(&self, name: &str) -> Option<(u8, usize)> {
        self.ask(name).map(|message| (message.rcode() as u8, message.sections[0].len()))
    }

    pub fn verb(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let Said { code, out, err } = verb(&self.control(), arguments);
        (code, out + &err)
    }

    /// The ids of its keys; the first seals.
    pub fn key_ids(&self) -> Vec<String> {
        let (_, said) = self.verb(&["key", "list"]);
        said.split_whitespace().filter(|word| word.len() == 8).map(str::to_owned).collect()
    }

    pub fn is_ready(&self) -> bool {
        self.verb(&["status"]).0 == Some(0)
    }

    pub fn signal(&self, signal: &str) {
        let id = self.child.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().expect("kill").success());
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to end, and waits.
    pub fn stop(&mut self) {
        self.signal("-TERM");
        let status = self.child.take().expect("it runs").wait().expect("it ends");
        assert_eq!(status.code(), Some(0), "{}", self.log());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// So many members that know each other, each joining by the first.
pub fn cluster(dir: &Path, count: usize, adjust: impl Fn(&mut Node)) -> Vec<Node> {
    let mut nodes: Vec<Node> = (0..count).map(|number| Node::new(dir, number)).collect();
    let first = [nodes[0].gossip];
    for (number, node) in nodes.iter_mut().enumerate() {
        adjust(node);
        node.start(if number == 0 { &[] } else { &first });
    }
    for node in &nodes {
        assert!(until(|| node.is_ready()), "{} is not ready:\n{}", node.name, node.log());
    }
    let last = format!("n{}.node.hive.internal.", count - 1);
    assert!(until(|| nodes.iter().all(|node| node.told(&last) == Some((NOERROR, 1)))), "{}", nodes[0].log());
    nodes
}

pub fn dir() -> TempDir {
    TempDir::new("cluster", false).expect("a temporary directory")
}
