use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::AgentError;
use crate::MessageId;
use crate::ProviderFailure;
use crate::answer::Answer;
use crate::api::AttachmentError;
use crate::directory::DirectoryError;
use crate::process::Exit;
use crate::run_event::{Notice, RunEventKind};
use crate::surroundings::McpServer;
use crate::turn::{DISPOSED, EMPTY_REPLIES, REPLACED, fmt_answered_by, fmt_failure};
use crate::watchdog::Deadline;

/// Result of a run: its end, and everything gathered until then, also after a failure.
///
/// `Serialize` writes `{end, answer, exit, stderr, notices, lines, raw_lines, elapsed_ms}`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunOutcome {
    /// End of the run.
    pub end: RunEnd,
    /// Text, steps, tool calls, errors and cost of the run.
    pub answer: Answer,
    /// Exit status of the process; `None` when the exit was not observed.
    pub exit: Option<Exit>,
    /// Tail of standard error, without colours.
    pub stderr: String,
    /// Facts that were printed on standard error only.
    pub notices: Vec<Notice>,
    /// Lines of standard output, counted by kind.
    pub lines: LineCounts,
    /// Lines of standard output in order, with
    /// [`RunSettings::raw_lines`](super::RunSettings::raw_lines). Empty otherwise.
    pub raw_lines: Vec<Bytes>,
    /// Time from the start to the end.
    pub elapsed: Duration,
}

/// End of a run.
///
/// Some ends only a process has, others only a run over a server; most are common to both.
///
/// `Serialize` writes `{type, message}`, with the [`name`](Self::name) as type, and the fields of
/// the variant.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RunEnd {
    /// Over a server: another client aborted the turn.
    Aborted,
    /// The agent reported an error and did not recover from it.
    AgentError(Box<AgentError>),
    /// OpenCode used its default agent in place of the requested one.
    AgentReplaced {
        /// The reason in OpenCode's words.
        reason: String,
    },
    /// Over a server: another client prompted the session meanwhile, and the model went on with that
    /// prompt. The run's own has no answer.
    #[non_exhaustive]
    AnsweredByAnother {
        /// Message of the other prompt.
        prompt: MessageId,
    },
    /// A file to attach cannot be used. Nothing was sent.
    Attachment(AttachmentError),
    /// The caller cancelled the run.
    Cancelled,
    /// The answer is complete.
    Completed,
    /// The process failed after it began to answer, without an event about the failure.
    Crashed {
        /// Exit code of the process.
        code: i32,
        /// Message on standard error.
        message: String,
    },
    /// OpenCode works in another directory than the requested one, or the session to continue
    /// belongs to another one. The prompt was not sent.
    Directory(DirectoryError),
    /// Over a server: another client closed the directory at the server, or changed the
    /// configuration, which aborted the turn.
    Disposed,
    /// The provider answered call after call without any content, for example with a web page or an
    /// error in place of a stream
    /// ([`RunSettings::unfinished_max`](super::RunSettings::unfinished_max)). The run was ended.
    EmptyReplies,
    /// The model ended call after call without a reason, which OpenCode takes for a wish to go on
    /// ([`RunSettings::unfinished_max`](super::RunSettings::unfinished_max)). The run was ended.
    Endless,
    /// The process ended as if all were well, but not all of its events could be read: another
    /// program wrote into them, or they were too long. The answer may be among them.
    EventsLost {
        /// Number of lines that held such events.
        lines: u64,
    },
    /// A signal that was not ours ended the process.
    Interrupted {
        /// Number of the signal.
        signal: i32,
    },
    /// A required MCP server is not available
    /// ([`RunSettings::required_mcp`](super::RunSettings::required_mcp)). Over a server, nothing
    /// was sent to the model. A process was ended as soon as its log named the server, when the
    /// request for the title of the session may have been on its way.
    McpUnavailable(Box<McpServer>),
    /// Over a server: the prompt did not arrive, or its arrival is unknown and the prompt was not
    /// found. The prompt was not sent again.
    NotPosted {
        /// Reason of the failure.
        reason: String,
    },
    /// A permission was needed and could not be asked for. OpenCode stopped there, with exit code 0
    /// and without an answer.
    PermissionRejected {
        /// The permission and its patterns, or else the tool.
        refused: String,
    },
    /// The model repeated the same call of a tool, with the same result, too often
    /// ([`RunSettings::repeated_calls_max`](super::RunSettings::repeated_calls_max)). The run was
    /// ended.
    RepeatedCalls {
        /// Name of the tool.
        tool: String,
    },
    /// Over a server: a summary took the place of the answer, because another client compacted the
    /// session meanwhile. The prompt has no answer.
    ReplacedBySummary,
    /// Over a server: the model's provider failed, and OpenCode repeats the call after the
    /// deadlines of the run, which was ended at once
    /// ([`Deadlines::late_retry`](crate::Deadlines::late_retry)).
    #[non_exhaustive]
    RetryTooLate {
        /// The failure, with the time of the next attempt.
        failure: Option<Box<ProviderFailure>>,
    },
    /// Over a server: the server exited, or can no longer be reached.
    ServerLost {
        /// Reason of the loss.
        reason: String,
    },
    /// Over a server: the session was deleted.
    SessionDeleted,
    /// Several processes began to use one database at the same time. Another try helps.
    StartupDatabase {
        /// Message on standard error.
        message: String,
    },
    /// The run did not get as far as the model: wrong arguments, wrong configuration, a missing
    /// file or session.
    StartupError {
        /// Message on standard error.
        message: String,
    },
    /// A deadline passed, and the run was ended.
    #[non_exhaustive]
    TimedOut {
        /// The deadline.
        deadline: Deadline,
        /// The last failure of the model's provider, if OpenCode was repeating a call that failed.
        failure: Option<Box<ProviderFailure>>,
        /// npm packages of plugins that were being installed before the first event.
        installing: Vec<String>,
    },
    /// The process exited as if all were well, or the server stopped working, before the answer was
    /// complete.
    Torn,
}

