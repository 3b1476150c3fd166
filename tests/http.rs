//! A running server, watched from outside: what it tells over HTTP, how it ends, and which rights it keeps.

use serde_json::{Value, json};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

const ZONE: &str = "$TTL 60\n@ SOA ns hostmaster 7 1 1 1 1\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.2\n";
const BROKEN_ZONE: &str =
    "$TTL 60\n@ SOA ns hostmaster 7 1 1 1 1\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.300\n";
/// The capability to bind ports below 1024, as /proc shows it.
const BIND_SERVICE: u64 = 0x400;

/// Between two looks at something that takes its time; what waits is a socket that nobody writes to.
const PAUSE: Duration = Duration::from_millis(20);
/// Looks until a test gives up: a minute, because machines that test are busy.
const LOOKS_MAX: usize = 3_000;

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let silence = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    silence.set_read_timeout(Some(PAUSE)).unwrap();
    for _ in 0..LOOKS_MAX {
        if is_so() {
            return;
        }
        assert!(silence.recv(&mut [0]).is_err());
    }
    panic!("not in time: {what}");
}

/// An address that was free a moment ago, for UDP and TCP.
fn free_address() -> SocketAddr {
    let free = (0..100).find_map(|_| {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
        let address = tcp.local_addr().ok()?;
        UdpSocket::bind(address).ok().map(|_| address)
    });
    free.expect("no port is free for both UDP and TCP")
}

/// A directory of the test's own, that any user may read.
fn directory(test: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("hivedns-http-{}-{test}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    for (name, text) in [("zone", ZONE), ("broken.zone", BROKEN_ZONE)] {
        fs::write(directory.join(name), text).unwrap();
        fs::set_permissions(directory.join(name), fs::Permissions::from_mode(0o644)).unwrap();
    }
    directory
}

/// A server of its own configuration and nothing else.
struct Node {
    child: Child,
    directory: PathBuf,
    dns: SocketAddr,
    http: SocketAddr,
}

impl Node {
    /// One that is ready, with `more` lines of `[server]`.
    fn start(test: &str, more: &str) -> Node {
        // Another process may take a port before the server does: then others are tried, in a directory made anew, for
        // a node that is given up takes its own with it.
        for _ in 0..5 {
            let directory = directory(test);
            let (dns, http) = (free_address(), free_address());
            let child = command(&directory, dns, http, more).spawn().unwrap();
            let mut node = Node { child, directory: directory.clone(), dns, http };
            let mut ended = false;
            eventually("the server is ready", || {
                ended = node.child.try_wait().unwrap().is_some();
                ended || node.try_get("/readyz").is_some_and(|response| response.status == 200)
            });
            if !ended {
                return node;
            }
        }
        panic!("the server does not start; see what it wrote");
    }

    fn try_get(&self, path: &str) -> Option<Response> {
        self.request(&format!("GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n"))
    }

    fn get(&self, path: &str) -> Response {
        self.try_get(path).unwrap_or_else(|| panic!("no answer to GET {path}"))
    }

    fn json(&self, path: &str) -> Value {
        let response = self.get(path);
        assert_eq!((response.status, response.field("content-type")), (200, Some("application/json")));
        serde_json::from_str(&response.body).unwrap()
    }

    /// Sends octets and reads until the server closes.
    fn request(&self, octets: &str) -> Option<Response> {
        let mut stream = TcpStream::connect(self.http).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(octets.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Response { status, head: head.to_ascii_lowercase(), body: body.to_owned() })
    }

    /// The response code over UDP.
    fn ask(&self, name: &str, qtype: u8) -> u8 {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        socket.send_to(&query(name, qtype), self.dns).unwrap();
        let mut answer = [0; 512];
        assert!(socket.recv(&mut answer).unwrap() > 12);
        answer[3] & 0xf
    }

