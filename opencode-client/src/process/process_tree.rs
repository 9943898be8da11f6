//! The processes of one run: finding, ending and outliving them.
//!
//! OpenCode starts its tools in sessions of their own and does not end them when it dies: they
//! live on as children of init, and no signal to OpenCode's process group reaches them. A tool's
//! shell may be gone before what it put into the background, so that parents lead nowhere either.
//! What all of them keep is their environment. So a process belongs to a run
//!
//! - if its environment holds the run's [`Marker`], or
//! - if its parent belongs to the run, or
//! - if it belonged the last time that anybody looked.
//!
//! Every member is held by a handle that names this one process for ever (a pidfd); a pid that has
//! gone to another process is never signalled, nor is this program or one that it descends from.
//!
//! Where there is no `/proc`, the same is done with what `ps` tells, and pid and start time are
//! compared right before each signal in place of a pidfd. Off Unix nothing but the direct child is
//! known, and that is for its owner to end.
//!
//! Out of reach is a process that leaves its parents and clears (or overwrites) its environment
//! between two looks.

use std::fmt;
use std::io;
use std::time::Duration;

pub(crate) use self::marker::Marker;
pub(crate) use self::tree::ProcessTree;

mod marker;

#[cfg(unix)]
mod clock;
#[cfg(unix)]
mod handle;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod procfs;
#[cfg(all(unix, any(test, not(any(target_os = "linux", target_os = "android")))))]
mod ps;
#[cfg(unix)]
mod row;
#[cfg(unix)]
mod table;
#[cfg(unix)]
mod tree;
#[cfg(not(unix))]
#[path = "process_tree/tree_unknown.rs"]
mod tree;

#[cfg(all(test, unix))]
pub(crate) mod tests;

/// Set in the environment of a guardian, which no clean-up ends: it does one itself, of what an
/// inner run left, when the program it guards is gone.
pub(crate) const GUARDIAN_ENTRY: &str = "OPENCODE_RS_GUARDIAN=1";

/// How long [`ProcessTree::sweep`] may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SweepLimits {
    /// How long processes may tidy up after SIGTERM. Zero: they are killed at once.
    pub(crate) grace: Duration,
    /// How long the killed may take to be gone.
    pub(crate) kill_timeout: Duration,
}

impl Default for SweepLimits {
    fn default() -> Self {
        Self { grace: Duration::from_millis(500), kill_timeout: Duration::from_secs(5) }
    }
}

/// The processes of a run could not be looked up or signalled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessTreeError {
    /// A process could not be signalled, for another reason than that it is gone or protected.
    #[error("cannot signal the processes of the run")]
    Signal(#[source] io::Error),
    /// The process table (`/proc`, or the output of `ps`) could not be read.
    #[error("cannot read the process table")]
    Table(#[source] io::Error),
    /// The end of a process could not be waited for.
    #[error("cannot wait for the processes of the run")]
    Wait(#[source] io::Error),
}

/// A run is over and may have left processes behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SweepError {
    /// What the run left could not be found or ended.
    #[error("cannot end what the run left behind")]
    Failed(#[from] ProcessTreeError),
    /// These processes are still alive.
    #[error("processes of the run are still alive: {0}")]
    Survived(Survivors),
}

/// The processes that outlived a clean-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survivors(Vec<Survivor>);

/// One process that outlived a clean-up: stuck in the kernel, or another user's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Survivor {
    /// Its process id.
    pub pid: u32,
    /// The name of its program, as the system shortens it (15 bytes on Linux). No arguments.
    pub command: String,
}

impl Survivors {
    /// The processes by pid; at least one.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Survivor> {
        self.0.iter()
    }
}

impl fmt::Display for Survivors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Survivor { pid, command }) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{pid} ({})", command.escape_debug())?;
        }
        Ok(())
    }
}
