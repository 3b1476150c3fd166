//! How a stranger proves that it lives, so that a recording of an earlier day proves nothing.
//!
//! ```text
//!  S ── said, number d ─────────────────────────────────────────► R   R does not know S: keeps what it said
//!  S ◄─ challenge: (boot of S, d), id of R, cookie ─────────────── R
//!  S    sent d a moment ago, so R lives: S has met R
//!  S ── answer: d, cookie, id of S ─────────────────────────────► R   R made the cookie a moment ago for this
//!                                                                     address, so S lives: R has met S
//! ```
//!
//! R remembers nothing for the cookie: it is a hash of what the answer repeats, under a secret of R's own. All three
//! are sealed. What R kept counts once the answer has come, if its number is d or above: S itself has vouched
//! that d was recent. A recording can so be played to a node that forgot its sender, or was started anew, while it
//! is less than four times [`CHALLENGE_TIME`] old: twice until the sender answers, twice until the answer comes.
//! Later it is worth nothing, and to who knows the sender it never is. Two nodes that never met know each other after one round trip.

use crate::base::time::Moment;
use crate::gossip::identity::NodeId;
use bincode::{Decode, Encode};
use ring::hmac;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// For so long a challenge can be answered, and what a stranger said is kept: far above any round trip.
pub const CHALLENGE_TIME: Duration = Duration::from_secs(5);

/// Who are you, and is it you who said this just now?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(super) struct Challenge {
    /// The boot nonce of whom it is for.
    pub(super) boot: u64,
    /// The number of what made it necessary.
    pub(super) number: u64,
    /// Who asks.
    pub(super) asker: NodeId,
    /// To be repeated.
    pub(super) cookie: u64,
}

/// It is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(super) struct Answer {
    /// As in the challenge.
    pub(super) number: u64,
    /// As in the challenge.
    pub(super) cookie: u64,
    /// Who answers.
    pub(super) id: NodeId,
}

/// Makes cookies and knows its own again.
pub(super) struct Cookies(hmac::Key);

impl Cookies {
    pub(super) fn new(secret: &[u8; 32]) -> Cookies {
        Cookies(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The cookie for what a boot said under a number from an address.
    pub(super) fn bake(&self, now: Moment, from: SocketAddr, boot: u64, number: u64) -> u64 {
        self.of_period(period(now), from, boot, number)
    }

    /// True if this is such a cookie, made less than twice [`CHALLENGE_TIME`] ago. Compared without care for
    /// how long that takes: whoever can send a cookie to compare holds the cluster's key.
    pub(super) fn is_own(&self, now: Moment, from: SocketAddr, boot: u64, number: u64, cookie: u64) -> bool {
        let now = period(now);
        let periods = [Some(now), now.checked_sub(1)];
        periods.into_iter().flatten().any(|period| self.of_period(period, from, boot, number) == cookie)
    }

    fn of_period(&self, period: u64, from: SocketAddr, boot: u64, number: u64) -> u64 {
        let ip = match from.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let mut hash = hmac::Context::with_key(&self.0);
        hash.update(b"cookie");
        [period, boot, number].iter().for_each(|part| hash.update(&part.to_be_bytes()));
        hash.update(&ip.octets());
        hash.update(&from.port().to_be_bytes());
        hash.sign().as_ref().first_chunk().copied().map(u64::from_be_bytes).unwrap_or_default()
    }
}

fn period(now: Moment) -> u64 {
    now.as_micros() / CHALLENGE_TIME.as_micros() as u64
}

/// Which of its own numbers a node used of late: two marks instead of a moment for each.
///
/// Invariant: `newer` was made when `older` was at least [`CHALLENGE_TIME`] old, by the first sealing after that;
/// every number from a mark's on was used at its moment or later.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Recent {
    older: Mark,
    newer: Mark,
}

#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    at: Moment,
    number: u64,
}

impl Recent {
    /// This number is used now.
    pub(super) fn note(&mut self, now: Moment, number: u64) {
        if now.since(self.newer.at) >= CHALLENGE_TIME {
            *self = Recent { older: self.newer, newer: Mark { at: now, number } };
        }
    }

    /// True of numbers used within [`CHALLENGE_TIME`], false of those used more than twice that ago. The number
    /// must have been used.
    pub(super) fn holds(&self, now: Moment, number: u64) -> bool {
        let marks = [self.older, self.newer];
        let mark = marks.into_iter().find(|mark| now.since(mark.at) < CHALLENGE_TIME * 2);
        mark.is_some_and(|mark| number >= mark.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Moment {
        Moment::from_micros(millis * 1_000)
    }

    #[test]
    fn a_cookie_is_good_for_its_address_sender_and_number_and_for_a_while() {
        let cookies = Cookies::new(&[1; 32]);
        let from: SocketAddr = "192.0.2.1:7953".parse().unwrap();
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:7953".parse().unwrap();
        let other: SocketAddr = "192.0.2.1:7954".parse().unwrap();
        let cookie = cookies.bake(at(1_000), from, 1, 2);
        assert!(cookies.is_own(at(5_999), from, 1, 2, cookie));
        assert!(cookies.is_own(at(1_000), mapped, 1, 2, cookie));
        assert!(!cookies.is_own(at(10_000), from, 1, 2, cookie));
        assert!(!cookies.is_own(at(1_000), other, 1, 2, cookie));
        assert!(!cookies.is_own(at(1_000), from, 2, 2, cookie));
        assert!(!cookies.is_own(at(1_000), from, 1, 3, cookie));
        assert!(!Cookies::new(&[2; 32]).is_own(at(1_000), from, 1, 2, cookie));
    }

    proptest! {
        #[test]
        fn recent_numbers_are_known_and_old_ones_are_not(
            pauses in prop::collection::vec(0u64..12_000, 1..40),
            wait in 0u64..15_000,
        ) {
            let (mut now, mut recent, mut used) = (20_000, Recent::default(), Vec::new());
            for (number, pause) in (1..).zip(pauses) {
                now += pause;
                recent.note(at(now), number);
                used.push((number, now));
            }
            now += wait;
            for (number, then) in used {
                match now - then {
                    0..=5_000 => prop_assert!(recent.holds(at(now), number)),
                    10_000.. => prop_assert!(!recent.holds(at(now), number)),
                    _ => {}
                }
            }
        }
    }
}
