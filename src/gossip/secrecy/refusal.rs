//! Why octets from the network were not taken, and how often each.

use std::fmt;

/// Why a datagram or a stream was refused. It changed nothing but a counter. Never a fault of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refused {
    /// It ends too soon.
    Truncated,
    /// Of a version that this program does not speak.
    Version,
    /// Authentic, or in clear, but not made as this version is made.
    Malformed,
    /// Of another cluster: another key, or another cluster name.
    Foreign,
    /// In clear, and this node has keys.
    Unsealed,
    /// Sealed, and this node has no keys.
    Sealed,
    /// Sealed with no key of ours, whatever it claims, or changed on the way.
    Forged,
    /// Taken before, or too old to tell.
    Replayed,
    /// A challenge or an answer to one that is about nothing recent.
    Stale,
    /// This node's own.
    Own,
}

impl Refused {
    /// Each of them.
    pub const ALL: [Refused; 10] = [
        Refused::Truncated,
        Refused::Version,
        Refused::Malformed,
        Refused::Foreign,
        Refused::Unsealed,
        Refused::Sealed,
        Refused::Forged,
        Refused::Replayed,
        Refused::Stale,
        Refused::Own,
    ];

    /// One word, for metrics.
    pub const fn reason(self) -> &'static str {
        match self {
            Refused::Truncated => "truncated",
            Refused::Version => "version",
            Refused::Malformed => "malformed",
            Refused::Foreign => "foreign",
            Refused::Unsealed => "unsealed",
            Refused::Sealed => "sealed",
            Refused::Forged => "forged",
            Refused::Replayed => "replayed",
            Refused::Stale => "stale",
            Refused::Own => "own",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for Refused {}

/// How often each reason came up since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusals([u64; Refused::ALL.len()]);

impl Refusals {
    /// How often this one.
    pub fn of(&self, why: Refused) -> u64 {
        self.0[why as usize]
    }

    /// Each with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Refused, u64)> + '_ {
        Refused::ALL.into_iter().map(|why| (why, self.of(why)))
    }

    pub(super) fn count(&mut self, why: Refused) {
        let count = &mut self.0[why as usize];
        *count = count.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_counter_of_its_own() {
        let mut refusals = Refusals::default();
        for (at, why) in Refused::ALL.into_iter().enumerate() {
            (0..=at).for_each(|_| refusals.count(why));
        }
        let counts: Vec<_> = refusals.iter().map(|(_, count)| count).collect();
        assert_eq!(counts, (1..=Refused::ALL.len() as u64).collect::<Vec<_>>());
    }
}
