//! A zone of which not all is known: what is there is told, what is not comes from a member.

use super::*;
use crate::base::network::Network;
use crate::base::time::Moment;
use crate::catalog::delta::{Delta, ZoneContent};
use crate::catalog::lease::Source;
use crate::catalog::services::Terms;
use crate::catalog::state::State;
use crate::wire::key::HashSeed;
use crate::wire::message::{AA, QR, RA, RD};
use crate::wire::name::Name;
use crate::wire::query::{Accepted, accept};
use crate::wire::response::Response;
use crate::zone::draft::ZoneDraft;
use crate::zone::fault::place_in;
use crate::zone::seal::seal;
use crate::zone::sink::{Record, RecordSink};
use std::sync::Arc;
use std::time::Duration;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// A signed zone, all names of which are aliases for that one; its signatures are there, and prove nothing.
fn signed(origin: &str, alias: &str) -> Zone {
    let (origin, wildcard) = (name(origin), name(&format!("*.{origin}")));
    let signature = |rtype: RecordType, labels: u8| {
        let fixed = [&rtype.0.to_be_bytes()[..], &[13, labels, 0, 0, 0, 5], &[0; 10]].concat();
        (RecordType::RRSIG, [&fixed, origin.as_wire(), &[7]].concat())
    };
    let next = |name: &Name| (RecordType::NSEC, [name.as_wire(), &[0, 1, 2]].concat());
    let soa = [origin.as_wire(), origin.as_wire(), &[0; 20]].concat();
    let apex = [
        (RecordType::SOA, soa),
        (RecordType::NS, origin.as_wire().to_vec()),
        (RecordType::A, vec![192, 0, 2, 3]),
        signature(RecordType::SOA, 1),
        next(&wildcard),
        signature(RecordType::NSEC, 1),
    ];
    let below = [
        (RecordType::CNAME, name(alias).as_wire().to_vec()),
        signature(RecordType::CNAME, 1),
        next(&origin),
        signature(RecordType::NSEC, 1),
    ];
    let mut draft = ZoneDraft::new(&origin, HashSeed::new([5; 16]));
    for (owner, records) in [(&origin, &apex[..]), (&wildcard, &below[..])] {
        for (rtype, rdata) in records {
            let record = Record { owner: owner.as_wire(), rtype: *rtype, ttl: 5, rdata };
            draft.record(record, &place_in("test", 1, 1));
        }
    }
    seal(draft).0.unwrap()
}

/// `hive.`, of which `here` with an address and `alias` for `there` are known, and `own.`, whole, with an alias for
/// `there.hive.`; and two signed zones, of which the one leads on into the other and that one out.
fn snapshot() -> Snapshot {
    let seed = HashSeed::new([5; 16]);
    let mut state = State::new(seed, 4);
    let (ttl, lease) = (Duration::from_secs(5), Duration::from_secs(60));
    let terms = Terms { primary: name("hive."), origin: name("hive."), ttl, negative_ttl: ttl, lease };
    state.apply(Delta::OpenServices(Box::new(terms)));
    let mut put = |owner: &str, rtype, rdata: &[u8]| {
        let (source, name, rdatas) = (Source::Cluster, name(owner), vec![rdata.into()]);
        state.apply(Delta::PutRecords { source, name, rtype, ttl: 5, rdatas });
    };
    put("here.hive.", RecordType::A, &[192, 0, 2, 1]);
    put("alias.hive.", RecordType::CNAME, name("there.hive.").as_wire());
    put("out.hive.", RecordType::CNAME, name("www.elsewhere.").as_wire());
    put("signed.hive.", RecordType::CNAME, name("a.one.").as_wire());
    put("back.hive.", RecordType::CNAME, name("a.home.").as_wire());
    let mut draft = ZoneDraft::new(&name("own."), seed);
    let (own, there) = (name("own."), name("there.hive."));
    let soa = [own.as_wire(), own.as_wire(), &[0; 20]].concat();
    let records = [
        ("own.", RecordType::SOA, &soa[..]),
        ("own.", RecordType::NS, own.as_wire()),
        ("own.", RecordType::A, &[192, 0, 2, 3]),
        ("www.own.", RecordType::CNAME, there.as_wire()),
    ];
    for (line, (owner, rtype, rdata)) in (1..).zip(records) {
        let owner = name(owner);
        draft.record(Record { owner: owner.as_wire(), rtype, ttl: 5, rdata }, &place_in("test", line, 1));
    }
    let (origin, content) = (name("own."), ZoneContent::Sealed(Arc::new(seal(draft).0.unwrap())));
    state.apply(Delta::PutZone { origin, content });
    let mut draft = ZoneDraft::new(&name("10.in-addr.arpa."), seed);
    for (owner, rtype, rdata) in [
        ("10.in-addr.arpa.", RecordType::SOA, &soa[..]),
        ("10.in-addr.arpa.", RecordType::NS, own.as_wire()),
        ("7.0.0.10.in-addr.arpa.", RecordType::PTR, own.as_wire()),
    ] {
        let owner = name(owner);
        draft.record(Record { owner: owner.as_wire(), rtype, ttl: 5, rdata }, &place_in("test", 1, 1));
    }
    let content = ZoneContent::Sealed(Arc::new(seal(draft).0.unwrap()));
    state.apply(Delta::PutZone { origin: name("10.in-addr.arpa."), content });
    state.apply(Delta::Reverse { networks: vec![Network::parse("10.0.0.0/8").unwrap()] });
    let known = Some(name("here.hive."));
    state.apply(Delta::PutAddress { address: [10, 0, 0, 5].into(), asker: None, name: known });
    for (origin, alias) in [("one.", "b.two."), ("two.", "www.elsewhere."), ("home.", "here.hive.")] {
        let content = ZoneContent::Sealed(Arc::new(signed(origin, alias)));
        state.apply(Delta::PutZone { origin: name(origin), content });
    }
    state.snapshot(Moment::START)
}

