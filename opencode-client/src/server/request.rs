use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use opencode_config::{Credentials, LogLevel, LogOutput, RunConfig, ServeFlags};
use opencode_proto::{HubSettings, ServeSettings};

use crate::http::HttpLimits;
use crate::process::startup_retry::StartupRetry;

/// A server to start. The default is a server on a free port of this machine, with a random password
/// and private directories. The password is in the environment of the server, so tools, plugins and
/// MCP servers that OpenCode starts can read it, and use the whole API with it.
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
    /// The project's directory. Default: the current one.
    pub directory: Option<PathBuf>,
    pub(crate) place: Place,
    /// What the server is told. Model, agent and flags in it are for runs, and play no part: a server is told with every
    /// prompt.
    pub config: RunConfig,
    /// Address, port, password and flags of the server. Without a port, a free one is looked for; without credentials, a
    /// random password is made. Default: errors of its log go to standard error, where failures have their cause.
    pub flags: ServeFlags,
    /// How it is watched.
    pub settings: ServeSettings,
    /// What to do when several processes begin to use one database at once.
    pub retry: StartupRetry,
    /// How long it is waited for when it is asked something, and how much it may say.
    pub limits: HttpLimits,
    /// How its event stream is watched, and for how long it is tried to get it back.
    pub events: HubSettings,
}

/// Where a server is started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the request's directory.
    #[default]
    Directory,
    /// In its private directory, in no project.
    Nowhere,
}

impl ServeRequest {
    /// A server with the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// For this project.
    #[must_use]
    pub fn with_directory(self, directory: impl Into<PathBuf>) -> Self {
        Self { directory: Some(directory.into()), ..self }
    }

    /// With this configuration.
    #[must_use]
    pub fn with_config(self, config: RunConfig) -> Self {
        Self { config, ..self }
    }

    /// With these flags.
    #[must_use]
    pub fn with_flags(self, flags: ServeFlags) -> Self {
        Self { flags, ..self }
    }

    /// On this port and no other.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.flags = self.flags.with_port(port);
        self
    }

    /// With these credentials in place of a random password.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.flags = self.flags.with_credentials(credentials);
        self
    }

    /// With these settings.
    #[must_use]
    pub fn with_settings(self, settings: ServeSettings) -> Self {
        Self { settings, ..self }
    }

    /// With this many more tries when the database was in use at the start.
    #[must_use]
    pub fn with_retry(self, retry: StartupRetry) -> Self {
        Self { retry, ..self }
    }

    /// With these limits for what it is asked.
    #[must_use]
    pub fn with_limits(self, limits: HttpLimits) -> Self {
        Self { limits, ..self }
    }

    /// With these settings for its event stream.
    #[must_use]
    pub fn with_events(self, events: HubSettings) -> Self {
        Self { events, ..self }
    }
}

impl Default for ServeRequest {
    fn default() -> Self {
        Self {
            directory: None,
            place: Place::Directory,
            config: RunConfig::default(),
            flags: ServeFlags::new()
                .with_log_level(LogLevel::Error)
                .with_logs(LogOutput::FileAndStderr),
            settings: ServeSettings::default(),
            retry: StartupRetry::default(),
            limits: HttpLimits::default(),
            events: HubSettings::default(),
        }
    }
}

/// A server that runs already, here or elsewhere.
///
/// ```
/// use opencode_tokio::config::Credentials;
/// use opencode_tokio::AttachRequest;
///
/// let request = AttachRequest::new("http://127.0.0.1:4096")
///     .with_credentials(Credentials::new("its password"))
///     .with_directory("/src/crate");
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct AttachRequest {
    /// Where it is: `http://host:port`, with a path when it is behind one.
    pub url: String,
    /// What it wants to see. Default: those in the URL, if there are any.
    pub credentials: Option<Credentials>,
    /// The project's directory, as the server's machine knows it. Default: the one that the server was started in.
    pub directory: Option<String>,
    /// How long it may take to be attached. Default: 60 seconds.
    pub start_limit: Duration,
    /// How long it is waited for when it is asked something, and how much it may say.
    pub limits: HttpLimits,
    /// How its event stream is watched, and for how long it is tried to get it back.
    pub events: HubSettings,
}

impl AttachRequest {
    /// The server at this URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            credentials: None,
            directory: None,
            start_limit: ServeSettings::default().start_limit,
            limits: HttpLimits::default(),
            events: HubSettings::default(),
        }
    }

    /// With these credentials.
    #[must_use]
    pub fn with_credentials(self, credentials: Credentials) -> Self {
        Self { credentials: Some(credentials), ..self }
    }

    /// For this project.
    #[must_use]
    pub fn with_directory(self, directory: impl Into<String>) -> Self {
        Self { directory: Some(directory.into()), ..self }
    }

    /// With this much time.
    #[must_use]
    pub fn with_start_limit(self, start_limit: Duration) -> Self {
        Self { start_limit, ..self }
    }

    /// With these limits for what it is asked.
    #[must_use]
    pub fn with_limits(self, limits: HttpLimits) -> Self {
        Self { limits, ..self }
    }

    /// With these settings for its event stream.
    #[must_use]
    pub fn with_events(self, events: HubSettings) -> Self {
        Self { events, ..self }
    }
}

/// The URL is left out: it may have a password in it.
impl fmt::Debug for AttachRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttachRequest")
            .field("credentials", &self.credentials)
            .field("directory", &self.directory)
            .field("start_limit", &self.start_limit)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl From<&str> for AttachRequest {
    fn from(url: &str) -> Self {
        Self::new(url)
    }
}

impl From<String> for AttachRequest {
    fn from(url: String) -> Self {
        Self::new(url)
    }
}

/// What of a configuration a server would have to be started with.
pub(crate) fn needs_its_own(config: &RunConfig) -> Option<&'static str> {
    let default = RunConfig::default();
    let settings = [
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
