//! The servers that zones go to and come from: how each is configured and started, as a primary and as a secondary.

use crate::oracle::process::{Server, free_port};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The zone.
pub(crate) const ORIGIN: &str = "z.test.";
/// The key's name, which every server knows.
pub(crate) const KEY: &str = "xfr.";
/// The secret that both sides have.
pub(crate) const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// One that only one side has.
pub(crate) const OTHER_SECRET: &str = "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Hivedns,
    Knot,
    Nsd,
    Bind,
}

/// The others.
pub(crate) const OTHERS: [Peer; 3] = [Peer::Knot, Peer::Nsd, Peer::Bind];

/// What a server is to do.
pub(crate) struct Plan<'p> {
    /// Where its files lie.
    pub(crate) dir: &'p Path,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The other side.
    pub(crate) other: SocketAddr,
    /// It has the zone in this file; or none, and gets it from the other.
    pub(crate) file: Option<&'p Path>,
    /// What it holds for the secret.
    pub(crate) secret: &'p str,
    /// Whoever signs may change the zone. BIND does not read such a zone's file again.
    pub(crate) updates: bool,
}

/// A port that nobody has.
pub(crate) fn port() -> SocketAddr {
    free_port().expect("a port")
}

impl Peer {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Peer::Hivedns => "hivedns",
            Peer::Knot => "Knot DNS",
            Peer::Nsd => "NSD",
            Peer::Bind => "BIND",
        }
    }

    /// Starts it. A primary answers for the zone when this returns.
    pub(crate) fn start(self, plan: &Plan<'_>) -> Server {
        fs::create_dir_all(plan.dir).expect("a directory");
        let command = match self {
            Peer::Hivedns => hivedns(plan),
            Peer::Knot => knot(plan),
            Peer::Nsd => nsd(plan),
            Peer::Bind => bind(plan),
        };
        let origins = plan.file.map(|_| crate::oracle::names::from_text(ORIGIN).expect("a name"));
        let origins: Vec<_> = origins.into_iter().collect();
        Server::start(self.title(), command, plan.address, plan.dir, &origins)
            .unwrap_or_else(|e| panic!("{e}"))
    }
}

fn program(name: &str) -> Command {
    let places = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"];
    let found = places.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.exists());
    Command::new(found.unwrap_or_else(|| panic!("{name} is not installed")))
}

fn written(plan: &Plan<'_>, file: &str, text: &str) -> PathBuf {
    let path = plan.dir.join(file);
    fs::write(&path, text).expect("a file");
    path
}

fn hivedns(plan: &Plan<'_>) -> Command {
    written(plan, "secret", plan.secret);
    let content = match plan.file {
        Some(file) => format!("file = \"{}\"\nnotify = [\"{}\"]", file.display(), plan.other),
        None => format!("primary = [\"{}\"]", plan.other),
    };
    let update = if plan.updates { format!("update = [\"key:{KEY}\"]") } else { String::new() };
    let text = format!(
        "[server]\nlisten = [\"{}\"]\nworkers = 1\nstate_dir = \"state\"\n[http]\nlisten = \"{}\"\n\
         [forward]\n\".\" = [\"refuse\"]\n[[zone]]\norigin = \"{ORIGIN}\"\n{content}\n{update}\ntsig = \"{KEY}\"\n\
         transfer = [\"127.0.0.0/8+key:{KEY}\"]\n[[key]]\nname = \"{KEY}\"\nsecret_file = \"secret\"\n",
        plan.address,
        port(),
    );
    let config = written(plan, "hivedns.toml", &text);
    let mut command = Command::new(env!("CARGO_BIN_EXE_hivedns"));
    command.arg("serve").arg("-c").arg(config).args(["--no-gossip", "--no-docker"]);
    command.arg("--control").arg(plan.dir.join("control")).current_dir(plan.dir);
    command
}

