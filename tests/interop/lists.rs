//! The services' domain as a zone of others, and catalogs, made and obeyed.

use crate::oracle::process::{Server, TempDir};
use crate::oracle::{message, names, transport, until_within};
use crate::peers::{KEY, ORIGIN, Peer, Plan, SECRET, port, program};
use crate::{PACE, PATIENCE, arrives, content, serial};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// The catalog.
const CATALOG: &str = "cat.test.";
/// Changes of the domain, each a version of its own: it has at most one a second.
const VERSIONS: u32 = 4;

/// The code of the answer to a question for a zone's SOA; `None`: silence.
fn rcode(server: SocketAddr, origin: &str) -> Option<u16> {
    let query = message::query(7, 0, &names::from_text(origin)?, 6, 1, None);
    let reply = transport::udp(server, &[query]).ok()?.pop()??;
    message::decode(&reply).ok().map(|reply| reply.rcode())
}

fn comes(server: &Server, origin: &str, has: bool) {
    let is_so = until_within(PATIENCE, PACE, || (rcode(server.address, origin) == Some(0)) == has);
    assert!(is_so, "{origin} at {}: {:?}\n{}", server.name, rcode(server.address, origin), server.log());
}

/// A hivedns with these sections besides its key, and its control socket in `dir`.
fn hive(dir: &Path, address: SocketAddr, sections: &str) -> Server {
    fs::create_dir_all(dir).expect("a directory");
    fs::write(dir.join("secret"), SECRET).expect("a file");
    write_hive(dir, address, sections);
    let mut command = Command::new(env!("CARGO_BIN_EXE_hivedns"));
    command.args(["serve", "-c", "hivedns.toml", "--no-gossip", "--no-docker", "--control", "control"]);
    command.current_dir(dir);
    Server::start("hivedns", command, address, dir, &[]).unwrap_or_else(|e| panic!("{e}"))
}

fn write_hive(dir: &Path, address: SocketAddr, sections: &str) {
    let text = format!(
        "[server]\nlisten = [\"{address}\"]\nworkers = 1\nstate_dir = \"state\"\n[http]\nlisten = \"{}\"\n[forward]\n\
         \".\" = [\"refuse\"]\n[[key]]\nname = \"{KEY}\"\nsecret_file = \"secret\"\n{sections}",
        port(),
    );
    fs::write(dir.join("hivedns.toml"), text).expect("a file");
}

/// What cluster-wide records a user sets goes to the peer by NOTIFY and IXFR, and is the same there.
pub(crate) fn domain(peer: Peer) {
    let dir = TempDir::new("domain", false).expect("a directory");
    let (own, other) = (port(), port());
    let home = dir.path().join("hive");
    let sections = format!(
        "[services]\ndomain = \"{ORIGIN}\"\n[[zone]]\norigin = \"{ORIGIN}\"\ntsig = \"{KEY}\"\nnotify = [\"{other}\"]\n\
         transfer = [\"127.0.0.0/8+key:{KEY}\"]\n"
    );
    let primary = hive(&home, own, &sections);
    let away = dir.path().join("peer");
    let plan = Plan { dir: &away, address: other, other: own, file: None, secret: SECRET, updates: false };
    let secondary = peer.start(&plan);
    let set = |name: &str, words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hivedns"));
        command.args(["set", &format!("{name}.{ORIGIN}"), "60"]).args(words);
        let output = command.arg("--control").arg(home.join("control")).output().expect("the program");
        assert!(output.status.success(), "{output:?}\n{}", primary.log());
    };
    let is_there = until_within(PATIENCE, PACE, || serial(own).is_some() && content(own).len() > 1);
    assert!(is_there, "{}", primary.log());
    for version in 0..VERSIONS {
        let name = format!("w{version}");
        set(&name, &["A", &format!("192.0.2.{version}"), "192.0.2.99"]);
        set("Mixed", &["MX", &format!("{version} Mail.{ORIGIN}")]);
        let line = |lines: Vec<String>| lines.iter().any(|line| line.starts_with(&format!("{name}.")));
        assert!(until_within(PATIENCE, PACE, || line(content(own))), "{}", primary.log());
        // Refresh is half a minute, which is too long for this patience: NOTIFY brings it.
        let latest = || serial(own).filter(|latest| serial(other) == Some(*latest));
        assert!(until_within(PATIENCE, PACE, || latest().is_some()), "{}{}", secondary.log(), primary.log());
    }
    let mut last = None;
    let same = until_within(PATIENCE, PACE, || {
        last = serial(own);
        last == serial(other) && content(own) == content(other)
    });
    assert!(same, "{:#?}\n{:#?}\n{}", content(own), content(other), secondary.log());
    arrives(&secondary, last.expect("a serial"), "the domain");
    assert!(content(other).len() > 2 * VERSIONS as usize);
}

