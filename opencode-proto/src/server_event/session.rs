use bytes::Bytes;
use opencode_config::ModelRef;
use serde::de::Error;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::json::{RawJson, string};
use crate::part::{IfObject, Lenient, Str, Tokens, WireTokens};
use crate::{MessageId, PartId, SessionId};

/// A session. Mirrors `Session`.
///
/// Fields that are not decoded are in [`raw`](Self::raw), which is also the JSON that `Serialize`
/// writes.
///
/// ```
/// use opencode_proto::{ServerEvent, ServerEventKind};
///
/// let event = r#"{"type":"session.created","properties":{"info":
///     {"id":"ses_2","parentID":"ses_1","title":"A subagent","time":{"created":5}}}}"#;
/// let ServerEventKind::SessionCreated(info) = ServerEvent::decode(event.into()).kind else {
///     panic!()
/// };
/// assert_eq!((&*info.title, info.created_ms), ("A subagent", Some(5)));
/// assert!(serde_json::to_string(&info)?.contains(r#""parentID":"ses_1""#));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Id of the session.
    pub id: SessionId,
    /// The session whose agent started this one as a subagent.
    pub parent: Option<SessionId>,
    /// Title of the session; empty where the server gave none.
    pub title: String,
    /// The project that the session belongs to.
    pub project: Option<Box<str>>,
    /// The directory that the session works in.
    pub directory: Option<Box<str>>,
    /// The agent that answers prompts without an agent of their own.
    pub agent: Option<Box<str>>,
    /// The model of the last prompt, which answers prompts without a model of their own.
    pub model: Option<ModelRef>,
    /// The variant of that model, unless it is the default one.
    pub variant: Option<Box<str>>,
    /// The version of OpenCode that created the session.
    pub version: Option<Box<str>>,
    /// Public address of a shared session.
    pub share_url: Option<Box<str>>,
    /// The reverted end of the session.
    pub revert: Option<SessionRevert>,
    /// Creation, in milliseconds since 1970 by the server's clock.
    pub created_ms: Option<u64>,
    /// Last change, in milliseconds since 1970 by the server's clock.
    pub updated_ms: Option<u64>,
    /// Archival, in milliseconds since 1970 by the server's clock.
    pub archived_ms: Option<u64>,
    /// Price of the session so far, in US dollars (since 1.15).
    pub cost: f64,
    /// Tokens of the session so far (since 1.15).
    pub tokens: Tokens,
    /// The whole session, a JSON object.
    pub raw: RawJson,
}

/// The reverted end of a session: a message, or the rest of a message from a part on, and all
/// messages after. Mirrors `revert`.
///
/// The next prompt deletes the reverted messages; until then they can be restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SessionRevert {
    /// The first reverted message.
    #[serde(rename = "messageID")]
    pub message: MessageId,
    /// The first reverted part of that message; `None` for the whole message.
    #[serde(rename = "partID", skip_serializing_if = "Option::is_none")]
    pub part: Option<PartId>,
}

/// Status of a session. Mirrors `SessionStatus`.
///
/// ```
/// use opencode_proto::{ServerEvent, ServerEventKind, SessionStatus};
///
/// let event = r#"{"type":"session.status","properties":{"sessionID":"ses_1","status":
///     {"type":"retry","attempt":2,"message":"overloaded","next":1796057006029}}}"#;
/// let ServerEventKind::SessionStatus(status) = ServerEvent::decode(event.into()).kind else {
///     panic!()
/// };
/// assert!(matches!(&status, SessionStatus::Retry { attempt: 2, .. }));
/// assert_eq!(
///     serde_json::to_string(&status)?,
///     r#"{"type":"retry","attempt":2,"message":"overloaded","next":1796057006029}"#
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionStatus {
    /// The session works on a prompt.
    Busy,
    /// The session waits for a prompt.
    Idle,
    /// A status that this version of the crate does not know.
    #[non_exhaustive]
    Other {
        /// The value of `type`.
        status: Box<str>,
    },
    /// The model's provider failed, and OpenCode is going to repeat the call.
    #[non_exhaustive]
    Retry {
        /// Number of failed attempts, from 1.
        attempt: u64,
        /// Message of the failure.
        message: String,
        /// Time of the next attempt, in milliseconds since 1970 by the server's clock.
        next_ms: u64,
    },
}

/// One item of a session's to-do list. Mirrors `Todo`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Todo {
    /// Text of the item.
    pub content: String,
    /// `pending`, `in_progress`, `completed` or `cancelled`.
    pub status: Box<str>,
    /// `high`, `medium` or `low`.
    pub priority: Box<str>,
}

