//! One process and its machine.

use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use opencode_proto::{Answer, Run, RunAction, RunEvent, RunEventKind, RunOutcome, Signal};

use crate::blocking::unblock;
use crate::error::{RunReport, Warning};
use crate::inner::Inner;
use crate::pacing::StartPermit;
use crate::process_tree::{ProcessTree, SweepLimits};
use crate::remains::Remains;
use crate::request::RunRequest;
use crate::runtime::{ByteSource, Process, ProcessExit, Timer};

use super::BoxFuture;
use super::end::{self, CleanUp};
use super::input::Input;
use super::log::Log;
use super::start::{Prepared, poll_timer};

pub(super) struct Attempt {
    /// Dropped first: the process has ended when `exit` is dropped, which then leaves no zombie.
    remains: Option<Remains>,
    run: Run,
    inner: Arc<Inner>,
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
    /// Blocking work on the process tree, one at a time and in order.
    job: Option<BoxFuture<()>>,
    jobs: Vec<Job>,
}

#[derive(Clone, Copy, Debug)]
enum Job {
    Kill,
    Sweep,
    Terminate,
}

pub(super) enum Progress {
    Event(Box<RunEvent>),
    Finished(Box<RunOutcome>),
}

impl Attempt {
    pub(super) fn new(
        inner: Arc<Inner>,
        request: &RunRequest,
        prepared: Prepared,
        command: String,
        process: Process,
        tree: ProcessTree,
        permit: StartPermit,
    ) -> Self {
        Self {
            remains: Some(prepared.remains.with_tree(tree)),
            run: Run::new(request.settings.clone(), inner.runtime.now()),
            command,
            warnings: prepared.warnings,
            stdin: Some(Input::new(process.stdin, prepared.invocation.stdin)),
            stdout: Some(process.stdout),
            stderr: Some(process.stderr),
            exit: Some(process.exit),
            timer: None,
            log: prepared.log.map(|log| Log::new(log, Arc::clone(&inner.runtime))),
            permit: Some(permit),
            job: None,
            jobs: Vec::new(),
            inner,
        }
    }

    pub(super) fn cancel(&mut self) {
        self.run.cancel(self.inner.runtime.now());
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
                        log.add(&event);
                    }
                    return Poll::Ready(Progress::Event(event));
                }
                RunAction::Finished(outcome) => {
                    tracing::debug!(command = %self.command, end = %outcome.end.name(), "ended");
                    return Poll::Ready(Progress::Finished(outcome));
                }
                RunAction::Signal(signal) => {
                    tracing::debug!(command = %self.command, ?signal, "ending");
                    self.jobs.push(match signal {
                        Signal::Kill => Job::Kill,
                        Signal::Terminate => Job::Terminate,
                    });
                }
                RunAction::Sweep => {
                    self.permit = None;
                    self.jobs.push(Job::Sweep);
                }
                RunAction::Wait(wake) => {
                    let moved = self.poll_world(cx);
                    let woken = wake.is_some_and(|wake| {
                        poll_timer(&*self.inner.runtime, &mut self.timer, wake.at, cx).is_ready()
                    });
                    // The clock is asked, not the timer: runtimes wake timers late and for other reasons.
                    if moved || woken {
                        self.run.handle_timeout(self.inner.runtime.now());
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
        if let Some(job) = &mut self.job {
            if job.as_mut().poll(cx).is_pending() {
                return false;
            }
            self.job = None;
        }
        let Some(tree) = self.remains.as_ref().and_then(Remains::tree) else { return false };
        if self.jobs.is_empty() {
            return false;
        }
        let job = self.jobs.remove(0);
        let runtime = Arc::clone(&self.inner.runtime);
        self.job =
            Some(Box::pin(async move { unblock(&runtime, move || carry_out(job, &tree)).await }));
        true
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
        let now = self.inner.runtime.now();
        match chunk {
            Some(chunk) => self.run.handle_stdout(chunk, now),
            None => self.run.handle_stdout_end(now),
        }
        true
    }

    fn poll_stderr(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(chunk) = poll_chunk(&mut self.stderr, cx) else { return false };
        let now = self.inner.runtime.now();
        match chunk {
            Some(chunk) => self.run.handle_stderr(chunk, now),
            None => self.run.handle_stderr_end(now),
        }
        true
    }

    fn poll_exit(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(exit) = &mut self.exit else { return false };
        let Poll::Ready(status) = exit.poll_exit(cx) else { return false };
        self.exit = None;
        let exit = status
            .inspect_err(|error| tracing::warn!(%error, "cannot tell how the process ended"))
            .ok()
            .and_then(end::exit);
        self.run.handle_exit(exit, self.inner.runtime.now());
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
        (report, end::clean_up(remains, self.log.take(), self.job.take()))
    }
}

/// Whether OpenCode printed it as an event.
fn is_event(event: &RunEvent) -> bool {
    !matches!(event.kind, RunEventKind::Diagnostic(_) | RunEventKind::Notice(_))
}

/// `None`: not yet. `Some(None)`: the end.
fn poll_chunk(
    source: &mut Option<Box<dyn ByteSource>>,
    cx: &mut Context<'_>,
) -> Option<Option<Bytes>> {
    let Poll::Ready(chunk) = source.as_mut()?.poll_chunk(cx) else { return None };
    let chunk = chunk
        .inspect_err(|error| tracing::warn!(%error, "cannot read what the process prints"))
        .ok()
        .filter(|chunk| !chunk.is_empty());
    if chunk.is_none() {
        *source = None;
    }
    Some(chunk)
}

fn carry_out(job: Job, tree: &Mutex<ProcessTree>) {
    let mut tree = tree.lock().unwrap_or_else(PoisonError::into_inner);
    // What does not work here is told when the run is cleaned up after: then it counts what is left.
    let done = match job {
        Job::Kill => tree.kill().map_err(|error| error.to_string()),
        Job::Sweep => tree.sweep(SweepLimits::default()).map_err(|error| error.to_string()),
        Job::Terminate => tree.terminate().map_err(|error| error.to_string()),
    };
    if let Err(error) = done {
        tracing::warn!(?job, %error, "cannot end all processes of a run");
    }
}
