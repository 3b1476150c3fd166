//! Updates: the same sessions of `nsupdate` with hivedns and with BIND, and what clients that make records do.

use crate::oracle::process::{Server, TempDir};
use crate::oracle::until_within;
use crate::peers::{KEY, ORIGIN, OTHERS, Peer, Plan, SECRET, port};
use crate::zone::World;
use crate::{PACE, PATIENCE, arrives, content, dig, is_ready, serial};
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Messages of a session that was drawn by lot.
const MESSAGES: usize = 120;

/// Sends one message; what became of it: `NOERROR`, or the code.
pub(crate) fn nsupdate(server: SocketAddr, tcp: bool, lines: &str) -> String {
    let mut command = Command::new("nsupdate");
    command.args(["-y", &format!("hmac-sha256:{KEY}:{SECRET}"), "-t", "20", "-u", "6", "-r", "2"]);
    if tcp {
        command.arg("-v");
    }
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("nsupdate");
    let (ip, number) = (server.ip(), server.port());
    let lines: Vec<String> = lines.lines().map(absolute).collect();
    let text = format!("server {ip} {number}\nzone {ORIGIN}\nttl 300\n{}\nsend\n", lines.join("\n"));
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("nsupdate");
    let output = child.wait_with_output().expect("nsupdate");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match said.split_once("update failed: ") {
        Some((_, code)) => code.trim().to_owned(),
        None if output.status.success() => "NOERROR".to_owned(),
        None => format!("{}: {said}", output.status),
    }
}

/// The line with all of its names made absolute, as `nsupdate` wants them: it knows no origin.
fn absolute(line: &str) -> String {
    const NAMED: [&str; 6] = ["NS", "CNAME", "DNAME", "MX", "SRV", "SOA"];
    let whole = |word: &str| match word {
        "@" => ORIGIN.to_owned(),
        word if word.ends_with('.') => word.to_owned(),
        word => format!("{word}.{ORIGIN}"),
    };
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let owner = if words[0] == "prereq" { 2 } else { 1 };
    words[owner] = whole(&words[owner]);
    let rtype = words.iter().skip(owner).position(|word| NAMED.contains(&word.as_str())).map(|at| at + owner);
    let last = words.len() - 1;
    match rtype.filter(|at| *at < last) {
        Some(at) if words[at] == "SOA" => {
            (at + 1..=at + 2).for_each(|name| words[name] = whole(&words[name]))
        }
        Some(_) => words[last] = whole(&words[last]),
        None => {}
    }
    words.join(" ")
}

/// Both, with the zone of which this is the file.
struct Both {
    dir: TempDir,
    hive: Server,
    bind: Server,
}

impl Both {
    fn start(records: &str) -> Both {
        let dir = TempDir::new("updates", false).expect("a directory");
        let text = format!(
            "$TTL 300\n@ SOA ns admin 1 3600 5 86400 60\n@ NS ns\nns A 192.0.2.1\nns2 A 192.0.2.2\n{records}"
        );
        let start = |peer: Peer| {
            let home = dir.path().join(peer.title());
            fs::create_dir_all(&home).expect("a directory");
            // BIND writes it anew now and then.
            let file = home.join("zone");
            fs::write(&file, &text).expect("a file");
            peer.start(&Plan {
                dir: &home,
                address: port(),
                other: port(),
                file: Some(&file),
                secret: SECRET,
                updates: true,
            })
        };
        let (hive, bind) = (start(Peer::Hivedns), start(Peer::Bind));
        Both { dir, hive, bind }
    }

    /// The same message to both: the same code, and the same zone afterwards, its serial included.
    fn send(&self, number: usize, lines: &str) -> String {
        let tcp = number.is_multiple_of(2);
        let (ours, theirs) =
            (nsupdate(self.hive.address, tcp, lines), nsupdate(self.bind.address, tcp, lines));
        let log = || format!("{}\n{}", self.hive.log(), self.bind.log());
        assert_eq!(ours, theirs, "hivedns and BIND differ, message {number}:\n{lines}\n{}", log());
        let (ours, theirs) = (content(self.hive.address), content(self.bind.address));
        assert!(ours.len() > 4, "{}", log());
        assert_eq!(ours, theirs, "zones of hivedns and BIND differ after message {number}:\n{lines}");
        theirs.join("\n")
    }
}

