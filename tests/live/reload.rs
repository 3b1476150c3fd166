//! Zones that change while the server answers.

use crate::oracle::message::{self, Message};
use crate::site::{Plan, Site, query, until, zone};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

const RELOADS: u32 = 50;
/// Clients, each with a socket of its own, and how many questions each has on the way.
const FLOWS: usize = 4;
const WINDOW: u16 = 16;

/// Version `n` of a zone: every TTL, the serial and every datum say `n`.
fn version(n: u32) -> String {
    let (high, low) = (n / 256, n % 256);
    format!(
        "$TTL {n}\n@ SOA ns admin {n} 1 1 1 {n}\n@ NS ns\nns A 10.0.{high}.{low}\n\
         alias CNAME other\nother CNAME data\ndata TXT \"{n}\"\nmail MX 1 ns\ncut NS ns.cut\nns.cut A 10.0.{high}.{low}\n"
    )
}

/// The version that a whole answer is of; every record must say the same.
fn version_of(reply: &Message) -> u32 {
    let mut records = reply.sections.iter().flatten();
    let n = records.next().expect("no answer of this zone is empty").ttl;
    assert!(records.all(|record| record.ttl == n), "mixed: {reply:?}");
    for record in reply.sections.iter().flatten() {
        let said = match record.rtype {
            1 => u32::from_be_bytes(record.rdata[..4].try_into().expect("an address")) & 0xffff,
            6 => u32::from_be_bytes(record.rdata.last_chunk::<4>().copied().expect("a SOA")),
            16 => std::str::from_utf8(&record.rdata[1..]).expect("digits").parse().expect("a number"),
            _ => n,
        };
        assert_eq!(said, n, "mixed: {reply:?}");
    }
    n
}

/// Asks without a break until `done`: one socket is one flow, which one worker answers, in order.
fn flow(site: &Site, done: &AtomicBool, newest: &AtomicU32) -> u32 {
    // Rcode and how many records each section has.
    const QUESTIONS: [(&str, u16, u16, [usize; 3]); 5] = [
        ("alias.z.", 16, 0, [3, 0, 0]),
        ("none.z.", 1, 3, [0, 1, 0]),
        ("mail.z.", 15, 0, [1, 0, 1]),
        ("x.cut.z.", 1, 0, [0, 1, 1]),
        ("data.z.", 1, 0, [0, 1, 0]),
    ];
    let socket = site.udp();
    let ask = |id: u16| {
        let (name, qtype, ..) = QUESTIONS[usize::from(id) % QUESTIONS.len()];
        socket.send(&query(id, name, qtype)).expect("loopback takes it");
    };
    (0..WINDOW).for_each(ask);
    let (mut next, mut last, mut answered) = (WINDOW, 0, 0);
    let mut on_the_way = WINDOW;
    let mut buffer = [0; 2048];
    while on_the_way > 0 {
        let len = socket.recv(&mut buffer).unwrap_or_else(|e| panic!("unanswered: {e}, after {answered}"));
        let reply = message::decode(&buffer[..len]).expect("well formed");
        let (_, _, rcode, counts) = QUESTIONS[usize::from(reply.id) % QUESTIONS.len()];
        assert_eq!((reply.rcode(), [0, 1, 2].map(|i: usize| reply.sections[i].len())), (rcode, counts));
        let n = version_of(&reply);
        assert!(n >= last, "version {n} after {last} in one flow");
        assert!(n <= newest.load(Ordering::SeqCst), "version {n} was never written");
        (last, answered, on_the_way) = (n, answered + 1, on_the_way - 1);
        if !done.load(Ordering::SeqCst) {
            // Ids wrap; what is on the way is far younger.
            ask(next);
            (next, on_the_way) = ((next + 1) % 60_000, on_the_way + 1);
        }
    }
    ask(next);
    let len = socket.recv(&mut buffer).expect("every question is answered");
    let n = version_of(&message::decode(&buffer[..len]).expect("well formed"));
    assert_eq!(n, 1 + RELOADS, "the last answer is of the last version");
    answered
}

#[test]
fn a_reload_under_load_loses_no_question_and_mixes_no_answer() {
    let zones = [("z.", version(1))];
    let site = Site::start(&Plan { workers: 2, zones: &zones, ..Plan::default() });
    let (done, newest) = (AtomicBool::new(false), AtomicU32::new(1));
    let answered: u32 = std::thread::scope(|scope| {
        let flows: Vec<_> = (0..FLOWS).map(|_| scope.spawn(|| flow(&site, &done, &newest))).collect();
        for n in 2..=1 + RELOADS {
            newest.store(n, Ordering::SeqCst);
            site.write_zone("z.", &version(n));
            site.signal("HUP");
            assert!(until(|| site.serial("z.") == Some(n)), "version {n} does not come\n{}", site.log());
        }
        // Both workers have it once every new flow sees it.
        assert!(until(|| (0..16).all(|_| site.serial("z.") == Some(1 + RELOADS))));
        done.store(true, Ordering::SeqCst);
        flows.into_iter().map(|flow| flow.join().expect("a flow without complaint")).sum()
    });
    assert!(answered > RELOADS * u32::from(WINDOW), "only {answered} answers");
    println!("{answered} answers during {RELOADS} reloads");
}

