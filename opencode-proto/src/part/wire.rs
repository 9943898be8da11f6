//! Decoding of parts: one flat struct with every field of every kind, so that a line is walked
//! once.

mod state;

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::de::{Error, IgnoredAny, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::lenient::{IfObject, Lenient};
use super::tokens::WireTokens;
use super::{
    FinishReason, PartKey, ReasoningPart, StepFinish, StepStart, TextOrigin, TextPart, TimeSpan,
    ToolPart, ToolState,
};
use crate::json::{RawJson, RawText};

use state::WireToolState;

/// Any part, borrowed from a line. `line` in the functions below is always that line; `around` is
/// the decoded JSON in it: the part, or the object with the part under `part`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct WirePart<'a> {
    #[serde(borrow, rename = "type")]
    part_type: Option<Str<'a>>,
    #[serde(borrow)]
    id: Option<Str<'a>>,
    #[serde(borrow, rename = "partID")]
    part_id: Option<Str<'a>>,
    #[serde(borrow, rename = "messageID")]
    message_id: Option<Str<'a>>,
    #[serde(borrow, rename = "sessionID")]
    session_id: Option<Str<'a>>,
    #[serde(borrow, rename = "callID")]
    call_id: Option<Str<'a>>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    synthetic: Option<&'a RawValue>,
    #[serde(borrow)]
    tool: Option<Str<'a>>,
    #[serde(borrow)]
    state: IfObject<WireToolState<'a>>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    reason: Option<Str<'a>>,
    time: IfObject<WirePartTime>,
    tokens: IfObject<WireTokens>,
    cost: Lenient,
}

/// `time` on the wire: `{start?, end?, compacted?}`, in milliseconds.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WirePartTime {
    start: Option<Lenient>,
    end: Option<Lenient>,
    compacted: Option<Lenient>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TextMetadata {
    compaction_continue: Option<IgnoredAny>,
}

impl<'a> WirePart<'a> {
    pub(crate) fn text(&self, line: &Bytes) -> Result<TextPart, serde_json::Error> {
        let text = text(line, self.text).ok_or_else(|| missing("part.text"))?;
        Ok(self.text_of(line, text))
    }

    /// Returns the part with a text from elsewhere in the line.
    pub(crate) fn text_of(&self, line: &Bytes, text: RawText) -> TextPart {
        TextPart {
            key: self.key(),
            text,
            origin: self.origin(),
            time: self.time.span(),
            metadata: json(line, self.metadata),
        }
    }

    pub(crate) fn reasoning(&self, line: &Bytes) -> Result<ReasoningPart, serde_json::Error> {
        let text = text(line, self.text).ok_or_else(|| missing("part.text"))?;
        Ok(self.reasoning_of(line, text))
    }

    /// Returns the part with a text from elsewhere in the line.
    pub(crate) fn reasoning_of(&self, line: &Bytes, text: RawText) -> ReasoningPart {
        ReasoningPart {
            key: self.key(),
            text,
            time: self.time.span(),
            metadata: json(line, self.metadata),
        }
    }

    pub(crate) fn step_start(&self) -> StepStart {
        StepStart { key: self.key() }
    }

    pub(crate) fn step_finish(&mut self) -> StepFinish {
        StepFinish {
            key: self.key(),
            reason: self.reason.as_ref().map_or(FinishReason::UNKNOWN, Str::as_str).into(),
            tokens: self.tokens.0.take().unwrap_or_default().into(),
            cost: self.cost.amount(),
        }
    }

    pub(crate) fn tool(&self, line: &Bytes, around: &str) -> Result<ToolPart, serde_json::Error> {
        let state = self.state.0.as_ref().ok_or_else(|| missing("part.state"))?;
        let tool = self.tool.as_ref().ok_or_else(|| missing("part.tool"))?;
        Ok(self.tool_in(line, tool.as_str(), state.read(line, around)?))
    }

    /// Returns the part with a name and a state that may come from elsewhere in the line.
    pub(crate) fn tool_of(
        &self,
        line: &Bytes,
        around: &str,
        name: Option<&str>,
        state: impl FnOnce() -> ToolState,
    ) -> Result<ToolPart, serde_json::Error> {
        let name = self.tool.as_ref().map(Str::as_str).or(name).ok_or_else(|| missing("tool"))?;
        let state = match &self.state.0 {
            Some(state) => state.read(line, around)?,
            None => state(),
        };
        Ok(self.tool_in(line, name, state))
    }

    fn tool_in(&self, line: &Bytes, tool: &str, state: ToolState) -> ToolPart {
        let mut key = self.key();
        // OpenCode 2 moved the call to `id` and the part to `partID`.
        let moved = self.part_id.as_ref().and(self.id.as_ref());
        let call = self.call_id.as_ref().or(moved).map_or("", Str::as_str);
        if let Some(part) = &self.part_id {
            key.part = Some(part.as_str().into());
        }
        ToolPart {
            key,
            call: call.into(),
            tool: tool.into(),
            state,
            metadata: json(line, self.metadata),
        }
    }

    /// Returns the value of `type`, without which a part of a server is malformed.
    pub(crate) fn part_type(&self) -> Result<&str, serde_json::Error> {
        self.part_type.as_ref().map(Str::as_str).ok_or_else(|| missing("part.type"))
    }

    pub(crate) fn key(&self) -> PartKey {
        PartKey {
            part: self.id.as_ref().map(|id| id.as_str().into()),
            message: self.message_id.as_ref().map(|id| id.as_str().into()),
            session: self.session_id.as_ref().map(|id| id.as_str().into()),
        }
    }

    fn origin(&self) -> TextOrigin {
        if self.synthetic.is_none_or(|synthetic| synthetic.get() != "true") {
            return TextOrigin::Model;
        }
        let metadata = self.metadata.and_then(|raw| serde_json::from_str(raw.get()).ok());
        match metadata {
            Some(TextMetadata { compaction_continue: Some(_) }) => TextOrigin::Continuation,
            Some(TextMetadata { compaction_continue: None }) | None => TextOrigin::Synthetic,
        }
    }
}

impl IfObject<WirePartTime> {
    fn span(&self) -> TimeSpan {
        let Some(time) = &self.0 else { return TimeSpan::default() };
        TimeSpan {
            start_ms: time.start.map(Lenient::count),
            end_ms: time.end.map(Lenient::count),
            compacted_ms: time.compacted.map(Lenient::count),
        }
    }
}

fn json(line: &Bytes, raw: Option<&RawValue>) -> Option<RawJson> {
    raw.map(|raw| RawJson::slice(line, raw))
}

fn text(line: &Bytes, raw: Option<&RawValue>) -> Option<RawText> {
    raw.and_then(|raw| RawText::slice(line, raw))
}

fn missing(field: &str) -> serde_json::Error {
    serde_json::Error::custom(format_args!("missing or unreadable field `{field}`"))
}

/// A short string, borrowed unless it holds escapes. (`Option<Cow<str>>` would always be owned.)
#[derive(Debug)]
pub(crate) struct Str<'a>(Cow<'a, str>);

impl Str<'_> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StrVisitor;

        impl<'de> Visitor<'de> for StrVisitor {
            type Value = Str<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Str<'de>, E> {
                Ok(Str(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Str<'de>, E> {
                Ok(Str(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(StrVisitor)
    }
}
