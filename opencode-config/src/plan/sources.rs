//! Config files of the user that are copied.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::homes::UserHomes;
use crate::isolation::UserConfig;
use crate::{Environment, RunConfig};

/// In the order in which OpenCode reads them.
const GLOBAL_NAMES: [&str; 3] = ["config.json", "opencode.json", "opencode.jsonc"];
const HOME_NAMES: [&str; 2] = ["opencode.json", "opencode.jsonc"];

impl RunConfig {
    /// Returns the files of the user that [`IsolationPlan::new`](crate::IsolationPlan::new) needs.
    ///
    /// The list is empty unless the user's config is to be copied. Read each file and pass the
    /// results on; a missing file is normal.
    ///
    /// ```
    /// use opencode_config::{Environment, RunConfig};
    ///
    /// let inherited = Environment::new().with_var("HOME", "/home/me");
    /// let sources = RunConfig::new().sources(&inherited);
    /// assert_eq!(sources[0].path().to_str(), Some("/home/me/.config/opencode/config.json"));
    /// ```
    #[must_use]
    pub fn sources(&self, inherited: &Environment) -> Vec<ConfigSource> {
        match self.isolation().user_config() {
            UserConfig::Ignore | UserConfig::Inherit => return Vec::new(),
            UserConfig::Providers => {}
        }
        let env = overlaid(self, inherited);
        let homes = UserHomes::new(&env);
        let source = |parent: &Path, file_name, directory| ConfigSource {
            path: parent.join(file_name),
            file_name,
            directory,
        };
        let global = homes.config().into_iter().flat_map(|directory| {
            GLOBAL_NAMES.map(|name| source(&directory, name, SourceDirectory::Global))
        });
        let home = homes.dot_opencode().into_iter().flat_map(|directory| {
            HOME_NAMES.map(|name| source(&directory, name, SourceDirectory::Home))
        });
        global.chain(home).collect()
    }
}

/// Returns the inherited variables with those of the config on top, which name the user's
/// directories.
pub(super) fn overlaid(config: &RunConfig, inherited: &Environment) -> Environment {
    let mut env = inherited.clone();
    env.extend(config.env().clone());
    env
}

/// A config file of the user, to be read by the caller.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigSource {
    path: PathBuf,
    pub(super) file_name: &'static str,
    pub(super) directory: SourceDirectory,
}

impl ConfigSource {
    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Config directory of the user that a file is in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum SourceDirectory {
    /// The directory `$XDG_CONFIG_HOME/opencode`.
    Global,
    /// The directory `~/.opencode`.
    Home,
}

/// A config file of the user with the result of reading it.
///
/// ```
/// use opencode_config::{ConfigSource, ReadSource, SourceContent};
///
/// fn read(source: ConfigSource) -> ReadSource {
///     let content = match std::fs::read(source.path()) {
///         Ok(bytes) => SourceContent::Found(bytes.into()),
///         Err(error) if error.kind() == std::io::ErrorKind::NotFound => SourceContent::Missing,
///         Err(error) => SourceContent::Unreadable(error.to_string()),
///     };
///     ReadSource::new(source, content)
/// }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReadSource {
    pub(super) source: ConfigSource,
    pub(super) content: SourceContent,
}

impl ReadSource {
    /// Creates the result of reading `source`.
    #[must_use]
    pub fn new(source: ConfigSource, content: SourceContent) -> Self {
        Self { source, content }
    }

    /// Returns the file.
    #[must_use]
    pub fn source(&self) -> &ConfigSource {
        &self.source
    }

    /// Returns the result of reading the file.
    #[must_use]
    pub fn content(&self) -> &SourceContent {
        &self.content
    }
}

/// Result of reading a config file. `Debug` shows no contents.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum SourceContent {
    /// The file has these bytes.
    Found(Bytes),
    /// The file does not exist.
    Missing,
    /// The file exists and cannot be read, for this reason.
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