/// Adds, deletions and prerequisites, each rule once, then by lot.
pub(crate) fn as_bind_does() -> usize {
    let both = Both::start(
        "a A 192.0.2.3\na A 192.0.2.4\na TXT \"x\"\nalias CNAME a\nd DNAME elsewhere.test.\n@ MX 10 Mail\n",
    );
    let rules = [
        "add new 60 A 192.0.2.9",
        "add new 60 A 192.0.2.9",
        "add a 60 A 192.0.2.9",
        "add alias 60 A 192.0.2.9",
        "add alias 60 CNAME new",
        "add a 60 CNAME new",
        "add d 60 DNAME new",
        "prereq yxdomain a\nadd p1 60 A 192.0.2.9",
        "prereq yxdomain none\nadd p2 60 A 192.0.2.9",
        "prereq nxdomain none\nadd p3 60 A 192.0.2.9",
        "prereq nxdomain a\nadd p4 60 A 192.0.2.9",
        "prereq yxrrset a TXT\nadd p5 60 A 192.0.2.9",
        "prereq yxrrset a MX\nadd p6 60 A 192.0.2.9",
        "prereq nxrrset a MX\nadd p7 60 A 192.0.2.9",
        "prereq nxrrset a TXT\nadd p8 60 A 192.0.2.9",
        "prereq yxrrset a TXT x\nadd p9 60 A 192.0.2.9",
        "prereq yxrrset a TXT y\nadd p10 60 A 192.0.2.9",
        "prereq yxrrset @ MX 10 MAIL\nadd p11 60 A 192.0.2.9",
        "delete a A 192.0.2.9",
        "delete a A 192.0.2.99",
        "delete a TXT",
        "delete a",
        "delete none",
        "delete @ SOA",
        "delete @ NS",
        "delete @ NS ns",
        "add @ 60 NS ns2\ndelete @ NS ns",
        "delete @",
        "delete @ MX\nadd @ 60 MX 5 mail",
        "add @ 60 SOA ns admin 70 3600 5 86400 60\nadd n1 60 A 192.0.2.9",
        "add @ 60 SOA ns admin 70 3600 9 86400 60\nadd n2 60 A 192.0.2.9",
        "add @ 60 SOA ns admin 9 3600 5 86400 60",
        "add *.w 60 TXT wild\nadd x.ent 60 TXT below",
        "prereq nxdomain ent\nprereq nxdomain y.w\nadd ent 60 TXT here",
        "add sub 60 NS ns.sub\nadd ns.sub 60 A 192.0.2.7",
        "delete sub NS",
        "add elsewhere.test. 60 A 192.0.2.9",
        "prereq yxdomain elsewhere.test.\nadd p12 60 A 192.0.2.9",
        "add t 60 TYPE65280 \\# 3 010203\nadd t 60 SRV 1 2 3 a\nadd t 60 CAA 0 issue \"x\"",
    ];
    let mut messages = 0;
    for lines in rules {
        both.send(messages, lines);
        messages += 1;
    }
    let mut lot = Lot(7);
    for _ in 0..MESSAGES {
        let lines: Vec<String> = (0..=lot.below(4)).map(|_| lot.line()).collect();
        both.send(messages, &lines.join("\n"));
        messages += 1;
    }
    // What was written is there after a crash.
    let (before, Both { dir, mut hive, bind }) = (content(both.hive.address), both);
    hive.kill();
    let home = dir.path().join(Peer::Hivedns.title());
    let file = home.join("zone");
    let plan = Plan {
        dir: &home,
        address: hive.address,
        other: port(),
        file: Some(&file),
        secret: SECRET,
        updates: true,
    };
    let hive = Peer::Hivedns.start(&plan);
    assert_eq!(content(hive.address), before, "{}", hive.log());
    assert_eq!(content(bind.address), before);
    messages
}

