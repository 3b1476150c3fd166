//! Looking for upstream servers that lead back to us: the machine's clock and its sockets.

use crate::os::{clock, entropy};
use crate::resolve::loops::{Output, Watch};
use crate::resolve::lots::Lots;
use crate::resolve::policy::Policy;
use crate::services::resolving::datagram;
use arc_swap::ArcSwap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

/// How often it is looked whether something is due, another policy among it.
const PACE: Duration = Duration::from_secs(1);
/// How long an answer is waited for, so that its sender does not meet a closed port.
const PATIENCE: Duration = Duration::from_secs(3);

/// The machine, and when it has its turn.
pub(super) struct Patrol {
    policy: Arc<ArcSwap<Policy>>,
    watch: Watch,
    pace: Interval,
}

impl Patrol {
    pub(super) fn new(policy: Arc<ArcSwap<Policy>>) -> Patrol {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Patrol { policy, watch: Watch::new(Lots::new(|| entropy::random().ok())), pace }
    }

    /// Waits for the next turn.
    pub(super) async fn next(&mut self) {
        self.pace.tick().await;
    }

    /// Does what is due.
    pub(super) fn turn(&mut self, tasks: &mut JoinSet<()>) {
        self.watch.turn(clock::moment(clock::now()), self.policy.load().loops());
        while let Some(output) = self.watch.poll() {
            match output {
                Output::Send { to, octets } => _ = tasks.spawn(send(to, octets)),
                Output::Tell { suffix, to, loops: true } => {
                    tracing::warn!(
                        "forward.\"{suffix}\": {to} leads back to this server: it is not asked while it does"
                    );
                }
                Output::Tell { suffix, to, loops: false } => {
                    tracing::info!("forward.\"{suffix}\": {to} does not lead back to this server any more");
                }
            }
        }
    }
}

/// Sends a query. What counts is whether it comes back to us, not what is answered.
async fn send(to: SocketAddr, octets: Vec<u8>) {
    let Ok(socket) = datagram::bind(to.is_ipv6()).and_then(UdpSocket::from_std) else { return };
    if socket.send_to(&octets, to).await.is_ok() {
        let _ = timeout(PATIENCE, socket.recv(&mut [0; 512])).await;
    }
}
