//! A world of name servers, each with an address of its own on the loopback interface of the test's network: a root,
//! two top-level domains, and the tree of `examples/zones` at the addresses that its files name.
//!
//! ```text
//!   .  10.0.0.1 ─┬─ edu.  10.0.1.1 ─┬─ groucho.edu.  ns1 10.76.1.1, ns2 10.76.1.2, freedonia ─┬─ maths.  erdos, ns1
//!                │                  └─ huxley.edu.   ns1, ns2                                 ├─ physics.  niels, ...
//!                └─ example.  10.0.2.1 ─── freedonia.example.  10.0.3.1                       └─ philosophy.  ns1, ns2
//! ```
//!
//! The resolver under test has an address of its own in the same network.

use crate::apart::ip;
use crate::oracle::message::{self, Edns, Message, RD};
use crate::oracle::process::{self, TempDir};
use crate::oracle::{names, until_within};
use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Where the resolver under test listens.
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 53);
/// A second resolver, of other make.
pub const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 54);
/// From where questions are asked that are answered.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 100);
/// From where none are.
pub const STRANGER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
/// The server of `silent.example.`: who wants it to be there and say nothing holds a socket on it.
pub const SILENT: Ipv4Addr = Ipv4Addr::new(10, 0, 9, 1);

/// A question may take ten seconds, and the machine is not ours alone.
pub const ANSWER: Duration = Duration::from_secs(12);
/// The longest that anything else may take, the start of all servers on a busy machine among it.
const PATIENCE: Duration = Duration::from_secs(45);
/// How often a condition outside this process is looked at.
const PACE: Duration = Duration::from_millis(10);

/// What a server counts of the queries that came to it.
pub const QUERIES: &str = "hivedns_worker_queries_total";

pub const A: u16 = 1;
pub const CNAME: u16 = 5;
pub const SOA: u16 = 6;
pub const AAAA: u16 = 28;
pub const DNAME: u16 = 39;
pub const NOERROR: u16 = 0;
pub const SERVFAIL: u16 = 2;
pub const NXDOMAIN: u16 = 3;
pub const REFUSED: u16 = 5;

/// Each server: what it is called here, where it is, and the zones that it serves.
const SERVERS: &[(&str, Ipv4Addr, &[&str])] = &[
    ("root", Ipv4Addr::new(10, 0, 0, 1), &["."]),
    ("edu", Ipv4Addr::new(10, 0, 1, 1), &["edu."]),
    ("example", Ipv4Addr::new(10, 0, 2, 1), &["example."]),
    ("freedonia", Ipv4Addr::new(10, 0, 3, 1), &["freedonia.example.", "groucho.edu."]),
    (
        "ns1",
        Ipv4Addr::new(10, 76, 1, 1),
        &[
            "groucho.edu.",
            "maths.groucho.edu.",
            "physics.groucho.edu.",
            "philosophy.groucho.edu.",
            "huxley.edu.",
        ],
    ),
    ("ns2", Ipv4Addr::new(10, 76, 1, 2), &["groucho.edu.", "philosophy.groucho.edu.", "huxley.edu."]),
    ("erdos", Ipv4Addr::new(10, 76, 4, 17), &["maths.groucho.edu."]),
    ("niels", Ipv4Addr::new(10, 76, 12, 1), &["physics.groucho.edu.", "theory.physics.groucho.edu."]),
    ("quark", Ipv4Addr::new(10, 76, 12, 2), &["physics.groucho.edu."]),
    ("wheeler", Ipv4Addr::new(10, 76, 14, 1), &["theory.physics.groucho.edu."]),
];

/// Waits until `condition` holds; false if it does not in time.
pub fn until(condition: impl FnMut() -> bool) -> bool {
    until_within(PATIENCE, PACE, condition)
}

pub fn wire(name: &str) -> Vec<u8> {
    names::from_text(name).expect("a name")
}

