use std::time::Duration;

use crate::guard::{GuardLimits, OVERFLOWS_MAX, REPEATED_CALLS_MAX, UNFINISHED_MAX};
use crate::watchdog::Deadlines;

/// Treatment of work that goes on after the answer of a turn: subagents in the background, and
/// prompts that plugins post when the session is idle.
///
/// While a turn waits, requests of the work are answered as those of the turn, the work counts in
/// the spend, and the deadlines hold: a deadline or a cancel ends the turn as its answer did, and
/// aborts the rest.
///
/// ```
/// use std::time::Duration;
/// use opencode_proto::{BackgroundWork, TurnSettings};
///
/// let quiet = BackgroundWork::AwaitQuiet(Duration::from_secs(5));
/// let settings = TurnSettings::default().with_background(quiet);
/// assert_eq!(settings.background(), quiet);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackgroundWork {
    /// The turn waits until no subagent works any more, and for the answer to the message that
    /// OpenCode inserts when one has ended. Without a subagent in the background, the turn ends
    /// with the answer.
    #[default]
    AwaitSubagents,
    /// The turn waits until neither the session nor a subagent has worked for this time. Prompts
    /// that others post to the session meanwhile belong to the turn, with their answers.
    AwaitQuiet(Duration),
    /// The turn ends with the answer. The outcome names the sessions that still work
    /// ([`TurnOutcome::still_running`](super::TurnOutcome::still_running));
    /// [`TurnSettings::left_asks`] decides about their requests. A turn that follows the
    /// [latest](super::FollowTarget::Latest) one waits for the work.
    Leave,
}

/// Answers to permission requests and questions of subagents that a turn leaves at work: see
/// [`BackgroundWork::Leave`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeftAsks {
    /// The handlers of the turn answer. An ask without a handler is rejected.
    #[default]
    Handlers,
    /// Another client of the server answers.
    OtherClients,
    /// All of them are rejected.
    Reject,
}

/// Deadlines and limits of a [`Turn`](super::Turn).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TurnSettings {
    pub(crate) deadlines: Deadlines,
    pub(crate) abort_limit: Duration,
    pub(crate) settle_delay: Duration,
    pub(crate) look_interval: Duration,
    pub(crate) overflows_max: u32,
    pub(crate) unfinished_max: usize,
    pub(crate) repeated_calls_max: u32,
    pub(crate) held_size_max: usize,
    pub(crate) background: BackgroundWork,
    pub(crate) left_asks: LeftAsks,
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
            background: BackgroundWork::default(),
            left_asks: LeftAsks::default(),
        }
    }
}

impl TurnSettings {
    /// Sets [`deadlines`](Self::deadlines).
    #[must_use]
    pub fn with_deadlines(self, deadlines: Deadlines) -> Self {
        Self { deadlines, ..self }
    }

    /// Returns the deadlines. Default: 2 minutes until the model begins to answer, 30 minutes
    /// between two events, no limit on the whole. That the server has the prompt is no beginning,
    /// heartbeats are no events, and nothing counts while the application decides about an ask.
    #[must_use]
    pub fn deadlines(&self) -> Deadlines {
        self.deadlines
    }

    /// Sets [`background`](Self::background).
    #[must_use]
    pub fn with_background(self, background: BackgroundWork) -> Self {
        Self { background, ..self }
    }

    /// Returns the treatment of work after the answer. Default: the turn waits for subagents.
    #[must_use]
    pub fn background(&self) -> BackgroundWork {
        self.background
    }

    /// Sets [`left_asks`](Self::left_asks).
    #[must_use]
    pub fn with_left_asks(self, left_asks: LeftAsks) -> Self {
        Self { left_asks, ..self }
    }

    /// Returns who answers the requests of work that the turn leaves. Default: the handlers of the
    /// turn.
    #[must_use]
    pub fn left_asks(&self) -> LeftAsks {
        self.left_asks
    }

