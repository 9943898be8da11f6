use std::sync::Arc;
use std::time::Duration;

use opencode_proto::{JobNo, JobStop, RawJson, ResumeStatus, SessionId, Spend, TurnOutcome};
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};

use super::job_error::JobError;
use super::record::JobRecord;
use crate::log::describe;
use crate::process::warning::Warning;
use crate::server::StopError;

/// Result of a batch.
///
/// `Serialize` writes `{jobs, spend, elapsed_ms, leftovers}`, with the leftovers as messages.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct BatchReport {
    /// Reports of the jobs, in the order of the list.
    #[serde(serialize_with = "shared_list")]
    pub jobs: Vec<Arc<JobReport>>,
    /// Spend of this batch, all jobs and attempts together.
    pub spend: Spend,
    /// Duration of the batch.
    #[serde(rename = "elapsed_ms", serialize_with = "milliseconds")]
    pub elapsed: Duration,
    /// Processes and files that servers left behind.
    #[serde(serialize_with = "messages")]
    pub leftovers: Vec<StopError>,
}

/// Result of a job.
///
/// `Serialize` writes `{no, record, turns, error, warnings}`.
#[derive(Debug, Serialize)]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<JobError>,
    /// Plugins and MCP servers that OpenCode worked without in the directory of the job.
    #[serde(serialize_with = "texts", skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
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
    /// Creates the report of a job that begins.
    pub(super) fn begun(no: JobNo, record: JobRecord) -> Self {
        Self { no, record, turns: Vec::new(), error: None, warnings: Vec::new() }
    }

    /// Creates the report of a job that did not begin in this batch.
    pub(super) fn of_error(no: JobNo, record: JobRecord, error: JobError) -> Self {
        let mut report = Self::begun(no, record);
        let status = error.status();
        report.fail(error, status);
        report
    }

    /// Creates the report of a job that ends as it did in an earlier batch.
    pub(super) fn of_record(no: JobNo, record: JobRecord) -> Self {
        let error = (!record.is_completed()).then(|| JobError::recorded(&record));
        Self { error, ..Self::begun(no, record) }
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
        let turns = self.turns.iter().chain(self.error.iter().flat_map(JobError::turns));
        self.record.still_running = turns.flat_map(|turn| &turn.still_running).cloned().collect();
        let error = self.error.as_ref();
        let last = error.and_then(JobError::outcome).or_else(|| self.turns.last());
        let Some(last) = last else { return };
        self.record.text = last.text().into_owned();
        self.record.structured = value.or_else(|| last.structured()).map(RawJson::detach);
        self.record.steps = last.answers().count();
        self.record.tools = last.tools().count();
    }

    /// Returns the report of a completed job with the spend and the end of work that the job had
    /// left. `None` for a job that failed.
    pub(super) fn settled(&self, spend: Spend, still_running: Vec<SessionId>) -> Option<Self> {
        if self.error.is_some() {
            return None;
        }
        let mut record = self.record.clone();
        record.settle(spend, still_running);
        let (turns, warnings) = (self.turns.clone(), self.warnings.clone());
        Some(Self { no: self.no, record, turns, error: None, warnings })
    }

    /// Returns the report without turns.
    pub(super) fn without_turns(&self) -> Self {
        Self {
            no: self.no,
            record: self.record.clone(),
            turns: Vec::new(),
            error: self.error.as_ref().map(|_| JobError::recorded(&self.record)),
            warnings: self.warnings.clone(),
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
            Some(value) => value.decode(),
            None => Err(serde::de::Error::custom("the job has no structured answer")),
        }
    }

    /// Returns the outcome of the last turn in this batch, unless the request discards turns.
    pub fn outcome(&self) -> Option<&TurnOutcome> {
        self.error.as_ref().and_then(JobError::outcome).or_else(|| self.turns.last())
    }
}

/// Writes a duration as a number of milliseconds.
pub(super) fn milliseconds<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).serialize(serializer)
}

// The feature `rc` of serde would be on for the whole program.
fn shared_list<S: Serializer>(jobs: &[Arc<JobReport>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(jobs.iter().map(|job| &**job))
}

fn texts<S: Serializer>(warnings: &[Warning], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(warnings.iter().map(ToString::to_string))
}

fn messages<S: Serializer>(errors: &[StopError], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(errors.iter().map(|error| describe(error)))
}

#[cfg(test)]
mod tests {
    use opencode_proto::{RawJson, Version};
    use serde_json::{Value, json};

    use super::*;
    use crate::batch::event::BatchEvent;

    fn value(of: &impl Serialize) -> Value {
        let text = serde_json::to_string(of).expect("JSON");
        serde_json::from_str(&text).expect("JSON")
    }

    fn report() -> JobReport {
        let mut record = JobRecord::new("a".to_owned(), "f".to_owned());
        record.version = Some(Version::new(1, 18, 33));
        record.structured = Some(RawJson::parse(r#"{"b":1,"a":1e2}"#).expect("JSON"));
        JobReport::of_error(JobNo(3), record, JobError::NoServer("busy".to_owned()))
    }

    #[test]
    fn a_report_is_json_with_the_answer_as_it_was_written() {
        let text = serde_json::to_string(&report()).expect("JSON");
        assert!(text.contains(r#""structured":{"b":1,"a":1e2}"#), "{text}");
        let json = value(&report());
        assert_eq!((&json["no"], &json["turns"]), (&json!(3), &json!([])));
        assert_eq!(json["record"]["end"], "no_server");
        assert_eq!(json["record"]["version"], "1.18.33");
        assert_eq!(
            json["error"],
            json!({ "type": "no_server", "message": "no server is available for the job: busy" })
        );
        let batch = BatchReport {
            jobs: vec![Arc::new(report())],
            spend: Spend::default(),
            elapsed: Duration::from_secs(2),
            leftovers: Vec::new(),
        };
        let batch = value(&batch);
        assert_eq!((&batch["jobs"][0], &batch["elapsed_ms"]), (&json, &json!(2000)));
        assert_eq!(batch["leftovers"], json!([]));
    }

    #[test]
    fn an_event_is_json_with_a_type_and_data() {
        let ended = BatchEvent::JobEnded(Arc::new(report()));
        assert_eq!(value(&ended), json!({ "type": "job_ended", "data": value(&report()) }));
        let retrying = BatchEvent::JobRetrying {
            job: JobNo(1),
            reason: "busy".to_owned(),
            delay: Duration::from_millis(250),
        };
        assert_eq!(
            value(&retrying),
            json!({
                "type": "job_retrying", "data": { "job": 1, "reason": "busy", "delay_ms": 250 }
            })
        );
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let record = report().record;
        let text = serde_json::to_string(&record).expect("JSON");
        assert_eq!(serde_json::from_str::<JobRecord>(&text).expect("a record"), record);
        let value = serde_json::from_str::<Value>(&text).expect("JSON");
        let read: JobRecord = serde_json::from_value(value).expect("a record");
        assert_eq!((read.job, read.spend), (record.job.clone(), record.spend));
        let read: JobRecord = serde_json::from_reader(text.as_bytes()).expect("a record");
        assert_eq!(read, record);
    }
}
