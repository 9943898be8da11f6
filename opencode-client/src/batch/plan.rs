//! Everything that is known of a batch before a server starts.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use opencode_config::RunConfig;
use opencode_proto::{
    Batch, BatchJob, Fleet, JobNo, ResumeCounts, ResumeDecision, ResumeIndex, ResumeRules,
    ServerNo, Spend,
};

use super::error::BatchError;
use super::fingerprint;
use super::groups::Groups;
use super::job::Job;
use super::job_error::JobError;
use super::record::JobRecord;
use super::report::JobReport;
use super::request::{BatchRequest, BatchServers};
use super::results::{BatchResults, BudgetScope, ResultsError, ResultsFile};
use super::turn::check;
use crate::process::host::Host;
use crate::runtime::blocking::unblock;
use crate::runtime::latch::Latch;

pub(super) struct Plan {
    pub(super) jobs: Vec<JobEntry>,
    pub(super) groups: Groups,
    pub(super) batch: Batch,
    pub(super) results: Option<ResultsFile>,
    /// Decisions about the jobs, of a batch that resumes.
    pub(super) resumed: Option<ResumeCounts>,
}

/// A job and the report, as far as the report is known.
pub(super) struct JobEntry {
    pub(super) job: Arc<Job>,
    /// Record with the sums of all attempts so far.
    pub(super) record: JobRecord,
    pub(super) state: JobState,
}

/// State of a job for the driver. The machine decides about the next state.
pub(super) enum JobState {
    Ended(Arc<JobReport>),
    /// The job runs on the server. Setting the latch cancels the attempt.
    Running(ServerNo, Arc<Latch<()>>),
    /// The last attempt ended like this.
    Tried(Box<JobReport>),
    /// The job has not begun.
    Waiting,
}

/// Everything from the disk that a plan needs.
struct PlanGround {
    fingerprints: Vec<String>,
    results: Option<ResultsFile>,
    index: ResumeIndex<JobRecord>,
    spent: Spend,
}

pub(super) async fn plan(
    host: &Arc<Host>,
    mut request: BatchRequest,
    now: Instant,
) -> Result<(Plan, BatchServers), BatchError> {
    check_servers(&request.servers)?;
    let jobs: Arc<[_]> = std::mem::take(&mut request.jobs).into_iter().map(Arc::new).collect();
    let ids: Vec<_> = jobs.iter().enumerate().map(|(no, job)| id(no, job)).collect();
    check_ids(&ids)?;
    let PlanGround { fingerprints, results, index, spent } = {
        let (results, jobs) = (request.results.clone(), Arc::clone(&jobs));
        unblock(&host.runtime, move || explore(results.as_ref(), &jobs)).await?
    };
    let (mut groups, mut counts) = (Groups::default(), ResumeCounts::default());
    let rules = request.results.as_ref().map(BatchResults::rules).unwrap_or_default();
    let (mut entries, mut states) = (Vec::new(), Vec::new());
    let known = ids.into_iter().zip(fingerprints).zip(jobs.iter()).enumerate();
    for (no, ((id, fingerprint), job)) in known {
        let record = JobRecord::new(id, fingerprint);
        let (decision, kept) = decide(&index, &record, job, rules);
        let ended = match (kept, check(job, &request.servers)) {
            (Some(report), _) => Some(JobReport { no: JobNo(no), ..report }),
            (None, Err(error)) => Some(JobReport::of_error(JobNo(no), record.clone(), error)),
            (None, Ok(())) => None,
        };
        if ended.is_none() || decision == ResumeDecision::Keep {
            counts.add(decision);
        }
        states.push(match ended {
            Some(_) => BatchJob::ended(),
            None => BatchJob::new(groups.add(job), job.retry),
        });
        let state = ended.map_or(JobState::Waiting, |report| JobState::Ended(Arc::new(report)));
        entries.push(JobEntry { job: Arc::clone(job), record, state });
    }
    let settings = request.settings;
    let mut known = settings.spent();
    known += spent;
    let settings = settings.with_seed(host.runtime.random()).with_spent(known);
    let batch = Batch::new(settings, fleet(&request.servers), states, now);
    let resumes = request.results.as_ref().is_some_and(BatchResults::may_resume);
    let resumed = resumes.then_some(counts);
    Ok((Plan { jobs: entries, groups, batch, results, resumed }, request.servers))
}

