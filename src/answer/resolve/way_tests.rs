//! Chains among names that others are asked for in different ways: none of them tells anything of another's.

use super::*;
use crate::base::time::Moment;
use crate::catalog::delta::{Delta, ZoneContent};
use crate::catalog::state::State;
use crate::wire::key::HashSeed;
use crate::wire::message::{AD, TC};
use crate::wire::name::Name;
use crate::wire::query::{Accepted, accept};
use crate::wire::response::Response;
use crate::zone::draft::ZoneDraft;
use crate::zone::fault::place_in;
use crate::zone::seal::seal;
use crate::zone::sink::{Record, RecordSink};
use std::collections::HashMap;
use std::sync::Arc;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// What others say of some names: records, after `;` of the authority section, each in a word: `a.corp.=b.corp.` an
/// alias, `a.corp.=7` an address, `a.corp.+` a signature, `-` an SOA. A code before all: `NX`.
struct Others {
    said: HashMap<&'static str, &'static str>,
    /// Suffixes, each a way.
    ways: &'static [&'static str],
    /// They follow aliases to the end.
    resolve: bool,
    asked: Vec<String>,
}

impl Elsewhere for Others {
    fn find(&mut self, key: &NameKey, _: &Query<'_>, owner: Owner, reply: &mut Reply<'_>) -> Option<Rcode> {
        let asked = Name::from_wire(key.as_wire()).unwrap().to_string();
        self.asked.push(asked.clone());
        let Some(said) = self.said.get(&*asked) else { return Some(Rcode::ServFail) };
        let (mut rcode, mut section) = (Rcode::NoError, Section::Answer);
        for word in said.split_whitespace() {
            let mut put = |owner: &str, rtype, rdata: &[u8]| {
                reply.append_plain(section, name(owner).as_wire(), (rtype, 60), rdata).unwrap();
            };
            match word.split_once('=') {
                _ if word == "NX" => rcode = Rcode::NxDomain,
                _ if word == "TC" => reply.set_truncated(),
                _ if word == ";" => section = Section::Authority,
                None if word == "-" => put(".", RecordType::SOA, &[0; 22]),
                None => put(word.strip_suffix('+').unwrap(), RecordType::RRSIG, &[0; 20]),
                Some((owner, target)) if target.ends_with('.') => {
                    put(owner, RecordType::CNAME, name(target).as_wire());
                }
                Some((owner, last)) => put(owner, RecordType::A, &[192, 0, 2, last.parse().unwrap()]),
            }
        }
        if owner == reply.question() {
            reply.set_authentic();
        }
        Some(rcode)
    }

    fn find_at_member(&mut self, _: &NameKey, _: &Query<'_>, _: Owner, _: &mut Reply<'_>) -> Option<Rcode> {
        Some(Rcode::ServFail)
    }

    fn way(&self, asked: &[u8]) -> Option<usize> {
        self.ways.iter().position(|suffix| is_at_or_below(asked, name(suffix).as_wire()))
    }

    fn resolves(&self, _: &[u8]) -> bool {
        self.resolve
    }

    fn is_past_members(&self) -> bool {
        false
    }
}

/// Zone `own.`, with `www` an alias of `app.corp.`, and its apex an address.
fn snapshot() -> Snapshot {
    let seed = HashSeed::new([5; 16]);
    let own = name("own.");
    let mut draft = ZoneDraft::new(&own, seed);
    let soa = [own.as_wire(), own.as_wire(), &[0; 20]].concat();
    for (owner, rtype, rdata) in [
        ("own.", RecordType::SOA, &soa[..]),
        ("own.", RecordType::NS, own.as_wire()),
        ("own.", RecordType::A, &[192, 0, 2, 3]),
        ("www.own.", RecordType::CNAME, name("app.corp.").as_wire()),
    ] {
        let owner = name(owner);
        draft.record(Record { owner: owner.as_wire(), rtype, ttl: 5, rdata }, &place_in("test", 1, 1));
    }
    let mut state = State::new(seed, 4);
    let content = ZoneContent::Sealed(Arc::new(seal(draft).0.unwrap()));
    state.apply(Delta::PutZone { origin: own, content });
    state.snapshot(Moment::START)
}

