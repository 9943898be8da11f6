//! Deadlines, and the watch over them.

use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;

/// Time from a deadline to the outcome, where the work does not end before.
pub(crate) const DEADLINE_GRACE: Duration = Duration::from_millis(800);

/// Deadlines of a run or a turn. `None` is no deadline.
///
/// No time counts while the caller is asked for a permission or an answer.
///
/// The caller has the outcome within a second after a deadline. Work that is still to be aborted at
/// the server then is aborted behind the outcome; a process that does not exit is killed. The end
/// holds the last failure of the model's provider, if OpenCode was repeating a call that failed.
///
/// OpenCode waits for as long as the provider asks for before it repeats a call (`retry-after`):
/// hours, where a quota is used up. A retry that is due after the deadlines is not waited for: see
/// [`late_retry`](Self::late_retry).
///
/// ```
/// use std::time::Duration;
/// use opencode_proto::{Deadlines, LateRetry};
///
/// let deadlines = Deadlines::default()
///     .with_overall(Duration::from_secs(3600))
///     .with_late_retry(LateRetry::Wait);
/// assert_eq!(deadlines.idle(), Some(Duration::from_secs(1800)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deadlines {
    pub(crate) overall: Option<Duration>,
    pub(crate) first_event: Option<Duration>,
    pub(crate) idle: Option<Duration>,
    pub(crate) late_retry: LateRetry,
}

/// Reaction to a retry of OpenCode that is due after the next deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LateRetry {
    /// The turn ends at once, as [`TurnEnd::RetryTooLate`](crate::TurnEnd::RetryTooLate).
    #[default]
    End,
    /// The turn waits until a deadline passes.
    Wait,
}

impl Default for Deadlines {
    /// Returns no overall deadline, 10 minutes to the first event and 30 minutes between events: a
    /// silent run always ends.
    fn default() -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        Self {
            overall: None,
            first_event: Some(10 * MINUTE),
            idle: Some(30 * MINUTE),
            late_retry: LateRetry::End,
        }
    }
}

impl Deadlines {
    /// Value without any deadline.
    pub const NONE: Self =
        Self { overall: None, first_event: None, idle: None, late_retry: LateRetry::End };

    /// Returns the deadline that passes first while no event comes.
    pub(crate) fn soonest(&self) -> Option<(Duration, Deadline)> {
        let overall = self.overall.map(|limit| (limit, Deadline::Overall));
        let first = self.first_event.map(|limit| (limit, Deadline::FirstEvent));
        overall.into_iter().chain(first).min_by_key(|(limit, _)| *limit)
    }

    /// Sets [`overall`](Self::overall).
    #[must_use]
    pub fn with_overall(mut self, limit: Duration) -> Self {
        self.overall = Some(limit);
        self
    }

    /// Returns the time from the start to the end. No other deadline ends a run that is always
    /// busy, with tool calls that differ for example.
    #[must_use]
    pub fn overall(&self) -> Option<Duration> {
        self.overall
    }

    /// Sets [`first_event`](Self::first_event).
    #[must_use]
    pub fn with_first_event(mut self, limit: Duration) -> Self {
        self.first_event = Some(limit);
        self
    }

    /// Returns the time from the start to the first event. OpenCode itself needs seconds to start,
    /// and the model more to answer.
    #[must_use]
    pub fn first_event(&self) -> Option<Duration> {
        self.first_event
    }

    /// Sets [`idle`](Self::idle).
    #[must_use]
    pub fn with_idle(mut self, limit: Duration) -> Self {
        self.idle = Some(limit);
        self
    }

    /// Returns the time from one event to the next. A run is silent while a tool works or a model
    /// thinks; OpenCode itself waits 5 minutes for a silent model, and tries six times.
    #[must_use]
    pub fn idle(&self) -> Option<Duration> {
        self.idle
    }

    /// Sets [`late_retry`](Self::late_retry).
    #[must_use]
    pub fn with_late_retry(mut self, late_retry: LateRetry) -> Self {
        self.late_retry = late_retry;
        self
    }

    /// Returns the reaction to a failure of the provider whose retry is due after the next
    /// deadline. Default: the turn ends at once. A run by process does not know when a retry is
    /// due, and waits.
    #[must_use]
    pub fn late_retry(&self) -> LateRetry {
        self.late_retry
    }
}

/// Deadline that passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Deadline {
    /// The deadline [`Deadlines::first_event`].
    FirstEvent,
    /// The deadline [`Deadlines::idle`].
    Idle,
    /// The deadline [`Deadlines::overall`].
    Overall,
}

impl fmt::Display for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstEvent => "no first event within its deadline",
            Self::Idle => "no event within the idle deadline",
            Self::Overall => "not complete within the overall deadline",
        })
    }
}

/// Watch over [`Deadlines`].
#[derive(Debug)]
pub(crate) struct Watchdog {
    deadlines: Deadlines,
    started: Instant,
    /// Start of the wait for the first event.
    waiting: Instant,
    /// Time of the last event.
    active: Option<Instant>,
    /// Time since which no time counts, because the caller is asked.
    suspended: Option<Instant>,
}

impl Watchdog {
    pub(crate) fn new(deadlines: Deadlines, now: Instant) -> Self {
        Self { deadlines, started: now, waiting: now, active: None, suspended: None }
    }

    pub(crate) fn handle_event(&mut self, now: Instant) {
        self.active = Some(now);
    }

