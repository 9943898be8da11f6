use std::time::Duration;

/// Retry policy for starts that fail because several processes opened one new database at once.
/// OpenCode exits then, before any request to a model. No other failure is retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StartupRetry {
    /// Maximum number of retries. Default: 2.
    pub retries_max: u32,
    /// Delay before the first retry, which doubles with each further one. Default: 1 second.
    pub delay: Duration,
}

impl StartupRetry {
    /// The policy without retries.
    pub const NONE: Self = Self { retries_max: 0, delay: Duration::ZERO };

    /// Creates a policy with this many retries, the first one after `delay`.
    pub fn new(retries_max: u32, delay: Duration) -> Self {
        Self { retries_max, delay }
    }

    /// Returns the delay before the retry with this number, counted from 0; `None` after the last.
    pub(crate) fn delay_before(&self, retry: u32) -> Option<Duration> {
        let factor = 2u32.saturating_pow(retry);
        (retry < self.retries_max).then(|| self.delay.saturating_mul(factor))
    }
}

impl Default for StartupRetry {
    fn default() -> Self {
        Self { retries_max: 2, delay: Duration::from_secs(1) }
    }
}
