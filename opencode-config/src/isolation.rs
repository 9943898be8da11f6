//! What of the user a run sees, and where it keeps its data.

use std::path::PathBuf;

use bytes::Bytes;

use crate::{Environment, JsoncError, RunConfig};

mod content;
mod homes;
mod plan;
mod sanitize;
mod sources;
#[cfg(test)]
mod tests;
mod variables;

pub use plan::{Existing, IsolationPlan, PlannedDirectory, PlannedFile, PlannedLink};
pub(crate) use sanitize::sanitized;
pub(crate) use variables::reserved_variables;

/// How far a run is kept apart from the user's own OpenCode.
///
/// The default gives every run its own database, config, state, cache and temporary directory, with
/// the user's providers and credentials, inside the project as it is. `HOME` always stays, since tools
/// need it.
///
/// # Environment
///
/// What becomes of the variables that a run inherits:
///
/// | variable | |
/// |---|---|
/// | `AGENT`, `OPENCODE`, `OPENCODE_PID`, `OPENCODE_CLIENT`, `OPENCODE_CONSOLE_TOKEN`, `OPENCODE_DIRECT_TRACE`, `OPENCODE_EDITOR_SSE_PORT`, `OPENCODE_ENABLE_QUESTION_TOOL`, `OPENCODE_FAST_BOOT`, `OPENCODE_LOG_LEVEL`, `OPENCODE_PLUGIN_META_FILE`, `OPENCODE_PRINT_LOGS`, `OPENCODE_ROUTE`, `OPENCODE_SERVER_PASSWORD`, `OPENCODE_SERVER_USERNAME`, `OPENCODE_WORKSPACE_ID` | removed: they belong to the OpenCode that we may be a child of |
/// | `OPENCODE_AUTO_SHARE`, `OPENCODE_CONFIG`, `OPENCODE_CONFIG_CONTENT`, `OPENCODE_CONFIG_DIR`, `OPENCODE_DISABLE_AUTOCOMPACT`, `OPENCODE_DISABLE_PRUNE`, `OPENCODE_ENABLE_*`, `OPENCODE_EXPERIMENTAL*`, `OPENCODE_FAKE_VCS`, `OPENCODE_PERMISSION`, `OPENCODE_TUI_CONFIG`, `OPENCODE_WEBSEARCH_PROVIDER` | removed unless [`UserConfig::Inherit`]: the user's settings |
/// | `XDG_CONFIG_HOME`, `XDG_STATE_HOME`, `OPENCODE_TEST_HOME` | private unless [`UserConfig::Inherit`]; the state holds the last used model |
/// | `XDG_DATA_HOME` | private unless [`DataHome::User`] |
/// | `OPENCODE_DB` | removed unless [`DataHome::User`] |
/// | `XDG_CACHE_HOME` | private unless [`CacheHome::User`] |
/// | `TMPDIR`, `TMP`, `TEMP` | private unless [`TempHome::User`] |
/// | `OPENCODE_DISABLE_PROJECT_CONFIG` | `1` with [`ProjectConfig::Ignore`], else as inherited |
/// | `OPENCODE_DISABLE_AUTOUPDATE` | `1`; [`RunConfig::env`] may say otherwise |
/// | `OPENCODE_CLIENT` | `sdk` in run mode: resumed sessions would offer the `question` tool, which nobody answers there; [`RunConfig::env`] may say otherwise |
/// | everything else, among it keys of providers, `OPENCODE_API_KEY`, `OPENCODE_AUTH_CONTENT`, `OPENCODE_MODELS_*`, `OPENCODE_PURE` and the other `OPENCODE_DISABLE_*` | as inherited |
///
/// # Credentials
///
/// `auth.json` and `mcp-auth.json` of the user's data directory are linked into a private one.
/// OpenCode 1.18.33 writes both in place, through the link, so refreshed tokens reach the user's
/// file. Accounts of OpenCode's console live in the database, so a private one has none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Isolation {
    /// Where downloads are kept.
    pub cache: CacheHome,
    /// Where the database, logs and credentials are.
    pub data: DataHome,
    /// What of the project's config is read.
    pub project_config: ProjectConfig,
    /// Where temporary files go.
    pub temp: TempHome,
    /// What of the user's config is read.
    pub user_config: UserConfig,
}

impl Isolation {
    /// The default: private directories, the user's providers, the project's config.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing private: the run uses what `opencode` in the user's shell uses.
    #[must_use]
    pub fn none() -> Self {
        Self {
            cache: CacheHome::User,
            data: DataHome::User,
            project_config: ProjectConfig::Inherit,
            temp: TempHome::User,
            user_config: UserConfig::Inherit,
        }
    }

