//! Sealing: from a draft to a zone that is never changed again.
//!
//! ```text
//! occlude   one pass over the nodes, ancestors first: who lies below a cut or a DNAME?
//! spread    nodes ordered by shard
//! per shard: per node: group records by type, check them, seal each set, write the node; then the slots
//! hidden    the nodes of proofs alone, where the zone is signed, behind the shards
//! ```

use crate::base::octets::u16_at;
use crate::os::memory::advise_huge;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::wire::sealed::{Sealer, wire_len};
use crate::wire::short::RUN_OCTETS;
use crate::zone::Serial;
use crate::zone::draft::{DraftNode, DraftRecord, ZoneDraft, node_flags};
use crate::zone::fault::Faults;
use crate::zone::live::block::Block;
use crate::zone::live::directory::{BITS_MAX, Directory};
use crate::zone::live::ledger::Encoder;
use crate::zone::live::patch::BLOCK_NODES_MAX;
use crate::zone::rdata::canonicalize;
use crate::zone::set::SetWriter;
use crate::zone::signing::Signing;
use crate::zone::slots::{SHARD_OCTETS_MAX, SLOTS_PER_NODE, Slots};
use crate::zone::store::{Blocks, NODE_HEAD, ShardAt, Spot, Store, aligned, shard_of};
use crate::zone::zone::Zone;
use std::borrow::Cow;
use std::collections::HashSet;

/// Nodes per shard on average: small enough that replacing a shard for one change costs microseconds, large
/// enough that the directory stays in the processor's cache.
const NODES_PER_SHARD: usize = 256;
/// Records of a set that are compared pair by pair.
const SMALL_SET: usize = 16;

/// How a sealed zone is to lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// In one run of octets: the next version is sealed anew.
    Arena,
    /// In blocks that versions share: [`crate::zone::amend`] makes the next one.
    Blocks,
}

/// Seals a draft. The faults hold what the reader found and what sealing adds; with an error among them there
/// is no zone.
pub fn seal(draft: ZoneDraft) -> (Option<Zone>, Faults) {
    seal_as(draft, Form::Arena)
}

/// As [`seal`], in that form.
pub fn seal_as(mut draft: ZoneDraft, form: Form) -> (Option<Zone>, Faults) {
    draft.end_of_input();
    let mut faults = draft.take_faults();
    let occluders = occlude(&mut draft);
    let mut work = Work::new(&draft, &occluders);
    let mut signing = Signing::of(&draft);
    // Proofs follow one another across all names: who takes one change has them all found anew.
    let form = if signing.is_some() { Form::Arena } else { form };
    if form == Form::Blocks {
        work.children = children(&draft.nodes);
    }
    let apex_records: Vec<DraftRecord<'_>> = draft.records(&draft.nodes[0]).collect();
    check_apex(&draft, &apex_records, &mut faults);

    let hidden = signing.as_ref().map_or(0, |signing| signing.hidden().len());
    let depth = block_depth(draft.nodes.len());
    let shards = match form {
        Form::Arena => (draft.nodes.len() - hidden).div_ceil(NODES_PER_SHARD),
        Form::Blocks => 1 << depth,
    };
    let order = spread(&draft.nodes, shards, signing.as_ref());
    let mut octets = Vec::new();
    if form == Form::Arena {
        octets.reserve_exact(estimate(&draft));
        advise_huge(&mut octets);
    }
    let (mut directory, mut blocks) = (Vec::new(), Vec::new());
    let mut rest = &order[..];
    for shard in 0..shards {
        let count = rest
            .iter()
            .take_while(|&&node| shard_of(draft.nodes[node as usize].hash, shards) == shard)
            .count();
        let (own, others) = rest.split_at(count);
        rest = others;
        let shard = work.shard(own, signing.as_mut(), &mut octets, &mut faults);
        let is_placed = match (shard, form) {
            (Some(at), Form::Arena) => {
                directory.push(at);
                true
            }
            (Some(at), Form::Blocks) => {
                let block = Block::of_shard(std::mem::take(&mut octets), at, own.len(), depth);
                block.map(|block| blocks.push(block)).is_some()
            }
            (None, _) => false,
        };
        if !is_placed {
            faults.error(draft.place_of_zone(), "the zone is too large: its names would not fit in a shard");
        }
    }
    if let Some(signing) = &mut signing {
        work.hidden(signing, &mut octets, &mut faults);
    }
    if faults.errors() > 0 {
        return (None, faults);
    }
    octets.shrink_to_fit();
    let blocks = match form {
        Form::Arena => Blocks::Arena { octets, shards: directory.into_boxed_slice() },
        Form::Blocks => Blocks::Apart(Directory::of(&blocks, depth)),
    };
    let soa = apex_records.iter().find(|record| record.rtype == RecordType::SOA);
    let negative_soa = NegativeSoa::new(&work.origin, soa.map(|soa| (soa.ttl, soa.rdata)));
    let origin_len = draft.origin().as_wire().len();
    let (hidden, denial) = signing.map(|signing| signing.end(&draft)).unzip();
    let store = Store { blocks, origin_len, hidden: hidden.unwrap_or_default() };
    let serial = soa.map_or(0, |soa| soa_field(soa.rdata, 0));
    let zone =
        Zone::new(draft.origin().clone(), draft.seed(), store, negative_soa, serial, draft.record_count());
    let zone = match denial {
        Some(denial) => zone.signed_by(denial),
        None => zone,
    };
    (Some(zone), faults)
}

