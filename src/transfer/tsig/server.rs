//! The side that answers: checking a request, signing what is said to it (RFC 8945 §5.2, §5.3).

use crate::base::time::WallSeconds;
use crate::transfer::tsig::mac::{self, Compared, OCTETS_MAX, Variables, is_in_time, time_octets};
use crate::transfer::tsig::record::{self, Signer, Tsig};
use crate::transfer::tsig::{FUDGE_SECONDS, Key, TsigError, algorithm_name};
use std::sync::Arc;

/// A request whose signature is right, and what was signed last of the answer.
pub struct Session {
    key: Arc<Key>,
    /// The signature of the message before: at first the request's.
    pub(super) prior: [u8; OCTETS_MAX],
    prior_len: usize,
    /// Nothing of the answer was signed yet.
    is_first: bool,
}

/// What a signature turned out to be.
pub enum Checked {
    /// Right.
    Good(Session),
    /// Not: what is to be answered (NOTAUTH beside it).
    Bad(Rejection),
    /// It cannot be one: FORMERR (RFC 8945 §5.2.2.1).
    Malformed,
}

/// An error that a TSIG record of the answer tells.
pub struct Rejection {
    /// Which.
    pub error: TsigError,
    /// The error is told with a signature: that of the request was right as far as it went (RFC 8945 §5.3.2).
    session: Option<Session>,
    time: WallSeconds,
}

/// Checks the signature of a request.
pub fn check<'k>(
    message: &[u8],
    tsig: &Tsig<'_>,
    mut keys: impl Iterator<Item = &'k Arc<Key>>,
    now: WallSeconds,
) -> Checked {
    let bad = |error| Checked::Bad(Rejection { error, session: None, time: now });
    let is_it = |key: &&Arc<Key>| {
        key.name == tsig.key && tsig.algorithm.as_wire().eq_ignore_ascii_case(algorithm_name(key.algorithm))
    };
    let Some(key) = keys.find(is_it) else { return bad(TsigError::BadKey) };
    let right = key.mac().stripped(message, tsig).variables(&tsig.variables()).finish();
    let compared = mac::compare(key, right.as_ref(), tsig.mac);
    match compared {
        Compared::Right | Compared::Short => {}
        Compared::Wrong => return bad(TsigError::BadSig),
        Compared::NoLength => return Checked::Malformed,
    }
    let mut session = Session { key: Arc::clone(key), prior: [0; OCTETS_MAX], prior_len: 0, is_first: true };
    session.remember(tsig.mac);
    // After the signature: who has no key learns nothing of this server's clock (RFC 8945 §5.2.3). Then the length (§5.2).
    if !is_in_time(tsig.time, tsig.fudge, now) {
        let time = tsig.time;
        return Checked::Bad(Rejection { error: TsigError::BadTime, session: Some(session), time });
    }
    if compared == Compared::Short {
        return Checked::Bad(Rejection { error: TsigError::BadTrunc, session: Some(session), time: now });
    }
    Checked::Good(session)
}

impl Session {
    /// The key that signed.
    pub fn key(&self) -> &Arc<Key> {
        &self.key
    }

    /// Octets that signing adds to a message.
    pub fn octets(&self) -> usize {
        self.key.record_octets()
    }

    /// Signs the next message of the answer, which has `len` octets; its length then. `None`, and nothing signed, if
    /// there is no room.
    pub fn sign(&mut self, buffer: &mut [u8], len: usize, now: WallSeconds) -> Option<usize> {
        let variables = Variables { time: now, fudge: FUDGE_SECONDS, error: 0, other: &[] };
        self.sign_with(buffer, len, &variables)
    }

    fn sign_with(&mut self, buffer: &mut [u8], len: usize, variables: &Variables<'_>) -> Option<usize> {
        let key = Arc::clone(&self.key);
        let mac = key.mac().prior(self.prior.get(..self.prior_len)?).message(buffer.get(..len)?);
        let mac = if self.is_first { mac.variables(variables) } else { mac.timers(variables) };
        let tag = mac.finish();
        let end = record::append(buffer, len, &Signer::from(&*key), variables, tag.as_ref())?;
        self.remember(tag.as_ref());
        self.is_first = false;
        Some(end)
    }

    fn remember(&mut self, mac: &[u8]) {
        self.prior_len = mac.len().min(OCTETS_MAX);
        if let (Some(place), Some(mac)) = (self.prior.get_mut(..self.prior_len), mac.get(..self.prior_len)) {
            place.copy_from_slice(mac);
        }
    }
}

impl Rejection {
    /// Tells the error in an answer of `len` octets; its length then. `None` if there is no room: then the answer
    /// says NOTAUTH only.
    pub fn append(
        &mut self,
        tsig: &Tsig<'_>,
        buffer: &mut [u8],
        len: usize,
        now: WallSeconds,
    ) -> Option<usize> {
        let time = time_octets(now);
        let other: &[u8] = if self.error == TsigError::BadTime { &time } else { &[] };
        let (time, error) = (self.time, self.error.code());
        let variables = Variables { time, fudge: FUDGE_SECONDS, error, other };
        match &mut self.session {
            Some(session) => session.sign_with(buffer, len, &variables),
            None => {
                let signer = Signer { key: &tsig.key, algorithm: tsig.algorithm.as_wire() };
                record::append(buffer, len, &signer, &variables, &[])
            }
        }
    }
}
