//! The pump of run mode, over a process or over a server.

mod end;
mod error;
mod process;
mod report;
pub(crate) mod request;
mod served;

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use opencode_proto::{Answer, RunEvent};

use crate::process::host::Host;

pub use error::RunError;
use process::ProcessRun;
pub use report::RunReport;
pub use request::{Backend, RunRequest};
use served::ServerRun;

/// The events of a run, as they come.
///
/// The stream ends when the run has; [`outcome`](Self::outcome) says how. It drives the run only while it is polled:
/// a program that does not read makes a process wait. A server works on, and what happened is told later.
///
/// # Cancel safety
///
/// Waiting for the next event loses nothing when it is cancelled. Dropping the stream ends the process, or the
/// server that was started for the run, and everything that its tools started, and removes its private files, before the
/// drop returns. That blocks the thread for some milliseconds; [`cancel`](Self::cancel) and then waiting for the outcome
/// does not. On a server that was there already, the turn is aborted in the background.
#[must_use = "a run does nothing unless it is polled"]
pub struct RunStream {
    request: Arc<RunRequest>,
    run: Run,
}

enum Run {
    Process(Box<ProcessRun>),
    Server(Box<ServerRun>),
}

impl RunStream {
    pub(crate) fn new(host: Arc<Host>, request: RunRequest) -> Self {
        let request = Arc::new(request);
        let run = match request.backend {
            Backend::Process => Run::Process(Box::new(ProcessRun::new(host, Arc::clone(&request)))),
            Backend::NewServer | Backend::Server(_) => {
                Run::Server(Box::new(ServerRun::new(host, Arc::clone(&request))))
            }
        };
        Self { request, run }
    }

    /// The next event, `None` when there are no more.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn next_event(&mut self) -> Option<RunEvent> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// Waits for the end of the run, dropping the events that nobody took.
    ///
    /// # Errors
    ///
    /// As [`OpenCode::run`](crate::OpenCode::run).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is dropping the stream.
    pub async fn outcome(mut self) -> Result<RunReport, RunError> {
        while self.next_event().await.is_some() {}
        let result = match &mut self.run {
            Run::Process(run) => run.take_result(),
            Run::Server(run) => run.take_result(),
        };
        result.expect("the stream ends when the run has ended")
    }

    /// Ends the run. The stream goes on until it has ended; its end is then
    /// [`RunEnd::Cancelled`](opencode_proto::RunEnd::Cancelled), unless it had ended by itself before. A run that waits
    /// for its turn is not started any more.
    pub fn cancel(&mut self) {
        match &mut self.run {
            Run::Process(run) => run.cancel(),
            Run::Server(run) => run.cancel(),
        }
    }

    /// What was gathered so far; `None` before the process was started, or the server told what to do.
    pub fn answer(&self) -> Option<&Answer> {
        match &self.run {
            Run::Process(run) => run.answer(),
            Run::Server(run) => run.answer(),
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<RunEvent>> {
        match &mut self.run {
            Run::Process(run) => run.poll_event(cx),
            Run::Server(run) => run.poll_event(cx),
        }
    }
}

impl Stream for RunStream {
    type Item = RunEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<RunEvent>> {
        self.poll_event(cx)
    }
}

impl fmt::Debug for RunStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match &self.run {
            Run::Process(run) => run.phase(),
            Run::Server(run) => run.phase(),
        };
        f.debug_struct("RunStream")
            .field("request", &self.request)
            .field("phase", &phase)
            .finish_non_exhaustive()
    }
}
