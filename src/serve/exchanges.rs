//! What each worker has for messages about zones as such: where news goes, and updates.

use crate::control::{Event, Mailbox};
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
    mailbox: &Mailbox,
) -> impl Iterator<Item = worker::Exchange> {
    (0..workers).map(move |_| {
        let (notifies, mailbox) = (notifies.clone(), mailbox.clone());
        // Nobody listens any more when the server is stopping: then it is dropped, which answers it.
        let ask = Box::new(move |update| _ = mailbox.send(Event::Update(Box::new(update))));
        worker::Exchange {
            policy: Arc::clone(policy),
            told: Box::new(move |origin, serial| notifies.tell(origin, serial)),
            updates: worker::Updates::new(ask),
        }
    })
}
