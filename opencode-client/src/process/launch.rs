//! Launch of a process, for runs and servers: the place in the queue, the preparations, the spawn.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use opencode_config::{
    DataHome, Invocation, IsolationPlan, ProgramCommand, RunConfig, RunConfigError, Version,
};

use crate::process::binary::BinaryNotFound;
use crate::process::cleanup::CleanupGuard;
use crate::process::drop_order::DropOrder;

use crate::process::host::{Host, LocalDirectory, NoDirectory, existing, os_command};
use crate::process::machine;
use crate::process::pacing::{StartPermit, StartPoll};
use crate::process::plugins::{self, PluginInstall};
use crate::process::private_dir::{self, PrivateDir, PrivateDirError};
use crate::process::process_tree::Marker;
use crate::process::ripgrep::{self, RipgrepMissing};
use crate::process::run_tree::RunTree;
use crate::process::warning::Warning;
use crate::runtime::wait::poll_timer;
use crate::runtime::{Process, Timer};

/// Waits for `delay`, and then for a permit to start a process with this data directory.
pub(crate) async fn turn(host: &Host, data_home: &DataHome, delay: Duration) -> StartPermit {
    if !delay.is_zero() {
        host.runtime.timer(host.runtime.now() + delay).await;
    }
    let data_home = match data_home {
        DataHome::At(path) => Some(path.clone()),
        DataHome::Private => None,
        // All runs in the user's data directory share one database.
        DataHome::User => Some(PathBuf::new()),
        // A directory of a kind that is not known here may be shared as well.
        _ => Some(PathBuf::new()),
    };
    let mut place = host.starts.queue(data_home);
    let mut timer: Option<Pin<Box<dyn Timer>>> = None;
    poll_fn(|cx| {
        loop {
            match place.poll_start(cx, host.runtime.now()) {
                StartPoll::Go(permit) => return Poll::Ready(permit),
                StartPoll::Wait { until: None } => return Poll::Pending,
                StartPoll::Wait { until: Some(at) } => {
                    ready!(poll_timer(&*host.runtime, &mut timer, at, cx));
                }
            }
        }
    })
    .await
}

/// Everything resolved before the first side effect.
pub(crate) struct LaunchPlan {
    pub(crate) program: ProgramCommand,
    pub(crate) directory: LocalDirectory,
    pub(crate) marker: Marker,
    pub(crate) plan: IsolationPlan,
    pub(crate) ripgrep: Option<RipgrepMissing>,
    /// npm packages of the plugins that the configuration names.
    pub(crate) plugins: BTreeSet<String>,
}

/// Error of [`LaunchPlan::explore`].
pub(crate) enum LaunchPlanError {
    Binary(BinaryNotFound),
    Config(RunConfigError),
    Directory { path: PathBuf, source: io::Error },
}

impl LaunchPlan {
    /// Resolves everything that a process depends on. Blocks, and may block for long on files of
    /// the caller. `program` is the one that the check of the version has found.
    pub(crate) fn explore(
        host: &Host,
        program: Option<ProgramCommand>,
        config: &RunConfig,
        directory: Option<&Path>,
    ) -> Result<Self, LaunchPlanError> {
        let program = match program {
            Some(program) => program,
            None => host.binary.locate(&host.environment).map_err(LaunchPlanError::Binary)?,
        };
        let directory = existing(directory)?;
        let marker = Marker::new(host.environment.var(Marker::NAME), host.runtime.secret());
        let root = PrivateDir::root(&host.temp_dir, marker.token());
        let sources = config.sources(&host.environment);
        let read = sources.into_iter().map(private_dir::read_source).collect();
        let plan = IsolationPlan::new(config, &host.environment, &root, read)
            .map_err(LaunchPlanError::Config)?;
        let ripgrep = ripgrep::check(config, &program, &plan);
        // The files of a wrapper may be elsewhere.
        let plugins = match program.args() {
            [] => plugins::find(host, config, &plan, &directory.path),
            _ => BTreeSet::new(),
        };
        Ok(Self { program, directory, marker, plan, ripgrep, plugins })
    }
}

impl From<NoDirectory> for LaunchPlanError {
    fn from(NoDirectory { path, source }: NoDirectory) -> Self {
        Self::Directory { path, source }
    }
}

/// Everything created before the process starts.
pub(crate) struct Prepared {
    pub(crate) invocation: Invocation,
    pub(crate) marker: Marker,
    pub(crate) cleanup: CleanupGuard,
    pub(crate) install: PluginInstall,
    pub(crate) warnings: Vec<Warning>,
}

impl Prepared {
    /// Creates everything that the process needs. Blocks.
    pub(crate) fn make(
        host: &Arc<Host>,
        mut invocation: Invocation,
        marker: Marker,
        plan: IsolationPlan,
        ripgrep: Option<RipgrepMissing>,
    ) -> Result<Self, PrivateDirError> {
        invocation.env.set(Marker::NAME, marker.value());
        let (cleanup, guarded) = CleanupGuard::create(host, &marker, &plan)?;
        let mut warnings: Vec<_> = plan.warnings.into_iter().map(Warning::Config).collect();
        warnings.extend(ripgrep.map(Warning::Ripgrep));
        warnings.extend(guarded.err().map(Arc::new).map(Warning::Guardian));
        Ok(Self { invocation, marker, cleanup, install: PluginInstall::default(), warnings })
    }
}

/// A started process.
pub(crate) struct StartedProcess {
    /// The remains go first: then the process has ended when the exit is dropped, which leaves no
    /// zombie.
    pub(crate) process: DropOrder<CleanupGuard, Process>,
    pub(crate) invocation: Invocation,
    /// Packages that the process installs for all runs.
    pub(crate) install: PluginInstall,
    pub(crate) warnings: Vec<Warning>,
}

/// Error of [`spawn`].
pub(crate) struct SpawnError {
    pub(crate) command: String,
    pub(crate) version: Option<Version>,
    pub(crate) source: io::Error,
}

pub(crate) async fn spawn(host: &Host, prepared: Prepared) -> Result<StartedProcess, SpawnError> {
    let Prepared { invocation, marker, cleanup, install, warnings } = prepared;
    let version = invocation.version.as_ref().map(tracing::field::display);
    tracing::debug!(command = %invocation, version, "process starting");
    match host.runtime.process(os_command(&invocation)) {
        Ok(process) => {
            let cleanup = cleanup.with_tree(RunTree::new(&*host.runtime, process.id, marker));
            let process = DropOrder::new(cleanup, process);
            Ok(StartedProcess { process, invocation, install, warnings })
        }
        Err(source) => {
            // The caller gets the error of the start; the guardian still knows the directory.
            if let Err(error) = cleanup.remove().await {
                tracing::warn!(%error, "cannot clean up after a process that did not start");
            }
            let source = machine::explain_spawn(source);
            Err(SpawnError {
                command: invocation.command_line(),
                version: invocation.version,
                source,
            })
        }
    }
}
