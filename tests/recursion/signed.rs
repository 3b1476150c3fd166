//! Proofs: a world whose zones another program has signed, and what becomes of answers that are not proven.

use crate::apart;
use crate::apart::ip;
use crate::oracle::message::{AD, CD, Message};
use crate::oracle::now;
use crate::oracle::process::TempDir;
use crate::owners;
use crate::signer::{ending, key, sign};
use crate::verb::verb;
use crate::world::{
    A, AAAA, ANSWER, CLIENT, CNAME, NOERROR, NXDOMAIN, OTHER, Process, RESOLVER, SERVFAIL, SILENT,
    add_address, exchange, port_53, query, resolver,
};
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the root is, and where all zones below it are.
const ROOT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const BELOW: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 1);

/// Extended errors (RFC 8914 §4).
const BOGUS: u16 = 6;
const EXPIRED: u16 = 7;
const NO_KEY: u16 = 9;

/// How a zone is signed: what else the signer is told.
const NSEC: &[&str] = &[];
const NSEC3: &[&str] = &["-n", "-t", "0"];
const LONG_AGO: &[&str] = &["-i", "20200101000000", "-e", "20200201000000"];

/// A zone below the root, and what was done to it.
struct Zone {
    name: &'static str,
    /// What the signer is told; none: it is not signed.
    signed: Option<&'static [&'static str]>,
    /// The root vouches for a key that does not sign it.
    other_key: bool,
}

const ZONES: &[Zone] = &[
    Zone { name: "good.", signed: Some(NSEC), other_key: false },
    Zone { name: "hashed.", signed: Some(NSEC3), other_key: false },
    Zone { name: "plain.", signed: None, other_key: false },
    Zone { name: "forged.", signed: Some(NSEC), other_key: true },
    Zone { name: "expired.", signed: Some(LONG_AGO), other_key: false },
];

/// NSD, which serves these zones from these files.
fn nsd(name: &str, address: Ipv4Addr, dir: &Path, zones: &[(&str, PathBuf)]) -> Process {
    let mut text = format!(
        "server:\n  server-count: 1\n  ip-address: {address}\n  port: 53\n  username: \"\"\n  chroot: \"\"\n  \
         zonesdir: \"{dir}\"\n  database: \"\"\n  pidfile: \"{dir}/{name}.pid\"\n  \
         xfrdfile: \"{dir}/{name}.xfrd\"\n  zonelistfile: \"{dir}/{name}.list\"\n  xfrdir: \"{dir}\"\n  \
         rrl-ratelimit: 0\n  rrl-whitelist-ratelimit: 0\nremote-control:\n  control-enable: no\n",
        dir = dir.display(),
    );
    for (zone, file) in zones {
        text += &format!("zone:\n  name: \"{zone}\"\n  zonefile: \"{}\"\n", file.display());
    }
    let config = dir.join(format!("{name}.conf"));
    fs::write(&config, text).expect("a file");
    let mut server = Process::start(name, address, dir, "nsd", |command| {
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").args(["-d", "-c"]).arg(&config);
    });
    server.wait(&zones.iter().map(|(zone, _)| *zone).collect::<Vec<_>>());
    server
}

/// A signed root, zones below it, and two resolvers that trust the root's key: one that walks from the root, and one that
/// asks the other.
struct Signed {
    resolver: Process,
    forwarder: Process,
    anchor: PathBuf,
    _servers: [Process; 2],
    dir: TempDir,
}

