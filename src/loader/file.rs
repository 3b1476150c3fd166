//! The file of a primary zone that is to be known again: read as any master file, and remembered by what it says.

use crate::disk::sum::Sum;
use crate::wire::key::HashSeed;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::Zone;
use crate::zone::draft::ZoneDraft;
use crate::zone::fault::{Faults, Place, place_in};
use crate::zone::master::{self, Options};
use crate::zone::seal::{self, Form, seal_as, soa_field};
use crate::zone::sink::{Record, RecordSink};
use std::path::Path;
use std::sync::Arc;

/// What a file says, so that another content is seen: comments and layout do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Note {
    /// The serial of its SOA.
    pub(super) serial: u32,
    /// A checksum over its records, in their order.
    sum: u32,
    /// How many there are.
    records: u32,
}

impl Note {
    /// For the disk.
    pub(super) fn to_octets(self) -> Vec<u8> {
        [self.serial, self.sum, self.records].map(u32::to_be_bytes).concat()
    }

    /// From there.
    pub(super) fn of_octets(octets: &[u8]) -> Option<Note> {
        let (numbers, _) = octets.as_chunks::<4>();
        match numbers {
            [serial, sum, records] => {
                let [serial, sum, records] = [serial, sum, records].map(|number| u32::from_be_bytes(*number));
                Some(Note { serial, sum, records })
            }
            _ => None,
        }
    }
}

/// A draft that notes what it is given.
pub(super) struct Noting {
    draft: ZoneDraft,
    sum: Sum,
    records: u32,
    serial: Option<u32>,
    is_signed: bool,
}

impl RecordSink for Noting {
    fn record(&mut self, record: Record<'_>, place: &Place) {
        let Record { owner, rtype, ttl, rdata } = record;
        for part in [owner, &rtype.0.to_be_bytes(), &ttl.to_be_bytes(), rdata] {
            self.sum.add(part);
        }
        self.records = self.records.wrapping_add(1);
        if rtype == RecordType::SOA {
            self.serial = self.serial.or(Some(soa_field(rdata, 0)));
        }
        self.is_signed |= rtype == RecordType::RRSIG;
        self.draft.record(record, place);
    }
}

/// Reads a file; without a note it is no zone.
pub(super) fn read(origin: &Name, path: &Path, seed: HashSeed) -> (Noting, Faults, Option<Note>) {
    let (mut draft, mut faults) = (ZoneDraft::new(origin, seed), Faults::default());
    draft.set_file(&Arc::from(path));
    let (records, serial, is_signed) = (0, None, false);
    let mut noting = Noting { draft, sum: Sum::default(), records, serial, is_signed };
    let options = Options { origin, ttl: None };
    if let Err(unreadable) = master::read_file(path, options, &mut noting, &mut faults) {
        faults.error(place_in(path, 1, 1), unreadable.error.to_string());
        return (noting, faults, None);
    }
    let (sum, records) = (noting.sum.get(), noting.records);
    let note = noting.serial.map(|serial| Note { serial, sum, records });
    (noting, faults, note)
}

/// Seals what was read, for a zone that changes as a whole.
pub(super) fn seal_whole(noting: Noting) -> (Option<Zone>, Faults) {
    seal::seal(noting.draft)
}

/// Seals what was read, for a zone that changes in part.
pub(super) fn seal(noting: Noting) -> (Option<Zone>, Faults) {
    // A signed zone is sealed as a whole each time.
    seal_as(noting.draft, if noting.is_signed { Form::Arena } else { Form::Blocks })
}
