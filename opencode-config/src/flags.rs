//! Command-line flags that `opencode run` and `opencode serve` have beside model and agent.

use std::path::PathBuf;

mod extra;
mod serve;
#[cfg(test)]
mod tests;

pub use extra::{ExtraFlags, FlagValue};
pub(crate) use extra::{check_extra, is_secret, long_name};
pub use serve::ServeFlags;

use crate::Credentials;

/// The typed flags of `opencode run`.
///
/// ```
/// use opencode_config::{Resume, RunFlags};
///
/// let flags = RunFlags::new().with_title("nightly").with_resume(Resume::session("ses_1").forked());
/// ```
///
/// By default OpenCode prints the errors of its log to stderr: of many failures, its events say no
/// more than "check server logs".
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RunFlags {
    /// What becomes of permission requests.
    pub approval: Approval,
    /// Runs on a server that is there already (`--attach`). OpenCode 1.18.33 often exits before it
    /// has printed the last events; a client of the HTTP API does not.
    pub attach: Option<Attach>,
    /// The command to run instead of a plain prompt (`--command`). What is on stdin becomes its
    /// arguments, verbatim and possibly empty.
    pub command: Option<String>,
    /// Files and directories to attach (`--file`), relative to the directory of the run. OpenCode
    /// drops them when there is a `command`, so the two together are refused.
    pub files: Vec<PathBuf>,
    /// How much is logged (`--log-level`): [`LogLevel::Error`] by default, OpenCode's own choice
    /// (`INFO`) with `None`.
    pub log_level: Option<LogLevel>,
    /// Where logs go: [`LogOutput::FileAndStderr`] by default.
    pub logs: LogOutput,
    /// Which plugins are loaded.
    pub plugins: Plugins,
    /// Whether reasoning is among the events.
    pub reasoning: Reasoning,
    /// The session to go on with.
    pub resume: Option<Resume>,
    /// Whether the session is published.
    pub sharing: Sharing,
    /// The title of a new session (`--title`). Without one, a second model call invents it; an empty
    /// one takes the first 50 characters of the prompt.
    pub title: Option<String>,
    /// The variant of the model, such as its reasoning effort (`--variant`).
    pub variant: Option<String>,
}

impl Default for RunFlags {
    fn default() -> Self {
        Self {
            approval: Approval::default(),
            attach: None,
            command: None,
            files: Vec::new(),
            log_level: Some(LogLevel::Error),
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
    /// The defaults: a new session, errors of the log on stderr.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`approval`](Self::approval).
    #[must_use]
    pub fn with_approval(self, approval: Approval) -> Self {
        Self { approval, ..self }
    }

    /// Sets [`attach`](Self::attach).
    #[must_use]
    pub fn with_attach(self, attach: Attach) -> Self {
        Self { attach: Some(attach), ..self }
    }

    /// Sets [`command`](Self::command).
    #[must_use]
    pub fn with_command(self, command: impl Into<String>) -> Self {
        Self { command: Some(command.into()), ..self }
    }

    /// Adds to [`files`](Self::files).
    #[must_use]
    pub fn with_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.files.push(file.into());
        self
    }

    /// Sets [`log_level`](Self::log_level).
    #[must_use]
    pub fn with_log_level(self, log_level: LogLevel) -> Self {
        Self { log_level: Some(log_level), ..self }
    }

    /// Sets [`logs`](Self::logs).
    #[must_use]
    pub fn with_logs(self, logs: LogOutput) -> Self {
        Self { logs, ..self }
    }

    /// Sets [`plugins`](Self::plugins).
    #[must_use]
    pub fn with_plugins(self, plugins: Plugins) -> Self {
        Self { plugins, ..self }
    }

    /// Sets [`reasoning`](Self::reasoning).
    #[must_use]
    pub fn with_reasoning(self, reasoning: Reasoning) -> Self {
        Self { reasoning, ..self }
    }

    /// Sets [`resume`](Self::resume).
    #[must_use]
    pub fn with_resume(self, resume: Resume) -> Self {
        Self { resume: Some(resume), ..self }
    }

    /// Sets [`sharing`](Self::sharing).
    #[must_use]
    pub fn with_sharing(self, sharing: Sharing) -> Self {
        Self { sharing, ..self }
    }

    /// Sets [`title`](Self::title).
    #[must_use]
    pub fn with_title(self, title: impl Into<String>) -> Self {
        Self { title: Some(title.into()), ..self }
    }

    /// Sets [`variant`](Self::variant).
    #[must_use]
    pub fn with_variant(self, variant: impl Into<String>) -> Self {
        Self { variant: Some(variant.into()), ..self }
    }
}

/// What `opencode run` does when a rule says `ask`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Approval {
    /// Rejects, which ends the turn (`opencode run` without a flag).
    #[default]
    Reject,
    /// Approves everything that no rule denies (`--auto`).
    Auto,
}

