//! Real servers on loopback that are one cluster: what one is told all answer, what is lost is kept for its lease,
//! and what comes back is there at once.
#![allow(unreachable_pub, reason = "a test program has no outside")]

#[path = "oracle/mod.rs"]
mod oracle;
#[path = "support/site.rs"]
mod site;

use oracle::message::Message;
use oracle::now;
use oracle::process::TempDir;
use site::{query, until};
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const A: u16 = 1;
const NOERROR: u8 = 0;
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;

/// Who measures how long something takes must not run beside fifty processes.
static QUIET: Mutex<()> = Mutex::new(());

fn quiet() -> MutexGuard<'static, ()> {
    // A test that failed leaves nothing behind that would matter to the next.
    QUIET.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The two octets of loopback addresses that belong to a test, told by its directory: of this process, and of this
/// test within it.
fn site_of(dir: &Path) -> [u8; 2] {
    let name = dir.file_name().and_then(|name| name.to_str()).expect("a name");
    let numbers: Vec<u32> = name.split('-').filter_map(|part| part.parse().ok()).collect();
    [16 + (numbers[0] % 224) as u8, numbers[1] as u8]
}

/// One member; its process is gone when dropped.
struct Node {
    name: String,
    dns: SocketAddr,
    http: SocketAddr,
    gossip: SocketAddr,
    dir: PathBuf,
    lease: &'static str,
    keys: Option<PathBuf>,
    socket: UdpSocket,
    child: Option<Child>,
}

