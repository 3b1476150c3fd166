//! Names of addresses: those that the cluster knows before all else, and all else as it is without them.

#[path = "support/counting.rs"]
mod counting;
#[path = "oracle/mod.rs"]
mod oracle;
#[path = "reverse/random.rs"]
mod random;
mod support;

use counting::counted;
use hivedns::answer::{self, Bounds, Elsewhere, Scratch, Verdict};
use hivedns::base::network::Network;
use hivedns::base::time::Moment;
use hivedns::catalog::delta::{Delta, ZoneContent};
use hivedns::catalog::lease::Source;
use hivedns::catalog::services::Terms;
use hivedns::catalog::snapshot::{Snapshot, ZoneNumber};
use hivedns::catalog::state::State;
use hivedns::resolve::said::Said;
use hivedns::resolve::writer::Writer;
use hivedns::transfer::outgoing::Outgoing;
use hivedns::wire::key::NameKey;
use hivedns::wire::message::Rcode;
use hivedns::wire::name::Name;
use hivedns::wire::query::{Accepted, Query, accept};
use hivedns::wire::reply::{Owner, Reply, Section};
use hivedns::wire::reverse::name_of;
use hivedns::wire::rtype::RecordType;
use hivedns::zone::builtin::BUILTIN;
use oracle::message::{self, Message};
use oracle::{names, render};
use std::sync::Arc;
use std::time::Duration;
use support::desk::{Desk, seed, zone_of_text};

const PTR: u16 = 12;
const TXT: u16 = 16;
const NS: u16 = 2;
const DS: u16 = 43;
const ANY: u16 = 255;

/// The default of `services.reverse`.
const PRIVATE: &str = "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fd00::/8";

/// An operator's zone of the names of 10.1.0.0/16, with a cut, a classless delegation (RFC 2317) and an alias.
const ZONE: &str = "\
$TTL 3600
@ SOA ns.example. admin.example. 1 2 3 4 3600
@ NS ns.example.
7.7 PTR printer.example.
5.0 PTR wrong.example.
8.7 TXT none
6.7 CNAME 6.0-63.7
cut NS ns.example.
9 NS ns.example.
leads CNAME 5.0.0.10.in-addr.arpa.
9.9.8 PTR scanner.example.
";

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// A server with the built-in zones and the services' domain, in which these networks have names.
fn server(networks: &str) -> State {
    server_of(networks, |_| true)
}

/// The same with some of the built-in zones.
fn server_of(networks: &str, has: impl Fn(&str) -> bool) -> State {
    let mut state = State::new(seed(), 16);
    for (origin, _, text) in BUILTIN.iter().filter(|(origin, ..)| has(origin)) {
        put_zone(&mut state, origin, text);
    }
    let origin = name("hive.internal.");
    let (ttl, negative_ttl) = (Duration::from_secs(5), Duration::from_secs(2));
    let terms = Terms { primary: origin.clone(), origin, ttl, negative_ttl, lease: Duration::from_secs(60) };
    state.apply(Delta::OpenServices(Box::new(terms)));
    state.apply(Delta::Synced(true));
    let networks = networks.split_whitespace().map(|network| Network::parse(network).unwrap()).collect();
    state.apply(Delta::Reverse { networks });
    state
}

fn put_zone(state: &mut State, origin: &str, text: &str) {
    let zone = Arc::new(zone_of_text(origin, text).unwrap());
    state.apply(Delta::PutZone { origin: name(origin), content: ZoneContent::Sealed(zone) });
}

/// These addresses are known: `10.0.0.5=a` is `a.hive.internal.`.
fn know(state: &mut State, all: &str) {
    for one in all.split_whitespace() {
        let (address, called) = one.split_once('=').unwrap();
        let name = Some(name(&format!("{called}.hive.internal.")));
        state.apply(Delta::PutAddress { address: address.parse().unwrap(), asker: None, name });
    }
}

/// What others say: NXDOMAIN, but for these names, which lead to that target.
struct Others<'o>(&'o str, &'o str);

