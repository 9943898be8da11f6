use std::time::Duration;

/// How often to start again when several processes began to use one database at once, which OpenCode does not survive.
/// Nothing has been asked of a model then. No other failure is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StartupRetry {
    /// How many more tries there are after the first. Default: 2.
    pub retries_max: u32,
    /// How long to wait before the first of them; twice as long before each further one. Default: 1 second.
    pub delay: Duration,
}

impl StartupRetry {
    /// No second try.
    pub const NONE: Self = Self { retries_max: 0, delay: Duration::ZERO };

    /// This many more tries, the first after `delay`.
    pub fn new(retries_max: u32, delay: Duration) -> Self {
        Self { retries_max, delay }
    }

    /// How long to wait before the retry with this number, counted from 0; `None` when there is none.
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
