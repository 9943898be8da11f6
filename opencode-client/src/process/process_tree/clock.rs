//! Time for the table of real processes, which end in real time. A simulated runtime ends its
//! processes itself (`Runtime::process_control`) and never calls these functions.

use std::thread;
use std::time::{Duration, Instant};

#[expect(clippy::disallowed_methods, reason = "real processes end in real time")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// Blocks the thread, which is one of `Runtime::blocking`.
#[expect(clippy::disallowed_methods, reason = "no signal says that a foreign process has stopped")]
pub(super) fn pause(time: Duration) {
    thread::sleep(time);
}

/// Returns the end of this time, which is at most a year.
pub(super) fn later(time: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    now() + time.min(FAR)
}
