//! Decodes one line to one event. Never fails: a line that cannot be read becomes a diagnostic.

use bytes::Bytes;
use memchr::memmem;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::flat::WireFlat;
use super::logged;
use super::notice::Notice;
use super::{
    AttemptAbandoned, DecodeError, Diagnostic, RunEvent, RunEventKind, Telling, TextDelta,
};
use crate::json::{RawJson, string};
use crate::part::{Lenient, Str, WirePart};
use crate::{AgentError, SessionId};

/// Beginning of every event since 1.0. Inside of JSON strings, the quotes are escaped.
const EVENT_START: &[u8] = b"{\"type\":\"";
/// Field of every event since 1.0.
const SESSION_FIELD: &[u8] = b"\"sessionID\":\"";
/// How many places of a line are tried as the beginning of an event.
const STARTS_MAX: usize = 64;

/// Decodes a line: diagnostics, and then the event, or one more diagnostic.
///
/// A line that is not UTF-8 is read with U+FFFD in place of the broken bytes. Text in front of a
/// complete event comes from a program that printed no line end.
pub(crate) fn decode(line: Bytes) -> (Vec<RunEvent>, RunEvent) {
    if let Ok(text) = str::from_utf8(&line) {
        return decode_text(&line, text);
    }
    let repaired = Bytes::from(String::from_utf8_lossy(&line).into_owned());
    let text = str::from_utf8(&repaired).expect("broken bytes are replaced");
    let (mut diagnostics, event) = decode_text(&repaired, text);
    diagnostics.insert(0, RunEvent::diagnostic(line, Diagnostic::InvalidUtf8));
    (diagnostics, event)
}

/// Returns whether a line that is not JSON holds an event, or a piece of one.
pub(crate) fn has_event(line: &[u8]) -> bool {
    memmem::find(line, EVENT_START).is_some() || memmem::find(line, SESSION_FIELD).is_some()
}

/// Returns whether a line that is not JSON, and has no line end, ends inside an event.
pub(crate) fn ends_in_event(line: &[u8]) -> bool {
    let has_begun = |at: usize| EVENT_START.starts_with(&line[at..]);
    line.starts_with(b"{") || has_event(line) || memchr::memrchr(b'{', line).is_some_and(has_begun)
}

/// An event as it is printed since 1.0. `part` and `error` hold what the type is about.
#[derive(Deserialize)]
struct WireEvent<'a> {
    #[serde(borrow, rename = "type")]
    event_type: Str<'a>,
    #[serde(default)]
    timestamp: Option<Lenient>,
    #[serde(borrow, default, rename = "sessionID")]
    session: Option<Str<'a>>,
    #[serde(borrow, default)]
    part: Option<WirePart<'a>>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// `text` is the memory of `line`.
fn decode_text(line: &Bytes, text: &str) -> (Vec<RunEvent>, RunEvent) {
    let event = decode_whole(line, text);
    if !matches!(event.kind, RunEventKind::Diagnostic(Diagnostic::NotJson)) {
        return (Vec::new(), event);
    }
    let starts = memmem::find_iter(line, EVENT_START).filter(|at| *at > 0).take(STARTS_MAX);
    for start in starts {
        let behind = decode_whole(&line.slice(start..), &text[start..]);
        if behind.kind.is_event() && behind.session.is_some() {
            let before = RunEvent::diagnostic(line.slice(..start), Diagnostic::NotJson);
            return (vec![before], behind);
        }
    }
    (Vec::new(), event)
}

fn decode_whole(line: &Bytes, text: &str) -> RunEvent {
    let trimmed = text.trim_ascii();
    if trimmed.is_empty() {
        return RunEvent::diagnostic(line.clone(), Diagnostic::Empty);
    }
    if !trimmed.starts_with('{') {
        let diagnostic = match serde_json::from_str::<IgnoredAny>(trimmed) {
            Ok(_) => Diagnostic::NotAnObject,
            Err(_) => Diagnostic::NotJson,
        };
        return RunEvent::diagnostic(line.clone(), diagnostic);
    }
    match serde_json::from_str::<WireEvent<'_>>(text) {
        Ok(mut wire) => {
            let kind = wire.kind(line, text);
            let session = wire.session.filter(|session| !session.as_str().is_empty());
            RunEvent {
                session: session.map(|session| session.as_str().into()),
                timestamp_ms: wire.timestamp.map(Lenient::count),
                raw: if kind.is_event() { line.clone() } else { logged::unwrap(text) },
                kind,
                telling: Telling::Whole,
            }
        }
        Err(error) => explain(line, text, error),
    }
}

