//! What a worker does with messages that are about zones as such, or signed. None of it is on the way of ordinary queries.

use crate::answer::{self, Bounds, Outcome, Scratch, Verdict};
use crate::base::time::Moment;
use crate::catalog::snapshot::{Snapshot, ZoneNumber};
use crate::os::clock;
use crate::transfer::desk::{self, Asked, Paper, Turn};
use crate::transfer::outgoing::Outgoing;
use crate::transfer::policy::Policy;
use crate::transfer::tsig::server::Session;
use crate::wire::key::NameKey;
use crate::wire::message::Rcode;
use crate::wire::query::Shape;
use crate::worker::resolver::Back;
use crate::worker::updates::{Taken, Updates};
use crate::zone::Serial;
use arc_swap::ArcSwap;
use std::net::IpAddr;
use std::sync::Arc;

/// Takes the news that the primary of a zone, by its apex in lower-cased wire form, has a new version. It must not wait.
pub type Told = Box<dyn Fn(&[u8], Option<Serial>) + Send>;

/// What a worker needs for it.
pub struct Exchange {
    /// Which zones go to whom, with which keys.
    pub policy: Arc<ArcSwap<Policy>>,
    /// Where news goes.
    pub told: Told,
    /// Where updates go, and what comes back.
    pub updates: Updates,
}

impl Default for Exchange {
    /// Nobody may anything.
    fn default() -> Exchange {
        Exchange { policy: Arc::default(), told: Box::new(|_, _| {}), updates: Updates::new(Box::new(drop)) }
    }
}

/// A message, and what a worker knows of who sent it.
pub(super) struct Special<'m> {
    pub(super) message: &'m [u8],
    pub(super) shape: Shape,
    /// Hashed with the snapshot's seed.
    pub(super) key: &'m NameKey,
    pub(super) from: IpAddr,
    /// The way back, for an answer that takes its time.
    pub(super) back: Back,
    pub(super) now: Moment,
}

/// What becomes of it.
pub(super) enum Done {
    /// A reply of one message.
    Reply(Outcome),
    /// A stream of them.
    Stream(Box<Outgoing>),
    /// A reply later.
    Later,
    /// None.
    Nothing,
}

impl Exchange {
    /// Takes a message; `held` as for [`desk::take`].
    #[cold]
    #[inline(never)]
    pub(super) fn take(
        &self,
        special: &Special<'_>,
        (snapshot, held): (&Snapshot, Option<&Arc<Snapshot>>),
        scratch: &mut Scratch,
        paper: Paper<'_>,
    ) -> Done {
        let Special { message, shape, key, from, back, now } = *special;
        let asked = Asked { message, shape, key, from, now: clock::wall_seconds() };
        let policy = self.policy.load();
        let Paper { buffer, limit, udp_payload_max } = paper;
        let turn = {
            let paper = Paper { buffer: &mut *buffer, limit, udp_payload_max };
            desk::take(&asked, &policy, (snapshot, held), paper)
        };
        match turn {
            Turn::Reply { len, rcode, zone } => {
                Done::Reply(Outcome { verdict: Verdict::Reply(len), rcode, zone })
            }
            Turn::Notified { len, number, serial } => {
                let entry = snapshot.entry(number);
                if let Some(entry) = entry {
                    (self.told)(entry.origin_key(), serial);
                }
                let (verdict, rcode) = (Verdict::Reply(len), Rcode::NoError);
                Done::Reply(Outcome { verdict, rcode, zone: entry.map(|entry| entry.metrics()) })
            }
            Turn::Transfer(outgoing) => Done::Stream(outgoing),
            Turn::Update(permitted) => match self.updates.take(*permitted, message, back, now) {
                Taken::Waits => Done::Later,
                Taken::Again => Done::Nothing,
                Taken::Answer(held, rcode) => {
                    let zone = Some(held.zone());
                    let verdict = match held.answer(rcode, buffer, clock::wall_seconds()) {
                        0 => Verdict::Drop,
                        len => Verdict::Reply(len),
                    };
                    Done::Reply(Outcome { verdict, rcode, zone })
                }
            },
            Turn::Query(session) => {
                let paper = Paper { buffer, limit, udp_payload_max };
                Done::Reply(answer_signed(special, snapshot, scratch, paper, *session))
            }
        }
    }
}

/// Answers an ordinary query whose signature is right, from our own zones: whoever signs is another name server.
fn answer_signed(
    special: &Special<'_>,
    snapshot: &Snapshot,
    scratch: &mut Scratch,
    Paper { buffer, limit, udp_payload_max }: Paper<'_>,
    mut session: Session,
) -> Outcome {
    let Special { message, shape, key, now, .. } = *special;
    let from = Some(special.from);
    let bounds = Bounds { limit: desk::room(limit, &session), udp_payload_max, now, from };
    let route = answer::route(snapshot, &shape, key, ZoneNumber::default());
    let way = (route, route.hint(snapshot, key));
    let outcome = answer::answer(snapshot, way, &shape.of(message), key, scratch, buffer, bounds);
    match outcome.verdict {
        Verdict::Reply(len) => match desk::sign(&mut session, buffer, len, clock::wall_seconds()) {
            0 => Outcome { verdict: Verdict::Drop, ..outcome },
            len => Outcome { verdict: Verdict::Reply(len), ..outcome },
        },
        Verdict::Drop | Verdict::Forward | Verdict::Transfer => outcome,
    }
}
