//! What `opencode run --format json` prints, line by line, and what a run over a server tells in its place.

mod decode;
mod flat;
mod logged;
mod notice;

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use crate::json::RawText;
use crate::part::{PartKey, ReasoningPart, StepFinish, StepStart, TextOrigin, TextPart, ToolPart};
use crate::{AgentError, SessionId};

pub(crate) use decode::decode;
pub(crate) use flat::content;
pub use notice::Notice;

/// One line of a run, with everything it said.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RunEvent {
    /// The line as it came, without its line end: a slice of the chunk it arrived in.
    pub raw: Bytes,
    /// The session of the run. Never that of a subagent.
    pub session: Option<SessionId>,
    /// When OpenCode printed it, in milliseconds since 1970.
    pub timestamp_ms: Option<u64>,
    /// What it says.
    pub kind: RunEventKind,
    pub(crate) telling: Telling,
}

/// How the text of a run is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Telling {
    /// In whole parts.
    #[default]
    Whole,
    /// By deltas, before their part.
    Deltas,
}

/// What a line of a run says.
///
/// Parts are told when they are finished: one [`Text`](Self::Text) holds the whole text of its part. A run over a server
/// tells its text as well while it is written, as [`TextDelta`](Self::TextDelta).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RunEventKind {
    /// A line of standard output that is no event.
    Diagnostic(Diagnostic),
    /// `error`: something failed. Not always the end: OpenCode recovers from a full context by itself.
    Error(Box<AgentError>),
    /// An event of a known type in a shape that could not be read. Its line is in [`RunEvent::raw`].
    #[non_exhaustive]
    Malformed {
        /// The value of `type`, if it has one.
        event_type: Option<Box<str>>,
        /// What could not be read.
        error: DecodeError,
    },
    /// A line of standard error that says what no event says.
    Notice(Notice),
    /// `reasoning`: what the model thought. Printed only with `--thinking`.
    Reasoning(ReasoningPart),
    /// `step_finish`: a call of the model is over.
    StepFinish(StepFinish),
    /// `step_start`: a call of the model begins.
    StepStart(StepStart),
    /// `text`: a piece of the answer.
    Text(TextPart),
    /// `text_delta`: text of the answer that was just written, from a run over a server. A process never prints it. It is
    /// told once more with the whole part ([`Text`](Self::Text)); a part that the model never finishes has deltas only.
    TextDelta(TextDelta),
    /// `tool_use`: a tool call is over.
    ToolUse(Box<ToolPart>),
    /// An event of a type this version of the crate does not know. Its line is in [`RunEvent::raw`].
    #[non_exhaustive]
    Unknown {
        /// The value of `type`.
        event_type: Box<str>,
    },
}

impl RunEventKind {
    /// Whether OpenCode printed it as an event.
    fn is_event(&self) -> bool {
        !matches!(self, Self::Diagnostic(_) | Self::Notice(_))
    }
}

impl RunEvent {
    /// Reads one line of standard output, or of an event log. Never fails: what cannot be read is an event that says so,
    /// and what is not UTF-8 is read with U+FFFD.
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

    /// The value of `type`; `diagnostic` for lines that are no events, `notice` for those of standard error.
    pub fn event_type(&self) -> &str {
        match &self.kind {
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

    /// The event as one line of JSON, to keep in a log and to read again: the line as it came where that was JSON, an
    /// object with the line in it (`{"type":"diagnostic","kind",..,"raw"}`) where it was not.
    pub fn to_json_line(&self) -> Bytes {
        match &self.kind {
            RunEventKind::Diagnostic(diagnostic) => {
                logged::wrap("diagnostic", diagnostic.name(), diagnostic.size(), &self.raw)
            }
            RunEventKind::Notice(notice) => logged::wrap("notice", notice.name(), None, &self.raw),
            RunEventKind::Error(_)
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

    /// What this adds to the text that a user is to see, if anything: of a run over a server a delta, of a process the text
    /// of a whole part. All of these one after the other are the text, told once.
    ///
    /// A process prints the summary of a compacted conversation like any text, and so it is in here as well; what
    /// OpenCode wrote itself is not.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        if let RunEventKind::TextDelta(delta) = &self.kind {
            return Some(delta.delta.to_str());
        }
        if let (RunEventKind::Text(part), Telling::Whole) = (&self.kind, self.telling)
            && part.origin == TextOrigin::Model
        {
            return Some(part.text.to_str());
        }
        None
    }
}

/// Text that was added to a text part.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TextDelta {
    /// The part.
    pub key: PartKey,
    /// What was added.
    pub delta: RawText,
}

/// Why a line of standard output is no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Diagnostic {
    /// Nothing on it.
    Empty,
    /// It was not UTF-8. It is read as an event all the same, with U+FFFD where the text was broken, and that event
    /// follows.
    InvalidUtf8,
    /// JSON, but no object.
    NotAnObject,
    /// No JSON: something else printed to standard output.
    NotJson,
    /// Longer than the limit; the line is gone.
    TooLong {
        /// How long it was, in bytes.
        size: u64,
    },
    /// The output ended inside it.
    Torn,
}

impl Diagnostic {
    fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::NotAnObject => "not_an_object",
            Self::NotJson => "not_json",
            Self::TooLong { .. } => "too_long",
            Self::Torn => "torn",
        }
    }

    /// How long a line was that is gone.
    fn size(self) -> Option<u64> {
        match self {
            Self::TooLong { size } => Some(size),
            Self::Empty | Self::InvalidUtf8 | Self::NotAnObject | Self::NotJson | Self::Torn => {
                None
            }
        }
    }

    fn from_name(name: &str, size: Option<u64>) -> Option<Self> {
        Some(match name {
            "empty" => Self::Empty,
            "invalid_utf8" => Self::InvalidUtf8,
            "not_an_object" => Self::NotAnObject,
            "not_json" => Self::NotJson,
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
            Self::NotAnObject => f.write_str("a line of JSON that is no object"),
            Self::NotJson => f.write_str("a line that is not JSON"),
            Self::TooLong { size } => write!(f, "a line of {size} bytes, over the limit"),
            Self::Torn => f.write_str("a last line that is cut off"),
        }
    }
}

/// What could not be read in an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DecodeError {
    message: Box<str>,
}

impl From<serde_json::Error> for DecodeError {
    fn from(error: serde_json::Error) -> Self {
        Self { message: error.to_string().into() }
    }
}

#[cfg(test)]
mod tests;
