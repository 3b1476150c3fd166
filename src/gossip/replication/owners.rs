//! What this node holds of every owner, itself included.
//!
//! Invariants: owners stand by rising id; a shown log is whole; a staged log is of a newer generation than the
//! shown one or was begun anew, because that one fell below the owner's floor or is not what the owner said, and it
//! replaces the shown one in one step when it is whole. The buckets are the sums of what [`Owner::have`] says.

#[cfg(test)]
mod tests;

use crate::gossip::hash;
use crate::gossip::identity::{Generation, NodeId, Version};
use crate::gossip::membership::MEMBERS_MAX;
use crate::gossip::replication::delta::{Delta, DeltaHead};
use crate::gossip::replication::log::Log;
use crate::gossip::replication::sharing::Sharing;
use std::sync::Arc;

/// Parts that owners are divided into by the first octet of their id, for comparing them: at 10,000 owners a part
/// has 40, whose heads fit into one datagram.
pub const BUCKETS: usize = 256;
/// Owners that are held: as many as there can be members, this node and some that membership has not told of yet.
/// Logs of further ones are not taken.
pub const OWNERS_MAX: usize = MEMBERS_MAX + 1_024;

/// What is held of one owner.
pub struct Owner {
    id: NodeId,
    shown: Option<Arc<Log>>,
    staged: Option<Arc<Log>>,
}

/// What a delta did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Nothing: it was known.
    Known,
    /// Nothing: what comes before it is missing.
    Gap,
    /// It was taken; what is shown did not change.
    Staged,
    /// It was taken, and what is shown changed since that version; `None`: all of it.
    Shown(Option<Version>),
}

/// How far a log goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reach {
    /// The owner's life.
    pub generation: Generation,
    /// The newest version.
    pub head: Version,
}

/// What a delta can be put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    /// The log that is shown.
    Shown,
    /// The log that is being completed.
    Staged,
    /// Nothing: it begins a log.
    Nothing,
    /// It has been taken before.
    Known,
    /// Nothing here: what comes before it is missing.
    Missing,
    /// The same, and the staged log can never be completed: it may hold what was removed since.
    Outdated,
}

/// All owners.
pub struct Owners {
    owners: Vec<Owner>,
    buckets: Box<[u64; BUCKETS]>,
    sharing: Sharing,
}

/// The part that an owner belongs to.
pub fn bucket_of(id: NodeId) -> usize {
    (id.0 >> 56) as usize
}

fn reach(log: &Log) -> Reach {
    Reach { generation: log.generation(), head: log.head() }
}

/// The log with the changes put on it.
fn extend(sharing: &Sharing, mut log: Arc<Log>, delta: &Delta<'_>) -> Arc<Log> {
    let DeltaHead { owner, generation, to, floor, whole, .. } = delta.head;
    let exact = log.until() <= to && delta.until() == to;
    let shared = if exact { sharing.find(owner, generation, to, floor) } else { None };
    match shared {
        // Equal heads should mean equal content. Where they do not, taking it would hide that.
        Some(shared)
            if shared.whole() == whole.max(log.whole())
                && delta.entries().all(|entry| shared.holds(&entry)) =>
        {
            shared
        }
        _ => {
            Arc::make_mut(&mut log).extend(delta.entries(), to, (floor, whole), delta.until());
            if exact {
                sharing.offer(owner, &log);
            }
            log
        }
    }
}

/// What an owner adds to its bucket.
fn contribution(id: NodeId, reach: Reach) -> u64 {
    if reach == Reach::default() {
        return 0;
    }
    hash::words([id.0, u64::from(reach.generation.0), reach.head.0])
}

impl Owner {
    fn new(id: NodeId) -> Owner {
        Owner { id, shown: None, staged: None }
    }

    /// Who.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// What may be shown.
    pub fn shown(&self) -> Option<&Arc<Log>> {
        self.shown.as_ref()
    }

