use std::time::Instant;

use super::RunOutcome;
use crate::run_event::RunEvent;

/// What the driver must do next.
///
/// Exhaustive on purpose: a driver that does not know an action must not compile.
#[derive(Debug)]
#[must_use]
pub enum RunAction {
    /// Tell the application.
    Event(Box<RunEvent>),
    /// Over. Nothing follows.
    Finished(Box<RunOutcome>),
    /// Signal the process and everything it started.
    Signal(Signal),
    /// The process has exited: end what its tools left running, then go on reading its output to the end.
    Sweep,
    /// Nothing to do until there is another input, or until the wake: then call [`handle_timeout`](super::Run::handle_timeout).
    Wait(Option<Instant>),
}

/// How to end a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// At once (`SIGKILL`).
    Kill,
    /// Politely (`SIGTERM`).
    Terminate,
}
