//! The one who changes a live zone: from what sources say to the next version of its blocks, in steps of bounded
//! length.
//!
//! ```text
//! Load     changes from the queue, and the names at which swept sources say something, become edits
//! Resolve  edits, the deepest first: what is served? A name that appears or vanishes edits its parent
//! Build    each block that holds an edited name, once
//! ```
//!
//! **The law of use: [`LiveWriter::zone`] is for when [`LiveWriter::step`] has said [`Progress::Whole`] or
//! [`Progress::Idle`]; in between a name may stand without its parent.**

use crate::wire::key::{HashSeed, NameKey};
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::Zone;
use crate::zone::live::choice::Standing;
use crate::zone::live::directory::Directory;
use crate::zone::live::edit::{Count, Edit, NodeWriter, Written};
use crate::zone::live::ledger::{self, Reader, SourceNumber};
use crate::zone::live::patch::{Patcher, Replacing, Sealed};
use crate::zone::live::sweep::{Places, Sweep};
use crate::zone::seal::{NegativeSoa, soa_field};
use crate::zone::store::{Blocks, Store, node_in};
use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

/// Changes from the queue that are made in one go. Each touched block is made once for all of them, so that more
/// is cheaper; fewer are published sooner.
const BATCH_CHANGES_MAX: usize = 32_768;
/// Edits of one go beyond which a sweep waits until they are made.
const BATCH_SWEPT_MAX: usize = 4_096;
/// What making a block costs, in edits.
const COST_BLOCK: usize = 4;
/// What looking through a block costs, in edits.
const COST_SCAN: usize = 2;

/// Who knows the sources.
pub trait Sources {
    /// How a record of that TTL stands that this source says.
    fn standing(&mut self, source: SourceNumber, ttl: u32) -> Standing;

    /// A source says so many records of a type less and so many more.
    fn counted(&mut self, source: SourceNumber, rtype: RecordType, gone: usize, come: usize);
}

/// What a source now says of a name and a type.
#[derive(Debug)]
struct Change {
    key: Box<[u8]>,
    source: SourceNumber,
    rtype: RecordType,
    ttl: u32,
    rdatas: Vec<Box<[u8]>>,
}

/// How far the work has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing is left to do.
    Idle,
    /// There is more to do, but all blocks fit together.
    Whole,
    /// There is more to do before the blocks fit together again.
    Within,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Load,
    /// Names of so many labels below the apex.
    Resolve(usize),
    /// So many of the written nodes are in their blocks.
    Build(usize),
}

/// See the module.
pub struct LiveWriter {
    origin: Name,
    origin_labels: usize,
    seed: HashSeed,
    patcher: Patcher,
    writer: NodeWriter,
    /// Bounded by whoever hands changes in, who asks [`LiveWriter::queued`] and has them worked on.
    queue: VecDeque<Change>,
    /// At most [`BATCH_CHANGES_MAX`], as many as one block more of a sweep has, and their ancestors.
    edits: HashMap<Box<[u8]>, Edit>,
    /// The keys of edits by depth below the apex; at most as many levels as a name has labels.
    levels: Vec<Vec<Box<[u8]>>>,
    sealed: Vec<Sealed>,
    phase: Phase,
    /// Some edits are changes from the queue.
    has_changes: bool,
    sweep: Option<Sweep>,
    places: Places,
    /// Which of the written nodes are in no block, because it could not be made.
    failed: Vec<Range<usize>>,
    /// Sources to sweep for next.
    wanted: HashSet<SourceNumber>,
    sum: Count,
    refused: u64,
    /// Changes taken from the queue so far ...
    taken: u64,
    /// ... and how many of them are in their blocks.
    done: u64,
    is_changed: bool,
    key: NameKey,
}

impl LiveWriter {
    /// A zone without records.
    pub fn new(origin: &Name, seed: HashSeed) -> LiveWriter {
        let key = origin.to_lowercase();
        LiveWriter {
            origin: origin.clone(),
            origin_labels: origin.label_count(),
            seed,
            patcher: Patcher::new(&key, seed),
            writer: NodeWriter::new(&key, seed),
            queue: VecDeque::new(),
            edits: HashMap::new(),
            levels: Vec::new(),
            sealed: Vec::new(),
            phase: Phase::Load,
            has_changes: false,
            sweep: None,
            places: Places::default(),
            failed: Vec::new(),
            wanted: HashSet::new(),
            sum: Count::default(),
            refused: 0,
            taken: 0,
            done: 0,
            is_changed: false,
            key: NameKey::default(),
        }
    }

