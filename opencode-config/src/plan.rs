//! Files and variables that a run needs before the start.

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use bytes::Bytes;

mod homes;
mod planned;
mod sanitize;
mod sources;
#[cfg(test)]
mod tests;
mod warning;

use homes::UserHomes;
pub use planned::{ExistingFile, PlannedDirectory, PlannedFile, PlannedLink};
pub(crate) use sanitize::sanitized;
use sources::SourceDirectory;
pub use sources::{ConfigSource, ReadSource, SourceContent};
pub use warning::ConfigWarning;

use crate::isolation::variables::{TEMP_VARIABLES, passed_on};
use crate::isolation::{CacheHome, DataHome, ProjectConfig, TempHome, UserConfig, content, layers};
use crate::{
    CommandGate, Environment, Json, JsonObject, RunConfig, RunConfigError, gate, parse_jsonc,
};

const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
const PROGRAM_MODE: u32 = 0o700;

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
                warnings: Vec::new(),
            },
        };
        let isolation = config.isolation();
        planner.data(isolation.data())?;
        planner.cache(isolation.cache());
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

/// Owner of the files by which OpenCode processes lock data and downloads.
#[derive(Clone, Copy, Eq, PartialEq)]
enum LockFiles {
    /// The run has private lock files.
    Private,
    /// The run uses the user's lock files, since other processes use the same directories.
    Shared,
}

struct Planner<'a> {
    root: PathBuf,
    homes: UserHomes<'a>,
    plan: IsolationPlan,
}

