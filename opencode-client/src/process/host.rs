use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use opencode_config::{Environment, Invocation};

use super::binary::Binary;
use super::guardian::Guardian;
use super::pacing::Starts;
use crate::runtime::Runtime;

/// What all clones of a handle, and all its runs, share.
pub(crate) struct Host {
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) binary: Binary,
    pub(crate) environment: Environment,
    pub(crate) temp_dir: PathBuf,
    pub(crate) starts: Starts,
    pub(crate) guardian: Guardian,
}

/// A directory to work in that is not there.
pub(crate) struct NoDirectory {
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
}

/// The directory to work in, absolute, if it is there. Blocks.
pub(crate) fn existing(path: Option<&Path>) -> Result<PathBuf, NoDirectory> {
    let path = path.unwrap_or_else(|| Path::new("."));
    let fail = |source| NoDirectory { path: path.to_owned(), source };
    let absolute = std::path::absolute(path).map_err(fail)?;
    // Otherwise a missing directory would look like a missing program.
    std::fs::read_dir(&absolute).map_err(fail)?;
    Ok(absolute)
}

/// The command as the operating system takes it, with pipes for all standard streams.
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
    // Its own group: a Ctrl-C at our terminal is for us to pass on.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
}
