//! A run as a process: it carries the machine's actions out and tells it what happens. All decisions are the machine's.

mod attempt;
mod input;
mod start;

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use opencode_proto::{Answer, RunEnd, RunEvent};

use crate::error::{RunError, RunReport};
use crate::inner::Inner;
use crate::pacing::StartPermit;
use crate::request::RunRequest;

use super::end::{self, CleanUp};
use super::{BoxFuture, RunResult};
use attempt::{Attempt, Progress};

pub(super) struct ProcessRun {
    inner: Arc<Inner>,
    request: Arc<RunRequest>,
    phase: Phase,
    /// How often the run was started.
    attempts: u32,
    cancelled: bool,
}

enum Phase {
    Created,
    /// For its turn to start; with what the try before it came to.
    Waiting(BoxFuture<StartPermit>, Option<Box<RunReport>>),
    Starting(BoxFuture<Result<Attempt, RunError>>),
    Running(Box<Attempt>),
    Ending(Box<RunReport>, BoxFuture<CleanUp>),
    Ended(Box<RunResult>),
    Taken,
}

impl ProcessRun {
    pub(super) fn new(inner: Arc<Inner>, request: Arc<RunRequest>) -> Self {
        Self { inner, request, phase: Phase::Created, attempts: 0, cancelled: false }
    }

    /// How it ended, once.
    pub(super) fn take_result(&mut self) -> Option<RunResult> {
        match mem::replace(&mut self.phase, Phase::Taken) {
            Phase::Ended(result) => Some(*result),
            Phase::Created
            | Phase::Waiting(..)
            | Phase::Starting(_)
            | Phase::Running(_)
            | Phase::Ending(..)
            | Phase::Taken => None,
        }
    }

    pub(super) fn cancel(&mut self) {
        self.cancelled = true;
        if let Phase::Running(attempt) = &mut self.phase {
            attempt.cancel();
        }
    }

    pub(super) fn phase(&self) -> &'static str {
        self.phase.name()
    }

    pub(super) fn answer(&self) -> Option<&Answer> {
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

    pub(super) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<RunEvent>> {
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
        let Phase::Ending(report, _) = mem::replace(&mut self.phase, Phase::Taken) else {
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

impl Phase {
    fn name(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Waiting(..) => "waiting",
            Self::Starting(_) => "starting",
            Self::Running(_) => "running",
            Self::Ending(..) => "ending",
            Self::Ended(_) | Self::Taken => "ended",
        }
    }
}
