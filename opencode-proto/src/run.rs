//! One `opencode run --format json` process, from its start until everything it said is gathered.
//!
//! # Theory of operation
//!
//! The driver owns the process. It tells [`Run`] what comes out of it and when, and carries out what
//! [`Run::poll_action`] says. The process is over when it has exited *and* its output has ended; both may come first.
//!
//! ```text
//!            cancel, deadline,            grace            grace
//!   Running ------------------> Terminate -----> Kill -----------> given up
//!      |    replaced agent          |             |                   |
//!      | exit                       | exit        | exit              |
//!      v                            v             v                   |
//!   Draining: sweep what the tools left, read the rest of the output  |
//!      | both outputs ended, or the drain limit passed                |
//!      v                                                              v
//!   Finished <---------------------------------------------------------
//! ```
//!
//! How it ended is not what the exit code says: OpenCode exits with 0 when it stopped at a permission, and with 1 when
//! it recovered from an error. [`RunEnd`] is judged from events, standard error, exit and our own doing together.

mod action;
mod judge;
mod outcome;
mod settings;
pub(crate) mod stderr;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use crate::answer::{Answer, Tail};
use crate::error::ErrorName;
use crate::line::{Line, LineFramer};
use crate::run_event::{self, Diagnostic, Notice, RunEvent, RunEventKind};
use crate::watchdog::{Deadline, Watchdog};

pub use action::{RunAction, Signal};
pub use outcome::{Exit, LineCounts, RunEnd, RunOutcome};
pub use settings::{AgentFallback, Retention, RunSettings};
use stderr::Stderr;

/// The machine for one run. Owns no process, clock or task.
///
/// Inputs never fail and may come in any order; those after the end are ignored. The only contract: take all
/// actions until [`RunAction::Wait`] before waiting for anything.
#[derive(Debug)]
pub struct Run {
    settings: RunSettings,
    started: Instant,
    actions: VecDeque<RunAction>,
    stdout: LineFramer,
    stdout_ended: Option<Instant>,
    stderr: Stderr,
    stderr_ended: bool,
    watchdog: Watchdog,
    answer: Answer,
    /// Since when the answer looks complete.
    answered: Option<Instant>,
    /// How often the context overflowed since the last answer.
    overflows: u32,
    lines: LineCounts,
    raw_lines: Vec<Bytes>,
    notices: Vec<Notice>,
    torn: bool,
    stop: Option<(Stop, Ladder)>,
    /// When the process was gone, and how it ended if that is known.
    gone: Option<(Option<Exit>, Instant)>,
    over: bool,
}

/// Why we end the process.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stop {
    AgentReplaced {
        reason: String,
    },
    Cancelled,
    /// It had nothing more to say and did not exit.
    Lingered,
    /// It would summarise and overflow for ever.
    Overflowed,
    TimedOut(Deadline),
}

/// How far we are with ending the process.
#[derive(Clone, Copy, Debug)]
enum Ladder {
    Killed { abandon_at: Option<Instant> },
    Terminated { kill_at: Option<Instant> },
}

impl Run {
    /// A run whose process is started at `now`.
    pub fn new(settings: RunSettings, now: Instant) -> Self {
        Self {
            started: now,
            actions: VecDeque::new(),
            stdout: LineFramer::new(settings.line_size_max),
            stdout_ended: None,
            stderr: Stderr::new(settings.stderr_size_max),
            stderr_ended: false,
            watchdog: Watchdog::new(settings.deadlines, now),
            answer: Answer::new(),
            answered: None,
            overflows: 0,
            lines: LineCounts::default(),
            raw_lines: Vec::new(),
            notices: Vec::new(),
            torn: false,
            stop: None,
            gone: None,
            over: false,
            settings,
        }
    }

    /// The process wrote to its standard output.
    pub fn handle_stdout(&mut self, chunk: Bytes, now: Instant) {
        if self.over {
            return;
        }
        self.stdout.push(chunk);
        while let Some(line) = self.stdout.next_line() {
            self.line(line, now);
        }
        self.advance(now);
    }

