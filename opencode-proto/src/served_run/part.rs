//! Parts as JSON, in the form of `opencode run`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::json::RawJson;
use crate::part::{Part, PartKey, TextOrigin, TimeSpan, Tokens, ToolState};
use crate::server_event::ServerEvent;

/// Returns the part of an event as the server wrote it.
pub(super) fn written_json(event: &ServerEvent) -> Option<RawJson> {
    #[derive(Deserialize)]
    struct WireEvent<'a> {
        #[serde(borrow)]
        properties: Option<Properties<'a>>,
        #[serde(borrow)]
        data: Option<Properties<'a>>,
        #[serde(borrow)]
        payload: Option<Box<Self>>,
    }
    #[derive(Deserialize)]
    struct Properties<'a> {
        #[serde(borrow)]
        part: Option<&'a RawValue>,
    }
    let wire: WireEvent<'_> = serde_json::from_slice(&event.raw).ok()?;
    let wire = wire.payload.map_or(WireEvent { payload: None, ..wire }, |payload| *payload);
    let part = wire.properties.or(wire.data)?.part?;
    // A line is one line.
    (!part.get().contains('\n')).then(|| RawJson::slice(&event.raw, part))
}

/// Returns a part that was read from a list of messages.
pub(super) fn part_json(part: &Part) -> RawJson {
    let key = WirePart::new(part.key());
    let wire = match part {
        Part::Other { raw, .. } => return raw.clone(),
        Part::Reasoning(part) => WirePart {
            r#type: "reasoning",
            text: Some(part.text.to_str().into()),
            metadata: part.metadata.as_ref().map(RawJson::as_value),
            time: WireTime::new(&part.time),
            ..key
        },
        Part::StepFinish(part) => WirePart {
            r#type: "step-finish",
            reason: Some(part.reason.as_str()),
            tokens: Some((&part.tokens).into()),
            cost: Some(part.cost),
            ..key
        },
        Part::StepStart(_) => WirePart { r#type: "step-start", ..key },
        Part::Text(part) => WirePart {
            text: Some(part.text.to_str().into()),
            synthetic: (part.origin != TextOrigin::Model).then_some(true),
            metadata: part.metadata.as_ref().map(RawJson::as_value),
            time: WireTime::new(&part.time),
            ..key
        },
        Part::Tool(part) => WirePart {
            r#type: "tool",
            tool: Some(&part.tool),
            call: Some(part.call.as_str()),
            state: Some(WireState::new(&part.state)),
            metadata: part.metadata.as_ref().map(RawJson::as_value),
            ..key
        },
    };
    wire.json()
}

/// Returns a text part with this text.
pub(super) fn text_json(key: &PartKey, text: &str) -> RawJson {
    WirePart { text: Some(text.into()), ..WirePart::new(key) }.json()
}

/// Part of any kind.
#[derive(Default, Serialize)]
struct WirePart<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(rename = "messageID", skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(rename = "sessionID", skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    synthetic: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<&'a str>,
    #[serde(rename = "callID", skip_serializing_if = "Option::is_none")]
    call: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<WireState<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<WireTokens>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<WireTime>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum WireState<'a> {
    Known {
        status: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        input: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        output: Option<Box<str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<Box<str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<Box<str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        metadata: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        attachments: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        time: Option<WireTime>,
    },
    Other(&'a RawValue),
}

#[derive(Serialize)]
struct WireTime {
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compacted: Option<u64>,
}

#[derive(Serialize)]
struct WireTokens {
    total: u64,
    input: u64,
    output: u64,
    reasoning: u64,
    cache: WireCache,
}

#[derive(Serialize)]
struct WireCache {
    read: u64,
    write: u64,
}

impl<'a> WirePart<'a> {
    /// Creates a text part without a text.
    fn new(key: &'a PartKey) -> Self {
        Self {
            id: key.part.as_ref().map(|id| id.as_str()),
            message: key.message.as_ref().map(|id| id.as_str()),
            session: key.session.as_ref().map(|id| id.as_str()),
            r#type: "text",
            ..Self::default()
        }
    }

    fn json(&self) -> RawJson {
        let json = serde_json::to_vec(self).expect("strings, numbers and JSON are JSON");
        RawJson::whole(json.into())
    }
}

impl<'a> WireState<'a> {
    fn new(state: &'a ToolState) -> Self {
        if let ToolState::Other { raw, .. } = state {
            return Self::Other(raw.as_value());
        }
        let value = |json: &'a Option<RawJson>| json.as_ref().map(RawJson::as_value);
        let (output, error, title, metadata, attachments) = match state {
            ToolState::Completed { output, title, metadata, attachments, .. } => {
                (Some(output), None, title.as_ref(), value(metadata), value(attachments))
            }
            ToolState::Error { error, metadata, .. } => {
                (None, Some(error), None, value(metadata), None)
            }
            ToolState::Running { title, metadata, .. } => {
                (None, None, title.as_ref(), value(metadata), None)
            }
            ToolState::Other { .. } | ToolState::Pending { .. } => (None, None, None, None, None),
        };
        Self::Known {
            status: state.status(),
            input: state.input().map(RawJson::as_value),
            output: output.map(|text| text.to_str().into()),
            error: error.map(|text| text.to_str().into()),
            title: title.map(|text| text.to_str().into()),
            metadata,
            attachments,
            time: WireTime::new(&state.time()),
        }
    }
}

impl WireTime {
    fn new(time: &TimeSpan) -> Option<Self> {
        let TimeSpan { start_ms, end_ms, compacted_ms } = *time;
        (*time != TimeSpan::default()).then_some(Self {
            start: start_ms,
            end: end_ms,
            compacted: compacted_ms,
        })
    }
}

impl From<&Tokens> for WireTokens {
    fn from(tokens: &Tokens) -> Self {
        Self {
            total: tokens.total,
            input: tokens.input,
            output: tokens.output,
            reasoning: tokens.reasoning,
            cache: WireCache { read: tokens.cache_read, write: tokens.cache_write },
        }
    }
}
