//! How other threads reach the control thread: a queue, and a hand on its shoulder.

use crate::control::Event;
use crossbeam::channel::Sender;
use mio::Waker;
use std::sync::Arc;

/// Where events for the control thread go.
#[derive(Clone)]
pub struct Mailbox {
    events: Sender<Event>,
    waker: Arc<Waker>,
}

impl Mailbox {
    /// Of a queue, and the waker of the poll that its reader waits in.
    pub fn new(events: Sender<Event>, waker: Waker) -> Mailbox {
        Mailbox { events, waker: Arc::new(waker) }
    }

    /// Sends an event; false if nobody takes any more.
    pub fn send(&self, event: Event) -> bool {
        // Were waking to fail the event would still be taken, at the next turn.
        self.events.send(event).is_ok() && self.waker.wake().is_ok()
    }
}
