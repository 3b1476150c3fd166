//! What others ask of zones as such, and tell about them: transfers, NOTIFY, UPDATE, and any message that is signed. All of
//! it is rare beside ordinary queries, and none of it is on their way.
//!
//! ```text
//! message ─┬─ signed: check ─┬─ wrong: NOTAUTH, and why
//!          │                 └─ right ─┐
//!          └─ not signed ──────────────┴─┬─ NOTIFY: who may tell it? ─► told on, and acknowledged
//!                                        ├─ UPDATE: who may change it? ─► carried out elsewhere, answered when it is
//!                                        ├─ AXFR, IXFR: who may have it? ─► Outgoing
//!                                        └─ an ordinary query ─► answered as any other, then signed
//! ```

mod update;

pub use update::{Held, Permitted};

use crate::base::time::WallSeconds;
use crate::catalog::snapshot::{MetricsSlot, Snapshot, ZoneEntry, ZoneNumber};
use crate::transfer::message::NOTIFY;
use crate::transfer::outgoing::Outgoing;
use crate::transfer::policy::{Policy, ZonePolicy};
use crate::transfer::tsig::record::{self, Tsig};
use crate::transfer::tsig::server::{self, Checked, Session};
use crate::transfer::update::UPDATE;
use crate::wire::key::NameKey;
use crate::wire::message::{OPCODE_MASK, Rcode};
use crate::wire::query::{Query, Shape};
use crate::wire::reply::{Reply, Section};
use crate::wire::response::{answer_soa, authority_soa};
use crate::wire::rtype::{Class, RecordType};
use crate::zone::Serial;
use std::net::IpAddr;
use std::sync::Arc;

/// A message that is for this desk.
#[derive(Clone, Copy)]
pub struct Asked<'m> {
    /// The whole message.
    pub message: &'m [u8],
    /// Its shape.
    pub shape: Shape,
    /// Its question's name, hashed with the snapshot's seed.
    pub key: &'m NameKey,
    /// Who sent it.
    pub from: IpAddr,
    /// When it came.
    pub now: WallSeconds,
}

/// Where a reply is written.
pub struct Paper<'b> {
    /// The buffer.
    pub buffer: &'b mut [u8],
    /// Octets of the whole reply.
    pub limit: usize,
    /// Octets of UDP payload this server takes, as its OPT says.
    pub udp_payload_max: u16,
}

/// What becomes of the message.
pub enum Turn {
    /// So many octets are the reply.
    Reply {
        /// Octets.
        len: usize,
        /// The code in it.
        rcode: Rcode,
        /// The zone that it was about, if that is ours.
        zone: Option<MetricsSlot>,
    },
    /// As [`Turn::Reply`]; and the primary of this zone has news.
    Notified {
        /// Octets.
        len: usize,
        /// Which zone.
        number: ZoneNumber,
        /// The serial it tells of, if it does.
        serial: Option<Serial>,
    },
    /// These messages are the reply.
    Transfer(Box<Outgoing>),
    /// This is to be carried out, and answered then.
    Update(Box<Permitted>),
    /// An ordinary query with a right signature: to be answered, and signed by [`sign`].
    Query(Box<Session>),
}

/// Takes a message; `held`: the snapshot to transfer from, where a stream can be had.
pub fn take(
    asked: &Asked<'_>,
    policy: &Policy,
    (snapshot, held): (&Snapshot, Option<&Arc<Snapshot>>),
    paper: Paper<'_>,
) -> Turn {
    let desk = Desk { asked, policy, snapshot };
    let tsig = match record::find(asked.message) {
        Ok(None) => return desk.serve(None, held, paper),
        Ok(Some(tsig)) => tsig,
        Err(record::Malformed) => return desk.say(Rcode::FormErr, None, paper),
    };
    match server::check(asked.message, &tsig, policy.keys().iter(), asked.now) {
        Checked::Good(session) => desk.serve(Some(session), held, paper),
        Checked::Bad(rejection) => desk.reject(&tsig, rejection, paper),
        Checked::Malformed => desk.say(Rcode::FormErr, None, paper),
    }
}

/// Octets that an answer may have if it is to be signed.
pub fn room(limit: usize, session: &Session) -> usize {
    limit.saturating_sub(session.octets())
}

/// Signs the answer of `len` octets; its octets then, 0 if there is no room.
pub fn sign(session: &mut Session, buffer: &mut [u8], len: usize, now: WallSeconds) -> usize {
    session.sign(buffer, len, now).unwrap_or_default()
}

struct Desk<'d> {
    asked: &'d Asked<'d>,
    policy: &'d Policy,
    snapshot: &'d Snapshot,
}

