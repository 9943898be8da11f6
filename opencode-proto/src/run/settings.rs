use std::time::Duration;

use crate::watchdog::Deadlines;

/// How a [`Run`](super::Run) is watched and what it may take.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunSettings {
    /// When it is given up.
    pub deadlines: Deadlines,
    /// What happens when OpenCode does not know the agent that was asked for.
    pub agent_fallback: AgentFallback,
    /// Whether the outcome has every line of standard output. Default: it does not.
    pub raw_lines: Retention,
    /// How long a line of standard output may be, in bytes. Longer ones are dropped and told as a diagnostic. Tool
    /// results of several megabytes are normal. Default: 256 MiB.
    pub line_size_max: usize,
    /// How much of the end of standard error is kept, in bytes. Default: 64 KiB.
    pub stderr_size_max: usize,
    /// How long a process has after `SIGTERM` before it gets `SIGKILL`, and after that before it is given up.
    /// Default: 5 seconds.
    pub kill_grace: Duration,
    /// How long the output of a process that has exited is still read, when something it started holds it open.
    /// Default: 5 seconds.
    pub drain_limit: Duration,
    /// How often the conversation may overflow the model's context without an answer in between, before the run is
    /// ended as failed. OpenCode itself would go on for ever: summarise, be refused, summarise again, and pay for each
    /// summary. Default: 4.
    pub overflows_max: u32,
    /// How long a process may go on without an event after its answer looks complete, or after it closed its standard
    /// output, before it is ended. That is no failure. Default: 2 minutes.
    pub linger_limit: Duration,
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
            overflows_max: 4,
            linger_limit: Duration::from_secs(120),
        }
    }
}

/// What happens when OpenCode does not know the agent that was asked for and takes its default agent instead, which
/// may be allowed to do more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AgentFallback {
    /// The default agent may answer.
    Accept,
    /// The run is ended at once.
    #[default]
    Refuse,
}

/// Whether something is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retention {
    /// It is not.
    #[default]
    Discard,
    /// It is.
    Keep,
}
