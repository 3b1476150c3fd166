//! Writing one set of records into a node, in the form of [`crate::zone::store`]: sealed octets, then what an
//! answer needs besides. Knows one set at a time; what may stand beside it is the caller's to judge.

use crate::base::limits::MESSAGE_OCTETS_MAX;
use crate::base::time::Moment;
use crate::wire::key::HashSeed;
use crate::wire::message::HEADER_OCTETS;
use crate::wire::name::{Name, is_at_or_below};
use crate::wire::rtype::RecordType;
use crate::wire::sealed::{RECORD_HEAD_OCTETS, Sealer, wire_len};
use crate::zone::store::{RECORDS_DEADLINE, RRSET_HEAD, TARGET_HEAD, aligned, target_flags};

/// Octets of a pointer in the list of those to shift.
const POINTER_OCTETS: usize = 2;

/// Writes sets one after another, re-using its buffers.
pub(crate) struct SetWriter {
    /// Lower-cased.
    origin: Name,
    seed: HashSeed,
    sealer: Sealer,
    owner: Vec<u8>,
    is_cut: bool,
    extras: Vec<u8>,
    targets: Vec<u8>,
}

impl SetWriter {
    /// For sets of one zone, given its lower-cased apex.
    pub(crate) fn new(origin: &Name, seed: HashSeed) -> SetWriter {
        SetWriter {
            origin: origin.clone(),
            seed,
            sealer: Sealer::default(),
            owner: Vec::new(),
            is_cut: false,
            extras: Vec::new(),
            targets: Vec::new(),
        }
    }

    /// Begins a set of `owner`, an absolute lower-cased name in wire form, which may be a zone cut.
    pub(crate) fn begin(&mut self, owner: &[u8], is_cut: bool) {
        self.sealer.begin(owner);
        self.owner.clear();
        self.owner.extend_from_slice(owner);
        self.is_cut = is_cut;
        self.targets.clear();
    }

    /// True if a set of RDATA of so many octets fits in a message, whatever it says: then [`SetWriter::end`] takes it. False
    /// says nothing.
    pub(crate) fn surely_fits(owner_len: usize, rdatas: impl Iterator<Item = usize>) -> bool {
        // Of each record at most: its octets, uncompressed, or else two pointers and a target with its key.
        let record = RECORD_HEAD_OCTETS + 2 * POINTER_OCTETS + TARGET_HEAD;
        let octets: usize = rdatas.map(|rdata| record + rdata).sum();
        HEADER_OCTETS + owner_len + 4 + octets <= MESSAGE_OCTETS_MAX
    }

    /// True if a record of so many octets of RDATA would leave the set within a message.
    pub(crate) fn has_room(&self, rdata_len: usize) -> bool {
        self.message_len() + RECORD_HEAD_OCTETS + rdata_len <= MESSAGE_OCTETS_MAX
    }

    /// Octets of a message that holds the question for the set and the set.
    fn message_len(&self) -> usize {
        HEADER_OCTETS + self.owner.len() + 4 + self.sealer.octets().len()
    }

    /// Adds a record with well-formed RDATA.
    pub(crate) fn record(&mut self, rtype: RecordType, ttl: u32, rdata: &[u8]) {
        let rdata_at = self.sealer.record(rtype, ttl, rdata);
        if let Some(skip) = target_in_rdata(rtype) {
            self.target(rdata_at + skip, rdata.get(skip..).unwrap_or_default());
        }
    }

    /// Appends the set to `nodes`; false, and nothing appended, if it does not fit in a message. With a deadline
    /// the TTL in answers is bounded by what is left until then.
    pub(crate) fn end(&mut self, rtype: RecordType, deadline: Option<Moment>, nodes: &mut Vec<u8>) -> bool {
        let pointers = self.sealer.pointers();
        self.extras.clear();
        if !pointers.is_empty() || !self.targets.is_empty() || deadline.is_some() {
            self.extras.extend_from_slice(&(pointers.len() as u16).to_le_bytes());
            pointers.iter().for_each(|at| self.extras.extend_from_slice(&at.to_be_bytes()));
            self.extras.extend_from_slice(&self.targets);
        }
        let mut records = self.sealer.records() as u16;
        if let Some(deadline) = deadline {
            self.extras.extend_from_slice(&deadline.as_micros().to_le_bytes());
            records |= RECORDS_DEADLINE;
        }
        let (octets_len, extras_len) = (self.sealer.octets().len(), self.extras.len());
        if self.message_len() > MESSAGE_OCTETS_MAX || extras_len > usize::from(u16::MAX) {
            return false;
        }
        for field in [rtype.0, records, octets_len as u16, extras_len as u16] {
            nodes.extend_from_slice(&field.to_le_bytes());
        }
        const _: () = assert!(RRSET_HEAD == 8);
        nodes.extend_from_slice(self.sealer.octets());
        nodes.extend_from_slice(&self.extras);
        nodes.resize(aligned(nodes.len()), 0);
        true
    }

    /// Notes a name in RDATA that lies in this zone, so that an answer finds it without hashing.
    fn target(&mut self, at: usize, name: &[u8]) {
        let name = name[..wire_len(name).min(name.len())].to_ascii_lowercase();
        let origin = self.origin.as_wire();
        if !is_at_or_below(&name, origin) {
            return;
        }
        let key = &name[..name.len() - origin.len()];
        let required = self.is_cut && is_at_or_below(&name, &self.owner);
        self.targets.extend_from_slice(&(at as u16).to_le_bytes());
        self.targets.push(key.len() as u8);
        self.targets.push(if required { target_flags::REQUIRED_GLUE } else { 0 });
        self.targets.extend_from_slice(&self.seed.name(&name).to_le_bytes());
        self.targets.extend_from_slice(key);
        const _: () = assert!(TARGET_HEAD == 12);
    }
}

/// Where in RDATA the name stands that an answer goes on to: the alias's target, or the host whose addresses
/// are additional data.
fn target_in_rdata(rtype: RecordType) -> Option<usize> {
    match rtype {
        RecordType::NS | RecordType::CNAME => Some(0),
        RecordType::MX => Some(2),
        RecordType::SRV => Some(6),
        _ => None,
    }
}
