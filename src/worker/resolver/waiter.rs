//! Who waits for an answer that has to be found first.

use crate::base::time::Moment;
use crate::os::udp::Asker;
use crate::resolve::body::Body;
use crate::resolve::errand::OwnedBody;
use crate::resolve::question::Question;
use crate::worker::resolver::finder::Missing;
use std::net::IpAddr;

/// Octets of answers that a query takes along: those of a few aliases.
const CARRIED_OCTETS_MAX: usize = 4_096;

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
    /// Answers that have come for it and are not kept, while it waits for others: else it would ask for them again.
    pub(super) carried: Vec<(Missing, OwnedBody)>,
}

impl Waiter {
    pub(super) fn new(message: Vec<u8>, back: Back, since: Moment) -> Waiter {
        Waiter { message, back, since, hops: 0, carried: Vec::new() }
    }

    /// Takes an answer along, if there is room for it.
    pub(super) fn carry(&mut self, question: &Question<'_>, body: &Body<'_>) {
        let held: usize = self.carried.iter().map(|(_, owned)| owned.body().octets.len()).sum();
        if held + body.octets.len() <= CARRIED_OCTETS_MAX && carried(&self.carried, question).is_none() {
            let mut asked = Missing::default();
            asked.note(question);
            self.carried.push((asked, OwnedBody::new(body, 0)));
        }
    }
}

/// What was taken along of a question's answer.
pub(super) fn carried<'c>(carried: &'c [(Missing, OwnedBody)], question: &Question<'_>) -> Option<Body<'c>> {
    carried.iter().find(|(asked, _)| asked.question() == *question).map(|(_, owned)| owned.body())
}
