//! How long something kept may be told, in whole seconds, as TTLs are.

use crate::base::time::Moment;

/// Microseconds of a second.
const MICROS: u64 = 1_000_000;

/// How long an answer is told. Of a failure only the first counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Life {
    /// As what its owner says: its least TTL, or what is left of it. Nothing is kept for no time at all.
    pub fresh_seconds: u32,
    /// After that, where there is nothing better (RFC 8767 §4).
    pub stale_seconds: u32,
}

/// What age makes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its owner says so; `ending` if less than a tenth of the time is left.
    Fresh { ending: bool },
    /// Its owner once said so.
    Stale,
    /// It must not be told any more.
    Over,
}

impl Life {
    /// The phase at `now` of what was kept at `kept`.
    #[inline(always)]
    pub(super) fn phase(self, kept: u64, now: Moment) -> Phase {
        let age = now.as_micros().saturating_sub(kept);
        let fresh = u64::from(self.fresh_seconds) * MICROS;
        if age < fresh {
            return Phase::Fresh { ending: (fresh - age) * 10 < fresh };
        }
        match age < fresh + u64::from(self.stale_seconds) * MICROS {
            true => Phase::Stale,
            false => Phase::Over,
        }
    }
}

/// Whole seconds from `kept` to `now`.
#[inline(always)]
pub(super) fn whole_seconds(kept: u64, now: Moment) -> u32 {
    u32::try_from(now.as_micros().saturating_sub(kept) / MICROS).unwrap_or(u32::MAX)
}

/// So many seconds in microseconds.
pub(super) fn micros(seconds: u32) -> u64 {
    u64::from(seconds) * MICROS
}
