//! Where the user's own OpenCode keeps its files.

use std::path::{Path, PathBuf};

use super::ConfigWarning;
use crate::Environment;

/// The user's directories, as an environment tells. All are absolute.
#[derive(Clone, Copy, Debug)]
pub(super) struct UserHomes<'a> {
    env: &'a Environment,
}

impl<'a> UserHomes<'a> {
    pub(super) fn new(env: &'a Environment) -> Self {
        Self { env }
    }

    /// `$XDG_CACHE_HOME/opencode`
    pub(super) fn cache(self) -> Result<PathBuf, ConfigWarning> {
        self.xdg("XDG_CACHE_HOME", ".cache")
    }

    /// `$XDG_CONFIG_HOME/opencode`
    pub(super) fn config(self) -> Result<PathBuf, ConfigWarning> {
        self.xdg("XDG_CONFIG_HOME", ".config")
    }

    /// `$XDG_DATA_HOME/opencode`
    pub(super) fn data(self) -> Result<PathBuf, ConfigWarning> {
        self.xdg("XDG_DATA_HOME", ".local/share")
    }

    /// `$XDG_STATE_HOME/opencode`
    pub(super) fn state(self) -> Result<PathBuf, ConfigWarning> {
        self.xdg("XDG_STATE_HOME", ".local/state")
    }

    /// `~/.opencode`, which alone of the directories here is looked for in `OPENCODE_TEST_HOME`.
    pub(super) fn dot_opencode(self) -> Result<PathBuf, ConfigWarning> {
        let home = self.absolute("OPENCODE_TEST_HOME").unwrap_or_else(|| self.home())?;
        Ok(home.join(".opencode"))
    }

    /// `$HOME`
    pub(super) fn home(self) -> Result<PathBuf, ConfigWarning> {
        self.absolute("HOME").unwrap_or(Err(ConfigWarning::HomeUnknown))
    }

    fn xdg(self, variable: &'static str, below_home: &str) -> Result<PathBuf, ConfigWarning> {
        let base = match self.absolute(variable) {
            Some(base) => base?,
            None => self.home()?.join(below_home),
        };
        Ok(base.join("opencode"))
    }

    /// `None` when OpenCode takes the variable for unset.
    fn absolute(self, variable: &'static str) -> Option<Result<PathBuf, ConfigWarning>> {
        let path = Path::new(self.env.non_empty(variable)?);
        Some(if path.is_absolute() {
            Ok(path.to_owned())
        } else {
            Err(ConfigWarning::RelativeHome { variable })
        })
    }
}
