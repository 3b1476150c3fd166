//! One name of a live zone taken out of its block, changed, and made into a node again.

use crate::base::time::Moment;
use crate::wire::key::HashSeed;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::live::choice::{Choice, Choices, terms};
use crate::zone::live::directory::Directory;
use crate::zone::live::ledger::{self, Encoder, Said, SourceNumber};
use crate::zone::live::writer::Sources;
use crate::zone::set::SetWriter;
use crate::zone::store::{NODE_HEAD, aligned, node_flags};
use crate::zone::view;

/// Records that one name may hold, of all sources, served or not: a service has some thousands of tasks; the
/// whole name is written anew with each change.
pub const NAME_RECORDS_MAX: usize = 16_384;
/// Sets that a node can count.
const SETS_MAX: usize = 255;

/// A name taken out.
#[derive(Debug, Default)]
pub(crate) struct Edit {
    pub(crate) hash: u64,
    /// Everything that is said at it.
    pub(crate) said: Vec<Said>,
    /// Names directly below it.
    pub(crate) children: u32,
    /// A `*` is among them.
    pub(crate) has_wildcard: bool,
    /// Its node was visible when it was taken out.
    pub(crate) was_visible: bool,
    /// Served records, cuts and DNAMEs that it had then.
    pub(crate) had: Count,
}

/// What a node adds to its zone's sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Served records.
    pub(crate) records: usize,
    /// 1 if it hides what is below it.
    pub(crate) cuts: usize,
    /// 1 if it lies in a block, a ghost too.
    pub(crate) nodes: usize,
}

impl Count {
    /// One node's part of a sum changes.
    pub(crate) fn change(&mut self, from: Count, to: Count) {
        self.records = self.records + to.records - from.records;
        self.cuts = self.cuts + to.cuts - from.cuts;
        self.nodes = self.nodes + to.nodes - from.nodes;
    }
}

impl Edit {
    /// The name of that key, as it lies in the directory or new.
    pub(crate) fn load(
        directory: &Directory,
        hash: u64,
        key: &[u8],
        owner: &[u8],
        origin_len: usize,
    ) -> Edit {
        let mut edit = Edit { hash, ..Edit::default() };
        let Some(block) = directory.block(hash) else { return edit };
        let Some(lying) = block.find(hash, key, origin_len) else { return edit };
        let mut said = Vec::new();
        let mut records = 0;
        edit.children = ledger::read(&lying.node, lying.ledger, owner, |record, is_served| {
            said.push(record);
            records += usize::from(is_served);
        });
        edit.said = said;
        edit.has_wildcard = lying.node.has(node_flags::WILDCARD_CHILD);
        edit.was_visible = !lying.is_ghost;
        edit.had = Count {
            records,
            cuts: usize::from(lying.node.has(node_flags::CUT | node_flags::DNAME)),
            nodes: 1,
        };
        edit
    }

    /// What a source says of a type is replaced; by how many records it says more.
    pub(crate) fn put(
        &mut self,
        source: SourceNumber,
        rtype: RecordType,
        ttl: u32,
        rdatas: impl IntoIterator<Item = Box<[u8]>>,
    ) -> Replaced {
        let before = self.said.len();
        self.said.retain(|said| said.source != source || said.rtype != rtype);
        let gone = before - self.said.len();
        let start = self.said.len();
        let mut refused = 0;
        for rdata in rdatas {
            if self.said.len() >= NAME_RECORDS_MAX {
                refused += 1;
            } else {
                self.said.push(Said { source, rtype, ttl, rdata });
            }
        }
        Replaced { gone, come: self.said.len() - start, refused }
    }
}

/// What became of the records of a source at a name.
pub(crate) struct Replaced {
    pub(crate) gone: usize,
    pub(crate) come: usize,
    /// Did not fit any more.
    pub(crate) refused: usize,
}

/// Makes nodes of edits, re-using its buffers.
pub(crate) struct NodeWriter {
    origin: Name,
    sets: SetWriter,
    ledger: Encoder,
    choices: Choices,
    owner: Vec<u8>,
    is_served: Vec<bool>,
}

/// A node as it was written.
#[derive(Debug)]
pub(crate) enum Written {
    /// The name exists; what it adds to the sums.
    Visible(Count),
    /// Records are kept, but the name does not exist.
    Ghost,
    /// Nothing is left of it.
    Nothing,
}