impl Elsewhere for Others<'_> {
    fn find(
        &mut self,
        key: &NameKey,
        query: &Query<'_>,
        owner: Owner,
        reply: &mut Reply<'_>,
    ) -> Option<Rcode> {
        let soa = [name("ns.others.").as_wire(), b"\0", &[0; 20]].concat();
        let owner = reply.suffix_of(owner, owner.len).unwrap();
        if self.0.split_whitespace().any(|known| name(known).as_wire() == key.as_wire()) {
            let alias = (RecordType::CNAME, query.qclass(), 300);
            reply.append_record(Section::Answer, owner, alias, &[name(self.1).as_wire()]).unwrap();
            return Some(Rcode::NoError);
        }
        let apex = reply.suffix_of(owner, name("arpa.").as_wire().len());
        if let Some(apex) = apex {
            let record = (RecordType::SOA, query.qclass(), 9_999);
            reply.append_record(Section::Authority, apex, record, &[&soa]).unwrap();
        }
        reply.set_authentic();
        Some(Rcode::NxDomain)
    }

    /// No member is there.
    fn find_at_member(&mut self, _: &NameKey, _: &Query<'_>, _: Owner, _: &mut Reply<'_>) -> Option<Rcode> {
        Some(Rcode::ServFail)
    }

    fn way(&self, _: &[u8]) -> Option<usize> {
        None
    }

    fn resolves(&self, _: &[u8]) -> bool {
        true
    }

    fn is_past_members(&self) -> bool {
        false
    }
}

/// Answers a question of somebody who may have names resolved.
fn resolve(snapshot: &Snapshot, asked: &str, qtype: u16, mut others: Others<'_>) -> Message {
    let query = message::query(7, message::RD, &names::from_text(asked).unwrap(), qtype, 1, None);
    let (mut key, mut scratch) = (NameKey::default(), Box::<Scratch>::default());
    let mut buffer = vec![0; 65_535];
    let Accepted::Query(shape) = accept(&query, &mut key) else { panic!("a query") };
    key.hash(snapshot.seed());
    let route = answer::route(snapshot, &shape, &key, ZoneNumber::default());
    let way = (route, route.hint(snapshot, &key));
    let bounds = Bounds { limit: 65_535, udp_payload_max: 1232, now: Moment::START, from: None };
    let query = shape.of(&query);
    let outcome =
        answer::resolve(snapshot, way, (&query, &key), &mut scratch, &mut buffer, bounds, &mut others);
    let Verdict::Reply(len) = outcome.verdict else { panic!("{:?}", outcome.verdict) };
    message::decode(&buffer[..len]).unwrap()
}

/// Answers a question of somebody who gets our zones only.
fn ask(desk: &mut Desk, asked: &str, qtype: u16) -> Message {
    let query = message::query(7, 0, &names::from_text(asked).unwrap(), qtype, 1, None);
    let told = message::decode(desk.answer_datagram(&query).expect("an answer")).unwrap();
    let whole = message::decode(desk.answer(&query).expect("an answer")).unwrap();
    assert_eq!((told.rcode(), &told.sections), (whole.rcode(), &whole.sections), "{asked}");
    told
}

fn reverse(address: &str) -> String {
    name_of(address.parse().unwrap()).to_string()
}

/// `aa NOERROR: answers ; authority`, each record as in a master file, SOA without its RDATA.
fn shown(told: &Message) -> String {
    let codes = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];
    let records = |section: usize| {
        let all = told.sections[section].iter().map(|record| {
            let text = render::record(record);
            let cut = text.find(" SOA ").map_or(text.len(), |at| at + 4);
            text[..cut].to_owned()
        });
        all.collect::<Vec<_>>().join(", ")
    };
    let aa = if told.flags & message::AA != 0 { "aa " } else { "" };
    let (answers, authority) = (records(0), records(1));
    let authority = if authority.is_empty() { authority } else { format!("; {authority}") };
    format!("{aa}{}: {answers}{authority}", codes[usize::from(told.rcode())]).trim_end().to_owned()
}

#[test]
fn an_address_that_is_known_has_one_name_for_whoever_asks() {
    let mut state = server(PRIVATE);
    know(&mut state, "10.0.0.5=1.web.st 172.31.255.255=b fd00::5=c 192.168.7.7=d");
    let snapshot = state.snapshot(Moment::START);
    for (address, called) in
        [("10.0.0.5", "1.web.st"), ("172.31.255.255", "b"), ("fd00::5", "c"), ("192.168.7.7", "d")]
    {
        let asked = reverse(address);
        let expected = format!("aa NOERROR: {asked} 5 IN PTR {called}.hive.internal.");
        for qtype in [PTR, ANY] {
            assert_eq!(shown(&resolve(&snapshot, &asked, qtype, Others("", ""))), expected);
        }
        let upper = resolve(&snapshot, &asked.to_uppercase(), PTR, Others("", ""));
        assert_eq!(shown(&upper), expected);
    }
    let mut desk = Desk::new(snapshot);
    let asked = reverse("10.0.0.5");
    let expected = "aa NOERROR: 5.0.0.10.in-addr.arpa. 5 IN PTR 1.web.st.hive.internal.";
    assert_eq!(shown(&ask(&mut desk, &asked, PTR)), expected);
    // Nothing of other types, for no longer than a service's name is absent.
    for qtype in [TXT, NS, DS] {
        let expected = "aa NOERROR: ; 10.in-addr.arpa. 2 IN SOA";
        assert_eq!(shown(&ask(&mut desk, &asked, qtype)), expected, "{qtype}");
        assert_eq!(shown(&resolve(&desk.snapshot, &asked, qtype, Others("", ""))), expected, "{qtype}");
    }
    // Nothing lies below it.
    let below = format!("x.{asked}");
    assert_eq!(shown(&ask(&mut desk, &below, PTR)), "aa NXDOMAIN: ; 10.in-addr.arpa. 10800 IN SOA");
}

