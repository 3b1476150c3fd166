//! Who waits for an answer that has to be found first.

use crate::base::time::Moment;
use crate::os::udp::Asker;
use std::net::IpAddr;

/// The way back.
#[derive(Clone, Copy)]
pub(in crate::worker) enum Back {
    /// A datagram from that listener's socket.
    Udp {
        /// The listener's number.
        listener: usize,
        /// Who asked, and where.
        asker: Asker,
    },
    /// A message on that connection.
    Tcp {
        /// Which.
        connection: crate::worker::tcp::ConnectionId,
        /// The peer.
        peer: IpAddr,
    },
}

impl Back {
    /// Who asked.
    pub(in crate::worker) fn client(&self) -> IpAddr {
        match self {
            Back::Udp { asker, .. } => asker.source().ip(),
            Back::Tcp { peer, .. } => *peer,
        }
    }
}

/// A query that waits, to be answered anew once more is known.
pub(in crate::worker) struct Waiter {
    /// The query as it came.
    pub(in crate::worker) message: Vec<u8>,
    pub(in crate::worker) back: Back,
    /// When it came.
    pub(in crate::worker) since: Moment,
    /// How often something else was missing.
    pub(in crate::worker) hops: u8,
}
