//! Output and exit of a process, as inputs of the machines.

use std::process::ExitStatus;
use std::task::{Context, Poll};

use bytes::Bytes;
use opencode_proto::Exit;

use crate::runtime::{ByteSource, ProcessExit};

/// Returns `None` while there is no chunk, and `Some(None)` at the end, which also removes the
/// source.
pub(crate) fn poll_chunk(
    source: &mut Option<Box<dyn ByteSource>>,
    cx: &mut Context<'_>,
) -> Option<Option<Bytes>> {
    let Poll::Ready(chunk) = source.as_mut()?.poll_chunk(cx) else { return None };
    let chunk = chunk
        .inspect_err(|error| tracing::warn!(%error, "cannot read the output of a process"))
        .ok()
        .filter(|chunk| !chunk.is_empty());
    if chunk.is_none() {
        *source = None;
    }
    Some(chunk)
}

/// Returns `None` before the exit, and `Some(None)` when the exit status is unknown.
pub(crate) fn poll_exit(
    exit: &mut Option<Box<dyn ProcessExit>>,
    cx: &mut Context<'_>,
) -> Option<Option<Exit>> {
    let Poll::Ready(status) = exit.as_mut()?.poll_exit(cx) else { return None };
    *exit = None;
    let status = status
        .inspect_err(|error| tracing::warn!(%error, "cannot read the exit status of a process"))
        .ok();
    Some(status.and_then(exit_of))
}

#[cfg(unix)]
fn exit_of(status: ExitStatus) -> Option<Exit> {
    use std::os::unix::process::ExitStatusExt;

    status.code().map(Exit::Code).or_else(|| status.signal().map(Exit::Signal))
}

#[cfg(not(unix))]
fn exit_of(status: ExitStatus) -> Option<Exit> {
    status.code().map(Exit::Code)
}
