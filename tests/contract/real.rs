//! Real servers on addresses of loopback, each of its own.

use crate::oracle::message::{self, Message};
use crate::oracle::process::TempDir;
use crate::oracle::{names, now};
use crate::{Cluster, Number};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Of one machine's few cores each cluster gets all: leases are counted in seconds.
static ALONE: Mutex<()> = Mutex::new(());
/// Clusters of this process so far: each has loopback addresses of its own.
static CLUSTERS: AtomicU8 = AtomicU8::new(0);
/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(45);
/// How often something outside this process is looked at.
const PACE: Duration = Duration::from_millis(10);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(2);
const A: u16 = 1;
const TXT: u16 = 16;

/// The servers.
pub struct Real {
    nodes: Vec<Node>,
    dir: TempDir,
    site: u8,
    _alone: MutexGuard<'static, ()>,
}

#[derive(Default)]
struct Node {
    child: Option<Child>,
    started: bool,
}

impl Real {
    fn address(&self, node: Number, port: u16) -> SocketAddr {
        SocketAddr::from(([127, 16 + (std::process::id() % 224) as u8, self.site, node as u8 + 1], port))
    }

    fn path(&self, node: Number, file: &str) -> PathBuf {
        self.dir.path().join(format!("n{node}-{file}"))
    }

    fn spawn(&mut self, node: Number, keys: &str) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path(node, "log"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_hivedns"));
        command.env_clear().args(["serve", "--no-docker", "--workers", "1", "--node", &format!("n{node}")]);
        command.env("HIVEDNS_FORWARD__.", "refuse");
        command.args(["--listen", &self.address(node, 5300).to_string()]);
        command.args(["--http", &self.address(node, 5380).to_string()]);
        command.args(["--gossip", &self.address(node, 7953).to_string()]);
        command.arg("--control").arg(self.path(node, "control"));
        command.arg("--state-dir").arg(self.path(node, "state"));
        // Without a zone it would serve the examples.
        let zone = self.dir.path().join("zone");
        fs::write(&zone, "$TTL 60\n@ SOA ns admin 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n").expect("a file");
        command.arg("--zone").arg(format!("example.={}", zone.display()));
        let runs = |other: &Number| *other != node && self.nodes[*other].child.is_some();
        let first: Vec<String> = (0..self.nodes.len())
            .filter(runs)
            .take(1)
            .map(|other| self.address(other, 7953).to_string())
            .collect();
        if !first.is_empty() {
            command.args(["--join", &first.join(",")]);
        }
        command.env("HIVEDNS_SERVICES__LEASE", format!("{}s", Self::LEASE.as_secs()));
        // A record is served for its TTL if that is longer than the lease.
        command.env("HIVEDNS_SERVICES__TTL", "1s");
        command.env("HIVEDNS_GOSSIP__KEYS_FILE", self.dir.path().join(keys));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.expect("a log"));
        self.nodes[node].child = Some(command.spawn().expect("the program"));
        self.nodes[node].started = true;
        let running = |real: &mut Real| real.ask(node, "example.", 6).is_some_and(|reply| reply.rcode() == 0);
        self.until("it answers for its zone", running);
    }

    fn verb(&self, node: Number, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hivedns"));
        command.env_clear().args(arguments).arg("--control").arg(self.path(node, "control"));
        let output = command.stdin(Stdio::null()).output().expect("the program");
        let said = if output.status.success() { output.stdout } else { output.stderr };
        (output.status.code(), String::from_utf8(said).expect("text"))
    }

    fn document(&self, node: Number, verb: &str) -> Value {
        let (_, said) = self.verb(node, &[verb, "--format", "json"]);
        serde_json::from_str(&said).unwrap_or_default()
    }

    /// Over TCP: some answers are large.
    fn ask(&self, node: Number, name: &str, rtype: u16) -> Option<Message> {
        let mut stream = TcpStream::connect(self.address(node, 5300)).ok()?;
        stream.set_read_timeout(Some(ANSWER)).ok()?;
        let query = message::query(7, 0, &names::from_text(name)?, rtype, 1, None);
        stream.write_all(&[&(query.len() as u16).to_be_bytes()[..], &query].concat()).ok()?;
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()?;
        let mut reply = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut reply).ok()?;
        message::decode(&reply).ok()
    }

    /// Waits for the end of a process that was told to end.
    fn ended(&mut self, node: Number) {
        let mut child = self.nodes[node].child.take().expect("it runs");
        assert_eq!(child.wait().expect("it ends").code(), Some(0), "{}", self.story());
    }
}

