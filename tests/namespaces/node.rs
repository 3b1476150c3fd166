//! A member of the cluster on a host of the LAN: the shipped program, its files, and questions to it.

use crate::lan::{Lan, at};
use crate::oracle::message::{self, Message};
use crate::oracle::process::TempDir;
use crate::oracle::{names, until_within};
use crate::verb::{Said, verb};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The longest that anything may take here: a loss that nobody confirms is suspected for twelve seconds, then the lease
/// counts; and other tests run beside this one.
const PATIENCE: Duration = Duration::from_secs(45);
/// How often a condition outside this process is looked at.
const PACE: Duration = Duration::from_millis(20);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_millis(500);
/// How long a lost node's records are served where that must be over soon.
pub const LEASE: Duration = Duration::from_secs(3);

pub const A: u16 = 1;
pub const TXT: u16 = 16;
pub const NOERROR: u16 = 0;
pub const NXDOMAIN: u16 = 3;
/// What is told of a name that has one record, and of one that is not there.
pub const THERE: Option<(u16, usize)> = Some((NOERROR, 1));
pub const GONE: Option<(u16, usize)> = Some((NXDOMAIN, 0));

/// Waits until `condition` holds; false if it does not in time.
pub fn until(condition: impl FnMut() -> bool) -> bool {
    until_within(PATIENCE, PACE, condition)
}

/// One member; its process is gone when dropped.
pub struct Node {
    host: usize,
    dir: PathBuf,
    keys: PathBuf,
    lease: Duration,
    socket: UdpSocket,
    child: Option<Child>,
}

impl Node {
    fn new(dir: &Path, keys: &Path, lease: Duration, host: usize) -> Node {
        let own = dir.join(format!("n{host}"));
        fs::create_dir_all(&own).expect("a directory");
        let zone = "$TTL 60\n@ SOA ns admin 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n";
        // Without a zone it would serve the examples.
        fs::write(own.join("zone"), zone).expect("a file");
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        socket.connect(at(Lan::way(host), 5300)).expect("a way");
        socket.set_read_timeout(Some(ANSWER)).expect("a timeout");
        Node { host, dir: own, keys: keys.to_owned(), lease, socket, child: None }
    }

