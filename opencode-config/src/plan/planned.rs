//! Parts of a plan: directories, files and links to create.

use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;

/// A directory to create unless it exists.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PlannedDirectory {
    /// Absolute path.
    pub path: PathBuf,
    /// Unix permission bits for a new directory.
    pub mode: u32,
}

/// A file to write.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct PlannedFile {
    /// Absolute path, in one of the planned directories.
    pub path: PathBuf,
    /// Contents of the whole file.
    pub contents: Bytes,
    /// Unix permission bits.
    pub mode: u32,
    /// Treatment of a file that exists at the path.
    pub existing: ExistingFile,
}

/// Treatment of a file that exists where another one is planned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ExistingFile {
    /// The existing file stays.
    Keep,
    /// The existing file is overwritten.
    Replace,
}

/// A symbolic link to make, if the target exists and nothing is in the place of the link.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PlannedLink {
    /// Absolute path of the link, in one of the planned directories.
    pub at: PathBuf,
    /// Absolute path that the link points to.
    pub target: PathBuf,
}

/// Places of the npm packages of plugins.
///
/// OpenCode installs a package into the directory `NAME@VERSION` of the private place, unless the
/// directory is there. A caller may link it to a directory of the kept place, which runs share.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct KeptPackages {
    /// Place that runs share.
    pub kept: PathBuf,
    /// Place of the run alone, a planned directory.
    pub private: PathBuf,
}

impl PlannedDirectory {
    /// Plans a directory for the user alone.
    pub fn private(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), mode: super::DIRECTORY_MODE }
    }
}

impl PlannedLink {
    /// Plans a link at this path to a target.
    pub fn new(at: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self { at: at.into(), target: target.into() }
    }
}

impl fmt::Debug for PlannedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlannedFile")
            .field("path", &self.path)
            .field("size", &self.contents.len())
            .field("mode", &self.mode)
            .field("existing", &self.existing)
            .finish()
    }
}
