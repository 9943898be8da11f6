//! A child process from the start until it has exited and the output has ended.
//!
//! [`Run`](crate::Run) and [`Serve`](crate::Serve) share this part: both outputs, the exit, and the
//! signals that end a process which does not exit by itself.

use std::fmt;
use std::mem;
use std::time::{Duration, Instant};

use serde::Serialize;

/// Exit status of a process. (`std::process::ExitStatus` has no portable constructor.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// The process exited by itself with this code.
    Code(i32),
    /// The signal with this number ended the process.
    Signal(i32),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// Signal that ends a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// `SIGKILL`: the process ends at once.
    Kill,
    /// `SIGTERM`: the process may clean up first.
    Terminate,
}

/// Limits of a [`ProcessLife`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProcessLimits {
    /// Signals that end the process, one after the other. At least one.
    pub(crate) signals: &'static [Signal],
    /// Time from each signal to the next, and from the last signal until the process is abandoned.
    pub(crate) kill_grace: Duration,
    /// Time from the exit until output that another process holds open is no longer read.
    pub(crate) drain_limit: Duration,
}

/// State of a child process. `W` is the watch while the process runs, `C` the cause for which
/// it is ended.
///
/// ```text
///   Running -- end --> Ending: signal, grace, next signal, ... -- last grace passed --> Over
///      | exit             | exit                                                         ^
///      v                  v                                                              |
///   Draining -- both outputs ended, or the drain limit passed ---------------------------+
/// ```
#[derive(Debug)]
pub(crate) struct ProcessLife<W, C> {
    limits: ProcessLimits,
    stdout: OutputState,
    stderr: OutputState,
    state: ProcessState<W, C>,
}

#[derive(Debug)]
enum ProcessState<W, C> {
    /// The process runs.
    Running(W),
    /// The process was sent the signals up to `sent`, and has until `until` before the next step.
    Ending { cause: C, sent: usize, until: Option<Instant> },
    /// The process has exited. The outputs are read until they end, or until `until`.
    Draining { end: ProcessEnd<C>, until: Option<Instant> },
    /// Nothing more happens.
    Over,
}

/// State of an output of a process.
#[derive(Clone, Copy, Debug)]
enum OutputState {
    Open,
    Ended { at: Instant },
}

/// End of a process.
#[derive(Debug)]
pub(crate) struct ProcessEnd<C> {
    /// The cause for which we ended the process; `None` when it exited by itself.
    pub(crate) cause: Option<C>,
    /// The exit status, if it was observed.
    pub(crate) exit: Option<Exit>,
}

/// Next step of a process that ends.
#[derive(Debug)]
pub(crate) enum ProcessStep<C> {
    /// The process has exited and been drained, or was abandoned. No step follows.
    Over(ProcessEnd<C>),
    /// The process has to be sent this signal.
    Signal(Signal),
}

impl<W, C> ProcessLife<W, C> {
    pub(crate) fn new(limits: ProcessLimits, watched: W) -> Self {
        let (stdout, stderr) = (OutputState::Open, OutputState::Open);
        Self { limits, stdout, stderr, state: ProcessState::Running(watched) }
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, ProcessState::Over)
    }

    /// Returns the watch while the process runs; `None` once it ends.
    pub(crate) fn running(&self) -> Option<&W> {
        match &self.state {
            ProcessState::Running(watched) => Some(watched),
            ProcessState::Draining { .. } | ProcessState::Ending { .. } | ProcessState::Over => {
                None
            }
        }
    }

    pub(crate) fn running_mut(&mut self) -> Option<&mut W> {
        match &mut self.state {
            ProcessState::Running(watched) => Some(watched),
            ProcessState::Draining { .. } | ProcessState::Ending { .. } | ProcessState::Over => {
                None
            }
        }
    }

    /// Returns the time at which standard output ended.
    pub(crate) fn stdout_ended(&self) -> Option<Instant> {
        self.stdout.ended()
    }

    /// Takes the end of standard output. Returns whether it is the first.
    pub(crate) fn handle_stdout_end(&mut self, now: Instant) -> bool {
        !self.is_over() && self.stdout.end(now)
    }

    /// Takes the end of standard error. Returns whether it is the first.
    pub(crate) fn handle_stderr_end(&mut self, now: Instant) -> bool {
        !self.is_over() && self.stderr.end(now)
    }

    /// Takes the exit of the process. Returns whether it is the first.
    pub(crate) fn handle_exit(&mut self, exit: Option<Exit>, now: Instant) -> bool {
        let cause = match mem::replace(&mut self.state, ProcessState::Over) {
            ProcessState::Running(_) => None,
            ProcessState::Ending { cause, .. } => Some(cause),
            gone @ (ProcessState::Draining { .. } | ProcessState::Over) => {
                self.state = gone;
                return false;
            }
        };
        let until = now.checked_add(self.limits.drain_limit);
        self.state = ProcessState::Draining { end: ProcessEnd { cause, exit }, until };
        true
    }

    /// Begins to end a process that runs, with the returned signal. The next signal follows after
    /// `grace`.
    pub(crate) fn end(&mut self, cause: C, grace: Duration, now: Instant) -> Option<Signal> {
        self.running()?;
        let until = now.checked_add(grace);
        self.state = ProcessState::Ending { cause, sent: 0, until };
        self.limits.signals.first().copied()
    }

    /// Takes the step that is due, one at a time.
    pub(crate) fn advance(&mut self, now: Instant) -> Option<ProcessStep<C>> {
        let is_due = |at: &Option<Instant>| at.is_some_and(|at| at <= now);
        match &mut self.state {
            ProcessState::Ending { sent, until, .. } if is_due(until) => {
                let Some(signal) = self.limits.signals.get(*sent + 1) else { return self.over() };
                *sent += 1;
                *until = now.checked_add(self.limits.kill_grace);
                Some(ProcessStep::Signal(*signal))
            }
            ProcessState::Draining { until, .. } => {
                let has_ended = self.stdout.ended().is_some() && self.stderr.ended().is_some();
                if has_ended || is_due(until) { self.over() } else { None }
            }
            ProcessState::Ending { .. } | ProcessState::Over | ProcessState::Running(_) => None,
        }
    }

    /// Returns the time of the next step of a process that ends.
    pub(crate) fn wake(&self) -> Option<Instant> {
        match self.state {
            ProcessState::Draining { until, .. } | ProcessState::Ending { until, .. } => until,
            ProcessState::Over | ProcessState::Running(_) => None,
        }
    }

    fn over(&mut self) -> Option<ProcessStep<C>> {
        match mem::replace(&mut self.state, ProcessState::Over) {
            ProcessState::Draining { end, .. } => Some(ProcessStep::Over(end)),
            ProcessState::Ending { cause, .. } => {
                Some(ProcessStep::Over(ProcessEnd { cause: Some(cause), exit: None }))
            }
            ProcessState::Over | ProcessState::Running(_) => None,
        }
    }
}

