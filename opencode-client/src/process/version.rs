//! `opencode --version`.

use std::future::poll_fn;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use opencode_config::{Invocation, IsolationPlan, RunConfig, RunConfigError};

use crate::process::binary::{BinaryNotFound, Version, parse_version};
use crate::process::cleanup::{CleanupError, Remains};
use crate::process::host::{Host, os_command};
use crate::process::private_dir::{PrivateDir, PrivateDirError};
use crate::process::process_tree::Marker;
use crate::process::run_tree::RunTree;
use crate::runtime::blocking::unblock_bound;
use crate::runtime::{ByteSource, Process, ProcessExit};

const LIMIT: Duration = Duration::from_secs(30);
const PRINTED_SIZE_MAX: usize = 4 << 10;

/// Why the version of OpenCode could not be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VersionError {
    /// OpenCode is not installed where it was looked for.
    #[error(transparent)]
    Binary(#[from] BinaryNotFound),
    /// What it left behind could not be removed.
    #[error("cannot clean up after `--version`")]
    Cleanup(#[from] CleanupError),
    /// The environment is not usable.
    #[error("cannot isolate `--version`")]
    Config(#[from] RunConfigError),
    /// It ended without printing a version.
    #[error("`{command}` printed no version: {printed}")]
    NoVersion {
        /// The command, as a shell would take it.
        command: String,
        /// What it printed instead.
        printed: String,
    },
    /// The private directory could not be made.
    #[error("cannot isolate `--version`")]
    PrivateDir(#[from] PrivateDirError),
    /// The process could not be started, or broke off.
    #[error("cannot run `{command}`")]
    Process {
        /// The command, as a shell would take it.
        command: String,
        /// Why not.
        source: io::Error,
    },
    /// It did not answer in time.
    #[error("`{command}` did not answer within {} s", limit.as_secs())]
    TimedOut {
        /// The command, as a shell would take it.
        command: String,
        /// How long it had.
        limit: Duration,
    },
}

pub(crate) async fn version(host: &Arc<Host>) -> Result<Version, VersionError> {
    let (invocation, marker, remains) = {
        let host = Arc::clone(host);
        unblock_bound(&host.runtime.clone(), move || prepare(&host)).await?
    };
    let command = invocation.command_line();
    let process = match host.runtime.process(os_command(&invocation)) {
        Ok(process) => process,
        Err(source) => {
            remains.remove().await?;
            return Err(VersionError::Process { command, source });
        }
    };
    let Process { id, stdin, stdout, stderr, mut exit } = process;
    drop(stdin);
    // Declared after `exit`, so that the process has ended when `exit` is dropped, which then leaves no zombie.
    let remains = remains.with_tree(RunTree::new(&*host.runtime, id, marker));
    let printed = printed(host, stdout, stderr, &mut *exit, &command).await;
    // One that does not answer is ended by the drop.
    if printed.is_ok() {
        remains.remove().await?;
    }
    let printed = printed?;
    let text = String::from_utf8_lossy(&printed);
    parse_version(&text)
        .ok_or_else(|| VersionError::NoVersion { command, printed: text.trim().to_owned() })
}

/// Blocks. Even `--version` writes into the directories it is given.
fn prepare(host: &Arc<Host>) -> Result<(Invocation, Marker, Remains), VersionError> {
    let program = host.binary.locate(&host.environment)?;
    let marker = Marker::new(host.environment.var(Marker::NAME), host.runtime.secret());
    let root = PrivateDir::root(&host.temp_dir, marker.token());
    let config = RunConfig::default();
    let plan = IsolationPlan::new(&config, &host.environment, &root, Vec::new())?;
    let mut invocation = Invocation::run(program, "-", PathBuf::from("/"), &config, &plan)?;
    invocation.args = vec!["--version".into()];
    invocation.stdin = Bytes::new();
    invocation.env.set(Marker::NAME, marker.value());
    invocation.directory = root;
    let (remains, guarded) = Remains::create(host, &marker, &plan)?;
    if let Err(error) = guarded {
        tracing::warn!(%error, "nothing watches over `--version`");
    }
    Ok((invocation, marker, remains))
}

/// What the process prints until it ends.
async fn printed(
    host: &Host,
    stdout: Box<dyn ByteSource>,
    stderr: Box<dyn ByteSource>,
    exit: &mut dyn ProcessExit,
    command: &str,
) -> Result<Vec<u8>, VersionError> {
    let (mut stdout, mut stderr) = (Some(stdout), Some(stderr));
    let mut printed = Vec::new();
    let mut timer = host.runtime.timer(host.runtime.now() + LIMIT);
    poll_fn(|cx| {
        read(&mut stderr, cx, |_| {});
        read(&mut stdout, cx, |chunk| {
            let room = PRINTED_SIZE_MAX - printed.len();
            printed.extend_from_slice(&chunk[..chunk.len().min(room)]);
        });
        if stdout.is_none()
            && let Poll::Ready(exit) = exit.poll_exit(cx)
        {
            return Poll::Ready(match exit {
                Ok(_) => Ok(()),
                Err(source) => Err(VersionError::Process { command: command.to_owned(), source }),
            });
        }
        timer
            .as_mut()
            .poll(cx)
            .map(|()| Err(VersionError::TimedOut { command: command.to_owned(), limit: LIMIT }))
    })
    .await?;
    Ok(printed)
}

/// Reads what is there; what cannot be read is taken for the end.
fn read(
    source: &mut Option<Box<dyn ByteSource>>,
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