/// The bits of hashes that blocks of so many nodes in all begin with: then they are half full on average, and seldom
/// split soon.
fn block_depth(nodes: usize) -> u32 {
    (0..BITS_MAX).find(|depth| nodes >> depth <= BLOCK_NODES_MAX / 2).unwrap_or(BITS_MAX)
}

/// How many names stand directly below each; of the apex nobody wants to know, it exists anyway.
fn children(nodes: &[DraftNode]) -> Vec<u32> {
    let mut children = vec![0; nodes.len()];
    nodes.iter().filter(|node| node.depth > 1).for_each(|node| children[node.parent as usize] += 1);
    children
}

/// Marks the nodes below cuts and DNAMEs; the depth below the apex of what hides each (the topmost counts).
fn occlude(draft: &mut ZoneDraft) -> Vec<u8> {
    let mut occluders = vec![0u8; draft.nodes.len()];
    for i in 1..draft.nodes.len() {
        let parent_number = draft.nodes[i].parent as usize;
        let parent = draft.nodes[parent_number];
        if parent.flags & node_flags::OCCLUDED != 0 {
            occluders[i] = occluders[parent_number];
        } else if parent.flags & (node_flags::CUT | node_flags::DNAME) != 0 {
            occluders[i] = parent.depth;
        } else {
            continue;
        }
        let by_dname = parent.flags & node_flags::BELOW_DNAME != 0
            || parent.flags & (node_flags::OCCLUDED | node_flags::CUT) == 0;
        draft.nodes[i].flags |= node_flags::OCCLUDED | if by_dname { node_flags::BELOW_DNAME } else { 0 };
    }
    occluders
}

/// Node numbers ordered by shard (a counting sort), the hidden ones left out.
fn spread(nodes: &[DraftNode], shards: usize, signing: Option<&Signing>) -> Vec<u32> {
    let is_seen =
        |(number, _): &(u32, &DraftNode)| !signing.is_some_and(|signing| signing.is_hidden(*number));
    let mut starts = vec![0u32; shards + 1];
    for (_, node) in (0u32..).zip(nodes).filter(is_seen) {
        starts[shard_of(node.hash, shards) + 1] += 1;
    }
    for i in 0..shards {
        starts[i + 1] += starts[i];
    }
    let mut order = vec![0u32; starts[shards] as usize];
    for (number, node) in (0u32..).zip(nodes).filter(is_seen) {
        let start = &mut starts[shard_of(node.hash, shards)];
        order[*start as usize] = number;
        *start += 1;
    }
    order
}

