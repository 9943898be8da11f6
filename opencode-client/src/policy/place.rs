//! Where a path really leads.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::{fs, io};

#[cfg(test)]
mod tests;

/// Directories, by their real paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Confinement(Vec<PathBuf>);

/// What a path is to a confinement.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Inside, but what is there decides what OpenCode or git run next time.
    Guarded,
    Inside,
    /// Outside, or nobody knows where.
    Outside,
}

impl Confinement {
    /// Blocks. Fails with the directory that is not there.
    pub(super) fn new(directories: &[PathBuf], base: &Path) -> Result<Self, (PathBuf, io::Error)> {
        let real = directories.iter().map(|directory| {
            let directory = base.join(directory);
            directory.canonicalize().map_err(|error| (directory, error))
        });
        real.collect::<Result<_, _>>().map(Self)
    }

    /// Looks where `path`, which is absolute, leads. Blocks.
    ///
    /// OpenCode takes `..` away in some places and leaves it to the system in others, where it is the parent of what a link
    /// leads to. So a path has to be inside both ways.
    pub(super) fn place(&self, path: &Path) -> Place {
        let (Ok(plain), Ok(followed)) = (real(&lexical(path)), real(path)) else {
            return Place::Outside;
        };
        match (self.place_of_real(&plain), self.place_of_real(&followed)) {
            (Place::Outside, _) | (_, Place::Outside) => Place::Outside,
            (Place::Guarded, _) | (_, Place::Guarded) => Place::Guarded,
            (Place::Inside, Place::Inside) => Place::Inside,
        }
    }

    fn place_of_real(&self, path: &Path) -> Place {
        let below = self.0.iter().filter_map(|directory| path.strip_prefix(directory).ok());
        // By the directory that is nearest: what is guarded below one may be another.
        let Some(rest) = below.min_by_key(|rest| rest.components().count()) else {
            return Place::Outside;
        };
        let is_guarded = rest.iter().any(|name| {
            let name = name.to_string_lossy().to_lowercase();
            GUARDED.contains(&name.as_str())
        });
        if is_guarded { Place::Guarded } else { Place::Inside }
    }
}

/// What is run or followed when a project is opened again. Compared without case, for file systems that do so.
const GUARDED: [&str; 4] = [".git", ".opencode", "opencode.json", "opencode.jsonc"];

/// As many as Linux follows.
const LINKS_MAX: usize = 40;

/// The path without links, as the system follows it. What is not there yet stays as it is.
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

/// The path as text says: `..` takes the name before it away.
pub(super) fn lexical(path: &Path) -> PathBuf {
    let mut plain = PathBuf::from("/");
    for name in names(path) {
        if name == ".." {
            plain.pop();
        } else {
            plain.push(name);
        }
    }
    plain
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
