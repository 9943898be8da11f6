use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::api::ApiError;
use crate::json::RawJson;
use crate::part::{Spend, Tokens, ToolPart};
use crate::server_event::{MessageInfo, Todo};
use crate::session::ToolSwitchError;
use crate::transcript::Transcript;
use crate::watchdog::Deadline;
use crate::{AgentError, Artifact, MessageId, ProviderFailure, SessionId, Version};

/// Result of a turn: the end, and everything that was gathered until then, also of a failed turn.
///
/// `Serialize` writes `{end, messageID, text, structured, spend, transcript, children,
/// answered_with, still_running, gaps, elapsed_ms, version}`; the spend has that of subagents.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TurnOutcome {
    /// The end of the turn.
    pub end: TurnEnd,
    /// Id of the prompt's message. No message has this id when the turn ended before it was posted.
    pub message: MessageId,
    /// Messages of the turn in the session itself.
    pub transcript: Transcript,
    /// Messages in the sessions of subagents.
    pub children: Vec<Transcript>,
    /// Other prompts of the session that the answer covers as well, in order, as far as events
    /// show: OpenCode gives one answer to prompts that wait together, whoever wrote them.
    pub answered_with: Vec<MessageId>,
    /// Sessions of subagents that work on, as far as events show. Their work, spend and requests
    /// are in no outcome: see [`BackgroundWork`](super::BackgroundWork).
    pub still_running: Vec<SessionId>,
    /// Number of gaps in the event stream.
    pub gaps: u32,
    /// Time from the start to the end.
    pub elapsed: Duration,
    /// Version of the server. The machine leaves this empty, and the driver fills it in.
    pub version: Option<Version>,
}

impl TurnOutcome {
    /// Returns the answer: the text of the last message that has any.
    pub fn text(&self) -> Cow<'_, str> {
        self.transcript.text()
    }

    /// Returns the text of all messages of the answer.
    pub fn full_text(&self) -> Cow<'_, str> {
        self.transcript.full_text()
    }

    /// Returns the reasoning of all messages of the answer.
    pub fn reasoning(&self) -> Cow<'_, str> {
        self.transcript.reasoning()
    }

    /// Returns the tool calls, without those of subagents.
    pub fn tools(&self) -> impl Iterator<Item = &ToolPart> {
        self.transcript.tools()
    }

    /// Returns the changes of files by tools, those of subagents last, in the order of the calls: a
    /// file that was changed twice is there twice. A content or patch of more than `size_max` bytes
    /// is replaced by the size.
    pub fn artifacts(&self, size_max: usize) -> Vec<Artifact> {
        let children = self.children.iter().flat_map(Transcript::tools);
        self.tools().chain(children).flat_map(|tool| Artifact::of(tool, size_max)).collect()
    }

    /// Returns the last list of todos of the turn.
    pub fn todos(&self) -> &[Todo] {
        self.transcript.todos()
    }

    /// Returns the tokens that the turn used, without its subagents. Each message counts once.
    pub fn tokens(&self) -> Tokens {
        self.transcript.tokens()
    }

    /// Returns the cost of the turn in US dollars, without its subagents. Each message counts once.
    pub fn cost(&self) -> f64 {
        self.transcript.cost()
    }

    /// Returns the tokens that the subagents used.
    pub fn children_tokens(&self) -> Tokens {
        self.children.iter().map(Transcript::tokens).sum()
    }

    /// Returns the cost of the subagents in US dollars.
    pub fn children_cost(&self) -> f64 {
        self.children.iter().map(Transcript::cost).fold(0.0, |sum, cost| sum + cost)
    }

    /// Returns tokens and cost, with those of the subagents.
    pub fn spend(&self) -> Spend {
        let mut spend = Spend::new(self.tokens(), self.cost());
        spend += Spend::new(self.children_tokens(), self.children_cost());
        spend
    }

    /// Returns the structured answer, any JSON. OpenCode does not check the answer against the
    /// schema.
    pub fn structured(&self) -> Option<&RawJson> {
        self.answers().rev().find_map(|info| info.structured.as_ref())
    }

    /// Returns the errors that were reported, also those that the turn recovered from.
    pub fn errors(&self) -> &[AgentError] {
        self.transcript.errors()
    }

    /// Returns the messages of the answer without their parts: one per call of the model, in order.
    pub fn answers(&self) -> impl DoubleEndedIterator<Item = &MessageInfo> {
        self.transcript.assistant_infos()
    }
}

