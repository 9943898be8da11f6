//! Work that is left when a run is over.

use std::sync::Arc;
use std::time::Instant;

use opencode_proto::{Run, RunAction, RunSettings};

use crate::log::{EventLogError, Log};
use crate::process::cleanup::{CleanupError, CleanupGuard};
use crate::process::run_tree::RunningJob;
use crate::process::warning::Warning;
use crate::run::error::{RunError, RunResult};
use crate::run::report::RunReport;

/// Result of the cleanup after a run.
pub(super) struct CleanUp {
    pub(super) removed: Result<(), CleanupError>,
    pub(super) logged: Result<(), EventLogError>,
}

pub(super) async fn clean_up(
    cleanup: CleanupGuard,
    log: Option<Log>,
    job: Option<RunningJob>,
) -> CleanUp {
    if let Some(job) = job {
        job.await;
    }
    let removed = cleanup.remove().await;
    let logged = match log {
        Some(log) => log.close().await,
        None => Ok(()),
    };
    CleanUp { removed, logged }
}

impl CleanUp {
    /// Returns the result of the run. The run's own failure comes first, then a failed cleanup; any
    /// further failure is a warning.
    pub(super) fn conclude(self, mut report: Box<RunReport>) -> RunResult {
        let Self { removed, logged } = self;
        if !report.outcome.end.is_completed() {
            report.warnings.extend(removed.err().map(Arc::new).map(Warning::Leftovers));
            report.warnings.extend(logged.err().map(Arc::new).map(Warning::Log));
            return Err(RunError::Ended(report));
        }
        if let Err(source) = removed {
            report.warnings.extend(logged.err().map(Arc::new).map(Warning::Log));
            return Err(RunError::Leftovers { report, source });
        }
        match logged {
            Ok(()) => Ok(*report),
            Err(source) => Err(RunError::Log { report, source }),
        }
    }
}

/// Returns the report of a run that was cancelled before anything was started.
pub(super) fn not_started(settings: &RunSettings, now: Instant) -> RunReport {
    let mut run = Run::new(settings.clone(), now);
    run.cancel(now);
    run.handle_exit(None, now);
    run.handle_stdout_end(now);
    run.handle_stderr_end(now);
    let outcome = loop {
        if let RunAction::Finished(outcome) = run.poll_action() {
            break *outcome;
        }
    };
    RunReport {
        outcome,
        command: "opencode run".to_owned(),
        version: None,
        warnings: Vec::new(),
        attempts: 0,
    }
}
