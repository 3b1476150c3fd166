//! delv and Unbound, who check what hivedns answers from zones that ldns and BIND have signed.

use crate::apart::installed_for;
use crate::oracle::message::{self, AD, Edns, RD};
use crate::oracle::names::{Wire, from_text};
use crate::oracle::process::{Server, TempDir, free_port, hivedns};
use crate::oracle::transport;
use crate::signers::{BY_HASHES, BY_NAMES, Way, sign};
use hivedns::wire::rtype::RecordType;
use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long Unbound may take until it answers.
const START: Duration = Duration::from_secs(10);

const TEXT: &str = "$TTL 300\n@ SOA ns host 1 3600 600 86400 120\n@ NS ns\n@ MX 10 mail\nns A 192.0.2.1\nns AAAA 2001:db8::1\n\
    mail A 192.0.2.2\nwww A 192.0.2.3\nwww TXT \"text\"\nalias CNAME www\nempty.deep.down TXT \"deep\"\n*.wild A 192.0.2.4\n\
    *.wild MX 10 mail\n*.alias CNAME www\nx.*.hollow A 192.0.2.5\nold DNAME new\nwww.new A 192.0.2.6\n*.star.new A 192.0.2.7\n\
    cut NS ns.cut\nns.cut A 192.0.2.8\nfar.off.cut2 NS ns\nsafe NS ns.safe\nns.safe A 192.0.2.9\n\
    safe DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000001\n";

/// Name below the apex, type, code; true if it is proven in a zone with opt-out, too (RFC 5155 §6).
const QUESTIONS: &[(&str, &str, u16, bool)] = &[
    ("", "SOA", 0, true),
    ("", "DNSKEY", 0, true),
    ("", "MX", 0, true),
    ("", "TXT", 0, true),
    ("www.", "A", 0, true),
    ("www.", "AAAA", 0, true),
    ("alias.", "A", 0, true),
    ("alias.", "AAAA", 0, true),
    ("x.wild.", "A", 0, false),
    ("x.y.wild.", "MX", 0, false),
    ("x.wild.", "TXT", 0, false),
    ("*.wild.", "A", 0, true),
    ("x.alias.", "A", 0, false),
    ("x.alias.", "AAAA", 0, false),
    ("down.", "A", 0, true),
    ("deep.down.", "TXT", 0, true),
    ("www.old.", "A", 0, true),
    ("www.old.", "CNAME", 0, true),
    ("x.star.old.", "A", 0, false),
    ("none.old.", "A", 3, false),
    ("none.", "A", 3, false),
    ("a.b.none.", "A", 3, false),
    ("a.b.www.", "A", 3, false),
    ("none.deep.down.", "A", 3, false),
    ("safe.", "DS", 0, true),
    ("cut.", "DS", 0, false),
    ("far.off.cut2.", "DS", 0, false),
    ("off.cut2.", "A", 0, false),
    ("none.cut2.", "A", 3, false),
    ("www.", "DS", 0, true),
];

/// A zone of the test.
struct Zone {
    origin: Wire,
    name: String,
    way: &'static Way,
    file: PathBuf,
    /// Flags, protocol, algorithm, key of its DNSKEY, as text.
    key: Vec<String>,
}

impl Zone {
    fn signed(dir: &Path, number: usize, way: &'static Way) -> Zone {
        let name = format!("s{number}.house.");
        let file = dir.join(format!("{name}zone"));
        fs::write(&file, format!("$ORIGIN {name}\n{TEXT}")).expect("a file");
        let signed = sign(dir, &name, &file, way).unwrap_or_else(|why| panic!("{}: {why}", way.name));
        let line = signed.key.lines().find(|line| !line.starts_with(';')).expect("a key");
        let words = line.split(';').next().unwrap_or_default().split_whitespace();
        let key: Vec<String> =
            words.skip_while(|word| *word != "DNSKEY").skip(1).map(str::to_owned).collect();
        Zone { origin: from_text(&name).expect("a name"), name, way, file: signed.file, key }
    }

    fn opts_out(&self) -> bool {
        self.way.name.starts_with("opt-out")
    }

    /// What delv has to say to a question.
    fn delv(&self, dir: &Path, server: SocketAddr, name: &str, rtype: &str) -> String {
        let anchors = dir.join(format!("{}anchors", self.name));
        let (fields, key) = self.key.split_at(3);
        let text = format!(
            "trust-anchors {{ \"{}\" static-key {} \"{}\"; }};\n",
            self.name,
            fields.join(" "),
            key.concat()
        );
        fs::write(&anchors, text).expect("a file");
        let mut command = Command::new("delv");
        command.arg(format!("@{}", server.ip())).args(["-p", &server.port().to_string(), "-a"]).arg(anchors);
        command.args([&format!("+root={}", self.name), "-t", rtype, name]);
        let output = command.output().expect("delv");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }
}