const SPLIT: &[&str] = &["corp.", "lab.", "."];
/// All names have one way.
const ONE: &[&str] = &[];

/// What is told, as code, flags of interest, answers and the count of the authority section; and who was asked for.
fn ask(
    asked: &str,
    ways: &'static [&'static str],
    said: &[(&'static str, &'static str)],
) -> (String, String) {
    ask_for((asked, RecordType::A), ways, said, false)
}

/// `resolve`: they follow aliases to the end.
fn ask_for(
    (asked, rtype): (&str, RecordType),
    ways: &'static [&'static str],
    said: &[(&'static str, &'static str)],
    resolve: bool,
) -> (String, String) {
    let mut query = vec![0, 7, 1, 0x20, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend_from_slice(name(asked).as_wire());
    query.extend(rtype.0.to_be_bytes());
    query.extend([0, 1]);
    let snapshot = snapshot();
    let (mut key, mut scratch, mut buffer) = (NameKey::default(), Box::<Scratch>::default(), vec![0; 1232]);
    let Accepted::Query(shape) = accept(&query, &mut key) else { panic!("a query") };
    key.hash(snapshot.seed());
    let route = crate::answer::route(&snapshot, &shape, &key, ZoneNumber::default());
    let way = (route, route.hint(&snapshot, &key));
    let bounds = Bounds { limit: 1232, udp_payload_max: 1232, now: Moment::START, from: None };
    let mut others = Others { said: said.iter().copied().collect(), ways, resolve, asked: Vec::new() };
    let query = (&shape.of(&query), &key);
    let outcome = super::resolve(&snapshot, way, query, &mut scratch, &mut buffer, bounds, &mut others);
    let Verdict::Reply(len) = outcome.verdict else { panic!("{:?}", outcome.verdict) };
    let (message, flags) = (&buffer[..len], u16::from_be_bytes([buffer[2], buffer[3]]));
    let response = Response::read(message).unwrap();
    let record = |record: crate::wire::response::RecordAt<'_>| match record.rtype {
        RecordType::CNAME => format!("{}={}", record.owner(), record.rdata_name().unwrap()),
        RecordType::A => format!("{}={}", record.owner(), record.rdata()[3]),
        _ => format!("{}+", record.owner()),
    };
    let mut told = vec![outcome.rcode.to_string()];
    told.extend(
        [(AD, "AD"), (TC, "TC")]
            .iter()
            .filter(|(flag, _)| flags & flag != 0)
            .map(|(_, word)| (*word).to_owned()),
    );
    told.extend(response.records(Section::Answer).map(record));
    told.push(response.count(Section::Authority).to_string());
    (told.join(" "), others.asked.join(" "))
}

fn is(told: &str, asked: &str) -> (String, String) {
    (told.to_owned(), asked.to_owned())
}

#[test]
fn what_is_said_of_a_name_with_another_way_is_taken_back_and_asked_for_there() {
    let own = ("app.corp.", "app.corp.=7");
    for foreign in [
        // An answer, absence, and nothing at all.
        "www.test.=app.corp. app.corp.=66",
        "NX www.test.=app.corp. ; -",
        "www.test.=app.corp. ; -",
        "www.test.=app.corp.",
        "www.test.=APP.Corp. App.corp.=x.corp. x.corp.=66",
    ] {
        let told = ask("www.test.", SPLIT, &[("www.test.", foreign), own]);
        let target = if foreign.contains("APP") { "APP.Corp." } else { "app.corp." };
        assert_eq!(told, is(&format!("NOERROR www.test.={target} app.corp.=7 0"), "www.test. app.corp."));
    }
    // Signatures of the alias stay with it.
    let foreign = "www.test.=x.test. www.test.+ x.test.=app.corp. x.test.+ app.corp.=66 app.corp.+";
    let told = ask("www.test.", SPLIT, &[("www.test.", foreign), own]);
    let kept = "NOERROR www.test.=x.test. www.test.+ x.test.=app.corp. x.test.+ app.corp.=7 0";
    assert_eq!(told, is(kept, "www.test. app.corp."));
    // From a zone of ours, through others, and back to ours.
    let said = [("app.corp.", "app.corp.=a.lab. a.lab.=66"), ("a.lab.", "a.lab.=own. own.=66")];
    let told = ask("www.own.", SPLIT, &said);
    assert_eq!(
        told,
        is("NOERROR www.own.=app.corp. app.corp.=a.lab. a.lab.=own. own.=3 0", "app.corp. a.lab.")
    );
}

