use bytes::Bytes;
use opencode_config::ModelRef;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::RawJson;
use crate::part::{FinishReason, Lenient, Str, Tokens, WireTokens};
use crate::{AgentError, MessageId, SessionId, StepRole};

/// A message without its parts. Mirrors `UserMessage` and `AssistantMessage`; the rest is in [`raw`](Self::raw).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MessageInfo {
    /// The message.
    pub id: MessageId,
    /// The session it belongs to.
    pub session: Option<SessionId>,
    /// Who wrote it.
    pub role: Role,
    /// The user's message that an assistant's message answers.
    pub parent: Option<MessageId>,
    /// The agent that writes it, or is to answer it.
    pub agent: Option<Box<str>>,
    /// The model that writes it, or is to answer it.
    pub model: Option<ModelRef>,
    /// What an assistant's message is for.
    pub step: StepRole,
    /// What an assistant's message used so far.
    pub tokens: Tokens,
    /// What an assistant's message cost so far, in US dollars.
    pub cost: f64,
    /// Why the model stopped.
    pub finish: Option<FinishReason>,
    /// Why the message is not complete.
    pub error: Option<Box<AgentError>>,
    /// The answer in the form that was asked for, any JSON.
    pub structured: Option<RawJson>,
    /// When an assistant's message was over, in milliseconds since 1970 by the server's clock.
    pub completed_ms: Option<u64>,
    /// All of it, a JSON object.
    pub raw: RawJson,
}

/// Who wrote a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// The model.
    Assistant,
    /// A role this version of the crate does not know.
    Other(Box<str>),
    /// The user, or OpenCode in the user's place.
    User,
}

impl MessageInfo {
    /// A copy that shares no memory with the stream it came from.
    pub fn detach(&self) -> Self {
        Self {
            error: self.error.as_ref().map(|error| Box::new(error.detach())),
            structured: self.structured.as_ref().map(RawJson::detach),
            raw: self.raw.detach(),
            ..self.clone()
        }
    }

    pub(crate) fn decode(line: &Bytes, raw: &RawValue) -> Result<Self, serde_json::Error> {
        let wire: WireMessage<'_> = serde_json::from_str(raw.get())?;
        let model = wire.model();
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
            completed_ms: wire.time.and_then(|time| time.completed).map(Lenient::count),
            raw: RawJson::slice(line, raw),
        })
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
    /// An assistant's message has its model at the top, a user's one in an object.
    fn model(&self) -> Option<ModelRef> {
        #[derive(Deserialize)]
        struct Wire<'a> {
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
        let wire: Wire<'_> = serde_json::from_str(self.model?.get()).ok()?;
        join(&wire.provider, &wire.model)
    }
}

#[derive(Deserialize)]
struct WireMessageTime {
    #[serde(default)]
    completed: Option<Lenient>,
}
