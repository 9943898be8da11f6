use std::time::Duration;

use super::EventStream;

/// Settings of a [`Hub`](super::Hub): the stream, the limits and the reconnect policy.
///
/// ```
/// use std::time::Duration;
/// use opencode_proto::{EventStream, HubSettings};
///
/// let settings = HubSettings::default().with_give_up(Some(Duration::from_secs(10)));
/// assert_eq!(settings.stream(), EventStream::Directory);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HubSettings {
    pub(crate) stream: EventStream,
    pub(crate) open_limit: Duration,
    pub(crate) silence_limit: Duration,
    pub(crate) delay: Duration,
    pub(crate) delay_max: Duration,
    pub(crate) give_up: Option<Duration>,
    pub(crate) no_listener_limit: Duration,
    pub(crate) event_size_max: usize,
    pub(crate) seed: u64,
}

impl Default for HubSettings {
    fn default() -> Self {
        Self {
            stream: EventStream::Directory,
            open_limit: Duration::from_secs(30),
            silence_limit: Duration::from_secs(45),
            delay: Duration::from_millis(250),
            delay_max: Duration::from_secs(10),
            give_up: Some(Duration::from_secs(120)),
            no_listener_limit: Duration::from_secs(10),
            event_size_max: 256 << 20,
            seed: 0,
        }
    }
}

impl HubSettings {
    /// Sets the stream to follow.
    #[must_use]
    pub fn with_stream(mut self, stream: EventStream) -> Self {
        self.stream = stream;
        self
    }

    /// Returns the stream to follow. Default: [`EventStream::Directory`]. A server without the
    /// global stream is followed by the stream of the directory.
    #[must_use]
    pub fn stream(&self) -> EventStream {
        self.stream
    }

    /// Sets the limit on silence.
    #[must_use]
    pub fn with_silence_limit(mut self, limit: Duration) -> Self {
        self.silence_limit = limit;
        self
    }

    /// Returns the limit on the silence of an open stream. Servers send a heartbeat every 10
    /// seconds, older servers every 30. Default: 45 seconds.
    #[must_use]
    pub fn silence_limit(&self) -> Duration {
        self.silence_limit
    }

    /// Sets the limit on reconnecting; `None` reconnects without a limit.
    #[must_use]
    pub fn with_give_up(mut self, limit: Option<Duration>) -> Self {
        self.give_up = limit;
        self
    }

    /// Returns the limit on reconnecting, counted from the loss of a working stream or from the
    /// start. `None` reconnects without a limit. Default: 2 minutes.
    #[must_use]
    pub fn give_up(&self) -> Option<Duration> {
        self.give_up
    }

    /// Sets the limit on reconnecting while nothing listens at the address.
    #[must_use]
    pub fn with_no_listener_limit(mut self, limit: Duration) -> Self {
        self.no_listener_limit = limit;
        self
    }

    /// Returns the limit on reconnecting while nothing listens at the address: every connection is
    /// refused, since the server has exited. A proxy in front of the server accepts connections, and
    /// then the limit is [`give_up`](Self::give_up). Default: 10 seconds.
    #[must_use]
    pub fn no_listener_limit(&self) -> Duration {
        self.no_listener_limit
    }

    /// Sets the limit from connecting to `server.connected`.
    #[must_use]
    pub fn with_open_limit(mut self, limit: Duration) -> Self {
        self.open_limit = limit;
        self
    }

    /// Sets the size limit of an event, in bytes.
    #[must_use]
    pub fn with_event_size_max(mut self, event_size_max: usize) -> Self {
        self.event_size_max = event_size_max;
        self
    }

    /// Sets the first and the longest delay between two attempts to reconnect.
    #[must_use]
    pub fn with_delays(mut self, delay: Duration, delay_max: Duration) -> Self {
        (self.delay, self.delay_max) = (delay, delay_max);
        self
    }

    /// Sets the seed of the jitter.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Returns the seed of the jitter. Seeds of different hubs should differ.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns the limit from connecting to `server.connected`. Default: 30 seconds.
    #[must_use]
    pub fn open_limit(&self) -> Duration {
        self.open_limit
    }

    /// Returns the delay before the second attempt to reconnect; the first attempt is made at once.
    /// The delay doubles for each further attempt up to `delay_max`, with a jitter of up to a
    /// quarter. Default: 250 milliseconds.
    #[must_use]
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// Returns the limit on the delay between two attempts. Default: 10 seconds.
    #[must_use]
    pub fn delay_max(&self) -> Duration {
        self.delay_max
    }

    /// Returns the size limit of an event, in bytes. A larger event is dropped, and followers of
    /// sessions look up the missed state. Default: 256 MiB.
    #[must_use]
    pub fn event_size_max(&self) -> usize {
        self.event_size_max
    }
}
