//! What is told of a job when it is over.

use opencode_proto::{JobNo, JobStop, NotRun, Spend};

use super::job_error::JobError;
use super::plan::PlannedJob;
use super::record::{JobRecord, Standing};
use super::report::JobReport;
use super::work::{Answer, Worked};
use crate::log::describe;

/// Of a job that was begun.
pub(super) fn of_work(
    planned: &PlannedJob,
    worked: Worked,
    attempts: u32,
    spend: Spend,
) -> JobReport {
    let Worked { no, session, answer, error, stop, elapsed, .. } = worked;
    let Answer { turns, value } = answer;
    let last = error.as_ref().and_then(JobError::outcome).or_else(|| turns.last());
    let value = value.as_ref().or_else(|| last?.structured());
    let record = JobRecord {
        job: planned.id.to_string(),
        fingerprint: planned.fingerprint.to_string(),
        standing: match &error {
            None => Standing::Completed,
            // The error alone does not tell that a prompt may have been accepted that was not found.
            Some(_) if stop == JobStop::Broken => Standing::Broken,
            Some(error) => error.standing(),
        },
        end: error.as_ref().map_or("completed", JobError::name).to_owned(),
        error: error.as_ref().map(|error| describe(error)),
        text: last.map(|last| last.text().into_owned()).unwrap_or_default(),
        structured: value.and_then(|value| value.decode().ok()),
        session,
        attempts,
        steps: last.map_or(0, |last| last.answers().count()),
        tools: last.map_or(0, |last| last.tools().count()),
        spend,
        elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
    };
    JobReport { no, record, turns, error }
}

/// Of a job that was not.
pub(super) fn of_none(
    planned: &PlannedJob,
    no: JobNo,
    why: NotRun,
    server_fault: Option<&str>,
) -> JobReport {
    let error = if why == NotRun::NoServer {
        JobError::NoServer(server_fault.unwrap_or_default().to_owned())
    } else {
        JobError::NotRun(why)
    };
    JobReport { no, record: planned.record(&error), turns: Vec::new(), error: Some(error) }
}

/// What the last try used, subagents included.
pub(super) fn spend(worked: &Worked) -> Spend {
    let failed = worked.error.iter().flat_map(JobError::turns);
    let mut spend = Spend::default();
    for outcome in worked.answer.turns.iter().chain(failed) {
        spend += outcome.spend();
    }
    spend
}