/// What a member says.
#[derive(Clone, Copy)]
enum Says {
    /// It was not asked yet.
    NotYet,
    Nobody,
    Address,
    Alias(&'static str),
    /// The name of an address.
    Name,
    /// The name is there, and has nothing of the type.
    Nothing,
    NoSuchName,
    /// Others have answered meanwhile.
    Before,
}

/// The members and the world; what they were asked.
struct World {
    says: Says,
    asked: Vec<String>,
}

impl World {
    fn note(&mut self, whom: &str, key: &NameKey) {
        self.asked.push(format!("{whom} {}", Name::from_wire(key.as_wire()).unwrap()));
    }
}

fn put(owner: Owner, rtype: RecordType, rdata: &[u8], reply: &mut Reply<'_>) -> Option<Rcode> {
    reply.append_record(Section::Answer, owner, (rtype, Class::IN, 7), &[rdata]).unwrap();
    Some(Rcode::NoError)
}

impl Elsewhere for World {
    fn find(&mut self, key: &NameKey, _: &Query<'_>, owner: Owner, reply: &mut Reply<'_>) -> Option<Rcode> {
        self.note("world", key);
        let alias = name("there.hive.");
        match key.as_wire() {
            name if name.starts_with(b"\x04back") => put(owner, RecordType::CNAME, alias.as_wire(), reply),
            b"\x03two\0" => Some(Rcode::Refused),
            b"\x04home\0" => Some(Rcode::ServFail),
            b"\x03own\0" if matches!(self.says, Says::Before) => Some(Rcode::ServFail),
            _ => put(owner, RecordType::A, &[192, 0, 2, 8], reply),
        }
    }

    fn find_at_member(
        &mut self,
        key: &NameKey,
        _: &Query<'_>,
        owner: Owner,
        reply: &mut Reply<'_>,
    ) -> Option<Rcode> {
        self.note("member", key);
        match self.says {
            Says::NotYet => None,
            Says::Nobody | Says::Before => Some(Rcode::ServFail),
            Says::Name => put(owner, RecordType::PTR, name("there.hive.").as_wire(), reply),
            Says::Nothing => Some(Rcode::NoError),
            Says::NoSuchName => Some(Rcode::NxDomain),
            Says::Address => put(owner, RecordType::A, &[192, 0, 2, 9], reply),
            Says::Alias(target) => put(owner, RecordType::CNAME, name(target).as_wire(), reply),
        }
    }

    fn way(&self, _: &[u8]) -> Option<usize> {
        None
    }

    fn resolves(&self, _: &[u8]) -> bool {
        false
    }

