use std::time::Duration;

use crate::SessionId;
use crate::guard::{GuardLimits, OVERFLOWS_MAX, REPEATED_CALLS_MAX, UNFINISHED_MAX};
use crate::process::{ProcessLimits, Signal};
use crate::watchdog::Deadlines;

/// Settings of a [`Run`](super::Run).
///
/// ```
/// use std::time::Duration;
/// use opencode_proto::{AgentFallback, RunSettings};
///
/// let settings = RunSettings::new()
///     .with_agent_fallback(AgentFallback::Accept)
///     .with_kill_grace(Duration::from_secs(1));
/// assert_eq!(settings.overflows_max(), 4);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunSettings {
    pub(crate) deadlines: Deadlines,
    pub(crate) agent_fallback: AgentFallback,
    pub(crate) raw_lines: Retention,
    pub(crate) line_size_max: usize,
    pub(crate) stderr_size_max: usize,
    pub(crate) kill_grace: Duration,
    pub(crate) drain_limit: Duration,
    pub(crate) overflows_max: u32,
    pub(crate) unfinished_max: usize,
    pub(crate) repeated_calls_max: u32,
    pub(crate) linger_limit: Duration,
    pub(crate) required_mcp: Vec<String>,
    pub(crate) session: Option<SessionId>,
}

impl RunSettings {
    /// Creates the default settings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`deadlines`](Self::deadlines).
    #[must_use]
    pub fn with_deadlines(self, deadlines: Deadlines) -> Self {
        Self { deadlines, ..self }
    }

    /// Returns the deadlines after which the run is ended as
    /// [`RunEnd::TimedOut`](super::RunEnd::TimedOut).
    #[must_use]
    pub fn deadlines(&self) -> Deadlines {
        self.deadlines
    }

    /// Sets [`agent_fallback`](Self::agent_fallback).
    #[must_use]
    pub fn with_agent_fallback(self, agent_fallback: AgentFallback) -> Self {
        Self { agent_fallback, ..self }
    }

    /// Returns the reaction to an agent that OpenCode does not know. Default: the run is ended.
    #[must_use]
    pub fn agent_fallback(&self) -> AgentFallback {
        self.agent_fallback
    }

    /// Sets [`raw_lines`](Self::raw_lines).
    #[must_use]
    pub fn with_raw_lines(self, raw_lines: Retention) -> Self {
        Self { raw_lines, ..self }
    }

    /// Returns the retention of the lines of standard output in the outcome. Default: they are
    /// discarded.
    #[must_use]
    pub fn raw_lines(&self) -> Retention {
        self.raw_lines
    }

    /// Sets [`line_size_max`](Self::line_size_max).
    #[must_use]
    pub fn with_line_size_max(self, line_size_max: usize) -> Self {
        Self { line_size_max, ..self }
    }

    /// Returns the largest line of standard output, in bytes. A longer line is dropped, with a
    /// diagnostic; where the line was an event, the run ends as
    /// [`RunEnd::EventsLost`](super::RunEnd::EventsLost). Tool results of several megabytes are
    /// normal. Default: 256 MiB.
    #[must_use]
    pub fn line_size_max(&self) -> usize {
        self.line_size_max
    }

    /// Sets [`stderr_size_max`](Self::stderr_size_max).
    #[must_use]
    pub fn with_stderr_size_max(self, stderr_size_max: usize) -> Self {
        Self { stderr_size_max, ..self }
    }

    /// Returns the size of the tail of standard error that is kept, in bytes. Default: 64 KiB.
    #[must_use]
    pub fn stderr_size_max(&self) -> usize {
        self.stderr_size_max
    }

    /// Sets [`kill_grace`](Self::kill_grace).
    #[must_use]
    pub fn with_kill_grace(self, kill_grace: Duration) -> Self {
        Self { kill_grace, ..self }
    }

    /// Returns the time between `SIGTERM` and `SIGKILL`, and between `SIGKILL` and the moment at
    /// which the process is abandoned. Default: 5 seconds.
    #[must_use]
    pub fn kill_grace(&self) -> Duration {
        self.kill_grace
    }

    /// Sets [`drain_limit`](Self::drain_limit).
    #[must_use]
    pub fn with_drain_limit(self, drain_limit: Duration) -> Self {
        Self { drain_limit, ..self }
    }

    /// Returns the time for which the output of an exited process is still read while another
    /// process holds the output open. Default: 5 seconds.
    #[must_use]
    pub fn drain_limit(&self) -> Duration {
        self.drain_limit
    }

