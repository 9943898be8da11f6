use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use opencode_config::{ConfigWarning, RunConfigError};
use opencode_proto::{Answer, RunEnd, RunOutcome};

use crate::binary::BinaryNotFound;
use crate::event_log::EventLogError;
use crate::guardian::GuardianError;
use crate::private_dir::PrivateDirError;
use crate::process_tree::SweepError;
use crate::server::ServeError;
use crate::start::{GroundError, SpawnError};

/// What a run came to, and what is worth knowing about how it was run.
#[derive(Debug)]
#[non_exhaustive]
pub struct RunReport {
    /// How it ended and what was gathered.
    pub outcome: RunOutcome,
    /// The command, as a shell would take it. It shows neither the prompt nor any secret. Over a server, the one that
    /// started it, or that would run the same on it.
    pub command: String,
    /// What was not as it should be and did not stop the run.
    pub warnings: Vec<Warning>,
    /// How often it was started: more than once only after [`RunEnd::StartupDatabase`], and not at all when it was
    /// cancelled before. How often a server of its own was started shows only when all of these failed.
    pub attempts: u32,
}

impl RunReport {
    /// What was gathered.
    pub fn answer(&self) -> &Answer {
        &self.outcome.answer
    }

    /// The answer: see [`Answer::text`].
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        self.outcome.answer.text()
    }
}

/// Something that did not stop a run.
#[derive(Debug)]
#[non_exhaustive]
pub enum Warning {
    /// A configuration file of the user was left out.
    Config(ConfigWarning),
    /// Nothing watches over the run's processes and files should this program be killed.
    Guardian(GuardianError),
    /// Not all of a run could be removed. The run failed as well: otherwise this is [`RunError::Leftovers`].
    Leftovers(CleanupError),
    /// Not all events could be written to the log. The run failed as well: otherwise this is [`RunError::Log`].
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

/// What a run left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CleanupError {
    /// Its private directory is not empty.
    #[error(transparent)]
    PrivateDir(#[from] PrivateDirError),
    /// A process it started still runs, or nobody can tell.
    #[error(transparent)]
    Processes(#[from] SweepError),
    /// The same of the run's own server.
    #[error(transparent)]
    Server(#[from] Arc<Self>),
}

/// Why the version of OpenCode could not be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VersionError {
    /// OpenCode is not installed where it was looked for.
    #[error(transparent)]
    Binary(#[from] BinaryNotFound),
    /// What it left behind could not be removed.
    #[error("cannot clean up after `--version`")]
    Cleanup(#[from] CleanupError),
    /// The environment is not usable.
    #[error("cannot isolate `--version`")]
    Config(#[from] RunConfigError),
    /// It ended without printing a version.
    #[error("`{command}` printed no version: {printed}")]
    NoVersion {
        /// The command, as a shell would take it.
        command: String,
        /// What it printed instead.
        printed: String,
    },
    /// The private directory could not be made.
    #[error("cannot isolate `--version`")]
    PrivateDir(#[from] PrivateDirError),
    /// The process could not be started, or broke off.
    #[error("cannot run `{command}`")]
    Process {
        /// The command, as a shell would take it.
        command: String,
        /// Why not.
        source: io::Error,
    },
    /// It did not answer in time.
    #[error("`{command}` did not answer within {} s", limit.as_secs())]
    TimedOut {
        /// The command, as a shell would take it.
        command: String,
        /// How long it had.
        limit: std::time::Duration,
    },
}

/// What an error says, with its causes.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
