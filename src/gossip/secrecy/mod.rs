//! Who may speak in a cluster, and that nobody else listens: between the sockets and the frames. Without sockets,
//! clocks and randomness of its own.
//!
//! ```text
//!  octets from the network ─► Header ─► key by its hint ─► replay window ─► tag ─► known? ─► Opened::Said
//!                                │            │                 │            │       └─ no ─► keep it, challenge
//!                                └────────────┴─────────────────┴────────────┴─► Refused: counted, else nothing
//! ```
//!
//! Whoever holds a key of the cluster may speak; there is no secret between members. Whoever holds none can
//! neither read, nor make, nor change, nor repeat anything, and learns only who talks to whom and when.
//!
//! **A boot nonce must come from the system's entropy, anew for each start: two lives with one nonce under one
//! key would seal different things with the same numbers, which gives both away.** With 64 bits, ten thousand
//! nodes that each start once a day repeat one with a chance of 1 in 27,000 in ten years. A machine that is set
//! back to a snapshot of its memory repeats itself, whatever its nonce; its node must be started anew.
//!
//! Without keys the same layout goes in clear; the mark of the cluster's name keeps apart what shares a
//! network by mistake, and there is no challenge, because nothing could be proven.
//!
//! # Reading order
//!
//! [`key`], [`keyring`], [`keys_file`]: the secrets. [`derive`]: what is made of them. [`header`], [`window`],
//! [`challenge`], [`session`], [`waiting`]: datagrams, put together here. [`record`], [`stream`]: streams.
//!
//! # What it does not know
//!
//! What is said, who is a member, where a member lives, and how a change of the ring reaches the others.

pub mod challenge;
mod derive;
pub mod header;
pub mod key;
pub mod keyring;
pub mod keys_file;
pub mod record;
pub mod refusal;
pub mod session;
pub mod stream;
pub mod waiting;
pub mod window;

use crate::base::time::Moment;
use crate::gossip::codec;
use crate::gossip::identity::NodeId;
use bytes::Bytes;
use challenge::{Answer, Challenge, Cookies, Recent};
use derive::{Cipher, Root, TRANSFER_OCTETS};
use header::{HINT_SHORT, Header, Kind};
use key::KeyId;
use keyring::{Ring, RingChange, RingError};
use refusal::{Refusals, Refused};
use ring::hmac;
use session::{Session, Sessions};
use std::net::SocketAddr;
use waiting::Waiting;
use window::Window;

pub use header::OVERHEAD;

/// One life of a node, as those know it that hear it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// The node.
    pub id: NodeId,
    /// The nonce that it drew when it started.
    pub boot: u64,
}

/// What an authentic datagram is.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened<'o> {
    /// A member says this, now.
    Said {
        /// Who.
        sender: Peer,
        /// What.
        plain: &'o [u8],
    },
    /// A stranger says something, now or once. It was kept; send this back to find out.
    Stranger {
        /// A datagram.
        challenge: Bytes,
    },
    /// A member does not know this node yet. It is alive; send this back.
    Doubted {
        /// Who.
        sender: Peer,
        /// A datagram.
        answer: Bytes,
    },
    /// A stranger proved to be alive, and this is what it said before. From now on it is known.
    Met {
        /// Who.
        sender: Peer,
        /// What, in the order in which it was said; mostly one, none if it came too late.
        said: Vec<Box<[u8]>>,
    },
}

/// The keys, the sessions and the counters of one node.
pub struct Secrecy {
    cluster: Box<str>,
    mark: [u8; 4],
    me: Peer,
    ring: Ring,
    /// One for each key of the ring, in its order.
    roots: Vec<Root>,
    /// Of the first root; `None`: in clear.
    sealing: Option<(Cipher, [u8; HINT_SHORT])>,
    /// The last that sealed a datagram. Goes on through changes of keys and of identity: no number comes twice.
    number: u64,
    recent: Recent,
    cookies: Cookies,
    salts: hmac::Key,
    streams: u64,
    sessions: Sessions,
    waiting: Waiting,
    refusals: Refusals,
}

impl Secrecy {
    /// For a node of a cluster. `secret` is for this node alone and must come from the system's entropy anew
    /// for each start, as must the boot nonce.
    pub fn new(cluster: &str, ring: Ring, me: Peer, secret: [u8; 32]) -> Secrecy {
        let mut secrecy = Secrecy {
            cluster: cluster.into(),
            mark: header::cluster_mark(cluster),
            me,
            ring: Ring::default(),
            roots: Vec::new(),
            sealing: None,
            number: 0,
            recent: Recent::default(),
            cookies: Cookies::new(&secret),
            salts: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            streams: 0,
            sessions: Sessions::default(),
            waiting: Waiting::default(),
            refusals: Refusals::default(),
        };
        secrecy.replace_ring(ring);
        secrecy
    }

