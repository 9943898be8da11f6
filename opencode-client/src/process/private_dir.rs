//! The directory of one run: made from a plan, removed with all that the run put into it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use opencode_config::{
    CONFIG_FILE_SIZE_MAX, ConfigSource, Existing, IsolationPlan, PlannedDirectory, PlannedFile,
    PlannedLink, ReadSource, SourceContent,
};

use self::removal::remove_tree;

mod removal;

/// A directory for one run alone (mode 0700). Dropping it removes it as well, with nobody to tell
/// of errors: [`PrivateDir::remove`] is for the normal way.
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

/// A run's private directory could not be set up or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateDirError {
    /// A directory could not be made.
    #[error("cannot create the directory {}", path.display())]
    Create {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The directory could not be set up, and what there was of it is left.
    #[error("{removal}, left from a run that could not be set up")]
    Left {
        /// Why it could not be set up.
        #[source]
        creation: Box<Self>,
        /// Why it could not be removed.
        removal: Box<Self>,
    },
    /// A link could not be made.
    #[error("cannot link {} to {}", path.display(), target.display())]
    Link {
        /// The link.
        path: PathBuf,
        /// What it should point to.
        target: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Where a directory or a file of the run should be is something else, a link for example.
    #[error("something else is at {}", path.display())]
    Obstructed {
        /// The place.
        path: PathBuf,
    },
    /// The directory, or something in it, could not be removed.
    #[error("cannot remove the directory {}", path.display())]
    Remove {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl PrivateDir {
    /// Where [`create`](Self::create) puts the directory of the run of this token.
    pub(crate) fn root(parent: &Path, token: &str) -> PathBuf {
        parent.join(format!("opencode-{token}"))
    }

    /// Makes the directory, and in it (and where the plan says so, elsewhere) what the plan asks for.
    ///
    /// The token cannot be guessed, so nobody else can have made the directory before.
    ///
    /// # Errors
    ///
    /// Nothing is left of the directory, except with [`PrivateDirError::Left`].
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

    #[cfg(all(test, unix))]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the directory with everything in it; links are removed, not followed.
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
        // The caller's own directories may be behind links; a link among ours is not of our making.
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

/// Reads one of the user's config files.
pub(crate) fn read_source(source: ConfigSource) -> ReadSource {
    let content = match read_config(&source.path) {
        Ok(contents) => SourceContent::Found(contents.into()),
        Err(error) if is_missing(&error) => SourceContent::Missing,
        Err(error) => SourceContent::Unreadable(error.to_string()),
    };
    ReadSource { source, content }
}

fn read_config(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a pipe would wait for its other end.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a file"));
    }
    // One more byte says that it is too large, which is for the parser to tell.
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
            Existing::Keep => return Ok(()),
            Existing::Replace => {
                // Not through what is there: it may be a link.
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

/// Fails if anything is at the path, a link included.
fn create_file(file: &PlannedFile) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, file.mode);
    options.open(&file.path)
}

fn make_link(link: &PlannedLink) -> Result<(), PrivateDirError> {
    // Whether a target that cannot be looked at is there shows when it is used.
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
fn directory_builder(mode: u32) -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, mode);
    builder
}

#[cfg(all(test, unix))]
mod tests;
