use std::fmt;
use std::time::Duration;

use crate::run::Exit;

/// What became of a server's process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServeOutcome {
    /// How it ended.
    pub end: ServeEnd,
    /// How the process ended; `None` when it was not seen to.
    pub exit: Option<Exit>,
    /// Where it listened; `None` when it was never ready.
    pub url: Option<String>,
    /// The end of its standard output, without colours.
    pub stdout: String,
    /// The end of its standard error, without colours.
    pub stderr: String,
    /// How long it took, from its start.
    pub elapsed: Duration,
}

/// How a server's process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServeEnd {
    /// It could not listen where it was told to: the port is in use, or the address is not this machine's. OpenCode does
    /// not say which.
    CannotListen {
        /// What it said about it.
        message: String,
    },
    /// It was ready, and ended by itself or by somebody else's doing.
    Exited,
    /// A configuration that it reads at the start is not valid.
    InvalidConfig {
        /// What it said about it.
        message: String,
    },
    /// Several processes began to use one database at once. Another try helps.
    StartupDatabase {
        /// What it said about it.
        message: String,
    },
    /// It ended before it was ready, for any other reason.
    StartupError {
        /// What it said about it.
        message: String,
    },
    /// It was stopped by the caller.
    Stopped,
    /// It was not ready in time, and was ended.
    TimedOut,
}

impl ServeEnd {
    /// The kind of end, in snake case.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CannotListen { .. } => "cannot_listen",
            Self::Exited => "exited",
            Self::InvalidConfig { .. } => "invalid_config",
            Self::StartupDatabase { .. } => "startup_database",
            Self::StartupError { .. } => "startup_error",
            Self::Stopped => "stopped",
            Self::TimedOut => "timed_out",
        }
    }
}

impl fmt::Display for ServeEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CannotListen { message } => write!(f, "could not listen: {message}"),
            Self::Exited => f.write_str("ended by itself"),
            Self::InvalidConfig { message } => write!(f, "the config is not valid: {message}"),
            Self::StartupDatabase { message } => {
                write!(f, "the database was in use at the start: {message}")
            }
            Self::StartupError { message } if message.is_empty() => f.write_str("did not start"),
            Self::StartupError { message } => write!(f, "did not start: {message}"),
            Self::Stopped => f.write_str("stopped"),
            Self::TimedOut => f.write_str("was not ready in time"),
        }
    }
}
