//! Driver of a run as a process. The machine decides; the driver starts, retries and cleans up.

mod attempt;
mod input;
mod resume;
mod start;

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use opencode_proto::{Answer, RunEnd, RunEvent};

use crate::log::EventLogMode;
use crate::process::host::Host;
use crate::process::pacing::StartPermit;
use crate::run::error::RunError;
use crate::run::report::RunReport;
use crate::run::request::RunRequest;

use super::end::{self, CleanUp};
use super::error::RunResult;
use crate::runtime::wait::BoxFuture;
use attempt::{Attempt, AttemptProgress};
use start::{CheckedRun, ReadyRun};

/// A run as a process, in as many attempts as [`RunRequest::retry`] allows.
pub(super) struct ProcessRun {
    host: Arc<Host>,
    request: Arc<RunRequest>,
    /// How often a process was started.
    attempts: u32,
    state: ProcessRunState,
}

enum ProcessRunState {
    Created,
    /// The run waits in the queue of starts, after the attempt that failed, if any.
    Waiting {
        turn: BoxFuture<StartPermit>,
        failed: Option<Box<RunReport>>,
    },
    /// The version of the program and the session to continue are checked.
    Checking {
        check: BoxFuture<Result<CheckedRun, RunError>>,
        permit: Option<StartPermit>,
        failed: Option<Box<RunReport>>,
    },
    Preparing {
        ready: BoxFuture<Result<ReadyRun, RunError>>,
        intent: Intent,
        failed: Option<Box<RunReport>>,
    },
    Starting {
        attempt: BoxFuture<Result<Attempt, RunError>>,
        intent: Intent,
    },
    Running(Box<Attempt>),
    Ending {
        report: Box<RunReport>,
        clean_up: BoxFuture<CleanUp>,
    },
    Ended(Box<RunResult>),
    Taken,
}

/// Continuation of a step that cannot be broken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Intent {
    Cancel,
    GoOn,
}

impl ProcessRun {
    pub(super) fn new(host: Arc<Host>, request: Arc<RunRequest>) -> Self {
        Self { host, request, attempts: 0, state: ProcessRunState::Created }
    }

    /// Returns the result, once.
    pub(super) fn take_result(&mut self) -> Option<RunResult> {
        match mem::replace(&mut self.state, ProcessRunState::Taken) {
            ProcessRunState::Ended(result) => Some(*result),
            ProcessRunState::Created
            | ProcessRunState::Waiting { .. }
            | ProcessRunState::Checking { .. }
            | ProcessRunState::Preparing { .. }
            | ProcessRunState::Starting { .. }
            | ProcessRunState::Running(_)
            | ProcessRunState::Ending { .. }
            | ProcessRunState::Taken => None,
        }
    }

    /// Returns the result, until it is taken.
    pub(super) fn result(&self) -> Option<&RunResult> {
        if let ProcessRunState::Ended(result) = &self.state { Some(result) } else { None }
    }

    pub(super) fn cancel(&mut self) {
        match &mut self.state {
            ProcessRunState::Created => self.state = self.not_started(None),
            ProcessRunState::Waiting { failed, .. } | ProcessRunState::Checking { failed, .. } => {
                let failed = failed.take();
                self.state = self.not_started(failed);
            }
            ProcessRunState::Preparing { intent, .. }
            | ProcessRunState::Starting { intent, .. } => {
                *intent = Intent::Cancel;
            }
            ProcessRunState::Running(attempt) => attempt.cancel(),
            ProcessRunState::Ending { .. } | ProcessRunState::Ended(_) | ProcessRunState::Taken => {
            }
        }
    }

