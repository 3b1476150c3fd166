//! What leaves is what the zone holds, however it is cut into messages.

use super::*;
use crate::base::config::Hmac;
use crate::base::time::{Moment, WallSeconds};
use crate::catalog::delta::{Delta, ZoneContent};
use crate::catalog::state::State;
use crate::transfer::incoming::{Came, Incoming};
use crate::transfer::message::question;
use crate::transfer::tsig::Key;
use crate::transfer::tsig::client::Exchange;
use crate::transfer::tsig::record::find;
use crate::transfer::tsig::server::{Checked, check};
use crate::wire::key::{HashSeed, NameKey};
use crate::wire::name::Name;
use crate::wire::query::{Accepted, accept};
use crate::zone::draft::ZoneDraft;
use crate::zone::fault::place_in;
use crate::zone::history;
use crate::zone::rdata::canonicalize;
use crate::zone::seal::seal;
use crate::zone::sink::RecordSink;

const NOW: WallSeconds = WallSeconds(1_700_000_000);

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// Owner, type, RDATA.
type Row = (String, RecordType, Vec<u8>);

fn wire(text: &str) -> Vec<u8> {
    name(text).as_wire().to_vec()
}

/// A zone of that serial; `more` beside SOA and NS.
fn zone(serial: u32, more: &[Row]) -> Zone {
    let mut draft = ZoneDraft::new(&name("Z.test."), HashSeed::new([9; 16]));
    let mut soa = [wire("ns.z.test."), wire("admin.z.test.")].concat();
    [serial, 2, 3, 4, 5].iter().for_each(|field| soa.extend(field.to_be_bytes()));
    let own = [
        ("z.test.".to_owned(), RecordType::SOA, soa),
        ("z.test.".to_owned(), RecordType::NS, wire("ns.z.test.")),
    ];
    for (owner, rtype, rdata) in own.iter().chain(more) {
        let owner = name(owner);
        let record = Record { owner: owner.as_wire(), rtype: *rtype, ttl: 60, rdata };
        draft.record(record, &place_in("z", 1, 1));
    }
    seal(draft).0.unwrap()
}

/// Every sort of name and set: deep, wildcards, aliases, sets too large for a message of usual size, records of which each
/// is.
fn everything() -> Vec<Row> {
    let mut rows = Vec::new();
    for number in 0..3_000u32 {
        let owner = format!("Host{number}.d{}.z.test.", number % 7);
        rows.push((owner.clone(), RecordType::A, vec![192, 0, 2, number as u8]));
        let target = [&[0, 5][..], &wire(&format!("host{}.d1.Z.test.", number % 50))].concat();
        rows.push((owner, RecordType::MX, target));
    }
    rows.push(("*.w.z.test.".to_owned(), RecordType::CNAME, wire("w.z.test.")));
    for number in 0..2_000u32 {
        let text = [&[250u8][..], &[b'a' + (number % 20) as u8; 246], &number.to_be_bytes()].concat();
        if number < 200 {
            rows.push(("large.z.test.".to_owned(), RecordType::TXT, text));
        }
    }
    // A record as large as one can be, and one that needs a message of its own.
    let huge = |strings: usize| [&[255u8][..], &[b'x'; 255]].concat().repeat(strings);
    rows.push(("huge.z.test.".to_owned(), RecordType::TXT, huge(250)));
    rows.push(("a.huge.z.test.".to_owned(), RecordType::TXT, huge(100)));
    for number in 0..900 {
        rows.push(("many.z.test.".to_owned(), RecordType::NS, wire(&format!("ns{number}.many.Z.test."))));
    }
    rows
}

fn snapshot(zone: Zone) -> Arc<Snapshot> {
    let mut state = State::new(HashSeed::new([9; 16]), 4);
    let origin = zone.origin().clone();
    state.apply(Delta::PutZone { origin, content: ZoneContent::Sealed(Arc::new(zone)) });
    Arc::new(state.snapshot(Moment::START))
}

/// All messages of a transfer; `asked` is the question, signed or not.
fn messages(
    snapshot: &Arc<Snapshot>,
    asked: &[u8],
    have: Option<Serial>,
    key: Option<&Arc<Key>>,
) -> Vec<Vec<u8>> {
    let mut name = NameKey::default();
    let (Accepted::Query(shape) | Accepted::Special(shape)) = accept(asked, &mut name) else {
        panic!("no query")
    };
    name.hash(snapshot.seed());
    let number = snapshot.find_at(&name, name.label_count()).unwrap();
    let session = key.map(|key| match check(asked, &find(asked).unwrap().unwrap(), [key].into_iter(), NOW) {
        Checked::Good(session) => session,
        Checked::Bad(_) | Checked::Malformed => panic!("a wrong signature"),
    });
    let query = shape.of(asked);
    let mut outgoing = Outgoing::begin(Arc::clone(snapshot), number, &query, shape, have, session).unwrap();
    let (mut buffer, mut messages) = (vec![0; MESSAGE_OCTETS_MAX], Vec::new());
    while !outgoing.is_over() {
        let len = outgoing.next(&mut buffer, NOW).expect("it goes on");
        messages.push(buffer[..len].to_vec());
    }
    assert_eq!(outgoing.next(&mut buffer, NOW), None);
    messages
}