impl OutputState {
    fn ended(self) -> Option<Instant> {
        match self {
            Self::Open => None,
            Self::Ended { at } => Some(at),
        }
    }

    fn end(&mut self, now: Instant) -> bool {
        let is_open = matches!(self, Self::Open);
        if is_open {
            *self = Self::Ended { at: now };
        }
        is_open
    }
}

#[cfg(test)]
mod tests {
    // A test needs an `Instant` to start from; only the time that the test adds passes.
    #![allow(clippy::disallowed_methods)]

    use super::*;

    const LIMITS: ProcessLimits = ProcessLimits {
        signals: &[Signal::Terminate, Signal::Kill],
        kill_grace: Duration::from_secs(5),
        drain_limit: Duration::from_secs(3),
    };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn each_signal_is_followed_by_the_grace_period_and_the_last_one_by_the_end() {
        let start = Instant::now();
        let mut life = ProcessLife::new(LIMITS, ());
        assert_eq!(life.end("cancelled", LIMITS.kill_grace, start), Some(Signal::Terminate));
        assert_eq!(life.end("again", LIMITS.kill_grace, start), None, "the first cause stays");
        assert_eq!(life.wake(), Some(start + seconds(5)));
        assert!(life.advance(start + seconds(4)).is_none());
        let killed = life.advance(start + seconds(60));
        assert!(matches!(killed, Some(ProcessStep::Signal(Signal::Kill))), "{killed:?}");
        assert_eq!(life.wake(), Some(start + seconds(65)), "a late wake skips no grace period");
        assert!(life.advance(start + seconds(64)).is_none());
        let Some(ProcessStep::Over(end)) = life.advance(start + seconds(65)) else {
            panic!("the process is abandoned");
        };
        assert_eq!((end.cause, end.exit), (Some("cancelled"), None));
        assert!(life.is_over() && life.wake().is_none());
        assert!(!life.handle_exit(None, start) && life.advance(start + seconds(99)).is_none());
    }

    #[test]
    fn an_exited_process_is_drained_until_both_outputs_end_or_the_limit_passes() {
        let start = Instant::now();
        for ends in [&["stdout", "stderr"][..], &["stderr", "stdout"], &["stdout"], &[]] {
            let mut life = ProcessLife::<(), ()>::new(LIMITS, ());
            assert!(life.handle_exit(Some(Exit::Code(3)), start));
            assert!(!life.handle_exit(Some(Exit::Code(4)), start), "the first exit stays");
            assert!(
                life.end((), LIMITS.kill_grace, start).is_none(),
                "a process that is gone gets no signal"
            );
            for (count, end) in ends.iter().enumerate() {
                let is_first = match *end {
                    "stdout" => life.handle_stdout_end(start + seconds(1)),
                    _ => life.handle_stderr_end(start + seconds(1)),
                };
                assert!(is_first);
                let step = life.advance(start + seconds(1));
                assert_eq!(step.is_some(), count == 1, "{ends:?}");
            }
            let is_over = ends.len() == 2;
            assert_eq!(life.is_over(), is_over, "{ends:?}");
            assert_eq!(life.wake(), (!is_over).then_some(start + seconds(3)));
            let step = life.advance(start + seconds(3));
            assert_eq!(step.is_some(), !is_over, "{ends:?}");
        }
    }

    #[test]
    fn an_output_ends_once() {
        let start = Instant::now();
        let mut life = ProcessLife::<(), ()>::new(LIMITS, ());
        assert!(life.handle_stdout_end(start));
        assert!(!life.handle_stdout_end(start + seconds(1)));
        assert_eq!(life.stdout_ended(), Some(start));
        assert!(life.handle_stderr_end(start) && !life.handle_stderr_end(start));
        assert!(life.running().is_some(), "outputs may end before the exit");
    }
}
