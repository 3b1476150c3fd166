//! Dynamic updates (RFC 2136): what a message asks for, as a value that cannot be malformed, and what that makes of a
//! zone. Pure; who may is the desk's to say, and who carries it out the control thread's.
//!
//! ```text
//! message ─► read: sections, classes, types (§2, §3.2, §3.4.1) ─► Update ─► Rights: may this key? (§3.3)
//!                                                                    │
//! sets of the names it speaks of ─► Ledger::judge ◄──────────────────┘
//!                                      │ prerequisites (§3.2), one instruction after another (§3.4.2), serial (§3.6)
//!                                      └─► changes, all or none ─► a step of the zone's history, or cluster-wide sets
//! ```

mod changes;
pub mod content;
mod ledger;
mod read;
pub mod request;
pub mod rights;
pub mod write;

pub use changes::{Change, difference};
pub use ledger::Ledger;

use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::rdata::canonicalize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The opcode of UPDATE within the flags (RFC 2136 §1.3).
pub const UPDATE: u16 = 5 << 11;

/// What a message asks for. All its names lie in its zone, its types are those of records, its RDATA is well formed.
#[derive(Debug, Clone)]
pub struct Update {
    zone: Name,
    prerequisites: Vec<Prerequisite>,
    /// Sets that have to be exactly so (§2.4.2): their RDATA in canonical form.
    equal: BTreeMap<(Name, RecordType), Vec<Vec<u8>>>,
    instructions: Vec<Instruction>,
    /// Types that a name may lose where all of its types are to go; none: any.
    types: Arc<[RecordType]>,
}

/// What has to be so (§2.4), but for whole sets.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Prerequisite {
    /// The name has a set of the type (§2.4.1).
    Exists(Name, RecordType),
    /// It has none (§2.4.3).
    Absent(Name, RecordType),
    /// The name has some record (§2.4.4).
    InUse(Name),
    /// It has none (§2.4.5).
    Free(Name),
}

/// What is to be done (§2.5).
#[derive(Debug, Clone, PartialEq, Eq)]
enum Instruction {
    /// A record is added (§2.5.1).
    Add { name: Name, rtype: RecordType, ttl: u32, rdata: Vec<u8> },
    /// A set goes (§2.5.2).
    DropSet(Name, RecordType),
    /// All sets of a name go (§2.5.3).
    DropName(Name),
    /// A record goes (§2.5.4).
    Drop(Name, RecordType, Vec<u8>),
}

impl Instruction {
    fn name(&self) -> &Name {
        match self {
            Instruction::Add { name, .. }
            | Instruction::DropSet(name, _)
            | Instruction::DropName(name)
            | Instruction::Drop(name, ..) => name,
        }
    }

    /// The type it speaks of; `None`: whatever the name has.
    fn rtype(&self) -> Option<RecordType> {
        match self {
            Instruction::Add { rtype, .. }
            | Instruction::DropSet(_, rtype)
            | Instruction::Drop(_, rtype, _) => Some(*rtype),
            Instruction::DropName(_) => None,
        }
    }
}

impl Update {
    /// The apex of the zone that it is for, as it was written.
    pub fn zone(&self) -> &Name {
        &self.zone
    }
}

/// RDATA as it compares (RFC 4034 §6.2).
fn canonical(rtype: RecordType, rdata: &[u8]) -> Vec<u8> {
    let mut octets = rdata.to_vec();
    canonicalize(rtype, &mut octets);
    octets
}

#[cfg(test)]
mod tests;
