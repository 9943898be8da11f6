//! Events of a run: the lines of `opencode run --format json`, and their like over a server.

mod decode;
mod flat;
mod logged;
mod notice;

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::json::RawText;
use crate::part::{PartKey, ReasoningPart, StepFinish, StepStart, TextOrigin, TextPart, ToolPart};
use crate::{AgentError, MessageId, PartId, SessionId};

pub(crate) use decode::{decode, ends_in_event, has_event};
pub(crate) use flat::content;
pub use notice::Notice;

/// Event of a run: one line of its output.
///
/// `Serialize` writes the JSON of [`to_json_line`](Self::to_json_line): the line as OpenCode
/// printed it, or an object that holds a line that is not JSON.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RunEvent {
    /// The line without its line end: a slice of the chunk in which it arrived.
    pub raw: Bytes,
    /// Session that the line names: the run's own, never that of a subagent.
    pub session: Option<SessionId>,
    /// Time at which OpenCode printed the line, in milliseconds since 1970.
    pub timestamp_ms: Option<u64>,
    /// Content of the line.
    pub kind: RunEventKind,
    pub(crate) telling: Telling,
}

/// Way in which the events of a run carry text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Telling {
    /// Text comes in whole parts.
    #[default]
    Whole,
    /// Text comes in deltas, followed by the whole part.
    Deltas,
}

/// Content of an event of a run.
///
/// A part is an event when it is finished: one [`Text`](Self::Text) holds the whole text of its
/// part. A run over a server has an event for each piece of text as well,
/// [`TextDelta`](Self::TextDelta).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RunEventKind {
    /// `attempt_abandoned`: the model's provider broke off, OpenCode repeats the call, and text and
    /// reasoning of the attempt so far are void. OpenCode itself does not print this event: it
    /// follows from a second `step_start` of a message, or over a server from a `retry` status.
    AttemptAbandoned(AttemptAbandoned),
    /// A line of standard output that is not an event of the run.
    Diagnostic(Diagnostic),
    /// `error`: an error that may not be the end. OpenCode recovers from a full context by itself.
    Error(Box<AgentError>),
    /// An event of a known type in an unknown shape. The line is in [`RunEvent::raw`].
    #[non_exhaustive]
    Malformed {
        /// The value of `type`, if the line has one.
        event_type: Option<Box<str>>,
        /// Fault of the line.
        error: DecodeError,
    },
    /// A line of standard error with a fact that no event carries.
    Notice(Notice),
    /// `reasoning`: reasoning of the model. Printed only with `--thinking`.
    Reasoning(ReasoningPart),
    /// `step_finish`: the end of a call of the model.
    StepFinish(StepFinish),
    /// `step_start`: the beginning of a call of the model.
    StepStart(StepStart),
    /// `text`: a piece of the answer.
    Text(TextPart),
    /// `text_delta`: the text that a model has just written, of a run over a server. A process does
    /// not print text deltas. The whole part follows as [`Text`](Self::Text); a part that the model
    /// never finishes has deltas only.
    TextDelta(TextDelta),
    /// `tool_use`: the end of a tool call.
    ToolUse(Box<ToolPart>),
    /// An event of a type that this version of the crate does not know. The line is in
    /// [`RunEvent::raw`].
    #[non_exhaustive]
    Unknown {
        /// The value of `type`.
        event_type: Box<str>,
    },
}

impl Serialize for RunEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let line = self.to_json_line();
        if let Ok(event) = serde_json::from_slice::<&RawValue>(&line) {
            return event.serialize(serializer);
        }
        let mut event = serializer.serialize_struct("RunEvent", 2)?;
        event.serialize_field("type", self.event_type())?;
        event.serialize_field("raw", &String::from_utf8_lossy(&line))?;
        event.end()
    }
}

impl RunEventKind {
    /// Returns whether the line is an event of OpenCode.
    fn is_event(&self) -> bool {
        !matches!(self, Self::Diagnostic(_) | Self::Notice(_))
    }
}

