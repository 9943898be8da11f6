//! Command-line flags of `opencode run` and `opencode serve` besides model and agent.

use std::path::{Path, PathBuf};

mod extra;
mod resume;
mod serve;
mod switches;
#[cfg(test)]
mod tests;

pub use extra::{ExtraFlags, FlagValue};
pub(crate) use extra::{check_extra, is_secret, long_name};
pub use resume::Resume;
pub use serve::ServeFlags;
pub use switches::{Approval, LogLevel, LogOutput, Plugins, Questions, Reasoning, Sharing};

use crate::Credentials;

/// Length of a title that is made of a prompt, in characters.
const TITLE_SIZE_MAX: usize = 50;

/// Flags of `opencode run` that this crate has types for.
///
/// ```
/// use opencode_config::{Approval, Reasoning, Resume, RunFlags};
///
/// let flags = RunFlags::new()
///     .with_approval(Approval::Auto)
///     .with_file("src/main.rs")
///     .with_reasoning(Reasoning::Show)
///     .with_resume(Resume::session("ses_1").forked())
///     .with_title("nightly");
/// assert_eq!(flags.title(), Some("nightly"));
/// ```
///
/// By default OpenCode prints the errors of the log to stderr: many failures appear in the events
/// only as "check server logs".
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RunFlags {
    approval: Approval,
    attach: Option<Attach>,
    command: Option<String>,
    files: Vec<PathBuf>,
    log_level: Option<LogLevel>,
    logs: LogOutput,
    plugins: Plugins,
    reasoning: Reasoning,
    resume: Option<Resume>,
    sharing: Sharing,
    title: Option<String>,
    variant: Option<String>,
}

impl Default for RunFlags {
    fn default() -> Self {
        Self {
            approval: Approval::default(),
            attach: None,
            command: None,
            files: Vec::new(),
            log_level: Some(LogLevel::Warn),
            logs: LogOutput::FileAndStderr,
            plugins: Plugins::default(),
            reasoning: Reasoning::default(),
            resume: None,
            sharing: Sharing::default(),
            title: None,
            variant: None,
        }
    }
}

impl RunFlags {
    /// Creates the default flags: a new session, errors of the log on stderr.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the reaction to permission requests (`--auto`). Default: [`Approval::Reject`].
    #[must_use]
    pub fn with_approval(self, approval: Approval) -> Self {
        Self { approval, ..self }
    }

    /// Returns the reaction to permission requests.
    #[must_use]
    pub fn approval(&self) -> Approval {
        self.approval
    }

    /// Sets the running server to run on (`--attach`). Default: none.
    ///
    /// OpenCode 1.18.33 often exits before it has printed the last events of an attached run; a
    /// client of the HTTP API does not lose them.
    #[must_use]
    pub fn with_attach(self, attach: Attach) -> Self {
        Self { attach: Some(attach), ..self }
    }

    /// Returns the running server to run on.
    #[must_use]
    pub fn attach(&self) -> Option<&Attach> {
        self.attach.as_ref()
    }

    /// Sets the command to run instead of a plain prompt (`--command`). Default: none.
    ///
    /// The text on stdin becomes the arguments of the command, verbatim and possibly empty.
    /// OpenCode drops files that are attached to a command, so the two together are refused.
    #[must_use]
    pub fn with_command(self, command: impl Into<String>) -> Self {
        Self { command: Some(command.into()), ..self }
    }

    /// Returns the command to run instead of a plain prompt.
    #[must_use]
    pub fn command(&self) -> Option<&str> {
        self.command.as_deref()
    }

