//! From a request to a running process.

use std::sync::Arc;
use std::time::Duration;

use opencode_config::{Invocation, IsolationPlan};

use crate::log::Log;
use crate::log::{EventLog, EventLogMode};
use crate::process::host::Host;
use crate::process::launch;
use crate::process::launch::Ground;
use crate::process::launch::Prepared;
use crate::process::pacing::StartPermit;
use crate::process::process_tree::Marker;
use crate::run::end::{self, CleanUp};
use crate::run::error::RunError;
use crate::run::request::RunRequest;
use crate::runtime::blocking::{unblock, unblock_bound};

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
    host: Arc<Host>,
    request: Arc<RunRequest>,
    delay: Duration,
) -> StartPermit {
    launch::turn(&host, request.config.isolation().data(), delay).await
}

/// Looks at and makes everything that the run depends on.
pub(super) async fn prepare(
    host: Arc<Host>,
    request: Arc<RunRequest>,
    permit: StartPermit,
    is_first: bool,
) -> Result<Ready, RunError> {
    let runtime = Arc::clone(&host.runtime);
    let planned = {
        let host = Arc::clone(&host);
        unblock(&runtime, move || plan(&host, &request, is_first)).await?
    };
    let Planned { invocation, marker, plan, log } = planned;
    let prepared =
        unblock_bound(&runtime, move || Prepared::make(&host, invocation, marker, plan)).await?;
    Ok(Ready { prepared, log: log.map(|log| Log::new(log, runtime)), permit })
}

/// All that is left is to start the process.
pub(super) struct Ready {
    prepared: Prepared,
    log: Option<Log>,
    permit: StartPermit,
}

impl Ready {
    /// Leaves nothing of what was made, when nothing is to be started any more.
    pub(super) fn clean_up(self) -> impl Future<Output = CleanUp> + Send {
        end::clean_up(self.prepared.remains, self.log, None)
    }
}

pub(super) async fn start(
    host: Arc<Host>,
    request: Arc<RunRequest>,
    ready: Ready,
) -> Result<Attempt, RunError> {
    let Ready { prepared, log, permit } = ready;
    let started = launch::spawn(&host, prepared).await?;
    Ok(Attempt::new(host, &request, started, log, permit))
}

/// Looks at everything that the run depends on. Blocks, perhaps for long: on files of the caller's.
fn plan(host: &Host, request: &RunRequest, is_first: bool) -> Result<Planned, RunError> {
    let ground = Ground::explore(host, &request.config, request.directory.as_deref())?;
    let Ground { program, directory, marker, plan } = ground;
    let prompt = request.prompt.clone();
    let invocation = Invocation::run(program, prompt, directory, &request.config, &plan)?;

    let log = request.log.clone().map(|mut log| {
        // A retry goes on where the first try left off: it left off before the first event.
        if !is_first {
            log.mode = EventLogMode::Append;
        }
        EventLog::open(log)
    });
    let log = log.transpose().map_err(RunError::LogOpen)?;
    Ok(Planned { invocation, marker, plan, log })
}
