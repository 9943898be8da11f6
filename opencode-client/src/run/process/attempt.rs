//! Driver of one process, together with the machine.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use opencode_proto::{Answer, Run, RunAction, RunEnd, RunEvent, RunEventKind, RunOutcome, Version};

use crate::log::Log;
use crate::process::child::{ChildEvent, ChildOutput, StdoutPace};
use crate::process::cleanup::CleanupGuard;
use crate::process::drop_order::DropOrder;
use crate::process::host::Host;
use crate::process::launch::StartedProcess;
use crate::process::machine;
use crate::process::pacing::StartPermit;
use crate::process::plugins::PluginInstall;
use crate::process::run_tree::TreeJobs;
use crate::process::warning::Warning;
use crate::run::report::RunReport;
use crate::run::request::RunRequest;
use crate::runtime::span::record_version;
use crate::runtime::wait::is_due;
use crate::runtime::{Process, Timer};

use super::end::{self, CleanUp};
use super::input::Input;

/// One process of a run, with the machine that watches the process.
pub(super) struct Attempt {
    /// The remains go first: then the process has ended when the exit is dropped, which leaves no
    /// zombie.
    process: DropOrder<Option<CleanupGuard>, ChildOutput>,
    run: Run,
    /// Packages that the process installs for all runs, before the first event.
    install: PluginInstall,
    host: Arc<Host>,
    command: String,
    version: Option<Version>,
    warnings: Vec<Warning>,
    stdin: Option<Input>,
    timer: Option<Pin<Box<dyn Timer>>>,
    log: Option<Log>,
    /// Held until the process can no longer fail at the start.
    permit: Option<StartPermit>,
    jobs: TreeJobs,
    /// Kills for lack of memory before the start.
    oom_kills: Option<u64>,
}

/// Progress of an [`Attempt`].
pub(super) enum AttemptProgress {
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
        let StartedProcess { process, invocation, install, warnings } = started;
        let (cleanup, Process { stdin, stdout, stderr, exit, .. }) = process.into_parts();
        record_version(invocation.version.as_ref());
        let mut run = Run::new(request.run_settings(), host.runtime.now());
        run.handle_installing(install.plugins(), host.runtime.now());
        for notice in &request.notices {
            run.handle_notice(notice.clone(), host.runtime.now());
        }
        Self {
            process: DropOrder::new(Some(cleanup), ChildOutput::new(stdout, stderr, exit)),
            run,
            install,
            command: invocation.command_line(),
            version: invocation.version,
            warnings,
            stdin: Some(Input::new(stdin, invocation.stdin)),
            timer: None,
            log,
            permit: Some(permit),
            jobs: TreeJobs::default(),
            oom_kills: machine::oom_kills(),
            host,
        }
    }

    pub(super) fn cancel(&mut self) {
        self.run.cancel(self.host.runtime.now());
    }

    pub(super) fn answer(&self) -> &Answer {
        self.run.answer()
    }

    /// Carries out the actions of the machine until there is something to hand out.
    pub(super) fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<AttemptProgress> {
        loop {
            match self.run.poll_action() {
                RunAction::Event(event) => {
                    if is_event(&event) {
                        self.permit = None;
                        self.install = PluginInstall::default();
                    }
                    if let Some(log) = &mut self.log {
                        log.add(event.event_type(), event.to_json_line());
                    }
                    return Poll::Ready(AttemptProgress::Event(event));
                }
                RunAction::Finished(outcome) => {
                    let end = outcome.end.name();
                    let version = self.version.as_ref().map(tracing::field::display);
                    tracing::debug!(command = %self.command, version, end, "run ended");
                    return Poll::Ready(AttemptProgress::Finished(outcome));
                }
                RunAction::Signal(signal) => {
                    tracing::debug!(command = %self.command, ?signal, "run signalled");
                    self.jobs.signal(signal);
                }
                RunAction::Sweep => {
                    self.permit = None;
                    self.jobs.sweep();
                }
                RunAction::Wait(at) => {
                    let is_moved = self.poll_inputs(cx);
                    let is_due = is_due(&*self.host.runtime, &mut self.timer, at, cx);
                    if !is_moved && !is_due {
                        return Poll::Pending;
                    }
                    // The clock decides, not the timer: runtimes wake timers late and early.
                    self.run.handle_timeout(self.host.runtime.now());
                }
            }
        }
    }

    /// Polls everything that can happen. Returns whether anything did.
    fn poll_inputs(&mut self, cx: &mut Context<'_>) -> bool {
        let jobs = self.poll_jobs(cx);
        let log = self.log.as_mut().is_some_and(|log| log.poll(cx));
        let stdin = self.poll_stdin(cx);
        // A log that cannot keep up holds the run back.
        let is_full = self.log.as_ref().is_some_and(Log::is_full);
        let pace = if is_full { StdoutPace::Hold } else { StdoutPace::Read };
        let (run, runtime) = (&mut self.run, &self.host.runtime);
        let output = self.process.second_mut().poll(cx, pace, |event| {
            let now = runtime.now();
            match event {
                ChildEvent::Exit(exit) => run.handle_exit(exit, now),
                ChildEvent::Stderr(chunk) => run.handle_stderr(chunk, now),
                ChildEvent::StderrEnd => run.handle_stderr_end(now),
                ChildEvent::Stdout(chunk) => run.handle_stdout(chunk, now),
                ChildEvent::StdoutEnd => run.handle_stdout_end(now),
            }
        });
        jobs || log || stdin || output
    }

    fn poll_jobs(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(tree) = self.process.first().as_ref().and_then(CleanupGuard::tree) else {
            return false;
        };
        self.jobs.poll(cx, &self.host.runtime, &tree)
    }

    fn poll_stdin(&mut self, cx: &mut Context<'_>) -> bool {
        let is_written = self.stdin.as_mut().is_some_and(|stdin| stdin.poll(cx).is_ready());
        if is_written {
            self.stdin = None;
        }
        is_written
    }

    /// Returns the report, and the work that is left when the machine has finished.
    pub(super) fn end(
        &mut self,
        mut outcome: RunOutcome,
        attempts: u32,
    ) -> (RunReport, impl Future<Output = CleanUp> + Send + use<>) {
        if outcome.end == (RunEnd::Interrupted { signal: 9 })
            && machine::oom_kills() > self.oom_kills
        {
            let message = "the kernel killed a process for lack of memory".to_owned();
            outcome.end = RunEnd::Crashed { code: 128 + 9, message };
        }
        if let RunEnd::StartupError { message } | RunEnd::Crashed { message, .. } = &mut outcome.end
        {
            // Before the cleanup, which makes room on the disk.
            machine::explain(message, &self.host.temp_dir);
        }
        let mut warnings = mem::take(&mut self.warnings);
        warnings.extend(Warning::of_notices(&outcome.notices));
        let report = RunReport {
            outcome,
            command: mem::take(&mut self.command),
            version: self.version.take(),
            warnings,
            attempts,
        };
        let cleanup = self.process.first_mut().take().expect("a run ends once");
        (report, end::clean_up(cleanup, self.log.take(), mem::take(&mut self.jobs).into_running()))
    }
}

/// Returns whether OpenCode printed the line as an event.
fn is_event(event: &RunEvent) -> bool {
    !matches!(event.kind, RunEventKind::Diagnostic(_) | RunEventKind::Notice(_))
}
