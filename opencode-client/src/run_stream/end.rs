//! What is left to do when a run is over.

use std::process::ExitStatus;

use opencode_proto::Exit;

use super::BoxFuture;
use super::log::Log;
use crate::error::{RunError, RunReport};
use crate::remains::Remains;

pub(super) async fn end(
    report: RunReport,
    remains: Remains,
    log: Option<Log>,
    job: Option<BoxFuture<()>>,
) -> Result<RunReport, RunError> {
    if let Some(job) = job {
        job.await;
    }
    let removed = remains.remove().await;
    let logged = match log {
        Some(log) => log.close().await,
        None => Ok(()),
    };
    // The run's own failure says most; it is told first.
    if !report.outcome.end.is_completed() {
        return Err(RunError::Ended(Box::new(report)));
    }
    if let Err(source) = removed {
        return Err(RunError::Leftovers { report: Box::new(report), source });
    }
    if let Err(source) = logged {
        return Err(RunError::Log { report: Box::new(report), source });
    }
    Ok(report)
}

#[cfg(unix)]
pub(super) fn exit(status: ExitStatus) -> Option<Exit> {
    use std::os::unix::process::ExitStatusExt;

    status.code().map(Exit::Code).or_else(|| status.signal().map(Exit::Signal))
}

#[cfg(not(unix))]
pub(super) fn exit(status: ExitStatus) -> Option<Exit> {
    status.code().map(Exit::Code)
}