impl RunEnd {
    /// Returns the kind of end in snake case.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::AgentError(_) => "agent_error",
            Self::AgentReplaced { .. } => "agent_replaced",
            Self::AnsweredByAnother { .. } => "answered_by_another",
            Self::Attachment(_) => "attachment",
            Self::Cancelled => "cancelled",
            Self::Completed => "completed",
            Self::Crashed { .. } => "crashed",
            Self::Directory(_) => "directory",
            Self::Disposed => "disposed",
            Self::EmptyReplies => "empty_replies",
            Self::Endless => "endless",
            Self::EventsLost { .. } => "events_lost",
            Self::Interrupted { .. } => "interrupted",
            Self::McpUnavailable(_) => "mcp_unavailable",
            Self::NotPosted { .. } => "not_posted",
            Self::PermissionRejected { .. } => "permission_rejected",
            Self::RepeatedCalls { .. } => "repeated_calls",
            Self::ServerLost { .. } => "server_lost",
            Self::SessionDeleted => "session_deleted",
            Self::StartupDatabase { .. } => "startup_database",
            Self::StartupError { .. } => "startup_error",
            Self::ReplacedBySummary => "replaced_by_summary",
            Self::RetryTooLate { .. } => "retry_too_late",
            Self::TimedOut { .. } => "timed_out",
            Self::Torn => "torn",
        }
    }

    /// Creates the end by a deadline without a failure of the provider.
    pub(crate) fn timed_out(deadline: Deadline) -> Self {
        Self::TimedOut { deadline, failure: None, installing: Vec::new() }
    }

    /// Returns the deadline that ended the run.
    pub fn deadline(&self) -> Option<Deadline> {
        if let Self::TimedOut { deadline, .. } = self { Some(*deadline) } else { None }
    }

    /// Returns the failure of the model's provider that led to the end, or that OpenCode was about
    /// to retry when a deadline passed.
    pub fn provider_failure(&self) -> Option<&ProviderFailure> {
        if let Self::RetryTooLate { failure } | Self::TimedOut { failure, .. } = self {
            return failure.as_deref();
        }
        None
    }

    /// Returns whether the answer is complete.
    pub fn is_completed(&self) -> bool {
        matches!(self, Self::Completed)
    }
}

impl fmt::Display for RunEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aborted => f.write_str("another client aborted the turn"),
            Self::AgentError(error) => write!(f, "the agent failed: {error}"),
            Self::AgentReplaced { reason } => {
                write!(f, "the default agent answered instead: {reason}")
            }
            Self::AnsweredByAnother { prompt } => fmt_answered_by(prompt, f),
            Self::Attachment(error) => write!(f, "{error}"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Completed => f.write_str("completed"),
            Self::Crashed { code, message } if message.is_empty() => {
                write!(f, "the process exited with code {code}")
            }
            Self::Crashed { code, message } => {
                write!(f, "the process exited with code {code}: {message}")
            }
            Self::Directory(error) => write!(f, "{error}"),
            Self::Disposed => f.write_str(DISPOSED),
            Self::EmptyReplies => f.write_str(EMPTY_REPLIES),
            Self::Endless => f.write_str(
                "the model ended call after call without a reason, so the run was ended",
            ),
            Self::EventsLost { lines } => {
                write!(f, "events on {lines} lines of the output could not be read")
            }
            Self::Interrupted { signal: 9 } => f.write_str(
                "signal 9 ended the process, which the system also sends when memory runs out",
            ),
            Self::Interrupted { signal } => write!(f, "signal {signal} ended the process"),
            Self::McpUnavailable(server) => write!(f, "a required {server}"),
            Self::NotPosted { reason } => write!(f, "the prompt was not posted: {reason}"),
            Self::PermissionRejected { refused } => {
                write!(f, "stopped at a permission that could not be asked for: {refused}")
            }
            Self::RepeatedCalls { tool } => write!(
                f,
                "the model repeated the same call of the tool `{tool}`, so the run was ended"
            ),
            Self::ServerLost { reason } => write!(f, "the server was lost: {reason}"),
            Self::SessionDeleted => f.write_str("the session was deleted"),
            Self::StartupDatabase { message } => {
                write!(f, "the database was in use at the start: {message}")
            }
            Self::StartupError { message } if message.is_empty() => {
                f.write_str("OpenCode did not start")
            }
            Self::StartupError { message } => write!(f, "OpenCode did not start: {message}"),
            Self::ReplacedBySummary => f.write_str(REPLACED),
            Self::RetryTooLate { failure } => {
                f.write_str("the next attempt is due after the deadlines")?;
                fmt_failure(failure.as_deref(), f)
            }
            Self::TimedOut { deadline, failure, installing } => {
                write!(f, "timed out: {deadline}")?;
                if !installing.is_empty() {
                    write!(f, ", while plugins were being installed: {}", installing.join(", "))?;
                }
                fmt_failure(failure.as_deref(), f)
            }
            Self::Torn => f.write_str("the output stops before the answer is complete"),
        }
    }
}

/// Lines of standard output, counted by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LineCounts {
    /// Events of the run: known, unknown and malformed ones.
    pub events: u64,
    /// Events of a type that this version of the crate does not know.
    pub unknown: u64,
    /// Events that could not be decoded.
    pub malformed: u64,
    /// Lines, and pieces of lines, that are not events of the run.
    pub diagnostics: u64,
    /// Diagnostics that held an event of OpenCode, in pieces or too long to keep.
    pub lost: u64,
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