    /// The keys as they are.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// What signs transfers of shared zones: one secret for each key of the ring, in its order.
    pub fn transfer_secrets(&self) -> Vec<(KeyId, [u8; TRANSFER_OCTETS])> {
        let secrets = self.ring.keys().iter().zip(&self.roots);
        secrets.map(|(key, root)| (key.id(), root.transfer())).collect()
    }

    /// Takes a step of a rotation; false if it was taken before. Streams that are open keep their keys.
    pub fn change(&mut self, change: &RingChange) -> Result<bool, RingError> {
        let mut ring = self.ring.clone();
        let changed = ring.change(change)?;
        if changed {
            self.replace_ring(ring);
        }
        Ok(changed)
    }

    /// Takes other keys, as an operator's file says. Sessions last: they hold no keys.
    pub fn replace_ring(&mut self, ring: Ring) {
        self.roots = ring.keys().iter().map(|key| Root::new(&self.cluster, key)).collect();
        self.ring = ring;
        self.key_anew();
    }

    /// Speaks as another from now on, because this identity was another's. The boot nonce must be new, too:
    /// others know a node by it.
    pub fn rename(&mut self, me: Peer) {
        self.me = me;
        self.key_anew();
    }

    /// Forgets a node's sessions; if it speaks again it is challenged again.
    pub fn forget(&mut self, id: NodeId) {
        self.sessions.forget(id);
    }

    /// What was refused since the start, datagrams and streams together.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Lives of nodes that are known; at most [`session::SESSIONS_MAX`].
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Datagrams of strangers that wait; at most [`waiting::WAITING_MAX`].
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Makes a datagram of `plain`, at most [`OVERHEAD`] octets longer. It may be sent to several members, and
    /// should be sent at once: after [`challenge::CHALLENGE_TIME`] no stranger takes it any more.
    pub fn seal(&mut self, now: Moment, plain: &[u8]) -> Bytes {
        self.seal_as(now, Kind::Said, plain)
    }