/// Unbound, which asks that server about the zones and trusts their keys.
fn unbound(dir: &Path, server: SocketAddr, zones: &[Zone]) -> Result<Server, String> {
    let address = free_port().map_err(|error| error.to_string())?;
    let mut text = format!(
        "server:\n  interface: 127.0.0.1@{port}\n  port: {port}\n  username: \"\"\n  chroot: \"\"\n  \
         directory: \"{dir}\"\n  pidfile: \"{dir}/unbound.pid\"\n  use-syslog: no\n  logfile: \"\"\n  num-threads: 1\n  \
         do-ip6: no\n  do-not-query-localhost: no\n  module-config: \"validator iterator\"\n  val-log-level: 2\n  \
         aggressive-nsec: no\n  qname-minimisation: no\n  val-bogus-ttl: 1\n",
        port = address.port(),
        dir = dir.display(),
    );
    for zone in zones {
        let anchor = dir.join(format!("{}key", zone.name));
        fs::write(&anchor, format!("{} IN DNSKEY {}\n", zone.name, zone.key.join(" "))).expect("a file");
        let _ = writeln!(text, "  trust-anchor-file: \"{}\"", anchor.display());
    }
    text += "remote-control:\n  control-enable: no\n";
    for zone in zones {
        let (ip, port) = (server.ip(), server.port());
        let _ = write!(text, "stub-zone:\n  name: \"{}\"\n  stub-addr: {ip}@{port}\n", zone.name);
    }
    let config = dir.join("unbound.conf");
    fs::write(&config, text).map_err(|error| error.to_string())?;
    let mut command = Command::new("unbound");
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").args(["-d", "-c"]).arg(config);
    let server = Server::start("unbound", command, address, dir, &[])?;
    // It refuses who does not want recursion, as that waits for a server's own zones.
    let query = message::query(7, RD, &zones[0].origin, RecordType::SOA.0, 1, None);
    let is_up = transport::wait_until(address, &query, START, |reply| reply.rcode() == 0, || true);
    is_up.then_some(()).ok_or_else(|| format!("unbound does not answer\n{}", server.log()))?;
    Ok(server)
}

#[test]
fn delv_and_unbound_prove_what_both_signers_have_signed() {
    let test = "others::delv_and_unbound_prove_what_both_signers_have_signed";
    installed_for(test, "signers", || {
        let home = TempDir::new("signed", false).expect("a directory");
        let dir = home.path();
        let ways = BY_NAMES.iter().chain(&BY_HASHES).enumerate();
        let zones: Vec<Zone> = ways.map(|(number, way)| Zone::signed(dir, number, way)).collect();
        let files: Vec<_> = zones.iter().map(|zone| (zone.origin.clone(), zone.file.clone())).collect();
        let server = hivedns(dir, &files, &[]).unwrap_or_else(|why| panic!("{why}"));
        let unbound = unbound(dir, server.address, &zones).unwrap_or_else(|why| panic!("{why}"));
        let edns = Edns { payload: 1232, dnssec_ok: true, version: 0, options: Vec::new() };
        let mut wrong = Vec::new();
        for zone in &zones {
            for (name, rtype, rcode, by_opt_out) in QUESTIONS {
                let name = format!("{name}{}", zone.name);
                let is_open = zone.opts_out() && !by_opt_out;
                let said = zone.delv(dir, server.address, &name, rtype);
                let is_fine = said.contains("fully validated") || is_open && said.contains("unsigned answer");
                if !is_fine {
                    wrong.push(format!("{} {name} {rtype}: delv: {said}", zone.way.name));
                }
                // Unbound 1.17 finds no proof for the alias that a DNAME makes, be it NSD that tells it.
                if *rtype == "CNAME" {
                    continue;
                }
                let code = rtype.parse::<RecordType>().expect("a type").0;
                let query =
                    message::query(7, RD | AD, &from_text(&name).expect("a name"), code, 1, Some(&edns));
                let replies = transport::tcp(unbound.address, &[query]);
                let reply = replies[0].as_ref().map(|octets| message::decode(octets).expect("well formed"));
                let told = reply.map(|reply| (reply.rcode(), reply.flags & AD != 0));
                if told != Some((*rcode, true)) && !(is_open && told == Some((*rcode, false))) {
                    wrong.push(format!("{} {name} {rtype}: Unbound: code and AD {told:?}", zone.way.name));
                }
            }
        }
        assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), unbound.log());
    });
}
