//! One process and its machine.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use opencode_proto::{Answer, Run, RunAction, RunEvent, RunEventKind, RunOutcome};

use crate::log::Log;
use crate::process::child::{poll_chunk, poll_exit};
use crate::process::cleanup::Remains;
use crate::process::host::Host;
use crate::process::launch::StartedProcess;
use crate::process::pacing::StartPermit;
use crate::process::run_tree::TreeJobs;
use crate::process::warning::Warning;
use crate::run::report::RunReport;
use crate::run::request::RunRequest;
use crate::runtime::wait::poll_timer;
use crate::runtime::{ByteSource, Process, ProcessExit, Timer};

use super::end::{self, CleanUp};
use super::input::Input;

pub(super) struct Attempt {
    /// Dropped first: the process has ended when `exit` is dropped, which then leaves no zombie.
    remains: Option<Remains>,
    run: Run,
    host: Arc<Host>,
    command: String,
    warnings: Vec<Warning>,
    stdin: Option<Input>,
    stdout: Option<Box<dyn ByteSource>>,
    stderr: Option<Box<dyn ByteSource>>,
    exit: Option<Box<dyn ProcessExit>>,
    timer: Option<Pin<Box<dyn Timer>>>,
    log: Option<Log>,
    /// Held until the run has started for good.
    permit: Option<StartPermit>,
    jobs: TreeJobs,
}

pub(super) enum Progress {
    Event(Box<RunEvent>),
    Finished(Box<RunOutcome>),
}

impl Attempt {
    pub(super) fn new(
        host: Arc<Host>,
        request: &RunRequest,
        started: StartedProcess,
        log: Option<Log>,
        permit: StartPermit,
    ) -> Self {
        let StartedProcess { remains, process, invocation, warnings } = started;
        let Process { stdin, stdout, stderr, exit, .. } = process;
        Self {
            remains: Some(remains),
            run: Run::new(request.run_settings(), host.runtime.now()),
            command: invocation.command_line(),
            warnings,
            stdin: Some(Input::new(stdin, invocation.stdin)),
            stdout: Some(stdout),
            stderr: Some(stderr),
            exit: Some(exit),
            timer: None,
            log,
            permit: Some(permit),
            jobs: TreeJobs::default(),
            host,
        }
    }

    pub(super) fn cancel(&mut self) {
        self.run.cancel(self.host.runtime.now());
    }

    pub(super) fn answer(&self) -> &Answer {
        self.run.answer()
    }

    /// Does what the machine says until there is something to hand out.
    pub(super) fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<Progress> {
        loop {
            match self.run.poll_action() {
                RunAction::Event(event) => {
                    if is_event(&event) {
                        self.permit = None;
                    }
                    if let Some(log) = &mut self.log {
                        log.add(event.event_type(), event.to_json_line());
                    }
                    return Poll::Ready(Progress::Event(event));
                }
                RunAction::Finished(outcome) => {
                    tracing::debug!(command = %self.command, end = %outcome.end.name(), "ended");
                    return Poll::Ready(Progress::Finished(outcome));
                }
                RunAction::Signal(signal) => {
                    tracing::debug!(command = %self.command, ?signal, "ending");
                    self.jobs.signal(signal);
                }
                RunAction::Sweep => {
                    self.permit = None;
                    self.jobs.sweep();
                }
                RunAction::Wait(wake) => {
                    let moved = self.poll_world(cx);
                    let woken = wake.is_some_and(|wake| {
                        poll_timer(&*self.host.runtime, &mut self.timer, wake, cx).is_ready()
                    });
                    // The clock is asked, not the timer: runtimes wake timers late and for other reasons.
                    if moved || woken {
                        self.run.handle_timeout(self.host.runtime.now());
                    } else {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// Looks at everything that can happen. Says whether anything did.
    fn poll_world(&mut self, cx: &mut Context<'_>) -> bool {
        let jobs = self.poll_jobs(cx);
        let log = self.log.as_mut().is_some_and(|log| log.poll(cx));
        let stdin = self.poll_stdin(cx);
        // A log that cannot keep up holds the run back.
        let full = self.log.as_ref().is_some_and(Log::is_full);
        let stdout = !full && self.poll_stdout(cx);
        let stderr = self.poll_stderr(cx);
        let exit = self.poll_exit(cx);
        jobs || log || stdin || stdout || stderr || exit
    }

    fn poll_jobs(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(tree) = self.remains.as_ref().and_then(Remains::tree) else { return false };
        self.jobs.poll(cx, &self.host.runtime, &tree)
    }

    fn poll_stdin(&mut self, cx: &mut Context<'_>) -> bool {
        let done = self.stdin.as_mut().is_some_and(|stdin| stdin.poll(cx).is_ready());
        if done {
            self.stdin = None;
        }
        done
    }

    fn poll_stdout(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(chunk) = poll_chunk(&mut self.stdout, cx) else { return false };
        let now = self.host.runtime.now();
        match chunk {
            Some(chunk) => self.run.handle_stdout(chunk, now),
            None => self.run.handle_stdout_end(now),
        }
        true
    }

    fn poll_stderr(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(chunk) = poll_chunk(&mut self.stderr, cx) else { return false };
        let now = self.host.runtime.now();
        match chunk {
            Some(chunk) => self.run.handle_stderr(chunk, now),
            None => self.run.handle_stderr_end(now),
        }
        true
    }

    fn poll_exit(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(exit) = poll_exit(&mut self.exit, cx) else { return false };
        self.run.handle_exit(exit, self.host.runtime.now());
        true
    }

    /// What it came to, and what is left to do after the machine has finished.
    pub(super) fn end(
        &mut self,
        outcome: RunOutcome,
        attempts: u32,
    ) -> (RunReport, impl Future<Output = CleanUp> + Send + use<>) {
        let report = RunReport {
            outcome,
            command: mem::take(&mut self.command),
            warnings: mem::take(&mut self.warnings),
            attempts,
        };
        let remains = self.remains.take().expect("a run ends once");
        (report, end::clean_up(remains, self.log.take(), mem::take(&mut self.jobs).into_running()))
    }
}

/// Whether OpenCode printed it as an event.
fn is_event(event: &RunEvent) -> bool {
    !matches!(event.kind, RunEventKind::Diagnostic(_) | RunEventKind::Notice(_))
}