/// The session that a run continues.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resume {
    /// Which one.
    pub target: ResumeTarget,
    /// What happens to it.
    pub history: History,
}

impl Resume {
    /// The newest session of the directory that is nobody's child (`--continue`).
    #[must_use]
    pub fn latest() -> Self {
        Self { target: ResumeTarget::Latest, history: History::Continue }
    }

    /// The session with this id (`--session`). It must belong to the directory of the run: OpenCode
    /// 1.18.33 hangs for ever otherwise.
    #[must_use]
    pub fn session(id: impl Into<String>) -> Self {
        Self { target: ResumeTarget::Session(id.into()), history: History::Continue }
    }

    /// Copies the session first and continues the copy (`--fork`).
    #[must_use]
    pub fn forked(self) -> Self {
        Self { history: History::Fork, ..self }
    }
}

/// Which session is resumed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ResumeTarget {
    /// The newest of the directory (`--continue`).
    Latest,
    /// The one with this id (`--session`).
    Session(String),
}

/// What resuming does to the session.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum History {
    /// It grows.
    #[default]
    Continue,
    /// A copy of it grows (`--fork`).
    Fork,
}

/// A server to run on.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Attach {
    /// Its base URL, without user and password (`--attach`).
    pub url: String,
    /// Who we are. Passed by environment, since arguments are visible to every user of the machine.
    pub credentials: Option<Credentials>,
    /// The directory on the server to work in (`--dir`).
    pub directory: Option<PathBuf>,
}

impl Attach {
    /// The server at `url`, without credentials, in its own directory.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), credentials: None, directory: None }
    }

    /// Sets [`credentials`](Self::credentials).
    #[must_use]
    pub fn with_credentials(self, credentials: Credentials) -> Self {
        Self { credentials: Some(credentials), ..self }
    }

    /// Sets [`directory`](Self::directory).
    #[must_use]
    pub fn with_directory(self, directory: impl Into<PathBuf>) -> Self {
        Self { directory: Some(directory.into()), ..self }
    }
}

/// The level of OpenCode's own log (`--log-level`).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What happens.
    Info,
    /// What is suspicious.
    Warn,
    /// What failed.
    Error,
}

impl LogLevel {
    /// OpenCode's spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

/// Where OpenCode writes its log.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogOutput {
    /// To `log/opencode.log` in its data directory.
    #[default]
    File,
    /// There and to stderr (`--print-logs`).
    FileAndStderr,
}

/// Which plugins OpenCode loads.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Plugins {
    /// Its own and those that config names.
    #[default]
    All,
    /// Its own (`--pure`).
    BuiltIn,
}

/// Whether `opencode run` prints reasoning.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Reasoning {
    /// No.
    #[default]
    Hide,
    /// As `reasoning` events (`--thinking`).
    Show,
}

/// Whether a session gets a public page.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Sharing {
    /// As config says.
    #[default]
    Configured,
    /// Yes (`--share`).
    Share,
}
