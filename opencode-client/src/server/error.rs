use std::io;
use std::path::PathBuf;
use std::time::Duration;

use opencode_config::RunConfigError;
use opencode_proto::ServeOutcome;

use crate::http::{CallError, UrlError};
use crate::process::binary::BinaryNotFound;
use crate::process::launch::LaunchPlanError;
use crate::process::launch::SpawnError;
use crate::process::private_dir::PrivateDirError;
use crate::runtime::describe::debug_as_chain;

/// Why no server was started. Nothing of it is left.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// OpenCode is not installed where it was looked for.
    #[error(transparent)]
    Binary(#[from] BinaryNotFound),
    /// The configuration cannot be passed on.
    #[error("the server's configuration is not usable")]
    Config(#[from] RunConfigError),
    /// The project's directory is not there.
    #[error("cannot serve {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It ended before it was ready.
    #[error("`{command}`: {}", .outcome.end)]
    Ended {
        /// The command, as a shell would take it.
        command: String,
        /// How it ended, and what it printed.
        outcome: Box<ServeOutcome>,
    },
    /// OpenCode does not accept its configuration, of which the user's and the project's can be part.
    #[error("`{command}`: {message}")]
    InvalidConfig {
        /// The command, as a shell would take it.
        command: String,
        /// What is wrong, in OpenCode's words.
        message: String,
        /// The end of its standard error.
        stderr: String,
    },
    /// It cannot listen where it was told to: for the most part because the port is in use.
    #[error("`{command}` cannot listen on {address}")]
    Listen {
        /// The command, as a shell would take it.
        command: String,
        /// Host and port.
        address: String,
        /// Why not, as this program sees it: OpenCode does not say.
        source: io::Error,
        /// The end of its standard error.
        stderr: String,
    },
    /// There is no free port.
    #[error("cannot find a free port on {hostname}")]
    NoPort {
        /// Where one was looked for.
        hostname: String,
        /// Why there is none.
        source: io::Error,
    },
    /// The private directory could not be made.
    #[error("cannot isolate the server")]
    PrivateDir(#[from] PrivateDirError),
    /// The process could not be started.
    #[error("cannot start `{command}`")]
    Spawn {
        /// The command, as a shell would take it.
        command: String,
        /// Why not.
        source: io::Error,
    },
    /// It was not ready in time.
    #[error("`{command}` was not ready within {limit:?}")]
    TimedOut {
        /// The command, as a shell would take it.
        command: String,
        /// The time it had.
        limit: Duration,
        /// The end of its standard error.
        stderr: String,
    },
    /// It listens where this crate cannot speak to it, or its user has a name that HTTP cannot say.
    #[error("`{command}` cannot be spoken to")]
    Url {
        /// The command, as a shell would take it.
        command: String,
        /// Why not.
        source: UrlError,
    },
    /// It listens, and does not work.
    #[error("`{command}` listens on {url} and does not work")]
    Unhealthy {
        /// The command, as a shell would take it.
        command: String,
        /// Where it listens.
        url: String,
        /// What does not work.
        source: HealthError,
        /// The end of its standard error.
        stderr: String,
    },
}

debug_as_chain!(ServeError);

impl ServeError {
    /// The end of what the process wrote to standard error, without colours, if there was a process.
    pub fn stderr(&self) -> Option<&str> {
        match self {
            Self::Ended { outcome, .. } => Some(&outcome.stderr),
            Self::InvalidConfig { stderr, .. }
            | Self::Listen { stderr, .. }
            | Self::TimedOut { stderr, .. }
            | Self::Unhealthy { stderr, .. } => Some(stderr),
            Self::Binary(_)
            | Self::Config(_)
            | Self::Directory { .. }
            | Self::NoPort { .. }
            | Self::PrivateDir(_)
            | Self::Spawn { .. }
            | Self::Url { .. } => None,
        }
    }

    /// Whether another try may help, with nothing changed here.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Ended { .. }
            | Self::Listen { .. }
            | Self::NoPort { .. }
            | Self::Spawn { .. }
            | Self::TimedOut { .. }
            | Self::Unhealthy { .. } => true,
            Self::Binary(_)
            | Self::Config(_)
            | Self::Directory { .. }
            | Self::InvalidConfig { .. }
            | Self::PrivateDir(_)
            | Self::Url { .. } => false,
        }
    }
}

impl From<LaunchPlanError> for ServeError {
    fn from(error: LaunchPlanError) -> Self {
        match error {
            LaunchPlanError::Binary(error) => Self::Binary(error),
            LaunchPlanError::Config(error) => Self::Config(error),
            LaunchPlanError::Directory { path, source } => Self::Directory { path, source },
        }
    }
}

impl From<SpawnError> for ServeError {
    fn from(SpawnError { command, source }: SpawnError) -> Self {
        Self::Spawn { command, source }
    }
}

/// Why a server cannot be attached to.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// It did not answer in time.
    #[error("{url} did not answer within {limit:?}")]
    TimedOut {
        /// Where it should be.
        url: String,
        /// The time it had.
        limit: Duration,
    },
    /// The credentials are missing or wrong.
    #[error(
        "{url} rejected the credentials: set those of the server with \
         `AttachRequest::with_credentials`"
    )]
    Unauthorized {
        /// Where it is.
        url: String,
    },
    /// Nothing is there, or something that does not work or is not OpenCode.
    #[error("there is no working OpenCode at {url}")]
    Unhealthy {
        /// Where it should be.
        url: String,
        /// What does not work.
        source: HealthError,
    },
    /// The URL leads to no server.
    #[error(transparent)]
    Url(#[from] UrlError),
}

debug_as_chain!(AttachError);

impl AttachError {
    /// Whether another try may help, with nothing changed here.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::TimedOut { .. } | Self::Unhealthy { .. } => true,
            Self::Unauthorized { .. } | Self::Url(_) => false,
        }
    }
}

/// What is wrong with a server.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum HealthError {
    /// It does not answer a harmless question.
    #[error(transparent)]
    Call(Box<CallError>),
    /// It says that it is not healthy.
    #[error("the server says that it is not healthy")]
    Unhealthy,
}

debug_as_chain!(HealthError);

impl From<CallError> for HealthError {
    fn from(error: CallError) -> Self {
        Self::Call(Box::new(error))
    }
}
