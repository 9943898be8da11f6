//! From a request to a running process.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use opencode_config::{Invocation, IsolationPlan, ProgramCommand};
use opencode_proto::{AttachmentError, RunEnd, ServedFile, ServedFileKind};

use crate::log::{EventLog, EventLogMode, Log};
use crate::process::host::Host;
use crate::process::launch::{self, LaunchPlan, Prepared};
use crate::process::pacing::StartPermit;
use crate::process::plugins;
use crate::process::process_tree::Marker;
use crate::process::ripgrep::RipgrepMissing;
use crate::process::version_check;
use crate::run::end::{self, CleanUp};
use crate::run::error::RunError;
use crate::run::report::RunReport;
use crate::run::request::RunRequest;
use crate::runtime::blocking::{unblock, unblock_bound};

use crate::server::files::{ServerMachine, found};

use super::attempt::Attempt;
use super::resume;

/// Everything that is resolved before the first side effect.
struct RunPlan {
    invocation: Invocation,
    marker: Marker,
    plan: IsolationPlan,
    ripgrep: Option<RipgrepMissing>,
    plugins: BTreeSet<String>,
    log: Option<EventLog>,
}

/// Everything that a process needs before the start.
pub(super) struct ReadyRun {
    prepared: Prepared,
    log: Option<Log>,
    permit: StartPermit,
}

/// Waits for `delay`, and then for this run's turn to start.
pub(super) async fn turn(
    host: Arc<Host>,
    request: Arc<RunRequest>,
    delay: Duration,
) -> StartPermit {
    launch::turn(&host, request.config.isolation().data(), delay).await
}

/// A request whose program and session are known.
pub(super) struct CheckedRun {
    program: Option<ProgramCommand>,
    pub(super) request: Arc<RunRequest>,
}

/// Checks the version of the program, and the session to continue.
pub(super) async fn check(
    host: Arc<Host>,
    request: Arc<RunRequest>,
) -> Result<CheckedRun, RunError> {
    let program = version_check::check(&host).await?;
    let request = resume::check(&host, request).await?;
    Ok(CheckedRun { program, request })
}

/// Resolves and makes everything that the run depends on.
pub(super) async fn prepare(
    host: Arc<Host>,
    CheckedRun { program, request }: CheckedRun,
    permit: StartPermit,
    log_mode: Option<EventLogMode>,
) -> Result<ReadyRun, RunError> {
    let runtime = Arc::clone(&host.runtime);
    let planned = {
        let host = Arc::clone(&host);
        unblock(&runtime, move || plan(&host, program, &request, log_mode)).await?
    };
    let RunPlan { invocation, marker, mut plan, ripgrep, plugins, log } = planned;
    let install = plugins::claim(&host, &mut plan, plugins).await;
    let make = move || Prepared::make(&host, invocation, marker, plan, ripgrep);
    let mut prepared = unblock_bound(&runtime, make).await?;
    prepared.install = install;
    Ok(ReadyRun { prepared, log: log.map(|log| Log::new(log, runtime)), permit })
}

/// Starts the process.
pub(super) async fn start(
    host: Arc<Host>,
    request: Arc<RunRequest>,
    ready: ReadyRun,
) -> Result<Attempt, RunError> {
    let ReadyRun { prepared, log, permit } = ready;
    let started = launch::spawn(&host, prepared).await?;
    Ok(Attempt::new(host, &request, started, log, permit))
}

impl ReadyRun {
    /// Removes everything that was made, in place of a start.
    pub(super) fn clean_up(self) -> impl Future<Output = CleanUp> + Send {
        end::clean_up(self.prepared.cleanup, self.log, None)
    }
}

/// Returns the error of a run whose attachment is missing, in the words of OpenCode, which would find
/// out only after its start.
fn missing_file(mut report: RunReport, file: &Path) -> RunError {
    let message = format!("File not found: {}", file.display());
    report.outcome.end = RunEnd::StartupError { message };
    RunError::Ended(Box::new(report))
}

/// Returns the error of a run whose attachment cannot be used.
fn unusable_file(mut report: RunReport, error: AttachmentError) -> RunError {
    report.outcome.end = RunEnd::Attachment(error);
    RunError::Ended(Box::new(report))
}

/// Resolves everything that the run depends on. Blocks, perhaps for long: on files of the caller's.
fn plan(
    host: &Host,
    program: Option<ProgramCommand>,
    request: &RunRequest,
    log_mode: Option<EventLogMode>,
) -> Result<RunPlan, RunError> {
    let launch = LaunchPlan::explore(host, program, &request.config, request.directory.as_deref())?;
    let LaunchPlan { program, directory, marker, plan, ripgrep, plugins } = launch;
    // The files of a wrapper may be elsewhere.
    if program.args().is_empty() {
        let not_started = || RunReport {
            version: program.version().cloned(),
            ..end::not_started(&request.settings, host.runtime.now())
        };
        let files = found(request.config.flags().files(), &directory.path, ServerMachine::Here);
        if let Some(missing) = files.iter().find(|file| file.kind == ServedFileKind::Missing) {
            return Err(missing_file(not_started(), &missing.given));
        }
        if let Some(error) = files.iter().find_map(ServedFile::error) {
            return Err(unusable_file(not_started(), error));
        }
    }
    let prompt = request.prompt.clone();
    let invocation = Invocation::run(program, prompt, directory.path, &request.config, &plan)?;

    let log = request.log.clone().map(|mut log| {
        log.mode = log_mode.unwrap_or(log.mode);
        EventLog::open(log)
    });
    let log = log.transpose().map_err(RunError::LogOpen)?;
    Ok(RunPlan { invocation, marker, plan, ripgrep, plugins, log })
}