impl Desk<'_> {
    fn query(&self) -> Query<'_> {
        self.asked.shape.of(self.asked.message)
    }

    fn serve(&self, session: Option<Session>, held: Option<&Arc<Snapshot>>, paper: Paper<'_>) -> Turn {
        let query = self.query();
        match query.flags() & OPCODE_MASK {
            NOTIFY => return self.notified(session, paper),
            UPDATE => return self.update(session, paper),
            _ => {}
        }
        match (query.qtype(), session) {
            (RecordType::AXFR | RecordType::IXFR, session) => self.transfer(session, held, paper),
            (_, Some(session)) => Turn::Query(Box::new(session)),
            // Whoever asks this desk without need is not served here.
            (_, None) => self.say(Rcode::FormErr, None, paper),
        }
    }

    /// The zone of which the name asked for is the apex, and what is said of it.
    fn zone(&self) -> Result<(ZoneNumber, &ZoneEntry, &ZonePolicy), Rcode> {
        let key = self.asked.key;
        let number = self.snapshot.find_at(key, key.label_count()).ok_or(Rcode::NotAuth)?;
        let entry = self.snapshot.entry(number).ok_or(Rcode::NotAuth)?;
        let is_apex = entry.labels() == key.label_count() && entry.is_apex();
        if !matches!(self.query().qclass(), Class::IN | Class::ANY) || !is_apex {
            return Err(Rcode::NotAuth);
        }
        // Zones that the configuration does not name are nobody else's affair.
        let policy = self.policy.zone(entry.origin_key()).ok_or(Rcode::Refused)?;
        Ok((number, entry, policy))
    }

    /// RFC 5936 §2.2.1 has NOTAUTH for zones that are not ours and REFUSED for who may not.
    fn transfer(&self, session: Option<Session>, held: Option<&Arc<Snapshot>>, paper: Paper<'_>) -> Turn {
        let query = self.query();
        let is_whole = query.qtype() == RecordType::AXFR;
        // RFC 5936 §4.2 knows no AXFR over UDP.
        if is_whole && held.is_none() {
            return self.say(Rcode::NotImp, session, paper);
        }
        let (number, entry, policy) = match self.zone() {
            Ok(found) => found,
            Err(rcode) => return self.say(rcode, session, paper),
        };
        let key = session.as_ref().map(|session| session.key().name());
        if !policy.transfer.permits(self.asked.from, key) {
            return self.say(Rcode::Refused, session, paper);
        }
        if entry.outward().is_none() {
            return self.say(Rcode::ServFail, session, paper);
        }
        let have = match is_whole {
            true => None,
            false => match authority_soa(self.asked.message) {
                Some(serial) => Some(Serial(serial)),
                None => return self.say(Rcode::FormErr, session, paper),
            },
        };
        let Some(held) = held else { return self.current(entry, session, paper) };
        match Outgoing::begin(Arc::clone(held), number, &query, self.asked.shape, have, session) {
            Some(outgoing) => Turn::Transfer(Box::new(outgoing)),
            None => self.say(Rcode::ServFail, None, paper),
        }
    }

    /// IXFR over UDP: the SOA, which says whether there is anything to come for (RFC 1995 §2, §4).
    fn current(&self, entry: &ZoneEntry, session: Option<Session>, paper: Paper<'_>) -> Turn {
        self.reply(Rcode::NoError, session, paper, |reply| {
            reply.set_authoritative();
            let soa = entry.outward().and_then(|zone| zone.apex().rrset(RecordType::SOA));
            if let Some(soa) = soa {
                let question = reply.question();
                // An SOA and a question always fit.
                let _ = reply.append(Section::Answer, &soa.sealed(), question);
            }
        })
    }

    /// RFC 1996 §3.10, §3.11: from whom it is not, there is no news.
    fn notified(&self, session: Option<Session>, paper: Paper<'_>) -> Turn {
        if self.query().qtype() != RecordType::SOA {
            return self.say(Rcode::NotImp, session, paper);
        }
        let (number, policy) = match self.zone() {
            Ok((number, _, policy)) => (number, policy),
            // Of a zone that nothing is said of nobody can have news.
            Err(_) => return self.say(Rcode::NotAuth, session, paper),
        };
        let Some(from) = &policy.notify_from else { return self.say(Rcode::NotAuth, session, paper) };
        let key = session.as_ref().map(|session| session.key().name());
        if !from.permits(self.asked.from, key) {
            return self.say(Rcode::Refused, session, paper);
        }
        let serial = answer_soa(self.asked.message).map(Serial);
        match self.reply(Rcode::NoError, session, paper, |reply| reply.set_authoritative()) {
            Turn::Reply { len, .. } => Turn::Notified { len, number, serial },
            other @ (Turn::Notified { .. } | Turn::Transfer(_) | Turn::Update(_) | Turn::Query(_)) => other,
        }
    }

    fn reject(&self, tsig: &Tsig<'_>, mut rejection: server::Rejection, paper: Paper<'_>) -> Turn {
        let (rcode, now) = (Rcode::NotAuth, self.asked.now);
        let Paper { buffer, limit, udp_payload_max } = paper;
        let query = self.query();
        let mut reply = Reply::begin(buffer, &query, limit, &[]);
        let len = reply.finish(&query, rcode, udp_payload_max, &[]);
        let room = limit.min(buffer.len());
        let whole = buffer.get_mut(..room).and_then(|buffer| rejection.append(tsig, buffer, len, now));
        Turn::Reply { len: whole.unwrap_or(len), rcode, zone: None }
    }

    fn say(&self, rcode: Rcode, session: Option<Session>, paper: Paper<'_>) -> Turn {
        self.reply(rcode, session, paper, |_| {})
    }

    fn reply(
        &self,
        rcode: Rcode,
        session: Option<Session>,
        Paper { buffer, limit, udp_payload_max }: Paper<'_>,
        fill: impl FnOnce(&mut Reply<'_>),
    ) -> Turn {
        let query = self.query();
        let own = session.as_ref().map_or(limit, |session| room(limit, session));
        let mut reply = Reply::begin(buffer, &query, own, &[]);
        fill(&mut reply);
        let mut len = reply.finish(&query, rcode, udp_payload_max, &[]);
        if let Some(mut session) = session {
            len = sign(&mut session, buffer, len, self.asked.now);
        }
        Turn::Reply { len, rcode, zone: self.zone().ok().map(|(_, entry, _)| entry.metrics()) }
    }
}

#[cfg(test)]
mod tests;