    fn is_past_members(&self) -> bool {
        matches!(self.says, Says::Before)
    }
}

/// Asks for an address: the flags and the code, records of the answer, who was asked; `None` for what has to wait.
fn ask(owner: &str, says: Says) -> (Option<(u16, u16)>, Vec<String>) {
    ask_for(owner, RecordType::A, says)
}

fn ask_for(owner: &str, rtype: RecordType, says: Says) -> (Option<(u16, u16)>, Vec<String>) {
    let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend_from_slice(name(owner).as_wire());
    query.extend(rtype.0.to_be_bytes());
    query.extend([0, 1]);
    let (told, asked) = exchange(&query, says);
    let told = told.map(|reply| {
        let response = Response::read(&reply).unwrap();
        (u16::from_be_bytes([reply[2], reply[3]]), response.count(Section::Answer))
    });
    (told, asked)
}

/// The reply to a query, if it has not to wait, and who was asked.
fn exchange(query: &[u8], says: Says) -> (Option<Vec<u8>>, Vec<String>) {
    let snapshot = snapshot();
    let (mut key, mut scratch, mut buffer) = (NameKey::default(), Box::<Scratch>::default(), vec![0; 1232]);
    let Accepted::Query(shape) = accept(query, &mut key) else { panic!("a query") };
    key.hash(snapshot.seed());
    let route = crate::answer::route(&snapshot, &shape, &key, ZoneNumber::default());
    let way = (route, route.hint(&snapshot, &key));
    let bounds = Bounds { limit: 1232, udp_payload_max: 1232, now: Moment::START, from: None };
    let mut world = World { says, asked: Vec::new() };
    let query = (&shape.of(query), &key);
    let outcome = resolve(&snapshot, way, query, &mut scratch, &mut buffer, bounds, &mut world);
    let told = match outcome.verdict {
        Verdict::Reply(len) => {
            let response = Response::read(&buffer[..len]).unwrap();
            assert_eq!(response.rcode(), outcome.rcode as u16);
            Some(buffer[..len].to_vec())
        }
        verdict => {
            assert_eq!(verdict, Verdict::Forward);
            None
        }
    };
    (told, world.asked)
}

/// What stands in two sections of the reply to who wants proofs.
fn proven(owner: &str) -> [Vec<String>; 2] {
    let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    query.extend_from_slice(name(owner).as_wire());
    query.extend([0, 1, 0, 1]);
    // OPT with DO (RFC 6891 §6.1.2, RFC 3225 §3).
    query.extend([0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0]);
    let reply = exchange(&query, Says::Nobody).0.unwrap();
    let response = Response::read(&reply).unwrap();
    let told = |section| {
        response.records(section).map(|record| format!("{} {}", record.owner(), record.rtype)).collect()
    };
    [told(Section::Answer), told(Section::Authority)]
}

#[test]
fn wildcards_that_an_alias_of_the_domain_leads_through_are_proven() {
    let [answer, authority] = proven("signed.hive.");
    let chain = ["signed.hive. CNAME", "a.one. CNAME", "a.one. RRSIG", "b.two. CNAME", "b.two. RRSIG"];
    assert_eq!(answer, [&chain[..], &["www.elsewhere. A"]].concat());
    let proof = ["*.one. NSEC", "*.one. RRSIG", "*.two. NSEC", "*.two. RRSIG"];
    assert_eq!(authority, proof);
    // Where the chain comes back into the domain, too.
    let [answer, authority] = proven("back.hive.");
    assert_eq!(answer, ["back.hive. CNAME", "a.home. CNAME", "a.home. RRSIG", "here.hive. A"]);
    assert_eq!(authority, ["*.home. NSEC", "*.home. RRSIG"]);
}

const OURS: u16 = QR | AA | RD | RA;
const NOT_OURS: u16 = QR | RD | RA;

#[test]
fn what_is_known_is_told_and_nobody_is_asked() {
    assert_eq!(ask("here.hive.", Says::Nobody), (Some((OURS, 1)), vec![]));
    // An alias that leads out is followed as anywhere.
    assert_eq!(ask("out.hive.", Says::Nobody), (Some((OURS, 2)), vec!["world www.elsewhere.".to_owned()]));
}

#[test]
fn what_the_zone_above_holds_is_asked_for_elsewhere_unless_it_is_ours() {
    // At an apex; an SOA is the zone's own, and below the apex a DS is, too.
    for owner in ["own.", "one.", "hive.", "10.in-addr.arpa."] {
        let told = ask_for(owner, RecordType::DS, Says::Nobody);
        assert_eq!(told, (Some((NOT_OURS, 1)), vec![format!("world {owner}")]), "{owner}");
    }
    // Where nobody may be asked, the zone itself says that it has none; and where nobody tells it, if it is not signed.
    for (owner, says, told) in [
        ("two.", Says::Nobody, OURS),
        ("own.", Says::Before, OURS),
        ("home.", Says::Nobody, NOT_OURS | Rcode::ServFail as u16),
    ] {
        let asked = ask_for(owner, RecordType::DS, says);
        assert_eq!(asked, (Some((told, 0)), vec![format!("world {owner}")]), "{owner}");
    }
    assert_eq!(ask_for("own.", RecordType::SOA, Says::Nobody), (Some((OURS, 1)), vec![]));
    let code = Rcode::NxDomain as u16;
    assert_eq!(ask_for("x.own.", RecordType::DS, Says::Nobody), (Some((OURS | code, 0)), vec![]));
}

#[test]
fn what_is_not_known_waits_for_a_member_and_is_told_as_our_own() {
    for owner in ["there.hive.", "x.here.hive.", "hive."] {
        let member = vec![format!("member {owner}")];
        assert_eq!(ask(owner, Says::NotYet), (None, member.clone()));
        assert_eq!(ask(owner, Says::Address), (Some((OURS, 1)), member.clone()));
        let code = Rcode::NxDomain as u16;
        assert_eq!(ask(owner, Says::NoSuchName), (Some((OURS | code, 0)), member.clone()));
        let code = Rcode::ServFail as u16;
        assert_eq!(ask(owner, Says::Nobody), (Some((NOT_OURS | code, 0)), member));
    }
}

#[test]
fn an_alias_whose_target_is_not_known_is_a_member_s_to_answer() {
    let member = vec!["member alias.hive.".to_owned()];
    assert_eq!(ask("alias.hive.", Says::Address), (Some((OURS, 1)), member.clone()));
    let code = Rcode::ServFail as u16;
    assert_eq!(ask("alias.hive.", Says::Nobody), (Some((NOT_OURS | code, 0)), member));
}

#[test]
fn where_a_member_s_answer_leads_out_the_chain_goes_on() {
    let asked = |whom: &str| vec!["member there.hive.".to_owned(), whom.to_owned()];
    let told = ask("there.hive.", Says::Alias("www.elsewhere."));
    assert_eq!(told, (Some((OURS, 2)), asked("world www.elsewhere.")));
    // Within its zone a member has followed it: what is left is a loop, or its target is not there.
    let told = ask("there.hive.", Says::Alias("nowhere.hive."));
    assert_eq!(told, (Some((OURS, 1)), vec!["member there.hive.".to_owned()]));
    // One of our zones that leads back there.
    let told = ask("there.hive.", Says::Alias("own."));
    assert_eq!(told, (Some((OURS, 2)), vec!["member there.hive.".to_owned()]));
}

#[test]
fn a_chain_of_other_zones_ends_at_a_member() {
    let member = vec!["member there.hive.".to_owned()];
    assert_eq!(ask("www.own.", Says::NotYet), (None, member.clone()));
    assert_eq!(ask("www.own.", Says::Address), (Some((OURS, 2)), member.clone()));
    assert_eq!(ask("www.own.", Says::Nobody).0.map(|(flags, _)| flags & 15), Some(Rcode::ServFail as u16));
    // Who has the first name decides about authority.
    let both = vec!["world back.elsewhere.".to_owned(), "member there.hive.".to_owned()];
    assert_eq!(ask("back.elsewhere.", Says::Address), (Some((NOT_OURS, 2)), both));
}

#[test]
fn an_alias_of_a_member_s_that_comes_back_to_itself_ends() {
    let member = vec!["member there.hive.".to_owned()];
    assert_eq!(ask("www.own.", Says::Alias("www.own.")), (Some((OURS, 2)), member));
    // The question is another name: the loop is closed a round later.
    let (told, asked) = ask("back.elsewhere.", Says::Alias("www.own."));
    assert!(told.is_some_and(|(flags, count)| flags == NOT_OURS && count < 8), "{told:?}");
    assert!(asked.len() < 5, "{asked:?}");
}

#[test]
fn the_name_of_an_address_that_is_not_known_is_a_member_s_to_tell_and_nobody_s_to_deny() {
    let ask = |owner: &str, says| ask_for(&format!("{owner}.0.0.10.in-addr.arpa."), RecordType::PTR, says);
    let member = |owner: &str| vec![format!("member {owner}.0.0.10.in-addr.arpa.")];
    let failed = Some((NOT_OURS | Rcode::ServFail as u16, 0));
    assert_eq!(ask("5", Says::Nobody), (Some((OURS, 1)), vec![]), "it is known");
    for owner in ["6", "7"] {
        assert_eq!(ask(owner, Says::NotYet), (None, member(owner)));
        // What the cluster knows comes before what a zone has.
        assert_eq!(ask(owner, Says::Name), (Some((OURS, 1)), member(owner)));
        assert_eq!(ask(owner, Says::Nothing), (Some((OURS, 0)), member(owner)));
    }
    // An address that one engine alone has no other node knows.
    for says in [Says::NoSuchName, Says::Nobody] {
        assert_eq!(ask("6", says), (failed, member("6")));
        assert_eq!(ask("7", says), (Some((OURS, 1)), member("7")));
    }
    assert_eq!(ask("6", Says::Before), (failed, vec![]), "nobody is asked in circles");
}
