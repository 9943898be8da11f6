//! Repetition of requests that failed.

use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode};

use crate::api::Repeat;
use crate::random::Random;

#[cfg(test)]
mod tests;

/// Number of attempts at a request, the pauses between them, and the time for all of them.
///
/// A request that changes nothing is sent again after a lost connection and after the statuses 408,
/// 429, 502, 503 and 504. Any other request is sent again only when no byte of the request has
/// reached the server.
///
/// The pauses double from [`delay_first`](Self::delay_first) to [`delay_max`](Self::delay_max).
/// Each is shortened at random by up to a half, so that the clients of one server do not come back
/// at the same time. A pause that the server asks for (`retry-after`, `retry-after-ms`) is kept.
///
/// ```
/// use std::time::Duration;
/// use opencode_proto::RetryPolicy;
///
/// let policy = RetryPolicy::default().with_attempts_max(2).with_delay_max(Duration::from_secs(1));
/// assert_eq!(policy.delay_first(), Duration::from_millis(200));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    pub(crate) attempts_max: u32,
    pub(crate) delay_first: Duration,
    pub(crate) delay_max: Duration,
    pub(crate) retry_after_max: Duration,
    pub(crate) time_max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts_max: 4,
            delay_first: Duration::from_millis(200),
            delay_max: Duration::from_secs(5),
            retry_after_max: Duration::from_secs(60),
            time_max: Duration::MAX,
        }
    }
}

impl RetryPolicy {
    /// Policy of a single attempt.
    pub const NONE: Self = Self {
        attempts_max: 1,
        delay_first: Duration::ZERO,
        delay_max: Duration::ZERO,
        retry_after_max: Duration::ZERO,
        time_max: Duration::ZERO,
    };

    /// Sets [`attempts_max`](Self::attempts_max).
    #[must_use]
    pub fn with_attempts_max(self, attempts_max: u32) -> Self {
        Self { attempts_max, ..self }
    }

    /// Returns the maximum number of attempts, the first one included. Default: 4.
    #[must_use]
    pub fn attempts_max(&self) -> u32 {
        self.attempts_max
    }

    /// Sets [`delay_first`](Self::delay_first).
    #[must_use]
    pub fn with_delay_first(self, delay_first: Duration) -> Self {
        Self { delay_first, ..self }
    }

    /// Returns the longest first pause. Default: 200 ms.
    #[must_use]
    pub fn delay_first(&self) -> Duration {
        self.delay_first
    }

    /// Sets [`delay_max`](Self::delay_max).
    #[must_use]
    pub fn with_delay_max(self, delay_max: Duration) -> Self {
        Self { delay_max, ..self }
    }

    /// Returns the longest pause without a wish of the server. Default: 5 s.
    #[must_use]
    pub fn delay_max(&self) -> Duration {
        self.delay_max
    }

    /// Sets [`retry_after_max`](Self::retry_after_max).
    #[must_use]
    pub fn with_retry_after_max(self, retry_after_max: Duration) -> Self {
        Self { retry_after_max, ..self }
    }

    /// Returns the longest pause that a server may ask for. The reply of a server that asks for
    /// more is final. Default: 60 s.
    #[must_use]
    pub fn retry_after_max(&self) -> Duration {
        self.retry_after_max
    }

    /// Sets [`time_max`](Self::time_max).
    #[must_use]
    pub fn with_time_max(self, time_max: Duration) -> Self {
        Self { time_max, ..self }
    }

    /// Returns the time after the first failure in which another attempt may begin. Default: no
    /// limit.
    #[must_use]
    pub fn time_max(&self) -> Duration {
        self.time_max
    }
}

/// Cause of a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryCause {
    /// The connection broke before the reply was complete: the server may have received the
    /// request.
    Connection,
    /// No connection was established, or the connection broke before the request was sent.
    NotSent,
    /// The server replied with this status.
    Status {
        /// The status.
        status: StatusCode,
        /// Pause that the server asks for.
        after: Option<Duration>,
    },
}