/// An address of the test's network.
pub fn add_address(address: Ipv4Addr) {
    ip(&format!("addr add {address}/32 dev lo"));
}

/// The port of the DNS at an address.
pub fn port_53(address: Ipv4Addr) -> SocketAddr {
    SocketAddr::from((address, 53))
}

/// A server process; it is gone when dropped.
pub struct Process {
    pub address: Ipv4Addr,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program`, which ends with the thread that starts it; what it says goes to a file in `dir`.
    pub fn start(
        name: &str,
        address: Ipv4Addr,
        dir: &Path,
        program: &str,
        with: impl FnOnce(&mut Command),
    ) -> Process {
        let path = dir.join(format!("{name}.log"));
        let log = fs::File::create(&path).expect("a file");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", program]).current_dir(dir).env_clear();
        with(&mut command);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        Process { address, child: command.spawn().expect("setpriv"), log: path }
    }

    /// Starts `hivedns serve` on port 53.
    pub fn hivedns(name: &str, address: Ipv4Addr, dir: &Path, with: impl FnOnce(&mut Command)) -> Process {
        Process::start(name, address, dir, env!("CARGO_BIN_EXE_hivedns"), |command| {
            command.args(["serve", "--workers", "1", "--no-gossip", "--node", name]);
            command.args(["--listen", &port_53(address).to_string(), "--http", &http(address).to_string()]);
            command.arg("--control").arg(dir.join(format!("{name}.control")));
            command.arg("--state-dir").arg(dir.join(format!("{name}.state")));
            with(command);
        })
    }

    /// Waits until it answers for these zones.
    pub fn wait(&mut self, zones: &[&str]) {
        for zone in zones {
            let is_told =
                || ask_of(self.address, CLIENT, zone, SOA).is_some_and(|reply| reply.rcode() == NOERROR);
            assert!(
                until(|| is_told() || !matches!(self.child.try_wait(), Ok(None))),
                "{zone}: {}",
                self.log()
            );
            assert!(matches!(self.child.try_wait(), Ok(None)), "{zone}: {}", self.log());
        }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What it answers over HTTP, the head before it.
    pub fn get(&self, path: &str) -> String {
        process::get(http(self.address), path).unwrap_or_else(|error| panic!("{error}: {}", self.log()))
    }

    /// A counter of its metrics, over all workers.
    pub fn counted(&self, name: &str) -> u64 {
        let text =
            process::metrics(http(self.address)).unwrap_or_else(|error| panic!("{error}: {}", self.log()));
        process::sum(&text, name, &[])
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
    }
}

fn http(address: Ipv4Addr) -> SocketAddr {
    SocketAddr::from((address, 5380))
}

/// The whole world, and the resolver in it.
pub struct World {
    pub resolver: Process,
    servers: Vec<(&'static str, Process)>,
    dir: TempDir,
}

impl World {
    /// Starts it, and waits until all answer. `with` may change how the resolver starts.
    pub fn start(with: impl FnOnce(&mut Command)) -> World {
        let dir = TempDir::new("recursion", false).expect("a directory");
        ip("link set lo up");
        [RESOLVER, OTHER, CLIENT, STRANGER, SILENT].into_iter().for_each(add_address);
        let mut servers: Vec<(&str, Process)> = Vec::new();
        for (name, address, zones) in SERVERS {
            add_address(*address);
            let server = Process::hivedns(name, *address, dir.path(), |command| {
                // It tells what it serves, and asks nobody.
                command.env("HIVEDNS_FORWARD__.", "refuse");
                for zone in *zones {
                    command.arg("--zone").arg(format!("{zone}={}", zone_file(zone).display()));
                }
            });
            servers.push((name, server));
        }
        let resolver = resolver(dir.path(), with);
        for ((_, server), (_, _, zones)) in servers.iter_mut().zip(SERVERS) {
            server.wait(zones);
        }
        let mut world = World { resolver, servers, dir };
        // Its own zone: nothing is asked for it.
        world.resolver.wait(&["localhost."]);
        world
    }

    /// The control socket of the resolver.
    pub fn control(&self) -> PathBuf {
        self.dir().join("resolver.control")
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What all servers but the resolver have been asked so far.
    pub fn asked(&self) -> u64 {
        self.servers.iter().map(|(_, server)| server.counted(QUERIES)).sum()
    }

    /// The same of one of them.
    pub fn asked_of(&self, name: &str) -> u64 {
        let of = self.servers.iter().filter(|(server, _)| *server == name);
        of.map(|(_, server)| server.counted("hivedns_worker_queries_total")).sum()
    }

    /// Ends a server, as a crash would.
    pub fn kill(&mut self, name: &str) {
        let before = self.servers.len();
        self.servers.retain(|(server, _)| *server != name);
        assert_eq!(self.servers.len(), before - 1, "{name}");
    }

    /// What the resolver answers; it has to.
    pub fn ask(&self, name: &str, rtype: u16) -> Message {
        ask_of(RESOLVER, CLIENT, name, rtype).unwrap_or_else(|| panic!("{name}: {}", self.resolver.log()))
    }
}

/// Where the records of the root's servers stand that a resolver starts with.
pub fn root_hints(dir: &Path) -> PathBuf {
    let path = dir.join("root.hints");
    fs::write(&path, ". 518400 NS a.root.\na.root. 518400 A 10.0.0.1\n").expect("a file");
    path
}

/// Starts the resolver under test.
pub fn resolver(dir: &Path, with: impl FnOnce(&mut Command)) -> Process {
    resolver_of(dir, &root_hints(dir), with)
}

/// The same, which begins with the servers of that file.
pub fn resolver_of(dir: &Path, hints: &Path, with: impl FnOnce(&mut Command)) -> Process {
    Process::hivedns("resolver", RESOLVER, dir, |command| {
        command.arg("--recurse").arg("--root-hints").arg(hints);
        with(command);
    })
}

/// The file of a zone of this world: of the examples, or beside this file.
fn zone_file(zone: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let name = if zone == "." { "root." } else { zone };
    let own = here.join(format!("tests/recursion/zones/{name}zone"));
    if own.exists() { own } else { here.join(format!("examples/zones/{name}zone")) }
}

/// A query with RD, and EDNS without DO.
pub fn query(id: u16, flags: u16, name: &str, rtype: u16) -> Vec<u8> {
    let edns = Edns { payload: 1232, dnssec_ok: false, version: 0, options: Vec::new() };
    message::query(id, RD | flags, &wire(name), rtype, 1, Some(&edns))
}

/// A socket of that address, connected to the DNS of another.
pub fn socket(from: Ipv4Addr, to: Ipv4Addr, wait: Duration) -> UdpSocket {
    let socket = UdpSocket::bind((from, 0)).expect("an address of ours");
    socket.connect(port_53(to)).expect("a way");
    socket.set_read_timeout(Some(wait)).expect("an option");
    socket
}

/// What `to` answers to one question from `from`; none if it does not in time, or is not there.
pub fn ask_of(to: Ipv4Addr, from: Ipv4Addr, name: &str, rtype: u16) -> Option<Message> {
    exchange(to, from, &query(7, 0, name, rtype))
}

/// The same, of a query that is made already.
pub fn exchange(to: Ipv4Addr, from: Ipv4Addr, query: &[u8]) -> Option<Message> {
    let socket = socket(from, to, ANSWER);
    socket.send(query).ok()?;
    receive(&socket)
}

/// The next message; none if there is none in time.
pub fn receive(socket: &UdpSocket) -> Option<Message> {
    let mut buffer = [0; 4096];
    match socket.recv(&mut buffer) {
        Ok(len) => Some(message::decode(&buffer[..len]).expect("well formed")),
        Err(error) => {
            let expected = [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::ConnectionRefused];
            assert!(expected.contains(&error.kind()), "{error}");
            None
        }
    }
}
