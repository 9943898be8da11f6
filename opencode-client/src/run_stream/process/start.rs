//! From a request to a running process.

use std::sync::Arc;
use std::time::Duration;

use opencode_config::{Invocation, IsolationPlan};

use crate::blocking::{unblock, unblock_bound};
use crate::error::RunError;
use crate::event_log::{EventLog, EventLogMode};
use crate::inner::Inner;
use crate::pacing::StartPermit;
use crate::process_tree::Marker;
use crate::request::RunRequest;
use crate::start::{self, Ground, Prepared};

use super::attempt::Attempt;

/// Everything that is known before anything is made that has to be removed again.
struct Planned {
    invocation: Invocation,
    marker: Marker,
    plan: IsolationPlan,
    log: Option<EventLog>,
}

/// Waits for `delay`, and then for this run's turn to start.
pub(super) async fn turn(
    inner: Arc<Inner>,
    request: Arc<RunRequest>,
    delay: Duration,
) -> StartPermit {
    start::turn(&inner, &request.config.isolation.data, delay).await
}

pub(super) async fn start(
    inner: Arc<Inner>,
    request: Arc<RunRequest>,
    permit: StartPermit,
    attempt: u32,
) -> Result<Attempt, RunError> {
    let runtime = Arc::clone(&inner.runtime);
    let planned = {
        let (inner, request) = (Arc::clone(&inner), Arc::clone(&request));
        unblock(&runtime, move || plan(&inner, &request, attempt)).await?
    };
    let Planned { invocation, marker, plan, log } = planned;
    let prepared = {
        let inner = Arc::clone(&inner);
        unblock_bound(&runtime, move || Prepared::make(&inner, invocation, marker, plan)).await?
    };
    let started = start::spawn(&inner, prepared).await?;
    Ok(Attempt::new(inner, &request, started, log, permit))
}

/// Looks at everything that the run depends on. Blocks, perhaps for long: on files of the caller's.
fn plan(inner: &Inner, request: &RunRequest, attempt: u32) -> Result<Planned, RunError> {
    let ground = Ground::explore(inner, &request.config, request.directory.as_deref())?;
    let Ground { program, directory, marker, plan } = ground;
    let prompt = request.prompt.clone();
    let invocation = Invocation::run(program, prompt, directory, &request.config, &plan)?;

    let log = request.log.clone().map(|mut log| {
        // A retry goes on where the first try left off: it left off before the first event.
        if attempt > 1 {
            log.mode = EventLogMode::Append;
        }
        EventLog::open(log)
    });
    let log = log.transpose().map_err(RunError::LogOpen)?;
    Ok(Planned { invocation, marker, plan, log })
}
