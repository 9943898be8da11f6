use std::sync::Arc;
use std::time::Duration;

use opencode_proto::{JobNo, JobStop, RawJson, ResumeStatus, Spend, TurnOutcome};
use serde::de::DeserializeOwned;

use super::job_error::JobError;
use super::record::JobRecord;
use crate::log::describe;
use crate::server::StopError;

/// Result of a batch.
#[derive(Debug)]
#[non_exhaustive]
pub struct BatchReport {
    /// Reports of the jobs, in the order of the list.
    pub jobs: Vec<Arc<JobReport>>,
    /// Spend of this batch, all jobs and attempts together.
    pub spend: Spend,
    /// Duration of the batch.
    pub elapsed: Duration,
    /// Processes and files that servers left behind.
    pub leftovers: Vec<StopError>,
}

/// Result of a job.
#[derive(Debug)]
#[non_exhaustive]
pub struct JobReport {
    /// Place in the list.
    pub no: JobNo,
    /// Line of the results file.
    pub record: JobRecord,
    /// Turns of the last attempt: several when an answer that did not fit the schema was asked for
    /// again. Those of a failed attempt are in the error. Empty for a job of an earlier batch, and
    /// when the request discards turns.
    pub turns: Vec<TurnOutcome>,
    /// Error of a job without a complete answer.
    pub error: Option<JobError>,
}

impl BatchReport {
    /// Returns the number of jobs with a complete answer.
    pub fn completed(&self) -> usize {
        self.jobs.iter().filter(|job| job.is_completed()).count()
    }

    /// Returns the jobs without a complete answer.
    pub fn failed(&self) -> impl Iterator<Item = &JobReport> {
        self.jobs.iter().map(|job| &**job).filter(|job| !job.is_completed())
    }
}

impl JobReport {
    /// Creates the report of a job that did not begin in this batch.
    pub(super) fn of_error(no: JobNo, record: JobRecord, error: JobError) -> Self {
        let mut report = Self { no, record, turns: Vec::new(), error: None };
        let status = error.status();
        report.fail(error, status);
        report
    }

    /// Creates the report of a job that ends as it did in an earlier batch.
    pub(super) fn of_record(no: JobNo, record: JobRecord) -> Self {
        let error = (!record.is_completed()).then(|| JobError::recorded(&record));
        Self { no, record, turns: Vec::new(), error }
    }

    /// Completes the report with the turns of a complete answer.
    pub(super) fn complete(&mut self, turns: Vec<TurnOutcome>, value: Option<RawJson>) {
        self.turns = turns;
        self.record.status = ResumeStatus::Completed;
        "completed".clone_into(&mut self.record.end);
        self.add_answer(value.as_ref());
    }

    /// Completes the report with the error of an attempt.
    pub(super) fn end_attempt(&mut self, error: JobError, stop: JobStop) {
        // The error does not show that a prompt which was not found may have been accepted.
        let status = if stop == JobStop::Broken { ResumeStatus::Broken } else { error.status() };
        self.fail(error, status);
        self.add_answer(None);
    }

    fn fail(&mut self, error: JobError, status: ResumeStatus) {
        self.record.status = status;
        error.name().clone_into(&mut self.record.end);
        self.record.error = Some(describe(&error));
        self.error = Some(error);
    }

    fn add_answer(&mut self, value: Option<&RawJson>) {
        let failed = self.error.iter().flat_map(JobError::turns);
        let mut spend = Spend::default();
        for outcome in self.turns.iter().chain(failed) {
            spend += outcome.spend();
        }
        self.record.spend = spend;
        let error = self.error.as_ref();
        let last = error.and_then(JobError::outcome).or_else(|| self.turns.last());
        let Some(last) = last else { return };
        self.record.text = last.text().into_owned();
        self.record.structured =
            value.or_else(|| last.structured()).and_then(|value| value.decode().ok());
        self.record.steps = last.answers().count();
        self.record.tools = last.tools().count();
    }

    /// Returns the report without turns.
    pub(super) fn without_turns(&self) -> Self {
        Self {
            no: self.no,
            record: self.record.clone(),
            turns: Vec::new(),
            error: self.error.as_ref().map(|_| JobError::recorded(&self.record)),
        }
    }

    /// Returns whether the answer is complete.
    pub fn is_completed(&self) -> bool {
        self.error.is_none()
    }

    /// Returns the text of the answer, complete or not.
    pub fn text(&self) -> &str {
        &self.record.text
    }

    /// Reads the answer of the schema ([`Job::answer`](super::Job::answer)).
    ///
    /// # Errors
    ///
    /// An error when there is no such answer, or when the answer does not have the shape of `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        match &self.record.structured {
            Some(value) => T::deserialize(value),
            None => Err(serde::de::Error::custom("the job has no structured answer")),
        }
    }

    /// Returns the outcome of the last turn in this batch, unless the request discards turns.
    pub fn outcome(&self) -> Option<&TurnOutcome> {
        self.error.as_ref().and_then(JobError::outcome).or_else(|| self.turns.last())
    }
}
