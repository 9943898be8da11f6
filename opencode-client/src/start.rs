//! What a run and a server have in common before they run: their turn, what they depend on, and the spawn.

use std::future::poll_fn;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use opencode_config::{DataHome, Invocation, IsolationPlan, RunConfig, RunConfigError};

use crate::binary::BinaryNotFound;
use crate::command::os_command;
use crate::error::Warning;
use crate::inner::Inner;
use crate::pacing::{StartPermit, StartPoll};
use crate::private_dir::{self, PrivateDir, PrivateDirError};
use crate::process_tree::Marker;
use crate::remains::Remains;
use crate::run_tree::RunTree;
use crate::runtime::{Process, Runtime, Timer};

/// Waits for `delay`, and then for the turn to start of what keeps its data there.
pub(crate) async fn turn(inner: &Inner, data_home: &DataHome, delay: Duration) -> StartPermit {
    if !delay.is_zero() {
        inner.runtime.timer(inner.runtime.now() + delay).await;
    }
    let data_home = match data_home {
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
pub(crate) fn poll_timer(
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

/// Everything that is known before anything is made that has to be removed again.
pub(crate) struct Ground {
    pub(crate) program: PathBuf,
    pub(crate) directory: PathBuf,
    pub(crate) marker: Marker,
    pub(crate) plan: IsolationPlan,
}

/// Why there is no [`Ground`].
pub(crate) enum GroundError {
    Binary(BinaryNotFound),
    Config(RunConfigError),
    Directory { path: PathBuf, source: io::Error },
}

impl Ground {
    /// Looks at everything that a process depends on. Blocks, perhaps for long: on files of the caller's.
    pub(crate) fn explore(
        inner: &Inner,
        config: &RunConfig,
        directory: Option<&Path>,
    ) -> Result<Self, GroundError> {
        let program = inner.binary.locate(&inner.environment).map_err(GroundError::Binary)?;
        let directory = existing(directory)?;
        let marker = Marker::new(inner.environment.var(Marker::NAME));
        let root = PrivateDir::root(&inner.temp_dir, marker.token());
        let sources = config.sources(&inner.environment);
        let read = sources.into_iter().map(private_dir::read_source).collect();
        let plan = IsolationPlan::new(config, &inner.environment, &root, read)
            .map_err(GroundError::Config)?;
        Ok(Self { program, directory, marker, plan })
    }
}

/// A directory to work in that is not there.
pub(crate) struct NoDirectory {
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
}

impl From<NoDirectory> for GroundError {
    fn from(NoDirectory { path, source }: NoDirectory) -> Self {
        Self::Directory { path, source }
    }
}

/// The directory to work in, absolute, if it is there. Blocks.
pub(crate) fn existing(path: Option<&Path>) -> Result<PathBuf, NoDirectory> {
    let path = path.unwrap_or_else(|| Path::new("."));
    let fail = |source| NoDirectory { path: path.to_owned(), source };
    let absolute = std::path::absolute(path).map_err(fail)?;
    // Otherwise a missing directory would look like a missing program.
    std::fs::read_dir(&absolute).map_err(fail)?;
    Ok(absolute)
}

/// Everything that is ready before the process is started.
pub(crate) struct Prepared {
    pub(crate) invocation: Invocation,
    pub(crate) marker: Marker,
    pub(crate) remains: Remains,
    pub(crate) warnings: Vec<Warning>,
}

impl Prepared {
    /// Makes everything that the process needs. Blocks.
    pub(crate) fn make(
        inner: &Arc<Inner>,
        mut invocation: Invocation,
        marker: Marker,
        plan: IsolationPlan,
    ) -> Result<Self, PrivateDirError> {
        invocation.env.set(Marker::NAME, marker.value());
        let (remains, guarded) = Remains::create(inner, &marker, &plan)?;
        let mut warnings: Vec<_> = plan.warnings.into_iter().map(Warning::Config).collect();
        warnings.extend(guarded.err().map(Warning::Guardian));
        Ok(Self { invocation, marker, remains, warnings })
    }
}

/// A process that was started. Its fields are dropped in this order, so that the process has ended when its exit is
/// dropped, which then leaves no zombie.
pub(crate) struct Started {
    pub(crate) remains: Remains,
    pub(crate) process: Process,
    pub(crate) invocation: Invocation,
    pub(crate) warnings: Vec<Warning>,
}

/// A process that could not be started.
pub(crate) struct SpawnError {
    pub(crate) command: String,
    pub(crate) source: io::Error,
}

pub(crate) async fn spawn(inner: &Inner, prepared: Prepared) -> Result<Started, SpawnError> {
    let Prepared { invocation, marker, remains, warnings } = prepared;
    tracing::debug!(command = %invocation, "starting");
    match inner.runtime.process(os_command(&invocation)) {
        Ok(process) => {
            let remains = remains.with_tree(RunTree::new(&*inner.runtime, process.id, marker));
            Ok(Started { remains, process, invocation, warnings })
        }
        Err(source) => {
            // The reason it did not start is what matters now; the guardian still knows of the directory.
            if let Err(error) = remains.remove().await {
                tracing::warn!(%error, "cannot clean up after a process that did not start");
            }
            Err(SpawnError { command: invocation.command_line(), source })
        }
    }
}
