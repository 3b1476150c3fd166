//! From a message to an [`Update`]: what RFC 2136 wants to be refused before anything is looked at in the zone.
//!
//! ```text
//! class      ANY                    NONE                    IN
//! must be    TTL 0, no RDATA        TTL 0, no RDATA         TTL 0             prerequisites (§3.2)
//!            TTL 0, no RDATA        TTL 0                                     instructions (§3.4.1)
//! ```

use super::{Instruction, Prerequisite, Update, canonical};
use crate::base::octets::u16_at;
use crate::wire::message::{HEADER_OCTETS, Rcode};
use crate::wire::name::Name;
use crate::wire::response::{RecordAt, read_name};
use crate::wire::rtype::{Class, RecordType};
use crate::zone::rdata::validate;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Update {
    /// Reads a message of this opcode with one question, its zone; the code that says what is wrong with it.
    pub fn read(message: &[u8]) -> Result<Update, Rcode> {
        let (zone, zone_end) = read_name(message, HEADER_OCTETS).ok_or(Rcode::FormErr)?;
        let number = |at| u16_at(message, at).ok_or(Rcode::FormErr);
        // §3.1.1, §3.1.2.
        match (RecordType(number(zone_end)?), Class(number(zone_end + 2)?)) {
            (RecordType::SOA, Class::IN) => {}
            (RecordType::SOA, _) => return Err(Rcode::NotAuth),
            _ => return Err(Rcode::FormErr),
        }
        let mut update = Update {
            zone,
            prerequisites: Vec::new(),
            equal: BTreeMap::new(),
            instructions: Vec::new(),
            types: Arc::default(),
        };
        let mut at = zone_end + 4;
        for _ in 0..number(6)? {
            let (record, end) = RecordAt::read_of_update(message, at).ok_or(Rcode::FormErr)?;
            at = end;
            update.prerequisite(&record)?;
        }
        for _ in 0..number(8)? {
            let (record, end) = RecordAt::read_of_update(message, at).ok_or(Rcode::FormErr)?;
            at = end;
            update.instruction(&record)?;
        }
        // Of records that differ in case alone one counts.
        for rdatas in update.equal.values_mut() {
            rdatas.sort_unstable();
            rdatas.dedup();
        }
        Ok(update)
    }

    /// The owner, which has to lie in the zone.
    fn owner(&self, record: &RecordAt<'_>) -> Result<Name, Rcode> {
        let owner = record.owner();
        if owner.is_at_or_below(&self.zone) { Ok(owner) } else { Err(Rcode::NotZone) }
    }

    fn prerequisite(&mut self, record: &RecordAt<'_>) -> Result<(), Rcode> {
        let (rtype, is_empty) = (record.rtype, record.rdata().is_empty());
        if record.ttl != 0 {
            return Err(Rcode::FormErr);
        }
        let name = self.owner(record)?;
        let prerequisite = match record.class {
            Class::ANY | Class::NONE if !is_empty => return Err(Rcode::FormErr),
            Class::ANY if rtype == RecordType::ANY => Prerequisite::InUse(name),
            Class::ANY => Prerequisite::Exists(name, rtype),
            Class::NONE if rtype == RecordType::ANY => Prerequisite::Free(name),
            Class::NONE => Prerequisite::Absent(name, rtype),
            Class::IN => {
                let rdata = rdata(record)?;
                self.equal.entry((name, rtype)).or_default().push(canonical(rtype, &rdata));
                return Ok(());
            }
            _ => return Err(Rcode::FormErr),
        };
        self.prerequisites.push(prerequisite);
        Ok(())
    }

    fn instruction(&mut self, record: &RecordAt<'_>) -> Result<(), Rcode> {
        let (rtype, ttl) = (record.rtype, record.ttl);
        let name = self.owner(record)?;
        let instruction = match record.class {
            Class::IN => Instruction::Add { name, rtype, ttl, rdata: rdata(record)? },
            Class::ANY | Class::NONE if ttl != 0 => return Err(Rcode::FormErr),
            Class::ANY if !record.rdata().is_empty() => return Err(Rcode::FormErr),
            Class::ANY if rtype == RecordType::ANY => Instruction::DropName(name),
            Class::ANY if is_of_records(rtype) => Instruction::DropSet(name, rtype),
            Class::NONE => Instruction::Drop(name, rtype, rdata(record)?),
            _ => return Err(Rcode::FormErr),
        };
        self.instructions.push(instruction);
        Ok(())
    }
}

/// True for a type that a zone can have.
fn is_of_records(rtype: RecordType) -> bool {
    // Type 0 is no type (RFC 6895 §3.1).
    rtype.0 != 0 && !rtype.is_meta() && !rtype.is_viewed()
}

/// The RDATA of a record that a zone can have, nothing of it compressed.
fn rdata(record: &RecordAt<'_>) -> Result<Vec<u8>, Rcode> {
    let mut rdata = Vec::new();
    record.write_rdata(&mut rdata);
    let is_sound = is_of_records(record.rtype) && validate(record.rtype, &rdata).is_ok();
    if is_sound { Ok(rdata) } else { Err(Rcode::FormErr) }
}
