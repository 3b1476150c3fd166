//! Any octets as a response of another name server: what is read whole can be read in every part, and says what the
//! decoder of the tests says.
#![no_main]

mod oracle;

use hivedns::wire::reply::Section;
use hivedns::wire::response::{RecordAt, Response};
use hivedns::wire::rtype::RecordType;
use libfuzzer_sys::fuzz_target;
use oracle::message::{self, Record};
use oracle::names;

const SECTIONS: [Section; 3] = [Section::Answer, Section::Authority, Section::Additional];
/// Types whose names the decoder takes apart and a response leaves as they came (RFC 3597 §4): RP, AFSDB, RT, PX, SRV, KX.
const LEFT: [u16; 6] = [17, 18, 21, 26, 33, 36];

/// A record as the decoder would give it, but that all of its RDATA is lowered.
fn read(record: &RecordAt<'_>) -> Record {
    let mut rdata = Vec::new();
    record.write_rdata(&mut rdata);
    let owner = record.owner();
    assert!(record.is_of(owner.as_wire()), "it is of its own owner");
    let _ = (record.rdata_name(), record.rdata());
    Record {
        owner: names::lowered(owner.as_wire()),
        rtype: record.rtype.0,
        class: record.class.0,
        ttl: record.ttl,
        rdata: rdata.to_ascii_lowercase(),
    }
}

fuzz_target!(|octets: &[u8]| {
    let Some(response) = Response::read(octets) else { return };
    let sections = SECTIONS.map(|section| {
        let records: Vec<Record> = response.records(section).map(|record| read(&record)).collect();
        assert_eq!(records.len(), usize::from(response.count(section)), "as many as it says");
        records.into_iter().filter(|record| record.rtype != RecordType::OPT.0).collect::<Vec<_>>()
    });
    assert_eq!(response.question().get(..response.question_name().len()), Some(response.question_name()));
    // Of a truncated one the rest may be cut off.
    let Ok(mut decoded) = message::decode(octets) else { return };
    assert_eq!((response.id(), response.rcode()), (decoded.id, decoded.rcode()));
    let (name, rtype, class) = decoded.question.clone().expect("one question");
    let question = [&name[..], &rtype.to_be_bytes(), &class.to_be_bytes()].concat();
    assert_eq!(response.question(), question);
    if sections.iter().flatten().any(|record| LEFT.contains(&record.rtype)) || response.is_truncated() {
        return;
    }
    for record in decoded.sections.iter_mut().flatten() {
        record.rdata.make_ascii_lowercase();
        // RFC 2181 §8.
        record.ttl = if record.ttl > i32::MAX as u32 { 0 } else { record.ttl };
    }
    assert_eq!(sections, decoded.sections);
});
