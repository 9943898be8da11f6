//! What to run.

use std::ffi::OsString;
use std::fmt;

use serde_json::{Map, Value};

use crate::{
    Environment, ExtraFlags, Isolation, ModelRef, PermissionError, Permissions, RunFlags, merge,
};

mod check;
mod error;
#[cfg(test)]
mod tests;

pub use error::RunConfigError;

/// Everything that one run, or one server, is told: model, permissions, config, flags, isolation.
///
/// The config fields become one JSON document that beats the user's and the project's config:
/// [`overrides`](Self::overrides) first, then `permission`, `mcp`, `tools` and `instructions` merged
/// over it. OpenCode merges that document into what it finds, so a key can be overruled but not
/// removed. Keys of `permission` that the project's config also has keep the project's place in the
/// order, and OpenCode lets the last match win: for rules that must hold, leave the project's config
/// out with [`ProjectConfig::Ignore`](crate::ProjectConfig::Ignore).
///
/// ```
/// use opencode_config::{Permissions, RunConfig};
///
/// let config = RunConfig::new()
///     .with_model("anthropic/claude-haiku-4-5".parse()?)
///     .with_permission(Permissions::new().deny("*").allow("read"))
///     .with_instructions(["AGENT.md"]);
/// assert_eq!(
///     serde_json::to_string(&config.config_json()).unwrap(),
///     r#"{"permission":{"*":"deny","read":"allow"},"instructions":["AGENT.md"]}"#,
/// );
/// # Ok::<(), opencode_config::ModelRefError>(())
/// ```
///
/// `Debug` prints names where values may hold keys: environment, MCP servers, overrides.
#[derive(Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct RunConfig {
    /// The primary agent (`--agent`). OpenCode falls back to its default agent, with a warning on
    /// stderr only, when there is none of this name.
    pub agent: Option<String>,
    /// Variables added to the environment. They win over inherited ones; those that the run sets
    /// itself are refused.
    pub env: Environment,
    /// Flags of `opencode run` that have no typed field. A server has none of them.
    pub extra_flags: ExtraFlags,
    /// Flags of `opencode run`. A server has none of them.
    pub flags: RunFlags,
    /// Instruction files or globs. `None` leaves the key out; an empty list is written, and adds
    /// nothing, since OpenCode concatenates the lists of all its configs.
    pub instructions: Option<Vec<String>>,
    /// What of the user and the project the run sees, and where it keeps its data.
    pub isolation: Isolation,
    /// MCP servers by name, as in OpenCode's `mcp` config.
    pub mcp: Map<String, Value>,
    /// The model (`--model`).
    pub model: Option<ModelRef>,
    /// Any other config, below the explicit fields.
    pub overrides: Map<String, Value>,
    /// Permission rules.
    pub permission: Option<Permissions>,
    /// Tools switched on or off, OpenCode's legacy `tools` config. It ranks below every `permission`
    /// rule of every config.
    pub tools: Map<String, Value>,
}

impl RunConfig {
    /// OpenCode's defaults, in private directories.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`agent`](Self::agent).
    #[must_use]
    pub fn with_agent(self, agent: impl Into<String>) -> Self {
        Self { agent: Some(agent.into()), ..self }
    }