    /// The standard output ended.
    pub fn handle_stdout_end(&mut self, now: Instant) {
        if self.over || self.stdout_ended.is_some() {
            return;
        }
        self.stdout_ended = Some(now);
        self.last_line(now);
        self.advance(now);
    }

    /// The process wrote to its standard error.
    pub fn handle_stderr(&mut self, chunk: Bytes, now: Instant) {
        if self.over {
            return;
        }
        for (line, notice) in self.stderr.push(chunk) {
            self.notice(line, notice, now);
        }
        self.advance(now);
    }

    /// The standard error ended.
    pub fn handle_stderr_end(&mut self, now: Instant) {
        if self.over || self.stderr_ended {
            return;
        }
        self.stderr_ended = true;
        self.last_notice(now);
        self.advance(now);
    }

    /// The process is gone: `None` when nobody could see how it ended.
    pub fn handle_exit(&mut self, exit: Option<Exit>, now: Instant) {
        if self.over || self.gone.is_some() {
            return;
        }
        self.gone = Some((exit, now));
        self.actions.push_back(RunAction::Sweep);
        self.advance(now);
    }

    /// Time has passed. Calls that come early do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    /// The application wants no more of it. What was gathered is still returned.
    pub fn cancel(&mut self, now: Instant) {
        self.stop(Stop::Cancelled, now);
        self.advance(now);
    }

    /// What to do next. After [`RunAction::Finished`] it is [`RunAction::Wait`] for ever.
    pub fn poll_action(&mut self) -> RunAction {
        self.actions.pop_front().unwrap_or_else(|| RunAction::Wait(self.wake()))
    }

    /// What was gathered so far.
    pub fn answer(&self) -> &Answer {
        &self.answer
    }

    fn line(&mut self, line: Line, now: Instant) {
        let (raw, torn) = match line {
            Line::TooLong { size } => {
                let diagnostic = Diagnostic::TooLong { size };
                return self.event(RunEvent::diagnostic(Bytes::new(), diagnostic), now);
            }
            Line::Torn(raw) => (raw, true),
            Line::Whole(raw) => (raw, false),
        };
        if self.settings.raw_lines == Retention::Keep {
            self.raw_lines.push(Bytes::copy_from_slice(&raw));
        }
        let (diagnostic, mut event) = run_event::decode(raw);
        if let Some(diagnostic) = diagnostic {
            self.event(diagnostic, now);
        }
        // A last line without its line end that is whole is as good as any.
        if torn && event.raw.starts_with(b"{") && is_not_json(&event) {
            event.kind = RunEventKind::Diagnostic(Diagnostic::Torn);
        }
        // A log of events holds both outputs.
        if let RunEventKind::Notice(notice) = event.kind {
            return self.notice(event.raw, notice, now);
        }
        self.event(event, now);
    }

    fn last_line(&mut self, now: Instant) {
        if let Some(line) = self.stdout.finish() {
            self.line(line, now);
        }
    }

    fn last_notice(&mut self, now: Instant) {
        if let Some((line, notice)) = self.stderr.finish() {
            self.notice(line, notice, now);
        }
    }

    fn event(&mut self, event: RunEvent, now: Instant) {
        self.answer.apply(&event);
        self.lines.add(&event.kind);
        self.torn |= matches!(event.kind, RunEventKind::Diagnostic(Diagnostic::Torn));
        if !matches!(event.kind, RunEventKind::Diagnostic(_)) {
            self.watchdog.handle_event(now);
            self.answered = (self.answer.tail() == Tail::Answered).then_some(now);
            self.count_overflows(&event);
        }
        self.actions.push_back(RunAction::Event(Box::new(event)));
        if self.overflows > self.settings.overflows_max {
            self.stop(Stop::Overflowed, now);
        }
    }

