//! Removal of a directory that tools may have made read-only or still write to.

use std::fs;
use std::io;
use std::path::Path;

/// Maximum number of attempts, since files may appear while their directory is removed.
const ATTEMPTS_MAX: usize = 4;

/// Removes a directory and all its content. A missing directory is no error.
pub(super) fn remove_tree(root: &Path) -> io::Result<()> {
    let mut attempt = 1;
    loop {
        match fs::remove_dir_all(root) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_gone(root) => return Ok(()),
            Err(error) if attempt == ATTEMPTS_MAX => return Err(error),
            // Go's module cache and git's objects are read-only, directories included.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => open_directories(root),
            Err(error) if is_interference(&error) => {}
            Err(error) => return Err(error),
        }
        attempt += 1;
    }
}

fn is_gone(root: &Path) -> bool {
    fs::symlink_metadata(root).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Returns true for errors of a concurrent write to the directory, or removal from it.
fn is_interference(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound)
}

/// Makes all directories below readable and writable for the owner. Errors are ignored, because the
/// following removal reports them.
#[cfg(unix)]
fn open_directories(root: &Path) {
    use std::os::unix::fs::PermissionsExt;

    let mut pending = vec![root.to_owned()];
    while let Some(path) = pending.pop() {
        // Links are not followed, because their targets are not ours.
        let Ok(metadata) = fs::symlink_metadata(&path) else {
            continue;
        };
        if !metadata.is_dir() {
            continue;
        }
        let mode = metadata.permissions().mode();
        if mode & 0o700 != 0o700 {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode | 0o700)).ok();
        }
        let entries = fs::read_dir(&path).into_iter().flatten().flatten();
        pending.extend(entries.map(|entry| entry.path()));
    }
}

#[cfg(not(unix))]
fn open_directories(_root: &Path) {}
