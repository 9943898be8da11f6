//! What a server tells on its event streams: `GET /event` and `GET /global/event`.

mod ask;
mod decode;
mod message;
mod session;
mod types;

use std::borrow::Cow;

use bytes::Bytes;

use crate::json::{RawJson, RawText};
use crate::part::Part;
use crate::run_event::DecodeError;
use crate::{AgentError, MessageId, PartId, PermissionId, QuestionId, SessionId};

pub use ask::{Choice, PermissionRequest, Question, QuestionOption, QuestionRequest, ToolRef};
pub use message::{MessageInfo, Role};
pub use session::{SessionInfo, SessionRevert, SessionStatus, Todo};

/// One event of a server, with everything it said.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ServerEvent {
    /// The event as it came: a slice of the chunk it arrived in.
    pub raw: Bytes,
    /// Its id (`evt_…`, since 1.14.41).
    pub id: Option<Box<str>>,
    /// The directory it belongs to, on `/global/event`.
    pub directory: Option<Box<str>>,
    /// The session it belongs to. Events of subagents name the subagent's session.
    pub session: Option<SessionId>,
    /// What it says.
    pub kind: ServerEventKind,
}

/// What an event of a server says. Each names the `type` it mirrors.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ServerEventKind {
    /// `command.executed`.
    #[non_exhaustive]
    CommandExecuted {
        /// The command.
        name: Box<str>,
        /// The message it was sent as.
        message: Option<MessageId>,
    },
    /// `server.connected`: the stream is open; nothing after it is missed.
    Connected,
    /// `global.disposed`: all instances of the server were closed.
    GlobalDisposed,
    /// `server.heartbeat`: the connection works.
    Heartbeat,
    /// `server.instance.disposed`: the directory was closed, and so will be its event stream.
    InstanceDisposed,
    /// An event of a known type in a shape that could not be read.
    #[non_exhaustive]
    Malformed {
        /// The value of `type`, if it has one.
        event_type: Option<Box<str>>,
        /// What could not be read.
        error: DecodeError,
    },
    /// `message.removed`.
    #[non_exhaustive]
    MessageRemoved {
        /// The message.
        message: MessageId,
    },
    /// `message.updated`: a message is new or has changed. Sent several times per message, each with all of it.
    MessageUpdated(Box<MessageInfo>),
    /// A type that is known and says nothing about a session's turns: see [`ServerEvent::raw`].
    #[non_exhaustive]
    Other {
        /// The value of `type`.
        event_type: Box<str>,
    },
    /// `message.part.delta`: text to append to a part.
    #[non_exhaustive]
    PartDelta {
        /// The message.
        message: Option<MessageId>,
        /// The part. It may not have been told yet.
        part: PartId,
        /// Which field of the part: `text`, also for reasoning.
        field: Cow<'static, str>,
        /// What to append.
        delta: RawText,
    },
    /// `message.part.removed`.
    #[non_exhaustive]
    PartRemoved {
        /// The message.
        message: Option<MessageId>,
        /// The part.
        part: PartId,
    },
    /// `message.part.updated`: a part is new or has changed, with all of it.
    PartUpdated(Part),
    /// `permission.asked`, before 1.0.224 `permission.updated`: the turn waits for an answer.
    PermissionAsked(Box<PermissionRequest>),
    /// `permission.replied`.
    #[non_exhaustive]
    PermissionReplied {
        /// The request.
        request: PermissionId,
        /// `once`, `always` or `reject`.
        reply: Box<str>,
    },
    /// `question.asked`: the turn waits for an answer.
    QuestionAsked(Box<QuestionRequest>),
    /// `question.rejected`.
    #[non_exhaustive]
    QuestionRejected {
        /// The request.
        request: QuestionId,
    },
    /// `question.replied`.
    #[non_exhaustive]
    QuestionReplied {
        /// The request.
        request: QuestionId,
        /// The answers, a JSON array with an array of strings per question.
        answers: Option<RawJson>,
    },
    /// `session.compacted`: the conversation was summarised.
    SessionCompacted,
    /// `session.created`.
    SessionCreated(Box<SessionInfo>),
    /// `session.deleted`.
    SessionDeleted(Box<SessionInfo>),
    /// `session.diff`: what the session changed in files so far.
    #[non_exhaustive]
    SessionDiff {
        /// A JSON array of file diffs.
        diff: RawJson,
    },
    /// `session.error`: something failed. Not always the end of a turn.
    SessionError(Option<Box<AgentError>>),
    /// `session.idle`: the session waits for a prompt. Sent twice after errors and aborts.
    SessionIdle,
    /// `session.status`.
    SessionStatus(SessionStatus),
    /// `session.updated`.
    SessionUpdated(Box<SessionInfo>),
    /// `sync`: a copy of another event on `/global/event`.
    Sync,
    /// `todo.updated`: the whole list.
    TodoUpdated(Vec<Todo>),
    /// An event of a type this version of the crate does not know: see [`ServerEvent::raw`].
    #[non_exhaustive]
    Unknown {
        /// The value of `type`.
        event_type: Box<str>,
    },
}

impl ServerEvent {
    /// Reads the data of one server-sent event. Never fails: what cannot be read is an event that says so.
    pub fn decode(data: Bytes) -> Self {
        decode::decode(data)
    }

    /// The value of `type`; empty for what has none.
    pub fn event_type(&self) -> &str {
        match &self.kind {
            ServerEventKind::CommandExecuted { .. } => "command.executed",
            ServerEventKind::Connected => "server.connected",
            ServerEventKind::GlobalDisposed => "global.disposed",
            ServerEventKind::Heartbeat => "server.heartbeat",
            ServerEventKind::InstanceDisposed => "server.instance.disposed",
            ServerEventKind::Malformed { event_type, .. } => event_type.as_deref().unwrap_or(""),
            ServerEventKind::MessageRemoved { .. } => "message.removed",
            ServerEventKind::MessageUpdated(_) => "message.updated",
            ServerEventKind::Other { event_type } | ServerEventKind::Unknown { event_type } => {
                event_type
            }
            ServerEventKind::PartDelta { .. } => "message.part.delta",
            ServerEventKind::PartRemoved { .. } => "message.part.removed",
            ServerEventKind::PartUpdated(_) => "message.part.updated",
            ServerEventKind::PermissionAsked(_) => "permission.asked",
            ServerEventKind::PermissionReplied { .. } => "permission.replied",
            ServerEventKind::QuestionAsked(_) => "question.asked",
            ServerEventKind::QuestionRejected { .. } => "question.rejected",
            ServerEventKind::QuestionReplied { .. } => "question.replied",
            ServerEventKind::SessionCompacted => "session.compacted",
            ServerEventKind::SessionCreated(_) => "session.created",
            ServerEventKind::SessionDeleted(_) => "session.deleted",
            ServerEventKind::SessionDiff { .. } => "session.diff",
            ServerEventKind::SessionError(_) => "session.error",
            ServerEventKind::SessionIdle => "session.idle",
            ServerEventKind::SessionStatus(_) => "session.status",
            ServerEventKind::SessionUpdated(_) => "session.updated",
            ServerEventKind::Sync => "sync",
            ServerEventKind::TodoUpdated(_) => "todo.updated",
        }
    }
}

#[cfg(test)]
mod tests;