    fn count_overflows(&mut self, event: &RunEvent) {
        let is_overflow = matches!(
            &event.kind,
            RunEventKind::Error(error) if error.name == ErrorName::CONTEXT_OVERFLOW
        );
        if is_overflow {
            self.overflows += 1;
        } else if self.answered.is_some() {
            self.overflows = 0;
        }
    }

    fn notice(&mut self, line: Bytes, notice: Notice, now: Instant) {
        if let Notice::AgentReplaced { reason } = &notice
            && self.settings.agent_fallback == AgentFallback::Refuse
        {
            self.stop(Stop::AgentReplaced { reason: reason.clone() }, now);
        }
        self.notices.push(notice.clone());
        self.actions.push_back(RunAction::Event(Box::new(RunEvent::notice(line, notice))));
    }

    fn stop(&mut self, stop: Stop, now: Instant) {
        if self.over || self.stop.is_some() || self.gone.is_some() {
            return;
        }
        let kill_at = now.checked_add(self.settings.kill_grace);
        self.stop = Some((stop, Ladder::Terminated { kill_at }));
        self.actions.push_back(RunAction::Signal(Signal::Terminate));
    }

    /// Does what is due. Every input ends here.
    fn advance(&mut self, now: Instant) {
        if self.over {
            return;
        }
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if self.gone.is_some() {
            let drained = self.stdout_ended.is_some() && self.stderr_ended;
            if drained || is_due(self.drains_until()) {
                self.finish(now);
            }
            return;
        }
        match self.stop.as_mut().map(|(_, ladder)| ladder) {
            Some(Ladder::Killed { abandon_at }) => {
                if is_due(*abandon_at) {
                    self.finish(now);
                }
            }
            Some(Ladder::Terminated { kill_at }) if !is_due(*kill_at) => {}
            Some(ladder @ Ladder::Terminated { .. }) => {
                let abandon_at = now.checked_add(self.settings.kill_grace);
                *ladder = Ladder::Killed { abandon_at };
                self.actions.push_back(RunAction::Signal(Signal::Kill));
            }
            None => {
                if let Some(deadline) = self.watchdog.passed(now) {
                    let stop = match deadline {
                        // Nothing more was to be expected.
                        Deadline::FirstEvent | Deadline::Idle if self.silent().is_some() => {
                            Stop::Lingered
                        }
                        Deadline::FirstEvent | Deadline::Idle | Deadline::Overall => {
                            Stop::TimedOut(deadline)
                        }
                    };
                    self.stop(stop, now);
                } else if is_due(self.lingers_until()) {
                    self.stop(Stop::Lingered, now);
                }
            }
        }
    }

    /// Since when nothing more is to be expected of the process than its exit.
    fn silent(&self) -> Option<Instant> {
        self.stdout_ended.or(self.answered)
    }

    /// When a process that has nothing more to say is ended.
    fn lingers_until(&self) -> Option<Instant> {
        self.silent()?.checked_add(self.settings.linger_limit)
    }

    /// When the output of a process that has exited is read no longer.
    fn drains_until(&self) -> Option<Instant> {
        let (_, exited) = self.gone?;
        exited.checked_add(self.settings.drain_limit)
    }

    fn wake(&self) -> Option<Instant> {
        if self.over {
            return None;
        }
        if self.gone.is_some() {
            return self.drains_until();
        }
        match self.stop {
            Some((_, Ladder::Killed { abandon_at })) => abandon_at,
            Some((_, Ladder::Terminated { kill_at })) => kill_at,
            None => self.watchdog.wake().into_iter().chain(self.lingers_until()).min(),
        }
    }

    fn finish(&mut self, now: Instant) {
        self.over = true;
        // What stands there now is the end, also of output that something else holds open.
        self.last_line(now);
        self.last_notice(now);
        let outcome = judge::outcome(self, now);
        self.actions.push_back(RunAction::Finished(Box::new(outcome)));
    }
}

fn is_not_json(event: &RunEvent) -> bool {
    matches!(event.kind, RunEventKind::Diagnostic(Diagnostic::NotJson))
}

#[cfg(test)]
mod tests;
