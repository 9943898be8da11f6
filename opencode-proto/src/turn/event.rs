use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;

use crate::hub::Interruption;
use crate::json::RawText;
use crate::part::{Part, StepFinish, StepStart, TextOrigin, TextPart, ToolPart};
use crate::run_event::AttemptAbandoned;
use crate::server_event::{
    MessageInfo, PermissionRequest, QuestionRequest, ServerEvent, SessionInfo, SessionStatus, Todo,
};
use crate::surroundings::McpServer;
use crate::transcript::TextKind;
use crate::{AgentError, MessageId, PartId, PermissionId, QuestionId, SessionId, StepRole};

/// Event of a turn.
///
/// `Serialize` writes `{sessionID, origin, step, type, data}`, where `type` and `data` are the kind
/// of the event, and the server's own event as `source` for [`TurnEventKind::Other`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TurnEvent {
    /// The session of the event.
    pub session: SessionId,
    /// Relation of the session to the turn.
    pub origin: Origin,
    /// Role of the message that the event is about: an answer, unless the message is a summary.
    pub step: StepRole,
    /// Content of the event.
    pub kind: TurnEventKind,
    /// The server's event. `None` for findings of a look at the server, and for the connection.
    pub source: Option<Arc<ServerEvent>>,
}

/// Relation of a session to a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Origin {
    /// The session of the turn.
    Session,
    /// The session of a subagent, at any depth.
    Subagent,
}

/// Content of a [`TurnEvent`].
///
/// A part of a message is added once, then changes, then is final. No event comes twice, also when
/// the connection was lost in between and the turn had to look at the server.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
#[non_exhaustive]
pub enum TurnEventKind {
    /// The answer is complete and has no text: the model stopped without a word. The end of the
    /// turn follows.
    AnswerEmpty,
    /// The answer covers another prompt of the session as well: that one waited together with the
    /// turn's own, or came while the answer was being written.
    AnsweredWith(MessageId),
    /// The provider broke off, and OpenCode is going to repeat the call: text and reasoning of the
    /// attempt are void. The outcome keeps both apart
    /// ([`Message::abandoned`](crate::Message::abandoned)).
    AttemptAbandoned(AttemptAbandoned),
    /// A subagent was started, with this session.
    ChildStarted(Box<SessionInfo>),
    /// OpenCode summarised the conversation to fit the model's context.
    Compacted,
    /// OpenCode wrote this message in the user's name, to go on after a compaction.
    Continued(TextPart),
    /// The event stream was interrupted. The turn goes on at the server.
    ConnectionLost(Interruption),
    /// The session reported an error. The turn may recover from it.
    Failed(Box<AgentError>),
    /// The connection to an MCP server was lost. The tools of the server are gone, and a call of
    /// one of them fails.
    McpLost(McpServer),
    /// A message is new or has changed.
    MessageUpdated(Box<MessageInfo>),
    /// Any other event of the session: see [`TurnEvent::source`].
    Other,
    /// A part is new. A text or reasoning part contains the text so far.
    PartAdded(Part),
    /// Text was added to a part.
    #[non_exhaustive]
    PartDelta {
        /// The message.
        #[serde(rename = "messageID")]
        message: Option<MessageId>,
        /// The part.
        #[serde(rename = "partID")]
        part: PartId,
        /// Kind of the text.
        kind: TextKind,
        /// The added text.
        delta: RawText,
    },
    /// A text, a reasoning or a tool call is over. The part replaces everything before.
    #[non_exhaustive]
    PartFinal {
        /// The part.
        part: Part,
        /// Size of the text that earlier events contained, in bytes. All of it, when they contained
        /// another text.
        told: usize,
    },
    /// A part was removed.
    PartRemoved(PartId),
    /// A tool asks for a permission. The turn waits.
    PermissionAsked(Box<PermissionRequest>),
    /// A permission request was answered, by this client or another one.
    #[non_exhaustive]
    PermissionReplied {
        /// The request.
        #[serde(rename = "requestID")]
        request: PermissionId,
        /// `once`, `always` or `reject`.
        reply: Box<str>,
    },
    /// The server has the prompt, as this message.
    Posted(MessageId),
    /// The agent asks questions. The turn waits.
    QuestionAsked(Box<QuestionRequest>),
    /// Questions were dismissed, by this client or another one.
    QuestionRejected(QuestionId),
    /// Questions were answered, by this client or another one.
    QuestionReplied(QuestionId),
    /// The event stream is open again. Events of the gap follow, as far as the server knows them.
    Reconnected,
    /// The model's provider failed. OpenCode will try again.
    #[non_exhaustive]
    Retrying {
        /// Number of the attempt that failed, from 1.
        attempt: u64,
        /// The error, in the provider's words.
        message: String,
        /// Time of the next attempt, in milliseconds since 1970 by the server's clock.
        #[serde(rename = "next")]
        next_ms: u64,
    },
    /// A summary takes the place of the answer: another client asked for it with this message. The
    /// end of the turn follows.
    ReplacedBySummary(MessageId),
    /// The session began to work, or waits.
    StatusChanged(SessionStatus),
    /// A call of the model is over.
    StepFinished(StepFinish),
    /// A call of the model begins.
    StepStarted(StepStart),
    /// The title of the session changed.
    TitleChanged(String),
    /// The list of todos changed; holds the whole list.
    TodosChanged(Vec<Todo>),
    /// A tool call has new arguments, output or a new title.
    ToolProgressed(Box<ToolPart>),
}

impl TurnEvent {
    /// Returns the time at which OpenCode created the event, in milliseconds since 1970 by the
    /// clock of OpenCode's machine, like [`ServerEvent::created_ms`]. `None` for findings of a look
    /// at the server.
    pub fn created_ms(&self, near_ms: u64) -> Option<u64> {
        self.source.as_ref()?.created_ms(near_ms)
    }

    /// Returns the part whose text the event adds to.
    pub(crate) fn text_part(&self) -> Option<&PartId> {
        if let TurnEventKind::PartDelta { part, .. } = &self.kind {
            return Some(part);
        }
        if let TurnEventKind::PartAdded(part) | TurnEventKind::PartFinal { part, .. } = &self.kind {
            return part.key().part.as_ref();
        }
        None
    }

    /// Returns the text that the event adds to the answer: only text that the model wrote in the
    /// turn's own session, neither reasoning nor a summary nor the user's words. All of these one
    /// after the other are the text for a user.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        if self.origin != Origin::Session || self.step == StepRole::Summary {
            return None;
        }
        if let TurnEventKind::PartAdded(Part::Text(part)) = &self.kind {
            return (part.origin == TextOrigin::Model && !part.text.is_empty())
                .then(|| part.text.to_str());
        }
        if let TurnEventKind::PartDelta { kind: TextKind::Text, delta, .. } = &self.kind {
            return Some(delta.to_str()).filter(|text| !text.is_empty());
        }
        if let TurnEventKind::PartFinal { part: Part::Text(part), told } = &self.kind
            && part.origin == TextOrigin::Model
        {
            let text = part.text.to_str();
            let rest = text.get(*told..).filter(|rest| !rest.is_empty())?;
            return Some(Cow::Owned(rest.to_owned()));
        }
        None
    }
}
