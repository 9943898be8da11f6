//! Files and variables that a run needs before the start.

use std::convert::Infallible;
use std::path::{Path, PathBuf};

mod homes;
mod planned;
mod planner;
mod sanitize;
mod sources;
#[cfg(test)]
mod tests;
mod warning;

pub(crate) use homes::UserHomes;
pub use planned::{ExistingFile, KeptPackages, PlannedDirectory, PlannedFile, PlannedLink};
use planner::{LockFiles, Planner};
pub(crate) use sanitize::sanitized;
pub use sources::{ConfigSource, ReadSource, SourceContent};
pub use warning::ConfigWarning;

use crate::isolation::variables::passed_on;
use crate::isolation::{CacheHome, DataHome, UserConfig, content, layers};
use crate::{CommandGate, Environment, Json, JsonObject, RunConfig, RunConfigError};

const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
const PROGRAM_MODE: u32 = 0o700;
/// Place of ripgrep in a cache.
const RIPGREP: &str = "bin/rg";

/// Directories, files, links and variables that a run needs, as values: nothing has been touched
/// yet.
///
/// To carry out a plan, create the [`directories`](Self::directories), write the
/// [`files`](Self::files), make the [`links`](Self::links), each in order, and start the process
/// with an [`Invocation`](crate::Invocation) made from the plan. Delete the root after the run. A
/// plan can be carried out again.
///
/// ```no_run
/// use std::fs;
///
/// use opencode_config::{Environment, ExistingFile, IsolationPlan, RunConfig};
///
/// # fn carry_out() -> Result<(), Box<dyn std::error::Error>> {
/// let inherited: Environment = std::env::vars_os().collect();
/// let plan = IsolationPlan::new(&RunConfig::new(), &inherited, "/tmp/run-1", Vec::new())?;
/// for directory in &plan.directories {
///     fs::create_dir_all(&directory.path)?; // with the permission bits `directory.mode`
/// }
/// for file in &plan.files {
///     if file.existing == ExistingFile::Replace || !file.path.exists() {
///         fs::write(&file.path, &file.contents)?; // with the permission bits `file.mode`
///     }
/// }
/// # #[cfg(unix)]
/// for link in plan.links.iter().filter(|link| link.target.exists()) {
///     std::os::unix::fs::symlink(&link.target, &link.at)?;
/// }
/// # Ok(())
/// # }
/// ```
///
/// `Debug` shows paths and the names of variables, no contents.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct IsolationPlan {
    /// Directories to create with their missing parents. A directory that exists stays as it is.
    pub directories: Vec<PlannedDirectory>,
    /// Files to write.
    pub files: Vec<PlannedFile>,
    /// Symbolic links to make.
    pub links: Vec<PlannedLink>,
    /// Environment of the process. An [`Invocation`](crate::Invocation) adds `PWD`, credentials and
    /// the name of the client.
    pub environment: Environment,
    /// Places of the npm packages of plugins; `None` when the run has no kept place for them.
    pub packages: Option<KeptPackages>,
    /// Path of ripgrep in the cache, where OpenCode looks after `PATH`; `None` when the place of the
    /// cache is unknown.
    pub ripgrep: Option<PathBuf>,
    /// Parts of the user's configuration that were left out.
    pub warnings: Vec<ConfigWarning>,
}

impl IsolationPlan {
    /// Plans one run, or one server, of `config`.
    ///
    /// Private directories go below `root`, an absolute path of a directory for this run alone.
    /// `read` has the contents of the files of [`RunConfig::sources`]; other files count as
    /// missing.
    ///
    /// # Errors
    ///
    /// [`RunConfigError`] when [`RunConfig::check_for_serve`] fails, a path is relative, or the
    /// config is too large. Files that cannot be used are no error but a [`ConfigWarning`].
    pub fn new(
        config: &RunConfig,
        inherited: &Environment,
        root: impl Into<PathBuf>,
        read: Vec<ReadSource>,
    ) -> Result<Self, RunConfigError> {
        config.check_for_serve()?;
        let env = sources::overlaid(config, inherited);
        let homes = UserHomes::new(&env);
        let mut planner = Planner {
            root: absolute(&root.into())?.to_owned(),
            homes,
            plan: Self {
                directories: Vec::new(),
                files: Vec::new(),
                links: Vec::new(),
                environment: passed_on(inherited, config.isolation()),
                packages: None,
                ripgrep: homes.cache().ok().map(|cache| cache.join(RIPGREP)),
                warnings: Vec::new(),
            },
        };
        let isolation = config.isolation();
        planner.data(isolation.data())?;
        planner.cache(isolation)?;
        planner.temp(isolation.temp());
        if isolation.user_config() != UserConfig::Inherit {
            planner.user_config(isolation.user_config(), read);
            let is_shared =
                *isolation.data() == DataHome::User || isolation.cache() == CacheHome::User;
            planner.state(if is_shared { LockFiles::Shared } else { LockFiles::Private });
        }
        planner.settings(isolation.project_config());
        let mut document = config.config_json();
        if config.command_gate() == CommandGate::Approved {
            let shell = planner.command_gate()?;
            document.get_or_insert_default().insert("shell", shell);
        }
        let mut plan = planner.plan;
        plan.environment.extend(config.env().clone());
        if let Some(document) = document {
            let document = plan.layered(document);
            plan.carry(match isolation.user_config() {
                UserConfig::Inherit => document,
                UserConfig::Ignore | UserConfig::Providers => with_home_anchored(document, homes),
            })?;
        }
        Ok(plan)
    }

    /// Lays the config of the run over the config in the environment.
    fn layered(&mut self, document: JsonObject) -> JsonObject {
        let mut env = self.environment.clone();
        if document.contains_key("permission") {
            // OpenCode lays the variable over all configs, where these rules would win.
            self.environment.remove(layers::PERMISSION);
        } else {
            env.remove(layers::PERMISSION);
        }
        let warnings = &mut self.warnings;
        let layered =
            layers::layered(&env, document, |layers::VariableFault { variable, source }| {
                warnings.push(ConfigWarning::MalformedVariable { variable, source });
                Ok::<(), Infallible>(())
            });
        match layered {
            Ok(document) => document,
            Err(never) => match never {},
        }
    }

    /// Puts the config of the run into the environment.
    fn carry(&mut self, document: JsonObject) -> Result<(), RunConfigError> {
        self.environment.remove_all(|name| name.to_str().is_some_and(content::is_content));
        for (name, value) in content::variables(&document)? {
            self.environment.set(name, value);
        }
        Ok(())
    }
}

fn absolute(path: &Path) -> Result<&Path, RunConfigError> {
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(RunConfigError::RelativeDirectory { path: path.to_owned() })
    }
}

/// Replaces `~/` where OpenCode takes `~` for the private home instead of `HOME`: in instructions
/// and in paths of skills, not in permission patterns or `{file:…}`.
fn with_home_anchored(mut document: JsonObject, homes: UserHomes<'_>) -> JsonObject {
    let home = homes.home().ok();
    let Some(home) = home.as_deref().and_then(Path::to_str) else { return document };
    let anchor = |paths: Option<&mut Json>| {
        for path in paths.and_then(Json::as_array_mut).into_iter().flatten() {
            if let Some(below) = path.as_str().and_then(|path| path.strip_prefix("~/")) {
                *path = format!("{home}/{below}").into();
            }
        }
    };
    anchor(document.get_mut("instructions"));
    let skills = document.get_mut("skills").and_then(Json::as_object_mut);
    anchor(skills.and_then(|skills| skills.get_mut("paths")));
    document
}
