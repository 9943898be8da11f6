use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::SessionId;
use crate::json::{RawJson, string};
use crate::part::{Lenient, Str, Tokens, WireTokens};

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
    /// The directory it works in.
    pub directory: Option<Box<str>>,
    /// What it cost so far, in US dollars (since 1.15).
    pub cost: f64,
    /// What it used so far (since 1.15).
    pub tokens: Tokens,
    /// All of it, a JSON object.
    pub raw: RawJson,
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
    pub(super) fn decode(line: &Bytes, raw: &RawValue) -> Result<Self, serde_json::Error> {
        let wire: WireSession<'_> = serde_json::from_str(raw.get())?;
        Ok(Self {
            id: wire.id.as_str().into(),
            parent: wire.parent_id.map(|id| id.as_str().into()),
            title: wire.title.and_then(string).unwrap_or_default(),
            directory: wire.directory.and_then(string).map(Into::into),
            cost: wire.cost.amount(),
            tokens: wire.tokens.unwrap_or_default().into(),
            raw: RawJson::slice(line, raw),
        })
    }
}

impl SessionStatus {
    pub(super) fn decode(raw: &RawValue) -> Result<Self, serde_json::Error> {
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
    pub(super) fn decode_all(raw: &RawValue) -> Result<Vec<Self>, serde_json::Error> {
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
    #[serde(borrow, default)]
    directory: Option<&'a RawValue>,
    #[serde(default)]
    cost: Lenient,
    #[serde(default)]
    tokens: Option<WireTokens>,
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
