use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{IfObject, Str, ToolState, WireTime, json, missing, text};
use crate::json::RawJson;

/// Any state of a tool call.
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
    time: IfObject<WireTime>,
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
                output: text(line, self.output).unwrap_or_else(|| "".into()),
                title,
                metadata,
                attachments: json(line, self.attachments),
                time,
            },
            "error" => ToolState::Error {
                input,
                error: text(line, self.error).unwrap_or_else(|| "".into()),
                metadata,
                time,
            },
            "pending" => ToolState::Pending { input },
            "running" => ToolState::Running { input, title, metadata, time },
            other => ToolState::Other { status: other.into(), raw: raw(line, around)? },
        })
    }
}

/// The whole state, walked again: only one of an unknown kind is kept as JSON.
fn raw(line: &Bytes, around: &str) -> Result<RawJson, serde_json::Error> {
    #[derive(Deserialize)]
    struct Around<'a> {
        #[serde(borrow)]
        state: Option<&'a RawValue>,
        #[serde(borrow)]
        part: Option<Box<Self>>,
    }
    let around: Around<'_> = serde_json::from_str(around)?;
    let state = around.state.or_else(|| around.part?.state);
    json(line, state).ok_or_else(|| missing("part.state"))
}
