use std::io;
use std::path::PathBuf;

use opencode_config::RunConfigError;
use opencode_proto::RunEnd;

use super::report::RunReport;
use crate::log::EventLogError;
use crate::process::binary::BinaryNotFound;
use crate::process::cleanup::CleanupError;
use crate::process::launch::GroundError;
use crate::process::launch::SpawnError;
use crate::process::private_dir::PrivateDirError;
use crate::server::ServeError;

/// Why a run gave no complete answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// OpenCode is not installed where it was looked for.
    #[error(transparent)]
    Binary(#[from] BinaryNotFound),
    /// The configuration cannot be run.
    #[error("the run's configuration is not usable")]
    Config(#[from] RunConfigError),
    /// The project's directory is not there.
    #[error("cannot run in {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A flag of `opencode run` that has no meaning over a server. Nothing was started.
    #[error("`{flag}` has no meaning for a run over a server")]
    Flag {
        /// The flag.
        flag: String,
    },
    /// It ran, and its end is not [`RunEnd::Completed`]. All that was gathered is in the report.
    #[error("`{}`: {}", .0.command, .0.outcome.end)]
    Ended(Box<RunReport>),
    /// It ran, but not all of it could be removed afterwards.
    #[error("`{}`: cannot clean up after it", report.command)]
    Leftovers {
        /// What it came to.
        report: Box<RunReport>,
        /// What is left.
        source: CleanupError,
    },
    /// It ran, but its events could not all be written to the log.
    #[error("`{}`: its event log is not complete", report.command)]
    Log {
        /// What it came to.
        report: Box<RunReport>,
        /// What failed.
        source: EventLogError,
    },
    /// The log could not be opened, so nothing was started.
    #[error("cannot write an event log")]
    LogOpen(#[source] EventLogError),
    /// The private directory could not be made.
    #[error("cannot isolate the run")]
    PrivateDir(#[from] PrivateDirError),
    /// The run's own server did not get to work.
    #[error("cannot start a server for the run")]
    Serve(#[source] Box<ServeError>),
    /// It asks for something that a server which runs already cannot be told. Nothing was asked of it.
    #[error("a server that runs already cannot be told its {setting}")]
    Setting {
        /// What.
        setting: &'static str,
    },
    /// The process could not be started.
    #[error("cannot start `{command}`")]
    Spawn {
        /// The command, as a shell would take it.
        command: String,
        /// Why not.
        source: io::Error,
    },
}

impl RunError {
    /// What was gathered, when there was a run at all.
    pub fn report(&self) -> Option<&RunReport> {
        match self {
            Self::Ended(report) | Self::Leftovers { report, .. } | Self::Log { report, .. } => {
                Some(report)
            }
            Self::Binary(_)
            | Self::Config(_)
            | Self::Directory { .. }
            | Self::Flag { .. }
            | Self::LogOpen(_)
            | Self::PrivateDir(_)
            | Self::Serve(_)
            | Self::Setting { .. }
            | Self::Spawn { .. } => None,
        }
    }

    /// How the run ended, when there was a run at all.
    pub fn end(&self) -> Option<&RunEnd> {
        self.report().map(|report| &report.outcome.end)
    }
}

impl From<GroundError> for RunError {
    fn from(error: GroundError) -> Self {
        match error {
            GroundError::Binary(error) => Self::Binary(error),
            GroundError::Config(error) => Self::Config(error),
            GroundError::Directory { path, source } => Self::Directory { path, source },
        }
    }
}

impl From<SpawnError> for RunError {
    fn from(SpawnError { command, source }: SpawnError) -> Self {
        Self::Spawn { command, source }
    }
}

/// How a run ends for its caller.
pub(super) type RunResult = Result<RunReport, RunError>;
