//! Paths, looked up in the file system.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::{fs, io};

use opencode_proto::policy::{Confinement, FileFinding};

#[cfg(test)]
mod tests;

/// Links that Linux follows in one path.
const LINKS_MAX: usize = 40;

/// Directories with files that are different ones to each process: the server would follow
/// `/proc/self/cwd` to another place.
const PER_PROCESS: [&str; 2] = ["/dev/fd", "/proc"];

/// Looks up an absolute path. Blocks.
pub(super) fn find(path: &Path) -> FileFinding {
    let Ok(real) = real(path) else { return FileFinding::unknown() };
    match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => FileFinding::absent(real),
        Ok(_) | Err(_) => FileFinding::found(real),
    }
}

/// Resolves the directories of a policy. Relative ones are relative to `base`. Blocks.
///
/// # Errors
///
/// The first directory that does not exist, or cannot be resolved.
pub(super) fn confinement(
    directories: &[PathBuf],
    base: &Path,
) -> Result<Confinement, (PathBuf, io::Error)> {
    let real = directories.iter().map(|directory| {
        let directory = base.join(directory);
        directory.canonicalize().map_err(|error| (directory, error))
    });
    Ok(Confinement::new(real.collect::<Result<Vec<_>, _>>()?))
}

/// Returns the path without links, as the operating system follows it. Names below a directory
/// that does not exist stay as they are.
fn real(path: &Path) -> io::Result<PathBuf> {
    let mut rest: VecDeque<OsString> = names(path);
    let mut real = PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            real.pop();
            continue;
        }
        let next = real.join(&name);
        if PER_PROCESS.iter().any(|directory| next.starts_with(directory)) {
            return Err(io::Error::other("a file of one process"));
        }
        match fs::symlink_metadata(&next) {
            Ok(found) if found.is_symlink() => {
                links += 1;
                if links > LINKS_MAX {
                    return Err(io::Error::other("too many links"));
                }
                let target = fs::read_link(&next)?;
                if target.is_absolute() {
                    real = PathBuf::from("/");
                }
                for name in names(&target).into_iter().rev() {
                    rest.push_front(name);
                }
            }
            Ok(_) => real = next,
            Err(error) if error.kind() == io::ErrorKind::NotFound => real = next,
            Err(error) => return Err(error),
        }
    }
    Ok(real)
}

fn names(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::CurDir | Component::Prefix(_) | Component::RootDir => None,
        })
        .collect()
}