    /// Sets [`overflows_max`](Self::overflows_max).
    #[must_use]
    pub fn with_overflows_max(self, overflows_max: u32) -> Self {
        Self { overflows_max, ..self }
    }

    /// Returns the overflows of the model's context in a row, without an answer in between. One
    /// more ends the run as failed. OpenCode itself compacts and overflows without end, and every
    /// summary is paid for. Default: 4.
    #[must_use]
    pub fn overflows_max(&self) -> u32 {
        self.overflows_max
    }

    /// Sets [`unfinished_max`](Self::unfinished_max).
    #[must_use]
    pub fn with_unfinished_max(self, unfinished_max: usize) -> Self {
        Self { unfinished_max, ..self }
    }

    /// Returns the calls of the model in a row that end without a reason (`unknown`, or
    /// `tool-calls` without a tool call). One more ends the run as
    /// [`RunEnd::Endless`](super::RunEnd::Endless). OpenCode itself calls the model again without
    /// end. Default: 8.
    #[must_use]
    pub fn unfinished_max(&self) -> usize {
        self.unfinished_max
    }

    /// Sets [`repeated_calls_max`](Self::repeated_calls_max).
    #[must_use]
    pub fn with_repeated_calls_max(self, repeated_calls_max: u32) -> Self {
        Self { repeated_calls_max, ..self }
    }

    /// Returns the calls in a row of one tool with the same arguments and the same result. One more
    /// ends the run as [`RunEnd::RepeatedCalls`](super::RunEnd::RepeatedCalls). `u32::MAX` allows
    /// any number. Default: 20.
    #[must_use]
    pub fn repeated_calls_max(&self) -> u32 {
        self.repeated_calls_max
    }

    /// Sets [`linger_limit`](Self::linger_limit).
    #[must_use]
    pub fn with_linger_limit(self, linger_limit: Duration) -> Self {
        Self { linger_limit, ..self }
    }

    /// Returns the time that a process may go on without an event after a complete answer, or after
    /// the end of its standard output. The process is ended then, which is no failure. Default: 2
    /// minutes.
    #[must_use]
    pub fn linger_limit(&self) -> Duration {
        self.linger_limit
    }

    /// Sets [`required_mcp`](Self::required_mcp).
    #[must_use]
    pub fn with_required_mcp(self, names: impl IntoIterator<Item = String>) -> Self {
        Self { required_mcp: names.into_iter().collect(), ..self }
    }

    /// Returns the MCP servers without which the run ends as
    /// [`RunEnd::McpUnavailable`](super::RunEnd::McpUnavailable), by name. Default: none.
    #[must_use]
    pub fn required_mcp(&self) -> &[String] {
        &self.required_mcp
    }

    /// Sets [`session`](Self::session).
    #[must_use]
    pub fn with_session(self, session: SessionId) -> Self {
        Self { session: Some(session), ..self }
    }

    /// Returns the session of the run, where the session is known beforehand (`--session`).
    /// Default: the session of the first step that begins. Lines of any other session do not count.
    #[must_use]
    pub fn session(&self) -> Option<&SessionId> {
        self.session.as_ref()
    }

    pub(super) fn guard_limits(&self) -> GuardLimits {
        GuardLimits {
            overflows_max: self.overflows_max,
            repeated_calls_max: self.repeated_calls_max,
            unfinished_max: self.unfinished_max,
        }
    }

    pub(super) fn process_limits(&self) -> ProcessLimits {
        ProcessLimits {
            signals: &[Signal::Terminate, Signal::Kill],
            kill_grace: self.kill_grace,
            drain_limit: self.drain_limit,
        }
    }
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            deadlines: Deadlines::default(),
            agent_fallback: AgentFallback::default(),
            raw_lines: Retention::default(),
            line_size_max: 256 << 20,
            stderr_size_max: 64 << 10,
            kill_grace: Duration::from_secs(5),
            drain_limit: Duration::from_secs(5),
            overflows_max: OVERFLOWS_MAX,
            unfinished_max: UNFINISHED_MAX,
            repeated_calls_max: REPEATED_CALLS_MAX,
            linger_limit: Duration::from_secs(120),
            required_mcp: Vec::new(),
            session: None,
        }
    }
}

/// Reaction to an unknown agent, which OpenCode replaces by its default agent. The default agent
/// may be allowed to do more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AgentFallback {
    /// The default agent may answer.
    Accept,
    /// The run is ended at once.
    #[default]
    Refuse,
}

/// Retention of data in an outcome or a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retention {
    /// The data is dropped as soon as possible.
    #[default]
    Discard,
    /// The data is part of the outcome.
    Keep,
}
