//! The results of a batch, written as they come, and read by the batch that goes on where another was broken off.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::record::{JobRecord, Line, Standing};
use crate::runtime::Runtime;
use crate::runtime::blocking::unblock;
use crate::runtime::describe::debug_as_chain;

/// A file that gets the results of a batch as they come, as JSON lines.
///
/// When a prompt is about to be sent, a line says so (`"type":"started"`); when a job is over, its [`JobRecord`] follows
/// (`"type":"ended"`). Each line is in the hands of the system before anything else happens with the job. So after the
/// program was killed, what is in the file is true, and at most its last line is not whole.
///
/// The file holds answers: a new one is readable by its owner only. Two batches cannot write to one at once.
///
/// # Going on
///
/// With [`resume`](Self::resume), jobs that the file has an end of are not run again; they end at once, as the
/// file says. A job is known by its id and by its [fingerprint](JobRecord::fingerprint), so that a changed prompt is a new
/// job. What to do with those that failed, and with those that were broken off in the middle, can be said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchResults {
    /// The file. Its directory has to exist.
    pub path: PathBuf,
    /// What becomes of jobs that failed by themselves. Default: [`Earlier::Keep`].
    pub failed: Earlier,
    /// What becomes of jobs that were broken off after their prompt was sent, perhaps: by the end of the program, of their
    /// server, or of the batch. What they did until then would be done, and paid, twice. Default: [`Earlier::Keep`].
    pub broken: Earlier,
    mode: Mode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    New,
    Resume,
}

/// What becomes of a job that an earlier batch has run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Earlier {
    /// It ends as it did then.
    #[default]
    Keep,
    /// It is run again.
    RunAgain,
}

/// Why results cannot be written or read.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ResultsError {
    /// Another batch writes to the file.
    #[error("another batch writes to {}", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A line is none of ours, and it is not the last one.
    #[error("line {line} of {} is no result", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The file has something in it, and nobody said that the batch should go on from there.
    #[error("{} has results in it already", path.display())]
    NotEmpty {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be opened or made.
    #[error("cannot open the results {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What is in the file cannot be read.
    #[error("cannot read the results {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A result could not be written.
    #[error("cannot write to the results {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

debug_as_chain!(ResultsError);

impl BatchResults {
    /// A file that is new, or empty.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let (failed, broken) = (Earlier::Keep, Earlier::Keep);
        Self { path: path.into(), failed, broken, mode: Mode::New }
    }

    /// A file to go on with. One that is not there is made.
    pub fn resume(path: impl Into<PathBuf>) -> Self {
        Self { mode: Mode::Resume, ..Self::new(path) }
    }

    /// Sets [`failed`](Self::failed).
    #[must_use]
    pub fn with_failed(self, failed: Earlier) -> Self {
        Self { failed, ..self }
    }

    /// Sets [`broken`](Self::broken).
    #[must_use]
    pub fn with_broken(self, broken: Earlier) -> Self {
        Self { broken, ..self }
    }

    /// Whether a job that ended like this stays as it is.
    pub(super) fn keeps(&self, standing: Standing) -> bool {
        match standing {
            Standing::Completed => true,
            Standing::Failed => self.failed == Earlier::Keep,
            Standing::Broken => self.broken == Earlier::Keep,
            Standing::NotBegun => false,
        }
    }
}

/// What an earlier batch has written.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// The last that is known of each job: its record, or that it was begun.
    jobs: BTreeMap<(String, String), Option<JobRecord>>,
}

impl Past {
    /// The last that is known of a job: `None`, nothing; `Some(None)`, that it was begun.
    pub(super) fn of(&self, job: &str, fingerprint: &str) -> Option<Option<&JobRecord>> {
        self.jobs.get(&(job.to_owned(), fingerprint.to_owned())).map(Option::as_ref)
    }

    fn add(&mut self, line: Line) {
        match line {
            Line::Started { job, fingerprint, .. } => {
                self.jobs.insert((job, fingerprint), None);
            }
            Line::Ended(record) => {
                let key = (record.job.clone(), record.fingerprint.clone());
                self.jobs.insert(key, Some(*record));
            }
        }
    }
}

