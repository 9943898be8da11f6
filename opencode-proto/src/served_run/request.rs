use std::path::PathBuf;
use std::time::Duration;

use opencode_config::{ModelRef, RunConfig, RunFlags};

use crate::api::{AttachmentError, AttachmentFault, PromptFile};
use crate::directory::RequestedDirectory;
use crate::run::RunSettings;
use crate::serve::ServeSettings;
use crate::watchdog::Deadline;

/// A run over a server: the arguments of `opencode run`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServedRunRequest {
    pub(crate) prompt: String,
    pub(crate) agent: Option<String>,
    pub(crate) model: Option<ModelRef>,
    pub(crate) flags: RunFlags,
    pub(crate) settings: RunSettings,
    pub(crate) directory: RequestedDirectory,
    pub(crate) files: Vec<ServedFile>,
}

/// File to attach to the prompt of a run over a server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServedFile {
    /// Path as the caller wrote it.
    pub given: PathBuf,
    /// Absolute path on the server's machine.
    pub path: PathBuf,
    /// Kind of the file.
    pub kind: ServedFileKind,
    fault: Option<AttachmentFault>,
}

/// Kind of a file that a run attaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServedFileKind {
    /// A directory.
    Directory,
    /// Anything else that exists, or a path on another machine.
    File,
    /// Nothing exists at the path. The run ends before it asks for anything.
    Missing,
}

impl ServedRunRequest {
    /// Creates a request for this prompt with the agent, the model and the flags of `config`.
    pub fn new(prompt: impl Into<String>, config: &RunConfig, settings: RunSettings) -> Self {
        let required = config.required_mcp().iter().chain(settings.required_mcp());
        let settings = settings.clone().with_required_mcp(required.cloned());
        Self {
            prompt: prompt.into(),
            agent: config.agent().map(str::to_owned),
            model: config.model().cloned(),
            flags: config.flags().clone(),
            settings,
            directory: RequestedDirectory::of_server(),
            files: Vec::new(),
        }
    }

    /// Sets [`directory`](Self::directory).
    #[must_use]
    pub fn with_directory(mut self, directory: RequestedDirectory) -> Self {
        self.directory = directory;
        self
    }

    /// Adds a file to [`files`](Self::files).
    #[must_use]
    pub fn with_file(mut self, file: ServedFile) -> Self {
        self.files.push(file);
        self
    }

    /// Returns the settings of a server that is started for this run alone.
    ///
    /// The server has as long to start as the deadlines of the run allow.
    pub fn serve_settings(&self) -> ServeSettings {
        let served = ServeSettings::new()
            .with_kill_grace(self.settings.kill_grace)
            .with_drain_limit(self.settings.drain_limit)
            .with_output_size_max(self.settings.stderr_size_max);
        match self.settings.deadlines.soonest() {
            Some((limit, _)) => {
                let silence = served.start_limit.min(limit);
                served.with_start_limit(silence).with_start_limit_max(limit)
            }
            None => served,
        }
    }

    /// Returns the deadline that limits the start of the run's own server; `None` when the limit of
    /// [`ServeSettings::start_limit`] is shorter.
    pub fn start_deadline(&self) -> Option<Deadline> {
        self.start_limit().map(|(_, deadline)| deadline)
    }

    fn start_limit(&self) -> Option<(Duration, Deadline)> {
        let soonest = self.settings.deadlines.soonest()?;
        (soonest.0 <= ServeSettings::new().start_limit).then_some(soonest)
    }

    /// Returns the prompt, or arguments of the command.
    #[must_use]
    pub fn prompt(&self) -> &str {
        &self.prompt
    }

    /// Returns the agent of the turn. Default: the server's default agent.
    #[must_use]
    pub fn agent(&self) -> Option<&str> {
        self.agent.as_deref()
    }

    /// Returns the model of the turn. Default: the server's default model.
    #[must_use]
    pub fn model(&self) -> Option<&ModelRef> {
        self.model.as_ref()
    }

    /// Returns the flags of `opencode run`. Those of the process itself have no effect here.
    #[must_use]
    pub fn flags(&self) -> &RunFlags {
        &self.flags
    }

    /// Returns the settings of the run.
    #[must_use]
    pub fn settings(&self) -> &RunSettings {
        &self.settings
    }

    /// Returns the directory of the run, which is compared with that of the session. Default: the
    /// directory of the server, whatever its name.
    #[must_use]
    pub fn directory(&self) -> &RequestedDirectory {
        &self.directory
    }

    /// Returns the files of [`RunFlags::files`], as the driver found them.
    #[must_use]
    pub fn files(&self) -> &[ServedFile] {
        &self.files
    }
}

impl ServedFile {
    /// Creates a file that the caller gave as `given` and the server finds at `path`.
    pub fn new(given: impl Into<PathBuf>, path: impl Into<PathBuf>, kind: ServedFileKind) -> Self {
        Self { given: given.into(), path: path.into(), kind, fault: None }
    }
}

impl ServedFile {
    /// Sets the reason why the file cannot be attached. The run ends before it asks for anything.
    #[must_use]
    pub fn with_fault(self, fault: Option<AttachmentFault>) -> Self {
        Self { fault, ..self }
    }

    /// Returns the error of a file that cannot be attached.
    pub fn error(&self) -> Option<AttachmentError> {
        let fault = self.fault.clone()?;
        Some(AttachmentError::new(self.given.to_string_lossy(), fault))
    }
}

impl From<&ServedFile> for PromptFile {
    fn from(file: &ServedFile) -> Self {
        let mime = match file.kind {
            ServedFileKind::Directory => "application/x-directory",
            ServedFileKind::File | ServedFileKind::Missing => "text/plain",
        };
        Self::path(&file.path).with_mime(mime)
    }
}
