use std::borrow::Cow;
use std::sync::Arc;

use crate::hub::Interruption;
use crate::json::RawText;
use crate::part::{Part, StepFinish, StepStart, TextOrigin, TextPart, ToolPart};
use crate::server_event::{
    MessageInfo, PermissionRequest, QuestionRequest, ServerEvent, SessionInfo, SessionStatus, Todo,
};
use crate::transcript::TextKind;
use crate::{AgentError, MessageId, PartId, PermissionId, QuestionId, SessionId, StepRole};

/// Something that happened in a turn.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TurnEvent {
    /// The session it happened in.
    pub session: SessionId,
    /// Whether that is the turn's own.
    pub origin: Origin,
    /// What the message it is about is for: an answer, unless it is a summary.
    pub step: StepRole,
    /// What happened.
    pub kind: TurnEventKind,
    /// The server's event. `None` for what was found out in another way.
    pub source: Option<Arc<ServerEvent>>,
}

/// Whose event it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The turn's own session's.
    Session,
    /// That of a subagent, at any depth.
    Subagent,
}

/// What happened in a turn.
///
/// A part of a message is added once, then changes, then is final. Nothing is told twice, also when the connection was
/// lost in between and what happened meanwhile had to be looked up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TurnEventKind {
    /// A subagent was started: its session.
    ChildStarted(Box<SessionInfo>),
    /// The conversation was summarised to fit the model's context.
    Compacted,
    /// OpenCode wrote a message in the user's name, to go on after a compaction: what it says.
    Continued(TextPart),
    /// The event stream was interrupted. The turn goes on at the server.
    ConnectionLost(Interruption),
    /// The session reported an error. The turn may recover from it.
    Failed(Box<AgentError>),
    /// A message is new or has changed, with all that is known about it.
    MessageUpdated(Box<MessageInfo>),
    /// Anything else that the server told of the session: see [`TurnEvent::source`].
    Other,
    /// A part is new. The text of a text or reasoning part is what there is so far.
    PartAdded(Part),
    /// Text was added to a part.
    #[non_exhaustive]
    PartDelta {
        /// The message.
        message: Option<MessageId>,
        /// The part.
        part: PartId,
        /// What kind of text it is.
        kind: TextKind,
        /// What was added.
        delta: RawText,
    },
    /// A text, a reasoning or a tool call is over, and this is what it came to, whatever was told before.
    #[non_exhaustive]
    PartFinal {
        /// The part.
        part: Part,
        /// How much of the text was told before, in bytes. All of it, when it was told differently.
        told: usize,
    },
    /// A part was removed.
    PartRemoved(PartId),
    /// A permission is asked for. The turn waits.
    PermissionAsked(Box<PermissionRequest>),
    /// A permission was answered, by us or by somebody else.
    #[non_exhaustive]
    PermissionReplied {
        /// The request.
        request: PermissionId,
        /// `once`, `always` or `reject`.
        reply: Box<str>,
    },
    /// The server has the prompt, as this message.
    Posted(MessageId),
    /// Questions are asked. The turn waits.
    QuestionAsked(Box<QuestionRequest>),
    /// Questions were dismissed, by us or by somebody else.
    QuestionRejected(QuestionId),
    /// Questions were answered, by us or by somebody else.
    QuestionReplied(QuestionId),
    /// The event stream is open again. What happened in between follows, as far as the server knows it.
    Reconnected,
    /// The model's provider failed and will be tried again.
    #[non_exhaustive]
    Retrying {
        /// How often it was tried, from 1.
        attempt: u64,
        /// Why it failed.
        message: String,
        /// When the next try is due, in milliseconds since 1970 by the server's clock.
        next_ms: u64,
    },
    /// The session began to work, or waits.
    StatusChanged(SessionStatus),
    /// A call of the model is over.
    StepFinished(StepFinish),
    /// A call of the model begins.
    StepStarted(StepStart),
    /// The session is called otherwise now.
    TitleChanged(String),
    /// The whole list of things to do.
    TodosChanged(Vec<Todo>),
    /// A tool call has news: its arguments, its output so far, its title.
    ToolProgressed(Box<ToolPart>),
}

impl TurnEvent {
    /// What this adds to the answer's text, if anything: only text that the model wrote in the turn's own session,
    /// neither reasoning nor a summary nor the user's words. All of these one after the other are what a user is to see.
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
