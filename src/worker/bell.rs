//! Waking a thread that waits in a poll: once for all that has come until it looks, for each time costs a call of the
//! system, and may cost a turn of the thread.

use mio::Waker;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Wakes one thread, which has a queue.
#[derive(Debug, Clone)]
pub struct Bell {
    waker: Arc<Waker>,
    /// Rung, and not heard.
    is_rung: Arc<AtomicBool>,
}

impl Bell {
    /// Of a thread whose poll has this waker.
    pub fn new(waker: Arc<Waker>) -> Bell {
        Bell { waker, is_rung: Arc::default() }
    }

    /// Rings, unless it does already. What the thread is to find is in its queue before.
    pub fn ring(&self) -> io::Result<()> {
        if self.is_rung.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.waker.wake().inspect_err(|_| self.is_rung.store(false, Ordering::Release))
    }

    /// The thread has heard it, and looks into its queue after this.
    pub fn heard(&self) {
        // An exchange, so that it sees all that was queued before the last ring.
        self.is_rung.swap(false, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam::channel::unbounded;
    use mio::{Events, Poll, Token};
    use std::time::Duration;

    fn rings(poll: &mut Poll) -> bool {
        let mut events = Events::with_capacity(4);
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        !events.is_empty()
    }

    #[test]
    fn it_rings_once_until_it_is_heard() {
        let mut poll = Poll::new().unwrap();
        let bell = Bell::new(Arc::new(Waker::new(poll.registry(), Token(0)).unwrap()));
        assert!(!rings(&mut poll));
        bell.ring().unwrap();
        assert!(rings(&mut poll));
        bell.clone().ring().unwrap();
        assert!(!rings(&mut poll), "nobody has heard the first one");
        bell.heard();
        bell.ring().unwrap();
        assert!(rings(&mut poll));
    }

    #[test]
    fn whatever_is_queued_is_found() {
        const EACH: usize = 20_000;
        let mut poll = Poll::new().unwrap();
        let bell = Bell::new(Arc::new(Waker::new(poll.registry(), Token(0)).unwrap()));
        let (sender, queue) = unbounded();
        let ringers = (0..2).map(|_| {
            let (sender, bell) = (sender.clone(), bell.clone());
            std::thread::spawn(move || {
                for number in 0..EACH {
                    sender.send(number).unwrap();
                    bell.ring().unwrap();
                }
            })
        });
        let ringers: Vec<_> = ringers.collect();
        let (mut events, mut found) = (Events::with_capacity(4), 0);
        while found < 2 * EACH {
            // Were one ring lost this would be how it shows.
            poll.poll(&mut events, Some(Duration::from_secs(20))).unwrap();
            assert!(!events.is_empty(), "{found} were found, and nobody rings");
            found += queue.try_iter().count();
            bell.heard();
            found += queue.try_iter().count();
        }
        ringers.into_iter().for_each(|ringer| ringer.join().unwrap());
    }
}