/// Returns the id of a job: the id that the caller set, or the place in the list.
fn id(no: usize, job: &Job) -> String {
    job.id.clone().unwrap_or_else(|| no.to_string())
}

/// Every job has a configuration and a directory, which replace those of the servers.
fn check_servers(servers: &BatchServers) -> Result<(), BatchError> {
    let BatchServers::Started(serve) = servers else { return Ok(()) };
    let settings = [
        ("configuration", serve.config != RunConfig::default()),
        ("directory", serve.directory.is_some()),
    ];
    match settings.into_iter().find(|(_, is_set)| *is_set) {
        Some((setting, _)) => Err(BatchError::ServeSetting { setting }),
        None => Ok(()),
    }
}

fn check_ids(ids: &[String]) -> Result<(), BatchError> {
    let mut seen = BTreeSet::new();
    match ids.iter().find(|id| !seen.insert(*id)) {
        Some(id) => Err(BatchError::SameId { id: id.clone() }),
        None => Ok(()),
    }
}

/// Opens the results file, and reads the files that the fingerprints need. Blocks.
fn explore(results: Option<&BatchResults>, jobs: &[Arc<Job>]) -> Result<PlanGround, ResultsError> {
    let (file, index, spent) = match results {
        Some(results) => {
            let (file, index) = ResultsFile::open(results)?;
            let spent = match results.budget_scope() {
                BudgetScope::AllBatches => index.spend(),
                BudgetScope::ThisBatch => Spend::default(),
            };
            (Some(file), index, spent)
        }
        None => (None, ResumeIndex::new(), Spend::default()),
    };
    // Without results, a fingerprint is of no use but in the report.
    let fingerprints = jobs.iter().map(|job| fingerprint::of_job(job)).collect();
    Ok(PlanGround { fingerprints, results: file, index, spent })
}

/// Decides about a job by the results of earlier batches. A kept job has a report, whose number
/// has still to be set.
fn decide(
    index: &ResumeIndex<JobRecord>,
    record: &JobRecord,
    job: &Job,
    rules: ResumeRules,
) -> (ResumeDecision, Option<JobReport>) {
    match index.decide(&record.job, &record.fingerprint, rules) {
        (ResumeDecision::Keep, Some(known)) if !fits(known, job) => {
            (ResumeDecision::RunChanged, None)
        }
        (ResumeDecision::Keep, Some(known)) => {
            (ResumeDecision::Keep, Some(JobReport::of_record(JobNo(0), known.clone())))
        }
        (ResumeDecision::Keep, None) => {
            let mut record = record.clone();
            record.spend = index.interrupted_spend(&record.job, &record.fingerprint);
            let report = JobReport::of_error(JobNo(0), record, JobError::Interrupted);
            (ResumeDecision::Keep, Some(report))
        }
        (decision, _) => (decision, None),
    }
}

/// Returns whether a completed answer still fits the schema of the job.
fn fits(record: &JobRecord, job: &Job) -> bool {
    match &job.answer {
        Some(schema) if record.is_completed() => {
            record.structured.as_ref().is_some_and(|answer| schema.accepts(answer))
        }
        Some(_) | None => true,
    }
}

fn fleet(servers: &BatchServers) -> Fleet {
    match servers {
        BatchServers::Given(servers) => {
            Fleet::Given(servers.iter().map(|server| server.jobs_max).collect())
        }
        BatchServers::Started(_) => Fleet::Started,
    }
}

#[cfg(test)]
mod tests {
    use opencode_config::{LogLevel, ServeFlags};
    use opencode_proto::{RawJson, ResumePolicy, ResumeStatus, Tokens};
    use serde::Deserialize;

    use super::*;
    use crate::batch::request::GivenServer;
    use crate::server::ServeRequest;
    use crate::session::structured::AnswerSchema;

    #[derive(Deserialize)]
    struct Rating {
        #[expect(dead_code, reason = "the type of an answer")]
        stars: u32,
    }

    fn job() -> Job {
        let schema = r#"{"type":"object","properties":{"stars":{"type":"integer"}}}"#;
        let schema = RawJson::parse(schema.to_owned()).expect("a schema");
        Job::new("Rate it.").with_answer(AnswerSchema::of::<Rating>(schema))
    }

    fn raw(text: &str) -> RawJson {
        RawJson::parse(text.to_owned()).expect("JSON")
    }

