//! Zones go from server to server: hivedns as primary and as secondary of Knot DNS, NSD and BIND. What arrives is held
//! against what was sent, as `dig` sees both; the matrix is printed at the end:
//!
//! ```text
//! cargo test --test interop -- --nocapture matrix
//! ```

mod abuse;
#[path = "../oracle/mod.rs"]
mod oracle;
mod peers;
mod update;
mod updating;
mod zone;

use oracle::process::{Server, TempDir};
use oracle::{message, names, transport, until_within};
use peers::{KEY, ORIGIN, OTHER_SECRET, OTHERS, Peer, Plan, SECRET, port};
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use zone::World;

/// How long anything may take that is expected to happen.
const PATIENCE: Duration = Duration::from_secs(40);
const PACE: Duration = Duration::from_millis(20);
/// Versions of a zone, and changes between each two: a thousand in all.
const VERSIONS: usize = 20;
const CHANGES: usize = 50;

/// Installs the peers; says so and yields false where that cannot be done.
fn is_ready(test: &str) -> bool {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/install-peers");
    let output = Command::new(script).arg("transfers").stdin(Stdio::null()).output().expect("the script");
    if output.status.success() {
        return true;
    }
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(std::env::var("CI").as_deref() != Ok("true"), "in CI the peers have to be there: {why}");
    say(&format!("SKIPPED {test}: {}\n", why.lines().last().unwrap_or("something is missing")));
    false
}

/// Past the test harness, which shows nothing of a test that passes.
fn say(text: &str) {
    std::io::stderr().write_all(text.as_bytes()).expect("a place to say it");
}

fn dig(server: SocketAddr, secret: Option<&str>, words: &[&str]) -> String {
    let mut command = Command::new("dig");
    command.arg(format!("@{}", server.ip())).args(["-p", &server.port().to_string(), "+tries=1", "+time=5"]);
    if let Some(secret) = secret {
        command.args(["-y", &format!("hmac-sha256:{KEY}:{secret}")]);
    }
    let output = command.args(words).stdin(Stdio::null()).output().expect("dig");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The zone as a server has it: sorted lines in canonical form, names lower-cased.
fn content(server: SocketAddr) -> Vec<String> {
    let text = dig(server, Some(SECRET), &[ORIGIN, "AXFR", "+onesoa", "+noall", "+answer", "+nocrypto"]);
    let mut lines: Vec<String> = text
        .lines()
        .filter(|line| !line.starts_with(';') && !line.trim().is_empty() && !line.contains("TSIG"))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase())
        .collect();
    lines.sort();
    lines
}

/// The serial over UDP; `None` if the zone is not served.
fn serial(server: SocketAddr) -> Option<u32> {
    let query = message::query(7, 0, &names::from_text(ORIGIN)?, 6, 1, None);
    let reply = transport::udp(server, &[query]).ok()?.pop()??;
    let reply = message::decode(&reply).ok().filter(|reply| reply.rcode() == 0)?;
    let numbers = reply.sections[0].first()?.rdata.last_chunk::<20>()?;
    numbers.first_chunk().map(|serial| u32::from_be_bytes(*serial))
}

fn arrives(server: &Server, expected: u32, why: &str) {
    let there = until_within(PATIENCE, PACE, || serial(server.address) == Some(expected));
    let found = serial(server.address);
    assert!(there, "{why}: serial {found:?}, expected {expected}:\n{}", server.log());
}

/// A primary and a secondary, and the zone's file.
struct Pair {
    _dir: TempDir,
    file: PathBuf,
    world: World,
    primary: Server,
    secondary: Server,
    secondary_plan: (Peer, PathBuf, SocketAddr, SocketAddr),
}

impl Pair {
    fn start(primary: Peer, secondary: Peer, secret: &str) -> Pair {
        let dir = TempDir::new("interop", false).expect("a directory");
        let (file, world) = (dir.path().join("zone"), World::new(7));
        world.write(&file);
        let (at, other) = (port(), port());
        let plan = |name: &str| dir.path().join(name);
        let (primary_dir, secondary_dir) = (plan("primary"), plan("secondary"));
        let first =
            Plan { dir: &primary_dir, address: at, other, file: Some(&file), secret: SECRET, updates: false };
        let primary = primary.start(&first);
        let second =
            Plan { dir: &secondary_dir, address: other, other: at, file: None, secret, updates: false };
        let started = secondary.start(&second);
        let secondary_plan = (secondary, secondary_dir, other, at);
        Pair { _dir: dir, file, world, primary, secondary: started, secondary_plan }
    }

    /// A new version at the primary.
    fn advance(&mut self) -> u32 {
        let serial = self.world.advance(CHANGES);
        self.world.write(&self.file);
        self.primary.reload();
        serial
    }

    fn is_same(&self, what: &str) {
        let (sent, came) = (content(self.primary.address), content(self.secondary.address));
        assert!(sent.len() > 200, "{what}: {} lines from the primary\n{}", sent.len(), self.primary.log());
        assert_eq!(sent, came, "{what}");
    }

    fn restart_secondary(&mut self) {
        let (peer, dir, address, other) = &self.secondary_plan;
        self.secondary.kill();
        let plan = Plan { dir, address: *address, other: *other, file: None, secret: SECRET, updates: false };
        self.secondary = peer.start(&plan);
    }
}

