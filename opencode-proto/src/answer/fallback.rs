use serde::Deserialize;
use serde_json::value::RawValue;

use crate::run_event::{Diagnostic, RunEvent, RunEventKind, content, ends_in_event};

/// Likely text of a run without a known event: lines that are not JSON, and the strings under the
/// usual names in events of unknown types.
#[derive(Clone, Debug, Default)]
pub(super) struct Fallback {
    text: String,
}

const TEXT_SIZE_MAX: usize = 1 << 20;

impl Fallback {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn add(&mut self, event: &RunEvent) {
        match &event.kind {
            RunEventKind::Diagnostic(Diagnostic::NotAnObject | Diagnostic::NotJson) => {
                // Torn or interleaved events are not text.
                if !ends_in_event(&event.raw) {
                    self.add_line(&String::from_utf8_lossy(&event.raw));
                }
            }
            RunEventKind::Malformed { .. } | RunEventKind::Unknown { .. } => {
                self.add_strings(event)
            }
            RunEventKind::Diagnostic(_)
            | RunEventKind::AttemptAbandoned(_)
            | RunEventKind::Error(_)
            | RunEventKind::Notice(_)
            | RunEventKind::Reasoning(_)
            | RunEventKind::StepFinish(_)
            | RunEventKind::StepStart(_)
            | RunEventKind::Text(_)
            | RunEventKind::TextDelta(_)
            | RunEventKind::ToolUse(_) => {}
        }
    }

    fn add_strings(&mut self, event: &RunEvent) {
        let Ok(wire) = serde_json::from_slice::<Strings<'_>>(&event.raw) else {
            return;
        };
        let nested =
            wire.message.and_then(|raw| serde_json::from_str::<Strings<'_>>(raw.get()).ok());
        let nested = nested.map(|nested| [nested.content, nested.text]).unwrap_or_default();
        let direct = [
            wire.content,
            wire.text,
            wire.delta,
            wire.output,
            wire.message,
            wire.result,
            wire.value,
            wire.response,
        ];
        for raw in direct.into_iter().chain(nested).flatten() {
            if let Some(text) = content(&event.raw, Some(raw)) {
                self.add_line(&text.to_str());
            }
        }
    }

    fn add_line(&mut self, line: &str) {
        let line = line.trim();
        if line.is_empty() || self.text.len() + line.len() >= TEXT_SIZE_MAX {
            return;
        }
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(line);
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Strings<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
}
