//! A resolver that walks from the root, in a world of real name servers. Needs root, iproute2 and other resolvers and
//! servers to hold it against; elsewhere each test says that it was skipped.
//!
//! Reading order: [`world`] (the servers and their addresses), then what is shown here, [`differential`] (the same
//! questions to Unbound), [`signed`] (proofs), [`ways`] (aliases that lead out of it), [`why`] (each step of a walk) and
//! [`bounds`] (what [`attacks`] cost, at servers that follow a [`script`] on a [`stage`], or are a signed [`chain`]).
#![allow(unreachable_pub, reason = "a test program has no outside")]

#[path = "../support/apart.rs"]
mod apart;
mod attacks;
mod bounds;
mod chain;
mod differential;
#[path = "../oracle/mod.rs"]
mod oracle;
mod script;
mod signed;
mod signer;
mod stage;
#[path = "../support/verb.rs"]
mod verb;
mod ways;
mod why;
mod world;

use oracle::message::{AA, Message, RA};
use oracle::{names, now};
use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;
use world::{
    A, AAAA, ANSWER, CLIENT, CNAME, DNAME, NOERROR, NXDOMAIN, REFUSED, RESOLVER, SERVFAIL, SILENT, SOA,
    STRANGER, World, ask_of, port_53, query, receive, socket, until,
};

/// Runs a test's body in a network of its own.
fn apart(test: &str, body: impl FnOnce()) {
    apart::apart(test, "recursion", body);
}

/// Owner and type of the records of a section, in their order.
fn owners(message: &Message, section: usize) -> Vec<(String, u16)> {
    let records = message.sections[section].iter();
    records.map(|record| (names::to_text(&record.owner), record.rtype)).collect()
}

/// The same, written by hand.
fn of(records: &[(&str, u16)]) -> Vec<(String, u16)> {
    records.iter().map(|(owner, rtype)| ((*owner).to_owned(), *rtype)).collect()
}

/// The addresses in the answer section.
fn addresses(message: &Message) -> BTreeSet<Ipv4Addr> {
    let records = message.sections[0].iter().filter(|record| record.rtype == A);
    records.map(|record| <[u8; 4]>::try_from(&record.rdata[..]).expect("four octets").into()).collect()
}

/// What the first walk to `erdos.maths.groucho.edu.` takes, priming included.
const PACKETS: u64 = 5;
/// One more where groucho.edu.'s server that holds maths. itself is asked first, and then by lot, once in twenty times, one
/// that does not: that refers to it.
const BY_LOT: u64 = 1;

/// The walk asks for `. NS` (priming, RFC 9609) beside; then the root for edu., its server for groucho.edu., one of
/// that zone's for maths.groucho.edu. and one of that for the whole name (RFC 9156): five. Counted is what the servers
/// say that they were asked, all of them together.
#[test]
fn a_name_is_found_from_the_root_in_five_packets_and_the_second_time_in_none() {
    apart("a_name_is_found_from_the_root_in_five_packets_and_the_second_time_in_none", || {
        let world = World::start(|_| {});
        let before = world.asked();
        let first = world.ask("erdos.maths.groucho.edu.", A);
        assert_eq!((first.rcode(), first.flags & (RA | AA)), (NOERROR, RA));
        assert_eq!(addresses(&first), BTreeSet::from([Ipv4Addr::new(10, 76, 4, 17)]));
        // Priming need not be over when the answer is there.
        assert!(until(|| world.asked() - before >= PACKETS), "{}", world.asked() - before);
        let hits = world.resolver.counted("hivedns_cache_hits_total");
        let second = world.ask("erdos.maths.groucho.edu.", A);
        assert_eq!((second.rcode(), addresses(&second)), (NOERROR, addresses(&first)));
        assert!(until(|| world.resolver.counted("hivedns_cache_hits_total") == hits + 1));
        let first = world.asked() - before;
        assert!((PACKETS..=PACKETS + BY_LOT).contains(&first), "{first}");
        // What is known of the way is not asked for again: one packet for another name of the zone.
        assert_eq!(addresses(&world.ask("euler.maths.groucho.edu.", A)).len(), 2);
        assert_eq!(world.asked() - before, first + 1);
    });
}

