//! What each worker has for messages about zones as such: where news goes, and updates.

use crate::control::updates::Door;
use crate::services::Notifies;
use crate::transfer::policy::Policy;
use crate::worker;
use arc_swap::ArcSwap;
use std::sync::Arc;

/// One for each worker.
pub(super) fn make(
    workers: usize,
    policy: &Arc<ArcSwap<Policy>>,
    notifies: &Notifies,
    door: &Door,
) -> impl Iterator<Item = worker::Exchange> {
    (0..workers).map(move |_| {
        let (notifies, door) = (notifies.clone(), door.clone());
        let ask = Box::new(move |request| door.take(request));
        worker::Exchange {
            policy: Arc::clone(policy),
            told: Box::new(move |origin, serial| notifies.tell(origin, serial)),
            updates: worker::Updates::new(ask),
        }
    })
}
