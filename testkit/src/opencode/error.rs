use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why the program is not there.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InstallError {
    /// Neither the environment nor the system names a directory for caches.
    #[error(
        "no cache directory: OPENCODE_TESTKIT_CACHE, XDG_CACHE_HOME and the home directory are unknown"
    )]
    Cache,
    /// A file or directory of the installation cannot be written.
    #[error("cannot {action} {}", path.display())]
    #[non_exhaustive]
    Files {
        /// What was to be done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// npm failed.
    #[error("`{command}` failed ({status}): {stderr}")]
    #[non_exhaustive]
    Npm {
        /// The command line.
        command: String,
        /// Exit code or signal.
        status: std::process::ExitStatus,
        /// The end of what it wrote to stderr.
        stderr: String,
    },
    /// npm cannot be started.
    #[error("cannot start `{command}`; OpenCode comes from npm, which comes with Node.js")]
    #[non_exhaustive]
    NoNpm {
        /// The command line.
        command: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The packages have no program of the expected version that runs here.
    #[error("npm installed no OpenCode {} that runs here; tried {}", super::VERSION, tried.join("; "))]
    #[non_exhaustive]
    Unusable {
        /// Each candidate with what is wrong with it.
        tried: Vec<String>,
    },
}
