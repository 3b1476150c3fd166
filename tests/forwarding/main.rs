//! Names that are not ours, through the whole server: forwarded, kept, told again, failed; upstream servers are the
//! test's own.

#![allow(unreachable_pub, reason = "a test program has no outside")]

mod loops;
#[path = "../oracle/mod.rs"]
mod oracle;
#[path = "../support/site.rs"]
mod site;
#[path = "../support/upstream.rs"]
mod upstream;
mod ways;

use oracle::message::{self, AA, Edns, Message, RA, RD, TC};
use oracle::{names, now};
use site::{PATIENCE, Plan, Site, until, zone};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;
use upstream::{Said, Upstream};

const A: u16 = 1;
const HINFO: u16 = 13;
const AAAA: u16 = 28;
const PTR: u16 = 12;
const CNAME: u16 = 5;
const TXT: u16 = 16;
const SERVFAIL: u16 = 2;
const NXDOMAIN: u16 = 3;
const REFUSED: u16 = 5;

fn wire(name: &str) -> Vec<u8> {
    names::from_text(name).expect("a name")
}

fn question(name: &str, qtype: u16) -> Vec<u8> {
    let edns = Edns { payload: 1232, dnssec_ok: false, version: 0, options: Vec::new() };
    message::query(7, RD, &wire(name), qtype, 1, Some(&edns))
}

fn forward(upstreams: &[&Upstream]) -> String {
    let addresses: Vec<String> =
        upstreams.iter().map(|upstream| format!("\"{}\"", upstream.address)).collect();
    format!("\".\" = [{}]", addresses.join(", "))
}

fn start(upstreams: &[&Upstream]) -> Site {
    Site::start(&Plan { forward: &forward(upstreams), ..Plan::default() })
}

fn receive(socket: &UdpSocket) -> Message {
    let mut buffer = [0; 4096];
    let len = socket.recv(&mut buffer).expect("an answer");
    message::decode(&buffer[..len]).expect("well formed")
}

/// Asks over UDP, with RD.
fn ask(site: &Site, name: &str, qtype: u16) -> Message {
    let socket = site.udp();
    socket.send(&question(name, qtype)).expect("loopback takes it");
    receive(&socket)
}

/// The addresses in the answer section, by their last octet.
fn addresses(reply: &Message) -> Vec<u8> {
    reply.sections[0].iter().filter(|record| record.rtype == A).map(|record| record.rdata[3]).collect()
}

/// The extended errors of a reply (RFC 8914).
fn extended_error(reply: &Message) -> Option<u16> {
    let options = &reply.opt.as_ref()?.options;
    let [0, 15, 0, 2, high, low] = options[..] else { return None };
    Some(u16::from_be_bytes([high, low]))
}

#[test]
fn a_name_is_asked_for_once_and_then_told_from_memory() {
    let upstream = Upstream::start();
    upstream.say_address("www.example.", 300, 1);
    let site = start(&[&upstream]);
    let first = ask(&site, "www.example.", A);
    assert_eq!((first.rcode(), addresses(&first)), (0, vec![1]));
    assert_eq!(first.flags & (AA | RA | RD), RA | RD);
    // In any case, and over TCP too.
    assert_eq!(addresses(&ask(&site, "WWW.Example.", A)), [1]);
    let mut tcp = site.tcp();
    let query = question("www.example.", A);
    tcp.write_all(&[&(query.len() as u16).to_be_bytes()[..], &query].concat()).expect("it reads");
    let mut len = [0; 2];
    tcp.read_exact(&mut len).expect("an answer");
    let mut reply = vec![0; usize::from(u16::from_be_bytes(len))];
    tcp.read_exact(&mut reply).expect("an answer");
    assert_eq!(addresses(&message::decode(&reply).expect("well formed")), [1]);
    assert_eq!(upstream.heard("www.example.").len(), 1);
    // What does not exist is kept, too.
    for _ in 0..2 {
        let reply = ask(&site, "none.example.", A);
        assert_eq!((reply.rcode(), reply.sections[1].len()), (NXDOMAIN, 1));
    }
    assert_eq!(upstream.heard("none.example.").len(), 1);
    let metrics = site.metrics();
    assert!(metrics.contains("hivedns_cache_hits_total 3\n"), "{metrics}");
    assert!(
        metrics.contains(&format!("hivedns_forward_requests_total{{to=\"{}\"}} 2\n", upstream.address)),
        "{metrics}"
    );
}