impl Cluster for Real {
    const LEASE: Duration = Duration::from_secs(3);
    type Instant = Instant;

    fn with_room(nodes: usize) -> Real {
        // A test that failed leaves nothing behind that would matter to the next.
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = TempDir::new("contract", false).expect("a directory");
        for (file, key) in [("right", "a1"), ("wrong", "b2")] {
            fs::write(dir.path().join(file), key.repeat(32)).expect("a file");
        }
        let site = CLUSTERS.fetch_add(1, Ordering::Relaxed);
        Real { nodes: (0..nodes).map(|_| Node::default()).collect(), dir, site, _alone: alone }
    }

    fn start(&mut self, node: Number) {
        self.spawn(node, "right");
    }

    fn start_stranger(&mut self, node: Number) {
        self.spawn(node, "wrong");
    }

    fn set(&mut self, node: Number, name: &str, value: Option<&str>) {
        let name = format!("{name}.hive.internal.");
        let (code, said) = match value {
            Some(value) => {
                let strings: Vec<&str> = value
                    .as_bytes()
                    .chunks(250)
                    .map(|piece| std::str::from_utf8(piece).expect("ASCII"))
                    .collect();
                self.verb(node, &["set", &name, "60", "TXT", &format!("\"{}\"", strings.join("\" \""))])
            }
            None => self.verb(node, &["unset", &name]),
        };
        assert_eq!(code, Some(0), "{said}");
    }

    fn stop(&mut self, node: Number) {
        let id = self.nodes[node].child.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill").success());
        self.ended(node);
    }

    fn leave(&mut self, node: Number) {
        let (code, said) = self.verb(node, &["leave"]);
        assert_eq!(code, Some(0), "{said}");
        self.ended(node);
    }

    fn crash(&mut self, node: Number) {
        let mut child = self.nodes[node].child.take().expect("it runs");
        let _ = (child.kill(), child.wait());
    }

    fn value(&mut self, node: Number, name: &str) -> Option<String> {
        let mut reply = self.ask(node, &format!("{name}.hive.internal."), TXT)?;
        let [record] = &mut reply.sections[0][..] else { return None };
        let (mut value, mut rest) = (Vec::new(), &record.rdata[..]);
        while let Some((length, behind)) = rest.split_first() {
            let (string, behind) = behind.split_at_checked((*length).into())?;
            value.extend_from_slice(string);
            rest = behind;
        }
        String::from_utf8(value).ok()
    }

    fn serves(&mut self, node: Number, other: Number) -> bool {
        let reply = self.ask(node, &format!("n{other}.node.hive.internal."), A);
        reply.is_some_and(|reply| reply.rcode() == 0 && reply.sections[0].len() == 1)
    }

    fn members(&mut self, node: Number) -> Vec<(String, &'static str)> {
        let document = self.document(node, "members");
        let members = document["members"].as_array().map(Vec::as_slice).unwrap_or_default().iter();
        let others = members.filter(|member| member["this"] != true);
        let known = others.map(|member| {
            let words = ["alive", "suspect", "restarting", "down", "left"];
            let health = words.into_iter().find(|word| member["health"] == *word).expect("a health");
            (member["name"].as_str().expect("a name").to_owned(), health)
        });
        known.collect()
    }

    fn is_synced(&mut self, node: Number) -> bool {
        self.document(node, "status")["cluster"]["synced"] == true
    }

    fn pass(&mut self, since: Instant) -> bool {
        let (_nobody_sends, pace) = std::sync::mpsc::channel::<()>();
        let _ = pace.recv_timeout(PACE);
        self.since(since) < PATIENCE
    }

    fn now(&self) -> Instant {
        now()
    }

    fn since(&self, moment: Instant) -> Duration {
        now().duration_since(moment)
    }

    fn story(&self) -> String {
        let started = (0..self.nodes.len()).filter(|node| self.nodes[*node].started);
        started.map(|node| fs::read_to_string(self.path(node, "log")).unwrap_or_default()).collect()
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        for child in self.nodes.iter_mut().filter_map(|node| node.child.as_mut()) {
            let _ = (child.kill(), child.wait());
        }
    }
}
