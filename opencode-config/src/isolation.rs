//! Isolation of a run from the user's own OpenCode.

use std::path::PathBuf;

pub(crate) mod content;
pub(crate) mod layers;
pub(crate) mod variables;

/// Degree to which a run is kept apart from the user's own OpenCode.
///
/// The default gives every run a private database, config, state, cache and temporary directory,
/// with the user's providers and credentials, inside the project as it is. `HOME` always stays,
/// since tools need that directory.
///
/// ```
/// use opencode_config::{DataHome, Isolation, ProjectConfig, RunConfig, UserConfig};
///
/// // Reproducible: neither the user's nor the project's config counts.
/// let strict = Isolation::new()
///     .with_user_config(UserConfig::Ignore)
///     .with_project_config(ProjectConfig::Ignore);
///
/// // Sessions are kept in a directory of the program and can be resumed.
/// let kept = Isolation::new().with_data(DataHome::At("/var/lib/my-agents".into()));
///
/// // As the user: everything is read from and written to the user's own places.
/// let shared = RunConfig::new().with_isolation(Isolation::none());
/// # assert_ne!(strict, kept);
/// # assert_eq!(shared.isolation(), &Isolation::none());
/// ```
///
/// # Environment
///
/// Treatment of the variables that a run inherits:
///
/// - Removed, since they belong to the OpenCode process that may have started this program:
///   `AGENT`, `OPENCODE`, `OPENCODE_PID`, `OPENCODE_CONSOLE_TOKEN`, `OPENCODE_DIRECT_TRACE`,
///   `OPENCODE_EDITOR_SSE_PORT`, `OPENCODE_ENABLE_QUESTION_TOOL`, `OPENCODE_FAST_BOOT`,
///   `OPENCODE_LOG_LEVEL`, `OPENCODE_PLUGIN_META_FILE`, `OPENCODE_PRINT_LOGS`, `OPENCODE_ROUTE`,
///   `OPENCODE_SERVER_PASSWORD`, `OPENCODE_SERVER_USERNAME`, `OPENCODE_WORKSPACE_ID`.
/// - Removed unless [`UserConfig::Inherit`], since they are settings of the user:
///   `OPENCODE_AUTO_SHARE`, `OPENCODE_CONFIG`, `OPENCODE_CONFIG_DIR`,
///   `OPENCODE_DISABLE_AUTOCOMPACT`, `OPENCODE_DISABLE_PRUNE`, `OPENCODE_ENABLE_*`,
///   `OPENCODE_EXPERIMENTAL*`, `OPENCODE_FAKE_VCS`, `OPENCODE_TUI_CONFIG`,
///   `OPENCODE_WEBSEARCH_PROVIDER`, and the three that follow.
/// - `OPENCODE_CONFIG_CONTENT`: the config of the run is merged over the inherited config.
/// - `OPENCODE_PERMISSION`: if the run has rules, they are merged over the inherited rules, else
///   the variable stays as it is.
/// - `OPENCODE_CLIENT`: `sdk` in run mode if no value is left or the value is `app`, `cli` or
///   `desktop`. For these clients OpenCode offers the `question` tool, which no client answers in
///   run mode.
/// - Private unless [`UserConfig::Inherit`]: `XDG_CONFIG_HOME`, `XDG_STATE_HOME` (which has the
///   last used model), `OPENCODE_TEST_HOME`.
/// - Private unless [`DataHome::User`]: `XDG_DATA_HOME`. `OPENCODE_DB` is then removed.
/// - Private unless [`CacheHome::User`]: `XDG_CACHE_HOME`.
/// - Private unless [`TempHome::User`]: `TMPDIR`, `TMP`, `TEMP`.
/// - `OPENCODE_DISABLE_PROJECT_CONFIG`: `1` with [`ProjectConfig::Ignore`], else as inherited.
/// - `OPENCODE_DISABLE_AUTOUPDATE`: `1`.
/// - Everything else as inherited, among it keys of providers, `OPENCODE_API_KEY`,
///   `OPENCODE_AUTH_CONTENT`, `OPENCODE_MODELS_*`, `OPENCODE_PURE` and the other
///   `OPENCODE_DISABLE_*`.
///
/// A variable that is set with [`RunConfig::with_env`] takes the place of the inherited one, and
/// wins over the treatment above: removed variables come back, and `OPENCODE_CLIENT` and
/// `OPENCODE_DISABLE_AUTOUPDATE` keep the value. Variables for which [`RunConfig::check`] names a
/// setting cannot be set in this way.
///
/// [`RunConfig::with_env`]: crate::RunConfig::with_env
/// [`RunConfig::check`]: crate::RunConfig::check
///
/// # Credentials
///
/// `auth.json` and `mcp-auth.json` of the user's data directory are linked into a private one.
/// OpenCode 1.18.33 writes both in place, through the link, so refreshed tokens reach the user's
/// file. Accounts of OpenCode's console live in the database, so a private one has none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Isolation {
    cache: CacheHome,
    data: DataHome,
    plugins: PluginHome,
    project_config: ProjectConfig,
    temp: TempHome,
    user_config: UserConfig,
}

