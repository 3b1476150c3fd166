//! One name of a zone taken out of its block, changed, and made into a node again.

use crate::wire::key::HashSeed;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::Zone;
use crate::zone::amend::{Misfit, wrong};
use crate::zone::live::edit::Count;
use crate::zone::live::ledger::{Encoder, Reader};
use crate::zone::live::patch::Sealed;
use crate::zone::plain::Unsealer;
use crate::zone::rdata::canonicalize;
use crate::zone::seal::beside_cname;
use crate::zone::set::SetWriter;
use crate::zone::sink::Record;
use crate::zone::store::{NODE_HEAD, Node, aligned, node_flags};

/// A record of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its type.
    pub rtype: RecordType,
    /// In seconds.
    pub ttl: u32,
    /// In wire form, nothing compressed.
    pub rdata: Box<[u8]>,
}

/// What a name has.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    /// By rising type, those of a set in its order; `None`: those of its node, which nobody wanted to know yet.
    pub(super) records: Option<Vec<Kept>>,
    /// Its sets as they were sealed, and how many; `None`: those of its node.
    sets: Option<(Box<[u8]>, u8)>,
    /// The records changed since the sets were sealed.
    is_unsealed: bool,
}

/// A name taken out.
pub(super) struct Edit<'z> {
    pub(super) hash: u64,
    /// As it lies in the old version.
    pub(super) node: Option<Node<'z>>,
    pub(super) content: Content,
    /// Its key as it is written.
    pub(super) cased: Box<[u8]>,
    /// Names directly below it, below the apex.
    pub(super) children: u32,
    pub(super) has_wildcard: bool,
}

/// How a name hides what is below it; both at once is a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hiding {
    Cut,
    Dname,
}

impl Hiding {
    /// How a node does.
    pub(super) fn of(node: &Node<'_>) -> Option<Hiding> {
        match () {
            () if node.has(node_flags::CUT) => Some(Hiding::Cut),
            () if node.has(node_flags::DNAME) => Some(Hiding::Dname),
            () => None,
        }
    }
}

impl<'z> Edit<'z> {
    /// The name of that key, as it lies in the old version or new, and then so written.
    pub(super) fn load(old: &'z Zone, key: &[u8], cased: &[u8]) -> Edit<'z> {
        let hash = old.hash_of(key);
        let node = old.find(hash, key);
        // Behind the octets that make the node.
        let children = node.map_or(0, |node| Reader::new(node.split().1).0.children());
        Edit {
            hash,
            content: Content::default(),
            cased: node.map_or(cased, |node| node.cased_key()).into(),
            children,
            has_wildcard: node.is_some_and(|node| node.has(node_flags::WILDCARD_CHILD)),
            node,
        }
    }

    /// Its records.
    pub(super) fn records(&mut self, old: &Zone) -> &mut Vec<Kept> {
        let node = self.node;
        self.content.records.get_or_insert_with(|| {
            let mut records = Vec::new();
            let mut unsealer = Unsealer::default();
            for (node, set) in node.iter().flat_map(|node| node.rrsets().map(move |set| (node, set))) {
                unsealer.each(old, node, &set, |record| records.push(Kept::of(record)));
            }
            records
        })
    }

    /// True if the name exists.
    pub(super) fn exists(&self) -> bool {
        let has_records = match &self.content.records {
            Some(records) => !records.is_empty(),
            None => self.node.is_some_and(|node| !node.is_empty()),
        };
        has_records || self.children > 0
    }

    /// True if the name has a record of that type.
    pub(super) fn has(&self, rtype: RecordType) -> bool {
        match &self.content.records {
            Some(records) => records.iter().any(|record| record.rtype == rtype),
            None => self.node.is_some_and(|node| node.rrset(rtype).is_some()),
        }
    }

    /// How the name hides what is below it.
    pub(super) fn hiding(&self, is_apex: bool) -> Option<Hiding> {
        match () {
            () if !is_apex && self.has(RecordType::NS) => Some(Hiding::Cut),
            () if self.has(RecordType::DNAME) => Some(Hiding::Dname),
            () => None,
        }
    }

    /// A record goes, whatever its TTL.
    pub(super) fn remove(&mut self, old: &Zone, record: &Record<'_>) -> Result<(), Misfit> {
        let records = self.records(old);
        let Some(at) = records.iter().position(|known| known.is(record)) else {
            return Err(wrong(record.owner, format!("a record {} goes, but is not there", record.rtype)));
        };
        records.remove(at);
        self.content.is_unsealed = true;
        Ok(())
    }

    /// A record comes.
    pub(super) fn add(&mut self, old: &Zone, record: &Record<'_>) -> Result<(), Misfit> {
        let records = self.records(old);
        if records.iter().any(|known| known.is(record)) {
            return Err(wrong(
                record.owner,
                format!("a record {} comes, but is there already", record.rtype),
            ));
        }
        let at = records.partition_point(|known| known.rtype <= record.rtype);
        records.insert(at, Kept::of(record));
        self.content.is_unsealed = true;
        Ok(())
    }
}

impl Kept {
    fn of(record: &Record<'_>) -> Kept {
        Kept { rtype: record.rtype, ttl: record.ttl, rdata: record.rdata.into() }
    }