/// What the other side makes of them.
fn came(snapshot: &Arc<Snapshot>, have: Option<&Zone>, key: Option<&Arc<Key>>) -> (Came, Vec<Vec<u8>>) {
    let soa = have.map(|zone| plain::records(&plain::of_zone(zone)).next().unwrap().rdata.to_vec());
    let qtype = if have.is_some() { RecordType::IXFR } else { RecordType::AXFR };
    let asked = question(9, &name("z.test."), qtype, soa.as_deref());
    let mut octets = asked.clone();
    let exchange = key.map(|key| Exchange::begin(key, &mut octets, NOW));
    let have = have.map(Zone::serial);
    let messages = messages(snapshot, &octets, have, key);
    let mut incoming = Incoming::new(asked, &name("z.test."), have, exchange, 1 << 24);
    let (last, first) = messages.split_last().unwrap();
    first.iter().for_each(|message| assert_eq!(incoming.message(message, NOW), Ok(None)));
    (incoming.message(last, NOW).unwrap().expect("the end"), messages)
}

/// Records in canonical form, sorted.
fn canonical(run: &[u8]) -> Vec<Vec<u8>> {
    let one = |record: Record<'_>| {
        let mut rdata = record.rdata.to_vec();
        canonicalize(record.rtype, &mut rdata);
        let ttl = record.ttl.to_be_bytes();
        [&record.owner.to_ascii_lowercase(), &record.rtype.0.to_be_bytes()[..], &ttl, &rdata].concat()
    };
    let mut all: Vec<Vec<u8>> = plain::records(run).map(one).collect();
    all.sort();
    all
}

#[test]
fn a_whole_zone_arrives_as_it_is_signed_or_not() {
    let rows = everything();
    let zone = zone(7, &rows);
    let expected = canonical(&plain::of_zone(&zone));
    assert_eq!(expected.len(), rows.len() + 2);
    let snapshot = snapshot(zone);
    let key = Arc::new(Key::new(&name("k."), Hmac::Sha512, &[1; 64]));
    for key in [None, Some(&key)] {
        let (Came::Whole(run), messages) = came(&snapshot, None, key) else { panic!("no whole zone") };
        assert!(canonical(&run) == expected);
        let larger = messages.iter().filter(|message| message.len() > PAGE_OCTETS + 512).count();
        assert!(larger <= 3, "{larger} messages are larger than usual");
        assert!(messages.len() > 10);
    }
}

#[test]
fn owners_keep_their_case_and_compression_keeps_the_message_short() {
    let rows: Vec<Row> =
        (0..100).map(|number| (format!("WwW{number}.z.test."), RecordType::CNAME, wire("z.test."))).collect();
    let (Came::Whole(run), messages) = came(&snapshot(zone(7, &rows)), None, None) else { panic!("no zone") };
    assert!(
        plain::records(&run)
            .any(|record| record.owner.starts_with(b"\x06WwW99") || record.owner.starts_with(b"\x05WwW99"))
    );
    // Label, pointer, ten octets, a pointer.
    assert!(messages.len() == 1 && messages[0].len() < 100 * 24 + 200, "{}", messages[0].len());
}

#[test]
fn who_has_an_older_version_gets_the_steps_and_who_has_an_unknown_one_the_zone() {
    let row = |owner: &str, octet: u8| (owner.to_owned(), RecordType::A, vec![192, 0, 2, octet]);
    let many: Vec<Row> = (0..200).map(|number| row(&format!("m{number}.z.test."), 1)).collect();
    let first = zone(1, &many);
    let second = history::succeed(&first, zone(2, &[&many[1..], &[row("a.z.test.", 1)]].concat()));
    let third = history::succeed(&second, zone(3, &[&many[1..], &[row("A.z.test.", 2)]].concat()));
    let snapshot = snapshot(third);
    let (Came::Steps(steps), messages) = came(&snapshot, Some(&first), None) else { panic!("no steps") };
    let serials: Vec<(u32, u32)> = steps.iter().map(|step| (step.from().0, step.to().0)).collect();
    assert_eq!((serials, messages.len()), (vec![(1, 2), (2, 3)], 1));
    let kept = snapshot.entries()[0].zone().unwrap().history().since(Serial(1)).unwrap();
    for (came, kept) in steps.iter().zip(kept) {
        assert_eq!(canonical(came.records()), canonical(kept.records()));
    }
    assert!(matches!(came(&snapshot, Some(&second), None).0, Came::Steps(steps) if steps.len() == 1));
    assert_eq!(came(&snapshot, Some(&zone(3, &[])), None).0, Came::Current(Serial(3)));
    assert_eq!(came(&snapshot, Some(&zone(9, &[])), None).0, Came::Current(Serial(3)));
    assert!(matches!(came(&snapshot, Some(&zone(0, &[])), None).0, Came::Whole(_)));
}
