//! The real OpenCode program, at the version that this workspace is tested against.
//!
//! The program comes from npm and is installed once per machine: below `$OPENCODE_TESTKIT_CACHE` if
//! that is set, otherwise in `opencode-testkit` of the user's cache directory (`$XDG_CACHE_HOME` or
//! `~/.cache`).

mod error;
mod install;
#[cfg(test)]
mod tests;

use std::fmt::{self, Formatter};
use std::path::PathBuf;

pub use self::error::InstallError;

use self::install::Installer;

/// Version of the npm package `opencode-ai`.
pub const VERSION: &str = "1.18.33";

/// Stage of an installation, for display.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstallProgress {
    /// Waiting for another process that may be installing.
    Wait,
    /// Running npm, which downloads some hundred megabytes.
    Download,
    /// Checking the version of the downloaded program.
    Check,
}

/// Returns the path of the program, and installs the program first if necessary.
///
/// Several processes may call this at once: one installs, the others wait. Files of an installation
/// that was killed are never used, and the next installation removes them.
///
/// # Errors
///
/// [`InstallError`] when the program is not installed and cannot be installed.
pub fn binary() -> Result<PathBuf, InstallError> {
    install(|_| {})
}

/// Installs the program like [`binary`], and reports each stage. Reports nothing when the program
/// is installed.
///
/// # Errors
///
/// [`InstallError`] when the program is not installed and cannot be installed.
pub fn install(progress: impl FnMut(InstallProgress)) -> Result<PathBuf, InstallError> {
    Installer::from_env()?.install(progress)
}

/// Returns whether the program is installed, so that [`binary`] returns at once.
#[must_use]
pub fn is_installed() -> bool {
    Installer::from_env().is_ok_and(|installer| installer.installed().is_some())
}

impl fmt::Display for InstallProgress {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wait => write!(f, "waiting for an installation of OpenCode {VERSION}"),
            Self::Download => write!(f, "downloading OpenCode {VERSION} from npm"),
            Self::Check => write!(f, "checking OpenCode {VERSION}"),
        }
    }
}
