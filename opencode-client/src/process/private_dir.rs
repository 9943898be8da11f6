//! Private directory of one run, created from a plan and removed with all its content.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use opencode_config::{
    CONFIG_FILE_SIZE_MAX, ConfigSource, ExistingFile, IsolationPlan, PlannedDirectory, PlannedFile,
    PlannedLink, ReadSource, SourceContent,
};

use self::removal::remove_tree;

use crate::runtime::describe::debug_as_chain;

mod removal;

/// A directory for one run alone (mode 0700). A drop removes the directory too, but reports no
/// errors; [`PrivateDir::remove`] does.
#[derive(Debug)]
pub(crate) struct PrivateDir {
    path: PathBuf,
    presence: Presence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Removed,
    There,
}

/// Error of the setup or removal of a private directory.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum PrivateDirError {
    /// A directory cannot be created.
    #[error("cannot create the directory {}", path.display())]
    Create {
        /// Path of the directory.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The setup failed, and so did the removal of the unfinished directory.
    #[error("{removal}, which is left from a failed setup")]
    Left {
        /// Error of the setup.
        #[source]
        creation: Box<Self>,
        /// Error of the removal.
        removal: Box<Self>,
    },
    /// A link cannot be created.
    #[error("cannot link {} to {}", path.display(), target.display())]
    Link {
        /// Path of the link.
        path: PathBuf,
        /// Target of the link.
        target: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The path of a directory or file of the run is taken, by a link for example.
    #[error("cannot use {}: the path is taken", path.display())]
    Obstructed {
        /// The path.
        path: PathBuf,
    },
    /// The directory or a file in it cannot be removed.
    #[error("cannot remove the directory {}", path.display())]
    Remove {
        /// Path of the directory.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Path of the file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

debug_as_chain!(PrivateDirError);

impl PrivateDir {
    /// Returns the path that [`create`](Self::create) uses for this token.
    pub(crate) fn root(parent: &Path, token: &str) -> PathBuf {
        parent.join(format!("opencode-{token}"))
    }

    /// Returns the token in the name of a private directory.
    pub(super) fn token(name: &str) -> Option<&str> {
        name.strip_prefix("opencode-")
    }

    /// Takes over a directory that another process has created.
    pub(super) fn found(path: PathBuf) -> Self {
        Self { path, presence: Presence::There }
    }

    /// Creates the directory and everything that the plan contains, inside the directory or
    /// elsewhere.
    ///
    /// The token is unpredictable, so no other user can have created the directory before.
    ///
    /// # Errors
    ///
    /// [`PrivateDirError`]. Nothing is left of the directory, except with
    /// [`PrivateDirError::Left`].
    pub(crate) fn create(
        parent: &Path,
        token: &str,
        plan: &IsolationPlan,
    ) -> Result<Self, PrivateDirError> {
        let path = Self::root(parent, token);
        directory_builder(0o700)
            .create(&path)
            .map_err(|source| PrivateDirError::Create { path: path.clone(), source })?;
        let private_dir = Self { path, presence: Presence::There };
        match private_dir.carry_out(plan) {
            Ok(()) => Ok(private_dir),
            Err(creation) => match private_dir.remove() {
                Ok(()) => Err(creation),
                Err(removal) => Err(PrivateDirError::Left {
                    creation: Box::new(creation),
                    removal: Box::new(removal),
                }),
            },
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the directory with all its content. Links are removed, not followed.
    pub(crate) fn remove(mut self) -> Result<(), PrivateDirError> {
        self.remove_now()
    }

    fn remove_now(&mut self) -> Result<(), PrivateDirError> {
        if self.presence == Presence::Removed {
            return Ok(());
        }
        self.presence = Presence::Removed;
        remove_tree(&self.path)
            .map_err(|source| PrivateDirError::Remove { path: self.path.clone(), source })
    }

    fn carry_out(&self, plan: &IsolationPlan) -> Result<(), PrivateDirError> {
        for directory in &plan.directories {
            self.make_directory(directory)?;
        }
        for file in &plan.files {
            write_file(file)?;
        }
        for link in &plan.links {
            make_link(link)?;
        }
        Ok(())
    }

    fn make_directory(&self, directory: &PlannedDirectory) -> Result<(), PrivateDirError> {
        let PlannedDirectory { path, mode, .. } = directory;
        let is_ours = path.starts_with(&self.path);
        // Directories of the caller may be links; a link in the private directory is not ours.
        let created = directory_builder(*mode).recursive(!is_ours).create(path);
        match created {
            Ok(()) => Ok(()),
            Err(error) if is_ours && error.kind() == io::ErrorKind::AlreadyExists => {
                match fs::symlink_metadata(path) {
                    Ok(metadata) if metadata.is_dir() => Ok(()),
                    _ => Err(PrivateDirError::Obstructed { path: path.clone() }),
                }
            }
            Err(source) => Err(PrivateDirError::Create { path: path.clone(), source }),
        }
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        self.remove_now().ok();
    }
}

/// Reads a configuration file of the user.
pub(crate) fn read_source(source: ConfigSource) -> ReadSource {
    let content = match read_config(source.path()) {
        Ok(contents) => SourceContent::Found(contents.into()),
        Err(error) if is_missing(&error) => SourceContent::Missing,
        Err(error) => SourceContent::Unreadable(error.to_string()),
    };
    ReadSource::new(source, content)
}

fn read_config(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a pipe would block until the other end is open.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a file"));
    }
    // One byte above the maximum, so that the parser reports the size.
    let limit = CONFIG_FILE_SIZE_MAX as u64 + 1;
    let mut contents = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut contents)?;
    Ok(contents)
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn write_file(file: &PlannedFile) -> Result<(), PrivateDirError> {
    let fail = |source| PrivateDirError::Write { path: file.path.clone(), source };
    let created = match create_file(file) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match file.existing {
            ExistingFile::Keep => return Ok(()),
            ExistingFile::Replace => {
                // The old file is removed first, because it may be a link.
                if fs::symlink_metadata(&file.path).map_err(fail)?.is_dir() {
                    let path = file.path.clone();
                    return Err(PrivateDirError::Obstructed { path });
                }
                fs::remove_file(&file.path).map_err(fail)?;
                create_file(file)
            }
        },
        created => created,
    };
    created.and_then(|mut created| created.write_all(&file.contents)).map_err(fail)
}

/// Creates a file. Fails if the path exists, even as a link.
fn create_file(file: &PlannedFile) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, file.mode);
    options.open(&file.path)
}

fn make_link(link: &PlannedLink) -> Result<(), PrivateDirError> {
    // A target that cannot be inspected is linked; its use will show whether it exists.
    if matches!(link.target.try_exists(), Ok(false)) {
        return Ok(());
    }
    match symlink(&link.target, &link.at) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked.map_err(|source| PrivateDirError::Link {
            path: link.at.clone(),
            target: link.target.clone(),
            source,
        }),
    }
}

#[cfg(unix)]
fn symlink(target: &Path, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, at)
}

#[cfg(windows)]
fn symlink(target: &Path, at: &Path) -> io::Result<()> {
    if target.is_dir() {
        std::os::windows::fs::symlink_dir(target, at)
    } else {
        std::os::windows::fs::symlink_file(target, at)
    }
}

#[cfg_attr(not(unix), expect(unused_variables, unused_mut, reason = "no modes"))]
pub(super) fn directory_builder(mode: u32) -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, mode);
    builder
}

#[cfg(all(test, unix))]
mod tests;
