//! Who gets what, and who gets which error.

use super::*;
use crate::base::config::{Config, ConfigFile, Hmac, Inputs};
use crate::base::time::{Moment, WallSeconds};
use crate::catalog::delta::{Delta, ZoneContent};
use crate::catalog::state::State;
use crate::transfer::access::AccessList;
use crate::transfer::message::{notify, question};
use crate::transfer::tsig::Key;
use crate::transfer::tsig::client::Exchange;
use crate::transfer::update::rights::Rights;
use crate::wire::key::HashSeed;
use crate::wire::name::Name;
use crate::wire::query::{Accepted, accept};
use crate::zone::draft::ZoneDraft;
use crate::zone::fault::{Faults, place_in};
use crate::zone::seal::seal;
use crate::zone::sink::{Record, RecordSink};

const NOW: WallSeconds = WallSeconds(1_700_000_000);
const NEAR: &str = "192.0.2.1";
const FAR: &str = "203.0.113.1";

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn soa() -> Vec<u8> {
    [&[0, 0][..], &[0, 0, 0, 7], &[0; 16]].concat()
}

/// `primary.`, to who is near or signs; `secondary.`, told by who is near and signs; `broken.`; `quiet.`, of which nothing
/// is said.
fn world() -> (Arc<Snapshot>, Policy, Arc<Key>) {
    let mut state = State::new(HashSeed::new([9; 16]), 8);
    for origin in ["primary.", "secondary.", "quiet."].map(name) {
        let mut draft = ZoneDraft::new(&origin, HashSeed::new([9; 16]));
        let record = Record { owner: origin.as_wire(), rtype: RecordType::SOA, ttl: 60, rdata: &soa() };
        draft.record(record, &place_in("z", 1, 1));
        let content = ZoneContent::Sealed(Arc::new(seal(draft).0.unwrap()));
        state.apply(Delta::PutZone { origin, content });
    }
    let content = ZoneContent::Faulty(Arc::new(Faults::default()));
    state.apply(Delta::PutZone { origin: name("broken."), content });
    let key = Arc::new(Key::new(&name("k."), Hmac::Sha256, &[1; 32]));
    let near = AccessList::of(&[NEAR.parse().unwrap()], None);
    let signed = AccessList::of(&[NEAR.parse().unwrap()], Some(&name("K.")));
    let primary = ZonePolicy {
        transfer: near.clone().and(AccessList::new(&anybody_signing())),
        notify_from: None,
        update: signed.clone(),
    };
    let secondary = ZonePolicy { transfer: near.clone(), notify_from: Some(signed), ..ZonePolicy::default() };
    let broken = ZonePolicy { transfer: near.clone(), notify_from: None, update: near };
    let zones = [("primary.", primary), ("secondary.", secondary), ("Broken.", broken)];
    let zones = zones.map(|(origin, policy)| (name(origin), policy));
    let rights = [(name("K."), Rights::new(vec![name("a.primary.")], vec![]))];
    let policy = Policy::new(vec![Arc::clone(&key)], zones).with_rights(rights);
    (Arc::new(state.snapshot(Moment::START)), policy, key)
}

