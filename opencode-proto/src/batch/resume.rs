//! Classification of jobs by the results of earlier batches.

use std::collections::BTreeMap;
use std::mem;

use serde::{Deserialize, Serialize};

use crate::part::Spend;
use crate::turn::TurnEnd;

/// End of a job, as far as it matters for a batch that resumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResumeStatus {
    /// The job was interrupted after the prompt was accepted, or may have been: by the end of the
    /// server, of the program, or of the batch.
    Broken,
    /// The answer is complete.
    Completed,
    /// The job failed by itself.
    Failed,
    /// The job did not begin, or the prompt was not accepted.
    NotBegun,
}

impl ResumeStatus {
    /// Returns the meaning of a turn's end.
    #[must_use]
    pub fn of(end: &TurnEnd) -> Self {
        match end {
            TurnEnd::Completed => Self::Completed,
            TurnEnd::NothingToFollow(_) | TurnEnd::NotPosted { .. } | TurnEnd::ToolSwitches(_) => {
                Self::NotBegun
            }
            TurnEnd::Cancelled | TurnEnd::ServerLost { .. } | TurnEnd::Torn => Self::Broken,
            TurnEnd::Aborted
            | TurnEnd::AgentError(_)
            | TurnEnd::AnsweredByAnother { .. }
            | TurnEnd::Disposed
            | TurnEnd::EmptyReplies
            | TurnEnd::Endless
            | TurnEnd::Refused(_)
            | TurnEnd::Rejected { .. }
            | TurnEnd::RepeatedCalls { .. }
            | TurnEnd::SessionDeleted
            | TurnEnd::ReplacedBySummary
            | TurnEnd::RetryTooLate { .. }
            | TurnEnd::TimedOut { .. } => Self::Failed,
        }
    }
}

/// Treatment of a job that an earlier batch has run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResumePolicy {
    /// The job ends as it did then.
    #[default]
    Keep,
    /// The job is run again.
    RunAgain,
}

/// Treatment of jobs by their earlier end. A completed job is kept, and a job that did not begin is
/// run, whatever the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResumeRules {
    /// Treatment of a job that failed by itself.
    pub failed: ResumePolicy,
    /// Treatment of a job that was interrupted.
    pub broken: ResumePolicy,
}

impl ResumeRules {
    /// Creates rules for jobs that failed, and for jobs that were interrupted.
    pub fn new(failed: ResumePolicy, broken: ResumePolicy) -> Self {
        Self { failed, broken }
    }
}

/// Decision about one job of a batch that resumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResumeDecision {
    /// The job ends as it did in an earlier batch.
    Keep,
    /// The job is run: the results do not know the job.
    Run,
    /// The job is run again: the rules ask for that.
    RunAgain,
    /// The job is run again: the results know the job with another fingerprint only.
    RunChanged,
}

/// Number of jobs by decision, at the start of a batch that resumes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ResumeCounts {
    /// Jobs that end as they did in an earlier batch.
    pub kept: usize,
    /// Jobs that the results do not know.
    pub new: usize,
    /// Jobs that are run again, for the rules ask for that.
    pub again: usize,
    /// Jobs that are run again, for their fingerprint has changed.
    pub changed: usize,
}

/// Last known state of each job in a results file. `R` is the record of a job that has ended.
#[derive(Debug)]
pub struct ResumeIndex<R> {
    jobs: BTreeMap<String, BTreeMap<String, KnownJob<R>>>,
    /// Spend of the jobs that have ended, each time they did, and of interrupted jobs that were run
    /// again.
    closed: Spend,
}

/// Last known state of a job with one fingerprint.
#[derive(Debug)]
enum KnownJob<R> {
    Ended(ResumeStatus, R),
    /// Holds the last known spend of each attempt.
    Started(BTreeMap<u32, Spend>),
}

impl<R> Default for ResumeIndex<R> {
    fn default() -> Self {
        Self { jobs: BTreeMap::new(), closed: Spend::default() }
    }
}

impl<R> ResumeIndex<R> {
    /// Creates an index of an empty file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next line of the file: the prompt of a job is about to be sent, in this attempt.
    pub fn add_started(&mut self, job: &str, fingerprint: &str, attempt: u32) {
        let mut attempts = self.take_attempts(job, fingerprint);
        // The attempts of a batch are numbered from 1. Those before belong to an interrupted batch.
        if attempts.last_key_value().is_some_and(|(last, _)| *last >= attempt) {
            self.close(mem::take(&mut attempts));
        }
        attempts.insert(attempt, Spend::default());
        self.insert(job, fingerprint, KnownJob::Started(attempts));
    }

