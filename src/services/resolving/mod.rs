//! What workers have done for them: asking servers over TCP, and resolving from the root on.
//!
//! ```text
//! worker ─ Errand ─► Todo ─┬─► a stream for each ─┬─ Delivery ─► the worker that asked, which is woken
//!                          └─► Walk ──────────────┘
//! ```

mod datagram;
mod stream;
mod walk;

pub use walk::Roots;

use crate::control::resolving::Explain;
use crate::resolve::errand::{Delivery, Errand};
use crate::resolve::question::Wants;
use crate::services::resolving::walk::{Asker, Walk};
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

/// Streams open at once: a few for each server that truncates, and no more descriptors than a process may have.
const STREAMS_MAX: usize = 256;

/// Takes errands of workers, and questions of users.
#[derive(Clone)]
pub struct Errands(mpsc::UnboundedSender<Task>);

/// What is to be done. Its length is bounded by what workers have outstanding and by the users' connections.
pub struct Todo(mpsc::UnboundedReceiver<Task>);

/// One thing to do.
enum Task {
    /// For the worker of that number.
    Errand(usize, Errand),
    /// For a user.
    Explain(Explain),
}

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
}

/// Both ends.
pub fn errands() -> (Errands, Todo) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Errands(sender), Todo(receiver))
}

impl Errands {
    /// Has something done for worker `worker`; false if nobody does anything any more.
    pub fn take(&self, worker: usize, errand: Errand) -> bool {
        self.0.send(Task::Errand(worker, errand)).is_ok()
    }

    /// Has a name looked for from the root and each step told; false if nobody does anything any more.
    pub fn explain(&self, explain: Explain) -> bool {
        self.0.send(Task::Explain(explain)).is_ok()
    }
}

/// Does errands until it is told to stop.
pub(super) async fn run(work: Work, mut stop: watch::Receiver<()>) {
    let Work { todo: Todo(mut todo), workers, roots } = work;
    let workers: Arc<[Deliver]> = workers.into();
    let streams = Arc::new(Semaphore::new(STREAMS_MAX));
    let mut walk = Walk::new(roots, Arc::clone(&streams));
    let mut tasks = JoinSet::new();
    loop {
        for (worker, ticket, found) in walk.take_found() {
            if let Some(deliver) = workers.get(worker) {
                deliver(Delivery::Resolved { ticket, found });
            }
        }
        let task = tokio::select! {
            task = todo.recv() => match task {
                Some(task) => task,
                None => return,
            },
            () = walk.turn() => continue,
            // Those that have ended are let go of.
            Some(_) = tasks.join_next() => continue,
            // Nothing is ever sent: the sender is dropped.
            _ = stop.changed() => return,
        };
        match task {
            Task::Errand(worker, Errand::Exchange { stream, to, query }) => {
                let (workers, streams) = (Arc::clone(&workers), Arc::clone(&streams));
                tasks.spawn(async move {
                    let response = stream::exchange(&streams, to, &query).await;
                    if let Some(deliver) = workers.get(worker) {
                        deliver(Delivery::Exchanged { stream, response });
                    }
                });
            }
            Task::Errand(worker, Errand::Resolve { ticket, name, rtype, wants }) => {
                walk.ask(Asker::Worker { worker, ticket }, &name, rtype, wants);
            }
            Task::Explain(Explain { name, rtype, tell }) => {
                walk.ask(Asker::User(tell), name.as_wire(), rtype, Wants::default());
            }
        }
    }
}
