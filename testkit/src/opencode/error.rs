use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Error of an installation of OpenCode.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The directory for caches is unknown.
    #[error("no cache directory: set OPENCODE_TESTKIT_CACHE, XDG_CACHE_HOME or HOME")]
    Cache,
    /// A file or directory of the installation cannot be written.
    #[error("cannot {action} {}", path.display())]
    #[non_exhaustive]
    Files {
        /// Verb of the operation that failed.
        action: &'static str,
        /// File or directory that the operation was applied to.
        path: PathBuf,
        /// Reason of the failure.
        source: io::Error,
    },
    /// npm exited with an error.
    #[error("`{command}` failed ({status}): {stderr}")]
    #[non_exhaustive]
    Npm {
        /// Command line of npm.
        command: String,
        /// Exit status of npm.
        status: std::process::ExitStatus,
        /// Last part of npm's standard error.
        stderr: String,
    },
    /// npm cannot be started.
    #[error("cannot start `{command}`: install Node.js, which includes npm")]
    #[non_exhaustive]
    NoNpm {
        /// Command line of npm.
        command: String,
        /// Reason of the failure.
        source: io::Error,
    },
    /// No installed package has a program of the expected version that runs on this machine.
    #[error(
        "npm installed no OpenCode {} that runs on this machine; tried {}",
        version,
        tried.join("; ")
    )]
    #[non_exhaustive]
    Unusable {
        /// Version that was to be installed.
        version: String,
        /// Each candidate with the problem.
        tried: Vec<String>,
    },
}