#[test]
fn an_address_that_is_not_known_is_answered_as_without_the_cluster() {
    let mut state = server(PRIVATE);
    know(&mut state, "10.0.0.5=a");
    put_zone(&mut state, "1.10.in-addr.arpa.", ZONE);
    state.apply(Delta::Cede { suffixes: vec![name("2.10.in-addr.arpa.")] });
    let mut desk = Desk::new(state.snapshot(Moment::START));
    for (asked, qtype, expected) in [
        ("6.0.0.10.in-addr.arpa.", PTR, "aa NXDOMAIN: ; 10.in-addr.arpa. 2 IN SOA"),
        ("5.0.31.172.in-addr.arpa.", PTR, "aa NXDOMAIN: ; 31.172.in-addr.arpa. 2 IN SOA"),
        ("5.0.0.127.in-addr.arpa.", PTR, "aa NXDOMAIN: ; 127.in-addr.arpa. 10800 IN SOA"),
        ("foo.10.in-addr.arpa.", PTR, "aa NXDOMAIN: ; 10.in-addr.arpa. 10800 IN SOA"),
        ("7.7.1.10.in-addr.arpa.", PTR, "aa NOERROR: 7.7.1.10.in-addr.arpa. 3600 IN PTR printer.example."),
        ("8.7.1.10.in-addr.arpa.", PTR, "aa NOERROR: ; 1.10.in-addr.arpa. 2 IN SOA"),
        ("9.7.1.10.in-addr.arpa.", PTR, "aa NXDOMAIN: ; 1.10.in-addr.arpa. 2 IN SOA"),
        ("1.10.in-addr.arpa.", NS, "aa NOERROR: 1.10.in-addr.arpa. 3600 IN NS ns.example."),
        ("9.9.1.10.in-addr.arpa.", PTR, "NOERROR: ; 9.1.10.in-addr.arpa. 3600 IN NS ns.example."),
        ("9.9.2.10.in-addr.arpa.", PTR, "REFUSED:"),
        (
            "6.7.1.10.in-addr.arpa.",
            PTR,
            "aa NXDOMAIN: 6.7.1.10.in-addr.arpa. 3600 IN CNAME 6.0-63.7.1.10.in-addr.arpa.; \
                1.10.in-addr.arpa. 3600 IN SOA",
        ),
    ] {
        assert_eq!(shown(&ask(&mut desk, asked, qtype)), expected, "{asked}");
    }
    // What is others' is asked of them, and is not told for longer either.
    let told = resolve(&desk.snapshot, "9.9.2.10.in-addr.arpa.", PTR, Others("", ""));
    assert_eq!(shown(&told), "NXDOMAIN: ; arpa. 2 IN SOA");
    let told = resolve(&desk.snapshot, "9.9.1.10.in-addr.arpa.", PTR, Others("", ""));
    assert_eq!(shown(&told), "NXDOMAIN: ; arpa. 2 IN SOA");
}