impl SessionInfo {
    /// Decodes a session from `raw`, which must borrow the memory of `line`.
    pub(crate) fn decode(line: &Bytes, raw: &RawValue) -> Result<Self, serde_json::Error> {
        let wire: WireSession<'_> = serde_json::from_str(raw.get())?;
        let text = |raw: Option<&RawValue>| raw.and_then(string).map(Box::from);
        let time = wire.time.0.unwrap_or_default();
        let model = wire.model.0.unwrap_or_default();
        let revert = wire.revert.0.and_then(|revert| {
            Some(SessionRevert {
                message: revert.message_id.and_then(string)?.into(),
                part: revert.part_id.and_then(string).map(PartId::from),
            })
        });
        Ok(Self {
            id: wire.id.as_str().into(),
            parent: wire.parent_id.map(|id| id.as_str().into()),
            title: wire.title.and_then(string).unwrap_or_default(),
            project: text(wire.project_id),
            directory: text(wire.directory),
            agent: text(wire.agent),
            model: model.model(),
            variant: text(model.variant).filter(|variant| &**variant != "default"),
            version: text(wire.version),
            share_url: wire.share.0.and_then(|share| text(share.url)),
            revert,
            created_ms: time.created.map(Lenient::count),
            updated_ms: time.updated.map(Lenient::count),
            archived_ms: time.archived.map(Lenient::count),
            cost: wire.cost.amount(),
            tokens: wire.tokens.unwrap_or_default().into(),
            raw: RawJson::slice(line, raw),
        })
    }
}

impl Serialize for SessionInfo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.raw.serialize(serializer)
    }
}

impl SessionStatus {
    pub(crate) fn decode(raw: &RawValue) -> Result<Self, serde_json::Error> {
        let wire: WireStatus<'_> = serde_json::from_str(raw.get())?;
        let missing = |name| <serde_json::Error as Error>::missing_field(name);
        Ok(match wire.status_type.as_str() {
            "busy" => Self::Busy,
            "idle" => Self::Idle,
            "retry" => Self::Retry {
                attempt: wire.attempt.ok_or_else(|| missing("attempt"))?.count(),
                message: wire.message.and_then(string).ok_or_else(|| missing("message"))?,
                next_ms: wire.next.ok_or_else(|| missing("next"))?.count(),
            },
            other => Self::Other { status: other.into() },
        })
    }
}

impl Serialize for SessionStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut status = serializer.serialize_map(None)?;
        let status_type = match self {
            Self::Busy => "busy",
            Self::Idle => "idle",
            Self::Other { status } => status,
            Self::Retry { .. } => "retry",
        };
        status.serialize_entry("type", status_type)?;
        if let Self::Retry { attempt, message, next_ms } = self {
            status.serialize_entry("attempt", attempt)?;
            status.serialize_entry("message", message)?;
            status.serialize_entry("next", next_ms)?;
        }
        status.end()
    }
}

impl Todo {
    pub(crate) fn decode_all(raw: &RawValue) -> Result<Vec<Self>, serde_json::Error> {
        let wire: Vec<WireTodo<'_>> = serde_json::from_str(raw.get())?;
        let todo = |wire: WireTodo<'_>| Self {
            content: wire.content.as_str().to_owned(),
            // Some models write `in-progress`, and OpenCode passes that on.
            status: wire.status.as_str().replace('-', "_").into(),
            priority: wire.priority.as_str().into(),
        };
        Ok(wire.into_iter().map(todo).collect())
    }
}

#[derive(Deserialize)]
struct WireSession<'a> {
    #[serde(borrow)]
    id: Str<'a>,
    #[serde(borrow, default, rename = "parentID")]
    parent_id: Option<Str<'a>>,
    #[serde(borrow, default)]
    title: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "projectID")]
    project_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    directory: Option<&'a RawValue>,
    #[serde(borrow, default)]
    agent: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model: IfObject<WireLastModel<'a>>,
    #[serde(borrow, default)]
    version: Option<&'a RawValue>,
    #[serde(borrow, default)]
    share: IfObject<WireShare<'a>>,
    #[serde(borrow, default)]
    revert: IfObject<WireRevert<'a>>,
    #[serde(default)]
    time: IfObject<WireSessionTime>,
    #[serde(default)]
    cost: Lenient,
    #[serde(default)]
    tokens: Option<WireTokens>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireLastModel<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow, rename = "providerID")]
    provider_id: Option<&'a RawValue>,
    #[serde(borrow)]
    variant: Option<&'a RawValue>,
}

impl WireLastModel<'_> {
    fn model(&self) -> Option<ModelRef> {
        let (provider, id) = (string(self.provider_id?)?, string(self.id?)?);
        ModelRef::new(format!("{provider}/{id}")).ok()
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireShare<'a> {
    #[serde(borrow)]
    url: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireRevert<'a> {
    #[serde(borrow, rename = "messageID")]
    message_id: Option<&'a RawValue>,
    #[serde(borrow, rename = "partID")]
    part_id: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireSessionTime {
    created: Option<Lenient>,
    updated: Option<Lenient>,
    archived: Option<Lenient>,
}

#[derive(Deserialize)]
struct WireStatus<'a> {
    #[serde(borrow, rename = "type")]
    status_type: Str<'a>,
    #[serde(default)]
    attempt: Option<Lenient>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(default)]
    next: Option<Lenient>,
}

#[derive(Deserialize)]
struct WireTodo<'a> {
    #[serde(borrow)]
    content: Str<'a>,
    #[serde(borrow)]
    status: Str<'a>,
    #[serde(borrow)]
    priority: Str<'a>,
}
