use std::time::Duration;

use crate::guard::{GuardLimits, OVERFLOWS_MAX, REPEATED_CALLS_MAX, UNFINISHED_MAX};
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
    /// Time to wait before looking at the server when the events leave something open. Default:
    /// 500 milliseconds.
    pub settle_delay: Duration,
    /// Silence after which the server is looked at, in case events got lost. Default: 1 minute.
    pub look_interval: Duration,
    /// Overflows of the model's context in a row, without an answer in between. One more aborts the
    /// turn, which ends as failed. OpenCode itself compacts and overflows without end. Default: 4.
    ///
    /// This limit and the next two also hold for each subagent.
    pub overflows_max: u32,
    /// Calls of the model in a row that end without a reason (`unknown`, or `tool-calls` without a
    /// tool call). One more aborts the turn, which ends as
    /// [`TurnEnd::Endless`](super::TurnEnd::Endless). OpenCode itself calls the model again without
    /// end. Default: 8.
    pub unfinished_max: usize,
    /// Calls in a row of one tool with the same arguments and the same result. One more aborts the
    /// turn, which ends as [`TurnEnd::RepeatedCalls`](super::TurnEnd::RepeatedCalls). `u32::MAX`
    /// allows any number. Default: 20.
    pub repeated_calls_max: u32,
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
            overflows_max: OVERFLOWS_MAX,
            unfinished_max: UNFINISHED_MAX,
            repeated_calls_max: REPEATED_CALLS_MAX,
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

    /// Sets [`overflows_max`](Self::overflows_max).
    #[must_use]
    pub fn with_overflows_max(mut self, overflows_max: u32) -> Self {
        self.overflows_max = overflows_max;
        self
    }

    /// Sets [`unfinished_max`](Self::unfinished_max).
    #[must_use]
    pub fn with_unfinished_max(mut self, unfinished_max: usize) -> Self {
        self.unfinished_max = unfinished_max;
        self
    }

    /// Sets [`repeated_calls_max`](Self::repeated_calls_max).
    #[must_use]
    pub fn with_repeated_calls_max(mut self, repeated_calls_max: u32) -> Self {
        self.repeated_calls_max = repeated_calls_max;
        self
    }

    pub(super) fn guard_limits(&self) -> GuardLimits {
        GuardLimits {
            overflows_max: self.overflows_max,
            repeated_calls_max: self.repeated_calls_max,
            unfinished_max: self.unfinished_max,
        }
    }
}
