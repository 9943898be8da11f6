//! A run as a process: it carries the machine's actions out and tells it what happens. All decisions are the machine's.

mod attempt;
mod input;
mod start;

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use opencode_proto::{Answer, RunEnd, RunEvent};

use crate::process::host::Host;
use crate::process::pacing::StartPermit;
use crate::run::error::RunError;
use crate::run::report::RunReport;
use crate::run::request::RunRequest;

use super::end::{self, CleanUp};
use super::error::RunResult;
use crate::runtime::wait::BoxFuture;
use attempt::{Attempt, Progress};
use start::Ready;

pub(super) struct ProcessRun {
    host: Arc<Host>,
    request: Arc<RunRequest>,
    phase: Phase,
    /// How often the run was started.
    attempts: u32,
    /// What the try before this one came to.
    before: Option<Box<RunReport>>,
    cancelled: bool,
}

enum Phase {
    Created,
    /// For its turn to start.
    Waiting(BoxFuture<StartPermit>),
    Preparing(BoxFuture<Result<Ready, RunError>>),
    Starting(BoxFuture<Result<Attempt, RunError>>),
    Running(Box<Attempt>),
    Ending(Box<RunReport>, BoxFuture<CleanUp>),
    Ended(Box<RunResult>),
    Taken,
}

impl ProcessRun {
    pub(super) fn new(host: Arc<Host>, request: Arc<RunRequest>) -> Self {
        Self { host, request, phase: Phase::Created, attempts: 0, before: None, cancelled: false }
    }

    /// How it ended, once.
    pub(super) fn take_result(&mut self) -> Option<RunResult> {
        match mem::replace(&mut self.phase, Phase::Taken) {
            Phase::Ended(result) => Some(*result),
            Phase::Created
            | Phase::Waiting(_)
            | Phase::Preparing(_)
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
            Phase::Created
            | Phase::Waiting(_)
            | Phase::Preparing(_)
            | Phase::Starting(_)
            | Phase::Taken => None,
        }
    }

    pub(super) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<RunEvent>> {
        loop {
            match &mut self.phase {
                Phase::Created => self.wait(Duration::ZERO),
                Phase::Waiting(_) if self.cancelled => {
                    let report = self.not_started();
                    self.phase = Phase::Ended(Box::new(Err(RunError::Ended(report))));
                }
                Phase::Waiting(turn) => {
                    let permit = ready!(turn.as_mut().poll(cx));
                    self.prepare(permit);
                }
                Phase::Preparing(ready) => match ready!(ready.as_mut().poll(cx)) {
                    Ok(ready) if self.cancelled => {
                        let report = self.not_started();
                        self.phase = Phase::Ending(report, Box::pin(ready.clean_up()));
                    }
                    Ok(ready) => self.start(ready),
                    Err(error) => self.phase = Phase::Ended(Box::new(Err(error))),
                },
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

    fn wait(&mut self, delay: Duration) {
        let turn = start::turn(Arc::clone(&self.host), Arc::clone(&self.request), delay);
        self.phase = Phase::Waiting(Box::pin(turn));
    }

    fn prepare(&mut self, permit: StartPermit) {
        let (host, request) = (Arc::clone(&self.host), Arc::clone(&self.request));
        let is_first = self.attempts == 0;
        self.phase = Phase::Preparing(Box::pin(start::prepare(host, request, permit, is_first)));
    }

    fn start(&mut self, ready: Ready) {
        self.attempts += 1;
        let (host, request) = (Arc::clone(&self.host), Arc::clone(&self.request));
        self.phase = Phase::Starting(Box::pin(start::start(host, request, ready)));
    }

    /// What is told when it was cancelled before it was started, perhaps once more.
    fn not_started(&mut self) -> Box<RunReport> {
        let not_started = || end::not_started(&self.request.settings, self.host.runtime.now());
        let mut report = self.before.take().unwrap_or_else(|| Box::new(not_started()));
        report.outcome.end = RunEnd::Cancelled;
        report
    }

    /// Starts once more when that can help: then no event was handed out.
    fn end(&mut self, clean_up: CleanUp) {
        let Phase::Ending(report, _) = mem::replace(&mut self.phase, Phase::Taken) else {
            unreachable!("it was ending");
        };
        let retries = self.attempts.saturating_sub(1);
        let delay = self.request.retry.delay_before(retries);
        self.phase = match (clean_up.conclude(report), delay) {
            (Err(RunError::Ended(report)), Some(delay))
                if matches!(report.outcome.end, RunEnd::StartupDatabase { .. }) =>
            {
                tracing::debug!(
                    attempts = self.attempts,
                    ?delay,
                    "the database was in use at the start"
                );
                self.before = Some(report);
                return self.wait(delay);
            }
            (result, _) => Phase::Ended(Box::new(result)),
        };
    }
}

impl Phase {
    fn name(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Waiting(_) => "waiting",
            Self::Preparing(_) => "preparing",
            Self::Starting(_) => "starting",
            Self::Running(_) => "running",
            Self::Ending(..) => "ending",
            Self::Ended(_) | Self::Taken => "ended",
        }
    }
}