#[test]
fn the_code_is_that_of_the_last_name_by_its_own_way() {
    let foreign = ("www.test.", "www.test.=app.corp. app.corp.=66");
    let told = ask("www.test.", SPLIT, &[foreign, ("app.corp.", "NX ; -")]);
    assert_eq!(told, is("NXDOMAIN www.test.=app.corp. 1", "www.test. app.corp."));
    assert_eq!(
        ask("www.test.", SPLIT, &[foreign]),
        is("SERVFAIL www.test.=app.corp. 0", "www.test. app.corp.")
    );
}

#[test]
fn among_names_of_one_way_nothing_is_asked_twice() {
    let whole = "www.test.=app.corp. app.corp.=7";
    assert_eq!(
        ask("www.test.", ONE, &[("www.test.", whole)]),
        is(&format!("NOERROR AD {whole} 0"), "www.test.")
    );
    let within = "www.test.=app.test. app.test.=7";
    assert_eq!(
        ask("www.test.", SPLIT, &[("www.test.", within)]),
        is(&format!("NOERROR AD {within} 0"), "www.test.")
    );
    let absent = ask("www.test.", ONE, &[("www.test.", "NX www.test.=app.corp. ; -")]);
    assert_eq!(absent, is("NXDOMAIN AD www.test.=app.corp. 1", "www.test."));
    // Whoever asks for the alias has it.
    let alias = [("www.test.", "www.test.=app.corp.")];
    for rtype in [RecordType::CNAME, RecordType::ANY] {
        let told = ask_for(("www.test.", rtype), SPLIT, &alias, false);
        assert_eq!(told, is("NOERROR AD www.test.=app.corp. 0", "www.test."));
    }
}

#[test]
fn an_alias_of_whose_target_nothing_is_said_is_followed() {
    // What is left of an answer whose target was elsewhere when it was asked for.
    let said = [("www.test.", "www.test.=app.corp. ; x.test.+"), ("app.corp.", "app.corp.=7")];
    assert_eq!(
        ask("www.test.", ONE, &said),
        is("NOERROR www.test.=app.corp. app.corp.=7 0", "www.test. app.corp.")
    );
    // Who resolves and says nothing of the target, has none: many tell no SOA of what they keep.
    let told = ask_for(("www.test.", RecordType::A), ONE, &said, true);
    assert_eq!(told, is("NOERROR AD www.test.=app.corp. 1", "www.test."));
    // Where not all of it fits it is the next question's, over TCP.
    let cut = [("www.test.", "www.test.=app.test. TC")];
    assert_eq!(ask("www.test.", ONE, &cut), is("NOERROR AD TC www.test.=app.test. 0", "www.test."));
}

#[test]
fn chains_that_go_round_end_with_what_was_collected() {
    let said = [("a.test.", "a.test.=b.corp. b.corp.=66"), ("b.corp.", "b.corp.=a.test. a.test.=66")];
    assert_eq!(
        ask("a.test.", SPLIT, &said),
        is("NOERROR a.test.=b.corp. b.corp.=a.test. 0", "a.test. b.corp.")
    );
    // One that others have found to be a loop is not asked for again.
    let said = [("a.test.", "a.test.=b.test. b.test.=a.test. a.test.=b.test.")];
    let (told, asked) = ask("a.test.", SPLIT, &said);
    assert!(told.starts_with("NOERROR ") && asked == "a.test.", "{told}, {asked}");
    // One that goes on and on is left in the end.
    let said = [
        ("a.test.", "a.test.=b.corp."),
        ("b.corp.", "b.corp.=c.test."),
        ("c.test.", "c.test.=d.corp."),
        ("d.corp.", "d.corp.=e.test."),
        ("e.test.", "e.test.=f.corp."),
        ("f.corp.", "f.corp.=7"),
    ];
    let (told, asked) = ask("a.test.", SPLIT, &said);
    assert_eq!(
        (told.matches('=').count(), asked.matches(' ').count()),
        (RETURNS_MAX + 1, RETURNS_MAX),
        "{told}"
    );
}
