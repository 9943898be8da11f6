use std::fmt;

use opencode_config::ConfigWarning;

use super::cleanup::CleanupError;
use super::guardian::GuardianError;
use crate::log::EventLogError;

/// Something that did not stop a run.
#[derive(Debug)]
#[non_exhaustive]
pub enum Warning {
    /// A configuration file of the user was left out.
    Config(ConfigWarning),
    /// Nothing watches over the run's processes and files should this program be killed.
    Guardian(GuardianError),
    /// Not all of a run could be removed. The run failed as well: otherwise this is [`RunError::Leftovers`](crate::RunError::Leftovers).
    Leftovers(CleanupError),
    /// Not all events could be written to the log. The run failed as well: otherwise this is [`RunError::Log`](crate::RunError::Log).
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
