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
    let real = std::fs::canonicalize(&absolute).map_err(fail)?;
    check_name(&absolute).and_then(|()| check_name(&real)).map_err(fail)?;
    Ok(absolute)
}

/// Checks that OpenCode takes the path for what it is. OpenCode 1.18.33 decodes the directory of a
/// request once too often, and then works in another directory, if there is one of that name.
fn check_name(path: &Path) -> io::Result<()> {
    let refuse = |reason: String| Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    let Some(text) = path.to_str() else {
        return refuse("the path is not UTF-8, and OpenCode would replace bytes of it".to_owned());
    };
    let is_code = |at: &usize| {
        let digits = text.as_bytes().get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    match text.match_indices('%').map(|(at, _)| at).find(is_code) {
        Some(at) => refuse(format!(
            "OpenCode decodes `{}` in the path, and would work in another directory: rename it",
            &text[at..at + 3]
        )),
        None => Ok(()),
    }
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
            existing(Some(&path)).map_err(|error| error.source.to_string())
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
