//! The side that asks: signing a request, checking what is said to it, message by message (RFC 8945 §5.1, §5.3, §5.4).

use crate::base::time::WallSeconds;
use crate::transfer::tsig::mac::{self, Compared, Variables, is_in_time};
use crate::transfer::tsig::record::{self, Signer};
use crate::transfer::tsig::{FUDGE_SECONDS, Key, algorithm_name};
use std::fmt;
use std::sync::Arc;

/// Messages of a stream that may follow each other without a signature (RFC 8945 §5.3.1).
const UNSIGNED_MAX: usize = 99;

/// A signed request that waits for its answer.
pub struct Exchange {
    key: Arc<Key>,
    /// The last signature: at first the request's.
    prior: Vec<u8>,
    /// Messages since, each as it came.
    unsigned: Vec<u8>,
    unsigned_count: usize,
    is_first: bool,
}

/// Why an answer is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unproven {
    /// It carries no signature where it has to.
    Unsigned,
    /// Its TSIG record cannot be read.
    Malformed,
    /// Another key or algorithm signed.
    OtherKey,
    /// The signature is wrong, or cut short.
    BadSig,
    /// It was signed at another time than now.
    BadTime,
    /// The peer says that something is wrong with ours: the error's number.
    Refused(u16),
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unproven::Unsigned => f.write_str("the answer is not signed"),
            Unproven::Malformed => f.write_str("the answer's TSIG record is malformed"),
            Unproven::OtherKey => f.write_str("the answer is signed with another key"),
            Unproven::BadSig => f.write_str("the answer's signature is wrong"),
            Unproven::BadTime => f.write_str("the answer was signed at another time: do the clocks differ?"),
            Unproven::Refused(code) => {
                let reason = match code {
                    16 => "BADSIG: are the secrets the same?",
                    17 => "BADKEY: it does not have this key, or not of this algorithm",
                    18 => "BADTIME: do the clocks differ?",
                    22 => "BADTRUNC",
                    _ => return write!(f, "the peer refused our signature: TSIG error {code}"),
                };
                write!(f, "the peer refused our signature: {reason}")
            }
        }
    }
}

impl Exchange {
    /// Signs a request.
    pub fn begin(key: &Arc<Key>, request: &mut Vec<u8>, now: WallSeconds) -> Exchange {
        let variables = Variables { time: now, fudge: FUDGE_SECONDS, error: 0, other: &[] };
        let tag = key.mac().message(request).variables(&variables).finish();
        let len = request.len();
        request.resize(len + key.record_octets(), 0);
        // The room is what was just made.
        let end = record::append(request, len, &Signer::from(&**key), &variables, tag.as_ref());
        request.truncate(end.unwrap_or(len));
        Exchange {
            key: Arc::clone(key),
            prior: tag.as_ref().to_vec(),
            unsigned: Vec::new(),
            unsigned_count: 0,
            is_first: true,
        }
    }

    /// Checks the next message of the answer. **After an error nothing more of it may be believed.** A message without
    /// a signature in the midst of a stream is believed once a later one is signed: [`Exchange::finish`] tells.
    pub fn heard(&mut self, message: &[u8], now: WallSeconds) -> Result<(), Unproven> {
        let Some(tsig) = record::find(message).map_err(|_| Unproven::Malformed)? else {
            if self.is_first || self.unsigned_count == UNSIGNED_MAX {
                return Err(Unproven::Unsigned);
            }
            self.unsigned.extend_from_slice(message);
            self.unsigned_count += 1;
            return Ok(());
        };
        let is_ours = tsig.key == self.key.name
            && tsig.algorithm.as_wire().eq_ignore_ascii_case(algorithm_name(self.key.algorithm));
        // Errors of the key or the signature cannot be signed: they end the exchange without being believed more.
        if tsig.mac.is_empty() {
            return Err(if tsig.error == 0 { Unproven::BadSig } else { Unproven::Refused(tsig.error) });
        }
        if !is_ours {
            return Err(Unproven::OtherKey);
        }
        let mac = self.key.mac().prior(&self.prior).message(&self.unsigned).stripped(message, &tsig);
        let variables = tsig.variables();
        let mac = if self.is_first { mac.variables(&variables) } else { mac.timers(&variables) };
        if mac::compare(&self.key, mac.finish().as_ref(), tsig.mac) != Compared::Right {
            return Err(Unproven::BadSig);
        }
        if tsig.error != 0 {
            return Err(Unproven::Refused(tsig.error));
        }
        if !is_in_time(tsig.time, tsig.fudge, now) {
            return Err(Unproven::BadTime);
        }
        self.prior.clear();
        self.prior.extend_from_slice(tsig.mac);
        self.unsigned.clear();
        self.unsigned_count = 0;
        self.is_first = false;
        Ok(())
    }

    /// The answer is complete: an error if its last message was not signed.
    pub fn finish(&self) -> Result<(), Unproven> {
        if self.is_first || self.unsigned_count > 0 { Err(Unproven::Unsigned) } else { Ok(()) }
    }
}