/// End of a turn.
///
/// `Serialize` writes `{type, message}`, with the [`name`](Self::name) as type, and the fields of
/// the variant.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TurnEnd {
    /// Another client aborted the turn.
    Aborted,
    /// The agent reported an error and did not recover.
    AgentError(Box<AgentError>),
    /// Another client prompted the session meanwhile, and the model went on with that prompt: the
    /// last message of the answer is for the other prompt, and the turn's own has no answer.
    ///
    /// A later prompt of the same program leaves the turn [`Completed`](Self::Completed), and is in
    /// [`TurnOutcome::answered_with`], unless events were missed.
    #[non_exhaustive]
    AnsweredByAnother {
        /// Message of the other prompt.
        prompt: MessageId,
    },
    /// The caller cancelled the turn.
    Cancelled,
    /// The answer is complete.
    Completed,
    /// Another client closed the directory at the server, which aborted the turn: by
    /// `POST /instance/dispose`, `POST /global/dispose` or a change of the configuration.
    Disposed,
    /// The provider answered call after call without any content, for example with a web page or an
    /// error in place of a stream. The turn was aborted
    /// ([`TurnSettings::unfinished_max`](super::TurnSettings::unfinished_max)).
    EmptyReplies,
    /// The model ended call after call without a reason, which OpenCode takes for a wish to go on.
    /// The turn was aborted
    /// ([`TurnSettings::unfinished_max`](super::TurnSettings::unfinished_max)).
    Endless,
    /// A turn was to be followed, and there is none.
    NothingToFollow(NothingToFollow),
    /// The prompt did not reach the server, or the reply was lost and the server does not list the
    /// prompt. The prompt was not sent again.
    #[non_exhaustive]
    NotPosted {
        /// The error of the connection.
        reason: String,
        /// Whether the server certainly has not received the prompt, and never will.
        is_certain: bool,
    },
    /// The server refused the prompt.
    Refused(Box<ApiError>),
    /// A permission was refused, or a question dismissed, and the agent stopped there.
    #[non_exhaustive]
    Rejected {
        /// The permission with the patterns, or the question.
        refused: String,
    },
    /// The model, or that of a subagent, repeated the same call of a tool with the same result too
    /// often ([`TurnSettings::repeated_calls_max`](super::TurnSettings::repeated_calls_max)). The
    /// turn was aborted.
    #[non_exhaustive]
    RepeatedCalls {
        /// Name of the tool.
        tool: String,
    },
    /// A summary took the place of the answer, so that the prompt has none: another client
    /// compacted the session meanwhile, or OpenCode made up for a summary that had failed before
    /// the prompt.
    ReplacedBySummary,
    /// The model's provider failed, and OpenCode repeats the call after the deadlines of the turn,
    /// which was aborted at once ([`Deadlines::late_retry`](crate::Deadlines::late_retry)).
    #[non_exhaustive]
    RetryTooLate {
        /// The failure, with the time of the next attempt.
        failure: Option<Box<ProviderFailure>>,
    },
    /// The server has exited, or cannot be reached any more.
    #[non_exhaustive]
    ServerLost {
        /// The end of the event stream.
        reason: String,
    },
    /// The session was deleted.
    SessionDeleted,
    /// A deadline passed, and the turn was aborted.
    #[non_exhaustive]
    TimedOut {
        /// The deadline.
        deadline: Deadline,
        /// The last failure of the model's provider, if OpenCode was repeating a call that failed.
        failure: Option<Box<ProviderFailure>>,
    },
    /// Tool switches cannot hold for one turn of this session. Nothing was posted.
    ToolSwitches(ToolSwitchError),
    /// The server stopped working on the turn before the answer was complete, for example because
    /// it was restarted.
    Torn,
}

/// Reason why there is no turn to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NothingToFollow {
    /// The session was idle, and no prompt was named.
    #[error("the session is idle")]
    Idle,
    /// The session has no such message.
    #[error("the session has no message with the id of the prompt")]
    UnknownPrompt,
    /// The turn had ended before, and the server cannot list the messages of the session: OpenCode
    /// 1.18.33 lists none after a prompt with a schema.
    #[error("the server cannot list the messages of the session, and the session is idle")]
    Unlisted,
}