#[test]
fn what_the_cluster_knows_comes_before_zones_cuts_and_what_is_others() {
    let mut state = server(&format!("{PRIVATE} 198.51.100.0/25 203.0.113.9/32 8.8.0.0/16"));
    know(
        &mut state,
        "10.1.0.5=zone 10.1.9.9=cut 10.2.0.1=ceded 198.51.100.7=empty 203.0.113.9=one 8.8.4.4=public",
    );
    put_zone(&mut state, "1.10.in-addr.arpa.", ZONE);
    put_zone(&mut state, "8.in-addr.arpa.", ZONE);
    state.apply(Delta::Cede { suffixes: vec![name("2.10.in-addr.arpa.")] });
    let snapshot = Arc::new(state.snapshot(Moment::START));
    for (address, called) in [
        ("10.1.0.5", "zone"),
        ("10.1.9.9", "cut"),
        ("10.2.0.1", "ceded"),
        ("198.51.100.7", "empty"),
        ("203.0.113.9", "one"),
        ("8.8.4.4", "public"),
    ] {
        let asked = reverse(address);
        let expected = format!("aa NOERROR: {asked} 5 IN PTR {called}.hive.internal.");
        assert_eq!(shown(&resolve(&snapshot, &asked, PTR, Others("", ""))), expected);
        let nothing = resolve(&snapshot, &asked, DS, Others("", ""));
        let soa = &nothing.sections[1][0];
        assert_eq!((nothing.rcode(), nothing.sections[0].len(), soa.rtype, soa.ttl), (0, 0, 6, 2), "{asked}");
        assert!(names::is_within(&names::from_text(&asked).unwrap(), &soa.owner), "{asked}");
    }
    // Where no zone of ours is above, the SOA is that of the services.
    let ceded = resolve(&snapshot, &reverse("10.2.0.1"), TXT, Others("", ""));
    let soa = render::record(&ceded.sections[1][0]);
    assert!(
        soa.starts_with("2.10.in-addr.arpa. 2 IN SOA hive.internal. hostmaster.hive.internal. "),
        "{soa}"
    );
    // Beside an address of a network that no zone begins with, the zone above has its say.
    for (asked, expected) in [
        ("9.9.8.8.in-addr.arpa.", "aa NOERROR: 9.9.8.8.in-addr.arpa. 3600 IN PTR scanner.example."),
        ("8.100.51.198.in-addr.arpa.", "aa NXDOMAIN: ; 100.51.198.in-addr.arpa. 2 IN SOA"),
        ("200.100.51.198.in-addr.arpa.", "aa NXDOMAIN: ; 100.51.198.in-addr.arpa. 10800 IN SOA"),
        ("4.8.8.8.in-addr.arpa.", "aa NXDOMAIN: ; 8.in-addr.arpa. 2 IN SOA"),
        ("4.8.10.8.in-addr.arpa.", "aa NXDOMAIN: ; 8.in-addr.arpa. 3600 IN SOA"),
    ] {
        assert_eq!(shown(&resolve(&snapshot, asked, PTR, Others("", ""))), expected, "{asked}");
    }
    // A zone goes to others as it is.
    let query = message::query(7, 0, &names::from_text("1.10.in-addr.arpa.").unwrap(), 252, 1, None);
    let mut key = NameKey::default();
    let Accepted::Query(shape) = accept(&query, &mut key) else { panic!("a query") };
    key.hash(snapshot.seed());
    let number = snapshot.find(&key, ZoneNumber::default()).unwrap();
    let outgoing = Outgoing::begin(Arc::clone(&snapshot), number, &shape.of(&query), shape, None, None);
    let mut buffer = vec![0; 65_535];
    let len = outgoing.unwrap().next(&mut buffer, hivedns::base::time::WallSeconds(0)).unwrap();
    assert_eq!(message::decode(&buffer[..len]).unwrap().sections[0].len(), 11);
}

#[test]
fn names_above_addresses_are_never_absent() {
    let mut state = server(PRIVATE);
    know(&mut state, "10.0.0.5=a 10.2.0.1=b fd00::5=c");
    put_zone(&mut state, "1.10.in-addr.arpa.", ZONE);
    state.apply(Delta::Cede { suffixes: vec![name("2.10.in-addr.arpa.")] });
    let mut desk = Desk::new(state.snapshot(Moment::START));
    for qtype in [PTR, NS, 1] {
        for (asked, soa) in [
            ("0.0.10.in-addr.arpa.", "10.in-addr.arpa."),
            ("77.10.in-addr.arpa.", "10.in-addr.arpa."),
            ("55.1.10.in-addr.arpa.", "1.10.in-addr.arpa."),
            ("0.0.0.d.f.ip6.arpa.", "d.f.ip6.arpa."),
        ] {
            let expected = format!("aa NOERROR: ; {soa} 2 IN SOA");
            assert_eq!(shown(&ask(&mut desk, asked, qtype)), expected, "{asked}");
            assert_eq!(shown(&resolve(&desk.snapshot, asked, qtype, Others("", ""))), expected, "{asked}");
        }
        // Nor where others say so, whose proofs are not repeated.
        let told = resolve(&desk.snapshot, "0.2.10.in-addr.arpa.", qtype, Others("", ""));
        assert_eq!(shown(&told), "aa NOERROR: ; 2.10.in-addr.arpa. 2 IN SOA");
        assert_eq!(told.flags & message::AD, 0);
    }
}

