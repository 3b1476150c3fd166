//! Any response to its own question: what is kept of it is well formed, within its caps, and nothing that was not asked
//! for. The first octet says what the asker wants of DNSSEC, and which caps there are.
#![no_main]

mod oracle;

use hivedns::resolve::harvest::{Caps, harvest};
use hivedns::resolve::question::{Question, Wants};
use hivedns::resolve::writer::Writer;
use hivedns::wire::name::Name;
use hivedns::wire::response::Response;
use hivedns::wire::rtype::RecordType;
use libfuzzer_sys::fuzz_target;
use oracle::message;
use oracle::names;
use std::cell::RefCell;

const CNAME: u16 = 5;
const SOA: u16 = 6;
const DNAME: u16 = 39;
const RRSIG: u16 = 46;
const ANY: u16 = 255;
/// NSEC, NSEC3.
const PROOFS: [u16; 2] = [47, 50];
/// Types whose names are left as they came, and may lead anywhere: RP, AFSDB, RT, PX, SRV, KX.
const LEFT: [u16; 6] = [17, 18, 21, 26, 33, 36];

thread_local! {
    static BUFFERS: RefCell<(Writer, Vec<u8>)> = RefCell::default();
}

fn u32_at(octets: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(octets[at..at + 4].try_into().expect("four octets"))
}

fn run(first: u8, octets: &[u8], (writer, scratch): &mut (Writer, Vec<u8>)) {
    let Some(response) = Response::read(octets) else { return };
    let Ok(name) = Name::from_wire(response.question_name()) else { return };
    let (name, asked) = (name.to_lowercase(), response.question());
    let rtype = u16::from_be_bytes([asked[asked.len() - 4], asked[asked.len() - 3]]);
    let wants = Wants::from_bits(first);
    let caps = match first & 4 {
        0 => Caps { ttl_max: 86_400, negative_ttl_max: 3_600 },
        _ => Caps { ttl_max: 7, negative_ttl_max: 9 },
    };
    let question = Question::new(name.as_wire(), 0, RecordType(rtype), wants);
    let Some(found) = harvest(&question, &response, caps, writer, scratch) else { return };
    assert!(found.ttl <= caps.ttl_max);
    let body = writer.body(found.rcode, false, None);
    assert!(!body.is_failure());
    let records = body.counts.iter().map(|count| usize::from(*count)).sum::<usize>();
    assert_eq!(body.ttls.len(), records, "a place for each TTL");
    for at in body.ttls {
        assert!(u32_at(body.octets, usize::from(*at)) <= caps.ttl_max);
    }
    let counts = body.counts.map(u16::to_be_bytes).concat();
    let question = [name.as_wire(), &rtype.to_be_bytes(), &[0, 1]].concat();
    let whole = [&[0, 0, 0x80, found.rcode as u8, 0, 1], &counts[..], &question, body.octets].concat();
    assert!(whole.len() <= 65_535);
    let again = Response::read(&whole).expect("what we write we can read");
    assert_eq!(again.rcode(), found.rcode as u16);
    let [answer, authority, additional] = match message::decode(&whole) {
        Ok(decoded) => decoded.sections,
        Err(why) => {
            let types = [0, 1, 2].map(|section| match section {
                0 => again.records(hivedns::wire::reply::Section::Answer),
                1 => again.records(hivedns::wire::reply::Section::Authority),
                _ => again.records(hivedns::wire::reply::Section::Additional),
            });
            let is_left = types.into_iter().flatten().any(|record| LEFT.contains(&record.rtype.0));
            assert!(is_left, "{why}: {whole:?}");
            return;
        }
    };
    assert!(additional.is_empty(), "nobody asked for more");
    for record in &answer {
        let is_wanted = record.rtype == rtype || rtype == ANY;
        let is_on_the_way = [CNAME, DNAME].contains(&record.rtype);
        assert!(is_wanted || is_on_the_way || record.rtype == RRSIG && wants.dnssec_ok, "{record:?}");
        assert!(record.class == 1 && found.ttl <= record.ttl, "{record:?}");
    }
    if let Some(first) = answer.first() {
        let is_above = first.rtype == DNAME && names::is_within(name.as_wire(), &first.owner);
        assert!(first.owner == name.as_wire() || is_above, "the answer begins at the question: {first:?}");
    }
    for record in &authority {
        let is_proof = PROOFS.contains(&record.rtype) || record.rtype == RRSIG;
        assert!(record.rtype == SOA || is_proof && wants.dnssec_ok, "{record:?}");
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((first, octets)) = input.split_first() else { return };
    BUFFERS.with_borrow_mut(|buffers| run(*first, octets, buffers));
});