/// `key:k.`, as the configuration reads it.
fn anybody_signing() -> Vec<crate::base::config::Access> {
    let path = std::env::temp_dir().join(format!(
        "hivedns-desk-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    let text = "[[zone]]\norigin='a'\nfile='a'\ntransfer=['key:k.']\n[[key]]\nname='k'\nsecret_file='k'\n";
    std::fs::write(&path, text).unwrap();
    let inputs = Inputs { file: ConfigFile::Required(path.clone()), ..Inputs::default() };
    let config = Config::load(&inputs).unwrap();
    std::fs::remove_file(path).unwrap();
    config.zones[0].transfer.clone()
}

/// What is said to a message, signed or not, over TCP or UDP.
fn said(mut message: Vec<u8>, from: &str, key: Option<&Arc<Key>>, tcp: bool) -> String {
    let (snapshot, policy, _) = world();
    if let Some(key) = key {
        Exchange::begin(key, &mut message, NOW);
    }
    let mut name = NameKey::default();
    let (Accepted::Query(shape) | Accepted::Special(shape)) = accept(&message, &mut name) else {
        return "none of ours".to_owned();
    };
    name.hash(snapshot.seed());
    let from = from.parse().unwrap();
    let asked = Asked { message: &message, shape, key: &name, from, now: NOW };
    let mut buffer = [0; 512];
    let paper = Paper { limit: 512, buffer: &mut buffer, udp_payload_max: 1232 };
    let held = tcp.then_some(&snapshot);
    match take(&asked, &policy, (&snapshot, held), paper) {
        Turn::Reply { rcode, len, .. } => {
            let tsig = record::find(&buffer[..len]).unwrap();
            let error = tsig.map_or(String::new(), |tsig| format!(" {}", tsig.error()));
            let answers = if buffer[7] > 0 { ", told" } else { "" };
            format!("{rcode}{error}{answers}")
        }
        Turn::Notified { serial, .. } => format!("news {:?}", serial.map(|serial| serial.0)),
        Turn::Transfer(_) => "transfer".to_owned(),
        Turn::Update(_) => "update".to_owned(),
        Turn::Query(_) => "query".to_owned(),
    }
}

fn axfr(origin: &str) -> Vec<u8> {
    question(7, &name(origin), RecordType::AXFR, None)
}

fn ixfr(origin: &str) -> Vec<u8> {
    question(7, &name(origin), RecordType::IXFR, Some(&soa()))
}

#[test]
fn a_zone_goes_to_those_who_may_have_it() {
    let key = world().2;
    for ask in [axfr, ixfr] {
        assert_eq!(said(ask("primary."), NEAR, None, true), "transfer");
        assert_eq!(said(ask("primary."), FAR, None, true), "REFUSED");
        assert_eq!(said(ask("primary."), FAR, Some(&key), true), "transfer");
        assert_eq!(said(ask("secondary."), FAR, Some(&key), true), "REFUSED 0");
        assert_eq!(said(ask("secondary."), NEAR, Some(&key), true), "transfer");
        assert_eq!(said(ask("broken."), NEAR, None, true), "SERVFAIL");
        assert_eq!(said(ask("quiet."), NEAR, None, true), "REFUSED");
        for origin in ["a.primary.", "elsewhere.", "."] {
            assert_eq!(said(ask(origin), NEAR, None, true), "NOTAUTH", "{origin}");
        }
    }
    assert_eq!(said(axfr("primary."), NEAR, None, false), "NOTIMP");
    assert_eq!(said(ixfr("primary."), NEAR, None, false), "NOERROR, told");
    assert_eq!(said(ixfr("primary."), FAR, None, false), "REFUSED");
    assert_eq!(said(question(7, &name("primary."), RecordType::IXFR, None), NEAR, None, true), "FORMERR");
}

#[test]
fn a_wrong_signature_gets_its_error_whatever_it_signs() {
    let (_, _, key) = world();
    let other = Arc::new(Key::new(&name("k."), Hmac::Sha256, &[2; 32]));
    let unknown = Arc::new(Key::new(&name("u."), Hmac::Sha256, &[1; 32]));
    let plain = || question(7, &name("primary."), RecordType::A, None);
    for message in [axfr("primary."), ixfr("primary."), plain(), notify(7, &name("secondary."), &soa())] {
        assert_eq!(said(message.clone(), NEAR, Some(&other), true), "NOTAUTH 16");
        assert_eq!(said(message, NEAR, Some(&unknown), true), "NOTAUTH 17");
    }
    assert_eq!(said(plain(), FAR, Some(&key), false), "query");
}

#[test]
fn news_is_taken_from_those_who_may_tell_it() {
    let key = world().2;
    let news = |origin: &str| notify(7, &name(origin), &soa());
    assert_eq!(said(news("secondary."), NEAR, Some(&key), false), "news Some(7)");
    assert_eq!(said(news("secondary."), NEAR, None, false), "REFUSED");
    assert_eq!(said(news("secondary."), FAR, Some(&key), false), "REFUSED 0");
    for origin in ["primary.", "quiet.", "elsewhere.", "a.secondary."] {
        assert_eq!(said(news(origin), NEAR, Some(&key), false), "NOTAUTH 0", "{origin}");
    }
    let mut bare = question(7, &name("secondary."), RecordType::SOA, None);
    bare[2] = 4 << 3;
    assert_eq!(said(bare.clone(), NEAR, Some(&key), false), "news None");
    bare[12 + 11 + 1] = 1;
    assert_eq!(said(bare, NEAR, Some(&key), false), "NOTIMP 0");
}

/// An update that takes all from a name.
fn update(origin: &str, owner: &str) -> Vec<u8> {
    let mut message = question(7, &name(origin), RecordType::SOA, None);
    (message[2], message[9]) = (5 << 3, 1);
    message.extend_from_slice(name(owner).as_wire());
    message.extend_from_slice(b"\0\xff\0\xff\0\0\0\0\0\0");
    message
}

#[test]
fn updates_are_taken_from_those_who_may_and_touch_what_they_may() {
    let key = world().2;
    let other = Arc::new(Key::new(&name("k."), Hmac::Sha256, &[2; 32]));
    let unknown = Arc::new(Key::new(&name("u."), Hmac::Sha256, &[1; 32]));
    let own = || update("primary.", "x.a.primary.");
    for tcp in [false, true] {
        assert_eq!(said(own(), NEAR, Some(&key), tcp), "update");
        assert_eq!(said(own(), NEAR, None, tcp), "REFUSED");
        assert_eq!(said(own(), FAR, Some(&key), tcp), "REFUSED 0");
        assert_eq!(said(own(), NEAR, Some(&other), tcp), "NOTAUTH 16");
        assert_eq!(said(own(), NEAR, Some(&unknown), tcp), "NOTAUTH 17");
        assert_eq!(said(update("primary.", "primary."), NEAR, Some(&key), tcp), "REFUSED 0");
        assert_eq!(said(update("primary.", "elsewhere."), NEAR, Some(&key), tcp), "NOTZONE 0");
        // A secondary is changed by its primary only, and what nobody spoke of by nobody.
        assert_eq!(said(update("secondary.", "secondary."), NEAR, Some(&key), tcp), "REFUSED 0");
        assert_eq!(said(update("quiet.", "quiet."), NEAR, Some(&key), tcp), "REFUSED 0");
        assert_eq!(said(update("broken.", "broken."), NEAR, None, tcp), "SERVFAIL");
        for origin in ["a.primary.", "elsewhere.", "."] {
            assert_eq!(said(update(origin, "a.primary."), NEAR, Some(&key), tcp), "NOTAUTH 0", "{origin}");
        }
    }
    // A stranger does not even learn that its message is malformed.
    let mut malformed = own();
    malformed[12 + 9] = 1;
    assert_eq!(said(malformed.clone(), NEAR, Some(&key), true), "FORMERR 0");
    assert_eq!(said(malformed, NEAR, None, true), "REFUSED");
}

#[test]
fn the_answer_to_an_update_repeats_its_zone_and_is_signed_as_it_was() {
    for key in [None, Some(world().2)] {
        let (snapshot, _, known) = world();
        let near = AccessList::of(&[NEAR.parse().unwrap()], None);
        let zones = [(name("primary."), ZonePolicy { update: near, ..ZonePolicy::default() })];
        let policy = Policy::new(vec![known], zones);
        let mut message = update("primary.", "x.primary.");
        let mut exchange = key.as_ref().map(|key| Exchange::begin(key, &mut message, NOW));
        let mut hashed = NameKey::default();
        let Accepted::Special(shape) = accept(&message, &mut hashed) else { panic!("no update") };
        hashed.hash(snapshot.seed());
        let asked = Asked { message: &message, shape, key: &hashed, from: NEAR.parse().unwrap(), now: NOW };
        let mut buffer = [0; 512];
        let paper = Paper { limit: 512, buffer: &mut buffer, udp_payload_max: 1232 };
        let Turn::Update(permitted) = take(&asked, &policy, (&snapshot, None), paper) else {
            panic!("refused")
        };
        assert_eq!(permitted.update.zone(), &name("primary."));
        assert_eq!(permitted.held.is_signed(), key.is_some());
        let len = permitted.held.answer(Rcode::YxRrset, &mut buffer, NOW);
        let answer = &buffer[..len];
        assert_eq!((answer[2], answer[3], &answer[4..10]), (0xa8, 7, &[0, 1, 0, 0, 0, 0][..]));
        assert_eq!(answer[12..25], message[12..25]);
        if let Some(exchange) = &mut exchange {
            exchange.heard(answer, NOW).unwrap();
        }
    }
}
