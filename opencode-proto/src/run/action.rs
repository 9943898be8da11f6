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
    Wait(Option<Wake>),
}

/// How to end a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// At once (`SIGKILL`).
    Kill,
    /// Politely (`SIGTERM`).
    Terminate,
}

/// When to look again, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wake {
    /// When.
    pub at: Instant,
    /// Why.
    pub reason: WakeReason,
}

/// What a [`Wake`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WakeReason {
    /// To stop waiting for the end of a process that even `SIGKILL` did not end.
    Abandon,
    /// To see whether a deadline has passed.
    Deadline,
    /// To stop reading the output of a process that has exited.
    Drain,
    /// To send `SIGKILL`.
    Kill,
    /// To end a process that has answered, or closed its output, and does not exit.
    Linger,
    /// To look at what the server knows, because its events leave something open.
    Look,
    /// To connect again.
    Reconnect,
    /// To try again what failed: a job, or the start of a server.
    Repeat,
    /// To take a connection on which nothing is heard for a broken one.
    Silence,
    /// To send `SIGTERM` once more.
    Terminate,
}