impl Signed {
    fn start() -> Signed {
        let home = TempDir::new("signed", false).expect("a directory");
        let dir = home.path();
        ip("link set lo up");
        [ROOT, BELOW, RESOLVER, OTHER, CLIENT, SILENT].into_iter().for_each(add_address);
        let mut root =
            format!("$TTL 3600\n. SOA a.root. admin.root. 1 2 3 4 300\n. NS a.root.\na.root. A {ROOT}\n");
        let mut served = Vec::new();
        for Zone { name, signed, other_key } in ZONES {
            let file = dir.join(format!("{name}zone"));
            let text = "@ SOA ns admin 1 2 3 4 300\n@ NS ns\nwww A 192.0.2.80\n*.wild A 192.0.2.81\n\
                web CNAME www\nold DNAME new\nwww.new A 192.0.2.82\n";
            fs::write(&file, format!("$ORIGIN {name}\n$TTL 3600\n{text}ns A {BELOW}\n")).expect("a file");
            root += &format!("{name} NS ns.{name}\nns.{name} A {BELOW}\n");
            let Some(options) = signed else {
                served.push((*name, file));
                continue;
            };
            let own = key(dir, name);
            let vouched = if *other_key { key(dir, name) } else { own.clone() };
            root += &fs::read_to_string(ending(&vouched, "ds")).expect("a DS");
            served.push((*name, sign(name, &file, &own, options)));
        }
        let file = dir.join("root.zone");
        fs::write(&file, root).expect("a file");
        let root_key = key(dir, ".");
        let root = sign(".", &file, &root_key, NSEC);
        let servers = [nsd("root", ROOT, dir, &[(".", root)]), nsd("below", BELOW, dir, &served)];
        let mut resolver = resolver(dir, |command| {
            command.env("HIVEDNS_RESOLVE__TRUST_ANCHOR", ending(&root_key, "ds"));
        });
        let mut forwarder = Process::hivedns("forwarder", OTHER, dir, |command| {
            command.env("HIVEDNS_FORWARD__.", RESOLVER.to_string());
            command.env("HIVEDNS_FORWARD__half", SILENT.to_string());
            command.env("HIVEDNS_RESOLVE__TRUST_ANCHOR", ending(&root_key, "ds"));
            command.env("HIVEDNS_RESOLVE__VALIDATE_FORWARDED", "true");
        });
        resolver.wait(&["localhost."]);
        forwarder.wait(&["localhost."]);
        let anchor = ending(&root_key, "ds");
        Signed { resolver, forwarder, anchor, _servers: servers, dir: home }
    }

    /// What that resolver answers to a query that understands AD.
    fn ask(&self, of: Ipv4Addr, name: &str, rtype: u16, flags: u16) -> Message {
        let reply = exchange(of, CLIENT, &query(7, AD | flags, name, rtype));
        let log = || [self.resolver.log(), self.forwarder.log()].concat();
        reply.unwrap_or_else(|| panic!("{name}: {ANSWER:?} are over: {}", log()))
    }
}

/// The extended errors of a reply (RFC 8914 §2): option 15, code first.
fn errors(reply: &Message) -> Vec<u16> {
    let (mut errors, mut rest) = (Vec::new(), &reply.opt.as_ref().expect("EDNS").options[..]);
    while let [high, low, length_high, length_low, data @ ..] = rest {
        let length = u16::from_be_bytes([*length_high, *length_low]).into();
        let (data, others) = data.split_at(length);
        if u16::from_be_bytes([*high, *low]) == 15 {
            errors.push(u16::from_be_bytes([data[0], data[1]]));
        }
        rest = others;
    }
    errors
}

/// Asks that resolver of the world for what is there and what is not, in zones that are proven and in one that is not.
fn proofs_are_told_with_ad(world: &Signed, of: Ipv4Addr) {
    for (zone, ad) in [("good.", AD), ("hashed.", AD), ("plain.", 0)] {
        for (name, rtype, rcode) in [
            ("www.", A, NOERROR),
            ("web.", A, NOERROR),
            ("x.wild.", A, NOERROR),
            ("www.old.", A, NOERROR),
            ("www.old.", CNAME, NOERROR),
            ("www.", AAAA, NOERROR),
            ("wild.", A, NOERROR),
            ("nowhere.", A, NXDOMAIN),
        ] {
            // The second time from the cache.
            for turn in 0..2 {
                let reply = world.ask(of, &format!("{name}{zone}"), rtype, 0);
                assert_eq!(
                    (reply.rcode(), reply.flags & AD),
                    (rcode, ad),
                    "{of} {name}{zone} {rtype} {turn} {:?}",
                    errors(&reply)
                );
            }
        }
    }
    // That a top-level domain does not exist, the root itself proves.
    let reply = world.ask(of, "nowhere.", A, 0);
    assert_eq!((reply.rcode(), reply.flags & AD), (NXDOMAIN, AD));
}

#[test]
fn what_is_proven_is_told_with_ad_and_what_nobody_vouches_for_without() {
    apart("signed::what_is_proven_is_told_with_ad_and_what_nobody_vouches_for_without", || {
        let world = Signed::start();
        proofs_are_told_with_ad(&world, RESOLVER);
    });
}

#[test]
fn what_an_upstream_server_says_is_proven_in_the_same_way_if_that_is_wanted() {
    apart("signed::what_an_upstream_server_says_is_proven_in_the_same_way_if_that_is_wanted", || {
        let world = Signed::start();
        proofs_are_told_with_ad(&world, OTHER);
        // Keys were asked for of the same server; the root's and two zones' once each.
        assert!(world.forwarder.counted("hivedns_forward_requests_total") > 24);
        bogus_answers_fail(&world, OTHER);
        // It would have been told what is bogus: the forwarder asked as one who checks for itself.
        assert_eq!(world.ask(RESOLVER, "www.forged.", A, CD).rcode(), NOERROR);
    });
}

