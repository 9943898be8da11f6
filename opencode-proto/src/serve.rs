//! One `opencode serve` process, from its start until it has ended.
//!
//! # Theory of operation
//!
//! The driver owns the process. It tells [`Serve`] what comes out of it and when, and carries out what
//! [`Serve::poll_action`] says. A server is ready when it has printed where it listens; from then on its output is read
//! and forgotten but for its end, for as long as it lives.
//!
//! ```text
//!   Starting --ready line--> Ready
//!      | start limit, stop      | stop
//!      v                        v       grace              grace         grace
//!   Terminate <------------------ -------------> Terminate -------> Kill -------> given up
//!      |                                             |               |               |
//!      | exit (also of one that nobody stops)        | exit          | exit          |
//!      v                                             v               v               |
//!   Draining: sweep what the tools left, read the rest of the output                 |
//!      | both outputs ended, or the drain limit passed                               |
//!      v                                                                             v
//!   Finished <------------------------------------------------------------------------
//! ```

mod action;
mod config_fault;
mod judge;
mod outcome;
mod ready;
mod settings;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use crate::line::{Line, LineFramer};
use crate::output_tail::OutputTail;
use crate::run::{Exit, Signal};

pub use action::ServeAction;
pub use outcome::{ServeEnd, ServeOutcome};
pub use settings::ServeSettings;

/// How long a line of standard output may be to be looked at.
const LINE_SIZE_MAX: usize = 64 << 10;

/// The machine for one server. Owns no process, clock or task.
///
/// Inputs never fail and may come in any order; those after the end are ignored. The only contract: take all
/// actions until [`ServeAction::Wait`] before waiting for anything.
#[derive(Debug)]
pub struct Serve {
    settings: ServeSettings,
    started: Instant,
    actions: VecDeque<ServeAction>,
    /// Lines are looked at until one says where the server listens.
    lines: LineFramer,
    url: Option<String>,
    stdout_tail: OutputTail,
    stdout_ended: bool,
    stderr_tail: OutputTail,
    stderr_ended: bool,
    stop: Option<(Stop, Ladder)>,
    /// When the process was gone, and how it ended if that is known.
    gone: Option<(Option<Exit>, Instant)>,
    over: bool,
}

/// Why we end the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Asked,
    TimedOut,
}

/// How far we are with ending the process, and until when we wait there.
#[derive(Clone, Copy, Debug)]
struct Ladder {
    rung: Rung,
    until: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
enum Rung {
    Terminated,
    TerminatedAgain,
    Killed,
}

impl Serve {
    /// A server whose process is started at `now`.
    pub fn new(settings: ServeSettings, now: Instant) -> Self {
        Self {
            started: now,
            actions: VecDeque::new(),
            lines: LineFramer::new(LINE_SIZE_MAX),
            url: None,
            stdout_tail: OutputTail::new(settings.output_size_max),
            stdout_ended: false,
            stderr_tail: OutputTail::new(settings.output_size_max),
            stderr_ended: false,
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
        self.stdout_tail.push(&chunk);
        if self.url.is_none() {
            self.look_for_url(chunk);
        }
        self.advance(now);
    }

    /// The standard output ended.
    pub fn handle_stdout_end(&mut self, now: Instant) {
        self.stdout_ended = true;
        self.advance(now);
    }

    /// The process wrote to its standard error.
    pub fn handle_stderr(&mut self, chunk: Bytes, now: Instant) {
        if self.over {
            return;
        }
        self.stderr_tail.push(&chunk);
        self.advance(now);
    }

    /// The standard error ended.
    pub fn handle_stderr_end(&mut self, now: Instant) {
        self.stderr_ended = true;
        self.advance(now);
    }

    /// The process is gone: `None` when nobody could see how it ended.
    pub fn handle_exit(&mut self, exit: Option<Exit>, now: Instant) {
        if self.over || self.gone.is_some() {
            return;
        }
        self.gone = Some((exit, now));
        self.actions.push_back(ServeAction::Sweep);
        self.advance(now);
    }

    /// Time has passed. Calls that come early do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    /// The application needs the server no more.
    pub fn stop(&mut self, now: Instant) {
        self.end(Stop::Asked, now);
        self.advance(now);
    }

    /// What to do next. After [`ServeAction::Finished`] it is [`ServeAction::Wait`] for ever.
    pub fn poll_action(&mut self) -> ServeAction {
        self.actions.pop_front().unwrap_or_else(|| ServeAction::Wait(self.wake()))
    }

    fn look_for_url(&mut self, chunk: Bytes) {
        self.lines.push(chunk);
        while let Some(line) = self.lines.next_line() {
            // One without its line end may be without the end of its port too.
            let Line::Whole(line) = line else { continue };
            let Some(url) = ready::url(&line) else { continue };
            self.url = Some(url.clone());
            self.lines = LineFramer::new(LINE_SIZE_MAX);
            if self.stop.is_none() && self.gone.is_none() {
                self.actions.push_back(ServeAction::Ready { url });
            }
            return;
        }
    }

    fn end(&mut self, stop: Stop, now: Instant) {
        if self.over || self.stop.is_some() || self.gone.is_some() {
            return;
        }
        self.stop = Some((stop, self.ladder(Rung::Terminated, now)));
        self.actions.push_back(ServeAction::Signal(Signal::Terminate));
    }

    fn ladder(&self, rung: Rung, now: Instant) -> Ladder {
        Ladder { rung, until: now.checked_add(self.settings.kill_grace) }
    }

    /// Does what is due. Every input ends here.
    fn advance(&mut self, now: Instant) {
        if self.over {
            return;
        }
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if self.gone.is_some() {
            let drained = self.stdout_ended && self.stderr_ended;
            if drained || is_due(self.drains_until()) {
                self.finish(now);
            }
            return;
        }
        match self.stop {
            Some((_, ladder)) if !is_due(ladder.until) => {}
            Some((stop, ladder)) => self.climb(stop, ladder.rung, now),
            None if is_due(self.starts_until()) => self.end(Stop::TimedOut, now),
            None => {}
        }
    }

    fn climb(&mut self, stop: Stop, rung: Rung, now: Instant) {
        let (next, signal) = match rung {
            Rung::Terminated => (Rung::TerminatedAgain, Signal::Terminate),
            Rung::TerminatedAgain => (Rung::Killed, Signal::Kill),
            Rung::Killed => return self.finish(now),
        };
        self.stop = Some((stop, self.ladder(next, now)));
        self.actions.push_back(ServeAction::Signal(signal));
    }

    /// When a process that is not ready is ended.
    fn starts_until(&self) -> Option<Instant> {
        match self.url {
            Some(_) => None,
            None => self.started.checked_add(self.settings.start_limit),
        }
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
        match (self.gone, self.stop) {
            (Some(_), _) => self.drains_until(),
            (None, Some((_, ladder))) => ladder.until,
            (None, None) => self.starts_until(),
        }
    }

    fn finish(&mut self, now: Instant) {
        self.over = true;
        let outcome = judge::outcome(self, now);
        self.actions.push_back(ServeAction::Finished(Box::new(outcome)));
    }
}

#[cfg(test)]
mod tests;