    fn index(status: ResumeStatus, structured: &str) -> ResumeIndex<JobRecord> {
        let mut record = JobRecord::new("a".to_owned(), "f".to_owned());
        (record.status, record.structured) = (status, Some(raw(structured)));
        let mut index = ResumeIndex::new();
        index.add_ended("a", "f", status, Spend::default(), record);
        index
    }

    #[test]
    fn a_resumed_answer_that_does_not_fit_is_not_completed() {
        let record = JobRecord::new("a".to_owned(), "f".to_owned());
        for (answer, expected) in [
            (r#"{"stars":4}"#, ResumeDecision::Keep),
            (r#"{"stars":"many"}"#, ResumeDecision::RunChanged),
            ("null", ResumeDecision::RunChanged),
        ] {
            let index = index(ResumeStatus::Completed, answer);
            let (decision, kept) = decide(&index, &record, &job(), ResumeRules::default());
            assert_eq!(decision, expected);
            assert_eq!(kept.is_some(), expected == ResumeDecision::Keep);
        }
        let checked =
            Job { answer: job().answer.map(|a| a.with_check(|_| Err("no".into()))), ..job() };
        let index = index(ResumeStatus::Completed, r#"{"stars":4}"#);
        let (decision, _) = decide(&index, &record, &checked, ResumeRules::default());
        assert_eq!(decision, ResumeDecision::RunChanged, "a check of the caller counts as well");
    }

    #[test]
    fn a_failed_job_is_kept_or_run_whatever_its_answer() {
        let record = JobRecord::new("a".to_owned(), "f".to_owned());
        let index = index(ResumeStatus::Failed, r#""words""#);
        let (decision, kept) = decide(&index, &record, &job(), ResumeRules::default());
        assert_eq!(decision, ResumeDecision::Keep);
        assert!(matches!(kept.expect("a report").error, Some(JobError::Recorded { .. })));
        let again = ResumeRules::new(ResumePolicy::RunAgain, ResumePolicy::default());
        let (decision, kept) = decide(&index, &record, &job(), again);
        assert_eq!((decision, kept.is_none()), (ResumeDecision::RunAgain, true));
    }

    #[test]
    fn a_job_of_which_only_the_start_is_known_was_interrupted() {
        let mut index = ResumeIndex::new();
        index.add_started("a", "f", 1);
        let mut tokens = Tokens::default();
        tokens.total = 7;
        let spend = Spend::new(tokens, 0.5);
        index.add_spent("a", "f", 1, spend);
        let record = JobRecord::new("a".to_owned(), "f".to_owned());
        let (decision, kept) = decide(&index, &record, &Job::new("A"), ResumeRules::default());
        assert_eq!(decision, ResumeDecision::Keep);
        let kept = kept.expect("a report");
        assert!(matches!(kept.error, Some(JobError::Interrupted)));
        assert_eq!((kept.record.status, &*kept.record.end), (ResumeStatus::Broken, "interrupted"));
        assert_eq!(kept.record.spend, spend);
    }

    #[test]
    fn settings_of_servers_that_jobs_replace_are_refused() {
        let serve = ServeRequest::new;
        let config = RunConfig::new().with_agent("plan");
        for (request, name) in [
            (serve().with_config(config), "configuration"),
            (serve().with_directory("/src"), "directory"),
        ] {
            let error = check_servers(&BatchServers::Started(Box::new(request)));
            let error = error.expect_err("a setting of the jobs");
            assert!(
                matches!(error, BatchError::ServeSetting { setting } if setting == name),
                "{error}"
            );
        }
        let flags = ServeFlags::new().with_log_level(LogLevel::Debug);
        let request = serve().with_flags(flags).with_port(4096);
        check_servers(&BatchServers::Started(Box::new(request))).expect("settings of servers");
        let given = vec![GivenServer::new("http://127.0.0.1:1")];
        check_servers(&BatchServers::Given(given)).expect("given servers");
    }

    #[test]
    fn two_jobs_with_one_id_are_refused() {
        let jobs = [Job::new("A"), Job::new("B").with_id("0")];
        let ids: Vec<_> = jobs.iter().enumerate().map(|(no, job)| id(no, job)).collect();
        let error = check_ids(&ids).expect_err("two jobs with one id");
        assert_eq!(error.to_string(), "two jobs have the id \"0\"");
        check_ids(&["a".to_owned(), "b".to_owned()]).expect("different ids");
    }
}
