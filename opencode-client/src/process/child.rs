//! Output and exit of a child process, as inputs of a machine.

use std::process::ExitStatus;
use std::task::{Context, Poll};

use bytes::Bytes;
use opencode_proto::Exit;

use crate::runtime::fair::Fair;
use crate::runtime::{ByteSource, ProcessExit};

/// Both outputs and the exit of a child process.
pub(crate) struct ChildOutput {
    stdout: Option<Fair<Box<dyn ByteSource>>>,
    stderr: Option<Fair<Box<dyn ByteSource>>>,
    exit: Option<Box<dyn ProcessExit>>,
}

/// Event of a child process.
#[derive(Debug)]
pub(crate) enum ChildEvent {
    /// The process has exited; `None` when its status could not be observed.
    Exit(Option<Exit>),
    Stderr(Bytes),
    StderrEnd,
    Stdout(Bytes),
    StdoutEnd,
}

/// Pace at which standard output is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StdoutPace {
    /// Nothing is read, which makes a process that prints wait.
    Hold,
    /// What is there is read.
    Read,
}

impl ChildOutput {
    pub(crate) fn new(
        stdout: Box<dyn ByteSource>,
        stderr: Box<dyn ByteSource>,
        exit: Box<dyn ProcessExit>,
    ) -> Self {
        let (stdout, stderr) = (Some(Fair::new(stdout)), Some(Fair::new(stderr)));
        Self { stdout, stderr, exit: Some(exit) }
    }

    /// Passes on what is ready, at most one event of each kind. Returns whether anything was.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        pace: StdoutPace,
        mut take: impl FnMut(ChildEvent),
    ) -> bool {
        let mut is_ready = false;
        let stdout = if pace == StdoutPace::Read { poll_chunk(&mut self.stdout, cx) } else { None };
        if let Some(chunk) = stdout {
            is_ready = true;
            take(chunk.map_or(ChildEvent::StdoutEnd, ChildEvent::Stdout));
        }
        if let Some(chunk) = poll_chunk(&mut self.stderr, cx) {
            is_ready = true;
            take(chunk.map_or(ChildEvent::StderrEnd, ChildEvent::Stderr));
        }
        if let Some(exit) = poll_exit(&mut self.exit, cx) {
            is_ready = true;
            take(ChildEvent::Exit(exit));
        }
        is_ready
    }
}

/// Returns the next chunk, `Some(None)` at the end of the source, and `None` before either.
fn poll_chunk(
    source: &mut Option<Fair<Box<dyn ByteSource>>>,
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

/// Returns the exit status, `Some(None)` when it could not be observed, and `None` before the exit.
fn poll_exit(
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