/// An upstream server that answers questions for addresses and leaves all others, those for keys among them.
fn answer_half(socket: &UdpSocket) {
    let mut buffer = [0; 512];
    while let Ok((len, from)) = socket.recv_from(&mut buffer) {
        let message = &buffer[..len];
        let end = 13 + message[12..].iter().position(|octet| *octet == 0).expect("a name");
        if message[end..end + 2] == A.to_be_bytes() {
            let mut reply = message[..end + 4].to_vec();
            (reply[2], reply[7], reply[11]) = (reply[2] | 0x80, 1, 0);
            reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 9]);
            socket.send_to(&reply, from).expect("a way");
        }
    }
}

#[test]
fn an_upstream_server_that_has_no_keys_to_tell_fails_before_stubs_give_up() {
    apart("signed::an_upstream_server_that_has_no_keys_to_tell_fails_before_stubs_give_up", || {
        let world = Signed::start();
        let socket = UdpSocket::bind(port_53(SILENT)).expect("an address of ours");
        std::thread::spawn(move || answer_half(&socket));
        let before = now();
        let reply = world.ask(OTHER, "www.half.", A, 0);
        assert_eq!((reply.rcode(), owners(&reply, 0)), (SERVFAIL, vec![]));
        // Docker's resolver waits for four seconds.
        assert!(now() - before < Duration::from_secs(4), "{:?}", now() - before);
        // It is there for who does not check.
        assert_eq!(world.ask(OTHER, "www.half.", A, CD).rcode(), NOERROR);
    });
}

/// Asks that resolver of the world for what is signed wrongly.
fn bogus_answers_fail(world: &Signed, of: Ipv4Addr) {
    for (name, reasons) in [("www.forged.", &[BOGUS, NO_KEY][..]), ("www.expired.", &[EXPIRED])] {
        let reply = world.ask(of, name, A, 0);
        assert_eq!(
            (reply.rcode(), reply.flags & AD, owners(&reply, 0)),
            (SERVFAIL, 0, vec![]),
            "{of} {name}"
        );
        let told = errors(&reply);
        assert!(told.iter().any(|error| reasons.contains(error)), "{of} {name}: {told:?}");
        let reply = world.ask(of, name, A, CD);
        assert_eq!((reply.rcode(), reply.flags & AD), (NOERROR, 0), "{of} {name}");
        assert_eq!(owners(&reply, 0), [(name.to_owned(), A)]);
        // What they were told is not told to others.
        assert_eq!(world.ask(of, name, A, 0).rcode(), SERVFAIL, "{of} {name}");
    }
}

#[test]
fn what_is_signed_wrongly_fails_with_the_reason_and_is_there_for_those_who_do_not_check() {
    apart(
        "signed::what_is_signed_wrongly_fails_with_the_reason_and_is_there_for_those_who_do_not_check",
        || {
            let world = Signed::start();
            bogus_answers_fail(&world, RESOLVER);
        },
    );
}

#[test]
fn other_trust_anchors_are_believed_after_a_reload() {
    apart("signed::other_trust_anchors_are_believed_after_a_reload", || {
        let world = Signed::start();
        let good = fs::read_to_string(&world.anchor).expect("a DS");
        let digest = good.trim_end().rfind(|c: char| c.is_ascii_hexdigit()).expect("a digest");
        let other = if good[digest..].starts_with('0') { "1" } else { "0" };
        let other = [&good[..digest], other, &good[digest + 1..]].concat();
        // Faulty ones change nothing.
        for (text, code, rcode, ad) in [
            (good.as_str(), 0, NOERROR, AD),
            ("x", 2, NOERROR, AD),
            (other.as_str(), 0, SERVFAIL, 0),
            (good.as_str(), 0, NOERROR, AD),
        ] {
            fs::write(&world.anchor, text).expect("a file");
            for (name, of) in [("resolver", RESOLVER), ("forwarder", OTHER)] {
                let said = verb(&world.dir.path().join(format!("{name}.control")), &["reload"]);
                assert_eq!(said.code, Some(code), "{name}: {} {}", said.out, said.err);
                assert!(code == 0 || said.err.contains("resolve.trust_anchor: "), "{name}: {}", said.err);
                let reply = world.ask(of, "www.good.", A, 0);
                assert_eq!(
                    (reply.rcode(), reply.flags & AD),
                    (rcode, ad),
                    "{name} {text}: {:?}",
                    errors(&reply)
                );
            }
        }
    });
}