/// An open file of results. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct ResultsFile {
    path: PathBuf,
    /// `None` after a failure: what follows one that is not whole would be lost with it.
    file: Arc<Mutex<Option<Locked>>>,
}

impl ResultsFile {
    /// Opens the file and reads what is in it. Blocks.
    pub(super) fn open(results: &BatchResults) -> Result<(Self, Past), ResultsError> {
        let path = results.path.clone();
        let mut options = OpenOptions::new();
        options.create(true).read(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options
            .open(&path)
            .map_err(|source| ResultsError::Open { path: path.clone(), source })?;
        let mut locked = Locked::new(file, &path)?;
        let file = &mut locked.0;
        let mut text = Vec::new();
        let unreadable = |source| ResultsError::Read { path: path.clone(), source };
        // A device or a pipe has no past, and may have no end.
        if file.metadata().map_err(unreadable)?.is_file() {
            file.read_to_end(&mut text).map_err(unreadable)?;
        }
        if results.mode == Mode::New && !text.is_empty() {
            return Err(ResultsError::NotEmpty { path });
        }
        let (past, whole) = read(&text, &path)?;
        let cut = |source| ResultsError::Write { path: path.clone(), source };
        if whole < text.len() {
            file.set_len(whole as u64).map_err(cut)?;
            file.seek(SeekFrom::End(0)).map_err(cut)?;
        }
        Ok((Self { path, file: Arc::new(Mutex::new(Some(locked))) }, past))
    }

    /// Writes a line.
    ///
    /// # Errors
    ///
    /// Once: after the first failure nothing is written any more, and that is no new error.
    pub(super) async fn write(
        &self,
        runtime: &Arc<dyn Runtime>,
        line: &Line,
    ) -> Result<(), ResultsError> {
        let mut text = serde_json::to_vec(line).expect("strings, numbers and JSON");
        text.push(b'\n');
        let results = self.clone();
        unblock(runtime, move || results.write_now(&text)).await
    }

    fn write_now(&self, text: &[u8]) -> Result<(), ResultsError> {
        let mut slot = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Locked(file)) = slot.as_mut() else { return Ok(()) };
        file.write_all(text).map_err(|source| {
            *slot = None;
            ResultsError::Write { path: self.path.clone(), source }
        })
    }
}

/// Reads the whole lines, and says where they end.
fn read(text: &[u8], path: &Path) -> Result<(Past, usize), ResultsError> {
    let mut past = Past::default();
    let mut at = 0;
    for (index, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        // What was being written when the program was killed.
        if !line.ends_with(b"\n") {
            break;
        }
        let line = Line::read(line).map_err(|source| ResultsError::Malformed {
            path: path.to_owned(),
            line: index + 1,
            source,
        })?;
        past.add(line);
        at += text[at..].iter().position(|byte| *byte == b'\n').expect("it ends with one") + 1;
    }
    Ok((past, at))
}

/// A file that nobody else may write to.
#[derive(Debug)]
struct Locked(File);

impl Locked {
    #[cfg(unix)]
    fn new(file: File, path: &Path) -> Result<Self, ResultsError> {
        use rustix::fs::{FlockOperation, flock};
        use rustix::io::Errno;

        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Err(ResultsError::InUse { path: path.to_owned() }),
            // Not every file system can do it, and one that cannot is no reason to refuse.
            Ok(()) | Err(_) => Ok(Self(file)),
        }
    }

    #[cfg(not(unix))]
    fn new(file: File, _: &Path) -> Result<Self, ResultsError> {
        Ok(Self(file))
    }
}

/// A process that is just being started by another thread has the file open as well, for a moment: to close it would leave
/// it locked until then.
#[cfg(unix)]
impl Drop for Locked {
    fn drop(&mut self) {
        use rustix::fs::{FlockOperation, flock};

        // What could not be locked cannot be unlocked.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

#[cfg(test)]
mod tests;
