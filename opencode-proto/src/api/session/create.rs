use bytes::Bytes;
use http::{Request, Response};
use opencode_config::{ModelRef, Permissions, RulesetRule};
use serde::Serialize;
use serde_json::value::RawValue;

use super::session;
use crate::api::call::Call;
use crate::api::{ApiError, Operation, Pace};
use crate::json::RawJson;
use crate::{SessionId, SessionInfo};

/// Makes a session in a directory. `POST /session`.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct CreateSession {
    /// What it is called. `None`: OpenCode makes a title from the first prompt.
    pub(crate) title: Option<String>,
    /// The session it belongs to.
    pub(crate) parent: Option<SessionId>,
    /// The agent that answers prompts that name none.
    pub(crate) agent: Option<String>,
    /// The model that prompts are for that name none.
    pub(crate) model: Option<ModelRef>,
    /// The variant of that model, for example `high`.
    pub(crate) variant: Option<String>,
    /// What tools may do, besides what the configuration says. Subagents do not inherit it. (Since 1.0.224.)
    pub(crate) permission: Permissions,
    /// What the application wants to know of it again, a JSON object. (Since 1.15.13.)
    pub(crate) metadata: Option<RawJson>,
}

impl CreateSession {
    /// A session as the configuration says.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the model of prompts that name none.
    pub fn model(&self) -> Option<&ModelRef> {
        self.model.as_ref()
    }

    /// What it is called.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// The session it belongs to.
    #[must_use]
    pub fn with_parent(mut self, parent: impl Into<SessionId>) -> Self {
        self.parent = Some(parent.into());
        self
    }

    /// The agent that answers.
    #[must_use]
    pub fn with_agent(mut self, agent: impl Into<String>) -> Self {
        self.agent = Some(agent.into());
        self
    }

    /// The model to ask.
    #[must_use]
    pub fn with_model(mut self, model: ModelRef) -> Self {
        self.model = Some(model);
        self
    }

    /// The variant of the model, for example `high`. Says nothing without a model.
    #[must_use]
    pub fn with_variant(mut self, variant: impl Into<String>) -> Self {
        self.variant = Some(variant.into());
        self
    }

    /// What tools may do.
    #[must_use]
    pub fn with_permission(mut self, permission: Permissions) -> Self {
        self.permission = permission;
        self
    }

    /// What the application wants to know of it again, a JSON object.
    #[must_use]
    pub fn with_metadata(mut self, metadata: RawJson) -> Self {
        self.metadata = Some(metadata);
        self
    }

    fn call() -> Call {
        Call::post(["session"])
    }
}

impl Operation for CreateSession {
    type Output = SessionInfo;

    fn request(&self) -> Request<Bytes> {
        let model = self.model.as_ref().map(|model| WireSessionModel {
            id: model.model(),
            provider_id: model.provider(),
            variant: self.variant.as_deref(),
        });
        Self::call().json(&WireCreate {
            parent_id: self.parent.as_ref(),
            title: self.title.as_deref(),
            agent: self.agent.as_deref(),
            model,
            metadata: self.metadata.as_ref().map(RawJson::as_value),
            permission: self.permission.to_ruleset(),
        })
    }

    fn decode(&self, response: Response<Bytes>) -> Result<SessionInfo, ApiError> {
        Self::call().read(response, session)
    }

    fn pace(&self) -> Pace {
        Pace::Boot
    }
}

#[derive(Serialize)]
struct WireCreate<'a> {
    #[serde(rename = "parentID", skip_serializing_if = "Option::is_none")]
    parent_id: Option<&'a SessionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<WireSessionModel<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    permission: Vec<RulesetRule<'a>>,
}

/// The model of a session; a prompt's is written differently.
#[derive(Serialize)]
struct WireSessionModel<'a> {
    id: &'a str,
    #[serde(rename = "providerID", skip_serializing_if = "Option::is_none")]
    provider_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'a str>,
}
