use std::time::Duration;

use crate::watchdog::Deadlines;

/// Deadlines and limits of a [`Turn`](super::Turn).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TurnSettings {
    /// Deadlines. Default: 2 minutes until the model begins to answer, 30 minutes between two
    /// events, no limit on the whole. That the server has the prompt is no beginning, heartbeats
    /// are no events, and nothing counts while the application decides about an ask.
    pub deadlines: Deadlines,
    /// Time that an aborted turn may take to end. After that the turn is left. Default: 10 seconds.
    pub abort_limit: Duration,
    /// Time to wait before looking at the server when its events leave something open. Default:
    /// 500 milliseconds.
    pub settle_delay: Duration,
    /// Silence after which the server is looked at, in case events got lost. Default: 1 minute.
    pub look_interval: Duration,
    /// Most overflows of the model's context without an answer in between. After that the turn is
    /// aborted; OpenCode itself would go on for ever. Default: 4.
    pub overflows_max: u32,
    /// Most calls of the model in a row that end without a reason and without a tool. After that
    /// the turn is aborted; OpenCode asks on at once, for ever. Default: 8.
    pub unfinished_max: usize,
    /// Bytes of events that may wait for the message they belong to. Default: 8 MiB.
    pub held_size_max: usize,
}

impl Default for TurnSettings {
    fn default() -> Self {
        Self {
            deadlines: Deadlines::default().with_first_event(Duration::from_secs(120)),
            abort_limit: Duration::from_secs(10),
            settle_delay: Duration::from_millis(500),
            look_interval: Duration::from_secs(60),
            overflows_max: 4,
            unfinished_max: 8,
            held_size_max: 8 << 20,
        }
    }
}

impl TurnSettings {
    /// Sets the [deadlines](Self::deadlines).
    #[must_use]
    pub fn with_deadlines(mut self, deadlines: Deadlines) -> Self {
        self.deadlines = deadlines;
        self
    }

    /// Sets the [time](Self::abort_limit) that an aborted turn may take to end.
    #[must_use]
    pub fn with_abort_limit(mut self, limit: Duration) -> Self {
        self.abort_limit = limit;
        self
    }
}
