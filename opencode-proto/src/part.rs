//! Parts: the pieces of a message.
//!
//! `opencode run --format json` prints parts in the same shapes as the server's event stream.

mod context;
mod json;
mod lenient;
mod spend;
mod tokens;
mod tool;
mod wire;

use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::json::{RawJson, RawText};
use crate::{MessageId, PartId, SessionId};

pub use context::ContextUse;
pub(crate) use lenient::{IfObject, Lenient};
pub use spend::Spend;
pub use tokens::Tokens;
pub(crate) use tokens::WireTokens;
pub use tool::{ToolPart, ToolState};
pub(crate) use wire::{Str, WirePart};

/// A part of any kind. Mirrors `Part`.
///
/// `Serialize` writes OpenCode's own shape, for this type and for each kind of part.
///
/// ```
/// use opencode_proto::{Part, ServerEvent, ServerEventKind};
///
/// let event = r#"{"type":"message.part.updated","properties":{"sessionID":"ses_1","part":
///     {"type":"text","id":"prt_1","messageID":"msg_1","text":"Hello!","time":{"start":5}}}}"#;
/// let ServerEventKind::PartUpdated(part) = ServerEvent::decode(event.into()).kind else { panic!() };
/// let Part::Text(text) = &part else { panic!() };
/// assert_eq!(text.text, "Hello!");
/// assert_eq!(
///     serde_json::to_string(&part)?,
///     r#"{"id":"prt_1","messageID":"msg_1","type":"text","text":"Hello!","time":{"start":5}}"#
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Part {
    /// A part of a kind that is not decoded: `agent`, `compaction`, `file`, `patch`, `retry`,
    /// `snapshot`, `subtask`, and the kinds of newer versions.
    #[non_exhaustive]
    Other {
        /// Ids of the part.
        key: PartKey,
        /// The value of `type`.
        part_type: Box<str>,
        /// The whole part, a JSON object.
        raw: RawJson,
    },
    /// Reasoning of the model (`reasoning`).
    Reasoning(ReasoningPart),
    /// End of a model call (`step-finish`).
    StepFinish(StepFinish),
    /// Start of a model call (`step-start`).
    StepStart(StepStart),
    /// Text (`text`).
    Text(TextPart),
    /// A tool call (`tool`).
    Tool(Box<ToolPart>),
}

impl Part {
    /// Returns the ids of the part.
    pub fn key(&self) -> &PartKey {
        match self {
            Self::Other { key, .. } => key,
            Self::Reasoning(part) => &part.key,
            Self::StepFinish(part) => &part.key,
            Self::StepStart(part) => &part.key,
            Self::Text(part) => &part.key,
            Self::Tool(part) => &part.key,
        }
    }

    /// Decodes a part from `raw`, which must borrow the memory of `line`.
    pub(crate) fn decode(line: &Bytes, raw: &RawValue) -> Result<Self, serde_json::Error> {
        let mut wire: WirePart<'_> = serde_json::from_str(raw.get())?;
        Ok(match wire.part_type()? {
            "reasoning" => Self::Reasoning(wire.reasoning(line)?),
            "step-finish" => Self::StepFinish(wire.step_finish()),
            "step-start" => Self::StepStart(wire.step_start()),
            "text" => Self::Text(wire.text(line)?),
            "tool" => Self::Tool(Box::new(wire.tool(line, raw.get())?)),
            other => Self::Other {
                key: wire.key(),
                part_type: other.into(),
                raw: RawJson::slice(line, raw),
            },
        })
    }
}

/// Ids of a part, the message and the session. Older and newer versions leave some of them out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PartKey {
    /// Id of the part.
    #[serde(rename = "id", skip_serializing_if = "Option::is_none")]
    pub part: Option<PartId>,
    /// The message that the part belongs to.
    #[serde(rename = "messageID", skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    /// The session that the message belongs to.
    #[serde(rename = "sessionID", skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
}

/// Text of a message: of the model, of the user, or of OpenCode itself (see
/// [`origin`](Self::origin)). Part type `text`.
///
/// ```
/// use opencode_proto::{RunEvent, RunEventKind, TextOrigin};
///
/// let line = r#"{"type":"text","part":{"text":"a file","synthetic":true}}"#;
/// let RunEventKind::Text(part) = RunEvent::decode(line.into()).kind else { panic!() };
/// assert_eq!(part.origin, TextOrigin::Synthetic);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TextPart {
    /// Ids of the part.
    pub key: PartKey,
    /// The whole text of the part.
    pub text: RawText,
    /// Author of the text.
    pub origin: TextOrigin,
    /// Start and end of the writing.
    pub time: TimeSpan,
    /// Data that the provider or a plugin attached, a JSON object.
    pub metadata: Option<RawJson>,
}