impl WireEvent<'_> {
    fn kind(&mut self, line: &Bytes, text: &str) -> RunEventKind {
        let event_type = self.event_type.as_str();
        let read = match (event_type, &mut self.part) {
            ("text", Some(part)) => part.text(line).map(RunEventKind::Text),
            ("text_delta", Some(part)) => part
                .text(line)
                .map(|part| RunEventKind::TextDelta(TextDelta { key: part.key, delta: part.text })),
            ("reasoning", Some(part)) => part.reasoning(line).map(RunEventKind::Reasoning),
            ("tool_use", Some(part)) => {
                part.tool(line, text).map(|tool| RunEventKind::ToolUse(Box::new(tool)))
            }
            ("step_start", Some(part)) => Ok(RunEventKind::StepStart(part.step_start())),
            ("step_finish", Some(part)) => Ok(RunEventKind::StepFinish(part.step_finish())),
            ("error", _) if self.error.is_some_and(|error| error.get() != "null") => {
                let error = self.error.map(|error| RawJson::slice(line, error));
                Ok(RunEventKind::Error(Box::new(AgentError::decode(error.expect("is some")))))
            }
            _ => return flat(line, text, event_type),
        };
        read.unwrap_or_else(|error| malformed(event_type, error))
    }
}

/// Decodes an event without `part`: our own wrapped lines, shapes of older versions, unknown types.
fn flat(line: &Bytes, text: &str, event_type: &str) -> RunEventKind {
    let kind = serde_json::from_str::<WireFlat<'_>>(text)
        .and_then(|wire| wire.kind(line, text, event_type));
    match kind {
        Ok(Some(kind)) => kind,
        Ok(None) => RunEventKind::Unknown { event_type: event_type.into() },
        Err(error) if KNOWN.contains(&event_type) => malformed(event_type, error),
        Err(_) => RunEventKind::Unknown { event_type: event_type.into() },
    }
}

fn malformed(event_type: &str, error: serde_json::Error) -> RunEventKind {
    RunEventKind::Malformed { event_type: Some(event_type.into()), error: error.into() }
}

const KNOWN: [&str; 8] = [
    "attempt_abandoned",
    "error",
    "reasoning",
    "step_finish",
    "step_start",
    "text",
    "text_delta",
    "tool_use",
];

/// Makes a diagnostic, or a malformed event, of a line that begins like an object.
fn explain(line: &Bytes, text: &str, error: serde_json::Error) -> RunEvent {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct LineEnvelope<'a> {
        #[serde(borrow, rename = "type")]
        event_type: Option<&'a RawValue>,
        #[serde(borrow, rename = "sessionID")]
        session: Option<&'a RawValue>,
    }
    if serde_json::from_str::<IgnoredAny>(text).is_err() {
        return RunEvent::diagnostic(line.clone(), Diagnostic::NotJson);
    }
    let envelope: LineEnvelope<'_> = serde_json::from_str(text).unwrap_or_default();
    let session = envelope.session.and_then(string);
    let kind = match envelope.event_type.and_then(string) {
        Some(event_type) if !KNOWN.contains(&event_type.as_str()) => {
            RunEventKind::Unknown { event_type: event_type.into() }
        }
        event_type => RunEventKind::Malformed {
            event_type: event_type.map(String::into),
            error: DecodeError::from(error),
        },
    };
    RunEvent {
        session: session.map(Into::into),
        timestamp_ms: None,
        kind,
        raw: line.clone(),
        telling: Telling::Whole,
    }
}

impl RunEvent {
    /// Creates the event for an attempt of the model that is void.
    pub(crate) fn attempt_abandoned(
        abandoned: AttemptAbandoned,
        session: Option<SessionId>,
        timestamp_ms: Option<u64>,
    ) -> Self {
        Self {
            raw: logged::attempt_abandoned(&abandoned, session.as_ref(), timestamp_ms),
            session,
            timestamp_ms,
            kind: RunEventKind::AttemptAbandoned(abandoned),
            telling: Telling::Whole,
        }
    }

    pub(crate) fn diagnostic(line: Bytes, diagnostic: Diagnostic) -> Self {
        Self {
            raw: line,
            session: None,
            timestamp_ms: None,
            kind: RunEventKind::Diagnostic(diagnostic),
            telling: Telling::Whole,
        }
    }

    pub(crate) fn notice(line: Bytes, notice: Notice) -> Self {
        Self {
            raw: line,
            session: None,
            timestamp_ms: None,
            kind: RunEventKind::Notice(notice),
            telling: Telling::Whole,
        }
    }
}
