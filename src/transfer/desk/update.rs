//! UPDATE (RFC 2136): who may change a zone, and what its answer needs once that is done.

use super::{Desk, Paper, Turn, room, sign};
use crate::base::time::WallSeconds;
use crate::catalog::snapshot::MetricsSlot;
use crate::transfer::tsig::server::Session;
use crate::transfer::update::Update;
use crate::wire::message::Rcode;
use crate::wire::query::Shape;
use crate::wire::reply::Reply;

/// An update that may be carried out.
pub struct Permitted {
    /// What is asked for.
    pub update: Update,
    /// For its answer.
    pub held: Held,
}

/// What the answer to an update needs of the message.
pub struct Held {
    /// Header and zone section as they came.
    question: Box<[u8]>,
    shape: Shape,
    session: Option<Session>,
    limit: usize,
    udp_payload_max: u16,
    zone: MetricsSlot,
}

impl Held {
    /// True if the message was signed: sent again, it is the same message.
    pub fn is_signed(&self) -> bool {
        self.session.is_some()
    }

    /// Where the zone's counters stand.
    pub fn zone(&self) -> MetricsSlot {
        self.zone
    }

    /// Writes the answer; its octets. 0 if there is no room.
    pub fn answer(mut self, code: Rcode, buffer: &mut [u8], now: WallSeconds) -> usize {
        let query = self.shape.of(&self.question);
        let limit = self.session.as_ref().map_or(self.limit, |session| room(self.limit, session));
        let mut reply = Reply::begin(buffer, &query, limit, &[]);
        let len = reply.finish(&query, code, self.udp_payload_max, &[]);
        match &mut self.session {
            Some(session) => sign(session, buffer, len, now),
            None => len,
        }
    }
}

impl Desk<'_> {
    /// Who may is asked before what it is about (RFC 2136 §3.3 has it later): a stranger learns nothing of a zone by
    /// prerequisites.
    pub(super) fn update(&self, session: Option<Session>, paper: Paper<'_>) -> Turn {
        let (entry, policy) = match self.zone() {
            Ok((_, entry, policy)) => (entry, policy),
            Err(rcode) => return self.say(rcode, session, paper),
        };
        let key = session.as_ref().map(|session| session.key().name());
        if !policy.update.permits(self.asked.from, key) {
            return self.say(Rcode::Refused, session, paper);
        }
        if entry.content().is_none() {
            return self.say(Rcode::ServFail, session, paper);
        }
        let update = match Update::read(self.asked.message) {
            Ok(update) => update,
            Err(rcode) => return self.say(rcode, session, paper),
        };
        let update = match key.and_then(|key| self.policy.rights(key)) {
            Some(rights) => rights.permit(update),
            None => Some(update),
        };
        let Some(update) = update else { return self.say(Rcode::Refused, session, paper) };
        let (shape, Paper { limit, udp_payload_max, .. }) = (self.asked.shape, paper);
        let (question, zone) = (self.query().header_and_question().into(), entry.metrics());
        let held = Held { question, shape, session, limit, udp_payload_max, zone };
        Turn::Update(Box::new(Permitted { update, held }))
    }
}
