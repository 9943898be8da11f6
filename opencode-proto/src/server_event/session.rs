use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::{RawJson, string};
use crate::part::{IfObject, Lenient, Str, Tokens, WireTokens};
use crate::{MessageId, PartId, SessionId};

/// A session. Mirrors `Session`; the rest of it is in [`raw`](Self::raw).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The session.
    pub id: SessionId,
    /// The session whose agent started this one as a subagent.
    pub parent: Option<SessionId>,
    /// What it is called.
    pub title: String,
    /// The project it belongs to.
    pub project: Option<Box<str>>,
    /// The directory it works in.
    pub directory: Option<Box<str>>,
    /// The agent that answers prompts that name none.
    pub agent: Option<Box<str>>,
    /// The version of OpenCode that made it.
    pub version: Option<Box<str>>,
    /// Where everybody can read it.
    pub share_url: Option<Box<str>>,
    /// What of it was taken back.
    pub revert: Option<SessionRevert>,
    /// When it was made, in milliseconds since 1970 by the server's clock.
    pub created_ms: Option<u64>,
    /// When it changed last.
    pub updated_ms: Option<u64>,
    /// When it was archived.
    pub archived_ms: Option<u64>,
    /// What it cost so far, in US dollars (since 1.15).
    pub cost: f64,
    /// What it used so far (since 1.15).
    pub tokens: Tokens,
    /// All of it, a JSON object.
    pub raw: RawJson,
}

/// What of a session was taken back: a message, or the rest of it from a part on, and all after it. Mirrors `revert`.
///
/// The next prompt deletes it; until then it can be had back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionRevert {
    /// The first message that was taken back.
    pub message: MessageId,
    /// The part of it from which on.
    pub part: Option<PartId>,
}

/// What a session does. Mirrors `SessionStatus`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionStatus {
    /// It works on a prompt.
    Busy,
    /// It waits for a prompt.
    Idle,
    /// A status this version of the crate does not know.
    #[non_exhaustive]
    Other {
        /// The value of `type`.
        status: Box<str>,
    },
    /// The model's provider failed; it will be tried again.
    #[non_exhaustive]
    Retry {
        /// How often it was tried, from 1.
        attempt: u64,
        /// Why it failed.
        message: String,
        /// When the next try is due, in milliseconds since 1970 by the server's clock.
        next_ms: u64,
    },
}

/// One item of a session's list of things to do. Mirrors `Todo`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Todo {
    /// What is to be done.
    pub content: String,
    /// `pending`, `in_progress`, `completed` or `cancelled`.
    pub status: Box<str>,
    /// `high`, `medium` or `low`.
    pub priority: Box<str>,
}

impl SessionInfo {
    pub(crate) fn decode(line: &Bytes, raw: &RawValue) -> Result<Self, serde_json::Error> {
        let wire: WireSession<'_> = serde_json::from_str(raw.get())?;
        let text = |raw: Option<&RawValue>| raw.and_then(string).map(Box::from);
        let time = wire.time.0.unwrap_or_default();
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

impl SessionStatus {
    pub(crate) fn decode(raw: &RawValue) -> Result<Self, serde_json::Error> {
        let wire: WireStatus<'_> = serde_json::from_str(raw.get())?;
        Ok(match wire.status_type.as_str() {
            "busy" => Self::Busy,
            "idle" => Self::Idle,
            "retry" => Self::Retry {
                attempt: wire.attempt.count(),
                message: wire.message.and_then(string).unwrap_or_default(),
                next_ms: wire.next.count(),
            },
            other => Self::Other { status: other.into() },
        })
    }
}

impl Todo {
    pub(crate) fn decode_all(raw: &RawValue) -> Result<Vec<Self>, serde_json::Error> {
        let wire: Vec<WireTodo<'_>> = serde_json::from_str(raw.get())?;
        let text = |raw: Option<&RawValue>| raw.and_then(string).unwrap_or_default();
        let todo = |wire: WireTodo<'_>| Self {
            content: text(wire.content),
            // Some models write `in-progress`, and OpenCode passes it on.
            status: text(wire.status).replace('-', "_").into(),
            priority: text(wire.priority).into(),
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
    attempt: Lenient,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(default)]
    next: Lenient,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireTodo<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    priority: Option<&'a RawValue>,
}
