use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Once};

use opencode_config::{Environment, Invocation};

use super::binary::Binary;
use super::guardian::Guardian;
use super::known_versions::KnownVersions;
use super::pacing::Starts;
use crate::runtime::Runtime;

/// State that all clones of a handle and all their runs share.
pub(crate) struct Host {
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) binary: Binary,
    pub(crate) environment: Environment,
    pub(crate) temp_dir: PathBuf,
    pub(crate) starts: Starts,
    pub(crate) guardian: Guardian,
    /// Done when the leftovers of dead programs are removed.
    pub(crate) swept: Once,
    pub(crate) known_versions: KnownVersions,
}

/// Error of a working directory: the directory does not exist or cannot be read.
pub(crate) struct NoDirectory {
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
}

/// Returns the absolute path of the working directory, if the directory exists. Blocks.
pub(crate) fn existing(path: Option<&Path>) -> Result<PathBuf, NoDirectory> {
    let path = path.unwrap_or_else(|| Path::new("."));
    let fail = |source| NoDirectory { path: path.to_owned(), source };
    let absolute = std::path::absolute(path).map_err(fail)?;
    // `Command::spawn` reports a missing directory like a missing program.
    std::fs::read_dir(&absolute).map_err(fail)?;
    Ok(absolute)
}

/// Creates the command for the operating system, with pipes for all standard streams.
pub(crate) fn os_command(invocation: &Invocation) -> Command {
    let mut command = Command::new(&invocation.program);
    command
        .args(&invocation.args)
        .env_clear()
        .envs(invocation.env.iter())
        .current_dir(&invocation.directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    #[cfg(unix)]
    // A process group of its own, so that Ctrl-C at our terminal reaches only this program.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
}
