//! Finding the addresses of members to join. The system's resolver may take seconds, so it is asked on a thread of
//! its own; never our own forwarder, which may need the cluster to answer.

use crate::base::config::Peer;
use crate::base::time::Moment;
use crossbeam::channel::{Sender, bounded};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

/// The first wait between two askings, while something is missing.
const AGAIN_MIN: Duration = Duration::from_secs(1);
/// The longest wait; also between askings once all was found: who joins later is found then.
const AGAIN_MAX: Duration = Duration::from_secs(30);

/// The thread's handle.
pub struct Resolver {
    ask: Sender<Vec<Peer>>,
    peers: Vec<Peer>,
    next: Moment,
    wait: Duration,
}

impl Resolver {
    /// Starts the thread; `tell` is handed the addresses, and whether all names were resolved.
    pub fn start(tell: impl Fn(Vec<SocketAddr>, bool) + Send + 'static) -> io::Result<Resolver> {
        let (ask, asked) = bounded::<Vec<Peer>>(1);
        std::thread::Builder::new().name("resolver".into()).spawn(move || {
            for peers in asked {
                let mut all = true;
                let mut addresses = Vec::new();
                for peer in &peers {
                    match (peer.host.as_str(), peer.port).to_socket_addrs() {
                        Ok(found) => addresses.extend(found),
                        Err(error) => {
                            tracing::debug!(%peer, %error, "a member to join cannot be resolved");
                            all = false;
                        }
                    }
                }
                addresses.sort_unstable();
                addresses.dedup();
                tell(addresses, all);
            }
        })?;
        Ok(Resolver { ask, peers: Vec::new(), next: Moment::NEVER, wait: AGAIN_MIN })
    }

    /// Asks for these from now on.
    pub(super) fn ask(&mut self, now: Moment, peers: &[Peer]) {
        self.peers = peers.to_vec();
        self.next = now;
        self.ask_if_due(now);
    }

    pub(super) fn next(&self) -> Moment {
        self.next
    }

    pub(super) fn ask_if_due(&mut self, now: Moment) {
        if self.next <= now {
            // While it is still busy with the last asking this one is left out.
            let _ = self.ask.try_send(self.peers.clone());
            self.next = now + self.wait;
        }
    }

    pub(super) fn answered(&mut self, now: Moment, all: bool) {
        self.wait = if all { AGAIN_MAX } else { (self.wait * 2).min(AGAIN_MAX) };
        self.next = now + self.wait;
    }
}
