//! The results file of a batch, which later batches resume from.

mod line;

use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use opencode_proto::{ResumeIndex, ResumePolicy, ResumeRules, SessionId, Spend};

use super::record::JobRecord;
use crate::process::locked_file::{LockedFile, try_lock};
use crate::runtime::Runtime;
use crate::runtime::blocking::unblock;
use crate::runtime::describe::debug_as_chain;

use line::ResultsLine;

/// File with the results of a batch, as JSON lines.
///
/// A line with `"type":"started"` precedes every prompt. A line with `"type":"ended"` follows the
/// end of a job and holds the [`JobRecord`]. A line with `"type":"settled"` follows the end of work
/// that went on after the job, with the spend of the work. The operating system has each line before anything
/// else happens to the job, so that the file of a killed program is true, except for an incomplete
/// last line.
///
/// The file holds answers: only the owner can read a new file. Two batches cannot write to one file
/// at the same time.
///
/// # Resuming
///
/// With [`resume`](Self::resume), jobs with an end in the file are not run again; they end at once,
/// as in the file. The first event of the batch,
/// [`BatchEvent::Resumed`](super::BatchEvent::Resumed), counts the jobs that are kept, and those
/// that are run because they are new, because the rules ask for that, or because they have changed.
///
/// A job is recognised by id and [fingerprint](JobRecord::fingerprint). The fingerprint covers
/// everything that makes another answer: the prompt with attached files and their contents,
/// directory, agent, model, variant, command, configuration, environment, isolation, `--auto` and
/// `--pure`, the policy, and the schema of the answer. The contents of the project do not count,
/// nor do deadlines, retries and titles. [`Job::with_key`](super::Job::with_key) replaces the
/// fingerprint by a name. A structured answer that does not fit the job's schema any more is never
/// kept.
///
/// # Budget
///
/// The spend of all jobs that ended in earlier batches counts for the [`Budget`](super::Budget), so
/// that a batch which is resumed after each interruption stays within the limit; see
/// [`budget_scope`](Self::budget_scope). A line with `"type":"spent"` follows every call of a
/// model, so that the spend of a job counts that was interrupted together with the program, except
/// for the call that was under way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchResults {
    path: PathBuf,
    failed: ResumePolicy,
    broken: ResumePolicy,
    budget_scope: BudgetScope,
    mode: ResultsMode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ResultsMode {
    New,
    Resume,
}

/// Batches whose spend counts for the budget of a batch that resumes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BudgetScope {
    /// The spend in the results file counts as well.
    #[default]
    AllBatches,
    /// Only the spend of the batch itself counts.
    ThisBatch,
}

/// Error of a results file.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ResultsError {
    /// Another batch writes to the file.
    #[error("another batch writes to {}", path.display())]
    InUse {
        /// Path of the file.
        path: PathBuf,
    },
    /// A line before the last one is no result.
    #[error("cannot read line {line} of {}", path.display())]
    Malformed {
        /// Path of the file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// Error of the line.
        source: serde_json::Error,
    },
    /// The file is not empty, and the batch does not resume.
    #[error("{} is not empty", path.display())]
    NotEmpty {
        /// Path of the file.
        path: PathBuf,
    },
    /// The file cannot be opened or created.
    #[error("cannot open {}", path.display())]
    Open {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// A result could not be written.
    #[error("cannot write to {}", path.display())]
    Write {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
}

debug_as_chain!(ResultsError);

impl BatchResults {
    /// Creates the results of a new batch, in a file that does not exist or is empty.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            failed: ResumePolicy::Keep,
            broken: ResumePolicy::Keep,
            budget_scope: BudgetScope::AllBatches,
            mode: ResultsMode::New,
        }
    }

    /// Creates the results of a batch that resumes from a file. A missing file is created.
    pub fn resume(path: impl Into<PathBuf>) -> Self {
        Self { mode: ResultsMode::Resume, ..Self::new(path) }
    }

    /// Returns the path of the file, in a directory that exists.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sets [`failed`](Self::failed).
    #[must_use]
    pub fn with_failed(self, failed: ResumePolicy) -> Self {
        Self { failed, ..self }
    }

    /// Returns the treatment of jobs that failed by themselves. Default: [`ResumePolicy::Keep`].
    #[must_use]
    pub fn failed(&self) -> ResumePolicy {
        self.failed
    }

    /// Sets [`broken`](Self::broken).
    #[must_use]
    pub fn with_broken(self, broken: ResumePolicy) -> Self {
        Self { broken, ..self }
    }

    /// Returns the treatment of jobs that were interrupted after their prompt was sent, or may have
    /// been: by the end of the program, of the server, or of the batch. Running them again does,
    /// and pays, the same work twice. Default: [`ResumePolicy::Keep`].
    #[must_use]
    pub fn broken(&self) -> ResumePolicy {
        self.broken
    }

    /// Sets [`budget_scope`](Self::budget_scope).
    #[must_use]
    pub fn with_budget_scope(self, budget_scope: BudgetScope) -> Self {
        Self { budget_scope, ..self }
    }

    /// Returns the batches whose spend counts for the budget. Default:
    /// [`BudgetScope::AllBatches`].
    #[must_use]
    pub fn budget_scope(&self) -> BudgetScope {
        self.budget_scope
    }

    pub(super) fn rules(&self) -> ResumeRules {
        ResumeRules::new(self.failed, self.broken)
    }

    pub(super) fn may_resume(&self) -> bool {
        self.mode == ResultsMode::Resume
    }
}

