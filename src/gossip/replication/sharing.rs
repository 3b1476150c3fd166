//! Many machines in one process: equal logs are one value.
//!
//! A log's content follows from `(owner, generation, head, floor)`, so a machine that would make one that another
//! has already made can take that. A server has nobody to share with; a simulation of ten thousand would not fit
//! into memory without it.

use crate::gossip::identity::{Generation, NodeId, Version};
use crate::gossip::replication::log::Log;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Weak};

type Key = (NodeId, Generation, Version, Version);

/// A handle on the logs that are shared, or on nothing.
#[derive(Clone, Default)]
pub struct Sharing(Option<Rc<RefCell<Shared>>>);

#[derive(Default)]
struct Shared {
    logs: HashMap<Key, Weak<Log>>,
    /// At this number those that nobody holds any more are cleared away.
    clear_at: usize,
}

impl Sharing {
    /// For machines that share.
    pub fn new() -> Sharing {
        Sharing(Some(Rc::new(RefCell::new(Shared { logs: HashMap::new(), clear_at: 1 << 16 }))))
    }

    /// The log of that content, if somebody has it.
    pub fn find(
        &self,
        owner: NodeId,
        generation: Generation,
        head: Version,
        floor: Version,
    ) -> Option<Arc<Log>> {
        self.0.as_ref()?.borrow().logs.get(&(owner, generation, head, floor))?.upgrade()
    }

    /// Offers a log to others.
    pub fn offer(&self, owner: NodeId, log: &Arc<Log>) {
        let Some(shared) = &self.0 else { return };
        let mut shared = shared.borrow_mut();
        shared.logs.insert((owner, log.generation(), log.head(), log.floor()), Arc::downgrade(log));
        if shared.logs.len() > shared.clear_at {
            shared.logs.retain(|_, log| log.strong_count() > 0);
            shared.clear_at = (2 * shared.logs.len()).max(1 << 16);
        }
    }
}
