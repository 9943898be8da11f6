//! Flags of `opencode serve`.

use super::{ExtraFlags, LogLevel, LogOutput, Plugins, Questions};
use crate::Credentials;

/// Flags of `opencode serve`.
///
/// Host name and port are always on the command line, so no config decides them.
///
/// ```
/// use opencode_config::{Credentials, Environment, Invocation, IsolationPlan};
/// use opencode_config::{RunConfig, ServeFlags};
///
/// let config = RunConfig::new();
/// let plan = IsolationPlan::new(&config, &Environment::new(), "/tmp/server-1", Vec::new())?;
/// let flags = ServeFlags::new().with_port(4096).with_credentials(Credentials::new("secret"));
/// let serve = Invocation::serve("opencode", "/src/app", &config, &flags, &plan)?;
/// assert_eq!(serve.command_line(), "opencode serve --hostname=127.0.0.1 --port=4096");
/// # Ok::<(), opencode_config::RunConfigError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ServeFlags {
    credentials: Option<Credentials>,
    extra_flags: ExtraFlags,
    hostname: Option<String>,
    log_level: Option<LogLevel>,
    logs: LogOutput,
    plugins: Plugins,
    port: Option<u16>,
    questions: Questions,
}

impl ServeFlags {
    /// Creates the default flags.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the credentials that clients must present (`OPENCODE_SERVER_USERNAME` and
    /// `OPENCODE_SERVER_PASSWORD`). Default: none, so that every user of the machine can use the
    /// server.
    #[must_use]
    pub fn with_credentials(self, credentials: Credentials) -> Self {
        Self { credentials: Some(credentials), ..self }
    }

    /// Returns the credentials that clients must present.
    #[must_use]
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// Sets flags that this crate has no types for. Default: none.
    #[must_use]
    pub fn with_extra_flags(self, extra_flags: ExtraFlags) -> Self {
        Self { extra_flags, ..self }
    }

    /// Returns the flags that this crate has no types for.
    #[must_use]
    pub fn extra_flags(&self) -> &ExtraFlags {
        &self.extra_flags
    }

    /// Sets the address to listen on (`--hostname`). Default: `127.0.0.1`.
    #[must_use]
    pub fn with_hostname(self, hostname: impl Into<String>) -> Self {
        Self { hostname: Some(hostname.into()), ..self }
    }

    /// Returns the address to listen on, or `None` for `127.0.0.1`.
    #[must_use]
    pub fn hostname(&self) -> Option<&str> {
        self.hostname.as_deref()
    }

    /// Sets the level of OpenCode's log (`--log-level`). Default: `None`, OpenCode chooses `INFO`.
    #[must_use]
    pub fn with_log_level(self, log_level: impl Into<Option<LogLevel>>) -> Self {
        Self { log_level: log_level.into(), ..self }
    }

    /// Returns the level of OpenCode's log, or `None` when OpenCode chooses.
    #[must_use]
    pub fn log_level(&self) -> Option<LogLevel> {
        self.log_level
    }

    /// Sets the destination of OpenCode's log (`--print-logs`). Default: [`LogOutput::File`].
    #[must_use]
    pub fn with_logs(self, logs: LogOutput) -> Self {
        Self { logs, ..self }
    }

    /// Returns the destination of OpenCode's log.
    #[must_use]
    pub fn logs(&self) -> LogOutput {
        self.logs
    }

    /// Sets the plugins to load (`--pure`). Default: [`Plugins::All`].
    #[must_use]
    pub fn with_plugins(self, plugins: Plugins) -> Self {
        Self { plugins, ..self }
    }

    /// Returns the plugins to load.
    #[must_use]
    pub fn plugins(&self) -> Plugins {
        self.plugins
    }

    /// Sets the port to listen on (`--port`). Default: none, like 0: OpenCode takes 4096 if that
    /// port is free and any other port if it is not.
    #[must_use]
    pub fn with_port(self, port: u16) -> Self {
        Self { port: Some(port), ..self }
    }

    /// Returns the port to listen on.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Sets the availability of the `question` tool (`OPENCODE_CLIENT`). Default:
    /// [`Questions::Offer`].
    #[must_use]
    pub fn with_questions(self, questions: Questions) -> Self {
        Self { questions, ..self }
    }

    /// Returns the availability of the `question` tool.
    #[must_use]
    pub fn questions(&self) -> Questions {
        self.questions
    }
}
