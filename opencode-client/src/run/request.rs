use std::path::PathBuf;

use opencode_config::{ModelRef, Resume, RunConfig};
use opencode_proto::{Deadlines, RunSettings};

use crate::log::EventLogConfig;
use crate::process::startup_retry::StartupRetry;
use crate::server::Server;

/// One prompt and how to run it.
///
/// ```
/// use opencode_client::{Deadlines, RunRequest};
/// use std::time::Duration;
///
/// let request = RunRequest::new("What does this crate do?")
///     .with_directory("/src/crate")
///     .with_deadlines(Deadlines::default().with_overall(Duration::from_secs(300)));
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct RunRequest {
    /// What the agent is told, verbatim: there is no limit on its length, and nothing in it is taken for a flag.
    pub prompt: String,
    /// The project's directory. Default: the current one; that of the server, with [`Backend::Server`].
    pub directory: Option<PathBuf>,
    /// What runs it.
    pub backend: Backend,
    /// What to run.
    pub config: RunConfig,
    /// How it is watched.
    pub settings: RunSettings,
    /// What to do when several processes begin to use one database at once.
    pub retry: StartupRetry,
    /// Where to write every event as it comes.
    pub log: Option<EventLogConfig>,
}

impl RunRequest {
    /// A prompt with the defaults for everything else.
    pub fn new(prompt: impl Into<String>) -> Self {
        Self {
            prompt: prompt.into(),
            directory: None,
            backend: Backend::default(),
            config: RunConfig::default(),
            settings: RunSettings::default(),
            retry: StartupRetry::default(),
            log: None,
        }
    }

    /// In this project.
    #[must_use]
    pub fn with_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// On this: a process of its own, a server of its own, or a server that is there already.
    #[must_use]
    pub fn with_backend(mut self, backend: impl Into<Backend>) -> Self {
        self.backend = backend.into();
        self
    }

    /// With this configuration.
    #[must_use]
    pub fn with_config(mut self, config: RunConfig) -> Self {
        self.config = config;
        self
    }

    /// With this model.
    #[must_use]
    pub fn with_model(mut self, model: ModelRef) -> Self {
        self.config = self.config.with_model(model);
        self
    }

    /// With these deadlines.
    #[must_use]
    pub fn with_deadlines(mut self, deadlines: Deadlines) -> Self {
        self.settings.deadlines = deadlines;
        self
    }

    /// With these settings, deadlines included.
    #[must_use]
    pub fn with_settings(mut self, settings: RunSettings) -> Self {
        self.settings = settings;
        self
    }

    /// With this many more tries when the database was in use at the start.
    #[must_use]
    pub fn with_retry(mut self, retry: StartupRetry) -> Self {
        self.retry = retry;
        self
    }

    /// With every event written to a file.
    #[must_use]
    pub fn with_log(mut self, log: EventLogConfig) -> Self {
        self.log = Some(log);
        self
    }

    /// Returns the settings of the machine, with the session where the flags name the session.
    pub(crate) fn run_settings(&self) -> RunSettings {
        let mut settings = self.settings.clone();
        let resume = self.config.flags().resume().filter(|resume| !resume.is_forked());
        if let Some(id) = resume.and_then(Resume::session_id) {
            settings.session.get_or_insert_with(|| id.into());
        }
        settings
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

/// What runs a prompt. Events, answer and end are the same whichever it is: see
/// [the crate's page](crate#how-a-run-goes-over-a-server).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Backend {
    /// A server that is started for this run and stopped at its end: as hermetic as a process.
    NewServer,
    /// A process of its own, `opencode run`.
    #[default]
    Process,
    /// A server that is there already and that any number of runs may share. A configuration that it would have to be
    /// started with is refused ([`RunError::Setting`](crate::RunError::Setting)). The session stays when the run is over.
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
