//! The command `opencode --version`.

use std::future::poll_fn;
use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use opencode_config::{Invocation, IsolationPlan, ProgramCommand, RunConfig, RunConfigError};
use opencode_proto::{UnsupportedVersion, Version, parse_version};

use crate::process::binary::BinaryNotFound;
use crate::process::cleanup::CleanupError;
use crate::process::host::{Host, os_command};
use crate::process::launch::Prepared;
use crate::process::private_dir::{PrivateDir, PrivateDirError};
use crate::process::process_tree::Marker;
use crate::process::run_tree::RunTree;
use crate::runtime::blocking::{unblock, unblock_bound};
use crate::runtime::describe::debug_as_chain;
use crate::runtime::fair::Fair;
use crate::runtime::wait::poll_timer;
use crate::runtime::{ByteSource, Process, ProcessExit};

const LIMIT: Duration = Duration::from_secs(60);
const PRINTED_SIZE_MAX: usize = 4 << 10;

/// Error of `opencode --version`.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum VersionError {
    /// OpenCode is in none of the searched places.
    #[error(transparent)]
    Binary(#[from] BinaryNotFound),
    /// The cleanup after the command failed.
    #[error("cannot clean up after `--version`")]
    Cleanup(#[from] CleanupError),
    /// The environment is invalid.
    #[error("cannot isolate `--version`")]
    Config(#[from] RunConfigError),
    /// The version is not supported.
    #[error(
        "`{command}`: {unsupported}; install one with `npm i -g opencode-ai@1`, or set \
         OPENCODE_BINARY"
    )]
    Unsupported {
        /// The command that starts OpenCode, in shell syntax.
        command: String,
        /// The version, and the supported ones.
        unsupported: UnsupportedVersion,
    },
    /// The output contains no version.
    #[error("`{command}` printed no version: {printed}")]
    NoVersion {
        /// The command line, in shell syntax.
        command: String,
        /// The output.
        printed: String,
    },
    /// The private directory cannot be created.
    #[error("cannot isolate `--version`")]
    PrivateDir(#[from] PrivateDirError),
    /// The process cannot be started or awaited.
    #[error("cannot run `{command}`")]
    Process {
        /// The command line, in shell syntax.
        command: String,
        /// The error of the system.
        source: io::Error,
    },
    /// The process did not exit within the limit.
    #[error("`{command}` did not exit within {} s", limit.as_secs())]
    TimedOut {
        /// The command line, in shell syntax.
        command: String,
        /// Limit of the time.
        limit: Duration,
    },
}

debug_as_chain!(VersionError);

impl VersionError {
    pub(super) fn no_version(command: impl ToString, printed: &str) -> Self {
        Self::NoVersion { command: command.to_string(), printed: printed.trim().to_owned() }
    }

    /// Returns `true` if a retry may succeed with nothing changed by the caller.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::TimedOut { .. })
    }
}

/// Returns the version as the end of the name of a process or a server, for messages.
pub(crate) fn in_parentheses(version: Option<&Version>) -> String {
    version.map(|version| format!(" (OpenCode {version})")).unwrap_or_default()
}

pub(crate) async fn version(host: &Arc<Host>) -> Result<Version, VersionError> {
    let program = {
        let host = Arc::clone(host);
        unblock(&host.runtime.clone(), move || host.binary.locate(&host.environment)).await?
    };
    let printed = printed(host, program).await?;
    let version = parse_version(&printed.text);
    version.ok_or_else(|| VersionError::no_version(&printed.command, &printed.text))
}

/// Output of a command of OpenCode.
pub(crate) struct Printed {
    pub(crate) command: String,
    pub(crate) text: String,
    pub(crate) status: ExitStatus,
}

