//! Time of real processes. They end in real time whatever clock the runtime has: a simulated runtime
//! ends its processes itself (`Runtime::process_control`), and none of this is called.

use std::thread;
use std::time::{Duration, Instant};

#[expect(clippy::disallowed_methods, reason = "real processes end in real time")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// Blocks the thread, one that `Runtime::blocking` provides.
#[expect(clippy::disallowed_methods, reason = "no signal says that a foreign process has stopped")]
pub(super) fn pause(time: Duration) {
    thread::sleep(time);
}

/// Returns the end of this time, or of a year when that is shorter.
pub(super) fn later(time: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    now() + time.min(FAR)
}
