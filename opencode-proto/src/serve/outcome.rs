use std::fmt;
use std::time::Duration;

use crate::process::Exit;

/// Result of a server's process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServeOutcome {
    /// End of the process.
    pub end: ServeEnd,
    /// Exit status of the process; `None` when the exit was not observed.
    pub exit: Option<Exit>,
    /// URL on which the server listened; `None` when it was never ready.
    pub url: Option<String>,
    /// Tail of standard output, without colours.
    pub stdout: String,
    /// Tail of standard error, without colours.
    pub stderr: String,
    /// Time from the start to the end.
    pub elapsed: Duration,
}

impl ServeOutcome {
    /// Creates the outcome of a process of which only the end is known.
    pub fn new(end: ServeEnd) -> Self {
        let (stdout, stderr) = (String::new(), String::new());
        Self { end, exit: None, url: None, stdout, stderr, elapsed: Duration::ZERO }
    }
}

/// End of a server's process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServeEnd {
    /// The server could not listen on the address: the port is in use, or the address is not one of
    /// this machine. OpenCode does not say which.
    CannotListen {
        /// Message on standard error.
        message: String,
    },
    /// The server was ready, and exited without our doing.
    Exited,
    /// A configuration that OpenCode reads at the start is not valid.
    InvalidConfig {
        /// Message on standard error.
        message: String,
    },
    /// Several processes began to use one database at the same time. Another try helps.
    StartupDatabase {
        /// Message on standard error.
        message: String,
    },
    /// The process exited before it was ready, for any other reason.
    StartupError {
        /// Message on standard error.
        message: String,
    },
    /// The caller stopped the server.
    Stopped,
    /// The server was not ready within the start limit, and was ended.
    TimedOut,
}

impl ServeEnd {
    /// Returns the kind of end in snake case.
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
            Self::CannotListen { message } => write!(f, "the server could not listen: {message}"),
            Self::Exited => f.write_str("the server exited by itself"),
            Self::InvalidConfig { message } => {
                write!(f, "the configuration is not valid: {message}")
            }
            Self::StartupDatabase { message } => {
                write!(f, "the database was in use at the start: {message}")
            }
            Self::StartupError { message } if message.is_empty() => {
                f.write_str("the server did not start")
            }
            Self::StartupError { message } => write!(f, "the server did not start: {message}"),
            Self::Stopped => f.write_str("the server was stopped"),
            Self::TimedOut => f.write_str("the server was not ready in time"),
        }
    }
}