fn add(index: &mut ResumeIndex<JobRecord>, line: ResultsLine<'static>) {
    match line {
        ResultsLine::Started { job, fingerprint, attempt, .. } => {
            index.add_started(&job, &fingerprint, attempt);
        }
        ResultsLine::Spent { job, fingerprint, attempt, spend } => {
            index.add_spent(&job, &fingerprint, attempt, spend);
        }
        ResultsLine::Ended(record) => {
            let record = record.into_owned();
            let (job, fingerprint) = (record.job.clone(), record.fingerprint.clone());
            index.add_ended(&job, &fingerprint, record.status, record.spend, record);
        }
        ResultsLine::Settled { job, fingerprint, spend, still_running } => {
            index.add_settled(&job, &fingerprint, spend, |record| {
                record.settle(spend, still_running);
            });
        }
    }
}

/// An open results file. Clones share the file.
#[derive(Clone, Debug)]
pub(super) struct ResultsFile {
    path: PathBuf,
    /// `None` after a failure: lines after an incomplete line would be lost with that line.
    file: Arc<Mutex<Option<LockedFile>>>,
}

impl ResultsFile {
    /// Opens the file and reads the content. Blocks.
    pub(super) fn open(
        results: &BatchResults,
    ) -> Result<(Self, ResumeIndex<JobRecord>), ResultsError> {
        let path = results.path.clone();
        let mut options = OpenOptions::new();
        options.create(true).read(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options
            .open(&path)
            .map_err(|source| ResultsError::Open { path: path.clone(), source })?;
        // Some file systems have no locks, which is no reason to refuse them.
        if let Ok(false) = try_lock(&file) {
            return Err(ResultsError::InUse { path });
        }
        let mut locked = LockedFile(file);
        let file = &mut locked.0;
        let mut text = Vec::new();
        let read_error = |source| ResultsError::Read { path: path.clone(), source };
        // A device or a pipe has nothing to resume from, and may have no end.
        if file.metadata().map_err(read_error)?.is_file() {
            file.read_to_end(&mut text).map_err(read_error)?;
        }
        if results.mode == ResultsMode::New && !text.is_empty() {
            return Err(ResultsError::NotEmpty { path });
        }
        let (content, complete_size) = read(&text, &path)?;
        let write_error = |source| ResultsError::Write { path: path.clone(), source };
        if complete_size < text.len() {
            file.set_len(complete_size as u64).map_err(write_error)?;
            file.seek(SeekFrom::End(0)).map_err(write_error)?;
        }
        Ok((Self { path, file: Arc::new(Mutex::new(Some(locked))) }, content))
    }

    /// Writes that the prompt of a job is about to be sent.
    ///
    /// # Errors
    ///
    /// An error once: after the first failure nothing is written, and no further error is returned.
    pub(super) async fn write_started(
        &self,
        runtime: &Arc<dyn Runtime>,
        record: &JobRecord,
        attempt: u32,
        session: SessionId,
    ) -> Result<(), ResultsError> {
        let (job, fingerprint) = (record.job.clone(), record.fingerprint.clone());
        self.write(runtime, &ResultsLine::Started { job, fingerprint, attempt, session }).await
    }

    /// Writes the spend of an attempt so far.
    ///
    /// # Errors
    ///
    /// Those of [`write_started`](Self::write_started).
    pub(super) async fn write_spent(
        &self,
        runtime: &Arc<dyn Runtime>,
        record: &JobRecord,
        attempt: u32,
        spend: Spend,
    ) -> Result<(), ResultsError> {
        let (job, fingerprint) = (record.job.clone(), record.fingerprint.clone());
        self.write(runtime, &ResultsLine::Spent { job, fingerprint, attempt, spend }).await
    }

    /// Writes the end of a job.
    ///
    /// # Errors
    ///
    /// Those of [`write_started`](Self::write_started).
    pub(super) async fn write_ended(
        &self,
        runtime: &Arc<dyn Runtime>,
        record: &JobRecord,
    ) -> Result<(), ResultsError> {
        self.write(runtime, &ResultsLine::ended(record)).await
    }

    /// Writes the end of work that went on after the end of a job.
    ///
    /// # Errors
    ///
    /// Those of [`write_started`](Self::write_started).
    pub(super) async fn write_settled(
        &self,
        runtime: &Arc<dyn Runtime>,
        record: &JobRecord,
        spend: Spend,
        still_running: Vec<SessionId>,
    ) -> Result<(), ResultsError> {
        let (job, fingerprint) = (record.job.clone(), record.fingerprint.clone());
        let line = ResultsLine::Settled { job, fingerprint, spend, still_running };
        self.write(runtime, &line).await
    }

    async fn write(
        &self,
        runtime: &Arc<dyn Runtime>,
        line: &ResultsLine<'_>,
    ) -> Result<(), ResultsError> {
        let text = line.text();
        let results = self.clone();
        unblock(runtime, move || results.write_now(&text)).await
    }

    fn write_now(&self, text: &[u8]) -> Result<(), ResultsError> {
        let mut slot = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(LockedFile(file)) = slot.as_mut() else { return Ok(()) };
        file.write_all(text).map_err(|source| {
            *slot = None;
            ResultsError::Write { path: self.path.clone(), source }
        })
    }
}

/// Reads the complete lines, and returns their size.
fn read(text: &[u8], path: &Path) -> Result<(ResumeIndex<JobRecord>, usize), ResultsError> {
    let mut content = ResumeIndex::new();
    let mut size = 0;
    for (index, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        // The program was killed while it wrote this line.
        if !line.ends_with(b"\n") {
            break;
        }
        let number = index + 1;
        let read = ResultsLine::read(line);
        let malformed =
            |source| ResultsError::Malformed { path: path.to_owned(), line: number, source };
        add(&mut content, read.map_err(malformed)?);
        size += line.len();
    }
    Ok((content, size))
}

#[cfg(test)]
mod tests;
