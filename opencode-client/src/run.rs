//! Runs: one prompt by `opencode run`, over a process or over a server.
//!
//! [`OpenCode::stream`](crate::OpenCode::stream) takes a [`RunRequest`] and yields the events of
//! the run; [`OpenCode::run`](crate::OpenCode::run) waits for the end. Both locate the program, lay
//! out the run's private directory, start `opencode run --format json` with the prompt on standard
//! input, and drive [`opencode_proto::Run`], which makes every decision. At the end the processes
//! and files of the run are gone, and the [`RunReport`] holds everything gathered, also when the
//! run failed ([`RunError::report`]).
//!
//! # Over a server
//!
//! A process takes seconds and half a gigabyte. With [`RunRequest::with_backend`], a run is a turn
//! of a server instead: one that is started for the run ([`Backend::NewServer`]), or one that any
//! number of runs share ([`Backend::Server`]). Events, [`RunReport`] and [`RunError`] are the same,
//! and a log holds the same lines.
//!
//! ```no_run
//! use opencode_tokio::{RunRequest, ServeRequest};
//!
//! # async fn example(opencode: opencode_tokio::OpenCode) -> Result<(), Box<dyn std::error::Error>> {
//! let server = opencode.serve(ServeRequest::new().with_directory("/src/project")).await?;
//! let request = RunRequest::new("Which licence does this project have?").with_backend(&server);
//! let mut run = opencode.stream(request);
//! while let Some(event) = run.next_event().await {
//!     if let Some(text) = event.text() {
//!         print!("{text}");
//!     }
//! }
//! let report = run.outcome().await?;
//! println!("{} tool calls, {} USD", report.answer().tools().len(), report.answer().cost());
//! # Ok(())
//! # }
//! ```
//!
//! The differences:
//!
//! - Text arrives while the model writes ([`RunEventKind::TextDelta`]); [`RunEvent::text`] yields
//!   each piece once over both.
//! - A turn that is aborted, by a deadline for example, ends with the text written until then and
//!   with an error that gives the reason. A process that is ended prints neither.
//! - For an unknown model, a server names the model; a process reports a failure without a cause.
//! - Some ends exist over a server only ([`RunEnd::ServerLost`], [`RunEnd::Aborted`]); a resumed
//!   run may belong to another directory.
//! - Permission requests are refused unless [`Approval::Auto`](crate::config::Approval::Auto)
//!   grants them; a new session never asks questions, and other questions are dismissed. The agent
//!   is looked up before the prompt is sent ([`AgentFallback`]).
//! - Settings that a server gets at the start cannot be changed on a shared server: environment,
//!   isolation, MCP servers, permissions and the like ([`RunError::Setting`]). Extra flags are not
//!   supported over any server ([`RunError::Flag`]).
//! - [`RunSettings::linger_limit`] and [`RunSettings::line_size_max`] apply to processes only.

mod end;
mod error;
mod process;
mod report;
pub(crate) mod request;
mod served;

use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::process::host::Host;
use crate::runtime::cancel::{CancelHandle, CancelSignal};
use crate::runtime::span::WorkSpan;
use crate::runtime::text::{TextSource, TextStream, poll_text};

pub use error::RunError;
use process::ProcessRun;
pub use report::RunReport;
pub use request::{Backend, RunRequest};

pub use opencode_proto::{
    AgentFallback, Answer, Deadlines, Diagnostic, Exit, LineCounts, Notice, Retention, RunEnd,
    RunEvent, RunEventKind, RunOutcome, RunSettings, Step, StepRole, TextDelta,
};

pub use crate::process::{StartPacing, StartupRetry, Warning};
use served::ServerRun;

/// Events of one run, in order of arrival.
///
/// The stream ends with the run, and [`outcome`](Self::outcome) returns the result. The run makes
/// progress only while the stream is polled: a process waits for a program that does not read, and
/// a server works on, with events kept for later. Awaiting the stream itself waits for the
/// result.
///
/// ```no_run
/// # async fn example(opencode: opencode_tokio::OpenCode) -> Result<(), opencode_tokio::RunError> {
/// let report = opencode.stream("Which licence does this project have?").await?;
/// println!("{}", report.text());
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
///
/// Waiting for the next event can be cancelled without loss. Dropping the stream ends the process,
/// or the server that was started for the run, with everything that tools started, and removes the
/// private files, before the drop returns. The drop blocks the thread for some milliseconds; to
/// avoid that, call [`cancel`](Self::cancel) and wait for the outcome. On a shared server, the turn
/// is aborted in the background.
#[must_use = "a run does nothing unless it is polled"]
pub struct RunStream {
    request: Arc<RunRequest>,
    driver: RunDriver,
    cancel: CancelSignal,
    span: WorkSpan,
}