    /// Adds a file or directory to attach (`--file`), relative to the directory of the run.
    #[must_use]
    pub fn with_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.files.push(file.into());
        self
    }

    /// Returns the attached files and directories.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Sets the level of OpenCode's log (`--log-level`). Default: [`LogLevel::Warn`]:
    /// warnings name the MCP servers that did not start.
    ///
    /// With `None`, OpenCode chooses the level, which is `INFO`.
    #[must_use]
    pub fn with_log_level(self, log_level: impl Into<Option<LogLevel>>) -> Self {
        Self { log_level: log_level.into(), ..self }
    }

    /// Returns the level of OpenCode's log, or `None` when OpenCode chooses.
    #[must_use]
    pub fn log_level(&self) -> Option<LogLevel> {
        self.log_level
    }

    /// Sets the destination of OpenCode's log (`--print-logs`). Default:
    /// [`LogOutput::FileAndStderr`].
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

    /// Sets the output of reasoning (`--thinking`). Default: [`Reasoning::Hide`].
    #[must_use]
    pub fn with_reasoning(self, reasoning: Reasoning) -> Self {
        Self { reasoning, ..self }
    }

    /// Returns the output of reasoning.
    #[must_use]
    pub fn reasoning(&self) -> Reasoning {
        self.reasoning
    }

    /// Sets the session to continue (`--continue`, `--session`, `--fork`). Default: a new session.
    #[must_use]
    pub fn with_resume(self, resume: Resume) -> Self {
        Self { resume: Some(resume), ..self }
    }

    /// Begins a new session.
    #[must_use]
    pub fn without_resume(self) -> Self {
        Self { resume: None, ..self }
    }

    /// Returns the session to continue.
    #[must_use]
    pub fn resume(&self) -> Option<&Resume> {
        self.resume.as_ref()
    }

    /// Sets the publication of the session (`--share`). Default: [`Sharing::Configured`].
    #[must_use]
    pub fn with_sharing(self, sharing: Sharing) -> Self {
        Self { sharing, ..self }
    }

    /// Returns the publication of the session.
    #[must_use]
    pub fn sharing(&self) -> Sharing {
        self.sharing
    }

    /// Sets the title of a new session (`--title`). Default: a second call of the model invents
    /// one.
    ///
    /// With an empty title, OpenCode takes the first 50 characters of the prompt.
    #[must_use]
    pub fn with_title(self, title: impl Into<String>) -> Self {
        Self { title: Some(title.into()), ..self }
    }

    /// Returns the title of a new session.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// Returns the title of a new session with this prompt; `None` when the model invents one.
    ///
    /// ```
    /// use opencode_config::RunFlags;
    ///
    /// let title = RunFlags::new().with_title("").session_title("Tidy up.");
    /// assert_eq!(title.as_deref(), Some("Tidy up."));
    /// ```
    #[must_use]
    pub fn session_title(&self, prompt: &str) -> Option<String> {
        let title = self.title()?;
        if !title.is_empty() {
            return Some(title.to_owned());
        }
        Some(match prompt.char_indices().nth(TITLE_SIZE_MAX) {
            Some((end, _)) => format!("{}...", &prompt[..end]),
            None => prompt.to_owned(),
        })
    }

    /// Sets the variant of the model, such as the reasoning effort (`--variant`). Default: none.
    #[must_use]
    pub fn with_variant(self, variant: impl Into<String>) -> Self {
        Self { variant: Some(variant.into()), ..self }
    }

    /// Returns the variant of the model.
    #[must_use]
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_deref()
    }
}

/// A running server for `opencode run --attach`.
///
/// The credentials travel by environment, since every user of the machine can read arguments:
///
/// ```
/// use opencode_config::{Attach, Credentials, Environment, Invocation, IsolationPlan};
/// use opencode_config::{RunConfig, RunFlags};
///
/// let server = Attach::new("http://127.0.0.1:4096")
///     .with_credentials(Credentials::new("correct horse"))
///     .with_directory("/srv/app");
/// let config = RunConfig::new().with_flags(RunFlags::new().with_attach(server));
///
/// let plan = IsolationPlan::new(&config, &Environment::new(), "/tmp/run-1", Vec::new())?;
/// let run = Invocation::run("opencode", "Hello.", "/src/app", &config, &plan)?;
/// assert!(run.command_line().contains("--attach=http://127.0.0.1:4096 --dir=/srv/app"));
/// assert_eq!(run.env.var("OPENCODE_SERVER_PASSWORD"), Some("correct horse".as_ref()));
/// # Ok::<(), opencode_config::RunConfigError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Attach {
    url: String,
    credentials: Option<Credentials>,
    directory: Option<PathBuf>,
}

impl Attach {
    /// Creates the server at `url`, which must not contain a user or a password. The run has no
    /// credentials and works in the server's own directory.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), credentials: None, directory: None }
    }

    /// Sets the credentials of the run. Default: none.
    #[must_use]
    pub fn with_credentials(self, credentials: Credentials) -> Self {
        Self { credentials: Some(credentials), ..self }
    }

    /// Sets the directory on the server to work in (`--dir`). Default: that of the server.
    #[must_use]
    pub fn with_directory(self, directory: impl Into<PathBuf>) -> Self {
        Self { directory: Some(directory.into()), ..self }
    }

    /// Returns the base URL of the server.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the credentials of the run.
    #[must_use]
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// Returns the directory on the server to work in.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }
}