/// Author of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextOrigin {
    /// OpenCode itself, to go on after a compaction: `synthetic` with
    /// `metadata.compaction_continue`. The message before is the summary, not an answer.
    Continuation,
    /// The author of the message: the model in an answer, the user in a prompt.
    Model,
    /// OpenCode itself: `synthetic`, for example the content of an attached file.
    Synthetic,
}

/// Reasoning of the model. Part type `reasoning`.
///
/// ```
/// use opencode_proto::{RunEvent, RunEventKind};
///
/// let line = r#"{"type":"reasoning","part":{"text":"Hm.","time":{"start":1000,"end":1500}}}"#;
/// let RunEventKind::Reasoning(part) = RunEvent::decode(line.into()).kind else { panic!() };
/// assert_eq!((part.text.to_str().as_ref(), part.time.duration_ms()), ("Hm.", Some(500)));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ReasoningPart {
    /// Ids of the part.
    pub key: PartKey,
    /// The whole text of the part.
    pub text: RawText,
    /// Start and end of the reasoning.
    pub time: TimeSpan,
    /// Data that the provider attached, a JSON object.
    pub metadata: Option<RawJson>,
}

/// Start of a model call. Part type `step-start`.
///
/// OpenCode repeats a call that the provider broke off: the message then has one `step-start` per
/// attempt, and no `step-finish` after the abandoned attempts. A call that fails before the first
/// token has none at all.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StepStart {
    /// Ids of the part.
    pub key: PartKey,
}

/// End of a model call. Part type `step-finish`.
///
/// ```
/// use opencode_proto::{FinishReason, RunEvent, RunEventKind};
///
/// let line = r#"{"type":"step_finish","part":
///     {"reason":"stop","cost":0.5,"tokens":{"total":1500,"input":1400,"output":100}}}"#;
/// let RunEventKind::StepFinish(step) = RunEvent::decode(line.into()).kind else { panic!() };
/// assert_eq!(step.reason, FinishReason::STOP);
/// assert_eq!(step.tokens.to_string(), "1,500 tokens (1,400 in, 100 out)");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StepFinish {
    /// Ids of the part.
    pub key: PartKey,
    /// The model's reason to stop.
    pub reason: FinishReason,
    /// Tokens of this call.
    pub tokens: Tokens,
    /// Price of this call, in US dollars by the model catalogue.
    pub cost: f64,
}

/// A model's reason to stop. An open set, which OpenCode passes on from the AI SDK.
///
/// ```
/// use opencode_proto::FinishReason;
///
/// let reason = FinishReason::from("tool-calls");
/// assert_eq!(reason, FinishReason::TOOL_CALLS);
/// assert!(reason.expects_more() && !reason.is_answer());
/// ```
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct FinishReason(Box<str>);

impl FinishReason {
    /// The provider's content filter cut the answer off.
    pub const CONTENT_FILTER: &str = "content-filter";
    /// The provider reported an error.
    pub const ERROR: &str = "error";
    /// The answer reached the limit on the length.
    pub const LENGTH: &str = "length";
    /// The answer is complete.
    pub const STOP: &str = "stop";
    /// The model called tools and waits for their results.
    pub const TOOL_CALLS: &str = "tool-calls";
    /// The provider gave no reason.
    pub const UNKNOWN: &str = "unknown";

    /// Returns the reason in OpenCode's spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether another call of the model is to follow.
    pub fn expects_more(&self) -> bool {
        self == Self::TOOL_CALLS
    }

    /// Returns whether the model's answer ended without an error, complete or cut at the limit on
    /// the length.
    pub fn is_answer(&self) -> bool {
        !self.expects_more() && self != Self::CONTENT_FILTER && self != Self::ERROR
    }
}

impl From<&str> for FinishReason {
    fn from(reason: &str) -> Self {
        Self(reason.into())
    }
}

impl PartialEq<str> for FinishReason {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<&str> for FinishReason {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

impl fmt::Debug for FinishReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for FinishReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Start and end of a part by the clock of OpenCode's machine, in milliseconds since 1970.
///
/// Meant for people to read; no timer of this crate depends on these values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TimeSpan {
    /// Start of the part.
    #[serde(rename = "start", skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<u64>,
    /// End of the part. `None` while the part grows, and for good in an abandoned attempt.
    #[serde(rename = "end", skip_serializing_if = "Option::is_none")]
    pub end_ms: Option<u64>,
    /// Time when OpenCode hid a tool's result from the model, to make room in the context.
    #[serde(rename = "compacted", skip_serializing_if = "Option::is_none")]
    pub compacted_ms: Option<u64>,
}

impl TimeSpan {
    /// Returns the time between start and end, in milliseconds.
    pub fn duration_ms(&self) -> Option<u64> {
        self.end_ms?.checked_sub(self.start_ms?)
    }
}
