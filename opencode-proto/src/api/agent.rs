//! What a server's agents and tools are.

use bytes::Bytes;
use http::{Request, Response};
use opencode_config::PermissionAction;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::call::{Call, list, one};
use super::{ApiError, Operation, Pace, Repeat};
use crate::SessionInfo;
use crate::json::string;

/// Lists the agents of a directory. `GET /agent`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListAgents;

/// An agent. Mirrors `Agent`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AgentInfo {
    /// By which it is asked for.
    pub name: String,
    /// All rules that hold for it, its own and the configuration's; the last that matches decides. (Since 1.1.)
    pub permission: Vec<ServerRule>,
    /// What it is for: `primary`, `subagent` or `all`. Empty where a version does not say.
    pub mode: Box<str>,
}

/// A permission rule as a server has it. Mirrors `PermissionRule`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerRule {
    /// The permission key, which may be a pattern.
    pub permission: String,
    /// What it is used on, as a pattern.
    pub pattern: String,
    /// What happens.
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

    /// The rules that a session has besides its agent's, and which come after those. None when they cannot be read.
    pub fn of_session(info: &SessionInfo) -> Option<Vec<Self>> {
        #[derive(Deserialize)]
        struct WireSession {
            #[serde(default)]
            permission: Option<Vec<ServerRule>>,
        }
        let wire: WireSession = info.raw.decode().ok()?;
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

/// Lists the tools of a directory by their names, those of its project and of plugins included, those of MCP servers
/// not. `GET /experimental/tool/ids`.
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

/// Reads where a directory's server looks for things. `GET /path`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadPaths;

/// Where a server looks for things, as its machine names them. Mirrors `Path`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerPaths {
    /// The directory that was asked for.
    pub directory: String,
    /// The root of its repository, which the patterns of permission requests are relative to; `/` where there is none.
    pub worktree: String,
    /// The home of whom it runs as. (Since 1.0.)
    pub home: Option<String>,
}

impl ServerPaths {
    /// Creates paths without a home.
    pub fn new(directory: impl Into<String>, worktree: impl Into<String>) -> Self {
        Self { directory: directory.into(), worktree: worktree.into(), home: None }
    }

    /// Sets the home.
    #[must_use]
    pub fn with_home(self, home: impl Into<String>) -> Self {
        Self { home: Some(home.into()), ..self }
    }
}

impl ReadPaths {
    /// Creates the operation.
    pub const fn new() -> Self {
        Self
    }

    fn call() -> Call {
        Call::get(["path"])
    }
}

impl Operation for ReadPaths {
    type Output = ServerPaths;

    fn request(&self) -> Request<Bytes> {
        Self::call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<ServerPaths, ApiError> {
        #[derive(Deserialize)]
        struct WirePaths<'a> {
            directory: String,
            worktree: String,
            #[serde(borrow, default)]
            home: Option<&'a RawValue>,
        }
        Self::call().read(response, |body| {
            one(body, |raw| {
                let wire: WirePaths<'_> = serde_json::from_str(raw.get())?;
                let home = wire.home.and_then(string);
                Ok(ServerPaths { directory: wire.directory, worktree: wire.worktree, home })
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
