//! Runs, as a process or over a server.

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

/// Events of one run, in order of arrival.
///
/// The stream ends with the run, and [`outcome`](Self::outcome) returns the result. The run makes
/// progress only while the stream is polled: a process waits for a program that does not read, and a
/// server works on, with its events kept for later.
///
/// # Cancel safety
///
/// Waiting for the next event can be cancelled without loss. Dropping the stream ends the process, or
/// the server that was started for the run, with everything that tools started, and removes the private
/// files, before the drop returns. The drop blocks the thread for some milliseconds; to avoid that, call
/// [`cancel`](Self::cancel) and wait for the outcome. On a shared server, the turn is aborted in the
/// background.
#[must_use = "a run does nothing unless it is polled"]
pub struct RunStream {
    request: Arc<RunRequest>,
    driver: RunDriver,
}

enum RunDriver {
    Process(Box<ProcessRun>),
    Server(Box<ServerRun>),
}

impl RunStream {
    pub(crate) fn new(host: Arc<Host>, request: RunRequest) -> Self {
        let request = Arc::new(request);
        let driver = match request.backend {
            Backend::Process => {
                RunDriver::Process(Box::new(ProcessRun::new(host, Arc::clone(&request))))
            }
            Backend::NewServer | Backend::Server(_) => {
                RunDriver::Server(Box::new(ServerRun::new(host, Arc::clone(&request))))
            }
        };
        Self { request, driver }
    }

    /// Returns the next event, or `None` at the end.
    ///
    /// # Cancel safety
    ///
    /// No event is lost.
    pub async fn next_event(&mut self) -> Option<RunEvent> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// Waits for the end of the run, and drops the events that were not taken.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`OpenCode::run`](crate::OpenCode::run).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the stream.
    pub async fn outcome(mut self) -> Result<RunReport, RunError> {
        while self.next_event().await.is_some() {}
        let result = match &mut self.driver {
            RunDriver::Process(run) => run.take_result(),
            RunDriver::Server(run) => run.take_result(),
        };
        result.expect("the stream ends when the run has ended")
    }

    /// Ends the run. The stream goes on until the run has ended, as
    /// [`RunEnd::Cancelled`](opencode_proto::RunEnd::Cancelled) unless the run ended by itself before. A
    /// run that waits for its turn to start is not started.
    pub fn cancel(&mut self) {
        match &mut self.driver {
            RunDriver::Process(run) => run.cancel(),
            RunDriver::Server(run) => run.cancel(),
        }
    }

    /// Returns the answer so far; `None` before the process was started or the server was ready.
    pub fn answer(&self) -> Option<&Answer> {
        match &self.driver {
            RunDriver::Process(run) => run.answer(),
            RunDriver::Server(run) => run.answer(),
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<RunEvent>> {
        match &mut self.driver {
            RunDriver::Process(run) => run.poll_event(cx),
            RunDriver::Server(run) => run.poll_event(cx),
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
        let phase = match &self.driver {
            RunDriver::Process(run) => run.phase(),
            RunDriver::Server(run) => run.phase(),
        };
        f.debug_struct("RunStream")
            .field("request", &self.request)
            .field("phase", &phase)
            .finish_non_exhaustive()
    }
}