/// Zones of ours in files, each told to `other`.
fn ours(dir: &Path, members: &[&str], other: SocketAddr) -> String {
    let entries = members.iter().map(|member| {
        let text =
            format!("$TTL 60\n@ SOA ns.{member} admin.{member} 1 600 60 6000 5\n@ NS ns\nns A 192.0.2.1\n");
        fs::write(dir.join(member), text).expect("a file");
        format!(
            "[[zone]]\norigin = \"{member}\"\nfile = \"{member}\"\ntsig = \"{KEY}\"\nnotify = [\"{other}\"]\n\
             transfer = [\"127.0.0.0/8+key:{KEY}\"]\n"
        )
    });
    let catalog = format!(
        "[[zone]]\norigin = \"{CATALOG}\"\ncatalog = true\ntsig = \"{KEY}\"\nnotify = [\"{other}\"]\n\
         transfer = [\"127.0.0.0/8+key:{KEY}\"]\n"
    );
    entries.collect::<String>() + &catalog
}

fn knot_common(dir: &Path, own: SocketAddr, other: SocketAddr) -> String {
    let (dir, own, other) = (dir.display(), own.port(), other.port());
    format!(
        "server:\n    rundir: \"{dir}\"\n    listen: 127.0.0.1@{own}\n    background-workers: 1\n\
         database:\n    storage: \"{dir}\"\n    journal-db-max-size: 8M\n    catalog-db-max-size: 8M\n\
         log:\n  - target: stderr\n    any: info\n\
         key:\n  - id: {KEY}\n    algorithm: hmac-sha256\n    secret: {SECRET}\n\
         remote:\n  - id: other\n    address: 127.0.0.1@{other}\n    key: {KEY}\n\
         acl:\n  - id: signed\n    key: {KEY}\n    action: [transfer, notify]\n\
         template:\n  - id: default\n    storage: \"{dir}\"\n    acl: signed\n    semantic-checks: off\n"
    )
}

fn bind_common(dir: &Path, own: SocketAddr, options: &str) -> String {
    let (dir, own) = (dir.display(), own.port());
    format!(
        "key \"{KEY}\" {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};\ncontrols {{ }};\n\
         options {{ directory \"{dir}\"; listen-on port {own} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; \
         pid-file \"{dir}/named.pid\"; session-keyfile \"{dir}/session.key\"; recursion no; \
         dnssec-validation no; allow-transfer {{ key \"{KEY}\"; }}; {options} }};\n"
    )
}

fn start(peer: Peer, dir: &Path, address: SocketAddr, text: &str) -> Server {
    fs::create_dir_all(dir).expect("a directory");
    let config = dir.join("config");
    fs::write(&config, text).expect("a file");
    let mut command = match peer {
        Peer::Knot => program("knotd"),
        Peer::Bind => {
            let mut command = program("named");
            command.arg("-g");
            command
        }
        Peer::Hivedns | Peer::Nsd => panic!("{} knows no catalogs", peer.title()),
    };
    command.arg("-c").arg(config);
    Server::start(peer.title(), command, address, dir, &[]).unwrap_or_else(|e| panic!("{e}"))
}

/// A peer has what our catalog lists, and no more than that.
pub(crate) fn made(peer: Peer) {
    let dir = TempDir::new("catalog", false).expect("a directory");
    let (own, other) = (port(), port());
    let (home, away) = (dir.path().join("hive"), dir.path().join("peer"));
    fs::create_dir_all(&home).expect("a directory");
    let primary = hive(&home, own, &ours(&home, &["m1.test.", "m2.test."], other));
    comes(&primary, CATALOG, true);
    let text = match peer {
        Peer::Knot => {
            knot_common(&away, other, own)
                + &format!(
                    "  - id: member\n    storage: \"{dir}\"\n    acl: signed\n    master: other\n    semantic-checks: off\n\
                     zone:\n  - domain: {CATALOG}\n    master: other\n    catalog-role: interpret\n    \
                     catalog-template: member\n",
                    dir = away.display()
                )
        }
        _ => {
            let from = format!("127.0.0.1 port {} key \"{KEY}\"", own.port());
            bind_common(
                &away,
                other,
                &format!(
                    "allow-notify {{ key \"{KEY}\"; }}; catalog-zones {{ zone \"{CATALOG}\" default-primaries {{ {from}; }} \
                     in-memory yes min-update-interval 1; }};"
                ),
            ) + &format!("zone \"{CATALOG}\" {{ type secondary; primaries {{ {from}; }}; }};\n")
        }
    };
    let secondary = start(peer, &away, other, &text);
    comes(&secondary, "m1.test.", true);
    comes(&secondary, "m2.test.", true);
    write_hive(&home, own, &ours(&home, &["m2.test.", "m3.test."], other));
    primary.reload();
    comes(&secondary, "m3.test.", true);
    comes(&secondary, "m1.test.", false);
    comes(&secondary, "m2.test.", true);
}