    /// Opens a datagram in its place. Time: one hash and one pass of the cipher, whoever sent it.
    pub fn open<'o>(
        &mut self,
        now: Moment,
        from: SocketAddr,
        octets: &'o mut [u8],
    ) -> Result<Opened<'o>, Refused> {
        let opened = match Header::parse(octets) {
            Err(why) => Err(why),
            Ok((Header::Clear { mark, sender }, length)) => self.open_clear(mark, sender, &octets[length..]),
            Ok((Header::Sealed { kind, hint, boot, number }, length)) => {
                let (header, sealed) = octets.split_at_mut(length);
                self.open_sealed(hint, boot, number, header, sealed)
                    .and_then(|plain| self.hear(now, from, kind, boot, number, plain))
            }
        };
        opened.inspect_err(|why| self.refusals.count(*why))
    }

    fn open_clear<'o>(&self, mark: [u8; 4], sender: Peer, plain: &'o [u8]) -> Result<Opened<'o>, Refused> {
        if !self.roots.is_empty() {
            Err(Refused::Unsealed)
        } else if mark != self.mark {
            Err(Refused::Foreign)
        } else if sender == self.me {
            Err(Refused::Own)
        } else {
            Ok(Opened::Said { sender, plain })
        }
    }

    /// What was sealed, if a member sealed it and it was not heard before. Changes nothing.
    fn open_sealed<'o>(
        &self,
        hint: [u8; HINT_SHORT],
        boot: u64,
        number: u64,
        header: &[u8],
        sealed: &'o mut [u8],
    ) -> Result<&'o [u8], Refused> {
        if self.roots.is_empty() {
            return Err(Refused::Sealed);
        }
        let alike = |root: &&Root| root.hint().starts_with(&hint);
        let mut roots = self.roots.iter().filter(alike);
        let (first, others) = (roots.next().ok_or(Refused::Foreign)?, roots);
        if self.sessions.get(boot).is_some_and(|session| !session.window.is_fresh(number)) {
            return Err(Refused::Replayed);
        }
        // A key that does not fit spoils what it was tried on. That two look alike is one chance in 65,536.
        for root in others {
            let mut copy = sealed.to_vec();
            if root.datagram(boot).open(number, header, &mut copy).is_some() {
                let plain = root.datagram(boot).open(number, header, sealed);
                return plain.map(|plain| &*plain).ok_or(Refused::Forged);
            }
        }
        first.datagram(boot).open(number, header, sealed).map(|plain| &*plain).ok_or(Refused::Forged)
    }

    fn hear<'o>(
        &mut self,
        now: Moment,
        from: SocketAddr,
        kind: Kind,
        boot: u64,
        number: u64,
        plain: &'o [u8],
    ) -> Result<Opened<'o>, Refused> {
        if boot == self.me.boot {
            return Err(Refused::Own);
        }
        match kind {
            Kind::Clear => Err(Refused::Malformed),
            Kind::Said => Ok(match self.sessions.get_mut(boot) {
                Some(session) => {
                    session.window.take(number);
                    session.heard = now;
                    Opened::Said { sender: Peer { id: session.id, boot }, plain }
                }
                None => {
                    self.waiting.keep(now, boot, number, plain);
                    Opened::Stranger { challenge: self.challenge(now, from, boot, number) }
                }
            }),
            Kind::Challenge => {
                let challenge = codec::decode_all(plain).map_err(|_| Refused::Malformed)?;
                self.answer(now, boot, number, challenge)
            }
            Kind::Answer => {
                let answer = codec::decode_all(plain).map_err(|_| Refused::Malformed)?;
                self.meet(now, from, boot, number, answer)
            }
        }
    }

    fn challenge(&mut self, now: Moment, from: SocketAddr, boot: u64, number: u64) -> Bytes {
        let cookie = self.cookies.bake(now, from, boot, number);
        let mut plain = Vec::new();
        codec::encode(&mut plain, &Challenge { boot, number, asker: self.me.id, cookie });
        self.seal_as(now, Kind::Challenge, &plain)
    }

    /// Whoever repeats a number that this node used a moment ago is alive.
    fn answer(
        &mut self,
        now: Moment,
        boot: u64,
        number: u64,
        challenge: Challenge,
    ) -> Result<Opened<'static>, Refused> {
        let of_mine = challenge.boot == self.me.boot && (1..=self.number).contains(&challenge.number);
        if !of_mine || !self.recent.holds(now, challenge.number) {
            return Err(Refused::Stale);
        }
        // What it said before this challenge is not known to be recent until it answers a challenge in turn.
        self.admit(now, boot, number, challenge.asker, number)?;
        let mut plain = Vec::new();
        let Challenge { number, cookie, .. } = challenge;
        codec::encode(&mut plain, &Answer { number, cookie, id: self.me.id });
        let answer = self.seal_as(now, Kind::Answer, &plain);
        Ok(Opened::Doubted { sender: Peer { id: challenge.asker, boot }, answer })
    }

    /// Whoever repeats a cookie that this node made a moment ago is alive.
    fn meet(
        &mut self,
        now: Moment,
        from: SocketAddr,
        boot: u64,
        number: u64,
        answer: Answer,
    ) -> Result<Opened<'static>, Refused> {
        if !self.cookies.is_own(now, from, boot, answer.number, answer.cookie) {
            return Err(Refused::Stale);
        }
        self.admit(now, boot, number, answer.id, answer.number)?;
        let said = self.waiting.take(now, boot, answer.number);
        Ok(Opened::Met { sender: Peer { id: answer.id, boot }, said })
    }

    /// Knows this life from now on; `floor` and what was said before it is never taken.
    fn admit(&mut self, now: Moment, boot: u64, number: u64, id: NodeId, floor: u64) -> Result<(), Refused> {
        if self.sessions.get(boot).is_none() {
            let mut window = Window::above(floor.min(number));
            // What waits is handed out once, and not a second time because it comes a second time.
            self.waiting.numbers(boot).for_each(|kept| _ = window.take(kept));
            self.sessions.insert(boot, Session { id, window, heard: now });
        }
        match self.sessions.get_mut(boot) {
            Some(session) if session.id == id => {
                session.window.take(number);
                session.heard = now;
                Ok(())
            }
            _ => Err(Refused::Malformed),
        }
    }

    fn seal_as(&mut self, now: Moment, kind: Kind, plain: &[u8]) -> Bytes {
        let mut octets = Vec::with_capacity(OVERHEAD + plain.len());
        match &self.sealing {
            None => {
                Header::Clear { mark: self.mark, sender: self.me }.emit(&mut octets);
                octets.extend_from_slice(plain);
            }
            Some((cipher, hint)) => {
                // At a thousand million in a second the numbers end after 584 years.
                self.number += 1;
                self.recent.note(now, self.number);
                Header::Sealed { kind, hint: *hint, boot: self.me.boot, number: self.number }
                    .emit(&mut octets);
                let header = octets.len();
                octets.extend_from_slice(plain);
                cipher.seal(self.number, &mut octets, header);
            }
        }
        octets.into()
    }

    fn key_anew(&mut self) {
        self.sealing = self.roots.first().map(|root| {
            let [first, second, ..] = *root.hint();
            (root.datagram(self.me.boot), [first, second])
        });
    }
}

#[cfg(test)]
mod tests;
