//! Processes of one run: search, signals, and the end of all of them.
//!
//! OpenCode starts tools in sessions of their own and does not end them on its own exit: they live
//! on as children of init, and no signal to OpenCode's process group reaches them. The shell of a
//! tool may exit before its background processes, so that the chain of parents breaks. All
//! processes keep their environment, however. So a process belongs to a run
//!
//! - if its environment contains the [`Marker`] of the run, or
//! - if its parent belongs to the run, or
//! - if an earlier scan found that the process belongs to the run.
//!
//! Each member has a handle (a pidfd) that never names another process. A reused pid is never
//! signalled, and neither is this program or one of its ancestors.
//!
//! Without `/proc`, the table is the output of `ps`, and pid and start time are compared right
//! before each signal in place of a pidfd. Outside of Unix only the direct child is known, and the
//! owner of the child ends it.
//!
//! A process that leaves its parents and clears (or overwrites) its environment between two scans
//! is not found.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::runtime::describe::debug_as_chain;

pub(crate) use self::marker::Marker;
#[cfg(unix)]
pub(crate) use self::tree::ProcessTree;
#[cfg(not(unix))]
pub(crate) use self::tree_unknown::UnknownTree as ProcessTree;

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
mod tree_unknown;

#[cfg(all(test, unix))]
pub(crate) mod tests;

/// Entry in the environment of a guardian. No cleanup ends a guardian, which cleans up after an
/// inner run when the program of that run is gone.
pub(crate) const GUARDIAN_ENTRY: &str = "OPENCODE_RS_GUARDIAN=1";

/// Returns the start time of a process, in ticks since the boot; `None` when there is no such
/// process. A process that this user may not see is an error.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn start_time(pid: u32) -> io::Result<Option<u64>> {
    procfs::start_time(pid)
}

/// Returns the start time of a process, which is unknown on this system.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn start_time(_: u32) -> io::Result<Option<u64>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Limits on the time of [`ProcessTree::sweep`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SweepLimits {
    /// Time between SIGTERM and SIGKILL. Zero kills at once.
    pub(crate) grace: Duration,
    /// Time for killed processes to disappear.
    pub(crate) kill_timeout: Duration,
}

impl Default for SweepLimits {
    fn default() -> Self {
        Self { grace: Duration::from_millis(500), kill_timeout: Duration::from_secs(5) }
    }
}

/// Error of a scan of the processes of a run, or of a signal to them.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ProcessTreeError {
    /// A process cannot be signalled, although it runs and is not protected.
    #[error("cannot signal the processes of the run")]
    Signal(#[source] io::Error),
    /// The process table (`/proc`, or the output of `ps`) cannot be read.
    #[error("cannot read the process table")]
    Table(#[source] io::Error),
    /// The exit of a process cannot be waited for.
    #[error("cannot wait for the processes of the run")]
    Wait(#[source] io::Error),
}

debug_as_chain!(ProcessTreeError);

/// Error of the cleanup of processes: some may be left.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum SweepError {
    /// The leftover processes could not be listed or signalled.
    #[error("cannot end the leftover processes of the run")]
    Failed(#[from] ProcessTreeError),
    /// These processes are still alive.
    #[error("processes of the run are still alive: {0}")]
    Survived(Survivors),
}

debug_as_chain!(SweepError);

/// The processes that outlived a clean-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survivors(Vec<Survivor>);

/// One process that outlived a clean-up: stuck in the kernel, or another user's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Survivor {
    /// Process id.
    pub pid: u32,
    /// Name of the program, as the system shortens it (15 bytes on Linux), without arguments.
    pub command: String,
}

impl Survivors {
    /// Returns the processes by pid; at least one.
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