#[test]
fn before_all_is_known_what_is_known_is_told_and_nothing_is_denied() {
    let mut state = server(PRIVATE);
    know(&mut state, "10.0.0.5=a");
    put_zone(&mut state, "1.10.in-addr.arpa.", ZONE);
    state.apply(Delta::Cede { suffixes: vec![name("2.10.in-addr.arpa.")] });
    state.apply(Delta::Synced(false));
    let mut desk = Desk::new(state.snapshot(Moment::START));
    for (asked, expected) in [
        ("5.0.0.10.in-addr.arpa.", "aa NOERROR: 5.0.0.10.in-addr.arpa. 5 IN PTR a.hive.internal."),
        ("6.0.0.10.in-addr.arpa.", "SERVFAIL:"),
        ("5.0.16.172.in-addr.arpa.", "SERVFAIL:"),
        ("7.7.1.10.in-addr.arpa.", "aa NOERROR: 7.7.1.10.in-addr.arpa. 3600 IN PTR printer.example."),
        ("8.7.1.10.in-addr.arpa.", "SERVFAIL:"),
        ("9.7.1.10.in-addr.arpa.", "SERVFAIL:"),
        ("9.9.1.10.in-addr.arpa.", "NOERROR: ; 9.1.10.in-addr.arpa. 3600 IN NS ns.example."),
        ("0.0.10.in-addr.arpa.", "aa NOERROR: ; 10.in-addr.arpa. 2 IN SOA"),
        ("9.9.2.10.in-addr.arpa.", "REFUSED:"),
        ("5.0.0.127.in-addr.arpa.", "aa NXDOMAIN: ; 127.in-addr.arpa. 10800 IN SOA"),
    ] {
        assert_eq!(shown(&ask(&mut desk, asked, PTR)), expected, "{asked}");
    }
    let told = ask(&mut desk, "5.0.0.10.in-addr.arpa.", TXT);
    assert_eq!(shown(&told), "aa NOERROR: ; 10.in-addr.arpa. 2 IN SOA");
    // Nor of what an alias of others leads to.
    for (target, code) in [("6.0.0.10.in-addr.arpa.", 2), ("5.0.0.10.in-addr.arpa.", 0)] {
        let told = resolve(&desk.snapshot, "x.others.", PTR, Others("x.others.", target));
        assert_eq!(
            (told.rcode(), told.sections[0].len(), told.sections[1].len()),
            (code, if code == 2 { 1 } else { 2 }, 0)
        );
    }
    assert_eq!(shown(&resolve(&desk.snapshot, "9.9.2.10.in-addr.arpa.", PTR, Others("", ""))), "SERVFAIL:");
    // Where no address is to have a name nobody waits for any.
    let mut state = server("");
    state.apply(Delta::Synced(false));
    let mut desk = Desk::new(state.snapshot(Moment::START));
    let told = ask(&mut desk, "6.0.0.10.in-addr.arpa.", PTR);
    assert_eq!(shown(&told), "aa NXDOMAIN: ; 10.in-addr.arpa. 10800 IN SOA");
}

#[test]
fn aliases_lead_to_the_names_of_addresses() {
    let mut state = server(PRIVATE);
    know(&mut state, "10.0.0.5=a 10.2.0.1=b");
    put_zone(&mut state, "1.10.in-addr.arpa.", ZONE);
    state.apply(Delta::Cede { suffixes: vec![name("2.10.in-addr.arpa.")] });
    let snapshot = state.snapshot(Moment::START);
    let told = resolve(&snapshot, "leads.1.10.in-addr.arpa.", PTR, Others("", ""));
    assert_eq!(
        shown(&told),
        "aa NOERROR: leads.1.10.in-addr.arpa. 3600 IN CNAME 5.0.0.10.in-addr.arpa., \
            5.0.0.10.in-addr.arpa. 5 IN PTR a.hive.internal."
    );
    for (target, called) in [("5.0.0.10.in-addr.arpa.", "a"), ("1.0.2.10.in-addr.arpa.", "b")] {
        let told = resolve(&snapshot, "x.others.", PTR, Others("x.others.", target));
        assert_eq!(
            shown(&told),
            format!("NOERROR: x.others. 300 IN CNAME {target}, {target} 5 IN PTR {called}.hive.internal.")
        );
        let told = resolve(&snapshot, "x.others.", TXT, Others("x.others.", target));
        assert_eq!((told.rcode(), told.sections[0].len(), told.sections[1].len()), (0, 1, 1));
    }
}

