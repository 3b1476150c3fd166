//! What workers have done for them: asking servers over TCP.
//!
//! ```text
//! worker ─ Errand ─► Todo ─► a task for each ─ Delivery ─► the worker that asked, which is woken
//! ```

mod stream;

use crate::resolve::errand::{Delivery, Errand};
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

/// Streams open at once: a few for each server that truncates, and no more descriptors than a process may have.
const STREAMS_MAX: usize = 256;

/// Takes errands of workers.
#[derive(Clone)]
pub struct Errands(mpsc::UnboundedSender<(usize, Errand)>);

/// The errands that are to be done. Their number is bounded by what workers have outstanding.
pub struct Todo(mpsc::UnboundedReceiver<(usize, Errand)>);

/// Gives a worker what was done for it, and wakes it.
pub type Deliver = Box<dyn Fn(Delivery) + Send + Sync>;

/// Both ends.
pub fn errands() -> (Errands, Todo) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Errands(sender), Todo(receiver))
}

impl Errands {
    /// Has something done for worker `worker`; false if nobody does anything any more.
    pub fn take(&self, worker: usize, errand: Errand) -> bool {
        self.0.send((worker, errand)).is_ok()
    }
}

/// Does errands until it is told to stop. `workers`: the way back to each.
pub(super) async fn run(todo: Todo, workers: Vec<Deliver>, mut stop: watch::Receiver<()>) {
    let Todo(mut todo) = todo;
    let workers: Arc<[Deliver]> = workers.into();
    let streams = Arc::new(Semaphore::new(STREAMS_MAX));
    let mut tasks = JoinSet::new();
    loop {
        let (worker, errand) = tokio::select! {
            errand = todo.recv() => match errand {
                Some(errand) => errand,
                None => return,
            },
            // Those that have ended are let go of.
            Some(_) = tasks.join_next() => continue,
            // Nothing is ever sent: the sender is dropped.
            _ = stop.changed() => return,
        };
        match errand {
            Errand::Exchange { stream, to, query } => {
                let (workers, streams) = (Arc::clone(&workers), Arc::clone(&streams));
                tasks.spawn(async move {
                    let response = stream::exchange(&streams, to, &query).await;
                    if let Some(deliver) = workers.get(worker) {
                        deliver(Delivery::Exchanged { stream, response });
                    }
                });
            }
            Errand::Resolve { ticket, .. } => {
                if let Some(deliver) = workers.get(worker) {
                    deliver(Delivery::Resolved { ticket, found: Err(None) });
                }
            }
        }
    }
}