    /// How far what may be shown goes.
    pub fn showing(&self) -> Reach {
        self.shown.as_deref().map(reach).unwrap_or_default()
    }

    /// How far what is held goes, shown or not.
    pub fn have(&self) -> Reach {
        self.staged.as_deref().or(self.shown.as_deref()).map(reach).unwrap_or_default()
    }

    /// A log that ends below the floor may hold what was removed since, for the tombstones up to the floor are gone;
    /// unless it was begun from pieces of the same cut, which hold only what was live.
    fn base_for(&self, head: &DeltaHead) -> Base {
        let begins = if head.from == Version(0) { Base::Nothing } else { Base::Missing };
        let Some(log) = self.newest() else { return begins };
        if head.generation != log.generation() {
            return if head.generation > log.generation() { begins } else { Base::Known };
        }
        if log.head() < log.floor() && log.floor() > head.floor {
            // From before the cut: it may hold what was removed since, and nothing would take that away again.
            return Base::Missing;
        }
        if log.head() < head.floor && log.floor() != head.floor {
            return if begins == Base::Missing && self.staged.is_some() { Base::Outdated } else { begins };
        }
        match (head.to <= log.head(), head.from <= log.head()) {
            (true, _) => Base::Known,
            (false, true) if self.staged.is_some() => Base::Staged,
            (false, true) => Base::Shown,
            (false, false) => Base::Missing,
        }
    }

    /// What others can be served from: the log that [`Owner::have`] speaks of.
    pub fn newest(&self) -> Option<&Arc<Log>> {
        self.staged.as_ref().or(self.shown.as_ref())
    }
}

