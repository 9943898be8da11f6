//! Parts written as OpenCode writes them.

use serde::{Serialize, Serializer};

use super::{
    Part, PartKey, ReasoningPart, StepFinish, StepStart, TextOrigin, TextPart, TimeSpan, Tokens,
    ToolPart, ToolState,
};
use crate::json::{RawJson, RawText};

/// The fields of all kinds of parts that are decoded.
#[derive(Serialize)]
struct PartFields<'a> {
    #[serde(flatten)]
    key: &'a PartKey,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a RawText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    synthetic: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<&'a str>,
    #[serde(rename = "callID", skip_serializing_if = "Option::is_none")]
    call: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a ToolState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<Tokens>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a RawJson>,
    #[serde(skip_serializing_if = "TimeSpan::is_unknown")]
    time: TimeSpan,
}

impl<'a> PartFields<'a> {
    fn new(part_type: &'static str, key: &'a PartKey) -> Self {
        Self {
            key,
            r#type: part_type,
            text: None,
            synthetic: None,
            tool: None,
            call: None,
            state: None,
            reason: None,
            tokens: None,
            cost: None,
            metadata: None,
            time: TimeSpan::default(),
        }
    }
}

impl TimeSpan {
    fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Other { raw, .. } => raw.serialize(serializer),
            Self::Reasoning(part) => part.serialize(serializer),
            Self::StepFinish(part) => part.serialize(serializer),
            Self::StepStart(part) => part.serialize(serializer),
            Self::Text(part) => part.serialize(serializer),
            Self::Tool(part) => part.serialize(serializer),
        }
    }
}

impl Serialize for TextPart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = PartFields {
            text: Some(&self.text),
            synthetic: (self.origin != TextOrigin::Model).then_some(true),
            metadata: self.metadata.as_ref(),
            time: self.time,
            ..PartFields::new("text", &self.key)
        };
        fields.serialize(serializer)
    }
}

impl Serialize for ReasoningPart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = PartFields {
            text: Some(&self.text),
            metadata: self.metadata.as_ref(),
            time: self.time,
            ..PartFields::new("reasoning", &self.key)
        };
        fields.serialize(serializer)
    }
}

impl Serialize for StepStart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        PartFields::new("step-start", &self.key).serialize(serializer)
    }
}

impl Serialize for StepFinish {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = PartFields {
            reason: Some(self.reason.as_str()),
            tokens: Some(self.tokens),
            cost: Some(self.cost),
            ..PartFields::new("step-finish", &self.key)
        };
        fields.serialize(serializer)
    }
}

impl Serialize for ToolPart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = PartFields {
            tool: Some(&self.tool),
            call: Some(self.call.as_str()).filter(|call| !call.is_empty()),
            state: Some(&self.state),
            metadata: self.metadata.as_ref(),
            ..PartFields::new("tool", &self.key)
        };
        fields.serialize(serializer)
    }
}

/// The fields of all states of a tool call that are decoded.
#[derive(Serialize)]
struct StateFields<'a> {
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'a RawJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a RawText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a RawText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a RawText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a RawJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attachments: Option<&'a RawJson>,
    #[serde(skip_serializing_if = "TimeSpan::is_unknown")]
    time: TimeSpan,
}

impl Serialize for ToolState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (output, error, attachments) = match self {
            Self::Completed { output, attachments, .. } => {
                (Some(output), None, attachments.as_ref())
            }
            Self::Error { error, .. } => (None, Some(error), None),
            Self::Pending { .. } | Self::Running { .. } => (None, None, None),
            Self::Other { raw, .. } => return raw.serialize(serializer),
        };
        let fields = StateFields {
            status: self.status(),
            input: self.input(),
            output,
            error,
            title: self.title(),
            metadata: self.metadata(),
            attachments,
            time: self.time(),
        };
        fields.serialize(serializer)
    }
}
