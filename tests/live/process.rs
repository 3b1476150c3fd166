//! Starting, ending, listening.

use crate::oracle::message;
use crate::oracle::now;
use crate::oracle::process::{TempDir, free_port};
use crate::site::{PATIENCE, Plan, Site, query, zone};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::Command;
use std::time::Duration;

#[test]
fn sigterm_answers_what_has_arrived_and_ends_with_0() {
    let zones = [("z.", zone(1, ""))];
    let mut site = Site::start(&Plan { zones: &zones, ..Plan::default() });
    let (udp, mut tcp) = (site.udp(), site.tcp());
    const QUERIES: u16 = 200;
    let mut pipelined = Vec::new();
    for id in 0..QUERIES {
        let query = query(id, "ns.z.", 1);
        udp.send(&query).expect("loopback takes it");
        pipelined.extend([&(query.len() as u16).to_be_bytes()[..], &query].concat());
    }
    tcp.write_all(&pipelined).expect("it reads");
    let start = now();
    site.signal("TERM");
    let mut buffer = [0; 512];
    for id in 0..QUERIES {
        let len = udp.recv(&mut buffer).unwrap_or_else(|e| panic!("{id} over UDP: {e}"));
        assert_eq!(message::decode(&buffer[..len]).expect("well formed").id, id);
    }
    let mut answers = Vec::new();
    tcp.read_to_end(&mut answers).expect("answers, then the end");
    let answer_len = usize::from(u16::from_be_bytes([answers[0], answers[1]]));
    assert_eq!(answers.len(), usize::from(QUERIES) * (2 + answer_len));
    assert_eq!(site.end().and_then(|status| status.code()), Some(0), "{}", site.log());
    assert!(now() - start < Duration::from_secs(4), "an end without slow peers is prompt");
}

#[test]
fn a_taken_port_is_told_in_one_line_with_advice() {
    let dir = TempDir::new("taken", false).expect("a temporary directory");
    fs::write(dir.path().join("z.zone"), zone(1, "")).expect("a file");
    let (address, http) = (free_port().expect("a port"), free_port().expect("a port"));
    let _taken = UdpSocket::bind(address).expect("a free port");
    let output = Command::new(env!("CARGO_BIN_EXE_hivedns"))
        .args([
            "serve",
            "--no-gossip",
            "--control",
            "s",
            "--zone",
            "z.=z.zone",
            "--listen",
            &address.to_string(),
            "--http",
            &http.to_string(),
        ])
        .current_dir(dir.path())
        .output()
        .expect("the program");
    let told = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.contains(&address.to_string()) && told.contains("--listen"), "{told}");
}

#[test]
fn a_wildcard_listener_answers_from_the_address_asked() {
    let zones = [("z.", zone(1, ""))];
    for (ip, client, asked) in
        [("0.0.0.0", "127.0.0.1", "127.0.0.77"), ("0.0.0.0", "127.0.0.9", "127.0.0.9"), ("::", "::1", "::1")]
    {
        let site = Site::start(&Plan { ip, zones: &zones, ..Plan::default() });
        let server = (asked, site.address.port());
        let udp = UdpSocket::bind((client, 0)).expect("loopback");
        udp.set_read_timeout(Some(PATIENCE)).expect("an option");
        udp.send_to(&query(1, "ns.z.", 1), server).expect("loopback takes it");
        let (_, from) = udp.recv_from(&mut [0; 512]).expect("an answer");
        assert_eq!((from.ip().to_string().as_str(), from.port()), server);
        assert!(TcpStream::connect(server).is_ok(), "TCP on {asked}");
    }
}

#[test]
fn two_workers_share_the_load() {
    let zones = [("z.", zone(1, ""))];
    let site = Site::start(&Plan { workers: 2, zones: &zones, ..Plan::default() });
    // How often each worker has waited: it does so after each of its wake-ups.
    let waits = || -> Vec<u64> {
        let tasks = fs::read_dir(format!("/proc/{}/task", site.pid())).expect("procfs");
        let mut workers: Vec<(String, u64)> = tasks
            .filter_map(|task| {
                let task = task.ok()?.path();
                let name = fs::read_to_string(task.join("comm")).ok()?;
                let status = fs::read_to_string(task.join("status")).ok()?;
                let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"))?;
                Some((name, line.split_whitespace().last()?.parse().ok()?))
            })
            .filter(|(name, _)| name.starts_with("worker-"))
            .collect();
        workers.sort();
        workers.into_iter().map(|(_, waits)| waits).collect()
    };
    let before = waits();
    // The kernel spreads flows, each of another port, by a hash.
    for _ in 0..64 {
        assert_eq!(site.rcode("ns.z.", 1), Some(0));
    }
    let shares: Vec<u64> = waits().iter().zip(&before).map(|(after, before)| after - before).collect();
    assert_eq!(shares.len(), 2);
    assert!(shares.iter().all(|share| *share >= 8), "{shares:?} of 64 questions");
}
