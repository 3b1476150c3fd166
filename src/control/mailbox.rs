//! How other threads reach the control thread: a queue, and a hand on its shoulder.

use crate::control::Event;
use crate::worker::bell::Bell;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use mio::Waker;
use std::sync::Arc;
use std::time::Instant;

/// Where events for the control thread go.
#[derive(Clone)]
pub struct Mailbox {
    events: Sender<Event>,
    bell: Bell,
}

/// Where the control thread finds them.
pub struct Inbox {
    events: Receiver<Event>,
    bell: Bell,
}

impl Mailbox {
    /// With the waker of the poll that its reader waits in.
    pub fn new(waker: Waker) -> (Mailbox, Inbox) {
        let (sender, events) = unbounded();
        let bell = Bell::new(Arc::new(waker));
        (Mailbox { events: sender, bell: bell.clone() }, Inbox { events, bell })
    }

    /// Sends an event; false if nobody takes any more.
    pub fn send(&self, event: Event) -> bool {
        // Were waking to fail the event would still be taken, at the next turn.
        self.events.send(event).is_ok() && self.bell.ring().is_ok()
    }
}

impl Inbox {
    /// The next event, if one has come. After `None` the reader is woken for the next one.
    pub(super) fn next(&self) -> Option<Event> {
        self.events.try_recv().ok().or_else(|| {
            // Not before: as long as the reader is at it nobody needs to wake it.
            self.bell.heard();
            self.events.try_recv().ok()
        })
    }

    /// The next event, waited for outside of the poll.
    pub(super) fn wait(&self, deadline: Instant) -> Result<Event, RecvTimeoutError> {
        self.events.recv_deadline(deadline)
    }
}
