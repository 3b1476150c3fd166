//! The clocks. Only the loops of threads read them; everything below takes `now` as an argument.

use crate::base::time::{LOOK_BACK, Moment, WallSeconds};
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The start from which all threads count their moments.
static START: OnceLock<Instant> = OnceLock::new();

/// Monotonic time.
#[inline]
#[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub fn now() -> Instant {
    Instant::now()
}

/// An instant as a moment of the one clock that all threads of the process share. It shows [`LOOK_BACK`] when the
/// process starts.
#[inline]
pub fn moment(instant: Instant) -> Moment {
    let start = START.get_or_init(now);
    Moment::START + LOOK_BACK + instant.saturating_duration_since(*start)
}

/// Wall-clock time: for people and logs, never for leases or timeouts.
#[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// Seconds of [`wall`]: for signatures, which end by it.
pub fn wall_seconds() -> WallSeconds {
    WallSeconds(wall().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_just_started_has_moments_of_the_days_before() {
        let now = moment(now());
        assert_eq!(now - now.before(LOOK_BACK), LOOK_BACK);
    }
}
