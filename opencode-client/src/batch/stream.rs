use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use futures_core::Stream;
use opencode_proto::{BatchCounts, Retention, Spend};

use super::driver::{BatchDriver, BatchProgress};
use super::error::BatchError;
use super::event::BatchEvent;
use super::plan::{Plan, plan};
use super::report::BatchReport;
use super::request::{BatchRequest, BatchServers};
use crate::process::host::Host;
use crate::runtime::cancel::{CancelHandle, CancelSignal};

/// Events of a batch, as they happen.
///
/// The stream ends when all jobs have ended and no server is left; [`outcome`](Self::outcome)
/// returns the report. The batch makes progress only while the stream is polled.
///
/// # Cancel safety
///
/// Cancelling the wait for the next event loses nothing. Dropping the stream ends the servers that
/// were started for the batch, with everything that their tools started, before the drop returns;
/// on given servers it aborts the running turns in the background. To learn the results of a batch
/// that is broken off, call [`cancel`](Self::cancel) and wait for the outcome.
///
/// ```no_run
/// # async fn example(opencode: opencode_tokio::OpenCode) -> Result<(), opencode_tokio::BatchError> {
/// use opencode_tokio::BatchRequest;
///
/// let mut batch = opencode.batch(BatchRequest::new(["Describe lib.rs.", "Describe main.rs."]));
/// while let Some(event) = batch.next_event().await {
///     println!("{event:?}, {} so far", batch.spend());
/// }
/// println!("{} jobs completed", batch.outcome().await?.completed());
/// # Ok(())
/// # }
/// ```
#[must_use = "a batch does nothing unless it is polled"]
pub struct BatchStream {
    host: Arc<Host>,
    phase: BatchPhase,
    cancel: CancelSignal,
}

type BatchPlanning = Pin<Box<dyn Future<Output = Result<(Plan, BatchServers), BatchError>> + Send>>;

enum BatchPhase {
    Created(Box<BatchRequest>, BatchIntent),
    Planning { planning: BatchPlanning, begun: Instant, turns: Retention, intent: BatchIntent },
    Running(Box<BatchDriver>),
    Ended(Box<Result<BatchReport, BatchError>>),
    Taken,
}

/// Intent of the caller before a batch runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BatchIntent {
    Cancel,
    Run,
}

impl BatchStream {
    pub(crate) fn new(host: Arc<Host>, request: BatchRequest) -> Self {
        let phase = BatchPhase::Created(Box::new(request), BatchIntent::Run);
        Self { host, phase, cancel: CancelSignal::new() }
    }

    /// Waits for the next event; `None` after the last one.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn next_event(&mut self) -> Option<BatchEvent> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// Begins no more jobs, and aborts those that run. The stream continues until they have ended.
    pub fn cancel(&mut self) {
        match &mut self.phase {
            BatchPhase::Created(_, intent) | BatchPhase::Planning { intent, .. } => {
                *intent = BatchIntent::Cancel;
            }
            BatchPhase::Running(driver) => driver.cancel(),
            BatchPhase::Ended(_) | BatchPhase::Taken => {}
        }
    }

    /// Returns a handle that another task can cancel the batch with.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.handle()
    }

    /// Returns the spend of all jobs so far, without earlier batches.
    pub fn spend(&self) -> Spend {
        match &self.phase {
            BatchPhase::Running(driver) => driver.spend(),
            BatchPhase::Ended(result) => match &**result {
                Ok(report) => report.spend,
                Err(error) => error.report().map(|report| report.spend).unwrap_or_default(),
            },
            BatchPhase::Created(..) | BatchPhase::Planning { .. } | BatchPhase::Taken => {
                Spend::default()
            }
        }
    }

    /// Returns the number of jobs in each state; `None` before the batch begins and after the end.
    pub fn counts(&self) -> Option<BatchCounts> {
        match &self.phase {
            BatchPhase::Running(driver) => Some(driver.counts()),
            BatchPhase::Created(..)
            | BatchPhase::Planning { .. }
            | BatchPhase::Ended(_)
            | BatchPhase::Taken => None,
        }
    }

    /// Waits for the end of the batch, and drops the events until then.
    ///
    /// # Errors
    ///
    /// [`BatchError`] when the batch could not begin, or results could not be written. Failed
    /// jobs are in the report.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the stream.
    pub async fn outcome(mut self) -> Result<BatchReport, BatchError> {
        while self.next_event().await.is_some() {}
        match mem::replace(&mut self.phase, BatchPhase::Taken) {
            BatchPhase::Ended(result) => *result,
            BatchPhase::Created(..)
            | BatchPhase::Planning { .. }
            | BatchPhase::Running(_)
            | BatchPhase::Taken => unreachable!("the events have ended"),
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<BatchEvent>> {
        if self.cancel.poll_requested(cx) {
            self.cancel();
        }
        loop {
            match &mut self.phase {
                BatchPhase::Created(..) => self.begin(),
                BatchPhase::Planning { planning, begun, turns, intent } => {
                    let planned = ready!(planning.as_mut().poll(cx));
                    self.phase = match planned {
                        Ok((plan, servers)) => {
                            let host = Arc::clone(&self.host);
                            let mut driver = BatchDriver::new(host, plan, servers, *turns, *begun);
                            if *intent == BatchIntent::Cancel {
                                driver.cancel();
                            }
                            BatchPhase::Running(Box::new(driver))
                        }
                        Err(error) => BatchPhase::Ended(Box::new(Err(error))),
                    };
                }
                BatchPhase::Running(driver) => match ready!(driver.poll_progress(cx)) {
                    BatchProgress::Event(event) => return Poll::Ready(Some(event)),
                    BatchProgress::Finished(result) => self.phase = BatchPhase::Ended(result),
                },
                BatchPhase::Ended(_) | BatchPhase::Taken => return Poll::Ready(None),
            }
        }
    }

    fn begin(&mut self) {
        match mem::replace(&mut self.phase, BatchPhase::Taken) {
            BatchPhase::Created(request, intent) => {
                let begun = self.host.runtime.now();
                let (host, turns) = (Arc::clone(&self.host), request.turns);
                let planning = Box::pin(async move { plan(&host, *request, begun).await });
                self.phase = BatchPhase::Planning { planning, begun, turns, intent };
            }
            phase @ (BatchPhase::Planning { .. }
            | BatchPhase::Running(_)
            | BatchPhase::Ended(_)
            | BatchPhase::Taken) => self.phase = phase,
        }
    }
}

impl Stream for BatchStream {
    type Item = BatchEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<BatchEvent>> {
        self.get_mut().poll_event(cx)
    }
}

impl IntoFuture for BatchStream {
    type Output = Result<BatchReport, BatchError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Waits for the end: the same as [`outcome`](Self::outcome).
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.outcome())
    }
}

impl fmt::Debug for BatchStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match &self.phase {
            BatchPhase::Created(..) => "created",
            BatchPhase::Planning { .. } => "planning",
            BatchPhase::Running(_) => "running",
            BatchPhase::Ended(_) | BatchPhase::Taken => "ended",
        };
        f.debug_struct("BatchStream")
            .field("phase", &phase)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
