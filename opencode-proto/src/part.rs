//! Parts: the pieces a message is made of.
//!
//! The same shapes are printed by `opencode run --format json` and sent by the server's event stream.

mod lenient;
mod tokens;
mod tool;
mod wire;

use std::fmt;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::json::{RawJson, RawText};
use crate::{MessageId, PartId, SessionId};

pub(crate) use lenient::{IfObject, Lenient};
pub use tokens::Tokens;
pub(crate) use tokens::WireTokens;
pub use tool::{ToolPart, ToolState};
pub(crate) use wire::{Str, WirePart};

/// A part of any kind. Mirrors `Part`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Part {
    /// A kind that is not decoded: `agent`, `compaction`, `file`, `patch`, `retry`, `snapshot`, `subtask`, and what
    /// newer versions add.
    #[non_exhaustive]
    Other {
        /// Which part this is.
        key: PartKey,
        /// The value of `type`.
        part_type: Box<str>,
        /// All of it, a JSON object.
        raw: RawJson,
    },
    /// Part type `reasoning`.
    Reasoning(ReasoningPart),
    /// Part type `step-finish`.
    StepFinish(StepFinish),
    /// Part type `step-start`.
    StepStart(StepStart),
    /// Part type `text`.
    Text(TextPart),
    /// Part type `tool`.
    Tool(Box<ToolPart>),
}

impl Part {
    /// Which part this is.
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

    /// `raw` must be a slice of `line`.
    pub(crate) fn decode(line: &Bytes, raw: &RawValue) -> Result<Self, serde_json::Error> {
        let mut wire: WirePart<'_> = serde_json::from_str(raw.get())?;
        Ok(match wire.part_type() {
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

/// Which part of which message of which session. Older and newer versions leave some of the ids out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartKey {
    /// The part.
    pub part: Option<PartId>,
    /// The message it belongs to.
    pub message: Option<MessageId>,
    /// The session that message belongs to.
    pub session: Option<SessionId>,
}

/// Text of the model, or text that OpenCode put into its mouth (see [`TextPart::origin`]). Part type `text`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TextPart {
    /// Which part this is.
    pub key: PartKey,
    /// The whole text of the part.
    pub text: RawText,
    /// Who wrote it.
    pub origin: TextOrigin,
    /// When it was written.
    pub time: TimeSpan,
    /// What the provider or a plugin attached, a JSON object.
    pub metadata: Option<RawJson>,
}

/// Who wrote a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextOrigin {
    /// OpenCode itself, to go on after it compacted the conversation: `synthetic` with
    /// `metadata.compaction_continue`. The message before it is the summary, not an answer.
    Continuation,
    /// The model.
    Model,
    /// OpenCode itself: `synthetic`, for example the content of an attached file.
    Synthetic,
}

/// What the model thought. Part type `reasoning`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ReasoningPart {
    /// Which part this is.
    pub key: PartKey,
    /// The whole text of the part.
    pub text: RawText,
    /// When it was thought.
    pub time: TimeSpan,
    /// What the provider attached, a JSON object.
    pub metadata: Option<RawJson>,
}

/// A call of the model begins. Part type `step-start`.
///
/// A provider's failure makes OpenCode call it again: then one message has several of these.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StepStart {
    /// Which part this is.
    pub key: PartKey,
}

/// A call of the model is over. Part type `step-finish`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StepFinish {
    /// Which part this is.
    pub key: PartKey,
    /// Why the model stopped.
    pub reason: FinishReason,
    /// What this call used.
    pub tokens: Tokens,
    /// What this call cost, in US dollars as the model catalogue prices it.
    pub cost: f64,
}

/// Why a model stopped. An open set: what OpenCode passes on from its AI SDK.
#[derive(Clone, PartialEq, Eq)]
pub struct FinishReason(Box<str>);

impl FinishReason {
    /// The provider's filter cut the answer off.
    pub const CONTENT_FILTER: &str = "content-filter";
    /// The provider reported an error.
    pub const ERROR: &str = "error";
    /// The answer reached the limit on its length.
    pub const LENGTH: &str = "length";
    /// The answer is complete.
    pub const STOP: &str = "stop";
    /// The model called tools and waits for their results.
    pub const TOOL_CALLS: &str = "tool-calls";
    /// The provider gave no reason.
    pub const UNKNOWN: &str = "unknown";

    /// The reason as OpenCode writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether another call of the model was to follow.
    pub fn expects_more(&self) -> bool {
        self == Self::TOOL_CALLS
    }

    /// Whether the model's answer ended without an error, complete or cut at its length limit.
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

/// When something began and ended by the clock of the machine OpenCode ran on, in milliseconds since 1970.
///
/// For people to read; no timer of ours looks at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeSpan {
    /// When it began.
    pub start_ms: Option<u64>,
    /// When it ended.
    pub end_ms: Option<u64>,
    /// When OpenCode hid the result of a tool from the model, to make room in its context.
    pub compacted_ms: Option<u64>,
}

impl TimeSpan {
    /// How long it took, in milliseconds.
    pub fn duration_ms(&self) -> Option<u64> {
        self.end_ms?.checked_sub(self.start_ms?)
    }
}
