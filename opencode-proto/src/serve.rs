//! One `opencode serve` process, from the start to the end.
//!
//! # Theory of operation
//!
//! The driver owns the process. It passes the output of the process, with the time, to [`Serve`],
//! and carries out the actions of [`Serve::poll_action`]. A server is ready when it has printed the
//! address on which it listens; from then on only the tail of the output is kept.
//!
//! ```text
//!   Starting -- ready line --> Ready
//!      | silence, stop            | stop
//!      v                          v      grace               grace          grace
//!   Terminate <------------------------ -------> Terminate -------> Kill -------> abandoned
//!      |                                            |                |                |
//!      | exit (also without a stop)                 | exit           | exit           |
//!      v                                            v                v                |
//!   Draining: sweep the tools' processes, read the rest of the output                  |
//!      | both outputs ended, or the drain limit passed                                |
//!      v                                                                              v
//!   Over <-----------------------------------------------------------------------------
//! ```

mod action;
mod config_fault;
mod judge;
mod outcome;
mod ready;
mod settings;

use std::collections::VecDeque;
use std::mem;
use std::time::Instant;

use bytes::Bytes;

use crate::ansi::without_escapes;
use crate::line::{Line, LineFramer};
use crate::output_tail::OutputTail;
use crate::process::{Exit, ProcessEnd, ProcessLife, ProcessStep};
use crate::run_event::Notice;
use crate::surroundings::{LogLine, PluginFault};

pub use action::ServeAction;
pub use outcome::{ServeEnd, ServeOutcome};
pub use settings::ServeSettings;

/// Longest line of the output that is read.
const LINE_SIZE_MAX: usize = 64 << 10;

/// Machine for one server. Owns no process, clock or task.
///
/// Inputs never fail and may come in any order; input after the end is ignored. The only contract:
/// take all actions until [`ServeAction::Wait`] before you wait.
///
/// ```
/// use std::time::Instant;
/// use opencode_proto::{Exit, Serve, ServeAction, ServeEnd, ServeSettings};
///
/// let now = Instant::now();
/// let mut serve = Serve::new(ServeSettings::new(), now);
/// serve.handle_stdout("opencode server listening on http://127.0.0.1:4096\n".into(), now);
/// let outcome = loop {
///     match serve.poll_action() {
///         ServeAction::Ready { url } => {
///             assert_eq!(url, "http://127.0.0.1:4096");
///             // Use the server. This program needs it no more.
///             serve.stop(now);
///         }
///         ServeAction::Signal(_) => {
///             // Signal the process tree. This process exits at once, and the output ends.
///             serve.handle_exit(Some(Exit::Signal(15)), now);
///             serve.handle_stdout_end(now);
///             serve.handle_stderr_end(now);
///         }
///         ServeAction::Inspect => serve.handle_inspection(None, now),
///         ServeAction::PluginFailed(_) | ServeAction::Starting { .. } => {}
///         ServeAction::Sweep => { /* end the processes that tools left behind */ }
///         // Wait for input or for the time, and look at the clock.
///         ServeAction::Wait(_at) => serve.handle_timeout(Instant::now()),
///         ServeAction::Finished(outcome) => break outcome,
///     }
/// };
/// assert_eq!(outcome.end, ServeEnd::Stopped);
/// ```
#[derive(Debug)]
pub struct Serve {
    settings: ServeSettings,
    started: Instant,
    life: ProcessLife<(), ServeStop>,
    listening: Listening,
    stdout: OutputTail,
    stderr: OutputTail,
    /// Lines of standard error.
    log: LineFramer,
    /// Time of the last sign of life before the process listens.
    alive: Instant,
    /// Processor time at the last inspection.
    processor: u64,
    inspection: Inspection,
    actions: VecDeque<ServeAction>,
}

/// Address of the server.
#[derive(Debug)]
enum Listening {
    /// The address is searched for in the lines of standard output.
    NotYet { lines: LineFramer },
    /// The server has printed the address.
    On { url: String },
}

/// Looks at the processor time of a process that does not listen yet.
#[derive(Clone, Copy, Debug)]
enum Inspection {
    /// The next look is due at this time; never without a time.
    At(Option<Instant>),
    /// The driver looks.
    Pending,
}

/// Number of inspections in the time of the start limit.
const INSPECTIONS: u32 = 4;

/// Cause for which we end the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServeStop {
    Requested,
    TimedOut,
}

impl Serve {
    /// Creates the machine of a process that is started at `now`.
    pub fn new(settings: ServeSettings, now: Instant) -> Self {
        Self {
            started: now,
            life: ProcessLife::new(settings.process_limits(), ()),
            listening: Listening::NotYet { lines: LineFramer::new(LINE_SIZE_MAX) },
            stdout: OutputTail::new(settings.output_size_max),
            stderr: OutputTail::new(settings.output_size_max),
            log: LineFramer::new(LINE_SIZE_MAX),
            alive: now,
            processor: 0,
            inspection: Inspection::At(now.checked_add(settings.start_limit / INSPECTIONS)),
            actions: VecDeque::new(),
            settings,
        }
    }

    /// Takes a chunk of the process's standard output.
    pub fn handle_stdout(&mut self, chunk: Bytes, now: Instant) {
        if self.life.is_over() {
            return;
        }
        self.stdout.push(&chunk);
        self.alive = now;
        if let Listening::NotYet { lines } = &mut self.listening {
            lines.push(chunk);
            if let Some(url) = next_url(lines) {
                if self.life.running().is_some() {
                    self.actions.push_back(ServeAction::Ready { url: url.clone() });
                }
                self.listening = Listening::On { url };
            }
        }
        self.advance(now);
    }

