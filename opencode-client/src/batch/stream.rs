use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use futures_core::Stream;
use opencode_proto::{BatchCounts, Spend};

use super::error::BatchError;
use super::event::BatchEvent;
use super::plan::{Plan, plan};
use super::report::BatchReport;
use super::request::{BatchRequest, BatchServers};
use super::running::{Progress, Running};
use crate::process::host::Host;
use crate::runtime::cancel::{CancelHandle, CancelSignal};

/// What happens in a batch, as it happens.
///
/// The stream ends when all jobs have ended and no server is left; [`outcome`](Self::outcome) has everything. It drives
/// the batch only while it is polled.
///
/// # Cancel safety
///
/// Waiting for the next event loses nothing when it is cancelled. Dropping the stream ends the servers that were started
/// for it, with everything that their tools started, before the drop returns; on others it aborts what runs, in the
/// background. [`cancel`](Self::cancel) and then waiting for the outcome tells what was done.
#[must_use = "a batch does nothing unless it is polled"]
pub struct BatchStream {
    host: Arc<Host>,
    phase: Phase,
    is_cancelled: bool,
    cancel: CancelSignal,
}

type Planning = Pin<Box<dyn Future<Output = Result<(Plan, BatchServers), BatchError>> + Send>>;

enum Phase {
    Created(Box<BatchRequest>),
    Planning { planning: Planning, begun: Instant, turns: opencode_proto::Retention },
    Running(Box<Running>),
    Ended(Box<Result<BatchReport, BatchError>>),
    Taken,
}

impl BatchStream {
    pub(crate) fn new(host: Arc<Host>, request: BatchRequest) -> Self {
        let phase = Phase::Created(Box::new(request));
        Self { host, phase, is_cancelled: false, cancel: CancelSignal::new() }
    }

    /// The next event, `None` when there are no more.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn next_event(&mut self) -> Option<BatchEvent> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// Begins no more jobs, and aborts those that run. The stream goes on until they have ended.
    pub fn cancel(&mut self) {
        self.is_cancelled = true;
        if let Phase::Running(running) = &mut self.phase {
            running.cancel();
        }
    }

    /// Returns a handle that another task can cancel the batch with.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.handle()
    }

    /// What all jobs have used so far.
    pub fn spend(&self) -> Spend {
        match &self.phase {
            Phase::Running(running) => running.spend(),
            Phase::Ended(result) => match &**result {
                Ok(report) => report.spend,
                Err(error) => error.report().map(|report| report.spend).unwrap_or_default(),
            },
            Phase::Created(_) | Phase::Planning { .. } | Phase::Taken => Spend::default(),
        }
    }

    /// How many jobs are in which state; `None` before the batch begins and after its end.
    pub fn counts(&self) -> Option<BatchCounts> {
        match &self.phase {
            Phase::Running(running) => Some(running.counts()),
            Phase::Created(_) | Phase::Planning { .. } | Phase::Ended(_) | Phase::Taken => None,
        }
    }

    /// Waits for the end of the batch, dropping the events that nobody took.
    ///
    /// # Errors
    ///
    /// When the batch could not be begun, or its results not be written. That jobs fail is in the report.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is dropping the stream.
    pub async fn outcome(mut self) -> Result<BatchReport, BatchError> {
        while self.next_event().await.is_some() {}
        match std::mem::replace(&mut self.phase, Phase::Taken) {
            Phase::Ended(result) => *result,
            Phase::Created(_) | Phase::Planning { .. } | Phase::Running(_) | Phase::Taken => {
                unreachable!("the events have ended")
            }
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<BatchEvent>> {
        if self.cancel.poll_requested(cx) {
            self.cancel();
        }
        loop {
            match &mut self.phase {
                Phase::Created(_) => {
                    let Phase::Created(request) = std::mem::replace(&mut self.phase, Phase::Taken)
                    else {
                        unreachable!("it was just looked at")
                    };
                    let begun = self.host.runtime.now();
                    let (host, turns) = (Arc::clone(&self.host), request.turns);
                    let planning = Box::pin(async move { plan(&host, *request, begun).await });
                    self.phase = Phase::Planning { planning, begun, turns };
                }
                Phase::Planning { planning, begun, turns } => {
                    let planned = ready!(planning.as_mut().poll(cx));
                    self.phase = match planned {
                        Ok((plan, servers)) => {
                            let host = Arc::clone(&self.host);
                            let mut running = Running::new(host, plan, servers, *turns, *begun);
                            if self.is_cancelled {
                                running.cancel();
                            }
                            Phase::Running(Box::new(running))
                        }
                        Err(error) => Phase::Ended(Box::new(Err(error))),
                    };
                }
                Phase::Running(running) => match ready!(running.poll_progress(cx)) {
                    Progress::Event(event) => return Poll::Ready(Some(event)),
                    Progress::Finished(result) => self.phase = Phase::Ended(result),
                },
                Phase::Ended(_) | Phase::Taken => return Poll::Ready(None),
            }
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
            Phase::Created(_) => "created",
            Phase::Planning { .. } => "planning",
            Phase::Running(_) => "running",
            Phase::Ended(_) | Phase::Taken => "ended",
        };
        f.debug_struct("BatchStream")
            .field("phase", &phase)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
