use std::time::Duration;

use crate::process::{ProcessLimits, Signal};

/// Settings of a [`Serve`](super::Serve).
///
/// ```
/// use std::time::Duration;
/// use opencode_proto::ServeSettings;
///
/// let settings = ServeSettings::new().with_start_limit(Duration::from_secs(120));
/// assert_eq!(settings.kill_grace(), Duration::from_secs(5));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServeSettings {
    pub(crate) start_limit: Duration,
    pub(crate) start_limit_max: Duration,
    pub(crate) kill_grace: Duration,
    pub(crate) drain_limit: Duration,
    pub(crate) output_size_max: usize,
}

impl ServeSettings {
    /// Creates the default settings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`start_limit`](Self::start_limit).
    #[must_use]
    pub fn with_start_limit(self, start_limit: Duration) -> Self {
        Self { start_limit, ..self }
    }

    /// Returns the time without a sign of life (output, or use of the processor) after which a
    /// process that does not listen yet is given up. OpenCode needs 2 to 3 seconds for the start on
    /// an idle machine. Default: 60 seconds.
    #[must_use]
    pub fn start_limit(&self) -> Duration {
        self.start_limit
    }

    /// Sets [`start_limit_max`](Self::start_limit_max).
    #[must_use]
    pub fn with_start_limit_max(self, start_limit_max: Duration) -> Self {
        Self { start_limit_max, ..self }
    }

    /// Returns the time after which a process that does not listen yet is given up in any case.
    /// Default: 10 minutes.
    #[must_use]
    pub fn start_limit_max(&self) -> Duration {
        self.start_limit_max
    }

    /// Sets [`kill_grace`](Self::kill_grace).
    #[must_use]
    pub fn with_kill_grace(self, kill_grace: Duration) -> Self {
        Self { kill_grace, ..self }
    }

    /// Returns the time after each signal that is to end the process: `SIGTERM` twice, since
    /// OpenCode swallows the signals that come while it installs packages, then `SIGKILL`. After
    /// that, the process is abandoned. Default: 5 seconds.
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

    /// Sets [`output_size_max`](Self::output_size_max).
    #[must_use]
    pub fn with_output_size_max(self, output_size_max: usize) -> Self {
        Self { output_size_max, ..self }
    }

    /// Returns the size of the tail that is kept of standard output and of standard error, in bytes
    /// each. Default: 64 KiB.
    #[must_use]
    pub fn output_size_max(&self) -> usize {
        self.output_size_max
    }

    pub(super) fn process_limits(&self) -> ProcessLimits {
        ProcessLimits {
            signals: &[Signal::Terminate, Signal::Terminate, Signal::Kill],
            kill_grace: self.kill_grace,
            drain_limit: self.drain_limit,
        }
    }
}

impl Default for ServeSettings {
    fn default() -> Self {
        Self {
            start_limit: Duration::from_secs(60),
            start_limit_max: Duration::from_secs(600),
            kill_grace: Duration::from_secs(5),
            drain_limit: Duration::from_secs(5),
            output_size_max: 64 << 10,
        }
    }
}
