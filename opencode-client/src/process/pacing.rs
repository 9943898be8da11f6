//! Pacing of starts: number at once, spacing, and order.
//!
//! A start of OpenCode takes seconds of processor time before the first event, and two starts on
//! one fresh data directory race for the SQLite database ("database is locked"). So a run queues,
//! gets a permit to start, and returns the permit at the first event or at the exit of the process.
//!
//! The queue has no clock and no timer: the caller passes the time, and gets the time to wait for.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

/// Limits on the starts of processes. The default has no limits.
///
/// In any case, runs that share a data directory of the caller start one at a time.
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::time::Duration;
///
/// use opencode_tokio::run::StartPacing;
///
/// let pacing = StartPacing::new()
///     .with_spacing(Duration::from_millis(100))
///     .with_starting_max(NonZeroUsize::MIN);
/// assert_eq!(pacing.spacing(), Duration::from_millis(100));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StartPacing {
    spacing: Duration,
    starting_max: Option<NonZeroUsize>,
}

impl StartPacing {
    /// Creates limits that allow any number of starts at any time.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the minimum time between two starts.
    #[must_use]
    pub fn with_spacing(self, spacing: Duration) -> Self {
        Self { spacing, ..self }
    }

    /// Returns the minimum time between two starts. Default: zero.
    #[must_use]
    pub fn spacing(&self) -> Duration {
        self.spacing
    }

    /// Sets the maximum number of processes that are starting at once.
    #[must_use]
    pub fn with_starting_max(self, starting_max: NonZeroUsize) -> Self {
        Self { starting_max: Some(starting_max), ..self }
    }

    /// Returns the maximum number of processes that are starting at once, from the spawn to the
    /// first event or the exit. Default: `None`, any number.
    #[must_use]
    pub fn starting_max(&self) -> Option<NonZeroUsize> {
        self.starting_max
    }
}

/// Queue of the runs that wait for a start. Clones share the queue.
#[derive(Clone, Debug)]
pub(crate) struct Starts {
    queue: Arc<Mutex<Queue>>,
}

/// A place in the queue. A drop leaves the queue.
#[derive(Debug)]
pub(crate) struct StartPlace {
    queue: Arc<Mutex<Queue>>,
    number: u64,
}

/// Permit to start a run, dropped at the first event or at the exit, whichever comes first.
#[derive(Debug)]
#[must_use = "the next run may start when this is dropped"]
pub(crate) struct StartPermit {
    queue: Arc<Mutex<Queue>>,
    data_home: Option<PathBuf>,
}

/// State of a place in the queue.
#[derive(Debug)]
#[must_use]
pub(crate) enum StartPoll {
    /// The run may start at once, and has left the queue.
    Go(StartPermit),
    /// The run waits: poll again when woken, and also at `until` if there is a time.
    Wait { until: Option<Instant> },
}

impl Starts {
    pub(crate) fn new(pacing: StartPacing) -> Self {
        Self { queue: Arc::new(Mutex::new(Queue::new(pacing))) }
    }

    /// Joins the queue. Runs with the same `data_home`, in the same spelling, start one at a time.
    /// `None` means that the run has a data directory of its own.
    pub(crate) fn queue(&self, data_home: Option<PathBuf>) -> StartPlace {
        StartPlace { number: lock(&self.queue).join(data_home), queue: Arc::clone(&self.queue) }
    }
}

impl StartPlace {
    /// Checks whether the run may start. The order is first come, first served, except that a run
    /// that waits for its data directory holds no other run back.
    ///
    /// Not polled any more after [`StartPoll::Go`].
    pub(crate) fn poll_start(&mut self, context: &mut Context<'_>, now: Instant) -> StartPoll {
        let mut queue = lock(&self.queue);
        match queue.turn(self.number, now) {
            Turn::Now => {
                let Waiting { data_home, waker } = queue.start(self.number, now);
                wake_next(queue);
                drop(waker);
                StartPoll::Go(StartPermit { queue: Arc::clone(&self.queue), data_home })
            }
            Turn::Later(until) => {
                let waker = queue.park(self.number, context.waker().clone());
                drop(queue);
                drop(waker);
                StartPoll::Wait { until }
            }
        }
    }
}

impl Drop for StartPlace {
    fn drop(&mut self) {
        let mut queue = lock(&self.queue);
        let was_next = queue.next() == Some(self.number);
        let left = queue.waiting.remove(&self.number);
        if was_next {
            wake_next(queue);
        } else {
            drop(queue);
        }
        drop(left);
    }
}

impl Drop for StartPermit {
    fn drop(&mut self) {
        let mut queue = lock(&self.queue);
        queue.finish(self.data_home.as_ref());
        wake_next(queue);
    }
}

#[derive(Debug)]
struct Queue {
    pacing: StartPacing,
    starting: usize,
    starting_homes: BTreeSet<PathBuf>,
    last_start: Option<Instant>,
    next_number: u64,
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    data_home: Option<PathBuf>,
    waker: Option<Waker>,
}

enum Turn {
    Now,
    Later(Option<Instant>),
}

impl Queue {
    fn new(pacing: StartPacing) -> Self {
        Self {
            pacing,
            starting: 0,
            starting_homes: BTreeSet::new(),
            last_start: None,
            next_number: 0,
            waiting: BTreeMap::new(),
        }
    }

    fn join(&mut self, data_home: Option<PathBuf>) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        let waiting = Waiting { data_home, waker: None };
        self.waiting.insert(number, waiting);
        number
    }

    fn turn(&self, number: u64, now: Instant) -> Turn {
        if self.next() != Some(number) {
            return Turn::Later(None);
        }
        // A time beyond the range of `Instant` never comes.
        let spaced = self.last_start.map(|last| last.checked_add(self.pacing.spacing));
        match spaced {
            None => Turn::Now,
            Some(Some(at)) if at <= now => Turn::Now,
            Some(at) => Turn::Later(at),
        }
    }

    /// Returns the next run to start when a permit is free: the first with a free data directory.
    fn next(&self) -> Option<u64> {
        let starting_max = self.pacing.starting_max.map_or(usize::MAX, NonZeroUsize::get);
        if self.starting >= starting_max {
            return None;
        }
        let is_free = |home: &PathBuf| !self.starting_homes.contains(home);
        self.waiting
            .iter()
            .find(|(_, waiting)| waiting.data_home.as_ref().is_none_or(is_free))
            .map(|(&number, _)| number)
    }

    fn start(&mut self, number: u64, now: Instant) -> Waiting {
        let started = self.waiting.remove(&number).expect("only the next run starts");
        self.starting += 1;
        self.starting_homes.extend(started.data_home.clone());
        self.last_start = Some(now);
        started
    }

    fn finish(&mut self, data_home: Option<&PathBuf>) {
        self.starting -= 1;
        if let Some(data_home) = data_home {
            self.starting_homes.remove(data_home);
        }
    }

    /// Stores a waker, and returns the previous one.
    fn park(&mut self, number: u64, waker: Waker) -> Option<Waker> {
        let waiting = self.waiting.get_mut(&number);
        let waiting = waiting.expect("a started run is not polled any more");
        waiting.waker.replace(waker)
    }
}

/// Wakes the next run after a change. Wakers run, and are dropped, without the lock, because both
/// may lock the queue at once.
fn wake_next(queue: MutexGuard<'_, Queue>) {
    let next = queue.next().and_then(|number| queue.waiting.get(&number));
    let waker = next.and_then(|waiting| waiting.waker.clone());
    drop(queue);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Locks the queue, which is consistent between any two calls, also after a panic.
fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
