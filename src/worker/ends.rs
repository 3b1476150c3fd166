//! The ways by which late answers leave: the sockets on which their questions came.

use crate::base::metrics::Transport;
use crate::worker::Desk;
use crate::worker::resolver::Back;
use crate::worker::{tcp, udp};
use mio::Registry;
use std::time::Instant;

/// All sockets of a worker.
pub(super) struct Ends<'w> {
    pub(super) udp: &'w mut udp::Listeners,
    pub(super) tcp: &'w mut tcp::Connections,
    pub(super) registry: &'w Registry,
    pub(super) now: Instant,
}

impl Ends<'_> {
    /// How a query came, and octets that its answer may have; `None`: as many as its asker says.
    pub(super) fn bounds(&self, back: &Back) -> (Option<usize>, Transport) {
        match back {
            Back::Udp { listener, .. } => (None, self.udp.transport(*listener)),
            Back::Tcp { peer, .. } => {
                (Some(usize::from(u16::MAX)), Transport { tcp: true, ipv6: peer.is_ipv6() })
            }
        }
    }

    /// Sends an answer back, or has it sent soon.
    pub(super) fn send(&mut self, back: &Back, reply: &[u8], desk: &Desk) {
        match back {
            Back::Udp { listener, asker } => self.udp.reply_late(*listener, asker, reply, desk),
            Back::Tcp { connection, .. } => self.tcp.reply_late(*connection, reply, self.now),
        }
    }

    /// The asker of a query gets no answer.
    pub(super) fn drop(&mut self, back: &Back) {
        if let Back::Tcp { connection, .. } = back {
            self.tcp.forget(*connection);
        }
    }
}
