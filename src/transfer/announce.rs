//! Telling others of a new version (RFC 1996 §3.6): again and again until they acknowledge it, or a newer one is told.
//!
//! **The law of use: [`Announcements::poll`] until it yields `None`, and again at [`Announcements::next_wake`].**

use crate::base::time::Moment;
use crate::transfer::message::is_answer_to;
use crate::wire::name::Name;
use std::net::SocketAddr;
use std::time::Duration;

/// How long the first acknowledgement is waited for; twice as long each further time.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often each is told. The last waits for half a minute; who was away for longer asks when its refresh is due.
const TRIES: u32 = 6;
/// Announcements under way at once; the oldest go first.
const PENDING_MAX: usize = 4_096;

struct Pending {
    origin: Name,
    to: SocketAddr,
    key: Option<Name>,
    message: Vec<u8>,
    tries: u32,
    next: Moment,
}

/// An announcement to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Send {
    /// To whom.
    pub to: SocketAddr,
    /// The message, without a signature.
    pub message: Vec<u8>,
    /// The name of the key that signs it.
    pub key: Option<Name>,
}

/// What nobody acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unheard {
    /// The zone.
    pub origin: Name,
    /// Who.
    pub to: SocketAddr,
}

/// All announcements under way.
#[derive(Default)]
pub struct Announcements {
    pending: Vec<Pending>,
}

impl Announcements {
    /// Begins to tell; what was told of the zone before is overtaken.
    pub fn tell(&mut self, now: Moment, origin: &Name, to: SocketAddr, key: Option<Name>, message: Vec<u8>) {
        self.pending.retain(|pending| pending.to != to || pending.origin != *origin);
        if self.pending.len() >= PENDING_MAX {
            self.pending.remove(0);
        }
        self.pending.push(Pending { origin: origin.clone(), to, key, message, tries: 0, next: now });
    }

    /// A message came: true if it acknowledges something.
    pub fn heard(&mut self, from: SocketAddr, message: &[u8]) -> bool {
        let before = self.pending.len();
        self.pending.retain(|pending| {
            pending.tries == 0 || pending.to != from || !is_answer_to(&pending.message, message)
        });
        self.pending.len() < before
    }

    /// What is to be sent now; or who did not hear.
    pub fn poll(&mut self, now: Moment) -> Option<Result<Send, Unheard>> {
        let at = self.pending.iter().position(|pending| pending.next <= now)?;
        let pending = &mut self.pending[at];
        if pending.tries == TRIES {
            let Pending { origin, to, .. } = self.pending.remove(at);
            return Some(Err(Unheard { origin, to }));
        }
        pending.next = now + PATIENCE * 2u32.pow(pending.tries);
        pending.tries += 1;
        Some(Ok(Send { to: pending.to, message: pending.message.clone(), key: pending.key.clone() }))
    }

    /// When there is something to send.
    pub fn next_wake(&self) -> Moment {
        self.pending.iter().map(|pending| pending.next).min().unwrap_or(Moment::NEVER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::message::notify;

    fn acknowledgement(message: &[u8]) -> Vec<u8> {
        let mut answer = message.to_vec();
        answer[2] |= 0x80;
        answer
    }

    #[test]
    fn it_is_told_again_until_somebody_hears_it_or_patience_ends() {
        let (origin, to) = (Name::parse("a.").unwrap(), "192.0.2.1:53".parse().unwrap());
        let message = notify(7, &origin, &[0; 22]);
        let mut told = Announcements::default();
        told.tell(Moment::START, &origin, to, None, message.clone());
        let mut sent = Vec::new();
        let unheard = loop {
            let now = told.next_wake();
            match told.poll(now).unwrap() {
                Ok(_) => sent.push(now.since(Moment::START).as_secs()),
                Err(unheard) => break unheard,
            }
            assert!(told.poll(now).is_none());
        };
        assert_eq!(sent, [0, 1, 3, 7, 15, 31]);
        assert_eq!(unheard, Unheard { origin: origin.clone(), to });
        assert_eq!(told.next_wake(), Moment::NEVER);

        told.tell(Moment::START, &origin, to, None, message.clone());
        assert!(!told.heard(to, &acknowledgement(&message)), "nothing was sent yet");
        assert!(told.poll(Moment::START).unwrap().is_ok());
        for (from, id) in [("192.0.2.2:53", 7), ("192.0.2.1:53", 8)] {
            let mut answer = acknowledgement(&message);
            answer[1] = id;
            assert!(!told.heard(from.parse().unwrap(), &answer));
        }
        assert!(told.heard(to, &acknowledgement(&message)));
        assert!(told.poll(told.next_wake()).is_none());
    }

    #[test]
    fn a_newer_version_takes_the_place_of_an_older_one() {
        let (origin, to) = (Name::parse("a.").unwrap(), "192.0.2.1:53".parse().unwrap());
        let mut told = Announcements::default();
        for id in 0..3 {
            told.tell(Moment::START, &origin, to, None, notify(id, &origin, &[0; 22]));
        }
        assert_eq!(told.poll(Moment::START).unwrap().unwrap().message[..2], [0, 2]);
        assert!(told.poll(Moment::START).is_none());
    }
}