impl Planner<'_> {
    fn data(&mut self, data: &DataHome) -> Result<(), RunConfigError> {
        let directory = match data {
            DataHome::User => return Ok(()),
            DataHome::Private => self.private_home("XDG_DATA_HOME", "data"),
            DataHome::At(home) => {
                let home = absolute(home)?;
                self.plan.environment.set("XDG_DATA_HOME", home);
                self.directory(home);
                self.directory(home.join("opencode"))
            }
        };
        for name in ["auth.json", "mcp-auth.json"] {
            self.link(directory.join(name), self.homes.data(), name);
        }
        Ok(())
    }

    fn cache(&mut self, cache: CacheHome) {
        if cache == CacheHome::User {
            return;
        }
        let directory = self.private_home("XDG_CACHE_HOME", "cache");
        self.directory(directory.join("bin"));
        // OpenCode renews the catalogue by renaming a new file over it, which replaces the link.
        for name in ["models.json", "bin/rg"] {
            self.link(directory.join(name), self.homes.cache(), name);
        }
    }

    fn temp(&mut self, temp: TempHome) {
        if temp == TempHome::User {
            return;
        }
        let directory = self.private_directory("tmp");
        for variable in TEMP_VARIABLES {
            self.plan.environment.set(variable, &directory);
        }
    }

    fn user_config(&mut self, user_config: UserConfig, read: Vec<ReadSource>) {
        let global = self.private_home("XDG_CONFIG_HOME", "config");
        self.suppress_install(&global);
        let home = self.private_directory("home");
        self.plan.environment.set("OPENCODE_TEST_HOME", &home);
        let home = home.join(".opencode");
        if user_config == UserConfig::Ignore {
            return;
        }
        if let Err(warning) = self.homes.config().and_then(|_| self.homes.dot_opencode()) {
            self.warn(warning);
        }
        for ReadSource { source, content } in read {
            if let Some(contents) = self.providers_of(&source, content) {
                let directory = match source.directory {
                    SourceDirectory::Global => &global,
                    SourceDirectory::Home => &home,
                };
                if source.directory == SourceDirectory::Home && !self.has_directory(&home) {
                    self.directory(&home);
                    self.suppress_install(&home);
                }
                self.file(directory.join(source.file_name), contents.into(), ExistingFile::Replace);
            }
        }
    }

    /// The state is the user's when the config is: the state has the model that was used last.
    fn state(&mut self, locks: LockFiles) {
        let directory = self.private_home("XDG_STATE_HOME", "state");
        if locks == LockFiles::Shared {
            self.link(directory.join("locks"), self.homes.state(), "locks");
        }
    }

    /// Plans the shell of a gate, and returns the path of the shell.
    fn command_gate(&mut self) -> Result<String, RunConfigError> {
        let directory = self.private_directory(gate::DIRECTORY);
        self.directory(directory.join(gate::APPROVALS));
        let shell = directory.join(gate::SHELL);
        self.plan.files.push(PlannedFile {
            path: shell.clone(),
            contents: Bytes::from_static(gate::SCRIPT.as_bytes()),
            mode: PROGRAM_MODE,
            existing: ExistingFile::Replace,
        });
        match shell.into_os_string().into_string() {
            Ok(shell) => Ok(shell),
            Err(path) => Err(RunConfigError::NotUtf8 { path: path.into() }),
        }
    }

    fn settings(&mut self, project_config: ProjectConfig) {
        let env = &mut self.plan.environment;
        env.set("OPENCODE_DISABLE_AUTOUPDATE", "1");
        if project_config == ProjectConfig::Ignore {
            env.set("OPENCODE_DISABLE_PROJECT_CONFIG", "1");
        }
    }

    fn providers_of(&mut self, source: &ConfigSource, content: SourceContent) -> Option<String> {
        let path = || source.path().to_owned();
        let unreadable = |reason: String| ConfigWarning::Unreadable { path: path(), reason };
        let read = match content {
            SourceContent::Found(bytes) if bytes.is_empty() => return None,
            SourceContent::Found(bytes) => parse_jsonc(&bytes)
                .map_err(|source| ConfigWarning::Malformed { path: path(), source }),
            SourceContent::Missing => return None,
            SourceContent::Unreadable(reason) => Err(unreadable(reason)),
        };
        let directory = source.path().parent().and_then(Path::to_str);
        let config = read.and_then(|config| match directory {
            Some(directory) => Ok(sanitized(config, directory)),
            None => Err(unreadable("its path is not UTF-8".to_owned())),
        });
        match config {
            Ok(config) => Some(config.to_string()),
            Err(warning) => {
                self.warn(warning);
                None
            }
        }
    }

    /// Keeps OpenCode from installing the plugin package into a config directory, in the background
    /// of every run: OpenCode looks for `node_modules` and a lock file with the name of the
    /// package.
    fn suppress_install(&mut self, config_directory: &Path) {
        const LOCK: &[u8] = br#"{
  "lockfileVersion": 3,
  "packages": { "": { "dependencies": { "@opencode-ai/plugin": "*" } } }
}"#;
        self.directory(config_directory.join("node_modules"));
        let lock = Bytes::from_static(LOCK);
        self.file(config_directory.join("package-lock.json"), lock, ExistingFile::Keep);
    }

    /// Plans a private base directory and OpenCode's own directory in it, which is returned.
    fn private_home(&mut self, variable: &str, name: &str) -> PathBuf {
        let home = self.private_directory(name);
        self.plan.environment.set(variable, &home);
        self.directory(home.join("opencode"))
    }

    fn private_directory(&mut self, name: &str) -> PathBuf {
        if !self.has_directory(&self.root) {
            self.directory(self.root.clone());
        }
        self.directory(self.root.join(name))
    }

    fn has_directory(&self, path: &Path) -> bool {
        self.plan.directories.iter().any(|directory| directory.path == path)
    }

    fn directory(&mut self, path: impl Into<PathBuf>) -> PathBuf {
        let path = path.into();
        self.plan.directories.push(PlannedDirectory { path: path.clone(), mode: DIRECTORY_MODE });
        path
    }

    fn file(&mut self, path: PathBuf, contents: Bytes, existing: ExistingFile) {
        self.plan.files.push(PlannedFile { path, contents, mode: FILE_MODE, existing });
    }

    /// Plans a link to `name` in a directory of the user, if that directory is known.
    fn link(&mut self, at: PathBuf, user: Result<PathBuf, ConfigWarning>, name: &str) {
        match user.map(|directory| directory.join(name)) {
            Ok(target) if target == at => {}
            Ok(target) => self.plan.links.push(PlannedLink { at, target }),
            Err(warning) => self.warn(warning),
        }
    }

    fn warn(&mut self, warning: ConfigWarning) {
        if !self.plan.warnings.contains(&warning) {
            self.plan.warnings.push(warning);
        }
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
