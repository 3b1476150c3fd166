//! The stub resolvers of glibc and musl, with a network, a `resolv.conf` and an `nsswitch.conf` of their own. Needs root.

use crate::apart::{self, ip, run};
use crate::forwarder::Forwarder;
use crate::oracle::process::TempDir;
use crate::oracle::until_within;
use crate::upstream::{Said, Upstream};
use crate::{A, AAAA, build_lookup, upstream};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const SET: &str = "stubs";
const PATIENCE: Duration = Duration::from_secs(20);
const PACE: Duration = Duration::from_millis(5);

/// A network in which all names are asked of the server under test.
struct Network {
    upstream: Upstream,
    forwarder: Forwarder,
    lookup: PathBuf,
    resolv_conf: PathBuf,
    _home: TempDir,
}

impl Network {
    fn start(compiler: &str, options: &[&str]) -> Network {
        let home = TempDir::new("stub", false).expect("a directory");
        let lookup = build_lookup(home.path(), compiler, options);
        ip("link set lo up");
        // Seen by this process and its children alone.
        let over = |name: &str, text: &str| {
            let file = home.path().join(name);
            fs::write(&file, text).expect("a file");
            run("mount", &[Path::new("--bind"), &file, &Path::new("/etc").join(name)]);
            file
        };
        over("nsswitch.conf", "hosts: dns\n");
        let resolv_conf = over("resolv.conf", "nameserver 127.0.0.1\n");
        let upstream = upstream();
        let at = "127.0.0.1:53".parse().expect("an address");
        let forwarder = Forwarder::start_at(at, home.path(), &[upstream.address]);
        Network { upstream, forwarder, lookup, resolv_conf, _home: home }
    }

    /// What else stands in `resolv.conf` from now on.
    fn configure(&self, lines: &str) {
        fs::write(&self.resolv_conf, format!("nameserver 127.0.0.1\n{lines}\n")).expect("a file");
    }

    /// The addresses of a name, as the C library finds them.
    fn look_up(&self, name: &str) -> BTreeSet<String> {
        let output = apart::said(Command::new(&self.lookup).arg(name));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {errors}{}", self.forwarder.log());
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }

    /// What clients have asked so far: A and AAAA over UDP, then over TCP.
    fn asked(&self) -> [u64; 4] {
        let of = |(proto, rtype)| self.forwarder.asked(proto, rtype);
        [("udp", "A"), ("udp", "AAAA"), ("tcp", "A"), ("tcp", "AAAA")].map(of)
    }

    /// What was asked since.
    fn asked_since(&self, before: [u64; 4]) -> [u64; 4] {
        let after = self.asked();
        std::array::from_fn(|kind| after[kind] - before[kind])
    }

    fn finds_both_families_at_once(&self) {
        let before = self.asked();
        for rtype in [A, AAAA] {
            self.upstream.say("both.example.", rtype, Said::Silence);
        }
        let mut command = Command::new(&self.lookup);
        command.arg("both.example").stdin(Stdio::null()).stdout(Stdio::piped());
        let child = command.spawn().expect("the program");
        // Neither has been answered, and both are asked for.
        let is_heard = || self.upstream.heard("both.example.").iter().any(|heard| heard.qtype == A);
        let both = || is_heard() && self.upstream.heard("both.example.").iter().any(|h| h.qtype == AAAA);
        assert!(until_within(PATIENCE, PACE, both));
        self.upstream.say_address("both.example.", 300, 7);
        self.upstream.say("both.example.", AAAA, Said::Nothing(0, 300));
        let output = child.wait_with_output().expect("its end");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "192.0.2.7\n", "{}", self.forwarder.log());
        assert_eq!(self.asked_since(before), [1, 1, 0, 0]);
        assert_eq!(self.look_up("www.example"), both_addresses());
    }

    fn follows_search_domains(&self) {
        self.configure("search corp.example far.example example\noptions ndots:1");
        assert_eq!(self.look_up("www"), BTreeSet::from(["192.0.2.2".to_owned()]));
        assert!(!self.upstream.heard("www.corp.example.").is_empty());
        assert!(self.upstream.heard("www.").is_empty());
        self.configure("");
    }
}

fn both_addresses() -> BTreeSet<String> {
    BTreeSet::from(["192.0.2.1".to_owned(), "2001:db8::1".to_owned()])
}

#[test]
fn glibc_finds_names_at_once_by_search_domains_over_tcp_and_with_edns() {
    const TEST: &str = "stub::glibc_finds_names_at_once_by_search_domains_over_tcp_and_with_edns";
    apart::apart(TEST, SET, || {
        let network = Network::start("cc", &[]);
        network.finds_both_families_at_once();
        network.follows_search_domains();
        network.configure("options use-vc");
        let before = network.asked();
        assert_eq!(network.look_up("www.example"), both_addresses());
        assert_eq!(network.asked_since(before), [0, 0, 1, 1]);
        // More than 512 octets: without EDNS there is no way but TCP.
        let many = (0..40).map(|last| ("many.example.".to_owned(), A, 300, vec![192, 0, 2, last]));
        network.upstream.say("many.example.", A, Said::Records(many.collect()));
        network.upstream.say("many.example.", AAAA, Said::Nothing(0, 300));
        for (lines, by_tcp) in [("", true), ("options edns0", false)] {
            network.configure(lines);
            let before = network.asked();
            assert_eq!(network.look_up("many.example").len(), 40, "{lines}");
            assert_eq!(network.asked_since(before)[2] > 0, by_tcp, "{lines}");
        }
    });
}

#[test]
fn musl_finds_names_at_once_and_by_search_domains() {
    apart::apart("stub::musl_finds_names_at_once_and_by_search_domains", SET, || {
        let network = Network::start("musl-gcc", &["-static"]);
        network.finds_both_families_at_once();
        network.follows_search_domains();
        let before = network.asked();
        assert_eq!(network.look_up("www.example"), both_addresses());
        assert_eq!(network.asked_since(before), [1, 1, 0, 0]);
    });
}
