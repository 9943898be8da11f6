use std::time::Duration;

use opencode_proto::RetryPolicy;

/// Limits on the time and size of replies, and the repeat policy of requests.
///
/// ```
/// use std::time::Duration;
/// use opencode_tokio::server::HttpLimits;
///
/// let limits = HttpLimits::default().with_reply(Duration::from_secs(5));
/// assert_eq!(limits.connect(), Duration::from_secs(10));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpLimits {
    pub(crate) boot: Duration,
    pub(crate) connect: Duration,
    pub(crate) reply: Duration,
    pub(crate) body_size_max: usize,
    pub(crate) retry: RetryPolicy,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            boot: Duration::from_secs(120),
            connect: Duration::from_secs(10),
            reply: Duration::from_secs(30),
            body_size_max: 256 << 20,
            retry: RetryPolicy::default().with_time_max(Duration::from_secs(120)),
        }
    }
}

impl HttpLimits {
    /// Sets [`boot`](Self::boot).
    #[must_use]
    pub fn with_boot(self, boot: Duration) -> Self {
        Self { boot, ..self }
    }

    /// Returns the limit in place of [`reply`](Self::reply) for requests that may be the first
    /// about a directory (`POST /session`, `GET /agent` and the like): before the reply, OpenCode
    /// reads the project and installs the dependencies of its plugins. Default: 2 minutes.
    #[must_use]
    pub fn boot(&self) -> Duration {
        self.boot
    }

    /// Sets [`connect`](Self::connect).
    #[must_use]
    pub fn with_connect(self, connect: Duration) -> Self {
        Self { connect, ..self }
    }

    /// Returns the limit on connecting. Default: 10 s.
    #[must_use]
    pub fn connect(&self) -> Duration {
        self.connect
    }

    /// Sets [`reply`](Self::reply).
    #[must_use]
    pub fn with_reply(self, reply: Duration) -> Self {
        Self { reply, ..self }
    }

    /// Returns the limit from the connection to the complete reply, for requests with an immediate
    /// reply. Requests that wait for a model have no such limit. Default: 30 s.
    #[must_use]
    pub fn reply(&self) -> Duration {
        self.reply
    }

    /// Sets [`body_size_max`](Self::body_size_max).
    #[must_use]
    pub fn with_body_size_max(self, body_size_max: usize) -> Self {
        Self { body_size_max, ..self }
    }

    /// Returns the maximum size of a reply in bytes. The messages of a session can be large.
    /// Default: 256 MiB.
    #[must_use]
    pub fn body_size_max(&self) -> usize {
        self.body_size_max
    }

    /// Sets [`retry`](Self::retry).
    #[must_use]
    pub fn with_retry(self, retry: RetryPolicy) -> Self {
        Self { retry, ..self }
    }

    /// Returns the policy for attempts at one request: a request that changes nothing may be
    /// repeated, any other one only when no connection was established. Default:
    /// [`RetryPolicy::default`], within 2 minutes.
    #[must_use]
    pub fn retry(&self) -> RetryPolicy {
        self.retry
    }
}