/// Draws lines.
struct Lot(u64);

impl Lot {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn of<'w>(&mut self, words: &[&'w str]) -> &'w str {
        words[self.below(words.len() as u64) as usize]
    }

    fn line(&mut self) -> String {
        const OWNERS: [&str; 9] = ["a", "alias", "d", "new", "x.ent", "ent", "sub", "*.w", "@"];
        const TYPES: [&str; 6] = ["A", "TXT", "CNAME", "MX", "DNAME", "NS"];
        const DATA: [&str; 8] = [
            "A 192.0.2.3",
            "A 192.0.2.9",
            "TXT x",
            "CNAME a",
            "MX 10 ns",
            "DNAME elsewhere.test.",
            "CNAME new",
            "TXT \"y z\"",
        ];
        let owner = self.of(&OWNERS);
        match self.below(10) {
            0..=3 => {
                let (ttl, data) = (self.of(&["60", "300"]), self.of(&DATA));
                // There BIND takes none: it would hide the zone's name servers, or means nothing that is sure
                // (RFC 4592 §4.4). RFC 2136 has no word of it.
                let is_odd = data.starts_with("DNAME") && ["@", "*.w"].contains(&owner);
                let owner = if is_odd { "d" } else { owner };
                format!("add {owner} {ttl} {data}")
            }
            4 => format!("delete {owner} {}", self.of(&DATA)),
            5 => format!("delete {owner} {}", self.of(&TYPES)),
            6 => format!("delete {owner}"),
            7 => format!("prereq yxrrset {owner} {}", self.of(&TYPES)),
            8 => format!("prereq nxrrset {owner} {}", self.of(&TYPES)),
            _ => format!("prereq {} {owner}", self.of(&["yxdomain", "nxdomain"])),
        }
    }
}

/// A secondary follows what is updated here, told by NOTIFY.
pub(crate) fn followed_by(peer: Peer) {
    let dir = TempDir::new("followed", false).expect("a directory");
    let (file, world) = (dir.path().join("zone"), World::new(5));
    world.write(&file);
    let (at, other) = (port(), port());
    let home = |name: &str| dir.path().join(name);
    let (own, theirs): (PathBuf, PathBuf) = (home("primary"), home("secondary"));
    let plan = Plan { dir: &own, address: at, other, file: Some(&file), secret: SECRET, updates: true };
    let primary = Peer::Hivedns.start(&plan);
    let plan = Plan { dir: &theirs, address: other, other: at, file: None, secret: SECRET, updates: false };
    let secondary = peer.start(&plan);
    arrives(&secondary, world.serial(), "AXFR");
    for number in 0..10 {
        let lines =
            format!("delete n{number}\nadd n{number} 60 TXT \"{number}\"\nadd u{number} 60 A 192.0.2.9");
        assert_eq!(nsupdate(at, number % 2 == 0, &lines), "NOERROR", "{}", primary.log());
        arrives(&secondary, world.serial() + number + 1, &format!("{}, update {number}", peer.title()));
    }
    assert_eq!(content(at), content(other), "{}", peer.title());
}