impl RunEvent {
    /// Decodes one line of standard output, or of an event log.
    ///
    /// Never fails: a line that cannot be decoded becomes [`RunEventKind::Diagnostic`] or
    /// [`RunEventKind::Malformed`]. Bytes that are not UTF-8 are read as U+FFFD, and text in front
    /// of a complete event is left out.
    ///
    /// ```
    /// use opencode_proto::{RunEvent, RunEventKind};
    ///
    /// let event = RunEvent::decode("{\"type\":\"text\",\"part\":{\"text\":\"Hello!\"}}".into());
    /// let RunEventKind::Text(part) = event.kind else { panic!() };
    /// assert_eq!(part.text, "Hello!");
    /// ```
    pub fn decode(line: Bytes) -> Self {
        decode(line).1
    }

    /// Returns the value of `type`; `diagnostic` for lines that are not events, `notice` for lines
    /// of standard error.
    pub fn event_type(&self) -> &str {
        match &self.kind {
            RunEventKind::AttemptAbandoned(_) => "attempt_abandoned",
            RunEventKind::Diagnostic(_) => "diagnostic",
            RunEventKind::Error(_) => "error",
            RunEventKind::Malformed { event_type, .. } => event_type.as_deref().unwrap_or(""),
            RunEventKind::Notice(_) => "notice",
            RunEventKind::Reasoning(_) => "reasoning",
            RunEventKind::StepFinish(_) => "step_finish",
            RunEventKind::StepStart(_) => "step_start",
            RunEventKind::Text(_) => "text",
            RunEventKind::TextDelta(_) => "text_delta",
            RunEventKind::ToolUse(_) => "tool_use",
            RunEventKind::Unknown { event_type } => event_type,
        }
    }

    /// Returns the event as one line of JSON for a log, which [`decode`](Self::decode) reads again.
    ///
    /// A line of JSON stays as it is; any other becomes an object that holds the line
    /// (`{"type":"diagnostic","kind",..,"raw"}`).
    pub fn to_json_line(&self) -> Bytes {
        match &self.kind {
            RunEventKind::Diagnostic(diagnostic) => {
                logged::wrap("diagnostic", diagnostic.name(), diagnostic.size(), &self.raw)
            }
            RunEventKind::Notice(notice) => logged::wrap("notice", notice.name(), None, &self.raw),
            RunEventKind::AttemptAbandoned(_)
            | RunEventKind::Error(_)
            | RunEventKind::Malformed { .. }
            | RunEventKind::Reasoning(_)
            | RunEventKind::StepFinish(_)
            | RunEventKind::StepStart(_)
            | RunEventKind::Text(_)
            | RunEventKind::TextDelta(_)
            | RunEventKind::ToolUse(_)
            | RunEventKind::Unknown { .. } => self.raw.clone(),
        }
    }

    /// Returns the text that the event adds to the text for a user: a delta of a run over a server,
    /// the text of a whole part of a process. All of them in order are the text, without
    /// repetition, except that [`AttemptAbandoned`](RunEventKind::AttemptAbandoned) takes the text
    /// of its parts back.
    ///
    /// A process prints the summary of a compacted conversation like any other text, so the summary
    /// is included. Text that OpenCode wrote itself is not.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        if let RunEventKind::TextDelta(delta) = &self.kind {
            return Some(delta.delta.to_str()).filter(|text| !text.is_empty());
        }
        if let (RunEventKind::Text(part), Telling::Whole) = (&self.kind, self.telling)
            && part.origin == TextOrigin::Model
        {
            return Some(part.text.to_str()).filter(|text| !text.is_empty());
        }
        None
    }
}

impl RunEvent {
    /// Returns the part whose text the event adds to.
    pub(crate) fn text_part(&self) -> Option<&PartId> {
        if let RunEventKind::TextDelta(delta) = &self.kind {
            return delta.key.part.as_ref();
        }
        if let RunEventKind::Text(part) = &self.kind { part.key.part.as_ref() } else { None }
    }
}

