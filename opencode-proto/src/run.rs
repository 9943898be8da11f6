//! One `opencode run --format json` process, from its start until everything it printed is
//! gathered.
//!
//! # Theory of operation
//!
//! The driver owns the process. It passes what the process prints, and when, to [`Run`], and
//! carries out what [`Run::poll_action`] returns. The process is over when it has exited *and* its
//! output has ended; either may come first.
//!
//! ```text
//!             cancel, deadline, repetition,
//!             MCP server unavailable,         grace         grace
//!   Running -- replaced agent --> Terminate ------> Kill ---------> abandoned
//!      |                             |               |                  |
//!      | exit                        | exit          | exit             |
//!      v                             v               v                  |
//!   Draining: sweep the tools' processes, read the rest of the output    |
//!      |                                                                |
//!      | both outputs ended, or the drain limit passed                  |
//!      v                                                                v
//!   Over <---------------------------------------------------------------
//! ```
//!
//! The exit code alone does not show how a run ended: OpenCode 1.18.33 exits with 0 when it stopped
//! at a permission, and with 1 when it recovered from an error. [`RunEnd`] is judged from events,
//! standard error, exit and our own signals together.
//!
//! Standard output belongs to plugins and tools as well. An event behind text without a line end is
//! read; a line of another session is a diagnostic and does not count; a run of which an event
//! could not be read does not end as completed.

mod action;
mod json;
mod judge;
mod outcome;
mod record;
mod session;
mod settings;
pub(crate) mod stderr;
mod watch;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use crate::answer::{Answer, Tail};
use crate::guard::{Repetition, RepetitionGuard};
use crate::line::Line;
use crate::process::{Exit, ProcessLife, ProcessStep};
use crate::run_event::{Notice, RunEvent, RunEventKind};
use crate::surroundings::McpServer;
use crate::watchdog::{DEADLINE_GRACE, Deadline, Watchdog};

pub use action::RunAction;
pub(crate) use judge::installing;
pub use outcome::{LineCounts, RunEnd, RunOutcome};
use record::{Effect, RunRecord};
pub use settings::{AgentFallback, Retention, RunSettings};
use watch::{ModelCall, RunWatch};

/// Machine for one run. Owns no process, clock or task.
///
/// Inputs never fail and may come in any order; input after the end is ignored. The only contract:
/// take all actions until [`RunAction::Wait`] before you wait.
///
/// ```
/// use std::time::{Duration, Instant};
/// use opencode_proto::{Exit, Run, RunAction, RunEnd, RunSettings};
///
/// let mut now = Instant::now();
/// let mut run = Run::new(RunSettings::new(), now);
/// // The application loses interest before the process has printed anything.
/// run.cancel(now);
/// let outcome = loop {
///     match run.poll_action() {
///         RunAction::Event(event) => println!("{}", event.event_type()),
///         RunAction::Signal(_) => {
///             // Signal the process tree. This process exits at once, and the output ends.
///             run.handle_exit(Some(Exit::Signal(15)), now);
///             run.handle_stdout_end(now);
///             run.handle_stderr_end(now);
///         }
///         RunAction::Sweep => { /* end the processes that tools left behind */ }
///         RunAction::Wait(at) => {
///             // Wait for input until `at`, and look at the clock.
///             now = at.expect("a process that is being ended has a limit");
///             run.handle_timeout(now);
///         }
///         RunAction::Finished(outcome) => break outcome,
///     }
/// };
/// assert_eq!(outcome.end, RunEnd::Cancelled);
/// ```
#[derive(Debug)]
pub struct Run {
    settings: RunSettings,
    life: ProcessLife<RunWatch, RunStop>,
    record: RunRecord,
    actions: VecDeque<RunAction>,
}

/// Cause for which we end the process.
#[derive(Clone, Debug, PartialEq, Eq)]
enum RunStop {
    AgentReplaced {
        reason: String,
    },
    Cancelled,
    /// A required MCP server did not start.
    McpUnavailable(Box<McpServer>),
    /// The process had nothing more to print and did not exit.
    Lingered,
    Repeated(Repetition),
    TimedOut(Deadline),
}