/// What external-dns does with its rfc2136 provider: it reads the zone by AXFR, and keeps beside each of its records a
/// TXT that says whose it is; it changes records by deleting and adding them in one message.
#[test]
fn a_client_that_keeps_a_registry_in_txt_records_works() {
    if !is_ready("a_client_that_keeps_a_registry_in_txt_records_works") {
        return;
    }
    let dir = TempDir::new("registry", false).expect("a directory");
    let (file, home) = (dir.path().join("zone"), dir.path().join("hive"));
    fs::write(&file, "$TTL 300\n@ SOA ns admin 1 3600 5 86400 60\n@ NS ns\nns A 192.0.2.1\n")
        .expect("a file");
    let plan =
        Plan { dir: &home, address: port(), other: port(), file: Some(&file), secret: SECRET, updates: true };
    let server = Peer::Hivedns.start(&plan);
    let at = server.address;
    let owner = "\"heritage=external-dns,external-dns/owner=me,external-dns/resource=service/default/web\"";
    let has = |wanted: &[&str]| {
        let all = content(at).join("\n");
        wanted.iter().for_each(|line| assert!(all.contains(line), "no {line} in\n{all}"));
        all.lines().count()
    };
    assert_eq!(has(&["ns.z.test. 300 in a 192.0.2.1"]), 3);
    for tcp in [true, false] {
        let lines = format!("add web 60 A 192.0.2.10\nadd a-web 60 TXT {owner}");
        assert_eq!(nsupdate(at, tcp, &lines), "NOERROR", "{}", server.log());
        assert_eq!(
            has(&["web.z.test. 60 in a 192.0.2.10", "a-web.z.test. 60 in txt \"heritage=external-dns"]),
            5
        );
        let lines = format!(
            "delete web A 192.0.2.10\nadd web 60 A 192.0.2.11\ndelete a-web TXT {owner}\nadd a-web 60 TXT {owner}"
        );
        assert_eq!(nsupdate(at, tcp, &lines), "NOERROR", "{}", server.log());
        assert_eq!(has(&["web.z.test. 60 in a 192.0.2.11"]), 5);
        // What is there is answered at once: the code comes when it is.
        let answer = dig(at, None, &["web.z.test.", "A", "+short"]);
        assert_eq!(answer.trim(), "192.0.2.11");
        let lines = format!("delete web A 192.0.2.11\ndelete a-web TXT {owner}");
        assert_eq!(nsupdate(at, tcp, &lines), "NOERROR", "{}", server.log());
        assert_eq!(has(&[]), 3);
    }
}

/// The file of a zone that is updated is the operator's: it counts again once its serial is later.
#[test]
fn the_file_of_an_updated_zone_is_never_written_and_counts_by_its_serial() {
    if !is_ready("the_file_of_an_updated_zone_is_never_written_and_counts_by_its_serial") {
        return;
    }
    let dir = TempDir::new("edited", false).expect("a directory");
    let (file, home) = (dir.path().join("zone"), dir.path().join("hive"));
    let write = |serial: u32, record: &str| {
        let text =
            format!("$TTL 300\n@ SOA ns admin {serial} 3600 5 86400 60\n@ NS ns\nns A 192.0.2.1\n{record}\n");
        fs::write(&file, text).expect("a file");
    };
    write(1, "");
    let plan =
        Plan { dir: &home, address: port(), other: port(), file: Some(&file), secret: SECRET, updates: true };
    let server = Peer::Hivedns.start(&plan);
    let at = server.address;
    let before = fs::read(&file).expect("a file");
    for number in 0..3 {
        assert_eq!(
            nsupdate(at, false, &format!("add u{number} 60 A 192.0.2.9")),
            "NOERROR",
            "{}",
            server.log()
        );
    }
    assert_eq!(fs::read(&file).expect("a file"), before);
    write(4, "edited A 192.0.2.9");
    server.reload();
    let is_refused = || server.log().contains("its serial 4 is not later than 4, to which updates have led");
    assert!(until_within(PATIENCE, PACE, is_refused), "{}", server.log());
    assert_eq!((serial(at), content(at).len()), (Some(4), 6));
    write(5, "edited A 192.0.2.9");
    server.reload();
    assert!(until_within(PATIENCE, PACE, || serial(at) == Some(5)), "{}", server.log());
    assert!(content(at).iter().any(|line| line.starts_with("edited.")) && content(at).len() == 4);
    assert!(server.log().contains("replaces what updates had changed up to serial 4"), "{}", server.log());
    assert_eq!(nsupdate(at, false, "add after 60 A 192.0.2.9"), "NOERROR", "{}", server.log());
    assert_eq!(serial(at), Some(6));
}

pub(crate) fn followed() -> [String; 3] {
    OTHERS.map(|peer| {
        followed_by(peer);
        "ok".to_owned()
    })
}
