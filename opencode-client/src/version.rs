//! `opencode --version`.

use std::future::poll_fn;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use opencode_config::{Invocation, IsolationPlan, RunConfig};

use crate::binary::{Version, parse_version};
use crate::blocking::unblock_bound;
use crate::command::os_command;
use crate::error::VersionError;
use crate::inner::Inner;
use crate::private_dir::PrivateDir;
use crate::process_tree::Marker;
use crate::remains::Remains;
use crate::run_tree::RunTree;
use crate::runtime::{ByteSource, Process, ProcessExit};

const LIMIT: Duration = Duration::from_secs(30);
const PRINTED_SIZE_MAX: usize = 4 << 10;

pub(crate) async fn version(inner: &Arc<Inner>) -> Result<Version, VersionError> {
    let (invocation, marker, remains) = {
        let inner = Arc::clone(inner);
        unblock_bound(&inner.runtime.clone(), move || prepare(&inner)).await?
    };
    let command = invocation.command_line();
    let process = match inner.runtime.process(os_command(&invocation)) {
        Ok(process) => process,
        Err(source) => {
            remains.remove().await?;
            return Err(VersionError::Process { command, source });
        }
    };
    let Process { id, stdin, stdout, stderr, mut exit } = process;
    drop(stdin);
    // Declared after `exit`, so that the process has ended when `exit` is dropped, which then leaves no zombie.
    let remains = remains.with_tree(RunTree::new(&*inner.runtime, id, marker));
    let printed = printed(inner, stdout, stderr, &mut *exit, &command).await;
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
fn prepare(inner: &Arc<Inner>) -> Result<(Invocation, Marker, Remains), VersionError> {
    let program = inner.binary.locate(&inner.environment)?;
    let marker = Marker::new(inner.environment.var(Marker::NAME));
    let root = PrivateDir::root(&inner.temp_dir, marker.token());
    let config = RunConfig::default();
    let plan = IsolationPlan::new(&config, &inner.environment, &root, Vec::new())?;
    let mut invocation = Invocation::run(program, "-", PathBuf::from("/"), &config, &plan)?;
    invocation.args = vec!["--version".into()];
    invocation.stdin = Bytes::new();
    invocation.env.set(Marker::NAME, marker.value());
    invocation.directory = root;
    let (remains, guarded) = Remains::create(inner, &marker, &plan)?;
    if let Err(error) = guarded {
        tracing::warn!(%error, "nothing watches over `--version`");
    }
    Ok((invocation, marker, remains))
}

/// What the process prints until it ends.
async fn printed(
    inner: &Inner,
    stdout: Box<dyn ByteSource>,
    stderr: Box<dyn ByteSource>,
    exit: &mut dyn ProcessExit,
    command: &str,
) -> Result<Vec<u8>, VersionError> {
    let (mut stdout, mut stderr) = (Some(stdout), Some(stderr));
    let mut printed = Vec::new();
    let mut timer = inner.runtime.timer(inner.runtime.now() + LIMIT);
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