impl Run {
    /// Creates the machine of a process that is started at `now`.
    pub fn new(settings: RunSettings, now: Instant) -> Self {
        let watch = RunWatch {
            deadlines: Watchdog::new(settings.deadlines, now),
            guard: RepetitionGuard::new(settings.guard_limits()),
            call: ModelCall::WithoutTools,
            answered: None,
        };
        Self {
            life: ProcessLife::new(settings.process_limits(), watch),
            record: RunRecord::new(&settings, now),
            actions: VecDeque::new(),
            settings,
        }
    }

    /// Takes a chunk of the process's standard output.
    pub fn handle_stdout(&mut self, chunk: Bytes, now: Instant) {
        if self.life.is_over() {
            return;
        }
        self.record.push_stdout(chunk);
        while let Some(line) = self.record.next_line() {
            self.line(line, now);
        }
        self.advance(now);
    }

    /// Takes the end of standard output.
    pub fn handle_stdout_end(&mut self, now: Instant) {
        if self.life.handle_stdout_end(now) {
            self.last_line(now);
            self.advance(now);
        }
    }

    /// Takes a chunk of the process's standard error.
    pub fn handle_stderr(&mut self, chunk: Bytes, now: Instant) {
        if self.life.is_over() {
            return;
        }
        for (line, notice) in self.record.stderr.push(chunk) {
            self.notice(line, notice, now);
        }
        self.advance(now);
    }

    /// Takes the end of standard error.
    pub fn handle_stderr_end(&mut self, now: Instant) {
        if self.life.handle_stderr_end(now) {
            self.last_notice(now);
            self.advance(now);
        }
    }

    /// Takes the exit of the process; `None` when the status could not be observed.
    pub fn handle_exit(&mut self, exit: Option<Exit>, now: Instant) {
        if self.life.handle_exit(exit, now) {
            self.actions.push_back(RunAction::Sweep);
            self.advance(now);
        }
    }

    /// Takes the npm packages of plugins that the process installs before its first event.
    pub fn handle_installing(&mut self, plugins: Vec<String>, now: Instant) {
        if !plugins.is_empty() {
            self.handle_notice(Notice::Installing { plugins }, now);
        }
    }

    /// Takes a fact about the run that the process does not print.
    pub fn handle_notice(&mut self, notice: Notice, now: Instant) {
        if !self.life.is_over() {
            self.notice(notice.to_line().into(), notice, now);
        }
    }

    /// Takes the time. Calls that come early do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    /// Ends the process for the application. The outcome holds all that was gathered.
    pub fn cancel(&mut self, now: Instant) {
        self.stop(RunStop::Cancelled, now);
        self.advance(now);
    }

    /// Returns the next action. After [`RunAction::Finished`], always returns [`RunAction::Wait`].
    pub fn poll_action(&mut self) -> RunAction {
        self.actions.pop_front().unwrap_or_else(|| RunAction::Wait(self.wake()))
    }

    /// Returns the answer so far. After the end, the answer is in the outcome, and this one is
    /// empty.
    pub fn answer(&self) -> &Answer {
        &self.record.answer
    }

    fn line(&mut self, line: Line, now: Instant) {
        let (diagnostics, event) = self.record.read(line);
        for diagnostic in diagnostics {
            self.event(diagnostic, now);
        }
        self.event(event, now);
    }

    fn last_line(&mut self, now: Instant) {
        if let Some(line) = self.record.last_line() {
            self.line(line, now);
        }
    }

    fn last_notice(&mut self, now: Instant) {
        if let Some((line, notice)) = self.record.stderr.finish() {
            self.notice(line, notice, now);
        }
    }

    fn event(&mut self, mut event: RunEvent, now: Instant) {
        // A log of events holds both outputs.
        if let RunEventKind::Notice(notice) = event.kind {
            return self.notice(event.raw, notice, now);
        }
        let abandoned = self.record.answer.abandoned_by(&event);
        let effect = self.record.apply(&mut event);
        if let (Some(abandoned), Effect::Counted) = (abandoned, &effect) {
            let (session, timestamp_ms) = (event.session.clone(), event.timestamp_ms);
            let event = RunEvent::attempt_abandoned(abandoned, session, timestamp_ms);
            self.actions.push_back(RunAction::Event(Box::new(event)));
        }
        let repetition = self.watch(&event, effect, now);
        self.actions.push_back(RunAction::Event(Box::new(event)));
        if let Some(repetition) = repetition {
            self.stop(RunStop::Repeated(repetition), now);
        }
    }