impl Isolation {
    /// Creates the default isolation: private directories, the user's providers, the project's
    /// config.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates an isolation in which nothing is private: the run acts as the user, with the
    /// same files as `opencode` in the user's shell.
    ///
    /// The run reads all config files, agents, commands, plugins and skills of the user, the config
    /// in the user's environment (with the run's own config on top), and the login in the console's
    /// database. The sessions appear in the user's list of sessions.
    ///
    /// ```
    /// use opencode_config::{Environment, Isolation, IsolationPlan, RunConfig};
    ///
    /// let inherited = Environment::new()
    ///     .with_var("OPENCODE_CONFIG_CONTENT", r#"{"share": "auto", "username": "me"}"#);
    /// let config = RunConfig::new()
    ///     .with_isolation(Isolation::none())
    ///     .with_overrides(serde_json::json!({ "username": "ci" }));
    /// let plan = IsolationPlan::new(&config, &inherited, "/tmp/run-1", Vec::new())?;
    /// assert_eq!(
    ///     plan.environment.var("OPENCODE_CONFIG_CONTENT"),
    ///     Some(r#"{"share":"auto","username":"ci"}"#.as_ref()),
    /// );
    /// assert!(plan.directories.is_empty());
    /// # Ok::<(), opencode_config::RunConfigError>(())
    /// ```
    #[must_use]
    pub fn none() -> Self {
        Self {
            cache: CacheHome::User,
            data: DataHome::User,
            plugins: PluginHome::Private,
            project_config: ProjectConfig::Inherit,
            temp: TempHome::User,
            user_config: UserConfig::Inherit,
        }
    }

    /// Sets the place of downloads. Default: [`CacheHome::Private`].
    #[must_use]
    pub fn with_cache(self, cache: CacheHome) -> Self {
        Self { cache, ..self }
    }

    /// Returns the place of downloads.
    #[must_use]
    pub fn cache(&self) -> CacheHome {
        self.cache
    }

    /// Sets the place of the database, logs and credentials. Default: [`DataHome::Private`].
    #[must_use]
    pub fn with_data(self, data: DataHome) -> Self {
        Self { data, ..self }
    }

    /// Returns the place of the database, logs and credentials.
    #[must_use]
    pub fn data(&self) -> &DataHome {
        &self.data
    }

    /// Sets the place of the npm packages of plugins. Default: [`PluginHome::Kept`].
    #[must_use]
    pub fn with_plugins(self, plugins: PluginHome) -> Self {
        Self { plugins, ..self }
    }

    /// Returns the place of the npm packages of plugins. Has no effect with [`CacheHome::User`],
    /// where OpenCode keeps them.
    #[must_use]
    pub fn plugins(&self) -> &PluginHome {
        &self.plugins
    }

    /// Sets the part of the project's config that is read. Default: [`ProjectConfig::Inherit`].
    #[must_use]
    pub fn with_project_config(self, project_config: ProjectConfig) -> Self {
        Self { project_config, ..self }
    }

    /// Returns the part of the project's config that is read.
    #[must_use]
    pub fn project_config(&self) -> ProjectConfig {
        self.project_config
    }

    /// Sets the place of temporary files. Default: [`TempHome::Private`].
    #[must_use]
    pub fn with_temp(self, temp: TempHome) -> Self {
        Self { temp, ..self }
    }

    /// Returns the place of temporary files.
    #[must_use]
    pub fn temp(&self) -> TempHome {
        self.temp
    }

    /// Sets the part of the user's config that is read. Default: [`UserConfig::Providers`].
    #[must_use]
    pub fn with_user_config(self, user_config: UserConfig) -> Self {
        Self { user_config, ..self }
    }

    /// Returns the part of the user's config that is read.
    #[must_use]
    pub fn user_config(&self) -> UserConfig {
        self.user_config
    }
}

/// Place of OpenCode's downloads (`XDG_CACHE_HOME`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum CacheHome {
    /// A directory of this run, which starts with links to the user's model catalogue and `rg`.
    #[default]
    Private,
    /// The user's directory, which saves downloads for providers whose packages are not part of
    /// OpenCode.
    User,
}

/// Place of OpenCode's database, logs and credentials (`XDG_DATA_HOME`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum DataHome {
    /// A directory of this run: parallel runs cannot lock each other out, and sessions are removed
    /// with the run.
    #[default]
    Private,
    /// An absolute directory of the caller, which is kept and reused: sessions can be resumed.
    At(PathBuf),
    /// The user's directory, shared with the sessions of the user.
    User,
}

/// Place of the npm packages of plugins that a config names (`"plugin": ["name@1.0.0"]`).
///
/// A package is installed by the first run that needs the package, and used by all later ones. The
/// first run holds a lock meanwhile, so that runs at the same time, also those of other programs,
/// wait up to five minutes and then use the package too. A package without a version is installed
/// as the latest one at that time, and stays: remove the directory to get a newer one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum PluginHome {
    /// An absolute directory of the caller.
    At(PathBuf),
    /// `opencode-rs/plugins/OS-ARCH` in the user's cache directory, for the user alone.
    #[default]
    Kept,
    /// A directory of this run. Every run installs its packages.
    Private,
}

/// Part of the project's config that is read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum ProjectConfig {
    /// All of the config is read: `opencode.json`, `.opencode/`, `AGENTS.md`.
    #[default]
    Inherit,
    /// Nothing is read (`OPENCODE_DISABLE_PROJECT_CONFIG`).
    Ignore,
}

/// Place of temporary files (`TMPDIR`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum TempHome {
    /// A directory of this run. OpenCode leaves a library of several megabytes there per process.
    #[default]
    Private,
    /// The user's directory.
    User,
}

/// Part of the user's config that is read.
///
/// The user's config are the files in `$XDG_CONFIG_HOME/opencode` and `~/.opencode`, the files that
/// `OPENCODE_CONFIG` and similar variables name, agents, commands, plugins, skills and `AGENTS.md`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum UserConfig {
    /// The keys `$schema`, `provider`, `disabled_providers` and `enabled_providers` of the config
    /// files are copied.
    #[default]
    Providers,
    /// Nothing is read.
    Ignore,
    /// All of the config is used in place, the config in the environment included: the run's own
    /// config is merged over `OPENCODE_CONFIG_CONTENT` and `OPENCODE_PERMISSION`.
    Inherit,
}