enum RunDriver {
    Process(Box<ProcessRun>),
    Server(Box<ServerRun>),
}

impl RunStream {
    pub(crate) fn new(host: Arc<Host>, request: RunRequest) -> Self {
        let request = Arc::new(request);
        let directory = request.directory.as_ref().map(|directory| directory.display());
        let span = WorkSpan::of_run(directory, request.config.model());
        let driver = match request.backend {
            Backend::Process => {
                RunDriver::Process(Box::new(ProcessRun::new(host, Arc::clone(&request))))
            }
            Backend::NewServer | Backend::Server(_) => {
                RunDriver::Server(Box::new(ServerRun::new(host, Arc::clone(&request))))
            }
        };
        Self { request, driver, cancel: CancelSignal::new(), span }
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
        self.conclude()
    }

    /// Yields only the text of the model: see [`RunEvent::text`].
    ///
    /// A piece cannot be taken back. When a provider breaks off in the middle of an answer and
    /// OpenCode repeats the call, the pieces of both attempts come. The text of the outcome is that
    /// of the last attempt, and [`StreamedText`](crate::event::StreamedText) keeps a text that
    /// follows the events.
    ///
    /// ```no_run
    /// # async fn example(opencode: opencode_tokio::OpenCode) -> Result<(), opencode_tokio::RunError> {
    /// let mut text = opencode.stream("Which licence does this project have?").text_stream();
    /// while let Some(piece) = text.next_text().await {
    ///     print!("{}", piece?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn text_stream(self) -> TextStream<RunReport, RunError> {
        let cancel = self.cancel_handle();
        TextStream::new(self, cancel)
    }

    /// Ends the run. The stream goes on until the run has ended, as [`RunEnd::Cancelled`] unless
    /// the run ended by itself before. A run that waits in the queue of starts is not started.
    pub fn cancel(&mut self) {
        match &mut self.driver {
            RunDriver::Process(run) => run.cancel(),
            RunDriver::Server(run) => run.cancel(),
        }
    }

    /// Returns a handle that another task can cancel the run with.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.handle()
    }

    /// Returns the answer so far; `None` before the process was started or the server was ready.
    pub fn answer(&self) -> Option<&Answer> {
        match &self.driver {
            RunDriver::Process(run) => run.answer(),
            RunDriver::Server(run) => run.answer(),
        }
    }

    /// Returns the result, after the end and once.
    fn conclude(&mut self) -> Result<RunReport, RunError> {
        let result = match &mut self.driver {
            RunDriver::Process(run) => run.take_result(),
            RunDriver::Server(run) => run.take_result(),
        };
        result.expect("the stream ends when the run has ended")
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<RunEvent>> {
        let span = self.span.span();
        let _entered = span.enter();
        if self.cancel.poll_requested(cx) {
            self.cancel();
        }
        let event = self.poll_driver(cx);
        let session = self.answer().and_then(Answer::session).cloned();
        self.span.record_session(session.as_ref());
        if matches!(event, Poll::Ready(None))
            && let Some(result) = self.result()
        {
            let end = match result {
                Ok(report) => report.outcome.end.name(),
                Err(error) => error.end().map_or("not_started", RunEnd::name),
            };
            self.span.record_end(end);
        }
        event
    }

    fn result(&self) -> Option<&Result<RunReport, RunError>> {
        match &self.driver {
            RunDriver::Process(run) => run.result(),
            RunDriver::Server(run) => run.result(),
        }
    }

    fn poll_driver(&mut self, cx: &mut Context<'_>) -> Poll<Option<RunEvent>> {
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

impl IntoFuture for RunStream {
    type Output = Result<RunReport, RunError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Waits for the end: the same as [`outcome`](Self::outcome).
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.outcome())
    }
}

impl TextSource for RunStream {
    type Outcome = RunReport;
    type Error = RunError;

    fn poll_text(&mut self, cx: &mut Context<'_>) -> Poll<Option<String>> {
        poll_text(self, cx, RunEvent::text)
    }

    fn take_result(&mut self) -> Result<RunReport, RunError> {
        self.conclude()
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
