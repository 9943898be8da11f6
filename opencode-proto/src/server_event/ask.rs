use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::{RawJson, string};
use crate::part::Str;
use crate::{CallId, MessageId, PermissionId, QuestionId};

/// A permission that a turn waits for. Mirrors `PermissionRequest`, and the `Permission` of versions before 1.0.224.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PermissionRequest {
    /// The request.
    pub id: PermissionId,
    /// Which permission, for example `bash` or `external_directory`.
    pub permission: String,
    /// What it is needed for: commands, paths or patterns.
    pub patterns: Vec<String>,
    /// The patterns that `always` would allow.
    pub always: Vec<String>,
    /// What the tool says about it, a JSON object.
    pub metadata: Option<RawJson>,
    /// The tool call that needs it.
    pub tool: Option<ToolRef>,
}

/// Questions that a turn waits for. Mirrors `QuestionRequest`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct QuestionRequest {
    /// The request.
    pub id: QuestionId,
    /// The questions. Each wants an answer.
    pub questions: Vec<Question>,
    /// The tool call that asks.
    pub tool: Option<ToolRef>,
}

/// One question. Mirrors `QuestionInfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Question {
    /// What is asked.
    pub question: String,
    /// A few words to head it with.
    pub header: String,
    /// What can be answered; any other text is accepted too.
    pub options: Vec<QuestionOption>,
    /// How many of the options may be chosen.
    pub choice: Choice,
}

/// How many options of a question may be chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Choice {
    /// Any number.
    Many,
    /// One.
    #[default]
    One,
}

/// One option of a question. Mirrors `QuestionOption`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuestionOption {
    /// What the answer is to say.
    pub label: String,
    /// What it means.
    pub description: String,
}

/// A tool call, by where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolRef {
    /// The message.
    pub message: Option<MessageId>,
    /// The call.
    pub call: CallId,
}

impl PermissionRequest {
    pub(crate) fn decode(line: &Bytes, raw: &RawValue) -> Result<Self, serde_json::Error> {
        let wire: WirePermission<'_> = serde_json::from_str(raw.get())?;
        // Before 1.0.224 the permission was the `type`, and the tool call stood at the top.
        let permission = wire.permission.or(wire.kind);
        Ok(Self {
            id: wire.id.as_str().into(),
            permission: permission.map(|name| name.as_str().to_owned()).unwrap_or_default(),
            patterns: strings(wire.patterns.or(wire.pattern)),
            always: strings(wire.always),
            metadata: wire.metadata.map(|raw| RawJson::slice(line, raw)),
            tool: tool(wire.tool).or_else(|| tool(Some(raw))),
        })
    }
}

impl QuestionRequest {
    pub(crate) fn decode(raw: &RawValue) -> Result<Self, serde_json::Error> {
        let wire: WireQuestions<'_> = serde_json::from_str(raw.get())?;
        Ok(Self {
            id: wire.id.as_str().into(),
            questions: wire.questions.into_iter().map(Question::from).collect(),
            tool: tool(wire.tool),
        })
    }
}

impl From<WireQuestion<'_>> for Question {
    fn from(wire: WireQuestion<'_>) -> Self {
        let option = |wire: WireOption<'_>| QuestionOption {
            label: text(wire.label),
            description: text(wire.description),
        };
        Self {
            question: text(wire.question),
            header: text(wire.header),
            options: wire.options.into_iter().map(option).collect(),
            choice: match wire.multiple.map(RawValue::get) {
                Some("true") => Choice::Many,
                Some(_) | None => Choice::One,
            },
        }
    }
}

#[derive(Deserialize)]
struct WirePermission<'a> {
    #[serde(borrow)]
    id: Str<'a>,
    #[serde(borrow, default)]
    permission: Option<Str<'a>>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<Str<'a>>,
    #[serde(borrow, default)]
    patterns: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pattern: Option<&'a RawValue>,
    #[serde(borrow, default)]
    always: Option<&'a RawValue>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireQuestions<'a> {
    #[serde(borrow)]
    id: Str<'a>,
    #[serde(borrow, default)]
    questions: Vec<WireQuestion<'a>>,
    #[serde(borrow, default)]
    tool: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireQuestion<'a> {
    #[serde(borrow)]
    question: Option<&'a RawValue>,
    #[serde(borrow)]
    header: Option<&'a RawValue>,
    #[serde(borrow)]
    options: Vec<WireOption<'a>>,
    #[serde(borrow)]
    multiple: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireOption<'a> {
    #[serde(borrow)]
    label: Option<&'a RawValue>,
    #[serde(borrow)]
    description: Option<&'a RawValue>,
}

fn tool(raw: Option<&RawValue>) -> Option<ToolRef> {
    #[derive(Deserialize)]
    struct WireToolRef<'a> {
        #[serde(borrow, default, rename = "messageID")]
        message_id: Option<Str<'a>>,
        #[serde(borrow, rename = "callID")]
        call_id: Str<'a>,
    }
    let wire: WireToolRef<'_> = serde_json::from_str(raw?.get()).ok()?;
    Some(ToolRef {
        message: wire.message_id.map(|id| id.as_str().into()),
        call: wire.call_id.as_str().into(),
    })
}

/// A string, or an array of them.
fn strings(raw: Option<&RawValue>) -> Vec<String> {
    let Some(raw) = raw else { return Vec::new() };
    match serde_json::from_str::<Vec<&RawValue>>(raw.get()) {
        Ok(items) => items.into_iter().filter_map(string).collect(),
        Err(_) => string(raw).into_iter().collect(),
    }
}

fn text(raw: Option<&RawValue>) -> String {
    raw.and_then(string).unwrap_or_default()
}
