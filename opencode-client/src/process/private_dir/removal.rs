//! Removing a directory that tools may have closed or still write to.

use std::fs;
use std::io;
use std::path::Path;

/// So often something may appear while its directory is removed.
const ATTEMPTS_MAX: usize = 4;

/// Removes a directory and everything in it. One that is gone is no error.
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

/// Somebody else writes to the directory, or removes from it.
fn is_interference(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound)
}

/// Lets the owner read and change every directory below, as far as that can be done: the removal
/// that follows tells what could not.
#[cfg(unix)]
fn open_directories(root: &Path) {
    use std::os::unix::fs::PermissionsExt;

    let mut pending = vec![root.to_owned()];
    while let Some(path) = pending.pop() {
        // Not through links: what they point to is not ours.
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