    /// Sets [`cache`](Self::cache).
    #[must_use]
    pub fn with_cache(self, cache: CacheHome) -> Self {
        Self { cache, ..self }
    }

    /// Sets [`data`](Self::data).
    #[must_use]
    pub fn with_data(self, data: DataHome) -> Self {
        Self { data, ..self }
    }

    /// Sets [`project_config`](Self::project_config).
    #[must_use]
    pub fn with_project_config(self, project_config: ProjectConfig) -> Self {
        Self { project_config, ..self }
    }

    /// Sets [`temp`](Self::temp).
    #[must_use]
    pub fn with_temp(self, temp: TempHome) -> Self {
        Self { temp, ..self }
    }

    /// Sets [`user_config`](Self::user_config).
    #[must_use]
    pub fn with_user_config(self, user_config: UserConfig) -> Self {
        Self { user_config, ..self }
    }
}

/// Where OpenCode keeps what it downloads (`XDG_CACHE_HOME`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CacheHome {
    /// A directory of this run, which starts with links to the user's model catalogue and `rg`.
    #[default]
    Private,
    /// The user's. Saves downloads for providers whose packages are not part of OpenCode.
    User,
}

/// Where OpenCode keeps its database, logs and credentials (`XDG_DATA_HOME`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum DataHome {
    /// A directory of this run: parallel runs cannot lock each other out, sessions end with it.
    #[default]
    Private,
    /// A directory of the caller, absolute, kept and reused: sessions can be resumed.
    At(PathBuf),
    /// The user's, shared with their own sessions.
    User,
}

/// What of the project's config is read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ProjectConfig {
    /// All of it: `opencode.json`, `.opencode/`, `AGENTS.md`.
    #[default]
    Inherit,
    /// Nothing (`OPENCODE_DISABLE_PROJECT_CONFIG`).
    Ignore,
}

/// Where temporary files go (`TMPDIR`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TempHome {
    /// A directory of this run. OpenCode leaves a library of several megabytes there per process.
    #[default]
    Private,
    /// The user's.
    User,
}

/// What of the user's config is read: files in `$XDG_CONFIG_HOME/opencode` and `~/.opencode`, what
/// `OPENCODE_CONFIG` and its kin point to, agents, commands, plugins, skills, `AGENTS.md`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum UserConfig {
    /// From the files, `$schema`, `provider`, `disabled_providers` and `enabled_providers`; nothing
    /// else.
    #[default]
    Providers,
    /// Nothing.
    Ignore,
    /// All of it, in place. An inherited `OPENCODE_CONFIG_CONTENT` gives way to the run's own config.
    Inherit,
}

impl RunConfig {
    /// The files of the user that [`IsolationPlan::new`] wants to see.
    ///
    /// Empty unless the user's config is to be copied. Read each and hand the results in; a missing
    /// file is normal.
    #[must_use]
    pub fn sources(&self, inherited: &Environment) -> Vec<ConfigSource> {
        sources::of(self, inherited)
    }
}

/// A config file of the user.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ConfigSource {
    /// Where to read it.
    pub path: PathBuf,
    file_name: &'static str,
    place: SourcePlace,
}

/// Which of the user's config directories a file is in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum SourcePlace {
    /// `$XDG_CONFIG_HOME/opencode`
    Global,
    /// `~/.opencode`
    Home,
}

/// A config file with what reading it gave.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReadSource {
    /// The file.
    pub source: ConfigSource,
    /// What was found.
    pub content: SourceContent,
}

/// What reading a file gave.
#[derive(Clone, Eq, PartialEq)]
pub enum SourceContent {
    /// These bytes.
    Found(Bytes),
    /// There is no such file.
    Missing,
    /// There is one, and this is why it could not be read.
    Unreadable(String),
}

impl std::fmt::Debug for SourceContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Found(bytes) => write!(f, "Found({} bytes)", bytes.len()),
            Self::Missing => f.write_str("Missing"),
            Self::Unreadable(reason) => write!(f, "Unreadable({reason:?})"),
        }
    }
}

/// Something of the user's that was left out.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigWarning {
    /// Nothing says where the user's files are.
    #[error("files of the user are left out: HOME is not set")]
    HomeUnknown,
    /// A file is no config.
    #[error("the config file {} is left out", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: JsoncError,
    },
    /// The user's inherited `OPENCODE_CONFIG_CONTENT` gave way to the run's own config.
    #[error("the inherited OPENCODE_CONFIG_CONTENT is replaced by the config of the run")]
    ReplacedContent,
    /// A variable that should be an absolute path is a relative one.
    #[error("files of the user are left out: {variable} is not an absolute path")]
    RelativeHome {
        /// Which.
        variable: &'static str,
    },
    /// A file could not be read.
    #[error("the config file {} is left out: {reason}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}