#[test]
fn aliases_lead_from_one_top_level_domain_to_another() {
    apart("aliases_lead_from_one_top_level_domain_to_another", || {
        let world = World::start(|_| {});
        let reply = world.ask("www.freedonia.example.", A);
        let chain = [("www.freedonia.example.", CNAME), ("www.groucho.edu.", CNAME), ("groucho.edu.", A)];
        assert_eq!((reply.rcode(), owners(&reply, 0)), (NOERROR, of(&chain)));
        let reply = world.ask("mathematician.freedonia.example.", A);
        let chain = [
            ("mathematician.freedonia.example.", CNAME),
            ("mathematics.groucho.edu.", DNAME),
            ("gauss.mathematics.groucho.edu.", CNAME),
            ("gauss.maths.groucho.edu.", A),
        ];
        assert_eq!((reply.rcode(), owners(&reply, 0)), (NOERROR, of(&chain)));
        let reply = world.ask("sophie.maths.huxley.edu.", A);
        let chain =
            [("huxley.edu.", DNAME), ("sophie.maths.huxley.edu.", CNAME), ("sophie.maths.groucho.edu.", A)];
        assert_eq!((reply.rcode(), owners(&reply, 0)), (NOERROR, of(&chain)));
        // The end of a chain decides what is told of it (RFC 6604 §2.1).
        let reply = world.ask("lost.freedonia.example.", A);
        assert_eq!((reply.rcode(), owners(&reply, 0)), (NXDOMAIN, of(&[("lost.freedonia.example.", CNAME)])));
        assert_eq!(owners(&reply, 1), of(&[("groucho.edu.", SOA)]));
    });
}

#[test]
fn what_is_not_there_is_told_with_the_soa_of_its_zone() {
    apart("what_is_not_there_is_told_with_the_soa_of_its_zone", || {
        let world = World::start(|_| {});
        for (name, rtype, rcode, zone) in [
            ("nowhere.groucho.edu.", A, NXDOMAIN, "groucho.edu."),
            ("a.b.nowhere.maths.groucho.edu.", A, NXDOMAIN, "maths.groucho.edu."),
            ("nowhere.", A, NXDOMAIN, "."),
            ("union.students.groucho.edu.", AAAA, NOERROR, "groucho.edu."),
            ("gcc.groucho.edu.", A, NOERROR, "groucho.edu."),
            ("any.box.physics.groucho.edu.", A, NOERROR, "physics.groucho.edu."),
        ] {
            // The second time from the cache.
            for _ in 0..2 {
                let reply = world.ask(name, rtype);
                assert_eq!((reply.rcode(), owners(&reply, 0)), (rcode, vec![]), "{name}");
                assert_eq!(owners(&reply, 1), of(&[(zone, SOA)]), "{name}");
            }
        }
    });
}

#[test]
fn what_lies_below_a_lame_delegation_fails_within_ten_seconds() {
    apart("what_lies_below_a_lame_delegation_fails_within_ten_seconds", || {
        let world = World::start(|_| {});
        let _silent = UdpSocket::bind(port_53(SILENT)).expect("an address of ours");
        // Of cs.groucho.edu. one server is not there, and the other does not know of it.
        for name in ["www.lame.example.", "www.cs.groucho.edu.", "www.absent.example.", "www.silent.example."]
        {
            let before = now();
            let reply = world.ask(name, A);
            assert_eq!((reply.rcode(), owners(&reply, 0)), (SERVFAIL, vec![]), "{name}");
            assert!(now() - before < Duration::from_secs(10), "{name}: {:?}", now() - before);
        }
    });
}

#[test]
fn a_zone_is_answered_as_long_as_one_of_its_servers_lives() {
    apart("a_zone_is_answered_as_long_as_one_of_its_servers_lives", || {
        let mut world = World::start(|_| {});
        assert_eq!(world.ask("up.physics.groucho.edu.", A).rcode(), NOERROR);
        world.kill("niels");
        for name in ["down.physics.groucho.edu.", "strange.physics.groucho.edu."] {
            assert_eq!(addresses(&world.ask(name, A)).len(), 1, "{name}");
        }
        world.kill("ns1");
        for name in
            ["charm.physics.groucho.edu.", "otto.physics.groucho.edu.", "hypatia.philosophy.groucho.edu."]
        {
            assert_eq!(addresses(&world.ask(name, A)).len(), 1, "{name}");
        }
        world.kill("quark");
        assert_eq!(world.ask("collider.physics.groucho.edu.", A).rcode(), SERVFAIL);
        // What was found remains.
        assert_eq!(addresses(&world.ask("up.physics.groucho.edu.", A)).len(), 1);
    });
}

/// Questions that are outstanding to a zone whose server does not answer, by client socket: all answers come at once,
/// and one socket's buffer does not hold them.
const OUTSTANDING: [u16; 2] = [8, 50];

