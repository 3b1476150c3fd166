//! Waiting for what another process does.

use std::time::Duration;

/// Waits until `condition` holds, which is looked at every `pace`; false if it does not within `patience`.
pub fn until_within(patience: Duration, pace: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let (_nobody_sends, wait) = std::sync::mpsc::channel::<()>();
    let deadline = now() + patience;
    while now() < deadline {
        if condition() {
            return true;
        }
        let _ = wait.recv_timeout(pace);
    }
    condition()
}

/// The clock: deadlines of tests against real processes need a real one.
#[expect(clippy::disallowed_methods, reason = "the other side is another process, not a simulation")]
pub fn now() -> std::time::Instant {
    std::time::Instant::now()
}
