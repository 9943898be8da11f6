use std::fmt;

use opencode_config::ConfigWarning;

use super::cleanup::CleanupError;
use super::guardian::GuardianError;
use crate::log::EventLogError;

/// A problem that did not stop a run or a server.
#[derive(Debug)]
#[non_exhaustive]
pub enum Warning {
    /// A configuration file of the user was ignored.
    Config(ConfigWarning),
    /// No guardian watches the run: processes and files stay behind if this program is killed.
    Guardian(GuardianError),
    /// The cleanup after a failed run was not complete. After a successful run, this is
    /// [`RunError::Leftovers`](crate::RunError::Leftovers).
    Leftovers(CleanupError),
    /// The log of a failed run is not complete. After a successful run, this is
    /// [`RunError::Log`](crate::RunError::Log).
    Log(EventLogError),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(warning) => warning.fmt(f),
            Self::Guardian(error) => error.fmt(f),
            Self::Leftovers(error) => error.fmt(f),
            Self::Log(error) => error.fmt(f),
        }
    }
}