fn knot(plan: &Plan<'_>) -> Command {
    let (dir, own, other) = (plan.dir.display(), plan.address.port(), plan.other.port());
    let content = match plan.file {
        Some(file) => format!(
            "    file: \"{}\"\n    zonefile-load: difference\n    zonefile-sync: -1\n    notify: other\n",
            file.display()
        ),
        None => "    master: other\n".to_owned(),
    };
    let text = format!(
        "server:\n    rundir: \"{dir}\"\n    listen: 127.0.0.1@{own}\n    background-workers: 1\n\
         database:\n    storage: \"{dir}\"\n    journal-db-max-size: 8M\nlog:\n  - target: stderr\n    any: info\n\
         key:\n  - id: {KEY}\n    algorithm: hmac-sha256\n    secret: {secret}\n\
         remote:\n  - id: other\n    address: 127.0.0.1@{other}\n    key: {KEY}\n\
         acl:\n  - id: signed\n    key: {KEY}\n    action: [transfer, notify]\n\
         zone:\n  - domain: {ORIGIN}\n    storage: \"{dir}\"\n    acl: signed\n    journal-content: changes\n\
         {content}    semantic-checks: off\n",
        secret = plan.secret,
    );
    let config = written(plan, "knot.conf", &text);
    let mut command = program("knotd");
    command.arg("-c").arg(config);
    command
}

fn nsd(plan: &Plan<'_>) -> Command {
    let (dir, own, other) = (plan.dir.display(), plan.address.port(), plan.other.port());
    let content = match plan.file {
        Some(file) => format!(
            "  zonefile: \"{}\"\n  notify: 127.0.0.1@{other} {KEY}\n  store-ixfr: yes\n  create-ixfr: yes\n",
            file.display()
        ),
        None => format!(
            "  zonefile: \"{dir}/received\"\n  request-xfr: 127.0.0.1@{other} {KEY}\n  allow-notify: 127.0.0.1 {KEY}\n"
        ),
    };
    let text = format!(
        "server:\n  server-count: 1\n  ip-address: 127.0.0.1@{own}\n  port: {own}\n  username: \"\"\n  chroot: \"\"\n  \
         zonesdir: \"{dir}\"\n  database: \"\"\n  pidfile: \"{dir}/nsd.pid\"\n  xfrdfile: \"{dir}/xfrd.state\"\n  \
         zonelistfile: \"{dir}/zone.list\"\n  xfrdir: \"{dir}\"\n  rrl-ratelimit: 0\n  verbosity: 2\n  \
         xfrd-reload-timeout: 0\nremote-control:\n  control-enable: no\n\
         key:\n  name: \"{KEY}\"\n  algorithm: hmac-sha256\n  secret: \"{secret}\"\n\
         zone:\n  name: \"{ORIGIN}\"\n  provide-xfr: 127.0.0.1 {KEY}\n{content}",
        secret = plan.secret,
    );
    let config = written(plan, "nsd.conf", &text);
    let mut command = program("nsd");
    command.arg("-d").arg("-c").arg(config);
    command
}

fn bind(plan: &Plan<'_>) -> Command {
    // Of what is no part of RFC 2136 nothing is checked.
    let updates = match plan.updates {
        true => format!("allow-update {{ key \"{KEY}\"; }}; check-integrity no;"),
        false => String::new(),
    };
    let (dir, own, other) = (plan.dir.display(), plan.address.port(), plan.other.port());
    let content = match plan.file {
        Some(file) => format!(
            "type primary; file \"{}\"; ixfr-from-differences yes; notify explicit; {updates} \
             also-notify {{ 127.0.0.1 port {other} key \"{KEY}\"; }};",
            file.display()
        ),
        None => format!(
            "type secondary; file \"{dir}/received\"; primaries {{ 127.0.0.1 port {other} key \"{KEY}\"; }}; \
             allow-notify {{ key \"{KEY}\"; }}; notify no;"
        ),
    };
    let text = format!(
        "options {{ directory \"{dir}\"; listen-on port {own} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; \
         pid-file \"{dir}/named.pid\"; session-keyfile \"{dir}/session.key\"; recursion no; \
         dnssec-validation no; allow-transfer {{ key \"{KEY}\"; }}; }};\ncontrols {{ }};\n\
         key \"{KEY}\" {{ algorithm hmac-sha256; secret \"{secret}\"; }};\nzone \"{ORIGIN}\" {{ {content} }};\n",
        secret = plan.secret,
    );
    let config = written(plan, "named.conf", &text);
    let mut command = program("named");
    command.arg("-g").arg("-c").arg(config);
    command
}
