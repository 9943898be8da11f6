use bytes::Bytes;
use http::{Request, Response};
use opencode_config::{Permissions, RulesetRule};
use serde::Serialize;

use super::session;
use crate::api::call::Call;
use crate::api::{ApiError, Operation};
use crate::{SessionId, SessionInfo};

/// Changes a session. `PATCH /session/{sessionID}`.
///
/// ```
/// use opencode_proto::api::{Operation, UpdateSession};
///
/// let rename = UpdateSession::new("ses_1").with_title("review of main");
/// assert_eq!(rename.request().method(), "PATCH");
/// assert_eq!(rename.request().body(), r#"{"title":"review of main"}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpdateSession {
    pub(crate) session: SessionId,
    pub(crate) title: Option<String>,
    pub(crate) permission: Permissions,
    pub(crate) archived_ms: Option<u64>,
}

impl UpdateSession {
    /// Creates an update of this session without a change.
    pub fn new(session: impl Into<SessionId>) -> Self {
        Self {
            session: session.into(),
            title: None,
            permission: Permissions::new(),
            archived_ms: None,
        }
    }

    /// Sets the title.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Adds permission rules after the existing ones; the last match decides. No rule can be
    /// removed.
    #[must_use]
    pub fn with_permission(mut self, permission: Permissions) -> Self {
        self.permission = permission;
        self
    }

    /// Archives the session at this time, in milliseconds since 1970. OpenCode still lists archived
    /// sessions; OpenCode's own programs hide them.
    #[must_use]
    pub fn with_archived_ms(mut self, archived_ms: u64) -> Self {
        self.archived_ms = Some(archived_ms);
        self
    }

    fn call(&self) -> Call {
        Call::patch(["session", self.session.as_str()])
    }
}

impl Operation for UpdateSession {
    type Output = SessionInfo;

    fn request(&self) -> Request<Bytes> {
        self.call().json(&WireUpdate {
            title: self.title.as_deref(),
            permission: self.permission.to_ruleset(),
            time: self.archived_ms.map(|archived| WireUpdateTime { archived }),
        })
    }

    fn decode(&self, response: Response<Bytes>) -> Result<SessionInfo, ApiError> {
        self.call().read(response, session)
    }
}

#[derive(Serialize)]
struct WireUpdate<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    permission: Vec<RulesetRule<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<WireUpdateTime>,
}

#[derive(Serialize)]
struct WireUpdateTime {
    archived: u64,
}
