use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::AgentError;
use crate::answer::Answer;
use crate::run_event::{Notice, RunEventKind};
use crate::watchdog::Deadline;

/// Everything a run came to: how it ended, and all that was gathered until then, also when it failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunOutcome {
    /// How it ended.
    pub end: RunEnd,
    /// What it said and did.
    pub answer: Answer,
    /// How the process ended; `None` when it was not seen to.
    pub exit: Option<Exit>,
    /// The end of its standard error, without colours.
    pub stderr: String,
    /// What it told on standard error only.
    pub notices: Vec<Notice>,
    /// How many lines of which kind it printed.
    pub lines: LineCounts,
    /// Every line of standard output in order, when the settings say to keep them.
    pub raw_lines: Vec<Bytes>,
    /// How long it took.
    pub elapsed: Duration,
}

/// How a run ended.
///
/// Some ends only a process has, some only a run over a server; most are common.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RunEnd {
    /// Over a server: somebody else aborted it.
    Aborted,
    /// The agent reported an error and did not recover from it.
    AgentError(Box<AgentError>),
    /// The agent that was asked for was not used, but the default agent.
    AgentReplaced {
        /// Why, in OpenCode's words.
        reason: String,
    },
    /// It was cancelled by the caller.
    Cancelled,
    /// The answer is complete.
    Completed,
    /// The process failed after it had begun to answer, without saying so in an event.
    Crashed {
        /// Its exit code.
        code: i32,
        /// What it said about it.
        message: String,
    },
    /// Over a server: the model ended call after call without saying why, which OpenCode takes for a wish to go on. It was
    /// aborted.
    Endless,
    /// A signal that was not ours ended the process.
    Interrupted {
        /// Its number.
        signal: i32,
    },
    /// Over a server: the prompt did not get there, or nobody knows whether it did and it was not found. It was not sent
    /// again.
    NotPosted {
        /// Why.
        reason: String,
    },
    /// A permission was needed, nobody was there to ask, and OpenCode stopped there: with exit code 0 and no answer.
    PermissionRejected {
        /// What was refused, as far as it was told: permission and patterns, or the tool.
        refused: String,
    },
    /// Over a server: it is gone, or cannot be reached any more.
    ServerLost {
        /// Why.
        reason: String,
    },
    /// Over a server: somebody deleted the session.
    SessionDeleted,
    /// Several processes began to use one database at once. Another try helps.
    StartupDatabase {
        /// What it said about it.
        message: String,
    },
    /// It did not get as far as the model: wrong arguments, wrong configuration, a missing file or session.
    StartupError {
        /// What it said about it.
        message: String,
    },
    /// A deadline passed, and the process was ended.
    TimedOut(Deadline),
    /// The process ended as if all were well, or the server stopped working, before the answer was complete.
    Torn,
}

impl RunEnd {
    /// The kind of end, in snake case.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::AgentError(_) => "agent_error",
            Self::AgentReplaced { .. } => "agent_replaced",
            Self::Cancelled => "cancelled",
            Self::Completed => "completed",
            Self::Crashed { .. } => "crashed",
            Self::Endless => "endless",
            Self::Interrupted { .. } => "interrupted",
            Self::NotPosted { .. } => "not_posted",
            Self::PermissionRejected { .. } => "permission_rejected",
            Self::ServerLost { .. } => "server_lost",
            Self::SessionDeleted => "session_deleted",
            Self::StartupDatabase { .. } => "startup_database",
            Self::StartupError { .. } => "startup_error",
            Self::TimedOut(_) => "timed_out",
            Self::Torn => "torn",
        }
    }

    /// Whether the answer is complete.
    pub fn is_completed(&self) -> bool {
        matches!(self, Self::Completed)
    }
}

impl fmt::Display for RunEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aborted => f.write_str("aborted by somebody else"),
            Self::AgentError(error) => write!(f, "the agent failed: {error}"),
            Self::AgentReplaced { reason } => {
                write!(f, "the default agent answered instead: {reason}")
            }
            Self::Cancelled => f.write_str("cancelled"),
            Self::Completed => f.write_str("completed"),
            Self::Crashed { code, message } if message.is_empty() => {
                write!(f, "ended with exit code {code}")
            }
            Self::Crashed { code, message } => write!(f, "ended with exit code {code}: {message}"),
            Self::Endless => {
                f.write_str("aborted: the model says again and again that it is not done")
            }
            Self::Interrupted { signal } => write!(f, "ended by signal {signal}"),
            Self::NotPosted { reason } => write!(f, "the prompt was not posted: {reason}"),
            Self::PermissionRejected { refused } => {
                write!(f, "stopped at a permission nobody could grant: {refused}")
            }
            Self::ServerLost { reason } => write!(f, "the server was lost: {reason}"),
            Self::SessionDeleted => f.write_str("the session was deleted"),
            Self::StartupDatabase { message } => {
                write!(f, "the database was in use at the start: {message}")
            }
            Self::StartupError { message } if message.is_empty() => f.write_str("did not start"),
            Self::StartupError { message } => write!(f, "did not start: {message}"),
            Self::TimedOut(deadline) => write!(f, "timed out: {deadline}"),
            Self::Torn => f.write_str("the output stops before the answer does"),
        }
    }
}

/// How a process ended. (`std::process::ExitStatus` cannot be made by hand.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It ended by itself with this code.
    Code(i32),
    /// The signal with this number ended it.
    Signal(i32),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// How many lines of standard output were what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LineCounts {
    /// Events: known, unknown and malformed ones.
    pub events: u64,
    /// Events of a type this version of the crate does not know.
    pub unknown: u64,
    /// Events that could not be read.
    pub malformed: u64,
    /// Lines that are no events.
    pub diagnostics: u64,
}

impl LineCounts {
    pub(crate) fn add(&mut self, kind: &RunEventKind) {
        let is_event = !matches!(kind, RunEventKind::Diagnostic(_));
        self.events += u64::from(is_event);
        self.diagnostics += u64::from(!is_event);
        self.malformed += u64::from(matches!(kind, RunEventKind::Malformed { .. }));
        self.unknown += u64::from(matches!(kind, RunEventKind::Unknown { .. }));
    }
}
