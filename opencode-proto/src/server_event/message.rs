use bytes::Bytes;
use opencode_config::ModelRef;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::json::RawJson;
use crate::part::{FinishReason, Lenient, Str, Tokens, WireTokens};
use crate::{AgentError, MessageId, SessionId, StepRole};

/// A message without parts. Mirrors `UserMessage` and `AssistantMessage`.
///
/// Fields that are not decoded are in [`raw`](Self::raw), which is also the JSON that `Serialize`
/// writes.
///
/// ```
/// use opencode_proto::{Role, ServerEvent, ServerEventKind};
///
/// let event = r#"{"type":"message.updated","properties":{"info":{"id":"msg_2","sessionID":"ses_1",
///     "role":"assistant","parentID":"msg_1","finish":"stop","time":{"created":5,"completed":9}}}}"#;
/// let ServerEventKind::MessageUpdated(info) = ServerEvent::decode(event.into()).kind else {
///     panic!()
/// };
/// assert_eq!(info.role, Role::Assistant);
/// assert_eq!((info.parent.unwrap(), info.completed_ms), ("msg_1".into(), Some(9)));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MessageInfo {
    /// Id of the message.
    pub id: MessageId,
    /// The session that the message belongs to.
    pub session: Option<SessionId>,
    /// Author of the message.
    pub role: Role,
    /// The user's message that an assistant's message answers.
    pub parent: Option<MessageId>,
    /// The agent that writes an assistant's message, or is to answer a user's message.
    pub agent: Option<Box<str>>,
    /// The model that writes an assistant's message, or is to answer a user's message.
    pub model: Option<ModelRef>,
    /// Role of an assistant's message: answer or summary.
    pub step: StepRole,
    /// Tokens of an assistant's message so far.
    pub tokens: Tokens,
    /// Price of an assistant's message so far, in US dollars.
    pub cost: f64,
    /// The model's reason to stop.
    pub finish: Option<FinishReason>,
    /// The error that ended the message.
    pub error: Option<Box<AgentError>>,
    /// The answer in the requested form ([`OutputFormat`](crate::OutputFormat)), any JSON.
    pub structured: Option<RawJson>,
    /// Time of the message's creation, in milliseconds since 1970 by the server's clock.
    pub created_ms: Option<u64>,
    /// End of an assistant's message, in milliseconds since 1970 by the server's clock.
    pub completed_ms: Option<u64>,
    /// The whole message, a JSON object.
    pub raw: RawJson,
}

/// Author of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// The model.
    Assistant,
    /// A role that this version of the crate does not know.
    Other(Box<str>),
    /// The user, or OpenCode in the user's name.
    User,
}

impl Role {
    /// Returns the role in OpenCode's spelling.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Assistant => "assistant",
            Self::Other(role) => role,
            Self::User => "user",
        }
    }
}

impl Serialize for Role {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl MessageInfo {
    /// Returns a copy that shares no memory with the stream it came from.
    pub fn detach(&self) -> Self {
        Self {
            error: self.error.as_ref().map(|error| Box::new(error.detach())),
            structured: self.structured.as_ref().map(RawJson::detach),
            raw: self.raw.detach(),
            ..self.clone()
        }
    }

    /// Decodes a message from `raw`, which must borrow the memory of `line`.
    pub(crate) fn decode(line: &Bytes, raw: &RawValue) -> Result<Self, serde_json::Error> {
        let wire: WireMessage<'_> = serde_json::from_str(raw.get())?;
        let model = wire.model();
        let time = wire.time.unwrap_or_default();
        let present = |raw: Option<&RawValue>| {
            raw.filter(|raw| raw.get() != "null").map(|raw| RawJson::slice(line, raw))
        };
        Ok(Self {
            id: wire.id.as_str().into(),
            session: wire.session_id.map(|id| id.as_str().into()),
            role: match wire.role.as_str() {
                "assistant" => Role::Assistant,
                "user" => Role::User,
                other => Role::Other(other.into()),
            },
            parent: wire.parent_id.map(|id| id.as_str().into()),
            agent: wire.agent.map(|agent| agent.as_str().into()),
            model,
            // A user's message has an object here, about its diffs.
            step: match wire.summary.map(RawValue::get) {
                Some("true") => StepRole::Summary,
                Some(_) | None => StepRole::Answer,
            },
            tokens: wire.tokens.unwrap_or_default().into(),
            cost: wire.cost.amount(),
            finish: wire.finish.map(|finish| finish.as_str().into()),
            error: present(wire.error).map(|error| Box::new(AgentError::decode(error))),
            structured: present(wire.structured),
            created_ms: time.created.map(Lenient::count),
            completed_ms: time.completed.map(Lenient::count),
            raw: RawJson::slice(line, raw),
        })
    }
}

impl Serialize for MessageInfo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.raw.serialize(serializer)
    }
}

#[derive(Deserialize)]
struct WireMessage<'a> {
    #[serde(borrow)]
    id: Str<'a>,
    #[serde(borrow, default, rename = "sessionID")]
    session_id: Option<Str<'a>>,
    #[serde(borrow)]
    role: Str<'a>,
    #[serde(borrow, default, rename = "parentID")]
    parent_id: Option<Str<'a>>,
    #[serde(borrow, default)]
    agent: Option<Str<'a>>,
    #[serde(borrow, default, rename = "providerID")]
    provider_id: Option<Str<'a>>,
    #[serde(borrow, default, rename = "modelID")]
    model_id: Option<Str<'a>>,
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    summary: Option<&'a RawValue>,
    #[serde(default)]
    tokens: Option<WireTokens>,
    #[serde(default)]
    cost: Lenient,
    #[serde(borrow, default)]
    finish: Option<Str<'a>>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    structured: Option<&'a RawValue>,
    #[serde(default)]
    time: Option<WireMessageTime>,
}

impl WireMessage<'_> {
    /// Returns the model. An assistant's message names the model at the top, a user's message in an
    /// object.
    fn model(&self) -> Option<ModelRef> {
        #[derive(Deserialize)]
        struct WireMessageModel<'a> {
            #[serde(borrow, rename = "providerID")]
            provider: Str<'a>,
            #[serde(borrow, rename = "modelID")]
            model: Str<'a>,
        }
        let join = |provider: &Str<'_>, model: &Str<'_>| {
            ModelRef::new(format!("{}/{}", provider.as_str(), model.as_str())).ok()
        };
        if let (Some(provider), Some(model)) = (&self.provider_id, &self.model_id) {
            return join(provider, model);
        }
        let wire: WireMessageModel<'_> = serde_json::from_str(self.model?.get()).ok()?;
        join(&wire.provider, &wire.model)
    }
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct WireMessageTime {
    created: Option<Lenient>,
    completed: Option<Lenient>,
}
