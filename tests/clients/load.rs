//! dig and dnsperf, on the loopback; bounded in count and time.

use crate::apart::{installed_for, run};
use crate::forwarder::Forwarder;
use crate::oracle::process::{Server, TempDir, hivedns};
use crate::oracle::{names, until_within};
use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What `tests/install-peers` installs for these.
const SET: &str = "clients";
/// Names that are asked for, each once: each is a question that nobody knows the answer to yet.
const NAMES: u64 = 6_000;
/// Queries in a second: less than anybody's best, so that what is late is late because of an upstream.
const RATE: u64 = 1_500;
/// Longest that any answer may take while an upstream dies. Patience with a silent one is at most 0.15 s.
const LATENCY_MAX: f64 = 0.6;
const PATIENCE: Duration = Duration::from_secs(30);
const PACE: Duration = Duration::from_millis(5);

/// An authoritative server of `load.example.`, which knows every name.
fn authority(dir: &Path) -> Server {
    let (file, origin) = (dir.join("zone"), names::from_text("load.example.").expect("a name"));
    let mut text =
        "$TTL 300\n@ SOA ns admin 1 2 3 4 300\n@ NS ns\nns A 192.0.2.53\n* A 192.0.2.1\n".to_owned();
    for number in 0..40 {
        writeln!(text, "large TXT \"{number} {}\"", "x".repeat(40)).expect("a string");
    }
    fs::write(&file, text).expect("a file");
    hivedns(dir, &[(origin, file)], &[]).unwrap_or_else(|why| panic!("{why}"))
}

/// What dnsperf found.
#[derive(Debug)]
struct Summary {
    sent: u64,
    lost: u64,
    answered: u64,
    latency_max: f64,
}

/// `dnsperf`, which asks for each name of the file once.
fn dnsperf(to: SocketAddr, file: &Path, more: &[&str]) -> Command {
    let mut command = Command::new("dnsperf");
    command.args(["-s", &to.ip().to_string(), "-p", &to.port().to_string(), "-d"]).arg(file);
    command.args(["-n", "1", "-Q", &RATE.to_string(), "-q", "1000", "-t", "2", "-c", "4"]).args(more);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn summary(text: &str) -> Summary {
    let after = |label: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(label));
        line.unwrap_or_else(|| panic!("no {label} in {text}")).trim_start()
    };
    let first = |line: &str| line.split(' ').next().and_then(|word| word.parse().ok()).expect("a number");
    let latency = after("Average Latency (s):");
    let max = latency.split("max ").nth(1).and_then(|rest| rest.trim_end_matches(')').parse().ok());
    Summary {
        sent: first(after("Queries sent:")),
        lost: first(after("Queries lost:")),
        answered: first(after("Response codes:").trim_start_matches("NOERROR ")),
        latency_max: max.expect(latency),
    }
}

/// So many names, each on its line.
fn questions(dir: &Path, count: u64) -> std::path::PathBuf {
    let file = dir.join("questions");
    let lines: String = (0..count).map(|number| format!("n{number}.load.example A\n")).collect();
    fs::write(&file, lines).expect("a file");
    file
}

#[test]
fn an_upstream_that_is_killed_under_load_loses_no_query_that_the_other_can_answer() {
    installed_for("an_upstream_that_is_killed_under_load", SET, || {
        let home = TempDir::new("clients", false).expect("a directory");
        let mut upstreams = [authority(home.path()), authority(home.path())];
        let addresses: Vec<SocketAddr> = upstreams.iter().map(|upstream| upstream.address).collect();
        let forwarder = Forwarder::start(home.path(), &addresses);
        let gun = dnsperf(forwarder.address, &questions(home.path(), NAMES), &[]).spawn().expect("dnsperf");
        let sent = || addresses.iter().map(|address| forwarder.sent(*address)).collect::<Vec<u64>>();
        assert!(until_within(PATIENCE, PACE, || sent().iter().sum::<u64>() >= NAMES / 2));
        let before = sent();
        let busiest = usize::from(before[1] > before[0]);
        upstreams[busiest].crash();
        let output = gun.wait_with_output().expect("dnsperf");
        let summary = summary(&String::from_utf8_lossy(&output.stdout));
        println!("{summary:?}, sent {before:?} before and {:?} in all", sent());
        assert_eq!((summary.sent, summary.lost, summary.answered), (NAMES, 0, NAMES), "{}", forwarder.log());
        assert!(summary.latency_max < LATENCY_MAX, "{summary:?}");
        // It was killed in the middle: the other had the rest.
        assert!(before.iter().sum::<u64>() < NAMES * 3 / 4, "{before:?}");
        assert!(sent()[1 - busiest] - before[1 - busiest] >= NAMES / 4, "{before:?} {:?}", sent());
    });
}

#[test]
fn dnsperf_loses_nothing_by_udp_or_tcp_before_and_after_all_is_known() {
    installed_for("dnsperf_loses_nothing", SET, || {
        let home = TempDir::new("clients", false).expect("a directory");
        let upstream = authority(home.path());
        let forwarder = Forwarder::start(home.path(), &[upstream.address]);
        let file = questions(home.path(), 1_000);
        for (more, misses) in
            [(&[][..], 1_000), (&[], 1_000), (&["-m", "tcp"], 1_000), (&["-e", "-D"], 2_000)]
        {
            let output = dnsperf(forwarder.address, &file, more).output().expect("dnsperf");
            let summary = summary(&String::from_utf8_lossy(&output.stdout));
            assert_eq!((summary.sent, summary.lost, summary.answered), (1_000, 0, 1_000), "{more:?}");
            // What is wanted with signatures is another question.
            assert_eq!(forwarder.counted("hivedns_cache_misses_total", &[]), misses, "{more:?}");
        }
    });
}

#[test]
fn dig_is_answered_in_all_its_ways() {
    installed_for("dig_is_answered_in_all_its_ways", SET, || {
        let home = TempDir::new("clients", false).expect("a directory");
        let upstream = authority(home.path());
        let forwarder = Forwarder::start(home.path(), &[upstream.address]);
        let port = forwarder.address.port().to_string();
        let dig = |words: &str| {
            let words = words.split(' ').collect::<Vec<_>>();
            run("dig", &[&["@127.0.0.1", "-p", &port, "+tries=1", "+time=3"], &words[..]].concat())
        };
        for manner in ["+edns", "+noedns", "+tcp", "+cookie", "+dnssec", "+noadflag", "+bufsize=512"] {
            assert_eq!(dig(&format!("www.load.example A +short {manner}")), "192.0.2.1\n", "{manner}");
        }
        let told = dig("www.load.example A");
        assert!(told.contains("flags: qr rd ra;") && told.contains("status: NOERROR"), "{told}");
        // It is no zone of the upstream's, which refuses.
        assert!(dig("www.none.example A").contains("status: SERVFAIL"));
        let nodata = dig("www.load.example AAAA");
        assert!(nodata.contains("status: NOERROR") && nodata.contains("ANSWER: 0, AUTHORITY: 1"), "{nodata}");
        // Too large for a datagram: dig asks again over TCP.
        let large = dig("large.load.example TXT");
        assert!(large.contains("ANSWER: 40") && large.contains("Truncated, retrying in TCP mode"), "{large}");
        assert_eq!(forwarder.asked("tcp", "TXT"), 1);
        let cut = dig("large.load.example TXT +ignore");
        assert!(cut.contains("flags: qr tc rd ra;"), "{cut}");
        assert_eq!(dig("localhost AAAA +short"), "::1\n");
    });
}
