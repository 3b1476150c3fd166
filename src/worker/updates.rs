//! Updates that are being carried out: where they go, who waits for what, and which of them were sent before.
//!
//! ```text
//! permitted ─┬─ sent before, over UDP ─┬─ still carried out ─► nothing: the first one's answer is its answer, too
//!            │                         └─ done, and signed ──► the same code again
//!            └─ new ─► Request ─► control thread ... code ─► the worker is woken ─► answered
//! ```
//!
//! A message that comes twice because its answer was lost would otherwise fail by its own prerequisites.

use crate::base::time::Moment;
use crate::transfer::desk::{Held, Permitted};
use crate::transfer::update::request::{Answer, Request};
use crate::wire::message::Rcode;
use crate::worker::bell::Bell;
use crate::worker::resolver::Back;
use crossbeam::channel::{Receiver, Sender, unbounded};
use mio::Waker;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

/// Takes an update that is to be carried out. It must not wait.
type Ask = Box<dyn Fn(Request) + Send>;

/// Updates of one worker that are carried out at the same time, each of one message: 16 MiB at most. Whoever sends
/// more is told SERVFAIL.
const OUTSTANDING_MAX: usize = 256;
/// Updates over UDP that are told from new ones: so many, ...
const RECENT_MAX: usize = 1_024;
/// ... and for so long; `nsupdate` sends three times within nine seconds.
const RECENT_AGE_MAX: Duration = Duration::from_secs(15);

/// A worker's part of updates.
pub struct Updates {
    ask: Ask,
    /// Codes on their way back.
    done: (Sender<Done>, Receiver<Done>),
    bell: Option<Bell>,
    table: RefCell<Table>,
}

#[derive(Default)]
struct Table {
    hasher: RandomState,
    outstanding: usize,
    /// The oldest first.
    recent: VecDeque<Recent>,
}

struct Recent {
    mark: u64,
    since: Moment,
    /// `None` while it is carried out.
    code: Option<Rcode>,
}

/// An update that was carried out, or not.
pub(super) struct Done {
    pub(super) held: Held,
    pub(super) code: Rcode,
    pub(super) back: Back,
    /// Of one over UDP: by what it is told from others.
    mark: Option<u64>,
}

/// What becomes of an update at once.
pub(super) enum Taken {
    /// It is carried out: [`Updates::next`] says when that is done.
    Waits,
    /// It is to get no answer.
    Again,
    /// It is to be answered with this code.
    Answer(Held, Rcode),
}

impl Updates {
    /// What hands updates to `ask`.
    pub fn new(ask: Ask) -> Updates {
        Updates { ask, done: unbounded(), bell: None, table: RefCell::default() }
    }

    /// Has the worker woken by its waker.
    pub(super) fn wake_by(&mut self, waker: &Arc<Waker>) {
        self.bell = Some(Bell::new(Arc::clone(waker)));
    }

    /// True if some update is being carried out.
    pub(super) fn is_waiting(&self) -> bool {
        self.table.try_borrow().is_ok_and(|table| table.outstanding > 0)
    }

    /// Takes an update that came with this message.
    pub(super) fn take(&self, permitted: Permitted, message: &[u8], back: Back, now: Moment) -> Taken {
        let Permitted { update, held } = permitted;
        // Nobody else has it: each borrow ends where it begins.
        let Ok(mut table) = self.table.try_borrow_mut() else { return Taken::Answer(held, Rcode::ServFail) };
        let mark = match &back {
            Back::Udp { asker, .. } => Some(table.hasher.hash_one((asker.source(), message))),
            Back::Tcp { .. } => None,
        };
        table.forget(now);
        match mark.and_then(|mark| table.recent.iter().find(|recent| recent.mark == mark)) {
            Some(Recent { code: None, .. }) => return Taken::Again,
            // Unsigned, it could be another message that looks the same.
            Some(Recent { code: Some(code), .. }) if held.is_signed() => return Taken::Answer(held, *code),
            Some(_) | None => {}
        }
        if table.outstanding >= OUTSTANDING_MAX {
            return Taken::Answer(held, Rcode::ServFail);
        }
        table.outstanding += 1;
        if let Some(mark) = mark {
            table.recent.push_back(Recent { mark, since: now, code: None });
        }
        drop(table);
        let (sender, bell) = (self.done.0.clone(), self.bell.clone());
        let answer = Answer::to(move |code| {
            let _ = sender.send(Done { held, code, back, mark });
            if let Some(bell) = bell {
                // Were that to fail, the next message wakes it.
                let _ = bell.ring();
            }
        });
        (self.ask)(Request { update, answer });
        Taken::Waits
    }

    /// The next update that was carried out, to be answered. After `None` the worker is woken for the next one.
    pub(super) fn next(&self) -> Option<Done> {
        let done = self.done.1.try_recv().ok().or_else(|| {
            // Not before: as long as the worker is at it nobody needs to wake it.
            self.bell.iter().for_each(Bell::heard);
            self.done.1.try_recv().ok()
        })?;
        if let Ok(mut table) = self.table.try_borrow_mut() {
            table.outstanding = table.outstanding.saturating_sub(1);
            let is_it = |recent: &Recent| Some(recent.mark) == done.mark && recent.code.is_none();
            let at = table.recent.iter().rposition(is_it);
            match at.and_then(|at| table.recent.get_mut(at)) {
                // Whoever tries again shall have another try.
                Some(_) if done.code == Rcode::ServFail => _ = at.and_then(|at| table.recent.remove(at)),
                Some(recent) => recent.code = Some(done.code),
                None => {}
            }
        }
        Some(done)
    }
}

impl Table {
    /// Forgets what was sent too long ago, and the oldest of too many.
    fn forget(&mut self, now: Moment) {
        while let Some(oldest) = self.recent.front() {
            if self.recent.len() < RECENT_MAX && now.since(oldest.since) < RECENT_AGE_MAX {
                return;
            }
            self.recent.pop_front();
        }
    }
}
