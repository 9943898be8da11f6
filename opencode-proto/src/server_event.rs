//! Events of a server's streams: `GET /event` and `GET /global/event`.

mod ask;
mod decode;
mod message;
mod session;
mod types;

use std::borrow::Cow;

use bytes::Bytes;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::json::{RawJson, RawText};
use crate::part::Part;
use crate::run_event::DecodeError;
use crate::surroundings::PluginFault;
use crate::{AgentError, MessageId, PartId, PermissionId, QuestionId, SessionId};

pub use ask::{Choice, PermissionRequest, Question, QuestionOption, QuestionRequest, ToolRef};
pub use message::{MessageInfo, Role};
pub use session::{SessionInfo, SessionRevert, SessionStatus, Todo};

/// One event of a server, with the JSON it was decoded from.
///
/// Decoding has three outcomes: a known event, an unknown one ([`ServerEventKind::Unknown`],
/// [`ServerEventKind::Other`]), and a known one that lacks a field or has another shape
/// ([`ServerEventKind::Malformed`]). No event is decoded to a value with made-up ids, texts or
/// states.
///
/// `Serialize` writes the event as it arrived; data that is not JSON becomes
/// `{"type": "malformed", "raw": ".."}`.
///
/// ```
/// use opencode_proto::{ServerEvent, ServerEventKind};
///
/// let data = r#"{"type":"session.idle","properties":{"sessionID":"ses_1"}}"#;
/// let event = ServerEvent::decode(data.into());
/// assert_eq!(event.kind, ServerEventKind::SessionIdle);
/// assert_eq!(event.session.as_ref().unwrap(), &"ses_1");
/// assert_eq!(serde_json::to_string(&event)?, data);
///
/// let event = ServerEvent::decode(r#"{"type":"session.idle","properties":{}}"#.into());
/// assert!(matches!(event.kind, ServerEventKind::Malformed { .. }));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ServerEvent {
    /// The event as it arrived: a slice of the chunk.
    pub raw: Bytes,
    /// Id of the event (`evt_…`, since 1.14.41).
    pub id: Option<Box<str>>,
    /// The directory of the event, on `/global/event`.
    pub directory: Option<Box<str>>,
    /// The session of the event. Events of subagents name the subagent's session.
    pub session: Option<SessionId>,
    /// The decoded content.
    pub kind: ServerEventKind,
}

/// Content of a server's event. Each variant names the `type` that it mirrors.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ServerEventKind {
    /// A command was run (`command.executed`).
    #[non_exhaustive]
    CommandExecuted {
        /// Name of the command.
        name: Box<str>,
        /// The message that the command was sent as.
        message: Option<MessageId>,
    },
    /// The stream is open, and no later event is missed (`server.connected`).
    Connected,
    /// All instances of the server were closed (`global.disposed`).
    GlobalDisposed,
    /// Sign of life of the connection (`server.heartbeat`).
    Heartbeat,
    /// The directory was closed; the event stream ends (`server.instance.disposed`).
    InstanceDisposed,
    /// An event of a known type that lacks a required field or has another shape, or data without a
    /// type.
    #[non_exhaustive]
    Malformed {
        /// The value of `type`, if any.
        event_type: Option<Box<str>>,
        /// The first mistake in the event.
        error: DecodeError,
    },
    /// The tools of an MCP server changed: the server announced so, or the connection was lost, which
    /// `GET /mcp` shows (`mcp.tools.changed`). About all sessions of the directory.
    #[non_exhaustive]
    McpToolsChanged {
        /// Name of the MCP server.
        server: Box<str>,
    },
    /// A message was removed (`message.removed`).
    #[non_exhaustive]
    MessageRemoved {
        /// Id of the message.
        message: MessageId,
    },
    /// A message is new or has changed (`message.updated`). Sent several times per message, each
    /// time whole.
    MessageUpdated(Box<MessageInfo>),
    /// An event of a known type without relation to the turns of a session: see
    /// [`ServerEvent::raw`].
    #[non_exhaustive]
    Other {
        /// The value of `type`.
        event_type: Box<str>,
    },
    /// Text to append to a part (`message.part.delta`).
    #[non_exhaustive]
    PartDelta {
        /// The message with the part.
        message: Option<MessageId>,
        /// Id of the part, which later events may introduce.
        part: PartId,
        /// Name of the part's field: `text`, also for reasoning.
        field: Cow<'static, str>,
        /// The text to append.
        delta: RawText,
    },
    /// A part was removed (`message.part.removed`).
    #[non_exhaustive]
    PartRemoved {
        /// The message with the part.
        message: Option<MessageId>,
        /// Id of the part.
        part: PartId,
    },
    /// A part is new or has changed, and is sent whole (`message.part.updated`).
    PartUpdated(Part),
    /// A turn waits for a permission (`permission.asked`, before 1.0.224 `permission.updated`).
    PermissionAsked(Box<PermissionRequest>),
    /// A permission request was answered (`permission.replied`).
    #[non_exhaustive]
    PermissionReplied {
        /// Id of the request.
        request: PermissionId,
        /// `once`, `always` or `reject`.
        reply: Box<str>,
    },
    /// A turn waits for answers to questions (`question.asked`).
    QuestionAsked(Box<QuestionRequest>),
    /// Questions were dismissed (`question.rejected`).
    #[non_exhaustive]
    QuestionRejected {
        /// Id of the request.
        request: QuestionId,
    },
    /// Questions were answered (`question.replied`).
    #[non_exhaustive]
    QuestionReplied {
        /// Id of the request.
        request: QuestionId,
        /// The answers, a JSON array with an array of strings per question.
        answers: Option<RawJson>,
    },
    /// The conversation was compacted to a summary (`session.compacted`).
    SessionCompacted,
    /// A session was created (`session.created`).
    SessionCreated(Box<SessionInfo>),
    /// A session was deleted (`session.deleted`).
    SessionDeleted(Box<SessionInfo>),
    /// The files that the session has changed so far (`session.diff`).
    #[non_exhaustive]
    SessionDiff {
        /// A JSON array of file diffs, for [`FileDiff::list`](crate::FileDiff::list).
        diff: RawJson,
    },
    /// An error of the session, which does not always end a turn (`session.error`).
    SessionError(Option<Box<AgentError>>),
    /// The session waits for a prompt (`session.idle`). Sent twice after errors and aborts.
    SessionIdle,
    /// The status of the session changed (`session.status`).
    SessionStatus(SessionStatus),
    /// The title or another property of the session changed (`session.updated`).
    SessionUpdated(Box<SessionInfo>),
    /// A copy of another event on `/global/event` (`sync`).
    Sync,
    /// The to-do list changed, and is sent whole (`todo.updated`).
    TodoUpdated(Vec<Todo>),
    /// An event of a type that this version of the crate does not know: see [`ServerEvent::raw`].
    #[non_exhaustive]
    Unknown {
        /// The value of `type`.
        event_type: Box<str>,
    },
}

