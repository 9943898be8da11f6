//! Decodes shapes without `part`: those of older versions, and the lines of our own logs.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{AttemptAbandoned, Diagnostic, Notice, RunEventKind};
use crate::ansi::without_escapes;
use crate::error::{AgentError, ErrorName};
use crate::json::{RawJson, RawText, string};
use crate::part::{Lenient, Str, ToolState, WirePart};

/// Fields at the top of a line besides those of a part.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct WireFlat<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<Str<'a>>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
    #[serde(borrow)]
    parts: Option<&'a RawValue>,
    #[serde(borrow)]
    raw: Option<&'a RawValue>,
    size: Option<Lenient>,
    #[serde(borrow)]
    status: Option<Str<'a>>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
}

impl WireFlat<'_> {
    /// Decodes the line; `None` for an unknown type.
    pub(super) fn kind(
        &self,
        line: &Bytes,
        text: &str,
        event_type: &str,
    ) -> Result<Option<RunEventKind>, serde_json::Error> {
        let mut part: WirePart<'_> = serde_json::from_str(text)?;
        Ok(match event_type {
            "assistant" | "message" | "model" => {
                content(line, self.content).map(|text| RunEventKind::Text(part.text_of(line, text)))
            }
            "attempt_abandoned" => {
                let parts = self.parts.ok_or_else(|| serde::de::Error::missing_field("parts"))?;
                let parts = serde_json::from_str(parts.get())?;
                let abandoned = AttemptAbandoned { message: part.key().message, parts };
                Some(RunEventKind::AttemptAbandoned(abandoned))
            }
            "diagnostic" => {
                let kind = self.kind.and_then(string);
                kind.and_then(|kind| Diagnostic::from_name(&kind, self.size.map(Lenient::count)))
                    .map(RunEventKind::Diagnostic)
            }
            "error" => {
                let raw = RawJson::whole(line.clone());
                let message = self.message.and_then(string).unwrap_or_else(|| raw.as_str().into());
                let error = AgentError::new(ErrorName::UNKNOWN, message, raw);
                Some(RunEventKind::Error(Box::new(error)))
            }
            "notice" => {
                let raw = self.raw.and_then(string);
                raw.and_then(|raw| Notice::read(&without_escapes(&raw))).map(RunEventKind::Notice)
            }
            "reasoning" => {
                Some(RunEventKind::Reasoning(part.reasoning_of(line, self.any_text(line)?)))
            }
            "step_finish" => Some(RunEventKind::StepFinish(part.step_finish())),
            "step_start" => Some(RunEventKind::StepStart(part.step_start())),
            "text" => Some(RunEventKind::Text(part.text_of(line, self.any_text(line)?))),
            "tool" | "tool_call" | "tool_result" | "tool_use" => {
                let name = self.name.as_ref().map(Str::as_str);
                let tool = part.tool_of(line, text, name, || self.tool_state(line))?;
                Some(RunEventKind::ToolUse(Box::new(tool)))
            }
            _ => None,
        })
    }

    fn any_text(&self, line: &Bytes) -> Result<RawText, serde_json::Error> {
        content(line, self.content)
            .or_else(|| RawText::slice(line, self.text?))
            .or_else(|| RawText::slice(line, self.delta?))
            .ok_or_else(|| {
                serde::de::Error::custom("neither `part` nor `content`, `text`, `delta`")
            })
    }

    fn tool_state(&self, line: &Bytes) -> ToolState {
        let text = |raw: Option<&RawValue>| raw.and_then(|raw| RawText::slice(line, raw));
        let input = self.input.map(|raw| RawJson::slice(line, raw));
        let output = text(self.output).or_else(|| content(line, self.content));
        let failed = self.status.as_ref().is_some_and(|status| status.as_str() == "error");
        match (failed, text(self.error)) {
            (false, None) => ToolState::Completed {
                input,
                output: output.unwrap_or_else(|| "".into()),
                title: None,
                metadata: None,
                attachments: None,
                time: Default::default(),
            },
            (_, error) => ToolState::Error {
                input,
                error: error.or(output).unwrap_or_else(|| "".into()),
                metadata: None,
                time: Default::default(),
            },
        }
    }
}

/// Returns the text of `content`: a string, or a list of strings and of objects with `text` or
/// `content`.
pub(crate) fn content(line: &Bytes, raw: Option<&RawValue>) -> Option<RawText> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct ContentItem<'a> {
        #[serde(borrow)]
        text: Option<&'a RawValue>,
        #[serde(borrow)]
        content: Option<&'a RawValue>,
    }
    let raw = raw?;
    if let Some(text) = RawText::slice(line, raw) {
        return Some(text);
    }
    let pieces: Vec<&RawValue> = serde_json::from_str(raw.get()).ok()?;
    let text = |piece: &RawValue| {
        string(piece).or_else(|| {
            let piece: ContentItem<'_> = serde_json::from_str(piece.get()).ok()?;
            piece.text.and_then(string).or_else(|| piece.content.and_then(string))
        })
    };
    let joined: String = pieces.into_iter().filter_map(text).collect();
    (!joined.is_empty()).then(|| joined.as_str().into())
}