    /// Sets one variable of [`env`](Self::env).
    #[must_use]
    pub fn with_env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.set(name, value);
        self
    }

    /// Sets [`extra_flags`](Self::extra_flags).
    #[must_use]
    pub fn with_extra_flags(self, extra_flags: ExtraFlags) -> Self {
        Self { extra_flags, ..self }
    }

    /// Sets [`flags`](Self::flags).
    #[must_use]
    pub fn with_flags(self, flags: RunFlags) -> Self {
        Self { flags, ..self }
    }

    /// Sets [`instructions`](Self::instructions).
    #[must_use]
    pub fn with_instructions<T: Into<String>>(self, paths: impl IntoIterator<Item = T>) -> Self {
        Self { instructions: Some(paths.into_iter().map(Into::into).collect()), ..self }
    }

    /// Sets [`isolation`](Self::isolation).
    #[must_use]
    pub fn with_isolation(self, isolation: Isolation) -> Self {
        Self { isolation, ..self }
    }

    /// Sets one server of [`mcp`](Self::mcp).
    #[must_use]
    pub fn with_mcp(mut self, name: impl Into<String>, server: Value) -> Self {
        self.mcp.insert(name.into(), server);
        self
    }

    /// Sets [`model`](Self::model).
    #[must_use]
    pub fn with_model(self, model: ModelRef) -> Self {
        Self { model: Some(model), ..self }
    }

    /// Lays more config over [`overrides`](Self::overrides).
    #[must_use]
    pub fn with_overrides(self, overrides: Map<String, Value>) -> Self {
        Self { overrides: merge(self.overrides, overrides), ..self }
    }

    /// Sets [`permission`](Self::permission).
    #[must_use]
    pub fn with_permission(self, permission: Permissions) -> Self {
        Self { permission: Some(permission), ..self }
    }

    /// Sets one tool of [`tools`](Self::tools).
    #[must_use]
    pub fn with_tool(mut self, name: impl Into<String>, tool: ToolSwitch) -> Self {
        self.tools.insert(name.into(), (tool == ToolSwitch::Enabled).into());
        self
    }

    /// The document for `OPENCODE_CONFIG_CONTENT`, or `None` when there is nothing to say.
    #[must_use]
    pub fn config_json(&self) -> Option<Map<String, Value>> {
        let mut explicit = Map::new();
        if let Some(permission) = &self.permission {
            explicit.insert("permission".to_owned(), permission.to_json());
        }
        if !self.mcp.is_empty() {
            explicit.insert("mcp".to_owned(), self.mcp.clone().into());
        }
        if !self.tools.is_empty() {
            explicit.insert("tools".to_owned(), self.tools.clone().into());
        }
        if let Some(instructions) = &self.instructions {
            explicit.insert("instructions".to_owned(), instructions.clone().into());
        }
        let document = merge(self.overrides.clone(), explicit);
        (!document.is_empty()).then_some(document)
    }

    /// Checks what can be checked before a run.
    ///
    /// # Errors
    ///
    /// [`RunConfigError`] for rules that say `ask` (unless [`Approval::Auto`](crate::Approval::Auto)
    /// answers them), malformed rules, flags and names that cannot be passed, variables that the run
    /// sets itself.
    pub fn check(&self) -> Result<(), RunConfigError> {
        check::run(self)
    }

    /// Checks what can be checked before a server starts: like [`check`](Self::check), but `ask` is
    /// fine and flags of `opencode run` do not matter.
    ///
    /// # Errors
    ///
    /// [`RunConfigError`].
    pub fn check_for_serve(&self) -> Result<(), RunConfigError> {
        check::serve(self)
    }
}

/// Whether a tool can be used, in OpenCode's legacy `tools` config.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ToolSwitch {
    /// It can.
    Enabled,
    /// The model does not see it.
    Disabled,
}

impl fmt::Debug for RunConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |object: &Map<String, Value>| object.keys().cloned().collect::<Vec<_>>();
        f.debug_struct("RunConfig")
            .field("agent", &self.agent)
            .field("env", &self.env)
            .field("extra_flags", &self.extra_flags)
            .field("flags", &self.flags)
            .field("instructions", &self.instructions)
            .field("isolation", &self.isolation)
            .field("mcp", &names(&self.mcp))
            .field("model", &self.model)
            .field("overrides", &names(&self.overrides))
            .field("permission", &self.permission)
            .field("tools", &names(&self.tools))
            .finish()
    }
}

impl From<PermissionError> for RunConfigError {
    fn from(error: PermissionError) -> Self {
        Self::Permission(error)
    }
}
