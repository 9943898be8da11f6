//! From a request to a running process.

use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use opencode_config::{DataHome, Invocation, IsolationPlan};

use crate::blocking::{unblock, unblock_bound};
use crate::command::os_command;
use crate::error::{RunError, Warning};
use crate::event_log::EventLog;
use crate::inner::Inner;
use crate::pacing::{StartPermit, StartPoll};
use crate::private_dir::{self, PrivateDir};
use crate::process_tree::{Marker, ProcessTree};
use crate::remains::Remains;
use crate::request::RunRequest;
use crate::runtime::{Runtime, Timer};

use super::attempt::Attempt;

/// Everything that is ready before the process is started.
pub(super) struct Prepared {
    pub(super) invocation: Invocation,
    pub(super) marker: Marker,
    pub(super) remains: Remains,
    pub(super) log: Option<EventLog>,
    pub(super) warnings: Vec<Warning>,
}

/// Everything that is known before anything is made that has to be removed again.
struct Planned {
    marker: Marker,
    plan: IsolationPlan,
    invocation: Invocation,
    log: Option<EventLog>,
}

/// Waits for `delay`, and then for this run's turn to start.
pub(super) async fn turn(
    inner: Arc<Inner>,
    request: Arc<RunRequest>,
    delay: Duration,
) -> StartPermit {
    if !delay.is_zero() {
        inner.runtime.timer(inner.runtime.now() + delay).await;
    }
    permit(&inner, &request).await
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
    let prepared = {
        let inner = Arc::clone(&inner);
        unblock_bound(&runtime, move || prepare(&inner, planned)).await?
    };
    spawn(inner, request, prepared, permit).await
}

/// Waits for this run's turn to start.
async fn permit(inner: &Inner, request: &RunRequest) -> StartPermit {
    let data_home = match &request.config.isolation.data {
        DataHome::At(path) => Some(path.clone()),
        // All runs in the user's data directory share its database.
        DataHome::User => Some(PathBuf::new()),
        DataHome::Private => None,
    };
    let mut place = inner.starts.queue(data_home);
    let mut timer: Option<Pin<Box<dyn Timer>>> = None;
    poll_fn(|cx| {
        loop {
            match place.poll_start(cx, inner.runtime.now()) {
                StartPoll::Go(permit) => return Poll::Ready(permit),
                StartPoll::Wait { until: None } => return Poll::Pending,
                StartPoll::Wait { until: Some(at) } => {
                    ready!(poll_timer(&*inner.runtime, &mut timer, at, cx));
                }
            }
        }
    })
    .await
}

/// Ready when it is `at`.
pub(super) fn poll_timer(
    runtime: &dyn Runtime,
    timer: &mut Option<Pin<Box<dyn Timer>>>,
    at: Instant,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let timer = match timer {
        Some(timer) => {
            timer.as_mut().reset(at);
            timer
        }
        None => timer.insert(runtime.timer(at)),
    };
    timer.as_mut().poll(cx)
}

/// Looks at everything that the run depends on. Blocks, perhaps for long: on files of the caller's.
fn plan(inner: &Inner, request: &RunRequest, attempt: u32) -> Result<Planned, RunError> {
    let program = inner.binary.locate(&inner.environment)?;
    let directory = directory(request.directory.as_deref())?;
    let marker = Marker::new(inner.environment.var(Marker::NAME));
    let root = PrivateDir::root(&inner.temp_dir, marker.token());
    let sources = request.config.sources(&inner.environment);
    let read = sources.into_iter().map(private_dir::read_source).collect();
    let plan = IsolationPlan::new(&request.config, &inner.environment, &root, read)?;
    let prompt = request.prompt.clone();
    let mut invocation = Invocation::run(program, prompt, directory, &request.config, &plan)?;
    invocation.env.set(Marker::NAME, marker.value());

    let log = request.log.clone().map(|mut log| {
        // A retry goes on where the first try left off: it left off before the first event.
        if attempt > 1 {
            log.mode = crate::event_log::EventLogMode::Append;
        }
        EventLog::open(log)
    });
    let log = log.transpose().map_err(RunError::LogOpen)?;
    Ok(Planned { marker, plan, invocation, log })
}

/// Makes everything that the process needs. Blocks.
fn prepare(inner: &Arc<Inner>, planned: Planned) -> Result<Prepared, RunError> {
    let Planned { marker, plan, invocation, log } = planned;
    let (remains, guarded) = Remains::create(inner, &marker, &plan)?;
    let mut warnings: Vec<_> = plan.warnings.into_iter().map(Warning::Config).collect();
    warnings.extend(guarded.err().map(Warning::Guardian));
    Ok(Prepared { invocation, marker, remains, log, warnings })
}

fn directory(path: Option<&Path>) -> Result<PathBuf, RunError> {
    let path = path.unwrap_or_else(|| Path::new("."));
    let fail = |source| RunError::Directory { path: path.to_owned(), source };
    let absolute = std::path::absolute(path).map_err(fail)?;
    // Otherwise a missing directory would look like a missing program.
    std::fs::read_dir(&absolute).map_err(fail)?;
    Ok(absolute)
}

async fn spawn(
    inner: Arc<Inner>,
    request: Arc<RunRequest>,
    prepared: Prepared,
    permit: StartPermit,
) -> Result<Attempt, RunError> {
    let command = prepared.invocation.command_line();
    tracing::debug!(%command, "starting");
    match inner.runtime.process(os_command(&prepared.invocation)) {
        Ok(process) => {
            let tree = ProcessTree::new(process.id, prepared.marker.clone());
            Ok(Attempt::new(inner, &request, prepared, command, process, tree, permit))
        }
        Err(source) => {
            // The reason it did not start is what matters now; the guardian still knows of the directory.
            if let Err(error) = prepared.remains.remove().await {
                tracing::warn!(%error, "cannot clean up after a run that did not start");
            }
            Err(RunError::Spawn { command, source })
        }
    }
}
