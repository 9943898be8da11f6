use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Once};

use opencode_config::{Environment, Invocation};
use opencode_proto::{DirectoryError, RequestedDirectory};

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

/// Error of a working directory: the directory does not exist, cannot be read, or is another one
/// for OpenCode.
pub(crate) struct NoDirectory {
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
}

impl NoDirectory {
    pub(crate) fn of(path: impl Into<PathBuf>, error: DirectoryError) -> Self {
        Self { path: path.into(), source: directory_error(error) }
    }
}

/// Returns the error in the form in which errors of directories are reported.
pub(crate) fn directory_error(error: DirectoryError) -> io::Error {
    let kind = if let DirectoryError::Missing { .. } = error {
        io::ErrorKind::NotFound
    } else {
        io::ErrorKind::InvalidInput
    };
    io::Error::new(kind, error)
}

/// Directory on this machine that exists.
pub(crate) struct LocalDirectory {
    /// Absolute path, with the links that the caller named.
    pub(crate) path: PathBuf,
    pub(crate) requested: RequestedDirectory,
}

/// Returns the working directory, if the directory exists. Blocks.
pub(crate) fn existing(path: Option<&Path>) -> Result<LocalDirectory, NoDirectory> {
    let path = path.unwrap_or_else(|| Path::new("."));
    let fail = |source| NoDirectory { path: path.to_owned(), source };
    let absolute = std::path::absolute(path).map_err(fail)?;
    // `Command::spawn` reports a missing directory like a missing program.
    std::fs::read_dir(&absolute).map_err(fail)?;
    // A directory that can be listed may still be none to work in.
    std::fs::metadata(absolute.join(".")).map_err(fail)?;
    let real = std::fs::canonicalize(&absolute).map_err(fail)?;
    let (Some(name), Some(real_name)) = (absolute.to_str(), real.to_str()) else {
        return Err(NoDirectory::of(path, DirectoryError::NotUtf8));
    };
    let requested = RequestedDirectory::new(name).with_real_name(real_name);
    requested.check_name().map_err(|error| NoDirectory::of(path, error))?;
    Ok(LocalDirectory { path: absolute, requested })
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

#[cfg(all(test, unix))]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn names_that_opencode_mangles_are_refused() {
        let root = tempfile::tempdir().expect("created");
        let check = |name: &[u8]| {
            let path = root.path().join(OsStr::from_bytes(name));
            std::fs::create_dir(&path).expect("created");
            existing(Some(&path)).map(drop).map_err(|error| error.source.to_string())
        };
        for name in ["My Repo", "100%", "a%zz", "#?&;+", "\u{e9}"] {
            assert!(check(name.as_bytes()).is_ok(), "{name}");
        }
        let error = check(b"My%20Repo").expect_err("another directory");
        assert!(error.contains("`%20`"), "{error}");
        let error = check(b"caf\xe9").expect_err("not UTF-8");
        assert!(error.contains("not UTF-8"), "{error}");
        // A link does not help, because OpenCode resolves the path.
        let link = root.path().join("link");
        std::os::unix::fs::symlink(root.path().join("My%20Repo"), &link).expect("linked");
        assert!(existing(Some(&link)).is_err());
    }
}