impl NodeWriter {
    /// For a zone of that lower-cased apex.
    pub(crate) fn new(origin: &Name, seed: HashSeed) -> NodeWriter {
        NodeWriter {
            origin: origin.clone(),
            sets: SetWriter::new(origin, seed),
            ledger: Encoder::default(),
            choices: Choices::default(),
            owner: Vec::new(),
            is_served: Vec::new(),
        }
    }

    /// Decides what is served at a name and writes its node and ledger to `out`, which is empty.
    pub(crate) fn write(
        &mut self,
        key: &[u8],
        edit: &mut Edit,
        standings: &mut dyn Sources,
        out: &mut Vec<u8>,
    ) -> Written {
        // What is said in another order is the same.
        edit.said.sort_by(|a, b| (a.rtype, a.source, &a.rdata).cmp(&(b.rtype, b.source, &b.rdata)));
        let edit = &*edit;
        let is_apex = key.is_empty();
        self.choices.choose(&edit.said, is_apex, standings);
        self.owner.clear();
        self.owner.extend_from_slice(key);
        self.owner.extend_from_slice(self.origin.as_wire());
        self.is_served.clear();
        self.is_served.resize(edit.said.len(), false);
        self.ledger.begin(edit.children);

        let has = |rtype| self.choices.records.iter().any(|choice| edit.said[choice.said].rtype == rtype);
        let is_cut = !is_apex && has(RecordType::NS);
        let is_dname = has(RecordType::DNAME);
        let mut flags = 0;
        flags |= if is_cut { node_flags::CUT } else { 0 };
        flags |= if is_dname { node_flags::DNAME } else { 0 };
        flags |= if has(RecordType::CNAME) { node_flags::CNAME } else { 0 };
        flags |= if edit.has_wildcard { node_flags::WILDCARD_CHILD } else { 0 };
        let is_viewed = |choice: &Choice| edit.said[choice.said].rtype.is_viewed();
        flags |= if self.choices.records.iter().any(is_viewed) { node_flags::VIEWED } else { 0 };

        out.extend_from_slice(&[key.len() as u8, flags, 0, 0]);
        const _: () = assert!(NODE_HEAD == 4);
        out.extend_from_slice(key);
        out.resize(aligned(out.len()), 0);
        let (mut sets, mut records) = (0usize, 0usize);
        for set in self.choices.records.chunk_by(|a, b| edit.said[a.said].rtype == edit.said[b.said].rtype) {
            if sets == SETS_MAX {
                break;
            }
            let terms = terms(set);
            let rtype = edit.said[set[0].said].rtype;
            self.sets.begin(&self.owner, is_cut && rtype == RecordType::NS);
            let mut taken = 0;
            // Records beyond what a message holds stay unserved.
            for choice in set {
                let said = &edit.said[choice.said];
                if !self.sets.has_room(said.rdata.len()) {
                    break;
                }
                if choice.lost && rtype.is_viewed() {
                    let mut rdata = said.rdata.clone();
                    view::set_lost(&mut rdata, true);
                    self.sets.record(rtype, terms.ttl, &rdata);
                } else {
                    self.sets.record(rtype, terms.ttl, &said.rdata);
                }
                taken += 1;
            }
            let deadline = (terms.until != Moment::NEVER).then_some(terms.until);
            if taken == 0 || !self.sets.end(rtype, deadline, out) {
                continue;
            }
            for choice in &set[..taken] {
                self.ledger.teller(&edit.said[choice.said], terms.ttl);
                self.is_served[choice.said] = true;
            }
            sets += 1;
            records += taken;
        }
        out[2] = sets as u8;
        for (said, is_served) in edit.said.iter().zip(&self.is_served) {
            if !is_served {
                self.ledger.unserved(said);
            }
        }
        self.ledger.end(out);
        out.resize(aligned(out.len()), 0);
        match (is_apex || sets > 0 || edit.children > 0, edit.said.is_empty()) {
            (true, _) => Written::Visible(Count { records, cuts: usize::from(is_cut || is_dname), nodes: 1 }),
            (false, false) => Written::Ghost,
            (false, true) => {
                out.clear();
                Written::Nothing
            }
        }
    }
}
