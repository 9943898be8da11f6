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

mod judge;
mod outcome;
mod settings;
mod stderr;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use crate::answer::{Answer, Tail};
use crate::line::{Line, LineFramer};
use crate::run_event::{self, Diagnostic, Notice, RunEvent, RunEventKind};
use crate::watchdog::{Deadline, Watchdog};

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
    lines: LineCounts,
    raw_lines: Vec<Bytes>,
    notices: Vec<Notice>,
    torn: bool,
    stop: Option<(Stop, Ladder)>,
    /// When the process was gone, and how it ended if that is known.
    gone: Option<(Option<Exit>, Instant)>,
    over: bool,
}

/// What the driver must do next.
///
/// Exhaustive on purpose: a driver that does not know an action must not compile.
#[derive(Debug)]
#[must_use]
pub enum RunAction {
    /// Tell the application.
    Event(Box<RunEvent>),
    /// Over. Nothing follows.
    Finished(Box<RunOutcome>),
    /// Signal the process and everything it started.
    Signal(Signal),
    /// The process has exited: end what its tools left running, then go on reading its output to the end.
    Sweep,
    /// Nothing to do until there is another input, or until the wake: then call [`Run::handle_timeout`].
    Wait(Option<Wake>),
}

/// How to end a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// At once (`SIGKILL`).
    Kill,
    /// Politely (`SIGTERM`).
    Terminate,
}

/// When to look again, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wake {
    /// When.
    pub at: Instant,
    /// Why.
    pub reason: WakeReason,
}

/// What a [`Wake`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WakeReason {
    /// To stop waiting for the end of a process that even `SIGKILL` did not end.
    Abandon,
    /// To see whether a deadline has passed.
    Deadline,
    /// To stop reading the output of a process that has exited.
    Drain,
    /// To send `SIGKILL`.
    Kill,
    /// To end a process that has answered, or closed its output, and does not exit.
    Linger,
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
    TimedOut(Deadline),
}

/// How far we are with ending the process.
#[derive(Clone, Copy, Debug)]
enum Ladder {
    Killed { abandon_at: Instant },
    Terminated { kill_at: Instant },
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
        if let Some(line) = self.stdout.finish() {
            self.line(line, now);
        }
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
        if let Some((line, notice)) = self.stderr.finish() {
            self.notice(line, notice, now);
        }
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
            self.torn = true;
        }
        self.event(event, now);
    }

    fn event(&mut self, event: RunEvent, now: Instant) {
        match &event.kind {
            RunEventKind::Diagnostic(_) => self.lines.diagnostics += 1,
            RunEventKind::Malformed { .. } => self.lines.malformed += 1,
            RunEventKind::Unknown { .. } => self.lines.unknown += 1,
            RunEventKind::Error(_)
            | RunEventKind::Notice(_)
            | RunEventKind::Reasoning(_)
            | RunEventKind::StepFinish(_)
            | RunEventKind::StepStart(_)
            | RunEventKind::Text(_)
            | RunEventKind::ToolUse(_) => {}
        }
        if !matches!(event.kind, RunEventKind::Diagnostic(_)) {
            self.lines.events += 1;
            self.watchdog.handle_event(now);
        }
        self.answer.apply(&event);
        self.answered = (self.answer.tail() == Tail::Answered).then_some(now);
        self.actions.push_back(RunAction::Event(Box::new(event)));
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
        let kill_at = now + self.settings.kill_grace;
        self.stop = Some((stop, Ladder::Terminated { kill_at }));
        self.actions.push_back(RunAction::Signal(Signal::Terminate));
    }

    /// Does what is due. Every input ends here.
    fn advance(&mut self, now: Instant) {
        if self.over {
            return;
        }
        if let Some((_, exited)) = self.gone {
            let drained = self.stdout_ended.is_some() && self.stderr_ended;
            if drained || exited + self.settings.drain_limit <= now {
                self.finish(now);
            }
            return;
        }
        match &mut self.stop {
            Some((_, Ladder::Killed { abandon_at })) if *abandon_at <= now => self.finish(now),
            Some((_, ladder @ Ladder::Terminated { .. })) => {
                let Ladder::Terminated { kill_at } = *ladder else {
                    return;
                };
                if kill_at <= now {
                    *ladder = Ladder::Killed { abandon_at: now + self.settings.kill_grace };
                    self.actions.push_back(RunAction::Signal(Signal::Kill));
                }
            }
            Some((_, Ladder::Killed { .. })) => {}
            None => {
                if let Some(deadline) = self.watchdog.passed(now) {
                    self.stop(Stop::TimedOut(deadline), now);
                } else if self.lingers_until().is_some_and(|at| at <= now) {
                    self.stop(Stop::Lingered, now);
                }
            }
        }
    }

    /// When a process that has nothing more to say is ended.
    fn lingers_until(&self) -> Option<Instant> {
        let silent = self.stdout_ended.or(self.answered)?;
        silent.checked_add(self.settings.linger_limit)
    }

    fn wake(&self) -> Option<Wake> {
        let wake = |at, reason| Some(Wake { at, reason });
        if self.over {
            return None;
        }
        if let Some((_, exited)) = self.gone {
            return wake(exited + self.settings.drain_limit, WakeReason::Drain);
        }
        match self.stop {
            Some((_, Ladder::Killed { abandon_at })) => wake(abandon_at, WakeReason::Abandon),
            Some((_, Ladder::Terminated { kill_at })) => wake(kill_at, WakeReason::Kill),
            None => {
                let deadline = self.watchdog.wake().map(|at| (at, WakeReason::Deadline));
                let linger = self.lingers_until().map(|at| (at, WakeReason::Linger));
                let (at, reason) = deadline.into_iter().chain(linger).min_by_key(|(at, _)| *at)?;
                wake(at, reason)
            }
        }
    }

    fn finish(&mut self, now: Instant) {
        self.over = true;
        let outcome = judge::outcome(self, now);
        self.actions.push_back(RunAction::Finished(Box::new(outcome)));
    }
}

fn is_not_json(event: &RunEvent) -> bool {
    matches!(event.kind, RunEventKind::Diagnostic(Diagnostic::NotJson))
}

#[cfg(test)]
mod tests;
