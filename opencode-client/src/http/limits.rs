use std::time::Duration;

use opencode_proto::RetryPolicy;

/// How long a server is waited for, and how much it may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpLimits {
    /// In place of [`reply`](Self::reply), for requests that may be the first about a directory (`POST /session`, `GET
    /// /agent` and the like): OpenCode reads the project then, and installs what its plugins need, before it answers.
    /// Default: 2 minutes.
    pub boot: Duration,
    /// Until a connection is there. Default: 10 s.
    pub connect: Duration,
    /// From there until the reply is complete, for requests that are answered at once. Requests that are answered when
    /// the model has have no such limit. Default: 30 s.
    pub reply: Duration,
    /// The size of a reply in bytes. A session's messages can be large. Default: 256 MiB.
    pub body_size_max: usize,
    /// When requests that change nothing are sent again.
    pub retry: RetryPolicy,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            boot: Duration::from_secs(120),
            connect: Duration::from_secs(10),
            reply: Duration::from_secs(30),
            body_size_max: 256 << 20,
            retry: RetryPolicy::default(),
        }
    }
}

impl HttpLimits {
    /// Sets [`boot`](Self::boot).
    #[must_use]
    pub fn with_boot(self, boot: Duration) -> Self {
        Self { boot, ..self }
    }

    /// Sets [`connect`](Self::connect).
    #[must_use]
    pub fn with_connect(self, connect: Duration) -> Self {
        Self { connect, ..self }
    }

    /// Sets [`reply`](Self::reply).
    #[must_use]
    pub fn with_reply(self, reply: Duration) -> Self {
        Self { reply, ..self }
    }

    /// Sets [`body_size_max`](Self::body_size_max).
    #[must_use]
    pub fn with_body_size_max(self, body_size_max: usize) -> Self {
        Self { body_size_max, ..self }
    }

    /// Sets [`retry`](Self::retry).
    #[must_use]
    pub fn with_retry(self, retry: RetryPolicy) -> Self {
        Self { retry, ..self }
    }
}
