//! The clocks. Only the loops of threads read them; everything below takes `now` as an argument.

use std::time::{Instant, SystemTime};

/// Monotonic time.
#[inline]
#[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub fn now() -> Instant {
    Instant::now()
}

/// Wall-clock time: for people and logs, never for leases or timeouts.
#[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}