    /// The response code over TCP.
    fn ask_tcp(&self, name: &str, qtype: u8) -> u8 {
        let mut stream = TcpStream::connect(self.dns).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let query = query(name, qtype);
        stream.write_all(&[&[0, query.len() as u8], &query[..]].concat()).unwrap();
        let mut answer = [0; 14];
        stream.read_exact(&mut answer).unwrap();
        answer[5] & 0xf
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the server has ended", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

struct Response {
    status: u16,
    head: String,
    body: String,
}

impl Response {
    fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

fn command(directory: &std::path::Path, dns: SocketAddr, http: SocketAddr, more: &str) -> Command {
    let text = format!(
        "[server]\nlisten = [\"{dns}\"]\nworkers = 2\nnode = \"node\"\n{more}\n[http]\nlisten = \"{http}\"\n\
         [[zone]]\norigin = \"shop.example.\"\nfile = \"zone\"\n\
         [[zone]]\norigin = \"broken.example.\"\nfile = \"broken.zone\"\n"
    );
    let file = directory.join("hivedns.toml");
    fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_hivedns"));
    command.env_clear().env("HIVEDNS_FORWARD__.", "refuse").args(["serve", "-c"]).arg(file);
    command.args((!more.contains("[docker]")).then_some("--no-docker"));
    command.arg("--no-gossip").arg("--control").arg(directory.join("control"));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    // Another user could not write below a directory of this one; it goes without.
    if !more.contains("user") && !more.contains("state_dir") {
        command.env("HIVEDNS_SERVER__STATE_DIR", directory.join("state"));
    }
    command
}

fn query(name: &str, qtype: u8) -> Vec<u8> {
    let mut octets = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split_terminator('.') {
        octets.push(label.len() as u8);
        octets.extend(label.as_bytes());
    }
    octets.extend([0, 0, qtype, 0, 1]);
    octets
}

/// What a server that cannot start says, and its exit code.
fn refusal(test: &str, http: SocketAddr, more: &str) -> (Option<i32>, String) {
    let directory = directory(test);
    let started = command(&directory, free_address(), http, more).stderr(Stdio::piped()).output();
    fs::remove_dir_all(directory).unwrap();
    let Output { status, stderr, .. } = started.unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn counters_move_with_each_query() {
    let node = Node::start("counters", "");
    let (noerror, servfail, nxdomain, refused) = (0, 2, 3, 5);
    assert_eq!(node.ask("www.shop.example.", 1), noerror);
    assert_eq!(node.ask("nobody.shop.example.", 1), nxdomain);
    assert_eq!(node.ask_tcp("www.shop.example.", 28), noerror);
    assert_eq!(node.ask("www.broken.example.", 1), servfail);
    assert_eq!(node.ask("www.elsewhere.net.", 15), refused);

    let expected = [
        "hivedns_dns_requests_total{proto=\"udp\",family=\"1\",type=\"A\",zone=\"shop.example.\"} 2",
        "hivedns_dns_requests_total{proto=\"tcp\",family=\"1\",type=\"AAAA\",zone=\"shop.example.\"} 1",
        "hivedns_dns_requests_total{proto=\"udp\",family=\"1\",type=\"A\",zone=\"broken.example.\"} 1",
        "hivedns_dns_requests_total{proto=\"udp\",family=\"1\",type=\"MX\",zone=\"dropped\"} 1",
        "hivedns_dns_responses_total{rcode=\"NOERROR\",zone=\"shop.example.\"} 2",
        "hivedns_dns_responses_total{rcode=\"NXDOMAIN\",zone=\"shop.example.\"} 1",
        "hivedns_dns_responses_total{rcode=\"SERVFAIL\",zone=\"broken.example.\"} 1",
        "hivedns_dns_responses_total{rcode=\"REFUSED\",zone=\"dropped\"} 1",
        "hivedns_dropped_total{reason=\"rcvbuf\"} 0",
    ];
    let response = node.get("/metrics");
    assert_eq!(response.field("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in expected {
        assert!(response.body.lines().any(|found| found == line), "{line}\n{}", response.body);
    }
    let workers = response.body.lines().filter(|line| line.starts_with("hivedns_worker_queries_total{"));
    let queries: Vec<u64> = workers.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    assert_eq!((queries.len(), queries.iter().sum()), (2, 5));
    // A batch's duration is known only after its answers have left.
    eventually("four UDP answers took their time", || {
        let text = node.get("/metrics").body;
        let count =
            text.lines().find_map(|line| line.strip_prefix("hivedns_dns_request_duration_seconds_count "));
        count.and_then(|count| count.parse().ok()).is_some_and(|count: u64| count >= 4)
    });
    assert_eq!(node.json("/api/v1/stats")["queries"], json!(5));
}

#[test]
fn a_faulty_zone_is_shown_with_the_place_of_its_fault_and_stops_nothing() {
    let node = Node::start("faulty", "");
    let zones = node.json("/api/v1/zones");
    let zone =
        |origin| zones["zones"].as_array().unwrap().iter().find(|zone| zone["origin"] == origin).unwrap();
    assert_eq!(
        zone("shop.example."),
        &json!({ "origin": "shop.example.", "health": "serving", "serial": 7, "records": 4, "journal_steps": 0,
            "journal_octets": 0, "shared_by": null, "age_seconds": null, "next_refresh_seconds": null,
            "faults": [] })
    );
    let broken = zone("broken.example.");
    assert_eq!((&broken["health"], &broken["serial"]), (&json!("faulty"), &json!(null)));
    let fault = broken["faults"][0].as_str().unwrap();
    let place = format!("{}:5:7: ", node.directory.join("broken.zone").display());
    assert!(fault.starts_with(&place), "{fault} is not at {place}");

    let status = node.json("/api/v1/status");
    assert_eq!((&status["ready"], &status["zones"]["faulty"]), (&json!(true), &json!(1)));
    assert_eq!(&status["faulty"][0], broken);
}

#[test]
fn a_zone_that_was_repaired_is_served_after_a_reload() {
    let node = Node::start("reload", "");
    fs::write(node.directory.join("broken.zone"), ZONE).unwrap();
    node.signal("-HUP");
    eventually("no zone is faulty", || node.json("/api/v1/status")["zones"]["faulty"] == json!(0));
    assert_eq!(node.ask("www.broken.example.", 1), 0);
}

#[test]
fn requests_that_change_or_demand_too_much_are_refused() {
    let node = Node::start("methods", "");
    assert_eq!((node.get("/healthz").status, node.get("/readyz").body.as_str()), (200, "ready\n"));
    assert_eq!(node.get("/nowhere").status, 404);
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        for path in ["/healthz", "/readyz", "/metrics", "/api/v1/status", "/api/v1/zones", "/api/v1/stats"] {
            let request = format!("{method} {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
            let response = node.request(&request).unwrap();
            assert_eq!(
                (response.status, response.field("allow")),
                (405, Some("get,head")),
                "{method} {path}"
            );
        }
    }
    let head = node.request("HEAD /metrics HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let field = "X-Long: ".to_owned() + &"x".repeat(16 << 10);
    let long = format!("GET /healthz HTTP/1.1\r\nHost: node\r\n{field}\r\n\r\n");
    // Either it is told, or it is cut before it has said all.
    assert!(node.request(&long).is_none_or(|response| response.status == 431));
}

#[test]
fn clients_that_say_nothing_make_room_for_others() {
    let node = Node::start("silent", "");
    let mut silent: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(node.http).unwrap()).collect();
    silent[0].write_all(b"GET /healthz HT").unwrap();
    assert_eq!(node.get("/healthz").status, 200);
    for stream in &mut silent {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // Cut, at most after a word on the time that has run out.
        let cut = stream.read_to_end(&mut Vec::new());
        assert!(cut.is_ok() || cut.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
    }
}

#[test]
fn a_server_that_is_told_to_stop_ends_well_though_clients_linger() {
    let mut node = Node::start("stop", "");
    let mut lingering = TcpStream::connect(node.http).unwrap();
    lingering.write_all(b"GET /healthz HTTP/1.1\r\nHost: node\r\n\r\n").unwrap();
    assert!(lingering.read(&mut [0; 512]).unwrap() > 0);
    let _silent = TcpStream::connect(node.http).unwrap();
    node.signal("-TERM");
    assert_eq!(node.ended().code(), Some(0));
    assert_eq!(lingering.read(&mut [0; 512]).unwrap_or(0), 0);
}

#[test]
fn a_port_of_http_that_is_taken_is_told_with_advice() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (code, said) = refusal("taken", taken.local_addr().unwrap(), "");
    assert_eq!(code, Some(2));
    assert!(said.contains("http.listen: cannot listen on 127.0.0.1:") && said.contains("--http"), "{said}");
}

#[test]
fn a_user_that_does_not_exist_is_told() {
    let (code, said) = refusal("user", free_address(), "user = \"no-such-user\"");
    assert_eq!((code, said.as_str()), (Some(2), "hivedns: server.user: no such user: no-such-user\n"));
}

#[test]
fn a_named_state_directory_that_cannot_be_used_is_one_line_and_exit_2() {
    let (code, said) = refusal("state", free_address(), "state_dir = \"no/such/dir\"");
    let lines: Vec<&str> = said.lines().collect();
    let [only] = lines[..] else { panic!("{said}") };
    assert!(only.starts_with("hivedns: server.state_dir: ") && only.contains("no/such/dir: "), "{said}");
    assert!(only.contains("cannot create the directory") && only.contains("--state-dir"), "{said}");
    assert_eq!(code, Some(2));
}

#[test]
fn each_start_is_a_life_of_the_same_node() {
    let mut ids = Vec::new();
    let state = std::env::temp_dir().join(format!("hivedns-lives-{}", std::process::id()));
    for life in 1..=3u32 {
        let mut node = Node::start("lives", &format!("state_dir = {:?}", state.display().to_string()));
        node.signal("-TERM");
        assert!(node.ended().success());
        let identity = fs::read(state.join("identity")).unwrap();
        // Behind the head of 28 octets: eight of the id, four of the life.
        ids.push(identity[28..36].to_vec());
        assert_eq!(identity[36..40], life.to_le_bytes());
    }
    assert!(ids.iter().all(|id| *id == ids[0]) && ids[0] != [0; 8]);
    fs::remove_dir_all(state).unwrap();
}

#[test]
fn as_a_user_of_its_own_it_keeps_the_right_to_bind_and_no_other() {
    let own = rights("/proc/self/status");
    let may_change_user = own.effective & (1 << 6) != 0 && own.effective & (1 << 7) != 0;
    if own.uids != ["0"; 4] || !may_change_user {
        eprintln!("SKIPPED: giving up the rights of root takes being root");
        return;
    }
    let node = Node::start("user-nobody", "user = \"nobody\"");
    // Zones are read after the change, so this shows that it can read them.
    assert_eq!(node.ask("www.shop.example.", 1), 0);
    let nobody = Command::new("id").args(["-u", "nobody"]).output().unwrap().stdout;
    let nobody = String::from_utf8(nobody).unwrap().trim().to_owned();
    let tasks: Vec<_> = fs::read_dir(format!("/proc/{}/task", node.child.id())).unwrap().collect();
    assert!(tasks.len() > 4, "workers, loader, signals and services have threads of their own");
    for task in tasks {
        let rights = rights(task.unwrap().path().join("status").to_str().unwrap());
        assert_eq!(rights.uids, [nobody.as_str(); 4]);
        assert!(!rights.gids.contains(&"0".to_owned()), "{:?}", rights.gids);
        let kept = own.permitted & BIND_SERVICE;
        assert_eq!((rights.permitted, rights.effective, rights.inheritable), (kept, kept, 0));
        assert!(rights.no_new_privileges);
    }
}

#[test]
fn as_a_user_of_its_own_it_is_in_the_group_of_the_engine_s_socket() {
    let own = rights("/proc/self/status");
    if own.uids != ["0"; 4] || own.effective & (1 << 6) == 0 {
        eprintln!("SKIPPED: giving up the rights of root takes being root");
        return;
    }
    let socket = std::env::temp_dir().join(format!("hivedns-engine-{}", std::process::id()));
    let _engine = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::os::unix::fs::chown(&socket, None, Some(4242)).unwrap();
    // Nobody answers there: it goes on without after a lease.
    let socket_line = format!("socket = \"unix://{}\"", socket.display());
    let more = format!("user = \"nobody\"\n[services]\nlease = \"1s\"\n[docker]\n{socket_line}");
    let node = Node::start("user-docker", &more);
    let gids = rights(&format!("/proc/{}/status", node.child.id())).gids;
    fs::remove_file(socket).unwrap();
    assert!(gids.contains(&"4242".to_owned()) && !gids.contains(&"0".to_owned()), "{gids:?}");
}

struct Rights {
    uids: Vec<String>,
    /// With the supplementary ones.
    gids: Vec<String>,
    permitted: u64,
    effective: u64,
    inheritable: u64,
    no_new_privileges: bool,
}

fn rights(status: &str) -> Rights {
    let text = fs::read_to_string(status).unwrap();
    let words = |name: &str| -> Vec<String> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.split_whitespace().map(String::from).collect()
    };
    let set = |name| u64::from_str_radix(&words(name)[0], 16).unwrap();
    Rights {
        uids: words("Uid"),
        gids: [words("Gid"), words("Groups")].concat(),
        permitted: set("CapPrm"),
        effective: set("CapEff"),
        inheritable: set("CapInh"),
        no_new_privileges: words("NoNewPrivs") == ["1"],
    }
}