impl RetryCause {
    /// Returns the cause that a reply stands for, which may be permanent.
    ///
    /// The pause is read from `retry-after-ms`, else from `retry-after` in seconds. A date in
    /// `retry-after` is ignored.
    pub fn reply(status: StatusCode, headers: &HeaderMap) -> Self {
        let number = |name| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
        let after =
            number("retry-after-ms").map(|ms| ms / 1000.0).or_else(|| number("retry-after"));
        Self::Status {
            status,
            after: after.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        }
    }

    /// Returns whether another attempt does no harm and may succeed.
    fn may_pass(&self, repeat: Repeat) -> bool {
        match self {
            Self::NotSent => true,
            Self::Connection | Self::Status { .. } if repeat == Repeat::Never => false,
            Self::Connection => true,
            Self::Status { status, .. } => matches!(status.as_u16(), 408 | 429 | 502 | 503 | 504),
        }
    }
}

/// Machine for the attempts at one request.
///
/// The driver sends the request, and passes each failure on. A success needs no input.
///
/// ```
/// use std::time::{Duration, Instant};
/// use http::{HeaderMap, StatusCode};
/// use opencode_proto::{Retry, RetryCause, RetryPolicy};
///
/// // Replies of a server that is busy twice.
/// let mut replies = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::BAD_GATEWAY, StatusCode::OK]
///     .into_iter();
/// let policy = RetryPolicy::default().with_delay_first(Duration::from_millis(1));
/// let mut retry = Retry::new(policy, 4711);
/// let status = loop {
///     // Send the request.
///     let Some(status) = replies.next() else { unreachable!("the third reply is a success") };
///     if status.is_success() {
///         break status;
///     }
///     let cause = RetryCause::reply(status, &HeaderMap::new());
///     match retry.handle_failure(&cause, Instant::now()) {
///         // Wait until then.
///         Some(at) => std::thread::sleep(at.saturating_duration_since(Instant::now())),
///         // The reply is final.
///         None => break status,
///     }
/// };
/// assert_eq!(status, StatusCode::OK);
/// ```
#[derive(Clone, Debug)]
pub struct Retry {
    policy: RetryPolicy,
    repeat: Repeat,
    failures: u32,
    /// End of the time in which attempts may begin; set by the first failure.
    until: Option<Instant>,
    random: Random,
}

impl Retry {
    /// Creates a machine without a failure, for a request that may be repeated. The same `seed`
    /// gives the same pauses.
    pub fn new(policy: RetryPolicy, seed: u64) -> Self {
        let random = Random::new(seed);
        Self { policy, repeat: Repeat::Safe, failures: 0, until: None, random }
    }

    /// Sets the repeat policy of the request. Default: [`Repeat::Safe`].
    #[must_use]
    pub fn with_repeat(self, repeat: Repeat) -> Self {
        Self { repeat, ..self }
    }

    /// Takes the failure of an attempt. Returns the time of the next attempt; `None` when the
    /// failure is final.
    pub fn handle_failure(&mut self, cause: &RetryCause, now: Instant) -> Option<Instant> {
        self.failures = self.failures.saturating_add(1);
        let until = match self.until {
            Some(until) => Some(until),
            None => now.checked_add(self.policy.time_max),
        };
        self.until = until;
        if self.failures >= self.policy.attempts_max || !cause.may_pass(self.repeat) {
            return None;
        }
        let pause = match cause {
            RetryCause::Status { after: Some(after), .. } => {
                Some(*after).filter(|after| *after <= self.policy.retry_after_max)?
            }
            RetryCause::Status { after: None, .. }
            | RetryCause::Connection
            | RetryCause::NotSent => self.pause(),
        };
        now.checked_add(pause).filter(|at| until.is_none_or(|until| *at <= until))
    }

    fn pause(&mut self) -> Duration {
        let doubled = 2_u32.saturating_pow(self.failures - 1);
        let longest = self.policy.delay_first.saturating_mul(doubled).min(self.policy.delay_max);
        longest.mul_f64(1.0 - self.random.unit() / 2.0)
    }
}
