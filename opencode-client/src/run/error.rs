use std::io;
use std::path::PathBuf;

use opencode_config::RunConfigError;
use opencode_proto::{RunEnd, Version};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::report::RunReport;
use crate::log::EventLogError;
use crate::process::binary::BinaryNotFound;
use crate::process::cleanup::CleanupError;
use crate::process::launch::{LaunchPlanError, SpawnError};
use crate::process::private_dir::PrivateDirError;
use crate::process::version::{VersionError, in_parentheses};
use crate::runtime::describe::{debug_as_chain, describe};
use crate::server::ServeError;

/// Error of a run that gave no complete answer.
///
/// `Debug` prints the message with its causes, and leaves the report out. `Serialize` writes
/// `{message, report}`: the message with its causes, and the [`report`](Self::report) or `null`.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// OpenCode is not installed in any place that was searched.
    #[error(transparent)]
    Binary(#[from] BinaryNotFound),
    /// The configuration of the run is not usable.
    #[error("the configuration of the run is not usable")]
    Config(#[from] RunConfigError),
    /// The project's directory does not exist or cannot be read.
    #[error("cannot run in {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// A flag of `opencode run` is not supported by a run over a server. Nothing was started.
    #[error("flag `{flag}` is not supported by the server backend")]
    Flag {
        /// Name of the flag, with dashes.
        flag: String,
    },
    /// The run ended, and not as [`RunEnd::Completed`]. The report holds all that was gathered.
    #[error("`{}`{}: {}", .0.command, in_parentheses(.0.version.as_ref()), .0.outcome.end)]
    Ended(Box<RunReport>),
    /// The run completed, and not everything could be removed afterwards.
    #[error(
        "cannot clean up after `{}`{}",
        report.command,
        in_parentheses(report.version.as_ref())
    )]
    Leftovers {
        /// Report of the run.
        report: Box<RunReport>,
        /// Processes or files that are left.
        source: CleanupError,
    },
    /// The run completed, and not all events could be written to the log.
    #[error(
        "the event log of `{}`{} is not complete",
        report.command,
        in_parentheses(report.version.as_ref())
    )]
    Log {
        /// Report of the run.
        report: Box<RunReport>,
        /// Error of the log.
        source: EventLogError,
    },
    /// The log could not be opened. Nothing was started.
    #[error("cannot write an event log")]
    LogOpen(#[source] EventLogError),
    /// The private directory of the run could not be created.
    #[error("cannot isolate the run")]
    PrivateDir(#[from] PrivateDirError),
    /// The run's own server did not start.
    #[error("cannot start a server for the run")]
    Serve(#[source] Box<ServeError>),
    /// The run needs a setting that a server takes at the start only. Nothing was sent.
    #[error("`{setting}` cannot be changed on a running server")]
    Setting {
        /// Name of the setting.
        setting: &'static str,
    },
    /// The process could not be started.
    #[error("cannot start `{command}`{}", in_parentheses(version.as_ref()))]
    Spawn {
        /// The command in the form of a shell.
        command: String,
        /// Version of OpenCode, as far as it is known.
        version: Option<Version>,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The version of OpenCode is not supported, or the program prints none. Nothing was sent.
    #[error("the version check of OpenCode failed")]
    Version(#[source] VersionError),
}

impl RunError {
    /// Returns the report of the run, if anything was started.
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
            | Self::Spawn { .. }
            | Self::Version(_) => None,
        }
    }

    /// Returns the end of the run, if anything was started.
    pub fn end(&self) -> Option<&RunEnd> {
        self.report().map(|report| &report.outcome.end)
    }
}

debug_as_chain!(RunError);

impl Serialize for RunError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut error = serializer.serialize_struct("RunError", 2)?;
        error.serialize_field("message", &describe(self))?;
        error.serialize_field("report", &self.report())?;
        error.end()
    }
}

impl From<LaunchPlanError> for RunError {
    fn from(error: LaunchPlanError) -> Self {
        match error {
            LaunchPlanError::Binary(error) => Self::Binary(error),
            LaunchPlanError::Config(error) => Self::Config(error),
            LaunchPlanError::Directory { path, source } => Self::Directory { path, source },
        }
    }
}

impl From<VersionError> for RunError {
    fn from(error: VersionError) -> Self {
        if let VersionError::Binary(error) = error {
            return Self::Binary(error);
        }
        Self::Version(error)
    }
}

impl From<SpawnError> for RunError {
    fn from(SpawnError { command, version, source }: SpawnError) -> Self {
        Self::Spawn { command, version, source }
    }
}

/// Result of a run for the caller.
pub(super) type RunResult = Result<RunReport, RunError>;