#[test]
fn as_long_as_nothing_was_known_nobody_pays_for_it() {
    let mut with = server(PRIVATE);
    // An address whose name is nobody's affair.
    know(&mut with, "127.0.0.1=node");
    let (mut with, mut without) =
        (Desk::new(with.snapshot(Moment::START)), Desk::new(server("").snapshot(Moment::START)));
    let query = message::query(7, 0, &names::from_text("5.0.0.10.in-addr.arpa.").unwrap(), PTR, 1, None);
    assert!(with.answer_short(&query).is_some());
    assert_eq!(with.answer_datagram(&query), without.answer_datagram(&query));
    // Who was the only one may be back.
    let mut state = server(PRIVATE);
    know(&mut state, "10.0.0.5=a");
    state.apply(Delta::PutAddress { address: [10, 0, 0, 5].into(), asker: None, name: None });
    let told = ask(&mut Desk::new(state.snapshot(Moment::START)), "5.0.0.10.in-addr.arpa.", PTR);
    assert_eq!(shown(&told), "aa NXDOMAIN: ; 10.in-addr.arpa. 2 IN SOA");
}

#[test]
fn telling_names_of_addresses_allocates_nothing() {
    let mut state = server(PRIVATE);
    know(&mut state, "10.0.0.5=a");
    state.apply(Delta::Cede { suffixes: vec![name("2.10.in-addr.arpa.")] });
    for synced in [true, false] {
        state.apply(Delta::Synced(synced));
        let mut desk = Desk::new(state.snapshot(Moment::START));
        for asked in ["5.0.0.10", "6.0.0.10", "0.10", "5.0.2.10", "x.10"] {
            for qtype in [PTR, TXT] {
                let asked = names::from_text(&format!("{asked}.in-addr.arpa.")).unwrap();
                let query = message::query(7, 0, &asked, qtype, 1, None);
                let (allocations, _) = counted(|| desk.answer_datagram(&query).is_some());
                assert_eq!(allocations, 0, "{asked:?}");
            }
        }
    }
}

#[test]
fn the_services_own_domain_is_never_covered_and_records_stay_as_they_are() {
    let mut state = server(PRIVATE);
    know(&mut state, "10.0.0.5=a");
    let rdatas = vec![Box::from([10, 0, 0, 5])];
    let (source, rtype) = (Source::Cluster, RecordType::A);
    state.apply(Delta::PutRecords { source, name: name("a.hive.internal."), rtype, ttl: 9, rdatas });
    let mut desk = Desk::new(state.snapshot(Moment::START));
    assert_eq!(shown(&ask(&mut desk, "a.hive.internal.", 1)), "aa NOERROR: a.hive.internal. 9 IN A 10.0.0.5");
    let covered = desk.snapshot.entries().iter().filter(|entry| entry.is_covered()).count();
    assert_eq!(covered, 19);
}

#[test]
fn what_a_member_is_told_of_an_address_is_what_it_takes() {
    let (asked, called) = (name("5.0.0.10.in-addr.arpa."), name("a.hive.internal."));
    for (qtype, known, expected) in [
        (RecordType::PTR, true, (Rcode::NoError, 1)),
        (RecordType::ANY, true, (Rcode::NoError, 1)),
        (RecordType::TXT, true, (Rcode::NoError, 0)),
        (RecordType::PTR, false, (Rcode::NxDomain, 0)),
    ] {
        let query = message::query(7, 0, asked.as_wire(), qtype.0, 1, None);
        let (mut key, mut buffer) = (NameKey::default(), [0; 1_300]);
        let Accepted::Query(shape) = accept(&query, &mut key) else { panic!("a query") };
        let known = known.then_some((&called, Duration::from_secs(5)));
        let len = answer::tell_member(known, &shape.of(&query), &mut buffer, 1_300).unwrap();
        let said = Said::read(&buffer[..len], (asked.as_wire(), qtype), &mut Writer::default()).unwrap();
        let body = said.body.body();
        assert_eq!((body.rcode, usize::from(body.counts[0])), expected, "{qtype}");
        for record in body.records(asked.as_wire(), qtype, Section::Answer) {
            assert_eq!((record.ttl, &record.rdata[..]), (5, called.as_wire()));
        }
    }
}
