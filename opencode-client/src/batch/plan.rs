//! What is known of a batch before anything begins.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use opencode_proto::api::{Operation, PromptAsync};
use opencode_proto::{Batch, BatchJob, Fleet, JobNo, Spend};

use super::error::BatchError;
use super::groups::{Groups, check};
use super::job::Job;
use super::job_error::JobError;
use super::record::{JobRecord, Standing};
use super::report::JobReport;
use super::request::{BatchRequest, BatchServers};
use super::results::{Past, ResultsFile};
use crate::log::describe;
use crate::process::host::Host;
use crate::runtime::blocking::unblock;

pub(super) struct Plan {
    pub(super) jobs: Vec<PlannedJob>,
    pub(super) groups: Groups,
    pub(super) batch: Batch,
    pub(super) results: Option<ResultsFile>,
    /// The ends of jobs that are not begun, in order.
    pub(super) over: Vec<JobReport>,
}

/// A job, and what it is known by.
pub(super) struct PlannedJob {
    pub(super) job: Arc<Job>,
    pub(super) id: Arc<str>,
    pub(super) fingerprint: Arc<str>,
}

pub(super) async fn plan(
    host: &Arc<Host>,
    mut request: BatchRequest,
    now: Instant,
) -> Result<(Plan, BatchServers), BatchError> {
    let jobs: Vec<_> = std::mem::take(&mut request.jobs)
        .into_iter()
        .enumerate()
        .map(|(no, job)| PlannedJob::new(no, job))
        .collect();
    different(&jobs)?;
    let (results, past) = match request.results.clone() {
        Some(results) => {
            let opened = unblock(&host.runtime, move || ResultsFile::open(&results)).await?;
            (Some(opened.0), opened.1)
        }
        None => (None, Past::default()),
    };
    let mut groups = Groups::default();
    let (mut open, mut over) = (Vec::new(), Vec::new());
    for (no, planned) in jobs.iter().enumerate() {
        let end = earlier(JobNo(no), planned, &past, &request)
            .or_else(|| refused(JobNo(no), planned, &request.servers));
        match end {
            Some(report) => {
                over.push(report);
                open.push(None);
            }
            None => {
                let group = groups.add(&planned.job);
                open.push(Some(BatchJob { group, retry: planned.job.retry }));
            }
        }
    }
    let fleet = match &request.servers {
        BatchServers::Given(servers) => {
            Fleet::Given(servers.iter().map(|server| server.jobs_max).collect())
        }
        BatchServers::Started(_) => Fleet::Started,
    };
    let mut settings = request.settings;
    settings.seed = host.runtime.random();
    let batch = Batch::new(settings, fleet, open, now);
    Ok((Plan { jobs, groups, batch, results, over }, request.servers))
}

fn different(jobs: &[PlannedJob]) -> Result<(), BatchError> {
    let mut seen = BTreeSet::new();
    match jobs.iter().find(|job| !seen.insert(&job.id)) {
        Some(job) => Err(BatchError::SameId { id: job.id.to_string() }),
        None => Ok(()),
    }
}

/// How the job ended in an earlier batch, when that is to stay.
fn earlier(
    no: JobNo,
    planned: &PlannedJob,
    past: &Past,
    request: &BatchRequest,
) -> Option<JobReport> {
    let results = request.results.as_ref()?;
    let known = past.of(&planned.id, &planned.fingerprint)?;
    let standing = known.map_or(Standing::Broken, |record| record.standing);
    if !results.keeps(standing) {
        return None;
    }
    let (record, error) = match known {
        Some(record) if record.is_completed() => (record.clone(), None),
        Some(record) => (record.clone(), Some(JobError::recorded(record))),
        None => (planned.record(&JobError::Interrupted), Some(JobError::Interrupted)),
    };
    Some(JobReport { no, record, turns: Vec::new(), error })
}

/// Why the job cannot be begun.
fn refused(no: JobNo, planned: &PlannedJob, servers: &BatchServers) -> Option<JobReport> {
    let error = check(&planned.job, servers).err()?;
    Some(JobReport { no, record: planned.record(&error), turns: Vec::new(), error: Some(error) })
}

impl PlannedJob {
    fn new(no: usize, job: Job) -> Self {
        let id = job.id.clone().unwrap_or_else(|| no.to_string()).into();
        let fingerprint = fingerprint(&job).into();
        Self { job: Arc::new(job), id, fingerprint }
    }

    /// Of a job that was not begun.
    pub(super) fn record(&self, error: &JobError) -> JobRecord {
        JobRecord {
            job: self.id.to_string(),
            fingerprint: self.fingerprint.to_string(),
            standing: error.standing(),
            end: error.name().to_owned(),
            error: Some(describe(error)),
            text: String::new(),
            structured: None,
            session: None,
            attempts: 0,
            steps: 0,
            tools: 0,
            spend: Spend::default(),
            elapsed_ms: 0,
        }
    }
}

/// The same for the same work, also in another program.
fn fingerprint(job: &Job) -> String {
    let prompt = PromptAsync::new("ses_", "msg_", job.prompt.clone());
    let config = job.config.config_json();
    let texts = [
        String::from_utf8_lossy(prompt.request().body()).into_owned(),
        job.directory.as_deref().unwrap_or_else(|| "".as_ref()).to_string_lossy().into_owned(),
        config.map(|config| config.to_string()).unwrap_or_default(),
        job.config.agent().unwrap_or_default().to_owned(),
        job.config.model().map(ToString::to_string).unwrap_or_default(),
    ];
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0]));
    format!("{:016x}", fnv1a(bytes))
}

/// FNV-1a: std's hashes may change from release to release.
fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
