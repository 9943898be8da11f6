use std::collections::BTreeSet;
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};

/// Snapshot of a directory tree, to find later additions.
#[derive(Debug)]
pub struct LeakCheck {
    root: PathBuf,
    before: BTreeSet<PathBuf>,
}

impl LeakCheck {
    /// Records the entries of `root` and of all directories below, without following links.
    ///
    /// # Errors
    ///
    /// When a directory cannot be read.
    pub fn new(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        let before = entries(&root)?;
        Ok(Self { root, before })
    }

    /// Entries that were added since, in order.
    ///
    /// # Errors
    ///
    /// When a directory cannot be read.
    pub fn added(&self) -> io::Result<Vec<PathBuf>> {
        Ok(entries(&self.root)?.difference(&self.before).cloned().collect())
    }

    /// Checks that nothing was added.
    ///
    /// # Panics
    ///
    /// When something was added, or a directory cannot be read.
    #[track_caller]
    pub fn assert_nothing_added(&self) {
        match self.added() {
            Ok(added) => assert!(added.is_empty(), "left in {}: {added:#?}", self.root.display()),
            Err(error) => panic!("cannot read {}: {error}", self.root.display()),
        }
    }
}

fn entries(root: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        let listing = match fs::read_dir(&directory) {
            Ok(listing) => listing,
            // Removed by the owner since the parent was listed.
            Err(error) if directory != root && error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in listing {
            let entry: DirEntry = entry?;
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => pending.push(entry.path()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            }
            found.insert(entry.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn additions_are_found_at_any_depth() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("old")).unwrap();
        let check = LeakCheck::new(dir.path()).unwrap();
        check.assert_nothing_added();
        fs::write(dir.path().join("old/new"), "").unwrap();
        assert_eq!(check.added().unwrap(), [dir.path().join("old/new")]);
    }

    #[test]
    #[should_panic(expected = "left in")]
    fn an_addition_fails_the_check() {
        let dir = tempfile::tempdir().unwrap();
        let check = LeakCheck::new(dir.path()).unwrap();
        fs::write(dir.path().join("new"), "").unwrap();
        check.assert_nothing_added();
    }

    #[test]
    fn a_missing_root_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let error = LeakCheck::new(dir.path().join("none")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
