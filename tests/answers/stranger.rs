//! A second opinion on our messages, by a library that shares nothing with this repository: hickory's decoder
//! must find in them what the tests' own decoder finds.

use crate::oracle::message::{AA, Message, RA, RD, TC};
use hickory_proto::op::Message as Theirs;
use hickory_proto::rr::Record;

/// Why hickory reads another message than `ours`, if it does.
pub fn reads_the_same(octets: &[u8], ours: &Message) -> Result<(), String> {
    let theirs = Theirs::from_vec(octets).map_err(|error| error.to_string())?;
    let header = &theirs.metadata;
    // The upper bits of the code stand in the OPT record.
    let low = u16::from(header.response_code) & 0x0f;
    same("id", header.id, ours.id)?;
    same("code", low, ours.rcode() & 0x0f)?;
    same("AA", header.authoritative, ours.flags & AA != 0)?;
    same("TC", header.truncation, ours.flags & TC != 0)?;
    same("RD", header.recursion_desired, ours.flags & RD != 0)?;
    same("RA", header.recursion_available, ours.flags & RA != 0)?;
    same("questions", theirs.queries.len(), usize::from(ours.question.is_some()))?;
    same(
        "OPT",
        theirs.edns.as_ref().map(|edns| (edns.max_payload(), edns.version(), edns.flags().dnssec_ok)),
        ours.opt.as_ref().map(|opt| (opt.payload, opt.version, opt.flags & 0x8000 != 0)),
    )?;
    let sections = [&theirs.answers, &theirs.authorities, &theirs.additionals];
    for (theirs, ours) in sections.into_iter().zip(&ours.sections) {
        let ours = ours
            .iter()
            .map(|record| (record.owner.to_ascii_lowercase(), record.rtype, record.class, record.ttl));
        same("a section", theirs.iter().map(told).collect::<Vec<_>>(), ours.collect())?;
    }
    Ok(())
}

/// Owner in lower-cased wire form, type, class, TTL.
fn told(record: &Record) -> (Vec<u8>, u16, u16, u32) {
    let labels = record.name.iter().flat_map(|label| [&[label.len() as u8], label].concat());
    let owner: Vec<u8> = labels.chain([0]).collect();
    (owner.to_ascii_lowercase(), record.record_type().into(), record.dns_class.into(), record.ttl)
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, theirs: T, ours: T) -> Result<(), String> {
    if theirs == ours { Ok(()) } else { Err(format!("{what}: {theirs:?} instead of {ours:?}")) }
}
