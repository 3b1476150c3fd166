//! The one door between the thread that makes snapshots and the workers that read them.
//!
//! One writer, many readers. A reader holds its snapshot by a cached handle and looks once per batch
//! whether there is a newer one: one atomic load, no lock. The writer keeps what it replaced until nobody else
//! holds it, so that no reader ever pays for freeing it.

use crate::catalog::snapshot::Snapshot;
use arc_swap::ArcSwap;
use arc_swap::cache::Cache;
use std::sync::Arc;

/// The current snapshot.
#[derive(Clone)]
pub struct Published(Arc<ArcSwap<Snapshot>>);

/// A worker's handle.
pub struct Reader {
    newest: Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>,
    /// What it was when it was asked for last.
    current: Arc<Snapshot>,
}

/// The right to publish, and what was replaced but may still be read.
pub struct Publisher {
    published: Published,
    retired: Vec<Arc<Snapshot>>,
}

impl Publisher {
    /// Publishes a first snapshot.
    pub fn new(first: Snapshot) -> Publisher {
        Publisher { published: Published(Arc::new(ArcSwap::from_pointee(first))), retired: Vec::new() }
    }

    /// What readers are made from.
    pub fn published(&self) -> &Published {
        &self.published
    }

    /// Replaces the current snapshot.
    pub fn publish(&mut self, next: Snapshot) {
        let old = self.published.0.swap(Arc::new(next));
        self.retired.push(old);
    }

    /// Takes out the retired snapshots that nobody else holds any more; dropping them is the caller's to time.
    pub fn reclaim(&mut self) -> Vec<Arc<Snapshot>> {
        self.retired.extract_if(.., |old| Arc::strong_count(old) == 1).collect()
    }

    /// How many retired snapshots are still read.
    pub fn retired(&self) -> usize {
        self.retired.len()
    }
}

impl Published {
    /// A handle for one reader.
    pub fn reader(&self) -> Reader {
        Reader { newest: Cache::new(Arc::clone(&self.0)), current: self.load() }
    }

    /// The current snapshot, held for as long as the caller likes.
    pub fn load(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }
}

impl Reader {
    /// The newest snapshot, to be held for as long as the caller likes.
    pub fn held(&mut self) -> &Arc<Snapshot> {
        let newest = self.newest.load();
        if !Arc::ptr_eq(newest, &self.current) {
            self.current = Arc::clone(newest);
        }
        &self.current
    }

    /// The newest snapshot; the one held before is let go.
    #[inline]
    pub fn current(&mut self) -> &Snapshot {
        self.held()
    }

    /// The one that was the newest when it was asked for last.
    #[inline]
    pub fn same(&self) -> &Snapshot {
        &self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Moment;
    use crate::catalog::state::State;
    use crate::wire::key::HashSeed;

    #[test]
    fn a_retired_snapshot_is_kept_until_its_last_reader_moves_on() {
        let mut state = State::new(HashSeed::new([1; 16]), 4);
        let mut publisher = Publisher::new(state.snapshot(Moment::START));
        let mut reader = publisher.published().reader();
        assert_eq!(reader.current().revision().0, 1);
        publisher.publish(state.snapshot(Moment::START));
        assert!(publisher.reclaim().is_empty());
        assert_eq!(reader.current().revision().0, 2);
        assert_eq!(publisher.reclaim().len(), 1);
        assert_eq!(publisher.retired(), 0);
    }
}
