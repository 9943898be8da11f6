use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::api::ApiError;
use crate::batch::Spend;
use crate::json::RawJson;
use crate::part::{Tokens, ToolPart};
use crate::server_event::{MessageInfo, Todo};
use crate::transcript::Transcript;
use crate::watchdog::Deadline;
use crate::{AgentError, Artifact, MessageId};

/// Everything a turn came to: how it ended, and all that was gathered until then, also when it failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TurnOutcome {
    /// How it ended.
    pub end: TurnEnd,
    /// The prompt's message.
    pub message: MessageId,
    /// What was said in the session in this turn.
    pub transcript: Transcript,
    /// What was said in the sessions of its subagents.
    pub children: Vec<Transcript>,
    /// How often the event stream was interrupted.
    pub gaps: u32,
    /// How long it took.
    pub elapsed: Duration,
}

impl TurnOutcome {
    /// The answer: the text of the last message that has any.
    pub fn text(&self) -> Cow<'_, str> {
        self.transcript.text()
    }

    /// All text of all messages of the answer.
    pub fn full_text(&self) -> Cow<'_, str> {
        self.transcript.full_text()
    }

    /// All reasoning.
    pub fn reasoning(&self) -> Cow<'_, str> {
        self.transcript.reasoning()
    }

    /// The tool calls, without those of subagents.
    pub fn tools(&self) -> impl Iterator<Item = &ToolPart> {
        self.transcript.tools()
    }

    /// What tools wrote into files, subagents' tools last, in the order of the calls: a file that was changed twice is
    /// there twice. A content or patch of more than `size_max` bytes is left out, and its size told.
    pub fn artifacts(&self, size_max: usize) -> Vec<Artifact> {
        let children = self.children.iter().flat_map(Transcript::tools);
        self.tools().chain(children).flat_map(|tool| Artifact::of(tool, size_max)).collect()
    }

    /// The list of things to do, as it was told last in this turn.
    pub fn todos(&self) -> &[Todo] {
        self.transcript.todos()
    }

    /// What the turn used, without its subagents. Each message counts once.
    pub fn tokens(&self) -> Tokens {
        self.transcript.tokens()
    }

    /// What the turn cost in US dollars, without its subagents. Each message counts once.
    pub fn cost(&self) -> f64 {
        self.transcript.cost()
    }

    /// What its subagents used.
    pub fn children_tokens(&self) -> Tokens {
        self.children.iter().map(Transcript::tokens).sum()
    }

    /// What its subagents cost in US dollars.
    pub fn children_cost(&self) -> f64 {
        self.children.iter().map(Transcript::cost).fold(0.0, |sum, cost| sum + cost)
    }

    /// What it used and cost, its subagents included.
    pub fn spend(&self) -> Spend {
        let mut spend = Spend::new(self.tokens(), self.cost());
        spend += Spend::new(self.children_tokens(), self.children_cost());
        spend
    }

    /// The answer in the form that was asked for, any JSON. OpenCode does not check it against the schema.
    pub fn structured(&self) -> Option<&RawJson> {
        self.answers().rev().find_map(|info| info.structured.as_ref())
    }

    /// The errors that were reported, also those that the turn recovered from.
    pub fn errors(&self) -> &[AgentError] {
        self.transcript.errors()
    }

    /// What is known of each message of the answer: one per call of the model, in order.
    pub fn answers(&self) -> impl DoubleEndedIterator<Item = &MessageInfo> {
        self.transcript.assistant_infos()
    }
}

/// How a turn ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TurnEnd {
    /// Somebody else aborted it.
    Aborted,
    /// The agent reported an error and did not recover from it.
    AgentError(Box<AgentError>),
    /// It was cancelled by the caller.
    Cancelled,
    /// The answer is complete.
    Completed,
    /// The model ended call after call without saying why, which OpenCode takes for a wish to go on. It was aborted
    /// ([`TurnSettings::unfinished_max`](super::TurnSettings::unfinished_max)).
    Endless,
    /// The prompt did not get to the server, or nobody knows whether it did and it was not found there. It was not
    /// sent again.
    #[non_exhaustive]
    NotPosted {
        /// Why.
        reason: String,
        /// Whether it is certain that the server has not got it, and never will.
        is_certain: bool,
    },
    /// The server refused the prompt.
    Refused(Box<ApiError>),
    /// A permission was refused, or a question dismissed, and the agent stopped there.
    #[non_exhaustive]
    Rejected {
        /// What was refused: the permission and its patterns, or the question.
        refused: String,
    },
    /// The server is gone, or cannot be reached any more.
    #[non_exhaustive]
    ServerLost {
        /// Why.
        reason: String,
    },
    /// The session was deleted.
    SessionDeleted,
    /// A deadline passed, and the turn was aborted.
    TimedOut(Deadline),
    /// The server does not work on it any more, but the answer is not complete: it was restarted, for example.
    Torn,
}

impl TurnEnd {
    /// The server was lost, and this is why.
    pub fn server_lost(reason: impl Into<String>) -> Self {
        Self::ServerLost { reason: reason.into() }
    }

    /// The kind of end, in snake case.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::AgentError(_) => "agent_error",
            Self::Cancelled => "cancelled",
            Self::Completed => "completed",
            Self::Endless => "endless",
            Self::NotPosted { .. } => "not_posted",
            Self::Refused(_) => "refused",
            Self::Rejected { .. } => "rejected",
            Self::ServerLost { .. } => "server_lost",
            Self::SessionDeleted => "session_deleted",
            Self::TimedOut(_) => "timed_out",
            Self::Torn => "torn",
        }
    }

    /// Returns the agent's error that ended the turn.
    pub fn agent_error(&self) -> Option<&AgentError> {
        if let Self::AgentError(error) = self { Some(error) } else { None }
    }

    /// Whether the answer is complete.
    pub fn is_completed(&self) -> bool {
        matches!(self, Self::Completed)
    }
}

impl fmt::Display for TurnEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aborted => f.write_str("aborted by somebody else"),
            Self::AgentError(error) => write!(f, "the agent failed: {error}"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Completed => f.write_str("completed"),
            Self::Endless => {
                f.write_str("aborted: the model says again and again that it is not done")
            }
            Self::NotPosted { reason, .. } => write!(f, "the prompt was not posted: {reason}"),
            Self::Refused(error) => write!(f, "the prompt was refused: {error}"),
            Self::Rejected { refused } => write!(f, "stopped where it was refused: {refused}"),
            Self::ServerLost { reason } => write!(f, "the server was lost: {reason}"),
            Self::SessionDeleted => f.write_str("the session was deleted"),
            Self::TimedOut(deadline) => write!(f, "timed out: {deadline}"),
            Self::Torn => f.write_str("the server stopped before the answer was complete"),
        }
    }
}