impl ServerEvent {
    /// Decodes the data of one server-sent event. Never fails: unreadable data is a
    /// [`Malformed`](ServerEventKind::Malformed) event.
    pub fn decode(data: Bytes) -> Self {
        decode::decode(data)
    }

    /// Returns the plugin that OpenCode reports not to have loaded: a `session.error` without a
    /// session, which OpenCode publishes when a directory is opened. Only `/global/event` can have
    /// the event, since `/event` opens the directory first.
    pub fn plugin_fault(&self) -> Option<PluginFault> {
        if let (ServerEventKind::SessionError(Some(error)), None) = (&self.kind, &self.session) {
            return PluginFault::of_message(&error.message);
        }
        None
    }

    /// Returns the time at which OpenCode created the event, in milliseconds since 1970 by the
    /// clock of OpenCode's machine. `None` before 1.14.41, whose events have no id.
    ///
    /// The id has the lower part of the time only, so that `near_ms`, any time within a year of the
    /// event, is needed as well.
    ///
    /// ```
    /// use opencode_proto::ServerEvent;
    ///
    /// let event = r#"{"id":"evt_1fc301c96001kGT3g1XsBvx8aF","type":"server.connected",
    ///     "properties":{}}"#;
    /// let created_ms = ServerEvent::decode(event.into()).created_ms(1_795_000_000_000);
    /// assert_eq!(created_ms, Some(1_795_232_373_910));
    /// ```
    pub fn created_ms(&self, near_ms: u64) -> Option<u64> {
        // Twelve hexadecimal digits: milliseconds, and a count in the lower twelve bits.
        const PERIOD_MS: u64 = 1 << 36;
        let digits = self.id.as_deref()?.strip_prefix("evt_")?.get(..12)?;
        let lower = u64::from_str_radix(digits, 16).ok()? >> 12;
        let start = near_ms.saturating_sub(PERIOD_MS / 2);
        let behind = lower.wrapping_sub(start) % PERIOD_MS;
        Some(start + behind)
    }

    /// Returns whether the event is about every session of the directory.
    pub fn concerns_all_sessions(&self) -> bool {
        matches!(self.kind, ServerEventKind::McpToolsChanged { .. })
    }

    /// Returns the value of `type`; empty for an event without one.
    pub fn event_type(&self) -> &str {
        match &self.kind {
            ServerEventKind::CommandExecuted { .. } => "command.executed",
            ServerEventKind::Connected => "server.connected",
            ServerEventKind::GlobalDisposed => "global.disposed",
            ServerEventKind::Heartbeat => "server.heartbeat",
            ServerEventKind::InstanceDisposed => "server.instance.disposed",
            ServerEventKind::Malformed { event_type, .. } => event_type.as_deref().unwrap_or(""),
            ServerEventKind::McpToolsChanged { .. } => "mcp.tools.changed",
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

impl Serialize for ServerEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Ok(event) = serde_json::from_slice::<&RawValue>(&self.raw) {
            return event.serialize(serializer);
        }
        let mut event = serializer.serialize_struct("ServerEvent", 2)?;
        event.serialize_field("type", "malformed")?;
        event.serialize_field("raw", &String::from_utf8_lossy(&self.raw))?;
        event.end()
    }
}

#[cfg(test)]
mod tests;
