//! Trust anchors: where chains of trust begin (RFC 4035 §4.4).

use crate::resolve::validate::check::{Digest, Key, of_use};
use crate::resolve::validate::set::ancestor;
use crate::resolve::validate::verdict::Cause;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::wire::section::Record;
use std::collections::HashMap;

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