/// Address space to set aside; what is not filled is given back and never touched.
fn estimate(draft: &ZoneDraft) -> usize {
    draft.nodes.len() * 24 + draft.octets() * 3 / 2 + 4096
}

fn check_apex(draft: &ZoneDraft, records: &[DraftRecord<'_>], faults: &mut Faults) {
    let mut soas = records.iter().filter(|record| record.rtype == RecordType::SOA);
    match soas.next() {
        None => {
            faults.error(draft.place_of_zone(), format!("the zone {} has no SOA at its apex", draft.origin()))
        }
        Some(first) => {
            if let Some(second) = soas.find(|other| canonical(other) != canonical(first)) {
                faults.error(draft.place(second.at), "a second SOA: a zone has one");
            }
        }
    }
    if !records.iter().any(|record| record.rtype == RecordType::NS) {
        faults.warning(draft.place_of_zone(), format!("the zone {} has no NS at its apex", draft.origin()));
    }
}

/// True if two records of one set are equal; most differ even where the case of letters does not count.
fn is_same(a: &DraftRecord<'_>, b: &DraftRecord<'_>) -> bool {
    a.rdata == b.rdata || (a.rdata.eq_ignore_ascii_case(b.rdata) && canonical(a) == canonical(b))
}

/// The type that a signature covers (RFC 4034 §3.1.1); 0 for all other records.
fn covered(record: &DraftRecord<'_>) -> u16 {
    if record.rtype == RecordType::RRSIG { u16_at(record.rdata, 0).unwrap_or(0) } else { 0 }
}

/// RDATA as it compares: the letters of its names lowered (RFC 4034 §6.2).
fn canonical<'d>(record: &DraftRecord<'d>) -> Cow<'d, [u8]> {
    if !record.rdata.iter().any(u8::is_ascii_uppercase) {
        return Cow::Borrowed(record.rdata);
    }
    let mut rdata = record.rdata.to_vec();
    canonicalize(record.rtype, &mut rdata);
    Cow::Owned(rdata)
}

/// A 32-bit field of SOA RDATA: 0 serial, 1 refresh, 2 retry, 3 expire, 4 minimum.
pub(crate) fn soa_field(rdata: &[u8], index: usize) -> u32 {
    let names = wire_len(rdata);
    let names = names + wire_len(rdata.get(names..).unwrap_or_default());
    crate::base::octets::u32_at(rdata, names + 4 * index).unwrap_or(0)
}

/// SOA RDATA with another serial.
pub(crate) fn with_serial(rdata: &[u8], serial: Serial) -> Vec<u8> {
    let names = wire_len(rdata);
    let names = names + wire_len(rdata.get(names..).unwrap_or_default());
    let mut rdata = rdata.to_vec();
    if let Some(place) = rdata.get_mut(names..names + 4) {
        place.copy_from_slice(&serial.0.to_be_bytes());
    }
    rdata
}

/// The SOA as negative answers carry it: TTL min(TTL, MINIMUM) (RFC 2308 §5), sealed for the apex.
pub(crate) struct NegativeSoa {
    /// Padded, so that it is copied as one run of known size where it is short.
    pub(crate) octets: Box<[u8]>,
    /// Octets without the padding.
    pub(crate) len: usize,
    /// Network order.
    pub(crate) pointers: Box<[u8]>,
}

impl NegativeSoa {
    /// From the lower-cased apex and the TTL and RDATA of its SOA.
    pub(crate) fn new(origin: &Name, soa: Option<(u32, &[u8])>) -> NegativeSoa {
        let mut sealer = Sealer::default();
        sealer.begin(origin.as_wire());
        if let Some((ttl, rdata)) = soa {
            sealer.record(RecordType::SOA, ttl.min(soa_field(rdata, 4)), rdata);
        }
        let len = sealer.octets().len();
        let mut octets = sealer.octets().to_vec();
        octets.resize(len.max(RUN_OCTETS), 0);
        NegativeSoa {
            octets: octets.into(),
            len,
            pointers: sealer.pointers().iter().flat_map(|at| at.to_be_bytes()).collect(),
        }
    }
}

