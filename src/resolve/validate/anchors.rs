//! Trust anchors: where chains of trust begin (RFC 4035 §4.4).

use crate::resolve::validate::check::{Digest, Key, of_use};
use crate::resolve::validate::set::ancestor;
use crate::resolve::validate::verdict::Cause;
use crate::wire::name::Name;
use crate::wire::rtype::{Class, RecordType};
use crate::wire::section::Record;
use std::collections::HashMap;

/// The DS records of the root's keys 20326 (2017) and 38696 (2024), algorithm 8, SHA-256, as IANA publishes them
/// ("Trust Anchors and Keys for the Root Zone").
const ROOT: [&[u8; 36]; 2] = [
    b"\x4f\x66\x08\x02\xe0\x6d\x44\xb8\x0b\x8f\x1d\x39\xa9\x5c\x0b\x0d\x7c\x65\xd0\x84\x58\xe8\x80\x40\
      \x9b\xbc\x68\x34\x57\x10\x42\x37\xc7\xf8\xec\x8d",
    b"\x97\x28\x08\x02\x68\x3d\x2d\x0a\xcb\x8c\x9b\x71\x2a\x19\x48\xb2\x7f\x74\x12\x19\x29\x8d\x0a\x45\
      \x0d\x61\x2c\x48\x3a\xf4\x44\xa4\xc0\xfb\x2b\x16",
];
/// Seconds; it is never sent.
const ROOT_TTL: u32 = 172_800;

/// IANA's trust anchors of the root.
pub fn root_anchors() -> Vec<Record> {
    let record = |rdata: &[u8; 36]| Record {
        name: Name::ROOT,
        rtype: RecordType::DS,
        class: Class::IN,
        ttl: ROOT_TTL,
        rdata: rdata.to_vec(),
    };
    ROOT.into_iter().map(record).collect()
}

/// All anchors, by their zones.
#[derive(Debug)]
pub(super) struct Anchors(HashMap<Name, Vec<Digest>>);

impl Anchors {
    /// Of DS and DNSKEY records; others, and malformed ones, do not count.
    pub(super) fn new(records: &[Record]) -> Anchors {
        let mut anchors: HashMap<Name, Vec<Digest>> = HashMap::new();
        for record in records {
            let digest = match record.rtype {
                RecordType::DS => Digest::read_ds(&record.rdata),
                RecordType::DNSKEY => Key::read(&record.rdata).map(Digest::Key),
                _ => None,
            };
            if let Some(digest) = digest {
                anchors.entry(record.name.to_lowercase()).or_default().push(digest);
            }
        }
        Anchors(anchors)
    }

    /// The lowest zone at or above `name` that has an anchor.
    pub(super) fn above(&self, name: &Name) -> Option<Name> {
        let names = (0..=name.label_count()).rev().filter_map(|labels| ancestor(name, labels));
        names.into_iter().find(|name| self.0.contains_key(name))
    }

    /// The anchors of `zone`; an error if none of them is of use here. Empty if there are none.
    pub(super) fn of(&self, zone: &Name) -> Result<Vec<Digest>, Cause> {
        self.0.get(zone).map_or(Ok(Vec::new()), |digests| of_use(digests.clone()))
    }
}
