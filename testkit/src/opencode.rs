//! The real OpenCode program, at the version that this workspace is tested against.
//!
//! It comes from npm and is installed once per machine, below `$OPENCODE_TESTKIT_CACHE` if that is set,
//! else in `opencode-testkit` of the user's cache directory (`$XDG_CACHE_HOME` or `~/.cache`).

mod error;
mod install;
#[cfg(test)]
mod tests;

use std::fmt::{self, Formatter};
use std::path::PathBuf;

pub use self::error::InstallError;

use self::install::Installer;

/// The version of the npm package `opencode-ai`.
pub const VERSION: &str = "1.18.33";

/// What an installation is doing, for programs that show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Waits for another process that may be installing.
    Wait,
    /// Runs npm, which downloads some hundred megabytes.
    Download,
    /// Asks what was downloaded for its version.
    Check,
}

/// The path of the program; installs it if need be.
///
/// Many processes may ask at once: one installs, the others wait for it. What a killed process has left
/// unfinished never counts and is removed by the next.
///
/// # Errors
///
/// [`InstallError`] when it is not installed and cannot be.
pub fn binary() -> Result<PathBuf, InstallError> {
    install(|_| {})
}

/// Like [`binary`], and reports each stage of an installation. Reports nothing where there is none to do.
///
/// # Errors
///
/// [`InstallError`] when it is not installed and cannot be.
pub fn install(progress: impl FnMut(Progress)) -> Result<PathBuf, InstallError> {
    Installer::from_env()?.install(progress)
}

/// Whether [`binary`] will return at once.
#[must_use]
pub fn is_installed() -> bool {
    Installer::from_env().is_ok_and(|installer| installer.installed().is_some())
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wait => write!(f, "waiting for an installation of OpenCode {VERSION}"),
            Self::Download => write!(f, "downloading OpenCode {VERSION} from npm"),
            Self::Check => write!(f, "checking OpenCode {VERSION}"),
        }
    }
}
