use std::time::Instant;

use super::ServeOutcome;
use crate::run::Signal;

/// What the driver of a server must do next.
///
/// Exhaustive on purpose: a driver that does not know an action must not compile.
#[derive(Debug)]
#[must_use]
pub enum ServeAction {
    /// Over. Nothing follows.
    Finished(Box<ServeOutcome>),
    /// It listens. Comes once at most.
    Ready {
        /// Where a client on this machine reaches it: `http://127.0.0.1:4096`, without a slash at the end.
        url: String,
    },
    /// Signal the process and everything it started.
    Signal(Signal),
    /// The process has exited: end what its tools left running, then go on reading its output to the end.
    Sweep,
    /// Nothing to do until there is another input, or until the wake: then call [`handle_timeout`](super::Serve::handle_timeout).
    Wait(Option<Instant>),
}