    /// Starts it; it joins by the first two.
    pub fn start(&mut self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.dir.join("log"));
        let way = |port| at(Lan::way(self.host), port).to_string();
        let mut command = Lan::on(self.host, env!("CARGO_BIN_EXE_hivedns"));
        command.env("HIVEDNS_FORWARD__.", "refuse");
        command.args(["serve", "--no-docker", "--workers", "1", "--node", &format!("n{}", self.host)]);
        command.args(["--listen", &way(5300), "--http", &way(5380)]);
        command.args(["--gossip", &at(Lan::address(self.host), 7953).to_string()]);
        let joins = [0, 1].into_iter().filter(|host| *host != self.host);
        let joins: Vec<String> = joins.map(|host| at(Lan::address(host), 7953).to_string()).collect();
        command.args(["--join", &joins.join(",")]);
        command.arg("--control").arg(self.control()).arg("--state-dir").arg(self.dir.join("state"));
        command.arg("--zone").arg(format!("example.={}", self.dir.join("zone").display()));
        command.env("HIVEDNS_SERVICES__LEASE", format!("{}ms", self.lease.as_millis()));
        // A record is served for its TTL if that is longer than the lease.
        command.env("HIVEDNS_SERVICES__TTL", "1s").env("HIVEDNS_GOSSIP__KEYS_FILE", &self.keys);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.expect("a log"));
        self.child = Some(command.spawn().expect("the program"));
    }

    fn control(&self) -> PathBuf {
        self.dir.join("control")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// The name of its own address.
    pub fn name(&self) -> String {
        format!("n{}.node.hive.internal.", self.host)
    }

    /// The answer to a question over UDP, if there is one in time.
    pub fn ask(&self, name: &str, rtype: u16) -> Option<Message> {
        let mut buffer = [0; 4096];
        // What came too late for an earlier question is not the answer to this one.
        self.socket.set_nonblocking(true).expect("a socket");
        while self.socket.recv(&mut buffer).is_ok() {}
        self.socket.set_nonblocking(false).expect("a socket");
        self.socket.send(&query(name, rtype)).ok()?;
        let len = self.socket.recv(&mut buffer).ok()?;
        message::decode(&buffer[..len]).ok()
    }

    /// The rcode, and how many addresses.
    pub fn told(&self, name: &str) -> Option<(u16, usize)> {
        self.ask(name, A).map(|message| (message.rcode(), message.sections[0].len()))
    }

    /// The data of the only record of an answer over TCP; none if there is no such record.
    pub fn data(&self, name: &str, rtype: u16) -> Option<Vec<u8>> {
        let mut stream = TcpStream::connect(at(Lan::way(self.host), 5300)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let query = query(name, rtype);
        stream.write_all(&[&(query.len() as u16).to_be_bytes()[..], &query].concat()).ok()?;
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()?;
        let mut reply = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut reply).ok()?;
        match &mut message::decode(&reply).ok()?.sections[0][..] {
            [record] => Some(std::mem::take(&mut record.rdata)),
            _ => None,
        }
    }

    pub fn verb(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let Said { code, out, err } = verb(&self.control(), arguments);
        (code, out + &err)
    }

    /// Tells the cluster, through this node.
    pub fn set(&self, name: &str, rtype: &str, data: &str) {
        let (code, said) = self.verb(&["set", name, "60", rtype, data]);
        assert_eq!(code, Some(0), "{said}");
    }

    /// A line of its metrics is exactly this.
    pub fn counts(&self, line: &str) -> bool {
        let told = |server: SocketAddr| -> std::io::Result<String> {
            let mut stream = TcpStream::connect(server)?;
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        };
        let text = told(at(Lan::way(self.host), 5380)).unwrap_or_default();
        text.lines().any(|found| found == line)
    }

    fn is_ready(&self) -> bool {
        self.verb(&["status"]).0 == Some(0)
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = (child.kill(), child.wait());
        }
    }

    /// Asks it to end, and waits.
    pub fn stop(&mut self) {
        let mut child = self.child.take().expect("it runs");
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill").success());
        let status = child.wait().expect("it ends");
        assert_eq!(status.code(), Some(0), "{}", self.log());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

fn query(name: &str, rtype: u16) -> Vec<u8> {
    message::query(7, 0, &names::from_text(name).expect("a name"), rtype, 1, None)
}

/// Members on all hosts of a LAN, under one key.
pub struct Cluster {
    pub nodes: Vec<Node>,
    _dir: TempDir,
}

impl Cluster {
    /// Starts one on each host, and waits until all know all.
    pub fn start(hosts: usize, lease: Duration) -> Cluster {
        let dir = TempDir::new("namespaces", false).expect("a directory");
        let keys = dir.path().join("keys");
        let key = Command::new(env!("CARGO_BIN_EXE_hivedns")).arg("keygen").output().expect("the program");
        fs::write(&keys, key.stdout).expect("a file");
        let mut nodes: Vec<Node> = (0..hosts).map(|host| Node::new(dir.path(), &keys, lease, host)).collect();
        nodes.iter_mut().for_each(Node::start);
        let cluster = Cluster { nodes, _dir: dir };
        cluster.all_know_all();
        cluster
    }

    /// Every node answers for every node, and is ready.
    pub fn all_know_all(&self) {
        let all = || self.nodes.iter().all(|node| self.knows_all(node) && node.is_ready());
        assert!(until(all), "{}", self.logs());
    }

    /// One node answers for every node.
    pub fn knows_all(&self, node: &Node) -> bool {
        self.nodes.iter().all(|other| node.told(&other.name()) == THERE)
    }

    /// What all said so far.
    pub fn logs(&self) -> String {
        self.nodes.iter().map(|node| format!("n{}:\n{}", node.host, node.log())).collect()
    }
}
