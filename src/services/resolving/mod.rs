//! What workers have done for them: asking servers over TCP, resolving from the root on, and asking upstream servers
//! for what is to be validated; and looking for loops among the upstream servers.
//!
//! ```text
//! worker ─ Errand ─► Todo ─┬─► a stream for each ─┬─ Delivery ─► the worker that asked, which is woken
//!                          ├─► Walk ──────────────┤
//!                          └─► Upward ────────────┘
//! ```

mod border;
mod court;
pub(super) mod datagram;
mod loops;
mod shares;
pub(super) mod stream;
mod upward;
mod walk;

use crate::catalog::published::Published;
use crate::control::resolving::{Explain, Roots, Wish};
use crate::resolve::body::ExtendedError;
use crate::resolve::errand::{Delivery, Errand};
use crate::resolve::forward::UpstreamCounters;
use crate::resolve::policy::{Policy, Route};
use crate::resolve::question::Wants;
use crate::services::resolving::border::Border;
use crate::services::resolving::court::Asker;
use crate::services::resolving::loops::Patrol;
use crate::services::resolving::shares::Shares;
use crate::services::resolving::upward::Upward;
use crate::services::resolving::walk::Walk;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use arc_swap::ArcSwap;
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
    /// For the control thread.
    Wish(Wish),
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
    /// Where names are asked for.
    pub policy: Arc<ArcSwap<Policy>>,
    /// Which names are ours.
    pub published: Published,
    /// Where it shows what it counts of upstream servers that it asks itself.
    pub upstreams: Upstreams,
}

/// What is counted of each upstream server; the list changes with the policy.
type Upstreams = Arc<ArcSwap<Vec<Arc<UpstreamCounters>>>>;

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

    /// Has something done for the control thread; false if nobody does anything any more.
    pub fn wish(&self, wish: Wish) -> bool {
        self.0.send(Task::Wish(wish)).is_ok()
    }
}

/// Does errands until it is told to stop.
pub(super) async fn run(work: Work, mut stop: watch::Receiver<()>) {
    let Work { todo: Todo(mut todo), workers, roots, policy, published, upstreams } = work;
    let workers: Arc<[Deliver]> = workers.into();
    let streams = Arc::new(Semaphore::new(STREAMS_MAX));
    let border = Border { policy: Arc::clone(&policy), published };
    let mut walk = Walk::new(&roots, border.clone(), Arc::clone(&streams));
    let (of_walk, of_upward) = (Shares::default(), Shares::default());
    let mut patrol = Patrol::new(Arc::clone(&policy));
    let mut ways = Ways { policy, roots, border, streams: Arc::clone(&streams), upstreams, upward: None };
    let mut tasks = JoinSet::new();
    loop {
        let found = ways.upward.as_mut().map(Upward::take_found).unwrap_or_default();
        for (worker, ticket, found) in walk.take_found().into_iter().chain(found) {
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
            () = ways.turn() => continue,
            () = patrol.next() => {
                patrol.turn(&mut tasks);
                continue;
            }
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
            Task::Errand(worker, Errand::Resolve { ticket, client, name, rtype, wants }) => {
                let upward = ways.upward(&name, rtype).zip(Name::from_wire(&name).ok());
                let shares = if upward.is_some() { &of_upward } else { &of_walk };
                let asker = shares.take(client).map(|share| Asker::Worker { worker, ticket, share });
                match (asker, upward) {
                    (Some(asker), Some((upward, name))) => upward.ask(asker, name, rtype, wants),
                    (Some(asker), None) => walk.ask(asker, &name, rtype, wants),
                    (None, _) => {
                        if let Some(deliver) = workers.get(worker) {
                            deliver(Delivery::Resolved {
                                ticket,
                                found: Err(Some(ExtendedError::NOT_READY)),
                            });
                        }
                    }
                }
            }
            Task::Wish(Wish::Explain(explain)) => {
                let Explain { name, rtype, tell } = *explain;
                walk.ask(Asker::User(tell), name.as_wire(), rtype, Wants::default());
            }
            Task::Wish(Wish::Forget(name)) => {
                walk.forget(&name);
                ways.upward.iter_mut().for_each(|upward| upward.forget(&name));
            }
            Task::Wish(Wish::Renew(roots)) => {
                walk.renew(&roots);
                ways.renew(*roots);
            }
        }
    }
}

/// Upstream servers, asked by this thread only if what they say is to be validated.
struct Ways {
    policy: Arc<ArcSwap<Policy>>,
    roots: Roots,
    border: Border,
    streams: Arc<Semaphore>,
    upstreams: Upstreams,
    /// None until it is needed.
    upward: Option<Upward>,
}

impl Ways {
    /// Who asks for a name, lower-cased in wire form, of upstream servers; `None` where it is looked for from the root.
    fn upward(&mut self, name: &[u8], rtype: RecordType) -> Option<&mut Upward> {
        let policy = self.policy.load_full();
        if policy.route(name, rtype) == Route::Iterate {
            return None;
        }
        let upward = match self.upward.take() {
            Some(upward) if upward.is_of(&policy) => return Some(self.upward.insert(upward)),
            Some(mut upward) => {
                upward.renew(policy, &self.roots);
                upward
            }
            None => Upward::new(policy, &self.roots, self.border.clone(), Arc::clone(&self.streams)),
        };
        self.upstreams.store(Arc::new(upward.counters()));
        Some(self.upward.insert(upward))
    }

    /// Other anchors from now on.
    fn renew(&mut self, roots: Roots) {
        self.roots = roots;
        if let Some(upward) = &mut self.upward {
            upward.renew(self.policy.load_full(), &self.roots);
        }
    }

    async fn turn(&mut self) {
        match &mut self.upward {
            Some(upward) => upward.turn().await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests;
