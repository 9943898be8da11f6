use std::time::Duration;

/// How a [`Serve`](super::Serve) is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServeSettings {
    /// How long it may take to be ready. OpenCode needs 2 to 3 seconds on a machine that has nothing else to do.
    /// Default: 60 seconds.
    pub start_limit: Duration,
    /// How long the process has after each signal that is to end it: two `SIGTERM`, since OpenCode swallows those that
    /// come while it installs packages, then `SIGKILL`, then it is given up. Default: 5 seconds.
    pub kill_grace: Duration,
    /// How long the output of a process that has exited is still read, when something it started holds it open.
    /// Default: 5 seconds.
    pub drain_limit: Duration,
    /// How much of the end of standard output, and of standard error, is kept, in bytes. Default: 64 KiB.
    pub output_size_max: usize,
}

impl ServeSettings {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`start_limit`](Self::start_limit).
    #[must_use]
    pub fn with_start_limit(self, start_limit: Duration) -> Self {
        Self { start_limit, ..self }
    }

    /// Sets [`kill_grace`](Self::kill_grace).
    #[must_use]
    pub fn with_kill_grace(self, kill_grace: Duration) -> Self {
        Self { kill_grace, ..self }
    }

    /// Sets [`drain_limit`](Self::drain_limit).
    #[must_use]
    pub fn with_drain_limit(self, drain_limit: Duration) -> Self {
        Self { drain_limit, ..self }
    }

    /// Sets [`output_size_max`](Self::output_size_max).
    #[must_use]
    pub fn with_output_size_max(self, output_size_max: usize) -> Self {
        Self { output_size_max, ..self }
    }
}

impl Default for ServeSettings {
    fn default() -> Self {
        Self {
            start_limit: Duration::from_secs(60),
            kill_grace: Duration::from_secs(5),
            drain_limit: Duration::from_secs(5),
            output_size_max: 64 << 10,
        }
    }
}
