//! What workers have done for them: asking servers over TCP, and resolving from the root on; and looking for loops among
//! the upstream servers.
//!
//! ```text
//! worker ─ Errand ─► Todo ─┬─► a stream for each ─┬─ Delivery ─► the worker that asked, which is woken
//!                          └─► Walk ──────────────┘
//! ```

mod datagram;
mod loops;
mod stream;
mod walk;

pub use walk::Roots;

use crate::resolve::errand::{Delivery, Errand};
use crate::resolve::policy::Policy;
use crate::services::resolving::loops::Patrol;
use crate::services::resolving::walk::Walk;
use arc_swap::ArcSwap;
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

/// All that is needed to do errands.
pub struct Work {
    /// What is to be done.
    pub todo: Todo,
    /// The way back to each worker.
    pub workers: Vec<Deliver>,
    /// Where a walk begins.
    pub roots: Roots,
    /// Whom names are asked of, and so who could lead back to us.
    pub policy: Arc<ArcSwap<Policy>>,
}

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

/// Does errands until it is told to stop.
pub(super) async fn run(work: Work, mut stop: watch::Receiver<()>) {
    let Work { todo: Todo(mut todo), workers, roots, policy } = work;
    let workers: Arc<[Deliver]> = workers.into();
    let streams = Arc::new(Semaphore::new(STREAMS_MAX));
    let mut walk = Walk::new(roots, Arc::clone(&streams));
    let (mut tasks, mut patrol) = (JoinSet::new(), Patrol::new(policy));
    loop {
        for (worker, ticket, found) in walk.take_found() {
            if let Some(deliver) = workers.get(worker) {
                deliver(Delivery::Resolved { ticket, found });
            }
        }
        let (worker, errand) = tokio::select! {
            errand = todo.recv() => match errand {
                Some(errand) => errand,
                None => return,
            },
            () = walk.turn() => continue,
            () = patrol.next() => {
                patrol.turn(&mut tasks);
                continue;
            }
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
            Errand::Resolve { ticket, name, rtype, wants } => walk.ask(worker, ticket, &name, rtype, wants),
        }
    }
}
