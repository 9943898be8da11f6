use std::time::Instant;

use super::RunOutcome;
use crate::process::Signal;
use crate::run_event::RunEvent;

/// Next task for the driver of a [`Run`](super::Run).
///
/// Exhaustive on purpose: a driver that does not know an action must not compile.
#[derive(Debug)]
#[must_use]
pub enum RunAction {
    /// Hand the event to the application.
    Event(Box<RunEvent>),
    /// The run is over. No action follows.
    Finished(Box<RunOutcome>),
    /// Send the signal to the process and to every process that it started.
    Signal(Signal),
    /// The process has exited: end the processes that tools left behind, then go on reading the
    /// output until it ends.
    Sweep,
    /// Wait for the next input. At the given time, if any, call
    /// [`handle_timeout`](super::Run::handle_timeout).
    Wait(Option<Instant>),
}
