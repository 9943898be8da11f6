//! The pump of run mode: it carries the machine's actions out and tells it what happens. All decisions are the
//! machine's.

mod attempt;
mod end;
mod input;
mod start;

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use opencode_proto::{Answer, RunEnd, RunEvent};

use crate::error::{RunError, RunReport};
use crate::inner::Inner;
use crate::pacing::StartPermit;
use crate::request::RunRequest;

use attempt::{Attempt, Progress};
use end::CleanUp;

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
    /// For its turn to start; with what the try before it came to.
    Waiting(BoxFuture<StartPermit>, Option<Box<RunReport>>),
    Starting(BoxFuture<Result<Attempt, RunError>>),
    Running(Box<Attempt>),
    Ending(Box<RunReport>, BoxFuture<CleanUp>),
    Ended(Box<Result<RunReport, RunError>>),
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
            Phase::Ended(result) => *result,
            Phase::Created
            | Phase::Waiting(..)
            | Phase::Starting(_)
            | Phase::Running(_)
            | Phase::Ending(..)
            | Phase::Taken => {
                unreachable!("the stream ends when the run has ended")
            }
        }
    }

    /// Ends the run. The stream goes on until it has ended; its end is then [`RunEnd::Cancelled`], unless it had ended
    /// by itself before. A run that waits for its turn is not started any more.
    pub fn cancel(&mut self) {
        self.cancelled = true;
        if let Phase::Running(attempt) = &mut self.phase {
            attempt.cancel();
        }
    }

    /// What was gathered so far; `None` before the process was started.
    pub fn answer(&self) -> Option<&Answer> {
        match &self.phase {
            Phase::Running(attempt) => Some(attempt.answer()),
            Phase::Ended(result) => match &**result {
                Ok(report) => Some(report.answer()),
                Err(error) => error.report().map(RunReport::answer),
            },
            Phase::Ending(report, _) => Some(report.answer()),
            Phase::Created | Phase::Waiting(..) | Phase::Starting(_) | Phase::Taken => None,
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<RunEvent>> {
        loop {
            match &mut self.phase {
                Phase::Created => self.wait(Duration::ZERO, None),
                Phase::Waiting(_, before) if self.cancelled => {
                    let before = before.take();
                    self.end_before_start(before);
                }
                Phase::Waiting(turn, _) => {
                    let permit = ready!(turn.as_mut().poll(cx));
                    self.start(permit);
                }
                Phase::Starting(start) => match ready!(start.as_mut().poll(cx)) {
                    Ok(mut attempt) => {
                        if self.cancelled {
                            attempt.cancel();
                        }
                        self.phase = Phase::Running(Box::new(attempt));
                    }
                    Err(error) => self.phase = Phase::Ended(Box::new(Err(error))),
                },
                Phase::Running(attempt) => match ready!(attempt.poll_progress(cx)) {
                    Progress::Event(event) => return Poll::Ready(Some(*event)),
                    Progress::Finished(outcome) => {
                        let (report, clean_up) = attempt.end(*outcome, self.attempts);
                        self.phase = Phase::Ending(Box::new(report), Box::pin(clean_up));
                    }
                },
                Phase::Ending(_, clean_up) => {
                    let clean_up = ready!(clean_up.as_mut().poll(cx));
                    self.end(clean_up);
                }
                Phase::Ended(_) | Phase::Taken => return Poll::Ready(None),
            }
        }
    }

    fn wait(&mut self, delay: Duration, before: Option<Box<RunReport>>) {
        let turn = start::turn(Arc::clone(&self.inner), Arc::clone(&self.request), delay);
        self.phase = Phase::Waiting(Box::pin(turn), before);
    }

    fn start(&mut self, permit: StartPermit) {
        self.attempts += 1;
        let start =
            start::start(Arc::clone(&self.inner), Arc::clone(&self.request), permit, self.attempts);
        self.phase = Phase::Starting(Box::pin(start));
    }

    fn end_before_start(&mut self, before: Option<Box<RunReport>>) {
        let not_started = || end::not_started(&self.request.settings, self.inner.runtime.now());
        let mut report = before.unwrap_or_else(|| Box::new(not_started()));
        report.outcome.end = RunEnd::Cancelled;
        self.phase = Phase::Ended(Box::new(Err(RunError::Ended(report))));
    }

    /// Starts once more when that can help: then no event was handed out.
    fn end(&mut self, clean_up: CleanUp) {
        let Phase::Ending(report, _) = std::mem::replace(&mut self.phase, Phase::Taken) else {
            unreachable!("it was ending");
        };
        let delay = self.request.retry.delay_before(self.attempts - 1);
        self.phase = match (clean_up.conclude(report), delay) {
            (Err(RunError::Ended(report)), Some(delay))
                if matches!(report.outcome.end, RunEnd::StartupDatabase { .. }) =>
            {
                tracing::debug!(
                    attempts = self.attempts,
                    ?delay,
                    "the database was in use at the start"
                );
                return self.wait(delay, Some(report));
            }
            (result, _) => Phase::Ended(Box::new(result)),
        };
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
            Phase::Waiting(..) => "waiting",
            Phase::Starting(_) => "starting",
            Phase::Running(_) => "running",
            Phase::Ending(..) => "ending",
            Phase::Ended(_) | Phase::Taken => "ended",
        };
        f.debug_struct("RunStream")
            .field("request", &self.request)
            .field("phase", &phase)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}