/// The buffers that sealing re-uses from node to node.
struct Work<'d> {
    draft: &'d ZoneDraft,
    occluders: &'d [u8],
    /// In blocks each node is followed by a ledger, which knows how many names stand below.
    children: Vec<u32>,
    origin: Name,
    writer: SetWriter,
    ledger: Encoder,
    owner: Vec<u8>,
    records: Vec<DraftRecord<'d>>,
    nodes: Vec<u8>,
    slots: Slots,
}

impl<'d> Work<'d> {
    fn new(draft: &'d ZoneDraft, occluders: &'d [u8]) -> Work<'d> {
        let origin = draft.origin().to_lowercase();
        Work {
            draft,
            occluders,
            children: Vec::new(),
            writer: SetWriter::new(&origin, draft.seed()),
            ledger: Encoder::default(),
            origin,
            owner: Vec::new(),
            records: Vec::new(),
            nodes: Vec::new(),
            slots: Slots::default(),
        }
    }

    fn shard(
        &mut self,
        numbers: &[u32],
        signing: Option<&mut Signing>,
        octets: &mut Vec<u8>,
        faults: &mut Faults,
    ) -> Option<ShardAt> {
        self.nodes.clear();
        self.slots.begin();
        // The draft's nodes lie in the order they came: the waits for a shard's overlap.
        numbers.iter().for_each(|number| self.draft.prefetch_node(*number));
        numbers.iter().for_each(|number| self.draft.prefetch_content(*number));
        for &number in numbers {
            let at = self.nodes.len() as u32;
            self.slots.place(self.draft.nodes[number as usize].hash, at);
            self.node(number as usize, faults);
        }
        let homes = u16::try_from(numbers.len() * SLOTS_PER_NODE).ok()?;
        let probe_max = self.slots.fill(homes)?;
        if self.slots.octets_len() + self.nodes.len() > SHARD_OCTETS_MAX {
            return None;
        }
        let at = u32::try_from(octets.len() / 4).ok()?;
        self.slots.write(octets);
        if let Some(signing) = signing {
            let first = u32::try_from(octets.len() / 4).ok()?;
            let distances = self.slots.distances();
            numbers.iter().zip(distances).for_each(|(number, at)| signing.put(*number, Spot(first + at / 4)));
        }
        octets.extend_from_slice(&self.nodes);
        Some(ShardAt { at, slots: homes, probe_max })
    }

    /// Writes the nodes that no look-up is to find.
    fn hidden(&mut self, signing: &mut Signing, octets: &mut Vec<u8>, faults: &mut Faults) {
        for number in signing.hidden().to_vec() {
            let Ok(at) = u32::try_from(octets.len() / 4) else {
                return faults.error(self.draft.place_of_zone(), "the zone is larger than 16 GiB");
            };
            signing.put(number, Spot(at));
            self.nodes.clear();
            self.node(number as usize, faults);
            octets.extend_from_slice(&self.nodes);
        }
    }

    fn node(&mut self, number: usize, faults: &mut Faults) {
        let draft = self.draft;
        let node = &draft.nodes[number];
        let key = draft.key(node);
        self.owner.clear();
        self.owner.extend_from_slice(key);
        self.owner.extend_from_slice(self.origin.as_wire());

        let mut records = std::mem::take(&mut self.records);
        records.clear();
        records.extend(draft.records(node));
        records.sort_by_key(|record| (record.rtype, covered(record)));
        self.check_node(&records, faults);

        let head = self.nodes.len();
        self.nodes.extend_from_slice(&[node.key_len, node.flags, 0, self.occluders[number]]);
        self.nodes.extend_from_slice(key);
        if let Some(cased) = draft.cased_key(node) {
            self.nodes.extend_from_slice(cased);
        }
        self.pad();
        let mut rrsets = 0usize;
        for set in records.chunk_by(|a, b| a.rtype == b.rtype) {
            self.rrset(set, node, faults);
            rrsets += 1;
        }
        match u8::try_from(rrsets) {
            Ok(count) => self.nodes[head + 2] = count,
            Err(_) => faults.error(draft.place(records[0].at), "more than 255 types at one name"),
        }
        if let Some(children) = self.children.get(number) {
            self.ledger.begin(*children);
            self.ledger.end(&mut self.nodes);
            self.pad();
        }
        debug_assert_eq!((self.nodes.len() - head) % 4, 0);
        self.records = records;
        const _: () = assert!(NODE_HEAD == 4);
    }

    fn pad(&mut self) {
        self.nodes.resize(aligned(self.nodes.len()), 0);
    }

    fn rrset(&mut self, set: &[DraftRecord<'d>], node: &DraftNode, faults: &mut Faults) {
        let (rtype, ttl) = (set[0].rtype, set[0].ttl);
        // Each has the TTL of the set that it covers (RFC 4034 §3).
        let is_signature = rtype == RecordType::RRSIG;
        self.writer.begin(&self.owner, node.flags & node_flags::CUT != 0);
        let mut seen = HashSet::new();
        for (i, record) in set.iter().enumerate() {
            // Equal records are one (RFC 2181 §5), whatever the case of their names.
            let is_known = match set.len() {
                1 => false,
                // Comparing a few with each other costs less than hashing them.
                2..=SMALL_SET => set[..i].iter().any(|other| is_same(other, record)),
                _ => !seen.insert(canonical(record)),
            };
            if is_known {
                continue;
            }
            if is_signature {
                self.writer.record(rtype, record.ttl, record.rdata);
                continue;
            }
            if record.ttl != ttl {
                faults.warning(
                    self.draft.place(record.at),
                    format!(
                        "the TTL differs within the set of {} {rtype}: {ttl} is used (RFC 2181 §5.2)",
                        self.shown()
                    ),
                );
            }
            self.writer.record(rtype, ttl, record.rdata);
        }
        if !self.writer.end(rtype, None, &mut self.nodes) {
            faults.error(
                self.draft.place(set[0].at),
                format!("the set of {} {rtype} does not fit in a message of 65535 octets", self.shown()),
            );
        }
    }

    fn check_node(&self, records: &[DraftRecord<'d>], faults: &mut Faults) {
        let of = |rtype: RecordType| records.iter().filter(move |record| record.rtype == rtype);
        for (rtype, what) in [(RecordType::CNAME, "CNAME"), (RecordType::DNAME, "DNAME")] {
            let mut set = of(rtype);
            if let Some(first) = set.next()
                && let Some(second) = set.find(|other| canonical(other) != canonical(first))
            {
                faults.error(self.draft.place(second.at), format!("a second {what} at {}", self.shown()));
            }
        }
        if of(RecordType::CNAME).next().is_some()
            && let Some(other) = records.iter().find(|record| !beside_cname(record.rtype))
        {
            faults.error(
                self.draft.place(other.at),
                format!(
                    "{} at {}, which has a CNAME: an alias has no other data (RFC 1034 §3.6.2)",
                    other.rtype,
                    self.shown()
                ),
            );
        }
    }

    fn shown(&self) -> Name {
        Name::from_wire(&self.owner).unwrap_or(Name::ROOT)
    }
}

/// Types that may stand beside a CNAME: DNSSEC's own (RFC 4035 §2.5, RFC 2181 §10.1, RFC 3007 §3.1.1).
pub(crate) fn beside_cname(rtype: RecordType) -> bool {
    matches!(
        rtype,
        RecordType::CNAME
            | RecordType::RRSIG
            | RecordType::NSEC
            | RecordType::NSEC3
            | RecordType::SIG
            | RecordType::KEY
            | RecordType::NXT
    )
}