    /// Returns the name of the state.
    pub(super) fn phase(&self) -> &'static str {
        match self.state {
            ProcessRunState::Created => "created",
            ProcessRunState::Waiting { .. } => "waiting",
            ProcessRunState::Checking { .. } => "checking",
            ProcessRunState::Preparing { .. } => "preparing",
            ProcessRunState::Starting { .. } => "starting",
            ProcessRunState::Running(_) => "running",
            ProcessRunState::Ending { .. } => "ending",
            ProcessRunState::Ended(_) | ProcessRunState::Taken => "ended",
        }
    }

    pub(super) fn answer(&self) -> Option<&Answer> {
        match &self.state {
            ProcessRunState::Running(attempt) => Some(attempt.answer()),
            ProcessRunState::Ended(result) => match &**result {
                Ok(report) => Some(report.answer()),
                Err(error) => error.report().map(RunReport::answer),
            },
            ProcessRunState::Ending { report, .. } => Some(report.answer()),
            ProcessRunState::Created
            | ProcessRunState::Waiting { .. }
            | ProcessRunState::Checking { .. }
            | ProcessRunState::Preparing { .. }
            | ProcessRunState::Starting { .. }
            | ProcessRunState::Taken => None,
        }
    }

    pub(super) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<RunEvent>> {
        loop {
            let next = match &mut self.state {
                ProcessRunState::Created => self.wait(Duration::ZERO, None),
                ProcessRunState::Waiting { turn, failed } => {
                    let permit = ready!(turn.as_mut().poll(cx));
                    let (host, request) = (Arc::clone(&self.host), Arc::clone(&self.request));
                    let check = Box::pin(start::check(host, request));
                    ProcessRunState::Checking { check, permit: Some(permit), failed: failed.take() }
                }
                ProcessRunState::Checking { check, permit, failed } => {
                    let checked = ready!(check.as_mut().poll(cx));
                    match (checked, permit.take()) {
                        (Ok(checked), Some(permit)) => {
                            let failed = failed.take();
                            self.request = Arc::clone(&checked.request);
                            self.prepare(checked, permit, failed)
                        }
                        (Ok(_), None) => unreachable!("a run is checked once"),
                        (Err(error), _) => ProcessRunState::ended(Err(error)),
                    }
                }
                ProcessRunState::Preparing { ready, intent, failed } => {
                    match (ready!(ready.as_mut().poll(cx)), *intent) {
                        (Ok(ready), Intent::GoOn) => self.start(ready),
                        (Ok(ready), Intent::Cancel) => {
                            let report = cancelled(&self.host, &self.request, failed.take());
                            let clean_up = Box::pin(ready.clean_up());
                            ProcessRunState::Ending { report, clean_up }
                        }
                        (Err(error), _) => ProcessRunState::ended(Err(error)),
                    }
                }
                ProcessRunState::Starting { attempt, intent } => {
                    match ready!(attempt.as_mut().poll(cx)) {
                        Ok(mut attempt) => {
                            if *intent == Intent::Cancel {
                                attempt.cancel();
                            }
                            ProcessRunState::Running(Box::new(attempt))
                        }
                        Err(error) => ProcessRunState::ended(Err(error)),
                    }
                }
                ProcessRunState::Running(attempt) => match ready!(attempt.poll_progress(cx)) {
                    AttemptProgress::Event(event) => return Poll::Ready(Some(*event)),
                    AttemptProgress::Finished(outcome) => {
                        let (report, clean_up) = attempt.end(*outcome, self.attempts);
                        let (report, clean_up) = (Box::new(report), Box::pin(clean_up));
                        ProcessRunState::Ending { report, clean_up }
                    }
                },
                ProcessRunState::Ending { clean_up, .. } => {
                    let clean_up = ready!(clean_up.as_mut().poll(cx));
                    self.end(clean_up)
                }
                ProcessRunState::Ended(_) | ProcessRunState::Taken => return Poll::Ready(None),
            };
            self.state = next;
        }
    }

    fn wait(&self, delay: Duration, failed: Option<Box<RunReport>>) -> ProcessRunState {
        let turn = start::turn(Arc::clone(&self.host), Arc::clone(&self.request), delay);
        ProcessRunState::Waiting { turn: Box::pin(turn), failed }
    }

    fn prepare(
        &self,
        checked: CheckedRun,
        permit: StartPermit,
        failed: Option<Box<RunReport>>,
    ) -> ProcessRunState {
        let host = Arc::clone(&self.host);
        // A further attempt continues the log: the one before printed no event.
        let log_mode = (self.attempts > 0).then_some(EventLogMode::Append);
        let ready = Box::pin(start::prepare(host, checked, permit, log_mode));
        ProcessRunState::Preparing { ready, intent: Intent::GoOn, failed }
    }

    fn start(&mut self, ready: ReadyRun) -> ProcessRunState {
        self.attempts += 1;
        let (host, request) = (Arc::clone(&self.host), Arc::clone(&self.request));
        let attempt = Box::pin(start::start(host, request, ready));
        ProcessRunState::Starting { attempt, intent: Intent::GoOn }
    }

    fn not_started(&self, failed: Option<Box<RunReport>>) -> ProcessRunState {
        let report = cancelled(&self.host, &self.request, failed);
        ProcessRunState::ended(Err(RunError::Ended(report)))
    }

    /// Starts another attempt when that can help: then no event was handed out.
    fn end(&mut self, clean_up: CleanUp) -> ProcessRunState {
        let ending = mem::replace(&mut self.state, ProcessRunState::Taken);
        let ProcessRunState::Ending { report, .. } = ending else {
            unreachable!("only an ending run is cleaned up")
        };
        let retries = self.attempts.saturating_sub(1);
        let delay = self.request.retry.delay_before(retries);
        match (clean_up.conclude(report), delay) {
            (Err(RunError::Ended(report)), Some(delay))
                if matches!(report.outcome.end, RunEnd::StartupDatabase { .. }) =>
            {
                let attempts = self.attempts;
                tracing::debug!(attempts, ?delay, "database was in use, run is started again");
                self.wait(delay, Some(report))
            }
            (result, _) => ProcessRunState::ended(result),
        }
    }
}

/// Returns the report of a run that was cancelled before the start, or before the next attempt.
fn cancelled(host: &Host, request: &RunRequest, failed: Option<Box<RunReport>>) -> Box<RunReport> {
    let not_started = || end::not_started(&request.settings, host.runtime.now());
    let mut report = failed.unwrap_or_else(|| Box::new(not_started()));
    report.outcome.end = RunEnd::Cancelled;
    report
}

impl ProcessRunState {
    fn ended(result: RunResult) -> Self {
        Self::Ended(Box::new(result))
    }
}