    /// Takes the next line of the file: the spend of an attempt so far. A line that comes after the
    /// end of the job is ignored.
    pub fn add_spent(&mut self, job: &str, fingerprint: &str, attempt: u32, spend: Spend) {
        let known = self.jobs.get_mut(job).and_then(|known| known.get_mut(fingerprint));
        if let Some(KnownJob::Started(attempts)) = known
            && let Some(so_far) = attempts.get_mut(&attempt)
            && so_far.tokens.total <= spend.tokens.total
        {
            *so_far = spend;
        }
    }

    /// Takes the next line of the file: a job has ended, with this spend of all attempts in the
    /// batch.
    pub fn add_ended(
        &mut self,
        job: &str,
        fingerprint: &str,
        status: ResumeStatus,
        spend: Spend,
        record: R,
    ) {
        let attempts = self.take_attempts(job, fingerprint);
        // The spend includes the attempts, unless they belong to an interrupted batch, and the job
        // did not begin again.
        if sum(&attempts).tokens.total > spend.tokens.total {
            self.close(attempts);
        }
        self.closed += spend;
        self.insert(job, fingerprint, KnownJob::Ended(status, record));
    }

    /// Takes the next line of the file: work that went on after the end of a job is over, at this
    /// cost. `update` changes the record of the job.
    pub fn add_settled(
        &mut self,
        job: &str,
        fingerprint: &str,
        spend: Spend,
        update: impl FnOnce(&mut R),
    ) {
        self.closed += spend;
        let known = self.jobs.get_mut(job).and_then(|known| known.get_mut(fingerprint));
        if let Some(KnownJob::Ended(_, record)) = known {
            update(record);
        }
    }

    /// Returns the spend of all jobs, each time they were run.
    pub fn spend(&self) -> Spend {
        let mut spend = self.closed;
        for known in self.jobs.values().flat_map(BTreeMap::values) {
            if let KnownJob::Started(attempts) = known {
                spend += sum(attempts);
            }
        }
        spend
    }

    /// Returns the known spend of an interrupted job.
    pub fn interrupted_spend(&self, job: &str, fingerprint: &str) -> Spend {
        match self.jobs.get(job).and_then(|known| known.get(fingerprint)) {
            Some(KnownJob::Started(attempts)) => sum(attempts),
            Some(KnownJob::Ended(..)) | None => Spend::default(),
        }
    }

    fn take_attempts(&mut self, job: &str, fingerprint: &str) -> BTreeMap<u32, Spend> {
        match self.jobs.get_mut(job).and_then(|known| known.remove(fingerprint)) {
            Some(KnownJob::Started(attempts)) => attempts,
            Some(KnownJob::Ended(..)) | None => BTreeMap::new(),
        }
    }

    fn close(&mut self, attempts: BTreeMap<u32, Spend>) {
        self.closed += sum(&attempts);
    }

    fn insert(&mut self, job: &str, fingerprint: &str, state: KnownJob<R>) {
        self.jobs.entry(job.to_owned()).or_default().insert(fingerprint.to_owned(), state);
    }

    /// Decides about a job. A kept job comes with the record, unless only the start is known.
    pub fn decide(
        &self,
        job: &str,
        fingerprint: &str,
        rules: ResumeRules,
    ) -> (ResumeDecision, Option<&R>) {
        let Some(known) = self.jobs.get(job) else { return (ResumeDecision::Run, None) };
        let (status, record) = match known.get(fingerprint) {
            Some(KnownJob::Ended(status, record)) => (*status, Some(record)),
            Some(KnownJob::Started(_)) => (ResumeStatus::Broken, None),
            None => return (ResumeDecision::RunChanged, None),
        };
        let policy = match status {
            ResumeStatus::Broken => rules.broken,
            ResumeStatus::Completed => ResumePolicy::Keep,
            ResumeStatus::Failed => rules.failed,
            ResumeStatus::NotBegun => ResumePolicy::RunAgain,
        };
        match policy {
            ResumePolicy::Keep => (ResumeDecision::Keep, record),
            ResumePolicy::RunAgain => (ResumeDecision::RunAgain, None),
        }
    }

    /// Returns the number of jobs that the file knows, each fingerprint by itself.
    pub fn len(&self) -> usize {
        self.jobs.values().map(BTreeMap::len).sum()
    }

    /// Returns whether the file knows no job.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }
}

impl ResumeCounts {
    /// Counts a decision.
    pub fn add(&mut self, decision: ResumeDecision) {
        *match decision {
            ResumeDecision::Keep => &mut self.kept,
            ResumeDecision::Run => &mut self.new,
            ResumeDecision::RunAgain => &mut self.again,
            ResumeDecision::RunChanged => &mut self.changed,
        } += 1;
    }
}

fn sum(attempts: &BTreeMap<u32, Spend>) -> Spend {
    let mut sum = Spend::default();
    for spend in attempts.values() {
        sum += *spend;
    }
    sum
}

#[cfg(test)]
mod tests;