    /// Sets [`abort_limit`](Self::abort_limit).
    #[must_use]
    pub fn with_abort_limit(self, abort_limit: Duration) -> Self {
        Self { abort_limit, ..self }
    }

    /// Returns the time that an aborted turn may take to end. After that the turn is left. Default:
    /// 10 seconds.
    #[must_use]
    pub fn abort_limit(&self) -> Duration {
        self.abort_limit
    }

    /// Sets [`settle_delay`](Self::settle_delay).
    #[must_use]
    pub fn with_settle_delay(self, settle_delay: Duration) -> Self {
        Self { settle_delay, ..self }
    }

    /// Returns the time to wait before looking at the server when the events leave something open.
    /// Default: 500 milliseconds.
    #[must_use]
    pub fn settle_delay(&self) -> Duration {
        self.settle_delay
    }

    /// Sets [`look_interval`](Self::look_interval).
    #[must_use]
    pub fn with_look_interval(self, look_interval: Duration) -> Self {
        Self { look_interval, ..self }
    }

    /// Returns the silence after which the server is looked at, in case events got lost. Default: 1
    /// minute.
    #[must_use]
    pub fn look_interval(&self) -> Duration {
        self.look_interval
    }

    /// Sets [`overflows_max`](Self::overflows_max).
    #[must_use]
    pub fn with_overflows_max(self, overflows_max: u32) -> Self {
        Self { overflows_max, ..self }
    }

    /// Returns the number of overflows of the model's context in a row, without an answer in
    /// between. One more aborts the turn, which ends as failed. OpenCode itself compacts and
    /// overflows without end. Default: 4.
    ///
    /// This limit and the next two also hold for each subagent.
    #[must_use]
    pub fn overflows_max(&self) -> u32 {
        self.overflows_max
    }

    /// Sets [`unfinished_max`](Self::unfinished_max).
    #[must_use]
    pub fn with_unfinished_max(self, unfinished_max: usize) -> Self {
        Self { unfinished_max, ..self }
    }

    /// Returns the number of calls of the model in a row that end without a reason (`unknown`, or
    /// `tool-calls` without a tool call). One more aborts the turn, which ends as
    /// [`TurnEnd::Endless`](super::TurnEnd::Endless). OpenCode itself calls the model again without
    /// end. Default: 8.
    #[must_use]
    pub fn unfinished_max(&self) -> usize {
        self.unfinished_max
    }

    /// Sets [`repeated_calls_max`](Self::repeated_calls_max).
    #[must_use]
    pub fn with_repeated_calls_max(self, repeated_calls_max: u32) -> Self {
        Self { repeated_calls_max, ..self }
    }

    /// Returns the number of calls in a row of one tool with the same arguments and the same
    /// result. One more aborts the turn, which ends as
    /// [`TurnEnd::RepeatedCalls`](super::TurnEnd::RepeatedCalls). `u32::MAX` allows any number.
    /// Default: 20.
    #[must_use]
    pub fn repeated_calls_max(&self) -> u32 {
        self.repeated_calls_max
    }

    /// Sets [`held_size_max`](Self::held_size_max).
    #[must_use]
    pub fn with_held_size_max(self, held_size_max: usize) -> Self {
        Self { held_size_max, ..self }
    }

    /// Returns the number of bytes of events that may wait for the message they belong to. Default:
    /// 8 MiB.
    #[must_use]
    pub fn held_size_max(&self) -> usize {
        self.held_size_max
    }

    /// Returns the time before the next look, after this number of looks that failed.
    pub(super) fn look_delay(&self, failures: u32) -> Duration {
        self.settle_delay.saturating_mul(1 << failures.min(5))
    }

    pub(super) fn guard_limits(&self) -> GuardLimits {
        GuardLimits {
            overflows_max: self.overflows_max,
            repeated_calls_max: self.repeated_calls_max,
            unfinished_max: self.unfinished_max,
        }
    }
}
