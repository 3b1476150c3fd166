//! Messages and bodies as text, for tests: records are written as in a master file.

use crate::resolve::body::Body;
use crate::resolve::question::Question;
use crate::resolve::writer::{Writer, Written};
use crate::wire::message::Rcode;
use crate::wire::name::Name;
use crate::wire::reply::Section;
use crate::wire::response::Response;
use crate::wire::rtype::{Class, RecordType};
use crate::wire::section::{Record, records};
use crate::zone::rdata;

/// `www.example. A`.
pub(crate) fn question(text: &str) -> (Name, RecordType) {
    let (name, rtype) = text.split_once(' ').unwrap_or_else(|| panic!("a name and a type: {text}"));
    let name = Name::parse(name).unwrap().to_lowercase();
    (name, rtype.parse().unwrap_or_else(|_| panic!("a type: {text}")))
}

/// `www.example. 60 A 192.0.2.1`.
pub(crate) fn record(text: &str) -> Record {
    let mut fields = text.splitn(4, ' ');
    let mut field = || fields.next().unwrap_or_else(|| panic!("owner, TTL, type, RDATA: {text}"));
    let (name, ttl) = (Name::parse(field()).unwrap(), field().parse().unwrap());
    let rtype: RecordType = field().parse().unwrap_or_else(|_| panic!("a type: {text}"));
    let rdata =
        rdata::parse(rtype, field().as_bytes(), &Name::ROOT).unwrap_or_else(|why| panic!("{text}: {why:?}"));
    Record { name, rtype, class: Class::IN, ttl, rdata }
}

/// The record as [`record`] reads it.
pub(crate) fn text(record: &Record) -> String {
    let mut text = format!("{} {} {} ", record.name, record.ttl, record.rtype);
    rdata::print(record.rtype, &record.rdata, &mut text).unwrap();
    text
}

/// A response to a question, id 0, neither authoritative nor with EDNS.
pub(crate) fn message(question: &Question<'_>, rcode: u8, answer: &[&str], authority: &[&str]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.begin(question.name);
    for (section, records) in [(Section::Answer, answer), (Section::Authority, authority)] {
        writer.section(section);
        for Record { name, rtype, ttl, rdata, .. } in records.iter().map(|text| record(text)) {
            writer.put(&Written { owner: name.as_wire(), rtype, ttl, rdata: &rdata }).unwrap();
        }
    }
    wrap(question.name, question.rtype, rcode, &writer.body(Rcode::NoError, false, None))
}

fn wrap(name: &[u8], rtype: RecordType, rcode: u8, body: &Body<'_>) -> Vec<u8> {
    let counts = body.counts.map(u16::to_be_bytes).concat();
    let header = [&[0, 0, 0x80, rcode, 0, 1], &counts[..]].concat();
    [&header[..], name, &rtype.0.to_be_bytes(), &[0, 1], body.octets].concat()
}

/// The records of a body, each as [`record`] reads it, in the order of the sections.
pub(crate) fn show(name: &[u8], body: &Body<'_>) -> Vec<String> {
    let message = wrap(name, RecordType::A, 0, body);
    let response = Response::read(&message).unwrap();
    assert!(body.ttls.iter().all(|at| usize::from(*at) + 4 <= body.octets.len()));
    [Section::Answer, Section::Authority, Section::Additional]
        .into_iter()
        .flat_map(|section| records(&response, section))
        .map(|record| text(&record))
        .collect()
}
