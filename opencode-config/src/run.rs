//! The configuration of a run or of a server.

use std::ffi::OsString;
use std::fmt;

use crate::{
    CommandGate, Environment, ExtraFlags, Isolation, Json, JsonObject, ModelRef, PermissionAction,
    Permissions, RunConfigError, RunFlags, merge,
};

mod check;
#[cfg(test)]
mod tests;

/// Configuration of one run, or of one server: model, permissions, config, flags, isolation.
///
/// Permissions, MCP servers, tools, instructions and [`overrides`](Self::with_overrides) become one
/// JSON document, see [`config_json`](Self::config_json), that beats the config of the user and of
/// the project. OpenCode merges that document into the configs that it finds, so a key can be
/// overruled but not removed.
///
/// ```
/// use opencode_config::{Permissions, RunConfig};
///
/// let config = RunConfig::new()
///     .with_model("anthropic/claude-haiku-4-5".parse()?)
///     .with_permission(Permissions::new().deny("*").allow("read"))
///     .with_instructions(["AGENT.md"]);
/// assert_eq!(
///     config.config_json().map(|document| document.to_string()).as_deref(),
///     Some(r#"{"permission":{"*":"deny","read":"allow"},"instructions":["AGENT.md"]}"#),
/// );
/// # Ok::<(), opencode_config::ModelRefError>(())
/// ```
///
/// Keys of `permission` that the project's config also has keep the project's place in the order,
/// and OpenCode lets the last match win. For rules that must hold, leave the project's config out
/// with [`ProjectConfig::Ignore`](crate::ProjectConfig::Ignore).
///
/// `Debug` prints only names where values can be keys: environment, MCP servers, overrides.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct RunConfig {
    agent: Option<String>,
    command_gate: CommandGate,
    env: Environment,
    extra_flags: ExtraFlags,
    flags: RunFlags,
    instructions: Option<Vec<String>>,
    isolation: Isolation,
    mcp: JsonObject,
    model: Option<ModelRef>,
    overrides: Json,
    permission: Option<Permissions>,
    required_mcp: Vec<String>,
    tools: Vec<(String, ToolSwitch)>,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            agent: None,
            command_gate: CommandGate::default(),
            env: Environment::new(),
            extra_flags: ExtraFlags::new(),
            flags: RunFlags::new(),
            instructions: None,
            isolation: Isolation::new(),
            mcp: JsonObject::new(),
            model: None,
            overrides: JsonObject::new().into(),
            permission: None,
            required_mcp: Vec::new(),
            tools: Vec::new(),
        }
    }
}

impl RunConfig {
    /// Creates a configuration with OpenCode's defaults, in private directories.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the primary agent (`--agent`). Default: OpenCode's default agent.
    ///
    /// If no agent has the name, OpenCode falls back to the default agent, with a warning on stderr
    /// only.
    #[must_use]
    pub fn with_agent(self, agent: impl Into<String>) -> Self {
        Self { agent: Some(agent.into()), ..self }
    }

    /// Returns the primary agent.
    #[must_use]
    pub fn agent(&self) -> Option<&str> {
        self.agent.as_deref()
    }

    /// Sets the command lines that the `bash` tool of a server runs. Default:
    /// [`CommandGate::Open`].
    ///
    /// The gate is the `shell` config of the server. Other runs of OpenCode refuse a gate, see
    /// [`check`](Self::check).
    #[must_use]
    pub fn with_command_gate(self, command_gate: CommandGate) -> Self {
        Self { command_gate, ..self }
    }

    /// Returns the command lines that the `bash` tool of a server runs.
    #[must_use]
    pub fn command_gate(&self) -> CommandGate {
        self.command_gate
    }

