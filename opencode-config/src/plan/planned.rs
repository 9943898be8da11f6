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
