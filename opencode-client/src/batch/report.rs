use std::sync::Arc;
use std::time::Duration;

use opencode_proto::{JobNo, Spend, TurnOutcome};
use serde::de::DeserializeOwned;

use super::job_error::JobError;
use super::record::JobRecord;
use crate::server::StopError;

/// What a batch came to.
#[derive(Debug)]
#[non_exhaustive]
pub struct BatchReport {
    /// The jobs, in the order of the list.
    pub jobs: Vec<Arc<JobReport>>,
    /// What all of them used in this batch.
    pub spend: Spend,
    /// How long it took.
    pub elapsed: Duration,
    /// What servers left behind.
    pub leftovers: Vec<StopError>,
}

/// What a job came to.
#[derive(Debug)]
#[non_exhaustive]
pub struct JobReport {
    /// Its place in the list.
    pub no: JobNo,
    /// What is written to the results.
    pub record: JobRecord,
    /// What it said and did: its turns, of which there are several when it was asked again for an answer in the right
    /// form. Empty when it was run by an earlier batch, and when the request says so. That of a turn that failed is in
    /// the error.
    pub turns: Vec<TurnOutcome>,
    /// Why it has no complete answer; `None` when it has.
    pub error: Option<JobError>,
}

impl BatchReport {
    /// How many jobs have a complete answer.
    pub fn completed(&self) -> usize {
        self.jobs.iter().filter(|job| job.is_completed()).count()
    }

    /// The jobs that have none.
    pub fn failed(&self) -> impl Iterator<Item = &JobReport> {
        self.jobs.iter().map(|job| &**job).filter(|job| !job.is_completed())
    }
}

impl JobReport {
    /// Whether the answer is complete.
    pub fn is_completed(&self) -> bool {
        self.error.is_none()
    }

    /// The answer, as far as it came.
    pub fn text(&self) -> &str {
        &self.record.text
    }

    /// The answer in the form that was asked for ([`Job::answer`](super::Job::answer)).
    ///
    /// # Errors
    ///
    /// When there is none, or it does not have the shape of `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        match &self.record.structured {
            Some(value) => T::deserialize(value),
            None => Err(serde::de::Error::custom("there is no answer of a form")),
        }
    }

    /// What is known of the last turn, when there was one in this batch and it was kept.
    pub fn outcome(&self) -> Option<&TurnOutcome> {
        self.error.as_ref().and_then(JobError::outcome).or_else(|| self.turns.last())
    }
}
