use bytes::Bytes;
use serde::de::Error;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::json::{RawJson, string};
use crate::part::Str;
use crate::{CallId, MessageId, PermissionId, QuestionId};

/// A permission request: a turn waits for the answer. Mirrors `PermissionRequest`, and the
/// `Permission` of versions before 1.0.224.
///
/// ```
/// use opencode_proto::{ServerEvent, ServerEventKind};
///
/// let event = r#"{"type":"permission.asked","properties":{"id":"per_1","sessionID":"ses_1",
///     "permission":"bash","patterns":["ls -l"],"always":["ls *"],"metadata":{}}}"#;
/// let ServerEventKind::PermissionAsked(ask) = ServerEvent::decode(event.into()).kind else {
///     panic!()
/// };
/// assert_eq!((&*ask.permission, &*ask.patterns[0]), ("bash", "ls -l"));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PermissionRequest {
    /// Id of the request.
    pub id: PermissionId,
    /// Permission key, for example `bash` or `external_directory`.
    pub permission: String,
    /// Commands, paths or patterns that need the permission.
    pub patterns: Vec<String>,
    /// Patterns that the answer `always` would allow.
    pub always: Vec<String>,
    /// Data of the tool about the request, a JSON object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<RawJson>,
    /// The tool call that needs the permission.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<ToolRef>,
}

/// A question request: a turn waits for the answers. Mirrors `QuestionRequest`.
///
/// ```
/// use opencode_proto::{Choice, ServerEvent, ServerEventKind};
///
/// let event = r#"{"type":"question.asked","properties":{"id":"que_1","sessionID":"ses_1",
///     "questions":[{"question":"Which?","header":"Color","options":[{"label":"Red"}]}]}}"#;
/// let ServerEventKind::QuestionAsked(ask) = ServerEvent::decode(event.into()).kind else {
///     panic!()
/// };
/// assert_eq!(ask.questions[0].options[0].label, "Red");
/// assert_eq!(ask.questions[0].choice, Choice::One);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct QuestionRequest {
    /// Id of the request.
    pub id: QuestionId,
    /// The questions, each of which needs an answer.
    pub questions: Vec<Question>,
    /// The tool call that asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<ToolRef>,
}

/// One question of a [`QuestionRequest`]. Mirrors `QuestionInfo`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Question {
    /// Text of the question.
    pub question: String,
    /// Heading of a few words.
    pub header: String,
    /// Proposed answers; any other text is accepted too.
    pub options: Vec<QuestionOption>,
    /// Number of options that may be chosen.
    #[serde(rename = "multiple")]
    pub choice: Choice,
}

/// Number of options of a question that may be chosen. In JSON, OpenCode's truth value `multiple`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Choice {
    /// Any number of options.
    Many,
    /// One option.
    #[default]
    One,
}

impl Serialize for Choice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(*self == Self::Many)
    }
}

/// One option of a question. Mirrors `QuestionOption`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QuestionOption {
    /// Text of the answer.
    pub label: String,
    /// Explanation for people.
    pub description: String,
}

/// The tool call behind a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ToolRef {
    /// The message with the call.
    #[serde(rename = "messageID", skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    /// Id of the call.
    #[serde(rename = "callID")]
    pub call: CallId,
}

impl PermissionRequest {
    /// Decodes a request. One without a permission or without readable patterns is an error: an
    /// empty request would be judged as if it asked for nothing.
    pub(crate) fn decode(line: &Bytes, raw: &RawValue) -> Result<Self, serde_json::Error> {
        let wire: WirePermission<'_> = serde_json::from_str(raw.get())?;
        let missing = |name| <serde_json::Error as Error>::missing_field(name);
        let (permission, patterns, tool) = match (wire.permission, wire.kind) {
            (Some(permission), _) => {
                let patterns = wire.patterns.ok_or_else(|| missing("patterns"))?;
                let tool = wire.tool.map(tool_ref).transpose()?;
                (permission, strings("patterns", patterns)?, tool)
            }
            // Before 1.0.224 the permission was the `type`, one pattern or none had no list around
            // it, and the tool call stood at the top.
            (None, Some(kind)) => {
                let patterns = wire.pattern.map(|raw| strings("pattern", raw)).transpose()?;
                (kind, patterns.unwrap_or_default(), tool_ref(raw).ok())
            }
            (None, None) => return Err(missing("permission")),
        };
        Ok(Self {
            id: wire.id.as_str().into(),
            permission: permission.as_str().to_owned(),
            patterns,
            always: wire.always.map(|raw| strings("always", raw)).transpose()?.unwrap_or_default(),
            metadata: wire.metadata.map(|raw| RawJson::slice(line, raw)),
            tool,
        })
    }
}

impl QuestionRequest {
    /// Decodes a request. A question without a text or an option without a label is an error.
    pub(crate) fn decode(raw: &RawValue) -> Result<Self, serde_json::Error> {
        let wire: WireQuestions<'_> = serde_json::from_str(raw.get())?;
        Ok(Self {
            id: wire.id.as_str().into(),
            questions: wire.questions.into_iter().map(Question::from).collect(),
            tool: wire.tool.map(tool_ref).transpose()?,
        })
    }
}

impl From<WireQuestion<'_>> for Question {
    fn from(wire: WireQuestion<'_>) -> Self {
        let option = |wire: WireOption<'_>| QuestionOption {
            label: wire.label.as_str().to_owned(),
            description: wire.description.and_then(string).unwrap_or_default(),
        };
        Self {
            question: wire.question.as_str().to_owned(),
            header: wire.header.and_then(string).unwrap_or_default(),
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
    #[serde(borrow)]
    questions: Vec<WireQuestion<'a>>,
    #[serde(borrow, default)]
    tool: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireQuestion<'a> {
    #[serde(borrow)]
    question: Str<'a>,
    #[serde(borrow, default)]
    header: Option<&'a RawValue>,
    #[serde(borrow)]
    options: Vec<WireOption<'a>>,
    #[serde(borrow, default)]
    multiple: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireOption<'a> {
    #[serde(borrow)]
    label: Str<'a>,
    #[serde(borrow, default)]
    description: Option<&'a RawValue>,
}

fn tool_ref(raw: &RawValue) -> Result<ToolRef, serde_json::Error> {
    #[derive(Deserialize)]
    struct WireToolRef<'a> {
        #[serde(borrow, default, rename = "messageID")]
        message_id: Option<Str<'a>>,
        #[serde(borrow, rename = "callID")]
        call_id: Str<'a>,
    }
    let wire: WireToolRef<'_> = serde_json::from_str(raw.get())?;
    Ok(ToolRef {
        message: wire.message_id.map(|id| id.as_str().into()),
        call: wire.call_id.as_str().into(),
    })
}

/// Reads a string or an array of strings.
fn strings(name: &str, raw: &RawValue) -> Result<Vec<String>, serde_json::Error> {
    if let Some(one) = string(raw) {
        return Ok(vec![one]);
    }
    let items: Vec<&RawValue> = serde_json::from_str(raw.get())?;
    let strings: Option<_> = items.into_iter().map(string).collect();
    strings.ok_or_else(|| Error::custom(format_args!("`{name}` holds other values than strings")))
}
