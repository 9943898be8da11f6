use std::env::consts;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::homes::UserHomes;
use super::sources::SourceDirectory;
use super::{
    ConfigSource, ConfigWarning, DIRECTORY_MODE, ExistingFile, FILE_MODE, IsolationPlan,
    KeptPackages, PROGRAM_MODE, PlannedDirectory, PlannedFile, PlannedLink, RIPGREP, ReadSource,
    SourceContent, absolute, sanitized,
};
use crate::isolation::variables::TEMP_VARIABLES;
use crate::isolation::{
    CacheHome, DataHome, Isolation, PluginHome, ProjectConfig, TempHome, UserConfig,
};
use crate::{RunConfigError, gate, parse_jsonc};

/// Owner of the files by which OpenCode processes lock data and downloads.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum LockFiles {
    /// The run has private lock files.
    Private,
    /// The run uses the user's lock files, since other processes use the same directories.
    Shared,
}

/// A plan in the making.
pub(super) struct Planner<'a> {
    pub(super) root: PathBuf,
    pub(super) homes: UserHomes<'a>,
    pub(super) plan: IsolationPlan,
}

impl Planner<'_> {
    pub(super) fn data(&mut self, data: &DataHome) -> Result<(), RunConfigError> {
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

    pub(super) fn cache(&mut self, isolation: &Isolation) -> Result<(), RunConfigError> {
        if isolation.cache() == CacheHome::User {
            return Ok(());
        }
        let directory = self.private_home("XDG_CACHE_HOME", "cache");
        self.directory(directory.join("bin"));
        // OpenCode renews the catalogue by renaming a new file over it, which replaces the link.
        for name in ["models.json", RIPGREP] {
            self.link(directory.join(name), self.homes.cache(), name);
        }
        let kept =
            match isolation.plugins() {
                PluginHome::Private => return Ok(()),
                PluginHome::At(home) => Some(absolute(home)?.to_owned()),
                // The packages may have programs for this machine.
                PluginHome::Kept => self.homes.kept().ok().map(|home| {
                    home.join("plugins").join(format!("{}-{}", consts::OS, consts::ARCH))
                }),
            };
        if let Some(kept) = kept {
            let private = self.directory(directory.join("packages"));
            self.plan.packages = Some(KeptPackages { kept, private });
        }
        Ok(())
    }

    pub(super) fn temp(&mut self, temp: TempHome) {
        if temp == TempHome::User {
            return;
        }
        let directory = self.private_directory("tmp");
        for variable in TEMP_VARIABLES {
            self.plan.environment.set(variable, &directory);
        }
    }

    pub(super) fn user_config(&mut self, user_config: UserConfig, read: Vec<ReadSource>) {
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
    pub(super) fn state(&mut self, locks: LockFiles) {
        let directory = self.private_home("XDG_STATE_HOME", "state");
        if locks == LockFiles::Shared {
            self.link(directory.join("locks"), self.homes.state(), "locks");
        }
    }

    /// Plans the shell of a gate, and returns the path of the shell.
    pub(super) fn command_gate(&mut self) -> Result<String, RunConfigError> {
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

    pub(super) fn settings(&mut self, project_config: ProjectConfig) {
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
