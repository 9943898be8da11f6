//! Agents and tools of a directory.

use bytes::Bytes;
use http::{Request, Response};
use opencode_config::PermissionAction;
use serde::{Deserialize, Serialize};

use super::call::{Call, list};
use super::{ApiError, Operation, Pace, Repeat};
use crate::SessionInfo;

/// Lists the agents of a directory. `GET /agent`.
///
/// ```
/// use http::Response;
/// use opencode_proto::api::{ListAgents, Operation};
///
/// let reply = r#"[{"name":"plan","mode":"primary",
///     "permission":[{"permission":"edit","pattern":"*","action":"deny"}]}]"#;
/// let agents = ListAgents::new().decode(Response::new(reply.into()))?;
/// assert_eq!((&*agents[0].name, &*agents[0].permission[0].permission), ("plan", "edit"));
/// # Ok::<(), opencode_proto::api::ApiError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListAgents;

/// An agent. Mirrors `Agent`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AgentInfo {
    /// Name of the agent, for prompts.
    pub name: String,
    /// All rules of the agent and of the configuration; the last match decides.
    /// (Since 1.1.)
    pub permission: Vec<ServerRule>,
    /// Use of the agent: `primary`, `subagent` or `all`; empty where a version names none.
    pub mode: Box<str>,
}

/// A permission rule of a server. Mirrors `PermissionRule`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ServerRule {
    /// Permission key, which may be a pattern.
    pub permission: String,
    /// Pattern of the commands, paths or other values that the rule is for.
    pub pattern: String,
    /// Action of the rule.
    pub action: PermissionAction,
}

impl ServerRule {
    /// Creates a rule for this permission key and pattern.
    pub fn new(
        permission: impl Into<String>,
        pattern: impl Into<String>,
        action: PermissionAction,
    ) -> Self {
        Self { permission: permission.into(), pattern: pattern.into(), action }
    }

    /// Returns the session's own rules, which follow those of the agent; `None` when they cannot be
    /// read.
    pub fn of_session(info: &SessionInfo) -> Option<Vec<Self>> {
        #[derive(Deserialize)]
        struct WireSessionRules {
            #[serde(default)]
            permission: Option<Vec<ServerRule>>,
        }
        let wire: WireSessionRules = info.raw.decode().ok()?;
        Some(wire.permission.unwrap_or_default())
    }
}

impl ListAgents {
    /// Creates the operation.
    pub const fn new() -> Self {
        Self
    }

    fn call() -> Call {
        Call::get(["agent"])
    }
}

impl Operation for ListAgents {
    type Output = Vec<AgentInfo>;

    fn request(&self) -> Request<Bytes> {
        Self::call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<Vec<AgentInfo>, ApiError> {
        #[derive(Deserialize)]
        struct WireAgent {
            name: String,
            permission: Vec<ServerRule>,
            #[serde(default)]
            mode: Box<str>,
        }
        Self::call().read(response, |body| {
            list(body, |raw| {
                let wire: WireAgent = serde_json::from_str(raw.get())?;
                let WireAgent { name, permission, mode } = wire;
                Ok(AgentInfo { name, permission, mode })
            })
        })
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }

    fn pace(&self) -> Pace {
        Pace::Boot
    }
}

/// Lists the names of a directory's tools, with those of the project and of plugins, without those
/// of MCP servers. `GET /experimental/tool/ids`.
///
/// ```
/// use opencode_proto::api::{ListToolIds, Operation};
///
/// let request = ListToolIds::new().request();
/// assert_eq!(request.method(), "GET");
/// assert_eq!(request.uri(), "/experimental/tool/ids");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListToolIds;

impl ListToolIds {
    /// Creates the operation.
    pub const fn new() -> Self {
        Self
    }

    fn call() -> Call {
        Call::get(["experimental", "tool", "ids"])
    }
}

impl Operation for ListToolIds {
    type Output = Vec<String>;

    fn request(&self) -> Request<Bytes> {
        Self::call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<Vec<String>, ApiError> {
        Self::call().read(response, |body| list(body, |raw| serde_json::from_str(raw.get())))
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }

    fn pace(&self) -> Pace {
        Pace::Boot
    }
}