/// A whole zone, then a thousand changes told by NOTIFY; the same in the end.
fn follows(primary: Peer, secondary: Peer) -> Pair {
    let mut pair = Pair::start(primary, secondary, SECRET);
    let what = format!("{} to {}", primary.title(), secondary.title());
    arrives(&pair.secondary, pair.world.serial(), &format!("{what}, AXFR"));
    pair.is_same(&format!("{what}, AXFR"));
    for _ in 0..VERSIONS {
        let serial = pair.advance();
        // Refresh is an hour: without NOTIFY nothing would come.
        arrives(&pair.primary, serial, &format!("{what}, reload"));
        arrives(&pair.secondary, serial, &format!("{what}, NOTIFY and IXFR"));
    }
    assert_eq!(pair.world.changes(), VERSIONS * CHANGES);
    pair.is_same(&format!("{what}, IXFR"));
    pair
}

/// With another secret nothing comes.
fn wrong_key(primary: Peer, secondary: Peer) {
    let pair = Pair::start(primary, secondary, OTHER_SECRET);
    let told = |log: String| {
        let log = log.to_ascii_lowercase();
        ["badsig", "bad signature", "tsig", "signature"].iter().any(|word| log.contains(word))
    };
    let is_told = until_within(PATIENCE, PACE, || told(pair.secondary.log()) || told(pair.primary.log()));
    assert!(is_told, "{}{}", pair.secondary.log(), pair.primary.log());
    assert_eq!(serial(pair.secondary.address), None, "the zone came with a wrong key");
}

#[test]
fn matrix() {
    if !is_ready("matrix") {
        return;
    }
    let mut rows = vec![format!("{:<34}{:>10}{:>10}{:>10}\n", "", "Knot DNS", "NSD", "BIND")];
    let mut row = |title: &str, cells: [String; 3]| {
        rows.push(format!("{title:<34}{:>10}{:>10}{:>10}\n", cells[0], cells[1], cells[2]));
    };
    let ok = || "ok".to_owned();
    let out = OTHERS.map(|peer| {
        let pair = follows(Peer::Hivedns, peer);
        drop(pair);
        ok()
    });
    row("primary: AXFR, NOTIFY, IXFR, TSIG", out);
    row("primary: UPDATE, followed", update::followed());
    let messages = update::as_bind_does();
    row("primary: UPDATE, outcome (messages)", ["-".into(), "-".into(), format!("ok ({messages})")]);
    row("primary: wrong key refused", OTHERS.map(|peer| (wrong_key(Peer::Hivedns, peer), ok()).1));
    let incremental = OTHERS.map(|peer| {
        let mut pair = follows(peer, Peer::Hivedns);
        let log = pair.secondary.log();
        let steps = log.lines().filter(|line| line.contains("IXFR") && line.contains("steps=")).count();
        assert!(steps > 0, "{} sent no changes:\n{log}", peer.title());
        survives_a_restart(&mut pair);
        format!("ok ({steps})")
    });
    row("secondary: the same (IXFRs), restart", incremental);
    row("secondary: wrong key refused", OTHERS.map(|peer| (wrong_key(peer, Peer::Hivedns), ok()).1));
    say(&rows.concat());
}

/// Killed without a warning, and its primary gone: it serves what it had, and follows again when the primary is back.
fn survives_a_restart(pair: &mut Pair) {
    let (before, serial) = (content(pair.secondary.address), pair.world.serial());
    pair.primary.kill();
    pair.restart_secondary();
    arrives(&pair.secondary, serial, "after kill -9");
    assert_eq!(content(pair.secondary.address), before);
}

/// What `dig` makes of our answers to signed questions, right and wrong.
#[test]
fn dig_agrees_with_our_signatures() {
    if !is_ready("dig_agrees_with_our_signatures") {
        return;
    }
    let dir = TempDir::new("signed", false).expect("a directory");
    let (file, world) = (dir.path().join("zone"), World::new(3));
    world.write(&file);
    let home = dir.path().join("hive");
    let plan = Plan {
        dir: &home,
        address: port(),
        other: port(),
        file: Some(&file),
        secret: SECRET,
        updates: false,
    };
    let server = Peer::Hivedns.start(&plan);
    let ask = |secret, words: &[&str]| dig(server.address, secret, words);
    let expect = |text: String, wanted: &[&str]| {
        wanted.iter().for_each(|wanted| assert!(text.contains(wanted), "no {wanted} in\n{text}"));
    };
    expect(ask(Some(SECRET), &["ns.z.test.", "A"]), &["status: NOERROR", "192.0.2.1", "TSIG PSEUDOSECTION"]);
    expect(ask(Some(SECRET), &["ns.z.test.", "A", "+tcp"]), &["status: NOERROR", "192.0.2.1"]);
    expect(ask(Some(SECRET), &["none.z.test.", "A"]), &["status: NXDOMAIN", "TSIG PSEUDOSECTION"]);
    expect(ask(Some(OTHER_SECRET), &["ns.z.test.", "A"]), &["status: NOTAUTH", "BADSIG"]);
    expect(ask(None, &[ORIGIN, "AXFR"]), &["Transfer failed"]);
    expect(ask(Some(OTHER_SECRET), &[ORIGIN, "AXFR"]), &["Transfer failed"]);
    let other_key = |name: &str, algorithm: &str| {
        let server = server.address;
        let (at, key) = (format!("@{}", server.ip()), format!("{algorithm}:{name}:{SECRET}"));
        let words = [&at, "-p", &server.port().to_string(), "-y", &key, "ns.z.test.", "A"];
        let output = Command::new("dig").args(words).stdin(Stdio::null()).output().expect("dig");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    expect(other_key("other.", "hmac-sha256"), &["status: NOTAUTH", "BADKEY"]);
    expect(other_key(KEY, "hmac-sha512"), &["status: NOTAUTH", "BADKEY"]);
    expect(other_key(KEY, "hmac-sha256-128"), &["status: NOTAUTH", "BADTRUNC"]);
    for text in [ask(None, &["none.test.", "AXFR"]), ask(Some(SECRET), &["ns.z.test.", "AXFR"])] {
        expect(text, &["Transfer failed"]);
    }
}
