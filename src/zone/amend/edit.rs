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

/// A name taken out.
pub(super) struct Edit<'z> {
    pub(super) hash: u64,
    /// Lower-cased, relative to the apex.
    pub(super) key: Box<[u8]>,
    /// As it lies in the old version.
    pub(super) node: Option<Node<'z>>,
    /// By rising type, those of a set in its order; `None`: those of its node, which nobody wanted to know yet.
    pub(super) records: Option<Vec<Kept>>,
    /// The records are not those of its node any more.
    pub(super) is_changed: bool,
    /// Its key as it is written, where that is otherwise.
    cased: Option<Box<[u8]>>,
    /// Names directly below it, below the apex.
    pub(super) children: u32,
    pub(super) has_wildcard: bool,
}

/// What was done to the records of a name, to be undone.
pub(super) enum Done {
    /// The record that stood there went.
    Gone(usize, Kept),
    /// One came there.
    Come(usize),
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
    /// The name of that hash and key, as it lies in the old version or new, and then so written.
    pub(super) fn load(old: &'z Zone, hash: u64, key: &[u8], cased: &[u8]) -> Edit<'z> {
        let node = old.node_at_hash(hash, key);
        // Behind the octets that make the node.
        let children = node.map_or(0, |node| Reader::new(node.split().1).0.children());
        let cased = node.map_or(cased, |node| node.cased_key());
        Edit {
            hash,
            key: key.into(),
            records: None,
            is_changed: false,
            cased: (cased != key).then(|| cased.into()),
            children,
            has_wildcard: node.is_some_and(|node| node.has(node_flags::WILDCARD_CHILD)),
            node,
        }
    }

    /// Its key as it is written.
    pub(super) fn cased(&self) -> &[u8] {
        self.cased.as_deref().unwrap_or(&self.key)
    }

    /// True for the apex.
    pub(super) fn is_apex(&self) -> bool {
        self.key.is_empty()
    }

    /// Its records.
    pub(super) fn records(&mut self, old: &Zone, unsealer: &mut Unsealer) -> &mut Vec<Kept> {
        let node = self.node;
        self.records.get_or_insert_with(|| {
            let mut records = Vec::new();
            for (node, set) in node.iter().flat_map(|node| node.rrsets().map(move |set| (node, set))) {
                unsealer.each(old, node, &set, |record| records.push(Kept::of(record)));
            }
            records
        })
    }

    /// True if the name exists.
    pub(super) fn exists(&self) -> bool {
        let has_records = match &self.records {
            Some(records) => !records.is_empty(),
            None => self.node.is_some_and(|node| !node.is_empty()),
        };
        has_records || self.children > 0
    }

    /// True if the name has a record of that type.
    pub(super) fn has(&self, rtype: RecordType) -> bool {
        match &self.records {
            Some(records) => records.iter().any(|record| record.rtype == rtype),
            None => self.node.is_some_and(|node| node.rrset(rtype).is_some()),
        }
    }

    /// How the name hides what is below it.
    pub(super) fn hiding(&self) -> Option<Hiding> {
        match () {
            () if !self.is_apex() && self.has(RecordType::NS) => Some(Hiding::Cut),
            () if self.has(RecordType::DNAME) => Some(Hiding::Dname),
            () => None,
        }
    }

    /// Undoes what was done last, after which the records were as they are.
    pub(super) fn undo(&mut self, done: Done) {
        let Some(records) = &mut self.records else { return };
        match done {
            Done::Gone(at, record) => records.insert(at, record),
            Done::Come(at) => _ = records.remove(at),
        }
    }
}

/// A record goes, whatever its TTL.
pub(super) fn remove(records: &mut Vec<Kept>, record: &Record<'_>) -> Result<Done, Misfit> {
    match records.iter().position(|known| known.is(record)) {
        Some(at) => Ok(Done::Gone(at, records.remove(at))),
        None => Err(wrong(record.owner, format!("a record {} goes, but is not there", record.rtype))),
    }
}

/// A record comes.
pub(super) fn add(records: &mut Vec<Kept>, record: &Record<'_>) -> Result<Done, Misfit> {
    if records.iter().any(|known| known.is(record)) {
        return Err(wrong(record.owner, format!("a record {} comes, but is there already", record.rtype)));
    }
    let at = records.partition_point(|known| known.rtype <= record.rtype);
    records.insert(at, Kept::of(record));
    Ok(Done::Come(at))
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

/// Octets for which a node has room beyond what it had: a record more, where that is an address.
const NODE_ROOM: usize = 64;
/// Where the count of its sets stands in a node.
const NODE_COUNT_AT: usize = 2;

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

    /// Holds what a name has now against what may stand together, and against the room for it. What is let through here
    /// can be sealed, which is done once, however often the name changes before.
    pub(super) fn judge(&mut self, edit: &Edit<'_>) -> Result<(), Misfit> {
        let Some(records) = edit.records.as_ref().filter(|_| edit.is_changed) else { return Ok(()) };
        self.begin(&edit.key);
        judge(&self.owner, edit.is_apex(), records)?;
        let sets = || records.chunk_by(|a, b| a.rtype == b.rtype);
        if sets().count() > usize::from(u8::MAX) {
            return Err(wrong(&self.owner, format!("more than {} types", u8::MAX)));
        }
        for set in sets() {
            let rdatas = set.iter().map(|record| record.rdata.len());
            if !SetWriter::surely_fits(self.owner.len(), rdatas) && !self.seal(edit, set, &mut Vec::new()) {
                let rtype = set[0].rtype;
                return Err(wrong(&self.owner, format!("the set of {rtype} does not fit in a message")));
            }
        }
        Ok(())
    }

    /// What follows is of the name of that key.
    fn begin(&mut self, key: &[u8]) {
        self.owner.clear();
        self.owner.extend_from_slice(key);
        self.owner.extend_from_slice(self.origin.as_wire());
    }

    /// Seals a set of the name that was begun; false, and nothing written, if it does not fit in a message.
    fn seal(&mut self, edit: &Edit<'_>, set: &[Kept], out: &mut Vec<u8>) -> bool {
        let Some(first) = set.first() else { return true };
        self.sets.begin(&self.owner, edit.hiding() == Some(Hiding::Cut));
        // One TTL for a set (RFC 2181 §5.2): that of its oldest record.
        set.iter().for_each(|record| self.sets.record(first.rtype, first.ttl, &record.rdata));
        self.sets.end(first.rtype, None, out)
    }

    /// The node of a name, which lies so deep below what hides it; without octets if the name does not exist. `None` if
    /// what it has cannot be sealed.
    pub(super) fn node(&mut self, edit: &Edit<'_>, occluder: Option<(u8, Hiding)>) -> Option<Sealed> {
        let mut out = Vec::new();
        if edit.exists() || edit.is_apex() {
            let flags = self.flags(edit, occluder);
            let depth = occluder.map_or(0, |(depth, _)| depth);
            // As it was, and a little more.
            out.reserve(edit.node.map_or(0, |node| node.split().0.len()) + NODE_ROOM);
            out.extend_from_slice(&[edit.key.len() as u8, flags, 0, depth]);
            const _: () = assert!(NODE_HEAD == 4);
            out.extend_from_slice(&edit.key);
            if flags & node_flags::CASED != 0 {
                out.extend_from_slice(edit.cased());
            }
            out.resize(aligned(out.len()), 0);
            let count = match (edit.records.as_ref().filter(|_| edit.is_changed), &edit.node) {
                (Some(records), _) => {
                    self.begin(&edit.key);
                    let mut count = 0usize;
                    for set in records.chunk_by(|a, b| a.rtype == b.rtype) {
                        if !self.seal(edit, set, &mut out) {
                            return None;
                        }
                        count += 1;
                    }
                    u8::try_from(count).ok()?
                }
                (None, Some(node)) => {
                    let (sets, count) = node.sets();
                    out.extend_from_slice(sets);
                    count
                }
                (None, None) => 0,
            };
            *out.get_mut(NODE_COUNT_AT)? = count;
            self.ledger.begin(edit.children);
            self.ledger.end(&mut out);
            out.resize(aligned(out.len()), 0);
        }
        let counts = (Count::default(), Count::default());
        let is_visible = (edit.node.is_some(), !out.is_empty());
        let key = edit.key.clone();
        Some(Sealed { hash: edit.hash, key, octets: out, is_ghost: false, counts, is_visible })
    }

    fn flags(&self, edit: &Edit<'_>, occluder: Option<(u8, Hiding)>) -> u8 {
        let mut flags = 0;
        let mut set = |flag, is_set| flags |= if is_set { flag } else { 0 };
        set(node_flags::CUT, !edit.is_apex() && edit.has(RecordType::NS));
        set(node_flags::DNAME, edit.has(RecordType::DNAME));
        set(node_flags::CNAME, edit.has(RecordType::CNAME));
        set(node_flags::WILDCARD_CHILD, edit.has_wildcard);
        set(node_flags::CASED, edit.cased.is_some());
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
