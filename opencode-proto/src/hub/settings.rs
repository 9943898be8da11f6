use std::time::Duration;

use super::EventStream;

/// How the event stream of a server is watched, and how long it is tried to get it back.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HubSettings {
    /// Which stream. Default: [`EventStream::Directory`]. Where a server does not have the global one, the directory's is
    /// followed in its place.
    pub stream: EventStream,
    /// How long a connection may take until the server says `server.connected`. Default: 30 seconds.
    pub open_limit: Duration,
    /// How long an open stream may be silent. Servers send a heartbeat every 10 seconds, older ones every 30.
    /// Default: 45 seconds.
    pub silence_limit: Duration,
    /// How long to wait before the second try to connect again; the first is made at once. Twice as long before each
    /// further one, up to `delay_max`, each varied by up to a quarter. Default: 250 milliseconds.
    pub delay: Duration,
    /// The most to wait between two tries. Default: 10 seconds.
    pub delay_max: Duration,
    /// How long to go on trying after a stream that worked was lost, or from the start. `None`: for ever.
    /// Default: 2 minutes.
    pub give_up: Option<Duration>,
    /// How long an event may be, in bytes. Longer ones are dropped, and those who follow sessions look at what they
    /// missed. Default: 256 MiB.
    pub event_size_max: usize,
    /// What the delays are varied by. Give each hub another.
    pub seed: u64,
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
            event_size_max: 256 << 20,
            seed: 0,
        }
    }
}

impl HubSettings {
    /// With this stream.
    #[must_use]
    pub fn with_stream(mut self, stream: EventStream) -> Self {
        self.stream = stream;
        self
    }

    /// With this as the longest silence.
    #[must_use]
    pub fn with_silence_limit(mut self, limit: Duration) -> Self {
        self.silence_limit = limit;
        self
    }

    /// With this as the time after which a stream that does not come back is given up; `None` for never.
    #[must_use]
    pub fn with_give_up(mut self, limit: Option<Duration>) -> Self {
        self.give_up = limit;
        self
    }

    /// With these delays between the tries to connect again.
    #[must_use]
    pub fn with_delays(mut self, delay: Duration, delay_max: Duration) -> Self {
        (self.delay, self.delay_max) = (delay, delay_max);
        self
    }

    /// With this seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}
