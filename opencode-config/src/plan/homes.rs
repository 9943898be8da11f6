//! Directories of the user's own OpenCode.

use std::path::{Path, PathBuf};

use super::warning::ConfigWarning;
use crate::Environment;

/// The user's directories according to an environment. All are absolute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UserHomes<'a> {
    env: &'a Environment,
}

impl<'a> UserHomes<'a> {
    pub(crate) fn new(env: &'a Environment) -> Self {
        Self { env }
    }

    /// The directory `$XDG_CACHE_HOME/opencode`.
    pub(crate) fn cache(self) -> Result<PathBuf, ConfigWarning> {
        self.xdg("XDG_CACHE_HOME", ".cache")
    }

    /// The directory `$XDG_CACHE_HOME/opencode-rs`, which is not OpenCode's.
    pub(crate) fn kept(self) -> Result<PathBuf, ConfigWarning> {
        Ok(self.cache()?.with_file_name("opencode-rs"))
    }

    /// The directory `$XDG_CONFIG_HOME/opencode`.
    pub(crate) fn config(self) -> Result<PathBuf, ConfigWarning> {
        self.xdg("XDG_CONFIG_HOME", ".config")
    }

    /// The directory `$XDG_DATA_HOME/opencode`.
    pub(crate) fn data(self) -> Result<PathBuf, ConfigWarning> {
        self.xdg("XDG_DATA_HOME", ".local/share")
    }

    /// The directory `$XDG_STATE_HOME/opencode`.
    pub(crate) fn state(self) -> Result<PathBuf, ConfigWarning> {
        self.xdg("XDG_STATE_HOME", ".local/state")
    }

    /// The directory `~/.opencode`, the only one here that `OPENCODE_TEST_HOME` moves.
    pub(crate) fn dot_opencode(self) -> Result<PathBuf, ConfigWarning> {
        let home = self.absolute("OPENCODE_TEST_HOME").unwrap_or_else(|| self.home())?;
        Ok(home.join(".opencode"))
    }

    /// The directory `$HOME`.
    pub(crate) fn home(self) -> Result<PathBuf, ConfigWarning> {
        self.absolute("HOME").unwrap_or(Err(ConfigWarning::HomeUnknown))
    }

    fn xdg(self, variable: &'static str, below_home: &str) -> Result<PathBuf, ConfigWarning> {
        let base = match self.absolute(variable) {
            Some(base) => base?,
            None => self.home()?.join(below_home),
        };
        Ok(base.join("opencode"))
    }

    /// The path in `variable`; `None` when OpenCode takes the variable for unset.
    fn absolute(self, variable: &'static str) -> Option<Result<PathBuf, ConfigWarning>> {
        let path = Path::new(self.env.non_empty(variable)?);
        Some(if path.is_absolute() {
            Ok(path.to_owned())
        } else {
            Err(ConfigWarning::RelativeHome { variable })
        })
    }
}
