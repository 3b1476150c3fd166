//! Messages of UPDATE that this server sends itself: one set put in the place of another, or taken away.

use super::UPDATE;
use crate::wire::name::Name;
use crate::wire::rtype::{Class, RecordType};

/// An update of a zone, as it is being written; all of it speaks of one name.
pub struct Draft {
    message: Vec<u8>,
    /// Where the name stands, if it has been written.
    owner: Option<u16>,
    name: Name,
}

impl Draft {
    /// Of the zone of that apex, for that name.
    pub fn new(id: u16, origin: &Name, name: &Name) -> Draft {
        let mut message = Vec::new();
        for field in [id, UPDATE, 1, 0, 0, 0] {
            message.extend(field.to_be_bytes());
        }
        message.extend_from_slice(origin.as_wire());
        message.extend(RecordType::SOA.0.to_be_bytes());
        message.extend(Class::IN.0.to_be_bytes());
        Draft { message, owner: None, name: name.clone() }
    }

    /// The set goes (RFC 2136 §2.5.2), or all sets (§2.5.3).
    pub fn drop_sets(self, rtype: Option<RecordType>) -> Draft {
        self.record(rtype.unwrap_or(RecordType::ANY), Class::ANY, 0, &[])
    }

    /// A record goes (RFC 2136 §2.5.4).
    pub fn drop_record(self, rtype: RecordType, rdata: &[u8]) -> Draft {
        self.record(rtype, Class::NONE, 0, rdata)
    }

    /// A record is added (RFC 2136 §2.5.1).
    pub fn add(self, rtype: RecordType, ttl: u32, rdata: &[u8]) -> Draft {
        self.record(rtype, Class::IN, ttl, rdata)
    }

    fn record(mut self, rtype: RecordType, class: Class, ttl: u32, rdata: &[u8]) -> Draft {
        match self.owner {
            // A name is at most 255 octets long: what stands behind the zone's is within the reach of pointers.
            Some(at) => self.message.extend((0xc000 | at).to_be_bytes()),
            None => {
                self.owner = Some(self.message.len() as u16);
                self.message.extend_from_slice(self.name.as_wire());
            }
        }
        self.message.extend(rtype.0.to_be_bytes());
        self.message.extend(class.0.to_be_bytes());
        self.message.extend(ttl.to_be_bytes());
        self.message.extend((rdata.len() as u16).to_be_bytes());
        self.message.extend_from_slice(rdata);
        if let Some(count) = self.message.get_mut(8..10).and_then(|count| count.first_chunk_mut::<2>()) {
            *count = u16::from_be_bytes(*count).saturating_add(1).to_be_bytes();
        }
        self
    }

    /// The message.
    pub fn finish(self) -> Vec<u8> {
        self.message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::update::content::{Owner, Set};
    use crate::transfer::update::{Ledger, Update};
    use std::sync::Arc;

    #[test]
    fn what_is_written_is_read_as_one_update() {
        let name = |text| Name::parse(text).unwrap();
        let (origin, www) = (name("z."), name("www.z."));
        let has = |names: &[(RecordType, &[&[u8]])], name: &Name| {
            let mut owner = Owner::free(name);
            for (rtype, rdatas) in names {
                owner.sets.insert(*rtype, Arc::new(Set::of(*rtype, 60, rdatas.iter().copied())));
            }
            owner
        };
        let (one, two, three): (&[u8], &[u8], &[u8]) = (&[1; 4], &[2; 4], &[3; 4]);
        let told = |draft: Draft| {
            let update = Update::read(&draft.finish()).unwrap();
            assert_eq!(*update.zone(), origin);
            let read =
                |name: &Name| has(&[(RecordType::A, &[one, two]), (RecordType::TXT, &[&b"\x01x"[..]])], name);
            let changes = Ledger::new(&origin, read).judge(&update).unwrap();
            changes
                .into_iter()
                .map(|change| {
                    let after = change
                        .after
                        .map(|set| (set.ttl, set.rdatas().map(<[u8]>::to_vec).collect::<Vec<_>>()));
                    (change.name.to_string(), change.rtype, after)
                })
                .collect::<Vec<_>>()
        };
        let draft = || Draft::new(7, &origin, &www);
        let www = "www.z.".to_owned();
        let replaced =
            draft().drop_sets(Some(RecordType::A)).add(RecordType::A, 30, three).add(RecordType::A, 30, one);
        let both = (30, vec![one.to_vec(), three.to_vec()]);
        assert_eq!(told(replaced), [(www.clone(), RecordType::A, Some(both))]);
        let gone = draft().drop_record(RecordType::A, two);
        assert_eq!(told(gone), [(www.clone(), RecordType::A, Some((60, vec![one.to_vec()])))]);
        let all = [(www.clone(), RecordType::A, None), (www, RecordType::TXT, None)];
        assert_eq!(told(draft().drop_sets(None)), all);
    }
}