#[test]
fn without_any_zone_localhost_and_its_reverse_are_answered_and_all_else_is_asked_for() {
    let upstream = Upstream::start();
    upstream.say_address("www.example.", 300, 1);
    let site = start(&[&upstream]);
    assert!(until(|| site.rcode("localhost.", A) == Some(0)));
    let reverse_v6 = format!("1.{}ip6.arpa.", "0.".repeat(31));
    let localhost = wire("localhost.");
    for (name, qtype, said) in [
        ("localhost.", A, &[127, 0, 0, 1][..]),
        ("localhost.", AAAA, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        ("1.0.0.127.in-addr.arpa.", PTR, &localhost),
        (&reverse_v6, PTR, &localhost),
    ] {
        for query in [question(name, qtype), message::query(7, 0, &wire(name), qtype, 1, None)] {
            let socket = site.udp();
            socket.send(&query).expect("loopback takes it");
            let reply = receive(&socket);
            let records: Vec<&[u8]> = reply.sections[0].iter().map(|record| &record.rdata[..]).collect();
            assert_eq!((reply.rcode(), reply.flags & AA, records), (0, AA, vec![said]), "{name}");
        }
        assert!(upstream.heard(name).is_empty(), "{name}");
    }
    assert_eq!(addresses(&ask(&site, "www.example.", A)), [1]);
    assert_eq!(addresses(&ask(&site, "www.example.", A)), [1]);
    assert_eq!(upstream.heard("www.example.").len(), 1);
}

#[test]
fn only_those_may_have_names_resolved_whom_the_configuration_lets_and_only_if_they_want_it() {
    let upstream = Upstream::start();
    upstream.say_address("www.example.", 300, 1);
    let more = "[limits]\nclients = [\"127.0.0.2\"]\n";
    let site = Site::start(&Plan { forward: &forward(&[&upstream]), more, ..Plan::default() });
    let from = |client: &str, flags: u16| {
        let socket = UdpSocket::bind((client, 0)).expect("loopback");
        socket.connect(site.address).expect("loopback");
        socket.set_read_timeout(Some(PATIENCE)).expect("an option");
        socket.send(&message::query(1, flags, &wire("www.example."), A, 1, None)).expect("loopback takes it");
        let reply = receive(&socket);
        (reply.rcode(), reply.flags & RA)
    };
    assert_eq!(from("127.0.0.1", RD), (REFUSED, 0));
    assert_eq!(from("127.0.0.2", 0), (REFUSED, 0));
    assert_eq!(upstream.heard("www.example.").len(), 0);
    assert_eq!(from("127.0.0.2", RD), (0, RA));
    // What is kept is not for others either.
    assert_eq!(from("127.0.0.1", RD), (REFUSED, 0));
    assert_eq!(from("127.0.0.2", 0), (REFUSED, 0));
}

#[test]
fn chains_lead_from_our_zones_into_others_of_ours_and_out() {
    let upstream = Upstream::start();
    upstream.say_address("out.example.", 300, 1);
    upstream.say_address("host.sub.z.", 300, 2);
    let records = "near CNAME far.y.\nout CNAME out.example.\nsub NS ns.sub\nns.sub A 192.0.2.9\n\
                   below CNAME host.sub\nd DNAME out.example.\ngone CNAME none.example.\n";
    let other = "far CNAME again.z.\n";
    let again = "again A 192.0.2.7\n";
    let zones = [("z.", zone(1, &format!("{records}{again}"))), ("y.", zone(1, other))];
    let site = Site::start(&Plan { forward: &forward(&[&upstream]), zones: &zones, ..Plan::default() });
    for (name, chain, address) in
        [("near.z.", 2, 7), ("out.z.", 1, 1), ("host.sub.z.", 0, 2), ("below.z.", 1, 2)]
    {
        // The second time from memory.
        for _ in 0..2 {
            let reply = ask(&site, name, A);
            assert_eq!(
                (reply.rcode(), reply.sections[0].len(), addresses(&reply)),
                (0, chain + 1, vec![address]),
                "{name}"
            );
            assert_eq!(reply.flags & RA, RA);
        }
    }
    // The last name decides on the code, and its SOA is told.
    let gone = ask(&site, "gone.z.", A);
    assert_eq!((gone.rcode(), gone.sections[0].len(), gone.sections[1].len()), (NXDOMAIN, 1, 1));
    // Whoever does not want more gets what our zones say.
    let plain = site.ask("out.z.", A);
    assert_eq!((plain.rcode(), plain.sections[0].len(), plain.flags & RA), (0, 1, 0));
    let referral = site.ask("host.sub.z.", A);
    assert_eq!((referral.sections[0].len(), referral.sections[1].len(), referral.flags & AA), (0, 1, 0));
    assert!(upstream.heard("host.sub.z.").len() == 1 && upstream.heard("far.y.").is_empty());
}

#[test]
fn what_does_not_fit_a_datagram_comes_over_tcp_and_is_cut_for_those_who_take_little() {
    let upstream = Upstream::start();
    let text = |n: u8| ("big.example.".to_owned(), TXT, 60, [&[200][..], &[n; 200]].concat());
    let large = Said::Records((0..30).map(text).collect());
    upstream.say("big.example.", TXT, Said::Truncated(Box::new(large)));
    let site = start(&[&upstream]);
    for _ in 0..2 {
        let reply = ask(&site, "big.example.", TXT);
        assert_eq!((reply.rcode(), reply.flags & TC, reply.sections[0].len()), (0, TC, 0));
        assert!(reply.octets <= 1232);
    }
    let query = question("big.example.", TXT);
    let mut tcp = site.tcp();
    tcp.write_all(&[&(query.len() as u16).to_be_bytes()[..], &query].concat()).expect("it reads");
    let mut len = [0; 2];
    tcp.read_exact(&mut len).expect("an answer");
    let mut reply = vec![0; usize::from(u16::from_be_bytes(len))];
    tcp.read_exact(&mut reply).expect("an answer");
    assert_eq!(message::decode(&reply).expect("well formed").sections[0].len(), 30);
    let heard = upstream.heard("big.example.");
    assert_eq!(heard.iter().map(|heard| heard.tcp).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_dead_upstream_costs_nobody_an_answer() {
    let (dead, alive) = (Upstream::start(), Upstream::start());
    dead.set_silent(true);
    for n in 0..50 {
        alive.say_address(&format!("n{n}.example."), 60, n);
    }
    let site = start(&[&dead, &alive]);
    let mut slow = 0;
    for n in 0..50 {
        let began = now();
        assert_eq!(addresses(&ask(&site, &format!("n{n}.example."), A)), [n]);
        let took = now() - began;
        assert!(took < Duration::from_secs(1), "{n}: {took:?}");
        slow += u32::from(took > Duration::from_millis(100));
    }
    // Once it is known to be dead nobody waits for it.
    assert!(slow <= 10, "{slow} of 50 answers were slow");
    // It is asked again now and then, and takes part once it answers.
    dead.say_address("back.example.", 60, 9);
    dead.set_silent(false);
    alive.say("back.example.", A, Said::Silence);
    assert_eq!(addresses(&ask(&site, "back.example.", A)), [9]);
}

#[test]
fn failures_are_told_in_time_and_kept_for_a_moment_but_never_hide_an_answer() {
    let upstream = Upstream::start();
    upstream.say("broken.example.", A, Said::Code(SERVFAIL));
    upstream.say("silent.example.", A, Said::Silence);
    upstream.say_address("short.example.", 1, 1);
    let site = start(&[&upstream]);
    for _ in 0..10 {
        assert_eq!(ask(&site, "broken.example.", A).rcode(), SERVFAIL);
    }
    assert!(upstream.heard("broken.example.").len() <= 15, "{}", upstream.heard("broken.example.").len());
    let began = now();
    assert_eq!(ask(&site, "silent.example.", A).rcode(), SERVFAIL);
    assert!(now() - began < Duration::from_millis(3_500), "{:?}", now() - began);
    // An answer whose time is over helps out when its owner is silent (RFC 8767), after 1.8 s the first time.
    assert_eq!(addresses(&ask(&site, "short.example.", A)), [1]);
    upstream.say("short.example.", A, Said::Silence);
    assert!(until(|| {
        let reply = ask(&site, "short.example.", A);
        assert_eq!((reply.rcode(), addresses(&reply)), (0, vec![1]));
        extended_error(&reply) == Some(3) && reply.sections[0][0].ttl == 30
    }));
    let began = now();
    let stale = ask(&site, "short.example.", A);
    assert_eq!((addresses(&stale), extended_error(&stale)), (vec![1], Some(3)));
    assert!(now() - began < Duration::from_secs(2));
    // And is replaced by the next good one.
    upstream.say_address("short.example.", 60, 2);
    assert!(until(|| addresses(&ask(&site, "short.example.", A)) == [2]));
}

#[test]
fn answers_that_nobody_asked_for_are_not_believed() {
    let upstream = Upstream::start();
    let right = Said::Records(vec![("www.example.".to_owned(), A, 60, vec![192, 0, 2, 1])]);
    upstream.say("www.example.", A, Said::Among(Box::new(right)));
    // An answer about another name beside the right one.
    upstream.say(
        "a.example.",
        A,
        Said::Records(vec![
            ("a.example.".to_owned(), CNAME, 60, wire("b.example.")),
            ("b.example.".to_owned(), A, 60, vec![192, 0, 2, 2]),
            ("bank.example.".to_owned(), A, 60, vec![192, 0, 2, 66]),
        ]),
    );
    upstream.say_address("bank.example.", 60, 3);
    let site = start(&[&upstream]);
    assert_eq!(addresses(&ask(&site, "www.example.", A)), [1]);
    let reply = ask(&site, "a.example.", A);
    assert_eq!((reply.sections[0].len(), addresses(&reply)), (2, vec![2]));
    assert_eq!(addresses(&ask(&site, "bank.example.", A)), [3]);
}

#[test]
fn queries_leave_from_many_ports_with_many_ids_and_in_many_cases() {
    let upstream = Upstream::start();
    let site = start(&[&upstream]);
    let mut heard = Vec::new();
    for n in 0..300 {
        let name = format!("some-name-{n}.example.");
        assert_eq!(ask(&site, &name, A).rcode(), NXDOMAIN);
        heard.extend(upstream.heard(&name));
    }
    let ports: BTreeSet<u16> = heard.iter().map(|heard| heard.from.port()).collect();
    let ids: BTreeSet<u16> = heard.iter().map(|heard| heard.id).collect();
    assert!(ports.len() >= 294 && ids.len() >= 294, "{} ports, {} ids", ports.len(), ids.len());
    assert!(ports.last().unwrap() - ports.first().unwrap() >= 28_000);
    let steps: BTreeSet<u16> =
        heard.windows(2).map(|two| two[1].from.port().wrapping_sub(two[0].from.port())).collect();
    assert!(steps.len() > 250, "ports follow each other: {} steps", steps.len());
    let cased = heard.iter().filter(|heard| heard.name.iter().any(u8::is_ascii_uppercase)).count();
    assert!(cased > 290, "{cased} of 300 in another case");
    assert!(heard.iter().all(|heard| heard.flags & RD != 0));
}

#[test]
fn one_question_is_asked_for_all_who_wait() {
    let upstream = Upstream::start();
    upstream.set_silent(true);
    upstream.say_address("www.example.", 60, 1);
    let site = start(&[&upstream]);
    let sockets: Vec<UdpSocket> = (0..50).map(|_| site.udp()).collect();
    sockets.iter().for_each(|socket| {
        socket.send(&question("www.example.", A)).expect("loopback takes it");
    });
    assert!(until(|| !upstream.heard("www.example.").is_empty()));
    upstream.set_silent(false);
    for socket in &sockets {
        assert_eq!(addresses(&receive(socket)), [1]);
    }
    // Once for each time that patience was over, not for each who asked.
    assert!(upstream.heard("www.example.").len() <= 8, "{}", upstream.heard("www.example.").len());
}

#[test]
fn pipelined_queries_that_wait_do_not_hold_up_those_that_need_not() {
    let upstream = Upstream::start();
    upstream.say("silent.example.", A, Said::Silence);
    let zones = [("z.", zone(1, ""))];
    let site = Site::start(&Plan { forward: &forward(&[&upstream]), zones: &zones, ..Plan::default() });
    let mut tcp = site.tcp();
    let framed = |id: u16, name: &str| {
        let query = message::query(id, RD, &wire(name), A, 1, None);
        [&(query.len() as u16).to_be_bytes()[..], &query].concat()
    };
    tcp.write_all(&[framed(1, "silent.example."), framed(2, "ns.z.")].concat()).expect("it reads");
    // The peer will say no more, and gets its answers all the same.
    tcp.shutdown(std::net::Shutdown::Write).expect("a half-closed connection");
    let mut answers = Vec::new();
    tcp.read_to_end(&mut answers).expect("answers, then the end");
    let mut replies = Vec::new();
    while let [high, low, rest @ ..] = &answers[..] {
        let (reply, rest) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        replies.push(message::decode(reply).expect("well formed"));
        answers = rest.to_vec();
    }
    let seen: Vec<(u16, u16)> = replies.iter().map(|reply| (reply.id, reply.rcode())).collect();
    assert_eq!(seen, [(2, 0), (1, SERVFAIL)]);
}

#[test]
fn suffixes_are_asked_for_where_the_configuration_says_and_a_reload_forgets_what_others_said() {
    let (one, other) = (Upstream::start(), Upstream::start());
    for (upstream, last) in [(&one, 1), (&other, 2)] {
        upstream.say_address("www.corp.example.", 300, last);
        upstream.say_address("www.example.", 300, last);
    }
    let plan = |general: SocketAddr, corp: SocketAddr| {
        format!(
            "\".\" = [\"{general}\"]\n\"corp.example\" = [\"{corp}\"]\n\"secret.example.\" = [\"refuse\"]"
        )
    };
    let before = plan(one.address, other.address);
    let site = Site::start(&Plan { forward: &before, ..Plan::default() });
    assert_eq!(addresses(&ask(&site, "www.corp.example.", A)), [2]);
    assert_eq!(addresses(&ask(&site, "www.example.", A)), [1]);
    assert_eq!(ask(&site, "www.secret.example.", A).rcode(), REFUSED);
    let after = plan(other.address, one.address);
    site.write_config(&Plan { forward: &after, ..Plan::default() }, &[]);
    site.signal("HUP");
    assert!(until(|| addresses(&ask(&site, "www.example.", A)) == [2]));
    assert_eq!(addresses(&ask(&site, "www.corp.example.", A)), [1]);
}

#[test]
fn an_upstream_that_is_this_server_is_refused_at_the_start_and_in_a_reload() {
    let upstream = Upstream::start();
    upstream.say_address("www.example.", 300, 1);
    let site = start(&[&upstream]);
    let own = format!("\".\" = [\"{}\"]", site.address);
    site.write_config(&Plan { forward: &own, ..Plan::default() }, &[]);
    site.signal("HUP");
    assert!(until(|| site.log().contains("it would ask itself for ever")), "{}", site.log());
    assert_eq!(addresses(&ask(&site, "www.example.", A)), [1]);
}

#[test]
fn an_upstream_that_dies_under_load_loses_no_answer_that_another_has() {
    let (one, other) = (Upstream::start(), Upstream::start());
    const NAMES: u16 = 600;
    for n in 0..NAMES {
        for upstream in [&one, &other] {
            upstream.say_address(&format!("n{n}.example."), 60, n as u8);
        }
    }
    let site = start(&[&one, &other]);
    let socket = site.udp();
    let mut answered = BTreeSet::new();
    for n in 0..NAMES {
        if n == NAMES / 2 {
            one.set_silent(true);
        }
        let mut query = question(&format!("n{n}.example."), A);
        query[..2].copy_from_slice(&n.to_be_bytes());
        socket.send(&query).expect("loopback takes it");
        // Some are always on their way.
        if n >= 20 {
            let reply = receive(&socket);
            assert_eq!(addresses(&reply), [reply.id as u8], "{}", reply.id);
            answered.insert(reply.id);
        }
    }
    while answered.len() < usize::from(NAMES) {
        let reply = receive(&socket);
        assert_eq!(addresses(&reply), [reply.id as u8], "{}", reply.id);
        answered.insert(reply.id);
    }
}