#[test]
fn a_file_that_is_faulty_at_a_reload_keeps_the_former_content() {
    let zones = [("z.", zone(1, "")), ("other.", zone(1, ""))];
    let site = Site::start(&Plan { zones: &zones, ..Plan::default() });
    site.write_zone("z.", &zone(2, "bad A 1.2.3\n"));
    site.write_zone("other.", &zone(2, ""));
    site.signal("HUP");
    assert!(until(|| site.log().contains("its former content stays")), "{}", site.log());
    assert!(site.log().contains(":5:7: "), "the place of the fault is told\n{}", site.log());
    assert!(until(|| site.serial("other.") == Some(2)));
    assert_eq!(site.serial("z."), Some(1));
    site.write_zone("z.", &zone(3, ""));
    site.signal("HUP");
    assert!(until(|| site.serial("z.") == Some(3)));
}

#[test]
fn a_zone_that_is_faulty_at_the_start_is_servfail_while_others_answer() {
    let zones = [("z.", zone(1, "")), ("bad.z.", "@ NS ns\n".into())];
    let site = Site::start(&Plan { zones: &zones, ..Plan::default() });
    assert_eq!(site.rcode("www.bad.z.", 1), Some(2));
    assert!(until(|| site.log().contains("the zone is faulty")), "{}", site.log());
    assert_eq!(site.rcode("bad.z.", 6), Some(2));
    assert_eq!(site.rcode("ns.z.", 1), Some(0));
    site.write_zone("bad.z.", &zone(1, ""));
    site.signal("HUP");
    assert!(until(|| site.rcode("bad.z.", 6) == Some(0)));
}

#[test]
fn zones_come_and_go_with_the_configuration() {
    let zones = [("z.", zone(1, "")), ("gone.", zone(1, ""))];
    let plan = Plan { zones: &zones, ..Plan::default() };
    let site = Site::start(&plan);
    assert_eq!(site.rcode("new.", 6), Some(5));
    site.write_zone("new.", &zone(7, ""));
    site.write_config(&plan, &["z.", "new."]);
    site.signal("HUP");
    assert!(until(|| site.serial("new.") == Some(7)), "{}", site.log());
    assert_eq!(site.rcode("gone.", 6), Some(5));
    assert_eq!(site.serial("z."), Some(1));
}

#[test]
fn a_faulty_configuration_at_a_reload_changes_nothing() {
    let zones = [("z.", zone(1, ""))];
    let mut plan = Plan { zones: &zones, ..Plan::default() };
    let site = Site::start(&plan);
    plan.server = "tcp_idel = \"1s\"";
    site.write_config(&plan, &[]);
    site.signal("HUP");
    assert!(until(|| site.log().contains("everything stays as it was")), "{}", site.log());
    assert!(site.log().contains("tcp_idle"), "the nearest key is told\n{}", site.log());
    assert_eq!(site.serial("z."), Some(1));
}

#[test]
fn a_zone_that_a_reload_makes_a_secondary_is_asked_for_and_as_a_primary_it_is_its_file() {
    let zones = [("z.", zone(10, ""))];
    let plan = Plan { zones: &zones, ..Plan::default() };
    let (site, other) =
        (Site::start(&plan), Site::start(&Plan { zones: &[("z.", zone(20, ""))], ..plan.clone() }));
    let becomes = |role: &str, serial: u32| {
        let more = format!("[[zone]]\norigin = \"z.\"\n{role}\n");
        site.write_config(&Plan { more: &more, ..plan.clone() }, &[]);
        site.signal("HUP");
        assert!(until(|| site.serial("z.") == Some(serial)), "{role}: {serial}\n{}", site.log());
    };
    let primary = "file = \"z.zone\"\nupdate = [\"127.0.0.1\"]";
    let secondary = format!("primary = [\"{}\"]", other.address);
    becomes(primary, 10);
    becomes(&secondary, 20);
    becomes(primary, 10);
    assert!(site.log().contains("kept and not served"), "{}", site.log());
    // Its copy is older by now.
    other.write_zone("z.", &zone(21, ""));
    other.signal("HUP");
    assert!(until(|| other.serial("z.") == Some(21)));
    becomes(&secondary, 21);
}
