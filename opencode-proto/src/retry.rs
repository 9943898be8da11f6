//! When to send a request again.

use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode};

use crate::random::Random;

#[cfg(test)]
mod tests;

/// How often and how soon a request that may be repeated is sent again.
///
/// The pauses double from [`delay_first`](Self::delay_first) to [`delay_max`](Self::delay_max), each shortened at
/// random by up to a half, so that many clients of one server do not come back together. A server that says when to
/// come back (`retry-after`, `retry-after-ms`) is obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// How often it is sent at most, the first time included. Default: 4.
    pub attempts_max: u32,
    /// The longest first pause. Default: 200 ms.
    pub delay_first: Duration,
    /// The longest of all pauses that we choose. Default: 5 s.
    pub delay_max: Duration,
    /// The longest pause that a server may ask for; when it asks for more, its answer is final. Default: 60 s.
    pub retry_after_max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts_max: 4,
            delay_first: Duration::from_millis(200),
            delay_max: Duration::from_secs(5),
            retry_after_max: Duration::from_secs(60),
        }
    }
}

impl RetryPolicy {
    /// Everything is sent once.
    pub const NONE: Self = Self {
        attempts_max: 1,
        delay_first: Duration::ZERO,
        delay_max: Duration::ZERO,
        retry_after_max: Duration::ZERO,
    };

    /// Sets [`attempts_max`](Self::attempts_max).
    #[must_use]
    pub fn with_attempts_max(self, attempts_max: u32) -> Self {
        Self { attempts_max, ..self }
    }

    /// Sets [`delay_first`](Self::delay_first).
    #[must_use]
    pub fn with_delay_first(self, delay_first: Duration) -> Self {
        Self { delay_first, ..self }
    }

    /// Sets [`delay_max`](Self::delay_max).
    #[must_use]
    pub fn with_delay_max(self, delay_max: Duration) -> Self {
        Self { delay_max, ..self }
    }

    /// Sets [`retry_after_max`](Self::retry_after_max).
    #[must_use]
    pub fn with_retry_after_max(self, retry_after_max: Duration) -> Self {
        Self { retry_after_max, ..self }
    }
}

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryCause {
    /// There was no connection, or it was lost before the reply was complete.
    Connection,
    /// The server answered with this status.
    Status {
        /// The status.
        status: StatusCode,
        /// When the server wants to be asked again.
        after: Option<Duration>,
    },
}

impl RetryCause {
    /// The cause that a reply is. It need not be one that passes.
    ///
    /// `retry-after` is understood as seconds. A date is not: there is no calendar here.
    pub fn reply(status: StatusCode, headers: &HeaderMap) -> Self {
        let number = |name| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
        let after =
            number("retry-after-ms").map(|ms| ms / 1000.0).or_else(|| number("retry-after"));
        Self::Status {
            status,
            after: after.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        }
    }

    /// Whether the same request may have another answer soon: 408, 429, 502, 503, 504, and every trouble with the
    /// connection.
    fn may_pass(&self) -> bool {
        match self {
            Self::Connection => true,
            Self::Status { status, .. } => matches!(status.as_u16(), 408 | 429 | 502 | 503 | 504),
        }
    }
}

/// The attempts at one request that may be repeated: tells whether there is another, and when.
#[derive(Clone, Debug)]
pub struct Retry {
    policy: RetryPolicy,
    failures: u32,
    random: Random,
}

impl Retry {
    /// No attempt has failed yet. The same `seed` gives the same pauses.
    pub fn new(policy: RetryPolicy, seed: u64) -> Self {
        Self { policy, failures: 0, random: Random::new(seed) }
    }

    /// An attempt failed. Says when to make the next one; `None` when this failure is the last.
    pub fn handle_failure(&mut self, cause: &RetryCause, now: Instant) -> Option<Instant> {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= self.policy.attempts_max || !cause.may_pass() {
            return None;
        }
        let pause = match cause {
            RetryCause::Status { after: Some(after), .. } => {
                Some(*after).filter(|after| *after <= self.policy.retry_after_max)?
            }
            RetryCause::Status { after: None, .. } | RetryCause::Connection => self.pause(),
        };
        now.checked_add(pause)
    }

    fn pause(&mut self) -> Duration {
        let doubled = 2_u32.saturating_pow(self.failures - 1);
        let longest = self.policy.delay_first.saturating_mul(doubled).min(self.policy.delay_max);
        longest.mul_f64(1.0 - self.random.unit() / 2.0)
    }
}