    fn watch(&mut self, event: &RunEvent, effect: Effect, now: Instant) -> Option<Repetition> {
        let watch = self.life.running_mut()?;
        let earlier = match effect {
            Effect::Counted => Vec::new(),
            Effect::CountedAfter(earlier) => {
                watch.guard = RepetitionGuard::new(self.settings.guard_limits());
                earlier
            }
            Effect::Nothing => return None,
        };
        watch.deadlines.handle_event(now);
        if let RunEventKind::StepFinish(_) = &event.kind {
            self.record.stderr.forget_failure();
        }
        let tail = self.record.answer.tail();
        watch.answered = (tail == Tail::Answered).then_some(now);
        let last = self.record.answer.steps().last();
        let has_text =
            last.is_some_and(|step| !step.text().is_empty() || !step.reasoning().is_empty());
        earlier.iter().chain([event]).filter_map(|event| watch.count(event, tail, has_text)).last()
    }

    fn notice(&mut self, line: Bytes, notice: Notice, now: Instant) {
        if let Notice::AgentReplaced { reason } = &notice
            && self.settings.agent_fallback == AgentFallback::Refuse
        {
            self.stop(RunStop::AgentReplaced { reason: reason.clone() }, now);
        }
        if let Notice::McpUnavailable(server) = &notice
            && self.settings.required_mcp.contains(&server.name)
        {
            self.stop(RunStop::McpUnavailable(Box::new(server.clone())), now);
        }
        self.record.notices.push(notice.clone());
        self.actions.push_back(RunAction::Event(Box::new(RunEvent::notice(line, notice))));
    }

    fn stop(&mut self, stop: RunStop, now: Instant) {
        let grace = match &stop {
            RunStop::TimedOut(_) => self.settings.kill_grace.min(DEADLINE_GRACE),
            RunStop::AgentReplaced { .. }
            | RunStop::Cancelled
            | RunStop::McpUnavailable(_)
            | RunStop::Lingered
            | RunStop::Repeated(_) => self.settings.kill_grace,
        };
        if let Some(signal) = self.life.end(stop, grace, now) {
            self.actions.push_back(RunAction::Signal(signal));
        }
    }

    /// Carries out everything that is due, at the end of every input.
    fn advance(&mut self, now: Instant) {
        match self.life.advance(now) {
            Some(ProcessStep::Over(end)) => {
                // What is there now is the end, also of output that another process holds open.
                self.last_line(now);
                self.last_notice(now);
                self.record.resolve_causes();
                let run_end = judge::end(&self.record, &end, self.settings.agent_fallback);
                if run_end.is_completed() && self.record.answer.is_empty() {
                    let notice = Notice::AnswerEmpty;
                    self.notice(notice.to_line().into(), notice, now);
                }
                let outcome = self.record.take_outcome(run_end, end.exit, now);
                self.actions.push_back(RunAction::Finished(Box::new(outcome)));
            }
            Some(ProcessStep::Signal(signal)) => {
                self.actions.push_back(RunAction::Signal(signal));
            }
            None => {
                if let Some(stop) = self.overdue(now) {
                    self.stop(stop, now);
                }
            }
        }
    }

    /// Returns the cause to end a process that runs for too long.
    fn overdue(&self, now: Instant) -> Option<RunStop> {
        let watch = self.life.running()?;
        match watch.deadlines.passed(now) {
            // Nothing more was to be expected.
            Some(Deadline::FirstEvent | Deadline::Idle) if self.silent().is_some() => {
                Some(RunStop::Lingered)
            }
            Some(deadline @ (Deadline::FirstEvent | Deadline::Idle | Deadline::Overall)) => {
                Some(RunStop::TimedOut(deadline))
            }
            None => {
                let is_due = self.lingers_until().is_some_and(|at| at <= now);
                is_due.then_some(RunStop::Lingered)
            }
        }
    }

    /// Returns since when nothing but the exit is to be expected of the process.
    fn silent(&self) -> Option<Instant> {
        self.life.stdout_ended().or(self.life.running()?.answered)
    }

    /// Returns when a process that has nothing more to print is ended.
    fn lingers_until(&self) -> Option<Instant> {
        self.silent()?.checked_add(self.settings.linger_limit)
    }

    fn wake(&self) -> Option<Instant> {
        match self.life.running() {
            Some(watch) => watch.deadlines.wake().into_iter().chain(self.lingers_until()).min(),
            None => self.life.wake(),
        }
    }
}

#[cfg(test)]
mod tests;