/// Runs `opencode --version`.
pub(super) async fn printed(
    host: &Arc<Host>,
    program: ProgramCommand,
) -> Result<Printed, VersionError> {
    let prepared = {
        let host = Arc::clone(host);
        unblock_bound(&host.runtime.clone(), move || prepare(&host, program)).await?
    };
    print(host, prepared, PRINTED_SIZE_MAX).await
}

/// Runs a command to the end, and returns the first part of the output.
pub(crate) async fn print(
    host: &Arc<Host>,
    prepared: Prepared,
    size_max: usize,
) -> Result<Printed, VersionError> {
    let Prepared { invocation, marker, cleanup, warnings, .. } = prepared;
    for warning in warnings {
        tracing::warn!(%warning, "command is not guarded");
    }
    let command = invocation.command_line();
    let process = match host.runtime.process(os_command(&invocation)) {
        Ok(process) => process,
        Err(source) => {
            cleanup.remove().await?;
            return Err(VersionError::Process { command, source });
        }
    };
    let Process { id, stdin, stdout, stderr, mut exit } = process;
    drop(stdin);
    // Declared after `exit`, so that the process has ended when `exit` is dropped, which leaves no
    // zombie.
    let cleanup = cleanup.with_tree(RunTree::new(&*host.runtime, id, marker));
    let printed = output(host, (stdout, stderr), &mut *exit, &command, size_max).await;
    // The drop ends a process that did not exit in time.
    if printed.is_ok() {
        cleanup.remove().await?;
    }
    let (printed, status) = printed?;
    Ok(Printed { command, text: String::from_utf8_lossy(&printed).into_owned(), status })
}

/// Creates a private directory, because even `--version` writes to its directories. Blocks.
fn prepare(host: &Arc<Host>, program: ProgramCommand) -> Result<Prepared, VersionError> {
    let marker = Marker::new(host.environment.var(Marker::NAME), host.runtime.secret());
    let root = PrivateDir::root(&host.temp_dir, marker.token());
    let config = RunConfig::default();
    let plan = IsolationPlan::new(&config, &host.environment, &root, Vec::new())?;
    let invocation = Invocation::version(program, root, &plan)?;
    Ok(Prepared::make(host, invocation, marker, plan, None)?)
}

/// Returns the output of the process and its status, after the exit.
async fn output(
    host: &Host,
    (stdout, stderr): (Box<dyn ByteSource>, Box<dyn ByteSource>),
    exit: &mut dyn ProcessExit,
    command: &str,
    size_max: usize,
) -> Result<(Vec<u8>, ExitStatus), VersionError> {
    let (mut stdout, mut stderr) = (Some(Fair::new(stdout)), Some(Fair::new(stderr)));
    let mut printed = Vec::new();
    let (mut timer, until) = (None, host.runtime.now() + LIMIT);
    let status = poll_fn(|cx| {
        read(&mut stderr, cx, |_| {});
        read(&mut stdout, cx, |chunk| {
            let room = size_max - printed.len();
            printed.extend_from_slice(&chunk[..chunk.len().min(room)]);
        });
        if stdout.is_none()
            && let Poll::Ready(exit) = exit.poll_exit(cx)
        {
            return Poll::Ready(match exit {
                Ok(status) => Ok(status),
                Err(source) => Err(VersionError::Process { command: command.to_owned(), source }),
            });
        }
        poll_timer(&*host.runtime, &mut timer, until, cx)
            .map(|()| Err(VersionError::TimedOut { command: command.to_owned(), limit: LIMIT }))
    })
    .await?;
    Ok((printed, status))
}

/// Reads the available chunks. An error counts as the end.
fn read(
    source: &mut Option<Fair<Box<dyn ByteSource>>>,
    cx: &mut Context<'_>,
    mut take: impl FnMut(&[u8]),
) {
    while let Some(open) = source {
        match open.poll_chunk(cx) {
            Poll::Ready(Ok(chunk)) if !chunk.is_empty() => take(&chunk),
            Poll::Ready(_) => *source = None,
            Poll::Pending => return,
        }
    }
}
