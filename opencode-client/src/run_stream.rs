//! The pump of run mode: it carries the machine's actions out and tells it what happens. All decisions are the
//! machine's.

mod attempt;
mod end;
mod input;
mod log;
mod start;

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use opencode_proto::{Answer, RunEnd, RunEvent};

use crate::error::{RunError, RunReport};
use crate::opencode::Inner;
use crate::request::RunRequest;

use attempt::{Attempt, Progress};

/// The events of a run, as they come.
///
/// The stream ends when the run has; [`outcome`](Self::outcome) says how. It drives the run only while it is polled:
/// a program that does not read makes OpenCode wait.
///
/// # Cancel safety
///
/// Waiting for the next event loses nothing when it is cancelled. Dropping the stream ends the process and everything
/// that its tools started, and removes its private files, before the drop returns. That blocks the thread for some
/// milliseconds; [`cancel`](Self::cancel) and then waiting for the outcome does not.
#[must_use = "a run does nothing unless it is polled"]
pub struct RunStream {
    inner: Arc<Inner>,
    request: Arc<RunRequest>,
    phase: Phase,
    /// How often the run was started.
    attempts: u32,
    cancelled: bool,
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

enum Phase {
    Created,
    Starting(BoxFuture<Result<Attempt, RunError>>),
    Running(Box<Attempt>),
    Ending(BoxFuture<Result<RunReport, RunError>>),
    Ended(Result<RunReport, RunError>),
    Taken,
}

impl RunStream {
    pub(crate) fn new(inner: Arc<Inner>, request: RunRequest) -> Self {
        let request = Arc::new(request);
        Self { inner, request, phase: Phase::Created, attempts: 0, cancelled: false }
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
        match std::mem::replace(&mut self.phase, Phase::Taken) {
            Phase::Ended(result) => result,
            Phase::Created | Phase::Starting(_) | Phase::Running(_) | Phase::Ending(_) | Phase::Taken => {
                unreachable!("the stream ends when the run has ended")
            }
        }
    }

    /// Ends the run. The stream goes on until it has ended; its end is then [`RunEnd::Cancelled`], unless it was
    /// complete before.
    pub fn cancel(&mut self) {
        self.cancelled = true;
        if let Phase::Running(attempt) = &mut self.phase {
            attempt.cancel();
        }
    }

    /// What was gathered so far.
    pub fn answer(&self) -> Option<&Answer> {
        match &self.phase {
            Phase::Running(attempt) => Some(attempt.answer()),
            Phase::Ended(result) => match result {
                Ok(report) => Some(report.answer()),
                Err(error) => error.report().map(RunReport::answer),
            },
            Phase::Created | Phase::Starting(_) | Phase::Ending(_) | Phase::Taken => None,
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<RunEvent>> {
        loop {
            match &mut self.phase {
                Phase::Created => self.start(std::time::Duration::ZERO),
                Phase::Starting(start) => match ready!(start.as_mut().poll(cx)) {
                    Ok(mut attempt) => {
                        if self.cancelled {
                            attempt.cancel();
                        }
                        self.phase = Phase::Running(Box::new(attempt));
                    }
                    Err(error) => self.phase = Phase::Ended(Err(error)),
                },
                Phase::Running(attempt) => match ready!(attempt.poll_progress(cx)) {
                    Progress::Event(event) => return Poll::Ready(Some(*event)),
                    Progress::Finished(outcome) => {
                        let end = attempt.end(*outcome, self.attempts);
                        self.phase = Phase::Ending(Box::pin(end));
                    }
                },
                Phase::Ending(end) => {
                    let result = ready!(end.as_mut().poll(cx));
                    self.phase = Phase::Ended(result);
                    self.retry();
                }
                Phase::Ended(_) | Phase::Taken => return Poll::Ready(None),
            }
        }
    }

    fn start(&mut self, delay: std::time::Duration) {
        self.attempts += 1;
        let start = start::start(Arc::clone(&self.inner), Arc::clone(&self.request), delay, self.attempts);
        self.phase = Phase::Starting(Box::pin(start));
    }

    /// Starts once more when that can help. No event was handed out then.
    fn retry(&mut self) {
        let Phase::Ended(Err(RunError::Ended(report))) = &self.phase else { return };
        if !matches!(report.outcome.end, RunEnd::StartupDatabase { .. }) || self.cancelled {
            return;
        }
        if let Some(delay) = self.request.retry.delay_before(self.attempts - 1) {
            tracing::debug!(attempts = self.attempts, ?delay, "the database was in use at the start");
            self.start(delay);
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
        let phase = match self.phase {
            Phase::Created => "created",
            Phase::Starting(_) => "starting",
            Phase::Running(_) => "running",
            Phase::Ending(_) => "ending",
            Phase::Ended(_) | Phase::Taken => "ended",
        };
        f.debug_struct("RunStream")
            .field("request", &self.request)
            .field("phase", &phase)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}
