//! Records written out, nothing of them compressed, one behind the other: what is stored, compared and sent where
//! sealed sets would not do.
//!
//! ```text
//! owner | type (16) | class IN (16) | TTL (32) | length (16) | RDATA | owner | ...
//! ```

use crate::base::octets::{u16_at, u32_at};
use crate::wire::message::HEADER_OCTETS;
use crate::wire::response::RecordAt;
use crate::wire::rtype::{Class, RecordType};
use crate::wire::sealed::wire_len;
use crate::zone::Zone;
use crate::zone::sink::Record;
use crate::zone::store::{Node, Rrset};

/// Octets of a plain record between its owner and its RDATA.
pub const FIXED_OCTETS: usize = 10;

/// Adds a record to a run of plain records.
pub fn write(out: &mut Vec<u8>, record: &Record<'_>) {
    out.extend_from_slice(record.owner);
    out.extend_from_slice(&record.rtype.0.to_be_bytes());
    out.extend_from_slice(&Class::IN.0.to_be_bytes());
    out.extend_from_slice(&record.ttl.to_be_bytes());
    out.extend_from_slice(&(record.rdata.len() as u16).to_be_bytes());
    out.extend_from_slice(record.rdata);
}

/// The record at the start of a run, and how many octets it takes; `None` at the end, and where the run is cut short.
pub fn first(run: &[u8]) -> Option<(Record<'_>, usize)> {
    let fixed = wire_len(run);
    let rdata_at = fixed + FIXED_OCTETS;
    let end = rdata_at + usize::from(u16_at(run, fixed + 8)?);
    let record = Record {
        owner: run.get(..fixed)?,
        rtype: RecordType(u16_at(run, fixed)?),
        ttl: u32_at(run, fixed + 4)?,
        rdata: run.get(rdata_at..end)?,
    };
    Some((record, end))
}

/// The records of a run.
pub fn records(mut run: &[u8]) -> impl Iterator<Item = Record<'_>> {
    std::iter::from_fn(move || {
        let (record, len) = first(run)?;
        run = run.get(len..)?;
        Some(record)
    })
}

/// Writes sealed sets out, re-using its buffers.
#[derive(Default)]
pub struct Unsealer {
    /// The message that a set was sealed for: question, set.
    message: Vec<u8>,
    rdata: Vec<u8>,
}

impl Unsealer {
    /// Gives each record of a set to `take`, its owner in the case it was loaded with.
    pub fn each(&mut self, zone: &Zone, node: &Node<'_>, set: &Rrset<'_>, mut take: impl FnMut(&Record<'_>)) {
        self.message.clear();
        self.message.resize(HEADER_OCTETS, 0);
        self.message.extend_from_slice(node.cased_key());
        self.message.extend_from_slice(zone.origin().as_wire());
        let owner_end = self.message.len();
        self.message.extend_from_slice(&[0; 4]);
        let mut at = self.message.len();
        let sealed = set.sealed();
        self.message.extend_from_slice(sealed.octets);
        for _ in 0..sealed.records {
            let Some((record, end)) = RecordAt::read(&self.message, at) else { return };
            at = end;
            self.rdata.clear();
            record.write_rdata(&mut self.rdata);
            take(&Record {
                owner: self.message.get(HEADER_OCTETS..owner_end).unwrap_or_default(),
                rtype: record.rtype,
                ttl: record.ttl,
                rdata: &self.rdata,
            });
        }
    }

    /// Gives every record of a zone to `take`, the SOA first.
    pub fn all(&mut self, zone: &Zone, mut take: impl FnMut(&Record<'_>)) {
        let apex = zone.apex();
        if let Some(soa) = apex.rrset(RecordType::SOA) {
            self.each(zone, &apex, &soa, &mut take);
        }
        for node in zone.nodes() {
            for set in node.rrsets().filter(|set| set.rtype() != RecordType::SOA) {
                self.each(zone, &node, &set, &mut take);
            }
        }
    }
}

/// All of a zone as plain records, the SOA first.
pub fn of_zone(zone: &Zone) -> Vec<u8> {
    let mut out = Vec::with_capacity(zone.octets());
    Unsealer::default().all(zone, |record| write(&mut out, record));
    out
}