    /// Waits for the first event from now on.
    pub(crate) fn await_first(&mut self, now: Instant) {
        (self.waiting, self.active) = (now, None);
    }

    /// Stops the clock of every deadline.
    pub(crate) fn suspend(&mut self, now: Instant) {
        self.suspended.get_or_insert(now);
    }

    /// Starts the clocks again, without the time in between.
    pub(crate) fn resume(&mut self, now: Instant) {
        let Some(since) = self.suspended.take() else { return };
        let pause = now.saturating_duration_since(since);
        let later = |at: Instant| at.checked_add(pause).unwrap_or(at);
        self.started = later(self.started);
        self.waiting = later(self.waiting).min(now);
        self.active = self.active.map(|at| later(at).min(now));
    }

    /// Returns the time of the next deadline.
    pub(crate) fn wake(&self) -> Option<Instant> {
        if self.suspended.is_some() {
            return None;
        }
        self.all().filter_map(|(_, at)| at).min()
    }

    /// Returns the deadline that has passed.
    pub(crate) fn passed(&self, now: Instant) -> Option<Deadline> {
        if self.suspended.is_some() {
            return None;
        }
        self.all().find(|(_, at)| at.is_some_and(|at| at <= now)).map(|(deadline, _)| deadline)
    }

    /// Returns whether a deadline passes before a retry that is due at `at`, and the retry is not
    /// to be waited for.
    pub(crate) fn is_too_late(&self, at: Instant) -> bool {
        self.deadlines.late_retry == LateRetry::End && self.wake().is_some_and(|next| next < at)
    }

    /// Returns the remaining deadlines: each limit without the time that is used up.
    pub(crate) fn remaining(&self, now: Instant) -> Deadlines {
        let left = |limit: Duration, since: Instant| {
            limit.saturating_sub(now.saturating_duration_since(since))
        };
        let Deadlines { overall, first_event, idle, late_retry } = self.deadlines;
        Deadlines {
            late_retry,
            overall: overall.map(|limit| left(limit, self.started)),
            first_event: first_event.map(|limit| left(limit, self.waiting)),
            idle,
        }
    }

    fn all(&self) -> impl Iterator<Item = (Deadline, Option<Instant>)> {
        let Deadlines { overall, first_event, idle, .. } = self.deadlines;
        let after = |start: Instant, limit: Option<Duration>| start.checked_add(limit?);
        let silence = match self.active {
            None => (Deadline::FirstEvent, after(self.waiting, first_event)),
            Some(active) => (Deadline::Idle, after(active, idle)),
        };
        [(Deadline::Overall, after(self.started, overall)), silence].into_iter()
    }
}

#[cfg(test)]
mod tests {
    // A test needs an `Instant` to start from; only the time that the test adds passes.
    #![allow(clippy::disallowed_methods)]

    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_shorter_of_the_first_deadlines_is_the_soonest() {
        let (overall, first) = (seconds(60), seconds(20));
        let deadlines = Deadlines::NONE.with_idle(seconds(1));
        assert_eq!(deadlines.soonest(), None, "the idle deadline needs an event");
        let deadlines = deadlines.with_overall(overall);
        assert_eq!(deadlines.soonest(), Some((overall, Deadline::Overall)));
        let deadlines = deadlines.with_first_event(first);
        assert_eq!(deadlines.soonest(), Some((first, Deadline::FirstEvent)));
        let deadlines = deadlines.with_first_event(seconds(61));
        assert_eq!(deadlines.soonest(), Some((overall, Deadline::Overall)));
    }

    #[test]
    fn the_remaining_time_goes_down_to_zero() {
        let start = Instant::now();
        let deadlines = Deadlines::NONE
            .with_overall(seconds(60))
            .with_first_event(seconds(20))
            .with_idle(seconds(30));
        let watchdog = Watchdog::new(deadlines, start);
        let left = watchdog.remaining(start + seconds(15));
        assert_eq!((left.overall, left.first_event), (Some(seconds(45)), Some(seconds(5))));
        assert_eq!(left.idle, Some(seconds(30)));
        let left = watchdog.remaining(start + seconds(99));
        assert_eq!((left.overall, left.first_event), (Some(seconds(0)), Some(seconds(0))));
        let none = Watchdog::new(Deadlines::NONE, start).remaining(start + seconds(99));
        assert_eq!(none, Deadlines::NONE);
    }

    #[test]
    fn suspended_time_counts_for_no_deadline() {
        let start = Instant::now();
        let deadlines = Deadlines::NONE.with_overall(seconds(60)).with_idle(seconds(30));
        let mut watchdog = Watchdog::new(deadlines, start);
        watchdog.handle_event(start + seconds(10));
        assert_eq!(watchdog.wake(), Some(start + seconds(40)));
        watchdog.suspend(start + seconds(20));
        watchdog.suspend(start + seconds(25));
        assert_eq!((watchdog.wake(), watchdog.passed(start + seconds(999))), (None, None));
        watchdog.resume(start + seconds(120));
        assert_eq!(watchdog.passed(start + seconds(139)), None);
        assert_eq!(watchdog.passed(start + seconds(140)), Some(Deadline::Idle));
        watchdog.handle_event(start + seconds(140));
        assert_eq!(watchdog.passed(start + seconds(160)), Some(Deadline::Overall));
    }
}