impl Owners {
    /// Nobody yet.
    pub fn new(sharing: Sharing) -> Owners {
        Owners { owners: Vec::new(), buckets: Box::new([0; BUCKETS]), sharing }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.owners.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    /// By rising id.
    pub fn iter(&self) -> impl Iterator<Item = &Owner> {
        self.owners.iter()
    }

    /// Those of a bucket, by rising id.
    pub fn in_bucket(&self, bucket: usize) -> &[Owner] {
        let start = self.owners.partition_point(|owner| bucket_of(owner.id) < bucket);
        let end = self.owners.partition_point(|owner| bucket_of(owner.id) <= bucket);
        &self.owners[start..end]
    }

    /// Those after `id`, by rising id.
    pub fn after(&self, id: Option<NodeId>) -> &[Owner] {
        let start = id.map_or(0, |id| self.owners.partition_point(|owner| owner.id <= id));
        &self.owners[start..]
    }

    /// One of them.
    pub fn get(&self, id: NodeId) -> Option<&Owner> {
        self.find(id).ok().map(|place| &self.owners[place])
    }

    /// How far what is held of an owner goes.
    pub fn have(&self, id: NodeId) -> Reach {
        self.get(id).map(Owner::have).unwrap_or_default()
    }

    /// A hash of each bucket: equal on two nodes that hold the same.
    pub fn buckets(&self) -> &[u64; BUCKETS] {
        &self.buckets
    }

    /// Takes changes.
    pub fn take(&mut self, delta: &Delta<'_>) -> Taken {
        let head = &delta.head;
        let found = self.find(head.owner);
        let mut new = Owner::new(head.owner);
        let owner = match found {
            Ok(place) => &mut self.owners[place],
            Err(_) if self.owners.len() >= OWNERS_MAX => return Taken::Known,
            Err(_) => &mut new,
        };
        let have = owner.have();
        let base = owner.base_for(head);
        let taken = match base {
            Base::Known => Taken::Known,
            Base::Missing => Taken::Gap,
            Base::Outdated => {
                owner.staged = None;
                Taken::Gap
            }
            Base::Shown | Base::Staged | Base::Nothing => {
                // Let go first, so that a log that nobody else holds is changed where it lies.
                let log = match base {
                    Base::Shown => owner.shown.take(),
                    Base::Staged => owner.staged.take(),
                    Base::Nothing | Base::Known | Base::Missing | Base::Outdated => None,
                };
                let log = log.unwrap_or_else(|| Arc::new(Log::new(head.generation)));
                let since = (base == Base::Shown).then(|| log.head());
                let log = extend(&self.sharing, log, delta);
                if log.is_whole() {
                    (owner.shown, owner.staged) = (Some(log), None);
                    Taken::Shown(since)
                } else {
                    owner.staged = Some(log);
                    Taken::Staged
                }
            }
        };
        self.buckets[bucket_of(head.owner)] ^=
            contribution(head.owner, have) ^ contribution(head.owner, owner.have());
        // Nobody is held of whom nothing was taken.
        if let (Err(place), Taken::Staged | Taken::Shown(_)) = (found, taken) {
            self.owners.insert(place, new);
        }
        taken
    }

    /// What is held of an owner is not what that owner said: it is shown until all of it has been taken anew. False:
    /// that is under way.
    pub fn doubt(&mut self, id: NodeId) -> bool {
        let Ok(place) = self.find(id) else { return false };
        let owner = &mut self.owners[place];
        let have = owner.have();
        if have.head == Version(0) {
            return false;
        }
        owner.staged = Some(Arc::new(Log::new(have.generation)));
        self.buckets[bucket_of(id)] ^= contribution(id, have) ^ contribution(id, owner.have());
        true
    }

    /// Changes the log of an owner as that owner.
    pub fn change<R>(&mut self, id: NodeId, change: impl FnOnce(&mut Log) -> R) -> R {
        let place = self.place(id);
        let owner = &mut self.owners[place];
        let before = contribution(id, owner.have());
        let shown = owner.shown.get_or_insert_default();
        let result = change(Arc::make_mut(shown));
        self.sharing.offer(id, shown);
        self.buckets[bucket_of(id)] ^= before ^ contribution(id, owner.have());
        result
    }

    /// Puts a log in place as it is: the own one of a new life, or that of a machine that starts warm.
    pub fn put(&mut self, id: NodeId, log: Arc<Log>) {
        let place = self.place(id);
        let before = contribution(id, self.owners[place].have());
        self.sharing.offer(id, &log);
        self.owners[place] = Owner { shown: Some(log), ..Owner::new(id) };
        self.buckets[bucket_of(id)] ^= before ^ contribution(id, self.owners[place].have());
    }

    /// Puts many logs in place as they are, in as much memory as they need. They are not offered to others: whoever
    /// has many to hand in has them shared already.
    pub fn restore(&mut self, logs: impl IntoIterator<Item = (NodeId, Arc<Log>)>) {
        let logs = logs.into_iter();
        self.owners.reserve_exact(logs.size_hint().0);
        self.owners.extend(logs.map(|(id, log)| Owner { shown: Some(log), ..Owner::new(id) }));
        // Of two of one id the one that was handed in last holds.
        self.owners.reverse();
        self.owners.sort_by_key(Owner::id);
        self.owners.dedup_by_key(|owner| owner.id);
        self.buckets.fill(0);
        for owner in &self.owners {
            self.buckets[bucket_of(owner.id)] ^= contribution(owner.id, owner.have());
        }
    }

    /// Forgets an owner.
    pub fn forget(&mut self, id: NodeId) {
        if let Ok(place) = self.find(id) {
            self.buckets[bucket_of(id)] ^= contribution(id, self.owners[place].have());
            self.owners.remove(place);
        }
    }

    fn find(&self, id: NodeId) -> Result<usize, usize> {
        self.owners.binary_search_by_key(&id, |owner| owner.id)
    }

    fn place(&mut self, id: NodeId) -> usize {
        match self.find(id) {
            Ok(place) => place,
            Err(place) => {
                self.owners.insert(place, Owner::new(id));
                place
            }
        }
    }
}