/// We have what a peer's catalog lists, and no more than that, also after a restart; and not what we were told to be primary for.
pub(crate) fn obeyed(peer: Peer) {
    let dir = TempDir::new("catalog", false).expect("a directory");
    let (own, other) = (port(), port());
    let (home, away) = (dir.path().join("hive"), dir.path().join("peer"));
    fs::create_dir_all(&away).expect("a directory");
    for member in ["m1.test.", "m2.test.", "m3.test.", "mine.test."] {
        let text =
            format!("$TTL 60\n@ SOA ns.{member} admin.{member} 1 600 60 6000 5\n@ NS ns\nns A 192.0.2.1\n");
        fs::write(away.join(format!("{member}zone")), text).expect("a file");
    }
    let mut serial = 1;
    let mut config = |members: &[&str]| {
        serial += 1;
        match peer {
            Peer::Knot => {
                let zones = members.iter().map(|member| {
                    format!(
                        "  - domain: {member}\n    file: \"{member}zone\"\n    zonefile-sync: -1\n    notify: other\n    \
                         catalog-role: member\n    catalog-zone: {CATALOG}\n"
                    )
                });
                let catalog =
                    format!("  - domain: {CATALOG}\n    catalog-role: generate\n    notify: other\n");
                knot_common(&away, other, own) + "zone:\n" + &catalog + &zones.collect::<String>()
            }
            _ => {
                let lines = members.iter().map(|member| format!("u{}.zones PTR {member}\n", &member[..2]));
                let text = format!(
                    "$TTL 0\n@ SOA invalid. invalid. {serial} 600 60 6000 0\n@ NS invalid.\nversion TXT \"2\"\n{}",
                    lines.collect::<String>()
                );
                fs::write(away.join("catalog"), text).expect("a file");
                let notify = format!(
                    "also-notify {{ 127.0.0.1 port {} key \"{KEY}\"; }}; notify explicit;",
                    own.port()
                );
                let zone = |origin: &str, file: &str| {
                    format!("zone \"{origin}\" {{ type primary; file \"{file}\"; {notify} }};\n")
                };
                let zones = members.iter().map(|member| zone(member, &format!("{member}zone")));
                bind_common(&away, other, "") + &zone(CATALOG, "catalog") + &zones.collect::<String>()
            }
        }
    };
    let primary = start(peer, &away, other, &config(&["m1.test.", "m2.test.", "mine.test."]));
    comes(&primary, "m1.test.", true);
    let mine = "$TTL 60\n@ SOA ns admin 77 600 60 6000 5\n@ NS ns\nns A 192.0.2.1\n";
    fs::create_dir_all(&home).expect("a directory");
    fs::write(home.join("mine"), mine).expect("a file");
    let sections = format!(
        "[[zone]]\norigin = \"{CATALOG}\"\nprimary = [\"{other}\"]\ntsig = \"{KEY}\"\ncatalog = true\n\
         [[zone]]\norigin = \"mine.test.\"\nfile = \"mine\"\n"
    );
    let mut secondary = hive(&home, own, &sections);
    comes(&secondary, "m1.test.", true);
    comes(&secondary, "m2.test.", true);
    fs::write(away.join("config"), config(&["m2.test.", "m3.test.", "mine.test."])).expect("a file");
    primary.reload();
    comes(&primary, "m3.test.", true);
    // While it reads its configuration a server may answer without its keys, and be asked again after SOA's retry only.
    let has_come = until_within(PATIENCE, PACE, || {
        let mut refresh = Command::new(env!("CARGO_BIN_EXE_hivedns"));
        refresh.args(["zone", "refresh", CATALOG, "--control"]).arg(home.join("control"));
        assert!(refresh.output().expect("the program").status.success(), "{}", secondary.log());
        rcode(secondary.address, "m3.test.") == Some(0)
    });
    assert!(has_come, "{}", secondary.log());
    comes(&secondary, "m1.test.", false);
    assert_eq!(of(secondary.address, "mine.test."), Some(77), "what the configuration names stays");
    secondary.kill();
    drop(primary);
    let secondary = hive(&home, own, &sections);
    comes(&secondary, "m2.test.", true);
    comes(&secondary, "m1.test.", false);
}

/// The serial of a zone.
fn of(server: SocketAddr, origin: &str) -> Option<u32> {
    let query = message::query(7, 0, &names::from_text(origin)?, 6, 1, None);
    let reply = transport::udp(server, &[query]).ok()?.pop()??;
    let reply = message::decode(&reply).ok().filter(|reply| reply.rcode() == 0)?;
    let numbers = reply.sections[0].first()?.rdata.last_chunk::<20>()?;
    numbers.first_chunk().map(|serial| u32::from_be_bytes(*serial))
}
