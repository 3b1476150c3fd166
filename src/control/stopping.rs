//! The end of the server: members are told, what has arrived is answered, what is to be kept is written.

use crate::control::status::Status;
use crate::control::{Control, Inbox, POLL_EVENTS};
use crate::os::clock;
use mio::Events;
use std::time::Duration;

/// How long a stop may take; workers end earlier.
const STOP_MAX: Duration = Duration::from_secs(5);
/// How long the news that this node has left is sent.
const LEAVING: Duration = Duration::from_millis(500);

impl Control {
    /// Ends: what has arrived is answered first.
    pub(super) fn stop(mut self, inbox: &Inbox) {
        self.status.rcu(|old| Status { ready: false, reason: "stopping".into(), ..Status::clone(old) });
        let begun = clock::now();
        let until = match self.leaving {
            true => clock::moment(begun) + LEAVING,
            false => self.cluster.restarting(clock::moment(begun)),
        };
        let mut events = Events::with_capacity(POLL_EVENTS);
        loop {
            let now = clock::moment(clock::now());
            self.turn(now);
            if now >= until {
                break;
            }
            let patience = self.cluster.next_wake().min(until).since(now);
            let _ = self.poll.poll(&mut events, Some(patience));
            let now = clock::moment(clock::now());
            for event in events.iter() {
                self.cluster.ready(now, event);
            }
        }
        self.give_up_asking();
        self.cluster.end();
        self.settle_updates(inbox, begun);
        for worker in &self.workers {
            worker.stop();
        }
        let deadline = begun + STOP_MAX;
        for worker in self.workers {
            if !worker.finish(deadline) {
                tracing::warn!("a worker did not end in time");
            }
        }
        self.cluster.finish(deadline);
    }
}