/// Asks so many names below `zone` at once; then ten of a healthy zone are answered within a second, and in the end
/// each of the first is.
fn a_zone_that_is_dead_holds_up_no_other(zone: &str, is_asked: impl FnOnce() -> bool) {
    let [sockets, each] = OUTSTANDING;
    let (dead, before): (Vec<_>, _) =
        ((0..sockets).map(|_| socket(CLIENT, RESOLVER, ANSWER)).collect(), now());
    for (number, socket) in dead.iter().enumerate() {
        for id in 0..each {
            socket.send(&query(id, 0, &format!("x{id}-{number}.{zone}"), A)).expect("a way");
        }
    }
    assert!(is_asked(), "{zone}");
    let (healthy, after) = (socket(CLIENT, RESOLVER, Duration::from_secs(1)), now());
    for id in 0..10 {
        healthy.send(&query(id, 0, &format!("h{id}.healthy.freedonia.example."), A)).expect("a way");
    }
    for number in 0..10 {
        let reply = receive(&healthy).unwrap_or_else(|| panic!("{zone}: only {number}"));
        assert_eq!(addresses(&reply), BTreeSet::from([Ipv4Addr::new(10, 0, 3, 80)]), "{zone}");
    }
    let took = now() - after;
    assert!(took < Duration::from_secs(1), "{zone}: {took:?}");
    for socket in &dead {
        let mut told = BTreeSet::new();
        while told.len() < each.into() {
            let reply = receive(socket).unwrap_or_else(|| panic!("{zone}: only {}", told.len()));
            assert_eq!(reply.rcode(), SERVFAIL, "{zone}");
            told.insert(reply.id);
        }
    }
    assert!(now() - before < Duration::from_secs(10), "{zone}: {:?}", now() - before);
}

#[test]
fn four_hundred_questions_to_a_dead_zone_hold_up_no_other() {
    apart("four_hundred_questions_to_a_dead_zone_hold_up_no_other", || {
        let world = World::start(|_| {});
        let silent = UdpSocket::bind(port_53(SILENT)).expect("an address of ours");
        silent.set_read_timeout(Some(ANSWER)).expect("an option");
        a_zone_that_is_dead_holds_up_no_other("silent.example.", || silent.recv(&mut [0; 512]).is_ok());
        a_zone_that_is_dead_holds_up_no_other("absent.example.", || true);
        assert_eq!(world.ask("relay.freedonia.example.", A).rcode(), NOERROR);
    });
}

#[test]
fn a_name_server_on_loopback_or_that_is_the_resolver_is_never_asked() {
    apart("a_name_server_on_loopback_or_that_is_the_resolver_is_never_asked", || {
        let world = World::start(|_| {});
        let loopback = UdpSocket::bind(port_53(Ipv4Addr::LOCALHOST)).expect("an address of ours");
        loopback.set_nonblocking(true).expect("an option");
        let before = world.resolver.counted("hivedns_worker_queries_total");
        for name in ["www.near.example.", "www.mirror.example."] {
            assert_eq!(world.ask(name, A).rcode(), SERVFAIL, "{name}");
        }
        assert!(loopback.recv(&mut [0; 512]).is_err());
        // Of the client, and nobody else.
        assert_eq!(world.resolver.counted("hivedns_worker_queries_total") - before, 2);
    });
}

#[test]
fn a_client_outside_of_the_networks_that_may_ask_is_refused() {
    apart("a_client_outside_of_the_networks_that_may_ask_is_refused", || {
        let world = World::start(|_| {});
        let before = world.asked();
        let reply = ask_of(RESOLVER, STRANGER, "erdos.maths.groucho.edu.", A).expect("an answer");
        assert_eq!((reply.rcode(), owners(&reply, 0)), (REFUSED, vec![]));
        assert_eq!(world.asked(), before);
        assert_eq!(world.ask("erdos.maths.groucho.edu.", A).rcode(), NOERROR);
        // Nor is it told what others have found.
        let reply = ask_of(RESOLVER, STRANGER, "erdos.maths.groucho.edu.", A).expect("an answer");
        assert_eq!((reply.rcode(), owners(&reply, 0)), (REFUSED, vec![]));
    });
}

#[test]
fn other_root_hints_are_followed_after_a_reload_and_faulty_ones_change_nothing() {
    apart("other_root_hints_are_followed_after_a_reload_and_faulty_ones_change_nothing", || {
        let world = World::start(|_| {});
        assert_eq!(world.ask("erdos.maths.groucho.edu.", A).rcode(), NOERROR);
        let path = world.dir().join("root.hints");
        let good = fs::read_to_string(&path).expect("a file");
        for (text, code, rcode) in [
            (". NS a.root.\na.root. A nonsense\n", 2, NOERROR),
            // Nobody is there; what was found by the others is forgotten.
            (". NS b.root.\nb.root. A 10.0.9.9\n", 0, SERVFAIL),
            (good.as_str(), 0, NOERROR),
        ] {
            fs::write(&path, text).expect("a file");
            let said = verb::verb(&world.control(), &["reload"]);
            assert_eq!(said.code, Some(code), "{text}: {} {}", said.out, said.err);
            assert!(
                code == 0 || said.err.contains("resolve.root_hints: ") && said.err.contains("root.hints:2:"),
                "{}",
                said.err
            );
            for name in ["erdos.maths.groucho.edu.", "euler.maths.groucho.edu.", "up.physics.groucho.edu."] {
                assert_eq!(world.ask(name, A).rcode(), rcode, "{text}{name}");
            }
        }
    });
}