    /// The apex.
    pub fn origin(&self) -> &Name {
        &self.origin
    }

    /// Changes that wait.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Changes handed in so far: what [`LiveWriter::done`] reaches once the last of them is in its block.
    pub fn handed_in(&self) -> u64 {
        self.taken + self.queue.len() as u64
    }

    /// Changes that are in their blocks, or came to nothing.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Changes and records that were not taken: outside of the zone, of a type that is none, more than a name or a
    /// block may hold.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Served records.
    pub fn records(&self) -> usize {
        self.sum.records
    }

    /// The blocks, as far as they have come.
    pub(crate) fn directory(&self) -> &Directory {
        &self.patcher.directory
    }

    /// True if there has been a change since the last time this was asked.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
    }

    /// What `source` says of a name and type is replaced; without RDATA it says nothing of them any more.
    pub fn put(
        &mut self,
        source: SourceNumber,
        name: &Name,
        rtype: RecordType,
        ttl: u32,
        rdatas: Vec<Box<[u8]>>,
    ) {
        let lowered = name.to_lowercase();
        let wire = lowered.as_wire();
        if !name.is_at_or_below(&self.origin) || rtype == RecordType(0) || rtype.is_meta() {
            self.refused += 1;
            return;
        }
        let key = wire[..wire.len() - self.origin.as_wire().len()].into();
        self.queue.push_back(Change { key, source, rtype, ttl, rdatas });
    }

    /// How some sources stand has changed: every name at which they say something is looked at anew.
    pub fn sweep(&mut self, source: SourceNumber) {
        self.wanted.insert(source);
    }

    /// True while a sweep for that source is under way or waits.
    pub fn is_sweeping(&self, source: SourceNumber) -> bool {
        self.wanted.contains(&source)
            || self.sweep.as_ref().is_some_and(|sweep| sweep.sources.contains(&source))
    }

    /// True if the blocks fit together.
    pub fn is_whole(&self) -> bool {
        matches!(self.phase, Phase::Load)
    }

    /// What a source says of the apex is replaced at once, waiting for nothing else; the blocks must fit
    /// together.
    pub fn put_at_once(
        &mut self,
        sources: &mut dyn Sources,
        source: SourceNumber,
        rtype: RecordType,
        ttl: u32,
        rdatas: Vec<Box<[u8]>>,
    ) {
        let owner = self.origin.to_lowercase();
        let hash = self.seed.name(owner.as_wire());
        // Names that wait to be resolved go on waiting; the apex may be among them.
        if let Some(edit) = self.edits.get_mut(&[][..]) {
            edit.put(source, rtype, ttl, rdatas.iter().cloned());
        }
        let directory = &self.patcher.directory;
        let mut edit = Edit::load(directory, hash, &[], owner.as_wire(), owner.as_wire().len());
        let replaced = edit.put(source, rtype, ttl, rdatas);
        sources.counted(source, rtype, replaced.gone, replaced.come);
        let mut octets = Vec::new();
        let Written::Visible(count) = self.writer.write(&[], &mut edit, sources, &mut octets) else { return };
        let counts = (edit.had, count);
        let sealed =
            Sealed { hash, key: Box::default(), octets, is_ghost: false, counts, is_visible: (true, true) };
        if self.patcher.replace(std::slice::from_ref(&sealed), self.sum.nodes) == Replacing::Failed {
            return self.take_back_counts(&sealed, sources);
        }
        self.sum.change(edit.had, count);
        if let Some(waiting) = self.edits.get_mut(&[][..]) {
            waiting.had = count;
            waiting.was_visible = true;
        }
    }

    /// True if nothing is under way or waits.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Load)
            && self.edits.is_empty()
            && self.queue.is_empty()
            && self.sweep.is_none()
            && self.wanted.is_empty()
    }

    /// Works on, for about as long as `budget` names take.
    pub fn step(&mut self, sources: &mut dyn Sources, budget: usize) -> Progress {
        let mut spent = 0;
        while spent < budget {
            spent += match self.phase {
                Phase::Load => match self.load(sources) {
                    Some(cost) => cost,
                    None if self.edits.is_empty() => {
                        self.done = self.taken;
                        return Progress::Idle;
                    }
                    None => {
                        self.phase = Phase::Resolve(self.levels.len());
                        0
                    }
                },
                Phase::Resolve(depth) => self.resolve(depth, sources),
                Phase::Build(at) => {
                    let (cost, is_done) = self.build(at, sources);
                    if is_done && (spent + cost >= budget || self.is_idle()) {
                        return if self.is_idle() { Progress::Idle } else { Progress::Whole };
                    }
                    cost
                }
            };
        }
        if matches!(self.phase, Phase::Load) { Progress::Whole } else { Progress::Within }
    }

    /// Takes one change or looks through one block; what it cost. `None` if the batch is full or nothing waits.
    fn load(&mut self, sources: &mut dyn Sources) -> Option<usize> {
        if self.edits.len() < BATCH_CHANGES_MAX
            && let Some(change) = self.queue.pop_front()
        {
            self.taken += 1;
            let Change { key, source, rtype, ttl, rdatas } = change;
            if sources.standing(source, ttl) == Standing::Forgotten {
                return Some(0);
            }
            self.has_changes = true;
            let edit = self.edit(&key, sources);
            let hash = edit.hash;
            let replaced = edit.put(source, rtype, ttl, rdatas);
            self.places.add(source, hash);
            self.refused += replaced.refused as u64;
            sources.counted(source, rtype, replaced.gone, replaced.come);
            return Some(1);
        }
        // What changed does not wait until all blocks have been looked through.
        if self.has_changes || self.edits.len() >= BATCH_SWEPT_MAX {
            return None;
        }
        if self.sweep.is_none() && !self.wanted.is_empty() {
            self.sweep = Some(Sweep::new(std::mem::take(&mut self.wanted), &self.places));
        }
        let mut sweep = self.sweep.take()?;
        let mut edited = 0;
        if let Some(at) = sweep.next()
            && let Some(block) = self.patcher.directory.block(at).cloned()
        {
            for lying in block.lying(self.origin.as_wire().len()) {
                let (ledger, _) = Reader::new(lying.ledger);
                if ledger.names_any(&lying.node, |source| sweep.sources.contains(&source)) {
                    self.edit(lying.node.key(), sources);
                    edited += 1;
                }
            }
            if sweep.pass(&block, at) {
                self.sweep = Some(sweep);
                return Some(COST_SCAN + edited);
            }
        }
        for source in sweep.sources {
            if sources.standing(source, 0) == Standing::Forgotten {
                self.places.forget(source);
            }
        }
        Some(COST_SCAN + edited)
    }

    /// The edit of a name, loaded if it has none yet.
    fn edit(&mut self, key: &[u8], sources: &mut dyn Sources) -> &mut Edit {
        if !self.edits.contains_key(key) {
            let owner = [key, self.origin.as_wire()].concat();
            self.key.read(&owner);
            self.key.hash(&self.seed);
            let depth = self.key.label_count() - self.origin_labels;
            let directory = &self.patcher.directory;
            let origin_len = self.origin.as_wire().len();
            let mut edit = Edit::load(directory, self.key.full_hash(), key, self.key.as_wire(), origin_len);
            edit.said.retain(|said| {
                let is_known = sources.standing(said.source, said.ttl) != Standing::Forgotten;
                if !is_known {
                    sources.counted(said.source, said.rtype, 1, 0);
                }
                is_known
            });
            if self.levels.len() <= depth {
                self.levels.resize_with(depth + 1, Vec::new);
            }
            self.levels[depth].push(key.into());
            self.edits.insert(key.into(), edit);
        }
        self.edits.entry(key.into()).or_default()
    }

    /// Writes the node of one name of that depth, or goes on to the next.
    fn resolve(&mut self, depth: usize, sources: &mut dyn Sources) -> usize {
        let Some(key) = self.levels.get_mut(depth).and_then(Vec::pop) else {
            self.phase = match depth.checked_sub(1) {
                Some(above) => Phase::Resolve(above),
                None => {
                    self.sealed.sort_unstable_by(|a, b| (a.hash, &a.key).cmp(&(b.hash, &b.key)));
                    Phase::Build(0)
                }
            };
            return 0;
        };
        let Some(mut edit) = self.edits.remove(&key) else { return 0 };
        let mut octets = Vec::new();
        let written = self.writer.write(&key, &mut edit, sources, &mut octets);
        let count = match written {
            Written::Visible(count) => count,
            Written::Ghost => Count { nodes: 1, ..Count::default() },
            Written::Nothing => Count::default(),
        };
        self.sum.change(edit.had, count);
        let is_visible = matches!(written, Written::Visible(_));
        if is_visible != edit.was_visible {
            self.tell_parent(&key, depth, is_visible, sources);
        }
        self.sealed.push(Sealed {
            hash: edit.hash,
            key,
            octets,
            is_ghost: matches!(written, Written::Ghost),
            counts: (edit.had, count),
            is_visible: (edit.was_visible, is_visible),
        });
        1
    }

    /// A name appeared or vanished: its parent exists because of it.
    fn tell_parent(&mut self, key: &[u8], depth: usize, is_visible: bool, sources: &mut dyn Sources) {
        let Some(&len) = key.first() else { return };
        let is_wildcard = key.starts_with(b"\x01*");
        // The apex exists anyway.
        if depth == 1 && !is_wildcard {
            return;
        }
        let parent = self.edit(&key[1 + usize::from(len)..], sources);
        if is_visible {
            parent.children += 1;
        } else {
            parent.children = parent.children.saturating_sub(1);
        }
        if is_wildcard {
            parent.has_wildcard = is_visible;
        }
    }

    /// Makes the block of the next written nodes; what that cost, and whether all are done.
    fn build(&mut self, at: usize, sources: &mut dyn Sources) -> (usize, bool) {
        let rest = &self.sealed[at..];
        let group = self.patcher.group(rest);
        if group == 0 {
            self.phase = Phase::Load;
            self.has_changes = false;
            self.take_back(sources);
            self.sealed.clear();
            self.done = self.taken;
            return (0, true);
        }
        match self.patcher.replace(&rest[..group], self.sum.nodes) {
            Replacing::Same => {}
            Replacing::Changed => self.is_changed = true,
            Replacing::Failed => self.failed.push(at..at + group),
        }
        self.phase = Phase::Build(at + group);
        (COST_BLOCK + group / 4, false)
    }

    /// What could not be put into a block has not happened: sums, sources and parents are told.
    fn take_back(&mut self, sources: &mut dyn Sources) {
        let sealed = std::mem::take(&mut self.sealed);
        for node in std::mem::take(&mut self.failed).into_iter().flatten().filter_map(|at| sealed.get(at)) {
            self.refused += 1;
            let (had, has) = node.counts;
            self.sum.change(has, had);
            self.take_back_counts(node, sources);
            let (was_visible, is_visible) = node.is_visible;
            if was_visible != is_visible {
                self.tell_parent(&node.key, labels(&node.key), was_visible, sources);
            }
        }
        self.sealed = sealed;
    }

    /// Of a node that is in no block: its sources say what they said before.
    fn take_back_counts(&mut self, node: &Sealed, sources: &mut dyn Sources) {
        let origin_len = self.origin.as_wire().len();
        let owner = [&node.key, self.origin.as_wire()].concat();
        if let Some(made) = node_in(&node.octets, 0, origin_len) {
            ledger::read(&made, made.split().1, &owner, |said, _| {
                sources.counted(said.source, said.rtype, 1, 0);
            });
        }
        let block = self.patcher.directory.block(node.hash);
        if let Some(lying) = block.and_then(|block| block.find(node.hash, &node.key, origin_len)) {
            ledger::read(&lying.node, lying.ledger, &owner, |said, _| {
                sources.counted(said.source, said.rtype, 0, 1);
            });
        }
    }

    /// The present version with the SOA of that RDATA, which must also be among the records.
    pub fn zone(&self, soa_ttl: u32, soa: &[u8]) -> Zone {
        let blocks = Blocks::Apart(self.patcher.directory.clone());
        let origin_len = self.origin.as_wire().len();
        let store = Store { blocks, origin_len, hidden: Arc::default() };
        let negative = NegativeSoa::new(&self.origin.to_lowercase(), Some((soa_ttl, soa)));
        let serial = soa_field(soa, 0);
        let zone = Zone::new(self.origin.clone(), self.seed, store, negative, serial, self.sum.records);
        if self.sum.cuts > 0 { zone.walked() } else { zone }
    }
}

/// How many labels a name without the origin has.
fn labels(key: &[u8]) -> usize {
    let mut rest = key;
    std::iter::from_fn(|| {
        let (&len, behind) = rest.split_first()?;
        rest = behind.get(usize::from(len)..)?;
        Some(())
    })
    .count()
}

#[cfg(test)]
mod tests;
