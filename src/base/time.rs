//! Time as a value. Whoever owns a loop reads a clock and hands in what it says; everything below counts in
//! [`Moment`]s, which a test may make up.

use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// What a clock of this process shows at least: so much of the past has moments too. A node is told how long ago
/// something became true, and counts from then, though it may have been started since. Longer than anything is
/// remembered that has an age.
pub const LOOK_BACK: Duration = Duration::from_secs(3 * 24 * 3_600);

/// Seconds since 1970, as a clock on the wall shows them: by them signatures begin and end (RFC 4034 §3.1.5, RFC 8945 §4.2),
/// and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallSeconds(pub u64);

/// A moment on a monotonic clock, in microseconds since a start that only the clock's owner knows. Two moments
/// compare only if they come from one clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The clock's start.
    pub const START: Moment = Moment(0);
    /// Later than anything that happens.
    pub const NEVER: Moment = Moment(u64::MAX);

    /// That many microseconds after the clock's start.
    pub const fn from_micros(micros: u64) -> Moment {
        Moment(micros)
    }

    /// Microseconds since the clock's start.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time since `earlier`; zero if that is not earlier.
    pub const fn since(self, earlier: Moment) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// Before this moment by `span`, but not before the clock's start.
    pub fn before(self, span: Duration) -> Moment {
        Moment(self.0.saturating_sub(micros(span)))
    }
}

/// As whole microseconds; what does not fit is for ever.
fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

impl Add<Duration> for Moment {
    type Output = Moment;

    /// Saturates at [`Moment::NEVER`].
    fn add(self, span: Duration) -> Moment {
        Moment(self.0.saturating_add(micros(span)))
    }
}

impl AddAssign<Duration> for Moment {
    fn add_assign(&mut self, span: Duration) {
        *self = *self + span;
    }
}

impl Sub<Moment> for Moment {
    type Output = Duration;

    /// As [`Moment::since`].
    fn sub(self, earlier: Moment) -> Duration {
        self.since(earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_never_wrap_around() {
        let later = Moment::START + Duration::from_secs(2);
        assert_eq!(later.as_micros(), 2_000_000);
        assert_eq!(later - Moment::START, Duration::from_secs(2));
        assert_eq!(Moment::START - later, Duration::ZERO);
        assert_eq!(Moment::NEVER + Duration::from_secs(1), Moment::NEVER);
        assert_eq!(later + Duration::MAX, Moment::NEVER);
        assert_eq!(later.before(Duration::MAX), Moment::START);
    }
}
