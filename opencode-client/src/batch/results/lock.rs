//! Lock of a results file.

use std::fs::File;
use std::path::Path;

use super::ResultsError;

/// A file that is locked against other batches.
#[derive(Debug)]
pub(super) struct LockedFile(pub(super) File);

impl LockedFile {
    #[cfg(unix)]
    pub(super) fn new(file: File, path: &Path) -> Result<Self, ResultsError> {
        use rustix::fs::{FlockOperation, flock};
        use rustix::io::Errno;

        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Err(ResultsError::InUse { path: path.to_owned() }),
            // Some file systems have no locks, which is no reason to refuse them.
            Ok(()) | Err(_) => Ok(Self(file)),
        }
    }

    #[cfg(not(unix))]
    pub(super) fn new(file: File, _: &Path) -> Result<Self, ResultsError> {
        Ok(Self(file))
    }
}

/// Closing is not enough: a process that another thread starts right now has the file open as well,
/// which would stay locked until the program of that process begins.
#[cfg(unix)]
impl Drop for LockedFile {
    fn drop(&mut self) {
        use rustix::fs::{FlockOperation, flock};

        // A file that could not be locked cannot be unlocked.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}
