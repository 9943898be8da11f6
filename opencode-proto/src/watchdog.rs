//! When to stop waiting.

use std::fmt;
use std::time::{Duration, Instant};

/// How long to wait before something is given up. `None` waits for ever.
///
/// None of it counts while a human is asked for a permission or an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deadlines {
    /// From the start to the end. Nothing else ends a run that is busy for ever, with tool calls for example.
    pub overall: Option<Duration>,
    /// From the start to the first event. OpenCode itself needs seconds to start, and the model then to answer.
    pub first_event: Option<Duration>,
    /// From one event to the next. A run is silent while a tool works or a model thinks; OpenCode alone gives a silent
    /// model 5 minutes, six times over.
    pub idle: Option<Duration>,
}

impl Default for Deadlines {
    /// No overall deadline, 10 minutes to the first event, 30 minutes between events: a run that falls silent
    /// always ends.
    fn default() -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        Self { overall: None, first_event: Some(10 * MINUTE), idle: Some(30 * MINUTE) }
    }
}

impl Deadlines {
    /// No deadline at all.
    pub const NONE: Self = Self { overall: None, first_event: None, idle: None };

    /// With this time from the start to the end.
    #[must_use]
    pub fn with_overall(mut self, limit: Duration) -> Self {
        self.overall = Some(limit);
        self
    }

    /// With this time to the first event.
    #[must_use]
    pub fn with_first_event(mut self, limit: Duration) -> Self {
        self.first_event = Some(limit);
        self
    }

    /// With this time between two events.
    #[must_use]
    pub fn with_idle(mut self, limit: Duration) -> Self {
        self.idle = Some(limit);
        self
    }
}

/// Which deadline passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deadline {
    /// [`Deadlines::first_event`].
    FirstEvent,
    /// [`Deadlines::idle`].
    Idle,
    /// [`Deadlines::overall`].
    Overall,
}

impl fmt::Display for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstEvent => "no first event in time",
            Self::Idle => "no event for too long",
            Self::Overall => "not done in time",
        })
    }
}

/// Watches [`Deadlines`].
#[derive(Debug)]
pub(crate) struct Watchdog {
    deadlines: Deadlines,
    started: Instant,
    /// Since when the first event is waited for.
    waiting: Instant,
    /// The last event.
    active: Option<Instant>,
    /// Since when nothing counts, because a human is asked.
    suspended: Option<Instant>,
}

impl Watchdog {
    pub(crate) fn new(deadlines: Deadlines, now: Instant) -> Self {
        Self { deadlines, started: now, waiting: now, active: None, suspended: None }
    }

    pub(crate) fn handle_event(&mut self, now: Instant) {
        self.active = Some(now);
    }

    /// What counts as the first event is still to come, and waited for from now on.
    pub(crate) fn await_first(&mut self, now: Instant) {
        (self.waiting, self.active) = (now, None);
    }

    /// Nothing counts from now on.
    pub(crate) fn suspend(&mut self, now: Instant) {
        self.suspended.get_or_insert(now);
    }

    /// Everything counts again; the time in between does not.
    pub(crate) fn resume(&mut self, now: Instant) {
        let Some(since) = self.suspended.take() else { return };
        let pause = now.saturating_duration_since(since);
        let later = |at: Instant| at.checked_add(pause).unwrap_or(at);
        self.started = later(self.started);
        self.waiting = later(self.waiting).min(now);
        self.active = self.active.map(|at| later(at).min(now));
    }

    /// When to look again.
    pub(crate) fn wake(&self) -> Option<Instant> {
        if self.suspended.is_some() {
            return None;
        }
        self.all().filter_map(|(_, at)| at).min()
    }

    /// The deadline that has passed.
    pub(crate) fn passed(&self, now: Instant) -> Option<Deadline> {
        if self.suspended.is_some() {
            return None;
        }
        self.all().find(|(_, at)| at.is_some_and(|at| at <= now)).map(|(deadline, _)| deadline)
    }

    fn all(&self) -> impl Iterator<Item = (Deadline, Option<Instant>)> {
        let Deadlines { overall, first_event, idle } = self.deadlines;
        let after = |start: Instant, limit: Option<Duration>| start.checked_add(limit?);
        let silence = match self.active {
            None => (Deadline::FirstEvent, after(self.waiting, first_event)),
            Some(active) => (Deadline::Idle, after(active, idle)),
        };
        [(Deadline::Overall, after(self.started, overall)), silence].into_iter()
    }
}
