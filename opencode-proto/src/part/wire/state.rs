use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{IfObject, Str, ToolState, WirePartTime, json, missing, text};
use crate::json::{RawJson, RawText};

/// A tool call's state of any kind.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireToolState<'a> {
    #[serde(borrow)]
    status: Option<Str<'a>>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    title: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    attachments: Option<&'a RawValue>,
    time: IfObject<WirePartTime>,
}

impl WireToolState<'_> {
    pub(super) fn read(&self, line: &Bytes, around: &str) -> Result<ToolState, serde_json::Error> {
        let status = self.status.as_ref().ok_or_else(|| missing("part.state.status"))?;
        let input = json(line, self.input);
        let title = text(line, self.title);
        let metadata = json(line, self.metadata);
        let time = self.time.span();
        Ok(match status.as_str() {
            "completed" => ToolState::Completed {
                input,
                output: text(line, self.output).ok_or_else(|| missing("part.state.output"))?,
                title,
                metadata,
                attachments: json(line, self.attachments),
                time,
            },
            "error" => ToolState::Error {
                input,
                error: self.error(line).ok_or_else(|| missing("part.state.error"))?,
                metadata,
                time,
            },
            "pending" => ToolState::Pending { input },
            "running" => ToolState::Running { input, title, metadata, time },
            other => ToolState::Other { status: other.into(), raw: raw(line, around)? },
        })
    }
}

impl WireToolState<'_> {
    /// Returns the error text: a string, or the message of OpenCode 2's `{type, message}`.
    fn error(&self, line: &Bytes) -> Option<RawText> {
        #[derive(Deserialize)]
        struct WireToolError<'a> {
            #[serde(borrow)]
            message: &'a RawValue,
        }
        text(line, self.error).or_else(|| {
            let wire: WireToolError<'_> = serde_json::from_str(self.error?.get()).ok()?;
            RawText::slice(line, wire.message)
        })
    }
}

/// Returns the whole state as JSON. Only a state of an unknown kind is walked a second time.
fn raw(line: &Bytes, around: &str) -> Result<RawJson, serde_json::Error> {
    #[derive(Deserialize)]
    struct AroundState<'a> {
        #[serde(borrow)]
        state: Option<&'a RawValue>,
        #[serde(borrow)]
        part: Option<Box<Self>>,
    }
    let around: AroundState<'_> = serde_json::from_str(around)?;
    let state = around.state.or_else(|| around.part?.state);
    json(line, state).ok_or_else(|| missing("part.state"))
}
