use std::path::{Path, PathBuf};

use opencode_config::{
    Credentials, FlagValue, LogLevel, LogOutput, RunConfig, RunFlags, ServeFlags,
};
use opencode_proto::{HubSettings, ServeSettings};

use crate::http::{CallOptions, HttpLimits};
use crate::process::startup_retry::StartupRetry;

use super::output::ServerOutput;

/// A server to start. The default is a server on a free port of this machine, with a random
/// password and private directories. The password is in the environment of the server, so tools,
/// plugins and MCP servers that OpenCode starts can read it, and use the whole API with it.
///
/// ```
/// use opencode_tokio::{Permissions, RunConfig, ServeRequest};
///
/// let config = RunConfig::new().with_permission(Permissions::new().ask("bash"));
/// let request = ServeRequest::new().with_directory("/src/crate").with_config(config);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServeRequest {
    pub(crate) directory: Option<PathBuf>,
    pub(crate) place: WorkingDirectory,
    pub(crate) config: RunConfig,
    pub(crate) flags: ServeFlags,
    pub(crate) settings: ServeSettings,
    pub(crate) retry: StartupRetry,
    pub(crate) limits: HttpLimits,
    pub(crate) options: CallOptions,
    pub(crate) events: HubSettings,
    pub(crate) output: ServerOutput,
}

/// Working directory of a server to start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum WorkingDirectory {
    /// The request's directory.
    #[default]
    Directory,
    /// The server's private directory, outside any project.
    Nowhere,
}

impl ServeRequest {
    /// Creates a request with the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the output that gets the lines of the process, from the start on. Without this, the
    /// lines can be read from [`Server::output`](crate::Server::output).
    #[must_use]
    pub fn with_output(self, output: &ServerOutput) -> Self {
        Self { output: output.clone(), ..self }
    }

    /// Sets the project's directory.
    #[must_use]
    pub fn with_directory(self, directory: impl Into<PathBuf>) -> Self {
        Self { directory: Some(directory.into()), ..self }
    }

    /// Returns the project's directory. Default: the current directory.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Sets the configuration of the server.
    #[must_use]
    pub fn with_config(self, config: RunConfig) -> Self {
        Self { config, ..self }
    }

    /// Returns the configuration of the server. Model, agent and flags of the configuration are for
    /// runs and are ignored: a server receives them with every prompt.
    #[must_use]
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    /// Sets the flags of the server.
    #[must_use]
    pub fn with_flags(self, flags: ServeFlags) -> Self {
        Self { flags, ..self }
    }

    /// Returns the address, port, password and flags of the server. Without a port, a free port is
    /// chosen; without credentials, a random password is created. Default: errors of the server's
    /// log go to standard error, where failures report the cause.
    #[must_use]
    pub fn flags(&self) -> &ServeFlags {
        &self.flags
    }

    /// Sets the only port to listen on.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.flags = self.flags.with_port(port);
        self
    }

    /// Sets the credentials in place of a random password.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.flags = self.flags.with_credentials(credentials);
        self
    }

    /// Sets the settings for the supervision of the process.
    #[must_use]
    pub fn with_settings(self, settings: ServeSettings) -> Self {
        Self { settings, ..self }
    }

    /// Returns the settings for the supervision of the process.
    #[must_use]
    pub fn settings(&self) -> &ServeSettings {
        &self.settings
    }

    /// Sets the retry policy for starts that find the database in use.
    #[must_use]
    pub fn with_retry(self, retry: StartupRetry) -> Self {
        Self { retry, ..self }
    }

    /// Returns the retry policy for starts in which several processes open one database at once.
    #[must_use]
    pub fn retry(&self) -> StartupRetry {
        self.retry
    }

    /// Sets the limits of requests and responses.
    #[must_use]
    pub fn with_limits(self, limits: HttpLimits) -> Self {
        Self { limits, ..self }
    }

    /// Returns the time limits of requests and size limits of responses.
    #[must_use]
    pub fn limits(&self) -> HttpLimits {
        self.limits
    }

    /// Sets the options of all requests to the server, those of turns and event streams included.
    #[must_use]
    pub fn with_options(self, options: CallOptions) -> Self {
        Self { options, ..self }
    }

    /// Returns the options of all requests to the server. [`Server::with_options`] changes them for
    /// one handle.
    ///
    /// [`Server::with_options`]: crate::Server::with_options
    #[must_use]
    pub fn options(&self) -> &CallOptions {
        &self.options
    }

    /// Sets the settings of the event stream.
    #[must_use]
    pub fn with_events(self, events: HubSettings) -> Self {
        Self { events, ..self }
    }

    /// Returns the settings for the supervision of the event stream, and the time limit of
    /// reconnects.
    #[must_use]
    pub fn events(&self) -> &HubSettings {
        &self.events
    }
}

impl Default for ServeRequest {
    fn default() -> Self {
        Self {
            directory: None,
            place: WorkingDirectory::Directory,
            config: RunConfig::default(),
            flags: ServeFlags::new()
                .with_log_level(LogLevel::Error)
                .with_logs(LogOutput::FileAndStderr),
            settings: ServeSettings::default(),
            retry: StartupRetry::default(),
            limits: HttpLimits::default(),
            options: CallOptions::default(),
            events: HubSettings::default(),
            output: ServerOutput::new(),
        }
    }
}

/// Returns the name of the first setting that only a newly started server can apply.
pub(crate) fn needs_its_own(config: &RunConfig) -> Option<&'static str> {
    let default = RunConfig::default();
    let settings = [
        ("command gate", config.command_gate() != default.command_gate()),
        ("environment", config.env() != default.env()),
        ("instructions", config.instructions() != default.instructions()),
        ("isolation", config.isolation() != default.isolation()),
        ("MCP servers", config.mcp() != default.mcp()),
        ("overrides", config.overrides() != default.overrides()),
        ("permissions", config.permission() != default.permission()),
        ("tools", config.tools().len() > 0),
    ];
    settings.into_iter().find(|(_, differs)| *differs).map(|(setting, _)| setting)
}

/// Returns the first flag of a run that a server takes at its start only.
pub(crate) fn fixed_at_start(flags: &RunFlags) -> Option<&'static str> {
    let default = RunFlags::default();
    let settings = [
        ("log level", flags.log_level() != default.log_level()),
        ("log output", flags.logs() != default.logs()),
        ("plugins", flags.plugins() != default.plugins()),
    ];
    settings.into_iter().find(|(_, differs)| *differs).map(|(setting, _)| setting)
}

/// Returns the first flag of a run that no type of this library stands for, with its dashes. No
/// server can be asked for its effect.
pub(crate) fn extra_flag(config: &RunConfig) -> Option<String> {
    let mut flags = config.extra_flags().iter();
    let (name, _) = flags.find(|(_, value)| **value != FlagValue::Off)?;
    let dashes = if name.len() == 1 { "-" } else { "--" };
    Some(format!("{dashes}{name}"))
}
