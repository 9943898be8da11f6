//! Locks of files against other processes.

use std::fs::File;
use std::io;

/// A file that is locked against other processes, and against other users in this one, until the
/// drop.
#[derive(Debug)]
pub(crate) struct LockedFile(pub(crate) File);

/// Tries to lock a file. Returns whether the lock was free.
///
/// # Errors
///
/// The file system has no locks, or the file cannot be locked.
#[cfg(unix)]
pub(crate) fn try_lock(file: &File) -> io::Result<bool> {
    use rustix::fs::{FlockOperation, flock};
    use rustix::io::Errno;

    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(true),
    }
}

#[cfg(not(unix))]
pub(crate) fn try_lock(_: &File) -> io::Result<bool> {
    Ok(true)
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
