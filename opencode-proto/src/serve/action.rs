use std::time::{Duration, Instant};

use super::ServeOutcome;
use crate::process::Signal;
use crate::surroundings::PluginFault;

/// Next task for the driver of a [`Serve`](super::Serve).
///
/// Exhaustive on purpose: a driver that does not know an action must not compile.
#[derive(Debug)]
#[must_use]
pub enum ServeAction {
    /// The process is over. No action follows.
    Finished(Box<ServeOutcome>),
    /// The server listens. Comes at most once.
    Ready {
        /// URL for a client on this machine: `http://127.0.0.1:4096`, without a slash at the end.
        url: String,
    },
    /// Find out how much processor time the process and its children have used, and pass the result
    /// to [`handle_inspection`](super::Serve::handle_inspection).
    Inspect,
    /// OpenCode works without this plugin, whose function failed.
    PluginFailed(PluginFault),
    /// The process does not listen yet, and works on the start.
    Starting {
        /// Time since the start.
        elapsed: Duration,
    },
    /// Send the signal to the process and to every process that it started.
    Signal(Signal),
    /// The process has exited: end the processes that tools left behind, then go on reading the
    /// output until it ends.
    Sweep,
    /// Wait for the next input. At the given time, if any, call
    /// [`handle_timeout`](super::Serve::handle_timeout).
    Wait(Option<Instant>),
}