impl TurnEnd {
    /// Creates the end of a turn whose server was lost.
    pub fn server_lost(reason: impl Into<String>) -> Self {
        Self::ServerLost { reason: reason.into() }
    }

    /// Returns the kind of end, in snake case.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::AgentError(_) => "agent_error",
            Self::AnsweredByAnother { .. } => "answered_by_another",
            Self::Cancelled => "cancelled",
            Self::Completed => "completed",
            Self::Disposed => "disposed",
            Self::EmptyReplies => "empty_replies",
            Self::Endless => "endless",
            Self::NothingToFollow(_) => "nothing_to_follow",
            Self::NotPosted { .. } => "not_posted",
            Self::Refused(_) => "refused",
            Self::Rejected { .. } => "rejected",
            Self::RepeatedCalls { .. } => "repeated_calls",
            Self::ServerLost { .. } => "server_lost",
            Self::SessionDeleted => "session_deleted",
            Self::ReplacedBySummary => "replaced_by_summary",
            Self::RetryTooLate { .. } => "retry_too_late",
            Self::TimedOut { .. } => "timed_out",
            Self::ToolSwitches(_) => "tool_switches",
            Self::Torn => "torn",
        }
    }

    /// Returns the agent's error that ended the turn.
    pub fn agent_error(&self) -> Option<&AgentError> {
        if let Self::AgentError(error) = self { Some(error) } else { None }
    }

    /// Returns the deadline that ended the turn.
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

impl fmt::Display for TurnEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aborted => f.write_str("aborted by another client"),
            Self::AgentError(error) => write!(f, "the agent failed: {error}"),
            Self::AnsweredByAnother { prompt } => fmt_answered_by(prompt, f),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Completed => f.write_str("completed"),
            Self::Disposed => f.write_str(DISPOSED),
            Self::EmptyReplies => f.write_str(EMPTY_REPLIES),
            Self::Endless => {
                f.write_str("aborted: the model ended call after call without a reason")
            }
            Self::NothingToFollow(reason) => write!(f, "there is no turn to follow: {reason}"),
            Self::NotPosted { reason, .. } => write!(f, "the prompt was not posted: {reason}"),
            Self::Refused(error) => write!(f, "the prompt was refused: {error}"),
            Self::Rejected { refused } => write!(f, "stopped where it was refused: {refused}"),
            Self::RepeatedCalls { tool } => {
                write!(f, "aborted: the model repeated the same call of the tool `{tool}`")
            }
            Self::ServerLost { reason } => write!(f, "the server was lost: {reason}"),
            Self::SessionDeleted => f.write_str("the session was deleted"),
            Self::ReplacedBySummary => f.write_str(REPLACED),
            Self::RetryTooLate { failure } => {
                f.write_str("the next attempt is due after the deadlines")?;
                fmt_failure(failure.as_deref(), f)
            }
            Self::TimedOut { deadline, failure } => {
                write!(f, "timed out: {deadline}")?;
                fmt_failure(failure.as_deref(), f)
            }
            Self::ToolSwitches(error) => write!(f, "the prompt was not posted: {error}"),
            Self::Torn => f.write_str("the server stopped before the answer was complete"),
        }
    }
}

/// Writes the last failure behind the description of an end.
pub(crate) fn fmt_failure(
    failure: Option<&ProviderFailure>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    match failure {
        Some(failure) => write!(f, "; the provider failed last with: {failure}"),
        None => Ok(()),
    }
}

/// Description of the end after replies of the provider without content.
pub(crate) const EMPTY_REPLIES: &str = "aborted: the provider answered call after call without \
    content, for example with a web page or an error in place of a stream";

/// Description of the end by a summary in place of the answer.
pub(crate) const REPLACED: &str = "a summary of the session took the place of the answer";

/// Description of the end by a directory that was closed.
pub(crate) const DISPOSED: &str =
    "aborted by the server: another client closed the directory or changed the configuration";

/// Writes the description of the end by an answer to another prompt.
pub(crate) fn fmt_answered_by(prompt: &MessageId, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "the model went on with the prompt {prompt} of another client, and answered that one")
}
