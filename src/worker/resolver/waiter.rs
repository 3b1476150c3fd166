//! Who waits for an answer that has to be found first.

use crate::base::time::Moment;
use crate::os::udp::Asker;
use crate::resolve::body::Body;
use crate::resolve::errand::OwnedBody;
use crate::resolve::question::Question;
use crate::worker::resolver::finder::Missing;
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
    /// By then it is told something; when it came, while it has waited for nothing yet.
    pub(super) until: Moment,
    /// What it was given on its way and nobody keeps.
    pub(super) given: Vec<Given>,
}

impl Waiter {
    /// True if it has waited for one thing and another as long as it may.
    pub(super) fn is_over(&self, now: Moment) -> bool {
        self.until > self.since && self.until <= now
    }
}

/// An answer that was given to one query, which needs it again when it is answered anew.
pub(in crate::worker) struct Given {
    asked: Missing,
    body: OwnedBody,
}

impl Given {
    /// A copy of an answer, and to which question.
    pub(super) fn new(question: &Question<'_>, body: &Body<'_>) -> Given {
        let mut asked = Missing::default();
        asked.note(question);
        Given { asked, body: OwnedBody::new(body, 0) }
    }

    /// The answer, if it is one to that question.
    pub(super) fn to(&self, question: &Question<'_>) -> Option<Body<'_>> {
        (self.asked.question() == *question).then(|| self.body.body())
    }
}
