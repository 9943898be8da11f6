//! The real OpenCode program, at the version that this workspace is tested against.
//!
//! The program comes from npm and is installed once per machine and version: below
//! `$OPENCODE_TESTKIT_CACHE` if that is set, otherwise in `opencode-testkit` of the user's cache
//! directory (`$XDG_CACHE_HOME` or `~/.cache`).
//!
//! Two variables point all tests at another program: `OPENCODE_TESTKIT_VERSION` is a version on
//! npm, and `OPENCODE_TESTKIT_BINARY` is the path of a program.

mod error;
mod install;
#[cfg(test)]
mod tests;

use std::env;
use std::fmt::{self, Formatter};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub use self::error::InstallError;

use self::install::Installer;

/// Version that the workspace is tested against, of the npm package `opencode-ai`.
pub const VERSION: &str = "1.18.33";

/// Returns the version under test: [`VERSION`], unless a variable points at another program.
///
/// # Panics
///
/// When the program of `OPENCODE_TESTKIT_BINARY` prints no version.
#[must_use]
pub fn version() -> &'static str {
    static VERSION_UNDER_TEST: OnceLock<String> = OnceLock::new();
    VERSION_UNDER_TEST.get_or_init(|| {
        let Some(program) = own_binary() else { return requested() };
        let directory = tempfile::tempdir().expect("a temporary directory");
        install::version(Path::new(&program), directory.path())
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()))
    })
}

fn own_binary() -> Option<PathBuf> {
    env::var_os("OPENCODE_TESTKIT_BINARY").filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn requested() -> String {
    let version = env::var("OPENCODE_TESTKIT_VERSION").ok().filter(|version| !version.is_empty());
    version.unwrap_or_else(|| VERSION.to_owned())
}

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
    match own_binary() {
        Some(program) => Ok(program),
        None => Installer::from_env(&requested())?.install(progress),
    }
}

/// Returns the path of the program of a version on npm, and installs the program first if
/// necessary.
///
/// # Errors
///
/// [`InstallError`] when the program is not installed and cannot be installed.
pub fn binary_of(version: &str) -> Result<PathBuf, InstallError> {
    Installer::from_env(version)?.install(|_| {})
}

/// Returns the newest version of the program on npm.
///
/// # Errors
///
/// [`InstallError`] when npm is missing or fails.
pub fn latest() -> Result<String, InstallError> {
    Installer::from_env(VERSION)?.latest()
}

/// Returns whether the program is installed, so that [`binary`] returns at once.
#[must_use]
pub fn is_installed() -> bool {
    own_binary().is_some()
        || Installer::from_env(&requested()).is_ok_and(|installer| installer.installed().is_some())
}

impl fmt::Display for InstallProgress {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wait => f.write_str("waiting for an installation of OpenCode"),
            Self::Download => f.write_str("downloading OpenCode from npm"),
            Self::Check => f.write_str("checking OpenCode"),
        }
    }
}