    /// Sets a variable of the environment. Default: none, everything is inherited.
    ///
    /// Such a variable wins over an inherited one; [`Isolation`] lists the others.
    /// Variables that the run sets itself are refused by [`check`](Self::check), with the setting
    /// to use instead.
    ///
    /// ```
    /// use opencode_config::RunConfig;
    ///
    /// let config = RunConfig::new().with_env("OPENCODE_DISABLE_LSP_DOWNLOAD", "1");
    /// assert!(config.check().is_ok());
    ///
    /// let error = config.with_env("XDG_DATA_HOME", "/data").check().unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "the variable XDG_DATA_HOME is set by the run itself: use `Isolation::with_data`",
    /// );
    /// ```
    #[must_use]
    pub fn with_env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.set(name, value);
        self
    }

    /// Returns the variables that are added to the environment.
    #[must_use]
    pub fn env(&self) -> &Environment {
        &self.env
    }

    /// Sets flags of `opencode run` that this crate has no types for. Default: none.
    ///
    /// A server takes [`ServeFlags`](crate::ServeFlags) instead.
    #[must_use]
    pub fn with_extra_flags(self, extra_flags: ExtraFlags) -> Self {
        Self { extra_flags, ..self }
    }

    /// Returns the flags of `opencode run` that this crate has no types for.
    #[must_use]
    pub fn extra_flags(&self) -> &ExtraFlags {
        &self.extra_flags
    }

    /// Sets flags of `opencode run`. Default: [`RunFlags::new`].
    ///
    /// A server takes [`ServeFlags`](crate::ServeFlags) instead.
    #[must_use]
    pub fn with_flags(self, flags: RunFlags) -> Self {
        Self { flags, ..self }
    }

    /// Returns the flags of `opencode run`.
    #[must_use]
    pub fn flags(&self) -> &RunFlags {
        &self.flags
    }

    /// Sets instruction files or globs. Default: the key is left out.
    ///
    /// An empty list is written, and adds nothing, since OpenCode concatenates the lists of all
    /// configs.
    #[must_use]
    pub fn with_instructions<T: Into<String>>(self, paths: impl IntoIterator<Item = T>) -> Self {
        Self { instructions: Some(paths.into_iter().map(Into::into).collect()), ..self }
    }

    /// Returns the instruction files or globs.
    #[must_use]
    pub fn instructions(&self) -> Option<&[String]> {
        self.instructions.as_deref()
    }

    /// Sets the isolation from the user's own OpenCode. Default: [`Isolation::new`].
    #[must_use]
    pub fn with_isolation(self, isolation: Isolation) -> Self {
        Self { isolation, ..self }
    }

    /// Returns the isolation from the user's own OpenCode.
    #[must_use]
    pub fn isolation(&self) -> &Isolation {
        &self.isolation
    }

    /// Sets an MCP server by name, as in OpenCode's `mcp` config. Default: none.
    ///
    /// ```
    /// use opencode_config::{JsonObject, RunConfig};
    ///
    /// let browser = JsonObject::new()
    ///     .with("type", "local")
    ///     .with("command", ["npx", "-y", "@playwright/mcp"]);
    /// let config = RunConfig::new().with_mcp("browser", browser);
    /// assert!(config.mcp().contains_key("browser"));
    /// ```
    #[must_use]
    pub fn with_mcp(mut self, name: impl Into<String>, server: impl Into<Json>) -> Self {
        self.mcp.insert(name, server);
        self
    }

    /// Returns the MCP servers by name.
    #[must_use]
    pub fn mcp(&self) -> &JsonObject {
        &self.mcp
    }

    /// Sets the MCP servers without which a prompt must not begin, by name. Default: none, and a
    /// server that does not start is a warning.
    ///
    /// The servers may be set in [`mcp`](Self::with_mcp) or in any other config that OpenCode
    /// reads.
    ///
    /// ```
    /// use opencode_config::RunConfig;
    ///
    /// let config = RunConfig::new().with_required_mcp(["browser", "tickets"]);
    /// assert_eq!(config.required_mcp(), ["browser", "tickets"]);
    /// ```
    #[must_use]
    pub fn with_required_mcp<T: Into<String>>(self, names: impl IntoIterator<Item = T>) -> Self {
        Self { required_mcp: names.into_iter().map(Into::into).collect(), ..self }
    }

    /// Returns the MCP servers without which a prompt must not begin.
    #[must_use]
    pub fn required_mcp(&self) -> &[String] {
        &self.required_mcp
    }

    /// Sets the model (`--model`). Default: OpenCode's choice.
    #[must_use]
    pub fn with_model(self, model: ModelRef) -> Self {
        Self { model: Some(model), ..self }
    }

    /// Returns the model.
    #[must_use]
    pub fn model(&self) -> Option<&ModelRef> {
        self.model.as_ref()
    }

    /// Sets any other config, an object, below the settings that have methods of their own.
    /// Default: none.
    ///
    /// A second call lays the config over that of the first, as [`merge`](crate::merge()) does. A
    /// value that is not an object is refused by [`check`](Self::check).
    ///
    /// ```
    /// use opencode_config::{Json, JsonObject, RunConfig};
    ///
    /// let config = RunConfig::new()
    ///     .with_overrides(r#"{"share": "auto", "compaction": {"auto": false}}"#.parse::<Json>()?)
    ///     .with_overrides(JsonObject::new().with("username", "ci"));
    /// assert_eq!(
    ///     config.config_json().expect("a document").to_string(),
    ///     r#"{"share":"auto","compaction":{"auto":false},"username":"ci"}"#,
    /// );
    /// # Ok::<(), opencode_config::JsoncError>(())
    /// ```
    #[must_use]
    pub fn with_overrides(self, overrides: impl Into<Json>) -> Self {
        let overrides = match (self.overrides, overrides.into()) {
            (Json::Object(base), Json::Object(over)) => merge(base, over).into(),
            (earlier, Json::Object(_)) => earlier,
            (_, over) => over,
        };
        Self { overrides, ..self }
    }

    /// Returns the config below the settings that have methods of their own.
    #[must_use]
    pub fn overrides(&self) -> &Json {
        &self.overrides
    }

    /// Sets the permission rules. Default: OpenCode's own.
    #[must_use]
    pub fn with_permission(self, permission: Permissions) -> Self {
        Self { permission: Some(permission), ..self }
    }

    /// Returns the permission rules.
    #[must_use]
    pub fn permission(&self) -> Option<&Permissions> {
        self.permission.as_ref()
    }

    /// Switches a tool on or off, in OpenCode's legacy `tools` config. Default: none is switched.
    ///
    /// The switches rank below every `permission` rule of every config.
    #[must_use]
    pub fn with_tool(mut self, name: impl Into<String>, tool: ToolSwitch) -> Self {
        let name = name.into();
        match self.tools.iter_mut().find(|(known, _)| *known == name) {
            Some((_, slot)) => *slot = tool,
            None => self.tools.push((name, tool)),
        }
        self
    }

    /// Returns the tools that are switched on or off, in the order in which they were set.
    pub fn tools(&self) -> impl ExactSizeIterator<Item = (&str, ToolSwitch)> {
        self.tools.iter().map(|(name, tool)| (name.as_str(), *tool))
    }

    /// Returns whether the model may use a tool for which OpenCode needs ripgrep, by the tools and
    /// rules of this configuration: `grep`, `glob` or `skill`.
    #[must_use]
    pub fn uses_ripgrep(&self) -> bool {
        ["grep", "glob", "skill"].into_iter().any(|tool| {
            let switched = self.tools.iter().rfind(|(name, _)| name == tool || name == "*");
            let is_off = switched.is_some_and(|(_, switch)| *switch == ToolSwitch::Disabled);
            let rules = self.permission.as_ref();
            let decision = rules.and_then(|rules| rules.decide(tool, "*"));
            match decision {
                Some(PermissionAction::Deny) => false,
                Some(PermissionAction::Allow | PermissionAction::Ask) => true,
                None => !is_off,
            }
        })
    }

    /// Removes the settings that a server gets with each prompt and not at the start: agent, model,
    /// required MCP servers and the flags of `opencode run`.
    ///
    /// Configurations that are equal without these settings can share a server.
    #[must_use]
    pub fn without_prompt_settings(self) -> Self {
        Self {
            agent: None,
            model: None,
            flags: RunFlags::default(),
            extra_flags: ExtraFlags::default(),
            required_mcp: Vec::new(),
            ..self
        }
    }

    /// Returns the document for `OPENCODE_CONFIG_CONTENT`, or `None` when no setting belongs there.
    ///
    /// [`overrides`](Self::with_overrides) come first, then `permission`, `mcp`, `tools` and
    /// `instructions` are merged over them.
    #[must_use]
    pub fn config_json(&self) -> Option<JsonObject> {
        let mut explicit = JsonObject::new();
        if let Some(permission) = &self.permission {
            explicit.insert("permission", permission.to_json());
        }
        if !self.mcp.is_empty() {
            explicit.insert("mcp", self.mcp.clone());
        }
        if !self.tools.is_empty() {
            let tools = self.tools().map(|(name, tool)| (name, tool == ToolSwitch::Enabled));
            explicit.insert("tools", tools.collect::<JsonObject>());
        }
        if let Some(instructions) = &self.instructions {
            explicit.insert("instructions", instructions.clone());
        }
        let overrides = self.overrides.as_object().cloned().unwrap_or_default();
        let document = merge(overrides, explicit);
        (!document.is_empty()).then_some(document)
    }

    /// Checks everything about a run that is known before the start.
    ///
    /// ```
    /// use opencode_config::{Permissions, RunConfig, RunConfigError};
    ///
    /// let config = RunConfig::new().with_permission(Permissions::new().ask("bash"));
    /// assert!(matches!(config.check(), Err(RunConfigError::Permission(_))));
    /// assert_eq!(config.check_for_serve(), Ok(()), "a server's clients can be asked");
    /// ```
    ///
    /// # Errors
    ///
    /// [`RunConfigError`] for rules that are `ask` (unless
    /// [`Approval::Auto`](crate::Approval::Auto) replies to the requests), malformed rules, flags
    /// and names that cannot be passed, variables that the run sets itself.
    pub fn check(&self) -> Result<(), RunConfigError> {
        check::run(self)
    }

    /// Checks that a session to continue can exist in the data directory of a new process.
    ///
    /// # Errors
    ///
    /// [`RunConfigError::NothingToResume`] for a private data directory.
    pub fn check_resume(&self) -> Result<(), RunConfigError> {
        check::resume(self)
    }

    /// Checks everything about a server that is known before the start.
    ///
    /// The checks are those of [`check`](Self::check), except that rules may be `ask` and that the
    /// flags of `opencode run` do not matter.
    ///
    /// # Errors
    ///
    /// [`RunConfigError`].
    pub fn check_for_serve(&self) -> Result<(), RunConfigError> {
        check::serve(self)
    }
}

/// Availability of a tool, in OpenCode's legacy `tools` config.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ToolSwitch {
    /// The model can use the tool.
    Enabled,
    /// The model does not see the tool.
    Disabled,
}

impl fmt::Debug for RunConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |object: &JsonObject| object.keys().map(str::to_owned).collect::<Vec<_>>();
        f.debug_struct("RunConfig")
            .field("agent", &self.agent)
            .field("command_gate", &self.command_gate)
            .field("env", &self.env)
            .field("extra_flags", &self.extra_flags)
            .field("flags", &self.flags)
            .field("instructions", &self.instructions)
            .field("isolation", &self.isolation)
            .field("mcp", &names(&self.mcp))
            .field("model", &self.model)
            .field("overrides", &self.overrides.as_object().map(names))
            .field("permission", &self.permission)
            .field("required_mcp", &self.required_mcp)
            .field("tools", &self.tools)
            .finish()
    }
}
