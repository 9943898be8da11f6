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

/// Creates a session in a directory. `POST /session`.
///
/// ```
/// use opencode_config::Permissions;
/// use opencode_proto::api::{CreateSession, Operation};
///
/// let create = CreateSession::new()
///     .with_title("review")
///     .with_permission(Permissions::new().deny("edit"));
/// assert_eq!(
///     create.request().body(),
///     r#"{"title":"review","permission":[{"permission":"edit","pattern":"*","action":"deny"}]}"#
/// );
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct CreateSession {
    pub(crate) title: Option<String>,
    pub(crate) parent: Option<SessionId>,
    pub(crate) agent: Option<String>,
    pub(crate) model: Option<ModelRef>,
    pub(crate) variant: Option<String>,
    pub(crate) permission: Permissions,
    pub(crate) metadata: Option<RawJson>,
}

impl CreateSession {
    /// Creates a session by the configuration alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the model for prompts without a model of their own.
    pub fn model(&self) -> Option<&ModelRef> {
        self.model.as_ref()
    }

    /// Sets the title. Without one OpenCode makes a title from the first prompt.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Makes the session a child of another.
    #[must_use]
    pub fn with_parent(mut self, parent: impl Into<SessionId>) -> Self {
        self.parent = Some(parent.into());
        self
    }

    /// Sets the agent for prompts without an agent of their own.
    #[must_use]
    pub fn with_agent(mut self, agent: impl Into<String>) -> Self {
        self.agent = Some(agent.into());
        self
    }

    /// Sets the model for prompts without a model of their own.
    #[must_use]
    pub fn with_model(mut self, model: ModelRef) -> Self {
        self.model = Some(model);
        self
    }

    /// Sets the variant of the model, for example `high`. Has no effect without a model.
    #[must_use]
    pub fn with_variant(mut self, variant: impl Into<String>) -> Self {
        self.variant = Some(variant.into());
        self
    }

    /// Sets the permission rules of the session, which follow those of the configuration. Subagents
    /// do not inherit them. (Since 1.0.224.)
    #[must_use]
    pub fn with_permission(mut self, permission: Permissions) -> Self {
        self.permission = permission;
        self
    }

    /// Attaches data of the application, a JSON object. (Since 1.15.13.)
    #[must_use]
    pub fn with_metadata(mut self, metadata: RawJson) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Returns the data of the application.
    pub fn metadata(&self) -> Option<&RawJson> {
        self.metadata.as_ref()
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

/// The model of a session, which has another shape than the model of a prompt.
#[derive(Serialize)]
struct WireSessionModel<'a> {
    id: &'a str,
    #[serde(rename = "providerID", skip_serializing_if = "Option::is_none")]
    provider_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'a str>,
}