    /// True for the same record: the case of names and the TTL do not count (RFC 2181 §5, RFC 4034 §6.2).
    pub fn is(&self, record: &Record<'_>) -> bool {
        self.rtype == record.rtype
            && (*self.rdata == *record.rdata
                || (self.rdata.eq_ignore_ascii_case(record.rdata)
                    && canonical(self.rtype, &self.rdata) == canonical(record.rtype, record.rdata)))
    }
}

fn canonical(rtype: RecordType, rdata: &[u8]) -> Vec<u8> {
    let mut rdata = rdata.to_vec();
    canonicalize(rtype, &mut rdata);
    rdata
}

/// Makes nodes of edits, re-using its buffers.
pub(super) struct NodeWriter {
    /// Lower-cased.
    origin: Name,
    sets: SetWriter,
    ledger: Encoder,
    owner: Vec<u8>,
}

impl NodeWriter {
    /// For a zone of that lower-cased apex.
    pub(super) fn new(origin: &Name, seed: HashSeed) -> NodeWriter {
        NodeWriter {
            origin: origin.clone(),
            sets: SetWriter::new(origin, seed),
            ledger: Encoder::default(),
            owner: Vec::new(),
        }
    }

    /// Judges what a name has, and seals its sets.
    pub(super) fn seal(&mut self, key: &[u8], content: &mut Content) -> Result<(), Misfit> {
        let Some(records) = content.records.as_mut().filter(|_| content.is_unsealed) else { return Ok(()) };
        self.owner.clear();
        self.owner.extend_from_slice(key);
        self.owner.extend_from_slice(self.origin.as_wire());
        judge(&self.owner, key.is_empty(), records)?;
        let is_cut = !key.is_empty() && records.iter().any(|record| record.rtype == RecordType::NS);
        let (mut octets, mut count) = (Vec::new(), 0);
        for set in records.chunk_by(|a, b| a.rtype == b.rtype) {
            let (rtype, ttl) = (set[0].rtype, set[0].ttl);
            self.sets.begin(&self.owner, is_cut);
            // One TTL for a set (RFC 2181 §5.2): that of its oldest record.
            set.iter().for_each(|record| self.sets.record(rtype, ttl, &record.rdata));
            if !self.sets.end(rtype, None, &mut octets) {
                return Err(wrong(&self.owner, format!("the set of {rtype} does not fit in a message")));
            }
            count += 1;
        }
        let Ok(count) = u8::try_from(count) else {
            return Err(wrong(&self.owner, format!("more than {} types", u8::MAX)));
        };
        content.sets = Some((octets.into(), count));
        content.is_unsealed = false;
        Ok(())
    }

    /// The node of a name, which lies so deep below what hides it; without octets if the name does not exist.
    pub(super) fn node(&mut self, key: &[u8], edit: &Edit<'_>, occluder: Option<(u8, Hiding)>) -> Sealed {
        let mut out = Vec::new();
        if edit.exists() || key.is_empty() {
            let flags = self.flags(key, edit, occluder);
            let (sets, count) = match (&edit.content.sets, &edit.node) {
                (Some((sets, count)), _) => (&**sets, *count),
                (None, Some(node)) => node.sets(),
                (None, None) => (&[][..], 0),
            };
            let depth = occluder.map_or(0, |(depth, _)| depth);
            out.extend_from_slice(&[key.len() as u8, flags, count, depth]);
            const _: () = assert!(NODE_HEAD == 4);
            out.extend_from_slice(key);
            if flags & node_flags::CASED != 0 {
                out.extend_from_slice(&edit.cased);
            }
            out.resize(aligned(out.len()), 0);
            out.extend_from_slice(sets);
            self.ledger.begin(edit.children);
            self.ledger.end(&mut out);
            out.resize(aligned(out.len()), 0);
        }
        let counts = (Count::default(), Count::default());
        let is_visible = (edit.node.is_some(), !out.is_empty());
        Sealed { hash: edit.hash, key: key.into(), octets: out, is_ghost: false, counts, is_visible }
    }

    fn flags(&self, key: &[u8], edit: &Edit<'_>, occluder: Option<(u8, Hiding)>) -> u8 {
        let mut flags = 0;
        let mut set = |flag, is_set| flags |= if is_set { flag } else { 0 };
        set(node_flags::CUT, !key.is_empty() && edit.has(RecordType::NS));
        set(node_flags::DNAME, edit.has(RecordType::DNAME));
        set(node_flags::CNAME, edit.has(RecordType::CNAME));
        set(node_flags::WILDCARD_CHILD, edit.has_wildcard);
        set(node_flags::CASED, *edit.cased != *key);
        set(node_flags::OCCLUDED, occluder.is_some());
        set(node_flags::BELOW_DNAME, matches!(occluder, Some((_, Hiding::Dname))));
        flags
    }
}

/// What may stand together at one name: as sealing judges it.
fn judge(owner: &[u8], is_apex: bool, records: &[Kept]) -> Result<(), Misfit> {
    let count = |rtype| records.iter().filter(|record| record.rtype == rtype).count();
    match (count(RecordType::SOA), is_apex) {
        (0, false) | (1, true) => {}
        (0, true) => return Err(wrong(owner, "a zone has a SOA")),
        (_, true) => return Err(wrong(owner, "a zone has one SOA")),
        (_, false) => return Err(wrong(owner, "SOA belongs at the apex only")),
    }
    for (rtype, what) in [(RecordType::CNAME, "CNAME"), (RecordType::DNAME, "DNAME")] {
        if count(rtype) > 1 {
            return Err(wrong(owner, format!("a second {what}")));
        }
    }
    let other = records.iter().find(|record| !beside_cname(record.rtype));
    match other {
        Some(other) if count(RecordType::CNAME) > 0 => {
            Err(wrong(owner, format!("{} beside a CNAME (RFC 1034 §3.6.2)", other.rtype)))
        }
        _ => Ok(()),
    }
}