/// Parts of an attempt that the model's provider broke off and OpenCode repeats.
///
/// ```
/// use opencode_proto::{RunEvent, RunEventKind};
///
/// let line = r#"{"type":"attempt_abandoned","messageID":"msg_1","parts":["prt_2"]}"#;
/// let RunEventKind::AttemptAbandoned(void) = RunEvent::decode(line.into()).kind else { panic!() };
/// assert_eq!(void.parts, ["prt_2"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AttemptAbandoned {
    /// Message of the attempt.
    #[serde(rename = "messageID")]
    pub message: Option<MessageId>,
    /// Text and reasoning parts of the attempt, which are void.
    pub parts: Vec<PartId>,
}

/// Addition to a text part.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TextDelta {
    /// Part to which the text belongs.
    pub key: PartKey,
    /// Text that was added.
    pub delta: RawText,
}

/// Line of standard output that is not an event of the run.
///
/// ```
/// use opencode_proto::{Diagnostic, RunEvent, RunEventKind};
///
/// let event = RunEvent::decode("compiling ...".into());
/// assert_eq!(event.kind, RunEventKind::Diagnostic(Diagnostic::NotJson));
/// assert_eq!(Diagnostic::NotJson.to_string(), "a line that is not JSON");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Diagnostic {
    /// The line is empty, or blank.
    Empty,
    /// The line is not UTF-8. The event with U+FFFD in place of the broken bytes follows.
    InvalidUtf8,
    /// The line is JSON, but not an object.
    NotAnObject,
    /// The line, or the text in front of an event, is not JSON: another program printed it.
    NotJson,
    /// The line looks like an event, and belongs to another session or to none.
    OtherSession,
    /// The line was longer than the limit and was dropped, except for its first 64 bytes.
    TooLong {
        /// Length of the line, in bytes.
        size: u64,
    },
    /// The output ended inside an event.
    Torn,
}

impl Diagnostic {
    fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::NotAnObject => "not_an_object",
            Self::NotJson => "not_json",
            Self::OtherSession => "other_session",
            Self::TooLong { .. } => "too_long",
            Self::Torn => "torn",
        }
    }

    /// Returns the length of a dropped line.
    fn size(self) -> Option<u64> {
        match self {
            Self::TooLong { size } => Some(size),
            Self::Empty
            | Self::InvalidUtf8
            | Self::NotAnObject
            | Self::NotJson
            | Self::OtherSession
            | Self::Torn => None,
        }
    }

    fn from_name(name: &str, size: Option<u64>) -> Option<Self> {
        Some(match name {
            "empty" => Self::Empty,
            "invalid_utf8" => Self::InvalidUtf8,
            "not_an_object" => Self::NotAnObject,
            "not_json" => Self::NotJson,
            "other_session" => Self::OtherSession,
            "too_long" => Self::TooLong { size: size.unwrap_or_default() },
            "torn" => Self::Torn,
            _ => return None,
        })
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("an empty line"),
            Self::InvalidUtf8 => f.write_str("a line that is not UTF-8"),
            Self::NotAnObject => f.write_str("a line of JSON that is not an object"),
            Self::NotJson => f.write_str("a line that is not JSON"),
            Self::OtherSession => f.write_str("an event that is not of the run's session"),
            Self::TooLong { size } => write!(f, "a line of {size} bytes, over the limit"),
            Self::Torn => f.write_str("an event that the end of the output cuts off"),
        }
    }
}

/// Fault of an event that could not be decoded.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DecodeError {
    message: Box<str>,
}

impl DecodeError {
    pub(crate) fn new(message: impl Into<Box<str>>) -> Self {
        Self { message: message.into() }
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Serialize for DecodeError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.message)
    }
}

impl From<serde_json::Error> for DecodeError {
    fn from(error: serde_json::Error) -> Self {
        Self::new(error.to_string())
    }
}

#[cfg(test)]
mod tests;