    /// Takes the end of standard output.
    pub fn handle_stdout_end(&mut self, now: Instant) {
        self.life.handle_stdout_end(now);
        self.advance(now);
    }

    /// Takes a chunk of the process's standard error.
    pub fn handle_stderr(&mut self, chunk: Bytes, now: Instant) {
        if self.life.is_over() {
            return;
        }
        self.stderr.push(&chunk);
        self.log.push(chunk);
        while let Some(line) = self.log.next_line() {
            self.actions.extend(plugin_fault(&line).map(ServeAction::PluginFailed));
        }
        self.alive = now;
        self.advance(now);
    }

    /// Takes the end of standard error.
    pub fn handle_stderr_end(&mut self, now: Instant) {
        self.life.handle_stderr_end(now);
        self.advance(now);
    }

    /// Takes the exit of the process; `None` when the status could not be observed.
    pub fn handle_exit(&mut self, exit: Option<Exit>, now: Instant) {
        if self.life.handle_exit(exit, now) {
            self.actions.push_back(ServeAction::Sweep);
            self.advance(now);
        }
    }

    /// Takes the processor time that the process and its children have used, in any unit; `None`
    /// when the time is not known.
    pub fn handle_inspection(&mut self, processor: Option<u64>, now: Instant) {
        if !self.is_starting() || matches!(self.inspection, Inspection::At(_)) {
            return;
        }
        if let Some(processor) = processor.filter(|processor| *processor != self.processor) {
            self.processor = processor;
            self.alive = now;
            let elapsed = now.saturating_duration_since(self.started);
            self.actions.push_back(ServeAction::Starting { elapsed });
        }
        let silent = self.alive.checked_add(self.settings.start_limit);
        if silent.is_some_and(|at| at <= now) {
            self.end(ServeStop::TimedOut, now);
        }
        let next = now.checked_add(self.settings.start_limit / INSPECTIONS);
        self.inspection = Inspection::At(next.min(silent));
        self.advance(now);
    }

    /// Takes the time. Calls that come early do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    /// Ends the server for the application.
    pub fn stop(&mut self, now: Instant) {
        self.end(ServeStop::Requested, now);
        self.advance(now);
    }

    /// Returns the next action. After [`ServeAction::Finished`], always returns
    /// [`ServeAction::Wait`].
    pub fn poll_action(&mut self) -> ServeAction {
        self.actions.pop_front().unwrap_or_else(|| ServeAction::Wait(self.wake()))
    }

    fn end(&mut self, stop: ServeStop, now: Instant) {
        if let Some(signal) = self.life.end(stop, self.settings.kill_grace, now) {
            self.actions.push_back(ServeAction::Signal(signal));
        }
    }

    /// Carries out everything that is due, at the end of every input.
    fn advance(&mut self, now: Instant) {
        match self.life.advance(now) {
            Some(ProcessStep::Over(end)) => self.finish(&end, now),
            Some(ProcessStep::Signal(signal)) => {
                self.actions.push_back(ServeAction::Signal(signal));
            }
            None if self.is_starting() => self.watch_start(now),
            None => {}
        }
    }

    fn is_starting(&self) -> bool {
        self.life.running().is_some() && matches!(self.listening, Listening::NotYet { .. })
    }

    fn watch_start(&mut self, now: Instant) {
        if self.starts_until().is_some_and(|at| at <= now) {
            return self.end(ServeStop::TimedOut, now);
        }
        if let Inspection::At(Some(at)) = self.inspection
            && at <= now
        {
            self.inspection = Inspection::Pending;
            self.actions.push_back(ServeAction::Inspect);
        }
    }

    /// Returns when a process that does not listen is ended in any case.
    fn starts_until(&self) -> Option<Instant> {
        self.started.checked_add(self.settings.start_limit_max)
    }

    fn wake(&self) -> Option<Instant> {
        if !self.is_starting() {
            return self.life.wake();
        }
        let inspection = match self.inspection {
            Inspection::At(at) => at,
            Inspection::Pending => None,
        };
        [inspection, self.starts_until()].into_iter().flatten().min()
    }

    fn finish(&mut self, end: &ProcessEnd<ServeStop>, now: Instant) {
        let stderr = self.stderr.text();
        let nothing = Listening::NotYet { lines: LineFramer::new(0) };
        let listening = mem::replace(&mut self.listening, nothing);
        let outcome = ServeOutcome {
            end: judge::end(end.cause, &listening, &stderr),
            exit: end.exit,
            url: match listening {
                Listening::NotYet { .. } => None,
                Listening::On { url } => Some(url),
            },
            stdout: self.stdout.text(),
            stderr,
            elapsed: now.saturating_duration_since(self.started),
        };
        self.actions.push_back(ServeAction::Finished(Box::new(outcome)));
    }
}

/// Returns the plugin that a line of the log is about.
fn plugin_fault(line: &Line) -> Option<PluginFault> {
    let Line::Whole(line) = line else { return None };
    let line = without_escapes(str::from_utf8(line).ok()?).into_owned();
    if let Notice::PluginFailed(fault) = Notice::of_log(&LogLine::read(&line)?)? {
        return Some(fault);
    }
    None
}

/// Returns the address in the lines that are complete.
fn next_url(lines: &mut LineFramer) -> Option<String> {
    while let Some(line) = lines.next_line() {
        // A line without the line end may lack the end of the port as well.
        if let Line::Whole(line) = line
            && let Some(url) = ready::url(&line)
        {
            return Some(url);
        }
    }
    None
}

#[cfg(test)]
mod tests;