impl Node {
    fn new(dir: &Path, number: usize) -> Node {
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
            socket,
            child: None,
        }
    }

    fn start(&mut self, join: &[SocketAddr]) {
        let join: Vec<String> = join.iter().map(ToString::to_string).collect();
        let log = fs::OpenOptions::new().create(true).append(true).open(self.dir.join("log")).expect("a log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_hivedns"));
        command.env_clear().args(["serve", "--workers", "1", "--node", &self.name]);
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
        if let Some(keys) = &self.keys {
            command.env("HIVEDNS_GOSSIP__KEYS_FILE", keys);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().expect("the program"));
    }

    fn control(&self) -> PathBuf {
        self.dir.join("control")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// The answer to a question, if there is one in time.
    fn ask(&self, name: &str) -> Option<Message> {
        let mut buffer = [0; 4096];
        // What came too late for an earlier question is not the answer to this one.
        self.socket.set_nonblocking(true).expect("a socket");
        while self.socket.recv(&mut buffer).is_ok() {}
        self.socket.set_nonblocking(false).expect("a socket");
        self.socket.send_to(&query(7, name, A), self.dns).ok()?;
        let (len, _) = self.socket.recv_from(&mut buffer).ok()?;
        oracle::message::decode(&buffer[..len]).ok()
    }

    /// The code and how many addresses.
    fn told(&self, name: &str) -> Option<(u8, usize)> {
        self.ask(name).map(|message| (message.rcode() as u8, message.sections[0].len()))
    }

    fn verb(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hivedns"));
        command.env_clear().args(arguments).arg("--control").arg(self.control());
        let output = command.stdin(Stdio::null()).output().expect("the program");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).expect("text"))
    }

    fn is_ready(&self) -> bool {
        self.verb(&["status"]).0 == Some(0)
    }

    fn signal(&self, signal: &str) {
        let id = self.child.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().expect("kill").success());
    }

    /// Ends it at once, as a crash would.
    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to end, and waits.
    fn stop(&mut self) {
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
fn cluster(dir: &Path, count: usize, adjust: impl Fn(&mut Node)) -> Vec<Node> {
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

fn dir() -> TempDir {
    TempDir::new("cluster", false).expect("a temporary directory")
}

#[test]
fn what_one_is_told_all_five_answer_within_200_milliseconds() {
    let _quiet = quiet();
    let dir = dir();
    let nodes = cluster(dir.path(), 5, |_| {});
    let set = now();
    let (code, said) = nodes[1].verb(&["set", "www.hive.internal.", "60", "A", "192.0.2.1", "192.0.2.2"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(until(|| nodes.iter().all(|node| node.told("www.hive.internal.") == Some((NOERROR, 2)))));
    let took = now().duration_since(set);
    assert!(took < Duration::from_millis(200), "{took:?}");
    let (code, _) = nodes[3].verb(&["unset", "www.hive.internal.", "A", "192.0.2.1"]);
    assert_eq!(code, Some(0));
    assert!(until(|| nodes.iter().all(|node| node.told("www.hive.internal.") == Some((NOERROR, 1)))));
    let (code, _) = nodes[0].verb(&["unset", "www.hive.internal."]);
    assert_eq!(code, Some(0));
    assert!(until(|| nodes.iter().all(|node| node.told("www.hive.internal.") == Some((NXDOMAIN, 0)))));
    let (code, said) = nodes[0].verb(&["unset", "www.hive.internal."]);
    assert_eq!(code, Some(1), "{said}");
}

#[test]
fn a_killed_node_is_answered_for_until_its_lease_is_over_and_is_back_at_once() {
    let _quiet = quiet();
    let dir = dir();
    let mut nodes = cluster(dir.path(), 5, |node| node.lease = "6s");
    let lost = "n3.node.hive.internal.";
    nodes[3].kill();
    let killed = now();
    let others = |nodes: &[Node]| -> Vec<Option<(u8, usize)>> {
        [0, 1, 2, 4].iter().map(|n| nodes[*n].told(lost)).collect()
    };
    // Whatever the detection takes, the lease counts from then on: nobody may stop answering before it is over.
    while now().duration_since(killed) < Duration::from_secs(6) {
        assert!(others(&nodes).iter().all(|told| *told == Some((NOERROR, 1))), "{}", nodes[0].log());
    }
    assert!(until(|| others(&nodes).iter().all(|told| *told == Some((NXDOMAIN, 0)))), "{}", nodes[0].log());
    let first = [nodes[0].gossip];
    nodes[3].start(&first);
    let started = now();
    assert!(until(|| others(&nodes).iter().all(|told| *told == Some((NOERROR, 1)))), "{}", nodes[3].log());
    let took = now().duration_since(started);
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn a_restart_changes_no_answer() {
    let _quiet = quiet();
    let dir = dir();
    let mut nodes = cluster(dir.path(), 4, |_| {});
    assert_eq!(nodes[0].verb(&["set", "www.hive.internal.", "60", "A", "192.0.2.1"]).0, Some(0));
    let names = ["www.hive.internal.", "n2.node.hive.internal."];
    let same = |nodes: &[Node]| {
        for n in [0, 1, 3] {
            for name in names {
                assert_eq!(nodes[n].told(name), Some((NOERROR, 1)), "{name} at n{n}:\n{}", nodes[n].log());
            }
        }
    };
    assert!(until(|| nodes[3].told(names[0]) == Some((NOERROR, 1))));
    nodes[2].stop();
    let stopped = now();
    while now().duration_since(stopped) < Duration::from_secs(4) {
        same(&nodes);
    }
    let (_, members) = nodes[0].verb(&["members"]);
    assert!(members.contains("restarting"), "{members}");
    let first = [nodes[0].gossip];
    nodes[2].start(&first);
    assert!(until(|| {
        same(&nodes);
        nodes[2].is_ready() && nodes[2].told(names[0]) == Some((NOERROR, 1))
    }));
    assert!(until(|| !nodes[0].verb(&["members"]).1.contains("restarting")));
}

#[test]
fn who_has_met_nobody_yet_serves_what_it_kept_and_denies_nothing() {
    let dir = dir();
    let mut nodes = cluster(dir.path(), 2, |_| {});
    assert_eq!(nodes[0].verb(&["set", "kept.hive.internal.", "60", "A", "192.0.2.1"]).0, Some(0));
    assert!(until(|| nodes[1].told("kept.hive.internal.") == Some((NOERROR, 1))));
    nodes[1].stop();
    nodes[0].kill();
    let first = [nodes[0].gossip];
    nodes[1].start(&first);
    assert!(until(|| nodes[1].told("kept.hive.internal.") == Some((NOERROR, 1))), "{}", nodes[1].log());
    assert_eq!(nodes[1].told("other.hive.internal."), Some((SERVFAIL, 0)));
    assert!(!nodes[1].is_ready());
    nodes[0].start(&[]);
    assert!(until(|| nodes[1].told("other.hive.internal.") == Some((NXDOMAIN, 0))), "{}", nodes[1].log());
    assert_eq!(nodes[0].told("kept.hive.internal."), Some((NOERROR, 1)));
}

#[test]
fn who_has_not_the_key_is_not_heard_and_a_key_can_be_changed_while_all_run() {
    let dir = dir();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).expect("a file");
        path
    };
    let key = |octet: &str| format!("{}\n", octet.repeat(32));
    let (right, wrong) = (write("right", &key("a1")), write("wrong", &key("b2")));
    let nodes = cluster(dir.path(), 3, |node| node.keys = Some(right.clone()));
    let mut stranger = Node::new(dir.path(), 9);
    stranger.keys = Some(wrong);
    stranger.start(&[nodes[0].gossip]);
    assert!(until(|| stranger.told("n0.node.hive.internal.") == Some((SERVFAIL, 0))), "{}", stranger.log());
    let (code, said) = nodes[1].verb(&["key", "add", &"c3".repeat(32)]);
    assert_eq!(code, Some(0), "{said}");
    let ids = |node: &Node| -> Vec<String> {
        let (_, said) = node.verb(&["key", "list"]);
        said.split_whitespace().filter(|word| word.len() == 8).map(str::to_owned).collect()
    };
    assert!(until(|| nodes.iter().all(|node| ids(node).len() == 2)), "{:?}", ids(&nodes[2]));
    let (old, new) = (ids(&nodes[0])[0].clone(), ids(&nodes[0])[1].clone());
    assert_eq!(nodes[2].verb(&["key", "use", &new]).0, Some(0));
    assert!(until(|| nodes.iter().all(|node| ids(node).first() == Some(&new))));
    assert_eq!(nodes[0].verb(&["key", "remove", &old]).0, Some(0));
    assert!(until(|| nodes.iter().all(|node| ids(node) == [new.clone()])));
    assert_eq!(nodes[0].verb(&["set", "k.hive.internal.", "60", "A", "192.0.2.1"]).0, Some(0));
    assert!(until(|| nodes.iter().all(|node| node.told("k.hive.internal.") == Some((NOERROR, 1)))));
    let (_, members) = nodes[0].verb(&["members"]);
    assert!(!members.contains("n9"), "{members}");
}

#[test]
fn a_drained_node_is_answered_for_no_more_when_the_verb_returns() {
    let _quiet = quiet();
    let dir = dir();
    let nodes = cluster(dir.path(), 4, |_| {});
    let (code, said) = nodes[2].verb(&["drain", "--timeout", "5s"]);
    assert_eq!(code, Some(0), "{said}");
    // Acknowledged is taken; it is published at the next tick, and asked of four nodes.
    let drained = now();
    assert!(until(|| nodes.iter().all(|node| node.told("n2.node.hive.internal.") == Some((NXDOMAIN, 0)))));
    let took = now().duration_since(drained);
    assert!(took < Duration::from_millis(200), "{took:?}");
}

/// Fifty processes on a machine with two cores: what is shown is that they find each other and agree, not how fast.
#[test]
fn fifty_nodes_become_one_cluster() {
    let _quiet = quiet();
    let dir = dir();
    let mut nodes: Vec<Node> = (0..50).map(|number| Node::new(dir.path(), number)).collect();
    // Each joins by two others, so that the order in which they start means nothing.
    let addresses: Vec<SocketAddr> = nodes.iter().map(|node| node.gossip).collect();
    for (number, node) in nodes.iter_mut().enumerate() {
        node.start(&[addresses[(number + 1) % 50], addresses[(number + 17) % 50]]);
    }
    let all = |name: &str, expected| {
        let reached = |node: &Node| until(|| node.told(name) == Some(expected));
        nodes.iter().all(reached)
    };
    for number in [0, 13, 49] {
        let name = format!("n{number}.node.hive.internal.");
        assert!(
            all(&name, (NOERROR, 1)),
            "{name} is not known to {:?}",
            nodes
                .iter()
                .filter(|node| node.told(&name) != Some((NOERROR, 1)))
                .map(Node::log)
                .collect::<Vec<_>>()
        );
    }
    assert!(until(|| nodes[20].verb(&["members"]).1.matches(" alive ").count() == 50));
    assert_eq!(nodes[33].verb(&["set", "all.hive.internal.", "60", "A", "192.0.2.1"]).0, Some(0));
    assert!(all("all.hive.internal.", (NOERROR, 1)));
}
