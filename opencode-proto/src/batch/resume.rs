//! Classification of jobs by the results of earlier batches.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
            TurnEnd::NotPosted { .. } | TurnEnd::ToolSwitches(_) => Self::NotBegun,
            TurnEnd::Cancelled | TurnEnd::ServerLost { .. } | TurnEnd::Torn => Self::Broken,
            TurnEnd::Aborted
            | TurnEnd::AgentError(_)
            | TurnEnd::Endless
            | TurnEnd::Refused(_)
            | TurnEnd::Rejected { .. }
            | TurnEnd::RepeatedCalls { .. }
            | TurnEnd::SessionDeleted
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
}

/// Last known state of a job with one fingerprint.
#[derive(Debug)]
enum KnownJob<R> {
    Ended(ResumeStatus, R),
    Started,
}

impl<R> Default for ResumeIndex<R> {
    fn default() -> Self {
        Self { jobs: BTreeMap::new() }
    }
}

impl<R> ResumeIndex<R> {
    /// Creates an index of an empty file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next line of the file: the prompt of a job is about to be sent.
    pub fn add_started(&mut self, job: &str, fingerprint: &str) {
        self.add(job, fingerprint, KnownJob::Started);
    }

    /// Takes the next line of the file: a job has ended.
    pub fn add_ended(&mut self, job: &str, fingerprint: &str, status: ResumeStatus, record: R) {
        self.add(job, fingerprint, KnownJob::Ended(status, record));
    }

    fn add(&mut self, job: &str, fingerprint: &str, state: KnownJob<R>) {
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
            Some(KnownJob::Started) => (ResumeStatus::Broken, None),
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

#[cfg(test)]
mod tests {
    use super::*;

    const AGAIN: ResumeRules =
        ResumeRules { failed: ResumePolicy::RunAgain, broken: ResumePolicy::RunAgain };
    const KEEP: ResumeRules =
        ResumeRules { failed: ResumePolicy::Keep, broken: ResumePolicy::Keep };

    fn index(status: ResumeStatus) -> ResumeIndex<&'static str> {
        let mut index = ResumeIndex::new();
        index.add_started("a", "f");
        index.add_ended("a", "f", status, "record");
        index
    }

    #[test]
    fn rules_hold_for_failed_and_broken_jobs_only() {
        for (status, kept, again) in [
            (ResumeStatus::Completed, ResumeDecision::Keep, ResumeDecision::Keep),
            (ResumeStatus::Failed, ResumeDecision::Keep, ResumeDecision::RunAgain),
            (ResumeStatus::Broken, ResumeDecision::Keep, ResumeDecision::RunAgain),
            (ResumeStatus::NotBegun, ResumeDecision::RunAgain, ResumeDecision::RunAgain),
        ] {
            let index = index(status);
            for (rules, decision) in [(KEEP, kept), (AGAIN, again)] {
                let record = (decision == ResumeDecision::Keep).then_some(&"record");
                assert_eq!(index.decide("a", "f", rules), (decision, record), "{status:?}");
            }
        }
        assert_eq!(KEEP, ResumeRules::default());
    }

    #[test]
    fn the_last_line_of_a_job_counts() {
        let mut index = index(ResumeStatus::Completed);
        index.add_started("a", "f");
        assert_eq!(index.decide("a", "f", KEEP), (ResumeDecision::Keep, None), "interrupted");
        assert_eq!(index.decide("a", "f", AGAIN), (ResumeDecision::RunAgain, None));
        index.add_ended("a", "f", ResumeStatus::Failed, "second");
        assert_eq!(index.decide("a", "f", KEEP), (ResumeDecision::Keep, Some(&"second")));
    }

    #[test]
    fn another_fingerprint_is_another_job_of_the_same_name() {
        let mut index = index(ResumeStatus::Completed);
        assert_eq!(index.decide("a", "g", KEEP), (ResumeDecision::RunChanged, None));
        assert_eq!(index.decide("b", "f", KEEP), (ResumeDecision::Run, None));
        index.add_ended("a", "g", ResumeStatus::Failed, "other");
        assert_eq!(index.decide("a", "f", KEEP), (ResumeDecision::Keep, Some(&"record")));
        assert_eq!((index.len(), index.is_empty()), (2, false));
        assert!(ResumeIndex::<()>::new().is_empty());
    }

    #[test]
    fn every_decision_has_a_count() {
        let mut counts = ResumeCounts::default();
        for decision in [
            ResumeDecision::Keep,
            ResumeDecision::Run,
            ResumeDecision::RunAgain,
            ResumeDecision::RunChanged,
            ResumeDecision::RunChanged,
        ] {
            counts.add(decision);
        }
        assert_eq!(counts, ResumeCounts { kept: 1, new: 1, again: 1, changed: 2 });
    }
}
