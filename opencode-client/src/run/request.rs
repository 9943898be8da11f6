use std::path::{Path, PathBuf};

use opencode_config::{ModelRef, Resume, RunConfig};
use opencode_proto::{Deadlines, Notice, RunSettings};

use crate::log::EventLogConfig;
use crate::process::startup_retry::StartupRetry;
use crate::server::Server;

/// Request for one run: a prompt, and how to run the prompt.
///
/// ```
/// use opencode_tokio::{Deadlines, RunRequest};
/// use std::time::Duration;
///
/// let request = RunRequest::new("What does this crate do?")
///     .with_directory("/src/crate")
///     .with_deadlines(Deadlines::default().with_overall(Duration::from_secs(300)));
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct RunRequest {
    pub(crate) prompt: String,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) backend: Backend,
    pub(crate) config: RunConfig,
    pub(crate) settings: RunSettings,
    pub(crate) retry: StartupRetry,
    pub(crate) log: Option<EventLogConfig>,
    /// Facts that are known before the run begins.
    pub(crate) notices: Vec<Notice>,
}

impl RunRequest {
    /// Creates a request for this prompt, with the defaults for everything else.
    pub fn new(prompt: impl Into<String>) -> Self {
        Self {
            prompt: prompt.into(),
            directory: None,
            backend: Backend::default(),
            config: RunConfig::default(),
            settings: RunSettings::default(),
            retry: StartupRetry::default(),
            log: None,
            notices: Vec::new(),
        }
    }

    /// Sets [`directory`](Self::directory).
    #[must_use]
    pub fn with_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Returns the directory of the project. Default: the current directory; with
    /// [`Backend::Server`], that of the server.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Sets [`backend`](Self::backend): a process, a server for this run, or a running server.
    #[must_use]
    pub fn with_backend(mut self, backend: impl Into<Backend>) -> Self {
        self.backend = backend.into();
        self
    }

    /// Returns the process or server that runs the prompt. Default: a process.
    #[must_use]
    pub fn backend(&self) -> &Backend {
        &self.backend
    }

    /// Sets [`config`](Self::config).
    #[must_use]
    pub fn with_config(mut self, config: RunConfig) -> Self {
        self.config = config;
        self
    }

    /// Returns the configuration of the agent.
    #[must_use]
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    /// Sets the model of [`config`](Self::config).
    #[must_use]
    pub fn with_model(mut self, model: ModelRef) -> Self {
        self.config = self.config.with_model(model);
        self
    }

    /// Sets the deadlines of [`settings`](Self::settings).
    #[must_use]
    pub fn with_deadlines(mut self, deadlines: Deadlines) -> Self {
        self.settings = self.settings.with_deadlines(deadlines);
        self
    }

    /// Sets [`settings`](Self::settings), deadlines included.
    #[must_use]
    pub fn with_settings(mut self, settings: RunSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Returns the deadlines and limits of the run.
    #[must_use]
    pub fn settings(&self) -> &RunSettings {
        &self.settings
    }

    /// Sets [`retry`](Self::retry).
    #[must_use]
    pub fn with_retry(mut self, retry: StartupRetry) -> Self {
        self.retry = retry;
        self
    }

    /// Returns the retries when several processes begin to use one database at the same time.
    #[must_use]
    pub fn retry(&self) -> StartupRetry {
        self.retry
    }

    /// Sets [`log`](Self::log).
    #[must_use]
    pub fn with_log(mut self, log: EventLogConfig) -> Self {
        self.log = Some(log);
        self
    }

    /// Returns the file for every event. Default: no file.
    #[must_use]
    pub fn log(&self) -> Option<&EventLogConfig> {
        self.log.as_ref()
    }

    /// Returns the settings of the machine, with the session where the flags name the session.
    pub(crate) fn run_settings(&self) -> RunSettings {
        let required = self.config.required_mcp().iter().chain(self.settings.required_mcp());
        let settings = self.settings.clone().with_required_mcp(required.cloned());
        let resume = self.config.flags().resume().filter(|resume| !resume.is_forked());
        match resume.and_then(Resume::session_id) {
            Some(id) if settings.session().is_none() => settings.with_session(id.into()),
            Some(_) | None => settings,
        }
    }

    /// Returns the prompt for the agent, verbatim. The length has no limit, and no part is taken
    /// for a flag.
    #[must_use]
    pub fn prompt(&self) -> &str {
        &self.prompt
    }
}

impl From<&str> for RunRequest {
    fn from(prompt: &str) -> Self {
        Self::new(prompt)
    }
}

impl From<String> for RunRequest {
    fn from(prompt: String) -> Self {
        Self::new(prompt)
    }
}

impl std::fmt::Debug for RunRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunRequest")
            .field("prompt_size", &self.prompt.len())
            .field("directory", &self.directory)
            .field("backend", &self.backend)
            .field("config", &self.config)
            .field("settings", &self.settings)
            .field("retry", &self.retry)
            .field("log", &self.log)
            .finish()
    }
}

/// Process or server that runs a prompt. Events, answer and end are the same for all of them: see
/// [the crate's page](crate#how-a-run-goes-over-a-server).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Backend {
    /// A server is started for this run and stopped at the end, as hermetic as a process.
    NewServer,
    /// The run is a process, `opencode run`.
    #[default]
    Process,
    /// Any number of runs share a running server. Configuration that a server takes at the start
    /// only is refused ([`RunError::Setting`](crate::RunError::Setting)). The session stays after
    /// the run.
    Server(Server),
}

impl From<Server> for Backend {
    fn from(server: Server) -> Self {
        Self::Server(server)
    }
}

impl From<&Server> for Backend {
    fn from(server: &Server) -> Self {
        Self::Server(server.clone())
    }
}
